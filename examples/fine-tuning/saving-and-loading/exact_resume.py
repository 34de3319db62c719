"""Bị giết rồi chạy tiếp trong tiến trình mới: từng bit như chưa dừng, và giá của thứ bị quên.

    python exact_resume.py            # mô hình GPT-2 tí hon, dữ liệu tự sinh, không cần mạng
    QUICK=1 python exact_resume.py    # ít bước hơn, để thử nhanh

Tốn (cỡ mặc định): không quá 300 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: training_checkpoint.py nằm cạnh; pip install torch transformers matplotlib
Chạy trên Linux, macOS, WSL hay Colab: tiến trình mới được tạo bằng fork.
"""

# %% Chuẩn bị
import os
import random
import signal
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from training_checkpoint import batches, load_latest, newest_whole, restore_rng, save_checkpoint
from transformers import GPT2Config, GPT2LMHeadModel

QUICK = os.environ.get("QUICK") == "1"
TOTAL = 60  # số bước huấn luyện
EVERY = 15  # bao nhiêu bước lưu một lần
KILL = 37  # bị giết sau bước này, không phải bước có lưu
if QUICK:
    TOTAL = 20
    EVERY = 5
    KILL = 13
SAVED = KILL // EVERY * EVERY  # checkpoint cuối cùng kịp lưu
SENTENCES = 188
BATCH = 16  # một epoch là 12 bước, batch cuối chỉ có 12 câu; checkpoint cuối rơi vào giữa epoch
LENGTH = 32  # token mỗi câu
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 64, "n_positions": LENGTH}

temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)

# %% Dữ liệu và mô hình


class Sentences(torch.utils.data.Dataset):
    """Token sau hơn token trước từ 1 đến 4, quay vòng ở 64: có quy luật, không đoán hết được."""

    def __init__(self, seed, count):
        generator = torch.Generator().manual_seed(seed)
        first = torch.randint(64, (count, 1), generator=generator)
        rises = torch.randint(1, 5, (count, LENGTH + 16), generator=generator)
        self.rows = (first + rises.cumsum(1)) % 64

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        cut = random.randrange(16)  # tăng cường dữ liệu: cắt câu ở một chỗ ngẫu nhiên
        return self.rows[index, cut : cut + LENGTH]


def rate_at(step):
    """Tốc độ học so với mức cao nhất: tăng trong sáu bước, rồi giảm đều về 0."""
    return min((step + 1) / 6, 1 - step / TOTAL)


def build():
    """Việc mà phiên nào cũng làm khi khởi động, dù huấn luyện từ đầu hay chạy tiếp."""
    torch.set_num_threads(1)  # số luồng đổi thì thứ tự cộng đổi, bit cuối đổi theo
    torch.manual_seed(0)
    config = GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)  # dropout mặc định: 0,1
    model = GPT2LMHeadModel(config)
    model.loss_type = "ForCausalLM"  # loss mặc định, gọi tên ra để Transformers khỏi cảnh báo
    model.transformer.wpe.requires_grad_(False)  # một lớp đóng băng
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() == 1]
    groups = [
        {"params": matrices, "weight_decay": 0.1},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_at)
    return {"model": model, "optimizer": optimizer, "scheduler": scheduler}


# %% Vòng lặp


def train(parts, step, last, log, folder=None):
    """Chạy từ sau bước `step` đến hết bước `last`, ghi từng loss vào tệp `log`."""
    stream = batches(Sentences(1, SENTENCES), BATCH, seed=0, start=step)
    while step < last:
        tokens = next(stream)
        loss = parts["model"](tokens, labels=tokens).loss
        parts["optimizer"].zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parts["model"].parameters(), 1.0)
        parts["optimizer"].step()
        parts["scheduler"].step()
        step += 1
        with log.open("a") as stream_of_losses:
            stream_of_losses.write(f"{loss.item()}\n")
        if folder and step % EVERY == 0:
            save_checkpoint(folder, step, loss=loss, **parts)


def outcome_of(model):
    """Kết quả cuối: mọi trọng số, và loss trên những câu chưa học."""
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tokens = Sentences(2, 64).rows[:, :LENGTH]
    model.eval()
    with torch.no_grad():
        valid = model(tokens, labels=tokens).loss.item()
    return weights, valid


# %% Tiến trình mới


def in_new_process(function, *arguments):
    """Gọi hàm trong một tiến trình mới, trả về cái nó trả về.

    Tiến trình mẹ không tự huấn luyện: tiến trình mới không thừa hưởng được gì của lần trước.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        return process.submit(function, *arguments).result()


def losses_in(log):
    """Những loss đã kịp ghi, đúng từng bit."""
    return [float(line) for line in log.read_text().splitlines()]


def same(weights, others):
    """Mọi trọng số bằng nhau từng bit?"""
    for name, tensor in weights.items():
        if not torch.equal(tensor.view(torch.uint8), others[name].view(torch.uint8)):
            return False
    return True


# %% Chạy một mạch
print("== Chạy một mạch ==")


def straight_session(log):
    parts = build()
    parts["model"].train()
    train(parts, 0, TOTAL, log)
    return outcome_of(parts["model"])


straight_weights, straight_valid = in_new_process(straight_session, root / "straight")
losses = losses_in(root / "straight")
parameters = sum(tensor.numel() for tensor in straight_weights.values())
parameters -= straight_weights["lm_head.weight"].numel()  # dùng chung với embedding
print(f"{TOTAL} bước, loss từ {losses[0]:.4f} xuống {losses[-1]:.4f}")

# %% Phiên làm việc


def killed_session(folder, log):
    """Huấn luyện từ đầu, có lưu; rồi chết như máy thuê hết giờ: không kịp dọn dẹp."""
    parts = build()
    parts["model"].train()
    train(parts, 0, KILL, log, folder)
    os.kill(os.getpid(), signal.SIGKILL)


def next_session(folder, log):
    """Chỉ biết tên thư mục: dựng lại như lần đầu, tải, chạy nốt số bước còn lại."""
    parts = build()
    step, rng = load_latest(folder, **parts)
    parts["model"].train()
    restore_rng(rng)
    train(parts, step, TOTAL, log)
    return outcome_of(parts["model"])


# %% Bị giết giữa chừng
print("\n== Bị giết giữa chừng ==")
folder = root / "checkpoints"
killed = False
try:
    in_new_process(killed_session, folder, root / "killed")
except BrokenProcessPool:
    killed = True
killed_losses = losses_in(root / "killed")
file = newest_whole(folder)
lost = len(killed_losses) - SAVED
print(f"phiên đầu chết sau bước {len(killed_losses)}; bản cuối là {file.name}, mất {lost} bước")

# %% Chạy tiếp
print("\n== Chạy tiếp ==")


def compare(log, weights, valid):
    """Phiên sau lệch lần chạy một mạch bao nhiêu, từng bước một."""
    gaps = []
    for resumed_loss, straight_loss in zip(losses_in(log), losses[SAVED:], strict=True):
        gaps.append(abs(resumed_loss - straight_loss))
    different = [number for number, gap in enumerate(gaps, 1) if gap > 0]
    return {
        "gaps": gaps,
        "different": len(different),
        "first_different": min(different, default=0),  # 0: không bước nào lệch
        "largest": max(gaps),
        "weights": same(weights, straight_weights),
        "cost": valid - straight_valid,  # dương là xấu hơn
    }


right = compare(root / "right", *in_new_process(next_session, folder, root / "right"))
left = len(right["gaps"])
print(f"phiên sau chạy từ bước {SAVED + 1} đến bước {SAVED + left}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


killed_right = killed and killed_losses == losses[:KILL]
report("killed", killed_right, f"phiên bị giết: {KILL} loss bằng nhau từng bit")
gap_text = f"{right['different']} cái khác, lệch nhiều nhất {right['largest']:.2g}"
report("losses", right["different"] == 0, f"{left} loss: {gap_text}")
report("weights", right["weights"], "trọng số cuối bằng nhau từng bit")
report("valid", right["cost"] == 0, f"loss trên câu chưa học lệch {right['cost']:.2g}")

# %% Tải mà quên một thứ


def load_but_forget(part, file, model, optimizer, scheduler):
    """Như load_latest và restore_rng, chỉ sai ở chỗ mà `part` gọi tên."""
    kept = torch.load(file, weights_only=True)
    if part == "half":  # như thể trọng số đã được lưu bằng bfloat16
        for name, tensor in kept["model"].items():
            kept["model"][name] = tensor.bfloat16()
    if part == "order":  # như thể optimizer được dựng với hai khối đổi chỗ, mỗi khối bốn ma trận
        matrices = optimizer.param_groups[0]["params"]
        matrices[2:] = matrices[6:] + matrices[2:6]
    if part == "frozen":  # như thể mã dựng mô hình không đóng băng gì
        model.requires_grad_(True)
    model.load_state_dict(kept["model"], assign=(part == "assign"))
    if part != "optimizer":
        optimizer.load_state_dict(kept["optimizer"])
    if part != "scheduler":
        scheduler.load_state_dict(kept["scheduler"])
    if part != "rng":
        restore_rng(kept["rng"])
    model.train(part != "eval")  # from_pretrained trả về mô hình ở eval()
    if part == "position":
        return 0
    return kept["step"]


def forgetful_session(part, file, log):
    parts = build()
    step = load_but_forget(part, file, **parts)
    train(parts, step, step + TOTAL - SAVED, log)
    return outcome_of(parts["model"])


# %% Quên từng thứ
print("\n== Quên từng thứ ==")
PARTS = {
    "nothing": "không quên gì",  # để biết: lệch là do quên, không phải do cách thử
    "optimizer": "trạng thái optimizer",
    "scheduler": "trạng thái scheduler",
    "rng": "trạng thái RNG",
    "position": "vị trí dữ liệu",
    "eval": "model.train()",
    "order": "thứ tự tham số",
    "frozen": "đóng băng (requires_grad)",
    "assign": "tải bằng assign=True",
    "half": "lưu bằng bfloat16",
}
ways = {}
print(f"{'quên':<26} {'lệch từ':>8} {'nhiều nhất':>11} {'trọng số':>9} {'câu chưa học':>13}")
for part, name in PARTS.items():
    log = root / part
    way = compare(log, *in_new_process(forgetful_session, part, file, log))
    verdict = "giống" if way["weights"] else "khác"
    print(f"{name:<26} {way['first_different']:>8} {way['largest']:>11.2g}", end="")
    print(f" {verdict:>9} {way['cost']:>13.2g}")
    ways[part] = way

noticed = [part for part, way in ways.items() if way["different"] and not way["weights"]]
control = ways["nothing"]["different"] == 0 and ways["nothing"]["weights"]
report("control", control, "không quên gì: giống từng bit")
report("forgotten", len(noticed) == len(PARTS) - 1, f"quên một thứ: {len(noticed)} cách đều lộ")

# %% Được báo trước
print("\n== Được báo trước ==")


def polite_session(folder, log):
    """Gặp SIGTERM giữa bước KILL: làm nốt bước đó, lưu, rồi thoát."""
    asked = []

    def remember(number, frame):
        asked.append(number)  # chỉ ghi nhớ: lưu giữa một bước thì trạng thái dở dang

    signal.signal(signal.SIGTERM, remember)
    parts = build()
    parts["model"].train()
    for step in range(TOTAL):
        if step + 1 == KILL:
            os.kill(os.getpid(), signal.SIGTERM)  # máy báo: sắp thu hồi
        train(parts, step, step + 1, log)
        if asked:
            save_checkpoint(folder, step + 1, **parts)
            return step + 1


warned = root / "warned"
stopped = in_new_process(polite_session, warned, root / "before")
before = losses_in(root / "before")
weights, valid = in_new_process(next_session, warned, root / "after")
after = losses_in(root / "after")
print(f"phiên đầu thoát ở bước {stopped}; phiên sau chạy nốt {len(after)} bước")
polite = before + after == losses and same(weights, straight_weights)
report("polite", polite, "không mất bước nào, giống từng bit")

# %% Kết quả
exact_ways = {}
approx_ways = {}
for part, way in ways.items():
    exact_ways[part] = {"first_different": way["first_different"], "weights": way["weights"]}
    approx_ways[part] = {
        "different": {"value": way["different"], "abs": 3},
        "largest": {"value": way["largest"], "rel": 0.9},
        "cost": {"value": way["cost"], "abs": 0.02},
    }
results = {
    "exact": {
        "checks": checks,
        "parameters": parameters,
        "first_different": right["first_different"],
        "steps": {"total": TOTAL, "saved": SAVED, "killed": KILL, "lost": lost, "left": left},
        "ways": exact_ways,
    },
    "approx": {
        "bytes": {"checkpoint": file.stat().st_size, "weights": 4 * parameters},
        "first_loss": {"value": losses[0], "rel": 0.05},
        "last_loss": {"value": losses[-1], "rel": 0.05},
        "ways": approx_ways,
    },
}
if not all(checks.values()):
    sys.exit("TRƯỢT: chạy tiếp không giống như chưa hề dừng.")

# %% Vẽ
steps = range(SAVED + 1, TOTAL + 1)
figure, panes = plt.subplots(
    5, 2, figsize=(5.2, 7.6), sharex=True, sharey=True, layout="constrained"
)
*panels, legend = panes.flat
forgotten = [part for part in PARTS if part != "nothing"]
for axes, part in zip(panels, forgotten, strict=True):
    # Quên RNG đứng ở mọi ô, làm thước đo: riêng ngẫu nhiên đã làm lệch chừng này.
    axes.plot(steps, ways["rng"]["gaps"], color="C1", linewidth=1, linestyle=":")
    axes.plot(steps, ways[part]["gaps"], color="C0", linewidth=1.8)
    axes.set_yscale("log", nonpositive="mask")  # bước không lệch thì không có điểm
    axes.set_title(PARTS[part], loc="left", fontsize=11)
panels[-2].tick_params(labelbottom=True)
legend.axis("off")
legend.plot([0, 0.18], [0.8, 0.8], color="C0", linewidth=1.8, transform=legend.transAxes)
legend.text(0.24, 0.8, "quên thứ đó", va="center", transform=legend.transAxes)
legend.plot([0, 0.18], [0.55, 0.55], color="C1", linestyle=":", transform=legend.transAxes)
legend.text(0.24, 0.55, "quên RNG", va="center", transform=legend.transAxes)
figure.supylabel("loss lệch (thang logarit)", fontsize=11)
figure.supxlabel("bước", fontsize=11)
figure.savefig("exact_resume.svg")
