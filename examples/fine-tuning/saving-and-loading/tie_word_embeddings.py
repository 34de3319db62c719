"""Transformers và trọng số buộc: khi config.json và tệp trọng số nói khác nhau.

    python tie_word_embeddings.py                   # mô hình tí hon, không cần mạng
    python tie_word_embeddings.py --break config    # config.json bị sửa thành «không buộc»: đối chứng phải trượt
    python tie_word_embeddings.py --break memory    # tự gỡ chỗ buộc trong bộ nhớ rồi lưu: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 30 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import copy
import json
import sys
import tempfile
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=["config", "memory"], help="phá một chỗ: phải trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from safetensors import safe_open
    from transformers import GPT2Config, GPT2LMHeadModel, logging
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
out = Path((temporary := tempfile.TemporaryDirectory()).name)
logging.set_verbosity_error()  # script tự hỏi báo cáo tải, không cần in nó ra

# %% Dựng
torch.manual_seed(0)
tied = GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=64, vocab_size=512, bos_token_id=0, eos_token_id=0))
with torch.no_grad():  # tensor mới hay toàn 0 hoặc toàn 1: mất rồi tạo lại vẫn "đúng". Nên cộng nhiễu.
    for parameter in tied.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.02)
torn = copy.deepcopy(tied)  # ai đó thay lm_head bằng một tham số riêng, nhưng config vẫn nói «buộc»
torn.lm_head.weight = torch.nn.Parameter(torn.lm_head.weight + 1)

# %% Lưu, sửa cấu hình, tải
print("== Lưu, sửa cấu hình, tải ==")


def round_trip(name, model, tie):
    """Lưu, ghi tie_word_embeddings vào config.json, tải lại; kể những gì thấy được."""
    model.save_pretrained(folder := out / name)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["tie_word_embeddings"] = tie
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with safe_open(folder / "model.safetensors", "pt") as file:
        in_file = "lm_head.weight" in file.keys()  # noqa: SIM118 (safe_open không phải dict)
    new, report = GPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    fact = {"in_file": in_file, "missing": sorted(report["missing_keys"])}
    fact["tied"] = new.lm_head.weight is new.transformer.wte.weight
    fact["right"] = torch.equal(new.lm_head.weight, model.lm_head.weight)
    print(f"{name:<8} config: {'buộc' if tie else 'không'}; lm_head trong tệp: {'có' if in_file else 'không'}", end="")
    print(f"; báo cáo thiếu: {', '.join(fact['missing']) or 'không'}", end="")
    print(f"; tải xong: {'buộc' if fact['tied'] else 'KHÔNG buộc'}, số {'đúng' if fact['right'] else 'SAI'}")
    return fact


facts = {
    "good": round_trip("good", torn if args.damage == "memory" else tied, tie=args.damage != "config"),
    "edited": round_trip("edited", tied, tie=False),
    "torn": round_trip("torn", torn, tie=True),
}

# %% Đối chứng
print("\n== Đối chứng ==")
good, edited, torn_again = facts.values()
lost = {"in_file": False, "missing": ["lm_head.weight"], "tied": False, "right": False}
checks = {
    "report": ("mô hình buộc: báo cáo tải rỗng", not good["missing"]),
    "tie": ("mô hình buộc: tải xong lm_head là wte, đúng số", good["tied"] and good["right"]),
    "one_copy": ("tệp của nó không có lm_head", not good["in_file"]),
    "edited": ("config nói «không buộc», tệp thiếu lm_head: số ngẫu nhiên, báo cáo có nói", edited == lost),
    "torn": (
        "mất buộc trong bộ nhớ: báo cáo rỗng, tải xong vẫn mất",
        not (torn_again["tied"] or torn_again["missing"]),
    ),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    args.json.write_text(json.dumps({"exact": {"checks": verdict, **facts}}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: chỗ buộc không trở lại như lúc lưu.\n")
print("ĐÃ CHỨNG MINH: config và tệp khớp nhau thì chỗ buộc trở lại; lệch nhau thì phải tự kiểm tra.")
