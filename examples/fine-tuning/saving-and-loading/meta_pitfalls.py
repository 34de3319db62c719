"""Những cái bẫy chỉ có khi tải không chép (meta, mmap, assign): cái nào có lỗi, cái nào im lặng.

    python meta_pitfalls.py            # mô hình tí hon, không cần mạng
    QUICK=1 python meta_pitfalls.py    # như trên: vốn đã nhanh

Tốn (cỡ mặc định): không quá 60 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch; tệp state_dict_file.py nằm cạnh tệp này
Chạy trên Linux hay WSL: chuyện ghi đè tệp đang ánh xạ được đo cho Linux.
"""

# %% Chuẩn bị
import shutil
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import nn

from state_dict_file import load, load_without_copy, save

temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
folder = Path(temporary.name)
checks = {}
x = torch.randn(4, 16, generator=torch.Generator().manual_seed(1))


class Net(nn.Module):
    """Một lớp và một ma trận cố định; `place` là chỗ giữ ma trận đó."""

    def __init__(self, place="saved"):
        super().__init__()
        self.body = nn.Linear(16, 16)
        flip = torch.eye(16).flip(0)
        if place == "attribute":
            self.flip = flip  # thuộc tính thường: không phải tham số, không phải buffer
        else:
            self.register_buffer("flip", flip, persistent=(place == "saved"))

    def forward(self, x):
        return self.body(x) @ self.flip


def build(config):
    return Net(**config)


def build_on_meta(place):
    with torch.device("meta"):
        return Net(place)


def load_by_hand(path, place):
    """Ba dòng thường gặp trên mạng, không có phép kiểm tra nào."""
    model = build_on_meta(place)
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state"]
    model.load_state_dict(state, assign=True)
    return model


torch.manual_seed(0)
files = {}
originals = {}
for place in ("saved", "unsaved", "attribute"):
    files[place] = folder / f"{place}.pt"
    originals[place] = Net(place)
    save(originals[place], files[place], {"place": place})


def complaint(function, *arguments):
    """Lời báo lỗi khi gọi hàm, rỗng khi không có lỗi."""
    try:
        function(*arguments)
    except (ValueError, RuntimeError, NotImplementedError) as error:
        return str(error).splitlines()[0].replace(f"{folder}/", "")
    return ""


# %% Quên assign=True
print("== Quên assign=True ==")
model = build_on_meta("saved")
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    answer = model.load_state_dict(originals["saved"].state_dict())
still_meta = all(tensor.is_meta for tensor in model.state_dict().values())
print(f"trả về {answer}; mọi tensor còn trên meta: {still_meta}; {len(heard)} cảnh báo")
moving = complaint(model.to, "cpu")
print("model.to('cpu'):", moving)
checks["no_assign"] = still_meta and str(answer) == "<All keys matched successfully>"
checks["to_cpu"] = moving.startswith("Cannot copy out of meta tensor")

# %% Tensor không nằm trong tệp
print("\n== Tensor không nằm trong tệp ==")
hollow = {}
for place in ("unsaved", "attribute"):
    by_hand = load_by_hand(files[place], place)
    output = by_hand(x)
    right = originals[place](x)
    guarded = [name for name, buffer in by_hand.named_buffers() if buffer.is_meta]
    hollow[place] = {
        "device": str(output.device),
        "equal": torch.equal(output, right),
        "seen_by_named_buffers": bool(guarded),
        "plain": torch.allclose(load(build, files[place])(x), right),
    }
    print(f"{place}: đầu ra ở {output.device}, đúng: {hollow[place]['equal']}; ", end="")
    print(f"named_buffers thấy: {guarded}")
    print("  load_without_copy:", complaint(load_without_copy, build, files[place]))
    refused = complaint(load_without_copy, build, files[place])
    checks[place] = "còn rỗng: flip" in refused and not hollow[place]["equal"]

# %% Lớp cần số thật lúc dựng
print("\n== Lớp cần số thật lúc dựng ==")


class DropPath(nn.Module):
    """Mỗi lớp có một xác suất bỏ, tính bằng tensor rồi đổi ra số Python."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(16, 16)
        self.rates = [rate.item() for rate in torch.linspace(0, 0.1, 4)]


def drop_path(config):
    return DropPath()


save(DropPath(), folder / "drop_path.pt", {})
needs_numbers = complaint(load_without_copy, drop_path, folder / "drop_path.pt")
print(needs_numbers)
checks["needs_numbers"] = "meta tensors" in needs_numbers

# %% Optimizer mồ côi
print("\n== Optimizer mồ côi ==")


def one_step(optimizer_first):
    """Tạo optimizer trước hay sau khi tải; một bước huấn luyện có đổi trọng số không?"""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    state = torch.load(files["saved"], weights_only=True)["state"]
    model.load_state_dict(state, assign=True)
    if not optimizer_first:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model.body.weight.detach().clone()
    model(x).square().mean().backward()
    optimizer.step()
    return not torch.equal(model.body.weight, before)


moved = {"before": one_step(True), "after": one_step(False)}
print(f"optimizer tạo trước khi tải: trọng số đổi: {moved['before']}")
print(f"optimizer tạo sau khi tải: trọng số đổi: {moved['after']}")
checks["orphan"] = moved == {"before": False, "after": True}

# %% Kiểu số theo tệp
print("\n== Kiểu số theo tệp ==")
half = {name: tensor.half() for name, tensor in originals["saved"].state_dict().items()}
model = Net()
model.load_state_dict(half, assign=True)
assigned = str(model.body.weight.dtype)
print(f"mô hình float32, tệp float16, assign=True: {assigned}")
checks["dtype"] = assigned == "torch.float16"

# %% Ghi lên tệp đang ánh xạ
print("\n== Ghi lên tệp đang ánh xạ ==")


def save_in_place(model, path, other):
    torch.save({"state": model.state_dict()}, path)  # xoá trắng tệp, rồi đọc nguồn: chính tệp đó


def copy_over(model, path, other):
    shutil.copyfile(other, path)  # như lệnh cp: ghi vào chính tệp đó


def save_by_recipe(model, path, other):
    save(model, path, {"place": "saved"})  # ghi tệp mới rồi đổi tên


def rename_over(model, path, other):
    new = path.with_name("new.pt")
    shutil.copyfile(other, new)
    new.replace(path)


def session(overwrite, path, other):
    """Tải không chép, rồi ghi lên tệp. Mô hình trong bộ nhớ còn nguyên không?"""
    model = load_without_copy(build, path)
    before = model.body.weight.detach().clone()
    overwrite(model, path, other)
    return torch.equal(model.body.weight, before)


def outcome_of(overwrite):
    """Chạy trong một tiến trình mới, vì nó có thể bị hệ điều hành giết."""
    path = folder / "mapped.pt"
    other = folder / "other.pt"
    save(originals["saved"], path, {"place": "saved"})
    save(Net(), other, {"place": "saved"})
    died = False
    kept = False
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        try:
            kept = process.submit(session, overwrite, path, other).result()
        except BrokenProcessPool:
            died = True
    readable = not complaint(load, build, path)
    return {"died": died, "kept": kept, "readable": readable}


WAYS = [save_in_place, copy_over, save_by_recipe, rename_over]
outcomes = {}
print(f"{'':<16}{'tiến trình chết':>17}{'trọng số còn nguyên':>21}{'tệp mở được':>13}")
for way in WAYS:
    outcome = outcome_of(way)
    outcomes[way.__name__] = outcome
    print(f"{way.__name__:<16}{outcome['died']!s:>17}{outcome['kept']!s:>21}", end="")
    print(f"{outcome['readable']!s:>13}")
lost = {"died": True, "kept": False, "readable": False}
swapped = {"died": False, "kept": False, "readable": True}
safe = {"died": False, "kept": True, "readable": True}
checks["save_in_place"] = outcomes["save_in_place"] == lost
checks["copy_over"] = outcomes["copy_over"] == swapped
checks["safe"] = outcomes["save_by_recipe"] == safe and outcomes["rename_over"] == safe

# %% Đối chiếu
print("\n== Đối chiếu ==")
TEXTS = {
    "no_assign": "quên assign=True: báo thành công, mà chưa tensor nào có số",
    "to_cpu": "model.to('cpu') khi còn tensor trên meta: có lỗi",
    "unsaved": "buffer không lưu: tự tải thì ra rác, load_without_copy từ chối",
    "attribute": "thuộc tính thường: cũng thế, mà named_buffers không thấy",
    "needs_numbers": "lớp gọi .item() lúc dựng: bị từ chối",
    "orphan": "optimizer tạo trước khi tải: không đổi được trọng số",
    "dtype": "assign=True: mô hình theo kiểu số của tệp",
    "save_in_place": "torch.save lên tệp đang ánh xạ: tiến trình chết, tệp mất",
    "copy_over": "cp lên tệp đang ánh xạ: trọng số đang dùng đổi theo, không có lỗi",
    "safe": "ghi tệp mới rồi đổi tên: không mất gì",
}
for name, text in TEXTS.items():
    verdict = "ĐẠT" if checks[name] else "TRƯỢT"
    print(f"{verdict:<5}  {text}")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "warnings": len(heard),
        "hollow": hollow,
        "moved": moved,
        "assigned": assigned,
        "outcomes": outcomes,
    },
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có cái bẫy không còn như đã tả, hay cách sửa không sửa được.")
