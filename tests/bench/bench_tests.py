"""How the suite grows with the course: its tests, with every lesson once, twice and four times.

Judges the law that keeps `dev.py test` short: the tests of machine, recipes and tool do not grow; a
browser visits each page of docs/ once; of the experiments only a sample of constant cost is run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMES = (1, 2, 4)
MADE = {".git", ".venv", "node_modules", "site", ".cache", ".pytest_cache", ".ruff_cache"}
COLLECTED = re.compile(r"^tests/(?P<folder>\w+)/(?P<file>\w+)\.py::(?P<test>\w+)")
VISITS = "test_in_a_browser"
SAMPLE = "test_a_sample_of_today_gives_what_its_records_say"


def left_out(folder: str, names: list[str]) -> set[str]:
    """What a copy of the project does without: of its top, what is made from the rest."""
    if Path(folder) == ROOT:
        return MADE & set(names)
    return {"__pycache__"} & set(names)


def multiplied(root: Path, times: int) -> None:
    """A copy of the project in which every lesson, with its scripts and records, stands so often.

    The copies carry the number of their lesson and stand in no list: enough to be collected.
    """
    shutil.copytree(ROOT, root, ignore=left_out)
    (root / "node_modules").symlink_to(ROOT / "node_modules", target_is_directory=True)
    for kind in ("docs", "examples"):
        for lesson in sorted((root / kind).glob("*/*/")):
            for number in range(2, times + 1):
                shutil.copytree(lesson, lesson.with_name(f"{lesson.name}-{number}"))


def collected(root: Path) -> Counter[str]:
    """How many tests there are, by folder; of those of the course, the visits and the sample."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    counts: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        match = COLLECTED.match(line)
        if match:
            counts[match["folder"]] += 1
            counts[match["file"]] += 1
            counts[match["test"]] += 1
    return counts


def constant(counts: Counter[str]) -> int:
    """Tests that no lesson may add to; the style of each script is looked at in a moment."""
    return counts["machine"] + counts["tool"] + counts["recipes"] - counts["test_style"]


def main() -> int:
    """Collect each size, print a table, judge."""
    first: Counter[str] = Counter()
    right = True
    print("bài  máy, công cụ, recipe  khoá học  lượt trình duyệt  script trong mẫu", flush=True)
    for times in TIMES:
        with tempfile.TemporaryDirectory() as folder:
            multiplied(Path(folder) / "project", times)
            counts = collected(Path(folder) / "project")
        first = first or counts
        numbers = [constant(counts), counts["course"], counts[VISITS], counts[SAMPLE]]
        print(f"{times:>2}× {numbers[0]:>21}{numbers[1]:>10}{numbers[2]:>18}{numbers[3]:>18}")
        right = right and constant(counts) == constant(first)
        right = right and counts["course"] <= times * first["course"]
        right = right and counts[VISITS] <= times * first[VISITS]
    if right:
        print("ĐẠT")
        return 0
    print("TRƯỢT: bộ kiểm thử lớn nhanh hơn khoá học")
    return 1


if __name__ == "__main__":
    sys.exit(main())
