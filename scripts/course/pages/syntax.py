"""A page's Markdown: fill in what comes from records, refuse what may not be typed.

The one inline syntax of the project is `[[…]]`, never inside code: see references.py.
Plain Python: nothing here knows MkDocs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from course.pages import refusals
from course.pages.references import (
    Block,
    Source,
    Typed,
    mark,
    needs_own_line,
    parse,
    record_of,
    render,
    render_in_formula,
)
from course.records.record import Record
from course.text import Refusal

FENCE = re.compile(
    r"^(?P<indent>(?:[ \t>]|[-*+][ ]|\d+[.)][ ])*)(?P<fence>`{3,}|~{3,})(?P<info>[^`\n]*)$"
)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
# A line end that does not end the block that a span stands in.
SAME_BLOCK = r"(?!\n[ \t>]*(?:\n|[-*+][ \t]|[|\#]|\d+[.)][ \t]))"
NO_BLANK_LINE = r"(?!\n[ \t>]*\n)"
# Everything that is not prose, in the order in which it is tried.
SPAN = re.compile(
    rf"""(?P<comment><!--.*?-->)
      | (?P<code>(?<!`)(?P<ticks>`+)(?!`)(?:{SAME_BLOCK}.)+?(?<!`)(?P=ticks)(?!`))
      | (?P<escape>\\[\\`*_{{}}#+.!$-])
      | (?P<display>\$\$(?:{NO_BLANK_LINE}.)+?\$\$)
      | (?P<inline>\$(?![\s$])(?:\\.|{SAME_BLOCK}[^\\$])+?(?<!\s)\$(?!\d))
      | (?P<syntax>\[\[(?P<body>[^\[\]\n]+)\]\])
      | (?P<autolink><https?://[^>\s]+>)
      | (?P<verbatim><(?P<name>code|pre|kbd)\b[^<>]*>(?:{SAME_BLOCK}.)*?</(?P=name)>)
      | (?P<tag></?[A-Za-z][^\s<>@]*(?:\s(?:{NO_BLANK_LINE}[^<>])*)?>)
      | (?P<target>(?<=[^\]]\])(?<!\^)\((?:<[^>\n]*>|[^()\s]*)(?:\s+"[^"\n]*")?\))
      | (?P<definition>
          (?m:^[ ]{{0,3}}\[(?!\^)[^\]\n]+\]:[ ]*\n?[ ]*\S+(?=[ ]*(?:\n|\Z|["'(]))))
      | (?P<footnote>\[\^[^\]\n]+\])
      | (?P<attributes>\{{:?[ ]*[\#.:\w][^{{}}\n]*\}})
      | (?P<url>https?://[^\s<>)\]]+)
      | (?P<identifier>
          arXiv[: ]\d{{4}}\.\d{{4,5}}(?:v\d+)?|(?i:\bdoi[: ]?[ ]?)10\.\d{{4,9}}/[^\s<>\]]+)""",
    re.VERBOSE | re.DOTALL,
)
REFERENCE = re.compile(r"\[\[([^\[\]\n]+)\]\]")
INSIDE_ALT_TEXT = re.compile(r"!\[[^\]]*$")
NOT_LINE_END = re.compile(r"[^\n]")
UNKNOWN_TEX = r"\text{?}"  # in a formula, where no mark can stand


@dataclass
class CheckedPage:
    """A page between its source and its HTML.

    `source`, `first_line`: what was read, and the line of its first character in the page's file.
    `markdown`: for the generator. `problems`: (line, message). `formulas`: (line, TeX, display).
    """

    source: str
    first_line: int = 1
    markdown: str = ""
    problems: list[tuple[int, str]] = field(default_factory=list)
    formulas: list[tuple[int, str, bool]] = field(default_factory=list)


@dataclass
class Fence:
    """A fenced block, its fence lines included; `ticks`: what opened it and has to close it."""

    start: int
    end: int
    ticks: str
    indent: int
    closed: bool = False


def process(markdown: str, source: Source, first_line: int = 1) -> CheckedPage:
    """Fill in and check a page's Markdown (without front matter)."""
    return Reading(markdown, source, first_line).page()


class Reading:
    """One reading of a page's Markdown: its fences, then its spans, then the prose that is left."""

    def __init__(self, markdown: str, source: Source, first_line: int) -> None:
        self.markdown = markdown
        self.source = source
        self.checked = CheckedPage(markdown, first_line)

    def page(self) -> CheckedPage:
        """The page, filled in and checked."""
        unfenced = self.check_fences()
        prose = self.fill_spans(unfenced)
        checked = self.checked
        checked.problems += refusals.prose_problems(
            self.markdown, prose, self.source.names, checked.first_line
        )
        checked.problems = sorted(set(checked.problems))
        return checked

    def line_of(self, position: int) -> int:
        return self.checked.first_line + self.markdown.count("\n", 0, position)

    def refuse(self, position: int, message: str) -> None:
        self.checked.problems.append((self.line_of(position), message))

    def check_fences(self) -> str:
        """The Markdown with its fenced blocks blanked, but for one that nothing closes."""
        places = []
        for fence in fences(self.markdown):
            opening = self.markdown[fence.start : fence.end].partition("\n")[0]
            titles = " ".join(refusals.VISIBLE_ATTRIBUTE.findall(opening))
            if not fence.closed:
                self.refuse(fence.start, f"khối mã mở bằng {fence.ticks} không được đóng")
                continue
            if refusals.has_digit(titles, self.source.names):
                self.refuse(fence.start, "chữ số gõ tay trong nhan đề của khối mã")
            places.append((fence.start, fence.end))
        return blanked(self.markdown, places)

    def fill_spans(self, unfenced: str) -> str:
        """Fill in the page; what is left when its spans are blanked is prose."""
        pieces = []
        places = []
        at = 0
        for match in SPAN.finditer(unfenced):
            start, end = match.span()
            pieces.append(self.markdown[at:start])
            pieces.append(self.filled(match))
            places.append((start, end))
            at = end
        pieces.append(self.markdown[at:])
        self.checked.markdown = "".join(pieces)
        return blanked(unfenced, places)

    def filled(self, span: re.Match[str]) -> str:
        """What stands for a span: itself, but for `[[…]]`."""
        kind = span.lastgroup
        start, end = span.span()
        text = self.markdown[start:end]
        if kind == "syntax":
            return self.fill(span["body"], start, end)
        if kind in ("display", "inline"):
            return self.formula(text, start, kind == "display")
        if kind == "footnote":
            self.check_footnote(text, start, "chú thích")
        if kind == "target":
            self.check_words(refusals.QUOTED.findall(text), text, start)
        if kind in ("tag", "attributes"):
            self.check_words(refusals.VISIBLE_ATTRIBUTE.findall(text), text, start)
        return text

    def formula(self, text: str, start: int, display: bool) -> str:
        """A formula with its values filled in."""

        def value(found: re.Match[str]) -> str:
            return self.fill(found[1], start + found.start(), start + found.end(), in_formula=True)

        filled = REFERENCE.sub(value, text)
        for problem in refusals.formula_problems(text, filled):
            self.refuse(start, problem)
        self.checked.formulas.append((self.line_of(start), filled.strip("$").strip(), display))
        return filled

    def check_footnote(self, label: str, start: int, called: str) -> None:
        """Its text has to stand somewhere on the page."""
        if f"{label}:" not in self.markdown:
            self.refuse(start, f"{called} {label} không có nguồn ở cuối trang")

    def check_words(self, words: list[str], text: str, start: int) -> None:
        """Look at what a reader meets of a tag, a target or an attribute list."""
        for problem in refusals.attribute_problems(words, text, self.source.names):
            self.refuse(start, problem)

    def fill(self, body: str, start: int, end: int, in_formula: bool = False) -> str:
        """What stands for `[[body]]`; a visible mark where it is refused."""
        before, after = self.rest_of_line(start, end)
        try:
            if INSIDE_ALT_TEXT.search(before):
                raise Refusal("không dùng được trong chữ thay ảnh")
            reference = parse(body)
            record = record_of(reference, self.source)
            if isinstance(record, Refusal):  # told once, where the page names the record
                return refused(str(record), in_formula)
            if in_formula:
                return render_in_formula(reference, record)
            text = render(reference, record, self.source)
            if needs_own_line(reference, text):
                text = on_own_line(text, before, after)
        except Refusal as refusal:
            self.refuse(start, f"[[{body}]]: {refusal}")
            return refused(f"{body}: {refusal}", in_formula)
        if isinstance(reference, Typed) and reference.label:
            self.check_footnote(f"[^{reference.label}]", start, "trích dẫn")
        if not isinstance(reference, Block):
            text += stale_mark(record)
        return text

    def rest_of_line(self, start: int, end: int) -> tuple[str, str]:
        """What stands before and after a place on its line."""
        line_start = self.markdown.rfind("\n", 0, start) + 1
        before = self.markdown[line_start:start]
        after = self.markdown[end:].partition("\n")[0]
        return before, after


def fences(markdown: str) -> list[Fence]:
    """The fenced blocks of a page; the last one may be open."""
    found = []
    opened = None
    at = 0
    for line in without_comments(markdown).splitlines(keepends=True):
        match = FENCE.match(line.rstrip("\n"))
        end = at + len(line)
        if match and opened is None:
            opened = Fence(at, len(markdown), match["fence"], len(match["indent"]))
            found.append(opened)
        elif match and closes(match, opened):
            opened.end = end
            opened.closed = True
            opened = None
        at = end
    return found


def closes(line: re.Match[str], opened: Fence) -> bool:
    """Does this fence line close that block?"""
    same_ticks = line["fence"] == opened.ticks
    return same_ticks and not line["info"].strip() and len(line["indent"]) <= opened.indent


def without_comments(markdown: str) -> str:
    """The Markdown with its HTML comments blanked, but for those on the line of a fence."""
    places = []
    for match in COMMENT.finditer(markdown):
        line_start = markdown.rfind("\n", 0, match.start()) + 1
        if not FENCE.match(markdown[line_start : match.start()]):
            places.append(match.span())
    return blanked(markdown, places)


def blanked(text: str, places: Iterable[tuple[int, int]]) -> str:
    """The text with these places overwritten by blanks. Line ends stay, so positions stay."""
    pieces = []
    at = 0
    for start, end in places:
        pieces.append(text[at:start])
        pieces.append(NOT_LINE_END.sub(" ", text[start:end]))
        at = end
    pieces.append(text[at:])
    return "".join(pieces)


def on_own_line(text: str, before: str, after: str) -> str:
    """A block in the place of a line that holds nothing else but its indentation."""
    if before.strip() or after.strip():
        raise Refusal("phải đứng một mình trên dòng")
    indented = text.replace("\n", "\n" + before)
    return indented.replace("\n" + before + "\n", "\n\n")  # an empty line stays empty


def refused(message: str, in_formula: bool) -> str:
    """What an author sees under `serve` instead of what was refused."""
    if in_formula:
        return UNKNOWN_TEX
    return mark(message)


def stale_mark(record: Record | None) -> str:
    """What an author sees beside a value whose record is not current."""
    if record is None or not record.problems:
        return ""
    return mark(record.problems[0])
