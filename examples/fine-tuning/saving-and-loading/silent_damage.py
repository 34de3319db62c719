"""Những chỗ hỏng mà lệnh tải cho qua; bit nào lật thì logits thấy; và bẫy của các phép so.

    python silent_damage.py            # mô hình tí hon, không cần mạng
    QUICK=1 python silent_damage.py    # lật ít bit hơn, để thử nhanh

Tốn (cỡ mặc định): không quá 120 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors matplotlib
"""

# %% Chuẩn bị
import io
import math
import os
import random
import sys
import tempfile
import zipfile
from pathlib import Path

import matplotlib.pyplot as plt
import safetensors.torch
import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel

QUICK = os.environ.get("QUICK") == "1"
EACH = 100  # lần lật cho mỗi vị trí bit
if QUICK:
    EACH = 5
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
QUESTION = torch.arange(0, 512, 32)[None]  # câu thử: mười sáu id
BITS = {  # 32 bit của float32, bit 0 là thấp nhất
    "sign": range(31, 32),
    "exponent": range(23, 31),
    "high": range(12, 23),
    "low": range(12),
}
NAMES = {
    "sign": "dấu",
    "exponent": "mũ",
    "high": "định trị, nửa cao",
    "low": "định trị, nửa thấp",
}

temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
transformers.logging.set_verbosity_error()  # báo cáo tải được hỏi, không in
transformers.logging.disable_progress_bar()
torch.set_grad_enabled(False)
torch.set_num_threads(1)  # việc quá nhỏ để chia cho hai luồng

# %% Dựng
torch.manual_seed(0)
fresh = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)).eval()
fresh.save_pretrained(root / "fresh")
model = GPT2LMHeadModel.from_pretrained(root / "fresh")
for parameter in model.parameters():
    parameter.copy_(parameter + 0.02 * torch.randn_like(parameter))
model.save_pretrained(root / "saved")
named = {name: parameter.clone() for name, parameter in model.named_parameters()}


def answer(tensors):
    """Logits ở mọi vị trí của câu thử, với những trọng số này."""
    return torch.func.functional_call(model, tensors, QUESTION).logits


right = answer(named)

# %% So từng bit


def same_bits(one, other):
    """Bằng nhau từng bit, kể cả kiểu số và kích thước."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    one = one.detach().cpu().contiguous().flatten().view(torch.uint8)
    other = other.detach().cpu().contiguous().flatten().view(torch.uint8)
    return torch.equal(one, other)


# %% Bảy cách làm hỏng
def flip(raw):
    half = len(raw) // 2
    return raw[:half] + bytes([raw[half] ^ 64]) + raw[half + 1 :]


def zero_half(raw):
    half = len(raw) // 2
    return raw[:half] + bytes(len(raw) - half)


def hole(raw):
    half = len(raw) // 2
    return raw[:half] + bytes(1024) + raw[half + 1024 :]


def swap_names(raw):
    """Hai lớp đổi tên cho nhau: mọi tên vẫn có, mọi kích thước vẫn vừa."""
    raw = raw.replace(b"0.ln_1", b"X.ln_1")
    raw = raw.replace(b"1.ln_1", b"0.ln_1")
    return raw.replace(b"X.ln_1", b"1.ln_1")


def append(raw):
    return raw + b"\0"


def put_before(raw):
    return b"\0" + raw


def cut(raw):
    return raw[:-1]


DAMAGES = {
    "bit": ("lật một bit", flip),
    "zero": ("nửa sau toàn số 0", zero_half),
    "hole": ("1024 byte giữa tệp thành 0", hole),
    "names": ("hai lớp đổi tên cho nhau", swap_names),
    "append": ("nối thêm một byte", append),
    "before": ("thêm một byte ở đầu", put_before),
    "cut": ("mất byte cuối", cut),
}

# %% Lệnh tải nói gì
print("== Lệnh tải nói gì ==")


def try_loading(load, raw):
    """Tên lỗi (rỗng: không có lỗi), và số tensor sai."""
    try:
        loaded = load(raw)
        wrong = sum(not same_bits(loaded[name], old) for name, old in named.items())
    except Exception as error:
        return {"error": type(error).__name__, "wrong": 0}
    return {"error": "", "wrong": wrong}


def load_pt(raw):
    return torch.load(io.BytesIO(raw), weights_only=True)


def crc_complains(raw):
    """Có phần nào của gói ZIP mà CRC không khớp không."""
    try:
        return zipfile.ZipFile(io.BytesIO(raw)).testzip() is not None
    except zipfile.BadZipFile:
        return True


def saved_as_pt():
    stream = io.BytesIO()
    torch.save(named, stream)
    return stream.getvalue()


whole_st = (root / "saved/model.safetensors").read_bytes()
whole_pt = saved_as_pt()
told = {}
for damage, (label, change) in DAMAGES.items():
    st = try_loading(safetensors.torch.load, change(whole_st))
    pt = try_loading(load_pt, change(whole_pt))
    pt["crc"] = crc_complains(change(whole_pt))
    told[f"st_{damage}"] = st
    told[f"pt_{damage}"] = pt
    for form, row in (("safetensors", st), (".pt", pt)):
        said = row["error"] or f"im lặng, {row['wrong']} tensor sai"
        if "crc" in row:
            said += "; CRC báo hỏng" if row["crc"] else "; CRC im"
        print(f"{form:<12}{label:<28}{said}")

# %% Tệp ghi không kèm CRC
print("\n== Tệp ghi không kèm CRC ==")
torch.serialization.set_crc32_options(False)
without_crc = saved_as_pt()
torch.serialization.set_crc32_options(True)
row = try_loading(load_pt, without_crc)
row["crc"] = crc_complains(without_crc)
told["no_crc"] = row
print(f"torch.load: {row['wrong']} tensor sai; testzip báo hỏng: {'có' if row['crc'] else 'không'}")

# %% Bit nào lật
print("\n== Bit nào lật ==")
random.seed(0)
sizes = {name: tensor.numel() for name, tensor in named.items()}


def gap_after_flip(bit):
    """δ sau khi lật bit đó của một tham số bất kỳ; tensor lớn thì dễ trúng hơn."""
    name = random.choices(list(sizes), list(sizes.values()))[0]
    damaged = named[name].clone()
    integers = damaged.view(-1).view(torch.int32)  # cùng vùng nhớ, đọc như số nguyên 32 bit
    mask = -(2**31) if bit == 31 else 1 << bit  # bit dấu của số nguyên có dấu
    integers[random.randrange(len(integers))] ^= mask
    return (answer({**named, name: damaged}) - right).abs().max().item()


def share_missed(gaps):
    """Phần mà phép so «δ > 1e-5» không thấy."""
    return sum(gap <= 1e-5 for gap in gaps) / len(gaps)


gaps = {}
all_gaps = []
for kind, bits in BITS.items():
    gaps[kind] = []
    for bit in bits:
        for _ in range(EACH):
            gaps[kind].append(gap_after_flip(bit))
    all_gaps += gaps[kind]
missed = {}
for kind, found in gaps.items():
    missed[kind] = share_missed(found)
    print(f"{NAMES[kind]:<20}{len(found):>5} lần, lọt «δ > 1e-5» {missed[kind]:.1%}")
missed["all"] = share_missed(all_gaps)
print(f"{'cả thảy':<20}{len(all_gaps):>5} lần, lọt {missed['all']:.1%}")

# %% Sai số theo kiểu số
print("\n== Sai số theo kiểu số ==")
kinds = {}
print("cùng trọng số, hai cách tính chú ý (sdpa, eager):")
for dtype in (torch.float32, torch.bfloat16):
    logits = []
    for way in ("sdpa", "eager"):
        options = {"attn_implementation": way, "dtype": dtype}
        loaded = GPT2LMHeadModel.from_pretrained(root / "saved", **options)
        logits.append(loaded(QUESTION).logits.float())
    sdpa, eager = logits
    kind = str(dtype).removeprefix("torch.")
    kinds[kind] = {
        "gap": (sdpa - eager).abs().max().item(),
        "relative": ((sdpa - eager).norm() / eager.norm()).item(),
        "allclose": torch.allclose(sdpa, eager, rtol=1.3e-6, atol=1e-5),
        "order": torch.equal(sdpa.argmax(-1), eager.argmax(-1)),
    }
    print("{:<9} δ {gap:.1e}, lệch tương đối {relative:.1e}".format(kind, **kinds[kind]))

# %% Bẫy của phép so
print("\n== Bẫy của phép so ==")
nan = torch.tensor([float("nan")])
zero = torch.tensor([0.0])
one = torch.ones(1)
PAIRS = {  # nhãn, hai tensor, chúng có cùng bit không
    "dtype": ("1 (float32) và 1 (float16)", one, one.half(), False),
    "sign": ("0.0 và -0.0", zero, -zero, False),
    "nan": ("NaN và chính nó", nan, nan.clone(), True),
}
equal = {}
same = {}
print(f"{'':<28}{'cùng bit':>9}{'torch.equal':>13}{'same_bits':>11}")
for key, (label, first, second, truth) in PAIRS.items():
    equal[key] = torch.equal(first, second)
    same[key] = same_bits(first, second)
    print(f"{label:<28}{truth!s:>9}{equal[key]!s:>13}{same[key]!s:>11}")

gap = (right * nan - right).abs().max().item()
wrong_question = gap > 1e-5
right_question = not gap <= 1e-5
close = torch.allclose(right * nan, right)
print(f"logits toàn NaN: δ > 1e-5 là {wrong_question}", end="; ")
print(f"not δ <= 1e-5 là {right_question}; allclose là {close}")

# %% Mất một tensor
print("\n== Mất một tensor ==")
still_equal = {}
for home, label in (("fresh", "mới dựng"), ("saved", "đã thêm nhiễu")):
    path = root / home / "model.safetensors"
    before = safetensors.torch.load(path.read_bytes())
    raw = path.read_bytes().replace(b"ln_f.bias", b"ln_f.bi_s")
    path.unlink()  # tệp mới, không ghi đè: mô hình đã tải còn ánh xạ tệp cũ
    path.write_bytes(raw)
    loaded, info = GPT2LMHeadModel.from_pretrained(root / home, output_loading_info=True)
    missing = ", ".join(info["missing_keys"])
    pairs = [(before[name], tensor) for name, tensor in loaded.named_parameters()]
    still_equal[home] = all(same_bits(old, new) for old, new in pairs)
    said = "mọi tensor vẫn đúng từng bit" if still_equal[home] else "có tensor KHÔNG còn đúng"
    print(f"{label}: báo cáo thiếu {missing}; {said}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


silent = sorted(way for way in told if not told[way]["error"] and way != "no_crc")
expected = "pt_append pt_bit pt_hole pt_names st_bit st_hole st_names st_zero"
wrong = [way for way in silent if told[way]["wrong"]]
report("silent", silent == expected.split(), f"{len(silent)} trong 14 chỗ hỏng tải được êm")
truths = {key: truth for key, (_, _, _, truth) in PAIRS.items()}
report("traps", same == truths, "so từng bit đúng cả ba cặp")
report("equal", equal != truths, "torch.equal sai ít nhất một cặp")
report("nan", right_question and not wrong_question, "hỏi ngược lại thì thấy NaN")
report("missing", still_equal == {"fresh": True, "saved": False}, "mất tensor: mới dựng thì lọt")
lossy = kinds["float32"]["allclose"] and not kinds["bfloat16"]["allclose"]
report("dtype", lossy, "ngưỡng của float32 báo nhầm bfloat16")
report("low", missed["low"] > 0.5, "δ > 1e-5 bỏ sót quá nửa các bit định trị thấp")

# %% Kết quả
unread = (TINY["n_positions"] - QUESTION.numel()) * TINY["n_embd"]
results = {
    "exact": {
        "checks": checks,
        "told": told,
        "silent": len(silent),
        "damages": 2 * len(DAMAGES),
        "wrong": len(wrong),
        "still_equal": still_equal,
        "flips": len(all_gaps),
        "each": EACH,
        "equal": equal,
        "allclose_nan": close,
        "parameters": sum(sizes.values()),
        "unread": unread,  # số của những vị trí mà câu thử không tới
        "order": {kind: row["order"] for kind, row in kinds.items()},
    },
    "approx": {
        "missed": {kind: {"value": share, "abs": 0.03} for kind, share in missed.items()},
        "float32": {"value": kinds["float32"]["gap"], "rel": 3},
        "bfloat16": {"value": kinds["bfloat16"]["gap"], "rel": 1},
        "relative": {"value": kinds["bfloat16"]["relative"], "rel": 1},
    },
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có chỗ hỏng mà phép so này không thấy.")

# %% Vẽ


def power(gap):
    """Luỹ thừa mười của δ, từ -9 tới 3; -10 nghĩa là δ = 0, 4 nghĩa là NaN."""
    if math.isnan(gap):
        return 4
    if gap == 0:
        return -10
    return math.floor(max(-9, min(3, math.log10(gap))))


figure, panels = plt.subplots(2, 2, figsize=(5.2, 4), sharex=True, sharey=True)
for axes, (kind, found) in zip(panels.flat, gaps.items(), strict=True):
    powers = [power(gap) for gap in found]
    for place in range(-10, 5):
        share = powers.count(place) / len(powers)
        colour = "C1" if place < -5 else "C0"
        axes.bar(place, 100 * share, color=colour, width=0.85)
    axes.axvline(-5.5, color="C2", linestyle="--", linewidth=1)
    axes.set_title(NAMES[kind], fontsize=11)
places = [-10, -5, 0, 4]
panels[1][0].set_xticks(places, ["0", "10⁻⁵", "1", "NaN"])
figure.supxlabel("δ (thang logarit)", fontsize=11)
figure.supylabel("phần trăm số lần lật", fontsize=11)
figure.savefig("silent_damage.svg")
