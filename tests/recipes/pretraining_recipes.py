"""The recipes of the lesson on pre-training: imported, or run as a reader does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import ROOT, environment
from forks import SERVER

LESSON = ROOT / "examples/pretraining/what-is-pretraining"
sys.path.insert(0, str(LESSON))


def run_alone(home: Path, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a recipe's command line; the file lies alone in the folder `home`."""
    copy = home / f"{name}.py"
    copy.write_bytes((LESSON / f"{name}.py").read_bytes())
    return SERVER.run(copy, [str(argument) for argument in arguments], environment())


def one_line(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """What a refused command says: one line, no traceback."""
    assert done.returncode == code, done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]
