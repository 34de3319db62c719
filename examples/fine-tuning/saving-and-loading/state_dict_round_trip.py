"""Lưu state_dict của một mô hình PyTorch, tải lại trong tiến trình mới, chứng minh nó y nguyên.

    python state_dict_round_trip.py                  # cỡ GPT-2 small, trọng số ngẫu nhiên, không cần mạng
    python state_dict_round_trip.py --size tiny      # mô hình tí hon, để thử nhanh
    python state_dict_round_trip.py --out luu        # giữ tệp; chạy lần nữa: chỉ tải và đối chứng
    python state_dict_round_trip.py --break untie    # quên một dòng khi tải: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 90 giây, 3 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers
Mã thoát: 0 đã chứng minh; 1 trượt hoặc tệp hỏng; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import inspect
import json
import subprocess
import sys
import tempfile
from pathlib import Path

NEW_BUFFER = "model.register_buffer('mask', torch.ones(1, device='meta'), persistent=False); "
BREAK = {  # cách phá: (phá cái gì, phép đổi)
    # lật bit thấp nhất của một số ở giữa tệp: trong .pt dữ liệu nằm thô, bắt đầu ở bội của 64 byte
    "weight": ("file", lambda raw: raw[: (i := len(raw) // 128 * 64)] + bytes([raw[i] ^ 1]) + raw[i + 1 :]),
    # lưu nhầm từ mô hình còn bọc trong DistributedDataParallel: mọi tên thêm «module.»
    "prefix": ("state", lambda state: {f"module.{name}": tensor for name, tensor in state.items()}),
    # tệp đúng hết, chỉ mã tải sai: quên một dòng; quên tắt dropout; lớp có buffer không nằm trong state_dict
    "untie": ("code", lambda code: code.replace("model.tie_weights()", "")),
    "train": ("code", lambda code: code.replace("model.eval()", "model.train()")),
    "buffer": ("code", lambda code: code.replace("state = ", NEW_BUFFER + "state = ")),
}
# GPT2Config() để nguyên là GPT-2 small
SIZES = {"gpt2": {}, "tiny": {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--size", choices=SIZES, default="gpt2", help="cỡ của mô hình")
parser.add_argument("--out", type=Path, help="thư mục giữ các tệp (mặc định: thư mục tạm, tự xoá)")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=BREAK, help="phá một chỗ, để xem đối chứng trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers\n")

out = args.out or Path((temporary := tempfile.TemporaryDirectory()).name)
folder, proof_file = out / "model", out / "proof.json"
try:
    fresh = not any(path.is_file() for path in out.rglob("*"))
    if not (fresh or folder.is_dir() or proof_file.is_file()) or (args.damage and not fresh):
        raise FileExistsError("đã có thứ khác, hoặc --break không đi với nó")
    if args.json and (args.json.is_dir() or out.absolute() in args.json.absolute().parents):
        raise IsADirectoryError(f"--json {args.json} phải là một tệp ngoài thư mục ấy")
    folder.mkdir(parents=True, exist_ok=True)
except OSError as error:
    parser.exit(2, f"Không dùng được {out}: {error.strerror or error}. Hãy chọn thư mục mới cho --out.\n")
target, change = BREAK.get(args.damage, (None, None))

# %% Quan sát


def observe(model):
    """Những gì phải y nguyên: từng byte của tensor, tên nào chung một tensor, số tham số, logits cuối."""
    tensors, owners = {}, {}
    for name, t in [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]:
        raw = t.detach().contiguous().flatten().view(torch.uint8).numpy()
        tensors[name] = [str(t.dtype), list(t.shape), hashlib.sha256(raw).hexdigest()]
        owners.setdefault(id(t), []).append(name)
    with torch.no_grad():  # câu thử là dãy id: state_dict không kèm tokenizer
        logits = model(torch.arange(0, 512, 32)[None]).logits[0, -1].tolist()
    tied = [" = ".join(names) for names in owners.values() if len(names) > 1]
    return {"tensors": tensors, "tied": tied, "parameters": model.num_parameters(), "logits": logits}


def memory():
    """Ba số của Linux, tính bằng byte: đỉnh, đang dùng, và phần riêng không tính tệp được ánh xạ."""
    path = Path("/proc/self/status")
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines()) if path.exists() else {}
    return [int(lines.get(key, "0").split()[0]) * 1024 for key in ("VmHWM", "VmRSS", "RssAnon")]


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

# %% Dựng
print("== Dựng ==")
if fresh:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**SIZES[args.size], bos_token_id=0, eos_token_id=0)).eval()
    with torch.no_grad():  # tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng". Nên cộng nhiễu.
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
print(f"{model.num_parameters()} tham số" if fresh else "đã lưu từ lần trước")

# %% Lưu
if fresh:
    torch.save(model.state_dict(), folder / "model.pt")  # chỉ có tên và tensor
    model.config.to_json_file(folder / "config.json")  # hình dạng mô hình không nằm trong state_dict: lưu riêng

# %% Tệp đã lưu
print("\n== Tệp đã lưu ==")
if target == "state":
    torch.save(change(model.state_dict()), folder / "model.pt")
sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
print(*(f"{size:>11} byte  {name}" for name, size in sizes.items()), sep="\n")

# %% Giữ bằng chứng
if fresh:  # proof.json ghi sau cùng: có nó nghĩa là đã lưu xong
    proof_file.write_text(sealed({"files": digests(folder), **observe(model)}), encoding="utf-8")
if target == "file":
    (folder / "model.pt").write_bytes(change((folder / "model.pt").read_bytes()))

# %% Cách tải


def load(folder):
    """Dựng khung rỗng rồi gắn thẳng tensor của tệp vào: không khởi tạo, không chép."""
    with torch.device("meta"):  # có tên và kích thước, chưa có số nào
        model = GPT2LMHeadModel(GPT2Config.from_json_file(folder / "config.json"))
    state = torch.load(folder / "model.pt", map_location="cpu", weights_only=True, mmap=True)
    model.load_state_dict(state, assign=True)
    model.tie_weights()  # assign=True đã tách hai tên chung một tensor
    if empty := [name for name, buffer in model.named_buffers() if buffer.is_meta]:
        raise ValueError(f"state_dict không chứa {empty} (persistent=False): hãy tự tạo lại")
    return model.eval()  # tắt dropout


def load_textbook(folder):
    """Cách thường gặp: khởi tạo mọi số, đọc thêm một bản vào bộ nhớ, rồi chép đè."""
    model = GPT2LMHeadModel(GPT2Config.from_json_file(folder / "config.json"))
    model.load_state_dict(torch.load(folder / "model.pt", map_location="cpu", weights_only=True))
    return model.eval()


# %% Tiến trình mới
CHILD = f"""
import hashlib, json, sys, torch
from pathlib import Path
from transformers import GPT2Config, GPT2LMHeadModel
{inspect.getsource(observe)}
{inspect.getsource(memory)}
{inspect.getsource(load)}
{inspect.getsource(load_textbook)}
torch.manual_seed(0)  # dropout, nếu quên tắt
sys.tracebacklimit, load_it = 0, {{"load": load, "load_textbook": load_textbook}}[sys.argv[1]]
_, before, own_before = memory()
model = load_it(Path(sys.argv[2]))
own = memory()[2] - own_before
seen = observe(model)
print(json.dumps({{"cost": {{"peak": memory()[0] - before, "own": own}}, **seen}}))
"""

# %% Tải lại
print("\n== Tải lại ==")
code = change(CHILD) if target == "code" else CHILD
if not proof_file.is_file():
    parser.exit(1, f"TRƯỢT: {out} chưa lưu xong hoặc mất proof.json: hãy xoá nó rồi lưu lại.\n")
seen = {}
try:
    _, proof = json.loads(text := proof_file.read_text(encoding="utf-8"))
    if sealed(proof) != text:
        raise ValueError("proof.json đã bị sửa")
    changed = sorted({name for name, _ in proof["files"].items() ^ digests(folder).items()})
    if changed and not args.damage:  # tệp lạ thì không mở
        raise ValueError(f"thiếu, thừa hoặc khác lúc lưu: {', '.join(changed)}")
    for way in ["load"] if args.damage else ["load", "load_textbook"]:
        command = [sys.executable, "-X", "utf8", "-c", code, way, str(folder)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
        seen[way] = json.loads(done.stdout) if done.returncode == 0 else {}
except Exception as error:
    parser.exit(1, f"TRƯỢT: {out} hỏng, hãy chép lại bản gốc. {' '.join(str(error).split())[-200:]}\n")
new = seen["load"]
# có lỗi: ba dòng cuối, cắt ngắn
print("không có lỗi" if new else "\n".join([s.strip()[:92] for s in done.stderr.splitlines() if s.strip()][-3:]))

# %% Đối chứng
print("\n== Đối chứng ==")
old, logits = torch.tensor(proof["logits"]), torch.tensor(new.get("logits", [float("nan")]))  # nan: chưa tải được
difference = (logits - old).abs().max().item()
checks = {
    "files": (f"{len(proof['files'])} tệp; đã đổi, mất hay thừa: {', '.join(changed) or 'không'}", not changed),
    "load": ("tải không lỗi, không thiếu hay thừa tên nào", bool(new)),
    "weights": (f"{len(proof['tensors'])} tên tensor bằng nhau từng bit", proof["tensors"] == new.get("tensors")),
    "ties": (f"tên chung tensor: {', '.join(new.get('tied', [])) or 'không'}", proof["tied"] == new.get("tied")),
    "logits": (f"logits lệch nhiều nhất {difference:.2g}", torch.allclose(logits, old, rtol=1.3e-6, atol=1e-5)),
}
approx = {"logits_difference": {"value": difference, "rel": 0.05, "abs": 1e-5}} if new else {}
if fresh and new:  # mô hình gốc còn đây: đo thêm khoảng cách tới nó, bằng float64
    state = torch.load(folder / "model.pt", weights_only=True)
    epsilon = sum(torch.dist(state[n].double(), p.double()).item() ** 2 for n, p in model.named_parameters()) ** 0.5
    checks["epsilon"] = (f"khoảng cách tới tham số gốc: {epsilon:.2g}", epsilon == 0)
    approx["epsilon"] = {"value": epsilon, "rel": 0.05, "abs": 1e-6}
if "load_textbook" in seen:
    same = seen["load_textbook"].get("tensors") == proof["tensors"]
    checks["textbook"] = ("cách thường gặp cũng cho những bit ấy", same)
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")

# %% Giá của hai cách tải
if "load_textbook" in seen:
    print("\n== Giá của hai cách tải ==")
    for way, facts in seen.items():  # bộ nhớ tăng thêm, so với cỡ tệp
        cost = {key: facts["cost"][key] / sizes["model.pt"] for key in ("peak", "own")}
        approx |= {f"{way}_{key}": {"value": value, "abs": 0.15} for key, value in cost.items()}
        print(f"{way:<14} đỉnh {cost['peak']:.2f} × tệp; riêng {cost['own']:.2f} × tệp")

# %% Kết luận
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "parameters": proof["parameters"], "tensors": len(proof["tensors"]), "files": sizes}
    exact |= {"tied": proof["tied"], "bytes_beyond_4_per_parameter": sizes.get("model.pt", 0) - 4 * proof["parameters"]}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: cái tải lại không phải cái đã lưu.\n")
print("ĐÃ CHỨNG MINH: cái tải lại chính là cái đã lưu.")
