"""Tám lỗi khi tải một thư mục mô hình, và phép kiểm nào thấy từng lỗi: báo cáo tải chỉ thấy một.

    python loading_report.py                   # mô hình tí hon, không cần mạng
    python loading_report.py --break report    # chỉ tin ngoại lệ và báo cáo tải: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 40 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import inspect
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
CHECKS = {"error": "ngoại lệ", "report": "báo cáo", "weights": "từng bit", "logits": "logits", "files": "SHA-256"}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("report",), help="bớt phép kiểm, để xem lỗi nào lọt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
root = Path((temporary := tempfile.TemporaryDirectory()).name)

# %% Mô hình có buffer không lưu


class Scaled(GPT2LMHeadModel):
    """GPT-2 có thêm một buffer nhân vào logits. persistent=False nghĩa là nó không nằm trong tệp."""

    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("scale", torch.linspace(1, 2, config.vocab_size), persistent=False)
        self.post_init()

    def forward(self, *inputs, **options):
        output = super().forward(*inputs, **options)
        output.logits = output.logits * self.scale
        return output


class Mended(Scaled):
    def _init_weights(self, module):  # from_pretrained gọi hàm này cho những gì không có trong tệp
        super()._init_weights(module)
        if module is self:
            module.scale.copy_(torch.linspace(1, 2, self.config.vocab_size))


# %% Cách hỏi


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def describe(model):
    """SHA-256 của từng tensor, kiểu số; logits của một câu cố định ở vị trí cuối."""
    tensors = {name: t.flatten().view(torch.uint8).numpy() for name, t in model.state_dict().items()}
    sums = [str(model.dtype), {name: hashlib.sha256(raw).hexdigest() for name, raw in tensors.items()}]
    return {"weights": sums, "logits": model(torch.arange(0, 512, 32)[None]).logits[0, -1].tolist()}


def load(folder, kind):
    try:
        model, report = kind.from_pretrained(folder, output_loading_info=True)
    except Exception as error:
        return {"error": type(error).__name__}
    return {"report": [key for key, found in report.items() if found], **describe(model)}


# %% Dựng và lưu
torch.manual_seed(0)
model = Scaled(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)).eval().requires_grad_(False)
for parameter in model.parameters():  # tensor toàn 0 hay toàn 1: mất rồi tạo lại vẫn "đúng"
    parameter.add_(torch.randn_like(parameter), alpha=0.02)
model.save_pretrained(root / "good")
saved = {"error": "", "report": [], "files": digests(root / "good"), **describe(model)}

# %% Tám lỗi


def config(**values):
    return "config.json", lambda raw: json.dumps({**json.loads(raw), **values}).encode() if values else raw


FAULTS = {  # tên: (lỗi, tệp và phép đổi); "buffer" không đổi tệp nào, chỉ dùng lớp chưa chữa
    "buffer": ("lớp không dựng lại buffer", config()),
    "none": ("không có lỗi", config()),
    "renamed": ("đổi tên một tensor", ("model.safetensors", lambda raw: raw.replace(b"ln_f.bias", b"ln_f.bi_s"))),
    "bit": ("lật một bit", ("model.safetensors", lambda raw: raw[:-4] + bytes([raw[-4] ^ 1]) + raw[-3:])),
    "shape": ("sửa cỡ từ vựng", config(vocab_size=600)),
    "activation": ("sửa hàm kích hoạt", config(activation_function="relu")),
    "heads": ("sửa số đầu chú ý", config(n_head=1)),
    "dtype": ("sửa kiểu số", config(dtype="bfloat16")),
    "dropout": ("sửa dropout", config(resid_pdrop=0.5)),
}
for name, (_, (file, change)) in FAULTS.items():
    path = shutil.copytree(root / "good", root / name) / file
    path.write_bytes(change(path.read_bytes()))

# %% Tiến trình mới
CHILD = f"""
import hashlib, json, os, sys, torch
from transformers import GPT2LMHeadModel
{"".join(map(inspect.getsource, (Scaled, Mended, describe, load)))}
for name in sys.argv[2:]:
    print(json.dumps([name, load(os.path.join(sys.argv[1], name), Scaled if name == "buffer" else Mended)]))
"""

# %% Phép kiểm nào thấy
print("== Phép kiểm nào thấy ==")
command = [sys.executable, "-X", "utf8", "-c", CHILD, str(root), *FAULTS]
done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
if done.returncode:
    parser.exit(1, f"TRƯỢT: tiến trình con chết. {done.stderr.strip()[-200:]}\n")
seen, notices = dict(map(json.loads, done.stdout.splitlines())), {}
print(f"{'':<26}{''.join(f'{title:>11}' for title in CHECKS.values())}")
for name in FAULTS:
    row = {**saved, **seen[name], "files": digests(root / name)}
    notices[name] = {check: row[check] != saved[check] for check in CHECKS}
    logits = torch.tensor(row["logits"]), torch.tensor(saved["logits"])
    notices[name]["logits"] = not torch.allclose(*logits, rtol=1.3e-6, atol=1e-5)
    marks = ["thấy" if notices[name][check] else "-" for check in CHECKS]
    print(f"{FAULTS[name][0]:<26}{''.join(f'{mark:>11}' for mark in marks)}")

# %% Đối chứng
print("\n== Đối chứng ==")
trusted = ["error", "report"] if args.damage else list(CHECKS)
faults = [name for name in FAULTS if name != "none"]
missed = [FAULTS[name][0] for name in faults if not any(notices[name][check] for check in trusted)]
alone = {check: [name for name in faults if notices[name][check]] for check in CHECKS}
checks = {
    "none": ("thư mục nguyên vẹn: không phép kiểm nào báo", not any(notices["none"].values())),
    "error": ("chỉ sai kích thước mới có ngoại lệ", alone["error"] == ["shape"]),
    "report": ("báo cáo tải chỉ thấy tensor sai tên", alone["report"] == ["renamed"]),
    "alone": ("không phép kiểm nào một mình thấy hết", max(map(len, alone.values())) < len(faults)),
    "all": (f"tin {', '.join(trusted)}: lọt {', '.join(missed) or 'không lỗi nào'}", not missed),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    counts = {"faults": len(faults), "missed": len(missed), "alone": {check: len(alone[check]) for check in CHECKS}}
    exact = {"checks": verdict, **counts, "notices": notices}
    args.json.write_text(json.dumps({"exact": exact}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: có lỗi mà những phép kiểm được tin không thấy.\n")
print("ĐÃ CHỨNG MINH: mỗi lỗi có ít nhất một phép kiểm thấy, và không phép nào thấy hết.")
