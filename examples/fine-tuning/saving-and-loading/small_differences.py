"""Logits lệch bao nhiêu thì còn lành: năm nguyên nhân trên một máy, và năm cái khác thật để so.

    python small_differences.py            # cỡ GPT-2 small, trọng số ngẫu nhiên, không cần mạng
    QUICK=1 python small_differences.py    # mô hình tí hon, để thử nhanh

Tốn (cỡ mặc định): không quá 400 giây, 5 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers safetensors matplotlib
"""

# %% Chuẩn bị
import copy
import os
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from transformers import GPT2Config, GPT2LMHeadModel, logging

QUICK = os.environ.get("QUICK") == "1"
SIZE = {}  # GPT2Config() để nguyên là GPT-2 small
if QUICK:
    SIZE = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512}
IDS = torch.arange(0, 512, 16)[None]  # một câu 32 token
WORD = IDS[:, :1]  # câu một token: phép nhân ma trận đi đường khác với câu dài
SHORT = IDS[:, :5]  # số luồng chỉ làm lệch ở vài độ dài, đây là một
BATCH = 16  # cùng câu đó, lặp lại trong một batch
SHIFT = 8  # byte, tính từ bội của 64: trọng số ánh xạ từ tệp có thể nằm ở đó
TOLERANCE = 1e-4  # của số lớn nhất, như trong save_and_check.py

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_grad_enabled(False)
torch.set_num_threads(1)
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
folder = Path(temporary.name)

# %% Dựng và lưu
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(**SIZE, bos_token_id=0, eos_token_id=0)).eval()
for parameter in model.parameters():
    parameter.add_(torch.randn_like(parameter), alpha=0.02)
model.save_pretrained(folder)
loaded = GPT2LMHeadModel.from_pretrained(folder)

# %% Cách đo


def logits_of(model, ids=IDS):
    """Logits ở vị trí cuối của câu đầu tiên."""
    return model(ids).logits[0, -1].double()


def gap(one, other):
    """δ: chỗ logits lệch nhau nhiều nhất."""
    return (one - other).abs().max().item()


def same_bits(model):
    """Mọi trọng số có bằng bản gốc từng bit không?"""
    return all(torch.equal(tensor, original[name]) for name, tensor in model.state_dict().items())


original = model.state_dict()
expected = logits_of(model)
largest = expected.abs().max().item()

# %% Cùng từng bit, tính khác đi


def with_eager_attention():
    """Hai cách viết cùng một phép nhân chú ý."""
    eager = GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager")
    return gap(logits_of(eager), expected)


def in_a_batch():
    return gap(logits_of(loaded, WORD.repeat(BATCH, 1)), logits_of(loaded, WORD))


def with_two_threads():
    one = logits_of(loaded, SHORT)
    torch.set_num_threads(2)
    two = logits_of(loaded, SHORT)
    torch.set_num_threads(1)
    return gap(two, one)


def with_cache():
    """Đưa từng phần vào, như lúc sinh văn bản, thay vì cả câu một lượt."""
    first = loaded(IDS[:, :-1], use_cache=True)
    last = loaded(IDS[:, -1:], past_key_values=first.past_key_values)
    return gap(last.logits[0, -1].double(), expected)


def shifted(parameter):
    """Cùng những số đó, ở chỗ khác trong bộ nhớ."""
    room = torch.empty(parameter.nbytes + 128, dtype=torch.uint8)
    start = (-room.data_ptr()) % 64 + SHIFT
    place = room[start : start + parameter.nbytes].view(parameter.dtype).view(parameter.shape)
    return place.copy_(parameter)


def at_another_address():
    moved = copy.deepcopy(model)
    for parameter in moved.parameters():
        parameter.data = shifted(parameter)
    assert same_bits(moved)
    return gap(logits_of(moved, WORD), logits_of(model, WORD))


SOUND = {
    "again": ("chạy lại y như cũ", lambda: gap(logits_of(model), expected)),
    "loaded": ("tải lại, tính y như cũ", lambda: gap(logits_of(loaded), expected)),
    "attention": ("chú ý eager hay sdpa", with_eager_attention),
    "batch": ("một mình hay trong batch", in_a_batch),
    "threads": ("một luồng hay hai luồng", with_two_threads),
    "cache": ("cả câu hay từng phần (cache)", with_cache),
    "address": ("trọng số ở địa chỉ khác", at_another_address),
}

# %% Cái hỏng thật


def with_config(**changes):
    """Tải cùng trọng số với một cấu hình đã sửa."""
    config = GPT2Config.from_pretrained(folder)
    for name, value in changes.items():
        setattr(config, name, value)
    return gap(logits_of(GPT2LMHeadModel.from_pretrained(folder, config=config)), expected)


def flip_bit():
    """Bit thấp nhất của một trọng số."""
    damaged = copy.deepcopy(model)
    damaged.transformer.h[0].mlp.c_fc.weight.view(torch.int32)[0, 0] ^= 1
    assert not same_bits(damaged)
    return gap(logits_of(damaged), expected)


def lose_tensor():
    """Một tensor thiếu trong tệp, thư viện điền lại bằng 0."""
    damaged = copy.deepcopy(model)
    damaged.transformer.ln_f.bias.zero_()
    return gap(logits_of(damaged), expected)


def forget_eval():
    torch.manual_seed(0)
    return gap(logits_of(copy.deepcopy(model).train()), expected)


def through_bfloat16():
    """Lưu thành bfloat16: không hỏng, nhưng không còn là những số cũ."""
    return gap(logits_of(copy.deepcopy(model).to(torch.bfloat16)), expected)


BROKEN = {
    "bit": ("lật bit thấp nhất", flip_bit),
    "bfloat16": ("đổi sang bfloat16", through_bfloat16),
    "heads": ("sửa số đầu chú ý", lambda: with_config(n_head=1)),
    "missing": ("thiếu một tensor", lose_tensor),
    "dropout": ("quên eval()", forget_eval),
}

# %% Lệch bao nhiêu
print("== Lệch bao nhiêu ==")
assert same_bits(loaded)
print(f"logit lớn nhất: {largest:.1f}")
gaps = {}
for title, group in {"cùng từng bit": SOUND, "khác": BROKEN}.items():
    print(f"{title}:")
    for name, (text, measure) in group.items():
        gaps[name] = measure()
        print(f"    {text:<28} {gaps[name]:.1e}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


sound = [gaps[name] for name in SOUND]
report("again", gaps["again"] == 0, "chạy lại y như cũ: lệch đúng 0")
report("sound", max(sound) < TOLERANCE * largest, "cùng từng bit: mọi chỗ lệch đều trong sai số")
report("not_zero", max(sound) > 0, "cùng từng bit mà vẫn có chỗ lệch khác 0")
report("bit", gaps["bit"] < TOLERANCE * largest, "bit lật cũng trong sai số: chỉ so bit mới thấy")
others = [gaps[name] for name in BROKEN if name != "bit"]
report("broken", min(others) > TOLERANCE * largest, "bốn cái còn lại đều quá sai số")

# %% Kết quả
approx = {}
for name, value in gaps.items():
    if name in SOUND or name == "bit":
        approx[name] = {"value": value, "abs": 1e-4}  # mỗi máy mỗi khác, nhưng vẫn nhỏ cỡ này
    else:
        approx[name] = {"value": value, "rel": 0.9}
results = {
    "exact": {
        "checks": checks,
        "batch": BATCH,
        "tokens": IDS.shape[1],
        "shift": SHIFT,
        "short": SHORT.shape[1],
    },
    "approx": {"gaps": approx, "largest": {"value": largest, "rel": 0.1}},
}
if not all(checks.values()):
    sys.exit("TRƯỢT: cái lành và cái hỏng không tách nhau như đã nói.")

# %% Vẽ
FLOOR = 1e-10  # lệch đúng 0 thì thang logarit không có chỗ: đặt ở mép trái
figure, axes = plt.subplots(figsize=(5.2, 4.2))
titles = []
for place, (name, value) in enumerate(gaps.items()):
    text = (SOUND | BROKEN)[name][0]
    colour = "C1" if name in SOUND else "C0"
    axes.plot([FLOOR, max(value, FLOOR)], [place, place], color=colour, linewidth=2)
    axes.plot(max(value, FLOOR), place, "o", color=colour)
    titles.append(text + (" (đúng 0)" if value == 0 else ""))
axes.axvline(TOLERANCE * largest, color="C2", linestyle=":", linewidth=1)
axes.text(TOLERANCE * largest, -0.9, "sai số", ha="center")
axes.set_yticks(range(len(titles)), titles)
axes.invert_yaxis()
axes.set_xscale("log")
axes.set_xlabel("logits lệch nhiều nhất (thang logarit)")
figure.savefig("small_differences.svg")
