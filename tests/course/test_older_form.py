"""Scripts of the older form, run whole: what they save, refuse, and make of a model of one's own.

They take minutes, so they run with `--all` alone. A script that becomes an experiment, with its
recipe beside it, leaves this file.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from conftest import ROOT, environment
from course.pages.notebook import notebook_of
from course.records.record import experiments, load
from course.records.run import ways_to_break
from course.text import read
from forks import SERVER

pytestmark = pytest.mark.all_only

SCRIPTS = {script.stem: script for script in experiments(ROOT)}
KEEPERS = [stem for stem, script in SCRIPTS.items() if '"--out"' in read(script)]


def run(script: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script in its own folder, in a fork that has torch imported."""
    quiet = environment(TQDM_DISABLE="1", OMP_NUM_THREADS="2")
    return SERVER.run(script, list(options), quiet)


def alone(script: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own: where what is imported, and how, is the question."""
    command = [sys.executable, script.name, *options]
    return subprocess.run(
        command,
        cwd=script.parent,
        env=environment(TQDM_DISABLE="1", **env),
        capture_output=True,
        encoding="utf-8",
    )


def small(script: Path) -> list[str]:
    """The options that make a script quick; none when it has only one size."""
    if '"--size"' in read(script):
        return ["--size", "tiny"]
    return []


def is_one_line(text: str) -> bool:
    return len(text.strip().splitlines()) == 1


def grouped(stem: str):
    """One worker runs all tests of what one script saved, so that it is saved once."""
    return pytest.param(SCRIPTS[stem], id=stem, marks=pytest.mark.xdist_group(stem))


@pytest.fixture(scope="session", params=[grouped(stem) for stem in KEEPERS])
def saved(request, tmp_path_factory):
    """A script alone in an empty folder, and what it saved there with `--out saved`, small."""
    folder = tmp_path_factory.mktemp("alone")
    shutil.copy(request.param, folder)
    script = folder / request.param.name
    done = run(script, *small(script), "--out", "saved", "--json", "first.json")
    assert done.returncode == 0, done.stdout + done.stderr
    return script


@pytest.fixture
def copy(saved, tmp_path):
    """A copy of the script and its files, to damage."""
    shutil.copytree(saved.parent, tmp_path / "copy")
    return tmp_path / "copy" / saved.name


def files_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(folder))] = (path.read_bytes(), path.stat().st_mtime_ns)
    return found


def test_proves_and_writes_its_results(saved):
    results = json.loads((saved.parent / "first.json").read_text(encoding="utf-8"))
    assert results.keys() <= {"exact", "approx", "timing"}
    assert all(results["exact"]["checks"].values())


def test_a_second_run_verifies_and_overwrites_nothing(saved):
    before = files_of(saved.parent / "saved")
    done = run(saved, "--out", "saved")
    assert done.returncode == 0, done.stderr
    assert files_of(saved.parent / "saved") == before


def damage(path: Path, way: str) -> None:
    """Change a file so that it is no longer what was saved."""
    content = path.read_bytes()
    middle = len(content) // 2
    if way == "a bit flipped":
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :])
    elif way == "cut short":
        path.write_bytes(content[: len(content) * 2 // 3])
    elif way == "emptied":
        path.write_bytes(b"")
    elif way == "something appended":
        path.write_bytes(content + b" ")
    else:
        path.unlink()


def assert_refuses_damage(script: Path, path: Path, way: str) -> None:
    content = path.read_bytes()
    damage(path, way)
    done = run(script, "--out", "saved")
    path.write_bytes(content)
    assert done.returncode == 1, (path.name, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("TRƯỢT"), done.stderr


@pytest.mark.parametrize("way", ["cut short", "emptied", "something appended", "deleted"])
def test_refuses_a_damaged_file(copy, way):
    kept = sorted(copy.parent.glob("saved/*/*"))
    assert_refuses_damage(copy, max(kept, key=lambda path: path.stat().st_size), way)


def test_refuses_a_flipped_bit_in_a_file_of_every_kind(copy):
    one_of_a_kind = {path.suffix: path for path in sorted(copy.parent.glob("saved/*/*"))}
    for path in (*one_of_a_kind.values(), copy.parent / "saved/proof.json"):
        assert_refuses_damage(copy, path, "a bit flipped")


def test_refuses_a_file_too_many(copy):
    extra = next(copy.parent.glob("saved/*/*")).with_name("extra.safetensors")
    extra.write_bytes(b"x")
    done = run(copy, "--out", "saved")
    assert done.returncode == 1
    assert "extra.safetensors" in done.stdout + done.stderr


def test_refuses_a_swapped_model(copy):
    """Another model of the same shape, whole and loadable, in the place of the saved one."""
    other = copy.with_name("other.py")
    source = read(copy).replace("torch.manual_seed(0)", "torch.manual_seed(1)")
    other.write_text(source, encoding="utf-8")
    assert run(other, *small(other), "--out", "other").returncode == 0
    for folder in (copy.parent / "saved").glob("*/"):
        shutil.rmtree(folder)
        shutil.copytree(copy.parent / "other" / folder.name, folder)
    done = run(copy, "--out", "saved")
    assert done.returncode == 1
    assert "khác lúc" in done.stderr


def test_leaves_foreign_folders_alone(copy):
    foreign = copy.parent / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("mine", encoding="utf-8")
    before = files_of(foreign)
    breaking = ["--break", ways_to_break(read(copy))[0]]
    for options in ([], breaking):
        done = run(copy, "--out", "foreign", *options)
        assert done.returncode == 2
        assert is_one_line(done.stderr)
    assert files_of(foreign) == before
    assert run(copy, "--out", "saved", *breaking).returncode == 2


@pytest.mark.parametrize("saved", [grouped("hugging_face_round_trip")], indirect=True)
def test_a_model_of_ones_own(copy):
    """`--model` takes a folder of the same shape as the real gpt2; torn: 1, missing: 2."""
    model = copy.parent / "saved" / "model"
    assert run(copy, "--model", str(model)).returncode == 0
    # That folder holds another model already.
    assert run(copy, "--model", str(model), "--out", "saved").returncode == 2
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[:-1000])
    torn = run(copy, "--model", str(model))
    assert torn.returncode == 1
    assert "Traceback" not in torn.stderr
    missing = run(copy, "--model", str(copy.parent / "nowhere"))
    assert missing.returncode == 2
    assert is_one_line(missing.stderr)


@pytest.mark.parametrize(
    ("state", "code"), [("whole", 0), ("torn", 1), ("bfloat16", 2), ("missing", 2)]
)
def test_the_ratio_of_a_model_of_ones_own(tmp_path, state, code):
    import torch
    from safetensors.torch import save_file

    shutil.copy(SCRIPTS["zip_and_ratio"], tmp_path)
    weights = tmp_path / "mine/model.safetensors"
    weights.parent.mkdir()
    dtype = torch.bfloat16 if state == "bfloat16" else torch.float32
    tensors = {"weight": torch.randn(200, 100, dtype=dtype), "bias": torch.randn(200, dtype=dtype)}
    if state != "missing":
        save_file(tensors, weights)
    if state == "torn":
        weights.write_bytes(weights.read_bytes()[:-1000])
    done = run(tmp_path / "zip_and_ratio.py", "--model", "mine")
    assert done.returncode == code, done.stderr
    assert is_one_line(done.stderr) == (code > 0), done.stderr


COMMITS = {"new": "b" * 40, "old": "a" * 40}


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """A cache as the Hub client leaves it: `gpt2` at two commits, tiny, with the real one's names
    and files.
    """
    home = tmp_path_factory.mktemp("hub")
    model = home / "hub/models--gpt2"
    for seed, commit in enumerate(COMMITS.values()):
        save_tiny_gpt2(model / "snapshots" / commit, seed)
    (model / "refs").mkdir()
    (model / "refs/main").write_text(COMMITS["new"], encoding="utf-8")
    return home


def save_tiny_gpt2(folder: Path, seed: int) -> None:
    import torch
    from safetensors.torch import save_file
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    size = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 300, "n_positions": 128}
    network = GPT2LMHeadModel(GPT2Config(**size, bos_token_id=0, eos_token_id=0))
    network.save_pretrained(folder)
    state = {}
    for name, tensor in network.state_dict().items():
        if "lm_head" not in name:
            state[name.removeprefix("transformer.")] = tensor
    for layer in range(2):
        state[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 128, 128).tril()
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    bpe = ByteLevelBPETokenizer()
    text = ["Lưu rồi tải lại"]
    bpe.train_from_iterator(text, 300, special_tokens=["<|endoftext|>"], show_progress=False)
    bpe.save_model(str(folder))
    settings = '{"model_max_length": 1024}'
    (folder / "tokenizer_config.json").write_text(settings, encoding="utf-8")


def test_a_pretrained_model_by_its_name_its_commit_or_its_folder(hub, tmp_path):
    """A name means the commit that `main` names; `@` pins another; not there: 2; torn: 1."""
    shutil.copy(SCRIPTS["pretrained_round_trip"], tmp_path)
    script = tmp_path / "pretrained_round_trip.py"
    old = COMMITS["old"]
    folder = shutil.copytree(hub / "hub/models--gpt2/snapshots" / old, tmp_path / "mine")
    losses = {}
    for model, printed in {"gpt2": COMMITS["new"], f"gpt2@{old}": old, "mine": "mine"}.items():
        done = alone(script, "--model", model, "--json", "one.json", HF_HOME=str(hub))
        assert done.returncode == 0, done.stdout + done.stderr
        assert printed in done.stdout.splitlines()[1]
        left = json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))
        losses[model] = left["approx"]["losses"]["step_1"]
    assert losses["mine"] == losses[f"gpt2@{old}"] != losses["gpt2"]
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-1000])
    for model, code in {"mine": 1, "nowhere": 2, f"gpt2@{'c' * 40}": 2}.items():
        done = alone(script, "--model", model, HF_HOME=str(hub))
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.strip().splitlines()[-1].startswith(f"Không tải được {model}")


def test_a_text_of_ones_own(tmp_path):
    """Long and UTF-8: prepared; another encoding, too short or missing: one line."""
    shutil.copy(SCRIPTS["data_preparation"], tmp_path)
    script = tmp_path / "data_preparation.py"
    guides = [read(page) for page in sorted((ROOT / "docs/fine-tuning").rglob("*.md"))]
    (tmp_path / "mine.txt").write_text("\n\n".join(guides), encoding="utf-8")
    latin = "Tiếng Vit ".encode("latin-1", "replace")
    (tmp_path / "cp1258.txt").write_bytes(latin * 9999 + b"\xea")
    (tmp_path / "short.txt").write_text("Ngắn quá.", encoding="utf-8")
    assert run(script, "--text", "mine.txt", "--json", "mine.json").returncode == 0
    for text in ("cp1258.txt", "short.txt", "missing.txt", "."):
        done = run(script, "--text", text, "--json", "none.json")
        assert done.returncode == 2
        assert is_one_line(done.stderr)
    assert not (tmp_path / "none.json").exists()


def test_the_cost_of_a_model_of_ones_own(tmp_path):
    """The exercise of the lesson, by hand: a billion parameters, Chinchilla's tokens, A100, a third
    of its peak.
    """
    shutil.copy(SCRIPTS["training_cost"], tmp_path)
    script = tmp_path / "training_cost.py"
    n = 1e9
    chosen = ["--model", "1e9", "--gpu", "A100", "--assume", "0.333,2"]
    done = alone(script, *chosen, "--json", "mine.json")
    assert done.returncode == 0, done.stderr
    left = json.loads((tmp_path / "mine.json").read_text(encoding="utf-8"))
    mine = left["exact"]["models"]["yours"]
    assert mine["d"] == 20 * n
    assert mine["gpu_hours"] == pytest.approx(120 * n**2 / (3600 * 312e12 * 0.333))
    for options in ("--model x", "--model -1", "--assume 2,1", "--gpu none"):
        wrong = alone(script, *options.split())
        assert wrong.returncode == 2
        assert "Traceback" not in wrong.stderr


def test_run_all_works_in_a_notebook(tmp_path):
    record = load(SCRIPTS["hugging_face_round_trip"], ROOT)
    notebook = nbformat.reads(notebook_of(record, "x"), as_version=4)
    for cell in notebook.cells:  # the same cells, at the small size
        cell.source = cell.source.replace('default="gpt2"', 'default="tiny"')
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, resources=where).execute()
    printed = ""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            printed += output.get("text", "")
    assert "ĐÃ CHỨNG MINH" in printed
