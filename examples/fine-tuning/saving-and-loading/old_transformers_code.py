"""Mã viết cho Transformers cũ, chạy trên bản mới: dòng nào báo lỗi, dòng nào lặng lẽ làm việc khác.

    python old_transformers_code.py     # mô hình tí hon, không cần mạng

Tốn (cỡ mặc định): không quá 60 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers accelerate
"""

# %% Chuẩn bị
import inspect
import json
import logging
import os
import re
import sys
import tempfile
import textwrap
import warnings
from importlib import metadata
from pathlib import Path

temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
os.environ["HF_HUB_OFFLINE"] = "1"  # thư viện đọc hai biến này lúc được nhập
os.environ["TRANSFORMERS_CACHE"] = str(root / "cache")

import torch
import transformers
from safetensors.torch import load_file
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer
from transformers import (
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

TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."
transformers.logging.disable_default_handler()
transformers.logging.disable_progress_bar()

# %% Một mô hình tí hon và những thư mục như ngày xưa
bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator(
    [TEXT], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False
)
words = BertWordPieceTokenizer()
words.train_from_iterator([TEXT], vocab_size=100, show_progress=False)
ids = bpe.encode(TEXT).ids

torch.manual_seed(0)
sizes = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
config = GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)
model = GPT2LMHeadModel(config).eval().requires_grad_(False)
for parameter in model.parameters():  # tensor toàn 0 hay 1: mất rồi tạo lại vẫn "đúng"
    parameter.add_(torch.randn_like(parameter), alpha=0.02)

# Như bộ nhớ đệm của Hub, ở nơi mà biến môi trường cũ chỉ tới.
cached = root / "cache" / "models--toi--cu"
for folder in ("new", "bin", "tf", "stale", "half", cached / "snapshots" / "1"):
    model.save_pretrained(root / folder)
(cached / "refs").mkdir()
(cached / "refs" / "main").write_text("1", encoding="utf-8")
for folder in ("bin", "tf", "stale"):
    (root / folder / "model.safetensors").unlink()
(root / "tf" / "tf_model.h5").touch()  # chỉ có trọng số TensorFlow
torch.save(model.state_dict(), root / "bin" / "pytorch_model.bin")
older = {name: tensor + 1 for name, tensor in model.state_dict().items()}
torch.save(older, root / "stale" / "pytorch_model.bin")  # của lần lưu năm nào

text = (root / "half" / "config.json").read_text(encoding="utf-8")
text = text.replace('"dtype": "float32"', '"torch_dtype": "float16"')  # tệp vẫn là float32
(root / "half" / "config.json").write_text(text, encoding="utf-8")


def old_tokenizer(name, learned, kind):
    """Một thư mục chỉ có các tệp từ vựng rời và tên lớp."""
    (root / name).mkdir()
    learned.save_model(str(root / name))
    settings = {"tokenizer_class": kind, "model_max_length": 128}
    (root / name / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


old_tokenizer("gpt2", bpe, "GPT2Tokenizer")
old_tokenizer("bert", words, "BertTokenizer")
tokenizer = AutoTokenizer.from_pretrained(root / "gpt2", pad_token="<|endoftext|>")
CHAT = "{% for message in messages %}{{ message.content }}{% endfor %}"
messages = [{"role": "user", "content": TEXT}]
training = TrainingArguments(root / "out", use_cpu=True, report_to="none")
torch.save(training, root / "training_args.bin")  # Trainer vẫn ghi tệp này cạnh mỗi checkpoint


# %% Dòng báo lỗi: lúc nhập
def adamw_old():
    from transformers import AdamW

    return AdamW


def adamw_new():
    from torch.optim import AdamW

    return AdamW


def head_old():
    from transformers import AutoModelWithLMHead

    return AutoModelWithLMHead


def head_new():
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM


def tensorflow_old():
    from transformers import TFGPT2LMHeadModel

    return TFGPT2LMHeadModel


def tensorflow_new():
    from transformers import GPT2LMHeadModel

    return GPT2LMHeadModel


def cached_path_old():
    from transformers.file_utils import cached_path

    return cached_path


def cached_path_new():
    from huggingface_hub import hf_hub_download

    return hf_hub_download


# %% Dòng báo lỗi: lúc tải
def safetensors_old():
    return AutoModelForCausalLM.from_pretrained(root / "bin", use_safetensors=True)


def safetensors_new():
    return AutoModelForCausalLM.from_pretrained(root / "bin")


def file_old():
    return GPT2LMHeadModel.from_pretrained(str(root / "bin/pytorch_model.bin"), config=config)


def file_new():
    return GPT2LMHeadModel.from_pretrained(root / "bin")


def from_tf_old():
    return AutoModelForCausalLM.from_pretrained(root / "tf", from_tf=True)


def int8_old():
    return AutoModelForCausalLM.from_pretrained(root / "new", load_in_8bit=True)


def int8_new():
    return BitsAndBytesConfig(load_in_8bit=True)  # chỉ tới đây: máy này không có bitsandbytes


def token_old():
    return AutoModelForCausalLM.from_pretrained(root / "new", use_auth_token=True)


def token_new():
    return AutoModelForCausalLM.from_pretrained(root / "new", token=None)


def cache_old():
    return AutoConfig.from_pretrained("toi/cu")  # chỉ dựa vào TRANSFORMERS_CACHE


def cache_new():
    return AutoConfig.from_pretrained("toi/cu", cache_dir=root / "cache")


def max_length_old():
    return model.config.max_length


def max_length_new():
    return model.generation_config.max_length


def arguments_old():
    return torch.load(root / "training_args.bin")


def arguments_new():
    return torch.load(root / "training_args.bin", weights_only=False)  # chỉ tệp của chính mình


# %% Dòng báo lỗi: tokenizer và huấn luyện
def encode_plus_old():
    return tokenizer.encode_plus(TEXT)


def encode_plus_new():
    return tokenizer(TEXT)


def target_old():
    return tokenizer.as_target_tokenizer()


def target_new():
    return tokenizer(text_target=TEXT)


def special_old():
    return tokenizer.additional_special_tokens


def special_new():
    return tokenizer.extra_special_tokens


def strategy_old():
    return TrainingArguments(root / "out", evaluation_strategy="epoch")


def strategy_new():
    return TrainingArguments(root / "out", eval_strategy="epoch")


def no_cuda_old():
    return TrainingArguments(root / "out", no_cuda=True)


def no_cuda_new():
    return TrainingArguments(root / "out", use_cpu=True)


def format_old():
    return TrainingArguments(root / "out", save_safetensors=False)


def format_new():
    return TrainingArguments(root / "out")


def warmup_old():
    return TrainingArguments(root / "out", warmup_ratio=0.1)


def warmup_new():
    return TrainingArguments(root / "out", warmup_steps=0.1)


def trainer_old():
    return Trainer(model, training, tokenizer=tokenizer)


def trainer_new():
    return Trainer(model, training, processing_class=tokenizer)


LOUD = [
    (adamw_old, adamw_new),
    (head_old, head_new),
    (tensorflow_old, tensorflow_new),
    (cached_path_old, cached_path_new),
    (safetensors_old, safetensors_new),
    (file_old, file_new),
    (from_tf_old, None),  # không có gì thay
    (int8_old, int8_new),
    (token_old, token_new),
    (cache_old, cache_new),
    (max_length_old, max_length_new),
    (arguments_old, arguments_new),
    (encode_plus_old, encode_plus_new),
    (target_old, target_new),
    (special_old, special_new),
    (strategy_old, strategy_new),
    (no_cuda_old, no_cuda_new),
    (format_old, format_new),
    (warmup_old, warmup_new),
    (trainer_old, trainer_new),
]

# %% Hai mươi dòng báo lỗi
print("== Hai mươi dòng báo lỗi ==")


def shown(function):
    """Dòng đầu trong thân hàm, không có chữ return."""
    line = inspect.getsource(function).splitlines()[1].strip()
    return line.removeprefix("return ").split("  #")[0]


def error_of(function):
    """Tên lỗi và câu đáng tìm của nó; cả hai rỗng nếu hàm chạy."""
    try:
        with warnings.catch_warnings(action="ignore"):
            function()
    except Exception as error:
        text = re.sub(r"\x1b\[\d*m", "", str(error)).replace(str(root), "…")
        named = re.search(r"GLOBAL \S+ was not an allowed global", text)
        line = text.splitlines()[0]
        line = re.sub(r" \(/.*\)$", "", line)  # đường dẫn của gói
        line = re.sub(r"^\S+\(\) ", "", line)  # tên hàm ở đầu
        return type(error).__name__, named[0] if named else line
    return "", ""


loud = {}
for old, new in LOUD:
    name = old.__name__.removesuffix("_old")
    error, message = error_of(old)
    print(shown(old))
    print(textwrap.fill(f"    → {error}: {message}", 96, subsequent_indent="      "))
    loud[name] = {"error": error, "message": message, "new_error": ""}
    if new:
        loud[name]["new_error"] = error_of(new)[0]
        print(f"    nay: {shown(new)}")


# %% Bảy dòng lặng lẽ: dòng cũ, dòng mới, và cái nhìn vào kết quả
def vocab_file_old():
    vocab, merges = root / "gpt2/vocab.json", root / "gpt2/merges.txt"
    return GPT2TokenizerFast(vocab_file=str(vocab), merges_file=str(merges))


def vocab_file_new():
    return GPT2TokenizerFast.from_pretrained(root / "gpt2")


def bert_old():
    return BertTokenizer(vocab_file=str(root / "bert/vocab.txt"))


def bert_new():
    return BertTokenizer.from_pretrained(root / "bert")


def absent_old():
    return AutoTokenizer.from_pretrained(root / "new")  # thư mục chỉ có mô hình


def absent_new():
    model.save_pretrained(root / "both")
    tokenizer.save_pretrained(root / "both")
    return AutoTokenizer.from_pretrained(root / "both")


def dtype_old():
    return AutoModelForCausalLM.from_pretrained(root / "half")


def dtype_new():
    return AutoModelForCausalLM.from_pretrained(root / "half", dtype=torch.float32)


def save_old():
    model.save_pretrained(root / "stale", safe_serialization=False)
    return torch.load(root / "stale/pytorch_model.bin", weights_only=True)


def save_new():
    model.save_pretrained(root / "stale")
    return load_file(root / "stale/model.safetensors")


def pad_old():
    return tokenizer(TEXT, pad_to_max_length=True).input_ids


def pad_new():
    return tokenizer(TEXT, padding="max_length").input_ids


def chat_old():
    return tokenizer.apply_chat_template(messages, chat_template=CHAT)


def chat_new():
    return tokenizer.apply_chat_template(messages, chat_template=CHAT).input_ids


def look_at_ids(found):
    """Cỡ từ vựng; có cho đúng dãy id không."""
    return len(found), found(TEXT).input_ids == ids


def look_for_unknown(found):
    """Cỡ từ vựng; có hiểu mọi chữ của câu không."""
    return len(found), "[UNK]" not in found.tokenize(TEXT)


def look_at_dtype(found):
    """Kiểu số; có đúng từng số đã lưu không."""
    return str(found.dtype), torch.equal(found.lm_head.weight, model.lm_head.weight)


def look_at_state(found):
    """Số tensor; có phải trọng số vừa lưu không."""
    name = "transformer.wte.weight"
    return len(found), torch.equal(found[name], model.state_dict()[name])


def look_at_length(found):
    """Độ dài; có được đệm tới độ dài lớn nhất không."""
    return len(found), len(found) == tokenizer.model_max_length


def look_at_type(found):
    """Tên kiểu; có phải chính dãy id không."""
    return type(found).__name__, found == ids


SILENT = [
    (vocab_file_old, vocab_file_new, look_at_ids),
    (bert_old, bert_new, look_for_unknown),
    (absent_old, absent_new, look_at_ids),
    (dtype_old, dtype_new, look_at_dtype),
    (save_old, save_new, look_at_state),
    (pad_old, pad_new, look_at_length),
    (chat_old, chat_new, look_at_type),
]

# %% Bảy dòng lặng lẽ
print("\n== Bảy dòng lặng lẽ ==")
heard = []  # mọi lời nhắc của thư viện, ở mức mà người dùng mặc định sẽ thấy
handler = logging.Handler(logging.WARNING)
handler.emit = lambda record: heard.append(record.getMessage())
transformers.logging.add_handler(handler)


def run(function, look):
    """Kết quả nhìn thấy gì, có đúng không, và thư viện nhắc bao nhiêu lời."""
    heard.clear()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = function()
    said = len(heard) + len(warned)
    what, right = look(found)
    return {"what": what, "right": right, "said": said}


silent = {}
for old, new, look in SILENT:
    name = old.__name__.removesuffix("_old")
    silent[name] = {"old": run(old, look), "new": run(new, look)}
    for way, row in silent[name].items():
        verdict = "đúng" if row["right"] else f"KHÁC, {row['said']} lời nhắc"
        print(f"{name:<11} {way}: {row['what']}, {verdict}")

# %% Còn được nhận
print("\n== Còn được nhận ==")
heard.clear()
kind = AutoModelForCausalLM.from_pretrained(root / "half", torch_dtype=torch.float32).dtype
reminded = list(heard)
print(f"torch_dtype=torch.float32 → {kind}; lời nhắc: {', '.join(reminded) or 'không'}")
by_place = GPT2Tokenizer(str(root / "gpt2/vocab.json"), str(root / "gpt2/merges.txt"))
positional = by_place(TEXT).input_ids == ids
print(f"GPT2Tokenizer('vocab.json', 'merges.txt') → {'đúng dãy id' if positional else 'SAI'}")

# %% Tệp của tokenizer
print("\n== Tệp của tokenizer ==")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def save_again(name, **options):
    """Đọc thư mục cũ rồi lưu lại: những tệp được ghi, và đó có phải bản nhanh không."""
    loaded = AutoTokenizer.from_pretrained(root / name, **options)
    loaded.save_pretrained(root / f"{name}-again", legacy_format=True)
    return {"old": names(root / name), "new": names(root / f"{name}-again"), "fast": loaded.is_fast}


(root / "phobert").mkdir()  # PhoBERT: từ vựng có tần số, và các phép ghép BPE
(root / "phobert/vocab.txt").write_text("m@@ 9\nột 8\n", encoding="utf-8")
(root / "phobert/bpe.codes").write_text("m ột</w> 5\n", encoding="utf-8")
settings = {"tokenizer_class": "PhobertTokenizer"}
(root / "phobert/tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
(root / "byt5").mkdir()  # ByT5: mỗi byte một token, không có tệp từ vựng
settings = {"tokenizer_class": "ByT5Tokenizer"}
(root / "byt5/tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
files = {}
for name in ("gpt2", "bert", "phobert", "byt5"):
    files[name] = save_again(name, use_fast=False)
    print(f"{name}: {', '.join(files[name]['old'])}")
    print(f"    lưu lại: {', '.join(files[name]['new'])}; is_fast: {files[name]['fast']}")
commands = [entry.name for entry in metadata.distribution("transformers").entry_points]
print(f"lệnh của gói: {', '.join(commands)}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = bool(passed)


def wrong_rows(way):
    return [name for name, row in silent.items() if not row[way]["right"]]


slow = ["phobert", "byt5"]
report("loud", all(row["error"] for row in loud.values()), f"{len(loud)} dòng cũ báo lỗi")
mended = not any(row["new_error"] for row in loud.values())
report("mended", mended, "mọi dòng thay cho chúng chạy được")
report("silent", len(wrong_rows("old")) == len(silent), f"{len(silent)} dòng cũ chạy êm mà sai")
quiet = all(row["old"]["said"] == 0 for row in silent.values())
report("quiet", quiet, "cả bấy nhiêu dòng không một lời nhắc")
report("right", wrong_rows("new") == [], "mọi dòng thay cho chúng đúng")
report("heard", kind == torch.float32 and reminded, "phép nghe lời nhắc nghe được torch_dtype")
report("positional", positional, "tệp từ vựng đưa theo vị trí: đúng dãy id")
one_file = all("tokenizer.json" in files[name]["new"] for name in ("gpt2", "bert"))
report("one_file", one_file, "GPT-2, BERT lưu lại thành tokenizer.json")
still_slow = all(not files[name]["fast"] for name in slow)
no_json = all("tokenizer.json" not in files[name]["new"] for name in slow)
report("still_slow", still_slow and no_json, "PhoBERT, ByT5 vẫn là bản chậm, không tokenizer.json")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "loud": loud,
        "silent": silent,
        "files": files,
        "commands": ", ".join(commands),
        "reminded": reminded,
        "counts": {"loud": len(loud), "silent": len(silent)},
    }
}
if not all(checks.values()):
    sys.exit("TRƯỢT: một dòng tưởng đã viết lại vẫn hỏng.")
