"""Soi một checkpoint mà không chạy gì bên trong nó: đủ, không rách, không gài mã, trọng số dùng chung đúng, và nó là gì.

    python verify_checkpoint.py THU_MUC_HAY_TEP
    python verify_checkpoint.py THU_MUC --write-manifest   # tốt thì ghi bản kê THU_MUC.SHA256SUMS bên cạnh
    python verify_checkpoint.py THU_MUC                    # có bản kê bên cạnh thì tự so với nó

Đọc được: safetensors; tệp của torch.save, cả dạng ZIP lẫn dạng cũ; thư mục Hugging Face, kể cả chia mảnh.
Không cần gói nào ngoài Python 3.11 trở lên. Pickle chỉ được đọc từng lệnh, không bao giờ được chạy.
Bản kê có dạng mà sha256sum ghi; manifest.py ghi và đọc cùng dạng đó.
Mã thoát: 0 tốt; 1 hỏng hoặc nguy hiểm; 2 không phải checkpoint, hoặc không bắt đầu được.

Giới hạn, nói thẳng:
- Không có bản kê thì không thấy một bit lật trong dữ liệu hay tên tensor của safetensors, hay trong dạng torch cũ.
- Bản kê nằm cạnh tệp phát hiện tai nạn, không chặn được kẻ cố ý: kẻ ấy sửa luôn bản kê. Hãy giữ một bản ở nơi khác.
- Đủ và lành không có nghĩa là mô hình trả lời đúng; NaN chỉ được tìm trong safetensors.
- Liên kết ra ngoài thư mục không được đi theo: với bộ nhớ đệm của Hub, hãy chép thật (cp -rL) rồi soi bản chép.
- Pickle được nhận ra nhờ đuôi (.pt .pth .bin .pkl .pickle .ckpt) hay byte mở đầu; tệp nén kiểu khác thì không soi.
- Mô hình lưu cả đối tượng, và checkpoint phân tán (DCP), bị gọi là nguy hiểm: mở chúng là nhập mã ngoài danh sách.
- Kiến trúc mà nó không quen: cấu hình lệch với tensor chỉ là lời cảnh báo.
- Lớn hơn các giới hạn ngay dưới đây thì bị từ chối, không phải được coi là tốt.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import os
import pickletools
import re
import stat
import struct
import sys
import tarfile
import tempfile
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

CHUNK = 1 << 20  # đọc từng khúc: bộ nhớ không lớn theo tệp
HEADER_LIMIT = 100_000_000  # phần đầu safetensors, như chính thư viện giới hạn; cũng dùng cho mỗi tệp JSON
PICKLE_LIMIT = 64 << 20  # byte của các pickle trong một tệp (dữ liệu tensor nằm ngoài pickle)
OPCODE_LIMIT = 3_000_000  # lệnh trong một pickle, và đối số của các lệnh gọi
JSON_LIMIT = 5_000_000  # dấu «{», «[» và «,» trong một JSON: mỗi dấu tốn bộ nhớ gấp nhiều lần cỡ của nó
TENSOR_LIMIT = 1_500_000  # cũng những dấu ấy, trong phần đầu safetensors: hơn hai trăm nghìn tensor
DIRECTORY_LIMIT, ENTRY_LIMIT = 16 << 20, 100_000  # byte và mục của mục lục ZIP
FILE_LIMIT = 100_000  # tệp trong một thư mục
BOMB_BYTES, BOMB_RATIO = 64 << 20, 100  # ZIP bung ra lớn hơn cả hai mức này: bom nén
BROKEN, DANGER, WARNING, NOTE = "HỎNG", "NGUY HIỂM", "CẢNH BÁO", "GHI CHÚ"
PICKLE_SUFFIXES = {".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt"}
MANIFEST = ".SHA256SUMS"
MANIFEST_LINE = re.compile(r"(\\?)([0-9a-fA-F]{64}) [ *](.+)", re.DOTALL)  # «*»: sha256sum --binary
ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}  # sha256sum viết ba ký tự này trong tên tệp
LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # hệ điều hành tự thêm: không vào bản kê
LITTER_FOLDERS = (".git", ".cache/huggingface")  # của git, và của hf download --local-dir
APPLE_DOUBLE = b"\0\5\x16\7"  # mở đầu của tệp ._x mà macOS ghi cạnh tệp x

BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8}
BITS |= {"F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32}
BITS |= {"F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64}
# Kiểu: (số byte mỗi số, những byte cao nhất của NaN hay Inf, những byte kế đó).
ANY, TOP = range(256), (0x7F, 0xFF)
NONFINITE = {"F64": (8, TOP, range(0xF0, 256)), "BF16": (2, TOP, range(0x80, 256))}
NONFINITE |= dict.fromkeys(("F32", "C64"), (4, TOP, range(0x80, 256)))
NONFINITE |= {"F16": (2, (*range(0x7C, 0x80), *range(0xFC, 256)), ANY), "F8_E4M3": (1, TOP, ANY)}
NONFINITE |= {"F8_E5M2": (1, (*range(0x7C, 0x80), *range(0xFC, 256)), ANY), "F8_E8M0": (1, (0xFF,), ANY)}
NONFINITE |= dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), (1, (0x80,), ANY))

# Tên mà một pickle được nhắc tới: chỉ dựng lại tensor và vật chứa thường. Mọi tên khác là nguy hiểm.
STORAGES = {"Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1}
STORAGES |= {"Bool": 1, "ComplexDouble": 16, "ComplexFloat": 8, "QInt8": 1, "QUInt8": 1, "QInt32": 4}
STORAGES |= {"QUInt4x2": 1, "QUInt2x4": 1}
ITEM_SIZE = {f"{home} {name}Storage": size for name, size in STORAGES.items() for home in ("torch", "torch.cuda")}
ITEM_SIZE |= {"torch.storage UntypedStorage": 1, "torch UntypedStorage": 1}
DTYPES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "complex32": 4, "complex64": 8, "complex128": 16}
DTYPES |= {"int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1, "bool": 1}
DTYPES |= {f"float8_{kind}": 1 for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz", "e8m0fnu")}
DTYPES |= {"float4_e2m1fn_x2": 1, "qint8": 1, "quint8": 1, "qint32": 4}
REBUILDERS = "tensor tensor_v2 tensor_v3 parameter parameter_with_state qtensor sparse_tensor nested_tensor"
ALLOWED = {
    *ITEM_SIZE,
    *(f"torch {name}" for name in DTYPES),
    *(f"torch._utils _rebuild_{name}" for name in REBUILDERS.split()),
    *(f"torch per_{way}" for way in ("tensor_affine", "channel_affine", "channel_affine_float_qparams")),
    *("torch._tensor _rebuild_from_type_v2", "torch._utils _rebuild_meta_tensor_no_storage"),
    *("torch.nn.parameter Parameter", "torch Tensor", "torch Size", "torch device", "torch.serialization _get_layout"),
    *("collections OrderedDict", "collections Counter", "collections defaultdict", "collections deque"),
    *(f"{home} {name}" for home in ("builtins", "__builtin__") for name in ("set", "frozenset", "complex")),
    *(f"{home} {name}" for home in ("builtins", "__builtin__") for name in ("bytearray", "slice", "range")),
    *(f"{home} {name}" for home in ("builtins", "__builtin__") for name in ("list", "dict", "tuple", "bytes")),
    *(f"{home} {name}" for home in ("builtins", "__builtin__") for name in ("int", "float", "bool", "str")),
    "_codecs encode",
}
# Mảng numpy: vô hại, nhưng torch.load không nhận nếu không được dặn trước.
NUMPY = {f"numpy.{core}.multiarray {name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")}
NUMPY |= {"numpy ndarray", "numpy dtype"}
# Những lớp mà training_args.bin của Trainer ghi: lớp chỉ được dựng rỗng rồi điền, enum chỉ được gọi với một chuỗi.
TRAINER = {f"transformers.training_args {name}" for name in ("TrainingArguments", "OptimizerNames", "ParallelMode")}
TRAINER |= {"transformers.training_args_seq2seq Seq2SeqTrainingArguments", "accelerate.state PartialState"}
TRAINER |= {"transformers.trainer_pt_utils AcceleratorConfig", "accelerate.utils.dataclasses DistributedType"}
TRAINER |= {f"transformers.trainer_utils {name}" for name in ("SchedulerType", "IntervalStrategy", "SaveStrategy")}
TRAINER |= {f"transformers.trainer_utils {name}" for name in ("HubStrategy", "EvaluationStrategy")}
TRAINER |= {"transformers.debug_utils DebugOption", "transformers.generation.configuration_utils GenerationConfig"}
KNOWN = ALLOWED | NUMPY | TRAINER
BUILTINS = ("set", "frozenset", "list", "dict", "tuple", "bytes", "bytearray", "int", "float", "bool", "str", "complex")
FACTORIES = {f"{home} {name}" for home in ("builtins", "__builtin__") for name in BUILTINS}
ENUM_ENDS = ("Names", "Type", "Mode", "Strategy", "Option")

EMBEDDING = re.compile(r"(?:^|\.)(?:wte|embed_tokens|word_embeddings|tok_embeddings|embed_in|shared)\.weight$")
HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out)\.weight$")
LAYER = re.compile(r"^(.*?)(?:^|(?<=\.))(?:h|layers|layer|blocks)\.(\d{1,9})\.")
SHARD = re.compile(r"^(.+)-(\d{5,9})-of-(\d{5,9})(\.safetensors|\.bin)$")
PICKLED_BIN = re.compile(
    r"(?:^|/)(?:(?:pytorch_|adapter_|diffusion_pytorch_)model.*|training_args|optimizer|scheduler)\.bin$"
)
OLD_WEIGHTS = re.compile(r"pytorch_model.*\.bin")
LIBRARY_JSON = re.compile(
    r"(?:[\w.-]*config|[\w.-]*\.index(?:\.\w+)?|tokenizer|vocab|added_tokens|special_tokens_map|modules|trainer_state)\.json"
)
NEEDED = {"config.json", "tokenizer.json", "vocab.json", "added_tokens.json"}
INDEX = re.compile(r"(?P<stem>.+)(?P<end>\.safetensors|\.bin)\.index(?:\.(?P<variant>\w+))?\.json")
FOREIGN = {".onnx", ".gguf", ".h5", ".msgpack", ".tflite", ".distcp", ".npz", ".keras", ".pb"}
LOST = "có cấu hình của một mô hình mà không có tệp trọng số nào"
# Những kiến trúc mà ta biết chắc cấu hình nói gì về tensor; ở kiến trúc khác, lệch chỉ là lời cảnh báo.
DECODERS = {"gpt2", "gpt_neo", "gpt_neox", "gptj", "codegen", "llama", "mistral", "mixtral", "qwen2", "qwen3", "gemma"}
DECODERS |= {"gemma2", "phi", "phi3", "opt", "bloom", "falcon", "olmo2", "stablelm", "starcoder2", "smollm3"}
FAMILIAR = DECODERS | {"bert", "roberta", "xlm-roberta", "distilbert", "electra", "camembert"}
WIDTH_KEYS = ("embedding_size", "word_embed_proj_dim", "n_embd", "d_model", "hidden_size", "dim", "emb_dim")
LAYER_KEYS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


class Bad(Exception):
    """Điều khiến một tệp không đáng tin; lời là tiếng Việt, cho người đọc."""

    def __init__(self, text: str, level: str = BROKEN) -> None:
        super().__init__(text)
        self.level = level


class Torn(Bad):
    """Pickle không đọc tiếp được ở một chỗ mà chính Python cũng dừng: sau đó không gì có thể được gọi."""


class Finding(NamedTuple):
    """Một điều tìm thấy: mức, ở tệp nào, là gì."""

    level: str
    where: str
    text: str


class Tensor(NamedTuple):
    """Một tensor theo lời phần đầu: kiểu, hình dạng, và nơi dữ liệu nằm (tệp, từ byte, tới byte; hoặc tên storage)."""

    dtype: str
    shape: tuple[int, ...]
    place: tuple[Any, ...]


@dataclass
class Report:
    """Kết luận về một đường dẫn."""

    path: str
    recognised: bool = False
    facts: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    manifest: str = ""
    uncaught: list[str] = field(default_factory=list)

    def add(self, level: str, where: str, text: str) -> None:
        """Thêm một điều tìm thấy."""
        self.findings.append(Finding(level, show(where), printable(text)))

    def fact(self, text: str) -> None:
        """Thêm một điều mà checkpoint tự nhận."""
        self.facts.append(printable(text))

    @property
    def exit_code(self) -> int:
        """0 tốt; 1 hỏng hoặc nguy hiểm; 2 không phải checkpoint."""
        if any(finding.level in (BROKEN, DANGER) for finding in self.findings):
            return 1
        return 0 if self.recognised else 2

    @property
    def verdict(self) -> str:
        """Kết luận, một dòng."""
        if any(finding.level == DANGER for finding in self.findings):
            return "NGUY HIỂM: đừng mở."
        if self.exit_code:
            return "HỎNG: đừng dùng." if self.exit_code == 1 else "KHÔNG PHẢI CHECKPOINT mà công cụ này đọc được."
        more = ", đúng bản kê từng byte" if self.manifest else ""
        warned = "; hãy đọc CẢNH BÁO ở trên" if any(found.level == WARNING for found in self.findings) else ""
        return f"TỐT: đủ, không rách, không gài mã{more}{warned}."


def show(value: object) -> str:
    """Chữ in được và không quá dài."""
    return printable(str(value)[:200])


def printable(text: str) -> str:
    """Chữ in được trên mọi màn hình: không xuống dòng, không ký tự điều khiển."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode("ascii") for c in text)


def mib(size: int) -> str:
    """Dung lượng, viết kiểu Việt."""
    return f"{size / 2**20:.2f} MiB".replace(".", ",") if size >= 1 << 20 else f"{size} byte"


def open_regular(path: Path) -> BinaryIO:
    """Mở để đọc một tệp thường, không gì khác: xem loại trước khi mở, không đi theo liên kết, xem lại sau khi mở."""
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise Bad("không phải tệp thường: không mở")
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    stream = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise Bad("không phải tệp thường: không đọc")
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
            raise Bad("tệp ngắn đi trong lúc đọc")
        begin += len(piece)
        yield piece


def sha256(stream: BinaryIO, begin: int = 0, end: int | None = None) -> str:
    """SHA-256 của một khoảng, hay của cả tệp."""
    digest = hashlib.sha256()
    for piece in chunks(stream, begin, size_of(stream) if end is None else end):
        digest.update(piece)
    return digest.hexdigest()


def parse_json(content: bytes, strict: bool = False, limit: int = JSON_LIMIT) -> Any:
    """Đọc JSON; khoá lặp là hỏng; `strict` từ chối cả NaN và Infinity; `limit`: số dấu ngăn nhiều nhất."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            raise Bad("JSON có khoá lặp: mỗi chương trình hiểu một kiểu")
        return found

    def constant(name: str) -> float:
        if strict:
            raise Bad(f"JSON có {name}")
        return math.nan

    if sum(map(content.count, (b"{", b"[", b","))) > limit:
        raise Bad(f"JSON có quá {limit} phần: không đọc")
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    except RecursionError as error:
        raise Bad("JSON lồng quá sâu") from error
    except ValueError as error:  # gồm cả UTF-8 hỏng, cú pháp hỏng, số nguyên quá dài
        raise Bad(f"JSON hỏng: {show(error)}") from error


def read_json(path: Path) -> Any:
    """Đọc một tệp JSON trong giới hạn."""
    with open_regular(path) as stream:
        if size_of(stream) > HEADER_LIMIT:
            raise Bad(f"tệp JSON lớn hơn {mib(HEADER_LIMIT)}: không đọc")
        return parse_json(stream.read(HEADER_LIMIT))


def is_count(value: object) -> bool:
    """Có phải số nguyên từ 0 tới dưới 2^63 không (True không tính)."""
    return type(value) is int and 0 <= value < 1 << 63


# --- safetensors


def read_safetensors(path: Path, stream: BinaryIO) -> dict[str, Tensor]:
    """Phần đầu của một tệp safetensors, đã đối chiếu với dung lượng tệp."""
    size, start = size_of(stream), stream.read(8)
    if len(start) < 8:
        raise Bad(f"chỉ có {size} byte, phải có ít nhất 8: tệp bị cắt")
    length = int.from_bytes(start, "little")
    if length > HEADER_LIMIT:
        raise Bad(
            f"phần đầu tự nhận dài {length} byte, quá giới hạn {HEADER_LIMIT}: không phải safetensors hay đã hỏng"
        )
    if 8 + length > size:
        raise Bad(f"phần đầu tự nhận dài {length} byte mà tệp chỉ có {size} byte: tệp bị cắt")
    text = stream.read(length)
    if not text.startswith(b"{"):
        raise Bad("phần đầu không mở bằng «{»: hỏng")
    header = parse_json(text, strict=True, limit=TENSOR_LIMIT)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise Bad("__metadata__ phải đi từ chữ sang chữ")
    tensors: dict[str, Tensor] = {}
    for name, info in header.items():
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise Bad(f"tên tensor «{show(name)}» không phải chữ Unicode")
        if not isinstance(info, dict) or info.keys() != {"dtype", "shape", "data_offsets"}:
            raise Bad(f"tensor «{show(name)}»: mô tả thiếu hay thừa mục")
        dtype, shape, span = info["dtype"], info["shape"], info["data_offsets"]
        if not isinstance(dtype, str) or dtype not in BITS:
            raise Bad(f"tensor «{show(name)}»: kiểu lạ {show(dtype)}")
        if not isinstance(shape, list) or not all(map(is_count, shape)):
            raise Bad(f"tensor «{show(name)}»: hình dạng sai")
        if not isinstance(span, list) or len(span) != 2 or not all(map(is_count, span)):
            raise Bad(f"tensor «{show(name)}»: vị trí sai")
        bits = BITS[dtype]
        for side in shape:
            bits *= side
            if bits >= 1 << 66:
                raise Bad(f"tensor «{show(name)}»: hình dạng lớn quá mức")
        if bits != 8 * (span[1] - span[0]):
            raise Bad(f"tensor «{show(name)}»: {dtype} {show(shape)} không vừa {span[1] - span[0]} byte")
        tensors[name] = Tensor(dtype, tuple(shape), (path, 8 + length + span[0], 8 + length + span[1]))
    reached = 8 + length
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].place[1:]):
        if tensor.place[1] != reached:
            raise Bad(f"tensor «{show(name)}»: {'chồng lên' if tensor.place[1] < reached else 'hở với'} tensor trước")
        reached = tensor.place[2]
    if reached != size:
        raise Bad(f"dữ liệu phải hết ở byte {reached} mà tệp có {size} byte: {'bị cắt' if size < reached else 'thừa'}")
    return tensors


def nonfinite(stream: BinaryIO, tensor: Tensor) -> bool:
    """Có NaN hay Inf không; dừng ở khúc đầu tiên có."""
    if tensor.dtype not in NONFINITE:
        return False
    item, *wanted = NONFINITE[tensor.dtype]
    high, second = (bytes(byte in chosen for byte in range(256)) for chosen in wanted)  # bảng: 1 là đáng ngờ
    for piece in chunks(stream, *tensor.place[1:]):  # CHUNK chia hết cho mọi cỡ số
        mask = int.from_bytes(piece[item - 1 :: item].translate(high), "big")
        if mask and item > 1:
            mask &= int.from_bytes(piece[item - 2 :: item].translate(second), "big")
        if mask:
            return True
    return False


def check_safetensors(path: Path, where: str, report: Report) -> dict[str, Tensor]:
    """Soi một tệp safetensors; trả lại các tensor của nó."""
    with open_regular(path) as stream:
        tensors = read_safetensors(path, stream)
        poisoned = [name for name, tensor in tensors.items() if nonfinite(stream, tensor)]
    if poisoned:
        names = ", ".join(map(show, poisoned[:3])) + (", …" if poisoned[3:] else "")
        report.add(WARNING, where, f"{len(poisoned)} tensor có NaN hay Inf: {names} (mặt nạ -inf thì bình thường)")
    describe(report, where, "safetensors", tensors)
    return tensors


def describe(report: Report, where: str, form: str, tensors: dict[str, Tensor]) -> None:
    """Ghi lại tệp tự nhận là gì: bao nhiêu tensor, kiểu nào, bao nhiêu số."""
    report.recognised = True
    kinds = ", ".join(sorted({tensor.dtype for tensor in tensors.values()}))
    count = sum(math.prod(tensor.shape) for tensor in tensors.values())
    report.fact(f"{show(where)}: {form}, {len(tensors)} tensor{f' ({kinds})' if kinds else ''}, {count} số")


# --- pickle: đọc lệnh, không chạy


class Name(str):
    """Một tên mà pickle nhập: «mô-đun tên»."""

    __slots__ = ()


class Storage(NamedTuple):
    """Một vùng dữ liệu mà pickle nhắc tới: khoá, tên lớp, số phần tử."""

    key: str
    kind: str
    count: int


class Raw(NamedTuple):
    """Một chuỗi byte trong pickle: chỉ cần biết nó dài bao nhiêu."""

    length: int


class NumpyType(NamedTuple):
    """Kiểu số của numpy: một mục chiếm mấy byte."""

    size: int


class Thing:
    """Một vật mà pickle dựng: chỉ cần biết loại, và đã có gì được bỏ vào chưa."""

    __slots__ = ("filled", "kind", "odd")

    def __init__(self, kind: str) -> None:
        """Loại: list, dict, set, OrderedDict, …; «?» đã bị từ chối. `odd`: có khoá không phải tên thuộc tính thường."""
        self.kind, self.filled, self.odd = kind, False, False


MARK = Thing("mark")
LITERALS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "STRING", "BINSTRING", "SHORT_BINSTRING"}
LITERALS |= {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "FLOAT", "BINFLOAT"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
CONTAINERS = {"EMPTY_LIST": "list", "EMPTY_DICT": "dict", "EMPTY_SET": "set"}
COLLECTED = {"LIST": "list", "DICT": "dict", "FROZENSET": "frozenset"}
BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
FILLED_BY = {"APPEND": {"list", "deque"}, "APPENDS": {"list", "deque"}, "ADDITEMS": {"set"}}
FILLED_BY |= {code: {"dict", "OrderedDict", "defaultdict", "Counter"} for code in ("SETITEM", "SETITEMS")}
NUMPY_CODE = re.compile(r"(?:b1|[iu](?P<int>[1248])|f(?P<float>2|4|8|16)|c(?P<complex>8|16|32)|[Mm](?P<date>8))")
NUMPY_TEXT = re.compile(r"(?P<kind>[SU])(?P<length>\d{1,6})")


@dataclass
class Pickle:
    """Một pickle đã đọc: hết ở byte nào, trả gì, nhắc những tên nào, những storage và tensor nào."""

    end: int = 0
    value: Any = None
    names: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    unchecked: set[str] = field(default_factory=set)
    storages: dict[str, Storage] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    strings: list[str] = field(default_factory=list)


def is_kind(value: object, *kinds: str) -> bool:
    """Có phải vật thuộc một trong những loại ấy không."""
    return type(value) is Thing and value.kind in kinds


def is_empty(value: object) -> bool:
    """Có phải từ điển chưa có gì không: hook của tensor phải thế, vì hook là hàm sẽ được gọi."""
    return is_kind(value, "dict", "OrderedDict") and not value.filled


def is_plain(value: object) -> bool:
    """Có phải số, chữ, byte, None, hay bộ của những thứ ấy không."""
    if type(value) is tuple:
        return len(value) < 100 and all(map(is_plain, value))
    return value is None or type(value) in (bool, int, float, str, Raw)


def is_state(value: object) -> bool:
    """Có phải trạng thái mà torch ghi kèm một tensor không: từ điển thuộc tính, một hay hai."""
    parts = value if type(value) is tuple and len(value) <= 2 else (value,)
    return all(part is None or (is_kind(part, "dict", "OrderedDict") and not part.odd) for part in parts)


def construct(function: Name, given: tuple[Any, ...], found: Pickle) -> Any:
    """Điều mà lời gọi `function(*given)` sẽ dựng nên; None khi nó không giống lời gọi nào mà torch hay numpy ghi ra."""
    name = function.partition(" ")[2]
    if function in TRAINER:
        return Thing("enum") if name.endswith(ENUM_ENDS) and len(given) == 1 and type(given[0]) is str else None
    if name.startswith("_rebuild_"):
        return rebuild(name, given, found)
    if name == "encode":  # byte, theo cách của pickle đời hai
        honest = len(given) == 2 and type(given[0]) is str and given[1] == "latin1"
        return Raw(len(given[0])) if honest else None
    if name == "dtype":
        return numpy_type(given)
    if name == "scalar":
        honest = len(given) == 2 and type(given[0]) is NumpyType and type(given[1]) is Raw
        return Thing("number") if honest and given[1].length == given[0].size else None
    if name == "_reconstruct":
        honest = len(given) == 3 and given[:2] == ("numpy ndarray", (0,)) and type(given[2]) in (Raw, str)
        return Thing("ndarray") if honest else None
    if name == "Size":
        return given[0] if len(given) == 1 and type(given[0]) is tuple and all(map(is_count, given[0])) else None
    listed = len(given) == 1 and is_kind(given[0], "list", "dict")
    honest = {
        "OrderedDict": not given or listed,
        "Counter": not given or listed,
        "set": not given or listed,
        "frozenset": not given or listed,
        "deque": listed or (len(given) <= 2 and all(is_plain(part) or is_kind(part, "list") for part in given)),
        "defaultdict": all(part is None or (type(part) is Name and part in FACTORIES) for part in given),
        "complex": len(given) == 2 and all(type(part) in (int, float) for part in given),
        "bytearray": not given or [type(part) for part in given] in ([Raw], [str, str]),
        "slice": len(given) == 3 and is_plain(given),
        "range": len(given) in (2, 3) and all(type(part) is int for part in given),
        "device": len(given) in (1, 2) and is_plain(given),
        "_get_layout": len(given) == 1 and type(given[0]) is str,
    }.get(name, not given and function in FACTORIES)
    return Thing(name) if honest else None


def numpy_type(given: tuple[Any, ...]) -> NumpyType | None:
    """Kiểu số của numpy mà lời gọi `dtype(*given)` dựng; không nhận kiểu đối tượng hay kiểu có cấu trúc."""
    if not 1 <= len(given) <= 3 or type(given[0]) is not str or not is_plain(given):
        return None
    code = given[0].lstrip("<>|=")
    if (text := NUMPY_TEXT.fullmatch(code)) is not None:
        return NumpyType(int(text["length"]) * (4 if text["kind"] == "U" else 1))
    if (match := NUMPY_CODE.fullmatch(code)) is None:
        return None
    return NumpyType(int(next(filter(None, match.groups()), "1")))


def rebuild(name: str, given: tuple[Any, ...], found: Pickle) -> Any:
    """Tensor mà một hàm `_rebuild_…` của torch dựng; None khi đối số không như torch ghi."""
    name = name.removeprefix("_rebuild_")
    if name in ("tensor", "tensor_v2", "tensor_v3", "qtensor"):
        hooks = given[6:7] if name == "qtensor" else given[5:6]
        return tensor_of(given) if all(map(is_empty, hooks)) else None
    if name in ("parameter", "parameter_with_state"):
        honest = len(given) in (3, 4) and type(given[0]) in (Tensor, Thing) and is_empty(given[2])
        return given[0] if honest and all(map(is_state, given[3:])) else None
    if name == "from_type_v2":
        if len(given) != 4 or type(given[0]) is not Name or type(given[2]) is not tuple or not is_state(given[3]):
            return None
        honest = given[1] in ("torch Tensor", "torch.nn.parameter Parameter") and given[0].startswith("torch._utils ")
        return construct(given[0], given[2], found) if honest else None
    if name == "meta_tensor_no_storage":
        return Thing("tensor")
    found.unchecked.add("thưa" if name == "sparse_tensor" else "lồng")
    return Thing("tensor")


def tensor_of(given: tuple[Any, ...]) -> Tensor:
    """Tensor trên một storage, đã xem nó có nằm gọn trong đó không."""
    if len(given) < 4 or type(given[0]) is not Storage or type(given[2]) is not tuple or type(given[3]) is not tuple:
        raise Bad("pickle dựng tensor từ thứ không phải storage")
    storage, offset, shape, stride = given[:4]
    if not all(map(is_count, (offset, *shape, *stride))) or len(shape) != len(stride):
        raise Bad("pickle dựng tensor với số đo vô lý")
    kind, item, size = storage.kind, ITEM_SIZE[storage.kind], storage.count * ITEM_SIZE[storage.kind]
    if len(given) > 6 and type(given[6]) is Name:
        kind, item = given[6], DTYPES.get(given[6].partition(" ")[2], item)
    if kind.endswith(("x2Storage", "x4Storage")):  # nhiều số trong một byte: không đếm được
        item = 0
    last = offset + sum((side - 1) * step for side, step in zip(shape, stride, strict=True))
    if 0 not in shape and (last + 1) * item > size:
        raise Bad(f"một tensor {show(shape)} vượt ra ngoài storage «{show(storage.key)}»")
    kind = kind.partition(" ")[2].removesuffix("Storage")
    return Tensor(kind, shape, ("storage", storage.key, offset, shape, stride))


def storage_of(pid: object, found: Pickle) -> Storage:
    """Storage mà một lời nhắc tới dữ liệu ngoài nói tới."""
    if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] != "storage":
        raise Bad("pickle trỏ tới dữ liệu ngoài theo cách lạ")
    kind, key, count = pid[1], pid[2], pid[4]
    if type(kind) is not Name or type(key) is not str or not is_count(count):
        raise Bad("pickle mô tả storage sai")
    if kind not in ITEM_SIZE:
        raise Bad(f"lớp storage lạ {show(kind)}")
    storage = Storage(key, kind, count)
    if found.storages.setdefault(key, storage) != storage:
        raise Bad(f"storage «{show(key)}» được mô tả theo hai cách")
    return storage


def may_build(target: object, state: object) -> bool:
    """Lệnh BUILD này có như torch, numpy hay Trainer ghi không. Nó sửa được mọi thứ, nên chỉ nhận vài cách."""
    if is_kind(target, "OrderedDict", "settings"):
        return is_kind(state, "dict", "OrderedDict") and not state.odd
    if type(target) is NumpyType:  # không kiểu con, không tên trường, không cờ nào
        honest = type(state) is tuple and len(state) in (8, 9) and is_plain(state)
        honest = honest and state[2:5] == (None, None, None) and state[7] == 0
        return honest and state[5] in (-1, target.size) and state[6] in (-1, 1, 4)
    if is_kind(target, "ndarray"):
        honest = type(state) is tuple and len(state) == 5 and type(state[1]) is tuple and all(map(is_count, state[1]))
        honest = honest and type(state[2]) is NumpyType and type(state[4]) is Raw
        return honest and math.prod(state[1]) * state[2].size == state[4].length
    return is_kind(target, "?")  # đã bị từ chối rồi


def read_pickle(data: bytes, start: int) -> Pickle:
    """Theo từng lệnh của pickle ở `start` trên một ngăn xếp giả: biết nó gọi gì mà không gọi.

    Một lệnh không hợp lệ là hỏng. Tên không nằm trong KNOWN, tên chỉ biết được lúc chạy, và lời gọi không giống lời gọi
    nào mà torch ghi ra đều vào `refused`.
    """
    found, memo, stack, ops = Pickle(), {}, [], 0
    source = io.BytesIO(data)
    source.seek(start)

    def to_mark() -> list[Any]:
        place = len(stack) - 1
        while stack[place] is not MARK:  # hết ngăn xếp thì IndexError
            place -= 1
            if place < 0:
                raise IndexError
        items = stack[place + 1 :]
        del stack[place:]
        return items

    def top() -> Any:
        return stack[-1]  # rỗng thì IndexError: pickle rách

    def named(module: object, name: object) -> Name:
        if type(module) is not str or type(name) is not str:
            found.refused.add("nhập một tên chỉ biết lúc chạy")
            return Name("?")
        full = Name(f"{module} {name}")
        found.names.add(full)
        if full not in KNOWN:
            found.refused.add(f"gọi {module}.{name}")
        return full

    def call(function: object, given: object, new: bool = False) -> Any:
        nonlocal ops
        made = None
        if type(function) is not Name or type(given) is not tuple:
            found.refused.add("gọi một thứ chỉ biết lúc chạy")
        elif function in KNOWN:
            ops += len(given)
            if new:
                plain = function in TRAINER and not function.endswith(ENUM_ENDS) and not given
                made = Thing("settings") if plain else None
            else:
                made = construct(function, given, found)
            if made is None:
                found.refused.add(f"gọi {function.replace(' ', '.')} theo cách lạ")
        return Thing("?") if made is None else made

    def fill(code: str, items: list[Any]) -> None:
        target = top()
        if type(target) is not Thing or target.kind not in {*FILLED_BY[code], "?"}:
            found.refused.add("bỏ vào một thứ không phải vật chứa")
            return
        target.filled = target.filled or bool(items)
        keys = items[::2] if code.startswith("SETITEM") else ()
        target.odd = target.odd or any(type(key) is not str or key.startswith("__") for key in keys)
        for key, value in zip(items[::2], items[1::2], strict=True) if code.startswith("SETITEM") else ():
            if type(key) is str and type(value) is Tensor:
                found.tensors[key] = value

    try:
        for op, arg, position in pickletools.genops(source):
            ops, code = ops + 1, op.name
            if ops > OPCODE_LIMIT:
                raise Bad(f"pickle có quá {OPCODE_LIMIT} lệnh: không đọc tiếp")
            if code in LITERALS:
                stack.append(arg)
                if type(arg) is str:
                    found.strings.append(arg)
            elif code in CONSTANTS:
                stack.append(CONSTANTS[code])
            elif code in CONTAINERS:
                stack.append(Thing(CONTAINERS[code]))
            elif code in BYTES:
                stack.append(Raw(len(arg)))
            elif code in ("BINPUT", "LONG_BINPUT", "PUT"):
                if arg > position:
                    raise Bad("pickle đòi bảng nhớ lớn quá mức", DANGER)
                memo[arg] = top()
            elif code == "MEMOIZE":
                memo[len(memo)] = top()
            elif code in ("BINGET", "LONG_BINGET", "GET"):
                stack.append(memo[arg])
            elif code == "MARK":
                stack.append(MARK)
            elif code in TUPLES:
                items = tuple(stack[-TUPLES[code] :])
                if len(items) < TUPLES[code]:
                    raise IndexError
                del stack[-TUPLES[code] :]
                stack.append(items)
            elif code == "TUPLE":
                stack.append(tuple(to_mark()))
            elif code in COLLECTED:
                items = to_mark()
                stack.append(Thing(COLLECTED[code]))
                if code == "DICT":
                    fill("SETITEMS", items)
            elif code in ("APPENDS", "ADDITEMS", "SETITEMS"):
                fill(code, to_mark())
            elif code == "APPEND":
                fill(code, [stack.pop()])
            elif code == "SETITEM":
                value, key = stack.pop(), stack.pop()
                fill(code, [key, value])
            elif code == "GLOBAL":  # đọc từ byte thật: pickletools giải mã dấu «\» còn pickle thì không
                module, name = lines(data, position)
                stack.append(named(module.decode("ascii"), name.decode("ascii")))
            elif code == "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(named(module, name))
            elif code in ("REDUCE", "NEWOBJ"):
                given, function = stack.pop(), stack.pop()
                stack.append(call(function, given, new=code == "NEWOBJ"))
            elif code == "BUILD":
                state = stack.pop()
                if not may_build(top(), state):
                    what = top().replace(" ", ".") if type(top()) is Name else "một thứ"
                    found.refused.add(f"sửa {what} sau khi nhập hay dựng")
            elif code == "BINPERSID":
                stack.append(storage_of(stack.pop(), found))
            elif code == "POP":
                stack.pop()
            elif code == "POP_MARK":
                to_mark()
            elif code == "DUP":
                stack.append(top())
            elif code in ("INST", "OBJ", "NEWOBJ_EX"):  # torch không bao giờ ghi những lệnh này
                found.refused.add(f"gọi {show(arg).replace(' ', '.')} (lệnh {code})" if arg else f"dùng lệnh {code}")
                to_mark() if code != "NEWOBJ_EX" else (stack.pop(), stack.pop(), stack.pop())
                stack.append(Thing("?"))
            elif code == "STOP":
                found.value = stack.pop()
                break
            elif code not in ("PROTO", "FRAME"):  # EXT1, PERSID, NEXT_BUFFER, …
                found.refused.add(f"dùng lệnh {code}")
                if code != "READONLY_BUFFER":
                    stack.append(Thing("?"))
    except (IndexError, KeyError, ValueError, OverflowError, RecursionError) as error:
        if found.refused:  # lạ trước khi rách: nói điều nặng hơn
            raise Bad(refusal(found), DANGER) from error
        if isinstance(error, OverflowError | RecursionError) or (
            len(data) >= PICKLE_LIMIT and source.tell() >= len(data)  # hết phần đã đọc, chưa hết tệp
        ):
            raise Bad(f"pickle không đọc được trọn trong giới hạn {mib(PICKLE_LIMIT)}") from error
        raise Torn("pickle rách: không đọc được trọn các lệnh") from error
    except Bad as error:
        if found.refused:
            raise Bad(refusal(found), DANGER) from error
        raise
    found.end = source.tell()
    return found


def lines(data: bytes, position: int) -> tuple[bytes, bytes]:
    """Hai dòng ngay sau lệnh ở `position`."""
    middle = data.index(b"\n", position)
    return data[position + 1 : middle], data[middle + 1 : data.index(b"\n", middle + 1)]


def refusal(found: Pickle) -> str:
    """Câu nói vì sao một pickle bị từ chối."""
    names = sorted(found.refused)
    return f"pickle {', '.join(map(show, names[:5]))}{', …' if names[5:] else ''}: ngoài danh sách được phép"


def judge(found: Pickle, where: str, report: Report) -> None:
    """Ghi điều phải nói về các tên của một pickle."""
    if found.refused:
        report.add(DANGER, where, refusal(found))
    elif more := found.names & (TRAINER | NUMPY):
        whose = "lớp của Trainer" if more & TRAINER else "mảng numpy"
        report.add(WARNING, where, f"có {whose}: weights_only=True từ chối; chỉ mở cách khác khi tin nơi gửi")
    for kind in sorted(found.unchecked):
        report.add(WARNING, where, f"có tensor {kind}: kích thước bên trong nó không kiểm được nếu không mở")


def check_pickle(path: Path, where: str, report: Report) -> dict[str, Tensor]:
    """Soi một tệp pickle không nén: dạng torch cũ (năm pickle rồi dữ liệu thô), hay một pickle đơn."""
    with open_regular(path) as stream:
        size = size_of(stream)
        data = stream.read(PICKLE_LIMIT)
        if not size:
            raise Bad("tệp rỗng")
        first = read_pickle(data, 0)
        judge(first, where, report)
        if type(first.value) is not int or first.value != 0x1950A86A20F9469CFC6C:
            if first.end != size:
                raise Bad(f"thừa {size - first.end} byte sau pickle")
            if first.storages:
                raise Bad("pickle nhắc tới storage mà tệp không có dữ liệu nào")
            report.recognised = True
            report.fact(f"{show(where)}: một pickle đơn, {len(first.names)} tên được nhập")
            return {}
        parts = [first]
        for _ in range(4):
            parts.append(read_pickle(data, parts[-1].end))
            judge(parts[-1], where, report)
        found, keys = parts[3], parts[4].strings
        if parts[1].value != 1001 or sorted(keys) != sorted(found.storages):
            raise Bad("dạng torch cũ: danh sách storage không khớp các tensor")
        place = parts[4].end
        for key in keys:
            storage = found.storages[key]
            stream.seek(place)
            if int.from_bytes(stream.read(8), "little") != storage.count:
                raise Bad(f"storage «{show(key)}» không có đúng {storage.count} phần tử")
            place += 8 + storage.count * ITEM_SIZE[storage.kind]
        if place != size:
            raise Bad(f"dữ liệu phải hết ở byte {place} mà tệp có {size} byte")
    report.add(NOTE, where, "dạng torch cũ không có CRC: một bit lật trong dữ liệu chỉ bản kê mới thấy")
    describe(report, where, "torch (dạng cũ)", found.tensors)
    return found.tensors


# --- ZIP của torch


def directory_span(stream: BinaryIO, size: int) -> tuple[int, int]:
    """Mục lục ZIP: từ byte nào tới byte nào. Nó phải nằm ngay trước bản ghi cuối, và bản ghi ấy phải kết thúc tệp."""
    stream.seek(max(0, size - 98))
    tail = stream.read(98)
    if size < 22 or tail[-22:-18] != b"PK\5\6":
        raise Bad("ZIP không kết thúc ở cuối tệp: bị cắt, hay có gì nối vào sau")
    disks, count, length, begin, comment = struct.unpack("<4xI2xHIIH", tail[-22:])
    stated = (count, length, begin)
    end = size - 22
    if tail[-42:-38] == b"PK\6\7" and tail[-98:-94] == b"PK\6\6":
        end = size - 98
        record, *_, disk, other, here, count, length, begin = struct.unpack("<4xQ2H2I4Q", tail[-98:-42])
        if record != 44 or disk or other or here != count or struct.unpack("<4xIQI", tail[-42:-22]) != (0, end, 1):
            raise Bad("ZIP64: bản ghi cuối sai")
        if any(a not in (b, top) for a, b, top in zip(stated, (count, length, begin), TOPS, strict=True)):
            raise Bad("ZIP64: hai bản ghi cuối nói khác nhau")
    elif b"PK\6\7" in tail[-42:-22]:  # nơi chương trình khác tìm bản ghi ZIP64: có thể thành một mục lục khác
        raise Bad("ZIP64: chỉ tới một bản ghi không nằm ở chỗ của nó")
    if disks or comment or begin + length != end:
        raise Bad("ZIP: mục lục không nằm ngay trước bản ghi cuối")
    if count > ENTRY_LIMIT:
        raise Bad(f"ZIP: có {count} mục, quá giới hạn {ENTRY_LIMIT}")
    stream.seek(begin)
    directory, place = stream.read(length), 0
    for _ in range(count):  # zipfile dễ dãi với mục cuối bị cụt, torch thì không
        place += 46 + sum(struct.unpack_from("<3H", directory, place + 28)) if place + 46 <= length else 46
    if place != length:
        raise Bad("ZIP: các mục không lấp đúng mục lục")
    if length > DIRECTORY_LIMIT:
        raise Bad(f"ZIP: mục lục dài {mib(length)}, quá giới hạn {mib(DIRECTORY_LIMIT)}")
    return begin, count


TOPS = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


def check_entry(stream: BinaryIO, info: zipfile.ZipInfo, begin: int) -> int:
    """Đối chiếu đầu mục ở `begin` với mục lục; trả byte ngay sau mục ấy."""
    where = f"mục «{show(info.orig_filename)}»"
    stream.seek(begin)
    head = stream.read(30)
    if info.header_offset != begin or len(head) < 30 or head[:4] != b"PK\3\4":
        raise Bad(f"ZIP: {where} không nằm ngay sau mục trước: có chỗ hở hay chồng")
    _, _, flags, method, _, _, crc, packed, full, name, extra = struct.unpack("<4s3H2H3I2H", head)
    if info.comment or info.volume or (info.external_attr & 0x10 and not info.orig_filename.endswith("/")):
        raise Bad(f"ZIP: {where} có lời ghi kèm, ở đĩa khác hay bị coi là thư mục: torch không bao giờ ghi thế")
    if info.flag_bits & 1 or method != info.compress_type or method not in (0, 8) or flags != info.flag_bits:
        raise Bad(f"ZIP: {where} nén hay khoá theo cách lạ")
    written = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437", "surrogateescape")
    if stream.read(name) != written:
        raise Bad(f"ZIP: {where}: đầu mục và mục lục gọi nó bằng hai tên")
    end = begin + 30 + name + extra + info.compress_size
    true = (info.CRC, info.compress_size, info.file_size)
    if not flags & 8:
        if any(a not in (b, top) for a, b, top in zip((crc, packed, full), true, (None, *TOPS[1:]), strict=True)):
            raise Bad(f"ZIP: {where}: đầu mục và mục lục nói khác nhau")
        return end
    stream.seek(end)
    tail = stream.read(24)
    for form in ("<4sIII", "<4sIQQ"):  # torch luôn ghi chữ ký PK\7\8; cỡ 4 hay 8 byte
        width = struct.calcsize(form)
        if len(tail) >= width and struct.unpack(form, tail[:width]) == (b"PK\7\x08", *true):
            return end + width
    raise Bad(f"ZIP: {where}: đuôi mục và mục lục nói khác nhau")


def check_zip(path: Path, where: str, report: Report) -> dict[str, Tensor]:
    """Soi một tệp ZIP của torch: mục lục, CRC của mọi mục, pickle, storage. ZIP không phải của torch là Bad."""
    with open_regular(path) as stream:
        size = size_of(stream)
        try:
            begin, count = directory_span(stream, size)
            with zipfile.ZipFile(stream) as archive:
                entries = archive.infolist()
                return check_archive(archive, entries, stream, (size, begin, count), where, report)
        except Bad:
            raise
        except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
            raise Bad(f"ZIP hỏng: {show(error)}") from error
        except (struct.error, IndexError, OverflowError, RecursionError) as error:
            raise Bad("ZIP hỏng: mục lục vô lý") from error


def check_archive(
    archive: zipfile.ZipFile,
    entries: list[zipfile.ZipInfo],
    stream: BinaryIO,
    layout: tuple[int, int, int],
    where: str,
    report: Report,
) -> dict[str, Tensor]:
    """Phần thân của `check_zip`, sau khi mục lục đã đọc được."""
    size, begin, count = layout
    if len(entries) != count:
        raise Bad(f"ZIP: mục lục có {len(entries)} mục, bản ghi cuối nói {count}")
    total = sum(info.file_size for info in entries)
    if total > BOMB_BYTES and total > BOMB_RATIO * size:
        raise Bad(f"ZIP bung ra {mib(total)} từ {mib(size)}: bom nén", DANGER)
    names = [info.orig_filename for info in entries]
    for name in names:
        parts = name.replace("\\", "/").split("/")
        if ".." in parts or not parts[0] or ":" in parts[0] or "\0" in name:
            raise Bad(f"ZIP có tên «{show(name)}»: trỏ ra ngoài", DANGER)
    if len({name.casefold() for name in names}) != len(names):
        raise Bad("ZIP có hai mục cùng tên: mỗi chương trình đọc một mục", DANGER)
    reached = 0
    for info in sorted(entries, key=lambda info: info.header_offset):
        reached = check_entry(stream, info, reached)
    if reached != begin:
        raise Bad("ZIP: có byte không thuộc mục nào trước mục lục")
    members = {info.orig_filename: info for info in entries if not info.orig_filename.endswith("/")}
    roots = {name.partition("/")[0] for name in names}
    root = roots.pop() if len(roots) == 1 else ""
    if not root or f"{root}/data.pkl" not in members:
        for info in members.values():
            drain(archive, info)
        raise Bad("là ZIP nhưng không phải của torch.save: không có đúng một data.pkl")
    if f"{root}/version" not in members:
        raise Bad("ZIP: thiếu mục version: torch không mở tệp này")
    if f"{root}/constants.pkl" in members:
        raise Bad("TorchScript: bên trong có mã, không chỉ trọng số", DANGER)
    found, pickled = Pickle(), 0
    for name, info in members.items():
        if not name.endswith(".pkl"):
            small = drain(archive, info, keep=info.file_size < 100)
            check_mark(name.removeprefix(f"{root}/"), small, where, report)
            continue
        pickled += info.file_size
        if pickled > PICKLE_LIMIT:
            raise Bad(f"các pickle lớn hơn giới hạn {mib(PICKLE_LIMIT)}")
        content = drain(archive, info, keep=True)
        pickle = read_pickle(content, 0)
        judge(pickle, f"{where} › {name}", report)
        if pickle.end != len(content):
            raise Bad(f"thừa byte sau pickle trong «{show(name)}»")
        found = pickle if name == f"{root}/data.pkl" else found
    content: dict[str, tuple[int, int]] = {}
    for key, storage in found.storages.items():
        info = members.pop(f"{root}/data/{key}", None)
        if info is None:
            raise Bad(f"thiếu dữ liệu của storage «{show(key)}»")
        if info.file_size != storage.count * ITEM_SIZE[storage.kind]:
            raise Bad(f"storage «{show(key)}» có {info.file_size} byte, pickle nói {storage.count} phần tử")
        content[key] = (info.CRC, info.file_size)
    stray = [name for name in members if name.startswith(f"{root}/data/")]
    if stray:
        report.add(WARNING, where, f"{len(stray)} mục dữ liệu không tensor nào dùng, như «{show(stray[0])}»")
    describe(report, where, "torch (ZIP, đúng CRC)", found.tensors)
    return {
        name: tensor._replace(place=("crc", content[tensor.place[1]], *tensor.place[2:]))
        for name, tensor in found.tensors.items()
    }


def check_mark(name: str, content: bytes, where: str, report: Report) -> None:
    """Hai mục nhỏ mà torch tin: phiên bản của dạng tệp, và thứ tự byte của mọi tensor."""
    if name == "version" and content.strip() not in [b"%d" % number for number in range(1, 11)]:
        raise Bad("ZIP: mục version không phải một phiên bản mà torch đọc được")
    if name == "byteorder" and content != b"little":
        if content != b"big":
            raise Bad("ZIP: mục byteorder không nói thứ tự byte nào")
        report.add(WARNING, where, "ghi trên máy có thứ tự byte ngược (big)")


def drain(archive: zipfile.ZipFile, info: zipfile.ZipInfo, keep: bool = False) -> bytes:
    """Đọc hết một mục từng khúc để so CRC; giữ nội dung khi cần."""
    kept, total = [], 0
    with archive.open(info) as entry:
        while piece := entry.read(CHUNK):
            total += len(piece)
            if keep:
                kept.append(piece)
    if total != info.file_size:
        raise Bad(f"ZIP: mục «{show(info.orig_filename)}» ngắn hơn mục lục nói")
    return b"".join(kept)


# --- thư mục


def walk(root: Path, report: Report) -> dict[str, Path]:
    """Mọi tệp thường dưới thư mục, tên kiểu POSIX. Không đi theo liên kết ra ngoài, không mở gì cả."""
    files: dict[str, Path] = {}
    pending, real, seen = [""], os.path.realpath(root), 0
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            report.add(BROKEN, folder or ".", f"không đọc được thư mục: {show(error.strerror)}")
            continue
        for entry in entries:
            name = f"{folder}{entry.name}"
            seen += 1
            if seen > FILE_LIMIT:
                report.add(BROKEN, ".", f"hơn {FILE_LIMIT} tệp và thư mục: không soi tiếp")
                return files
            try:
                target, mode = root / name, entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISLNK(mode):
                    target = Path(os.path.realpath(target, strict=True))
                    mode = os.lstat(target).st_mode
                    if not target.is_relative_to(real):
                        report.add(BROKEN, name, "liên kết ra ngoài thư mục: không đi theo; chép bằng cp -rL rồi soi")
                        continue
                    if stat.S_ISDIR(mode):
                        report.add(NOTE, name, "liên kết tới một thư mục ở trong: không đi theo")
                        continue
            except (OSError, ValueError, RuntimeError):
                report.add(BROKEN, name, "liên kết hỏng, vòng quanh, hay không xem được")
                continue
            if stat.S_ISREG(mode):
                files[name] = target
            elif not stat.S_ISDIR(mode):
                report.add(BROKEN, name, "không phải tệp thường (ống, thiết bị, …): không mở")
            elif Path(name).suffix in {".safetensors", ".json", ".bin"}:
                report.add(BROKEN, name, "phải là tệp mà lại là thư mục")
            else:
                pending.append(f"{name}/")
    return files


def check_file(path: Path, where: str, report: Report) -> dict[str, Tensor] | None:
    """Soi một tệp theo nội dung; None khi không phải dạng chứa tensor mà ta đọc được."""
    suffix = path.suffix.lower() if "." not in where else Path(where).suffix.lower()
    with open_regular(path) as stream:
        head = stream.read(512)
    pickled, zipped = suffix in PICKLE_SUFFIXES, head.startswith(b"PK\3\4")
    if head.startswith(b"version https://git-lfs") and (pickled or suffix == ".safetensors"):
        raise Bad("chỉ là con trỏ Git LFS, nội dung thật chưa được tải: git lfs pull")
    begins = head[:1] == b"\x80" and b"\2" <= head[1:2] <= b"\5"  # mở đầu như một pickle
    if suffix == ".safetensors":  # phần đầu dài đúng cỡ ấy thì cũng mở bằng byte như pickle: byte 0 ở sau mới phân biệt
        if zipped or (begins and head[5:8] != b"\0\0\0"):
            guard(report, where, lambda: (check_zip if zipped else check_pickle)(path, where, report))
            raise Bad("đuôi .safetensors mà bên trong có vẻ là pickle hay ZIP")
        return check_safetensors(path, where, report)
    if is_tar(head):  # torch.load thử tar trước mọi dạng khác, trừ ZIP
        if pickled or begins:
            raise Bad("là một tệp tar: torch.load mở những pickle bên trong nó, công cụ này không soi chúng", DANGER)
        report.add(WARNING, where, "một tệp tar, không soi bên trong: đừng đưa nó cho torch.load")
        return None
    if zipped:
        try:
            return check_zip(path, where, report)
        except Bad as error:
            if pickled or error.level == DANGER or holds_pickle(path):
                raise
            report.add(NOTE, where, "một tệp ZIP khác, không soi bên trong")
            return None
    if suffix != ".bin" or not head or begins or PICKLED_BIN.search(where):
        return check_pickle(path, where, report) if pickled or begins else None
    try:
        return check_pickle(path, where, report)
    except Torn:  # nhiều chương trình khác cũng ghi .bin, và Python không mở tệp này như pickle được
        report.add(NOTE, where, "một tệp .bin không phải pickle: không soi")
        return None


def is_tar(head: bytes) -> bool:
    """512 byte đầu có mở được như một tệp tar không: hỏi chính thư viện mà torch.load hỏi."""
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    except ValueError:  # thư viện vấp: không biết chắc thì coi là phải
        return True
    return True


def holds_pickle(path: Path) -> bool:
    """Tệp ZIP có data.pkl như torch tìm không: theo mục lục mà bản ghi cuối chỉ tới; không chắc thì coi là có."""
    with open_regular(path) as stream:
        stream.seek(max(0, size_of(stream) - 70_000))  # torch tìm bản ghi cuối trong chừng ấy byte
        tail = stream.read(70_000)
        end = tail.rfind(b"PK\5\6", 0, len(tail) - 18)  # sau đó phải còn đủ chỗ cho cả bản ghi
        if end < 0:
            return False
        directories = [struct.unpack_from("<HII", tail, end + 10)]
        if tail[end - 20 : end - 16] == b"PK\6\7" and end >= 20:
            stream.seek(min(struct.unpack_from("<Q", tail, end - 12)[0], 1 << 62))
            record = stream.read(56)
            directories += [struct.unpack("<32x3Q", record)] if len(record) == 56 else []
        return any(names_pickle(stream, *directory) for directory in directories)


def names_pickle(stream: BinaryIO, count: int, length: int, begin: int) -> bool:
    """Mục lục ZIP ở đó có gọi tên một data.pkl không; quá giới hạn thì coi là có."""
    if begin + length > size_of(stream):
        return False  # torch cũng không mở được
    if count > ENTRY_LIMIT or length > DIRECTORY_LIMIT:
        return True
    stream.seek(begin)
    directory, place = stream.read(length), 0
    for _ in range(count):
        if place + 46 > length:
            return False
        name, *more = struct.unpack_from("<3H", directory, place + 28)
        if directory[place + 46 : place + 46 + name].lower().endswith(b"/data.pkl"):
            return True
        place += 46 + name + sum(more)
    return False


def guard(report: Report, where: str, work: Callable[[], Any]) -> Any:
    """Làm một việc; điều hỏng thành một dòng trong báo cáo, không bao giờ thành một ngoại lệ."""
    try:
        return work()
    except Bad as error:
        report.add(error.level, where, str(error))
    except OSError as error:
        report.add(BROKEN, where, f"không đọc được: {show(error.strerror or error)}")
    except (MemoryError, RecursionError):
        report.add(BROKEN, where, "lớn quá hay lồng quá sâu: không soi được")
    except Exception as error:  # lỗi của chính công cụ này: báo cáo, và không coi là tốt
        report.uncaught.append(f"{where}: {type(error).__name__}: {error}")
        report.add(BROKEN, where, f"không soi được ({type(error).__name__})")
    return None


def check_folder(
    folder: str, files: dict[str, Path], tensors: dict[str, dict[str, Tensor]], foreign: str, report: Report
) -> None:
    """Đối chiếu các tệp của một thư mục với nhau.

    `files` và `tensors` theo tên trong thư mục ấy; `foreign`: một tệp trọng số dạng khác, ở trong nó hay dưới nó.
    """

    def at(name: str) -> str:
        return f"{folder}{name}"

    parsed: dict[str, Any] = {}
    for name, path in files.items():
        if name.endswith(".json") and not LIBRARY_JSON.fullmatch(name):
            try:
                read_json(path)
            except (Bad, OSError, MemoryError) as error:
                report.add(NOTE, at(name), f"{error}; không thư viện nào đọc tệp này để tải mô hình")
        elif name.endswith(".json"):
            content = guard(report, at(name), lambda path=path: read_json(path))
            if mentions(content, "auto_map"):
                text = "auto_map: đòi chạy mã kèm theo; đừng bật trust_remote_code với nơi không tin"
                report.add(WARNING, at(name), text)
            needed = name in NEEDED or INDEX.fullmatch(name)
            parsed[name] = content if needed else None  # tệp khác chỉ cần đọc được
    weights = sorted(name for name in files if name.endswith(".safetensors") or OLD_WEIGHTS.fullmatch(name))
    for name in files:
        if name.endswith((".py", ".so", ".dll", ".exe", ".sh")):
            report.add(WARNING, at(name), "một tệp mã: công cụ không đọc nó, và đừng cho chương trình nào chạy nó")
        if name.startswith(".tmp") or name.endswith((".tmp", ".incomplete")):
            report.add(NOTE, at(name), "tệp tạm còn sót lại sau một lần lưu hay tải dở")
    merged: dict[str, Tensor] = {}
    indexed: set[str] = set()
    stems: set[str] = set()  # phần đầu của tên các mảnh đã có index.json
    for name in sorted(parsed):
        if (match := INDEX.fullmatch(name)) is None:
            continue
        stem = match["stem"] + (f".{match['variant']}" if match["variant"] else "")
        stems.add(stem + match["end"])
        whole = stem + match["end"]
        if whole in files:
            report.add(BROKEN, at(whole), f"tệp cũ nằm cạnh {name}: thư viện sẽ lặng lẽ tải tệp cũ này")
        found = guard(report, at(name), lambda name=name: check_index(parsed[name], folder, files, tensors, report))
        report.recognised = True
        if found:
            indexed |= found
    groups: dict[tuple[str, str, str], set[int]] = {}
    loaded = [name for name in weights if name.endswith(".safetensors")] or weights  # thư viện chọn safetensors
    for name in weights:
        merged |= (tensors.get(name) or {}) if name in loaded else {}
        if (shard := SHARD.match(name)) is not None:
            groups.setdefault((shard[1], shard[3], shard[4]), set()).add(int(shard[2]))
            if shard[1] + shard[4] not in stems:
                report.add(BROKEN, at(name), "là một mảnh mà không có index.json")
            elif name not in indexed:
                report.add(BROKEN, at(name), "mảnh lạc: index.json không nhắc tới")
    for (stem, count, suffix), numbers in groups.items():
        if len(numbers) != int(count):
            report.add(BROKEN, at(f"{stem}-*-of-{count}{suffix}"), f"có {len(numbers)} mảnh, tên nói {int(count)}")
    if {"model.safetensors", "pytorch_model.bin"} <= set(weights):
        report.add(WARNING, at("pytorch_model.bin"), "hai bộ trọng số trong một thư mục: thư viện chọn safetensors")
    config = parsed.get("config.json")
    if "config.json" in parsed and not isinstance(config, dict):
        report.add(BROKEN, at("config.json"), "không đọc được thành cấu hình")
    elif "config.json" in parsed:
        if not weights and config.keys() & {
            "model_type",
            "architectures",
        }:  # cấu hình của một mô hình, không của gì khác
            level, text = (WARNING, f"trọng số ở dạng không soi được: {show(foreign)}") if foreign else (BROKEN, LOST)
            report.add(level, at("config.json"), text)
        guard(report, at("config.json"), lambda: check_config(config, merged, at("config.json"), report))
    elif weights and "adapter_config.json" not in files:
        report.add(WARNING, at("config.json"), "không có: from_pretrained không biết kiến trúc")
    rows = [tensor.shape[0] for name, tensor in merged.items() if EMBEDDING.search(name) and len(tensor.shape) == 2]
    sure = isinstance(config, dict) and config.get("model_type") in FAMILIAR
    if "tokenizer.json" in parsed:
        work = (parsed["tokenizer.json"], rows, sure, folder, report)
        guard(report, at("tokenizer.json"), lambda: check_tokenizer(*work))
    for name in ("vocab.json", "added_tokens.json"):
        if isinstance(parsed.get(name), dict):
            guard(
                report, at(name), lambda name=name: check_ids(list(parsed[name].values()), rows, sure, at(name), report)
            )


def mentions(content: object, key: str) -> bool:
    """Có khoá ấy ở tầng nào đó của một JSON không."""
    pending = [content]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if key in part:
                return True
            pending += part.values()
        elif isinstance(part, list):
            pending += part
    return False


def check_index(
    index: Any, folder: str, files: dict[str, Path], tensors: dict[str, dict[str, Tensor]], report: Report
) -> set[str]:
    """Đối chiếu index.json với các mảnh; trả tên các mảnh."""
    table = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(table, dict) or not table or not all(isinstance(name, str) for name in table.values()):
        raise Bad("không có weight_map đọc được")
    shards: dict[str, set[str]] = {}
    for tensor, name in table.items():
        shards.setdefault(name, set()).add(tensor)
    for name, promised in shards.items():
        if "/" in name or "\\" in name or "\0" in name or ":" in name or name in ("", ".", ".."):
            report.add(DANGER, f"{folder}index.json", f"trỏ tới «{show(name)}»: chỉ được là tên tệp trong thư mục này")
        elif not name.endswith((".safetensors", ".bin")):
            report.add(BROKEN, f"{folder}index.json", f"trỏ tới «{show(name)}», không phải tệp trọng số")
        elif name not in files:
            report.add(BROKEN, f"{folder}{name}", "thiếu mảnh mà index.json nhắc tới")
        elif tensors.get(name) is not None and tensors[name].keys() != promised:
            odd = min(tensors[name].keys() ^ promised)
            report.add(BROKEN, f"{folder}{name}", f"không chứa đúng các tensor mà index.json nói, như «{show(odd)}»")
    metadata = index.get("metadata")
    stated = metadata.get("total_size") if isinstance(metadata, dict) else None
    spans = [tensor.place for name in shards for tensor in (tensors.get(name) or {}).values()]
    if all(isinstance(place[0], Path) for place in spans) and is_count(stated):
        actual = sum(place[2] - place[1] for place in spans)
        if actual != stated:
            report.add(WARNING, f"{folder}index.json", f"total_size là {stated}, các mảnh có {actual} byte dữ liệu")
    return set(shards)


def check_config(config: dict[str, Any], tensors: dict[str, Tensor], where: str, report: Report) -> None:
    """Đối chiếu cấu hình với các tensor."""
    known = {key: config[key] for key in ("model_type", "architectures", "transformers_version") if key in config}
    report.fact(f"{where}: " + show(", ".join(f"{key} = {value}" for key, value in known.items()) or "tự do"))
    if not tensors or config.keys() & {"quantization_config", "quantization"}:
        return
    level = BROKEN if config.get("model_type") in FAMILIAR else WARNING
    width = next((config[key] for key in WIDTH_KEYS if is_count(config.get(key))), None)
    for name, tensor in tensors.items():
        if not EMBEDDING.search(name) or len(tensor.shape) != 2 or not is_count(config.get("vocab_size")):
            continue
        if tensor.shape != (config["vocab_size"], width if width is not None else tensor.shape[1]):
            told = f"{config['vocab_size']} × {width}"
            report.add(level, where, f"nói {told}, mà «{show(name)}» là {' × '.join(map(str, tensor.shape))}")
    stacks: dict[str, set[int]] = {}
    for name in tensors:
        if (layer := LAYER.match(name)) is not None:
            stacks.setdefault(layer[1], set()).add(int(layer[2]))
    told = next((config[key] for key in LAYER_KEYS if is_count(config.get(key))), None)
    if told is not None and stacks and not config.get("is_encoder_decoder"):
        longest = max(stacks.values(), key=len)
        extra = config.get("num_nextn_predict_layers")
        allowed = told + (extra if is_count(extra) else 0)
        if not told <= max(longest) + 1 <= allowed or len(longest) != max(longest) + 1:
            report.add(level, where, f"nói {told} lớp, các tensor có {len(longest)} lớp, cao nhất là {max(longest)}")
    if level == BROKEN:
        check_names(tensors, stacks, where, report)
        for key in ("vocab_size", *WIDTH_KEYS, *LAYER_KEYS):
            if key in config and not is_count(config[key]) and (key == "vocab_size" or config[key] is not None):
                report.add(BROKEN, where, f"{key} không phải một số đếm")
    if config.get("model_type") in DECODERS:
        check_tie(config, tensors, where, report)


def check_names(tensors: dict[str, Tensor], stacks: dict[str, set[int]], where: str, report: Report) -> None:
    """Ở kiến trúc quen, lớp nào cũng có cùng những tensor: một tên lạ ở một lớp là tên bị hỏng, hay tensor bị mất."""
    for prefix, layers in stacks.items():
        own: dict[int, set[str]] = {number: set() for number in layers}
        for name in tensors:
            if (layer := LAYER.match(name)) is not None and layer[1] == prefix:
                own[int(layer[2])].add(name[layer.end() :])
        if odd := sorted(set.union(*own.values()) - set.intersection(*own.values())):
            report.add(
                BROKEN, where, f"các lớp không cùng những tensor: «{show(odd[0])}» có ở lớp này mà thiếu ở lớp khác"
            )
    if not any(EMBEDDING.search(name) for name in tensors):
        report.add(BROKEN, where, "không thấy embedding của token")


def check_tie(config: dict[str, Any], tensors: dict[str, Tensor], where: str, report: Report) -> None:
    """Đối chiếu tie_word_embeddings với sự có mặt của lớp đầu ra."""
    named = config.get("architectures")
    if not isinstance(named, list) or not str(named[:1]).rstrip("']").endswith(("ForCausalLM", "LMHeadModel")):
        return
    embedding = next((tensor for name, tensor in tensors.items() if EMBEDDING.search(name)), None)
    head = next((tensor for name, tensor in tensors.items() if HEAD.search(name)), None)
    tied = config.get("tie_word_embeddings")
    if head is None:
        if tied is False and embedding is not None:
            report.add(BROKEN, where, "tie_word_embeddings = false mà tệp thiếu lớp đầu ra: nó sẽ thành ngẫu nhiên")
        elif embedding is not None:
            report.fact(f"{where}: lớp đầu ra dùng chung trọng số với embedding{'' if tied else ' (cấu hình không nói)'}")
    elif len(head.shape) == 2 and is_count(config.get("vocab_size")) and head.shape[0] != config["vocab_size"]:
        report.add(BROKEN, where, f"nói {config['vocab_size']} token, mà lớp đầu ra có {head.shape[0]} hàng")
    elif tied is True and embedding is not None and same_data(head, embedding) is False:
        report.add(BROKEN, where, "tie_word_embeddings = true, mà lớp đầu ra và embedding trong tệp khác nhau")
    elif embedding is not None:
        report.fact(f"{where}: lớp đầu ra {'dùng chung trọng số với' if tied else 'tách khỏi'} embedding")


def same_data(one: Tensor, other: Tensor) -> bool | None:
    """Hai tensor có cùng kiểu, hình dạng và từng byte không (trong ZIP: cùng CRC); None khi không biết được."""
    if one[:2] != other[:2]:
        return False
    if not (isinstance(one.place[0], Path) and isinstance(other.place[0], Path)):
        same = one.place == other.place
        return same if same or one.place[0] == "crc" == other.place[0] else None
    hashes = []
    for path, begin, end in (one.place, other.place):
        with open_regular(path) as stream:
            hashes.append(sha256(stream, begin, end))
    return hashes[0] == hashes[1]


def check_tokenizer(tokenizer: Any, rows: list[int], sure: bool, folder: str, report: Report) -> None:
    """Mọi id của tokenizer phải có hàng trong embedding."""
    model = tokenizer.get("model") if isinstance(tokenizer, dict) else None
    vocab = model.get("vocab") if isinstance(model, dict) else None
    added = tokenizer.get("added_tokens", []) if isinstance(tokenizer, dict) else None
    if not isinstance(vocab, dict | list) or not isinstance(added, list):
        raise Bad("không có từ vựng đọc được")
    ids = list(vocab.values()) if isinstance(vocab, dict) else list(range(len(vocab)))
    if len(set(map(str, ids))) != len(ids):
        report.add(WARNING, f"{folder}tokenizer.json", "hai token khác nhau mang cùng một id")
    ids += [token.get("id") if isinstance(token, dict) else None for token in added]
    check_ids(ids, rows, sure, f"{folder}tokenizer.json", report)
    report.fact(f"{folder}tokenizer.json: {len(set(ids))} token")


def check_ids(ids: list[Any], rows: list[int], sure: bool, where: str, report: Report) -> None:
    """Id nào cũng là số đếm và có hàng trong embedding; `sure`: kiến trúc quen, lệch là hỏng chứ không chỉ đáng ngờ."""
    if not all(map(is_count, ids)):
        raise Bad("có token với id không phải số nguyên")
    if rows and ids and max(ids) >= max(rows):
        text = f"id lớn nhất là {max(ids)} mà embedding chỉ có {max(rows)} hàng"
        report.add(BROKEN if sure else WARNING, where, text)


# --- bản kê


def manifest_of(path: Path) -> Path:
    """Bản kê mặc định: bên cạnh thư mục hay tệp."""
    return path.with_name(f"{path.name}{MANIFEST}")


def tensors_beside(manifest: Path) -> Path:
    """Bản kê tensor mà manifest.py ghi cạnh bản kê."""
    return manifest.with_name(manifest.name.removesuffix(MANIFEST) + ".tensors.json")


def is_litter(name: str) -> bool:
    """Tên của thứ mà hệ điều hành, git hay công cụ tải tự thêm, không phải của mô hình."""
    in_folder = any(name == folder or name.startswith(f"{folder}/") for folder in LITTER_FOLDERS)
    return in_folder or name.rpartition("/")[2] in LITTER


def is_apple_double(path: Path) -> bool:
    """Tệp ._x mà macOS ghi cạnh tệp x: chỉ chứa thuộc tính, không thư viện nào đọc."""
    if not path.name.startswith("._"):
        return False
    with open_regular(path) as stream:
        return stream.read(4) == APPLE_DOUBLE


def manifest_line(name: str, digest: str) -> str:
    """Một dòng đúng như sha256sum ghi."""
    escaped = "".join(ESCAPES.get(character, character) for character in name)
    mark = "" if escaped == name else "\\"
    return f"{mark}{digest}  {escaped}\n"


def unescape(match: re.Match[str]) -> str:
    """Ký tự thật của một cặp «\\x» trong tên; cặp lạ thì để nguyên."""
    return next((character for character, written in ESCAPES.items() if written == match[0]), match[0])


def read_manifest(path: Path) -> dict[str, str]:
    """Tên tệp → SHA-256. Bad khi có dòng sai, hay dòng chỉ ra ngoài thư mục."""
    with open_regular(Path(os.path.realpath(path))) as stream:
        if size_of(stream) > HEADER_LIMIT:
            raise Bad("quá lớn: không phải một bản kê")
        text = stream.read().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    files: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")  # bản kê đi qua Windows
        if not line or line.startswith("#"):
            continue
        match = MANIFEST_LINE.fullmatch(line)
        if match is None:
            raise Bad(f"dòng {number} không phải một dòng của sha256sum")
        name = re.sub(r"\\.", unescape, match[3]) if match[1] else match[3]
        absolute = name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]", name)
        if absolute or ".." in re.split(r"[/\\]", name) or "\0" in name:
            raise Bad(f"dòng {number} chỉ ra ngoài thư mục: {show(name)}")
        name = PurePosixPath(name).as_posix()
        if name in files:
            raise Bad(f"dòng {number} nhắc lại {show(name)}")
        files[name] = match[2].lower()
    if not files:
        raise Bad("bản kê không kể tệp nào")
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
    """So các tệp đang có với bản kê."""
    told = as_on_disk(told, files)
    broken = {finding.where for finding in report.findings if finding.level == BROKEN}
    for name in sorted(told.keys() | files.keys()):
        here = report.files.get(name)
        if name not in files:
            if not is_litter(name):
                report.add(BROKEN, name, "có trong bản kê mà không còn, hay không đọc được")
        elif name not in told:
            report.add(BROKEN, name, "không có trong bản kê: tệp lạ")
        elif here is None:
            if show(name) not in broken:
                report.add(BROKEN, name, "không đọc được để so với bản kê")
        elif here["sha256"] != told[name]:
            report.add(BROKEN, name, "khác bản kê: nội dung đã đổi")


def write_manifest(path: Path, report: Report) -> str:
    """Ghi bản kê, nguyên tử. Không ghi khi có gì hỏng, không ghi đè bản kê nói khác; lời báo, rỗng khi đã ghi."""
    if report.exit_code:
        return "không ghi bản kê: chỉ ghi cho checkpoint tốt"
    if os.path.lexists(path):
        return ""  # inspect() đã so với nó và thấy đúng
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


# --- cả hai


def inspect(path: Path | str, manifest: Path | str | None = None, hashed: bool = False) -> Report:
    """Soi một thư mục hay một tệp. Không chạy, không tải, không ghi gì; không bao giờ ném ngoại lệ.

    `manifest`: bản kê ở chỗ khác; `hashed`: tính SHA-256 của mọi tệp cả khi không có bản kê để so.
    """
    report = Report(show(path))
    with warnings.catch_warnings():  # pickletools than phiền về dấu «\\» lạ trong tệp rách: ta nói bằng lời của mình
        warnings.simplefilter("ignore")
        guard(report, "", lambda: survey(Path(path), Path(manifest) if manifest else None, hashed, report))
    return report


def survey(path: Path, manifest: Path | None, hashed: bool, report: Report) -> None:
    """Phần thân của `inspect`."""
    if not path.exists():
        report.add(NOTE, "", "không có đường dẫn này")
        return
    path = Path(os.path.realpath(path))  # liên kết mà chính người dùng chỉ vào thì được đi theo
    listing = manifest or manifest_of(path)
    listed = os.path.lexists(listing)
    if path.is_dir():
        files = walk(path, report)
        lists = {os.path.realpath(file) for file in (listing, tensors_beside(listing))}  # không thuộc checkpoint
        files = {name: real for name, real in files.items() if os.path.realpath(real) not in lists}
        for name in sorted(files):
            if guard(report, name, lambda real=files[name]: is_apple_double(real)):
                report.add(NOTE, name, "tệp phụ của macOS: không soi, không vào bản kê")
                del files[name]
    else:
        files = {path.name: path}
    tensors: dict[str, dict[str, Tensor]] = {}
    for name, real in files.items():
        found = guard(report, name, lambda name=name, real=real: check_file(real, name, report))
        if found is not None:
            tensors[name] = found
        if Path(name).suffix.lower() in {".safetensors", *PICKLE_SUFFIXES} - {".bin"}:
            report.recognised = True
    if path.is_dir():
        folders: dict[str, dict[str, Path]] = {}
        foreign: dict[str, str] = {}
        for name, real in files.items():
            folders.setdefault(name[: name.rfind("/") + 1], {})[name[name.rfind("/") + 1 :]] = real
            for slash in [-1, *(i for i, c in enumerate(name) if c == "/")] if Path(name).suffix in FOREIGN else ():
                foreign.setdefault(name[: slash + 1], name)
        for folder, inside in sorted(folders.items()):
            own_tensors = {name: tensors[folder + name] for name in inside if folder + name in tensors}
            work = (folder, inside, own_tensors, foreign.get(folder, ""), report)
            guard(report, folder or ".", lambda work=work: check_folder(*work))
    kept = {name: real for name, real in files.items() if not is_litter(name)}
    broken = {finding.where for finding in report.findings if finding.level == BROKEN}  # đã hỏng thì khỏi băm
    for name, real in kept.items() if listed or hashed else ():
        digest = guard(report, name, lambda real=real: measure(real)) if show(name) not in broken else None
        if digest is not None:
            report.files[name] = digest
    if listed:
        told = guard(report, listing.name, lambda: read_manifest(listing))
        if told is not None:
            report.manifest = show(listing)
            compare(told, kept, report)
    elif manifest is not None:
        report.add(BROKEN, str(manifest), "không có bản kê này")
    elif report.recognised:
        bare = any(name.lower().endswith(".safetensors") for name in files)
        unseen = "một bit lật trong dữ liệu hay tên tensor" if bare else "việc một tệp lành bị thay bằng tệp lành khác"
        report.add(NOTE, "", f"chưa có bản kê nên không phát hiện được {unseen}")


def measure(path: Path) -> dict[str, Any]:
    """Dung lượng và SHA-256 của một tệp."""
    with open_regular(path) as stream:
        return {"bytes": size_of(stream), "sha256": sha256(stream)}


def main(words: list[str] | None = None) -> int:
    """Dòng lệnh."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("path", type=Path, metavar="PATH", help="thư mục hay tệp cần soi")
    parser.add_argument("--write-manifest", action="store_true", help="tốt thì ghi bản kê; không ghi đè bản nói khác")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="bản kê ở chỗ khác (mặc định: ngay cạnh)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="ghi kết quả vào tệp này")
    args = parser.parse_args(words)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if "\0" in str(args.path) or not os.path.lexists(args.path) or not args.path.exists():
        parser.exit(2, f"Không có {show(args.path)}: hãy chỉ một thư mục hay một tệp.\n")
    if args.manifest and not args.write_manifest and not args.manifest.is_file():
        parser.exit(2, f"Không có bản kê {show(args.manifest)}.\n")
    for target in (args.json, args.manifest):
        odd = target and os.path.lexists(target) and (target.is_symlink() or not target.is_file())
        if target and (odd or not target.absolute().parent.is_dir()):
            parser.exit(2, f"Không ghi được {show(target)}: hãy chọn một tệp trong thư mục có sẵn.\n")
    real = Path(os.path.realpath(args.path))
    if args.json and Path(os.path.realpath(args.json)).is_relative_to(real):
        parser.exit(2, f"--json {show(args.json)} nằm trong chính thứ cần soi: hãy chọn chỗ khác.\n")
    listing = args.manifest or manifest_of(real)
    if args.json and os.path.realpath(args.json) == os.path.realpath(listing):
        parser.exit(2, f"--json {show(args.json)} là bản kê: hãy chọn tệp khác.\n")
    report = inspect(args.path, listing if os.path.lexists(listing) else None, args.write_manifest or bool(args.json))
    complaint = ""
    try:
        complaint = write_manifest(listing, report) if args.write_manifest else ""
        if args.json:
            result = {"path": report.path, "exit_code": report.exit_code, "verdict": report.verdict}
            result |= {"facts": report.facts, "findings": [finding._asdict() for finding in report.findings]}
            files = {printable(name): known for name, known in report.files.items()}
            write_atomically(args.json, json.dumps({**result, "files": files}, indent=1) + "\n")
    except OSError as error:
        parser.exit(2, f"Không ghi được: {show(error)}\n")
    for fact in report.facts:
        print(fact)
    for finding in report.findings:
        print(f"{finding.level:<9}  {finding.where + ': ' if finding.where else ''}{finding.text}")
    print(report.verdict, *([complaint] if complaint else []), sep="\n")
    if args.write_manifest and not complaint:
        print(f"Bản kê: {show(listing)}")
        with listing.open("rb") as stream:
            print(f"SHA-256 của bản kê, hãy giữ ở nơi khác: {sha256(stream)}")
    return report.exit_code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:  # nơi nhận chữ đã đóng hay đầy
        sys.stdout = None
        print(f"Không in hết kết quả: {show(error.strerror)}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:  # không gì được lọt ra ngoài
        print(f"KHÔNG SOI ĐƯỢC: {type(error).__name__}", file=sys.stderr)
        sys.exit(1)
