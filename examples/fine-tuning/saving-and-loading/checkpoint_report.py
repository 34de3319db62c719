"""Soi checkpoint trước khi mở: những bản bị làm hỏng, những bản lành đủ kiểu, công cụ nói gì.

    python checkpoint_report.py    # mô hình tí hon, không cần mạng

Tốn (cỡ mặc định): không quá 120 giây, 3 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers accelerate safetensors tokenizers; verify_checkpoint.py ở cạnh
"""

# %% Chuẩn bị
import argparse
import contextlib
import datetime
import gzip
import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy
import torch
import torch.distributed.checkpoint
import transformers
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainingArguments,
)

from verify_checkpoint import inspect, main

TOOL = Path("verify_checkpoint.py").resolve()
MARK = "MA_LA_DA_CHAY.txt"  # dấu vết của mã gài trong tệp lạ; nó chỉ tạo tệp rỗng này
WEIGHTS = "model.safetensors"
home = Path.cwd()
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name).resolve()
os.chdir(root)  # để công cụ in tên ngắn
warnings.filterwarnings("ignore")  # torch.jit và DCP báo trước những thay đổi của chúng
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

# %% Dựng và lưu
bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator(["Soi trước, mở sau."], vocab_size=300, show_progress=False)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="</s>")
VOCABULARY = len(tokenizer)
SHAPE = {"n_layer": 2, "n_head": 2, "n_embd": 64, "n_positions": 128, "vocab_size": VOCABULARY}
config = GPT2Config(**SHAPE, bos_token_id=0, eos_token_id=0)


def build(seed):
    torch.manual_seed(seed)
    return GPT2LMHeadModel(config).requires_grad_(False)


class Evil:
    def __reduce__(self):  # pickle gọi hàm này với đối số này lúc tải
        return exec, (f"open({MARK!r}, 'w').close()",)


model = build(0)
model.save_pretrained("model")
tokenizer.save_pretrained("model")
model.save_pretrained("sharded", max_shard_size="100KB")  # vài mảnh và index.json
Path("pt").mkdir()
torch.save(model.state_dict(), "pt/model.pt")
torch.save({**model.state_dict(), "note": Evil()}, "evil.pt")  # trọng số thật, thêm một vật lạ
build(1).save_pretrained("other")

# %% Soi thư mục lành
print("== Soi thư mục lành ==")


def run(*words):
    """Chạy công cụ như người dùng chạy; in lệnh và những gì nó in."""
    print(f"→ python verify_checkpoint.py {' '.join(words)}", flush=True)
    command = [sys.executable, str(TOOL), *words]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    print(done.stdout + done.stderr, end="")
    print(f"mã thoát {done.returncode}")
    return done.returncode


code = run("model")

# %% Lập bản kê
print("\n== Lập bản kê ==")


def write_manifest(folder):
    """Như lệnh `verify_checkpoint.py FOLDER --write-manifest`, không in gì."""
    with contextlib.redirect_stdout(io.StringIO()):
        return main([folder, "--write-manifest"])


good = [code]
for folder in ("model", "sharded", "pt"):
    good.append(write_manifest(folder))
    good.append(inspect(folder).exit_code)  # có bản kê rồi thì soi lại cũng phải tốt
print(inspect("model").verdict)

# %% Các cách làm hỏng


def flip(path, place):
    """Lật một bit ở byte `place` (số âm: tính từ cuối)."""
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def cut(folder):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1000])


def flip_length(folder):
    flip(folder / WEIGHTS, 1)


def flip_name(folder):
    flip(folder / WEIGHTS, (folder / WEIGHTS).read_bytes().index(b"mlp"))


def flip_data(folder):
    flip(folder / WEIGHTS, -1)


def zero_tail(folder):
    content = (folder / WEIGHTS).read_bytes()
    half = len(content) // 2
    (folder / WEIGHTS).write_bytes(content[:half] + bytes(len(content) - half))


def edit_config(folder, **facts):
    path = folder / "config.json"
    changed = json.loads(path.read_text(encoding="utf-8")) | facts
    path.write_text(json.dumps(changed), encoding="utf-8")


def more_layers(folder):
    edit_config(folder, n_layer=3)


def untie(folder):
    edit_config(folder, tie_word_embeddings=False)


def other_heads(folder):
    edit_config(folder, n_head=4)


def add_token(folder):
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    token = {"id": VOCABULARY, "content": "<mới>", "special": False, "normalized": False}
    data["added_tokens"].append(token | {"single_word": False, "lstrip": False, "rstrip": False})
    path.write_text(json.dumps(data), encoding="utf-8")


def other_weights(folder):
    shutil.copy(root / "other" / WEIGHTS, folder)


def lose_shard(folder):
    max(folder.glob("*.safetensors")).unlink()


def cut_pt(folder):
    path = folder / "model.pt"
    path.write_bytes(path.read_bytes()[:-1000])


def flip_pt(folder):
    flip(folder / "model.pt", (folder / "model.pt").stat().st_size // 2)


def poison(folder):
    shutil.copy(root / "evil.pt", folder / "model.pt")


DAMAGES = {  # khoá: (bản nào, làm gì với thư mục đó)
    "cut": ("model", cut),
    "length_bit": ("model", flip_length),
    "name_bit": ("model", flip_name),
    "data_bit": ("model", flip_data),
    "zero_tail": ("model", zero_tail),
    "config_layers": ("model", more_layers),
    "config_tie": ("model", untie),
    "config_heads": ("model", other_heads),
    "token_added": ("model", add_token),
    "other_weights": ("model", other_weights),
    "shard_missing": ("sharded", lose_shard),
    "pt_cut": ("pt", cut_pt),
    "pt_data_bit": ("pt", flip_pt),
    "pt_poisoned": ("pt", poison),
}

# %% Làm hỏng rồi hỏi
print("\n== Làm hỏng rồi hỏi ==")
LEVELS = ("NGUY HIỂM", "HỎNG", "CẢNH BÁO")  # nặng trước


def ask(path, manifest=None):
    """Mã thoát, và điều nặng nhất mà công cụ nói."""
    found = inspect(path, manifest)
    for level in LEVELS:
        for finding in found.findings:
            if finding.level == level:
                where = f"{finding.where}: " if finding.where else ""
                return found.exit_code, f"{level} {where}{finding.text}"
    return found.exit_code, ""


cases = {}
for name, (source, damage) in DAMAGES.items():
    folder = root / f"damaged-{name}"
    shutil.copytree(source, folder)
    damage(folder)
    bare, said = ask(folder)  # chưa từng có bản kê
    listed, _ = ask(folder, root / f"{source}.SHA256SUMS")
    said = said or "không thấy gì"
    cases[name] = {"bare": bare, "listed": listed, "said": said}
    print(f"{name:<14} không bản kê {bare}, có bản kê {listed}  {said}")

# %% Những bản lành
KINDS = {}  # khoá: (nhãn, nơi cần soi)


def folder_of(name):
    folder = Path("honest", name)
    folder.mkdir(parents=True)
    return folder


def copy_of_model(name):
    """Một bản của thư mục GPT-2 lành, để thêm vào đó thứ gì."""
    folder = Path("honest", name)
    shutil.copytree("model", folder)
    return folder


Path("honest").mkdir()
SMALL = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SMALL["intermediate_size"] = 32
llama = LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=False))
llama.save_pretrained("honest/llama")
BertForSequenceClassification(BertConfig(**SMALL)).save_pretrained("honest/bert")
t5 = T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
T5ForConditionalGeneration(t5).save_pretrained("honest/t5")
build(0).bfloat16().save_pretrained("honest/bfloat16")
KINDS["gpt2"] = ("GPT-2, một tệp", "model")
KINDS["sharded"] = ("GPT-2, chia mảnh", "sharded")
KINDS["bfloat16"] = ("GPT-2, `bfloat16`", "honest/bfloat16")
KINDS["llama"] = ("Llama, lớp ra riêng", "honest/llama")
KINDS["bert"] = ("BERT phân loại", "honest/bert")
KINDS["t5"] = ("`T5`", "honest/t5")

old = folder_of("old")
shutil.copy("model/config.json", old)
torch.save(model.state_dict(), old / "pytorch_model.bin")
torch.save(model.state_dict(), "honest/old.pt", _use_new_zipfile_serialization=False)
KINDS["bin"] = ("thư mục cũ, `pytorch_model.bin`", old)
KINDS["pt"] = ("`state_dict`, tệp `.pt`", "pt/model.pt")
KINDS["old_torch"] = ("`.pt` dạng cũ, không phải ZIP", "honest/old.pt")

arguments = TrainingArguments(
    "honest/trainer", max_steps=1, save_steps=1, report_to=[], use_cpu=True, disable_tqdm=True
)
example = {"input_ids": torch.arange(8), "labels": torch.arange(8)}
with contextlib.redirect_stdout(io.StringIO()):  # Trainer in loss
    Trainer(build(0).requires_grad_(True), arguments, train_dataset=[example] * 8).train()
KINDS["trainer"] = ("checkpoint của `Trainer`", "honest/trainer/checkpoint-1")

state = {"weight": torch.ones(3, 3)}
torch.save({**state, "loss": numpy.float64(0.5)}, "honest/numpy.pt")
torch.save({**state, "date": datetime.datetime(2026, 1, 1)}, "honest/datetime.pt")
torch.save({**state, "args": argparse.Namespace(lr=0.1)}, "honest/namespace.pt")
torch.save(torch.nn.Linear(3, 3), "honest/module.pt")
torch.serialization.set_crc32_options(False)
torch.save(state, "honest/no_crc.pt")
torch.serialization.set_crc32_options(True)
KINDS["numpy"] = ("`.pt` có một số NumPy", "honest/numpy.pt")
KINDS["datetime"] = ("`.pt` có `datetime`", "honest/datetime.pt")
KINDS["namespace"] = ("`.pt` có `argparse.Namespace`", "honest/namespace.pt")
KINDS["no_crc"] = ("`.pt` ghi không kèm CRC", "honest/no_crc.pt")
KINDS["module"] = ("cả mô hình: `torch.save(model)`", "honest/module.pt")

with contextlib.redirect_stderr(io.StringIO()):
    torch.distributed.checkpoint.save(state, checkpoint_id="honest/dcp")
KINDS["dcp"] = ("checkpoint phân tán (DCP)", "honest/dcp")

rust = copy_of_model("rust")  # openai-community/gpt2 có một tệp như thế, cho rust-bert
torch.jit.save(torch.jit.script(torch.nn.Linear(3, 3)), rust / "rust_model.ot")
KINDS["rust"] = ("GPT-2 kèm `rust_model.ot`", rust)

LORA = "base_model.model.transformer.h.0.attn.c_attn"
lora = {f"{LORA}.lora_A.weight": torch.ones(4, 64), f"{LORA}.lora_B.weight": torch.ones(192, 4)}
facts = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": "gpt2"}
for name in ("lora", "lora_config"):
    folder = folder_of(name)
    save_file(lora, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(facts), encoding="utf-8")
shutil.copy("model/config.json", "honest/lora_config")
KINDS["lora"] = ("adapter LoRA", "honest/lora")
KINDS["lora_config"] = ("adapter LoRA kèm `config.json`", "honest/lora_config")

mac = copy_of_model("mac")
(mac / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
(mac / "._model.safetensors").write_bytes(b"\0\5\x16\7" + bytes(100))
KINDS["mac"] = ("thư mục đi qua macOS", mac)

own_code = copy_of_model("own_code")
edit_config(own_code, auto_map={"AutoModelForCausalLM": "modeling_own.Own"})
(own_code / "modeling_own.py").write_text("class Own: ...\n", encoding="utf-8")
KINDS["own_code"] = ("mô hình kèm mã, `auto_map`", own_code)

repository = Path("honest/hub/models--me--gpt2")
snapshot = repository / "snapshots/0123abcd"
snapshot.mkdir(parents=True)
(repository / "blobs").mkdir()
for number, file in enumerate(sorted(Path("model").iterdir())):
    shutil.copy(file, repository / f"blobs/{number}")
    (snapshot / file.name).symlink_to(f"../../blobs/{number}")
KINDS["hub"] = ("bộ nhớ đệm của Hub, `models--…`", repository)
KINDS["snapshot"] = ("bộ nhớ đệm của Hub, `snapshots/…`", snapshot)

# %% Hỏi những bản lành
print("\n== Hỏi những bản lành ==")
honest = {}
for key, (label, place) in KINDS.items():
    code, said = ask(place)
    honest[key] = {"code": code, "said": said or "không có gì đáng nói"}
    print(f"{code}  {label.replace('`', ''):<34}{said}")
alarms = [key for key, row in honest.items() if row["code"]]
print(f"{len(alarms)} trong {len(honest)} bản lành bị báo nhầm")

# %% Những gì nó không thấy
print("\n== Những gì nó không thấy ==")
evil = pickle.dumps(
    Evil(), protocol=0
)  # pickle gài mã, dạng chữ: không có byte mở đầu nào để nhận ra


def with_file(name, content):
    """Thư mục GPT-2 lành, thêm một tệp."""
    folder = copy_of_model(f"blind-{len(blind)}")
    (folder / name).write_bytes(content)
    return folder


def npy_of(content):
    """Tệp .npy chứa một mảng đối tượng; mảng đó là một pickle."""
    stream = io.BytesIO()
    numpy.lib.format.write_array_header_1_0(
        stream, {"descr": "|O", "fortran_order": False, "shape": ()}
    )
    return stream.getvalue() + content


def zip_of(content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("labels.pkl", content)
    return stream.getvalue()


no_tensor = struct.pack("<Q", 2) + b"{}"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
BLIND = {  # khoá: (tệp thêm vào, nội dung)
    "joblib": ("scaler.joblib", evil),
    "npy": ("embeddings.npy", npy_of(evil)),
    "gzip": ("labels.pkl.gz", gzip.compress(evil)),
    "zip": ("extra.zip", zip_of(evil)),
    "pyc": ("helper.pyc", b"\xa7\r\r\n"),
    "pointer": ("tokenizer.model", POINTER),
    "empty": ("model.safetensors", no_tensor),
}
blind = {}
for key, (name, content) in BLIND.items():
    code, said = ask(with_file(name, content))
    blind[key] = {"code": code, "said": said or "không nói gì"}
    print(f"{code}  {name:<20}{said}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


COMMON = ["gpt2", "sharded", "bfloat16", "llama", "bert", "t5", "bin", "pt", "old_torch"]
COMMON += ["trainer", "lora", "mac", "hub", "numpy"]
unseen = [name for name, case in cases.items() if not case["bare"]]
expected = ["data_bit", "zero_tail", "config_heads", "other_weights"]
report("good", not any(good), "bản lành, trước và sau khi lập bản kê: tốt")
report("common", not set(alarms) & set(COMMON), f"{len(COMMON)} kiểu thường gặp: không báo nhầm")
report("listed", all(case["listed"] == 1 for case in cases.values()), "có bản kê: thấy hết")
report("unseen", set(unseen) <= set(expected), "không bản kê: chỉ sót những loại đã nói trước")
poisoned = cases["pt_poisoned"]["said"]
report("danger", poisoned.startswith("NGUY HIỂM"), "tệp gài mã: nói là nguy hiểm")
ran = Path(MARK).exists() or (home / MARK).exists()
report("nothing_ran", not ran, "mã gài trong tệp chưa hề chạy")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "cases": cases,
        "damages": len(cases),
        "unseen": len(unseen),
        "honest": honest,
        "kinds": len(honest),
        "alarms": len(alarms),
        "blind": blind,
    }
}
os.chdir(home)  # để thư mục tạm xoá được trên Windows
if not all(checks.values()):
    sys.exit("TRƯỢT: công cụ không nói điều phải nói.")
