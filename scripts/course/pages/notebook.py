"""Notebooks: a script's cells with the output that its record holds, and their pages. Nothing is executed."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

from course.records import cells as sections
from course.records.record import Record, read
from course.text import day

# What mkdocs-jupyter brings along: its own stylesheet and scripts, and for each cell a copy button that needs them,
# with the cell's code a second time.
EXTRAS = re.compile(
    r"<(style|script)\b.*?</\1>"
    r'|<div class="zeroclipboard-container">\s*<clipboard-copy\b.*?</clipboard-copy>\s*</div>'
    r'|<div class="clipboard-copy-txt".*?</div>',
    re.DOTALL,
)


def notebook_of(record: Record, lesson_title: str) -> str:
    """JSON of the notebook (nbformat 4.5) of a workflow; the same record always gives the same bytes."""
    script = read(record.script)
    summary, _, rest = sections.docstring_of(script).partition("\n")
    summary = summary.rstrip(".")
    ran = day(record.data["provenance"]["date"])
    source = f"Tệp này làm từ `{record.script.name}` và bản ghi của nó, chạy lần cuối ngày {ran}."
    opening = f"# {summary}\n\nBài học: **{lesson_title}**. {source}"
    usage = textwrap.dedent(rest).strip("\n")
    cells: list[dict[str, Any]] = [
        markdown("opening", opening),
        markdown("usage", f"```text\n{usage}\n```"),
    ]
    for number, cell in enumerate(sections.cells_of(script), 1):
        cells.append(markdown(f"title-{number}", f"## {cell.title}"))
        cells.append(code(f"code-{number}", cell.code, number, printed(record, cell)))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def printed(record: Record, cell: sections.Cell) -> str:
    """What the cell printed in the recorded run; empty when it prints nothing."""
    try:
        _, output = sections.output_section(record.transcript, cell.slug)
    except sections.SectionError:
        return ""
    return f"== {cell.title} ==\n{output}\n"


def page(content: str) -> str:
    """HTML of a notebook's page as the course shows it: without the extras, every block reachable by keyboard."""
    return (
        EXTRAS.sub("", content)
        .replace('class="highlight-ipynb', 'class="highlight')
        .replace("<pre>", '<pre tabindex="0">')
    )


def markdown(name: str, text: str) -> dict[str, Any]:
    """A Markdown cell."""
    return {
        "cell_type": "markdown",
        "id": name,
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }


def code(name: str, text: str, number: int, output: str) -> dict[str, Any]:
    """A code cell with its output."""
    stream = {"name": "stdout", "output_type": "stream", "text": output.splitlines(keepends=True)}
    return {
        "cell_type": "code",
        "execution_count": number,
        "id": name,
        "metadata": {},
        "outputs": [stream] if output else [],
        "source": text.splitlines(keepends=True),
    }


def notebook_html(content, title, way):
    return f'<p class="notebook-lesson"><a href="{way}">Bài học: {title}</a></p>' + page(content)
