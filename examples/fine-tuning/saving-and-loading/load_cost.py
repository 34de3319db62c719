"""Tải một mô hình tốn bao nhiêu bộ nhớ và thời gian: bốn cách, mỗi cách một tiến trình riêng, cùng những bit ấy.

    python load_cost.py                # cỡ GPT-2 small, trọng số ngẫu nhiên, không cần mạng
    python load_cost.py --size tiny    # mô hình tí hon, để thử nhanh
    python load_cost.py --break half   # một cách tải đổi kiểu số: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 300 giây, 3 GiB bộ nhớ, 2 GiB đĩa.
Cần: pip install torch transformers safetensors
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import inspect
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BREAK = {"half": ("from_pretrained(folder)", "from_pretrained(folder, dtype=torch.bfloat16)")}
REPEATS = 5  # lấy lần nhanh nhất: lần chậm là do máy bận việc khác
# GPT2Config() để nguyên là GPT-2 small
SIZES = {"gpt2": {}, "tiny": {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--size", choices=SIZES, default="gpt2", help="cỡ của mô hình")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=BREAK, help="tải sai một cách, để xem đối chứng trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from safetensors.torch import load_file
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors\n")
if args.json and args.json.is_dir():
    parser.exit(2, f"--json {args.json} phải là một tệp.\n")
folder = Path((temporary := tempfile.TemporaryDirectory()).name)

# %% Bốn cách tải


def hugging_face(folder):
    return GPT2LMHeadModel.from_pretrained(folder)


def safetensors(folder):
    with torch.device("meta"):  # khung rỗng: có tên và kích thước, chưa có số nào
        model = GPT2LMHeadModel(GPT2Config.from_json_file(folder / "config.json"))
    # strict=False vì tệp không lặp lại lm_head; tie_weights nối nó lại. Đối chứng ở cuối so mọi tên.
    model.load_state_dict(load_file(folder / "model.safetensors"), assign=True, strict=False)
    model.tie_weights()
    return model.eval()


def state_dict(folder):
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config.from_json_file(folder / "config.json"))
    model.load_state_dict(torch.load(folder / "model.pt", weights_only=True, mmap=True), assign=True)
    model.tie_weights()
    return model.eval()


def textbook(folder):
    model = GPT2LMHeadModel(GPT2Config.from_json_file(folder / "config.json"))
    model.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    return model.eval()


WAYS = [hugging_face, safetensors, state_dict, textbook]

# %% Đo


def memory():
    """Ba số của Linux, tính bằng byte: đỉnh, đang dùng, và phần riêng không tính tệp được ánh xạ."""
    path = Path("/proc/self/status")
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines()) if path.exists() else {}
    return [int(lines.get(key, "0").split()[0]) * 1024 for key in ("VmHWM", "VmRSS", "RssAnon")]


def measure(load, folder):
    """Tải rồi tính logits lần đầu: giây, byte bộ nhớ tăng thêm, và SHA-256 của mọi tensor."""
    (_, used, own), start = memory(), time.perf_counter()
    model = load(folder)
    loaded, own = time.perf_counter() - start, memory()[2] - own
    with torch.no_grad():
        model(torch.arange(0, 512, 32)[None])
    cost = {"loaded": loaded, "ready": time.perf_counter() - start, "peak": memory()[0] - used, "own": own}
    bits = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        bits.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        bits.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return {**cost, "bits": bits.hexdigest()}


CHILD = "\n".join(
    [
        "import hashlib, json, sys, time, torch",
        "from pathlib import Path",
        "from safetensors.torch import load_file",
        "from transformers import GPT2Config, GPT2LMHeadModel",
        *map(inspect.getsource, [*WAYS, memory, measure]),
        "print(json.dumps(measure(globals()[sys.argv[1]], Path(sys.argv[2]))))",
    ]
)

# %% Lưu hai cách
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(**SIZES[args.size], bos_token_id=0, eos_token_id=0)).eval().requires_grad_(False)
for parameter in model.parameters():  # tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng"
    parameter.add_(torch.randn_like(parameter), alpha=0.02)
model.save_pretrained(folder)
torch.save(model.state_dict(), folder / "model.pt")
original = measure(lambda folder: model, folder)["bits"]
weights = sum(parameter.nbytes for parameter in model.parameters())

# %% Đo từng cách
print("== Đo từng cách ==")
code = CHILD.replace(*BREAK[args.damage]) if args.damage else CHILD
runs = {way.__name__: [] for way in WAYS}
repeats = 1 if args.damage or args.size == "tiny" else REPEATS
for _ in range(repeats):  # xen kẽ các cách, để máy bận thì cách nào cũng bận
    for way in runs:
        command = [sys.executable, "-X", "utf8", "-c", code, way, str(folder)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
        if done.returncode:
            parser.exit(1, f"TRƯỢT: {way}: {done.stderr.strip().splitlines()[-1]}\n")
        runs[way].append(json.loads(done.stdout))
best = {way: {key: min(run[key] for run in found) for key in found[0]} for way, found in runs.items()}
print(f"{'':<14}{'đỉnh':>8}{'riêng':>8}{'tải xong':>11}{'có logits':>11}   (bộ nhớ: so với {weights} byte trọng số)")
for way, cost in best.items():
    print(f"{way:<14}{cost['peak'] / weights:>8.2f}{cost['own'] / weights:>8.2f}", end="")
    print(f"{cost['loaded']:>9.2f} s{cost['ready']:>9.2f} s")

# %% Đối chứng
print("\n== Đối chứng ==")
checks = {way: all(run["bits"] == original for run in found) for way, found in runs.items()}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {way}: từng bit như lúc lưu" for way, passed in checks.items()), sep="\n")
if args.json:
    exact = {"checks": checks, "weights": weights, "repeats": repeats}
    approx = {way: {key: {"value": best[way][key] / weights, "abs": 0.15} for key in ("peak", "own")} for way in best}
    timing = {way: {key: best[way][key] for key in ("loaded", "ready")} for way in best}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx, "timing": timing}), encoding="utf-8")
if not all(checks.values()):
    parser.exit(1, "TRƯỢT: có cách tải không cho lại những bit đã lưu.\n")
print("ĐÃ CHỨNG MINH: bốn cách cho cùng những bit, chỉ khác giá.")
