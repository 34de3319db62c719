"""Mở tệp .pt cũ mà không chạy mã trong nó, rồi ghi lại bằng kiểu thường: ai cũng mở được.

    python plain_checkpoint.py cu.pt            # chỉ xem: tệp đòi những tên nào; không chạy gì
    python plain_checkpoint.py cu.pt moi.pt     # ghi lại; moi.pt phải chưa có

Trong mã của bạn: unsafe_names(tệp), rewrite(cũ, mới), plain(giá trị). Lớp của chính bạn thì khai:
    rewrite("cu.pt", "moi.pt", {"du_an_cu.Config": Config})
Mã thoát: 0 đúng; 1 tệp hỏng, hay đòi một tên không quen; 2 không phải thứ script này mở được.
Cần: pip install torch numpy
"""

import argparse
import hashlib
import math
import os
import pathlib
import pickle
import re
import sys
import tempfile
import types
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

PLAIN = (type(None), bool, int, float, str, bytes, torch.dtype, torch.Size, torch.device)
BAGS = (argparse.Namespace, types.SimpleNamespace)  # chỉ là từ điển viết kiểu khác


class Unsuitable(ValueError):
    """Không phải thứ script này mở hay ghi được: mã thoát 2."""


class Refused(ValueError):
    """Tệp hỏng, hay đòi một tên không quen: mã thoát 1."""


def known_names() -> dict[str, object]:
    """Tên trong tệp → vật của hôm nay, cho những kiểu vô hại hay gặp: NumPy, Namespace, Path."""
    core = getattr(np, "_core", None) or np.core  # NumPy 2 đổi tên mô-đun này
    known = {"numpy.ndarray": np.ndarray, "numpy.dtype": np.dtype}
    known["builtins.bytes"] = bytes  # một mảng không có phần tử nào đòi tên này
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        known[f"{module}.scalar"] = core.multiarray.scalar  # một số
        known[f"{module}._reconstruct"] = core.multiarray._reconstruct  # một mảng
    for name in np.dtypes.__all__:  # kiểu số cụ thể: bản kê của torch không kể ra
        known[f"numpy.dtypes.{name}"] = getattr(np.dtypes, name)
    for module in ("pathlib", "pathlib._local"):  # tệp ghi trên Windows mở được trên Linux
        known[f"{module}.PosixPath"] = pathlib.PurePosixPath
        known[f"{module}.WindowsPath"] = pathlib.PureWindowsPath
        known[f"{module}.PurePosixPath"] = pathlib.PurePosixPath
        known[f"{module}.PureWindowsPath"] = pathlib.PureWindowsPath
    known["argparse.Namespace"] = argparse.Namespace
    known["types.SimpleNamespace"] = types.SimpleNamespace
    return known


def unsafe_names(path: str | Path) -> list[str]:
    """Những tên mà tệp đòi ngoài tensor và kiểu thường. Chỉ đọc, không chạy gì."""
    try:
        return sorted(get_unsafe_globals_in_checkpoint(path))
    except OSError:
        raise
    except Exception as error:
        raise Unsuitable(f"không xem trước được {path}: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """Phần đáng đọc trong lời báo: tên bị từ chối nếu có, không thì dòng đầu."""
    text = re.sub(r"\x1b\[\d*m", "", str(error)).strip()
    named = re.search(r"GLOBAL \S+", text)
    if named:
        return named[0]
    return text.splitlines()[0][:160] if text else type(error).__name__


def open_old(path: str | Path, mine: dict[str, object] | None = None) -> object:
    """Nội dung của tệp, chỉ cho phép các tên quen và các tên trong `mine` (tên trong tệp → lớp)."""
    path = Path(path)
    allowed = [(thing, name) for name, thing in {**known_names(), **(mine or {})}.items()]
    try:
        with safe_globals(allowed):  # chỉ trong khối này, không phải cả chương trình
            return torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError, PermissionError, MemoryError):
        raise
    except pickle.UnpicklingError as error:
        reason = first_line(error)
        raise Refused(f"không mở {path}: {reason}; không mã nào được chạy") from error
    except Exception as error:
        if "allocate memory" in str(error):
            raise MemoryError from error
        raise Refused(
            f"{path} hỏng hay không phải tệp của torch.save: {first_line(error)}"
        ) from error


def plain_array(array: np.ndarray) -> object:
    """Mảng số thành tensor cùng kiểu số; có tên cột thì thành từ điển; còn lại thành danh sách."""
    if array.dtype.names:
        return {name: plain_array(array[name]) for name in array.dtype.names}
    if array.dtype.kind in "biufc" and array.dtype.itemsize <= 16:
        native = array.astype(array.dtype.newbyteorder("="), order="C")
        return torch.from_numpy(native)
    if array.dtype.kind in "mM":  # ngày giờ
        return array.astype(str).tolist()
    return plain(array.tolist())


def plain_dict(value: dict) -> dict:
    """Từ điển thường, hay OrderedDict nếu nó là thế (state_dict có phần `_metadata` đi kèm)."""
    result = OrderedDict() if isinstance(value, OrderedDict) else {}
    for key, item in value.items():
        result[plain(key)] = plain(item)
    if len(result) != len(value):
        raise Unsuitable("hai khoá khác kiểu thành một khoá thường")
    if hasattr(value, "_metadata") and isinstance(result, OrderedDict):
        result._metadata = value._metadata
    return result


def plain(value: object) -> object:
    """Chỉ còn tensor, số, chữ, danh sách, từ điển: `weights_only=True` nhận mà không cần khai gì.

    Không rơi chữ số nào; vật không có dạng thường thì Unsuitable.
    """
    if isinstance(value, torch.Tensor) and value.layout != torch.strided:
        raise Unsuitable("tensor thưa (sparse): hãy đổi nó bằng to_dense() trước")
    if isinstance(value, torch.Tensor) or type(value) in PLAIN:
        return value
    if isinstance(value, np.ndarray):
        return plain_array(value)
    if isinstance(value, np.generic):
        if value.dtype.kind in "mM":
            return str(value)
        item = value.item()
        if not isinstance(item, np.generic):  # longdouble: Python không có số dài thế
            return plain(item)
    if isinstance(value, BAGS):
        return plain_dict(vars(value))
    if isinstance(value, pathlib.PurePath):
        return str(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):  # namedtuple
        return plain_dict(value._asdict())
    if isinstance(value, dict):
        return plain_dict(value)
    for kind in (list, tuple, set):
        if isinstance(value, kind):
            return kind(plain(item) for item in value)
    raise Unsuitable(f"{type(value).__name__} không có dạng thường: hãy tự đổi nó trước")


def leaves(value: object, where: str = "") -> dict[str, str]:
    """Chỗ → nội dung của mọi tensor và giá trị; dạng cũ và dạng thường phải cho cùng kết quả."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        value = torch.tensor(value.astype(value.dtype.newbyteorder("=")))
    if isinstance(value, torch.Tensor):
        whole = value.detach().resolve_conj().contiguous()  # bản liên hợp chưa được tính ra
        bits = whole.flatten().view(torch.uint8).numpy()
        return {where: f"{value.dtype} {list(value.shape)} {hashlib.sha256(bits).hexdigest()}"}
    if isinstance(value, np.ndarray) and value.dtype.names:
        value = {name: value[name] for name in value.dtype.names}
    elif isinstance(value, np.ndarray):
        value = value.astype(str).tolist() if value.dtype.kind in "mM" else value.tolist()
    elif isinstance(value, BAGS):
        value = vars(value)
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list | tuple):
        parts = list(enumerate(value))
    elif isinstance(value, set):
        parts = list(enumerate(sorted(value, key=str)))
    else:
        if isinstance(value, np.generic) and value.dtype.kind not in "mM":
            value = value.item()
        text = "nan" if isinstance(value, float) and math.isnan(value) else str(value)
        return {where: text}
    found = {f"{where} số mục": str(len(parts))}
    for key, item in parts:
        found |= leaves(item, f"{where}/{key}")
    return found


def rewrite(old: str | Path, new: str | Path, mine: dict[str, object] | None = None) -> list[str]:
    """Đọc tệp `old`, ghi `new` bằng kiểu thường, đọc lại và đối chiếu. Rỗng là đúng."""
    new = Path(new)
    if new.exists():
        raise Unsuitable(f"{new} đã có: hãy chọn tên khác, không gì bị ghi đè")
    content = open_old(old, mine)
    with tempfile.TemporaryDirectory(dir=new.absolute().parent, prefix=".plain-") as work:
        draft = Path(work) / new.name
        with draft.open("wb") as file:
            torch.save(plain(content), file)
            file.flush()
            os.fsync(file.fileno())
        again = leaves(torch.load(draft, map_location="cpu", weights_only=True))
        before = leaves(content)
        problems = []
        for where in before.keys() | again.keys():
            if before.get(where) != again.get(where):
                problems.append(f"{where}: đọc lại ra khác")
        if not problems:
            draft.replace(new)
    return sorted(problems)


def show(path: Path) -> int:
    """In những tên mà tệp đòi; 1 nếu có tên không quen."""
    foreign = 0
    for name in unsafe_names(path):
        if name in known_names():
            print(f"quen      {name}")
        else:
            print(f"KHÔNG QUEN  {name}")
            foreign += 1
    if foreign:
        print(f"SAI: {foreign} tên không quen. Tệp của người lạ thì đừng mở.", file=sys.stderr)
        return 1
    print("Không có tên nào ngoài những tên quen.")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, help="tệp cũ; chỉ được đọc")
    parser.add_argument(
        "new", type=Path, nargs="?", help="tệp mới, phải chưa có; bỏ trống: chỉ xem"
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # lời báo lỗi là đúng một dòng
    try:
        if args.new is None:
            return show(args.old)
        problems = rewrite(args.old, args.new)
    except Refused as error:
        print(f"SAI: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print("KHÔNG LÀM ĐƯỢC: máy không đủ bộ nhớ.", file=sys.stderr)
        return 2
    except (Unsuitable, OSError, RecursionError) as error:
        print(f"KHÔNG LÀM ĐƯỢC: {error}", file=sys.stderr)
        return 2
    if problems:
        print(f"SAI: {problems[0]} ({len(problems)} chỗ)", file=sys.stderr)
        return 1
    print(f"ĐÚNG: {args.new} chỉ có kiểu thường, mọi tensor và giá trị như tệp cũ.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
