"""Named sections: the cells of a script, and the part of a transcript that each cell printed.

A cell opens with `# %% Title`. A cell that prints begins with `print("== Title ==")`, so its output
carries the same name in every terminal, and in the transcript. A section is named by the slug of
its title.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from course.text import Refusal, slugify

CELL = re.compile(r"^# %%[ \t]*(.*?)[ \t]*$")
PRINTED = re.compile(r"^== (.+) ==$")


@dataclass(frozen=True)
class Cell:
    """One cell of a script: title, code without the `# %%` line, its first line (1-based)."""

    title: str
    code: str
    line: int

    @property
    def slug(self) -> str:
        """Name of the section in pages."""
        return slugify(self.title)


def docstring_of(script: str) -> str:
    """The opening docstring of a script, as written; empty while the script does not parse."""
    try:
        return ast.get_docstring(ast.parse(script)) or ""
    except SyntaxError:
        return ""


def cells_of(script: str) -> list[Cell]:
    """Cells of a script in order; what stands before the first `# %%` is no cell."""
    cells: list[Cell] = []
    lines = script.split("\n")
    title = ""
    start = 0  # index of the first line of the open cell; 0: none is open
    for index, line in enumerate([*lines, "# %%"]):  # the line added closes the last cell
        match = CELL.match(line)
        if not match:
            continue
        if start:
            code = "\n".join(lines[start:index]).strip("\n")
            cells.append(Cell(title, code, start + 1))
        title = match[1]
        start = index + 1
    return cells


def code_section(script: str, name: str) -> Cell:
    """The cell of that name. Raises Refusal naming the ones there are."""
    cells = cells_of(script)
    for cell in cells:
        if cell.slug == name:
            return cell
    known = ", ".join(cell.slug for cell in cells)
    raise Refusal(f"script không có đoạn «{name}»; các đoạn: {known}")


def output_section(transcript: str, name: str) -> tuple[str, str]:
    """The command of a run, and what one section of it printed.

    A transcript begins with `$ ` and the command. Raises Refusal when the section is missing.
    """
    first, _, printed = transcript.partition("\n")
    sections: dict[str, list[str]] = {}
    lines: list[str] = []  # what stands before the first section belongs to none
    for line in printed.split("\n"):
        match = PRINTED.match(line)
        if match:
            lines = sections.setdefault(slugify(match[1]), [])
        else:
            lines.append(line)
    if name not in sections:
        raise Refusal(f"lần chạy không in đoạn «{name}»; các đoạn: {', '.join(sections)}")
    return first.removeprefix("$ "), "\n".join(sections[name]).strip("\n")
