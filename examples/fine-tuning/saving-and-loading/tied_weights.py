"""Trọng số dùng chung (tied weights): tên nào chung một vùng nhớ, và sau khi tải còn chung không.

    python tied_weights.py FOLDER    # FOLDER: thư mục do save_pretrained ghi, tệp safetensors

Trong mã của bạn:

    groups = shared_names(model)                   # lúc lưu; danh sách tên, ghi được vào JSON
    ...
    model.load_state_dict(state, assign=True)      # lúc tải: mỗi tên thành một tham số riêng
    tie_again(model, groups)                       # trước khi tạo optimizer
    print(untied(model, groups))                   # [] là tốt

Cần: pip install torch safetensors; dòng lệnh cần thêm transformers
Mã thoát: 0 cấu hình và tệp khớp nhau; 1 không khớp, hoặc tệp hỏng; 2 không phải thứ đọc được.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

State = Mapping[str, torch.Tensor]
ONE_FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"


class NotAModel(Exception):
    """Thứ được đưa vào không phải loại mà tệp này đọc."""


def named_tensors(source: torch.nn.Module | State) -> dict[str, torch.Tensor]:
    """Mọi tên và tensor của một mô hình (tham số, buffer, cả tên trùng), hay của một state dict."""
    if isinstance(source, torch.nn.Module):
        tensors = dict(source.named_parameters(remove_duplicate=False))
        tensors.update(source.named_buffers(remove_duplicate=False))
        return tensors
    return {name: value for name, value in source.items() if isinstance(value, torch.Tensor)}


def place(tensor: torch.Tensor) -> object:
    """Chỗ của tensor trong bộ nhớ. Hai chỗ bằng nhau: hai tên của một vùng nhớ.

    None khi không có chỗ nào: tensor trên `meta`, tensor rỗng, tham số chưa có kích thước.
    """
    if tensor.is_meta or torch.nn.parameter.is_lazy(tensor) or tensor.numel() == 0:
        return None
    if tensor.layout != torch.strided:  # tensor thưa không có một địa chỉ
        return id(tensor)
    shape = tuple(tensor.shape)
    return (tensor.device, tensor.data_ptr(), shape, tensor.stride(), tensor.dtype)


def shared_names(model: torch.nn.Module | State) -> list[list[str]]:
    """Các nhóm tên là một vùng nhớ; mỗi nhóm ít nhất hai tên, theo thứ tự trong mô hình.

    Lát cắt (view) chỉ chung một phần vùng nhớ thì không ở đây: xem `overlapping_names`.
    """
    owners: dict[object, list[str]] = {}
    for name, tensor in named_tensors(model).items():
        where = place(tensor)
        if where is not None:
            owners.setdefault(where, []).append(name)
    return [names for names in owners.values() if len(names) > 1]


def overlapping_names(model: torch.nn.Module | State) -> list[tuple[str, str]]:
    """Các cặp tên nằm trong hai đoạn bộ nhớ giao nhau mà không là một: lát cắt, chuyển vị.

    `save_file` của safetensors từ chối những cặp này.
    """
    tensors = named_tensors(model)
    spans = []
    for name, tensor in tensors.items():
        if isinstance(place(tensor), tuple):
            start = tensor.data_ptr()
            spans.append((str(tensor.device), start, start + length_in_bytes(tensor), name))
    spans.sort()

    pairs = []
    for number, (device, _, end, name) in enumerate(spans):
        for other_device, other_start, _, other in spans[number + 1 :]:
            if other_device != device or other_start >= end:
                break  # đã xếp theo địa chỉ: từ đây không tensor nào chạm tới nữa
            if place(tensors[name]) != place(tensors[other]):
                pairs.append((name, other))
    return pairs


def length_in_bytes(tensor: torch.Tensor) -> int:
    """Số byte từ phần tử đầu đến hết phần tử cuối trong bộ nhớ."""
    last = 0
    for length, step in zip(tensor.shape, tensor.stride(), strict=True):
        last += (length - 1) * step
    return (last + 1) * tensor.element_size()


def same_bits(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Cùng kiểu số, cùng kích thước, cùng từng bit (NaN bằng chính nó, 0 khác -0)."""
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    return torch.equal(bits(first), bits(second))


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """Các byte của tensor, một chiều, trên CPU."""
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8)


def tie_again(model: torch.nn.Module, groups: Sequence[Sequence[str]]) -> None:
    """Cho mọi tên của mỗi nhóm trỏ tới một tham số; gọi trước khi tạo optimizer.

    Tên còn ở `meta` (tệp chỉ ghi một tên của nhóm) thì nhận tham số của tên đã có số.
    ValueError khi có tên lạ, hay khi giá trị khác nhau; lúc đó mô hình chưa bị đổi gì.
    """
    tensors = named_tensors(model)
    kept = [the_one(tensors, names) for names in groups]  # xem xong mọi nhóm rồi mới đổi
    for names, tensor in zip(groups, kept, strict=True):
        for name in names:
            path, _, last = name.rpartition(".")
            module = model.get_submodule(path)
            if isinstance(tensors[name], torch.nn.Parameter):
                setattr(module, last, tensor)
            else:  # buffer vẫn là buffer, trên cùng vùng nhớ
                setattr(module, last, tensor.detach())


def the_one(tensors: State, names: Sequence[str]) -> torch.Tensor:
    """Tensor mà mọi tên của nhóm sẽ trỏ tới; ValueError khi các tên không cùng một giá trị."""
    unknown = [name for name in names if name not in tensors]
    if unknown or not names:
        raise ValueError(f"mô hình không có tên {', '.join(unknown) or '(nhóm rỗng)'}")
    filled = [name for name in names if not tensors[name].is_meta] or list(names)
    parameters = [name for name in filled if isinstance(tensors[name], torch.nn.Parameter)]
    chosen = (parameters or filled)[0]
    kept = tensors[chosen]
    for name in names:
        other = tensors[name]
        if other.shape != kept.shape or other.dtype != kept.dtype:
            raise ValueError(f"{name} và {chosen} khác kích thước hay kiểu số: không nối được")
        if other.requires_grad != kept.requires_grad and name in parameters:
            raise ValueError(f"{name} và {chosen}: một bên đang đóng băng (requires_grad=False)")
        if other.is_meta:
            continue
        if other.device != kept.device or not same_bits(other, kept):
            raise ValueError(f"{name} và {chosen} có giá trị hay thiết bị khác nhau: không nối")
    return kept


def untied(
    model_or_file: torch.nn.Module | State | str | Path, groups: Sequence[Sequence[str]]
) -> list[tuple[str, str]]:
    """Các cặp tên lẽ ra là một mà nay không phải. Danh sách rỗng là tốt.

    model_or_file: mô hình, state dict, tệp .safetensors hay .pt, hay thư mục save_pretrained.
    groups: kết quả của `shared_names` lúc lưu; [] nếu không có.

    Có hai loại cặp. Loại một: cùng một nhóm của `groups`, nay là hai tham số, hay trong tệp là
    hai bản. Loại hai: bằng nhau từng bit mà không là một (trừ tensor chỉ gồm một giá trị). Loại
    hai có thể vô hại: nn.TransformerEncoder mới dựng có các lớp là bản sao của nhau.
    ValueError khi không đọc được tệp, hay khi không có tên nào của một nhóm.
    """
    source = model_or_file
    if isinstance(source, str | Path):
        source = read_weights(Path(source))
    in_model = isinstance(source, torch.nn.Module)
    tensors = named_tensors(source)

    pairs = []
    for names in groups:
        present = [name for name in names if name in tensors]
        if not present or (in_model and len(present) < len(names)):
            raise ValueError(f"không đủ tên của nhóm {' = '.join(names)}: sai mô hình hay sai tệp")
        for name in present[1:]:  # tệp chỉ giữ một tên của nhóm: không có cặp nào
            if not are_one(tensors[present[0]], tensors[name]):
                pairs.append((present[0], name))
    for first, second in equal_pairs(tensors, only_parameters=in_model):
        if not any(first in names and second in names for names in groups):  # đã xét ở trên
            pairs.append((first, second))
    return pairs


def are_one(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Hai tên có là một không. Hai tham số khác nhau trên cùng vùng nhớ thì KHÔNG là một:

    optimizer thấy hai tham số, và mỗi bước sửa vùng nhớ đó hai lần.
    """
    if first is second:
        return True
    if isinstance(first, torch.nn.Parameter) and isinstance(second, torch.nn.Parameter):
        return False
    return place(first) is not None and place(first) == place(second)


def equal_pairs(tensors: State, only_parameters: bool) -> list[tuple[str, str]]:
    """Các cặp bằng nhau từng bit mà không là một. Mỗi tensor chỉ so với những tensor giống đầu."""
    alike: dict[object, list[str]] = {}
    pairs = []
    for name, tensor in tensors.items():
        if only_parameters and not isinstance(tensor, torch.nn.Parameter):
            continue  # mặt nạ, bảng vị trí: lớp nào cũng có một bảng như nhau
        if not isinstance(place(tensor), tuple) or not tensor.is_floating_point():
            continue
        head = bits(tensor.flatten()[:64]).numpy().tobytes()  # đủ để loại hầu hết các cặp khác nhau
        known = alike.setdefault((tensor.dtype, tuple(tensor.shape), head), [])
        for other in known:
            one = are_one(tensors[other], tensor)
            if not one and same_bits(tensors[other], tensor) and not is_constant(tensor):
                pairs.append((other, name))
                break
        known.append(name)
    return pairs


def is_constant(tensor: torch.Tensor) -> bool:
    """Chỉ gồm một giá trị, như bias toàn 0 hay LayerNorm toàn 1 lúc mới dựng."""
    rows = bits(tensor).reshape(tensor.numel(), -1)
    return bool((rows == rows[0]).all())


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Đọc một tệp .safetensors, một tệp của torch.save, hay mọi mảnh của một thư mục.

    Số được ánh xạ từ tệp (mmap), nên tệp lớn hơn bộ nhớ cũng đọc được. ValueError khi hỏng.
    """
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = {}
    try:
        for file in weight_files(path):
            if file.suffix == ".safetensors":
                state = load_file(file)
            else:
                mapped = zipfile.is_zipfile(file)  # tệp từ trước PyTorch 1.6 không ánh xạ được
                state = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
            tensors.update(named_tensors(state))
    except MemoryError:
        raise
    except Exception as error:  # mỗi thư viện, mỗi kiểu hỏng ném một loại lỗi
        raise ValueError(f"{path}: không đọc được. {first_line(error)}") from None
    if not tensors:
        raise ValueError(f"{path}: không có tensor nào ở tầng ngoài cùng")
    return tensors


def weight_files(path: Path) -> list[Path]:
    """Các tệp trọng số mà `path` chỉ tới; thư mục thì theo thứ tự ưu tiên của Transformers."""
    if not path.is_dir():
        return [path]
    if (path / ONE_FILE).is_file():
        return [path / ONE_FILE]
    index = json.loads((path / INDEX).read_text(encoding="utf-8"))
    names = sorted(set(index["weight_map"].values()))
    for name in names:
        if Path(name).name != name:
            raise ValueError(f"{INDEX} chỉ ra ngoài thư mục: {name}")
    return [path / name for name in names]


def first_line(error: Exception) -> str:
    """Dòng đầu có chữ trong thông báo lỗi."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def load(folder: Path) -> tuple[torch.nn.Module, list[str]]:
    """Mô hình thuộc đúng lớp mà config.json ghi, và tên các tensor mà tệp không có.

    NotAModel khi thư mục không phải loại này; lỗi nào khác thì do tệp hỏng hay sai.
    """
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        text = (folder / "config.json").read_text(encoding="utf-8")
    except OSError:
        raise NotAModel(
            f"{folder} không có config.json: cần thư mục do save_pretrained ghi"
        ) from None
    if not any(folder.glob("*.safetensors")):
        raise NotAModel(f"{folder} không có tệp safetensors nào")
    architectures = json.loads(text).get("architectures") or ["(không ghi)"]
    model_class = getattr(transformers, str(architectures[0]), None)
    if not hasattr(model_class, "from_pretrained") or not hasattr(model_class, "tie_weights"):
        raise NotAModel(f"Transformers không có lớp {architectures[0]} mà config.json ghi")
    model, report = model_class.from_pretrained(
        folder,
        output_loading_info=True,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    return model, sorted(report["missing_keys"])


def problems(model: torch.nn.Module, missing: Sequence[str]) -> list[str]:
    """Những chỗ config.json và tệp trọng số không khớp nhau; rỗng là khớp."""
    found = []
    if missing:
        found.append(f"tệp thiếu {', '.join(missing)}: phần này vừa được khởi tạo ngẫu nhiên")
    output = model.get_output_embeddings()  # None: lớp này không có lớp ra
    if declared(model) and model._tied_weights_keys and output is not None:
        if output.weight is not model.get_input_embeddings().weight:
            found.append("config.json ghi dùng chung, mà tệp chứa hai ma trận khác nhau")
    return found


def declared(model: torch.nn.Module) -> bool:
    """config.json có ghi rằng embedding và lớp ra dùng chung một ma trận không."""
    return bool(getattr(model.config, "tie_word_embeddings", False))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="thư mục do save_pretrained ghi"
    )
    folder = parser.parse_args().folder
    try:
        model, missing = load(folder)
    except NotAModel as error:
        print(error, file=sys.stderr)
        return 2
    except MemoryError:
        print(f"Không đủ bộ nhớ để tải {folder}.", file=sys.stderr)
        return 2
    except Exception as error:  # mỗi thư viện, mỗi kiểu hỏng ném một loại lỗi
        print(f"SAI: không tải được {folder}. {first_line(error)}", file=sys.stderr)
        return 1

    print(f"{type(model).__name__}, tie_word_embeddings = {str(declared(model)).lower()}")
    for names in shared_names(model):
        print("dùng chung:", " = ".join(names))
    for first, second in untied(model, []):
        print(f"bằng nhau từng bit mà không dùng chung: {first}, {second}")
    wrong = problems(model, missing)
    for problem in wrong:
        print(f"SAI: {problem}", file=sys.stderr)
    if wrong:
        return 1
    print("ĐÚNG: config.json và tệp trọng số khớp nhau.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
