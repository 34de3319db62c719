"""Archives and other forms: judged by content, in bounds, and no honest file called dangerous."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import pickle
import string
import struct
import tarfile
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from checker import entries_of, saved, tool, zip_of
from hypothesis import given, settings
from hypothesis import strategies as st

MARK = "RAN"


class Evil:
    """Leaves a mark in the working directory when it is unpickled."""

    def __reduce__(self):
        return exec, (f"open({MARK!r}, 'w').close()",)


def look(path: Path):
    report = tool.verify(path)
    assert not [found for found in report.findings if found.rule == "tool-error"]
    assert not Path(MARK).exists()
    return report


def found_rules(report, *levels: str) -> set[str]:
    wanted = levels or (tool.DANGER, tool.BROKEN, tool.UNCLEAR, tool.WARNING, tool.NOTE)
    return {found.rule for found in report.findings if found.level in wanted}


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def tar_of(entries: dict[str, bytes], **options: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npy_of(header: bytes, content: bytes) -> bytes:
    return b"\x93NUMPY\x02\0" + struct.pack("<I", len(header)) + header + content


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


# --- whatever a library runs is dangerous

EVIL = pickle.dumps(Evil(), 2)
TEXT = pickle.dumps(Evil(), 0)
OBJECTS = npy(np.array([Evil()], dtype=object))
PLAIN = zip_of(entries_of(saved({"w": torch.zeros(4), "e": Evil()})))
GOOD = saved({"w": torch.zeros(4)})
LEGACY = pickle.dumps(0x1950A86A20F9469CFC6C, 2)


def unzipped(path: str) -> None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            pickle.loads(archive.read(name))


def untarred(path: str) -> None:
    with tarfile.open(path) as archive:
        for member in archive:
            pickle.load(archive.extractfile(member))


def loaded_arrays(path: str) -> None:
    found = np.load(path, allow_pickle=True)
    if hasattr(found, "files"):
        for name in found.files:
            found[name]


def loaded(path: str) -> None:
    torch.load(path, weights_only=False)


def unpickled(path: str) -> None:
    pickle.loads(Path(path).read_bytes())


def ungzipped(path: str) -> None:
    with gzip.open(path) as stream:
        pickle.load(stream)


def unbzipped(path: str) -> None:
    with bz2.open(path) as stream:
        pickle.load(stream)


def unxzipped(path: str) -> None:
    with lzma.open(path) as stream:
        pickle.load(stream)


def unzlibbed(path: str) -> None:
    pickle.loads(zlib.decompress(Path(path).read_bytes()))


def old_storages() -> bytes:
    """The storages of a file of torch 0.1: one of two numbers, then a hostile list of views."""
    about = b"\x80\x02(K\x05X\x03\0\0\0cpuctorch\nFloatStorage\nt."
    return pickle.dumps(1, 2) + about + struct.pack("<q", 2) + bytes(8) + EVIL


def cut_gzip() -> bytes:
    """Two gzip members; the second begins one byte before the end of a block of 64 KiB."""
    first = gzip.compress(EVIL[:5])
    comment = b"x" * ((1 << 16) - 1 - len(first) - 1) + b"\0"
    return first[:3] + b"\x10" + first[4:10] + comment + first[10:] + gzip.compress(EVIL[5:])


def zip_that_is_a_tar() -> bytes:
    """A hostile torch ZIP; a tar header stands in the extra field of its first entry."""
    head = bytearray(tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    entries = entries_of(PLAIN)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for place, (name, content) in enumerate(entries.items()):
            info = zipfile.ZipInfo(name)
            if not place:
                begin = 30 + len(name)
                info.extra = struct.pack("<2H", 0x4246, 1496) + bytes(1496)
            archive.writestr(info, content)
    made = bytearray(buffer.getvalue())
    head[: begin + 4] = made[: begin + 4]
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head[:512])
    made[: len(head)] = head[: begin + 1500]
    return bytes(made)


def linked(name: str, target: str) -> bytes:
    """A tar with a link."""
    member = tarfile.TarInfo(name)
    member.type = tarfile.SYMTYPE
    member.linkname = target
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(member)
    return buffer.getvalue()


HOSTILE = {  # name of the file, content, a loader that runs it
    "text pickle": ("labels.dat", TEXT, unpickled),
    "no suffix": ("labels", EVIL, unpickled),
    "readme": ("README.md", TEXT, unpickled),
    "called safetensors": ("m.safetensors", EVIL, unpickled),
    "called npy": ("m.npy", EVIL, loaded_arrays),
    "called npz": ("m.npz", EVIL, loaded_arrays),
    "bytes that are no text": ("w.bin", b"S'\xc3\xa9'\n0" + TEXT, None),
    "pickle, then rubbish": ("w.dat", TEXT + b"rubbish" * 9, unpickled),
    "INST": ("w.dat", b'(S\'open("RAN","w").close()\'\ni__builtin__\nexec\n.', unpickled),
    "memo with a NUL": ("w.dat", b"Np0\0x\n0" + TEXT, None),
    "old torch": (
        "m.weights",
        saved({"e": Evil()}, _use_new_zipfile_serialization=False),
        loaded,
    ),
    "old torch, second pickle": ("m.pt", LEGACY + EVIL, loaded),
    "torch ZIP": ("m.pt", PLAIN, loaded),
    "torch ZIP, other name": ("m.dat", PLAIN, loaded),
    "torch ZIP, deflated": (
        "m.pt",
        zip_of(entries_of(PLAIN), compression=zipfile.ZIP_DEFLATED),
        loaded,
    ),
    "torch ZIP, capitals": (
        "m.pth.tar",
        zip_of({key.replace("data.pkl", "DATA.PKL"): v for key, v in entries_of(PLAIN).items()}),
        loaded,
    ),
    "torch ZIP, a byte after it": ("m.pt", PLAIN + b"\0", loaded),
    "torch ZIP, far directory": ("m.pt", PLAIN[:-22] + bytes(17 << 20) + PLAIN[-22:], None),
    "torch ZIP, something before": ("m.pt", b"xx" + PLAIN, None),
    "second ZIP behind a good one": ("m.pt", GOOD + PLAIN, None),
    "good ZIP behind it": ("m.pt", PLAIN + GOOD, None),
    "torch ZIP, wrong CRC": ("m.pt", PLAIN.replace(b"'w'", b"'a'"), loaded),
    "torch ZIP, cut": ("m.pt", PLAIN[:-40], None),
    "another pickle in a good one": ("m.pt", zip_of({**entries_of(GOOD), "a/b": EVIL}), None),
    "ZIP": ("m.zip", zip_of({"any name": EVIL}), unzipped),
    "ZIP behind other bytes": ("m.zip", b"abc" * 50 + zip_of({"z": EVIL}), unzipped),
    "ZIP in a ZIP": ("m.zip", zip_of({"x": zip_of({"y": EVIL})}), None),
    "ZIP by bzip2": ("m.zip", zip_of({"z": EVIL}, compression=zipfile.ZIP_BZIP2), unzipped),
    "ZIP by LZMA": ("m.zip", zip_of({"z": EVIL}, compression=zipfile.ZIP_LZMA), unzipped),
    "gzip": ("m.pkl.gz", gzip.compress(EVIL), ungzipped),
    "gzip, no suffix": ("m", gzip.compress(TEXT), ungzipped),
    "gzip, in two": ("m.gz", gzip.compress(EVIL[:5]) + gzip.compress(EVIL[5:]), ungzipped),
    "gzip, wrong CRC": ("m.gz", gzip.compress(EVIL)[:-8] + bytes(8), ungzipped),
    "gzip, cut": ("m.gz", gzip.compress(EVIL)[:-8], None),
    "gzip, twice": ("m.gz", gzip.compress(gzip.compress(EVIL)), None),
    "bzip2": ("m.bz2", bz2.compress(EVIL), unbzipped),
    "xz": ("m.xz", lzma.compress(EVIL), unxzipped),
    "lzma": ("m.lzma", lzma.compress(EVIL, format=lzma.FORMAT_ALONE), unxzipped),
    "lzma, other settings": (
        "m.dat",
        lzma.compress(
            EVIL,
            format=lzma.FORMAT_ALONE,
            filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 4096, "lc": 0, "lp": 0, "pb": 0}],
        ),
        unxzipped,
    ),
    "gzip, in two, cut at a block": ("m.dat", cut_gzip(), ungzipped),
    "zlib": ("m.joblib", zlib.compress(EVIL), unzlibbed),
    "joblib 0.9": ("m.pkl", b"ZF0x3b".ljust(21) + zlib.compress(EVIL), None),
    "tar": ("m.tar", tar_of({"z": EVIL}), untarred),
    "tar.gz": ("m.tar.gz", gzip.compress(tar_of({"z": EVIL})), untarred),
    "torch 0.1, storages": ("m.pt", tar_of({"storages": EVIL}), loaded),
    "torch 0.1, count True": (
        "m.pt",
        tar_of({"storages": old_storages().replace(b"K\x01.", b"\x88.", 1)}),
        loaded,
    ),
    "torch 0.1, a link": ("m.pt", linked("storages", "other"), None),
    "torch ZIP that is a tar": ("weights", zip_that_is_a_tar(), loaded),
    "tar that leaves the folder": ("m.tar", tar_of({"../x": b""}), None),
    "tar with a link that leaves": ("m.tar", linked("a/b", "../../x"), None),
    "torch 0.1, views": ("m.pt", tar_of({"storages": old_storages()}), loaded),
    "npy": ("a.npy", OBJECTS, loaded_arrays),
    "npy, another suffix": ("a.dat", OBJECTS, loaded_arrays),
    "npy, escaped type": (
        "a.npy",
        npy_of(b"{'shape':(1,),'descr':'\\x4f','fortran_order':False}", EVIL),
        loaded_arrays,
    ),
    "npz": ("a.npz", zip_of({"a.npy": OBJECTS}), loaded_arrays),
    "npz by LZMA": (
        "a.npz",
        zip_of({"a.npy": OBJECTS}, compression=zipfile.ZIP_LZMA),
        loaded_arrays,
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_a_library_would_run_is_dangerous(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, content, load = HOSTILE[case]
    path = put(tmp_path, name, content)
    report = look(path)
    assert tool.DANGER in report.levels, report.findings
    if load is None:
        return
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load(str(path))
    assert Path(MARK).exists()  # it is as dangerous as the report says


def test_changed_hostile_files_stay_dangerous(tmp_path, monkeypatch, many):
    """A few bytes changed: whatever still runs is still called dangerous."""
    monkeypatch.chdir(tmp_path)
    cases = [case for case in HOSTILE.values() if case[2] and len(case[1]) < 20_000]
    ran = []

    @many(600)
    @given(st.sampled_from(cases), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255))))
    def every(case, changes):
        name, content, load = case
        content = bytearray(content)
        for place, value in changes[:3]:
            content[min(int(place * len(content)), len(content) - 1)] = value
        path = put(tmp_path, name, bytes(content))
        dangerous = tool.DANGER in look(path).levels
        if not dangerous:
            with contextlib.suppress(BaseException), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                load(str(path))
        ran.append(Path(MARK).exists())
        Path(MARK).unlink(missing_ok=True)
        assert not ran[-1]

    every()


def test_a_planted_pickle_with_a_wrong_crc_is_both(tmp_path):
    report = look(put(tmp_path, "m.pt", PLAIN.replace(b"'w'", b"'a'")))
    assert found_rules(report, tool.DANGER) == {"pickle-call"}
    assert found_rules(report, tool.BROKEN) == {"zip-crc"}


# --- honest files


class Net(torch.nn.Module):
    """Anything that can be scripted."""

    def forward(self, x):
        return x + 1


def scripted() -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Net()), buffer)
    return buffer.getvalue()


def without_crc(content: object) -> bytes:
    torch.serialization.set_crc32_options(False)
    try:
        return saved(content)
    finally:
        torch.serialization.set_crc32_options(True)


STATE = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.int64)}
OLD = saved(STATE, _use_new_zipfile_serialization=False)
ARRAYS = {"a": np.arange(6.0), "b": np.ones((2, 2), np.float32)}
NESTED = {"model": STATE, "optimizer": {"state": {0: {"exp_avg": torch.ones(2, 3)}}}}
HONEST = {  # name, content, exit code, what the first fact says
    "torch": ("m.pt", saved(STATE), 0, "torch (ZIP), 2 tensor (Float, Long), 9 số"),
    "torch, nested": ("m.pt", saved(NESTED), 0, "3 tensor"),
    "torch, old": ("m.bin", OLD, 0, "torch (dạng cũ), 2 tensor"),
    "torch, old, no suffix": ("m", OLD, 0, "torch (dạng cũ), 2 tensor"),
    "torch, empty tensor": (
        "m.pt",
        saved({"w": torch.zeros(0), "b": torch.ones(1)}),
        0,
        "2 tensor",
    ),
    "a number": ("m.pt", saved(3), 2, "0 tensor"),
    "without CRC": ("m.pt", without_crc(STATE), 0, "2 tensor"),
    "npy": ("a.npy", npy(np.arange(6.0)), 0, "numpy, 1 tensor (F64), 6 số"),
    "npz": ("a.npz", npz(**ARRAYS), 0, "2 tensor (F32, F64), 10 số"),
    "arrays, pickled": ("a.pkl", pickle.dumps(ARRAYS), 0, "pickle, 2 tensor"),
    "several pickles": ("a.pkl", pickle.dumps([1]) + pickle.dumps({"x": 2}), 2, "0 tensor"),
    "pickle in gzip": ("a.pkl.gz", gzip.compress(pickle.dumps(ARRAYS)), 0, "2 tensor"),
    "torch in a ZIP": ("a.zip", zip_of({"m.pt": saved(STATE)}), 0, "2 tensor"),
    "torch in a tar": ("a.tar", tar_of({"m.pt": saved(STATE)}), 0, "2 tensor"),
    "TorchScript": ("m.pt", scripted(), 3, ""),
    "TorchScript of another program": ("rust_model.ot", scripted(), 2, ""),
}


@pytest.mark.parametrize("case", HONEST)
def test_honest_files(case, tmp_path):
    name, content, code, told = HONEST[case]
    report = look(put(tmp_path, name, content))
    assert report.exit_code == code, report.findings
    assert not report.levels & {tool.DANGER, tool.BROKEN}
    assert told in "\n".join(report.facts)


def test_torchscript_is_a_note_where_no_python_library_opens_it(tmp_path):
    assert found_rules(look(put(tmp_path, "m.ot", scripted())), tool.NOTE) >= {"torchscript"}
    assert found_rules(look(put(tmp_path, "m.pt", scripted())), tool.UNCLEAR) == {"torchscript"}


def test_a_file_without_crc_is_told_and_half_of_them_is_damage(tmp_path):
    content = bytearray(without_crc(STATE))
    report = look(put(tmp_path, "m.pt", bytes(content)))
    assert "zip-no-crc" in found_rules(report, tool.NOTE)
    honest = bytearray(saved(STATE))
    place = honest.index(b"PK\1\2")
    honest[place + 16 : place + 20] = bytes(4)
    assert look(put(tmp_path, "n.pt", bytes(honest))).exit_code == 1


@pytest.mark.parametrize("old", [False, True])
def test_zero_data_is_named(old, tmp_path):
    state = {"w": torch.zeros(3, 4), "v": torch.ones(2, 2), "b": torch.zeros(3)}
    options = {"_use_new_zipfile_serialization": not old}
    path = put(tmp_path, "m.pt", saved(state, **options))
    report = look(path)
    assert report.contents["m.pt"].zero == {"w", "b"}
    assert "all-zero" in found_rules(report, tool.WARNING)


def test_a_long_tail_of_zeros_is_told(tmp_path):
    tensor = torch.ones(5000)
    tensor[1000:] = 0
    content = saved({"w": tensor}, _use_new_zipfile_serialization=False)
    assert "zero-tail" in found_rules(look(put(tmp_path, "m.pt", content)), tool.WARNING)
    assert "zero-tail" in found_rules(look(put(tmp_path, "n.pt", saved({"w": tensor}))))


# --- what is not inspected is said

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.mark.parametrize("content", [POINTER, b"<!DOCTYPE html><html>", b""])
def test_placeholders(content, tmp_path):
    for name in ("m.pt", "m.bin", "a.npy", "m.safetensors", "m.pkl", "m.onnx", "m.gguf", "m.h5"):
        assert "placeholder" in found_rules(look(put(tmp_path, name, content)), tool.BROKEN)
    report = look(put(tmp_path, "notes.txt", content))
    assert report.findings or "notes.txt" in report.skipped


UNCLEAR = {
    "7z": ("m.pt", b"7z\xbc\xaf\x27\x1c" + bytes(50), "not-inspected"),
    "Zstandard": ("m.zst", b"\x28\xb5\x2f\xfd" + bytes(50), "not-inspected"),
    "LZ4": ("m.joblib", b"\x04\x22\x4d\x18" + bytes(50), "not-inspected"),
    "code": ("m.so", b"\x7fELF", "code-file"),
    "code in a ZIP": ("m.zip", zip_of({"a/b.py": b"import os"}), "code-file"),
    "Keras": (
        "m.keras",
        zip_of({"config.json": b'{"layers": [{"class_name": "Lambda"}]}'}),
        "keras-lambda",
    ),
    "HDF5": (
        "m.h5",
        b"\x89HDF\r\n\x1a\n" + bytes(100) + b'{"class_name": "Lambda"}',
        "keras-lambda",
    ),
    "DCP": ("__0_0.distcp", saved({}) * 2, "distributed"),
    "a .bin that begins like a pickle": ("w.bin", b"\x80\x02K\x01\xff\xff", "not-inspected"),
    "a .bin with an import": (
        "w.bin",
        b"\x07" + TEXT.replace(b"cbuiltins", b"cos"),
        "not-inspected",
    ),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_cannot_be_inspected_is_said(case, tmp_path):
    name, content, rule = UNCLEAR[case]
    report = look(put(tmp_path, name, content))
    assert report.exit_code != 0
    assert rule in found_rules(report, tool.UNCLEAR), report.findings


def test_another_programs_bin_is_listed(tmp_path):
    report = look(put(tmp_path, "words.bin", b"\x07 no pickle"))
    assert report.levels <= {tool.NOTE}
    assert "words.bin" in report.skipped


def test_a_link_in_a_zip_is_told(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "zip-link" in found_rules(look(put(tmp_path, "m.zip", buffer.getvalue())))


# --- bounds


def bombs() -> dict[str, bytes]:
    zeros = bytes(80 << 20)
    nested = zip_of({"a": zeros}, compression=zipfile.ZIP_DEFLATED)
    for _ in range(6):
        nested = zip_of({f"{place}.zip": nested for place in range(8)}, compression=8)
    pickles = b"\x80\x02" + b"N0" * 500_000 + b"N."
    head = bytearray(tarfile.TarInfo("a").tobuf(tarfile.GNU_FORMAT))
    head[124:136] = b"\xff" * 12  # a negative size
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return {
        "m.zip": zip_of({"a": zeros}, compression=zipfile.ZIP_DEFLATED),
        "m.pt": zip_of(
            {"a/data.pkl": b"\x80\x02}.", "a/version": b"3", "a/data/0": zeros}, compression=8
        ),
        "m.gz": gzip.compress(gzip.compress(bytes(200 << 20))),
        "m.bz2": bz2.compress(zeros),
        "m.xz": lzma.compress(zeros, preset=0),
        "n.zip": nested,
        "p.zip": zip_of({f"{place}.pkl": pickles for place in range(20)}, compression=8),
        "p.pkl.gz": gzip.compress(b"N." * 1_000_000),
        "m.tar": bytes(head) + bytes(2048),
        "m.dat": b"PK\3\4" + bytes(26) + (b"PK\3\4" + bytes(26)) * 20_000,
    }


def test_bombs_are_told_quickly(tmp_path):
    for name, content in bombs().items():
        path = put(tmp_path, name, content)
        begin = time.process_time()
        report = look(path)
        assert time.process_time() - begin < 4, name
        assert report.exit_code != 0, name
        assert report.levels & {tool.DANGER, tool.BROKEN, tool.UNCLEAR}, name


@pytest.mark.parametrize("name", ["m.pt", "m.pkl", "m.npy", "m.bin", "m.h5", "m.safetensors"])
def test_a_sparse_tail_costs_nothing(name, tmp_path):
    path = put(tmp_path, name, OLD if name == "m.bin" else saved(STATE))
    if name == "m.pkl":
        path.write_bytes(pickle.dumps({}))
    if name == "m.npy":
        path.write_bytes(npy(np.arange(6.0)))
    with path.open("r+b") as stream:
        stream.truncate(64 << 30)
    begin = time.process_time()
    assert look(path).exit_code != 0
    assert time.process_time() - begin < 4


def test_entries_that_overlap(tmp_path):
    content = zip_of({"a": bytes(1000), "b": bytes(1000)})
    first = content.index(b"PK\1\2")
    second = content.index(b"PK\1\2", first + 4)
    changed = bytearray(content)
    changed[second + 42 : second + 46] = bytes(4)
    assert "bomb" in found_rules(look(put(tmp_path, "m.zip", bytes(changed))), tool.BROKEN)


# --- no text and no other file is an alarm

LETTERS = st.text(string.printable + "éđư", max_size=12)


def test_text_is_never_an_alarm(tmp_path, many):
    @many(1500)
    @given(st.lists(LETTERS, max_size=20), st.sampled_from(["txt", "md", "model", "jinja", "dat"]))
    def every(lines, suffix):
        path = put(tmp_path, f"x.{suffix}", "\n".join(lines).encode())
        report = look(path)
        assert not report.levels & {tool.DANGER, tool.BROKEN}, report.findings

    every()


TEXTS = [
    "const util = require('util')\nconst fs = require('fs')\nconst { URL } = require('url')\n",
    "MODULE s\n\n  character(len=8) :: s\n  character s77 * 8\n\n"
    "  character(len=12), dimension(5) :: a\n  character a77(5) * 12\n\nEND MODULE s\n",
    "character(len=12), dimension(5,7) :: s\nR = 1\n(tR.\n",
    "import os; var = 'X'; enabled = os.environ.get(var)\n",
    "Version 1\n.gitignore\n",
    "cat\ndog\nRabbit\n",
    "N.\n",
    "(a)\n.",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", ["index.js", "merges.txt", "README", "x.f90", "config.json"])
def test_these_texts_are_no_alarm(text, name, tmp_path):
    report = look(put(tmp_path, name, text.encode()))
    assert not report.levels & {tool.DANGER, tool.BROKEN}, report.findings


def test_files_of_installed_packages_are_no_alarm(tmp_path):
    """Texts, pictures, programs: thousands of files that are no checkpoint."""
    root = Path(np.__file__).parents[1]
    seen = 0
    for path in sorted(root.rglob("*"))[::25]:
        if not path.is_file() or path.is_symlink() or path.suffix in {".pth", ".pkl", ".npy"}:
            continue
        report = look(path)
        seen += 1
        assert not report.levels & {tool.DANGER, tool.BROKEN}, (path, report.findings)
    assert seen > 100


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_never_go_uncaught(content):
    report = tool.Report("x")
    for start in (b"", b"PK\3\4", b"\x93NUMPY\x01\0", b"\x1f\x8b\x08\0", b"BZh9", b"\x80\x04"):
        with contextlib.suppress(tool.Bad):
            tool.check_bytes(start + content, "x", report, 0)
    assert "tool-error" not in found_rules(report)
