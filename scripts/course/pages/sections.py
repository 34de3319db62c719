"""A page's prose, section by section: what a reader reads there, without code, links and sources.

Whoever asks which words a page uses asks here, so that the name of a file, the target of a link or
the title of a cited paper counts for none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from course.text import slugify

HEADING = re.compile(r"^#{1,6}[ \t]+(?P<title>.+?)[ \t]*(?:\{[^}]*#(?P<anchor>[\w-]+)[^}]*\})?$")
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
FENCED = re.compile(r"^[ \t>]*(?P<fence>`{3,}|~{3,}).*?^[ \t>]*(?P=fence)[ \t]*$", re.M | re.DOTALL)
FOOTNOTE = re.compile(r"^\[\^[^\]\n]+\]:.*(?:\n(?: {4}.*)?)*", re.MULTILINE)
TARGET = re.compile(r"(?<=\])\([^()\n]*\)")
# In the order in which they are taken out.
NOT_PROSE = [
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL),
    re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL),
    re.compile(r"\[\[[^\]\n]*\]\]|\[\^[^\]\n]*\]"),
    TARGET,
    re.compile(r"</?[A-Za-z][^<>]*>"),
    re.compile(r"https?://\S+"),
]
SOURCES = "tai-lieu-tham-khao"  # the section that lists what was cited


@dataclass(frozen=True)
class Section:
    """A heading and the prose below it, up to the next heading; no anchor: before the first."""

    anchor: str
    title: str
    prose: str


def sections_of(markdown: str) -> list[Section]:
    """The sections of a page in order, but for the one that lists its sources."""
    text = FRONT_MATTER.sub("", markdown.replace("\r\n", "\n").removeprefix("\ufeff"))
    text = FENCED.sub("", text)
    text = FOOTNOTE.sub("", text)
    found = []
    seen: set[str] = set()
    anchor = ""
    title = ""
    lines: list[str] = []
    for line in [*text.split("\n"), "# "]:  # the line added closes the last section
        heading = HEADING.match(line)
        if not heading and line != "# ":
            lines.append(line)
            continue
        if anchor != SOURCES:
            found.append(Section(anchor, title, prose_of("\n".join(lines))))
        if heading:
            title = prose_of(heading["title"])
            anchor = heading["anchor"] or free_anchor(slugify(shown(heading["title"])), seen)
            lines = []
    return found


def prose_of(text: str) -> str:
    """A text without what is no prose."""
    for pattern in NOT_PROSE:
        text = pattern.sub("", text)
    return text


def shown(heading: str) -> str:
    """A heading's text as a page shows it, names in code included."""
    return TARGET.sub("", heading)


def free_anchor(slug: str, seen: set[str]) -> str:
    """The anchor of a heading; a second one of the same name is numbered, as Markdown does it."""
    anchor = slug
    number = 0
    while anchor in seen:
        number += 1
        anchor = f"{slug}_{number}"
    seen.add(anchor)
    return anchor
