"""Năm cái bẫy của load_state_dict: cố ý làm sai từng cái, xem có lỗi không, rồi làm đúng.

    python state_dict_pitfalls.py                 # mô hình tí hon, không cần mạng
    python state_dict_pitfalls.py --break orphan  # tạo optimizer trước khi tải: đối chứng phải trượt
    python state_dict_pitfalls.py --break prefix  # không bỏ tiền tố mà tắt strict: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 20 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import copy
import json
import sys
import tempfile
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=["orphan", "prefix"], help="bỏ một cách sửa")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
checks, facts, path = {}, {}, Path((temporary := tempfile.TemporaryDirectory()).name) / "good.pt"

# %% Mô hình


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = torch.nn.Linear(16, 64), torch.nn.Linear(64, 16)
        # buffer cố định, tính lại được nên không lưu: một ma trận đảo thứ tự
        self.register_buffer("flip", torch.eye(16).flip(0), persistent=False)

    def forward(self, x):
        return self.head(self.body(x).tanh()) @ self.flip


def attempt(way, state, **options):
    """Tải vào một mô hình mới: mấy tensor thành đúng, mấy tên thiếu, mấy tên thừa, có lỗi không."""
    model, fact = Net(), {"missing": 0, "unexpected": 0, "error": ""}
    try:
        missing, unexpected = model.load_state_dict(state, **options)
        fact |= {"missing": len(missing), "unexpected": len(unexpected)}
    except RuntimeError as error:
        fact["error"] = str(error).splitlines()[1].strip()
    fact["right"] = sum(torch.equal(t, good[name]) for name, t in model.state_dict().items())
    print(f"{way:<12} đúng {fact['right']}/{len(good)}; thiếu {fact['missing']}, thừa {fact['unexpected']}", end="")
    print(f"; lỗi: {fact['error'][:57]}…" if fact["error"] else "; không có lỗi")
    facts[way] = fact


torch.manual_seed(0)
original = Net()
good = copy.deepcopy(original.state_dict())
torch.save(good, path)
x = torch.randn(4, 16)

# %% Tiền tố
print("== Tiền tố ==")
wrapped, compiled, in_place = torch.nn.DataParallel(original), torch.compile(original), copy.deepcopy(original)
in_place.compile()  # biên dịch tại chỗ: tên giữ nguyên
stripped = wrapped.state_dict()
consume_prefix_in_state_dict_if_present(stripped, "module.")  # sửa tên ngay trong dict
prefixes = [next(iter(state)).removesuffix("body.weight") for state in (wrapped.state_dict(), compiled.state_dict())]
print("tiền tố:", *prefixes)
attempt("strict", wrapped.state_dict())
attempt("wrapped", wrapped.state_dict(), strict=False)
attempt("compiled", compiled.state_dict(), strict=False)
attempt("inner", wrapped.module.state_dict())
attempt("stripped", stripped if args.damage != "prefix" else wrapped.state_dict(), strict=args.damage != "prefix")
attempt("in_place", in_place.state_dict())
right = [facts[way]["right"] for way in ("strict", "wrapped", "compiled", "inner", "stripped", "in_place")]
checks["prefix"] = ("thừa tiền tố: strict=False không tải tensor nào; ba cách sửa tải đủ", right == [0, 0, 0, 4, 4, 4])

# %% Gõ sai tên
print("\n== Gõ sai tên ==")
typo = {name.replace("head.bias", "head.bais"): t for name, t in good.items()}
shape = good | {"head.bias": torch.zeros(9)}
attempt("typo", typo, strict=False)
attempt("shape", shape, strict=False)
quiet = facts["typo"]["right"] == 3 and not facts["typo"]["error"] and facts["shape"]["error"]
checks["typo"] = ("sai một chữ: strict=False im lặng, chỉ sai kích thước mới có lỗi", bool(quiet))

# %% Kiểu số
print("\n== Kiểu số ==")
half, copied, assigned = {name: t.half() for name, t in good.items()}, Net(), Net()
copied.load_state_dict(half)
assigned.load_state_dict(half, assign=True)
facts["dtype"] = {"copied": str(copied.head.weight.dtype), "assigned": str(assigned.head.weight.dtype)}
rounded = not torch.equal(copied.head.weight, good["head.weight"])
print(f"chép: {facts['dtype']['copied']}, số đã {'bị làm tròn' if rounded else 'giữ nguyên'}")
print(f"assign=True: {facts['dtype']['assigned']}")
cast = rounded and facts["dtype"] == {"copied": "torch.float32", "assigned": "torch.float16"}
checks["dtype"] = ("tệp float16: chép thì đổi kiểu lặng lẽ, assign=True thì mô hình thành float16", cast)

# %% Optimizer mồ côi
print("\n== Optimizer mồ côi ==")


def step(optimizer_first):
    """Tạo optimizer trước hay sau khi tải; một bước huấn luyện có đổi trọng số không?"""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.load_state_dict(torch.load(path), assign=True)
    if not optimizer_first:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(x).square().mean().backward()
    optimizer.step()
    return not torch.equal(model.head.weight, good["head.weight"])


facts["orphan"] = {"before": step(True), "after": step(args.damage == "orphan")}
for when, moved in zip(("trước", "sau"), facts["orphan"].values(), strict=True):
    print(f"optimizer tạo {when} khi tải: một bước {'đổi' if moved else 'KHÔNG đổi'} trọng số")
trained = facts["orphan"] == {"before": False, "after": True}
checks["orphan"] = ("optimizer tạo trước khi tải không đổi được trọng số, tạo sau thì đổi", trained)

# %% Buffer trên meta
print("\n== Buffer trên meta ==")
with torch.device("meta"):
    hollow = Net()
hollow.load_state_dict(torch.load(path), assign=True)  # đủ mọi tên, nhưng flip không nằm trong tệp
output = hollow(x)  # không có lỗi: phép nhân ma trận đọc vùng nhớ chưa ai ghi
left = [name for name, buffer in hollow.named_buffers() if buffer.is_meta]
facts["meta"] = {"device": str(output.device), "equal": torch.equal(output, original(x)), "left": left}
hollow.flip = Net().flip
verdict = "đúng" if facts["meta"]["equal"] else "SAI"
print(f"không có lỗi; đầu ra ở {output.device}, {verdict}; còn trên meta: {', '.join(left)}")
silent = facts["meta"] == {"device": "cpu", "equal": False, "left": ["flip"]}
mended = torch.allclose(hollow(x), original(x))
checks["meta"] = ("buffer không lưu ở lại meta: đầu ra là rác mà không có lỗi; dựng lại thì đúng", silent and mended)

# %% Đối chứng
print("\n== Đối chứng ==")
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "names": len(good), "prefixes": prefixes, **facts}
    args.json.write_text(json.dumps({"exact": exact}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: có cách sửa không sửa được, hoặc cái bẫy không còn như đã tả.\n")
print("ĐÃ CHỨNG MINH: năm cái bẫy đều sập như đã tả, và cách sửa nào cũng sửa được.")
