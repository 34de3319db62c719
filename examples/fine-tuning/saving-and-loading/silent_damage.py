"""Những chỗ hỏng mà lệnh tải cho qua, không một lời; bit nào lật thì logits thấy; và bốn cái bẫy của phép so.

    python silent_damage.py                  # mô hình tí hon, không cần mạng
    python silent_damage.py --break equal    # so bằng torch.equal: đối chứng phải trượt
    python silent_damage.py --break delta    # hỏi «δ > 1e-5» mà quên NaN: đối chứng phải trượt
    python silent_damage.py --break fresh    # mô hình mới dựng, không cộng nhiễu: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 40 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import io
import json
import math
import random
import sys
import tempfile
import zipfile
from pathlib import Path

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
KINDS = {
    "sign": range(31, 32),
    "exponent": range(23, 31),
    "high": range(12, 23),
    "low": range(12),
}  # 32 bit của float32
NAMES = {"sign": "dấu", "exponent": "mũ", "high": "định trị, nửa cao", "low": "định trị, nửa thấp"}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("equal", "delta", "fresh"), help="so sai cách")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import safetensors.torch
    import torch
    import transformers
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
root = Path((temporary := tempfile.TemporaryDirectory()).name)
transformers.logging.set_verbosity_error()  # báo cáo tải được hỏi, không in
transformers.logging.disable_progress_bar()
torch.set_grad_enabled(False)
torch.set_num_threads(1)  # việc quá nhỏ để chia cho hai luồng

# %% Dựng
torch.manual_seed(0)
fresh = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)).eval()
fresh.save_pretrained(root / "fresh")
model = GPT2LMHeadModel.from_pretrained(root / "fresh")
for parameter in model.parameters() if args.damage != "fresh" else ():
    parameter.copy_(parameter + 0.02 * torch.randn_like(parameter))
model.save_pretrained(root / "saved")
named = {name: parameter.clone() for name, parameter in model.named_parameters()}
QUESTION = torch.arange(0, 512, 32)[None]  # câu thử: mười sáu id


def answer(tensors):
    """Logits ở mọi vị trí của câu thử, với những trọng số này."""
    return torch.func.functional_call(model, tensors, QUESTION).logits


# %% Hai cách so đúng


def same(a, b):
    """Bằng nhau từng bit, kể cả kiểu số và kích thước."""
    raw = [tensor.detach().contiguous().flatten().view(torch.uint8) for tensor in (a, b)]
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*raw)


def apart(new, old, limit=1e-5):
    """Logits có lệch quá giới hạn không. «not <=», không phải «>»: NaN cũng phải bị báo."""
    return not (new - old).abs().max().item() <= limit


# %% Phá
if args.damage == "equal":
    same = torch.equal
if args.damage == "delta":
    apart = lambda new, old: (new - old).abs().max().item() > 1e-5  # noqa: E731
right = answer(named)

# %% Lệnh tải nói gì
print("== Lệnh tải nói gì ==")
st = (root / "saved/model.safetensors").read_bytes()
torch.save(named, buffer := io.BytesIO())
pt = buffer.getvalue()
half = len(st) // 2
DAMAGES = {
    "bit": ("lật một bit", lambda raw: raw[:half] + bytes([raw[half] ^ 64]) + raw[half + 1 :]),
    "zero": ("nửa sau toàn số 0", lambda raw: raw[:half] + bytes(len(raw) - half)),
    "hole": ("1024 byte giữa tệp toàn số 0", lambda raw: raw[:half] + bytes(1024) + raw[half + 1024 :]),
    "names": (
        "hai lớp đổi tên cho nhau",
        lambda raw: b"1.ln_1".join(p.replace(b"1.ln_1", b"0.ln_1") for p in raw.split(b"0.ln_1")),
    ),
    "append": ("nối thêm một byte", lambda raw: raw + b"\0"),
    "before": ("thêm một byte ở đầu", lambda raw: b"\0" + raw),
    "cut": ("mất byte cuối", lambda raw: raw[:-1]),
}


def loads(container, raw):
    """Tên lỗi (rỗng: không có), số tensor sai, và với .pt: CRC của ZIP có kêu không."""
    crc = None
    try:
        crc = zipfile.ZipFile(io.BytesIO(raw)).testzip() is not None if container == "pt" else None
    except zipfile.BadZipFile:
        crc = True
    try:
        new = safetensors.torch.load(raw) if container == "st" else torch.load(io.BytesIO(raw), weights_only=True)
        new = {name: new[name] for name in named}
    except Exception as error:
        return {"error": type(error).__name__, "wrong": 0, "logits": False, "crc": crc}
    wrong = sum(not same(new[name], old) for name, old in named.items())
    return {"error": "", "wrong": wrong, "logits": apart(answer(new), right), "crc": crc}


told = {}
for way, (label, change) in DAMAGES.items():
    for container, raw in (("st", st), ("pt", pt)):
        told[f"{container}_{way}"] = row = loads(container, change(raw))
        said = row["error"] or f"im lặng, {row['wrong']} tensor sai"
        crc = {None: "", True: "; CRC kêu", False: "; CRC im"}[row["crc"]]
        print(f"{'safetensors' if container == 'st' else '.pt':<12}{label:<30}{said}{crc}")

# %% Bit nào lật
print("\n== Bit nào lật ==")
random.seed(0)
sizes = {name: tensor.numel() for name, tensor in named.items()}  # tensor lớn thì dễ trúng hơn
each = 2 if args.damage else 100  # lần lật cho mỗi vị trí bit
gaps = {kind: [] for kind in KINDS}


def power(gap):
    """Luỹ thừa mười của δ, từ -9 tới 3; -10 nghĩa là δ = 0, 4 nghĩa là NaN."""
    return 4 if math.isnan(gap) else -10 if gap == 0 else math.floor(max(-9, min(3, math.log10(gap))))


for kind, span in KINDS.items():
    for bit in list(span) * each:
        name = random.choices(list(sizes), sizes.values())[0]
        hit = {**named, name: named[name].clone()}
        integers = hit[name].view(-1).view(torch.int32)  # cùng vùng nhớ, đọc như số nguyên 32 bit
        integers[random.randrange(len(integers))] ^= 1 << bit if bit < 31 else -(2**31)
        gaps[kind].append((answer(hit) - right).abs().max().item())
missed = {kind: sum(gap <= 1e-5 for gap in found) / len(found) for kind, found in gaps.items()}
flips = sum(map(len, gaps.values()))
missed["all"] = sum(gap <= 1e-5 for found in gaps.values() for gap in found) / flips
for kind, found in gaps.items():
    middle = sorted(found, key=lambda gap: math.inf if math.isnan(gap) else gap)[len(found) // 2]
    print(f"{NAMES[kind]:<20}{len(found):>5} lần, δ giữa {middle:.1e}, lọt «δ > 1e-5» {missed[kind]:.1%}")
print(f"{'cả thảy':<20}{flips:>5} lần, lọt {missed['all']:.1%}")

# %% Bẫy của phép so
print("\n== Bẫy của phép so ==")
nan, zero, one = torch.tensor([float("nan")]), torch.tensor([0.0]), torch.ones(1)
traps = {  # hai tensor; chúng có cùng bit không
    "dtype": ("1 (float32) và 1 (float16)", one, one.half(), False),
    "sign": ("0.0 và -0.0", zero, -zero, False),
    "nan": ("NaN và chính nó", nan, nan.clone(), True),
}
print(f"{'':<28}{'cùng bit':>10}{'torch.equal':>13}{'same':>7}")
for label, a, b, truth in traps.values():
    print(f"{label:<28}{'có' if truth else 'không':>10}{torch.equal(a, b)!s:>13}{same(a, b)!s:>7}")
gap = (right * nan - right).abs().max()
close = torch.allclose(right * nan, right)
print(f"logits toàn NaN: δ > 1e-5 là {bool(gap > 1e-5)}; apart là {apart(right * nan, right)}; allclose là {close}")

# %% Mất một tensor
print("\n== Mất một tensor ==")
kept = {}
for home in ("fresh", "saved"):
    path = root / home / "model.safetensors"
    before = safetensors.torch.load(path.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"ln_f.bias", b"ln_f.bi_s"))
    new, report = GPT2LMHeadModel.from_pretrained(root / home, output_loading_info=True)
    kept[home] = all(same(before[name], parameter) for name, parameter in new.named_parameters())
    found = f"báo cáo thiếu {', '.join(report['missing_keys'])}"
    title = "mới dựng" if home == "fresh" else "đã cộng nhiễu"
    print(f"{title}: {found}; mọi tensor {'vẫn đúng từng bit' if kept[home] else 'KHÔNG còn đúng'}")

# %% Đối chứng
print("\n== Đối chứng ==")
silent = sorted(way for way, row in told.items() if not row["error"])
quiet = ["pt_append", "pt_bit", "pt_hole", "pt_names", "st_bit", "st_hole", "st_names", "st_zero"]
wrong = [way for way in silent if told[way]["wrong"]]
checks = {
    "silent": (f"{len(silent)} trong {len(told)} chỗ hỏng tải được êm", silent == quiet),
    "traps": ("phép so từng bit đúng cả ba cặp", all(same(a, b) == truth for _, a, b, truth in traps.values())),
    "nan": ("logits NaN bị báo là lệch", apart(right * nan, right)),
    "missing": ("tensor bị mất: so từng bit thấy", not kept["saved"]),
    "low": ("δ > 1e-5 bỏ sót quá nửa các bit định trị thấp", missed["low"] > 0.5),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "told": {w: {k: v for k, v in r.items() if v is not None} for w, r in told.items()}}
    exact |= {"silent": len(silent), "damages": len(told), "wrong": len(wrong), "kept": kept, "flips": flips}
    exact |= {"allclose_nan": close, "parameters": sum(tensor.numel() for tensor in named.values())}
    exact |= {
        "unread": (TINY["n_positions"] - QUESTION.numel()) * TINY["n_embd"]
    }  # số của những vị trí câu thử không tới
    exact |= {"equal": {key: torch.equal(a, b) for key, (_, a, b, _) in traps.items()}}
    approx = {"missed": {kind: {"value": share, "abs": 0.03} for kind, share in missed.items()}}
    bins = {kind: [power(gap) for gap in found] for kind, found in gaps.items()}
    spread = {
        k: {f"{p:+d}": {"value": b.count(p) / len(b), "abs": 0.04} for p in range(-10, 5)} for k, b in bins.items()
    }
    args.json.write_text(json.dumps({"exact": exact, "approx": {**approx, "spread": spread}}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: có chỗ hỏng mà phép so này không thấy.\n")
print("ĐÃ CHỨNG MINH: lệnh tải cho qua nhiều thứ, và so đúng cách thì thấy.")
