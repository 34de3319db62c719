"""Đóng gói một mô hình, gửi, nhận, tải ở nơi khác: cái đến nơi có đúng là cái đã gửi?

    python package_and_move.py          # GPT-2 tí hon, tokenizer học tại chỗ, không cần mạng
    QUICK=1 python package_and_move.py    # mô hình nhỏ hơn nữa, để thử nhanh

Tốn (cỡ mặc định): không quá 120 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers tokenizers; và pack_and_receive.py ở bên cạnh
Chạy trên Linux, macOS, WSL hay Colab: tiến trình mới được tạo bằng fork.
"""

# %% Chuẩn bị
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # phải đặt trước khi nhập transformers

import torch
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from pack_and_receive import Refused, pack, receive

QUICK = os.environ.get("QUICK") == "1"
TEXT = "Chuyển mô hình sang máy khác: không được mất bit nào."  # để dạy và thử tokenizer
LAYERS = 2
if QUICK:
    LAYERS = 1
NOBODY = 65534  # tài khoản không có quyền gì, trên mọi Linux
RECIPE = Path("pack_and_receive.py").resolve()

torch.set_num_threads(1)  # số luồng đổi thì thứ tự cộng đổi, bit cuối của logits đổi theo
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
sent = root / "sent"  # máy gửi
sent.mkdir()
place = root / "place"  # máy nhận
place.mkdir()

# %% Mô hình đem gửi


def build(folder):
    """Lưu một GPT-2 tí hon và tokenizer của nó."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([TEXT], vocab_size=300, show_progress=False)
    backend = Tokenizer.from_str(bpe.to_str())
    PreTrainedTokenizerFast(tokenizer_object=backend).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"n_layer": LAYERS, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng". Thêm nhiễu thì lộ.
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    model.save_pretrained(folder)


def observe(folder):
    """Tải thư mục rồi ghi lại: báo cáo tải có rỗng không, dãy id, logits của câu thử."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    ids = tokenizer(TEXT).input_ids
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1].tolist()
    return {"report_empty": not any(report.values()), "ids": ids, "logits": logits}


build(sent / "model")
before = observe(sent / "model")

# %% Đóng gói
print("== Đóng gói ==")


def command(folder, *words):
    """Chạy một lệnh trong thư mục `folder`; in lệnh và mọi thứ nó in."""
    done = subprocess.run(words, cwd=folder, capture_output=True, encoding="utf-8")
    shown = " ".join(Path(word).name for word in words)
    print(">", shown.replace(Path(sys.executable).name, "python", 1))
    print(done.stdout + done.stderr, end="")
    return done


packed = command(sent, sys.executable, RECIPE, "pack", "model", "model.zip")
sums = (sent / "model.zip.SHA256SUMS").read_text(encoding="utf-8")
print(f"bản kê có {len(sums.splitlines())} dòng, {len(sums)} byte")

# %% Gửi và nhận
print("\n== Gửi và nhận ==")
for name in ("model.zip", "model.zip.SHA256SUMS"):
    shutil.copy(sent / name, place)  # scp, rsync, USB: ở đây chỉ là chép
if shutil.which("sha256sum"):  # lệnh của Linux; macOS gọi là shasum -a 256
    asked = command(place, "sha256sum", "--check", "model.zip.SHA256SUMS")
    agreed = asked.stdout == "model.zip: OK\n"
else:
    agreed = True
received = command(place, sys.executable, RECIPE, "receive", "model.zip", "model")
again = command(place, sys.executable, RECIPE, "receive", "model.zip", "model")

# %% Tải ở nơi đến
print("\n== Tải ở nơi đến ==")


def load_there(folder, user):
    """Trong tiến trình mới: đứng ở nơi đến, không có HOME, và nếu được thì bằng tài khoản khác."""
    os.chdir(folder)
    os.environ.pop("HOME", None)
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    return observe("model")


user = NOBODY if os.geteuid() == 0 else None  # chỉ root đổi được tài khoản
with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
    after = process.submit(load_there, place, user).result()
gap = max(abs(a - b) for a, b in zip(before["logits"], after["logits"], strict=True))
print(f"{len(after['ids'])} token, logits lệch nhiều nhất {gap:g}")

# %% Hỏng trên đường
print("\n== Hỏng trên đường ==")


def flip_bit(folder):
    data = bytearray((folder / "model.zip").read_bytes())
    data[len(data) // 2] ^= 64
    (folder / "model.zip").write_bytes(data)


def cut(folder):
    os.truncate(folder / "model.zip", (folder / "model.zip").stat().st_size * 2 // 3)


def repack(folder):
    """Ai đó mở gói, bỏ một tệp, đóng lại: gói lành lặn, chỉ không còn là gói đã gửi."""
    shutil.unpack_archive(folder / "model.zip", folder / "opened")
    (folder / "opened/tokenizer.json").unlink()
    shutil.make_archive(folder / "model", "zip", folder / "opened")


def lose_sums(folder):
    (folder / "model.zip.SHA256SUMS").unlink()


def swap_both(folder):
    """Kẻ cố ý đổi cả gói lẫn bản kê đứng cạnh nó."""
    repack(folder)
    digest = hashlib.sha256((folder / "model.zip").read_bytes()).hexdigest()
    (folder / "model.zip.SHA256SUMS").write_text(f"{digest}  model.zip\n")


accidents = {}
for accident in (flip_bit, cut, repack, lose_sums, swap_both):
    road = root / accident.__name__
    shutil.copytree(sent, road)
    accident(road)
    result = subprocess.run(
        [sys.executable, RECIPE, "receive", "model.zip", "arrived"],
        cwd=road,
        capture_output=True,
        encoding="utf-8",
    )
    said = (result.stdout + result.stderr).strip()
    accidents[accident.__name__] = {
        "code": result.returncode,
        "said": said,
        "arrived": (road / "arrived").exists(),
    }
    print(f"{accident.__name__:<10} mã {result.returncode}: {said}")

# Bản kê thật đến bằng đường khác thì lần cuối cũng bị từ chối.
try:
    receive(root / "swap_both/model.zip", root / "never", sums=sent / "model.zip.SHA256SUMS")
    other_road = ""
except Refused as error:
    other_road = str(error)
print(f"swap_both, bản kê đi đường khác: {other_road}")

# %% Đóng lại lần nữa
print("\n== Đóng lại lần nữa ==")


def pack_twice(make):
    """Hai bản chép cùng nội dung, khác ngày sửa tệp: hai gói có cùng byte không?"""
    archives = []
    for day in (1, 2):
        copy = root / f"{make.__name__}-{day}"
        shutil.copytree(sent / "model", copy)
        for path in copy.iterdir():
            os.utime(path, (10**9 + day * 86400, 10**9 + day * 86400))
        make(copy, copy.with_suffix(".zip"))
        archives.append(copy.with_suffix(".zip").read_bytes())
    return archives[0] == archives[1]


def make_archive(folder, archive):
    shutil.make_archive(archive.with_suffix(""), "zip", folder)


same = {"pack": pack_twice(pack), "make_archive": pack_twice(make_archive)}
for way, equal in same.items():
    print(f"{way}: {'cùng' if equal else 'khác'} SHA-256")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


def same_files(first, second):
    """Cùng tên, cùng byte, không thiếu, không thừa."""
    files = []
    for folder in (first, second):
        found = {}
        for path in folder.rglob("*"):
            found[path.relative_to(folder)] = path.read_bytes()
        files.append(found)
    return files[0] == files[1]


arrived = packed.returncode == 0 and received.returncode == 0
stopped = ("flip_bit", "cut", "repack", "lose_sums")
codes = [accidents[name]["code"] for name in stopped]
nothing = not any(accidents[name]["arrived"] for name in stopped)
report(
    "received", arrived and same_files(sent / "model", place / "model"), "nhận: mọi tệp y nguyên"
)
report("sha256sum", agreed, "sha256sum đọc được bản kê")
report("kept", again.returncode == 2, "nhận lần nữa: thư mục đã có thì không đụng tới")
report("report", after["report_empty"], "báo cáo tải rỗng")
report("ids", after["ids"] == before["ids"], "tokenizer cho cùng dãy id")
report("logits", gap == 0, "logits bằng nhau từng bit")
report("stopped", codes == [1, 1, 1, 2] and nothing, "hỏng trên đường: từ chối, không để lại gì")
report("swapped", accidents["swap_both"]["arrived"], "đổi cả gói lẫn bản kê: không thấy được")
report("other_road", bool(other_road), "bản kê đi đường khác: thấy được")
report("repeat", same == {"pack": True, "make_archive": False}, "chỉ pack cho hai gói giống nhau")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "files": len(list((sent / "model").iterdir())),
        "accidents": accidents,
        "other_road": other_road,
        "lines": len(sums.splitlines()),
        "same": same,
    },
}
if not all(checks.values()):
    sys.exit("TRƯỢT: cái đến nơi không phải cái đã gửi, hay một lần hỏng đã lọt.")
