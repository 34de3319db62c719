"""Tải xong mô hình có kiểu số gì, và huấn luyện trong bfloat16 thì mất bước nào, tốn bao nhiêu.

    python loaded_dtype.py    # mô hình tí hon, không cần mạng

Tốn (cỡ mặc định): không quá 90 giây, 3 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors
"""

# %% Chuẩn bị
import copy
import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, logging

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
RATE = 1e-5  # tốc độ học thường gặp khi tinh chỉnh
RANK = 4  # hạng của adapter

logging.set_verbosity_error()
logging.disable_progress_bar()
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)

# %% Lưu
torch.manual_seed(0)
config = GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)
model = GPT2LMHeadModel(config)
with torch.no_grad():
    for parameter in model.parameters():  # tensor toàn 0 hay 1 thì làm tròn không mất gì
        parameter.add_(torch.randn_like(parameter), alpha=0.02)
model.save_pretrained(root / "float32")
copy.deepcopy(model).to(torch.bfloat16).save_pretrained(root / "bfloat16")
copy.deepcopy(model).to(torch.float16).save_pretrained(root / "float16")

model.save_pretrained(root / "edited")  # trọng số float32, nhưng cấu hình nói bfloat16
file = root / "edited/config.json"
edited = json.loads(file.read_text(encoding="utf-8"))
edited["dtype"] = "bfloat16"
file.write_text(json.dumps(edited), encoding="utf-8")

# %% Bảy cách tải
load = AutoModelForCausalLM.from_pretrained


def into_float32_model(folder, assign):
    """Nạp state_dict của thư mục vào một mô hình float32 dựng sẵn."""
    model = GPT2LMHeadModel(config)
    model.load_state_dict(load(folder).state_dict(), assign=assign)
    return model


loaded = {
    "default": load(root / "bfloat16"),
    "dtype": load(root / "bfloat16", dtype=torch.float32),
    "torch_dtype": load(root / "bfloat16", torch_dtype=torch.float32),
    "edited": load(root / "edited"),
    "dtype_edited": load(root / "edited", dtype=torch.float32),
    "state_dict": into_float32_model(root / "float16", assign=False),
    "assign": into_float32_model(root / "float16", assign=True),
}
FOLDERS = {"edited": "edited", "dtype_edited": "edited"}
FOLDERS |= {"state_dict": "float16", "assign": "float16"}

# %% Kiểu số sau khi tải
print("== Kiểu số sau khi tải ==")
TEXTS = {
    "default": "bfloat16  from_pretrained(d)",
    "dtype": "bfloat16  from_pretrained(d, dtype=torch.float32)",
    "torch_dtype": "bfloat16  from_pretrained(d, torch_dtype=…)",
    "edited": "edited    from_pretrained(d)",
    "dtype_edited": "edited    from_pretrained(d, dtype=torch.float32)",
    "state_dict": "float16   load_state_dict(…)",
    "assign": "float16   load_state_dict(…, assign=True)",
}
kinds = {}
kept = {}
for way, result in loaded.items():
    kinds[way] = str(result.dtype).removeprefix("torch.")
    state = result.state_dict()
    saved = load_file(root / FOLDERS.get(way, "bfloat16") / "model.safetensors")
    kept[way] = all(torch.equal(state[name].double(), t.double()) for name, t in saved.items())
    words = "giữ mọi giá trị" if kept[way] else "ĐÃ LÀM TRÒN"
    print(f"{TEXTS[way]:<50} {kinds[way]:<9} {words}")

# %% Một bước huấn luyện


class WithAdapter(torch.nn.Module):
    """Một lớp đóng băng, cộng hai ma trận nhỏ float32: ý của LoRA, viết ngắn nhất có thể."""

    def __init__(self, frozen):
        super().__init__()
        self.frozen = frozen
        inputs, outputs = frozen.weight.shape
        self.down = torch.nn.Parameter(torch.randn(inputs, RANK) / RANK)
        self.up = torch.nn.Parameter(torch.randn(RANK, outputs) * 0.02)

    def forward(self, hidden):
        change = hidden.float() @ self.down @ self.up
        return self.frozen(hidden) + change.to(hidden.dtype)


def step_once(model):
    """Một bước AdamW: tỉ lệ tham số được học mà không đổi chút nào, và số byte cần để học."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in trainable]
    optimizer = torch.optim.AdamW(trainable, lr=RATE, weight_decay=0)
    ids = torch.arange(512).reshape(4, 128)
    logits = model(ids).logits[:, :-1].float()
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).backward()
    optimizer.step()

    unmoved = 0
    for parameter, old in zip(trainable, before, strict=True):
        unmoved += (parameter == old).sum().item()
    memory = sum(parameter.nbytes for parameter in model.parameters())
    for parameter in trainable:
        memory += parameter.grad.nbytes
        memory += optimizer.state[parameter]["exp_avg"].nbytes
        memory += optimizer.state[parameter]["exp_avg_sq"].nbytes
    trained = sum(parameter.numel() for parameter in trainable)
    return {"stuck": unmoved / trained, "bytes": memory, "trained": trained}


def with_adapters():
    """Nền bfloat16 đóng băng; chỉ adapter float32 được học."""
    model = load(root / "bfloat16").requires_grad_(False)
    for block in model.transformer.h:
        block.attn.c_attn = WithAdapter(block.attn.c_attn)
    return model


# %% Bộ nhớ và tham số đứng yên
print("\n== Bộ nhớ và tham số đứng yên ==")
parameters = model.num_parameters()
torch.manual_seed(0)
steps = {
    "default": step_once(load(root / "bfloat16")),
    "dtype": step_once(load(root / "bfloat16", dtype=torch.float32)),
    "adapter": step_once(with_adapters()),
}
TITLES = {
    "default": "tất cả bfloat16",
    "dtype": "tất cả float32",
    "adapter": "nền bfloat16 đóng băng, adapter float32",
}
print(f"{'':<41} được học   đứng yên   byte mỗi tham số")
for way, result in steps.items():
    result["per_parameter"] = result["bytes"] / parameters
    print(f"{TITLES[way]:<41} {result['trained']:>8} {result['stuck']:>9.1%}", end="")
    print(f" {result['per_parameter']:>11.2f}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


wanted = ["bfloat16", "float32", "float32", "bfloat16", "float32", "float32", "float16"]
others = [way for way in loaded if way != "edited"]
report("kinds", list(kinds.values()) == wanted, "cả bảy cách: kiểu số như bảng trên")
report("edited", not kept["edited"], "sửa dtype trong cấu hình: float32 bị làm tròn")
report("kept", all(kept[way] for way in others), "sáu cách còn lại: không giá trị nào đổi")
report("lost", steps["default"]["stuck"] > 0.5, "học trong bfloat16: quá nửa tham số đứng yên")
report("moved", steps["dtype"]["stuck"] < 0.1, "học trong float32: hầu như tham số nào cũng đổi")
report("adapter", steps["adapter"]["stuck"] < 0.1, "adapter float32 trên nền bfloat16 cũng vậy")
report("cheap", steps["adapter"]["bytes"] < steps["default"]["bytes"], "và tốn ít bộ nhớ nhất")

# %% Kết quả
exact_steps = {}
approx_steps = {}
for way, result in steps.items():
    exact_steps[way] = {name: result[name] for name in ("trained", "bytes", "per_parameter")}
    approx_steps[way] = {"value": result["stuck"], "abs": 0.02}
results = {
    "exact": {
        "checks": checks,
        "kinds": kinds,
        "kept": kept,
        "parameters": parameters,
        "steps": exact_steps,
    },
    "approx": {"stuck": approx_steps},
}
if not all(checks.values()):
    sys.exit("TRƯỢT: kiểu số sau khi tải, hay bước huấn luyện, không như đã nói.")
