"""Quyền, liên kết và đường dẫn ở nơi đến: vì sao tệp có đó mà «không thấy», đo bằng tài khoản khác.

    python arrival_permissions.py                 # là root thì đọc bằng tài khoản nobody; chỉ chạy trên Linux
    python arrival_permissions.py --break chmod   # quên mở quyền trước khi gửi: đối chứng phải trượt
    python arrival_permissions.py --break links   # chép bộ đệm mà giữ liên kết: đối chứng phải trượt

Không phải root thì script dời ba bit quyền của «người khác» lên chỗ của chủ tệp rồi tự đọc: cùng một phép thử.

Tốn (cỡ mặc định): không quá 60 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors; và lệnh unzip
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
SIZES = {"small": TINY, "tiny": TINY | {"n_layer": 1}}
NOBODY = 65534  # tài khoản không có quyền gì, trên mọi Linux
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--size", choices=SIZES, default="small", help="cỡ của mô hình")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("chmod", "links"), help="bỏ một bước chữa")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
if sys.platform != "linux":
    parser.exit(2, "Bỏ qua: script này chỉ nói về quyền và liên kết trên Linux.\n")
if not hasattr(tarfile, "data_filter"):
    parser.exit(2, f"Cần Python 3.11.4 trở lên: {sys.version.split()[0]} chưa có filter của tarfile.\n")
try:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors\n")
if not shutil.which("unzip"):
    parser.exit(3, "Thiếu lệnh unzip. Cài bằng: apt install unzip\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
root = Path((temporary := tempfile.TemporaryDirectory()).name)
is_root = os.geteuid() == 0
os.umask(0o022)  # umask thường gặp: tệp mới ai cũng đọc được
(place := root / "place").mkdir()


def mode(path):
    """Quyền của tệp, viết như ls -l."""
    return stat.filemode(path.lstat().st_mode)


# %% Lưu
print("== Lưu ==")
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(**SIZES[args.size], bos_token_id=0, eos_token_id=0)).eval().requires_grad_(False)
for parameter in model.parameters():  # tensor toàn 0 hay toàn 1: mất rồi tạo lại vẫn "đúng"
    parameter.add_(torch.randn_like(parameter), alpha=0.02)
saved = {}
for mask in (0o022, 0o077):
    os.umask(mask)
    model.save_pretrained(folder := root / f"umask{mask:03o}")
    saved[f"{mask:03o}"] = {path.name: mode(path) for path in sorted(folder.iterdir())}
    print(f"umask {mask:03o}:", ", ".join(f"{name} {bits}" for name, bits in saved[f"{mask:03o}"].items()))
os.umask(0o022)
F = root / "umask022"

# %% Các đường chuyển


def run(*words):
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


def by_tar(source, target):
    with tarfile.open(root / "F.tar", "w") as file:
        file.add(source, target.name)
    with tarfile.open(root / "F.tar") as file:
        file.extractall(target.parent, filter="data")


def by_zip(source, target):
    shutil.unpack_archive(shutil.make_archive(root / "F", "zip", source), target)


def by_unzip(source, target):
    run("unzip", "-q", shutil.make_archive(root / "F", "zip", source), "-d", target)


def by_zipfile(source, target):
    with zipfile.ZipFile(shutil.make_archive(root / "F", "zip", source)) as file:
        file.extractall(target)


ROUTES = {
    "copytree": shutil.copytree,
    "cp -r": lambda source, target: run("cp", "-r", source, target),
    "tar": by_tar,
    "unzip": by_unzip,
    "zipfile": by_zipfile,
    "unpack_archive": by_zip,
}
for route, carry in ROUTES.items():
    carry(F, place / route)
shutil.copytree(F, opened := root / "opened")
if args.damage != "chmod":
    run("chmod", "-R", "a+rX", opened)  # ai cũng đọc được tệp và đi qua được thư mục
by_tar(opened, place / "opened")
for folder in ("no_entry", "parent/model"):  # tệp mở cho mọi người, thư mục thì không
    shutil.copytree(opened, place / folder)
(place / "no_entry").chmod(0o744)  # đọc được danh sách, không đi qua được
(place / "parent").chmod(0o700)
modes = {route: mode(place / route / "model.safetensors") for route in (*ROUTES, "opened")}

# %% Bộ đệm của Hub
(snapshot := root / "cache/models--x--y/snapshots/main").mkdir(parents=True)
(blobs := snapshot.parents[1] / "blobs").mkdir()
for path in F.iterdir():  # huggingface_hub giữ tệp thật ở blobs, còn snapshots chỉ có liên kết
    shutil.copy(path, blobs / path.name)
    (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")


def by_dereferenced_tar(source, target):
    with tarfile.open(root / "D.tar", "w", dereference=True) as file:
        file.add(source, target.name)
    with tarfile.open(root / "D.tar") as file:
        file.extractall(target.parent, filter="data")


LINKED = {
    "cp -r của bộ đệm": lambda source, target: run("cp", "-r", source, target),
    "tar của bộ đệm": by_tar,
    "zip của bộ đệm": by_zip,
    "cp -rL": lambda source, target: run("cp", "-r" if args.damage == "links" else "-rL", source, target),
    "dereference=True": by_dereferenced_tar,
}
links = {}
for way, carry in LINKED.items():
    try:
        carry(snapshot, place / way)
    except tarfile.TarError as error:
        links[way] = (type(error).__name__, str(error).split(" would")[0])

# %% Tiến trình mới
CHILD = """
import json, os, sys
from transformers import AutoModelForCausalLM, GPT2LMHeadModel
user, mine, other = map(json.loads, sys.argv[1:])
for folder in [*mine, None, *other]:
    if folder is None and user:  # thư viện nạp xong mới bỏ quyền root: có thể chỉ root vào được chỗ cài chúng
        os.setgroups([]); os.setgid(user); os.setuid(user)
    elif folder:
        try:
            model = AutoModelForCausalLM.from_pretrained(folder)
            print(json.dumps([folder, "tải được", ""]))
        except Exception as error:
            print(json.dumps([folder, type(error).__name__, str(error).split("\\n")[0]]))
"""
shutil.copytree(F, place / "nested/F")  # gói có thêm một tầng thư mục ở ngoài
PATHS = ("modle", "./modle", "team/modle", "nested", "nested/F")  # ba kiểu gõ sai, và thư mục lồng
mine, other = [*(way for way in LINKED if way not in links), *PATHS], [*modes, "no_entry", "parent/model"]
if not is_root:  # cho chủ tệp đúng những quyền mà người khác có; tệp trước, thư mục chứa nó sau
    paths = [path for name in other for path in (place / name, *(place / name).rglob("*"))]
    for path in sorted([place / "parent", *paths], reverse=True):
        path.chmod((path.stat().st_mode & 0o007) << 6)
# Đứng sẵn ở nơi đến rồi tải theo tên: thư mục tạm ở phía trên chỉ chủ của nó đi qua được.
command = [sys.executable, "-X", "utf8", "-c", CHILD, *map(json.dumps, (NOBODY if is_root else 0, mine, other))]
env = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": "hub", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
done = subprocess.run(command, cwd=place, env=env, capture_output=True, encoding="utf-8", timeout=300)
if done.returncode:
    parser.exit(1, f"TRƯỢT: tiến trình con chết. {done.stderr.strip()[-200:]}\n")
seen = {name: (kind, message) for name, kind, message in map(json.loads, done.stdout.splitlines())} | links


def show(name, before=""):
    kind, message = seen[name]
    print(f"{before}{name}: {kind}{f': {message}' if message else ''}")


# %% Tài khoản khác
print("\n== Tài khoản khác ==")
print("người đọc:", f"tài khoản {NOBODY}" if is_root else "chính bạn, mang quyền của người khác")
for name in other:
    show(name, f"{modes.get(name, ''):<11}")

# %% Liên kết
print("\n== Liên kết ==")
for way in LINKED:
    show(way)

# %% Đường dẫn
print("\n== Đường dẫn ==")
for path in PATHS:
    show(path)
try:
    (place / "modle").resolve(strict=True)  # hỏi trước khi tải
    asked = "không có lỗi"
except OSError as error:
    asked = f"{type(error).__name__}: {error.strerror}"
print(f"Path('modle').resolve(strict=True): {asked}")

# %% Đối chứng
print("\n== Đối chứng ==")
kept = [route for route in ROUTES if modes[route] == "-rw-------"]
kinds = {name: kind for name, (kind, _) in seen.items()}
weights = {files["model.safetensors"] for files in saved.values()}
checks = {
    "saved": (f"umask nào thì tệp trọng số cũng là {', '.join(weights)}", weights == {"-rw-------"}),
    "routes": (f"giữ quyền ấy: {', '.join(kept)}", kept == ["copytree", "cp -r", "tar", "unzip"]),
    "misled": ("và người khác gặp FileNotFoundError", {kinds[route] for route in kept} == {"FileNotFoundError"}),
    "opened": ("mở quyền trước khi gửi: người khác tải được", kinds["opened"] == "tải được"),
    "folders": (
        "thư mục không cho đi qua: không tải được",
        "tải được" not in (kinds["no_entry"], kinds["parent/model"]),
    ),
    "dangling": ("chép nguyên liên kết: không tải được", kinds["cp -r của bộ đệm"] == "ValueError"),
    "filter": ("tarfile từ chối liên kết", kinds["tar của bộ đệm"] == "LinkOutsideDestinationError"),
    "followed": ("chép qua liên kết: tải được", {kinds[way] for way in list(LINKED)[2:]} == {"tải được"}),
    "typo": ("gõ sai đường dẫn: bị coi là tên trên Hub", {kinds[path] for path in PATHS[:3]} == {"OSError"}),
    "strict": ("resolve(strict=True) báo đúng chỗ sai", asked.startswith("FileNotFoundError")),
    "nested": (
        "lồng một tầng: phải tải tầng trong",
        (kinds["nested"], kinds["nested/F"]) == ("ValueError", "tải được"),
    ),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "saved": saved, "modes": modes, "kinds": kinds}
    args.json.write_text(json.dumps({"exact": exact}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: ở nơi đến còn thư mục không tải được.\n")
print("ĐÃ CHỨNG MINH: mở quyền và chép qua liên kết thì ai cũng tải được.")
