"""What `mkdocs serve` need not render again: pages made of the same as in an earlier build.

Two calls: `before` a page is rendered, `after` it was. A page is the same when everything that it
was made of is equal: its source, the records and lists that it shows, and the basis that all pages
share (settings, templates, titles, glossary). A page that gave a warning is never kept: the warning
has to come again.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from course.pages.course import Course
from course.pages.lesson import LISTS, course_list
from course.records.record import (
    CHECKERS,
    MODELS,
    REQUIREMENTS,
    Record,
    data_of,
    paths_of,
    siblings_of,
)
from course.text import Refusal

LIST = re.compile(r"\[\[course:(\w+)\]\]")


@dataclass
class Rendered:
    """A page as it was rendered.

    `made_of`: digest of its sources. `links`: page -> anchors asked for there.
    """

    made_of: str
    content: str
    table_of_contents: Any
    anchors: Any
    links: dict[str, Any]
    output: str = ""


class Memory(logging.Handler):
    """Pages by path, from one build to the next; idle until `on` is set, so that a single build
    pays nothing.

    As a log handler it counts warnings: by it, it sees whether a page gave one.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.on = False
        self.pages: dict[str, Rendered] = {}
        self.warnings = 0
        self.start("")

    def emit(self, record: logging.LogRecord) -> None:
        self.warnings += 1

    def start(self, basis: str) -> None:
        """Begin a build. `basis`: digest of what all its pages share."""
        self.basis = basis
        self.made_of: dict[str, str] = {}
        self.warned: dict[str, int] = {}  # warnings that came of the page
        self.rendered: list[str] = []
        self.recalled: set[str] = set()

    def before(self, page: Page, course: Course) -> bool:
        """Is the page as an earlier build left it? Then it will be that again, its links checked
        anew.
        """
        place = page.file.src_uri
        if not self.on:
            return False
        made_of = digest(self.basis, *sources(page, course))
        known = self.pages.pop(place, None)
        if known and known.made_of == made_of:
            self.pages[place] = known
            self.recalled.add(place)
            restore(page, known)
            return True
        self.made_of[place] = made_of
        self.rendered.append(place)
        self.warned[place] = self.warnings
        return False

    def has_content(self, page: Page) -> None:
        """The page has its HTML: warnings that come from now on may be another page's."""
        place = page.file.src_uri
        if place in self.warned:
            self.warned[place] = self.warnings - self.warned[place]

    def after(self, page: Page, output: str) -> None:
        """Remember a page that gave no warning."""
        place = page.file.src_uri
        if not self.on or self.warned[place]:
            return
        links = {}
        for file, anchors in (page.links_to_anchors or {}).items():
            links[file.src_uri] = anchors
        self.pages[place] = Rendered(
            self.made_of[place], page.content, page.toc, page.present_anchor_ids, links, output
        )


memory = Memory()  # outlives the hooks, which MkDocs may load anew for each build
logging.getLogger("mkdocs").addHandler(memory)


def restore(page: Page, known: Rendered) -> None:
    """Let a page be what an earlier build made of it; MkDocs checks its links against the other
    pages.
    """

    def render(config: MkDocsConfig, files: Files) -> None:
        page.content = known.content
        page.toc = known.table_of_contents
        page.present_anchor_ids = known.anchors
        page.links_to_anchors = {}
        for place, anchors in known.links.items():
            file = files.get_file_from_path(place)
            if file:
                page.links_to_anchors[file] = anchors

    page.render = render
    page.meta["template"] = "remembered.html"
    page.remembered = known.output


def digest(*parts: object) -> str:
    """SHA-256 of what something is made of."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def file_stamps(paths: list[Path]) -> list[tuple[str, int, int]]:
    """Name, time and size of files: changes when one of them does."""
    stamps = []
    for path in sorted(paths):
        if path.is_file():
            state = path.stat()
            stamps.append((str(path), state.st_mtime_ns, state.st_size))
    return stamps


def basis_of(config: MkDocsConfig, files: Files, course: Course) -> str:
    """Digest of what all pages share."""
    shared = [course.root / "mkdocs.yml"]
    shared += (course.root / "overrides").rglob("*")
    shared += (course.root / "scripts/data").rglob("*")
    shared += [course.root / name for name in (*REQUIREMENTS, MODELS, CHECKERS)]
    pages = sorted(file.src_uri for file in files)
    facts = []
    for page in pages:
        if page.endswith(".md"):
            facts.append(course.facts(page))
    return digest(
        file_stamps(shared),
        facts,
        pages,
        config.extra["stylesheet"],
        config.site_url,
        config.repo_url,
        config.copyright,
    )


def sources(page: Page, course: Course) -> list[object]:
    """What a page is made of besides what all pages share."""
    place = page.file.src_uri
    source = page.file.content_string
    if place.endswith(".ipynb"):  # made anew from its script and record by each build
        return [source]
    shown = []
    for name in LIST.findall(source):
        if name in LISTS:
            shown.append(list_or_refusal(name, place, course))
    beside = course.recipes(place)
    for record in course.results(place).values():
        if isinstance(record, Record):
            beside.append(record.script)
            beside += paths_of(record.script)
            beside += siblings_of(record.script)
            beside += data_of(record.script, course.root)
        else:
            shown.append(str(record))
    return [source, shown, file_stamps(beside), course.related.get(place)]


def list_or_refusal(name: str, page: str, course: Course) -> str:
    """A list that a page shows, or why it cannot."""
    try:
        return course_list(name, page, course)
    except Refusal as refusal:
        return str(refusal)
