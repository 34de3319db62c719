"""Những cái bẫy khi lưu và tải state_dict theo cách thường: cái nào có lỗi, cái nào im lặng.

    python state_dict_pitfalls.py            # mô hình tí hon, không cần mạng, không cần GPU
    QUICK=1 python state_dict_pitfalls.py    # như trên: vốn đã nhanh

Tốn (cỡ mặc định): không quá 40 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch; tệp state_dict_file.py nằm cạnh tệp này
"""

# %% Chuẩn bị
import copy
import os
import sys
import tempfile
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # máy có GPU cũng chạy như máy không có

import torch
from torch import nn

from state_dict_file import load, strip_prefixes

temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
folder = Path(temporary.name)
checks = {}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(16, 64)
        self.head = nn.Linear(64, 16)

    def forward(self, x):
        return self.head(self.body(x).tanh())


torch.manual_seed(0)
original = Net()
good = copy.deepcopy(original.state_dict())


def right_tensors(model):
    """Bao nhiêu tensor của mô hình đúng là tensor đã lưu."""
    return sum(torch.equal(tensor, good[name]) for name, tensor in model.state_dict().items())


def attempt(name, state, strict):
    """Tải vào một mô hình mới; trả về số tensor đúng và thông báo lỗi, rỗng khi không có."""
    model = Net()
    error = ""
    try:
        model.load_state_dict(state, strict=strict)
    except RuntimeError as caught:
        error = str(caught).splitlines()[1].strip()
    right = right_tensors(model)
    print(f"{name:<24} đúng {right}/{len(good)}; lỗi: {error[:50] or 'không'}")
    return {"right": right, "error": error}


# %% Tiền tố
print("== Tiền tố ==")
wrapped = nn.DataParallel(original).state_dict()  # DistributedDataParallel cũng thế
compiled = torch.compile(original).state_dict()
print(f"tên đầu tiên: {next(iter(wrapped))}, {next(iter(compiled))}")
prefix = {
    "strict": attempt("module., strict=True", wrapped, strict=True),
    "wrapped": attempt("module., strict=False", wrapped, strict=False),
    "compiled": attempt("_orig_mod., strict=False", compiled, strict=False),
    "stripped": attempt("strip_prefixes", strip_prefixes(wrapped), strict=True),
    "both": attempt("strip_prefixes", strip_prefixes(compiled), strict=True),
}
checks["prefix"] = [way["right"] for way in prefix.values()] == [0, 0, 0, 4, 4]

# %% Hàm của PyTorch để bỏ tiền tố
print("\n== Hàm của PyTorch để bỏ tiền tố ==")
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

twice = torch.compile(nn.DataParallel(original)).state_dict()  # _orig_mod.module.body.weight
consume_prefix_in_state_dict_if_present(twice, "module.")
consumed = attempt("consume_prefix", twice, strict=False)
checks["consumed"] = consumed["right"] == 0 and not consumed["error"]

# %% Gõ sai tên
print("\n== Gõ sai tên ==")
misspelt = dict(good)
misspelt["head.bais"] = misspelt.pop("head.bias")
wrong_shape = dict(good)
wrong_shape["head.bias"] = torch.zeros(9)
typo = attempt("head.bais, strict=False", misspelt, strict=False)
shape = attempt("sai cỡ, strict=False", wrong_shape, strict=False)
checks["typo"] = typo["right"] == 3 and not typo["error"]
checks["shape"] = "size mismatch" in shape["error"]

# %% Kiểu số
print("\n== Kiểu số ==")
model = Net()
model.load_state_dict(Net().half().state_dict())  # tệp float16, mô hình float32
copied = str(model.head.weight.dtype)
half_file = folder / "half.pt"
torch.save(original.half().state_dict(), half_file)
original.float()
by_recipe = str(load(Net, half_file).head.weight.dtype)
print(f"load_state_dict: {copied}; load của state_dict_file: {by_recipe}")
checks["dtype"] = copied == "torch.float32" and by_recipe == "torch.float16"

# %% Đóng băng
print("\n== Đóng băng ==")


def sgd_of_trainable(model):
    """Optimizer chỉ nhận những tham số còn học được, như người ta thường viết khi tinh chỉnh."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.SGD(trainable, lr=0.1)


original.body.requires_grad_(False)
torch.save(original.state_dict(), folder / "frozen.pt")
saved_optimizer = sgd_of_trainable(original).state_dict()
model = Net()
model.load_state_dict(torch.load(folder / "frozen.pt", map_location="cpu", weights_only=True))
frozen = sum(not parameter.requires_grad for parameter in model.parameters())
print(f"đóng băng 2 tham số lúc lưu; sau khi tải: {frozen}")
optimizer_error = ""
try:
    sgd_of_trainable(model).load_state_dict(saved_optimizer)
except ValueError as error:
    optimizer_error = str(error)
print(optimizer_error)
checks["frozen"] = frozen == 0 and "doesn't match the size" in optimizer_error

# %% Chưa tắt dropout
print("\n== Chưa tắt dropout ==")
noisy = nn.Sequential(nn.Linear(16, 64), nn.Dropout(0.1))
noisy.load_state_dict(noisy.state_dict())
x = torch.ones(4, 16)
training_gap = (noisy(x) - noisy(x)).abs().max().item()
noisy.eval()
eval_gap = (noisy(x) - noisy(x)).abs().max().item()
print(f"tính hai lần, lệch {training_gap:.2f}; sau eval(): {eval_gap}")
checks["dropout"] = training_gap > 0 and eval_gap == 0

# %% Lát cắt
print("\n== Lát cắt ==")
table = torch.randn(10_000, 100)
rows = table[:10]  # một khung nhìn: vẫn dùng chung vùng nhớ với cả bảng
torch.save({"rows": rows}, folder / "slice.pt")
torch.save({"rows": rows.clone()}, folder / "clone.pt")
sizes = {
    "slice": (folder / "slice.pt").stat().st_size,
    "clone": (folder / "clone.pt").stat().st_size,
}
print(f"cần {rows.nbytes} byte; lưu lát cắt: {sizes['slice']}; lưu clone(): {sizes['clone']}")
loaded = torch.load(folder / "slice.pt", weights_only=True)["rows"]
leaked = loaded.untyped_storage().nbytes()
print(f"sau tensor tải lại vẫn còn {leaked} byte, cả những dòng không định gửi")
checks["slice"] = leaked == table.nbytes and sizes["clone"] < rows.nbytes + 4096

# %% Tệp ghi trên GPU
print("\n== Tệp ghi trên GPU ==")


def gpu_label(storage):
    return "cuda:0"  # nhãn mà máy có GPU ghi vào tệp; ghi nó ở đây thì không cần GPU để thử


true_label = torch.serialization.location_tag
torch.serialization.location_tag = gpu_label
torch.save(good, folder / "gpu.pt")
torch.serialization.location_tag = true_label
message = ""
try:
    torch.load(folder / "gpu.pt", weights_only=True)
except RuntimeError as error:
    message = str(error).partition(". ")[0]
print(message)
on_cpu = torch.load(folder / "gpu.pt", map_location="cpu", weights_only=True)
mapped = attempt('map_location="cpu"', on_cpu, strict=True)
checks["gpu"] = "torch.cuda.is_available() is False" in message and mapped["right"] == 4

# %% Đối chiếu
print("\n== Đối chiếu ==")
TEXTS = {
    "prefix": "thừa tiền tố: strict=False không tải tensor nào; bỏ tiền tố thì tải đủ",
    "consumed": "consume_prefix…: compile bọc ngoài DDP thì không bỏ được gì, không có lỗi",
    "typo": "sai một chữ: strict=False không báo lỗi",
    "shape": "sai kích thước: strict=False vẫn báo lỗi",
    "dtype": "tệp float16: load_state_dict đổi ra float32, load giữ float16",
    "frozen": "requires_grad không được lưu",
    "dropout": "quên eval(): hai lần tính khác nhau",
    "slice": "lát cắt: tệp chứa cả bảng; clone(): chỉ chứa lát cắt",
    "gpu": 'nhãn cuda, máy không GPU: có lỗi; map_location="cpu" thì tải đủ',
}
for name, text in TEXTS.items():
    verdict = "ĐẠT" if checks[name] else "TRƯỢT"
    print(f"{verdict:<5}  {text}")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "names": len(good),
        "prefix": {name: way["right"] for name, way in prefix.items()},
        "typo": typo["right"],
        "shape": shape["right"],
        "sizes": sizes,
        "needed": rows.nbytes,
        "leaked": leaked,
        "dtype": {"copied": copied, "recipe": by_recipe},
        "frozen": frozen,
    },
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có cái bẫy không còn như đã tả, hay cách sửa không sửa được.")
