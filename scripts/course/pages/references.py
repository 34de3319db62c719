"""One `[[…]]`: what it asks for, parsed once, and what stands on the page in its place.

    [[hugging_face_round_trip:files.model.safetensors MiB > 400]]   a value: key, format, condition
    [[hugging_face_round_trip:save_seconds / load_seconds .1f]]     the ratio of two of one run
    [[?hugging_face_round_trip:checks.weights = có]]                a condition that shows nothing
    [[hugging_face_round_trip#luu]]                                 the code of a cell
    [[save_and_check#save,check]]                                   functions of a recipe, whole
    [[hugging_face_round_trip#doi-chung output]]                    its output
    [[hugging_face_round_trip figure: Chú thích]]                   the record's figure, inline
    [[def:4 byte]] [[date:2025]] [[version:2.6]] [[claim:474 MB]]   digits typed on purpose
    [[cite:3,8 triệu @kaplan2020]]                                  a cited number with its footnote
    [[course:written]]                                              a list made of the course's data

Code, output, figures and most lists stand alone on their line. What cannot be filled in is refused.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course.pages import values
from course.pages.refusals import TYPED, has_digit
from course.records.cells import code_section, output_section
from course.records.excerpts import excerpt
from course.records.record import Record, lookup
from course.text import Refusal, read

VALUE = re.compile(
    r"(?P<hidden>\?)?(?P<workflow>[\w.-]+):(?P<key>[^\s/]\S*)"
    r"(?: / (?P<divisor>\S+))?"
    r"(?: (?P<form>(?:\.\d)?[A-Za-z%]*))?"
    r"(?: (?P<condition>(?:=|!=|<=|>=|<|>) .+))?"
)
BLOCK = re.compile(
    r"(?P<workflow>[\w.-]+)#(?P<section>[\w-]+(?:, ?\w+)*)"
    r"(?P<output> output)?"
)
FIGURE = re.compile(r"(?P<workflow>[\w.-]+) figure: (?P<caption>.+)")
LOOKS_LIKE = {  # the other kinds are free text
    "version": re.compile(r"[vV]?\d[\w.+-]*"),
    "date": re.compile(r"(?:(?:ngày|tháng|năm) )?\d[\d.,/–-]*"),
}
UNLIKE = {"version": "không giống một phiên bản", "date": "không giống một ngày tháng"}

# What Markdown or one of its extensions takes for a sign, and the end of a line. An underscore
# between letters is none, and names of files and keys are full of them.
SIGN = re.compile(r"[\\`*\[\]{}<>|~^$&\"'\n]|(?<![^\W_])_|_(?![^\W_])")


@dataclass
class Source:
    """What a page may draw from.

    `results`: name of an experiment -> its record, or why that cannot be used.
    `names`: names that hold digits and may stand in prose (GPT-2).
    `lists`: name -> Markdown, for `[[course:…]]`.
    `recipes`: name of a recipe -> its file.
    """

    results: dict[str, Record | Refusal]
    names: list[str] = field(default_factory=list)
    lists: dict[str, Callable[[], str]] = field(default_factory=dict)
    recipes: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Value:
    """A recorded value, or with a `divisor` the ratio of two; `hidden`: its condition alone."""

    workflow: str
    key: str
    divisor: str = ""
    form: str = ""
    condition: str = ""
    hidden: bool = False


@dataclass(frozen=True)
class Block:
    """The code of a cell, or what it printed.

    Of a recipe, `section` names functions, with commas between them.
    """

    workflow: str
    section: str
    output: bool = False


@dataclass(frozen=True)
class Figure:
    """The figure of a record; its caption is also its text alternative."""

    workflow: str
    caption: str


@dataclass(frozen=True)
class Typed:
    """Digits that an author typed, marked as what they are; `label` names the footnote cited."""

    kind: str
    text: str
    label: str = ""


@dataclass(frozen=True)
class CourseList:
    """A list made of the course's data."""

    name: str


Reference = Value | Block | Figure | Typed | CourseList


def parse(body: str) -> Reference:
    """What stands between `[[` and `]]`."""
    kind, _, text = body.partition(":")
    if kind in TYPED:
        return parse_typed(kind, text.strip())
    if kind == "course":
        return CourseList(text)
    if match := FIGURE.fullmatch(body):
        return Figure(match["workflow"], match["caption"])
    if match := BLOCK.fullmatch(body):
        return Block(match["workflow"], match["section"], bool(match["output"]))
    if match := VALUE.fullmatch(body):
        return parse_value(match)
    if kind == "chưa viết":
        raise Refusal("còn phải viết")
    raise Refusal("cú pháp không hiểu được")


def parse_typed(kind: str, text: str) -> Typed:
    """Digits typed on purpose."""
    label = ""
    if kind in LOOKS_LIKE and not LOOKS_LIKE[kind].fullmatch(text):
        raise Refusal(UNLIKE[kind])
    if kind == "cite":
        text, _, label = text.rpartition(" @")
        if not text or not re.fullmatch(r"[\w-]+", label):
            raise Refusal("trích dẫn cần nguồn: [[cite:… @nhãn]] và [^nhãn]: … ở cuối trang")
    if not text:
        raise Refusal("thiếu nội dung")
    return Typed(kind, text, label)


def parse_value(match: re.Match[str]) -> Value:
    """A value, a ratio or a condition."""
    parts = match.groupdict(default="")
    hidden = bool(parts.pop("hidden"))
    value = Value(**parts, hidden=hidden)
    if value.hidden and not value.condition:
        raise Refusal("[[?…]] phải có điều kiện")
    return value


def record_of(reference: Reference, source: Source) -> Record | Refusal | None:
    """The record that a reference needs, or why that cannot be used; None when it needs none."""
    if isinstance(reference, Typed | CourseList) or is_of_recipe(reference, source):
        return None
    if reference.workflow not in source.results:
        raise Refusal(
            f"«{reference.workflow}» không nằm trong `experiments` hay `recipes` ở đầu trang"
        )
    return source.results[reference.workflow]


def is_of_recipe(reference: Reference, source: Source) -> bool:
    """Does it ask for functions of a recipe?"""
    return isinstance(reference, Block) and reference.workflow in source.recipes


def render(reference: Reference, record: Record | None, source: Source) -> str:
    """Markdown that stands for a reference in prose."""
    if isinstance(reference, Typed):
        return render_typed(reference)
    if isinstance(reference, CourseList):
        if reference.name not in source.lists:
            raise Refusal(f"không có danh sách «{reference.name}»")
        return source.lists[reference.name]()
    if isinstance(reference, Figure):
        return render_figure(reference, record, source.names)
    if is_of_recipe(reference, source):
        return render_excerpt(reference, source.recipes[reference.workflow])
    if isinstance(reference, Block):
        return render_block(reference, record)
    return render_value(reference, record)


def needs_own_line(reference: Reference, text: str) -> bool:
    """Is what stands for a reference a block? Of the lists some are one line, made as a <span>."""
    if isinstance(reference, CourseList):
        return not text.startswith("<span")
    return isinstance(reference, Block | Figure)


def render_typed(typed: Typed) -> str:
    """The text as Markdown, but for `$`: it stands for money."""
    text = typed.text.replace("$", r"\$")
    note = f"[^{typed.label}]" if typed.label else ""
    return f'<span class="typed-{typed.kind}">{text}</span>{note}'


def render_value(value: Value, record: Record) -> str:
    """A recorded value as inline HTML that says where it comes from."""
    found, text = looked_up(value, record)
    if value.hidden:
        return ""
    source = f"{record.name}: {value.key}"
    if value.divisor:
        source += f" / {value.divisor}"
    raw = str(found)
    if isinstance(found, bool):
        raw = raw.lower()
    shown = literal(text)
    if not isinstance(found, str):  # a number stays with its unit and has a true minus sign
        shown = shown.replace(" ", "&nbsp;").replace("-", "−")
    return f'<data value="{literal(raw)}" title="{literal(source)}">{shown}</data>'


def render_in_formula(reference: Reference, record: Record | None) -> str:
    """TeX of a number with its unit."""
    if not isinstance(reference, Value):
        raise Refusal("trong công thức chỉ đặt được số của bản ghi")
    found, text = looked_up(reference, record)
    if reference.hidden:
        return ""
    if not values.is_number(found):
        raise Refusal("trong công thức chỉ đặt được số của bản ghi")
    figures, _, unit = text.partition(" ")
    tex = figures.replace(",", "{,}")
    if unit:
        unit = unit.replace("%", r"\%")
        tex += rf"\ \text{{{unit}}}"
    return tex


def looked_up(value: Value, record: Record) -> tuple[Any, str]:
    """What the record holds, its condition checked, and how a page shows it."""
    found, section = lookup(record.data, value.key)
    if value.divisor:
        divisor, its_section = lookup(record.data, value.divisor)
        numbers = values.is_number(found) and values.is_number(divisor)
        if not numbers or divisor == 0 or section != its_section:
            raise Refusal("tỉ số cần hai số, số dưới khác không, trong cùng một phần của bản ghi")
        found = found / divisor
    if value.condition:
        values.check(values.scaled(found, value.form), value.condition)
    if value.hidden:
        return found, ""
    text = values.show(found, value.form)
    if is_time(value.key, section) and not value.divisor:  # a ratio holds on other machines, too
        text += f" (trên {machine_of(record)})"
    return found, text


def is_time(key: str, section: str) -> bool:
    """Is it a time measured on one machine?"""
    return section == "timing" or ".timing." in key or key.endswith("wall_seconds")


def machine_of(record: Record) -> str:
    """The machine of a record, in a few words."""
    provenance = record.data["provenance"]
    return f"{provenance['cpu']}, {provenance['threads']} luồng"


def render_block(block: Block, record: Record) -> str:
    """The code of a cell, or its output, as a fenced block."""
    cell = code_section(read(record.script), block.section)
    if not block.output:
        return fenced(cell.code, "python", f"Thí nghiệm {record.script.name} · {cell.title}")
    command, printed = output_section(record.transcript, block.section)
    if not printed.strip():
        raise Refusal(f"ô «{cell.title}» không in gì trong bản ghi")
    return fenced(printed, "text", f"Kết quả · {command}", "output")


def render_excerpt(block: Block, recipe: Path) -> str:
    """Functions of a recipe, with all that they need to run, as a fenced block."""
    if block.output:
        raise Refusal("script để chép không có kết quả để hiện")
    names = [name.strip() for name in block.section.split(",")]
    return fenced(excerpt(read(recipe), names), "python", recipe.name)


def fenced(text: str, language: str, title: str, style: str = "") -> str:
    """A fenced block; its fence is longer than every run of backticks in the text."""
    ticks = "```"
    while ticks in text:
        ticks += "`"
    header = f'{language} title="{title}"'
    if style:
        header = f' {{ .{language} .{style} title="{title}" }}'
    return f"{ticks}{header}\n{text}\n{ticks}"


def render_figure(figure: Figure, record: Record, names: list[str]) -> str:
    """The drawing itself, inline, so that it follows the theme."""
    if not record.figure:
        raise Refusal("bản ghi không có hình")
    if has_digit(figure.caption, names):
        raise Refusal("chữ số gõ tay trong chú thích hình")
    if "<svg" not in record.figure:
        raise Refusal("tệp hình không phải SVG")
    caption = html.escape(figure.caption)
    drawing = record.figure[record.figure.index("<svg") :]
    drawing = re.sub(r"\n\s*", " ", drawing).strip()  # a blank line would end the HTML block
    drawing = drawing.replace("<svg", f'<svg role="img" aria-label="{caption}"', 1)
    return f"<figure>{drawing}<figcaption>{caption}</figcaption></figure>"


def literal(text: str) -> str:
    """HTML of a text that shows every letter of it wherever it stands in Markdown."""
    return SIGN.sub(lambda sign: f"&#{ord(sign[0])};", text)


def mark(message: str) -> str:
    """A visible mark for the author under `serve`."""
    return f'<mark class="record-problem">⚠ {literal(message)}</mark>'
