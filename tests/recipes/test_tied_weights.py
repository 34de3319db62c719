"""The recipe tied_weights: what is shared, tying again, what is no longer tied."""

from __future__ import annotations

import json
import os
import shutil
import struct

import pytest
import small_models
import tied_weights as recipe
import torch
from safetensors.torch import load_file, save_file, save_model
from torch import nn

PAIR = ["transformer.wte.weight", "lm_head.weight"]
T5_NAMES = [
    "shared.weight",
    "encoder.embed_tokens.weight",
    "decoder.embed_tokens.weight",
    "lm_head.weight",
]


def assigned(model, state):
    """The model as load_state_dict(assign=True) leaves it: each name a parameter of its own."""
    model.load_state_dict(state, assign=True)
    return model


def from_disk(model, folder):
    torch.save(model.state_dict(), folder / "state.pt")
    return torch.load(folder / "state.pt", weights_only=True)


# --- shared_names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "groups"),
    [
        (small_models.gpt2, [PAIR]),
        (small_models.llama, []),
        (small_models.t5, [T5_NAMES]),
        (small_models.classifier, []),
        (small_models.OwnModel, [["embedding.weight", "head.weight"]]),
    ],
)
def test_shared_names_of_each_kind(make, groups):
    assert recipe.shared_names(make()) == groups
    assert recipe.shared_names(make().to(torch.bfloat16)) == groups
    assert recipe.shared_names(make().state_dict()) == groups


def test_nested_modules_under_two_names():
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Sequential(nn.ReLU())})
    model["b"].append(model["a"])
    assert recipe.shared_names(model) == [["a.weight", "b.1.weight"], ["a.bias", "b.1.bias"]]


def test_shared_buffers_count():
    model = nn.Module()
    table = torch.randn(4)
    model.register_buffer("first", table)
    model.register_buffer("second", table, persistent=False)
    assert recipe.shared_names(model) == [["first", "second"]]


def test_meta_and_empty_tensors_share_nothing():
    with torch.device("meta"):
        assert recipe.shared_names(small_models.gpt2()) == []
    model = nn.Module()
    model.register_buffer("first", torch.empty(0))
    model.register_buffer("second", torch.empty(0))
    assert recipe.shared_names(model) == []


def test_lazy_parameters_are_passed_over():
    assert recipe.shared_names(nn.Sequential(nn.LazyLinear(3), nn.LazyLinear(3))) == []


def test_sparse_tensors_are_one_only_when_they_are_one_object():
    sparse = torch.eye(3).to_sparse()
    assert recipe.shared_names({"a": sparse, "b": sparse}) == [["a", "b"]]
    assert recipe.shared_names({"a": sparse, "b": sparse.clone()}) == []


# --- overlapping_names --------------------------------------------------------------------------


def test_slices_are_named_apart(tmp_path):
    whole = torch.randn(6, 4)
    model = nn.Module()
    model.register_buffer("whole", whole)
    model.register_buffer("top", whole[:4])
    model.register_buffer("bottom", whole[4:])
    model.register_buffer("turned", whole.t())
    assert recipe.shared_names(model) == []
    found = {frozenset(pair) for pair in recipe.overlapping_names(model)}
    assert found == {
        frozenset(pair)
        for pair in [
            ("whole", "top"),
            ("whole", "bottom"),
            ("whole", "turned"),
            ("turned", "top"),
            ("turned", "bottom"),
        ]
    }
    with pytest.raises(RuntimeError):
        save_file(model.state_dict(), tmp_path / "never-written.safetensors")


def test_separate_rows_of_one_tensor_do_not_overlap():
    whole = torch.randn(6, 4)
    assert recipe.overlapping_names({"top": whole[:3], "bottom": whole[3:]}) == []


def test_models_have_no_overlaps():
    for make in (small_models.gpt2, small_models.t5, small_models.llama):
        assert recipe.overlapping_names(make()) == []


# --- tie_again ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [small_models.gpt2, small_models.t5, small_models.OwnModel])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tie_again_after_assign(make, dtype, tmp_path):
    saved = make().to(dtype)
    groups = recipe.shared_names(saved)
    loaded = assigned(make(), from_disk(saved, tmp_path))
    assert recipe.untied(loaded, groups)
    recipe.tie_again(loaded, json.loads(json.dumps(groups)))
    assert recipe.untied(loaded, groups) == []
    tensors = dict(loaded.named_parameters(remove_duplicate=False))
    for names in groups:
        assert all(tensors[name] is tensors[names[0]] for name in names)
    assert len(list(loaded.parameters())) == len(list(saved.parameters()))


def test_a_name_left_on_meta_takes_the_one_with_numbers(tmp_path):
    saved = small_models.gpt2()
    saved.save_pretrained(tmp_path)
    with torch.device("meta"):
        loaded = small_models.gpt2()
    loaded.load_state_dict(load_file(tmp_path / "model.safetensors"), assign=True, strict=False)
    assert loaded.lm_head.weight.is_meta
    recipe.tie_again(loaded, [PAIR[::-1]])
    assert loaded.lm_head.weight is loaded.transformer.wte.weight
    assert torch.equal(loaded.lm_head.weight, saved.lm_head.weight)


def test_different_values_are_refused_and_nothing_changes():
    model = small_models.t5()
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())
    model.lm_head.weight.data[0, 0] += 1
    own = nn.Parameter(model.shared.weight.detach().clone())
    model.encoder.embed_tokens.weight = own
    with pytest.raises(ValueError, match=r"lm_head\.weight"):
        recipe.tie_again(model, [T5_NAMES[:2], T5_NAMES])
    assert model.encoder.embed_tokens.weight is own  # the first group was sound, and waits


@pytest.mark.parametrize("change", ["dtype", "shape", "frozen", "minus zero"])
def test_what_is_not_the_same_is_refused(change):
    model = small_models.OwnModel()
    with torch.no_grad():
        model.embedding.weight[0, 0] = 0.0
    other = nn.Parameter(model.embedding.weight.detach().clone())
    if change == "dtype":
        other = nn.Parameter(other.detach().double())
    elif change == "shape":
        other = nn.Parameter(other.detach()[:-1])
    elif change == "frozen":
        other.requires_grad_(False)
    else:
        other.data[0, 0] = -0.0
    model.head.weight = other
    with pytest.raises(ValueError, match=r"head\.weight"):
        recipe.tie_again(model, [["embedding.weight", "head.weight"]])
    assert model.head.weight is other


def test_nan_is_equal_to_itself():
    model = small_models.OwnModel()
    with torch.no_grad():
        model.embedding.weight[0, 0] = torch.nan
    model.head.weight = nn.Parameter(model.embedding.weight.detach().clone())
    recipe.tie_again(model, [["embedding.weight", "head.weight"]])
    assert model.head.weight is model.embedding.weight


def test_names_of_another_model_are_refused():
    with pytest.raises(ValueError, match=r"lm_head\.weight"):
        recipe.tie_again(small_models.OwnModel(), [PAIR])
    with pytest.raises(ValueError, match="rỗng"):
        recipe.tie_again(small_models.OwnModel(), [[]])


def test_buffers_stay_buffers():
    model = nn.Module()
    table = torch.randn(4)
    model.register_buffer("first", table)
    model.register_buffer("second", table)
    groups = recipe.shared_names(model)
    model.double().float()  # Module.to copies each buffer by itself
    assert recipe.untied(model, groups) == [("first", "second")]
    recipe.tie_again(model, groups)
    assert recipe.untied(model, groups) == []
    assert dict(model.named_parameters()) == {}
    model.first[0] = 7.0
    assert model.second[0] == 7.0


# --- untied -------------------------------------------------------------------------------------


def test_two_parameters_on_one_memory_are_not_one(tmp_path):
    saved = small_models.gpt2()
    loaded = assigned(small_models.gpt2(), from_disk(saved, tmp_path))
    assert loaded.lm_head.weight.data_ptr() == loaded.transformer.wte.weight.data_ptr()
    assert recipe.untied(loaded, [PAIR]) == [tuple(PAIR)]


@pytest.mark.parametrize("make", [small_models.gpt2, small_models.llama, small_models.t5])
def test_a_sound_model_has_no_pairs(make):
    model = make()
    assert recipe.untied(model, recipe.shared_names(model)) == []
    assert recipe.untied(model, []) == []  # biases of zeros, norms of ones: no false alarm


def test_equal_but_not_shared_is_found_without_groups():
    model = small_models.gpt2()
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())
    assert recipe.untied(model, []) == [tuple(PAIR)]
    model.lm_head.weight.data[-1, -1] += 1
    assert recipe.untied(model, []) == []
    assert recipe.untied(model, [PAIR]) == [tuple(PAIR)]


def test_wrong_model_is_an_error_not_a_clean_bill():
    with pytest.raises(ValueError, match="wte"):
        recipe.untied(small_models.OwnModel(), [PAIR])


def test_files_of_all_kinds(tmp_path):
    model = small_models.gpt2()
    model.save_pretrained(tmp_path / "one")
    model.save_pretrained(tmp_path / "many", max_shard_size="5kB")
    save_model(model, str(tmp_path / "saved.safetensors"))
    torch.save(model.state_dict(), tmp_path / "state.pt")
    torch.save(model.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 1
    for name in ("one", "many", "saved.safetensors", "state.pt", "old.pt"):
        assert recipe.untied(tmp_path / name, [PAIR]) == [], name
        assert recipe.untied(str(tmp_path / name), []) == [], name


def test_a_file_with_two_copies(tmp_path):
    state = {name: tensor.clone() for name, tensor in small_models.gpt2().state_dict().items()}
    save_file(state, tmp_path / "cloned.safetensors")
    torch.save(state, tmp_path / "cloned.pt")
    for name in ("cloned.safetensors", "cloned.pt"):
        assert recipe.untied(tmp_path / name, [PAIR]) == [tuple(PAIR)]
        assert [set(pair) for pair in recipe.untied(tmp_path / name, [])] == [set(PAIR)]


def test_four_copies_are_three_pairs(tmp_path):
    state = {name: tensor.clone() for name, tensor in small_models.t5().state_dict().items()}
    save_file(state, tmp_path / "cloned.safetensors")
    expected = [(T5_NAMES[0], name) for name in T5_NAMES[1:]]
    assert recipe.untied(tmp_path / "cloned.safetensors", [T5_NAMES]) == expected


def test_bad_files_are_value_errors(tmp_path):
    (tmp_path / "cut.safetensors").write_bytes(struct.pack("<Q", 100) + b"{")
    (tmp_path / "text.pt").write_text("không phải state dict")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"model": {"a": torch.ones(2)}}, tmp_path / "nested.pt")
    (tmp_path / "empty").mkdir()
    for name in ("cut.safetensors", "text.pt", "list.pt", "nested.pt", "empty", "missing.pt"):
        with pytest.raises(ValueError):
            recipe.untied(tmp_path / name, [])


def test_an_index_may_not_lead_outside(tmp_path):
    small_models.gpt2().save_pretrained(tmp_path / "one")
    folder = tmp_path / "folder"
    folder.mkdir()
    index = {"weight_map": {"a": "../one/model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="ngoài thư mục"):
        recipe.untied(folder, [])


def test_a_pickle_with_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"a": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ValueError):
        recipe.untied(tmp_path / "evil.pt", [])
    assert not (tmp_path / "ran").exists()


# --- command line -------------------------------------------------------------------------------


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def folder(tmp_path):
    small_models.gpt2().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    "make", [small_models.gpt2, small_models.llama, small_models.t5, small_models.classifier]
)
def test_good_folders(make, command, tmp_path):
    model = make()
    model.to(torch.bfloat16).save_pretrained(tmp_path / "model", max_shard_size="20kB")
    done = command("tied_weights", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    assert type(model).__name__ in done.stdout
    for names in recipe.shared_names(model):
        assert " = ".join(names) in done.stdout
    assert "ĐÚNG" in done.stdout


def test_config_says_not_tied_and_the_file_has_no_head(command, folder):
    edit_config(folder, tie_word_embeddings=False)
    done = command("tied_weights", folder)
    assert done.returncode == 1
    assert "lm_head.weight" in done.stderr
    assert "ngẫu nhiên" in done.stderr


def test_config_says_tied_and_the_file_has_two(command, tmp_path):
    model = small_models.gpt2()
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach() + 1)
    model.save_pretrained(tmp_path / "model")
    done = command("tied_weights", tmp_path / "model")
    assert done.returncode == 1
    assert "hai ma trận khác nhau" in done.stderr


def test_two_equal_copies_are_mentioned(command, tmp_path):
    model = small_models.gpt2(tie_word_embeddings=False)
    model.lm_head.weight = nn.Parameter(model.transformer.wte.weight.detach().clone())
    model.save_pretrained(tmp_path / "model")
    done = command("tied_weights", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    assert "bằng nhau từng bit mà không dùng chung" in done.stdout


def test_damaged_folder(command, folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    done = command("tied_weights", folder)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("what", ["missing", "file", "no config", "no weights", "foreign class"])
def test_what_is_no_model_folder(command, folder, what):
    target = folder
    if what == "missing":
        target = folder / "elsewhere"
    elif what == "file":
        target = folder / "model.safetensors"
    elif what == "no config":
        (folder / "config.json").unlink()
    elif what == "no weights":
        (folder / "model.safetensors").unlink()
    else:
        edit_config(folder, architectures=["pipeline"])
    done = command("tied_weights", target)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_config_that_is_not_json(command, folder):
    (folder / "config.json").write_text("{")
    done = command("tied_weights", folder)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_code_in_the_folder_is_not_run(command, folder, tmp_path):
    edit_config(folder, auto_map={"AutoModelForCausalLM": "evil.Evil", "AutoConfig": "evil.Evil"})
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n")
    command("tied_weights", folder)
    assert not (tmp_path / "ran").exists()


def test_nothing_is_written(command, folder):
    before = sorted(path.name for path in folder.iterdir())
    copy = shutil.copytree(folder, folder.parent / "copy")
    command("tied_weights", folder)
    assert sorted(path.name for path in folder.iterdir()) == before
    for path in copy.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes()
