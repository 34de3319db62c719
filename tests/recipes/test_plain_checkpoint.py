"""plain_checkpoint.py: old .pt files opened without running them, written again in plain types."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import types
import zipfile
from collections import OrderedDict, namedtuple
from pathlib import Path

import numpy as np
import plain_checkpoint
import pytest
import torch
from plain_checkpoint import Refused, Unsuitable, leaves, open_old, plain, rewrite, unsafe_names

Point = namedtuple("Point", ["x", "y"])


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return exec, (f"open({str(self.mark)!r}, 'w').close()",)


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))


VALUES = {
    "float64": np.float64(0.1234567890123456789),
    "float32": np.float32(0.1),
    "float16": np.float16(0.1),
    "bool": np.bool_(True),
    "int": np.int64(2**62),
    "uint8": np.uint8(200),
    "string": np.str_("chữ"),
    "nan": np.float64("nan"),
    "array": np.arange(6, dtype=np.float64).reshape(2, 3) / 7,
    "ints": np.arange(3),
    "bools": np.array([True, False]),
    "backwards": np.arange(5.0)[::-1],
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "other_end": np.arange(3, dtype=">f8"),
    "scalar_array": np.array(1.5),
    "empty": np.zeros((0, 3)),
    "namespace": argparse.Namespace(lr=np.float64(1e-3), folder=Path("a/b"), more=[np.int64(1)]),
    "simple": types.SimpleNamespace(a=1),
    "path": Path("luu/mo_hinh"),
    "windows": pathlib.PureWindowsPath("C:\\a\\b"),
    "strings": np.array(["một", "hai"]),
    "objects": np.array([1, "hai", None], dtype=object),
}


@pytest.mark.parametrize("name", VALUES)
def test_old_kinds_are_opened_and_written_plainly(name: str, tmp_path: Path) -> None:
    state = model().state_dict()
    torch.save({"model": state, "more": VALUES[name]}, tmp_path / "old.pt")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "old.pt", weights_only=True)

    assert rewrite(tmp_path / "old.pt", tmp_path / "new.pt") == []

    again = torch.load(tmp_path / "new.pt", weights_only=True)
    for key, tensor in state.items():
        assert torch.equal(again["model"][key], tensor)
    model().load_state_dict(again["model"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.pt", "old.pt"]


def test_no_digit_and_no_dtype_is_lost() -> None:
    assert plain(VALUES["float64"]) == VALUES["float64"]
    assert type(plain(VALUES["float64"])) is float
    assert type(plain(VALUES["int"])) is int
    assert type(plain(VALUES["string"])) is str
    assert type(plain(VALUES["bool"])) is bool
    assert plain(VALUES["array"]).dtype == torch.float64
    assert plain(VALUES["array"]).tolist() == VALUES["array"].tolist()
    assert plain(VALUES["backwards"]).tolist() == [4, 3, 2, 1, 0]
    assert plain(VALUES["other_end"]).tolist() == [0, 1, 2]
    assert plain(VALUES["strings"]) == ["một", "hai"]
    assert plain(VALUES["objects"]) == [1, "hai", None]
    inner = {"lr": 1e-3, "folder": str(Path("a/b")), "more": [1]}
    assert plain(VALUES["namespace"]) == inner


def test_containers(tmp_path: Path) -> None:
    table = np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])
    day = np.datetime64("2026-11-26")
    assert plain(Point(np.int64(1), [Path("a")])) == {"x": 1, "y": ["a"]}
    assert plain((1, {np.float64(2.0)})) == (1, {2.0})
    assert plain({np.int64(1): "a"}) == {1: "a"}
    assert plain(day) == "2026-11-26"
    assert plain(np.array([day])) == ["2026-11-26"]
    assert plain(table)["b"].tolist() == [2.5]
    kept = plain(model().state_dict())
    assert isinstance(kept, OrderedDict)
    assert kept._metadata == model().state_dict()._metadata
    for value in (table, day, Point(1, 2), {"a": (1, [2, {3}])}):
        torch.save(plain(value), tmp_path / "a.pt")
        again = torch.load(tmp_path / "a.pt", weights_only=True)
        assert leaves(again) == leaves(value)


def test_tensors_that_are_shared_stay_shared(tmp_path: Path) -> None:
    weight = torch.randn(4)
    torch.save({"a": weight, "b": weight, "n": np.float64(1)}, tmp_path / "old.pt")
    assert rewrite(tmp_path / "old.pt", tmp_path / "new.pt") == []
    again = torch.load(tmp_path / "new.pt", weights_only=True)
    assert again["a"].data_ptr() == again["b"].data_ptr()


def test_a_complex_tensor_that_is_only_marked_as_conjugate(tmp_path: Path) -> None:
    value = torch.tensor([1 + 2j]).conj()
    torch.save({"a": value}, tmp_path / "old.pt")
    assert rewrite(tmp_path / "old.pt", tmp_path / "new.pt") == []
    assert torch.equal(torch.load(tmp_path / "new.pt", weights_only=True)["a"], value)


@pytest.mark.parametrize("value", [np.longdouble(1), object(), 1j, torch.eye(2).to_sparse()])
def test_what_has_no_plain_form_is_said(value: object) -> None:
    with pytest.raises(Unsuitable):
        plain([value])


def test_two_keys_that_would_become_one() -> None:
    with pytest.raises(Unsuitable):
        plain({Path("a"): 1, "a": 2})


def test_names_written_by_an_older_numpy(tmp_path: Path) -> None:
    torch.save({"a": np.float64(0.5), "b": np.arange(2.0)}, tmp_path / "now.pt")
    with zipfile.ZipFile(tmp_path / "now.pt") as was:
        with zipfile.ZipFile(tmp_path / "old.pt", "w") as then:
            for name in was.namelist():
                then.writestr(name, was.read(name).replace(b"numpy._core", b"numpy.core"))
    assert "numpy.core.multiarray.scalar" in unsafe_names(tmp_path / "old.pt")
    assert rewrite(tmp_path / "old.pt", tmp_path / "new.pt") == []
    assert torch.load(tmp_path / "new.pt", weights_only=True)["a"] == 0.5


def test_the_format_before_zip(tmp_path: Path) -> None:
    content = {"a": torch.ones(2), "b": np.float64(0.5)}
    torch.save(content, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(Unsuitable):
        unsafe_names(tmp_path / "old.pt")
    assert rewrite(tmp_path / "old.pt", tmp_path / "new.pt") == []


class Config:
    """A reader's own class."""


def test_an_own_class_is_named(tmp_path: Path) -> None:
    mine = Config()
    mine.lr = 0.5
    torch.save({"config": mine}, tmp_path / "old.pt")
    (name,) = unsafe_names(tmp_path / "old.pt")
    with pytest.raises(Refused, match="GLOBAL"):
        open_old(tmp_path / "old.pt")
    content = open_old(tmp_path / "old.pt", {name: argparse.Namespace})
    assert plain(content) == {"config": {"lr": 0.5}}
    assert rewrite(tmp_path / "old.pt", tmp_path / "new.pt", {name: argparse.Namespace}) == []


def test_a_wrong_rewriting_is_found(tmp_path: Path, monkeypatch) -> None:
    torch.save({"a": np.float64(0.1), "b": np.arange(2.0)}, tmp_path / "old.pt")

    def careless(value):
        return {"a": torch.tensor(value["a"].item()), "b": torch.from_numpy(value["b"]).float()}

    monkeypatch.setattr(plain_checkpoint, "plain", careless)
    problems = rewrite(tmp_path / "old.pt", tmp_path / "new.pt")
    assert len(problems) == 2
    assert not (tmp_path / "new.pt").exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_planted_code_does_not_run(legacy: bool, tmp_path: Path, command) -> None:
    old = tmp_path / "old.pt"
    mark = tmp_path / "ran"
    torch.save([Evil(mark)], old, _use_new_zipfile_serialization=not legacy)
    done = command("plain_checkpoint", old, tmp_path / "new.pt")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "exec" in done.stderr
    if not legacy:
        assert unsafe_names(old) == ["builtins.exec"]
        assert command("plain_checkpoint", old).returncode == 1
    assert not mark.exists()
    assert not (tmp_path / "new.pt").exists()


def test_command_line(tmp_path: Path, command) -> None:
    old = tmp_path / "old.pt"
    new = tmp_path / "new.pt"
    torch.save({"a": np.arange(3.0), "args": argparse.Namespace(lr=1)}, old)
    before = old.read_bytes()
    seen = command("plain_checkpoint", old)
    assert seen.returncode == 0
    assert "numpy._core.multiarray._reconstruct" in seen.stdout
    assert "argparse.Namespace" in seen.stdout

    done = command("plain_checkpoint", old, new)
    assert (done.returncode, done.stderr) == (0, "")
    assert old.read_bytes() == before
    assert command("plain_checkpoint", new).returncode == 0

    for wrong, code in (
        ((old, new), 2),
        ((tmp_path / "none.pt", tmp_path / "x.pt"), 2),
        ((tmp_path / "none.pt",), 2),
        ((tmp_path, tmp_path / "x.pt"), 2),
        ((old, tmp_path / "no/x.pt"), 2),
    ):
        done = command("plain_checkpoint", *wrong)
        assert done.returncode == code, done.stderr
        assert len(done.stderr.splitlines()) == 1
    for content in (b"", b"version https://git-lfs", before[: len(before) // 2], b"PK\x03\x04"):
        (tmp_path / "bad.pt").write_bytes(content)
        done = command("plain_checkpoint", tmp_path / "bad.pt", tmp_path / "x.pt")
        assert done.returncode == 1, done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "x.pt").exists()
