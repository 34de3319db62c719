"""Pickles: the checker against Python's own unpicklers, honest files, hostile ones.

The long run: python test_verify_checkpoint_pickles.py --count 1000000 --seed 7
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.extend([str(HERE), str(HERE.parent), str(HERE.parents[1] / "scripts")])  # as a command

import pickle_streams
from checker import tool
from pickle_attacks import DETOURS, calls, lines, text, ways_to_call, ways_to_name

# --- what any real unpickler looks up, the checker tells


def test_every_name_that_a_real_unpickler_looks_up_is_told():
    """In a process of its own, with little memory: streams at random."""
    command = [sys.executable, __file__, "--count", "4000", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=100, cwd=HERE)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "loaded 0" not in done.stdout


FOUND = {  # streams by which a checker once was deceived, one line on each
    "C drops the rest of a frame": b"\x95\x05" + bytes(7) + b"cjunkposix\nsystem\n.",
    "C drops it even when the rest is no text": b"\x95\x02" + bytes(7) + b"V\\u\ncos\nm\n",
    "a frame longer than the file": b"\x95\xff" + bytes(7) + b"cos\nsystem\n.",
    "the next pickle begins behind the frame": b"\x95\x7e" + bytes(7) + b"N." + b"x" * 124 + b"N.",
    "the last line has no end": b"cos\nsystemx",
    "a string whose bytes are not ASCII": b"S'\xff'\n0cos\nsystem\n.",
    "a string with bytes that no encoding has": b"U\x02\xc3\x280cos\nsystem\n.",
    "an octal escape beyond a byte": b"S'\\777'\n0cos\nsystem\n.",
    "a number of C": b"I010\n0cos\nsystem\n.",
    "a number with NUL": b"L1\x002\n0cos\nsystem\n.",
    "a place in the memo with NUL": b"Np1\x00x\n0cos\nsystem\n.",
    "a place in the memo with an underscore": b"Np1_0\n0cos\nsystem\n.",
    "a number with too many digits": b"I" + b"9" * 5000 + b"\n0cos\nsystem\n.",
    "a foreign persistent id": b"Nq\x01Q0cos\nsystem\n.",
    "a persistent id in text": b"Pabc\n0cos\nsystem\n.",
    "a tuple deeper than any": b"N" + b"\x85" * 101 + b"0cos\nsystem\n.",
    "a tuple of its doubles": b"K\0" + b"q\x010h\x01h\x01\x86" * 60 + b"0cos\nsystem\n.",
    "a storage of an unknown class": b"(" + text("storage") + text("x") * 4 + b"tQ0cos\nsystem\n.",
    "bytes that are only read": b"C\x01a\x980cos\nsystem\n.",
    "a state that is empty": b"](]b0cos\nsystem\n.",
    "nothing appended to a number": b"K\x01(e0cos\nsystem\n.",
    "POP takes a mark": b"(0cos\nsystem\n.",
}


@pytest.mark.parametrize("case", FOUND)
def test_streams_that_once_deceived(case):
    assert pickle_streams.missed(tool, FOUND[case], pickle_streams.WAYS) == ""
    if b"\nsystem\n" in FOUND[case] and "empty" not in case:
        assert pickle_streams.judged(tool, FOUND[case])[0] == tool.DANGER


def test_whatever_is_called_good_weights_only_allows_or_warns_of():
    """No name is allowed that torch does not know, but for those that a warning names."""
    from torch._weights_only_unpickler import _get_allowed_globals

    known = {
        f"{name.rpartition('.')[0]} {name.rpartition('.')[2]}" for name in _get_allowed_globals()
    }
    more = tool.ALLOWED - known
    old = {name for name in more if name.startswith(("torch", "__builtin__", "copy"))}
    assert more - old <= {
        *(
            f"builtins {name}"
            for name in [
                "set",
                "frozenset",
                "list",
                "dict",
                "tuple",
                "bytes",
                "int",
                "float",
                "bool",
                "str",
            ]
        ),
        *(f"builtins {name}" for name in ["slice", "range", "object", "complex", "bytearray"]),
        "collections deque",
        "collections defaultdict",
    }
    for name in old:
        assert not tool.is_dangerous(*name.split(" ")), name


# --- an attacker's list

WRITTEN_BY_TRAINER = {"transformers.training_args", "accelerate.state"}


@pytest.mark.parametrize("attack", calls(), ids=lambda attack: f"{attack[0]}.{attack[1]}")
def test_a_call_is_dangerous_and_a_name_never_good(attack):
    module, name, arguments = attack
    for way, content in ways_to_call(module, name, arguments).items():
        assert pickle_streams.judged(tool, content)[0] == tool.DANGER, way
    if f"{module} {name}" in tool.KNOWN:  # what the Trainer or torch writes, called in another way
        return
    for way, named in ways_to_name(module, name).items():
        level = pickle_streams.judged(tool, b"\x80\x04" + named + b".")[0]
        assert level in (tool.DANGER, tool.UNCLEAR), way


@pytest.mark.parametrize("case", DETOURS)
def test_detours_are_dangerous(case):
    assert pickle_streams.judged(tool, b"\x80\x04" + DETOURS[case])[0] == tool.DANGER


REAL_HARM = ["a function behind _rebuild_from_type", "append set on an object"]
REAL_HARM += ["__setstate__ set by a defaultdict", "a function behind numpy's generator"]


@pytest.mark.skipif(os.name != "posix", reason="PosixPath")
@pytest.mark.parametrize("case", REAL_HARM)
def test_these_detours_do_harm(case, tmp_path):
    """They delete the file «victim», so they are no inventions."""
    (tmp_path / "victim").touch()
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04" + DETOURS[case])
    script = "import pickle; pickle.load(open('x.pkl', 'rb'))"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, timeout=100)
    assert not (tmp_path / "victim").exists()


def test_old_names_are_what_python_makes_of_them():
    """Python 3 reads «__builtin__» as «builtins»: what is dangerous there is dangerous here."""
    from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

    for (module, name), new in NAME_MAPPING.items():
        content = b"c" + lines(module, name) + text("x") + b"\x85R."
        if tool.is_dangerous(*new):
            assert pickle_streams.judged(tool, content)[0] == tool.DANGER, (module, name)
    for module, new in IMPORT_MAPPING.items():
        if new != "builtins" and tool.is_dangerous(new, "anything"):
            assert tool.is_dangerous(module, "anything"), module


def test_a_word_of_the_reader_allows_a_class_and_no_more():
    named = b"\x80\x02csome.where\nClass\n)\x81}X\x01\0\0\0aK\x01sb."
    allowed = frozenset({"some.where.Class", "os.system"})
    assert tool.read_pickle(named).unclear
    assert not tool.read_pickle(named, 0, allowed).unclear
    evil = tool.read_pickle(b"cos\nsystem\n(X\x01\0\0\0xtR.", 0, allowed)
    assert evil.refused


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(bool(pickle_streams.search(tool, options.count, options.seed)))
