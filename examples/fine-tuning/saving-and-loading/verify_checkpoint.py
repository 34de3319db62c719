"""Soi một checkpoint mà không chạy gì bên trong nó: có đủ, có hỏng, có mã lạ không, và nó là gì.

    python verify_checkpoint.py THU_MUC_HAY_TEP …          # soi
    python verify_checkpoint.py THU_MUC --write-manifest   # tốt thì ghi bản kê THU_MUC.SHA256SUMS
    python verify_checkpoint.py THU_MUC                    # có bản kê bên cạnh thì tự so với nó

Đọc được: safetensors; tệp của torch.save từ bản 0.1 tới nay; pickle, joblib, npy, npz; và những
thứ đó trong ZIP, tar, gzip, bz2, xz. Thư mục của Transformers, PEFT, Diffusers,
sentence-transformers, Trainer, Accelerate; bộ nhớ đệm của Hub.
Pickle chỉ được đọc từng lệnh, không bao giờ được chạy. Bản kê có dạng mà sha256sum ghi.
Không cần gói nào ngoài Python 3.11 trở lên.

Mã thoát: 0 tốt; 1 hỏng hoặc nguy hiểm; 2 không phải checkpoint, hoặc không bắt đầu được;
3 chưa rõ: có mã đi kèm, hay có thứ chưa soi được.

Giới hạn, nói thẳng:
- Không có bản kê thì không thấy một bit lật trong dữ liệu hay tên tensor của safetensors.
- Bản kê nằm cạnh tệp phát hiện tai nạn, không chặn được kẻ cố ý: họ sửa luôn bản kê.
  Hãy giữ một bản ở nơi khác.
- Đủ và lành không có nghĩa là mô hình trả lời đúng; NaN chỉ được tìm trong safetensors.
- «Đủ tensor» chỉ được nói khi danh sách suy ra được từ config.json của một kiến trúc mà nó quen.
- Tệp mà nó không hiểu thì được kể ra ở dòng «Không soi», không được coi là đã soi.
- Lớn hơn các giới hạn ở đầu tệp thì bị từ chối, không phải được coi là tốt.

Các phần, mỗi phần mở bằng một dòng «# ---»:
  báo cáo · đọc tệp · safetensors
  pickle: những tên được phép · những tên chạy được mã · PickleReader
  kho nén và các dạng khác: ZIP · numpy · tar · tệp nén · soi một tệp theo nội dung
  kiến trúc: bảng LAYOUTS, tên và hình dạng của mọi tensor mà một config.json đòi
  thư mục: bộ trọng số · PEFT · Diffusers · sentence-transformers · Trainer · tokenizer
  bản kê · soi một đường dẫn (verify) · dòng lệnh
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  chính là để nói với Python cũ
    sys.exit("Cần Python 3.11 trở lên; đây là Python " + sys.version.split()[0])


import argparse
import ast
import bz2
import codecs
import contextlib
import errno
import fnmatch
import hashlib
import io
import json
import lzma
import math
import os
import posixpath
import re
import stat
import struct
import tarfile
import tempfile
import time
import traceback
import unicodedata
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

VERSION = "2.0"

# --- Giới hạn: lớn hơn thì bị từ chối, không phải được coi là tốt

CHUNK = 1 << 20  # đọc từng khúc: bộ nhớ không lớn theo tệp
HEADER_LIMIT = 100_000_000  # byte của phần đầu safetensors, như chính thư viện; cũng cho mỗi JSON
JSON_LIMIT = (
    5_000_000  # dấu «{», «[» và «,» trong một JSON: mỗi dấu tốn bộ nhớ gấp nhiều lần cỡ của nó
)
JSON_DEPTH = 100  # tầng lồng nhau trong một JSON
TENSOR_LIMIT = 1_500_000  # cũng những dấu đó, trong phần đầu safetensors: hơn hai trăm nghìn tensor
PICKLE_LIMIT = 64 << 20  # byte của các pickle trong một tệp; dữ liệu tensor nằm ngoài pickle
OPCODE_LIMIT = 3_000_000  # lệnh trong một pickle
FILE_LIMIT = 100_000  # tệp trong một thư mục

# --- Báo cáo


def word_set(text: str) -> frozenset[str]:
    """Tập những từ trong một chuỗi."""
    return frozenset(text.split())


DANGER = "NGUY HIỂM"  # mở ra là mã lạ có thể chạy
BROKEN = "HỎNG"
UNCLEAR = "CHƯA RÕ"  # có mã đi kèm, hay có thứ công cụ không soi được
WARNING = "CẢNH BÁO"
NOTE = "GHI CHÚ"
LEVELS = (DANGER, BROKEN, UNCLEAR, WARNING, NOTE)  # nặng trước
ENGLISH = {  # tên mức trong JSON: không đổi từ bản này sang bản khác
    DANGER: "danger",
    BROKEN: "broken",
    UNCLEAR: "unclear",
    WARNING: "warning",
    NOTE: "note",
}
DISTRIBUTED = "checkpoint phân tán (DCP, FSDP, DeepSpeed): công cụ này không ghép và không soi nó"
SHARD = re.compile(r"^(.+)-(\d{5,9})-of-(\d{5,9})(\.safetensors|\.bin)$")
STARTS_AT_ZERO = re.compile(r"lora_B|lora_embedding_B|bias[^.]*$")  # lúc mới tạo đã là 0
FLOATS = ("F16", "F32", "F64", "BF16", "Half", "Float", "Double", "BFloat16")


class Bad(Exception):
    """Điều khiến một tệp không đáng tin. `rule`: mã tiếng Anh, không đổi; `text`: lời."""

    def __init__(self, rule: str, text: str, level: str = BROKEN) -> None:
        super().__init__(text)
        self.rule = rule
        self.level = level


class Finding(NamedTuple):
    """Một điều tìm thấy: mức, mã của điều đó, ở tệp nào, là gì."""

    level: str
    rule: str
    where: str
    text: str


class Tensor(NamedTuple):
    """Một tensor theo lời của tệp: kiểu, hình dạng, và nơi dữ liệu nằm."""

    dtype: str
    shape: tuple[int, ...]
    place: tuple[Any, ...]


@dataclass
class Weights:
    """Những gì một tệp chứa. Tensor nằm sâu có tên ghép bằng dấu chấm: «state.0.exp_avg»."""

    form: str
    tensors: dict[str, Tensor]
    value: Any = None  # của pickle: vật mà nó dựng, xem PickleReader
    zero: set[str] = field(default_factory=set)  # tên các tensor toàn số 0


@dataclass
class Report:
    """Kết luận về một đường dẫn."""

    path: str
    recognised: bool = False
    facts: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    contents: dict[str, Weights] = field(default_factory=dict)  # theo tên tệp
    skipped: dict[str, str] = field(default_factory=dict)  # tệp không soi, và vì sao
    complete: dict[str, str] = field(
        default_factory=dict
    )  # thư mục → "" là đủ, hay vì sao không biết
    files: dict[str, dict[str, Any]] = field(default_factory=dict)  # dung lượng và SHA-256
    pickles: int = 0
    manifest: str = ""
    allowed: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()
    seen: set[Finding] = field(default_factory=set)

    def add(self, level: str, rule: str, where: str, text: str) -> None:
        """Thêm một điều tìm thấy; nói một lần là đủ."""
        found = Finding(level, rule, show(where), printable(text))
        if found not in self.seen:
            self.seen.add(found)
            self.findings.append(found)

    def fact(self, text: str) -> None:
        """Thêm một điều mà checkpoint tự nhận."""
        self.facts.append(printable(text))

    def skip(self, where: str, why: str) -> None:
        """Ghi lại một tệp không được soi."""
        self.skipped[show(where)] = printable(why)

    @property
    def levels(self) -> set[str]:
        """Những mức có mặt."""
        return {finding.level for finding in self.findings}

    @property
    def tensor_count(self) -> int:
        """Số tensor trong mọi tệp."""
        return sum(len(weights.tensors) for weights in self.contents.values())

    @property
    def exit_code(self) -> int:
        """0 tốt; 1 hỏng, nguy hiểm; 2 không phải checkpoint; 3 chưa soi hết, hay có mã đi kèm."""
        if self.levels & {DANGER, BROKEN}:
            return 1
        if not self.recognised:
            return 2
        if UNCLEAR in self.levels:
            return 3
        return 0 if self.tensor_count else 2

    @property
    def verdict(self) -> str:
        """Kết luận, một dòng: chỉ nói điều đã được xem."""
        if DANGER in self.levels:
            return "NGUY HIỂM: đừng mở."
        if BROKEN in self.levels:
            return "HỎNG: đừng dùng."
        if not self.recognised:
            return "KHÔNG PHẢI CHECKPOINT mà công cụ này đọc được."
        if UNCLEAR in self.levels:
            return "CHƯA RÕ: có mã đi kèm hay thứ chưa soi được; đọc các dòng CHƯA RÕ ở trên."
        if not self.tensor_count:
            return "KHÔNG PHẢI CHECKPOINT: không có tensor nào."
        return f"TỐT: {self.merits()}."

    def merits(self) -> str:
        """Những điều đã được xem và thấy tốt."""
        parts = []
        unknown = sorted({reason for reason in self.complete.values() if reason})
        if self.complete and not unknown:
            parts.append("đủ tensor")
        parts.append("không tệp nào bị cắt hay hỏng")
        if self.pickles:
            parts.append(f"không thấy mã lạ trong {self.pickles} pickle")
        if self.manifest:
            parts.append("đúng bản kê từng byte")
        text = ", ".join(parts)
        if unknown:
            text += f"; không biết có đủ tensor không ({unknown[0]})"
        if WARNING in self.levels:
            text += "; hãy đọc CẢNH BÁO ở trên"
        return text


def show(value: object) -> str:
    """Chữ in được và không quá dài."""
    if type(value) is int and value.bit_length() > 1000:  # Python từ chối viết ra số quá dài
        return "một số nguyên rất dài"
    return printable(str(value)[:200])


def printable(text: str) -> str:
    """Chữ in được trên mọi màn hình: không xuống dòng, không ký tự điều khiển."""
    shown = []
    for character in text:
        if not character.isprintable():
            character = character.encode("unicode_escape", "replace").decode("ascii")
        shown.append(character)
    return "".join(shown)


def counted(number: int) -> str:
    """Số đếm, viết kiểu Việt: 1.234.567."""
    return f"{number:,}".replace(",", ".")


def mib(size: int) -> str:
    """Dung lượng, viết kiểu Việt."""
    if size < 1 << 20:
        return f"{size} byte"
    return f"{size / 2**20:.2f} MiB".replace(".", ",")


def numbers_in(tensors: Iterable[Tensor]) -> int:
    """Bao nhiêu số trong các tensor."""
    return sum(math.prod(tensor.shape) for tensor in tensors)


def describe(report: Report, where: str, weights: Weights) -> Weights:
    """Ghi lại tệp chứa gì, cảnh báo về tensor toàn số 0. Mọi loại tệp có tensor đều qua đây."""
    report.recognised = True
    report.contents[where] = weights
    blank = []
    for name in sorted(weights.zero):
        tensor = weights.tensors[name]
        starts_at_zero = STARTS_AT_ZERO.search(name) is not None
        if len(tensor.shape) > 1 and tensor.dtype in FLOATS and not starts_at_zero:
            blank.append(name)
    if blank:
        text = (
            f"{len(blank)} tensor toàn số 0, như «{show(blank[0])}»: chưa học, hay dữ liệu bị mất"
        )
        report.add(WARNING, "all-zero", where, text)
    return weights


def tell_contents(report: Report) -> None:
    """Một dòng cho mỗi tệp có tensor; các mảnh của một bộ trọng số chung một dòng."""
    groups: dict[str, list[Weights]] = {}
    for where, weights in report.contents.items():
        shard = SHARD.match(where)
        name = f"{shard[1]}-*{shard[4]}" if shard else where
        groups.setdefault(name, []).append(weights)
    lines = []
    for name, parts in groups.items():
        tensors = []
        for part in parts:
            tensors += part.tensors.values()
        kinds = ", ".join(sorted({tensor.dtype for tensor in tensors}))
        shards = f"{len(parts)} mảnh, " if len(parts) > 1 else ""
        inside = f" ({kinds})" if kinds else ""
        numbers = counted(numbers_in(tensors))
        text = f"{shards}{counted(len(tensors))} tensor{inside}, {numbers} số"
        lines.append(printable(f"{show(name)}: {parts[0].form}, {text}"))
    report.facts[:0] = lines


# --- Đọc tệp

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<error")


class Progress:
    """Lời báo tiến độ khi soi lâu; chỉ dòng lệnh bật nó lên."""

    def __init__(self) -> None:
        self.stream: Any = None  # nơi in
        self.done = 0
        self.told = 0.0

    def step(self, size: int) -> None:
        """Thêm chừng này byte đã đọc; mỗi giây nói nhiều nhất một lần."""
        self.done += size
        if self.stream is None or time.monotonic() - self.told < 1:
            return
        self.told = time.monotonic()
        self.stream.write(f"\rđã đọc {mib(self.done)} … ")
        self.stream.flush()

    def end(self) -> None:
        """Xoá dòng tiến độ."""
        if self.stream is not None and self.told:
            self.stream.write("\r" + " " * 40 + "\r")
            self.stream.flush()
        self.told = time.monotonic()


progress = Progress()


def open_regular(path: Path) -> BinaryIO:
    """Mở một tệp thường để đọc, không đi theo liên kết; xem loại trước và sau khi mở."""
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise Bad("not-regular", "không phải tệp thường: không mở")
    flags = os.O_RDONLY
    for name in ("O_BINARY", "O_NONBLOCK", "O_NOFOLLOW"):  # hệ điều hành nào có thì dùng
        flags |= getattr(os, name, 0)
    stream = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise Bad("not-regular", "không phải tệp thường: không đọc")
    return stream


def size_of(stream: BinaryIO) -> int:
    """Dung lượng của tệp đang mở."""
    return os.fstat(stream.fileno()).st_size


def chunks(stream: BinaryIO, begin: int, end: int) -> Iterator[bytes]:
    """Từng khúc của [begin, end); tệp ngắn đi giữa chừng là hỏng."""
    stream.seek(begin)
    while begin < end:
        piece = stream.read(min(CHUNK, end - begin))
        if not piece:
            raise Bad("file-changed", "tệp ngắn đi trong lúc đọc")
        begin += len(piece)
        progress.step(len(piece))
        yield piece


def sha256(stream: BinaryIO, begin: int = 0, end: int | None = None) -> str:
    """SHA-256 của một khoảng, hay của cả tệp."""
    digest = hashlib.sha256()
    for piece in chunks(stream, begin, size_of(stream) if end is None else end):
        digest.update(piece)
    return digest.hexdigest()


def placeholder_of(head: bytes, size: int = -1) -> str:
    """Tệp chỉ đứng thay cho tệp thật: nó là gì; rỗng khi không phải. `head`: 512 byte đầu."""
    if size == 0:
        return "tệp rỗng"
    if head.startswith(LFS_POINTER):
        return "chỉ là con trỏ Git LFS, nội dung thật chưa được tải: git lfs pull"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:20].lower()
    if start.startswith(PAGES):
        return "là một trang web hay lời báo lỗi của máy chủ, không phải tệp cần tải về"
    return ""


def depth_of(content: bytes) -> int:
    """Số tầng ngoặc lồng nhau nhiều nhất trong một JSON; ngoặc nằm trong chữ không tính."""
    if content.count(b"[") + content.count(b"{") <= JSON_DEPTH:
        return 0
    deepest = 0
    depth = 0
    quoted = False
    for token in re.finditer(rb'\\.|["\[\]{}]', content, flags=re.DOTALL):
        if token[0] == b'"':
            quoted = not quoted
        elif not quoted and token[0] in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif not quoted and token[0] in b"]}":
            depth -= 1
    return deepest


def unique_pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Từ điển của một JSON; khoá lặp là hỏng."""
    found = dict(items)
    if len(found) != len(items):
        raise Bad("json-duplicate", "JSON có khoá lặp: mỗi chương trình hiểu một kiểu")
    return found


def refuse_constant(name: str) -> float:
    """Phần đầu safetensors không được có NaN hay Infinity."""
    raise Bad("json-constant", f"JSON có {name}")


def accept_constant(name: str) -> float:
    """Trainer ghi NaN và Infinity vào JSON của nó."""
    return math.nan


def parse_json(content: bytes, strict: bool = False, limit: int = JSON_LIMIT) -> Any:
    """Đọc JSON; `strict` từ chối cả NaN và Infinity; `limit`: số dấu ngăn nhiều nhất."""
    if content.count(b"{") + content.count(b"[") + content.count(b",") > limit:
        raise Bad("json-limit", f"JSON có quá {limit} phần: không đọc")
    if depth_of(content) > JSON_DEPTH:
        raise Bad("json-depth", "JSON lồng quá sâu")
    constant = refuse_constant if strict else accept_constant
    try:
        text = content.decode("utf-8")
        return json.loads(text, object_pairs_hook=unique_pairs, parse_constant=constant)
    except RecursionError as error:
        raise Bad("json-depth", "JSON lồng quá sâu") from error
    except ValueError as error:  # gồm cả UTF-8 hỏng, cú pháp hỏng, số nguyên quá dài
        raise Bad("json-syntax", f"JSON hỏng: {show(error)}") from error


def read_json(path: Path) -> Any:
    """Đọc một tệp JSON trong giới hạn."""
    with open_regular(path) as stream:
        size = size_of(stream)
        if size > HEADER_LIMIT:
            raise Bad("json-limit", f"tệp JSON lớn hơn {mib(HEADER_LIMIT)}: không đọc")
        content = stream.read(size + 1)
    told = placeholder_of(content[:512], len(content))
    if told:
        raise Bad("placeholder", told)
    return parse_json(content)


def is_count(value: object) -> bool:
    """Có phải số nguyên từ 0 tới dưới 2^63 không (True không tính)."""
    return type(value) is int and 0 <= value < 1 << 63


def guard(report: Report, where: str, work: Callable[[], Any]) -> Any:
    """Làm một việc; điều hỏng thành một dòng trong báo cáo, không bao giờ thành một ngoại lệ."""
    try:
        return work()
    except Bad as error:
        report.add(error.level, error.rule, where, str(error))
    except OSError as error:
        report.add(BROKEN, "unreadable", where, f"không đọc được: {show(error.strerror or error)}")
    except (MemoryError, RecursionError):
        report.add(BROKEN, "too-large", where, "lớn quá hay lồng quá sâu: không soi được")
    except Exception as error:  # lỗi của chính công cụ này: nói rõ chỗ, và không coi là tốt
        place = traceback.extract_tb(error.__traceback__)[-1]
        bug = f"{type(error).__name__} ở {place.name}, dòng {place.lineno}"
        text = f"lỗi của chính công cụ ({bug}): phần này chưa được soi; xin báo lại lỗi này"
        report.add(UNCLEAR, "tool-error", where, text)
    return None


# --- safetensors

BITS = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
SHAPE_LIMIT = 1 << 66  # bit: không tensor nào lớn tới thế
ZERO_TAIL = 4096  # một đuôi toàn số 0 dài hơn chừng này, bắt đầu giữa một tensor, là đáng ngờ


def table_of(*chosen: range) -> bytes:
    """Bảng 256 byte cho `bytes.translate`: 1 ở những giá trị được chọn."""
    table = bytearray(256)
    for values in chosen:
        for value in values:
            table[value] = 1
    return bytes(table)


class FloatForm(NamedTuple):
    """Cách nhận ra NaN và Inf: mỗi số mấy byte, bảng giá trị của byte cao nhất và byte kế đó."""

    size: int
    high: bytes
    second: bytes


ANY = table_of(range(256))
ONES = table_of(range(0x7F, 0x80), range(0xFF, 0x100))  # mọi bit của số mũ là 1
FROM_80 = table_of(range(0x80, 0x100))
FROM_F0 = table_of(range(0xF0, 0x100))
FROM_7C = table_of(range(0x7C, 0x80), range(0xFC, 0x100))
NONFINITE = {
    "F64": FloatForm(8, ONES, FROM_F0),
    "F32": FloatForm(4, ONES, FROM_80),
    "C64": FloatForm(4, ONES, FROM_80),
    "BF16": FloatForm(2, ONES, FROM_80),
    "F16": FloatForm(2, FROM_7C, ANY),
    "F8_E5M2": FloatForm(1, FROM_7C, ANY),
    "F8_E4M3": FloatForm(1, ONES, ANY),
    "F8_E8M0": FloatForm(1, table_of(range(0xFF, 0x100)), ANY),
    "F8_E4M3FNUZ": FloatForm(1, table_of(range(0x80, 0x81)), ANY),
    "F8_E5M2FNUZ": FloatForm(1, table_of(range(0x80, 0x81)), ANY),
}


def read_header(stream: BinaryIO) -> tuple[dict[str, Any], int]:
    """JSON ở đầu một tệp safetensors, và byte đầu tiên của dữ liệu."""
    size = size_of(stream)
    start = stream.read(8)
    if len(start) < 8:
        raise Bad("safetensors-cut", f"chỉ có {size} byte, phải có ít nhất 8: tệp bị cắt")
    length = int.from_bytes(start, "little")
    if length > HEADER_LIMIT:
        text = f"phần đầu tự nhận dài {length} byte, quá giới hạn {HEADER_LIMIT}"
        raise Bad("safetensors-header", f"{text}: không phải safetensors hay đã hỏng")
    if 8 + length > size:
        text = f"phần đầu tự nhận dài {length} byte mà tệp chỉ có {size} byte: tệp bị cắt"
        raise Bad("safetensors-cut", text)
    content = stream.read(length)
    if not content.startswith(b"{"):
        raise Bad("safetensors-header", "phần đầu không mở bằng «{»: hỏng")
    header = parse_json(content, strict=True, limit=TENSOR_LIMIT)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise Bad("safetensors-header", "__metadata__ phải đi từ chữ sang chữ")
    for value in metadata.values():
        if not isinstance(value, str):
            raise Bad("safetensors-header", "__metadata__ phải đi từ chữ sang chữ")
    return header, 8 + length


def read_entry(name: str, info: Any, path: Path, start: int) -> Tensor:
    """Một mục của phần đầu, thành tensor; kiểu, hình dạng và số byte phải khớp nhau."""
    told = f"tensor «{show(name)}»"
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        raise Bad("safetensors-header", f"tên {told} không phải chữ Unicode")
    if not isinstance(info, dict) or info.keys() != {"dtype", "shape", "data_offsets"}:
        raise Bad("safetensors-header", f"{told}: mô tả thiếu hay thừa mục")
    dtype = info["dtype"]
    shape = info["shape"]
    span = info["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise Bad("safetensors-header", f"{told}: kiểu lạ {show(dtype)}")
    if not isinstance(shape, list) or not all(map(is_count, shape)):
        raise Bad("safetensors-header", f"{told}: hình dạng sai")
    if not isinstance(span, list) or len(span) != 2 or not all(map(is_count, span)):
        raise Bad("safetensors-header", f"{told}: vị trí sai")
    bits = BITS[dtype]
    for side in shape:
        bits *= side
        if bits >= SHAPE_LIMIT:
            raise Bad("safetensors-header", f"{told}: hình dạng lớn quá mức")
    length = span[1] - span[0]
    if bits != 8 * length:
        raise Bad("safetensors-header", f"{told}: {dtype} {show(shape)} không vừa {length} byte")
    return Tensor(dtype, tuple(shape), (path, start + span[0], start + span[1]))


def check_layout(tensors: dict[str, Tensor], start: int, size: int) -> None:
    """Các tensor phải lấp kín phần dữ liệu: không chồng, không hở, không thiếu, không thừa."""
    reached = start
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].place[1:]):
        begin = tensor.place[1]
        if begin != reached:
            how = "chồng lên" if begin < reached else "hở với"
            raise Bad("safetensors-layout", f"tensor «{show(name)}»: {how} tensor trước")
        reached = tensor.place[2]
    if reached != size:
        how = "tệp bị cắt" if size < reached else "có byte thừa"
        text = f"dữ liệu phải hết ở byte {reached} mà tệp có {size} byte: {how}"
        raise Bad("safetensors-size", text)


def read_safetensors(path: Path, stream: BinaryIO) -> dict[str, Tensor]:
    """Các tensor của một tệp safetensors, đã đối chiếu với dung lượng tệp."""
    header, start = read_header(stream)
    tensors = {}
    for name, info in header.items():
        tensors[name] = read_entry(name, info, path, start)
    check_layout(tensors, start, size_of(stream))
    return tensors


def has_nonfinite(piece: bytes, form: FloatForm) -> bool:
    """Khúc này có NaN hay Inf không. Xem mọi số một lượt, trên byte, cho nhanh."""
    mask = int.from_bytes(piece[form.size - 1 :: form.size].translate(form.high), "big")
    if mask and form.size > 1:
        second = piece[form.size - 2 :: form.size].translate(form.second)
        mask &= int.from_bytes(second, "big")
    return mask != 0


class DataScan:
    """Điều thấy được khi đọc dữ liệu của một tensor từng khúc."""

    def __init__(self, dtype: str) -> None:
        self.form = NONFINITE.get(dtype)
        self.blank = b"\0\x80" if self.form else b"\0"  # byte của 0 và của -0
        self.nonfinite = False
        self.length = 0
        self.used = 0  # độ dài tới byte khác 0 cuối cùng

    def read(self, piece: bytes) -> None:
        """Xem thêm một khúc."""
        if self.form is not None and not self.nonfinite:
            self.nonfinite = has_nonfinite(piece, self.form)
        used = len(piece.rstrip(self.blank))
        if used:
            self.used = self.length + used
        self.length += len(piece)


def scan_data(stream: BinaryIO, weights: Weights, where: str, report: Report) -> None:
    """Đọc mọi byte dữ liệu: tìm NaN, Inf, tensor toàn số 0, và đuôi tệp toàn số 0."""
    poisoned = []
    tail = ""
    for name, tensor in weights.tensors.items():
        scan = DataScan(tensor.dtype)
        for piece in chunks(stream, *tensor.place[1:]):  # CHUNK chia hết cho mọi cỡ số
            scan.read(piece)
        if scan.nonfinite:
            poisoned.append(name)
        if scan.length and not scan.used:
            weights.zero.add(name)
        last = tensor.place[2] == size_of(stream)
        if last and scan.used and scan.length - scan.used > ZERO_TAIL:
            tail = f"{mib(scan.length - scan.used)} cuối của «{show(name)}» toàn số 0"
    if poisoned:
        names = ", ".join(map(show, poisoned[:3])) + (", …" if poisoned[3:] else "")
        text = f"{len(poisoned)} tensor có NaN hay Inf: {names} (mặt nạ -inf thì bình thường)"
        report.add(WARNING, "nonfinite", where, text)
    if tail:
        report.add(WARNING, "zero-tail", where, f"{tail}: có thể đuôi tệp bị mất khi tải về")


def check_safetensors(path: Path, where: str, report: Report) -> Weights:
    """Soi một tệp safetensors."""
    report.recognised = True
    with open_regular(path) as stream:
        weights = Weights("safetensors", read_safetensors(path, stream))
        if not weights.tensors:
            raise Bad("no-tensors", "tệp lành mà không có tensor nào")
        scan_data(stream, weights, where, report)
    return describe(report, where, weights)


# --- Pickle: những tên được phép

STORAGES = {  # lớp storage của torch: mỗi số mấy byte
    "Double": 8,
    "Float": 4,
    "Half": 2,
    "BFloat16": 2,
    "Long": 8,
    "Int": 4,
    "Short": 2,
    "Char": 1,
    "Byte": 1,
    "Bool": 1,
    "ComplexDouble": 16,
    "ComplexFloat": 8,
    "QInt8": 1,
    "QUInt8": 1,
    "QInt32": 4,
    "QUInt4x2": 1,
    "QUInt2x4": 1,
}
DTYPES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "complex32": 4,
    "complex64": 8,
    "complex128": 16,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint64": 8,
    "uint32": 4,
    "uint16": 2,
    "uint8": 1,
    "bool": 1,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1,
    "float8_e8m0fnu": 1,
    "float4_e2m1fn_x2": 1,
    "qint8": 1,
    "quint8": 1,
    "qint32": 4,
}


def names_of(module: str, names: str) -> set[str]:
    """Những tên «mô-đun tên» của một mô-đun."""
    return {f"{module} {name}" for name in names.split()}


def item_sizes() -> dict[str, int]:
    """Tên đầy đủ của mọi lớp storage → cỡ một số."""
    found = {"torch.storage UntypedStorage": 1, "torch UntypedStorage": 1}
    for name, size in STORAGES.items():
        found[f"torch {name}Storage"] = size
        found[f"torch.cuda {name}Storage"] = size
    return found


ITEM_SIZE = item_sizes()
VALUE_TYPES = "set frozenset list dict tuple bytes bytearray int float bool str complex"
FACTORIES = names_of("builtins", VALUE_TYPES)
FACTORIES |= names_of("__builtin__", VALUE_TYPES + " long unicode")
OLD_TENSORS: set[str] = set()  # torch 0.1: tensor là một vật rỗng, rồi được điền
for _kind in STORAGES:
    OLD_TENSORS |= names_of("torch", f"{_kind}Tensor") | names_of("torch.cuda", f"{_kind}Tensor")
VARIABLES = {"torch.nn.parameter Parameter", "torch.autograd.variable Variable"}
BLANK_MAKERS = {  # dựng một vật rỗng của lớp cho trước
    *names_of("copyreg", "_reconstructor __newobj__"),
    *names_of("copy_reg", "_reconstructor __newobj__"),
}
# Chỉ dựng lại tensor và những giá trị thường: được phép, nếu đối số như thư viện ghi.
ALLOWED = {
    *ITEM_SIZE,
    *FACTORIES,
    *OLD_TENSORS,
    *VARIABLES,
    *BLANK_MAKERS,
    *names_of("torch", " ".join(DTYPES)),
    *names_of("torch", "per_tensor_affine per_channel_affine per_channel_affine_float_qparams"),
    *names_of("torch", "Tensor Size device"),
    *names_of("torch.serialization", "_get_layout"),
    *names_of("torch._tensor", "_rebuild_from_type _rebuild_from_type_v2"),
    *names_of("torch.storage", "_load_from_bytes"),
    *names_of("torch._utils", "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3"),
    *names_of("torch._utils", "_rebuild_parameter _rebuild_parameter_with_state"),
    *names_of("torch._utils", "_rebuild_qtensor _rebuild_sparse_tensor _rebuild_nested_tensor"),
    *names_of("torch._utils", "_rebuild_meta_tensor_no_storage"),
    *names_of("collections", "OrderedDict Counter defaultdict deque"),
    *names_of("builtins", "slice range object"),
    *names_of("__builtin__", "slice range xrange object"),
    *names_of("_codecs", "encode"),
}
# Mảng numpy và joblib: vô hại, nhưng torch.load không nhận nếu không được dặn trước.
JOBLIB_ARRAYS = {  # scikit-learn cũ mang theo một bản joblib
    *names_of("joblib.numpy_pickle", "NumpyArrayWrapper"),
    *names_of("sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper"),
}
NUMPY = {
    *JOBLIB_ARRAYS,
    *names_of("numpy.core.multiarray", "_reconstruct scalar"),
    *names_of("numpy._core.multiarray", "_reconstruct scalar"),
    *names_of("numpy.core._internal", "_reconstruct"),
    *names_of("numpy.core.numeric", "_frombuffer"),
    *names_of("numpy._core.numeric", "_frombuffer"),
    *names_of("numpy", "ndarray dtype matrix recarray"),
    *names_of("numpy.matrixlib.defmatrix", "matrix"),
}
# Những lớp trong training_args.bin: chỉ được dựng rỗng rồi điền; enum thì gọi với một chuỗi.
TRAINER = {
    *names_of("transformers.training_args", "TrainingArguments OptimizerNames ParallelMode"),
    *names_of("transformers.training_args_seq2seq", "Seq2SeqTrainingArguments"),
    *names_of("transformers.trainer_pt_utils", "AcceleratorConfig"),
    *names_of("transformers.trainer_utils", "SchedulerType IntervalStrategy SaveStrategy"),
    *names_of("transformers.trainer_utils", "HubStrategy EvaluationStrategy"),
    *names_of("transformers.debug_utils", "DebugOption"),
    *names_of("transformers.generation.configuration_utils", "GenerationConfig"),
    *names_of("accelerate.state", "PartialState"),
    *names_of("accelerate.utils.dataclasses", "DistributedType"),
}
ARRAY_CLASSES = {"numpy ndarray", "numpy matrix", "numpy recarray"}
ARRAY_CLASSES.add("numpy.matrixlib.defmatrix matrix")
KNOWN = ALLOWED | NUMPY | TRAINER
ENUM_ENDS = ("Names", "Type", "Mode", "Strategy", "Option", "Enum", "Kind", "Format", "Level")

# --- Pickle: những tên chạy được mã

# Trong thư viện chuẩn chỉ những mô-đun này được nhắc tới: chúng chỉ có giá trị và hàm tính toán.
VALUE_MODULES = word_set(
    """abc argparse array builtins collections copy_reg copyreg dataclasses datetime decimal enum
    fractions functools heapq ipaddress itertools math numbers pathlib random re statistics string
    time types typing uuid weakref zoneinfo _codecs __builtin__ __future__ __main__"""
)
OLD_MODULES = word_set(  # tên của Python 2, và những mô-đun mà chỉ vài bản Python 3 có
    """commands popen2 cPickle cStringIO StringIO urllib2 urlparse httplib Queue SocketServer
    thread dummy_thread _winreg xmlrpclib cookielib Cookie anydbm dbm dbhash dumbdbm gdbm whichdb
    BaseHTTPServer SimpleHTTPServer CGIHTTPServer SimpleXMLRPCServer DocXMLRPCServer robotparser
    ConfigParser HTMLParser htmlentitydefs markupbase repr test Tkinter Tix ttk Tkdnd Tkconstants
    tkFileDialog tkSimpleDialog tkColorChooser tkCommonDialog tkFont tkMessageBox ScrolledText
    Dialog FileDialog SimpleDialog UserDict UserList UserString _abcoll new ihooks imputil
    __builtins__ future_builtins exceptions formatter parser symbol macpath binhex imp distutils
    asynchat asyncore smtpd aifc audioop cgi cgitb chunk crypt imghdr mailcap msilib nis nntplib
    ossaudiodev pipes sndhdr spwd sunau telnetlib uu xdrlib lib2to3 _bootlocale _crypt
    _xxsubinterpreters _xxinterpchannels _interpreters _interpchannels _interpqueues _pyrepl
    _colorize _remote_debugging _sysconfig compression annotationlib"""
)
PROGRAM_PACKAGES = word_set(  # gói cài đặt, biên dịch, chạy chương trình
    """pip setuptools distutils pkg_resources IPython ipykernel jupyter nbconvert dill cloudpickle
    jsonpickle paramiko fabric invoke sh pexpect ptyprocess requests urllib3 httpx aiohttp fsspec
    torch_extensions triton numba cffi cython pyximport pytest _pytest nose tox
    virtualenv"""
)
PROGRAM_PREFIXES = (  # phần của một gói lớn: tải, ghi tệp, biên dịch, chạy
    "numpy.f2py",
    "numpy.testing",
    "numpy.distutils",
    "numpy.ctypeslib",
    "numpy.lib",
    "joblib.externals",
    "joblib.parallel",
    "joblib.memory",
    "torch.utils.data.datapipes",
    "transformers.dynamic_module_utils",
    "transformers.pipelines",
    "transformers.utils.hub",
    "transformers.testing_utils",
    "huggingface_hub",
    "datasets",
)
TORCH_VALUES = (  # trong torch, những phần chỉ có lớp và hàm của mô hình
    "torch.nn",
    "torch.optim",
    "torch.ao",
    "torch.quantization",
    "torch.distributions",
    "torch.distributed.checkpoint",
    "torch.distributed._shard",
    "torch.distributed.tensor",
    "torch.distributed._tensor",
    "torch.distributed.device_mesh",
    "torch.amp",
    "torch.cuda.amp",
    "torch.utils.data",
    "torch.autograd",
    "torch.serialization",
    "torch.storage",
    "torch.torch_version",
    "torch._tensor",
    "torch._utils",
    "torch._C._nn",
    "torch._C._VariableFunctions",
    "torch.jit._script",
    "torch.functional",
    "torch.random",
    "torch.return_types",
)
PROGRAM_WORDS = word_set(  # ở bất cứ mô-đun nào, những tên này chạy mã hay mở đường tới mã
    """eval exec execfile compile __import__ import_module open input getattr setattr delattr vars
    globals locals breakpoint apply reload system popen popen2 spawn spawnl spawnv execv execve fork
    Popen check_output check_call getoutput getstatusoutput load loads load_module run_path
    run_module
    memmap fromfile genfromtxt loadtxt save savez savetxt tofile DataSource load_library hub
    load_inline load_state_dict_from_url download_url_to_file FunctionType CodeType LambdaType
    MethodType ModuleType GeneratorType CoroutineType DynamicClassAttribute new_class
    reduce_graph_module PackageImporter ScriptFile ops classes import_ir_module _load_for_lite
    SummaryWriter"""
)
# Giá trị vô hại dựng bằng lời gọi: lớp lạ với weights_only, nhưng không chạy gì.
VALUE_CALLS = {
    *names_of("datetime", "datetime date time timedelta timezone"),
    *names_of("pathlib", "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"),
    *names_of(
        "pathlib._local", "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"
    ),
    *names_of("argparse", "Namespace"),
    *names_of("types", "SimpleNamespace"),
    *names_of("decimal", "Decimal"),
    *names_of("fractions", "Fraction"),
    *names_of("uuid", "UUID SafeUUID"),
    *names_of("ipaddress", "IPv4Address IPv6Address IPv4Network IPv6Network"),
    *names_of("zoneinfo", "ZoneInfo ZoneInfo._unpickle"),
    *names_of("array", "array _array_reconstructor"),
    *names_of("collections", "ChainMap UserDict UserList UserString"),
    *names_of("random", "Random"),
    *names_of("re", "_compile"),
    *names_of("functools", "partial"),
    *names_of("logging", "getLogger"),
    *names_of("UserDict", "UserDict IterableUserDict"),
    *names_of("UserList", "UserList"),
    *names_of("UserString", "UserString"),
    *names_of("tokenizers", "Tokenizer AddedToken"),
    *names_of("torch.torch_version", "TorchVersion"),
    *names_of("torch.jit._pickle", "build_intlist build_tensorlist build_doublelist"),
    *names_of("torch.jit._pickle", "build_boollist build_tensor_from_id restore_type_tag"),
    *names_of("torch.distributed.checkpoint.metadata", "_MEM_FORMAT_ENCODING"),
    *names_of("torch", "Generator"),
    *names_of("torch.nn.parameter", "Buffer UninitializedParameter"),
    *names_of("numpy", "datetime64 timedelta64 bool_ float64 float32 int64 int32 str_"),
    *names_of("numpy.random", "__RandomState_ctor"),  # numpy trước bản 1.17
    *names_of("numpy.random._pickle", "__randomstate_ctor __generator_ctor __bit_generator_ctor"),
    *names_of("numpy.random.bit_generator", "SeedSequence __pyx_unpickle_SeedSequence"),
    *names_of("numpy.ma.core", "_mareconstruct"),
    *names_of("pandas._libs.internals", "_unpickle_block"),
    *names_of("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"),
    *names_of("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"),
    *names_of("pandas._libs.tslibs.timedeltas", "_timedelta_unpickle"),
    *names_of("pandas._libs.tslibs.nattype", "_nat_unpickle __nat_unpickle"),
    *names_of("pandas._libs.tslibs.offsets", "_offset_unpickle"),
    *names_of("pandas.core.indexes.base", "_new_Index"),
    *names_of("pandas.core.indexes.datetimes", "_new_DatetimeIndex"),
    *names_of("pandas.core.indexes.period", "_new_PeriodIndex"),
    *names_of("pandas.core.indexes.multi", "MultiIndex"),
    *names_of("pandas.core.internals.managers", "BlockManager SingleBlockManager"),
    *names_of("pandas", "StringDtype CategoricalDtype DatetimeTZDtype PeriodDtype"),
    *names_of("pyarrow.lib", "_restore_array py_buffer type_for_alias"),
}
HARMLESS_BUILTINS = word_set(  # nhắc tới thì được, gọi thì không
    """object type NotImplementedType NotImplemented Ellipsis property hash abs len min max sum
    round sorted"""
)
OTHER_REBUILDERS = {  # hàm dựng tensor khác của torch; không hàm nào gọi đối số của nó
    *names_of("torch._utils", "_rebuild_wrapper_subclass _rebuild_device_tensor_from_numpy"),
    *names_of("torch._utils", "_rebuild_device_tensor_from_cpu_tensor _rebuild_xla_tensor"),
    *names_of("torch.nested._internal.nested_tensor", "_rebuild_njt"),
}
STANDARD = sys.stdlib_module_names | OLD_MODULES


def is_dangerous(module: str, name: str) -> bool:
    """Tên này chạy được mã tuỳ ý, mở tệp, hay dẫn tới thứ làm được những việc đó."""
    full = f"{module} {name}"
    if full in KNOWN or full in VALUE_CALLS or full in OTHER_REBUILDERS:
        return False
    package = module.partition(".")[0]
    if package in PROGRAM_PACKAGES or module.startswith(PROGRAM_PREFIXES):
        return True
    if package in STANDARD and package not in VALUE_MODULES:
        return True
    if module != "torch" and package == "torch" and not module.startswith(TORCH_VALUES):
        return True
    if module in ("builtins", "__builtin__"):
        return name not in HARMLESS_BUILTINS
    # Một tên có dấu chấm đi qua các thuộc tính, có thể là một mô-đun: «utils.os.system».
    steps = name.split(".")
    for step in steps:
        if step in PROGRAM_WORDS or (step in STANDARD and step not in VALUE_MODULES):
            return True
    return len(steps) > 1 and any(step.startswith("__") for step in steps)


# --- Pickle: những vật dựng trên giấy


class Name(str):
    """Một tên mà pickle nhập: «mô-đun tên»."""

    __slots__ = ()


class Storage(NamedTuple):
    """Một vùng dữ liệu mà pickle nhắc tới: khoá, tên lớp, số phần tử."""

    key: str
    kind: str
    count: int


class Raw(NamedTuple):
    """Một chuỗi byte trong pickle."""

    content: bytes


class OldString(NamedTuple):
    """Chuỗi của Python 2 có byte ngoài ASCII: mỗi bộ đọc giải mã một kiểu."""

    content: bytes

    def readings(self) -> list[str]:
        """Mọi cách giải mã."""
        found = [self.content.decode("latin-1"), self.content.decode("ascii", "ignore")]
        with contextlib.suppress(UnicodeDecodeError):
            found.append(self.content.decode("utf-8"))
        return found


class NumpyType(NamedTuple):
    """Kiểu số của numpy: một mục chiếm mấy byte, có phải đối tượng Python không."""

    size: int
    objects: bool = False
    code: str = ""


PLAIN_TYPES = {type(None), bool, int, float, str, Raw, OldString}


class Row(tuple):
    """Một tuple trong pickle; nhớ độ sâu, tổng số phần tử, và có chỉ gồm giá trị thường không."""

    depth: int
    total: int
    plain: bool

    def __new__(cls, items: Any = ()) -> Row:
        """Tạo từ các phần tử."""
        row = super().__new__(cls, items)
        row.depth = 1
        row.total = len(row)
        row.plain = len(row) < 1000
        for item in row:
            if type(item) is Row:
                row.depth = max(row.depth, item.depth + 1)
                row.total += item.total
                row.plain = row.plain and item.plain
            elif type(item) not in PLAIN_TYPES:
                row.plain = row.plain and is_kind(item, "value")
        return row


class Thing:
    """Một vật mà pickle dựng, chỉ trên giấy.

    `kind`: list, dict, set, OrderedDict, object (của một lớp lạ), «?» (đã bị từ chối), …
    `items`: phần tử, hay cặp (khoá, giá trị); `state`: điều mà lệnh BUILD điền vào.
    `odd`: có khoá không phải tên thuộc tính thường.
    """

    __slots__ = ("items", "kind", "odd", "state")

    def __init__(self, kind: str, items: list[Any] | None = None) -> None:
        """Một vật rỗng, hay đã có vài phần tử."""
        self.kind = kind
        self.items: list[Any] = [] if items is None else items
        self.state: Any = None
        self.odd = False


MARK = Thing("mark")
MAPPINGS = {"dict", "OrderedDict", "defaultdict", "Counter"}
NUMPY_CODE = re.compile(
    r"(?:b1|[iu](?P<int>[1248])|f(?P<float>2|4|8|16)|c(?P<complex>8|16|32)|[Mm](?P<date>8))"
)
NUMPY_TEXT = re.compile(r"(?P<kind>[SUV])(?P<length>\d{1,6})")
STRUCTURE_FLAGS = 8 | 16 | 128  # của một kiểu có cấu trúc mà không có đối tượng
ODD_NAME = "nhập tên lạ"
TUPLE_DEPTH = 100
TUPLE_TOTAL = 30_000_000  # phần tử của một tuple, mọi tầng cộng lại, kể cả những tầng dùng chung
NESTED_PICKLES = 8  # pickle nằm trong pickle
NESTED_COST = 50  # mỗi pickle như thế tính bằng chừng này lệnh
PICKLE_NAMES = 10_000  # tên khác nhau trong một pickle
LEGACY_START = 0x1950A86A20F9469CFC6C  # pickle đầu tiên của tệp torch dạng cũ


@dataclass
class Pickle:
    """Một pickle đã đọc: hết ở byte nào, dựng ra gì, nhắc những tên nào."""

    end: int = 0
    value: Any = None
    names: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)  # tên → «gọi», «nhập», …: nguy hiểm
    unclear: set[str] = field(default_factory=set)  # lớp lạ chỉ được dựng lại
    unchecked: set[str] = field(default_factory=set)  # loại tensor không kiểm tra được kích thước
    storages: dict[str, Storage] = field(default_factory=dict)
    faults: list[Bad] = field(default_factory=list)  # điều sai, chưa tới mức không đọc tiếp được

    def take(self, other: Pickle) -> None:
        """Gộp những gì thấy trong một pickle nằm bên trong."""
        self.names |= other.names
        self.refused |= other.refused
        self.unclear |= other.unclear
        self.unchecked |= other.unchecked


def is_kind(value: object, *kinds: str) -> bool:
    """Có phải vật thuộc một trong những loại này không."""
    return type(value) is Thing and value.kind in kinds


def is_empty(value: object) -> bool:
    """Có phải None hay từ điển rỗng không: hook của tensor phải thế, vì hook là hàm sẽ được gọi."""
    return value is None or (is_kind(value, "dict", "OrderedDict") and not value.items)


def is_plain(value: object) -> bool:
    """Có phải số, chữ, byte, None, giá trị vô hại, hay bộ của những thứ này không."""
    if type(value) is Row:
        return value.plain  # tính sẵn: một tuple có thể chứa cùng một tuple rất nhiều lần
    if is_kind(value, "value"):
        return True
    return type(value) in PLAIN_TYPES


def is_state(value: object) -> bool:
    """Có phải trạng thái mà torch ghi kèm một tensor không: từ điển thuộc tính, một hay hai."""
    parts = value if type(value) is Row and len(value) <= 2 else (value,)
    for part in parts:
        if part is not None and (not is_kind(part, "dict", "OrderedDict") or part.odd):
            return False
    return True


def look_up(value: object, key: str) -> Any:
    """Giá trị ứng với một khoá trong từ điển mà pickle dựng; None khi không có."""
    if type(value) is Thing and value.kind in MAPPINGS:
        for own, found in reversed(value.items):  # khoá lặp: lần cuối thắng
            if type(own) is str and own == key:
                return found
    return None


# --- Pickle: bộ đọc


class Stopped(Exception):
    """Mọi bộ đọc pickle đều dừng ở đây."""


class RanOut(Stopped):
    """Hết byte trước khi tới lệnh STOP."""


class PickleReader:
    """Máy ngăn xếp của pickle, chạy trên giấy: đẩy, nhớ, nhập tên, gọi, mà không làm gì thật.

    Đọc rộng tay hơn mọi bộ đọc thật (bản C và bản Python, mọi cách giải mã chữ): cái gì một bộ đọc
    nào đó còn hiểu thì đọc tiếp, vì sau đó có thể là một lời gọi. Chỗ chỉ vài bộ đọc hiểu thì
    vào `faults`.
    """

    def __init__(
        self, data: bytes, start: int, allowed: frozenset[str], mode: str = "joblib", depth: int = 0
    ) -> None:
        self.data = data
        self.place = start
        self.allowed = allowed
        self.mode = mode  # gặp mảng của joblib thì đọc như joblib, "old joblib", hay "pickle"
        self.depth = depth
        self.found = Pickle()
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.steps = 0
        self.limit = OPCODE_LIMIT
        self.calls = 0  # lời gọi tới một thứ được nhập
        self.outside = True  # có ai đưa dữ liệu ngoài cho lệnh PERSID không
        self.running = True
        self.wrapped = False  # có mảng của joblib
        self.frame = 0  # khung (FRAME) hiện tại hết ở byte nào

    def read(self) -> None:
        """Đọc tới lệnh STOP, hay tới chỗ không bộ đọc nào đi tiếp."""
        data = self.data
        while self.running:
            if self.place >= len(data):
                raise RanOut
            begin = self.place
            handler = HANDLERS[data[begin]]
            self.place += 1
            self.steps += 1
            if handler is None:
                raise Stopped
            if self.steps > self.limit:
                text = f"pickle có quá {self.limit} lệnh: không đọc tiếp"
                raise Bad("pickle-limit", text, UNCLEAR)
            try:
                handler(self)
            finally:
                if begin < self.frame < self.place:  # kể cả khi lệnh này hỏng
                    self.refuse_frame()
        self.found.end = self.place

    def inside(self, data: bytes, start: int, mode: str) -> Pickle:
        """Đọc một pickle nằm bên trong; những gì thấy ở đó cũng là của pickle này."""
        if self.depth >= NESTED_PICKLES:
            text = f"có quá {NESTED_PICKLES} tầng pickle lồng nhau: không đọc tiếp"
            raise Bad("pickle-depth", text, UNCLEAR)
        reader = PickleReader(data, start, self.allowed, mode, self.depth + 1)
        stopped = attempt(reader)
        self.found.take(reader.found)
        self.wrapped = self.wrapped or reader.wrapped
        self.steps += reader.steps + NESTED_COST
        if stopped is not None:
            raise stopped
        for fault in reader.found.faults:
            self.keep(fault)
        return reader.found

    def refuse_frame(self) -> None:
        """Ranh giới khung đặt sai: bản C bỏ phần cuối khung, bản Python dừng, bản khác đọc tiếp."""
        if self.wrapped and self.frame > len(self.data):
            self.frame = 0  # byte của một mảng tình cờ giống lệnh FRAME
            return
        text = "pickle có khung (FRAME) đặt sai chỗ: mỗi bộ đọc thấy những lệnh khác nhau"
        raise Bad("pickle-frame", text, DANGER)

    # Đọc đối số của lệnh

    def take(self, length: int) -> bytes:
        """Chừng này byte kế tiếp; hết tệp thì không còn lệnh nào nữa."""
        end = self.place + length
        if length < 0 or end > len(self.data):
            raise RanOut
        content = self.data[self.place : end]
        self.place = end
        return content

    def number(self, form: str) -> int:
        """Một số nhị phân."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> bytes:
        """Tới hết dòng. Dòng cuối thiếu dấu xuống dòng: bộ đọc thật bỏ mất một byte."""
        end = self.data.find(b"\n", self.place)
        if end < 0:
            content = self.data[self.place : -1]
            self.place = len(self.data)
            return content
        content = self.data[self.place : end]
        self.place = end + 1
        return content

    def index(self) -> int:
        """Chỉ số trong bảng nhớ, viết bằng chữ số; bản C dừng ở byte 0, bản Python thì từ chối."""
        line = self.line()
        for text in (line, line.partition(b"\0")[0]):
            try:
                return int(text)
            except ValueError:
                continue
        raise Stopped

    def fault(self, rule: str, text: str, level: str = BROKEN) -> None:
        """Ghi một điều sai rồi đọc tiếp: phía sau có thể còn điều nặng hơn."""
        self.keep(Bad(rule, text, level))

    def keep(self, error: Bad) -> None:
        """Giữ lại một điều sai; quá nhiều thì hết lượt đọc sớm hơn."""
        self.steps += 5
        if len(self.found.faults) < 10:
            self.found.faults.append(error)

    # Ngăn xếp

    def push(self, value: Any) -> None:
        """Đặt lên ngăn xếp."""
        self.stack.append(value)

    def top(self) -> Any:
        """Thứ trên cùng, không phải chỗ đánh dấu."""
        if not self.stack or self.stack[-1] is MARK:
            raise Stopped
        return self.stack[-1]

    def pop(self) -> Any:
        """Lấy thứ trên cùng ra."""
        value = self.top()
        self.stack.pop()
        return value

    def to_mark(self) -> list[Any]:
        """Lấy mọi thứ tới chỗ đánh dấu gần nhất."""
        place = len(self.stack) - 1
        while place >= 0 and self.stack[place] is not MARK:
            place -= 1
        if place < 0:
            raise Stopped
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    # Giá trị

    def string(self, content: bytes) -> None:
        """Chuỗi của Python 2: ASCII thì mọi bộ đọc hiểu như nhau."""
        self.push(content.decode("ascii") if content.isascii() else OldString(content))

    def op_string(self) -> None:
        """STRING: có ngoặc, có dấu «\\»."""
        text = self.line()
        if len(text) < 2 or text[0] != text[-1] or text[:1] not in (b"'", b'"'):
            raise Stopped
        try:
            content = codecs.escape_decode(text[1:-1])[0]
        except ValueError:
            raise Stopped from None
        self.string(content)

    def op_binstring(self) -> None:
        """BINSTRING: độ dài có dấu."""
        self.string(self.take(self.number("<i")))

    def op_short_binstring(self) -> None:
        """SHORT_BINSTRING."""
        self.string(self.take(self.number("<B")))

    def text(self, length: int) -> None:
        """Một chuỗi UTF-8."""
        try:
            self.push(self.take(length).decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise Stopped from None

    def op_unicode(self) -> None:
        """UNICODE: một dòng, với «\\u»."""
        try:
            self.push(self.line().decode("raw-unicode-escape"))
        except UnicodeDecodeError:
            raise Stopped from None

    def op_short_binunicode(self) -> None:
        """SHORT_BINUNICODE."""
        self.text(self.number("<B"))

    def op_binunicode(self) -> None:
        """BINUNICODE."""
        self.text(self.number("<I"))

    def op_binunicode8(self) -> None:
        """BINUNICODE8."""
        self.text(self.number("<Q"))

    def op_short_binbytes(self) -> None:
        """SHORT_BINBYTES."""
        self.push(Raw(self.take(self.number("<B"))))

    def op_binbytes(self) -> None:
        """BINBYTES."""
        self.push(Raw(self.take(self.number("<I"))))

    def op_binbytes8(self) -> None:
        """BINBYTES8 và BYTEARRAY8."""
        self.push(Raw(self.take(self.number("<Q"))))

    def op_int(self) -> None:
        """INT và LONG: một dòng chữ số; bản C hiểu vài cách viết mà bản Python không hiểu."""
        text = self.line()
        if text in (b"00", b"01"):
            self.push(text == b"01")
            return
        try:
            self.push(int(text.removesuffix(b"L"), 0))
        except ValueError:
            self.fault("pickle-number", f"pickle có số viết lạ «{show(text[:20])}»")
            self.push(0)

    def op_float(self) -> None:
        """FLOAT: một dòng."""
        text = self.line()
        try:
            self.push(float(text))
        except ValueError:
            self.fault("pickle-number", f"pickle có số viết lạ «{show(text[:20])}»")
            self.push(0.0)

    def op_binfloat(self) -> None:
        """BINFLOAT."""
        self.push(struct.unpack(">d", self.take(8))[0])

    def op_binint(self) -> None:
        """BININT."""
        self.push(self.number("<i"))

    def op_binint1(self) -> None:
        """BININT1."""
        self.push(self.number("<B"))

    def op_binint2(self) -> None:
        """BININT2."""
        self.push(self.number("<H"))

    def op_long1(self) -> None:
        """LONG1."""
        self.push(int.from_bytes(self.take(self.number("<B")), "little", signed=True))

    def op_long4(self) -> None:
        """LONG4."""
        self.push(int.from_bytes(self.take(self.number("<i")), "little", signed=True))

    def op_none(self) -> None:
        """NONE."""
        self.push(None)

    def op_true(self) -> None:
        """NEWTRUE."""
        self.push(True)

    def op_false(self) -> None:
        """NEWFALSE."""
        self.push(False)

    # Bảng nhớ, chỗ đánh dấu, khung

    def remember(self, place: int) -> None:
        """Nhớ thứ trên cùng ở một chỗ."""
        if place < 0:
            raise Stopped
        if place > self.place:  # bộ đọc thật cấp phát chừng ấy ô nhớ
            self.refuse("bảng nhớ lớn quá mức", "đòi")
        self.memo[place] = self.top()

    def recall(self, place: int) -> None:
        """Đặt lên ngăn xếp thứ đã nhớ."""
        if place not in self.memo:
            raise Stopped
        self.push(self.memo[place])

    def op_put(self) -> None:
        """PUT."""
        self.remember(self.index())

    def op_binput(self) -> None:
        """BINPUT."""
        self.remember(self.number("<B"))

    def op_long_binput(self) -> None:
        """LONG_BINPUT."""
        self.remember(self.number("<I"))

    def op_memoize(self) -> None:
        """MEMOIZE: vào ô kế tiếp."""
        self.memo[len(self.memo)] = self.top()

    def op_get(self) -> None:
        """GET."""
        self.recall(self.index())

    def op_binget(self) -> None:
        """BINGET."""
        self.recall(self.number("<B"))

    def op_long_binget(self) -> None:
        """LONG_BINGET."""
        self.recall(self.number("<I"))

    def op_mark(self) -> None:
        """MARK."""
        self.push(MARK)

    def op_pop(self) -> None:
        """POP: lấy ra được cả chỗ đánh dấu."""
        if not self.stack:
            raise Stopped
        self.stack.pop()

    def op_pop_mark(self) -> None:
        """POP_MARK."""
        self.to_mark()

    def op_dup(self) -> None:
        """DUP."""
        self.push(self.top())

    def op_proto(self) -> None:
        """PROTO."""
        if self.number("<B") > 5:
            raise Stopped

    def op_frame(self) -> None:
        """FRAME: lời báo trước độ dài của những lệnh kế tiếp, tới hết khung."""
        if self.frame >= self.place:
            self.refuse_frame()
        length = self.number("<Q")
        self.frame = self.place + length

    def op_stop(self) -> None:
        """STOP."""
        self.found.value = self.pop()
        self.running = False
        if self.frame > self.place:
            self.refuse_frame()

    # Danh sách, từ điển, tuple

    def op_empty_list(self) -> None:
        """EMPTY_LIST."""
        self.push(Thing("list"))

    def op_empty_dict(self) -> None:
        """EMPTY_DICT."""
        self.push(Thing("dict"))

    def op_empty_set(self) -> None:
        """EMPTY_SET."""
        self.push(Thing("set"))

    def op_list(self) -> None:
        """LIST."""
        self.push(Thing("list", self.to_mark()))

    def op_frozenset(self) -> None:
        """FROZENSET."""
        self.push(Thing("frozenset", self.to_mark()))

    def op_dict(self) -> None:
        """DICT."""
        items = self.to_mark()
        self.push(Thing("dict"))
        self.fill_pairs(items)

    def row(self, items: list[Any]) -> None:
        """Một tuple, không lồng sâu quá."""
        made = Row(items)
        if made.depth > TUPLE_DEPTH or made.total > TUPLE_TOTAL:
            self.fault("pickle-depth", "pickle có tuple lồng quá sâu, hay lặp lại nhau quá nhiều")
            self.push(Thing("tuple"))
            return
        self.push(made)

    def op_empty_tuple(self) -> None:
        """EMPTY_TUPLE."""
        self.push(Row())

    def op_tuple(self) -> None:
        """TUPLE."""
        self.row(self.to_mark())

    def last(self, count: int) -> None:
        """Một tuple của chừng này thứ trên cùng."""
        items = [self.pop() for _ in range(count)]
        items.reverse()
        self.row(items)

    def op_tuple1(self) -> None:
        """TUPLE1."""
        self.last(1)

    def op_tuple2(self) -> None:
        """TUPLE2."""
        self.last(2)

    def op_tuple3(self) -> None:
        """TUPLE3."""
        self.last(3)

    def fill_list(self, items: list[Any], kinds: tuple[str, ...]) -> None:
        """Thêm phần tử vào thứ trên cùng."""
        target = self.top()
        if not is_kind(target, *kinds, "object", "value", "allowed", "?"):
            self.refuse("thêm phần tử vào một thứ không phải danh sách", "")
            return
        target.items += items

    def fill_pairs(self, items: list[Any]) -> None:
        """Thêm cặp khoá và giá trị vào thứ trên cùng."""
        target = self.top()
        if len(items) % 2:
            raise Stopped
        if not is_kind(target, *MAPPINGS, "object", "value", "allowed", "?"):
            self.refuse("thêm khoá vào một thứ không phải từ điển", "")
            return
        for place in range(0, len(items), 2):
            key = items[place]
            if type(key) is not str or key.startswith("__"):
                target.odd = True
            if is_trap(key, items[place + 1]):
                self.refuse("một hàm vào chỗ mà chính bộ đọc pickle sẽ gọi", "đặt")
            target.items.append((key, items[place + 1]))

    def op_append(self) -> None:
        """APPEND."""
        item = self.pop()
        self.fill_list([item], ("list", "deque"))

    def op_appends(self) -> None:
        """APPENDS."""
        self.fill_list(self.to_mark(), ("list", "deque"))

    def op_additems(self) -> None:
        """ADDITEMS."""
        self.fill_list(self.to_mark(), ("set",))

    def op_setitem(self) -> None:
        """SETITEM."""
        value = self.pop()
        key = self.pop()
        self.fill_pairs([key, value])

    def op_setitems(self) -> None:
        """SETITEMS."""
        self.fill_pairs(self.to_mark())

    # Nhập và gọi

    def refuse(self, name: str, how: str) -> None:
        """Ghi một điều nguy hiểm; lời gọi nặng hơn lời nhập."""
        if how == "gọi" or name not in self.found.refused:
            self.found.refused[name] = how

    def named(self, module: str, name: str) -> Name:
        """Một tên được nhập."""
        full = Name(f"{module} {name}")
        shown = f"{module}.{name}"
        self.found.names.add(full)
        if full in KNOWN:
            return full
        if len(self.found.names) > PICKLE_NAMES:
            text = f"pickle nhắc quá {PICKLE_NAMES} tên: không đọc tiếp"
            raise Bad("pickle-limit", text, UNCLEAR)
        if is_dangerous(module, name):
            self.refuse(shown, "nhập")
        elif not shown.replace(".", "").isidentifier():
            self.refuse(shown, ODD_NAME)
        elif shown not in self.allowed:
            self.found.unclear.add(shown)
        return full

    def import_lines(self) -> Name:
        """Hai dòng: mô-đun, tên."""
        module = self.line()
        name = self.line()
        try:
            return self.named(module.decode("utf-8"), name.decode("utf-8"))
        except UnicodeDecodeError:
            raise Stopped from None

    def op_global(self) -> None:
        """GLOBAL."""
        self.push(self.import_lines())

    def op_stack_global(self) -> None:
        """STACK_GLOBAL: mô-đun và tên nằm trên ngăn xếp."""
        name = self.pop()
        module = self.pop()
        if OldString in (type(module), type(name)):
            self.steps += 500
            for one in readings(module):
                for other in readings(name):
                    self.named(one, other)
            self.refuse("một tên có chữ ngoài ASCII, mỗi bộ đọc hiểu một kiểu", "nhập")
            self.push(Thing("?"))
        elif type(module) is str and type(name) is str:
            self.push(self.named(module, name))
        else:
            self.refuse("một tên chỉ biết lúc chạy", "nhập")
            self.push(Thing("?"))

    def call(self, function: Any, given: Any, new: bool = False) -> Any:
        """Vật mà một lời gọi sẽ dựng. `new`: chỉ tạo vật của lớp, không gọi hàm khởi tạo."""
        if type(function) is not Name or type(given) is not Row:
            self.refuse("một thứ chỉ biết lúc chạy", "gọi")
            return Thing("?")
        self.calls += 1
        self.steps += len(given)
        for part in given:  # danh sách cho trước được chép lại
            self.steps += len(part.items) if type(part) is Thing else 0
        shown = function.replace(" ", ".")
        if function in BLANK_MAKERS:
            return self.blank(function, given)
        if function in KNOWN:
            made = self.known(function, given, new)
            if made is None:
                self.refuse(f"{shown} theo cách lạ", "gọi")
                return Thing("?")
            return made
        if shown in self.allowed and shown not in self.found.refused:
            return Thing("allowed")
        if shown in self.found.refused or not is_value_call(function, given, new):
            self.refuse(shown, "gọi")
            return Thing("?")
        kind = "value" if function in VALUE_CALLS else "object"
        return Thing("partial" if function == "functools partial" else kind, list(given))

    def blank(self, function: Name, given: Row) -> Any:
        """Vật rỗng mà copyreg dựng: (lớp, lớp gốc, giá trị gốc) hay (lớp, đối số …)."""
        rest = given[1:]
        if function.endswith("_reconstructor"):
            honest = len(given) == 3 and type(given[1]) is Name
            if honest and given[1].endswith(" object") and given[2] is None:
                rest = ()
        if not given or type(given[0]) is not Name:
            self.refuse("một lớp chỉ biết lúc chạy", "gọi")
            return Thing("?")
        return self.call(given[0], Row(rest), new=True)

    def known(self, function: Name, given: Row, new: bool) -> Any:
        """Vật mà một tên được phép dựng; None khi không giống lời gọi nào mà thư viện ghi."""
        if function in TRAINER:
            return settings_of(function, given, new)
        if function in JOBLIB_ARRAYS:
            return Thing("wrapper") if not given else None
        if function in OLD_TENSORS or function in VARIABLES:
            return old_tensor(given)
        if function == "torch.storage _load_from_bytes":
            return self.nested(given)
        if new:
            made = construct(function, given, self)
            return made if is_kind(made, *MAPPINGS, "deque", "set", "list") else None
        return construct(function, given, self)

    def nested(self, given: Row) -> Any:
        """Storage trong một chuỗi byte, như pickle.dump ghi một tensor: lại là một tệp torch."""
        if len(given) != 1 or type(given[0]) is not Raw:
            return None
        content = given[0].content
        value = None
        end = 0
        for number in range(5):
            try:
                part = self.inside(content, end, self.mode)
            except Bad as error:
                if error.level == DANGER:
                    raise
                return None  # không phải dạng cũ: torch sẽ mở nó theo cách khác
            end = part.end
            if number == 0 and part.value != LEGACY_START:
                return None
            if number == 3:
                value = part.value
        return value if type(value) is Storage else None

    def op_reduce(self) -> None:
        """REDUCE: hàm(*đối số)."""
        given = self.pop()
        function = self.pop()
        self.push(self.call(function, given))

    def op_newobj(self) -> None:
        """NEWOBJ: lớp.__new__(lớp, *đối số)."""
        given = self.pop()
        function = self.pop()
        self.push(self.call(function, given, new=True))

    def op_newobj_ex(self) -> None:
        """NEWOBJ_EX: thêm đối số có tên."""
        named = self.pop()
        given = self.pop()
        function = self.pop()
        if not is_empty(named):
            self.refuse("một lớp với đối số có tên", "gọi")
        self.push(self.call(function, given, new=True))

    def op_inst(self) -> None:
        """INST: tên nằm trong lệnh, đối số trên ngăn xếp."""
        function = self.import_lines()
        self.push(self.call(function, Row(self.to_mark())))

    def op_obj(self) -> None:
        """OBJ: lớp và đối số trên ngăn xếp."""
        items = self.to_mark()
        if not items:
            raise Stopped
        self.push(self.call(items[0], Row(items[1:])))

    def op_extension(self, size: int) -> None:
        """EXT: một tên ghi trong sổ của copyreg, chỉ biết lúc chạy."""
        self.take(size)
        self.refuse("một tên trong sổ mở rộng của copyreg", "nhập")
        self.push(Thing("?"))

    def op_ext1(self) -> None:
        """EXT1."""
        self.op_extension(1)

    def op_ext2(self) -> None:
        """EXT2."""
        self.op_extension(2)

    def op_ext4(self) -> None:
        """EXT4."""
        self.op_extension(4)

    def op_persid(self) -> None:
        """PERSID: dữ liệu ngoài, theo cách không phải của torch."""
        self.line()
        if not self.outside:
            raise Stopped
        self.fault("pickle-outside", "pickle trỏ tới dữ liệu ngoài theo cách lạ", UNCLEAR)
        self.push(Thing("?"))

    def op_binpersid(self) -> None:
        """BINPERSID: storage của torch."""
        told = self.pop()
        try:
            self.push(storage_of(told, self.found))
        except Bad as error:
            self.keep(error)
            self.push(Thing("?"))

    def op_buffer(self) -> None:
        """NEXT_BUFFER: dữ liệu để ngoài pickle."""
        self.fault("pickle-outside", "pickle để dữ liệu ở ngoài tệp này", UNCLEAR)
        self.push(Raw(b""))

    def op_readonly(self) -> None:
        """READONLY_BUFFER."""
        self.top()

    def op_build(self) -> None:
        """BUILD: điền trạng thái vào vật trên cùng."""
        state = self.pop()
        target = self.top()
        if is_kind(target, "wrapper"):
            self.skip_array(state)
        elif is_kind(target, "old tensor"):
            self.fill_old_tensor(target, state)
        elif not may_build(target, state):
            what = target.replace(" ", ".") if type(target) is Name else "một thứ"
            self.refuse(f"{what} sau khi nhập hay dựng", "sửa")
        if type(target) is Thing:
            target.state = state
        elif type(target) is NumpyType and type(state) is Row:
            for part in state:
                if is_kind(part, "dict"):  # numpy giữ chính từ điển này: không được thêm gì nữa
                    part.kind = "fields"

    def fill_old_tensor(self, target: Thing, state: Any) -> None:
        """Tensor của torch 0.1 tới 0.3: bốn mục của tensor, hay ba tới năm mục của Variable."""
        if type(state) is not Row or len(state) not in (3, 4, 5):
            self.refuse("một tensor cũ theo cách lạ", "sửa")
        elif len(state) == 4 and type(state[0]) is Storage:
            target.items.append(self.tensor(state))
        elif len(state) == 5 and type(state[0]) in (Tensor, Thing) and is_empty(state[2]):
            target.items.append(state[0])
        elif not (is_empty(state[-1]) and is_plain(state[0])):
            self.refuse("một tensor cũ theo cách lạ", "sửa")

    def tensor(self, given: Any) -> Any:
        """Tensor trên một storage; sai kích thước thì ghi lại rồi đọc tiếp."""
        try:
            return tensor_of(given)
        except Bad as error:
            self.keep(error)
            return Thing("tensor")

    def skip_array(self, state: Any) -> None:
        """Sau lời mô tả một mảng của joblib là byte của mảng, nằm ngay giữa các lệnh."""
        self.wrapped = True
        if self.frame > self.place and self.mode != "pickle":
            self.refuse_frame()  # joblib đóng khung trước khi ghi byte của mảng
        self.frame = 0
        self.steps += len(state.items) if type(state) is Thing else 0
        shape = look_up(state, "shape")
        kind = look_up(state, "dtype")
        if type(shape) is not Row or not all(map(is_count, shape)) or type(kind) is not NumpyType:
            self.refuse("joblib.numpy_pickle.NumpyArrayWrapper theo cách lạ", "dựng")
            return
        self.top().items += [shape, kind]
        if self.mode == "pickle":
            return
        if kind.objects:
            self.place = self.inside(self.data, self.place, "pickle").end
            return
        aligned = look_up(state, "numpy_array_alignment_bytes") is not None
        if aligned and self.mode == "joblib":  # joblib trước 1.3 không biết mục này
            self.take(self.number("<B"))
        self.take(math.prod(shape) * kind.size)


def readings(value: Any) -> list[str]:
    """Mọi chữ mà một giá trị trên ngăn xếp có thể thành."""
    if type(value) is OldString:
        return value.readings()
    return [value] if type(value) is str else []


def is_value_call(function: Name, given: Row, new: bool) -> bool:
    """Lời gọi này chỉ dựng lại một lớp hay một giá trị, không làm việc gì khác."""
    if new and not given:
        return True
    if function in VALUE_CALLS:
        return function == "functools partial" or not holds_function(function, given)
    if function in OTHER_REBUILDERS:
        return True
    module, _, name = function.partition(" ")
    package = module.partition(".")[0]
    if function in ("builtins type", "__builtin__ type") and given == (None,):
        return True  # kiểu của None
    if module == "torch.return_types":
        return not holds_function(function, given)
    if package in STANDARD or package in ("torch", "numpy"):
        return False
    if package == "sklearn" and not module.startswith("sklearn.externals"):
        if name == "newObj" or name[:1].isupper():
            return not holds_function(function, given)
    if not name.rpartition(".")[2][:1].isupper():
        return False  # không phải một lớp
    if new:
        return not holds_function(function, given)  # namedtuple và những lớp có __getnewargs__
    is_number = [type(part) for part in given] == [int]  # giá trị của một enum
    return is_number or (len(given) == 1 and is_plain(given) and name.endswith(ENUM_ENDS))


def holds_function(function: Name, given: Row) -> bool:
    """Có đối số nào là hàm hay lớp của nơi khác không: hàm dựng có thể gọi nó."""
    home = function.partition(" ")[0].partition(".")[0]
    for part in given:
        if is_kind(part, "partial"):
            return True
        if type(part) is Name and part not in KNOWN:
            module, _, name = part.partition(" ")
            is_class = name[:1].isupper() or module.startswith("numpy.random")
            if module.partition(".")[0] != home or not is_class:
                return True
    return False


def settings_of(function: Name, given: Row, new: bool) -> Any:
    """Cấu hình của Trainer: một enum gọi với một chuỗi, hay một vật rỗng."""
    if function.endswith(ENUM_ENDS):
        honest = not new and len(given) == 1 and type(given[0]) is str
        return Thing("enum") if honest else None
    return Thing("settings") if new and not given else None


def old_tensor(given: Row) -> Any:
    """Tensor, Variable hay Parameter cũ: rỗng, hay bọc một tensor."""
    if not given:
        return Thing("old tensor")
    if type(given[0]) in (Tensor, Thing) and all(map(is_plain, given[1:])):
        return Thing("old tensor", [given[0]])
    return None


def construct(function: Name, given: Row, reader: PickleReader) -> Any:
    """Điều mà `function(*given)` sẽ dựng; None khi không giống lời gọi mà torch hay numpy ghi."""
    name = function.partition(" ")[2]
    if name.startswith("_rebuild_"):
        return rebuild(name, given, reader)
    if name == "encode":  # byte, theo cách của pickle đời hai
        honest = len(given) == 2 and type(given[0]) is str and given[1] == "latin1"
        return Raw(given[0].encode("latin-1", "replace")) if honest else None
    if name == "dtype":
        return numpy_type(given)
    if name == "scalar":
        return numpy_scalar(given)
    if name == "_reconstruct":
        honest = len(given) == 3 and given[0] in ARRAY_CLASSES and given[1] == (0,)
        return Thing("ndarray") if honest and type(given[2]) in (Raw, str, OldString) else None
    if name == "_frombuffer":
        return numpy_buffer(given)
    if name == "Size":
        sizes = given[0] if len(given) == 1 else None
        return sizes if type(sizes) is Row and all(map(is_count, sizes)) else None
    return ordinary(function, name, given)


def ordinary(function: Name, name: str, given: Row) -> Any:
    """Danh sách, từ điển, số và chữ, dựng bằng một lời gọi."""
    listed = len(given) == 1 and is_kind(given[0], "list", "dict")
    if name in ("OrderedDict", "Counter", "set", "frozenset"):
        honest = not given or listed
    elif name in ("deque", "defaultdict"):
        honest = holds_values(name, given)
    elif name == "slice":
        honest = len(given) == 3 and is_plain(given)
    elif name in ARGUMENTS:
        types = [type(part).__name__ for part in given]
        honest = " ".join(types) in ARGUMENTS[name] and is_plain(given)
    else:
        honest = not given and (function in FACTORIES or name == "object")
    if not honest:
        return None
    if name in ("bytes", "bytearray"):
        return given[0] if given and type(given[0]) is Raw else Raw(b"")
    if not listed:
        return Thing(name)
    made = Thing(name, contents_for(name, given[0]))
    return None if holds_trap(made) else made


def contents_for(name: str, source: Thing) -> list[Any]:
    """Phần tử của vật dựng từ một danh sách hay từ điển; từ điển nhận cả danh sách những cặp."""
    if name not in MAPPINGS or source.kind == "dict":
        return list(source.items)
    pairs = []
    for item in source.items:
        parts = item.items if is_kind(item, "list") else item
        if type(parts) in (list, Row) and len(parts) == 2:
            pairs.append((parts[0], parts[1]))
    return pairs


def holds_trap(thing: Thing) -> bool:
    """Có cặp nào cài một hàm vào chỗ mà bộ đọc pickle sẽ gọi không."""
    if thing.kind not in MAPPINGS:
        return False
    return any(is_trap(key, value) for key, value in thing.items)


ARGUMENTS = {  # hàm → những bộ kiểu đối số mà thư viện ghi
    "complex": {"float float"},
    "bytearray": {"", "Raw", "str str"},
    "range": {"int int", "int int int"},
    "xrange": {"int int", "int int int"},
    "device": {"str", "str int", "str NoneType"},
    "_get_layout": {"str"},
}


def holds_values(name: str, given: Row) -> bool:
    """`deque(danh sách, cỡ)` và `defaultdict(kiểu)`: chỉ giữ giá trị, không gọi hàm lạ."""
    if name == "deque" and len(given) > 2:
        return False
    for part in given:
        is_factory = type(part) is Name and (part in FACTORIES or part not in KNOWN)
        if name == "defaultdict" and not (part is None or is_factory):
            return False
        if name == "deque" and not (is_plain(part) or is_kind(part, "list")):
            return False
    return True


def numpy_type(given: Row) -> NumpyType | None:
    """Kiểu số của numpy mà `dtype(*given)` dựng; không nhận kiểu có cấu trúc."""
    if not 1 <= len(given) <= 3 or type(given[0]) is not str or not is_plain(given):
        return None
    code = given[0].lstrip("<>|=")
    if code in ("O", "O8"):
        return NumpyType(8, True, "O")
    text = NUMPY_TEXT.fullmatch(code)
    if text is not None:
        width = 4 if text["kind"] == "U" else 1
        return NumpyType(int(text["length"]) * width, code=code)
    match = NUMPY_CODE.fullmatch(code)
    if match is None:
        return None
    sizes = [size for size in match.groups() if size]
    return NumpyType(int(sizes[0]) if sizes else 1, code=code)


def numpy_scalar(given: Row) -> Thing | None:
    """Một số của numpy: kiểu, rồi đúng chừng ấy byte."""
    if len(given) != 2 or type(given[0]) is not NumpyType:
        return None
    content = given[1]
    if type(content) is str:  # Python 2, mà mọi byte đều là ASCII
        content = Raw(content.encode("utf-8", "surrogatepass"))
    if given[0].objects or type(content) not in (Raw, OldString):
        return None
    if len(content.content) != given[0].size:
        return None
    return Thing("value")


def numpy_buffer(given: Row) -> Thing | None:
    """Mảng của pickle đời năm: byte, kiểu, hình dạng, thứ tự của các chiều."""
    if len(given) not in (4, 5) or not is_plain(Row(given[3:])):
        return None
    array = Thing("ndarray")
    array.state = Row((1, given[2], given[1], False, given[0]))
    return array if is_array_state(array.state) else None


def rebuild(name: str, given: Row, reader: PickleReader) -> Any:
    """Tensor mà một hàm `_rebuild_…` của torch dựng; None khi đối số không như torch ghi."""
    kind = name.removeprefix("_rebuild_")
    if kind in ("tensor", "tensor_v2", "tensor_v3", "qtensor"):
        hooks = given[6:7] if kind == "qtensor" else given[5:6]
        return reader.tensor(given) if all(map(is_empty, hooks)) else None
    if kind in ("parameter", "parameter_with_state"):
        honest = len(given) in (3, 4) and type(given[0]) in (Tensor, Thing) and is_empty(given[2])
        return given[0] if honest and all(map(is_state, given[3:])) else None
    if kind in ("from_type", "from_type_v2"):
        return rebuild_subclass(given, reader)
    if kind == "meta_tensor_no_storage":
        return meta_tensor(given)
    reader.found.unchecked.add("thưa" if kind == "sparse_tensor" else "lồng")
    return Thing("tensor", list(given))


def rebuild_subclass(given: Row, reader: PickleReader) -> Any:
    """`_rebuild_from_type_v2(hàm, kiểu, đối số, trạng thái)`: hàm cũng phải là hàm dựng tensor."""
    if len(given) != 4 or type(given[0]) is not Name or type(given[2]) is not Row:
        return None
    if given[1] not in ("torch Tensor", "torch.nn.parameter Parameter") or not is_state(given[3]):
        return None
    if not given[0].startswith("torch._utils _rebuild_") or given[0] not in ALLOWED:
        return None
    return construct(given[0], given[2], reader)


def meta_tensor(given: Row) -> Any:
    """Tensor không có dữ liệu: kiểu, hình dạng, bước nhảy."""
    shape = given[1] if len(given) > 1 else None
    if type(shape) is not Row or not all(map(is_count, shape)) or type(given[0]) is not Name:
        return Thing("tensor")
    return Tensor(given[0].partition(" ")[2], tuple(shape), ("meta",))


def tensor_of(given: Any) -> Tensor:
    """Tensor trên một storage, đã xem nó có nằm gọn trong đó không."""
    honest = len(given) >= 4 and type(given[0]) is Storage
    if not honest or type(given[2]) is not Row or type(given[3]) is not Row:
        raise Bad("pickle-tensor", "pickle dựng tensor từ thứ không phải storage")
    storage, offset = given[:2]
    shape, stride = given[2:4]
    if not all(map(is_count, (offset, *shape, *stride))) or len(shape) != len(stride):
        raise Bad("pickle-tensor", "pickle dựng tensor với số đo vô lý")
    kind = storage.kind
    item = ITEM_SIZE[kind]
    size = storage.count * item
    if len(given) > 6 and type(given[6]) is Name:
        kind = given[6]
        item = DTYPES.get(kind.partition(" ")[2], item)
    if kind.endswith(("x2Storage", "x4Storage")):  # nhiều số trong một byte: không đếm được
        item = 0
    last = offset
    for side, step in zip(shape, stride, strict=True):
        last += (side - 1) * step
    if 0 not in shape and (last + 1) * item > size:
        text = f"một tensor {show(tuple(shape))} vượt ra ngoài storage «{show(storage.key)}»"
        raise Bad("pickle-tensor", text)
    name = kind.partition(" ")[2].removesuffix("Storage")
    return Tensor(name, tuple(shape), ("storage", storage.key, offset, tuple(shape), tuple(stride)))


def storage_of(told: object, found: Pickle) -> Storage | Name:
    """Storage mà một lời nhắc tới dữ liệu ngoài nói tới."""
    if type(told) is Row and len(told) == 4 and told[0] == "module" and type(told[1]) is Name:
        return told[1]  # cả mô hình, dạng cũ: lớp, kèm tên tệp và mã nguồn của nó
    if type(told) is not Row or len(told) not in (5, 6) or told[0] != "storage":
        raise Bad("pickle-storage", "pickle trỏ tới dữ liệu ngoài theo cách lạ")
    kind = told[1]
    key = told[2]
    count = told[4]
    if type(kind) is not Name or type(key) is not str or not is_count(count):
        raise Bad("pickle-storage", "pickle mô tả storage sai")
    if kind not in ITEM_SIZE:
        raise Bad("pickle-storage", f"lớp storage lạ {show(kind)}")
    storage = Storage(key, kind, count)
    if found.storages.setdefault(key, storage) != storage:
        raise Bad("pickle-storage", f"storage «{show(key)}» được mô tả theo hai cách")
    return storage


HIJACKS = {"__class__", "__setstate__", "__reduce__", "__reduce_ex__", "__call__", "__getattr__"}
FILLERS = {"append", "extend", "add"}  # bộ đọc pickle gọi chúng khi thêm phần tử


def is_trap(key: Any, value: Any) -> bool:
    """Cặp này, thành thuộc tính của một vật, có khiến bộ đọc pickle gọi một hàm được cài không."""
    if type(value) is not Name and not is_kind(value, "object", "value", "allowed", "partial", "?"):
        return False
    if type(key) is str:
        return key in HIJACKS or key in FILLERS
    return type(key) is OldString or is_kind(key, "value")  # như numpy.str_: cũng là chữ


def may_build(target: object, state: object) -> bool:
    """Lệnh BUILD này có như thư viện ghi không. Nó sửa được mọi thứ, nên chỉ nhận vài cách."""
    if is_kind(target, "OrderedDict", "settings"):
        return state is None or (is_kind(state, "dict", "OrderedDict") and not state.odd)
    if type(target) is NumpyType:
        return is_numpy_state(target, state)
    if is_kind(target, "ndarray"):
        return is_array_state(state)
    if is_kind(target, "object", "value", "allowed", "partial"):
        return not sets_special_name(state)
    return is_kind(target, "?")  # đã bị từ chối rồi


def sets_special_name(state: object) -> bool:
    """Trạng thái này có thay những tên mà chính bộ đọc pickle sẽ gọi không."""
    parts = state if type(state) is Row else (state,)
    for part in parts:
        if not is_kind(part, *MAPPINGS):
            continue
        for key, value in part.items:
            if type(key) is str and key in HIJACKS:
                return True
            if is_trap(key, value):
                return True
    return False


def is_numpy_state(target: NumpyType, state: object) -> bool:
    """Trạng thái của một kiểu số: không kiểu con, không tên trường, không cờ nào."""
    if type(state) is not Row or len(state) not in (8, 9):
        return False
    if not is_plain(Row(state[:2] + state[5:])) or state[5] not in (-1, target.size):
        return False
    if target.code.startswith("V"):
        return is_structure(target, state)
    flags = (63,) if target.objects else (0, 8)  # 8: chữ, ô trống được điền 0
    if state[2:5] != (None, None, None) or state[7] not in flags:
        return False
    return state[6] in (-1, 1, 4)


def is_structure(target: NumpyType, state: Row) -> bool:
    """Kiểu có cấu trúc: mỗi trường là một kiểu số, nằm gọn trong đó, không có đối tượng Python."""
    base = state[2]
    names = state[3]
    fields = state[4]
    if type(state[7]) is not int or state[7] & ~STRUCTURE_FLAGS:
        return False
    if base is not None:
        return (names, fields) == (None, None) and is_repeated(target, base)
    if names is None and fields is None:
        return True
    if type(names) is not Row or not is_kind(fields, "dict"):
        return False
    return all(is_inside(target, field) for _, field in fields.items)


def is_repeated(target: NumpyType, base: Any) -> bool:
    """Kiểu số lặp lại theo một hình dạng, vừa khít."""
    if type(base) is not Row or len(base) != 2 or type(base[0]) is not NumpyType:
        return False
    if type(base[1]) is not Row or not all(map(is_count, base[1])):
        return False
    return not base[0].objects and math.prod(base[1]) * base[0].size == target.size


def is_inside(target: NumpyType, field: Any) -> bool:
    """Trường này là một kiểu số nằm gọn trong kiểu lớn."""
    if type(field) is not Row or len(field) not in (2, 3) or type(field[0]) is not NumpyType:
        return False
    if field[0].objects or not is_count(field[1]):
        return False
    return field[1] + field[0].size <= target.size


def is_array_state(state: object) -> bool:
    """Trạng thái của một mảng: hình dạng, kiểu, và đúng chừng ấy byte hay phần tử."""
    if type(state) is not Row or len(state) != 5 or type(state[1]) is not Row:
        return False
    if not all(map(is_count, state[1])) or type(state[2]) is not NumpyType:
        return False
    count = math.prod(state[1])
    if state[2].objects:
        return is_kind(state[4], "list") and len(state[4].items) == count
    content = state[4]
    if type(content) is str:  # Python 2, mà mọi byte đều là ASCII
        content = Raw(content.encode())
    return type(content) in (Raw, OldString) and count * state[2].size == len(content.content)


OPCODES = {  # byte của lệnh → cách làm
    b"\x80": PickleReader.op_proto,
    b"\x95": PickleReader.op_frame,
    b".": PickleReader.op_stop,
    b"(": PickleReader.op_mark,
    b"0": PickleReader.op_pop,
    b"1": PickleReader.op_pop_mark,
    b"2": PickleReader.op_dup,
    b"p": PickleReader.op_put,
    b"q": PickleReader.op_binput,
    b"r": PickleReader.op_long_binput,
    b"\x94": PickleReader.op_memoize,
    b"g": PickleReader.op_get,
    b"h": PickleReader.op_binget,
    b"j": PickleReader.op_long_binget,
    b"N": PickleReader.op_none,
    b"\x88": PickleReader.op_true,
    b"\x89": PickleReader.op_false,
    b"I": PickleReader.op_int,
    b"L": PickleReader.op_int,
    b"J": PickleReader.op_binint,
    b"K": PickleReader.op_binint1,
    b"M": PickleReader.op_binint2,
    b"\x8a": PickleReader.op_long1,
    b"\x8b": PickleReader.op_long4,
    b"F": PickleReader.op_float,
    b"G": PickleReader.op_binfloat,
    b"S": PickleReader.op_string,
    b"T": PickleReader.op_binstring,
    b"U": PickleReader.op_short_binstring,
    b"V": PickleReader.op_unicode,
    b"X": PickleReader.op_binunicode,
    b"\x8c": PickleReader.op_short_binunicode,
    b"\x8d": PickleReader.op_binunicode8,
    b"B": PickleReader.op_binbytes,
    b"C": PickleReader.op_short_binbytes,
    b"\x8e": PickleReader.op_binbytes8,
    b"\x96": PickleReader.op_binbytes8,
    b")": PickleReader.op_empty_tuple,
    b"t": PickleReader.op_tuple,
    b"\x85": PickleReader.op_tuple1,
    b"\x86": PickleReader.op_tuple2,
    b"\x87": PickleReader.op_tuple3,
    b"]": PickleReader.op_empty_list,
    b"l": PickleReader.op_list,
    b"a": PickleReader.op_append,
    b"e": PickleReader.op_appends,
    b"}": PickleReader.op_empty_dict,
    b"d": PickleReader.op_dict,
    b"s": PickleReader.op_setitem,
    b"u": PickleReader.op_setitems,
    b"\x8f": PickleReader.op_empty_set,
    b"\x90": PickleReader.op_additems,
    b"\x91": PickleReader.op_frozenset,
    b"c": PickleReader.op_global,
    b"\x93": PickleReader.op_stack_global,
    b"R": PickleReader.op_reduce,
    b"\x81": PickleReader.op_newobj,
    b"\x92": PickleReader.op_newobj_ex,
    b"i": PickleReader.op_inst,
    b"o": PickleReader.op_obj,
    b"b": PickleReader.op_build,
    b"\x82": PickleReader.op_ext1,
    b"\x83": PickleReader.op_ext2,
    b"\x84": PickleReader.op_ext4,
    b"P": PickleReader.op_persid,
    b"Q": PickleReader.op_binpersid,
    b"\x97": PickleReader.op_buffer,
    b"\x98": PickleReader.op_readonly,
}
HANDLERS = [OPCODES.get(bytes([code])) for code in range(256)]


def refusal(found: Pickle) -> str:
    """Câu nói vì sao một pickle nguy hiểm."""
    told = []
    for name, how in sorted(found.refused.items()):
        told.append(show(f"{how} {name}".strip()))
    more = ", …" if told[5:] else ""
    return f"pickle {', '.join(told[:5])}{more}: mở tệp là mã lạ có thể chạy"


def attempt(reader: PickleReader) -> Bad | None:
    """Đọc hết một pickle; trả lý do khi nó dừng giữa chừng."""
    try:
        reader.read()
    except RanOut:
        if len(reader.data) >= PICKLE_LIMIT:
            text = f"pickle dài quá giới hạn {mib(PICKLE_LIMIT)}: không soi hết được"
            return Bad("pickle-limit", text, UNCLEAR)
        return Bad("pickle-cut", "pickle bị cắt: hết tệp mà chưa hết lệnh")
    except (Stopped, struct.error, OverflowError, ValueError):
        return Bad("pickle-cut", "pickle bị cắt hay hỏng: không đọc được trọn các lệnh")
    except Bad as error:
        return error
    return None


def look_again(reader: PickleReader, found: Pickle) -> None:
    """Chỉ joblib bỏ qua byte của mảng, bản cũ bỏ qua ít hơn: đọc như bộ đọc khác, tìm lời gọi."""
    stopped = attempt(reader)
    if stopped is not None and stopped.rule == "pickle-limit":  # phía sau còn gì thì chưa biết
        found.faults.append(stopped)
    if stopped is not None and stopped.level == DANGER:
        found.refused["khung (FRAME) trong byte của một mảng"] = "có"
    found.names |= reader.found.names
    found.unclear |= reader.found.unclear
    safe = set()  # nhắc tới thì không sao, gọi thì chưa rõ
    known = set()
    for full in reader.found.names:
        module, _, name = full.partition(" ")
        if full in KNOWN:
            known.add(f"{module}.{name}")
        elif not is_dangerous(module, name):
            safe.add(f"{module}.{name}")
    for shown, how in reader.found.refused.items():
        guessed = shown.startswith("một ") or shown.partition(" ")[0] in known
        if guessed or how not in ("gọi", "nhập", ODD_NAME):
            continue  # byte của mảng tình cờ giống một lệnh
        if shown in safe:
            found.unclear.add(shown)
        else:
            found.refused[shown] = how


def read_pickle(data: bytes, start: int = 0, allowed: frozenset[str] = frozenset()) -> Pickle:
    """Theo từng lệnh của pickle ở `start` trên một ngăn xếp giả: biết nó gọi gì mà không gọi."""
    with warnings.catch_warnings():  # Python than phiền về dấu «\» lạ trong tệp hỏng
        warnings.simplefilter("ignore")
        reader = PickleReader(data, start, allowed)
        stopped = attempt(reader)
        found = reader.found
        if reader.wrapped:
            for mode in ("pickle", "old joblib"):
                look_again(PickleReader(data, start, allowed, mode), found)
    if stopped is not None:
        if found.refused:
            raise Bad("pickle-call", refusal(found), DANGER) from stopped
        raise stopped
    if found.faults and not found.refused:
        raise min(found.faults, key=lambda fault: LEVELS.index(fault.level))
    return found


def judge(found: Pickle, where: str, report: Report) -> None:
    """Ghi điều phải nói về một pickle."""
    report.pickles += 1
    if found.refused:
        report.add(DANGER, "pickle-call", where, refusal(found))
        return
    if found.unclear:
        names = sorted(found.unclear)
        more = ", …" if names[5:] else ""
        text = f"pickle dựng lại lớp ngoài danh sách: {', '.join(map(show, names[:5]))}{more}"
        report.add(
            UNCLEAR, "pickle-class", where, f"{text}; chỉ mở khi tin nơi gửi, hay --allow TÊN"
        )
    if found.names & TRAINER:
        text = "có lớp của Trainer: weights_only=True từ chối; chỉ mở cách khác khi tin nơi gửi"
        report.add(WARNING, "pickle-trainer", where, text)
    elif found.names & NUMPY:
        text = "có mảng numpy: weights_only=True từ chối; chỉ mở cách khác khi tin nơi gửi"
        report.add(WARNING, "pickle-numpy", where, text)
    for kind in sorted(found.unchecked):
        text = f"có tensor {kind}: kích thước bên trong nó không kiểm tra được nếu không mở"
        report.add(WARNING, "tensor-unchecked", where, text)


def tensors_in(value: Any) -> dict[str, Tensor]:
    """Mọi tensor trong vật mà pickle dựng, theo đường đi tới nó; mỗi vật được xem một lần.

    Không có tensor nào thì kể các mảng numpy: có người lưu trọng số như thế.
    """
    tensors: dict[str, Tensor] = {}
    arrays: dict[str, Tensor] = {}
    seen: set[int] = set()
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        path, part = pending.pop()
        if type(part) is Tensor:
            tensors[path if path not in tensors else f"{path}#{len(tensors)}"] = part
        elif type(part) in (Thing, Row) and id(part) not in seen:
            seen.add(id(part))
            array = array_of(part)
            if array is not None:
                arrays[path if path not in arrays else f"{path}#{len(arrays)}"] = array
            else:
                pending += reversed(parts_of(path, part))
    return tensors or arrays


def array_of(part: Any) -> Tensor | None:
    """Mảng numpy mà vật này là, như một tensor; None khi nó là thứ khác."""
    if is_kind(part, "ndarray") and is_array_state(part.state):
        kind = part.state[2]
        shape = part.state[1]
    elif is_kind(part, "wrapper") and len(part.items) == 2:
        shape, kind = part.items
    else:
        return None
    return None if kind.objects else Tensor(kind.code, tuple(shape), ("array",))


PATH_LIMIT = 1000  # ký tự trong đường đi tới một tensor


def is_short(key: Any) -> bool:
    """Khoá này có viết ra được thành vài chữ không."""
    return type(key) in (str, bool, float) or (type(key) is int and abs(key) < 1 << 64)


def parts_of(path: str, part: Any) -> list[tuple[str, Any]]:
    """Những phần của một danh sách, từ điển, tuple hay vật, mỗi phần với đường đi của nó."""
    path = path if len(path) < PATH_LIMIT else f"…{path[-100:]}"
    before = f"{path}." if path else ""
    if type(part) is Row and len(part) == 2 and type(part[0]) is str and type(part[1]) is Tensor:
        return [(part[0] if not path.rpartition(".")[0] else before + part[0], part[1])]
    if type(part) is Row:
        return [(f"{before}{place}", item) for place, item in enumerate(part)]
    found = []
    mapping = part.kind in MAPPINGS
    single = part.kind in ("old tensor", "tensor") and len(part.items) == 1
    for place, item in enumerate(part.items):
        pair = type(item) is tuple and len(item) == 2  # cặp khoá và giá trị, không phải Row
        if single:
            found.append((path, item))
        elif mapping or pair:
            key = show(item[0]) if is_short(item[0]) else f"{place}"
            found.append((f"{before}{key}", item[1]))
        else:
            found.append((f"{before}{place}", item))
    if part.state is not None and part.kind != "old tensor":  # của nó thì đã nằm trong `items`
        found.append((path, part.state))
    return found


# --- Kho nén và các dạng khác: một nguồn byte, dù là tệp hay là một mục trong kho nén

DIRECTORY_LIMIT = 16 << 20  # byte của mục lục ZIP
ENTRY_LIMIT = 100_000  # mục trong một tệp, mọi tầng cộng lại
SEARCH_LIMIT = 64 << 20  # byte ở đầu tệp để tìm lại các mục khi mục lục hỏng
MEMBER_LIMIT = 64 << 20  # byte của một mục nén được giữ trong bộ nhớ
BOMB_BYTES = 64 << 20  # một tệp bung ra lớn hơn cả hai mức này: bom nén
BOMB_RATIO = 100
NEST_LIMIT = 4  # kho nén trong kho nén
LINE_LIMIT = 16 << 20  # một dòng của pickle dạng chữ
SMALL_STEPS = 300_000  # lệnh pickle trong một tệp nhỏ, kể cả sau khi giải nén
STEP_RATIO = 10  # và thêm chừng này cho mỗi byte
ROW_LIMIT = 10_000  # pickle nối nhau trong một tệp
HEADER_TEXT = 1 << 20  # phần đầu của một tệp .npy
MEMORY_LIMIT = 128 << 20  # bộ nhớ mà bộ giải nén xz được dùng


class Budget:
    """Việc còn được làm cho một tệp, tính chung cho mọi tầng bên trong nó."""

    def __init__(self, size: int) -> None:
        self.unpacked = max(BOMB_BYTES, BOMB_RATIO * size)
        self.steps = min(OPCODE_LIMIT, SMALL_STEPS + STEP_RATIO * size)
        self.entries = ENTRY_LIMIT

    def take_unpacked(self, size: int) -> None:
        """Tính thêm chừng này byte đã bung ra."""
        self.unpacked -= size
        if self.unpacked < 0:
            text = f"bung ra hơn {mib(BOMB_BYTES)} và hơn {BOMB_RATIO} lần cỡ tệp"
            raise Bad("bomb", f"{text}: có thể là bom nén, chưa được soi hết", UNCLEAR)

    def take_entry(self) -> None:
        """Tính thêm một mục."""
        self.entries -= 1
        if self.entries < 0:
            text = f"có hơn {ENTRY_LIMIT} mục: phần còn lại chưa được soi"
            raise Bad("too-many-entries", text, UNCLEAR)


@dataclass
class Source:
    """Một thứ để soi: một tệp, hay một mục trong kho nén."""

    stream: BinaryIO  # nhảy tới chỗ nào cũng được
    size: int
    where: str
    name: str  # để xem đuôi
    budget: Budget
    depth: int = 0
    path: Path | None = None  # chỉ khi là một tệp trên đĩa
    cut: bool = False  # chỉ là phần đầu của một mục quá lớn
    strange: list[str] = field(default_factory=list)  # các mục bên trong mà công cụ không hiểu
    walked: dict[int, Steps] = field(default_factory=dict)  # đã đi qua các lệnh từ byte nào

    @property
    def suffix(self) -> str:
        """Đuôi của tên, chữ thường."""
        return PurePosixPath(self.name).suffix.lower()

    def read(self, begin: int, length: int) -> bytes:
        """Các byte từ `begin`, ít hơn khi hết."""
        if begin < 0 or begin >= self.size:
            return b""
        self.stream.seek(begin)
        try:
            return self.stream.read(min(length, self.size - begin))  # xin đúng chừng có, không hơn
        except tarfile.ReadError as error:  # mục của một tar bị cắt
            raise Bad("tar-broken", "tar bị cắt: mục này không đủ dữ liệu") from error

    def steps(self, begin: int = 0) -> Steps:
        """Các lệnh pickle bắt đầu ở `begin`; chỉ đi qua một lần."""
        if begin not in self.walked:
            self.walked[begin] = Steps(self, begin)
        return self.walked[begin]

    def inside(self, name: str, stream: BinaryIO, size: int) -> Source:
        """Một mục bên trong nguồn này."""
        where = f"{self.where} › {show(name)}"
        return Source(stream, size, where, name, self.budget, self.depth + 1)


class Window(io.RawIOBase):
    """Một khoảng của một luồng byte, đọc như một tệp riêng."""

    def __init__(self, stream: BinaryIO, begin: int, end: int) -> None:
        super().__init__()
        self.stream = stream
        self.begin = begin
        self.size = max(0, end - begin)
        self.place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Nhảy tới một chỗ trong khoảng."""
        bases = (0, self.place, self.size)
        self.place = max(0, bases[whence] + offset)
        return self.place

    def tell(self) -> int:
        return self.place

    def readinto(self, buffer: Any) -> int:
        """Đọc vào `buffer`, không vượt ra ngoài khoảng."""
        length = min(len(buffer), self.size - self.place)
        if length <= 0:
            return 0
        self.stream.seek(self.begin + self.place)
        piece = self.stream.read(length)
        buffer[: len(piece)] = piece
        self.place += len(piece)
        return len(piece)


def window_of(stream: BinaryIO, begin: int, end: int) -> BinaryIO:
    """Khoảng [begin, end) của một luồng, có bộ đệm."""
    return io.BufferedReader(Window(stream, begin, end))


NEVER = 1 << 62
PACKED_HEAD = 13  # byte đủ để nhận ra dạng nén
PACKED_PIECE = 1 << 16  # đọc dữ liệu nén từng khúc này
SLOW_PIECE = 256


def new_unpacker(form: str, stream: BinaryIO) -> Any:
    """Bộ giải nén của thư viện chuẩn cho một dạng nén."""
    if form == "gzip":
        return zlib.decompressobj(31)
    if form == "zlib":
        return zlib.decompressobj()
    if form == "deflate":  # trong ZIP: không có phần đầu
        return zlib.decompressobj(-15)
    if form == "bz2":
        return bz2.BZ2Decompressor()
    if form == "zip lzma":
        return new_zip_lzma(stream.read(9))
    return lzma.LZMADecompressor(memlimit=MEMORY_LIMIT)


def new_zip_lzma(head: bytes) -> Any:
    """Bộ giải nén LZMA của ZIP: năm byte trong phần đầu nói các tham số."""
    if len(head) < 9:
        raise Bad("compressed-cut", "dữ liệu nén bị cắt giữa chừng")
    coding, memory = struct.unpack("<4xBI", head)
    if coding >= 225:
        raise Bad("compressed-broken", "dữ liệu nén hỏng: tham số LZMA sai")
    memory = min(max(memory, 4096), MEMBER_LIMIT)  # đủ cho phần được giữ lại
    options = {"id": lzma.FILTER_LZMA1, "dict_size": memory}
    options["lc"] = coding % 9
    options["lp"] = coding // 9 % 5
    options["pb"] = coding // 45
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[options])
    except (lzma.LZMAError, ValueError) as error:
        raise Bad("compressed-broken", f"dữ liệu nén hỏng: {show(error)}") from error


class Unpacked:
    """Nội dung đã giải nén, đọc từng khúc: mỗi khúc được tính vào hạn mức."""

    def __init__(self, stream: BinaryIO, form: str, budget: Budget, slow: int = NEVER) -> None:
        self.stream = stream
        self.form = form
        self.budget = budget
        self.slow = slow  # từ byte này thì đọc từng chút: lấy được mọi thứ đứng trước chỗ hỏng
        self.taken = 0
        self.unpacker = new_unpacker(form, stream)
        self.packed = b""  # đã đọc mà chưa giải nén

    def read(self, size: int) -> bytes:
        """Khúc tiếp theo, nhiều nhất `size` byte; rỗng là hết."""
        while not (self.unpacker.eof and not self.next_stream()):
            hungry = getattr(self.unpacker, "needs_input", True)
            if not self.packed and hungry:
                self.packed = self.more()
                if not self.packed:
                    raise Bad("compressed-cut", "dữ liệu nén bị cắt giữa chừng")
            piece = self.unpack(size if self.taken < self.slow else min(size, SLOW_PIECE))
            if piece:
                self.budget.take_unpacked(len(piece))
                return piece
        return b""

    def more(self) -> bytes:
        """Đọc thêm dữ liệu nén."""
        piece = self.stream.read(PACKED_PIECE if self.taken < self.slow else 1)
        self.taken += len(piece)
        return piece

    def unpack(self, size: int) -> bytes:
        """Giải nén thêm, nhiều nhất `size` byte."""
        try:
            piece = self.unpacker.decompress(self.packed, size)
        except (zlib.error, OSError, lzma.LZMAError, ValueError, EOFError) as error:
            if "emory" in str(error):
                text = f"dữ liệu nén cần hơn {mib(MEMORY_LIMIT)} bộ nhớ: không soi được bên trong"
                raise Bad("not-inspected", text, UNCLEAR) from error
            raise Bad("compressed-broken", f"dữ liệu nén hỏng: {show(error)}") from error
        self.packed = getattr(self.unpacker, "unconsumed_tail", b"")
        return piece

    def next_stream(self) -> bool:
        """Nhiều luồng nén nối nhau đọc như một; False khi không còn luồng nào."""
        if self.form not in MAGIC:
            return False
        rest = self.unpacker.unused_data.lstrip(b"\0")  # gzip và xz cho phép đệm byte 0
        while len(rest) < PACKED_HEAD:
            piece = self.more()
            if not piece:
                break
            rest = (rest + piece).lstrip(b"\0")
        if packed_form(rest) != self.form:
            return False
        self.packed = rest
        self.unpacker = new_unpacker(self.form, self.stream)
        return True


MAGIC = {
    "gzip": b"\x1f\x8b",
    "bz2": b"BZh",
    "xz": b"\xfd7zXZ\0",
    "lzma": b"]\0",  # mở đầu thường gặp; các mở đầu khác thì xem is_lzma
}
UNREADABLE = {  # dạng nén mà thư viện chuẩn không mở được
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"LZIP": "lzip",
    b"\x1f\x9d": "compress (.Z)",
}
for _code in range(0x50, 0x60):  # khung bỏ qua được, đứng trước dữ liệu thật
    UNREADABLE[bytes([_code]) + b"\x2a\x4d\x18"] = "LZ4 hay Zstandard"
PICKLED = re.compile(r"\.(?:pt|pth|bin|pkl|pickle|ckpt|joblib|dill|sav|mar)$|\.(?:pt|pth)\.tar$")
TORCH_BIN = re.compile(
    r"(?:^|/)(?:(?:pytorch_|adapter_|diffusion_pytorch_)model.*|training_args|optimizer|scheduler"
    r"|model|weights)\.bin$"
)
ARRAYS = {".npy", ".npz", ".keras"}
OTHER_WEIGHTS = {  # trọng số của chương trình khác: không đọc thành tensor
    ".onnx",
    ".gguf",
    ".ggml",
    ".h5",
    ".hdf5",
    ".msgpack",
    ".ot",
    ".tflite",
    ".pb",
    ".mlmodel",
}
PROGRAMS = {  # tệp mã: chạy được, hay được nạp như mã
    ".py",
    ".pyc",
    ".pyd",
    ".pyw",
    ".so",
    ".dll",
    ".dylib",
    ".exe",
    ".sh",
    ".bat",
    ".cmd",
    ".ps1",
    ".js",
    ".jar",
    ".whl",
    ".egg",
}
PACKED_PROGRAMS = {".jar", ".whl", ".egg"}
PROGRAM_TEXT = "một tệp mã: công cụ không đọc nó; đừng cho chương trình nào chạy nó khi chưa tự đọc"
PAGES_THEMSELVES = {".html", ".htm", ".xml", ".svg", ".xhtml", ".mathml"}
FIRST_LOOK = 64 << 10  # byte đọc thử trước; phần lớn tệp không phải pickle dừng ngay ở đó
LEGACY_MEMBERS = {"storages", "tensors", "pickle"}  # tệp tar của torch 0.1
KERAS_LAMBDA = re.compile(
    rb'"class_name\\{0,9}"\s{0,9}:\s{0,9}\\{0,9}"(?:Lambda|__lambda__|TorchModuleWrapper)\\{0,9}"'
)
ESCAPED = re.compile(rb"\\{1,9}u00([2-7][0-9a-fA-F])")  # một chữ cái viết kiểu JSON
HDF5 = b"\x89HDF\r\n\x1a\n"
NUMPY_MAGIC = b"\x93NUMPY"


# --- Có phải pickle không: đi qua các lệnh mà không dựng gì

HIDDEN_IMPORT = re.compile(
    rb"(?:[ci]|\x8c.)(?:posix|nt|os|sys|subprocess|builtins|__builtin__|runpy|pty|shutil|socket"
    rb"|importlib|webbrowser|ctypes|operator|functools|pickle)[\n\x94\x8cq0]",
    re.DOTALL,
)


MODULE_NAME = re.compile(r"[^\W\d][\w.\-]*")


class Trial(PickleReader):
    """Đọc thử: gặp một mô-đun không thể có thật thì bộ đọc thật dừng ở đó."""

    def import_lines(self) -> Any:
        end = self.data.find(b"\n", self.place)
        module = self.data[self.place : end].decode("utf-8", "replace")
        name = super().import_lines()
        if not MODULE_NAME.fullmatch(module):
            self.found.names.discard(name)  # không có gì được nhập
            self.found.refused.pop(f"{module}.{name[len(module) + 1 :]}", None)
            raise Stopped
        return name


class Steps:
    """Đọc thử như pickle từ một byte của nguồn: có làm gì không, có tới STOP không."""

    def __init__(self, source: Source, begin: int = 0) -> None:
        self.end = begin
        self.taken = 0  # lệnh đã qua
        self.stopped = False  # đã tới lệnh STOP
        self.endless = False  # quá giới hạn, chưa biết hết
        self.called = False  # gọi hay sửa một thứ được nhập
        self.dangerous = ""  # tên đầu tiên chạy được mã tuỳ ý
        for length in (FIRST_LOOK, PICKLE_LIMIT):
            data = source.read(begin, length)
            whole = begin + len(data) >= source.size
            if self.read(data, begin, source.budget) or whole:
                return
        self.endless = True

    def read(self, data: bytes, begin: int, budget: Budget) -> bool:
        """Đọc thử; sai khi hết byte mà chưa biết."""
        reader = Trial(data, 0, frozenset())
        reader.limit = budget.steps
        reader.outside = False  # «PK», mở đầu của ZIP, cũng là lệnh PERSID: pickle.load dừng ở đó
        known = True
        frame = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader.read()
        except RanOut:
            known = False
        except Bad as error:
            self.endless = error.rule == "pickle-limit"
            frame = error.rule == "pickle-frame"
        except (Stopped, struct.error, OverflowError, ValueError):
            pass
        self.stopped = not reader.running
        self.end = begin + reader.place
        self.taken = max(0, reader.steps - (not self.stopped))
        budget.steps -= min(self.taken, budget.steps - 1)
        self.note(reader, frame)
        return known

    def note(self, reader: PickleReader, frame: bool) -> None:
        """Ghi lại điều mà đoạn vừa đọc làm."""
        refused = reader.found.refused
        for module, _, name in (full.partition(" ") for full in sorted(reader.found.names)):
            if is_dangerous(module, name) and not self.dangerous:
                self.dangerous = f"{module}.{name}"
        touched = bool(refused.keys()) and bool(set(refused.values()) - {"nhập", ODD_NAME, "đòi"})
        imported = bool(reader.found.names) or "nhập" in refused.values()
        self.called = frame or reader.calls > 0 or (imported and touched)

    @property
    def acts(self) -> bool:
        """Gọi một thứ được nhập, hay chỉ nhập mà đó là thứ nguy hiểm."""
        return self.called or (self.stopped and bool(self.dangerous))


# --- ZIP: mục lục, và từng mục. Tự đọc, để chấm được pickle cả khi CRC hay mục lục sai

TOPS = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)  # số này: giá trị thật nằm ở bản ghi ZIP64
LINK_MODE = 0o120000
METHODS = {0: "", 8: "deflate", 12: "bz2", 14: "zip lzma"}


class Ending(NamedTuple):
    """Bản ghi cuối của ZIP: mục lục ở đâu, có mấy mục."""

    begin: int
    length: int
    count: int
    comment: int = 0
    shift: int = 0  # byte đứng trước ZIP, như ở tệp tự giải nén


class Entry(NamedTuple):
    """Một mục theo lời mục lục."""

    name: str
    written: bytes  # tên, đúng như được ghi
    flags: int
    method: int
    crc: int
    packed: int
    full: int
    begin: int  # đầu mục
    attributes: int
    comment: int
    disk: int

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")

    @property
    def is_link(self) -> bool:
        return self.attributes >> 16 & 0o170000 == LINK_MODE


def zip_ending(source: Source) -> Ending:
    """Bản ghi cuối, kết thúc đúng ở cuối tệp, và ngay sau mục lục."""
    begin = max(0, source.size - 65_557)
    tail = source.read(begin, source.size - begin)
    place = tail.rfind(b"PK\5\6", 0, max(0, len(tail) - 18))
    if place < 0:
        raise Bad("zip-cut", "ZIP không kết thúc ở cuối tệp: bị cắt, hay có gì nối vào sau")
    disks, count, length, start, comment = struct.unpack_from("<4xI2xHIIH", tail, place)
    if place + 22 + comment != len(tail):
        raise Bad("zip-cut", "ZIP không kết thúc ở cuối tệp: bị cắt, hay có gì nối vào sau")
    end = begin + place
    locator = source.read(end - 20, 20)
    if locator[:4] == b"PK\6\7" and source.read(end - 76, 4) == b"PK\6\6":
        ending = zip64_ending(source, end - 76, (count, length, start))
        end -= 76
    elif b"PK\6\7" in locator:  # chương trình khác có thể tìm thấy một mục lục khác ở đó
        raise Bad("zip-directory", "ZIP64: chỉ tới một bản ghi không nằm ở chỗ của nó")
    else:
        ending = Ending(start, length, count)
    shift = end - ending.begin - ending.length
    if disks or shift < 0:
        raise Bad("zip-directory", "ZIP: mục lục không nằm ngay trước bản ghi cuối")
    return ending._replace(comment=comment, shift=shift)


def zip64_ending(source: Source, place: int, stated: tuple[int, int, int]) -> Ending:
    """Bản ghi ZIP64 ở `place`; nó và bản ghi cuối phải nói như nhau."""
    record = source.read(place, 76)
    size, *_, disk, other, here, count, length, begin = struct.unpack_from("<4xQ2H2I4Q", record)
    if size != 44 or disk or other or here != count:
        raise Bad("zip-directory", "ZIP64: bản ghi cuối sai")
    if struct.unpack_from("<4xIQI", record, 56) != (0, place, 1):
        raise Bad("zip-directory", "ZIP64: bản ghi cuối sai")
    for told, true, top in zip(stated, (count, length, begin), TOPS, strict=True):
        if told not in (true, top):
            raise Bad("zip-directory", "ZIP64: hai bản ghi cuối nói khác nhau")
    return Ending(begin, length, count)


def read_directory(source: Source, ending: Ending) -> list[Entry]:
    """Các mục của mục lục; chúng phải lấp đúng mục lục."""
    if ending.count > ENTRY_LIMIT:
        text = f"ZIP: có {ending.count} mục, quá giới hạn {ENTRY_LIMIT}"
        raise Bad("zip-limit", text)
    if ending.length > DIRECTORY_LIMIT:
        text = f"ZIP: mục lục dài {mib(ending.length)}, quá giới hạn {mib(DIRECTORY_LIMIT)}"
        raise Bad("zip-limit", text)
    directory = source.read(ending.begin + ending.shift, ending.length)
    entries = []
    place = 0
    for _ in range(ending.count):
        entry, place = directory_entry(directory, place, ending.shift)
        entries.append(entry)
    if place != ending.length:
        raise Bad("zip-directory", "ZIP: các mục không lấp đúng mục lục")
    return entries


def directory_entry(directory: bytes, place: int, shift: int) -> tuple[Entry, int]:
    """Mục ở `place` trong mục lục, và chỗ của mục sau."""
    if directory[place : place + 4] != b"PK\1\2" or place + 46 > len(directory):
        raise Bad("zip-directory", "ZIP: mục lục hỏng hay bị cắt")
    flags, method, _, _, *sizes = struct.unpack_from("<4H3I3H", directory, place + 8)
    crc, packed, full, name, extra, comment = sizes
    disk, _, attributes, begin = struct.unpack_from("<2H2I", directory, place + 34)
    end = place + 46 + name + extra + comment
    if end > len(directory):
        raise Bad("zip-directory", "ZIP: mục lục hỏng hay bị cắt")
    written = directory[place + 46 : place + 46 + name]
    more = directory[place + 46 + name : place + 46 + name + extra]
    full, packed, begin = long_sizes(more, (full, packed, begin))
    text = written.decode("utf-8" if flags & 0x800 else "cp437", "replace")
    entry = Entry(
        text, written, flags, method, crc, packed, full, begin + shift, attributes, comment, disk
    )
    return entry, end


def long_sizes(extra: bytes, sizes: tuple[int, int, int]) -> tuple[int, int, int]:
    """Cỡ đã bung, cỡ nén và chỗ của một mục, lấy từ phần thêm ZIP64 khi 32 bit không đủ."""
    place = 0
    seen = False
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        field_bytes = extra[place + 4 : place + 4 + length]
        if len(field_bytes) != length or (kind == 1 and seen):
            raise Bad("zip-directory", "ZIP: phần thêm của một mục hỏng")
        if kind == 1:
            seen = True
            sizes = from_field(field_bytes, sizes)
        place += 4 + length
    return sizes


def from_field(field_bytes: bytes, sizes: tuple[int, int, int]) -> tuple[int, int, int]:
    """Những số 64 bit trong phần thêm ZIP64, lần lượt cho những số bị ghi là quá lớn."""
    found = []
    place = 0
    for size in sizes:
        if size == 0xFFFFFFFF:
            if place + 8 > len(field_bytes):
                raise Bad("zip-directory", "ZIP64: phần thêm của một mục bị cắt")
            size = int.from_bytes(field_bytes[place : place + 8], "little")
            place += 8
        found.append(size)
    return (found[0], found[1], found[2])


def check_local(source: Source, entry: Entry, begin: int) -> int:
    """Đối chiếu đầu mục ở `begin` với mục lục; trả byte ngay sau mục đó."""
    told = f"mục «{show(entry.name)}»"
    head = source.read(begin, 30)
    if entry.begin != begin or len(head) < 30 or head[:4] != b"PK\3\4":
        text = f"ZIP: {told} không nằm ngay sau mục trước: có chỗ hở hay chồng"
        raise Bad("zip-layout", text)
    _, _, flags, method, _, _, crc, packed, full, name, extra = struct.unpack("<4s3H2H3I2H", head)
    folder = entry.attributes & 0x10 and not entry.is_folder
    if entry.comment or entry.disk or folder or entry.is_link:
        text = f"ZIP: {told} có lời ghi kèm, ở đĩa khác, là liên kết hay bị coi là thư mục"
        raise Bad("zip-entry", f"{text}: torch không bao giờ ghi thế")
    if flags & 1 or flags != entry.flags or method not in (0, 8) or method != entry.method:
        raise Bad("zip-entry", f"ZIP: {told} nén hay khoá theo cách lạ")
    if source.read(begin + 30, name) != entry.written:
        raise Bad("zip-entry", f"ZIP: {told}: đầu mục và mục lục gọi nó bằng hai tên")
    end = begin + 30 + name + extra + entry.packed
    if flags & 8:
        return end + descriptor_size(source, entry, end)
    told_here = (crc, packed, full)
    true = (entry.crc, entry.packed, entry.full)
    for here, there, top in zip(told_here, true, (None, *TOPS[1:]), strict=True):
        if here not in (there, top):
            raise Bad("zip-entry", f"ZIP: {told}: đầu mục và mục lục nói khác nhau")
    return end


def descriptor_size(source: Source, entry: Entry, place: int) -> int:
    """Số byte của đuôi mục, đã đối chiếu với mục lục. torch luôn ghi chữ ký; cỡ 4 hay 8 byte."""
    tail = source.read(place, 24)
    true = (b"PK\7\x08", entry.crc, entry.packed, entry.full)
    for form in ("<4sIII", "<4sIQQ"):
        width = struct.calcsize(form)
        if len(tail) >= width and struct.unpack(form, tail[:width]) == true:
            return width
    text = f"ZIP: mục «{show(entry.name)}»: đuôi mục và mục lục nói khác nhau"
    raise Bad("zip-entry", text)


def data_span(source: Source, entry: Entry) -> tuple[int, int]:
    """Dữ liệu của một mục, còn nén: từ byte nào tới byte nào."""
    head = source.read(entry.begin, 30)
    if len(head) < 30 or head[:4] != b"PK\3\4":
        raise Bad("zip-layout", f"ZIP: không có mục «{show(entry.name)}» ở chỗ mục lục nói")
    name, extra = struct.unpack_from("<2H", head, 26)
    begin = entry.begin + 30 + name + extra
    return begin, min(begin + entry.packed, source.size)


def open_entry(source: Source, entry: Entry, slow: int = NEVER) -> Any:
    """Nội dung đã bung của một mục, đọc từng khúc."""
    begin, end = data_span(source, entry)
    if entry.flags & 1 or entry.method not in METHODS:
        text = f"ZIP: mục «{show(entry.name)}» nén hay khoá theo cách mà công cụ không mở"
        raise Bad("not-inspected", f"{text}: không soi được bên trong", UNCLEAR)
    form = METHODS[entry.method]
    stream: Any = Window(source.stream, begin, end)
    return Unpacked(stream, form, source.budget, slow) if form else stream


def entry_pieces(source: Source, entry: Entry) -> Iterator[bytes]:
    """Nội dung đã bung của một mục, từng khúc; dài đúng như mục lục nói."""
    stream = open_entry(source, entry)
    total = 0
    while total < entry.full:  # LZMA có thể không có dấu hết
        piece = stream.read(CHUNK)
        if not piece:
            break
        total += len(piece)
        progress.step(len(piece))
        yield piece
    if total != entry.full:
        raise Bad("zip-size", f"ZIP: mục «{show(entry.name)}» không dài như mục lục nói")


def entry_source(source: Source, entry: Entry) -> Source:
    """Nội dung của một mục như một nguồn riêng; mục nén quá lớn thì chỉ phần đầu."""
    if entry.method == 0 and not entry.flags & 1:
        begin, end = data_span(source, entry)
        stream = window_of(source.stream, begin, end)
        return source.inside(entry.name, stream, end - begin)
    content, complaint = unpack_all(lambda slow: open_entry(source, entry, slow))
    if complaint is not None and not content:
        raise complaint
    inside = source.inside(entry.name, io.BytesIO(content), len(content))
    inside.cut = len(content) >= MEMBER_LIMIT or (complaint is not None and is_limit(complaint))
    return inside


def is_limit(complaint: Bad) -> bool:
    """Dừng vì một giới hạn của công cụ, không phải vì dữ liệu hỏng."""
    return complaint.level == UNCLEAR


def found_entries(source: Source) -> list[Entry]:
    """Mọi mục mà một chương trình dễ dãi hơn có thể tìm ra khi mục lục không đúng."""
    entries = directory_entries(source)
    known = {entry.begin for entry in entries}
    for entry in local_entries(source):
        if entry.begin not in known and len(entries) < ENTRY_LIMIT:
            entries.append(entry)
    return entries


def directory_entries(source: Source) -> list[Entry]:
    """Các mục theo mọi chỗ mà mục lục có thể nằm."""
    entries = {}
    left = ENTRY_LIMIT
    for ending in loose_endings(source):
        directory = source.read(ending.begin + ending.shift, DIRECTORY_LIMIT)
        directory += bytes(3 << 16)  # zipfile bỏ qua việc mục cuối bị cụt
        place = 0
        try:
            while place < len(directory) and left:
                left -= 1
                entry, place = directory_entry(directory, place, ending.shift)
                entries[entry.begin, entry.packed, entry.method] = entry
        except Bad:
            continue
    return list(entries.values())


def loose_endings(source: Source) -> Iterator[Ending]:
    """Những chỗ mà mục lục có thể nằm, theo mọi bản ghi cuối gần cuối tệp."""
    begin = max(0, source.size - 131_072)
    tail = source.read(begin, source.size - begin)
    place = len(tail)
    for _ in range(16):
        place = tail.rfind(b"PK\5\6", 0, place)
        if place < 0:
            return
        record = tail[place : place + 22].ljust(22, b"\0")
        count, length, start = struct.unpack("<10xHII2x", record)
        yield Ending(start, length, count)
        yield Ending(start, length, count, shift=begin + place - length - start)
        if tail[max(0, place - 20) : place][:4] == b"PK\6\7":
            (pointed,) = struct.unpack_from("<Q", tail, place - 12)
            for spot in (pointed, begin + place - 76):
                long_record = source.read(spot, 56)
                if len(long_record) == 56:
                    count, length, start = struct.unpack("<32x3Q", long_record)
                    yield Ending(start, length, count)


def local_entries(source: Source) -> Iterator[Entry]:
    """Các mục theo chính đầu mục của chúng, tìm trong phần đầu của tệp."""
    data = source.read(0, SEARCH_LIMIT)
    place = data.find(b"PK\3\4")
    for _ in range(ENTRY_LIMIT):
        if place < 0:
            return
        after = data.find(b"PK\3\4", place + 4)
        if place + 30 <= len(data):
            entry = local_entry(data, place, after)
            if entry is not None:
                yield entry
        place = after


def local_entry(data: bytes, place: int, after: int) -> Entry | None:
    """Mục có đầu ở `place`; không nói cỡ thì dài tới đầu mục sau."""
    flags, method, _, _, crc, packed, full, name, extra = struct.unpack_from(
        "<4H3I2H", data, place + 6
    )
    if method not in METHODS:
        return None
    begin = place + 30 + name + extra
    written = data[place + 30 : place + 30 + name]
    text = written.decode("utf-8", "replace")
    if not packed or packed == 0xFFFFFFFF or begin + packed > len(data):
        stop = after if after > begin else len(data)
        packed = max(0, stop - begin)
        full = 1 << 62  # không biết: đọc tới hết
    return Entry(text, written, flags & ~1, method, crc, packed, full, place, 0, 0, 0)


# --- ZIP: của torch, và ZIP khác


def check_zip(source: Source, report: Report) -> Weights | None:
    """Soi một ZIP. Mục lục không đúng thì vẫn soi mọi mục tìm được, rồi mới nói là hỏng."""
    try:
        ending = zip_ending(source)
        entries = read_directory(source, ending)
    except Bad as error:
        check_remains(source, report)
        raise error
    except struct.error as error:
        check_remains(source, report)
        raise Bad("zip-directory", "ZIP: mục lục vô lý") from error
    for _ in entries:
        source.budget.take_entry()
    if any(is_torch_name(entry.name) for entry in entries):
        return check_torch_zip(source, ending, entries, report)
    if ending.shift and source.read(0, 4) == b"PK\3\4":
        check_remains(source, report)
        raise Bad("zip-layout", "ZIP đứng sau một ZIP khác: mỗi chương trình đọc một nội dung")
    return check_plain_zip(source, entries, report)


def is_torch_name(name: str) -> bool:
    """Tên của pickle chính trong ZIP của torch, viết hoa thường thế nào torch cũng nhận."""
    return re.fullmatch(r"(?:[^/]*/)?data\.pkl", name.casefold()) is not None


def check_remains(source: Source, report: Report) -> None:
    """Soi những mục còn tìm được trong một ZIP có mục lục không đúng."""
    for entry in found_entries(source):
        where = f"{source.where} › {show(entry.name)}"

        def look(entry: Entry = entry) -> None:
            source.budget.take_entry()
            look_for_danger(entry_source(source, entry), report)

        try:
            look()
        except Bad as error:
            if error.level == DANGER:
                report.add(DANGER, error.rule, where, str(error))
            if error.rule in ("bomb", "too-many-entries"):
                return


def look_for_danger(source: Source, report: Report) -> None:
    """Chỉ tìm mã lạ; tệp chứa nó đã hỏng nên không cần nói gì thêm."""
    quiet = Report(source.where, allowed=report.allowed)
    found = Bad("", "")
    try:
        check_source(source, quiet)
    except Bad as error:
        found = error
    report.pickles += quiet.pickles
    for finding in quiet.findings:
        if finding.level == DANGER:
            report.add(*finding)
    if found.level == DANGER:
        raise found


class TorchZip:
    """Một ZIP mà torch.save ghi, trong lúc được soi."""

    def __init__(self, source: Source, entries: list[Entry], report: Report) -> None:
        self.source = source
        self.entries = entries
        self.report = report
        self.root = entries[0].name.partition("/")[0]
        self.members = {entry.name: entry for entry in entries if not entry.is_folder}
        self.pickles: dict[str, Pickle] = {}
        self.zero: set[str] = set()  # khoá của storage toàn số 0
        self.digests: dict[str, tuple[int, int]] = {}  # tên mục → CRC và cỡ, theo chính dữ liệu

    @property
    def is_script(self) -> bool:
        """TorchScript: có mã trong `code/`, hay có constants.pkl."""
        for name in self.members:
            own = name.removeprefix(f"{self.root}/")
            if own == "constants.pkl" or own.startswith("code/"):
                return True
        return False

    def judge_pickles(self) -> None:
        """Chấm mọi pickle, trước mọi điều khác."""
        for entry in self.entries:
            inside_data = entry.name.startswith(f"{self.root}/data/")
            if entry.is_folder or inside_data or entry.name.startswith(f"{self.root}/code/"):
                continue
            where = f"{self.source.where} › {show(entry.name)}"
            guard(self.report, where, lambda entry=entry: self.judge_member(entry))

    def judge_member(self, entry: Entry) -> None:
        """Chấm một mục, dù tên nó là gì."""
        inside = entry_source(self.source, entry)
        if not entry.name.casefold().endswith(".pkl"):
            check_source(inside, self.report)
            return
        data = inside.read(0, PICKLE_LIMIT)
        more = script_names(data) if self.is_script else frozenset()
        try:
            found = read_and_judge(inside, data, 0, self.report, more)
        except Bad as error:
            if self.is_script and error.level != DANGER:
                return  # viết cho bộ đọc C++ của TorchScript; tên nguy hiểm thì đã được tìm
            raise
        if found.end != inside.size:
            text = f"thừa {inside.size - found.end} byte sau pickle"
            raise Bad("pickle-trailing", text)
        self.pickles[entry.name] = found

    def check_names(self) -> None:
        """Tên không trỏ ra ngoài, không trùng nhau."""
        seen = set()
        for entry in self.entries:
            check_entry_name(entry.name)
            if entry.name.casefold() in seen:
                text = "ZIP có hai mục cùng tên: mỗi chương trình đọc một mục"
                raise Bad("zip-duplicate", text, DANGER)
            seen.add(entry.name.casefold())

    def check_tiles(self, ending: Ending) -> None:
        """Các mục lấp kín tệp từ byte 0 tới mục lục."""
        if ending.comment or ending.shift:
            text = "ZIP: có lời ghi kèm ở cuối, hay có byte đứng trước: torch không bao giờ ghi thế"
            raise Bad("zip-layout", text)
        reached = 0
        for entry in sorted(self.entries, key=lambda entry: entry.begin):
            reached = check_local(self.source, entry, reached)
        if reached != ending.begin:
            raise Bad("zip-layout", "ZIP: có byte không thuộc mục nào trước mục lục")

    def check_members(self) -> None:
        """Có đúng những mục mà torch đòi."""
        roots = {entry.name.partition("/")[0] for entry in self.entries}
        if len(roots) != 1 or f"{self.root}/data.pkl" not in self.members:
            text = "là ZIP nhưng không phải của torch.save: không có đúng một data.pkl"
            raise Bad("zip-members", text)
        if f"{self.root}/version" not in self.members:
            raise Bad("zip-members", "ZIP: thiếu mục version: torch không mở tệp này")
        total = sum(entry.full for entry in self.entries)
        if total > BOMB_BYTES and total > BOMB_RATIO * self.source.size:
            text = f"ZIP bung ra {mib(total)} từ {mib(self.source.size)}: bom nén"
            raise Bad("bomb", text, DANGER)

    def check_storages(self, found: Pickle) -> None:
        """Mỗi storage mà pickle nhắc tới có một mục dài đúng như thế; xem trước khi đọc dữ liệu."""
        wanted = set()
        for key, storage in found.storages.items():
            name = f"{self.root}/data/{key}"
            wanted.add(name)
            entry = self.members.get(name)
            if entry is None:
                raise Bad("storage-missing", f"thiếu dữ liệu của storage «{show(key)}»")
            if entry.full != storage_size(storage):
                text = f"storage «{show(key)}» có {entry.full} byte"
                raise Bad("storage-size", f"{text}, pickle nói {storage.count} phần tử")
        stray = [name for name in self.members if name.startswith(f"{self.root}/data/")]
        stray = [name for name in stray if name not in wanted]
        if stray:
            text = f"{len(stray)} mục dữ liệu không tensor nào dùng, như «{show(stray[0])}»"
            self.report.add(WARNING, "storage-stray", self.source.where, text)

    def read_data(self) -> None:
        """Đọc mọi mục: so CRC, tìm storage toàn số 0. Tệp có thể được ghi không kèm CRC."""
        sized = [entry for entry in self.members.values() if entry.full]
        bare = not any(entry.crc for entry in sized)
        bare = bare and self.measure(sized[0])[0] != 0
        tail = ""
        for entry in sorted(self.members.values(), key=lambda entry: entry.begin):
            crc, used = self.measure(entry)
            if crc != entry.crc and not bare:
                text = f"ZIP: CRC của mục «{show(entry.name)}» không khớp: dữ liệu đã đổi"
                raise Bad("zip-crc", text)
            self.digests[entry.name] = (crc, entry.full)
            if entry.name.startswith(f"{self.root}/data/"):
                key = entry.name.removeprefix(f"{self.root}/data/")
                if entry.full and not used:
                    self.zero.add(key)
                tail = zero_tail(f"storage «{show(key)}»", entry.full, used)
        if bare:
            text = "tệp được ghi không kèm CRC: một bit lật trong dữ liệu chỉ bản kê mới thấy"
            self.report.add(NOTE, "zip-no-crc", self.source.where, text)
        if tail:
            self.report.add(WARNING, "zero-tail", self.source.where, tail)

    def measure(self, entry: Entry) -> tuple[int, int]:
        """CRC của một mục, và độ dài tới byte khác 0 cuối cùng của nó."""
        scan = DataScan("")
        crc = 0
        for piece in entry_pieces(self.source, entry):
            crc = zlib.crc32(piece, crc)
            scan.read(piece)
        return crc, scan.used

    def check_marks(self) -> None:
        """Hai mục nhỏ mà torch tin: phiên bản của dạng tệp, và thứ tự byte của mọi tensor."""
        version = self.small(f"{self.root}/version").strip()
        if version not in [b"%d" % number for number in range(1, 11)]:
            text = "ZIP: mục version không phải một phiên bản mà torch đọc được"
            raise Bad("zip-members", text)
        if f"{self.root}/byteorder" in self.members:
            order = self.small(f"{self.root}/byteorder")
            if order not in (b"little", b"big"):
                raise Bad("zip-members", "ZIP: mục byteorder không nói thứ tự byte nào")
            if order == b"big":
                text = "ghi trên máy có thứ tự byte ngược (big)"
                self.report.add(WARNING, "byteorder", self.source.where, text)

    def small(self, name: str) -> bytes:
        """Nội dung của một mục nhỏ."""
        entry = self.members[name]
        if entry.full > 100:
            return b""
        return b"".join(entry_pieces(self.source, entry))

    def weights(self, found: Pickle) -> Weights:
        """Các tensor; mỗi tensor mang CRC của dữ liệu của nó."""
        weights = Weights("torch (ZIP)", tensors_in(found.value), found.value)
        for name, tensor in list(weights.tensors.items()):
            if tensor.place[:1] != ("storage",):
                continue
            key = tensor.place[1]
            digest = self.digests.get(f"{self.root}/data/{key}")
            if key in self.zero:
                weights.zero.add(name)
            if digest is not None:
                weights.tensors[name] = tensor._replace(place=("crc", digest, *tensor.place[2:]))
        return weights


def check_torch_zip(
    source: Source, ending: Ending, entries: list[Entry], report: Report
) -> Weights | None:
    """Soi một ZIP của torch: pickle trước, rồi cỡ và chỗ của các mục, sau cùng là dữ liệu."""
    report.recognised = True
    archive = TorchZip(source, entries, report)
    archive.judge_pickles()
    if source.cut:
        raise unread(source)
    try:
        archive.check_names()
        archive.check_tiles(ending)
        archive.check_members()
    except Bad:
        check_remains(source, report)  # chương trình khác có thể đọc ra nội dung khác
        raise
    archive.check_marks()
    if archive.is_script:
        tell_script(source, report)
        archive.read_data()
        return None
    found = archive.pickles.get(f"{archive.root}/data.pkl")
    if found is None:
        return None  # pickle hỏng, đã nói
    archive.check_storages(found)
    archive.read_data()
    return describe(report, source.where, archive.weights(found))


def tell_script(source: Source, report: Report) -> None:
    """TorchScript: torch.jit.load chạy mã bên trong; thư viện Python khác không mở tệp này."""
    text = "TorchScript: bên trong có mã, torch.jit.load và torch.load chạy mã đó"
    level = UNCLEAR if PICKLED.search(source.name.lower()) else NOTE
    if level == NOTE:
        text += "; không thư viện Python nào mở tệp tên này như trọng số"
    report.add(level, "torchscript", source.where, text)


def script_names(data: bytes) -> frozenset[str]:
    """Những lớp mà TorchScript tự định nghĩa: chúng nằm trong chính tệp, không phải mã Python."""
    names = set(SCRIPT_NAMES)
    for module, name in re.findall(rb"c(__torch__[\w.]{0,300})\n(\w{1,300})\n", data):
        names.add(f"{module.decode()}.{name.decode()}")
    return frozenset(names)


SCRIPT_NAMES = {
    "torch.jit._pickle.build_intlist",
    "torch.jit._pickle.build_tensorlist",
    "torch.jit._pickle.build_doublelist",
    "torch.jit._pickle.build_boollist",
    "torch.jit._pickle.build_tensor_from_id",
    "torch.jit._pickle.restore_type_tag",
}


def zero_tail(told: str, length: int, used: int) -> str:
    """Lời về một đuôi dài toàn số 0 ở phần dữ liệu cuối tệp; rỗng khi không có."""
    if used and length - used > ZERO_TAIL:
        text = f"{mib(length - used)} cuối của {told} toàn số 0"
        return f"{text}: có thể đuôi tệp bị mất khi tải về"
    return ""


def storage_size(storage: Any) -> int:
    """Số byte của một storage."""
    return storage.count * ITEM_SIZE[storage.kind]


def check_entry_name(name: str) -> None:
    """Tên của một mục không được trỏ ra ngoài nơi mà kho nén được bung ra."""
    if leads_outside(name):
        raise Bad("entry-outside", f"có mục tên «{show(name)}»: trỏ ra ngoài", DANGER)


def leads_outside(name: str) -> bool:
    """Tên này là đường dẫn tuyệt đối, có ổ đĩa, đi lên bằng «..», hay có byte 0."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or not parts[0] or bool(DRIVE_NAME.match(name)) or "\0" in name


DRIVE_NAME = re.compile(r"[A-Za-z]:")


def check_plain_zip(source: Source, entries: list[Entry], report: Report) -> Weights | None:
    """Soi từng mục của một ZIP không phải của torch: .npz, .keras, hay kho nén thường."""
    try:
        check_overlap(entries, source)
    except Bad:
        check_remains(source, report)
        raise
    tensors: dict[str, Tensor] = {}
    programs = []
    for entry in entries:
        if entry.is_folder:
            continue
        where = f"{source.where} › {show(entry.name)}"
        if PurePosixPath(entry.name).suffix.lower() in PROGRAMS:
            programs.append(entry.name)
        arrays = guard(report, where, lambda entry=entry: look_into(source, entry, report))
        if arrays is not None:
            tensors[entry.name.removesuffix(".npy")] = arrays
    if programs:
        tell_programs(source, programs, report)
    tell_strange(source, report)
    if tensors:
        return describe(report, source.where, Weights("numpy (ZIP)", tensors))
    return None


def look_into(source: Source, entry: Entry, report: Report) -> Tensor | None:
    """Soi một mục của ZIP thường, rồi so CRC; trả mảng numpy nằm trong đó."""
    if entry.is_link:
        raise Bad("zip-link", "mục này là một liên kết: bung ra có thể chỉ tới tệp khác", UNCLEAR)
    check_entry_name(entry.name)
    inside = entry_source(source, entry)
    found = check_member(inside, source, report)
    crc = 0
    for piece in entry_pieces(source, entry):
        crc = zlib.crc32(piece, crc)
    if crc != entry.crc:
        raise Bad("zip-crc", "CRC không khớp: dữ liệu đã đổi")
    if found is None or found.form != "numpy" or not found.tensors:
        return None
    tensor = found.tensors[""]
    report.contents.pop(inside.where, None)  # được kể chung với các mảng khác của ZIP này
    return tensor._replace(place=("crc", (crc, entry.full), 0, tensor.shape, ()))


def check_member(inside: Source, outer: Source, report: Report) -> Weights | None:
    """Soi một mục; mục mà công cụ không hiểu được kể chung cho cả kho nén."""
    if inside.cut:
        look_for_danger(inside, report)
        raise unread(inside)
    found = check_source(inside, report)
    outer.strange += inside.strange
    return found


def check_overlap(entries: list[Entry], source: Source) -> None:
    """Các mục của một ZIP không được chồng lên nhau: bom nén làm thế."""
    reached = 0
    for entry in sorted(entries, key=lambda entry: entry.begin):
        if entry.begin < reached:
            text = f"ZIP: mục «{show(entry.name)}» chồng lên mục khác: bom nén làm thế"
            raise Bad("bomb", text)
        reached = entry.begin + 30 + len(entry.written) + entry.packed
    if reached > source.size:
        raise Bad("zip-layout", "ZIP: có mục vượt ra ngoài tệp: bị cắt")


def tell_programs(source: Source, names: list[str], report: Report) -> None:
    """Tệp mã trong một kho nén."""
    text = f"có {len(names)} tệp mã bên trong, như «{show(names[0])}»: công cụ không đọc chúng"
    report.add(UNCLEAR, "code-file", source.where, text)


def tell_strange(source: Source, report: Report) -> None:
    """Những mục trong một kho nén mà công cụ không hiểu, kể chung một dòng."""
    if source.strange and not source.depth:
        count = len(source.strange)
        name = show(source.strange[0])
        report.skip(source.where, f"{count} mục bên trong không phải dạng đọc được, như «{name}»")


# --- Pickle đứng một mình, và dạng torch cũ


def unread(source: Source) -> Bad:
    """Lời rằng một thứ quá lớn nên chỉ phần đầu được soi."""
    text = f"lớn hơn giới hạn {mib(MEMBER_LIMIT)}: chỉ phần đầu được soi"
    return Bad("not-inspected", text, UNCLEAR)


def read_and_judge(
    source: Source, data: bytes, start: int, report: Report, more: frozenset[str] = frozenset()
) -> Pickle:
    """Đọc và chấm pickle ở `start`. `data`: phần đầu của nguồn; `more`: tên được phép thêm."""
    steps = source.steps(start)
    if steps.endless:
        data = data[: steps.end]
    try:
        found = read_pickle(data, start, report.allowed | more)
    except Bad as error:
        if error.level == DANGER:
            raise
        if steps.called and steps.dangerous:  # bộ đọc thật có thể không dừng ở chỗ ta dừng
            text = f"pickle gọi {show(steps.dangerous)}, và không đọc được trọn: {error}"
            raise Bad("pickle-call", text, DANGER) from error
        if steps.endless or steps.end > len(data):
            raise Bad("not-inspected", "pickle quá dài: chỉ phần đầu được soi", UNCLEAR) from error
        raise
    judge(found, source.where, report)
    return found


def check_pickle(source: Source, report: Report) -> Weights:
    """Soi một tệp pickle không nén: dạng torch cũ, hay một hay nhiều pickle nối nhau."""
    data = source.read(0, PICKLE_LIMIT)
    first = read_and_judge(source, data, 0, report)
    if type(first.value) is int and first.value == LEGACY_START:
        return check_legacy(source, data, first.end, report)
    read_rows(source, data, first.end, report)
    if first.storages:
        raise Bad("storage-missing", "pickle nhắc tới storage mà tệp không có dữ liệu nào")
    weights = Weights("pickle", tensors_in(first.value), first.value)
    return describe(report, source.where, weights)


def read_rows(source: Source, data: bytes, place: int, report: Report) -> None:
    """Những pickle nối sau pickle đầu; phải hết đúng ở cuối tệp."""
    for _ in range(ROW_LIMIT):
        if place >= source.size:
            return
        steps = source.steps(place)
        if not steps.stopped and not steps.acts:
            raise Bad("pickle-trailing", f"thừa {source.size - place} byte sau pickle")
        place = read_and_judge(source, data, place, report).end
    text = f"hơn {ROW_LIMIT} pickle nối nhau: phần còn lại chưa được soi"
    raise Bad("not-inspected", text, UNCLEAR)


def check_legacy(source: Source, data: bytes, place: int, report: Report) -> Weights:
    """Dạng torch cũ: năm pickle, rồi dữ liệu của từng storage."""
    parts = []
    for _ in range(4):
        parts.append(read_and_judge(source, data, place, report))
        place = parts[-1].end
    version, _, found, listed = parts
    keys = listed.value.items if is_kind(listed.value, "list") else []
    if version.value != 1001 or sorted(map(str, keys)) != sorted(found.storages):
        raise Bad("legacy-storages", "dạng torch cũ: danh sách storage không khớp các tensor")
    spans = legacy_spans(source, keys, found, place)
    weights = Weights("torch (dạng cũ)", tensors_in(found.value), found.value)
    empty, tail = scan_storages(source, spans)
    for name, tensor in weights.tensors.items():
        if tensor.place[:1] == ("storage",) and tensor.place[1] in empty:
            weights.zero.add(name)
    text = "dạng torch cũ không có CRC: một bit lật trong dữ liệu chỉ bản kê mới thấy"
    report.add(NOTE, "legacy-no-crc", source.where, text)
    if tail:
        report.add(WARNING, "zero-tail", source.where, tail)
    return describe(report, source.where, weights)


def legacy_spans(
    source: Source, keys: list[Any], found: Pickle, place: int
) -> dict[str, tuple[int, int]]:
    """Dữ liệu của từng storage nằm ở đâu; phải hết đúng ở cuối tệp."""
    spans = {}
    for key in keys:
        storage = found.storages[key]
        count = int.from_bytes(source.read(place, 8), "little")
        if count != storage.count:
            text = f"storage «{show(key)}» không có đúng {storage.count} phần tử"
            raise Bad("storage-size", text)
        end = place + 8 + storage_size(storage)
        spans[key] = (place + 8, end)
        place = end
    if place != source.size:
        text = f"dữ liệu phải hết ở byte {place} mà tệp có {source.size} byte"
        how = "bị cắt" if source.size < place else "có byte thừa"
        raise Bad("legacy-size", f"{text}: {how}")
    return spans


def scan_storages(source: Source, spans: dict[str, tuple[int, int]]) -> tuple[set[str], str]:
    """Khoá của các storage toàn số 0, và lời về một đuôi tệp toàn số 0."""
    empty = set()
    tail = ""
    for key, (begin, end) in spans.items():
        scan = DataScan("")
        for piece in pieces(source, begin, end):
            scan.read(piece)
        if scan.length and not scan.used:
            empty.add(key)
        tail = zero_tail(f"storage «{show(key)}»", scan.length, scan.used)
    return empty, tail


def pieces(source: Source, begin: int, end: int) -> Iterator[bytes]:
    """Từng khúc của [begin, end) trong một nguồn."""
    while begin < end:
        piece = source.read(begin, min(CHUNK, end - begin))
        if not piece:
            raise Bad("file-changed", "tệp ngắn đi trong lúc đọc")
        begin += len(piece)
        progress.step(len(piece))
        yield piece


def try_pickle(source: Source, report: Report) -> Weights | None:
    """Một tệp không thuộc dạng nào khác: có phải pickle không, dù tên là gì."""
    steps = source.steps()
    name = source.name.lower()
    if steps.acts or is_whole(source, steps):
        return check_pickle(source, report)
    if not PICKLED.search(name):
        return tell_unknown(source, steps, report)
    if name.endswith(".bin") and not TORCH_BIN.search(name):
        return check_foreign_bin(source, steps, report)
    if not steps.taken:
        raise Bad("not-pickle", "không phải pickle hay ZIP: ngay lệnh đầu tiên đã sai")
    return check_pickle(source, report)


def is_whole(source: Source, steps: Steps) -> bool:
    """Đúng là pickle từ đầu tới cuối: tới STOP, và sau đó hết tệp hay lại một pickle."""
    if not steps.stopped:
        return False
    for _ in range(ROW_LIMIT):
        if steps.end >= source.size:
            return True
        steps = source.steps(steps.end)
        if steps.acts:
            return True
        if not steps.stopped:
            return False
    return True


def tell_unknown(source: Source, steps: Steps, report: Report) -> None:
    """Một tệp mà công cụ không hiểu: kể ra, không coi là đã soi."""
    if steps.endless:
        text = "mở đầu như một pickle rất dài: không soi được bên trong"
        raise Bad("not-inspected", text, UNCLEAR)
    if source.depth:
        source.strange.append(source.name)
    elif source.suffix not in PROGRAMS and source.suffix != ".json":  # đã hay sẽ được nói tới
        report.skip(source.where, "không phải dạng mà công cụ này đọc")


def check_foreign_bin(source: Source, steps: Steps, report: Report) -> None:
    """Một tệp .bin không phải pickle: của chương trình khác, hay là pickle mà ta không đọc được."""
    if steps.taken or steps.endless:
        check_prefix(source, report)
        text = "tệp .bin mở đầu như pickle mà không đọc được: không soi được bên trong"
        raise Bad("not-inspected", text, UNCLEAR)
    found = HIDDEN_IMPORT.search(source.read(0, SEARCH_LIMIT))
    if found is not None:
        text = f"tệp .bin không phải pickle mà bên trong có «{show(found[0].decode('latin-1'))}»"
        raise Bad("not-inspected", f"{text}, giống một lời nhập của pickle", UNCLEAR)
    if source.depth:
        source.strange.append(source.name)
    else:
        report.skip(source.where, "tệp .bin của chương trình khác, không phải pickle")


def check_prefix(source: Source, report: Report) -> None:
    """Chấm phần đọc được của thứ mở đầu như pickle: có điều nguy hiểm thì nói."""
    data = source.read(0, PICKLE_LIMIT)
    try:
        read_and_judge(source, data, 0, report)
    except Bad as error:
        if error.level == DANGER:
            raise


# --- numpy

NUMPY_HEADER = re.compile(
    r"\s*\{\s*'descr':\s*'(?P<descr>[^']*)',\s*'fortran_order':\s*(?:True|False),"
    r"\s*'shape':\s*\((?P<shape>[\dL, ]*)\),?\s*\}\s*"
)
NUMPY_KINDS = {
    "b1": "BOOL",
    "i1": "I8",
    "i2": "I16",
    "i4": "I32",
    "i8": "I64",
    "u1": "U8",
    "u2": "U16",
    "u4": "U32",
    "u8": "U64",
    "f2": "F16",
    "f4": "F32",
    "f8": "F64",
    "f16": "F128",
    "c8": "C64",
    "c16": "C128",
}


def check_npy(source: Source, report: Report) -> Weights:
    """Soi một tệp .npy: mảng số thì đối chiếu cỡ; mảng đối tượng là một pickle sau phần đầu."""
    header, begin = numpy_header(source)
    match = NUMPY_HEADER.fullmatch(header)
    item = numpy_size(match["descr"]) if match else 0
    if match is None or not item:
        return check_objects(source, begin, header, report)
    sides = re.findall(r"\d+", match["shape"])
    if any(len(side) > 18 for side in sides):
        raise Bad("npy-size", "mảng lớn quá mức")
    shape = tuple(map(int, sides))
    length = item
    for side in shape:
        length *= side
        if length > 1 << 62:
            raise Bad("npy-size", "mảng lớn quá mức")
    if begin + length != source.size:
        how = "bị cắt" if source.size < begin + length else "có byte thừa"
        text = f"dữ liệu phải hết ở byte {begin + length} mà tệp có {source.size} byte: {how}"
        raise Bad("npy-size", text)
    code = match["descr"][1:]
    place: tuple[Any, ...] = ("npy", source.where, begin)
    if source.path is not None:
        place = (source.path, begin, source.size)
    weights = Weights("numpy", {"": Tensor(NUMPY_KINDS.get(code, code), shape, place)})
    return describe(report, source.where, weights)


def numpy_header(source: Source) -> tuple[str, int]:
    """Phần đầu của một tệp .npy, và byte đầu tiên sau nó."""
    start = source.read(0, 12)
    if len(start) < 12 or start[6] not in (1, 2, 3):
        raise Bad("npy-header", "phần đầu .npy bị cắt, hay thuộc một phiên bản lạ")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(start[8 : 8 + width], "little")
    if length > HEADER_TEXT or 8 + width + length > source.size:
        raise Bad("npy-header", "phần đầu .npy dài quá mức hay bị cắt")
    text = source.read(8 + width, length).decode("latin-1")
    return text, 8 + width + length


def numpy_size(descr: str) -> int:
    """Số byte của một phần tử; 0 khi không phải kiểu số hay chữ thường."""
    match = re.fullmatch(r"[<>|=]?([biufcSUmMVa])(\d{1,6})(?:\[\w+\])?", descr)
    if match is None:
        return 0
    return int(match[2]) * (4 if match[1] == "U" else 1)


def check_objects(source: Source, begin: int, header: str, report: Report) -> Weights:
    """Mảng đối tượng, hay mảng có cấu trúc: phần sau có thể là pickle."""
    if "O" in header or source.steps(begin).acts:
        data = source.read(0, PICKLE_LIMIT)
        read_and_judge(source, data, begin, report)
        text = "mảng đối tượng: np.load chỉ mở khi có allow_pickle=True, và khi đó pickle được chạy"
        report.add(WARNING, "npy-objects", source.where, text)
    elif "'descr': [" in header:
        text = "mảng có cấu trúc: công cụ không đọc thành tensor"
        report.add(NOTE, "npy-structured", source.where, text)
    else:
        raise Bad("npy-header", "phần đầu .npy không đúng dạng")
    return describe(report, source.where, Weights("numpy", {}))


# --- tar


def is_tar(head: bytes) -> bool:
    """512 byte đầu có mở được như một tệp tar không: hỏi chính thư viện mà torch.load hỏi."""
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    except ValueError:  # thư viện vấp: không biết chắc thì coi là phải
        return True
    return True


def check_tar(source: Source, report: Report, stream: Any = None) -> None:
    """Soi từng mục của một tệp tar; `stream`: tar nén quá lớn để giữ trong bộ nhớ, đọc một lượt."""
    source.stream.seek(0)
    mode = "r:" if stream is None else "r|"
    programs: list[str] = []
    names: set[str] = set()
    try:
        with tarfile.open(fileobj=stream or source.stream, mode=mode) as archive:
            for member in tar_members(archive, source):
                names.add(member.name)
                if PurePosixPath(member.name).suffix.lower() in PROGRAMS and member.isreg():
                    programs.append(member.name)
                look_into_tar(archive, member, source, report, kept=stream is not None)
    except (tarfile.TarError, EOFError, ValueError, OverflowError, KeyError) as error:
        raise Bad("tar-broken", f"tar hỏng hay bị cắt: {show(error)}") from error
    if names >= LEGACY_MEMBERS:
        report.recognised = True
        text = "dạng tar của torch 0.1: các pickle đã được soi, tensor thì công cụ không đọc"
        report.add(UNCLEAR, "not-inspected", source.where, text)
    elif PICKLED.search(source.name.lower()):
        raise Bad("tar-members", "là một tệp tar, không phải của torch.save")
    if programs:
        tell_programs(source, programs, report)
    tell_strange(source, report)


def tar_members(archive: tarfile.TarFile, source: Source) -> Iterator[tarfile.TarInfo]:
    """Các mục của một tar; chỗ đọc phải luôn tiến lên."""
    reached = -1
    while True:
        member = archive.next()
        if member is None:
            return
        source.budget.take_entry()
        if member.offset <= reached or member.size < 0:
            raise Bad("tar-broken", "tar hỏng: một mục đứng trước mục trước nó")
        reached = member.offset
        yield member
        archive.members = []  # không giữ lại: tar có thể có rất nhiều mục


def look_into_tar(
    archive: tarfile.TarFile, member: tarfile.TarInfo, source: Source, report: Report, kept: bool
) -> None:
    """Soi một mục của tar. `kept`: tar đọc một lượt, nên giữ nội dung trong bộ nhớ."""
    where = f"{source.where} › {show(member.name)}"
    guard(report, where, lambda: check_tar_name(member))
    if not member.isreg():
        return
    opened: Any = archive.extractfile(member)
    inside = source.inside(member.name, opened, member.size)
    if kept:
        content = opened.read(MEMBER_LIMIT)
        inside = source.inside(member.name, io.BytesIO(content), len(content))
        inside.cut = member.size > len(content)
    if member.name in LEGACY_MEMBERS:
        guard(report, where, lambda: check_legacy_member(inside, report))
    else:
        guard(report, where, lambda: check_member(inside, source, report))


def check_tar_name(member: tarfile.TarInfo) -> None:
    """Tên của một mục, và nơi mà một liên kết chỉ tới, phải nằm trong chỗ tar được bung ra."""
    check_entry_name(member.name)
    if not (member.islnk() or member.issym()):
        return
    if member.name in LEGACY_MEMBERS:
        text = "liên kết ở chỗ của dữ liệu torch 0.1: torch.load đọc tệp mà nó chỉ tới"
        raise Bad("tar-link", text, DANGER)
    target = member.linkname
    if member.issym():  # tính từ thư mục chứa liên kết
        target = posixpath.join(posixpath.dirname(member.name), target)
    if leads_outside(posixpath.normpath(target)):
        text = f"liên kết tới «{show(member.linkname)}»: trỏ ra ngoài"
        raise Bad("entry-outside", text, DANGER)
    if ".." in member.linkname:
        text = f"liên kết tới «{show(member.linkname)}»: bung ra rồi mới biết nó tới đâu"
        raise Bad("tar-link", text, UNCLEAR)


def check_legacy_member(source: Source, report: Report) -> None:
    """Một trong ba phần của tệp torch 0.1: các pickle, giữa chúng là dữ liệu thô."""
    data = source.read(0, PICKLE_LIMIT)
    try:
        read_legacy_member(source, data, report)
    except Bad as error:
        if error.rule in ("pickle-storage", "pickle-outside"):
            return  # torch 0.1 trỏ tới tensor bằng số
        hidden = HIDDEN_IMPORT.search(data)  # không đọc được hết: xem phần còn lại có nhập gì không
        if hidden is None or error.level == DANGER:
            raise
        text = f"{error}; bên trong có «{show(hidden[0].decode('latin-1'))}», một lời nhập"
        raise Bad("pickle-call", text, DANGER) from error


def read_legacy_member(source: Source, data: bytes, report: Report) -> None:
    """Lần lượt từng pickle, nhảy qua dữ liệu thô."""
    found = read_and_judge(source, data, 0, report)
    own = PurePosixPath(source.name).name
    if own == "pickle":
        return
    if not isinstance(found.value, int) or found.value > ROW_LIMIT:  # True cũng là 1
        raise Bad("tar-members", "dạng tar của torch 0.1: số phần tử vô lý")
    place = found.end
    for _ in range(found.value):
        found = read_and_judge(source, data, place, report)
        place = found.end + raw_length(source, own, found)
    if own == "storages":
        read_and_judge(source, data, place, report)


def raw_length(source: Source, part: str, found: Pickle) -> int:
    """Số byte dữ liệu thô sau một pickle của tệp torch 0.1."""
    count = int.from_bytes(source.read(found.end, 4), "little")
    if part == "tensors":
        return 8 + 16 * count + 8
    count = int.from_bytes(source.read(found.end, 8), "little")
    kind = found.value[2] if type(found.value) is Row and len(found.value) == 3 else ""
    if kind not in ITEM_SIZE:
        raise Bad("storage-kind", f"lớp storage lạ {show(kind)}")
    return 8 + count * ITEM_SIZE[kind]


# --- Tệp nén: bung ra trong giới hạn rồi soi lại


def packed_form(head: bytes) -> str:
    """Dạng nén, theo các byte đầu; rỗng khi không nén."""
    for form, magic in MAGIC.items():
        if head.startswith(magic):
            return form
    if head[:1] == b"x" and int.from_bytes(head[:2], "big") % 31 == 0:
        return "zlib"
    if head.startswith(b"ZF"):  # joblib cũ: «ZF», độ dài, rồi zlib
        return "zfile"
    return "lzma" if is_lzma(head) else ""


def is_lzma(head: bytes) -> bool:
    """Phần đầu của một tệp .lzma: tham số, cỡ từ điển, độ dài; lzma.open chỉ đòi chừng đó."""
    if len(head) < PACKED_HEAD or head[0] >= 225:
        return False
    memory = int.from_bytes(head[1:5], "little")
    length = int.from_bytes(head[5:13], "little")
    top = 1 << max(memory.bit_length() - 1, 0)
    usual = memory in (0xFFFFFFFF, top, top + top // 2)
    return usual and (length < 1 << 38 or length == (1 << 64) - 1)


def check_compressed(source: Source, form: str, report: Report) -> bool:
    """Soi nội dung của một tệp nén; False khi hoá ra nó không phải tệp nén."""
    begin = 0
    if form == "zfile":
        form = "zlib"
        begin = 22 if source.read(21, 1) == b" " else 21

    def open_stream(slow: int) -> Unpacked:
        """Đọc lại từ đầu."""
        window = window_of(source.stream, begin, source.size)
        return Unpacked(window, form, source.budget, slow)

    content, complaint = unpack_all(open_stream)
    if not content and form in ("zlib", "lzma") and source.suffix not in PACKED_SUFFIXES:
        return False
    if complaint is not None and not content:
        raise complaint
    if len(content) >= MEMBER_LIMIT and is_tar(content[:512]):
        check_tar(source, report, open_stream(NEVER))
        return True
    inside = source.inside(unpacked_name(source.name), io.BytesIO(content), len(content))
    if complaint is not None:
        look_for_danger(inside, report)
        raise complaint
    inside.cut = len(content) >= MEMBER_LIMIT
    check_member(inside, source, report)
    if not source.depth and source.strange:
        report.skip(source.where, "nội dung sau khi giải nén không phải dạng mà công cụ này đọc")
    return True


PACKED_SUFFIXES = {".gz", ".bz2", ".xz", ".lzma", ".z", ".zlib", ".tgz"}


def unpack_start(stream: Unpacked) -> tuple[bytes, Bad | None]:
    """Phần đầu của nội dung, và điều khiến không giải nén tiếp được."""
    kept: list[bytes] = []
    room = MEMBER_LIMIT
    try:
        while room > 0:
            piece = stream.read(min(CHUNK, room))
            if not piece:
                break
            kept.append(piece)
            room -= len(piece)
    except Bad as error:
        return b"".join(kept), error
    return b"".join(kept), None


def unpack_all(open_stream: Callable[[int], Unpacked]) -> tuple[bytes, Bad | None]:
    """Như `unpack_start`; gặp chỗ hỏng thì đọc lại, để không bỏ sót gì đứng ngay trước nó."""
    stream = open_stream(NEVER)
    content, complaint = unpack_start(stream)
    if complaint is not None and complaint.rule == "compressed-broken":
        again = open_stream(stream.taken - 2 * PACKED_PIECE)
        content, _ = unpack_start(again)
    return content, complaint


def unpacked_name(name: str) -> str:
    """Tên của nội dung: bỏ đuôi nén."""
    own = PurePosixPath(name)
    if own.suffix.lower() in PACKED_SUFFIXES:
        return own.stem or name
    return own.name or name


# --- Soi một tệp theo nội dung


def check_file(path: Path, where: str, report: Report) -> Weights | None:
    """Soi một tệp: nội dung quyết định trước, tên sau. None: không có tensor nào."""
    with open_regular(path) as stream:
        size = stream.seek(0, io.SEEK_END)
        name = where if PurePosixPath(where).suffix else path.name
        source = Source(stream, size, where, name, Budget(size), path=path)
        if PICKLED.search(name.lower()) or source.suffix in ARRAYS:
            report.recognised = True
        check_program(source, report)
        if source.suffix in PACKED_PROGRAMS or stands_for_another(source, report):
            return None
        return check_source(source, report)


def check_bytes(content: bytes, where: str, report: Report, depth: int) -> Weights | None:
    """Soi nội dung của một mục trong kho nén."""
    budget = Budget(len(content))
    source = Source(io.BytesIO(content), len(content), where, where, budget, depth)
    return check_source(source, report)


def check_program(source: Source, report: Report) -> None:
    """Tệp mã đi kèm; `__init__.py` rỗng thì không nói gì."""
    if source.suffix in PROGRAMS and source.size:
        report.add(UNCLEAR, "code-file", source.where, PROGRAM_TEXT)


def stands_for_another(source: Source, report: Report) -> bool:
    """Con trỏ Git LFS, trang web, tệp rỗng: chỉ đứng thay cho tệp thật."""
    told = placeholder_of(source.read(0, 512), source.size)
    if not told:
        return False
    name = source.name.lower()
    known = source.suffix in ARRAYS | OTHER_WEIGHTS | {".safetensors", ".distcp"}
    if known or PICKLED.search(name) or "Git LFS" in told:
        raise Bad("placeholder", told)
    if source.suffix != ".json":
        report.skip(source.where, told)
    return True


def check_source(source: Source, report: Report) -> Weights | None:
    """Soi một nguồn theo nội dung của nó."""
    if source.depth > NEST_LIMIT:
        text = f"kho nén lồng nhau hơn {NEST_LIMIT} tầng: không soi tiếp"
        raise Bad("not-inspected", text, UNCLEAR)
    head = source.read(0, 512)
    if source.suffix == ".safetensors":
        return check_tensors(source, head, report)
    if source.suffix == ".distcp":  # nhiều ZIP nối nhau
        tell_distributed(source, report)
        check_remains(source, report)
        return None
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        check_twin(source, report)
        return check_zip(source, report)
    check_tail(source, report)
    return check_content(source, head, report)


def check_content(source: Source, head: bytes, report: Report) -> Weights | None:
    """Những dạng không phải ZIP, theo các byte đầu."""
    if is_safetensors(source, head):
        return check_unnamed_tensors(source, report)
    if is_tar(head):
        check_twin(source, report)
        check_tar(source, report)
        return None
    form = packed_form(head)
    if form and check_compressed(source, form, report):
        return None
    if head.startswith(NUMPY_MAGIC):
        return check_npy(source, report)
    if source.suffix in ARRAYS:
        guard(report, source.where, lambda: check_rest(source, head, report))
        raise Bad("wrong-content", f"đuôi {source.suffix} mà nội dung không phải dạng đó")
    return check_rest(source, head, report)


def check_rest(source: Source, head: bytes, report: Report) -> Weights | None:
    """Những dạng còn lại: kho nén không mở được, Keras, ZIP có byte đứng trước, và pickle."""
    for magic, form in UNREADABLE.items():
        if head.startswith(magic):
            text = f"nén kiểu {form}: không soi được bên trong"
            raise Bad("not-inspected", text, UNCLEAR)
    check_keras(source, head, report)
    if directory_entries(source):
        text = "có một ZIP ở cuối, sau những byte khác: mỗi chương trình đọc một nội dung"
        report.add(UNCLEAR, "zip-layout", source.where, text)
    found = try_pickle(source, report)
    if found is not None and source.name.rpartition("/")[2] == ".metadata":
        tell_distributed(source, report)
    return found


def check_twin(source: Source, report: Report) -> None:
    """Một tệp đọc được theo hai cách: nó cũng là một pickle gọi thứ gì đó."""
    if source.steps().acts:
        guard(report, source.where, lambda: check_prefix(source, report))


def check_tensors(source: Source, head: bytes, report: Report) -> Weights | None:
    """Một tệp tên .safetensors; bên trong có thể là thứ khác."""
    zipped = head.startswith(b"PK\3\4")
    pickled = head[:1] == b"\x80" and b"\2" <= head[1:2] <= b"\5" and head[5:8] != b"\0\0\0"
    check_tail(source, report)
    if source.steps().acts or not is_safetensors(source, head):
        plain = Source(source.stream, source.size, source.where, "x", source.budget, 1)
        guard(report, source.where, lambda: look_for_danger(plain, report))
    if zipped or pickled:
        text = "đuôi .safetensors mà bên trong có vẻ là pickle hay ZIP"
        raise Bad("wrong-content", text)
    if source.path is None:
        source.strange.append(source.name)
        return None
    return check_safetensors(source.path, source.where, report)


def is_safetensors(source: Source, head: bytes) -> bool:
    """Nội dung là safetensors, dù tên khác: độ dài phần đầu, rồi một JSON có «dtype»."""
    length = int.from_bytes(head[:8], "little")
    if head[8:9] != b"{" or length > HEADER_LIMIT or 8 + length > source.size:
        return False
    return b'"dtype"' in source.read(8, min(length, 1 << 16))


def check_unnamed_tensors(source: Source, report: Report) -> Weights | None:
    """Nội dung safetensors dưới một tên khác."""
    check_twin(source, report)
    if PICKLED.search(source.name.lower()):
        text = "nội dung là safetensors: torch.load không mở được; hãy đổi đuôi thành .safetensors"
        raise Bad("wrong-content", text)
    if source.path is None:
        source.strange.append(source.name)
        return None
    return check_safetensors(source.path, source.where, report)


def check_keras(source: Source, head: bytes, report: Report) -> None:
    """Lớp Lambda của Keras: mã Python nằm trong cấu hình."""
    inside_zip = source.depth and source.name.rpartition("/")[2] == "config.json"
    if not is_hdf5(source, head) and not inside_zip:
        return
    before = b""
    for piece in pieces(source, 0, hdf5_size(source, head)):
        text = ESCAPED.sub(plain_letter, before + piece)
        if KERAS_LAMBDA.search(text):
            text = "có lớp Lambda của Keras: mở mô hình là chạy mã nằm trong lớp đó"
            report.recognised = True
            report.add(UNCLEAR, "keras-lambda", source.where, text)
            return
        before = piece[-200:]


def is_hdf5(source: Source, head: bytes) -> bool:
    """HDF5 mở đầu tệp, hay đứng sau một khối riêng dài 512, 1024, 2048, … byte."""
    if head.startswith(HDF5):
        return True
    return any(source.read(512 << power, 8) == HDF5 for power in range(12))


def plain_letter(match: re.Match[bytes]) -> bytes:
    """Chữ cái mà một dãy «\\u00…» viết ra."""
    return bytes([int(match[1], 16)])


def hdf5_size(source: Source, head: bytes) -> int:
    """Tệp HDF5 tự nhận dài mấy byte; đọc quá đó là thừa."""
    if not head.startswith(HDF5):
        return source.size
    place = 40 if head[8] < 2 else 28
    told = int.from_bytes(head[place : place + 8], "little")
    return min(told or SEARCH_LIMIT, source.size)


def tell_distributed(source: Source, report: Report) -> None:
    """Checkpoint phân tán: một câu cho cả thư mục."""
    report.recognised = True
    folder = source.where.rpartition("/")[0]
    report.add(UNCLEAR, "distributed", f"{folder}/" if folder else ".", DISTRIBUTED)


def check_tail(source: Source, report: Report) -> None:
    """Một ZIP ở cuối tệp, sau những byte khác: zipfile vẫn mở được."""
    if directory_entries(source):
        check_remains(source, report)


# --- Kiến trúc: tên và hình dạng của mọi tensor mà một config.json đòi

NAME_LIMIT = 200_000  # tensor mà một cấu hình được đòi: DeepSeek-V3 đòi 46.000
DEPTH_LIMIT = 4  # số thứ tự trong một tên được xem: «encoder.block.5.layer.1.…» có hai
SIZE_LIMIT = 1 << 40  # cạnh của một tensor, và mỗi số trong cấu hình

# Bảng dưới đây viết mỗi tensor một dòng: tên, rồi các cạnh. Thêm một kiến trúc là thêm một khối,
# và một dòng vào DEFAULTS.
#   [a b]                   khối của các model_type a và b; hay một khối chung để «use»
#   t.weight  A B           một tensor cỡ A × B
#   t.weight+bias  A B      hai tensor: weight cỡ A × B, bias cỡ A
#   t.weight  A  if C       chỉ có khi C đúng
#   layers.{i < N}:         các dòng thụt vào dưới đây lặp lại với i = 0 … N - 1
#   {x in a b}              lặp lại với x là a, rồi b
#   m: if C    if C:        nhóm có điều kiện
#   x = A / B               đặt tên cho một giá trị; «/» đòi phải chia hết, «//» lấy phần nguyên
#   use k      use k of c   chép các dòng của khối k; với các khoá của cấu hình con c
#   head A B                dòng riêng của những lớp có tên kết thúc bằng A hay B
#   prefix p                tên trong tệp có thể mang thêm «p.» ở đầu
#   rename X Y              tên kiểu khác: X trong tệp (biểu thức chính quy) được đọc thành Y
# Cuối dòng của một tensor có thể là:
#   tied t                  dùng chung trọng số với t khi tie_word_embeddings: khi đó được vắng mặt
#   copy t                  luôn dùng chung trọng số với t: được vắng mặt
#   usual                   thường có: vắng thì cảnh báo
#   optional                vắng thì thôi
# Chữ trong một biểu thức là tên đã đặt; hay khoá của config.json, thiếu thì lấy ở DEFAULTS; hay
# model_type; head (phần đuôi của tên lớp); num_labels; fused (tệp gộp các chuyên gia của MoE).
LAYOUTS = r"""
# Mô hình sinh chữ kiểu GPT-2: Conv1D, nên trọng số nằm theo chiều (vào, ra)
[gpt2]
prefix transformer
width = n_embd
inner = n_inner or 4 * width
head_dim = width / n_head
wte.weight                              vocab_size width
wpe.weight                              n_positions width
h.{layer < n_layer}:
    ln_1.weight+bias                    width
    attn.c_attn.weight                  width 3*width
    attn.c_attn.bias                    3*width
    attn.c_proj.weight                  width width
    attn.c_proj.bias                    width
    ln_cross_attn.weight+bias           width           if add_cross_attention
    crossattention: if add_cross_attention
        c_attn.weight                   width 2*width
        c_attn.bias                     2*width
        q_attn.weight                   width width
        q_attn.bias                     width
        c_proj.weight                   width width
        c_proj.bias                     width
    ln_2.weight+bias                    width
    mlp.c_fc.weight                     width inner
    mlp.c_fc.bias                       inner
    mlp.c_proj.weight                   inner width
    mlp.c_proj.bias                     width
ln_f.weight+bias                        width
head Model
head LMHeadModel DoubleHeadsModel
    lm_head.weight                      vocab_size width    tied wte.weight
head DoubleHeadsModel
    multiple_choice_head.summary.weight+bias    1 width     if summary_use_proj
use classifiers

[gpt_neo]
prefix transformer
width = hidden_size
inner = intermediate_size or 4 * width
head_dim = width / num_heads
wte.weight                              vocab_size width
wpe.weight                              max_position_embeddings width
h.{layer < num_layers}:
    ln_1.weight+bias                    width
    attn.attention.q_proj.weight        width width
    attn.attention.k_proj.weight        width width
    attn.attention.v_proj.weight        width width
    attn.attention.out_proj.weight+bias     width width
    ln_2.weight+bias                    width
    mlp.c_fc.weight+bias                inner width
    mlp.c_proj.weight+bias              width inner
ln_f.weight+bias                        width
head Model
head ForCausalLM
    lm_head.weight                      vocab_size width    tied wte.weight
use classifiers

[gptj codegen]
prefix transformer
width = n_embd
inner = n_inner or 4 * width
head_dim = width / n_head
wte.weight                              vocab_size width
h.{layer < n_layer}:
    ln_1.weight+bias                    width
    attn.qkv_proj.weight                3*width width       if model_type == 'codegen'
    attn: if model_type == 'gptj'
        q_proj.weight                   width width
        k_proj.weight                   width width
        v_proj.weight                   width width
    attn.out_proj.weight                width width
    mlp.fc_in.weight+bias               inner width
    mlp.fc_out.weight+bias              width inner
ln_f.weight+bias                        width
head Model
head ForCausalLM
    lm_head.weight                      vocab_size width    tied wte.weight
    lm_head.bias                        vocab_size
head ForSequenceClassification
    score.weight                        num_labels width
head ForQuestionAnswering
    qa_outputs.weight+bias              num_labels width

[gpt_neox]
prefix gpt_neox
rename ^lm_head\. embed_out.
width = hidden_size
head_dim = width / num_attention_heads
embed_in.weight                         vocab_size width
layers.{layer < num_hidden_layers}:
    input_layernorm.weight+bias         width
    post_attention_layernorm.weight+bias    width
    attention.query_key_value.weight    3*width width
    attention.query_key_value.bias      3*width             if attention_bias
    attention.dense.weight              width width
    attention.dense.bias                width               if attention_bias
    mlp.dense_h_to_4h.weight+bias       intermediate_size width
    mlp.dense_4h_to_h.weight+bias       width intermediate_size
final_layer_norm.weight+bias            width
head Model
head ForCausalLM
    embed_out.weight                    vocab_size width    tied embed_in.weight
use classifiers

[bloom]
prefix transformer
width = hidden_size
head_dim = width / n_head
word_embeddings.weight                  vocab_size width
word_embeddings_layernorm.weight+bias   width
h.{layer < n_layer}:
    input_layernorm.weight+bias         width
    self_attention.query_key_value.weight+bias      3*width width
    self_attention.dense.weight+bias    width width
    post_attention_layernorm.weight+bias    width
    mlp.dense_h_to_4h.weight+bias       4*width width
    mlp.dense_4h_to_h.weight+bias       width 4*width
ln_f.weight+bias                        width
head Model
head ForCausalLM
    lm_head.weight                      vocab_size width    tied word_embeddings.weight
use classifiers

[falcon]
prefix transformer
width = hidden_size
heads = num_attention_heads
head_dim = width / heads
inner = ffn_hidden_size or 4 * width
kv_heads = num_kv_heads or heads
groups = heads / kv_heads
all_heads = 3 * heads
all_heads = heads + 2                   if multi_query
all_heads = heads + 2 * kv_heads        if new_decoder_architecture
norms = num_ln_in_parallel_attn or new_decoder_architecture and 2 or 1
two_norms = parallel_attn and norms == 2
word_embeddings.weight                  vocab_size width
h.{layer < num_hidden_layers}:
    self_attention.query_key_value.weight   all_heads*head_dim width
    self_attention.query_key_value.bias     all_heads*head_dim  if bias
    self_attention.dense.weight         width width
    self_attention.dense.bias           width               if bias
    mlp.dense_h_to_4h.weight            inner width
    mlp.dense_h_to_4h.bias              inner               if bias
    mlp.dense_4h_to_h.weight            width inner
    mlp.dense_4h_to_h.bias              width               if bias
    ln_attn.weight+bias                 width               if two_norms
    ln_mlp.weight+bias                  width               if two_norms
    input_layernorm.weight+bias         width               if not two_norms
    post_attention_layernorm.weight+bias    width           if not parallel_attn
ln_f.weight+bias                        width
head Model
head ForCausalLM
    lm_head.weight                      vocab_size width    tied word_embeddings.weight
use classifiers

[opt]
prefix model
width = hidden_size
outer = word_embed_proj_dim or width
head_dim = width / num_attention_heads
affine = layer_norm_elementwise_affine
decoder:
    embed_tokens.weight                 vocab_size outer
    embed_positions.weight              max_position_embeddings+2 width
    project_in.weight                   width outer         if outer != width
    project_out.weight                  outer width         if outer != width
    layers.{layer < num_hidden_layers}:
        self_attn.{part in q_proj k_proj v_proj out_proj}:
            weight                      width width
            bias                        width               if enable_bias
        self_attn_layer_norm.weight+bias    width           if affine
        fc1.weight                      ffn_dim width
        fc1.bias                        ffn_dim             if enable_bias
        fc2.weight                      width ffn_dim
        fc2.bias                        width               if enable_bias
        final_layer_norm.weight+bias    width               if affine
    final_norm = do_layer_norm_before and not _remove_final_layer_norm
    final_layer_norm.weight+bias        width               if final_norm and affine
head Model
head ForCausalLM
    lm_head.weight                      vocab_size outer    tied decoder.embed_tokens.weight
head ForSequenceClassification
    score.weight                        num_labels outer
head ForQuestionAnswering
    qa_outputs.weight+bias              2 outer

# Lớp đầu ra của các họ trên: cùng tên, cùng cỡ
[classifiers]
head ForSequenceClassification
    score.weight                        num_labels width
head ForTokenClassification
    classifier.weight+bias              num_labels width
head ForQuestionAnswering
    qa_outputs.weight+bias              2 width

# Họ Llama: phần thân chung, mỗi mô hình bật tắt vài thứ
[llama_body]
prefix model
use grouped_heads
embed_tokens.weight                     vocab_size width
layers.{layer < num_hidden_layers}:
    input_layernorm.weight              width               if pre_norm
    use qkvo
    self_attn.q_norm.weight             head_dim            if qk_norm
    self_attn.k_norm.weight             head_dim            if qk_norm
    post_attention_layernorm.weight     width               if post_norm
    use mlp
norm.weight                             width               if post_norm
use llama_heads

[grouped_heads]
width = hidden_size
heads = num_attention_heads
kv_heads = num_key_value_heads or heads
groups = heads / kv_heads
head_dim = head_dim or width / heads
queries = heads * head_dim
keys = kv_heads * head_dim

[qkvo]
self_attn.q_proj.weight             queries width
self_attn.k_proj.weight             keys width
self_attn.v_proj.weight             keys width
self_attn.o_proj.weight             width queries
self_attn.q_proj.bias               queries             if qkv_bias
self_attn.k_proj.bias               keys                if qkv_bias
self_attn.v_proj.bias               keys                if qkv_bias
self_attn.o_proj.bias               width               if o_bias

[llama_heads]
head Model
head ForCausalLM
    lm_head.weight                      vocab_size width    tied embed_tokens.weight
head ForSequenceClassification
    score.weight                        num_labels width
head ForTokenClassification
    score.weight+bias                   num_labels width
head ForQuestionAnswering
    qa_outputs.weight+bias              2 width

[mlp]
mlp.gate_proj.weight                    intermediate_size width
mlp.up_proj.weight                      intermediate_size width
mlp.down_proj.weight                    width intermediate_size
mlp.gate_proj.bias                      intermediate_size   if mlp_bias
mlp.up_proj.bias                        intermediate_size   if mlp_bias
mlp.down_proj.bias                      width               if mlp_bias

[llama granite smollm3 mistral]
prefix model transformer
pre_norm = True
post_norm = True
qk_norm = False
qkv_bias = attention_bias
o_bias = attention_bias
use llama_body

[qwen2 qwen2_vl_text]
prefix model transformer
pre_norm = True
post_norm = True
qk_norm = False
qkv_bias = True
o_bias = False
mlp_bias = False
use llama_body

[qwen3]
prefix model transformer
pre_norm = True
post_norm = True
qk_norm = True
qkv_bias = attention_bias
o_bias = attention_bias
mlp_bias = False
use llama_body

[gemma olmo]
pre_norm = model_type == 'gemma'
post_norm = pre_norm
qk_norm = False
qkv_bias = attention_bias
o_bias = attention_bias
mlp_bias = False
use llama_body

[gemma2 gemma3_text]
pre_norm = True
post_norm = True
qk_norm = model_type == 'gemma3_text'
qkv_bias = attention_bias
o_bias = attention_bias
mlp_bias = False
use llama_body
layers.{layer < num_hidden_layers}:
    pre_feedforward_layernorm.weight    width
    post_feedforward_layernorm.weight   width

[olmo2]
pre_norm = False
post_norm = True
qk_norm = False
qkv_bias = attention_bias
o_bias = attention_bias
mlp_bias = False
use llama_body
layers.{layer < num_hidden_layers}:
    post_feedforward_layernorm.weight   width
    self_attn.q_norm.weight             queries
    self_attn.k_norm.weight             keys

[stablelm]
prefix model
use grouped_heads
qkv_bias = use_qkv_bias
o_bias = False
mlp_bias = False
embed_tokens.weight                     vocab_size width
layers.{layer < num_hidden_layers}:
    input_layernorm.weight+bias         width
    post_attention_layernorm.weight+bias    width           if not use_parallel_residual
    use qkvo
    self_attn: if qk_layernorm
        q_layernorm.norms.{head_number < heads}.weight      head_dim
        k_layernorm.norms.{head_number < kv_heads}.weight   head_dim
    use mlp
norm.weight+bias                        width
use llama_heads

[starcoder2]
prefix model
use grouped_heads
qkv_bias = use_bias
o_bias = use_bias
embed_tokens.weight                     vocab_size width
layers.{layer < num_hidden_layers}:
    input_layernorm.weight+bias         width
    post_attention_layernorm.weight+bias    width
    use qkvo
    mlp.c_fc.weight                     intermediate_size width
    mlp.c_proj.weight                   width intermediate_size
    mlp.c_fc.bias                       intermediate_size   if use_bias
    mlp.c_proj.bias                     width               if use_bias
norm.weight+bias                        width
use llama_heads

[phi]
prefix model
use grouped_heads
embed_tokens.weight                     vocab_size width
layers.{layer < num_hidden_layers}:
    input_layernorm.weight+bias         width
    self_attn.q_proj.weight+bias        queries width
    self_attn.k_proj.weight+bias        keys width
    self_attn.v_proj.weight+bias        keys width
    self_attn.dense.weight+bias         width queries
    self_attn.q_layernorm.weight+bias   width/heads         if qk_layernorm
    self_attn.k_layernorm.weight+bias   width/heads         if qk_layernorm
    mlp.fc1.weight+bias                 intermediate_size width
    mlp.fc2.weight+bias                 width intermediate_size
final_layernorm.weight+bias             width
use llama_heads
head ForCausalLM
    lm_head.bias                        vocab_size

[phi3]
prefix model
use grouped_heads
embed_tokens.weight                     vocab_size width
layers.{layer < num_hidden_layers}:
    input_layernorm.weight              width
    post_attention_layernorm.weight     width
    self_attn.qkv_proj.weight           queries+2*keys width
    self_attn.o_proj.weight             width queries
    mlp.gate_up_proj.weight             2*intermediate_size width
    mlp.down_proj.weight                width intermediate_size
norm.weight                             width
use llama_heads

# Nhiều chuyên gia (MoE): trong tệp, mỗi chuyên gia một tensor; hay gộp lại (fused)
[mixtral]
prefix model
rename \.mlp\.(gate\.|experts\.) .block_sparse_moe.\1
use grouped_heads
qkv_bias = False
o_bias = False
inner = intermediate_size
embed_tokens.weight                     vocab_size width
layers.{layer < num_hidden_layers}:
    input_layernorm.weight              width
    post_attention_layernorm.weight     width
    use qkvo
    block_sparse_moe:
        gate.weight                     num_local_experts width
        experts.gate_up_proj            num_local_experts 2*inner width     if fused
        experts.down_proj               num_local_experts width inner       if fused
        experts.{expert < num_local_experts}: if not fused
            w1.weight                   inner width
            w2.weight                   width inner
            w3.weight                   inner width
norm.weight                             width
use llama_heads

[experts]
gate.weight                             experts width
experts.gate_up_proj                    experts 2*moe_intermediate_size width   if fused
experts.down_proj                       experts width moe_intermediate_size     if fused
experts.{expert < experts}: if not fused
    gate_proj.weight                    moe_intermediate_size width
    up_proj.weight                      moe_intermediate_size width
    down_proj.weight                    width moe_intermediate_size

[qwen2_moe qwen3_moe]
prefix model transformer
use grouped_heads
experts = num_experts
shared = shared_expert_intermediate_size or 0
is_qwen2 = model_type == 'qwen2_moe'
qkv_bias = attention_bias               if not is_qwen2
o_bias = attention_bias and not is_qwen2
mlp_bias = False
embed_tokens.weight                     vocab_size width
layers.{layer < num_hidden_layers}:
    input_layernorm.weight              width
    post_attention_layernorm.weight     width
    use qkvo
    self_attn.q_norm.weight             head_dim            if not is_qwen2
    self_attn.k_norm.weight             head_dim            if not is_qwen2
    listed = layer in (mlp_only_layers or ())
    sparse = not listed and experts > 0 and (layer + 1) % decoder_sparse_step == 0
    mlp: if sparse
        use experts
    mlp: if sparse and is_qwen2
        shared_expert.gate_proj.weight  shared width
        shared_expert.up_proj.weight    shared width
        shared_expert.down_proj.weight  width shared
        shared_expert_gate.weight       1 width
    if not sparse:
        use mlp
norm.weight                             width
use llama_heads

[deepseek_v3]
prefix model
width = hidden_size
heads = num_attention_heads
experts = n_routed_experts
shared = n_shared_experts * moe_intermediate_size
queries = heads * (qk_nope_head_dim + qk_rope_head_dim)
mlp_bias = False
embed_tokens.weight                     vocab_size width
layers.{layer < num_hidden_layers}:
    input_layernorm.weight              width
    post_attention_layernorm.weight     width
    self_attn: if q_lora_rank
        q_a_proj.weight                 q_lora_rank width
        q_a_proj.bias                   q_lora_rank         if attention_bias
        q_a_layernorm.weight            q_lora_rank
        q_b_proj.weight                 queries q_lora_rank
    self_attn.q_proj.weight             queries width       if not q_lora_rank
    self_attn.kv_a_proj_with_mqa.weight     kv_lora_rank+qk_rope_head_dim width
    self_attn.kv_a_proj_with_mqa.bias   kv_lora_rank+qk_rope_head_dim   if attention_bias
    self_attn.kv_a_layernorm.weight     kv_lora_rank
    self_attn.kv_b_proj.weight          heads*(qk_nope_head_dim+v_head_dim) kv_lora_rank
    self_attn.o_proj.weight             width heads*v_head_dim
    self_attn.o_proj.bias               width               if attention_bias
    mlp: if layer >= first_k_dense_replace
        use experts
        gate.e_score_correction_bias    experts
        shared_experts.gate_proj.weight     shared width
        shared_experts.up_proj.weight       shared width
        shared_experts.down_proj.weight     width shared
    if layer < first_k_dense_replace:
        use mlp
norm.weight                             width
use llama_heads

[mamba]
prefix backbone
rename ^(backbone\.)?embedding\. \1embeddings.
width = hidden_size
inner = int(expand * width)
rank = time_step_rank
rank = (width + 15) // 16               if time_step_rank == 'auto'
embeddings.weight                       vocab_size width
layers.{layer < num_hidden_layers}:
    norm.weight                         width
    mixer.A_log                         inner state_size
    mixer.D                             inner
    mixer.conv1d.weight                 inner 1 conv_kernel
    mixer.conv1d.bias                   inner               if use_conv_bias
    mixer.in_proj.weight                2*inner width
    mixer.in_proj.bias                  2*inner             if use_bias
    mixer.x_proj.weight                 rank+2*state_size inner
    mixer.dt_proj.weight+bias           inner rank
    mixer.out_proj.weight               width inner
    mixer.out_proj.bias                 width               if use_bias
norm_f.weight                           width
head Model
head ForCausalLM
    lm_head.weight                      vocab_size width    tied embeddings.weight

# Mô hình chỉ có encoder
[bert_body]
width = hidden_size
head_dim = width / num_attention_heads
outer = width
outer = embedding_size                  if model_type == 'electra'
embeddings:
    word_embeddings.weight              vocab_size outer
    position_embeddings.weight          max_position_embeddings outer
    token_type_embeddings.weight        type_vocab_size outer
    LayerNorm.weight+bias               outer
embeddings_project.weight+bias          width outer         if outer != width
encoder.layer.{layer < num_hidden_layers}:
    attention:
        use bert_attention
    crossattention: if add_cross_attention
        use bert_attention
    intermediate.dense.weight+bias      intermediate_size width
    output.dense.weight+bias            width intermediate_size
    output.LayerNorm.weight+bias        width

[bert_attention]
self.query.weight+bias                  width width
self.key.weight+bias                    width width
self.value.weight+bias                  width width
output.dense.weight+bias                width width
output.LayerNorm.weight+bias            width

[bert]
prefix bert
use bert_body
pooled = head in ('ForPreTraining', 'ForNextSentencePrediction', 'ForSequenceClassification')
pooled = pooled or head == 'ForMultipleChoice'
pooler.dense.weight+bias                width width         if pooled
pooler.dense.weight+bias                width width         usual if head == 'Model'
head Model
head LMHeadModel ForMaskedLM ForPreTraining
    cls.predictions.transform.dense.weight+bias         width width
    cls.predictions.transform.LayerNorm.weight+bias     width
    cls.predictions.bias                vocab_size
    cls.predictions.decoder.weight  vocab_size width    tied embeddings.word_embeddings.weight
    cls.predictions.decoder.bias    vocab_size          tied cls.predictions.bias
head ForPreTraining ForNextSentencePrediction
    cls.seq_relationship.weight+bias    2 width
head ForSequenceClassification ForTokenClassification
    classifier.weight+bias              num_labels width
head ForMultipleChoice
    classifier.weight+bias              1 width
head ForQuestionAnswering
    qa_outputs.weight+bias              num_labels width

[roberta xlm-roberta camembert]
prefix roberta
use bert_body
pooler.dense.weight+bias                width width         if head == 'ForMultipleChoice'
pooler.dense.weight+bias                width width         usual if head == 'Model'
head Model
head ForCausalLM ForMaskedLM
    lm_head.dense.weight+bias           width width
    lm_head.layer_norm.weight+bias      width
    lm_head.bias                        vocab_size
    lm_head.decoder.weight  vocab_size width    tied embeddings.word_embeddings.weight
    lm_head.decoder.bias    vocab_size          tied lm_head.bias
head ForSequenceClassification
    classifier.dense.weight+bias        width width
    classifier.out_proj.weight+bias     num_labels width
head ForTokenClassification
    classifier.weight+bias              num_labels width
head ForMultipleChoice
    classifier.weight+bias              1 width
head ForQuestionAnswering
    qa_outputs.weight+bias              num_labels width

[electra]
prefix electra
use bert_body
head Model
head ForCausalLM ForMaskedLM
    generator_predictions.dense.weight+bias         outer width
    generator_predictions.LayerNorm.weight+bias     outer
    generator_lm_head.weight    vocab_size outer    tied embeddings.word_embeddings.weight
    generator_lm_head.bias      vocab_size
head ForPreTraining
    discriminator_predictions.dense.weight+bias     width width
    discriminator_predictions.dense_prediction.weight+bias      1 width
head ForSequenceClassification
    classifier.dense.weight+bias        width width
    classifier.out_proj.weight+bias     num_labels width
head ForTokenClassification
    classifier.weight+bias              num_labels width
head ForMultipleChoice
    sequence_summary.summary.weight+bias    width width     if summary_use_proj
    classifier.weight+bias              1 width
head ForQuestionAnswering
    qa_outputs.weight+bias              num_labels width

[distilbert]
prefix distilbert
width = dim
head_dim = width / n_heads
embeddings:
    word_embeddings.weight              vocab_size width
    position_embeddings.weight          max_position_embeddings width
    LayerNorm.weight+bias               width
transformer.layer.{layer < n_layers}:
    attention.{part in q_lin k_lin v_lin out_lin}.weight+bias       width width
    sa_layer_norm.weight+bias           width
    ffn.lin1.weight+bias                hidden_dim width
    ffn.lin2.weight+bias                width hidden_dim
    output_layer_norm.weight+bias       width
head Model
head ForMaskedLM
    vocab_transform.weight+bias         width width
    vocab_layer_norm.weight+bias        width
    vocab_projector.weight  vocab_size width    tied embeddings.word_embeddings.weight
    vocab_projector.bias                vocab_size
head ForSequenceClassification ForMultipleChoice
    pre_classifier.weight+bias          width width
head ForSequenceClassification ForTokenClassification
    classifier.weight+bias              num_labels width
head ForMultipleChoice
    classifier.weight+bias              1 width
head ForQuestionAnswering
    qa_outputs.weight+bias              num_labels width

[albert]
prefix albert
width = hidden_size
outer = embedding_size
head_dim = width / num_attention_heads
embeddings:
    word_embeddings.weight              vocab_size outer
    position_embeddings.weight          max_position_embeddings outer
    token_type_embeddings.weight        type_vocab_size outer
    LayerNorm.weight+bias               outer
encoder.embedding_hidden_mapping_in.weight+bias     width outer
encoder.albert_layer_groups.{group < num_hidden_groups}.albert_layers.{layer < inner_group_num}:
    attention.{part in query key value dense}.weight+bias       width width
    attention.LayerNorm.weight+bias     width
    ffn.weight+bias                     intermediate_size width
    ffn_output.weight+bias              width intermediate_size
    full_layer_layer_norm.weight+bias   width
pooled = head in ('ForPreTraining', 'ForSequenceClassification', 'ForMultipleChoice')
pooler.weight+bias                      width width         if pooled
pooler.weight+bias                      width width         usual if head == 'Model'
head Model
head ForMaskedLM ForPreTraining
    predictions.dense.weight+bias       outer width
    predictions.LayerNorm.weight+bias   outer
    predictions.bias                    vocab_size
    predictions.decoder.weight  vocab_size outer    tied embeddings.word_embeddings.weight
    predictions.decoder.bias    vocab_size          tied predictions.bias
head ForPreTraining
    sop_classifier.classifier.weight+bias   num_labels width
head ForSequenceClassification ForTokenClassification
    classifier.weight+bias              num_labels width
head ForMultipleChoice
    classifier.weight+bias              1 width
head ForQuestionAnswering
    qa_outputs.weight+bias              num_labels width

# Encoder và decoder
[t5 mt5]
prefix transformer
width = d_model
inner = num_heads * d_kv
buckets = relative_attention_num_buckets
gated = 'gated' in feed_forward_proj
encoder_only = head in ('EncoderModel', 'ForTokenClassification')
shared.weight                           vocab_size width
encoder.embed_tokens.weight             vocab_size width    copy shared.weight
encoder.block.{layer < num_layers}:
    layer.0.SelfAttention:
        use t5_attention
        relative_attention_bias.weight      buckets num_heads   if layer == 0
    layer.0.layer_norm.weight           width
    layer.1:
        use t5_mlp
encoder.final_layer_norm.weight         width
decoder: if not encoder_only
    embed_tokens.weight                 vocab_size width    copy shared.weight
    layers = num_decoder_layers or num_layers
    block.{layer < layers}:
        layer.0.SelfAttention:
            use t5_attention
            relative_attention_bias.weight  buckets num_heads       if layer == 0
        layer.0.layer_norm.weight       width
        layer.1.EncDecAttention:
            use t5_attention
        layer.1.layer_norm.weight       width
        layer.2:
            use t5_mlp
    final_layer_norm.weight             width
head Model EncoderModel
head ForConditionalGeneration
    lm_head.weight                      vocab_size width    tied shared.weight
head ForSequenceClassification
    classification_head.dense.weight+bias       width width
    classification_head.out_proj.weight+bias    num_labels width
head ForTokenClassification
    classifier.weight+bias              num_labels width
head ForQuestionAnswering
    qa_outputs.weight+bias              num_labels width

[t5_attention]
q.weight                                inner width
k.weight                                inner width
v.weight                                inner width
o.weight                                width inner

[t5_mlp]
DenseReluDense.wi.weight                d_ff width          if not gated
DenseReluDense.wi_0.weight              d_ff width          if gated
DenseReluDense.wi_1.weight              d_ff width          if gated
DenseReluDense.wo.weight                width d_ff
layer_norm.weight                       width

[attention_with_bias]
q_proj.weight+bias                      width width
k_proj.weight                           width width
k_proj.bias                             width               if key_bias
v_proj.weight+bias                      width width
out_proj.weight+bias                    width width

[whisper bart]
prefix model
width = d_model
heads = encoder_attention_heads
head_dim = width / heads
decoder_dim = width / decoder_attention_heads
is_bart = model_type == 'bart'
key_bias = is_bart
decoder_only = head == 'ForCausalLM'
encoder_only = head == 'ForAudioClassification'
shared.weight                           vocab_size width    if is_bart and not decoder_only
encoder: if not decoder_only
    embed_tokens.weight                 vocab_size width    tied shared.weight if is_bart
    conv1.weight+bias                   width num_mel_bins 3    if not is_bart
    conv2.weight+bias                   width width 3       if not is_bart
    embed_positions.weight              max_source_positions width  if not is_bart
    embed_positions.weight              max_position_embeddings+2 width     if is_bart
    layernorm_embedding.weight+bias     width               if is_bart
    layers.{layer < encoder_layers}:
        self_attn:
            use attention_with_bias
        self_attn_layer_norm.weight+bias    width
        fc1.weight+bias                 encoder_ffn_dim width
        fc2.weight+bias                 width encoder_ffn_dim
        final_layer_norm.weight+bias    width
    layer_norm.weight+bias              width               if not is_bart
decoder: if not encoder_only
    apart = not is_bart or decoder_only
    embed_tokens.weight                 vocab_size width    if apart
    embed_tokens.weight                 vocab_size width    tied shared.weight if not apart
    embed_positions.weight              max_target_positions width  if not is_bart
    embed_positions.weight              max_position_embeddings+2 width     if is_bart
    layernorm_embedding.weight+bias     width               if is_bart
    layers.{layer < decoder_layers}:
        self_attn:
            use attention_with_bias
        self_attn_layer_norm.weight+bias    width
        encoder_attn:
            use attention_with_bias
        encoder_attn_layer_norm.weight+bias     width
        fc1.weight+bias                 decoder_ffn_dim width
        fc2.weight+bias                 width decoder_ffn_dim
        final_layer_norm.weight+bias    width
    layer_norm.weight+bias              width               if not is_bart
head Model
head ForConditionalGeneration
    final_logits_bias                   1 vocab_size        optional if is_bart
    proj_out.weight     vocab_size width    tied decoder.embed_tokens.weight if not is_bart
    lm_head.weight      vocab_size width    tied shared.weight if is_bart
head ForCausalLM
    proj_out.weight     vocab_size width    tied decoder.embed_tokens.weight if not is_bart
    lm_head.weight      vocab_size width    tied decoder.embed_tokens.weight if is_bart
head ForAudioClassification
    projector.weight+bias               classifier_proj_size width
    classifier.weight+bias              num_labels classifier_proj_size
    layer_weights                       encoder_layers+1    if use_weighted_layer_sum
head ForSequenceClassification
    classification_head.dense.weight+bias       width width
    classification_head.out_proj.weight+bias    num_labels width
head ForQuestionAnswering
    qa_outputs.weight+bias              2 width

# Ảnh
[clip_encoder]
width = hidden_size
head_dim = width / num_attention_heads
key_bias = True
encoder.layers.{layer < num_hidden_layers}:
    layer_norm1.weight+bias             width
    self_attn:
        use attention_with_bias
    layer_norm2.weight+bias             width
    mlp.fc1.weight+bias                 intermediate_size width
    mlp.fc2.weight+bias                 width intermediate_size

[clip_text_model siglip_text_model]
prefix text_model clip siglip
use clip_encoder
embeddings.token_embedding.weight       vocab_size width
embeddings.position_embedding.weight    max_position_embeddings width
final_layer_norm.weight+bias            width
outer = projection_size or width
head.weight+bias                        outer width         if model_type == 'siglip_text_model'
head Model
head ModelWithProjection
    text_projection.weight              projection_dim width

[clip_vision_model]
prefix vision_model clip
use clip_encoder
embeddings.class_embedding              width
embeddings.patch_embedding.weight       width num_channels patch_size patch_size
embeddings.position_embedding.weight    patches(image_size,patch_size)+1 width
pre_layrnorm.weight+bias                width
post_layernorm.weight+bias              width
head Model
head ModelWithProjection
    visual_projection.weight            projection_dim width

[siglip_vision_model]
prefix vision_model
use clip_encoder
embeddings.patch_embedding.weight+bias  width num_channels patch_size patch_size
embeddings.position_embedding.weight    patches(image_size,patch_size) width
post_layernorm.weight+bias              width
head: if vision_use_head
    probe                               1 1 width
    attention.in_proj_weight            3*width width
    attention.in_proj_bias              3*width
    attention.out_proj.weight+bias      width width
    layernorm.weight+bias               width
    mlp.fc1.weight+bias                 intermediate_size width
    mlp.fc2.weight+bias                 width intermediate_size
head Model

[clip]
prefix clip
vision_model:
    use clip_vision_model of vision_config
text_model: if head != 'ForImageClassification'
    use clip_text_model of text_config
head Model
    logit_scale
    text_projection.weight              projection_dim text_config.hidden_size
    visual_projection.weight            projection_dim vision_config.hidden_size
head ForImageClassification
    classifier.weight+bias              num_labels vision_config.hidden_size

[siglip]
prefix siglip
vision_model:
    use siglip_vision_model of vision_config
text_model: if head != 'ForImageClassification'
    use siglip_text_model of text_config
head Model
    logit_scale                         1
    logit_bias                          1
head ForImageClassification
    classifier.weight+bias              num_labels vision_config.hidden_size

[vit deit]
prefix vit deit
rename ^((?:vit|deit)\.)?layers\. \1encoder.layer.
rename \.attention\.q_proj\. .attention.attention.query.
rename \.attention\.k_proj\. .attention.attention.key.
rename \.attention\.v_proj\. .attention.attention.value.
rename \.attention\.o_proj\. .attention.output.dense.
rename \.mlp\.fc1\. .intermediate.dense.
rename \.mlp\.fc2\. .output.dense.
width = hidden_size
head_dim = width / num_attention_heads
is_deit = model_type == 'deit'
places = patches(image_size, patch_size) + 1
places = places + 1                     if is_deit
side = patch_size
pooled = pooler_output_size or width
embeddings:
    cls_token                           1 1 width
    distillation_token                  1 1 width           if is_deit
    mask_token                          1 1 width           if head == 'ForMaskedImageModeling'
    position_embeddings                 1 places width
    patch_embeddings.projection.weight+bias     width num_channels side side
encoder.layer.{layer < num_hidden_layers}:
    layernorm_before.weight+bias        width
    attention.attention.{part in query key value}:
        weight                          width width
        bias                            width               if qkv_bias
    attention.output.dense.weight+bias  width width
    layernorm_after.weight+bias         width
    intermediate.dense.weight+bias      intermediate_size width
    output.dense.weight+bias            width intermediate_size
layernorm.weight+bias                   width
pooler.dense.weight+bias                pooled width        usual if head == 'Model'
head Model
head ForImageClassification
    classifier.weight+bias              num_labels width
head ForImageClassificationWithTeacher
    cls_classifier.weight+bias          num_labels width
    distillation_classifier.weight+bias     num_labels width
head ForMaskedImageModeling
    decoder.0.weight+bias               encoder_stride**2*num_channels width 1 1

[swin]
prefix swin
rename \.attention\.q_proj\. .attention.self.query.
rename \.attention\.k_proj\. .attention.self.key.
rename \.attention\.v_proj\. .attention.self.value.
rename \.attention\.o_proj\. .attention.output.dense.
rename \.attention\.relative_position_bias\. .attention.self.
rename \.mlp\.fc1\. .intermediate.dense.
rename \.mlp\.fc2\. .output.dense.
stages = len(depths)
last = embed_dim * 2 ** (stages - 1)
side = patch_size
embeddings:
    patch_embeddings.projection.weight+bias     embed_dim num_channels side side
    norm.weight+bias                    embed_dim
    position_embeddings     1 patches(image_size,patch_size) embed_dim  if use_absolute_embeddings
    mask_token                          1 1 embed_dim       if head == 'ForMaskedImageModeling'
encoder.layers.{stage < stages}:
    width = embed_dim * 2 ** stage
    inner = int(mlp_ratio * width)
    heads = num_heads[stage]
    head_dim = width / heads
    blocks.{block < depths[stage]}:
        layernorm_before.weight+bias    width
        attention.self.relative_position_bias_table     (2*window_size-1)**2 heads
        attention.self.{part in query key value}:
            weight                      width width
            bias                        width               if qkv_bias
        attention.output.dense.weight+bias      width width
        layernorm_after.weight+bias     width
        intermediate.dense.weight+bias  inner width
        output.dense.weight+bias        width inner
    downsample: if stage < stages - 1
        norm.weight+bias                4*width
        reduction.weight                2*width 4*width
layernorm.weight+bias                   last
head Model
head ForImageClassification
    classifier.weight+bias              num_labels last
head ForMaskedImageModeling
    decoder.0.weight+bias               encoder_stride**2*num_channels last 1 1

# Tiếng nói
[wav2vec2 hubert]
prefix wav2vec2 hubert
width = hidden_size
head_dim = width / num_attention_heads
key_bias = True
convs = len(conv_dim)
features = conv_dim[convs - 1]
outer = width
outer = output_hidden_size or width     if add_adapter
grouped = width / num_conv_pos_embedding_groups
is_hubert = model_type == 'hubert'
batch_norm = is_hubert and conv_pos_batch_norm
masked = mask_time_prob > 0 or mask_feature_prob > 0
masked_spec_embed                       width               usual if masked
masked_spec_embed                       width               optional if not masked
feature_extractor.conv_layers.{layer < convs}:
    inputs = 1
    inputs = conv_dim[layer - 1]        if layer > 0
    conv.weight                         conv_dim[layer] inputs conv_kernel[layer]
    conv.bias                           conv_dim[layer]     if conv_bias
    normed = feat_extract_norm == 'layer' or layer == 0
    layer_norm.weight+bias              conv_dim[layer]     if normed
feature_projection:
    layer_norm.weight+bias              features            if not is_hubert or feat_proj_layer_norm
    projection.weight+bias              width features
encoder.pos_conv_embed:
    conv.bias                           width
    conv.weight     width grouped num_conv_pos_embeddings   if batch_norm
    batch_norm.{part in weight bias running_mean running_var}   width   if batch_norm
    conv.parametrizations.weight: if not batch_norm
        original0                       1 1 num_conv_pos_embeddings
        original1                       width grouped num_conv_pos_embeddings
encoder.layers.{layer < num_hidden_layers}:
    attention:
        use attention_with_bias
    layer_norm.weight+bias              width
    feed_forward.intermediate_dense.weight+bias     intermediate_size width
    feed_forward.output_dense.weight+bias           width intermediate_size
    final_layer_norm.weight+bias        width
    adapter_layer: if adapter_attn_dim and do_stable_layer_norm
        linear_1.weight+bias            adapter_attn_dim width
        linear_2.weight+bias            width adapter_attn_dim
        norm.weight+bias                width
encoder.layer_norm.weight+bias          width
adapter: if add_adapter and not is_hubert
    proj.weight+bias                    outer width         if outer != width
    proj_layer_norm.weight+bias         outer               if outer != width
    layers.{layer < num_adapter_layers}.conv.weight+bias    2*outer outer adapter_kernel_size
head Model
head ForCTC
    lm_head.weight+bias                 vocab_size outer
head ForSequenceClassification
    projector.weight+bias               classifier_proj_size width
    classifier.weight+bias              num_labels classifier_proj_size
    layer_weights                       num_hidden_layers+1     if use_weighted_layer_sum
head ForAudioFrameClassification
    classifier.weight+bias              num_labels width
    layer_weights                       num_hidden_layers+1     if use_weighted_layer_sum
head ForXVector
    layer_weights                       num_hidden_layers+1     if use_weighted_layer_sum
    projector.weight+bias               tdnn_dim[0] width
    blocks = len(tdnn_dim)
    tdnn.{block < blocks}:
        inputs = tdnn_dim[0]
        inputs = tdnn_dim[block - 1]    if block > 0
        kernel.weight+bias              tdnn_dim[block] inputs*tdnn_kernel[block]
    feature_extractor.weight+bias       xvector_output_dim 2*tdnn_dim[blocks-1]
    classifier.weight+bias              xvector_output_dim xvector_output_dim
    objective.weight                    xvector_output_dim num_labels
head ForPreTraining
    groups = num_codevector_groups
    code = codevector_dim / groups
    quantizer.codevectors               1 groups*num_codevectors_per_group code
    quantizer.weight_proj.weight+bias   groups*num_codevectors_per_group features
    project_hid.weight+bias             proj_codevector_dim width
    project_q.weight+bias               proj_codevector_dim codevector_dim

# Ảnh và chữ
[gemma3]
prefix model
rename ^language_model\.lm_head\. lm_head.
rename ^(?:model\.)?language_model\.model\. language_model.
rename vision_tower\.vision_model\. vision_tower.
language_model:
    use gemma3_text of text_config
vision_tower:
    use siglip_vision_model of vision_config
words = text_config.hidden_size
pixels = vision_config.hidden_size
multi_modal_projector:
    mm_input_projection_weight          pixels words
    mm_soft_emb_norm.weight             pixels
head Model
head ForConditionalGeneration
    lm_head.weight      text_config.vocab_size words    tied language_model.embed_tokens.weight
head ForSequenceClassification
    score.weight                        num_labels words

[qwen2_vl]
prefix model
rename ^model\.(embed_tokens|layers|norm)\. language_model.\1.
language_model:
    use qwen2_vl_text of text_config
visual:
    use qwen2_vl_vision of vision_config
head Model
head ForConditionalGeneration
    words = text_config.hidden_size
    lm_head.weight      text_config.vocab_size words    tied language_model.embed_tokens.weight

[qwen2_vl_vision]
width = embed_dim
head_dim = width / num_heads
inner = int(mlp_ratio * width)
merged = width * spatial_merge_size ** 2
side = patch_size
patch_embed.proj.weight                 width in_channels temporal_patch_size side side
blocks.{layer < depth}:
    norm1.weight+bias                   width
    attn.qkv.weight+bias                3*width width
    attn.proj.weight+bias               width width
    norm2.weight+bias                   width
    mlp.fc1.weight+bias                 inner width
    mlp.fc2.weight+bias                 width inner
merger:
    ln_q.weight+bias                    width
    mlp.0.weight+bias                   merged merged
    mlp.2.weight+bias                   hidden_size merged
"""

# Giá trị mặc định của các lớp cấu hình: config.json cũ không ghi khoá bằng mặc định.
# Khoá không kể ở đây thì mặc định là không có.
DEFAULTS = """
gpt2 n_embd=768 n_head=12 n_layer=12 n_positions=1024 summary_use_proj=True
    tie_word_embeddings=True vocab_size=50257
gpt_neo hidden_size=2048 max_position_embeddings=2048 num_heads=16 num_layers=24
    tie_word_embeddings=True vocab_size=50257
gpt_neox attention_bias=True hidden_size=6144 intermediate_size=24576 num_attention_heads=64
    num_hidden_layers=44 vocab_size=50432
gptj n_embd=4096 n_head=16 n_layer=28 vocab_size=50400
codegen n_embd=4096 n_head=16 n_layer=28 vocab_size=50400
llama hidden_size=4096 intermediate_size=11008 num_attention_heads=32 num_hidden_layers=32
    vocab_size=32000
mistral hidden_size=4096 intermediate_size=14336 num_attention_heads=32 num_hidden_layers=32
    num_key_value_heads=8 vocab_size=32000
mixtral hidden_size=4096 intermediate_size=14336 num_attention_heads=32 num_hidden_layers=32
    num_key_value_heads=8 num_local_experts=8 vocab_size=32000
qwen2 hidden_size=4096 intermediate_size=22016 num_attention_heads=32 num_hidden_layers=32
    num_key_value_heads=32 vocab_size=151936
qwen3 head_dim=128 hidden_size=4096 intermediate_size=22016 num_attention_heads=32
    num_hidden_layers=32 num_key_value_heads=32 vocab_size=151936
qwen2_moe decoder_sparse_step=1 hidden_size=2048 intermediate_size=5632
    moe_intermediate_size=1408 num_attention_heads=16 num_experts=60 num_hidden_layers=24
    num_key_value_heads=16 qkv_bias=True shared_expert_intermediate_size=5632 vocab_size=151936
qwen3_moe decoder_sparse_step=1 hidden_size=2048 intermediate_size=6144
    moe_intermediate_size=768 num_attention_heads=32 num_experts=128 num_hidden_layers=24
    num_key_value_heads=4 vocab_size=151936
gemma head_dim=256 hidden_size=3072 intermediate_size=24576 num_attention_heads=16
    num_hidden_layers=28 num_key_value_heads=16 tie_word_embeddings=True vocab_size=256000
gemma2 head_dim=256 hidden_size=2304 intermediate_size=9216 num_attention_heads=8
    num_hidden_layers=26 num_key_value_heads=4 tie_word_embeddings=True vocab_size=256000
gemma3_text head_dim=256 hidden_size=2304 intermediate_size=9216 num_attention_heads=8
    num_hidden_layers=26 num_key_value_heads=4 tie_word_embeddings=True vocab_size=262208
gemma3 tie_word_embeddings=True
phi hidden_size=2048 intermediate_size=8192 num_attention_heads=32 num_hidden_layers=24
    vocab_size=51200
phi3 hidden_size=3072 intermediate_size=8192 num_attention_heads=32 num_hidden_layers=32
    vocab_size=32064
opt do_layer_norm_before=True enable_bias=True ffn_dim=3072 hidden_size=768
    layer_norm_elementwise_affine=True max_position_embeddings=2048 num_attention_heads=12
    num_hidden_layers=12 tie_word_embeddings=True vocab_size=50272
bloom hidden_size=64 n_head=8 n_layer=2 tie_word_embeddings=True vocab_size=250880
falcon hidden_size=4544 multi_query=True num_attention_heads=71 num_hidden_layers=32
    parallel_attn=True tie_word_embeddings=True vocab_size=65024
olmo hidden_size=4096 intermediate_size=11008 num_attention_heads=32 num_hidden_layers=32
    vocab_size=50304
olmo2 hidden_size=4096 intermediate_size=11008 num_attention_heads=32 num_hidden_layers=32
    vocab_size=50304
stablelm hidden_size=2560 intermediate_size=6912 num_attention_heads=32 num_hidden_layers=32
    num_key_value_heads=32 vocab_size=50304
starcoder2 hidden_size=3072 intermediate_size=12288 num_attention_heads=24 num_hidden_layers=30
    num_key_value_heads=2 tie_word_embeddings=True use_bias=True vocab_size=49152
smollm3 hidden_size=2048 intermediate_size=11008 num_attention_heads=16 num_hidden_layers=36
    num_key_value_heads=4 tie_word_embeddings=True vocab_size=128256
granite hidden_size=4096 intermediate_size=11008 num_attention_heads=32 num_hidden_layers=32
    vocab_size=32000
deepseek_v3 first_k_dense_replace=3 hidden_size=7168 intermediate_size=18432 kv_lora_rank=512
    moe_intermediate_size=2048 n_routed_experts=256 n_shared_experts=1 num_attention_heads=128
    num_hidden_layers=61 q_lora_rank=1536 qk_nope_head_dim=128 qk_rope_head_dim=64
    v_head_dim=128 vocab_size=129280
mamba conv_kernel=4 expand=2 hidden_size=768 num_hidden_layers=32 state_size=16
    tie_word_embeddings=True time_step_rank='auto' use_conv_bias=True vocab_size=50280
qwen2_vl
qwen2_vl_text hidden_size=8192 intermediate_size=29568 num_attention_heads=64
    num_hidden_layers=80 num_key_value_heads=8 vocab_size=152064
qwen2_vl_vision depth=32 embed_dim=1280 hidden_size=3584 in_channels=3 mlp_ratio=4 num_heads=16
    patch_size=14 spatial_merge_size=2 temporal_patch_size=2
bert hidden_size=768 intermediate_size=3072 max_position_embeddings=512 num_attention_heads=12
    num_hidden_layers=12 tie_word_embeddings=True type_vocab_size=2 vocab_size=30522
roberta hidden_size=768 intermediate_size=3072 max_position_embeddings=512
    num_attention_heads=12 num_hidden_layers=12 tie_word_embeddings=True type_vocab_size=2
    vocab_size=50265
xlm-roberta hidden_size=768 intermediate_size=3072 max_position_embeddings=512
    num_attention_heads=12 num_hidden_layers=12 tie_word_embeddings=True type_vocab_size=2
    vocab_size=30522
camembert hidden_size=768 intermediate_size=3072 max_position_embeddings=512
    num_attention_heads=12 num_hidden_layers=12 tie_word_embeddings=True type_vocab_size=2
    vocab_size=30522
electra embedding_size=128 hidden_size=256 intermediate_size=1024 max_position_embeddings=512
    num_attention_heads=4 num_hidden_layers=12 summary_use_proj=True tie_word_embeddings=True
    type_vocab_size=2 vocab_size=30522
distilbert dim=768 hidden_dim=3072 max_position_embeddings=512 n_heads=12 n_layers=6
    tie_word_embeddings=True vocab_size=30522
albert embedding_size=128 hidden_size=4096 inner_group_num=1 intermediate_size=16384
    max_position_embeddings=512 num_attention_heads=64 num_hidden_groups=1
    tie_word_embeddings=True type_vocab_size=2 vocab_size=30000
t5 d_ff=2048 d_kv=64 d_model=512 feed_forward_proj='relu' num_heads=8 num_layers=6
    relative_attention_num_buckets=32 tie_word_embeddings=True vocab_size=32128
mt5 d_ff=1024 d_kv=64 d_model=512 feed_forward_proj='gated-gelu' num_heads=6 num_layers=8
    relative_attention_num_buckets=32 tie_word_embeddings=True vocab_size=250112
clip projection_dim=512
clip_text_model hidden_size=512 intermediate_size=2048 max_position_embeddings=77
    num_attention_heads=8 num_hidden_layers=12 projection_dim=512 vocab_size=49408
clip_vision_model hidden_size=768 image_size=224 intermediate_size=3072 num_attention_heads=12
    num_channels=3 num_hidden_layers=12 patch_size=32 projection_dim=512
siglip
siglip_text_model hidden_size=768 intermediate_size=3072 max_position_embeddings=64
    num_attention_heads=12 num_hidden_layers=12 vocab_size=32000
siglip_vision_model hidden_size=768 image_size=224 intermediate_size=3072 num_attention_heads=12
    num_channels=3 num_hidden_layers=12 patch_size=16 vision_use_head=True
vit encoder_stride=16 hidden_size=768 image_size=224 intermediate_size=3072
    num_attention_heads=12 num_channels=3 num_hidden_layers=12 patch_size=16 qkv_bias=True
deit encoder_stride=16 hidden_size=768 image_size=224 intermediate_size=3072
    num_attention_heads=12 num_channels=3 num_hidden_layers=12 patch_size=16 qkv_bias=True
swin depths=[2,2,6,2] embed_dim=96 encoder_stride=32 image_size=224 mlp_ratio=4.0 num_channels=3
    num_heads=[3,6,12,24] patch_size=4 qkv_bias=True window_size=7
wav2vec2 adapter_kernel_size=3 classifier_proj_size=256 codevector_dim=256
    conv_dim=[512,512,512,512,512,512,512] conv_kernel=[10,3,3,3,3,2,2]
    feat_extract_norm='group' hidden_size=768 intermediate_size=3072 mask_feature_prob=0.0
    mask_time_prob=0.05 num_adapter_layers=3 num_attention_heads=12 num_codevector_groups=2
    num_codevectors_per_group=320 num_conv_pos_embedding_groups=16 num_conv_pos_embeddings=128
    num_hidden_layers=12 proj_codevector_dim=256 tdnn_dim=[512,512,512,512,1500]
    tdnn_kernel=[5,3,3,1,1] vocab_size=32 xvector_output_dim=512
hubert classifier_proj_size=256 conv_dim=[512,512,512,512,512,512,512]
    conv_kernel=[10,3,3,3,3,2,2] feat_extract_norm='group' feat_proj_layer_norm=True
    hidden_size=768 intermediate_size=3072 mask_feature_prob=0.0 mask_time_prob=0.05
    num_attention_heads=12 num_conv_pos_embedding_groups=16 num_conv_pos_embeddings=128
    num_hidden_layers=12 vocab_size=32
whisper classifier_proj_size=256 d_model=384 decoder_attention_heads=6 decoder_ffn_dim=1536
    decoder_layers=4 encoder_attention_heads=6 encoder_ffn_dim=1536 encoder_layers=4
    max_source_positions=1500 max_target_positions=448 num_mel_bins=80 tie_word_embeddings=True
    vocab_size=51865
bart d_model=1024 decoder_attention_heads=16 decoder_ffn_dim=4096 decoder_layers=12
    encoder_attention_heads=16 encoder_ffn_dim=4096 encoder_layers=12
    max_position_embeddings=1024 tie_word_embeddings=True vocab_size=50265 num_labels=3
"""

# Cùng một điều, hai tên: config.json này dùng tên này, config.json kia dùng tên kia.
SAME_KEYS = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "hidden_size": "n_embed",
    "n_positions": "max_position_embeddings",
    "num_experts": "num_local_experts",
    "num_local_experts": "num_experts",
    "in_channels": "in_chans",
}
# Tên của thời trước mà thư viện vẫn đọc được.
OLD_NAMES = [
    ("LayerNorm\\.gamma$", "LayerNorm.weight"),
    ("LayerNorm\\.beta$", "LayerNorm.bias"),
    ("\\.weight_g$", ".parametrizations.weight.original0"),
    ("\\.weight_v$", ".parametrizations.weight.original1"),
]
# Những thứ tính lại được, tệp cũ hay kèm theo: không ai cần tới chúng.
LEFTOVERS = re.compile(
    r"(?:^|\.)(?:attn\.bias|attention\.bias|masked_bias|causal_mask|inv_freq|position_ids"
    r"|token_type_ids|num_batches_tracked|relative_position_index"
    r"|EncDecAttention\.relative_attention_bias\.weight)$"
)
NUMBERED = re.compile(r"(?<=\.)(\d{1,9})(?=\.)")
WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "_forward_module.")


class Line(NamedTuple):
    """Một dòng của bảng: thụt vào bao nhiêu, chữ gì, và các dòng thuộc về nó."""

    indent: int
    text: str
    inside: list[Any]


@dataclass
class Layout:
    """Các tensor mà một cấu hình đòi. Tên trong `body` không mang tiền tố."""

    body: dict[str, tuple[int, ...]] = field(default_factory=dict)
    head: dict[str, tuple[int, ...]] = field(default_factory=dict)
    optional: set[str] = field(default_factory=set)  # vắng thì thôi
    usual: set[str] = field(default_factory=set)  # vắng thì cảnh báo
    copies: dict[str, str] = field(default_factory=dict)  # tên → tensor mà nó dùng chung trọng số
    prefixes: list[str] = field(default_factory=list)
    renames: list[tuple[re.Pattern[str], str]] = field(default_factory=list)
    output: str = ""  # trọng số của lớp đầu ra, ở những mô hình có thể dùng chung nó với embedding
    class_name: str = ""
    head_known: bool = False

    @property
    def expected(self) -> dict[str, tuple[int, ...]]:
        """Những tensor phải có → hình dạng; trọng số dùng chung chỉ kể một lần."""
        found = self.all_shapes()
        for name in [*self.optional, *self.copies]:
            found.pop(name, None)
        return found

    def all_shapes(self) -> dict[str, tuple[int, ...]]:
        """Mọi tensor, kể cả tensor được phép vắng."""
        return {**self.body, **self.head}

    def plain(self, name: str) -> str:
        """Tên của một tensor trong tệp, viết như trong bảng."""
        for pattern, new in self.renames:
            name = pattern.sub(new, name)
        for prefix in self.prefixes:
            short = name.removeprefix(f"{prefix}.")
            if short in self.body or short in self.head:
                return short
        return name


def blocks_of(table: str) -> dict[str, list[Line]]:
    """Tên khối → các dòng của nó, xếp theo chỗ thụt vào."""
    blocks: dict[str, list[Line]] = {}
    stack: list[Line] = []
    for text in table.splitlines():
        words = text.strip()
        if not words or words.startswith("#"):
            continue
        if text.startswith("["):
            stack = [Line(-1, words, [])]
            for name in words.strip("[]").split():
                blocks[name] = stack[0].inside
            continue
        line = Line(len(text) - len(text.lstrip()), words, [])
        while stack[-1].indent >= line.indent:
            stack.pop()
        stack[-1].inside.append(line)
        stack.append(line)
    return blocks


def defaults_of(table: str) -> dict[str, dict[str, Any]]:
    """model_type → khoá → giá trị mặc định."""
    found: dict[str, dict[str, Any]] = {}
    own: dict[str, Any] = {}
    for line in table.split("\n"):
        words = line.split()
        if words and not line.startswith(" "):
            own = found.setdefault(words.pop(0), {})
        for word in words:
            key, _, value = word.partition("=")
            own[key] = ast.literal_eval(value)
    return found


BLOCKS = blocks_of(LAYOUTS)
CLASS_DEFAULTS = defaults_of(DEFAULTS)
PARSED: dict[str, ast.expr] = {}  # biểu thức của bảng, đã phân tích; bảng có vài trăm biểu thức


def parsed(text: str) -> ast.expr:
    """Cây của một biểu thức trong bảng. Chữ của config.json không bao giờ tới đây."""
    if text not in PARSED:
        PARSED[text] = ast.parse(text, mode="eval").body
    return PARSED[text]


def patches(size: Any, side: Any) -> int:
    """Số mảnh vuông của một ảnh; cỡ ảnh là một số, hay cao và rộng."""
    height, width = size if isinstance(size, list) and len(size) == 2 else (size, size)
    rows = number(height, "image_size") // positive(side, "patch_size")
    columns = number(width, "image_size") // positive(side, "patch_size")
    return whole(rows * columns, "image_size")


def length(value: Any) -> int:
    """Số phần tử của một danh sách."""
    if not isinstance(value, list):
        raise Bad("config-value", f"config.json có {told(value)} ở chỗ phải là một danh sách")
    return len(value)


def contains(values: Any, wanted: Any) -> bool:
    """Danh sách có phần tử đó không, hay chuỗi có chuỗi đó không."""
    if isinstance(values, str):
        return isinstance(wanted, str) and wanted in values
    return isinstance(values, list) and wanted in values


def told(value: Any) -> str:
    """Một giá trị của cấu hình, viết gọn; thứ lồng nhau thì chỉ nói là gì."""
    if isinstance(value, dict):
        return "một cấu hình con"
    if isinstance(value, list):
        return "một danh sách"
    if type(value) is int and abs(value) > SIZE_LIMIT:
        return "một số quá lớn"
    return "null" if value is None else show(value)


def number(value: Any, name: str) -> int | float:
    """Giá trị đó, khi nó là một số dùng được."""
    if value is None:
        raise Bad("config-value", f"config.json không có «{show(name)}»: không dựng được mô hình")
    if type(value) not in (int, float) or not -SIZE_LIMIT <= value <= SIZE_LIMIT:
        raise Bad("config-value", f"«{show(name)}» là {told(value)}: không phải một số dùng được")
    return value


def positive(value: Any, name: str) -> int | float:
    """Số lớn hơn 0."""
    if number(value, name) <= 0:
        raise Bad("config-value", f"«{show(name)}» là {told(value)}: phải lớn hơn 0")
    return value


def whole(value: Any, name: str = "") -> int:
    """Số nguyên không âm, trong giới hạn."""
    result = int(number(value, name))
    if result < 0 or (type(value) is float and result != value):
        raise Bad("config-value", f"«{show(name)}» là {told(value)}: không phải một số đếm")
    return result


def divided(left: int | float, right: int | float, left_name: str, right_name: str) -> int:
    """Thương, khi chia hết."""
    positive(right, right_name)
    if left % right:
        text = f"{left_name} = {left} không chia hết cho {right_name} = {right}: "
        raise Bad("config-heads", text + "mô hình như thế không chạy được")
    return int(left // right)


def truncated(value: Any) -> int:
    """Phần nguyên."""
    return int(number(value, "int"))


FUNCTIONS = {"patches": patches, "len": length, "int": truncated}


class Scope:
    """Giá trị của các chữ trong biểu thức: cấu hình, mặc định, và những tên đã đặt."""

    def __init__(self, family: str, config: dict[str, Any], values: dict[str, Any]) -> None:
        self.family = family
        self.config = config
        self.values = values
        self.parts: dict[str, Scope] = {}  # cấu hình con
        self.keys: dict[str, str] = {}  # tên đã đặt → khoá của config.json, để báo lỗi cho dễ hiểu

    def get(self, name: str) -> Any:
        """Giá trị của một chữ."""
        if name in self.values:
            return self.values[name]
        for key in (name, SAME_KEYS.get(name, name)):
            if key in self.config:
                return self.config[key]
        return CLASS_DEFAULTS[self.family].get(name)

    def define(self, name: str, text: str) -> None:
        """Đặt tên cho giá trị của một biểu thức."""
        self.values[name] = self.value(text)
        key = text.partition(" or ")[0]
        if key.isidentifier():
            self.keys[name] = self.keys.get(key, key)

    def label(self, node: ast.expr) -> str:
        """Một phần của biểu thức, viết bằng khoá của config.json khi được."""
        text = ast.unparse(node)
        return self.keys.get(text, text)

    def part(self, key: str, family: str) -> Scope:
        """Cấu hình con; config.json cũ để các khoá của nó ngay ở ngoài."""
        config = self.config.get(key, self.config)
        if config is None:
            config = {}
        if not isinstance(config, dict):
            raise Bad("config-value", f"«{key}» không phải một cấu hình")
        values = {"model_type": family, "head": "", "fused": self.values["fused"]}
        self.parts[key] = Scope(family, config, values)
        return self.parts[key]

    def true(self, text: str) -> bool:
        """Điều kiện này có đúng không; điều kiện rỗng thì đúng."""
        if not text:
            return True
        value = self.value(text)
        if value is not None and not isinstance(value, bool | int | float):
            raise Bad("config-value", f"«{text}» là {told(value)}: không phải đúng hay sai")
        return bool(value)

    def value(self, text: str) -> Any:
        """Giá trị của một biểu thức."""
        return self.evaluate(parsed(text))

    def size(self, text: str) -> int:
        """Một cạnh của tensor, hay một số lần lặp."""
        node = parsed(text)
        return whole(self.evaluate(node), self.label(node))

    def evaluate(self, node: ast.expr) -> Any:
        """Giá trị của một nút. Chỉ có vài loại nút; mọi loại khác là lỗi của bảng."""
        if isinstance(node, ast.Name):
            return self.get(node.id)
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.BinOp):
            return self.calculate(node)
        if isinstance(node, ast.BoolOp):
            return self.either(node)
        if isinstance(node, ast.UnaryOp):
            return not self.evaluate(node.operand)
        if isinstance(node, ast.Compare):
            return self.compare(node)
        return self.reach(node)

    def reach(self, node: ast.expr) -> Any:
        """Phần tử của danh sách, khoá của cấu hình con, lời gọi một hàm có sẵn, bộ giá trị."""
        if isinstance(node, ast.Subscript):
            values = self.evaluate(node.value)
            index = self.evaluate(node.slice)
            if not isinstance(values, list) or not 0 <= index < len(values):
                text = f"«{self.label(node.value)}» là {told(values)}: không đủ phần tử"
                raise Bad("config-value", text)
            return values[index]
        if isinstance(node, ast.Attribute):
            return self.parts[node.value.id].get(node.attr)
        if isinstance(node, ast.Tuple):
            return [self.evaluate(part) for part in node.elts]
        given = [self.evaluate(part) for part in node.args]
        return FUNCTIONS[node.func.id](*given)

    def calculate(self, node: ast.BinOp) -> int | float:
        """Một phép tính số học."""
        left = number(self.evaluate(node.left), self.label(node.left))
        right = number(self.evaluate(node.right), self.label(node.right))
        kind = type(node.op)
        if kind is ast.Add:
            return left + right
        if kind is ast.Sub:
            return left - right
        if kind is ast.Mult:
            return left * right
        if kind is ast.Div:
            return divided(left, right, self.label(node.left), self.label(node.right))
        if kind is ast.Pow:
            return left ** min(right, 64)
        positive(right, self.label(node.right))
        return left // right if kind is ast.FloorDiv else left % right

    def either(self, node: ast.BoolOp) -> Any:
        """«and», «or»: như Python."""
        wanted = isinstance(node.op, ast.Or)
        value: Any = None
        for part in node.values:
            value = self.evaluate(part)
            if bool(value) is wanted:
                return value
        return value

    def compare(self, node: ast.Compare) -> bool:
        """Một phép so sánh."""
        left = self.evaluate(node.left)
        right = self.evaluate(node.comparators[0])
        kind = type(node.ops[0])
        if kind is ast.Eq:
            return left == right
        if kind is ast.NotEq:
            return left != right
        if kind is ast.In:
            return contains(right, left)
        left = number(left, self.label(node.left))
        right = number(right, self.label(node.comparators[0]))
        if kind is ast.Lt:
            return left < right
        if kind is ast.Gt:
            return left > right
        return left >= right


class Builder:
    """Đọc các khối của bảng, dựng Layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.steps = 0
        self.in_head = False

    def block(self, name: str, scope: Scope, start: str) -> None:
        """Mọi dòng của một khối."""
        self.lines(BLOCKS[name], scope, start)

    def lines(self, lines: list[Line], scope: Scope, start: str) -> None:
        """Lần lượt từng dòng; `start` đứng trước mọi tên."""
        for line in lines:
            self.step()
            self.line(line, scope, start)

    def step(self) -> None:
        """Đếm việc: một cấu hình đòi hàng tỉ lớp không được làm công cụ chạy mãi."""
        self.steps += 1
        if self.steps > NAME_LIMIT:
            raise Bad("config-huge", f"config.json đòi hơn {NAME_LIMIT} tensor")

    def line(self, line: Line, scope: Scope, start: str) -> None:
        """Một dòng: từ đầu của nó nói nó là gì."""
        words = line.text.split()
        if words[0] == "use":
            inner = scope.part(words[3], words[1]) if len(words) > 2 else scope
            self.block(words[1], inner, start)
        elif words[0] == "head":
            self.head(line, scope, start)
        elif words[0] in ("prefix", "rename"):
            self.spelling(words, start)
        elif words[0] == "if":
            if scope.true(line.text[3:-1]):
                self.lines(line.inside, scope, start)
        elif words[1:2] == ["="]:
            text, condition = split_condition(line.text.partition(" = ")[2])
            if scope.true(condition):
                scope.define(words[0], text)
        else:
            self.repeat(line.text, line.inside, scope, start)

    def spelling(self, words: list[str], start: str) -> None:
        """Tiền tố, và tên cũ: chỉ của khối ngoài cùng."""
        if start:
            return
        if words[0] == "rename":
            self.layout.renames.append((re.compile(words[1]), words[2]))
        elif not self.layout.prefixes:
            self.layout.prefixes += words[1:]

    def head(self, line: Line, scope: Scope, start: str) -> None:
        """Những dòng riêng của một lớp."""
        if start or scope.values["head"] not in line.text.split()[1:]:
            return
        self.layout.head_known = True
        self.in_head = True
        self.lines(line.inside, scope, start)
        self.in_head = False

    def repeat(self, text: str, inside: list[Line], scope: Scope, start: str) -> None:
        """Tên có {…}: làm lại với từng giá trị. Không có thì là một nhóm hay một tensor."""
        before, brace, rest = text.partition("{")
        if not brace:
            self.name(text, inside, scope, start)
            return
        loop, _, after = rest.partition("}")
        variable, how, values = loop.split(" ", 2)
        choices: Iterable[Any] = values.split()
        if how == "<":
            choices = range(scope.size(values))
        for choice in choices:
            self.step()
            scope.values[variable] = choice
            self.repeat(f"{before}{choice}{after}", inside, scope, start)

    def name(self, text: str, inside: list[Line], scope: Scope, start: str) -> None:
        """Một nhóm, hay một tensor."""
        if inside:
            group, _, condition = text.partition(":")
            if scope.true(condition.strip().removeprefix("if ")):
                self.lines(inside, scope, f"{start}{group}.")
            return
        text, condition = split_condition(text)
        if scope.true(condition):
            self.tensor(text.split(), scope, start)

    def tensor(self, words: list[str], scope: Scope, start: str) -> None:
        """Ghi một tensor, hay một cặp weight và bias."""
        name = start + words.pop(0)
        shared = ""
        mark = ""
        if words[-2:-1] in (["tied"], ["copy"]):
            shared = words.pop()
            mark = words.pop()
        elif words[-1:] in (["usual"], ["optional"]):
            mark = words.pop()
        sizes = [scope.size(word) for word in words]
        stem = name.removesuffix("+bias")
        self.keep(stem, tuple(sizes), mark, shared, scope)
        if stem != name:
            self.keep(stem.removesuffix("weight") + "bias", (sizes[0],), mark, shared, scope)

    def keep(self, name: str, shape: tuple, mark: str, shared: str, scope: Scope) -> None:
        """Đưa một tensor vào Layout."""
        layout = self.layout
        place = layout.head if self.in_head else layout.body
        place[name] = shape
        if mark == "optional":
            layout.optional.add(name)
        if mark == "usual":
            layout.usual.add(name)
        if mark == "tied" and self.in_head and not layout.output:
            layout.output = name
        if mark == "copy" or (mark == "tied" and scope.get("tie_word_embeddings")):
            layout.copies[name] = shared


def split_condition(text: str) -> tuple[str, str]:
    """Phần trước và phần sau chữ «if» của một dòng."""
    before, _, after = text.partition(" if ")
    return before.strip(), after.strip()


def head_of(family: str, class_name: str) -> str:
    """Đuôi của tên lớp mà bảng có kể, dài nhất; rỗng khi bảng không kể lớp này."""
    names: set[str] = set()
    pending = list(BLOCKS[family])
    while pending:
        words = pending.pop().text.split()
        if words[0] == "head":
            names.update(words[1:])
        elif words[0] == "use" and len(words) == 2:
            pending += BLOCKS[words[1]]
    fitting = [name for name in names if class_name.endswith(name)]
    return max(fitting, key=len, default="")


def class_of(config: dict[str, Any]) -> str:
    """Lớp mà config.json nói mô hình thuộc về."""
    named = config.get("architectures")
    if isinstance(named, list) and named and isinstance(named[0], str):
        return named[0]
    return ""


def unfamiliar(config: dict[str, Any]) -> str:
    """Vì sao không suy ra được các tensor từ cấu hình này; rỗng khi suy ra được."""
    family = config.get("model_type")
    if config.get("auto_map"):
        return "kiến trúc nằm trong mã đi kèm"
    if config.get("quantization_config") or config.get("quantization"):
        return "mô hình đã lượng tử hoá"
    if config.get("pruned_heads"):
        return "mô hình đã bị cắt bớt đầu attention"
    if family is None:
        return "config.json không khai model_type"
    if not isinstance(family, str) or family not in CLASS_DEFAULTS:
        return f"công cụ không quen kiến trúc {told(family)}"
    return ""


def layout_of(config: dict[str, Any], names: Iterable[str] = ()) -> Layout | None:
    """Các tensor mà cấu hình đòi; None khi kiến trúc không quen. Bad khi cấu hình không dùng được.

    `names`: tên trong tệp, để biết tệp gộp các chuyên gia của MoE hay để riêng.
    """
    if unfamiliar(config):
        return None
    family = config["model_type"]
    layout = Layout(class_name=class_of(config))
    labels = config.get("id2label")
    count = config.get("num_labels", CLASS_DEFAULTS[family].get("num_labels", 2))
    values = {
        "model_type": family,
        "head": head_of(family, layout.class_name),
        "fused": any(name.endswith("experts.gate_up_proj") for name in names),
        "num_labels": len(labels) if isinstance(labels, dict) else count,
    }
    Builder(layout).block(family, Scope(family, config, values), "")
    for old, new in OLD_NAMES:
        layout.renames.append((re.compile(old), new))
    return layout


# --- Đối chiếu tensor trong tệp với cấu hình

EMBEDDING = re.compile(
    r"(?:^|\.)(?:wte|embed_tokens|word_embeddings|tok_embeddings|embed_in|shared)\.weight$"
)
LAYER = re.compile(r"^(.*?)(?:^|(?<=\.))(?:h|layers|layer|blocks)\.(\d{1,9})\.")
WIDTH_KEYS = (
    "embedding_size",
    "word_embed_proj_dim",
    "n_embd",
    "d_model",
    "hidden_size",
    "dim",
    "emb_dim",
)
LAYER_KEYS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


def check_model(
    config: dict[str, Any], tensors: dict[str, Tensor], where: str, folder: str, report: Report
) -> None:
    """Đối chiếu các tensor của một thư mục với config.json của nó."""
    tell_model(config, where, report)
    if config.get("architectures") and not isinstance(config.get("model_type"), str):
        text = "không khai model_type: AutoModel không biết đây là kiến trúc nào"
        report.add(WARNING, "config-value", where, text)
    reason = unfamiliar(config)
    report.complete[folder] = reason or "không đọc được tensor nào"
    if not tensors:
        return
    if any(name.startswith("base_model.") and ".base_layer." in name for name in tensors):
        text = (
            "tên tensor là của mô hình đang gắn adapter (base_model.….base_layer): from_pretrained "
        )
        text += "không nhận ra; hãy merge_and_unload rồi lưu lại"
        report.add(BROKEN, "model-wrapped", where, text)
    if all(name.startswith("base_model.") for name in tensors):
        report.complete[folder] = "chỉ có adapter, không có mô hình gốc"
        return
    if reason:
        check_roughly(config, tensors, where, report)
        return
    try:
        layout = layout_of(config, tensors)
    except Bad as problem:
        report.add(problem.level, problem.rule, where, str(problem))
        report.complete[folder] = "config.json không dựng được mô hình"
        return
    if layout is not None:
        report.complete[folder] = compare_model(layout, config, tensors, where, report)


def tell_model(config: dict[str, Any], where: str, report: Report) -> None:
    """Một dòng: cấu hình nói mô hình là gì."""
    parts = []
    if isinstance(config.get("model_type"), str):
        parts.append(f"model_type = {show(config['model_type'])}")
    elif isinstance(config.get("_class_name"), str):  # cấu hình của diffusers
        parts.append(show(config["_class_name"]))
    else:
        parts.append("không khai model_type")
    if class_of(config):
        parts.append(show(class_of(config)))
    if isinstance(config.get("transformers_version"), str):
        parts.append(f"transformers {show(config['transformers_version'])}")
    report.fact(f"{where}: {', '.join(parts)}")


def compare_model(
    layout: Layout,
    config: dict[str, Any],
    tensors: dict[str, Tensor],
    where: str,
    report: Report,
) -> str:
    """Thiếu gì, sai cỡ gì, thừa gì. Trả "" khi đủ, hay vì sao không nói được là đủ."""
    own: dict[str, str] = {}  # tên viết như trong bảng → tên trong tệp
    for name in tensors:
        own.setdefault(layout.plain(name), name)
    lost = missing_names(layout, own)
    wrong = []
    for name, shape in layout.all_shapes().items():
        if name in own and tensors[own[name]].shape != shape:
            wrong.append(name)
    strange = layout.class_name and not layout.head_known
    level = BROKEN
    if strange and len(lost) * 2 > len(layout.expected):  # lớp của ai đó, tên theo kiểu riêng
        level = WARNING
    tell_lost(lost, tensors, level, where, report)
    tell_wrong(wrong, layout, own, tensors, where, report)
    more = tell_extra(layout, config, own, where, report)
    apart = check_ties(layout, own, tensors, where, report)
    if lost or wrong or more or apart:
        return "các tensor không đúng như config.json đòi"
    absent = [name for name in sorted(layout.usual) if name not in own]
    if absent:
        text = f"không có «{show(absent[0])}»: phần này sẽ là số ngẫu nhiên nếu được dùng tới"
        report.add(WARNING, "model-usual", where, text)
        return f"không có «{show(absent[0])}»"
    if layout.head_known:
        return ""
    if strange:
        return f"phần thân đủ; lớp đầu ra của {show(layout.class_name)} thì công cụ không biết"
    return "phần thân đủ; config.json không nói lớp nào, nên không biết lớp đầu ra"


def missing_names(layout: Layout, own: dict[str, str]) -> list[str]:
    """Những tensor phải có mà không có."""
    present_copies = {layout.copies[name] for name in layout.copies if name in own}
    spared = layout.optional | layout.usual
    begun = {name.rpartition(".")[0] for name in spared if name in own}  # có một thì phải có cả
    lost = []
    for name in layout.all_shapes():
        if name in own or name in layout.copies or name in present_copies:
            continue
        if name in spared and name.rpartition(".")[0] not in begun:
            continue
        lost.append(name)
    return lost


def tell_lost(
    lost: list[str], tensors: dict[str, Tensor], level: str, where: str, report: Report
) -> None:
    """Nói những tensor bị thiếu."""
    if not lost:
        return
    for wrapper in WRAPPERS:
        if all(name.startswith(wrapper) for name in tensors):
            text = f"mọi tên tensor bắt đầu bằng «{wrapper}»: lưu từ một lớp bọc ngoài mô hình; "
            text += "from_pretrained không nhận ra tên nào, mô hình sẽ là số ngẫu nhiên"
            report.add(BROKEN, "model-wrapped", where, text)
            return
    text = f"thiếu {len(lost)} tensor mà config.json đòi, như «{show(lost[0])}»: "
    report.add(level, "model-missing", where, text + "chúng sẽ là số ngẫu nhiên")


def tell_wrong(
    wrong: list[str],
    layout: Layout,
    own: dict[str, str],
    tensors: dict[str, Tensor],
    where: str,
    report: Report,
) -> None:
    """Nói những tensor sai hình dạng; tensor rỗng nói riêng."""
    shapes = layout.all_shapes()
    empty = []
    other = []
    for name in wrong:
        blank = 0 in tensors[own[name]].shape and 0 not in shapes[name]
        (empty if blank else other).append(name)
    if empty:
        name = own[empty[0]]
        text = f"{len(empty)} tensor rỗng, như «{show(name)}» {sizes(tensors[name].shape)}: "
        text += "số nằm ở nơi khác khi lưu (như với ZeRO-3), và đã mất"
        report.add(BROKEN, "model-empty", where, text)
    if other:
        name = own[other[0]]
        wanted = sizes(shapes[other[0]])
        text = f"{len(other)} tensor khác cỡ mà config.json đòi, như «{show(name)}»: "
        text += f"tệp có {sizes(tensors[name].shape)}, cấu hình đòi {wanted}"
        report.add(BROKEN, "model-shape", where, text)


def sizes(shape: tuple[int, ...]) -> str:
    """Hình dạng, như người đọc quen: [3, 4]."""
    return str(list(shape))[:200]


def tell_extra(
    layout: Layout, config: dict[str, Any], own: dict[str, str], where: str, report: Report
) -> list[str]:
    """Nói những tensor mà kiến trúc không dùng; trả những tensor của lớp thừa."""
    shapes = layout.all_shapes()
    layers = []
    inside = []
    outside = []
    for name in own:
        if name in shapes or LEFTOVERS.search(name) or is_spare(name, config):
            continue
        if is_further(name, layout, shapes):
            layers.append(own[name])
        elif NUMBERED.search(name):
            inside.append(own[name])
        elif layout.head_known:
            outside.append(own[name])
    if layers:
        text = f"{len(layers)} tensor của những lớp mà config.json không kể, như "
        text += f"«{show(layers[0])}»: cấu hình không phải của tệp này"
        report.add(BROKEN, "model-layers", where, text)
    for level, names in ((WARNING, inside), (NOTE, outside)):
        if names:
            text = f"{len(names)} tensor mà {show(layout.class_name) or 'kiến trúc này'} không dùng"
            text += f", như «{show(names[0])}»: from_pretrained bỏ qua"
            report.add(level, "model-extra", where, text)
    return layers


def is_further(name: str, layout: Layout, shapes: dict[str, tuple[int, ...]]) -> bool:
    """Tên này có phải của một lớp (hay chuyên gia) nữa, như lớp 0 mà cấu hình có kể không."""
    for found in list(NUMBERED.finditer(name))[:DEPTH_LIMIT]:
        first = f"{name[: found.start(1)]}0{name[found.end(1) :]}"
        if layout.plain(first) in shapes:
            return True
    return False


def is_spare(name: str, config: dict[str, Any]) -> bool:
    """Tensor của lớp đoán thêm token (MTP của DeepSeek): tệp gốc có, thư viện không dùng."""
    found = LAYER.match(name)
    count = config.get("num_hidden_layers")
    more = config.get("num_nextn_predict_layers")
    if found is None or not is_count(count) or not is_count(more):
        return False
    return count <= int(found[2]) < count + more


def check_ties(
    layout: Layout,
    own: dict[str, str],
    tensors: dict[str, Tensor],
    where: str,
    report: Report,
) -> list[str]:
    """Trọng số dùng chung mà cả hai bản nằm trong tệp thì phải như nhau; trả những tên khác."""
    apart = []
    for name, origin in layout.copies.items():
        if name in own and origin in own:
            if same_data(tensors[own[name]], tensors[own[origin]]) is False:
                apart.append(name)
    if apart:
        name = own[apart[0]]
        origin = own[layout.copies[apart[0]]]
        text = f"theo config.json, «{show(name)}» dùng chung trọng số với «{show(origin)}», mà "
        text += "trong tệp chúng khác nhau: mỗi bản transformers tải một kiểu"
        report.add(BROKEN, "model-tie", where, text)
    if layout.output:
        shared = layout.output in layout.copies
        text = "dùng chung trọng số với" if shared else "tách khỏi"
        report.fact(f"{where}: lớp đầu ra {text} embedding")
    return apart


def same_data(one: Tensor, other: Tensor) -> bool | None:
    """Hai tensor có cùng kiểu, hình dạng và từng byte không; None khi không biết được."""
    if one[:2] != other[:2]:
        return False
    if one.place == other.place:
        return True
    if isinstance(one.place[0], Path) and isinstance(other.place[0], Path):
        return digest_of(one) == digest_of(other)
    if one.place[0] == other.place[0] == "crc":  # cùng cỡ, cùng cách đọc, mà CRC khác
        alike = one.place[2:] == other.place[2:] and one.place[1][1] == other.place[1][1]
        return False if alike else None
    return None


def digest_of(tensor: Tensor) -> str:
    """SHA-256 của dữ liệu một tensor nằm trong tệp safetensors."""
    path, begin, end = tensor.place
    with open_regular(path) as stream:
        return sha256(stream, begin, end)


# --- Kiến trúc không quen: chỉ vài điều chung, và chỉ cảnh báo


def check_roughly(
    config: dict[str, Any], tensors: dict[str, Tensor], where: str, report: Report
) -> None:
    """Vài điều thường đúng với mọi mô hình ngôn ngữ."""
    check_wrapped(tensors, where, report)
    check_embedding(config, tensors, where, report)
    if config.get("quantization_config") or config.get("quantization"):
        check_quantized(config, tensors, where, report)
        return  # tensor đã nén: tên và cỡ theo cách của từng kiểu nén
    check_sizes_alike(tensors, where, report)
    stacks: dict[str, dict[int, set[str]]] = {}
    for name in tensors:
        found = LAYER.match(name)
        if found:
            layers = stacks.setdefault(found[1], {})
            layers.setdefault(int(found[2]), set()).add(name[found.end() :])
    if not stacks:
        return
    longest = max(stacks.values(), key=len)
    check_depth(config, longest, where, report)
    check_alike(longest, where, report)


def check_wrapped(tensors: dict[str, Tensor], where: str, report: Report) -> None:
    """Mọi tên mang tiền tố của một lớp bọc ngoài mô hình."""
    for wrapper in WRAPPERS:
        if all(name.startswith(wrapper) for name in tensors):
            level = WARNING if wrapper == "module." else BROKEN  # «module» cũng là tên thường gặp
            text = f"mọi tên tensor bắt đầu bằng «{wrapper}»: lưu từ một lớp bọc ngoài mô hình"
            report.add(level, "model-wrapped", where, text)


def check_quantized(
    config: dict[str, Any], tensors: dict[str, Tensor], where: str, report: Report
) -> None:
    """GPTQ và AWQ lưu trọng số đã nén trong các tensor «qweight»."""
    told = config.get("quantization_config")
    method = told.get("quant_method") if isinstance(told, dict) else None
    if method in ("gptq", "awq") and not any(name.endswith(".qweight") for name in tensors):
        text = f"nói mô hình đã lượng tử hoá bằng {method} mà không tensor «qweight» nào có mặt"
        report.add(WARNING, "config-value", where, text)


def check_sizes_alike(tensors: dict[str, Tensor], where: str, report: Report) -> None:
    """Đúng một tensor có cỡ khác mọi tensor cùng tên ở các lớp khác."""
    groups: dict[tuple[str, str], dict[tuple[int, ...], list[str]]] = {}
    for name, tensor in tensors.items():
        found = LAYER.match(name)
        if found:
            sizes_seen = groups.setdefault((found[1], name[found.end() :]), {})
            sizes_seen.setdefault(tensor.shape, []).append(name)
    odd = []
    for sizes_seen in groups.values():
        few, *rest = sorted(sizes_seen.values(), key=len)
        if len(few) == 1 and len(rest) == 1 and len(rest[0]) >= 3:
            odd.append(few[0])
    if len(odd) == 1:  # kiến trúc pha nhiều kiểu lớp thì khác ở nhiều tensor cùng lúc
        text = f"«{show(odd[0])}» khác cỡ tensor cùng tên ở mọi lớp khác"
        report.add(WARNING, "config-alike", where, text)


def first_count(config: dict[str, Any], keys: tuple[str, ...]) -> int | None:
    """Số đếm đầu tiên mà cấu hình ghi dưới một trong các khoá."""
    for key in keys:
        if is_count(config.get(key)):
            return config[key]
    return None


def check_embedding(
    config: dict[str, Any], tensors: dict[str, Tensor], where: str, report: Report
) -> None:
    """Embedding có đúng số token và bề rộng mà cấu hình nói không."""
    rows = config.get("vocab_size")
    width = first_count(config, WIDTH_KEYS)
    if not is_count(rows):
        return
    for name, tensor in tensors.items():
        if not EMBEDDING.search(name) or len(tensor.shape) != 2:
            continue
        if tensor.shape != (rows, width or tensor.shape[1]):
            text = f"nói {rows} token, rộng {width}, mà «{show(name)}» là {sizes(tensor.shape)}"
            report.add(WARNING, "config-embedding", where, text)


def check_depth(
    config: dict[str, Any], layers: dict[int, set[str]], where: str, report: Report
) -> None:
    """Số lớp có như cấu hình nói không."""
    told = first_count(config, LAYER_KEYS)
    if told is None or config.get("is_encoder_decoder"):
        return
    more = config.get("num_nextn_predict_layers")
    most = told + (more if is_count(more) else 0)
    highest = max(layers)
    if not told <= highest + 1 <= most or len(layers) != highest + 1:
        text = f"nói {told} lớp, các tensor có {len(layers)} lớp, cao nhất là {highest}"
        report.add(WARNING, "config-layers", where, text)


def check_alike(layers: dict[int, set[str]], where: str, report: Report) -> None:
    """Lớp nào thiếu thứ mà mọi lớp khác đều có, và không có gì riêng thay vào."""
    if len(layers) < 3:
        return
    counts: dict[str, int] = {}
    for names in layers.values():
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    for layer, names in sorted(layers.items()):
        own = [name for name in names if counts[name] < len(layers) - 1]
        gone = []
        for name, count in counts.items():
            if count == len(layers) - 1 and name not in names:
                gone.append(name)
        if gone and not own:
            text = f"lớp {layer} thiếu {len(gone)} tensor mà mọi lớp khác có, như «{show(gone[0])}»"
            report.add(WARNING, "config-alike", where, text)
            return


# --- Thư mục: tìm mọi tệp


LITTER = {  # hệ điều hành, git hay công cụ tải tự thêm: không thuộc mô hình, không vào bản kê
    ".DS_Store": "của macOS",
    "Thumbs.db": "của Windows",
    "desktop.ini": "của Windows",
    ".git": "của git",
}
DOWNLOAD_CACHE = ".cache/huggingface"  # hf download --local-dir ghi ở đây
APPLE_DOUBLE = b"\0\5\x16\7"  # mở đầu của tệp ._x mà macOS ghi cạnh tệp x
NEVER_FOLDERS = {".safetensors", ".json", ".bin"}  # đuôi chỉ dành cho tệp


def litter_of(name: str) -> str:
    """Thứ này do ai thêm vào, không thuộc mô hình; rỗng khi không phải. Chỉ nhìn tên."""
    parts = name.split("/")
    for part in parts:
        if part in LITTER:
            return f"{LITTER[part]}, không thuộc mô hình"
    if f"/{DOWNLOAD_CACHE}/" in f"/{name}/":
        return "của công cụ tải về, không thuộc mô hình"
    return ""


def is_litter(name: str) -> bool:
    """Tên của thứ mà hệ điều hành, git hay công cụ tải tự thêm."""
    return litter_of(name) != "" or name.rpartition("/")[2].startswith("._")


def is_ignored(name: str, report: Report) -> bool:
    """Người dùng có dặn bỏ qua không: mẫu được so với cả tên, và với từng phần của tên."""
    candidates = [name, *name.split("/")]
    for pattern in report.ignored:
        for candidate in candidates:
            if fnmatch.fnmatchcase(candidate, pattern.rstrip("/")):
                return True
    return False


def is_apple_double(name: str, path: Path) -> bool:
    """Tệp ._x mà macOS ghi cạnh tệp x: chỉ chứa thuộc tính, không thư viện nào đọc."""
    if not name.rpartition("/")[2].startswith("._"):
        return False
    with open_regular(path) as stream:
        return stream.read(4) == APPLE_DOUBLE


def check_litter(path: Path, name: str, report: Report) -> None:
    """Tên của hệ điều hành không che được mã lạ: chỉ tìm điều nguy hiểm trong tệp đó."""
    if not path.is_file() or path.is_symlink():
        return
    quiet = Report("")
    guard(quiet, name, lambda: check_file(path, name, quiet))
    for finding in quiet.findings:
        if finding.level == DANGER:
            report.add(*finding)


def blobs_of(folder: Path) -> Path | None:
    """Nơi bộ nhớ đệm của Hub giữ nội dung cho `models--…/snapshots/<hash>/…`; None ở nơi khác."""
    parts = folder.parts
    for place in range(len(parts) - 2):
        if parts[place].startswith("models--") and parts[place + 1] == "snapshots":
            return Path(*parts[: place + 1], "blobs")
    return None


class Walk:
    """Một chuyến đi qua mọi thư mục con. Không mở gì cả, trừ bốn byte đầu của những tệp ._x."""

    def __init__(self, root: Path, report: Report) -> None:
        self.root = root
        self.real = Path(os.path.realpath(root))
        self.report = report
        self.files: dict[str, Path] = {}
        self.pending = [""]  # những thư mục còn phải xem
        self.seen = 0
        self.followed: set[Path] = set()  # tệp thật ở cuối những liên kết đã đi theo

    def run(self) -> dict[str, Path]:
        """Xem từng thư mục cho tới hết, hay tới giới hạn."""
        while self.pending:
            folder = self.pending.pop()
            for entry in self.entries(folder):
                self.seen += 1
                if self.seen > FILE_LIMIT:
                    text = f"hơn {counted(FILE_LIMIT)} tệp và thư mục: phần còn lại chưa được soi"
                    self.report.add(UNCLEAR, "too-many-files", ".", text)
                    return self.files
                self.take(f"{folder}{entry.name}", entry)
        self.drop_blobs()
        return self.files

    def entries(self, folder: str) -> list[os.DirEntry[str]]:
        """Những thứ trong một thư mục, theo thứ tự tên."""
        try:
            with os.scandir(self.root / folder) as found:
                return sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            text = f"không đọc được thư mục: {show(error.strerror)}"
            self.report.add(BROKEN, "unreadable", folder or ".", text)
            return []

    def take(self, name: str, entry: os.DirEntry[str]) -> None:
        """Nhận một tệp, xếp một thư mục vào hàng chờ, hay nói vì sao không."""
        if is_ignored(name, self.report):
            self.report.skip(name, "bỏ qua theo --ignore")
            return
        litter = litter_of(name)
        if litter:
            self.report.skip(name, litter)
            check_litter(self.root / name, name, self.report)
            return
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
            target: Path | None = self.root / name
            if stat.S_ISLNK(mode):
                target = self.follow(name)
            if target is not None:
                self.sort(name, target, os.lstat(target).st_mode)
        except (OSError, ValueError, RuntimeError):
            text = "liên kết hỏng, vòng quanh, hay không xem được"
            self.report.add(BROKEN, "link-broken", name, text)

    def follow(self, name: str) -> Path | None:
        """Tệp thật ở cuối một liên kết; None khi không đi theo."""
        target = Path(os.path.realpath(self.root / name, strict=True))
        mode = os.lstat(target).st_mode
        if not target.is_relative_to(self.real):
            blobs = blobs_of((self.real / name).parent)
            if target.parent != blobs or not stat.S_ISREG(mode):
                text = "liên kết ra ngoài thư mục: không đi theo, tệp này chưa được soi"
                self.report.add(UNCLEAR, "link-outside", name, text)
                return None
        elif stat.S_ISDIR(mode):
            text = "liên kết tới một thư mục ở trong: không đi theo"
            self.report.add(NOTE, "link-folder", name, text)
            return None
        self.followed.add(target)
        return target

    def sort(self, name: str, target: Path, mode: int) -> None:
        """Xếp theo loại: tệp thường, thư mục, hay thứ khác."""
        if stat.S_ISREG(mode):
            if guard(self.report, name, lambda: is_apple_double(name, target)):
                self.report.skip(name, "tệp phụ của macOS, không thuộc mô hình")
                check_litter(target, name, self.report)
            else:
                self.files[name] = target
        elif not stat.S_ISDIR(mode):
            text = "không phải tệp thường (ống, thiết bị, …): không mở"
            self.report.add(BROKEN, "not-regular", name, text)
        elif Path(name).suffix in NEVER_FOLDERS:
            self.report.add(BROKEN, "not-a-file", name, "phải là tệp mà lại là thư mục")
        else:
            self.pending.append(f"{name}/")

    def drop_blobs(self) -> None:
        """Nội dung trong `blobs/` mà một snapshot đã trỏ tới thì được soi dưới tên ở snapshot."""
        for target in self.followed:
            if target.parent.name != "blobs" or not target.is_relative_to(self.real):
                continue
            name = target.relative_to(self.real).as_posix()
            if name in self.files:
                del self.files[name]  # được soi dưới tên của nó trong snapshots/


def walk(root: Path, report: Report) -> dict[str, Path]:
    """Mọi tệp thường dưới thư mục, tên kiểu POSIX."""
    return Walk(root, report).run()


# --- Thư mục: các tệp của một thư mục, và JSON trong đó

LIBRARY_JSON = re.compile(
    r"(?:[\w.-]*config|[\w.-]*\.index(?:\.\w+)?|(?:modular_)?model_index|tokenizer|vocab"
    r"|added_tokens|special_tokens_map|chat_template|modules|trainer_state|tekken|byte_maps"
    r"|normalizer|entity_vocab|vocab-src|vocab-tgt)\.json"
)
# được dùng lại sau khi đọc; tệp JSON khác chỉ cần đọc được
KEPT_JSON = word_set(
    "config.json adapter_config.json model_index.json modules.json router_config.json "
    "tokenizer_config.json special_tokens_map.json trainer_state.json"
)
TABLES = ("config.json", "adapter_config.json", "tokenizer_config.json", "generation_config.json")
VOCABULARY_JSON = ("tokenizer.json", "vocab.json", "added_tokens.json")
NEEDED_SUFFIXES = {".model", ".spm", ".jinja", ".codes", ".tiktoken", ".vocab"}
NEEDED_NAMES = {"vocab.txt", "merges.txt", "dict.txt"}  # .txt khác thì rỗng cũng được
CODE_SUFFIXES = word_set(".py .pyc .pyd .so .dll .dylib .exe .sh .bat .ps1 .jar .js .whl")
# trọng số ở những dạng mà công cụ này không đọc thành tensor
FOREIGN = word_set(".onnx .gguf .h5 .msgpack .tflite .distcp .npz .keras .pb .ot .mlpackage")
TRUSTED_LIBRARIES = ("transformers", "diffusers", "sentence_transformers", "peft", "torch", "timm")
ERROR_KEYS = {"error", "errors", "message", "detail", "status", "statusCode"}
UNFINISHED = {".tmp", ".incomplete", ".part", ".partial", ".crdownload", ".download", ".aria2"}
KEY_LIMIT = 1_000  # tên mà một tệp cấu hình kể ra: mô-đun đích, mô-đun, phần của pipeline


class Ids(NamedTuple):
    """Id trong một tệp từ vựng: của từ vựng, và của những token thêm vào."""

    vocabulary: list[Any]
    added: list[Any]
    contents: dict[Any, Any]  # chữ của token thêm vào → id


@dataclass
class Folder:
    """Một thư mục: các tệp nằm ngay trong đó, theo tên trong thư mục."""

    name: str  # «» hay «unet/»
    files: dict[str, Path]
    weights: dict[str, Weights]
    parsed: dict[str, Any] = field(default_factory=dict)
    ids: dict[str, Ids] = field(default_factory=dict)  # theo tệp từ vựng
    owner: str = ""  # lớp mà modules.json hay model_index.json ở trên giao cho thư mục này
    foreign: str = ""  # một tệp trọng số dạng khác, ở trong hay ở dưới
    children: set[str] = field(default_factory=set)  # tên các thư mục con
    spoken: set[str] = field(default_factory=set)  # những tệp đã bị nói là hỏng hay chưa rõ
    alone: bool = False  # các thư mục con không được cho biết
    tree: dict[str, Folder] = field(default_factory=dict)  # mọi thư mục của checkpoint, theo tên

    def at(self, name: str) -> str:
        """Tên đầy đủ của một tệp trong thư mục này."""
        return f"{self.name}{name}"

    def child(self, name: str) -> Folder | None:
        """Thư mục con; tên rỗng là chính nó."""
        return self.tree.get(f"{self.name}{name.rstrip('/')}/") if name else self

    def table(self, name: str) -> dict[str, Any] | None:
        """Nội dung của một tệp JSON, khi đó là một từ điển."""
        content = self.parsed.get(name)
        return content if isinstance(content, dict) else None


def check_tree(files: dict[str, Path], weights: dict[str, Weights], report: Report) -> None:
    """Đối chiếu các tệp trong từng thư mục, và các thư mục của cùng một mô hình, với nhau."""
    tree = tree_of(files, weights)
    spoken = spoken_of(report)
    for folder in tree.values():
        folder.spoken = spoken
    for _, folder in sorted(tree.items()):
        guard(report, folder.name or ".", lambda folder=folder: read_folder(folder, report))
    for _, folder in sorted(tree.items()):
        guard(report, folder.name or ".", lambda folder=folder: mark_owned(folder))
    for _, folder in sorted(tree.items()):
        compare_folder(folder, report)


def check_folder(
    folder: str, files: dict[str, Path], weights: dict[str, Weights], report: Report
) -> None:
    """Đối chiếu các tệp nằm ngay trong một thư mục, theo tên trong thư mục đó."""
    alone = Folder(folder, files, weights, spoken=spoken_of(report), alone=True)
    alone.tree[folder] = alone
    for name in files:
        if Path(name).suffix in FOREIGN:
            alone.foreign = name
    read_folder(alone, report)
    compare_folder(alone, report)


def spoken_of(report: Report) -> set[str]:
    """Những tệp đã bị nói là nguy hiểm, hỏng hay chưa rõ."""
    heavy = (DANGER, BROKEN, UNCLEAR)
    return {finding.where for finding in report.findings if finding.level in heavy}


def tree_of(files: dict[str, Path], weights: dict[str, Weights]) -> dict[str, Folder]:
    """Mọi thư mục của checkpoint, theo tên."""
    tree = {"": Folder("", {}, {})}
    tree[""].tree = tree
    for name, path in files.items():
        above, _, own = name.rpartition("/")
        folder = add_folder(tree, f"{above}/" if above else "")
        folder.files[own] = path
        if name in weights:
            folder.weights[own] = weights[name]
        if Path(own).suffix in FOREIGN:
            mark_foreign(tree, folder.name, name)
    return tree


def parent_of(folder: str) -> str:
    """Thư mục chứa thư mục này."""
    return folder[: folder.rstrip("/").rfind("/") + 1]


def add_folder(tree: dict[str, Folder], name: str) -> Folder:
    """Thư mục này trong cây; thêm nó và những thư mục chứa nó khi chưa có."""
    wanted = name
    while name not in tree:
        tree[name] = Folder(name, {}, {}, tree=tree)
        name = parent_of(name)
    child = wanted
    while child:
        own = child[len(parent_of(child)) : -1]
        children = tree[parent_of(child)].children
        if own in children:
            break
        children.add(own)
        child = parent_of(child)
    return tree[wanted]


def mark_foreign(tree: dict[str, Folder], folder: str, name: str) -> None:
    """Ghi tên một tệp trọng số dạng khác vào thư mục của nó và mọi thư mục chứa thư mục đó."""
    while not tree[folder].foreign:
        tree[folder].foreign = name
        if not folder:
            break
        folder = parent_of(folder)


def mark_owned(folder: Folder) -> None:
    """Ghi vào từng phần của một pipeline, từng mô-đun, lớp mà nó thuộc về."""
    for part, library, kind in listed_parts(folder.table("model_index.json") or {}):
        child = folder.child(part)
        if child is not None:
            child.owner = f"{library}.{kind}"
    for source in MODULE_LISTS:
        for path, kind in listed_modules(folder, source):
            child = folder.child(path)
            if child is not None:
                child.owner = kind


def read_folder(folder: Folder, report: Report) -> None:
    """Đọc các tệp JSON; nói về tệp mã, tệp tạm và tệp chỉ đứng thay cho tệp thật."""
    for name, path in folder.files.items():
        where = folder.at(name)
        suffix = Path(name).suffix.lower()
        if suffix == ".json":
            read_table(folder, name, report)
        elif suffix in NEEDED_SUFFIXES | FOREIGN or name in NEEDED_NAMES:
            guard(report, where, lambda path=path: check_placeholder(path))
        if suffix in CODE_SUFFIXES:
            guard(report, where, lambda path=path, where=where: check_code(path, where, report))
        if name.startswith(".tmp") or suffix in UNFINISHED:
            text = "tệp tạm còn sót lại sau một lần lưu hay tải dở"
            report.add(NOTE, "temporary", where, text)


def check_placeholder(path: Path) -> None:
    """Con trỏ Git LFS, trang web hay tệp rỗng ở chỗ của một tệp mà thư viện cần."""
    with open_regular(path) as stream:
        told = placeholder_of(stream.read(512), size_of(stream))
    if told:
        raise Bad("placeholder", told)


def check_code(path: Path, where: str, report: Report) -> None:
    """Một tệp mã đi kèm; `__init__.py` rỗng thì không nói gì."""
    with open_regular(path) as stream:
        if size_of(stream) == 0:
            return
    text = "một tệp mã: công cụ không đọc nó; đừng cho chương trình nào chạy nó khi chưa tự đọc"
    report.add(UNCLEAR, "code-file", where, text)


def read_table(folder: Folder, name: str, report: Report) -> None:
    """Đọc một tệp JSON: của thư viện thì phải lành, và không được gọi mã ở nơi khác."""
    where = folder.at(name)
    path = folder.files[name]
    if not LIBRARY_JSON.fullmatch(name):
        try:
            tell_code(read_json(path), where, report)  # config.json có thể chỉ tới tệp này
        except (Bad, OSError, MemoryError) as error:
            text = f"{error}; không thư viện nào đọc tệp này để tải mô hình"
            report.add(NOTE, "other-json", where, text)
        return
    content = guard(report, where, lambda: read_library_json(path))
    tell_code(content, where, report)
    if name in KEPT_JSON or INDEX.fullmatch(name):
        folder.parsed[name] = content
    if name in VOCABULARY_JSON and content is not None:
        ids = guard(report, where, lambda: read_ids(name, content))
        if ids is not None:
            folder.ids[name] = ids


def read_library_json(path: Path) -> Any:
    """Một JSON mà thư viện đọc; máy chủ từ chối thì có khi chính lời từ chối được lưu thành tệp."""
    content = read_json(path)
    if isinstance(content, dict) and content and content.keys() <= ERROR_KEYS:
        raise Bad("placeholder", "là lời báo lỗi của máy chủ, không phải tệp cần tải về")
    if path.name in TABLES and not isinstance(content, dict):
        raise Bad(
            "json-value", "JSON này phải là một bảng {…} mà không phải: không thư viện nào đọc được"
        )
    return content


def tell_code(content: Any, where: str, report: Report) -> None:
    """Nói về mọi chỗ trong một JSON đòi chạy mã ở nơi khác."""
    for text in sorted(code_named(content)):
        report.add(UNCLEAR, "custom-code", where, text)


def code_named(content: Any) -> set[str]:
    """Những chỗ trong một JSON đòi chạy mã không thuộc thư viện quen, ở mọi tầng."""
    found = set()
    pending = [content]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending += part
        if not isinstance(part, dict):
            continue
        pending += part.values()
        for key in part.keys() & CODE_KEYS.keys():
            if is_foreign_code(key, part[key]):
                found.add(f"{key}: {CODE_KEYS[key]}")
    return found


CODE_KEYS = {
    "auto_map": "đòi chạy mã kèm theo; đừng bật trust_remote_code với nơi không tin",
    "custom_pipelines": "đòi chạy mã kèm theo; đừng bật trust_remote_code với nơi không tin",
    "trust_remote_code": "tệp tự bật việc chạy mã đi kèm",
    "parent_library": "AutoPeftModel nhập một mô-đun không thuộc thư viện quen",
    "attn_implementation": "đòi tải một nhân (kernel) từ kho khác: đó là mã chạy được",
    "activation_function": "gọi tên một lớp không thuộc torch",
    "activation_fn": "gọi tên một lớp không thuộc torch",
    "sbert_ce_default_activation_function": "gọi tên một lớp không thuộc torch",
}


def is_foreign_code(key: str, value: Any) -> bool:
    """Giá trị của khoá này có đòi mã ngoài những thư viện quen không."""
    if key == "trust_remote_code":
        return value is True
    if key in ("auto_map", "custom_pipelines"):
        return bool(value)
    if key == "attn_implementation":
        return "/" in str(value) and not str(value).startswith("kernels-community/")
    if not isinstance(value, str) or (key != "parent_library" and "." not in value):
        return False
    return value.partition(".")[0] not in TRUSTED_LIBRARIES


def compare_folder(folder: Folder, report: Report) -> None:
    """Đối chiếu các tệp của một thư mục, mỗi loại thư mục một hàm."""
    checks: tuple[Callable[[Folder, Report], None], ...] = (
        check_empty,
        check_weights,
        check_adapter,
        check_pipeline,
        check_modules,
        check_trainer,
        check_accelerate,
        check_distributed,
        check_tokenizer,
    )
    for check in checks:
        guard(report, folder.name or ".", lambda check=check: check(folder, report))


def is_hollow(name: str, tensor: Tensor) -> bool:
    """Một trọng số không có số nào. Tensor đếm, như số bước, thì được rỗng."""
    own = name.rpartition(".")[2]
    return tensor.shape == (0,) and (tensor.dtype in FLOATS or own.endswith("weight"))


def check_empty(folder: Folder, report: Report) -> None:
    """Tensor rỗng ở chỗ của trọng số: ZeRO-3 để lại như vậy khi tham số chưa được gom."""
    for name, weights in folder.weights.items():
        if is_state_file(name):
            continue
        hollow = []
        for own, tensor in weights.tensors.items():
            if is_hollow(own, tensor):
                hollow.append(own)
        if hollow:
            text = f"{len(hollow)} trọng số rỗng, như «{show(min(hollow))}»"
            text += ": như ZeRO-3 để lại khi tham số chưa được gom về một máy"
            report.add(BROKEN, "empty-tensor", folder.at(name), text)


# --- Thư mục: bộ trọng số và index.json

INDEX = re.compile(r"(?P<stem>.+)(?P<end>\.safetensors|\.bin)\.index(?:\.(?P<variant>\w+))?\.json")
OLD_WEIGHTS = re.compile(r"(?:diffusion_)?pytorch_model.*\.bin")
LOADED_FIRST = (  # thứ tự mà transformers, rồi diffusers, tìm bộ trọng số
    "model.safetensors",
    "pytorch_model.bin",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.bin",
)
INDEX_FIRST = LOADED_FIRST[2:]  # diffusers hỏi index.json trước; transformers hỏi tệp lẻ trước
VARIANT = re.compile(r"(?:pytorch_)?model\.(?!safetensors$|bin$)\w+\.(?:safetensors|bin)")
MODEL_KEYS = {"model_type", "architectures", "_class_name"}


@dataclass
class WeightSet:
    """Một bộ trọng số: một tệp lẻ, hay các mảnh và index.json của chúng."""

    name: str  # tên của tệp lẻ, như «model.safetensors»
    whole: bool = False  # tệp lẻ có đó
    index: str = ""  # tên của index.json
    promised: dict[str, set[str]] = field(default_factory=dict)  # theo index: tệp → tên tensor
    shards: list[str] = field(default_factory=list)  # các mảnh có trên đĩa

    @property
    def shards_used(self) -> bool:
        """Thư viện tải các mảnh, không tải tệp lẻ."""
        if self.name in INDEX_FIRST:
            return self.index != ""
        return not self.whole

    def here(self, folder: Folder) -> list[str]:
        """Những tệp mà index.json nhắc tới và có trên đĩa."""
        return [name for name in self.promised if name in folder.files]


def weight_sets(folder: Folder, report: Report) -> dict[str, WeightSet]:
    """Các bộ trọng số của một thư mục, trừ của adapter."""
    sets: dict[str, WeightSet] = {}
    for name in sorted(folder.files):
        index = INDEX.fullmatch(name)
        shard = SHARD.match(name)
        if index is not None:
            variant = f".{index['variant']}" if index["variant"] else ""
            key = f"{index['stem']}{variant}{index['end']}"
            found = sets.setdefault(key, WeightSet(key))
            found.index = name
            report.recognised = True
            promised = guard(
                report, folder.at(name), lambda name=name: read_index(folder, name, report)
            )
            found.promised = promised or {}
        elif not name.endswith(".safetensors") and not OLD_WEIGHTS.fullmatch(name):
            continue
        elif shard is not None:
            key = shard[1] + shard[4]
            sets.setdefault(key, WeightSet(key)).shards.append(name)
        elif not name.startswith("adapter_"):
            sets.setdefault(name, WeightSet(name)).whole = True
    return sets


def read_index(folder: Folder, name: str, report: Report) -> dict[str, set[str]]:
    """Index.json: mỗi tệp phải chứa những tensor nào."""
    content = folder.table(name) or {}
    table = content.get("weight_map")
    if not isinstance(table, dict) or not table:
        raise Bad("index-syntax", "không có weight_map đọc được")
    promised: dict[str, set[str]] = {}
    for tensor, file in table.items():
        if not isinstance(file, str):
            raise Bad("index-syntax", "không có weight_map đọc được")
        promised.setdefault(file, set()).add(tensor)
    check_pointers(promised, folder.at(name), report)
    return promised


def check_pointers(promised: Iterable[str], where: str, report: Report) -> None:
    """Index.json chỉ được nhắc tới tệp trọng số nằm cạnh nó."""
    outside = []
    strange = []
    for file in promised:
        odd = "/" in file or "\\" in file or "\0" in file or ":" in file
        if odd or file in ("", ".", ".."):
            outside.append(file)
        elif not file.endswith((".safetensors", ".bin")):
            strange.append(file)
    if outside:
        text = f"trỏ tới «{show(min(outside))}»: chỉ được là tên tệp trong thư mục này"
        report.add(DANGER, "index-outside", where, text)
    if strange:
        text = f"trỏ tới «{show(min(strange))}», không phải tệp trọng số"
        report.add(BROKEN, "index-syntax", where, text)


def chosen_set(folder: Folder, sets: dict[str, WeightSet]) -> WeightSet | None:
    """Bộ mà thư viện tải: theo cấu hình, theo thứ tự của thư viện, hay bộ duy nhất có đó."""
    config = folder.table("config.json") or {}
    named = config.get("transformers_weights")
    for found in sets.values():
        if isinstance(named, str) and named in (found.name, found.index):
            return found
    for name in LOADED_FIRST:
        if name in sets and (sets[name].whole or sets[name].index):
            return sets[name]
    variants = []
    others = []
    for name, found in sets.items():
        stem = name.partition(".")[0]
        known = any(first.startswith(f"{stem}.") for first in LOADED_FIRST)
        if known and (found.whole or found.index):
            variants.append(found)
        elif found.whole:
            others.append(found)
    if variants:
        return variants[0]
    return others[0] if len(others) == 1 else None


def check_weights(folder: Folder, report: Report) -> None:
    """Bộ trọng số nào được tải, nó có đủ tệp không, và có khớp cấu hình không."""
    sets = weight_sets(folder, report)
    chosen = chosen_set(folder, sets)
    whole = True  # mọi tệp của bộ được chọn đều có đó
    for found in sets.values():
        sound = check_set(folder, found, chosen, report)
        if found is chosen:
            whole = sound
    both = {name for name in LOADED_FIRST[:2] if name in sets and is_usable(folder, sets[name])}
    if len(both) == 2 and chosen is not None:
        text = f"hai bộ trọng số trong một thư mục: thư viện chọn {chosen.name}"
        report.add(WARNING, "two-sets", folder.at("pytorch_model.bin"), text)
    tensors = tensors_of(folder, chosen) if chosen is not None and whole else None
    if chosen is not None and tensors is None and chosen.whole:
        check_hollow_file(folder, chosen.name, report)
    config = folder.table("config.json") or {}
    if chosen is not None and not chosen.index and "model_type" in config:
        check_name(folder, chosen.name, report)
    check_config(folder, sets, tensors, report)
    for found in sets.values():
        if found is not chosen and VARIANT.match(found.name) and is_usable(folder, found):
            guard(
                report,
                folder.at(found.name),
                lambda found=found: check_variant(folder, found, report),
            )


def check_variant(folder: Folder, found: WeightSet, report: Report) -> None:
    """Bộ trọng số của một biến thể, như fp16: cũng phải khớp cấu hình."""
    config = folder.table("config.json") or {}
    tensors = tensors_of(folder, found)
    if not tensors or unfamiliar(config) or "adapter_config.json" in folder.files:
        return
    layout = layout_of(config, tensors)
    if layout is not None:
        compare_model(layout, config, tensors, folder.at(found.name), report)


def check_hollow_file(folder: Folder, name: str, report: Report) -> None:
    """Một tệp trọng số đọc được mà không có tensor nào."""
    where = folder.at(name)
    if name not in folder.weights and show(where) not in folder.spoken | report.skipped.keys():
        report.add(BROKEN, "no-tensors", where, "tệp trọng số không có tensor nào")


def check_name(folder: Folder, name: str, report: Report) -> None:
    """Bộ trọng số duy nhất có mang một tên mà from_pretrained tìm không."""
    stem = name.partition(".")[0]
    if stem not in ("model", "pytorch_model", "diffusion_pytorch_model"):
        text = "from_pretrained không tìm tệp tên này: nó tìm model.safetensors"
        report.add(WARNING, "weights-name", folder.at(name), text)


def is_usable(folder: Folder, found: WeightSet) -> bool:
    """Bộ này có tệp trọng số nào trên đĩa không."""
    return found.whole or bool(found.here(folder))


def check_set(folder: Folder, found: WeightSet, chosen: WeightSet | None, report: Report) -> bool:
    """Đối chiếu một bộ trọng số với index.json của nó; False khi thiếu tệp."""
    if not found.index:
        return check_loose_shards(folder, found, chosen, report)
    if not found.promised:
        return False
    here = found.here(folder)
    other = chosen is not None and chosen is not found and is_usable(folder, chosen)
    if not here and (other or (found.whole and not found.shards_used)):
        text = "index.json còn sót lại: không mảnh nào của nó còn đây, thư viện không đọc tới nó"
        report.add(WARNING, "index-leftover", folder.at(found.index), text)
        return True
    check_single(folder, found, report)
    check_promised(folder, found, other, report)
    check_stray(folder, found, report)
    check_total(folder, found, report)
    return len(here) == len(found.promised)


def check_single(folder: Folder, found: WeightSet, report: Report) -> None:
    """Một tệp lẻ nằm cạnh các mảnh: thư viện tải cái nào."""
    if not found.whole:
        return
    if found.shards_used:
        text = f"nằm cạnh {found.index}: thư viện tải các mảnh, không tải tệp này"
        report.add(WARNING, "two-sets", folder.at(found.name), text)
    else:
        text = f"tệp cũ nằm cạnh {found.index}: thư viện sẽ tải tệp cũ này, không tải các mảnh"
        report.add(BROKEN, "stale-file", folder.at(found.name), text)


def check_promised(folder: Folder, found: WeightSet, other: bool, report: Report) -> None:
    """Mảnh nào được nhắc tới cũng phải có, và chứa đủ tensor. `other`: bộ khác được tải."""
    missing = sorted(name for name in found.promised if name not in folder.files)
    level = WARNING if other else BROKEN
    if missing:
        count = f"{len(missing)} trong {len(found.promised)} mảnh"
        text = f"thiếu {count} mà {found.index} nhắc tới, như «{show(missing[0])}»"
        report.add(level, "shard-missing", folder.at(found.index), text)
    for name, promised in found.promised.items():
        weights = folder.weights.get(name)
        if weights is None:
            continue
        absent = promised - weights.tensors.keys()
        extra = weights.tensors.keys() - promised
        if absent:
            text = f"thiếu {len(absent)} tensor mà {found.index} nói có, như «{show(min(absent))}»"
            report.add(BROKEN, "index-mismatch", folder.at(name), text)
        elif extra:
            text = f"{len(extra)} tensor không có trong {found.index}, như «{show(min(extra))}»"
            report.add(WARNING, "index-subset", folder.at(name), text)


def check_stray(folder: Folder, found: WeightSet, report: Report) -> None:
    """Mảnh có trên đĩa mà index.json không nhắc tới."""
    totals = set()
    for name in found.promised:
        shard = SHARD.match(name)
        if shard is not None:
            totals.add(int(shard[3]))
    stray = [name for name in found.shards if name not in found.promised]
    if not stray:
        return
    level = WARNING
    for name in stray:
        shard = SHARD.match(name)
        if shard is not None and int(shard[3]) in totals:  # cùng bộ với những mảnh được nhắc tới
            level = BROKEN
    text = f"{len(stray)} mảnh lạc, như «{show(stray[0])}»: index.json không nhắc tới"
    report.add(level, "shard-stray", folder.at(found.index), text)


def check_total(folder: Folder, found: WeightSet, report: Report) -> None:
    """Đối chiếu total_size với số byte thật của các tensor safetensors."""
    index = folder.table(found.index) or {}
    metadata = index.get("metadata")
    stated = metadata.get("total_size") if isinstance(metadata, dict) else None
    actual = 0
    extra = 0  # của tensor mà index.json không chọn: có nơi tính, có nơi không
    for name, promised in found.promised.items():
        weights = folder.weights.get(name)
        if weights is None or weights.form != "safetensors":
            return
        for tensor, content in weights.tensors.items():
            size = content.place[2] - content.place[1]
            if tensor in promised:
                actual += size
            else:
                extra += size
    if is_count(stated) and stated not in (actual, actual + extra):
        text = f"total_size là {stated}, các mảnh có {actual} byte dữ liệu"
        report.add(WARNING, "index-size", folder.at(found.index), text)


def check_loose_shards(
    folder: Folder, found: WeightSet, chosen: WeightSet | None, report: Report
) -> bool:
    """Các mảnh không có index.json: thư viện không tải được."""
    if not found.shards:
        return True
    other = chosen is not None and is_usable(folder, chosen)
    text = f"{len(found.shards)} mảnh mà không có index.json"
    if other:
        text += f": thư viện tải {chosen.name}, không tải chúng"
    report.add(WARNING if other else BROKEN, "shard-stray", folder.at(found.shards[0]), text)
    return other


def tensors_of(folder: Folder, chosen: WeightSet) -> dict[str, Tensor] | None:
    """Các tensor mà thư viện tải từ bộ này; None khi có tệp không đọc được."""
    names = [chosen.name]
    if chosen.shards_used:
        names = sorted(chosen.promised)
    merged: dict[str, Tensor] = {}
    for name in names:
        weights = folder.weights.get(name)
        if weights is None:
            return None
        merged.update(weights.tensors)
    return merged


def check_config(
    folder: Folder,
    sets: dict[str, WeightSet],
    tensors: dict[str, Tensor] | None,
    report: Report,
) -> None:
    """Đối chiếu config.json với các tensor mà thư viện tải."""
    if "config.json" not in folder.files:
        check_no_config(folder, sets, report)
        return
    where = folder.at("config.json")
    config = folder.table("config.json")
    if config is None:
        if folder.parsed.get("config.json") is not None:
            report.add(BROKEN, "config-syntax", where, "không đọc được thành cấu hình")
        return
    adapter = "adapter_config.json" in folder.files
    if not sets and not adapter and config.keys() & MODEL_KEYS:
        check_lost(folder, report)
    if tensors is not None:
        compare_config(folder, config, tensors, report)
    elif sets:
        report.complete.setdefault(folder.name, "không đọc được bộ trọng số được tải")


def check_no_config(folder: Folder, sets: dict[str, WeightSet], report: Report) -> None:
    """Trọng số mà không có config.json; adapter và thư mục của Accelerate thì không cần."""
    if not sets or "adapter_config.json" in folder.files:
        return
    report.complete[folder.name] = "không có config.json"
    stems = {name.partition(".")[0] for name in sets}
    named = stems & {name.partition(".")[0] for name in LOADED_FIRST}
    if named and not folder.owner and not is_state_folder(folder):
        text = "không có: from_pretrained không biết kiến trúc"
        report.add(WARNING, "config-missing", folder.at("config.json"), text)


def compare_config(
    folder: Folder, config: dict[str, Any], tensors: dict[str, Tensor], report: Report
) -> None:
    """Đối chiếu các tensor với cấu hình: của lớp Dense, hay của một mô hình."""
    where = folder.at("config.json")
    if not tensors:
        text = "cấu hình của một mô hình mà trọng số không có tensor nào"
        report.add(BROKEN, "no-tensors", where, text)
    elif any(is_hollow(name, tensor) for name, tensor in tensors.items()):
        report.complete[folder.name] = "có trọng số rỗng"
    elif folder.owner and folder.owner.partition(".")[0] not in TRUSTED_LIBRARIES:
        report.complete[folder.name] = f"{folder.owner} là lớp riêng"
    elif is_dense(config):
        check_dense(folder, config, tensors, report)
    else:
        check_model(config, tensors, where, folder.name, report)


def check_lost(folder: Folder, report: Report) -> None:
    """Cấu hình của một mô hình mà không có tệp trọng số nào thư viện tìm được."""
    where = folder.at("config.json")
    if is_distributed(folder):
        return
    for name in folder.weights:
        if not is_state_file(name):
            text = f"không tệp trọng số nào có tên mà from_pretrained tìm; có «{show(name)}»"
            report.add(WARNING, "weights-name", where, text)
            return
    if folder.foreign:
        text = f"trọng số ở dạng không soi được: {show(folder.foreign)}"
        report.add(WARNING, "weights-foreign", where, text)
    else:
        text = "có cấu hình của một mô hình mà không có tệp trọng số nào"
        report.add(BROKEN, "weights-missing", where, text)


def is_dense(config: dict[str, Any]) -> bool:
    """Cấu hình của một lớp Dense của sentence-transformers."""
    return {"in_features", "out_features"} <= config.keys() and "model_type" not in config


def check_dense(
    folder: Folder, config: dict[str, Any], tensors: dict[str, Tensor], report: Report
) -> None:
    """Lớp Dense: một ma trận, và một bias khi cấu hình nói có."""
    wide = config["in_features"]
    high = config["out_features"]
    wanted = {"linear.weight": (high, wide)}
    if config.get("bias", True):
        wanted["linear.bias"] = (high,)
    check_shapes(wanted, tensors, folder.at("config.json"), report)
    report.complete[folder.name] = ""


def check_shapes(
    wanted: dict[str, tuple[Any, ...]], tensors: dict[str, Tensor], where: str, report: Report
) -> None:
    """Tensor nào được hứa cũng phải có, và đúng hình dạng."""
    for name, shape in wanted.items():
        tensor = tensors.get(name)
        if tensor is None:
            report.add(BROKEN, "tensor-missing", where, f"thiếu tensor «{name}»")
        elif tensor.shape != shape:
            text = f"nói «{name}» có hình dạng {show(shape)}, trong tệp là {show(tensor.shape)}"
            report.add(BROKEN, "shape-mismatch", where, text)


# --- Thư mục: adapter của PEFT

LORA_TENSOR = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_(?:A|B|E|embedding_A|embedding_B|magnitude_vector))"
    r"(?:\.[\w-]+)?(?:\.weight)?"
)
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")
ADAPTER_PREFIX = "base_model.model."
MATRIX = re.compile(r"\.lora_[AB]\.")
PLAIN_NAME = re.compile(r"[\w.-]+")
LAYER_NUMBER = re.compile(r"(?P<stack>.*?\.[^.]*)\.(?P<layer>\d{1,6})\.(?P<rest>.+)")
MARKS = {  # kiểu adapter → một phần của tên mọi tensor mà nó học
    "LORA": "lora_",
    "ADALORA": "lora_",
    "IA3": "ia3_",
    "LOHA": "hada_",
    "LOKR": "lokr_",
    "OFT": "oft_",
    "BOFT": "boft_",
    "VERA": "vera_lambda_",
    "LN_TUNING": "ln_tuning_",
    "FOURIERFT": "fourierft_",
    "HRA": "hra_",
    "VBLORA": "vblora_",
    "MISS": "miss_",
    "RANDLORA": "randlora_",
    "ROAD": "road_",
    "SHIRA": "shira_",
    "C3A": "c3a_",
    "WAVEFT": "waveft_",
    "DELORA": "delora_",
    "GRALORA": "gralora_",
    "PROMPT_TUNING": "prompt_embeddings",
    "MULTITASK_PROMPT_TUNING": "prompt_embeddings",
    "P_TUNING": "prompt_embeddings",
    "PREFIX_TUNING": "prompt_embeddings",
    "ADAPTION_PROMPT": "adaption_",
    "TRAINABLE_TOKENS": "trainable_tokens_",
}
PEFT_HEADS = {"classifier", "score", "qa_outputs"}  # PEFT kể sẵn, dù mô hình chỉ có một trong số đó
RIVALS = (  # mỗi kiến trúc dùng một cách gọi; danh sách đích chung có thể kể nhiều cách
    ("q_proj k_proj v_proj", "query key value", "query_key_value", "c_attn", "Wqkv", "qkv_proj"),
    ("q_proj k_proj v_proj", "q_lin k_lin v_lin", "to_q to_k to_v", "q k v", "qkv", "in_proj"),
    ("o_proj", "out_proj", "dense", "c_proj", "out_lin", "wo"),
    ("gate_proj up_proj down_proj", "fc1 fc2", "c_fc", "w1 w2 w3", "dense_h_to_4h", "wi_0 wi_1"),
)
SHARED_KEYS = {"k_proj", "v_proj"}  # vài kiến trúc để nhiều lớp dùng chung K và V


@dataclass
class Adapter:
    """Một adapter: cấu hình của nó, và các tensor đã chia theo mô-đun."""

    config: dict[str, Any]
    kind: str  # peft_type
    where: str  # tệp trọng số
    weights: Weights
    modules: dict[str, dict[str, Tensor]] = field(default_factory=dict)  # mô-đun → phần → tensor
    others: list[str] = field(default_factory=list)  # tensor lưu trọn, không do adapter thêm vào

    @property
    def targets(self) -> list[str]:
        """Tên các mô-đun đích, khi chúng là một danh sách đọc được."""
        return names_in(self.config.get("target_modules"))

    @property
    def plain(self) -> bool:
        """Danh sách đích có cùng nghĩa ở mọi lớp."""
        numbered = any(re.search(r"\d+(?:\.|$)", name) for name in self.targets)
        excluded = self.config.get("exclude_modules")
        readable = not excluded or bool(names_in(excluded))
        return bool(self.targets) and not numbered and readable

    def sort(self) -> None:
        """Chia các tensor theo mô-đun mà adapter gắn vào."""
        mark = MARKS.get(self.kind, "")
        for name, tensor in self.weights.tensors.items():
            stem = name.removesuffix(".bias")
            ending = name[len(stem) :]
            lora = LORA_TENSOR.fullmatch(stem)
            place = name.find(f".{mark}")
            if stem.endswith(".base_layer"):  # bias của chính mô-đun đích, học cùng adapter
                self.modules.setdefault(stem.removesuffix(".base_layer"), {})[ending] = tensor
            elif self.kind in ("LORA", "ADALORA") and lora is not None:
                self.modules.setdefault(lora["module"], {})[lora["part"] + ending] = tensor
            elif mark and place > 0:
                self.modules.setdefault(name[:place], {})[name[place + 1 :]] = tensor
            else:
                self.others.append(name)


def names_in(value: Any) -> list[str]:
    """Một danh sách tên trong cấu hình; rỗng khi không phải danh sách tên, hay quá dài."""
    if not isinstance(value, list) or len(value) > KEY_LIMIT:
        return []
    return [name for name in value if isinstance(name, str)]


def check_adapter(folder: Folder, report: Report) -> None:
    """Adapter của PEFT: có đủ thứ mà adapter_config.json nói không."""
    where = folder.at("adapter_config.json")
    files = [name for name in ADAPTER_FILES if name in folder.files]
    if files and "adapter_config.json" not in folder.files:
        report.add(BROKEN, "part-missing", where, f"không có, mà có {files[0]}: PEFT cần cả hai")
    config = folder.table("adapter_config.json")
    if config is None:
        return
    kind = config.get("peft_type")
    if not isinstance(kind, str):
        report.complete[folder.name] = "adapter_config.json không phải của PEFT"
        report.add(WARNING, "adapter-config", where, "không nói peft_type: PEFT không tải được")
        return
    report.recognised = True
    tell_adapter(folder, config, kind, report)
    if not files:
        text = f"thiếu {ADAPTER_FILES[0]}: adapter không có trọng số"
        report.add(BROKEN, "part-missing", where, text)
        return
    weights = folder.weights.get(files[0])  # PEFT chọn safetensors
    if weights is not None:
        adapter = Adapter(config, kind, folder.at(files[0]), weights)
        check_adapter_tensors(folder, adapter, report)
    else:
        check_hollow_file(folder, files[0], report)


def tell_adapter(folder: Folder, config: dict[str, Any], kind: str, report: Report) -> None:
    """Adapter tự nhận nó là gì, và mô hình gốc ở đâu."""
    label = "LoRA" if kind == "LORA" else show(kind)
    rank = f" (r = {config['r']})" if kind == "LORA" and is_count(config.get("r")) else ""
    base = show(config.get("base_model_name_or_path") or "một mô hình không nói tên")
    text = f"{folder.at('adapter_config.json')}: adapter {label}{rank} cho {base}"
    if not {"model.safetensors", "pytorch_model.bin"} & folder.files.keys():
        text += "; mô hình gốc không nằm trong thư mục này"
    report.fact(text)


def check_adapter_tensors(folder: Folder, adapter: Adapter, report: Report) -> None:
    """Các tensor của adapter so với cấu hình của nó."""
    sizes = [numbers_in([tensor]) for tensor in adapter.weights.tensors.values()]
    if not sum(sizes):
        report.add(BROKEN, "no-tensors", adapter.where, "adapter không có tensor nào")
        return
    if min(sizes) == 0:
        report.add(BROKEN, "empty-tensor", adapter.where, "adapter có tensor rỗng")
    mark = MARKS.get(adapter.kind, "")
    if not any(mark in name for name in adapter.weights.tensors):
        text = f"không tensor nào của adapter {show(adapter.kind)} (tên có «{mark}»)"
        report.add(BROKEN, "part-missing", adapter.where, text)
        return
    adapter.sort()
    report.complete[folder.name] = "adapter không nói mô hình gốc có mấy lớp"
    before = len(report.findings)
    check_adapter_names(adapter, report)
    check_targets(adapter, report)
    check_saved_modules(adapter, report)
    check_prompt(adapter, report)
    if adapter.kind in ("LORA", "ADALORA"):
        check_pairs(adapter, report)
        check_ranks(adapter, report)
    check_layers(adapter, report)
    if adapter.kind == "LORA":
        listed = adapter.config.get("layers_to_transform")
        if listed and adapter.plain and len(report.findings) == before:
            report.complete[folder.name] = ""
    check_learned(adapter, report)


def check_adapter_names(adapter: Adapter, report: Report) -> None:
    """PEFT bỏ qua tên mà nó không nhận ra: phần đó của adapter sẽ là số ngẫu nhiên."""
    strange = []
    for module in adapter.modules:
        inside = module.removeprefix(ADAPTER_PREFIX)
        if inside == module or inside.startswith((ADAPTER_PREFIX, "_orig_mod.", "module.")):
            strange.append(module)
    for name in adapter.weights.tensors:
        if MATRIX.search(name) and not name.endswith((".weight", ".bias")):
            strange.append(name)
    if strange:
        text = f"{len(strange)} tên mà PEFT không nhận ra, như «{show(min(strange))}»: "
        text += f"tên phải bắt đầu bằng đúng một «{ADAPTER_PREFIX}», hết bằng «.weight»"
        report.add(BROKEN, "adapter-names", adapter.where, text)


def check_targets(adapter: Adapter, report: Report) -> None:
    """Mô-đun đích nào cũng phải có tensor của adapter."""
    if not adapter.modules:
        return
    endings = endings_of(name for name, parts in adapter.modules.items() if set(parts) != {".bias"})
    absent = sorted(set(adapter.targets) - endings - {"all-linear"})
    if absent:
        spare = all(is_rival(name, endings) for name in absent)
        text = f"target_modules kể «{show(absent[0])}» mà không tensor nào dành cho nó"
        report.add(WARNING if spare else BROKEN, "part-missing", adapter.where, text)


def endings_of(modules: Iterable[str]) -> set[str]:
    """Mọi đuôi của các đường dẫn mô-đun: «a.b.c» cho «c», «b.c», «a.b.c»."""
    endings = set()
    for module in modules:
        parts = module.split(".")[-20:]
        for start in range(len(parts)):
            endings.add(".".join(parts[start:]))
    return endings


def is_rival(name: str, present: set[str]) -> bool:
    """Mô hình gốc gọi thứ này bằng tên khác, và tên khác đó có mặt."""
    for styles in RIVALS:
        for style in styles:
            own = set(style.split())
            if name not in own or own & present:
                continue
            if present & set(" ".join(styles).split()):
                return True
    return False


def check_saved_modules(adapter: Adapter, report: Report) -> None:
    """Những mô-đun được lưu trọn theo modules_to_save."""
    promised = set(names_in(adapter.config.get("modules_to_save"))[:50])
    present = set()
    for name in promised:
        if any(f".{name}." in f".{other}" for other in adapter.others):
            present.add(name)
    absent = promised - present
    if present:
        absent -= PEFT_HEADS
    if absent:
        text = f"modules_to_save kể «{show(min(absent))}» mà trong tệp không có"
        report.add(BROKEN, "part-missing", adapter.where, text)


def check_prompt(adapter: Adapter, report: Report) -> None:
    """Prompt tuning và họ hàng: số hàng là bội của số token ảo."""
    count = adapter.config.get("num_virtual_tokens")
    tensor = adapter.weights.tensors.get("prompt_embeddings")
    if tensor is None or not is_count(count) or count == 0:
        return
    rows = tensor.shape[0] if tensor.shape else 0
    if rows == 0 or rows % count:
        text = f"«prompt_embeddings» có {rows} hàng, cấu hình nói {count} token ảo"
        report.add(BROKEN, "shape-mismatch", adapter.where, text)


def check_learned(adapter: Adapter, report: Report) -> None:
    """Lúc mới tạo, lora_B toàn số 0; sau khi học thì không."""
    learned = []
    for name in adapter.weights.tensors:
        if "lora_B" in name or "lora_embedding_B" in name:
            learned.append(name)
    if learned and adapter.weights.zero.issuperset(learned):
        text = "mọi lora_B đều toàn số 0: adapter chưa học gì"
        report.add(WARNING, "adapter-untrained", adapter.where, text)


def check_pairs(adapter: Adapter, report: Report) -> None:
    """Mô-đun nào có A thì có B, và có vectơ độ lớn khi dùng DoRA."""
    lonely = []
    bare = []
    for module, parts in adapter.modules.items():
        one = ("lora_A" in parts) == ("lora_B" in parts)
        two = ("lora_embedding_A" in parts) == ("lora_embedding_B" in parts)
        if not one or not two:
            lonely.append(module)
        elif adapter.config.get("use_dora") is True and "lora_magnitude_vector" not in parts:
            bare.append(module)
    if lonely:
        text = f"{len(lonely)} mô-đun chỉ có một nửa cặp lora_A, lora_B, như «{show(min(lonely))}»"
        report.add(BROKEN, "part-missing", adapter.where, text)
    if bare:
        text = f"{len(bare)} mô-đun thiếu lora_magnitude_vector của DoRA, như «{show(min(bare))}»"
        report.add(BROKEN, "part-missing", adapter.where, text)


def check_ranks(adapter: Adapter, report: Report) -> None:
    """Hạng của A bằng hạng của B, và bằng r mà cấu hình nói."""
    wrong = []
    ranks = plain_ranks(adapter)
    for module, parts in adapter.modules.items():
        wanted = rank_of(module, ranks, adapter)
        for first, second in (("lora_A", "lora_B"), ("lora_embedding_A", "lora_embedding_B")):
            if first not in parts or second not in parts:
                continue
            rows = parts[first].shape[:1]
            columns = parts[second].shape[1:2]
            if rows != columns or (wanted is not None and rows != (wanted,)):
                wrong.append(f"«{show(module)}» có hạng {show(rows)} và {show(columns)}")
    if wrong:
        told = f"cấu hình nói r = {show(adapter.config.get('r'))}"
        text = f"{len(wrong)} mô-đun LoRA sai hạng, như {min(wrong)}; {told}"
        report.add(BROKEN, "adapter-rank", adapter.where, text)


def plain_ranks(adapter: Adapter) -> dict[str, Any] | None:
    """Đuôi tên mô-đun → hạng, theo rank_pattern; None khi có biểu thức không đọc thành tên được."""
    pattern = adapter.config.get("rank_pattern") or {}
    if not isinstance(pattern, dict) or len(pattern) > KEY_LIMIT:
        return None
    ranks = {}
    for name, rank in pattern.items():
        plain = name.removeprefix("^").removeprefix(".*\\.").replace("\\.", ".")
        if not PLAIN_NAME.fullmatch(plain):  # không chạy biểu thức chính quy của người lạ
            return None
        ranks[plain] = rank
    return ranks


def rank_of(module: str, ranks: dict[str, Any] | None, adapter: Adapter) -> int | None:
    """Hạng mà cấu hình nói cho mô-đun này; None khi không suy ra được."""
    config = adapter.config
    if adapter.kind != "LORA" or ranks is None or config.get("use_bdlora") or "experts" in module:
        return None
    if config.get("target_parameters") and module.rpartition(".")[2] not in adapter.targets:
        return None
    own = endings_of([module]) & ranks.keys()
    if len(own) > 1:
        return None
    rank = ranks[own.pop()] if own else config.get("r")
    return rank if is_count(rank) else None


def check_layers(adapter: Adapter, report: Report) -> None:
    """Lớp nào cũng có cùng những mô-đun đích trong một khối, và cùng những phần của adapter."""
    blocks: dict[str, dict[int, set[str]]] = {}  # khối → lớp → mô-đun
    pieces: dict[str, dict[int, set[str]]] = {}  # mô-đun → lớp → phần
    layers: dict[str, set[int]] = {}
    for module, parts in adapter.modules.items():
        found = LAYER_NUMBER.fullmatch(module)
        if found is None:
            continue
        stack = found["stack"]
        layer = int(found["layer"])
        block, _, own = found["rest"].rpartition(".")
        blocks.setdefault(f"{stack} {block}", {}).setdefault(layer, set()).add(own)
        pieces.setdefault(f"{stack} {found['rest']}", {})[layer] = set(parts)
        layers.setdefault(stack, set()).add(layer)
    for inside in pieces.values():
        compare_layers(inside, adapter, report)
    if adapter.plain:
        for inside in blocks.values():
            drop_excluded(inside, adapter)
            compare_layers(inside, adapter, report)
        check_numbers(layers, adapter, report)
        check_blocks(blocks, layers, adapter, report)


def check_blocks(
    blocks: dict[str, dict[int, set[str]]],
    layers: dict[str, set[int]],
    adapter: Adapter,
    report: Report,
) -> None:
    """Một khối có ở lớp này mà không có ở lớp khác: mô hình lai thì đúng là như vậy."""
    for block, inside in blocks.items():
        stack, _, own = block.partition(" ")
        absent = layers[stack] - inside.keys()
        if absent and any(inside.values()):
            text = f"lớp {min(absent)} không có gì ở «{show(own)}» mà lớp khác có"
            text += ": mô hình lai, hay mất một phần"
            report.add(WARNING, "adapter-layers", adapter.where, text)
            return


def drop_excluded(inside: dict[int, set[str]], adapter: Adapter) -> None:
    """Mô-đun bị exclude_modules loại ở một lớp thì coi như không có ở lớp nào."""
    for name in names_in(adapter.config.get("exclude_modules")):
        own = name.rpartition(".")[2]
        for present in inside.values():
            present.discard(own)


def compare_layers(inside: dict[int, set[str]], adapter: Adapter, report: Report) -> None:
    """Cùng một chỗ ở các lớp: có ở lớp này mà thiếu ở lớp khác là mất."""
    union = set().union(*inside.values())
    for layer, present in sorted(inside.items()):
        absent = union - present
        if absent:
            level = WARNING if absent == SHARED_KEYS else BROKEN
            text = f"lớp {layer} thiếu «{show(min(absent))}» mà lớp khác có"
            report.add(level, "part-missing", adapter.where, text)
            return


def check_numbers(layers: dict[str, set[int]], adapter: Adapter, report: Report) -> None:
    """Các lớp có mặt so với layers_to_transform, hay với một dãy liền nhau."""
    listed = adapter.config.get("layers_to_transform")
    if isinstance(listed, int):
        listed = [listed]
    if isinstance(listed, list) and listed:
        absent = {layer for layer in listed if is_count(layer)} - set().union(*layers.values())
        if absent:
            text = f"layers_to_transform kể lớp {min(absent)} mà adapter không có tensor cho nó"
            report.add(BROKEN, "part-missing", adapter.where, text)
        return
    for stack, present in layers.items():
        if max(present) + 1 == len(present):
            continue
        gap = min(layer for layer in range(len(present) + 1) if layer not in present)
        text = f"lớp {gap} của «{show(stack)}» không có gì: mô hình lai, hay mất lớp đó"
        report.add(WARNING, "adapter-layers", adapter.where, text)
        return


# --- Thư mục: pipeline của Diffusers

# những nơi mà model_index.json được gọi tên lớp
PIPELINE_LIBRARIES = word_set("diffusers transformers onnxruntime onnxruntime.training optimum")
# gói con của diffusers.pipelines có lớp riêng cho một phần của pipeline
PIPELINE_PACKAGES = word_set(
    "ace_step alt_diffusion audioldm2 deepfloyd_if flux ideogram4 kandinsky kolors "
    "latent_diffusion ltx ltx2 marigold paint_by_example shap_e stable_audio stable_audio_3 "
    "stable_cascade stable_diffusion stable_diffusion_safe unidiffuser versatile_diffusion "
    "wuerstchen"
)
PIPELINE_PARTS = {"unet", "vae", "transformer", "text_encoder", "tokenizer", "vqvae"}
PART_FILES = {  # một phần của tên lớp → những tệp mà lớp đó đọc, có một là đủ
    "Tokenizer": ("tokenizer_config.json", "tokenizer.json", "vocab.json", "spiece.model"),
    "Scheduler": ("scheduler_config.json",),
    "FeatureExtract": ("preprocessor_config.json", "processor_config.json"),
    "ImageProcessor": ("preprocessor_config.json", "processor_config.json"),
    "Processor": ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"),
    "Guidance": ("guider_config.json",),
    "OnnxRuntimeModel": ("model.onnx",),
}


def check_pipeline(folder: Folder, report: Report) -> None:
    """Mọi phần mà model_index.json kể đều phải có đó."""
    index = folder.table("model_index.json")
    if folder.alone:
        return
    if index is None:
        check_lost_index(folder, report)
        return
    where = folder.at("model_index.json")
    report.recognised = True
    name = index.get("_class_name")
    if isinstance(name, list):
        text = f"_class_name là {show(name)}: pipeline này chạy mã riêng"
        report.add(UNCLEAR, "custom-code", where, text)
    tensors: list[Tensor] = []
    parts = listed_parts(index)
    for part, library, kind in parts:
        check_part(folder, part, library, kind, report)
        tensors += part_tensors(folder.child(part))
    text = f"{counted(len(tensors))} tensor, {counted(numbers_in(tensors))} số"
    report.fact(f"{folder.name or '.'}: pipeline {show(name)}: {len(parts)} phần, {text}")


def check_lost_index(folder: Folder, report: Report) -> None:
    """Các phần của một pipeline nằm đó mà model_index.json thì không."""
    scheduler = folder.child("scheduler") if "scheduler" in folder.children else None
    if scheduler is None or "scheduler_config.json" not in scheduler.files:
        return
    if folder.files.keys() & {"config.json", "modular_model_index.json"}:
        return
    parts = folder.children & PIPELINE_PARTS
    if parts:
        text = f"không có, mà có {', '.join(sorted(parts))}: DiffusionPipeline không tải được"
        level = BROKEN if len(parts) > 1 else WARNING
        report.add(level, "part-missing", folder.at("model_index.json"), text)


def listed_parts(index: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Từng phần mà model_index.json kể: tên, thư viện, lớp. Phần để trống thì bỏ qua."""
    found = []
    for part, value in list(index.items())[:KEY_LIMIT]:
        if part.startswith("_") or not isinstance(value, list) or len(value) != 2:
            continue
        if value[0] is not None and value[1] is not None:
            found.append((part, show(value[0]), show(value[1])))
    return found


def part_tensors(part: Folder | None) -> list[Tensor]:
    """Các tensor của một phần."""
    found: list[Tensor] = []
    if part is not None:
        for weights in part.weights.values():
            found += weights.tensors.values()
    return found


def check_part(folder: Folder, part: str, library: str, kind: str, report: Report) -> None:
    """Một phần của pipeline: có thư mục, có tệp mà lớp của nó đọc, lớp thuộc thư viện quen."""
    where = folder.at("model_index.json")
    if library not in PIPELINE_LIBRARIES | PIPELINE_PACKAGES:
        text = f"phần «{show(part)}» gọi {library}.{kind}, không thuộc thư viện quen"
        report.add(UNCLEAR, "custom-code", where, f"{text}: mở nó là chạy mã đó")
    inside = folder.child(part)
    if "/" in part or part in (".", "..") or inside is None:
        text = f"thiếu phần «{show(part)}» ({kind}): không có thư mục đó"
        report.add(BROKEN, "part-missing", where, text)
        return
    wanted = wanted_files(kind)
    if not any(name in inside.files for name in wanted):
        text = f"thiếu {wanted[0]}: phần này là {kind}"
        report.add(BROKEN, "part-missing", inside.name, text)


def wanted_files(kind: str) -> tuple[str, ...]:
    """Những tệp mà một lớp đọc; có một là đủ. Trọng số của mô hình thì phần khác xem."""
    for word, names in PART_FILES.items():
        if word in kind:
            return names
    return ("config.json",)


# --- Thư mục: sentence-transformers

MODULE_LISTS = ("modules.json", "router_config.json", "config.json")  # config.json: lớp Asym cũ
MODULE_FILES = {  # lớp → tệp cấu hình mà nó đọc; lớp khác đọc config.json
    "Transformer": "config.json",
    "CNN": "cnn_config.json",
    "LSTM": "lstm_config.json",
    "WordEmbeddings": "wordembedding_config.json",
    "Router": "router_config.json",
    "Asym": "config.json",
    "StaticEmbedding": "tokenizer.json",
    "SparseStaticEmbedding": "config.json",
}
MODULE_FOLDER = re.compile(r"\d+_(?:Pooling|Dense|Normalize|LayerNorm|CNN|LSTM|SpladePooling)")
BARE_MODULES = {"Normalize"}  # không cần tệp nào
WEIGHTED_MODULES = word_set(
    "Transformer MLMTransformer CLIPModel Dense CNN LSTM LayerNorm WordEmbeddings "
    "WeightedLayerPooling WordWeights StaticEmbedding SparseAutoEncoder"
)
MODULE_CODE = (
    "không thuộc sentence_transformers: mở nó là chạy mã đó; trước bản 6.0, SentenceTransformer "
    "chạy mã của thư mục trên máy mà không hỏi"
)


def check_modules(folder: Folder, report: Report) -> None:
    """Mọi mô-đun mà modules.json kể đều phải có đó, và thuộc chính thư viện."""
    content = folder.parsed.get("modules.json")
    if content is not None and not is_module_list(content):
        raise Bad("modules-syntax", "modules.json không kể mô-đun theo dạng đọc được")
    check_lost_list(folder, report)
    if not folder.alone:
        for source in MODULE_LISTS:
            for path, kind in listed_modules(folder, source):
                check_module(folder, source, path, kind, report)


def check_lost_list(folder: Folder, report: Report) -> None:
    """Thư mục của sentence-transformers mà modules.json thì mất."""
    marks = folder.files.keys() & {"config_sentence_transformers.json"}
    marks |= {f"{name}/" for name in folder.children if MODULE_FOLDER.fullmatch(name)}
    if marks and not folder.owner and "modules.json" not in folder.files:
        text = f"không có, mà có {min(marks)}: SentenceTransformer sẽ tự đoán các mô-đun"
        report.add(BROKEN, "part-missing", folder.at("modules.json"), text)


def is_module_list(content: Any) -> bool:
    """Danh sách mô-đun theo dạng mà sentence-transformers đọc."""
    if not isinstance(content, list) or len(content) > KEY_LIMIT:
        return False
    for part in content:
        if not isinstance(part, dict) or not isinstance(part.get("path"), str):
            return False
    return True


def listed_modules(folder: Folder, source: str) -> list[tuple[str, str]]:
    """Từng mô-đun: đường dẫn và lớp. Router kể bằng «types», modules.json bằng một danh sách."""
    content = folder.parsed.get(source)
    found = []
    if isinstance(content, dict) and {"types", "structure"} <= content.keys():
        if isinstance(content["types"], dict):
            for path, kind in list(content["types"].items())[:KEY_LIMIT]:
                found.append((path, show(kind)))
    if isinstance(content, list) and source == "modules.json":
        for part in content[:KEY_LIMIT]:
            if isinstance(part, dict) and isinstance(part.get("path"), str):
                found.append((part["path"], show(part.get("type"))))
    return found


def check_module(folder: Folder, source: str, path: str, kind: str, report: Report) -> None:
    """Một mô-đun của sentence-transformers."""
    where = folder.at(source)
    if not kind.startswith("sentence_transformers."):
        report.add(UNCLEAR, "custom-code", where, f"«{kind}» {MODULE_CODE}")
    own = kind.rpartition(".")[2]
    if own in BARE_MODULES:
        return
    inside = folder.child(path)
    if inside is None:
        text = f"thiếu thư mục «{show(path)}» của mô-đun {own}"
        report.add(BROKEN, "part-missing", where, text)
        return
    if not kind.startswith("sentence_transformers."):
        return
    wanted = MODULE_FILES.get(own, "config.json")
    adapter = "adapter_config.json" in inside.files
    if wanted not in inside.files and not adapter:
        text = f"thiếu {wanted}: mô-đun này là {own}"
        report.add(BROKEN, "part-missing", inside.name or ".", text)
    held = inside.weights or inside.foreign or adapter or has_weight_file(inside)
    if own in WEIGHTED_MODULES and not held:
        text = f"không có trọng số: mô-đun này là {own}"
        report.add(BROKEN, "part-missing", inside.name or ".", text)


def has_weight_file(folder: Folder) -> bool:
    """Có tệp trọng số nào không, dù nó có thể hỏng."""
    return any(name.endswith((".safetensors", ".bin")) for name in folder.files)


# --- Thư mục: checkpoint của một lần huấn luyện

STATE_FILE = re.compile(
    r"(?:optimizer|scheduler|scaler|rng_state|random_states|sampler|dl_state_dict|training_args"
    r"|custom_checkpoint)(?:_\d+)*\.(?:pt|pth|bin|pkl)"
)
RNG_FILE = re.compile(r"rng_state(?:_(\d{1,6}))?\.pth")
# trạng thái có cùng hình dạng với tham số
STATE_SHAPES = word_set(
    "exp_avg exp_avg_sq max_exp_avg_sq momentum_buffer square_avg sum exp_inf acc_delta"
)
PROJECTED = {"rank", "update_proj_gap", "projector"}  # GaLore, APOLLO: trạng thái nhỏ hơn tham số
DISTRIBUTED_FOLDER = re.compile(r"global_step\d+|pytorch_model_fsdp_\d+|optimizer_\d+|hf_.*_dcp")
DISTRIBUTED_FILE = re.compile(
    r".*\.distcp|.*mp_rank_\d+.*_model_states\.pt|.*zero_pp_rank_.*|\.metadata"
)


def is_state_file(name: str) -> bool:
    """Trạng thái của lần huấn luyện, không phải trọng số của mô hình."""
    return STATE_FILE.fullmatch(name) is not None


def is_state_folder(folder: Folder) -> bool:
    """Thư mục mà Accelerate lưu: không có config.json là bình thường."""
    return any(name.startswith("random_states_") for name in folder.files)


def distributed_names(folder: Folder) -> list[str]:
    """Những thứ trong thư mục này do DeepSpeed, FSDP hay DCP chia ra nhiều mảnh."""
    found = [f"{name}/" for name in folder.children if DISTRIBUTED_FOLDER.fullmatch(name)]
    found += [name for name in folder.files if DISTRIBUTED_FILE.fullmatch(name)]
    return sorted(found)


def is_distributed(folder: Folder) -> bool:
    """Có phần nào được lưu chia ra nhiều tiến trình không."""
    return bool(distributed_names(folder))


def check_distributed(folder: Folder, report: Report) -> None:
    """Checkpoint phân tán: nói một câu, vì công cụ này không ghép các mảnh đó lại."""
    names = distributed_names(folder)
    if any(name.endswith(".distcp") for name in names) and ".metadata" not in folder.files:
        text = "thiếu .metadata, bảng chỉ tensor nào nằm ở đâu: không ghép lại được"
        report.add(BROKEN, "part-missing", folder.at(".metadata"), text)
    above = folder.name.rstrip("/").rpartition("/")[2]
    if not names or DISTRIBUTED_FOLDER.fullmatch(above):
        return
    report.recognised = True
    report.add(UNCLEAR, "distributed", folder.name or ".", DISTRIBUTED)
    report.complete[folder.name] = "checkpoint phân tán"


def check_trainer(folder: Folder, report: Report) -> None:
    """Checkpoint của Trainer: optimizer, lịch học và trạng thái ngẫu nhiên đi cùng nhau."""
    names = folder.files.keys()
    random = any(RNG_FILE.fullmatch(name) for name in names)
    if "trainer_state.json" not in names:
        if random and {"optimizer.pt", "scheduler.pt"} <= names:
            text = "không có: Trainer không biết đã học tới bước nào, không chạy tiếp được"
            report.add(BROKEN, "part-missing", folder.at("trainer_state.json"), text)
        return
    report.recognised = True
    if not is_distributed(folder):
        check_resume_files(folder, report)
    check_rng_numbers(folder, report)
    check_step(folder, report)
    check_optimizer(folder, "optimizer.pt", report)


def check_resume_files(folder: Folder, report: Report) -> None:
    """Ba thứ để chạy tiếp: có cả ba, hay không có gì."""
    optimizer = {"optimizer.pt", "optimizer.bin"} & folder.files.keys()
    scheduler = "scheduler.pt" in folder.files
    random = any(RNG_FILE.fullmatch(name) for name in folder.files)
    found = {
        "optimizer.pt": bool(optimizer),
        "scheduler.pt": scheduler,
        "rng_state.pth": random,
    }
    absent = [name for name, here in found.items() if not here]
    where = folder.at("trainer_state.json")
    if len(absent) == len(found):
        text = "không có trạng thái optimizer: chỉ lưu mô hình, không chạy tiếp đúng chỗ dừng được"
        report.add(NOTE, "model-only", where, text)
    elif absent:
        text = f"thiếu {', '.join(absent)}: không chạy tiếp đúng chỗ dừng được"
        level = WARNING if absent == ["rng_state.pth"] else BROKEN  # Trainer vẫn chạy tiếp
        report.add(level, "part-missing", where, text)


def check_rng_numbers(folder: Folder, report: Report) -> None:
    """Nhiều tiến trình: mỗi tiến trình một tệp trạng thái ngẫu nhiên, số liền nhau từ 0."""
    numbers = set()
    for name in folder.files:
        found = RNG_FILE.fullmatch(name)
        if found is not None and found[1]:
            numbers.add(int(found[1]))
    if not numbers or len(numbers) == max(numbers) + 1:
        return
    absent = next(number for number in range(max(numbers)) if number not in numbers)
    text = f"thiếu rng_state_{absent}.pth, trạng thái ngẫu nhiên của tiến trình {absent}"
    report.add(BROKEN, "part-missing", folder.at("trainer_state.json"), text)


def check_step(folder: Folder, report: Report) -> None:
    """Số bước trong trainer_state.json so với tên thư mục."""
    own = Path(folder.name or report.path).name
    named = re.fullmatch(r"checkpoint-(\d{1,12})", own)
    state = folder.table("trainer_state.json") or {}
    step = state.get("global_step")
    if named is not None and is_count(step) and int(named[1]) != step:
        text = f"global_step là {step}, tên thư mục nói {named[1]}: tệp của hai lần lưu khác nhau"
        report.add(WARNING, "step-mismatch", folder.at("trainer_state.json"), text)


def check_accelerate(folder: Folder, report: Report) -> None:
    """Thư mục mà accelerator.save_state ghi."""
    names = folder.files.keys()
    random = is_state_folder(folder)
    both = {"optimizer.bin", "scheduler.bin"} <= names
    if "trainer_state.json" in names or not (random or both) or is_distributed(folder):
        return
    report.recognised = True
    model = any(name.startswith(("model", "pytorch_model")) for name in names)
    where = folder.name or "."
    if "scheduler.bin" in names and "optimizer.bin" not in names:
        report.add(BROKEN, "part-missing", where, "có scheduler.bin mà thiếu optimizer.bin")
    if "optimizer.bin" in names and not model:
        report.add(BROKEN, "part-missing", where, "có optimizer.bin mà thiếu trọng số của mô hình")
    if both and model and not random:
        text = "thiếu random_states_0.pkl: không chạy tiếp đúng chỗ dừng được"
        report.add(BROKEN, "part-missing", where, text)
    check_optimizer(folder, "optimizer.bin", report)


def check_optimizer(folder: Folder, name: str, report: Report) -> None:
    """Trạng thái của optimizer phải là của chính mô hình nằm cạnh."""
    state = folder.weights.get(name)
    shapes = model_shapes(folder)
    if state is None or not shapes or not is_comparable(folder, state):
        return
    config = folder.table("config.json")
    sure = config is None or "adapter_config.json" in folder.files or not unfamiliar(config)
    level = BROKEN if sure else WARNING  # kiến trúc lạ: thư viện có thể gộp, tách tensor khi tải
    experts = has_experts(folder)
    odd = odd_states(state, shapes, experts)
    if odd:
        text = f"{len(odd)} trạng thái không hợp tham số nào của mô hình, như {min(odd)}"
        report.add(level, "optimizer-mismatch", folder.at(name), f"{text}: của mô hình khác")
        return
    listed = parameters_listed(state)
    count = sum(shapes.values())
    if listed > count and not experts:
        text = f"optimizer giữ {listed} tham số mà mô hình chỉ có {count} tensor: của mô hình khác"
        report.add(level, "optimizer-mismatch", folder.at(name), text)


def odd_states(state: Weights, shapes: Counter[tuple[int, ...]], experts: bool) -> list[str]:
    """Những trạng thái có hình dạng không thuộc tham số nào, hay nhiều hơn số tham số cỡ đó."""
    rows = {shape[:-1] for shape in shapes}
    columns = {shape[:-2] + shape[-1:] for shape in shapes}
    seen: Counter[tuple[str, tuple[int, ...]]] = Counter()
    odd = []
    for path, tensor in state.tensors.items():
        if not path.startswith("state."):
            continue
        own = path.rpartition(".")[2]
        shape = tensor.shape
        wrong = False
        if experts and len(shape) > 2:
            continue  # các chuyên gia được gộp thành một tensor khi tải
        if own in STATE_SHAPES:
            seen[own, shape] += 1
            wrong = seen[own, shape] > shapes[shape]
        elif own == "exp_avg_sq_row":  # Adafactor chỉ giữ tổng theo hàng và theo cột
            wrong = shape not in rows
        elif own == "exp_avg_sq_col":
            wrong = shape not in columns
        if wrong:
            odd.append(f"«{show(path)}» {show(shape)}")
    return odd


def model_shapes(folder: Folder) -> Counter[tuple[int, ...]]:
    """Hình dạng các tensor của mô hình hay adapter, mỗi cỡ mấy tensor; rỗng khi không biết chắc."""
    shapes: Counter[tuple[int, ...]] = Counter()
    for name in folder.files:
        if not name.endswith((".safetensors", ".bin")) or is_state_file(name):
            continue
        weights = folder.weights.get(name)
        if weights is None:
            return Counter()  # có tệp không đọc được: không kết luận gì
        shapes.update(tensor.shape for tensor in weights.tensors.values())
    return shapes


def has_experts(folder: Folder) -> bool:
    """Mô hình trộn chuyên gia: transformers gộp nhiều tensor thành một khi tải."""
    for weights in folder.weights.values():
        if any(".experts." in name for name in weights.tensors):
            return True
    return False


def is_comparable(folder: Folder, state: Weights) -> bool:
    """Có so trạng thái với tham số được không: loại adapter nào, optimizer nào."""
    config = folder.table("adapter_config.json")
    if config is not None and config.get("peft_type") != "LORA":
        return False
    if any(".projector" in path for path in state.tensors):
        return False
    for group in groups_of(state):
        if PROJECTED & set(keys_of(group)):
            return False
    return True


# --- Thư mục: tokenizer

VOCABULARY_FILES = word_set(
    "tokenizer.json vocab.json vocab.txt merges.txt bpe.codes tekken.json byte_maps.json "
    "prophetnet.tokenizer vocab-src.json entity_vocab.json dict.txt target_vocab.json"
)
VOCABULARY_SUFFIXES = (".model", ".spm", ".tiktoken", ".vocab")
NO_VOCABULARY = {"ByT5", "Canine", "Perceiver", "Dia", "Rag"}
VOCABULARY_OF = {  # lớp, bỏ «Tokenizer» và «Fast» → tệp cần khi không có tokenizer.json
    "Bert": ("vocab.txt",),
    "DistilBert": ("vocab.txt",),
    "Electra": ("vocab.txt",),
    "MPNet": ("vocab.txt",),
    "MobileBert": ("vocab.txt",),
    "GPT2": ("vocab.json", "merges.txt"),
    "Roberta": ("vocab.json", "merges.txt"),
    "Bart": ("vocab.json", "merges.txt"),
    "CLIP": ("vocab.json", "merges.txt"),
    "Qwen2": ("vocab.json", "merges.txt"),
    "Whisper": ("vocab.json", "merges.txt"),
    "Phobert": ("vocab.txt", "bpe.codes"),
    "Bertweet": ("vocab.txt", "bpe.codes"),
    "T5": ("spiece.model",),
    "Albert": ("spiece.model",),
    "XLNet": ("spiece.model",),
    "Pegasus": ("spiece.model",),
    "XLMRoberta": ("sentencepiece.bpe.model",),
    "Camembert": ("sentencepiece.bpe.model",),
    "MBart": ("sentencepiece.bpe.model",),
    "Llama": ("tokenizer.model",),
    "DebertaV2": ("spm.model",),
    "Wav2Vec2CTC": ("vocab.json",),
}


def check_tokenizer(folder: Folder, report: Report) -> None:
    """Tokenizer có đủ tệp của lớp nó gọi tên, và id nào cũng có hàng trong embedding."""
    config = folder.table("tokenizer_config.json")
    if config is not None:
        check_vocabulary(folder, config, report)
    rows = embedding_rows(folder)
    sure = unfamiliar(folder.table("config.json") or {}) == ""
    level = BROKEN if sure else WARNING
    for name, ids in folder.ids.items():
        where = folder.at(name)
        if name == "tokenizer.json":
            report.fact(f"{where}: {counted(len({*ids.vocabulary, *ids.added}))} token")
            if len(set(ids.vocabulary)) != len(ids.vocabulary):
                text = "hai token khác nhau mang cùng một id"
                report.add(WARNING, "token-duplicate", where, text)
        if rows:
            compare_ids(ids, rows, pad_ids(folder), level, where, report)


def check_vocabulary(folder: Folder, config: dict[str, Any], report: Report) -> None:
    """Tệp từ vựng của lớp mà tokenizer_config.json gọi tên."""
    names = folder.files.keys()
    kind = show(config.get("tokenizer_class") or "")
    short = kind.removesuffix("Fast").removesuffix("Tokenizer")
    if short in NO_VOCABULARY or config.get("auto_map") or "tokenizer.json" in names:
        return
    where = folder.at("tokenizer_config.json")
    absent = [name for name in VOCABULARY_OF.get(short, ()) if name not in names]
    found = names & VOCABULARY_FILES
    found |= {name for name in names if name.endswith(VOCABULARY_SUFFIXES)}
    if absent:
        text = f"gọi {kind} mà thiếu tokenizer.json, và cũng thiếu {', '.join(absent)}"
        report.add(BROKEN, "part-missing", where, text)
    elif not found:
        text = f"gọi {kind or 'một tokenizer'} mà không có tệp từ vựng nào, như tokenizer.json"
        report.add(BROKEN, "part-missing", where, text)


def embedding_rows(folder: Folder) -> int:
    """Embedding của mô hình có mấy hàng; 0 khi không biết."""
    rows = [0]
    for name, weights in folder.weights.items():
        if is_state_file(name) or name.startswith("adapter_"):
            continue
        for tensor, found in weights.tensors.items():
            if EMBEDDING.search(tensor) and len(found.shape) == 2:
                rows.append(found.shape[0])
    return max(rows)


def read_ids(name: str, content: Any) -> Ids | None:
    """Các id trong một tệp từ vựng; None khi tệp theo dạng riêng của chương trình khác."""
    if name == "tokenizer.json":
        ids = tokenizer_ids(content)
    elif not isinstance(content, dict) or any(isinstance(one, dict) for one in content.values()):
        return None  # vocab.json theo từng ngôn ngữ
    elif name == "added_tokens.json":
        ids = Ids([], list(content.values()), content)
    else:
        ids = Ids(list(content.values()), [], {})
    for number in ids.vocabulary + ids.added:
        if not is_count(number):
            raise Bad("token-id", "có token với id không phải số nguyên")
    return ids


def tokenizer_ids(content: Any) -> Ids:
    """Id của từ vựng, và id của những token thêm vào, trong tokenizer.json."""
    model = content.get("model") if isinstance(content, dict) else None
    vocab = model.get("vocab") if isinstance(model, dict) else None
    added = content.get("added_tokens") if isinstance(content, dict) else None
    if not isinstance(vocab, dict | list) or not isinstance(added or [], list):
        raise Bad("tokenizer-syntax", "không có từ vựng đọc được")
    ids = list(vocab.values()) if isinstance(vocab, dict) else list(range(len(vocab)))
    extra = []
    contents = {}
    for token in added or []:
        known = token if isinstance(token, dict) else {}
        extra.append(known.get("id"))
        contents[show(known.get("content"))] = known.get("id")
    return Ids(ids, extra, contents)


def pad_ids(folder: Folder) -> set[Any]:
    """Id của token đệm: nó vượt số hàng của embedding thì mô hình vẫn dùng được."""
    found = {(folder.table("config.json") or {}).get("pad_token_id")}
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        token = (folder.table(name) or {}).get("pad_token")
        if isinstance(token, dict):
            token = token.get("content")
        for ids in folder.ids.values():
            found.add(ids.contents.get(show(token)))
    return {number for number in found if is_count(number)}


def compare_ids(
    ids: Ids, rows: int, pads: set[Any], level: str, where: str, report: Report
) -> None:
    """Id nào cũng có hàng trong embedding; chỉ token đệm vượt ra thì mô hình vẫn dùng được."""
    outside = {number for number in ids.vocabulary + ids.added if number >= rows}
    if not outside:
        return
    if outside <= pads:
        text = f"token đệm có id {max(outside)} mà embedding chỉ có {rows} hàng"
        report.add(WARNING, "token-pad", where, f"{text}: phải che nó bằng attention_mask")
        return
    text = f"id lớn nhất là {max(outside)} mà embedding chỉ có {rows} hàng"
    report.add(level, "token-range", where, text)


# param_groups trong vật mà pickle dựng


def groups_of(state: Weights) -> list[Any]:
    """Các nhóm tham số của một optimizer."""
    return items_of(look_up(state.value, "param_groups"))


def parameters_listed(state: Weights) -> int:
    """Optimizer này giữ bao nhiêu tham số: theo param_groups, và theo số trạng thái."""
    listed = sum(len(items_of(look_up(group, "params"))) for group in groups_of(state))
    kept = {path.split(".")[1] for path in state.tensors if path.startswith("state.")}
    return max(listed, len(kept))


def items_of(value: Any) -> list[Any]:
    """Các phần tử của một danh sách mà pickle dựng; rỗng khi không phải danh sách."""
    if type(value) is Row:
        return list(value)
    return value.items if is_kind(value, "list") else []


def keys_of(value: Any) -> list[Any]:
    """Các khoá của một từ điển mà pickle dựng."""
    if type(value) is Thing and value.kind in MAPPINGS:
        return [key for key, _ in value.items]
    return []


# --- Bản kê SHA-256, dạng mà sha256sum ghi; manifest.py ghi và đọc cùng dạng này

MANIFEST = ".SHA256SUMS"
MANIFEST_LINE = re.compile(r"(\\?)([0-9a-fA-F]{64}) [ *](.+)", re.DOTALL)  # «*»: sha256sum --binary
ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}  # sha256sum viết ba ký tự này trong tên tệp
CHARACTERS = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}  # và ngược lại
DRIVE = re.compile(r"[A-Za-z]:[/\\]")


def manifest_of(path: Path) -> Path:
    """Bản kê mặc định: bên cạnh tên mà người dùng gọi, hay bên cạnh nơi thứ đó thật sự nằm."""
    named = Path(os.path.normpath(path.absolute()))
    beside = named.with_name(f"{named.name}{MANIFEST}")
    real = Path(os.path.realpath(path))
    if real != named and not os.path.lexists(beside):
        return real.with_name(f"{real.name}{MANIFEST}")
    return beside


def tensors_beside(manifest: Path) -> Path:
    """Bản kê tensor mà manifest.py ghi cạnh bản kê."""
    return manifest.with_name(manifest.name.removesuffix(MANIFEST) + ".tensors.json")


def manifest_line(name: str, digest: str) -> str:
    """Một dòng đúng như sha256sum ghi."""
    escaped = "".join(ESCAPES.get(character, character) for character in name)
    mark = "" if escaped == name else "\\"
    return f"{mark}{digest}  {escaped}\n"


def unescape(match: re.Match[str]) -> str:
    """Ký tự thật của một cặp «\\x» trong tên; cặp lạ thì để nguyên."""
    return CHARACTERS.get(match[0], match[0])


def name_in_line(line: str, number: int) -> tuple[str, str]:
    """Tên tệp và SHA-256 trong một dòng của bản kê."""
    match = MANIFEST_LINE.fullmatch(line)
    if match is None:
        raise Bad("manifest-syntax", f"dòng {number} không phải một dòng của sha256sum")
    name = re.sub(r"\\.", unescape, match[3]) if match[1] else match[3]
    absolute = name.startswith(("/", "\\")) or DRIVE.match(name)
    if absolute or ".." in re.split(r"[/\\]", name) or "\0" in name:
        raise Bad("manifest-outside", f"dòng {number} chỉ ra ngoài thư mục: {show(name)}")
    return PurePosixPath(name).as_posix(), match[2].lower()


def read_manifest(path: Path) -> dict[str, str]:
    """Tên tệp → SHA-256. Bad khi có dòng sai, hay dòng chỉ ra ngoài thư mục."""
    with open_regular(Path(os.path.realpath(path))) as stream:
        if size_of(stream) > HEADER_LIMIT:
            raise Bad("manifest-limit", "quá lớn: không phải một bản kê")
        text = stream.read().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    files: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")  # bản kê đi qua Windows
        if not line or line.startswith("#"):
            continue
        name, digest = name_in_line(line, number)
        if name in files:
            raise Bad("manifest-duplicate", f"dòng {number} nhắc lại {show(name)}")
        files[name] = digest
    if not files:
        raise Bad("manifest-empty", "bản kê không kể tệp nào")
    return files


def as_on_disk(told: dict[str, str], files: dict[str, Any]) -> dict[str, str]:
    """Bản kê với tên viết như trên đĩa: macOS có thể viết «ế» bằng nhiều ký tự rời (NFD)."""
    spelling = {unicodedata.normalize("NFC", name): name for name in files if name not in told}
    found = {}
    for name, digest in told.items():
        if name not in files:
            name = spelling.pop(unicodedata.normalize("NFC", name), name)
        found[name] = digest
    return found


def compare(told: dict[str, str], files: dict[str, Path], report: Report) -> None:
    """Đối chiếu các tệp đang có với bản kê."""
    told = as_on_disk(told, files)
    broken = {finding.where for finding in report.findings if finding.level == BROKEN}
    for name in sorted(told.keys() | files.keys()):
        measured = report.files.get(name)
        if name not in files:
            if not is_litter(name) and not is_ignored(name, report):
                text = "có trong bản kê mà không còn, hay không đọc được"
                report.add(BROKEN, "manifest-missing", name, text)
        elif name not in told:
            report.add(BROKEN, "manifest-extra", name, "không có trong bản kê: tệp lạ")
        elif measured is None:
            if show(name) not in broken:
                report.add(BROKEN, "unreadable", name, "không đọc được để so với bản kê")
        elif measured["sha256"] != told[name]:
            report.add(BROKEN, "manifest-differs", name, "khác bản kê: nội dung đã đổi")


def measure(path: Path) -> dict[str, Any]:
    """Dung lượng và SHA-256 của một tệp."""
    with open_regular(path) as stream:
        if ends_in_hole(stream):
            raise Bad(
                "sparse-tail", "đuôi tệp là khoảng trống chưa từng được ghi: như tải dở để lại"
            )
        return {"bytes": size_of(stream), "sha256": sha256(stream)}


def ends_in_hole(stream: BinaryIO) -> bool:
    """Cuối tệp có ít nhất 256 MiB mà ổ đĩa chưa hề ghi gì không; không biết được thì là không."""
    start = size_of(stream) - (1 << 28)
    if start < 0 or not hasattr(os, "SEEK_DATA"):
        return False
    try:
        os.lseek(stream.fileno(), start, os.SEEK_DATA)
    except OSError as error:
        return error.errno == errno.ENXIO
    finally:
        stream.seek(0)
    return False


def measure_all(files: dict[str, Path], report: Report) -> None:
    """Băm mọi tệp, trừ những tệp mà dung lượng hay phần đầu đã cho biết là hỏng."""
    broken = {finding.where for finding in report.findings if finding.level == BROKEN}
    for name, path in files.items():
        if show(name) in broken:
            continue
        measured = guard(report, name, lambda path=path: measure(path))
        if measured is not None:
            report.files[name] = measured


def check_manifest(
    listing: Path, named: bool, kept: dict[str, Path], hashed: bool, report: Report
) -> None:
    """Đối chiếu với bản kê, nếu có. `named`: người dùng chỉ ra nó; `hashed`: luôn băm."""
    listed = os.path.lexists(listing)
    if listed or hashed:
        measure_all(kept, report)
    if listed:
        told = guard(report, listing.name, lambda: read_manifest(listing))
        if told is not None:
            report.manifest = show(listing)
            compare(told, kept, report)
    elif named:
        report.add(BROKEN, "manifest-absent", str(listing), "không có bản kê này")
    elif report.recognised:
        bare = any(name.lower().endswith(".safetensors") for name in kept)
        unseen = "việc một tệp lành bị thay bằng tệp lành khác"
        if bare:
            unseen = "một bit lật trong dữ liệu hay tên tensor"
        report.add(NOTE, "no-manifest", "", f"chưa có bản kê nên không phát hiện được {unseen}")


def write_manifest(path: Path, report: Report) -> str:
    """Ghi bản kê cho checkpoint tốt, không ghi đè; trả lời báo, rỗng khi đã có hay đã ghi xong."""
    if report.exit_code not in (0, 3):  # 3: có mã đi kèm; bản kê nói về byte, không nói về mã đó
        return "không ghi bản kê: chỉ ghi cho checkpoint không hỏng, không nguy hiểm"
    if os.path.lexists(path):
        return ""  # verify() đã so với nó và thấy đúng
    lines = [manifest_line(name, report.files[name]["sha256"]) for name in sorted(report.files)]
    write_atomically(path, "".join(lines))
    return ""


def write_atomically(path: Path, text: str) -> None:
    """Ghi tệp tạm, đẩy xuống đĩa, rồi mới đổi tên."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode("utf-8", "surrogateescape"))
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


# --- Soi một đường dẫn


def verify(
    path: Path | str,
    manifest: Path | str | None = None,
    hashed: bool = False,
    allowed: Iterable[str] = (),
    ignored: Iterable[str] = (),
) -> Report:
    """Soi một thư mục hay một tệp. Không chạy, không tải, không ghi gì; không bao giờ ném ngoại lệ.

    `manifest`: bản kê ở chỗ khác; `hashed`: tính SHA-256 cả khi không có bản kê để so;
    `allowed`: những tên «mô-đun.Lớp» mà pickle được dựng lại; `ignored`: mẫu tên tệp để bỏ qua.
    """
    report = Report(show(path), allowed=frozenset(allowed), ignored=tuple(ignored))
    listing = Path(manifest) if manifest else manifest_of(Path(path))
    guard(report, "", lambda: survey(Path(path), listing, manifest is not None, hashed, report))
    tell_contents(report)
    report.findings.sort(key=lambda finding: LEVELS.index(finding.level))
    return report


def survey(path: Path, listing: Path, named: bool, hashed: bool, report: Report) -> None:
    """Phần thân của `verify`."""
    if not path.exists():
        report.add(NOTE, "no-path", "", "không có đường dẫn này")
        return
    if path.is_dir():
        kept = survey_folder(path, listing, report)
    else:
        name = path.name  # liên kết mà chính người dùng chỉ vào: đi theo, giữ tên người dùng gọi
        kept = {name: Path(os.path.realpath(path))}
        guard(report, name, lambda: check_file(kept[name], name, report))
    check_manifest(listing, named, kept, hashed, report)


def survey_folder(path: Path, listing: Path, report: Report) -> dict[str, Path]:
    """Soi mọi tệp của một thư mục, rồi đối chiếu chúng với nhau; trả những tệp thuộc checkpoint."""
    lists = {os.path.realpath(file) for file in (listing, tensors_beside(listing))}
    files = {}
    for name, real in walk(path, report).items():
        if os.path.realpath(real) not in lists:
            files[name] = real
    weights = {}
    for name, real in files.items():
        found = guard(report, name, lambda name=name, real=real: check_file(real, name, report))
        if found is not None:
            weights[name] = found
    check_tree(files, weights, report)
    return files


# --- Dòng lệnh


def parser_of() -> argparse.ArgumentParser:
    """Các tuỳ chọn của dòng lệnh."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="thư mục hay tệp")
    parser.add_argument(
        "--write-manifest", action="store_true", help="tốt thì ghi bản kê; không ghi đè"
    )
    parser.add_argument(
        "--manifest", type=Path, metavar="FILE", help="bản kê ở chỗ khác (mặc định: ngay cạnh)"
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="NAME",
        help="tên «mô-đun.Lớp» mà pickle được dựng lại; dùng nhiều lần được",
    )
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATTERN",
        help="không soi những tệp hợp mẫu này, như «*.onnx»; dùng nhiều lần được",
    )
    parser.add_argument("--json", metavar="FILE", help="ghi kết quả vào tệp; «-» là màn hình")
    parser.add_argument("--quiet", action="store_true", help="chỉ in kết luận")
    parser.add_argument("--version", action="version", version=f"verify_checkpoint {VERSION}")
    return parser


def complaint_of(args: argparse.Namespace) -> str:
    """Điều khiến lệnh không bắt đầu được; rỗng khi không có gì."""
    for path in args.paths:
        if "\0" in str(path) or not path.exists():
            return f"Không có {show(path)}: hãy chỉ một thư mục hay một tệp."
    if args.manifest and len(args.paths) > 1:
        return "--manifest chỉ dùng được với một đường dẫn."
    if args.manifest and not args.write_manifest and not args.manifest.is_file():
        return f"Không có bản kê {show(args.manifest)}."
    for name in args.allow:
        module, _, attribute = name.rpartition(".")
        if is_dangerous(module, attribute):
            return f"--allow {show(name)}: tên này chạy được mã tuỳ ý, không cho phép được."
    targets = [args.manifest]
    if args.json and args.json != "-":
        targets.append(Path(args.json))
    for target in targets:
        if target and not is_writable(target):
            return f"Không ghi được {show(target)}: hãy chọn một tệp trong thư mục có sẵn."
    return complaint_of_json(args)


def is_writable(target: Path) -> bool:
    """Ghi vào đây được không: một tệp thường, hay một tên mới trong thư mục có sẵn."""
    if os.path.lexists(target) and (target.is_symlink() or not target.is_file()):
        return False
    return target.absolute().parent.is_dir()


def complaint_of_json(args: argparse.Namespace) -> str:
    """`--json` không được đè lên bản kê, hay nằm trong chính thứ cần soi."""
    if not args.json or args.json == "-":
        return ""
    target = Path(os.path.realpath(args.json))
    for path in args.paths:
        if target.is_relative_to(os.path.realpath(path)):
            return f"--json {show(args.json)} nằm trong chính thứ cần soi: hãy chọn chỗ khác."
        listing = args.manifest or manifest_of(path)
        if target == Path(os.path.realpath(listing)):
            return f"--json {show(args.json)} là bản kê: hãy chọn tệp khác."
    return ""


def as_json(report: Report) -> dict[str, Any]:
    """Kết quả cho chương trình khác: mức và mã bằng tiếng Anh, không đổi giữa các bản."""
    findings = []
    for finding in report.findings:
        findings.append({**finding._asdict(), "level": ENGLISH[finding.level]})
    files = {}
    for name, measured in report.files.items():
        files[printable(name)] = measured
    return {
        "path": report.path,
        "exit_code": report.exit_code,
        "verdict": report.verdict,
        "facts": report.facts,
        "findings": findings,
        "skipped": report.skipped,
        "complete": {printable(folder): not why for folder, why in report.complete.items()},
        "files": files,
    }


def skipped_line(report: Report) -> str:
    """Bao nhiêu tệp không được soi, và là những tệp nào; rỗng khi không có."""
    if not report.skipped:
        return ""
    names = ", ".join(list(report.skipped)[:5])
    more = ", …" if len(report.skipped) > 5 else ""
    return f"Không soi {len(report.skipped)} tệp: {names}{more}"


def tell(report: Report, quiet: bool) -> None:
    """In kết quả."""
    if not quiet:
        for fact in report.facts:
            print(fact)
        for finding in report.findings:
            where = f"{finding.where}: " if finding.where else ""
            print(f"{finding.level:<9}  {where}{finding.text}")
    print(report.verdict)
    skipped = skipped_line(report)
    if skipped and not quiet:
        print(skipped)


def tell_manifest(listing: Path) -> None:
    """Nói bản kê ở đâu, và SHA-256 của chính nó để giữ ở nơi khác."""
    with listing.open("rb") as stream:
        digest = sha256(stream)
    print(f"Bản kê: {show(listing)}")
    print(f"SHA-256 của bản kê, hãy giữ ở nơi khác: {digest}")


def worst(codes: Iterable[int]) -> int:
    """Mã thoát chung của nhiều đường dẫn: 1 nặng hơn 3, 3 nặng hơn 2."""
    found = set(codes)
    for code in (1, 3, 2):
        if code in found:
            return code
    return 0


def run(args: argparse.Namespace) -> int:
    """Soi từng đường dẫn, in và ghi kết quả."""
    to_screen = args.json == "-"  # khi đó màn hình chỉ có JSON
    hashed = args.write_manifest or bool(args.json)
    reports = []
    for path in args.paths:
        listing = args.manifest or manifest_of(path)
        known = listing if os.path.lexists(listing) else None
        report = verify(path, known, hashed, args.allow, args.ignore)
        progress.end()
        reports.append(report)
        complaint = write_manifest(listing, report) if args.write_manifest else ""
        if to_screen:
            continue
        if len(args.paths) > 1:
            print(f"== {report.path}")
        tell(report, args.quiet)
        if complaint:
            print(complaint)
        elif args.write_manifest:
            tell_manifest(listing)
    code = worst(report.exit_code for report in reports)
    if args.json:
        result = {"tool": "verify_checkpoint", "version": VERSION, "exit_code": code}
        result["reports"] = [as_json(report) for report in reports]
        text = json.dumps(result, ensure_ascii=False, indent=1) + "\n"
        if to_screen:
            print(text, end="")
        else:
            write_atomically(Path(args.json), text)
    return code


def main(words: list[str] | None = None) -> int:
    """Dòng lệnh."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parser = parser_of()
    args = parser.parse_args(words)
    complaint = complaint_of(args)
    if complaint:
        parser.exit(2, f"{complaint}\n")
    if not args.quiet and sys.stderr.isatty():
        progress.stream = sys.stderr
    try:
        return run(args)
    except BrokenPipeError:
        raise
    except OSError as error:
        parser.exit(2, f"Không ghi được: {show(error)}\n")
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # nơi nhận chữ đã đóng, như `| head`: không phải lỗi của checkpoint
        sys.stdout = None
        sys.exit(2)
