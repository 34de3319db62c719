"""The built site: formulas, links, files, notebook, and what a real browser meets."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from conftest import ROOT
from course.pages import values
from course.records import record_book
from course.site.links import broken

SECTION = "/fine-tuning/saving-and-loading/"
WRITTEN = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [
    "/" + re.sub(r"(^|/)index$", r"\1", path.relative_to(ROOT / "docs").with_suffix("").as_posix())
    for path in WRITTEN
]
PAGES = [page if page.endswith("/") else f"{page}/" for page in PAGES]
NOTEBOOK = f"{SECTION}hugging_face_round_trip/"
EXAMPLE = "fine-tuning/saving-and-loading/hugging_face_round_trip"


def soup(site, page):
    return BeautifulSoup(
        (site / page.lstrip("/") / "index.html").read_text(encoding="utf-8"), "html.parser"
    )


def test_every_link_and_anchor_resolves(site):
    assert broken(site) == []


@pytest.mark.parametrize("page", [*PAGES, NOTEBOOK])
def test_no_raw_tex_and_no_failed_formula(site, page):
    document = soup(site, page)
    assert not document.select(".katex-error")
    for formula in document.select(".arithmatex"):
        assert formula.select_one("math"), formula
    for hidden in document.select("pre, code, script, style, math, svg"):
        hidden.decompose()
    text = document.get_text()
    assert not re.search(r"\\[A-Za-z]{2,}|\\[(\[]|\$\$|\[\[", text)


def test_the_lesson_has_formulas(site):
    formulas = soup(site, SECTION).select("math annotation")
    assert any("124.439.808" in formula.get_text() for formula in formulas)


@pytest.mark.parametrize("page", [*PAGES, NOTEBOOK])
def test_pages_are_whole(site, page):
    document = soup(site, page)
    assert document.html["lang"] == "vi"
    assert len(document.find_all("h1")) == 1
    assert document.title.get_text().strip()
    assert not document.select(".record-problem")
    for tag in document.select("[src], link[href]"):
        target = tag.get("src") or tag.get("href")
        if "canonical" not in (tag.get("rel") or []):
            assert not re.match(r"(https?:)?//", target), tag


def test_numbers_are_written_as_vietnamese_readers_write_them(site):
    shown = {
        value.get_text().replace("\xa0", " ") for value in soup(site, SECTION).select("data[value]")
    }
    assert {"474,7 MiB", "497.774.208 byte"} <= shown


def test_the_script_and_the_transcript_are_published_as_they_are(site):
    source = (ROOT / "examples" / f"{EXAMPLE}.py").read_text(encoding="utf-8")
    assert (site / f"{EXAMPLE}.py").read_text(encoding="utf-8") == source
    folder, _, name = EXAMPLE.rpartition("/")
    transcript = (ROOT / "examples" / folder / "results" / f"{name}.txt").read_text(
        encoding="utf-8"
    )
    assert (site / f"{EXAMPLE}.txt").read_text(encoding="utf-8") == transcript


def test_the_checker_is_published_as_it_is_with_a_button(site):
    page = soup(site, f"{SECTION}verify-checkpoint/")
    links = [link["href"] for link in page.select(".lesson-strip a.md-button")]
    assert links.count("../verify_checkpoint.py") == 2  # to keep, to copy
    source = (ROOT / "examples/fine-tuning/saving-and-loading/verify_checkpoint.py").read_bytes()
    assert (site / "fine-tuning/saving-and-loading/verify_checkpoint.py").read_bytes() == source


def test_the_notebook_holds_the_recorded_output(site):
    notebook = json.loads(
        (site / EXAMPLE / "hugging_face_round_trip.ipynb").read_text(encoding="utf-8")
    )
    printed = "".join(
        "".join(out["text"]) for cell in notebook["cells"] for out in cell.get("outputs", [])
    )
    assert "ĐÃ CHỨNG MINH" in printed
    page = soup(site, NOTEBOOK)
    assert "ĐÃ CHỨNG MINH" in page.get_text()
    assert not page.select(".jupyter-wrapper style, .jupyter-wrapper script")


def test_readable_without_javascript(browser, address):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address + SECTION)
    assert tab.get_by_text("Mô hình vừa dựng có nhiều tensor").is_visible()
    assert tab.locator(".katex-html").first.is_visible()
    assert tab.locator("figure svg").first.is_visible()
    assert (
        not tab.locator(".md-code__nav, form.md-header__option label").filter(visible=True).count()
    )  # nothing dead
    question = tab.locator("details", has_text="Báo cáo tải rỗng. Bạn kết luận được gì?")
    assert not question.locator("p").is_visible()
    question.locator("summary").click()
    assert question.locator("p").is_visible()
    context.close()


def test_the_copy_button_copies_the_whole_script(browser, address):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    tab.goto(address + SECTION)
    script = tab.locator("details.run").first
    script.locator("summary").click()
    script.get_by_text("Chép cả script").click()
    script.get_by_text("Đã chép").wait_for()
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied == (ROOT / "examples" / f"{EXAMPLE}.py").read_text(encoding="utf-8")
    assert tab.url == address + SECTION
    context.close()


def test_a_block_of_code_can_be_copied(browser, address):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    tab.goto(address + SECTION, wait_until="networkidle")
    block = tab.locator("article pre:visible", has=tab.locator("code")).last
    block.get_by_role("button", name="Sao chép").click()
    tab.locator(".md-dialog", has_text="Đã sao chép").wait_for()
    assert (
        tab.evaluate("navigator.clipboard.readText()")
        == block.locator("code").inner_text().rstrip()
    )
    context.close()


def test_the_theme_switch_goes_round(browser, address):
    context = browser.new_context(color_scheme="light", viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    tab.goto(address + "/")
    seen = []
    for _ in range(3):
        tab.locator("form.md-header__option label:visible").click()
        seen.append(tab.evaluate("document.body.getAttribute('data-md-color-scheme')"))
    assert seen == ["default", "slate", "default"]
    context.close()


def test_tabs_stay_on_the_chosen_framework(browser, address):
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(address + SECTION)
    tab.locator(".tabbed-labels label", has_text="PyTorch").first.click()
    assert tab.get_by_text("Lưu từ điển trạng thái").is_visible()
    tab.reload()
    tab.get_by_text("Lưu từ điển trạng thái").wait_for()
    context.close()


PRETRAINING = "/pretraining/what-is-pretraining/"
COST = f"{PRETRAINING}cost/"


def test_the_calculator_gives_the_numbers_of_its_script(browser, address):
    path = ROOT / f"examples{PRETRAINING}results/training_cost.json"
    record = json.loads(path.read_text(encoding="utf-8"))["exact"]
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(address + COST)
    form = tab.locator("form.calculator.ready")
    form.wait_for()

    def results():
        tab.wait_for_timeout(300)
        cells = form.locator("data").evaluate_all(
            "cells => cells.map(cell => [cell.dataset.key, cell.value, cell.innerText])"
        )
        return {key: (float(value), text) for key, value, text in cells}

    for name, model in record["models"].items():
        form.locator("[name=model]").select_option(name)
        expected = {key: (model[key], values.show(model[key], "w")) for key in results()}
        assert results() == expected
    for n, d in (
        ("175e9", "300 tỷ"),
        ("175.000.000.000", "0,3 nghìn tỷ"),
        ("175 tỉ", "300000000000"),
        ("175B", "300b"),
    ):
        form.locator("[name=n]").fill(n)
        form.locator("[name=d]").fill(d)
        assert results()["flops"][0] == record["models"]["gpt3"]["flops"]
        assert form.locator("[name=model]").input_value() == ""
    for share in ("0,4", "0.4", "40 %", "40%"):
        form.locator("[name=utilisation]").fill(share)
        assert results()["gpu_hours"][0] == record["models"]["gpt3"]["gpu_hours"]
    form.locator("[name=d]").fill("")
    assert results()["ratio"][0] == record["models"]["chinchilla"]["ratio"]
    form.locator("[name=gpu]").select_option("A100")
    assert results()["gpu_hours"][0] > record["models"]["gpt3"]["gpu_hours"]
    for wrong in ("", "abc", "-1", "1,2,3", "12 con", "0"):
        form.locator("[name=n]").fill(wrong)
        assert {text for _, text in results().values()} == {"–"}
        assert form.locator("[name=n]").get_attribute("aria-invalid") == "true"
    context.close()


def test_the_costs_stand_without_javascript(browser, address):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address + COST)
    assert tab.locator("table", has_text="DeepSeek-V3").first.is_visible()
    assert not tab.locator("form.calculator").is_visible()
    context.close()


def test_only_its_page_loads_the_calculator(site):
    pages = [
        page
        for page in PAGES
        if "calculator.js" in (site / page.lstrip("/") / "index.html").read_text("utf-8")
    ]
    assert pages == [COST]
    assert (site / "assets/calculator.js").stat().st_size <= 3 * 1024


def test_the_site_carries_its_records_without_times(site):
    book = json.loads((site / "records.json").read_text(encoding="utf-8"))
    name = "fine-tuning/saving-and-loading/hugging_face_round_trip"
    record = json.loads(
        (ROOT / f"examples/{Path(name).parent}/results/{Path(name).name}.json").read_text(
            encoding="utf-8"
        )
    )
    assert book["records"][name]["values"]["exact.parameters"] == record["exact"]["parameters"]
    assert not [
        key for entry in book["records"].values() for key in entry["values"] if "timing" in key
    ]
    line = record_book.verified_line(book["verified"])
    assert "torch 2." in line
    page = BeautifulSoup((site / "whats-new/index.html").read_text(encoding="utf-8"), "html.parser")
    assert line in page.select_one("article").get_text()
    assert line in page.select_one(".md-copyright").get_text()
