"""The search, asked in Chromium: by readers' words in the site's own worker, and on the page."""

from __future__ import annotations

import json
import re

import pytest
from search_helpers import (
    TYPINGS,
    WORKER,
    ask,
    decomposed,
    downloaded,
    first_pages,
    load_queries,
    recall,
)

from course.site.search.index import PAGES
from course.site.search.words import words

LESSON = "fine-tuning/saving-and-loading/"
COST = "pretraining/what-is-pretraining/cost/"
QUERIES = load_queries()
READY = "Gõ có dấu hay không dấu đều được"
# A first question on an empty cache. Both grow with the lessons; see `dev.py bench search`.
MOST_REQUESTS = 20
MOST_BYTES = 250_000


@pytest.fixture(scope="module")
def worker(browser, address):
    """A page of the site from which its worker can be asked."""
    tab = browser.new_page()
    tab.goto(f"{address}/404.html")
    yield tab
    tab.close()


@pytest.fixture
def tab(browser, address):
    """The front page, with the requests and console messages so far."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.requests = []
    tab.messages = []
    tab.on("request", lambda request: tab.requests.append(request.url.removeprefix(address)))
    tab.on("console", lambda message: tab.messages.append(message.text))
    tab.on("pageerror", lambda error: tab.messages.append(str(error)))
    tab.goto(f"{address}/")
    yield tab
    context.close()


def open_search(tab):
    """Open the dialog by keyboard, and wait until the worker answers."""
    tab.locator(".md-search-result__meta", has_text=READY).wait_for(state="attached")
    tab.keyboard.press("/")
    tab.locator(".md-search__input:focus").wait_for()


def put_in(tab, text):
    """Put in a whole question, so that it is asked once: the theme looks when a key goes up."""
    tab.keyboard.insert_text(text[:-1])
    tab.keyboard.press(text[-1])


def question(tab, text):
    """Ask in the dialog; the first result once it is there."""
    open_search(tab)
    put_in(tab, text)
    first = tab.locator(".md-search-result__item").first
    first.wait_for()
    return first


def test_readers_find_what_they_ask_for(worker):
    assert len(QUERIES) >= 60
    held_out = []
    for number, query in enumerate(QUERIES):
        if query["set"] == "B":
            held_out.append(number)
    for typed in TYPINGS.values():
        answers = ask(worker, [typed(query["q"]) for query in QUERIES])
        assert recall(QUERIES, answers) >= 0.95
        unseen = [QUERIES[number] for number in held_out]
        assert recall(unseen, [answers[number] for number in held_out]) >= 0.92


def test_a_slip_of_the_finger_costs_little(worker):
    slipped = [query for query in QUERIES if "slip" in query]
    clean = recall(slipped, ask(worker, [query["q"] for query in slipped]))
    assert recall(slipped, ask(worker, [query["slip"] for query in slipped])) >= clean - 0.1


@pytest.mark.parametrize(
    ("typed", "page"),
    [
        ("tied weights", f"{LESSON}tied-weights/"),
        ("TRỌNG SỐ BUỘC", f"{LESSON}tied-weights/"),
        ("trong so bu", f"{LESSON}tied-weights/"),
        ("trọng số dùng chung", f"{LESSON}tied-weights/"),
        ("chia tệp", f"{LESSON}hugging-face-folder/"),
        ("doi chung", f"{LESSON}verify/"),
        ("chạy tiếp từ checkpoint", f"{LESSON}checkpoint/"),
        ("save_pretrained", f"{LESSON}hugging-face-folder/"),
        ("weights_only=True", f"{LESSON}old-files/"),
        ("huanluyen", "pretraining/what-is-pretraining/"),
        ("«size mismatch»", f"{LESSON}state-dict/"),
        ("RuntimeError: size mismatch for", f"{LESSON}state-dict/"),
        ("checkpoint,", f"{LESSON}checkpoint/"),
        ("hugging_face_round_trip.py", LESSON),
        ("save_and_check.py", LESSON),
        ("Can't find a valid checkpoint", f"{LESSON}trainer/"),
        ("index out of range in self", f"{LESSON}hugging-face-folder/"),
        ("C = 6ND", COST),
        ("√Vd", f"{LESSON}corrections/"),
    ],
)
def test_terms_identifiers_errors_and_formulas_are_found(worker, typed, page):
    assert page in first_pages(ask(worker, [typed])[0])


def test_both_places_of_the_tone_and_all_typings_are_one(worker):
    same = ["khoá tuỳ hoà", "khóa tùy hòa", "KHÓA TÙY HÒA", decomposed("khóa tùy hòa")]
    first, *others = [first_pages(answer) for answer in ask(worker, same)]
    assert first
    for other in others:
        assert other == first


def test_notebooks_and_tex_are_not_in_the_way(site):
    listed = json.loads((site / "search/words.json").read_text(encoding="utf-8"))
    for location, _ in listed["pages"]:
        assert not list((site / location).glob("*.ipynb"))
    assert not {"mathcal", "frac", "arithmatex"} & set(listed["words"].split(" "))


def test_the_worker_cuts_words_as_the_list_does(site, worker, address):
    worker.add_script_tag(url=f"{address}/{WORKER}")
    tricky = "Hòa, HOÀ: khỏe/khoẻ tùy_tuỳ «đ» Ưu-tiên x² 3,5 6ND 1/√d naïve İ ﬁ"
    texts = [tricky, decomposed(tricky)]
    for path in sorted((site / PAGES).iterdir()):
        texts.append(path.read_text(encoding="utf-8"))
    for text in texts:
        cut = worker.evaluate("text => words(text).map(({word}) => word)", text)
        assert cut == words(text)


def test_a_first_question_downloads_little_and_reading_nothing(tab, site):
    open_search(tab)
    before = len(tab.requests)
    idle = [path for path in tab.requests if path.startswith("/search/")]
    assert idle == ["/search/search_index.json"]
    assert downloaded(site, idle) < 1000  # the theme's settings, no text
    put_in(tab, "lưu checkpoint để huấn luyện tiếp")
    tab.locator(".md-search-result__item").first.wait_for()
    fetched = tab.requests[before:]
    assert len(fetched) == len(set(fetched)) <= MOST_REQUESTS
    assert downloaded(site, fetched) <= MOST_BYTES
    assert tab.messages == []


@pytest.mark.parametrize(
    "typed", ["checkpoint tốt bị ghi đè, NaN", "checkpoint tot bi ghi de, NaN"]
)
def test_enter_leads_to_the_section_and_its_marked_words(tab, typed):
    best = question(tab, typed)
    assert "Checkpoint để chạy tiếp" in best.inner_text()
    section = best.locator("a", has_text="Loss thành NaN, và checkpoint tốt bị ghi đè")
    marks = " ".join(section.locator("mark").all_inner_texts()).lower()
    assert "checkpoint tốt" in marks
    assert "ghi đè" in marks
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile(r"/checkpoint/\?h=.*#loss-thanh-nan-va-checkpoint-tot-bi-ghi-de$"))
    good = re.compile("tốt", re.IGNORECASE)
    tab.locator("article mark[data-md-highlight]", has_text=good).first.wait_for()


def test_the_keyboard_is_enough(tab):
    first = question(tab, "doi chung").locator("a").first.get_attribute("href")
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("document.activeElement.href") == first
    tab.keyboard.press("Escape")
    assert not tab.locator("#__search").is_checked()
    assert tab.messages == []


def test_letters_typed_one_by_one_end_in_the_answer_to_all_of_them(tab):
    open_search(tab)
    tab.keyboard.type("trong so buoc zzzqqq", delay=20)
    tab.get_by_text("Không có: zzzqqq").first.wait_for()
    assert tab.messages == []


def test_nothing_found_is_said(tab):
    open_search(tab)
    put_in(tab, "zzzqqq")
    tab.get_by_text("Không tìm thấy trang nào").wait_for()


def test_an_address_can_carry_the_question(tab, address):
    tab.goto(f"{address}/?q=trong+so+buoc")
    tab.locator(".md-search-result__item mark").first.wait_for()
    assert tab.locator(".md-search__input").input_value() == "trong so buoc"


def test_the_search_works_below_a_path(browser, address):
    home = "http://below.test"  # every request is answered from the site, one folder down
    context = browser.new_context()
    tab = context.new_page()
    tab.route(
        f"{home}/course/**",
        lambda route: route.continue_(url=route.request.url.replace(f"{home}/course", address)),
    )
    tab.goto(f"{home}/course/glossary/")
    assert tab.get_by_role("dialog", name="Tìm kiếm", include_hidden=True).count() == 1
    link = question(tab, "luong tu hoa").locator("a").first.get_attribute("href")
    assert link.startswith(f"{home}/course/")
    context.close()
