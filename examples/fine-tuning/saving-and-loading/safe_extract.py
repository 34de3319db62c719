"""Mở một gói lạ (ZIP, tar, tar.gz, tar.xz, tar.bz2) mà không để nó ghi ra ngoài hay làm đầy đĩa.

    python safe_extract.py model.tar.gz model    # mở vào thư mục mới tên là model

    from safe_extract import safe_extract
    names = safe_extract("model.zip", "model", limit_bytes=5 * 2**30)

Cần: Python 3.11 trở lên, không cần cài gì.
Mã thoát: 0 đã mở; 1 gói bị từ chối hay bị hỏng; 2 không bắt đầu được.
"""

from __future__ import annotations

import argparse
import bz2
import errno
import gzip
import lzma
import os
import re
import stat
import sys
import tarfile
import tempfile
import unicodedata
import zipfile
from pathlib import Path
from typing import BinaryIO

LIMIT_ENTRIES = 10_000  # thư mục mô hình có vài chục tệp; trăm nghìn tệp rỗng cũng làm đầy đĩa
LIMIT_RATIO = 100  # trọng số phình chưa đến hai lần, bom nén phình cỡ nghìn lần
LEAST_LIMIT = 2**20  # gói nhỏ: JSON lặp nhiều có thể phình quá trăm lần
BLOCK = 2**20  # đọc từng MiB: tệp lớn hơn bộ nhớ cũng mở được
LONGEST = 1000  # byte của một đường dẫn: macOS không nhận tên dài hơn chừng này
# Windows không cho đặt những tên này, dù có đuôi gì: CON, con.txt, COM1.bin …
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
OPENERS = {"tar": open, "tar.gz": gzip.open, "tar.xz": lzma.open, "tar.bz2": bz2.open}


class Refused(Exception):
    """Gói độc hay gói hỏng; một dòng nói vì sao."""


class Unusable(Exception):
    """Không bắt đầu được: không phải gói, đích đã có …; chưa nói gì về nội dung gói."""


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


def copy_counted(source: BinaryIO, target: Path, most: int) -> int:
    """Chép một tệp trong gói ra đĩa, quá `most` byte thì dừng; trả về số byte đã ghi."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with target.open("xb") as sink:
        while block := source.read(BLOCK):
            written += len(block)
            if written > most:  # cỡ khai trong gói là do người đóng gói viết
                raise Refused(f"{target.name!r}: bung ra quá giới hạn")
            sink.write(block)
    return written


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


def extract_zip(archive: Path, inside: Path, limit_bytes: int, limit_entries: int) -> list[str]:
    """Mở ZIP vào thư mục trống `inside`; trả về tên các tệp."""
    names = []
    left = limit_bytes
    with zipfile.ZipFile(archive) as file:
        check_zip(file, limit_bytes, limit_entries)
        for item in file.infolist():
            if item.is_dir():
                (inside / item.filename).mkdir(parents=True, exist_ok=True)
                continue
            with file.open(item) as source:  # đọc tới hết thì zipfile so CRC
                left -= copy_counted(source, inside / item.filename, left)
            names.append(item.filename)
    return names


class TarStream:
    """Dòng byte đã giải nén của một tar, cho `tarfile` đọc.

    `tarfile` đọc cả một tên dài vào bộ nhớ, và gặp phần đầu hỏng ở giữa gói thì lặng lẽ dừng. Lớp
    này chặn lần đọc quá lớn, và giữ khối vừa đọc để biết `tarfile` dừng vì hết gói hay vì gói hỏng.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= BLOCK:
            raise Refused("phần đầu của một mục khai cỡ vô lý")
        self.last = self.stream.read(size)
        return self.last

    def seek(self, place: int) -> int:
        return self.stream.seek(place)

    def tell(self) -> int:
        return self.stream.tell()

    def check_end(self) -> None:
        """Sau mục cuối phải là khối toàn số 0, rồi không còn gì khác tới hết tệp."""
        if self.last != bytes(tarfile.BLOCKSIZE):
            raise Refused("gói hỏng: bị cắt, hay phần đầu của một mục bị sai")
        for _ in range(16):  # đọc tới hết tệp: gzip, xz và bzip2 chỉ so tổng kiểm ở cuối
            rest = self.read(BLOCK)
            if not rest:
                return
            if rest.strip(b"\0"):
                break
        raise Refused("còn dữ liệu sau chỗ kết thúc gói")


def check_first_block(name: str, block: bytes) -> None:
    """Một tệp nén chưa chắc là tar: `model.bin.gz` thì không."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise Unusable(f"{name}: bên trong không phải tar") from None


def check_member(member: tarfile.TarInfo, name: str, seen: dict[str, str]) -> None:
    """Hỏi một mục của tar trước khi ghi nó."""
    if member.isdir():
        check_name(name + "/", seen)
        return
    check_name(name, seen)
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
        raise Refused(f"{name!r}: không phải tệp thường hay thư mục")
    if member.mode & (stat.S_ISUID | stat.S_ISGID):
        raise Refused(f"{name!r}: có quyền setuid hay setgid")
    if member.size < 0:
        raise Refused(f"{name!r}: khai cỡ âm")


def extract_tar(
    archive: Path, kind: str, inside: Path, limit_bytes: int, limit_entries: int
) -> list[str]:
    """Mở tar vào thư mục trống `inside`, đọc tới đâu hỏi tới đó; trả về tên các tệp."""
    names = []
    seen: dict[str, str] = {}
    left = limit_bytes
    with OPENERS[kind](archive, "rb") as raw:
        check_first_block(archive.name, raw.read(tarfile.BLOCKSIZE))
        raw.seek(0)
        stream = TarStream(raw)
        with tarfile.open(fileobj=stream, mode="r:") as file:
            for count, member in enumerate(file, 1):
                name = member.name
                while name.startswith("./"):  # `tar -C model -c .` ghi ./config.json
                    name = name[2:]
                if member.isdir() and name in ("", "."):
                    continue
                if count > limit_entries:
                    raise Refused(f"quá {limit_entries} mục")
                check_member(member, name, seen)
                if member.isdir():
                    (inside / name).mkdir(parents=True, exist_ok=True)
                    continue
                if member.size > left:
                    raise Refused(f"{name!r}: khai cỡ quá giới hạn {limit_bytes} byte")
                left -= copy_counted(file.extractfile(member), inside / name, left)
                names.append(name)
        stream.check_end()
    return names


def kind_of(archive: Path) -> str:
    """Loại gói theo những byte đầu, không theo đuôi tên."""
    if not archive.is_file():
        raise Unusable(f"không thấy tệp {archive}")
    with archive.open("rb") as file:
        start = file.read(512)
    if start[:4] in (b"PK\3\4", b"PK\5\6"):
        return "zip"
    if start[:2] == b"\x1f\x8b":
        return "tar.gz"
    if start[:6] == b"\xfd7zXZ\0":
        return "tar.xz"
    if start[:3] == b"BZh":
        return "tar.bz2"
    if start[257:262] == b"ustar":
        return "tar"
    raise Unusable(f"{archive.name} không phải ZIP, tar, tar.gz, tar.xz hay tar.bz2")


def safe_extract(
    archive: str | Path,
    folder: str | Path,
    *,
    limit_bytes: int | None = None,
    limit_entries: int = LIMIT_ENTRIES,
) -> list[str]:
    """Mở `archive` vào `folder`, một thư mục chưa có; trả về tên các tệp đã mở.

    Mọi thứ vào một thư mục tạm bên cạnh, xong hết mới mang tên thật. Quyền và ngày ghi trong gói bị
    bỏ qua. `limit_bytes`: tổng cỡ lớn nhất sau khi mở, mặc định là một trăm lần cỡ gói.
    Ném `Refused` khi gói độc hay hỏng, `Unusable` hay `OSError` khi không làm được; không
    để lại gì.
    """
    archive = Path(archive)
    folder = Path(folder)
    if os.path.lexists(folder):
        raise Unusable(f"{folder} đã có: hãy chọn thư mục mới")
    if not folder.absolute().parent.is_dir():
        raise Unusable(f"không có thư mục {folder.parent}")
    kind = kind_of(archive)
    if limit_bytes is None:
        limit_bytes = max(LEAST_LIMIT, LIMIT_RATIO * archive.stat().st_size)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".dang-mo-") as place:
        inside = Path(place, "inside")  # thư mục tạm chỉ mình bạn vào được: đừng lấy nó làm đích
        inside.mkdir()
        try:
            if kind == "zip":
                names = extract_zip(archive, inside, limit_bytes, limit_entries)
            else:
                names = extract_tar(archive, kind, inside, limit_bytes, limit_entries)
        except (Refused, Unusable, MemoryError):
            raise
        except NotImplementedError as error:  # zipfile không biết kiểu nén này
            raise Unusable(f"{archive.name}: {error}") from error
        except Exception as error:  # gói hỏng làm các thư viện ném đủ loại lỗi
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise  # đĩa đầy, không có quyền ghi: lỗi của máy, không phải của gói
            reason = " ".join(str(error).split()) or type(error).__name__
            raise Refused(f"gói hỏng: {reason}") from error
        if not names:
            raise Refused("gói không có tệp nào")
        inside.rename(folder)
    return names


def main() -> int:
    parser = argparse.ArgumentParser(description="Mở một gói lạ cho an toàn.")
    parser.add_argument("archive", type=Path, help="gói ZIP hay tar")
    parser.add_argument("folder", type=Path, help="thư mục mới")
    parser.add_argument("--limit-bytes", type=int, help="tổng cỡ lớn nhất sau khi mở")
    arguments = parser.parse_args()
    try:
        names = safe_extract(arguments.archive, arguments.folder, limit_bytes=arguments.limit_bytes)
    except Refused as error:
        print(f"TỪ CHỐI: {error}", file=sys.stderr)
        return 1
    except (Unusable, OSError, MemoryError) as error:
        print(f"Không mở được: {error or 'thiếu bộ nhớ'}", file=sys.stderr)
        return 2
    print(f"Đã mở {len(names)} tệp vào {arguments.folder}")
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # cửa sổ lệnh cũ của Windows không in được tiếng Việt
    sys.exit(main())
