"""safe_extract.py: honest archives open, hostile and damaged ones are refused and leave nothing."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import random
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from safe_extract import Refused, Unusable, find_clash, name_problem, safe_extract

FILES = {
    "config.json": b'{"model_type": "gpt2"}',
    "model.safetensors": random.Random(0).randbytes(3000),
    "1_Pooling/config.json": b"{}",
    "tệp có dấu.txt": "chữ".encode(),
    "empty.txt": b"",
}
COMPRESSIONS = {
    "tar": lambda data: data,
    "tar.gz": gzip.compress,
    "tar.xz": lzma.compress,
    "tar.bz2": bz2.compress,
}


def zip_of(path: Path, *entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            file.writestr(info, data)
    return path


def member(name: str, data: bytes = b"", **facts: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, data


def tar_bytes(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for info, data in members:
            file.addfile(info, io.BytesIO(data) if data else None)
    return stream.getvalue()


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    path.write_bytes(tar_bytes(*members))
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in folder.rglob("*"):
        if not path.is_dir():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def refused(archive: Path, **limits: int) -> str:
    """The archive is refused, in one line, and the folder of the target holds nothing new."""
    place = archive.parent / "place"
    place.mkdir(exist_ok=True)
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(Refused) as caught:
        safe_extract(archive, place / "model", **limits)
    assert sorted(archive.parent.rglob("*")) == before
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_an_honest_zip_opens(tmp_path, method):
    archive = zip_of(tmp_path / "a.zip", *FILES.items(), method=method)
    assert safe_extract(archive, tmp_path / "model") == list(FILES)
    assert files_in(tmp_path / "model") == FILES
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_an_honest_tar_opens_whatever_its_name_ends_in(tmp_path, kind):
    data = tar_bytes(*(member(name, data) for name, data in FILES.items()))
    (tmp_path / "archive").write_bytes(COMPRESSIONS[kind](data))
    assert safe_extract(str(tmp_path / "archive"), str(tmp_path / "model")) == list(FILES)
    assert files_in(tmp_path / "model") == FILES


def test_folders_may_stand_in_the_archive(tmp_path):
    folders = [member("./", type=tarfile.DIRTYPE, mode=0o2755), member("./a", type=tarfile.DIRTYPE)]
    archive = tar_of(tmp_path / "a.tar", *folders, member("./a/b.json", b"{}"), member("./c", b"c"))
    assert safe_extract(archive, tmp_path / "model") == ["a/b.json", "c"]
    archive = zip_of(tmp_path / "a.zip", ("a/", b""), ("a/b.json", b"{}"), ("empty/", b""))
    assert safe_extract(archive, tmp_path / "other") == ["a/b.json"]
    assert (tmp_path / "other/empty").is_dir()


@pytest.mark.skipif(os.name == "nt", reason="needs tar of a POSIX system")
def test_what_the_tar_command_writes_opens(tmp_path):
    source = tmp_path / "source"
    for name, data in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    for option, name in (("-czf", "a.tar.gz"), ("-cJf", "a.tar.xz"), ("-cf", "a.tar")):
        command = ["tar", option, tmp_path / name, "-C", source, "."]
        subprocess.run(command, check=True)
        safe_extract(tmp_path / name, tmp_path / f"{name}-opened")
        assert files_in(tmp_path / f"{name}-opened") == FILES


@pytest.mark.skipif(os.name == "nt", reason="permissions of a POSIX system")
def test_permissions_follow_umask_not_the_archive(tmp_path):
    archive = tar_of(tmp_path / "a.tar", member("model.safetensors", b"w", mode=0o600))
    before = os.umask(0o022)
    try:
        safe_extract(archive, tmp_path / "model")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "model/model.safetensors").stat().st_mode) == 0o644


NAMES = [
    "/etc/planted",
    "../planted",
    "a/../../planted",
    "..",
    "..\\planted",
    "C:/planted",
    "c:planted",
    "\\\\server\\share",
    "a//b",
    "a/./b",
    "con",
    "NUL.txt",
    "a/COM1.bin",
    "aux .json",
    "name.",
    "name ",
    "config.json:hidden",
    "what?.json",
    "line\nbreak",
    "escape\x1b[2J",
    "right\u202eto left",
    "x" * 256,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_does_not_stay_inside_or_is_not_for_every_system(tmp_path, name):
    refused(zip_of(tmp_path / "a.zip", ("good", b"good"), (name, b"evil")))
    refused(tar_of(tmp_path / "a.tar", member("good", b"good"), member(name, b"evil")))
    assert name_problem(name)


def test_a_nul_in_a_name_hides_nothing(tmp_path):
    archive = zip_of(tmp_path / "a.zip", ("config.json#.png", b"evil"))
    archive.write_bytes(archive.read_bytes().replace(b"json#", b"json\0"))
    assert "không in được" in refused(archive)


HONEST_NAMES = [
    "config.json",
    "a/b-c_d.e/f",
    "tệp có dấu",
    "console.txt",
    "com10",
    ".gitattributes",
]


@pytest.mark.parametrize("name", HONEST_NAMES)
def test_honest_names_pass(name):
    assert name_problem(name) is None


CLASHES = [
    ("config.json", "config.json"),
    ("config.json", "Config.json"),
    ("Straße", "STRASSE"),
    ("\u00e9", "e\u0301"),
    ("a", "a/b"),
    ("a/b", "a"),
    ("Data/x", "data/y"),
]


@pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile's own, while the archive is made
@pytest.mark.parametrize(("first", "second"), CLASHES)
def test_two_names_that_are_one_somewhere(tmp_path, first, second):
    for pair in ((first, second), ("x/" + first, "x/" + second)):
        seen: dict[str, str] = {}
        assert find_clash(pair[0], seen) is None
        assert find_clash(pair[1], seen)
    assert "trùng" in refused(tar_of(tmp_path / "a.tar", member(first, b"1"), member(second, b"2")))
    archive = zip_of(tmp_path / "a.zip", (first, b"1"), (second, b"2"))
    assert "trùng" in refused(archive)


KINDS = {
    "link": {"type": tarfile.SYMTYPE, "linkname": "../secret"},
    "inner link": {"type": tarfile.SYMTYPE, "linkname": "good"},
    "hard link": {"type": tarfile.LNKTYPE, "linkname": "../secret"},
    "pipe": {"type": tarfile.FIFOTYPE},
    "device": {"type": tarfile.CHRTYPE},
    "disk": {"type": tarfile.BLKTYPE},
    "unknown": {"type": b"Z"},
    "contiguous": {"type": tarfile.CONTTYPE},
    "setuid": {"mode": 0o4755},
    "setgid": {"mode": 0o2755},
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_plain_files_and_folders(tmp_path, kind):
    refused(tar_of(tmp_path / "a.tar", member("good", b"good"), member("x", **KINDS[kind])))


@pytest.mark.parametrize(
    "mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFREG | 0o4755]
)
def test_only_plain_files_in_a_zip(tmp_path, mode):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("x")
        info.external_attr = mode << 16
        file.writestr(info, "../secret")
    refused(tmp_path / "a.zip")


def test_writing_through_a_link_of_the_same_archive(tmp_path):
    (tmp_path / "outside").mkdir()
    link = member("d", type=tarfile.SYMTYPE, linkname="../../outside")
    refused(tar_of(tmp_path / "a.tar", link, member("d/planted", b"evil")))
    assert not list((tmp_path / "outside").iterdir())


def test_a_bomb(tmp_path):
    zeros = bytes(3 * 2**20)
    assert "khai cỡ" in refused(zip_of(tmp_path / "a.zip", ("model.bin", zeros)))
    data = tar_bytes(member("model.bin", zeros))
    for kind, compress in COMPRESSIONS.items():
        if kind != "tar":
            (tmp_path / "bomb").write_bytes(compress(data))
            assert "khai cỡ" in refused(tmp_path / "bomb")
    archive = zip_of(tmp_path / "b.zip", ("model.bin", zeros))
    safe_extract(archive, tmp_path / "model", limit_bytes=len(zeros))
    assert files_in(tmp_path / "model") == {"model.bin": zeros}


def test_a_bomb_that_lies_about_its_size(tmp_path):
    archive = zip_of(tmp_path / "a.zip", ("model.bin", bytes(3 * 2**20)))
    lie = archive.read_bytes().replace((3 * 2**20).to_bytes(4, "little"), b"\x0a\0\0\0")
    archive.write_bytes(lie)
    refused(archive)


def test_bytes_are_counted_while_they_are_written(tmp_path, monkeypatch):
    """Were a library to hand out more than was declared, the limit would still hold."""
    archive = zip_of(tmp_path / "a.zip", ("model.bin", b"12345"))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda file, item: io.BytesIO(bytes(2 * 2**20)))
    assert "bung ra" in refused(archive)


def test_entries_that_share_their_data(tmp_path):
    archive = zip_of(tmp_path / "a.zip", ("a.bin", bytes(5000)), ("b.bin", bytes(5000)))
    with zipfile.ZipFile(archive) as file:
        second = file.infolist()[1].header_offset
    data = archive.read_bytes()
    place = data.rindex(second.to_bytes(4, "little") + b"b.bin")
    archive.write_bytes(data[:place] + (0).to_bytes(4, "little") + data[place + 4 :])
    assert "chồng" in refused(archive)


def test_too_many_entries(tmp_path):
    empty = [(f"{number}.json", b"") for number in range(11)]
    assert "quá 10 mục" in refused(zip_of(tmp_path / "a.zip", *empty), limit_entries=10)
    members = [member(name) for name, _ in empty]
    assert "quá 10 mục" in refused(tar_of(tmp_path / "a.tar", *members), limit_entries=10)


def test_an_encrypted_zip(tmp_path):
    archive = zip_of(tmp_path / "a.zip", ("model.bin", b"12345"))
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(data)
    assert "mật khẩu" in refused(archive)


def headers(*sizes_and_types: tuple[int, bytes]) -> bytes:
    """A tar made by hand, with sizes that tarfile itself would not write."""
    stream = b""
    for size, kind in sizes_and_types:
        info, _ = member("x", type=kind)
        info.size = size
        stream += info.tobuf(tarfile.GNU_FORMAT)
    return stream


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE])
@pytest.mark.parametrize("size", [-512, -1024, 2**40])
def test_absurd_sizes_in_a_tar(tmp_path, kind, size):
    """CVE-2025-8194: a negative size made tarfile read the same header for ever."""
    (tmp_path / "a.tar").write_bytes(headers((0, tarfile.REGTYPE), (size, kind)) + bytes(1024))
    refused(tmp_path / "a.tar")


def test_a_long_name_that_fills_memory(tmp_path):
    bomb = headers((0, tarfile.REGTYPE), (2**22, tarfile.GNUTYPE_LONGNAME)) + bytes(2**22)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(bomb, mtime=0))
    assert "vô lý" in refused(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_path_of_thousands_of_folders_is_refused_before_its_parents_fill_memory(tmp_path, kind):
    """Every parent was kept as a string: a tar of 736 bytes took gigabytes."""
    name = "a/" * 30_000 + "a"
    if kind == "zip":
        archive = zip_of(tmp_path / "a.zip", (name, b"x"))
    else:
        archive = tmp_path / "a.tar.gz"
        archive.write_bytes(gzip.compress(tar_bytes(member(name, b"x"))))
    message = refused(archive)
    assert "quá dài" in message
    assert len(message) < 400


def test_headers_nested_without_end(tmp_path):
    chain = headers(*[(0, tarfile.GNUTYPE_LONGNAME)] * 3000)
    (tmp_path / "a.tar").write_bytes(headers((0, tarfile.REGTYPE)) + chain)
    refused(tmp_path / "a.tar")


def test_a_sparse_file(tmp_path):
    info, _ = member("x")
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.map": "0,0", "GNU.sparse.size": "9"}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as file:
        file.addfile(info)
    (tmp_path / "a.tar").write_bytes(stream.getvalue())
    refused(tmp_path / "a.tar")


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_a_tar_cut_anywhere_is_never_called_whole(tmp_path, kind):
    """Also between two members, where tarfile stops without a word."""
    whole = tar_bytes(*(member(name, data) for name, data in FILES.items()))
    data = COMPRESSIONS[kind](whole)
    end = len(whole.rstrip(b"\0")) if kind == "tar" else len(data)  # a plain tar ends in padding
    for part in range(1, 40):
        (tmp_path / "cut").write_bytes(data[: end * part // 40])
        with pytest.raises((Refused, Unusable)):
            safe_extract(tmp_path / "cut", tmp_path / "model")
        assert not (tmp_path / "model").exists()


def test_a_damaged_header_in_the_middle_is_not_the_end(tmp_path):
    data = bytearray(tar_bytes(*(member(name, data) for name, data in FILES.items())))
    data[data.index(b"1_Pooling")] ^= 1
    (tmp_path / "a.tar").write_bytes(data)
    assert "phần đầu" in refused(tmp_path / "a.tar")


def test_members_hidden_behind_the_end(tmp_path):
    whole = tar_bytes(member("good", b"good"))
    (tmp_path / "a.tar").write_bytes(whole + tar_bytes(member("hidden", b"evil")))
    assert "sau chỗ kết thúc" in refused(tmp_path / "a.tar")


NO_ARCHIVES = [b"", b"\x80\x02}.", b"7z\xbc\xaf\x27\x1c", gzip.compress(b"x" * 600, mtime=0)]


@pytest.mark.parametrize("data", NO_ARCHIVES)
def test_what_is_no_archive_is_said_to_be_none(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(Unusable, match="không phải"):
        safe_extract(tmp_path / "a", tmp_path / "model")


def test_a_folder_in_no_folder(tmp_path):
    archive = zip_of(tmp_path / "a.zip", *FILES.items())
    with pytest.raises(Unusable, match="không có thư mục"):
        safe_extract(archive, tmp_path / "no/place")


def test_a_full_disk_is_not_a_damaged_archive(tmp_path, monkeypatch):
    archive = zip_of(tmp_path / "a.zip", *FILES.items())

    def full(source, target, most):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys.modules["safe_extract"], "copy_counted", full)
    with pytest.raises(OSError, match="No space"):
        safe_extract(archive, tmp_path / "model")
    assert not list(tmp_path.glob(".*"))


def test_the_command_line(tmp_path, command):
    good = zip_of(tmp_path / "good.zip", *FILES.items())
    done = command("safe_extract", good, tmp_path / "model")
    assert (done.returncode, done.stderr) == (0, "")
    assert files_in(tmp_path / "model") == FILES
    evil = zip_of(tmp_path / "evil.zip", ("../planted", b"evil"))
    cases = [
        (1, [evil, tmp_path / "new"]),
        (1, [good, tmp_path / "new", "--limit-bytes", "100"]),
        (2, [good, tmp_path / "model"]),
        (2, [tmp_path / "none.zip", tmp_path / "new"]),
        (2, [tmp_path, tmp_path / "new"]),
        (2, [good, tmp_path / "no/such/place"]),
    ]
    for code, arguments in cases:
        done = command("safe_extract", *arguments)
        assert done.returncode == code, arguments
        assert len(done.stderr.splitlines()) == 1
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "new").exists()
