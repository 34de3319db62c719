"""Soi checkpoint trước khi mở: làm hỏng một bản lành theo nhiều cách, rồi xem công cụ nói gì.

    python checkpoint_report.py                    # mô hình tí hon, không cần mạng
    python checkpoint_report.py --break unlisted   # quên ghi bản kê: đối chứng phải trượt
    python checkpoint_report.py --break opened     # mở tệp lạ trước khi soi: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 60 giây, 1,5 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers, và verify_checkpoint.py nằm cạnh script này
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói, hay thiếu verify_checkpoint.py.
"""

# %% Chuẩn bị
import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOOL = Path("verify_checkpoint.py").resolve()
MARK = "MA_LA_DA_CHAY.txt"  # dấu vết của mã gài trong tệp lạ; nó chỉ tạo tệp rỗng này
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("unlisted", "opened"), help="làm sai quy trình")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors tokenizers\n")
if not TOOL.is_file():
    parser.exit(3, f"Thiếu {TOOL.name}: tải nó ở trang của bài rồi đặt cạnh script này.\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
root = Path((temporary := tempfile.TemporaryDirectory()).name)

# %% Dựng
bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator(["Soi rồi mới mở."], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>")
shape = {"n_layer": 2, "n_head": 2, "n_embd": 64, "n_positions": 128, "vocab_size": len(tokenizer)}
config = GPT2Config(**shape, bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id)


def build(seed):
    """Một GPT-2 tí hon; mọi tensor được xê dịch, vì tensor toàn 0 hay toàn 1 che mất lỗi."""
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(config).requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return model


class Evil:
    def __reduce__(self):  # pickle gọi hàm này với đối số này lúc tải
        return exec, (f"open({MARK!r}, 'w').close()",)


# %% Lưu
model, other = build(0), build(1)
model.save_pretrained(root / "model")
tokenizer.save_pretrained(root / "model")
model.save_pretrained(root / "sharded", max_shard_size="100KB")  # vài mảnh và index.json
(root / "pt").mkdir()
torch.save(model.state_dict(), root / "pt/model.pt")
torch.save({**model.state_dict(), "note": Evil()}, root / "evil.pt")  # trọng số thật, thêm một vật lạ
other.save_pretrained(root / "other")

# %% Gọi công cụ


def ask(path, *options):
    """Chạy công cụ như người dùng chạy; (mã thoát, các dòng nó in)."""
    command = [sys.executable, "-X", "utf8", str(TOOL), str(path), *options]
    done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", timeout=300)
    if done.stderr:
        parser.exit(1, f"TRƯỢT: công cụ kêu ở stderr: {done.stderr.strip()[-200:]}\n")
    return done.returncode, done.stdout.strip().splitlines()


# %% Soi thư mục lành
print("== Soi thư mục lành ==")
code, lines = ask("model")
print("→ python verify_checkpoint.py model", *lines, f"mã thoát {code}", sep="\n")
good = [code]

# %% Ghi bản kê
print("\n== Ghi bản kê ==")
for name in "model", "sharded", "pt":
    code, lines = ask(name) if args.damage == "unlisted" else ask(name, "--write-manifest")
    good += [code, ask(name)[0]]  # có bản kê rồi thì soi lại cũng phải tốt
    if name == "model":
        print("→ python verify_checkpoint.py model --write-manifest", lines[-2], sep="\n")

# %% Làm hỏng


def flip(path, place):
    """Lật một bit ở byte `place` (số âm: tính từ cuối)."""
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def edit(path, **facts):
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | facts), encoding="utf-8")


def add_token(path):
    data = json.loads(path.read_text(encoding="utf-8"))
    token = {"id": len(tokenizer), "content": "<mới>", "special": False, "normalized": False}
    data["added_tokens"].append(token | {"single_word": False, "lstrip": False, "rstrip": False})
    path.write_text(json.dumps(data), encoding="utf-8")


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def zero_tail(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


weights, pt = "model.safetensors", "model.pt"
DAMAGE = {  # tên: (bản nào, làm gì với thư mục ấy)
    "cut": ("model", lambda d: cut(d / weights)),
    "length_bit": ("model", lambda d: flip(d / weights, 1)),
    "name_bit": ("model", lambda d: flip(d / weights, (d / weights).read_bytes().index(b"mlp"))),
    "data_bit": ("model", lambda d: flip(d / weights, -1)),
    "zero_tail": ("model", lambda d: zero_tail(d / weights)),
    "config_layers": ("model", lambda d: edit(d / "config.json", n_layer=3)),
    "config_tie": ("model", lambda d: edit(d / "config.json", tie_word_embeddings=False)),
    "config_heads": ("model", lambda d: edit(d / "config.json", n_head=4)),
    "token_added": ("model", lambda d: add_token(d / "tokenizer.json")),
    "other_weights": ("model", lambda d: shutil.copy(root / "other" / weights, d)),
    "shard_missing": ("sharded", lambda d: max(d.glob("*.safetensors")).unlink()),
    "pt_cut": ("pt", lambda d: cut(d / pt)),
    "pt_data_bit": ("pt", lambda d: flip(d / pt, (d / pt).stat().st_size // 2)),
    "pt_poisoned": ("pt", lambda d: shutil.copy(root / "evil.pt", d / pt)),
}
print("\n== Làm hỏng ==")
cases = {}
for name, (source, damage) in DAMAGE.items():
    folder = root / "damaged" / name
    shutil.copytree(root / source, folder)
    damage(folder)
    if args.damage == "opened" and name == "pt_poisoned":
        torch.load(folder / pt, weights_only=False)  # đúng điều không được làm với tệp lạ
    listed, _ = ask(folder)
    (folder / "SHA256.json").unlink(missing_ok=True)  # như chưa từng có bản kê
    bare, lines = ask(folder)
    said = next((line for line in lines if line.startswith(("HỎNG ", "NGUY HIỂM "))), "")
    cases[name] = {"bare": bare, "listed": listed, "said": " ".join(said.split())}
    print(f"{name:<14} không bản kê {bare}, có bản kê {listed}  {cases[name]['said']}")

# %% Đối chứng
print("\n== Đối chứng ==")
unseen = [name for name, case in cases.items() if not case["bare"]]
ran = Path(MARK).exists() or (root / MARK).exists()
checks = {
    "good": ("bản lành, trước và sau khi ghi bản kê: tốt, không báo nhầm", not any(good)),
    "listed": ("có bản kê: thấy mọi chỗ hỏng", all(case["listed"] == 1 for case in cases.values())),
    "unseen": (
        "không bản kê: bỏ sót đúng những loại mà công cụ nói trước",
        unseen == ["data_bit", "zero_tail", "config_heads", "other_weights"],
    ),
    "danger": ("tệp gài mã: nói là nguy hiểm", cases["pt_poisoned"]["said"].startswith("NGUY HIỂM")),
    "nothing_ran": ("mã gài trong tệp chưa hề chạy", not ran),
}
Path(MARK).unlink(missing_ok=True)
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    counts = {"damages": len(cases), "unseen": len(unseen)}
    args.json.write_text(json.dumps({"exact": {"checks": verdict, "cases": cases, **counts}}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: công cụ không nói điều phải nói, hoặc nó được dùng quá muộn.\n")
print("ĐÃ CHỨNG MINH: có bản kê thì chỗ hỏng nào cũng lộ, và tệp lạ được soi mà không được chạy.")
