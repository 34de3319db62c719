"""training_checkpoint.py: what comes back, what is refused, and that a resumed run is the same."""

from __future__ import annotations

import os
import random
import shutil
import signal
import zipfile

import pytest

SAVED = 5  # of 12 steps; an epoch has 4 steps, the last one is short
TOTAL = 12


class Sentences:
    """Ten rows of ids; each read draws from the global generators of random, torch and NumPy."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int):
        import numpy
        import torch

        self.read = [*getattr(self, "read", []), index]
        row = (torch.arange(12) + index) % 60
        start = random.randrange(4)
        noise = torch.randint(0, 3, (8,)) + int(numpy.random.randint(0, 3))
        return (row[start : start + 8] + noise) % 60


def build(make_model, scheduler: bool = True, order: int = 1):
    import torch

    torch.manual_seed(0)
    model = make_model()
    parameters = list(model.parameters())[::order]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    plan = None
    if scheduler:
        plan = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    return {"model": model, "optimizer": optimizer, "scheduler": plan}


def dropout_gpt2():
    import small_models

    return small_models.gpt2(resid_pdrop=0.1, embd_pdrop=0.1, attn_pdrop=0.1)


def train(parts, stream, start: int, stop: int):
    """Losses of each step; dropout is on."""
    losses = []
    parts["model"].train()
    for _ in range(start, stop):
        ids = next(stream)
        loss = parts["model"](input_ids=ids, labels=ids).loss
        parts["optimizer"].zero_grad()
        loss.backward()
        parts["optimizer"].step()
        parts["scheduler"].step()
        losses.append(loss.item())
    return losses


def same_state(left, right) -> bool:
    import torch

    theirs = right.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in left.state_dict().items())


@pytest.fixture
def recipe():
    import training_checkpoint

    return training_checkpoint


@pytest.fixture
def saved(recipe, tmp_path):
    """A folder with checkpoints of steps 1 and 2, and what they were saved from."""
    parts = build(dropout_gpt2)
    stream = recipe.batches(Sentences(), 3, seed=0, start=0)
    for step in (1, 2):
        train(parts, stream, step - 1, step)
        recipe.save_checkpoint(tmp_path / "run", step, **parts)
    return tmp_path / "run", parts


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [SAVED, 8], ids=["middle of an epoch", "end of an epoch"])
def test_resumed_run_is_the_same_run(recipe, tmp_path, workers, stop):
    parts = build(dropout_gpt2)
    stream = recipe.batches(Sentences(), 3, seed=7, start=0, num_workers=workers)
    first = train(parts, stream, 0, stop)
    recipe.save_checkpoint(tmp_path, stop, **parts)
    rest = train(parts, stream, stop, TOTAL)
    assert len(set(first + rest)) == TOTAL

    again = build(dropout_gpt2)
    random.random()
    step, rng = recipe.load_latest(tmp_path, **again)
    assert step == stop
    stream = recipe.batches(Sentences(), 3, seed=7, start=step, num_workers=workers)
    recipe.restore_rng(rng)
    assert train(again, stream, stop, TOTAL) == rest
    assert same_state(again["model"], parts["model"])


def test_batches_do_not_depend_on_where_they_start_nor_on_workers(recipe):
    import torch

    straight = recipe.batches(Sentences(), 3, seed=0, start=0)
    expected = [next(straight) for _ in range(TOTAL)]
    assert [len(batch) for batch in expected[:4]] == [3, 3, 3, 1]
    for start, workers in [(1, 0), (4, 2), (7, 2), (11, 0)]:
        stream = recipe.batches(Sentences(), 3, seed=0, start=start, num_workers=workers)
        for wanted in expected[start:]:
            assert torch.equal(next(stream), wanted)


def test_each_epoch_reads_every_item_once_in_its_own_order(recipe):
    data = Sentences()
    stream = recipe.batches(data, 3, seed=0, start=0)
    for _ in range(8):
        next(stream)
    first, second = data.read[:10], data.read[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_skipped_steps_read_nothing(recipe):
    data = Sentences()
    next(recipe.batches(data, 3, seed=0, start=1000))
    assert len(data.read) == 3


def test_global_generators_are_left_alone(recipe):
    import numpy
    import torch

    before = random.getstate(), torch.get_rng_state(), numpy.random.get_state()[1].tolist()
    stream = recipe.batches(Sentences(), 3, seed=0, start=0)
    for _ in range(5):
        next(stream)
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert numpy.random.get_state()[1].tolist() == before[2]


def test_randomness_in_collate_is_resumed_too(recipe):
    def collate(rows):
        return [random.random() for _ in rows]

    straight = recipe.batches(list(range(10)), 4, seed=0, start=0, collate_fn=collate)
    expected = [next(straight) for _ in range(5)]
    stream = recipe.batches(list(range(10)), 4, seed=0, start=3, collate_fn=collate)
    assert [next(stream), next(stream)] == expected[3:]
    assert expected[0] != expected[3]


def test_without_shuffling_the_order_is_that_of_the_data(recipe):
    stream = recipe.batches(list(range(5)), 2, seed=0, start=1, shuffle=False)
    assert [next(stream).tolist() for _ in range(3)] == [[2, 3], [4], [0, 1]]


def test_data_that_cannot_be_indexed_is_refused_at_once(recipe):
    from torch.utils.data import IterableDataset

    class Endless(IterableDataset):
        def __iter__(self):
            return iter([])

    with pytest.raises(TypeError, match="IterableDataset") as caught:
        recipe.batches(Endless(), 3, seed=0, start=0)
    assert "\n" not in str(caught.value)
    for wrong in ({"data": []}, {"batch_size": 0}, {"start": -1}):
        arguments = {"data": [1], "batch_size": 1, "start": 0, **wrong}
        with pytest.raises(ValueError, match="cần ít nhất"):
            recipe.batches(
                arguments["data"], arguments["batch_size"], seed=0, start=arguments["start"]
            )


def test_nothing_saved_yet(recipe, tmp_path):
    parts = build(dropout_gpt2)
    assert recipe.load_latest(tmp_path / "none", **parts) == (0, None)
    assert recipe.load_latest(tmp_path, **parts) == (0, None)
    recipe.restore_rng(None)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5", "classifier", "OwnModel"])
def test_any_model_comes_back_with_its_optimizer(recipe, tmp_path, kind):
    import small_models
    import torch

    make = getattr(small_models, kind)
    parts = build(make)
    for parameter in parts["model"].parameters():
        parameter.grad = torch.randn_like(parameter)
    parts["optimizer"].step()
    recipe.save_checkpoint(tmp_path, 1, **parts)
    again = build(make)
    assert recipe.load_latest(tmp_path, **again)[0] == 1
    assert same_state(again["model"], parts["model"])
    for name, value in again["optimizer"].state_dict()["state"].items():
        theirs = parts["optimizer"].state_dict()["state"][name]
        assert torch.equal(value["exp_avg_sq"], theirs["exp_avg_sq"])


def test_half_precision_no_scheduler_and_a_scaler(recipe, tmp_path):
    import torch

    def make():
        return dropout_gpt2().bfloat16()

    parts = build(make, scheduler=False)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    recipe.save_checkpoint(tmp_path, 1, scaler=scaler, **parts)
    again = build(make, scheduler=False)
    fresh = torch.amp.GradScaler("cpu", init_scale=2.0)
    assert recipe.load_latest(tmp_path, scaler=fresh, **again)[0] == 1
    assert fresh.get_scale() == 8.0
    assert same_state(again["model"], parts["model"])
    with pytest.raises(recipe.CheckpointError, match="GradScaler"):
        recipe.load_latest(tmp_path, **again)


def test_one_byte_floats_are_looked_at_too(recipe):
    import torch

    numbers = torch.tensor([1.0, float("nan")])
    assert recipe.is_finite(numbers[:1].to(torch.float8_e4m3fn))
    assert not recipe.is_finite(numbers.to(torch.float8_e4m3fn))


def test_compiled_model_and_plain_model_share_checkpoints(recipe, tmp_path):
    import torch

    parts = build(dropout_gpt2)
    compiled = {**parts, "model": torch.compile(parts["model"])}
    recipe.save_checkpoint(tmp_path, 1, **compiled)
    again = build(dropout_gpt2)
    assert recipe.load_latest(tmp_path, **again)[0] == 1
    assert same_state(again["model"], parts["model"])


def test_frozen_parameters_are_frozen_again(recipe, tmp_path):
    parts = build(dropout_gpt2)
    parts["model"].transformer.wte.requires_grad_(False)
    recipe.save_checkpoint(tmp_path, 1, **parts)
    again = build(dropout_gpt2)
    recipe.load_latest(tmp_path, **again)
    assert not again["model"].transformer.wte.weight.requires_grad
    assert again["model"].transformer.wpe.weight.requires_grad


def test_the_last_ones_are_kept(recipe, tmp_path):
    parts = build(dropout_gpt2)
    (tmp_path / "step-notes.pt").write_text("mine")
    (tmp_path / "step-00000001.pt.99.part").write_text("half")
    for step in (8, 9, 10, 100):
        file = recipe.save_checkpoint(tmp_path, step, keep=3, **parts)
        assert file.name == f"step-{step:08d}.pt"
    names = sorted(path.name for path in tmp_path.iterdir())
    wanted = [f"step-{step:08d}.pt" for step in (9, 10, 100)]
    assert names == [*wanted, "step-notes.pt"]
    with pytest.raises(ValueError, match="keep"):
        recipe.save_checkpoint(tmp_path, 101, keep=0, **parts)


def test_the_step_is_a_whole_number_and_comes_back_as_one(recipe, tmp_path):
    """A negative one made a file that no one lists; one of numpy or torch came back as it was."""
    import numpy
    import torch

    parts = build(dropout_gpt2)
    for step in (-1, 1.5, "3"):
        with pytest.raises((ValueError, TypeError)):
            recipe.save_checkpoint(tmp_path, step, **parts)
    assert list(tmp_path.iterdir()) == []
    for number, step in ((3, numpy.int64(3)), (4, torch.tensor(4)), (10**12, 10**12)):
        recipe.save_checkpoint(tmp_path, step, **parts)
        again, _ = recipe.load_latest(tmp_path, **parts)
        assert (type(again), again) == (int, number)


def test_running_statistics_that_are_nan_are_refused_and_a_mask_of_infinity_is_not(
    recipe, tmp_path
):
    """A GradScaler skips the step of an overflow: weights stay good, BatchNorm does not."""
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    model.register_buffer("mask", torch.full((2, 2), float("-inf")).triu(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    parts = {"model": model, "optimizer": optimizer, "scheduler": None}
    recipe.save_checkpoint(tmp_path, 1, **parts)
    model(torch.full((2, 2), float("inf")))
    with pytest.raises(recipe.CheckpointError, match=r"1\.running_(mean|var)"):
        recipe.save_checkpoint(tmp_path, 2, **parts)


@pytest.mark.parametrize("where", ["parameter", "optimizer", "loss"])
def test_what_is_not_finite_is_refused(recipe, saved, where):
    import torch

    folder, parts = saved
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    loss = 1.0
    with torch.no_grad():
        if where == "parameter":
            parts["model"].transformer.wpe.weight[0, 0] = float("nan")
        elif where == "optimizer":
            weight = parts["model"].transformer.wpe.weight
            parts["optimizer"].state[weight]["exp_avg"][0, 0] = float("inf")
        else:
            loss = torch.tensor(float("nan"), requires_grad=True)
    with pytest.raises(recipe.CheckpointError, match="NaN") as caught:
        recipe.save_checkpoint(folder, 3, loss=loss, **parts)
    assert ("wpe" in str(caught.value)) == (where != "loss")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def flip_a_bit(file):
    raw = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    raw[largest.header_offset + 2000] ^= 1
    file.write_bytes(raw)


def empty(file):
    file.write_bytes(b"")


def lose_its_end(file):
    raw = file.read_bytes()
    file.write_bytes(raw[:-30])


def other_content(file):
    import torch

    torch.save({"model": {}}, file)


def old_list(file):
    import torch

    torch.save([1], file)


def trap(file):
    import pathlib

    import torch

    torch.save({"step": pathlib.Path("x")}, file)


DAMAGES = [cut, flip_a_bit, empty, lose_its_end, other_content, old_list, trap]


@pytest.mark.parametrize("harm", DAMAGES)
def test_damaged_newest_falls_back_and_says_so(recipe, saved, command, capsys, harm):
    folder, _ = saved
    newest = folder / "step-00000002.pt"
    harm(newest)
    again = build(dropout_gpt2)
    assert recipe.load_latest(folder, **again)[0] == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "step-00000002.pt" in said
    assert newest.exists()
    done = command("training_checkpoint", folder)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    recipe.save_checkpoint(folder, 2, **again)  # the same step again: whole now
    assert recipe.damage(newest) is None


def test_none_good_is_an_error_again_and_again(recipe, saved):
    folder, _ = saved
    for file in folder.iterdir():
        cut(file)
    for _ in range(2):
        with pytest.raises(recipe.CheckpointError, match="Không checkpoint nào"):
            recipe.load_latest(folder, **build(dropout_gpt2))


def test_half_written_file_is_not_a_checkpoint(recipe, saved):
    folder, _ = saved
    shutil.copy(folder / "step-00000002.pt", folder / "step-00000003.pt.1.part")
    assert recipe.load_latest(folder, **build(dropout_gpt2))[0] == 2


def test_file_written_without_crc_is_whole(recipe, tmp_path):
    import torch

    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        file = recipe.save_checkpoint(tmp_path, 1, **build(dropout_gpt2))
    finally:
        torch.serialization.set_crc32_options(before)
    assert recipe.damage(file) is None


def test_other_model_or_optimizer_changes_nothing(recipe, saved):
    import small_models
    import torch

    folder, _ = saved
    wrong = {
        "Lúc lưu: mô hình có": build(lambda: small_models.gpt2(n_embd=32)),
        "Bây giờ: mô hình có lm_head": build(small_models.llama),
        "float32. Bây giờ": build(lambda: dropout_gpt2().bfloat16()),
        "tham số 0 trong nhóm 0": build(dropout_gpt2, order=-1),
        "scheduler: LambdaLR. Bây giờ: scheduler: không có": build(dropout_gpt2, scheduler=False),
    }
    for message, parts in wrong.items():
        before = {name: value.clone() for name, value in parts["model"].state_dict().items()}
        with pytest.raises(recipe.CheckpointError) as caught:
            recipe.load_latest(folder, **parts)
        if "Bây giờ: mô" not in message:
            assert message in str(caught.value)
        assert "\n" not in str(caught.value)
        for name, value in parts["model"].state_dict().items():
            assert torch.equal(value, before[name])
        assert not parts["optimizer"].state


def test_optimizer_of_another_model_is_refused(recipe, saved, tmp_path):
    folder, parts = saved
    orphan = {**build(dropout_gpt2), "optimizer": parts["optimizer"]}
    with pytest.raises(recipe.CheckpointError, match="không thuộc mô hình"):
        recipe.load_latest(folder, **orphan)
    with pytest.raises(recipe.CheckpointError, match="không thuộc mô hình"):
        recipe.save_checkpoint(tmp_path / "new", 1, **orphan)


def test_folder_of_another_run_is_refused(recipe, saved):
    folder, _ = saved
    with pytest.raises(recipe.CheckpointError, match="lần huấn luyện khác"):
        recipe.save_checkpoint(folder, 1, **build(dropout_gpt2))
    cut(folder / "step-00000002.pt")
    recipe.save_checkpoint(folder, 1, **build(dropout_gpt2))


def test_state_that_could_not_be_read_back_is_not_saved(recipe, saved):
    import numpy

    folder, parts = saved
    parts["scheduler"].best = numpy.float64(1.0)
    with pytest.raises(recipe.CheckpointError, match="còn nguyên"):
        recipe.save_checkpoint(folder, 3, **parts)
    assert len(list(folder.iterdir())) == 2


def test_disk_full_leaves_the_older_ones(recipe, saved):
    resource = pytest.importorskip("resource")
    folder, parts = saved
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(recipe.CheckpointError, match="đĩa còn"):
            recipe.save_checkpoint(folder, 3, **parts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_command_lists_whole_checkpoints(saved, command, tmp_path):
    folder, _ = saved
    done = command("training_checkpoint", folder)
    assert done.returncode == 0
    assert done.stdout.count("trọn vẹn") == 2
    assert "bước 2" in done.stdout
    for nothing in (tmp_path / "none", tmp_path):
        done = command("training_checkpoint", nothing)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
