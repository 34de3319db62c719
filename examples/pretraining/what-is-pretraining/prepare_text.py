"""Làm sạch văn bản để huấn luyện: chuẩn hoá, lọc, khử trùng lặp, che dữ liệu cá nhân, chia.

    python prepare_text.py van_ban.txt --out sach       # tài liệu cách nhau một dòng trống
    python prepare_text.py thu_muc --out sach           # mỗi tệp .txt trong thư mục là một tài liệu

Cho ra sach/train.jsonl và sach/test.jsonl, mỗi dòng một {"text": "…"}.
Cần: chỉ Python.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import os
import random
import re
import sys
import zlib
from collections import Counter
from pathlib import Path
from unicodedata import category, normalize

TONES = "\u0300\u0301\u0303\u0309\u0323"  # huyền, sắc, ngã, hỏi, nặng ở dạng dấu rời
# «òa», «òe», «ùy» ở cuối chữ: dấu đứng ở nguyên âm đầu, kiểu cũ.
OLD_TONE = re.compile(rf"([oO])([{TONES}])([aeAE])(?![\w\u0300-\u036f])")
OLD_TONE_UY = re.compile(rf"([uU])([{TONES}])([yY])(?![\w\u0300-\u036f])")

SHINGLE = 5  # so bằng các dãy năm từ liền nhau
BANDS = 28  # chữ ký MinHash: 28 dải, mỗi dải 4 số
ROWS = 4
SIMILAR = 0.75  # giống nhau từ mức này thì coi là một bản
PRIME = 4294967311  # số nguyên tố lớn hơn mọi mã CRC-32

SHORTEST = 150  # ký tự: ngắn hơn thì thường là mẩu thừa của trang web
COMMON = {"the", "of", "to", "and", "in", "is", "a", "for", "that", "be", "are", "it"}
VIETNAMESE = re.compile(r"[ăđơưĂĐƠƯ\u1ea0-\u1ef9]")
BOILERPLATE = re.compile(r"^.*(?:uses cookies|đăng nhập để).*\n?", re.IGNORECASE | re.MULTILINE)
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
# 0912 345 678, +84 24 3825 1234, (024) 3825 1234. Không bắt: 1900 1234, số viết bằng chữ.
PHONE = re.compile(
    r"(?<![\w.])(?:\(?\+84\)?[ .-]?\(?0?|\(?0)[235789]\d{0,2}\)?(?:[ .-]?\d{3,4}){2}(?!\d)"
)
LEAK = 13  # phần kiểm thử và phần huấn luyện không được chung bấy nhiêu từ liền nhau


def modern_tones(text: str) -> str:
    """Đặt dấu thanh kiểu mới: «hòa, khỏe, thúy» thành «hoà, khoẻ, thuý». Hai cách, một chữ."""
    text = normalize("NFD", text)
    text = OLD_TONE.sub(r"\1\3\2", text)
    text = OLD_TONE_UY.sub(r"\1\3\2", text)
    return normalize("NFC", text)


def normalised(text: str) -> str:
    """Một nội dung, một cách viết: NFC, một kiểu đặt dấu, một kiểu khoảng trắng."""
    text = modern_tones(html.unescape(text))  # &#7879; thành ệ
    text = re.sub(r"(?<=\S)[^\S\n]+", " ", text)  # khoảng trắng lạ thành dấu cách
    kept = []
    for letter in text:
        # Cc: ký tự điều khiển; Cf: ký tự vô hình. Bỏ Cf thì hỏng emoji ghép: ở đây chấp nhận.
        if letter == "\n" or category(letter) not in ("Cc", "Cf"):
            kept.append(letter)
    return "".join(kept).strip()


def reason_to_drop(text: str, shortest: int = SHORTEST) -> str:
    """Vì sao bỏ tài liệu này; chuỗi rỗng là giữ."""
    words = re.findall(r"\w+", text)
    lines = [line for line in text.splitlines() if line.strip()]
    spelled = sum(word.isalpha() for word in words)  # chữ của mọi thứ tiếng, không chỉ a-z
    vietnamese = sum(VIETNAMESE.search(word) is not None for word in words)
    english = sum(word.lower() in COMMON for word in words)
    if len(text) < shortest:
        return "ngắn"
    if spelled < 0.7 * len(words):
        return "ít chữ"
    if len(set(lines)) < 0.7 * len(lines):
        return "lặp"
    if vietnamese < 0.3 * len(words) and english < 0.05 * len(words):
        return "thứ tiếng"
    return ""


def without_boilerplate(text: str) -> str:
    """Bỏ những dòng khuôn mẫu của trang web."""
    return BOILERPLATE.sub("", text).strip()


def drop_copies(documents: list[str]) -> list[str]:
    """Bỏ bản trùng hệt, giữ bản đầu."""
    first = {}
    for document in documents:
        first.setdefault(hashlib.sha256(document.encode()).digest(), document)
    return list(first.values())


def shingles(text: str, length: int = SHINGLE) -> set[str]:
    """Tập mọi dãy `length` từ liền nhau."""
    words = re.findall(r"\w+", text.lower())
    count = max(1, len(words) - length + 1)
    return {" ".join(words[start : start + length]) for start in range(count)}


def jaccard(a: set[str], b: set[str]) -> float:
    """Độ giống của hai tập: phần chung chia cho phần hợp."""
    common = len(a & b)
    return common / (len(a) + len(b) - common)


def hash_functions(count: int) -> list[tuple[int, int]]:
    """Hệ số của `count` hàm băm; lần nào cũng như nhau."""
    rng = random.Random(0)
    return [(rng.randrange(1, PRIME), rng.randrange(PRIME)) for _ in range(count)]


def signature(parts: set[str], functions: list[tuple[int, int]]) -> list[int]:
    """Chữ ký MinHash: với mỗi hàm băm, số nhỏ nhất trên cả tập."""
    codes = [zlib.crc32(part.encode()) for part in parts]
    smallest = []
    for a, b in functions:
        hashed = [(a * code + b) % PRIME for code in codes]
        smallest.append(min(hashed))
    return smallest


def bands(numbers: list[int], rows: int = ROWS) -> list[tuple[int, ...]]:
    """Cắt chữ ký thành dải; số thứ tự đứng đầu, để dải nào chỉ gặp dải cùng thứ tự."""
    return [(start, *numbers[start : start + rows]) for start in range(0, len(numbers), rows)]


def drop_near_copies(documents: list[str]) -> tuple[list[str], int]:
    """Bỏ bản gần trùng, giữ bản đầu; trả về cả số cặp đã phải so."""
    functions = hash_functions(BANDS * ROWS)
    kept = []
    kept_shingles = []
    seen: dict[tuple[int, ...], list[int]] = {}  # dải → những bản có dải đó
    compared = 0
    for document in documents:
        parts = shingles(document)
        own_bands = bands(signature(parts, functions))
        rivals = set()  # chỉ so với bản có chung ít nhất một dải
        for band in own_bands:
            rivals.update(seen.get(band, []))
        compared += len(rivals)
        if any(jaccard(parts, kept_shingles[rival]) >= SIMILAR for rival in rivals):
            continue
        for band in own_bands:
            seen.setdefault(band, []).append(len(kept))
        kept.append(document)
        kept_shingles.append(parts)
    return kept, compared


def masked(text: str) -> str:
    """Che e-mail và số điện thoại Việt Nam. Tên người, địa chỉ nhà thì mẫu chữ không bắt được."""
    return PHONE.sub("<số>", EMAIL.sub("<e-mail>", text))


def split(documents: list[str], share: int = 10) -> tuple[list[str], list[str]]:
    """Phần huấn luyện và phần kiểm thử: xáo trộn, rồi để dành một phần `share`."""
    mixed = random.Random(0).sample(documents, len(documents))
    size = len(documents) // share
    return mixed[size:], mixed[:size]


def leaking(train: list[str], test: list[str]) -> list[str]:
    """Tài liệu kiểm thử chung LEAK từ liền nhau với phần huấn luyện."""
    known = set()
    for document in train:
        known |= shingles(document, LEAK)
    return [document for document in test if shingles(document, LEAK) & known]


def clean(documents: list[str], shortest: int = SHORTEST) -> tuple[list[str], Counter]:
    """Năm việc đầu, theo thứ tự; trả về tài liệu sạch và số tài liệu bị bỏ theo lý do."""
    documents = [normalised(without_boilerplate(document)) for document in documents]
    dropped = Counter()
    kept = []
    for document in documents:
        reason = reason_to_drop(document, shortest)
        if reason:
            dropped[reason] += 1
        else:
            kept.append(document)
    documents = kept
    before = len(documents)
    documents = drop_copies(documents)
    dropped["trùng hệt"] = before - len(documents)
    before = len(documents)
    documents, _ = drop_near_copies(documents)
    dropped["gần trùng"] = before - len(documents)
    return [masked(document) for document in documents], dropped


def read_documents(path: Path) -> list[str]:
    """Tài liệu của một tệp (cách nhau dòng trống), hay mỗi tệp .txt của một thư mục là một."""
    if path.is_dir():
        return [file.read_text(encoding="utf-8-sig") for file in sorted(path.rglob("*.txt"))]
    text = path.read_text(encoding="utf-8-sig")
    return [part for part in re.split(r"\n\s*\n", text) if part.strip()]


def write_jsonl(documents: list[str], path: Path) -> None:
    """Mỗi dòng một {"text": …}."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for document in documents:
            file.write(json.dumps({"text": document}, ensure_ascii=False) + "\n")


def stop(message: str) -> None:
    """Một dòng báo lỗi, mã thoát 2."""
    print(message, file=sys.stderr)
    sys.exit(2)


def main() -> None:
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stderr.reconfigure(encoding="utf-8")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path, help="tệp văn bản, hay thư mục chứa tệp .txt")
    parser.add_argument("--out", type=Path, required=True, help="thư mục mới cho hai tệp .jsonl")
    parser.add_argument(
        "--shortest", type=int, default=SHORTEST, help="bỏ tài liệu ngắn hơn, ký tự"
    )
    args = parser.parse_args()
    if args.out.exists():
        stop(f"{args.out} đã có: hãy chọn tên khác, script không ghi đè.")
    if not args.out.absolute().parent.is_dir():
        stop(f"Không có thư mục {args.out.absolute().parent}.")
    try:
        documents = read_documents(args.text)
    except OSError as error:
        stop(f"Không đọc được {args.text}: {error.strerror}.")
    except UnicodeDecodeError:
        stop(f"{args.text} có tệp không phải UTF-8; văn bản TCVN3, VNI phải đổi mã trước.")
    cleaned, dropped = clean(documents, args.shortest)
    train, test = split(cleaned)
    leaks = leaking(train, test)
    test = [document for document in test if document not in leaks]
    if not test:
        stop(f"Còn {len(cleaned)} tài liệu sạch trong {len(documents)}: quá ít để chia.")
    print(f"{len(documents)} tài liệu vào, {len(train)} để huấn luyện, {len(test)} để kiểm thử")
    for reason, count in dropped.most_common():
        print(f"bỏ {count} vì: {reason}")
    print(f"bỏ {len(leaks)} tài liệu kiểm thử chung {LEAK} từ liền nhau với phần huấn luyện")
    temporary = args.out.with_name(f".{args.out.name}-{os.getpid()}")
    temporary.mkdir()
    write_jsonl(train, temporary / "train.jsonl")
    write_jsonl(test, temporary / "test.jsonl")
    temporary.rename(args.out)


if __name__ == "__main__":
    main()
