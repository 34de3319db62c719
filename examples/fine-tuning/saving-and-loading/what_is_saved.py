"""Ba cách lưu giữ gì: state_dict, thư mục Hugging Face, checkpoint. Dựng lại, hỏi từng thứ.

    python what_is_saved.py            # cỡ GPT-2 small, không cần mạng
    QUICK=1 python what_is_saved.py    # mô hình tí hon, để thử nhanh

Tốn (cỡ mặc định): không quá 400 giây, 6 GiB bộ nhớ, 3 GiB đĩa.
Cần: pip install torch transformers tokenizers matplotlib
"""

# %% Chuẩn bị
import os
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from transformers import (
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    logging,
)

QUICK = os.environ.get("QUICK") == "1"
SIZE = {}  # GPT2Config() để nguyên là GPT-2 small
if QUICK:
    SIZE = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."
STEPS = 2  # optimizer chỉ có trạng thái sau bước đầu tiên

logging.set_verbosity_error()
logging.disable_progress_bar()
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)

# %% Huấn luyện hai bước
print("== Huấn luyện hai bước ==")
letters = ByteLevelBPETokenizer()
letters.train_from_iterator(
    [TEXT], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False
)
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=Tokenizer.from_str(letters.to_str()), eos_token="<|endoftext|>"
)
ids = torch.tensor([tokenizer(TEXT).input_ids])
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(**SIZE, bos_token_id=0, eos_token_id=0)).train()
model.transformer.wpe.requires_grad_(False)  # đóng băng embedding vị trí
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=10)
for _ in range(STEPS):
    model(ids, labels=ids).loss.backward()
    optimizer.step()
    scheduler.step()
    optimizer.zero_grad()
print(f"{model.num_parameters()} tham số, {STEPS} bước")

# %% Lưu ba cách
torch.save(model.state_dict(), root / "state_dict.pt")

model.save_pretrained(root / "folder")
tokenizer.save_pretrained(root / "folder")

checkpoint = {
    "model": model.state_dict(),
    "optimizer": optimizer.state_dict(),
    "scheduler": scheduler.state_dict(),
    "step": STEPS,
    "rng": torch.get_rng_state(),
}
torch.save(checkpoint, root / "checkpoint.pt")
expected_random = torch.rand(3).tolist()  # ba số ngẫu nhiên đầu tiên sau lúc lưu

# %% Dựng lại từ từng cách


def new_model():
    """Cấu hình này là của bạn: hai cách đầu và cuối không giữ nó."""
    return GPT2LMHeadModel(GPT2Config(**SIZE, bos_token_id=0, eos_token_id=0))


def from_state_dict():
    restored = new_model()
    restored.load_state_dict(torch.load(root / "state_dict.pt", weights_only=True))
    return {"model": restored}


def from_folder():
    restored = GPT2LMHeadModel.from_pretrained(root / "folder")
    return {
        "model": restored,
        "config": restored.config,
        "tokenizer": AutoTokenizer.from_pretrained(root / "folder"),
    }


def from_checkpoint():
    kept = torch.load(root / "checkpoint.pt", weights_only=True)
    restored = new_model()
    restored.load_state_dict(kept["model"])
    return {**kept, "model": restored}


# %% So từng thứ


def same(old, new):
    """Hai thứ có bằng nhau không, từng bit: tensor, số, hay từ điển và danh sách của chúng."""
    if isinstance(old, torch.Tensor):
        return old.dtype == new.dtype and torch.equal(old, new)
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(same(old[key], new[key]) for key in old)
    if isinstance(old, list):
        return len(old) == len(new) and all(same(*pair) for pair in zip(old, new, strict=True))
    return old == new


def frozen_names(model):
    return [name for name, tensor in model.named_parameters() if not tensor.requires_grad]


def next_random(state):
    torch.set_rng_state(state)
    return torch.rand(3).tolist()


def questions(kept):
    """Lấy lại được gì: tên → có đúng là cái đã có lúc lưu không."""
    answers = {
        "weights": same(model.state_dict(), kept["model"].state_dict()),
        "requires_grad": frozen_names(kept["model"]) == frozen_names(model),
        "config": False,
        "tokenizer": False,
        "optimizer": False,
        "scheduler": False,
        "step": False,
        "rng": False,
    }
    if "config" in kept:
        loaded = kept["config"].to_dict()
        loaded["_name_or_path"] = ""  # chỗ đã tải, không phải cấu hình
        answers["config"] = loaded == model.config.to_dict()
    if "tokenizer" in kept:
        answers["tokenizer"] = kept["tokenizer"](TEXT).input_ids == ids[0].tolist()
    if "optimizer" in kept:
        answers["optimizer"] = same(optimizer.state_dict(), kept["optimizer"])
        answers["scheduler"] = same(scheduler.state_dict(), kept["scheduler"])
        answers["step"] = kept["step"] == STEPS
        answers["rng"] = next_random(kept["rng"]) == expected_random
    return answers


# %% Hỏi từng cái
print("\n== Hỏi từng cái ==")
has = {
    "state_dict": questions(from_state_dict()),
    "folder": questions(from_folder()),
    "checkpoint": questions(from_checkpoint()),
}
print(f"{'':<14} state_dict  thư mục  checkpoint")
for question in has["folder"]:
    marks = []
    for answers in has.values():
        marks.append("có" if answers[question] else "không")
    print(f"{question:<14} {marks[0]:<11} {marks[1]:<8} {marks[2]}")

# %% Đi tiếp sau khi đóng băng
print("\n== Đi tiếp sau khi đóng băng ==")


def resume(freeze_again, only_trainable):
    """Dựng optimizer như lần đầu rồi nạp trạng thái của một lần huấn luyện có đóng băng."""
    restored = new_model()
    if freeze_again:
        restored.transformer.wpe.requires_grad_(False)
    chosen = restored.parameters()
    if only_trainable:
        chosen = [parameter for parameter in chosen if parameter.requires_grad]
    new = torch.optim.AdamW(chosen, lr=1e-4)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    old = torch.optim.AdamW(trainable, lr=1e-4)  # lần trước chỉ đưa những tham số được học
    try:
        new.load_state_dict(old.state_dict())
    except ValueError as error:
        return str(error)
    return "nạp được"


def learns_again():
    """Optimizer nhận mọi tham số, như lúc huấn luyện ở trên: tầng đóng băng có học lại không?"""
    kept = torch.load(root / "checkpoint.pt", weights_only=True)
    restored = new_model()
    restored.load_state_dict(kept["model"])
    new = torch.optim.AdamW(restored.parameters(), lr=1e-4)
    new.load_state_dict(kept["optimizer"])
    restored(ids, labels=ids).loss.backward()
    new.step()
    return not torch.equal(restored.transformer.wpe.weight, kept["model"]["transformer.wpe.weight"])


forgotten = resume(freeze_again=False, only_trainable=True)
frozen = resume(freeze_again=True, only_trainable=True)
print(f"quên đóng băng lại: {forgotten}")
print(f"đóng băng lại trước: {frozen}")
silent = learns_again()
words = "không có lỗi, tầng đóng băng học lại" if silent else "tầng đóng băng đứng yên"
print(f"optimizer nhận mọi tham số: {words}")

# %% Byte nằm ở đâu
print("\n== Byte nằm ở đâu ==")
files = {
    "state_dict.pt": (root / "state_dict.pt").stat().st_size,
    "folder": sum(path.stat().st_size for path in (root / "folder").iterdir()),
    "checkpoint.pt": (root / "checkpoint.pt").stat().st_size,
}
for name, size in files.items():
    print(f"{size:>11} byte  {name}")
weights = sum(parameter.nbytes for parameter in model.parameters())
moments = {"exp_avg": 0, "exp_avg_sq": 0}  # hai trung bình mà AdamW giữ cho mỗi tham số
for state in optimizer.state_dict()["state"].values():
    for name in moments:
        moments[name] += state[name].nbytes
frozen_bytes = model.transformer.wpe.weight.nbytes
print(f"{weights:>11} byte  trọng số, trong đó {frozen_bytes} byte đóng băng")
for name, size in moments.items():
    print(f"{size:>11} byte  {name} của AdamW")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


def kept_by(container):
    return {question for question, answer in has[container].items() if answer}


report("state_dict", kept_by("state_dict") == {"weights"}, "state_dict: chỉ trọng số")
expected = {"weights", "config", "tokenizer"}
report("folder", kept_by("folder") == expected, "thư mục: trọng số, cấu hình, tokenizer")
expected = {"weights", "optimizer", "scheduler", "step", "rng"}
report("checkpoint", kept_by("checkpoint") == expected, "checkpoint: đủ để đi tiếp, thiếu cấu hình")
nowhere = not any(answers["requires_grad"] for answers in has.values())
report("requires_grad", nowhere, "không cách nào giữ requires_grad")
refused = "doesn't match the size" in forgotten and frozen == "nạp được"
report("resume", refused, "quên đóng băng lại: optimizer từ chối")
report("silent", silent, "optimizer nhận mọi tham số: tầng đóng băng lặng lẽ học lại")
same_size = moments["exp_avg"] == moments["exp_avg_sq"] == weights - frozen_bytes
report("moments", same_size, "mỗi trung bình to bằng những trọng số được học")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "has": has,
        "files": files,
        "weights": weights,
        "trained": weights - frozen_bytes,
        "moments": moments,
        "parameters": model.num_parameters(),
    }
}
if not all(checks.values()):
    sys.exit("TRƯỢT: một cách lưu không giữ đúng những gì đã nói.")

# %% Vẽ
figure, axes = plt.subplots(figsize=(5.2, 2.4))
titles = ["state_dict", "thư mục", "checkpoint"]
pieces = {
    "state_dict": [weights],
    "folder": [weights],
    "checkpoint": [weights, moments["exp_avg"], moments["exp_avg_sq"]],
}
for place, sizes in enumerate(pieces.values()):
    left = 0
    for part, size in enumerate(sizes):
        colour = "C0" if part == 0 else "C1"
        axes.barh(place, size / 2**20, left=left, color=colour, height=0.6, edgecolor="white")
        left += size / 2**20
axes.annotate("trọng số", (0, 0), (4, -3), textcoords="offset points", color="white")
start = weights / 2**20
note = {"textcoords": "offset points", "color": "white"}
axes.annotate("trung bình", (start, 2), (4, -3), **note)
axes.annotate("bình phương", (start + moments["exp_avg"] / 2**20, 2), (4, -3), **note)
axes.set_yticks(range(len(titles)), titles)
axes.invert_yaxis()
axes.set_xlabel("MiB trên đĩa")
figure.savefig("what_is_saved.svg")
