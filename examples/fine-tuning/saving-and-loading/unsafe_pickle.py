"""Một tệp .pt lạ có thể chạy mã trên máy bạn: chứng minh, và cách mở an toàn.

    python unsafe_pickle.py    # vô hại: mã gài trong tệp chỉ tạo một tệp rỗng trong thư mục tạm

Tốn (cỡ mặc định): không quá 60 giây, 3 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch safetensors
Chạy trên Linux, macOS, WSL hay Colab: tiến trình mới được tạo bằng fork.
"""

# %% Chuẩn bị
import os
import re
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.serialization import add_safe_globals, get_unsafe_globals_in_checkpoint

MARK = "MA_LA_DA_CHAY.txt"  # dấu vết mã lạ để lại, ở thư mục mà tiến trình đang đứng
FORCE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # biến môi trường tắt chốt weights_only
for name in (FORCE, "TORCH_FORCE_WEIGHTS_ONLY_LOAD"):
    os.environ.pop(name, None)  # máy bạn có đặt sẵn thì kết quả vẫn thế
temporary = tempfile.TemporaryDirectory()  # tự xoá: không để lại tệp độc
folder = Path(temporary.name)

# %% Dựng
print("== Dựng ==")


class Net(torch.nn.Sequential):
    """Một lớp mô hình của riêng bạn."""


class Evil:
    def __reduce__(self):
        # pickle hỏi: lúc tải thì dựng lại vật này thế nào? Đáp: gọi hàm này với đối số này.
        return exec, (f"open({MARK!r}, 'w').close()",)


torch.manual_seed(0)
model = Net(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
state = model.state_dict()

torch.save(state, folder / "good.pt")
save_file(state, folder / "good.safetensors")
torch.save({**state, "note": Evil()}, folder / "evil.pt")  # đủ trọng số thật, thêm một vật lạ
(folder / "evil.safetensors").write_bytes((folder / "evil.pt").read_bytes())  # chỉ đổi đuôi
torch.save(model, folder / "whole.pt")  # cả đối tượng: pickle ghi tên lớp Net, không ghi mã
built = not Path(MARK).exists()
print(f"{len(list(folder.iterdir()))} tệp; lúc dựng mã lạ {'chưa' if built else 'ĐÃ'} chạy")

# %% Các cách mở


def by_default(path):
    return torch.load(path)


def weights_only(path):
    return torch.load(path, weights_only=True)


def everything(path):
    return torch.load(path, weights_only=False)


def allow_exec(path):
    add_safe_globals([exec])
    return torch.load(path, weights_only=True)


def by_default_forced(path):
    os.environ[FORCE] = "1"
    return torch.load(path)


def weights_only_forced(path):
    os.environ[FORCE] = "1"
    return torch.load(path, weights_only=True)


def everything_without_class(path):
    del sys.modules["__main__"].Net  # như ở máy khác, nơi không có lớp Net
    return torch.load(path, weights_only=False)


ALLOWED = "add_safe_globals([exec]); torch.load(path, weights_only=True)"
WAYS = {  # khoá: (tệp, cách mở viết ra, hàm)
    "good_pt": ("good.pt", "torch.load(path)", by_default),
    "good_safetensors": ("good.safetensors", "load_file(path)", load_file),
    "default": ("evil.pt", "torch.load(path)", by_default),
    "explicit": ("evil.pt", "torch.load(path, weights_only=True)", weights_only),
    "forced": ("evil.pt", f"{FORCE}=1, weights_only=True", weights_only_forced),
    "listed": ("evil.pt", "get_unsafe_globals…(path)", get_unsafe_globals_in_checkpoint),
    "renamed": ("evil.safetensors", "load_file(path)", load_file),
    "whole": ("whole.pt", "torch.load(path)", by_default),
    "elsewhere": ("whole.pt", "máy khác, weights_only=False", everything_without_class),
    "switched_off": ("evil.pt", "torch.load(path, weights_only=False)", everything),
    "environment": ("evil.pt", f"{FORCE}=1, torch.load(path)", by_default_forced),
    "allowed": ("evil.pt", ALLOWED, allow_exec),
}
UNSAFE = ["switched_off", "environment", "allowed"]  # ở đây mã lạ phải chạy, phép thử mới đáng tin

# %% Mở
print("\n== Mở ==")


def open_in(place, function, path):
    """Đứng ở thư mục riêng mà mở: dấu vết của lần này không lẫn với lần khác."""
    place.mkdir()
    os.chdir(place)
    found = None
    error = ""
    with warnings.catch_warnings(record=True) as warned:
        try:
            found = function(path)
        except Exception as reason:
            error = f"{type(reason).__name__}: {reason}"
    kept = {"ran": Path(MARK).exists(), "error": error, "warned": bool(warned)}
    kept["names"] = found if isinstance(found, list) else []
    kept["equal"] = isinstance(found, dict) and all(
        torch.equal(found[name], tensor) for name, tensor in state.items()
    )
    return kept


def in_new_process(function, *arguments):
    """Gọi hàm trong một tiến trình mới: cách mở trước không để lại gì cho cách mở sau."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        return process.submit(function, *arguments).result()


def short(error):
    """Câu rõ nhất trong lời báo dài của torch."""
    asked = re.search(r"GLOBAL \S+ was not an allowed global by default", error)
    if asked:
        return f"{error.split(':')[0]}: {asked[0]}"
    return error


opened = {}
for way, (file, label, function) in WAYS.items():
    row = in_new_process(open_in, folder / way, function, folder / file)
    opened[way] = row
    if row["error"]:
        result = short(row["error"])
    elif row["names"]:
        result = f"{row['names']}"
    else:
        result = "tải được" + (", kèm một cảnh báo" if row["warned"] else "")
    print(f"{'ĐÃ CHẠY' if row['ran'] else 'không chạy':<11} {file}: {label}")
    print(f"{'':<11} → {result}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


safe = [way for way in WAYS if way not in UNSAFE]
ran = [way for way in WAYS if opened[way]["ran"]]
refused = ["default", "explicit", "forced", "renamed", "whole", "elsewhere"]
report("built", built, "dựng tệp không làm mã lạ chạy")
report("safe", not set(ran) & set(safe), f"{len(safe)} cách mở an toàn: mã lạ không chạy")
report("refused", all(opened[way]["error"] for way in refused), "sáu lần bị từ chối")
report("listed", opened["listed"]["names"] == ["builtins.exec"], "không mở mà biết tên hàm")
report("power", ran == UNSAFE, f"{len(UNSAFE)} cách không an toàn: mã lạ đã chạy")
unnoticed = all(opened[way]["equal"] for way in UNSAFE)
report("unnoticed", unnoticed, "mã lạ chạy xong, trọng số vẫn đúng nên khó ngờ")
good = opened["good_pt"]["equal"] and opened["good_safetensors"]["equal"]
report("good", good, "tệp lành: từng bit như lúc lưu")

# %% Kết quả
for row in opened.values():
    row["error"] = row["error"].split(":")[0]  # tên lỗi; lời báo có đường dẫn của máy này
results = {"exact": {"checks": checks, "ways": opened}}
if not all(checks.values()):
    sys.exit("TRƯỢT: mã lạ đã chạy ở chỗ tưởng là an toàn, hay một tệp không cho kết quả phải có.")
