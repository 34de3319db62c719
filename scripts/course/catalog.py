"""The course as data: modules and lessons in learning order, and the navigation they make.

`scripts/data/course.yml` holds the order. The facts of what is written (number, title, description,
old addresses, further pages) stand in the front matter of its page, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

LESSON_FACTS = ("number", "title", "description", "experiments")
MODULE_FACTS = ("number", "title", "description")
PORTAL = "index.md"
PORTAL_NAME = "Trang chủ"


@dataclass(frozen=True)
class Lesson:
    """A lesson. Paths are below docs/.

    `page` is empty while the lesson is not written; `pages` are those that go with it, in reading
    order; `old` are its addresses in the old course.
    """

    number: str
    title: str
    description: str = ""
    page: str = ""
    old: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Anchor of its line in the module's list."""
        return f"bai-{self.number.replace('.', '-')}"

    @property
    def folder(self) -> str:
        """`<module>/<lesson>`: where its page and its scripts stand."""
        return lesson_folder(self.page)


@dataclass(frozen=True)
class Module:
    """A module, its lessons in learning order; `page` and `old` as for a lesson."""

    folder: str
    number: str
    title: str
    lessons: tuple[Lesson, ...]
    description: str = ""
    page: str = ""
    old: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Anchor of its line in the portal's list."""
        return f"mo-dun-{self.number}"

    @property
    def written(self) -> list[Lesson]:
        """The lessons that have a page."""
        return [lesson for lesson in self.lessons if lesson.page]


@dataclass
class Catalog:
    """The whole course. `problems`: what is wrong with it, one Vietnamese line each."""

    modules: list[Module]
    reference_title: str = ""
    reference_pages: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def lessons(self) -> list[Lesson]:
        """Every lesson, in learning order."""
        found = []
        for module in self.modules:
            found += module.lessons
        return found

    def lesson_pages(self) -> list[str]:
        """Every page of every written lesson, in reading order."""
        found = []
        for lesson in self.lessons:
            if lesson.page:
                found += [lesson.page, *lesson.pages]
        return found

    def navigation(self) -> list[Any]:
        """What MkDocs calls `nav`: titles come from the pages themselves."""
        entries: list[Any] = [{PORTAL_NAME: PORTAL}]
        for module in self.modules:
            rows: list[Any] = [module.page] if module.page else []
            for lesson in module.written:
                if lesson.pages:
                    rows.append({lesson.title: [lesson.page, *lesson.pages]})
                else:
                    rows.append(lesson.page)
            if rows:
                entries.append({module.title: rows})
        if self.reference_pages:
            entries.append({self.reference_title: self.reference_pages})
        return entries

    def old_addresses(self) -> dict[str, str]:
        """Old address -> where it leads: a page, or the line of a lesson that has none yet."""
        found = {}
        for module in self.modules:
            for old in module.old:
                found[old] = module.page or f"{PORTAL}#{module.anchor}"
            for lesson in module.lessons:
                for old in lesson.old:
                    found[old] = lesson.page or f"{module.page or PORTAL}#{lesson.anchor}"
        return found


def lesson_folder(page: str) -> str:
    """`<module>/<lesson>` of a page, whether it is `<lesson>.md` or `<lesson>/<anything>.md`."""
    parts = page.removesuffix(".md").split("/")
    return "/".join(parts[:2])


def front_matter(page: Path) -> dict[str, Any]:
    """Front matter of a page, not to be changed; empty when there is none that can be read."""
    state = page.stat()
    return _front_matter(page, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _front_matter(page: Path, mtime_ns: int, size: int) -> dict[str, Any]:
    """Read once for each state of the file: a build asks for it dozens of times."""
    lines = page.read_text(encoding="utf-8-sig").split("\n")
    if lines[0].rstrip() != "---":
        return {}
    inside = []
    for line in lines[1:]:
        if line.rstrip() in ("---", "..."):
            break
        inside.append(line)
    else:  # nothing closes it
        return {}
    try:
        facts = yaml.safe_load("\n".join(inside))
    except yaml.YAMLError:
        return {}
    return facts if isinstance(facts, dict) else {}


def as_list(value: Any) -> list[Any]:
    """What an author wrote where a list belongs: nothing, one thing, or a list."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    return [value]


class Reader:
    """Reads the course of one root and collects what is wrong with it."""

    def __init__(self, root: Path) -> None:
        self.docs = root / "docs"
        self.data = yaml.safe_load((root / "scripts/data/course.yml").read_text(encoding="utf-8"))
        self.problems: list[str] = []

    def catalog(self) -> Catalog:
        """The whole course."""
        modules = []
        for entry in self.data["modules"]:
            modules.append(self.module(entry))
        reference = self.data.get("reference") or {}
        problems = [*self.problems, *number_problems(modules), *address_problems(modules)]
        return Catalog(modules, reference.get("title", ""), reference.get("pages", []), problems)

    def module(self, entry: dict[str, Any]) -> Module:
        """One module: its facts stand in its page, or beside its folder while it has none."""
        folder = entry["folder"]
        lessons = []
        for item in entry["lessons"]:
            lessons.append(self.lesson(folder, item))
        page = "" if "title" in entry else f"{folder}/index.md"
        facts = entry
        if page and not (self.docs / page).exists():
            self.problems.append(
                f"docs/{page}: mô-đun trong course.yml không có trang, cũng không có title"
            )
            page = ""
        if page:
            facts = self.facts_of(page, MODULE_FACTS)
        return Module(folder, lessons=tuple(lessons), page=page, **shared_facts(facts))

    def lesson(self, module: str, item: str | dict[str, Any]) -> Lesson:
        """One lesson: a name when it is written, its facts when it is not."""
        if not isinstance(item, str):
            return Lesson(**shared_facts(item))
        for page in (f"{module}/{item}/index.md", f"{module}/{item}.md"):
            if (self.docs / page).exists():
                break
        else:
            self.complain(f"{module}/{item}", list(LESSON_FACTS))
            return Lesson("", "")
        facts = self.facts_of(page, LESSON_FACTS)
        folder = page.removesuffix(".md").removesuffix("/index")
        further = []
        for name in as_list(facts.get("pages")):
            further.append(f"{folder}/{name}.md")
            if not (self.docs / further[-1]).exists():
                self.problems.append(f"docs/{page}: `pages` nêu «{name}», không có trang này")
        return Lesson(page=page, pages=tuple(further), **shared_facts(facts))

    def facts_of(self, page: str, wanted: tuple[str, ...]) -> dict[str, Any]:
        """Front matter of a page; what it lacks is a problem."""
        facts = front_matter(self.docs / page)
        missing = [name for name in wanted if name not in facts]
        if missing:
            self.complain(page, missing)
        return facts

    def complain(self, page: str, missing: list[str]) -> None:
        """Say what a page of the course lacks."""
        self.problems.append(
            f"docs/{page}: bài trong course.yml thiếu {', '.join(missing)} ở đầu trang"
        )


def shared_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """What modules and lessons have in common."""
    return {
        "number": str(facts.get("number", "")),
        "title": str(facts.get("title", "")),
        "description": str(facts.get("description", "")),
        "old": tuple(as_list(facts.get("old"))),
    }


def load(root: Path) -> Catalog:
    """The course of a root: reads course.yml and the front matter of the pages that it names."""
    return Reader(root).catalog()


def number_problems(modules: list[Module]) -> list[str]:
    """Lessons that stand in the wrong module, and numbers used twice."""
    problems = []
    seen: set[str] = set()
    for module in modules:
        for lesson in module.lessons:
            place = f"docs/{lesson.page}" if lesson.page else "course.yml"
            belongs = lesson.number.startswith(f"{module.number}.")
            if not belongs or lesson.number.endswith(".00"):
                problems.append(
                    f"{place}: số bài «{lesson.number}» không thuộc mô-đun {module.number}"
                )
            elif lesson.number in seen:
                problems.append(f"{place}: số bài {lesson.number} bị dùng hai lần")
            seen.add(lesson.number)
    return problems


def address_problems(modules: list[Module]) -> list[str]:
    """Old addresses that two places claim."""
    seen: set[str] = set()
    twice: set[str] = set()
    for module in modules:
        for holder in (module, *module.lessons):
            for address in holder.old:
                if address in seen:
                    twice.add(address)
                seen.add(address)
    return [f"course.yml: địa chỉ cũ «{address}» đứng hai chỗ" for address in sorted(twice)]
