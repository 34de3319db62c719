"""Lưu hỏng thì còn lại gì: bị giết lúc đang ghi, đĩa đầy, NaN, tệp bị cắt, optimizer dựng khác đi.

    python failed_saves.py            # mô hình tí hon, không cần mạng
    QUICK=1 python failed_saves.py    # giết ít lần hơn, để thử nhanh

Tốn (cỡ mặc định): không quá 180 giây, 2 GiB bộ nhớ, 1 GiB đĩa.
Cần: training_checkpoint.py nằm cạnh; pip install torch numpy
Chạy trên Linux hay WSL: nó dùng fork, giới hạn cỡ tệp của tiến trình, và /dev/full.
"""

# %% Chuẩn bị
import contextlib
import io
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy
import torch
from training_checkpoint import load_latest, save_checkpoint

QUICK = os.environ.get("QUICK") == "1"
KILLS = 8  # giết bao nhiêu lần, mỗi cách ghi
WIDTH = 1000  # checkpoint 12 MB: ghi đủ lâu để kịp giết
if QUICK:
    KILLS = 2

torch.set_num_threads(1)
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)

# %% Mô hình


def build(order=1):
    """Mô hình, AdamW đã chạy một bước, scheduler. `order=-1`: tham số theo thứ tự ngược."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH), torch.nn.Linear(WIDTH, 8))
    optimizer = torch.optim.AdamW(list(model.parameters())[::order])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    model(torch.ones(1, WIDTH)).sum().backward()
    optimizer.step()
    return {"model": model, "optimizer": optimizer, "scheduler": scheduler}


# %% Hai cách ghi


def plain(folder, step, parts):
    """Ghi thẳng đè lên tệp cũ."""
    state = {name: part.state_dict() for name, part in parts.items()}
    torch.save({**state, "step": step}, folder / "checkpoint.pt")


def recipe(folder, step, parts):
    """Ghi tệp tạm rồi đổi tên."""
    save_checkpoint(folder, step, **parts)


def step_left(way, folder):
    """Bước của checkpoint còn dùng được; 0 nếu không còn bản nào."""
    if way is plain:
        try:
            return torch.load(folder / "checkpoint.pt", weights_only=True)["step"]
        except Exception:
            return 0
    with contextlib.redirect_stderr(io.StringIO()):
        return load_latest(folder, **build())[0]


# %% Giết lúc đang ghi
print("== Giết lúc đang ghi ==")


def save_for_ever(way, folder):
    """Lưu hết lần này đến lần khác, ghi lại bước nào đã lưu xong."""
    parts = build()
    step = 0
    while True:
        step += 1
        way(folder, step, parts)
        (folder / "confirmed").write_text(str(step))


def is_writing(way, folder):
    """Lúc này tệp đang được ghi dở?"""
    if way is plain:
        return (folder / "checkpoint.pt").stat().st_size < 4 * WIDTH * WIDTH
    return any(folder.glob("*.part"))


def kill_once(way, folder):
    """Giết lúc đang ghi, sau ít nhất một lần lưu xong; trả về bước đã lưu xong và bước còn lại."""
    folder.mkdir(parents=True)
    process = get_context("fork").Process(target=save_for_ever, args=(way, folder))
    process.start()
    while not (folder / "confirmed").exists():
        time.sleep(0.01)
    while not is_writing(way, folder):
        time.sleep(0.0002)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    confirmed = int((folder / "confirmed").read_text() or 0)
    return confirmed, step_left(way, folder)


lost = {}
for way in (plain, recipe):
    lost[way.__name__] = 0
    for number in range(KILLS):
        confirmed, left = kill_once(way, root / f"{way.__name__}-{number}")
        if left < confirmed:
            lost[way.__name__] += 1
print(f"ghi đè thẳng: {KILLS} lần bị giết, {lost['plain']} lần không còn bản nào đọc được")
print(f"save_checkpoint: {KILLS} lần bị giết, {lost['recipe']} lần mất bản đã lưu xong")

# %% Đối chiếu
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


report("plain", lost["plain"] > 0, "ghi đè thẳng có lần mất sạch")
report("recipe", lost["recipe"] == 0, "save_checkpoint không lần nào mất bản đã lưu xong")

# %% Một thư mục tốt
folder = root / "run"
parts = build()
for step in (100, 200):
    save_checkpoint(folder, step, **parts)


def said_by(function, *arguments, **named):
    """Cảnh báo và thông báo lỗi của một lần gọi, bỏ phần thư mục tạm; rỗng nếu nó im lặng."""
    heard = io.StringIO()
    with contextlib.redirect_stderr(heard):
        try:
            function(*arguments, **named)
        except Exception as error:
            print(error, file=sys.stderr)
    text = heard.getvalue().replace(f"{root}/", "").strip()
    return re.sub(r"(còn|pos|vs) \d+", r"\1 …", text)  # những số mỗi lần một khác


# %% Đĩa đầy
print("\n== Đĩa đầy ==")
said = said_by(torch.save, parts["model"].state_dict(), "/dev/full")  # thiết bị luôn đầy
print("torch.save:", said)
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))  # tệp nào cũng chỉ được 200 kB
said_by_recipe = said_by(save_checkpoint, folder, 300, **parts)
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
print("save_checkpoint:", said_by_recipe)
names = sorted(path.name for path in folder.iterdir())
print("còn lại:", ", ".join(names))
whole = names == ["step-00000100.pt", "step-00000200.pt"]
report("full", "unexpected pos" in said, "thông báo của torch không nhắc đến đĩa")
report("full_recipe", whole and "đĩa còn" in said_by_recipe, "các bản cũ còn, không sót tệp tạm")

# %% Có NaN
print("\n== Có NaN ==")
bad = build()
with torch.no_grad():
    bad["model"][1].weight[0, 0] = float("nan")
said = said_by(save_checkpoint, folder, 300, **bad)
print(said)
report("nan", "NaN" in said and load_latest(folder, **build())[0] == 200, "không lưu, bản cũ còn")

# %% Optimizer dựng khác thứ tự
print("\n== Optimizer dựng khác thứ tự ==")
said = said_by(load_latest, folder, **build(order=-1))
print(said)
alone = build(order=-1)
kept = torch.load(folder / "step-00000200.pt", weights_only=True)
silent = said_by(alone["optimizer"].load_state_dict, kept["optimizer"])
report("order", "tham số 0" in said, "load_latest từ chối")
report("silent", silent == "", "optimizer.load_state_dict thì nhận, không có lỗi")

# %% Optimizer thiếu tham số
print("\n== Optimizer thiếu tham số ==")
fewer = build()
fewer["optimizer"] = torch.optim.AdamW(fewer["model"][1].parameters())  # đóng băng lớp đầu
said = said_by(fewer["optimizer"].load_state_dict, kept["optimizer"])
print("optimizer.load_state_dict:", said)
said_by_recipe = said_by(load_latest, folder, **fewer)
print("load_latest:", said_by_recipe)
report("fewer", "match the size" in said and "0.weight" in said_by_recipe, "cả hai đều từ chối")

# %% Số của NumPy
print("\n== Số của NumPy ==")
odd = build()
odd["scheduler"].best = numpy.float64(1.5)  # như khi bạn tự ghi thêm vào scheduler
said = said_by(save_checkpoint, folder, 300, **odd)
print(said)
report("numpy", "numpy" in said, "không lưu tệp mà sau này không mở được")

# %% Bản mới nhất bị cắt
print("\n== Bản mới nhất bị cắt ==")
newest = folder / "step-00000200.pt"
os.truncate(newest, newest.stat().st_size // 2)
done = subprocess.run(
    [sys.executable, "training_checkpoint.py", folder],
    capture_output=True,
    encoding="utf-8",
    check=False,
)
print(done.stdout, end="")
print(said_by(load_latest, folder, **build()))
step = step_left(recipe, folder)
print(f"load_latest tải bước {step}")
report("cut", step == 100 and done.returncode == 1, "lùi về bản trước, lệnh liệt kê trả về 1")

# %% Một bit bị lật
print("\n== Một bit bị lật ==")
oldest = folder / "step-00000100.pt"
raw = bytearray(oldest.read_bytes())
raw[len(raw) // 2] ^= 1
oldest.write_bytes(raw)
silent = said_by(torch.load, oldest, weights_only=True)
said = said_by(load_latest, folder, **build())
print(said)
report("flip", silent == "" and "Không checkpoint nào" in said, "torch.load không thấy, CRC thấy")

# %% Kết quả
results = {
    "exact": {"checks": checks, "kills": KILLS, "lost": {"recipe": lost["recipe"]}},
    "approx": {"lost": {"plain": {"value": lost["plain"], "abs": KILLS}}},
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có lần lưu hỏng không để lại những gì đã nói.")
