"""Một lớp tự viết, lưu vào một tệp rồi tải ở tiến trình mới: phép kiểm tra nào thấy lỗi nào.

    python own_model_state_dict.py            # mô hình tí hon, không cần mạng
    QUICK=1 python own_model_state_dict.py    # như trên: vốn đã nhanh

Tốn (cỡ mặc định): không quá 180 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch matplotlib; tệp state_dict_file.py nằm cạnh tệp này
Chạy trên Linux, macOS, WSL hay Colab: tiến trình mới được tạo bằng fork.
"""

# %% Chuẩn bị
import hashlib
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn

from state_dict_file import load, load_without_copy, save

torch.set_num_threads(1)  # số luồng không đổi thì phép cộng cho cùng những bit
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
path = Path(temporary.name) / "model.pt"

# %% Mô hình
VERSION = 2  # tăng lên mỗi khi đổi phép tính: tệp cũ không còn hợp với mã mới
CONFIG = {"version": VERSION, "vocab": 64, "width": 32, "heads": 2, "context": 32}


class OwnGPT(nn.Module):
    base = 10000

    def __init__(self, vocab, width, heads, context):
        super().__init__()
        self.width = width
        self.heads = heads
        self.context = context
        self.embed = nn.Embedding(vocab, width)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.head = nn.Linear(width, vocab, bias=False)
        self.head.weight = self.embed.weight  # trọng số dùng chung
        self.register_buffer("frequency", torch.zeros(vocab))  # đếm từ dữ liệu: phải lưu
        self.make_position()

    def make_position(self):
        """Buffer mà cấu hình cho lại được: không cần lưu."""
        rate = self.base ** -torch.linspace(0, 1, self.width // 2)
        angle = torch.arange(self.context)[:, None] * rate
        position = torch.cat([angle.sin(), angle.cos()], dim=1)
        self.register_buffer("position", position, persistent=False)

    def forward(self, ids):
        x = self.embed(ids) + self.position[: ids.shape[1]]
        mixed = self.mix(self.norm(x)).unflatten(2, (3, self.heads, -1))
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # (3, batch, đầu, vị trí, chiều)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        joined = seen.transpose(1, 2).flatten(2)
        return self.head(x + self.out(joined)) + self.frequency


def build(config):
    sizes = dict(config)
    version = sizes.pop("version")
    if version != VERSION:
        raise ValueError(f"tệp của mã bản {version}, mã này là bản {VERSION}")
    return OwnGPT(**sizes)


# %% Quan sát


def observe(model):
    """Những gì phải y nguyên: từng bit của mọi tensor, tên nào dùng chung, đầu ra."""
    tensors = {}
    for name, tensor in [*model.state_dict().items(), *model.named_buffers()]:
        raw = tensor.contiguous().flatten().view(torch.uint8).numpy()
        tensors[name] = f"{tensor.dtype} {list(tensor.shape)} {hashlib.sha256(raw).hexdigest()}"
    with torch.no_grad():
        logits = model(torch.arange(0, 64, 4)[None])[0, -1]
    return {
        "tensors": tensors,
        "in_file": list(model.state_dict()),
        "tied": model.head.weight is model.embed.weight,
        "frozen": sum(not parameter.requires_grad for parameter in model.parameters()),
        "logits": logits.tolist(),
    }


def in_new_process(function, *arguments):
    """Gọi hàm trong một tiến trình mới. Tiến trình mẹ không tự dựng mô hình nào."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        return process.submit(function, *arguments).result()


# %% Lưu
print("== Lưu ==")


def saving_session(path):
    torch.manual_seed(0)
    model = build(CONFIG).eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            # Tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng". Thêm nhiễu thì lộ.
            tensor.add_(torch.randn_like(tensor), alpha=0.1)
    model.norm.requires_grad_(False)  # đóng băng một lớp, để xem tệp có nhớ không
    save(model, path, CONFIG)
    return observe(model), sum(parameter.numel() for parameter in model.parameters())


original, parameters = in_new_process(saving_session, path)
left_out = sorted(original["tensors"].keys() - set(original["in_file"]))
size = path.stat().st_size
print(f"{parameters} tham số; {len(original['in_file'])} tên trong tệp, {size} byte")
print("không nằm trong tệp:", ", ".join(left_out))

# %% Hai cách tải đúng


def plain(path):
    return load(build, path)


def without_copy(path):
    return load_without_copy(build, path, finish=OwnGPT.make_position)


# %% Sáu cách tải sai


def old_file(path):
    """Tệp ghi từ hồi mã còn ở bản 1."""

    def build_old(config):
        return build(config | {"version": 1})

    return load(build_old, path)


def renamed(path):
    """Mã mới đổi tên một lớp: `out` thành `project`."""

    def renamed_build(config):
        model = build(config)
        model.project = model.out
        del model.out
        return model

    return load(renamed_build, path)


def unfinished(path):
    """Tải không chép mà quên dựng lại buffer không lưu."""
    return load_without_copy(build, path)


def untied(path):
    """Tự viết phần tải không chép, quên nối lại trọng số dùng chung."""
    with torch.device("meta"):
        model = build(CONFIG)
    parts = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    model.load_state_dict(parts["state"], assign=True)
    model.make_position()
    return model.eval()


def formula(path):
    """Mã mới đổi công thức của buffer không lưu, quên tăng VERSION."""
    OwnGPT.base = 1000
    return load(build, path)


def heads(path):
    """Dựng với số đầu chú ý khác: mọi tensor vẫn vừa khít."""

    def other_build(config):
        return build(config | {"heads": 4})

    return load(other_build, path)


# %% Tải lại
CHECKS = ("load", "tensors", "buffers", "ties", "logits")


def loading_session(way, path):
    try:
        return observe(way(path))
    except ValueError as error:
        return str(error).replace(str(path), path.name)


def compare(way):
    """Tải trong tiến trình mới; mỗi phép kiểm tra đạt hay không, và thông báo lỗi nếu có."""
    seen = in_new_process(loading_session, way, path)
    if isinstance(seen, str):
        return dict.fromkeys(CHECKS, False), seen, 0.0
    old, new = original["tensors"], seen["tensors"]
    gap = torch.tensor(seen["logits"]) - torch.tensor(original["logits"])
    largest = gap.abs().max().item()
    verdict = {
        "load": True,
        "tensors": all(new[name] == old[name] for name in original["in_file"]),
        "buffers": all(new[name] == old[name] for name in left_out),
        "ties": seen["tied"],
        "logits": largest <= 1e-5,
    }
    return verdict, "", largest


print("\n== Tải lại ==")
WAYS = {
    "plain": plain,
    "without_copy": without_copy,
    "old_file": old_file,
    "renamed": renamed,
    "unfinished": unfinished,
    "untied": untied,
    "formula": formula,
    "heads": heads,
}
verdicts = {}
messages = {}
gaps = {}
print(f"{'':<12}{'tải':>8}{'tensor':>8}{'buffer':>8}{'chung':>8}{'logits':>8}  lệch")
for name, way in WAYS.items():
    verdicts[name], messages[name], gaps[name] = compare(way)
    row = ""
    for check in CHECKS:
        mark = "đạt"
        if not verdicts[name][check]:
            mark = "TRƯỢT"
        if messages[name] and check != "load":
            mark = "·"  # không tải được thì không có gì để so
        row += f"{mark:>8}"
    print(f"{name:<12}{row}  {gaps[name]:.2g}")

# %% Lời báo lỗi
print("\n== Lời báo lỗi ==")
for name, message in messages.items():
    if message:
        print(f"{name}: {message}")

# %% Huấn luyện tiếp
print("\n== Huấn luyện tiếp ==")


def training_session(path):
    """Một bước trên mô hình còn nằm ở tệp (mmap): trọng số đổi, tệp có đổi không?"""
    model = without_copy(path)
    before = observe(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.arange(8)[None]).square().mean().backward()
    optimizer.step()
    after = observe(model)
    return before["tensors"]["embed.weight"] != after["tensors"]["embed.weight"], before["frozen"]


raw = path.read_bytes()
moved, frozen = in_new_process(training_session, path)
kept = path.read_bytes() == raw
print(f"trọng số đổi: {moved}; tệp còn nguyên: {kept}")
print(f"tham số đóng băng: {original['frozen']} lúc lưu, {frozen} sau khi tải")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


caught = {}
for name, verdict in verdicts.items():
    caught[name] = [check for check in CHECKS if not verdict[check]]
report("plain", not caught["plain"], "load: mọi thứ y nguyên trong tiến trình mới")
report("without_copy", not caught["without_copy"], "load_without_copy: cũng thế")
refused = [name for name in ("old_file", "renamed", "unfinished") if "load" in caught[name]]
report("refused", len(refused) == 3, "ba cách sai bị từ chối, có thông báo")
report("untied", caught["untied"] == ["ties"], "quên nối lại: chỉ phép kiểm tra dùng chung thấy")
report("formula", caught["formula"] == ["buffers", "logits"], "đổi công thức: tensor vẫn đúng")
report("heads", caught["heads"] == ["logits"], "sai số đầu chú ý: chỉ logits thấy")
report("step", moved and kept, "huấn luyện tiếp: trọng số đổi, tệp không đổi")
report("frozen", original["frozen"] == 2 and frozen == 0, "requires_grad không nằm trong tệp")

# %% Kết quả
approx_gaps = {}
for name, gap in gaps.items():
    approx_gaps[name] = {"value": gap, "rel": 0.05, "abs": 1e-5}
results = {
    "exact": {
        "checks": checks,
        "verdicts": verdicts,
        "parameters": parameters,
        "names": len(original["in_file"]),
        "left_out": left_out,
        "size": size,
        "frozen": {"saved": original["frozen"], "loaded": frozen},
    },
    "approx": {"gaps": approx_gaps},
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có cách tải không như dự tính.")

# %% Vẽ
ROWS = {
    "old_file": "tệp của mã cũ",
    "renamed": "đổi tên một lớp",
    "unfinished": "quên dựng lại buffer",
    "untied": "quên nối dùng chung",
    "formula": "đổi công thức buffer",
    "heads": "sai số đầu chú ý",
}
COLUMNS = ("tải", "tensor", "buffer", "chung", "logits")
figure, axes = plt.subplots(figsize=(5.2, 3), layout="constrained")
for y, name in enumerate(ROWS):
    for x, check in enumerate(CHECKS):
        if "load" in caught[name] and check != "load":
            axes.text(x, y, "·", ha="center", va="center", color="C1")  # không có gì để so
        elif check in caught[name]:
            axes.text(x, y, "thấy", ha="center", va="center", color="C0", weight="bold")
        else:
            axes.text(x, y, "sót", ha="center", va="center", color="C1")
axes.set_xlim(-0.5, len(COLUMNS) - 0.5)
axes.set_ylim(len(ROWS) - 0.5, -0.5)
axes.set_xticks(range(len(COLUMNS)), COLUMNS)
axes.set_yticks(range(len(ROWS)), ROWS.values())
axes.xaxis.tick_top()
axes.tick_params(length=0)
figure.savefig("own_model_state_dict.svg")
