"""The course around the lessons: the path, old addresses, words, what stands near a lesson."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest
from bs4 import BeautifulSoup
from test_site import SECTION, soup

from conftest import ROOT
from course import catalog as course
from course.pages import glossary
from course.pages import lists as course_lists

CATALOG = course.load(ROOT)
MODULES = CATALOG.modules
OLD_LESSONS = {  # what the old course had: number of its file, where a reader must arrive
    "06_pretraining/aero_llm_01_what_is_pretraining": "06.01",
    "06_pretraining/aero_llm_02_huggingface": "06.02",
    "06_pretraining/aero_llm_03_the_adamw_optimizer": "06.03",
    "06_pretraining/aero_llm_04_codechallenge_sgd_vs_adam_vs_adamw_": "06.04",
    "06_pretraining/aero_llm_05_train_model": "06.05",
    "06_pretraining/aero_llm_06_codechallenge_add_a_test_set": "06.06",
    "06_pretraining/aero_llm_07_codechallenge_train_model_1_with_gpt2_s_embeddings": "06.07",
    "06_pretraining/aero_llm_08_codechallenge_train_model_5_with_modifications": "06.08",
    "06_pretraining/aero_llm_09_create_a_custom_loss_function": "06.09",
    "06_pretraining/aero_llm_010_codechallenge_train_a_model_to_like_x": "06.10",
    "06_pretraining/aero_llm_011_codechallenge_numerical_scaling_issues_in_dl_models_copy_2": "06.11",
    "06_pretraining/aero_llm_012_weight_initializations": "06.12",
    "06_pretraining/aero_llm_013_codechallenge_train_model_5_with_weight_inits": "06.13",
    "06_pretraining/aero_llm_014_dropout_in_theory_and_in_pytorch": "06.14",
    "06_pretraining/aero_llm_015_should_you_output_logits_or_log_softmax_logits_": "06.15",
    "06_pretraining/aero_llm_016_the_fineweb_dataset": "06.16",
    "06_pretraining/aero_llm_017_codechallenge_fine_dropout_in_model_5_part_1": "06.17",
    "06_pretraining/aero_llm_018_codechallenge_fine_dropout_in_model_5_part_2_": "06.18",
    "06_pretraining/aero_llm_019_codechallenge_what_happens_to_unused_tokens_": "06.19",
    "06_pretraining/aero_llm_020_optimization_options": "06.20",
    "07_fine_tune_pretrained_models/aero_llm_01_what_does_fine_tuning_mean": "07.01",
    "07_fine_tune_pretrained_models/aero_llm_02_fine_tune_a_pretrained_gpt2": "07.02",
    "07_fine_tune_pretrained_models/aero_llm_03codechallenge_gulliver_s_learning_rates": "07.03",
    "07_fine_tune_pretrained_models/aero_llm_04_on_generating_text_from_pretrained_models": "07.04",
    "07_fine_tune_pretrained_models/aero_llm_05_codechallenge_maximize_the_x_factor_": "07.05",
    "07_fine_tune_pretrained_models/aero_llm_06_alice_in_wonderland_and_edgar_allen_poe_with_gpt_neo_": "07.06",
    "07_fine_tune_pretrained_models/aero_llm_07_codechallenge_quantify_the_aliceedgar_fine_tunin": "07.07",
    "07_fine_tune_pretrained_models/aero_llm_07_codechallenge_quantify_the_aliceedgar_fine_tuning": "07.07",
    "07_fine_tune_pretrained_models/aero_llm_08_codechallenge_a_chat_between_alice_and_edgar": "07.08",
    "07_fine_tune_pretrained_models/aero_llm_09_partial_fine_tuning_by_freezing_attention_weights": "07.09",
    "07_fine_tune_pretrained_models/aero_llm_010_codechallenge_fine_tuning_and_targeted_freezing_part_1_": "07.10",
    "07_fine_tune_pretrained_models/aero_llm_011_codechallenge_fine_tuning_and_targeted_freezing_part_2_": "07.11",
    "07_fine_tune_pretrained_models/aero_llm_012_parameter_efficient_fine_tuning_peft_": "07.12",
    "07_fine_tune_pretrained_models/aero_llm_013_codegen_for_code_completion": "07.13",
    "07_fine_tune_pretrained_models/aero_llm_014_codechallenge_fine_tune_codegen_for_calculus": "07.14",
    "07_fine_tune_pretrained_models/aero_llm_015_fine_tuning_bert_for_classification": "07.15",
    "07_fine_tune_pretrained_models/aero_llm_016_codechallenge_imdb_sentiment_analysis_using_bert_en_us": "07.16",
    "07_fine_tune_pretrained_models/aero_llm_017_gradient_clipping_and_learning_rate_scheduler_part_1_en_us": "07.17",
    "07_fine_tune_pretrained_models/aero_llm_018_gradient_clipping_and_learning_rate_scheduler_part_2_": "07.18",
    "07_fine_tune_pretrained_models/aero_llm_019_codechallenge_clip_freeze_and_schedule_bert": "07.19",
    "07_fine_tune_pretrained_models/aero_llm_020_saving_and_loading_trained_models": "07.20",
    "07_fine_tune_pretrained_models/aero_llm_021_bert_decides_alice_or_edgar": "07.21",
    "07_fine_tune_pretrained_models/aero_llm_022_codechallenge_evolution_of_alice_and_edgar_part_1_": "07.22",
    "07_fine_tune_pretrained_models/aero_llm_023_codechallenge_evolution_of_alice_and_edgar_part_2_": "07.23",
}
OLD_MODULES = {
    "01_llm_course": "01",
    "02_words_to_tokens_to_numbers": "02",
    "04_buildgpt": "04",
    "06_pretraining": "06",
    "07_fine_tune_pretrained_models": "07",
    "19_ai_safety": "19",
    "20_python_colab_notebooks": "20",
}


@pytest.fixture
def reader(browser):
    """A tab that loads pages alone: styles and scripts say nothing about where an address leads."""
    tab = browser.new_page()
    tab.route(
        "**/*",
        lambda route: (
            route.continue_() if route.request.resource_type == "document" else route.abort()
        ),
    )
    yield tab
    tab.close()


def arrive(tab, address: str) -> tuple[str, str]:
    """Where a browser ends: path and what the reader finds there (the heading, and the line of the anchor)."""
    tab.goto(address, wait_until="commit")
    tab.locator("h1:not(:text('Trang đã chuyển'))").wait_for()
    tab.wait_for_load_state("domcontentloaded")
    line = "location.hash ? (document.querySelector(location.hash) || {innerText: 'NOWHERE'}).innerText : ''"
    return tab.locator("h1").inner_text(), tab.evaluate(line)


def test_every_old_address_is_known():
    assert len(OLD_LESSONS) == 44
    assert CATALOG.old_addresses().keys() == OLD_LESSONS.keys() | OLD_MODULES.keys()


def test_every_old_lesson_leads_to_its_page_or_its_line(reader, address):
    lessons = {lesson.number: lesson for module in MODULES for lesson in module.lessons}
    for old, number in OLD_LESSONS.items():
        heading, line = arrive(reader, f"{address}/{old}")
        if lessons[number].page:
            assert heading == lessons[number].title, old
        else:
            assert heading in {
                module.title for module in MODULES if number.startswith(module.number)
            }, old
            assert line.startswith(f"{number} {lessons[number].title}"), old


def test_every_old_module_leads_to_its_page_or_its_line(reader, address):
    modules = {module.number: module for module in MODULES}
    for old, number in OLD_MODULES.items():
        heading, line = arrive(reader, f"{address}/{old}")
        shown = heading if modules[number].page else line
        assert modules[number].title in shown, old


@pytest.mark.parametrize("ending", [".md", ".html", "/index.md", "/README.md"])
def test_every_spelling_of_an_old_address_leads_to_the_same_place(reader, address, ending):
    def target(old: str, tail: str) -> str:
        answer = reader.request.get(f"{address}/{old}{tail}")
        assert answer.ok, old
        return urljoin(
            answer.url, BeautifulSoup(answer.text(), "html.parser").select_one("a")["href"]
        )

    for old in OLD_LESSONS if ending in (".md", ".html") else OLD_MODULES:
        assert target(old, ending) == target(old, ""), old


def test_an_old_address_without_javascript(site):
    page = BeautifulSoup(
        (site / "06_pretraining/aero_llm_02_huggingface/index.html").read_text("utf-8"),
        "html.parser",
    )
    assert page.select_one("a")["href"] == "../../pretraining/#bai-06-02"
    assert page.select_one("meta[http-equiv=refresh]")["content"].endswith(
        "url=../../pretraining/#bai-06-02"
    )


@pytest.mark.parametrize(
    "module", [module for module in MODULES if module.page], ids=lambda module: module.folder
)
def test_a_module_lists_its_lessons_in_learning_order(site, module):
    items = soup(site, "/" + module.page.removesuffix("index.md")).select("article .course-list li")
    assert [item.select_one("small").get_text() for item in items] == [
        lesson.number for lesson in module.lessons
    ]
    for item, lesson in zip(items, module.lessons, strict=True):
        text = item.get_text()
        assert lesson.title in text
        assert lesson.description in text
        assert lesson.description
        assert bool(item.select("a")) == bool(lesson.page)
        assert ("chưa viết" in text) != bool(lesson.page)


def test_the_portal_says_what_exists(site):
    portal = soup(site, "/")
    links = [link["href"] for link in portal.select("article a[href]")]
    assert "fine-tuning/saving-and-loading/" in links
    lines = [item.get_text() for item in portal.select("article .course-list li[id^=mo-dun]")]
    assert [line[:2] for line in lines] == [module.number for module in MODULES]
    for line, module in zip(lines, MODULES, strict=True):
        assert module.title in line
        assert ("chưa viết" in line) == (
            not any(lesson.page for lesson in module.lessons) and not module.page
        )


def test_the_foot_of_a_lesson_names_what_comes_next_and_what_shares_its_words(site):
    foot = soup(site, f"{SECTION}tied-weights/").select_one(".related")
    links = [link["href"] for link in foot.select("a")]
    assert links[0] == "../checkpoint/"  # the next page
    assert 2 <= len(links) <= course_lists.RELATED
    assert "cùng nói về" in foot.get_text()


def test_related_pages_share_rare_words():
    terms = {"a": {"x", "common"}, "b": {"x", "common"}, "c": {"common"}, "d": {"y", "common"}}
    assert course_lists.related(terms, dict.fromkeys(terms, ""))["a"] == [("b", ["x"])]
    assert [page for page, _ in course_lists.related(terms, dict.fromkeys(terms, "d"))["a"]] == [
        "d",
        "b",
    ]


def test_the_glossary_is_whole(site):
    terms, _ = glossary.load(ROOT)
    assert len(terms) >= 80
    numbers = {lesson.number for module in MODULES for lesson in module.lessons}
    anchors = [term.anchor for term in terms]
    assert len(set(anchors)) == len(anchors)
    for term in terms:
        assert term.first in numbers, term.vi
        assert term.definition.endswith("."), term.vi
        assert "\n" not in term.definition
    page = soup(site, "/glossary/")
    assert {entry["id"] for entry in page.select("dl.glossary dt")} == set(anchors)
    assert page.select_one("#trong-so-buoc-tied-weights + dd a")["href"].startswith(
        "../fine-tuning/saving-and-loading/"
    )


def test_the_first_use_of_a_word_leads_to_the_glossary(site):
    page = soup(site, f"{SECTION}tied-weights/")
    terms = page.select("a.term")
    targets = [term["href"] for term in terms]
    assert "../../../glossary/#trong-so-buoc-tied-weights" in targets
    assert len(targets) == len(set(targets))
    assert all(term["title"] for term in terms)
    assert not page.select(
        "pre a.term, code a.term, h1 a.term, h2 a.term, h3 a.term, a a.term, table a.term"
    )


def test_a_word_is_linked_once_and_only_in_sentences():
    term = glossary.Term("tied weights", "trọng số buộc", "Một ma trận, hai chỗ.", (), "07.20")
    words = glossary.Words([term])
    content = (
        "<h2>Trọng số buộc</h2><p><code>tied weights</code> Trọng số buộc<br>, trọng số buộc</p>"
    )
    linked = words.link(content, "../g/")
    assert linked.count("<a ") == 1
    assert '<a class="term" href="../g/#trong-so-buoc-tied-weights"' in linked
    assert ">Trọng số buộc</a><br>, trọng số buộc" in linked
    assert words.on("xtied weights, Tied Weights.") == {"trọng số buộc"}


def test_pages_and_scripts_use_the_words_of_the_glossary():
    terms, _ = glossary.load(ROOT)
    texts = sorted(
        [*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.py"), ROOT / "README.md"]
    )
    texts.append(ROOT / "scripts/data/course.yml")
    for path in texts:
        text = path.read_text(encoding="utf-8").lower()
        for term in terms:
            for variant in term.refused:
                assert not re.search(rf"\b{re.escape(variant)}\b", text), (
                    f"{path}: «{variant}», viết «{term.vi}»"
                )


def test_tones_stand_on_the_same_vowel_everywhere():
    """«hoá», not «hóa»: one way, so that a reader who searches in a page finds every place."""
    other = re.compile(r"\b\w*(?:óa|òa|ỏa|õa|ọa|óe|òe|úy|ùy|ủy|ũy|ụy)\b", re.IGNORECASE)
    for folder, pattern in (
        ("docs", "*.md"),
        ("scripts", "*.*"),
        ("examples", "*.py"),
        ("docs/assets", "*.js"),
    ):
        for path in sorted((ROOT / folder).rglob(pattern)):
            if path.suffix in {".md", ".py", ".yml", ".js"}:
                assert not other.findall(path.read_text(encoding="utf-8")), path
