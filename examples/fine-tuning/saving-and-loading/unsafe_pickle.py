"""Một tệp .pt lạ có thể chạy mã trên máy bạn: chứng minh, và cách mở an toàn.

    python unsafe_pickle.py                  # vô hại: mã gài trong tệp chỉ tạo một tệp rỗng trong thư mục tạm
    python unsafe_pickle.py --break trust    # có người tắt chốt an toàn cho hết lỗi: đối chứng phải trượt
    python unsafe_pickle.py --break env      # chốt bị tắt bằng biến môi trường: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 30 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch safetensors
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MARK = "MA_LA_DA_CHAY.txt"  # dấu vết mã lạ để lại, ở thư mục mà tiến trình đang đứng
FORCE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # biến môi trường tắt chốt weights_only
WAYS = {  # tên: (tệp, cách mở, có đặt FORCE=1 không)
    "good_pt": ("good.pt", "torch.load(path)", False),
    "good_safetensors": ("good.safetensors", "load_file(path)", False),
    "default": ("evil.pt", "torch.load(path)", False),
    "explicit": ("evil.pt", "torch.load(path, weights_only=True)", True),
    "listed": ("evil.pt", "get_unsafe_globals_in_checkpoint(path)", False),
    "renamed": ("evil.safetensors", "load_file(path)", False),
    "whole": ("whole.pt", "torch.load(path)", False),
    "whole_elsewhere": ("whole.pt", "torch.load(path, weights_only=False)", False),
    "switched_off": ("evil.pt", "torch.load(path, weights_only=False)", False),
    "environment": ("evil.pt", "torch.load(path)", True),
    "allowed": ("evil.pt", "add_safe_globals([exec]) or torch.load(path, weights_only=True)", False),
}
UNSAFE = ("switched_off", "environment", "allowed")  # ở đây mã lạ phải chạy: phép thử thấy được nó thì mới đáng tin
BREAK = {"trust": "switched_off", "env": "environment"}  # mở theo cách này ở chỗ lẽ ra mở theo mặc định

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=BREAK, help="mở tệp lạ một cách cẩu thả: đối chứng phải trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from safetensors.torch import save_file
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch safetensors\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
os.environ |= {FORCE: "0", "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "0"}  # máy bạn có đặt sẵn thì kết quả vẫn thế
if args.damage:
    WAYS["default"] = WAYS[BREAK[args.damage]]

# %% Dựng
print("== Dựng ==")


class Net(torch.nn.Sequential):
    """Một lớp mô hình của riêng bạn."""


class Evil:
    def __reduce__(self):  # pickle hỏi: lúc tải thì dựng lại vật này thế nào? Đáp: gọi hàm này với đối số này
        return exec, (f"open({MARK!r}, 'w').close()",)


torch.manual_seed(0)
model = Net(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
weights = {name: t.view(torch.int32).tolist() for name, t in model.state_dict().items()}  # từng bit, dạng số nguyên

# %% Lưu
folder = Path((temporary := tempfile.TemporaryDirectory()).name)  # tự xoá: không để lại tệp độc
torch.save(model.state_dict(), folder / "good.pt")
save_file(model.state_dict(), folder / "good.safetensors")
torch.save({**model.state_dict(), "note": Evil()}, folder / "evil.pt")  # đủ trọng số thật, thêm một vật lạ
(folder / "evil.safetensors").write_bytes((folder / "evil.pt").read_bytes())  # chỉ đổi đuôi
torch.save(model, folder / "whole.pt")  # cả đối tượng: pickle ghi tên lớp Net, không ghi mã của nó
built = not Path(MARK).exists()
print(f"{len(list(folder.iterdir()))} tệp; lúc dựng mã lạ {'chưa' if built else 'ĐÃ'} chạy")

# %% Tiến trình mới
CHILD = """
import json, os, sys, torch, warnings
from safetensors.torch import load_file
from torch.serialization import add_safe_globals, get_unsafe_globals_in_checkpoint
folder, mark, ways = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
for way, (file, code, _) in ways.items():
    path, place = os.path.join(folder, file), os.path.join(folder, way)
    os.makedirs(place, exist_ok=True)
    os.chdir(place)  # mỗi lần mở đứng ở một thư mục riêng: dấu vết không lẫn
    with warnings.catch_warnings(record=True) as warned:
        try:
            found, error = eval(code), ""
        except Exception as reason:
            found, error = str(reason), type(reason).__name__
    if isinstance(found, dict):  # mã lạ chạy xong, chỗ của nó trong state_dict chỉ còn None
        found = {name: t.view(torch.int32).tolist() for name, t in found.items() if t is not None}
    print(json.dumps([way, found, {"ran": os.path.exists(mark), "error": error, "warned": bool(warned)}]))
"""

# %% Mở
print("\n== Mở ==")
found, ways = {}, {}
for force in False, True:  # hai tiến trình mới: không có, rồi có biến môi trường
    chosen = json.dumps({way: row for way, row in WAYS.items() if row[2] == force})
    command = [sys.executable, "-X", "utf8", "-c", CHILD, str(folder), MARK, chosen]
    env = os.environ | {FORCE: str(int(force))}
    done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", timeout=300)
    for line in done.stdout.splitlines():
        way, found[way], ways[way] = json.loads(line)
if found.keys() != WAYS.keys():
    parser.exit(1, f"TRƯỢT: tiến trình con chết giữa chừng. {done.stderr.strip()[-200:]}\n")

print("mã lạ       tệp: cách mở → kết quả")
for way, (file, code, force) in WAYS.items():
    result, error = found[way], ways[way]["error"]
    asked = re.search(r"GLOBAL (\S+) .* by default", str(result))  # câu rõ nhất trong lời báo dài của torch
    ways[way]["named"] = asked[1] if asked else ", ".join(result) if isinstance(result, list) else ""
    if isinstance(result, dict):
        result = f"tải được {len(result)} tensor{', kèm một cảnh báo' if ways[way]['warned'] else ''}"
    elif error:
        result = f"{error}: {asked[0] if asked else result}"
    print(f"{'ĐÃ CHẠY' if ways[way]['ran'] else 'không chạy':<11} {file}: {code}")
    print(*([f"{'':<11} với {FORCE}=1"] if force else []), f"{'':<11} → {result}", sep="\n")

# %% Đối chứng
print("\n== Đối chứng ==")
safe = [way for way in WAYS if way not in UNSAFE]
refused = all(ways[way]["error"] for way in ("default", "explicit", "renamed"))
ran = all(ways[way]["ran"] and found[way] == weights for way in UNSAFE)
good = found["good_pt"] == found["good_safetensors"] == weights
here = torch.load(folder / "whole.pt", weights_only=False)  # tệp của chính ta vừa lưu: tin được; ở đây có lớp Net
whole = isinstance(here, Net) and ways["whole"]["error"] and ways["whole_elsewhere"]["error"] == "AttributeError"
checks = {
    "built": (f"dựng tệp không làm mã lạ chạy: ở đây không có {MARK}", built),
    "safe": (f"{len(safe)} cách mở an toàn: mã lạ không chạy", not any(ways[way]["ran"] for way in safe)),
    "refused": ("evil.pt và bản đổi đuôi: bị từ chối cả ba lần", refused),
    "listed": ("không mở mà vẫn biết evil.pt gọi hàm nào", found["listed"] == ["builtins.exec"]),
    "power": (f"{len(UNSAFE)} cách không an toàn: mã lạ đã chạy, trọng số vẫn đúng nên khó ngờ", ran),
    "good": (f"tệp lành: {len(weights)} tensor đúng từng bit", good),
    "whole": ("whole.pt: mở được ở đây, nơi không có lớp Net thì không", bool(whole)),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    args.json.write_text(json.dumps({"exact": {"checks": verdict, "ways": ways}}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: mã lạ đã chạy ở chỗ tưởng là an toàn, hoặc một tệp không cho kết quả phải có.\n")
print("ĐÃ CHỨNG MINH: cách mở an toàn chặn được mã lạ, cách mở cẩu thả thì không.")
