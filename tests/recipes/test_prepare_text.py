"""prepare_text.py: each step on text that it must keep and text that it must not."""

from __future__ import annotations

import json
from unicodedata import normalize

import pytest
from pretraining_recipes import one_line, run_alone

SOUP = (
    "Sáng nào bà Tư cũng dậy từ bốn giờ để nhóm bếp. Nước dùng ninh từ tối hôm trước, chỉ việc "
    "đun lại cho sôi rồi nêm thêm chút muối. Đến năm giờ, khách quen đã ngồi kín ba cái bàn."
)
STORM = (
    "Bản đồ vẽ lúc 2010-07-04 12:15 ở trạm số 3232235521, nơi chưa ai có điện thoại, cho thấy "
    "một cơn bão sắp vào bờ. Chỗ nào các đường đẳng áp nằm sát nhau thì gió mạnh."
)


@pytest.fixture
def prepare():
    import prepare_text

    return prepare_text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hòa HÒA Hòa", "hoà HOÀ Hoà"),
        ("khỏe xòe", "khoẻ xoè"),
        ("thủy thúy", "thuỷ thuý"),
        ("hoàn toàn của mùa quý thuyền", "hoàn toàn của mùa quý thuyền"),
    ],
)
def test_one_place_for_the_tone_mark(prepare, old, new):
    assert prepare.modern_tones(old) == new
    assert prepare.modern_tones(normalize("NFD", old)) == new
    assert prepare.modern_tones(new) == new


def test_one_way_to_write_one_text(prepare):
    entities = SOUP.encode("ascii", "xmlcharrefreplace").decode()
    strange = SOUP.replace(" ", "\u00a0", 5).replace("a", "a\u200b", 5)
    for same in (SOUP, normalize("NFD", SOUP), entities, strange, SOUP.replace("khoá", "khóa")):
        assert prepare.normalised(same) == SOUP
    code = "def f():\n    return 1"
    assert prepare.normalised(code) == code


def test_clean_text_is_kept_and_junk_has_its_reason(prepare):
    assert prepare.reason_to_drop(SOUP) == prepare.reason_to_drop(STORM) == ""
    assert prepare.reason_to_drop("Đọc thêm »") == "ngắn"
    assert prepare.reason_to_drop("| 0.12 | 3.4e-5 | 17 " * 20) == "ít chữ"
    assert prepare.reason_to_drop("Mua ngay!\n" * 20) == "lặp"
    french = "Le marché ouvre chaque matin à six heures, quand les pêcheurs rentrent. " * 3
    assert prepare.reason_to_drop(french) == "thứ tiếng"
    assert prepare.without_boilerplate(f"Đăng nhập để bình luận\n{SOUP}") == SOUP


def test_near_copies_go_and_others_stay(prepare):
    near = SOUP.replace("Sáng nào", "Sáng nào cũng vậy,")
    kept, compared = prepare.drop_near_copies([SOUP, near, STORM])
    assert kept == [SOUP, STORM]
    assert compared >= 1
    assert prepare.drop_copies([SOUP, STORM, SOUP]) == [SOUP, STORM]


@pytest.mark.parametrize(
    "number",
    [
        "0912 345 678",
        "0912.345.678",
        "+84 24 3825 1234",
        "+84912345678",
        "(024) 3825 1234",
        "(+84) 912 345 678",
        "09 1234 5678",
        "02438251234",
    ],
)
def test_phone_numbers_are_masked(prepare, number):
    assert prepare.masked(f"Gọi {number} nhé") == "Gọi <số> nhé"


def test_other_numbers_and_words_are_left(prepare):
    assert prepare.masked(STORM) == STORM
    assert prepare.masked("0,25 và 0.123456789; năm 2026") == "0,25 và 0.123456789; năm 2026"
    assert prepare.masked("thư: lan.tran@example.com.") == "thư: <e-mail>."


def test_no_document_of_the_test_part_shares_a_long_run_with_training(prepare):
    documents = [f"{SOUP} Bản {number}." for number in range(3)] + [STORM]
    assert prepare.leaking(documents[:2], documents[2:]) == [documents[2]]
    train, test = prepare.split([str(number) for number in range(40)])
    assert len(test) == 4
    assert len({*train, *test}) == 40


def test_the_command_line_writes_both_parts(tmp_path):
    letters = "abcdefghijklmnopqrstuvwxyz"
    paragraphs = []
    for number in range(30):
        unit = "ơ" * (number // 26) + letters[number % 26]
        words = [f"đường{unit}{letter}" for letter in letters]
        paragraphs.append(" ".join(words))
    text = tmp_path / "van_ban.txt"
    text.write_text("\n\n".join([*paragraphs, paragraphs[0], "Đọc thêm »"]), encoding="utf-8")
    out = tmp_path / "sach"
    done = run_alone(tmp_path, "prepare_text", text, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "bỏ 1 vì: ngắn" in done.stdout
    rows = []
    for name in ("train", "test"):
        for line in (out / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            rows.append(json.loads(line)["text"])
    assert set(rows) <= set(paragraphs)
    assert len(rows) == len(set(rows)) >= 26
    assert "đã có" in one_line(run_alone(tmp_path, "prepare_text", text, "--out", out))


def test_a_folder_is_read_file_by_file(prepare, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.txt").write_text("một\n\nhai", encoding="utf-8")
    (tmp_path / "b.txt").write_text("\ufeffba", encoding="utf-8")
    (tmp_path / "c.md").write_text("không", encoding="utf-8")
    assert prepare.read_documents(tmp_path) == ["một\n\nhai", "ba"]


def test_wrong_input_gets_one_line(tmp_path):
    out = tmp_path / "out"
    missing = run_alone(tmp_path, "prepare_text", tmp_path / "khong.txt", "--out", out)
    assert "khong.txt" in one_line(missing)
    old = tmp_path / "tcvn3.txt"
    old.write_bytes(b"B\xb6o c\xb8o")
    assert "UTF-8" in one_line(run_alone(tmp_path, "prepare_text", old, "--out", out))
    small = tmp_path / "small.txt"
    small.write_text(SOUP, encoding="utf-8")
    assert "quá ít" in one_line(run_alone(tmp_path, "prepare_text", small, "--out", out))
    assert not out.exists()
