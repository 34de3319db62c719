"""Ba cách lưu chứa gì: state_dict, thư mục Hugging Face, checkpoint. Lưu cả ba, mở lại từng cái và hỏi.

    python what_is_saved.py                     # cỡ GPT-2 small, không cần mạng
    python what_is_saved.py --size tiny         # mô hình tí hon, để thử nhanh
    python what_is_saved.py --break optimizer   # quên optimizer khi ghi checkpoint: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 90 giây, 5 GiB bộ nhớ, 3 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import json
import sys
import tempfile
from pathlib import Path

BREAK = {"optimizer": "checkpoint", "tokenizer": "folder"}  # quên lưu phần nào: cách lưu nào sẽ thiếu
# GPT2Config() để nguyên là GPT-2 small
SIZES = {"gpt2": {}, "tiny": {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}}
PARTS = {"wte": "embedding", "wpe": "vị trí", "attn": "attention", "mlp": "MLP", "ln": "chuẩn hoá"}  # theo tên tensor
TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--size", choices=SIZES, default="gpt2", help="cỡ của mô hình")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=BREAK, help="quên lưu phần này, để xem đối chứng trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from safetensors.torch import load_file
    from tokenizers import ByteLevelBPETokenizer, Tokenizer
    from transformers import AutoConfig, AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors tokenizers\n")
if args.json and args.json.is_dir():
    parser.exit(2, f"--json {args.json} phải là một tệp.\n")
out = Path((temporary := tempfile.TemporaryDirectory()).name)

# %% Huấn luyện hai bước
print("== Huấn luyện hai bước ==")
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(**SIZES[args.size], bos_token_id=0, eos_token_id=0)).train()
bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator([TEXT], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(bpe.to_str()), eos_token="<|endoftext|>")
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=10)
ids = torch.tensor([tokenizer(TEXT).input_ids])
step = 0
while step < 2:  # optimizer chỉ có trạng thái sau bước đầu tiên
    logits = model(ids).logits[0, :-1]  # mỗi vị trí đoán token kế tiếp
    torch.nn.functional.cross_entropy(logits, ids[0, 1:]).backward()
    optimizer.step()
    scheduler.step()
    optimizer.zero_grad()
    step += 1
print(f"{model.num_parameters()} tham số, {step} bước, tốc độ học {scheduler.get_last_lr()[0]:.2g}")

# %% Lưu ba cách
torch.save(model.state_dict(), out / "state_dict.pt")

model.save_pretrained(out / "folder")
if args.damage != "tokenizer":
    tokenizer.save_pretrained(out / "folder")

checkpoint = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
checkpoint |= {"step": step, "rng": torch.get_rng_state()}
if args.damage == "optimizer":
    del checkpoint["optimizer"]
torch.save(checkpoint, out / "checkpoint.pt")
after = torch.rand(3)  # ba số ngẫu nhiên đầu tiên sau lúc lưu

# %% Mở lại
loose = torch.load(out / "state_dict.pt", weights_only=True, mmap=True)
whole = torch.load(out / "checkpoint.pt", weights_only=True, mmap=True)
sources = {  # đưa ba cách về cùng một dạng: tên phần → nội dung
    "state_dict": {"model": loose},
    "folder": {
        "model": load_file(out / "folder/model.safetensors"),
        "config": AutoConfig.from_pretrained(out / "folder"),
        **({"tokenizer": AutoTokenizer.from_pretrained(out / "folder")} if args.damage != "tokenizer" else {}),
    },
    "checkpoint": whole,
}

# %% Hỏi từng cái


def same(old, new):
    """Hai thứ có bằng nhau từng bit không: tensor, số, hay từ điển và danh sách của chúng."""
    if isinstance(old, torch.Tensor):
        a, b = (tensor.detach().reshape(-1).view(torch.uint8) for tensor in (old, new))
        return old.dtype == new.dtype and old.shape == new.shape and torch.equal(a, b)
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(same(old[key], new[key]) for key in old)
    return old == new


def next_numbers(state):
    """Ba số ngẫu nhiên tiếp theo nếu khôi phục trạng thái này."""
    torch.set_rng_state(state)
    return torch.rand(3)


weights = {name: tensor.detach() for name, tensor in model.named_parameters()}  # mỗi tensor một lần
questions = {  # câu hỏi: (tên phần, nội dung của nó có đúng là cái đã có lúc lưu không)
    "weights": ("model", lambda part: all(same(tensor, part[name]) for name, tensor in weights.items())),
    "config": ("config", lambda part: part.to_dict() | {"_name_or_path": ""} == model.config.to_dict()),
    "tokenizer": ("tokenizer", lambda part: part(TEXT).input_ids == ids[0].tolist()),
    "optimizer": ("optimizer", lambda part: same(optimizer.state_dict(), part)),
    "scheduler": ("scheduler", lambda part: same(scheduler.state_dict(), part)),
    "step": ("step", lambda part: part == step),
    "rng": ("rng", lambda part: same(after, next_numbers(part))),
}
has = {
    container: {question: part in parts and check(parts[part]) for question, (part, check) in questions.items()}
    for container, parts in sources.items()
}
print("\n== Hỏi từng cái ==")
print(f"{'':<12}", *(f"{container:<11}" for container in has))
for question in questions:
    print(f"{question:<12}", *(f"{'có' if answers[question] else 'không':<11}" for answers in has.values()))

# %% Byte nằm ở đâu
print("\n== Byte nằm ở đâu ==")
files = {path.name: path.stat().st_size for path in (out / "state_dict.pt", out / "checkpoint.pt")}
files["folder"] = sum(path.stat().st_size for path in (out / "folder").iterdir())
print(*(f"{size:>11} byte  {name}" for name, size in files.items()), sep="\n")
parts = dict.fromkeys(PARTS, 0)
for name, tensor in weights.items():
    parts[next(key for key in PARTS if key in name)] += tensor.nbytes
print(*(f"{size:>11} byte  trong đó {PARTS[part]}" for part, size in parts.items()), sep="\n")
states = whole.get("optimizer", {"state": {}})["state"].values()  # AdamW: hai trung bình cho mỗi tham số
moments = {key: sum(state[key].nbytes for state in states) for key in ("exp_avg", "exp_avg_sq")}
print(*(f"{size:>11} byte  {key} của AdamW" for key, size in moments.items()), sep="\n")

# %% Đối chứng
print("\n== Đối chứng ==")
expected = {
    "state_dict": {"weights"},
    "folder": {"weights", "config", "tokenizer"},
    "checkpoint": {"weights", "optimizer", "scheduler", "step", "rng"},
}
checks = {}
for container, answers in has.items():
    lost = expected[container] - {question for question in answers if answers[question]}
    checks[container] = not lost
    print(f"{'TRƯỢT' if lost else 'ĐẠT':<5}  {container}: điều phải có mà thiếu: {', '.join(sorted(lost)) or 'không'}")
if args.json:
    exact = {"checks": checks, "has": has, "files": files, "parts": parts, "moments": moments}
    exact |= {"weights": sum(parts.values()), "parameters": model.num_parameters()}
    args.json.write_text(json.dumps({"exact": exact}), encoding="utf-8")
if not all(checks.values()):
    parser.exit(1, "TRƯỢT: có thứ tưởng đã lưu mà không lấy lại được.\n")
print("ĐÃ CHỨNG MINH: mọi thứ mỗi cách phải giữ đều lấy lại được, từng bit.")
