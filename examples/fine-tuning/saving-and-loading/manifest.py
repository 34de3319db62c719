"""Lập bản kê SHA-256 của một thư mục mô hình, rồi kiểm tra thư mục bằng bản kê đó.

    python manifest.py write my-model                  # ghi hai tệp bên cạnh thư mục my-model
    python manifest.py check my-model                  # mọi tệp có còn như lúc lập bản kê không
    python manifest.py check my-model --sha256 3f1a…   # bản kê có đúng là bản mà bạn đã giữ không
    python manifest.py compare my-model converted      # hai thư mục có cùng những tensor không

my-model.SHA256SUMS là dạng chữ của lệnh sha256sum, nên lệnh đó cũng đọc được, khi đứng trong thư
mục: sha256sum -c ../my-model.SHA256SUMS
my-model.tensors.json kể từng tensor của các tệp .safetensors: tên, kiểu số, kích thước, SHA-256, ở
tệp nào. Tệp .bin và .pt là pickle, script không mở chúng: chỉ có SHA-256 của cả tệp.
Mã thoát: 0 đúng; 1 khác hay hỏng; 2 không so được.
Cần: Python 3.11 trở lên, không cần pip install gì.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import unicodedata
from pathlib import Path, PurePosixPath
from typing import BinaryIO

CHUNK = 1 << 20  # đọc từng MiB: tệp lớn hơn bộ nhớ cũng băm được
HEADER_LIMIT = 100_000_000  # byte của phần đầu safetensors, như chính thư viện giới hạn
SUMS_LIMIT = 100_000_000  # byte của một bản kê
LINE = re.compile(r"(\\?)([0-9a-fA-F]{64}) [ *](.+)", re.DOTALL)  # «*»: sha256sum --binary
ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}  # sha256sum viết ba ký tự này trong tên tệp
LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # macOS và Windows tự thêm vào
LITTER_FOLDERS = (".git", ".cache/huggingface")  # của git, và của hf download --local-dir
APPLE_DOUBLE = b"\x00\x05\x16\x07"  # bốn byte đầu của tệp ._x mà macOS ghi cạnh tệp x
PICKLED = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}


class Refused(ValueError):
    """Không phải thứ script này cần: không so gì cả (mã thoát 2)."""


class Damaged(ValueError):
    """Một tệp hỏng (mã thoát 1)."""


# --- các tệp của thư mục


def show(name: str) -> str:
    """Tên in được: ký tự điều khiển trong tên tệp lạ không được tới màn hình."""
    shown = ""
    for character in name:
        shown += character if character.isprintable() else f"\\u{ord(character):04x}"
    return shown


def real_folder(folder: Path | str) -> Path:
    """Đường dẫn thật của một thư mục."""
    if not Path(folder).is_dir():
        raise Refused(f"{show(str(folder))} không phải một thư mục")
    return Path(folder).resolve()


def beside(folder: Path | str) -> Path:
    """Nơi mặc định của bản kê: bên cạnh thư mục, không nằm trong nó."""
    folder = real_folder(folder)
    if not folder.name:  # «/», hay ổ đĩa «D:\»: không có chỗ bên cạnh
        raise Refused("đây là thư mục gốc: hãy chọn chỗ cho bản kê bằng --manifest TỆP")
    if hub_blobs(folder):  # tệp lạ ở snapshots/ làm hf cache báo hỏng
        raise Refused("thư mục thuộc bộ nhớ đệm của Hub: hãy chọn chỗ khác bằng --manifest TỆP")
    return folder.with_name(f"{folder.name}.SHA256SUMS")


def tensors_beside(manifest: Path) -> Path:
    """Bản kê tensor nằm cạnh bản kê tệp: X.SHA256SUMS → X.tensors.json."""
    return manifest.with_name(manifest.name.removesuffix(".SHA256SUMS") + ".tensors.json")


def hub_blobs(folder: Path) -> Path | None:
    """Thư mục blobs, nếu `folder` là một snapshot trong bộ nhớ đệm của Hub (tệp là liên kết)."""
    repository = folder.parent.parent
    if folder.parent.name == "snapshots" and repository.name.startswith("models--"):
        return repository / "blobs"
    return None


def named_litter(name: str) -> bool:
    """Tên (kiểu a/b) của thứ mà hệ điều hành, git hay công cụ tải tự thêm."""
    in_folder = any(name == folder or name.startswith(f"{folder}/") for folder in LITTER_FOLDERS)
    return in_folder or PurePosixPath(name).name in LITTER


def is_litter(path: Path, name: str) -> bool:
    """Không phải của mô hình: nhìn tên, và với tệp ._x thì nhìn bốn byte đầu."""
    if named_litter(name):
        return True
    if path.name.startswith("._") and path.is_file() and not path.is_symlink():
        with path.open("rb") as stream:
            return stream.read(4) == APPLE_DOUBLE
    return False


def reason_to_refuse(path: Path, allowed: list[Path]) -> str:
    """Vì sao không đọc tệp này; rỗng khi đọc được."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "liên kết hỏng hay vòng quanh"
    if not any(real.is_relative_to(place) for place in allowed):
        return "liên kết ra ngoài thư mục, không đọc"
    if real.is_dir():
        return "liên kết tới một thư mục, không đi theo"
    if not real.is_file():
        return "không phải tệp thường, không đọc"
    return ""


def stop(error: OSError) -> None:
    """os.walk lặng lẽ bỏ qua thư mục không đọc được, trừ khi có hàm này."""
    raise error


def list_files(folder: Path | str) -> tuple[dict[str, Path], list[str], list[str]]:
    """Các tệp (tên kiểu a/b → nơi nằm), những gì không đọc, và rác được bỏ qua."""
    folder = real_folder(folder)
    allowed = [folder]
    blobs = hub_blobs(folder)
    if blobs:
        allowed.append(blobs)
    files = {}
    refused = []
    litter = []
    for here, folders, names in os.walk(folder, onerror=stop):
        for name in sorted(folders + names):
            path = Path(here, name)
            label = path.relative_to(folder).as_posix()
            if is_litter(path, label):
                litter.append(label)
                if name in folders:
                    folders.remove(name)  # os.walk sẽ không đi vào
            elif name in names or path.is_symlink():
                reason = reason_to_refuse(path, allowed)
                if reason:
                    refused.append(f"{show(label)}: {reason}")
                else:
                    files[label] = path
    return files, refused, litter


def without_manifest(files: dict[str, Path], manifest: Path) -> dict[str, Path]:
    """Bản kê có nằm trong thư mục thì cũng không phải là một tệp của mô hình."""
    own = {manifest.resolve(), tensors_beside(manifest).resolve()}
    kept = {}
    for name in sorted(files):
        if files[name].resolve() not in own:
            kept[name] = files[name]
    return kept


# --- bản kê tệp


def sha256_of(file: Path) -> str:
    """SHA-256 của một tệp, đọc từng khúc."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def safe_name(name: str, where: str) -> str:
    """Tên nằm trong thư mục, viết gọn (./a → a). Đường dẫn ra ngoài thì từ chối cả bản kê."""
    absolute = name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]", name)
    if absolute or ".." in re.split(r"[/\\]", name) or "\0" in name:
        raise Refused(f"{where}: đường dẫn ra ngoài thư mục: {show(name)}")
    return PurePosixPath(name).as_posix()


def line_of(name: str, digest: str) -> str:
    """Một dòng đúng như sha256sum ghi; tên có ký tự lạ thì dòng bắt đầu bằng «\\»."""
    escaped = "".join(ESCAPES.get(character, character) for character in name)
    mark = "" if escaped == name else "\\"
    return f"{mark}{digest}  {escaped}\n"


def unescape(match: re.Match[str]) -> str:
    """Ký tự thật của một cặp «\\x» trong tên; cặp lạ thì để nguyên."""
    for character, written in ESCAPES.items():
        if match[0] == written:
            return character
    return match[0]


def read_sums(manifest: Path) -> dict[str, str]:
    """Tên tệp → SHA-256. Một dòng sai thì từ chối cả bản kê."""
    if manifest.stat().st_size > SUMS_LIMIT:
        raise Refused(f"{show(manifest.name)} quá lớn, không phải một bản kê")
    text = manifest.read_bytes().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    sums = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")  # bản kê đi qua Windows
        if not line or line.startswith("#"):
            continue
        where = f"{show(manifest.name)} dòng {number}"
        match = LINE.fullmatch(line)
        if match is None:
            raise Refused(f"{where}: không phải một dòng của sha256sum")
        name = match[3]
        if match[1]:
            name = re.sub(r"\\.", unescape, name)
        name = safe_name(name, where)
        if name in sums:
            raise Refused(f"{where}: nhắc lại {show(name)}")
        sums[name] = match[2].lower()
    if not sums:
        raise Refused(f"{show(manifest.name)} không kể tệp nào")
    return sums


def as_on_disk(sums: dict[str, str], files: dict[str, Path]) -> dict[str, str]:
    """Bản kê với tên viết như trên đĩa: macOS có thể viết «ế» bằng nhiều ký tự rời (NFD)."""
    spelling = {}
    for name in files:
        if name not in sums:
            spelling[unicodedata.normalize("NFC", name)] = name
    found = {}
    for name, digest in sums.items():
        if name not in files:
            name = spelling.pop(unicodedata.normalize("NFC", name), name)
        found[name] = digest
    return found


# --- bản kê tensor


def read_header(stream: BinaryIO) -> tuple[dict[str, dict], int]:
    """Phần đầu của tệp safetensors: tên → dtype, shape, data_offsets; và nơi dữ liệu bắt đầu."""
    size = os.fstat(stream.fileno()).st_size
    first = stream.read(8)
    length = int.from_bytes(first, "little")
    if first == b"version ":
        raise Damaged("chỉ là con trỏ Git LFS, nội dung chưa được tải về: git lfs pull")
    if length > min(HEADER_LIMIT, size - 8):
        raise Damaged("không phải safetensors, hay bị cắt")
    try:
        header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        ends = [0]
        for facts in header.values():
            begin, end = facts["data_offsets"]
            if not isinstance(begin, int) or not isinstance(end, int):
                raise ValueError
            if not 0 <= begin <= end or not isinstance(facts["shape"], list):
                raise ValueError
            facts["dtype"].upper()  # phải là chữ
            ends.append(end)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Damaged("phần đầu safetensors hỏng") from None
    if 8 + length + max(ends) != size:
        raise Damaged("thiếu hay thừa dữ liệu so với phần đầu")
    return header, 8 + length


def sha256_of_range(stream: BinaryIO, begin: int, count: int) -> str:
    """SHA-256 của `count` byte kể từ byte `begin`."""
    digest = hashlib.sha256()
    stream.seek(begin)
    while count:
        piece = stream.read(min(CHUNK, count))
        if not piece:
            raise Damaged("tệp ngắn đi trong lúc đọc")
        digest.update(piece)
        count -= len(piece)
    return digest.hexdigest()


def tensors_of_file(file: Path, name: str) -> list[dict]:
    """Mọi tensor của một tệp safetensors, không cần torch, không đọc cả tệp vào bộ nhớ."""
    tensors = []
    with file.open("rb") as stream:
        try:
            header, start = read_header(stream)
            for tensor in sorted(header):
                facts = header[tensor]
                begin, end = facts["data_offsets"]
                digest = sha256_of_range(stream, start + begin, end - begin)
                known = {"name": tensor, "dtype": facts["dtype"], "shape": facts["shape"]}
                tensors.append({**known, "sha256": digest, "file": name})
        except Damaged as error:
            raise Damaged(f"{show(name)}: {error}") from None
    return tensors


def tensors_of(place: Path | str) -> list[dict]:
    """Các tensor của một thư mục, một tệp .safetensors, hay một bản kê .tensors.json."""
    place = Path(place)
    if place.suffix == ".safetensors":
        tensors = tensors_of_file(place, place.name)
    elif place.suffix == ".json":
        tensors = read_tensors(place)
    else:
        tensors = []
        files, refused, _ = list_files(place)
        if refused:
            raise Refused(refused[0])
        for name in sorted(files):
            if name.endswith(".safetensors"):
                tensors += tensors_of_file(files[name], name)
    if not tensors:
        raise Refused(f"{show(str(place))} không có tensor safetensors nào")
    return tensors


def read_tensors(file: Path) -> list[dict]:
    """Đọc một bản kê tensor."""
    try:
        tensors = json.loads(file.read_bytes())["tensors"]
        for tensor in tensors:
            for key in ("name", "dtype", "sha256", "file"):
                tensor[key].upper()  # phải là chữ
            tensor["shape"] = list(tensor["shape"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Refused(f"{show(file.name)} không phải một bản kê tensor") from None
    return tensors


def by_name(tensors: list[dict]) -> dict[str, dict]:
    """Tên, có thư mục con đi trước nếu có → tensor. Tên tệp không tính: chia mảnh lại vẫn thế."""
    named = {}
    for tensor in tensors:
        folder = PurePosixPath(tensor["file"]).parent
        name = (folder / tensor["name"]).as_posix()
        if name in named and named[name]["sha256"] != tensor["sha256"]:
            name = f"{name} ({tensor['file']})"  # hai bộ trọng số trong một thư mục
        named[name] = tensor
    return named


def differences(old: list[dict], new: list[dict]) -> list[str]:
    """Từng tensor khác nhau giữa hai danh sách."""
    old_names = by_name(old)
    new_names = by_name(new)
    found = []
    for name in sorted(old_names.keys() | new_names.keys()):
        here = old_names.get(name)
        there = new_names.get(name)
        if there is None:
            found.append(f"{show(name)}: chỉ bản trước có")
        elif here is None:
            found.append(f"{show(name)}: chỉ bản sau có")
        elif here["dtype"] != there["dtype"]:
            found.append(f"{show(name)}: kiểu {here['dtype']} và {there['dtype']}")
        elif here["shape"] != there["shape"]:
            found.append(f"{show(name)}: kích thước {here['shape']} và {there['shape']}")
        elif here["sha256"] != there["sha256"]:
            found.append(f"{show(name)}: khác số")
    return found


# --- ba việc


def write_file(file: Path, content: bytes) -> None:
    """Ghi bên cạnh, đẩy xuống đĩa, rồi mới đổi tên: không ai gặp tệp ghi dở."""
    temporary = file.with_name(f".{file.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("xb") as stream:  # byte: Windows không đổi \n thành \r\n
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def write(folder: Path | str, manifest: Path | str | None = None, force: bool = False) -> str:
    """Lập bản kê của `folder`; trả về SHA-256 của chính bản kê: hãy giữ dòng đó ở nơi khác.

    Bản kê đã có thì không ghi đè, trừ khi `force`. Lỗi: Refused, Damaged, OSError.
    """
    manifest = Path(manifest) if manifest else beside(folder)
    tensors_file = tensors_beside(manifest)
    files, refused, _ = list_files(folder)
    for file in (manifest, tensors_file):
        if file.exists() and not force:
            raise Refused(f"đã có {show(str(file))}: hãy kiểm tra bằng nó, hay ghi đè bằng --force")
    if manifest.exists():
        read_sums(manifest)  # --force chỉ ghi đè một bản kê, không ghi đè tệp khác
    files = without_manifest(files, manifest)
    if refused:
        raise Refused(refused[0])
    if not files:
        raise Refused(f"{show(str(folder))} không có tệp nào")
    tensors = []
    text = ""
    for name, file in files.items():
        safe_name(name, show(str(folder)))
        text += line_of(name, sha256_of(file))
        if name.endswith(".safetensors"):
            tensors += tensors_of_file(file, name)
    lines = ",\n".join(json.dumps(tensor) for tensor in tensors)  # mỗi tensor một dòng
    content = text.encode("utf-8", "surrogateescape")
    write_file(tensors_file, f'{{"tensors": [\n{lines}\n]}}\n'.encode())
    write_file(manifest, content)
    return hashlib.sha256(content).hexdigest()


def check(
    folder: Path | str, manifest: Path | str | None = None, sha256: str | None = None
) -> list[str]:
    """Những gì không như bản kê; chỉ danh sách rỗng mới là đúng.

    `sha256`: SHA-256 của bản kê mà bạn đã giữ ở nơi khác. Lỗi: Refused, OSError.
    """
    manifest = Path(manifest) if manifest else beside(folder)
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise Refused("SHA-256 đã giữ phải là 64 chữ số 0-9, a-f")  # biến rỗng: không được bỏ qua
    if sha256 is not None and sha256_of(manifest) != sha256.lower():
        return [f"{show(manifest.name)} không phải bản kê đã giữ: SHA-256 của nó khác"]
    files, problems, _ = list_files(folder)
    files = without_manifest(files, manifest)
    sums = as_on_disk(read_sums(manifest), files)
    for name in sorted(sums.keys() | files.keys()):
        if name not in sums:
            problems.append(f"thừa: {show(name)}")
        elif name in files and sha256_of(files[name]) != sums[name]:
            problems.append(f"đổi: {show(name)}{which_tensors(files[name], name, manifest)}")
        elif name not in files and not named_litter(name):
            problems.append(f"thiếu: {show(name)}")
    return problems


def which_tensors(file: Path, name: str, manifest: Path) -> str:
    """Tensor nào của một tệp đã đổi, theo bản kê tensor nằm cạnh bản kê."""
    tensors_file = tensors_beside(manifest)
    if not name.endswith(".safetensors") or not tensors_file.is_file():
        return ""
    try:
        old = [tensor for tensor in read_tensors(tensors_file) if tensor["file"] == name]
        changed = differences(old, tensors_of_file(file, name))
    except Damaged as error:
        return f" ({str(error).removeprefix(name + ': ')})"
    except Refused:
        return ""  # bản kê tensor hỏng: không kể được, nhưng tệp thì vẫn là đã đổi
    if not changed:
        return " (mọi tensor vẫn như cũ)"
    more = f"; và {len(changed) - 3} tensor nữa" if len(changed) > 3 else ""
    return f" ({'; '.join(changed[:3])}{more})"


def compare_tensors(one: Path | str, other: Path | str) -> list[str]:
    """Những tensor khác nhau giữa hai nơi; rỗng: cùng tên, cùng kiểu, cùng từng bit.

    Mỗi nơi là một thư mục, một tệp .safetensors hay một bản kê .tensors.json. Chia mảnh lại hay
    đổi phần đầu của tệp thì không tính là khác. Lỗi: Refused, Damaged, OSError.
    """
    return differences(tensors_of(one), tensors_of(other))


# --- dòng lệnh


def short(file: Path) -> str:
    """Đường dẫn kể từ nơi đang đứng, nếu tệp nằm dưới đó."""
    if file.is_relative_to(Path.cwd()):
        return str(file.relative_to(Path.cwd()))
    return str(file)


def note(folder: Path) -> None:
    """In những tệp mà bản kê không kể, hay chỉ kể một phần."""
    files, _, litter = list_files(folder)
    pickled = [name for name in files if PurePosixPath(name).suffix in PICKLED]
    if litter:
        print(f"bỏ qua, không phải của mô hình: {', '.join(show(name) for name in litter)}")
    if pickled:
        print(f"chỉ so cả tệp, không kể từng tensor: {', '.join(map(show, sorted(pickled)))}")


def run(args: argparse.Namespace) -> int:
    """Làm việc được gọi, in kết quả, trả về mã thoát."""
    if args.action == "compare":
        found = compare_tensors(args.folder, args.other)
        print("\n".join(found) if found else "ĐÚNG: hai nơi có cùng những tensor, từng bit")
        return 1 if found else 0
    manifest = args.manifest or beside(args.folder)
    if args.action == "write":
        digest = write(args.folder, manifest, args.force)
        note(args.folder)
        for file in (manifest, tensors_beside(manifest)):
            print(f"đã ghi {show(short(file))}")
        print(f"SHA-256 của bản kê, hãy giữ ở nơi khác: {digest}")
        return 0
    found = check(args.folder, manifest, args.sha256)
    note(args.folder)
    print("\n".join(found) if found else f"ĐÚNG: mọi tệp như trong {show(manifest.name)}")
    return 1 if found else 0


def main() -> int:
    """Đọc dòng lệnh; mỗi lỗi một dòng ở stderr."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    parser = argparse.ArgumentParser(description="Bản kê SHA-256 của một thư mục mô hình.")
    actions = parser.add_subparsers(dest="action", required=True)
    for action, text in (("write", "lập bản kê"), ("check", "so thư mục với bản kê")):
        command = actions.add_parser(action, help=text)
        command.add_argument("folder", type=Path, help="thư mục mô hình")
        command.add_argument("--manifest", type=Path, help="bản kê (mặc định: cạnh thư mục)")
        if action == "write":
            command.add_argument("--force", action="store_true", help="ghi đè bản kê đã có")
        else:
            command.add_argument("--sha256", help="SHA-256 của bản kê, đã giữ ở nơi khác")
    command = actions.add_parser("compare", help="so tensor của hai nơi")
    command.add_argument("folder", type=Path, help="thư mục, .safetensors hay .tensors.json")
    command.add_argument("other", type=Path, help="thư mục, .safetensors hay .tensors.json")
    args = parser.parse_args()
    try:
        return run(args)
    except Damaged as error:
        print(f"HỎNG: {error}", file=sys.stderr)
        return 1
    except Refused as error:
        print(f"Không làm được: {error}", file=sys.stderr)
    except MemoryError:
        print("Không đủ bộ nhớ để làm việc này", file=sys.stderr)
    except OSError as error:
        where = show(str(error.filename or ""))
        print(f"Không đọc hay ghi được {where}: {error.strerror}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
