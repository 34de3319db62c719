"""Lưu và tải mô hình tự viết bằng state_dict: một tệp đủ để dựng lại, chứng minh trong tiến trình mới.

    python own_model_state_dict.py                    # mô hình tí hon, không cần mạng
    python own_model_state_dict.py --break finish     # quên bước sau khi tải: đối chứng phải trượt
    python own_model_state_dict.py --break formula    # mã đổi công thức mà quên tăng VERSION: phải trượt

Tốn (cỡ mặc định): không quá 20 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import inspect
import json
import subprocess
import sys
import tempfile
from pathlib import Path

BREAK = {  # cách phá: (phá cái gì, phép đổi)
    "version": ("file", lambda parts: parts | {"version": parts["version"] - 1}),  # tệp của mã cũ
    "heads": ("file", lambda parts: parts | {"config": parts["config"] | {"heads": 4}}),  # vẫn vừa khít mọi tensor
    # tệp đúng hết, chỉ mã phía tải sai
    "finish": ("code", lambda code: code.replace("model.finish()", "pass")),
    "untie": ("code", lambda code: code.replace("self.head.weight = self.embed.weight", "pass")),
    "formula": ("code", lambda code: code.replace("10000", "1000")),  # đổi phép tính mà quên tăng VERSION
}
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=BREAK, help="phá một chỗ, để xem đối chứng trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
path = Path((temporary := tempfile.TemporaryDirectory()).name) / "model.pt"
target, change = BREAK.get(args.damage, (None, None))

# %% Mô hình
VERSION = 2  # tăng lên mỗi khi đổi tên tensor hay đổi phép tính: tệp cũ không còn hợp với mã mới


class OwnGPT(torch.nn.Module):
    def __init__(self, vocab, width, heads, context):
        super().__init__()
        self.config = {"vocab": vocab, "width": width, "heads": heads, "context": context}
        self.embed = torch.nn.Embedding(vocab, width)
        self.norm = torch.nn.LayerNorm(width)
        self.mix = torch.nn.Linear(width, 3 * width)
        self.out = torch.nn.Linear(width, width)
        self.head = torch.nn.Linear(width, vocab, bias=False)
        self.register_buffer("frequency", torch.zeros(vocab))  # đếm từ dữ liệu, cấu hình không cho lại được: lưu
        self.finish()

    def finish(self):
        """Dựng những gì không nằm trong tệp: chỗ buộc, và buffer mà cấu hình cho lại được."""
        self.head.weight = self.embed.weight
        rate = 10000 ** -torch.linspace(0, 1, self.config["width"] // 2)
        angle = torch.arange(self.config["context"])[:, None] * rate
        self.register_buffer("position", torch.cat([angle.sin(), angle.cos()], 1), persistent=False)

    def forward(self, ids):
        x = self.embed(ids) + self.position[: ids.shape[1]]
        mixed = self.mix(self.norm(x)).unflatten(2, (3, self.config["heads"], -1))
        q, k, v = mixed.permute(2, 0, 3, 1, 4)  # (3, lô, đầu, vị trí, chiều)
        seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.head(x + self.out(seen.transpose(1, 2).flatten(2))) + self.frequency


# %% Lưu và tải


def save(model, path):
    """Mọi thứ để dựng lại, trong một tệp: chỉ dict, số, chữ và tensor, nên weights_only=True mở được."""
    parts = {"class": type(model).__name__, "version": VERSION, "config": model.config, "state": model.state_dict()}
    torch.save(parts, part := path.with_suffix(".part"))
    part.replace(path)  # ghi tệp mới rồi mới thay: không lúc nào có tệp dở dang


def load(path):
    """Dựng khung rỗng, gắn thẳng tensor của tệp vào, rồi dựng nốt những gì tệp không chứa."""
    parts = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    if (parts["class"], parts["version"]) != (OwnGPT.__name__, VERSION):
        raise ValueError(f"tệp của {parts['class']} bản {parts['version']}, mã là {OwnGPT.__name__} bản {VERSION}")
    with torch.device("meta"):  # có tên và kích thước, chưa có số nào
        model = OwnGPT(**parts["config"])
    model.load_state_dict(parts["state"], assign=True)  # strict=True là mặc định: thiếu hay thừa tên là lỗi
    model.finish()  # assign=True đã tách chỗ buộc; position còn trên meta
    if empty := [name for name, t in [*model.named_parameters(), *model.named_buffers()] if t.is_meta]:
        raise ValueError(f"chưa có số: {empty}")
    return model.eval()  # optimizer, nếu cần, tạo sau dòng này


# %% Quan sát


def observe(model):
    """Kiểu số và từng byte của mọi tensor, kể cả buffer không lưu; còn buộc không; logits."""
    every = model.state_dict() | dict(model.named_buffers())
    tensors = {name: f"{t.dtype} {hashlib.sha256(t.contiguous().numpy()).hexdigest()}" for name, t in every.items()}
    with torch.no_grad():
        logits = model(torch.arange(0, 64, 4)[None])[0, -1].tolist()
    return {"tensors": tensors, "tied": model.head.weight is model.embed.weight, "logits": logits}


# %% Dựng và lưu
print("== Dựng và lưu ==")
torch.manual_seed(0)
model = OwnGPT(vocab=64, width=32, heads=2, context=32).eval()
with torch.no_grad():  # tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng". Nên cộng nhiễu.
    for t in [*model.parameters(), model.frequency]:
        t.add_(torch.randn_like(t), alpha=0.1)
save(model, path)
original, names, size = observe(model), list(model.state_dict()), path.stat().st_size
parameters = sum(parameter.numel() for parameter in model.parameters())
left_out = sorted(original["tensors"].keys() - set(names))
print(f"{parameters} tham số, {len(names)} tên trong tệp, {size} byte; không nằm trong tệp: {', '.join(left_out)}")
if target == "file":
    torch.save(change(torch.load(path)), path)  # không mmap: ghi đè được

# %% Tiến trình mới
METHODS = (OwnGPT.__init__, OwnGPT.finish, OwnGPT.forward)  # mã của bạn thì chỉ cần import lớp từ tệp của nó
CHILD = f"""
import hashlib, json, sys, torch
VERSION = {VERSION}
class OwnGPT(torch.nn.Module):
{"".join(map(inspect.getsource, METHODS))}
{inspect.getsource(load)}{inspect.getsource(observe)}
model = load(sys.argv[1])
seen = observe(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.arange(8)[None]).square().mean().backward()
optimizer.step()  # tệp được ánh xạ vào bộ nhớ: huấn luyện tiếp có đổi tệp không?
print(json.dumps({{**seen, "stepped": observe(model)["tensors"]["embed.weight"]}}))
"""

# %% Tải lại
print("\n== Tải lại ==")
before = path.read_bytes()
command = [sys.executable, "-X", "utf8", "-c", change(CHILD) if target == "code" else CHILD, str(path)]
done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
seen = json.loads(done.stdout) if done.returncode == 0 else {"tensors": {}, "tied": False, "logits": [], "stepped": 0}
print("không có lỗi" if done.returncode == 0 else done.stderr.strip().splitlines()[-1])

# %% Đối chứng
print("\n== Đối chứng ==")
old, new = original["tensors"], seen["tensors"]
logits = torch.tensor(seen["logits"] or [float("nan")])  # nan: chưa tải được
difference = (logits - torch.tensor(original["logits"])).abs().max().item()
moved = seen["stepped"] not in (0, new.get("embed.weight"))
checks = {
    "load": ("tải không lỗi, đúng lớp và phiên bản, không còn tensor rỗng", done.returncode == 0),
    "weights": (f"{len(names)} tên trong tệp bằng nhau từng bit", all(old[name] == new.get(name) for name in names)),
    "buffers": (f"buffer không lưu cũng thế: {', '.join(left_out)}", all(old[n] == new.get(n) for n in left_out)),
    "ties": ("head.weight vẫn là embed.weight", seen["tied"]),
    "logits": (f"logits lệch nhiều nhất {difference:.2g}", difference <= 1e-5),
    "step": ("huấn luyện tiếp một bước: trọng số đổi, tệp không đổi", moved and path.read_bytes() == before),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "parameters": parameters, "names": len(names), "size": size, "left_out": left_out}
    approx = {"logits_difference": {"value": difference, "rel": 0.05, "abs": 1e-5}} if seen["logits"] else {}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: cái tải lại không phải cái đã lưu.\n")
print("ĐÃ CHỨNG MINH: cái tải lại chính là cái đã lưu.")
