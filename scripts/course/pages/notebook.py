"""Notebooks: a script's cells with the recorded output, and their pages. Nothing is run."""

from __future__ import annotations

import html
import json
import re
import textwrap
from typing import Any

from course.records.cells import Cell, cells_of, docstring_of, output_section
from course.records.record import Record
from course.text import Refusal, day, read

# What mkdocs-jupyter brings along: its own stylesheet and scripts, and for each cell a copy button
# that needs them, with the cell's code a second time.
EXTRAS = re.compile(
    r"<(style|script)\b.*?</\1>"
    r'|<div class="zeroclipboard-container">\s*<clipboard-copy\b.*?</clipboard-copy>\s*</div>'
    r'|<div class="clipboard-copy-txt".*?</div>',
    re.DOTALL,
)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook_of(record: Record, lesson_title: str) -> str:
    """JSON of a script's notebook (nbformat 4.5); the same record always gives the same bytes."""
    script = read(record.script)
    summary, _, usage = docstring_of(script).partition("\n")
    ran = day(record.data["provenance"]["date"])
    opening = (
        f"# {summary.rstrip('.')}\n\nBài học: **{lesson_title}**. "
        f"Tệp này làm từ `{record.script.name}` và bản ghi của nó, chạy lần cuối ngày {ran}."
    )
    usage = textwrap.dedent(usage).strip("\n")
    cells = [
        markdown_cell("opening", opening),
        markdown_cell("usage", f"```text\n{usage}\n```"),
    ]
    for number, cell in enumerate(cells_of(script), 1):
        cells.append(markdown_cell(f"title-{number}", f"## {cell.title}"))
        cells.append(code_cell(number, cell.code, printed(record, cell)))
    notebook = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def printed(record: Record, cell: Cell) -> str:
    """What the cell printed in the recorded run; empty when it prints nothing."""
    try:
        _, output = output_section(record.transcript, cell.slug)
    except Refusal:
        return ""
    return f"== {cell.title} ==\n{output}\n"


def markdown_cell(name: str, text: str) -> dict[str, Any]:
    return {
        "cell_type": "markdown",
        "id": name,
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }


def code_cell(number: int, code: str, output: str) -> dict[str, Any]:
    outputs = []
    if output:
        lines = output.splitlines(keepends=True)
        outputs.append({"name": "stdout", "output_type": "stream", "text": lines})
    return {
        "cell_type": "code",
        "execution_count": number,
        "id": f"code-{number}",
        "metadata": {},
        "outputs": outputs,
        "source": code.splitlines(keepends=True),
    }


def notebook_html(content: str, lesson_title: str, lesson: str) -> str:
    """HTML of a notebook's page: no extras, its lesson linked, code reachable by keyboard.

    `lesson`: address of the lesson as seen from the page.
    """
    content = EXTRAS.sub("", content)
    title = html.escape(lesson_title, quote=False)
    link = f'<a href="{lesson}">{title}</a>'
    content = content.replace(f"<strong>{title}</strong>", link, 1)
    content = content.replace('class="highlight-ipynb', 'class="highlight')
    return content.replace("<pre>", '<pre tabindex="0">')
