"""The words of the course: the glossary, and links to it where a page first uses a word."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import yaml

from course.pages.elements import OpenElements
from course.text import slugify

PAGE = "glossary.md"
TAG = re.compile(r"(<[^>]*>)")
NAME = re.compile(r"</?([A-Za-z][\w-]*)")
PROSE = {"p", "li", "dd"}  # a word is linked where it stands in a sentence
NOT_LINKED = {"a", "code", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "summary", "figure", "table"}
NOT_LINKED |= {"script", "style", "svg", "math", "data", "button", "dl"}
NOT_LINKED_CLASS = re.compile(
    r'class="[^"]*\b(arithmatex|lesson-strip|course-list|footnote|related)\b'
)


@dataclass(frozen=True)
class Term:
    """A word: English, Vietnamese, what it means.

    `refused`: variants that no page may use. `first`: number of the lesson that needs it first.
    """

    en: str
    vi: str
    definition: str
    refused: tuple[str, ...]
    first: str
    old: tuple[str, ...] = ()  # anchors of names that it had
    everyday: bool = False  # also a word of common speech: not linked by its Vietnamese name

    @property
    def one_name(self) -> bool:
        """Is the English word used in Vietnamese, too?"""
        return self.vi.casefold() == self.en.casefold()

    @property
    def anchor(self) -> str:
        """Anchor on the glossary's page."""
        if self.one_name:
            return slugify(self.vi)
        return slugify(f"{self.vi} {self.en}")

    @property
    def spellings(self) -> list[str]:
        """What stands for the word in a sentence; `name (SHORT)` is two."""
        names = [self.en]
        if not self.everyday:
            names.insert(0, self.vi)
        found = []
        for name in names:
            found += [part for part in re.split(r"\s*\(|\)", name) if part]
        return found


def load(root: Path) -> tuple[list[Term], list[str]]:
    """The terms, and the names that hold a digit and may stand in prose as they are."""
    data = yaml.safe_load((root / "scripts/data/glossary.yml").read_text(encoding="utf-8"))
    terms = []
    for entry in data["terms"]:
        term = Term(
            en=entry["en"],
            vi=entry["vi"],
            definition=entry["definition"],
            refused=tuple(entry["refused"]),
            first=entry["first"],
            old=tuple(entry.get("old", ())),
            everyday="everyday" in entry,
        )
        terms.append(term)
    return terms, data["names"]


def sort_key(text: str) -> tuple[str, str]:
    """Vietnamese order, near enough for a list: base letters first, đ after d, tones last."""
    text = unicodedata.normalize("NFC", text.casefold())
    letters = unicodedata.normalize("NFKD", text.replace("đ", "d\uffff"))
    base = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return base, text


def first_letter(term: Term) -> str:
    """The letter under which a term stands."""
    if term.vi[0] in "đĐ":
        return "Đ"
    return sort_key(term.vi)[0][0].upper()


def glossary_page(terms: list[Term], places: dict[str, tuple[str, str]]) -> str:
    """Markdown of the whole glossary by letter.

    `places`: Vietnamese name -> where the term is met: what that is called, and its address.
    """
    parts = []
    letter = ""
    for term in sorted(terms, key=lambda term: sort_key(term.vi)):
        if first_letter(term) != letter:
            if letter:
                parts.append("</dl>")
            letter = first_letter(term)
            parts.append(f"## {letter}")
            parts.append('<dl class="glossary" markdown>')
        parts += entry_of(term, places.get(term.vi))
    return "\n\n".join([*parts, "</dl>"])


def entry_of(term: Term, place: tuple[str, str] | None) -> list[str]:
    """Markdown of a term and of what it means."""
    name = html.escape(term.vi)
    if not term.one_name:
        name += f' <span lang="en">{html.escape(term.en)}</span>'
    meaning = html.escape(term.definition)
    if term.refused:
        refused = "; ".join(f"«{word}»" for word in term.refused)
        meaning += f" Không viết: {html.escape(refused)}."
    if place is not None:
        called, address = place
        meaning += f" <small>[{called}]({address})</small>"
    for anchor in term.old:  # it had another name, which links from elsewhere may use
        name = f'<span id="{anchor}"></span>{name}'
    return [f'<dt id="{term.anchor}">{name}</dt>', f'<dd markdown="span">{meaning}</dd>']


class Words:
    """Finds the terms in texts. Where two share a spelling, the first keeps it."""

    def __init__(self, terms: list[Term]) -> None:
        self.of: dict[str, Term] = {}
        for term in terms:
            for spelling in term.spellings:
                self.of.setdefault(spelling.casefold(), term)
        longest_first = sorted(self.of, key=len, reverse=True)
        spellings = "|".join(map(re.escape, longest_first))
        self.pattern = re.compile(rf"(?<![\w-])(?:{spellings})(?![\w-])", re.IGNORECASE)

    def on(self, text: str) -> set[str]:
        """Vietnamese names of the terms that a text uses."""
        return {self.of[match[0].casefold()].vi for match in self.pattern.finditer(text)}

    def link(self, content: str, glossary: str) -> str:
        """A page's HTML, the first use of each term in a sentence linked.

        `glossary`: address of the glossary.
        """
        linked: set[str] = set()

        def first_use(match: re.Match[str]) -> str:
            term = self.of[match[0].casefold()]
            if term.vi in linked:
                return match[0]
            linked.add(term.vi)
            tip = html.escape(term.definition)
            return f'<a class="term" href="{glossary}#{term.anchor}" title="{tip}">{match[0]}</a>'

        opened = OpenElements()
        pieces = []
        for piece in TAG.split(content):
            if piece.startswith("<"):
                follow(piece, opened)
            elif "prose" in opened.marks and "not linked" not in opened.marks:
                piece = self.pattern.sub(first_use, piece)
            pieces.append(piece)
        return "".join(pieces)


def follow(tag: str, opened: OpenElements) -> None:
    """Open or close the element of a tag as it stands in HTML."""
    match = NAME.match(tag)
    if match is None or tag.endswith("/>"):  # a comment, or an element that holds nothing
        return
    name = match[1].lower()
    if tag.startswith("</"):
        opened.close(name)
        return
    marks = set()
    if name in PROSE:
        marks.add("prose")
    if name in NOT_LINKED or NOT_LINKED_CLASS.search(tag):
        marks.add("not linked")
    opened.open(name, marks)
