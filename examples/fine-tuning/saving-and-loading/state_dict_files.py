"""Ba cái bẫy nằm ở tệp .pt: lát cắt kéo theo cả tensor, ghi đè tệp đang ánh xạ, tệp ghi từ máy có GPU.

    python state_dict_files.py                    # không cần mạng, không cần GPU
    python state_dict_files.py --break slice      # lưu lát cắt mà không clone(): đối chứng phải trượt
    python state_dict_files.py --break overwrite  # ghi thẳng lên tệp đang ánh xạ: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 30 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # máy có GPU cũng chạy như máy không có
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=["slice", "overwrite"], help="bỏ một cách sửa")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
folder = Path((temporary := tempfile.TemporaryDirectory()).name)
torch.manual_seed(0)

# %% Lát cắt
print("== Lát cắt ==")
table = torch.randn(10_000, 100)
rows = table[:10]  # một khung nhìn: vẫn dùng chung vùng nhớ với cả bảng
torch.save({"rows": rows}, folder / "slice.pt")
torch.save({"rows": rows if args.damage == "slice" else rows.clone()}, folder / "clone.pt")
sizes = {name: (folder / f"{name}.pt").stat().st_size for name in ("slice", "clone")}
needed = rows.numel() * rows.element_size()
print(f"cần {needed} byte; lưu lát cắt: {sizes['slice']} byte; lưu clone(): {sizes['clone']} byte")
leaked = torch.load(folder / "slice.pt", weights_only=True)["rows"].untyped_storage().nbytes()
print(f"tải tệp thứ nhất: sau tensor ấy vẫn còn {leaked} byte, cả những dòng bạn không định gửi")

# %% Ghi đè tệp đang ánh xạ
print("\n== Ghi đè tệp đang ánh xạ ==")
CHILD = """
import os, sys, torch
path = sys.argv[1]
state = torch.load(path, mmap=True, weights_only=True)  # chưa đọc: số vẫn nằm ở tệp
if sys.argv[2] == "overwrite":
    torch.save(state, path)  # xoá trắng tệp trước, rồi mới đọc nguồn: chính tệp ấy
else:
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)  # tệp cũ còn sống tới khi không ai ánh xạ nữa
"""
outcome = {}
for way in ("overwrite", "replace"):
    torch.save({"table": table}, path := folder / f"{way}.pt")
    chosen = "overwrite" if args.damage == "overwrite" else way
    done = subprocess.run([sys.executable, "-c", CHILD, str(path), chosen], capture_output=True, timeout=300)
    try:
        whole = torch.equal(torch.load(path, weights_only=True)["table"], table)
    except Exception:
        whole = False
    outcome[way] = {"died": done.returncode != 0, "whole": whole, "message": bool(done.stderr)}
    print(f"{way:<10} tiến trình {'chết' if done.returncode else 'xong'}; tệp {'nguyên vẹn' if whole else 'hỏng'}")

# %% Tệp từ máy có GPU
print("\n== Tệp từ máy có GPU ==")
place = "cuda:0"  # nhãn mà máy có GPU ghi vào tệp; ghi nó ở đây thì không cần GPU để thử
torch.serialization.register_package(0, lambda storage: place, lambda storage, location: None)
torch.save({"table": table}, folder / "gpu.pt")
place = None  # từ đây lại ghi nhãn như thường
message = ""
try:
    torch.load(folder / "gpu.pt", weights_only=True)
except RuntimeError as error:
    message = str(error)
print(message.partition(". ")[0])
mapped = torch.load(folder / "gpu.pt", map_location="cpu", mmap=True, weights_only=True)["table"]

# %% Đối chứng
print("\n== Đối chứng ==")
over, kept = outcome["overwrite"], outcome["replace"]
checks = {
    "slice": ("lát cắt: tệp chứa cả bảng", sizes["slice"] > table.nbytes and leaked == table.nbytes),
    "clone": ("clone(): tệp chỉ chứa lát cắt", sizes["clone"] < needed + 4096),
    "overwrite": ("ghi đè tệp đang ánh xạ: tiến trình chết, tệp mất", over["died"] and not over["whole"]),
    "replace": ("ghi tệp mới rồi thay: tiến trình xong, tệp nguyên vẹn", not kept["died"] and kept["whole"]),
    "gpu": ("nhãn cuda, máy không GPU: torch.load báo lỗi", "torch.cuda.is_available() is False" in message),
    "map_location": ('map_location="cpu": tải được, đúng từng bit', torch.equal(mapped, table)),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "sizes": sizes, "needed": needed, "leaked": leaked, "outcome": outcome}
    args.json.write_text(json.dumps({"exact": exact}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: có cách sửa không sửa được, hoặc cái bẫy không còn như đã tả.\n")
print("ĐÃ CHỨNG MINH: ba cái bẫy đều sập như đã tả, và cách sửa nào cũng sửa được.")
