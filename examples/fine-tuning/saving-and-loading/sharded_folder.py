"""Lưu trọng số chia nhiều tệp, đọc riêng một tensor, và vì sao phải lưu vào thư mục mới.

    python sharded_folder.py                  # mô hình tí hon, không cần mạng
    python sharded_folder.py --break reuse    # lưu vào thư mục còn tệp cũ: đối chứng phải trượt
    python sharded_folder.py --break mix      # một tệp lấy từ lần lưu khác: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 30 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import inspect
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT = 100_000  # byte dữ liệu mỗi tệp; với mô hình thật hãy viết "5GB". Mặc định của thư viện là "50GB".
NAME = "transformer.h.1.mlp.c_proj.weight"  # tensor sẽ đọc riêng
INDEX = "model.safetensors.index.json"
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("reuse", "mix"), help="làm sai một chỗ lúc lưu")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from safetensors import safe_open
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
root = Path((temporary := tempfile.TemporaryDirectory()).name)
folder, used = root / "sharded", root / "used"

# %% Dựng
torch.manual_seed(0)
old = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)).eval().requires_grad_(False)
new = GPT2LMHeadModel(old.config).eval().requires_grad_(False)
for parameter in (*old.parameters(), *new.parameters()):  # tensor toàn 0 hay toàn 1: mất rồi tạo lại vẫn "đúng"
    parameter.add_(torch.randn_like(parameter), alpha=0.02)

# %% Lưu
folder.mkdir(parents=True)  # phải là thư mục mới: đã có thì dừng ngay ở đây
new.save_pretrained(folder, max_shard_size=LIMIT)

# %% Tệp đã lưu
print("== Tệp đã lưu ==")
index, shards = json.loads((folder / INDEX).read_text(encoding="utf-8")), {}
for file in sorted(set(index["weight_map"].values())):
    with safe_open(folder / file, framework="pt") as opened:
        held = [opened.get_tensor(name).nbytes for name in sorted(opened.keys())]
    shards[file] = {"data": sum(held), "tensors": len(held)}
    print(f"{sum(held):>8} byte dữ liệu, {len(held):>2} tensor   {file}")
print(f"{INDEX}: {len(index['weight_map'])} tên → tệp, cộng lại {index['metadata']['total_size']} byte dữ liệu")

# %% Hai hàm đọc bản chỉ dẫn


def read_tensor(folder, name):
    """Một tensor của bản chia tệp: bản chỉ dẫn nói nó ở tệp nào, chỉ tệp ấy được mở."""
    weight_map = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
    with safe_open(folder / weight_map[name], framework="pt") as opened:
        return opened.get_tensor(name)


def leftovers(folder):
    """Tệp trọng số thừa hay thiếu so với bản chỉ dẫn. Phải rỗng; không thì thư mục chứa hai lần lưu."""
    named = set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
    return sorted(named ^ {path.name for path in folder.glob("*.safetensors")})


# %% Chỉ một tệp
print("\n== Chỉ một tệp ==")
(lone := root / "lone").mkdir()  # thư mục này chỉ có bản chỉ dẫn và một tệp trọng số
for file in ("config.json", INDEX, index["weight_map"][NAME]):
    shutil.copy(folder / file, lone)
tensor, held = read_tensor(lone, NAME), len(list(lone.glob("*.safetensors")))
print(f"có {held} trong {len(shards)} tệp trọng số; {NAME}: {list(tensor.shape)}")

# %% Thư mục dùng lại
print("\n== Thư mục dùng lại ==")
old.save_pretrained(used)  # một tệp
new.save_pretrained(used, max_shard_size=LIMIT)  # nhiều tệp; model.safetensors của lần trước vẫn nằm đó
print(f"{len(list(used.glob('*.safetensors')))} tệp trọng số, thừa: {', '.join(leftovers(used))}")

# %% Phá
if args.damage == "reuse":
    shutil.copy(used / "model.safetensors", folder)
if args.damage == "mix":  # một tệp của lần lưu khác: cùng tên, cùng cỡ, khác giá trị
    old.save_pretrained(root / "other", max_shard_size=LIMIT)
    shutil.copy(root / "other" / index["weight_map"][NAME], folder)

# %% Tiến trình mới


def bits(model):
    return {name: hashlib.sha256(t.numpy()).hexdigest() for name, t in model.state_dict().items()}


CHILD = f"""
import hashlib, json, sys
from transformers import AutoModelForCausalLM
{inspect.getsource(bits)}
for folder in sys.argv[1:]:
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    print(json.dumps([bits(model), [key for key, found in report.items() if found]]))
"""

# %% Tải lại
print("\n== Tải lại ==")
new.save_pretrained(root / "single")
command = [sys.executable, "-X", "utf8", "-c", CHILD, *map(str, (root / "single", folder, used))]
done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
if done.returncode:
    parser.exit(1, f"TRƯỢT: không tải được. {done.stderr.strip()[-200:]}\n")
loaded = dict(zip(("single", "sharded", "used"), map(json.loads, done.stdout.splitlines()), strict=True))
was = {str(bits(old)): "cũ", str(bits(new)): "mới"}
found = {name: was.get(str(seen), "lẫn lộn") for name, (seen, _) in loaded.items()}
for name, (_, report) in loaded.items():
    print(f"{name:<8} báo cáo tải {', '.join(report) or 'rỗng'}; trọng số {found[name]}")

# %% Đối chứng
print("\n== Đối chứng ==")
over = [held["tensors"] for held in shards.values() if held["data"] > LIMIT]
checks = {
    "limit": (f"vượt {LIMIT} byte chỉ khi tệp có đúng một tensor: {len(over)} tệp", set(over) == {1}),
    "one": (f"đọc một tensor từ {held} tệp: đúng từng bit", held == 1 and torch.equal(tensor, new.state_dict()[NAME])),
    "same": ("một tệp hay nhiều tệp: cùng những bit ấy", found["single"] == found["sharded"] == "mới"),
    "leftovers": (f"thư mục mới không có tệp thừa: {', '.join(leftovers(folder)) or 'không'}", not leftovers(folder)),
    "stale": ("thư mục dùng lại: trọng số cũ, báo cáo rỗng", found["used"] == "cũ" and not loaded["used"][1]),
    "seen": ("phép kiểm tệp thừa thấy điều đó", leftovers(used) == ["model.safetensors"]),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "limit": LIMIT, "files": len(shards), "shards": shards, "loaded": found}
    exact |= {"largest": max(held["data"] for held in shards.values()), "data": index["metadata"]["total_size"]}
    args.json.write_text(json.dumps({"exact": exact}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: cái tải lại không phải cái vừa lưu, hoặc không đọc riêng được tensor.\n")
print("ĐÃ CHỨNG MINH: chia tệp không đổi bit nào, miễn là thư mục mới.")
