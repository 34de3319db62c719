"""The manifest recipe: one format, as sha256sum has it; changes named, hostile lists refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import unicodedata
from pathlib import Path

import manifest
import pytest
from manifest import Damaged, Refused, check, compare_tensors, write

LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
HAS_SHA256SUM = shutil.which("sha256sum") is not None


def tensor_file(path: Path, tensors: dict[str, bytes], dtype: str = "U8") -> None:
    """A safetensors file written by hand: the recipe must not need a library."""
    header = {}
    data = b""
    for name, content in tensors.items():
        span = [len(data), len(data) + len(content)]
        header[name] = {"dtype": dtype, "shape": [len(content)], "data_offsets": span}
        data += content
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "my-model"
    (home / "1_Pooling").mkdir(parents=True)
    (home / "config.json").write_text("{}", encoding="utf-8")
    (home / "1_Pooling/config.json").write_text('{"a": 1}', encoding="utf-8")
    (home / "old.bin").write_bytes(b"pickle")
    tensor_file(home / "model.safetensors", {"first": b"abcd", "second": b"efgh", "third": b""})
    return home


def sums_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.SHA256SUMS")


# --- write


def test_the_manifest_lies_beside_the_folder_in_the_form_of_sha256sum(folder):
    digest = write(folder)
    content = sums_of(folder).read_bytes()
    assert digest == hashlib.sha256(content).hexdigest()
    expected = ""
    for name in ("1_Pooling/config.json", "config.json", "model.safetensors", "old.bin"):
        expected += f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
    assert content == expected.encode()
    assert not list(folder.glob("*SUMS*"))
    assert check(folder) == []


@pytest.mark.skipif(not HAS_SHA256SUM, reason="needs sha256sum")
def test_sha256sum_reads_it_and_it_reads_sha256sum(folder):
    names = ["tên có dấu cách.txt"]
    if sys.platform == "linux":
        names += ["back\\slash", "new\nline", "return\rhere", os.fsdecode(b"not-text-\xff")]
    for name in names:
        (folder / name).write_text("x", encoding="utf-8")
    write(folder)
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", sums_of(folder)], cwd=folder, capture_output=True
    )
    assert done.returncode == 0, done.stdout
    for form in ("--text", "--binary"):
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        relative = [os.fsencode(path.relative_to(folder)) for path in paths]
        done = subprocess.run(
            ["sha256sum", form, *relative], cwd=folder, capture_output=True, check=True
        )
        sums_of(folder).write_bytes(done.stdout)
        assert check(folder) == []
    assert b" *" in done.stdout


def test_tensors_stand_in_a_second_file(folder):
    write(folder)
    tensors = json.loads((folder.parent / "my-model.tensors.json").read_text())["tensors"]
    assert [tensor["name"] for tensor in tensors] == ["first", "second", "third"]
    assert tensors[1] == {
        "name": "second",
        "dtype": "U8",
        "shape": [4],
        "sha256": hashlib.sha256(b"efgh").hexdigest(),
        "file": "model.safetensors",
    }


def test_an_existing_manifest_stays_unless_forced(folder):
    write(folder)
    before = sums_of(folder).read_bytes()
    (folder / "new.txt").write_text("x", encoding="utf-8")
    with pytest.raises(Refused, match="--force"):
        write(folder)
    assert sums_of(folder).read_bytes() == before
    write(folder, force=True)
    assert check(folder) == []
    config = (folder / "config.json").read_bytes()
    with pytest.raises(Refused):  # not a manifest: never overwritten
        write(folder, folder / "config.json", force=True)
    assert (folder / "config.json").read_bytes() == config


def test_a_manifest_may_lie_inside_the_folder_or_elsewhere(folder, tmp_path):
    write(folder, folder / "SHA256SUMS")
    assert check(folder, folder / "SHA256SUMS") == []
    (tmp_path / "kept").mkdir()
    sha256 = write(folder, tmp_path / "kept/model.SHA256SUMS", force=True)
    assert check(folder, tmp_path / "kept/model.SHA256SUMS", sha256) == []
    assert (tmp_path / "kept/model.tensors.json").is_file()


def test_nothing_is_left_when_writing_fails(folder, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manifest.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["my-model"]


def header_of(header: dict) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def test_a_damaged_file_gets_no_manifest(folder):
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for content in (
        whole[:-1],
        whole + b"\0",
        whole[:5],
        b"",
        b"version https://git-lfs.github.com/spec/v1\n",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 8) + b'{"a": 1}',
        struct.pack("<Q", 1 << 60) + whole[8:],
        header_of({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0.0, 4.0]}}) + b"0000",
    ):
        weights.write_bytes(content)
        with pytest.raises(Damaged, match=r"model\.safetensors"):
            write(folder)
        assert not sums_of(folder).exists()


# --- check


def test_every_change_is_named(folder):
    write(folder)
    (folder / "config.json").write_text("{ }", encoding="utf-8")
    (folder / "old.bin").unlink()
    (folder / "1_Pooling/extra.json").write_text("{}", encoding="utf-8")
    assert check(folder) == [
        "thừa: 1_Pooling/extra.json",
        "đổi: config.json",
        "thiếu: old.bin",
    ]


def test_the_changed_tensor_is_named(folder):
    write(folder)
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert check(folder) == ["đổi: model.safetensors (second: khác số)"]
    weights.write_bytes(content[:-1])
    assert check(folder) == [
        "đổi: model.safetensors (thiếu hay thừa dữ liệu so với phần đầu)",
    ]
    tensor_file(weights, {"third": b"", "second": b"efgh", "first": b"abcd"})
    assert check(folder) == ["đổi: model.safetensors (mọi tensor vẫn như cũ)"]
    tensor_file(weights, {f"t{number}": b"x" for number in range(9)})
    (problem,) = check(folder)
    assert problem.endswith("và 9 tensor nữa)")
    (folder.parent / "my-model.tensors.json").write_text('{"tensors": 3}', encoding="utf-8")
    assert check(folder) == ["đổi: model.safetensors"]


def test_a_kept_digest_tells_a_rewritten_manifest(folder):
    kept = write(folder)
    assert check(folder, sha256=kept.upper()) == []
    (folder / "config.json").write_text("evil", encoding="utf-8")
    write(folder, force=True)
    assert check(folder) == []
    (problem,) = check(folder, sha256=kept)
    assert "không phải bản kê đã giữ" in problem


@pytest.mark.parametrize("kept", ["", "3f1a"])
def test_a_kept_digest_that_is_empty_or_cut_is_not_passed_over(folder, kept):
    """An unset variable of a shell must not turn the question off."""
    write(folder)
    with pytest.raises(Refused, match="64"):
        check(folder, sha256=kept)


def test_litter_of_systems_is_passed_over(folder):
    write(folder)
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "1_Pooling/Thumbs.db").write_bytes(b"x")
    (folder / "._model.safetensors").write_bytes(b"\x00\x05\x16\x07rest")
    for name in (".git/objects", ".cache/huggingface/download"):
        (folder / name).mkdir(parents=True)
        (folder / name / "a").write_text("x", encoding="utf-8")
    assert check(folder) == []
    _, _, litter = manifest.list_files(folder)
    assert litter == [".DS_Store", "._model.safetensors", ".git", *litter[3:]]
    assert sorted(litter[3:]) == [".cache/huggingface", "1_Pooling/Thumbs.db"]
    (folder / "._evil.py").write_text("import os", encoding="utf-8")  # no litter: only its name
    assert check(folder) == ["thừa: ._evil.py"]


def test_litter_that_a_manifest_lists_may_go(folder):
    write(folder)
    with sums_of(folder).open("a", newline="\n") as stream:
        stream.write(f"{'0' * 64}  .DS_Store\n{'0' * 64}  .git/HEAD\n")
    assert check(folder) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems choose a form themselves")
def test_both_forms_of_accents_are_one_name(folder):
    (folder / unicodedata.normalize("NFC", "chữ.txt")).write_text("x", encoding="utf-8")
    write(folder)
    (folder / unicodedata.normalize("NFC", "chữ.txt")).rename(
        folder / unicodedata.normalize("NFD", "chữ.txt")
    )
    assert check(folder) == []
    (folder / unicodedata.normalize("NFC", "chữ.txt")).write_text("y", encoding="utf-8")
    assert len(check(folder)) == 2  # one changed, one too many


def test_lists_written_by_others(folder):
    write(folder)
    lines = sums_of(folder).read_text(encoding="utf-8").splitlines()
    changed = ["# comment", ""]
    for line in lines:
        changed.append(line[:64].upper() + "  ./" + line[66:])
    sums_of(folder).write_bytes(b"\xef\xbb\xbf" + "\r\n".join(changed).encode())
    assert check(folder) == []


HOSTILE = ["../config.json", "a/../../x", "/etc/passwd", "C:\\x", "C:/x", "\\\\host\\x", "..\\x"]


@pytest.mark.parametrize("name", HOSTILE)
def test_paths_out_of_the_folder_are_refused(folder, name):
    write(folder)
    with sums_of(folder).open("a", newline="\n") as stream:
        stream.write(f"{'0' * 64}  {name}\n")
    with pytest.raises(Refused, match="dòng 5"):
        check(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n# nothing\n",
        b"hello\n",
        f"{'0' * 63}  a\n".encode(),
        f"{'g' * 64}  a\n".encode(),
        f"{'0' * 64} a\n".encode(),
        f"{'0' * 64}  \n".encode(),
        f"SHA256 (a) = {'0' * 64}\n".encode(),
        f"{'0' * 64}  a\n{'1' * 64}  ./a\n".encode(),
        f"{'0' * 64}  a\0b\n".encode(),
        "văn bản".encode("utf-16"),
    ],
)
def test_what_is_no_list_is_refused(folder, content):
    sums_of(folder).write_bytes(content)
    with pytest.raises(Refused):
        check(folder)


@LINKS
def test_links_inside_are_followed_and_links_out_refused(folder, tmp_path):
    (folder / "again.json").symlink_to("config.json")
    write(folder)
    assert check(folder) == []
    secret = tmp_path / "secret"
    secret.write_text("x", encoding="utf-8")
    (folder / "out.json").symlink_to(secret)
    (folder / "broken").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    (folder / "linked").symlink_to("1_Pooling")
    os.mkfifo(folder / "pipe")
    problems = check(folder)
    assert len(problems) == 5
    for name in ("out.json", "broken", "loop", "linked", "pipe"):
        assert any(problem.startswith(f"{name}: ") for problem in problems), name
    with pytest.raises(Refused):
        write(folder, force=True)


@LINKS
def test_a_snapshot_of_the_hub_cache(tmp_path):
    repository = tmp_path / "hub/models--me--gpt2"
    snapshot = repository / "snapshots/0123abcd"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    tensor_file(repository / "blobs/aaa", {"first": b"abcd"})
    (repository / "blobs/bbb").write_text("{}", encoding="utf-8")
    (snapshot / "model.safetensors").symlink_to("../../blobs/aaa")
    (snapshot / "config.json").symlink_to("../../blobs/bbb")
    with pytest.raises(Refused, match="bộ nhớ đệm của Hub"):  # a file there breaks `hf cache`
        write(snapshot)
    kept = tmp_path / "kept.SHA256SUMS"
    write(snapshot, kept)
    assert check(snapshot, kept) == []
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in snapshot.iterdir():
        shutil.copy(file, copy)
    assert check(copy, kept) == []
    assert compare_tensors(snapshot, tmp_path / "kept.tensors.json") == []
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/x").write_text("x", encoding="utf-8")
    (snapshot / "x").symlink_to(tmp_path / "blobs/x")
    assert check(snapshot, kept) == ["x: liên kết ra ngoài thư mục, không đọc"]


# --- tensors


def test_the_same_tensors_in_other_files(tmp_path):
    import torch
    from safetensors.torch import save_file
    from small_models import gpt2, llama, t5

    for model in (gpt2(), llama(), t5()):
        name = type(model).__name__
        model.save_pretrained(tmp_path / name)
        model.save_pretrained(tmp_path / f"{name}-shards", max_shard_size="8KB")
        write(tmp_path / name)
        assert len(list((tmp_path / f"{name}-shards").glob("*.safetensors"))) > 1
        listed = tmp_path / f"{name}.tensors.json"
        assert compare_tensors(tmp_path / name, tmp_path / f"{name}-shards") == []
        assert compare_tensors(listed, tmp_path / f"{name}-shards") == []
        model.to(torch.bfloat16).save_pretrained(tmp_path / f"{name}-half")
        changed = compare_tensors(listed, tmp_path / f"{name}-half")
        assert all("kiểu F32 và BF16" in line for line in changed)
        assert changed
    state = {"weight": torch.arange(6.0).reshape(2, 3)}
    save_file(state, tmp_path / "one.safetensors")
    save_file({"weight": state["weight"].reshape(3, 2)}, tmp_path / "two.safetensors")
    save_file({"bias": state["weight"]}, tmp_path / "three.safetensors")
    one, two, three = (tmp_path / f"{name}.safetensors" for name in ("one", "two", "three"))
    assert compare_tensors(one, two) == ["weight: kích thước [2, 3] và [3, 2]"]
    assert compare_tensors(one, three) == ["bias: chỉ bản sau có", "weight: chỉ bản trước có"]


def test_the_digest_of_a_tensor_is_that_of_its_bytes(tmp_path):
    import torch
    from safetensors.torch import save_file

    values = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    for kind in (torch.float64, torch.bfloat16, torch.int8, torch.float8_e4m3fn):
        tensor = values.to(kind)
        save_file(
            {"odd": torch.zeros(3, dtype=torch.int8), "a": tensor}, tmp_path / "m.safetensors"
        )
        raw = tensor.flatten().view(torch.uint8).numpy().tobytes()
        found = {entry["name"]: entry for entry in manifest.tensors_of(tmp_path / "m.safetensors")}
        assert found["a"]["sha256"] == hashlib.sha256(raw).hexdigest()
        assert found["a"]["shape"] == [5, 7]


def test_parts_of_a_pipeline_may_use_the_same_names(tmp_path):
    for home in ("one", "two"):
        for part, content in (("unet", b"ab"), ("vae", b"cd")):
            (tmp_path / home / part).mkdir(parents=True)
            tensor_file(tmp_path / home / part / "model.safetensors", {"conv.weight": content})
    assert compare_tensors(tmp_path / "one", tmp_path / "two") == []
    tensor_file(tmp_path / "two/vae/model.safetensors", {"conv.weight": b"xx"})
    found = compare_tensors(tmp_path / "one", tmp_path / "two")
    assert found == ["vae/conv.weight: khác số"]


def test_comparing_nothing_is_no_proof(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "letter.json").write_text("[]", encoding="utf-8")
    (folder / "model.safetensors").unlink()
    for place in ("empty", "my-model", "nowhere", "letter.json"):
        with pytest.raises(Refused):
            compare_tensors(tmp_path / place, tmp_path / place)


# --- command line


def test_the_command_line(folder, command):
    done = command("manifest", "write", folder)
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha256(sums_of(folder).read_bytes()).hexdigest()
    assert digest in done.stdout
    assert "old.bin" in done.stdout  # a pickle: the file only
    done = command("manifest", "check", folder, "--sha256", digest)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ĐÚNG" in done.stdout
    shutil.copytree(folder, folder.with_name("copy"))
    assert command("manifest", "compare", folder, folder.with_name("copy")).returncode == 0
    (folder / "config.json").write_text("x", encoding="utf-8")
    done = command("manifest", "check", folder)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "đổi: config.json")
    assert command("manifest", "write", folder).returncode == 2
    assert command("manifest", "write", folder, "--force").returncode == 0
    kept = folder.parent / "elsewhere.SHA256SUMS"
    sums_of(folder).rename(kept)
    assert command("manifest", "check", folder, "--manifest", kept).returncode == 0


def test_bad_input_gets_one_line(folder, command, tmp_path):
    (tmp_path / "empty").mkdir()
    for words in (
        ["check", folder],
        ["check", tmp_path / "nowhere"],
        ["check", folder / "config.json"],
        ["write", tmp_path / "empty"],
        ["check", Path("/")],
        ["write", folder, "--manifest", tmp_path / "no/folder/SHA256SUMS"],
        ["write", folder, "--manifest", tmp_path / "empty"],
        ["compare", folder, tmp_path / "nowhere"],
        ["compare", folder, tmp_path / "nowhere.safetensors"],
    ):
        done = command("manifest", *words)
        assert done.returncode == 2, words
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1, done.stderr
    (folder / "model.safetensors").write_bytes(b"torn")
    done = command("manifest", "write", folder)
    assert done.returncode == 1
    assert done.stderr.startswith("HỎNG: model.safetensors")


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_strange_names_do_not_reach_the_screen(folder, command):
    (folder / "\x1b[31mred\n").write_text("x", encoding="utf-8")
    assert command("manifest", "write", folder).returncode == 0
    (folder / "\x1b[31mred\n").unlink()
    done = command("manifest", "check", folder)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert len(done.stdout.splitlines()) == 2  # the note about pickles, and the missing file


@pytest.mark.skipif(sys.platform == "win32", reason="needs memory limits of Unix")
def test_a_file_larger_than_memory(tmp_path):
    """600 MiB of tensors are hashed in a process that may hold 200 MiB."""
    home = tmp_path / "big"
    home.mkdir()
    size = 600 << 20
    header = {"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    with (home / "model.safetensors").open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + size)  # a sparse file: takes no disk
    script = Path(manifest.__file__)
    limited = "import resource, runpy, sys; sys.argv = sys.argv[1:]; "
    limited += "resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20)); "
    limited += "runpy.run_path(sys.argv[0], run_name='__main__')"
    for action in ("write", "check"):
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", limited, script, action, home], capture_output=True
        )
        assert done.returncode == 0, done.stderr
