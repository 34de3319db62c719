"""The search, asked in Chromium: by the words of readers in the site's own worker, and by typing into the page."""

from __future__ import annotations

import gzip
import json
import re
import unicodedata

import bench_search
import pytest
from bench_search import ASK, TYPINGS, WORKER, load_queries, recall

from course.site import search as search_index

LESSON = "fine-tuning/saving-and-loading/"
QUERIES = load_queries()
BUDGET = 220_000  # bytes, gzipped, for the words of 50 lessons


@pytest.fixture(scope="module")
def ask(browser, address):
    """Asks many queries at once: for each the groups of results, the page's own entry first."""
    tab = browser.new_page()
    tab.goto(f"{address}/404.html")

    def asked(queries):
        return tab.evaluate(ASK, {"worker": f"/{WORKER}", "queries": queries})

    yield asked
    tab.close()


@pytest.fixture
def tab(browser, address):
    """The front page, with the requests and console messages so far."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.requests, tab.messages = [], []
    tab.on("request", lambda request: tab.requests.append(request.url.removeprefix(address)))
    tab.on("console", lambda message: tab.messages.append(message.text))
    tab.on("pageerror", lambda error: tab.messages.append(str(error)))
    tab.goto(f"{address}/", wait_until="networkidle")
    yield tab
    context.close()


def type_in(tab, text):
    """Type letter by letter, and wait for the results of the whole."""
    tab.locator(".md-search__input").click()
    tab.keyboard.type(text, delay=20)
    tab.locator(".md-search-result__item").first.wait_for()
    tab.wait_for_timeout(400)


def first_pages(answer):
    """The pages of the first five results."""
    return [group[0]["location"].partition("#")[0] for group in answer["found"][:5]]


@pytest.mark.parametrize("typing", TYPINGS)
def test_readers_find_what_they_ask_for(ask, typing):
    assert len(QUERIES) >= 60
    answers = ask([TYPINGS[typing](query["q"]) for query in QUERIES])
    assert recall(QUERIES, answers) >= 0.95
    held_out = [n for n, query in enumerate(QUERIES) if query["set"] == "B"]
    assert recall([QUERIES[n] for n in held_out], [answers[n] for n in held_out]) >= 0.92


def test_a_slip_of_the_finger_costs_little(ask):
    slipped = [query for query in QUERIES if "slip" in query]
    clean = recall(slipped, ask([query["q"] for query in slipped]))
    assert recall(slipped, ask([query["slip"] for query in slipped])) >= clean - 0.1


@pytest.mark.parametrize(
    ("typed", "page"),
    [
        ("tied weights", f"{LESSON}tied-weights/"),
        ("TRỌNG SỐ BUỘC", f"{LESSON}tied-weights/"),
        ("trong so bu", f"{LESSON}tied-weights/"),
        ("save_pretrained", f"{LESSON}hugging-face-folder/"),
        ("load_state_dict", f"{LESSON}state-dict/"),
        ("tie_weights", f"{LESSON}tied-weights/"),
        ("weights_only=True", f"{LESSON}old-code/"),
        ("safetensors", f"{LESSON}hugging-face-folder/"),
        ("huanluyen", "pretraining/what-is-pretraining/"),
        ("«size mismatch»", f"{LESSON}state-dict/"),
        ("RuntimeError: size mismatch for", f"{LESSON}state-dict/"),
        ("(checkpoint)", f"{LESSON}checkpoint/"),
        ("checkpoint,", f"{LESSON}checkpoint/"),
    ],
)
def test_terms_identifiers_and_errors_are_found(ask, typed, page):
    assert page in first_pages(ask([typed])[0])


def test_both_places_of_the_tone_and_all_typings_are_one(ask):
    same = [
        "khoá tuỳ hoà",
        "khóa tùy hòa",
        "KHÓA TÙY HÒA",
        unicodedata.normalize("NFD", "khóa tùy hòa"),
    ]
    answers = [[group[0]["location"] for group in answer["found"]] for answer in ask(same)]
    assert answers[0]
    assert all(answer == answers[0] for answer in answers)


def test_a_term_is_found_in_the_other_language(ask):
    english, vietnamese, both = ask(["tied weights", "trọng số buộc", "trong so buoc"])
    for answer in (english, vietnamese, both):
        titles = [entry["title"] for group in answer["found"][:3] for entry in group]
        assert any("tied weights" in re.sub("<.*?>", "", title) for title in titles)
        assert f"{LESSON}tied-weights/" in first_pages(answer)[:2]


def test_notebooks_and_formulas_are_not_in_the_way(site, ask):
    listed = json.loads((site / "search/words.json").read_text(encoding="utf-8"))
    assert not [
        location for location, _ in listed["pages"] if any((site / location).glob("*.ipynb"))
    ]
    assert not {"mathcal", "frac", "arithmatex"} & set(listed["words"].split(" "))
    assert first_pages(ask(["hugging_face_round_trip.py"])[0])[0] == LESSON


def test_the_worker_cuts_words_as_the_list_does(site, browser, address):
    tab = browser.new_page()
    tab.goto(f"{address}/404.html")
    tab.add_script_tag(url=f"/{WORKER}")
    for path in sorted((site / search_index.PAGES).iterdir()):
        text = path.read_text(encoding="utf-8")
        assert tab.evaluate(
            "text => words(text).map(({word}) => word)", text
        ) == search_index.words(text), path.name
    tricky = "Hòa, HOÀ: khỏe/khoẻ tùy_tuỳ «đ» Ưu-tiên x² 3,5 naïve İ ﬁ"
    assert tab.evaluate("text => words(text).map(({word}) => word)", tricky) == search_index.words(
        tricky
    )
    tab.close()


def test_nothing_is_downloaded_before_the_first_letter(tab, site):
    assert (
        len((site / "search/search_index.json").read_bytes()) < 1000
    )  # what the theme fetches: its settings, no text
    tab.locator(".md-search__input").click()
    tab.wait_for_timeout(300)
    assert [url for url in tab.requests if url.startswith("/search/")] == [
        "/search/search_index.json"
    ]
    type_in(tab, "checkpoint")
    fetched = [url for url in tab.requests if url.startswith("/search/")]
    assert fetched.count("/search/words.json") == 1
    assert len(fetched) < 12
    assert tab.messages == []


def test_the_words_of_50_lessons_are_small(site):
    pages, same = bench_search.read(site)
    lessons, real = bench_search.lesson_pages(pages)
    each = len(real) / lessons
    more = bench_search.invented(real, round((50 - lessons) * each), round(each))
    listed = search_index.compact(search_index.list_of([*pages, *more], same))
    assert len(gzip.compress(listed.encode(), 9)) < BUDGET


@pytest.mark.parametrize(
    "typed", ["lưu checkpoint bằng nửa độ chính xác", "luu checkpoint bang nua do chinh xac"]
)
def test_a_result_leads_to_its_section_and_keeps_its_accents(tab, address, typed):
    type_in(tab, typed)
    best = tab.locator(".md-search-result__item").first
    assert "Checkpoint để huấn luyện tiếp" in best.inner_text()
    section = best.locator("a", has_text="Lưu checkpoint bằng nửa độ chính xác")
    marks = [mark.lower() for mark in section.locator("mark").all_inner_texts()]
    assert any("nửa độ chính xác" in mark for mark in marks)
    assert any("checkpoint" in mark for mark in marks)
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile(r"/checkpoint/\?h=.*#luu-checkpoint-bang-nua-do-chinh-xac$"))
    tab.locator(
        "article mark[data-md-highlight]", has_text=re.compile("nửa", re.IGNORECASE)
    ).first.wait_for()


def test_the_keyboard_is_enough(tab):
    tab.keyboard.press("/")
    tab.locator(".md-search__input:focus").wait_for()
    tab.keyboard.type("doi chung", delay=20)
    tab.locator(".md-search-result__item").first.wait_for()
    tab.wait_for_timeout(400)
    tab.keyboard.press("ArrowDown")
    first = tab.locator(".md-search-result__item a").first.get_attribute("href")
    assert tab.evaluate("document.activeElement.href") == first
    tab.keyboard.press("Escape")
    assert not tab.locator("#__search").is_checked()
    assert tab.messages == []


def test_an_address_can_carry_the_question(browser, address):
    tab = browser.new_page()
    tab.goto(f"{address}/?q=trong+so+buoc")
    tab.locator(".md-search-result__item mark").first.wait_for()
    assert tab.locator(".md-search__input").input_value() == "trong so buoc"
    tab.close()


def test_the_search_works_below_a_path_and_says_what_it_is(browser, address, site, tmp_path):
    home = "http://below.test"  # every request is answered from the site, one folder down
    context = browser.new_context()
    tab = context.new_page()
    tab.route(
        f"{home}/course/**",
        lambda route: route.continue_(url=route.request.url.replace(f"{home}/course", address)),
    )
    tab.goto(f"{home}/course/glossary/")
    assert tab.get_by_role("dialog", name="Tìm kiếm", include_hidden=True).count() == 1
    type_in(tab, "luong tu hoa")
    link = tab.locator(".md-search-result__item a").first.get_attribute("href")
    assert link.startswith(f"{home}/course/")
    type_in(tab, " zzzqqq")
    assert "Không có: zzzqqq" in tab.locator(".md-search-result").inner_text()
    context.close()


def test_nothing_found_is_said(tab):
    tab.locator(".md-search__input").click()
    tab.keyboard.type("zzzqqq", delay=20)
    tab.get_by_text("Không tìm thấy trang nào").wait_for()
    assert tab.messages == []
