"""Lưu, tải checkpoint và đọc dữ liệu sao cho chạy tiếp giống từng bit như chưa hề dừng.

    from training_checkpoint import batches, load_latest, restore_rng, save_checkpoint

    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    step, rng = load_latest("checkpoints", **parts)  # (0, None) nếu chưa có checkpoint nào
    stream = batches(data, 16, seed=0, start=step)  # next(stream) là lô của bước kế tiếp
    restore_rng(rng)
    save_checkpoint("checkpoints", step, **parts)  # trong vòng lặp, sau scheduler.step()

    python training_checkpoint.py checkpoints  # liệt kê: bước, cỡ, trọn vẹn hay hỏng

Lệnh trên trả về 0 nếu mọi bản trọn vẹn, 1 nếu có bản hỏng, 2 nếu không có gì để xem.
Dùng cho một tiến trình huấn luyện. Nhiều GPU (DDP): chỉ rank 0 gọi save_checkpoint.
Cần: pip install torch
"""

import argparse
import math
import operator
import os
import pickle
import random
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

NAME = re.compile(r"step-(\d+)\.pt")  # step-00001500.pt
PARTS = ("step", "model", "optimizer", "scheduler", "scaler", "rng", "frozen", "description")


class CheckpointError(RuntimeError):
    """Không lưu hay không tải được; lời báo nói tệp nào và vì sao."""


# Lưu


def save_checkpoint(
    folder: str | Path,
    step: int,
    *,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
    scaler: Any = None,
    loss: float | torch.Tensor | None = None,
    keep: int = 2,
) -> Path:
    """Ghi checkpoint của `step` (số bước đã xong), giữ `keep` bản mới nhất, trả về tệp vừa ghi.

    `scheduler` có thể là None; `scaler` là GradScaler, nếu dùng. CheckpointError nếu tham số,
    trạng thái optimizer hay `loss` có NaN hoặc vô cực, nếu một buffer (BatchNorm) có NaN, nếu
    không ghi được, hay nếu thư mục là của lần huấn luyện khác. Lúc đó, và cả khi bị giết giữa
    chừng, các bản cũ còn nguyên.
    """
    step = operator.index(step)  # số nguyên của NumPy hay torch thành int; 1.5 thì TypeError
    if step < 0 or keep < 1:
        raise ValueError(f"step phải từ 0, keep từ 1 trở lên, không phải {step} và {keep}")
    model = unwrapped(model)
    kept = {
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": None if scheduler is None else scheduler.state_dict(),
        "scaler": None if scaler is None else scaler.state_dict(),
        "rng": rng_states(),
        "frozen": [name for name, value in model.named_parameters() if not value.requires_grad],
        "description": describe(model, optimizer, scheduler, scaler),
    }
    wrong = non_finite(model, optimizer, loss)
    if wrong:
        message = f"Không lưu ở bước {step}: {wrong} có NaN hoặc vô cực."
        raise CheckpointError(f"{message} Các bản cũ còn nguyên.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file in checkpoints(folder):
        if step_of(file) > step and damage(file) is None:
            message = f"{file} ở bước lớn hơn {step}: của lần huấn luyện khác?"
            raise CheckpointError(f"{message} Hãy gọi load_latest trước, hay chọn thư mục mới.")

    file = folder / f"step-{step:08d}.pt"
    write_atomically(kept, file)
    older = [other for other in checkpoints(folder) if step_of(other) <= step]
    for other in older[:-keep]:
        other.unlink(missing_ok=True)
    for other in folder.glob("step-*.part"):  # của phiên đã chết lúc đang ghi
        other.unlink(missing_ok=True)
    return file


def write_atomically(kept: dict[str, Any], file: Path) -> None:
    """Ghi ra tệp tạm, xem lại, rồi mới đổi tên: không lúc nào có tệp `file` ghi dở."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as stream:
            torch.save(kept, stream)
            stream.flush()
            os.fsync(stream.fileno())  # xuống tới đĩa rồi mới đổi tên
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(temporary)
        if unsafe:
            raise TypeError(f"weights_only=True sẽ không mở lại được {', '.join(unsafe)}")
        temporary.replace(file)
    except Exception as error:
        temporary.unlink(missing_ok=True)
        free = shutil.disk_usage(file.parent).free // 2**20
        message = f"Không lưu được {file} (đĩa còn {free} MiB): {first_line(error)}."
        raise CheckpointError(f"{message} Các bản cũ còn nguyên.") from error
    if os.name == "posix":  # tên mới cũng phải xuống tới đĩa
        directory = os.open(file.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)


def non_finite(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: float | torch.Tensor | None,
) -> str | None:
    """Tên của thứ có NaN hay vô cực: loss, tham số, trạng thái optimizer; None nếu không có.

    Buffer chỉ bị hỏi về NaN: mặt nạ attention có thể chứa vô cực.
    """
    if torch.is_tensor(loss):
        loss = loss.item()
    if loss is not None and not math.isfinite(loss):
        return "loss"
    for name, parameter in model.named_parameters():
        if not is_finite(parameter):
            return name
        for kind, value in optimizer.state.get(parameter, {}).items():
            if torch.is_tensor(value) and not is_finite(value):
                return f"{kind} của {name} trong optimizer"
    for name, value in model.state_dict().items():  # còn lại là buffer
        if torch.is_tensor(value) and value.is_floating_point() and value.float().isnan().any():
            return name
    return None


def is_finite(tensor: torch.Tensor) -> bool:
    """Không có NaN hay vô cực?"""
    if tensor.element_size() == 1:  # torch.isfinite chưa biết các kiểu float8
        tensor = tensor.float()
    return bool(tensor.isfinite().all())


# Tải


def load_latest(
    folder: str | Path,
    *,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
    scaler: Any = None,
) -> tuple[int, dict[str, Any] | None]:
    """Tải bản mới nhất còn trọn vẹn vào mô hình, optimizer và scheduler đã dựng như lần đầu.

    Trả về số bước đã xong và trạng thái RNG cho restore_rng; (0, None) nếu chưa có bản nào. Gặp bản
    hỏng thì báo một dòng trên stderr và lấy bản trước nó. CheckpointError nếu mọi bản đều hỏng, hay
    nếu mô hình hoặc optimizer không như lúc lưu; lúc đó chưa thứ gì bị đổi. Trọng số vào thiết bị
    mà mô hình đang ở, requires_grad trở lại như lúc lưu.
    """
    model = unwrapped(model)
    file = newest_whole(Path(folder))
    if file is None:
        return 0, None
    kept = torch.load(file, map_location="cpu", weights_only=True)
    present = describe(model, optimizer, scheduler, scaler)
    for before, now in zip_longest(kept["description"], present, fillvalue="không có"):
        if before != now:
            raise CheckpointError(f"{file} không khớp. Lúc lưu: {before}. Bây giờ: {now}.")

    model.load_state_dict(kept["model"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in kept["frozen"])
    optimizer.load_state_dict(kept["optimizer"])
    if scheduler is not None:
        scheduler.load_state_dict(kept["scheduler"])
    if scaler is not None:
        scaler.load_state_dict(kept["scaler"])
    return kept["step"], kept["rng"]


def newest_whole(folder: Path) -> Path | None:
    """Bản mới nhất còn trọn vẹn; None nếu chưa có bản nào; CheckpointError nếu mọi bản đều hỏng."""
    files = checkpoints(folder)
    for file in reversed(files):
        reason = damage(file)
        if reason is None:
            return file
        print(f"Bỏ qua {file}: {reason}.", file=sys.stderr)
    if files:
        raise CheckpointError(f"Không checkpoint nào trong {folder} dùng được.")
    return None


def damage(file: Path) -> str | None:
    """Tệp hỏng thế nào; None nếu trọn vẹn. Kiểm tra cả CRC, thứ mà torch.load bỏ qua."""
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if entry.CRC:  # 0: lúc ghi, torch được dặn không tính CRC
                    read_to_end(archive, entry)
        kept = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except (OSError, MemoryError):
        raise  # không đọc được hay thiếu bộ nhớ: chưa biết tệp hỏng hay không
    except pickle.UnpicklingError:
        return "có thứ mà weights_only=True từ chối"
    except Exception as error:
        if "allocate memory" in str(error):  # RuntimeError của torch khi thiếu bộ nhớ
            raise
        return f"hỏng hay bị cắt ({first_line(error)})"
    for part in PARTS:
        if not isinstance(kept, dict) or part not in kept:
            return "không phải do save_checkpoint ghi"
    return None


def read_to_end(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Đọc từng đoạn một mục của tệp ZIP; BadZipFile nếu CRC không khớp."""
    with archive.open(entry) as stream:
        while stream.read(2**20):
            pass


def describe(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any, scaler: Any
) -> list[str]:
    """Những gì phải như lúc lưu, mỗi thứ một dòng: các tensor, thứ tự tham số trong optimizer, …"""
    lines = []
    for name, value in model.state_dict().items():
        if torch.is_tensor(value):
            lines.append(f"mô hình có {name} {list(value.shape)} {value.dtype}")
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for number, group in enumerate(optimizer.param_groups):
        for place, parameter in enumerate(group["params"]):
            if id(parameter) not in names:
                message = "Optimizer giữ một tham số không thuộc mô hình"
                raise CheckpointError(f"{message}: hãy dựng optimizer sau khi dựng xong mô hình.")
            name = names[id(parameter)]
            lines.append(f"tham số {place} trong nhóm {number} của optimizer là {name}")
    for name, part in (("optimizer", optimizer), ("scheduler", scheduler), ("scaler", scaler)):
        kind = "không có" if part is None else type(part).__name__
        lines.append(f"{name}: {kind}")
    return lines


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """Mô hình bên trong torch.compile, DistributedDataParallel hay DataParallel."""
    wrappers = (torch.nn.parallel.DistributedDataParallel, torch.nn.DataParallel)
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif isinstance(model, wrappers):
            model = model.module
        else:
            return model


# Số ngẫu nhiên


def cpu_rng_states() -> dict[str, Any]:
    """Trạng thái các bộ sinh toàn cục trên CPU: Python, torch, và NumPy nếu đã được nhập."""
    states = {"python": random.getstate(), "torch": torch.get_rng_state()}
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        name, key, *rest = numpy.random.get_state()
        states["numpy"] = [name, key.tolist(), *rest]  # weights_only=True từ chối mảng NumPy
    return states


def rng_states() -> dict[str, Any]:
    """Trạng thái mọi bộ sinh toàn cục: như trên, thêm mọi GPU (CUDA) và MPS nếu có."""
    states = cpu_rng_states()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def restore_rng(rng: dict[str, Any] | None) -> None:
    """Đưa mọi bộ sinh về lúc lưu; None thì không làm gì. Gọi ngay trước bước đầu tiên."""
    if rng is None:
        return
    random.setstate(rng["python"])
    torch.set_rng_state(rng["torch"])
    if "numpy" in rng:
        import numpy

        numpy.random.set_state(tuple(rng["numpy"]))
    if "cuda" in rng:
        devices = torch.cuda.device_count()
        if devices != len(rng["cuda"]):
            print(f"Lúc lưu có {len(rng['cuda'])} GPU, ở đây có {devices}.", file=sys.stderr)
        for number, state in enumerate(rng["cuda"][:devices]):
            torch.cuda.set_rng_state(state, number)
    if "mps" in rng and torch.backends.mps.is_available():
        torch.mps.set_rng_state(rng["mps"])


# Dữ liệu


def batches(
    data: Dataset | list,
    batch_size: int,
    *,
    seed: int,
    start: int,
    shuffle: bool = True,
    num_workers: int = 0,
    collate_fn: Callable[[list], Any] = default_collate,
    **options: Any,
) -> Iterator[Any]:
    """Các lô (batch) kể từ bước `start`, hết epoch này sang epoch khác, không bao giờ hết.

    Lô của một bước chỉ phụ thuộc `data`, `batch_size`, `seed` và số bước: thứ tự, và cả số ngẫu
    nhiên mà `__getitem__` hay `collate_fn` lấy từ bộ sinh toàn cục trên CPU (random, torch, NumPy).
    Bước bị bỏ qua thì không đọc mẫu nào; bộ sinh toàn cục của tiến trình này không đổi. Mỗi epoch
    qua mọi mẫu một lần, lô cuối có thể thiếu. `options`: tuỳ chọn khác của DataLoader.
    TypeError với IterableDataset; ValueError nếu không có mẫu nào hay số không hợp lệ.
    """
    if isinstance(data, IterableDataset):
        raise TypeError("IterableDataset không lấy mẫu theo chỉ số: không nhảy tới bước được")
    if len(data) == 0 or batch_size < 1 or start < 0:
        raise ValueError("cần ít nhất một mẫu, batch_size từ 1, start từ 0")
    loader = DataLoader(
        WholeBatches(data, seed, collate_fn),
        batch_size=None,  # mỗi phần tử của WholeBatches đã là một lô
        sampler=batch_places(len(data), batch_size, seed, start, shuffle),
        num_workers=num_workers,
        collate_fn=unchanged,
        generator=torch.Generator(),  # nếu không, DataLoader rút một số của bộ sinh toàn cục
        **options,
    )
    return iter(loader)


def batch_places(
    length: int, batch_size: int, seed: int, start: int, shuffle: bool
) -> Iterator[tuple[int, list[int]]]:
    """(bước, chỉ số các mẫu) của từng bước kể từ `start`, không bao giờ hết."""
    per_epoch = math.ceil(length / batch_size)
    step = start
    while True:
        epoch = step // per_epoch
        order = torch.arange(length)
        if shuffle:
            generator = torch.Generator().manual_seed(number_from(seed, "epoch", epoch))
            order = torch.randperm(length, generator=generator)
        while step // per_epoch == epoch:
            first = step % per_epoch * batch_size
            yield step, order[first : first + batch_size].tolist()
            step += 1


class WholeBatches(Dataset):
    """Dữ liệu mà mỗi phần tử là một lô; số ngẫu nhiên của lô chỉ phụ thuộc seed và số bước."""

    def __init__(self, data: Dataset | list, seed: int, collate_fn: Callable[[list], Any]) -> None:
        self.data = data
        self.seed = seed
        self.collate_fn = collate_fn

    def __getitem__(self, place: tuple[int, list[int]]) -> Any:
        step, indices = place
        before = cpu_rng_states()
        seed_cpu(number_from(self.seed, "step", step))
        try:
            return self.collate_fn([self.data[index] for index in indices])
        finally:
            restore_rng(before)


def number_from(seed: int, kind: str, place: int) -> int:
    """Hạt giống 32 bit, khác nhau cho từng epoch và từng bước."""
    return random.Random(f"{seed} {kind} {place}").getrandbits(32)


def seed_cpu(number: int) -> None:
    """Gieo các bộ sinh trên CPU. torch.manual_seed gieo cả GPU, nên không dùng ở đây."""
    random.seed(number)
    torch.set_rng_state(torch.Generator().manual_seed(number).get_state())
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(number)


def unchanged(batch: Any) -> Any:
    return batch


# Liệt kê


def checkpoints(folder: str | Path) -> list[Path]:
    """Các checkpoint trong thư mục, bước nhỏ đứng trước; rỗng nếu chưa có thư mục."""
    files = [file for file in Path(folder).glob("step-*.pt") if NAME.fullmatch(file.name)]
    return sorted(files, key=step_of)


def step_of(file: Path) -> int:
    """Số bước trong tên tệp."""
    return int(NAME.fullmatch(file.name)[1])


def first_line(error: Exception) -> str:
    """Dòng đầu của lời báo lỗi, hay tên lỗi nếu nó không nói gì."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")


def main() -> int:
    parser = argparse.ArgumentParser(description="Liệt kê checkpoint: bước, cỡ, trọn vẹn hay hỏng.")
    parser.add_argument("folder", type=Path, help="thư mục mà save_checkpoint ghi vào")
    folder = parser.parse_args().folder
    try:
        files = checkpoints(folder)
        reasons = [damage(file) for file in files]
    except (OSError, MemoryError) as error:
        print(f"{folder}: không đọc được ({first_line(error)}).", file=sys.stderr)
        return 2
    if not files:
        print(f"{folder}: không có checkpoint nào (step-….pt).", file=sys.stderr)
        return 2
    for file, reason in zip(files, reasons, strict=True):
        size = file.stat().st_size / 2**20
        print(f"bước {step_of(file)}  {size:.1f} MiB  {file.name}: {reason or 'trọn vẹn'}")
    return int(any(reasons))


if __name__ == "__main__":
    sys.exit(main())
