"""What the search downloads, made from the index that Material's search plugin writes.

- search/words.json: all words, the pages' titles, the synonyms.
- search/hits/<number>.json: for a block of the words, which pages hold each, and how prominently.
  They choose the pages to look at. A small site has them in words.json.
- search/pages/<page>.json: the sections of a page, for the order, the section and the snippet.

README.md tells how a question is answered with them.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from course.pages.glossary import Term
from course.site.search.formula import formula_text
from course.site.search.words import STOP_WORDS, bare, words

HERE = Path(__file__).parent
# Address on the site -> file. Every page starts the second, which loads the first when needed.
SCRIPTS = {
    "assets/javascripts/search.js": HERE / "search.js",
    "assets/javascripts/search_start.js": HERE / "search_start.js",
}
LIST = "search/words.json"
HITS = "search/hits"
PAGES = "search/pages"
GLOSSARY = {"glossary/", "glossary.html"}

# Material's index keeps a few tags.
TAG = re.compile(r"<[^>]*>")
AROUND = re.compile(r"</?(?:p|ul|ol|li)\b[^>]*>")  # tags that part words
NOTE = re.compile(r"<sup>\d+</sup>|↩")  # signs of footnotes
BLOCK_OF_CODE = re.compile(r"([^<>]*)<pre>(.*?)</pre>", re.DOTALL)  # with its label
FORMULA = re.compile(r"\\\(([^<]*?)\\\)|\\\[([^<]*?)\\\]")

# How prominent a word is on a page. The worker gives each its weight.
CODE = 0
TEXT = 1
HEADING = 2
TITLE = 3

# The hits of one word are numbers, most of them small, written in one character each.
ALPHABET = "".join(chr(c) for c in range(33, 127) if chr(c) not in '"\\')[:90]
LAST = 60  # digits that end a number
MORE = 30  # digits that go on

# Characters of hits in one block: compressed about 12 kB, less than the text of a page.
BLOCK = 24_000
# So many blocks are put into words.json: more requests would cost more than the bytes they save.
FEW_BLOCKS = 2


class Section(NamedTuple):
    """A section of a page: its anchor (nothing for the page itself), title, text and code."""

    anchor: str
    title: str
    text: str
    code: str


@dataclass
class PageText:
    """A page: address below the site, and sections. The first is the page itself."""

    location: str
    sections: list[Section] = field(default_factory=list)


# Pages


def plain_text(marked: str) -> str:
    """The text of an entry of Material's index, without tags, on one line."""
    text = FORMULA.sub(plain_formula, NOTE.sub("", marked))
    text = TAG.sub("", AROUND.sub(" ", text))
    return " ".join(html.unescape(text).split())


def plain_formula(found: re.Match[str]) -> str:
    tex = html.unescape(found[1] or found[2] or "")
    return html.escape(formula_text(tex), quote=False)


def code_text(marked: str) -> str:
    """The code and output blocks of an entry: each line once, none without a letter."""
    blocks = []
    for label, code in BLOCK_OF_CODE.findall(marked):
        blocks.append(f"{label}\n{code}")
    shown: dict[str, None] = {}
    for line in html.unescape(TAG.sub("", "\n".join(blocks))).splitlines():
        if any(letter.isalpha() for letter in line):
            shown[" ".join(line.split())] = None
    return "\n".join(shown)


def pages_of(entries: list[dict[str, str]]) -> list[PageText]:
    """Pages and sections of the entries of Material's index."""
    found: dict[str, PageText] = {}
    for entry in entries:
        location, _, anchor = entry["location"].partition("#")
        page = found.setdefault(location, PageText(location))
        title = plain_text(entry["title"])
        text = plain_text(BLOCK_OF_CODE.sub(" ", entry["text"]))
        page.sections.append(Section(anchor, title, text, code_text(entry["text"])))
    return list(found.values())


def with_terms(page: PageText, terms: list[Term]) -> PageText:
    """The glossary's page with a section for each term in place of one for each letter."""
    sections = page.sections[:1]
    for term in terms:
        title = term.vi
        if term.vi.casefold() != term.en.casefold():
            title = f"{term.vi} ({term.en})"
        sections.append(Section(term.anchor, title, term.definition, ""))
    return PageText(page.location, sections)


# Synonyms


def synonyms(terms: list[Term], root: Path) -> list[list[str]]:
    """Groups of words that find each other: the glossary's, and those of search_words.yml."""
    groups = []
    for term in terms:
        groups.append([*term.spellings, term.vi, *term.refused])
    groups += yaml.safe_load((root / "scripts/data/search_words.yml").read_text(encoding="utf-8"))
    found = []
    for group in groups:
        same = list(dict.fromkeys(" ".join(words(word)) for word in group))
        if len(same) > 1:
            found.append(same)
    return found


class Phrases:
    """The synonyms of several words, found in a text and written as one word: trọng_số_buộc."""

    def __init__(self, same: list[list[str]]) -> None:
        self.by_first_word: dict[str, set[tuple[str, ...]]] = {}
        for group in same:
            for phrase in group:
                first, *rest = phrase.split(" ")
                if rest:
                    self.by_first_word.setdefault(first, set()).add(tuple(rest))

    def in_words(self, text: list[str]) -> list[str]:
        """The phrases in a text that is cut into words."""
        found = []
        for place, word in enumerate(text, 1):
            for rest in self.by_first_word.get(word, ()):
                if tuple(text[place : place + len(rest)]) == rest:
                    found.append("_".join((word, *rest)))
        return found


# The list of words


def levels(page: PageText, phrases: Phrases) -> dict[str, int]:
    """The words of a page, and the synonyms of several words, and how prominent each is."""
    found: dict[str, int] = {}

    def add(text: str, level: int) -> None:
        here = words(text)
        for word in here + phrases.in_words(here):
            if level == CODE and word.isdecimal():
                continue
            found[word] = max(level, found.get(word, level))

    for number, section in enumerate(page.sections):
        add(section.title, HEADING if number else TITLE)
        add(section.text, TEXT)
        add(section.code, CODE)
    return found


def encode(number: int) -> str:
    """A number as one character where it is small."""
    digits = ""
    while number >= LAST:
        digits += ALPHABET[LAST + number % MORE]
        number //= MORE
    return digits + ALPHABET[number]


def hits_of(pages: list[PageText], phrases: Phrases) -> dict[str, str]:
    """Word -> the pages that hold it: the number of pages without it in between, and the level."""
    hits: dict[str, str] = {}
    latest: dict[str, int] = {}
    for number, page in enumerate(pages):
        for word, level in levels(page, phrases).items():
            gap = number - latest.get(word, -1) - 1
            hits[word] = hits.get(word, "") + encode(gap * 4 + level)
            latest[word] = number
    return hits


def word_list(pages: list[PageText], same: list[list[str]]) -> dict[str, Any]:
    """What words.json holds, with all blocks of hits. `same`: groups of words that find each other.

    The words stand in the order of their bare forms, so that one block answers a word that was
    typed without accents or only begun. `starts`: number of the first word of each block.
    """
    hits = hits_of(pages, Phrases(same))
    order = sorted(hits, key=lambda word: (bare(word), word))
    starts: list[int] = []
    blocks: list[list[str]] = []
    size = BLOCK
    for number, word in enumerate(order):
        if size >= BLOCK:
            starts.append(number)
            blocks.append([])
            size = 0
        blocks[-1].append(hits[word])
        size += len(hits[word]) + 1
    return {
        "pages": [[page.location, page.sections[0].title] for page in pages],
        "words": " ".join(order),
        "starts": starts,
        "hits": [" ".join(block) for block in blocks],
        "same": same,
        "stop": STOP_WORDS,
    }


# Files


def write(site: Path, terms: list[Term], root: Path, inline: bool = False) -> None:
    """Replace Material's index by the search's own files.

    `inline`: put everything into the index itself, for a site that is opened without a server.
    """
    index = site / "search/search_index.json"
    data = json.loads(index.read_text(encoding="utf-8"))
    pages = pages_of(data["docs"])
    for number, page in enumerate(pages):
        if page.location in GLOSSARY:
            pages[number] = with_terms(page, terms)
    same = synonyms(terms, root)
    data["docs"] = []
    if inline:
        data["docs"] = {"list": word_list(pages, same), "pages": pages_data(pages)}
    else:
        save(site, pages, same)
    write_json(index, data)


def save(site: Path, pages: list[PageText], same: list[list[str]]) -> None:
    """Write the files that the worker fetches."""
    for page, data in zip(pages, pages_data(pages), strict=True):
        write_json(site / page_file(page.location), data)
    listed = word_list(pages, same)
    if len(listed["hits"]) > FEW_BLOCKS:
        for number, block in enumerate(listed.pop("hits")):
            write_json(site / f"{HITS}/{number}.json", block)
    write_json(site / LIST, listed)


def page_file(location: str) -> str:
    """Where the text of a page stands, from the site's root."""
    return f"{PAGES}/{location.removesuffix('/').replace('/', '.') or 'index'}.json"


def pages_data(pages: Iterable[PageText]) -> list[list[object]]:
    """Pages as the worker reads them."""
    return [[page.location, page.sections] for page in pages]


def write_json(file: Path, data: object) -> None:
    """JSON without spaces, Vietnamese letters as they are."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    file.write_text(text, encoding="utf-8", newline="\n")
