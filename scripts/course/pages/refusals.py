"""What may not be typed on a page: digits, TeX outside a formula, text that is not NFC.

One rule, checked twice: in the source, where the line is known, and on the rendered page, by what a
reader would see. The second finds what Markdown made of the source against expectation.
"""

from __future__ import annotations

import html
import re
import unicodedata
from html.parser import HTMLParser

from course.pages.elements import OpenElements

SIXTY_SECONDS = "Trong 60 giây"  # a section of every lesson: a heading, and *a name* in a sentence
TYPED = ["cite", "claim", "def", "version", "date"]  # kinds of digits typed on purpose
DIGITS = {"Nd", "No", "Nl"}  # Unicode's kinds of digits: 4, ² and ½, Ⅳ

# Of the source.
HEADING = re.compile(r"^[ ]{0,3}#{1,6}[ \t]")
CODE_SPAN = re.compile(r"`[^`]*`")
LIST_MARKER = re.compile(r"^[ \t>]*(?:[-*+][ \t]+)?\d{1,2}\.(?=[ \t])")
LIST_LINE = re.compile(r"^[ \t>]*(?:[-*+]|\d{1,2}\.)[ \t]|^[ \t]+\S")
TEX = re.compile(r"\\(?:[A-Za-z]{2,}|[(\[])|\\begin\b")
TEX_RULE = re.compile(r"={3,}")
MORE_THAN_A_NUMBER = re.compile(r"[^\d.,\s{}\\%]")
QUOTED = re.compile(r'"[^"]*"')
VISIBLE_ATTRIBUTE = re.compile(
    r"\b(?:alt|title|aria-\w+|summary|placeholder|value|start|label)\s*=\s*"
    r"""("[^"]*"|'[^']*'|[^\s>"']+)""",
    re.IGNORECASE,
)

# Of the rendered page.
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
FREE_CLASSES |= {f"typed-{kind}" for kind in TYPED}
READ_OUT = {"alt", "title", "placeholder", "summary", "value", "start", "label"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
IDENTIFIER = re.compile(
    r"https?://\S+|arXiv[: ]\d{4}\.\d{4,5}(?:v\d+)?|\bdoi[: ]? ?10\.\S+", re.IGNORECASE
)
LEFT_OVER = ["[[", "]]", "$$", "][", "]("]


def has_digit(text: str, names: list[str]) -> bool:
    """Is there a digit outside the names that hold one?"""
    text = html.unescape(text)
    if names:
        known = "|".join(map(re.escape, names))
        text = re.sub(rf"(?<![\w-])(?:{known})(?![\w-])", "", text)
    return any(unicodedata.category(letter) in DIGITS for letter in text)


def prose_problems(
    markdown: str, prose: str, names: list[str], first_line: int
) -> list[tuple[int, str]]:
    """What is wrong with each line, as (line, message).

    `prose`: the Markdown with everything that is not prose blanked.
    """
    problems = []
    previous = ""
    lines = zip(markdown.split("\n"), prose.split("\n"), strict=True)
    for number, (line, rest) in enumerate(lines, first_line):
        if not previous.strip() or LIST_LINE.match(previous):  # else "4." continues a sentence
            rest = LIST_MARKER.sub("", rest)
        for problem in line_problems(line, rest, names):
            problems.append((number, problem))
        previous = line
    return problems


def line_problems(line: str, prose: str, names: list[str]) -> list[str]:
    """What is wrong with one line."""
    problems = []
    if HEADING.match(prose):
        if re.search(r"\$|\[\[", CODE_SPAN.sub("", line)):
            problems.append("tiêu đề không được chứa công thức hay [[…]]")
        prose = prose.replace(SIXTY_SECONDS, "")
    prose = prose.replace(f"*{SIXTY_SECONDS}*", "")
    if "[[" in prose or "]]" in prose:
        problems.append("[[…]] không khép trên cùng một dòng, hoặc có ngoặc vuông bên trong")
    if has_digit(prose, names):
        problems.append(
            f"chữ số gõ tay: «{line.strip()}». "
            f"Lấy từ bản ghi, hoặc đánh dấu [[{'|'.join(TYPED)}:…]]"
        )
    if found := TEX.search(prose):
        problems.append(f"TeX nằm ngoài công thức: «{found[0]}»")
    if unicodedata.normalize("NFC", line) != line:
        problems.append("văn bản không ở dạng Unicode NFC")
    return problems


def attribute_problems(words: list[str], text: str, names: list[str]) -> list[str]:
    """What is wrong with a tag, a link's target or an attribute list.

    `words`: of the whole `text`, what a reader meets.
    """
    problems = []
    if has_digit(" ".join(words), names):
        problems.append(f"chữ số gõ tay trong chữ được đọc lên: {text}")
    if "[[" in text:
        problems.append(f"[[…]] không dùng được trong thẻ hay thuộc tính: {text}")
    return problems


def formula_problems(typed: str, filled: str) -> list[str]:
    """What is wrong with a formula, as it was typed and with its `[[…]]` filled in."""
    problems = []
    if TEX_RULE.search(filled):
        problems.append("công thức có «===»: dấu hiệu của văn bản chép hỏng")
    if not MORE_THAN_A_NUMBER.search(typed.strip("$")):
        problems.append(f"«{typed}» là chữ số gõ tay, không phải công thức")
    return problems


class Reader(HTMLParser):
    """Reads a rendered page.

    `problems`: (text near it, message). `formulas`: the TeX of each, and `in_heading`: whether a
    heading holds it.
    """

    def __init__(self, names: list[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.names = names
        self.open = OpenElements()
        self.problems: list[tuple[str, str]] = []
        self.formulas: list[str] = []
        self.in_heading: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        classes = set((known.get("class") or "").split())
        marks = set()
        if tag in FREE_TAGS or classes & FREE_CLASSES:
            marks.add("free")
        if tag in HEADINGS:
            marks.add("heading")
        if tag in HEADINGS or tag == "em":
            marks.add("name")
        if "arithmatex" in classes:
            self.formulas.append("")
            self.in_heading.append("heading" in self.open.marks)
            marks.add("formula")
        if "free" not in marks | self.open.marks:
            self.check_attributes(attrs)
        self.open.open(tag, marks)

    def check_attributes(self, attrs: list[tuple[str, str | None]]) -> None:
        """Look at those that a browser shows or reads out."""
        for name, value in attrs:
            read_out = name in READ_OUT or name.startswith("aria-")
            if read_out and value and has_digit(value, self.names):
                self.problems.append((value, f"chữ số gõ tay trong {name}: «{value}»"))

    def handle_endtag(self, tag: str) -> None:
        self.open.close(tag)

    def handle_data(self, data: str) -> None:
        marks = self.open.marks
        if "formula" in marks:
            self.formulas[-1] += data
            return
        if "free" in marks:
            return
        text = IDENTIFIER.sub("", data)
        if "name" in marks:
            text = text.replace(SIXTY_SECONDS, "")
        shown = " ".join(data.split())
        if has_digit(text, self.names):
            self.problems.append((data, f"chữ số gõ tay: «{shown}»"))
        for sign in LEFT_OVER:
            if sign in text:
                self.problems.append((data, f"«{sign}» còn nguyên trên trang: «{shown}»"))


def read(content: str, names: list[str]) -> Reader:
    """Read a page's rendered content; `names` may hold digits."""
    reader = Reader(names)
    reader.feed(content)
    reader.close()
    return reader


def line_of(snippet: str, markdown: str, first_line: int) -> int:
    """Line of the source that holds the snippet, or the longest part of it that is found."""
    parts = [part.strip() for part in re.split(r"[\n«»]", snippet)]
    for part in sorted(parts, key=len, reverse=True):
        if part and part in markdown:
            return first_line + markdown.count("\n", 0, markdown.index(part))
    return first_line
