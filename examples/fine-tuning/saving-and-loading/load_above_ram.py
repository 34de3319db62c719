"""Mô hình lớn hơn RAM: tải như trong tệp, đổi kiểu số lúc tải, hay để trên đĩa; mỗi cách tốn gì.

    python load_above_ram.py            # cỡ GPT-2 small, trọng số ngẫu nhiên, không cần mạng
    QUICK=1 python load_above_ram.py    # mô hình tí hon, để thử nhanh

Tốn (cỡ mặc định): không quá 300 giây, 3 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers accelerate
Chạy trên Linux, WSL hay Colab: bộ nhớ được đọc từ /proc, tiến trình mới được tạo bằng fork.
"""

# %% Chuẩn bị
import logging as python_logging
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, logging

QUICK = os.environ.get("QUICK") == "1"
SIZE = {}  # GPT2Config() để nguyên là GPT-2 small
ROOM = "60MB"  # nói với accelerate rằng máy chỉ có chừng này
if QUICK:
    SIZE = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
    ROOM = "50KB"

logging.set_verbosity_error()
python_logging.getLogger("accelerate").setLevel("ERROR")  # lời nhắc rằng có tầng ở trên đĩa
logging.disable_progress_bar()
torch.set_num_threads(1)
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
folder = root / "bfloat16"
spare = root / "offload"

# %% Ba cách tải


def as_saved():
    """Trọng số là tệp được ánh xạ (mmap): hết chỗ thì hệ điều hành bỏ trang, cần lại đọc lại."""
    return AutoModelForCausalLM.from_pretrained(folder)


def as_float32():
    """Đổi kiểu số thì mỗi tensor là một bản mới trong bộ nhớ riêng."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def on_disk():
    """Tầng nào không vừa thì ở lại trên đĩa; tính tới tầng đó mới đọc, xong thì bỏ."""
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        device_map="auto",
        max_memory={"cpu": ROOM},
        offload_folder=spare,
    )


# %% Đo


def own_memory():
    """Bộ nhớ riêng của tiến trình này, tính bằng byte: không kể tệp được ánh xạ."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024


def watch(seen, stop):
    while not stop.is_set():
        seen.append(own_memory())
        time.sleep(0.002)


def session(way):
    """Tải rồi tính logits: bộ nhớ riêng lúc tải xong, và lúc nhiều nhất."""
    before = own_memory()
    seen = []
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(seen, stop))
    watcher.start()
    model = way()
    loaded = own_memory()
    with torch.no_grad():
        logits = model(torch.arange(0, 512, 32)[None]).logits[0, -1].float().tolist()
    stop.set()
    watcher.join()
    return {"loaded": loaded - before, "peak": max(seen) - before, "logits": logits}


def in_new_process(function, *arguments):
    """Gọi hàm trong một tiến trình mới: cách này không thừa hưởng bộ nhớ của cách kia."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        return process.submit(function, *arguments).result()


# %% Lưu


def save():
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**SIZE, bos_token_id=0, eos_token_id=0))
    model.to(torch.bfloat16).save_pretrained(folder)
    return sum(parameter.nbytes for parameter in model.parameters())


weights = in_new_process(save)

# %% Bộ nhớ riêng
print("== Bộ nhớ riêng ==")
print(f"so với {weights} byte trọng số bfloat16")
print(f"{'':<12}{'tải xong':>10}{'nhiều nhất':>12}")
runs = {}
for way in (as_saved, as_float32, on_disk):
    run = in_new_process(session, way)
    runs[way.__name__] = run
    print(f"{way.__name__:<12}{run['loaded'] / weights:>10.2f}{run['peak'] / weights:>12.2f}")
left = list(spare.glob("*")) if spare.exists() else []
print(f"tệp trong offload_folder: {len(left)}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


same = runs["on_disk"]["logits"] == runs["as_float32"]["logits"]
report("same", same, "để trên đĩa hay trong bộ nhớ: cùng logits, từng bit")
report("empty", left == [], "offload_folder trống: phần trên đĩa được đọc thẳng từ safetensors")
# Mô hình tí hon thì bộ nhớ của chính thư viện lấn át: ở cỡ đó ba phép sau không đo được gì.
cheap = QUICK or runs["as_saved"]["loaded"] < 0.2 * weights
copied = QUICK or runs["as_float32"]["loaded"] > 1.8 * weights
disk = QUICK or runs["on_disk"]["loaded"] < 0.2 * weights
report("cheap", cheap, "tải như trong tệp: gần như không tốn bộ nhớ riêng")
report("copied", copied, "đổi sang float32: một bản to gấp đôi trong bộ nhớ riêng")
report("disk", disk, "để trên đĩa: tải xong gần như không tốn bộ nhớ riêng")

# %% Kết quả
approx = {}
for way, run in runs.items():
    # Đỉnh được lấy mẫu trong lúc tính, nên mỗi lần mỗi khác.
    peak = {"value": run["peak"] / weights, "abs": 1.0}
    approx[way] = {"loaded": run["loaded"] / weights, "peak": peak}
results = {
    "exact": {"checks": checks, "weights": weights},
    "approx": approx,
    "tolerance": {"abs": 0.5},  # máy khác xin và trả bộ nhớ khác
}
if not all(checks.values()):
    sys.exit("TRƯỢT: bộ nhớ hay logits không như đã nói.")
