"""Pickles: the checker against Python's own unpicklers, honest files, hostile ones.

The long run, with tests/tool, tests and scripts on PYTHONPATH:
python test_verify_checkpoint_pickles.py --count 1000000 --seed 7
"""

from __future__ import annotations

import argparse
import enum
import os
import pickle
import random
import struct
import subprocess
import sys
import types
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from pathlib import Path

import pickle_streams
import pytest
import torch
from checker import tool
from pickle_attacks import (
    DETOURS,
    DTYPE,
    WRAPPER,
    calls,
    lines,
    text,
    ways_to_call,
    ways_to_name,
)

HERE = Path(__file__).resolve().parent

# --- what any real unpickler looks up, the checker tells


def test_every_name_that_a_real_unpickler_looks_up_is_told():
    """In a process of its own, with little memory: streams at random."""
    command = [sys.executable, __file__, "--count", "4000", "--seed", "1"]
    paths = os.pathsep.join([str(HERE), str(HERE.parent), str(HERE.parents[1] / "scripts")])
    done = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "loaded 0" not in done.stdout


FOUND = {  # streams by which a checker once was deceived, one line on each
    "C drops the rest of a frame": b"\x95\x05" + bytes(7) + b"cjunkposix\nsystem\n.",
    "C drops it even when the rest is no text": b"\x95\x02" + bytes(7) + b"V\\u\ncos\nm\n",
    "a frame longer than the file": b"\x95\xff" + bytes(7) + b"cos\nsystem\n.",
    "the next pickle begins behind the frame": b"\x95\x7e" + bytes(7) + b"N." + b"x" * 124 + b"N.",
    "the last line has no end": b"cos\nsystemx",
    "an odd name in the bytes of an array": b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}("
    b"T\x05\0\0\0dtypecnumpy\ndtype\nX\x02\0\0\0u1\x89\x88\x87R"
    b"V\\u0073\\u0068\\u0061\\u0070\\u0065\n"
    b"K\x19\x85ubS'h\xc3\xa9'\nq\xff0g255\nS''x''\n\x93)R.",
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
    values = "set frozenset list dict tuple bytes int float bool str slice range object complex"
    plain = {f"builtins {name}" for name in [*values.split(), "bytearray"]}
    assert more - old <= plain | {"collections deque", "collections defaultdict"}
    for name in old:
        assert not tool.is_dangerous(*name.split(" ")), name


# --- an attacker's list

WRITTEN_BY_TRAINER = {"transformers.training_args", "accelerate.state"}


@pytest.mark.parametrize("attack", calls(), ids=lambda attack: f"{attack[0]}.{attack[1]}")
def test_a_call_is_dangerous_and_a_name_never_good(attack):
    module, name, arguments = attack
    foreign = module.partition(".")[0] not in tool.STANDARD | {"torch", "numpy"}
    for way, content in ways_to_call(module, name, arguments).items():
        made = foreign and ("NEWOBJ" in way or "__newobj__" in way)  # as a namedtuple is made
        levels = (tool.DANGER, tool.UNCLEAR) if made else (tool.DANGER,)
        assert pickle_streams.judged(tool, content)[0] in levels, way
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


# --- honest pickles of old writers, made by hand from torch's own sources


def entry(value: object) -> bytes:
    """One whole pickle of protocol 2."""
    return pickle.dumps(value, 2)


def legacy(data: bytes, storages: dict[str, list[float]]) -> bytes:
    """A file as torch wrote it before 1.6: five pickles, then the numbers of each storage."""
    parts = [entry(0x1950A86A20F9469CFC6C), entry(1001), entry({"little_endian": True}), data]
    parts.append(entry(sorted(storages)))
    for key in sorted(storages):
        numbers = storages[key]
        parts.append(struct.pack(f"<q{len(numbers)}f", len(numbers), *numbers))
    return b"".join(parts)


def word(content: str, old: bool) -> bytes:
    """A string, as Python 2 or Python 3 writes it."""
    raw = content.encode()
    return b"U" + bytes([len(raw)]) + raw if old else text(content)


def storage(key: str, count: int, old: bool, more: bytes = b"") -> bytes:
    """The storage that a pickle speaks of; `more`: what torch 0.1 to 1.5 put behind."""
    parts = [word("storage", old), b"ctorch\nFloatStorage\n", word(key, old), word("cpu", old)]
    return b"(" + b"".join(parts) + b"K" + bytes([count]) + more + b"tQ"


NO_HOOKS = b"ccollections\nOrderedDict\n)R"
OLD_HOOKS = b"ccollections\nOrderedDict\n]\x85R"  # Python 2


def old_forms(old: bool) -> dict[str, bytes]:
    """A tensor of two numbers, in the ways that torch has written one."""
    kept = storage("0", 6, old, b"N")
    view = storage("0", 6, old, b"(" + word("7", old) + b"K\x01K\x05t")
    place = b"K\x01K\x02\x85K\x03\x85"
    hooks = OLD_HOOKS if old else NO_HOOKS
    v1 = b"ctorch._utils\n_rebuild_tensor\n(" + kept + place + b"tR"
    v2 = b"ctorch._utils\n_rebuild_tensor_v2\n(" + kept + place + b"\x89" + hooks + b"tR"
    long = b"\x8a\x01\x01\x8a\x01\x02\x85\x8a\x01\x03\x85"  # numbers of Python 2's long
    parameter = b"ctorch.nn.parameter\nParameter\n"
    return {
        "0.1, an empty object and a state": b"ctorch\nFloatTensor\n)R(" + kept + place + b"tb",
        "0.1, by __newobj__": b"ctorch\nFloatTensor\n)\x81(" + kept + place + b"tb",
        "0.2": v1,
        "0.3, long": b"ctorch._utils\n_rebuild_tensor\n(" + kept + long + b"tR",
        "0.3, Parameter": parameter + v1 + b"\x85R(\x88\x89" + hooks + b"tb",
        "0.3, Parameter without hooks": parameter + v1 + b"\x85R(\x88\x89Ntb",
        "0.3, Variable": b"ctorch.autograd.variable\nVariable\n" + v1 + b"\x85R(\x89\x89Ntb",
        "0.3, Parameter of an earlier one": parameter + b")R(" + v1 + b"N" + hooks + b"\x88\x89tb",
        "0.4": v2,
        "0.4, None for hooks": b"ctorch._utils\n_rebuild_tensor_v2\n(" + kept + place + b"\x89NtR",
        "0.4, a view of a storage": b"ctorch._utils\n_rebuild_tensor_v2\n("
        + view
        + place
        + b"\x89"
        + hooks
        + b"tR",
        "1.0, Parameter": b"ctorch._utils\n_rebuild_parameter\n(" + v2 + b"\x88" + hooks + b"tR",
        "1.9, attributes": b"ctorch._tensor\n_rebuild_from_type\n(c"
        + b"torch._utils\n_rebuild_tensor_v2\n"
        + b"ctorch\nTensor\n("
        + kept
        + place
        + b"\x89"
        + hooks
        + b"t}"
        + word("tag", old)
        + b"K\x01stR",
    }


@pytest.mark.parametrize("old", [True, False], ids=["Python 2", "Python 3"])
@pytest.mark.parametrize("case", old_forms(True))
def test_tensors_of_every_torch(case, old, tmp_path):
    hooks = OLD_HOOKS if old else NO_HOOKS
    pair = word("layer.weight", old) + old_forms(old)[case]
    more = word("epoch", old) + (b"\x8a\x01\x05" if old else b"K\x05")
    data = b"\x80\x02" + hooks + b"(" + pair + more + b"u."
    path = tmp_path / "old.pth"
    path.write_bytes(legacy(data, {"0": [1.0, 2, 3, 4, 5, 6]}))
    report = tool.verify(path)
    assert report.exit_code == 0, report.findings
    tensors = report.contents["old.pth"].tensors
    assert {name: tensor.shape for name, tensor in tensors.items()} == {"layer.weight": (2,)}


def test_a_state_dict_of_torch_0_4_has_metadata(tmp_path):
    """An OrderedDict with an attribute `_metadata`, which is one too."""
    version = b"ccollections\nOrderedDict\n)R(" + text("") + b"}" + text("version") + b"K\x01su"
    pair = text("w") + old_forms(False)["0.4"]
    data = (
        b"\x80\x02ccollections\nOrderedDict\n)R("
        + pair
        + b"u}"
        + text("_metadata")
        + version
        + b"sb."
    )
    path = tmp_path / "x.pth"
    path.write_bytes(legacy(data, {"0": [1.0] * 6}))
    report = tool.verify(path)
    assert report.exit_code == 0, report.findings
    assert set(report.contents["x.pth"].tensors) == {"w"}


# --- honest pickles of today


def judged_file(path: Path, content: object, **options: object):
    """The report on what torch.save writes."""
    torch.save(content, path, **options)
    return tool.verify(path)


def class_of(module: str, name: str, *bases: type, **more: object) -> type:
    """A class of a package that is not here, so that pickle finds it."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        own = ".".join(parts[:count])
        sys.modules.setdefault(own, types.ModuleType(own))
    made = type(name, bases or (object,), {"__module__": module, **more})
    setattr(sys.modules[module], name, made)
    return made


def strange_objects() -> dict[str, object]:
    """What people save besides tensors, and torch.load refuses unless it is told otherwise."""
    import datetime
    import decimal
    import enum
    import fractions
    import pathlib
    import uuid

    config = class_of("trl.trainer.sft_config", "SFTConfig")()
    config.output_dir = "x"
    config.betas = (0.9, 0.95)
    kind = enum.Enum("PaddingMode", {"LEFT": "left"}, module="fancy.config")
    sys.modules["fancy"] = types.ModuleType("fancy")
    sys.modules["fancy.config"] = types.ModuleType("fancy.config")
    sys.modules["fancy.config"].PaddingMode = kind
    config.padding = kind.LEFT
    listed = class_of("fancy.lists", "Rows", list)([1, 2])
    table = class_of("fancy.lists", "Table", dict)(a=1)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    return {
        "configuration of TRL": config,
        "a list of a class": listed,
        "a dictionary of a class": table,
        "Namespace": argparse.Namespace(lr=0.1, path=pathlib.Path("a/b"), more=[1, None]),
        "Path": pathlib.Path("a/b"),
        "datetime": datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC),
        "timedelta": datetime.timedelta(1),
        "SimpleNamespace": types.SimpleNamespace(a=1),
        "Decimal": decimal.Decimal("1.5"),
        "Fraction": fractions.Fraction(1, 3),
        "UUID": uuid.UUID(int=5),
        "a generator of Python": random.Random(0),
        "defaultdict of a class": defaultdict(class_of("fancy.lists", "Row")),
        "a whole layer": torch.nn.Linear(2, 2),
        "a whole model": model,
        "an optimizer": torch.optim.AdamW(model.parameters()),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", strange_objects())
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("new", [True, False], ids=["ZIP", "legacy"])
def test_strange_but_honest_is_unclear(case, protocol, new, tmp_path):
    content = {"w": torch.ones(2, 3), "more": strange_objects()[case]}
    options = {"pickle_protocol": protocol, "_use_new_zipfile_serialization": new}
    report = judged_file(tmp_path / "x.pt", content, **options)
    assert report.exit_code == 3, report.findings
    assert {finding.rule for finding in report.findings} >= {"pickle-class"}
    assert "w" in report.contents["x.pt"].tensors


def plain_objects() -> dict[str, object]:
    """What every checkpoint may hold."""
    import numpy

    made = {
        "numbers": [1, -1, 1 << 200, 2.5, float("nan"), 1j, True, None],
        "text": ["", "é", "\ud800", "x" * 70_000, b"\x80\xff", bytearray(b"x")],
        "containers": [(1,), {2}, frozenset("ab"), {"a": {"b": [()]}}, OrderedDict(a=1)],
        "collections": [deque([1], 5), Counter("aab"), defaultdict(list, a=[1]), defaultdict()],
        "ranges": [range(3), slice(1, 2), ...],
        "keys": {1: 2, (1, "a"): 3, None: 4, 2.5: 5, 10**400: 7},
        "types": [torch.float8_e4m3fn, torch.device("cpu"), torch.Size([1, 2]), torch.strided],
        "factories": [int, dict, OrderedDict],
        "shared": [[1]] * 3,
        "numpy": [numpy.arange(6.0).reshape(2, 3), numpy.float32(1), numpy.array(["a", "bc"])],
        "more of numpy": [numpy.zeros((0, 3)), numpy.asfortranarray(numpy.ones((2, 3)))],
        "objects of numpy": [numpy.array([None, "x", [1]], dtype=object), numpy.dtype("<f4")],
        "numbers of numpy": [numpy.int64(3), numpy.bool_(True), numpy.complex64(1j)],
        "structures of numpy": [
            numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
            numpy.zeros(2, dtype=[("a", "i4", (3,)), ("b", [("c", "U2")])]),
            numpy.zeros(2, dtype=numpy.dtype([("a", "i1"), ("b", "f8")], align=True)),
        ],
        "dates of numpy": [numpy.array(["2024-01-02"], dtype="M8[D]")],
        "generators": [numpy.random.RandomState(0).get_state(), random.getstate()],
    }
    cycle: list = [1]
    cycle.append(cycle)
    made["a cycle"] = cycle
    return made


Pair = namedtuple("Pair", "a b")


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize("content", [Pair(1, [2.0]), Colour.RED, {"c": (Colour.RED, Pair(0, {}))}])
def test_small_classes_of_others_are_unclear_not_dangerous(content):
    for protocol in (2, 4):
        level, found = pickle_streams.judged(tool, pickle.dumps(content, protocol))
        assert level == tool.UNCLEAR, found


@pytest.mark.parametrize("case", plain_objects())
@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_good(case, protocol):
    content = pickle.dumps(plain_objects()[case], protocol)
    level, found = pickle_streams.judged(tool, content)
    if case == "ranges" and protocol >= 0:  # Ellipsis is a name, called nowhere
        assert level in ("", tool.UNCLEAR), found
    else:
        assert level == "", found or tool.read_pickle(content).refused
    assert found.end == len(content)


@pytest.mark.parametrize("protocol", range(6))
def test_tensors_that_pickle_itself_writes(protocol):
    """Their storage is a torch file of its own, in a string of bytes."""
    content = {"w": torch.arange(6.0).reshape(2, 3), "p": torch.nn.Parameter(torch.ones(2))}
    level, found = pickle_streams.judged(tool, pickle.dumps(content, protocol))
    assert level == "", found
    shapes = {name: tensor.shape for name, tensor in tool.tensors_in(found.value).items()}
    assert shapes == {"w": (2, 3), "p": (2,)}


@pytest.mark.filterwarnings("ignore")
def test_what_the_trainer_and_dcp_write(tmp_path):
    import torch.distributed.checkpoint as dcp
    from transformers import GPT2Config, GPT2LMHeadModel, TrainingArguments

    size = {"vocab_size": 32, "n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 2}
    model = GPT2LMHeadModel(GPT2Config(**size, bos_token_id=0, eos_token_id=0))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(1, 4, dtype=torch.long)).logits.sum().backward()
    optimizer.step()
    report = judged_file(tmp_path / "optimizer.pt", optimizer.state_dict())
    assert report.exit_code == 0, report.findings
    tensors = report.contents["optimizer.pt"].tensors
    assert len(tensors) == 3 * len(list(model.parameters()))
    assert "state.0.exp_avg" in tensors
    report = judged_file(tmp_path / "model.pt", model)
    assert report.exit_code == 3, report.findings
    assert len(report.contents["model.pt"].tensors) >= len(model.state_dict())
    torch.save(TrainingArguments(output_dir="x", report_to=[], use_cpu=True), tmp_path / "a.bin")
    level, found = pickle_streams.judged(tool, pickle_of(tmp_path / "a.bin"))
    assert level == ""
    assert found.names & tool.TRAINER
    dcp.save({"model": model.state_dict()}, checkpoint_id=tmp_path / "dcp", no_dist=True)
    metadata = (tmp_path / "dcp/.metadata").read_bytes()
    assert pickle_streams.judged(tool, metadata)[0] == tool.UNCLEAR


def pickle_of(path: Path) -> bytes:
    """The pickle of a torch file."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith("data.pkl")]
        return archive.read(names[0])


# --- the right number of tensors


def nested(chance: random.Random, kept: list[torch.Tensor], depth: int) -> object:
    """Something that holds tensors at any depth, some of them more than once."""
    way = chance.randrange(8 if depth else 3)
    if way == 0:
        return chance.choice(kept)
    if way == 1:
        return torch.zeros([chance.randint(0, 3) for _ in range(chance.randint(0, 3))])
    if way == 2:
        return chance.choice([1, "x", None, (), chance.choice(kept)[:1]])
    count = chance.randint(0, 4)
    items = [nested(chance, kept, depth - 1) for _ in range(count)]
    if way == 3:
        return items
    if way == 4:
        return tuple(items)
    if way == 5:
        return OrderedDict((f"k{number}", item) for number, item in enumerate(items))
    if way == 6:
        return [(f"layer.{number}", item) for number, item in enumerate(items)]
    return {chance.choice([f"k{number}", number]): item for number, item in enumerate(items)}


def tensors_of(value: object, seen: set[int]) -> list[tuple[int, ...]]:
    """The shapes of all tensors in what torch.load gives."""
    if isinstance(value, torch.Tensor):
        return [tuple(value.shape)]
    if not isinstance(value, (list, tuple, dict)) or (id(value) in seen and len(value)):
        return []
    seen.add(id(value))
    found = []
    for item in value.values() if isinstance(value, dict) else value:
        found += tensors_of(item, seen)
    return found


@pytest.mark.parametrize("new", [True, False], ids=["ZIP", "legacy"])
def test_as_many_tensors_as_torch_loads(new, tmp_path):
    for seed in range(150):
        chance = random.Random(seed)
        base = torch.arange(24.0).reshape(4, 6)
        kept = [base, base[1:, ::2], base.t(), torch.nn.Parameter(base[0]), base.to(torch.bfloat16)]
        content = nested(chance, kept, 4)
        path = tmp_path / f"{seed}.pt"
        torch.save(content, path, _use_new_zipfile_serialization=new)
        loaded = torch.load(path, weights_only=True)
        report = tool.verify(path)
        wanted = sorted(tensors_of(loaded, set()))
        assert report.exit_code == (0 if wanted else 2), (seed, report.findings)
        weights = report.contents.get(path.name)
        shapes = sorted(tensor.shape for tensor in weights.tensors.values()) if weights else []
        assert shapes == wanted, seed


NAMED = {
    "a lone tensor": (torch.ones(3), {""}),
    "a pair": (("w", torch.ones(3)), {"w"}),
    "pairs": ([("a", torch.ones(1)), ("b.c", torch.ones(2))], {"a", "b.c"}),
    "a list": ([torch.ones(1), torch.ones(2)], {"0", "1"}),
    "nested": ({"model": {"w": torch.ones(1)}, "step": 1}, {"model.w"}),
    "a name twice": ({"a": {"b": torch.ones(1)}, "a.b": torch.ones(2)}, None),
    "keys of many kinds": ({1: torch.ones(1), None: torch.ones(2), (1, 2): torch.ones(3)}, None),
    "a huge key": ({10**5000: torch.ones(1)}, None),
}


@pytest.mark.parametrize("case", NAMED)
def test_names_of_tensors(case, tmp_path):
    content, names = NAMED[case]
    report = judged_file(tmp_path / "x.pt", content)
    assert report.exit_code == 0, report.findings
    found = report.contents["x.pt"].tensors
    assert len(found) == len(tensors_of(torch.load(tmp_path / "x.pt", weights_only=False), set()))
    assert names is None or set(found) == names


def test_subclasses_sparse_and_quantized_tensors_are_counted(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    content = {
        "sparse": base.to_sparse(),
        "csr": base.to_sparse_csr(),
        "quantized": torch.quantize_per_tensor(base, 0.1, 0, torch.qint8),
        "meta": torch.empty(3, device="meta"),
        "conjugate": torch.ones(2, dtype=torch.complex64).conj(),
    }
    report = judged_file(tmp_path / "x.pt", content)
    assert report.exit_code == 0, report.findings
    names = set(report.contents["x.pt"].tensors)
    for name in content:
        assert any(own == name or own.startswith(f"{name}.") for own in names), name


# --- what wants time or memory without end


def long(count: int) -> bytes:
    return struct.pack("<I", count)


def storage_in_bytes(count: int) -> bytes:
    """A storage as pickle.dump writes it, with a pickle inside that does nothing for long."""
    data = b"\x80\x02" + storage("0", 1, False) + b"N0" * count + b"."
    return legacy(data, {"0": [1.0]})


def greedy(count: int) -> dict[str, bytes]:
    """Pickles of about so many opcodes."""
    doubled = b"K\0" + b"q\x010h\x01h\x01\x86" * 90  # a tuple of 2^90 numbers
    object_array = WRAPPER + b"}(" + text("shape") + b"K\1\x85" + text("dtype") + DTYPE + b"ub"
    dtype = b"cnumpy\ndtype\n" + text("f8") + b"\x89\x88\x87R"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\1b\x87R"
    inside = storage_in_bytes(count // 10)
    rebuilder = b"ctorch._utils\n_rebuild_tensor_v2\n"
    sides = b"(" + b"K\2" * (count // 4) + b"t"
    return {
        "doubles as arguments": b"cbuiltins\nslice\n(" + doubled + b"NNtR.",
        "doubles as a key": b"}" + doubled + b"Ns.",
        "doubles as a value": b"}" + text("w") + doubled + b"s.",
        "doubles as a name": doubled * 2 + b"\x93.",
        "doubles as a persistent id": doubled + b"Q.",
        "doubles as a dtype": b"cnumpy\ndtype\n(" + text("f8") + doubled + b"\x88tR.",
        "doubles as a tensor": rebuilder + b"(" + doubled * 4 + b"tR.",
        "doubles as a state": b"ctorch.nn.parameter\nParameter\n)R(" + doubled + b"NNtb.",
        "doubles for a deque": b"ccollections\ndeque\n(" + doubled + b"tR.",
        "doubles for an enum": b"some.where\nMyType\n(" + doubled + b"tR.",
        "lists of their doubles": b"]" + b"q\x010](h\x01h\x01e" * 900 + b".",
        "deep tuples": b"N" + b"\x85" * count + b".",
        "deep lists": b"]" * (count // 2) + b"a" * (count // 2 - 1) + b".",
        "deep dictionaries": b"}" + b"K\1}" * (count // 3) + b"s" * (count // 3) + b".",
        "deep marks": b"(" * (count // 2) + b"t" * (count // 2) + b".",
        "a cycle": b"]q\0h\0a}q\1K\1h\1sa.",
        "a list copied": b"]("
        + b"K\1" * count
        + b"eq\x010cbuiltins\nset\nq\x020"
        + b"h\x02h\x01\x85R0" * (count // 5)
        + b".",
        "pairs copied": b"]("
        + b"NN\x86" * (count // 3)
        + b"eq\x010ccollections\nOrderedDict\nq\x020"
        + b"h\x02h\x01\x85R0" * (count // 5)
        + b".",
        "arguments used again": b"("
        + b"K\1" * count
        + b"tq\x010cbuiltins\nset\nq\x020"
        + b"h\x02h\x01R0" * (count // 4)
        + b".",
        "bytes read again": b"ctorch.storage\n_load_from_bytes\nq\x02B"
        + long(len(inside))
        + inside
        + b"\x85q\x010"
        + b"h\x02h\x01R0" * (count // 4)
        + b".",
        "arrays in arrays of joblib": (object_array + b"\x80\x04") * (count // 50) + b"N.",
        "a state read again": WRAPPER.removesuffix(b")\x81")
        + b"q\x01)\x81}("
        + b"K\1N" * (count // 4)
        + b"uq\x02b0"
        + b"h\x01)\x81h\x02b0" * (count // 6)
        + b".",
        "an array of many sides": array + b"(K\1(" + b"K\1" * count + b"t" + dtype + b"\x89C\0tb.",
        "sides of many digits": array
        + b"(K\1("
        + b"\x8b"
        + long(200)
        + b"\x7f" * 200
        + b"q\1"
        + b"h\1" * count
        + b"t"
        + dtype
        + b"\x89C\0tb.",
        "a tensor of many sides": rebuilder
        + b"("
        + storage("0", 1, False)
        + b"K\0"
        + sides * 2
        + b"\x89NtR.",
        "a long number": b"\x8b" + long(40 << 20) + b"\x7f" * (40 << 20) + b".",
        "a long number as a key": b"}\x8b" + long(40 << 20) + b"\x7f" * (40 << 20) + b"Ns.",
        "a long number in text": b"I" + b"9" * (20 << 20) + b"\n.",
        "a long place in the memo": b"Np" + b"9" * (20 << 20) + b"\n.",
        "a long fraction": b"F" + b"9" * (20 << 20) + b"\n.",
        "a long name": b"c" + b"a." * (10 << 20) + b"b\nc\n.",
        "wrong numbers": b"Ix\n0" * (count // 2) + b".",
        "wrong persistent ids": b"Nq\1" + b"h\1Q0" * (count // 3) + b".",
        "many names": b"".join(b"csome.m%d\nC\n0" % number for number in range(count // 2)) + b"N.",
        "many bad names": b"".join(b"cos\nm%d\n0" % number for number in range(count // 2)) + b"N.",
        "many places": b"N" + b"".join(b"r" + long(number) for number in range(count)) + b".",
        "many storages": b"("
        + text("storage")
        + b"ctorch\nFloatStorage\n"
        + text("0")
        + text("cpu")
        + b"K\1tq\1"
        + b"h\1Q0" * (count // 3)
        + b".",
        "names that are no ASCII": b"U\xfe"
        + b"\xc3\xa9" * 127
        + b"q\1"
        + b"h\1h\1\x930" * (count // 4)
        + b".",
        "the memo asks for memory": b"Nr\xff\xff\xff\x7f.",
        "a range": b"cbuiltins\nlist\ncbuiltins\nrange\nJ\xff\xff\xff\x7f\x85R\x85R.",
        "repeated text": b"cbuiltins\nbytes\nJ\xff\xff\xff\x7f\x85R.",
        "a deque without end": b"ccollections\ndeque\ncitertools\nrepeat\nN\x85R\x85R.",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of memory")
@pytest.mark.parametrize("case", greedy(100))
def test_greedy_pickles_end_within_memory(case, tmp_path):
    import resource

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x04" + greedy(300_000)[case])
    command = [sys.executable, "-I", "-S", "-X", "utf8", tool.__file__, path]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=60, preexec_fn=limited
    )
    assert done.returncode in (0, 1, 2, 3), done.stderr
    assert "lỗi của chính công cụ" not in done.stdout
    assert "quá sâu: không soi được" not in done.stdout  # a recursion of our own
    if path.stat().st_size < 200 and b"R" in path.read_bytes():
        assert done.returncode == 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(bool(pickle_streams.search(tool, options.count, options.seed)))
