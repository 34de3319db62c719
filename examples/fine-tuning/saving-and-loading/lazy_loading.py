"""Trọng số vừa tải bằng from_pretrained vẫn nằm ở tệp: ghi đè tệp thì mô hình đổi theo.

    python lazy_loading.py            # mô hình tí hon, không cần mạng
    QUICK=1 python lazy_loading.py    # như trên: vốn đã nhanh

Tốn (cỡ mặc định): không quá 60 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors
Chạy trên Linux, WSL hay Colab: Windows khoá tệp đang ánh xạ, nơi khác thì chưa thử.
"""

# %% Chuẩn bị
import hashlib
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)


def bits_of(model):
    """SHA-256 của mọi tensor."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def in_new_process(function, *arguments):
    """Gọi hàm trong một tiến trình mới: nó có thể bị hệ điều hành giết."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        return process.submit(function, *arguments).result()


# %% Lưu


def saving_session(folder, seed):
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0))
    model.save_pretrained(folder)
    return bits_of(model)


old_bits = in_new_process(saving_session, root / "old", 0)
new_bits = in_new_process(saving_session, root / "new", 1)

# %% Năm cách


def copy(model, folder):
    shutil.copyfile(root / "new/model.safetensors", folder / "model.safetensors")  # như lệnh cp


def trained(model, folder):
    for parameter in model.parameters():
        parameter.data.mul_(2)  # như thể đã huấn luyện vài bước
    copy(model, folder)


def rename(model, folder):
    part = folder / "model.part"
    shutil.copyfile(root / "new/model.safetensors", part)
    part.replace(folder / "model.safetensors")  # tệp khác, mang tên của tệp cũ


def save(model, folder):
    GPT2LMHeadModel.from_pretrained(root / "new").save_pretrained(folder)


def detached(model, folder):
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()  # chép trọng số vào bộ nhớ riêng
    copy(model, folder)


# %% Thay tệp dưới chân mô hình
print("== Thay tệp dưới chân mô hình ==")


def session(way):
    """Tải bản cũ, thay tệp bằng bản mới, xem mô hình trong bộ nhớ và tệp giờ là bản nào."""
    folder = root / way.__name__
    shutil.copytree(root / "old", folder)
    model = GPT2LMHeadModel.from_pretrained(folder)
    mapped = str(folder) in Path("/proc/self/maps").read_text()
    before = bits_of(model)
    way(model, folder)
    after = bits_of(model)
    return {
        "mapped": mapped,
        "loaded": before == old_bits,
        "replaced": after == new_bits,
        "stored": bits_of(GPT2LMHeadModel.from_pretrained(folder)) == new_bits,
    }


ways = {}
for way in (copy, trained, rename, save, detached):
    ways[way.__name__] = in_new_process(session, way)
    verdict = "giữ nguyên"
    if ways[way.__name__]["replaced"]:
        verdict = "thành của tệp mới"
    print(f"{way.__name__:<10} trọng số trong bộ nhớ: {verdict}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


loaded = all(way["loaded"] and way["mapped"] for way in ways.values())
report("mapped", loaded, "tải xong: đúng bản cũ, tệp nằm trong bảng ánh xạ của tiến trình")
report("stored", all(way["stored"] for way in ways.values()), "cả năm cách: tệp chứa bản mới")
report("copy", ways["copy"]["replaced"], "ghi vào chính tệp đó: mô hình đổi theo, không có lỗi")
report("trained", ways["trained"]["replaced"], "kể cả trọng số đã huấn luyện thêm: phần đó mất")
report("rename", not ways["rename"]["replaced"], "thay bằng đổi tên: mô hình giữ nguyên")
report("save", not ways["save"]["replaced"], "save_pretrained lên thư mục đó: giữ nguyên")
report("detached", not ways["detached"]["replaced"], "chép trọng số ra trước: giữ nguyên")

# %% Kết quả
results = {"exact": {"checks": checks, "ways": ways}}
if not all(checks.values()):
    sys.exit("TRƯỢT: mô hình trong bộ nhớ không như dự tính.")
