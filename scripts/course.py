"""The course as data: modules and lessons in learning order, what is written, and whether the navigation agrees."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
FACTS = ("number", "title", "description", "results")


@dataclass(frozen=True)
class Lesson:
    """A lesson. `page` is its path below docs/, empty while it is not written."""

    number: str
    title: str
    description: str = ""
    page: str = ""


@dataclass(frozen=True)
class Module:
    """A module: folder name, number, title, lessons in learning order."""

    folder: str
    number: str
    title: str
    lessons: tuple[Lesson, ...]


def front_matter(page: Path) -> tuple[dict[str, Any], int]:
    """Front matter of a page and the number of its first line after it (1-based)."""
    lines = page.read_text(encoding="utf-8-sig").split("\n")
    if lines[0].rstrip() != "---":
        return {}, 1
    try:
        end = next(number for number, line in enumerate(lines[1:], 1) if line.rstrip() in ("---", "..."))
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
    for entry in yaml.safe_load((root / "scripts/data/course.yml").read_text(encoding="utf-8"))["modules"]:
        lessons = []
        for item in entry["lessons"]:
            if not isinstance(item, str):
                lessons.append(Lesson(item["number"], item["title"]))
                continue
            page = page_of(entry["folder"], item, docs)
            facts = front_matter(docs / page)[0] if page else {}
            if missing := [name for name in FACTS if name not in facts]:
                where = f"docs/{page or entry['folder'] + '/' + item}"
                problems.append(f"{where}: bài trong course.yml thiếu {', '.join(missing)} ở đầu trang")
            shown = [str(facts.get(name, "")) for name in ("number", "title", "description")]
            lessons.append(Lesson(*shown, page))
        modules.append(Module(entry["folder"], entry["number"], entry["title"], tuple(lessons)))
    numbers = [lesson.number for module in modules for lesson in module.lessons]
    for module in modules:
        for lesson in module.lessons:
            place = f"docs/{lesson.page}" if lesson.page else "course.yml"
            if not lesson.number.startswith(f"{module.number}.") or lesson.number.endswith(".00"):
                problems.append(f"{place}: số bài «{lesson.number}» không thuộc mô-đun {module.number}")
            elif numbers.count(lesson.number) > 1:
                problems.append(f"{place}: số bài {lesson.number} bị dùng hai lần")
    return modules, problems


def navigation_problems(modules: list[Module], pages: list[str]) -> list[str]:
    """Compare the navigation (paths below docs/ in its order) with the course; one Vietnamese line a difference."""
    written = [lesson.page for module in modules for lesson in module.lessons if lesson.page]
    shown = [page for page in pages if page in written]
    problems = [f"{page}: có trong course.yml nhưng không có trong nav" for page in written if page not in pages]
    if sorted(shown, key=written.index) != shown:
        problems.append("mkdocs.yml: thứ tự bài trong nav khác course.yml")
    folders = {module.folder for module in modules}
    for page in pages:
        parts = page.split("/")
        lesson = len(parts) == 2 or parts[-1] == "index.md"
        if parts[0] in folders and len(parts) > 1 and lesson and page.endswith(".md") and page not in written:
            problems.append(f"{page}: có trong nav nhưng không có trong course.yml")
    return problems


def written_list(modules: list[Module]) -> str:
    """Markdown list of the written lessons."""
    rows = [
        f"- [{lesson.title}]({lesson.page}) <small>{lesson.number} · {module.title}</small><br>{lesson.description}"
        for module in modules
        for lesson in module.lessons
        if lesson.page
    ]
    return '<div class="course-list" markdown>\n\n' + "\n".join(rows) + "\n\n</div>"


def unwritten_list(modules: list[Module]) -> str:
    """Markdown: the lessons not yet written, folded, by module."""
    blocks = []
    for module in modules:
        waiting = [lesson for lesson in module.lessons if not lesson.page]
        titles = [f"<li>{lesson.number} · {html.escape(lesson.title)}</li>" for lesson in waiting]
        summary = f"{module.number} · {html.escape(module.title)}: {len(titles)} bài chưa viết"
        blocks.append(f'<details class="course-list"><summary>{summary}</summary><ul>{"".join(titles)}</ul></details>')
    return "\n\n".join(blocks)


def counts(modules: list[Module]) -> str:
    """How many lessons are written, out of how many."""
    lessons = [lesson for module in modules for lesson in module.lessons]
    return f'<span class="course-list">{sum(bool(lesson.page) for lesson in lessons)}/{len(lessons)}</span>'
