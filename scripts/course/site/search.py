"""What the site's search downloads: a small list of the pages of each word, and the text of a page when it is shown.

Reads the index that Material's search plugin writes, and replaces it by two things that the search worker
(overrides/assets/javascripts/search.js) fetches after the first letter typed:

- search/words.json: for every word, the pages that hold it and how prominently. It chooses the pages to look at.
- search/pages/<page>.json: the sections of one page. From them come the order, the section and the snippet.

Whoever never searches downloads neither. `words` must cut text as `words` in search.js does; a test compares the two.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml

from course.pages.glossary import Term

WORD = re.compile("[^\\W_]+(?:[\u0300-\u036f]+[^\\W_]*)*")
TAG = re.compile(r"<[^>]*>")
AROUND = re.compile(r"</?(?:p|ul|ol|li)\b[^>]*>")  # tags that part words
NOTE = re.compile(r"<sup>\d+</sup>|↩")  # signs of footnotes
BLOCK = re.compile(r"([^<>]*)<pre>(.*?)</pre>", re.DOTALL)  # with its label
# Two ways to write one word: the tone of oa, oe and uy is moved to the second letter.
OLD_TONE = re.compile(
    "(o)([\u0300\u0301\u0303\u0309\u0323])([ae])|(u)([\u0300\u0301\u0303\u0309\u0323])(y)"
)
# How prominent a word is on a page. The worker gives each its weight.
CODE, TEXT, HEADING, TITLE = range(4)
ALPHABET = "".join(chr(c) for c in range(33, 127) if chr(c) not in '"\\')[:90]
LAST, MORE = 60, 30  # digits that end a number, digits that go on
PAGES = "search/pages"
GLOSSARY = {"glossary/", "glossary.html"}


class Section(NamedTuple):
    """A section of a page: its anchor (nothing for the page itself), title, text and code."""

    anchor: str
    title: str
    text: str
    code: str


@dataclass
class Page:
    """A page: address below the site, and sections. The first is the page itself."""

    location: str
    sections: list[Section] = field(default_factory=list)


def words(text: str) -> list[str]:
    """The words of a text as they are compared: small letters, NFC, one way of placing tones."""
    plain = unicodedata.normalize("NFC", text).lower()
    if not plain.isascii():
        parts = OLD_TONE.sub(r"\1\4\3\6\2\5", unicodedata.normalize("NFD", plain))
        plain = unicodedata.normalize("NFC", parts)
    return WORD.findall(plain)


def plain_text(marked: str) -> str:
    """The text of an entry of Material's index, without tags, on one line."""
    return " ".join(html.unescape(TAG.sub("", AROUND.sub(" ", NOTE.sub("", marked)))).split())


def code_text(marked: str) -> str:
    """The code and output blocks of an entry: each line once, none without a letter."""
    blocks = "\n".join(f"{label}\n{code}" for label, code in BLOCK.findall(marked))
    lines = html.unescape(TAG.sub("", blocks)).splitlines()
    shown = dict.fromkeys(
        " ".join(line.split()) for line in lines if any(c.isalpha() for c in line)
    )
    return "\n".join(shown)


def pages_of(docs: list[dict[str, str]]) -> list[Page]:
    """Pages and sections of the entries of Material's index."""
    found: dict[str, Page] = {}
    for doc in docs:
        location, _, anchor = doc["location"].partition("#")
        page = found.setdefault(location, Page(location))
        title, text = plain_text(doc["title"]), plain_text(BLOCK.sub(" ", doc["text"]))
        page.sections.append(Section(anchor, title, text, code_text(doc["text"])))
    return list(found.values())


def synonyms(terms: list[Term], root: Path) -> list[list[str]]:
    """Groups of words that find each other: the terms in both languages, and what readers type for other words."""
    groups = [[*term.spellings, term.vi, *term.refused] for term in terms]
    groups += yaml.safe_load((root / "scripts/data/search_words.yml").read_text(encoding="utf-8"))
    unique = [list(dict.fromkeys(" ".join(words(word)) for word in group)) for group in groups]
    return [group for group in unique if len(group) > 1]


def encode(number: int) -> str:
    """A number as one character where it is small."""
    digits = ""
    while number >= LAST:
        digits += ALPHABET[LAST + number % MORE]
        number //= MORE
    return digits + ALPHABET[number]


def levels(page: Page, terms: Terms | None = None) -> dict[str, int]:
    """The words of a page, and the terms of several words, and how prominent each is."""
    found: dict[str, int] = {}
    for number, section in enumerate(page.sections):
        title = HEADING if number else TITLE
        for level, text in ((title, section.title), (TEXT, section.text), (CODE, section.code)):
            here = words(text)
            for word in here + (terms.in_words(here) if terms else []):
                if level > found.get(word, -1) and not (level == CODE and word.isdecimal()):
                    found[word] = level
    return found


class Terms:
    """The terms of several words among the synonyms, found in a text and written as one word: trọng_số_buộc."""

    def __init__(self, same: list[list[str]]) -> None:
        """Sort the terms by their first word."""
        self.of: dict[str, set[tuple[str, ...]]] = {}
        for term in (term for group in same for term in group if " " in term):
            first, *rest = term.split(" ")
            self.of.setdefault(first, set()).add(tuple(rest))

    def in_words(self, text: list[str]) -> list[str]:
        """The terms in a text that is cut into words."""
        return [
            "_".join((word, *rest))
            for place, word in enumerate(text)
            for rest in self.of.get(word, ())
            if tuple(text[place + 1 : place + 1 + len(rest)]) == rest
        ]


def list_of(pages: list[Page], same: list[list[str]]) -> dict[str, object]:
    """The list of the pages of each word. `same`: groups of words that find each other."""
    hits: dict[str, str] = {}
    latest: dict[str, int] = {}
    terms = Terms(same)
    for number, page in enumerate(pages):
        for word, level in levels(page, terms).items():
            gap = number - latest.get(word, -1) - 1
            hits[word] = hits.get(word, "") + encode(gap * 4 + level)
            latest[word] = number
    order = sorted(hits)
    return {
        "pages": [[page.location, page.sections[0].title] for page in pages],
        "words": " ".join(order),
        "hits": " ".join(hits[word] for word in order),
        "same": same,
    }


def compact(data: object) -> str:
    """JSON without spaces, Vietnamese letters as they are."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def page_file(location: str) -> str:
    """Where the text of a page stands, from the site's root."""
    return f"{PAGES}/{location.removesuffix('/').replace('/', '.') or 'index'}.json"


def write(site: Path, terms: list[Term], root: Path, inline: bool = False) -> None:
    """Replace Material's index. `inline`: put all into the index itself, for a site that is opened without a server."""
    index = site / "search/search_index.json"
    data = json.loads(index.read_text(encoding="utf-8"))
    pages = [
        with_terms(page, terms) if page.location in GLOSSARY else page
        for page in pages_of(data["docs"])
    ]
    same = synonyms(terms, root)
    data["docs"] = (
        {"list": list_of(pages, same), "pages": [page_data(page) for page in pages]}
        if inline
        else []
    )
    index.write_text(compact(data), encoding="utf-8", newline="\n")
    if not inline:
        save(site, pages, same)


def with_terms(page: Page, terms: list[Term]) -> Page:
    """The glossary's page with a section for each term in place of one for each letter."""
    entries = []
    for term in terms:
        title = term.vi if term.vi.casefold() == term.en.casefold() else f"{term.vi} ({term.en})"
        entries.append(Section(term.anchor, title, term.definition, ""))
    return Page(page.location, page.sections[:1] + entries)


def page_data(page: Page) -> list[object]:
    """A page as the worker reads it."""
    return [page.location, [list(section) for section in page.sections]]


def save(site: Path, pages: list[Page], same: list[list[str]]) -> None:
    """Write the files that the worker fetches."""
    folder = site / PAGES
    folder.mkdir(parents=True, exist_ok=True)
    for page in pages:
        (site / page_file(page.location)).write_text(
            compact(page_data(page)), encoding="utf-8", newline="\n"
        )
    (site / "search/words.json").write_text(
        compact(list_of(pages, same)), encoding="utf-8", newline="\n"
    )


SCRIPTS = {}
