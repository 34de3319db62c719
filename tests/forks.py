"""Runs scripts in forks of one process that has torch imported: the same scripts, seconds sooner.

Where there is no fork (Windows), each run is a process of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from course.records.child import keep_results, run_script
from course.records.compare import compare
from course.records.record import load
from course.records.renew import is_made_small, kept_parts
from course.records.run import (
    CHILD,
    DATA,
    environment,
    read_json,
    results_of,
    run_folder,
)
from course.text import Refusal

MODULES = (
    "torch",
    "safetensors.torch",
    "tokenizers",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.trainer",
    "matplotlib.pyplot",
)
SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


def serve() -> None:
    """Read one run a line (JSON, see `Server.run`), fork for it, answer its exit code."""
    for module in MODULES:
        __import__(module)
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            work(json.loads(line))
        status = os.waitpid(child, 0)[1]
        print(os.waitstatus_to_exitcode(status), flush=True)


def work(job: dict[str, Any]) -> NoReturn:
    """Run a script in this fork, and end it."""
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    tempfile.tempdir = None  # found out in the process that forks, for its own environment
    for stream, path in ((1, job["out"]), (2, job["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), stream)
    code = 1
    try:
        variables = run_script(job["script"], job["options"])
        if job["record"]:
            keep_results(variables, job["record"])
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Server:
    """The process that forks, started when it is first needed."""

    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()  # its home for as long as it lives
        home = Path(self.folder.name)
        own = {
            "PYTHONPATH": str(SCRIPTS),
            # Threads that wait sleep: tests run side by side, and spinning takes the others' cores.
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-X", "utf8", __file__],
            env={**environment(home, home), **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        atexit.register(self.process.kill)
        assert self.process.stdout.readline() == "ready\n"

    def run(
        self, script: Path, options: list[str], env: dict[str, str], record: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a script in its own folder; `record`: where the results of an experiment go."""
        command = [sys.executable, script.name, *options]
        if not hasattr(os, "fork"):
            if record:
                command = [sys.executable, str(CHILD), script.name, record, *options]
            return subprocess.run(
                command,
                cwd=script.parent,
                env=env,
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
        if self.process is None:
            self.start()
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "out")
            err = Path(folder, "err")
            job = {
                "script": script.name,
                "options": options,
                "folder": str(script.parent),
                "environment": env,
                "record": record,
                "out": str(out),
                "err": str(err),
            }
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            code = int(self.process.stdout.readline())
            printed = [path.read_text(encoding="utf-8", errors="replace") for path in (out, err)]
        return subprocess.CompletedProcess(command, code, *printed)


SERVER = Server()


def check_quickly(script: Path) -> list[str]:
    """Run a script once, small where it can be, in a fork: what differs from its record.

    A small run, and one with another text than the record's, is compared by its keys alone.
    """
    root = script.parents[3]
    try:
        old = load(script, root)
        if old.problems:
            return old.problems
        small = is_made_small(script)
        new = fork_run(script, root, small)
    except Refusal as refusal:
        return [str(refusal)]
    other_data = DATA in new and new[DATA] != old.data["provenance"].get(DATA)
    return compare(old.data, new, keys_only=small or other_data)


def fork_run(script: Path, root: Path, small: bool) -> dict[str, Any]:
    """What a script leaves for its record, run in a fork. Raises Refusal when it fails."""
    with run_folder(script, root) as places:
        quiet = environment(places.scratch, places.home, quick=small)
        done = SERVER.run(places.script, [], quiet, record=str(places.record))
        data = read_json(places.record)
    if done.returncode != 0:
        raise Refusal(f"{script.name}: mã thoát {done.returncode}\n{done.stdout}{done.stderr}")
    data = results_of(data, script.name)
    kept = {"exit_code": done.returncode, **kept_parts(data)}
    if DATA in data:
        kept[DATA] = data[DATA]
    return kept


if __name__ == "__main__":
    serve()
