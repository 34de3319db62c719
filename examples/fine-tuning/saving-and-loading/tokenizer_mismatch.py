"""Tokenizer không còn khớp mô hình: thừa token, hay đảo id. Không có lỗi lúc tải; phép kiểm nào thấy.

    python tokenizer_mismatch.py                     # mô hình tí hon, không cần mạng
    python tokenizer_mismatch.py --break shuffled    # bản lưu dùng tokenizer đảo id: đối chứng phải trượt
    python tokenizer_mismatch.py --break added       # bản lưu dùng tokenizer thừa token: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 30 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import inspect
import json
import subprocess
import sys
import tempfile
from pathlib import Path

TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."  # câu thử; cũng để dạy tokenizer
NEW = "<mới>"  # token thêm vào sau khi mô hình đã có số hàng embedding
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("shuffled", "added"), help="lưu kèm tokenizer sai")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from tokenizers import ByteLevelBPETokenizer, Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors tokenizers\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
root = Path((temporary := tempfile.TemporaryDirectory()).name)

# %% Dựng
bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator([TEXT], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
good = bpe.to_str()
config = GPT2Config(n_layer=2, n_head=2, n_embd=64, n_positions=128, bos_token_id=0, eos_token_id=0)
config.vocab_size = bpe.get_vocab_size()  # embedding có đúng một hàng cho mỗi token
torch.manual_seed(0)
model = GPT2LMHeadModel(config).eval().requires_grad_(False)
for parameter in model.parameters():  # tensor toàn 0 hay toàn 1: mất rồi tạo lại vẫn "đúng"
    parameter.add_(torch.randn_like(parameter), alpha=0.02)

# %% Ba tokenizer


def wrap(text):
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(text), eos_token="<|endoftext|>")


def shuffled(text):
    """Đảo ngược id của mọi token thường: chữ nào cũng còn, chỉ số hàng embedding là của chữ khác."""
    data = json.loads(text)
    special, *tokens = sorted(data["model"]["vocab"], key=data["model"]["vocab"].get)
    data["model"]["vocab"] = {special: 0, **{token: len(tokens) - place for place, token in enumerate(tokens)}}
    return json.dumps(data)


tokenizers = {"good": wrap(good), "shuffled": wrap(shuffled(good)), "added": wrap(good)}
tokenizers["added"].add_tokens([NEW])  # và quên model.resize_token_embeddings(len(tokenizer))

# %% Lưu
for name, tokenizer in tokenizers.items():
    model.save_pretrained(root / name)
    tokenizer.save_pretrained(root / name)
expected = {"text": TEXT, "ids": tokenizers["good"](TEXT).input_ids, "dtype": str(model.dtype)}  # ghi lại lúc lưu
if args.damage:
    tokenizers[args.damage].save_pretrained(root / "good")

# %% Cách tải


def load(folder, expected):
    """Mô hình, tokenizer, và những gì không như lúc lưu: danh sách rỗng mới được dùng."""
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    checks = {
        "report": not any(report.values()),  # không tensor nào thiếu, thừa hay lệch cỡ
        "dtype": str(model.dtype) == expected["dtype"],
        "rows": len(tokenizer) <= model.get_input_embeddings().num_embeddings,
        "ids": tokenizer(expected["text"]).input_ids == expected["ids"],  # dãy id ghi lại lúc lưu
    }
    return model, tokenizer, [name for name, passed in checks.items() if not passed]


# %% Tiến trình mới
CHILD = f"""
import json, os, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
{inspect.getsource(load)}
root, expected, new = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
def run(text):
    try:
        model(torch.tensor([tokenizer(text).input_ids]))
        return ""
    except Exception as error:
        return f"{{type(error).__name__}}: {{error}}"
for name in sys.argv[4:]:
    model, tokenizer, wrong = load(os.path.join(root, name), expected)
    same = tokenizer.decode(tokenizer(expected["text"]).input_ids) == expected["text"]
    runs = {{"text": run(expected["text"]), "new": run(expected["text"] + new)}}
    model.resize_token_embeddings(len(tokenizer))
    runs["resized"] = run(expected["text"] + new)
    print(json.dumps([name, dict(tokens=len(tokenizer), wrong=wrong, round_trip=same, runs=runs)]))
"""

# %% Tải lại
print("== Tải lại ==")
command = [sys.executable, "-X", "utf8", "-c", CHILD, str(root), json.dumps(expected), NEW, *tokenizers]
done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
if done.returncode:
    parser.exit(1, f"TRƯỢT: tiến trình con chết. {done.stderr.strip()[-200:]}\n")
seen = dict(map(json.loads, done.stdout.splitlines()))
for name, row in seen.items():
    print(f"{name}: {row['tokens']} token, embedding {config.vocab_size} hàng")
    print(f"    mã hoá rồi giải mã: {'đúng câu cũ' if row['round_trip'] else 'sai'}")
    print(f"    câu thử: {row['runs']['text'] or 'chạy'}; thêm {NEW}: {row['runs']['new'] or 'chạy'}")
    print(f"    khác lúc lưu: {', '.join(row['wrong']) or 'không'}")

# %% Đối chứng
print("\n== Đối chứng ==")
late = seen["added"]["runs"]
checks = {
    "good": ("bản lưu: không có gì khác lúc lưu", not seen["good"]["wrong"]),
    "blind": ("đảo id: mã hoá rồi giải mã vẫn đúng", seen["shuffled"]["round_trip"]),
    "ids": ("đảo id: chỉ dãy id ghi lại lúc lưu thấy", seen["shuffled"]["wrong"] == ["ids"]),
    "late": (f"thừa token: chỉ lỗi khi gặp {NEW}", not late["text"] and late["new"].startswith("IndexError")),
    "rows": ("thừa token: phép đếm hàng thấy ngay lúc tải", seen["added"]["wrong"] == ["rows"]),
    "resized": (f"resize_token_embeddings xong thì {NEW} chạy", not late["resized"]),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    args.json.write_text(json.dumps({"exact": {"checks": verdict, "seen": seen}}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: tokenizer đã lưu không phải tokenizer của mô hình.\n")
print("ĐÃ CHỨNG MINH: hai tokenizer sai tải được êm, và phép kiểm thấy cả hai.")
