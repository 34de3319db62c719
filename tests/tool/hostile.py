"""Pickles that would run a command, or ask for what no checkpoint needs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import torch
from checker import saved, zipped

GOOD_PICKLE = pickle.dumps({}, 2)


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def hostile_pickles(marker: Path) -> dict[str, bytes]:
    """By name; those that run a command make the file `marker`."""
    command = f"touch {marker}"
    called = f"(S'{command}'\ntR.".encode()
    by_global = b"cposix\nsystem\n" + called
    evil = Evil(command)
    text = command.encode()
    memoised = b"\x8c\x05posix\x94\x8c\x06system\x940\x30h\x00h\x01\x93"
    among_tensors = {"w": torch.ones(3), "x": evil}
    trainer = b"\x80\x02ctransformers.training_args\nTrainingArguments\n"
    proxy = b"\x80\x02ccollections\ndefaultdict\n"
    huge = b"J\xff\xff\xff\x7f\x85R"
    return {
        "GLOBAL": by_global,
        "STACK_GLOBAL": pickle.dumps(evil, 4),
        "STACK_GLOBAL by memo": b"\x80\x04" + memoised + b"\x8c%c%s\x85R." % (len(text), text),
        "INST": f"(S'{command}'\niposix\nsystem\n.".encode(),
        "OBJ": f"(cposix\nsystem\nS'{command}'\no.".encode(),
        "nested": pickle.dumps({"weights": [1, {"x": (evil,)}]}, 2),
        "thrown away": by_global[:-1] + b"0}.",
        "then torn": by_global[:-1] + b"\xff",
        "with padding": by_global + b"x" * 100,
        "second pickle": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + by_global,
        "zip": zipped(by_global),
        "torchscript": zipped(GOOD_PICKLE, **{"constants.pkl": GOOD_PICKLE}),
        "zip, another pickle": zipped(pickle.dumps({}), **{"more.pkl": by_global}),
        "among tensors": saved(among_tensors),
        "among tensors, legacy": saved(among_tensors, _use_new_zipfile_serialization=False),
        "eval": f"c__builtin__\neval\n(S'__import__(\"os\").system({command!r})'\ntR.".encode(),
        "getattr": b"\x80\x04cbuiltins\ngetattr\n\x8c\x02os\x8c\x06system\x86R.",
        "dotted": b"\x80\x04\x8c\x0bcollections\x8c\x15OrderedDict.__class__\x93.",
        "escaped name": b"c\\x63ollections\nOrderedDict\n.",
        "computed name": b"\x80\x04N\x8c\x06system\x93.",
        "extension": b"\x80\x02\x82\x01.",
        "patched function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\0\0\0a]sb.",
        "called result": b"\x80\x02ccollections\nOrderedDict\n)R)R.",
        "trainer called": trainer + b"X\x01\0\0\0x\x85R.",
        "trainer by proxy": proxy + trainer.removeprefix(b"\x80\x02") + b"\x85R.",
        "memory bomb": b"\x80\x02c__builtin__\nbytearray\n" + huge + b".",
        "memory bomb by range": b"\x80\x02c__builtin__\nlist\nc__builtin__\nrange\n"
        + huge
        + b"\x85R.",
        "memo bomb": b"\x80\x02Nr\xff\xff\xff\x7f.",
        "whole model": saved(torch.nn.Linear(2, 2)),
    }
