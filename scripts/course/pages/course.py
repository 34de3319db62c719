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
from course.pages.sections import Section, sections_of
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
    `sections`: page of a lesson -> its prose by section.
    `terms_on`: page of a lesson -> Vietnamese names of the terms in its prose.
    `related`: page of a lesson -> pages near it, each with the terms that both use.
    """

    root: Path
    catalog: Catalog
    records: Results
    terms: list[glossary.Term]
    names: list[str]
    words: glossary.Words
    sections: dict[str, list[Section]]
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
        """Vietnamese name of a term -> where it is met: what that is called, and its address.

        That is a section of the lesson that needs it first; while this is not written, or does
        without the word, a section of another page. A term that no page needs yet has none.
        """
        lessons = {}
        for module in self.catalog.modules:
            for lesson in module.lessons:
                lessons[lesson.number] = (module.page, lesson)
        found = {}
        for term in self.terms:
            module_page, lesson = lessons.get(term.first, (PORTAL, Lesson(term.first, "")))
            own = [lesson.page, *lesson.pages] if lesson.page else []
            place = self.section_with(term, own) or self.section_with(term, list(self.sections))
            if place is None and not lesson.page:
                place = (f"bài {term.first}, chưa viết", f"{module_page}#{lesson.anchor}")
            if place is not None:
                found[term.vi] = place
        return found

    def section_with(self, term: glossary.Term, pages: list[str]) -> tuple[str, str] | None:
        """Where these pages use a term: below a heading that names it, else where it first stands.

        What the page is called, and the address of the section. None when no page uses it.
        """
        first = None
        for page in pages:
            for section in self.sections.get(page, []):
                place = (self.title(page), f"{page}#{section.anchor}".removesuffix("#"))
                if term.vi in self.words.on(section.title):
                    return place
                if first is None and term.vi in self.words.on(section.prose):
                    first = place
        return first

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
    sections = {}
    terms_on = {}
    for page in pages:
        path = root / "docs" / page
        if path.exists():
            sections[page] = sections_of(path.read_text(encoding="utf-8-sig"))
            texts = [f"{section.title}\n{section.prose}" for section in sections[page]]
            terms_on[page] = words.on("\n".join(texts))
    following = dict(zip(pages, [*pages[1:], ""], strict=True))
    return Course(
        root=root,
        catalog=catalog,
        records=load_all(root),
        terms=terms,
        names=names,
        words=words,
        sections=sections,
        terms_on=terms_on,
        related=related(terms_on, following),
        renderer=Renderer(root / ".cache/formulas.json"),
    )
