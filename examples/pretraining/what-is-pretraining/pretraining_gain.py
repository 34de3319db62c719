"""Tiền huấn luyện cho được gì: một GPT tí hon học văn bản mới, có và không có tiền huấn luyện.

    python pretraining_gain.py                # văn bản có sẵn trong mọi Python, không cần mạng
    python pretraining_gain.py cua_toi.txt    # văn bản mới là của bạn
    QUICK=1 python pretraining_gain.py        # ít hạt giống và ít bước, để thử nhanh

Tốn (cỡ mặc định): không quá 300 giây, 3 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers matplotlib
Chạy trên Linux, macOS, WSL hay Colab: tiến trình mới được tạo bằng fork.
"""

# %% Chuẩn bị
import ast
import hashlib
import math
import os
import pydoc_data.topics
import statistics
import sys
import sysconfig
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel

QUICK = os.environ.get("QUICK") == "1"
SEEDS = 3  # hạt giống: một lần chạy có thể chỉ là may
OLD_STEPS = 200  # bước tiền huấn luyện, trên văn bản cũ
NEW_STEPS = 40  # bước học văn bản mới
MOST_WINDOWS = None  # đo loss trên cả phần kiểm thử
if QUICK:
    SEEDS = 2
    OLD_STEPS = 16
    NEW_STEPS = 8
    MOST_WINDOWS = 8
POINTS = 8  # đo loss bao nhiêu lần trong lúc học văn bản mới, ngoài lần chưa học
VOCAB = 2000  # cỡ từ vựng
CONTEXT = 64  # số token mô hình nhìn được
BATCH = 16  # cửa sổ mỗi bước
RATE = 1e-3  # tốc độ học
LEAST = 2000  # ký tự của phần kiểm thử: ít hơn thì không đủ cửa sổ để loss đáng tin
# Của thư viện chuẩn; docstring của chúng là văn bản mới.
MODULES = ["_pydecimal", "statistics", "fractions", "random", "datetime", "heapq", "colorsys"]

own_text = Path(sys.argv[-1])  # văn bản của bạn: UTF-8, đoạn cách nhau một dòng trống
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # nếu không, mỗi tiến trình mới lại nhắc một lần
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


def split(text):
    """Phần huấn luyện và phần kiểm thử: cứ mười đoạn thì đoạn cuối để dành.

    Đoạn trùng thì bỏ, để không đoạn nào ở cả hai bên.
    """
    parts = [part.strip() for part in text.split("\n\n")]
    train = []
    test = []
    for place, part in enumerate(part for part in dict.fromkeys(parts) if part):
        side = test if place % 10 == 9 else train
        side.append(part)
    return "\n\n".join(train), "\n\n".join(test)


def tokenizer_of(vocab):
    """Tokenizer học trên phần huấn luyện của văn bản cũ, không bao giờ trên phần kiểm thử."""
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator([texts["train_old"]], vocab_size=vocab, show_progress=False)
    return tokenizer


topics = pydoc_data.topics.topics  # sách tra cứu của ngôn ngữ Python: văn bản cũ
if own_text.suffix == ".txt":
    new_text = own_text.read_text(encoding="utf-8")
else:
    new_text = "\n\n".join(docstrings(module) for module in MODULES)
texts = {}
texts["train_old"], texts["test_old"] = split("\n\n".join(topics[name] for name in sorted(topics)))
texts["train_new"], texts["test_new"] = split(new_text)
if len(texts["test_new"]) < LEAST:
    sys.exit(f"{own_text} quá ngắn, hay có quá ít dòng trống để chia đoạn.")

tokenizer = tokenizer_of(VOCAB)
ids = {}
for name, text in texts.items():
    ids[name] = torch.tensor(tokenizer.encode(text).ids)
    print(f"{name:<10} {len(ids[name])} token")

# %% Vòng huấn luyện


def loss_of(model, tokens, starts):
    """Entropy chéo trung bình: ở mỗi vị trí, đoán token kế tiếp."""
    windows = torch.stack([tokens[start : start + CONTEXT + 1] for start in starts])
    inputs = windows[:, :-1]
    labels = windows[:, 1:]  # nhãn là chính văn bản, dịch đi một chỗ
    logits = model(inputs).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())


@torch.no_grad()
def evaluate(model, tokens):
    """Loss trên phần kiểm thử: cửa sổ không chồng nhau."""
    starts = range(0, len(tokens) - CONTEXT, CONTEXT)
    return loss_of(model, tokens, starts[:MOST_WINDOWS]).item()


def learn(model, tokens, test, steps, seed):
    """Học `steps` bước; trả về loss kiểm thử lúc chưa học và ở POINTS chỗ cách đều."""
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    losses = [evaluate(model, test)]
    for step in range(1, steps + 1):
        starts = torch.randint(len(tokens) - CONTEXT, (BATCH,), generator=order)
        loss = loss_of(model, tokens, starts)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % (steps // POINTS) == 0:
            losses.append(evaluate(model, test))
    return losses


def random_model(seed, vocab=VOCAB):
    """GPT tí hon, trọng số ngẫu nhiên, không dropout để mọi lần đo đều lặp lại được."""
    torch.manual_seed(seed)
    shape = {"n_layer": 3, "n_embd": 128, "n_head": 4, "n_positions": CONTEXT}
    dropout = {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
    config = GPT2Config(vocab_size=vocab, **shape, **dropout, bos_token_id=0, eos_token_id=0)
    return GPT2LMHeadModel(config)


# %% Tiến trình mới


def in_new_process(function, *arguments):
    """Gọi hàm trong một tiến trình mới, trả về cái nó trả về.

    Tiến trình mẹ không bao giờ tự huấn luyện: tiến trình mới chỉ biết văn bản và tệp đã lưu.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        return process.submit(function, *arguments).result()


def column(rows, name):
    """Một cột: giá trị tên `name` của mỗi hàng."""
    return [row[name] for row in rows]


def spread(values):
    """Trung bình, nhỏ nhất và lớn nhất qua các hạt giống."""
    return {"mean": statistics.fmean(values), "least": min(values), "most": max(values)}


# %% Hai từ vựng
print("\n== Hai từ vựng ==")


def untrained_loss(vocab):
    """Mô hình chưa học, cùng văn bản kiểm thử: loss mỗi token, và mỗi byte của văn bản."""
    text = texts["test_old"]
    tokens = torch.tensor(tokenizer_of(vocab).encode(text).ids)
    loss = evaluate(random_model(0, vocab), tokens)
    loss_per_byte = loss * len(tokens) / len(text.encode())
    return {"guess": math.log(vocab), "loss": loss, "byte": loss_per_byte}


whole = in_new_process(untrained_loss, VOCAB)
half = in_new_process(untrained_loss, VOCAB // 2)  # cắt văn bản thành nhiều token hơn
line = "V = {vocab}: ln V {guess:.2f}, loss mỗi token {loss:.2f}, mỗi byte {byte:.2f}"
print(line.format(vocab=VOCAB, **whole))
print(line.format(vocab=VOCAB // 2, **half))

# %% Tiền huấn luyện và lưu
print("\n== Tiền huấn luyện và lưu ==")


def sha256_of(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def pretrain(seed, folder):
    """Học văn bản cũ từ trọng số ngẫu nhiên, lưu, và ghi lại những gì cần để đối chiếu."""
    model = random_model(seed)
    losses = learn(model, ids["train_old"], ids["test_old"], OLD_STEPS, seed)
    model.save_pretrained(folder)
    return {
        "before": losses[0],
        "after": losses[-1],
        "sha256": sha256_of(folder),
        "parameters": model.num_parameters(),
    }


saved = []
for seed in range(SEEDS):
    row = in_new_process(pretrain, seed, root / f"seed-{seed}")
    saved.append(row)
    print(f"hạt giống {seed}: loss kiểm thử {row['before']:.2f} → {row['after']:.2f}")
parameters = saved[0]["parameters"]
print(f"{parameters} tham số")

# %% Tải và học văn bản mới
print("\n== Tải và học văn bản mới ==")


def load_and_learn(seed, folder):
    """Tải bản đã lưu, đo lại nó, rồi học văn bản mới."""
    sha256 = sha256_of(folder)
    model, report = GPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    loaded = evaluate(model, ids["test_old"])
    losses = learn(model, ids["train_new"], ids["test_new"], NEW_STEPS, seed)
    return {
        "sha256": sha256,
        "report_empty": not any(report.values()),
        "loaded": loaded,
        "losses": losses,
        "forgot": evaluate(model, ids["test_old"]) - loaded,
    }


def learn_from_random(seed):
    """Cùng dữ liệu, cùng thứ tự, cùng optimizer; chỉ khác chỗ bắt đầu."""
    model = random_model(1000 + seed)
    return learn(model, ids["train_new"], ids["test_new"], NEW_STEPS, seed)


runs = []
random_losses = []
for seed in range(SEEDS):
    runs.append(in_new_process(load_and_learn, seed, root / f"seed-{seed}"))
    random_losses.append(in_new_process(learn_from_random, seed))

curves = {"pretrained": [], "random": []}
print("bước   đã tiền huấn luyện   từ ngẫu nhiên       (trung bình, nhỏ nhất – lớn nhất)")
for point in range(POINTS + 1):
    pretrained = spread(column(column(runs, "losses"), point))
    random = spread(column(random_losses, point))
    curves["pretrained"].append(pretrained)
    curves["random"].append(random)
    print(f"{point * NEW_STEPS // POINTS:>4}", end="")
    print("   {mean:.2f}  {least:.2f} – {most:.2f}".format(**pretrained), end="")
    print("    {mean:.2f}  {least:.2f} – {most:.2f}".format(**random))


def gaps_of(runs):
    """Học xong văn bản mới, bản đã tiền huấn luyện hơn bản ngẫu nhiên bao nhiêu."""
    gaps = []
    for run, losses in zip(runs, random_losses, strict=True):
        gaps.append(losses[-1] - run["losses"][-1])
    return gaps


gap = spread(gaps_of(runs))
forgot = spread(column(runs, "forgot"))
print("lợi: {mean:.2f} mỗi token ({least:.2f} tới {most:.2f})".format(**gap))
print("quên: loss trên văn bản cũ tăng {mean:.2f} ({least:.2f} tới {most:.2f})".format(**forgot))

# %% Đối chiếu
print("\n== Đối chiếu ==")


def report(checks, name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


def check_saved(checks, saved, runs):
    """Bản vừa tải có đúng là bản đã học, và có đem lại cái lợi của tiền huấn luyện?"""
    same_file = True
    same_loss = True
    for row, run in zip(saved, runs, strict=True):
        if run["sha256"] != row["sha256"] or not run["report_empty"]:
            same_file = False
        if abs(run["loaded"] - row["after"]) > 1e-4:
            same_loss = False
    gain = min(gaps_of(runs)) > 0
    report(checks, "file", same_file, "tiến trình mới đọc đúng tệp, báo cáo tải rỗng")
    report(checks, "loaded", same_loss, "tải xong, loss như lúc lưu")
    report(checks, "gain", gain, "cùng số bước, mọi hạt giống: bản đã tiền huấn luyện tốt hơn")


checks = {}
guessing = all(abs(row["before"] - whole["guess"]) < 0.2 for row in saved)
halved = abs(whole["loss"] - half["loss"] - math.log(2)) < 0.05
learned = all(row["after"] < row["before"] - 0.5 for row in saved)
report(checks, "start", guessing, "bản ngẫu nhiên bắt đầu ở mức đoán bừa")
report(checks, "half", halved, "nửa từ vựng: loss ban đầu bớt ln 2")
higher = half["byte"] > whole["byte"]
report(checks, "byte", higher, "nửa từ vựng: mỗi token thấp hơn, mỗi byte lại cao hơn")
report(checks, "learned", learned, "tiền huấn luyện làm loss kiểm thử giảm hẳn")
check_saved(checks, saved, runs)

# %% Lưu nhầm bản chưa học
print("\n== Lưu nhầm bản chưa học ==")


def save_untrained(seed, folder):
    random_model(seed).save_pretrained(folder)
    return sha256_of(folder)


wrong_saved = []
wrong_runs = []
for seed, row in enumerate(saved):
    folder = root / f"untrained-{seed}"
    sha256 = in_new_process(save_untrained, seed, folder)
    wrong_saved.append({**row, "sha256": sha256})  # tệp lành lặn, chỉ là không phải bản đã học
    wrong_runs.append(in_new_process(load_and_learn, seed, folder))
untrained_checks = {}
check_saved(untrained_checks, wrong_saved, wrong_runs)

# %% Tải nhầm bản của hạt giống khác
print("\n== Tải nhầm bản của hạt giống khác ==")
wrong_runs = []
for seed in range(SEEDS):
    folder = root / f"seed-{(seed + 1) % SEEDS}"
    wrong_runs.append(in_new_process(load_and_learn, seed, folder))
swapped_checks = {}
check_saved(swapped_checks, saved, wrong_runs)
noticed = not untrained_checks["loaded"] and not swapped_checks["loaded"]
report(checks, "wrong_ways", noticed, "đo lại loss phát hiện cả hai cách sai")

# %% Kết quả
old = {"before": spread(column(saved, "before")), "after": spread(column(saved, "after"))}
results = {
    "exact": {
        "checks": checks,
        "ways": {"untrained": untrained_checks, "swapped": swapped_checks},
        "parameters": parameters,
        "tokens": {name: len(tokens) for name, tokens in ids.items()},
        "seeds": SEEDS,
        "pretraining_steps": OLD_STEPS,
        "new_steps": NEW_STEPS,
        "vocabulary": VOCAB,
        "batch": BATCH,
        "context": CONTEXT,
    },
    "approx": {
        "pretrained": dict(enumerate(curves["pretrained"])),
        "random": dict(enumerate(curves["random"])),
        "gap": gap,
        "forgot": forgot,
        "old": old,
        "untrained": {"whole": whole, "half": half},
    },
    "tolerance": {"rel": 0.05, "abs": 0.1},  # số đã học lệch chút ít giữa các máy
    # Python khác bản thì văn bản khác: khi đó chỉ so khoá.
    "data_sha256": hashlib.sha256("\0".join(texts.values()).encode()).hexdigest(),
}
if not all(checks.values()):
    sys.exit("TRƯỢT: bản tải lại không phải bản đã học, hay tiền huấn luyện không cho gì.")

# %% Vẽ
figure, axes = plt.subplots(figsize=(5.2, 3.4))
steps = [point * NEW_STEPS // POINTS for point in range(POINTS + 1)]
names = {"pretrained": "đã tiền huấn luyện", "random": "từ ngẫu nhiên"}
for colour, (way, name) in zip(("C0", "C1"), names.items(), strict=True):
    mean = column(curves[way], "mean")
    least = column(curves[way], "least")
    most = column(curves[way], "most")
    axes.fill_between(steps, least, most, color=colour, alpha=0.25, linewidth=0)
    axes.plot(steps, mean, color=colour, linewidth=2)
    axes.annotate(name, (steps[3], mean[3]), (5, 5), textcoords="offset points")
axes.set_xlabel("bước học văn bản mới")
axes.set_ylabel("loss kiểm thử")
axes.yaxis.set_major_formatter(lambda value, _: f"{value:.1f}".replace(".", ","))
figure.savefig("pretraining_gain.svg")
