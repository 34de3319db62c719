"""Quyền, liên kết và đường dẫn ở nơi đến: vì sao tệp có đó mà tài khoản khác «không thấy».

    python arrival_permissions.py            # là root thì đọc bằng tài khoản nobody
    QUICK=1 python arrival_permissions.py    # mô hình nhỏ hơn, để thử nhanh

Không phải root thì script dời ba bit quyền của «người khác» lên chỗ của chủ tệp rồi tự đọc: cùng
một phép thử.

Tốn (cỡ mặc định): không quá 120 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers; lệnh unzip; và pack_and_receive.py ở bên cạnh
Chạy trên Linux: quyền và tài khoản ở nơi khác thì khác.
"""

# %% Chuẩn bị
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

# Phải đặt trước khi nhập transformers. Bộ nhớ đệm trống: không lẫn với mô hình bạn đã tải về.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = "hub"
os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"

import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from pack_and_receive import pack, receive

QUICK = os.environ.get("QUICK") == "1"
LAYERS = 2
if QUICK:
    LAYERS = 1
NOBODY = 65534  # tài khoản không có quyền gì, trên mọi Linux

temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
place = root / "place"  # nơi đến
place.mkdir()
os.umask(0o022)  # umask thường gặp: tệp mới ai cũng đọc được


def mode(path):
    """Quyền của tệp, viết như ls -l."""
    return stat.filemode(path.lstat().st_mode)


# %% Lưu
print("== Lưu ==")
torch.manual_seed(0)
sizes = {"n_layer": LAYERS, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
saved = {}
for umask in ("022", "077"):
    os.umask(int(umask, 8))
    folder = root / f"umask-{umask}"
    model.save_pretrained(folder)
    saved[umask] = {path.name: mode(path) for path in sorted(folder.iterdir())}
    print(f"umask {umask}")
    for name, bits in saved[umask].items():
        print(f"    {bits} {name}")
os.umask(0o022)
source = root / "umask-022"

# %% Các đường chuyển


def run(*words):
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


def copy(source, target):
    run("cp", "-r", source, target)


def tar(source, target):
    with tarfile.open(root / "a.tar", "w") as file:
        file.add(source, target.name)
    with tarfile.open(root / "a.tar") as file:
        file.extractall(target.parent, filter="data")


def unzip(source, target):
    run("unzip", "-q", shutil.make_archive(root / "a", "zip", source), "-d", target)


def unpack_archive(source, target):
    shutil.unpack_archive(shutil.make_archive(root / "a", "zip", source), target)


def pack_and_receive(source, target):
    archive = root / f"{target.name}.zip"
    pack(source, archive)
    receive(archive, target)


def open_first(source, target):
    """Mở quyền ở nơi đi rồi mới chép."""
    opened = root / "opened"
    copy(source, opened)
    run("chmod", "-R", "a+rX", opened)
    copy(opened, target)


ROUTES = {
    "cp -r": copy,
    "tar": tar,
    "unzip": unzip,
    "unpack_archive": unpack_archive,
    "pack và receive": pack_and_receive,
    "chmod rồi cp": open_first,
}
modes = {}
for route, carry in ROUTES.items():
    carry(source, place / route)
    modes[route] = mode(place / route / "model.safetensors")

# Tệp ai cũng đọc được, nhưng thư mục thì không cho đi qua (quyền x).
shutil.copytree(root / "opened", place / "no_x")
(place / "no_x").chmod(0o744)
shutil.copytree(root / "opened", place / "parent/model")
(place / "parent").chmod(0o700)
FOR_OTHERS = [*ROUTES, "no_x", "parent/model"]

# %% Bộ nhớ đệm của Hub
snapshot = root / "cache/models--x--y/snapshots/main"  # tệp thật ở blobs, ở đây chỉ có liên kết
blobs = root / "cache/models--x--y/blobs"
snapshot.mkdir(parents=True)
blobs.mkdir()
for path in source.iterdir():
    shutil.copy(path, blobs / path.name)
    (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")


def copy_through(source, target):
    run("cp", "-rL", source, target)


LINK_ROUTES = {
    "cp -r (bộ đệm)": copy,
    "tar (bộ đệm)": tar,
    "cp -rL (bộ đệm)": copy_through,
    "zip (bộ đệm)": unpack_archive,
    "pack (bộ đệm)": pack_and_receive,
}
seen = {}
for route, carry in LINK_ROUTES.items():
    try:
        carry(snapshot, place / route)
    except tarfile.TarError as error:  # không có gì ở nơi đến để tải
        seen[route] = {"kind": type(error).__name__, "message": str(error).replace(str(root), "…")}

# %% Đọc ở nơi đến
shutil.copytree(source, place / "nested/model")  # gói có thêm một tầng thư mục ở ngoài
PATHS = ["modle", "./modle", "team/modle", "nested", "nested/model"]


def load_all(folders, user):
    """Trong tiến trình mới: tải từng thư mục, ghi lại loại lỗi và dòng đầu của thông báo lỗi."""
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    found = {}
    for folder in folders:
        try:
            AutoModelForCausalLM.from_pretrained(folder)
            found[folder] = {"kind": "tải được", "message": ""}
        except Exception as error:
            message = str(error).splitlines()[0]
            found[folder] = {"kind": type(error).__name__, "message": message}
    return found


def in_new_process(function, *arguments):
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        return process.submit(function, *arguments).result()


def give_owner_the_rights_of_others(folder):
    """Cho chủ tệp đúng những quyền mà người khác có; tệp trước, thư mục chứa nó sau."""
    for path in sorted([folder, *folder.rglob("*")], reverse=True):
        path.chmod((path.stat().st_mode & 0o007) << 6)


# Đứng sẵn ở nơi đến rồi tải theo tên: thư mục tạm ở phía trên chỉ chủ của nó đi qua được.
before = Path.cwd()
os.chdir(place)
mine = [route for route in LINK_ROUTES if route not in seen]
seen |= in_new_process(load_all, [*mine, *PATHS], None)
if os.geteuid() == 0:
    seen |= in_new_process(load_all, FOR_OTHERS, NOBODY)
else:
    for name in FOR_OTHERS:
        give_owner_the_rights_of_others(place / Path(name).parts[0])
    seen |= in_new_process(load_all, FOR_OTHERS, None)
try:
    Path("modle").resolve(strict=True)  # hỏi trước khi tải
    asked = "không có lỗi"
except OSError as error:
    asked = f"{type(error).__name__}: {error.strerror}"
os.chdir(before)

# %% Tài khoản khác
print("\n== Tài khoản khác ==")


def show(name):
    print(f"{name:<16} {modes.get(name, ''):<11}{seen[name]['kind']}")
    if seen[name]["message"]:
        print(f"    {seen[name]['message']}")


for name in FOR_OTHERS:
    show(name)

# %% Liên kết
print("\n== Liên kết ==")
for name in LINK_ROUTES:
    show(name)

# %% Đường dẫn
print("\n== Đường dẫn ==")
for name in PATHS:
    show(name)
print(f"Path('modle').resolve(strict=True): {asked}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


def all_are(names, kind):
    return all(seen[name]["kind"] == kind for name in names)


private = [files["model.safetensors"] for files in saved.values()]
kept = [route for route in ROUTES if modes[route] == "-rw-------"]
readable = ["unpack_archive", "pack và receive", "chmod rồi cp"]
through = ["cp -rL (bộ đệm)", "zip (bộ đệm)", "pack (bộ đệm)"]
loaded = "tải được"
report("saved", private == ["-rw-------"] * 2, "umask nào thì tệp trọng số cũng là -rw-------")
report("kept", kept == ["cp -r", "tar", "unzip"], f"giữ quyền đó: {', '.join(kept)}")
report("misled", all_are(kept, "FileNotFoundError"), "người khác gặp FileNotFoundError")
report("opened", all_are(readable, loaded), f"người khác tải được: {', '.join(readable)}")
blocked = seen["no_x"]["kind"] != loaded and seen["parent/model"]["kind"] != loaded
report("blocked", blocked, "thư mục không cho đi qua: không tải được")
report("dangling", all_are(["cp -r (bộ đệm)"], "ValueError"), "chép liên kết: không tải được")
refused = all_are(["tar (bộ đệm)"], "LinkOutsideDestinationError")
report("filter", refused, "tarfile từ chối liên kết lúc mở")
report("through", all_are(through, loaded), "chép qua liên kết, và pack: tải được")
report("typo", all_are(PATHS[:3], "OSError"), "gõ sai đường dẫn: bị coi là tên trên Hub")
report("strict", asked.startswith("FileNotFoundError"), "resolve(strict=True) báo đúng chỗ sai")
nested = all_are(["nested"], "ValueError") and all_are(["nested/model"], loaded)
report("nested", nested, "lồng một tầng: phải tải tầng trong")

# %% Kết quả
kinds = {name: found["kind"] for name, found in seen.items()}
results = {"exact": {"checks": checks, "saved": saved, "modes": modes, "kinds": kinds}}
if not all(checks.values()):
    sys.exit("TRƯỢT: ở nơi đến có điều khác với những gì trang này nói.")
