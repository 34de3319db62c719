"""The checkpoint checker on what wants to harm it: named, never run, and nothing goes uncaught."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import pickletools
import struct
import warnings
from pathlib import Path

import pytest
import torch
from checker import entries_of, look, said, saved, tool, zip_of, zipped
from hostile import GOOD_PICKLE, hostile_pickles
from hypothesis import given
from hypothesis import strategies as st

# --- pickles


@pytest.mark.parametrize("name", hostile_pickles(Path("RAN")))
def test_hostile_pickles_are_named_and_never_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "RAN"
    content = hostile_pickles(marker)[name]
    for file in ("x.pt", "x.bin", "x.pkl", "x.safetensors", "optimizer.pt"):
        (tmp_path / file).write_bytes(content)
        report = look(tmp_path / file)
        if name == "escaped name":  # no unpickler goes past a name that is none
            assert report.exit_code in (1, 2)
            continue
        own = name in ("torchscript", "whole model")  # code of its own, or classes to be imported
        code = 3 if own and file != "x.safetensors" else 1
        assert report.exit_code == code, said(report)
        if code == 1 and not file.endswith(".safetensors"):
            assert "NGUY HIỂM" in report.verdict, said(report)
        assert tool.main([str(tmp_path / file)]) == code
    if b"system" in content and b"posix" in content:
        assert "posix.system" in said(look(tmp_path / "x.pt"))
    assert look(tmp_path).exit_code == 1
    assert not marker.exists()
    if name == "GLOBAL":  # the marker is one that would be seen
        pickle.loads(content)
        assert marker.exists()


class Dummy(dict):
    """Takes everything, does nothing."""

    def __init__(self, *more: object, **named: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __reduce__(self):
        raise TypeError

    append = extend = add = update = __setstate__


class Watched(pickle.Unpickler):
    """Python's own unpickler, made harmless: notes the names that it is asked for."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self.seen: set[str] = set()

    def find_class(self, module: str, name: str) -> type:
        self.seen.add(f"{module} {name}")
        return Dummy

    def persistent_load(self, pid: object) -> object:
        return Dummy()


def pickles(marker: Path) -> list[bytes]:
    """Hostile and honest ones, to be cut and joined."""
    found = []
    for name, content in hostile_pickles(marker).items():
        if not name.startswith(("zip", "torchscript", "memory", "memo")):
            found.append(content)
    for protocol in range(6):
        found.append(pickle.dumps({"a": [1, "posix", "system"]}, protocol))
    kept = {"w": torch.ones(3), "n": [1, (2, "x")], "s": {1}}
    for protocol in (2, 4):
        old = saved(kept, _use_new_zipfile_serialization=False, pickle_protocol=protocol)
        found.append(old)
    for name, content in entries_of(saved(kept)).items():
        if name.endswith("data.pkl"):
            found += [content] * 4
    return found


def joined(sources: list[bytes], data: st.DataObject) -> bytes:
    """A pickle with pieces of others in it, and a few bytes changed."""
    content = bytearray(data.draw(st.sampled_from(sources)))
    for _ in range(data.draw(st.integers(0, 3))):
        source = data.draw(st.sampled_from(sources))
        begin = data.draw(st.integers(0, 400))
        piece = source[begin : begin + data.draw(st.integers(0, 400))]
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 9))] = piece
    content += b"."
    for _ in range(data.draw(st.integers(0, 2))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    return bytes(content)


def test_whatever_is_called_good_asks_only_for_known_names(tmp_path, monkeypatch, many):
    """Cut and joined at random: what the real unpickler looks up, the checker has allowed."""
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "RAN"
    sources = pickles(marker)
    tried = []
    loaded = []

    @many(1500)
    @given(st.data())
    def every(data):
        content = joined(sources, data)
        tried.append(content)
        try:
            found = tool.read_pickle(content, 0)
        except tool.Bad:
            return
        if found.refused:
            return
        real = Watched(content)
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            real.load()
            loaded.append(content)
        assert real.seen <= tool.KNOWN & found.names

    every()
    assert len(loaded) * 50 >= len(tried)
    assert not marker.exists()


# --- garbage

STARTS = [b"", b"PK\3\4", b"PK\5\6", b"\x80\x02", b"\x80\x04", b"\x80\x05\x95"]
STARTS.append(struct.pack("<Q", 20) + b"{")
SUFFIXES = [".safetensors", ".pt", ".bin", ".pkl"]


def test_random_bytes_are_never_good_and_never_uncaught(tmp_path, many):
    @many(1500)
    @given(st.sampled_from(STARTS), st.binary(max_size=200), st.sampled_from(SUFFIXES))
    def every(start, more, suffix):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(start + more)
        # b"\x80\x02N." is a fair pickle.
        may_be_good = suffix != ".safetensors" and start + more
        assert look(path).exit_code == 1 or may_be_good

    every()


PIECES = [operation.code.encode("latin1") for operation in pickletools.opcodes]
PIECES += [b"collections\nOrderedDict\n", b"\x01", bytes(4), b"\xff\xff\xff\x7f", b"\x03abc"]
PIECES.append(b"1\n")


def test_random_opcodes_never_go_uncaught(tmp_path, many):
    path = tmp_path / "x.pkl"

    @many(1500)
    @given(st.lists(st.sampled_from(PIECES), max_size=25))
    def every(pieces):
        path.write_bytes(b"\x80\x04" + b"".join(pieces) + b".")
        look(path)

    every()


ODD_VALUES = [
    0,
    4,
    8,
    16,
    1 << 63,
    "F32",
    "BF16",
    "X",
    "",
    [0, 4],
    [4, 0],
    [2, 2],
    [1 << 62, 4],
    {},
]
ATOMS = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.sampled_from(ODD_VALUES)
)
INFO = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.one_of(st.sampled_from(["F32", "U8", "F4", "F8_E4M3"]), ATOMS),
        "shape": st.one_of(st.lists(ATOMS, max_size=3), ATOMS),
        "data_offsets": st.one_of(st.lists(st.integers(-1, 40), max_size=3), ATOMS),
        "more": ATOMS,
    },
)
NAMES = st.sampled_from(["a", "b", "__metadata__", "\ud800"])


def test_structured_garbage_in_a_safetensors_header(tmp_path, many):
    """Random headers: nothing uncaught, and never good where the library refuses."""
    from safetensors import SafetensorError, safe_open

    path = tmp_path / "x.safetensors"
    agreed = []

    @many(1500)
    @given(st.dictionaries(NAMES, st.one_of(INFO, ATOMS)), st.binary())
    def every(header, data):
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)
        good = look(path).exit_code == 0
        try:
            with safe_open(path, "pt"):
                accepted = True
        except (SafetensorError, OSError):
            accepted = False
        assert accepted or not good
        agreed.append(accepted == good)

    every()
    assert sum(agreed) * 2 >= len(agreed)


# --- files made by hand


def header(text: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text + data


ONE = b'"dtype":"F32","shape":[1],"data_offsets":'
SAFETENSORS = {
    "empty": b"",
    "seven bytes": b"\0" * 7,
    "all zero": bytes(100),
    "length 2^63": header(b"{}", length=1 << 63),
    "length 2^64-1": header(b"{}", length=(1 << 64) - 1),
    "length beyond the end": header(b"{}", length=3),
    "overlap": header(b'{"a":{%s[0,4]},"b":{%s[0,4]}}' % (ONE, ONE), bytes(4)),
    "hole": header(b'{"a":{%s[0,4]},"b":{%s[8,12]}}' % (ONE, ONE), bytes(12)),
    "not from zero": header(b'{"a":{%s[4,8]}}' % ONE, bytes(8)),
    "beyond the end": header(b'{"a":{%s[0,4]}}' % ONE, bytes(3)),
    "something after": header(b'{"a":{%s[0,4]}}' % ONE, bytes(5)),
    "key twice": header(b'{"a":{%s[0,4]},"a":{%s[0,4]}}' % (ONE, ONE), bytes(4)),
    "metadata": header(b'{"__metadata__":{"a":1}}'),
    "metadata null": header(b'{"__metadata__":null}'),
    "NaN": header(b'{"__metadata__":NaN}'),
    "a list": header(b"[]"),
    "not UTF-8": header(b'{"\xff":1}'),
    "deep": header(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "huge number": header(
        b'{"a":{"dtype":"F32","shape":[' + b"9" * 9000 + b'],"data_offsets":[0,4]}}', bytes(4)
    ),
    "shape overflows": header(
        b'{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,0]}}'
    ),
    "true for a number": header(
        b'{"a":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}}', bytes(4)
    ),
    "too many parts": header(b'{"a":[' + b"{}," * 5_100_000 + b"0]}"),
    "half a byte": header(b'{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}}', bytes(1)),
}


@pytest.mark.parametrize("name", SAFETENSORS)
def test_bad_safetensors(name, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(SAFETENSORS[name])
    assert look(path).exit_code == 1


STORAGE = b"\x80\x02(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x03tQ."
ONE_PICKLE = {"a/data.pkl": GOOD_PICKLE}
ZIPS = {
    "outside": zip_of({**ONE_PICKLE, "a/../../b": b""}),
    "absolute": zip_of({"/a/data.pkl": GOOD_PICKLE}),
    "drive": zip_of({"C:/a/data.pkl": GOOD_PICKLE}),
    "NUL": zip_of({**ONE_PICKLE, "a/bXc": b""}).replace(b"a/bXc", b"a/b\0c"),
    "twice": zip_of({**ONE_PICKLE, "a/data.pkX": b"N."}).replace(b"data.pkX", b"data.pkl"),
    "two roots": zip_of({**ONE_PICKLE, "b/data.pkl": GOOD_PICKLE}),
    "no pickle": zip_of({"a/version": b"3"}),
    "no entry": zip_of({}),
    "something before": b"PK\3\4" + zipped(GOOD_PICKLE),
    "something after": zipped(GOOD_PICKLE) + b"x",
    "comment": zipped(GOOD_PICKLE)[:-2] + b"\1\0x",
    "bad CRC": zipped(GOOD_PICKLE).replace(GOOD_PICKLE, b"\x80\x02]q\x00."),
    "bomb": zip_of({**ONE_PICKLE, "a/data/0": bytes(80 << 20)}, compression=8),
    "storage missing": zipped(STORAGE),
    "storage short": zipped(STORAGE, **{"data/0": bytes(11)}),
}


@pytest.mark.parametrize("name", ZIPS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_bad_zips(name, tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(ZIPS[name])
    assert look(path).exit_code == (2 if name in ("no entry", "no pickle") else 1)


def test_a_zip_is_good_once_its_storage_is_there(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(zipped(STORAGE, **{"data/0": bytes(12)}))
    report = look(path)
    assert not report.levels & {tool.DANGER, tool.BROKEN, tool.UNCLEAR}


@pytest.mark.parametrize(("shape", "code"), [(b"\x03", 0), (b"\x02", 0), (b"\x04", 1)])
def test_views_must_stay_inside_their_storage(tmp_path, shape, code):
    entries = entries_of(saved({"w": torch.ones(3)}))
    [pickled] = [content for name, content in entries.items() if name.endswith("data.pkl")]
    assert b"K\x03\x85" in pickled
    changed = pickled.replace(b"K\x03\x85", b"K" + shape + b"\x85")
    (tmp_path / "x.pt").write_bytes(zipped(changed, **{"data/0": bytes(12)}))
    assert look(tmp_path / "x.pt").exit_code == code
