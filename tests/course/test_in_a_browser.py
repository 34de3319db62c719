"""Every page of docs/ in a browser, once; one notebook and the page of unknown addresses.

What depends on a page's own content: its weight and requests, what moves or overflows, what axe
finds in light and in dark.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import pytest
from site_pages import NOTEBOOK, PAGES

from conftest import ROOT

PORTAL = "/"
KB = 1000
TEXT_KB, PORTAL_KB = 100, 75  # all that a page loads but its fonts, compressed
FONTS_KB = 60
REQUESTS = 10
PHONE = {"width": 360, "height": 740}
LAPTOP = {"width": 1440, "height": 900}
WIDTHS = (1440, 820, 320)
AXE = ROOT / "node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RULES_OF_COLOURS = ["color-contrast", "link-in-text-block"]
RUN_AXE = "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})"
BRIGHTNESS = """() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)
  .reduce((sum, channel) => sum + Number(channel), 0)"""
WATCH_SHIFTS = """
window.moved = 0
new PerformanceObserver(list => list.getEntries().forEach(entry => window.moved += entry.value))
  .observe({type: "layout-shift", buffered: true})
"""
# What the page does by itself after a change (of its width, say) is done after two frames.
TWO_FRAMES = """() => new Promise(resolve =>
  requestAnimationFrame(() => requestAnimationFrame(resolve)))"""
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Visit:
    """One page in a tab as narrow as a phone: what it asked for, and what went wrong."""

    def __init__(self, browser, address: str, page: str) -> None:
        self.home = address
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        # No motion: what a test looks at is there at once.
        self.context = browser.new_context(
            viewport=PHONE, color_scheme="light", reduced_motion="reduce"
        )
        self.tab = self.context.new_page()
        self.tab.add_init_script(WATCH_SHIFTS)
        self.tab.on("console", self.hear)
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("requestfailed", lambda request: self.errors.append(request.url))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(address + page)

    def hear(self, message) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def loaded(self) -> list[str]:
        """Paths of what the page loaded from the site; it loads from nowhere else."""
        found = []
        for url in self.requests:
            if not url.startswith(("data:", "blob:")):
                assert url.startswith(self.home), url
                found.append(url.removeprefix(self.home))
        return found

    def violations(self, rules: list[str]) -> list[str]:
        """What axe finds: the rule, and the first place of each."""
        found = self.tab.evaluate(RUN_AXE, rules)["violations"]
        return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found]


@cache
def weight(file: Path) -> int:
    """Bytes as they travel: compressed, but for fonts, which are that already."""
    content = file.read_bytes()
    if file.suffix == ".woff2":
        return len(content)
    return len(gzip.compress(content))


def weights(site: Path, paths: list[str]) -> tuple[int, int]:
    """Bytes of the fonts, and of all else."""
    fonts = 0
    texts = 0
    for path in paths:
        file = site / path.lstrip("/").partition("?")[0]
        if file.is_dir():
            file /= "index.html"
        if file.suffix == ".woff2":
            fonts += weight(file)
        else:
            texts += weight(file)
    return fonts, texts


@pytest.mark.parametrize("page", [*PAGES, NOTEBOOK, "/404.html"])
def test_a_page(browser, address, site, page):
    """One visit, because loading a page is what takes time."""
    visit = Visit(browser, address, page)
    tab = visit.tab
    tab.evaluate(TWO_FRAMES)
    assert tab.evaluate("window.moved") < 0.01, "something moves while the page loads"
    tab.set_viewport_size(LAPTOP)
    tab.evaluate(TWO_FRAMES)
    assert tab.evaluate(BRIGHTNESS) > 600
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    assert visit.violations(RULES) == []
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 900})
        assert tab.evaluate(SIDEWAYS) <= 0, f"the page itself scrolls sideways at {width} px"
    tab.set_viewport_size(LAPTOP)
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_function(f"({BRIGHTNESS})() < 300")
    assert visit.violations(RULES_OF_COLOURS) == []

    assert visit.errors == []
    loaded = visit.loaded()
    assert len(loaded) <= REQUESTS, loaded
    fonts, texts = weights(site, loaded)
    assert fonts <= FONTS_KB * KB
    assert texts <= (PORTAL_KB if page == PORTAL else TEXT_KB) * KB
    visit.context.close()
