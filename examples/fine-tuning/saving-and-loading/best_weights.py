"""Giữ trọng số tốt nhất: năm cách giữ, và điều gì xảy ra khi bị giết giữa lúc ghi.

    python best_weights.py            # mô hình tí hon, không cần mạng
    QUICK=1 python best_weights.py    # ít lần giết hơn, để thử nhanh

Tốn (cỡ mặc định): không quá 120 giây, 1 GiB bộ nhớ, 0,2 GiB đĩa.
Cần: pip install torch matplotlib; tệp keep_best.py nằm cạnh tệp này
Chạy trên Linux, macOS, WSL hay Colab: tiến trình bị giết được tạo bằng fork.
"""

# %% Chuẩn bị
import copy
import multiprocessing
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn

from keep_best import KeepBest

QUICK = os.environ.get("QUICK") == "1"
STEPS = 60  # đủ để mô hình học xong rồi học vẹt
KILLS = 30  # mỗi cách ghi bị giết bấy nhiêu lần
WIDTH = 1500  # mô hình 9 MB: ghi đủ lâu để lần giết rơi vào giữa
if QUICK:
    KILLS = 4
    WIDTH = 500

torch.set_num_threads(1)
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
folder = Path(temporary.name)

# %% Dữ liệu
torch.manual_seed(0)
truth = torch.randn(16, 16) * 0.3
train_x = torch.randn(24, 16)
valid_x = torch.randn(200, 16)
train_y = train_x @ truth + torch.randn(24, 16) * 0.8  # ít mẫu, nhiều nhiễu: sẽ học vẹt
valid_y = valid_x @ truth
model = nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 16))


def valid_loss():
    with torch.no_grad():
        return nn.functional.mse_loss(model(valid_x), valid_y).item()


# %% Năm cách giữ


def reference(model):
    return model.state_dict()  # SAI: dict này trỏ tới chính các tensor đang huấn luyện


def shallow(model):
    return dict(model.state_dict())  # SAI: dict mới, vẫn những tensor đó; .copy() cũng thế


def deepcopy(model):
    return copy.deepcopy(model.state_dict())


def clone(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


IN_MEMORY = [reference, shallow, deepcopy, clone]
on_disk = KeepBest(folder / "best.pt")  # cách thứ năm: ra tệp

# %% Huấn luyện
print("== Huấn luyện ==")
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
curve = []
kept = {}
for step in range(STEPS):
    curve.append(valid_loss())
    if on_disk.update(model, curve[-1], step):  # tốt nhất từ đầu đến giờ
        for keep in IN_MEMORY:
            kept[keep.__name__] = keep(model)
    optimizer.zero_grad()
    nn.functional.mse_loss(model(train_x), train_y).backward()
    optimizer.step()
last = valid_loss()
best = min(curve)
print(f"loss kiểm định: tốt nhất {best:.3f} ở bước {on_disk.step}, sau bước cuối {last:.3f}")

# %% Lấy lại
print("\n== Lấy lại ==")
final = copy.deepcopy(model.state_dict())
losses = {}
for name, state in kept.items():
    model.load_state_dict(copy.deepcopy(state))
    losses[name] = valid_loss()
    model.load_state_dict(final)  # trả lại, vì hai cách đầu trỏ vào chính mô hình
on_disk.restore(model)
losses["file"] = valid_loss()
for name, loss in losses.items():
    print(f"{name:<10} loss {loss:.3f}")

# %% Tệp của lần chạy khác
print("\n== Tệp của lần chạy khác ==")
another_run = ""
try:
    KeepBest(on_disk.path)  # lần huấn luyện mới, cùng tên tệp
except FileExistsError as error:
    another_run = str(error).replace(f"{folder}/", "")
print(another_run)
resumed = KeepBest(on_disk.path, resume=True)  # cùng một lần huấn luyện, chạy tiếp
print(f"resume=True: đi tiếp từ điểm {resumed.score:.3f} của bước {resumed.step}")

# %% Hai cách ghi ra tệp


def in_place(model, path, score):
    torch.save({"score": score, "state": model.state_dict()}, path)  # SAI: ghi đè bản đang có


def keep_best(model, path, score):
    KeepBest(path, resume=True).update(model, score)


def write_forever(write, path, started):
    """Giữ hết bản tốt hơn này tới bản tốt hơn khác; mọi số trong một bản bằng điểm của nó."""
    torch.set_num_threads(1)
    model = nn.Linear(WIDTH, WIDTH, bias=False)
    for number in range(1, 1_000_000):
        nn.init.constant_(model.weight, -number)
        write(model, path, -number)
        started.set()  # đã có ít nhất một bản trọn vẹn


# %% Bị giết giữa lúc ghi
print("\n== Bị giết giữa lúc ghi ==")


def state_of(path):
    """Tệp còn lại sau khi bị giết: trọn vẹn hay đã mất."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        return "lost"
    if found["state"]["weight"].eq(found["score"]).all():
        return "whole"
    return "lost"


def killed_while(write):
    """Giết tiến trình ghi ở KILLS lúc ngẫu nhiên; đếm số lần còn bản trọn vẹn và số lần mất."""
    counts = {"whole": 0, "lost": 0}
    process_kind = multiprocessing.get_context("fork")
    moments = random.Random(0)
    for number in range(KILLS):
        path = folder / f"{write.__name__}-{number}.pt"
        started = process_kind.Event()
        process = process_kind.Process(target=write_forever, args=(write, path, started))
        process.start()
        started.wait()
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        process.join()
        counts[state_of(path)] += 1
        for left in folder.glob(f"{path.name}*"):
            left.unlink()
    return counts


kills = {}
for write in (in_place, keep_best):
    counts = killed_while(write)
    kills[write.__name__] = counts
    print(f"{write.__name__:<10} {KILLS} lần giết: {counts['whole']} lần còn, ", end="")
    print(f"{counts['lost']} lần mất cả bản cũ lẫn bản mới")

# %% Điểm NaN
print("\n== Điểm NaN ==")
nan_message = ""
try:
    on_disk.update(model, float("nan"))
except ValueError as error:
    nan_message = str(error)
print(nan_message)

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


report("overfits", best < last, "loss có tăng lại: tốt nhất khác cuối cùng")
alias = losses["reference"] == last and losses["shallow"] == last
report("alias", alias, "state_dict() và dict(...) đi theo mô hình tới bước cuối")
copies = losses["deepcopy"] == best and losses["clone"] == best and losses["file"] == best
report("copies", copies, "deepcopy, clone và tệp cho lại đúng bản tốt nhất")
report("in_place", kills["in_place"]["lost"] > 0, "ghi đè tại chỗ: có lần mất sạch")
report("keep_best", kills["keep_best"]["lost"] == 0, "keep_best: lần nào cũng còn một bản")
report("nan", "nan" in nan_message, "điểm NaN bị từ chối")
report("another_run", "resume=True" in another_run, "tệp của lần chạy khác bị từ chối")

# %% Kết quả
approx = {"best": {"value": best, "rel": 0.05}, "last": {"value": last, "rel": 0.05}}
for name, loss in losses.items():
    approx[name] = {"value": loss, "rel": 0.05}
for name, counts in kills.items():
    approx[f"{name}_lost"] = {"value": counts["lost"], "abs": KILLS}  # lúc giết là ngẫu nhiên
results = {
    "exact": {"checks": checks, "steps": STEPS, "kills": KILLS, "best_step": on_disk.step},
    "approx": approx,
}
if not all(checks.values()):
    sys.exit("TRƯỢT: cái giữ lại không phải bản tốt nhất.")

# %% Vẽ
figure, axes = plt.subplots(figsize=(5.2, 2.8), layout="constrained")
axes.plot([*curve, last], color="C0")
axes.plot(on_disk.step, best, "o", color="C0")
axes.annotate("bản sao thật: điểm này", (on_disk.step, best), xytext=(18, best - 0.12))
axes.set_ylim(bottom=best - 0.18)
axes.plot(STEPS, last, "o", color="C1")
axes.annotate("tham chiếu: điểm này", (STEPS, last), xytext=(38, last + 0.06), color="C1")
axes.set_xlabel("bước")
axes.set_ylabel("loss kiểm định")
figure.savefig("best_weights.svg")
