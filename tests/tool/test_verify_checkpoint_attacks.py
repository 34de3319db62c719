"""Attacks that once got past the checkpoint inspector, and honest files that it once condemned."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
import torch
from checker import entries_of, look, run, said, saved, zip_of
from safetensors.torch import save_file

MARK = "DA_CHAY"


class Evil:
    """Leaves a mark in the working directory when it is unpickled."""

    def __reduce__(self):
        """What pickle is to call."""
        return exec, (f"open({MARK!r}, 'w').close()",)


def text(word: str) -> bytes:
    """Opcode that pushes a string."""
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def name(module: str, attribute: str) -> bytes:
    """Opcode that imports a name."""
    return f"c{module}\n{attribute}\n".encode()


def number(value: int) -> bytes:
    """Opcode that pushes an integer."""
    return b"J" + struct.pack("<i", value)


def numpy_type(code: str, state: bytes = b"") -> bytes:
    """Opcodes that build a numpy dtype, and set its state when there is one."""
    return name("numpy", "dtype") + text(code) + b"\x89\x88\x87R" + state


def state(*values: bytes) -> bytes:
    """BUILD with a tuple of eight."""
    return b"(" + b"".join(values) + b"tb"


def packed(path: Path, pickled: bytes) -> Path:
    """A torch ZIP whose pickle is this one."""
    entries = entries_of(saved({}))
    for entry in entries:
        if entry.endswith("data.pkl"):
            entries[entry] = pickled
    path.write_bytes(zip_of(entries))
    return path


def raw(content: bytes) -> bytes:
    """Opcode that pushes bytes."""
    return b"B" + struct.pack("<I", len(content)) + content


SCALAR = name("numpy._core.multiarray", "scalar")
FIELDS = b"N" + text("a") + b"\x85}" + text("a") + numpy_type("O8") + b"K\x00\x86s"
PICKLES = {
    "a numpy type with an object field": SCALAR
    + numpy_type("V8", state(number(3), text("|"), FIELDS, number(8), number(1), number(0)))
    + raw(b"A" * 8)
    + b"\x86R.",
    "a numpy type of another size": SCALAR
    + numpy_type("S8", state(number(3), text("|"), b"NNN", number(1 << 30), number(1), number(0)))
    + raw(b"A" * 8)
    + b"\x86R.",
    "a class behind a numpy scalar": SCALAR
    + numpy_type("O8")
    + name("torch", "Tensor")
    + b"\x86RN}"
    + text("numel")
    + name("builtins", "bytearray")
    + b"s\x86b.",
    "a call inside a rebuilder": name("torch._tensor", "_rebuild_from_type_v2")
    + b"("
    + name("transformers.training_args", "TrainingArguments")
    + name("torch", "Tensor")
    + b"("
    + text("out")
    + b"t}tR.",
    "a __setstate__ put in first": name("collections", "OrderedDict")
    + b")R}"
    + text("__setstate__")
    + name("accelerate.state", "PartialState")
    + b"sb}b.",
    "a hook on a tensor": name("torch._utils", "_rebuild_parameter")
    + b"(N\x89"
    + name("collections", "OrderedDict")
    + b")RK\x01"
    + name("builtins", "bytearray")
    + b"stR.",
}


@pytest.mark.parametrize("case", PICKLES)
def test_pickles_that_call_by_a_side_door(tmp_path, case):
    report = look(packed(tmp_path / "m.pt", b"\x80\x04" + PICKLES[case]))
    assert report.exit_code == 1
    assert "NGUY HIỂM" in said(report)


@pytest.mark.parametrize("spelling", ["octal", "binary", "with rubbish"])
def test_a_pickle_that_is_a_tar_too(tmp_path, monkeypatch, spelling):
    """torch.load opens the tar; a reader of pickles sees one harmless string."""
    monkeypatch.chdir(tmp_path)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        evil = pickle.dumps(Evil(), 2)
        member = tarfile.TarInfo("storages")
        member.size = len(evil)
        archive.addfile(member, io.BytesIO(evil))
    body = stream.getvalue()
    head = bytearray(512)
    head[:7] = b"\x80\x03B" + struct.pack("<I", 512 + len(body) - 7)
    head[100:148] = b"0000644\0" + b"0000000\0" * 2 + b"00000000000\0" * 2
    head[148:157] = b" " * 8 + b"0"
    head[257:265] = b"ustar\x0000"
    total = sum(head)
    spelled = {"octal": b"%06o\0 " % total, "binary": b"\x80" + total.to_bytes(7, "big")}
    head[148:156] = spelled.get(spelling, b"%o\0xxxxxx" % total)[:8].ljust(8, b"x")
    Path("m.pt").write_bytes(bytes(head) + body + b"0}.")
    report = look(tmp_path / "m.pt")
    assert "NGUY HIỂM" in said(report)
    with pytest.raises((EOFError, TypeError)):
        torch.load("m.pt", weights_only=False)
    assert Path(MARK).exists()  # it is as dangerous as the report says


def local(entry: bytes, content: bytes) -> bytes:
    """A stored ZIP entry."""
    sizes = (zlib.crc32(content), len(content), len(content), len(entry), 0)
    return struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0x800, 0, 0, 0, *sizes) + entry + content


def central(entry: bytes, content: bytes, offset: int, comment: bytes = b"") -> bytes:
    """Its line in the directory."""
    sizes = (zlib.crc32(content), len(content), len(content), len(entry), 0, len(comment))
    rest = (0, 0, 0, offset)
    line = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0x800, 0, 0, 0, *sizes, *rest)
    return line + entry + comment


def hidden_zip(base: int) -> bytes:
    """A ZIP of its own, with a hostile pickle, that stands at `base` in the file around it."""
    entries = {b"x/data.pkl": pickle.dumps(Evil(), 2), b"x/version": b"3\n"}
    entries[b"x/byteorder"] = b"little"
    inner = b""
    lines = b""
    for entry, content in entries.items():
        lines += central(entry, content, base + len(inner))
        inner += local(entry, content)
    counts = (44, 45, 45, 0, 0, 3, 3, len(lines), base + len(inner))
    return inner + lines + struct.pack("<4sQ2H2I4Q", b"PK\6\6", *counts)


def test_a_second_directory_behind_a_comment(tmp_path, monkeypatch):
    """The comment of the last line is a ZIP64 locator: torch follows it, Python's zipfile not."""
    monkeypatch.chdir(tmp_path)
    out = b""
    directory = b""
    entries = entries_of(saved({"w": torch.zeros(4)}))
    for entry, content in entries.items():
        directory += central(entry.encode(), content, len(out))
        out += local(entry.encode(), content)
    note = b"archive/.data/note"
    base = len(out) + 30 + len(note)
    hidden = hidden_zip(base)
    # The record that ends the hidden directory is its last 56 bytes.
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, base + len(hidden) - 56, 1)
    directory += central(note, hidden, len(out), locator)
    out += local(note, hidden)
    total = len(entries) + 1
    counts = (0, 0, total, total, len(directory), len(out), 0)
    Path("m.pt").write_bytes(out + directory + struct.pack("<4s4H2IH", b"PK\5\6", *counts))
    assert look(tmp_path / "m.pt").exit_code == 1
    torch.load("m.pt", weights_only=False)
    assert Path(MARK).exists()


def padded(content: bytes, size: int) -> bytes:
    """The same ZIP with a directory of `size` bytes: comments come before the pickle's own line."""
    count, length, begin = struct.unpack_from("<HII", content, len(content) - 12)
    note = b"archive/note"
    filler = central(note, b"", begin, b"x" * 60_000) * (size // 60_000)
    middle = local(note, b"")
    directory = filler + content[begin : begin + length]
    total = count + size // 60_000
    counts = (0, 0, total, total, len(directory), begin + len(middle), 0)
    return content[:begin] + middle + directory + struct.pack("<4s4H2IH", b"PK\5\6", *counts)


def odd_zips() -> dict[str, bytes]:
    """A hostile torch file, and ways to make it look like another file."""
    entries = entries_of(saved({"w": torch.zeros(4), "e": Evil()}))
    plain = zip_of(entries)  # without torch's padding, so that miniz reads what is made of it
    capitals = {name.replace("data.pkl", "DATA.PKL"): entries[name] for name in entries}
    return {
        "plain": plain,
        "a byte after the end": plain + b"\0",
        "a far directory": plain[:-22] + bytes(17 << 20) + plain[-22:],
        "a last record cut short after it": plain + b"PK\5\6" + bytes(10),
        "a directory longer than is read": padded(plain, 17 << 20),
        "capitals": zip_of(capitals),
    }


ODD = odd_zips()


@pytest.mark.parametrize("case", ODD)
def test_a_torch_file_under_another_name(tmp_path, case):
    save_file({"w": torch.zeros(4)}, tmp_path / "model.safetensors")
    (tmp_path / "checkpoint.pth.tar").write_bytes(ODD[case])
    assert look(tmp_path).exit_code == 1


def test_a_flag_that_makes_torch_skip_the_numbers(tmp_path):
    """One bit, the directory flag of an entry: torch gives rubbish for weights and says nothing."""
    stream = io.BytesIO()
    torch.save({"w": torch.arange(100.0)}, stream)
    content = bytearray(stream.getvalue())
    with zipfile.ZipFile(stream) as archive:
        place = archive.start_dir
        for info in archive.infolist():
            if info.filename.endswith("data/0"):
                break
            lengths = struct.unpack_from("<3H", content, place + 28)
            place += 46 + sum(lengths)
    content[place + 38] ^= 0x10
    (tmp_path / "m.pt").write_bytes(content)
    assert look(tmp_path / "m.pt").exit_code == 1


@pytest.mark.parametrize("case", ["long", "many", "storage", "words"])
def test_a_bin_of_another_program_is_no_cloak(tmp_path, case):
    """A `.bin` that Python cannot unpickle is another program's; one that is only too long for the
    checker is not.
    """
    evil = name("builtins", "exec") + text("1") + b"\x85R."
    content = {
        "long": raw(bytes(65 << 20)) + evil,
        "many": b"N0" * 1_600_000 + evil,
        "storage": b"(" + text("storage") + text("x") * 3 + number(1) + b"tQ" + evil,
        "words": b"\x07 no pickle",
    }[case]
    save_file({"w": torch.zeros(4)}, tmp_path / "model.safetensors")
    (tmp_path / "words.bin").write_bytes(content)
    code = look(tmp_path).exit_code
    assert code == 0 if case == "words" else code in (1, 3)


def test_no_raw_control_character_is_printed(tmp_path):
    folder = tmp_path / "\x1b[31mđỏ\nTỐT"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    save_file({"wte.weight": torch.ones(4, 2)}, folder / "model.safetensors")
    for line in run(tmp_path).stdout.split("\n"):
        assert not re.search(r"[\x00-\x1f\x7f]", line), line


def test_honest_folders_that_were_condemned(tmp_path):
    from transformers import (
        BertConfig,
        BertLMHeadModel,
        GPT2Config,
        GPT2LMHeadModel,
        T5Config,
        T5EncoderModel,
    )

    small = {"vocab_size": 99, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"bos_token_id": 0, "eos_token_id": 0}
    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=99, n_embd=16, n_layer=2, n_head=2, **ids))
    bert = BertConfig(**small, intermediate_size=16, is_decoder=True, tie_word_embeddings=False)
    t5 = T5Config(vocab_size=99, d_model=16, d_kv=8, d_ff=16, num_layers=4, num_heads=2)
    made = {"both": gpt, "variant": gpt, "bert": BertLMHeadModel(bert), "t5": T5EncoderModel(t5)}
    for case, model in made.items():
        options = {"variant": "fp16", "max_shard_size": "10KB"} if case == "variant" else {}
        model.save_pretrained(tmp_path / case, **options)
    torch.save(gpt.state_dict(), tmp_path / "both/pytorch_model.bin")
    shutil.copytree(tmp_path / "both", tmp_path / "untidy")
    (tmp_path / "untidy/notes.json").write_text("// not JSON", encoding="utf-8")
    (tmp_path / "untidy/words.bin").write_bytes(b"\x07 no pickle")
    for seed in ("0", "1", "2"):  # the verdict once hung on the order of a set
        for case in (*made, "untidy"):
            done = run(tmp_path / case, PYTHONHASHSEED=seed)
            assert done.returncode == 0, (case, done.stdout)


def test_a_header_whose_length_looks_like_a_pickle(tmp_path):
    path = tmp_path / "m.safetensors"
    length = 0x10480
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'.ljust(length)
    path.write_bytes(struct.pack("<Q", length) + header + bytes(8))
    assert path.read_bytes()[:2] == b"\x80\x04"
    assert look(path).exit_code == 0


def test_a_manifest_kept_elsewhere(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    save_file({"w": torch.ones(3)}, folder / "model.safetensors")
    assert run(folder, "--write-manifest").returncode == 0
    shutil.copy(tmp_path / "m.SHA256SUMS", tmp_path / "safe.txt")
    assert look(folder, tmp_path / "safe.txt").exit_code == 0
    (tmp_path / "m.SHA256SUMS").unlink()
    assert look(folder, tmp_path / "safe.txt").exit_code == 0
    (folder / "extra.txt").write_text("x", encoding="utf-8")
    assert look(folder, tmp_path / "safe.txt").exit_code == 1


def test_custom_code_is_named_wherever_it_hides(tmp_path):
    save_file({"w": torch.ones(3)}, tmp_path / "model.safetensors")
    for file, content in {
        "tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["evil.T", None]}},
        "config.json": {"model_type": "x", "text_config": {"auto_map": {"AutoModel": "evil.M"}}},
    }.items():
        (tmp_path / file).write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "custom_generate").mkdir()
    (tmp_path / "custom_generate/generate.py").write_text("import os", encoding="utf-8")
    warned = said(look(tmp_path))
    assert warned.count("auto_map") == 2
    assert "generate.py" in warned


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_json_replaces_no_special_file_and_no_manifest(tmp_path):
    save_file({"w": torch.ones(3)}, tmp_path / "m.safetensors")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link.json").symlink_to("elsewhere.json")
    for options in (
        ["--json", "fifo"],
        ["--json", "link.json"],
        ["--json", "x.json", "--manifest", "x.json", "--write-manifest"],
    ):
        assert run("m.safetensors", *options, cwd=tmp_path).returncode == 2, options
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fifo",
        "link.json",
        "m.safetensors",
    ]


@pytest.mark.parametrize("target", ["many.pkl", "sparse.safetensors", "folders"])
def test_work_and_memory_are_bounded(tmp_path, target):
    """A tuple given to a million calls; a sparse terabyte; many folders: each done in a breath."""
    if target == "many.pkl":
        memoised = b"(" + b"K\x01" * 1_000_000 + b"tq\x01c__builtin__\nset\nq\x020"
        (tmp_path / target).write_bytes(b"\x80\x02" + memoised + b"h\x02h\x01R0" * 1_000_000 + b".")
    elif target == "sparse.safetensors":
        with (tmp_path / target).open("wb") as stream:
            stream.truncate(1 << 40)
    else:
        for index in range(3000):
            (tmp_path / f"folders/{index}").mkdir(parents=True)
            (tmp_path / f"folders/{index}/x").touch()
    assert run(tmp_path / target).returncode in (1, 2)
