"""A lesson's Markdown: fill in what comes from records and scripts, and refuse what may not be typed.

The one inline syntax of the project, `[[…]]` (never inside code):

    [[hugging_face_round_trip:files.model.safetensors MiB > 400]]   value by key, format, condition
    [[hugging_face_round_trip:save_seconds / load_seconds .1f]]     ratio of two values of one run
    [[?hugging_face_round_trip:checks.weights = có]]                condition only, shows nothing
    [[hugging_face_round_trip#luu]]                                 code of a section   (alone on its line)
    [[hugging_face_round_trip#doi-chung output]]                    its output; may end in `--break weight`
    [[hugging_face_round_trip figure: Chú thích]]                   the record's figure, inline
    [[def:4 byte]] [[date:2025]] [[version:2.6]] [[claim:474 MB]]   digits typed on purpose, by what they are
    [[cite:3,8 triệu @kaplan2020]]                                  a cited number with its footnote
    [[course:written]]                                              lists made from the course's data

Plain Python: nothing here knows MkDocs.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from course.pages import values
from course.records import cells as sections
from course.records import record as records

TYPED = ("cite", "claim", "def", "version", "date")
PATTERNS = {  # what a version and a date look like; the other kinds are free text
    "version": re.compile(r"[vV]?\d[\w.+-]*"),
    "date": re.compile(r"(?:(?:ngày|tháng|năm) )?\d[\d.,/–-]*"),
}
FENCE = re.compile(
    r"^(?P<indent>(?:[ \t>]|[-*+][ ]|\d+[.)][ ])*)(?P<fence>`{3,}|~{3,})(?P<info>[^`\n]*)$"
)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
# A line end that does not end the block that a span stands in.
SAME_BLOCK = r"(?!\n[ \t>]*(?:\n|[-*+][ \t]|[|\#]|\d+[.)][ \t]))"
# Everything that is not prose, in the order in which it is tried.
SPAN = re.compile(
    rf"""(?P<comment><!--.*?-->)
      | (?P<code>(?<!`)(?P<tick>`+)(?!`)(?:{SAME_BLOCK}.)+?(?<!`)(?P=tick)(?!`))
      | (?P<escape>\\[\\`*_{{}}#+.!$-])
      | (?P<display>\$\$(?P<block>(?:(?!\n[ \t>]*\n).)+?)\$\$)
      | (?P<inline>\$(?![\s$])(?P<tex>(?:\\.|{SAME_BLOCK}[^\\$])+?)(?<!\s)\$(?!\d))
      | (?P<syntax>\[\[(?P<body>[^\[\]\n]+)\]\])
      | (?P<autolink><https?://[^>\s]+>)
      | (?P<verbatim><(?P<name>code|pre|kbd)\b[^<>]*>(?:{SAME_BLOCK}.)*?</(?P=name)>)
      | (?P<tag></?[A-Za-z][^\s<>@]*(?:\s(?:(?!\n[ \t>]*\n)[^<>])*)?>)
      | (?P<target>(?<=[^\]]\])(?<!\^)\((?:<[^>\n]*>|[^()\s]*)(?:\s+"[^"\n]*")?\))
      | (?P<definition>(?m:^[ ]{{0,3}}\[(?!\^)[^\]\n]+\]:[ ]*\n?[ ]*\S+(?=[ ]*(?:\n|\Z|["'(]))))
      | (?P<footnote>\[\^[^\]\n]+\])
      | (?P<attributes>\{{:?[ ]*[\#.:\w][^{{}}\n]*\}})
      | (?P<url>https?://[^\s<>)\]]+)
      | (?P<identifier>arXiv[: ]\d{{4}}\.\d{{4,5}}(?:v\d+)?|(?i:\bdoi[: ]?[ ]?)10\.\d{{4,9}}/[^\s<>\]]+)""",
    re.VERBOSE | re.DOTALL,
)
VALUE = re.compile(
    r"(?P<hidden>\?)?(?P<workflow>[\w.-]+):(?P<key>[^\s/][^\s]*)(?: / (?P<over>\S+))?"
    r"(?: (?P<form>(?:\.\d)?[A-Za-z%]*))?(?: (?P<condition>(?:=|!=|<=|>=|<|>) .+))?"
)
BLOCK = re.compile(
    r"(?P<workflow>[\w.-]+)#(?P<section>[\w-]+)(?P<output> output)?(?P<options>(?: --?[\w-]+(?: [\w.-]+)?)*)"
)
FIGURE = re.compile(r"(?P<workflow>[\w.-]+) figure: (?P<caption>.+)")
VISIBLE_ATTRIBUTE = re.compile(
    r"""\b(?:alt|title|aria-\w+|summary|placeholder|value|start|label)\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+)""",
    re.IGNORECASE,
)
SIXTY_SECONDS = (
    "Trong 60 giây"  # a section that every lesson has; holds a digit as a heading and as *a name*
)
TEX = re.compile(r"\\(?:[A-Za-z]{2,}|[(\[])|\\begin\b")
HEADING = re.compile(r"^[ ]{0,3}#{1,6}[ \t]")
LIST_MARKER = re.compile(r"^[ \t>]*(?:[-*+][ \t]+)?\d{1,2}\.(?=[ \t])")
LIST_LINE = re.compile(r"^[ \t>]*(?:[-*+]|\d{1,2}\.)[ \t]|^[ \t]+\S")
TEX_RULES = re.compile(r"={3,}")


@dataclass
class Source:
    """What a page may draw from.

    `results`: workflow name -> record, or the RecordError met when it was read.
    `names`: names that hold digits (GPT-2). `lists`: name -> Markdown, for `[[course:…]]`.
    """

    results: dict[str, records.Record | records.RecordError]
    names: list[str] = field(default_factory=list)
    lists: dict[str, Callable[[], str]] = field(default_factory=dict)


@dataclass
class CheckedPage:
    """A processed page: Markdown for the generator, problems as (line, message), formulas as (line, TeX, display)."""

    markdown: str = ""
    problems: list[tuple[int, str]] = field(default_factory=list)
    formulas: list[tuple[int, str, bool]] = field(default_factory=list)


from course.text import Refusal


class Refused(Refusal):
    """One `[[…]]` cannot be filled; the message is one Vietnamese line."""


def process(markdown: str, source: Source, first_line: int = 1) -> CheckedPage:
    """Fill in and check a page's Markdown (without front matter); `first_line` is the line of its first character."""
    page = CheckedPage()
    page.source, page.first_line = markdown, first_line
    prose = list(markdown)
    pieces: list[str] = []
    at = 0

    def line_of(position: int) -> int:
        return first_line + markdown.count("\n", 0, position)

    def refuse(position: int, message: str) -> None:
        page.problems.append((line_of(position), message))

    def fill(position: int, end: int, body: str, in_math: bool = False) -> str:
        record = source.results.get(re.split("[:# ]", body.lstrip("?"))[0])
        if isinstance(record, records.RecordError):  # told once, for the page
            return r"\text{?}" if in_math else mark(str(record))
        stale = record.problems if record else []
        line = markdown[markdown.rfind("\n", 0, position) + 1 :].partition("\n")[0]
        before = line[: position - markdown.rfind("\n", 0, position) - 1]
        try:
            if re.search(r"!\[[^\]]*$", before):
                raise Refused("không dùng được trong chữ thay ảnh")
            text = replacement(body, source, before, line[len(before) + end - position :], in_math)
        except (Refused, records.RecordError, sections.SectionError, values.ValueProblem) as error:
            refuse(position, f"[[{body}]]: {error}")
            return r"\text{?}" if in_math else mark(f"{body}: {error}")
        return text + (
            mark(stale[0]) if stale and not in_math and not BLOCK.fullmatch(body) else ""
        )

    for start, end, problem in fences(markdown):
        titles = " ".join(VISIBLE_ATTRIBUTE.findall(markdown[start:end].partition("\n")[0]))
        if problem or has_digit(titles, source.names):
            refuse(start, problem or "chữ số gõ tay trong nhan đề của khối mã")
        if not problem:
            blank(prose, start, end)
    for match in SPAN.finditer("".join(prose)):
        kind, (start, end) = str(match.lastgroup), match.span()
        text = markdown[start:end]
        if kind == "syntax":
            text = fill(start, end, match["body"])
            for label in re.findall(r"\[\^[\w-]+\]$", text):
                if f"{label}:" not in markdown:
                    refuse(start, f"trích dẫn {label} không có nguồn ở cuối trang")
        elif kind in ("display", "inline"):
            tex = re.sub(
                r"\[\[([^\[\]\n]+)\]\]",
                lambda found, here=start: fill(
                    here + found.start(), here + found.end(), found[1], in_math=True
                ),
                text,
            )
            if TEX_RULES.search(tex):
                refuse(start, "công thức có «===»: dấu hiệu của văn bản chép hỏng")
            if not re.search(r"[^\d.,\s{}\\%]", text.strip("$")):
                refuse(start, f"«{text}» là chữ số gõ tay, không phải công thức")
            page.formulas.append((line_of(start), tex.strip("$").strip(), kind == "display"))
            text = tex
        elif kind == "footnote" and f"{text}:" not in markdown:
            refuse(start, f"chú thích {text} không có nguồn ở cuối trang")
        elif kind in ("tag", "target", "attributes"):
            titles = (
                re.findall(r'"[^"]*"', text)
                if kind == "target"
                else VISIBLE_ATTRIBUTE.findall(text)
            )
            if has_digit(" ".join(titles), source.names):
                refuse(start, f"chữ số gõ tay trong chữ được đọc lên: {text}")
            if "[[" in text:
                refuse(start, f"[[…]] không dùng được trong thẻ hay thuộc tính: {text}")
        pieces += [markdown[at:start], text]
        at = end
        blank(prose, start, end)
    page.markdown = "".join([*pieces, markdown[at:]])
    previous = ""
    lines = zip(markdown.split("\n"), "".join(prose).split("\n"), strict=True)
    for number, (line, rest) in enumerate(lines, first_line):
        if LIST_MARKER.match(rest) and (not previous.strip() or LIST_LINE.match(previous)):
            rest = LIST_MARKER.sub("", rest)
        page.problems += [(number, problem) for problem in line_problems(line, rest, source.names)]
        previous = line
    page.problems = sorted(set(page.problems))
    return page


def line_problems(line: str, prose: str, names: list[str]) -> list[str]:
    """What is wrong with one line; `prose` is the line with everything that is not prose blanked."""
    problems = []
    if HEADING.match(prose):
        if re.search(r"\$|\[\[", re.sub(r"`[^`]*`", "", line)):
            problems.append("tiêu đề không được chứa công thức hay [[…]]")
        prose = prose.replace(SIXTY_SECONDS, "")
    prose = prose.replace(f"*{SIXTY_SECONDS}*", "")
    if "[[" in prose or "]]" in prose:
        problems.append("[[…]] không khép trên cùng một dòng, hoặc có ngoặc vuông bên trong")
    if has_digit(prose, names):
        problems.append(
            f"chữ số gõ tay: «{line.strip()}». Lấy từ bản ghi, hoặc đánh dấu [[{'|'.join(TYPED)}:…]]"
        )
    if found := TEX.search(prose):
        problems.append(f"TeX nằm ngoài công thức: «{found[0]}»")
    if unicodedata.normalize("NFC", line) != line:
        problems.append("văn bản không ở dạng Unicode NFC")
    return problems


def has_digit(text: str, names: list[str]) -> bool:
    """Is there a digit (also ², ½) outside the names that hold one?"""
    text = html.unescape(text)
    if names:
        text = re.sub(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])", "", text)
    return any(unicodedata.category(letter) in ("Nd", "No", "Nl") for letter in text)


def fences(markdown: str) -> list[tuple[int, int, str]]:
    """Start, end and problem of each fenced block, fence lines included; a fence that nothing closes has a problem."""
    hidden = list(markdown)
    for match in COMMENT.finditer(markdown):
        if not FENCE.match(markdown[markdown.rfind("\n", 0, match.start()) + 1 : match.start()]):
            blank(hidden, *match.span())
    found: list[tuple[int, int, str]] = []
    at, opened, indent, start = 0, "", 0, 0
    for line in "".join(hidden).splitlines(keepends=True):
        match = FENCE.match(line.rstrip("\n"))
        if match and not opened:
            opened, indent, start = match["fence"], len(match["indent"]), at
        elif (
            match
            and match["fence"] == opened
            and not match["info"].strip()
            and len(match["indent"]) <= indent
        ):
            found.append((start, at + len(line), ""))
            opened = ""
        at += len(line)
    return [*found, (start, at, f"khối mã mở bằng {opened} không được đóng")] if opened else found


def blank(letters: list[str], start: int, end: int) -> None:
    """Overwrite with blanks, keeping line ends."""
    letters[start:end] = [letter if letter == "\n" else " " for letter in letters[start:end]]


def mark(message: str) -> str:
    """A visible mark for the author under `serve`."""
    return f'<mark class="record-problem">⚠ {html.escape(message)}</mark>'


def replacement(body: str, source: Source, before: str, after: str, in_math: bool) -> str:
    """What stands for one `[[body]]` between the rest of its line. Raises Refused, or what the modules below raise."""
    kind, _, text = body.partition(":")
    if kind in TYPED:
        return typed(kind, text.strip())
    if kind == "course":
        if text not in source.lists:
            raise Refused(f"không có danh sách «{text}»")
        listed = source.lists[text]()
        return block(listed, before, after) if not listed.startswith("<span") else listed
    if match := FIGURE.fullmatch(body):
        return block(
            figure(result(match["workflow"], source), match["caption"], source.names), before, after
        )
    if match := BLOCK.fullmatch(body):
        return block(code(result(match["workflow"], source), match), before, after)
    if match := VALUE.fullmatch(body):
        return value(result(match["workflow"], source), match, in_math)
    raise Refused("còn phải viết" if kind == "chưa viết" else "cú pháp không hiểu được")


def result(workflow: str, source: Source) -> records.Record:
    """The record of that workflow."""
    found = source.results.get(workflow)
    if found is None:
        raise Refused(f"«{workflow}» không nằm trong `results` ở đầu trang")
    if isinstance(found, records.RecordError):
        raise found
    return found


def value(record: records.Record, match: re.Match[str], in_math: bool) -> str:
    """A recorded value, or the ratio of two, as inline HTML (as TeX inside a formula)."""
    shown, section = records.lookup(record.data, match["key"])
    if match["over"]:
        below, other = records.lookup(record.data, match["over"])
        if (
            section != other
            or not all(type(part) in (int, float) for part in (shown, below))
            or not below
        ):
            raise Refused("tỉ số cần hai số, số dưới khác không, trong cùng một phần của bản ghi")
        shown = shown / below
    if match["condition"]:
        values.check(values.scaled(shown, match["form"] or ""), match["condition"])
    if match["hidden"]:
        if not match["condition"]:
            raise Refused("[[?…]] phải có điều kiện")
        return ""
    text = values.show(shown, match["form"] or "")
    timed = (
        section == "timing" or ".timing." in match["key"] or match["key"].endswith("wall_seconds")
    )
    if timed and not match["over"]:
        text += f" (trên {machine(record)})"
    if in_math:
        figures, _, unit = text.partition(" ")
        return figures.replace(",", "{,}").replace("%", r"\%") + (
            rf"\ \text{{{unit}}}" if unit else ""
        )
    source_key = html.escape(
        f"{record.name}: {match['key']}" + (f" / {match['over']}" if match["over"] else "")
    )
    raw = html.escape(str(shown).lower() if isinstance(shown, bool) else str(shown))
    text = html.escape(text)
    if not isinstance(shown, str):  # a number stays with its unit; a message may break
        text = text.replace(" ", "&nbsp;")
    return f'<data value="{raw}" title="{source_key}">{text}</data>'


def machine(record: records.Record) -> str:
    """The machine of a record, in a few words."""
    known = record.data["provenance"]
    return f"{known['cpu']}, {known['threads']} luồng"


def typed(kind: str, text: str) -> str:
    """Digits that an author typed, marked as what they are."""
    note, text = "", text.replace("$", r"\$")
    if kind in PATTERNS and not PATTERNS[kind].fullmatch(text):
        raise Refused(
            "không giống một phiên bản" if kind == "version" else "không giống một ngày tháng"
        )
    if kind == "cite":
        text, _, label = text.rpartition(" @")
        if not text or not re.fullmatch(r"[\w-]+", label):
            raise Refused("trích dẫn cần nguồn: [[cite:… @nhãn]] và [^nhãn]: … ở cuối trang")
        note = f"[^{label}]"
    if not text:
        raise Refused("thiếu nội dung")
    return f'<span class="typed-{kind}">{text}</span>{note}'


def block(text: str, before: str, after: str) -> str:
    """A block in the place of a line that holds nothing else but its indentation."""
    if before.strip() or after.strip():
        raise Refused("phải đứng một mình trên dòng")
    return text.replace("\n", "\n" + before).replace("\n" + before + "\n", "\n\n")


def code(record: records.Record, match: re.Match[str]) -> str:
    """A section's code, or its output, as a fenced block."""
    script = records.read(record.script)
    cell = sections.code_section(script, match["section"])
    if not match["output"]:
        return fenced(cell.code, "python", f"{record.script.name} · {cell.title}")
    command, printed = sections.output_section(
        record.transcript, match["section"], match["options"].strip()
    )
    if not printed.strip():
        raise Refused(f"ô «{cell.title}» không in gì trong bản ghi")
    return fenced(printed, "text", f"Kết quả · {command}", "output")


def fenced(text: str, language: str, title: str, style: str = "") -> str:
    """A fence long enough for the text."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    named = f' title="{title}"' if title else ""
    header = f" {{ .{language} .{style}{named} }}" if style else f"{language}{named}"
    return f"{ticks}{header}\n{text}\n{ticks}"


def figure(record: records.Record, caption: str, names: list[str]) -> str:
    """The record's figure, inline so that it follows the theme, with its caption as text alternative."""
    if not record.figure:
        raise Refused("bản ghi không có hình")
    if has_digit(caption, names):
        raise Refused("chữ số gõ tay trong chú thích hình")
    if "<svg" not in record.figure:
        raise Refused("tệp hình không phải SVG")
    drawing = re.sub(r"\n\s*", " ", record.figure[record.figure.index("<svg") :]).strip()
    drawing = drawing.replace("<svg", f'<svg role="img" aria-label="{html.escape(caption)}"', 1)
    return f"<figure>{drawing}<figcaption>{html.escape(caption)}</figcaption></figure>"
