"""Bản kê lúc lưu và lúc nhận: tai nạn, kẻ cố ý, chữ ký, và cùng một mô hình trong nhiều dạng tệp.

    python tensor_manifest.py    # mô hình tí hon, không cần mạng

Tốn (cỡ mặc định): không quá 90 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers safetensors tokenizers, và manifest.py nằm cạnh
Cần cả lệnh ssh-keygen của OpenSSH để thử chữ ký: Linux, macOS và Windows đều có sẵn.
"""

# %% Chuẩn bị
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from manifest import check, compare_tensors, write

TEXT = "Lưu mô hình rồi tải lại: cái tải lại phải giống hệt cái đã lưu."
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 512, "n_positions": 128}
WEIGHTS = "model.safetensors"

recipe = Path("manifest.py").resolve()
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name).resolve()
os.chdir(root)  # để các lệnh dưới đây in tên ngắn
transformers.logging.disable_progress_bar()

# %% Dựng và lưu


def tokenizer_of(text):
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([text], vocab_size=300, special_tokens=["</s>"], show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="</s>")


def numbers_like(parameter, start):
    """Số tự đặt chứ không ngẫu nhiên: SHA-256 in ra dưới đây máy nào cũng như nhau."""
    return (torch.arange(parameter.numel()) + start).remainder(251).reshape(parameter.shape) / 256


model = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0)).eval()
with torch.no_grad():
    for start, parameter in enumerate(model.parameters()):
        parameter.copy_(numbers_like(parameter, start))
model.save_pretrained("my-model")
tokenizer_of(TEXT).save_pretrained("my-model")

# %% Lập bản kê
print("== Lập bản kê ==")


def run(*words):
    """Chạy manifest.py như người dùng chạy; in lệnh và những gì nó in."""
    print(f"→ python manifest.py {' '.join(words)}", flush=True)
    command = [sys.executable, str(recipe), *words]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    print(done.stdout + done.stderr, end="")
    print(f"mã thoát {done.returncode}")
    return done


written = run("write", "my-model")
kept = written.stdout.split()[-1]  # SHA-256 của bản kê: giữ ở nơi khác
print("\n→ cat my-model.SHA256SUMS")
print(Path("my-model.SHA256SUMS").read_text(encoding="utf-8"), end="")
print("\n→ head -3 my-model.tensors.json")
lines = Path("my-model.tensors.json").read_text(encoding="utf-8").splitlines()
print("\n".join(lines[:3]))

# %% Tệp đổi trên đường đi
print("\n== Tệp đổi trên đường đi ==")


def flip_last(file):
    """Lật bit thấp nhất của số cuối cùng trong tệp."""
    raw = bytearray(file.read_bytes())
    raw[-4] ^= 1
    file.write_bytes(raw)


shutil.copytree("my-model", "whole")
flip_last(Path("my-model", WEIGHTS))
Path("my-model/config.json").unlink()
Path("my-model/notes.txt").write_text("thừa", encoding="utf-8")
Path("my-model/.DS_Store").write_bytes(b"rac")
damaged = run("check", "my-model")

# %% Tai nạn và kẻ cố ý
print("\n== Tai nạn và kẻ cố ý ==")


def sign(sums):
    """Ký một bản kê: chữ ký thành tệp .sig cạnh nó."""
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", "key", "-n", "file", sums]
    subprocess.run(command, check=True, capture_output=True)


def signature_holds(sums):
    command = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "toi", "-n", "file"]
    command += ["-s", f"{sums}.sig"]
    with Path(sums).open("rb") as stream:
        return subprocess.run(command, stdin=stream, capture_output=True).returncode == 0


def arrive(name):
    """Bản vừa nhận: thư mục, và cạnh nó là bản kê cùng chữ ký như lúc gửi."""
    shutil.copytree("whole", name)
    for end in ("SHA256SUMS", "SHA256SUMS.sig"):
        shutil.copy(f"my-model.{end}", f"{name}.{end}")
    return Path(name)


subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key"], check=True)
Path("signers").write_text(f"toi {Path('key.pub').read_text()}", encoding="utf-8")
sign("my-model.SHA256SUMS")

nothing = arrive("nothing")
accident = arrive("accident")
flip_last(accident / WEIGHTS)
attack = arrive("attack")
flip_last(attack / WEIGHTS)
write(attack, force=True)  # kẻ sửa được tệp thì lập lại được cả bản kê
early = arrive("early")
tokenizer_of(TEXT[20:]).save_pretrained(early)  # nhầm tokenizer ngay từ lúc lưu
early_sum = write(early, force=True)
Path("early.SHA256SUMS.sig").unlink()
sign("early.SHA256SUMS")  # chính chủ ký: người đó chưa biết mình sai

ROWS = {  # khoá: (chuyện gì, thư mục, SHA-256 của bản kê mà bên nhận đã giữ)
    "nothing": ("không có gì", nothing, kept),
    "accident": ("một bit lật", accident, kept),
    "attack": ("lật bit, lập lại bản kê", attack, kept),
    "early": ("sai từ trước khi lập bản kê", early, early_sum),
}
print("bên nhận thấy khác không, nếu:")
print(f"{'':<29}{'tin bản kê cạnh tệp':>20}{'SHA-256 đã giữ':>16}{'chữ ký':>8}")
seen = {}
for key, (label, folder, known) in ROWS.items():
    beside = check(folder) != []
    signed = signature_holds(f"{folder}.SHA256SUMS")
    seen[key] = {
        "beside": beside,
        "digest": check(folder, sha256=known) != [],
        "signature": beside or not signed,
    }
    words = ["có" if cell else "không" for cell in seen[key].values()]
    print(f"{label:<29}{words[0]:>20}{words[1]:>16}{words[2]:>8}")

# %% Một mô hình, nhiều dạng tệp
print("\n== Một mô hình, nhiều dạng tệp ==")
state = dict(model.named_parameters())  # mỗi tensor một tên, như tệp safetensors của thư viện
half = {name: tensor.bfloat16() for name, tensor in state.items()}
model.save_pretrained("again")
model.save_pretrained("shards", max_shard_size=200_000)
save_file(state, "plain.safetensors")  # thư viện còn ghi thêm {"format": "pt"} vào phần đầu
save_file(half, "half.safetensors")
Path("elsewhere").mkdir()
for file in ("model.pt", "elsewhere/model.pt", "renamed.pt"):
    torch.save(state, file)
    converted = torch.load(file, weights_only=True)
    save_file(converted, Path(file).with_suffix(".safetensors"))

KINDS = {  # khoá: (nhãn, tệp, so byte với tệp nào, nơi có tensor)
    "again": ("thư mục, lưu lần nữa", f"again/{WEIGHTS}", f"whole/{WEIGHTS}", "again"),
    "plain": ("save_file", "plain.safetensors", f"whole/{WEIGHTS}", "plain.safetensors"),
    "shards": ("thư mục chia mảnh", None, f"whole/{WEIGHTS}", "shards"),
    "elsewhere": (".pt, cùng tên", "elsewhere/model.pt", "model.pt", "elsewhere/model.safetensors"),
    "renamed": (".pt, tên khác", "renamed.pt", "model.pt", "renamed.safetensors"),
    "half": ("save_file, bfloat16", "half.safetensors", f"whole/{WEIGHTS}", "half.safetensors"),
}


def digest_of(file):
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


kinds = {}
print(f"{'':<24}{'cùng SHA-256 tệp':>17}{'cùng tensor':>13}")
for key, (label, file, other, place) in KINDS.items():
    same_file = file is not None and digest_of(file) == digest_of(other)
    same_tensors = compare_tensors("my-model.tensors.json", place) == []
    kinds[key] = {"file": same_file, "tensors": same_tensors}
    words = ["có" if same else "không" for same in (same_file, same_tensors)]
    print(f"{label:<24}{words[0]:>17}{words[1]:>13}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


found = damaged.stdout.splitlines()
named = [line for line in found if line.startswith(("đổi: ", "thiếu: ", "thừa: "))]
report("arrived", not any(seen["nothing"].values()), "không có gì thì không báo nhầm")
report("named", len(named) == 3 and damaged.returncode == 1, "ba thay đổi được gọi tên")
report("accident", all(seen["accident"].values()), "tai nạn: cách nào cũng thấy")
attacked = seen["attack"]
report("attack", not attacked["beside"], "kẻ cố ý: bản kê cạnh tệp không thấy")
outside = attacked["digest"] and attacked["signature"]
report("outside", outside, "kẻ cố ý: SHA-256 đã giữ và chữ ký đều thấy")
report("early", not any(seen["early"].values()), "sai từ trước: bản kê không thấy")
other_kinds = [key for key, kind in kinds.items() if not kind["tensors"]]
report("tensors", other_kinds == ["half"], "đổi dạng tệp: cùng tensor; đổi kiểu số: khác")
report("bytes", not kinds["renamed"]["file"], "hai tệp .pt khác tên: khác byte")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "seen": seen,
        "kinds": kinds,
        "named": named,
        "files": len(Path("my-model.SHA256SUMS").read_text(encoding="utf-8").splitlines()),
        "tensors": len(state),
    }
}
os.chdir(recipe.parent)  # để thư mục tạm xoá được trên Windows
if not all(checks.values()):
    sys.exit("TRƯỢT: bên nhận không thấy điều phải thấy.")
