"""Tải một mô hình tốn bao nhiêu bộ nhớ và thời gian: bốn cách, cùng những bit.

    python load_cost.py            # cỡ GPT-2 small, trọng số ngẫu nhiên, không cần mạng
    QUICK=1 python load_cost.py    # mô hình tí hon, để thử nhanh

Tốn (cỡ mặc định): không quá 300 giây, 3 GiB bộ nhớ, 2 GiB đĩa.
Cần: pip install torch transformers safetensors
Chạy trên Linux, WSL hay Colab: bộ nhớ được đọc từ /proc, tiến trình mới được tạo bằng fork.
"""

# %% Chuẩn bị
import hashlib
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

QUICK = os.environ.get("QUICK") == "1"
SIZE = {}  # GPT2Config() để nguyên là GPT-2 small
REPEATS = 5  # lấy lần nhanh nhất: lần chậm là do máy bận việc khác
if QUICK:
    SIZE = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512}
    REPEATS = 1

torch.set_num_threads(1)  # nhiều luồng thì phải đợi nhau khi máy bận, thời gian đo nhảy lung tung
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
folder = Path(temporary.name)

# %% Bốn cách tải


def hugging_face(folder):
    return GPT2LMHeadModel.from_pretrained(folder)


def safetensors(folder):
    with torch.device("meta"):  # khung rỗng: có tên và kích thước, chưa có số nào
        model = GPT2LMHeadModel(GPT2Config.from_json_file(folder / "config.json"))
    # strict=False vì tệp không lặp lại lm_head; tie_weights nối nó lại. Ô cuối so mọi tên.
    model.load_state_dict(load_file(folder / "model.safetensors"), assign=True, strict=False)
    model.tie_weights()
    return model.eval()


def state_dict(folder):
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config.from_json_file(folder / "config.json"))
    state = torch.load(folder / "model.pt", weights_only=True, mmap=True)
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    return model.eval()


def textbook(folder):
    model = GPT2LMHeadModel(GPT2Config.from_json_file(folder / "config.json"))
    model.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    return model.eval()


WAYS = [hugging_face, safetensors, state_dict, textbook]


# %% Đo


def memory(name):
    """Một số đo bộ nhớ của tiến trình này, tính bằng byte (Linux ghi nó bằng KiB)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024


def bits_of(model):
    """SHA-256 của mọi tensor: tên, kiểu số, kích thước và từng bit."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def measure(load, folder):
    """Tải rồi tính logits lần đầu: giây, byte bộ nhớ tăng thêm, và SHA-256 của mọi tensor."""
    used_before = memory("VmRSS")  # đang dùng
    own_before = memory("RssAnon")  # phần riêng: không tính tệp được ánh xạ vào bộ nhớ
    start = time.perf_counter()
    model = load(folder)
    loaded = time.perf_counter() - start
    own = memory("RssAnon") - own_before
    with torch.no_grad():
        model(torch.arange(0, 512, 32)[None])
    ready = time.perf_counter() - start
    peak = memory("VmHWM") - used_before  # đỉnh, tính từ khi có tiến trình
    return {"loaded": loaded, "ready": ready, "own": own, "peak": peak, "bits": bits_of(model)}


def in_new_process(function, *arguments):
    """Gọi hàm trong một tiến trình mới, trả về cái nó trả về.

    Tiến trình mẹ chỉ nhập thư viện, không tự tải gì: tiến trình mới nào cũng bắt đầu như nhau.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        return process.submit(function, *arguments).result()


# %% Lưu hai cách


def save(folder):
    """Lưu một mô hình thành thư mục và thành tệp `state_dict`; trả về SHA-256 và số byte."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**SIZE, bos_token_id=0, eos_token_id=0)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng". Thêm nhiễu thì lộ.
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    model.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "model.pt")
    weights = sum(parameter.nbytes for parameter in model.parameters())
    return bits_of(model), weights


saved_bits, weights = in_new_process(save, folder)

# %% Đo từng cách
print("== Đo từng cách ==")
runs = {way.__name__: [] for way in WAYS}
for _ in range(REPEATS):  # xen kẽ các cách, để máy bận thì cách nào cũng bận
    for way in WAYS:
        runs[way.__name__].append(in_new_process(measure, way, folder))

best = {}
print(f"bộ nhớ so với {weights} byte trọng số; lần tốt nhất trong {REPEATS} lần")
print(f"{'':<14}{'đỉnh':>7}{'riêng':>8}{'tải xong':>11}{'có logits':>12}")
for way, measured in runs.items():
    cost = {}
    for name in ("peak", "own", "loaded", "ready"):
        cost[name] = min(run[name] for run in measured)
    print(f"{way:<14}{cost['peak'] / weights:7.2f}{cost['own'] / weights:8.2f}", end="")
    print(f"{cost['loaded']:9.2f} s{cost['ready']:10.2f} s")
    best[way] = cost

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


for way, measured in runs.items():
    same = all(run["bits"] == saved_bits for run in measured)
    report(way, same, f"{way}: từng bit như lúc lưu")


def half_precision(folder):
    """Cách sai, để thử chính phép so: kiểu số đổi thì không còn những bit đã lưu."""
    return GPT2LMHeadModel.from_pretrained(folder, dtype=torch.bfloat16)


wrong = in_new_process(measure, half_precision, folder)
report("half_precision", wrong["bits"] != saved_bits, "tải thành bfloat16: phép so phát hiện")

# %% Kết quả
approx = {}
timing = {}
for way, cost in best.items():
    approx[way] = {"peak": cost["peak"] / weights, "own": cost["own"] / weights}
    timing[way] = {"loaded": cost["loaded"], "ready": cost["ready"]}
results = {
    "exact": {"checks": checks, "weights": weights, "repeats": REPEATS},
    "approx": approx,
    "timing": timing,
    "tolerance": {"abs": 0.15},  # máy khác xin và trả bộ nhớ hơi khác
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có cách tải không cho lại những bit đã lưu.")
