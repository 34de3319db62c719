"""What pages became in earlier builds of one `mkdocs serve`, so that a rebuild renders only what changed.

A page is taken from memory when everything that it was made of is equal: its source, the records and lists that it
shows, and the basis that all pages share (settings, templates, titles, glossary). A page that gave a warning is never
kept: the warning has to come again.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Page:
    """A page as it was rendered: `made_of` is the digest of its sources; `facts` is what the caller needs again."""

    made_of: str
    facts: dict[str, Any]


class Memory(logging.Handler):
    """Pages by name; idle until `on` is set, so that a single build pays nothing.

    As a log handler it counts warnings: whoever renders a page sees by it whether the page gave one.
    """

    def __init__(self) -> None:
        """Start empty and idle."""
        super().__init__(logging.WARNING)
        self.on = False
        self.pages: dict[str, Page] = {}
        self.rendered: list[str] = []
        self.warnings = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count a warning."""
        self.warnings += 1

    def recall(self, name: str, made_of: str) -> dict[str, Any] | None:
        """The facts of a page if it was made of the same; else None, and the page counts as rendered."""
        page = self.pages.get(name)
        if self.on and page and page.made_of == made_of:
            return page.facts
        self.pages.pop(name, None)
        self.rendered.append(name)
        return None

    def keep(self, name: str, made_of: str, facts: dict[str, Any]) -> None:
        """Remember a page."""
        if self.on:
            self.pages[name] = Page(made_of, facts)


memory = Memory()  # outlives the hooks, which MkDocs may load anew for each build
logging.getLogger("mkdocs").addHandler(memory)


def digest(*parts: object) -> str:
    """SHA-256 of what something is made of."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def states(paths: list[Path]) -> list[tuple[str, int, int]]:
    """Name, time and size of files: changes when one of them does."""
    return [
        (str(path), path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(paths)
        if path.is_file()
    ]
