"""Which recorded numbers changed between two releases: what torch and Transformers did over time, as Markdown.

Every release carries its records (`records.json`); `.` stands for those of the working tree. Times are in neither.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from course import ROOT
from course.records import record_book
from course.records.compare import near
from course.versions.branch import (
    BRANCH,
    Published,
    Refusal,
    command_line,
    published,
    require_repository,
)

HERE = "."
WIDTH = 80  # letters of a value in a table
HEAD = """---
title: Số đo đổi gì giữa hai phiên bản
description: Những giá trị có bản ghi đã thêm, bỏ hay đổi giữa hai phiên bản, kèm phiên bản thư viện.
---

"""


def book_of(version: str, root: Path, found: Published) -> dict[str, Any]:
    """The records of a release, or of the working tree."""
    if version == HERE:
        return record_book.book(root)
    book = found.data(f"{version}/records.json") if found.tree(version) else None
    if book is None:
        known = ", ".join(found.releases()) or "chưa có bản nào"
        raise Refusal(
            2,
            f"nhánh {BRANCH} không có records.json của «{version}»; các bản đã phát hành: {known}.",
        )
    return book


def text_of(value: Any) -> str:
    """A recorded value as text; of an approximate one, the value without its tolerance."""
    return json.dumps(value["value"] if is_approximate(value) else value, ensure_ascii=False)


def is_approximate(value: Any) -> bool:
    """Is it a value with a tolerance?"""
    return isinstance(value, dict) and "value" in value


def cell(text: str, start: int = 0) -> str:
    """A value in a table: as code, so that it stays as it was recorded; of a long one, what stands around `start`."""
    at = max(0, start - 20) if len(text) > WIDTH else 0
    shown = text[at : at + WIDTH]
    shown = f"{'…' if at else ''}{shown}{'…' if at + WIDTH < len(text) else ''}"
    return code(shown)


def code(text: str) -> str:
    """Text as code in a table's cell."""
    return "`" + text.replace("`", "'").replace("|", "\\|") + "`"


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """(key, what happened, old value, new value) of two records' values, by key."""
    rows = []
    for key in sorted(old.keys() | new.keys()):
        before, after = (text_of(values[key]) if key in values else None for values in (old, new))
        if after is None:
            rows.append((key, "bỏ", cell(before), "–"))
        elif before is None:
            rows.append((key, "thêm", "–", cell(after)))
        elif before != after:
            pairs = enumerate(zip(before, after, strict=False))
            apart = next((place for place, (a, b) in pairs if a != b), min(len(before), len(after)))
            rows.append((key, how(old[key], new[key]), cell(before, apart), cell(after, apart)))
    return rows


def how(old: Any, new: Any) -> str:
    """Words for a change; an approximate value may have stayed within its tolerance."""
    if is_approximate(old) and is_approximate(new):
        return "đổi, trong sai số" if near(old, new) else "đổi, quá sai số"
    return "đổi"


def page(old_name: str, new_name: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """Markdown of the whole comparison."""
    names = ["bản đang viết" if name == HERE else name for name in (old_name, new_name)]
    parts = []
    for name, book in zip(names, (old, new), strict=True):
        line = record_book.verified_line(book["verified"]) or "không có bản ghi nào"
        parts.append(f"- Bản `{name}`: `{line}`")
    text = HEAD + "\n".join(parts) + "\n"
    counts = {"thêm": 0, "bỏ": 0, "đổi": 0}
    sections = []
    for name in sorted(old["records"].keys() | new["records"].keys()):
        before, after = old["records"].get(name), new["records"].get(name)
        rows = differences((before or {}).get("values", {}), (after or {}).get("values", {}))
        for _, what, _, _ in rows:
            counts[what.partition(",")[0]] += 1
        if rows:
            sections.append(section(name, before, after, names, rows))
    told = ", ".join(f"{what} `{count}`" for what, count in counts.items() if count)
    return text + f"\nGiá trị: {told or 'không có gì đổi'}.\n" + "".join(sections)


def section(
    name: str, before: Any, after: Any, names: list[str], rows: list[tuple[str, str, str, str]]
) -> str:
    """One script: its libraries where they changed, and the table of its values."""
    title = name.rpartition("/")[2]
    state = "" if before and after else f"\n{'Script mới.' if after else 'Script không còn.'}\n"
    if before and after:
        old_pins = {"python": before["python"], **before["pins"]}
        new_pins = {"python": after["python"], **after["pins"]}
        moved = [
            f"`{pin} {old_pins.get(pin, '–')} → {new_pins.get(pin, '–')}`"
            for pin in sorted(old_pins.keys() | new_pins.keys())
            if old_pins.get(pin) != new_pins.get(pin)
        ]
        state = f"\nThư viện: {', '.join(moved)}.\n" if moved else "\nThư viện không đổi.\n"
    head = f"| Khoá | Thế nào | `{names[0]}` | `{names[1]}` |\n| --- | --- | --- | --- |\n"
    lines = "".join(f"| {code(key)} | {what} | {old} | {new} |\n" for key, what, old, new in rows)
    return f"\n## `{title}`\n{state}\n{head}{lines}"


def main(words: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="dev.py compare-versions", description="So số đo của hai phiên bản."
    )
    parser.add_argument("old")
    parser.add_argument("new", nargs="?", default=HERE)
    parser.add_argument("--root", default=ROOT, help="gốc của dự án")
    args = parser.parse_args(words)
    root = Path(args.root).resolve()
    require_repository(root)
    found = published(root)
    print(
        page(args.old, args.new, book_of(args.old, root, found), book_of(args.new, root, found)),
        end="",
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(command_line(main))
