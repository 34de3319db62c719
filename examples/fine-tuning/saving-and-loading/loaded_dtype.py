"""Tải xong mô hình có kiểu số gì, giữ được bit nào, và bước huấn luyện nào mất trong bfloat16.

    python loaded_dtype.py                 # mô hình tí hon, không cần mạng
    python loaded_dtype.py --break trust   # tin rằng tải xong là float32: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 30 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
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

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("trust",), help="quên nói dtype khi tải để huấn luyện")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
FILE, root = "model.safetensors", Path((temporary := tempfile.TemporaryDirectory()).name)

# %% Dựng
torch.manual_seed(0)
config = GPT2Config(n_layer=2, n_head=2, n_embd=64, vocab_size=512, n_positions=128, bos_token_id=0, eos_token_id=0)
model = GPT2LMHeadModel(config).eval().requires_grad_(False)
for parameter in model.parameters():  # tensor toàn 0 hay toàn 1 thì làm tròn không mất gì. Nên cộng nhiễu.
    parameter.add_(torch.randn_like(parameter), alpha=0.02)

# %% Lưu
model.save_pretrained(root / "float32")
copy.deepcopy(model).to(torch.bfloat16).save_pretrained(root / "bfloat16")  # bản sao: .to() đổi ngay trên mô hình
copy.deepcopy(model).to(torch.float16).save_pretrained(root / "float16")
model.save_pretrained(root / "edited")  # trọng số float32, cấu hình nói bfloat16
path = root / "edited" / "config.json"
path.write_text(path.read_text(encoding="utf-8").replace('"float32"', '"bfloat16"'), encoding="utf-8")

# %% Bảy cách tải


def into_model(folder, assign):
    """Nạp state_dict của thư mục vào một mô hình float32 dựng sẵn."""
    fresh = GPT2LMHeadModel(config)
    fresh.load_state_dict(AutoModelForCausalLM.from_pretrained(folder).state_dict(), assign=assign)
    return fresh


load = AutoModelForCausalLM.from_pretrained
WAYS = {  # tên: (thư mục, kiểu phải có sau khi tải, cách tải)
    "default": ("bfloat16", "bfloat16", "load(folder)"),
    "dtype": ("bfloat16", "float32", "load(folder, dtype=torch.float32)"),
    "torch_dtype": ("bfloat16", "float32", "load(folder, torch_dtype=torch.float32)"),
    "edited": ("edited", "bfloat16", "load(folder)"),
    "dtype_edited": ("edited", "float32", "load(folder, dtype=torch.float32)"),
    "state_dict": ("float16", "float32", "into_model(folder, assign=False)"),
    "assign": ("float16", "float16", "into_model(folder, assign=True)"),
}

# %% Kiểu số sau khi tải
print("== Kiểu số sau khi tải ==")
kinds, kept = {}, {}
for way, (name, _, code) in WAYS.items():
    folder = root / name
    loaded = eval(code)
    kinds[way] = str(loaded.dtype).removeprefix("torch.")
    state = loaded.state_dict()
    kept[way] = all(torch.equal(state[key].double(), t.double()) for key, t in load_file(folder / FILE).items())
    print(f"{name:<9} {code:<40} {kinds[way]:<9} {'giữ mọi giá trị trong tệp' if kept[way] else 'ĐÃ LÀM TRÒN'}")

# %% Một bước huấn luyện
print("\n== Một bước huấn luyện ==")
LR = 1e-5  # tốc độ học thường gặp khi tinh chỉnh


def stuck(model):
    """Tỉ lệ tham số không đổi chút nào sau một bước AdamW."""
    old, ids = [p.detach().clone() for p in model.parameters()], torch.arange(512).reshape(4, 128)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0)
    torch.nn.functional.cross_entropy(model(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    optimizer.step()
    same = sum((new == was).sum().item() for new, was in zip(model.parameters(), old, strict=True))
    return same / sum(p.numel() for p in old)


folder = root / "bfloat16"
share = {"default": stuck(load(folder)), "dtype": stuck(load(folder) if args.damage else eval(WAYS["dtype"][2]))}
for way, value in share.items():
    print(f"{WAYS[way][2]:<40} {value:.1%} tham số đứng yên")

# %% Đối chứng
print("\n== Đối chứng ==")
checks = {
    "kinds": ("cả bảy cách: kiểu số như đã đoán", all(kinds[way] == kind for way, (_, kind, _) in WAYS.items())),
    "edited": ("sửa dtype trong cấu hình: float32 bị làm tròn thành bfloat16", not kept["edited"]),
    "kept": ("sáu cách còn lại: không giá trị nào đổi", all(kept[way] for way in WAYS if way != "edited")),
    "lost": ("tải bfloat16 mà không nói gì: quá nửa tham số đứng yên", share["default"] > 0.5),
    "moved": ("tải với dtype=torch.float32: gần như tham số nào cũng nhúc nhích", share["dtype"] < 0.1),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    approx = {"stuck": {way: {"value": value, "abs": 0.02} for way, value in share.items()}}
    exact = {"checks": verdict, "kinds": kinds, "kept": kept}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: mô hình tải về không có kiểu số mà bước huấn luyện cần.\n")
print("ĐÃ CHỨNG MINH: kiểu số sau khi tải do thư mục quyết định, trừ khi bạn nói rõ dtype.")
