"""What is new in each version: `scripts/data/changelog.yml`, read, checked, and as Markdown for the page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from course.text import VERSION, day

FILE = "scripts/data/changelog.yml"


from course.text import Refusal


class ChangelogError(Refusal):
    """The changelog cannot be used; the message is one Vietnamese line for the author."""


@dataclass(frozen=True)
class Entry:
    """What one version brings. `date` is None while it is being written."""

    version: str
    date: date | None
    summary: str
    changes: tuple[str, ...]


def load(root: Path) -> list[Entry]:
    """The entries, the newest first."""
    try:
        rows = yaml.safe_load((root / FILE).read_text(encoding="utf-8")) or []
        entries = [
            Entry(row["version"], row.get("date"), row.get("summary", ""), tuple(row["changes"]))
            for row in rows
        ]
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ChangelogError(f"{FILE} không đọc được: {' '.join(str(error).split())}") from None
    for entry in entries:
        if not isinstance(entry.version, str) or not VERSION.fullmatch(entry.version):
            raise ChangelogError(
                f'{FILE}: version phải dạng "X.Y" trong ngoặc kép, không phải {entry.version!r}'
            )
        if entry.date is not None and type(entry.date) is not date:
            raise ChangelogError(f"{FILE}: ngày của {entry.version} phải dạng 2026-01-31")
    return entries


def problem_of(version: str, root: Path) -> str:
    """Why this version cannot be released by its changelog; empty when it can."""
    try:
        entry = next((entry for entry in load(root) if entry.version == version), None)
    except ChangelogError as error:
        return str(error)
    if entry is None:
        return f'{FILE} chưa có mục của {version}: thêm `- version: "{version}"`, `date:`, `changes:` vào đầu tệp'
    return (
        "" if entry.date and entry.changes else f"{FILE}: mục {version} còn thiếu date hoặc changes"
    )


def page(entries: list[Entry]) -> str:
    """Markdown of all entries."""
    parts = ['<div class="changelog" markdown>']
    for entry in entries:
        parts.append(f"## Bản {entry.version} {{ #v{entry.version.replace('.', '-')} }}")
        parts.append(
            f"*{f'Phát hành {day(entry.date.isoformat())}' if entry.date else 'Đang viết'}.* {entry.summary}"
        )
        parts.append("\n".join(f"- {change}" for change in entry.changes))
    return "\n\n".join([*parts, "</div>"])


changelog_page = page
