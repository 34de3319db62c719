"""What one build knows of the course: made once, handed on to whoever needs it. Every record is
read once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.catalog import PORTAL, Catalog, Lesson, Module, as_list, front_matter, lesson_folder
from course.catalog import load as load_catalog
from course.pages import glossary
from course.pages.formulas import Renderer
from course.pages.lists import Cost, related
from course.pages.strip import reading_minutes
from course.records import verified
from course.records.record import Record, load, load_all
from course.text import Refusal

Results = dict[str, Record | Refusal]


@dataclass
class Course:
    """A course. Pages are named by their path below docs/.

    `records`: "<module>/<lesson>/<name>" -> record, or why it cannot be used.
    `names`: names that hold a digit and may stand in prose (GPT-2).
    `terms_on`: page of a lesson -> Vietnamese names of the terms on it.
    `related`: page of a lesson -> pages near it, each with the terms that both use.
    """

    root: Path
    catalog: Catalog
    records: Results
    terms: list[glossary.Term]
    names: list[str]
    words: glossary.Words
    terms_on: dict[str, set[str]]
    related: dict[str, list[tuple[str, list[str]]]]
    renderer: Renderer

    @property
    def docs(self) -> Path:
        return self.root / "docs"

    @property
    def examples(self) -> Path:
        return self.root / "examples"

    @property
    def cache(self) -> Path:
        return self.root / ".cache"

    def path(self, page: str) -> Path:
        """The file of a page."""
        return self.docs / page

    def facts(self, page: str) -> dict[str, Any]:
        """Front matter of a page."""
        return front_matter(self.path(page))

    def title(self, page: str) -> str:
        """Title of a page; its path while it has none."""
        return str(self.facts(page).get("title", page))

    def number(self, page: str) -> str:
        """Number of the lesson that a page belongs to; empty for other pages."""
        for lesson in self.catalog.lessons:
            if lesson.page and lesson.folder == lesson_folder(page):
                return lesson.number
        return ""

    def is_lesson(self, page: str) -> bool:
        """Does the page stand in the folder of a written lesson?"""
        return lesson_folder(page) in self.lesson_folders()

    def lesson_folders(self) -> set[str]:
        """`<module>/<lesson>` of every written lesson."""
        return {lesson.folder for lesson in self.catalog.lessons if lesson.page}

    def results(self, page: str) -> Results:
        """The records that a page may draw from, by name, or why one cannot be used.

        Its own experiments (`experiments:`), and those of other pages whose numbers it `quotes:`.
        """
        return {**self.named(page, "experiments"), **self.named(page, "quotes")}

    def named(self, page: str, fact: str) -> Results:
        """The records that one list of a page's front matter names."""
        found: Results = {}
        for entry in as_list(self.facts(page).get(fact)):
            folder, _, name = str(entry).rpartition("/")
            folder = folder or lesson_folder(page)
            found[name] = self.record(folder, name)
        return found

    def record(self, folder: str, name: str) -> Record | Refusal:
        """One record; `name` is that of the workflow, or `workflow.machine`."""
        known = self.records.get(f"{folder}/{name}")
        if known is not None:
            return known
        workflow, _, machine = name.partition(".")
        try:
            return load(self.examples / folder / f"{workflow}.py", self.root, machine)
        except Refusal as refusal:
            return refusal

    def experiments(self, page: str) -> list[Record]:
        """The records of a page's own experiments that could be read."""
        records = self.named(page, "experiments").values()
        return [record for record in records if isinstance(record, Record)]

    def recipes(self, page: str) -> list[Path]:
        """The files to take away that a page's front matter names; they have no record."""
        folder = self.examples / lesson_folder(page)
        return [folder / f"{name}.py" for name in as_list(self.facts(page).get("recipes"))]

    def cost(self, lesson: Lesson) -> Cost:
        """What a written lesson takes."""
        seconds = 0.0
        for record in self.experiments(lesson.page):
            seconds += record.data["provenance"]["wall_seconds"]
        text = self.path(lesson.page).read_text(encoding="utf-8")
        return Cost(reading_minutes(text), seconds, len(lesson.pages))

    def module_of(self, page: str) -> Module | None:
        """The module whose own page this is."""
        for module in self.catalog.modules:
            if module.page == page:
                return module
        return None

    def term_places(self) -> dict[str, tuple[str, str]]:
        """Vietnamese name of a term -> where it is met: what that is called, and its page.

        That is the lesson that needs it first; while this is not written, a page that uses it.
        """
        lessons = {}
        for module in self.catalog.modules:
            for lesson in module.lessons:
                lessons[lesson.number] = (module.page, lesson)
        found = {}
        for term in self.terms:
            module_page, lesson = lessons.get(term.first, (PORTAL, Lesson(term.first, "")))
            used = self.first_page_with(term)
            if lesson.page:
                found[term.vi] = (f"bài {term.first}", lesson.page)
            elif used:
                found[term.vi] = (self.title(used), used)
            else:
                found[term.vi] = (f"bài {term.first}", f"{module_page}#{lesson.anchor}")
        return found

    def first_page_with(self, term: glossary.Term) -> str:
        """The first page of a lesson that uses a term; empty when none does."""
        for page, terms in self.terms_on.items():
            if term.vi in terms:
                return page
        return ""

    def verified_line(self) -> str:
        """What the records were made with, in one line; empty when there is none."""
        return verified.line(verified.facts_of(usable(self.records.values())))


def usable(records: Iterable[Record | Refusal]) -> list[dict[str, Any]]:
    """The data of the records that could be read."""
    return [record.data for record in records if isinstance(record, Record)]


def load_course(root: Path) -> Course:
    """Read everything that pages are made of."""
    catalog = load_catalog(root)
    terms, names = glossary.load(root)
    words = glossary.Words(terms)
    pages = catalog.lesson_pages()
    terms_on = {}
    for page in pages:
        path = root / "docs" / page
        if path.exists():
            terms_on[page] = words.on(path.read_text(encoding="utf-8-sig"))
    following = dict(zip(pages, [*pages[1:], ""], strict=True))
    return Course(
        root=root,
        catalog=catalog,
        records=load_all(root),
        terms=terms,
        names=names,
        words=words,
        terms_on=terms_on,
        related=related(terms_on, following),
        renderer=Renderer(root / ".cache/formulas.json"),
    )
