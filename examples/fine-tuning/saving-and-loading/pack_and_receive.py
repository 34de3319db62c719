"""Đóng một thư mục mô hình thành một gói ZIP, gửi đi, và chứng minh ở nơi đến là không mất gì.

    python pack_and_receive.py pack my-model model.zip      # ghi model.zip và model.zip.SHA256SUMS
    python pack_and_receive.py receive model.zip my-model   # ở nơi đến: so, mở, so lại từng tệp

    from pack_and_receive import pack, receive
    pack("my-model", "model.zip")
    receive("model.zip", "my-model", sums="model.zip.SHA256SUMS")

Cần: Python 3.11 trở lên, không cần cài gì.
Mã thoát: 0 tốt; 1 hỏng, độc, hay có tệp không chuyển được; 2 không bắt đầu được.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

LIMIT_ENTRIES = 10_000  # thư mục mô hình có vài chục tệp; trăm nghìn tệp rỗng cũng làm đầy đĩa
LIMIT_RATIO = 100  # trọng số phình chưa đến hai lần, bom nén phình cỡ nghìn lần
LEAST_LIMIT = 2**20  # gói nhỏ: JSON lặp nhiều có thể phình quá trăm lần
BLOCK = 2**20  # đọc từng MiB: tệp lớn hơn bộ nhớ cũng đóng được
SUMS_LIMIT = 10 * 2**20  # byte của một bản kê: nó được đọc cả vào bộ nhớ
LONGEST = 1000  # byte của một đường dẫn: macOS không nhận tên dài hơn chừng này
# Windows không cho đặt những tên này, dù có đuôi gì: CON, con.txt, COM1.bin …
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # macOS và Windows tự thêm vào
LITTER_FOLDERS = {".git", ".cache/huggingface"}  # của git, và của hf download --local-dir
APPLE_DOUBLE = b"\x00\x05\x16\x07"  # bốn byte đầu của tệp ._x mà macOS ghi cạnh tệp x


class Refused(Exception):
    """Gói độc hay hỏng, hay có tệp không chuyển đi được; một dòng nói vì sao."""


class Unusable(Exception):
    """Không bắt đầu được: thiếu tệp, đích đã có …; chưa nói gì về nội dung."""


def name_problem(name: str) -> str | None:
    """Vì sao tên này không dùng được trên mọi hệ điều hành; `None` khi dùng được."""
    if name.startswith("/"):
        return "tên tuyệt đối"
    if re.match("[A-Za-z]:", name):
        return "tên có ổ đĩa"
    if not name.isprintable():
        return "tên có ký tự không in được"
    if len(name.encode()) > LONGEST:
        return "đường dẫn quá dài"
    if re.search(r'[\\:*?"<>|]', name):
        return "tên có ký tự mà Windows không nhận"
    for part in name.split("/"):
        if part == "..":
            return "tên đi ra ngoài thư mục"
        if part in ("", "."):
            return "tên có phần rỗng"
        if part[-1] in ". ":
            return "tên kết thúc bằng dấu chấm hay dấu cách"
        if RESERVED.fullmatch(part):
            return "tên dành riêng của Windows"
        if len(part.encode()) > 255:
            return "tên quá dài"
    return None


def find_clash(name: str, seen: dict[str, str]) -> str | None:
    """Ghi tên một tệp (hay thư mục, có `/` ở cuối) vào `seen`; trả về tên mà nó trùng.

    macOS và Windows coi `A.json` và `a.json` là một, «é» viết bằng một hay hai ký tự cũng là một.
    Thư mục thì được nêu nhiều lần, miễn là viết y như nhau và không tệp nào mang tên nó.
    """
    parts = name.rstrip("/").split("/")
    for count in range(1, len(parts) + 1):
        path = "/".join(parts[:count])
        if count < len(parts) or name.endswith("/"):
            path += "/"
        key = unicodedata.normalize("NFC", path.rstrip("/"))
        key = unicodedata.normalize("NFC", key.casefold())
        if key not in seen:
            seen[key] = path
        elif seen[key] != path or not path.endswith("/"):
            return seen[key]
    return None


def check_name(name: str, seen: dict[str, str]) -> None:
    """Ném `Refused` khi tên không dùng được, hay trùng một tên đã gặp."""
    problem = name_problem(name.removesuffix("/"))
    if problem:
        raise Refused(f"{name[:200]!r}: {problem}")
    clash = find_clash(name, seen)
    if clash:
        raise Refused(f"{name!r}: trùng tên với {clash!r}")


def sha256_of(path: Path) -> str:
    """SHA-256 của một tệp, đọc dần."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---------------------------------------------------------------- Nơi đi


def is_litter(path: Path, name: str) -> bool:
    """Thứ mà hệ điều hành hay công cụ tự để lại, không thuộc về mô hình."""
    if path.is_dir():
        return name in LITTER_FOLDERS
    if path.name.startswith("._") and path.is_file():
        with path.open("rb") as file:
            return file.read(4) == APPLE_DOUBLE
    return path.name in LITTER


def stop(error: OSError) -> None:
    """`os.walk` lặng lẽ bỏ qua thư mục không đọc được: ở đây thì dừng."""
    raise error


def real_file(path: Path, name: str, allowed: list[Path]) -> Path:
    """Tệp thật đứng sau một tên, có thể qua liên kết; ném `Refused` khi nó không đóng gói được."""
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(place) for place in allowed):
        raise Refused(f"{name!r}: liên kết ra ngoài thư mục")
    if not real.is_file():
        raise Refused(f"{name!r}: không phải tệp thường, hay liên kết đứt")
    return real


def files_of(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Các tệp sẽ đóng gói (tên → tệp thật, theo thứ tự tên), và tên những thứ bị bỏ lại.

    Liên kết được đi theo khi nó trỏ vào trong thư mục, hay vào `blobs/` của bộ đệm Hub; trỏ ra chỗ
    khác thì bị từ chối, kẻo gói mang theo một tệp riêng của bạn. Thư mục rỗng không vào gói.
    """
    root = folder.resolve()
    allowed = [root]
    if root.parent.name == "snapshots":
        allowed.append(root.parent.parent / "blobs")
    found = {}
    left_out = []
    for place, subfolders, files in os.walk(folder, onerror=stop):
        for entry in sorted(subfolders + files):
            path = Path(place, entry)
            name = path.relative_to(folder).as_posix()
            if is_litter(path, name):
                left_out.append(name)
                if entry in subfolders:
                    subfolders.remove(entry)  # os.walk không vào đó nữa
            elif entry in files or path.is_symlink():
                found[name] = real_file(path, name, allowed)
    seen: dict[str, str] = {}
    for name in sorted(found):
        check_name(name, seen)
    return {name: found[name] for name in sorted(found)}, left_out


def add_file(package: zipfile.ZipFile, name: str, path: Path) -> None:
    """Chép một tệp vào gói: không nén; ngày, quyền, hệ điều hành cố định để gói luôn như nhau."""
    before = path.stat()
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_STORED
    entry.create_system = 3
    entry.external_attr = (stat.S_IFREG | 0o644) << 16  # ở nơi đến ai cũng đọc được
    entry.file_size = before.st_size  # hơn 2 GiB thì zipfile cần biết trước
    with path.open("rb") as source, package.open(entry, "w") as sink:
        shutil.copyfileobj(source, sink, BLOCK)
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Refused(f"{name!r}: đổi trong lúc đang đóng gói")


def write_new(target: Path, write: Callable[[BinaryIO], None]) -> None:
    """Gọi `write(file)` trên một tệp tạm bên cạnh, xong hết mới cho nó tên thật."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # xuống tới đĩa rồi mới đổi tên
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def sums_of(archive: Path) -> Path:
    """Tệp bản kê đứng cạnh gói."""
    return archive.with_name(archive.name + ".SHA256SUMS")


def pack(folder: str | Path, archive: str | Path) -> list[str]:
    """Đóng `folder` thành gói ZIP mới `archive`, ghi SHA-256 của gói vào `<archive>.SHA256SUMS`.

    Cùng nội dung thì cùng từng byte của gói. Trả về tên các tệp bị bỏ lại (`.DS_Store`, `.git` …).
    Ném `Refused` khi một tệp không chuyển được, `Unusable` hay `OSError` khi không làm được.
    """
    folder = Path(folder)
    archive = Path(archive)
    if not archive.name:
        raise Unusable(f"{archive} không phải tên của một tệp")
    sums = sums_of(archive)
    if not folder.is_dir():
        raise Unusable(f"không thấy thư mục {folder}")
    for target in (archive, sums):
        if os.path.lexists(target):
            raise Unusable(f"{target} đã có: hãy chọn tên khác")
    if archive.resolve().is_relative_to(folder.resolve()):
        raise Unusable("gói phải nằm ngoài thư mục được đóng")
    if not archive.absolute().parent.is_dir():
        raise Unusable(f"không có thư mục {archive.parent}")
    if name_problem(archive.name):
        raise Unusable(f"{archive.name!r}: {name_problem(archive.name)}")
    files, left_out = files_of(folder)
    if not files:
        raise Unusable(f"{folder} không có tệp nào")

    def write_archive(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w") as package:
            for name, path in files.items():
                add_file(package, name, path)

    def write_sums(file: BinaryIO) -> None:
        file.write(f"{sha256_of(archive)}  {archive.name}\n".encode())

    write_new(archive, write_archive)
    write_new(sums, write_sums)
    return left_out


# ---------------------------------------------------------------- Nơi đến


def expected_sha256(sums: Path, archive_name: str) -> str:
    """SHA-256 của gói theo bản kê, dạng mà `sha256sum` viết: 64 chữ số, hai dấu cách, tên."""
    if not sums.is_file():
        raise Unusable(f"không thấy bản kê {sums}")
    if sums.stat().st_size > SUMS_LIMIT:
        raise Unusable(f"{sums} quá lớn, không phải bản kê")
    try:
        text = sums.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Unusable(f"{sums} không phải tệp chữ UTF-8") from None
    found = set()
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line)
        if match and PurePosixPath(match[2]).name == archive_name:
            found.add(match[1].lower())
    if len(found) != 1:
        raise Unusable(f"{sums} phải có đúng một SHA-256 cho {archive_name}")
    return found.pop()


def check_zip(file: zipfile.ZipFile, limit_bytes: int, limit_entries: int) -> None:
    """Hỏi mọi mục của ZIP trước khi ghi byte đầu tiên: tên, loại, mật khẩu, cỡ, chồng lên nhau."""
    items = file.infolist()
    if len(items) > limit_entries:
        raise Refused(f"quá {limit_entries} mục")
    if sum(item.file_size for item in items) > limit_bytes:
        raise Refused(f"khai cỡ quá giới hạn {limit_bytes} byte")
    seen: dict[str, str] = {}
    for item in items:
        name = item.orig_filename  # `filename` đã bị zipfile cắt ở ký tự NUL
        mode = item.external_attr >> 16
        check_name(name, seen)
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Refused(f"{name!r}: không phải tệp thường hay thư mục")
        if mode & (stat.S_ISUID | stat.S_ISGID) and not item.is_dir():
            raise Refused(f"{name!r}: có quyền setuid hay setgid")
        if item.flag_bits & 1:
            raise Refused(f"{name!r}: có mật khẩu")
    end = 0
    for item in sorted(items, key=lambda item: item.header_offset):
        if item.header_offset < end:  # bom: nhiều mục dùng chung một đoạn dữ liệu
            raise Refused(f"{item.filename!r}: chồng lên mục khác")
        end = item.header_offset + 30 + len(item.orig_filename) + item.compress_size


def unpack(file: zipfile.ZipFile, inside: Path, limit_bytes: int) -> dict[str, str]:
    """Chép từng tệp của gói ra thư mục trống `inside`; trả về tên → SHA-256 của byte đã đọc."""
    digests = {}
    left = limit_bytes
    for item in file.infolist():
        target = inside / item.filename
        if item.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with file.open(item) as source, target.open("xb") as sink:  # quyền theo umask ở đây
            while block := source.read(BLOCK):  # đọc tới hết thì zipfile so CRC
                left -= len(block)
                if left < 0:  # cỡ khai trong gói là do người đóng gói viết
                    raise Refused(f"{item.filename!r}: bung ra quá giới hạn")
                digest.update(block)
                sink.write(block)
        digests[item.filename] = digest.hexdigest()
    return digests


def check_files(inside: Path, digests: dict[str, str]) -> None:
    """Đọc lại từng tệp từ đĩa: đúng những tên trong gói, mỗi tệp đúng những byte trong gói."""
    wanted = {unicodedata.normalize("NFC", name): sha for name, sha in digests.items()}
    found = {}
    for path in inside.rglob("*"):
        if not path.is_dir():
            name = path.relative_to(inside).as_posix()
            found[unicodedata.normalize("NFC", name)] = sha256_of(path)  # macOS có thể đổi sang NFD
    for name in sorted(wanted | found):
        if wanted.get(name) != found.get(name):
            raise Refused(f"{name!r}: trên đĩa khác trong gói")


def receive(archive: str | Path, folder: str | Path, sums: str | Path | None = None) -> list[str]:
    """So SHA-256 của gói với bản kê, mở gói vào thư mục mới `folder`, so lại từng tệp trên đĩa.

    `sums`: bản kê, mặc định là `<archive>.SHA256SUMS`; nên đến bằng đường khác với gói. Trả về tên
    các tệp. Thư mục chỉ hiện ra khi mọi thứ đã đúng. Ném `Refused` khi gói hỏng hay độc,
    `Unusable` hay `OSError` khi không làm được; không để lại gì.
    """
    archive = Path(archive)
    folder = Path(folder)
    if os.path.lexists(folder):
        raise Unusable(f"{folder} đã có: hãy chọn thư mục mới")
    if not folder.absolute().parent.is_dir():
        raise Unusable(f"không có thư mục {folder.parent}")
    if not archive.is_file():
        raise Unusable(f"không thấy gói {archive}")
    expected = expected_sha256(Path(sums or sums_of(archive)), archive.name)
    limit_bytes = max(LEAST_LIMIT, LIMIT_RATIO * archive.stat().st_size)
    with archive.open("rb") as stream:  # mở một lần: không ai đổi được gói giữa lúc so và lúc mở
        if hashlib.file_digest(stream, "sha256").hexdigest() != expected:
            raise Refused(f"{archive.name}: SHA-256 khác bản kê, gói hỏng hay bị thay")
        stream.seek(0)
        if stream.read(2) != b"PK":
            raise Unusable(f"{archive.name} không phải ZIP: dùng safe_extract.py cho tar")
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".dang-nhan-") as place:
            inside = Path(place, "inside")  # thư mục tạm chỉ mình bạn vào được: không làm đích
            inside.mkdir()
            try:
                with zipfile.ZipFile(stream) as file:
                    check_zip(file, limit_bytes, LIMIT_ENTRIES)
                    digests = unpack(file, inside, limit_bytes)
            except (Refused, MemoryError):
                raise
            except NotImplementedError as error:  # zipfile không biết kiểu nén này
                raise Unusable(f"{archive.name}: {error}") from error
            except Exception as error:  # gói hỏng làm thư viện ném đủ loại lỗi
                if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                    raise  # đĩa đầy, không có quyền ghi: lỗi của máy, không phải của gói
                reason = " ".join(str(error).split()) or type(error).__name__
                raise Refused(f"gói hỏng: {reason}") from error
            if not digests:
                raise Refused("gói không có tệp nào")
            check_files(inside, digests)
            inside.rename(folder)
    return list(digests)


def main() -> int:
    parser = argparse.ArgumentParser(description="Đóng gói một thư mục mô hình, hay nhận một gói.")
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="đóng gói; ghi thêm ARCHIVE.SHA256SUMS")
    packing.add_argument("folder", type=Path)
    packing.add_argument("archive", type=Path)
    receiving = commands.add_parser("receive", help="so, mở vào thư mục mới, so lại từng tệp")
    receiving.add_argument("archive", type=Path)
    receiving.add_argument("folder", type=Path)
    receiving.add_argument("--sums", type=Path, help="bản kê, nếu không đứng cạnh gói")
    arguments = parser.parse_args()
    try:
        if arguments.command == "pack":
            left_out = pack(arguments.folder, arguments.archive)
            for name in left_out:
                print(f"bỏ lại {name!r}")
            print(f"Đã ghi {arguments.archive} và {sums_of(arguments.archive)}")
        else:
            names = receive(arguments.archive, arguments.folder, arguments.sums)
            print(f"Đã nhận {len(names)} tệp vào {arguments.folder}, mọi tệp đúng như trong gói")
    except Refused as error:
        print(f"TỪ CHỐI: {error}", file=sys.stderr)
        return 1
    except (Unusable, OSError, MemoryError) as error:
        print(f"Không làm được: {error or 'thiếu bộ nhớ'}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # cửa sổ lệnh cũ của Windows không in được tiếng Việt
    sys.exit(main())
