"""Lưu checkpoint giữa chừng, huấn luyện tiếp trong tiến trình mới, chứng minh từng bit như chưa hề dừng.

    python exact_resume.py                    # mô hình GPT-2 tí hon, dữ liệu tự sinh, không cần mạng
    python exact_resume.py --out luu          # giữ checkpoint; chạy lần nữa: đi tiếp từ nó rồi đối chứng
    python exact_resume.py --break optimizer  # khi tải, quên trạng thái optimizer: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 60 giây, 2 GiB bộ nhớ, 1 GiB đĩa.
Cần: pip install torch transformers
Mã thoát: 0 đã chứng minh; 1 trượt hoặc tệp hỏng; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import hashlib
import inspect
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 64, "vocab_size": 64, "n_positions": 32}
TOTAL, EVERY, KILL = 60, 15, 37  # số bước; bao nhiêu bước lưu một lần; bị giết sau bước này, không phải bước có lưu
SAVED = KILL // EVERY * EVERY  # checkpoint cuối cùng kịp lưu
SENTENCES, BATCH, LENGTH = 192, 16, 32  # một epoch là 12 bước: checkpoint ở bước 30 rơi vào giữa epoch
MODEL, OPTIMIZER = 'model.load_state_dict(kept["model"])', 'optimizer.load_state_dict(kept["optimizer"])'
HALF = 'model.load_state_dict({name: tensor.bfloat16() for name, tensor in kept["model"].items()})'
SWAP = 'matrices = optimizer.param_groups[0]["params"]; matrices[2:] = matrices[6:] + matrices[2:6]; '
FORGET = {  # quên gì: (tên gọi, dòng của load_checkpoint, dòng thay vào đó)
    "optimizer": ("trạng thái của optimizer", OPTIMIZER, "pass"),
    "scheduler": ("trạng thái của scheduler", 'scheduler.load_state_dict(kept["scheduler"])', "pass"),
    "torch_rng": ("RNG của torch (dropout)", 'torch.set_rng_state(kept["torch_rng"])', "pass"),
    "python_rng": ("RNG của Python (cắt câu)", 'random.setstate(kept["python_rng"])', "pass"),
    "position": ("vị trí trong dữ liệu", 'return kept["step"]', "return 0"),
    "eval": ("model.train()", "model.train()", "model.eval()"),  # from_pretrained trả về mô hình ở eval()
    "order": ("thứ tự tham số", OPTIMIZER, SWAP + OPTIMIZER),  # optimizer mới xếp hai khối ngược nhau
    "half": ("kiểu số (lưu bằng bf16)", MODEL, HALF),
    "assign": ("cách tải (assign=True)", MODEL, MODEL[:-1] + ", assign=True)"),  # optimizer vẫn giữ tensor cũ
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--out", type=Path, help="thư mục giữ checkpoint (mặc định: thư mục tạm, tự xoá)")
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="forget", choices=FORGET, help="quên một thứ khi tải, để xem đối chứng trượt")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch transformers\n")

out = args.out or Path((temporary := tempfile.TemporaryDirectory()).name)
folder, proof_file = out / "checkpoint", out / "proof.json"
file = folder / "checkpoint.pt"
try:
    fresh = not any(path.is_file() for path in out.rglob("*"))
    if not (fresh or folder.is_dir() or proof_file.is_file()) or (args.forget and not fresh):
        raise FileExistsError("đã có thứ khác, hoặc --break không đi với nó")
    if args.json and (args.json.is_dir() or out.absolute() in args.json.absolute().parents):
        raise IsADirectoryError(f"--json {args.json} phải là một tệp ngoài thư mục ấy")
    folder.mkdir(parents=True, exist_ok=True)
except OSError as error:
    parser.exit(2, f"Không dùng được {out}: {error.strerror or error}. Hãy chọn thư mục mới cho --out.\n")

# %% Checkpoint


def save_checkpoint(file, model, optimizer, scheduler, step):
    """Ghi mọi thứ cần để đi tiếp. Bị giết lúc nào, `file` cũng trọn vẹn: là bản cũ hoặc bản mới."""
    kept = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),  # AdamW nhớ hai tensor cho mỗi tham số
        "scheduler": scheduler.state_dict(),
        "torch_rng": torch.get_rng_state(),  # dropout; có GPU: thêm torch.cuda.get_rng_state_all()
        "python_rng": random.getstate(),  # dùng bộ sinh số ngẫu nhiên nào thì lưu bộ ấy
        "step": step,  # số bước đã xong, cũng là vị trí trong dữ liệu
    }
    temporary = file.with_suffix(".tmp")
    with temporary.open("wb") as stream:
        torch.save(kept, stream)
        stream.flush()
        os.fsync(stream.fileno())  # xuống tới đĩa rồi mới đổi tên
    temporary.replace(file)  # một thao tác không chia được: không ai gặp tệp ghi dở


def load_checkpoint(file, model, optimizer, scheduler):
    """Đưa mọi thứ về đúng lúc lưu; trả về số bước đã xong. Gọi sau khi đã dựng cả ba."""
    kept = torch.load(file, map_location="cpu", weights_only=True)
    model.load_state_dict(kept["model"])
    optimizer.load_state_dict(kept["optimizer"])
    scheduler.load_state_dict(kept["scheduler"])
    torch.set_rng_state(kept["torch_rng"])
    random.setstate(kept["python_rng"])
    model.train()
    return kept["step"]


# %% Huấn luyện


def build():
    """Việc mà tiến trình nào cũng làm khi khởi động, dù huấn luyện từ đầu hay đi tiếp."""
    torch.set_num_threads(1)  # số luồng đổi thì thứ tự cộng đổi, bit cuối đổi theo
    torch.manual_seed(0)
    random.seed(0)
    model = GPT2LMHeadModel(GPT2Config(**TINY, bos_token_id=0, eos_token_id=0))  # dropout mặc định: 0,1
    model.loss_type = "ForCausalLM"  # loss: đoán token kế tiếp
    matrices = {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1}
    vectors = {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}
    optimizer = torch.optim.AdamW([matrices, vectors], lr=1e-2)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 6, 1 - step / TOTAL))
    return model, optimizer, rate  # tốc độ học tăng trong sáu bước, rồi giảm đều về 0


def sentences(seed, count):
    """Token sau hơn token trước từ 1 đến 4, quay vòng ở 64: có quy luật để học, không đoán trúng hết được."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(64, (count, 1), generator=generator)
    return (first + torch.randint(1, 5, (count, LENGTH + 16), generator=generator).cumsum(1)) % 64


def train(model, optimizer, scheduler, start, count, file=None):
    """Chạy `count` bước, lần lượt trả ra loss; có `file` thì cứ EVERY bước lưu một lần."""
    data = sentences(1, SENTENCES)
    for step in range(start, start + count):
        epoch, place = divmod(step, SENTENCES // BATCH)  # thứ tự dữ liệu chỉ tính từ hạt, epoch và bước
        order = torch.randperm(SENTENCES, generator=torch.Generator().manual_seed(epoch))
        cut = random.randrange(16)  # tăng cường dữ liệu: cắt câu ở một chỗ ngẫu nhiên
        tokens = data[order[place * BATCH :][:BATCH], cut : cut + LENGTH]
        loss = model(tokens, labels=tokens).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if file and (step + 1) % EVERY == 0:
            save_checkpoint(file, model, optimizer, scheduler, step + 1)
        yield loss.item()


def outcome(model):
    """Kết cục: SHA-256 trên byte của mọi trọng số, và loss trên những câu chưa học."""
    raw = b"".join(tensor.flatten().view(torch.uint8).numpy().tobytes() for tensor in model.state_dict().values())
    tokens = sentences(2, 64)[:, :LENGTH]
    with torch.no_grad():
        return [hashlib.sha256(raw).hexdigest(), model.eval()(tokens, labels=tokens).loss.item()]


# --- khối dùng chung: bang-chung ---
def digests(folder):
    """SHA-256 của từng tệp."""
    sums = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()):
        regular = path.is_file() and not path.is_symlink()  # liên kết, ống dẫn: không mở
        name = path.relative_to(folder).as_posix()
        sums[name] = hashlib.sha256(path.read_bytes()).hexdigest() if regular else "không phải tệp thường"
    return sums


def sealed(proof):
    """Bằng chứng dạng JSON, đứng sau SHA-256 của chính nó: sửa một chữ cũng lộ."""
    return json.dumps([hashlib.sha256(json.dumps(proof).encode()).hexdigest(), proof])


# --- hết khối ---

# %% Chạy một mạch
print("== Chạy một mạch ==")
if fresh:
    run = build()
    losses = list(train(*run, 0, SAVED, file if args.forget else None))  # --break thì lưu luôn ở đây, cho nhanh
    losses += train(*run, SAVED, TOTAL - SAVED)
    proof = {"losses": losses, "outcome": outcome(run[0]), "parameters": run[0].num_parameters()}
print(f"{TOTAL} bước, loss từ {losses[0]:.4f} xuống {losses[-1]:.4f}" if fresh else "đã chạy từ lần trước")

# %% Phiên làm việc
SESSION = f"""
import hashlib, json, os, random, signal, sys, torch
from pathlib import Path
from transformers import GPT2Config, GPT2LMHeadModel
TINY, TOTAL, EVERY, SENTENCES, BATCH, LENGTH = {TINY}, {TOTAL}, {EVERY}, {SENTENCES}, {BATCH}, {LENGTH}
{"".join(map(inspect.getsource, (save_checkpoint, load_checkpoint, build, sentences, train, outcome)))}
file, count, kill = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
run = build()
step = load_checkpoint(file, *run) if file.exists() else 0
for loss in train(*run, step, count, file if kill else None):
    step += 1
    print(json.dumps([step, loss]), flush=True)
    if step == kill:  # như máy thuê hết giờ: không kịp dọn dẹp. Windows không có SIGKILL
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
print(json.dumps(outcome(run[0])))
"""


def session(program, count, kill=0):
    """Chạy `count` bước trong một tiến trình mới; trả về mã thoát và những dòng nó kịp in."""
    command = [sys.executable, "-X", "utf8", "-c", program, str(file), str(count), str(kill)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


# %% Bị giết giữa chừng
print("\n== Bị giết giữa chừng ==")
if fresh and not args.forget:
    code, lines = session(SESSION, TOTAL, KILL)
    proof["killed"] = code != 0 and [loss for _, loss in lines] == losses[:KILL]
    print(f"phiên đầu chết sau bước {len(lines)}; checkpoint cuối ở bước {SAVED}, mất {len(lines) - SAVED} bước")
else:
    print("bỏ qua: đã có checkpoint")
if fresh:  # proof.json ghi sau cùng: có nó nghĩa là đã lưu xong
    proof_file.write_text(sealed({"files": digests(folder), **proof}), encoding="utf-8")

# %% Đi tiếp
print("\n== Đi tiếp ==")
name, line, instead = FORGET.get(args.forget, ("không gì", "", ""))
if not proof_file.is_file():
    parser.exit(1, f"TRƯỢT: {out} chưa chạy xong hoặc mất proof.json: hãy xoá nó rồi chạy lại.\n")
try:
    file.with_suffix(".tmp").unlink(missing_ok=True)  # bị giết khi đang ghi thì còn bản dở này; `file` vẫn trọn vẹn
    _, proof = json.loads(text := proof_file.read_text(encoding="utf-8"))
    changed = sorted({name for name, _ in proof["files"].items() ^ digests(folder).items()})
    if changed or sealed(proof) != text:  # tệp lạ thì không mở
        raise ValueError(f"khác lúc lưu: {', '.join(changed) or 'proof.json'}")
    _, lines = session(SESSION.replace(line, instead) if line else SESSION, TOTAL - SAVED)
    weights, valid = lines.pop()
    gaps = [abs(new - old) for (_, new), old in zip(lines, proof["losses"][SAVED:], strict=True)]
    cost = valid - proof["outcome"][1]
except Exception as error:
    parser.exit(1, f"TRƯỢT: {out} hỏng, hãy xoá nó rồi chạy lại. {' '.join(str(error).split())[-200:]}\n")
print(f"phiên sau đi từ bước {lines[0][0]} đến bước {lines[-1][0]}; quên: {name}")

# %% Đối chứng
print("\n== Đối chứng ==")
different = [number for number, gap in enumerate(gaps, 1) if gap]
checks = {
    "position": (f"phiên sau đi tiếp từ bước {SAVED + 1}", lines[0][0] == SAVED + 1),
    "losses": (f"{len(gaps)} loss: {len(different)} cái khác, lệch nhiều nhất {max(gaps):.2g}", not different),
    "weights": ("trọng số cuối bằng nhau từng bit", weights == proof["outcome"][0]),
    "valid": (f"loss trên câu chưa học lệch {cost:.2g}", cost == 0),
}
if "killed" in proof:
    checks = {"killed": (f"phiên bị giết: {KILL} loss bằng nhau từng bit", proof["killed"]), **checks}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    exact = {"checks": verdict, "parameters": proof["parameters"], "first_different": (different or [0])[0]}
    exact["bytes"] = {"checkpoint": file.stat().st_size, "weights": 4 * proof["parameters"]}
    exact["steps"] = {"total": TOTAL, "saved": SAVED, "killed": KILL, "lost": KILL - SAVED, "left": len(gaps)}
    approx = {  # máy khác cho số khác; với «gaps» chỉ giữ độ lớn, để vẽ hình
        "first_loss": {"value": proof["losses"][0], "rel": 0.05},
        "last_loss": {"value": proof["losses"][-1], "rel": 0.05},
        "different": {"value": len(different), "abs": 3},
        "largest": {"value": max(gaps), "rel": 0.9},
        "cost": {"value": cost, "abs": 0.02},
        "gaps": {number: {"value": gap, "abs": max(gaps)} for number, gap in enumerate(gaps, 1) if different},
    }
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(verdict.values()):
    hint = "" if fresh else " Máy khác hay phiên bản khác thì PyTorch không hứa từng bit."
    parser.exit(1, f"TRƯỢT: đi tiếp không giống như chưa hề dừng.{hint}\n")
print("ĐÃ CHỨNG MINH: đi tiếp giống từng bit như chưa hề dừng.")
