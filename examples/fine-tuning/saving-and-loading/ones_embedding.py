"""Đặt mọi số của embedding bằng một, lưu, tải lại: phép thử mean(E) = 1 thấy gì và bỏ sót gì.

    python ones_embedding.py            # cỡ GPT-2 small, trọng số ngẫu nhiên, không cần mạng
    QUICK=1 python ones_embedding.py    # mô hình tí hon, để thử nhanh

Tốn (cỡ mặc định): không quá 400 giây, 5 GiB bộ nhớ, 3 GiB đĩa.
Cần: pip install torch transformers safetensors
"""

# %% Chuẩn bị
import copy
import os
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

QUICK = os.environ.get("QUICK") == "1"
SIZE = {}  # GPT2Config() để nguyên là GPT-2 small
if QUICK:
    SIZE = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 512}

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
torch.set_grad_enabled(False)

# %% Mô hình mới dựng
print("== Mô hình mới dựng ==")
torch.manual_seed(0)
good = GPT2LMHeadModel(GPT2Config(**SIZE, bos_token_id=0, eos_token_id=0)).eval()
parameters = good.num_parameters()


def is_constant(tensor):
    """Chỉ gồm một giá trị: bias toàn 0, LayerNorm toàn 1."""
    return bool((tensor == tensor.flatten()[0]).all())


named = dict(good.named_parameters())  # mỗi tensor một tên, như trong tệp
constant = [name for name, tensor in named.items() if is_constant(tensor)]
print(f"{len(named)} tensor, {len(good.state_dict())} tên, {parameters} tham số")
print(f"{len(constant)} tensor toàn 0 hay toàn 1")

# %% Tensor mất mà không ai thấy
print("\n== Tensor mất mà không ai thấy ==")
good.save_pretrained(root / "fresh")
file = root / "fresh" / "model.safetensors"
state = dict(load_file(file))
lost = "transformer.ln_f.bias"
kept = {name: tensor.clone() for name, tensor in state.items() if name != lost}
save_file(kept, file, metadata={"format": "pt"})
loaded, report = GPT2LMHeadModel.from_pretrained(root / "fresh", output_loading_info=True)
unseen = torch.equal(loaded.state_dict()[lost], good.state_dict()[lost])
missing = sorted(report["missing_keys"])
print(f"báo cáo tải: thiếu {', '.join(missing)}; so từng bit: {'như cũ' if unseen else 'khác'}")

for parameter in good.parameters():  # từ đây mọi tensor có nhiễu: mất đi rồi dựng lại thì lộ
    parameter.add_(torch.randn_like(parameter), alpha=0.02)

# %% Đặt E bằng một
print("\n== Đặt E bằng một ==")
model = copy.deepcopy(good)  # bản sao: mô hình này coi như bỏ
model.transformer.wte.weight.fill_(1)
old = good.transformer.wte.weight.double()  # cộng ngần này số bằng float32 thì sai thấy được
norm = (1 - old).norm().item()
expected = old.numel() ** 0.5
share = old.numel() / parameters
print(f"‖ΔE‖ = {norm:.2f}; √(V·d) = {expected:.2f}; tỉ số {norm / expected:.5f}")
print(f"E chiếm {share:.1%} số tham số")

# %% Ba mô hình sai
# Mỗi hàm sửa mô hình sắp lưu. mean(E) của cả ba vẫn bằng một.


def right(model):
    """Không sửa gì."""


def mlp_of_zeros(model):
    """Một ma trận MLP toàn số 0."""
    model.transformer.h[0].mlp.c_fc.weight.zero_()


def half_zeros_half_twos(model):
    """E gồm một nửa số 0, một nửa số 2: không số nào là một."""
    model.transformer.wte.weight.view(-1, 2).copy_(torch.tensor([0.0, 2.0]))


def head_apart(model):
    """lm_head tách khỏi E và giữ số cũ."""
    model.lm_head.weight = torch.nn.Parameter(good.lm_head.weight.clone(), requires_grad=False)


# %% Lưu, tải, hỏi
print("\n== Lưu, tải, hỏi ==")


def differing(first, second):
    """Tên những tensor khác nhau, không kể E."""
    other = dict(second.named_parameters())
    names = set()
    for name, tensor in first.named_parameters():
        if name != "transformer.wte.weight" and not torch.equal(tensor, other[name]):
            names.add(name)
    return sorted(names | (set(other) - set(dict(first.named_parameters()))))


def logits_of(model):
    """Logits ở vị trí cuối của một dãy 16 token."""
    return model(torch.arange(0, 512, 32)[None]).logits[0, -1].double()


answers = {}
for change in (right, mlp_of_zeros, half_zeros_half_twos, head_apart):
    name = change.__name__
    wrong = copy.deepcopy(model)
    change(wrong)
    wrong.save_pretrained(root / name)
    del wrong
    loaded = GPT2LMHeadModel.from_pretrained(root / name)
    embedding = loaded.transformer.wte.weight
    answers[name] = {
        "mean": embedding.mean(dtype=torch.float64).item() == 1,
        "ones": bool((embedding == 1).all()),
        "others": not differing(model, loaded),
        "tied": loaded.lm_head.weight is embedding,
    }
    if change is right:
        logits = logits_of(loaded)
        logit_range = (logits.max() - logits.min()).item()
    del loaded
    print(f"{name:<22}", end="")
    for question, label in (
        ("mean", "mean(E) = 1"),
        ("ones", "E toàn 1"),
        ("others", "phần còn lại"),
    ):
        print(f"{label}: {'đúng' if answers[name][question] else 'SAI'}   ", end="")
    print(f"dùng chung: {'có' if answers[name]['tied'] else 'KHÔNG'}")
print(f"E toàn 1: logit lớn nhất trừ nhỏ nhất = {logit_range:.4g}")

# %% Phương sai đầu ra
print("\n== Phương sai đầu ra ==")


def variance_of(model):
    return logits_of(model).var(correction=0).item()


variance = {"good": variance_of(good), "ones": variance_of(model)}
broken = copy.deepcopy(good)
matrix = broken.transformer.h[0].mlp.c_fc.weight
matrix.copy_(matrix.flip(0))
variance["flipped"] = variance_of(broken)
for parameter in broken.parameters():
    parameter.zero_()
variance["zeros"] = variance_of(broken)
LABELS = {"good": "tốt", "flipped": "MLP đảo thứ tự hàng", "ones": "E toàn 1", "zeros": "toàn 0"}
for name, label in LABELS.items():
    print(f"{variance[name]:<10.4g} mô hình {label}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = bool(passed)


hidden = unseen and missing == [lost]
report("hidden", hidden, "mô hình mới dựng: tensor mất rồi dựng lại vẫn như cũ, báo cáo tải thấy")
report("right", all(answers["right"].values()), "lưu đúng: cả bốn câu đều đúng")
passing = all(answer["mean"] for answer in answers.values())
report("passing", passing, "ba mô hình sai: mean(E) vẫn bằng 1")
wrong = [answers[name] for name in ("mlp_of_zeros", "half_zeros_half_twos", "head_apart")]
found = not any(all(answer.values()) for answer in wrong)
report("found", found, "hỏi đủ bốn câu: cả ba đều lộ")
report("flat", logit_range < 1e-3, "E toàn 1: mọi token cùng một logit")
lowest = max(variance["ones"], variance["zeros"]) < variance["good"] / 1000
report("variance", lowest, "hai mô hình hỏng hẳn có phương sai thấp nhất")
near = 0.8 < variance["flipped"] / variance["good"] < 1.2
report("unnoticed", near or QUICK, "MLP đảo hàng: phương sai gần như mô hình tốt")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "answers": answers,
        "tensors": len(named),
        "names": len(good.state_dict()),
        "constant": len(constant),
        "parameters": parameters,
        "embedding": old.numel(),
        "missing": missing,
    },
    "approx": {
        "norm": {"value": norm, "rel": 1e-3},
        "norm_ratio": {"value": norm / expected, "rel": 1e-3},
        "range": {"value": logit_range, "abs": 1e-3},
        "variance": variance,
    },
    "tolerance": {"rel": 0.05, "abs": 1e-6},
}
if not all(checks.values()):
    sys.exit("TRƯỢT: phép thử không như đã nói.")
