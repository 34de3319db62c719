"""A page after rendering: what slipped past the check of its source. The last guard, by what a reader would see."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from course.pages.syntax import SIXTY_SECONDS, has_digit

VOID = {
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "track",
    "wbr",
}
FREE_TAGS = {"code", "pre", "kbd", "script", "style", "svg", "data"}  # may hold digits
FREE_CLASSES = {
    "arithmatex",
    "lesson-strip",
    "course-list",
    "changelog",
    "verified",
    "glossary",
    "related",
    "footnote-ref",
    "footnote-backref",
    "record-problem",
}
READ_OUT = {"alt", "title", "placeholder", "summary", "value", "start", "label"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
IDENTIFIER = re.compile(
    r"https?://\S+|arXiv[: ]\d{4}\.\d{4,5}(?:v\d+)?|\bdoi[: ]? ?10\.\S+", re.IGNORECASE
)
LEFT_OVER = ("[[", "]]", "$$", "][", "](")


class Reader(HTMLParser):
    """Collects problems as (text near it, message), and every formula: its TeX, and whether a heading holds it."""

    def __init__(self, names: list[str]) -> None:
        """`names`: names that may hold digits."""
        super().__init__(convert_charrefs=True)
        self.names = names
        self.open: list[tuple[str, bool, bool]] = []  # tag, is free, is formula
        self.problems: list[tuple[str, str]] = []
        self.formulas: list[str] = []
        self.in_heading: list[bool] = []  # of each formula

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element; look at the attributes that are read out."""
        known = dict(attrs)
        classes = set((known.get("class") or "").split())
        formula = "arithmatex" in classes
        free = (
            tag in FREE_TAGS
            or bool(classes & FREE_CLASSES)
            or any(name.startswith("typed-") for name in classes)
        )
        free = free or (bool(self.open) and self.open[-1][1])
        if formula:
            self.formulas.append("")
            self.in_heading.append(any(name in HEADINGS for name, _, _ in self.open))
        for name, value in attrs:
            if (
                not free
                and (name in READ_OUT or name.startswith("aria-"))
                and has_digit(value or "", self.names)
            ):
                self.problems.append((value or "", f"chữ số gõ tay trong {name}: «{value}»"))
        if tag not in VOID:
            self.open.append((tag, free, formula))

    def handle_endtag(self, tag: str) -> None:
        """Close the element and what stands open in it."""
        names = [name for name, _, _ in self.open]
        if tag in names:
            del self.open[len(names) - 1 - names[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        """Look at visible text."""
        if any(formula for _, _, formula in self.open):
            self.formulas[-1] += data
            return
        if self.open and self.open[-1][1]:
            return
        text = IDENTIFIER.sub("", data)
        if any(name in HEADINGS or name == "em" for name, _, _ in self.open):
            text = text.replace(SIXTY_SECONDS, "")
        if has_digit(text, self.names):
            self.problems.append((data, f"chữ số gõ tay: «{' '.join(data.split())}»"))
        for sign in LEFT_OVER:
            if sign in text:
                self.problems.append(
                    (data, f"«{sign}» còn nguyên trên trang: «{' '.join(data.split())}»")
                )


def read(html: str, names: list[str]) -> Reader:
    """Read a page's rendered content."""
    reader = Reader(names)
    reader.feed(html)
    reader.close()
    return reader


def line_of(snippet: str, markdown: str, first_line: int) -> int:
    """Line of the source that holds the snippet, or the longest part of it found; the first line when none is."""
    for part in sorted(
        (part.strip() for part in re.split(r"[\n«»]", snippet)), key=len, reverse=True
    ):
        if part and part in markdown:
            return first_line + markdown.count("\n", 0, markdown.index(part))
    return first_line
