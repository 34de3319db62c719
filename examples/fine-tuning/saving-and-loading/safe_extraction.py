"""Mở một gói lạ cho an toàn: dựng những gói độc (vô hại), xem ai từ chối, ai để chúng ghi ra ngoài.

    python safe_extraction.py                 # mọi thứ ở trong một thư mục tạm; chỉ chạy trên Linux
    python safe_extraction.py --break trust   # mở bằng tarfile không lọc: đối chứng phải trượt
    python safe_extraction.py --break limit   # bỏ giới hạn cỡ: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 30 giây, 1 GiB bộ nhớ, 0,5 GiB đĩa.
Cần: pip install torch safetensors; và hai lệnh tar, unzip
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
import warnings
import zipfile
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("trust", "limit"), help="mở một cách cẩu thả")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
if sys.platform != "linux":  # nơi khác, công cụ và hệ tệp xử sự khác; safe_extract thì vẫn dùng được
    parser.exit(2, "Bỏ qua: phần so các công cụ chỉ viết cho Linux.\n")
if not hasattr(tarfile, "data_filter"):
    parser.exit(2, f"Cần Python 3.11.4 trở lên: {sys.version.split()[0]} chưa có filter của tarfile.\n")
try:
    import torch
    from safetensors.torch import load_file, save_file
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch safetensors\n")
if missing := [name for name in ("tar", "unzip") if not shutil.which(name)]:
    parser.exit(3, f"Thiếu lệnh {missing[0]}. Cài bằng: apt install {missing[0]}\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
root = Path((temporary := tempfile.TemporaryDirectory()).name)
warnings.simplefilter("ignore")  # zipfile nhắc khi ta cố ý ghi hai tên giống nhau

# %% Mở gói


# --- khối dùng chung: mo-goi ---
class Refused(Exception):
    """Gói bị từ chối; một dòng nói vì sao."""


def checked(items, entries, limit):
    """Từng tệp trong gói, sau khi đã hỏi tên, loại và cỡ của nó; gặp một mục lạ là dừng."""
    seen, declared = set(), 0
    for count, item in enumerate(items, 1):
        if isinstance(item, zipfile.ZipInfo):
            name, size, folder = item.filename, item.file_size, item.is_dir()
            regular = stat.S_IFMT(item.external_attr >> 16) in (0, stat.S_IFREG)
        else:
            name, size, folder, regular = item.name, item.size, item.isdir(), item.isreg()
        parts = [part for part in name.rstrip("/").split("/") if part != "."]
        key = unicodedata.normalize("NFC", "/".join(parts)).casefold()  # trùng nhau trên macOS hay Windows
        declared += size
        refusals = {
            "không phải tệp thường hay thư mục": not (regular or folder),
            "tên đi ra ngoài thư mục": ".." in parts or "" in parts,
            "tên có ký tự lạ": re.search(r"[\\:\x00-\x1f\x7f]", name),
            "trùng tên một mục khác": key in seen and not folder,
            f"quá {entries} mục": count > entries,
            "khai cỡ vượt giới hạn": declared > limit,
        }
        for why in (why for why, true in refusals.items() if true):
            raise Refused(f"{name!r}: {why}")
        if not folder:
            seen.add(key)
            yield item, "/".join(parts)


def safe_extract(archive, target, entries=1000, total=200 * 2**30, ratio=100):
    """Mở ZIP hay tar vào `target`, phải là thư mục chưa có. Bị từ chối thì không để lại gì."""
    if os.path.lexists(target):
        raise Refused(f"{target.name} đã có: hãy chọn thư mục mới")
    zipped, written = archive.suffix == ".zip", 0
    limit = min(total, ratio * archive.stat().st_size)  # bom nén cỡ nghìn lần; trọng số thì không
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".dang-mo-") as place:
        (inside := Path(place, "inside")).mkdir()  # bản thân thư mục tạm có quyền 0700: đừng lấy nó làm đích
        try:
            if archive.suffix == ".zst":
                import zstandard  # trước Python 3.14, thư viện chuẩn không có zstd
            stream = zstandard.open(archive, "rb") if archive.suffix == ".zst" else archive.open("rb")
            with stream, zipfile.ZipFile(stream) if zipped else tarfile.open(fileobj=stream, mode="r|*") as file:
                items = checked(file.infolist() if zipped else file, entries, limit)
                for item, name in list(items) if zipped else items:  # ZIP: hỏi hết rồi mới ghi; tar: đọc đâu hỏi đó
                    (inside / name).parent.mkdir(parents=True, exist_ok=True)
                    source = file.open(item) if zipped else file.extractfile(item)
                    with source, (inside / name).open("xb") as sink:
                        while block := source.read(2**20):
                            written += len(block)
                            if written > limit:  # đừng chỉ tin cỡ khai trong gói
                                raise Refused(f"{name!r}: bung ra vượt giới hạn")
                            sink.write(block)
        except Refused:
            raise
        except Exception as error:
            raise Refused(f"gói hỏng: {error or type(error).__name__}") from error
        inside.rename(target)


# --- hết khối ---

# %% Gói độc
LINK, HARD, FIFO, DEVICE = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE
OUT = "../outside/planted.txt"
EVIL = {  # tên: các mục (tên, nội dung hay chỗ trỏ tới, loại khi không phải tệp thường)
    "absolute": [(f"{root}/outside/planted.txt", b"evil")],  # tên tuyệt đối
    "dotdot": [(OUT, b"evil")],
    "symlink": [("d", "../outside", LINK), ("d/planted.txt", b"evil")],  # ghi xuyên qua liên kết
    "hardlink": [("h", "../outside/secret.txt", HARD), ("h", b"evil")],  # ghi đè xuyên qua liên kết cứng
    "leak": [("config.json", "../outside/secret.txt", LINK)],  # liên kết ra ngoài, không ghi gì
    "fifo": [("model.safetensors", b"", FIFO)],  # ai mở để đọc thì đứng chờ mãi
    "device": [("model.safetensors", b"", DEVICE)],
    "twice": [("config.json", b"good"), ("config.json", b"evil")],
    "case": [("config.json", b"good"), ("Config.json", b"evil")],
    "backslash": [("..\\outside\\planted.txt", b"evil")],
    "many": [(f"{number}.json", b"") for number in range(1001)],
    "bomb": [("model.safetensors", bytes(20 * 2**20))],  # toàn số không: nén còn một phần nghìn
    "huge": [("model.safetensors", b"")],  # khai cỡ rất lớn mà không có dữ liệu
}
NAMED = ("absolute", "dotdot", "symlink", "leak", "twice", "case", "backslash", "many", "bomb")  # ZIP cũng chứa được


def make_zip(path, items):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data, *kind in items:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFLNK | 0o777 if kind else stat.S_IFREG | 0o644) << 16
            file.writestr(info, data)


def make_tar(path, items):
    with tarfile.open(path, "w:gz") as file:
        for name, data, *kind in items:
            info = tarfile.TarInfo(name)
            if kind:
                info.type, info.linkname = kind[0], data if isinstance(data, str) else ""
            info.size = 0 if kind else len(data)
            if path.name.startswith("huge"):
                info.size = 2**50
                file.fileobj.write(info.tobuf())
            else:
                file.addfile(info, io.BytesIO(data) if not kind else None)


(archives := root / "archives").mkdir()
for name, items in EVIL.items():
    make_tar(archives / f"{name}.tar.gz", items)
    if name in NAMED:
        make_zip(archives / f"{name}.zip", items)
make_zip(lying := archives / "lying.zip", EVIL["bomb"])  # sửa cỡ khai trong gói: bom mà nói mình có mười byte
lying.write_bytes(lying.read_bytes().replace((20 * 2**20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
torch.manual_seed(0)
(good := root / "good").mkdir()
save_file(weights := {"weight": torch.randn(50, 40)}, good / "model.safetensors")
for make, suffix in ((make_zip, ".zip"), (make_tar, ".tar.gz")):
    make(archives / f"good{suffix}", [("model.safetensors", (good / "model.safetensors").read_bytes())])

# %% Thử một công cụ


def attempt(extract, archive):
    """Mở gói vào một thư mục trống, nói chuyện gì đã xảy ra và lời báo lỗi nếu có."""
    for folder in (target := root / "target", outside := root / "outside"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    (outside / "secret.txt").write_bytes(b"secret")
    try:
        message = extract(archive, target) or ""
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
    found = [path for path in target.rglob("*") if path.is_symlink() or not path.is_dir()]
    if [path.read_bytes() for path in outside.iterdir()] != [b"secret"]:
        return "GHI RA NGOÀI", message
    if any(path.is_symlink() or not path.is_file() for path in found):
        return "để lại vật lạ", message
    return ("từ chối" if message else "mở" if found else "lặng lẽ bỏ qua"), message


def command(*words):
    """Lệnh của hệ điều hành; lời báo lỗi khi nó kết thúc không tốt."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace")
    return (done.stderr or done.stdout).strip() if done.returncode else ""


def python_tar(archive, target, filter):
    with tarfile.open(archive) as file:
        file.extractall(target, filter=filter)


def python_zip(archive, target):
    with zipfile.ZipFile(archive) as file:
        file.extractall(target)


def ours(archive, target):
    target.rmdir()  # safe_extract đòi một thư mục chưa có
    if args.damage == "trust" and archive.suffix == ".gz":
        return python_tar(archive, target, "fully_trusted")
    return safe_extract(archive, target, **({"ratio": 10**9} if args.damage == "limit" else {}))


# %% Hàm của ta
print("== Hàm của ta ==")
own, said = {}, {}
for archive in sorted(archives.iterdir()):
    own[archive.name], said[archive.name] = attempt(ours, archive)
    if own[archive.name] == "mở" and archive.stem.startswith("good"):
        same = torch.equal(load_file(root / "target/model.safetensors")["weight"], weights["weight"])
        said[archive.name] = f"trọng số {'đúng từng bit' if same else 'SAI'}"
    message = said[archive.name].replace(str(root), "…").removeprefix("Refused: ")
    print(f"{archive.name:<18} {own[archive.name]}: {message[:90]}")
left = sorted(path.name for path in root.iterdir())

# %% Công cụ có sẵn
print("\n== Công cụ có sẵn ==")
TOOLS = {  # filter viết rõ: mặc định của Python đổi từ fully_trusted sang data ở bản 3.14
    "zipfile": (".zip", python_zip),
    "unpack_zip": (".zip", lambda archive, target: shutil.unpack_archive(archive, target)),
    "unzip": (".zip", lambda archive, target: command("unzip", "-o", "-q", archive, "-d", target)),
    "data": (".tar.gz", lambda archive, target: python_tar(archive, target, "data")),
    "trusted": (".tar.gz", lambda archive, target: python_tar(archive, target, "fully_trusted")),
    "unpack_tar": (".tar.gz", lambda archive, target: shutil.unpack_archive(archive, target, filter="fully_trusted")),
    "tar": (".tar.gz", lambda archive, target: command("tar", "-xf", archive, "-C", target)),
}
tools = {}
for tool, (suffix, extract) in TOOLS.items():
    kinds = [name for name in EVIL if (archives / f"{name}{suffix}").exists()]
    kinds.remove("many")  # không công cụ nào ở đây đếm mục: khỏi tạo cả nghìn tệp
    if tool in ("trusted", "unpack_tar", "tar"):
        kinds.remove("device")  # là root thì chúng tạo tệp thiết bị thật: không thử
    tools[tool] = {name: attempt(extract, archives / f"{name}{suffix}")[0] for name in kinds}
    print(f"{tool}:")
    for outcome in sorted(set(tools[tool].values())):
        print(f"    {outcome}: {', '.join(name for name in kinds if tools[tool][name] == outcome)}")

# %% Thư mục đã có
print("\n== Thư mục đã có ==")
(mine := root / "mine").mkdir()
(mine / "model.safetensors").write_bytes(b"mine")
try:
    safe_extract(archives / "good.zip", mine)
    kept = False
except Refused as error:
    kept = (mine / "model.safetensors").read_bytes() == b"mine"
    print(error)

# %% Đối chứng
print("\n== Đối chứng ==")
evil = {name: outcome for name, outcome in own.items() if not name.startswith("good")}
out = [tool for tool, found in tools.items() if "GHI RA NGOÀI" in found.values()]
checks = {
    "refused": (f"safe_extract từ chối cả {len(evil)} gói độc", set(evil.values()) == {"từ chối"}),
    "clean": ("và không để lại gì", left == ["archives", "good", "outside"]),
    "lines": ("mỗi lần một dòng", all(0 < len(said[name].splitlines()) < 2 for name in evil)),
    "good": (
        "gói lành: mở được, trọng số đúng từng bit",
        all("đúng" in said[f"good{end}"] for end in (".zip", ".tar.gz")),
    ),
    "kept": ("thư mục đã có thì không đụng tới", kept),
    "out": (f"công cụ để gói ghi ra ngoài: {', '.join(out)}", out == ["trusted", "unpack_tar"]),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "evil": len(evil), "own": own, "tools": tools}
    approx = {"bomb": {"value": 20 * 2**20 / (archives / "bomb.zip").stat().st_size, "rel": 0.1}}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: một gói độc đã lọt, hoặc gói lành không mở được.\n")
print("ĐÃ CHỨNG MINH: safe_extract từ chối mọi gói độc, và gói lành mở ra đúng từng bit.")
