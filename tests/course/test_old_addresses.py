"""Addresses of the course that this one re-authors lead to the same lesson here, or to its line."""

from __future__ import annotations

import posixpath
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from site_pages import soup

from conftest import ROOT
from course.catalog import load

OLD = yaml.safe_load(Path(__file__).with_name("old_addresses.yml").read_text(encoding="utf-8"))
CATALOG = load(ROOT)


def targets(site: Path, old: str) -> set[str]:
    """Where all pages that answer an old address lead, seen from the root of the site."""
    if "/" in old:  # a lesson was one file, a module a folder
        spellings = [f"{old}/index.html", f"{old}.md/index.html", f"{old}.html"]
    else:
        endings = ("index.html", "index.md/index.html", "README.md/index.html")
        spellings = [f"{old}/{ending}" for ending in endings]
    found = set()
    for spelling in spellings:
        page = BeautifulSoup((site / spelling).read_text(encoding="utf-8"), "html.parser")
        link = page.select_one("a")["href"]
        # Without JavaScript, the page leads there by itself.
        assert page.select_one("meta[http-equiv=refresh]")["content"].endswith(f"url={link}")
        found.add(posixpath.normpath(posixpath.join("/", posixpath.dirname(spelling), link)))
    return found


def test_every_old_address_is_known():
    known = set()
    for addresses in OLD.values():
        known |= set(addresses)
    assert CATALOG.old_addresses().keys() == known


@pytest.mark.parametrize("number", OLD)
def test_an_old_address_leads_to_its_page_or_its_line(site, number):
    if "." in number:
        [found] = [lesson for lesson in CATALOG.lessons if lesson.number == number]
        titled = f"{number} {found.title}"
    else:
        [found] = [module for module in CATALOG.modules if module.number == number]
        titled = found.title
    for old in OLD[number]:
        [target] = targets(site, old)
        page, _, anchor = target.partition("#")
        arrived = soup(site, page)
        if found.page:
            assert not anchor
            assert found.title in arrived.h1.get_text()
        else:
            assert titled in arrived.find(id=anchor).get_text(" ", strip=True)


def test_a_browser_arrives_at_the_line(browser, address):
    tab = browser.new_page()
    [old] = OLD["06.02"]
    tab.goto(f"{address}/{old}")
    tab.wait_for_url(f"{address}/pretraining/#bai-06-02")
    assert tab.locator("#bai-06-02").is_visible()
    tab.close()
