"""Runs the examples and keeps what they print and measure as records.

Each script is copied into an empty folder, alone but for the tools it names, and runs there in its own process:
offline, with a time limit, its time, memory (whole process tree) and disk measured from outside.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

from course.records import compare as record_diff
from course.records import figures
from course.records import record as records

THREADS = 2  # of torch and BLAS; some results depend on it, so it is the same everywhere
QUICK_SECONDS = 20  # `--quick` re-runs a script whole when its record says that it took no longer
POLL_SECONDS = 0.02
PARTS = ("exact", "approx", "timing")
DATA = "data_sha256"  # a script that reads a text of this machine writes the text's hash too
KEPT = (
    "script_sha256",
    "pins",
    "tools_sha256",
    DATA,
)  # what a renewal that changes nothing else writes


class RunError(Exception):
    """A script did not do what it must; the message is for a person and may span lines."""


@dataclass
class Run:
    """One finished run: wall seconds, peak memory of the process tree and peak disk, both in MiB."""

    exit_code: int
    output: str
    data: dict[str, Any]
    wall_seconds: float
    peak_rss_mib: float
    peak_disk_mib: float


def run(script: Path, options: list[str], time_limit: float) -> Run:
    """Run a script in an empty folder, alone but for the tools it names. Raises RunError when it takes too long."""
    with tempfile.TemporaryDirectory(prefix="example-", ignore_cleanup_errors=True) as name:
        base = Path(name).resolve()
        folder, scratch, home, transcript = (
            base / "run",
            base / "tmp",
            base / "home",
            base / "transcript",
        )
        for path in (folder, scratch, home):
            path.mkdir()
        for file in (script, *records.tools_of(script)):
            shutil.copy(file, folder)
        command = [sys.executable, script.name, *options, "--json", str(base / "record.json")]
        started = time.perf_counter()
        with transcript.open("wb") as stream:
            process = psutil.Popen(
                command,
                cwd=folder,
                env=environment(scratch, home),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
            rss, disk, late = watch(process, base, started, time_limit)
        wall = time.perf_counter() - started
        printed = transcript.read_text(encoding="utf-8", errors="replace")
        if late:
            raise RunError(f"{script.name} {' '.join(options)}: quá {time_limit:.0f} giây, đã dừng")
        result = base / "record.json"
        try:
            data = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
        except ValueError:
            data = {}
        output = (
            printed.replace(str(folder), "…").replace(str(scratch), "…/tmp").replace(str(home), "~")
        )
        return Run(
            process.returncode, output.replace("\r\n", "\n").strip("\n"), data, wall, rss, disk
        )


def environment(scratch: Path, home: Path) -> dict[str, str]:
    """The environment of a run: no model hub, no user cache, no colour, no progress bars, fixed threads."""
    own = {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(home / "huggingface"),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TQDM_DISABLE": "1",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": str(THREADS),
        "MKL_NUM_THREADS": str(THREADS),
        "TOKENIZERS_PARALLELISM": "false",
        "NO_COLOR": "1",
        "COLUMNS": "100",
    }
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch)) | dict.fromkeys(
        ("HOME", "USERPROFILE"), str(home)
    )
    return {**os.environ, **own, **places}


def watch(
    process: psutil.Popen, base: Path, started: float, time_limit: float
) -> tuple[float, float, bool]:
    """Wait for a process: peak memory of its tree and peak size of its files (MiB), and whether the limit ended it."""
    peak_rss, peak_disk, late = 0, 0, False
    next_disk = 0.0
    while process.poll() is None:
        now = time.perf_counter()
        tree = family(process)
        peak_rss = max(peak_rss, sum(memory(member) for member in tree))
        if now >= next_disk:
            peak_disk, next_disk = max(peak_disk, size_of(base)), now + 0.25
        if now - started > time_limit:
            late = True
            for member in tree:
                member.kill()
        time.sleep(POLL_SECONDS)
    return peak_rss / 2**20, peak_disk / 2**20, late


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all its descendants that still live."""
    try:
        return [*process.children(recursive=True), process]
    except psutil.Error:
        return []


def memory(process: psutil.Process) -> int:
    """Resident bytes of a process; 0 when it is gone."""
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; what vanishes meanwhile does not count."""
    total = 0
    for place, _, names in os.walk(folder):  # unlike rglob, it goes on when a folder vanishes
        for name in names:
            with suppress(OSError):
                total += Path(place, name).stat().st_size
    return total


def ways_to_break(source: str) -> list[str]:
    """The choices of a script's `--break` option, read from its source; none when it has no such option."""
    names: dict[str, list[str]] = {}
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Dict)
            and isinstance(node.targets[0], ast.Name)
        ):
            names[node.targets[0].id] = [
                key.value for key in node.value.keys if isinstance(key, ast.Constant)
            ]
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            choices = next((word.value for word in node.keywords if word.arg == "choices"), None)
            if node.args[0].value == "--break" and choices is not None:
                return (
                    names[choices.id]
                    if isinstance(choices, ast.Name)
                    else list(ast.literal_eval(choices))
                )
    return []


def record_of(
    script: Path, time_limit: float, step: Any, size: str = "", breaks: bool = True
) -> tuple[dict[str, Any], str]:
    """Run a script, then each of its ways to break; the record (unsealed) and the transcript.

    `breaks`: no such runs when false. `step()` is called after each run. Raises RunError when a run does not end as it
    must.
    """
    source = records.read(script)
    pins = records.pins_of(source, records.requirements_pins())
    for name, version in pins.items():
        if metadata.version(name).split("+")[0] != version:
            raise RunError(
                f"{name} {metadata.version(name)} không phải bản ghim {version}: chạy dev.py setup"
            )
    options = ["--size", size] if size else []
    main = finish(script, options, 0, time_limit)
    step()
    transcript = [
        f"$ python {script.name}{''.join(' ' + option for option in options)}",
        main.output,
    ]
    broken_runs = {}
    for way in ways_to_break(source) if breaks else ():
        broken = finish(script, [*options, "--break", way], 1, time_limit)
        step()
        broken_runs[way] = {"exit_code": broken.exit_code, **parts(broken.data)}
        transcript += [
            "",
            f"$ python {' '.join([script.name, *options, '--break', way])}",
            broken.output,
        ]
    tools = records.tools_digest(script)
    data = {
        "schema": records.SCHEMA,
        "command": f"python {script.name}",
        "exit_code": main.exit_code,
        **parts(main.data),
        **({"breaks": broken_runs} if broken_runs else {}),
        "provenance": {
            "script_sha256": records.digest(source),
            "pins": pins,
            DATA: main.data.get(DATA),
            **({"tools_sha256": tools} if tools else {}),
            "python": platform.python_version(),
            "cpu": cpu_name(),
            "threads": THREADS,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "wall_seconds": round(main.wall_seconds, 1),
            "peak_rss_mib": round(main.peak_rss_mib),
            "peak_disk_mib": round(main.peak_disk_mib, 1),
            **({"size": size} if size else {}),
        },
    }
    return data, "\n".join(transcript) + "\n"


def parts(data: dict[str, Any]) -> dict[str, Any]:
    """What a script may write itself."""
    return {part: data[part] for part in PARTS if data.get(part)}


def finish(script: Path, options: list[str], expected: int, time_limit: float) -> Run:
    """Run and insist on the exit code and on a JSON with its parts and no others."""
    done = run(script, options, time_limit)
    command = " ".join(["python", script.name, *options])
    if done.exit_code != expected:
        raise RunError(f"{command}: mã thoát {done.exit_code}, phải là {expected}\n{done.output}")
    if not done.data.get("exact") or done.data.keys() - {*PARTS, DATA}:
        raise RunError(
            f"{command}: --json phải ghi «exact», có thể cả «approx», «timing», «{DATA}», và không gì khác"
        )
    return done


def cpu_name() -> str:
    """Name of this machine's processor."""
    if Path("/proc/cpuinfo").exists():
        found = re.search(
            r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE
        )
        if found:
            return found[1].strip()
    if sys.platform == "darwin":
        asked = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True
        )
        return asked.stdout.strip()
    return platform.processor() or platform.machine()


def renew(script: Path, time_limit: float, step: Any, size: str = "") -> str:
    """Run a script and keep its record; what happened, in a few Vietnamese words."""
    data, transcript = record_of(script, time_limit, step, size, breaks=not size)
    try:
        old = records.load(script, machine=size)
    except records.RecordError:
        old = None
    same = old is not None and not any("niêm phong" in problem for problem in old.problems)
    if same and not (record_diff.compare(old.data, data) or changed_text(old, data, transcript)):
        new = {key: value for key, value in data["provenance"].items() if key in KEPT}
        provenance = {**old.data["provenance"], **new}
        data, transcript = {**old.data, "provenance": provenance}, old.transcript
        outcome = "không đổi"
    else:
        outcome = "đã ghi" if old is None else "đã ghi lại: kết quả đổi"
    records.write(script, data, transcript, figures.draw(script, data))
    return outcome


def changed_text(old: records.Record, data: dict[str, Any], transcript: str) -> list[str]:
    """Differences between the recorded transcript and a new one."""
    return record_diff.compare_transcripts(old.data, old.transcript, data, transcript)


def check(script: Path, time_limit: float, step: Any, quick: bool, size: str = "") -> str:
    """Re-run a script and compare it with its record. Raises RunError with a readable diff."""
    old = records.load(script, machine=size)
    if old.problems:
        raise RunError("\n".join(old.problems))
    small = quick and old.data["provenance"]["wall_seconds"] > QUICK_SECONDS
    data, transcript = record_of(
        script, time_limit, step, "tiny" if small else size, breaks=not size
    )
    other = (
        old.data["provenance"][DATA] != data["provenance"][DATA]
    )  # another text: other numbers, the same keys
    lines = record_diff.compare(old.data, data, keys_only=small or other)
    lines += [] if small or other else changed_text(old, data, transcript)
    if lines:
        raise RunError("\n".join([f"{script.name} không còn cho kết quả như bản ghi:", *lines]))
    why = "cỡ nhỏ" if small else "dữ liệu của máy này khác" if other else ""
    return f"khớp ({why}: mã thoát và khoá)" if why else "khớp"


def up_to_date(script: Path, size: str = "") -> bool:
    """Is there a record, sealed and current?"""
    try:
        return not records.load(script, machine=size).problems
    except records.RecordError:
        return False


def redraw(script: Path, size: str = "") -> bool:
    """Draw the figure again from the record; was it another?"""
    old = records.load(script, machine=size)
    drawing = figures.draw(script, old.data)
    if drawing != old.figure:
        records.write(script, old.data, old.transcript, drawing)
    return drawing != old.figure


def main() -> int:
    """Command line; exit code 0: all well, 1: something failed or differs, 2: nothing matches the pattern."""
    parser = argparse.ArgumentParser(
        prog="dev.py examples", description="Chạy các ví dụ và giữ bản ghi của chúng."
    )
    parser.add_argument(
        "pattern", nargs="?", default="", help="một phần của đường dẫn, ví dụ hugging_face"
    )
    parser.add_argument(
        "--check", action="store_true", help="chạy lại và so với bản ghi, không ghi gì"
    )
    parser.add_argument(
        "--quick", action="store_true", help="cùng --check: script chậm chỉ chạy cỡ nhỏ"
    )
    parser.add_argument("--size", default="", help="chạy ở cỡ ấy; bản ghi đứng riêng: X.<cỡ>.json")
    parser.add_argument("--force", action="store_true", help="chạy cả script có bản ghi còn mới")
    parser.add_argument("--figures", action="store_true", help="chỉ vẽ lại hình từ bản ghi")
    parser.add_argument(
        "-j",
        "--jobs",
        type=int,
        default=1,
        help="số script chạy cùng lúc (script đo giờ chạy riêng)",
    )
    parser.add_argument(
        "--time-limit", type=float, default=600, help="giới hạn mỗi lần chạy, tính bằng giây"
    )
    args = parser.parse_args()
    every = records.examples()
    names = {script: script.relative_to(records.ROOT / "examples").as_posix() for script in every}
    chosen = [script for script in every if args.pattern in names[script]]
    if not chosen:
        print(f"Không có ví dụ nào khớp «{args.pattern}».", file=sys.stderr)
        return 2
    if args.figures:
        for script in chosen:
            print(
                f"{names[script]}: {'đã vẽ lại' if redraw(script, args.size) else 'hình không đổi'}"
            )
        return 0
    fresh = [
        script
        for script in chosen
        if not (args.check or args.force) and up_to_date(script, args.size)
    ]
    for script in fresh:
        print(f"{names[script]}: bản ghi còn mới (chạy lại: --force)")
    todo = [script for script in chosen if script not in fresh]
    runs = sum(
        1 + (0 if args.size else len(ways_to_break(records.read(script)))) for script in todo
    )
    failed = 0
    with tqdm(total=runs, unit="lần chạy", disable=not todo, leave=False) as bar:

        def work(script: Path) -> str:
            if args.check:
                return check(script, args.time_limit, bar.update, args.quick, args.size)
            return renew(script, args.time_limit, bar.update, args.size)

        def report(script: Path, job: Any) -> int:
            try:
                bar.write(f"{names[script]}: {job()}")
                return 0
            except (RunError, records.RecordError) as error:
                bar.write(f"{names[script]}: HỎNG\n{error}")
                return 1

        timed = [script for script in todo if '"timing"' in records.read(script)]
        with ThreadPoolExecutor(max(1, args.jobs)) as pool:
            jobs = [(script, pool.submit(work, script)) for script in todo if script not in timed]
            failed += sum(report(script, job.result) for script, job in jobs)
        failed += sum(report(script, lambda script=script: work(script)) for script in timed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
