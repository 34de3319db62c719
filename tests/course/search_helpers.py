"""Questions to the site's search, asked in its own worker, in a browser."""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

QUERIES = Path(__file__).with_name("queries.yml")
WORKER = "assets/javascripts/search.js"
RECALL_AT = 5
# Runs in a page of the site: a fresh worker answers one question after the other.
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
    const found = items.map(group => group.map(({location, title}) => ({location, title})))
    answers.push({time, found})
  }
  search.terminate()
  return answers
}"""


def without_accents(text: str) -> str:
    """The text as it is typed without accents."""
    plain = unicodedata.normalize("NFD", text).replace("đ", "d").replace("Đ", "D")
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def as_it_is(text: str) -> str:
    return text


def decomposed(text: str) -> str:
    """Letters and accents apart, as some keyboards and PDF files have them."""
    return unicodedata.normalize("NFD", text)


TYPINGS: dict[str, Callable[[str], str]] = {
    "có dấu": as_it_is,
    "không dấu": without_accents,
    "NFD": decomposed,
}


def load_queries() -> list[dict[str, Any]]:
    """The questions, with `found_at`: the addresses of their pages on the site."""
    queries = yaml.safe_load(QUERIES.read_text(encoding="utf-8"))
    for query in queries:
        query["found_at"] = [address_of(page) for page in query["pages"]]
    return queries


def address_of(page: str) -> str:
    """Address on the site of a page below docs/."""
    place = page.removesuffix(".md")
    if place == "index" or place.endswith("/index"):
        return place.removesuffix("index")
    return f"{place}/"


def ask(tab: Any, queries: list[str]) -> list[dict[str, Any]]:
    """For each question `time` (ms) and `found`: groups of results, the page's own entry first."""
    return tab.evaluate(ASK, {"worker": f"/{WORKER}", "queries": queries})


def first_pages(answer: dict[str, Any]) -> list[str]:
    """The pages of the first five results."""
    return [group[0]["location"].partition("#")[0] for group in answer["found"][:RECALL_AT]]


def recall(queries: list[dict[str, Any]], answers: list[dict[str, Any]]) -> float:
    """Part of the questions that have one of their pages among the first answers."""
    met = 0
    for query, answer in zip(queries, answers, strict=True):
        if set(first_pages(answer)) & set(query["found_at"]):
            met += 1
    return met / len(queries)


def downloaded(site: Path, paths: list[str]) -> int:
    """Bytes of these files of the site as a server sends them."""
    size = 0
    for path in paths:
        size += len(gzip.compress((site / path.lstrip("/")).read_bytes(), 9))
    return size
