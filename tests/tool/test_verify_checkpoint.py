"""The checkpoint inspector: sees every damage, raises no false alarm, runs nothing, survives anything."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from conftest import ROOT, environment

TOOL = ROOT / "examples/fine-tuning/saving-and-loading/verify_checkpoint.py"
SPEC = importlib.util.spec_from_file_location("verify_checkpoint", TOOL)
tool = sys.modules["verify_checkpoint"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)


def many(count: int) -> settings:
    """The same cases on every run, however slow the machine."""
    return settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def look(path: Path, manifest: Path | None = None):
    """Inspect; whatever is found, nothing may have gone uncaught."""
    report = tool.inspect(path, manifest)
    assert report.uncaught == []
    return report


def said(report) -> str:
    """All that a report says."""
    return "\n".join(map(str, report.findings))


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    """Good checkpoints of every form, each in a folder of its own, by name."""
    from transformers import GPT2Config, GPT2LMHeadModel

    base = tmp_path_factory.mktemp("good")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=64, n_positions=8, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    model = GPT2LMHeadModel(config)
    model.save_pretrained(base / "single")
    model.save_pretrained(base / "sharded", max_shard_size="3KB")
    for name in ("single", "sharded"):
        tokenizer = {
            "version": "1.0",
            "added_tokens": [],
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 63}},
        }
        (base / name / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    model.to(torch.bfloat16).save_pretrained(base / "bfloat16")
    untied = GPT2LMHeadModel(GPT2Config(**{**config.to_dict(), "tie_word_embeddings": False}))
    untied.save_pretrained(base / "untied")
    (base / "torch").mkdir()
    torch.save(model.state_dict(), base / "torch/model.pt")
    (base / "legacy").mkdir()
    torch.save(model.state_dict(), base / "legacy/model.pt", _use_new_zipfile_serialization=False)
    (base / "pytorch").mkdir()
    shutil.copy(base / "single/config.json", base / "pytorch")
    torch.save(model.float().state_dict(), base / "pytorch/pytorch_model.bin")
    trainer_like(base, model)
    return base


def trainer_like(base: Path, model: torch.nn.Module) -> None:
    """A folder as the Trainer leaves it, with the pickles that it writes."""
    import numpy
    from transformers import TrainingArguments

    folder = base / "run/checkpoint-20"
    model.save_pretrained(folder)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(1, 4, dtype=torch.long)).logits.sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    torch.save(schedule.state_dict(), folder / "scheduler.pt")
    states = {
        "python": random.getstate(),
        "numpy": numpy.random.get_state(),
        "cpu": torch.get_rng_state(),
    }
    torch.save(states, folder / "rng_state.pth")
    (folder / "trainer_state.json").write_text('{"log_history": [{"loss": NaN}]}', encoding="utf-8")
    try:
        torch.save(
            TrainingArguments(output_dir="x", report_to=[], use_cpu=True),
            folder / "training_args.bin",
        )
    except (
        ImportError
    ):  # needs accelerate, which the project does not install: the same names, by hand
        kinds = b"\x80\x02ctransformers.training_args\nTrainingArguments\n)\x81}X\x01\x00\x00\x00sctransformers."
        kinds += b"trainer_utils\nIntervalStrategy\nX\x02\x00\x00\x00no\x85Rsb."
        with zipfile.ZipFile(folder / "training_args.bin", "w") as archive:
            archive.writestr("training_args/data.pkl", kinds)
            archive.writestr("training_args/version", "3\n")


FORMS = ["single", "sharded", "bfloat16", "untied", "torch", "legacy", "pytorch", "run"]


@pytest.mark.parametrize("name", FORMS)
def test_no_false_alarm_on_what_the_libraries_write(good, name, tmp_path):
    report = look(good / name)
    assert report.exit_code == 0, said(report)
    shutil.copytree(good / name, tmp_path / "copy")
    assert tool.main([str(tmp_path / "copy"), "--write-manifest"]) == 0
    assert "đúng bản kê" in look(tmp_path / "copy").verdict


def honest(folder: Path):
    """Many honest single files: (name, path)."""
    generator = torch.Generator().manual_seed(0)
    kinds = [
        torch.float64,
        torch.float32,
        torch.bfloat16,
        torch.float16,
        torch.float8_e4m3fn,
        torch.float8_e5m2,
    ]
    kinds += [
        torch.int8,
        torch.uint8,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.bool,
        torch.complex64,
    ]
    kinds += [torch.uint16, torch.uint32, torch.uint64]
    shapes = [(), (0,), (3, 0, 2), (1,), (7,), (3, 5), (2, 3, 4)]
    for kind in kinds:
        tensors = {
            f"t{i}": torch.rand(shape, generator=generator).to(kind)
            for i, shape in enumerate(shapes)
        }
        yield save_file, tensors, f"{kind}.safetensors"
        yield torch.save, tensors, f"{kind}.pt"
    yield save_file, {}, "none.safetensors"
    yield (
        save_file,
        {f"layer.{i}.tên «lạ»": torch.zeros(i % 3) for i in range(10_000)},
        "many.safetensors",
    )
    yield torch.save, {f"layer.{i}": torch.zeros(i % 3) for i in range(2_000)}, "many.pt"
    base = torch.randn(6, 6, generator=generator)
    views = {"a": base, "b": base[1:, ::2], "c": base.t(), "d": base[0].expand(4, 6), "e": base[6:]}
    yield torch.save, views, "views.pt"
    more = {
        "p": torch.nn.Parameter(base),
        "s": base.to_sparse(),
        "size": base.size(),
        "dtype": base.dtype,
        "x": 1j,
    }
    more |= {
        "q": torch.quantize_per_tensor(base, 0.1, 0, torch.qint8),
        "device": base.device,
        "set": {1, "hai"},
    }
    more |= {
        "deep": [({"k": (base, [base])},)],
        "bytes": b"\x80\xff",
        "big": 1 << 200,
        "none": None,
    }
    yield torch.save, more, "more.pt"
    yield torch.save, base, "tensor.pt"
    yield torch.save, [], "nothing.pth"
    yield torch.save, {"text": "x" * 5000, "numbers": list(range(5000))}, "plain.bin"


@pytest.mark.filterwarnings("ignore")
def test_no_false_alarm_on_honest_files(tmp_path):
    seen = 0
    for save, content, name in honest(tmp_path):
        path = tmp_path / name
        save(content, path)
        paths = [path]
        if save is torch.save:
            for label, options in {
                "deflated": {"compression": 8},
                "stored": {},
                "with folders": {},
            }.items():
                again = path.with_name(f"{label}-{name}")
                with (
                    zipfile.ZipFile(path) as source,
                    zipfile.ZipFile(again, "w", **options) as target,
                ):
                    if label == "with folders":
                        target.writestr(f"{source.namelist()[0].partition('/')[0]}/", "")
                    for entry in source.namelist():
                        target.writestr(entry, source.read(entry))
                paths.append(again)
            protocol4, old = path.with_name(f"p4-{name}"), path.with_name(f"old-{name}")
            torch.save(content, protocol4, pickle_protocol=4)
            torch.save(content, old, _use_new_zipfile_serialization=False)
            paths += [protocol4, old]
        for path in paths:
            report = look(path)
            assert report.exit_code == 0, (path.name, said(report))
            seen += 1
    plain = tmp_path / "plain.pkl"
    for protocol in range(6):
        plain.write_bytes(pickle.dumps({"a": [1, 2.5, "x", None, True, (1,), {2}, b"y"]}, protocol))
        assert look(plain).exit_code == 0, said(look(plain))
    assert seen >= 120


# --- damage

DAMAGES = ["flip", "cut", "append", "zero", "swap", "missing", "extra"]


@pytest.fixture(scope="session")
def listed(good, tmp_path_factory):
    """Good folders with a manifest, each to be damaged and mended in place."""
    base = tmp_path_factory.mktemp("listed")
    folders = {}
    for name in ("single", "sharded", "torch", "legacy"):
        folders[name] = base / name
        shutil.copytree(good / name, folders[name])
        assert tool.main([str(folders[name]), "--write-manifest"]) == 0
    return folders


def damaged(folder: Path, way: str, data: st.DataObject):
    """Damage one file of a folder; give back how to mend it and whether the damage is of a kind to be seen alone."""
    files = sorted(path for path in folder.iterdir() if path.name != tool.MANIFEST)
    path = data.draw(st.sampled_from(files))
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    if way == "flip":
        changed = bytearray(content)
        changed[place] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(changed)
    elif way == "cut":
        path.write_bytes(content[:place])
    elif way == "append":
        path.write_bytes(content + data.draw(st.binary(min_size=1, max_size=40)))
    elif way == "zero":
        end = data.draw(st.integers(place + 1, len(content)))
        if not any(content[place:end]):
            return None
        path.write_bytes(content[:place] + bytes(end - place) + content[end:])
    elif way == "swap":
        other = data.draw(st.sampled_from(files))
        both = other.read_bytes()
        if both == content:
            return None
        path.write_bytes(both)
        other.write_bytes(content)
        return lambda: (path.write_bytes(content), other.write_bytes(both)), path
    elif way == "missing":
        path.unlink()
    else:
        strange = folder / data.draw(
            st.sampled_from(["extra.bin", "a.txt", ".hidden", "model-x.safetensors"])
        )
        strange.write_bytes(data.draw(st.binary(max_size=40)))
        return strange.unlink, strange
    return lambda: path.write_bytes(content), path


@pytest.mark.parametrize("way", DAMAGES)
@pytest.mark.parametrize("name", ["single", "sharded", "torch", "legacy"])
def test_a_manifest_sees_every_damage(listed, name, way):
    @many(100)
    @given(st.data())
    def every(data):
        done = damaged(listed[name], way, data)
        if done is None:
            return
        mend, path = done
        try:
            report = look(listed[name])
            assert report.exit_code == 1, (path.name, way)
        finally:
            mend()

    every()
    assert look(listed[name]).exit_code == 0  # all was mended: each case began good


@pytest.mark.parametrize("way", ["cut", "append"])
@pytest.mark.parametrize("name", ["single/model.safetensors", "torch/model.pt", "legacy/model.pt"])
def test_torn_and_padded_files_are_seen_without_a_manifest(good, tmp_path, name, way):
    content = (good / name).read_bytes()
    path = tmp_path / Path(name).name

    @many(150)
    @given(st.integers(0, len(content) - 1), st.binary(min_size=1, max_size=60))
    def every(place, more):
        path.write_bytes(content[:place] if way == "cut" else content + more)
        assert look(path).exit_code == 1

    every()


def test_a_zip_shows_flipped_bits_without_a_manifest(good, tmp_path):
    """Only what no reader uses may go unseen: times, versions, padding. Every bit of every record is covered."""
    content = (good / "torch/model.pt").read_bytes()
    path = tmp_path / "model.pt"
    covered = set()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            name, extra = struct.unpack(
                "<HH", content[info.header_offset + 26 : info.header_offset + 30]
            )
            begin = info.header_offset + 30 + name + extra
            covered.update(range(begin, begin + info.compress_size))
    missed = []

    @many(600)
    @given(st.integers(0, len(content) - 1), st.integers(0, 7))
    def every(place, bit):
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        if look(path).exit_code == 0:
            missed.append(place)

    every()
    assert not covered & set(missed)


def test_a_flipped_header_bit_of_safetensors_never_goes_uncaught(good, tmp_path):
    content = (good / "single/model.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    path = tmp_path / "model.safetensors"

    @many(400)
    @given(st.integers(0, 7 + length), st.integers(0, 7))
    def every(place, bit):
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        assert place >= 8 or look(path).exit_code == 1
        look(path)

    every()


def edit_json(path: Path, **changes) -> None:
    """Change keys of a JSON file."""
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, **changes}), encoding="utf-8")


FOLDER_DAMAGE = {
    "vocab_size": lambda f: edit_json(f / "config.json", vocab_size=65),
    "n_embd": lambda f: edit_json(f / "config.json", n_embd=16),
    "fewer layers": lambda f: edit_json(f / "config.json", n_layer=1),
    "more layers": lambda f: edit_json(f / "config.json", n_layer=3),
    "untied": lambda f: edit_json(f / "config.json", tie_word_embeddings=False),
    "config torn": lambda f: (f / "config.json").write_text(
        '{"model_type": "gpt2"', encoding="utf-8"
    ),
    "config too deep": lambda f: (f / "config.json").write_text(
        '{"architectures":' + "[" * 980 + "]" * 980 + "}", encoding="utf-8"
    ),
    "config far too deep": lambda f: (f / "config.json").write_text("[" * 99_999, encoding="utf-8"),
    "config a list": lambda f: (f / "config.json").write_text("[]", encoding="utf-8"),
    "tokenizer too big": lambda f: edit_json(
        f / "tokenizer.json", added_tokens=[{"id": 64, "content": "x"}]
    ),
    "tokenizer odd": lambda f: edit_json(f / "tokenizer.json", model=[]),
    "shard missing": lambda f: next(f.glob("model-00002*")).unlink(),
    "shard stray": lambda f: shutil.copy(
        next(f.glob("model-00001*")), f / "model-00001-of-00009.safetensors"
    ),
    "shards swapped": lambda f: shutil.copy(
        next(f.glob("model-00001*")), next(f.glob("model-00002*"))
    ),
    "index missing": lambda f: (f / "model.safetensors.index.json").unlink(),
    "index empty": lambda f: (f / "model.safetensors.index.json").write_text(
        "{}", encoding="utf-8"
    ),
    "stale single file": lambda f: shutil.copy(
        next(f.glob("model-00001*")), f / "model.safetensors"
    ),
    "folder for a file": lambda f: (f / "model.safetensors").mkdir(),
    "outside": lambda f: edit_json(
        f / "model.safetensors.index.json", weight_map={"a": "../x.safetensors"}
    ),
    "absolute": lambda f: edit_json(
        f / "model.safetensors.index.json", weight_map={"a": "/x.safetensors"}
    ),
    "all shards gone": lambda f: [path.unlink() for path in f.glob("*-of-*")],
}


@pytest.mark.parametrize("damage", FOLDER_DAMAGE)
def test_a_folder_that_contradicts_itself(good, tmp_path, damage):
    folder = tmp_path / "model"
    shutil.copytree(good / "sharded", folder)
    FOLDER_DAMAGE[damage](folder)
    report = look(folder)
    assert report.exit_code == 1, said(report)


def test_ties_in_the_file_must_agree_with_the_config(good, tmp_path):
    shutil.copytree(good / "untied", tmp_path / "model")
    edit_json(tmp_path / "model/config.json", tie_word_embeddings=True)
    assert "khác nhau" in said(look(tmp_path / "model"))
    shutil.copytree(good / "pytorch", tmp_path / "pytorch")
    assert look(tmp_path / "pytorch").exit_code == 0
    edit_json(tmp_path / "pytorch/config.json", n_layer=3)
    assert look(tmp_path / "pytorch").exit_code == 1


def test_nan_is_a_warning_and_only_where_it_is(tmp_path):
    kinds = [
        torch.float64,
        torch.float32,
        torch.bfloat16,
        torch.float16,
        torch.float8_e4m3fn,
        torch.float8_e5m2,
    ]
    for kind in [*kinds, torch.complex64]:
        clean = torch.linspace(-300, 300, 999).to(kind)
        largest = torch.full((5,), torch.finfo(kind).max, dtype=torch.float64)
        tensors = {"a": clean, "b": largest.to(kind), "c": (-largest).to(kind)}
        save_file(tensors, tmp_path / "x.safetensors")
        assert "NaN" not in said(look(tmp_path / "x.safetensors")), kind
        clean[997] = torch.tensor(float("nan")).to(kind)
        save_file(tensors, tmp_path / "x.safetensors")
        report = look(tmp_path / "x.safetensors")
        assert report.exit_code == 0
        assert "1 tensor có NaN" in said(report), kind


# --- hostile pickles


def command(marker: Path) -> str:
    return f"touch {marker}"


def by_global(marker: Path) -> bytes:
    return f"cposix\nsystem\n(S'{command(marker)}'\ntR.".encode()


class Evil:
    """Runs a command when unpickled."""

    def __init__(self, marker: Path) -> None:
        """Remember the file that the command makes."""
        self.marker = marker

    def __reduce__(self):
        """Tell pickle to call os.system."""
        return os.system, (command(self.marker),)


def zipped(content: bytes, **more: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", content)
        for name, data in {"version": b"3\n", **more}.items():
            archive.writestr(f"a/{name}", data)
    return buffer.getvalue()


def saved(content: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def by_memo(marker: Path) -> bytes:
    text = command(marker).encode()
    strings = b"\x8c\x05posix\x94\x8c\x06system\x940\x30h\x00h\x01\x93"
    return b"\x80\x04" + strings + b"\x8c" + bytes([len(text)]) + text + b"\x85R."


GOOD_PICKLE = pickle.dumps({}, 2)
EVIL = {
    "GLOBAL": by_global,
    "STACK_GLOBAL": lambda m: pickle.dumps(Evil(m), 4),
    "STACK_GLOBAL by memo": by_memo,
    "INST": lambda m: f"(S'{command(m)}'\niposix\nsystem\n.".encode(),
    "OBJ": lambda m: f"(cposix\nsystem\nS'{command(m)}'\no.".encode(),
    "nested": lambda m: pickle.dumps({"weights": [1, {"x": (Evil(m),)}]}, 2),
    "thrown away": lambda m: by_global(m)[:-1] + b"0}.",
    "then torn": lambda m: by_global(m)[:-1] + b"\xff",
    "with padding": lambda m: by_global(m) + b"x" * 100,
    "second pickle": lambda m: pickle.dumps(0x1950A86A20F9469CFC6C, 2) + by_global(m),
    "zip": lambda m: zipped(by_global(m)),
    "torchscript": lambda m: zipped(GOOD_PICKLE, **{"constants.pkl": GOOD_PICKLE}),
    "zip, another pickle": lambda m: zipped(pickle.dumps({}), **{"more.pkl": by_global(m)}),
    "among tensors": lambda m: saved({"w": torch.ones(3), "x": Evil(m)}),
    "among tensors, legacy": lambda m: saved(
        {"w": torch.ones(3), "x": Evil(m)}, _use_new_zipfile_serialization=False
    ),
    "eval": lambda m: (
        f"c__builtin__\neval\n(S'__import__(\"os\").system({command(m)!r})'\ntR.".encode()
    ),
    "getattr": lambda m: b"\x80\x04cbuiltins\ngetattr\n\x8c\x02os\x8c\x06system\x86R.",
    "dotted": lambda m: b"\x80\x04\x8c\x0bcollections\x8c\x15OrderedDict.__class__\x93.",
    "escaped name": lambda m: b"c\\x63ollections\nOrderedDict\n.",
    "computed name": lambda m: b"\x80\x04N\x8c\x06system\x93.",
    "extension": lambda m: b"\x80\x02\x82\x01.",
    "patched function": lambda m: (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00a]sb."
    ),
    "called result": lambda m: b"\x80\x02ccollections\nOrderedDict\n)R)R.",
    "trainer called": lambda m: (
        b"\x80\x02ctransformers.training_args\nTrainingArguments\nX\x01\x00\x00\x00x\x85R."
    ),
    "trainer by proxy": lambda m: (
        b"\x80\x02ccollections\ndefaultdict\nctransformers.training_args\nTrainingArguments\n\x85R."
    ),
    "memory bomb": lambda m: b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "memory bomb by range": lambda m: (
        b"\x80\x02c__builtin__\nlist\nc__builtin__\nrange\nJ\xff\xff\xff\x7f\x85R\x85R."
    ),
    "memo bomb": lambda m: b"\x80\x02Nr\xff\xff\xff\x7f.",
    "whole model": lambda m: saved(torch.nn.Linear(2, 2)),
}


@pytest.mark.parametrize("name", EVIL)
def test_hostile_pickles_are_named_and_never_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "RAN"
    content = EVIL[name](marker)
    for file in ("x.pt", "x.bin", "x.pkl", "x.safetensors", "optimizer.pt"):
        (tmp_path / file).write_bytes(content)
        report = look(tmp_path / file)
        assert report.exit_code == 1, said(report)
        if not file.endswith(".safetensors"):
            assert "NGUY HIỂM" in report.verdict, said(report)
        assert tool.main([str(tmp_path / file)]) == 1
    if b"system" in content and b"posix" in content:
        assert "posix.system" in said(look(tmp_path / "x.pt"))
    assert look(tmp_path).exit_code == 1
    assert not marker.exists()
    if name == "GLOBAL":  # the marker is one that would be seen
        pickle.loads(content)
        assert marker.exists()


class Watched(pickle.Unpickler):
    """Python's own unpickler, made harmless: it notes the names that it is asked for and hands out a dummy."""

    def __init__(self, content: bytes) -> None:
        """Start with no name seen."""
        super().__init__(io.BytesIO(content))
        self.seen: set[str] = set()

    def find_class(self, module: str, name: str) -> type:
        """Note a name."""
        self.seen.add(f"{module} {name}")
        return Dummy

    def persistent_load(self, pid: object) -> object:
        """Any storage is the same."""
        return Dummy()


class Dummy(dict):
    """Takes everything, does nothing."""

    def __init__(self, *more: object, **named: object) -> None:
        """Take anything."""

    def __setstate__(self, state: object) -> None:
        """Take anything."""

    def __reduce__(self):
        """Never needed."""
        raise TypeError

    append = extend = add = update = __setstate__


@pytest.mark.filterwarnings("ignore:invalid escape")
def test_whatever_is_called_good_asks_only_for_known_names(tmp_path, monkeypatch):
    """Pickles cut and joined at random: what the real unpickler looks up, the reader has seen and allowed."""
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "RAN"
    kept = {"w": torch.ones(3), "n": [1, (2, "x")], "s": {1}}
    sources = [
        EVIL[name](marker)
        for name in EVIL
        if not name.startswith(("zip", "torchscript", "memory", "memo"))
    ]
    sources += [pickle.dumps({"a": [1, "posix", "system"]}, protocol) for protocol in range(6)]
    sources += [
        saved(kept, _use_new_zipfile_serialization=False, pickle_protocol=protocol)
        for protocol in (2, 4)
    ]
    with zipfile.ZipFile(io.BytesIO(saved(kept))) as archive:
        sources += [
            archive.read(name) for name in archive.namelist() if name.endswith("data.pkl")
        ] * 4
    called_good = []

    @many(1500)
    @given(
        st.lists(
            st.tuples(st.sampled_from(sources), st.integers(0, 400), st.integers(0, 400)),
            max_size=3,
        ),
        st.data(),
    )
    def every(parts, data):
        content = bytearray(data.draw(st.sampled_from(sources)))
        for source, begin, length in parts:
            place = data.draw(st.integers(0, len(content)))
            content[place : place + data.draw(st.integers(0, 9))] = source[begin : begin + length]
        content += b"."
        for _ in range(data.draw(st.integers(0, 2))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        try:
            found = tool.read_pickle(bytes(content), 0)
        except tool.Bad:
            return
        if found.refused:
            return
        real = Watched(bytes(content))
        with contextlib.suppress(Exception):
            real.load()
            called_good.append(content)
        assert real.seen <= tool.KNOWN & found.names

    every()
    assert len(called_good) >= 30
    assert not marker.exists()


# --- garbage


def test_random_bytes_are_never_good_and_never_uncaught(tmp_path):
    starts = [
        b"",
        b"PK\3\4",
        b"PK\5\6",
        b"\x80\x02",
        b"\x80\x04",
        b"\x80\x05\x95",
        struct.pack("<Q", 20) + b"{",
    ]

    @many(1500)
    @given(
        st.sampled_from(starts),
        st.binary(max_size=200),
        st.sampled_from([".safetensors", ".pt", ".bin", ".pkl"]),
    )
    def every(start, more, suffix):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(start + more)
        report = look(path)
        assert report.exit_code == 1 or (
            suffix != ".safetensors" and start + more
        )  # b"\x80\x02N." is a fair pickle

    every()


OPS = [op.code.encode("latin1") for op in __import__("pickletools").opcodes]
PIECES = [
    *OPS,
    b"collections\nOrderedDict\n",
    b"\x01",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\x7f",
    b"\x03abc",
    b"1\n",
]


def test_random_opcodes_never_go_uncaught(tmp_path):
    path = tmp_path / "x.pkl"

    @many(1500)
    @given(st.lists(st.sampled_from(PIECES), max_size=25))
    def every(pieces):
        path.write_bytes(b"\x80\x04" + b"".join(pieces) + b".")
        look(path)

    every()


ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 70), 1 << 70),
    st.sampled_from(
        [0, 4, 8, 16, 1 << 63, "F32", "BF16", "X", "", [0, 4], [4, 0], [2, 2], [1 << 62, 4], {}]
    ),
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


def test_structured_garbage_in_a_safetensors_header(tmp_path):
    """Random headers: nothing uncaught, and never good where the library refuses."""
    from safetensors import SafetensorError, safe_open

    path = tmp_path / "x.safetensors"
    agreed = []

    @many(1500)
    @given(
        st.dictionaries(
            st.sampled_from(["a", "b", "__metadata__", "\ud800"]), st.one_of(INFO, ATOMS)
        ),
        st.binary(),
    )
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
    assert len(agreed) >= 800


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


def raw_zip(*entries: tuple[str, bytes], **options) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, content in entries:
            archive.writestr(
                zipfile.ZipInfo(name), content, **({"compress_type": 8} if options else {})
            )
    return buffer.getvalue()


MISSING = b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x03tQ."
ZIPS = {
    "outside": raw_zip(("a/data.pkl", GOOD_PICKLE), ("a/../../b", b"")),
    "absolute": raw_zip(("/a/data.pkl", GOOD_PICKLE)),
    "drive": raw_zip(("C:/a/data.pkl", GOOD_PICKLE)),
    "NUL": raw_zip(("a/data.pkl", GOOD_PICKLE), ("a/bXc", b"")).replace(b"a/bXc", b"a/b\0c"),
    "twice": raw_zip(("a/data.pkl", GOOD_PICKLE), ("a/data.pkX", b"N.")).replace(
        b"data.pkX", b"data.pkl"
    ),
    "two roots": raw_zip(("a/data.pkl", GOOD_PICKLE), ("b/data.pkl", GOOD_PICKLE)),
    "no pickle": raw_zip(("a/version", b"3")),
    "no entry": raw_zip(),
    "something before": b"PK\3\4" + zipped(GOOD_PICKLE),
    "something after": zipped(GOOD_PICKLE) + b"x",
    "comment": zipped(GOOD_PICKLE)[:-2] + b"\1\0x",
    "bad CRC": zipped(GOOD_PICKLE).replace(GOOD_PICKLE, b"\x80\x02]q\x00."),
    "bomb": raw_zip(("a/data.pkl", GOOD_PICKLE), ("a/data/0", bytes(80 << 20)), compression=8),
    "storage missing": zipped(MISSING),
    "storage short": zipped(MISSING, **{"data/0": bytes(11)}),
}


@pytest.mark.parametrize("name", ZIPS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_bad_zips(name, tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(ZIPS[name])
    assert look(path).exit_code == 1
    if name == "storage missing":  # the same file is good once its storage is there
        path.write_bytes(zipped(MISSING, **{"data/0": bytes(12)}))
        assert look(path).exit_code == 0


def test_views_must_stay_inside_their_storage(tmp_path):
    path = tmp_path / "x.pt"
    content = saved({"w": torch.ones(3)})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        pickled = next(
            archive.read(name) for name in archive.namelist() if name.endswith("data.pkl")
        )
    assert b"K\x03\x85" in pickled
    for shape, code in (b"K\x03\x85", 0), (b"K\x02\x85", 0), (b"K\x04\x85", 1):
        path.write_bytes(zipped(pickled.replace(b"K\x03\x85", shape), **{"data/0": bytes(12)}))
        assert look(path).exit_code == code, said(look(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
def test_odd_things_in_a_folder(good, tmp_path):
    """Pipes, devices, links out, links in circles, names that are not UTF-8: said, never opened, never followed."""
    outside = tmp_path / "outside.safetensors"
    shutil.copy(good / "single/model.safetensors", outside)
    makers = {
        "pipe.pt": os.mkfifo,
        "device.bin": lambda path: path.symlink_to("/dev/zero"),
        "out.safetensors": lambda path: path.symlink_to(outside),
        "circle": lambda path: path.symlink_to(path),
        "nowhere": lambda path: path.symlink_to("nothing-there"),
        "up": lambda path: path.symlink_to("..", target_is_directory=True),
    }
    for name, make in makers.items():
        folder = tmp_path / f"with {name}"
        shutil.copytree(good / "single", folder)
        make(folder / name)
        report = look(folder)
        assert report.exit_code == 1, name
        assert name in said(report)
        assert name not in report.files
    folder = tmp_path / "inside"
    shutil.copytree(good / "single", folder)
    (folder / "again.safetensors").symlink_to("model.safetensors")
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe\n\x1b[31m.txt"))).write_text(
        "x", encoding="utf-8"
    )
    assert tool.main([str(folder), "--write-manifest"]) == 0
    report = look(folder)
    assert report.exit_code == 0, said(report)
    next(path for path in folder.iterdir() if b"\xff" in os.fsencode(path)).unlink()
    assert "\x1b" not in said(look(folder))
    assert look(folder).exit_code == 1
    pipe = tmp_path / "alone.pt"
    os.mkfifo(pipe)
    assert look(pipe).exit_code == 1
    assert tool.main([str(pipe)]) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_not_good(good, tmp_path):
    shutil.copytree(good / "single", tmp_path / "model")
    (tmp_path / "model/model.safetensors").chmod(0)
    assert look(tmp_path / "model").exit_code == 1


def test_an_error_of_the_system_is_not_good(good, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tool, "open_regular", refuse)
    report = look(good / "single")
    assert report.exit_code == 1
    assert "không đọc được" in said(report)


# --- manifest and command line


def test_the_manifest_is_sealed_and_never_overwritten(good, tmp_path, capsys):
    folder = tmp_path / "model"
    shutil.copytree(good / "single", folder)
    assert "không thấy được" in said(look(folder))
    assert tool.main([str(folder), "--write-manifest"]) == 0
    listing = folder / tool.MANIFEST
    before = listing.read_bytes()
    weights = (folder / "model.safetensors").read_bytes()
    told = json.loads(before)["files"]["model.safetensors"]
    assert told == {"bytes": len(weights), "sha256": hashlib.sha256(weights).hexdigest()}
    assert tool.main([str(folder), "--write-manifest"]) == 0
    (folder / "note.txt").write_text("x", encoding="utf-8")
    assert tool.main([str(folder), "--write-manifest"]) == 1
    assert listing.read_bytes() == before
    (folder / "note.txt").unlink()
    listing.rename(tmp_path / "kept.json")
    assert look(folder, tmp_path / "kept.json").exit_code == 0
    assert look(folder, tmp_path / "absent.json").exit_code == 1
    assert not list(tmp_path.rglob(".tmp*"))
    for place in range(0, len(before), 7):
        changed = bytearray(before)
        changed[place] ^= 1
        listing.write_bytes(changed)
        report = look(folder)
        same = json.loads(changed) == json.loads(before) if report.exit_code == 0 else False
        assert report.exit_code == 1 or same, place
    (folder / "model.safetensors").write_bytes(weights[:-1])
    listing.unlink()
    assert tool.main([str(folder), "--write-manifest"]) == 1
    assert not listing.exists()


def test_a_manifest_beside_a_single_file(good, tmp_path):
    path = tmp_path / "model.safetensors"
    shutil.copy(good / "single/model.safetensors", path)
    assert tool.main([str(path), "--write-manifest"]) == 0
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert look(path).exit_code == 1


def test_what_is_no_checkpoint_ends_with_two(tmp_path):
    (tmp_path / "letter.txt").write_text("x", encoding="utf-8")
    assert look(tmp_path).exit_code == 2
    assert look(tmp_path / "letter.txt").exit_code == 2
    assert look(tmp_path / "nowhere").exit_code == 2
    assert tool.main([str(tmp_path), "--write-manifest"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The tool as a person runs it, without site-packages."""
    command = [sys.executable, "-I", "-S", "-X", "utf8", str(TOOL), *map(str, words)]
    return subprocess.run(command, env=environment(), capture_output=True, encoding="utf-8")


def test_the_command_line_needs_only_the_standard_library(good, tmp_path):
    done = run(good / "sharded", "--json", tmp_path / "result.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1].startswith("TỐT")
    assert "gpt2" in done.stdout
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["exit_code"] == 0
    assert "model.safetensors.index.json" in result["files"]
    for words in (
        [tmp_path / "nowhere"],
        [],
        [good / "single", "--json", good / "single/x.json"],
        [good, "--json", "."],
    ):
        assert run(*words).returncode == 2, words
    assert run(good / "single", "--manifest", tmp_path / "absent.json").returncode == 2


def test_memory_stays_bounded(tmp_path):
    """A file of 48 MiB is read in pieces."""
    script = f"""
import importlib.util, sys, tracemalloc
spec = importlib.util.spec_from_file_location("v", {str(TOOL)!r})
v = sys.modules["v"] = importlib.util.module_from_spec(spec); spec.loader.exec_module(v)
tracemalloc.start()
assert v.inspect(sys.argv[1]).exit_code == 0
print(tracemalloc.get_traced_memory()[1])
"""
    big = torch.zeros(48 << 20, dtype=torch.uint8)
    save_file({"a": big}, tmp_path / "x.safetensors")
    torch.save({"a": big}, tmp_path / "x.pt")
    for name in ("x.safetensors", "x.pt"):
        done = subprocess.run(
            [sys.executable, "-c", script, tmp_path / name], capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) < 8 << 20
