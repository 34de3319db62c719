"""Chuyển thư mục Hugging Face cũ (pytorch_model.bin) sang safetensors, chứng minh không mất gì.

    python convert_old_folder.py thu_muc_cu thu_muc_moi            # thu_muc_moi phải chưa có
    python convert_old_folder.py thu_muc_cu thu_muc_moi --check    # chỉ đối chiếu hai thư mục
    python convert_old_folder.py thu_muc_cu thu_muc_moi --class BertModel  # khi cấu hình không ghi

Trong mã của bạn: convert(cũ, mới) và check(cũ, mới) trả về danh sách chỗ sai; rỗng là đúng.
Thư mục mới chỉ hiện ra khi phép đối chiếu đã đạt. Thư mục cũ không bao giờ bị sửa hay xoá.
Mã thoát: 0 đúng; 1 sai, hỏng, hay có mã lạ; 2 không phải thứ script này chuyển được.
Cần: pip install torch transformers safetensors
"""

import argparse
import hashlib
import json
import os
import pickle
import re
import shutil
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel

INDEX = "pytorch_model.bin.index.json"
NEW_INDEX = "model.safetensors.index.json"
# Tên đời trước → tên bây giờ. Chỉ đổi khi lớp của chính mô hình có tên mới và không có tên cũ:
# ConvNeXt, BEiT … có tham số tên gamma thật.
OLD_NAMES = {
    "gamma": "weight",
    "beta": "bias",
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}
TOKENIZER_FILES = {
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "bpe.codes",
    "dict.txt",
    "chat_template.json",
    "chat_template.jinja",
}
COPIED = {
    "",
    ".codes",
    ".json",
    ".jinja",
    ".md",
    ".model",
    ".spm",
    ".txt",
}  # các tệp phụ được chép nguyên
TEXTS = [
    "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu.",
    "The quick brown fox, 3.14 & more!",
    "  hai  khoảng trắng\tvà\nxuống dòng; [UNK] 🤗 Ω x_1 != y",
]


class Unsuitable(ValueError):
    """Không phải thứ script này chuyển được: mã thoát 2."""


class Damaged(ValueError):
    """Tệp hỏng, thiếu, hay đòi chạy mã: mã thoát 1."""


# Đọc thư mục cũ


def read_json(path: Path) -> dict:
    """Nội dung một tệp JSON; Damaged nếu không đọc được như một từ điển."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Damaged(f"{path.name} không phải JSON lành: {error}") from error
    if not isinstance(content, dict):
        raise Damaged(f"{path.name} phải là một từ điển JSON")
    return content


def weight_files(old: Path) -> list[Path]:
    """Các tệp .bin mà thư viện sẽ đọc: một tệp, hoặc các mảnh mà bản chỉ dẫn kể tên."""
    if not (old / "config.json").is_file():
        raise Unsuitable(f"{old} không có config.json")
    if any(old.glob("*.safetensors")):
        raise Unsuitable(f"{old} đã có tệp safetensors, không cần chuyển")
    single = old / "pytorch_model.bin"
    if single.is_file():  # có cả hai thì thư viện đọc tệp này
        return [single]
    if not (old / INDEX).is_file():
        raise Unsuitable(f"{old} không có pytorch_model.bin hay {INDEX}")
    index = read_json(old / INDEX)
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map or "metadata" not in index:
        raise Damaged(f"{INDEX} thiếu weight_map hay metadata: thư viện không đọc được")
    names = sorted(set(map(str, weight_map.values())))
    for name in names:
        if Path(name).name != name or "\\" in name:
            raise Damaged(f"{INDEX} trỏ ra ngoài thư mục: {name}")
        if not (old / name).is_file():
            raise Damaged(f"thiếu mảnh {name} mà {INDEX} kể tên")
    return [old / name for name in names]


def first_line(error: Exception) -> str:
    """Dòng đầu của lời báo lỗi, không màu; tên lớp nếu lỗi không nói gì."""
    lines = re.sub(r"\x1b\[\d*m", "", str(error)).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__


def out_of_memory(error: Exception) -> bool:
    """Máy thiếu bộ nhớ: không phải lỗi của tệp."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or "allocate memory" in said or "enough memory" in said


def reason_to_refuse(path: Path, error: Exception) -> Exception:
    """Lỗi của torch.load nói gì về tệp: có mã lạ, hỏng, hay chỉ là máy thiếu bộ nhớ."""
    if out_of_memory(error):
        return MemoryError()
    named = re.search(r"GLOBAL (\S+)", re.sub(r"\x1b\[\d*m", "", str(error)))
    if isinstance(error, pickle.UnpicklingError) and named:
        reason = f"đòi {named[1]}, không phải trọng số; không mã nào được chạy"
        return Damaged(f"từ chối {path.name}: {reason}")
    with path.open("rb") as file:
        start = file.read(12)
    if start == b"version http":
        return Damaged(f"{path.name} chỉ là con trỏ Git LFS: hãy chạy git lfs pull")
    return Damaged(f"{path.name} hỏng: {first_line(error)}")


def read_shard(path: Path) -> dict[str, torch.Tensor]:
    """Tên → tensor của một tệp .bin. Không mã nào trong tệp được chạy; tệp hỏng là Damaged."""
    zipped = zipfile.is_zipfile(path)
    try:
        bad = None
        if zipped:
            with zipfile.ZipFile(path) as archive:
                if any(item.CRC for item in archive.infolist()):  # có tệp được ghi không kèm CRC
                    bad = archive.testzip()  # torch.load không xem CRC
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except (MemoryError, PermissionError):
        raise
    except Exception as error:
        raise reason_to_refuse(path, error) from error
    if bad:
        raise Damaged(f"{path.name} hỏng: sai CRC ở {bad}")
    if not isinstance(state, dict):
        raise Unsuitable(f"{path.name} không giữ một state_dict")
    for name, tensor in state.items():
        named = isinstance(name, str) and isinstance(tensor, torch.Tensor)
        if not named or tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            raise Unsuitable(f"{path.name}: {name} không phải một tensor thường")
    return state


def digest(tensor: torch.Tensor) -> str:
    """SHA-256 của kiểu số, kích thước và mọi byte."""
    tensor = tensor.detach().cpu()
    sha = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)}".encode())
    sha.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return sha.hexdigest()


def read_old(old: Path) -> tuple[dict[str, str], torch.dtype]:
    """Tên → dấu SHA-256 của mọi tensor cũ, và kiểu số rộng nhất trong tệp."""
    digests = {}
    widest = None
    for path in weight_files(old):
        for name, tensor in read_shard(path).items():
            digests[name] = digest(tensor)
            if tensor.is_floating_point() and tensor.element_size() > 1:
                dtype = tensor.dtype
                widest = dtype if widest is None else torch.promote_types(widest, dtype)
    return digests, widest or torch.float32


def read_new(new: Path) -> dict[str, str]:
    """Tên → dấu SHA-256 của mọi tensor trong các tệp safetensors."""
    digests = {}
    for path in sorted(new.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            for name in names:
                digests[name] = digest(file.get_tensor(name))
    return digests


def model_class(old: Path, class_name: str | None = None) -> type[PreTrainedModel]:
    """Lớp mà config.json ghi ở architectures; không có mã nào ngoài thư viện."""
    config = read_json(old / "config.json")
    if "quantization_config" in config:
        raise Unsuitable("mô hình đã lượng tử hoá: script này không chuyển")
    try:
        recorded = AutoConfig.from_pretrained(old, local_files_only=True).architectures
    except Exception as error:
        reason = first_line(error)
        raise Unsuitable(f"thư viện không đọc được config.json: {reason}") from error
    if not class_name and not recorded:
        raise Unsuitable("config.json không ghi architectures: hãy thêm --class TÊN_LỚP")
    name = class_name or recorded[0]
    found = getattr(transformers, str(name), None)
    if not isinstance(found, type) or not issubclass(found, PreTrainedModel):
        version = transformers.__version__
        raise Unsuitable(f"Transformers {version} không có lớp mô hình {name}")
    return found


def load(
    folder: Path, build: type[PreTrainedModel], dtype: torch.dtype | str
) -> tuple[PreTrainedModel, dict]:
    """Mô hình và báo cáo tải của thư viện."""
    safe = any(folder.glob("*.safetensors"))
    try:
        return build.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=safe,
            output_loading_info=True,
            local_files_only=True,
        )
    except (OSError, MemoryError):
        raise
    except ImportError as error:
        raise Unsuitable(first_line(error)) from error
    except Exception as error:
        if out_of_memory(error):
            raise MemoryError from error
        reason = first_line(error)
        raise Damaged(f"{build.__name__} không tải được {folder.name}: {reason}") from error


# Tên nào sang tên nào


def shared_names(model: PreTrainedModel) -> dict[str, str]:
    """Tên thứ hai → tên thứ nhất, của những tham số mà mô hình dùng chung."""
    first = {}
    second = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in first:
            second[name] = first[id(parameter)]
        else:
            first[id(parameter)] = name
    return second


def plan(digests: dict[str, str], model: PreTrainedModel) -> dict[str, str]:
    """Tên trong tệp cũ → tên trong tệp mới; "" nếu chỉ là tên thứ hai của một tensor dùng chung."""
    names = set(model.state_dict())
    prefix = model.base_model_prefix + "."
    names |= {name.removeprefix(prefix) for name in names}  # tệp có thể thiếu hay thừa phần đầu
    names |= {prefix + name for name in names}
    moves = {}
    for name in digests:
        start, _, last = name.rpartition(".")
        current = f"{start}.{OLD_NAMES.get(last, last)}"
        renamed = name not in names and current in names and current not in digests
        moves[name] = current if renamed else name
    for second, first in shared_names(model).items():
        both = second in digests and first in digests
        if both and digests[second] == digests[first]:  # số khác nhau thì giữ cả hai
            moves[second] = ""
    return moves


# Ghi thư mục mới


def write_weights(old: Path, draft: Path, moves: dict[str, str]) -> None:
    """Mỗi tệp .bin thành một tệp safetensors, từng tensor một bản riêng, không đổi bit nào."""
    parts = []
    for path in weight_files(old):
        part = {}
        storages = set()
        for name, tensor in read_shard(path).items():
            if not moves[name]:
                continue
            tensor = tensor.detach().contiguous()
            storage = tensor.untyped_storage().data_ptr()
            if storage in storages:  # safetensors không nhận hai tên chung một vùng nhớ
                tensor = tensor.clone()
            storages.add(storage)
            part[moves[name]] = tensor
        if part:
            parts.append(f"part-{len(parts)}.safetensors")
            save_file(part, draft / parts[-1], metadata={"format": "pt"})
    if not parts:
        raise Damaged("tệp cũ không có tensor nào")
    if len(parts) == 1:
        (draft / parts[0]).rename(draft / "model.safetensors")
        return
    weight_map = {}
    size = 0
    for place, part in enumerate(parts, start=1):
        shard = f"model-{place:05}-of-{len(parts):05}.safetensors"
        (draft / part).rename(draft / shard)
        with safe_open(draft / shard, framework="pt") as file:
            names = file.keys()
            for name in names:
                weight_map[name] = shard
                size += file.get_tensor(name).nbytes
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    text = json.dumps(index, indent=2) + "\n"
    (draft / NEW_INDEX).write_text(text, encoding="utf-8", newline="\n")


def load_tokenizer(folder: Path):
    """Tokenizer của thư mục; None nếu thư mục không có tệp tokenizer nào."""
    files = [path.name for path in folder.iterdir()]
    if not TOKENIZER_FILES.intersection(files) and not any(folder.glob("*.model")):
        return None  # AutoTokenizer lúc đó có thể lặng lẽ dựng một tokenizer rỗng
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        reason = first_line(error)
        if "sentencepiece" in str(error).lower() or any(folder.glob("*.model")):
            reason = f"cần pip install sentencepiece ({reason[:60]}…)"
        raise Unsuitable(f"thư viện không đọc được tokenizer: {reason}") from error


def write_other_files(old: Path, draft: Path) -> None:
    """Ghi tokenizer bằng tệp đời mới nếu có bản nhanh, rồi chép nguyên các tệp phụ."""
    tokenizer = load_tokenizer(old)
    rewritten = tokenizer is not None and tokenizer.is_fast
    if rewritten:
        tokenizer.save_pretrained(draft)
    weights = {INDEX, *(path.name for path in weight_files(old))}
    for path in sorted(old.rglob("*")):
        inside = path.relative_to(old)
        replaced = rewritten and path.parent == old and path.name in TOKENIZER_FILES
        hidden = any(part.startswith(".") for part in inside.parts)
        leads_out = path.is_symlink() and "blobs" not in path.resolve().parts
        plain = path.is_file() and path.suffix in COPIED and not hidden and not leads_out
        if plain and not replaced and path.name not in weights and not (draft / inside).exists():
            (draft / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, draft / inside)


def finish(draft: Path) -> None:
    """Cho mọi tệp quyền đọc như config.json, và đẩy chúng xuống tới đĩa."""
    for path in sorted(draft.rglob("*")):
        if path.is_file():
            shutil.copymode(draft / "config.json", path)  # safetensors ghi tệp chỉ chủ đọc được
            with path.open("rb+") as file:
                os.fsync(file.fileno())


def convert(old: str | Path, new: str | Path, class_name: str | None = None) -> list[str]:
    """Chuyển thư mục cũ `old` thành thư mục mới `new`; trả về mọi chỗ sai, rỗng là đúng.

    Có chỗ sai thì không gì được ghi ra. Unsuitable: không phải thứ chuyển được.
    """
    old = Path(old)
    new = Path(new)
    if not old.is_dir():
        raise Unsuitable(f"{old} không phải thư mục")
    if new.exists() or new.is_symlink():
        raise Unsuitable(f"{new} đã có: hãy chọn tên khác, không gì bị ghi đè")
    parent = new.absolute().parent
    if not parent.is_dir() or parent.resolve().is_relative_to(old.resolve()):
        raise Unsuitable(f"{new} phải nằm trong một thư mục có sẵn, ngoài thư mục cũ")
    try:
        digests, dtype = read_old(old)  # trước tiên: tệp độc bị từ chối khi chưa gì được ghi
        model, _ = load(old, model_class(old, class_name), dtype)
        with tempfile.TemporaryDirectory(dir=parent, prefix=".convert-") as work:
            draft = Path(work) / "draft"
            draft.mkdir()
            model.config.dtype = dtype  # cấu hình nói đúng kiểu số của tệp
            model.config.architectures = [type(model).__name__]
            model.config.save_pretrained(draft)
            if model.can_generate():
                model.generation_config.save_pretrained(draft)
            write_weights(old, draft, plan(digests, model))
            write_other_files(old, draft)
            del model
            finish(draft)
            problems = check(old, draft, class_name)
            if not problems:
                draft.rename(new)
            return problems
    except Damaged as error:
        return [str(error)]


# Đối chiếu


def generation_settings(model: PreTrainedModel) -> dict:
    """Các mục sinh văn bản, trừ phiên bản; rỗng nếu mô hình không sinh văn bản."""
    if not model.can_generate():
        return {}
    found = model.generation_config.to_dict()
    found.pop("transformers_version", None)
    found.pop("_from_model_config", None)
    return found


def check_tensors(old: Path, new: Path, build: type[PreTrainedModel]) -> list[str]:
    """So tệp với tệp, rồi so hai mô hình mà thư viện tải ra."""
    problems = []
    was, dtype = read_old(old)
    now = read_new(new)
    model, report = load(old, build, dtype)
    moves = plan(was, model)
    for name, target in moves.items():
        if target and now.get(target) != was[name]:
            problems.append(f"tensor {name}: không có trong tệp mới, hay khác tệp cũ")
    for name in sorted(now.keys() - set(moves.values())):
        problems.append(f"tensor {name}: tệp cũ không có")
    for name in sorted(report["missing_keys"]):
        problems.append(f"thư mục cũ thiếu {name}: thư viện sẽ điền số ngẫu nhiên")
    old_shared = shared_names(model)
    old_generation = generation_settings(model)
    old_state = {name: digest(tensor) for name, tensor in model.state_dict().items()}
    del model
    model, new_report = load(new, build, "auto")  # như người dùng sẽ tải
    new_state = {name: digest(tensor) for name, tensor in model.state_dict().items()}
    for name, value in old_state.items():
        if new_state.get(name) != value and name not in report["missing_keys"]:
            problems.append(f"tải lên, {name} khác mô hình cũ")
    if shared_names(model) != old_shared:
        problems.append("tải lên, các trọng số dùng chung khác mô hình cũ")
    if generation_settings(model) != old_generation:
        problems.append("cách sinh văn bản (generation_config) khác mô hình cũ")
    if new_report["missing_keys"] != report["missing_keys"]:
        problems.append("báo cáo tải của hai thư mục khác nhau")
    return problems


def check_tokenizer(old: Path, new: Path) -> list[str]:
    """Hai tokenizer: cùng từ vựng, cùng token đặc biệt, cùng dãy id."""
    was = load_tokenizer(old)
    now = load_tokenizer(new)
    if was is None:
        return [] if now is None else ["thư mục cũ không có tokenizer, thư mục mới lại có"]
    if now is None:
        return ["thư mục mới thiếu tokenizer"]
    problems = []
    if len(was) <= len(was.all_special_tokens):
        problems.append("tokenizer cũ đọc ra rỗng: thư viện không nhận ra các tệp từ vựng")
    if was.get_vocab() != now.get_vocab():
        problems.append("tokenizer: từ vựng khác nhau")
    if was.special_tokens_map != now.special_tokens_map:
        problems.append("tokenizer: token đặc biệt khác nhau")
    if was.chat_template != now.chat_template:
        problems.append("tokenizer: mẫu hội thoại khác nhau")
    added = " ".join([*was.get_added_vocab(), "a"])
    for text in [*TEXTS, added]:
        if was(text)["input_ids"] != now(text)["input_ids"]:
            problems.append(f"tokenizer: dãy id khác nhau ở {text!r}")
    return problems


def settings(config: dict) -> dict:
    """Cấu hình, kể cả phần lồng bên trong, bỏ những mục mà bản mới ghi theo cách của nó."""
    kept = {}
    for key, value in config.items():
        if key in ("architectures", "dtype", "transformers_version", "_name_or_path"):
            continue
        kept[key] = settings(value) if isinstance(value, dict) else value
    return kept


def check_config(old: Path, new: Path) -> list[str]:
    """Hai cấu hình như thư viện đọc chúng."""
    was = settings(AutoConfig.from_pretrained(old, local_files_only=True).to_dict())
    now = settings(AutoConfig.from_pretrained(new, local_files_only=True).to_dict())
    problems = []
    for key in sorted(was.keys() | now.keys(), key=str):
        if was.get(key) != now.get(key):
            problems.append(f"config.json: {key} là {now.get(key)!r:.60}, cũ {was.get(key)!r:.60}")
    return problems


def check(old: str | Path, new: str | Path, class_name: str | None = None) -> list[str]:
    """Đối chiếu thư mục mới với thư mục cũ; trả về mọi chỗ sai, rỗng là không mất gì."""
    old = Path(old)
    new = Path(new)
    if not old.is_dir() or not new.is_dir():
        raise Unsuitable(f"{old} và {new} đều phải là thư mục")
    build = model_class(old, class_name)
    if not any(new.glob("*.safetensors")) or not (new / "config.json").is_file():
        return ["thư mục mới thiếu tệp safetensors hay config.json"]
    try:
        problems = check_tensors(old, new, build)
    except (Damaged, SafetensorError) as error:
        if out_of_memory(error):
            raise MemoryError from error
        return [str(error)]
    return problems + check_config(old, new) + check_tokenizer(old, new)


def describe(old: str | Path, new: str | Path, class_name: str | None = None) -> list[str]:
    """Những gì không sang nguyên dạng: tensor đổi tên, tên thứ hai, tệp ở lại."""
    old = Path(old)
    new = Path(new)
    digests, dtype = read_old(old)
    model, report = load(old, model_class(old, class_name), dtype)
    lines = []
    for name, target in plan(digests, model).items():
        if not target:
            lines.append(f"bỏ {name}: tên thứ hai của {shared_names(model)[name]}, cùng số")
        elif target != name:
            lines.append(f"đổi tên {name} → {target}: lớp {type(model).__name__} gọi thế")
    for name in sorted(report["unexpected_keys"]):
        lines.append(f"giữ {name}: lớp {type(model).__name__} không dùng")
    weights = {INDEX, *(path.name for path in weight_files(old))}
    for path in sorted(old.rglob("*")):
        inside = path.relative_to(old)
        if path.is_file() and path.name not in weights and not (new / inside).exists():
            lines.append(f"không chép {inside.as_posix()}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, help="thư mục cũ; chỉ được đọc")
    parser.add_argument("new", type=Path, help="thư mục mới; phải chưa có, trừ khi --check")
    parser.add_argument("--check", action="store_true", help="chỉ đối chiếu, không ghi gì")
    parser.add_argument("--class", dest="class_name", help="tên lớp, khi config.json không ghi")
    args = parser.parse_args()
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")  # lời báo lỗi là đúng một dòng
    try:
        if args.check:
            problems = check(args.old, args.new, args.class_name)
        else:
            problems = convert(args.old, args.new, args.class_name)
        if not problems:
            for line in describe(args.old, args.new, args.class_name):
                print(line)
    except Unsuitable as error:
        print(f"KHÔNG CHUYỂN ĐƯỢC: {error}", file=sys.stderr)
        return 2
    except (MemoryError, OSError, RuntimeError, SafetensorError) as error:
        reason = first_line(error)
        if out_of_memory(error):
            reason = "máy không đủ bộ nhớ; thư mục cũ còn nguyên"
        print(f"KHÔNG CHUYỂN ĐƯỢC: {reason}", file=sys.stderr)
        return 2
    if problems:
        for problem in problems[1:]:
            print(problem)
        more = f" (và {len(problems) - 1} chỗ khác)" if len(problems) > 1 else ""
        print(f"SAI: {problems[0]}{more}", file=sys.stderr)
        return 1
    print("ĐÚNG: mọi tensor, cấu hình và tokenizer của thư mục cũ đều ở thư mục mới.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
