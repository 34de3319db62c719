"""The lists that pages show of the course: its modules, a module's lessons, what stands near a lesson."""

from __future__ import annotations

import heapq
import html
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from course.catalog import Lesson, Module

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
    total = Cost(
        sum(c.minutes for c in costs), sum(c.seconds for c in costs), sum(c.pages for c in costs)
    )
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


def related(
    terms: dict[str, set[str]], following: dict[str, str]
) -> dict[str, list[tuple[str, list[str]]]]:
    """For each page the ones near it, best first, with up to three terms that both use; what follows it leads.

    `terms`: page -> the glossary's terms on it. A term on every page says nothing; one on two pages says much.
    """
    pages_with = Counter(term for own in terms.values() for term in own)
    weights = {term: math.log(len(terms) / count) for term, count in pages_with.items()}
    telling = {page: {term for term in own if weights[term] > 0} for page, own in terms.items()}

    def near(page: str) -> list[tuple[str, list[str]]]:
        shared = {other: telling[page] & telling[other] for other in terms.keys() - {page}}
        weighed = (
            (other != following[page], -math.fsum(weights[term] for term in both), other)
            for other, both in shared.items()
            if both or other == following[page]
        )
        best = [other for _, _, other in heapq.nsmallest(RELATED, weighed)]
        return [
            (other, sorted(shared[other], key=lambda term: (-weights[term], term))[:3])
            for other in best
        ]

    return {page: near(page) for page in terms}
