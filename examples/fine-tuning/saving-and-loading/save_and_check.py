"""Lưu mô hình của bạn và kiểm tra rằng cái tải lại chính là cái đã lưu.

Trong mã huấn luyện, khi mô hình còn trong bộ nhớ:

    from save_and_check import save
    save(model, tokenizer, "my-model")    # không có tokenizer thì viết None

Ở dòng lệnh, lúc nào cũng được:

    python save_and_check.py my-model     # 0: đúng; 1: khác lúc lưu; 2: không kiểm tra được

`save` ghi thư mục `my-model`, và cạnh nó là `my-model.fingerprint.json`: dấu vân tay của mô hình
trong bộ nhớ. Chuyển thư mục đi đâu thì chuyển cả tệp đó, tốt nhất bằng đường khác. Dấu vân tay phát
hiện tai nạn; người cố ý sửa cả hai thì nó không phát hiện.

Cần: pip install torch transformers
"""

import argparse
import hashlib
import inspect
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

try:
    import torch
    import transformers
except ImportError as missing:
    if __name__ != "__main__":
        raise
    print(f"Thiếu gói {missing.name}: pip install torch transformers", file=sys.stderr)
    sys.exit(2)

TEXT = "Lưu rồi tải lại: mọi thứ phải y như cũ. The quick brown fox, 1.234,5 + 67 == “x”?\n\tHết."
LENGTH = 8  # số token của đầu vào thử
NUMBERS = 256  # số đầu ra được ghi lại, cách đều nhau
CHUNK = 2**24  # số phần tử băm mỗi lượt: tensor trên GPU không bị chép cả về một lúc
# Đầu ra được lệch bao nhiêu lần số lớn nhất: máy khác cộng theo thứ tự khác, số cuối khác theo.
TOLERANCE = {"torch.float64": 1e-9, "torch.float32": 1e-4, "torch.float16": 1e-2}
LOOSEST = 3e-2  # bfloat16, và những kiểu còn ngắn hơn
# Những mục mà chính việc lưu và tải ghi vào cấu hình.
WRITTEN_BY_LIBRARY = {"architectures", "dtype", "transformers_version", "_name_or_path"}
WRITTEN_BY_LIBRARY |= {"_from_model_config"}
# Lỗi của máy đang chạy, không phải của thư mục.
OF_THIS_MACHINE = ("MemoryError", "out of memory", "allocate memory", "PermissionError")
OF_THIS_MACHINE += ("ImportError", "ModuleNotFoundError", "not implemented for")


class CannotCheck(Exception):
    """Không kiểm tra được. Điều đó không có nghĩa là thư mục hỏng."""


def fingerprint_path(folder: str | Path) -> Path:
    """Chỗ của dấu vân tay: cạnh thư mục, không phải trong đó."""
    folder = Path(folder).resolve()
    if not folder.name:  # «/», hay ổ đĩa «D:\»: không có chỗ bên cạnh
        raise CannotCheck(f"{folder} là thư mục gốc: hãy đặt mô hình vào một thư mục có tên.")
    return folder.with_name(folder.name + ".fingerprint.json")


def first_line(error: Exception) -> str:
    """Tên lỗi và dòng đầu của lời báo."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


# --------------------------------------------------------------------------------------------------
# Dấu vân tay: những gì phải như nhau lúc lưu và sau khi tải


def sha256_of(tensor: torch.Tensor) -> str:
    """SHA-256 trên byte của một tensor: kiểu số nào, thiết bị nào cũng được."""
    digest = hashlib.sha256()
    flat = tensor.detach().reshape(-1)
    for start in range(0, flat.numel(), CHUNK):
        piece = flat[start : start + CHUNK].cpu().contiguous()
        digest.update(piece.view(torch.uint8).numpy())
    return digest.hexdigest()


def shortened(tensor: torch.Tensor, kind: str) -> torch.Tensor:
    """Tensor đó ở kiểu số ngắn hơn của lúc lưu, nếu không mất bit nào; không thì giữ nguyên.

    Có lớp mà thư viện luôn tải thành float32 (T5 float16): giá trị vẫn là giá trị đã lưu.
    """
    if tensor.dtype == torch.float32 and kind in ("torch.float16", "torch.bfloat16"):
        short = tensor.to(getattr(torch, kind.removeprefix("torch.")))
        if torch.equal(short.float(), tensor):
            return short
    return tensor


def tensors_of(model: torch.nn.Module, saved: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Tên → kiểu số, kích thước, SHA-256 của mọi tensor trong state_dict."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, torch.Tensor):
            continue
        if tensor.is_meta:
            raise CannotCheck(f"{name} ở trên meta: tensor này chưa có số nào.")
        if name in saved:
            tensor = shortened(tensor, saved[name][0])
        tensors[name] = [str(tensor.dtype), list(tensor.shape), sha256_of(tensor)]
    return tensors


def shared_names_of(model: torch.nn.Module) -> list[list[str]]:
    """Những nhóm tên cùng chỉ một tensor (trọng số dùng chung)."""
    names_of = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        names_of.setdefault(id(tensor), []).append(name)
    return sorted(sorted(names) for names in names_of.values() if len(names) > 1)


def flat_config(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Cấu hình một tầng: `text_config.vocab_size` → giá trị."""
    flat = {}
    for name, value in config.items():
        if name in WRITTEN_BY_LIBRARY:
            continue
        if isinstance(value, dict):
            flat.update(flat_config(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def settings_of(model: transformers.PreTrainedModel) -> dict[str, Any]:
    """Mọi mục của config.json, và của generation_config.json: cách sinh chữ mặc định."""
    settings = flat_config(json.loads(model.config.to_json_string(use_diff=False)))
    generation = getattr(model, "generation_config", None)
    if generation is not None:
        chosen = json.loads(generation.to_json_string(use_diff=False))
        settings.update(flat_config(chosen, "generation_config."))
    return settings


def inputs_of(model: transformers.PreTrainedModel) -> dict[str, torch.Tensor]:
    """Đầu vào thử, lần nào cũng thế: dãy id cỡ [1, LENGTH]."""
    if model.main_input_name != "input_ids":
        raise TypeError(f"mô hình này nhận {model.main_input_name}, không nhận dãy id")
    embedding = model.get_input_embeddings().weight
    vocabulary = embedding.shape[0]
    ids = torch.arange(1, LENGTH + 1) * 7919 % vocabulary  # 7919 là số nguyên tố: id rải đều
    end = getattr(model.config, "eos_token_id", None)
    if isinstance(end, int) and 0 <= end < vocabulary:
        ids[-1] = end  # vài mô hình phân loại đọc kết quả ở token này
    inputs = {"input_ids": ids[None].to(embedding.device)}
    if "decoder_input_ids" in inspect.signature(model.forward).parameters:
        inputs["decoder_input_ids"] = inputs["input_ids"]  # T5, BART
    return inputs


def outputs_of(model: transformers.PreTrainedModel) -> list[float]:
    """Vài trăm số của đầu ra (logits, hay tensor đầu tiên), ở chế độ eval."""
    inputs = inputs_of(model)
    modes = {module: module.training for module in model.modules()}
    cuda = {tensor.device for tensor in model.parameters() if tensor.device.type == "cuda"}
    try:
        model.eval()
        with torch.no_grad(), torch.random.fork_rng(devices=cuda):
            output = model(**inputs)
    finally:
        for module, training in modes.items():  # từng module: có người chỉ eval() một phần
            module.training = training
    if isinstance(output, dict) and "logits" in output:
        output = output["logits"]
    while not isinstance(output, torch.Tensor):
        output = output[0]  # last_hidden_state, hay tensor đầu tiên
    flat = output.detach().reshape(-1)
    step = max(1, flat.numel() // NUMBERS)
    return flat[::step].double().cpu().tolist()


def tokenizer_facts(tokenizer: Any) -> dict[str, Any] | None:
    """Dãy id của câu thử, từ vựng, token đặc biệt, khuôn hội thoại. None: không phải tokenizer."""
    tokenizer = getattr(tokenizer, "tokenizer", tokenizer)  # processor mang tokenizer bên trong
    if not hasattr(tokenizer, "get_vocab"):
        return None
    vocabulary = json.dumps(sorted(tokenizer.get_vocab().items()))
    return {
        "dãy id của câu thử": tokenizer(TEXT)["input_ids"],
        "số token": len(tokenizer),
        "từ vựng": hashlib.sha256(vocabulary.encode()).hexdigest(),
        "token đặc biệt": sorted(tokenizer.all_special_ids),
        "eos và pad": [tokenizer.eos_token_id, tokenizer.pad_token_id],
        "phía đệm, phía cắt": [tokenizer.padding_side, tokenizer.truncation_side],
        "độ dài nhiều nhất": tokenizer.model_max_length,
        "khuôn hội thoại": getattr(tokenizer, "chat_template", None),
    }


def fingerprint(
    model: transformers.PreTrainedModel, tokenizer: Any, saved: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Dấu vân tay, dạng JSON. Không đổi mô hình, không đổi trạng thái sinh số ngẫu nhiên.

    saved: dấu vân tay lúc lưu, khi đang tính cho mô hình tải lại.
    """
    facts = {
        "class": type(model).__name__,
        "dtype": str(model.dtype),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "tensors": tensors_of(model, saved["tensors"] if saved else {}),
        "shared": shared_names_of(model),
        "config": settings_of(model),
        "tokenizer": tokenizer_facts(tokenizer),
        "outputs": None,
        "not_compared": "",  # vì sao không có đầu ra
    }
    try:
        facts["outputs"] = outputs_of(model)
    except Exception as error:
        facts["not_compared"] = first_line(error)
    return facts


# --------------------------------------------------------------------------------------------------
# Lưu


def save(model: Any, tokenizer: Any, folder: str | Path, **options: Any) -> Path:
    """Lưu vào một thư mục MỚI; trả về tệp dấu vân tay, nằm cạnh thư mục.

    tokenizer: tokenizer, processor, hay None. options: cho save_pretrained (max_shard_size="5GB").
    Có nhiều tiến trình (DDP) thì chỉ gọi ở rank 0.
    """
    model = getattr(model, "_orig_mod", model)  # lớp vỏ của torch.compile
    if isinstance(model, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
        model = model.module
    if not isinstance(model, transformers.PreTrainedModel):
        raise TypeError(
            f"{type(model).__name__} không phải PreTrainedModel. Lớp tự viết: lưu state_dict. "
            "Mô hình gắn LoRA (PEFT): merge_and_unload() rồi lưu, hoặc lưu riêng adapter."
        )
    if getattr(model, "_hf_peft_config_loaded", False):
        raise TypeError("Mô hình đang gắn adapter: save_pretrained chỉ ghi adapter, thiếu mô hình.")

    folder = Path(folder).resolve()
    proof = fingerprint_path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} đã có và không rỗng: hãy lưu vào một thư mục mới.")
    if proof.exists():
        raise FileExistsError(f"{proof} là dấu vân tay của lần lưu trước: hãy chọn tên khác.")

    facts = fingerprint(model, tokenizer)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Ghi ở chỗ tạm rồi đổi tên: bị giết giữa chừng thì không có thư mục dở dang mang tên thật.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        part = Path(temporary, folder.name)
        model.save_pretrained(part, **options)
        if tokenizer is not None:
            tokenizer.save_pretrained(part)
        part_proof = Path(temporary, proof.name)
        part_proof.write_text(json.dumps(facts, indent=1), encoding="utf-8", newline="\n")
        if folder.exists():
            folder.rmdir()  # thư mục rỗng: Windows không đổi tên đè lên nó
        part.replace(folder)
        part_proof.replace(proof)
    if facts["outputs"] is None:
        print(f"Không có đầu ra để so: {facts['not_compared']}", file=sys.stderr)
    if tokenizer is not None and facts["tokenizer"] is None:
        print(f"Không so {type(tokenizer).__name__}: không có từ vựng.", file=sys.stderr)
    return proof


# --------------------------------------------------------------------------------------------------
# Tải lại và so


def read_fingerprint(folder: Path, proof: Path) -> dict[str, Any]:
    """Dấu vân tay ghi lúc lưu."""
    if not folder.is_dir():
        raise CannotCheck(f"{folder}: không có thư mục này.")
    if not proof.is_file():
        raise CannotCheck(
            f"Không có dấu vân tay {proof}, nên không biết lúc lưu thư mục thế nào. Hãy xin tệp đó "
            "từ nơi lưu rồi chỉ bằng --fingerprint, hoặc so SHA-256 từng tệp với nơi phát hành."
        )
    try:
        facts = json.loads(proof.read_text(encoding="utf-8"))
        for part in ("class", "dtype", "versions", "shared", "tokenizer", "not_compared"):
            facts[part]
        for kind, shape, digest in facts["tensors"].values():
            kind + digest + str(list(shape))
        dict(facts["config"])
        list(facts["outputs"] or [])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CannotCheck(f"{proof}: không phải dấu vân tay do save ghi.") from error
    return facts


def class_of(folder: Path, own_class: type | None) -> type:
    """Lớp mà config.json ghi, của Transformers hoặc của bạn."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name = config["architectures"][0]
    found = own_class or getattr(transformers, name, None)
    if found is None:
        raise CannotCheck(
            f"Không có lớp {name} trong transformers {transformers.__version__}. "
            f"Nếu đó là lớp của bạn, gọi check(folder, own_class={name}) từ mã của bạn."
        )
    if not issubclass(found, transformers.PreTrainedModel) or found.__name__ != name:
        raise ValueError(f"config.json ghi lớp {name}")
    return found


def load(folder: Path, own_class: type | None) -> tuple[Any, dict[str, Any]]:
    """Mô hình và báo cáo tải. Chỉ đọc safetensors, không chạy mã trong thư mục, không hỏi mạng."""
    return class_of(folder, own_class).from_pretrained(
        folder,
        dtype="auto",  # kiểu số mà thư mục ghi
        output_loading_info=True,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
    )


def check(
    folder: str | Path, fingerprint_file: str | Path | None = None, own_class: type | None = None
) -> list[str]:
    """Tải lại thư mục và so với dấu vân tay. Danh sách rỗng: đúng như lúc lưu.

    own_class: lớp của bạn, khi nó không nằm trong Transformers. Ném CannotCheck khi không kiểm tra
    được: thiếu thư mục, thiếu dấu vân tay, thiếu gói, thiếu bộ nhớ, thiếu quyền đọc.
    """
    folder = Path(folder).resolve()
    saved = read_fingerprint(folder, Path(fingerprint_file or fingerprint_path(folder)))
    for path in folder.iterdir():
        if not os.access(path, os.R_OK):
            raise CannotCheck(f"{path}: tài khoản này không có quyền đọc.")
    wrong = []
    if len(list(folder.glob("model.safetensors*"))) > 1:  # tệp đơn và bản chỉ dẫn của bản chia mảnh
        wrong.append(
            "model.safetensors nằm cạnh model.safetensors.index.json: hai lần lưu lẫn nhau"
        )
    try:
        with torch.random.fork_rng(devices=[]):
            model, report = load(folder, own_class)
        tokenizer = None
        if saved["tokenizer"] is not None:
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
        loaded = fingerprint(model, tokenizer, saved)
    except CannotCheck:
        raise
    except Exception as error:
        stop_if_of_this_machine(first_line(error))
        return [*wrong, f"không tải được. {first_line(error)}"]
    for kind, names in report.items():
        if names:
            wrong.append(f"báo cáo tải, {kind}: {few(sorted(map(str, names)))}")
    try:
        return wrong + compare(saved, loaded)
    except (AttributeError, TypeError, ValueError) as error:
        raise CannotCheck("Dấu vân tay có chỗ không phải do save ghi.") from error


def stop_if_of_this_machine(error: str) -> None:
    for words in OF_THIS_MACHINE:
        if words in error:
            raise CannotCheck(error)


def few(names: list[str]) -> str:
    """Năm tên đầu, và còn bao nhiêu."""
    shown = ", ".join(names[:5])
    if len(names) > 5:
        shown += f" và {len(names) - 5} tên khác"
    return shown


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Những tên có nội dung khác nhau."""
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def compare(saved: dict[str, Any], loaded: dict[str, Any]) -> list[str]:
    """Mỗi chỗ khác lúc lưu là một dòng."""
    wrong = []
    for part, title in {"class": "lớp", "dtype": "kiểu số"}.items():
        if loaded[part] != saved[part]:
            wrong.append(f"{title} khác lúc lưu: {saved[part]} → {loaded[part]}")

    names = changes(saved["tensors"], loaded["tensors"])
    if names:
        wrong.append(f"tensor khác lúc lưu: {few(names)}")

    if loaded["shared"] != saved["shared"]:
        groups = [" = ".join(names) for names in saved["shared"]]
        wrong.append(f"trọng số dùng chung khác lúc lưu; lúc lưu: {'; '.join(groups) or 'không'}")

    old = saved["config"]
    new = loaded["config"]
    if saved["versions"] != loaded["versions"]:  # bản khác của thư viện có thể thêm bớt mục
        old = {name: value for name, value in old.items() if name in new}
        new = {name: value for name, value in new.items() if name in old}
    values = [f"{name} {old.get(name)} → {new.get(name)}" for name in changes(old, new)]
    if values:
        wrong.append(f"cấu hình khác lúc lưu: {few(values)}")

    for name in changes(saved["tokenizer"] or {}, loaded["tokenizer"] or {}):
        wrong.append(f"tokenizer khác lúc lưu: {name}")
    return wrong + compare_outputs(saved, loaded)


def compare_outputs(saved: dict[str, Any], loaded: dict[str, Any]) -> list[str]:
    """Đầu ra không cần bằng từng bit, chỉ cần trong sai số của kiểu số ngắn nhất."""
    if saved["outputs"] is None:
        print(f"Không so đầu ra: {saved['not_compared']}", file=sys.stderr)
        return []
    if loaded["outputs"] is None:
        stop_if_of_this_machine(loaded["not_compared"])
        return [f"mô hình tải lại không chạy được. {loaded['not_compared']}"]
    old = torch.tensor(saved["outputs"], dtype=torch.float64)
    new = torch.tensor(loaded["outputs"], dtype=torch.float64)
    if old.shape != new.shape:
        return ["đầu ra khác kích thước lúc lưu"]
    kinds = {kind for kind, _, _ in saved["tensors"].values() if "float" in kind}
    tolerance = max((TOLERANCE.get(kind, LOOSEST) for kind in kinds), default=LOOSEST)
    largest = old.nan_to_num(posinf=0, neginf=0).abs().max().item()
    allowed = tolerance * largest
    if torch.allclose(new, old, rtol=0, atol=allowed, equal_nan=True):
        return []
    return [f"đầu ra lệch {(new - old).abs().max().item():.2g}, quá sai số {allowed:.2g}"]


def main() -> int:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # Windows: cửa sổ lệnh không có chữ Việt
    parser = argparse.ArgumentParser(description="Tải lại một thư mục và so với lúc lưu.")
    parser.add_argument("folder", help="thư mục do save của tệp này ghi")
    parser.add_argument("--fingerprint", help="dấu vân tay, nếu không ở cạnh thư mục")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()  # mọi lời báo nằm ở kết quả bên dưới
    transformers.logging.disable_progress_bar()
    try:
        wrong = check(arguments.folder, arguments.fingerprint)
    except (CannotCheck, OSError) as error:
        print(f"Không kiểm tra được. {error}", file=sys.stderr)
        return 2
    for line in wrong:
        print(f"KHÁC  {line}")
    if wrong:
        print("Thư mục này không phải cái đã lưu: hãy chép lại từ bản gốc.")
        return 1
    print("ĐÚNG: cái tải lại chính là cái đã lưu.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
