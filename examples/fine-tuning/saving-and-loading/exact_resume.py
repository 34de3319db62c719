"""Lưu checkpoint, bị giết giữa chừng, đi tiếp trong tiến trình mới: từng bit như chưa hề dừng.

    python exact_resume.py            # mô hình GPT-2 tí hon, dữ liệu tự sinh, không cần mạng
    QUICK=1 python exact_resume.py    # ít bước hơn, để thử nhanh

Tốn (cỡ mặc định): không quá 120 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers matplotlib
Chạy trên Linux, macOS, WSL hay Colab: tiến trình mới được tạo bằng fork.
"""

# %% Chuẩn bị
import hashlib
import os
import random
import signal
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot as plt
import torch
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
SENTENCES = 192
BATCH = 16  # một epoch là 12 bước: checkpoint cuối rơi vào giữa epoch
LENGTH = 32  # token mỗi câu
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 64, "n_positions": LENGTH}

temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
folder = Path(temporary.name)
file = folder / "checkpoint.pt"

# %% Checkpoint


def save_checkpoint(file, model, optimizer, scheduler, step):
    """Ghi mọi thứ cần để đi tiếp. Bị giết lúc nào, `file` cũng trọn vẹn: bản cũ hoặc bản mới."""
    kept = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),  # AdamW nhớ hai tensor cho mỗi tham số
        "scheduler": scheduler.state_dict(),
        "torch_rng": torch.get_rng_state(),  # dropout; có GPU: torch.cuda.get_rng_state_all()
        "python_rng": random.getstate(),  # dùng bộ sinh số ngẫu nhiên nào thì lưu bộ đó
        "step": step,  # số bước đã xong, cũng là vị trí trong dữ liệu
    }
    temporary = file.with_suffix(".tmp")
    with temporary.open("wb") as stream:
        torch.save(kept, stream)
        stream.flush()
        os.fsync(stream.fileno())  # xuống tới đĩa rồi mới đổi tên
    temporary.replace(file)  # một thao tác không chia được: không ai gặp tệp ghi dở


def load_checkpoint(file, model, optimizer, scheduler):
    """Đưa mọi thứ về đúng lúc lưu; trả về số bước đã xong. Gọi sau khi đã dựng cả ba."""
    kept = torch.load(file, map_location="cpu", weights_only=True)
    model.load_state_dict(kept["model"])
    optimizer.load_state_dict(kept["optimizer"])
    scheduler.load_state_dict(kept["scheduler"])
    torch.set_rng_state(kept["torch_rng"])
    random.setstate(kept["python_rng"])
    model.train()
    return kept["step"]


# %% Huấn luyện


def rate_at(step):
    """Tốc độ học so với mức cao nhất: tăng trong sáu bước, rồi giảm đều về 0."""
    return min((step + 1) / 6, 1 - step / TOTAL)


def build():
    """Việc mà tiến trình nào cũng làm khi khởi động, dù huấn luyện từ đầu hay đi tiếp."""
    torch.set_num_threads(1)  # số luồng đổi thì thứ tự cộng đổi, bit cuối đổi theo
    torch.manual_seed(0)
    random.seed(0)
    config = GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)  # dropout mặc định: 0,1
    model = GPT2LMHeadModel(config)
    model.loss_type = "ForCausalLM"  # loss: đoán token kế tiếp
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() == 1]
    groups = [
        {"params": matrices, "weight_decay": 0.1},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_at)
    return model, optimizer, scheduler


def sentences(seed, count):
    """Token sau hơn token trước từ 1 đến 4, quay vòng ở 64: có quy luật, không đoán hết được."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(64, (count, 1), generator=generator)
    rises = torch.randint(1, 5, (count, LENGTH + 16), generator=generator)
    return (first + rises.cumsum(1)) % 64


def batch_at(data, step):
    """Các câu của một bước. Thứ tự chỉ tính từ hạt, epoch và số bước."""
    epoch, place = divmod(step, SENTENCES // BATCH)
    order = torch.randperm(SENTENCES, generator=torch.Generator().manual_seed(epoch))
    chosen = order[place * BATCH : (place + 1) * BATCH]
    cut = random.randrange(16)  # tăng cường dữ liệu: cắt câu ở một chỗ ngẫu nhiên
    return data[chosen, cut : cut + LENGTH]


def train(model, optimizer, scheduler, start, count, log, file=None):
    """Chạy `count` bước, ghi từng loss vào tệp `log`; có `file` thì cứ EVERY bước lưu một lần."""
    data = sentences(1, SENTENCES)
    for step in range(start, start + count):
        tokens = batch_at(data, step)
        loss = model(tokens, labels=tokens).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        with log.open("a") as stream:
            stream.write(f"{loss.item()}\n")
        if file and (step + 1) % EVERY == 0:
            save_checkpoint(file, model, optimizer, scheduler, step + 1)


def outcome_of(model):
    """Kết cục: SHA-256 trên byte của mọi trọng số, và loss trên những câu chưa học."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.flatten().view(torch.uint8).numpy())
    tokens = sentences(2, 64)[:, :LENGTH]
    model.eval()
    with torch.no_grad():
        valid = model(tokens, labels=tokens).loss.item()
    return digest.hexdigest(), valid


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


# %% Chạy một mạch
print("== Chạy một mạch ==")


def straight_session(log):
    model, optimizer, scheduler = build()
    train(model, optimizer, scheduler, 0, TOTAL, log)
    return model.num_parameters(), *outcome_of(model)


straight = folder / "straight"
parameters, straight_weights, straight_valid = in_new_process(straight_session, straight)
losses = losses_in(straight)
print(f"{TOTAL} bước, loss từ {losses[0]:.4f} xuống {losses[-1]:.4f}")

# %% Phiên làm việc


def killed_session(file, log):
    """Huấn luyện từ đầu, có lưu; rồi chết như máy thuê hết giờ: không kịp dọn dẹp."""
    model, optimizer, scheduler = build()
    train(model, optimizer, scheduler, 0, KILL, log, file)
    os.kill(os.getpid(), signal.SIGKILL)


def next_session(file, log, load):
    """Chỉ biết tên tệp checkpoint: dựng lại, tải, chạy nốt số bước còn lại."""
    model, optimizer, scheduler = build()
    step = load(file, model, optimizer, scheduler)
    train(model, optimizer, scheduler, step, TOTAL - SAVED, log)
    return step, *outcome_of(model)


# %% Bị giết giữa chừng
print("\n== Bị giết giữa chừng ==")
killed = False
try:
    in_new_process(killed_session, file, folder / "killed")
except BrokenProcessPool:
    killed = True
killed_losses = losses_in(folder / "killed")
lost = len(killed_losses) - SAVED
print(f"phiên đầu chết sau bước {len(killed_losses)}; ", end="")
print(f"checkpoint cuối ở bước {SAVED}, mất {lost} bước")

# %% Đi tiếp
print("\n== Đi tiếp ==")


def resume(name, load):
    """Chạy phiên sau trong tiến trình mới, rồi so với lần chạy một mạch."""
    log = folder / name
    step, weights, valid = in_new_process(next_session, file, log, load)
    gaps = []
    for resumed_loss, straight_loss in zip(losses_in(log), losses[SAVED:], strict=True):
        gaps.append(abs(resumed_loss - straight_loss))
    different = [number for number, gap in enumerate(gaps, 1) if gap > 0]
    return {
        "step": step,
        "gaps": gaps,
        "different": len(different),
        "first_different": min(different, default=0),  # 0: không bước nào lệch
        "largest": max(gaps),
        "weights": weights == straight_weights,
        "cost": valid - straight_valid,  # dương là xấu hơn
    }


right = resume("right", load_checkpoint)
left = len(right["gaps"])
print(f"phiên sau đi từ bước {right['step'] + 1} đến bước {right['step'] + left}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


killed_right = killed and killed_losses == losses[:KILL]
report("killed", killed_right, f"phiên bị giết: {KILL} loss bằng nhau từng bit")
report("position", right["step"] == SAVED, f"phiên sau đi tiếp từ bước {SAVED + 1}")
gap_text = f"{right['different']} cái khác, lệch nhiều nhất {right['largest']:.2g}"
report("losses", right["different"] == 0, f"{left} loss: {gap_text}")
report("weights", right["weights"], "trọng số cuối bằng nhau từng bit")
report("valid", right["cost"] == 0, f"loss trên câu chưa học lệch {right['cost']:.2g}")

# %% Tải mà quên một thứ


def load_but_forget(part, file, model, optimizer, scheduler):
    """Như load_checkpoint, chỉ sai ở chỗ mà `part` gọi tên."""
    kept = torch.load(file, map_location="cpu", weights_only=True)
    if part == "half":  # như thể trọng số đã được lưu bằng bfloat16
        for name, tensor in kept["model"].items():
            kept["model"][name] = tensor.bfloat16()
    if part == "order":  # như thể optimizer được dựng với hai khối đổi chỗ, mỗi khối bốn ma trận
        matrices = optimizer.param_groups[0]["params"]
        matrices[2:] = matrices[6:] + matrices[2:6]
    model.load_state_dict(kept["model"], assign=(part == "assign"))
    if part != "optimizer":
        optimizer.load_state_dict(kept["optimizer"])
    if part != "scheduler":
        scheduler.load_state_dict(kept["scheduler"])
    if part != "torch_rng":
        torch.set_rng_state(kept["torch_rng"])
    if part != "python_rng":
        random.setstate(kept["python_rng"])
    model.train(part != "eval")  # from_pretrained trả về mô hình ở eval()
    if part == "position":
        return 0
    return kept["step"]


# %% Quên từng thứ
print("\n== Quên từng thứ ==")
PARTS = {
    "nothing": "không quên gì",  # để biết: lệch là do quên, không phải do cách thử
    "optimizer": "trạng thái optimizer",
    "scheduler": "trạng thái scheduler",
    "torch_rng": "RNG của torch",
    "python_rng": "RNG của Python",
    "position": "vị trí dữ liệu",
    "eval": "model.train()",
    "order": "thứ tự tham số",
    "assign": "tải bằng assign=True",
    "half": "lưu bằng bf16",
}
ways = {}
print(f"{'quên':<21} {'lệch từ':>8} {'nhiều nhất':>11} {'trọng số':>9} {'câu chưa học':>13}")
for part, name in PARTS.items():
    way = resume(part, partial(load_but_forget, part))
    same = "giống" if way["weights"] else "khác"
    print(f"{name:<21} {way['first_different']:>8} {way['largest']:>11.2g}", end="")
    print(f" {same:>9} {way['cost']:>13.2g}")
    ways[part] = way

noticed = [part for part, way in ways.items() if way["different"] and not way["weights"]]
control = ways["nothing"]["different"] == 0 and ways["nothing"]["weights"]
report("control", control, "không quên gì: giống từng bit")
report("forgotten", len(noticed) == len(PARTS) - 1, f"quên một thứ: {len(noticed)} cách đều lộ")

# %% Kết quả
exact_ways = {}
approx_ways = {}
for part, way in ways.items():
    exact_ways[part] = {
        "first_different": way["first_different"],
        "weights": way["weights"],
        "step": way["step"],
    }
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
        "bytes": {"checkpoint": file.stat().st_size, "weights": 4 * parameters},
        "steps": {"total": TOTAL, "saved": SAVED, "killed": KILL, "lost": lost, "left": left},
        "ways": exact_ways,
    },
    "approx": {
        "first_loss": {"value": losses[0], "rel": 0.05},
        "last_loss": {"value": losses[-1], "rel": 0.05},
        "ways": approx_ways,
    },
}
if not all(checks.values()):
    sys.exit("TRƯỢT: đi tiếp không giống như chưa hề dừng.")

# %% Vẽ
steps = range(SAVED + 1, TOTAL + 1)
figure, panes = plt.subplots(
    5, 2, figsize=(5.2, 7.6), sharex=True, sharey=True, layout="constrained"
)
*panels, legend = panes.flat
forgotten = [part for part in PARTS if part != "nothing"]
for axes, part in zip(panels, forgotten, strict=True):
    # Quên RNG của torch đứng ở mọi ô, làm thước đo: riêng ngẫu nhiên đã làm lệch chừng này.
    axes.plot(steps, ways["torch_rng"]["gaps"], color="C1", linewidth=1, linestyle=":")
    axes.plot(steps, ways[part]["gaps"], color="C0", linewidth=1.8)
    axes.set_yscale("log", nonpositive="mask")  # bước không lệch thì không có điểm
    axes.set_title(PARTS[part], loc="left", fontsize=11)
panels[-2].tick_params(labelbottom=True)
legend.axis("off")
legend.plot([0, 0.18], [0.8, 0.8], color="C0", linewidth=1.8, transform=legend.transAxes)
legend.text(0.24, 0.8, "quên thứ đó", va="center", transform=legend.transAxes)
legend.plot([0, 0.18], [0.55, 0.55], color="C1", linestyle=":", transform=legend.transAxes)
legend.text(0.24, 0.55, "quên RNG của torch", va="center", transform=legend.transAxes)
figure.supylabel("loss lệch (thang logarit)", fontsize=11)
figure.supxlabel("bước", fontsize=11)
figure.savefig("exact_resume.svg")
