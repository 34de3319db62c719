"""Soi checkpoint trước khi mở: làm hỏng một bản lành theo nhiều cách, công cụ nói gì.

    python checkpoint_report.py    # mô hình tí hon, không cần mạng

Tốn (cỡ mặc định): không quá 120 giây, 3 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers tokenizers; verify_checkpoint.py ở cạnh
"""

# %% Chuẩn bị
import contextlib
import datetime
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from verify_checkpoint import main, verify

TOOL = Path("verify_checkpoint.py").resolve()
MARK = "MA_LA_DA_CHAY.txt"  # dấu vết của mã gài trong tệp lạ; nó chỉ tạo tệp rỗng này
WEIGHTS = "model.safetensors"
home = Path.cwd()
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name).resolve()
os.chdir(root)  # để công cụ in tên ngắn
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


def save_run(folder, model):
    """Như Trainer lưu: mô hình, và ba thứ để chạy tiếp."""
    model.save_pretrained(folder)
    optimizer = torch.optim.AdamW(model.requires_grad_(True).parameters())
    model(input_ids=torch.ones(1, 4, dtype=torch.long)).logits.sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    torch.save(optimizer.state_dict(), f"{folder}/optimizer.pt")
    torch.save(scheduler.state_dict(), f"{folder}/scheduler.pt")
    torch.save({"cpu": torch.get_rng_state()}, f"{folder}/rng_state.pth")
    state = json.dumps({"global_step": 1})
    Path(folder, "trainer_state.json").write_text(state, encoding="utf-8")


save_run("run", build(0))
wide = GPT2Config(**SHAPE | {"n_embd": 32}, bos_token_id=0, eos_token_id=0)
save_run("wide", GPT2LMHeadModel(wide))

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

# %% Chưa rõ
print("\n== Chưa rõ ==")
torch.save({"w": torch.ones(3), "date": datetime.date(2026, 1, 1)}, "dated.pt")
unclear = run("dated.pt")
allowed = run("dated.pt", "--quiet", "--allow", "datetime.date")
refused = run("dated.pt", "--quiet", "--allow", "os.system")

# %% Lập bản kê
print("\n== Lập bản kê ==")


def write_manifest(folder):
    """Như lệnh `verify_checkpoint.py FOLDER --write-manifest`, không in gì."""
    with contextlib.redirect_stdout(io.StringIO()):
        return main([folder, "--write-manifest"])


good = [code]
for folder in ("model", "sharded", "pt", "run"):
    good.append(write_manifest(folder))
    good.append(verify(folder).exit_code)  # có bản kê rồi thì soi lại cũng phải tốt
print(verify("model").verdict)

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


def leave_pointer(folder):
    """Như `git clone` khi máy không có Git LFS."""
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 501832\n"
    (folder / WEIGHTS).write_text(text, encoding="utf-8")


def download_page(folder):
    """Như `curl` khi máy chủ trả một trang báo lỗi."""
    (folder / WEIGHTS).write_text("<!doctype html><title>404</title>", encoding="utf-8")


def change_tensors(folder, change):
    """Ghi lại tệp trọng số sau khi đổi các tensor."""
    tensors = load_file(folder / WEIGHTS)
    save_file(change(tensors), folder / WEIGHTS, {"format": "pt"})


def wrap_names(folder):
    """Như khi lưu `state_dict` của mô hình bọc trong DistributedDataParallel."""
    change_tensors(folder, lambda found: {f"module.{name}": found[name] for name in found})


def split_tied(folder):
    """Lớp đầu ra dùng chung, mà trong tệp lại là một tensor khác."""
    head = {"lm_head.weight": torch.ones(VOCABULARY, SHAPE["n_embd"])}
    change_tensors(folder, lambda found: found | head)


def empty_tensors(folder):
    """Như ZeRO-3 để lại khi lưu mà chưa gom tham số."""
    change_tensors(folder, lambda found: {name: torch.zeros(0) for name in found})


def other_optimizer(folder):
    shutil.copy(root / "wide/optimizer.pt", folder)


def lose_random(folder):
    (folder / "rng_state.pth").unlink()


def lose_shard(folder):
    max(folder.glob("*.safetensors")).unlink()


def cut_pt(folder):
    path = folder / "model.pt"
    path.write_bytes(path.read_bytes()[:-1000])


def cut_pickle(folder):
    """Một pickle trần bị cắt: không có ZIP nào để biết trước."""
    content = pickle.dumps({"step": 1, "loss": [0.5] * 500})
    (folder / "history.pkl").write_bytes(content[:-100])


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
    "pointer": ("model", leave_pointer),
    "page": ("model", download_page),
    "wrapped": ("model", wrap_names),
    "untied": ("model", split_tied),
    "empty": ("model", empty_tensors),
    "shard_missing": ("sharded", lose_shard),
    "pt_cut": ("pt", cut_pt),
    "pt_data_bit": ("pt", flip_pt),
    "pickle_cut": ("pt", cut_pickle),
    "pt_poisoned": ("pt", poison),
    "optimizer": ("run", other_optimizer),
    "random": ("run", lose_random),
}

# %% Làm hỏng rồi hỏi
print("\n== Làm hỏng rồi hỏi ==")
LEVELS = ("NGUY HIỂM", "HỎNG", "CHƯA RÕ", "CẢNH BÁO")  # nặng trước


def ask(path, manifest=None):
    """Mã thoát, và điều nặng nhất mà công cụ nói."""
    found = verify(path, manifest)
    for level in LEVELS:
        for finding in found.findings:
            if finding.level == level:
                where = f"{finding.where}: " if finding.where else ""
                return found.exit_code, f"{level} {where}{finding.text}"
    return found.exit_code, ""


NOTHING = "không thấy gì"
cases = {}
for name, (source, damage) in DAMAGES.items():
    folder = root / f"damaged-{name}"
    shutil.copytree(source, folder)
    damage(folder)
    bare, said = ask(folder)  # chưa từng có bản kê
    listed, _ = ask(folder, root / f"{source}.SHA256SUMS")
    said = said or NOTHING
    cases[name] = {"bare": bare, "listed": listed, "said": said}
    print(f"{name:<14} không bản kê {bare}, có bản kê {listed}  {said}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


passed = [name for name, case in cases.items() if not case["bare"]]
unseen = [name for name in passed if cases[name]["said"] == NOTHING]
warned = [name for name in passed if name not in unseen]
report("good", not any(good), "bản lành, trước và sau khi lập bản kê: tốt")
report("listed", all(case["listed"] == 1 for case in cases.values()), "có bản kê: thấy hết")
expected = {"data_bit", "config_heads", "other_weights"}
report("unseen", set(unseen) <= expected, "không bản kê: chỉ sót những loại đã nói trước")
expected = {"zero_tail", "random"}
report("warned", set(warned) <= expected, "không bản kê: chỉ hai loại dừng ở cảnh báo")
asked = {"unclear": unclear, "allowed": allowed, "refused": refused}
expected = {"unclear": 3, "allowed": 0, "refused": 2}
report("allowed", asked == expected, "--allow nhận một lớp vô hại, không nhận os.system")
poisoned = cases["pt_poisoned"]["said"]
report("danger", poisoned.startswith("NGUY HIỂM"), "tệp gài mã: nói là nguy hiểm")
ran = Path(MARK).exists() or (home / MARK).exists()
report("nothing_ran", not ran, "mã gài trong tệp chưa hề chạy")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "allow": asked,
        "cases": cases,
        "damages": len(cases),
        "unseen": len(unseen),
        "warned": len(warned),
    }
}
os.chdir(home)  # để thư mục tạm xoá được trên Windows
if not all(checks.values()):
    sys.exit("TRƯỢT: công cụ không nói điều phải nói.")
