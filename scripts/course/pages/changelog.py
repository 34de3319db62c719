"""What is new in each version: `scripts/data/changelog.yml`, checked, and its page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from course.text import VERSION, Refusal, day

FILE = "scripts/data/changelog.yml"


@dataclass(frozen=True)
class Entry:
    """What one version brings. `date` is None while it is being written."""

    version: str
    date: date | None
    summary: str
    changes: tuple[str, ...]


def load(root: Path) -> list[Entry]:
    """The entries, the newest first."""
    entries = []
    try:
        rows = yaml.safe_load((root / FILE).read_text(encoding="utf-8")) or []
        for row in rows:
            entries.append(entry_of(row))
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise Refusal(f"{FILE} không đọc được: {reason}") from None
    for entry in entries:
        check(entry)
    return entries


def entry_of(row: dict[str, Any]) -> Entry:
    """An entry as the file holds it."""
    return Entry(row["version"], row.get("date"), row.get("summary", ""), tuple(row["changes"]))


def check(entry: Entry) -> None:
    """Refuse what YAML reads as something else: 1.10 as a number, a day as a text."""
    if not isinstance(entry.version, str) or not VERSION.fullmatch(entry.version):
        raise Refusal(
            f'{FILE}: version phải dạng "X.Y" trong ngoặc kép, không phải {entry.version!r}'
        )
    if entry.date is not None and type(entry.date) is not date:
        raise Refusal(f"{FILE}: ngày của {entry.version} phải dạng 2026-01-31")


def problem_of(version: str, root: Path) -> str:
    """Why this version cannot be released by its changelog; empty when it can."""
    try:
        entries = load(root)
    except Refusal as refusal:
        return str(refusal)
    for entry in entries:
        if entry.version == version:
            if entry.date and entry.changes:
                return ""
            return f"{FILE}: mục {version} còn thiếu date hoặc changes"
    return (
        f'{FILE} chưa có mục của {version}: thêm `- version: "{version}"`, `date:`, '
        "`changes:` vào đầu tệp"
    )


def changelog_page(entries: list[Entry]) -> str:
    """Markdown of all entries."""
    parts = ['<div class="changelog" markdown>']
    for entry in entries:
        state = "Đang viết"
        if entry.date:
            state = f"Phát hành {day(entry.date.isoformat())}"
        anchor = f"v{entry.version.replace('.', '-')}"
        parts.append(f"## Bản {entry.version} {{ #{anchor} }}")
        parts.append(f"*{state}.* {entry.summary}")
        parts.append("\n".join(f"- {change}" for change in entry.changes))
    return "\n\n".join([*parts, "</div>"])
