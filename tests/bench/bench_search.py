"""How the search grows: download, time and recall with today's pages, and with 50 and 500 lessons.

The larger sites are made from today's lessons: an invented lesson is a real one in which every word
but the stop words gave its place to another word of like frequency, so that it says something else
with the same words. Some words become new ones, so many that the vocabulary grows as it grows among
the real pages. The same pages in every run, asked in the site's own worker, in Chromium.
"""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from search_helpers import RECALL_AT, TYPINGS, WORKER, ask, downloaded, load_queries, recall

from browser import FLAGS, find_browser
from course.catalog import lesson_folder, load
from course.site.search.index import (
    LIST,
    PageText,
    Phrases,
    Section,
    levels,
    page_file,
    save,
)
from course.site.search.words import STOP_WORDS, WORD, words
from static_server import served

ROOT = Path(__file__).resolve().parents[2]
SIZES = (50, 500)
FIRST = 15  # questions that are asked as the first one
NO_PHRASES = Phrases([])


# Real and invented lessons


def read(site: Path) -> tuple[list[PageText], list[list[str]]]:
    """The pages of a built site as they were written for the search, and the synonyms."""
    listed = json.loads((site / LIST).read_text(encoding="utf-8"))
    pages = []
    for location, _ in listed["pages"]:
        data = json.loads((site / page_file(location)).read_text(encoding="utf-8"))
        pages.append(PageText(location, [Section(*section) for section in data[1]]))
    return pages, listed["same"]


def lesson_pages(pages: list[PageText]) -> tuple[int, list[PageText]]:
    """Number of the written lessons, and their pages."""
    homes = []
    for module in load(ROOT).modules:
        for lesson in module.lessons:
            if lesson.page:
                homes.append(f"{lesson_folder(lesson.page)}/")
    return len(homes), [page for page in pages if page.location.startswith(tuple(homes))]


def words_of(page: PageText) -> set[str]:
    return set(levels(page, NO_PHRASES))


def growth(pages: list[PageText]) -> float:
    """Exponent of the vocabulary's growth: measured from half of the pages to all of them."""
    sizes = []
    for half in (pages[0::2], pages[1::2]):
        sizes.append(len(set().union(*map(words_of, half))))
    return math.log2(len(set().union(*map(words_of, pages))) / statistics.mean(sizes))


def sections_with(pages: list[PageText]) -> Counter[str]:
    """Word -> number of the sections that hold it."""
    found: Counter[str] = Counter()
    for page in pages:
        for section in page.sections:
            found.update(set(words("\n".join(section[1:]))))
    return found


def exchanged(sections: Counter[str], seed: int) -> dict[str, str]:
    """Another word, in about as many sections, for each word but the stop words."""
    bands: dict[int, list[str]] = {}
    for word in sorted(sections.keys() - set(STOP_WORDS.split())):
        bands.setdefault(int(math.log2(sections[word])), []).append(word)
    found = {}
    for band in bands.values():
        others = random.Random(seed).sample(band, len(band))
        found.update(zip(band, others, strict=True))
    return found


def invented(real: list[PageText], number: int, each: int) -> Iterator[PageText]:
    """So many pages made from the real ones; `each`: pages of one lesson."""
    exponent = growth(real)
    pages_with: Counter[str] = Counter()
    for page in real:
        pages_with.update(words_of(page))
    sections = sections_with(real)
    first = len(pages_with) / len(real) ** exponent
    exchange: dict[str, str] = {}
    for n in range(len(real), len(real) + number):
        if n % each == 0:
            exchange = exchanged(sections, n)
        page = real[n % len(real)]
        rare = []
        for word in sorted(words_of(page)):
            if pages_with[word] == 1 and word.isalpha():
                rare.append(word)
        new = round(first * ((n + 1) ** exponent - n**exponent))  # words that no page before has
        fresh = {}
        for word in random.Random(n).sample(rare, min(new, len(rare))):
            fresh[word] = f"{word}{n:x}"
        yield changed(page, n, exchange | fresh)


def changed(page: PageText, number: int, exchange: dict[str, str]) -> PageText:
    """A page that says something else."""

    def other(match: re.Match[str]) -> str:
        word = match[0].lower()
        shown = exchange.get(word, word)
        if match[0][0].isupper():
            return shown.capitalize()
        return shown

    sections = []
    for anchor, *texts in page.sections:
        sections.append(Section(anchor, *(WORD.sub(other, text) for text in texts)))
    return PageText(f"{page.location}{number}/", sections)


# Measuring


def first_questions(
    site: Path, queries: list[dict[str, Any]], tab: Any, address: str
) -> list[tuple[int, int, float]]:
    """Bytes, requests and milliseconds of questions, each asked as the first one."""
    fetched: list[str] = []
    tab.on("request", lambda request: fetched.append(request.url.removeprefix(address)))
    found = []
    for query in queries:
        fetched.clear()
        time = ask(tab, [query["q"]])[0]["time"]
        found.append((downloaded(site, fetched), len(fetched), time))
    return found


def measure(site: Path, queries: list[dict[str, Any]], tab: Any, address: str) -> dict[str, Any]:
    """Sizes, times and recall of one site."""
    tab.goto(f"{address}/blank.html")
    first = first_questions(site, queries[:FIRST], tab, address)
    slipped = [query for query in queries if "slip" in query]
    asked = {}
    for name, typed in TYPINGS.items():
        asked[name] = [typed(query["q"]) for query in queries]
    asked["slip"] = [query["slip"] for query in slipped]
    everything = []
    for questions in asked.values():
        everything += questions
    # Asked twice: the second time everything is downloaded.
    answers = ask(tab, everything + everything)[len(everything) :]
    times = sorted(answer["time"] for answer in answers)
    found: dict[str, Any] = {
        "list": downloaded(site, [LIST]),
        "bytes": statistics.median(size for size, _, _ in first),
        "requests": statistics.median(requests for _, requests, _ in first),
        "first": statistics.median(time for _, _, time in first),
        "median": statistics.median(times),
        "p95": times[int(0.95 * len(times))],
        "slips": len(slipped),
        "recall": {},
    }
    begin = 0
    for name in TYPINGS:
        found["recall"][name] = recall(queries, answers[begin : begin + len(queries)])
        begin += len(queries)
    found["slip"] = recall(slipped, answers[begin:])
    clean = []
    for query in slipped:
        clean.append(answers[queries.index(query)])
    found["clean"] = recall(slipped, clean)
    return found


def kb(size: float) -> str:
    """Kilobytes as Vietnamese readers write them."""
    return f"{size / 1000:,.0f}".replace(",", ".") + " kB"


def percent(part: float) -> str:
    """A part of one, in percent."""
    return f"{100 * part:.1f}".replace(".", ",") + "%"


def show(name: str, pages: int, found: dict[str, Any]) -> None:
    """Print what was measured."""
    parts = []
    for typing, part in found["recall"].items():
        parts.append(f"{typing} {percent(part)}")
    print(f"\n{name}: {pages} trang")
    print(f"  words.json           {kb(found['list'])} (nén gzip)")
    print(f"  câu hỏi đầu          {kb(found['bytes'])} (nén gzip), {found['requests']:g} yêu cầu,")
    print(f"                       {found['first']:.0f} ms (trung vị của {FIRST} câu)")
    print(f"  mỗi câu hỏi sau      trung vị {found['median']:.0f} ms,", end=" ")
    print(f"phân vị 95: {found['p95']:.0f} ms")
    print(f"  recall@{RECALL_AT}             {', '.join(parts)}")
    clean = f"{found['slips']} câu; gõ đúng thì {percent(found['clean'])}"
    print(f"  gõ nhầm một chữ      {percent(found['slip'])} ({clean})", flush=True)


def main() -> int:
    """Build the site, invent lessons, measure."""
    from playwright.sync_api import sync_playwright

    chromium = find_browser()
    if chromium is None:
        message = "Lỗi: không tìm thấy Chromium; chạy `python3 scripts/dev.py test` một lần để cài."
        print(message, file=sys.stderr)
        return 2
    queries = load_queries()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Path(folder) / "today"
        command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(site)]
        built = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
        if built.returncode:
            print(f"Lỗi: không dựng được trang:\n{built.stderr}", file=sys.stderr)
            return 1
        pages, same = read(site)
        lessons, real = lesson_pages(pages)
        each = len(real) / lessons
        print(f"Hôm nay: {lessons} bài, mỗi bài {each:g} trang;", end=" ")
        print(f"từ vựng lớn theo số mũ {growth(real):.2f} của số trang.")
        browser = playwright.chromium.launch(executable_path=str(chromium), args=FLAGS)
        for number in (lessons, *SIZES):
            more = list(invented(real, round((number - lessons) * each), round(each)))
            copy = Path(folder) / str(number)
            (copy / WORKER).parent.mkdir(parents=True)
            shutil.copy(site / WORKER, copy / WORKER)
            (copy / "blank.html").write_text("<!doctype html><title>-</title>", encoding="utf-8")
            save(copy, pages + more, same)
            with served(copy) as address:
                tab = browser.new_page()
                show(f"{number} bài", len(pages) + len(more), measure(copy, queries, tab, address))
                tab.close()
            shutil.rmtree(copy)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
