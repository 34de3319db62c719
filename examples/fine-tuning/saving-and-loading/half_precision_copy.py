"""Lưu một bản bfloat16 của mô hình float32: tệp còn một nửa, và sai số là bao nhiêu.

    python half_precision_copy.py            # cỡ GPT-2 small, trọng số ngẫu nhiên, không cần mạng
    python half_precision_copy.py gpt2       # mô hình của bạn: thư mục, hay tên trên Hub
    QUICK=1 python half_precision_copy.py    # mô hình tí hon, để thử nhanh

Tốn (cỡ mặc định): không quá 300 giây, 5 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers
"""

# %% Chuẩn bị
import copy
import os
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, logging

QUICK = os.environ.get("QUICK") == "1"
SIZE = {}  # GPT2Config() để nguyên là GPT-2 small
if QUICK:
    SIZE = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
IDS = torch.arange(0, 512, 32)[None]

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_grad_enabled(False)
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)

# %% Dựng
print("== Dựng ==")
torch.manual_seed(0)
if len(sys.argv) > 1 and "ipykernel" not in sys.modules:
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
else:
    model = GPT2LMHeadModel(GPT2Config(**SIZE, bos_token_id=0, eos_token_id=0)).eval()
    for parameter in model.parameters():  # tensor toàn 0 hay 1 thì làm tròn không mất gì
        parameter.add_(torch.randn_like(parameter), alpha=0.02)
print(f"{model.num_parameters()} tham số {model.dtype}")

# %% Lưu
half = copy.deepcopy(model).to(torch.bfloat16)  # bản sao: .to() đổi ngay trên mô hình
model.save_pretrained(root / "float32")
half.save_pretrained(root / "bfloat16")

# %% Tải lại
loaded = AutoModelForCausalLM.from_pretrained(root / "bfloat16")
widened = AutoModelForCausalLM.from_pretrained(root / "bfloat16", dtype=torch.float32)

# %% Sai số
print("\n== Sai số ==")


def size_of(folder):
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def rounding_of(model, rounded):
    """ε, chuẩn của θ, và có số nào lệch quá 1/256 của chính nó không.

    Từng tensor một: cả mô hình ở float64 thì tốn gấp bốn bộ nhớ.
    """
    squares = 0.0
    norm_squares = 0.0
    too_far = False
    for a, b in zip(model.parameters(), rounded.parameters(), strict=True):
        gap = (a.double() - b.double()).abs()
        squares += gap.square().sum().item()
        norm_squares += a.double().square().sum().item()
        # bfloat16 giữ 8 chữ số nhị phân; số hạng cuối dành cho những số nhỏ nhất.
        too_far = too_far or (gap > a.abs().double() / 256 + 2**-133).any().item()
    return squares**0.5, norm_squares**0.5, too_far


def same_values(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a.float(), b.float()) for a, b in pairs)


def logits_of(model):
    return model(IDS).logits[0, -1].double()


files = {"float32": size_of(root / "float32"), "bfloat16": size_of(root / "bfloat16")}
epsilon, norm, too_far = rounding_of(model, loaded)
delta_bfloat16 = (logits_of(loaded) - logits_of(model)).abs().max().item()
delta_float32 = (logits_of(widened) - logits_of(model)).abs().max().item()
for name, size in files.items():
    print(f"{size:>11} byte  {name}")
print(f"ε = {epsilon:.4g}, tức {epsilon / norm:.2e} lần chuẩn của θ")
print(f"δ = {delta_bfloat16:.2g} khi tính bằng bfloat16")
print(f"δ = {delta_float32:.2g} khi tính bằng float32, trọng số đã tròn")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


same = same_values(half, loaded) and loaded.dtype == torch.bfloat16
report("weights", same, "bản bfloat16 tải lại bằng chính nó lúc lưu")
report("rounding", not too_far, "mỗi số lệch không quá 1/256 của chính nó")
report("lossy", epsilon > 0, "ε lớn hơn 0: làm tròn là mất, dù lưu không mất")
same = same_values(widened, loaded) and widened.dtype == torch.float32
report("widened", same, "tải lại thành float32: những chữ số đã mất không trở về")

# %% Kết quả
results = {
    "exact": {"checks": checks, "files": files, "parameters": model.num_parameters()},
    "approx": {
        "epsilon": {"value": epsilon, "rel": 0.02},
        "relative": {"value": epsilon / norm, "rel": 0.02},
        "delta_bfloat16": {"value": delta_bfloat16, "rel": 0.5},
        "delta_float32": {"value": delta_float32, "rel": 0.5},
    },
}
if not all(checks.values()):
    sys.exit("TRƯỢT: bản bfloat16 không tải lại được nguyên vẹn.")
