"""Lưu một mô hình cỡ GPT-2, kiểm tra trong tiến trình mới, rồi phá bảy kiểu xem phép so nào thấy.

    python hugging_face_round_trip.py        # cỡ GPT-2 small, trọng số ngẫu nhiên, không cần mạng
    QUICK=1 python hugging_face_round_trip.py    # mô hình tí hon, để thử nhanh

Tốn (cỡ mặc định): không quá 400 giây, 4 GiB bộ nhớ, 4 GiB đĩa.
Cần: save_and_check.py ở cạnh; pip install torch transformers tokenizers
"""

# %% Chuẩn bị
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from save_and_check import check, fingerprint_path, save
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, logging

QUICK = os.environ.get("QUICK") == "1"
SIZE = {}  # GPT2Config() để nguyên là GPT-2 small
SHARD = "200MB"  # đủ nhỏ để chia mảnh
if QUICK:
    SIZE = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
    SHARD = "100KB"
TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."  # để dạy tokenizer

logging.set_verbosity_error()
logging.disable_progress_bar()
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
folder = root / "my-model"

# %% Dựng
print("== Dựng ==")
letters = ByteLevelBPETokenizer()
letters.train_from_iterator(
    [TEXT], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False
)
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=Tokenizer.from_str(letters.to_str()), eos_token="<|endoftext|>"
)
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(**SIZE, bos_token_id=0, eos_token_id=0))
parameters = dict(model.named_parameters())
constant = [name for name, tensor in parameters.items() if tensor.min() == tensor.max()]
print(f"{model.num_parameters()} tham số; {len(parameters)} tensor, {len(constant)} toàn 0 hay 1")

model.save_pretrained(root / "before")  # bản «lần trước», để dành cho một kiểu phá
with torch.no_grad():
    for parameter in parameters.values():
        # Thay cho huấn luyện. Không có nhiễu thì tensor toàn 0 mất đi rồi tạo lại vẫn «đúng».
        parameter.add_(torch.randn_like(parameter), alpha=0.02)

# %% Lưu
save(model, tokenizer, folder)

# %% Tệp đã lưu
print("\n== Tệp đã lưu ==")
files = {}
for path in sorted(folder.iterdir()):
    files[path.name] = path.stat().st_size
    print(f"{path.stat().st_size:>11} byte  {path.name}")

# %% Kiểm tra trong tiến trình mới
print("\n== Kiểm tra trong tiến trình mới ==")


def check_in_new_process(folder):
    """Như gõ ở dòng lệnh. Tiến trình mới không biết gì ngoài thư mục và dấu vân tay."""
    command = [sys.executable, "-X", "utf8", "save_and_check.py", str(folder)]
    return subprocess.run(command, capture_output=True, encoding="utf-8")


done = check_in_new_process(folder)
print(f"save_and_check.py, mã thoát {done.returncode}: {done.stdout}", end="")
saved = json.loads(fingerprint_path(folder).read_text(encoding="utf-8"))
names = saved["tensors"]
shared = [" = ".join(group) for group in saved["shared"]]
print(f"{len(names)} tên tensor; dùng chung: {', '.join(shared)}")

# %% Bảy kiểu phá


def flip_lowest_bit(folder):
    """Bit thấp nhất của số cuối cùng trong tệp."""
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.seek(-4, os.SEEK_END)
        byte = stream.read(1)[0]
        stream.seek(-4, os.SEEK_END)
        stream.write(bytes([byte ^ 1]))


def rename_tensor(folder):
    """Tên các tensor nằm ở đầu tệp."""
    with (folder / "model.safetensors").open("r+b") as stream:
        header = stream.read(100_000)
        stream.seek(header.index(b"ln_f.bias"))
        stream.write(b"ln_f.bi_s")


def edit_config(folder, name, value):
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config[name] = value
    file.write_text(json.dumps(config), encoding="utf-8")


def edit_heads(folder):
    edit_config(folder, "n_head", 1)


def edit_dropout(folder):
    edit_config(folder, "resid_pdrop", 0.5)


def lose_shared_weight(folder):
    edit_config(folder, "tie_word_embeddings", False)


def exchange_token_ids(folder):
    """Hai token đổi id cho nhau: mã hoá rồi giải mã vẫn ra câu cũ."""
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    vocabulary["a"], vocabulary["i"] = vocabulary["i"], vocabulary["a"]
    file.write_text(json.dumps(content), encoding="utf-8")


def save_shards_over_old_file(folder):
    """Lần trước lưu một tệp; lần này chia mảnh, vào cùng thư mục. Tệp cũ nằm lại."""
    shutil.copy(root / "before/model.safetensors", folder)
    model.save_pretrained(folder, max_shard_size=SHARD)


FAULTS = {
    "bit": ("lật một bit", flip_lowest_bit),
    "renamed": ("đổi tên một tensor", rename_tensor),
    "heads": ("sửa số đầu chú ý", edit_heads),
    "dropout": ("sửa dropout", edit_dropout),
    "shared": ("tắt dùng chung trọng số", lose_shared_weight),
    "ids": ("đổi id hai token", exchange_token_ids),
    "old": ("chia mảnh đè lên bản cũ", save_shards_over_old_file),
}

# %% Phá rồi kiểm tra
print("\n== Phá rồi kiểm tra ==")
lines = {}
for fault, (title, damage) in FAULTS.items():
    broken = root / fault / "my-model"
    shutil.copytree(folder, broken)
    shutil.copy(fingerprint_path(folder), fingerprint_path(broken))
    damage(broken)
    lines[fault] = check(broken)
    shutil.rmtree(root / fault)
    print(f"{title}:")
    for line in lines[fault]:
        print(f"    {line}")

# %% Phép so nào thấy
print("\n== Phép so nào thấy ==")
COMPARISONS = {  # tên: dòng của save_and_check bắt đầu bằng gì
    "report": "báo cáo tải",
    "bits": "tensor",
    "shared": "trọng số dùng chung",
    "config": "cấu hình",
    "tokenizer": "tokenizer",
    "outputs": "đầu ra",
}
seen = {}
print(f"{'':<24} báo cáo  từng bit  dùng chung  cấu hình  tokenizer  đầu ra")
for fault, (title, _) in FAULTS.items():
    row = {}
    for comparison, start in COMPARISONS.items():
        row[comparison] = any(line.startswith(start) for line in lines[fault])
    seen[fault] = row
    marks = ["thấy" if found else "-" for found in row.values()]
    print(f"{title:<24} {marks[0]:<8} {marks[1]:<9} {marks[2]:<11} ", end="")
    print(f"{marks[3]:<9} {marks[4]:<10} {marks[5]}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


report("proved", done.returncode == 0, "thư mục lành: tiến trình mới xác nhận đúng như lúc lưu")
tie = "lm_head.weight = transformer.wte.weight"
report("ties", shared == [tie], "hai tên cùng chỉ một tensor, lúc lưu và sau khi tải")
different = check(folder)
bits = not any(line.startswith(COMPARISONS["bits"]) for line in different)
report("weights", bits, "thư mục lành: mọi tensor bằng nhau từng bit")
report("logits", different == [], "thư mục lành: đầu ra cũng thế, không phép so nào báo nhầm")
missed = [fault for fault in FAULTS if not lines[fault]]
report("all", missed == [], f"{len(FAULTS)} kiểu phá: lọt {len(missed)}")
alone = []
for comparison in COMPARISONS:
    faults_seen = [row for row in seen.values() if row[comparison]]
    alone.append(len(faults_seen))
report("alone", max(alone) < len(FAULTS), f"không phép so nào một mình thấy quá {max(alone)} kiểu")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "parameters": model.num_parameters(),
        "tensors": len(parameters),
        "constant": len(constant),
        "names": len(names),
        "shared": shared,
        "files": files,
        "bytes_beyond_4_per_parameter": files["model.safetensors"] - 4 * model.num_parameters(),
        "faults": len(FAULTS),
        "most_alone": max(alone),
        "seen": seen,
    }
}
if not all(checks.values()):
    sys.exit("TRƯỢT: cái tải lại không phải cái đã lưu, hoặc có kiểu phá không phép so nào thấy.")
