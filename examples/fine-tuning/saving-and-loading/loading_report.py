"""Tám lỗi của một thư mục mô hình và năm phép kiểm tra: báo cáo tải chỉ thấy một lỗi.

    python loading_report.py    # mô hình tí hon, không cần mạng

Tốn (cỡ mặc định): không quá 90 giây, 3 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: save_and_check.py ở cạnh; pip install torch transformers matplotlib
"""

# %% Chuẩn bị
import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from save_and_check import tensors_of
from transformers import GPT2Config, GPT2LMHeadModel, logging

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
IDS = torch.arange(0, 512, 32)[None]
TOLERANCE = 1e-4  # của logit lớn nhất, như trong save_and_check.py

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_grad_enabled(False)
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)

# %% Mô hình có buffer không lưu


class Scaled(GPT2LMHeadModel):
    """GPT-2 có thêm một buffer nhân vào logits. persistent=False: nó không nằm trong tệp."""

    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("scale", torch.linspace(1, 2, config.vocab_size), persistent=False)
        self.post_init()

    def forward(self, *inputs, **options):
        output = super().forward(*inputs, **options)
        output.logits = output.logits * self.scale
        return output


class Rebuilt(Scaled):
    """Bản chữa: from_pretrained gọi _init_weights cho những gì không có trong tệp."""

    def _init_weights(self, module):
        super()._init_weights(module)
        if module is self:
            module.scale.copy_(torch.linspace(1, 2, self.config.vocab_size))


# %% Lưu
torch.manual_seed(0)
model = Rebuilt(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)).eval()
for parameter in model.parameters():  # không có nhiễu thì tensor toàn 0 mất đi cũng không ai thấy
    parameter.add_(torch.randn_like(parameter), alpha=0.02)
folder = root / "good"
model.save_pretrained(folder)

# %% Tám lỗi


def edit_config(folder, **values):
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(config | values), encoding="utf-8")


def leave(folder):
    """Không đổi tệp nào: lỗi nằm ở lớp của mô hình."""


def rename_tensor(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b"ln_f.bias", b"ln_f.bi_s"))


def flip_lowest_bit(folder):
    file = folder / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-4] ^= 1
    file.write_bytes(raw)


FAULTS = {  # tên: (lỗi, hàm phá, tham số của nó)
    "renamed": ("đổi tên một tensor", rename_tensor, {}),
    "bit": ("lật một bit", flip_lowest_bit, {}),
    "shape": ("sửa cỡ từ vựng", edit_config, {"vocab_size": 600}),
    "activation": ("sửa hàm kích hoạt", edit_config, {"activation_function": "relu"}),
    "heads": ("sửa số đầu chú ý", edit_config, {"n_head": 1}),
    "dtype": ("sửa kiểu số", edit_config, {"dtype": "bfloat16"}),
    "dropout": ("sửa dropout", edit_config, {"resid_pdrop": 0.5}),
    "buffer": ("lớp không dựng lại buffer", leave, {}),
}

# %% Năm phép kiểm tra
CHECKS = {
    "error": "ngoại lệ",
    "report": "báo cáo tải",
    "weights": "từng bit",
    "logits": "logits",
    "files": "SHA-256",
}
messages = []  # lời báo của các ngoại lệ
saved_tensors = tensors_of(model, {})
saved_logits = model(IDS).logits


def file_sums(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def close(logits):
    allowed = TOLERANCE * saved_logits.abs().max().item()
    return torch.allclose(logits.float(), saved_logits, rtol=0, atol=allowed)


def which_checks_see(folder, kind):
    """Tải thư mục bằng lớp `kind`; phép kiểm tra nào thấy khác lúc lưu?"""
    seen = dict.fromkeys(CHECKS, False)
    seen["files"] = file_sums(folder) != file_sums(root / "good")
    try:
        loaded, report = kind.from_pretrained(folder, output_loading_info=True)
    except RuntimeError as error:
        messages.append(str(error))
        seen["error"] = True
        return seen
    seen["report"] = any(report.values())
    seen["weights"] = tensors_of(loaded, {}) != saved_tensors
    seen["logits"] = not close(loaded(IDS).logits)
    return seen


# %% Phép kiểm tra nào thấy
print("== Phép kiểm tra nào thấy ==")
print(f"{'':<27} ngoại lệ  báo cáo tải  từng bit  logits  SHA-256")
seen = {}
for fault, (title, damage, values) in FAULTS.items():
    broken = root / fault
    shutil.copytree(folder, broken)
    damage(broken, **values)
    kind = Scaled if fault == "buffer" else Rebuilt
    seen[fault] = which_checks_see(broken, kind)
    marks = ["thấy" if found else "-" for found in seen[fault].values()]
    print(f"{title:<27} {marks[0]:<9} {marks[1]:<12} {marks[2]:<9} {marks[3]:<7} {marks[4]}")
none = which_checks_see(folder, Rebuilt)
print(f"ngoại lệ: {messages[0]}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


alone = {}
for check in CHECKS:
    alone[check] = [fault for fault in FAULTS if seen[fault][check]]
missed = [fault for fault in FAULTS if not seen[fault]["error"] and not seen[fault]["report"]]
both = {*alone["files"], *alone["logits"]}
report("none", not any(none.values()), "thư mục lành: không phép kiểm tra nào báo nhầm")
report("error", alone["error"] == ["shape"], "chỉ sai kích thước mới có ngoại lệ")
report("report", alone["report"] == ["renamed"], "báo cáo tải chỉ thấy tensor sai tên")
report("missed", len(missed) == 6, f"chỉ tin hai phép đó: lọt {len(missed)} lỗi")
by = [check for check in CHECKS if seen["buffer"][check]]
report("buffer", by == ["logits"], "buffer không được dựng lại: chỉ logits thấy")
report("both", both == set(FAULTS), "SHA-256 cùng với logits: thấy cả tám")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "faults": len(FAULTS),
        "missed": len(missed),
        "alone": {check: len(found) for check, found in alone.items()},
        "seen": seen,
        "message": messages[0],
    }
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có lỗi mà các phép kiểm tra không thấy như đã nói.")

# %% Vẽ
figure, axes = plt.subplots(figsize=(5.2, 3.6))
for row, fault in enumerate(FAULTS):
    for column, check in enumerate(CHECKS):
        if seen[fault][check]:
            axes.plot(column, row, "o", color="C0", markersize=9)
        else:
            axes.plot(column, row, ".", color="C1", markersize=3)
axes.set_xticks(range(len(CHECKS)), CHECKS.values(), fontsize=9)
axes.set_yticks(range(len(FAULTS)), [title for title, _, _ in FAULTS.values()])
axes.set_xlim(-0.5, len(CHECKS) - 0.5)
axes.invert_yaxis()
axes.xaxis.tick_top()
axes.tick_params(length=0)
for side in axes.spines.values():
    side.set_visible(False)
figure.savefig("loading_report.svg")
