"""Tiền huấn luyện đem lại gì: một GPT tí hon học văn bản mới, có và không có tiền huấn luyện.

    python pretraining_gain.py                # văn bản có sẵn trong mọi Python, không cần mạng
    python pretraining_gain.py cua_toi.txt    # văn bản mới là của bạn
    QUICK=1 python pretraining_gain.py        # ít hạt giống và ít bước, để thử nhanh

Tốn (cỡ mặc định): không quá 600 giây, 3 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers tokenizers matplotlib; train_tiny.py nằm cạnh
"""

# %% Chuẩn bị
import ast
import hashlib
import json
import os
import pydoc_data.topics
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from transformers import GPT2LMHeadModel
from transformers.utils import logging

import train_tiny
from train_tiny import (
    evaluate,
    make_tokenizer,
    new_model,
    pack,
    read_documents,
    save,
    split,
    train,
)

QUICK = os.environ.get("QUICK") == "1"
SEEDS = 3  # hạt giống: một lần chạy có thể chỉ là may. Vì thế mà lâu hơn một phút
OLD_STEPS = 150  # bước tiền huấn luyện, trên văn bản cũ
NEW_STEPS = 40  # bước học văn bản mới
if QUICK:
    SEEDS = 2
    OLD_STEPS = 16
    NEW_STEPS = 8
EVERY = NEW_STEPS // 8  # đo loss tám lần trong lúc học văn bản mới
# Của thư viện chuẩn; docstring của chúng là văn bản mới.
MODULES = ["_pydecimal", "statistics", "fractions", "random", "datetime", "heapq", "colorsys"]

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)  # số luồng đổi thì thứ tự cộng đổi, số cuối đổi theo
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)

# %% Hai văn bản
print("== Hai văn bản ==")


def docstrings(module):
    """Mọi docstring của một mô-đun trong thư viện chuẩn, đọc từ mã nguồn mà không nhập nó."""
    source = Path(sysconfig.get_paths()["stdlib"], f"{module}.py").read_text(encoding="utf-8")
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            found.append(ast.get_docstring(node) or "")
    return "\n\n".join(found)


topics = pydoc_data.topics.topics  # sách tra cứu của ngôn ngữ Python: văn bản cũ
(root / "old.txt").write_text(
    "\n\n".join(topics[name] for name in sorted(topics)), encoding="utf-8"
)
new_file = root / "new.txt"
new_file.write_text("\n\n".join(docstrings(module) for module in MODULES), encoding="utf-8")
if sys.argv[-1].endswith(".txt"):
    new_file = Path(sys.argv[-1])

old_train, old_test = split(read_documents(root / "old.txt"))
new_train, new_test = split(read_documents(new_file))
tokenizer = make_tokenizer(old_train)  # không bao giờ học từ phần kiểm thử
old = {"train": pack(old_train, tokenizer), "test": pack(old_test, tokenizer)}
new = {"train": pack(new_train, tokenizer), "test": pack(new_test, tokenizer)}
for name, text in (("cũ", old), ("mới", new)):
    print(f"văn bản {name:<4} {len(text['train'])} token để học, {len(text['test'])} để thử")

# %% Tiền huấn luyện và lưu
print("\n== Tiền huấn luyện và lưu ==")


def sha256_of(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


saved = []
for seed in range(SEEDS):
    model = new_model(len(tokenizer), seed)
    log = train(model, old["train"], old["test"], OLD_STEPS, seed, every=OLD_STEPS, show=False)
    folder = root / f"base-{seed}"
    save(model, tokenizer, log, folder)
    row = {"before": log[0]["test"], "after": log[-1]["test"], "sha256": sha256_of(folder)}
    saved.append(row)
    print(f"hạt giống {seed}: loss kiểm thử {row['before']:.2f} → {row['after']:.2f}")
parameters = model.num_parameters()
print(f"{parameters} tham số")

# %% Tải và học văn bản mới
print("\n== Tải và học văn bản mới ==")


def continue_in_new_process(seed):
    """Tiến trình mới tải bản đã lưu và học tiếp: cùng script, cùng vòng lặp, khác chỗ bắt đầu."""
    out = root / f"continued-{seed}"
    command = [sys.executable, train_tiny.__file__, new_file, "--start", root / f"base-{seed}"]
    command += ["--out", out, "--steps", str(NEW_STEPS), "--every", str(EVERY), "--seed", str(seed)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=one_thread, capture_output=True)
    return [row["test"] for row in json.loads((out / "losses.json").read_text(encoding="utf-8"))]


def learn_from_random(seed):
    """Cùng dữ liệu, cùng thứ tự batch, cùng optimizer; chỉ khác chỗ bắt đầu."""
    model = new_model(len(tokenizer), seed=1000 + seed)
    log = train(model, new["train"], new["test"], NEW_STEPS, seed, every=EVERY, show=False)
    return [row["test"] for row in log]


def spread(values):
    """Trung bình, nhỏ nhất và lớn nhất qua các hạt giống."""
    return {"mean": statistics.fmean(values), "least": min(values), "most": max(values)}


pretrained_losses = [continue_in_new_process(seed) for seed in range(SEEDS)]
random_losses = [learn_from_random(seed) for seed in range(SEEDS)]

curves = {"pretrained": [], "random": []}
steps = []
print("bước   đã tiền huấn luyện   từ ngẫu nhiên       (trung bình, nhỏ nhất – lớn nhất)")
for point in range(len(pretrained_losses[0])):
    steps.append(point * EVERY)
    pretrained = spread([losses[point] for losses in pretrained_losses])
    random = spread([losses[point] for losses in random_losses])
    curves["pretrained"].append(pretrained)
    curves["random"].append(random)
    print(f"{point * EVERY:>4}", end="")
    print("   {mean:.2f}  {least:.2f} – {most:.2f}".format(**pretrained), end="")
    print("    {mean:.2f}  {least:.2f} – {most:.2f}".format(**random))

gaps = []
forgotten = []
for seed in range(SEEDS):
    gaps.append(random_losses[seed][-1] - pretrained_losses[seed][-1])
    continued = GPT2LMHeadModel.from_pretrained(root / f"continued-{seed}")
    forgotten.append(evaluate(continued, old["test"]) - saved[seed]["after"])
gap = spread(gaps)
forgot = spread(forgotten)
print("lợi: {mean:.2f} mỗi token ({least:.2f} tới {most:.2f})".format(**gap))
print("quên: loss trên văn bản cũ tăng {mean:.2f} ({least:.2f} tới {most:.2f})".format(**forgot))

# %% Tải nhầm
print("\n== Tải nhầm ==")


def right_base(folder, row):
    """Bản trong thư mục có phải bản đã học: so SHA-256, và đo lại loss."""
    model = GPT2LMHeadModel.from_pretrained(folder)
    loss = evaluate(model, old["test"])
    same_file = sha256_of(folder) == row["sha256"]
    same_loss = abs(loss - row["after"]) < 1e-4
    return {"file": same_file, "loss": same_loss, "measured": loss}


untrained = root / "untrained"
save(new_model(len(tokenizer), seed=0), tokenizer, [], untrained)  # lưu nhầm bản chưa học
# Ghi SHA-256 sau khi lưu nhầm thì nó khớp: tệp lành lặn, chỉ là không phải bản đã học.
untrained_row = {**saved[0], "sha256": sha256_of(untrained)}
loads = {
    "right": right_base(root / "base-0", saved[0]),
    "untrained": right_base(untrained, untrained_row),
    "swapped": right_base(root / "base-1", saved[0]),
}
names = {
    "right": "đúng bản",
    "untrained": "lưu nhầm bản chưa học",
    "swapped": "tải nhầm bản của hạt giống khác",
}
print(f"{'':<34}{'SHA-256':<10}{'loss như lúc lưu':<18}đo được")
for name, found in loads.items():
    file = "khớp" if found["file"] else "LỆCH"
    loss = "khớp" if found["loss"] else "LỆCH"
    print(f"{names[name]:<34}{file:<10}{loss:<18}{found['measured']:.2f}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


learned = all(row["after"] < row["before"] - 0.5 for row in saved)
report("learned", learned, "tiền huấn luyện làm loss kiểm thử giảm hẳn")
report("gain", gap["least"] > 0, "cùng số bước, mọi hạt giống: bản đã tiền huấn luyện tốt hơn")
report("loaded", loads["right"]["file"] and loads["right"]["loss"], "bản vừa tải là bản đã lưu")
noticed = not loads["untrained"]["loss"] and not loads["swapped"]["loss"]
report("noticed", noticed, "đo lại loss phát hiện cả hai cách tải nhầm")

# %% Kết quả
verdicts = {}
measured = {}
for name, found in loads.items():
    verdicts[name] = {"file": found["file"], "loss": found["loss"]}
    measured[name] = found["measured"]
results = {
    "exact": {
        "checks": checks,
        "loads": verdicts,
        "parameters": parameters,
        "tokens": {"old": len(old["train"]), "new": len(new["train"])},
        "seeds": SEEDS,
        "pretraining_steps": OLD_STEPS,
        "new_steps": NEW_STEPS,
        "vocabulary": len(tokenizer),
    },
    "approx": {
        "pretrained": dict(enumerate(curves["pretrained"])),
        "random": dict(enumerate(curves["random"])),
        "gap": gap,
        "forgot": forgot,
        "after": spread([row["after"] for row in saved]),
        "measured": measured,
    },
    "tolerance": {"rel": 0.05, "abs": 0.1},  # số đã học lệch chút ít giữa các máy
    # Python khác bản thì văn bản khác: khi đó chỉ so khoá.
    "data_sha256": hashlib.sha256("\0".join(old_train + new_train).encode()).hexdigest(),
}
if not all(checks.values()):
    sys.exit("TRƯỢT: bản tải lại không phải bản đã học, hay tiền huấn luyện không đem lại gì.")

# %% Vẽ
figure, axes = plt.subplots(figsize=(5.2, 3.4))
labels = {"pretrained": "đã tiền huấn luyện", "random": "từ ngẫu nhiên"}
offsets = {"pretrained": (-5, -22), "random": (5, 8)}
for colour, (way, label) in zip(("C0", "C1"), labels.items(), strict=True):
    mean = [row["mean"] for row in curves[way]]
    least = [row["least"] for row in curves[way]]
    most = [row["most"] for row in curves[way]]
    axes.fill_between(steps, least, most, color=colour, alpha=0.25, linewidth=0)
    axes.plot(steps, mean, color=colour, linewidth=2)
    axes.annotate(label, (steps[3], mean[3]), offsets[way], textcoords="offset points")
axes.set_xlabel("bước học văn bản mới")
axes.set_ylabel("loss kiểm thử")
axes.yaxis.set_major_formatter(lambda value, _: f"{value:.1f}".replace(".", ","))
figure.savefig("pretraining_gain.svg")
