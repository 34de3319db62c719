"""Anchors that links from elsewhere may hold: a section that moved leaves a line that leads on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from site_pages import soup

OLD = json.loads(Path(__file__).with_name("old_anchors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", OLD)
def test_every_anchor_that_a_page_had_still_leads_somewhere(site, page):
    document = soup(site, f"/{page}/" if page else "/")
    here = {element["id"] for element in document.select("[id]")}
    assert set(OLD[page]) - here == set()
    for line in document.select(".moved p"):
        assert line.a["href"]
