"""Makes, renews, checks and lists records: what `dev.py examples` does."""

from __future__ import annotations

import datetime
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

from tqdm import tqdm

from course.records.compare import compare, compare_transcripts
from course.records.record import (
    CHECKERS,
    SCHEMA,
    Record,
    data_digest,
    experiments,
    load,
    load_all,
    pins_of,
    requirements_pins,
    siblings_digest,
    write,
)
from course.records.run import (
    DATA,
    PARTS,
    THREADS,
    TOLERANCE,
    Run,
    checked_run,
)
from course.text import Refusal, digest, read

# What a renewal that changes nothing else writes.
RENEWED = ("script_sha256", "pins", "tools_sha256", DATA)

SETUP_CHECKERS = "python3 scripts/dev.py setup --checkers"

Step = Callable[[], object]  # called after each run, for the progress bar


def examples_command(
    root: Path,
    pattern: str = "",
    *,
    check: bool = False,
    listing: bool = False,
    quick: bool = False,
    force: bool = False,
    jobs: int = 1,
    time_limit: float = 600.0,
) -> int:
    """Do what the author asked for.

    Exit code 0: all well, 1: something failed, differs or is not current, 2: nothing matches the
    pattern.
    """
    if listing:
        return list_records(root, pattern)
    chosen = matching(root, pattern)
    if not chosen:
        print(f"Không có ví dụ nào khớp «{pattern}».", file=sys.stderr)
        return 2
    todo = []
    for script in chosen:
        if not check and not force and is_current(script, root):
            print(f"{name_of(script, root)}: bản ghi còn mới (chạy lại: --force)")
        elif not has_checkers(script, root):
            print(f"{name_of(script, root)}: không chạy ở đây, cần {CHECKERS} ({SETUP_CHECKERS})")
        else:
            todo.append(script)

    def work(script: Path, step: Step) -> str:
        if check:
            return check_record(script, root, time_limit, step, quick)
        return renew_record(script, root, time_limit, step)

    with tqdm(total=len(todo), unit="lần chạy", leave=False, disable=not todo) as bar:
        return work_through(todo, root, work, jobs, bar)


def work_through(
    scripts: list[Path], root: Path, work: Callable[[Path, Step], str], jobs: int, bar: tqdm
) -> int:
    """Work on each script and say what came of it; exit code 1 when one of them failed."""

    def succeeds(script: Path) -> bool:
        try:
            bar.write(f"{name_of(script, root)}: {work(script, bar.update)}")
            return True
        except Refusal as refusal:
            bar.write(f"{name_of(script, root)}: HỎNG\n{refusal}")
            return False

    # What measures time runs alone.
    alone = [script for script in scripts if '"timing"' in read(script)]
    together = [script for script in scripts if script not in alone]
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        successes = list(pool.map(succeeds, together))
    for script in alone:
        successes.append(succeeds(script))
    return 0 if all(successes) else 1


def name_of(script: Path, root: Path) -> str:
    return script.relative_to(root / "examples").as_posix()


def has_checkers(script: Path, root: Path) -> bool:
    """Are those libraries of requirements-checkers.txt that an experiment needs installed here?"""
    pins = pins_of(read(script), requirements_pins(root, (CHECKERS,)))
    return all(installed_version(name) == version for name, version in pins.items())


def installed_version(name: str) -> str:
    """Version of a distribution on this machine; empty when there is none."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return ""


def matching(root: Path, pattern: str) -> list[Path]:
    """The scripts in whose path the pattern stands."""
    return [script for script in experiments(root) if pattern in name_of(script, root)]


# --- make a record


def make_record(
    script: Path, root: Path, time_limit: float, step: Step, quick: bool = False
) -> tuple[dict[str, Any], str, str]:
    """Run an experiment: its record (unsealed), transcript, and the SVG it drew.

    Raises Refusal when the run does not end as it must.
    """
    pins = checked_pins(read(script), root)
    done = checked_run(script, root, time_limit, quick)
    step()
    data: dict[str, Any] = {"schema": SCHEMA, "command": f"python {script.name}"}
    data |= {"exit_code": done.exit_code, **kept_parts(done.data)}
    data["provenance"] = provenance_of(script, root, done, pins)
    return data, f"$ python {script.name}\n{done.output}\n", done.figure


def kept_parts(data: dict[str, Any]) -> dict[str, Any]:
    """What of a run's own data stands in the record; no empty part."""
    return {part: data[part] for part in (*PARTS, TOLERANCE) if data.get(part)}


def checked_pins(source: str, root: Path) -> dict[str, str]:
    """The pins that a script needs. Raises Refusal when this machine has other versions."""
    pins = pins_of(source, requirements_pins(root))
    for name, version in pins.items():
        installed = installed_version(name)
        if not installed:
            raise Refusal(f"chưa cài {name} {version}: chạy dev.py setup")
        if installed != version:
            raise Refusal(f"{name} {installed} không phải bản ghim {version}: chạy dev.py setup")
    return pins


def provenance_of(script: Path, root: Path, done: Run, pins: dict[str, str]) -> dict[str, Any]:
    """Where a record comes from: what was run, with what, on which machine, and what it took."""
    provenance: dict[str, Any] = {
        "script_sha256": digest(read(script)),
        "pins": pins,
        DATA: data_digest(script, root) or done.data.get(DATA),
    }
    recipes = siblings_digest(script)
    if recipes:
        provenance["tools_sha256"] = recipes
    provenance |= {
        "python": platform.python_version(),
        "cpu": cpu_name(),
        "threads": THREADS,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "wall_seconds": round(done.wall_seconds, 1),
        "peak_rss_mib": round(done.peak_rss_mib),
        "peak_disk_mib": round(done.peak_disk_mib, 1),
    }
    return provenance


def cpu_name() -> str:
    """Name of this machine's processor."""
    known = re.search(r"^model name\s*:\s*(.+)$", read(Path("/proc/cpuinfo")), re.MULTILINE)
    if known:
        return known[1].strip()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return platform.processor() or platform.machine()


def figure_of(script: Path, drawn: str) -> str:
    """The SVG that an experiment drew, as the site shows it; empty when it drew none."""
    # matplotlib takes a second to import, and only a run needs it.
    from course.records.figure_style import themed_experiment

    return themed_experiment(drawn, script.stem) if drawn else ""


# --- renew, check


def renew_record(script: Path, root: Path, time_limit: float, step: Step) -> str:
    """Run a script and keep its record; what happened, in a few Vietnamese words."""
    data, transcript, drawn = make_record(script, root, time_limit, step)
    figure = figure_of(script, drawn)
    old = record_or_none(script, root)
    if old is None:
        write(script, data, transcript, figure)
        return "đã ghi"
    if not says_the_same(old, data, transcript, figure):
        write(script, data, transcript, figure)
        return "đã ghi lại: kết quả đổi"
    for key in RENEWED:
        if key in data["provenance"]:
            old.data["provenance"][key] = data["provenance"][key]
        else:
            old.data["provenance"].pop(key, None)
    write(script, old.data, old.transcript, figure)
    return "không đổi"


def record_or_none(script: Path, root: Path) -> Record | None:
    try:
        return load(script, root)
    except Refusal:
        return None


def is_current(script: Path, root: Path) -> bool:
    """Is there a record, sealed and current?"""
    record = record_or_none(script, root)
    return record is not None and not record.problems


def says_the_same(old: Record, data: dict[str, Any], transcript: str, figure: str) -> bool:
    """May the recorded values stay, because a new run gave the same?"""
    if any("niêm phong" in problem for problem in old.problems):
        return False
    if figure != old.figure:  # it holds numbers of its own run, so they stay or go together
        return False
    if compare(old.data, data):
        return False
    return not compare_transcripts(old.data, old.transcript, data, transcript)


def check_record(script: Path, root: Path, time_limit: float, step: Step, quick: bool) -> str:
    """Re-run a script and compare it with its record. Raises Refusal with a readable diff."""
    old = load(script, root)
    if old.problems:
        raise Refusal("\n".join(old.problems))
    small = quick and is_made_small(script)
    data, transcript, _ = make_record(script, root, time_limit, step, quick=small)
    # Another text of this machine: other numbers, the same keys.
    other_data = old.data["provenance"].get(DATA) != data["provenance"][DATA]
    lines = compare(old.data, data, keys_only=small or other_data)
    if not small and not other_data:
        lines += compare_transcripts(old.data, old.transcript, data, transcript)
    if lines:
        raise Refusal("\n".join([f"{script.name} không còn cho kết quả như bản ghi:", *lines]))
    if small:
        return "khớp (cỡ nhỏ: mã thoát và khoá)"
    if other_data:
        return "khớp (dữ liệu của máy này khác: mã thoát và khoá)"
    return "khớp"


def is_made_small(script: Path) -> bool:
    """Does a quick run of this experiment differ from a whole one? It says so itself."""
    return "QUICK" in read(script)


# --- list


def list_records(root: Path, pattern: str) -> int:
    """Print the state of every record; exit code 1 when one is not current."""
    code = 0
    for name, record in load_all(root).items():
        if pattern.removesuffix(".py") not in name:
            continue
        problems = [str(record)] if isinstance(record, Refusal) else record.problems
        for problem in problems:
            print(f"{name}: {problem}")
            code = 1
        if not problems:
            print(f"{name}: còn mới")
    return code
