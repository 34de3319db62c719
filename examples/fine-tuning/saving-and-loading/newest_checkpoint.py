"""Tìm checkpoint mới nhất của Trainer còn đủ tệp; bản ghi dở, mất tệp hay bị cắt thì bỏ qua.

    from newest_checkpoint import newest_complete

    trainer.train(resume_from_checkpoint=newest_complete("results"))  # lần đầu: None

    python newest_checkpoint.py results  # liệt kê từng checkpoint: đủ, hay thiếu gì

Lệnh trên trả về 0 nếu mọi bản đều đủ, 1 nếu có bản hỏng, 2 nếu không có bản nào để xem.
Dùng cho checkpoint của một máy; DeepSpeed và FSDP xếp tệp khác.
Cần: pip install safetensors numpy
"""

import argparse
import json
import re
import sys
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

NAME = re.compile(r"checkpoint-(\d+)")
SENTINEL = "checkpoint-is-incomplete.txt"  # Trainer để lại khi đang lưu vì SIGTERM
NEEDED = ("trainer_state.json", "optimizer.pt", "scheduler.pt")
WEIGHTS = ("model", "adapter_model", "pytorch_model")  # adapter_model: PEFT


def newest_complete(folder: str | Path) -> str | None:
    """Thư mục checkpoint mới nhất còn đủ tệp; None nếu chưa có checkpoint nào.

    Bỏ qua bản nào thì nói một dòng trên stderr. FileNotFoundError nếu có checkpoint mà không bản
    nào đủ: bắt đầu lại từ đầu trong im lặng thì nguy hiểm hơn.
    """
    found = checkpoints(folder)
    for checkpoint in reversed(found):
        problem = problem_of(checkpoint)
        if problem is None:
            return str(checkpoint)
        print(f"Bỏ qua {checkpoint}: {problem}.", file=sys.stderr)
    if found:
        raise FileNotFoundError(f"Không checkpoint nào trong {folder} còn đủ tệp.")
    return None


def problem_of(checkpoint: Path) -> str | None:
    """Checkpoint thiếu hay hỏng gì; None nếu đủ. Chỉ nhìn phần đầu của tệp, không đọc hết."""
    if (checkpoint / SENTINEL).exists():
        return f"còn {SENTINEL}, tức là đang ghi dở"
    for name in NEEDED:
        if not (checkpoint / name).exists():
            return f"thiếu {name}"
    states = sorted(checkpoint.glob("rng_state*.pth"))
    if not states:
        return "thiếu rng_state.pth"
    weights = weight_files(checkpoint)
    if not weights:
        return "thiếu tệp trọng số"
    for path in [checkpoint / "trainer_state.json", *states, *checkpoint.glob("*.pt"), *weights]:
        if not path.exists():
            return f"thiếu {path.name}"
        if not is_whole(path):
            return f"{path.name} bị cắt hay hỏng"
    return None


def weight_files(checkpoint: Path) -> list[Path]:
    """Các tệp trọng số: một tệp, hay mọi mảnh mà tệp chỉ dẫn (index) liệt kê."""
    for name in WEIGHTS:
        for ending in (".safetensors", ".bin"):
            whole = checkpoint / f"{name}{ending}"
            index = checkpoint / f"{name}{ending}.index.json"
            if whole.exists():
                return [whole]
            if index.exists() and is_whole(index):
                return shards_of(index)
    return []


def shards_of(index: Path) -> list[Path]:
    """Mọi mảnh mà tệp chỉ dẫn liệt kê; rỗng nếu nó không phải tệp chỉ dẫn."""
    content = json.loads(index.read_text(encoding="utf-8"))
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict):
        return []
    names = sorted(set(map(str, weight_map.values())))
    return [index.with_name(Path(name).name) for name in names]


def is_whole(path: Path) -> bool:
    """Tệp có đủ tới cuối không: JSON đọc được, safetensors đủ độ dài, ZIP của torch còn mục lục."""
    if path.suffix == ".json":
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            return False
        return True
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="np"):
                return True
        except SafetensorError:
            return False
    return zipfile.is_zipfile(path)


def checkpoints(folder: str | Path) -> list[Path]:
    """Các thư mục checkpoint-<bước>, bước nhỏ đứng trước; rỗng nếu chưa có thư mục."""
    folders = []
    for path in Path(folder).glob("checkpoint-*"):
        if NAME.fullmatch(path.name) and path.is_dir():
            folders.append(path)
    return sorted(folders, key=lambda path: int(NAME.fullmatch(path.name)[1]))


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Liệt kê checkpoint của Trainer: đủ, hay thiếu gì."
    )
    parser.add_argument("folder", type=Path, help="output_dir của Trainer")
    folder = parser.parse_args().folder
    try:
        problems = {path: problem_of(path) for path in checkpoints(folder)}
    except OSError as error:
        print(f"{folder}: không đọc được ({error}).", file=sys.stderr)
        return 2
    if not problems:
        print(f"{folder}: không có thư mục checkpoint-… nào.", file=sys.stderr)
        return 2
    for checkpoint, problem in problems.items():
        print(f"{checkpoint.name}: {problem or 'đủ'}")
    return int(any(problems.values()))


if __name__ == "__main__":
    sys.exit(main())
