"""A strict build refuses every defect that can be planted, and names the file and the line.

All on the tiny course. What can be refused on one page is planted in one build, a page for each
defect, so that none hides another.
"""

from __future__ import annotations

import html
import json
import re

import pytest

from tiny_course import make_tiny

LESSON = "docs/storage/text-files/index.md"
ADDRESS = "storage/text-files/"
SCRIPT = "examples/storage/text-files/save_numbers.py"
RESULTS = "examples/storage/text-files/results/save_numbers"
KEY = "save_numbers:files.numbers.txt"

# name: (what is planted on a page, what the build must say about a planted line)
ON_THE_PAGE = {
    "digit in a paragraph": ("Mô hình nặng 474 MiB.", "chữ số gõ tay"),
    "digit in a list": ("- Nặng 474 MiB.", "chữ số gõ tay"),
    "digit in a table": ("| a | b |\n| --- | --- |\n| nặng | 474 |", "chữ số gõ tay"),
    "digit in a heading": ("### Nặng 474 MiB", "chữ số gõ tay"),
    "digit in an admonition's title": ('!!! note "Có 474 tệp"', "chữ số gõ tay"),
    "digit in emphasis": ("Nặng **474** MiB.", "chữ số gõ tay"),
    "digit in a link's text": ("[Nặng 474](https://example.org/)", "chữ số gõ tay"),
    "digit in alternative text": ("![Nặng 474](https://example.org/x.png)", "chữ số gõ tay"),
    "digit in HTML": ("<p>Nặng 474 MiB</p>", "chữ số gõ tay"),
    "digit in an HTML entity": ("Nặng &#52; MiB", "chữ số gõ tay"),
    "superscript digit": ("Diện tích m²", "chữ số gõ tay"),
    "digit in a figure's caption": (
        "[[save_numbers figure: Nặng 474]]",
        "chữ số gõ tay",
    ),
    "digit in a caption of code": ('```text title="Nặng 474"\nx\n```', "chữ số gõ tay"),
    "digit in an attribute list": ('*x*{ title="Nặng 474" }', "chữ số gõ tay"),
    "digit after a value": (f"[[{KEY} kB]](474)", "chữ số gõ tay"),
    "digit that looks like a definition": ("[Kết quả]: 474 tệp nặng", "chữ số gõ tay"),
    "digit that looks like a tag": ("Nếu i <n 474\n\nvà > thế", "chữ số gõ tay"),
    "digit between lone backticks": ("Phím ` này\n\n- có 474 tệp\n\nvà ` kia", "chữ số gõ tay"),
    "digit between lone dollars": ("- có $474\n- và năm$", "chữ số gõ tay"),
    "digit after an open fence": ("```text\n474", "không được đóng"),
    "digit that looks like a list marker": ("Kích thước là\n474. Con số ấy", "chữ số gõ tay"),
    "digits alone as a formula": ("Nặng $474$ MiB", "không phải công thức"),
    "digits as a version": ("[[version:474 tệp]]", "phiên bản"),
    "digit in raw HTML's code": ("<p>`474`</p>", "chữ số gõ tay"),
    "digit beside prices": ("Từ $5 đến $6 mỗi giờ", "chữ số gõ tay"),
    "unknown macro": (r"Ở đây $\tensorx$ là", "công thức sai"),
    "link in a formula": (r"$\href{https://example.org}{x}$", "công thức sai"),
    "unbalanced brace": ("$$\n\\frac{1}{2\n$$", "công thức sai"),
    "double subscript": ("$a_b_c$", "công thức sai"),
    "copied rule in a formula": ("$a ====== b$", "==="),
    "formula that Markdown does not see": ("Ta có\n$$\nx + y\n$$\nnên", "công thức"),
    "formula in raw HTML": ("<p>$\\alpha$</p>", "công thức"),
    "formula in a table that cuts it": ("| a |\n| --- |\n| $|\\theta|$ |", "công thức"),
    "formula in an underlined heading": ("Cỡ $S$\n------", "tiêu đề"),
    "formula in a heading": ("### Cỡ $S$", "tiêu đề"),
    "TeX outside a formula": ("Ở đây \\theta là", "TeX nằm ngoài"),
    "misspelt key": (f"[[{KEY}x kB]]", "không có khoá"),
    "key that is a group": ("[[save_numbers:files]]", "một nhóm"),
    "unknown format": (f"[[{KEY} parsec]]", "định dạng"),
    "record that the page does not name": ("[[other:files]]", "experiments"),
    "failed condition": (f"[[{KEY} kB > 4]]", "điều kiện không còn đúng"),
    "condition in the shown unit": (
        "[[save_numbers:bytes_beyond_3_per_number kB > 400]]",
        "điều kiện không còn đúng",
    ),
    "failed hidden condition": (
        "[[?save_numbers:checks.same_numbers = không]]",
        "điều kiện không còn đúng",
    ),
    "condition over two lines": (
        "[[?save_numbers:checks.same_numbers\n= không]]",
        "không khép",
    ),
    "value in an attribute": (f'<span title="[[{KEY}]]">x</span>', "thuộc tính"),
    "value in alternative text": (f"![nặng [[{KEY}]]](https://example.org/x.png)", "chữ thay ảnh"),
    "English decimals in a condition": (f"[[{KEY} < 0.500]]", "vế phải"),
    "condition across kinds": (
        "[[?save_numbers:checks.same_numbers != 0]]",
        "không so sánh được",
    ),
    "ratio of unlike things": ("[[save_numbers:checks.same_numbers / numbers]]", "tỉ số"),
    "text after a snippet": ("[[save_numbers#luu]] như trên", "đứng một mình"),
    "missing section": ("[[save_numbers#khong-co]]", "không có đoạn"),
    "missing output": ("[[save_numbers#quan-sat output]]", "không in đoạn"),
    "snippet inside a sentence": ("Xem [[save_numbers#luu]]", "đứng một mình"),
    "citation without a source": ("[[cite:3,8 triệu @nowhere]]", "không có nguồn"),
    "unknown syntax": ("[[?]]", "cú pháp"),
    "decomposed Unicode": ("Mo\u0302 hi\u0300nh", "NFC"),
}

# name: (what is planted on a page, what the build must say of the page)
BROKEN_LINKS = {
    "page": ("[x](khong-co.md)", "khong-co.md"),
    "anchor": ("[x](#khong-co)", "khong-co"),
    "anchor of another page": ("[x](../../index.md#khong-co)", "khong-co"),
    "file": ("[x](save_numbers.zip)", "save_numbers.zip"),
    "page in HTML": ('<a href="khong-co/">x</a>', "khong-co"),
    "anchor in HTML": ('<a href="#khong-co">x</a>', "khong-co"),
    "picture in HTML": ('<img src="khong-co.png" alt="x">', "khong-co.png"),
}

HEAD = """---
title: Trang hỏng
description: Một chỗ hỏng.
experiments: [save_numbers]
---

"""
FIRST_LINE = HEAD.count("\n") + 1


def place_of(name: str) -> str:
    """Where a defect is planted: a page's path below docs/ and below the site, without its end."""
    number = [*ON_THE_PAGE, *BROKEN_LINKS].index(name)
    return f"{ADDRESS}planted-{number}"


@pytest.fixture(scope="session")
def refused(tmp_path_factory) -> list[str]:
    """What a strict build says of a course with a page for each defect."""
    course = make_tiny(tmp_path_factory.mktemp("planted") / "course")
    for name, (plant, _) in {**ON_THE_PAGE, **BROKEN_LINKS}.items():
        course.write(f"docs/{place_of(name)}.md", f"{HEAD}{plant}\n")
    return course.build()


@pytest.mark.xdist_group("planted")
@pytest.mark.parametrize("name", ON_THE_PAGE)
def test_refuses_on_the_page(name, refused):
    plant, complaint = ON_THE_PAGE[name]
    told = re.compile(rf"docs/{place_of(name)}\.md:(\d+): .*{re.escape(complaint)}")
    lines = []
    for warning in refused:
        match = told.match(warning)
        if match:
            lines.append(int(match[1]))
    last_line = FIRST_LINE + plant.count("\n")
    assert any(FIRST_LINE <= line <= last_line for line in lines), lines


@pytest.mark.xdist_group("planted")
@pytest.mark.parametrize("name", BROKEN_LINKS)
def test_refuses_a_broken_link(name, refused):
    complaint = BROKEN_LINKS[name][1]
    assert any(place_of(name) in line and complaint in line for line in refused)


@pytest.mark.xdist_group("planted")
def test_refuses_a_page_that_no_lesson_names(refused):
    [told] = [line for line in refused if "not included in the" in line]
    assert f"{place_of('unknown syntax')}.md" in told


def test_a_sound_page_of_that_form_is_not_refused(tiny):
    """The planted pages are refused for what is planted in them."""
    tiny.write(f"docs/{ADDRESS}sound.md", f"{HEAD}Một câu, và [[{KEY} kB]].\n")
    tiny.edit(LESSON, "pages: [encoding]", "pages: [encoding, sound]")
    assert tiny.build() == []


HONEST = """
Dòng mở đầu có thực thể&#160;và phím <kbd>F5</kbd>. Giá từ [[cite:$5 @some]] đến [[cite:$6 @some]].
{ #neo-2 }

1. Một [[def:4 byte]], ra đời [[date:2019]], từ bản [[version:2.6]].
2. Xem arXiv:2001.08361, <https://example.org/2024/1>, [bài](https://example.org/7 "bảy").

   Trong danh sách: `x = 1`, $x_1 = [[save_numbers:numbers]]$, [[save_numbers:numbers]].

| Số | Giá trị |
| --- | --- |
| $P$ | [[save_numbers:numbers > 999]] |

=== "PyTorch"

    ```python
    x = [[1, 2], [3, 4]]  # $5
    ```

=== "Hugging Face"

    [[save_numbers#luu]]

!!! note "Chú ý"

    $$
    \\text{độ đo với số } \\frac{1}{2}
    $$

[[cite:3,8 triệu @some]] và[^some].

[^some]: Ai đó. [Nguồn](https://example.org/1).
"""


def test_accepts_honest_markdown(tiny):
    tiny.edit(LESSON, "## Cách lưu\n", f"## Cách lưu\n{HONEST}")
    assert tiny.build() == []
    page = tiny.page(ADDRESS)
    assert "độ đo với số" in page
    assert "x_1 = 1.000" in page


def test_what_a_record_says_is_shown_letter_for_letter(tiny):
    tiny.edit(LESSON, "## Cách lưu\n", "## Cách lưu\n\nMẫu là [[save_numbers:pattern]].\n")
    assert tiny.build() == []
    assert ">__numbers__ *.txt*</data>" in html.unescape(tiny.page(ADDRESS))


# Records


def refusal_of(tiny) -> str:
    """The one thing that a strict build says about the page of the lesson."""
    told = [line for line in tiny.build() if line.startswith(f"{LESSON}:")]
    # A record that cannot be used is told once, at the line that names it.
    [line] = {line.partition(": ")[2] for line in told}
    return line


def test_refuses_a_missing_record(tiny):
    (tiny.root / f"{RESULTS}.json").unlink()
    told = refusal_of(tiny)
    assert told.startswith("chưa có bản ghi")
    assert told.endswith("dev.py examples save_numbers")


@pytest.mark.parametrize(
    ("suffix", "old", "new"),
    [("json", "3889", "3989"), ("txt", "3889", "3989"), ("svg", "H90", "H80")],
)
def test_refuses_an_edited_record(tiny, suffix, old, new):
    tiny.edit(f"{RESULTS}.{suffix}", old, new)
    assert refusal_of(tiny).startswith("niêm phong")


def test_refuses_a_changed_script(tiny):
    tiny.edit(SCRIPT, "COUNT = 1000", "COUNT = 2000")
    assert "đã cũ (script đã đổi)" in refusal_of(tiny)


def test_refuses_a_changed_pin(tiny):
    tiny.edit("requirements-examples.txt", "matplotlib==3.10.0", "matplotlib==3.10.1")
    assert "đã cũ (matplotlib đã đổi phiên bản)" in refusal_of(tiny)


def test_refuses_a_stale_record_that_only_the_strip_uses(tiny):
    head = tiny.read(LESSON).split("---", 2)[1]
    tiny.write(LESSON, f"---{head}---\n\n## Cách lưu\n")
    tiny.edit(SCRIPT, "COUNT = 1000", "COUNT = 2000")
    line = 1 + head.count("\n", 0, head.index("\nexperiments:") + 1)
    told = tiny.build()
    assert any(re.match(rf"{LESSON}:{line}: bản ghi .* đã cũ", warning) for warning in told), told


def test_refuses_the_record_of_another_script(tiny):
    other = tiny.read("examples/storage/words/results/count_words.json")
    tiny.write(f"{RESULTS}.json", other)
    assert "không phải bản ghi của script này" in refusal_of(tiny)


def test_line_ends_do_not_make_a_record_stale(tiny):
    for path in (SCRIPT, LESSON, f"{RESULTS}.json", f"{RESULTS}.txt", "docs/index.md"):
        file = tiny.root / path
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert tiny.build() == []


def test_a_value_shows_its_mark_without_strict(tiny):
    tiny.edit(f"{RESULTS}.json", "3889", "3989")
    assert refusal_of(tiny).startswith("niêm phong")
    tiny.build(strict=False)
    page = tiny.page(ADDRESS)
    assert 'class="record-problem"' in page
    assert "dev.py examples save_numbers" in page


# The course around the pages


@pytest.mark.parametrize("damage", ["number: [", "title: A: b", "experiments: 7"])
def test_broken_front_matter_is_no_crash(tiny, damage):
    tiny.edit(LESSON, 'number: "01.01"', damage)
    assert any(LESSON in line for line in tiny.build())


# As Colab saves one with progress bars: its widgets have no state, which ends the conversion.
COLAB = {
    "nbformat": 4,
    "nbformat_minor": 0,
    "metadata": {
        "widgets": {"application/vnd.jupyter.widget-state+json": {"0a1b": {"state": {}}}},
    },
    "cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# Thử\n"]}],
}


def test_refuses_a_contributed_notebook(tiny):
    tiny.write("docs/notebooks/colab.ipynb", json.dumps(COLAB))
    [line] = tiny.build()
    assert line.startswith("docs/notebooks/colab.ipynb: ")
    assert "script trong examples/" in line


def test_a_deployed_version_knows_its_addresses_old_and_new(tiny):
    tiny.edit("docs/whats-new.md", "title:", "old: [news, glossary]\ntitle:")
    where = {"MIKE_DOCS_VERSION": "1.0", "SITE_URL": "https://example.org/ten-du-an/"}
    [warning] = tiny.build(**where)
    assert "docs/whats-new.md: địa chỉ cũ glossary là địa chỉ của một trang đang có" in warning
    assert "../whats-new/" in tiny.page("news/")
    assert "chữ" in tiny.page("glossary/")
    page = tiny.page("whats-new/")
    newest = "https://example.org/ten-du-an/latest/whats-new/"
    assert f'<link rel="canonical" href="{newest}">' in page
    picture = re.search(r'og:image" content="https://example.org/ten-du-an/1.0/([^"]+)"', page)
    assert (tiny.root / "site" / picture[1]).exists()
    assert "Bản 1.0 · kiểm chứng với Python" in page
