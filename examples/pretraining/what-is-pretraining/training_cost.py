"""Một lần tiền huấn luyện tốn bao nhiêu: công thức, số đếm được, số đã công bố, và chỗ đoán sai.

    python training_cost.py

Tốn (cỡ mặc định): không quá 120 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers tokenizers matplotlib; estimate_cost.py, train_tiny.py nằm cạnh
"""

# %% Chuẩn bị
import os
import sys
import time

import matplotlib.pyplot as plt
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import GPT2Config, GPT2LMHeadModel

from estimate_cost import (
    BYTES_PER_TOKEN,
    TOKENS_PER_PARAMETER,
    days,
    energy_kwh,
    gpu_hours,
    memory_bytes,
    parameters_for,
    tokens_in,
    training_flops,
)
from train_tiny import BATCH, CONTEXT, loss_of, new_model, train_step

QUICK = os.environ.get("QUICK") == "1"
STEPS = 10  # bước học để bấm giờ
SIDE = 1024  # cạnh của hai ma trận để đo máy này nhân nhanh tới đâu
if QUICK:
    STEPS = 2
    SIDE = 256

torch.set_num_threads(1)

# TFLOP/s: số 16 bit, ma trận đặc. NVIDIA in cho H100, B200 số của ma trận thưa, gấp đôi.
GPUS = {
    "B200": {"name": "B200", "tflops": 2250, "watts": 1000, "gigabytes": 192},
    "H100": {"name": "H100 SXM", "tflops": 1979 / 2, "watts": 700, "gigabytes": 80},
    "A100": {"name": "A100 SXM", "tflops": 312, "watts": 400, "gigabytes": 80},
    "T4": {"name": "T4", "tflops": 65, "watts": 70, "gigabytes": 16},
}
# N: tham số mà mỗi token đi qua; D: token. Nguồn đứng cạnh từng dòng.
MODELS = {
    "gpt2": {"name": "GPT-2 124M", "n": 124e6, "d": 10e9},  # karpathy/llm.c, run_gpt2_124M.sh
    "phogpt": {"name": "PhoGPT-4B", "n": 3.7e9, "d": 204e9},  # README: 102 tỷ token, hai lượt
    "llama8": {"name": "Llama 3.1 8B", "n": 8e9, "d": 15e12},  # thẻ mô hình: 15T+
    "chinchilla": {"name": "Chinchilla", "n": 70e9, "d": 1.4e12},  # arXiv:2203.15556
    "llama70": {"name": "Llama 3.1 70B", "n": 70e9, "d": 15e12},  # thẻ mô hình: 15T+
    "gpt3": {"name": "GPT-3", "n": 175e9, "d": 300e9},  # arXiv:2005.14165
    "deepseek": {"name": "DeepSeek-V3", "n": 37e9, "d": 14.8e12},  # arXiv:2412.19437
    "llama": {"name": "Llama 3.1 405B", "n": 405e9, "d": 15.6e12},  # arXiv:2407.21783
}
DEEPSEEK_TOTAL = 671e9  # mọi tham số; mỗi token chỉ đi qua 37 tỷ
# Số phép tính đã công bố.
PUBLISHED_FLOPS = {"gpt3": 3.14e23, "chinchilla": 5.76e23, "llama": 3.8e25}
# Giờ GPU đã công bố. GPT-2: 18.865 bước, chừng 0,3 giây một bước, 8 GPU A100 (cùng tệp).
# DeepSeek-V3: chỉ tiền huấn luyện, trên H800, ở đây tính như H100.
PUBLISHED_HOURS = {
    "gpt2": ("A100", 18_865 * 0.3 * 8 / 3600),
    "deepseek": ("H100", 2.664e6),
    "llama": ("H100", 30.84e6),
}
# Không nhìn tới khi chọn UTILISATION: để thử xem con số đó có đoán được mô hình khác không.
HELD_OUT_HOURS = {"llama8": ("H100", 1.46e6), "llama70": ("H100", 7.0e6)}
# DeepSeek-V3, bảng chi phí: giờ GPU của từng giai đoạn.
STAGES = {"pretraining": 2_664_000, "context": 119_000, "posttraining": 5_000}
ASSUME = {"gpu": "H100", "utilisation": 0.4, "price": 2.0, "gpus": 8}
CORPUS_MB = 50

# %% Đếm phép tính
print("== Đếm phép tính ==")


def counted_flops(model):
    """Phép tính thật mỗi token của một lượt xuôi rồi ngược, do PyTorch đếm."""
    # eager: bộ đếm thấy từng phép nhân ma trận trong attention.
    model.config._attn_implementation = "eager"
    inputs = torch.randint(model.config.vocab_size, (BATCH, CONTEXT))
    labels = torch.randint(model.config.vocab_size, (BATCH, CONTEXT))
    with FlopCounterMode(display=False) as counter:
        loss_of(model, inputs, labels).backward()
    return counter.get_total_flops() / inputs.numel()


layer = torch.nn.Linear(128, 512, bias=False)
with FlopCounterMode(display=False) as counter:
    output = layer(torch.randn(10, 128, requires_grad=True))
forward = counter.get_total_flops()
with FlopCounterMode(display=False) as counter:
    output.sum().backward()
backward = counter.get_total_flops()
for_each = layer.weight.numel() * 10  # mỗi tham số, mỗi token
print(f"một lớp tuyến tính: xuôi {forward / for_each:g}, ngược {backward / for_each:g}")

tied = new_model(2000)
untied_config = {**tied.config.to_dict(), "tie_word_embeddings": False}
untied = GPT2LMHeadModel(GPT2Config(**untied_config))
table = tied.transformer.wte.weight.numel()
positions = tied.transformer.wpe.weight.numel()
ratios = {}
n = tied.num_parameters()
ratios["tied"] = counted_flops(tied) / (6 * n)
ratios["tied_without"] = counted_flops(tied) / (6 * (n - table - positions))
ratios["untied"] = counted_flops(untied) / (6 * untied.num_parameters())
ratios["untied_minus_one"] = counted_flops(untied) / (6 * (untied.num_parameters() - table))
print("phép tính thật chia cho 6 × số tham số:")
print(f"dùng chung embedding, kể cả embedding       {ratios['tied']:.3f}")
print(f"dùng chung embedding, không kể embedding    {ratios['tied_without']:.3f}")
print(f"không dùng chung, kể cả hai bảng            {ratios['untied']:.3f}")
print(f"không dùng chung, trừ bảng ở đầu vào        {ratios['untied_minus_one']:.3f}")

# %% Bộ nhớ
print("\n== Bộ nhớ ==")


def bytes_held(model):
    """Byte của trọng số, gradient và trạng thái AdamW sau một bước học."""
    optimizer = torch.optim.AdamW(model.parameters())
    tokens = torch.randint(2000, (2, CONTEXT))
    train_step(model, optimizer, tokens, tokens)
    held = {"weights": 0, "gradients": 0, "adamw": 0}
    for parameter in model.parameters():
        held["weights"] += parameter.nbytes
        held["gradients"] += parameter.grad.nbytes
        state = optimizer.state[parameter]
        held["adamw"] += state["exp_avg"].nbytes + state["exp_avg_sq"].nbytes
    return held


held = bytes_held(tied)
per_parameter = {part: held_bytes / n for part, held_bytes in held.items()}
print(f"{n} tham số, float32; byte mỗi tham số:")
for part, count in per_parameter.items():
    print(f"{part:<10} {count:g}")
print(f"tổng       {sum(per_parameter.values()):g}")

# %% Bảng giá
print("\n== Bảng giá ==")


def cost(model, gpus=GPUS, assume=ASSUME):
    """Mọi con số của một mô hình, trên loại GPU và các giả định đã chọn."""
    gpu = gpus[assume["gpu"]]
    flops = training_flops(model["n"], model["d"])
    hours = gpu_hours(flops, gpu["tflops"], assume["utilisation"])
    return {
        "ratio": model["d"] / model["n"],
        "flops": flops,
        "gpu_hours": hours,
        "days": days(hours, assume["gpus"]),
        "usd": hours * assume["price"],
        "kwh": energy_kwh(hours, gpu["watts"]),
        "memory": memory_bytes(model["n"]) / 1e9,
    }


models = {}
print(f"{'':<16}{'N':>10}{'D':>10}{'D/N':>10}{'6ND':>10}{'giờ GPU':>10}{'USD':>10}")
for name, model in MODELS.items():
    models[name] = {**model, **cost(model)}
    row = models[name]
    print(f"{row['name']:<16}{row['n']:>10.3g}{row['d']:>10.3g}{row['ratio']:>10.3g}", end="")
    print(f"{row['flops']:>10.3g}{row['gpu_hours']:>10.3g}{row['usd']:>10.3g}")

exercise = {"n": 1e9, "d": TOKENS_PER_PARAMETER * 1e9}
on_a100 = {**ASSUME, "gpu": "A100", "utilisation": 1 / 3}
exercise |= cost(exercise, assume=on_a100)

corpus_tokens = tokens_in(CORPUS_MB)
corpus = {"tokens": corpus_tokens, "parameters": parameters_for(corpus_tokens)}
print(f"{CORPUS_MB} MB tiếng Việt: {corpus['tokens']:.3g} token,", end=" ")
print(f"vừa với {corpus['parameters']:.3g} tham số")

# %% So với số đã công bố
print("\n== So với số đã công bố ==")


def compare(flops_of, gpus=GPUS, models=MODELS):
    """Tỉ số tính/công bố: phép tính, giờ GPU ở mức giả định; và hiệu suất suy ra từ giờ."""
    found = {"flops": {}, "hours": {}, "implied": {}}
    for name, flops in PUBLISHED_FLOPS.items():
        model = models[name]
        found["flops"][name] = flops_of(model["n"], model["d"]) / flops
    for name, (gpu, hours) in {**PUBLISHED_HOURS, **HELD_OUT_HOURS}.items():
        model = models[name]
        flops = flops_of(model["n"], model["d"])
        at_full_speed = gpu_hours(flops, gpus[gpu]["tflops"], utilisation=1)
        found["implied"][name] = at_full_speed / hours
        found["hours"][name] = found["implied"][name] / ASSUME["utilisation"]
    return found


def holds(found):
    """Ba điều phải đúng: phép tính khớp, hiệu suất dưới 1, giờ GPU lệch không quá 1,5 lần."""
    flops = all(abs(ratio - 1) <= 0.03 for ratio in found["flops"].values())
    possible = all(share < 1 for share in found["implied"].values())
    hours = True
    for name in PUBLISHED_HOURS:
        if not 1 / 1.5 <= found["hours"][name] <= 1.5:
            hours = False
    return {"flops": flops, "possible": possible, "hours": hours}


found = compare(training_flops)
for name, ratio in found["flops"].items():
    print(f"{MODELS[name]['name']:<16} phép tính: công thức / công bố = {ratio:.3f}")
for name, share in found["implied"].items():
    told = {**PUBLISHED_HOURS, **HELD_OUT_HOURS}[name][1]
    print(f"{MODELS[name]['name']:<16} giờ GPU công bố {told:.4g}, hiệu suất suy ra {share:.2f}")
print(f"đoán với hiệu suất {ASSUME['utilisation']:g} những mô hình chưa nhìn tới:")
for name, (_, told) in HELD_OUT_HOURS.items():
    guess = found["hours"][name] * told
    print(f"{MODELS[name]['name']:<16} đoán {guess:.3g} giờ, thật {told:.3g}", end="")
    print(f": thật gấp {1 / found['hours'][name]:.1f} lần")

# %% Máy này
print("\n== Máy này ==")
left = torch.randn(SIDE, SIDE)
fastest = float("inf")
for _ in range(5):
    start = time.perf_counter()
    left @ left
    fastest = min(fastest, time.perf_counter() - start)
peak = 2 * SIDE**3 / fastest / 1e12
small = new_model(2000)
optimizer = torch.optim.AdamW(small.parameters())
tokens = torch.randint(2000, (BATCH, CONTEXT))
step_seconds = float("inf")
for _ in range(STEPS):
    start = time.perf_counter()
    train_step(small, optimizer, tokens, tokens)
    step_seconds = min(step_seconds, time.perf_counter() - start)
step_flops = training_flops(n, BATCH * CONTEXT)
share = step_flops / step_seconds / 1e12 / peak
print(f"nhân ma trận: {peak:.3f} TFLOP/s; một bước học: {step_seconds:.3f} giây")
print(f"hiệu suất của vòng huấn luyện: {share:.0%}")

# %% Tính sai
print("\n== Tính sai ==")


def forward_only(parameters, tokens):
    return 2 * parameters * tokens


sparse = {**GPUS, "H100": {**GPUS["H100"], "tflops": 1979}}
all_experts = {**MODELS, "deepseek": {**MODELS["deepseek"], "n": DEEPSEEK_TOTAL}}
wrong = {
    "forward_only": holds(compare(forward_only)),
    "sparse": holds(compare(training_flops, gpus=sparse)),
    "all_experts": holds(compare(training_flops, models=all_experts)),
}
ways = {
    "forward_only": "quên lượt ngược",
    "sparse": "số của ma trận thưa",
    "all_experts": "đếm mọi chuyên gia",
}
names = {"flops": "phép tính", "possible": "hiệu suất < 1", "hours": "giờ GPU"}
print(f"{'':<22}" + "".join(f"{name:>16}" for name in names.values()))
for way, verdicts in wrong.items():
    words = ["đạt" if verdict else "TRƯỢT" for verdict in verdicts.values()]
    print(f"{ways[way]:<22}" + "".join(f"{word:>16}" for word in words))
implied_all = compare(training_flops, models=all_experts)["implied"]["deepseek"]
print(f"đếm mọi chuyên gia: hiệu suất của DeepSeek-V3 thành {implied_all:.2f}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


right = holds(found)
report("counted", (forward, backward) == (2 * for_each, 4 * for_each), "xuôi 2, ngược 4")
report("embedding", abs(ratios["tied"] - 1) < 0.1, "6ND lệch số đếm dưới 10 % khi dùng chung")
report("memory", sum(per_parameter.values()) == 16, "16 byte mỗi tham số")
report("flops", right["flops"], "phép tính lệch số công bố không quá 3 %")
report("possible", right["possible"], "hiệu suất suy ra nhỏ hơn 1")
report("hours", right["hours"], "giờ GPU của ba mô hình đã biết: lệch không quá 1,5 lần")
missed = min(1 / found["hours"][name] for name in HELD_OUT_HOURS) > 1.5
report("held_out", missed, "hai mô hình chưa nhìn tới: lệch quá 1,5 lần")
caught = all(not all(verdicts.values()) for verdicts in wrong.values())
report("wrong_ways", caught, "ba cách tính sai đều bị phát hiện")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "models": models,
        "gpus": GPUS,
        "assume": ASSUME,
        "known": {"deepseek_total": DEEPSEEK_TOTAL, "hours": dict(PUBLISHED_HOURS)},
        "stages": {**STAGES, "total": sum(STAGES.values())},
        "compared": found,
        "missed": {name: 1 / found["hours"][name] for name in HELD_OUT_HOURS},
        "wrong": wrong,
        "implied_all_experts": implied_all,
        "linear": {"forward": forward / for_each, "backward": backward / for_each},
        "counted": ratios,
        "bytes": {**per_parameter, "total": sum(per_parameter.values())},
        "exercise": exercise,
        "corpus": {**corpus, "megabytes": CORPUS_MB, "bytes_per_token": BYTES_PER_TOKEN},
        "tiny": n,
    },
    "timing": {"peak_tflops": peak, "step_seconds": step_seconds, "utilisation": share},
}
if not all(checks.values()):
    sys.exit("TRƯỢT: con số tính được không như bài viết nói.")

# %% Vẽ
figure, axes = plt.subplots(figsize=(5.2, 2.8))
shown = [*PUBLISHED_HOURS, *HELD_OUT_HOURS]
for place, name in enumerate(shown):
    colour = "C1" if name in HELD_OUT_HOURS else "C0"
    axes.barh(place, found["implied"][name], color=colour)
    text = f"{found['implied'][name]:.0%}"
    axes.annotate(text, (found["implied"][name], place), (4, -4), textcoords="offset points")
axes.axvline(ASSUME["utilisation"], color="C2", linewidth=1, linestyle=":")
axes.set_yticks(range(len(shown)), [MODELS[name]["name"] for name in shown])
axes.set_xlim(0, 0.65)
axes.set_xticks([0, 0.2, 0.4, 0.6], ["0 %", "20 %", "40 %", "60 %"])
axes.invert_yaxis()
axes.set_xlabel("hiệu suất suy ra từ giờ GPU đã công bố")
figure.savefig("training_cost.svg")
