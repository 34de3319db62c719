"""Pages by import, without a build: values, `[[…]]`, what is refused, lists, glossary, strip."""

from __future__ import annotations

import json
from datetime import date

import markdown
import pytest
from bs4 import BeautifulSoup
from mkdocs.utils import yaml_load

from conftest import ROOT
from course.catalog import Lesson, Module
from course.pages import (
    changelog,
    glossary,
    lists,
    references,
    refusals,
    sections,
    strip,
    syntax,
    values,
)
from course.pages.references import Block, CourseList, Figure, Typed, Value
from course.records.record import MODELS, REQUIREMENTS, Record
from course.text import Refusal

SCRIPT = '''"""Đo: x."""

# %% Đo
print("== Đo ==")
print("```")

# %% Im lặng
x = 1
'''
TRANSCRIPT = "$ python measure.py\n== Đo ==\n```\n== Im lặng ==\n"
FIGURE = "<?xml?>\n<svg>\n\n  <path/>\n</svg>\n"
NAMES = ["GPT-2"]


@pytest.fixture
def record(tmp_path) -> Record:
    script = tmp_path / "measure.py"
    script.write_text(SCRIPT, encoding="utf-8")
    data = {
        "exact": {"bytes": 497774208, "tied": True, "said": "__builtin__.exec", "name": "cpu"},
        "approx": {"gain": {"value": 0.925, "rel": 0.01}},
        "timing": {"save": 0.5, "load": 0.25},
        "provenance": {"cpu": "Xeon", "threads": 2, "pins": {}},
    }
    return Record(script=script, data=data, transcript=TRANSCRIPT, figure=FIGURE)


@pytest.fixture
def source(record) -> references.Source:
    def rows() -> str:
        return "- 4 bài"

    def count() -> str:
        return "<span>4</span>"

    return references.Source({"measure": record}, NAMES, {"rows": rows, "count": count})


# Values


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (124439808, "", "124.439.808"),
        (4.0, "", "4"),
        (497774208, "MiB", "474,7 MiB"),
        (497774208, ".2GiB", "0,46 GiB"),
        (14976, "B", "14.976 byte"),
        (0.925, "%", "92,5 %"),
        (0.92516, ".2f", "0,93"),
        (2.5, ".0s", "2 giây"),
        (-3, "", "−3"),
        (0.0688, ".1e", "6,9·10⁻²"),
        (0, "e", "0"),
        (9.12006e-7, "w", "9,12·10⁻⁷"),
        (38.5185, "w", "38,5"),
        (221071.248, "w", "221.071"),
        (1057536, "w", "1,06 triệu"),
        (14.8e12, "w", "14,8 nghìn tỷ"),
        (2788000.0, ".4w", "2,788 triệu"),
        (True, "", "có"),
        (False, "pass", "trượt"),
        (["a", 1.5], "", "a, 1,5"),
    ],
)
def test_vietnamese_writing(value, form, shown):
    assert values.show(value, form) == shown


@pytest.mark.parametrize(
    ("value", "form", "reason"),
    [
        (1, "parsec", "định dạng"),
        (1, "pass", "định dạng"),
        (None, "", "không hiển thị được"),
        (float("nan"), "", "không phải một con số"),
    ],
)
def test_values_that_cannot_be_shown(value, form, reason):
    with pytest.raises(Refusal, match=reason):
        values.show(value, form)


@pytest.mark.parametrize(
    ("value", "condition"),
    [
        (0.925, "> 0,9"),
        (1500, ">= 1.500"),
        (1500, "< 1.500,5"),
        (1, "= 1"),
        (True, "= có"),
        (False, "!= có"),
        ("cpu", '= "cpu"'),
        (values.scaled(497774208, "MiB"), "> 474,7"),  # in the unit that the page shows
        (values.scaled(0.925, "%"), "< 93"),
    ],
)
def test_conditions_that_hold(value, condition):
    values.check(value, condition)


@pytest.mark.parametrize(
    ("value", "condition", "reason"),
    [
        (0.9, "> 0,9", "không còn đúng"),
        (values.scaled(500, "MiB"), "> 400", "không còn đúng"),
        (True, "= 1", "không so sánh được"),
        ("cpu", "> 1", "không so sánh được"),
        ("cpu", '> "a"', "không so sánh được"),
        ([1], "= 1", "không so sánh được"),
        (1, "≈ 1", "không hiểu điều kiện"),
        (1, "> một", "vế phải"),
        (1, "< 0.500", "vế phải"),
    ],
)
def test_conditions_that_fail(value, condition, reason):
    with pytest.raises(Refusal, match=reason):
        values.check(value, condition)


# References


@pytest.mark.parametrize(
    ("body", "reference"),
    [
        ("w:files.model.safetensors", Value("w", "files.model.safetensors")),
        ("w:a MiB > 400", Value("w", "a", form="MiB", condition="> 400")),
        ("w.gpt2:a / b .1f", Value("w.gpt2", "a", divisor="b", form=".1f")),
        ("?w:checks.a = có", Value("w", "checks.a", condition="= có", hidden=True)),
        ("w#luu", Block("w", "luu")),
        ("w#luu output --break weight", Block("w", "luu", True, "--break weight")),
        ("w figure: Chú thích", Figure("w", "Chú thích")),
        ("def: 4 byte", Typed("def", "4 byte")),
        ("date:tháng 3/2025", Typed("date", "tháng 3/2025")),
        ("cite:3,8 triệu @kaplan", Typed("cite", "3,8 triệu", "kaplan")),
        ("course:written", CourseList("written")),
    ],
)
def test_a_reference_is_parsed(body, reference):
    assert references.parse(body) == reference


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("?", "cú pháp"),
        ("w", "cú pháp"),
        ("?w:a", "phải có điều kiện"),
        ("version:474 tệp", "phiên bản"),
        ("date:hôm nay", "ngày tháng"),
        ("cite:3,8 triệu", "cần nguồn"),
        ("def:", "thiếu nội dung"),
        ("chưa viết: kết quả", "còn phải viết"),
    ],
)
def test_a_reference_that_cannot_be_parsed(body, reason):
    with pytest.raises(Refusal, match=reason):
        references.parse(body)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("[[measure:bytes MiB]]", "474,7&nbsp;MiB"),
        ("[[measure:save / load]]", "2"),
        ("[[measure:save s]]", "0,5&nbsp;giây&nbsp;(trên&nbsp;Xeon,&nbsp;2&nbsp;luồng)"),
        ("[[measure:tied pass]]", "đạt"),
    ],
)
def test_a_value_in_prose(typed, shown, source):
    page = syntax.process(f"Nặng {typed}.", source)
    assert page.problems == []
    assert f">{shown}</data>" in page.markdown
    assert 'title="measure: ' in page.markdown


def test_a_value_in_a_formula(source):
    page = syntax.process("$x = [[measure:bytes MB]]$ và $y = [[measure:gain %]]$", source)
    assert page.problems == []
    assert page.formulas == [
        (1, r"x = 497{,}8\ \text{MB}", False),
        (1, r"y = 92{,}5\ \text{\%}", False),
    ]


def test_a_condition_shows_nothing(source):
    page = syntax.process("Nặng[[?measure:tied = có]].", source)
    assert (page.markdown, page.problems) == ("Nặng.", [])


def test_lists_are_a_block_or_stand_in_a_sentence(source):
    assert syntax.process("[[course:rows]]", source).markdown == "- 4 bài"
    assert syntax.process("Có [[course:count]] bài", source).markdown == "Có <span>4</span> bài"


def test_a_block_keeps_the_indentation_of_its_line_and_is_longer_than_its_backticks(source):
    page = syntax.process("- Kết quả:\n\n    [[measure#do output]]\n", source)
    assert page.problems == []
    assert page.markdown == (
        '- Kết quả:\n\n    ```` { .text .output title="Kết quả · python measure.py" }\n'
        "    ```\n    ````\n"
    )


def test_a_figure_is_one_line_of_html(source):
    page = syntax.process("[[measure figure: Mất mát]]", source)
    assert page.problems == []
    assert page.markdown.startswith('<figure><svg role="img" aria-label="Mất mát"> <path/>')
    assert "\n" not in page.markdown


def test_a_record_that_is_not_current_shows_its_mark(source, record):
    record.problems.append("bản ghi đã cũ; chạy: dev.py examples measure_it")
    page = syntax.process("[[measure:bytes]] [[measure:tied]]\n\n[[measure#do]]", source)
    assert page.problems == []  # told once, by who names the record
    assert page.markdown.count('class="record-problem"') == 2
    assert "dev.py examples measure_it" in page.markdown


def test_a_record_that_cannot_be_read_shows_its_mark():
    source = references.Source({"measure": Refusal("chưa có bản ghi")})
    page = syntax.process("[[measure:bytes]] và $x = [[measure:bytes]]$", source)
    assert page.problems == []
    assert "⚠ chưa có bản ghi" in page.markdown
    assert r"$x = \text{?}$" in page.markdown


# What a record says is shown letter for letter.

CONTEXTS = [
    "Nói {} thế.",
    "- {}",
    "**{}**",
    "_{}_",
    "[{}](https://example.org/)",
    "| a | b |\n| --- | --- |\n| {} | x |",
    '!!! note "x"\n\n    {}',
    "[^a]\n\n[^a]: Nguồn: {}.",
]
SAYINGS = [
    "__builtin__.exec",
    "*a* `b` **c**",
    "a | b",
    "[x](https://example.org/) ![y](z)",
    "[^a] [[x]] {#id .class} ^^a^^ ~~b~~ $x$ $$y$$",
    r"\* \\ \_",
    "<b>&amp;</b> <https://example.org>",
    "\"a\" 'b'\n\n# c",
    "_orig_mod.",
]


@pytest.fixture(scope="module")
def render():
    """Renders Markdown as mkdocs.yml asks for it."""
    with (ROOT / "mkdocs.yml").open(encoding="utf-8") as file:
        entries = yaml_load(file)["markdown_extensions"]
    options = {}
    for entry in entries:
        if isinstance(entry, str):
            options[entry] = {}
        else:
            options.update(entry)
    converter = markdown.Markdown(extensions=list(options), extension_configs=options)
    return lambda text: BeautifulSoup(converter.reset().convert(text), "html.parser")


@pytest.mark.parametrize("saying", SAYINGS)
def test_a_recorded_text_does_not_pass_through_markdown(saying, source, record, render):
    record.data["exact"]["said"] = saying
    for context in CONTEXTS:
        page = syntax.process(context.format("[[measure:said]]"), source)
        assert page.problems == []
        [shown] = render(page.markdown).find_all("data")
        assert shown.get_text() == saying, context
        assert shown["value"] == saying, context
        assert shown["title"] == "measure: said", context


# What is refused


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("Nặng 474 MiB.", "chữ số gõ tay"),
        ("Diện tích m²", "chữ số gõ tay"),
        ("Nặng &#52; MiB", "chữ số gõ tay"),
        ("Cỡ là\n474. Số đó", "chữ số gõ tay"),
        ('```text title="Nặng 474"\nx\n```', "nhan đề của khối mã"),
        ('*x*{ title="Nặng 474" }', "chữ được đọc lên"),
        ('[x](y.md "Nặng 474")', "chữ được đọc lên"),
        ("```text\n474", "không được đóng"),
        ("Nặng $474$ MiB", "không phải công thức"),
        ("$a ====== b$", "==="),
        (r"Ở đây \theta là", "TeX nằm ngoài"),
        ("### Cỡ $S$", "tiêu đề"),
        ("Mo\u0302 hi\u0300nh", "NFC"),
        ("[[measure:bytes\n= 1]]", "không khép"),
        ("[[measure:nothing]]", "không có khoá"),
        ("[[measure:bytes > 1e9]]", "không còn đúng"),
        ("[[measure:bytes / tied]]", "tỉ số"),
        ("[[other:bytes]]", "experiments"),
        ("[[measure#nothing]]", "không có đoạn"),
        ("[[measure#im-lang output]]", "không in gì"),
        ("Xem [[measure#do]]", "đứng một mình"),
        ("[[course:nothing]]", "không có danh sách"),
        ("[[measure figure: Nặng 474]]", "chú thích hình"),
        ("$x = [[measure:name]]$", "chỉ đặt được số"),
        ("$x = [[def:4]]$", "chỉ đặt được số"),
        ("![[[measure:bytes]]](x.png)", "chữ thay ảnh"),
        ('<span title="[[measure:bytes]]">x</span>', "thuộc tính"),
        ("[[cite:3 triệu @nowhere]]", "không có nguồn"),
        ("Xem[^nowhere].", "không có nguồn"),
    ],
)
def test_what_may_not_be_typed(typed, reason, source):
    page = syntax.process(f"Mở đầu.\n\n{typed}\n", source, first_line=10)
    lines = [line for line, message in page.problems if reason in message]
    assert lines, page.problems
    assert 12 <= lines[0] <= 12 + typed.count("\n")


def test_honest_markdown_is_not_refused(source):
    honest = """## Trong 60 giây

Như *Trong 60 giây* đã nói, GPT-2 có `x = [[1, 2]]` và <kbd>F5</kbd>.

1. Một [[def:4 byte]], từ bản [[version:2.6]].

    - ```python
      x = [[1, 2], [3, 4]]  # $5
      ```

| Số | Giá trị |
| --- | --- |
| $P_1$ | [[measure:bytes > 497.774.207]] |

Xem arXiv:2001.08361, <https://example.org/2024/1> và [bài](https://example.org/7)[^some].

[^some]: [Nguồn](https://example.org/1).
"""
    assert syntax.process(honest, source).problems == []


def test_fences_in_lists_and_quotes_and_comments():
    text = "- ```text\n  4\n  ```\n\n> ~~~\n> 4\n> ~~~\n\n<!--\n```\n-->\n\n````md\n```\n````\n"
    found = syntax.fences(text)
    assert [text[fence.start : fence.end].count("\n") for fence in found] == [3, 3, 3]
    assert all(fence.closed for fence in found)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<p>Nặng 474</p>", "chữ số gõ tay: «Nặng 474»"),
        ('<p><img alt="Nặng 474"></p>', "chữ số gõ tay trong alt"),
        ("<p>[[x</p>", "còn nguyên"),
    ],
)
def test_the_rendered_page_is_looked_at(content, reason):
    [(_, message)] = refusals.read(content, NAMES).problems
    assert reason in message


def test_what_may_hold_digits_on_the_rendered_page():
    content = (
        '<h2>Trong 60 giây</h2><p>GPT-2 <code>4</code><br> <span class="typed-def">4</span>'
        '<span class="arithmatex">\\(x_1\\)</span> <data value="4" title="4">4</data></p>'
    )
    reader = refusals.read(content, NAMES)
    assert reader.problems == []
    assert reader.formulas == ["\\(x_1\\)"]
    assert reader.in_heading == [False]


# Glossary


TIED = glossary.Term("tied weights", "trọng số buộc", "Một ma trận, hai chỗ.", (), "07.20")
GPU = glossary.Term("GPU", "GPU", "Bộ xử lý.", ("card <đồ hoạ>",), "06.01")


def test_the_first_use_in_a_sentence_is_linked():
    content = (
        "<h2>Trọng số buộc</h2><p><code>tied weights</code><br>Trọng số buộc là GPU, "
        '<a href="x">GPU</a>: trọng số buộc</p><table><tr><td>GPU</td></tr></table>'
    )
    linked = glossary.Words([TIED, GPU]).link(content, "../glossary/")
    start = (
        '<br><a class="term" href="../glossary/#trong-so-buoc-tied-weights" '
        'title="Một ma trận, hai chỗ.">Trọng số buộc</a> là <a class="term" href="../glossary/#gpu"'
    )
    assert start in linked
    assert linked.count('class="term"') == 2


def test_the_glossary_stands_in_vietnamese_order():
    words = ["đọc", "dữ liệu", "ép", "epoch"]
    terms = [glossary.Term(f"{word} x", word, "Nghĩa.", (), "06.01") for word in words]
    page = glossary.glossary_page([*terms, GPU], dict.fromkeys([*words, "GPU"], ("bài", "x.md")))
    shown = BeautifulSoup(page, "html.parser")
    names = [term.contents[0].strip() for term in shown.find_all("dt")]
    assert names == ["dữ liệu", "đọc", "ép", "epoch", "GPU"]
    assert "Không viết: «card &lt;đồ hoạ&gt;»." in page
    assert page.count("## ") == 4


# Lists


WRITTEN = Lesson("06.01", "Một", "Mô tả", page="a/one/index.md", pages=("a/one/more.md",))
WAITING = Lesson("06.02", "Hai <b>", "Mô tả")
MODULE = Module("a", "06", "Mô-đun", (WRITTEN, WAITING), "Về", page="a/index.md")


def cost(lesson: Lesson) -> lists.Cost:
    return lists.Cost(minutes=9, seconds=100.0, pages=len(lesson.pages))


def test_lists_of_the_course():
    line = "đọc 9 phút, chạy 2 phút, thêm 1 trang làm theo"
    assert f"[Một](a/one/index.md) <small>{line}</small>" in lists.starting_points([MODULE], cost)
    assert "<small>1/2 bài đã viết</small>" in lists.modules_list([MODULE])
    rows = lists.lessons_list(MODULE, cost)
    assert "Hai &lt;b&gt; <small>chưa viết</small>" in rows
    assert "{: #bai-06-02 }" in rows
    assert f"1 bài đã viết: {line}. Còn 1 bài chưa viết" in lists.hours_line(MODULE, cost)
    assert "1/2 bài của 1 mô-đun đang viết<" in lists.counts([MODULE])
    named = Module("b", "07", "Chỉ có tên", ())
    assert "1/2 bài của 1 mô-đun đang viết; 1 mô-đun khác" in lists.counts([MODULE, named])


def test_where_the_repository_is_named():
    assert "git clone https://code.example.org/x" in lists.clone("https://code.example.org/x")
    assert lists.clone("") == "```bash\npython3 scripts/dev.py serve\n```"
    assert "https://code.example.org/x/issues" in lists.report("https://code.example.org/x")
    assert "href" not in lists.report("")


PAGE_OF_WORDS = """---
description: embedding
---
Mở đầu.

## Tải `mô hình`

Một [optimizer](embedding.md) và `logits`, $softmax$, <label for="gradient">x</label>[^some].

```python
# ## Không phải tiêu đề
```

## Lặp

## Lặp

### Tự đặt tên { #ten-rieng }

## Tài liệu tham khảo

Transformer.

[^some]: *Transformer*.
"""


def test_the_prose_of_a_page_by_section():
    found = sections.sections_of(PAGE_OF_WORDS)
    assert [section.anchor for section in found] == ["", "tai-mo-hinh", "lap", "lap_1", "ten-rieng"]
    prose = " ".join(f"{section.title} {section.prose}" for section in found)
    assert "optimizer" in prose
    for word in ("embedding", "logits", "softmax", "gradient", "Transformer", "Không phải"):
        assert word not in prose


def test_pages_near_a_page():
    terms = {"a": {"x", "all"}, "b": {"x", "all"}, "c": {"all"}, "d": {"y", "all"}}
    alone = lists.related(terms, dict.fromkeys(terms, ""))
    assert alone["a"] == [("b", ["x"])]  # a term on every page says nothing
    followed = lists.related(terms, dict.fromkeys(terms, "d"))
    assert followed["a"] == [("d", []), ("b", ["x"])]


# The strip


def test_install_lines(tmp_path):
    pins = {"torch": "2", "numpy": "1", "gt-model": "0.1"}
    (tmp_path / "requirements-models.txt").write_text("gt-model==0.1\n", encoding="utf-8")
    assert strip.install_lines(pins, tmp_path) == (
        "pip install numpy==1 torch==2\npip install --no-deps gt-model==0.1"
    )
    assert strip.install_lines({"numpy": "1"}, tmp_path) == "pip install numpy==1"


def test_a_lesson_names_its_scripts_at_its_foot(record, tmp_path):
    record.data["provenance"] |= {
        "wall_seconds": 0.4,
        "peak_rss_mib": 512.0,
        "peak_disk_mib": 3.2,
        "date": "2026-01-31",
        "python": "3.11.7",
    }
    for file in (*REQUIREMENTS, MODELS):
        (tmp_path / file).write_text("numpy==1\n", encoding="utf-8")
    recipe = tmp_path / "take_home.py"
    recipe.write_text('"""Ghi số.\n"""\n\nimport numpy\n', encoding="utf-8")
    head = strip.title_line("06.01", 9, [record])
    assert "Bài 06.01 · đọc khoảng 9 phút" in head
    assert '<time datetime="2026-01-31">31.1.2026</time>' in head
    foot = strip.scripts_at_foot([recipe], [record], "a/one/index.md", "a/one", tmp_path)
    assert foot.index("take_home.py") < foot.index("measure.py")
    assert "Ghi số" in foot
    assert "cần numpy" in foot
    assert "dưới một giây · 0,5 GiB" in foot
    assert "[Tải script](measure.py)" in foot
    assert "pip install" not in foot  # the experiment needs nothing but Python
    assert strip.scripts_at_foot([], [], "a/one/index.md", "a/one", tmp_path) == ""


RECIPE = '''"""Save numbers."""

from __future__ import annotations

import json
import os, sys
from pathlib import Path

# Wide enough to read.
INDENT = 2


def encode(numbers: list[int]) -> str:
    return json.dumps(numbers, indent=INDENT)


def save(numbers: list[int], path: Path) -> None:
    """Write them."""
    path.write_text(encode(numbers))
    os.sync()


def unrelated() -> None:
    sys.exit()


if __name__ == "__main__":
    save([1], Path(sys.argv[1]))
'''


def test_an_excerpt_of_a_recipe_has_all_it_needs_and_no_more(source, tmp_path):
    recipe = tmp_path / "keep.py"
    recipe.write_text(RECIPE, encoding="utf-8")
    source.recipes["keep"] = recipe
    page = syntax.process("[[keep#save]]", source)
    assert page.problems == []
    code = page.markdown.partition("\n")[2].removesuffix("\n```")
    assert code.startswith("import json\nimport os\nfrom pathlib import Path\n\n# Wide")
    assert "sys" not in code
    variables: dict[str, object] = {}
    exec(code, variables)
    variables["save"]([1, 2], tmp_path / "numbers")
    assert json.loads((tmp_path / "numbers").read_text()) == [1, 2]


@pytest.mark.parametrize(
    ("asked", "reason"), [("keep#load", "encode, save, unrelated"), ("keep#save output", "kết quả")]
)
def test_an_excerpt_that_a_recipe_does_not_have(asked, reason, source, tmp_path):
    recipe = tmp_path / "keep.py"
    recipe.write_text(RECIPE, encoding="utf-8")
    source.recipes["keep"] = recipe
    [(_, problem)] = syntax.process(f"[[{asked}]]", source).problems
    assert reason in problem


# Changelog


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- [", "không đọc được"),
        ("- version: '1.0'", "không đọc được"),
        ("- {version: 1.10, changes: [a]}", "trong ngoặc kép"),
        ("- {version: '1.0', date: hôm nay, changes: [a]}", "2026-01-31"),
    ],
)
def test_a_changelog_that_cannot_be_used(text, reason, tmp_path):
    file = tmp_path / changelog.FILE
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Refusal, match=reason):
        changelog.load(tmp_path)
    assert reason in changelog.problem_of("1.0", tmp_path)


def test_what_a_changelog_says(tmp_path):
    file = tmp_path / changelog.FILE
    file.parent.mkdir(parents=True)
    file.write_text(
        "- {version: '1.1', changes: [a]}\n"
        "- {version: '1.0', date: 2026-01-31, summary: Đầu., changes: [b, c]}\n",
        encoding="utf-8",
    )
    assert changelog.problem_of("1.0", tmp_path) == ""
    assert "thiếu date" in changelog.problem_of("1.1", tmp_path)
    assert "chưa có mục" in changelog.problem_of("2.0", tmp_path)
    entries = changelog.load(tmp_path)
    assert entries[1].date == date(2026, 1, 31)
    page = changelog.changelog_page(entries)
    assert "## Bản 1.0 { #v1-0 }\n\n*Phát hành 31.1.2026.* Đầu.\n\n- b\n- c" in page
    assert "*Đang viết.*" in page
