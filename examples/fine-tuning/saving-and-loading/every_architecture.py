"""Mọi kiến trúc của Transformers, mỗi lớp một bản tí hon: công cụ soi có báo nhầm không?

    python every_architecture.py            # không cần mạng
    QUICK=1 python every_architecture.py    # chỉ vài chục họ đầu, để thử nhanh

Tốn (cỡ mặc định): không quá 600 giây, 3 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers; verify_checkpoint.py ở cạnh
"""

# %% Chuẩn bị
import contextlib
import io
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig
from transformers.models.auto import configuration_auto, modeling_auto

from verify_checkpoint import WARNING, verify

QUICK = os.environ.get("QUICK") == "1"
LARGEST = 3_000_000  # tham số; lớn hơn thì bỏ qua, để cả bộ chạy trong vài phút
TABLES = (  # bảng của Transformers: họ mô hình → lớp cho việc đó
    modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    modeling_auto.MODEL_MAPPING_NAMES,
)
# Họ nào cũng có tên riêng cho các số. Thử lần lượt các bộ sau; bộ đầu tiên dựng được thì dùng.
WORDS = {
    "vocab_size": 96,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
EXPERTS = {
    **WORDS,
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "n_routed_experts": 4,
    "n_group": 1,
    "topk_group": 1,
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
}
T5 = {
    "vocab_size": 96,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 4,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
PAIRS = {
    "vocab_size": 96,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
    "decoder_start_token_id": 1,
    "pad_token_id": 0,
}
IMAGE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
PYRAMID = {
    "image_size": 32,
    "patch_size": 4,
    "embed_dim": 8,
    "depths": [1, 1],
    "num_attention_heads": [2, 2],
}
NESTED = {"text_config": WORDS, "vision_config": IMAGE, "projection_dim": 16}
SIZES = (WORDS, EXPERTS, T5, PAIRS, IMAGE, PYRAMID, NESTED)

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
FAMILIES = sorted(configuration_auto.CONFIG_MAPPING_NAMES)
if QUICK:
    FAMILIES = FAMILIES[:40]

# %% Dựng, lưu, hỏi
print("== Dựng, lưu, hỏi ==")


def classes_of(family):
    """Các lớp mô hình của một họ, theo các bảng của Transformers."""
    names = []
    for table in TABLES:
        found = table.get(family, ())
        if isinstance(found, str):
            found = (found,)
        names += found[:1]
    return dict.fromkeys(names)


def build(family, name):
    """Dựng một mô hình tí hon; None khi không bộ số nào hợp."""
    for sizes in SIZES:
        torch.manual_seed(0)
        try:
            builder = getattr(transformers, name)
            config = AutoConfig.for_model(family, **sizes)
            with torch.device("meta"):  # chưa có số nào: chỉ để đếm
                parameters = builder(config).num_parameters()
            if parameters <= LARGEST:
                return builder(config)
        except Exception:  # mỗi họ từ chối số lạ bằng một kiểu lỗi riêng
            continue
    return None


built = set()
missing = set()
alarms = []
warned = []
complete = 0
folders = 0
for family in FAMILIES:
    for name in classes_of(family):
        with contextlib.redirect_stdout(io.StringIO()):  # vài họ in cả cấu hình
            model = build(family, name)
        if model is None:
            missing.add(family)
            continue
        folder = Path(temporary.name, name)
        model.save_pretrained(folder)
        report = verify(folder)
        shutil.rmtree(folder)
        built.add(family)
        folders += 1
        if report.exit_code:
            alarms.append(name)
            print(f"{name}: {report.verdict}")
            for finding in report.findings:
                print(f"    {finding.level} {finding.where}: {finding.text}")
        if WARNING in report.levels:
            warned.append(name)
        if report.complete and not any(report.complete.values()):
            complete += 1
missing -= built
print(f"{folders} thư mục của {len(built)} họ; {len(missing)} họ không dựng được, hay quá lớn")
print(f"bị báo nhầm: {len(alarms)}; có cảnh báo: {len(warned)}; biết chắc là đủ: {complete}")

# %% Kết quả
results = {
    "exact": {
        "families": len(built),
        "folders": folders,
        "not_built": len(missing),
        "alarms": len(alarms),
        "warned": len(warned),
        "complete": complete,
    }
}
if alarms:
    sys.exit("TRƯỢT: có mô hình lành bị báo nhầm.")
