"""Thư mục Hugging Face cũ (pytorch_model.bin, vocab.json) → thư mục mới (safetensors, tokenizer.json), có chứng minh.

    python convert_old_folder.py                       # tự dựng hai thư mục cũ và một thư mục độc, chuyển, đối chứng
    python convert_old_folder.py --model CU --to MOI   # chuyển thư mục của bạn; MOI phải chưa có
    python convert_old_folder.py --break half          # bản mới bị lưu bằng float16: đối chứng phải trượt
    python convert_old_folder.py --break tokenizer     # quên chuyển tokenizer: đối chứng phải trượt
    python convert_old_folder.py --break trust         # mở thư mục độc bằng weights_only=False: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 60 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers
Mã thoát: 0 đã chứng minh; 1 trượt, tệp hỏng hoặc tệp độc; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import inspect
import json
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."  # để dạy và thử tokenizer
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--model", type=Path, help="thư mục cũ của bạn (mặc định: tự dựng)")
parser.add_argument("--to", type=Path, help="thư mục mới, phải chưa có; đi cùng --model")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=("half", "tokenizer", "trust"), help="làm ẩu một bước")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    import transformers
    from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer
    from transformers import AutoConfig, AutoTokenizer, BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers safetensors tokenizers\n")
if (args.model is None) != (args.to is None) or (args.model and args.damage):
    parser.exit(2, "--model và --to đi cùng nhau, và không đi cùng --break.\n")
if args.to and (args.to.exists() or not (args.model / "config.json").is_file()):
    parser.exit(2, f"{args.model} phải có config.json, {args.to} phải chưa có. Không có gì bị ghi đè.\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
transformers.logging.set_verbosity_error()  # báo cáo tải được đọc bằng mã, ở dưới
root = Path((temporary := tempfile.TemporaryDirectory()).name)
mark = root / "MA_LA_DA_CHAY.txt"  # dấu vết mã lạ để lại nếu nó chạy

# %% Chuyển


def read_old(folder):
    """Tên → tensor, đọc thẳng các tệp .bin. Có vật lạ thì torch.load từ chối, không mã nào chạy."""
    index, files = folder / "pytorch_model.bin.index.json", ["pytorch_model.bin"]
    if not (folder / files[0]).exists():  # chia nhiều mảnh: bản chỉ dẫn kể tên chúng
        files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    if any(Path(name).name != name for name in files):
        raise ValueError("bản chỉ dẫn trỏ ra ngoài thư mục")
    state = {}
    for name in files:
        state |= torch.load(folder / name, map_location="cpu", weights_only=True)
    return {re.sub("gamma$", "weight", re.sub("beta$", "bias", name)): t for name, t in state.items()}  # tên BERT cũ


def convert(old, new):
    """Thư mục cũ → thư mục mới `new`. Trả về tensor của tệp cũ, và báo cáo tải."""
    state = read_old(old)
    build = getattr(transformers, AutoConfig.from_pretrained(old).architectures[0])  # đúng lớp đã lưu, cả lớp ra
    dtype = next(t.dtype for t in state.values() if t.is_floating_point())  # kiểu số của tệp, không phải của cấu hình
    model, report = build.from_pretrained(old, use_safetensors=False, dtype=dtype, output_loading_info=True)
    model.save_pretrained(new)
    AutoTokenizer.from_pretrained(old).save_pretrained(new)
    return state, report


# %% Quan sát


def digest(t):
    return [str(t.dtype), hashlib.sha256(t.detach().contiguous().flatten().view(torch.uint8).numpy()).hexdigest()]


def observe(folder, text):
    """Những gì một tiến trình mới thấy ở thư mục: từng byte của tensor, trọng số buộc, dãy id."""
    build = getattr(transformers, AutoConfig.from_pretrained(folder).architectures[0])
    model, report = build.from_pretrained(folder, use_safetensors=True, output_loading_info=True)
    tied = {name for name, _ in model.named_parameters(remove_duplicate=False)} - dict(model.named_parameters()).keys()
    tensors = {name: digest(t) for name, t in model.state_dict().items() if name not in tied}
    ids = AutoTokenizer.from_pretrained(folder)(text).input_ids
    return {"tensors": tensors, "tied": sorted(tied), "clean": not any(report.values()), "ids": ids}


# %% Dựng
class Evil:
    def __reduce__(self):  # pickle hỏi cách dựng lại vật này; đáp: chạy lệnh sau
        return exec, (f"open({str(mark)!r}, 'w').close()",)


def save_old(name, model, bpe, settings, shards=(".bin",), extra=()):
    """Ghi một thư mục như Transformers bản cũ: tệp .bin, tệp từ vựng rời, khoá torch_dtype; không safetensors."""
    folder, where = root / name, {}
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    config = (folder / "config.json").read_text(encoding="utf-8").replace('"dtype"', '"torch_dtype"')
    state = {re.sub("LayerNorm.weight$", "LayerNorm.gamma", key): t for key, t in model.state_dict().items()}
    state = {re.sub("LayerNorm.bias$", "LayerNorm.beta", key): t for key, t in state.items()} | dict(extra)
    for place, shard in enumerate(shards):
        part = dict(list(state.items())[place :: len(shards)])
        torch.save(part, folder / f"pytorch_model{shard}")
        where |= dict.fromkeys(part, f"pytorch_model{shard}")
    bpe.save_model(str(folder))  # vocab.json và merges.txt, hay vocab.txt
    index = {"pytorch_model.bin.index.json": {"metadata": {}, "weight_map": where}} if len(shards) > 1 else {}
    for file, content in (settings | index | {"config.json": json.loads(config)}).items():
        (folder / file).write_text(json.dumps(content), encoding="utf-8")


if not args.model:
    bpe, words = ByteLevelBPETokenizer(), BertWordPieceTokenizer()
    bpe.train_from_iterator([TEXT], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
    words.train_from_iterator([TEXT], vocab_size=100, show_progress=False)
    torch.manual_seed(0)
    gpt = GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=64, vocab_size=512, bos_token_id=0, eos_token_id=0))
    bert = BertForMaskedLM(BertConfig(vocab_size=100, hidden_size=48, num_hidden_layers=2))
    for parameter in [*gpt.parameters(), *bert.parameters()]:  # tensor toàn 0 hay toàn 1: mất rồi tạo lại vẫn "đúng"
        parameter.data.add_(torch.randn_like(parameter), alpha=0.02)
    special = {"tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer"}}
    special["special_tokens_map.json"] = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    special["added_tokens.json"] = {"<hỏi>": bpe.get_vocab_size()}
    masks = {f"transformer.h.{i}.attn.masked_bias": torch.tensor(-1e4) for i in range(2)}  # bản cũ lưu cả mặt nạ
    save_old("gpt", gpt, bpe, special, ("-00001-of-00002.bin", "-00002-of-00002.bin"), masks)
    save_old("bert", bert, words, {"tokenizer_config.json": {"tokenizer_class": "BertTokenizer"}})
    save_old("poison", gpt, bpe, special, extra={"note": Evil()})

# %% Chuyển và tải lại
print("== Chuyển và tải lại ==")
CHILD = f"""
import hashlib, json, sys, torch, transformers
from transformers import AutoConfig, AutoTokenizer
{inspect.getsource(digest)}
{inspect.getsource(observe)}
print(json.dumps([observe(folder, sys.argv[1]) for folder in sys.argv[2:]]))
"""
jobs = {"yours": (args.model, args.to)} if args.model else {n: (root / n, root / f"{n}-new") for n in ("gpt", "bert")}
text = TEXT + "<hỏi>"  # <hỏi> chỉ có trong added_tokens.json
states, reports = {}, {}
try:
    for name, (old, new) in jobs.items():
        states[name], reports[name] = convert(old, new)
        if args.damage == "half":
            build = {"gpt": GPT2LMHeadModel, "bert": BertForMaskedLM}[name]
            build.from_pretrained(new, dtype=torch.float16).save_pretrained(new)
        for path in new.glob("tokenizer*") if args.damage == "tokenizer" else ():
            path.unlink()
    command = [sys.executable, "-X", "utf8", "-c", CHILD, text, *(str(new) for _, new in jobs.values())]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=600)
    seen = dict(zip(jobs, json.loads(done.stdout.splitlines()[-1]), strict=True))
except Exception as error:
    if args.to:
        shutil.rmtree(args.to, ignore_errors=True)  # do chính lần chạy này tạo ra
    reason = (getattr(error, "stderr", None) or str(error)).strip()
    named = re.search(r"GLOBAL \S+ (was not an allowed global|whose module \S+ is blocked)", reason)
    parser.exit(1, f"TRƯỢT: không chuyển được. {named[0] if named else reason.splitlines()[-1]}\n")

rows = {}
for name, (old, new) in jobs.items():
    was, now = {key: digest(t) for key, t in states[name].items()}, seen[name]["tensors"]
    prefix = next((key.split(".")[0] + "." for key in now if key not in was), "")  # tệp cũ có thể thiếu «transformer.»
    origin = {key: was.get(key, was.get(key.removeprefix(prefix))) for key in now}
    left = was.keys() - now.keys() - {key.removeprefix(prefix) for key in now}
    tied = sorted(set(seen[name]["tied"]) & left)
    rows[name] = {
        "tensors": len(now),
        "wrong": [key for key in now if origin[key] != now[key]],
        "tied": tied,
        "lost": [key for key in tied if was[key] not in now.values()],  # tưởng là buộc mà số lại khác: mất thật
        "surplus": sorted(left - set(tied)),
        "old": sorted(path.name for path in old.iterdir()),
        "new": sorted(path.name for path in new.iterdir()),
    }
    print(f"{name}: {len(now)} tensor, khác tệp cũ: {len(rows[name]['wrong'])}")
    for key, what in (("old", "cũ "), ("new", "mới"), ("tied", "buộc, chỉ còn một tên"), ("surplus", "thừa")):
        print(
            textwrap.fill(
                f"{what}: {', '.join(rows[name][key]) or 'không'}",
                100,
                initial_indent="    ",
                subsequent_indent="         ",
                break_on_hyphens=False,
            )
        )

# %% Thư mục độc
print("\n== Thư mục độc ==")
refused = ""
if not args.model:
    try:
        if args.damage == "trust":
            torch.load(root / "poison" / "pytorch_model.bin", weights_only=False)
        convert(root / "poison", root / "poison-new")
    except Exception as error:
        refused = f"{type(error).__name__}: {re.search(r'GLOBAL .* by default', str(error))[0]}"
    print(refused, f"mã lạ {'ĐÃ CHẠY' if mark.exists() else 'không chạy'}", sep="\n")

# %% Đối chứng
print("\n== Đối chứng ==")
ids = {name: AutoTokenizer.from_pretrained(old)(text).input_ids for name, (old, _) in jobs.items()}
learned = args.model or ids["gpt"] == [*bpe.encode(TEXT).ids, special["added_tokens.json"]["<hỏi>"]]
missing = [key for report in reports.values() for key in [*report["missing_keys"], *report["mismatched_keys"]]]
same = all(len(set(ids[name])) > 3 and seen[name]["ids"] == ids[name] for name in jobs)
checks = {
    "report": ("tải thư mục cũ: không tensor nào thiếu hay lệch cỡ", not missing),
    "weights": ("tải thư mục mới: mọi tensor bằng tệp cũ từng bit", not any(row["wrong"] for row in rows.values())),
    "tied": ("tên thứ hai của trọng số buộc: số không mất", not any(row["lost"] for row in rows.values())),
    "clean": ("tải thư mục mới: báo cáo rỗng", all(row["clean"] for row in seen.values())),
    "tokenizer": ("tokenizer cũ và mới cho cùng dãy id, không rỗng", bool(same and learned)),
    "safe": (
        "chỉ còn safetensors, không còn .bin",
        ".bin" not in str([row["new"] for row in rows.values()]),
    ),
}
if not args.model:
    gone = refused and not mark.exists() and not (root / "poison-new").exists()
    checks["poison"] = ("thư mục độc bị từ chối, mã lạ không chạy, không gì được ghi", bool(gone))
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {what}" for what, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "folders": rows, "refused": refused}
    args.json.write_text(json.dumps({"exact": exact}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: thư mục mới không phải thư mục cũ, hoặc mã lạ đã chạy. Đừng dùng thư mục mới.\n")
print("ĐÃ CHỨNG MINH: thư mục mới chính là thư mục cũ, không còn pickle.")
