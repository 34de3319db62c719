"""What the course was verified with: versions of the libraries, days of the runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from course.text import day, version_order

NAMES = {"python": "Python", "torch": "torch", "transformers": "transformers"}


def facts_of(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Versions of Python, torch, transformers; first and last day. `records`: as in their JSON."""
    versions: dict[str, set[str]] = {name: set() for name in NAMES}
    days = []
    for record in records:
        provenance = record["provenance"]
        days.append(provenance["date"])
        made_with = {**provenance["pins"], "python": provenance["python"]}
        for name in NAMES:
            if name in made_with:
                versions[name].add(made_with[name])
    facts: dict[str, Any] = {}
    for name in NAMES:
        facts[name] = sorted(versions[name], key=version_order)
    facts["first"] = min(days, default="")
    facts["last"] = max(days, default="")
    return facts


def line(facts: dict[str, Any]) -> str:
    """One line for readers; empty when nothing was recorded."""
    parts = []
    for name, shown in NAMES.items():
        if facts.get(name):
            parts.append(f"{shown} {', '.join(facts[name])}")
    if facts.get("last"):
        parts.append(days_line(facts["first"], facts["last"]))
    return ", ".join(parts)


def days_line(first: str, last: str) -> str:
    if first == last:
        return f"chạy ngày {day(last)}"
    return f"chạy từ {day(first)} đến {day(last)}"
