"""Lưu một dãy số vào tệp văn bản rồi đọc lại.

Cần: pip install matplotlib
Chạy: python save_numbers.py
"""

# %% Chuẩn bị
from pathlib import Path

import matplotlib.pyplot as plt

COUNT = 1000  # đủ nhiều để có số ngắn, có số dài

# %% Lưu
print("== Lưu ==")
numbers = list(range(COUNT))
path = Path("numbers.txt")
path.write_text("\n".join(map(str, numbers)), encoding="ascii")
print(f"{path.name}: {path.stat().st_size} byte")

# %% Quan sát
lines = path.read_text(encoding="ascii").splitlines()

# %% Đọc lại
print("== Đọc lại ==")
same_numbers = list(map(int, lines)) == numbers
print("ĐẠT" if same_numbers else "TRƯỢT")
if not same_numbers:
    raise SystemExit(1)

# %% Kết quả
size = path.stat().st_size
results = {
    "exact": {
        "numbers": COUNT,
        "files": {path.name: size},
        "bytes_beyond_3_per_number": size - 3 * COUNT,
        "pattern": "__numbers__ *.txt*",
        "checks": {"same_numbers": same_numbers},
    },
}

# %% Vẽ
figure, axes = plt.subplots()
axes.plot([len(line) for line in lines])
figure.savefig("save_numbers.svg")
