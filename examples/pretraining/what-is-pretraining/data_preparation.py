"""Làm sạch một văn bản nhỏ như làm với dữ liệu tiền huấn luyện, và chứng minh mỗi bước bỏ đúng thứ phải bỏ.

    python data_preparation.py                    # tài liệu tiếng Anh có trong mọi bản Python, không cần mạng
    python data_preparation.py --text vi          # câu tiếng Việt của các chương trình trên máy (chỉ Linux có)
    python data_preparation.py --text bai.txt     # văn bản UTF-8 của bạn, tiếng Việt hay tiếng Anh
    python data_preparation.py --break late       # chuẩn hoá muộn: đối chứng phải trượt; còn có leak, ascii, wide

Tốn (cỡ mặc định): không quá 30 giây, 0,5 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install tokenizers
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import html
import json
import random
import re
import sys
import zlib
from collections import Counter
from gettext import GNUTranslations
from itertools import combinations
from pathlib import Path
from unicodedata import category, normalize

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--text", default="python", help="python, vi, hoặc một tệp UTF-8")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=["late", "leak", "ascii", "wide"], help="làm sai một bước")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    from tokenizers import ByteLevelBPETokenizer
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install tokenizers\n")
try:
    if args.json and args.json.is_dir():
        raise IsADirectoryError(f"--json {args.json} là một thư mục")
    if args.text == "python":
        from pydoc_data.topics import topics

        pages = list(topics.values())
    elif args.text == "vi":
        files = sorted(Path("/usr/share/locale/vi/LC_MESSAGES").glob("*.mo"))
        pages = ["\n\n".join(GNUTranslations(file.open("rb"))._catalog.values()) for file in files]
    else:
        pages = [Path(args.text).read_bytes().decode("utf-8-sig")]
    # Cắt trang ở dòng trống đầu tiên sau 600 ký tự. Đối chứng so mọi cặp, nên chỉ lấy 1000 tài liệu.
    docs = [(text, "") for page in pages for text in re.findall(r"(?s).{600,}?\n\s*\n|.+", page)][:1000]
    long = [i for i, (text, _) in enumerate(docs) if len(text) > 600]
    if len(long) < 40:
        raise ValueError(f"cần ít nhất 40 tài liệu dài hơn 600 ký tự, có {len(long)}")
except (ImportError, OSError, ValueError) as error:
    parser.exit(
        2, f"Không bắt đầu được với --text {args.text}: {error}. Hãy đưa một tệp UTF-8 từ chừng 40 nghìn ký tự.\n"
    )
steps = {}


def show(step, docs, before=()):
    """In và ghi lại còn bao nhiêu (cả số tài liệu cài vào), kèm một thứ vừa bị bỏ hay bị đổi."""
    counts = {"documents": len(docs), "characters": sum(len(text) for text, _ in docs)}
    steps[step] = {**counts, "planted": sum(name != "" for _, name in docs)}
    print("{documents} tài liệu ({planted} do script cài), {characters} ký tự".format(**steps[step]))
    for text, _ in list(Counter(before) - Counter(docs))[-1:]:
        print(f"bỏ hay đổi, như: {text[:64]!r}")


# %% Cài lỗi
print("== Cài lỗi ==")
CLEAN = [
    "Sáng nào bà Tư cũng dậy từ bốn giờ để nhóm bếp. Nước dùng ninh từ tối hôm trước, chỉ việc đun lại cho sôi rồi nêm "
    "thêm chút muối. Đến năm giờ, khách quen đã ngồi kín ba cái bàn thấp kê sát vỉa hè.",
    "Bản đồ vẽ lúc 2010-07-04 12:15 ở trạm số 3232235521, nơi chưa ai có điện thoại, cho thấy một cơn bão sắp vào bờ. "
    "Chỗ nào các đường đẳng áp nằm sát nhau thì gió mạnh, chỗ nào chúng thưa thì gió nhẹ.",
]
JUNK = {"ngắn": "Đọc thêm »", "ít chữ": "| 0.12 | 3.4e-5 | 17 " * 20, "lặp": "Mua ngay!\n" * 20}
JUNK["thứ tiếng"] = "Le marché ouvre chaque matin à six heures, quand les pêcheurs rentrent au port. " * 2
CONTACT = "Liên hệ: lan.tran@example.com · 0200 345 678 · +84 200 345 6789\n"  # người bịa, số bịa
NOISE = "This site uses cookies. Accept all cookies?\nĐăng nhập để bình luận\n"
picked = random.Random(0).sample(long, 36)
for i, line in zip(picked, [CONTACT] * 12 + [NOISE] * 12, strict=False):
    docs[i] = (line + docs[i][0], "")
originals = [(docs[i][0], f"en{i}") for i in picked[24:]] + [(text, f"vi{i}") for i, text in enumerate(CLEAN)]
docs = [(text, f"en{i}" if i in picked[24:] else "") for i, (text, _) in enumerate(docs)] + originals[12:]
for text, name in originals:  # bản sao mang tên của bản gốc; chỉ phần đối chứng nhìn tên
    copies = [text, text.replace(" ", " xem thêm: ", 1), text.replace(" ", "\u00a0", 5).replace("a", "a\u200b", 5)]
    copies += [normalize("NFD", text), text.encode("ascii", "xmlcharrefreplace").decode()]
    docs += [(copy, name) for copy in copies]
docs += [(text.strip(), "rác") for text in JUNK.values()]
show("raw", docs)

# %% Chuẩn hoá
print("\n== Chuẩn hoá ==")


def normalise(text):
    """Một nội dung, một cách viết."""
    text = normalize("NFC", html.unescape(text))  # &#7879; thành ệ; e và hai dấu rời cũng thành ệ
    text = re.sub(r"(?<=\S)[^\S\n]+", " ", text)  # khoảng trắng lạ thành dấu cách; giữ thụt đầu dòng của mã
    # Cc: ký tự điều khiển; Cf: ký tự vô hình. Bỏ Cf thì hỏng emoji ghép và vài chữ viết khác: ở đây chấp nhận.
    return "".join(c for c in text if c == "\n" or category(c) not in ("Cc", "Cf")).strip()


raw, late = docs, args.damage == "late"
docs = docs if late else [(normalise(text), name) for text, name in docs]
show("normalised", docs, raw)
uncleaned = docs

# %% Bỏ bản trùng hệt
print("\n== Bỏ bản trùng hệt ==")
first = {}
for text, name in docs:
    first.setdefault(hashlib.sha256(text.encode()).digest(), (text, name))
docs = list(first.values())
show("exact", docs, uncleaned)

# %% Bỏ bản gần trùng
print("\n== Bỏ bản gần trùng ==")
rng, prime = random.Random(0), 4294967311
HASHES = [(rng.randrange(1, prime), rng.randrange(prime)) for _ in range(112)]


def shingles(text, size=5):
    """Tập mọi dãy năm từ liền nhau."""
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}


def jaccard(a, b):
    """Phần chung chia cho phần hợp của hai tập."""
    return (common := len(a & b)) / (len(a) + len(b) - common)


kept, buckets, compared, unique = [], {}, 0, docs
for doc in docs:
    grams = shingles(doc[0])
    codes = [zlib.crc32(gram.encode()) for gram in grams]
    signature = [min((a * code + b) % prime for code in codes) for a, b in HASHES]  # MinHash: 112 số
    bands = [(i, *signature[i : i + 4]) for i in range(0, 112, 4)]  # cắt thành 28 dải, mỗi dải 4 số
    rivals = {i for band in bands for i in buckets.get(band, ())}  # chỉ so với bản có chung ít nhất một dải
    compared += len(rivals)
    if all(jaccard(grams, kept[i][0]) < 0.75 for i in rivals):
        for band in bands:
            buckets.setdefault(band, []).append(len(kept))
        kept.append((grams, doc))
docs, pairs = [doc for _, doc in kept], len(docs) * (len(docs) - 1) // 2
show("near", docs, unique)
print(f"đã so {compared} cặp trong {pairs} cặp có thể")

# %% Lọc
print("\n== Lọc ==")
COMMON = {"the", "of", "to", "and", "in", "is", "a", "for", "that", "be", "are", "it"}
BOILERPLATE = re.compile(r"^.*(?:uses cookies|đăng nhập để).*\n?", re.IGNORECASE | re.MULTILINE)
LETTERS = r"[a-zA-Z]+" if args.damage == "ascii" else r"[^\W\d_]+"


def fault(text):
    """Lý do bỏ một tài liệu; chuỗi rỗng là giữ."""
    words, lines = re.findall(r"\w+", text), [line for line in text.splitlines() if line.strip()]
    spelled = sum(re.fullmatch(LETTERS, word) is not None for word in words)
    vietnamese = sum(re.search(r"[ăđơưĂĐƠƯ\u1ea0-\u1ef9]", word) is not None for word in words)
    english = sum(word.lower() in COMMON for word in words)
    if len(text) < 150:
        return "ngắn"
    if spelled < 0.7 * len(words):
        return "ít chữ"
    if len(set(lines)) < 0.7 * len(lines):
        return "lặp"
    return "thứ tiếng" if vietnamese < 0.3 * len(words) and english < 0.05 * len(words) else ""


if late:
    docs = [(normalise(text), name) for text, name in docs]
docs = [(BOILERPLATE.sub("", text), name) for text, name in docs]
faults = [fault(text) for text, _ in docs]
dropped = Counter(faults)
filtered = [doc for doc, reason in zip(docs, faults, strict=True) if not reason]
show("filtered", filtered, docs)
print("bỏ vì:", ", ".join(f"{reason} {dropped[reason]}" for reason in JUNK))

# %% Che dữ liệu cá nhân
print("\n== Che dữ liệu cá nhân ==")
EMAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
PHONE = r"(?<![\w.])(?:\+84[ .-]?|0)[235789]\d{1,2}(?:[ .-]?\d{3,4}){2}(?!\d)"  # dạng số ở Việt Nam
if args.damage == "wide":
    PHONE = r"\d[\d .:-]{7,}\d"
docs = [(re.sub(PHONE, "<số>", re.sub(EMAIL, "<e-mail>", text)), name) for text, name in filtered]
masked = sum(old != new for old, new in zip(filtered, docs, strict=True))
show("masked", docs, filtered)

# %% Chia
print("\n== Chia ==")


def split(docs):
    """Phần huấn luyện, phần kiểm thử, và tài liệu kiểm thử chung 13 từ liền nhau với phần huấn luyện."""
    mixed = random.Random(0).sample(docs, len(docs))
    train, test = mixed[len(docs) // 10 :], mixed[: len(docs) // 10]
    known = set().union(*(shingles(text, 13) for text, _ in train))
    return train, test, [doc for doc in test if shingles(doc[0], 13) & known]


leaks = {}
for key, label, part in (("before", "trước khi làm sạch", uncleaned), ("after", "sau khi làm sạch", docs)):
    train, test, leaking = split(part)
    leaks[key] = {"test": len(test), "leaking": len(leaking)}
    print(f"{label}: {len(leaking)} trong {len(test)} tài liệu kiểm thử bị lộ")
if args.damage != "leak":
    test = [doc for doc in test if doc not in leaking]
show("train", train)
show("test", test)

# %% Cắt token
print("\n== Cắt token ==")
tokenizer = ByteLevelBPETokenizer()
tokenizer.train_from_iterator([text for text, _ in train], vocab_size=2000, show_progress=False)  # chỉ phần huấn luyện
tokens, same = {}, True
named = {
    "train": ("huấn luyện", train),
    "test": ("kiểm thử", test),
    "vietnamese": ("hai đoạn tiếng Việt", originals[12:]),
}
for key, (label, part) in named.items():
    encoded = [tokenizer.encode(text).ids for text, _ in part]
    same = same and [tokenizer.decode(ids) for ids in encoded] == [text for text, _ in part]
    tokens[key] = {"tokens": sum(map(len, encoded)), "words": sum(len(text.split()) for text, _ in part)}
    print(f"{label}: {tokens[key]['tokens']} token cho {tokens[key]['words']} từ")

# %% Một chữ, hai cách viết
print("\n== Một chữ, hai cách viết ==")
forms = {}
for form in ("NFC", "NFD"):
    word, text = normalize(form, "Việt"), normalize(form, CLEAN[0])
    ids = tokenizer.encode(word).ids
    forms[form] = {"characters": len(word), "bytes": len(word.encode()), "tokens": len(ids)}
    forms[form]["jaccard"] = jaccard(shingles(text), shingles(CLEAN[0]))
    print(f"{form}: {word!a}, {len(word)} ký tự, {len(word.encode())} byte, token {ids}")
print(f"cùng một đoạn, hai cách viết: Jaccard {forms['NFD']['jaccard']:.2f}")

# %% Đối chứng
print("\n== Đối chứng ==")
texts, left = [text for text, _ in docs], Counter(name for _, name in docs if name)
most = max(left.values(), default=0)
spans = [set().union(*(shingles(text, 13) for text, _ in part)) for part in (train, test)]
reasons = all(fault(normalise(text)) == reason for reason, text in JUNK.items())
near = any(jaccard(a, b) >= 0.75 for (a, _), (b, _) in combinations(kept, 2))
noisy = any(line in text for text in texts for line in NOISE.splitlines())
checks = {
    "copies": (f"mỗi bản gốc còn nhiều nhất {most} bản", most == 1),
    "pairs": ("so mọi cặp: MinHash không sót cặp gần trùng nào", not near),
    "junk": ("mỗi loại rác bị bỏ, đúng lý do", reasons and not left["rác"]),
    "boilerplate": ("không còn dòng khuôn mẫu đã cài", not noisy),
    "private": ("không còn e-mail, số điện thoại đã cài", not re.search(r"lan\.tran|345 678", " ".join(texts))),
    "clean": ("hai đoạn tiếng Việt sạch còn nguyên từng chữ", all(text in texts for text in CLEAN)),
    "leak": ("kiểm thử và huấn luyện không chung 13 từ liền nhau", not spans[0] & spans[1]),
    "round_trip": ("token đổi ngược ra đúng văn bản", same),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "steps": steps, "compared": compared, "pairs": pairs, "masked": masked, "most": most}
    exact |= {"dropped": dict(zip(("short", "letters", "repeated", "language"), map(dropped.get, JUNK), strict=True))}
    exact |= {"leaks": leaks, "tokens": tokens, "forms": forms}
    digest = hashlib.sha256("\n\n".join(pages).encode()).hexdigest()
    args.json.write_text(json.dumps({"exact": exact, "data_sha256": digest}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: dữ liệu chưa sạch, hoặc mất thứ phải giữ.\n")
print("ĐÃ CHỨNG MINH: lỗi cài vào đã bị bỏ, thứ sạch còn nguyên.")
