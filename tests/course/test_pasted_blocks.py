"""Every block of Python that a page offers runs when it is pasted, with the imports that stand on
the page: all blocks of a page one after another, in an empty folder where the recipes lie.

A block that cannot run here has the line `<!-- không chạy: … -->` before it. What a page quotes of
an experiment is for reading; the experiment itself is run elsewhere.
"""

from __future__ import annotations

import re
import shutil
import textwrap

import pytest

from conftest import ROOT, environment
from course.catalog import lesson_folder
from course.pages import lesson
from course.pages.course import load_course
from course.pages.syntax import fences
from forks import SERVER

COURSE = load_course(ROOT)
PYTHON = re.compile(r"[`~]{3,}\s*(?:\{\s*\.)?(?:python|py)\b(?P<rest>.*)")
FROM_EXPERIMENT = 'title="Thí nghiệm '
NOT_RUN = re.compile(r"<!-- không chạy: .+ -->")
MOST_NOT_RUN = 2  # on one page
AT_HAND = [ROOT / "tests/course/reader.py", ROOT / "tests/recipes/small_models.py"]


def blocks_of(page: str) -> tuple[list[str], int]:
    """The blocks of a page that are to be pasted, in order; how many say that they do not run."""
    text = COURSE.path(page).read_text(encoding="utf-8")
    body = text.split("\n---\n", 1)[1]
    markdown = lesson.check(page, body, COURSE).markdown
    found = []
    not_run = 0
    for fence in fences(markdown):
        first, _, rest = markdown[fence.start : fence.end].partition("\n")
        opening = PYTHON.search(first)
        if not opening or FROM_EXPERIMENT in opening["rest"]:
            continue
        before = markdown[: fence.start].rstrip().rpartition("\n")[2]
        if NOT_RUN.search(before):
            not_run += 1
            continue
        code = rest.rstrip().rpartition("\n")[0]
        found.append(textwrap.dedent(code))
    return found, not_run


BLOCKS = {}
for name in COURSE.catalog.lesson_pages():
    BLOCKS[name] = blocks_of(name)
PAGES = [page for page, (blocks, _) in BLOCKS.items() if blocks]


@pytest.mark.parametrize("page", PAGES)
def test_blocks_run_when_they_are_pasted(page, tmp_path):
    recipes = (ROOT / "examples" / lesson_folder(page)).glob("*.py")
    for path in [*recipes, *AT_HAND]:
        shutil.copy(path, tmp_path)
    lines = ["from reader import data, model, optimizer, scheduler, tokenizer"]
    for number, block in enumerate(BLOCKS[page][0], 1):
        lines.append(f"# --- block {number}\n{block}")
    script = tmp_path / "pasted.py"
    script.write_text("\n".join(lines), encoding="utf-8")
    done = SERVER.run(script, [], environment(PYTHONPATH=str(tmp_path), TQDM_DISABLE="1"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", BLOCKS)
def test_few_blocks_cannot_run(page):
    assert BLOCKS[page][1] <= MOST_NOT_RUN


def test_there_are_blocks_to_paste():
    assert len(PAGES) > len(BLOCKS) / 2
