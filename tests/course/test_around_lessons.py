"""The course around its lessons: lists, glossary, words, what stands near a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from site_pages import PAGES, SECTION, address_of, soup

from conftest import ROOT
from course.catalog import load
from course.pages import glossary
from course.pages.lists import RELATED

CATALOG = load(ROOT)
TERMS, _ = glossary.load(ROOT)
TEXTS = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.py")),
    ROOT / "README.md",
    ROOT / "scripts/data/course.yml",
]
WITH_PAGE = [module for module in CATALOG.modules if module.page]


@pytest.mark.parametrize("module", WITH_PAGE, ids=lambda module: module.folder)
def test_a_module_lists_its_lessons_in_learning_order(site, module):
    page = address_of(ROOT / "docs" / module.page)
    items = soup(site, page).select("article .course-list li")
    for item, lesson in zip(items, module.lessons, strict=True):
        text = item.get_text()
        assert item.select_one("small").get_text() == lesson.number
        assert lesson.title in text
        assert lesson.description in text
        assert lesson.description
        assert bool(item.select("a")) == bool(lesson.page)
        assert ("chưa viết" in text) != bool(lesson.page)


def test_the_portal_says_what_exists(site):
    portal = soup(site, "/")
    links = [link["href"] for link in portal.select("article a[href]")]
    assert SECTION.lstrip("/") in links
    lines = portal.select("article .course-list li[id^=mo-dun]")
    for line, module in zip(lines, CATALOG.modules, strict=True):
        text = line.get_text()
        assert text.startswith(module.number)
        assert module.title in text
        assert ("chưa viết" in text) == (not module.written and not module.page)


def test_the_foot_of_a_lesson_names_what_comes_next_and_what_shares_its_words(site):
    foot = soup(site, f"{SECTION}tied-weights/").select_one(".related")
    links = [link["href"] for link in foot.select("a")]
    assert links[0] == "../best-weights/"  # the next page
    assert 2 <= len(links) <= RELATED
    assert "cùng nói về" in foot.get_text()


@pytest.mark.parametrize("name", CATALOG.lesson_pages())
def test_a_page_has_one_line_at_its_head_and_its_scripts_at_its_foot(site, name):
    """The scripts that the front matter names, recipes first; nothing follows but what to read."""
    source = ROOT / "docs" / name
    facts = yaml.safe_load(source.read_text(encoding="utf-8").split("---\n")[1])
    scripts = [*facts.get("recipes", []), *facts["experiments"]]
    document = soup(site, address_of(source))
    head, *foot = document.select("article .lesson-strip")
    assert len(head.select("p")) == len(head.find_all(recursive=False)) == 1
    assert re.search(r"đọc khoảng \d+ phút", head.get_text())
    last = document.select("article h2")[-1].get_text().rstrip("¶").strip()
    assert (last == "Script của trang") == bool(scripts) == bool(foot)
    cards = document.select("article .lesson-strip summary > code")
    assert [Path(card.get_text()).stem for card in cards] == scripts


def test_the_glossary_is_whole(site):
    numbers = {lesson.number for lesson in CATALOG.lessons}
    for term in TERMS:
        assert term.first in numbers, term.vi
        assert term.definition.endswith("."), term.vi
        assert "\n" not in term.definition
    anchors = [term.anchor for term in TERMS]
    entries = [entry["id"] for entry in soup(site, "/glossary/").select("dl.glossary dt")]
    assert sorted(entries) == sorted(anchors)
    assert len(set(anchors)) == len(anchors)


@pytest.mark.parametrize("page", PAGES)
def test_the_first_use_of_a_word_leads_to_the_glossary(site, page):
    document = soup(site, page)
    links = document.select("a.term")
    targets = [link["href"] for link in links]
    assert len(targets) == len(set(targets))
    assert all(link["title"] for link in links)
    places = "pre a.term, code a.term, h1 a.term, h2 a.term, h3 a.term, a a.term, table a.term"
    assert not document.select(places)
    if page.startswith(SECTION):
        assert targets


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_and_scripts_use_the_words_of_the_glossary(path):
    text = path.read_text(encoding="utf-8").lower()
    for term in TERMS:
        for variant in term.refused:
            found = variant in text and re.search(rf"\b{re.escape(variant)}\b", text)
            assert not found, f"«{variant}», viết «{term.vi}»"


def test_tones_stand_on_the_same_vowel_everywhere():
    """«hoá», not «hóa»: one way, so that a reader who searches in a page finds every place."""
    other = re.compile(r"\b\w*(?:óa|òa|ỏa|õa|ọa|óe|òe|úy|ùy|ủy|ũy|ụy)\b", re.IGNORECASE)
    search = ROOT / "scripts/course/site/search"  # it knows, and tells of, both ways
    lesson = "pretraining/what-is-pretraining"  # its subject are the two ways
    both = {ROOT / "docs" / lesson / "data.md", ROOT / "examples" / lesson / "prepare_text.py"}
    both.add(ROOT / "examples" / lesson / "data_preparation.py")
    for place in ("docs/**/*.[jm]*", "scripts/**/*.py", "scripts/data/*", "examples/**/*.py"):
        for path in sorted(ROOT.glob(place)):
            if search not in path.parents and path not in both:
                assert not other.findall(path.read_text(encoding="utf-8")), path
