"""What a reader does with a page: by mouse, keyboard and ear, on paper, without JavaScript."""

from __future__ import annotations

import json

import pytest
from site_pages import EXAMPLE, RECIPE, SECTION

from conftest import ROOT
from course.pages import values

QUIZ = "#tu-kiem-tra"
PRETRAINING = "/pretraining/what-is-pretraining/"
COST = f"{PRETRAINING}cost/"
LAPTOP = {"width": 1280, "height": 900}
SCHEME = "document.body.dataset.mdColorScheme"
THEME_SWITCH = "form.md-header__option label:visible"
FOCUSED = """() => {
  const element = document.activeElement, style = getComputedStyle(element)
  const outline = style.outlineStyle == "none" ? 0 : parseFloat(style.outlineWidth)
  return {tag: element.tagName, text: element.innerText || element.value || "", outline}
}"""


@pytest.fixture
def new_tab(browser):
    """Opens a tab of its own kind; closed after the test."""
    contexts = []

    def opened(**options):
        context = browser.new_context(**{"viewport": LAPTOP, "color_scheme": "light", **options})
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def tab(new_tab):
    """A tab of a laptop."""
    return new_tab()


# Buttons, tabs, the calculator


@pytest.mark.parametrize(("path", "is_open"), [(RECIPE, True), (EXAMPLE, False)])
def test_the_copy_button_copies_the_whole_script(new_tab, address, path, is_open):
    script_file = ROOT / path
    tab = new_tab(permissions=["clipboard-read", "clipboard-write"])
    tab.goto(f"{address}{SECTION}")
    summary = tab.locator("summary", has_text=script_file.name)
    script = tab.locator("details.run", has=summary)
    assert script.evaluate("card => card.open") == is_open
    if not is_open:
        summary.click()
    script.get_by_text("Chép cả script").click()
    script.get_by_text("Đã chép").wait_for()
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied == script_file.read_text(encoding="utf-8")
    assert tab.url == f"{address}{SECTION}"


def test_a_block_of_code_can_be_copied(new_tab, address):
    tab = new_tab(permissions=["clipboard-read", "clipboard-write"])
    tab.goto(f"{address}{SECTION}")
    block = tab.locator("article pre:visible", has=tab.locator("code")).last
    block.get_by_role("button", name="Sao chép").click()
    tab.locator(".md-dialog", has_text="Đã sao chép").wait_for()
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied == block.locator("code").inner_text().rstrip()


def test_tabs_stay_on_the_chosen_framework(tab, address):
    tab.goto(f"{address}{SECTION}")
    block = tab.locator(".tabbed-block").filter(visible=True).first
    first = block.inner_text()
    tab.locator(".tabbed-labels label", has_text="PyTorch").first.click()
    chosen = block.inner_text()
    assert chosen != first
    tab.reload()
    tab.wait_for_function(
        "text => [...document.querySelectorAll('.tabbed-block')].some("
        "block => block.checkVisibility() && block.innerText == text)",
        arg=chosen,
    )


def test_the_theme_switch_goes_round_and_is_remembered_before_the_first_paint(tab, address):
    tab.goto(f"{address}/")
    seen = []
    for _ in range(3):
        tab.locator(THEME_SWITCH).click()
        seen.append(tab.evaluate(SCHEME))
    assert seen == ["default", "slate", "default"]
    tab.locator(THEME_SWITCH).click()
    tab.locator(THEME_SWITCH).click()
    tab.wait_for_function(f"{SCHEME} == 'slate'")
    # What the page shows before the theme's program runs.
    tab.route("**/bundle.*.js", lambda route: route.abort())
    tab.reload()
    assert tab.evaluate(SCHEME) == "slate"


def test_a_first_visit_meets_the_theme_of_the_system_before_the_first_paint(new_tab, address):
    tab = new_tab(color_scheme="dark")
    tab.route("**/bundle.*.js", lambda route: route.abort())
    tab.goto(f"{address}/")
    assert tab.evaluate(SCHEME) == "slate"
    assert tab.locator(THEME_SWITCH).count() == 1
    tab.emulate_media(color_scheme="light")
    tab.wait_for_function(f"{SCHEME} == 'default'")


class Calculator:
    """The form of the page on costs."""

    def __init__(self, tab) -> None:
        self.clock = tab.clock
        self.form = tab.locator("form.calculator.ready")
        self.form.wait_for()

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            self.form.locator(f"[name={name}]").fill(value)

    def choose(self, **fields: str) -> None:
        for name, value in fields.items():
            self.form.locator(f"[name={name}]").select_option(value)

    def results(self) -> dict[str, tuple[float, str]]:
        """Key -> value and what is shown of it."""
        self.clock.run_for(1000)  # the form answers when the typing has stopped
        cells = self.form.locator("data").evaluate_all(
            "cells => cells.map(cell => [cell.dataset.key, cell.value, cell.innerText])"
        )
        return {key: (float(value), text) for key, value, text in cells}


def test_the_calculator_gives_the_numbers_of_its_script(tab, address):
    path = ROOT / f"examples{PRETRAINING}results/training_cost.json"
    models = json.loads(path.read_text(encoding="utf-8"))["exact"]["models"]
    tab.clock.install()
    tab.goto(f"{address}{COST}")
    calculator = Calculator(tab)
    for name, model in models.items():
        calculator.choose(model=name)
        for key, (value, text) in calculator.results().items():
            assert (value, text) == (model[key], values.show(model[key], "w")), (name, key)
    for n, d in (
        ("175e9", "300 tỷ"),
        ("175.000.000.000", "0,3 nghìn tỷ"),
        ("175 tỉ", "300000000000"),
        ("175B", "300b"),
    ):
        calculator.fill(n=n, d=d)
        assert calculator.results()["flops"][0] == models["gpt3"]["flops"]
        assert calculator.form.locator("[name=model]").input_value() == ""
    for share in ("0,4", "0.4", "40 %", "40%"):
        calculator.fill(utilisation=share)
        assert calculator.results()["gpu_hours"][0] == models["gpt3"]["gpu_hours"]
    calculator.fill(d="")
    assert calculator.results()["ratio"][0] == models["chinchilla"]["ratio"]
    calculator.choose(gpu="A100")
    assert calculator.results()["gpu_hours"][0] > models["gpt3"]["gpu_hours"]
    for wrong in ("", "abc", "-1", "1,2,3", "12 con", "0"):
        calculator.fill(n=wrong)
        for _, text in calculator.results().values():
            assert text == "–"
        assert calculator.form.locator("[name=n]").get_attribute("aria-invalid") == "true"


def test_an_unknown_address_leads_to_a_search_for_its_words(tab, address):
    home = "http://127.0.0.1:8000"  # the page for unknown addresses names the site's own
    page = tab.request.get(f"{address}/404.html").text()
    tab.route(
        f"{home}/**", lambda route: route.continue_(url=route.request.url.replace(home, address))
    )
    lost = f"{home}/fine-tuning/trong-so-buoc"
    tab.route(lost, lambda route: route.fulfill(status=404, content_type="text/html", body=page))
    tab.goto(lost)
    assert tab.locator("h1").inner_text() == "Không có trang này"
    assert tab.get_by_label("Bạn tìm gì?").input_value() == "trong so buoc"
    tab.get_by_role("button", name="Tìm", exact=True).click()
    tab.locator(".md-search-result__link").first.wait_for()
    # An old name: the pages call it otherwise by now.
    found = tab.locator(".md-search-result__list").inner_text().lower()
    assert "trọng số dùng chung (tied weights)" in found


# Without JavaScript


def test_readable_without_javascript(new_tab, address):
    tab = new_tab(java_script_enabled=False)
    tab.goto(f"{address}{SECTION}")
    assert tab.locator(".katex-html").first.is_visible()
    assert tab.locator("figure svg").first.is_visible()
    dead = tab.locator(".md-code__nav, form.md-header__option label").filter(visible=True)
    assert dead.count() == 0
    question = tab.locator(f"{QUIZ} ~ details").first
    assert not question.locator("p").first.is_visible()
    question.locator("summary").click()
    assert question.locator("p").first.is_visible()
    tab.goto(f"{address}{COST}")
    assert tab.locator("article table").first.is_visible()
    assert not tab.locator("form.calculator").is_visible()


# By keyboard and by ear


def test_by_keyboard_from_search_to_quiz(tab, address):
    tab.goto(f"{address}/")
    # The theme's program listens for keys once the search says that it is ready.
    ready = "Gõ có dấu hay không dấu đều được"
    tab.locator(".md-search-result__meta", has_text=ready).wait_for(state="attached")
    tab.keyboard.press("/")
    tab.locator(".md-search__input:focus").wait_for()
    tab.keyboard.type("lưu và tải lại mô hình")
    tab.locator(".md-search-result__link").first.wait_for()
    for _ in range(30):
        tab.keyboard.press("ArrowDown")
        if f"{address}{SECTION}" in tab.evaluate("document.activeElement.href || ''"):
            break
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**{SECTION}**")
    tab.goto(f"{address}{SECTION}{QUIZ}")
    for _ in range(6):  # from the heading on: its own link, then the first question
        tab.keyboard.press("Tab")
        if tab.evaluate(FOCUSED)["tag"] == "SUMMARY":
            break
    found = tab.evaluate(FOCUSED)
    assert found["tag"] == "SUMMARY", found
    assert found["outline"] >= 2, found
    question = tab.locator(f"{QUIZ} ~ details").first
    assert question.get_attribute("open") is None
    tab.keyboard.press("Enter")
    assert question.get_attribute("open") is not None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_is_seen_at_every_stop(new_tab, address, scheme):
    tab = new_tab(color_scheme=scheme)
    tab.goto(f"{address}{SECTION}")
    stops = []
    for _ in range(40):
        tab.keyboard.press("Tab")
        stops.append(tab.evaluate(FOCUSED))
    assert stops[0]["text"].strip() == "Bỏ qua"  # the way past the header, for who goes by keyboard
    for stop in stops:
        assert stop["tag"] in ("BODY", "INPUT") or stop["outline"] >= 1, stop
    assert len({(stop["tag"], stop["text"]) for stop in stops}) > 20


def test_a_screen_reader_meets_formulas_and_figures(tab, address):
    tab.goto(f"{address}{SECTION}tied-weights/")
    session = tab.context.new_cdp_session(tab)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"] and "role" in node]
    formulas = tab.locator(".katex").count()
    assert roles.count("MathMLMath") == formulas > 10
    assert {"MathMLIdentifier", "MathMLNumber", "MathMLOperator"} <= set(roles)
    assert tab.locator(".katex-html:not([aria-hidden=true])").count() == 0
    figures = tab.locator("figure svg").all()
    assert figures
    for figure in figures:
        assert figure.get_attribute("role") == "img"
        assert len(figure.get_attribute("aria-label")) > 20


# On a small screen, on paper, without motion

# What is wider than the screen although nothing around it scrolls.
TOO_WIDE = """() => ["pre", "table", ".katex-display", "svg"]
  .flatMap(name => [...document.querySelectorAll(`article ${name}`)])
  .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
  .filter(element => {
    for (let box = element; box && box.tagName != "ARTICLE"; box = box.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) return false
    return true
  }).map(element => element.outerHTML.slice(0, 120))"""


def test_what_is_wide_scrolls_by_itself_on_a_small_screen(new_tab, address):
    tab = new_tab(viewport={"width": 320, "height": 640})
    tab.goto(f"{address}{SECTION}")
    tab.wait_for_function(f"({TOO_WIDE})().length == 0")
    # The theme's rules for tables still find ours.
    border = "table => getComputedStyle(table).borderTopStyle"
    assert tab.locator("article table").first.evaluate(border) == "solid"


def test_figures_follow_the_theme(tab, address):
    tab.goto(f"{address}{SECTION}")
    colour = "getComputedStyle(document.querySelector('figure svg')).color"
    light = tab.evaluate(colour)
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_function(f"light => {colour} != light", arg=light)


def test_on_paper_nothing_is_cut_off_or_pale(new_tab, address):
    tab = new_tab(color_scheme="dark", viewport={"width": 700, "height": 1000})  # about A4
    tab.goto(f"{address}{SECTION}")
    tab.emulate_media(media="print", color_scheme="dark")
    for part in (".md-header", ".md-sidebar", ".md-footer", ".md-search", ".md-code__nav"):
        assert not tab.locator(part).first.is_visible(), part
    cut = tab.evaluate("""() => [...document.querySelectorAll("article pre > code")]
      .filter(code => code.scrollWidth > code.clientWidth + 1)
      .map(code => code.innerText.slice(0, 60))""")
    assert cut == []
    colour = "getComputedStyle(document.querySelector('article p')).color"
    channels = tab.evaluate(f"{colour}.match(/[\\d.]+/g).map(Number)")
    assert sum(channels[:3]) < 300, "dark text, whatever the screen's theme"


def test_no_motion_for_those_who_do_not_want_it(new_tab, address):
    tab = new_tab(reduced_motion="reduce")
    tab.goto(f"{address}{SECTION}")
    moving = tab.evaluate("""() => [...document.querySelectorAll("*")].filter(element => {
      const style = getComputedStyle(element)
      const lasts = style.transitionDuration.split(", ").some(time => parseFloat(time) > 0)
      return style.animationName != "none" || lasts && style.transitionProperty != "none"
    }).length""")
    assert moving == 0
