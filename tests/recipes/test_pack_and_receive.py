"""pack_and_receive.py: what arrives is what was sent, or nothing arrives and one line says why."""

from __future__ import annotations

import errno
import hashlib
import inspect
import os
import random
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pack_and_receive
import pytest
import safe_extract
from pack_and_receive import Refused, Unusable, pack, receive

FILES = {
    "config.json": b'{"model_type": "gpt2"}',
    "model-00001-of-00002.safetensors": random.Random(0).randbytes(3000),
    "model-00002-of-00002.safetensors": random.Random(1).randbytes(70_000),
    "1_Pooling/config.json": b"{}",
    "tệp có dấu.txt": "chữ".encode(),
    "empty.txt": b"",
}


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_files(tmp_path / "sent/my model")


def write_files(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in folder.rglob("*"):
        if not path.is_dir():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def sums_for(archive: Path) -> Path:
    """What `sha256sum` writes of any archive."""
    sums = archive.with_name(archive.name + ".SHA256SUMS")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    sums.write_text(f"{digest}  {archive.name}\n", encoding="utf-8", newline="\n")
    return sums


def zip_with(path: Path, *entries: tuple[str, bytes], mode: int = stat.S_IFREG | 0o644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            file.writestr(info, data)
    sums_for(path)
    return path


def not_received(
    error: type[Exception], archive: Path, words: str = ".", **options: object
) -> None:
    place = archive.parent / "arrived"
    place.mkdir(exist_ok=True)
    with pytest.raises(error, match=words) as caught:
        receive(archive, place / "model", **options)
    assert not list(place.iterdir())
    assert len(str(caught.value).splitlines()) == 1


def test_what_arrives_is_what_was_sent(folder, tmp_path):
    assert pack(folder, tmp_path / "model.zip") == []
    names = receive(tmp_path / "model.zip", tmp_path / "arrived")
    assert names == sorted(FILES)
    assert files_in(tmp_path / "arrived") == FILES
    assert files_in(folder) == FILES
    assert not list(tmp_path.glob(".*"))


def test_paths_may_be_texts_and_the_sums_may_stand_elsewhere(folder, tmp_path):
    pack(str(folder), str(tmp_path / "model.zip"))
    sums = tmp_path / "elsewhere.txt"
    (tmp_path / "model.zip.SHA256SUMS").rename(sums)
    not_received(Unusable, tmp_path / "model.zip", "bản kê")
    receive(str(tmp_path / "model.zip"), str(tmp_path / "model"), sums=str(sums))
    assert files_in(tmp_path / "model") == FILES


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs the command sha256sum")
def test_the_sums_are_what_sha256sum_writes_and_reads(folder, tmp_path):
    pack(folder, tmp_path / "model.zip")
    sums = tmp_path / "model.zip.SHA256SUMS"
    command = ["sha256sum", "model.zip"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert sums.read_bytes() == done.stdout
    subprocess.run(["sha256sum", "--check", "--strict", sums], cwd=tmp_path, check=True)


FORMS = [
    "{sha}  model.zip\n",
    "{sha} *model.zip\r\n",
    "\ufeff{SHA}  model.zip",
    "# made by hand\n{other}  other.zip\n{sha}  ./out/model.zip\n",
]


@pytest.mark.parametrize("form", FORMS)
def test_other_honest_forms_of_the_sums(folder, tmp_path, form):
    pack(folder, tmp_path / "model.zip")
    sums = tmp_path / "model.zip.SHA256SUMS"
    sha = sums.read_text()[:64]
    text = form.format(sha=sha, SHA=sha.upper(), other="0" * 64)
    sums.write_bytes(text.encode())
    receive(tmp_path / "model.zip", tmp_path / "model")


@pytest.mark.parametrize(
    "text", ["", "nonsense", "{sha}  other.zip", "{sha}  model.zip\n{0}  model.zip"]
)
def test_sums_that_say_nothing_of_this_archive(folder, tmp_path, text):
    pack(folder, tmp_path / "model.zip")
    sums = tmp_path / "model.zip.SHA256SUMS"
    sha = sums.read_text()[:64]
    sums.write_text(text.format("0" * 64, sha=sha))
    not_received(Unusable, tmp_path / "model.zip", "đúng một")
    sums.write_bytes(b"\xff\xfe\0")
    not_received(Unusable, tmp_path / "model.zip", "UTF-8")
    sums.write_bytes(b" " * (10 * 2**20 + 1))
    not_received(Unusable, tmp_path / "model.zip", "quá lớn")


def test_the_same_content_gives_the_same_archive(folder, tmp_path):
    copy = tmp_path / "copy"
    for name in reversed(FILES):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(FILES[name])
        os.utime(copy / name, (10**9, 10**9))
        (copy / name).chmod(0o600)
    pack(folder, tmp_path / "a.zip")
    pack(copy, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert file.testzip() is None
        assert {item.compress_type for item in file.infolist()} == {zipfile.ZIP_STORED}


def test_files_larger_than_a_block(tmp_path):
    data = {"model.safetensors": random.Random(2).randbytes(2 * 2**20 + 17)}
    pack(write_files(tmp_path / "big", data), tmp_path / "big.zip")
    receive(tmp_path / "big.zip", tmp_path / "arrived")
    assert files_in(tmp_path / "arrived") == data


@pytest.mark.skipif(sys.platform != "linux", reason="needs a sparse file")
def test_more_than_four_gigabytes_are_written_as_zip64(tmp_path, monkeypatch):
    """The sizes alone: the file's bytes are not copied."""
    folder = write_files(tmp_path / "model", {"config.json": b"{}"})
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    (folder / "model.safetensors").write_bytes(bytes(2000))
    pack(folder, tmp_path / "model.zip")
    assert b"\x01\0\x10\0" in (tmp_path / "model.zip").read_bytes()  # the extra field of ZIP64
    receive(tmp_path / "model.zip", tmp_path / "arrived")


@pytest.mark.skipif(os.name == "nt", reason="permissions of a POSIX system")
def test_weights_of_mode_0600_arrive_readable(folder, tmp_path):
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o600)
    before = os.umask(0o022)
    try:
        pack(folder, tmp_path / "model.zip")
        receive(tmp_path / "model.zip", tmp_path / "model")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "model").rglob("*")}
    assert modes == {0o644, 0o755}
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o755
    for name in ("model.zip", "model.zip.SHA256SUMS"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o644


def hub_cache(place: Path) -> Path:
    """A snapshot as huggingface_hub lays it out: links into blobs/."""
    snapshot = place / "models--me--gpt2/snapshots/0a1b"
    blobs = place / "models--me--gpt2/blobs"
    blobs.mkdir(parents=True)
    for number, (name, data) in enumerate(FILES.items()):
        (blobs / str(number)).write_bytes(data)
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        depth = "../" * (2 + name.count("/"))
        (snapshot / name).symlink_to(f"{depth}blobs/{number}")
    return snapshot


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_hub_snapshot_is_packed_with_its_contents(tmp_path):
    snapshot = hub_cache(tmp_path / "cache")
    pack(snapshot, tmp_path / "model.zip")
    receive(tmp_path / "model.zip", tmp_path / "model")
    assert files_in(tmp_path / "model") == FILES
    assert not any(path.is_symlink() for path in (tmp_path / "model").rglob("*"))


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_inside_the_folder_and_to_the_folder(folder, tmp_path):
    (folder / "last.txt").symlink_to("empty.txt")
    (tmp_path / "latest").symlink_to(folder)
    pack(tmp_path / "latest", tmp_path / "model.zip")
    receive(tmp_path / "model.zip", tmp_path / "model")
    assert files_in(tmp_path / "model") == {**FILES, "last.txt": b""}


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of a POSIX system")
@pytest.mark.parametrize("kind", ["out", "absolute", "dangling", "loop", "folder", "pipe"])
def test_what_is_no_file_of_this_folder_is_refused(folder, tmp_path, kind):
    secret = tmp_path / "sent/secret.txt"
    secret.write_bytes(b"secret")
    odd = folder / "odd"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        targets = {"out": "../secret.txt", "absolute": secret, "dangling": "none", "loop": "odd"}
        odd.symlink_to(targets.get(kind, "1_Pooling"))
    with pytest.raises(Refused, match="odd"):
        pack(folder, tmp_path / "model.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sent"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_not_passed_over(folder, tmp_path):
    (folder / "1_Pooling").chmod(0)
    with pytest.raises(PermissionError):
        pack(folder, tmp_path / "model.zip")
    (folder / "1_Pooling").chmod(0o755)


def test_every_error_of_walking_stops(folder, tmp_path, monkeypatch):
    def walk(top, onerror):
        onerror(PermissionError(errno.EACCES, "Permission denied", str(top)))
        yield from ()

    monkeypatch.setattr(os, "walk", walk)
    with pytest.raises(PermissionError):
        pack(folder, tmp_path / "model.zip")


@pytest.mark.skipif(sys.platform != "linux", reason="names that only Linux takes")
@pytest.mark.parametrize(
    "names",
    [
        ["con.json"],
        ["a\\b"],
        ["run 10:30.log"],
        ["ends."],
        ["line\nbreak"],
        ["Config.json"],
        ["1_pooling/x"],
        ["\u00e9", "e\u0301"],
        [b"\xff.json".decode(errors="surrogateescape")],
    ],
)
def test_names_that_would_not_arrive_are_refused_before_they_leave(folder, tmp_path, names):
    write_files(folder, dict.fromkeys(names, b""))
    with pytest.raises(Refused) as caught:
        pack(folder, tmp_path / "model.zip")
    assert len(str(caught.value).splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sent"]


def test_litter_stays_and_is_named(folder, tmp_path):
    litter = {
        ".DS_Store": b"",
        "._config.json": b"\0\5\x16\7",
        "1_Pooling/Thumbs.db": b"",
        ".git/HEAD": b"",
        ".git/objects/ab/cd": b"",
        ".cache/huggingface/.gitignore": b"*",
    }
    kept = {**FILES, ".gitattributes": b"", "._mine": b"mine", ".cache/mine": b"mine"}
    write_files(folder, {**litter, **kept})
    left_out = pack(folder, tmp_path / "model.zip")
    named = [".DS_Store", "._config.json", ".cache/huggingface", ".git", "1_Pooling/Thumbs.db"]
    assert sorted(left_out) == named
    receive(tmp_path / "model.zip", tmp_path / "model")
    assert files_in(tmp_path / "model") == kept


def test_nothing_is_overwritten(folder, tmp_path):
    for name in ("model.zip", "model.zip.SHA256SUMS"):
        (tmp_path / name).write_bytes(b"mine")
        with pytest.raises(Unusable, match="đã có"):
            pack(folder, tmp_path / "model.zip")
        assert (tmp_path / name).read_bytes() == b"mine"
        (tmp_path / name).unlink()
    pack(folder, tmp_path / "model.zip")
    (tmp_path / "model").mkdir()
    with pytest.raises(Unusable, match="đã có"):
        receive(tmp_path / "model.zip", tmp_path / "model")
    assert not list((tmp_path / "model").iterdir())


def test_what_cannot_be_packed(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for source, target in [
        (tmp_path / "none", tmp_path / "model.zip"),
        (folder / "config.json", tmp_path / "model.zip"),
        (tmp_path / "empty", tmp_path / "model.zip"),
        (folder, folder / "model.zip"),
        (folder, tmp_path / "con.zip"),
        (folder, tmp_path / "no/place/model.zip"),
        (folder, ""),
    ]:
        with pytest.raises(Unusable):
            pack(source, target)
    pack(folder, tmp_path / "model.zip")
    with pytest.raises(Unusable, match="không có thư mục"):
        receive(tmp_path / "model.zip", tmp_path / "no/place")
    for path in tmp_path.glob("model.zip*"):
        path.unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "sent"]


def test_a_file_that_changes_meanwhile(folder, tmp_path, monkeypatch):
    whole = zipfile.ZipFile.open

    def grow(file, item, mode):
        (folder / "config.json").write_bytes(b"longer" * 100)
        return whole(file, item, mode)

    monkeypatch.setattr(zipfile.ZipFile, "open", grow)
    (folder / "config.json").write_bytes(b"{}")
    with pytest.raises(Refused, match="đổi trong lúc"):
        pack(folder, tmp_path / "model.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sent"]


def test_a_full_disk_leaves_nothing_and_is_no_damage(folder, tmp_path, monkeypatch):
    pack(folder, tmp_path / "good.zip")
    before = sorted(tmp_path.iterdir())

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        pack(folder, tmp_path / "model.zip")
    monkeypatch.setattr(pack_and_receive, "unpack", full)
    with pytest.raises(OSError, match="No space"):
        receive(tmp_path / "good.zip", tmp_path / "model")
    assert sorted(tmp_path.iterdir()) == before


def test_a_flipped_bit_or_a_cut_on_the_way(folder, tmp_path):
    pack(folder, tmp_path / "model.zip")
    data = (tmp_path / "model.zip").read_bytes()
    for place in range(0, len(data), len(data) // 20):
        damaged = bytearray(data)
        damaged[place] ^= 64
        (tmp_path / "model.zip").write_bytes(damaged)
        not_received(Refused, tmp_path / "model.zip", "SHA-256")
        (tmp_path / "model.zip").write_bytes(data[:place])
        not_received(Refused, tmp_path / "model.zip", "SHA-256")


@pytest.mark.parametrize("change", ["other bytes", "missing", "one more"])
def test_a_damage_that_happens_on_the_disk(folder, tmp_path, monkeypatch, change):
    """The archive is right; what was written of it is not."""
    pack(folder, tmp_path / "model.zip")
    honest = pack_and_receive.unpack

    def bad_disk(file, inside, limit):
        digests = honest(file, inside, limit)
        if change == "other bytes":
            (inside / "config.json").write_bytes(b"{}")
        elif change == "missing":
            (inside / "config.json").unlink()
        else:
            (inside / "more.json").write_bytes(b"{}")
        return digests

    monkeypatch.setattr(pack_and_receive, "unpack", bad_disk)
    not_received(Refused, tmp_path / "model.zip", "trên đĩa")


HOSTILE = {
    "dotdot": [("../planted", b"evil")],
    "absolute": [("/tmp/planted", b"evil")],
    "drive": [("C:\\planted", b"evil")],
    "twice": [("config.json", b"good"), ("config.json", b"evil")],
    "case": [("config.json", b"good"), ("Config.json", b"evil")],
    "file and folder": [("a", b"good"), ("a/b", b"evil")],
    "bomb": [("model.bin", bytes(3 * 2**20))],
    "too deep": [("a/" * 30_000 + "a", b"evil")],
    "nothing": [],
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_with_right_sums(tmp_path, kind):
    not_received(Refused, zip_with(tmp_path / "model.zip", *HOSTILE[kind]))


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO, stat.S_IFREG | 0o4755])
def test_a_link_a_pipe_a_setuid_file_with_right_sums(tmp_path, mode):
    not_received(Refused, zip_with(tmp_path / "model.zip", ("x", b"../y"), mode=mode))


def test_a_damaged_archive_with_right_sums(folder, tmp_path):
    pack(folder, tmp_path / "model.zip")
    data = (tmp_path / "model.zip").read_bytes()
    for place in range(0, len(data), len(data) // 100):
        (tmp_path / "model.zip").write_bytes(data[:place] + b"\x55" * 4 + data[place + 4 :])
        sums_for(tmp_path / "model.zip")
        try:
            receive(tmp_path / "model.zip", tmp_path / "model")
        except (Refused, Unusable):
            assert not (tmp_path / "model").exists()
        else:  # a field that nobody reads
            assert files_in(tmp_path / "model") == FILES
            shutil.rmtree(tmp_path / "model")


def test_a_zip_of_another_program_arrives_too(folder, tmp_path):
    shutil.make_archive(str(tmp_path / "model"), "zip", folder)
    sums_for(tmp_path / "model.zip")
    receive(tmp_path / "model.zip", tmp_path / "arrived")
    assert files_in(tmp_path / "arrived") == FILES


def test_what_is_no_zip(folder, tmp_path):
    shutil.make_archive(str(tmp_path / "model"), "gztar", folder)
    sums_for(tmp_path / "model.tar.gz")
    not_received(Unusable, tmp_path / "model.tar.gz", "safe_extract")
    not_received(Unusable, tmp_path / "none.zip", "không thấy")


def test_a_real_model_loads_after_the_journey(tmp_path):
    import small_models
    import torch
    from transformers import AutoModelForCausalLM

    model = small_models.llama().to(torch.bfloat16)
    model.save_pretrained(tmp_path / "sent", max_shard_size="4KB")
    pack(tmp_path / "sent", tmp_path / "model.zip")
    receive(tmp_path / "model.zip", tmp_path / "arrived")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "arrived", dtype="auto")
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_the_rules_are_the_same_text_in_both_recipes():
    """Each recipe is one file to copy; what both need stands in both."""
    for function in ("name_problem", "find_clash", "check_name", "check_zip"):
        here = inspect.getsource(getattr(pack_and_receive, function))
        assert here == inspect.getsource(getattr(safe_extract, function)), function
    assert pack_and_receive.RESERVED == safe_extract.RESERVED


def test_the_command_line(folder, tmp_path, command):
    archive = tmp_path / "model.zip"
    (folder / ".DS_Store").write_bytes(b"")
    done = command("pack_and_receive", "pack", folder, archive)
    assert (done.returncode, done.stderr) == (0, "")
    assert "bỏ lại '.DS_Store'" in done.stdout
    done = command("pack_and_receive", "receive", archive, tmp_path / "model")
    assert (done.returncode, done.stderr) == (0, "")
    assert files_in(tmp_path / "model") == FILES
    evil = zip_with(tmp_path / "evil.zip", ("../planted", b"evil"))
    cases = [
        (1, ["receive", evil, tmp_path / "new"]),
        (1, ["receive", evil, tmp_path / "new", "--sums", tmp_path / "wrong"]),
        (2, ["receive", archive, tmp_path / "model"]),
        (2, ["receive", archive, tmp_path / "new", "--sums", tmp_path / "none"]),
        (2, ["receive", tmp_path / "none.zip", tmp_path / "new"]),
        (2, ["pack", tmp_path / "none", tmp_path / "new.zip"]),
        (2, ["pack", folder, archive]),
        (2, ["pack", folder, tmp_path / "no/place/new.zip"]),
    ]
    (tmp_path / "wrong").write_text(f"{'0' * 64}  evil.zip\n")
    for code, arguments in cases:
        done = command("pack_and_receive", *arguments)
        assert done.returncode == code, arguments
        assert len(done.stderr.splitlines()) == 1
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "new").exists()
