"""The lists that pages show of the course: its modules, a module's lessons, what stands near a lesson."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from dataclasses import dataclass

from course import Lesson, Module

RELATED = 3


@dataclass(frozen=True)
class Cost:
    """What a written lesson takes: minutes to read its page, seconds to run its scripts, pages that go with it."""

    minutes: int
    seconds: float
    pages: int


CostOf = Callable[[Lesson], Cost]


def framed(rows: list[str]) -> str:
    """A Markdown list in which numbers may stand: they come from data."""
    return '<div class="course-list" markdown>\n\n' + "\n".join(rows) + "\n\n</div>"


def starting_points(modules: list[Module], cost: CostOf) -> str:
    """Markdown list of the written lessons."""
    rows = [
        f"- <small>{lesson.number}</small> [{lesson.title}]({lesson.page}) <small>{cost_line(cost(lesson))}</small>"
        f"<br>{lesson.description}"
        for module in modules
        for lesson in module.lessons
        if lesson.page
    ]
    return framed(rows)


def modules_list(modules: list[Module]) -> str:
    """Markdown list of the modules in learning order; a module without a page is told to be not yet written."""
    rows = []
    for module in modules:
        written = sum(bool(lesson.page) for lesson in module.lessons)
        state = f"{written}/{len(module.lessons)} bài đã viết" if module.lessons else "chưa viết"
        title = f"[{module.title}]({module.page})" if module.page else html.escape(module.title)
        rows.append(
            f"- <small>{module.number}</small> {title} <small>{state}</small><br>{html.escape(module.description)}"
            f"\n  {{: #{module.anchor} }}"
        )
    return framed(rows)


def lessons_list(module: Module, cost: CostOf) -> str:
    """Markdown list of a module's lessons in learning order; one that is not written is told so and not linked."""
    rows = []
    for lesson in module.lessons:
        title = f"[{lesson.title}]({lesson.page})" if lesson.page else html.escape(lesson.title)
        state = cost_line(cost(lesson)) if lesson.page else "chưa viết"
        rows.append(
            f"- <small>{lesson.number}</small> {title} <small>{state}</small><br>{html.escape(lesson.description)}"
            f"\n  {{: #{lesson.anchor} }}"
        )
    return framed(rows)


def hours_line(module: Module, cost: CostOf) -> str:
    """What the written lessons of a module take together, and how many are not written."""
    costs = [cost(lesson) for lesson in module.lessons if lesson.page]
    if not costs:
        return '<span class="course-list">Chưa có bài nào viết xong, nên chưa có số giờ.</span>'
    total = Cost(sum(c.minutes for c in costs), sum(c.seconds for c in costs), sum(c.pages for c in costs))
    waiting = len(module.lessons) - len(costs)
    more = f" Còn {waiting} bài chưa viết, nên chưa có số giờ." if waiting else ""
    return f'<span class="course-list">{len(costs)} bài đã viết: {cost_line(total)}.{more}</span>'


def cost_line(cost: Cost) -> str:
    """A cost in words."""
    parts = [f"đọc {cost.minutes} phút"]
    if cost.seconds:
        parts.append(f"chạy {max(1, round(cost.seconds / 60))} phút")
    if cost.pages:
        parts.append(f"thêm {cost.pages} trang làm theo")
    return ", ".join(parts)


def counts(modules: list[Module]) -> str:
    """How many lessons are written, out of how many."""
    lessons = [lesson for module in modules for lesson in module.lessons]
    return f'<span class="course-list">{sum(bool(lesson.page) for lesson in lessons)}/{len(lessons)}</span>'


def related(page: str, terms: dict[str, set[str]], following: str) -> list[tuple[str, list[str]]]:
    """Pages near this one: what comes next, then those that share the rarest terms; each with the shared terms.

    `terms`: page -> the glossary's terms on it. A term on every page says nothing; one on two pages says much.
    """
    pages_with = {term: sum(term in own for own in terms.values()) for own in terms.values() for term in own}
    weights = {term: math.log(len(terms) / pages) for term, pages in pages_with.items()}
    found = []
    for other in terms.keys() - {page}:
        telling = [term for term in terms.get(page, set()) & terms[other] if weights[term] > 0]
        if telling or other == following:
            shared = sorted(telling, key=lambda term: (-weights[term], term))[:3]
            found.append((other != following, -sum(weights[term] for term in telling), other, shared))
    return [(other, shared) for _, _, other, shared in sorted(found)[:RELATED]]
