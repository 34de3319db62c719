"""The checkpoint checker: no false alarm, every damage seen, a manifest that holds."""

from __future__ import annotations

import hashlib
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
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from checker import TOOL, entries_of, look, run, said, saved, tool, zip_of
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    """Good checkpoints of every form, each in a folder of its own, by name."""
    from transformers import GPT2Config, GPT2LMHeadModel

    base = tmp_path_factory.mktemp("good")
    torch.manual_seed(0)
    size = {"vocab_size": 64, "n_positions": 8, "n_embd": 8, "n_layer": 2, "n_head": 2}
    config = GPT2Config(**size, bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config)
    model.save_pretrained(base / "single")
    model.save_pretrained(base / "sharded", max_shard_size="3KB")
    tokenizer = {"version": "1.0", "added_tokens": []}
    tokenizer["model"] = {"type": "BPE", "vocab": {"a": 0, "b": 63}}
    for name in ("single", "sharded"):
        (base / name / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    model.to(torch.bfloat16).save_pretrained(base / "bfloat16")
    untied = GPT2LMHeadModel(GPT2Config(**{**config.to_dict(), "tie_word_embeddings": False}))
    untied.save_pretrained(base / "untied")
    for name in ("torch", "legacy", "pytorch"):
        (base / name).mkdir()
    (base / "torch/model.pt").write_bytes(saved(model.state_dict()))
    legacy = saved(model.state_dict(), _use_new_zipfile_serialization=False)
    (base / "legacy/model.pt").write_bytes(legacy)
    shutil.copy(base / "single/config.json", base / "pytorch")
    torch.save(model.float().state_dict(), base / "pytorch/pytorch_model.bin")
    save_like_the_trainer(base / "run/checkpoint-20", model)
    return base


def save_like_the_trainer(folder: Path, model: torch.nn.Module) -> None:
    """A folder as the Trainer leaves it, with the pickles that it writes."""
    import numpy
    from transformers import TrainingArguments

    model.save_pretrained(folder)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(1, 4, dtype=torch.long)).logits.sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    torch.save(schedule.state_dict(), folder / "scheduler.pt")
    states = {"python": random.getstate(), "numpy": numpy.random.get_state()}
    states["cpu"] = torch.get_rng_state()
    torch.save(states, folder / "rng_state.pth")
    (folder / "trainer_state.json").write_text('{"log_history": [{"loss": NaN}]}', encoding="utf-8")
    arguments = TrainingArguments(output_dir="x", report_to=[], use_cpu=True)
    torch.save(arguments, folder / "training_args.bin")


FORMS = ["single", "sharded", "bfloat16", "untied", "torch", "legacy", "pytorch", "run"]


@pytest.mark.parametrize("name", FORMS)
def test_no_false_alarm_on_what_the_libraries_write(good, name, tmp_path):
    report = look(good / name)
    assert report.exit_code == 0, said(report)
    shutil.copytree(good / name, tmp_path / "copy")
    assert tool.main([str(tmp_path / "copy"), "--write-manifest"]) == 0
    assert "đúng bản kê" in look(tmp_path / "copy").verdict


FLOATS = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
FLOATS += [torch.float8_e4m3fn, torch.float8_e5m2]
OTHERS = [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64]
OTHERS += [torch.bool, torch.complex64, torch.uint16, torch.uint32, torch.uint64]
SHAPES = [(), (0,), (3, 0, 2), (1,), (7,), (3, 5), (2, 3, 4)]


def honest_tensors() -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """Tensors of every type and shape, and very many of them."""
    generator = torch.Generator().manual_seed(0)
    for kind in FLOATS + OTHERS:
        tensors = {}
        for number, shape in enumerate(SHAPES):
            tensors[f"t{number}"] = torch.rand(shape, generator=generator).to(kind)
        yield str(kind), tensors
    yield "names", {f"layer.{number}.tên «lạ»": torch.zeros(number % 3) for number in range(99)}


def honest_objects() -> Iterator[tuple[str, object]]:
    """What torch.save takes besides."""
    base = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    rows = base[1:, ::2]
    yield "views.pt", {"a": base, "b": rows, "c": base.t(), "d": base[0].expand(4, 6)}
    more = {"p": torch.nn.Parameter(base), "s": base.to_sparse(), "size": base.size()}
    more |= {"q": torch.quantize_per_tensor(base, 0.1, 0, torch.qint8), "dtype": base.dtype}
    more |= {"device": base.device, "set": {1, "hai"}, "deep": [({"k": (base, [base])},)]}
    more |= {"x": 1j, "bytes": b"\x80\xff", "big": 1 << 200, "none": None}
    yield "more.pt", more
    yield "empty view.pt", base[6:]
    yield "tensor.pt", base
    yield "nothing.pth", []
    yield "plain.bin", {"text": "x" * 5000, "numbers": list(range(5000))}


def assert_good(path: Path) -> None:
    """No complaint; exit code 2 only where there is no tensor."""
    report = look(path)
    assert not report.levels & {tool.DANGER, tool.BROKEN, tool.UNCLEAR}, (path.name, said(report))
    assert report.exit_code == (0 if report.tensor_count else 2)


def assert_good_in_every_form(path: Path, content: object) -> None:
    """A ZIP as torch writes it and as others pack it again, other protocols, the old form."""
    entries = entries_of(saved(content))
    root = next(iter(entries)).partition("/")[0]
    forms = [
        saved(content),
        zip_of(entries),
        zip_of(entries, compression=zipfile.ZIP_DEFLATED),
        zip_of({f"{root}/": b"", **entries}),
        saved(content, pickle_protocol=4),
        saved(content, _use_new_zipfile_serialization=False),
    ]
    for form in forms:
        path.write_bytes(form)
        assert_good(path)


@pytest.mark.filterwarnings("ignore")
def test_no_false_alarm_on_honest_files(tmp_path):
    for name, tensors in honest_tensors():
        save_file(tensors, tmp_path / f"{name}.safetensors")
        assert_good(tmp_path / f"{name}.safetensors")
        assert_good_in_every_form(tmp_path / f"{name}.pt", tensors)
    layers = {f"layer.{number}": torch.zeros(number % 3) for number in range(10_000)}
    save_file(layers, tmp_path / "layers.safetensors")
    assert_good(tmp_path / "layers.safetensors")
    for name, content in honest_objects():
        assert_good_in_every_form(tmp_path / name, content)
    assert_good_in_every_form(tmp_path / "none.pt", {})
    plain = tmp_path / "plain.pkl"
    for protocol in range(6):
        plain.write_bytes(pickle.dumps({"a": [1, 2.5, "x", None, True, (1,), {2}, b"y"]}, protocol))
        assert_good(plain)


# --- damage


@pytest.fixture(scope="session")
def listed(good, tmp_path_factory):
    """Good folders with a manifest, each to be damaged and mended in place."""
    base = tmp_path_factory.mktemp("listed")
    for name in ("single", "sharded", "torch", "legacy"):
        shutil.copytree(good / name, base / name)
        assert tool.main([str(base / name), "--write-manifest"]) == 0
    return base


def flipped(content: bytes, place: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


def damaged(content: bytes, way: str, data: st.DataObject) -> bytes:
    """The content of a file, damaged somewhere; the same when there is nothing to damage."""
    place = data.draw(st.integers(0, len(content) - 1))
    if way == "flip":
        return flipped(content, place, data.draw(st.integers(0, 7)))
    if way == "cut":
        return content[:place]
    if way == "append":
        return content + data.draw(st.binary(min_size=1, max_size=40))
    end = data.draw(st.integers(place + 1, len(content)))
    return content[:place] + bytes(end - place) + content[end:]  # zeros


def contents_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.iterdir())}


def damage(folder: Path, way: str, data: st.DataObject) -> None:
    """Damage one file of a folder, or two, or add one."""
    files = sorted(folder.iterdir())
    path = data.draw(st.sampled_from(files))
    if way == "missing":
        path.unlink()
    elif way == "extra":
        names = ["extra.bin", "a.txt", ".hidden", "model-x.safetensors"]
        strange = folder / data.draw(st.sampled_from(names))
        strange.write_bytes(data.draw(st.binary(max_size=40)))
    elif way == "swap":
        other = data.draw(st.sampled_from(files))
        content = path.read_bytes()
        path.write_bytes(other.read_bytes())
        other.write_bytes(content)
    else:
        path.write_bytes(damaged(path.read_bytes(), way, data))


@pytest.mark.parametrize("way", ["flip", "cut", "append", "zero", "swap", "missing", "extra"])
@pytest.mark.parametrize("name", ["single", "sharded", "torch", "legacy"])
def test_a_manifest_sees_every_damage(listed, name, way, many):
    folder = listed / name
    whole = contents_of(folder)

    @many(100)
    @given(st.data())
    def every(data):
        damage(folder, way, data)
        now = contents_of(folder)
        code = look(folder).exit_code
        for path in now.keys() - whole.keys():
            path.unlink()
        for path, content in whole.items():
            if now.get(path) != content:
                path.write_bytes(content)
        assert code == (now != whole)

    every()


@pytest.mark.parametrize("way", ["cut", "append"])
@pytest.mark.parametrize("name", ["single/model.safetensors", "torch/model.pt", "legacy/model.pt"])
def test_torn_and_padded_files_are_seen_without_a_manifest(good, tmp_path, name, way, many):
    content = (good / name).read_bytes()
    path = tmp_path / Path(name).name

    @many(150)
    @given(st.data())
    def every(data):
        path.write_bytes(damaged(content, way, data))
        assert look(path).exit_code == 1

    every()


def test_a_zip_shows_flipped_bits_without_a_manifest(good, tmp_path, many):
    """Only what no reader uses may go unseen: times, versions, padding."""
    content = (good / "torch/model.pt").read_bytes()
    path = tmp_path / "model.pt"
    recorded = set()  # every byte of every record
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            lengths = struct.unpack_from("<HH", content, info.header_offset + 26)
            begin = info.header_offset + 30 + sum(lengths)
            recorded.update(range(begin, begin + info.compress_size))

    @many(600)
    @given(st.integers(0, len(content) - 1), st.integers(0, 7))
    def every(place, bit):
        path.write_bytes(flipped(content, place, bit))
        assert look(path).exit_code == 1 or place not in recorded

    every()


def test_a_flipped_header_bit_of_safetensors_never_goes_uncaught(good, tmp_path, many):
    content = (good / "single/model.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    path = tmp_path / "model.safetensors"

    @many(400)
    @given(st.integers(0, 7 + length), st.integers(0, 7))
    def every(place, bit):
        path.write_bytes(flipped(content, place, bit))
        code = look(path).exit_code
        assert place >= 8 or code == 1

    every()


# --- folders that contradict themselves


def edit_json(path: Path, **changes) -> None:
    """Change keys of a JSON file."""
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, **changes}), encoding="utf-8")


INDEX = "model.safetensors.index.json"
EDITED = {
    "vocab_size": ("config.json", {"vocab_size": 65}),
    "n_embd": ("config.json", {"n_embd": 16}),
    "fewer layers": ("config.json", {"n_layer": 1}),
    "more layers": ("config.json", {"n_layer": 3}),
    "untied": ("config.json", {"tie_word_embeddings": False}),
    "tokenizer too big": ("tokenizer.json", {"added_tokens": [{"id": 64, "content": "x"}]}),
    "tokenizer odd": ("tokenizer.json", {"model": []}),
    "outside": (INDEX, {"weight_map": {"a": "../x.safetensors"}}),
    "absolute": (INDEX, {"weight_map": {"a": "/x.safetensors"}}),
}
WRITTEN = {
    "config torn": ("config.json", '{"model_type": "gpt2"'),
    "config too deep": ("config.json", '{"architectures":' + "[" * 980 + "]" * 980 + "}"),
    "config far too deep": ("config.json", "[" * 99_999),
    "config a list": ("config.json", "[]"),
    "index empty": (INDEX, "{}"),
}


def assert_bad(folder: Path) -> None:
    report = look(folder)
    assert report.exit_code == 1, said(report)


@pytest.fixture
def sharded(good, tmp_path):
    """A folder of shards, to damage."""
    return shutil.copytree(good / "sharded", tmp_path / "model")


@pytest.mark.parametrize("name", EDITED)
def test_json_that_contradicts_the_weights(sharded, name):
    file, changes = EDITED[name]
    edit_json(sharded / file, **changes)
    assert_bad(sharded)


@pytest.mark.parametrize("name", WRITTEN)
def test_json_that_is_none(sharded, name):
    file, text = WRITTEN[name]
    (sharded / file).write_text(text, encoding="utf-8")
    assert_bad(sharded)


@pytest.mark.parametrize("pattern", ["model-00002*", "model-*-of-*", INDEX])
def test_shards_or_their_index_missing(sharded, pattern):
    for path in list(sharded.glob(pattern)):
        path.unlink()
    assert_bad(sharded)


@pytest.mark.parametrize("name", ["model.safetensors", "model-00002*"])
def test_a_shard_in_another_place(sharded, name):
    target = next(sharded.glob(name), sharded / name)
    shutil.copy(next(sharded.glob("model-00001*")), target)
    assert_bad(sharded)


def test_a_shard_of_another_set_is_only_said(sharded):
    """No loader reads it: the index does not name it."""
    shutil.copy(next(sharded.glob("model-00001*")), sharded / "model-00001-of-00009.safetensors")
    assert_good(sharded)
    assert "model-00001-of-00009" in said(look(sharded))


def test_a_folder_in_the_place_of_a_file(sharded):
    (sharded / "model.safetensors").mkdir()
    assert_bad(sharded)


def test_ties_in_the_file_must_agree_with_the_config(good, tmp_path):
    shutil.copytree(good / "untied", tmp_path / "model")
    edit_json(tmp_path / "model/config.json", tie_word_embeddings=True)
    assert "khác nhau" in said(look(tmp_path / "model"))
    shutil.copytree(good / "pytorch", tmp_path / "pytorch")
    assert_good(tmp_path / "pytorch")
    edit_json(tmp_path / "pytorch/config.json", n_layer=3)
    assert_bad(tmp_path / "pytorch")


@pytest.mark.parametrize("kind", [*FLOATS, torch.complex64], ids=str)
def test_nan_is_a_warning_and_only_where_it_is(tmp_path, kind):
    clean = torch.linspace(-300, 300, 999).to(kind)
    largest = torch.full((5,), torch.finfo(kind).max, dtype=torch.float64)
    tensors = {"a": clean, "b": largest.to(kind), "c": (-largest).to(kind)}
    save_file(tensors, tmp_path / "x.safetensors")
    assert "NaN" not in said(look(tmp_path / "x.safetensors"))
    clean[997] = torch.tensor(float("nan")).to(kind)
    save_file(tensors, tmp_path / "x.safetensors")
    report = look(tmp_path / "x.safetensors")
    assert report.exit_code == 0
    assert "1 tensor có NaN" in said(report)


# --- odd things in a folder


def make_odd(path: Path, outside: Path) -> None:
    """A pipe, a device, or a link that leads out, nowhere, up or to itself."""
    targets = {"device.bin": "/dev/zero", "out.safetensors": outside, "circle": path, "up": ".."}
    if path.name == "pipe.pt":
        os.mkfifo(path)
    else:
        path.symlink_to(targets.get(path.name, "nothing-there"), path.name == "up")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
@pytest.mark.parametrize(
    "name", ["pipe.pt", "device.bin", "out.safetensors", "circle", "nowhere", "up"]
)
def test_odd_things_are_said_never_opened_never_followed(good, tmp_path, name):
    outside = tmp_path / "outside.safetensors"
    shutil.copy(good / "single/model.safetensors", outside)
    folder = shutil.copytree(good / "single", tmp_path / "folder")
    make_odd(folder / name, outside)
    report = look(folder)
    outside = name in ("device.bin", "out.safetensors", "up")  # not looked at: more is not known
    assert report.exit_code == (3 if outside else 1)
    assert name in said(report)
    assert name not in report.files


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
def test_a_pipe_alone_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "alone.pt")
    assert look(tmp_path / "alone.pt").exit_code == 1
    assert tool.main([str(tmp_path / "alone.pt")]) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_links_inside_and_names_that_are_no_text_are_listed(good, tmp_path):
    folder = shutil.copytree(good / "single", tmp_path / "inside")
    (folder / "again.safetensors").symlink_to("model.safetensors")
    strange = Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe\n\x1b[31m.txt"))
    strange.write_text("x", encoding="utf-8")
    assert tool.main([str(folder), "--write-manifest"]) == 0
    assert_good(folder)
    strange.unlink()
    assert "\x1b" not in said(look(folder))
    assert look(folder).exit_code == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_not_good(good, tmp_path):
    shutil.copytree(good / "single", tmp_path / "model")
    (tmp_path / "model/model.safetensors").chmod(0)
    assert_bad(tmp_path / "model")


def test_an_error_of_the_system_is_not_good(good, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tool, "open_regular", refuse)
    report = look(good / "single")
    assert report.exit_code == 1
    assert "không đọc được" in said(report)


# --- manifest and command line


def test_the_manifest_is_never_overwritten(good, tmp_path, capsys):
    folder = tmp_path / "model"
    shutil.copytree(good / "single", folder)
    assert "chưa có bản kê" in said(look(folder))
    assert tool.main([str(folder), "--write-manifest"]) == 0
    listing = tmp_path / "model.SHA256SUMS"
    before = listing.read_bytes()
    assert hashlib.sha256(before).hexdigest() in capsys.readouterr().out
    weights = (folder / "model.safetensors").read_bytes()
    assert f"{hashlib.sha256(weights).hexdigest()}  model.safetensors\n".encode() in before
    assert tool.main([str(folder), "--write-manifest"]) == 0
    (folder / "note.txt").write_text("x", encoding="utf-8")
    assert tool.main([str(folder), "--write-manifest"]) == 1
    assert listing.read_bytes() == before
    (folder / "note.txt").unlink()
    listing.rename(tmp_path / "kept.txt")
    assert look(folder, tmp_path / "kept.txt").exit_code == 0
    assert look(folder, tmp_path / "absent.txt").exit_code == 1
    assert not list(tmp_path.rglob(".tmp*"))
    for place in range(0, len(before), 7):
        changed = bytearray(before)
        changed[place] ^= 1
        listing.write_bytes(changed)
        same = changed.lower() == before.lower()  # a hexadecimal digit may be large
        assert look(folder).exit_code == 1 or same, place
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


def test_the_checker_and_the_recipe_agree(good, tmp_path):
    """One format: what one writes, the other reads, and they list the same files."""
    import manifest

    folder = tmp_path / "model"
    shutil.copytree(good / "single", folder)
    (folder / "tên có dấu.txt").write_text("x", encoding="utf-8")
    assert tool.main([str(folder), "--write-manifest"]) == 0
    beside = tmp_path / "model.SHA256SUMS"
    written = beside.read_bytes()
    assert manifest.check(folder) == []
    manifest.write(folder, force=True)
    assert beside.read_bytes() == written
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "._model.safetensors").write_bytes(b"\0\5\x16\7rest")
    (folder / ".cache/huggingface").mkdir(parents=True)
    (folder / ".cache/huggingface/x.metadata").write_text("x", encoding="utf-8")
    assert_good(folder)
    assert "đúng bản kê" in look(folder).verdict
    inside = folder / "SHA256SUMS"
    manifest.write(folder, inside)
    assert look(folder, inside).exit_code == 0


def test_lists_by_hostile_or_other_hands(good, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(good / "single", folder)
    assert tool.main([str(folder), "--write-manifest"]) == 0
    beside = tmp_path / "model.SHA256SUMS"
    lines = beside.read_text(encoding="utf-8").splitlines()
    binary = "\r\n".join(line[:64].upper() + " *./" + line[66:] for line in lines)
    beside.write_bytes(b"\xef\xbb\xbf# comment\r\n" + binary.encode())
    assert_good(folder)
    for name in ("../x", "/etc/passwd", "C:\\x", "a/../../x"):
        beside.write_text("\n".join([*lines, f"{'0' * 64}  {name}"]), encoding="utf-8")
        assert "ra ngoài thư mục" in said(look(folder))
        assert look(folder).exit_code == 1
    for content in ("", "hello", "\n".join([*lines, lines[0]])):
        beside.write_text(content, encoding="utf-8")
        assert look(folder).exit_code == 1


def test_what_is_no_checkpoint_ends_with_two(tmp_path):
    (tmp_path / "letter.txt").write_text("x", encoding="utf-8")
    assert look(tmp_path).exit_code == 2
    assert look(tmp_path / "letter.txt").exit_code == 2
    assert look(tmp_path / "nowhere").exit_code == 2
    assert tool.main([str(tmp_path), "--write-manifest"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_the_command_line_needs_only_the_standard_library(good, tmp_path):
    done = run(good / "sharded", "--json", tmp_path / "result.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1].startswith("TỐT")
    assert "gpt2" in done.stdout
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["exit_code"] == 0
    [report] = result["reports"]
    assert "model.safetensors.index.json" in report["files"]
    assert report["complete"] == {"": True}
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
assert v.verify(sys.argv[1]).exit_code == 0
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
