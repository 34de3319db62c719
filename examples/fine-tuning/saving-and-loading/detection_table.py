"""Làm hỏng một mô hình đã lưu hơn hai nghìn lần, đếm xem mỗi phép kiểm thấy được bao nhiêu.

    python detection_table.py                  # mô hình tí hon, không cần mạng
    python detection_table.py --size gpt2      # cỡ GPT-2 small, nhiều nhất mười lần mỗi loại: vài phút, 8 GiB bộ nhớ
    python detection_table.py --break delta    # chỉ tin lệnh tải và phép so logits: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 120 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import io
import itertools
import json
import random
import sys
import tempfile
import time
from pathlib import Path

TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."  # để dạy và thử tokenizer
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
SIZES = {"tiny": (TINY, 120_000), "gpt2": ({}, "100MB")}  # cấu hình, cỡ tối đa của một mảnh
CHECKS = {"error": "lỗi", "report": "báo cáo", "finite": "NaN", "argmax": "argmax", "stats": "tb, σ", "d3": "δ>1e-3"}
CHECKS |= {"d5": "δ>1e-5", "d0": "δ≠0", "ids": "id", "bits": "bit", "tensors": "tensor", "files": "tệp", "sizes": "cỡ"}
BREAK = {"load": ("error", "report"), "delta": ("error", "report", "d5"), "sizes": ("sizes",)}  # chỉ tin những phép này

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--size", choices=SIZES, default="tiny", help="cỡ của mô hình")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=BREAK, help="bớt phép kiểm, để xem cái gì lọt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import safetensors.torch
    import torch
    import transformers
    from tokenizers import ByteLevelBPETokenizer, Tokenizer
    from tqdm import tqdm
    from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors tokenizers\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
root = Path((temporary := tempfile.TemporaryDirectory()).name)
transformers.logging.set_verbosity_error()  # báo cáo tải được đếm, không in
transformers.logging.disable_progress_bar()
torch.set_grad_enabled(False)
if args.size == "tiny":
    torch.set_num_threads(1)  # việc quá nhỏ để chia cho hai luồng

# %% Dựng và lưu


def tokenizer_of(text):
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([text], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(bpe.to_str()), eos_token="<|endoftext|>")


def noise(scale):
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=scale)


shape, limit = SIZES[args.size]
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(**shape, bos_token_id=0, eos_token_id=0)).eval()
noise(0.02)  # tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng"
(root / "pt").mkdir()
torch.save(model.state_dict(), root / "pt/model.pt")
for home, size in (("one", "50GB"), ("shards", limit)):
    model.save_pretrained(root / home, max_shard_size=size)
    tokenizer_of(TEXT).save_pretrained(root / home)
original = {name: parameter.clone() for name, parameter in model.named_parameters()}
noise(0.001)  # một lần lưu khác: cùng tên, cùng cỡ, số chỉ hơi khác
model.save_pretrained(root / "other", max_shard_size=limit)
saved = {home.name: {path.name: path.read_bytes() for path in sorted(home.iterdir())} for home in root.iterdir()}

# %% Hai đường tải


def load(home, path, changed, files):
    """Mô hình, báo cáo tải có gì không, dãy id của câu thử (nếu có tokenizer)."""
    if path == "bộ nhớ":  # cùng bộ đọc với khi mở tệp, chỉ bỏ chuyến đi vòng qua đĩa
        if home == "pt":
            state = torch.load(io.BytesIO(files["model.pt"]), weights_only=True)
        else:
            state = safetensors.torch.load(files[WEIGHTS])
            state["lm_head.weight"] = state["transformer.wte.weight"]  # hai tên buộc, tệp giữ một
        model.load_state_dict(state, assign=True)  # strict: thiếu hay thừa tên thì ném lỗi
        model.tie_weights()
        return model, False, None
    try:
        put(home, changed)
        new, report = AutoModelForCausalLM.from_pretrained(root / home, output_loading_info=True)
        return new, any(report.values()), AutoTokenizer.from_pretrained(root / home)(TEXT).input_ids
    finally:
        put(home, {name: saved[home].get(name) for name in changed})


def put(home, changed):
    for name, raw in changed.items():
        (root / home / name).unlink(missing_ok=True)  # tệp mới, không ghi đè: mô hình vừa tải còn ánh xạ tệp cũ
        if raw is not None:
            (root / home / name).write_bytes(raw)


# %% Các phép kiểm


def file_sums(files):
    return {name: hashlib.sha256(raw).digest() for name, raw in files.items()}


def tensor_sums(named):
    """Kiểu, kích thước và SHA-256 của từng tensor: không dính gì tới tệp chứa nó."""
    return {n: (t.dtype, t.shape, hashlib.sha256(t.view(torch.uint8).numpy()).digest()) for n, t in named.items()}


def same_bits(named):
    def same(a, b):
        return a.dtype == b.dtype and torch.equal(a.view(torch.uint8), b.view(torch.uint8))

    return named.keys() == original.keys() and all(same(t, original[name]) for name, t in named.items())


def moments(named):
    return torch.tensor([[t.mean(), t.std()] for t in named.values()])


def look(home, path, changed):
    """Phép kiểm nào báo. Tải mà ném lỗi thì những phép nhìn vào mô hình không chạy tới: tính là không báo."""
    files = {name: raw for name, raw in {**saved[home], **changed}.items() if raw is not None}
    found = dict.fromkeys(CHECKS, False)
    found["files"] = file_sums(files) != manifest[home]
    found["sizes"] = {n: len(raw) for n, raw in files.items()} != {n: len(raw) for n, raw in saved[home].items()}
    try:
        new, found["report"], ids = load(home, path, changed, files)
        # chép số ra: chỗ nằm trong bộ nhớ có thể đổi chữ số cuối của logits
        named = {name: parameter.clone() for name, parameter in new.named_parameters()}
        logits = torch.func.functional_call(new, named, QUESTION).logits
    except Exception:
        return {**found, "error": True}
    gap, now = (logits - answer).abs().max().item(), moments(named)
    found["finite"] = not logits.isfinite().all()
    found["argmax"] = not logits.argmax(-1).equal(answer.argmax(-1))
    found["stats"] = now.shape != usual.shape or not ((now - usual).abs() <= 1e-6).all()  # «not <=»: NaN cũng bị báo
    found |= {"d3": not gap <= 1e-3, "d5": not gap <= 1e-5, "d0": gap != 0, "ids": ids not in (None, golden)}
    return found | {"bits": not same_bits(named), "tensors": tensor_sums(named) != sums}


WEIGHTS, QUESTION = "model.safetensors", torch.arange(0, 512, 32)[None]  # câu thử: mười sáu id
manifest = {home: file_sums(files) for home, files in saved.items()}
sums, usual = tensor_sums(original), moments(original)
golden, answer = tokenizer_of(TEXT)(TEXT).input_ids, torch.func.functional_call(model, original, QUESTION).logits

# %% Các cách làm hỏng


def flip(raw, low=0, high=None):
    place = random.randrange(low, high or len(raw))
    return raw[:place] + bytes([raw[place] ^ 1 << random.randrange(8)]) + raw[place + 1 :]


def cut(raw):
    return raw[: random.randrange(len(raw))]


def append(raw):
    return raw + random.randbytes(random.randint(1, 64))


def zero(raw):
    return raw[: (place := random.randrange(len(raw)))] + bytes(len(raw) - place)


one, shards, header = saved["one"], saved["shards"], 8 + int.from_bytes(saved["one"][WEIGHTS][:8], "little")
parts = sorted(name for name in shards if name.endswith(".safetensors"))
config = json.loads(one["config.json"])
edits = [{"n_head": 1}, {"activation_function": "relu"}, {"layer_norm_epsilon": 1e-3}, {"scale_attn_weights": False}]
edits += [{"resid_pdrop": 0.5}, {"eos_token_id": 7}, {"tie_word_embeddings": False}, {"vocab_size": 600}]
edits += [{"n_layer": config["n_layer"] + change} for change in (-1, 1)]
configs = [{"config.json": json.dumps(config | edit, indent=2).encode()} for edit in edits]
others = [tokenizer_of(TEXT[start:]).backend_tokenizer.to_str(pretty=True).encode() for start in range(4, 44, 4)]
swaps = [{a: shards[b], b: shards[a]} for a, b in itertools.combinations(parts, 2)]
MEMORY, FOLDER = "bộ nhớ", "thư mục"
ROWS = [  # khoá, nhãn, bản lưu, đường tải, tệp, số lần, cách làm hỏng tệp ấy
    ("flip_data", "safetensors: lật bit dữ liệu", "one", MEMORY, WEIGHTS, 1000, lambda raw: flip(raw, header)),
    ("flip_header", "safetensors: lật bit phần đầu", "one", FOLDER, WEIGHTS, 60, lambda raw: flip(raw, 0, header)),
    ("cut", "safetensors: cắt cụt", "one", MEMORY, WEIGHTS, 200, cut),
    ("append", "safetensors: nối thêm byte", "one", MEMORY, WEIGHTS, 200, append),
    ("zero", "safetensors: đuôi toàn số 0", "one", MEMORY, WEIGHTS, 50, zero),
    ("pt_flip", ".pt: lật bit", "pt", MEMORY, "model.pt", 200, flip),
    ("pt_cut", ".pt: cắt cụt", "pt", MEMORY, "model.pt", 200, cut),
    ("pt_append", ".pt: nối thêm byte", "pt", MEMORY, "model.pt", 50, append),
    ("pt_zero", ".pt: đuôi toàn số 0", "pt", MEMORY, "model.pt", 200, zero),
    ("flip_config", "config.json: lật bit", "one", FOLDER, "config.json", 40, flip),
    ("flip_tokenizer", "tokenizer.json: lật bit", "one", FOLDER, "tokenizer.json", 40, flip),
]
LISTED = [  # khoá, nhãn, bản lưu, từng lần: tệp nào thành gì (None: mất)
    ("config", "config.json của mô hình khác", "one", configs),
    ("tokenizer", "tokenizer.json khác", "one", [{"tokenizer.json": raw} for raw in others]),
    ("swap", "hai mảnh đổi tên cho nhau", "shards", swaps),
    ("stale", "một mảnh của lần lưu khác", "shards", [{name: saved["other"][name]} for name in parts]),
    ("lost_shard", "mất một mảnh", "shards", [{name: None} for name in parts]),
    ("lost_file", "mất một tệp", "one", [{name: None} for name in one]),
]
ROWS += [(key, label, home, FOLDER, None, len(damages), damages) for key, label, home, damages in LISTED]

# %% Bảng phát hiện
print("== Bảng phát hiện ==")


def line(label, times, cells):
    """Một hàng của bảng; «·» là không lần nào."""
    return f"{label:<31}{times:>5}" + "".join(
        f"{cell or '·':>{max(5, len(CHECKS[c]) + 1)}}" for c, cell in cells.items()
    )


print(line(f"loại hỏng (*: từ {MEMORY})", "lần", CHECKS))
trusted = BREAK.get(args.damage, ("files",))
most = 3 if args.damage else 10 if args.size == "gpt2" else 10_000  # số lần nhiều nhất của mỗi hàng
table, disagree, missed = {}, 0, {}
for key, label, home, path, file, times, damage in ROWS:
    random.seed(key)
    trials = []
    for i in tqdm(range(min(times, most)), desc=label, leave=False):
        trials.append(look(home, path, damage[i] if file is None else {file: damage(saved[home][file])}))
    table[key] = {"trials": len(trials), **{check: sum(bool(trial[check]) for trial in trials) for check in CHECKS}}
    disagree += sum(trial["bits"] != trial["tensors"] for trial in trials)
    missed[label] = sum(not any(trial[check] for check in trusted) for trial in trials)
    print(line(label + "*" * (path == MEMORY), len(trials), {check: table[key][check] for check in CHECKS}))
total = sum(row["trials"] for row in table.values())
print(f"cộng {total} lần làm hỏng")

# %% Giá của mỗi phép kiểm
print("\n== Giá của mỗi phép kiểm ==")
folder, cost, twin = root / "one", {}, {name: tensor.clone() for name, tensor in original.items()}
uses = {
    "sizes": ("cỡ tệp", lambda: [path.stat().st_size for path in folder.iterdir()]),
    "load": ("tải", lambda: AutoModelForCausalLM.from_pretrained(folder)),
    "logits": ("logits", lambda: torch.func.functional_call(model, original, QUESTION)),
    "bits": ("từng bit", lambda: same_bits(twin)),
    "stats": ("trung bình, độ lệch", lambda: moments(original)),
    "tensors": ("SHA-256 tensor", lambda: tensor_sums(original)),
    "files": ("SHA-256 tệp", lambda: [hashlib.file_digest(path.open("rb"), "sha256") for path in folder.iterdir()]),
}
for name, (label, use) in uses.items():
    seconds = []
    for _ in range(5):  # thời gian CPU, lần nhanh nhất: máy có thể đang bận việc khác
        start = time.process_time()
        use()
        seconds.append(time.process_time() - start)
    cost[name] = min(seconds)
    print(f"{label:<20} {cost[name]:.4f} giây CPU")

# %% Đối chứng
print("\n== Đối chứng ==")
intact = [look(*way, {}) for way in (("one", MEMORY), ("one", FOLDER), ("shards", FOLDER), ("pt", MEMORY))]
both = []  # cùng một chỗ hỏng, hai đường tải: mọi phép kiểm phải nói như nhau
for damage in (ROWS[0][-1], cut, append, zero) * (5 if args.size == "tiny" else 1):
    changed = {WEIGHTS: damage(one[WEIGHTS])}
    both.append(look("one", MEMORY, changed) == look("one", FOLDER, changed))
leaks = [f"{label} {count}" for label, count in missed.items() if count]
row = table["flip_data"]
checks = {
    "intact": ("không hỏng thì không phép nào báo", not any(any(found.values()) for found in intact)),
    "paths": (f"hai đường tải cho cùng lời đáp ở {len(both)} chỗ hỏng của tệp safetensors", all(both)),
    "bits": ("so từng bit thấy mọi bit lật trong dữ liệu", row["bits"] == row["trials"]),
    "tensors": ("SHA-256 từng tensor không lần nào khác so từng bit", not disagree),
    "all": (f"tin {', '.join(CHECKS[c] for c in trusted)}; lọt: {'; '.join(leaks) or 'không lần nào'}", not leaks),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "total": total, "rows": {}, "bytes": {n: len(raw) for n, raw in one.items()}}
    exact["parameters"] = sum(tensor.numel() for tensor in original.values())
    approx = {"rows": {}, "share": {}}
    for key, row in table.items():  # phép nào nhìn vào logits, trung bình: máy khác có thể lệch đôi lần
        loose = ("finite", "argmax", "stats", "d3", "d5", "d0")
        exact["rows"][key] = {name: count for name, count in row.items() if name not in loose}
        approx["rows"][key] = {n: {"value": row[n], "abs": max(2, 0.02 * row["trials"])} for n in loose}
        if key in ("flip_data", "pt_flip"):
            approx["share"][key] = {n: {"value": row[n] / row["trials"], "abs": 0.03} for n in loose}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx, "timing": {"cost": cost}}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: có lần làm hỏng mà những phép kiểm được tin không thấy.\n")
print("ĐÃ CHỨNG MINH: bản kê SHA-256 của tệp thấy mọi lần; mỗi phép khác bỏ sót một loại.")
