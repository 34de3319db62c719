"""Tải một mô hình tốn bao nhiêu bộ nhớ và thời gian: bốn cách, cùng những bit.

    python load_cost.py            # cỡ GPT-2 small, trọng số ngẫu nhiên, không cần mạng
    QUICK=1 python load_cost.py    # mô hình tí hon, để thử nhanh

Tốn (cỡ mặc định): không quá 300 giây, 3 GiB bộ nhớ, 2 GiB đĩa.
Cần: pip install torch transformers safetensors accelerate; tệp state_dict_file.py nằm cạnh tệp này
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
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from state_dict_file import load_without_copy, save

QUICK = os.environ.get("QUICK") == "1"
SIZE = {}  # GPT2Config() để nguyên là GPT-2 small
REPEATS = 3  # lấy lần nhanh nhất: lần chậm là do máy bận việc khác
if QUICK:
    SIZE = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512}
    REPEATS = 1

torch.set_num_threads(1)  # nhiều luồng thì phải đợi nhau khi máy bận, thời gian đo nhảy lung tung
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
folder = Path(temporary.name)

# %% Bốn cách tải


def build(config):
    return GPT2LMHeadModel(GPT2Config(**config))


def config_of(folder):
    return GPT2Config.from_json_file(folder / "config.json").to_dict()


def hugging_face(folder):
    return GPT2LMHeadModel.from_pretrained(folder)


def safetensors(folder):
    with torch.device("meta"):  # khung rỗng: có tên và kích thước, chưa có số nào
        model = build(config_of(folder))
    # strict=False vì tệp không lặp lại lm_head; tie_weights nối nó lại. Ô cuối so mọi tên.
    model.load_state_dict(load_file(folder / "model.safetensors"), assign=True, strict=False)
    model.tie_weights()
    return model.eval()


def state_dict(folder):
    return load_without_copy(build, folder / "model.pt")


def textbook(folder):
    model = build(config_of(folder))
    state = torch.load(folder / "state_dict.pt", map_location="cpu", weights_only=True)
    model.load_state_dict(state)
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


def first_logits(load, folder):
    """Tải rồi tính logits lần đầu: mô hình, logits, và giây cùng byte bộ nhớ tăng thêm."""
    used_before = memory("VmRSS")  # đang dùng
    own_before = memory("RssAnon")  # phần riêng: không tính tệp được ánh xạ vào bộ nhớ
    start = time.perf_counter()
    model = load(folder)
    loaded = time.perf_counter() - start
    own = memory("RssAnon") - own_before
    with torch.no_grad():
        logits = model(torch.arange(0, 512, 32)[None]).logits
    ready = time.perf_counter() - start
    peak = memory("VmHWM") - used_before  # đỉnh, tính từ khi có tiến trình
    return model, logits, {"loaded": loaded, "ready": ready, "own": own, "peak": peak}


def measure(load, folder):
    """Giá của một cách tải, kèm SHA-256 của mọi tensor."""
    model, _, cost = first_logits(load, folder)
    return cost | {"bits": bits_of(model)}


def in_new_process(function, *arguments):
    """Gọi hàm trong một tiến trình mới, trả về cái nó trả về.

    Tiến trình mẹ chỉ nhập thư viện, không tự tải gì: tiến trình mới nào cũng bắt đầu như nhau.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        return process.submit(function, *arguments).result()


# %% Lưu


def saving_session(folder):
    """Lưu một mô hình bốn lần; trả về SHA-256 của nó và số byte trọng số."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**SIZE, bos_token_id=0, eos_token_id=0)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng". Thêm nhiễu thì lộ.
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    model.save_pretrained(folder)
    save(model, folder / "model.pt", model.config.to_dict())
    torch.save(model.state_dict(), folder / "state_dict.pt")
    bits = bits_of(model)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    model.bfloat16().save_pretrained(folder / "bfloat16")
    return bits, weights


saved_bits, weights = in_new_process(saving_session, folder)
sizes = {}
beyond = {}  # số byte ngoài dữ liệu
for name in ("model.safetensors", "model.pt", "state_dict.pt"):
    sizes[name] = (folder / name).stat().st_size
    beyond[name] = sizes[name] - weights

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

# %% Đổi kiểu số lúc tải
print("\n== Đổi kiểu số lúc tải ==")


def as_saved(folder):
    return GPT2LMHeadModel.from_pretrained(folder / "bfloat16")


def to_float32(folder):
    return GPT2LMHeadModel.from_pretrained(folder / "bfloat16", dtype=torch.float32)


changed = {}
for way in (as_saved, to_float32):
    cost = in_new_process(measure, way, folder)
    changed[way.__name__] = cost
    print(
        f"{way.__name__:<12} đỉnh {cost['peak'] / weights:.2f}, riêng {cost['own'] / weights:.2f}"
    )

# %% Mô hình lớn hơn bộ nhớ
print("\n== Mô hình lớn hơn bộ nhớ ==")


def with_disk(folder):
    return GPT2LMHeadModel.from_pretrained(
        folder,
        device_map="auto",
        max_memory={"cpu": int(0.4 * weights)},  # như thể máy chỉ còn bấy nhiêu
        offload_folder=folder / "offload",
    )


def logits_session(load, folder):
    """Giá và logits. Lớp nằm ở đĩa thì không giữ số nào, nên so đầu ra."""
    _, logits, cost = first_logits(load, folder)
    return cost, logits.numpy()


usual_cost, usual_logits = in_new_process(logits_session, hugging_face, folder)
disk_cost, disk_logits = in_new_process(logits_session, with_disk, folder)
disk_gap = float(abs(disk_logits - usual_logits).max())
print(f"đỉnh {disk_cost['peak'] / weights:.2f}, logits lệch {disk_gap:.2g}", end="")
print(f", lâu gấp {disk_cost['ready'] / usual_cost['ready']:.1f}")

# %% Lớp có buffer không lưu
print("\n== Lớp có buffer không lưu ==")
LLAMA = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def build_llama(config):
    return LlamaForCausalLM(LlamaConfig(**config))


def llama_session(folder):
    """Llama tí hon: tải không chép thì bị từ chối, from_pretrained thì y nguyên."""
    torch.manual_seed(0)
    model = build_llama(LLAMA)
    save(model, folder / "llama.pt", LLAMA)
    model.save_pretrained(folder / "llama")
    bits = bits_of(LlamaForCausalLM.from_pretrained(folder / "llama"))
    try:
        load_without_copy(build_llama, folder / "llama.pt")
    except ValueError as error:
        return str(error).replace(f"{folder}/", ""), bits == bits_of(model)
    return "", False


refusal, llama_same = in_new_process(llama_session, folder)
print(refusal)

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

report("changed", changed["to_float32"]["own"] > 0.9 * weights, "đổi kiểu số: thành bản riêng")
report("disk", disk_gap < 1e-5, "một phần ở đĩa: cùng logits")
report("llama", "inv_freq" in refusal and llama_same, "Llama: from_pretrained thì y nguyên")

# %% Kết quả
approx = {}
timing = {}
for way, cost in best.items():
    approx[way] = {"peak": cost["peak"] / weights, "own": cost["own"] / weights}
    timing[way] = {"loaded": cost["loaded"], "ready": cost["ready"]}
for way, cost in changed.items():
    approx[way] = {"peak": cost["peak"] / weights, "own": cost["own"] / weights}
approx["with_disk"] = {"peak": disk_cost["peak"] / weights}
# Ví dụ của trang: mô hình 3 GB. Đỉnh tính bằng GB, theo tỉ lệ đo được ở trên.
approx["three_gb"] = {}
for way in WAYS:
    peak = 3 * best[way.__name__]["peak"] / weights
    approx["three_gb"][way.__name__] = {"value": peak, "abs": 0.45}
results = {
    "exact": {
        "checks": checks,
        "weights": weights,
        "repeats": REPEATS,
        "files": sizes,
        "beyond": beyond,
    },
    "approx": approx,
    "timing": timing,
    "tolerance": {"abs": 0.15},  # máy khác xin và trả bộ nhớ hơi khác
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có cách tải không cho lại những bit đã lưu.")
