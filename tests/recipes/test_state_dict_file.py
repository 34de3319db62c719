"""state_dict_file.py: a model comes back as it was saved, or one line says why not."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path

import pytest
import small_models
import state_dict_file
import torch
from small_models import OwnModel
from state_dict_file import Damaged, NotReadable, load, load_without_copy, save, strip_prefixes
from torch import nn

CONFIG = {"vocabulary": 60, "width": 16}


def build(config: dict) -> nn.Module:
    return OwnModel(**config)


def finish(model: nn.Module) -> None:
    model.mask = torch.tril(torch.ones(8, 8))


def noisy(model: nn.Module) -> nn.Module:
    """No tensor keeps its initial value, so that one made anew is seen."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand(tensor.shape, generator=generator).to(tensor.dtype))
    return model


def own() -> nn.Module:
    return noisy(OwnModel(**CONFIG))


def same(one: nn.Module, two: nn.Module) -> bool:
    """Names, number types and bits of all that a state_dict holds."""
    first, second = one.state_dict(), two.state_dict()
    if first.keys() != second.keys():
        return False
    for name, tensor in first.items():
        other = second[name]
        if tensor.dtype != other.dtype or tensor.shape != other.shape:
            return False
        if not torch.equal(
            tensor.contiguous().view(torch.uint8), other.contiguous().view(torch.uint8)
        ):
            return False
    return True


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model.pt"


def both_ways(path: Path) -> list[nn.Module]:
    return [load(build, path), load_without_copy(build, path, finish)]


def test_round_trip_keeps_bits_ties_buffers_and_turns_dropout_off(path):
    model = own()
    save(model.train(), path, CONFIG)
    for loaded in both_ways(path):
        assert same(model, loaded)
        assert loaded.head.weight is loaded.embedding.weight
        assert torch.equal(loaded.mask, model.mask)
        assert not loaded.training
        ids = torch.arange(6)[None]
        assert torch.allclose(loaded(ids), model.eval()(ids), atol=1e-6)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5", "classifier"])
def test_models_of_transformers(kind, path):
    model = noisy(getattr(small_models, kind)())
    save(model, path)
    again = load(lambda: type(model)(model.config), path)
    assert same(model, again)
    assert state_dict_file.shared_names(again) == state_dict_file.shared_names(model)


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_models_without_hollow_buffers_load_without_a_copy(kind, path):
    model = noisy(getattr(small_models, kind)())
    save(model, path)
    again = load_without_copy(lambda: type(model)(model.config), path)
    assert same(model, again)
    assert state_dict_file.shared_names(again) == state_dict_file.shared_names(model)


@pytest.mark.parametrize("kind", ["llama", "classifier"])
def test_buffers_that_no_file_holds_are_named_with_the_cure(kind, path):
    model = getattr(small_models, kind)()
    save(model, path)
    with pytest.raises(ValueError, match=r"(inv_freq|position_ids).*dùng load"):
        load_without_copy(lambda: type(model)(model.config), path)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_number_type_is_that_of_the_file(dtype, path):
    model = own().to(dtype)
    save(model, path, CONFIG)
    for loaded in both_ways(path):
        assert same(model, loaded)


def test_mixed_number_types(path):
    model = own().bfloat16()
    model.layer.float()
    save(model, path, CONFIG)
    for loaded in both_ways(path):
        assert same(model, loaded)


def test_a_file_with_a_state_dict_alone_is_built_without_config(path):
    model = own()
    torch.save(model.state_dict(), path)
    assert same(model, load(OwnModel, path))
    assert same(model, load_without_copy(OwnModel, path, finish))


def test_the_very_old_form_of_torch_save(path):
    model = own()
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)
    assert same(model, load(OwnModel, path))
    assert same(model, load_without_copy(OwnModel, path, finish))


def test_a_tie_made_outside_the_class_is_restored(path):
    def two_layers():
        return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))

    model = two_layers()
    model[1].weight = model[0].weight
    save(model, path)
    for loaded in (load(two_layers, path), load_without_copy(two_layers, path)):
        assert loaded[1].weight is loaded[0].weight
        assert same(model, loaded)


def test_two_copies_are_not_poured_into_one_tensor(path):
    model = own()
    model.head.weight = nn.Parameter(model.head.weight + 1)
    save(model, path, CONFIG)
    for loader in (load, load_without_copy):
        with pytest.raises(ValueError, match="hai bản khác nhau"):
            loader(build, path)


def test_training_goes_on_and_leaves_the_file_alone(path):
    save(own(), path, CONFIG)
    before = path.read_bytes()
    model = load_without_copy(build, path, finish)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model(torch.arange(6)[None]).square().mean().backward()
    optimizer.step()
    assert not same(model, load(build, path))
    assert path.read_bytes() == before
    save(model, path, CONFIG)  # onto the file that is mapped
    assert same(model, load(build, path))


def test_requires_grad_is_not_in_the_file(path):
    save(own().requires_grad_(False), path, CONFIG)
    for loaded in both_ways(path):
        assert all(parameter.requires_grad for parameter in loaded.parameters())


class Holder:
    def __init__(self):
        self.table = torch.arange(4.0)


class PlainAttributes(nn.Module):
    """Tensors that are neither parameters nor buffers, in every hiding place."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        table = torch.arange(4.0)
        if place == "attribute":
            self.layer.table = table
        elif place == "list":
            self.tables = [[table]]
        elif place == "dict":
            self.tables = {"a": (table,)}
        elif place == "object":
            self.holder = Holder()
        elif place == "alias":
            self.tied = [self.layer.weight]


@pytest.mark.parametrize("place", ["attribute", "list", "dict", "object", "alias"])
def test_plain_tensor_attributes_left_on_meta_are_refused(place, path):
    model = PlainAttributes(place)
    save(model, path, {"place": place})
    with pytest.raises(ValueError, match=r"còn rỗng: (layer\.table|tables|holder\.table|tied)"):
        load_without_copy(lambda config: PlainAttributes(**config), path)
    assert same(model, load(lambda config: PlainAttributes(**config), path))


def test_a_class_that_needs_numbers_while_it_is_built(path):
    class Item(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)
            self.rates = [rate.item() for rate in torch.arange(3.0)]

    save(Item(), path)
    with pytest.raises(ValueError, match=r"trên meta.*dùng load"):
        load_without_copy(Item, path)
    load(Item, path)


@pytest.mark.parametrize("loader", [load, load_without_copy])
def test_names_and_shapes_that_do_not_fit(loader, path):
    save(own(), path, CONFIG | {"width": 8})
    with pytest.raises(ValueError, match=r"embedding\.weight khác kích thước") as caught:
        loader(build, path)
    assert "\n" not in str(caught.value)

    class Renamed(OwnModel):
        def __init__(self, **config):
            super().__init__(**config)
            self.middle = self.layer
            del self.layer

    save(own(), path, CONFIG)
    with pytest.raises(ValueError, match=r"thiếu 2 tên \(middle.*thừa 2 tên \(layer"):
        loader(lambda config: Renamed(**config), path)


@pytest.mark.parametrize("loader", [load, load_without_copy])
def test_a_config_that_builds_nothing(loader, path):
    save(own(), path, {"wide": 16})
    with pytest.raises(ValueError, match=r"'wide': 16.*unexpected keyword"):
        loader(build, path)


def test_wrapped_models_are_saved_by_their_inner_names(path):
    model = own()
    save(nn.DataParallel(model), path, CONFIG)
    assert same(model, load(build, path))
    save(torch.compile(model), path, CONFIG)
    assert same(model, load(build, path))


@pytest.mark.parametrize("loader", [load, load_without_copy])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_prefixes_of_wrappers_are_recognised(loader, prefix, path):
    model = own()
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"strip_prefixes\(state\)"):
        loader(OwnModel, path)
    torch.save(strip_prefixes(state), path)
    assert same(model, load(OwnModel, path))


def test_a_compiled_part_has_its_prefix_in_the_middle():
    assert list(strip_prefixes({"blocks.0._orig_mod.weight": 1})) == ["blocks.0.weight"]


def test_a_file_written_on_a_gpu(path, monkeypatch):
    """The label that a GPU leaves in a file, written without one."""
    model = own()
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        torch.save(model.state_dict(), path)
    assert b"cuda:0" in path.read_bytes()
    assert same(model, load(OwnModel, path))
    assert same(model, load_without_copy(OwnModel, path, finish))


class Foreign:
    pass


@pytest.mark.parametrize("config", [{"path": Path("a")}, {"a": Foreign()}])
def test_a_config_that_cannot_come_back_is_refused_at_once(config, path):
    save(own(), path, CONFIG)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="chỉ lưu được số, chữ, list, dict"):
        save(own(), path, config)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_config_that_cannot_be_written(path):
    with pytest.raises(ValueError, match="không ghi ra tệp được") as caught:
        save(own(), path, {"make": lambda: 1})
    assert "\n" not in str(caught.value)
    assert not list(path.parent.iterdir())


def test_a_config_that_is_no_dict_and_a_model_without_numbers(path):
    with pytest.raises(ValueError, match="config phải là dict"):
        save(own(), path, small_models.gpt2().config)
    with torch.device("meta"):
        hollow = OwnModel()
    with pytest.raises(ValueError, match="còn trên meta"):
        save(hollow, path)
    with pytest.raises(ValueError, match="không có tham số"):
        save(nn.ReLU(), path)  # read would call such a file damaged
    assert not path.exists()


def test_a_failed_write_keeps_the_old_file(path, monkeypatch):
    save(own(), path, CONFIG)
    before = path.read_bytes()

    def full_disk(parts, stream):
        stream.write(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 1 vs 0")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="đĩa đầy"):
        save(own(), path, CONFIG)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


class Bomb:
    def __reduce__(self):
        return (print, ("BOOM",))


def damaged(path: Path, kind: str) -> None:
    save(own(), path, CONFIG)
    raw = bytearray(path.read_bytes())
    if kind == "cut":
        path.write_bytes(raw[: len(raw) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle":
        start = raw.index(b"embedding.weight")
        raw[start - 6 : start] = b"\xff" * 6
        path.write_bytes(raw)
    elif kind == "parts":
        torch.save({"config": None, "shared": [["a", "b"]], "state": own().state_dict()}, path)


@pytest.mark.parametrize("kind", ["cut", "empty", "pickle", "parts"])
def test_damaged_files(kind, path, command):
    damaged(path, kind)
    for loader in (load, load_without_copy):
        with pytest.raises(Damaged) as caught:
            loader(build, path)
        assert "\n" not in str(caught.value)
    done = command("state_dict_file", path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout


def test_no_byte_of_a_pickle_gives_a_traceback(path):
    """Every byte of the table of contents, changed in turn: an answer, or one of our own errors."""
    save(own(), path, CONFIG)
    raw = path.read_bytes()
    start = raw.index(b"PK") + 64
    end = raw.index(b"OrderedDict") + 1500
    answers = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for position in range(start, min(end, len(raw)), 11):
            path.write_bytes(raw[:position] + bytes([raw[position] ^ 0x15]) + raw[position + 1 :])
            try:
                load(build, path)
                answers.add("loaded")
            except ValueError as error:
                assert "\n" not in str(error)
                answers.add(type(error).__name__)
    assert {"Damaged", "ValueError"} <= answers


def foreign(path: Path, kind: str) -> None:
    if kind == "text":
        path.write_text("<html>không tìm thấy</html>")
    elif kind == "lfs":
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    elif kind == "bomb":
        path.write_bytes(pickle.dumps(Bomb()))
    elif kind == "bomb in a ZIP":
        torch.save({"a": torch.ones(1), "b": Bomb()}, path)
    elif kind == "whole model":
        torch.save(own(), path)
    elif kind == "checkpoint":
        torch.save({"model": own().state_dict(), "step": 3}, path)
    elif kind == "list":
        torch.save([torch.ones(1)], path)
    elif kind == "folder":
        path.mkdir()


FOREIGN = {
    "text": "không phải tệp của torch.save",
    "lfs": "không phải tệp của torch.save",
    "bomb": "không phải tệp của torch.save",
    "bomb in a ZIP": "print",
    "whole model": "OwnModel",
    "checkpoint": "'model'",
    "list": "list",
    "folder": "thường",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_files_that_are_something_else(kind, path, command):
    foreign(path, kind)
    for loader in (load, load_without_copy):
        with pytest.raises(NotReadable, match=FOREIGN[kind]):
            loader(build, path)
    done = command("state_dict_file", path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "BOOM" not in done.stdout


def test_no_file(path, command):
    with pytest.raises(FileNotFoundError):
        load(build, path)
    done = command("state_dict_file", path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_too_little_memory_is_not_called_damage(path, monkeypatch):
    save(own(), path, CONFIG)

    def no_memory(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 B")

    monkeypatch.setattr(torch, "load", no_memory)
    with pytest.raises(MemoryError, match="không đủ bộ nhớ"):
        load(build, path)


def test_the_command_line_lists_what_is_inside(path, command):
    save(own().bfloat16(), path, CONFIG)
    done = command("state_dict_file", path)
    assert done.returncode == 0, done.stderr
    assert f"config: {CONFIG}" in done.stdout
    assert "dùng chung: ['embedding.weight', 'head.weight']" in done.stdout
    assert "bfloat16   [60, 16]         'embedding.weight'" in done.stdout
    assert "5 tên" in done.stdout


def test_the_command_line_sees_a_flipped_bit_that_torch_does_not(path, command):
    model = own()
    save(model, path, CONFIG)
    raw = bytearray(path.read_bytes())
    place = raw.index(model.layer.weight.detach().numpy().tobytes())
    raw[place] ^= 1
    path.write_bytes(raw)
    assert not same(model, load(build, path))
    done = command("state_dict_file", path)
    assert done.returncode == 1
    assert "CRC" in done.stderr


def test_a_file_written_without_crc_is_not_called_damaged(path, command):
    torch.serialization.set_crc32_options(False)
    try:
        save(own(), path, CONFIG)
    finally:
        torch.serialization.set_crc32_options(True)
    assert command("state_dict_file", path).returncode == 0


def test_control_characters_of_a_hostile_file_do_not_reach_the_screen(path, command):
    torch.save({"\x1b[2J": torch.ones(1)}, path)
    done = command("state_dict_file", path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout


def test_the_copy_in_memory_is_not_touched(path):
    model = own()
    before = copy.deepcopy(model.state_dict())
    save(model, path, CONFIG)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.head.weight is model.embedding.weight
