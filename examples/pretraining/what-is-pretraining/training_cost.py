"""Tính một lần tiền huấn luyện tốn bao nhiêu phép tính, giờ GPU, tiền và điện, rồi so với số đã công bố.

    python training_cost.py                               # các mô hình có số công bố
    python training_cost.py --model 1e9,20e9              # mô hình của bạn: N tham số, D token (bỏ D: lấy 20N)
    python training_cost.py --gpu A100 --assume 0.3,1.5   # GPU khác; hiệu suất, giá USD một giờ GPU
    python training_cost.py --break total                 # tính sai một chỗ: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 5 giây, 0,1 GiB bộ nhớ, 0,01 GiB đĩa.
Cần: chỉ Python, không gói nào.
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được.
"""

# %% Chuẩn bị
import argparse
import json
import sys
from pathlib import Path

GPUS = {  # sức tính 16 bit, ma trận đặc: PyTorch Lightning, fabric/utilities/throughput.py; NVIDIA in H100 gấp đôi
    "H100": {"name": "H100 SXM", "tflops": 1979 / 2, "watts": 700},  # 700 W: thẻ mô hình Llama 3.1 của Meta
    "A100": {"name": "A100 SXM", "tflops": 312.0, "watts": 400},
    "T4": {"name": "T4", "tflops": 65.0, "watts": 70},
}
TINY = 2000 * 128 + 64 * 128 + 3 * (12 * 128**2 + 13 * 128) + 2 * 128  # từ vựng, vị trí, 3 khối, LayerNorm cuối
MODELS = {  # N tham số, D token
    "tiny": {"name": "TinyGPT", "n": TINY, "d": 200 * 16 * 64},  # 200 bước, mỗi bước 16 đoạn 64 token
    "gpt2": {"name": "GPT-2 124M", "n": 124e6, "d": 10e9},  # karpathy/llm.c, scripts/run_gpt2_124M.sh
    "gpt3": {"name": "GPT-3", "n": 175e9, "d": 300e9},  # arXiv:2005.14165, tóm tắt và bảng 2.1
    "chinchilla": {"name": "Chinchilla", "n": 70e9, "d": 1.4e12},  # arXiv:2203.15556, tóm tắt và mục 4
    "llama": {"name": "Llama 3.1 405B", "n": 405e9, "d": 15.6e12},  # arXiv:2407.21783, mục 1
    "deepseek": {"name": "DeepSeek-V3", "n": 37e9, "d": 14.8e12},  # arXiv:2412.19437, tóm tắt: 37 trong 671 tỷ tham số
}
KNOWN = {  # số công bố: phép tính, và giờ của loại GPU đã dùng
    "gpt2": {"gpu": "A100", "gpu_hours": 18_865 * 0.3 * 8 / 3600},  # cùng tệp: bước, giây một bước, số GPU
    "gpt3": {"flops": 3.14e23},  # arXiv:2005.14165, bảng D.1
    "chinchilla": {"flops": 5.76e23},  # arXiv:2203.15556, hình 2: bằng lượng tính toán của Gopher
    "llama": {"flops": 3.8e25, "gpu": "H100", "gpu_hours": 30.84e6},  # mục 1; thẻ mô hình, meta-llama/llama-models
    "deepseek": {"gpu": "H100", "gpu_hours": 2.664e6, "total": 671e9},  # bảng 1, tiền huấn luyện; H800, tính như H100
}
BILL = {"gpu_hours": 2.788e6, "price": 2.0, "usd": 5.576e6}  # DeepSeek-V3, bảng 1: cả lần huấn luyện, giá giả định
ASSUME = {"gpu": "H100", "utilisation": 0.4, "price": BILL["price"]}  # của bạn để đổi; giá: USD một giờ GPU

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--model", metavar="N[,D]", help="mô hình của bạn, ví dụ 1e9,20e9")
parser.add_argument("--gpu", choices=GPUS, default=ASSUME["gpu"], help="GPU để quy ra giờ")
parser.add_argument("--assume", metavar="HIỆU_SUẤT,GIÁ", default="0.4,2", help="mặc định 0.4,2")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=["forward", "total", "sparse", "seconds"])
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
try:
    utilisation, price = map(float, args.assume.split(","))
    sizes = [float(size) for size in (args.model or "1").split(",")]
    n, d = sizes if len(sizes) == 2 else (*sizes, 20 * sizes[0])  # không có D: tỉ lệ của Chinchilla
    if not (0 < utilisation <= 1 and all(0 < x < 1e300 for x in (price, n, d, 6 * n * d))):
        raise ValueError
except ValueError:
    parser.exit(2, "--model cần N hoặc N,D dương, --assume cần hiệu suất trong (0, 1] và giá dương; ví dụ 1e9,20e9\n")
if args.model:
    MODELS["yours"] = {"name": "của bạn", "n": n, "d": d}
PER_PARAMETER = 2 if args.damage == "forward" else 6  # xuôi 2, ngược 4; phá: quên lượt ngược
HOUR = 1 if args.damage == "seconds" else 3600  # phá: quên đổi giây ra giờ
GPUS["H100"]["tflops"] *= 2 if args.damage == "sparse" else 1  # phá: lấy số của ma trận thưa
MODELS["deepseek"]["n"] = KNOWN["deepseek"]["total"] if args.damage == "total" else 37e9  # phá: đếm cả phần không dùng

# %% Đếm phép tính
print("== Đếm phép tính ==")
counted = 0


def dot(u, v):
    """Tích vô hướng, đếm từng phép nhân và từng phép cộng."""
    global counted
    total = 0
    for a, b in zip(u, v, strict=True):
        total, counted = total + a * b, counted + 2
    return total


W = [[1, -2, 3, 4], [5, 6, -7, 8], [9, -1, 2, 3]]  # một lớp tuyến tính, 12 tham số
X = [[1, 2, 3, 4], [2, 3, 5, 7]]  # 2 token
Y = [[dot(row, x) for row in W] for x in X]  # xuôi
forward = counted
dY = Y  # gradient từ lớp sau về, nếu loss là nửa tổng bình phương của Y
dX = [[dot(dy, column) for column in zip(*W, strict=True)] for dy in dY]  # ngược: gradient cho lớp trước
dW = [[dot(dy, x) for x in zip(*X, strict=True)] for dy in zip(*dY, strict=True)]  # ngược: gradient của tham số
each = {"forward": forward / (12 * 2), "backward": (counted - forward) / (12 * 2)}  # một tham số, một token
print(f"{counted} phép tính; mỗi tham số, mỗi token: xuôi {each['forward']:g}, ngược {each['backward']:g}")


# %% Công thức


def hours_of(flops, gpu, utilisation):
    """Giờ GPU để làm bấy nhiêu phép tính."""
    return flops / (GPUS[gpu]["tflops"] * 1e12 * utilisation) / HOUR


def cost(n, d, gpu, utilisation, price):
    """Phép tính, giờ GPU, USD, kWh để huấn luyện N tham số trên D token."""
    flops = PER_PARAMETER * n * d
    hours = hours_of(flops, gpu, utilisation)
    return {"flops": flops, "gpu_hours": hours, "usd": hours * price, "kwh": hours * GPUS[gpu]["watts"] / 1000}


# %% Chi phí
print("\n== Chi phí ==")
print(f"{GPUS[args.gpu]['name']}, hiệu suất {utilisation:g}, {price:g} USD một giờ GPU")
COLUMNS = {"n": "N", "d": "D", "ratio": "D/N", "flops": "6ND", "gpu_hours": "giờ GPU", "usd": "USD", "kwh": "kWh"}
print(f"{'':<16}" + "".join(f"{title:>10}" for title in COLUMNS.values()))
for model in MODELS.values():
    model |= {"ratio": model["d"] / model["n"], **cost(model["n"], model["d"], args.gpu, utilisation, price)}
    print(f"{model['name']:<16}" + "".join(f"{model[column]:>10.3g}" for column in COLUMNS))

# %% So với số công bố
print("\n== So với số công bố ==")
ratios, implied = {"flops": {}, "gpu_hours": {}}, {}
for key, known in KNOWN.items():
    flops, line = MODELS[key]["flops"], f"{MODELS[key]['name']:<16}"
    if "flops" in known:
        ratios["flops"][key] = flops / known["flops"]
        line += f"  phép tính: công bố {known['flops']:.3g}, tỉ số {ratios['flops'][key]:.3f}"
    if "gpu_hours" in known:
        implied[key] = hours_of(flops, known["gpu"], 1) / known["gpu_hours"]  # giờ nếu chạy hết sức / giờ thật
        ratios["gpu_hours"][key] = hours_of(flops, known["gpu"], ASSUME["utilisation"]) / known["gpu_hours"]
        line += f"  giờ GPU: công bố {known['gpu_hours']:.4g}, hiệu suất {implied[key]:.3f}"
    print(line)

# %% Đối chứng
print("\n== Đối chứng ==")
formula, one, two = (cost(n, d, **ASSUME)["flops"] for n, d in ((12, 2), (1e9, 20e9), (2e9, 40e9)))
checks = {
    "counted": (f"đếm được {counted} phép tính, công thức cho {formula:g}", counted == formula),
    "flops": ("phép tính lệch số công bố không quá 3 %", all(abs(r - 1) <= 0.03 for r in ratios["flops"].values())),
    "utilisation": ("hiệu suất suy ra từ giờ GPU nằm giữa 0 và 1", all(0 < u < 1 for u in implied.values())),
    "hours": ("giờ GPU sai không quá 1,5 lần", all(1 / 1.5 <= r <= 1.5 for r in ratios["gpu_hours"].values())),
    "double": (f"gấp đôi cả N và D: phép tính gấp {two / one:g}", two == 4 * one),
    "bill": ("DeepSeek-V3: giờ GPU × giá = số tiền", BILL["gpu_hours"] * BILL["price"] == BILL["usd"]),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "models": MODELS, "known": KNOWN, "ratios": ratios, "implied": implied}
    exact |= {"gpus": GPUS, "assume": ASSUME, "bill": BILL, "counted": {"operations": counted, **each}}
    args.json.write_text(json.dumps({"exact": exact}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: con số tính được không khớp số đã công bố.\n")
print("ĐÃ CHỨNG MINH: công thức khớp số đã công bố.")
