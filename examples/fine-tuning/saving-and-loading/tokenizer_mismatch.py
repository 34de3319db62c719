"""Tokenizer không còn khớp mô hình: đổi id, hay thừa token. Lúc tải không có lỗi; phép nào thấy.

    python tokenizer_mismatch.py    # mô hình tí hon, không cần mạng

Tốn (cỡ mặc định): không quá 90 giây, 3 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: save_and_check.py ở cạnh; pip install torch transformers tokenizers
"""

# %% Chuẩn bị
import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from save_and_check import check, fingerprint_path, save
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    logging,
)

TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."  # câu thử
NEW = "<mới>"  # token thêm vào khi mô hình đã có đủ hàng embedding

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_grad_enabled(False)
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
folder = root / "good"

# %% Lưu
letters = ByteLevelBPETokenizer()
letters.train_from_iterator(
    [TEXT], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False
)
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=Tokenizer.from_str(letters.to_str()), eos_token="<|endoftext|>"
)
torch.manual_seed(0)
size = {"n_layer": 2, "n_head": 2, "n_embd": 64, "n_positions": 128}
config = GPT2Config(**size, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=0)
model = GPT2LMHeadModel(config).eval()  # embedding có đúng một hàng cho mỗi token
save(model, tokenizer, folder)

# %% Hai tokenizer sai


def shuffle_ids(folder):
    """Đảo ngược id của mọi token thường: chữ nào cũng còn, nhưng mang id của chữ khác."""
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    last = len(vocabulary)
    for token, number in vocabulary.items():
        if number > 0:  # id 0 là token kết thúc
            vocabulary[token] = last - number
    file.write_text(json.dumps(content), encoding="utf-8")


def add_token(folder):
    """Thêm token mà quên model.resize_token_embeddings(len(tokenizer))."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([NEW])
    tokenizer.save_pretrained(folder)


FAULTS = {"shuffled": shuffle_ids, "added": add_token}
for fault, damage in FAULTS.items():
    shutil.copytree(folder, root / fault)
    shutil.copy(fingerprint_path(folder), fingerprint_path(root / fault))
    damage(root / fault)

# %% Ba phép kiểm tra


def run(model, tokenizer, text):
    try:
        model(torch.tensor([tokenizer(text).input_ids]))
    except IndexError as error:
        return f"IndexError: {error}"
    return "chạy"


def look(folder):
    """Phép thử quen tay, phép đếm hàng, và phép so với dấu vân tay."""
    model = GPT2LMHeadModel.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(TEXT).input_ids
    rows = model.get_input_embeddings().num_embeddings
    row = {
        "tokens": len(tokenizer),
        "rows": rows,
        "round_trip": tokenizer.decode(ids) == TEXT,
        "enough_rows": len(tokenizer) <= rows,
        "text": run(model, tokenizer, TEXT),
        "new": run(model, tokenizer, TEXT + NEW),
        "lines": check(folder),
    }
    model.resize_token_embeddings(len(tokenizer))
    row["resized"] = run(model, tokenizer, TEXT + NEW)
    return row


# %% Tải lại
print("== Tải lại ==")
seen = {}
for name in ("good", *FAULTS):
    row = look(root / name)
    seen[name] = row
    print(f"{name}: {row['tokens']} token, embedding {row['rows']} hàng")
    print(f"    mã hoá rồi giải mã: {'đúng câu cũ' if row['round_trip'] else 'sai'}")
    print(f"    câu thử: {row['text']}; thêm {NEW}: {row['new']}")
    print(f"    khác lúc lưu: {'; '.join(row['lines']) or 'không'}")

# %% Quên lưu tokenizer
print("\n== Quên lưu tokenizer ==")
small = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
small |= {"intermediate_size": 16, "vocab_size": 60}
families = {
    "GPT-2": model,
    "BERT": BertModel(BertConfig(**small)),
    "Llama": LlamaForCausalLM(LlamaConfig(**small)),
}
forgotten = {}
for family, other in families.items():
    other.save_pretrained(root / family)  # và không có tokenizer.save_pretrained
    try:
        words = AutoTokenizer.from_pretrained(root / family)
        ids = words(TEXT).input_ids
        forgotten[family] = f"{len(words)} token, câu thử thành {ids[:8]}"
    except ValueError as error:
        forgotten[family] = f"ValueError: {str(error).splitlines()[0].strip()}"
    print(f"{family}: {forgotten[family]}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


shuffled = seen["shuffled"]
added = seen["added"]
report("good", seen["good"]["lines"] == [], "bản lành: không có gì khác lúc lưu")
report("blind", shuffled["round_trip"], "đảo id: mã hoá rồi giải mã vẫn đúng")
report("ids", shuffled["lines"] != [], "đảo id: so dãy id thì thấy")
late = added["text"] == "chạy" and added["new"].startswith("IndexError")
report("late", late, f"thừa token: câu cũ vẫn chạy, chỉ lỗi khi gặp {NEW}")
report("rows", not added["enough_rows"], "thừa token: đếm hàng embedding thì thấy ngay")
report("resized", added["resized"] == "chạy", f"resize_token_embeddings xong thì {NEW} chạy")
silent = "ValueError" not in forgotten["GPT-2"] + forgotten["BERT"]
report("silent", silent, "quên lưu tokenizer, GPT-2 và BERT: tải được, không có lỗi")
loud = "ValueError" in forgotten["Llama"]
report("loud", loud, "quên lưu tokenizer, Llama: có lỗi")

# %% Kết quả
exact = {"checks": checks, "error": added["new"], "rows": added["rows"], "forgotten": forgotten}
results = {"exact": exact}
if not all(checks.values()):
    sys.exit("TRƯỢT: có tokenizer sai mà không phép nào thấy.")
