"""Giữ trọng số tốt nhất trong lúc huấn luyện, ở một tệp không bao giờ bị ghi dở.

    from keep_best import KeepBest

    best = KeepBest("best.pt")                  # loss: càng thấp càng tốt
    for epoch in range(100):
        ...                                     # huấn luyện một epoch
        best.update(model, valid_loss, epoch)   # chỉ ghi khi tốt hơn
    best.restore(model)                         # đưa trọng số tốt nhất trở lại mô hình

    python keep_best.py best.pt                 # tệp đang giữ điểm nào, của bước nào

Điểm càng cao càng tốt (độ chính xác) thì viết KeepBest("best.pt", higher=True). Tệp đã có sẵn thì
lần chạy mới bị từ chối. Chạy tiếp sau khi bị giết: KeepBest("best.pt", resume=True), nó đọc điểm
trong tệp rồi chỉ thay tệp khi gặp điểm tốt hơn.

Cần: pip install torch
"""

import argparse
import errno
import math
import operator
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.serialization import get_unsafe_globals_in_checkpoint


class NotABestFile(ValueError):
    """Tệp hỏng, hay không phải do KeepBest ghi."""


class KeepBest:
    """Bản tốt nhất từ đầu đến giờ, ở tệp `path`.

    score, step: điểm và số bước của bản đang giữ; None khi chưa giữ bản nào.
    higher: True khi điểm càng cao càng tốt.
    resume: True khi tệp có thể đã có, từ phiên trước của cùng lần huấn luyện. False mà tệp đã có
    thì FileExistsError: bản tốt nhất của một lần chạy khác không được lẫn vào lần này.
    Tệp hỏng, hay được giữ theo chiều ngược lại: NotABestFile.
    """

    def __init__(self, path: str | Path, higher: bool = False, resume: bool = False) -> None:
        self.path = Path(path)
        self.higher = higher
        self.score: float | None = None
        self.step: int | None = None
        if self.path.exists():
            if not resume:
                raise FileExistsError(f"{self.path} đã có: dùng tên khác, hay resume=True")
            kept = read(self.path)
            if kept["higher"] != higher:
                raise NotABestFile(f"{self.path}: được giữ với higher={kept['higher']}")
            self.score, self.step = kept["score"], kept["step"]

    def is_better(self, score: float) -> bool:
        """Điểm này có tốt hơn hẳn bản đang giữ không. Bằng nhau: không, bản cũ được giữ lại."""
        if self.score is None:
            return True
        if self.higher:
            return score > self.score
        return score < self.score

    def update(self, model: nn.Module, score: float, step: int | None = None) -> bool:
        """Ghi trọng số nếu điểm tốt hơn. Trả về True khi đã ghi.

        Điểm NaN hay vô cực: ValueError, vì mô hình đã hỏng thì không có bản nào để giữ.
        Bị giết giữa lúc ghi: bản tốt nhất cũ còn nguyên. Nhiều tiến trình (DDP): chỉ rank 0 gọi,
        và đưa model.module.
        """
        score = float(score)
        if not math.isfinite(score):
            raise ValueError(f"điểm là {score}: không phải một số so sánh được")
        if not self.is_better(score):
            return False
        if step is not None:
            step = operator.index(step)  # số nguyên của NumPy hay torch thành int
        write(self.path, model.state_dict(), score, step, self.higher)
        self.score, self.step = score, step
        return True

    def restore(self, model: nn.Module) -> float:
        """Chép bản tốt nhất trở lại mô hình, giữ nguyên chế độ train hay eval. Trả về điểm của nó.

        Optimizer không được chép: huấn luyện tiếp từ đây thì tạo optimizer mới.
        """
        kept = read(self.path)
        try:
            model.load_state_dict(kept["state"])
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise ValueError(f"{self.path} không khớp với mô hình: {reason[:160]}") from error
        return kept["score"]


def write(path: Path, state: dict, score: float, step: int | None, higher: bool) -> None:
    """Ghi ra tệp bên cạnh rồi đổi tên: không lúc nào `path` là một tệp dở dang."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream:
            torch.save({"score": score, "step": step, "higher": higher, "state": state}, stream)
            stream.flush()
            os.fsync(stream.fileno())  # xuống tới đĩa rồi mới đổi tên
        strange = get_unsafe_globals_in_checkpoint(part)  # báo ngay, lúc bản cũ còn đây
        if strange:
            names = ", ".join(strange)
            raise ValueError(f"không ghi: sau này không đọc lại được {names}, bản cũ còn nguyên")
        part.replace(path)
    except RuntimeError as error:  # torch.save báo thế khi đĩa đầy
        raise OSError(f"không ghi được {path} (đĩa đầy?), bản cũ còn nguyên") from error
    finally:
        part.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    """Những gì write đã ghi: score, step, higher, state. Tensor trên CPU, còn nằm ở tệp (mmap)."""
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except MemoryError:
        raise
    except Exception as error:  # tệp hỏng ném đủ loại lỗi
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # EINVAL: tệp hỏng đòi nhảy tới một chỗ không có
        if "allocate memory" in str(error) or "unable to mmap" in str(error):
            raise MemoryError(f"không đủ bộ nhớ để mở {path}") from error
        raise NotABestFile(f"{path}: không đọc được, hỏng hay không phải tệp .pt") from error
    if not isinstance(kept, dict) or kept.keys() != {"score", "step", "higher", "state"}:
        raise NotABestFile(f"{path}: không phải tệp do KeepBest ghi")
    score = kept["score"]
    if not isinstance(score, float) or not math.isfinite(score):
        raise NotABestFile(f"{path}: điểm trong tệp không phải một số")
    if not isinstance(kept["state"], dict):
        raise NotABestFile(f"{path}: không có state_dict trong tệp")
    return kept


def main() -> int:
    """Mã thoát. 0: đọc được; 1: tệp hỏng hay không phải của KeepBest; 2: không mở được."""
    parser = argparse.ArgumentParser(description="Cho biết tệp đang giữ điểm nào, của bước nào.")
    parser.add_argument("file", type=Path, help="tệp do KeepBest ghi")
    path = parser.parse_args().file
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8")  # Windows mặc định bảng mã khác
    warnings.simplefilter("ignore")  # lời báo lỗi là đúng một dòng
    try:
        kept = read(path)
    except NotABestFile as error:
        print(error, file=sys.stderr)
        return 1
    except MemoryError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{path}: không mở được, {error.strerror}", file=sys.stderr)
        return 2
    better = "cao" if kept["higher"] else "thấp"
    print(f"điểm {kept['score']} (càng {better} càng tốt), bước {kept['step']}")
    print(len(kept["state"]), "tensor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
