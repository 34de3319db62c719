"""Thư mục Hugging Face cũ đi qua convert_old_folder.py, rồi những cách làm ẩu bị phát hiện.

    python old_folder_round_trip.py     # mô hình tí hon, không cần mạng

Tốn (cỡ mặc định): không quá 180 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers, và convert_old_folder.py nằm bên cạnh
"""

# %% Chuẩn bị
import json
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DINOv3ConvNextConfig,
    DINOv3ConvNextModel,
    GPT2Config,
    GPT2LMHeadModel,
)

from convert_old_folder import check, convert, describe

TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."
transformers.logging.set_verbosity_error()  # báo cáo tải được đọc bằng mã, ở dưới
transformers.logging.disable_progress_bar()
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
mark = root / "MA_LA_DA_CHAY.txt"  # dấu vết mã lạ để lại nếu nó chạy

# %% Dựng thư mục như ngày xưa


def old_name(name):
    """Tên mà những tệp BERT đầu tiên đặt cho LayerNorm."""
    name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
    return name.replace("LayerNorm.bias", "LayerNorm.beta")


def save_old(folder, model, extra=None, shards=1):
    """Ghi như Transformers bản cũ: tệp .bin, khoá torch_dtype; không safetensors."""
    for parameter in model.parameters():  # tensor toàn 0 hay 1: mất rồi tạo lại vẫn "đúng"
        parameter.data.add_(torch.randn_like(parameter), alpha=0.02)
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    config = (folder / "config.json").read_text(encoding="utf-8")
    config = config.replace('"dtype"', '"torch_dtype"')
    (folder / "config.json").write_text(config, encoding="utf-8")
    state = {old_name(name): tensor for name, tensor in model.state_dict().items()}
    state |= extra or {}
    if shards == 1:
        torch.save(state, folder / "pytorch_model.bin")
        return
    weight_map = {}
    for number in range(shards):
        shard = f"pytorch_model-{number + 1:05}-of-{shards:05}.bin"
        part = dict(list(state.items())[number::shards])
        torch.save(part, folder / shard)
        weight_map |= dict.fromkeys(part, shard)
    index = {"metadata": {}, "weight_map": weight_map}
    text = json.dumps(index)
    (folder / "pytorch_model.bin.index.json").write_text(text, encoding="utf-8")


def save_settings(folder, kind):
    """Khai lớp của tokenizer."""
    settings = json.dumps({"tokenizer_class": kind})
    (folder / "tokenizer_config.json").write_text(settings, encoding="utf-8")


class Evil:
    def __reduce__(self):  # pickle hỏi cách dựng lại vật này; đáp: chạy lệnh sau
        return exec, (f"open({str(mark)!r}, 'w').close()",)


torch.manual_seed(0)
sizes = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512}
gpt = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
masks = {}  # bản cũ lưu cả mặt nạ chú ý, hôm nay mô hình tự dựng
for layer in range(2):
    masks[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
save_old(root / "gpt", gpt, masks, shards=2)
bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator([TEXT], 300, special_tokens=["<|endoftext|>"], show_progress=False)
bpe.save_model(str(root / "gpt"))
save_settings(root / "gpt", "GPT2Tokenizer")
added = json.dumps({"<hỏi>": bpe.get_vocab_size()})  # token chỉ nằm trong tệp này
(root / "gpt" / "added_tokens.json").write_text(added, encoding="utf-8")

bert_config = BertConfig(vocab_size=100, hidden_size=48, num_hidden_layers=2)
pooler = {"bert.pooler.dense.weight": torch.randn(48, 48)}  # BertForMaskedLM không dùng
save_old(root / "bert", BertForMaskedLM(bert_config), pooler)
words = BertWordPieceTokenizer()
words.train_from_iterator([TEXT], vocab_size=100, show_progress=False)
words.save_model(str(root / "bert"))
save_settings(root / "bert", "BertTokenizer")

dino_config = DINOv3ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1])
save_old(root / "dino", DINOv3ConvNextModel(dino_config))  # có tham số tên gamma thật

save_old(root / "phobert", BertForMaskedLM(bert_config).to(torch.bfloat16))
(root / "phobert/vocab.txt").write_text("m@@ 9\nột 8\n", encoding="utf-8")
(root / "phobert/bpe.codes").write_text("m ột</w> 5\n", encoding="utf-8")
save_settings(root / "phobert", "PhobertTokenizer")

save_old(root / "poison", GPT2LMHeadModel(gpt.config), {"note": Evil()})

# %% Chuyển một thư mục
print("== Chuyển một thư mục ==")


def run(*arguments):
    """Chạy recipe trong một tiến trình mới, như người đọc sẽ chạy."""
    command = [sys.executable, "-X", "utf8", "convert_old_folder.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def say(lines):
    """In hai dòng đầu của mỗi loại việc."""
    for kind in ("đổi tên", "bỏ", "giữ", "không chép"):
        chosen = [line for line in lines if line.startswith(kind)]
        for line in chosen[:2]:
            print(textwrap.fill(line, 96, subsequent_indent="      ", break_long_words=False))
        if len(chosen) > 2:
            print(f"… và {len(chosen) - 2} dòng «{kind}» nữa")


def count(lines, kind):
    return sum(line.startswith(kind) for line in lines)


before = contents(root / "bert")
done = run(root / "bert", root / "bert-new")
lines = done.stdout.splitlines()
again = run(root / "bert", root / "bert-new", "--check")  # lần nữa, tiến trình khác
print("python convert_old_folder.py bert bert-new")
say(lines)
print(lines[-1])
bert = {
    "code": done.returncode,
    "check": again.returncode,
    "renamed": count(lines, "đổi tên"),
    "dropped": count(lines, "bỏ"),
    "unused": count(lines, "giữ"),
    "untouched": contents(root / "bert") == before,
    "old": ", ".join(names(root / "bert")),
    "new": ", ".join(names(root / "bert-new")),
}
print()
print(textwrap.fill(f"thư mục cũ:  {bert['old']}", 96, subsequent_indent="             "))
print(textwrap.fill(f"thư mục mới: {bert['new']}", 96, subsequent_indent="             "))

# %% Ba thư mục nữa
print("\n== Ba thư mục nữa ==")
folders = {"bert": bert}
for name in ("gpt", "dino", "phobert"):
    before = contents(root / name)
    problems = convert(root / name, root / f"{name}-new")
    lines = describe(root / name, root / f"{name}-new")
    print(f"{name}: {len(problems)} chỗ sai")
    say(lines)
    folders[name] = {
        "code": len(problems),
        "check": len(check(root / name, root / f"{name}-new")),
        "renamed": count(lines, "đổi tên"),
        "dropped": count(lines, "bỏ"),
        "unused": count(lines, "giữ"),
        "untouched": contents(root / name) == before,
        "old": ", ".join(names(root / name)),
        "new": ", ".join(names(root / f"{name}-new")),
    }

# %% Thư mục bị gài mã
print("\n== Thư mục bị gài mã ==")
poisoned = run(root / "poison", root / "poison-new")
print("python convert_old_folder.py poison poison-new")
print(poisoned.stderr.strip())
print(f"mã thoát {poisoned.returncode}, mã lạ {'ĐÃ CHẠY' if mark.exists() else 'không chạy'}")

# %% Thư viện tự lưu lại thì tên cũ còn nguyên
print("\n== Thư viện tự lưu lại thì tên cũ còn nguyên ==")
loaded, info = BertForMaskedLM.from_pretrained(root / "bert", output_loading_info=True)
loaded.save_pretrained(root / "bert-library")
by_library = load_file(root / "bert-library/model.safetensors")
by_recipe = load_file(root / "bert-new/model.safetensors")
library_gamma = sum("gamma" in name for name in by_library)
recipe_gamma = sum("gamma" in name for name in by_recipe)
lost_by_library = sorted(by_recipe.keys() - {n.replace("gamma", "weight") for n in by_library})
lost_by_library = [name for name in lost_by_library if "LayerNorm" not in name]
print(f"save_pretrained sau khi tải: {library_gamma} tên gamma; recipe: {recipe_gamma}")
print(f"tensor mà save_pretrained bỏ: {', '.join(lost_by_library)}")

# %% Làm ẩu
print("\n== Làm ẩu ==")


def change_weights(folder, change):
    """Đọc mọi tensor, sửa, ghi đè."""
    state = load_file(folder / "model.safetensors")
    save_file(change(state), folder / "model.safetensors", metadata={"format": "pt"})


def half_precision(folder):
    """Bản mới bị lưu bằng float16."""
    model = BertForMaskedLM.from_pretrained(folder, dtype=torch.float16)
    model.save_pretrained(folder)


def one_bit(folder):
    """Một bit lật trong một tensor."""

    def flip(state):
        state["cls.predictions.bias"].view(torch.uint8)[0] ^= 1
        return state

    change_weights(folder, flip)


def lost_pooler(folder):
    """Mất tensor mà lớp không dùng: tải lên không ai thấy thiếu."""

    def lose(state):
        return {name: tensor for name, tensor in state.items() if "pooler" not in name}

    change_weights(folder, lose)


def swapped_layers(folder):
    """Hai tầng đổi chỗ cho nhau: đủ tên, đủ số."""

    def swap(state):
        first = {name: tensor for name, tensor in state.items() if ".layer.0." in name}
        for name, tensor in first.items():
            other = name.replace(".layer.0.", ".layer.1.")
            state[name], state[other] = state[other], tensor
        return state

    change_weights(folder, swap)


def forgotten_tokenizer(folder):
    """Quên chuyển tokenizer."""
    for path in folder.glob("tokenizer*"):
        path.unlink()


def other_config(folder):
    """Cấu hình nói số đầu chú ý khác: mọi kích thước vẫn khớp."""
    path = folder / "config.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"num_attention_heads": 12', '"num_attention_heads": 4'))


CARELESS = [half_precision, one_bit, lost_pooler, swapped_layers, forgotten_tokenizer]
CARELESS += [other_config]
noticed = {}
for careless in CARELESS:
    copy = root / careless.__name__
    shutil.copytree(root / "bert-new", copy)
    careless(copy)
    _, info = BertForMaskedLM.from_pretrained(copy, output_loading_info=True)
    found = check(root / "bert", copy)
    noticed[careless.__name__] = {
        "problems": len(found),
        "report_empty": not info["missing_keys"] and not info["mismatched_keys"],
    }
    print(careless.__doc__)
    line = f"{len(found)} chỗ sai; đầu tiên: {found[0] if found else 'KHÔNG THẤY'}"
    print(textwrap.indent(textwrap.fill(line, 92), "    "))

# %% Đổi tên bừa
print("\n== Đổi tên bừa ==")
shutil.copytree(root / "dino-new", root / "dino-blind")


def rename_every_gamma(state):
    """Như nhiều đoạn mã cũ: gamma nào cũng thành weight."""
    return {name.replace("gamma", "weight"): tensor for name, tensor in state.items()}


change_weights(root / "dino-blind", rename_every_gamma)
_, info = DINOv3ConvNextModel.from_pretrained(root / "dino-blind", output_loading_info=True)
missing_after_blind = len(info["missing_keys"])
blind = check(root / "dino", root / "dino-blind")
own_gamma = sum("gamma" in name for name in load_file(root / "dino-new/model.safetensors"))
print(f"DINOv3 có {own_gamma} tham số tên gamma của chính nó, và recipe giữ nguyên chúng")
print(f"đổi hết thành weight: tải lên thiếu {missing_after_blind} tensor, không ngoại lệ nào")
print(f"check: {len(blind)} chỗ sai")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = bool(passed)


rows = folders.values()
converted = all(row["code"] == 0 for row in rows)
report("converted", converted, f"{len(folders)} thư mục cũ đã chuyển")
report("proved", all(row["check"] == 0 for row in rows), "tiến trình khác đối chiếu: không mất gì")
report("untouched", all(row["untouched"] for row in rows), "thư mục cũ không đổi một byte")
no_pickle = all(".bin" not in row["new"] for row in rows)
report("no_pickle", no_pickle, "thư mục mới không còn tệp .bin")
report("renamed", folders["bert"]["renamed"] > 0 and recipe_gamma == 0, "tên BERT cũ đã đổi")
kept = folders["dino"]["renamed"] == 0 and own_gamma > 0
report("own_gamma", kept, "gamma của chính mô hình giữ nguyên")
slow = {"vocab.txt", "bpe.codes"} <= set(names(root / "phobert-new"))
report("slow", slow, "PhoBERT: vocab.txt và bpe.codes còn nguyên")
refused = poisoned.returncode == 1 and not mark.exists() and not (root / "poison-new").exists()
report("poison", refused, "thư mục gài mã: từ chối, mã không chạy, không gì được ghi")
found = all(row["problems"] for row in noticed.values())
report("careless", found, f"{len(noticed)} cách làm ẩu bị phát hiện")
report("blind", blind and missing_after_blind, "đổi tên bừa bị phát hiện")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "folders": folders,
        "noticed": noticed,
        "poison_code": poisoned.returncode,
        "library_gamma": library_gamma,
        "lost_by_library": ", ".join(lost_by_library),
        "own_gamma": own_gamma,
        "missing_after_blind": missing_after_blind,
        "ways": len(noticed) + 1,
    }
}
if not all(checks.values()):
    sys.exit("TRƯỢT: thư mục mới không phải thư mục cũ, hoặc mã lạ đã chạy.")
