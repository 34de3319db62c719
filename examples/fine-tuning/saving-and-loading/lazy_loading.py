"""Trọng số vừa tải vẫn là các trang của tệp: ghi đè tệp tại chỗ thì mô hình trong bộ nhớ đổi theo.

    python lazy_loading.py                  # mô hình tí hon, không cần mạng; chỉ chạy trên Linux
    python lazy_loading.py --break shared   # quên sao chép trước khi ghi đè: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 40 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import inspect
import json
import subprocess
import sys
import tempfile
from pathlib import Path

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("shared",), help="bỏ bước sao chép, để xem đối chứng trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
if sys.platform != "linux":  # Windows khoá tệp đang ánh xạ; nơi khác thì POSIX không hứa gì
    parser.exit(2, "Bỏ qua: script này chỉ nói về cách Linux ánh xạ tệp.\n")
try:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
root = Path((temporary := tempfile.TemporaryDirectory()).name)

# %% Dựng
torch.manual_seed(0)
old = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)).eval().requires_grad_(False)
new = GPT2LMHeadModel(old.config).eval().requires_grad_(False)
for parameter in (*old.parameters(), *new.parameters()):  # tensor toàn 0 hay toàn 1 thì cũ và mới không khác nhau
    parameter.add_(torch.randn_like(parameter), alpha=0.02)

# %% Lưu
old.save_pretrained(root / "old")
new.save_pretrained(root / "new")

# %% Năm cách
COPY = "shutil.copyfile(source, target)"  # như lệnh cp: cắt tệp về rỗng rồi ghi vào chính nó
RENAME = "shutil.copyfile(source, target + '.tmp'); os.replace(target + '.tmp', target)"  # tệp khác, thế tên tệp cũ
DETACH = "for p in model.parameters(): p.data = p.data.clone()"  # chép trọng số vào bộ nhớ riêng
WAYS = {  # tên: (làm gì ngay sau khi tải, thay tệp bằng cách nào)
    "copy": ("pass", COPY),
    "trained": ("for p in model.parameters(): p.data.mul_(2)", COPY),  # như thể đã huấn luyện vài bước
    "rename": ("pass", RENAME),
    "save": ("pass", "AutoModelForCausalLM.from_pretrained(other).save_pretrained(folder)"),
    "detached": ("pass" if args.damage else DETACH, COPY),
}

# %% Tiến trình mới


def bits(model):
    """SHA-256 của mọi tensor."""
    return hashlib.sha256(b"".join(t.contiguous().numpy().tobytes() for t in model.state_dict().values())).hexdigest()


# Ghi đè ở tiến trình con: nếu tệp ngắn đi thì hệ điều hành giết tiến trình đang đọc nó (SIGBUS).
CHILD = f"""
import hashlib, json, os, shutil, sys
from transformers import AutoModelForCausalLM
{inspect.getsource(bits)}
root, ways = sys.argv[1], json.loads(sys.argv[2])
for way, (prepare, replace) in ways.items():
    folder, other = os.path.join(root, way), os.path.join(root, "new")
    target, source = os.path.join(folder, "model.safetensors"), os.path.join(other, "model.safetensors")
    shutil.copytree(os.path.join(root, "old"), folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    exec(prepare)
    before = bits(model)
    mapped = target in open("/proc/self/maps", encoding="utf-8").read()
    exec(replace)
    after, stored = bits(model), bits(AutoModelForCausalLM.from_pretrained(folder))
    print(json.dumps([way, dict(before=before, after=after, stored=stored, mapped=mapped)]))
"""

# %% Thay tệp dưới chân mô hình
print("== Thay tệp dưới chân mô hình ==")
command = [sys.executable, "-X", "utf8", "-c", CHILD, str(root), json.dumps(WAYS)]
done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
if done.returncode:
    parser.exit(1, f"TRƯỢT: tiến trình con chết, mã {done.returncode}. {done.stderr.strip()[-200:]}\n")
seen, fresh, ways = dict(map(json.loads, done.stdout.splitlines())), bits(new), {}
for way, (prepare, replace) in WAYS.items():
    row = seen[way]
    kept, replaced = row["after"] == row["before"], row["after"] == fresh
    memory = "giữ nguyên" if kept else "thành của tệp mới" if replaced else "lẫn lộn"
    ways[way] = {"kept": kept, "replaced": replaced, "stored": row["stored"] == fresh, "mapped": row["mapped"]}
    print(f"{way + ':':<10}{replace}")
    print(*([f"{'':<10}sau khi tải: {prepare}"] if prepare != "pass" else []), f"{'':<10}→ {memory}", sep="\n")

# %% Đối chứng
print("\n== Đối chứng ==")
lost = {way: row["replaced"] and not row["kept"] for way, row in ways.items()}
checks = {
    "mapped": ("vừa tải xong, tệp nằm trong bảng ánh xạ của tiến trình", ways["copy"]["mapped"]),
    "stored": ("cả năm cách: tệp chứa trọng số mới", all(row["stored"] for row in ways.values())),
    "copy": ("ghi vào chính tệp ấy: mô hình trong bộ nhớ đổi theo, không có lỗi", lost["copy"]),
    "trained": ("kể cả khi trọng số đã bị sửa trong bộ nhớ: phần sửa mất", lost["trained"]),
    "rename": ("thế bằng đổi tên: mô hình trong bộ nhớ giữ nguyên", ways["rename"]["kept"]),
    "save": ("save_pretrained lên chính thư mục ấy: giữ nguyên", ways["save"]["kept"]),
    "detached": ("chép trọng số ra trước: giữ nguyên", ways["detached"]["kept"]),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    args.json.write_text(json.dumps({"exact": {"checks": verdict, "ways": ways}}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: mô hình trong bộ nhớ không như dự tính.\n")
print("ĐÃ CHỨNG MINH: ghi vào chính tệp ấy thì mô hình đổi theo; thế bằng đổi tên thì không.")
