"""Bản kê của tệp, của từng tensor và của một câu thử: ghi lúc lưu, kiểm lúc nhận, và vì sao cần cả ba.

    python tensor_manifest.py                      # mô hình tí hon, không cần mạng
    python tensor_manifest.py --break bit          # lật một bit trên đường đi: đối chứng phải trượt
    python tensor_manifest.py --break dtype        # tệp đúng, tải nhầm kiểu số: đối chứng phải trượt
    python tensor_manifest.py --break tokenizer    # thay tokenizer rồi băm lại tệp: đối chứng phải trượt
    python tensor_manifest.py --break attack       # sửa trọng số, sửa luôn bản kê: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 60 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
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

TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."  # để dạy tokenizer; cũng là câu thử
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
WEIGHTS = "model.safetensors"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("bit", "dtype", "tokenizer", "attack"), help="phá một chỗ")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    import transformers
    from safetensors.torch import load_file, save_file
    from tokenizers import ByteLevelBPETokenizer, Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors tokenizers\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
root = Path((temporary := tempfile.TemporaryDirectory()).name)
transformers.logging.disable_progress_bar()

# %% Lập bản kê


def file_sums(folder):
    """Tên tệp → số byte, SHA-256."""
    sums = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        sums[path.relative_to(folder).as_posix()] = [path.stat().st_size, digest]
    return sums


def tensor_sums(state):
    """Tên tensor → kiểu số, kích thước, SHA-256 của các byte. Không dính gì tới tệp chứa nó."""
    sums = {}
    for name, tensor in state.items():
        raw = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        sums[name] = [str(tensor.dtype), list(tensor.shape), hashlib.sha256(raw).hexdigest()]
    return sums


def golden(model, tokenizer, text):
    """Câu thử: dãy id của nó, và logits ở vị trí cuối."""
    ids = tokenizer(text).input_ids
    with torch.inference_mode():
        logits = model(torch.tensor([ids], device=model.device)).logits[0, -1]
    return {"text": text, "ids": ids, "logits": logits.float().tolist()}


def manifest_of(folder, model, tokenizer, text):
    """Gọi ngay sau khi lưu, khi mô hình còn trong bộ nhớ và đang ở eval()."""
    parts = {"files": file_sums(folder), "tensors": tensor_sums(model.state_dict())}
    return json.dumps({**parts, **golden(model, tokenizer, text)}, indent=1)


# %% Kiểm lúc nhận


def verify(folder, text, sha256, **options):
    """Những gì không như lúc lưu, rẻ trước đắt sau. Chỉ danh sách rỗng mới là tốt."""
    wrong = ["bản kê không phải bản đã giữ"] if hashlib.sha256(text.encode()).hexdigest() != sha256 else []
    manifest, files = json.loads(text), file_sums(folder)
    named = sorted(files.keys() | manifest["files"].keys())
    wrong += [f"tệp {name}" for name in named if files.get(name) != manifest["files"].get(name)]
    if wrong:
        return wrong  # tệp lạ thì không mở
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **options)
    seen = golden(model, AutoTokenizer.from_pretrained(folder), manifest["text"])
    old, new = torch.tensor(manifest["logits"]), torch.tensor(seen["logits"])
    checks = {
        "báo cáo tải": not any(report.values()),
        "tensor": tensor_sums(model.state_dict()) == manifest["tensors"],
        "dãy id": seen["ids"] == manifest["ids"],
        "logits": torch.allclose(new, old, rtol=1.3e-6, atol=1e-5),
    }
    return [name for name, passed in checks.items() if not passed]


# %% Dựng
def tokenizer_of(text):
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([text], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(bpe.to_str()), eos_token="<|endoftext|>")


tokenizer = tokenizer_of(TEXT)
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)).eval().requires_grad_(False)
for parameter in model.parameters():  # tensor toàn 0 hay toàn 1: mất rồi tạo lại vẫn "đúng"
    parameter.add_(torch.randn_like(parameter), alpha=0.02)

# %% Lưu
folder = root / "model"
model.save_pretrained(folder)
tokenizer.save_pretrained(folder)
text = manifest_of(folder, model, tokenizer, TEXT)
(root / "manifest.json").write_text(text, encoding="utf-8")  # đi cùng thư mục, không nằm trong nó
sha256 = hashlib.sha256(text.encode()).hexdigest()  # giữ ở chỗ khác: kho mã, thư, giấy

# %% Phá
raw = (folder / WEIGHTS).read_bytes()
tampered = raw[:-4] + bytes([raw[-4] ^ 1]) + raw[-3:]  # lật bit thấp nhất của số cuối cùng


def rewritten(text, folder):
    """Bản kê mà phần tệp được băm lại: nó khớp với bất cứ thứ gì đang nằm trong thư mục."""
    return json.dumps({**json.loads(text), "files": file_sums(folder)}, indent=1)


options = ""
if args.damage in ("bit", "attack"):
    (folder / WEIGHTS).write_bytes(tampered)
if args.damage == "tokenizer":  # thay trước khi băm: bản kê của tệp, và SHA-256 của nó, đều là của bản sai
    tokenizer_of(TEXT[20:]).save_pretrained(folder)
    text = rewritten(text, folder)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
if args.damage == "attack":  # kẻ sửa trọng số sửa luôn bản kê, nhưng không với tới SHA-256 bạn giữ
    new = AutoModelForCausalLM.from_pretrained(folder)
    text = manifest_of(folder, new, tokenizer, TEXT)
if args.damage == "dtype":
    options = ", dtype=torch.bfloat16"
(root / "manifest.json").write_text(text, encoding="utf-8")

# %% Tiến trình mới
CHILD = f"""
import hashlib, json, sys, torch
from pathlib import Path
from transformers import AutoModelForCausalLM, AutoTokenizer
{"".join(map(inspect.getsource, (file_sums, tensor_sums, golden, verify)))}
folder, sha256 = Path(sys.argv[1]), sys.argv[2]
text = (folder.parent / "manifest.json").read_text(encoding="utf-8")
beside = hashlib.sha256(text.encode()).hexdigest()  # tin bất cứ bản kê nào nằm cạnh tệp
print(json.dumps([verify(folder, text, known{options}) for known in (sha256, beside)]))
"""

# %% Bên nhận
print("== Bên nhận ==")
command = [sys.executable, "-X", "utf8", "-c", CHILD, str(folder), sha256]
done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
if done.returncode:
    parser.exit(1, f"TRƯỢT: không tải được. {done.stderr.strip()[-200:]}\n")
wrong, trusting = json.loads(done.stdout)
print(f"bản kê phải có SHA-256 đã giữ:  khác lúc lưu: {', '.join(wrong) or 'không'}")
print(f"tin luôn bản kê nằm cạnh tệp:   khác lúc lưu: {', '.join(trusting) or 'không'}")

# %% Nhiều vật chứa
print("\n== Nhiều vật chứa ==")
state = dict(model.named_parameters())  # mỗi tensor một tên, như tệp safetensors của thư viện
boxes = root / "boxes"
(boxes / "elsewhere").mkdir(parents=True)
model.save_pretrained(boxes / "again")
model.save_pretrained(boxes / "shards", max_shard_size=200_000)
save_file(state, boxes / "plain.safetensors")  # thư viện còn ghi thêm {"format": "pt"} vào phần đầu
save_file({name: tensor.bfloat16() for name, tensor in state.items()}, boxes / "half.safetensors")
for path in ("model.pt", "elsewhere/model.pt", "renamed.pt"):
    torch.save(state, boxes / path)
KINDS = {  # khoá: (nhãn, các tệp, so byte với tệp nào)
    "again": ("thư mục, lưu lần nữa", [boxes / "again" / WEIGHTS], raw),
    "plain": ("save_file", [boxes / "plain.safetensors"], raw),
    "shards": ("thư mục chia mảnh", sorted((boxes / "shards").glob("*.safetensors")), raw),
    "pt": (".pt", [boxes / "model.pt"], raw),
    "elsewhere": (".pt cùng tên, thư mục khác", [boxes / "elsewhere/model.pt"], (boxes / "model.pt").read_bytes()),
    "renamed": (".pt tên khác", [boxes / "renamed.pt"], (boxes / "model.pt").read_bytes()),
    "half": ("save_file, bfloat16", [boxes / "half.safetensors"], raw),
}
print(f"{'':<28}{'tệp':>5}{'cùng byte':>12}{'cùng tensor':>13}")
boxed = {}
for key, (label, paths, other) in KINDS.items():
    found = {}
    for path in paths:
        found |= torch.load(path, weights_only=True) if path.suffix == ".pt" else load_file(path)
    boxed[key] = {"files": len(paths), "bytes": [path.read_bytes() for path in paths] == [other]}
    boxed[key]["tensors"] = tensor_sums(found) == tensor_sums(state)
    print(f"{label:<28}{len(paths):>5}", *(f"{'có' if boxed[key][k] else 'không':>12}" for k in ("bytes", "tensors")))

# %% Đối chứng
print("\n== Đối chứng ==")
same = [key for key, box in boxed.items() if box["tensors"]]
checks = {
    "arrived": (f"bên nhận thấy khác: {', '.join(wrong) or 'không'}", not wrong),
    "tensors": (f"{len(same)} vật chứa cho cùng những tensor", same == [key for key in KINDS if key != "half"]),
    "bytes": ("hai tệp .pt cùng nội dung, khác tên: khác byte", not boxed["renamed"]["bytes"]),
    "half": ("bfloat16: tensor khác", not boxed["half"]["tensors"]),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    counts = {"files": len(file_sums(folder)), "tensors": len(model.state_dict()), "ids": len(json.loads(text)["ids"])}
    exact = {"checks": verdict, "wrong": wrong, "trusting": trusting, "boxed": boxed, **counts}
    exact["sizes"] = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    args.json.write_text(json.dumps({"exact": exact}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: cái nhận được không phải cái đã lưu.\n")
print("ĐÃ CHỨNG MINH: bên nhận có đúng những tệp, những tensor và những câu trả lời lúc lưu.")
