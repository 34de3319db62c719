"""How the search grows: download, time and recall with today's pages, and with 50 and 500 lessons.

The larger sites are made from today's lessons: an invented lesson is a real one in which every word but the
stop words gave its place to another word of like frequency, so that it says something else with the same words.
Some words become new ones, so many that the vocabulary grows as it grows among the real pages. The same pages in every
run, asked in the site's own worker, in Chromium.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from browser import FLAGS, find_browser
from course import catalog as course
from course.site import search as search_index
from course.site.search import WORD, Page, Section, words
from static_server import served

ROOT = Path(__file__).resolve().parents[2]
WORKER = "assets/javascripts/search.js"
SIZES = (50, 500)
RECALL_AT = 5
ASK = """async ({worker, queries}) => {
  const search = new Worker(worker)
  const ask = (type, data) => new Promise(done => {
    search.onmessage = message => done(message.data.data)
    search.postMessage({type, data})
  })
  await ask(0, {docs: []})
  const answers = []
  for (const query of queries) {
    const start = performance.now()
    const {items} = await ask(2, query)
    const time = performance.now() - start
    answers.push({time, found: items.map(group => group.map(({location, title, text}) => ({location, title, text})))})
  }
  search.terminate()
  return answers
}"""


def without_accents(text: str) -> str:
    """The text as it is typed without accents."""
    plain = unicodedata.normalize("NFD", text).replace("đ", "d").replace("Đ", "D")
    return "".join(c for c in plain if not unicodedata.combining(c))


TYPINGS: dict[str, Callable[[str], str]] = {
    "có dấu": str,
    "không dấu": without_accents,
    "NFD": lambda text: unicodedata.normalize("NFD", text),
}


def load_queries() -> list[dict[str, Any]]:
    """The questions, with `found_at`: the addresses of their pages on the site."""
    queries = yaml.safe_load((ROOT / "tests/course/queries.yml").read_text(encoding="utf-8"))
    for query in queries:
        query["found_at"] = [
            re.sub(r"(^|/)index\.md$|\.md$", r"\1", page) for page in query["pages"]
        ]
        query["found_at"] = [
            page if page.endswith("/") or not page else f"{page}/" for page in query["found_at"]
        ]
    return queries


def recall(queries: list[dict[str, Any]], answers: list[dict[str, Any]]) -> float:
    """Part of the questions that have one of their pages among the first answers."""
    return statistics.mean(
        any(
            group[0]["location"].partition("#")[0] in query["found_at"]
            for group in answer["found"][:RECALL_AT]
        )
        for query, answer in zip(queries, answers, strict=True)
    )


# Real and invented lessons


def read(site: Path) -> tuple[list[Page], list[list[str]]]:
    """The pages of a built site as they were written for the search, and the synonyms."""
    data = json.loads((site / "search/words.json").read_text(encoding="utf-8"))
    files = [site / search_index.page_file(location) for location, _ in data["pages"]]
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return [
        Page(location, [Section(*section) for section in sections]) for location, sections in found
    ], data["same"]


def lesson_pages(pages: list[Page]) -> tuple[int, list[Page]]:
    """Number of the written lessons, and their pages."""
    written = [
        lesson.page
        for module in course.load(ROOT).modules
        for lesson in module.lessons
        if lesson.page
    ]
    homes = tuple(f"{course.lesson_folder(page)}/" for page in written)
    return len(written), [page for page in pages if page.location.startswith(homes)]


def growth(pages: list[Page]) -> float:
    """Exponent of the vocabulary's growth: measured from half of the pages to all of them."""
    known = [set(search_index.levels(page)) for page in pages]
    halves = [known[0::2], known[1::2]]
    return math.log2(
        len(set().union(*known)) / statistics.mean(len(set().union(*half)) for half in halves)
    )


def exchanged(sections: Counter[str], kept: set[str], seed: int) -> dict[str, str]:
    """Another word, in about as many sections, for each word but those that are `kept`."""
    bands: dict[int, list[str]] = {}
    for word in sorted(sections.keys() - kept):
        bands.setdefault(int(math.log2(sections[word])), []).append(word)
    found = {}
    for band in bands.values():
        found.update(zip(band, random.Random(seed).sample(band, len(band)), strict=True))
    return found


def invented(real: list[Page], number: int, each: int) -> Iterator[Page]:
    """So many pages made from the real ones; `each`: pages of a lesson, which exchange their words in one way."""
    exponent = growth(real)
    on_pages = Counter(word for page in real for word in search_index.levels(page))
    in_sections = Counter(
        word
        for page in real
        for section in page.sections
        for word in set(words("\n".join(section[1:])))
    )
    stop_words = re.search(
        r"const STOP = .*?\)", (ROOT / "overrides" / WORKER).read_text("utf-8"), re.DOTALL
    )[0]
    kept = set(WORD.findall(stop_words))
    first = len(on_pages) / len(real) ** exponent
    exchange: dict[str, str] = {}
    for n in range(len(real), len(real) + number):
        if n % each == 0:
            exchange = exchanged(in_sections, kept, n)
        page = real[n % len(real)]
        new = round(first * ((n + 1) ** exponent - n**exponent))  # words that no page before has
        rare = sorted(
            word for word in search_index.levels(page) if on_pages[word] == 1 and word.isalpha()
        )
        fresh = {
            word: f"{word}{n:x}" for word in random.Random(n).sample(rare, min(new, len(rare)))
        }
        yield changed(page, n, exchange | fresh)


def changed(page: Page, number: int, exchange: dict[str, str]) -> Page:
    """A page that says something else."""

    def other(match: re.Match[str]) -> str:
        word = match[0].lower()
        shown = exchange.get(word, word)
        return shown.capitalize() if match[0][0].isupper() else shown

    sections = [
        Section(section[0], *(WORD.sub(other, text) for text in section[1:]))
        for section in page.sections
    ]
    return Page(f"{page.location}{number}/", sections)


# Measuring


def measure(site: Path, queries: list[dict[str, Any]], tab: Any, address: str) -> dict[str, Any]:
    """Sizes, times and recall of one site."""
    fetched: list[str] = []
    tab.on("request", lambda request: fetched.append(request.url.removeprefix(address)))
    tab.goto(f"{address}/blank.html")
    asked = {name: [typing(query["q"]) for query in queries] for name, typing in TYPINGS.items()}
    slipped = [query for query in queries if "slip" in query]
    first = tab.evaluate(ASK, {"worker": f"/{WORKER}", "queries": [queries[0]["q"]]})[0]["time"]
    files = [site / url.lstrip("/") for url in fetched if url.startswith("/search/")]
    everything = [query for typed in asked.values() for query in typed] + [
        query["slip"] for query in slipped
    ]
    answers = tab.evaluate(ASK, {"worker": f"/{WORKER}", "queries": everything + everything})[
        len(everything) :
    ]
    times = sorted(answer["time"] for answer in answers)
    n = len(queries)
    index = (site / "search/words.json").read_bytes()
    return {
        "raw": len(index),
        "gz": len(gzip.compress(index, 9)),
        "first_gz": sum(len(gzip.compress(file.read_bytes(), 9)) for file in files),
        "first": first,
        "median": statistics.median(times),
        "p95": times[int(0.95 * len(times))],
        "recall": {
            name: recall(queries, answers[i * n : i * n + n]) for i, name in enumerate(asked)
        },
        "clean": recall(slipped, [answers[queries.index(query)] for query in slipped]),
        "slip": recall(slipped, answers[3 * n :]),
        "slips": len(slipped),
    }


def kb(size: float) -> str:
    """Kilobytes as Vietnamese readers write them."""
    return f"{size / 1000:,.0f}".replace(",", ".") + " kB"


def percent(part: float) -> str:
    """A part of one, in percent."""
    return f"{100 * part:.1f}".replace(".", ",") + "%"


def show(name: str, pages: int, found: dict[str, Any]) -> None:
    """Print what was measured."""
    shown = ", ".join(f"{typing} {percent(part)}" for typing, part in found["recall"].items())
    print(f"\n{name}: {pages} trang")
    print(f"  bảng từ              {kb(found['raw'])}, nén gzip {kb(found['gz'])}")
    print(
        f"  tải ở câu hỏi đầu    {kb(found['first_gz'])} (gzip: bảng từ và chữ của các trang được xét)"
    )
    print(f"  câu hỏi đầu          {found['first']:.0f} ms (tải và dựng bảng)")
    print(
        f"  mỗi câu hỏi sau      trung vị {found['median']:.0f} ms, phân vị 95: {found['p95']:.0f} ms"
    )
    print(f"  recall@{RECALL_AT}             {shown}")
    clean = f"{found['slips']} câu; gõ đúng thì {percent(found['clean'])}"
    print(f"  gõ nhầm một chữ      {percent(found['slip'])} ({clean})", flush=True)


def main() -> int:
    """Build the site, invent lessons, measure."""
    from playwright.sync_api import sync_playwright

    chromium = find_browser()
    if chromium is None:
        print(
            "Lỗi: không tìm thấy Chromium; chạy `python3 scripts/dev.py test` một lần để cài.",
            file=sys.stderr,
        )
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
        print(
            f"Hôm nay: {lessons} bài, mỗi bài {each:g} trang; từ vựng lớn theo số mũ {growth(real):.2f} của số trang."
        )
        browser = playwright.chromium.launch(executable_path=str(chromium), args=FLAGS)
        for number in (lessons, *SIZES):
            more = list(invented(real, round((number - lessons) * each), round(each)))
            copy = Path(folder) / str(number)
            (copy / WORKER).parent.mkdir(parents=True)
            shutil.copy(site / WORKER, copy / WORKER)
            (copy / "blank.html").write_text("<!doctype html><title>-</title>", encoding="utf-8")
            search_index.save(copy, pages + more, same)
            with served(copy) as address:
                tab = browser.new_page()
                show(f"{number} bài", len(pages) + len(more), measure(copy, queries, tab, address))
                tab.close()
            shutil.rmtree(copy)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
