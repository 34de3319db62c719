"""The lists that pages show of the course: modules, lessons, what stands near a lesson."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from course.catalog import Lesson, Module

RELATED = 3  # pages at the foot of a lesson, and terms that tell why one stands there


@dataclass(frozen=True)
class Cost:
    """What a written lesson takes.

    `minutes` to read its page, `seconds` to run its scripts, `pages` that go with it.
    """

    minutes: int
    seconds: float
    pages: int


CostOf = Callable[[Lesson], Cost]


def framed(rows: list[str]) -> str:
    """A Markdown list in which numbers may stand: they come from data."""
    return '<div class="course-list" markdown>\n\n' + "\n".join(rows) + "\n\n</div>"


def one_line(text: str) -> str:
    """A line in which numbers may stand."""
    return f'<span class="course-list">{text}</span>'


def row(number: str, title: str, note: str, description: str, anchor: str = "") -> str:
    """One item of a list; `anchor`: for links to this line."""
    text = f"- <small>{number}</small> {title} <small>{note}</small><br>{description}"
    if anchor:
        text += f"\n  {{: #{anchor} }}"
    return text


def title_of(place: Module | Lesson) -> str:
    """Its title, linked where it has a page."""
    if place.page:
        return f"[{place.title}]({place.page})"
    return html.escape(place.title)


def starting_points(modules: list[Module], cost: CostOf) -> str:
    """Markdown list of the written lessons."""
    rows = []
    for module in modules:
        for lesson in module.written:
            note = cost_line(cost(lesson))
            rows.append(row(lesson.number, title_of(lesson), note, lesson.description))
    return framed(rows)


def modules_list(modules: list[Module]) -> str:
    """Markdown list of the modules in learning order, and how much of each is written."""
    rows = []
    for module in modules:
        note = "chưa viết"
        if module.lessons:
            note = f"{len(module.written)}/{len(module.lessons)} bài đã viết"
        description = html.escape(module.description)
        rows.append(row(module.number, title_of(module), note, description, module.anchor))
    return framed(rows)


def lessons_list(module: Module, cost: CostOf) -> str:
    """Markdown list of a module's lessons in learning order."""
    rows = []
    for lesson in module.lessons:
        note = cost_line(cost(lesson)) if lesson.page else "chưa viết"
        description = html.escape(lesson.description)
        rows.append(row(lesson.number, title_of(lesson), note, description, lesson.anchor))
    return framed(rows)


def hours_line(module: Module, cost: CostOf) -> str:
    """What the written lessons of a module take together, and how many are not written."""
    written = module.written
    if not written:
        return one_line("Chưa có bài nào viết xong, nên chưa có số giờ.")
    minutes = 0
    seconds = 0.0
    pages = 0
    for lesson in written:
        its_cost = cost(lesson)
        minutes += its_cost.minutes
        seconds += its_cost.seconds
        pages += its_cost.pages
    text = f"{len(written)} bài đã viết: {cost_line(Cost(minutes, seconds, pages))}."
    waiting = len(module.lessons) - len(written)
    if waiting:
        text += f" Còn {waiting} bài chưa viết, nên chưa có số giờ."
    return one_line(text)


def cost_line(cost: Cost) -> str:
    """A cost in words."""
    parts = [f"đọc {cost.minutes} phút"]
    if cost.seconds:
        parts.append(f"chạy {max(1, round(cost.seconds / 60))} phút")
    if cost.pages:
        parts.append(f"thêm {cost.pages} trang làm theo")
    return ", ".join(parts)


def counts(modules: list[Module]) -> str:
    """How many lessons are written, out of how many, and how many modules have only a name."""
    written = 0
    lessons = 0
    named = 0
    for module in modules:
        written += len(module.written)
        lessons += len(module.lessons)
        named += not module.lessons
    text = f"{written}/{lessons} bài của {len(modules) - named} mô-đun đang viết"
    if named:
        text += f"; {named} mô-đun khác mới có tên, chưa có danh sách bài"
    return one_line(text)


def clone(repository: str) -> str:
    """The commands that open the course on one's own machine.

    `repository`: its address; empty: whoever reads this has the clone already.
    """
    lines = ["python3 scripts/dev.py serve"]
    if repository:
        lines.insert(0, f"git clone {repository} khoa-hoc && cd khoa-hoc")
    return "\n".join(["```bash", *lines, "```"])


def report(repository: str) -> str:
    """A sentence that says where to report a mistake."""
    where = "ở kho mã mà bạn đã lấy khoá học về"
    if repository:
        where = f'<a href="{html.escape(repository)}/issues">ở trang issues của kho mã</a>'
    return f"<span>Báo {where}.</span>"


def related(
    terms: dict[str, set[str]], following: dict[str, str]
) -> dict[str, list[tuple[str, list[str]]]]:
    """For each page the ones near it, best first, each with up to three terms that both use.

    `terms`: page -> the glossary's terms on it. `following`: page -> the next one to read, which
    stands first.
    """
    weights = weights_of(terms)
    found = {}
    for page in terms:
        found[page] = pages_near(page, following[page], terms, weights)
    return found


def weights_of(terms: dict[str, set[str]]) -> dict[str, float]:
    """How much a shared term says: one on two pages much, one on every page nothing."""
    pages_with: Counter[str] = Counter()
    for own in terms.values():
        pages_with.update(own)
    return {term: math.log(len(terms) / count) for term, count in pages_with.items()}


def pages_near(
    page: str, following: str, terms: dict[str, set[str]], weights: dict[str, float]
) -> list[tuple[str, list[str]]]:
    """The pages near one page, each with the terms that say most of why."""
    ranked = []
    for other in terms:
        if other == page:
            continue
        shared = [term for term in terms[page] & terms[other] if weights[term] > 0]
        shared.sort(key=lambda term: (-weights[term], term))
        if shared or other == following:
            strength = math.fsum(weights[term] for term in shared)
            # Sorted from small to large: False, so what follows, stands first.
            ranked.append((other != following, -strength, other, shared[:RELATED]))
    ranked.sort()
    return [(other, shared) for _, _, other, shared in ranked[:RELATED]]
