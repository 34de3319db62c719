"""Tệp .pt cũ gặp PyTorch mới: tệp nào bị từ chối, vì sao, và cách lấy dữ liệu ra mà không tắt chốt an toàn.

    python old_torch_files.py                 # tự dựng mọi tệp cũ; mã gài trong tệp chỉ tạo một tệp rỗng
    python old_torch_files.py --break trust   # thêm pickle_module cho hết lỗi: đối chứng phải trượt
    python old_torch_files.py --break digits  # ghi lại bằng kiểu thường mà làm rơi chữ số: đối chứng phải trượt
    python old_torch_files.py --break flip    # một bit lật ở tệp định dạng cũ: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 30 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch numpy
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import importlib
import io
import json
import os
import pickle
import re
import sys
import tarfile
import tempfile
import warnings
import zipfile
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("trust", "digits", "flip"), help="làm ẩu một bước")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # như máy không có GPU
try:
    import numpy as np
    import torch
    from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch numpy\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
root = Path((temporary := tempfile.TemporaryDirectory()).name)
mark = root / "MA_LA_DA_CHAY.txt"  # dấu vết mã lạ để lại nếu nó chạy

# %% Dựng
PROJECT = """
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(3, 2)
"""
(root / "du_an_cu.py").write_text(PROJECT, encoding="utf-8")  # mã nguồn của ngày ấy
sys.path.insert(0, str(root))
project = importlib.import_module("du_an_cu")


class Evil:
    def __reduce__(self):  # pickle hỏi cách dựng lại vật này; đáp: chạy lệnh sau
        return exec, (f"open({str(mark)!r}, 'w').close()",)


torch.manual_seed(0)
net = project.Net()
state = net.state_dict()
LOSS = 0.1234567890123456789  # float64: ghi bằng float32 là rơi chữ số
torch.save(net, root / "whole.pt")  # cả đối tượng
torch.save({**state, "best": np.float64(LOSS)}, root / "numpy.pt")
torch.save({**state, "args": argparse.Namespace(lr=1e-3)}, root / "namespace.pt")
torch.save({**state, "folder": Path("luu/mo_hinh")}, root / "path.pt")
torch.save(state, root / "zip.pt")
torch.save(state, root / "old.pt", _use_new_zipfile_serialization=False)  # định dạng trước PyTorch 1.6
torch.save({**state, "note": Evil()}, root / "evil.pt")
torch.save({**state, "note": Evil()}, root / "old_evil.pt", _use_new_zipfile_serialization=False)
(root / "plain.pkl").write_bytes(pickle.dumps(state))
with tarfile.open(root / "tar.pt", "w") as tar:  # chỉ cái vỏ của định dạng xưa nhất: đủ để xem torch.load có nhận không
    tar.addfile(tarfile.TarInfo("storages"), io.BytesIO())
raw = (root / "old.pt").read_bytes()
(root / "old_flipped.pt").write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))  # lật một bit của số cuối cùng
tag = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"  # nhãn thiết bị trong pickle: như tệp ghi trên máy có GPU
(root / "old_cuda.pt").write_bytes(raw.replace(*tag))
with zipfile.ZipFile(root / "numpy.pt") as was, zipfile.ZipFile(root / "numpy_old.pt", "w") as now:
    for name in was.namelist():  # NumPy trước bản 2 ghi tên mô-đun khác
        now.writestr(name, was.read(name).replace(b"numpy._core", b"numpy.core"))

# %% Thử


def attempt(job, *given, **options):
    """Kết quả của lời gọi, hoặc tên lỗi và câu rõ nhất trong lời báo."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return job(*given, **options), ""
    except Exception as error:
        text = re.sub(r"\x1b\[\d*m", "", str(error))
        clear = re.search(r"GLOBAL \S+ was not an allowed global|Can only build .*?>|Unsupported operand \d+", text)
        said = clear[0] if clear else re.split(r"(?<=\S)\. |\n", text)[0]
        said = said.replace(str(root), "…").replace(type(Path()).__name__, "PosixPath")
        return None, f"{type(error).__name__}: {said}"


def equal(found, names=state):
    """Đủ mọi tensor, đúng kiểu, đúng từng bit."""
    return all(torch.equal(found[n].view(torch.int32), t.view(torch.int32)) for n, t in names.items())


# %% Mở như ngày xưa
print("== Mở như ngày xưa ==")
rows = {}
for name in ("whole", "numpy", "numpy_old", "namespace", "path", "evil", "old_evil", "tar", "old_cuda", "zip", "old"):
    found, error = attempt(torch.load, root / f"{name}.pt")
    listed, why = attempt(get_unsafe_globals_in_checkpoint, root / f"{name}.pt")
    rows[name] = {"error": error, "listed": sorted(listed) if listed is not None else why, "ran": mark.exists()}
    print(f"{name}.pt: {error or 'tải được, ' + ('đúng từng bit' if equal(found) else 'SAI')}")
rows["pickle"] = {"error": attempt(torch.load, root / "plain.pkl")[1]}
print(f"plain.pkl: {rows['pickle']['error']}")

# %% Xem trước
print("\n== Xem trước ==")
for name in ("whole", "numpy", "numpy_old", "namespace", "path", "evil", "old"):
    listed = rows[name]["listed"]
    print(f"{name}.pt: {listed if isinstance(listed, str) else ', '.join(listed)}")

# %% Khai từng tên
print("\n== Khai từng tên ==")
scalar = np._core.multiarray.scalar
fixes = {  # tệp: những danh sách khai, mỗi cái thêm một thứ mà lỗi lần trước đòi
    "namespace": [[argparse.Namespace]],
    "path": [[type(Path())]],
    "numpy": [[scalar], [scalar, np.dtype], [scalar, np.dtype, np.dtypes.Float64DType]],
    "numpy_old": [[(scalar, "numpy.core.multiarray.scalar"), np.dtype, np.dtypes.Float64DType]],
}
allowed = {}
for name, lists in fixes.items():
    for names in lists:
        with safe_globals(names):  # chỉ trong khối này; add_safe_globals thì cho cả chương trình
            found, error = attempt(torch.load, root / f"{name}.pt", weights_only=True)
        print(f"{name}.pt, khai {len(names)} tên: {error or 'tải được'}")
    allowed[name] = {"found": found, "error": error, "names": len(names)}

# %% Ghi lại bằng kiểu thường


def plain(value):
    """Chỉ còn tensor, số, chữ, danh sách, dict: những thứ `weights_only=True` nhận mà không cần khai gì."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, argparse.Namespace):
        return plain(vars(value))
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    return value


# %% Tệp đã ghi lại
print("\n== Tệp đã ghi lại ==")
again = {}
for name in fixes:
    content = plain(allowed[name]["found"])
    if args.damage == "digits" and "best" in content:
        content["best"] = torch.tensor(content["best"])  # float32: rơi chữ số
    torch.save(content, root / f"{name}_plain.pt")
    again[name] = torch.load(root / f"{name}_plain.pt", weights_only=True)
    extra = {key: value for key, value in again[name].items() if key not in state}
    print(f"{name}_plain.pt: {extra}")

# %% Lớp đã đổi tên, đổi chỗ
print("\n== Lớp đã đổi tên, đổi chỗ ==")


class NewNet(torch.nn.Module):
    """Lớp của hôm nay: một cái vỏ để nhận trọng số."""

    def __init__(self):
        raise RuntimeError("không được gọi: pickle không gọi __init__")


def trusted():
    return torch.load(root / "whole.pt", weights_only=False)  # tệp của chính ta, vừa ghi ở trên


moved = {"here": attempt(trusted)[1]}
del project.Net  # lớp đã đổi tên
moved["renamed"] = attempt(trusted)[1]
del sys.modules["du_an_cu"]  # cả mô-đun đã đổi chỗ
(root / "du_an_cu.py").unlink()
importlib.invalidate_caches()
moved["gone"] = attempt(trusted)[1]
with safe_globals([(NewNet, "du_an_cu.Net"), torch.nn.Linear]):  # tên trong tệp → lớp của hôm nay
    rescued = torch.load(root / "whole.pt", weights_only=True).state_dict()
moved["rescued"] = equal(rescued)
for way, what in (("here", "còn lớp"), ("renamed", "lớp đã đổi tên"), ("gone", "mô-đun không còn")):
    print(f"weights_only=False, {what}: {moved[way] or 'tải được'}")
print(f"weights_only=True, chỉ lớp mới: {'lấy được trọng số, đúng từng bit' if equal(rescued) else 'SAI'}")

# %% Định dạng cũ
print("\n== Định dạng cũ ==")
old = {
    "mmap": attempt(torch.load, root / "old.pt", mmap=True)[1],
    "crc": attempt(lambda: zipfile.ZipFile(root / "old.pt").testzip())[1],
    "flipped": attempt(lambda: equal(torch.load(root / "old_flipped.pt"))),
    "map_location": attempt(lambda: equal(torch.load(root / "old_cuda.pt", map_location="cpu")))[0],
}
whole = "old_flipped" if args.damage == "flip" else "old"
old["equal"] = equal(torch.load(root / f"{whole}.pt", weights_only=True))
flipped = "tải được, không một lời báo, số SAI" if old["flipped"] == (False, "") else "bị phát hiện"
print(f"mmap=True: {old['mmap']}", f"testzip: {old['crc']}", f"lật một bit: {flipped}", sep="\n")
print(f"ghi từ GPU, map_location='cpu': {'đúng từng bit' if old['map_location'] else 'SAI'}")

# %% Chốt tắt mà không ai nói
print("\n== Chốt tắt mà không ai nói ==")
safely = not mark.exists()  # mọi lần mở ở trên: mã lạ chưa chạy
if args.damage == "trust":
    torch.load(root / "evil.pt", pickle_module=pickle)
    safely = not mark.exists()
mark.unlink(missing_ok=True)
explicit = attempt(torch.load, root / "evil.pt", pickle_module=pickle, weights_only=True)[1]
refused = not mark.exists()
silent = attempt(torch.load, root / "evil.pt", pickle_module=pickle)[1]
ran = mark.exists()
print(f"pickle_module=pickle, weights_only=True: {explicit}")
print(f"pickle_module=pickle: {silent or 'tải được'}, mã lạ {'ĐÃ CHẠY' if ran else 'không chạy'}")

# %% Đối chứng
print("\n== Đối chứng ==")
kinds = ("whole", "numpy", "numpy_old", "namespace", "path", "evil", "old_evil", "tar", "old_cuda", "pickle")
best = [again[name]["best"] for name in ("numpy", "numpy_old")]
checks = {
    "refused": (f"{len(kinds)} tệp cũ bị từ chối", all(rows[name]["error"] for name in kinds)),
    "safe": ("mở mặc định: mã lạ không chạy", safely),
    "listed": ("xem trước thấy exec mà không chạy nó", rows["evil"]["listed"] == ["builtins.exec"]),
    "allowed": ("khai đủ tên thì tải được, đúng từng bit", all(equal(row["found"]) for row in allowed.values())),
    "plain": ("ghi lại: không cần khai gì, đúng từng bit", all(equal(found) for found in again.values())),
    "digits": ("ghi lại: không rơi chữ số nào", all(type(value) is float and value == LOSS for value in best)),
    "rescued": ("lớp mất rồi vẫn lấy được trọng số", moved["rescued"] and bool(moved["renamed"] and moved["gone"])),
    "old": ("định dạng trước ZIP: tải được, đúng từng bit", old["equal"] and old["map_location"]),
    "blind": ("định dạng trước ZIP: một bit lật không ai báo", old["flipped"] == (False, "")),
    "silent": ("pickle_module tắt chốt, trừ khi ghi rõ weights_only=True", ran and refused and bool(explicit)),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: bool(passed) for name, (_, passed) in checks.items()}
if args.json:
    steps = {name: row["names"] for name, row in allowed.items()}
    exact = {"checks": verdict, "rows": rows, "names_needed": steps, "moved": moved, "old": old | {"flipped": flipped}}
    exact |= {"explicit": explicit, "files": len(rows)}
    args.json.write_text(json.dumps({"exact": exact}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: dữ liệu lấy ra không phải dữ liệu đã lưu, hoặc mã lạ đã chạy.\n")
print("ĐÃ CHỨNG MINH: mọi tệp cũ của chính mình lấy ra được mà không tắt chốt an toàn.")
