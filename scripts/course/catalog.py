"""The course as data: modules and lessons in learning order, what is written, and whether the navigation agrees."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from course import ROOT

FACTS = ("number", "title", "description", "results")  # of a written lesson
MODULE_FACTS = ("number", "title", "description")
PORTAL = "index.md"


@dataclass(frozen=True)
class Lesson:
    """A lesson. `page` is its path below docs/, empty while not written; `old`: its addresses in the old course."""

    number: str
    title: str
    description: str = ""
    page: str = ""
    old: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Anchor of its line in the module's list."""
        return f"bai-{self.number.replace('.', '-')}"


@dataclass(frozen=True)
class Module:
    """A module: folder name, number, title, lessons in learning order; `page` and `old` as for a lesson."""

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


def front_matter(page: Path) -> tuple[dict[str, Any], int]:
    """Front matter of a page, not to be changed, and the number of its first line after it (1-based)."""
    state = page.stat()
    return _front_matter(page, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _front_matter(page: Path, mtime_ns: int, size: int) -> tuple[dict[str, Any], int]:
    """Read it once for each state of the file: a build asks for it dozens of times."""
    lines = page.read_text(encoding="utf-8-sig").split("\n")
    if lines[0].rstrip() != "---":
        return {}, 1
    try:
        end = next(
            number for number, line in enumerate(lines[1:], 1) if line.rstrip() in ("---", "...")
        )
        facts = yaml.safe_load("\n".join(lines[1:end]))
    except (StopIteration, yaml.YAMLError):
        return {}, 1
    return facts if isinstance(facts, dict) else {}, end + 2


def page_of(module: str, lesson: str, docs: Path) -> str:
    """Path below docs/ of a written lesson: `<module>/<lesson>.md` or `<module>/<lesson>/index.md`; empty: neither."""
    for candidate in (f"{module}/{lesson}/index.md", f"{module}/{lesson}.md"):
        if (docs / candidate).exists():
            return candidate
    return ""


def load(root: Path = ROOT) -> tuple[list[Module], list[str]]:
    """The course, and what is wrong with it: one Vietnamese line each."""
    docs, problems, modules = root / "docs", [], []

    def facts_of(page: str, missing_page: str, wanted: tuple[str, ...]) -> dict[str, Any]:
        facts = front_matter(docs / page)[0] if page else {}
        if missing := [name for name in wanted if name not in facts]:
            problems.append(
                f"docs/{page or missing_page}: bài trong course.yml thiếu {', '.join(missing)} ở đầu trang"
            )
        return facts

    def lesson_of(facts: dict[str, Any], page: str = "") -> Lesson:
        shown = [str(facts.get(name, "")) for name in ("number", "title", "description")]
        return Lesson(*shown, page, tuple(facts.get("old") or ()))

    for entry in yaml.safe_load((root / "scripts/data/course.yml").read_text(encoding="utf-8"))[
        "modules"
    ]:
        folder, lessons = entry["folder"], []
        for item in entry["lessons"]:
            if isinstance(item, str):
                page = page_of(folder, item, docs)
                lessons.append(lesson_of(facts_of(page, f"{folder}/{item}", FACTS), page))
            else:
                lessons.append(lesson_of(item))
        page = "" if "title" in entry else f"{folder}/index.md"
        if page and not (docs / page).exists():
            problems.append(
                f"docs/{page}: mô-đun trong course.yml không có trang, cũng không có title"
            )
            page = ""
        own = lesson_of(facts_of(page, page, MODULE_FACTS) if page else entry, page)
        modules.append(
            Module(
                folder, own.number, own.title, tuple(lessons), own.description, own.page, own.old
            )
        )
    return modules, problems + number_problems(modules)


def number_problems(modules: list[Module]) -> list[str]:
    """Lessons that stand in the wrong module, numbers and old addresses used twice."""
    problems = []
    lessons = [lesson for module in modules for lesson in module.lessons]
    numbers = [lesson.number for lesson in lessons]
    for module in modules:
        for lesson in module.lessons:
            place = f"docs/{lesson.page}" if lesson.page else "course.yml"
            if not lesson.number.startswith(f"{module.number}.") or lesson.number.endswith(".00"):
                problems.append(
                    f"{place}: số bài «{lesson.number}» không thuộc mô-đun {module.number}"
                )
            elif numbers.count(lesson.number) > 1:
                problems.append(f"{place}: số bài {lesson.number} bị dùng hai lần")
    old = [address for holder in (*modules, *lessons) for address in holder.old]
    twice = sorted({address for address in old if old.count(address) > 1})
    return problems + [f"course.yml: địa chỉ cũ «{address}» đứng hai chỗ" for address in twice]


def navigation_problems(modules: list[Module], pages: list[str]) -> list[str]:
    """Compare the navigation (paths below docs/ in its order) with the course; one Vietnamese line a difference."""
    written = [
        place.page for module in modules for place in (module, *module.lessons) if place.page
    ]
    shown = [page for page in pages if page in written]
    problems = [
        f"{page}: có trong course.yml nhưng không có trong nav"
        for page in written
        if page not in pages
    ]
    if sorted(shown, key=written.index) != shown:
        problems.append("mkdocs.yml: thứ tự bài trong nav khác course.yml")
    folders = {module.folder for module in modules}
    for page in pages:
        parts = page.split("/")
        lesson = len(parts) == 2 or parts[-1] == "index.md"
        if (
            parts[0] in folders
            and len(parts) > 1
            and lesson
            and page.endswith(".md")
            and page not in written
        ):
            problems.append(f"{page}: có trong nav nhưng không có trong course.yml")
    return problems


def lesson_folder(page: str) -> str:
    """`<module>/<lesson>` of a page below docs/, whether it is `<lesson>.md` or `<lesson>/<anything>.md`."""
    parts = page.removesuffix(".md").split("/")
    return "/".join(parts[:2])


def old_addresses(modules: list[Module]) -> dict[str, str]:
    """Old address -> where it leads: a page below docs/, with the anchor of its line where it has no page yet."""
    found = {}
    for module in modules:
        found |= dict.fromkeys(module.old, module.page or f"{PORTAL}#{module.anchor}")
        for lesson in module.lessons:
            found |= dict.fromkeys(
                lesson.old, lesson.page or f"{module.page or PORTAL}#{lesson.anchor}"
            )
    return found
