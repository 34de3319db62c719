"""Folders: what belongs together, family by family, and no honest folder called broken."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from checker import tool
from safetensors.torch import load_file, save_file

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0f" * 32 + "\nsize 499723\n"
PAGE = "<!DOCTYPE html><html><title>Sign in</title></html>\n"


def look(path: Path, **options: object):
    report = tool.verify(path, **options)
    assert not [found for found in report.findings if found.rule == "tool-error"]
    return report


def rules(report, *levels: str) -> list[str]:
    """Rules of the findings of these levels; without a level: of all heavier than a note."""
    wanted = levels or (tool.DANGER, tool.BROKEN, tool.UNCLEAR, tool.WARNING)
    return sorted({found.rule for found in report.findings if found.level in wanted})


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def weights(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"}
    )


def change(path: Path, **changes: object) -> None:
    """Change keys of a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content.update(changes)
    write(path, content)


def drop(path: Path, *words: str) -> None:
    """Drop from a file the tensors whose names contain one of these words."""
    kept = {}
    for name, tensor in load_file(path).items():
        if not any(word in name for word in words):
            kept[name] = tensor
    weights(path, kept)


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """Good folders, one for each kind."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    root = tmp_path_factory.mktemp("folders")
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=40, n_embd=8, n_layer=2, n_head=2, n_positions=8)
    config.bos_token_id = config.eos_token_id = 0
    model = GPT2LMHeadModel(config)
    model.save_pretrained(root / "whole")
    model.save_pretrained(root / "shards", max_shard_size="3KB")
    for name in ("whole", "shards"):
        vocab = {"a": 0, "b": 39}
        tokenizer = {"model": {"type": "BPE", "vocab": vocab}, "added_tokens": []}
        write(root / name / "tokenizer.json", tokenizer)
    small = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 40}
    llama = LlamaForCausalLM(LlamaConfig(**small, **heads, max_position_embeddings=8))
    llama.save_pretrained(root / "llama")
    make_adapter(root / "adapter")
    make_pipeline(root / "pipeline")
    make_sentences(root / "sentences", model)
    make_run(root / "run/checkpoint-3", llama)
    return root


@pytest.fixture
def copy(base, tmp_path):
    """A function that copies one of the good folders."""

    def of(kind: str) -> Path:
        target = tmp_path / kind
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(base / kind, target)
        return target

    return of


def make_adapter(folder: Path, **config: object) -> None:
    """A LoRA adapter as PEFT writes it."""
    settings = {
        "peft_type": "LORA",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "v_proj"],
    }
    settings |= {
        "base_model_name_or_path": "me/base",
        "modules_to_save": None,
        "task_type": "CAUSAL_LM",
    }
    write(folder / "adapter_config.json", {**settings, **config})
    tensors = {}
    for layer in range(3):
        for name in ("q_proj", "v_proj"):
            start = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{start}.lora_A.weight"] = torch.randn(4, 8)
            tensors[f"{start}.lora_B.weight"] = torch.randn(8, 4)
    weights(folder / "adapter_model.safetensors", tensors)


def make_pipeline(folder: Path) -> None:
    """A pipeline as Diffusers writes it."""
    index = {"_class_name": "LDMPipeline", "_diffusers_version": "0.42.1"}
    index |= {"unet": ["diffusers", "UNet2DModel"], "scheduler": ["diffusers", "DDIMScheduler"]}
    index |= {"vqvae": ["diffusers", "VQModel"], "safety_checker": [None, None], "tiles": 3}
    write(folder / "model_index.json", index)
    write(folder / "scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler"})
    for part, name in (("unet", "UNet2DModel"), ("vqvae", "VQModel")):
        write(folder / part / "config.json", {"_class_name": name, "sample_size": 8})
        path = folder / part / "diffusion_pytorch_model.safetensors"
        weights(path, {"conv_in.weight": torch.randn(4, 3, 3, 3)})


def make_sentences(folder: Path, model: torch.nn.Module) -> None:
    """A model of sentence-transformers with a Dense layer."""
    model.save_pretrained(folder)
    home = "sentence_transformers.sentence_transformer.modules"
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    kinds.append(("3_Normalize", "Normalize"))  # Git keeps no empty folder: it may be missing
    modules = [
        {"idx": 0, "name": "0", "path": path, "type": f"{home}.{kind}"} for path, kind in kinds
    ]
    write(folder / "modules.json", modules)
    write(folder / "config_sentence_transformers.json", {"prompts": {}})
    write(folder / "1_Pooling/config.json", {"embedding_dimension": 8, "pooling_mode": "mean"})
    activation = "torch.nn.modules.activation.Tanh"
    dense = {"in_features": 8, "out_features": 4, "bias": True, "activation_function": activation}
    write(folder / "2_Dense/config.json", dense)
    tensors = {"linear.weight": torch.randn(4, 8), "linear.bias": torch.randn(4)}
    weights(folder / "2_Dense/model.safetensors", tensors)


def make_run(folder: Path, model: torch.nn.Module, optimizer: object = None) -> None:
    """A checkpoint as the Trainer writes it."""
    model.save_pretrained(folder)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = optimizer or torch.optim.AdamW(trained)
    model(torch.zeros(1, 4, dtype=torch.long)).logits.sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    torch.save(schedule.state_dict(), folder / "scheduler.pt")
    torch.save({"cpu": torch.get_rng_state()}, folder / "rng_state.pth")
    write(folder / "trainer_state.json", '{"global_step": 3, "log_history": [{"loss": NaN}]}')


KINDS = ["whole", "shards", "llama", "adapter", "pipeline", "sentences", "run"]


@pytest.mark.parametrize("kind", KINDS)
def test_good_folders_are_good(base, kind):
    report = look(base / kind)
    assert (rules(report), report.exit_code) == ([], 0)


@pytest.mark.parametrize("kind", ["whole", "shards", "llama"])
def test_a_folder_is_called_complete_where_that_was_derived(base, kind):
    assert look(base / kind).complete == {"": ""}


@pytest.mark.parametrize("kind", ["adapter", "pipeline"])
def test_a_folder_is_not_called_complete_where_nothing_was_derived(base, kind):
    assert all(look(base / kind).complete.values())


# --- walking


def hub(root: Path, source: Path) -> Path:
    """The cache of the Hub: snapshots of links into blobs."""
    home = root / "models--me--gpt2"
    snapshot = home / "snapshots" / "0123abcd"
    (home / "blobs").mkdir(parents=True)
    for number, path in enumerate(sorted(source.rglob("*"))):
        if not path.is_file():
            continue
        shutil.copy(path, home / "blobs" / f"{number:040x}")
        link = snapshot / path.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * (len(path.relative_to(source).parts) + 1)
        link.symlink_to(f"{up}blobs/{number:040x}")
    return snapshot


@pytest.mark.parametrize("kind", ["whole", "pipeline"])
def test_a_snapshot_of_the_hub_is_followed(base, tmp_path, kind):
    snapshot = hub(tmp_path, base / kind)
    report = look(snapshot)
    assert (rules(report), report.exit_code) == ([], 0)
    files = tool.walk(snapshot, tool.Report(""))
    assert files.keys() == {
        str(p.relative_to(base / kind)) for p in (base / kind).rglob("*.*") if p.is_file()
    }


def test_blobs_are_looked_at_once(base, tmp_path):
    hub(tmp_path, base / "whole")
    (tmp_path / "models--me--gpt2/blobs" / ("f" * 40)).write_bytes(b"loose")
    report = tool.Report("")
    names = tool.walk(tmp_path, report)
    assert [name for name in names if "/blobs/" in name] == [f"models--me--gpt2/blobs/{'f' * 40}"]
    assert report.skipped == {}


def test_a_snapshot_does_not_reach_into_another_model(base, tmp_path):
    snapshot = hub(tmp_path, base / "whole")
    other = tmp_path / "models--you--gpt2/blobs"
    shutil.copytree(tmp_path / "models--me--gpt2/blobs", other)
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to(sorted(other.iterdir())[-1])
    assert "link-outside" in rules(look(snapshot), tool.UNCLEAR)


def test_links(base, copy, tmp_path):
    folder = copy("whole")
    (tmp_path / "secret.json").write_text("{}")
    (folder / "out.json").symlink_to(tmp_path / "secret.json")
    (folder / "in.json").symlink_to("config.json")
    (folder / "loop").symlink_to("loop")
    (folder / "lost.json").symlink_to("nothing")
    (folder / "sub").mkdir()
    (folder / "again").symlink_to("sub")
    report = tool.Report("")
    files = tool.walk(folder, report)
    assert "in.json" in files
    assert not {"out.json", "loop", "lost.json", "again"} & files.keys()
    levels = {found.where: (found.level, found.rule) for found in report.findings}
    assert levels["out.json"] == (tool.UNCLEAR, "link-outside")
    assert levels["loop"] == levels["lost.json"] == (tool.BROKEN, "link-broken")
    assert levels["again"] == (tool.NOTE, "link-folder")


def test_pipes_and_folders_named_like_files(copy):
    folder = copy("whole")
    os.mkfifo(folder / "pipe.bin")
    (folder / "x.safetensors").mkdir()
    report = look(folder)
    assert {"not-regular", "not-a-file"} <= set(rules(report, tool.BROKEN))


def test_litter_is_left_alone(copy):
    folder = copy("whole")
    for name in (".DS_Store", "sub/Thumbs.db", "desktop.ini", ".git/config", "a/.git/hooks/x.py"):
        write(folder / name, "litter")
    write(folder / ".cache/huggingface/download/model.safetensors.metadata", "x")
    (folder / "._model.safetensors").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    report = look(folder)
    assert (rules(report), report.exit_code) == ([], 0)
    assert len(report.skipped) == 7  # a folder of litter is told once
    for name in report.skipped:
        assert tool.is_litter(name)


def test_a_file_that_only_looks_like_litter_is_looked_at(copy):
    folder = copy("whole")
    shutil.copy(folder / "model.safetensors", folder / "._model.safetensors")
    write(folder / "__pycache__/x.pyc", "code")
    report = look(folder)
    assert "code-file" in rules(report, tool.UNCLEAR)
    assert "._model.safetensors" not in report.skipped


@pytest.mark.parametrize("pattern", ["*.py", "extra", "extra/", "extra/*", "EXTRA"])
def test_ignore(copy, pattern):
    folder = copy("whole")
    write(folder / "extra/run.py", "print()")
    report = look(folder, ignored=[pattern])
    seen = pattern == "EXTRA"
    assert ("code-file" in rules(report)) == seen
    assert bool(report.skipped) != seen


def test_too_many_files_is_said(tmp_path, monkeypatch):
    for number in range(20):
        write(tmp_path / f"{number}/x.txt", "x")
    monkeypatch.setitem(tool.Walk.run.__globals__, "FILE_LIMIT", 10)
    report = tool.Report("")
    assert len(tool.walk(tmp_path, report)) <= 10
    assert rules(report, tool.UNCLEAR) == ["too-many-files"]


# --- sets of weights and their index


def index_of(folder: Path) -> Path:
    return folder / "model.safetensors.index.json"


def stale_index(names, suffix: str) -> dict[str, object]:
    return {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(names, f"old-1{suffix}")}


def test_a_left_over_index_of_the_other_format(copy):
    folder = copy("whole")
    names = load_file(folder / "model.safetensors")
    write(folder / "pytorch_model.bin.index.json", stale_index(names, ".bin"))
    report = look(folder)
    assert (rules(report), report.exit_code) == (["index-leftover"], 0)
    assert report.complete == {"": ""}


def test_a_left_over_index_of_the_same_format(copy):
    folder = copy("whole")
    names = load_file(folder / "model.safetensors")
    write(index_of(folder), stale_index(names, ".safetensors"))
    assert rules(look(folder)) == ["index-leftover"]  # the loader takes the whole file first


def test_a_safetensors_index_without_shards_wins_over_a_whole_bin(copy):
    folder = copy("whole")
    tensors = load_file(folder / "model.safetensors")
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    write(index_of(folder), stale_index(tensors, ".safetensors"))
    assert "shard-missing" in rules(look(folder), tool.BROKEN)  # as transformers 5.23 does


def test_two_sets(copy):
    folder = copy("whole")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    assert rules(look(folder)) == ["two-sets"]


def test_a_stale_whole_file_beside_shards(copy, base):
    folder = copy("shards")
    shutil.copy(base / "whole/model.safetensors", folder)
    assert rules(look(folder), tool.BROKEN) == ["stale-file"]


@pytest.mark.parametrize("name", ["consolidated.safetensors", "model.fp16.safetensors"])
def test_other_files_beside_the_set_are_honest(copy, base, name):
    folder = copy("shards")
    shutil.copy(base / "whole/model.safetensors", folder / name)
    report = look(folder)
    assert (rules(report), report.complete) == ([], {"": ""})


def test_an_index_may_select(copy):
    folder = copy("shards")
    content = json.loads(index_of(folder).read_text())
    shard = folder / sorted(set(content["weight_map"].values()))[0]
    weights(shard, {**load_file(shard), "extra.scale": torch.ones(2)})
    assert rules(look(folder)) == ["index-subset"]


def test_a_shard_without_a_promised_tensor(copy):
    folder = copy("shards")
    content = json.loads(index_of(folder).read_text())
    name, shard = sorted(content["weight_map"].items())[0]
    drop(folder / shard, name)
    assert {"index-mismatch", "no-tensors"} & set(rules(look(folder), tool.BROKEN))


def test_a_lost_shard_an_index_of_other_shards_and_no_index(copy):
    folder = copy("shards")
    shards = sorted(folder.glob("model-*.safetensors"))
    shards[1].unlink()
    assert rules(look(folder), tool.BROKEN) == ["shard-missing"]
    folder = copy("shards")
    text = index_of(folder).read_text().replace(f"-of-{len(shards):05}", "-of-00099")
    write(index_of(folder), text)
    assert rules(look(folder), tool.BROKEN) == ["shard-missing"]
    index_of(folder).unlink()
    assert rules(look(folder), tool.BROKEN) == ["shard-stray"]


def test_a_shard_that_the_index_forgot(copy):
    folder = copy("shards")
    content = json.loads(index_of(folder).read_text())
    lost = sorted(set(content["weight_map"].values()))[0]
    kept = {name: file for name, file in content["weight_map"].items() if file != lost}
    change(index_of(folder), weight_map=kept)
    assert "shard-stray" in rules(look(folder), tool.BROKEN)


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/etc/x.bin", "C:\\x.bin", "a\0.bin", "..", ""]
)
def test_an_index_that_points_outside(copy, name):
    folder = copy("shards")
    change(index_of(folder), weight_map={"wte.weight": name})
    assert rules(look(folder), tool.DANGER) == ["index-outside"]


@pytest.mark.parametrize("content", [{}, [], {"weight_map": {}}, {"weight_map": {"a": 1}}, "{"])
def test_an_index_that_says_nothing(copy, content):
    folder = copy("shards")
    write(index_of(folder), content)
    assert look(folder).exit_code == 1


def test_configuration_and_weights_need_each_other(copy):
    folder = copy("whole")
    (folder / "config.json").unlink()
    report = look(folder)
    assert rules(report) == ["config-missing"]
    assert report.complete == {"": "không có config.json"}
    folder = copy("whole")
    (folder / "model.safetensors").unlink()
    assert rules(look(folder), tool.BROKEN) == ["weights-missing"]
    write(folder / "onnx/model.onnx", "onnx")
    assert "weights-foreign" in rules(look(folder), tool.WARNING)


def test_weights_under_a_name_that_nobody_looks_for(copy):
    folder = copy("whole")
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    assert rules(look(folder)) == ["weights-name"]


def test_empty_tensors_as_zero_3_leaves_them(copy):
    for name in ("model.safetensors", "pytorch_model.bin"):
        folder = copy("llama")
        tensors = load_file(folder / "model.safetensors")
        for tensor in tensors:
            if "k_proj" in tensor:
                tensors[tensor] = torch.empty(0)
        (folder / "model.safetensors").unlink()
        if name.endswith(".bin"):
            torch.save(tensors, folder / name)
        else:
            weights(folder / name, tensors)
        assert rules(look(folder), tool.BROKEN) == ["empty-tensor"]


def test_weights_without_tensors(copy):
    folder = copy("whole")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    assert "no-tensors" in rules(look(folder), tool.BROKEN)
    folder = copy("adapter")
    (folder / "adapter_model.safetensors").unlink()
    torch.save({}, folder / "adapter_model.bin")
    assert "no-tensors" in rules(look(folder), tool.BROKEN)


# --- adapters


def test_an_adapter_says_what_it_is(base, copy):
    facts = "\n".join(look(base / "adapter").facts)
    assert "adapter LoRA (r = 4) cho me/base; mô hình gốc không nằm trong thư mục này" in facts
    folder = copy("adapter")
    shutil.copy(base / "llama/config.json", folder)  # as axolotl does
    assert rules(look(folder)) == []


@pytest.mark.parametrize(
    "config",
    [
        {"layers_to_transform": [0, 1, 2]},
        {"target_modules": "all-linear"},
        {"target_modules": r".*\.(q|v)_proj"},
        {"modules_to_save": ["classifier", "score"], "task_type": "X"},
        {"rank_pattern": {r".*\.q_proj": 4, "^model.layers.0.self_attn.v_proj": 4}, "r": 4},
        {"target_modules": ["q_proj", "v_proj", "query", "value"]},
    ],
)
def test_honest_adapters(tmp_path, config):
    make_adapter(tmp_path, **config)
    if "modules_to_save" in config:
        path = tmp_path / "adapter_model.safetensors"
        score = {"base_model.model.score.weight": torch.randn(2, 8)}
        weights(path, {**load_file(path), **score})
    report = look(tmp_path)
    assert report.exit_code == 0, report.findings
    assert report.complete[""] == "" or "layers_to_transform" not in config


@pytest.mark.parametrize(
    ("config", "words", "rule"),
    [
        ({}, ["v_proj"], "part-missing"),
        ({}, ["layers.1.self_attn.v_proj"], "part-missing"),
        ({}, ["layers.1.self_attn.v_proj.lora_B"], "part-missing"),
        ({}, ["lora_"], "no-tensors"),
        ({"r": 8}, [], "adapter-rank"),
        ({"rank_pattern": {"v_proj": 2}}, [], "adapter-rank"),
        ({"use_dora": True}, [], "part-missing"),
        ({"layers_to_transform": [0, 3]}, [], "part-missing"),
        ({"modules_to_save": ["lm_head"]}, [], "part-missing"),
        ({"target_modules": ["q_proj", "v_proj", "up_proj"]}, [], "part-missing"),
        ({"peft_type": "IA3"}, [], "part-missing"),
        ({"peft_type": "PROMPT_TUNING"}, [], "part-missing"),
    ],
)
def test_damaged_adapters(tmp_path, config, words, rule):
    make_adapter(tmp_path, **config)
    if words:
        drop(tmp_path / "adapter_model.safetensors", *words)
    assert rule in rules(look(tmp_path), tool.BROKEN)


def test_half_an_adapter(copy):
    folder = copy("adapter")
    (folder / "adapter_model.safetensors").unlink()
    assert rules(look(folder), tool.BROKEN) == ["part-missing"]
    folder = copy("adapter")
    (folder / "adapter_config.json").unlink()
    assert rules(look(folder), tool.BROKEN) == ["part-missing"]


def test_a_rank_that_was_cut(copy):
    folder = copy("adapter")
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if "lora_A" in name)
    weights(path, {**tensors, name: tensors[name][:2]})
    assert rules(look(folder), tool.BROKEN) == ["adapter-rank"]


def test_an_adapter_that_learned_nothing(copy):
    folder = copy("adapter")
    path = folder / "adapter_model.safetensors"
    tensors = {}
    for name, tensor in load_file(path).items():
        tensors[name] = torch.zeros_like(tensor) if "lora_B" in name else tensor
    weights(path, tensors)
    report = look(folder)
    assert (rules(report), report.exit_code) == (["adapter-untrained"], 0)


def test_prompt_tuning(tmp_path):
    write(tmp_path / "adapter_config.json", {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 5})
    weights(tmp_path / "adapter_model.safetensors", {"prompt_embeddings": torch.randn(5, 8)})
    assert rules(look(tmp_path)) == []
    weights(tmp_path / "adapter_model.safetensors", {"prompt_embeddings": torch.randn(4, 8)})
    assert rules(look(tmp_path), tool.BROKEN) == ["shape-mismatch"]


def test_a_hybrid_model_is_no_damage(tmp_path):
    """Attention in every fourth layer only, as Qwen3-Next has it."""
    targets = ["q_proj", "v_proj", "up_proj"]
    make_adapter(tmp_path, target_modules=targets)
    tensors = {}
    for layer in range(8):
        modules = ["mlp.up_proj"] + (
            ["self_attn.q_proj", "self_attn.v_proj"] if layer % 4 == 3 else []
        )
        for name in modules:
            start = f"base_model.model.model.layers.{layer}.{name}"
            tensors[f"{start}.lora_A.weight"] = torch.randn(4, 8)
            tensors[f"{start}.lora_B.weight"] = torch.randn(8, 4)
    weights(tmp_path / "adapter_model.safetensors", tensors)
    report = look(tmp_path)
    assert (rules(report), report.exit_code) == (["adapter-layers"], 0)


# --- Diffusers


def test_a_pipeline_has_one_line(base):
    facts = "\n".join(look(base / "pipeline").facts)
    assert "pipeline LDMPipeline: 3 phần, 2 tensor, 216 số" in facts


LOST = [
    "unet",
    "scheduler",
    "vqvae",
    "unet/config.json",
    "scheduler/scheduler_config.json",
    "vqvae/diffusion_pytorch_model.safetensors",
]


@pytest.mark.parametrize("name", LOST)
def test_a_pipeline_without_a_part(copy, name):
    folder = copy("pipeline")
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert {"part-missing", "weights-missing"} & set(rules(look(folder), tool.BROKEN))


def test_a_pipeline_without_its_index(copy):
    folder = copy("pipeline")
    (folder / "model_index.json").unlink()
    assert rules(look(folder), tool.BROKEN) == ["part-missing"]


@pytest.mark.parametrize(
    "changes",
    [{"unet": ["evil", "Net"]}, {"_class_name": ["evil", "Net"]}, {"custom_pipelines": {"a": 1}}],
)
def test_a_pipeline_with_its_own_code(copy, changes):
    folder = copy("pipeline")
    change(folder / "model_index.json", **changes)
    report = look(folder)
    assert rules(report, tool.UNCLEAR) == ["custom-code"]
    assert report.exit_code == 3


def test_diffusers_takes_the_index_first(copy):
    folder = copy("pipeline") / "unet"
    whole = folder / "diffusion_pytorch_model.safetensors"
    shard = "diffusion_pytorch_model-00001-of-00001.safetensors"
    shutil.copy(whole, folder / shard)
    table = {"metadata": {}, "weight_map": {"conv_in.weight": shard}}
    write(folder / "diffusion_pytorch_model.safetensors.index.json", table)
    assert rules(look(folder)) == ["two-sets"]
    (folder / shard).unlink()
    assert rules(look(folder), tool.BROKEN) == ["shard-missing"]


# --- sentence-transformers


@pytest.mark.parametrize(
    "name",
    ["1_Pooling", "2_Dense", "2_Dense/model.safetensors", "2_Dense/config.json", "modules.json"],
)
def test_sentence_transformers_without_a_part(copy, name):
    folder = copy("sentences")
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "part-missing" in rules(look(folder), tool.BROKEN)


def test_a_dense_layer_of_another_size(copy):
    folder = copy("sentences")
    change(folder / "2_Dense/config.json", out_features=5)
    assert rules(look(folder), tool.BROKEN) == ["shape-mismatch"]


def test_a_module_of_its_own(copy):
    folder = copy("sentences")
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "my_mod.Mine"
    write(folder / "modules.json", modules)
    report = look(folder)
    assert rules(report, tool.UNCLEAR) == ["custom-code"]
    assert "6.0" in next(found.text for found in report.findings)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("2_Dense/config.json", {"activation_function": "os.system"}),
        ("config.json", {"auto_map": {"AutoModel": "x.Y"}}),
        ("config.json", {"text_config": {"auto_map": {"AutoModel": "x.Y"}}}),
        ("config.json", {"nested": [{"trust_remote_code": True}]}),
    ],
)
def test_keys_that_name_code(copy, name, changes):
    folder = copy("sentences")
    change(folder / name, **changes)
    assert "custom-code" in rules(look(folder), tool.UNCLEAR)


@pytest.mark.parametrize(
    ("library", "found"), [("transformers.models.gpt2", False), ("evil", True)]
)
def test_an_adapter_that_names_a_library(copy, library, found):
    folder = copy("adapter")
    change(folder / "adapter_config.json", auto_mapping={"parent_library": library})
    assert ("custom-code" in rules(look(folder), tool.UNCLEAR)) == found


# --- checkpoints of a run


@pytest.mark.parametrize(
    "name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"]
)
def test_a_run_that_cannot_go_on(copy, name):
    """Without the random states the Trainer goes on, only with other numbers."""
    folder = copy("run") / "checkpoint-3"
    (folder / name).unlink()
    level = tool.WARNING if name == "rng_state.pth" else tool.BROKEN
    assert "part-missing" in rules(look(folder), level)


def test_a_run_that_saved_only_the_model(copy):
    folder = copy("run") / "checkpoint-3"
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (folder / name).unlink()
    report = look(folder)
    assert rules(report) == []
    assert "model-only" in rules(report, tool.NOTE)


def test_random_states_of_every_process(copy):
    folder = copy("run") / "checkpoint-3"
    (folder / "rng_state.pth").rename(folder / "rng_state_0.pth")
    shutil.copy(folder / "rng_state_0.pth", folder / "rng_state_1.pth")
    assert rules(look(folder)) == []
    (folder / "rng_state_0.pth").unlink()
    assert rules(look(folder), tool.BROKEN) == ["part-missing"]


def test_a_state_of_another_step(copy):
    folder = copy("run")
    change(folder / "checkpoint-3/trainer_state.json", global_step=4)
    assert rules(look(folder)) == ["step-mismatch"]


def other_model(**changes: object) -> torch.nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    small = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "vocab_size": 40}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 8}
    return LlamaForCausalLM(LlamaConfig(**{**small, **heads, **changes}))


@pytest.mark.parametrize(
    "changes", [{"hidden_size": 16}, {"num_hidden_layers": 3}, {"vocab_size": 41}]
)
def test_the_optimizer_of_another_model(copy, tmp_path, changes):
    make_run(tmp_path / "other", other_model(**changes))
    folder = copy("run") / "checkpoint-3"
    shutil.copy(tmp_path / "other/optimizer.pt", folder)
    assert rules(look(folder), tool.BROKEN) == ["optimizer-mismatch"]


def make_frozen(model: torch.nn.Module) -> torch.nn.Module:
    for parameter in model.model.parameters():
        parameter.requires_grad = False
    return model


def test_honest_optimizers(tmp_path):
    make_run(tmp_path / "frozen", make_frozen(other_model()))
    make_run(tmp_path / "tied", other_model(tie_word_embeddings=True))
    for name in ("SGD", "RMSprop", "Adagrad", "Adafactor"):
        model = other_model()
        kind = getattr(torch.optim, name)
        options = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
        make_run(tmp_path / name, model, kind(model.parameters(), lr=0.01, **options))
    for folder in tmp_path.iterdir():
        assert rules(look(folder)) == [], folder.name


def test_accelerate(tmp_path):
    from accelerate import Accelerator

    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    accelerator = Accelerator(cpu=True)
    model, optimizer = accelerator.prepare(model, optimizer)
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    accelerator.save_state(tmp_path / "state")
    assert rules(look(tmp_path / "state")) == ["pickle-numpy"]  # states of random numbers
    shutil.copytree(tmp_path / "state", tmp_path / "lost")
    (tmp_path / "lost/model.safetensors").unlink()
    assert "part-missing" in rules(look(tmp_path / "lost"), tool.BROKEN)
    weights(tmp_path / "state/model.safetensors", {"0.weight": torch.randn(5, 5)})
    assert "optimizer-mismatch" in rules(look(tmp_path / "state"), tool.BROKEN)


@pytest.mark.parametrize("name", ["global_step3/x.txt", "pytorch_model_fsdp_0/__0_0.distcp"])
def test_distributed_checkpoints_are_one_sentence(copy, name):
    folder = copy("run") / "checkpoint-3"
    for lost in ("optimizer.pt", "model.safetensors"):
        (folder / lost).unlink()
    write(folder / name, "x")
    (folder / name).with_name(".metadata").write_bytes(pickle.dumps({}))
    report = look(folder)
    assert rules(report, tool.UNCLEAR, tool.BROKEN) == ["distributed"]
    assert report.exit_code == 3
    (folder / name).with_name(".metadata").unlink()
    if name.endswith(".distcp"):
        assert "part-missing" in rules(look(folder), tool.BROKEN)


# --- tokenizers and placeholders


def tokenizer(folder: Path, vocab: dict[str, int], added: dict[str, int]) -> None:
    extra = [{"id": number, "content": token} for token, number in added.items()]
    content = {"model": {"type": "BPE", "vocab": vocab}, "added_tokens": extra}
    write(folder / "tokenizer.json", content)


@pytest.mark.parametrize(
    ("vocab", "added", "level"),
    [
        ({"a": 0, "b": 40}, {}, "BROKEN"),
        ({"a": 0, "b": 39}, {"<pad>": 40}, "WARNING"),
        ({"a": 0, "b": 39}, {"<pad>": 40, "<|user|>": 41}, "BROKEN"),
        ({"a": 0, "b": 39}, {"<pad>": 39}, ""),
    ],
)
def test_ids_beyond_the_rows(copy, vocab, added, level):
    """Llama 2 was published with a pad token that has no row: the model can still be used."""
    folder = copy("whole")
    tokenizer(folder, vocab, added)
    write(folder / "tokenizer_config.json", {"pad_token": "<pad>"})
    report = look(folder)
    rule = {"BROKEN": "token-range", "WARNING": "token-pad", "": ""}[level]
    assert rules(report) == ([rule] if rule else [])
    assert not level or rules(report, getattr(tool, level)) == [rule]


def test_two_tokens_of_one_id(copy):
    folder = copy("whole")
    tokenizer(folder, {"a": 1, "b": 1}, {})
    assert rules(look(folder)) == ["token-duplicate"]


@pytest.mark.parametrize("vocab", [{"a": -1}, {"a": 1.5}, {"a": True}, "x", None])
def test_a_tokenizer_without_numbers(copy, vocab):
    folder = copy("whole")
    tokenizer(folder, vocab, {})
    assert {"token-id", "tokenizer-syntax"} & set(rules(look(folder), tool.BROKEN))


@pytest.mark.parametrize(
    ("kind", "files", "good"),
    [
        ("GPT2Tokenizer", ["tokenizer.json"], True),
        ("GPT2TokenizerFast", ["vocab.json", "merges.txt"], True),
        ("GPT2Tokenizer", ["vocab.json"], False),
        ("BertTokenizer", ["vocab.txt"], True),
        ("BertTokenizer", [], False),
        ("PhobertTokenizer", ["vocab.txt"], False),
        ("LlamaTokenizer", ["tokenizer.model"], True),
        ("T5Tokenizer", [], False),
        ("ByT5Tokenizer", [], True),
        ("TokenizersBackend", [], False),
        ("SomethingNew", ["new.model"], True),
    ],
)
def test_files_of_a_tokenizer(tmp_path, kind, files, good):
    write(tmp_path / "tokenizer_config.json", {"tokenizer_class": kind})
    for name in files:
        text = {"tokenizer.json": {"model": {"vocab": {"a": 0}}}, "vocab.json": {"a": 0}}
        write(tmp_path / name, text.get(name, "a\n"))
    assert ("part-missing" in rules(look(tmp_path), tool.BROKEN)) != good


NEEDED = ["tokenizer.model", "spiece.model", "vocab.txt", "merges.txt", "tokenizer.json"]
NEEDED += ["config.json", "chat_template.jinja", "modules.json", "generation_config.json"]


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("text", [POINTER, PAGE, ""])
def test_placeholders(copy, name, text):
    folder = copy("whole")
    write(folder / name, text)
    assert "placeholder" in rules(look(folder), tool.BROKEN)


def test_files_that_may_be_empty(copy):
    folder = copy("whole")
    for name in ("README.md", ".gitattributes", "__init__.py", ".gitkeep", "notes.txt"):
        write(folder / name, "")
    assert rules(look(folder)) == []


# --- hostile folders


def test_a_deep_folder_and_odd_names(tmp_path):
    deep = tmp_path
    for _ in range(200):
        deep = deep / "d"
        deep.mkdir()
    write(deep / "config.json", {"model_type": "gpt2"})
    write(tmp_path / "a\nb\x1b[31m.json", "{")
    write(tmp_path / "-rf/ế/x.py", "x")
    report = look(tmp_path)
    for found in report.findings:
        assert f"{found.where}{found.text}".isprintable()
    assert "weights-missing" in rules(report, tool.BROKEN)


HOSTILE = [None, 1, "x", [], {}, [[]], {"a": None}, [{"path": 1}], {"weight_map": 3}, True]
NAMES = ["config.json", "adapter_config.json", "model_index.json", "modules.json", "tokenizer.json"]
NAMES += ["router_config.json", "tokenizer_config.json", "trainer_state.json", "vocab.json"]
NAMES += ["model.safetensors.index.json", "added_tokens.json"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["whole", "adapter", "pipeline", "sentences", "run/checkpoint-3"])
def test_any_json_anywhere(copy, kind, name):
    folder = copy(kind)
    for content in HOSTILE:
        write(folder / name, content)
        look(folder)


ODD_ADAPTERS = [
    {"target_modules": {"a": 1}, "modules_to_save": 3, "rank_pattern": []},
    {"target_modules": ["q_proj", 3, None], "layers_to_transform": [True, "x", -1]},
    {"rank_pattern": {"(a+)+$": 3}, "target_modules": "(a+)+$"},
    {"r": -1, "layers_to_transform": 10**30, "exclude_modules": {"x": 1}},
    {"peft_type": ["LORA"], "use_dora": "yes", "base_model_name_or_path": {"a": "\x1b"}},
    {"peft_type": "NEW", "target_modules": [""], "exclude_modules": ["", "."]},
]


@pytest.mark.parametrize("config", ODD_ADAPTERS)
def test_odd_adapters(tmp_path, config):
    make_adapter(tmp_path, **config)
    look(tmp_path)


def test_one_folder_alone(base):
    """The same without the other folders: nothing is said to be missing that was not shown."""
    for kind in ("pipeline", "sentences"):
        report = tool.Report("")
        files = {path.name: path for path in (base / kind).iterdir() if path.is_file()}
        tool.check_folder("", files, {}, report)
        assert "part-missing" not in rules(report)
