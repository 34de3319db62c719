"""What tests of recipes share: recipes that can be imported, small models of several kinds, and a
command line run in a fork that has torch imported.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, environment
from forks import SERVER

RECIPES = ROOT / "examples/fine-tuning/saving-and-loading"
sys.path.insert(0, str(RECIPES))


@pytest.fixture
def command(tmp_path, monkeypatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a recipe's command line as a reader does: the file copied alone into a new folder."""

    def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        home = tmp_path / "scripts"
        home.mkdir(exist_ok=True)
        copy = home / f"{name}.py"
        copy.write_bytes((RECIPES / f"{name}.py").read_bytes())
        return SERVER.run(copy, [str(argument) for argument in arguments], environment())

    return run
