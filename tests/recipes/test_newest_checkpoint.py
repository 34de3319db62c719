"""newest_checkpoint.py: only a checkpoint with all its files is resumed from."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture
def recipe():
    import newest_checkpoint

    return newest_checkpoint


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two checkpoints as Trainer writes them, steps 9 and 10."""
    import small_models
    from transformers import Trainer, TrainingArguments

    folder = tmp_path_factory.mktemp("trained")
    arguments = TrainingArguments(
        output_dir=folder,
        max_steps=10,
        save_steps=1,
        save_total_limit=2,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
    )
    rows = [{"input_ids": [number, 5, 6], "labels": [number, 5, 6]} for number in range(8)]
    Trainer(small_models.gpt2(), arguments, train_dataset=rows).train()
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def test_the_newest_by_number_not_by_letters(recipe, folder):
    assert recipe.newest_complete(folder) == str(folder / "checkpoint-10")


def test_nothing_yet_means_begin(recipe, tmp_path):
    assert recipe.newest_complete(tmp_path / "none") is None
    (tmp_path / "checkpoint-best").mkdir()
    (tmp_path / "checkpoint-7").write_text("a file")
    assert recipe.newest_complete(tmp_path) is None


FILES = ["trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth", "model.safetensors"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["lost", "cut", "empty"])
def test_what_is_not_whole_is_passed_over_and_said(recipe, folder, capsys, name, harm):
    path = folder / "checkpoint-10" / name
    if harm == "lost":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2 if harm == "cut" else 0)
    assert recipe.newest_complete(folder) == str(folder / "checkpoint-9")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "checkpoint-10" in said


def test_mark_of_an_unfinished_save(recipe, folder, capsys):
    (folder / "checkpoint-10" / recipe.SENTINEL).touch()
    assert recipe.newest_complete(folder) == str(folder / "checkpoint-9")
    assert "đang ghi dở" in capsys.readouterr().err


def test_none_complete_is_an_error_not_a_fresh_start(recipe, folder):
    for checkpoint in folder.iterdir():
        (checkpoint / "optimizer.pt").unlink()
    with pytest.raises(FileNotFoundError, match="đủ tệp"):
        recipe.newest_complete(folder)


def test_shards_and_adapters(recipe, folder):
    import small_models

    last = folder / "checkpoint-10"
    (last / "model.safetensors").unlink()
    small_models.gpt2().save_pretrained(last, max_shard_size="10KB")
    assert recipe.problem_of(last) is None
    shard = sorted(last.glob("model-*.safetensors"))[0]
    shard.unlink()
    assert shard.name in recipe.problem_of(last)

    other = folder / "checkpoint-9"
    (other / "model.safetensors").rename(other / "adapter_model.safetensors")
    assert recipe.problem_of(other) is None


BROKEN = ["[]", "{}", "5", '{"weight_map": null}', '{"weight_map": ["a"]}', "[" * 100_000]
BROKEN += ['{"weight_map": {"a": 5}}', '{"weight_map": {"a": null}}', '{"weight_map": {}}']


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_index_of_shards_is_passed_over_too(recipe, folder, capsys, text):
    last = folder / "checkpoint-10"
    (last / "model.safetensors").rename(last / "model-00001-of-00001.safetensors")
    (last / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    assert recipe.newest_complete(folder) == str(folder / "checkpoint-9")
    assert "thiếu" in capsys.readouterr().err


def test_command(folder, command, tmp_path):
    done = command("newest_checkpoint", folder)
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["checkpoint-9: đủ", "checkpoint-10: đủ"]
    (folder / "checkpoint-10" / "optimizer.pt").unlink()
    done = command("newest_checkpoint", folder)
    assert done.returncode == 1
    assert "thiếu optimizer.pt" in done.stdout
    done = command("newest_checkpoint", tmp_path / "none")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
