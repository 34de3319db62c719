"""A new lesson: what is written, and that it fails until an author has filled it in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course import catalog
from course.new_lesson import start
from course.text import Refusal

COURSE = Path(__file__).resolve().parents[2] / "scripts/data/course.yml"
MODULE_PAGE = '---\nnumber: "06"\ntitle: Tiền huấn luyện\ndescription: Mô tả.\n---\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The course's own list, and the page of one of its modules."""
    (tmp_path / "scripts/data").mkdir(parents=True)
    shutil.copy(COURSE, tmp_path / "scripts/data/course.yml")
    page = tmp_path / "docs/pretraining/index.md"
    page.parent.mkdir(parents=True)
    page.write_text(MODULE_PAGE, encoding="utf-8")
    return tmp_path


def files_of(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_new_lesson_is_the_last_of_its_module(root):
    written = start(root, "pretraining", "one-more")
    names = [path.relative_to(root).as_posix() for path in written]
    script = "examples/pretraining/one-more/one_more.py"
    assert names == ["scripts/data/course.yml", "docs/pretraining/one-more/index.md", script]
    modules = {module.folder: module for module in catalog.load(root).modules}
    lesson = modules["pretraining"].lessons[-1]
    assert lesson.page == "pretraining/one-more/index.md"
    assert lesson.number == "06.00"


def comments_of(root: Path) -> list[str]:
    lines = (root / "scripts/data/course.yml").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("#")]


@pytest.mark.parametrize("folder", ["llm-basics", "fine-tuning", "python-notebooks"])
def test_the_rest_of_the_list_stays(root, folder):
    comments = comments_of(root)
    before = catalog.load(root)
    start(root, folder, "one-more")
    after = catalog.load(root)
    for old, new in zip(before.modules, after.modules, strict=True):
        if new.folder == folder:
            assert new.lessons[-1].page == f"{folder}/one-more/index.md"
            assert new.lessons[:-1] == old.lessons
        else:
            assert new == old
    assert after.reference_pages == before.reference_pages
    assert comments_of(root) == comments


def test_the_experiment_fails_until_it_is_written(root):
    script = start(root, "pretraining", "one-more")[-1]
    done = subprocess.run([sys.executable, script], capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert "chưa viết" in done.stdout
    assert "Traceback" not in done.stderr
    assert "\nresults = {" in script.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "lesson", "reason"),
    [
        ("no-such-module", "x", "các mô-đun: llm-basics,"),
        ("fine-tuning", "Bài", "không hợp lệ"),
        ("fine-tuning", "../x", "không hợp lệ"),
        ("pretraining", "there", "docs/pretraining/there.md đã có"),
    ],
)
def test_a_bad_name_writes_nothing(root, module, lesson, reason):
    (root / "docs/pretraining/there.md").write_text("x", encoding="utf-8")
    before = files_of(root)
    with pytest.raises(Refusal, match=reason) as refused:
        start(root, module, lesson)
    assert refused.value.code == 2
    assert files_of(root) == before
