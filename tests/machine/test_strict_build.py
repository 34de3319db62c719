"""A strict build refuses every defect that can be planted, and names the file and the line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from conftest import copy_project

LESSON = "docs/fine-tuning/saving-and-loading/index.md"
RESULTS = "examples/fine-tuning/saving-and-loading/results/hugging_face_round_trip"
SCRIPT = "examples/fine-tuning/saving-and-loading/hugging_face_round_trip.py"
ANCHOR = "## Cái gì nằm trên đĩa\n"  # plants go right after this heading
KEY = "hugging_face_round_trip:files.model.safetensors"

# name: (what is planted after the heading, what the build must say about the planted line)
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
        "[[hugging_face_round_trip figure: Nặng 474]]",
        "chữ số gõ tay",
    ),
    "digit in a caption of code": ('```text title="Nặng 474"\nx\n```', "chữ số gõ tay"),
    "digit in an attribute list": ('*x*{ title="Nặng 474" }', "chữ số gõ tay"),
    "digit after a value": (f"[[{KEY} MiB]](474)", "chữ số gõ tay"),
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
    "misspelt key": (f"[[{KEY}x MiB]]", "không có khoá"),
    "key that is a group": ("[[hugging_face_round_trip:files]]", "một nhóm"),
    "unknown format": (f"[[{KEY} parsec]]", "định dạng"),
    "record that the page does not name": ("[[other:files]]", "results"),
    "failed condition": (f"[[{KEY} MiB > 475]]", "điều kiện không còn đúng"),
    "condition in the shown unit": (
        "[[hugging_face_round_trip:bytes_beyond_4_per_parameter MiB > 400]]",
        "điều kiện không còn đúng",
    ),
    "failed hidden condition": (
        "[[?hugging_face_round_trip:checks.weights = không]]",
        "điều kiện không còn đúng",
    ),
    "condition over two lines": (
        "[[?hugging_face_round_trip:checks.weights\n= không]]",
        "không khép",
    ),
    "value in an attribute": (f'<span title="[[{KEY}]]">x</span>', "thuộc tính"),
    "value in alternative text": (f"![nặng [[{KEY}]]](https://example.org/x.png)", "chữ thay ảnh"),
    "English decimals in a condition": (f"[[{KEY} < 0.500]]", "vế phải"),
    "condition across kinds": (
        "[[?hugging_face_round_trip:checks.weights != 0]]",
        "không so sánh được",
    ),
    "ratio of unlike things": ("[[hugging_face_round_trip:tied / tensors]]", "tỉ số"),
    "text after a snippet": ("[[hugging_face_round_trip#luu]] như trên", "đứng một mình"),
    "missing section": ("[[hugging_face_round_trip#khong-co]]", "không có đoạn"),
    "missing output": ("[[hugging_face_round_trip#quan-sat output]]", "không in đoạn"),
    "missing run": (
        "[[hugging_face_round_trip#tep-da-luu output --break nothing]]",
        "không có lần chạy",
    ),
    "snippet inside a sentence": ("Xem [[hugging_face_round_trip#luu]]", "đứng một mình"),
    "citation without a source": ("[[cite:3,8 triệu @nowhere]]", "không có nguồn"),
    "unknown syntax": ("[[?]]", "cú pháp"),
    "decomposed Unicode": ("Mo\u0302 hi\u0300nh", "NFC"),
}


PLANTED = """---
title: Trang hỏng
description: Một chỗ hỏng.
results: [hugging_face_round_trip]
---

"""


@pytest.fixture(scope="session")
def planted(built, tmp_path_factory):
    """What a build says of a copy with one more page for each defect, so that no defect hides another."""
    copy = copy_project(tmp_path_factory.mktemp("planted") / "project")
    shutil.copytree(built.root / ".cache", copy.root / ".cache")
    for number, (plant, _) in enumerate(ON_THE_PAGE.values()):
        page = copy.root / Path(LESSON).with_name(f"planted-{number}.md")
        page.write_text(f"{PLANTED}{plant}\n", encoding="utf-8", newline="\n")
    code, output = copy.build()
    assert code != 0, output
    return output


@pytest.mark.xdist_group("planted")
@pytest.mark.parametrize("name", ON_THE_PAGE)
def test_refuses_on_the_page(name, planted):
    plant, complaint = ON_THE_PAGE[name]
    page = Path(LESSON).with_name(f"planted-{list(ON_THE_PAGE).index(name)}.md").as_posix()
    line = PLANTED.count("\n") + 1
    found = [
        int(match[1])
        for match in re.finditer(rf"{re.escape(page)}:(\d+): (.*)", planted)
        if complaint in match[2]
    ]
    assert any(line <= number <= line + plant.count("\n") for number in found), (line, found)


def test_a_sound_page_of_that_form_is_not_refused(project):
    """The planted pages are refused for what is planted in them."""
    page = project.root / Path(LESSON).with_name("sound.md")
    page.write_text(f"{PLANTED}Một câu, và [[{KEY} MiB]].\n", encoding="utf-8", newline="\n")
    project.edit(
        "mkdocs.yml",
        "          - fine-tuning/saving-and-loading/index.md\n",
        "          - fine-tuning/saving-and-loading/index.md\n"
        f"          - Hay: {page.relative_to(project.root / 'docs').as_posix()}\n",
    )
    code, output = project.build()
    assert code == 0, output


def test_refuses_a_missing_record(project):
    (project.root / f"{RESULTS}.json").unlink()
    code, output = project.build()
    assert code != 0
    assert re.search(
        rf"{re.escape(LESSON)}:\d+: chưa có bản ghi .*dev\.py examples hugging_face_round_trip",
        output,
    )


@pytest.mark.parametrize("suffix", ["json", "txt", "svg"])
def test_refuses_an_edited_record(project, suffix):
    path = project.root / f"{RESULTS}.{suffix}"
    text = path.read_text(encoding="utf-8")
    at = text.index("497") if "497" in text else text.index("9")
    path.write_text(text[:at] + "5" + text[at + 1 :], encoding="utf-8", newline="\n")
    code, output = project.build()
    assert code != 0
    assert re.search(rf"{re.escape(LESSON)}:\d+: niêm phong", output), output


def test_refuses_a_changed_script(project):
    project.edit(SCRIPT, "torch.manual_seed(0)", "torch.manual_seed(1)")
    code, output = project.build()
    assert code != 0
    assert re.search(rf"{re.escape(LESSON)}:\d+: bản ghi .* đã cũ \(script đã đổi\)", output), (
        output
    )


def test_refuses_a_changed_pin(project):
    project.edit("requirements.txt", "torch==2.13.0", "torch==2.13.1")
    code, output = project.build()
    assert code != 0
    assert re.search(
        rf"{re.escape(LESSON)}:\d+: bản ghi .* đã cũ \(torch đã đổi phiên bản\)", output
    ), output


def test_refuses_a_stale_record_that_only_the_strip_uses(project):
    page = project.root / LESSON
    text = page.read_text(encoding="utf-8").split("---", 2)[1]
    page.write_text(f"---{text}---\n\n## Trống\n", encoding="utf-8")
    project.edit(SCRIPT, "torch.manual_seed(0)", "torch.manual_seed(1)")
    code, output = project.build()
    assert code != 0
    assert re.search(rf"{re.escape(LESSON)}:6: bản ghi .* đã cũ", output), output


def test_refuses_the_record_of_another_script(project):
    results = (project.root / RESULTS).parent
    for suffix in ("json", "txt"):
        (results / f"hugging_face_round_trip.{suffix}").write_bytes(
            (results / f"state_dict_round_trip.{suffix}").read_bytes()
        )
    code, output = project.build()
    assert code != 0
    assert "không phải bản ghi của script này" in output


@pytest.mark.parametrize("damage", ["number: [", "title: A: b", "results: 7"])
def test_broken_front_matter_is_no_crash(project, damage):
    project.edit(LESSON, 'number: "07.20"', damage)
    code, output = project.build()
    assert code != 0
    assert "Traceback" not in output
    assert LESSON in output


def test_line_ends_do_not_make_a_record_stale(project):
    for path in (SCRIPT, LESSON, f"{RESULTS}.json", f"{RESULTS}.txt", "docs/index.md"):
        file = project.root / path
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    code, output = project.build()
    assert code == 0, output


@pytest.mark.parametrize(
    ("plant", "complaint"),
    [
        ("[x](khong-co.md)", "khong-co.md"),
        ("[x](#khong-co)", "khong-co"),
        ("[x](../../index.md#khong-co)", "khong-co"),
        ("[x](hugging_face_round_trip.zip)", "hugging_face_round_trip.zip"),
        ('<a href="khong-co/">x</a>', "khong-co"),
        ('<a href="#khong-co">x</a>', "khong-co"),
        ('<img src="khong-co.png" alt="x">', "khong-co.png"),
    ],
)
def test_refuses_broken_links(project, plant, complaint):
    project.edit(LESSON, ANCHOR, f"{ANCHOR}\n{plant}\n")
    code, output = project.build()
    assert code != 0
    warnings = [line for line in output.splitlines() if line.startswith("WARNING")]
    assert any(
        complaint in line and "fine-tuning/saving-and-loading/index" in line for line in warnings
    ), output


def test_refuses_a_lesson_that_the_navigation_forgets(project):
    project.edit("mkdocs.yml", "          - fine-tuning/saving-and-loading/index.md\n", "")
    code, output = project.build()
    assert code != 0
    assert "không có trong nav" in output


def test_accepts_honest_markdown(project):
    honest = """
Dòng mở đầu có thực thể&#160;và phím <kbd>F5</kbd>. Giá từ [[cite:$5 @some]] đến [[cite:$6 @some]].
{ #neo-2 }

1. Một [[def:4 byte]], ra đời [[date:2019]], từ bản [[version:2.6]].
2. Xem arXiv:2001.08361, doi 10.1145/3442188, <https://example.org/2024/1>, [bài](https://example.org/7 "bảy").

   Trong danh sách: `x = 1`, $x_1 = [[hugging_face_round_trip:parameters]]$, [[hugging_face_round_trip:parameters]].

| Số | Giá trị |
| --- | --- |
| $P$ | [[hugging_face_round_trip:parameters > 124.439.807]] |

=== "PyTorch"

    ```python
    x = [[1, 2], [3, 4]]  # $5
    ```

=== "Hugging Face"

    [[hugging_face_round_trip#luu]]

!!! note "Chú ý"

    $$
    \\text{độ đo với số } \\frac{1}{2}
    $$

[[cite:3,8 triệu @some]] và[^some].

[^some]: Ai đó. [Nguồn](https://example.org/1).
"""
    project.edit(LESSON, ANCHOR, ANCHOR + honest)
    code, output = project.build()
    assert code == 0, output
    html = (project.root / "site/fine-tuning/saving-and-loading/index.html").read_text(
        encoding="utf-8"
    )
    assert "độ đo với số" in html
    assert "x_1 = 124.439.808" in html


def test_a_value_shows_its_mark_without_strict(project):
    record = project.root / f"{RESULTS}.json"
    data = json.loads(record.read_text(encoding="utf-8"))
    data["exact"]["parameters"] += 1
    record.write_text(json.dumps(data), encoding="utf-8")
    project.edit("mkdocs.yml", "strict: !ENV [DOCS_STRICT, false]", "strict: false")
    code, output = project.build("--no-strict")
    assert code == 0, output
    html = (project.root / "site/fine-tuning/saving-and-loading/index.html").read_text(
        encoding="utf-8"
    )
    assert 'class="record-problem"' in html
    assert "dev.py examples hugging_face_round_trip" in html


def test_a_deployed_version_knows_its_addresses_old_and_new(project, monkeypatch):
    monkeypatch.setenv("MIKE_DOCS_VERSION", "1.0")
    monkeypatch.setenv("SITE_URL", "https://example.org/ten-du-an/")
    project.edit("docs/verification.md", "title:", "old: [how-we-verify, glossary]\ntitle:")
    code, output = project.build()
    assert code != 0
    warnings = [line for line in output.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == 1
    assert (
        "docs/verification.md: địa chỉ cũ glossary là địa chỉ của một trang đang có" in warnings[0]
    )
    assert "../verification/" in (project.root / "site/how-we-verify/index.html").read_text(
        encoding="utf-8"
    )
    assert "chữ" in (project.root / "site/glossary/index.html").read_text(encoding="utf-8")
    html = (project.root / "site/verification/index.html").read_text(encoding="utf-8")
    assert (
        '<link rel="canonical" href="https://example.org/ten-du-an/latest/verification/">' in html
    )
    picture = re.search(r'og:image" content="https://example.org/ten-du-an/1.0/([^"]+)"', html)
    assert (project.root / "site" / picture[1]).exists()
    assert "Bản 1.0 · kiểm chứng với Python" in html
