"""Huấn luyện tiếp bằng Trainer của Hugging Face: checkpoint chứa gì, và từng bit có như chưa hề dừng không.

    python trainer_resume.py                    # mô hình GPT-2 tí hon, dữ liệu tự sinh, không cần mạng
    python trainer_resume.py --break optimizer  # checkpoint mất optimizer.pt: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 60 giây, 2 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers accelerate
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import inspect
import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 64, "n_positions": 32}
TOTAL, EVERY, KILL = 48, 16, 37  # số bước; bao nhiêu bước lưu một lần; bị giết sau bước này, không phải bước có lưu
SAVED = KILL // EVERY * EVERY  # checkpoint cuối cùng kịp lưu; một epoch là 12 bước nên nó rơi vào giữa epoch
WAYS = {  # tên: (sai gì, tệp bị xoá khỏi checkpoint, chữ trong mã của phiên sau, chữ thay vào đó)
    "optimizer": ("mất optimizer.pt", "optimizer.pt", "", ""),
    "scheduler": ("mất scheduler.pt", "scheduler.pt", "", ""),
    "rng_state": ("mất rng_state.pth", "rng_state.pth", "", ""),
    "trainer_state": ("chưa kịp ghi trainer_state.json", "trainer_state.json", "", ""),
    "pickle": ("optimizer.pt là pickle gài mã", "optimizer.pt", "", ""),
    "resume": ("quên resume_from_checkpoint", "", "resume_from_checkpoint=last", ""),
    "max_steps": ("max_steps lớn hơn", "", "max_steps=TOTAL", "max_steps=TOTAL + 12"),
    "augment": ("cắt câu ngẫu nhiên lúc gom batch", "", "", ""),
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="fault", choices=WAYS, help="làm sai một thứ khi đi tiếp, để xem đối chứng trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import accelerate  # noqa: F401  Trainer cần nó
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, PrinterCallback, Trainer, TrainingArguments, set_seed
    from transformers.trainer_utils import get_last_checkpoint
    from transformers.utils import logging
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers accelerate\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
temporary = tempfile.TemporaryDirectory()
straight, sessions, whole, mark = (Path(temporary.name, name) for name in ("straight", "sessions", "whole", "mark"))
RANDOM_CUT = args.fault == "augment"

# %% Trainer


def collate(rows):
    """Gom các câu thành một batch; chỗ cắt cố định, trừ khi có `--break augment`."""
    cut = random.randrange(16) if RANDOM_CUT else 0
    tokens = torch.stack([row[0][cut : cut + 32] for row in rows])
    return {"input_ids": tokens, "labels": tokens}


def build(folder):
    """Phiên nào cũng dựng bằng đúng đoạn mã này, dù là phiên đầu hay phiên đi tiếp."""
    torch.set_num_threads(1)  # số luồng đổi thì thứ tự cộng đổi, bit cuối đổi theo
    set_seed(1)  # trước khi dựng mô hình
    model = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0))  # dropout mặc định: 0,1
    model.loss_type = "ForCausalLM"  # loss: đoán token kế tiếp
    first, more = torch.randint(64, (192, 1)), torch.randint(1, 5, (192, 48))
    data = torch.utils.data.TensorDataset((first + more.cumsum(1)) % 64)  # token sau hơn token trước từ 1 đến 4
    options = TrainingArguments(
        output_dir=folder,
        max_steps=TOTAL,  # lịch tốc độ học tính từ số này
        per_device_train_batch_size=16,
        learning_rate=1e-2,
        warmup_steps=6,
        save_steps=EVERY,
        save_total_limit=2,  # chỉ giữ hai checkpoint mới nhất
        logging_steps=1,
        seed=1,  # dropout và thứ tự dữ liệu
        **{"use_cpu": True, "report_to": [], "disable_tqdm": True},
    )
    trainer = Trainer(model, options, train_dataset=data, data_collator=collate)
    trainer.remove_callback(PrinterCallback)  # không in từng bước
    return trainer


def train(trainer):
    """Có checkpoint thì đi tiếp từ bản mới nhất; chưa có thì bắt đầu."""
    folder = Path(trainer.args.output_dir)
    last = get_last_checkpoint(folder) if folder.is_dir() else None
    trainer.train(resume_from_checkpoint=last)


# %% Chạy một mạch
print("== Chạy một mạch ==")
logging.set_verbosity_error()  # tiến trình này chỉ để so; lời báo của Trainer thì xem ở các phiên bên dưới
trainer = build(straight)
train(trainer)
rows = [[row["step"], row["loss"], row["learning_rate"]] for row in trainer.state.log_history if "loss" in row]
print(f"{len(rows)} bước, loss từ {rows[0][1]:.4f} xuống {rows[-1][1]:.4f}")

# %% Trong checkpoint
print("\n== Trong checkpoint ==")
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.trainer_pt_utils import safe_globals

checkpoint, files = straight / f"checkpoint-{SAVED}", {}
for path in sorted(checkpoint.iterdir()):
    files[path.name] = "không phải pickle"
    if path.suffix not in (".json", ".safetensors"):
        try:
            with safe_globals():  # cho phép vài kiểu của NumPy, như Trainer làm khi mở rng_state.pth
                files[path.name] = "pickle: " + ", ".join(list(torch.load(path, weights_only=True))[:3])
        except Exception as error:
            files[path.name] = f"pickle, weights_only=True từ chối: {type(error).__name__}"
sizes = {name: (checkpoint / name).stat().st_size for name in files}
print(*(f"{name:<22} {sizes[name]:>7} B  {text}" for name, text in files.items()), sep="\n")
trainer.processing_class = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, "a")))
trainer.save_model(str(whole))
extra = [path.name for path in sorted(whole.iterdir()) if path.name not in files]
print("Trainer có processing_class thì lưu thêm:", *extra)

# %% Phiên làm việc
SESSION = f"""
import json, os, random, signal, sys, torch
from pathlib import Path
from transformers import GPT2Config, GPT2LMHeadModel, PrinterCallback, Trainer, TrainingArguments, set_seed
from transformers.trainer_callback import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint
TINY, TOTAL, EVERY, RANDOM_CUT = {TINY}, {TOTAL}, {EVERY}, {RANDOM_CUT}
{"".join(map(inspect.getsource, (collate, build, train)))}
class Watch(TrainerCallback):
    def on_log(self, args, state, control, logs, **others):
        if "loss" in logs:
            print(json.dumps([state.global_step, logs["loss"], logs["learning_rate"]]), flush=True)
        if state.global_step == int(sys.argv[2]):  # như máy thuê hết giờ. Windows không có SIGKILL
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
trainer = build(sys.argv[1])
trainer.add_callback(Watch())
train(trainer)
"""


def session(program, kill=0):
    """Chạy một tiến trình mới; trả về mã thoát, các bước nó kịp làm, và những lời cảnh báo hay lỗi."""
    command = [sys.executable, "-X", "utf8", "-c", program, str(sessions), str(kill)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
    # lời nhắc về mtime có hay không còn tuỳ máy nhanh chậm, nên bỏ qua
    wanted = r"^\[transformers\] (?!mtime).*|^[\w.]+(?:Error|Warning): .*?(?=\. |$)"
    said = re.findall(wanted, done.stderr.replace(str(sessions), "…"), re.MULTILINE)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], said


# %% Bị giết giữa chừng
print("\n== Bị giết giữa chừng ==")
if args.fault:
    sessions.mkdir()
    checkpoint = checkpoint.rename(sessions / checkpoint.name)
    print("bỏ qua: lấy checkpoint của lần chạy một mạch")
else:
    code, steps, _ = session(SESSION, KILL)
    killed = code != 0 and steps == rows[:KILL]
    checkpoint = sessions / checkpoint.name
    print(f"phiên đầu chết sau bước {len(steps)}; còn giữ:", *sorted(path.name for path in sessions.iterdir()))

# %% Đi tiếp
print("\n== Đi tiếp ==")
wrong, lost, text, instead = WAYS.get(args.fault, ("không gì", "", "", ""))
if lost:
    (checkpoint / lost).unlink()
if args.fault == "pickle":
    evil = type("Evil", (), {"__reduce__": lambda self: (exec, (f"open({str(mark)!r}, 'w')",))})
    torch.save(evil(), checkpoint / lost)
saved_at = (checkpoint / "config.json").stat().st_mtime_ns
code, steps, said = session(SESSION.replace(text, instead) if text else SESSION)
print(f"sai: {wrong}; {len(steps)} bước" + (f", từ bước {steps[0][0]} đến bước {steps[-1][0]}" if steps else ""))
print("Trainer báo:", *(said or ["không gì"]), sep="\n    ")

# %% Đối chứng
print("\n== Đối chứng ==")
new = {step: row for step, *row in steps}
gaps = [abs(new[step][0] - loss) if step in new else 99 for step, loss, _ in rows[SAVED:]]  # 99: không có bước ấy
rates = [number for number, (step, _, rate) in enumerate(rows[SAVED:], 1) if step not in new or new[step][1] != rate]
losses = [number for number, gap in enumerate(gaps, 1) if gap]
final = [folder / f"checkpoint-{TOTAL}" / "model.safetensors" for folder in (straight, sessions)]
equal = code == 0 and final[0].read_bytes() == final[1].read_bytes()
kept = checkpoint.is_dir() and (checkpoint / "config.json").stat().st_mtime_ns == saved_at
checks = {
    "finished": ("phiên sau chạy xong", code == 0),
    "position": (f"phiên sau chạy từ bước {SAVED + 1} đến {TOTAL}", list(new) == [*range(SAVED + 1, TOTAL + 1)]),
    "losses": (f"{len(gaps)} loss: {len(losses)} cái khác hoặc không có", not losses),
    "rates": (f"{len(gaps)} tốc độ học: {len(rates)} cái khác hoặc không có", not rates),
    "weights": (f"trọng số ở bước {TOTAL} bằng nhau từng bit", equal),
    "kept": (f"checkpoint-{SAVED} còn đó, không bị ghi đè", kept),
    "code": ("không mã lạ nào chạy", not mark.exists()),
}
if not args.fault:
    checks = {"killed": (f"phiên bị giết: {KILL} bước giống từng bit", killed), **checks}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "files": files, "with_processing_class": extra, "said": said}
    exact["beyond_tied"] = sum("lm_head.weight" not in line for line in said)  # số lời báo khác
    exact["first_different"] = {"loss": (losses or [0])[0], "rate": (rates or [0])[0]}
    exact["steps"] = {"total": TOTAL, "saved": SAVED, "killed": KILL, "left": TOTAL - SAVED, "done": len(steps)}
    approx = {  # trong training_args.bin có đường dẫn, trong trainer_state.json có số thực: cỡ đổi theo máy
        "bytes": {name: {"value": size, "rel": 0.3} for name, size in sizes.items()},
        "different": {"losses": {"value": len(losses), "abs": 3}, "rates": {"value": len(rates), "abs": 3}},
        "loss": {"first": {"value": rows[0][1], "rel": 0.05}, "last": {"value": rows[-1][1], "rel": 0.05}},
        "largest": {"value": max(gaps), "rel": 0.9},
    }
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: đi tiếp không giống như chưa hề dừng.\n")
print("ĐÃ CHỨNG MINH: đi tiếp bằng Trainer giống từng bit như chưa hề dừng.")
