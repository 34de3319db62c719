"""Chạy tiếp bằng Trainer của Hugging Face: từng bit như chưa dừng, và nó nói gì khi có thứ hỏng.

    python trainer_resume.py            # mô hình GPT-2 tí hon, dữ liệu tự sinh, không cần mạng
    QUICK=1 python trainer_resume.py    # ít bước hơn, để thử nhanh

Tốn (cỡ mặc định): không quá 600 giây, 2 GiB bộ nhớ, 1 GiB đĩa.
Cần: newest_checkpoint.py nằm cạnh; pip install torch transformers accelerate
Chạy trên Linux, macOS, WSL hay Colab: tiến trình mới được tạo bằng fork.
"""

# %% Chuẩn bị
import contextlib
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import torch
from newest_checkpoint import checkpoints, problem_of
from safetensors.torch import load_file
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

QUICK = os.environ.get("QUICK") == "1"
TOTAL = 48  # số bước huấn luyện
EVERY = 16  # bao nhiêu bước lưu một lần; một epoch là 12 bước nên có bản rơi vào giữa epoch
KILL = 37  # bị giết sau bước này, không phải bước có lưu
if QUICK:
    TOTAL = 15
    EVERY = 5
    KILL = 13
SAVED = KILL // EVERY * EVERY  # checkpoint cuối cùng kịp lưu
LENGTH = 32  # token mỗi câu
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 64, "n_positions": LENGTH}

temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
logs = root / "logs"
logs.mkdir()

# %% Dữ liệu và mô hình


def collate(rows):
    """Gom các câu thành một lô, mỗi câu cắt từ đầu."""
    tokens = torch.stack([row[:LENGTH] for row in rows])
    return {"input_ids": tokens, "labels": tokens}


def collate_random_cut(rows):
    """Như trên, nhưng cắt ở chỗ ngẫu nhiên."""
    cut = random.randrange(16)
    tokens = torch.stack([row[cut : cut + LENGTH] for row in rows])
    return {"input_ids": tokens, "labels": tokens}


def make_model():
    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0))  # dropout 0,1
    model.loss_type = "ForCausalLM"  # loss mặc định, gọi tên ra để Transformers khỏi cảnh báo
    return model


def make_data():
    """192 câu: token sau hơn token trước từ 1 đến 4, quay vòng ở 64."""
    generator = torch.Generator().manual_seed(1)
    first = torch.randint(64, (192, 1), generator=generator)
    rises = torch.randint(1, 5, (192, LENGTH + 16), generator=generator)
    return list((first + rises.cumsum(1)) % 64)


# %% Trainer


def make_trainer(folder, collate=collate, **changes):
    """Phiên nào cũng dựng bằng đúng đoạn mã này; `changes` là TrainingArguments muốn đổi."""
    options = {
        "output_dir": folder,
        "max_steps": TOTAL,  # lịch tốc độ học tính từ số này
        "per_device_train_batch_size": 16,
        "learning_rate": 1e-2,
        "warmup_steps": 4,
        "save_steps": EVERY,
        "save_total_limit": 2,  # chỉ giữ hai checkpoint mới nhất
        "logging_steps": 1,
        "seed": 1,  # dropout và thứ tự dữ liệu
        "use_cpu": True,  # để máy nào cũng chạy như nhau; bạn có GPU thì bỏ dòng này
        "report_to": [],
        "disable_tqdm": True,
        **changes,
    }
    data = make_data()
    arguments = TrainingArguments(**options)
    set_seed(1)
    trainer = Trainer(
        make_model(), arguments, train_dataset=data, eval_dataset=data[:16], data_collator=collate
    )
    trainer.remove_callback(PrinterCallback)  # không in từng bước
    return trainer


def train(trainer):
    """Có checkpoint thì chạy tiếp từ bản mới nhất; chưa có thì bắt đầu."""
    folder = Path(trainer.args.output_dir)
    last = get_last_checkpoint(folder) if folder.is_dir() else None
    trainer.train(resume_from_checkpoint=last)


def train_from_scratch(trainer):
    """Quên resume_from_checkpoint."""
    trainer.train()


def train_resuming(trainer):
    """Cách ngắn nhất của tài liệu."""
    trainer.train(resume_from_checkpoint=True)


# %% Phiên làm việc


class Diary(TrainerCallback):
    """Ghi loss và tốc độ học của từng bước vào một tệp, ngay khi có."""

    def __init__(self, log):
        self.log = log

    def on_log(self, args, state, control, logs, **others):
        if "loss" in logs:
            with self.log.open("a") as stream:
                print(state.global_step, logs["loss"], logs["learning_rate"], file=stream)


class Kill(TrainerCallback):
    """Chết như máy thuê hết giờ: không kịp dọn dẹp."""

    def on_log(self, args, state, control, **others):
        if state.global_step == KILL:
            os.kill(os.getpid(), signal.SIGKILL)


def session(folder, log, how, callbacks, changes):
    """Một phiên trong tiến trình mới; trả về lỗi làm nó dừng (rỗng nếu chạy xong)."""
    torch.set_num_threads(1)  # số luồng đổi thì thứ tự cộng đổi, bit cuối đổi theo
    with log.with_suffix(".said").open("w") as said:
        os.dup2(said.fileno(), 2)  # stderr: những gì Trainer nói
    try:
        trainer = make_trainer(folder, **changes)
        for callback in (Diary(log), *callbacks):
            trainer.add_callback(callback)
        how(trainer)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def run(name, folder, how=train, callbacks=(), **changes):
    """Chạy một phiên rồi gom lại: các bước nó làm, lỗi, và những cảnh báo trên stderr."""
    log = logs / name
    log.touch()
    error = "bị giết"
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        with contextlib.suppress(BrokenProcessPool):
            error = process.submit(session, folder, log, how, callbacks, changes).result()
    steps = {}
    for line in log.read_text().splitlines():
        step, loss, rate = line.split()
        steps[int(step)] = (float(loss), float(rate))
    said = []
    for line in log.with_suffix(".said").read_text().splitlines():
        # lời nhắc về mtime có hay không còn tuỳ máy nhanh chậm, nên bỏ qua
        if line.startswith("[transformers]") and "mtime" not in line:
            said.append(line)
    return {"steps": steps, "error": error.replace(f"{root}/", ""), "said": said}


# %% Chạy một mạch
print("== Chạy một mạch ==")
straight = run("straight", root / "whole", save_total_limit=None)["steps"]
first_loss = straight[1][0]
last_loss = straight[TOTAL][0]
print(f"{len(straight)} bước, loss từ {first_loss:.4f} xuống {last_loss:.4f}")

# %% Trong checkpoint
print("\n== Trong checkpoint ==")
saved = root / "whole" / f"checkpoint-{SAVED}"
sizes = {}
for path in sorted(saved.iterdir()):
    sizes[path.name] = path.stat().st_size
    print(f"{path.name:<22} {sizes[path.name]:>8} B")

# %% Lần chạy đầu tiên
print("\n== Lần chạy đầu tiên ==")
first = run("first", root / "none", train_resuming)
print(first["error"])

# %% Bị giết giữa chừng


def names_in(folder):
    """Tên các checkpoint trong một thư mục, bước nhỏ đứng trước."""
    return [path.name for path in checkpoints(folder)]


print("\n== Bị giết giữa chừng ==")
folder = root / "run"
killed = run("killed", folder, callbacks=[Kill()])
print(f"phiên đầu chết sau bước {len(killed['steps'])}; còn:", *names_in(folder))

# %% Chạy tiếp
print("\n== Chạy tiếp ==")
resumed = run("resumed", folder)
print(f"{len(resumed['steps'])} bước, từ bước {min(resumed['steps'])} đến {max(resumed['steps'])}")
for line in resumed["said"]:
    print("Trainer báo:", line[:88])

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


def first_different(steps, expected, start, place):
    """Bước đầu tiên sau `start` mà số thứ `place` (0: loss, 1: tốc độ học) lệch; 0: giống hết."""
    for step in range(start + 1, TOTAL + 1):
        if step not in steps or steps[step][place] != expected[step][place]:
            return step - start
    return 0


def same_weights(folder):
    """Trọng số ở bước cuối giống lần chạy một mạch từng bit?"""
    name = f"checkpoint-{TOTAL}/model.safetensors"
    if not (folder / name).exists():
        return False
    return (folder / name).read_bytes() == (root / "whole" / name).read_bytes()


def largest_gap(steps, expected, start):
    """Loss lệch nhiều nhất."""
    gaps = [0.0]
    for step in range(start + 1, TOTAL + 1):
        if step in steps:
            gaps.append(abs(steps[step][0] - expected[step][0]))
    return max(gaps)


killed_right = killed["error"] == "bị giết" and len(killed["steps"]) == KILL
report("killed", killed_right, "phiên đầu bị giết, không phải tự dừng")
loss_wrong = first_different(resumed["steps"], straight, SAVED, 0)
rate_wrong = first_different(resumed["steps"], straight, SAVED, 1)
report("losses", loss_wrong == 0, "mọi loss bằng nhau từng bit")
report("rates", rate_wrong == 0, "mọi tốc độ học bằng nhau")
report("weights", same_weights(folder), "trọng số cuối bằng nhau từng bit")
report("first", first["error"] != "", "lần đầu, resume_from_checkpoint=True là lỗi")

# %% Những cách sai


def nothing(folder):
    """Không hỏng gì."""


def without(*names):
    """Hàm xoá vài tệp khỏi checkpoint."""

    def remove(folder):
        for name in names:
            (folder / name).unlink()

    return remove


def plant_code(folder):
    """optimizer.pt bị tráo bằng một pickle chạy mã."""

    class Trap:
        def __reduce__(self):
            return Path.touch, (root / "mã đã chạy",)

    torch.save(Trap(), folder / "optimizer.pt")


def begin_a_newer(folder):
    """Thêm một checkpoint mới hơn vừa mới bắt đầu ghi, như khi bị giết lúc đang lưu vì SIGTERM."""
    newer = folder.with_name(f"checkpoint-{SAVED + 1}")
    newer.mkdir()
    (newer / "checkpoint-is-incomplete.txt").touch()


# %% Trainer nói gì
print("\n== Trainer nói gì ==")
FAULTS = {  # tên: (mô tả, hàm làm hỏng checkpoint, điều đổi ở phiên sau)
    "nothing": ("không sai gì", nothing, {}),
    "optimizer": ("mất optimizer.pt", without("optimizer.pt"), {}),
    "scheduler": ("mất scheduler.pt", without("scheduler.pt"), {}),
    "rng_state": ("mất rng_state.pth", without("rng_state.pth"), {}),
    "max_steps": ("max_steps lớn hơn", nothing, {"max_steps": TOTAL + 12}),
    "augment": ("cắt ngẫu nhiên lúc gom lô", nothing, {"collate": collate_random_cut}),
    "resume": ("quên resume_from_checkpoint", nothing, {"how": train_from_scratch}),
    "trainer_state": ("chưa kịp ghi trainer_state", without("trainer_state.json"), {}),
    "weights": ("chưa kịp ghi trọng số", without("model.safetensors"), {}),
    "incomplete": ("bản mới hơn đang ghi dở", begin_a_newer, {}),
    "pickle": ("optimizer.pt là pickle gài mã", plant_code, {}),
}
random_cut = run("random-cut", root / "random-cut", collate=collate_random_cut)["steps"]
faults = {}
errors = []
print(f"{'':<30} {'loss lệch từ':>12} {'tốc độ học từ':>14} {'cảnh báo':>9}")
for fault, (name, harm, changes) in FAULTS.items():
    folder = root / fault
    copy = folder / saved.name
    shutil.copytree(saved, copy)
    harm(copy)
    problem = problem_of(checkpoints(folder)[-1])  # script để chép có thấy không
    outcome = run(f"fault-{fault}", folder, **changes)
    expected = straight
    if fault == "augment":
        expected = random_cut  # so với lần chạy một mạch cũng cắt ngẫu nhiên
    faults[fault] = {
        "loss": first_different(outcome["steps"], expected, SAVED, 0),
        "rate": first_different(outcome["steps"], expected, SAVED, 1),
        "largest": largest_gap(outcome["steps"], expected, SAVED),
        "warnings": len([line for line in outcome["said"] if "lm_head.weight" not in line]),
        "error": outcome["error"].split(":")[0],
        "done": len(outcome["steps"]),
        "kept": copy.exists(),
        "problem": problem or "",
    }
    found = faults[fault]
    if found["error"]:
        errors.append(f"{name}: {outcome['error']}")
        print(f"{name:<30} {'không chạy':>12} {'':>14} {found['warnings']:>9}")
    else:
        print(f"{name:<30} {found['loss']:>12} {found['rate']:>14} {found['warnings']:>9}")
for error in errors:
    print(textwrap.shorten(error, 110, placeholder=" …"))

# %% Đối chiếu từng cách sai
print("\n== Đối chiếu từng cách sai ==")
silent = ("optimizer", "scheduler", "rng_state", "max_steps", "augment")
for fault in silent:
    quiet = faults[fault]["loss"] > 0 and faults[fault]["warnings"] == 0
    report(fault, quiet and not faults[fault]["error"], f"{FAULTS[fault][0]}: lệch, không báo gì")
right = faults["nothing"]["loss"] == 0 and same_weights(root / "nothing")
report("control", right, "không sai gì: giống từng bit")
report("restarted", faults["resume"]["done"] == TOTAL, "quên resume: chạy lại từ bước đầu")
for fault in ("optimizer", "scheduler", "rng_state", "trainer_state", "weights", "incomplete"):
    seen = faults[fault]["problem"]
    report(f"{fault}_seen", seen != "", f"newest_complete thấy trước: {seen}")
report("whole_seen", faults["nothing"]["problem"] == "", "newest_complete không báo nhầm")
for fault in ("trainer_state", "weights", "incomplete", "pickle"):
    report(fault, faults[fault]["error"] != "", f"{FAULTS[fault][0]}: dừng ngay")
report("code", not (root / "mã đã chạy").exists(), "mã gài trong optimizer.pt không chạy")

# %% SIGTERM


class Terminate(TrainerCallback):
    """Gửi SIGTERM cho chính mình ở bước KILL, rồi đợi quá ba giây mà Trainer dành để chắc chắn."""

    def __init__(self, event):
        self.event = event

    def wait(self, state):
        if state.global_step == KILL:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(4)

    def on_step_end(self, args, state, control, **others):
        if self.event == "giữa hai bước":
            self.wait(state)

    def on_step_begin(self, args, state, control, **others):
        if self.event == "giữa một bước":
            self.wait(state)


# %% Lưu khi có SIGTERM
print("\n== Lưu khi có SIGTERM ==")
moments = {}
for name, event in {"between": "giữa hai bước", "inside": "giữa một bước"}.items():
    folder = root / name
    run(f"term-{name}", folder, callbacks=[Terminate(event)], enable_jit_checkpoint=True)
    last = Path(get_last_checkpoint(folder)).name
    outcome = run(f"after-{name}", folder)
    moments[name] = {
        "checkpoint": last,
        "loss": first_different(outcome["steps"], straight, KILL, 0),
        "weights": same_weights(folder),
    }
    verdict = "giống" if moments[name]["weights"] else "khác"
    print(f"{event}: lưu {last}; chạy tiếp lệch từ bước {moments[name]['loss']}", end="")
    print(f" (0: không lệch), trọng số cuối {verdict}")
report("jit", moments["between"]["weights"], "SIGTERM giữa hai bước: giống từng bit")
report("jit_inside", not moments["inside"]["weights"], "SIGTERM giữa một bước: không giống")

# %% Loss thành NaN


class Poison(TrainerCallback):
    """Một trọng số thành NaN, hai bước sau lần lưu đầu."""

    def on_step_end(self, args, state, control, model, **others):
        if state.global_step == EVERY + 2:
            with torch.no_grad():
                model.transformer.wpe.weight[0, 0] = float("nan")


class StopOnNaN(TrainerCallback):
    """Loss có NaN hay vô cực thì dừng, trước khi bản lành bị xoá."""

    def on_log(self, args, state, control, logs, **others):
        if not math.isfinite(logs.get("loss", 0.0)):
            raise FloatingPointError(f"loss ở bước {state.global_step} không hữu hạn")


def poisoned_in(folder):
    """Những checkpoint có NaN trong trọng số."""
    found = []
    for name in names_in(folder):
        weights = load_file(folder / name / "model.safetensors")
        if not all(tensor.isfinite().all() for tensor in weights.values()):
            found.append(name)
    return found


# %% Trainer lưu cả NaN
print("\n== Trainer lưu cả NaN ==")
folder = root / "nan"
outcome = run("nan", folder, callbacks=[Poison()])
shown = [loss for loss, _ in outcome["steps"].values()]
finite = all(math.isfinite(loss) for loss in shown)
poisoned = poisoned_in(folder)
seen = "không có NaN" if finite else "có NaN"
print(f"{len(shown)} bước, {len(outcome['said'])} cảnh báo; loss trong nhật ký {seen}")
print("checkpoint có NaN:", *poisoned)
report("nan", poisoned == names_in(folder), "mọi checkpoint còn giữ đều có NaN")
guarded = root / "guarded"
callbacks = [Poison(), StopOnNaN()]
stopped = run("guarded", guarded, callbacks=callbacks, logging_nan_inf_filter=False)["error"]
print(f"có StopOnNaN: {stopped}; còn lại:", *names_in(guarded))
clean = names_in(guarded) != [] and poisoned_in(guarded) == []
report("guarded", clean and "FloatingPointError" in stopped, "có StopOnNaN thì bản lành còn đó")

# %% Giữ bản tốt nhất
print("\n== Giữ bản tốt nhất ==")
best = {"load_best_model_at_end": True, "save_total_limit": 1, "metric_for_best_model": "loss"}
wrong = run("best-wrong", root / "best-wrong", **best)["error"]
print(wrong.splitlines()[0])
folder = root / "best"
kept_at_end = run("best", folder, eval_strategy="steps", eval_steps=EVERY, **best)
print("còn lại:", *names_in(folder))
report("best", kept_at_end["error"] == "" and "match" in wrong, "nhịp lưu phải khớp nhịp đánh giá")

# %% Kết quả
exact_faults = {}
approx_faults = {}
for fault, found in faults.items():
    approx_faults[fault] = {"largest": {"value": found.pop("largest"), "rel": 0.9}}
    exact_faults[fault] = found
results = {
    "exact": {
        "checks": checks,
        "files": sorted(sizes),
        "steps": {
            "total": TOTAL,
            "saved": SAVED,
            "killed": KILL,
            "left": len(resumed["steps"]),
            "every": EVERY,
        },
        "faults": exact_faults,
        "warnings": len(resumed["said"]),
        "sigterm": moments,
        "nan": {"finite": finite, "poisoned": len(poisoned), "warnings": len(outcome["said"])},
    },
    "approx": {
        "bytes": {name: {"value": size, "rel": 0.3} for name, size in sizes.items()},
        "loss": {
            "first": {"value": first_loss, "rel": 0.05},
            "last": {"value": last_loss, "rel": 0.05},
        },
        "faults": approx_faults,
    },
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có điều không như dự đoán.")
