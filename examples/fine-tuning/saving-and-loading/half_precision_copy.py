"""Lưu một bản bfloat16 của mô hình float32: tệp còn một nửa, và sai số là bao nhiêu.

    python half_precision_copy.py                   # cỡ GPT-2 small, trọng số ngẫu nhiên, không cần mạng
    python half_precision_copy.py --size tiny       # mô hình tí hon, để thử nhanh
    python half_precision_copy.py --model THU_MUC   # mô hình float32 của bạn
    python half_precision_copy.py --break upcast    # tải lại thành float32: các số đã tròn không trở về

Tốn (cỡ mặc định): không quá 60 giây, 4 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers safetensors
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import copy
import json
import sys
import tempfile
from pathlib import Path

BREAK = {"upcast": {"dtype": "float32"}}  # tham số thêm cho from_pretrained
# GPT2Config() để nguyên là GPT-2 small
SIZES = {"gpt2": {}, "tiny": {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--model", help="tên trên Hub hoặc thư mục (mặc định: GPT-2 trọng số ngẫu nhiên)")
parser.add_argument("--size", choices=SIZES, default="gpt2", help="cỡ của mô hình mặc định")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=BREAK, help="tải sai kiểu số, để xem đối chứng trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors\n")
if args.json and args.json.is_dir():
    parser.exit(2, f"--json {args.json} phải là một tệp.\n")
out = Path((temporary := tempfile.TemporaryDirectory()).name)

# %% Dựng
print("== Dựng ==")
torch.manual_seed(0)
try:
    if args.model:
        model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
    else:
        model = GPT2LMHeadModel(GPT2Config(**SIZES[args.size], bos_token_id=0, eos_token_id=0)).eval()
        with torch.no_grad():  # tensor toàn 0 hay toàn 1 thì làm tròn không mất gì. Nên cộng nhiễu.
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
except (OSError, ValueError) as error:
    parser.exit(2, f"Không tải được {args.model}: {str(error).splitlines()[0]}\n")
print(f"{model.num_parameters()} tham số {model.dtype}")

# %% Lưu
half = copy.deepcopy(model).to(torch.bfloat16)  # bản sao: .to() đổi ngay trên mô hình
model.save_pretrained(out / "float32")
half.save_pretrained(out / "bfloat16")

# %% Tải lại
loaded = AutoModelForCausalLM.from_pretrained(out / "bfloat16", **BREAK.get(args.damage, {}))

# %% Sai số
print("\n== Sai số ==")
sizes = {name: sum(f.stat().st_size for f in (out / name).glob("*.safetensors")) for name in ("float32", "bfloat16")}
squares, original_squares, within = 0.0, 0.0, True
for a, b in zip(model.parameters(), loaded.parameters(), strict=True):
    a, b = a.detach().double(), b.detach().double()  # từng tensor một: cả mô hình ở float64 thì tốn gấp bốn
    squares, original_squares = squares + (b - a).square().sum().item(), original_squares + a.square().sum().item()
    within &= ((b - a).abs() <= a.abs() * 2**-8 + 2**-133).all().item()  # bfloat16 giữ 8 chữ số nhị phân
epsilon, relative = squares**0.5, (squares / original_squares) ** 0.5
ids = torch.arange(0, 512, 32)[None]
with torch.no_grad():
    original = model(ids).logits[0, -1].double()
    delta = {"bfloat16": (loaded(ids).logits[0, -1].double() - original).abs().max().item()}
    exact_math = copy.deepcopy(loaded).float()  # trọng số đã tròn, nhưng tính bằng float32
    delta["float32"] = (exact_math(ids).logits[0, -1].double() - original).abs().max().item()
print(*(f"{size:>11} byte  {name}" for name, size in sizes.items()), sep="\n")
print(f"ε = {epsilon:.4g}, tức {relative:.2e} lần chuẩn của θ")
print(*(f"δ = {value:.2g} khi tính bằng {name}" for name, value in delta.items()), sep="\n")

# %% Đối chứng
print("\n== Đối chứng ==")
bits = list(zip(half.parameters(), loaded.parameters(), strict=True))
checks = {
    "dtype": (f"tải lại là {loaded.dtype}, không cần nói kiểu", loaded.dtype == torch.bfloat16),
    "weights": (
        "bản bfloat16 bằng nhau từng bit, lúc lưu và sau khi tải",
        all(a.dtype == b.dtype and torch.equal(a.view(torch.int16), b.view(torch.int16)) for a, b in bits),
    ),
    "rounding": ("mỗi số lệch không quá 1/256 của chính nó", within),
    "lossy": ("ε lớn hơn 0: đổi kiểu số là mất, dù lưu không mất", epsilon > 0),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    approx = {"epsilon": {"value": epsilon, "rel": 0.02}, "relative": {"value": relative, "rel": 0.02}}
    approx |= {f"delta_{name}": {"value": value, "rel": 0.5} for name, value in delta.items()}
    exact = {"checks": verdict, "files": sizes, "parameters": model.num_parameters()}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: cái tải lại không phải bản bfloat16 đã lưu.\n")
print("ĐÃ CHỨNG MINH: lưu và tải không mất gì; làm tròn thì mất, và mất chừng ấy.")
