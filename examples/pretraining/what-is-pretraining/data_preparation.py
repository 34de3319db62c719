"""Chuẩn bị dữ liệu, thử trên văn bản cố ý làm bẩn: thứ phải bỏ có bị bỏ, thứ phải giữ còn không?

    cd examples && python pretraining/what-is-pretraining/data_preparation.py

Tốn (cỡ mặc định): không quá 300 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers tokenizers matplotlib; prepare_text.py, train_tiny.py nằm cạnh
"""

# %% Chuẩn bị
import hashlib
import os
import pydoc_data.topics
import random
import re
import sys
from itertools import combinations
from pathlib import Path
from unicodedata import normalize

import matplotlib.pyplot as plt

from prepare_text import (
    BOILERPLATE,
    EMAIL,
    SIMILAR,
    drop_copies,
    drop_near_copies,
    jaccard,
    leaking,
    masked,
    modern_tones,
    normalised,
    reason_to_drop,
    shingles,
    split,
    without_boilerplate,
)
from train_tiny import make_tokenizer, pack, read_documents

QUICK = os.environ.get("QUICK") == "1"
MOST = 400  # tài liệu: phần đối chiếu so mọi cặp
if QUICK:
    MOST = 120
COPIED = 12  # bấy nhiêu tài liệu có bản sao, mỗi tài liệu sáu kiểu
DIRTY = 12  # bấy nhiêu tài liệu bị chèn liên hệ, bấy nhiêu bị chèn dòng khuôn mẫu
VOCABULARY = 2000
CONTEXT = 256

# Tiếng Anh: sách tra cứu có trong mọi bản Python, cắt thành tài liệu chừng 600 ký tự.
pages = pydoc_data.topics.topics
english = []
for name in sorted(pages):
    english += re.findall(r"(?s).{600,}?\n\s*\n|.+", pages[name])
english = [document for document in english if len(document) > 600][:MOST]

# %% Làm bẩn
print("== Làm bẩn ==")
CLEAN = [
    "Sáng nào bà Tư cũng dậy từ bốn giờ để nhóm bếp. Nước dùng ninh từ tối hôm trước, chỉ việc đun "
    "lại cho sôi rồi nêm thêm chút muối. Khách khoẻ, thuỷ thủ ở bến và thợ hồ hoà vào nhau, ngồi "
    "kín ba cái bàn thấp kê sát vỉa hè.",
    "Bản đồ vẽ lúc 2010-07-04 12:15 ở trạm số 3232235521, nơi chưa ai có điện thoại, cho thấy một "
    "cơn bão sắp vào bờ. Chỗ nào các đường đẳng áp nằm sát nhau thì gió mạnh, chỗ nào chúng thưa "
    "thì gió nhẹ.",
]
JUNK = {
    "ngắn": "Đọc thêm »",
    "ít chữ": "| 0.12 | 3.4e-5 | 17 " * 20,
    "lặp": "Mua ngay!\n" * 20,
    "thứ tiếng": "Le marché ouvre chaque matin, quand les pêcheurs rentrent au port. " * 3,
}
CONTACT = "Liên hệ: lan.tran@example.com · 0200 345 678 · (+84) 200 345 678\n"  # người bịa, số bịa
NOISE = "This site uses cookies. Accept all cookies?\nĐăng nhập để bình luận\n"


def old_tones(text):
    """Đặt dấu thanh kiểu cũ: «hoà» thành «hòa», «khoẻ» thành «khỏe», «thuỷ» thành «thủy»."""
    marks = "\u0300\u0301\u0303\u0309\u0323"
    text = normalize("NFD", text)
    text = re.sub(rf"([oO])([aeAE])([{marks}])(?!\w)", r"\1\3\2", text)
    text = re.sub(rf"(?<![qQ])([uU])([yY])([{marks}])(?!\w)", r"\1\3\2", text)
    return normalize("NFC", text)


def copies_of(text):
    """Sáu bản sao của một tài liệu, như ngoài đời hay gặp."""
    return {
        "y hệt": text,
        "thêm vài từ": text.replace(" ", " xem thêm: ", 1),
        "dấu cách lạ, ký tự vô hình": text.replace(" ", "\u00a0", 5).replace("a", "a\u200b", 5),
        "NFD": normalize("NFD", text),
        "mã HTML": text.encode("ascii", "xmlcharrefreplace").decode(),
        "dấu thanh kiểu cũ": old_tones(text),
    }


order = random.Random(0)
places = order.sample(range(len(english)), 2 * DIRTY + COPIED)
for place in places[:DIRTY]:
    english[place] = CONTACT + english[place]
for place in places[DIRTY : 2 * DIRTY]:
    english[place] = NOISE + english[place]
originals = [english[place] for place in places[2 * DIRTY :]] + CLEAN
dirty = english + CLEAN + list(JUNK.values())
for original in originals:
    dirty += copies_of(original).values()
print(f"{len(english)} tài liệu tiếng Anh, {len(CLEAN)} tiếng Việt")
print(f"cài thêm {len(originals) * 6} bản sao và {len(JUNK)} mẩu rác")

# %% Dây chuyền
print("\n== Dây chuyền ==")


def normalise_all(documents):
    return [normalised(document) for document in documents]


def drop_boilerplate(documents):
    return [without_boilerplate(document) for document in documents]


def drop_bad(documents):
    return [document for document in documents if not reason_to_drop(document)]


def drop_near(documents):
    return drop_near_copies(documents)[0]


def mask_all(documents):
    return [masked(document) for document in documents]


STEPS = [normalise_all, drop_boilerplate, drop_bad, drop_copies, drop_near, mask_all]
NAMES = {
    "normalise_all": "chuẩn hoá",
    "drop_boilerplate": "bỏ dòng khuôn mẫu",
    "drop_bad": "lọc",
    "drop_copies": "bỏ bản trùng hệt",
    "drop_near": "bỏ bản gần trùng",
    "mask_all": "che dữ liệu cá nhân",
}
documents = dirty
left = {"thô": len(dirty)}
before_near = []
for step in STEPS:
    if step is drop_near:
        before_near = documents
    documents = step(documents)
    left[NAMES[step.__name__]] = len(documents)
    print(f"{NAMES[step.__name__]:<22} còn {len(documents)} tài liệu")
_, compared = drop_near_copies(before_near)
pairs = len(before_near) * (len(before_near) - 1) // 2
print(f"gần trùng: đã so {compared} cặp trong {pairs} cặp có thể")

# %% Chia
print("\n== Chia ==")
leaks = {}
for name, part in (("before", normalise_all(dirty)), ("after", documents)):
    train, test = split(part)
    leaks[name] = {"test": len(test), "leaking": len(leaking(train, test))}
train, test = split(documents)
lost = leaking(train, test)
test = [document for document in test if document not in lost]
print(f"chia khi chưa làm sạch: {leaks['before']['leaking']} trong", end=" ")
print(f"{leaks['before']['test']} tài liệu kiểm thử bị lộ")
print(f"chia khi đã làm sạch: {leaks['after']['leaking']} trong {leaks['after']['test']}")
print(f"bỏ chúng: còn {len(test)} tài liệu kiểm thử")

# %% Một chữ, nhiều cách viết
print("\n== Một chữ, nhiều cách viết ==")
prose = read_documents(Path("data/course_prose.txt"))  # văn xuôi tiếng Việt của khoá học
vietnamese_train = [document for place, document in enumerate(prose) if place % 10 != 9]
vietnamese_test = prose[9::10]
tokenizers = {
    "english": make_tokenizer(train, VOCABULARY),
    "vietnamese": make_tokenizer(vietnamese_train, VOCABULARY),
}
forms = {}
for name, word in (("new", "hoà"), ("old", "hòa"), ("nfd", normalize("NFD", "hoà"))):
    ids = tokenizers["vietnamese"](word)["input_ids"]
    forms[name] = {"characters": len(word), "bytes": len(word.encode()), "tokens": len(ids)}
    print(f"{word!a:<22} {len(word)} ký tự, {len(word.encode())} byte, {len(ids)} token")
same_unicode = normalize("NFKC", "hoà") == normalize("NFKC", "hòa")
print(f"NFC, NFKC đưa «hoà» và «hòa» về một? {'có' if same_unicode else 'không'}")
print(f"modern_tones đưa về một? {'có' if modern_tones('hòa') == 'hoà' else 'không'}")
alike = {}
for name, copy in copies_of(CLEAN[0]).items():
    raw = jaccard(shingles(copy), shingles(CLEAN[0]))
    clean = jaccard(shingles(normalised(copy)), shingles(normalised(CLEAN[0])))
    alike[name] = {"raw": raw, "normalised": clean}
    print(f"{name:<28} Jaccard {raw:.2f} → chuẩn hoá {clean:.2f}")

# %% Cắt token
print("\n== Cắt token ==")
fertility = {}
print(f"{'tokenizer học từ':<20}{'đọc':<12}{'token mỗi chữ':>15}{'byte mỗi token':>16}")
for learned, tokenizer in tokenizers.items():
    fertility[learned] = {}
    for read, texts in (("english", test), ("vietnamese", vietnamese_test)):
        tokens = sum(len(tokenizer(text)["input_ids"]) for text in texts)
        words = sum(len(text.split()) for text in texts)  # tiếng Việt: mỗi chữ là một tiếng
        size = sum(len(text.encode()) for text in texts)
        row = {"per_word": tokens / words, "bytes_per_token": size / tokens}
        fertility[learned][read] = row
        print(f"{learned:<20}{read:<12}{row['per_word']:>15.2f}{row['bytes_per_token']:>16.2f}")

# %% Ghép dãy
print("\n== Ghép dãy ==")
tokenizer = tokenizers["english"]
packed = pack(train, tokenizer)
lengths = [len(tokenizer(document)["input_ids"]) + 1 for document in train]  # 1: token kết thúc
rows = 0
for length in lengths:
    rows += -(-length // CONTEXT)  # chia, làm tròn lên
padded = rows * CONTEXT
packing = {
    "documents": len(train),
    "tokens": len(packed),
    "ends": int((packed == tokenizer.eos_token_id).sum()),
    "padded_rows": rows,
    "packed_rows": len(packed) // CONTEXT,
    "padding_share": 1 - len(packed) / padded,
}
print(f"{len(train)} tài liệu, {len(packed)} token, {packing['ends']} token kết thúc")
print(f"mỗi tài liệu một dãy {CONTEXT} token, đệm cho đầy: {rows} dãy,", end=" ")
print(f"{packing['padding_share']:.0%} là đệm")
print(f"ghép nối nhau: {packing['packed_rows']} dãy, không đệm")

# %% Làm sai
print("\n== Làm sai ==")


def verdicts_of(documents, train, test):
    """Bảy điều phải đúng với dữ liệu đã làm sạch."""
    known = [shingles(document) for document in documents]
    copies = 0
    for original in originals:
        target = shingles(masked(normalised(without_boilerplate(original))))
        found = sum(jaccard(target, parts) >= SIMILAR for parts in known)
        copies = max(copies, found)
    near = sum(jaccard(a, b) >= SIMILAR for a, b in combinations(known, 2))
    text = "\n".join(documents)
    return {
        "copies": copies == 1,
        "near": near == 0,
        "junk": not any(junk.strip() in text for junk in JUNK.values()),
        "boilerplate": not BOILERPLATE.search(text),
        "private": not EMAIL.search(text) and "345 678" not in text,
        "clean": all(clean in text for clean in CLEAN),
        "leak": not leaking(train, test),
    }


def only_ascii(documents):
    """Sai: coi chữ cái là a-z."""
    kept = []
    for document in drop_bad(documents):
        words = re.findall(r"\w+", document)
        if sum(bool(re.fullmatch("[a-zA-Z]+", word)) for word in words) >= 0.7 * len(words):
            kept.append(document)
    return kept


def mask_every_number(documents):
    """Sai: coi mọi dãy chữ số dài là số điện thoại."""
    return [re.sub(r"\d[\d .:-]{7,}\d", "<số>", document) for document in mask_all(documents)]


def replaced(old, *new):
    """Dây chuyền với một bước đổi thành bước khác, hay bỏ hẳn."""
    place = STEPS.index(old)
    return [*STEPS[:place], *new, *STEPS[place + 1 :]]


WAYS = {
    "đúng": STEPS,
    "chuẩn hoá sau khi khử trùng lặp": [*replaced(normalise_all), normalise_all],
    "không khử gần trùng": replaced(drop_near),
    "không lọc": replaced(drop_bad),
    "không bỏ dòng khuôn mẫu": replaced(drop_boilerplate),
    "không che": replaced(mask_all),
    "chữ cái là a-z": replaced(drop_bad, only_ascii),
    "che mọi dãy số": replaced(mask_all, mask_every_number),
    "không so hai phần": STEPS,
}
SHORT = {
    "copies": "sao",
    "near": "gần trùng",
    "junk": "rác",
    "boilerplate": "khuôn mẫu",
    "private": "riêng tư",
    "clean": "giữ sạch",
    "leak": "lộ",
}
print(f"{'':<32}" + "".join(f"{word:>11}" for word in SHORT.values()))
verdicts = {}
for way, steps in WAYS.items():
    result = dirty
    for step in steps:
        result = step(result)
    train_part, test_part = split(result)
    if way != "không so hai phần":
        lost = leaking(train_part, test_part)
        test_part = [document for document in test_part if document not in lost]
    verdicts[way] = verdicts_of(result, train_part, test_part)
    words = ["đạt" if passed else "TRƯỢT" for passed in verdicts[way].values()]
    print(f"{way:<32}" + "".join(f"{word:>11}" for word in words))

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


right = verdicts.pop("đúng")
report("right", all(right.values()), "dây chuyền đúng: cả bảy điều đạt")
caught = all(not all(row.values()) for row in verdicts.values())
report("caught", caught, "tám cách làm sai: cách nào cũng bị ít nhất một điều phát hiện")
falls = True
for name in right:
    if all(row[name] for row in verdicts.values()):
        falls = False
report("falls", falls, "điều nào cũng trượt ở ít nhất một cách làm sai")
reasons = all(reason_to_drop(normalised(text)) == reason for reason, text in JUNK.items())
report("reasons", reasons, "mỗi loại rác bị bỏ đúng lý do")
round_trip = all(tokenizer.decode(tokenizer(text)["input_ids"]) == text for text in CLEAN)
report("round_trip", round_trip, "token đổi ngược ra đúng văn bản, kể cả tiếng Việt")
half = fertility["vietnamese"]["vietnamese"]["per_word"]
report(
    "fertility",
    half < 0.6 * fertility["english"]["vietnamese"]["per_word"],
    "tokenizer tiếng Việt tốn ít token hơn hẳn",
)

# %% Kết quả
slugs = ["late", "no_near", "no_filter", "no_boilerplate", "no_mask", "ascii", "wide", "no_leak"]
results = {
    "exact": {
        "checks": checks,
        "ways": dict(zip(slugs, verdicts.values(), strict=True)),
        "left": dict(zip(["raw", *NAMES], left.values(), strict=True)),
        "planted": len(originals) * 6 + len(JUNK),
        "compared": compared,
        "pairs": pairs,
        "leaks": leaks,
        "forms": forms,
        "alike": dict(
            zip(["same", "words", "invisible", "nfd", "html", "tones"], alike.values(), strict=True)
        ),
        "fertility": fertility,
        "packing": packing,
        "context": CONTEXT,
    },
    # Python khác bản thì sách tra cứu khác: khi đó chỉ so khoá.
    "data_sha256": hashlib.sha256("\n".join(dirty + prose).encode()).hexdigest(),
}
if not all(checks.values()):
    sys.exit("TRƯỢT: dữ liệu chưa sạch, hoặc mất thứ phải giữ.")

# %% Vẽ
figure, axes = plt.subplots(figsize=(5.2, 2.6))
axes.barh(range(len(left)), left.values(), color="C0")
for place, count in enumerate(left.values()):
    axes.annotate(str(count), (count, place), (4, -4), textcoords="offset points")
axes.set_yticks(range(len(left)), left)
axes.invert_yaxis()
axes.set_xlim(0, max(left.values()) * 1.15)
axes.set_xlabel("tài liệu còn lại sau mỗi việc")
figure.savefig("data_preparation.svg")
