"""Lưu một mô hình Hugging Face, tải lại trong tiến trình mới, chứng minh nó y nguyên.

    python hugging_face_round_trip.py                  # cỡ GPT-2 small, không cần mạng
    python hugging_face_round_trip.py --size tiny      # mô hình tí hon, để thử nhanh
    python hugging_face_round_trip.py --model gpt2     # gpt2 thật trên Hub, hoặc thư mục của bạn
    python hugging_face_round_trip.py --out luu        # giữ tệp; chạy lần nữa: chỉ tải và đối chứng
    python hugging_face_round_trip.py --break weight   # phá tệp vừa lưu: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 60 giây, 4 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers
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

BREAK = {  # cách phá: (tệp, phép đổi nội dung)
    "weight": ("model.safetensors", lambda raw: raw[:-4] + bytes([raw[-4] ^ 1]) + raw[-3:]),  # lật một bit
    "missing": ("model.safetensors", lambda raw: raw.replace(b"ln_f.bias", b"ln_f.bi_s")),  # đổi tên một tensor
    "config": ("config.json", lambda raw: raw.replace(b'"n_head": ', b'"n_head": 1, "old": ')),  # không đụng trọng số
}
TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."  # để dạy và thử tokenizer
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
SIZES = {"gpt2": {}, "tiny": TINY}  # GPT2Config() để nguyên là GPT-2 small

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--model", help="tên trên Hub hoặc thư mục (mặc định: GPT-2 trọng số ngẫu nhiên)")
parser.add_argument("--size", choices=SIZES, default="gpt2", help="cỡ của mô hình mặc định")
parser.add_argument("--out", type=Path, help="thư mục giữ các tệp (mặc định: thư mục tạm, tự xoá)")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=BREAK, help="phá tệp vừa lưu (mô hình mặc định)")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from tokenizers import ByteLevelBPETokenizer, Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors tokenizers\n")

out = args.out or Path((temporary := tempfile.TemporaryDirectory()).name)
folder, proof_file = out / "model", out / "proof.json"
try:
    fresh = not any(path.is_file() for path in out.rglob("*"))
    if not (fresh or folder.is_dir() or proof_file.is_file()) or (args.damage and args.model):
        raise FileExistsError("đã có thứ khác, hoặc --break đi cùng --model")
    if not fresh and (args.damage or args.model):
        raise FileExistsError("đã có mô hình, không đi cùng --break hay --model")
    if args.json and (args.json.is_dir() or out.absolute() in args.json.absolute().parents):
        raise IsADirectoryError(f"--json {args.json} phải là một tệp ngoài thư mục ấy")
    folder.mkdir(parents=True, exist_ok=True)
except OSError as error:
    parser.exit(2, f"Không dùng được {out}: {error.strerror or error}. Hãy chọn thư mục mới cho --out.\n")

# %% Quan sát


def observe(model, tokenizer, text):
    """Những gì phải y nguyên: từng byte của tensor, tên nào chung một tensor, dãy id, logits ở vị trí cuối."""
    tensors, owners = {}, {}
    for name, t in [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]:
        raw = t.detach().contiguous().flatten().view(torch.uint8).numpy()
        tensors[name] = [str(t.dtype), list(t.shape), hashlib.sha256(raw).hexdigest()]
        owners.setdefault(id(t), []).append(name)
    tied = [" = ".join(names) for names in owners.values() if len(names) > 1]
    ids = tokenizer(text).input_ids
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1].tolist()
    return {"tensors": tensors, "tied": tied, "parameters": model.num_parameters(), "ids": ids, "logits": logits}


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

# %% Cách tải


def load(folder):
    """Mô hình, tokenizer, và báo cáo tải: rỗng nghĩa là không tensor nào thiếu, thừa hay lệch cỡ."""
    model, report = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, output_loading_info=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return model, tokenizer, {key: sorted(map(str, found)) for key, found in report.items() if found}


# %% Dựng
print("== Dựng ==")
if not fresh:
    model = None  # thư mục đã có mô hình: không dựng, không lưu, chỉ tải và đối chứng
elif args.model:
    try:
        model, tokenizer, report = load(args.model)
        if report or not tokenizer(TEXT).input_ids:
            raise ValueError(f"tokenizer rỗng, hoặc báo cáo tải không rỗng: {report}")
    except Exception as error:
        code = 1 if Path(args.model, "config.json").exists() else 2  # 1: mô hình hỏng; 2: không phải mô hình
        parser.exit(code, f"Không tải được {args.model}: {str(error).splitlines()[0]}\n")
else:
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([TEXT], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
    bpe = Tokenizer.from_str(bpe.to_str())
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>")
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**SIZES[args.size], bos_token_id=0, eos_token_id=0)).eval()
    with torch.no_grad():  # tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng". Nên cộng nhiễu.
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)

print(f"{model.num_parameters()} tham số; tokenizer có {len(tokenizer)} token" if model else "đã lưu từ lần trước")

# %% Lưu
if fresh:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)

# %% Tệp đã lưu
print("\n== Tệp đã lưu ==")
sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
print(*(f"{size:>11} byte  {name}" for name, size in sizes.items()), sep="\n")

# %% Giữ bằng chứng
if fresh:  # proof.json ghi sau cùng: có nó nghĩa là đã lưu xong
    proof = {"files": digests(folder), **observe(model, tokenizer, TEXT)}
    proof_file.write_text(sealed(proof), encoding="utf-8")
if args.damage:
    name, change = BREAK[args.damage]
    (folder / name).write_bytes(change((folder / name).read_bytes()))

# %% Tiến trình mới
CHILD = f"""
import hashlib, json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
{inspect.getsource(load)}
{inspect.getsource(observe)}
model, tokenizer, report = load(sys.argv[1])
print(json.dumps({{"report": report, **observe(model, tokenizer, text=sys.argv[2])}}))
"""

# %% Tải lại
print("\n== Tải lại ==")
command = [sys.executable, "-X", "utf8", "-c", CHILD, str(folder), TEXT]
if not proof_file.is_file():
    parser.exit(1, f"TRƯỢT: {out} chưa lưu xong hoặc mất proof.json: hãy xoá nó rồi lưu lại.\n")
try:
    _, proof = json.loads(text := proof_file.read_text(encoding="utf-8"))
    if sealed(proof) != text:
        raise ValueError("proof.json đã bị sửa")
    changed = sorted({name for name, _ in proof["files"].items() ^ digests(folder).items()})
    if changed and not args.damage:  # tệp lạ thì không mở
        raise ValueError(f"thiếu, thừa hoặc khác lúc lưu: {', '.join(changed)}")
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=300)
    seen = json.loads(done.stdout)
    old, new = torch.tensor(proof["logits"]), torch.tensor(seen["logits"])
    difference = (new - old).abs().max().item()
except Exception as error:
    reason = getattr(error, "stderr", None) or str(error)
    parser.exit(1, f"TRƯỢT: {out} hỏng, hãy chép lại bản gốc. {reason.strip().splitlines()[-1]}\n")
print("báo cáo tải:", seen["report"] or "rỗng")

# %% Đối chứng
print("\n== Đối chứng ==")
loose = {"torch.bfloat16": 1.6e-2, "torch.float16": 1e-3}  # sai số của torch.testing.assert_close
rtol = max(loose.get(dtype, 1.3e-6) for dtype, *_ in proof["tensors"].values())
checks = {
    "files": (f"{len(proof['files'])} tệp, tệp đã đổi: {', '.join(changed) or 'không'}", not changed),
    "report": ("báo cáo tải rỗng", not seen["report"]),
    "weights": (f"{len(proof['tensors'])} tên tensor bằng nhau từng bit", seen["tensors"] == proof["tensors"]),
    "ties": (f"tên chung tensor: {', '.join(seen['tied']) or 'không'}", seen["tied"] == proof["tied"]),
    "tokenizer": ("tokenizer cho cùng dãy id", seen["ids"] == proof["ids"]),
    "logits": (f"logits lệch nhiều nhất {difference:.2g}", torch.allclose(new, old, rtol=rtol, atol=1e-5)),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "parameters": seen["parameters"], "tensors": len(seen["tensors"]), "files": sizes}
    beyond = sizes.get("model.safetensors", 0) - 4 * seen["parameters"]
    exact |= {"tied": seen["tied"], "bytes_beyond_4_per_parameter": beyond}
    approx = {"logits_difference": {"value": difference, "rel": 0.05, "abs": 1e-5}}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: cái tải lại không phải cái đã lưu.\n")
print("ĐÃ CHỨNG MINH: cái tải lại chính là cái đã lưu.")
