"""The pages of the course, by their address on the site, and their HTML; for the tests beside."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bs4 import BeautifulSoup

from conftest import ROOT

SECTION = "/fine-tuning/saving-and-loading/"
RECIPE = f"examples{SECTION}save_and_check.py"
EXAMPLE = f"examples{SECTION}hugging_face_round_trip.py"
NOTEBOOK = f"{SECTION}hugging_face_round_trip/"  # stands for its template where a browser looks


def address_of(page: Path) -> str:
    """Address of a page of docs/."""
    place = page.relative_to(ROOT / "docs").with_suffix("").as_posix()
    if place == "index":
        return "/"
    return f"/{place.removesuffix('/index')}/"


def notebook_addresses() -> list[str]:
    """Every script with a record of its own has a notebook."""
    found = []
    for record in sorted((ROOT / "examples").glob("*/*/results/*.json")):
        if "." not in record.stem:
            folder = record.parent.parent.relative_to(ROOT / "examples").as_posix()
            found.append(f"/{folder}/{record.stem}/")
    return found


PAGES = {address_of(page): page for page in sorted((ROOT / "docs").rglob("*.md"))}
NOTEBOOKS = notebook_addresses()


@cache
def soup(site: Path, page: str) -> BeautifulSoup:
    """A page of the built site, read once; not to be changed."""
    text = (site / page.lstrip("/") / "index.html").read_text(encoding="utf-8")
    return BeautifulSoup(text, "html.parser")
