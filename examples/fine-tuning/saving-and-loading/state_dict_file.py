"""Lưu một mô hình PyTorch vào một tệp đủ để dựng lại nó, rồi tải nó ở tiến trình khác.

    from state_dict_file import load, save

    def build(config):                           # dựng mô hình như lúc huấn luyện
        return OwnModel(**config)                # lớp của bạn

    save(model, "model.pt", {"width": 64})       # khi huấn luyện xong
    model = load(build, "model.pt")              # ở tiến trình khác; dropout đã tắt

    python state_dict_file.py model.pt           # xem trong tệp có gì

Tệp chứa trọng số, buffer được lưu và cấu hình. Nó không chứa mã của lớp, `requires_grad`, chế độ
train hay eval, optimizer. Tệp do người lạ gửi: đừng mở bằng torch.load, hãy xin bản safetensors.

Cần: pip install torch
"""

import argparse
import errno
import os
import pickle
import sys
import warnings
import zipfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.serialization import get_unsafe_globals_in_checkpoint

WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


class Damaged(ValueError):
    """Tệp bị cắt, bị sửa, hay phần mục lục không đọc được."""


class NotReadable(ValueError):
    """Tệp có thể còn tốt, nhưng không phải tệp mà các hàm ở đây mở."""


def save(model: nn.Module, path: str | Path, config: dict | None = None) -> None:
    """Ghi trọng số và cấu hình vào một tệp. Bị giết lúc nào, tệp cũ vẫn còn nguyên.

    config: mọi thứ `build` cần để dựng lại mô hình (số, chữ, list, dict). None: không cần gì.
    Mô hình bọc trong DistributedDataParallel hay torch.compile được lưu như khi chưa bọc. Nhiều
    tiến trình cùng huấn luyện thì chỉ một tiến trình (rank 0) gọi hàm này.
    Lỗi: ValueError khi có thứ không lưu được, OSError khi không ghi được.
    """
    if config is not None and not isinstance(config, dict):
        raise ValueError("config phải là dict hay None; đối tượng thì đổi ra dict trước")
    model = unwrap(model)
    state = model.state_dict()
    if not state:
        raise ValueError("mô hình không có tham số hay buffer nào để lưu")
    for name, tensor in state.items():
        if hasattr(tensor, "full_tensor"):
            raise ValueError(f"{name} chia trên nhiều GPU: dùng torch.distributed.checkpoint")
        if getattr(tensor, "is_meta", False):
            raise ValueError(f"{name} còn trên meta: không có số nào để lưu")

    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream:
            torch.save({"config": config, "shared": shared_names(model), "state": state}, stream)
            stream.flush()
            os.fsync(stream.fileno())  # xuống tới đĩa rồi mới đổi tên
        strange = get_unsafe_globals_in_checkpoint(part)  # báo ngay, lúc mô hình còn đây
        if strange:
            names = ", ".join(strange)
            raise ValueError(f"config hay mô hình chứa {names}: chỉ lưu được số, chữ, list, dict")
        part.replace(path)  # thay tệp cũ trong một bước, không ghi đè lên nó
    except (AttributeError, TypeError, pickle.PickleError) as error:
        raise ValueError(
            f"config hay mô hình không ghi ra tệp được: {first_line(error)}"
        ) from error
    except RuntimeError as error:  # torch.save báo thế khi đĩa đầy
        raise OSError(f"không ghi được {path} (đĩa đầy?): {first_line(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def unwrap(model: nn.Module) -> nn.Module:
    """Mô hình bên trong lớp bọc của DataParallel, DistributedDataParallel hay torch.compile."""
    while True:
        if isinstance(model, WRAPPERS):
            model = model.module
        elif hasattr(model, "_orig_mod"):
            model = model._orig_mod
        else:
            return model


def shared_names(model: nn.Module) -> list[list[str]]:
    """Các nhóm tên trỏ tới cùng một tensor, ví dụ [["embed.weight", "head.weight"]]."""
    names_of = {}
    tensors = model.state_dict(keep_vars=True)  # keep_vars: chính các tham số, không phải bản tách
    for name, tensor in tensors.items():
        if isinstance(tensor, torch.Tensor):
            names_of.setdefault(id(tensor), []).append(name)
    return [names for names in names_of.values() if len(names) > 1]


def read(path: str | Path, mmap: bool = False) -> tuple[dict | None, list[list[str]], dict]:
    """Cấu hình, các nhóm tên dùng chung, và state_dict của một tệp. Mọi tensor nằm trên CPU.

    Cũng mở được tệp chỉ có state_dict; khi đó cấu hình là None. mmap=True: tensor vẫn nằm ở tệp,
    phần nào dùng tới mới được đọc.
    Lỗi: Damaged, NotReadable, OSError, MemoryError; lời báo là một dòng.
    """
    path = Path(path)
    parts = read_pickle(path, mmap)
    if is_state(parts):
        return None, [], parts
    if not isinstance(parts, dict):
        raise NotReadable(f"{path}: chứa {type(parts).__name__}, không phải state_dict")
    if parts.keys() == {"config", "shared", "state"}:
        config = parts["config"]
        shared = parts["shared"]
        state = parts["state"]
        if isinstance(config, dict | None) and is_state(state) and is_shared(shared, state):
            return config, shared, state
        raise Damaged(f"{path}: cấu hình, state_dict hay danh sách tên dùng chung bị sai")
    inside = [repr(key) for key, value in parts.items() if is_state(value)]
    if inside:
        raise NotReadable(f"{path}: là checkpoint, state_dict nằm ở khoá {', '.join(inside)}")
    raise NotReadable(f"{path}: là dict nhưng không phải state_dict")


def is_state(value: Any) -> bool:
    """Có phải một dict tên → tensor không."""
    if not isinstance(value, dict) or not value:
        return False
    for name, tensor in value.items():
        if not isinstance(name, str):
            return False
        if not isinstance(tensor, torch.Tensor) and not name.endswith("_extra_state"):
            return False
    return True


def is_shared(value: Any, state: dict) -> bool:
    """Có phải một list các nhóm tên không, tên nào cũng có trong state_dict."""
    if not isinstance(value, list):
        return False
    for names in value:
        if not isinstance(names, list) or not names:
            return False
        for name in names:
            if not isinstance(name, str) or name not in state:
                return False
    return True


def read_pickle(path: Path, mmap: bool) -> Any:
    """Gọi torch.load; mọi lỗi của nó thành một dòng."""
    if path.exists() and not path.is_file():
        raise NotReadable(f"{path}: không phải một tệp thường")
    with path.open("rb") as stream:
        start = stream.read(2)
    if not start:
        raise Damaged(f"{path}: tệp rỗng, 0 byte")
    is_zip = start == b"PK"  # torch.save ghi ra tệp ZIP; bản PyTorch rất cũ thì không
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap and is_zip)
    except MemoryError:
        raise
    except Exception as error:  # pickle hỏng ném đủ loại lỗi
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # EINVAL: tệp hỏng đòi nhảy tới một chỗ không có
        text = first_line(error)
        if "allocate memory" in text or "unable to mmap" in text:
            raise MemoryError(f"không đủ bộ nhớ để mở {path}: {text}") from error
        if not is_zip:
            raise NotReadable(f"{path}: không phải tệp của torch.save") from error
        try:
            strange = sorted(get_unsafe_globals_in_checkpoint(path))  # đọc tên, không gọi gì
        except Exception:
            strange = []  # tệp hỏng tới mức không đọc được tên
        if strange:
            names = ", ".join(strange)
            raise NotReadable(f"{path}: không chỉ có tensor, còn chứa {names}; không mở") from error
        raise Damaged(f"{path}: tệp hỏng, {text}") from error


def first_line(error: Exception) -> str:
    """Dòng đầu của một lời báo lỗi, không dài quá 160 chữ."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160]


def load(build: Callable[..., nn.Module], path: str | Path) -> nn.Module:
    """Dựng mô hình, chép số từ tệp vào. Trả về mô hình ở eval(), đúng kiểu số của tệp.

    build: gọi build(config) với cấu hình trong tệp; tệp không có cấu hình thì gọi build().
    Mô hình nằm ở thiết bị mà build đặt nó, thường là CPU, dù tệp được ghi trên GPU.
    Mọi tham số lại học được như lúc mới dựng: requires_grad không nằm trong tệp.
    Lỗi: ValueError khi tệp hỏng hay không khớp với mô hình, lời báo là một dòng.
    """
    config, shared, state = read(path)
    model = construct(build, config)
    fill(model, state, shared + shared_names(model), assign=False)
    return model.eval()


def load_without_copy(
    build: Callable[..., nn.Module],
    path: str | Path,
    finish: Callable[[nn.Module], Any] | None = None,
) -> nn.Module:
    """Như load, nhưng không khởi tạo và không chép: mô hình dùng thẳng các trang của tệp.

    build chạy trên thiết bị meta, nơi tensor không có số. Tệp không chứa buffer persistent=False
    và tensor giữ trong thuộc tính thường, nên chúng vẫn rỗng: finish(model) phải tạo lại chúng.
    Còn tensor nào rỗng thì hàm này từ chối (ValueError).
    Đừng để ai ghi đè tệp khi mô hình còn dùng: save ở trên thay tệp chứ không ghi đè.
    """
    config, shared, state = read(path, mmap=True)
    with torch.device("meta"):
        model = construct(build, config, " trên meta (lớp cần số thật lúc dựng thì dùng load)")
    fill(model, state, shared + shared_names(model), assign=True)
    if finish is not None:
        finish(model)
    hollow = hollow_tensors(model)
    if hollow:
        raise ValueError(
            f"{path}: {len(hollow)} tensor không có trong tệp nên còn rỗng: {some(hollow)}; "
            "dùng load, hay tạo lại chúng trong finish"
        )
    return model.eval()


def construct(build: Callable[..., nn.Module], config: dict | None, where: str = "") -> nn.Module:
    """build(config), hay build() khi không có cấu hình."""
    try:
        if config is None:
            return build()
        return build(config)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(
            f"build không dựng được mô hình{where}, cấu hình {str(config)[:200]}: "
            f"{type(error).__name__}: {first_line(error)}"
        ) from error


def fill(model: nn.Module, state: dict, groups: list[list[str]], assign: bool) -> None:
    """Đưa số vào mô hình, rồi cho mọi tên trong một nhóm trỏ tới cùng một tensor."""
    try:
        if not assign:
            for name, tensor in model.state_dict(keep_vars=True).items():
                if isinstance(tensor, torch.Tensor) and isinstance(state.get(name), torch.Tensor):
                    tensor.data = tensor.data.to(
                        state[name].dtype
                    )  # khác kiểu thì chép là làm tròn
        model.load_state_dict(state, strict=True, assign=assign)
    except RuntimeError as error:
        reason = difference(model.state_dict(), state) or first_line(error)
        raise ValueError(f"tệp không khớp với mô hình: {reason}") from error
    for first, *others in groups:
        owner, _, attribute = first.rpartition(".")
        tensor = getattr(model.get_submodule(owner), attribute)
        for other in others:
            same_memory = state[first].data_ptr() == state[other].data_ptr()
            if not same_memory and not torch.equal(state[first], state[other]):
                raise ValueError(
                    f"mô hình cho {first} và {other} dùng chung một tensor, nhưng tệp giữ hai bản "
                    "khác nhau: nó được lưu khi hai tên đã tách"
                )
            owner, _, attribute = other.rpartition(".")
            setattr(model.get_submodule(owner), attribute, tensor)  # assign=True đã tách chúng


def difference(expected: dict, state: dict) -> str:
    """Hai state_dict khác nhau ở đâu, kèm cách sửa khi nhận ra tiền tố của lớp bọc."""
    missing = [name for name in expected if name not in state]
    extra = [name for name in state if name not in expected]
    if extra and strip_prefixes(state).keys() == expected.keys():
        return (
            f"tên thừa tiền tố ({extra[0]}) vì được lưu từ mô hình còn bọc trong DDP hay "
            "torch.compile; lưu lại từ model.module, hay đổi tên bằng strip_prefixes(state)"
        )
    reasons = []
    if missing:
        reasons.append(f"thiếu {len(missing)} tên ({some(missing)})")
    if extra:
        reasons.append(f"thừa {len(extra)} tên ({some(extra)})")
    for name, tensor in expected.items():
        saved = state.get(name)
        if isinstance(saved, torch.Tensor) and saved.shape != tensor.shape:
            shapes = f"tệp {list(saved.shape)}, mô hình {list(tensor.shape)}"
            reasons.append(f"{name} khác kích thước ({shapes})")
    return "; ".join(reasons[:4])


def strip_prefixes(state: dict) -> dict:
    """Bỏ `module.` ở đầu tên (DDP) và `_orig_mod.` ở mọi chỗ (torch.compile)."""
    clean = {}
    for name, tensor in state.items():
        clean[name.replace("_orig_mod.", "").removeprefix("module.")] = tensor
    return clean


def some(names: list[str]) -> str:
    """Ba tên đầu."""
    if len(names) > 3:
        return ", ".join(names[:3]) + ", …"
    return ", ".join(names)


def hollow_tensors(thing: Any, path: str = "", seen: set[int] | None = None) -> list[str]:
    """Chỗ của mọi tensor còn trên meta: tham số, buffer, thuộc tính, cả trong list và dict."""
    if seen is None:
        seen = set()
    if id(thing) in seen or isinstance(thing, type):
        return []
    seen.add(id(thing))
    found = []
    if isinstance(thing, torch.Tensor) and thing.is_meta:
        found.append(path)
    parts = {}
    if isinstance(thing, dict):
        parts = thing
    elif isinstance(thing, list | tuple | set | frozenset | deque):
        parts = dict(enumerate(thing))
    elif hasattr(thing, "__dict__"):  # mô-đun, và mọi đối tượng Python khác
        parts = vars(thing)
    for name, part in list(parts.items()):
        place = f"{path}.{name}".removeprefix(".")
        if name in ("_modules", "_parameters", "_buffers"):  # ngăn riêng của nn.Module
            place = path
        found += hollow_tensors(part, place, seen)
    return found


def broken_entries(path: Path) -> list[str]:
    """Những phần của tệp ZIP không còn khớp CRC-32 ghi trong tệp. torch.load không so CRC."""
    broken = []
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for name in names:
            try:
                with archive.open(name) as stream:
                    while stream.read(1 << 20):
                        pass
            except Exception:
                broken.append(name)
    if len(broken) == len(names):
        return []  # tệp ghi với set_crc32_options(False): không có CRC nào để so
    return broken


def describe(path: Path) -> None:
    """In cấu hình, tên dùng chung và mọi tensor của tệp. Lỗi như read."""
    config, shared, state = read(path, mmap=True)
    if zipfile.is_zipfile(path):
        broken = broken_entries(path)
        if broken:
            raise Damaged(f"{path}: CRC không khớp ở {some(broken)}: tệp đã đổi sau khi ghi")
    print("config:", config)
    for names in shared:
        print("dùng chung:", names)
    for name, tensor in state.items():
        if isinstance(tensor, torch.Tensor):
            kind = str(tensor.dtype).removeprefix("torch.")
            # !r: ký tự điều khiển trong tên không tới được màn hình
            print(f"{kind:<10} {list(tensor.shape)!s:<16} {name!r}")
    print(len(state), "tên")


def complain(text: str) -> None:
    """Một dòng trên stderr; ký tự điều khiển trong tệp lạ không tới được màn hình."""
    print("".join(letter for letter in text if letter.isprintable()), file=sys.stderr)


def main() -> int:
    """Mã thoát. 0: đọc được; 1: tệp hỏng; 2: không phải tệp cần đọc."""
    parser = argparse.ArgumentParser(description="Liệt kê cấu hình và tensor của một tệp .pt.")
    parser.add_argument("file", type=Path, help="tệp do save ghi, hay tệp chỉ có state_dict")
    path = parser.parse_args().file
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8")  # Windows mặc định bảng mã khác
    warnings.simplefilter("ignore")  # lời báo lỗi là đúng một dòng
    try:
        describe(path)
    except Damaged as error:
        complain(str(error))
        return 1
    except (NotReadable, MemoryError) as error:
        complain(str(error))
        return 2
    except OSError as error:
        complain(f"{path}: không mở được, {error.strerror}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
