"""Tiền huấn luyện cho được gì: một GPT tí hon học văn bản mới, từ bản đã tiền huấn luyện và từ bản ngẫu nhiên.

    python pretraining_gain.py                     # văn bản có sẵn trong mọi Python, không cần mạng
    python pretraining_gain.py --text cua_toi.txt  # văn bản mới là của bạn
    python pretraining_gain.py --size tiny         # chạy thử nhanh
    python pretraining_gain.py --break unsaved     # lưu nhầm bản chưa học: đối chứng phải trượt
    python pretraining_gain.py --break swapped     # tải nhầm bản của hạt giống khác: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 180 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import ast
import hashlib
import inspect
import json
import math
import pydoc_data.topics
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

SIZES = {"full": (3, 200, 40), "tiny": (2, 40, 16)}  # hạt giống, bước tiền huấn luyện, bước học văn bản mới
VOCAB, CONTEXT = 2000, 64  # cỡ từ vựng; số token mô hình nhìn được
BATCH, RATE, POINTS = 16, 1e-3, 8  # cửa sổ mỗi bước; tốc độ học; đo loss POINTS lần, ngoài lần chưa học
MODULES = ("_pydecimal", "statistics", "fractions", "random", "datetime", "heapq", "colorsys")  # của Python
LEAST = 20_000  # ký tự: ít hơn thì phần kiểm thử không đủ một cửa sổ đáng tin

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--size", choices=SIZES, default="full", help="số hạt giống và số bước")
parser.add_argument(
    "--text", type=Path, metavar="FILE", help="văn bản mới của bạn: UTF-8, đoạn cách nhau một dòng trống"
)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("unsaved", "swapped"), help="làm sai ở chỗ lưu hay chỗ tải")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors tokenizers\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
seeds, long, short = SIZES[args.size]
root = Path((temporary := tempfile.TemporaryDirectory()).name)

# %% Hai văn bản
print("== Hai văn bản ==")


def docstrings(module):
    """Mọi docstring của một mô-đun trong thư viện chuẩn, đọc từ mã nguồn mà không nhập nó."""
    tree = ast.parse(Path(sysconfig.get_paths()["stdlib"], f"{module}.py").read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    return [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]


def split(parts):
    """Đoạn thứ mười nào cũng để dành làm phần kiểm thử; trùng thì bỏ, để không đoạn nào ở cả hai bên."""
    parts = list(dict.fromkeys(part.strip() for part in parts if part.strip()))
    return [
        "\n\n".join(part for place, part in enumerate(parts) if (place % 10 == 9) == test) for test in (False, True)
    ]


topics = pydoc_data.topics.topics  # sách tra cứu của ngôn ngữ Python: văn bản cũ
texts = {"old": [part for name in sorted(topics) for part in topics[name].split("\n\n")]}
if args.text:
    try:
        texts["new"] = args.text.read_text(encoding="utf-8").split("\n\n")
    except (OSError, UnicodeError) as error:
        parser.exit(2, f"Không đọc được --text {args.text} ({type(error).__name__}): cần một tệp UTF-8.\n")
else:
    texts["new"] = [part for module in MODULES for text in docstrings(module) for part in text.split("\n\n")]
train, test = ({name: split(parts)[side] for name, parts in texts.items()} for side in (0, 1))
if min(len(train["new"]), 10 * len(test["new"])) < LEAST:
    parser.exit(2, f"--text {args.text} quá ngắn: cần {LEAST} ký tự, chia thành nhiều đoạn cách nhau một dòng trống.\n")


def tokenizer_of(vocab):
    """Tokenizer học trên phần huấn luyện của văn bản cũ, không bao giờ trên phần kiểm thử."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([train["old"]], vocab_size=vocab, show_progress=False)
    return bpe


bpe = tokenizer_of(VOCAB)
ids = {
    f"{part}_{name}": bpe.encode(text[name]).ids for name in texts for part, text in (("train", train), ("test", test))
}
(root / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
print(*(f"{name:<10} {len(tokens)} token" for name, tokens in ids.items()), sep="\n")

# %% Vòng huấn luyện


def loss_of(model, tokens, starts):
    """Entropy chéo trung bình: ở mỗi vị trí, đoán token kế tiếp. Nhãn là chính văn bản, dịch đi một chỗ."""
    text = torch.stack([tokens[start : start + CONTEXT + 1] for start in starts])
    logits = model(text[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten())


@torch.no_grad()
def evaluate(model, tokens):
    """Loss trên cả phần kiểm thử: cửa sổ không chồng nhau."""
    return float(loss_of(model, torch.tensor(tokens), range(0, len(tokens) - CONTEXT, CONTEXT)))


def learn(model, tokens, test, steps, seed):
    """Học `steps` bước; trả loss kiểm thử lúc chưa học và ở POINTS chỗ cách đều, nếu có `test`."""
    order, tokens, losses = torch.Generator().manual_seed(seed), torch.tensor(tokens), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    for step in range(steps + 1):
        if test and step % (steps // POINTS) == 0:
            losses.append(evaluate(model, test))
        if step < steps:
            optimizer.zero_grad()
            loss_of(model, tokens, torch.randint(len(tokens) - CONTEXT, (BATCH,), generator=order)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return losses


def random_model(seed, vocab=VOCAB):
    """GPT tí hon, trọng số ngẫu nhiên, không dropout để mọi lần đo đều lặp lại được."""
    torch.manual_seed(seed)
    shape = {"n_layer": 3, "n_embd": 128, "n_head": 4, "n_positions": CONTEXT, "vocab_size": vocab}
    dropout = {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
    return GPT2LMHeadModel(GPT2Config(**shape, **dropout, bos_token_id=0, eos_token_id=0))


# %% Hai từ vựng
print("\n== Hai từ vựng ==")
untrained = {}
for vocab in (VOCAB, VOCAB // 2):  # cùng văn bản kiểm thử, cắt thành ít hay nhiều token hơn
    tokens = tokenizer_of(vocab).encode(test["old"]).ids
    loss = evaluate(random_model(0, vocab), tokens)
    untrained[vocab] = {"guess": math.log(vocab), "loss": loss, "byte": loss * len(tokens) / len(test["old"].encode())}
    print("V = {}: ln V {guess:.2f}, loss mỗi token {loss:.2f}, mỗi byte {byte:.2f}".format(vocab, **untrained[vocab]))
whole, half = untrained.values()

# %% Tiền huấn luyện và lưu
print("\n== Tiền huấn luyện và lưu ==")
saved = []
for seed in range(seeds):
    model = random_model(seed)
    before = evaluate(model, ids["test_old"])
    learn(model, ids["train_old"], None, long, seed)
    after = evaluate(model, ids["test_old"])
    folder = root / f"seed-{seed}"
    (random_model(seed) if args.damage == "unsaved" else model).save_pretrained(folder)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    saved.append({"before": before, "after": after, "sha256": digest})
    print(f"hạt giống {seed}: loss kiểm thử {before:.2f} → {after:.2f}")
parameters = model.num_parameters()
print(f"{parameters} tham số")

# %% Tiến trình mới
SHARED = (loss_of, evaluate, learn, random_model)
CHILD = f"""
import hashlib, json, sys, torch
from pathlib import Path
from transformers import GPT2Config, GPT2LMHeadModel
VOCAB, CONTEXT, BATCH, RATE, POINTS = {VOCAB, CONTEXT, BATCH, RATE, POINTS}
{"".join(map(inspect.getsource, SHARED))}
root, saved, short, shift = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
ids = json.loads((root / "ids.json").read_text(encoding="utf-8"))
for seed, known in enumerate(saved):
    folder = root / f"seed-{{(seed + shift) % len(saved)}}"
    model, report = GPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    row = {{"same": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == known["sha256"]}}
    row |= {{"report": not any(report.values()), "loaded": evaluate(model, ids["test_old"])}}
    for name, start in ("pretrained", model), ("random", random_model(1000 + seed)):  # cùng dữ liệu, cùng thứ tự
        row[name] = learn(start, ids["train_new"], ids["test_new"], short, seed)
    print(json.dumps({{**row, "old_after": evaluate(model, ids["test_old"])}}))
"""

# %% Tải và học văn bản mới
print("\n== Tải và học văn bản mới ==")
shift = str(int(args.damage == "swapped"))
command = [sys.executable, "-X", "utf8", "-c", CHILD, str(root), json.dumps(saved), str(short), shift]
done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=900)
if done.returncode:
    parser.exit(1, f"TRƯỢT: tiến trình con chết. {done.stderr.strip()[-300:]}\n")
runs = [json.loads(line) for line in done.stdout.splitlines()]


def spread(values):
    values = list(values)
    return {"mean": statistics.fmean(values), "least": min(values), "most": max(values)}


curves = {"pretrained": {}, "random": {}}
print("bước   đã tiền huấn luyện   từ ngẫu nhiên       (trung bình, nhỏ nhất – lớn nhất)")
for point in range(POINTS + 1):
    for name, curve in curves.items():
        curve[point] = spread(run[name][point] for run in runs)
    cells = ["{mean:.2f}  {least:.2f} – {most:.2f}".format(**curve[point]) for curve in curves.values()]
    print(f"{point * short // POINTS:>4}   {cells[0]}    {cells[1]}")
gap = spread(run["random"][-1] - run["pretrained"][-1] for run in runs)
forgot = spread(run["old_after"] - run["loaded"] for run in runs)
print("lợi: {mean:.2f} mỗi token ({least:.2f} tới {most:.2f})".format(**gap))
print("quên: loss trên văn bản cũ tăng {mean:.2f} ({least:.2f} tới {most:.2f})".format(**forgot))

# %% Đối chứng
print("\n== Đối chứng ==")
pairs = list(zip(saved, runs, strict=True))
checks = {
    "start": ("bản ngẫu nhiên bắt đầu ở mức đoán bừa", all(abs(s["before"] - whole["guess"]) < 0.2 for s in saved)),
    "half": ("nửa từ vựng: loss ban đầu bớt ln 2", abs(whole["loss"] - half["loss"] - math.log(2)) < 0.05),
    "byte": ("nửa từ vựng: mỗi token thấp hơn, mỗi byte lại cao hơn", half["byte"] > whole["byte"]),
    "learned": ("tiền huấn luyện làm loss kiểm thử giảm hẳn", all(s["after"] < s["before"] - 0.5 for s in saved)),
    "file": ("tiến trình mới đọc đúng tệp, báo cáo tải rỗng", all(run["same"] and run["report"] for run in runs)),
    "loaded": ("tải xong, loss như lúc lưu", all(abs(run["loaded"] - s["after"]) < 1e-4 for s, run in pairs)),
    "gain": ("cùng số bước, mọi hạt giống: bản đã tiền huấn luyện tốt hơn", gap["least"] > 0),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:

    def near(values):  # số đã học lệch chút ít giữa các máy
        return {name: {"value": round(value, 4), "rel": 0.05, "abs": 0.1} for name, value in values.items()}

    old = spread(s["before"] for s in saved), spread(s["after"] for s in saved)
    approx = {name: {point: near(at) for point, at in curve.items()} for name, curve in curves.items()}
    approx |= {"gap": near(gap), "forgot": near(forgot), "old": {"before": near(old[0]), "after": near(old[1])}}
    exact = {"checks": verdict, "parameters": parameters, "tokens": {name: len(tokens) for name, tokens in ids.items()}}
    exact |= {"seeds": seeds, "pretraining_steps": long, "new_steps": short}
    exact |= {"vocabulary": VOCAB, "batch": BATCH, "context": CONTEXT}
    approx |= {"untrained": {"whole": near(whole), "half": near(half)}}
    digest = hashlib.sha256(json.dumps([train, test]).encode()).hexdigest()
    args.json.write_text(json.dumps({"exact": exact, "approx": approx, "data_sha256": digest}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: bản tải lại không phải bản đã học, hay tiền huấn luyện không cho gì.\n")
print("ĐÃ CHỨNG MINH: lưu, tải ở tiến trình mới, học tiếp; cái lợi của tiền huấn luyện còn nguyên.")
