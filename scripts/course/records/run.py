"""One run of one experiment in a folder that holds only what it needs, measured from outside.

Offline, in its own process, with a time limit; time, memory (the whole process tree) and disk are
taken from outside. An experiment leaves its numbers in a variable `results`, which is checked, and
draws its own figure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from course import ROOT
from course.records.compare import flatten, plain
from course.records.record import data_of, siblings_of
from course.text import Refusal, read

CHILD = Path(__file__).with_name("child.py")
STYLE = Path(__file__).with_name("figure_style.mplrc")  # of the figures that experiments draw
THREADS = 2  # of torch and BLAS; some results depend on it, so it is the same everywhere
POLL_SECONDS = 0.02
DISK_SECONDS = 0.25  # between two looks at the disk, which cost more than those at the memory
PARTS = ("exact", "approx", "timing")
DATA = "data_sha256"  # a script that reads a text of this machine writes the text's hash too
TOLERANCE = "tolerance"


@dataclass
class Run:
    """One finished run.

    `data`: what it left for its record; `figure`: the SVG it drew, empty when it drew none. Wall
    seconds; peak memory of the process tree and peak disk, both in MiB.
    """

    exit_code: int
    output: str
    data: dict[str, Any]
    figure: str
    wall_seconds: float
    peak_rss_mib: float
    peak_disk_mib: float


def copy_inputs(script: Path, root: Path, folder: Path) -> None:
    """Lay a script, the recipes that it uses and the data that it names into a run folder."""
    for file in (script, *siblings_of(script)):
        shutil.copy(file, folder)
    examples = root / "examples"
    for source in data_of(script, root):
        target = folder / source.relative_to(examples)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)


@dataclass
class Places:
    """Where a run happens, below one folder that is measured and removed."""

    base: Path
    script: Path

    @property
    def folder(self) -> Path:
        return self.script.parent

    @property
    def scratch(self) -> Path:
        return self.base / "tmp"

    @property
    def home(self) -> Path:
        return self.base / "home"

    @property
    def record(self) -> Path:
        return self.base / "record.json"


@contextmanager
def run_folder(script: Path, root: Path) -> Iterator[Places]:
    """A folder that holds only a script and what it needs, for one run."""
    with tempfile.TemporaryDirectory(prefix="example-", ignore_cleanup_errors=True) as name:
        base = Path(name).resolve()
        places = Places(base, base / "run" / script.name)
        for path in (places.folder, places.scratch, places.home):
            path.mkdir()
        copy_inputs(script, root, places.folder)
        yield places


def run(script: Path, root: Path, time_limit: float, quick: bool = False) -> Run:
    """Run an experiment alone; `quick`: small.

    Raises Refusal when it takes longer than `time_limit` seconds.
    """
    with run_folder(script, root) as places:
        command = [sys.executable, str(CHILD), script.name, str(places.record)]
        transcript = places.base / "transcript"
        started = time.perf_counter()
        with transcript.open("wb") as stream:
            process = psutil.Popen(
                command,
                cwd=places.folder,
                env=environment(places.scratch, places.home, quick),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
            peak_rss, peak_disk, late = watch(process, places.base, started, time_limit)
        wall_seconds = time.perf_counter() - started
        if late:
            raise Refusal(f"{script.name}: quá {time_limit:.0f} giây, đã dừng")
        return Run(
            process.returncode,
            printed(transcript, places),
            read_json(places.record),
            read(places.script.with_suffix(".svg")),
            wall_seconds,
            peak_rss / 2**20,
            peak_disk / 2**20,
        )


def printed(transcript: Path, places: Places) -> str:
    """What a run printed, with the folders of this one run under short names."""
    output = transcript.read_text(encoding="utf-8", errors="replace")
    output = output.replace(str(places.folder), "…")
    output = output.replace(str(places.scratch), "…/tmp")
    output = output.replace(str(places.home), "~")
    return output.replace("\r\n", "\n").strip("\n")


def read_json(path: Path) -> dict[str, Any]:
    """What a script wrote for its record; empty when it wrote nothing of use."""
    try:
        data = json.loads(read(path))
    except ValueError:
        return {}
    if not isinstance(data, dict):
        return {}
    return data


def environment(scratch: Path, home: Path, quick: bool = False) -> dict[str, str]:
    """The environment of a run: no model hub, no user cache, no colour, no progress bars."""
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
        "QUICK": "1" if quick else "",
        "MATPLOTLIBRC": str(STYLE),
        # Its table of fonts takes seconds to make: once for all runs.
        "MPLCONFIGDIR": str(ROOT / ".cache/matplotlib"),
    }
    for name in ("TMPDIR", "TEMP", "TMP"):
        own[name] = str(scratch)
    for name in ("HOME", "USERPROFILE"):
        own[name] = str(home)
    return {**os.environ, **own}


def watch(
    process: psutil.Popen, base: Path, started: float, time_limit: float
) -> tuple[int, int, bool]:
    """Wait for a process.

    Peak memory of its tree and peak size of its files (bytes), and whether the limit ended it.
    """
    peak_rss = 0
    peak_disk = 0
    late = False
    next_disk = 0.0
    while process.poll() is None:
        now = time.perf_counter()
        tree = process_tree(process)
        peak_rss = max(peak_rss, sum(memory(member) for member in tree))
        if now >= next_disk:
            peak_disk = max(peak_disk, size_of(base))
            next_disk = now + DISK_SECONDS
        if now - started > time_limit:
            late = True
            for member in tree:
                with suppress(psutil.Error):
                    member.kill()
        time.sleep(POLL_SECONDS)
    return peak_rss, peak_disk, late


def process_tree(process: psutil.Process) -> list[psutil.Process]:
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


def checked_run(script: Path, root: Path, time_limit: float, quick: bool = False) -> Run:
    """Run an experiment and insist on its success and its results. Raises Refusal."""
    done = run(script, root, time_limit, quick)
    if done.exit_code != 0:
        raise Refusal(f"{script.name}: mã thoát {done.exit_code}\n{done.output}")
    done.data = results_of(done.data, script.name)
    return done


def results_of(kept: dict[str, Any], name: str) -> dict[str, Any]:
    """What an experiment left, from what child.py kept. Raises Refusal when it is not as agreed."""
    if "problem" in kept:
        raise Refusal(f"{name}: {kept['problem']}")
    if "results" not in kept:
        raise Refusal(
            f"{name}: script không để lại biến `results` "
            "(khi mọi kiểm tra đạt, script phải chạy đến hết, không gọi sys.exit)"
        )
    results = kept["results"]
    problem = problem_of(results)
    if problem:
        raise Refusal(f"{name}: biến `results` {problem}")
    return results


def problem_of(results: Any) -> str:
    """What is wrong with an experiment's results, a few words; empty when nothing is."""
    if not isinstance(results, dict) or not results.get("exact"):
        return "phải là một dict có «exact»"
    foreign = results.keys() - {*PARTS, TOLERANCE, DATA}
    if foreign:
        return (
            f"có khoá lạ «{', '.join(sorted(foreign))}»: chỉ nhận «exact», «approx», «timing», "
            f"«{TOLERANCE}», «{DATA}»"
        )
    for part in PARTS:
        if not isinstance(results.get(part, {}), dict):
            return f"có «{part}» không phải là một dict"
    for key, leaf in flatten(results.get("approx", {})).items():
        number = plain(leaf)
        if isinstance(number, bool) or not isinstance(number, int | float):
            return f"có «approx.{key}» không phải là một số"
    tolerance = results.get(TOLERANCE, {})
    if not isinstance(tolerance, dict) or tolerance.keys() - {"rel", "abs"}:
        return f"có «{TOLERANCE}» không phải là {{'rel': …}} hay {{'abs': …}}"
    return ""
