"""A course of two lessons in a folder of its own, for tests of the machine, built in this process.

Its pages, scripts and records are in tests/tiny/; its settings, templates and hooks are the real
ones, so that what is tested is what builds the course. A record there holds what its script would
give; the rest, which follows from script and pins, and the seal are made with the copy.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from course import ROOT
from course.records.record import paths_of, pins_of, requirements_pins, write
from course.text import digest, read

SOURCE = Path(__file__).parent / "tiny"
REAL = ("mkdocs.yml", "overrides", "docs/assets", "scripts/mkdocs_hooks.py")
# Where a record would say that it was made.
RUN = {
    "cpu": "Máy nhỏ",
    "threads": 1,
    "date": "2026-01-31",
    "python": "3.11.7",
    "wall_seconds": 0.1,
    "peak_rss_mib": 10,
    "peak_disk_mib": 0.1,
}


class Warnings(logging.Handler):
    """Collects what a build warns of: MkDocs counts the same ones when it is strict."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass
class Project:
    """A course in a folder that a test may damage."""

    root: Path

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
        return file

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def edit(self, path: str, old: str, new: str) -> int:
        """Replace the first `old` in a file by `new`; the line (1-based) where `old` began."""
        text = self.read(path)
        assert old in text, f"{path} no longer holds {old!r}: mend the test"
        self.write(path, text.replace(old, new, 1))
        return text.count("\n", 0, text.index(old)) + 1

    def page(self, address: str) -> str:
        """HTML of a page of the built site."""
        return self.read(f"site/{address}index.html")

    def build(self, *, strict: bool = True, **environment: str) -> list[str]:
        """Build the site; what a strict build refuses, one line each."""
        warnings = Warnings()
        logger = logging.getLogger("mkdocs")
        logger.addHandler(warnings)
        try:
            with mock.patch.dict(os.environ, environment):
                config = load_config(
                    str(self.root / "mkdocs.yml"),
                    strict=strict,
                    site_dir=str(self.root / "site"),
                )
                build(config)
        except Abort as stop:
            assert warnings.lines, stop
        finally:
            logger.removeHandler(warnings)
        return warnings.lines


def make_tiny(root: Path) -> Project:
    """Put the course into a folder that does not exist yet."""
    shutil.copytree(SOURCE, root)
    for name in REAL:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name)
        else:
            shutil.copy(ROOT / name, root / name)
    for record in sorted(root.glob("examples/*/*/results/*.json")):
        complete(record.parent.parent / f"{record.stem}.py", root)
    return Project(root)


def complete(script: Path, root: Path) -> None:
    """Give a record its provenance and its seal."""
    record, transcript, figure = paths_of(script)
    source = read(script)
    run = {
        "script_sha256": digest(source),
        "pins": pins_of(source, requirements_pins(root)),
        **RUN,
    }
    data = {
        "schema": 1,
        "command": f"python {script.name}",
        "exit_code": 0,
        **json.loads(read(record)),
        "provenance": run,
    }
    write(script, data, read(transcript), read(figure))
