"""Mã viết cho Transformers cũ, chạy trên bản mới: dòng nào báo lỗi, dòng nào lặng lẽ làm việc khác, viết lại thế nào.

    python old_transformers_code.py                     # mô hình tí hon, không cần mạng
    python old_transformers_code.py --break call        # một dòng «mới» vẫn viết như cũ: đối chứng phải trượt
    python old_transformers_code.py --break tokenizer   # vẫn dựng tokenizer bằng vocab_file: đối chứng phải trượt
    python old_transformers_code.py --break stale       # vẫn đọc pytorch_model.bin sau khi lưu: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 60 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers accelerate
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import json
import logging
import os
import re
import sys
import tempfile
import warnings
from importlib import metadata
from pathlib import Path

TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."  # để dạy và thử tokenizer
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("call", "tokenizer", "stale"), help="giữ lại một dòng cũ")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
root = Path((temporary := tempfile.TemporaryDirectory()).name)
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_CACHE": str(root / "cache")}  # thư viện đọc lúc được nhập
try:
    import accelerate  # noqa: F401  Trainer cần nó
    import torch
    import transformers
    from safetensors.torch import load_file  # noqa: F401  chỉ các dòng trong hai bảng dưới dùng
    from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer
    from transformers import (  # noqa: F401  như trên
        AutoConfig,
        AutoModelForCausalLM,
        AutoTokenizer,
        BertTokenizer,
        BitsAndBytesConfig,
        GPT2Config,
        GPT2LMHeadModel,
        GPT2Tokenizer,
        GPT2TokenizerFast,
        Trainer,
        TrainingArguments,
    )
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài: pip install torch transformers safetensors tokenizers accelerate\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
transformers.logging.disable_default_handler()
heard = []  # mọi lời nhắc của thư viện, ở mức mà người dùng mặc định sẽ thấy
transformers.logging.add_handler(handler := logging.Handler(logging.WARNING))
handler.emit = lambda record: heard.append(record.getMessage())

# %% Dựng
bpe, words = ByteLevelBPETokenizer(), BertWordPieceTokenizer()
bpe.train_from_iterator([TEXT], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
words.train_from_iterator([TEXT], vocab_size=100, show_progress=False)
config = GPT2Config(n_layer=2, n_head=2, n_embd=64, vocab_size=512, n_positions=128, bos_token_id=0, eos_token_id=0)
torch.manual_seed(0)
model = GPT2LMHeadModel(config).eval().requires_grad_(False)
for parameter in model.parameters():  # tensor toàn 0 hay toàn 1: mất rồi tạo lại vẫn "đúng"
    parameter.add_(torch.randn_like(parameter), alpha=0.02)
cached = root / "cache" / "models--toi--cu"  # như bộ nhớ đệm của Hub, ở nơi mà biến môi trường cũ chỉ tới
for folder in ("new", "bin", "tf", "stale", "half", cached / "snapshots" / "1"):
    model.save_pretrained(root / folder)
(cached / "refs").mkdir()
(cached / "refs" / "main").write_text("1", encoding="utf-8")
for folder in ("bin", "tf", "stale"):  # bin: chỉ có pytorch_model.bin; tf: chỉ có trọng số TensorFlow
    (root / folder / "model.safetensors").unlink()
torch.save(model.state_dict(), root / "bin" / "pytorch_model.bin")
torch.save({name: t + 1 for name, t in model.state_dict().items()}, root / "stale" / "pytorch_model.bin")
(root / "tf" / "tf_model.h5").touch()
text = (root / "half" / "config.json").read_text(encoding="utf-8")
text = text.replace('"dtype": "float32"', '"torch_dtype": "float16"')  # tệp vẫn là float32, cấu hình nói khác
(root / "half" / "config.json").write_text(text, encoding="utf-8")
for name, learned, kind in (("gpt2", bpe, "GPT2Tokenizer"), ("bert", words, "BertTokenizer")):
    (root / name).mkdir()
    learned.save_model(str(root / name))
    settings = {"tokenizer_class": kind, "model_max_length": 128}
    (root / name / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
tokenizer = AutoTokenizer.from_pretrained(root / "gpt2", pad_token="<|endoftext|>")
CHAT = "{% for message in messages %}{{ message.content }}{% endfor %}"
training = TrainingArguments(root / "out", use_cpu=True, report_to="none")
torch.save(training, root / "training_args.bin")  # Trainer vẫn ghi tệp này cạnh mỗi checkpoint
messages = [{"role": "user", "content": TEXT}]
ids = torch.tensor([bpe.encode(TEXT).ids])

# %% Dòng báo lỗi
LOUD = {  # tên: (dòng cũ, dòng mới); dòng mới rỗng: không có gì thay được
    "adamw": ("from transformers import AdamW", "from torch.optim import AdamW"),
    "head": ("from transformers import AutoModelWithLMHead", "from transformers import AutoModelForCausalLM"),
    "tf": ("from transformers import TFGPT2LMHeadModel", "from transformers import GPT2LMHeadModel"),
    "cached_path": ("from transformers.file_utils import cached_path", "from huggingface_hub import hf_hub_download"),
    "tf_weights": ("AutoModelForCausalLM.from_pretrained(root / 'tf', from_tf=True)", ""),
    "safetensors": (
        "AutoModelForCausalLM.from_pretrained(root / 'bin', use_safetensors=True)",
        "AutoModelForCausalLM.from_pretrained(root / 'bin')",
    ),
    "file": (
        "GPT2LMHeadModel.from_pretrained(str(root / 'bin/pytorch_model.bin'), config=config)",
        "GPT2LMHeadModel.from_pretrained(root / 'bin')",
    ),
    "int8": (
        "AutoModelForCausalLM.from_pretrained(root / 'new', load_in_8bit=True)",
        "BitsAndBytesConfig(load_in_8bit=True)",
    ),
    "token": (
        "AutoModelForCausalLM.from_pretrained(root / 'new', use_auth_token=True)",
        "AutoModelForCausalLM.from_pretrained(root / 'new', token=None)",
    ),
    "cache": ("AutoConfig.from_pretrained('toi/cu')", "AutoConfig.from_pretrained('toi/cu', cache_dir=root / 'cache')"),
    "max_length": ("model.config.max_length", "model.generation_config.max_length"),
    "encode_plus": ("tokenizer.encode_plus(TEXT)", "tokenizer(TEXT)"),
    "target": ("tokenizer.as_target_tokenizer()", "tokenizer(text_target=TEXT)"),
    "special": ("tokenizer.additional_special_tokens", "tokenizer.extra_special_tokens"),
    "strategy": (
        "TrainingArguments(root / 'out', evaluation_strategy='epoch')",
        "TrainingArguments(root / 'out', eval_strategy='epoch')",
    ),
    "no_cuda": ("TrainingArguments(root / 'out', no_cuda=True)", "TrainingArguments(root / 'out', use_cpu=True)"),
    "format": ("TrainingArguments(root / 'out', save_safetensors=False)", "TrainingArguments(root / 'out')"),
    "warmup": (
        "TrainingArguments(root / 'out', warmup_ratio=0.1)",
        "TrainingArguments(root / 'out', warmup_steps=0.1)",
    ),
    "trainer": (
        "Trainer(model, training, tokenizer=tokenizer)",
        "Trainer(model, training, processing_class=tokenizer)",
    ),
    "arguments": (
        "torch.load(root / 'training_args.bin')",
        "torch.load(root / 'training_args.bin', weights_only=False)",  # chỉ tệp do chính mình ghi
    ),
}
if args.damage == "call":
    LOUD["strategy"] = (LOUD["strategy"][0], LOUD["strategy"][0])

# %% Dòng báo lỗi, kết quả
print("== Dòng báo lỗi, kết quả ==")


def run(code):
    """Chạy một dòng; trả về lỗi: tên lớp và câu đầu, bỏ đường dẫn."""
    try:
        with warnings.catch_warnings(action="ignore"):
            exec(code, dict(globals()))
        return ""
    except Exception as error:
        text = re.sub(r"\x1b\[\d*m", "", str(error)).replace(str(root), "…")
        clear = re.search(r"GLOBAL \S+ was not an allowed global", text)
        said = clear[0] if clear else re.sub(r" \(/.*\)$", "", text.splitlines()[0])
        return f"{type(error).__name__}: {said}"


loud = {}
for name, (old, new) in LOUD.items():
    error, message = run(old).split(": ", 1)
    short = re.sub(r"^\S+\(\) ", "", message)  # bỏ tên hàm ở đầu, giữ phần đáng tìm
    loud[name] = {"error": error, "message": short, "new_error": run(new) if new else ""}
    print(f"{old}", f"    → {error}: {message}", f"    {new or '(không có gì thay)'}", sep="\n")
    print(f"    → {loud[name]['new_error'] or ('chạy' if new else '')}" if new else "")

# %% Dòng lặng lẽ
SILENT = {  # tên: (dòng cũ, dòng mới, câu hỏi về kết quả x)
    "vocab_file": (
        "GPT2TokenizerFast(vocab_file=str(root / 'gpt2/vocab.json'), merges_file=str(root / 'gpt2/merges.txt'))",
        "GPT2TokenizerFast.from_pretrained(root / 'gpt2')",
        "len(x), x(TEXT).input_ids == bpe.encode(TEXT).ids",
    ),
    "bert": (
        "BertTokenizer(vocab_file=str(root / 'bert/vocab.txt'))",
        "BertTokenizer.from_pretrained(root / 'bert')",
        "len(x), '[UNK]' not in x.tokenize(TEXT)",
    ),
    "absent": (
        "AutoTokenizer.from_pretrained(root / 'new')",
        "tokenizer.save_pretrained(root / 'new') and AutoTokenizer.from_pretrained(root / 'new')",
        "len(x), x(TEXT).input_ids == bpe.encode(TEXT).ids",
    ),
    "dtype": (
        "AutoModelForCausalLM.from_pretrained(root / 'half')",
        "AutoModelForCausalLM.from_pretrained(root / 'half', dtype=torch.float32)",
        "str(x.dtype), torch.equal(x.lm_head.weight, model.lm_head.weight)",
    ),
    "save": (
        "model.save_pretrained(root / 'stale', safe_serialization=False)"
        " or torch.load(root / 'stale/pytorch_model.bin')",
        "model.save_pretrained(root / 'stale') or load_file(root / 'stale/model.safetensors')",
        "len(x), torch.equal(x['transformer.wte.weight'], model.transformer.wte.weight)",
    ),
    "pad": (
        "tokenizer(TEXT, pad_to_max_length=True).input_ids",
        "tokenizer(TEXT, padding='max_length').input_ids",
        "len(x), len(x) == tokenizer.model_max_length",
    ),
    "chat": (
        "tokenizer.apply_chat_template(messages, chat_template=CHAT)",
        "tokenizer.apply_chat_template(messages, chat_template=CHAT).input_ids",
        "type(x).__name__, x == bpe.encode(TEXT).ids",
    ),
}
if args.damage == "tokenizer":
    SILENT["vocab_file"] = SILENT["vocab_file"][:1] * 2 + SILENT["vocab_file"][2:]
if args.damage == "stale":
    SILENT["save"] = SILENT["save"][:1] * 2 + SILENT["save"][2:]

# %% Dòng lặng lẽ, kết quả
print("\n== Dòng lặng lẽ, kết quả ==")
silent = {}
for name, (old, new, question) in SILENT.items():
    print(old, f"    thay bằng: {new}", sep="\n")
    for way, code in (("old", old), ("new", new)):
        heard.clear()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            x = eval(code)
        what, right = eval(question)
        silent.setdefault(name, {})[way] = {"what": what, "right": right, "said": len(heard) + len(warned)}
        said = "có lời nhắc" if heard or warned else "không một lời nhắc"
        print(f"    {'cũ ' if way == 'old' else 'mới'} → {what}, {'đúng' if right else f'KHÁC, {said}'}")

# %% Còn được nhận
print("\n== Còn được nhận ==")
heard.clear()
kind = AutoModelForCausalLM.from_pretrained(root / "half", torch_dtype=torch.float32).dtype
reminded = list(heard)
print(f"torch_dtype=torch.float32 → {kind}; lời nhắc: {', '.join(reminded) or 'không'}")
x = GPT2Tokenizer(str(root / "gpt2" / "vocab.json"), str(root / "gpt2" / "merges.txt"))  # không viết tên tham số
positional = x(TEXT).input_ids == bpe.encode(TEXT).ids
print(f"GPT2Tokenizer('vocab.json', 'merges.txt') → {'đúng dãy id' if positional else 'SAI'}")

# %% Tệp của tokenizer
print("\n== Tệp của tokenizer ==")
folder = root / "again"
AutoTokenizer.from_pretrained(root / "gpt2", use_fast=False).save_pretrained(folder, legacy_format=True)
files = {name: sorted(path.name for path in (root / name).iterdir()) for name in ("gpt2", "again")}
print(f"thư mục cũ: {', '.join(files['gpt2'])}", f"lưu lại:    {', '.join(files['again'])}", sep="\n")
fast = AutoTokenizer.from_pretrained(root / "gpt2", use_fast=False).is_fast
commands = [entry.name for entry in metadata.distribution("transformers").entry_points]
print(f"use_fast=False, is_fast: {fast}; lệnh của gói: {', '.join(commands)}")

# %% Đối chứng
print("\n== Đối chứng ==")
checks = {
    "loud": (f"{len(loud)} dòng cũ báo lỗi", all(row["error"] for row in loud.values())),
    "mended": ("mọi dòng mới thay cho chúng chạy được", not any(row["new_error"] for row in loud.values())),
    "silent": (f"{len(silent)} dòng cũ chạy êm mà sai", not any(row["old"]["right"] for row in silent.values())),
    "quiet": ("cả bấy nhiêu dòng không một lời nhắc", not any(row["old"]["said"] for row in silent.values())),
    "heard": ("phép nghe lời nhắc nghe được torch_dtype", kind == torch.float32 and bool(reminded)),
    "positional": ("tệp từ vựng đưa theo vị trí: đúng dãy id", positional),
    "right": ("mọi dòng mới thay cho chúng đúng", all(row["new"]["right"] for row in silent.values())),
    "one_file": ("tokenizer lưu lại chỉ còn tokenizer.json", "vocab.json" not in files["again"] and fast),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {
        "checks": verdict,
        "loud": loud,
        "silent": silent,
        "files": files,
        "fast": fast,
        "commands": ", ".join(commands),
    }
    exact |= {"reminded": reminded}
    exact |= {"counts": {"loud": len(loud), "silent": len(silent)}}
    args.json.write_text(json.dumps({"exact": exact}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: một dòng tưởng đã viết lại vẫn hỏng.\n")
print("ĐÃ CHỨNG MINH: dòng cũ báo lỗi hay sai trong im lặng đúng như kể, dòng mới thì đúng.")
