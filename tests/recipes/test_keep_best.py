"""keep_best.py: the best weights are on disk at every moment, whatever happens to the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keep_best
import numpy
import pytest
import torch
from keep_best import KeepBest, NotABestFile
from small_models import OwnModel, gpt2

from conftest import ROOT

RECIPES = ROOT / "examples/fine-tuning/saving-and-loading"


def shift(model, amount: float = 1.0) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(amount)


def weights(model) -> torch.Tensor:
    return model.layer.weight.detach().clone()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "best.pt"


@pytest.mark.parametrize(
    ("higher", "scores", "expected", "kept"),
    [
        (False, [3, 1, 2, 1], [True, True, False, False], 1),
        (True, [0.1, 0.5, 0.9, 0.9], [True, True, True, False], 2),
    ],
)
def test_the_best_comes_back(higher, scores, expected, kept, path):
    model = OwnModel()
    best = KeepBest(path, higher=higher)
    seen, written = [], []
    for step, score in enumerate(scores):
        seen.append(weights(model))
        written.append(best.update(model, score, step))
        shift(model)
    assert best.step == kept
    assert best.restore(model) == scores[kept]
    assert torch.equal(weights(model), seen[kept])
    assert written == expected
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), torch.tensor(float("nan"))])
def test_a_score_that_is_no_number_is_refused(score, path):
    best = KeepBest(path)
    best.update(OwnModel(), 1.0)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="không phải một số"):
        best.update(OwnModel(), score)
    assert path.read_bytes() == before
    assert best.score == 1.0


def test_a_score_may_be_a_tensor(path):
    best = KeepBest(path)
    assert best.update(OwnModel(), torch.tensor(0.5))
    assert best.score == 0.5


def test_what_could_not_be_read_back_is_not_written(path):
    """A step that NumPy counted made a file that weights_only=True refuses: the best was lost."""
    best = KeepBest(path)
    best.update(OwnModel(), 2.0, numpy.int64(3))
    again = KeepBest(path, resume=True)
    assert (type(again.step), again.step) == (int, 3)
    before = path.read_bytes()

    class Odd(OwnModel):
        def get_extra_state(self):
            return {"where": path}

    model = Odd()
    with pytest.raises(ValueError, match="không đọc lại được"):
        best.update(model, 1.0)
    assert (path.read_bytes(), best.score) == (before, 2.0)
    assert list(path.parent.iterdir()) == [path]


def test_a_file_of_another_run_is_not_taken_for_ours(path):
    KeepBest(path).update(OwnModel(), 0.1)
    with pytest.raises(FileExistsError, match="resume=True"):
        KeepBest(path)


def test_resuming_goes_on_from_the_score_in_the_file(path):
    KeepBest(path, resume=True).update(OwnModel(), 0.5, 7)
    best = KeepBest(path, resume=True)
    assert (best.score, best.step) == (0.5, 7)
    assert not best.update(OwnModel(), 0.6)
    assert best.update(OwnModel(), 0.4)
    with pytest.raises(NotABestFile, match="higher=False"):
        KeepBest(path, higher=True, resume=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_a_model_of_transformers(dtype, path):
    model = gpt2().to(dtype)
    kept = model.lm_head.weight.detach().clone()
    best = KeepBest(path)
    best.update(model, 1.0)
    shift(model)
    best.restore(model)
    assert torch.equal(model.lm_head.weight, kept)
    assert model.lm_head.weight is model.transformer.wte.weight


def test_the_mode_stays(path):
    model = OwnModel().train()
    best = KeepBest(path)
    best.update(model, 1.0)
    best.restore(model)
    assert model.training


def test_another_model_is_refused_in_one_line(path):
    KeepBest(path).update(OwnModel(), 1.0)
    with pytest.raises(ValueError, match="không khớp") as caught:
        KeepBest(path, resume=True).restore(OwnModel(width=8))
    assert "\n" not in str(caught.value)


def test_a_failed_write_keeps_the_old_best(path, monkeypatch):
    best = KeepBest(path)
    best.update(OwnModel(), 1.0)
    before = path.read_bytes()

    def full_disk(parts, stream):
        stream.write(b"half")
        raise RuntimeError("unexpected pos")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="bản cũ còn nguyên"):
        best.update(OwnModel(), 0.5)
    assert best.score == 1.0
    assert path.read_bytes() == before


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_while_writing(path):
    """A process that does nothing but write better and better weights, killed at some moments."""
    code = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from keep_best import KeepBest
model = torch.nn.Linear(1000, 1000)
best = KeepBest(sys.argv[2], resume=True)
score = 1e9 if best.score is None else best.score
while True:
    score -= 1
    torch.nn.init.constant_(model.weight, score)
    best.update(model, score)
    print(score, flush=True)
"""
    command = [sys.executable, "-c", code, str(RECIPES), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(3):
            last = float(process.stdout.readline())
        time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    best = KeepBest(path, resume=True)
    assert best.score <= last
    model = torch.nn.Linear(1000, 1000)
    assert best.restore(model) == best.score
    assert model.weight.eq(best.score).all()  # all of one moment


@pytest.mark.parametrize("kind", ["cut", "text", "state", "score", "nan", "weights"])
def test_files_that_are_damaged_or_something_else(kind, path, command):
    KeepBest(path).update(OwnModel(), 1.0)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "text":
        path.write_text("<html>")
    elif kind in ("score", "nan", "weights"):
        kept = {"score": 1.0, "step": 1, "higher": False, "state": {}}
        wrong = {"score": "x", "nan": float("nan"), "weights": [1]}[kind]
        torch.save(kept | {"state" if kind == "weights" else "score": wrong}, path)
    else:
        torch.save(OwnModel().state_dict(), path)
    with pytest.raises(NotABestFile):
        KeepBest(path, resume=True)
    done = command("keep_best", path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_the_command_line(path, command):
    assert command("keep_best", path).returncode == 2
    KeepBest(path).update(OwnModel(), 0.25, 12)
    done = command("keep_best", path)
    assert done.returncode == 0, done.stderr
    assert "điểm 0.25 (càng thấp càng tốt), bước 12" in done.stdout


def test_nothing_of_the_file_is_kept_open(path):
    """Windows refuses to replace a file that is still mapped."""
    best = KeepBest(path)
    best.update(OwnModel(), 2.0)
    KeepBest(path, resume=True)
    model = OwnModel()
    best.restore(model)
    if sys.platform == "linux":
        assert str(path) not in Path("/proc/self/maps").read_text(encoding="utf-8")
    assert keep_best.read(path)["score"] == 2.0
