"""Runs scripts in forks of one process that has torch and transformers imported: the same script, seconds sooner.

Where there is no fork (Windows), each run is a process of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

MODULES = (
    "torch",
    "safetensors.torch",
    "tokenizers",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.trainer",
)


def serve() -> None:
    """Read one run a line (JSON: script, options, folder, environment, output files), fork for it, answer its code."""
    for module in MODULES:
        __import__(module)
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child:
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            continue
        os.chdir(job["folder"])
        os.environ.clear()
        os.environ.update(job["environment"])
        for stream, path in ((1, job["out"]), (2, job["err"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), stream)
        sys.argv = [job["script"], *job["options"]]
        sys.path[0] = job["folder"]
        code = 1
        try:
            runpy.run_path(job["script"], run_name="__main__")
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

    def run(
        self, script: Path, options: list[str], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a script in its own folder."""
        command = [sys.executable, script.name, *options]
        if not hasattr(os, "fork"):
            return subprocess.run(
                command,
                cwd=script.parent,
                env=environment,
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "utf8", __file__],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
            )
            atexit.register(self.process.kill)
            assert self.process.stdout.readline() == "ready\n"
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            job = {
                "script": script.name,
                "options": options,
                "folder": str(script.parent),
                "environment": environment,
            }
            self.process.stdin.write(json.dumps({**job, "out": str(out), "err": str(err)}) + "\n")
            self.process.stdin.flush()
            code = int(self.process.stdout.readline())
            printed = [path.read_text(encoding="utf-8", errors="replace") for path in (out, err)]
        return subprocess.CompletedProcess(command, code, *printed)


SERVER = Server()

if __name__ == "__main__":
    serve()
