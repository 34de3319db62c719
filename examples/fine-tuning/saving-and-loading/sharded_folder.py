"""Chia mảnh một thư mục, đọc riêng một tensor, và chữa thư mục có hai lần lưu nằm lẫn.

    python sharded_folder.py    # mô hình tí hon, không cần mạng

Tốn (cỡ mặc định): không quá 90 giây, 3 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: save_and_check.py và verify_checkpoint.py ở cạnh; pip install torch transformers safetensors
"""

# %% Chuẩn bị
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from save_and_check import check, fingerprint_path, save
from transformers import GPT2Config, GPT2LMHeadModel, logging

LIMIT = 100_000  # byte dữ liệu mỗi tệp; với mô hình thật hãy viết "5GB"
NAME = "transformer.h.1.mlp.c_proj.weight"  # tensor sẽ đọc riêng
INDEX = "model.safetensors.index.json"
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}

logging.set_verbosity_error()
logging.disable_progress_bar()
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)

# %% Hai lần lưu


def trained(steps):
    """Thay cho huấn luyện: cùng mô hình, cộng nhiễu `steps` lần."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)).eval()
    with torch.no_grad():
        for _ in range(steps):
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return model


old = trained(1)
new = trained(2)
folder = root / "new"
save(new, None, folder, max_shard_size=LIMIT)

# %% Tệp đã lưu
print("== Tệp đã lưu ==")
index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
weight_map = index["weight_map"]
shards = {}
for name in sorted(set(weight_map.values())):
    with safe_open(folder / name, framework="pt") as file:
        held = sorted(file.keys())
        sizes = [file.get_tensor(tensor).nbytes for tensor in held]
    shards[name] = {"data": sum(sizes), "tensors": len(sizes)}
    print(f"{sum(sizes):>8} byte dữ liệu, {len(sizes):>2} tensor   {name}")
print(f"{INDEX}: {len(weight_map)} tên → tệp")

# %% Đọc một tensor


def read_tensor(folder, name):
    """Chỉ mở tệp chứa tensor đó: bản chỉ dẫn ghi nó ở tệp nào."""
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    with safe_open(folder / index["weight_map"][name], framework="pt") as file:
        return file.get_tensor(name)


# %% Chỉ một tệp
print("\n== Chỉ một tệp ==")
lone = root / "lone"
lone.mkdir()
shutil.copy(folder / INDEX, lone)
shutil.copy(folder / weight_map[NAME], lone)
tensor = read_tensor(lone, NAME)
held = len(list(lone.glob("*.safetensors")))
print(f"có {held} trong {len(shards)} tệp trọng số; {NAME}: {list(tensor.shape)}")

# %% Lưu vào thư mục cũ
print("\n== Lưu vào thư mục cũ ==")
used = root / "used"
old.save_pretrained(used)  # một tệp
new.save_pretrained(used, max_shard_size=LIMIT)  # nhiều mảnh, cùng thư mục
for path in sorted(used.glob("model*")):
    print(path.name)


def whose(folder):
    """Tải như thường, rồi xem đó là trọng số của lần lưu nào."""
    model, report = GPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    state = model.state_dict()
    for name, saved in {"cũ": old, "mới": new}.items():
        if all(torch.equal(state[key], tensor) for key, tensor in saved.state_dict().items()):
            return name, any(report.values())
    return "lẫn lộn", any(report.values())


stale, complained = whose(used)
print(f"from_pretrained: trọng số {stale}, báo cáo tải {'có lời' if complained else 'rỗng'}")

# %% Ai thấy
print("\n== Ai thấy ==")


def inspect_folder(folder):
    """Soi thư mục mà không tải nó, như gõ ở dòng lệnh."""
    command = [sys.executable, "-X", "utf8", "verify_checkpoint.py", str(folder)]
    return subprocess.run(command, capture_output=True, encoding="utf-8")


shutil.copy(fingerprint_path(folder), fingerprint_path(used))
compared = check(used)
inspected = inspect_folder(used).returncode
print(f"save_and_check.py: {compared[0]}")
print(f"verify_checkpoint.py: mã thoát {inspected}")

# %% Chữa
print("\n== Chữa ==")


def set_single_file_aside(folder):
    """Cất tệp đơn đi khi các mảnh đủ và bạn biết bản chia mảnh là bản muốn giữ."""
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    for name in set(index["weight_map"].values()):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"thiếu mảnh {name}: đừng đụng vào tệp đơn")
    single = folder / "model.safetensors"
    single.rename(folder.with_name(folder.name + ".model.safetensors.old"))


set_single_file_aside(used)
mended, _ = whose(used)
print(f"from_pretrained: trọng số {mended}; khác lúc lưu: {check(used) or 'không'}")

# %% Một mảnh của lần lưu khác
print("\n== Một mảnh của lần lưu khác ==")
mixed = root / "mixed"
shutil.copytree(folder, mixed)
shutil.copy(fingerprint_path(folder), fingerprint_path(mixed))
old.save_pretrained(root / "old", max_shard_size=LIMIT)
shutil.copy(root / "old" / weight_map[NAME], mixed)  # cùng tên, cùng cỡ, khác giá trị
mixture, mixture_complained = whose(mixed)
mixture_lines = check(mixed)
print(
    f"from_pretrained: trọng số {mixture}, báo cáo tải {'có lời' if mixture_complained else 'rỗng'}"
)
print(f"verify_checkpoint.py: mã thoát {inspect_folder(mixed).returncode}")
print(f"save_and_check.py: {mixture_lines[0][:60]}…")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


over = [shard["tensors"] for shard in shards.values() if shard["data"] > LIMIT]
report("limit", set(over) == {1}, "chỉ vượt giới hạn khi tệp có đúng một tensor")
one = held == 1 and torch.equal(tensor, new.state_dict()[NAME])
report("one", one, "đọc một tensor từ một tệp: đúng từng bit")
report("same", check(folder) == [], "chia mảnh rồi tải lại: từng bit như lúc lưu")
report("stale", stale == "cũ" and not complained, "thư mục cũ: tải ra trọng số cũ, báo cáo rỗng")
report("seen", compared != [] and inspected == 1, "cả hai công cụ thấy điều đó")
report("mended", mended == "mới" and check(used) == [], "cất tệp đơn đi: tải ra trọng số mới")
report("mixed", mixture == "lẫn lộn" and mixture_lines != [], "mảnh lạ: so từng bit thì thấy")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "limit": LIMIT,
        "files": len(shards),
        "shards": shards,
        "largest": max(shard["data"] for shard in shards.values()),
        "mixed": {"complained": mixture_complained, "verify": inspect_folder(mixed).returncode},
    }
}
if not all(checks.values()):
    sys.exit("TRƯỢT: chia mảnh không như đã nói, hoặc không chữa được.")
