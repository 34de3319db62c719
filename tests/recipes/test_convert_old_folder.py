"""convert_old_folder.py: old folders of any architecture come over whole, others are refused."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import convert_old_folder
import pytest
import small_models
import torch
from convert_old_folder import Unsuitable, check, convert, describe
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    BertForMaskedLM,
    CLIPConfig,
    CLIPModel,
    ConvNextConfig,
    ConvNextForImageClassification,
    DINOv3ConvNextConfig,
    DINOv3ConvNextModel,
    PhobertTokenizer,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
)


def old_names(name: str) -> str:
    """The name that BERT's first files gave."""
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    )


def make_old(
    folder: Path,
    model: PreTrainedModel,
    *,
    shards: int = 1,
    rename=str,
    extra: dict[str, torch.Tensor] | None = None,
    legacy: bool = False,
) -> dict[str, torch.Tensor]:
    """Write `model` as years ago (.bin, torch_dtype in the config); its tensors by old name."""
    torch.manual_seed(1)
    for parameter in model.parameters():  # constant tensors would hide a loss
        parameter.data += 0.02 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    config = json.loads((folder / "config.json").read_text())
    config["torch_dtype"] = config.pop("dtype")
    (folder / "config.json").write_text(json.dumps(config))
    state = {rename(name): tensor for name, tensor in model.state_dict().items()}
    state |= extra or {}
    if shards == 1:
        kept = folder / "pytorch_model.bin"
        torch.save(state, kept, _use_new_zipfile_serialization=not legacy)
        return state
    where = {}
    for number in range(shards):
        name = f"pytorch_model-{number + 1:05}-of-{shards:05}.bin"
        part = dict(list(state.items())[number::shards])
        torch.save(part, folder / name)
        where |= dict.fromkeys(part, name)
    index = {"metadata": {}, "weight_map": where}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return state


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_same_model(old: Path, new: Path, build: type[PreTrainedModel]) -> None:
    """The library loads the same bits from both, and reports nothing."""
    was = build.from_pretrained(old, use_safetensors=False)
    now, report = build.from_pretrained(new, use_safetensors=True, output_loading_info=True)
    assert report["missing_keys"] == set()
    assert report["mismatched_keys"] == set()
    state = now.state_dict()
    for name, tensor in was.state_dict().items():
        assert tensor.dtype == state[name].dtype, name
        assert torch.equal(tensor, state[name]), name


def dinov3() -> PreTrainedModel:
    return DINOv3ConvNextModel(DINOv3ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1]))


def convnext() -> PreTrainedModel:
    config = ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], num_labels=3)
    return ConvNextForImageClassification(config)


def vit() -> PreTrainedModel:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return ViTForImageClassification(ViTConfig(**sizes, intermediate_size=16, image_size=32))


def wav2vec2() -> PreTrainedModel:
    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_kernel=(3, 3),
        conv_stride=(2, 2),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        vocab_size=12,
    )
    return Wav2Vec2ForCTC(config)


def clip() -> PreTrainedModel:
    """Two configs inside one; the file says nothing of their dtype."""
    part = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    part |= {"intermediate_size": 16}
    text = part | {"vocab_size": 60, "max_position_embeddings": 16}
    config = CLIPConfig(text_config=text, vision_config=part | {"image_size": 32, "patch_size": 8})
    return CLIPModel(config)


def masked_bert() -> PreTrainedModel:
    return BertForMaskedLM(small_models.classifier().config)


MODELS = {
    "gpt2": small_models.gpt2,
    "llama": small_models.llama,
    "t5": small_models.t5,
    "classifier": small_models.classifier,
    "masked_bert": masked_bert,
    "vit": vit,
    "dinov3": dinov3,
    "convnext": convnext,
    "wav2vec2": wav2vec2,
    "clip": clip,
}


@pytest.mark.parametrize("case", [*MODELS, "llama sharded", "t5 sharded"])
def test_every_architecture_comes_over(case: str, tmp_path: Path) -> None:
    name, _, sharded = case.partition(" ")
    old = tmp_path / "old"
    new = tmp_path / "new"
    model = MODELS[name]()
    make_old(old, model, shards=3 if sharded else 1)
    before = files_of(old)

    assert convert(old, new) == []

    assert files_of(old) == before
    assert_same_model(old, new, type(model))
    assert check(old, new) == []
    assert not list(new.rglob("*.bin"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
    if os.name == "posix":
        modes = {path.stat().st_mode for path in new.iterdir()}
        assert len(modes) == 1, "readable by whom the config is"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_dtype_of_the_file_is_kept_whatever_the_config_says(dtype, tmp_path: Path) -> None:
    old = tmp_path / "old"
    make_old(old, small_models.gpt2().to(dtype))
    config = json.loads((old / "config.json").read_text())
    (old / "config.json").write_text(json.dumps(config | {"torch_dtype": "float32"}))

    assert convert(old, tmp_path / "new") == []

    kept = load_file(tmp_path / "new/model.safetensors")
    assert {tensor.dtype for tensor in kept.values()} == {dtype}
    assert json.loads((tmp_path / "new/config.json").read_text())["dtype"] == str(dtype)[6:]


def test_tensors_of_several_dtypes_are_each_kept(tmp_path: Path) -> None:
    model = small_models.llama().to(torch.bfloat16)
    model.model.norm.to(torch.float32)
    make_old(tmp_path / "old", model)
    assert convert(tmp_path / "old", tmp_path / "new") == []
    kept = load_file(tmp_path / "new/model.safetensors")
    assert kept["model.norm.weight"].dtype == torch.float32
    assert kept["lm_head.weight"].dtype == torch.bfloat16


def test_first_names_of_bert_are_renamed(tmp_path: Path) -> None:
    model = masked_bert()
    state = make_old(tmp_path / "old", model, rename=old_names)
    assert convert(tmp_path / "old", tmp_path / "new") == []
    kept = load_file(tmp_path / "new/model.safetensors")
    assert not [name for name in kept if "gamma" in name or "beta" in name]
    old = state["bert.embeddings.LayerNorm.gamma"]
    assert torch.equal(kept["bert.embeddings.LayerNorm.weight"], old)
    lines = describe(tmp_path / "old", tmp_path / "new")
    assert any(
        "bert.embeddings.LayerNorm.gamma → bert.embeddings.LayerNorm.weight" in x for x in lines
    )


@pytest.mark.parametrize("name", ["dinov3", "convnext"])
def test_a_gamma_that_is_the_models_own_stays(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    own = [
        key for key in model.state_dict() if "gamma" in key or key.endswith("layer_scale_parameter")
    ]
    assert own
    make_old(tmp_path / "old", model)
    assert convert(tmp_path / "old", tmp_path / "new") == []
    assert set(own) <= load_file(tmp_path / "new/model.safetensors").keys()


def test_what_the_class_does_not_use_is_kept_and_named(tmp_path: Path) -> None:
    pooler = {"bert.pooler.dense.weight": torch.randn(16, 16)}
    make_old(tmp_path / "old", masked_bert(), extra=pooler)
    assert convert(tmp_path / "old", tmp_path / "new") == []
    kept = load_file(tmp_path / "new/model.safetensors")
    assert torch.equal(kept["bert.pooler.dense.weight"], pooler["bert.pooler.dense.weight"])
    assert "bert.pooler.dense.weight" in "\n".join(describe(tmp_path / "old", tmp_path / "new"))


def test_shared_weights_are_stored_once_and_come_back_shared(tmp_path: Path) -> None:
    make_old(tmp_path / "old", small_models.t5(), shards=2)
    assert convert(tmp_path / "old", tmp_path / "new") == []
    model = type(small_models.t5()).from_pretrained(tmp_path / "new")
    assert model.encoder.embed_tokens.weight is model.shared.weight
    dropped = [line for line in describe(tmp_path / "old", tmp_path / "new") if "bỏ" in line]
    assert any("encoder.embed_tokens.weight" in line for line in dropped)


def test_second_names_with_other_numbers_are_both_kept(tmp_path: Path) -> None:
    other = {"lm_head.weight": torch.randn(small_models.VOCABULARY, 16)}
    make_old(tmp_path / "old", small_models.gpt2(), extra=other)
    assert convert(tmp_path / "old", tmp_path / "new") == []
    kept = load_file(tmp_path / "new/model.safetensors")
    assert torch.equal(kept["lm_head.weight"], other["lm_head.weight"])
    assert "transformer.wte.weight" in kept


def test_views_of_one_storage_are_written_apart(tmp_path: Path) -> None:
    both = torch.randn(2, 16)
    make_old(tmp_path / "old", small_models.gpt2(), extra={"a": both[0], "b": both[1], "c": both.T})
    assert convert(tmp_path / "old", tmp_path / "new") == []
    kept = load_file(tmp_path / "new/model.safetensors")
    assert torch.equal(kept["b"], both[1])
    assert torch.equal(kept["c"], both.T)


def test_generation_settings_of_an_old_config_move_to_their_file(tmp_path: Path) -> None:
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 60}
    sizes |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    sizes |= {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 32}
    old = tmp_path / "old"
    make_old(old, BartForConditionalGeneration(BartConfig(**sizes)))
    (old / "generation_config.json").unlink()
    config = json.loads((old / "config.json").read_text())
    config |= {"num_beams": 4, "max_length": 142, "no_repeat_ngram_size": 3}
    (old / "config.json").write_text(json.dumps(config))
    assert convert(old, tmp_path / "new") == []
    kept = json.loads((tmp_path / "new/generation_config.json").read_text())
    assert kept["num_beams"] == 4
    assert kept["max_length"] == 142


def test_files_before_the_zip_format(tmp_path: Path) -> None:
    make_old(tmp_path / "old", small_models.gpt2(), legacy=True)
    assert convert(tmp_path / "old", tmp_path / "new") == []


def test_other_files_come_along_but_no_pickle_and_no_code(tmp_path: Path) -> None:
    old = tmp_path / "old"
    make_old(old, vit())
    (old / "preprocessor_config.json").write_text("{}")
    (old / "README.md").write_text("thẻ")
    (old / "1_Pooling").mkdir()
    (old / "1_Pooling/config.json").write_text("{}")
    torch.save({}, old / "training_args.bin")
    (old / "modeling.py").write_text("")
    (tmp_path / "secret.txt").write_text("bí mật")
    (old / "notes.txt").symlink_to(tmp_path / "secret.txt")
    assert convert(old, tmp_path / "new") == []
    kept = files_of(tmp_path / "new")
    assert {"preprocessor_config.json", "README.md", "1_Pooling/config.json"} <= kept.keys()
    assert not {"training_args.bin", "modeling.py", "notes.txt"} & kept.keys()
    lines = describe(old, tmp_path / "new")
    assert "không chép training_args.bin" in lines


def test_a_snapshot_of_the_hub_whose_files_are_links(tmp_path: Path) -> None:
    make_old(tmp_path / "plain", small_models.gpt2())
    blobs = tmp_path / "models--a--b/blobs"
    snapshot = tmp_path / "models--a--b/snapshots/1"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for number, path in enumerate((tmp_path / "plain").iterdir()):
        shutil.copyfile(path, blobs / str(number))
        (snapshot / path.name).symlink_to(blobs / str(number))
    assert convert(snapshot, tmp_path / "new") == []


# Tokenizers


def write_bpe(folder: Path) -> None:
    """GPT-2's old files, a token that is only in added_tokens.json."""
    from tokenizers import ByteLevelBPETokenizer

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        ["một hai ba"], 280, special_tokens=["<|endoftext|>"], show_progress=False
    )
    bpe.save_model(str(folder))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    (folder / "added_tokens.json").write_text(json.dumps({"<hỏi>": bpe.get_vocab_size()}))


def test_old_tokenizer_files_become_one(tmp_path: Path) -> None:
    old = tmp_path / "old"
    make_old(old, small_models.gpt2(vocab_size=300))
    write_bpe(old)
    assert convert(old, tmp_path / "new") == []
    kept = files_of(tmp_path / "new")
    assert "tokenizer.json" in kept
    assert "vocab.json" not in kept
    ids = AutoTokenizer.from_pretrained(tmp_path / "new")("một <hỏi>").input_ids
    assert ids == AutoTokenizer.from_pretrained(old)("một <hỏi>").input_ids
    assert "không chép vocab.json" in describe(old, tmp_path / "new")


def write_phobert(folder: Path) -> None:
    words = ["m@@ 9", "ột 8", "h@@ 7", "ai 6", "một 5"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (folder / "bpe.codes").write_text("m ột</w> 5\nh ai</w> 4\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PhobertTokenizer"}')


def test_the_files_of_a_slow_tokenizer_are_kept_as_they_are(tmp_path: Path) -> None:
    old = tmp_path / "old"
    make_old(old, masked_bert())
    write_phobert(old)
    assert convert(old, tmp_path / "new") == []
    was = files_of(old)
    kept = files_of(tmp_path / "new")
    for name in ("vocab.txt", "bpe.codes", "tokenizer_config.json"):
        assert kept[name] == was[name]
    assert isinstance(AutoTokenizer.from_pretrained(tmp_path / "new"), PhobertTokenizer)


def test_a_tokenizer_that_loads_empty_is_not_proved(tmp_path: Path) -> None:
    old = tmp_path / "old"
    make_old(old, small_models.gpt2())
    (old / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    problems = convert(old, tmp_path / "new")
    assert problems and "rỗng" in problems[0]
    assert not (tmp_path / "new").exists()


# What check finds


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    old = tmp_path / "old"
    make_old(old, small_models.gpt2(vocab_size=300))
    write_bpe(old)
    assert convert(old, tmp_path / "new") == []
    return old, tmp_path / "new"


def change_tensors(new: Path, change) -> None:
    state = load_file(new / "model.safetensors")
    change(state)
    save_file(state, new / "model.safetensors", metadata={"format": "pt"})


def one_bit(state: dict) -> None:
    state["transformer.ln_f.bias"].view(torch.uint8)[0] ^= 1


def half(state: dict) -> None:
    for name in state:
        state[name] = state[name].half()


def lose(state: dict) -> None:
    del state["transformer.ln_f.bias"]


def add(state: dict) -> None:
    state["lạ"] = torch.zeros(1)


def swap(state: dict) -> None:
    first, second = "transformer.h.0.ln_1.bias", "transformer.h.1.ln_1.bias"
    state[first], state[second] = state[second], state[first]


@pytest.mark.parametrize("change", [one_bit, half, lose, add, swap])
def test_check_sees_changed_tensors(change, pair) -> None:
    old, new = pair
    change_tensors(new, change)
    assert check(old, new) != []


def test_check_sees_the_rest(pair) -> None:
    old, new = pair
    text = (new / "config.json").read_text()
    (new / "config.json").write_text(text.replace('"n_head": 2', '"n_head": 4'))
    assert "n_head" in check(old, new)[0]
    (new / "config.json").write_text(text.replace("float32", "float16"))
    assert check(old, new) != []
    (new / "config.json").write_text(text)
    generation = (new / "generation_config.json").read_text()
    (new / "generation_config.json").write_text(generation.replace("2", "1"))
    assert "generation_config" in check(old, new)[0]
    (new / "generation_config.json").write_text(generation)
    (new / "config.json").write_text(text)
    assert check(old, new) == []
    vocabulary = (new / "tokenizer.json").read_text(encoding="utf-8")
    (new / "tokenizer.json").write_text(vocabulary.replace("<hỏi>", "<đáp>"), encoding="utf-8")
    assert "tokenizer" in check(old, new)[0]
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (new / name).unlink()
    assert "thiếu tokenizer" in check(old, new)[0]


# What is refused


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return exec, (f"open({str(self.mark)!r}, 'w').close()",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_booby_trap_is_refused_in_one_line(legacy: bool, tmp_path: Path, command) -> None:
    old = tmp_path / "old"
    mark = tmp_path / "ran"
    make_old(old, small_models.gpt2(), extra={"x": Evil(mark)}, legacy=legacy)
    done = command("convert_old_folder", old, tmp_path / "new")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "exec" in done.stderr
    assert not mark.exists()
    assert not (tmp_path / "new").exists()


def damage_nothing(old: Path) -> None:
    pass


def cut(old: Path) -> None:
    data = (old / "pytorch_model.bin").read_bytes()
    (old / "pytorch_model.bin").write_bytes(data[: len(data) // 2])


def flip(old: Path) -> None:
    path = old / "pytorch_model.bin"
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda item: item.file_size)
    data = bytearray(path.read_bytes())
    data[largest.header_offset + 400] ^= 1
    path.write_bytes(data)


def pointer(old: Path) -> None:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (old / "pytorch_model.bin").write_text(text)


def empty(old: Path) -> None:
    (old / "pytorch_model.bin").write_bytes(b"")


def no_tensors(old: Path) -> None:
    torch.save({}, old / "pytorch_model.bin")


def lose_one(old: Path) -> None:
    state = torch.load(old / "pytorch_model.bin", weights_only=True)
    del state["transformer.ln_f.bias"]
    torch.save(state, old / "pytorch_model.bin")


def wrong_shape(old: Path) -> None:
    state = torch.load(old / "pytorch_model.bin", weights_only=True)
    state["transformer.ln_f.bias"] = torch.zeros(0)
    torch.save(state, old / "pytorch_model.bin")


def index(old: Path, weight_map: object) -> None:
    (old / "pytorch_model.bin").unlink()
    text = json.dumps({"metadata": {}, "weight_map": weight_map})
    (old / "pytorch_model.bin.index.json").write_text(text)


def index_leads_out(old: Path) -> None:
    index(old, {"a": "../secret.bin"})


def index_without_shard(old: Path) -> None:
    index(old, {"a": "pytorch_model-00001-of-00002.bin"})


def index_without_metadata(old: Path) -> None:
    (old / "pytorch_model.bin").rename(old / "a.bin")
    (old / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "a.bin"}}')


def broken_config(old: Path) -> None:
    (old / "config.json").write_text("{")


def no_config(old: Path) -> None:
    (old / "config.json").unlink()


def no_weights(old: Path) -> None:
    (old / "pytorch_model.bin").unlink()


def already_new(old: Path) -> None:
    save_file({"a": torch.zeros(1)}, old / "model.safetensors")


def whole_model(old: Path) -> None:
    torch.save([torch.zeros(1)], old / "pytorch_model.bin")


def names_that_are_numbers(old: Path) -> None:
    torch.save({1: torch.zeros(1)}, old / "pytorch_model.bin")


def wrapped(old: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}}, old / "pytorch_model.bin")


def no_data(old: Path) -> None:
    torch.save({"a": torch.zeros(1, device="meta")}, old / "pytorch_model.bin")


def edit_config(old: Path, **changes: object) -> None:
    config = json.loads((old / "config.json").read_text())
    (old / "config.json").write_text(json.dumps(config | changes))


def unknown_class(old: Path) -> None:
    edit_config(old, architectures=["MyOwnModel"])


def class_that_is_none(old: Path) -> None:
    edit_config(old, architectures=["logging"])


def no_class(old: Path) -> None:
    edit_config(old, architectures=None)


def class_that_is_a_number(old: Path) -> None:
    edit_config(old, architectures=[5])


def unknown_type(old: Path) -> None:
    edit_config(old, model_type="của tôi")


def quantized(old: Path) -> None:
    edit_config(old, quantization_config={"quant_method": "gptq"})


WRONG = [cut, flip, pointer, empty, no_tensors, lose_one, wrong_shape]
WRONG += [index_leads_out, index_without_shard, index_without_metadata, broken_config]
FOREIGN = [no_config, no_weights, already_new, whole_model, unknown_class, class_that_is_none]
FOREIGN += [
    class_that_is_a_number,
    names_that_are_numbers,
    wrapped,
    no_data,
    no_class,
    unknown_type,
    quantized,
]


@pytest.mark.parametrize("damage", WRONG)
def test_damaged_folders(damage, tmp_path: Path) -> None:
    make_old(tmp_path / "old", small_models.gpt2())
    damage(tmp_path / "old")
    problems = convert(tmp_path / "old", tmp_path / "new")
    assert problems
    assert "\n" not in problems[0]
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("damage", FOREIGN)
def test_folders_that_are_something_else(damage, tmp_path: Path) -> None:
    make_old(tmp_path / "old", small_models.gpt2())
    damage(tmp_path / "old")
    with pytest.raises(Unsuitable):
        convert(tmp_path / "old", tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_files_written_without_crc_are_honest(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        make_old(tmp_path / "old", small_models.gpt2())
    finally:
        torch.serialization.set_crc32_options(True)
    assert convert(tmp_path / "old", tmp_path / "new") == []


def test_lack_of_memory_is_not_called_damage(tmp_path: Path, monkeypatch) -> None:
    make_old(tmp_path / "old", small_models.gpt2())

    def no_memory(*args, **options):
        raise RuntimeError(
            "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        )

    monkeypatch.setattr(convert_old_folder.torch, "load", no_memory)
    with pytest.raises(MemoryError):
        convert(tmp_path / "old", tmp_path / "new")


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, monkeypatch, capsys) -> None:
    make_old(tmp_path / "old", small_models.gpt2())

    def no_space(*args, **options):
        raise SafetensorError("No space left on device (os error 28)")

    monkeypatch.setattr(convert_old_folder, "save_file", no_space)
    monkeypatch.setattr("sys.argv", ["x", str(tmp_path / "old"), str(tmp_path / "new")])
    capsys.readouterr()
    assert convert_old_folder.main() == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["KHÔNG CHUYỂN ĐƯỢC: No space left on device (os error 28)"]
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_the_new_folder_is_not_made_inside_the_old(tmp_path: Path) -> None:
    make_old(tmp_path / "old", small_models.gpt2())
    with pytest.raises(Unsuitable):
        convert(tmp_path / "old", tmp_path / "old/new")
    with pytest.raises(Unsuitable):
        convert(tmp_path / "old", tmp_path / "no/new")


# The command line


def test_command_line(tmp_path: Path, command) -> None:
    old = tmp_path / "old"
    new = tmp_path / "new"
    make_old(old, masked_bert(), rename=old_names)
    done = command("convert_old_folder", old, new)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ĐÚNG" in done.stdout
    assert "đổi tên bert.embeddings.LayerNorm.gamma" in done.stdout

    again = command("convert_old_folder", old, new)
    assert again.returncode == 2
    assert len(again.stderr.splitlines()) == 1
    assert "đã có" in again.stderr

    assert command("convert_old_folder", old, new, "--check").returncode == 0
    change_tensors(new, lambda state: state["bert.embeddings.LayerNorm.weight"].add_(1))
    wrong = command("convert_old_folder", old, new, "--check")
    assert wrong.returncode == 1
    assert len(wrong.stderr.splitlines()) == 1

    lone = command("convert_old_folder", tmp_path / "none", tmp_path / "x")
    assert lone.returncode == 2
    assert len(lone.stderr.splitlines()) == 1


def test_the_class_can_be_named(tmp_path: Path, command) -> None:
    make_old(tmp_path / "old", small_models.gpt2())
    no_class(tmp_path / "old")
    done = command("convert_old_folder", tmp_path / "old", tmp_path / "new")
    assert (done.returncode, "--class" in done.stderr) == (2, True)
    done = command(
        "convert_old_folder", tmp_path / "old", tmp_path / "new", "--class", "GPT2LMHeadModel"
    )
    assert done.returncode == 0
    config = json.loads((tmp_path / "new/config.json").read_text())
    assert config["architectures"] == ["GPT2LMHeadModel"]
