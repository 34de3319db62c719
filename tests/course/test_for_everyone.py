"""The site by keyboard, by ear, on paper, on an old screen, and without scripts."""

from __future__ import annotations

import pytest
from test_site import SECTION

QUIZ = "#trac-nghiem"


@pytest.fixture
def tab(browser):
    """A tab of a laptop."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield context.new_page()
    context.close()


def focused(tab) -> dict[str, str]:
    """The element that has the focus: its name, its text, and the outline around it."""
    return tab.evaluate("""() => {
      const element = document.activeElement, style = getComputedStyle(element)
      const outline = style.outlineStyle == "none" ? 0 : parseFloat(style.outlineWidth)
      return {tag: element.tagName, text: element.innerText || element.value || "", outline}
    }""")


def test_by_keyboard_from_search_to_quiz(tab, address):
    tab.goto(f"{address}/", wait_until="networkidle")
    tab.keyboard.press("/")
    tab.locator(".md-search__input:focus").wait_for()
    tab.keyboard.type("lưu và tải lại mô hình", delay=20)
    tab.locator(".md-search-result__link").first.wait_for()
    tab.keyboard.press("ArrowDown")
    for _ in range(30):
        if f"{address}{SECTION}" in tab.evaluate("document.activeElement.href || ''"):
            break
        tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**{SECTION}**")
    tab.goto(f"{address}{SECTION}{QUIZ}", wait_until="networkidle")
    for _ in range(6):  # from the heading on: its own link, then the first question
        tab.keyboard.press("Tab")
        if focused(tab)["tag"] == "SUMMARY":
            break
    found = focused(tab)
    assert found["tag"] == "SUMMARY", found
    assert found["outline"] >= 2, found
    question = tab.locator(f"{QUIZ} ~ details").first
    assert question.get_attribute("open") is None
    tab.keyboard.press("Enter")
    assert question.get_attribute("open") is not None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_is_seen_at_every_stop(browser, address, scheme):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(f"{address}{SECTION}", wait_until="networkidle")
    stops = []
    for _ in range(40):
        tab.keyboard.press("Tab")
        stops.append(focused(tab))
    assert stops[0]["text"].strip() == "Bỏ qua"  # the way past the header, for who goes by keyboard
    assert [
        stop for stop in stops if stop["tag"] not in ("BODY", "INPUT") and stop["outline"] < 1
    ] == []
    assert len({(stop["tag"], stop["text"]) for stop in stops}) > 20
    context.close()


def test_a_screen_reader_meets_formulas_as_mathematics(tab, address):
    tab.goto(f"{address}{SECTION}")
    session = tab.context.new_cdp_session(tab)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"] and "role" in node]
    formulas = tab.locator(".katex").count()
    assert roles.count("MathMLMath") == formulas > 10
    assert {"MathMLIdentifier", "MathMLNumber", "MathMLOperator"} <= set(roles)
    assert tab.locator(".katex-html:not([aria-hidden=true])").count() == 0


def test_figures_have_a_text_for_those_who_do_not_see_them(tab, address):
    tab.goto(f"{address}{SECTION}")
    figures = tab.locator("figure svg")
    assert figures.count() > 0
    for figure in figures.all():
        assert figure.get_attribute("role") == "img"
        assert len(figure.get_attribute("aria-label")) > 20


def test_figures_follow_the_theme(tab, address):
    tab.goto(f"{address}{SECTION}", wait_until="networkidle")
    light = tab.locator("figure svg").first.evaluate("figure => getComputedStyle(figure).color")
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_function(
        "light => getComputedStyle(document.querySelector('figure svg')).color != light", arg=light
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_tables_code_and_formulas_scroll_and_the_page_does_not(browser, address, scripts):
    context = browser.new_context(
        viewport={"width": 320, "height": 700}, java_script_enabled=scripts
    )
    tab = context.new_page()
    tab.goto(f"{address}{SECTION}", wait_until="networkidle")
    wide = tab.evaluate("""() => ["pre", "table", ".katex-display", "svg"]
      .flatMap(name => [...document.querySelectorAll(`article ${name}`)])
      .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
      .filter(element => {
        for (let box = element; box && box.tagName != "ARTICLE"; box = box.parentElement)
          if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) return false
        return true
      }).map(element => element.outerHTML.slice(0, 120))""")
    assert wide == []
    edge = "table => getComputedStyle(table).borderTopStyle"
    assert (
        tab.locator("article table").first.evaluate(edge) == "solid"
    )  # the theme's rules for tables still find ours
    assert tab.evaluate("document.documentElement.scrollWidth") <= 320
    context.close()


def test_on_paper_nothing_is_cut_off_or_pale(tab, address):
    tab.emulate_media(color_scheme="dark")
    tab.goto(f"{address}{SECTION}", wait_until="networkidle")
    tab.set_viewport_size(
        {"width": 700, "height": 1000}
    )  # about what A4 leaves between its margins
    tab.emulate_media(media="print", color_scheme="dark")
    for part in (".md-header", ".md-sidebar", ".md-footer", ".md-search", ".md-code__nav"):
        assert not tab.locator(part).first.is_visible(), part
    cut = tab.evaluate("""() => [...document.querySelectorAll("article pre > code")]
      .filter(code => code.scrollWidth > code.clientWidth + 1).map(code => code.innerText.slice(0, 60))""")
    assert cut == []
    channels = tab.evaluate(
        "getComputedStyle(document.querySelector('article p')).color.match(/[\\d.]+/g).map(Number)"
    )
    assert sum(channels[:3]) < 300, "dark text, whatever the screen's theme"


def test_no_motion_for_those_who_do_not_want_it(browser, address):
    context = browser.new_context(reduced_motion="reduce")
    tab = context.new_page()
    tab.goto(f"{address}{SECTION}", wait_until="networkidle")
    moving = tab.evaluate("""() => [...document.querySelectorAll("*")].filter(element => {
      const style = getComputedStyle(element)
      return style.animationName != "none" || style.transitionDuration.split(", ").some(time => parseFloat(time) > 0)
        && style.transitionProperty != "none"
    }).length""")
    assert moving == 0
    context.close()


def test_the_chosen_theme_is_there_before_the_first_paint(browser, address):
    context = browser.new_context(color_scheme="light")
    tab = context.new_page()
    tab.goto(f"{address}/", wait_until="networkidle")
    for _ in range(2):
        tab.locator("form.md-header__option label:visible").click()
    assert tab.evaluate("document.body.dataset.mdColorScheme") == "slate"
    tab.route(
        "**/bundle.*.js", lambda route: route.abort()
    )  # what the page shows before the theme's program runs
    tab.reload()
    assert tab.evaluate("document.body.dataset.mdColorScheme") == "slate"
    context.close()


def test_a_first_visit_meets_the_theme_of_the_system_before_the_first_paint(browser, address):
    context = browser.new_context(color_scheme="dark")
    tab = context.new_page()
    tab.route("**/bundle.*.js", lambda route: route.abort())
    tab.goto(f"{address}/")
    assert tab.evaluate("document.body.dataset.mdColorScheme") == "slate"
    assert tab.locator("form.md-header__option label:visible").count() == 1
    tab.emulate_media(color_scheme="light")
    tab.wait_for_function("document.body.dataset.mdColorScheme == 'default'")
    context.close()


def test_an_unknown_address_leads_to_a_search_for_its_words(browser, address):
    context = browser.new_context()
    tab = context.new_page()
    home = "http://127.0.0.1:8000"  # the page for unknown addresses names the site's own
    page = tab.request.get(f"{address}/404.html").text()
    tab.route(
        f"{home}/**", lambda route: route.continue_(url=route.request.url.replace(home, address))
    )
    lost = f"{home}/fine-tuning/trong-so-buoc"
    tab.route(lost, lambda route: route.fulfill(status=404, content_type="text/html", body=page))
    tab.goto(lost, wait_until="networkidle")
    assert tab.locator("h1").inner_text() == "Không có trang này"
    assert tab.get_by_label("Bạn tìm gì?").input_value() == "trong so buoc"
    tab.get_by_role("button", name="Tìm", exact=True).click()
    tab.locator(".md-search-result__link").first.wait_for()
    assert "trọng số buộc" in tab.locator(".md-search-result__list").inner_text().lower()
    context.close()
