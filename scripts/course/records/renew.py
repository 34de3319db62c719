"""Makes, renews, checks, lists and redraws records: what `dev.py examples` does."""

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

from course.records import shared_blocks
from course.records.compare import compare, compare_transcripts
from course.records.record import (
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
    leaves_results,
    ways_to_break,
)
from course.text import Refusal, digest, read

# A script of the older form is run whole even by `--quick` when its record took no longer.
QUICK_SECONDS = 20
# What a renewal that changes nothing else writes.
RENEWED = ("script_sha256", "pins", "tools_sha256", DATA)

Step = Callable[[], object]  # called after each run, for the progress bar


def examples_command(
    root: Path,
    pattern: str = "",
    *,
    check: bool = False,
    listing: bool = False,
    quick: bool = False,
    force: bool = False,
    figures: bool = False,
    fix_blocks: bool = False,
    size: str = "",
    jobs: int = 1,
    time_limit: float = 600.0,
) -> int:
    """Do what the author asked for.

    Exit code 0: all well, 1: something failed, differs or is not current, 2: nothing matches the
    pattern.
    """
    if fix_blocks:
        return mend_blocks(root)
    if listing:
        return list_records(root, pattern)
    chosen = matching(root, pattern)
    if not chosen:
        print(f"Không có ví dụ nào khớp «{pattern}».", file=sys.stderr)
        return 2
    if figures:
        return redraw_figures(chosen, root, size)
    todo = []
    for script in chosen:
        if not check and not force and is_current(script, root, size):
            print(f"{name_of(script, root)}: bản ghi còn mới (chạy lại: --force)")
        else:
            todo.append(script)

    def work(script: Path, step: Step) -> str:
        if check:
            return check_record(script, root, time_limit, step, quick, size)
        return renew_record(script, root, time_limit, step, size)

    with tqdm(total=runs_in(todo, size), unit="lần chạy", leave=False, disable=not todo) as bar:
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


def matching(root: Path, pattern: str) -> list[Path]:
    """The scripts in whose path the pattern stands."""
    return [script for script in experiments(root) if pattern in name_of(script, root)]


def runs_in(scripts: list[Path], size: str) -> int:
    """How many runs the records of these scripts need."""
    total = 0
    for script in scripts:
        total += 1
        if not size:
            total += len(ways_of(script))
    return total


def ways_of(script: Path) -> list[str]:
    """The ways in which a script of the older form breaks on purpose; an experiment has none."""
    source = read(script)
    if leaves_results(source):
        return []
    return ways_to_break(source)


# --- make a record


def make_record(
    script: Path,
    root: Path,
    time_limit: float,
    step: Step,
    *,
    size: str = "",
    quick: bool = False,
    breaks: bool = True,
) -> tuple[dict[str, Any], str, str]:
    """Run a script, then each of its ways to break; record (unsealed), transcript, SVG it drew.

    `size`: of an older script; `quick`: the small run of an experiment; `breaks`: with the runs
    that an older script breaks on purpose. Raises Refusal when a run does not end as it must.
    """
    source = read(script)
    if size and leaves_results(source):
        raise Refusal(f"{script.name}: thí nghiệm không có --size, hãy sửa hằng số của nó")
    pins = checked_pins(source, root)
    options = ["--size", size] if size else []
    done = checked_run(script, root, options, time_limit, quick=quick)
    step()
    transcript = [" ".join(["$ python", script.name, *options]), done.output]
    data: dict[str, Any] = {"schema": SCHEMA, "command": f"python {script.name}"}
    data |= {"exit_code": done.exit_code, **kept_parts(done.data)}
    broken_runs = {}
    for way in ways_of(script) if breaks else ():
        broken_options = [*options, "--break", way]
        broken = checked_run(script, root, broken_options, time_limit, expected=1)
        step()
        broken_runs[way] = {"exit_code": broken.exit_code, **kept_parts(broken.data)}
        command = " ".join(["$ python", script.name, *broken_options])
        transcript += ["", command, broken.output]
    if broken_runs:
        data["breaks"] = broken_runs
    data["provenance"] = provenance_of(script, root, done, pins, size)
    return data, "\n".join(transcript) + "\n", done.figure


def kept_parts(data: dict[str, Any]) -> dict[str, Any]:
    """What of a run's own data stands in the record; no empty part."""
    return {part: data[part] for part in (*PARTS, TOLERANCE) if data.get(part)}


def checked_pins(source: str, root: Path) -> dict[str, str]:
    """The pins that a script needs. Raises Refusal when this machine has other versions."""
    pins = pins_of(source, requirements_pins(root))
    for name, version in pins.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            raise Refusal(f"chưa cài {name} {version}: chạy dev.py setup") from None
        if installed.partition("+")[0] != version:
            raise Refusal(f"{name} {installed} không phải bản ghim {version}: chạy dev.py setup")
    return pins


def provenance_of(
    script: Path, root: Path, done: Run, pins: dict[str, str], size: str
) -> dict[str, Any]:
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
    if size:
        provenance["size"] = size
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


def figure_of(script: Path, data: dict[str, Any], drawn: str) -> str:
    """The figure as the site shows it; empty when there is none.

    `drawn`: the SVG of an experiment; the figure of an older script is drawn from its record.
    """
    # matplotlib takes a second to import, and only a run or a redrawing needs it.
    from course.records.figure_style import themed_experiment
    from course.records.older_figures import draw

    if not leaves_results(read(script)):
        return draw(script, data)
    if drawn:
        return themed_experiment(drawn, script.stem)
    return ""


# --- renew, check


def renew_record(script: Path, root: Path, time_limit: float, step: Step, size: str = "") -> str:
    """Run a script and keep its record; what happened, in a few Vietnamese words."""
    data, transcript, drawn = make_record(
        script, root, time_limit, step, size=size, breaks=not size
    )
    figure = figure_of(script, data, drawn)
    old = record_or_none(script, root, size)
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


def record_or_none(script: Path, root: Path, size: str) -> Record | None:
    try:
        return load(script, root, size)
    except Refusal:
        return None


def is_current(script: Path, root: Path, size: str) -> bool:
    """Is there a record, sealed and current?"""
    record = record_or_none(script, root, size)
    return record is not None and not record.problems


def says_the_same(old: Record, data: dict[str, Any], transcript: str, figure: str) -> bool:
    """May the recorded values stay, because a new run gave the same?"""
    if any("niêm phong" in problem for problem in old.problems):
        return False
    # The figure of an experiment holds numbers of its own run, so they stay or go together.
    if figure != old.figure and leaves_results(read(old.script)):
        return False
    if compare(old.data, data):
        return False
    return not compare_transcripts(old.data, old.transcript, data, transcript)


def check_record(
    script: Path, root: Path, time_limit: float, step: Step, quick: bool, size: str = ""
) -> str:
    """Re-run a script and compare it with its record. Raises Refusal with a readable diff."""
    old = load(script, root, size)
    if old.problems:
        raise Refusal("\n".join(old.problems))
    small = quick and is_made_small(old)
    breaks = not size
    if small and not leaves_results(read(script)):
        size = "tiny"
    data, transcript, _ = make_record(
        script, root, time_limit, step, size=size, quick=small, breaks=breaks
    )
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


def is_made_small(record: Record) -> bool:
    """Does a quick run of this script differ from a whole one?

    An experiment says so itself; one of the older form is only made small when it is slow.
    """
    source = read(record.script)
    if leaves_results(source):
        return "QUICK" in source
    return record.data["provenance"]["wall_seconds"] > QUICK_SECONDS


# --- list, redraw, mend


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


def redraw_figures(scripts: list[Path], root: Path, size: str) -> int:
    """Draw the figures of older scripts again from their records."""
    for script in scripts:
        if leaves_results(read(script)):
            print(f"{name_of(script, root)}: script tự vẽ hình, chạy lại: --force")
            continue
        record = load(script, root, size)
        figure = figure_of(script, record.data, "")
        if figure == record.figure:
            print(f"{name_of(script, root)}: hình không đổi")
        else:
            write(script, record.data, record.transcript, figure)
            print(f"{name_of(script, root)}: đã vẽ lại")
    return 0


def mend_blocks(root: Path) -> int:
    """Give every copy of a shared block the text of the first."""
    for script, name in shared_blocks.fix(root):
        print(f"{name_of(script, root)}: đã chép lại khối «{name}»")
    return 0
