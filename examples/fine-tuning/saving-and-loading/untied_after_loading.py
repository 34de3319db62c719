"""Năm cách tải một mô hình có trọng số dùng chung: cách nào làm hai tên tách ra, và rồi sao.

    python untied_after_loading.py            # mô hình tí hon, không cần mạng
    QUICK=1 python untied_after_loading.py    # ít bước hơn, để thử nhanh

Tốn (cỡ mặc định): không quá 60 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch safetensors matplotlib
"""

# %% Chuẩn bị
import copy
import os
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from safetensors.torch import load_model, save_model
from tied_weights import shared_names, tie_again, untied

QUICK = os.environ.get("QUICK") == "1"
STEPS = 60  # bước AdamW; hai đường loss rẽ ra từ bước hai
SGD_STEPS = 20
if QUICK:
    STEPS = 10
VOCABULARY = 64
WIDTH = 32

torch.set_num_threads(1)  # phép tính tí hon: một luồng nhanh hơn
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
folder = Path(temporary.name)

# %% Mô hình


class OwnModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(VOCABULARY, WIDTH)
        self.body = torch.nn.Sequential(
            torch.nn.Linear(WIDTH, WIDTH), torch.nn.GELU(), torch.nn.Linear(WIDTH, WIDTH)
        )
        self.head = torch.nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.embedding.weight  # một đối tượng, hai tên

    def forward(self, ids):
        x = self.embedding(ids)
        return self.head(x + self.body(x))


torch.manual_seed(0)
model = OwnModel()
for parameter in model.parameters():  # embedding mặc định lớn gấp nhiều lần phần còn lại
    torch.nn.init.normal_(parameter, std=0.1)

# %% Lưu
groups = shared_names(model)  # [["embedding.weight", "head.weight"]]
save_model(model, str(folder / "model.safetensors"))
torch.save(model.state_dict(), folder / "model.pt")


# %% Năm cách tải


def with_load_model():
    loaded = OwnModel()
    load_model(loaded, folder / "model.safetensors")
    return loaded


def copied():
    loaded = OwnModel()
    loaded.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    return loaded


def assigned():
    loaded = OwnModel()
    loaded.load_state_dict(torch.load(folder / "model.pt", weights_only=True), assign=True)
    return loaded


def assigned_then_moved():
    return assigned().double().float()  # đổi kiểu số, hay sang GPU: mỗi tham số được chép riêng


def assigned_then_tied():
    loaded = assigned()
    tie_again(loaded, groups)
    return loaded


WAYS = [with_load_model, copied, assigned, assigned_then_moved, assigned_then_tied]

# %% Ba mức giống nhau
print("== Ba mức giống nhau ==")


def answer(yes):
    return "có" if yes else "không"


print(f"{'':<22}{'là một':>9}{'chung vùng nhớ':>17}{'bằng nhau':>12}{'tham số':>10}")
ways = {}
for way in WAYS:
    loaded = way()
    head = loaded.head.weight
    embedding = loaded.embedding.weight
    fact = {
        "one": head is embedding,
        "one_memory": head.data_ptr() == embedding.data_ptr(),
        "equal": torch.equal(head, embedding),
        "parameters": len(list(loaded.parameters())),
        "untied": untied(loaded, groups),
    }
    ways[way.__name__] = fact
    print(f"{way.__name__:<22}{answer(fact['one']):>9}{answer(fact['one_memory']):>17}", end="")
    print(f"{answer(fact['equal']):>12}{fact['parameters']:>10}")

# %% Huấn luyện tiếp
print("\n== Huấn luyện tiếp ==")
starts = torch.randint(VOCABULARY, (32, 1))
jumps = torch.randint(1, 7, (32, 1))
ids = (starts + jumps * torch.arange(17)) % VOCABULARY  # 32 câu, mỗi câu đếm cách đều
inputs = ids[:, :-1]
targets = ids[:, 1:].flatten()  # đoán token kế tiếp


def loss_of(model):
    return torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets)


def train(model, optimizer, steps, clip=None):
    """Huấn luyện tại chỗ; trả về loss trước mỗi bước, và loss sau bước cuối."""
    losses = []
    for _ in range(steps):
        loss = loss_of(model)
        optimizer.zero_grad()
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        losses.append(loss.item())
    losses.append(loss_of(model).item())
    return losses


def first_difference(first, second):
    """Bước đầu tiên có loss khác nhau, đếm từ một; 0 là không bước nào."""
    for step, (a, b) in enumerate(zip(first, second, strict=True), 1):
        if a != b:
            return step
    return 0


def adamw(model):
    return torch.optim.AdamW(model.parameters(), lr=3e-3)


never_saved = copy.deepcopy(model)
losses = {"never_saved": train(never_saved, adamw(never_saved), STEPS)}
trained = {}
for way in WAYS:
    loaded = way()
    losses[way.__name__] = train(loaded, adamw(loaded), STEPS)
    trained[way.__name__] = loaded

different_at = {}
for name, values in losses.items():
    different_at[name] = first_difference(losses["never_saved"], values)
    verdict = f"khác từ bước {different_at[name]}" if different_at[name] else "như chưa hề lưu"
    print(f"{name:<22}loss đầu {values[0]:.4f}, loss cuối {values[-1]:.4f}: {verdict}")

equal_after = {}
for name, loaded in trained.items():
    equal_after[name] = torch.equal(loaded.head.weight, loaded.embedding.weight)

# %% SGD
print("\n== SGD ==")
SETTINGS = {  # tên, thiết lập của SGD, ngưỡng cắt gradient
    "plain": ({"lr": 2.0}, None),
    "momentum": ({"lr": 0.5, "momentum": 0.9}, None),
    "weight_decay": ({"lr": 2.0, "weight_decay": 0.01}, None),
    "clip": ({"lr": 5.0}, 0.05),  # bị cắt thì bước nhỏ lại, nên tốc độ học lớn hơn
}
sgd = {}
for name, (setting, clip) in SETTINGS.items():
    final = {}
    for way in (copied, assigned, assigned_then_moved):
        loaded = way()
        optimizer = torch.optim.SGD(loaded.parameters(), **setting)
        final[way.__name__] = train(loaded, optimizer, SGD_STEPS, clip)[-1]
    sgd[name] = {**final, "gap": abs(final["assigned"] - final["copied"])}
    print(f"{name:<14}", end="")
    print("  ".join(f"{way} {loss:.4f}" for way, loss in final.items()))

# %% Lưu lại khi đã tách
print("\n== Lưu lại khi đã tách ==")
apart = trained["assigned_then_moved"]
state = apart.state_dict()
del state["head.weight"]  # hàm lưu tưởng hai tên còn là một nên chỉ ghi một
again = OwnModel()
missing = again.load_state_dict(state, strict=False).missing_keys
before_saving = loss_of(apart).item()
after_loading = loss_of(again).item()
print(f"thiếu {', '.join(missing)}; loss trước khi lưu {before_saving:.4f}", end="")
print(f", sau khi tải {after_loading:.4f}")

# %% Nối bằng cách chép
print("\n== Nối bằng cách chép ==")
copy_of = assigned()
copy_of.head.weight.data = copy_of.embedding.weight.data.clone()  # bằng nhau, không phải là một
pairs = untied(copy_of, groups)
copied_losses = train(copy_of, adamw(copy_of), STEPS)
copied_at = first_difference(losses["never_saved"], copied_losses)
print(f"untied: {pairs}; loss khác từ bước {copied_at}")

# %% Optimizer tạo trước
print("\n== Optimizer tạo trước ==")
late = OwnModel()
optimizer = adamw(late)
late.load_state_dict(torch.load(folder / "model.pt", weights_only=True), assign=True)
tie_again(late, groups)
held = optimizer.param_groups[0]["params"]
in_use = {id(parameter) for parameter in late.parameters()}
orphans = sum(id(parameter) not in in_use for parameter in held)
early_losses = train(late, optimizer, 3)
print(f"{orphans} trên {len(held)} tham số mà optimizer giữ không còn trong mô hình")
print(f"loss sau ba bước: {early_losses[0]:.4f} → {early_losses[-1]:.4f}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = bool(passed)


TIED = ["with_load_model", "copied", "assigned_then_tied"]
APART = ["assigned", "assigned_then_moved"]
one = all(ways[name]["one"] and not ways[name]["untied"] for name in TIED)
report("tied", one, f"{', '.join(TIED)}: hai tên là một")
found = all(ways[name]["equal"] and ways[name]["untied"] for name in APART)
report("found", found, f"{', '.join(APART)}: torch.equal không thấy gì, untied thấy")
report("same", not any(different_at[name] for name in TIED), "là một: mọi loss như chưa hề lưu")
second = all(different_at[name] == 2 for name in APART)
report("second_step", second, "tách ra: bước đầu y hệt, từ bước hai thì khác")
still = equal_after["assigned"] and not equal_after["assigned_then_moved"]
report("after", still, "huấn luyện xong: assigned vẫn bằng nhau, assigned_then_moved thì không")
linear = sgd["plain"]["gap"] < 1e-4 and sgd["momentum"]["gap"] < 1e-4
report("sgd_linear", linear, "SGD trần và SGD có động lượng: chỉ lệch do làm tròn")
other = sgd["weight_decay"]["gap"] > 1e-2 and sgd["clip"]["gap"] > 1e-2
report("sgd_other", other, "SGD có suy giảm trọng số hay cắt gradient: lệch thật")
report("lost", after_loading > before_saving, "lưu một tên của bản đã tách: mất phần head")
report("copy", pairs and copied_at == 2, "nối bằng cách chép: vẫn là hai")
idle = orphans == len(held) and early_losses[0] == early_losses[-1]
report("optimizer", idle, "optimizer tạo trước assign=True: mô hình không học gì")

# %% Kết quả
gaps = {name: abs(losses[name][-1] - losses["never_saved"][-1]) for name in APART}
last_losses = {}
for name in ("never_saved", *APART):
    last_losses[name] = losses[name][-1]
results = {
    "exact": {
        "checks": checks,
        "ways": ways,
        "different_at": different_at,
        "equal_after": equal_after,
        "copied_at": copied_at,
        "steps": STEPS,
        "sgd_steps": SGD_STEPS,
        "orphans": orphans,
        "held": len(held),
    },
    "approx": {
        "losses": last_losses,
        "gap": gaps,
        "sgd": sgd,
        "saved": {"before": before_saving, "after": after_loading},
    },
    "tolerance": {"rel": 0.1, "abs": 0.02},  # số đã học lệch chút ít giữa các máy
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có cách tải không cho điều đã nói.")

# %% Vẽ
figure, (above, below) = plt.subplots(2, 1, figsize=(5.2, 4.2), sharex=True)
NAMES = {
    "never_saved": "một tham số",
    "assigned": "hai tham số, một vùng nhớ",
    "assigned_then_moved": "hai vùng nhớ",
}
for (name, label), colour in zip(NAMES.items(), ("C0", "C1", "C2"), strict=True):
    above.plot(losses[name], color=colour, label=label)
    gap = [value - base for value, base in zip(losses[name], losses["never_saved"], strict=True)]
    below.plot(gap, color=colour)
above.set_ylabel("loss")
above.legend()
below.set_ylabel("khoảng cách")
below.set_xlabel("bước huấn luyện tiếp")
figure.savefig("untied_after_loading.svg")
