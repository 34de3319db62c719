"""Mở gói độc bằng các công cụ có sẵn: ai từ chối, ai để gói ghi ra ngoài, ai lặng lẽ bỏ sót.

    python safe_extraction.py    # mọi gói đều vô hại, mọi thứ ở trong một thư mục tạm

Tốn (cỡ mặc định): không quá 60 giây, 1 GiB bộ nhớ, 0,5 GiB đĩa.
Cần: pip install matplotlib; hai lệnh tar, unzip; và safe_extract.py ở bên cạnh
Chạy trên Linux: nơi khác, công cụ và hệ tệp xử sự khác.
"""

# %% Chuẩn bị
import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
from pathlib import Path

import matplotlib.pyplot as plt

from safe_extract import safe_extract

BOMB = 20 * 2**20  # byte toàn số 0: nén còn một phần nghìn
if os.environ.get("QUICK") == "1":
    BOMB = 5 * 2**20
GOOD = {"config.json": b'{"model_type": "gpt2"}', "model.safetensors": bytes(range(256)) * 8}

temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
archives = root / "archives"
archives.mkdir()
warnings.simplefilter("ignore")  # zipfile nhắc khi ta cố ý ghi hai tên giống nhau

# %% Hai cách viết gói


def make_zip(name, *entries):
    """ZIP từ các mục (tên, nội dung, loại); loại của tệp thường là S_IFREG."""
    with zipfile.ZipFile(archives / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for path, data, kind in entries:
            info = zipfile.ZipInfo(path)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (kind | 0o644) << 16
            file.writestr(info, data)


def make_tar(name, *entries):
    """tar từ các mục (tên, nội dung, loại); nội dung của một liên kết là chỗ nó trỏ tới."""
    with tarfile.open(archives / f"{name}.tar", "w") as file:
        for path, data, kind in entries:
            info = tarfile.TarInfo(path)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(data)
            else:
                info.linkname = data
            file.addfile(info, io.BytesIO(data) if info.size else None)


def make_both(name, *files):
    """Cùng những tệp thường, trong ZIP và trong tar."""
    make_zip(name, *[(path, data, stat.S_IFREG) for path, data in files])
    make_tar(name, *[(path, data, tarfile.REGTYPE) for path, data in files])


# %% Gói lành và gói độc
OUTSIDE = "../outside/planted.txt"
make_both("good", *GOOD.items())
make_both("absolute", (f"{root}/outside/planted.txt", b"evil"))
make_both("dotdot", (OUTSIDE, b"evil"))
make_both("twice", ("config.json", b"good"), ("config.json", b"evil"))
make_both("case", ("config.json", b"good"), ("Config.json", b"evil"))
make_both("bomb", ("model.safetensors", bytes(BOMB)))

make_zip("symlink", ("d", "../outside", stat.S_IFLNK), ("d/planted.txt", b"evil", stat.S_IFREG))
link = ("d", "../outside", tarfile.SYMTYPE)
make_tar("symlink", link, ("d/planted.txt", b"evil", tarfile.REGTYPE))
make_zip("leak", ("config.json", "../outside/secret.txt", stat.S_IFLNK))
make_tar("leak", ("config.json", "../outside/secret.txt", tarfile.SYMTYPE))
hard = ("h", "../outside/secret.txt", tarfile.LNKTYPE)
make_tar("hardlink", hard, ("h", b"evil", tarfile.REGTYPE))
make_tar("fifo", ("model.safetensors", "", tarfile.FIFOTYPE))


def compress_bomb():
    """tar chỉ phình khi được nén."""
    with tarfile.open(archives / "bomb.tar", "w:gz") as file:
        info = tarfile.TarInfo("model.safetensors")
        info.size = BOMB
        file.addfile(info, io.BytesIO(bytes(BOMB)))


def overlap():
    """ZIP có hai mục dùng chung dữ liệu: cả mục b.bin nằm trong nội dung của a.bin."""
    make_zip("inner", ("b.bin", bytes(5000), stat.S_IFREG))
    inner = archives / "inner.zip"
    with zipfile.ZipFile(inner) as file:
        entry = file.infolist()[0]
        content = inner.read_bytes()[: file.start_dir]
    inner.unlink()
    with zipfile.ZipFile(archives / "overlap.zip", "w") as file:
        file.writestr("a.bin", content)
        entry.header_offset = file.fp.tell() - len(content)
        file.filelist.append(entry)  # thêm một dòng vào mục lục, không thêm dữ liệu


def damage_header():
    """tar bị lật một bit ở phần đầu của mục thứ hai."""
    make_tar("damaged", *[(path, data, tarfile.REGTYPE) for path, data in GOOD.items()])
    path = archives / "damaged.tar"
    data = bytearray(path.read_bytes())
    data[data.index(b"model.safetensors")] ^= 1
    path.write_bytes(data)


def cut():
    """tar bị cắt đúng trước mục thứ hai."""
    make_tar("cut", *[(path, data, tarfile.REGTYPE) for path, data in GOOD.items()])
    path = archives / "cut.tar"
    os.truncate(path, path.read_bytes().index(b"model.safetensors"))


compress_bomb()
overlap()
damage_header()
cut()
PROBLEMS = {
    "absolute": "tên tuyệt đối",
    "dotdot": "tên có ..",
    "symlink": "ghi xuyên liên kết",
    "hardlink": "ghi xuyên liên kết cứng",
    "leak": "liên kết ra ngoài",
    "fifo": "ống dẫn (FIFO)",
    "twice": "hai tên trùng nhau",
    "case": "trùng khi bỏ hoa thường",
    "bomb": "bom nén",
    "overlap": "bom: mục chồng nhau",
    "damaged": "tar hỏng ở giữa",
    "cut": "tar bị cắt",
}

# %% Thử một công cụ


def attempt(extract, archive):
    """Mở gói vào một thư mục trống; chuyện gì đã xảy ra, và lời báo lỗi nếu có."""
    target = root / "target"
    outside = root / "outside"
    for folder in (target, outside):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    (outside / "secret.txt").write_bytes(b"secret")
    message = ""
    try:
        extract(archive, target)
    except Exception as error:
        message = str(error).replace(str(root), "…") or type(error).__name__
    found = []
    odd = []
    for path in target.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            odd.append(path)
        elif path.is_file():
            found.append(path)
    if [path.read_bytes() for path in outside.iterdir()] != [b"secret"]:
        return "ghi ra ngoài", message
    if odd:
        return "để lại vật lạ", message
    if message:
        return "từ chối", message
    if archive.stem in ("damaged", "cut") and len(found) < len(GOOD):
        return "im lặng thiếu tệp", message
    if not found:
        return "lặng lẽ bỏ qua", message
    return "mở", message


def command(*words):
    """Lệnh của hệ điều hành; kết thúc không tốt thì ném lời báo lỗi của nó."""
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode != 0:
        raise OSError((done.stderr or done.stdout).strip())


def python_zip(archive, target):
    with zipfile.ZipFile(archive) as file:
        file.extractall(target)


def unpack_archive(archive, target):
    shutil.unpack_archive(archive, target)


def unzip(archive, target):
    command("unzip", "-o", "-q", archive, "-d", target)


def tar_data(archive, target):
    with tarfile.open(archive) as file:
        file.extractall(target, filter="data")


def tar_trusted(archive, target):
    with tarfile.open(archive) as file:
        file.extractall(target, filter="fully_trusted")


def tar(archive, target):
    command("tar", "-xf", archive, "-C", target)


def ours(archive, target):
    target.rmdir()  # safe_extract đòi một thư mục chưa có
    safe_extract(archive, target)


ZIP_TOOLS = {"zipfile": python_zip, "unpack_archive": unpack_archive, "unzip": unzip}
TAR_TOOLS = {"data": tar_data, "trusted": tar_trusted, "tar": tar}
TOOLS = {"zip": ZIP_TOOLS, "tar": TAR_TOOLS}

# %% safe_extract
print("== safe_extract ==")
own = {}
one_line = True
for problem in ["good", *PROBLEMS]:
    for suffix in TOOLS:
        archive = archives / f"{problem}.{suffix}"
        if archive.exists():
            outcome, message = attempt(ours, archive)
            own[archive.name] = outcome
            one_line = one_line and len(message.splitlines()) == (outcome != "mở")
            print(f"{archive.name:<14} {outcome}: {message}".rstrip(": "))
left = sorted(path.name for path in root.iterdir())

# %% Công cụ có sẵn
print("\n== Công cụ có sẵn ==")
table = {}
for suffix, tools in TOOLS.items():
    for tool, extract in tools.items():
        table[tool] = {}
        for problem in ["good", *PROBLEMS]:
            archive = archives / f"{problem}.{suffix}"
            if archive.exists():
                table[tool][problem] = attempt(extract, archive)[0]
        print(tool)
        for outcome in sorted(set(table[tool].values())):
            names = [problem for problem in table[tool] if table[tool][problem] == outcome]
            print(f"    {outcome}: {', '.join(names)}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


def tools_that(outcome):
    return [tool for tool in table if outcome in table[tool].values()]


hostile = [name for name in own if not name.startswith("good.")]
honest = [name for name in own if name.startswith("good.")]
refused = all(own[name] == "từ chối" for name in hostile)
report("refused", refused, f"safe_extract từ chối cả {len(hostile)} gói độc hay hỏng")
report("lines", one_line, "mỗi lần một dòng")
report("clean", left == ["archives", "outside"], "và không để lại gì")
report("good", all(own[name] == "mở" for name in honest), "gói lành thì mở")
opened = all(table[tool]["good"] == "mở" for tool in table)
report("all_open", opened, "công cụ nào cũng mở được gói lành")
outside_by = tools_that("ghi ra ngoài")
report("outside", outside_by == ["trusted"], "chỉ tarfile không lọc ghi ra ngoài")
bombs = [tool for tool in table if table[tool]["bomb"] == "mở"]
report("bombs", bombs == list(table), "không công cụ nào có giới hạn cỡ")
overlaps = [tool for tool in ZIP_TOOLS if table[tool]["overlap"] == "từ chối"]
report("overlaps", "unzip" in overlaps, "unzip từ chối bom có mục chồng nhau")
silent = "im lặng thiếu tệp"
damaged = [tool for tool in TAR_TOOLS if table[tool]["damaged"] == silent]
report("damaged", damaged == ["data", "trusted"], "tarfile im lặng khi tar hỏng ở giữa")
cut_short = [tool for tool in TAR_TOOLS if table[tool]["cut"] == silent]
report("cut", cut_short == list(TAR_TOOLS), "công cụ nào cũng im lặng khi tar bị cắt giữa hai mục")

# %% Kết quả
recorded = {tool: dict(outcomes) for tool, outcomes in table.items()}
for tool in ("zipfile", "unpack_archive"):
    del recorded[tool]["overlap"]  # tuỳ máy: các bản Python mới từ chối, bản cũ thì mở
bomb_ratio = BOMB / (archives / "bomb.zip").stat().st_size
results = {
    "exact": {"checks": checks, "hostile": len(hostile), "own": own, "tools": recorded},
    "approx": {"bomb": {"value": bomb_ratio, "rel": 0.1}},
}
if not all(checks.values()):
    sys.exit("TRƯỢT: một gói độc đã lọt, hay một công cụ xử sự khác với những gì trang này nói.")

# %% Vẽ
MARKS = {  # dấu, màu nền
    "từ chối": ("✓", "white"),
    "mở": ("–", "white"),
    "lặng lẽ bỏ qua": ("·", "white"),
    "im lặng thiếu tệp": ("?", "C1"),
    "để lại vật lạ": ("!", "C1"),
    "ghi ra ngoài": ("×", "C0"),
}
columns = [*table, "safe_extract"]
LABELS = {
    "data": "tarfile, data",
    "trusted": "tarfile, không lọc",
    "tar": "lệnh tar",
    "unzip": "lệnh unzip",
}
figure, axes = plt.subplots(figsize=(5.2, 5.2))
for row, problem in enumerate(PROBLEMS):
    for column, tool in enumerate(columns):
        outcome = table.get(tool, {}).get(problem)
        if tool == "safe_extract":
            outcome = own.get(f"{problem}.zip") or own.get(f"{problem}.tar")
        if outcome:
            mark, background = MARKS[outcome]
            ink = "black" if background == "white" else "white"
            axes.plot(column, row, "o", markersize=15, color=background)
            axes.text(column, row, mark, ha="center", va="center", color=ink)
axes.set_xlim(-0.6, len(columns) - 0.4)
axes.set_ylim(len(PROBLEMS) - 0.4, -0.6)
axes.xaxis.tick_top()
labels = [LABELS.get(tool, tool) for tool in columns]
axes.set_xticks(range(len(columns)), labels, rotation=40, ha="left")
axes.set_yticks(range(len(PROBLEMS)), PROBLEMS.values())
axes.tick_params(length=0)
axes.spines[:].set_visible(False)
figure.savefig("safe_extraction.svg")
