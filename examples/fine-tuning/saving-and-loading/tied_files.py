"""Trọng số dùng chung trong tệp: safetensors nhận gì, và khi config.json với tệp nói khác nhau.

    python tied_files.py            # mô hình tí hon, không cần mạng

Tốn (cỡ mặc định): không quá 180 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors
"""

# %% Chuẩn bị
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file, save_model
from tied_weights import overlapping_names, shared_names, untied
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model
from transformers import T5Config, T5ForConditionalGeneration

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 32, "vocab_size": 256, "n_positions": 64}
PAIR = ["transformer.wte.weight", "lm_head.weight"]

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)


def error_of(function, *arguments):
    """Lỗi mà lời gọi này ném ra, trên một dòng; rỗng khi không có lỗi."""
    try:
        function(*arguments)
    except Exception as error:
        lines = [line.strip() for line in str(error).strip().splitlines()]
        return sorted_names(f"{type(error).__name__}: {' '.join(lines[:2])}")
    return ""


def first_sentence(text):
    """Đến dấu phẩy đầu tiên: lỗi của safetensors dài nhiều dòng."""
    return text.partition(", ")[0]


def sorted_names(text):
    """torch liệt kê các tên trong {…} theo thứ tự bất kỳ: xếp lại để lần chạy nào cũng như nhau."""
    names = sorted(re.findall(r"'[\w.]+'", text))
    return re.sub(r"\{.*\}", "{" + ", ".join(names) + "}", text)


# %% Dựng


def new_model(**changes):
    """GPT-2 tí hon; mọi tensor có nhiễu, vì tensor toàn 0 mất đi rồi dựng lại vẫn «đúng»."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0, **changes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return model.eval()


model = new_model()
groups = shared_names(model)
t5 = T5ForConditionalGeneration(
    T5Config(vocab_size=256, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2)
)
t5_groups = shared_names(t5)
print("== Dựng ==")
print("GPT-2:", " = ".join(groups[0]))
print("T5:", " = ".join(t5_groups[0]))

# %% safetensors nhận gì
print("\n== safetensors nhận gì ==")
refused = error_of(save_file, model.state_dict(), root / "refused.safetensors")
print("save_file:", refused)

save_model(model, str(root / "save_model.safetensors"))
with safe_open(root / "save_model.safetensors", "pt") as file:
    names = list(file.keys())
    note = file.metadata()
print(f"save_model: {len(names)} tên, phần đầu tệp ghi {note}")

state = load_file(root / "save_model.safetensors")
missing = error_of(new_model().load_state_dict, state)
print("load_state_dict(load_file(...)):", missing)

model.save_pretrained(root / "folder")
print("save_pretrained: untied(thư mục) =", untied(root / "folder", groups))

# %% Chữa bằng clone
print("\n== Chữa bằng clone ==")
cloned = {name: tensor.clone() for name, tensor in model.state_dict().items()}
save_file(cloned, root / "cloned.safetensors")
sizes = {
    "one": (root / "save_model.safetensors").stat().st_size,
    "two": (root / "cloned.safetensors").stat().st_size,
}
pairs = untied(root / "cloned.safetensors", groups)
print(f"tệp nặng gấp {sizes['two'] / sizes['one']:.2f} lần; untied(tệp) = {pairs}")

# %% Lát cắt
print("\n== Lát cắt ==")


class TwoBuffers(torch.nn.Module):
    def __init__(self, first, second):
        super().__init__()
        self.register_buffer("first", first)
        self.register_buffer("second", second)


window = torch.linspace(0, 1, 100)
KINDS = {
    "whole_and_part": (window, window[:50]),
    "two_halves": (window[:50], window[50:]),
    "overlapping": (window[:60], window[40:]),
    "cloned": (window[:60].clone(), window[40:].clone()),
}
file = str(root / "buffers.safetensors")
slices = {}
for name, buffers in KINDS.items():
    pair = TwoBuffers(*buffers)
    kept = []
    by_model = error_of(save_model, pair, file)
    if not by_model:
        kept = sorted(load_file(file))
    slices[name] = {
        "overlapping_names": overlapping_names(pair),
        "save_file": error_of(save_file, pair.state_dict(), file),
        "save_model": by_model,
        "kept": kept,
    }
    print(f"--- {name}; overlapping_names: {slices[name]['overlapping_names']}")
    print("save_file:", first_sentence(slices[name]["save_file"]) or "lưu được")
    print("save_model:", first_sentence(by_model) or f"lưu được, tệp có {kept}")

# %% Buffer dùng chung
print("\n== Buffer dùng chung ==")
buffers = TwoBuffers(window, window)
buffer_groups = shared_names(buffers)
buffers.double().float()  # như chuyển sang GPU: mỗi buffer được chép riêng
buffer_pairs = untied(buffers, buffer_groups)
print(f"trước: {buffer_groups}; sau khi đổi kiểu số, untied: {buffer_pairs}")

# %% Cấu hình và tệp
print("\n== Cấu hình và tệp ==")


def edit_config(folder, **changes):
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config.update(changes)
    file.write_text(json.dumps(config), encoding="utf-8")


def save_agreeing(folder):
    """Đúng: cấu hình ghi dùng chung, tệp có một ma trận."""
    model.save_pretrained(folder)


def save_edited(folder):
    """Ai đó sửa config.json thành «không dùng chung»."""
    model.save_pretrained(folder)
    edit_config(folder, tie_word_embeddings=False)


def save_replaced(folder):
    """Ai đó gán một tham số mới cho lm_head; cấu hình vẫn ghi «dùng chung»."""
    changed = new_model()
    changed.lm_head.weight = torch.nn.Parameter(changed.lm_head.weight.detach() + 1)
    changed.save_pretrained(folder)


def save_body(folder):
    """Chỉ lưu thân của một mô hình không dùng chung, rồi tải thành mô hình ngôn ngữ."""
    body = GPT2Model(GPT2Config(**TINY, tie_word_embeddings=False))
    body.save_pretrained(folder)
    edit_config(folder, architectures=["GPT2LMHeadModel"])


def save_twice(folder):
    """Cấu hình ghi «không dùng chung», mà hai ma trận bằng nhau từng bit."""
    separate = new_model(tie_word_embeddings=False)
    separate.lm_head.weight = torch.nn.Parameter(separate.transformer.wte.weight.detach().clone())
    separate.save_pretrained(folder)


WAYS = [save_agreeing, save_edited, save_replaced, save_body, save_twice]
folders = {}
for way in WAYS:
    name = way.__name__.removeprefix("save_")
    folder = root / name
    way(folder)
    with safe_open(folder / "model.safetensors", "pt") as file:
        head_in_file = "lm_head.weight" in list(file.keys())
    loaded, report = GPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "tied_weights.py", str(folder)],
        capture_output=True,
        encoding="utf-8",
    )
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    folders[name] = {
        "config": config["tie_word_embeddings"],
        "head_in_file": head_in_file,
        "missing": sorted(report["missing_keys"]),
        "tied": loaded.lm_head.weight is loaded.transformer.wte.weight,
        "exit_code": done.returncode,
    }
    print(f"--- {name}: python tied_weights.py {name}, mã thoát {done.returncode}")
    print((done.stdout + done.stderr).strip())

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = bool(passed)


report("refused", "Some tensors share memory" in refused, "save_file từ chối hai tên một vùng nhớ")
one_name = len(names) == len(model.state_dict()) - 1 and PAIR[0] in note.values()
report(
    "one_name", one_name or PAIR[1] in note.values(), "save_model ghi một tên, tên kia ở phần đầu"
)
report("missing", "Missing key(s)" in missing, "load_state_dict đòi tên không có trong tệp")
report("clone", pairs == [tuple(PAIR)], "tệp của bản clone: hai bản rời nhau, untied thấy")
both_refuse = slices["overlapping"]["save_file"] and slices["overlapping"]["save_model"]
report("overlapping", both_refuse, "hai lát chồng nhau: save_file và save_model đều từ chối")
halves = slices["two_halves"]
only_model = "covering the entire storage" in halves["save_model"] and not halves["save_file"]
report("halves", only_model, "hai nửa rời nhau: chỉ save_model từ chối")
part_dropped = slices["whole_and_part"]["kept"] == ["first"]
report("part", part_dropped, "cả cửa sổ và một phần của nó: save_model chỉ ghi cả cửa sổ")
report("cloned", slices["cloned"]["kept"] == ["first", "second"], "clone từng buffer: lưu đủ")
apart = buffer_groups and buffer_pairs == [("first", "second")]
report("buffers", apart, "buffer dùng chung tách ra khi đổi kiểu số")
t5_right = len(t5_groups) == 1 and len(t5_groups[0]) == 4
report("t5", t5_right, "T5: một ma trận ở bốn chỗ")
good = folders["agreeing"]
report("agreeing", good["tied"] and good["exit_code"] == 0, "cấu hình và tệp khớp nhau: mã thoát 0")
for name in ("edited", "replaced", "body"):
    if name in folders:
        wrong = folders[name]
        passed = not wrong["tied"] and wrong["exit_code"] == 1
        report(name, passed, f"{name}: tải xong không dùng chung, mã thoát 1")
if "twice" in folders:
    twice = folders["twice"]
    report("twice", not twice["missing"] and twice["exit_code"] == 0, "twice: chỉ được nhắc")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "groups": groups,
        "t5_names": len(t5_groups[0]),
        "names": len(names),
        "state_names": len(model.state_dict()),
        "sizes": sizes,
        "slices": slices,
        "folders": folders,
    },
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có tệp không như đã nói.")
