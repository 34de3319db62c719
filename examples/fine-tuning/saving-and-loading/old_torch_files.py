"""Tệp .pt cũ gặp PyTorch mới: tệp nào bị từ chối, vì sao, và cách lấy dữ liệu ra an toàn.

    python old_torch_files.py     # tự dựng mọi tệp cũ; mã gài trong tệp chỉ tạo một tệp rỗng

Tốn (cỡ mặc định): không quá 30 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch numpy, và plain_checkpoint.py nằm bên cạnh
"""

# %% Chuẩn bị
import argparse
import io
import os
import pickle
import re
import subprocess
import sys
import tarfile
import tempfile
import types
import warnings
import zipfile
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # như máy không có GPU

import numpy as np
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from plain_checkpoint import leaves, plain, rewrite, unsafe_names

LOSS = 0.1234567890123456789  # float64: ghi bằng float32 là rơi chữ số
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
mark = root / "MA_LA_DA_CHAY.txt"  # dấu vết mã lạ để lại nếu nó chạy

# %% Những tệp của ngày xưa
project = types.ModuleType("du_an_cu")  # mô-đun của dự án ngày ấy
sys.modules["du_an_cu"] = project


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(3, 2)


Net.__module__ = "du_an_cu"
project.Net = Net


class Evil:
    def __reduce__(self):  # pickle hỏi cách dựng lại vật này; đáp: chạy lệnh sau
        return exec, (f"open({str(mark)!r}, 'w').close()",)


torch.manual_seed(0)
net = Net()
state = net.state_dict()
torch.save(net, root / "whole.pt")  # cả đối tượng
torch.save({**state, "best": np.float64(LOSS)}, root / "scalar.pt")
torch.save({**state, "losses": np.array([LOSS, 0.5])}, root / "array.pt")
torch.save({**state, "args": argparse.Namespace(lr=1e-3)}, root / "namespace.pt")
torch.save({**state, "folder": Path("luu/mo_hinh")}, root / "path.pt")
torch.save({**state, "note": Evil()}, root / "evil.pt")
torch.save(state, root / "zip.pt")
torch.save(state, root / "old.pt", _use_new_zipfile_serialization=False)  # trước PyTorch 1.6
torch.save({"note": Evil()}, root / "old_evil.pt", _use_new_zipfile_serialization=False)
(root / "plain.pkl").write_bytes(pickle.dumps(state))
(root / "pointer.pt").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
(root / "page.pt").write_bytes(b"<!DOCTYPE html><title>404</title>")
(root / "empty.pt").write_bytes(b"")
(root / "cut.pt").write_bytes((root / "zip.pt").read_bytes()[:-100])  # tải dở
with tarfile.open(root / "tar.pt", "w") as tar:  # chỉ cái vỏ của định dạng xưa nhất
    tar.addfile(tarfile.TarInfo("storages"), io.BytesIO())


def older_numpy(name):
    """Bản sao như ghi bằng NumPy trước bản 2: mô-đun mang tên khác."""
    with zipfile.ZipFile(root / f"{name}.pt") as was:
        with zipfile.ZipFile(root / f"{name}_old.pt", "w") as now:
            for entry in was.namelist():
                now.writestr(entry, was.read(entry).replace(b"numpy._core", b"numpy.core"))


older_numpy("scalar")
older_numpy("array")
raw = (root / "old.pt").read_bytes()
(root / "old_flipped.pt").write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))  # một bit của số cuối
on_gpu = raw.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")  # nhãn trong pickle
(root / "old_cuda.pt").write_bytes(on_gpu)

# %% Mở bằng torch.load
print("== Mở bằng torch.load ==")


def attempt(function, *arguments, **options):
    """Kết quả của lời gọi, và lỗi của nó: tên lớp với câu đáng đọc nhất."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return function(*arguments, **options), ""
    except Exception as error:
        text = re.sub(r"\x1b\[\d*m", "", str(error)).replace(str(root), "…")
        clear = r"GLOBAL \S+ was not an allowed global|Can only build .*?>|Unsupported operand \d+"
        named = re.search(clear, text)
        said = named[0] if named else re.split(r"(?<=\S)\. |\n", text)[0]
        said = said.replace(type(Path()).__name__, "PosixPath")
        return None, f"{type(error).__name__}: {said}".removesuffix(": ")


def same(found):
    """Có đủ mọi tensor, đúng kiểu, đúng từng bit không."""
    for name, tensor in state.items():
        if not torch.equal(found[name].view(torch.int32), tensor.view(torch.int32)):
            return False
    return True


OPENED = ["zip", "old"]
REFUSED = ["scalar", "scalar_old", "array", "array_old", "namespace", "path", "whole", "evil"]
REFUSED += ["old_evil", "tar", "old_cuda", "pointer", "page", "empty", "cut"]
rows = {}
for name in OPENED + REFUSED:
    found, error = attempt(torch.load, root / f"{name}.pt")
    rows[name] = {"error": error, "ran": mark.exists()}
    print(f"{name}.pt: {error or ('tải được, đúng từng bit' if same(found) else 'SAI')}")
rows["pickle"] = {"error": attempt(torch.load, root / "plain.pkl")[1], "ran": mark.exists()}
print(f"plain.pkl: {rows['pickle']['error']}")
opened_safely = not mark.exists()
for name in ("pointer", "page", "empty"):  # như PyTorch đời trước, hay pickle.load, gọi chúng
    rows[name]["unsafe"] = attempt(torch.load, root / f"{name}.pt", weights_only=False)[1]
    print(f"{name}.pt, weights_only=False: {rows[name]['unsafe']}")
rows["pickle"]["unsafe"] = attempt(torch.load, root / "plain.pkl", weights_only=False)[1]
print(f"plain.pkl, weights_only=False: {rows['pickle']['unsafe']}")
first_words = []
for name in ("scalar", "namespace", "whole", "evil"):
    try:
        torch.load(root / f"{name}.pt")
    except pickle.UnpicklingError as error:
        first_words.append(str(error).split(". ")[0])
print(f"lời báo bắt đầu bằng: {', '.join(sorted(set(first_words)))}")

# %% Xem trước
print("\n== Xem trước ==")
for name in ("scalar", "scalar_old", "array", "array_old", "namespace", "path", "whole", "evil"):
    rows[name]["listed"] = ", ".join(sorted(get_unsafe_globals_in_checkpoint(root / f"{name}.pt")))
    print(f"{name}.pt: {rows[name]['listed']}")
preview_of_old = attempt(unsafe_names, root / "old.pt")[1]
print(f"old.pt: {preview_of_old}")

# %% Khai từng tên
print("\n== Khai từng tên ==")
scalar = np._core.multiarray.scalar
rebuild = np._core.multiarray._reconstruct
float64 = np.dtypes.Float64DType
LISTS = {  # mỗi danh sách thêm một thứ mà lỗi lần trước đòi
    "namespace": [[argparse.Namespace]],
    "path": [[type(Path())]],
    "scalar": [[scalar], [scalar, np.dtype], [scalar, np.dtype, float64]],
    "scalar_old": [[(scalar, "numpy.core.multiarray.scalar"), np.dtype, float64]],
    "array": [
        [rebuild],
        [rebuild, np.ndarray],
        [rebuild, np.ndarray, np.dtype],
        [rebuild, np.ndarray, np.dtype, float64],
    ],
    "array_old": [[(rebuild, "numpy.core.multiarray._reconstruct"), np.ndarray, np.dtype, float64]],
}
allowed = {}
for name, lists in LISTS.items():
    for names in lists:
        with safe_globals(names):  # chỉ trong khối này; add_safe_globals thì cả chương trình
            found, error = attempt(torch.load, root / f"{name}.pt", weights_only=True)
        print(f"{name}.pt, khai {len(names)} tên: {error or 'tải được'}")
    allowed[name] = {"names": len(names), "error": error, "content": found}

# %% Ghi lại bằng kiểu thường
print("\n== Ghi lại bằng kiểu thường ==")
problems = []
again = {}
for name in LISTS:
    problems += rewrite(root / f"{name}.pt", root / f"{name}_plain.pt")
    again[name] = torch.load(root / f"{name}_plain.pt", weights_only=True)  # không khai gì
    for key, value in again[name].items():
        if key not in state:
            print(f"{name}_plain.pt: {key} = {value}")

# %% Ghi lại mà làm ẩu
print("\n== Ghi lại mà làm ẩu ==")
old_values = allowed["scalar"]["content"]
careless = plain(old_values) | {"best": torch.tensor(old_values["best"].item())}
torch.save(careless, root / "careless.pt")
careless = torch.load(root / "careless.pt", weights_only=True)
lost_digits = leaves(careless) != leaves(old_values)
print(f"torch.tensor({LOSS}) → {careless['best'].item()}, kiểu {careless['best'].dtype}")
print(f"phép đối chiếu: {'phát hiện' if lost_digits else 'KHÔNG phát hiện'}")

# %% Lớp đã đổi tên, mô-đun không còn
print("\n== Lớp đã đổi tên, mô-đun không còn ==")


class NewNet(torch.nn.Module):
    """Lớp của hôm nay: một cái vỏ để nhận trọng số."""

    def __init__(self):
        raise RuntimeError("không được gọi: pickle không gọi __init__")


def trusted():
    return torch.load(root / "whole.pt", weights_only=False)  # tệp của chính ta, vừa ghi ở trên


moved = {"here": attempt(trusted)[1]}
del project.Net  # lớp đã đổi tên
moved["renamed"] = attempt(trusted)[1]
del sys.modules["du_an_cu"]  # mô-đun đã đổi chỗ
moved["gone"] = attempt(trusted)[1]
print(f"weights_only=False, còn lớp: {moved['here'] or 'tải được'}")
print(f"weights_only=False, lớp đã đổi tên: {moved['renamed']}")
print(f"weights_only=False, mô-đun không còn: {moved['gone']}")
with safe_globals([(NewNet, "du_an_cu.Net"), torch.nn.Linear]):  # tên trong tệp → lớp hôm nay
    rescued = torch.load(root / "whole.pt", weights_only=True).state_dict()
moved["rescued"] = same(rescued)
print(f"safe_globals: {'lấy được trọng số, đúng từng bit' if same(rescued) else 'SAI'}")

# %% Định dạng trước ZIP
print("\n== Định dạng trước ZIP ==")
old = {
    "mmap": attempt(torch.load, root / "old.pt", mmap=True)[1],
    "crc": attempt(zipfile.ZipFile, root / "old.pt")[1],
}
flipped, error = attempt(torch.load, root / "old_flipped.pt")
old["flip_unseen"] = error == "" and not same(flipped)
on_cpu = torch.load(root / "old_cuda.pt", map_location="cpu", weights_only=True)
old["equal"] = same(torch.load(root / "old.pt", weights_only=True)) and same(on_cpu)
print(f"mmap=True: {old['mmap']}")
print(f"zipfile: {old['crc']}")
print(f"lật một bit: {'tải được, không một lời báo, số SAI' if old['flip_unseen'] else error}")
print(f"ghi từ GPU, map_location='cpu': {'đúng từng bit' if same(on_cpu) else 'SAI'}")

# %% pickle_module tắt weights_only
print("\n== pickle_module tắt weights_only ==")
_, explicit = attempt(torch.load, root / "evil.pt", pickle_module=pickle, weights_only=True)
refused = not mark.exists()
attempt(torch.load, root / "evil.pt", pickle_module=pickle)
ran = mark.exists()
print(f"pickle_module=pickle, weights_only=True: {explicit}")
print(f"pickle_module=pickle: mã lạ {'ĐÃ CHẠY' if ran else 'không chạy'}")
mark.unlink(missing_ok=True)

# %% Xem trước bằng dòng lệnh
print("\n== Xem trước bằng dòng lệnh ==")
codes = {}
for name in ("array", "evil"):
    command = [sys.executable, "-X", "utf8", "plain_checkpoint.py", str(root / f"{name}.pt")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    codes[name] = done.returncode
    print(f"python plain_checkpoint.py {name}.pt")
    print(done.stdout + done.stderr, end="")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = bool(passed)


report("refused", all(rows[name]["error"] for name in REFUSED), f"{len(REFUSED)} tệp bị từ chối")
report("safe", opened_safely, "mở mặc định: mã lạ không chạy")
report("listed", rows["evil"]["listed"] == "builtins.exec", "xem trước thấy exec, không chạy nó")
loaded = [row["content"] for row in allowed.values()]
report("allowed", all(found and same(found) for found in loaded), "khai đủ tên thì tải được")
plainly = problems == [] and all(same(found) for found in again.values())
report("plain", plainly, "ghi lại: không cần khai gì, đúng từng bit")
digits = [again["scalar"]["best"], again["array"]["losses"][0].item()]
report("digits", digits == [LOSS, LOSS], "ghi lại: không rơi chữ số nào")
report("careless", lost_digits, "ghi lại mà rơi chữ số: phép đối chiếu phát hiện")
gone = moved["renamed"] and moved["gone"]
report("rescued", moved["rescued"] and gone, "lớp không còn vẫn lấy được trọng số")
report("old", old["equal"], "định dạng trước ZIP: tải được, đúng từng bit")
report("blind", old["flip_unseen"], "định dạng trước ZIP: một bit lật không ai báo")
silent = ran and refused and explicit
report("silent", silent, "pickle_module tắt weights_only, trừ khi ghi rõ weights_only=True")
report("codes", codes == {"array": 0, "evil": 1}, "dòng lệnh: 0 cho tên quen, 1 cho tên lạ")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "rows": rows,
        "names_needed": {name: row["names"] for name, row in allowed.items()},
        "moved": moved,
        "old": old,
        "explicit": explicit,
        "refused": len(REFUSED),
        "first_words": sorted(set(first_words)),
    }
}
if not all(checks.values()):
    sys.exit("TRƯỢT: dữ liệu lấy ra không phải dữ liệu đã lưu, hoặc mã lạ đã chạy.")
