"""The words of the course: the glossary's page, and the first use of each word on a page, which is linked to it."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import yaml

from course import ROOT
from course.text import slugify

PAGE = "glossary.md"
TAG = re.compile(r"(<[^>]*>)")
NAME = re.compile(r"</?([A-Za-z][\w-]*)")
PROSE = {"p", "li", "dd"}  # a word is linked where it stands in a sentence
NOT_HERE = {
    "a",
    "code",
    "pre",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "summary",
    "figure",
    "table",
    "script",
    "style",
}
NOT_HERE |= {"svg", "math", "data", "button", "dl"}
FREE = re.compile(r'class="[^"]*\b(arithmatex|lesson-strip|course-list|footnote|related)\b')
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


@dataclass(frozen=True)
class Term:
    """A word: English, Vietnamese, what it means, variants refused, number of the lesson that needs it first."""

    en: str
    vi: str
    definition: str
    refused: tuple[str, ...]
    first: str
    everyday: bool = False  # also a word of common speech: not linked by its Vietnamese name

    @property
    def anchor(self) -> str:
        """Anchor on the glossary's page."""
        return slugify(
            self.vi if self.vi.casefold() == self.en.casefold() else f"{self.vi} {self.en}"
        )

    @property
    def spellings(self) -> list[str]:
        """What stands for the word in a sentence; `name (SHORT)` is two."""
        words = [self.en] if self.everyday else [self.vi, self.en]
        return [part for word in words for part in re.split(r"\s*\(|\)", word) if part]


def load(root: Path = ROOT) -> tuple[list[Term], list[str]]:
    """The terms, and the names that hold a digit and may stand in prose as they are."""
    data = yaml.safe_load((root / "scripts/data/glossary.yml").read_text(encoding="utf-8"))
    terms = [
        Term(e["en"], e["vi"], e["definition"], tuple(e["refused"]), e["first"], "everyday" in e)
        for e in data["terms"]
    ]
    return terms, data["names"]


def sort_key(text: str) -> tuple[str, str]:
    """Vietnamese order, near enough for a list: base letters first, đ after d, tones last."""
    text = unicodedata.normalize("NFC", text.casefold())
    base = unicodedata.normalize("NFKD", text.replace("đ", "d\uffff"))
    return "".join(c for c in base if not unicodedata.combining(c)), text


def page(terms: list[Term], places: dict[str, tuple[str, str]]) -> str:
    """Markdown of the whole glossary by letter. `places`: Vietnamese name -> where it is met: name and page."""
    parts, letter = [], ""
    for term in sorted(terms, key=lambda term: sort_key(term.vi)):
        first = "Đ" if term.vi[0] in "đĐ" else sort_key(term.vi)[0][0].upper()
        if first != letter:
            parts += [
                *(["</dl>"] if letter else []),
                f"## {first}",
                '<dl class="glossary" markdown>',
            ]
            letter = first
        english = (
            ""
            if term.vi.casefold() == term.en.casefold()
            else f' <span lang="en">{html.escape(term.en)}</span>'
        )
        refused = (
            f" Không viết: {'; '.join(f'«{word}»' for word in term.refused)}."
            if term.refused
            else ""
        )
        where = " <small>[{}]({})</small>".format(*places[term.vi])
        parts.append(f'<dt id="{term.anchor}">{html.escape(term.vi)}{english}</dt>')
        parts.append(
            f'<dd markdown="span">{html.escape(term.definition)}{html.escape(refused)}{where}</dd>'
        )
    return "\n\n".join([*parts, "</dl>"])


class Words:
    """Finds the terms in texts."""

    def __init__(self, terms: list[Term]) -> None:
        """Prepare for these terms; where two share a spelling, the first keeps it."""
        self.of: dict[str, Term] = {}
        for term in terms:
            for spelling in term.spellings:
                self.of.setdefault(spelling.casefold(), term)
        longest = sorted(self.of, key=len, reverse=True)
        self.pattern = re.compile(
            rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])", re.IGNORECASE
        )

    def on(self, text: str) -> set[str]:
        """Vietnamese names of the terms that a text uses."""
        return {self.of[match[0].casefold()].vi for match in self.pattern.finditer(text)}

    def link(self, content: str, glossary: str) -> str:
        """HTML of a page with the first use of each term, in a sentence, linked to `glossary` (its address)."""
        done: set[str] = set()
        opened: list[tuple[str, bool, bool]] = []  # tag, in prose, not here

        def first_use(match: re.Match[str]) -> str:
            term = self.of[match[0].casefold()]
            if term.vi in done:
                return match[0]
            done.add(term.vi)
            tip = html.escape(term.definition)
            return f'<a class="term" href="{glossary}#{term.anchor}" title="{tip}">{match[0]}</a>'

        pieces = TAG.split(content)
        for place, piece in enumerate(pieces):
            if not piece.startswith("<"):
                if opened and opened[-1][1] and not opened[-1][2]:
                    pieces[place] = self.pattern.sub(first_use, piece)
                continue
            name = NAME.match(piece)
            if name is None or name[1].lower() in VOID or piece.endswith("/>"):
                continue
            tag = name[1].lower()
            if piece.startswith("</"):
                while opened and opened.pop()[0] != tag:
                    pass
            else:
                above = opened[-1] if opened else ("", False, False)
                closed = above[2] or tag in NOT_HERE or bool(FREE.search(piece))
                opened.append((tag, above[1] or tag in PROSE, closed))
        return "".join(pieces)


glossary_page = page
