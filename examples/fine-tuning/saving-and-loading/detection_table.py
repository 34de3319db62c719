"""Làm hỏng một mô hình đã lưu hơn hai nghìn lần, đếm xem mỗi phép kiểm tra thấy được bao nhiêu.

    python detection_table.py            # mô hình tí hon, không cần mạng
    QUICK=1 python detection_table.py    # vài lần mỗi loại, để thử nhanh

Tốn (cỡ mặc định): không quá 180 giây, 4 GiB bộ nhớ, 2 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers matplotlib, và manifest.py nằm cạnh
"""

# %% Chuẩn bị
import itertools
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import transformers
from safetensors.torch import load_file
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from manifest import check, tensors_of, write

QUICK = os.environ.get("QUICK") == "1"
MOST = 1000  # số lần nhiều nhất của mỗi loại hỏng
BIG = {}  # cỡ GPT-2 small, để đo giá của từng phép kiểm tra
REPEATS = 3
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
if QUICK:
    MOST = 4
    BIG = TINY
    REPEATS = 1
SHARD = 120_000  # byte mỗi mảnh: mô hình tí hon thành sáu mảnh
TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."
QUESTION = torch.arange(0, 512, 32)[None]  # câu thử: mười sáu id
CHECKS = {  # khoá: chữ ở đầu cột
    "error": "lỗi",
    "report": "báo cáo",
    "finite": "NaN",
    "stats": "tb, σ",
    "d5": "δ>1e-5",
    "d0": "δ≠0",
    "ids": "id",
    "bits": "bit",
    "files": "SHA-256",
    "sizes": "cỡ",
}

temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)
transformers.logging.set_verbosity_error()  # báo cáo tải được đếm, không in
transformers.logging.disable_progress_bar()
torch.set_grad_enabled(False)
torch.set_num_threads(1)  # việc quá nhỏ để chia cho hai luồng

# %% Dựng và lưu


def tokenizer_of(text):
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([text], vocab_size=300, special_tokens=["</s>"], show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="</s>")


def add_noise(model, scale):
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=scale)


torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)).eval()
add_noise(model, 0.02)  # tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng"
original = {name: parameter.clone() for name, parameter in model.named_parameters()}
right = model(QUESTION).logits
right_ids = tokenizer_of(TEXT)(TEXT).input_ids

(root / "pt").mkdir()
torch.save(model.state_dict(), root / "pt/model.pt")
for home, size in (("one", "50GB"), ("shards", SHARD)):
    model.save_pretrained(root / home, max_shard_size=size)
    tokenizer_of(TEXT).save_pretrained(root / home)

saved = {}  # thư mục → tên tệp → byte
for home in ("one", "shards", "pt"):
    saved[home] = {path.name: path.read_bytes() for path in sorted((root / home).iterdir())}
    write(root / home)  # bản kê, bằng manifest.py

add_noise(model, 0.001)  # một lần lưu khác: cùng tên, cùng cỡ, số chỉ hơi khác
model.save_pretrained(root / "other", max_shard_size=SHARD)

# %% Các đường tải
frame = GPT2LMHeadModel(model.config).eval()


def load_weights(folder):
    """Chỉ đọc tệp trọng số: nhanh, nên dùng cho những loại hỏng thử cả nghìn lần."""
    if folder.name == "pt":
        state = torch.load(folder / "model.pt", weights_only=True)
    else:
        state = load_file(folder / "model.safetensors")
        state["lm_head.weight"] = state["transformer.wte.weight"]  # trọng số dùng chung
    frame.load_state_dict(state, assign=True)  # thiếu hay thừa tên thì ném lỗi
    frame.tie_weights()
    return frame, False, right_ids  # đường này không có báo cáo tải, không có tokenizer


def load_folder(folder, **options):
    """Tải cả thư mục như người dùng tải."""
    options["output_loading_info"] = True
    loaded, report = AutoModelForCausalLM.from_pretrained(folder, **options)
    ids = AutoTokenizer.from_pretrained(folder)(TEXT).input_ids
    return loaded, any(report.values()), ids


def load_as_half(folder):
    return load_folder(folder, dtype=torch.bfloat16)


def load_and_train(folder):
    loaded, report, ids = load_folder(folder)
    return loaded.train(), report, ids  # dropout bật: quên eval()


# %% Các phép kiểm tra


def same_bits(one, other):
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(one.view(torch.uint8), other.view(torch.uint8))


def all_same_bits(tensors):
    if tensors.keys() != original.keys():
        return False
    return all(same_bits(tensor, original[name]) for name, tensor in tensors.items())


def means_and_spreads(tensors):
    return torch.tensor([[tensor.mean(), tensor.std()] for tensor in tensors.values()])


def sizes_of(folder):
    return {path.name: path.stat().st_size for path in folder.iterdir()}


usual = means_and_spreads(original)
sizes = {home: sizes_of(root / home) for home in saved}


def look(folder, load):
    """Phép nào báo hỏng. Tải mà ném lỗi thì những phép nhìn vào mô hình không chạy tới."""
    found = dict.fromkeys(CHECKS, False)
    found["files"] = check(folder) != []
    found["sizes"] = sizes_of(folder) != sizes[folder.name]
    try:
        loaded, found["report"], ids = load(folder)
        for parameter in loaded.parameters():
            # Chép ra: chỗ nằm trong bộ nhớ cũng có thể đổi chữ số cuối của logits.
            parameter.data = parameter.data.clone()
        torch.manual_seed(0)
        logits = loaded(QUESTION).logits
    except Exception:
        found["error"] = True
        return found
    tensors = dict(loaded.named_parameters())
    now = means_and_spreads(tensors)
    gap = (logits - right).abs().max().item()
    found["finite"] = not logits.isfinite().all().item()
    if now.shape != usual.shape:
        found["stats"] = True
    else:
        found["stats"] = not ((now - usual).abs() <= 1e-6).all().item()  # «not <=»: bắt cả NaN
    found["d5"] = not gap <= 1e-5
    found["d0"] = gap != 0
    found["ids"] = ids != right_ids
    found["bits"] = not all_same_bits(tensors)
    return found


# %% Các cách làm hỏng
header = 8 + int.from_bytes(saved["one"]["model.safetensors"][:8], "little")


def flip_between(raw, low, high):
    """Lật một bit bất kỳ của các byte từ `low` tới trước `high`."""
    place = random.randrange(low, high)
    flipped = raw[place] ^ 1 << random.randrange(8)
    return raw[:place] + bytes([flipped]) + raw[place + 1 :]


def flip(raw):
    return flip_between(raw, 0, len(raw))


def flip_header(raw):
    return flip_between(raw, 0, header)


def flip_data(raw):
    return flip_between(raw, header, len(raw))


def cut(raw):
    return raw[: random.randrange(len(raw))]


def append(raw):
    return raw + random.randbytes(random.randint(1, 64))


def zero_tail(raw):
    """Như khi đĩa mất phần chưa kịp ghi: đúng cỡ, phần sau toàn số 0."""
    place = random.randrange(len(raw))
    return raw[:place] + bytes(len(raw) - place)


def repeat(home, file, damage, times):
    """Từng lần làm hỏng một tệp: tên tệp → byte mới."""
    for _ in range(min(times, MOST)):
        yield {file: damage(saved[home][file])}


config = json.loads(saved["one"]["config.json"])
edits = [
    {"n_head": 1},
    {"activation_function": "relu"},
    {"layer_norm_epsilon": 1e-3},
    {"scale_attn_weights": False},
    {"resid_pdrop": 0.5},
    {"eos_token_id": 7},
    {"tie_word_embeddings": False},
    {"vocab_size": 600},
    {"n_layer": 1},
    {"n_layer": 3},
]
parts = sorted(name for name in saved["shards"] if name.endswith(".safetensors"))
other_configs = []
for edit in edits:
    text = json.dumps(config | edit, indent=2) + "\n"  # viết như thư viện viết
    other_configs.append({"config.json": text.encode()})
other_tokenizers = []
for start in range(4, 44, 4):  # học trên một đoạn khác của văn bản
    other = tokenizer_of(TEXT[start:]).backend_tokenizer.to_str(pretty=True)
    other_tokenizers.append({"tokenizer.json": other.encode()})
swaps = []
for one, two in itertools.combinations(parts, 2):
    swaps.append({one: saved["shards"][two], two: saved["shards"][one]})
old_parts = [{name: (root / "other" / name).read_bytes()} for name in parts]
lost_parts = [{name: None} for name in parts]
lost_files = [{name: None} for name in saved["one"]]

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
st_flips = repeat("one", WEIGHTS, flip_data, 1000)
st_headers = repeat("one", WEIGHTS, flip_header, 60)
st_cuts = repeat("one", WEIGHTS, cut, 200)
st_appends = repeat("one", WEIGHTS, append, 200)
st_zeros = repeat("one", WEIGHTS, zero_tail, 50)
pt_flips = repeat("pt", "model.pt", flip, 200)
pt_cuts = repeat("pt", "model.pt", cut, 200)
pt_appends = repeat("pt", "model.pt", append, 50)
pt_zeros = repeat("pt", "model.pt", zero_tail, 200)
config_flips = repeat("one", CONFIG, flip, 40)
tokenizer_flips = repeat("one", TOKENIZER, flip, 40)
ROWS = [  # khoá, nhãn, thư mục, đường tải, từng lần làm hỏng
    ("flip_data", "safetensors: lật bit dữ liệu", "one", load_weights, st_flips),
    ("flip_header", "safetensors: lật bit phần đầu", "one", load_folder, st_headers),
    ("cut", "safetensors: cắt cụt", "one", load_weights, st_cuts),
    ("append", "safetensors: nối thêm byte", "one", load_weights, st_appends),
    ("zero", "safetensors: đuôi toàn số 0", "one", load_weights, st_zeros),
    ("pt_flip", ".pt: lật bit", "pt", load_weights, pt_flips),
    ("pt_cut", ".pt: cắt cụt", "pt", load_weights, pt_cuts),
    ("pt_append", ".pt: nối thêm byte", "pt", load_weights, pt_appends),
    ("pt_zero", ".pt: đuôi toàn số 0", "pt", load_weights, pt_zeros),
    ("flip_config", "config.json: lật bit", "one", load_folder, config_flips),
    ("flip_tokenizer", "tokenizer.json: lật bit", "one", load_folder, tokenizer_flips),
    ("config", "config.json: đổi một khoá", "one", load_folder, other_configs),
    ("tokenizer", "tokenizer.json khác", "one", load_folder, other_tokenizers),
    ("swap", "hai mảnh đổi tên cho nhau", "shards", load_folder, swaps),
    ("stale", "một mảnh của lần lưu khác", "shards", load_folder, old_parts),
    ("lost_shard", "mất một mảnh", "shards", load_folder, lost_parts),
    ("lost_file", "mất một tệp", "one", load_folder, lost_files),
    ("half", "tệp lành, tải thành bfloat16", "one", load_as_half, [{}]),
    ("train", "tệp lành, quên eval()", "one", load_and_train, [{}]),
]

# %% Bảng phát hiện
print("== Bảng phát hiện ==")


def put(home, files):
    """Ghi từng tệp; None là xoá. Tệp mới, không ghi đè: mô hình vừa tải còn ánh xạ tệp cũ."""
    for name, raw in files.items():
        path = root / home / name
        path.unlink(missing_ok=True)
        if raw is not None:
            path.write_bytes(raw)


def print_row(label, times, cells):
    """Một hàng của bảng; «·» là không lần nào."""
    print(f"{label:<30}{times:>5}", end="")
    for name, cell in cells.items():
        width = max(5, len(CHECKS[name]) + 1)
        print(f"{cell or '·':>{width}}", end="")
    print()


print_row("loại hỏng", "lần", CHECKS)
table = {}
for key, label, home, load, changes in ROWS:
    random.seed(key)
    counts = dict.fromkeys(CHECKS, 0)
    times = 0
    for change in changes:
        put(home, change)
        found = look(root / home, load)
        put(home, {name: saved[home][name] for name in change})
        times += 1
        for name in CHECKS:
            counts[name] += int(found[name])
    print_row(label, times, counts)
    table[key] = {"trials": times, **counts}
total = sum(row["trials"] for row in table.values())
print(f"cộng {total} lần")

# %% Giá của mỗi phép
print("\n== Giá của mỗi phép ==")
big = GPT2LMHeadModel(GPT2Config(**BIG, bos_token_id=0, eos_token_id=0)).eval()
big.save_pretrained(root / "big")
write(root / "big")
here = dict(big.named_parameters())
twin = {name: parameter.clone() for name, parameter in here.items()}


def compare_bits():
    return all(same_bits(tensor, twin[name]) for name, tensor in here.items())


def time_of(function, *arguments):
    """Giây CPU, lần nhanh nhất: máy có thể đang bận việc khác."""
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        function(*arguments)
        seconds.append(time.process_time() - start)
    return min(seconds)


cost = {
    "sizes": time_of(sizes_of, root / "big"),
    "bits": time_of(compare_bits),
    "logits": time_of(big, QUESTION % big.config.vocab_size),
    "stats": time_of(means_and_spreads, here),
    "tensors": time_of(tensors_of, root / "big"),
    "files": time_of(check, root / "big"),
}
weights = (root / "big/model.safetensors").stat().st_size
print(f"model.safetensors: {weights} byte")
for name, seconds in cost.items():
    print(f"{name:<8} {seconds:.4f} giây CPU")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


missed = [key for key, row in table.items() if row["files"] < row["trials"]]
quiet = []
for home, load in (("one", load_weights), ("one", load_folder), ("shards", load_folder)):
    quiet.append(not any(look(root / home, load).values()))
quiet.append(not any(look(root / "pt", load_weights).values()))
report("intact", all(quiet), "không hỏng thì không phép nào báo")
report("all", missed == ["half", "train"], "SHA-256 thấy mọi tệp hỏng, không thấy lỗi lúc tải")
flips = table["flip_data"]
report("bits", flips["bits"] == flips["trials"], "so từng bit thấy mọi bit lật trong dữ liệu")
loading = table["half"]["d5"] + table["train"]["d5"]
report("loading", loading == 2, "hai lỗi lúc tải: logits thấy cả hai")

# %% Kết quả
LOOSE = ["finite", "stats", "d5", "d0"]  # nhìn vào số thực: máy khác có thể lệch đôi lần
exact = {}
approx = {}
for key, row in table.items():
    exact[key] = {name: count for name, count in row.items() if name not in LOOSE}
    approx[key] = {}
    for name in LOOSE:
        approx[key][name] = {"value": row[name], "abs": max(2, 0.03 * row["trials"])}
share = {}
for name in LOOSE:
    share[name] = {"value": flips[name] / flips["trials"], "abs": 0.03}
results = {
    "exact": {"checks": checks, "total": total, "rows": exact, "bytes": weights},
    "approx": {"rows": approx, "share": share},
    "timing": {"cost": cost},
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có loại hỏng mà bảng này không giải thích được.")

# %% Vẽ
figure, axes = plt.subplots(figsize=(5.2, 5.4))
labels = [row[1] for row in ROWS]
for line, row in enumerate(table.values()):
    for column, name in enumerate(CHECKS):
        seen = row[name] / row["trials"]
        colour = "C0" if name == "files" else "C1"
        if seen:
            axes.scatter(column, line, s=20 + 80 * seen, color=colour)
        else:
            axes.scatter(column, line, s=3, color="C2")
axes.set_xticks(range(len(CHECKS)), CHECKS.values(), rotation=60)
axes.set_yticks(range(len(labels)), labels, fontsize=9)
axes.xaxis.tick_top()
axes.invert_yaxis()
axes.spines[:].set_visible(False)
axes.tick_params(length=0)
figure.savefig("detection_table.svg")
