"""Đặt mọi số của embedding bằng 1, lưu, tải lại: phép kiểm mean(E) = 1 thấy gì và không thấy gì.

    python ones_embedding.py                  # cỡ GPT-2 small, trọng số ngẫu nhiên, không cần mạng
    python ones_embedding.py --size tiny      # mô hình tí hon, để thử nhanh
    python ones_embedding.py --out luu        # giữ tệp; chạy lần nữa: chỉ tải và đối chứng
    python ones_embedding.py --break mlp      # lưu nhầm mô hình: mean(E) vẫn bằng 1, đối chứng phải trượt

Tốn (cỡ mặc định): không quá 60 giây, 4 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers safetensors
Mã thoát: 0 đã chứng minh; 1 trượt hoặc tệp hỏng; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import copy
import hashlib
import inspect
import json
import subprocess
import sys
import tempfile
from pathlib import Path

BREAK = {  # cách phá mô hình vừa lưu; cả ba đều giữ mean(E) = 1
    "mlp": lambda model: model.transformer.h[0].mlp.c_fc.weight.zero_(),  # không đụng E
    "mean": lambda model: model.transformer.wte.weight.view(-1, 2).copy_(torch.tensor([0.0, 2.0])),  # không số nào là 1
    "untie": lambda model: model.set_output_embeddings(copy.deepcopy(good.lm_head)),  # lm_head tách ra, giữ số cũ
}
# GPT2Config() để nguyên là GPT-2 small
SIZES = {"gpt2": {}, "tiny": {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--size", choices=SIZES, default="gpt2", help="cỡ của mô hình")
parser.add_argument("--out", type=Path, help="thư mục giữ các tệp (mặc định: thư mục tạm, tự xoá)")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=BREAK, help="phá mô hình vừa lưu, để xem đối chứng trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors\n")

out = args.out or Path((temporary := tempfile.TemporaryDirectory()).name)
folder, proof_file, approx = out / "model", out / "proof.json", {}
try:
    fresh = not any(path.is_file() for path in out.rglob("*"))
    if not (fresh or folder.is_dir() or proof_file.is_file()) or (args.damage and not fresh):
        raise FileExistsError("đã có thứ khác, hoặc --break không đi với nó")
    if args.json and (args.json.is_dir() or out.absolute() in args.json.absolute().parents):
        raise IsADirectoryError(f"--json {args.json} phải là một tệp ngoài thư mục ấy")
    folder.mkdir(parents=True, exist_ok=True)
except OSError as error:
    parser.exit(2, f"Không dùng được {out}: {error.strerror or error}. Hãy chọn thư mục mới cho --out.\n")

# %% Quan sát


def spread(model):
    """Logits ở vị trí cuối: phương sai theo từ vựng, và lớn nhất trừ nhỏ nhất."""
    logits = model(torch.arange(0, 512, 32)[None]).logits[0, -1].double()
    return logits.var(correction=0).item(), (logits.max() - logits.min()).item()


def observe(model):
    """E, so thẳng với 1; từng byte của mọi tensor khác, kể cả lm_head nếu nó không chung tensor với E; logits."""
    embedding, items = model.transformer.wte.weight, model.named_parameters()
    tensors = {name: hashlib.sha256(t.detach().numpy()).hexdigest() for name, t in items if t is not embedding}
    facts = {"ones": (embedding == 1).all().item(), "mean": embedding.mean(dtype=torch.float64).item()}
    facts |= {"tied": model.lm_head.weight is embedding, "spread": spread(model), "tensors": tensors}
    return {**facts, "sizes": {"embedding": embedding.numel(), "parameters": model.num_parameters()}}


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
if fresh:
    torch.manual_seed(0)
    good = GPT2LMHeadModel(GPT2Config(**SIZES[args.size], bos_token_id=0, eos_token_id=0)).eval().requires_grad_(False)
    # tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng". Nên cộng nhiễu.
    for parameter in good.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.02)

# %% Đặt E bằng một
if fresh:
    print("== Đặt E bằng một ==")
    model = copy.deepcopy(good)  # bản sao: lm_head chung tensor với E nên cũng thành toàn 1, mô hình này coi như bỏ
    model.transformer.wte.weight.fill_(1)
    embedding = good.transformer.wte.weight.double()  # cộng ngần này số bằng float32 thì sai thấy được
    norm, expected = (1 - embedding).norm().item(), embedding.numel() ** 0.5
    approx |= {"norm": {"value": norm, "rel": 1e-3}, "norm_ratio": {"value": norm / expected, "rel": 1e-3}}
    print(f"‖ΔE‖ = {norm:.2f}; √(V·d) = {expected:.2f}; tỉ số {norm / expected:.5f}")
    print(f"E chiếm {embedding.numel() / good.num_parameters():.1%} của {good.num_parameters()} tham số")

# %% Phương sai đầu ra
if fresh:
    print("\n== Phương sai đầu ra ==")
    broken = copy.deepcopy(good)
    broken.transformer.h[0].mlp.c_fc.weight.copy_(good.transformer.h[0].mlp.c_fc.weight.flip(0))
    variance = {"good": spread(good)[0], "shuffled": spread(broken)[0], "ones": spread(model)[0]}
    broken.load_state_dict({name: tensor * 0 for name, tensor in broken.state_dict().items()})
    variance["zero"], _ = spread(broken)
    approx |= {f"variance_{name}": {"value": value, "rel": 0.05, "abs": 1e-6} for name, value in variance.items()}
    for value, label in zip(variance.values(), ("tốt", "MLP đảo thứ tự hàng", "E toàn 1", "toàn 0"), strict=True):
        print(f"{value:<10.4g} mô hình {label}")

# %% Lưu
if fresh:
    model.save_pretrained(folder)
    proof_file.write_text(sealed({"files": digests(folder), **observe(model)}), encoding="utf-8")  # ghi sau cùng
if args.damage:
    BREAK[args.damage](model)
    model.save_pretrained(folder)

# %% Tiến trình mới
CHILD = f"""
import hashlib, json, sys, torch
from transformers import AutoModelForCausalLM
{inspect.getsource(spread)}{inspect.getsource(observe)}
model, report = AutoModelForCausalLM.from_pretrained(sys.argv[1], use_safetensors=True, output_loading_info=True)
print(json.dumps({{"report": [key for key, found in report.items() if found], **observe(model)}}))
"""

# %% Tải lại
print("\n== Tải lại ==")
command = [sys.executable, "-X", "utf8", "-c", CHILD, str(folder)]
if not proof_file.is_file():
    parser.exit(1, f"TRƯỢT: {out} chưa lưu xong hoặc mất proof.json: hãy xoá nó rồi lưu lại.\n")
try:
    _, proof = json.loads(text := proof_file.read_text(encoding="utf-8"))
    if sealed(proof) != text:
        raise ValueError("proof.json đã bị sửa")
    changed = sorted({name for name, _ in proof["files"].items() ^ digests(folder).items()})
    if changed and not args.damage:  # tệp lạ thì không mở
        raise ValueError(f"thiếu, thừa hoặc khác lúc lưu: {', '.join(changed)}")
    seen = json.loads(subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=300).stdout)
except Exception as error:
    reason = getattr(error, "stderr", None) or str(error)
    parser.exit(1, f"TRƯỢT: {out} hỏng, hãy chép lại bản gốc. {reason.strip().splitlines()[-1]}\n")
approx["range"] = {"value": seen["spread"][1], "rel": 0.05, "abs": 1e-3}
print(f"logits ở vị trí cuối: lớn nhất trừ nhỏ nhất = {seen['spread'][1]:.4g}")

# %% Đối chứng
print("\n== Đối chứng ==")
different = ", ".join(sorted({name for name, _ in proof["tensors"].items() ^ seen["tensors"].items()}))
checks = {
    "files": (f"{len(proof['files'])} tệp; đã đổi, mất hay thừa: {', '.join(changed) or 'không'}", not changed),
    "report": (f"báo cáo tải: {', '.join(seen['report']) or 'rỗng'}", not seen["report"]),
    "mean": (f"mean(E) = {seen['mean']}: phép kiểm của bài gốc", seen["mean"] == 1),
    "ones": (f"cả {proof['sizes']['embedding']} số của E bằng 1", seen["ones"]),
    "others": (f"{len(proof['tensors'])} tensor khác bằng nhau từng bit; lệch: {different or 'không'}", not different),
    "tie": ("lm_head vẫn chung tensor với E", seen["tied"]),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
exact = {"checks": {name: row[1] for name, row in checks.items()}, **proof["sizes"]}
if args.json:
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(exact["checks"].values()):
    parser.exit(1, "TRƯỢT: cái tải lại không phải cái đã lưu.\n")
print("ĐÃ CHỨNG MINH: cái tải lại chính là cái đã lưu.")
