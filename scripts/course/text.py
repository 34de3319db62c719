"""Vietnamese writing and names: slugs, numbers, days, versions; the one exception that is a line
for a person.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import date
from pathlib import Path

LATEST, DEV = "latest", "dev"  # names of versions that move
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)(?:\.(0|[1-9]\d*))?")


class Refusal(Exception):
    """What was asked for cannot be done: one Vietnamese line for a person, and the exit code of a
    command.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def slugify(text: str, separator: str = "-") -> str:
    """Lower-case ASCII slug: "Độ đo" becomes "do-do".

    `đ` becomes `d` first: it has no decomposition and would be lost.
    """
    text = text.replace("đ", "d").replace("Đ", "D")
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    text = re.sub(r"[^\w\s-]", "", text).strip().lower()
    return re.sub(rf"[{separator}\s]+", separator, text)


def number(value: float, decimals: int | None = None) -> str:
    """A number in Vietnamese writing: `.` between thousands, `,` before decimals."""
    if decimals is not None:
        text = f"{value:,.{decimals}f}"
    elif value == int(value):  # 4.0 is written 4
        text = f"{int(value):,}"
    else:
        text = f"{value:,}"
    return text.translate(str.maketrans(",.", ".,")).replace("-", "−")


def day(text: str) -> str:
    """A day as Vietnamese readers write it: 2026-01-31 becomes 31.1.2026."""
    found = date.fromisoformat(text)
    return f"{found.day}.{found.month}.{found.year}"


def read(path: Path) -> str:
    """Text of a file with LF line ends; empty when there is no such file."""
    if not path.exists():
        return ""
    return path.read_text(encoding="utf-8").replace("\r\n", "\n")


def digest(text: str) -> str:
    """SHA-256 of a text with line ends normalised to LF."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def version_order(version: str) -> tuple[int, ...]:
    """What released versions are sorted by: 1.2 is 1.2.0, and comes before 1.10."""
    found = VERSION.fullmatch(version)
    if not found:
        return ()
    return tuple(int(part or 0) for part in found.groups())
