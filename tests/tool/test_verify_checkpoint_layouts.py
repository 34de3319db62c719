"""What a config promises: the names and shapes of every tensor, for the familiar architectures."""

from __future__ import annotations

import copy
import importlib
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from checker import tool
from safetensors.torch import load_file, save_file

# For each model_type: the values that a random small config is drawn from.
TEXT = {
    "vocab_size": [31, 40],
    "hidden_size": [16],
    "num_hidden_layers": [1, 3],
    "num_attention_heads": [4],
    "bos_token_id": [0],
    "eos_token_id": [1],
    "pad_token_id": [0],
    "num_labels": [1, 2, 5],
    "tie_word_embeddings": [True, False],
}
GROUPED = {**TEXT, "num_key_value_heads": [1, 2, 4], "intermediate_size": [7, 20]}
BIASED = {**GROUPED, "attention_bias": [True, False]}
OLD_NAMES = {"bos_token_id": [0], "eos_token_id": [0], "vocab_size": [31], "num_labels": [3]}
GPT = {**OLD_NAMES, "n_embd": [16], "n_layer": [1, 3], "n_head": [4], "n_inner": [None, 7]}
GPT["tie_word_embeddings"] = [True, False]
ENCODER = {**TEXT, "intermediate_size": [7, 20], "max_position_embeddings": [9]}
ENCODER["type_vocab_size"] = [1, 2]
IMAGE = {
    "hidden_size": [8],
    "intermediate_size": [7, 20],
    "num_hidden_layers": [1, 2],
    "num_attention_heads": [2],
    "image_size": [8, 12],
    "patch_size": [2, 4],
}
VIT = {**IMAGE, "num_channels": [1, 3], "qkv_bias": [True, False], "num_labels": [2, 5]}
VIT |= {"pooler_output_size": [None, 7], "encoder_stride": [2, 4]}
WORDS = {
    "vocab_size": [31],
    "hidden_size": [12],
    "intermediate_size": [7],
    "num_hidden_layers": [1, 2],
    "num_attention_heads": [2],
    "max_position_embeddings": [9],
    "bos_token_id": [0],
    "eos_token_id": [1],
    "pad_token_id": [1],
}
SPEECH = {
    "vocab_size": [31],
    "hidden_size": [16],
    "num_hidden_layers": [1, 2],
    "num_attention_heads": [2],
    "intermediate_size": [7],
    "conv_dim": [[6], [6, 8]],
    "conv_kernel": [[3, 2]],
    "conv_stride": [[2, 2]],
    "conv_bias": [True, False],
    "feat_extract_norm": ["group", "layer"],
    "do_stable_layer_norm": [True, False],
    "num_conv_pos_embeddings": [4, 6],
    "num_conv_pos_embedding_groups": [2],
    "mask_time_prob": [0.0, 0.05],
    "use_weighted_layer_sum": [True, False],
    "classifier_proj_size": [5],
    "tdnn_dim": [[4, 5]],
    "tdnn_kernel": [[3, 1]],
    "tdnn_dilation": [[1, 1]],
    "codevector_dim": [6],
    "num_labels": [2, 5],
    "pad_token_id": [0],
}
SEQUENCES = {
    "vocab_size": [31],
    "d_model": [16],
    "encoder_layers": [1, 2],
    "decoder_layers": [1, 3],
    "encoder_attention_heads": [2],
    "decoder_attention_heads": [4],
    "encoder_ffn_dim": [7],
    "decoder_ffn_dim": [9],
    "tie_word_embeddings": [True, False],
    "num_labels": [3, 5],
    "pad_token_id": [0],
    "bos_token_id": [0],
    "eos_token_id": [1],
    "decoder_start_token_id": [1],
}
T5 = {
    "vocab_size": [31],
    "d_model": [9],
    "d_kv": [5],
    "d_ff": [7],
    "num_layers": [1, 3],
    "num_decoder_layers": [None, 2],
    "num_heads": [3],
    "relative_attention_num_buckets": [4],
    "feed_forward_proj": ["relu", "gated-gelu"],
    "tie_word_embeddings": [True, False],
    "num_labels": [2, 5],
    "decoder_start_token_id": [0],
}
EXPERTS = {
    **GROUPED,
    "num_experts": [1, 3],
    "num_experts_per_tok": [1],
    "moe_intermediate_size": [5],
    "decoder_sparse_step": [1, 2],
    "mlp_only_layers": [[], [0]],
}
MAMBA = {
    "vocab_size": [31],
    "hidden_size": [6],
    "state_size": [3],
    "num_hidden_layers": [1, 2],
    "expand": [1, 2],
    "conv_kernel": [2, 4],
    "use_bias": [True, False],
    "use_conv_bias": [True, False],
    "time_step_rank": ["auto", 3],
    "tie_word_embeddings": [True, False],
}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {**GPT, "n_positions": [9], "add_cross_attention": [True, False]},
    "gpt_neo": {
        **OLD_NAMES,
        "hidden_size": [16],
        "num_heads": [4],
        "num_layers": [2],
        "attention_types": [[[["global", "local"], 1]]],
        "max_position_embeddings": [9],
        "intermediate_size": [None, 7],
        "tie_word_embeddings": [True, False],
    },
    "gptj": {**GPT, "rotary_dim": [2]},
    "codegen": {**GPT, "rotary_dim": [2]},
    "gpt_neox": {**TEXT, "intermediate_size": [7], "attention_bias": [True, False]},
    "bloom": {**TEXT, "n_head": [4], "n_layer": [1, 3]},
    "falcon": {
        **TEXT,
        "num_kv_heads": [None, 2],
        "new_decoder_architecture": [True, False],
        "multi_query": [True, False],
        "parallel_attn": [True, False],
        "bias": [True, False],
        "ffn_hidden_size": [None, 7],
        "num_ln_in_parallel_attn": [None, 1, 2],
    },
    "opt": {
        **TEXT,
        "ffn_dim": [7],
        "max_position_embeddings": [9],
        "word_embed_proj_dim": [16, 10],
        "do_layer_norm_before": [True, False],
        "enable_bias": [True, False],
        "layer_norm_elementwise_affine": [True, False],
    },
    "llama": {**BIASED, "head_dim": [None, 6], "mlp_bias": [True, False]},
    "granite": {**BIASED, "mlp_bias": [True, False]},
    "smollm3": {**BIASED, "mlp_bias": [True, False]},
    "mistral": {**GROUPED, "head_dim": [None, 6]},
    "qwen2": GROUPED,
    "qwen3": {**BIASED, "head_dim": [4, 6]},
    "gemma": {**BIASED, "head_dim": [6]},
    "gemma2": {**BIASED, "head_dim": [6]},
    "gemma3_text": {**BIASED, "head_dim": [6]},
    "olmo": BIASED,
    "olmo2": BIASED,
    "stablelm": {
        **GROUPED,
        "use_qkv_bias": [True, False],
        "qk_layernorm": [True, False],
        "use_parallel_residual": [True, False],
    },
    "starcoder2": {**GROUPED, "use_bias": [True, False]},
    "phi": {**GROUPED, "qk_layernorm": [True, False]},
    "phi3": {**GROUPED, "max_position_embeddings": [9], "original_max_position_embeddings": [9]},
    "mixtral": {**GROUPED, "num_local_experts": [1, 3], "num_experts_per_tok": [1]},
    "qwen2_moe": {**EXPERTS, "shared_expert_intermediate_size": [3], "qkv_bias": [True, False]},
    "qwen3_moe": {**EXPERTS, "attention_bias": [True, False]},
    "deepseek_v3": {
        **TEXT,
        "num_key_value_heads": [4],
        "intermediate_size": [7],
        "moe_intermediate_size": [5],
        "n_routed_experts": [4],
        "n_group": [2],
        "topk_group": [1],
        "num_experts_per_tok": [1],
        "n_shared_experts": [1, 2],
        "first_k_dense_replace": [0, 1],
        "kv_lora_rank": [3],
        "q_lora_rank": [None, 5],
        "qk_rope_head_dim": [4],
        "qk_nope_head_dim": [6],
        "v_head_dim": [4],
        "attention_bias": [True, False],
    },
    "mamba": MAMBA,
    "bert": {**ENCODER, "add_cross_attention": [True, False], "is_decoder": [True]},
    "roberta": ENCODER,
    "xlm-roberta": ENCODER,
    "camembert": ENCODER,
    "electra": {**ENCODER, "embedding_size": [16, 5]},
    "albert": {
        **ENCODER,
        "embedding_size": [5],
        "num_hidden_groups": [1, 2],
        "inner_group_num": [1, 2],
        "classifier_dropout_prob": [0.1],
    },
    "distilbert": {
        "vocab_size": [31],
        "dim": [16],
        "n_heads": [4],
        "n_layers": [1, 3],
        "hidden_dim": [7],
        "max_position_embeddings": [9],
        "tie_word_embeddings": [True, False],
        "num_labels": [2],
        "pad_token_id": [0],
    },
    "t5": T5,
    "mt5": T5,
    "bart": {**SEQUENCES, "max_position_embeddings": [9]},
    "whisper": {
        **SEQUENCES,
        "num_mel_bins": [5],
        "max_source_positions": [9],
        "max_target_positions": [8],
        "classifier_proj_size": [5],
        "use_weighted_layer_sum": [True, False],
        "suppress_tokens": [[]],
        "begin_suppress_tokens": [[]],
    },
    "clip": {"text_config": WORDS, "vision_config": IMAGE, "projection_dim": [5]},
    "clip_text_model": {**WORDS, "projection_dim": [5]},
    "clip_vision_model": {**IMAGE, "projection_dim": [5]},
    "siglip": {"text_config": WORDS, "vision_config": {**IMAGE, "vision_use_head": [True, False]}},
    "vit": VIT,
    "deit": VIT,
    "swin": {
        "image_size": [16],
        "patch_size": [2],
        "num_channels": [1, 3],
        "embed_dim": [8],
        "depths": [[1, 2]],
        "num_heads": [[2, 4]],
        "window_size": [2, 3],
        "mlp_ratio": [2.0, 3],
        "qkv_bias": [True, False],
        "use_absolute_embeddings": [True, False],
        "encoder_stride": [4],
        "num_labels": [2, 5],
    },
    "wav2vec2": {**SPEECH, "add_adapter": [True, False], "adapter_attn_dim": [None, 3]},
    "hubert": {**SPEECH, "feat_proj_layer_norm": [True, False]},
    "gemma3": {
        "text_config": {**BIASED, "head_dim": [6]},
        "vision_config": {**IMAGE, "vision_use_head": [False]},
        "mm_tokens_per_image": [1],
        "tie_word_embeddings": [True, False],
    },
    "qwen2_vl": {
        "text_config": {**GROUPED, "rope_scaling": [{"type": "mrope", "mrope_section": [1, 1]}]},
        "vision_config": {
            "depth": [1, 2],
            "embed_dim": [16],
            "num_heads": [2],
            "hidden_size": [16],
            "mlp_ratio": [2],
            "patch_size": [2],
            "spatial_merge_size": [1, 2],
            "temporal_patch_size": [1, 2],
        },
        "tie_word_embeddings": [True, False],
    },
}
MODULES = {"gemma3_text": "gemma3", "clip_text_model": "clip", "clip_vision_model": "clip"}
MODULES["xlm-roberta"] = "xlm_roberta"
OPTIONAL = re.compile(r"masked_spec_embed|final_logits_bias")  # absent from old files, too
BROKEN = tool.BROKEN


def draw(choices: dict[str, Any], generator: random.Random) -> dict[str, Any]:
    """One config out of these choices."""
    found = {}
    for key, values in choices.items():
        if isinstance(values, dict):
            found[key] = draw(values, generator)
        else:
            found[key] = copy.deepcopy(generator.choice(values))
    if "conv_dim" in found:  # three lists of one length
        for key in ("conv_kernel", "conv_stride"):
            found[key] = found[key][: len(found["conv_dim"])]
    return found


def config_of(family: str, seed: int):
    from transformers import AutoConfig

    return AutoConfig.for_model(family, **draw(CONFIGS[family], random.Random(seed)))


def classes_of(family: str, config: Any) -> list[type]:
    """Every model class of the family."""
    from transformers import PreTrainedModel

    name = MODULES.get(family, family)
    module = importlib.import_module(f"transformers.models.{name}.modeling_{name}")
    found = []
    for name in module.__all__:
        model = getattr(module, name)
        if not issubclass(model, PreTrainedModel) or model.config_class is not type(config):
            continue
        if not name.endswith(("PreTrainedModel", "PretrainedModel", "Backbone")):
            if name != "PretrainedBartModel":
                found.append(model)
    return found


def models_of(family: str, seed: int) -> list[Any]:
    """A small model of every class; a class that refuses this config is left out."""
    config = config_of(family, seed)
    found = []
    for model in classes_of(family, config):
        try:
            found.append(model(copy.deepcopy(config)))
        except ValueError as error:
            assert "does not support the use of" in str(error), error
    return found


def saved(model: Any, folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The config and the tensors that save_pretrained writes."""
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config, load_file(folder / "model.safetensors")


def described(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The tensors as the checker knows them; tied ones have one place."""
    found = {}
    for name, tensor in tensors.items():
        place = ("storage", tensor.data_ptr(), 0, tuple(tensor.shape), tensor.stride())
        found[name] = tool.Tensor("F32", tuple(tensor.shape), place)
    return found


def look(config: dict[str, Any], tensors: dict[str, Any]):
    report = tool.Report("x")
    tool.check_model(config, tensors, "config.json", "", report)
    return report


def rules(report) -> set[str]:
    return {finding.rule for finding in report.findings}


def levels(report) -> set[str]:
    return {finding.level for finding in report.findings}


def assert_complete(report, what: object) -> None:
    assert (report.findings, report.complete) == ([], {"": ""}), what


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", CONFIGS)
def test_the_list_of_tensors_is_the_one_of_the_library(family, tmp_path):
    for seed in range(2):
        for model in models_of(family, seed):
            config, tensors = saved(model, tmp_path)
            assert_complete(look(config, described(tensors)), config["architectures"])
            own = described(model.state_dict())  # as torch.save(model.state_dict()) names them
            assert_complete(look(config, own), config["architectures"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", CONFIGS)
def test_every_missing_or_misshapen_tensor_is_seen(family, tmp_path):
    model = random.Random(family).choice(models_of(family, 1))
    config, tensors = saved(model, tmp_path)
    whole = described(tensors)
    for name, tensor in whole.items():
        without = {other: whole[other] for other in whole if other != name}
        report = look(config, without)
        assert BROKEN in levels(report) or OPTIONAL.search(name), name
        shape = tensor.shape
        for wrong in ((*shape, 1), (*shape[:-1], shape[-1] + 1 if shape else 3), (0,)):
            report = look(config, {**whole, name: tool.Tensor("F32", wrong, tensor.place)})
            assert BROKEN in levels(report), (name, wrong)
            assert report.complete[""], name


@pytest.mark.parametrize("family", tool.CLASS_DEFAULTS)
def test_a_config_that_leaves_out_its_defaults_is_understood(family):
    from transformers import AutoConfig

    full = json.loads(AutoConfig.for_model(family).to_json_string(use_diff=False))
    assert full["model_type"] == family
    few = {}
    if family == "deepseek_v3":
        few = {"num_hidden_layers": 4}  # 61 layers of 256 experts take seconds
    for class_name in ("XModel", "XForCausalLM", "XForSequenceClassification"):
        named = {"model_type": family, "architectures": [class_name]}
        short = tool.layout_of({**named, **few})
        long = tool.layout_of({**full, **named, **few})
        assert (short.expected, short.copies) == (long.expected, long.copies)


SIZES = {
    "gpt2": ("GPT2LMHeadModel", {}, 124_439_808),
    "llama": (
        "LlamaForCausalLM",
        {"vocab_size": 128256, "intermediate_size": 14336, "num_key_value_heads": 8},
        8_030_261_248,
    ),
    "mixtral": ("MixtralForCausalLM", {}, 46_702_792_704),
    "qwen2": (
        "Qwen2ForCausalLM",
        {
            "vocab_size": 152064,
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
        },
        7_615_616_512,
    ),
    "gemma2": ("Gemma2ForCausalLM", {}, 2_614_341_888),
    "gemma3": (  # written as sparsely as its publisher wrote it
        "Gemma3ForConditionalGeneration",
        {
            "text_config": {
                "hidden_size": 2560,
                "intermediate_size": 10240,
                "num_hidden_layers": 34,
            },
            "vision_config": {
                "hidden_size": 1152,
                "image_size": 896,
                "intermediate_size": 4304,
                "num_attention_heads": 16,
                "num_hidden_layers": 27,
                "patch_size": 14,
                "vision_use_head": False,
            },
        },
        4_300_079_472,
    ),
}


@pytest.mark.parametrize("family", SIZES)
def test_published_models_have_their_known_number_of_parameters(family):
    class_name, values, count = SIZES[family]
    config = {"model_type": family, "architectures": [class_name], **values}
    layout = tool.layout_of(config)
    total = 0
    for shape in layout.expected.values():
        total += torch.Size(shape).numel()
    assert total == count
    tensors = {}
    for name, shape in layout.expected.items():
        tensors[name] = tool.Tensor("BF16", shape, ("storage", name))
    assert_complete(look(config, tensors), family)


def spelled(tensors: dict[str, torch.Tensor], pattern: str, new: str) -> dict[str, torch.Tensor]:
    return {re.sub(pattern, new, name): tensor for name, tensor in tensors.items()}


SPELLINGS = [
    ("gpt2", "GPT2LMHeadModel", r"^transformer\.", ""),
    ("gpt2", "GPT2Model", r"^", "transformer."),
    ("llama", "LlamaForCausalLM", r"^model\.", ""),
    ("bert", "BertForMaskedLM", r"LayerNorm\.weight", "LayerNorm.gamma"),
    ("bert", "BertForMaskedLM", r"LayerNorm\.bias", "LayerNorm.beta"),
    ("hubert", "HubertModel", r"parametrizations\.weight\.original0", "weight_g"),
    ("gemma3", "Gemma3ForConditionalGeneration", r"^vision_tower", "vision_tower.vision_model"),
    ("gemma3", "Gemma3ForConditionalGeneration", r"^language_model.model", "language_model"),
    ("qwen2_vl", "Qwen2VLForConditionalGeneration", r"^model", "model.language_model"),
    ("clip_text_model", "CLIPTextModel", r"^", "text_model."),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("family", "class_name", "pattern", "new"), SPELLINGS)
def test_names_that_the_library_still_reads(family, class_name, pattern, new, tmp_path):
    models = {type(model).__name__: model for model in models_of(family, 0)}
    config, tensors = saved(models[class_name], tmp_path)
    other = spelled(tensors, pattern, new)
    assert other.keys() != tensors.keys()
    assert_complete(look(config, described(other)), class_name)
    save_file(other, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded = type(models[class_name]).from_pretrained(tmp_path, output_loading_info=True)
    assert not loaded[1]["missing_keys"]


LEFT_OVER = {
    "gpt2": ["transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias"],
    "llama": ["model.layers.0.self_attn.rotary_emb.inv_freq"],
    "bert": ["bert.embeddings.position_ids"],
    "gpt_neox": ["gpt_neox.layers.0.attention.bias"],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", LEFT_OVER)
def test_what_old_files_carry_besides_is_no_complaint(family, tmp_path):
    config, tensors = saved(models_of(family, 3)[0], tmp_path)
    for name in LEFT_OVER[family]:
        tensors[name] = torch.zeros(1)
    assert_complete(look(config, described(tensors)), family)


def layout_tensors(config: dict[str, Any]) -> dict[str, Any]:
    """Tensors exactly as this config wants them."""
    found = {}
    for name, shape in tool.layout_of(config).expected.items():
        found[name] = tool.Tensor("F32", shape, ("storage", name))
    return found


SMALL_GPT2 = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "vocab_size": 64,
    "n_positions": 8,
    "n_embd": 8,
    "n_layer": 2,
    "n_head": 2,
}
SMALL_LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 64,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def test_layers_that_predict_further_tokens_are_spare():
    config = {**SMALL_LLAMA, "model_type": "deepseek_v3", "num_nextn_predict_layers": 1}
    tensors = layout_tensors(config)
    spare = tool.Tensor("F32", (8,), ("storage", "x"))
    tensors["model.layers.2.input_layernorm.weight"] = spare
    assert_complete(look(config, tensors), "")
    tensors["model.layers.3.input_layernorm.weight"] = spare
    assert rules(look(config, tensors)) == {"model-layers"}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"vocab_size": 60}, "model-shape"),
        ({"n_embd": 16}, "model-shape"),
        ({"n_layer": 1}, "model-layers"),
        ({"n_layer": 3}, "model-missing"),
        ({"n_head": 3}, "config-heads"),
        ({"n_head": 0}, "config-value"),
        ({"n_embd": "8"}, "config-value"),
        ({"vocab_size": None}, "config-value"),
        ({"n_layer": True}, "config-value"),
        ({"n_layer": -1}, "config-value"),
        ({"n_embd": 10**30}, "config-value"),
        ({"n_layer": 10**9}, "config-huge"),
        ({"tie_word_embeddings": False}, "model-missing"),
        ({"add_cross_attention": True}, "model-missing"),
        ({"add_cross_attention": ["x"]}, "config-value"),
    ],
)
def test_a_config_that_tells_of_another_model_is_broken(change, rule):
    report = look({**SMALL_GPT2, **change}, layout_tensors(SMALL_GPT2))
    assert rules(report) == {rule}
    assert levels(report) == {BROKEN}
    assert len(report.findings) == 1
    assert report.complete[""]


def test_the_finding_says_how_many_and_names_one():
    tensors = layout_tensors(SMALL_GPT2)
    for layer in range(2):
        del tensors[f"h.{layer}.ln_1.bias"]  # alike in all layers
    report = look(SMALL_GPT2, tensors)
    text = "thiếu 2 tensor mà config.json đòi, như «h.0.ln_1.bias»: chúng sẽ là số ngẫu nhiên"
    assert [finding.text for finding in report.findings] == [text]


def test_heads_that_do_not_share_keys_evenly_are_told_by_the_keys_of_the_config():
    report = look({**SMALL_LLAMA, "num_key_value_heads": 3}, layout_tensors(SMALL_LLAMA))
    assert "num_attention_heads = 4" in report.findings[0].text
    assert "num_key_value_heads = 3" in report.findings[0].text


def test_empty_tensors_of_a_sharded_optimizer_are_broken():
    tensors = layout_tensors(SMALL_GPT2)
    for name in list(tensors)[:5]:
        tensors[name] = tool.Tensor("F32", (0,), tensors[name].place)
    report = look(SMALL_GPT2, tensors)
    assert rules(report) == {"model-empty"}
    assert "5 tensor rỗng" in report.findings[0].text


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod."])
def test_names_of_a_wrapped_model_are_broken(wrapper):
    tensors = layout_tensors(SMALL_GPT2)
    wrapped = {wrapper + name: tensor for name, tensor in tensors.items()}
    report = look(SMALL_GPT2, wrapped)
    assert BROKEN in levels(report)
    assert "model-wrapped" in rules(report)


def tied(other_place: tuple) -> dict[str, Any]:
    """GPT-2 whose head stands in the file beside the embedding."""
    tensors = layout_tensors(SMALL_GPT2)
    tensors["lm_head.weight"] = tool.Tensor("F32", (64, 8), other_place)
    return tensors


def test_tied_weights_that_differ_are_broken(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(2048) + b"1" * 2048)
    tensors = tied((path, 0, 2048))
    for begin, expected in ((0, set()), (2048, {"model-tie"})):
        place = (path, begin, begin + 2048)
        tensors["wte.weight"] = tool.Tensor("F32", (64, 8), place)
        assert rules(look(SMALL_GPT2, tensors)) == expected
    untied = {**SMALL_GPT2, "tie_word_embeddings": False}
    assert_complete(look(untied, tensors), "")


def test_tied_weights_in_pickles():
    view = (0, (64, 8), (8, 1))
    tensors = tied(("crc", (1, 2048), *view))
    tensors["wte.weight"] = tool.Tensor("F32", (64, 8), ("crc", (1, 2048), *view))
    assert_complete(look(SMALL_GPT2, tensors), "")
    tensors["wte.weight"] = tool.Tensor("F32", (64, 8), ("crc", (2, 2048), *view))
    assert rules(look(SMALL_GPT2, tensors)) == {"model-tie"}
    tensors["wte.weight"] = tool.Tensor("F32", (64, 8), ("crc", (2, 9999), *view))
    assert_complete(look(SMALL_GPT2, tensors), "a view of a larger storage: nobody knows")


def test_either_of_two_tied_tensors_is_enough():
    tensors = tied(("storage", "x"))
    del tensors["wte.weight"]
    assert_complete(look(SMALL_GPT2, tensors), "")
    del tensors["lm_head.weight"]
    assert rules(look(SMALL_GPT2, tensors)) == {"model-missing"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"quantization_config": {"bits": 4}}, "lượng tử"),
        ({"auto_map": {"AutoModel": "x.Y"}}, "mã đi kèm"),
        ({"model_type": "novel"}, "novel"),
        ({"model_type": None}, "model_type"),
        ({"model_type": ["gpt2"]}, "không quen"),
        ({"pruned_heads": {"0": [1]}}, "cắt bớt"),
    ],
)
def test_where_the_list_cannot_be_derived_nothing_is_claimed(change, why):
    tensors = layout_tensors(SMALL_GPT2)
    config = {**SMALL_GPT2, **change}
    assert tool.layout_of(config) is None
    report = look(config, tensors)
    assert why in report.complete[""]
    assert levels(report) <= {tool.WARNING}
    del tensors["h.1.ln_1.bias"]
    tensors["wte.weight"] = tool.Tensor("F32", (60, 8), ("storage", "x"))
    report = look(config, tensors)
    assert levels(report) <= {tool.WARNING}
    assert "config-embedding" in rules(report)


def test_an_unfamiliar_model_whose_layers_differ_gets_a_warning():
    config = {**SMALL_LLAMA, "model_type": "novel", "num_hidden_layers": 4}
    tensors = layout_tensors({**config, "model_type": "llama"})
    assert look(config, tensors).findings == []
    del tensors["layers.2.mlp.up_proj.weight"]
    assert rules(look(config, tensors)) == {"config-alike"}
    assert rules(look({**config, "num_hidden_layers": 5}, tensors)) >= {"config-layers"}


def test_no_tensors_or_only_an_adapter_is_not_complete():
    assert look(SMALL_GPT2, {}).complete[""]
    adapter = {"base_model.model.x.lora_A.weight": tool.Tensor("F32", (1, 1), ())}
    report = look(SMALL_GPT2, adapter)
    assert "adapter" in report.complete[""]
    assert report.findings == []


def test_of_an_unknown_class_the_body_is_checked():
    config = {**SMALL_GPT2, "architectures": ["GPT2ForNobody"]}
    tensors = layout_tensors(config)
    report = look(config, tensors)
    assert report.findings == []
    assert "phần thân đủ" in report.complete[""]
    assert "GPT2ForNobody" in report.complete[""]
    del tensors["wpe.weight"]
    assert rules(look(config, tensors)) == {"model-missing"}
    config = {key: value for key, value in config.items() if key != "architectures"}
    assert BROKEN in levels(look(config, tensors))


def test_a_missing_pooler_is_a_warning():
    config = {**SMALL_LLAMA, "model_type": "bert", "architectures": ["BertModel"]}
    tensors = layout_tensors(config)
    assert_complete(look(config, tensors), "")
    bias = tensors.pop("pooler.dense.bias")
    assert levels(look(config, tensors)) == {BROKEN}
    del tensors["pooler.dense.weight"]
    report = look(config, tensors)
    assert (levels(report), rules(report)) == ({tool.WARNING}, {"model-usual"})
    assert "pooler" in report.complete[""]
    tensors["pooler.dense.bias"] = bias
    assert levels(look(config, tensors)) == {BROKEN}


def test_tensors_that_the_model_does_not_use_are_named():
    tensors = layout_tensors(SMALL_LLAMA)
    tensors["layers.0.self_attn.q_proj.bias"] = tool.Tensor("F32", (8,), ())
    report = look(SMALL_LLAMA, tensors)  # biases that a library would drop without a word
    assert (levels(report), rules(report)) == ({tool.WARNING}, {"model-extra"})
    del tensors["layers.0.self_attn.q_proj.bias"]
    tensors["value_head.weight"] = tool.Tensor("F32", (8,), ())
    assert levels(look(SMALL_LLAMA, tensors)) == {tool.NOTE}


def test_the_facts_tell_what_the_config_is():
    config = {**SMALL_GPT2, "transformers_version": "5.23.0"}
    report = look(config, layout_tensors(config))
    assert report.facts == [
        "config.json: model_type = gpt2, GPT2LMHeadModel, transformers 5.23.0",
        "config.json: lớp đầu ra dùng chung trọng số với embedding",
    ]


def nested(depth: int) -> tuple[list, dict]:
    """A list and a dict that lie in themselves this deep."""
    inside: list[Any] = []
    table: dict[str, Any] = {}
    for _ in range(depth):
        inside = [inside]
        table = {"x": table}
    return inside, table


JUNK = [None, True, -1, 0, 1.5, float("nan"), float("inf"), 10**12, 10**4000, "", "x" * 9999]
JUNK += [[], [1], ["x"], [1] * 999, {}, {"a": 1}, *nested(5000)]


@pytest.mark.parametrize("family", CONFIGS)
def test_no_value_of_a_config_makes_the_tool_fail(family):
    generator = random.Random(family)
    full = config_of(family, 0).to_dict()
    for _ in range(25):
        config = {**full, "architectures": ["XForCausalLM"]}
        for key in ("text_config", "vision_config"):
            if isinstance(config.get(key), dict):
                config[key] = {**config[key]}
                config[key][generator.choice(list(config[key]))] = generator.choice(JUNK)
        key = generator.choice(list(config))
        config[key] = generator.choice(JUNK)
        look(config, {"x.weight": tool.Tensor("F32", (3, 4), ())})


DAMAGED = ["gpt2", "llama", "mixtral", "bert", "t5", "gemma3", "vit", "hubert", "whisper"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", DAMAGED)
def test_what_is_called_missing_is_what_the_library_would_invent(family, tmp_path):
    generator = random.Random(family)
    model = generator.choice(models_of(family, 2))
    config, tensors = saved(model, tmp_path)
    for name in generator.sample(sorted(tensors), 3):
        without = {other: tensors[other] for other in tensors if other != name}
        save_file(without, tmp_path / "model.safetensors", metadata={"format": "pt"})
        loaded = type(model).from_pretrained(tmp_path, output_loading_info=True)
        report = look(config, described(without))
        seen = BROKEN in levels(report) or "model-usual" in rules(report)
        assert seen is bool(loaded[1]["missing_keys"]), name
