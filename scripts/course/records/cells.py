"""Named sections: the cells of a script, and the part of a transcript that each cell printed.

A cell opens with `# %% Title`. A cell that prints begins with `print("== Title ==")`, so its output carries the same
name in every terminal, and in the transcript. A section is named by the slug of its title.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from course.text import Refusal, slugify

CELL = re.compile(r"^# %%[ \t]*(.*?)[ \t]*$")
PRINTED = re.compile(r"^== (.+) ==$")
COMMAND = re.compile(r"^\$ (.+)$")


SectionError = Refusal


@dataclass(frozen=True)
class Cell:
    """One cell of a script: title, code without the `# %%` line, and the line it starts on (1-based)."""

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
    """Cells of a script in order; what stands before the first `# %%` (the docstring) is no cell."""
    cells: list[Cell] = []
    title, start, lines = "", 0, script.split("\n")
    for number, line in enumerate([*lines, "# %%"]):
        if match := CELL.match(line):
            if start:
                cells.append(Cell(title, "\n".join(lines[start:number]).strip("\n"), start + 1))
            title, start = match[1], number + 1
    return cells


def code_section(script: str, name: str) -> Cell:
    """The cell of that name. Raises SectionError naming the ones there are."""
    cells = cells_of(script)
    for cell in cells:
        if cell.slug == name:
            return cell
    raise SectionError(
        f"script không có đoạn «{name}»; các đoạn: {', '.join(cell.slug for cell in cells)}"
    )


def runs_of(transcript: str) -> dict[str, str]:
    """Command -> what it printed. Every command of a transcript stands on a line of its own after `$ `."""
    runs: dict[str, list[str]] = {}
    command = ""
    for line in transcript.split("\n"):
        if match := COMMAND.match(line):
            command = match[1]
            runs[command] = []
        elif command:
            runs[command].append(line)
    return {command: "\n".join(lines).strip("\n") for command, lines in runs.items()}


def output_section(transcript: str, name: str, options: str = "") -> tuple[str, str]:
    """Command and output of one section of the run with those options (none: the first run).

    Raises SectionError when the run or the section is missing.
    """
    runs = runs_of(transcript)
    commands = [command for command in runs if command.partition(".py")[2].strip() == options]
    if not commands:
        raise SectionError(f"bản ghi không có lần chạy với «{options}»")
    command = commands[0]
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in runs[command].split("\n"):
        if match := PRINTED.match(line):
            lines = found.setdefault(slugify(match[1]), [])
        else:
            lines.append(line)
    if name not in found:
        raise SectionError(f"lần chạy không in đoạn «{name}»; các đoạn: {', '.join(found)}")
    return command, "\n".join(found[name]).strip("\n")
