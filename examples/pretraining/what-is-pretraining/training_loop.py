"""Một lần tiền huấn luyện nhìn từ trong ra: loss, perplexity, chữ mô hình viết, rồi học quá.

    cd examples && python pretraining/what-is-pretraining/training_loop.py    # văn bản của khoá học
    python training_loop.py van_ban.txt                                       # văn bản của bạn
    QUICK=1 python training_loop.py van_ban.txt                               # ít bước học

Tốn (cỡ mặc định): không quá 600 giây, 3 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers tokenizers matplotlib; train_tiny.py nằm cạnh
"""

# %% Chuẩn bị
import math
import os
import sys
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from train_tiny import (
    evaluate,
    make_tokenizer,
    new_model,
    pack,
    read_documents,
    split,
    train,
    write,
)

QUICK = os.environ.get("QUICK") == "1"
STEPS = 500  # đủ lâu để loss kiểm thử thôi giảm
EVERY = 50
VOCABULARY = 2000
SMALL_VOCABULARY = 500
SMALL_STEPS = 150  # học tới đây thì so hai từ vựng
SENTENCE = "Lưu và tải lại mô hình"  # để nhìn từng token
if QUICK:
    STEPS = 20
    EVERY = 10
    SMALL_STEPS = 10

torch.set_num_threads(1)  # số luồng đổi thì thứ tự cộng đổi, số cuối đổi theo
text_file = Path("data/course_prose.txt")
if sys.argv[-1].endswith(".txt"):
    text_file = Path(sys.argv[-1])

# %% Dữ liệu
print("== Dữ liệu ==")
train_documents, test_documents = split(read_documents(text_file))
tokenizer = make_tokenizer(train_documents, VOCABULARY)
tokens = pack(train_documents, tokenizer)
test = pack(test_documents, tokenizer)
test_bytes = sum(len(document.encode()) for document in test_documents)
seen = STEPS * 16 * 64
print(f"{len(train_documents)} đoạn để học, {len(test_documents)} đoạn để thử")
print(f"{len(tokens)} token để học, {len(test)} để thử, từ vựng {len(tokenizer)}")
print(f"{STEPS} bước đọc {seen} token: {seen / len(tokens):.0f} lượt văn bản")

# %% Trước khi học
print("\n== Trước khi học ==")
model = new_model(len(tokenizer))
before = write(model, tokenizer)
print(textwrap.fill(before, 70))

# %% Học
print("\n== Học ==")
log = train(model, tokens, test, SMALL_STEPS, every=EVERY)
middle = write(model, tokenizer)
middle_loss = log[-1]["test"]
more = train(model, tokens, test, STEPS - SMALL_STEPS, seed=1, every=EVERY, show=False)
for row in more[1:]:
    row["step"] += SMALL_STEPS
    log.append(row)
    print(f"bước {row['step']:>5}   kiểm thử {row['test']:.2f}   huấn luyện {row['train']:.2f}")

best = min(log, key=lambda row: row["test"])
last = log[-1]
perplexities = {}
print(f"{'':<18}{'loss':>6}{'perplexity':>12}")
for name, loss in (("lúc đầu", log[0]["test"]), (f"bước {best['step']}", best["test"])):
    perplexities[name] = math.exp(loss)
    print(f"{name:<18}{loss:>6.2f}{math.exp(loss):>12.0f}")

# %% Sau khi học
print("\n== Sau khi học ==")
print(f"[bước {SMALL_STEPS}]")
print(textwrap.fill(middle, 70))
print(f"[bước {STEPS}]")
print(textwrap.fill(write(model, tokenizer), 70))

# %% Từng token
print("\n== Từng token ==")
ids = torch.tensor(pack([SENTENCE], tokenizer).tolist())
with torch.no_grad():
    log_p = model.eval()(ids[None, :-1]).logits[0].log_softmax(dim=-1)
print(f"{'đã đọc':<24}{'token kế tiếp':<16}{'p':>8}{'−ln p':>8}")
costs = []
for place, target in enumerate(ids[1:]):
    cost = -log_p[place, target].item()
    costs.append(cost)
    read = tokenizer.decode(ids[: place + 1])
    shown = "kết thúc" if target == tokenizer.eos_token_id else tokenizer.decode(target)
    print(f"{read:<24}{shown:<16}{math.exp(-cost):>8.3f}{cost:>8.2f}")
sentence_loss = sum(costs) / len(costs)
print(f"loss của câu: trung bình cột cuối, {sentence_loss:.2f}")

# %% Hai từ vựng
print("\n== Hai từ vựng ==")


def per_byte(loss, tokens):
    """Loss mỗi token đổi ra bit mỗi byte của văn bản kiểm thử."""
    return loss * len(tokens) / test_bytes / math.log(2)


small_tokenizer = make_tokenizer(train_documents, SMALL_VOCABULARY)
small_tokens = pack(train_documents, small_tokenizer)
small_test = pack(test_documents, small_tokenizer)
small_model = new_model(len(small_tokenizer))
small_log = train(small_model, small_tokens, small_test, SMALL_STEPS, every=SMALL_STEPS)
two = {
    "large": {"token": middle_loss, "byte": per_byte(middle_loss, test)},
    "small": {
        "token": small_log[-1]["test"],
        "byte": per_byte(small_log[-1]["test"], small_test),
    },
}
print(f"cùng {SMALL_STEPS} bước     loss mỗi token   bit mỗi byte")
print(f"V = {len(tokenizer):<12}{two['large']['token']:>12.2f}{two['large']['byte']:>16.2f}")
print(f"V = {len(small_tokenizer):<12}{two['small']['token']:>12.2f}{two['small']['byte']:>16.2f}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


guess = math.log(len(tokenizer))
report("start", abs(log[0]["test"] - guess) < 0.1, "bắt đầu ở ln V")
report("learned", best["test"] < guess - 0.5, "loss kiểm thử giảm hẳn")
mean_cost = evaluate(model, ids, context=len(ids) - 1)
report("mean", abs(mean_cost - sentence_loss) < 1e-4, "loss là trung bình của từng token")
# QUICK: vài bước thì chưa thấy gì, hai phép so sau chỉ giữ chỗ.
gap = last["test"] - last["train"]
report("overfit", QUICK or gap > 1, "học nhiều lượt: loss huấn luyện thấp hơn hẳn loss kiểm thử")
lower = two["small"]["token"] < two["large"]["token"]
worse = two["small"]["byte"] > two["large"]["byte"]
units = lower and worse
report("units", QUICK or units, "từ vựng nhỏ: mỗi token thấp hơn, mỗi byte cao hơn")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "tokens": {"train": len(tokens), "test": len(test)},
        "vocabulary": len(tokenizer),
        "small_vocabulary": len(small_tokenizer),
        "steps": STEPS,
        "small_steps": SMALL_STEPS,
        "documents": len(train_documents) + len(test_documents),
    },
    "approx": {
        "first": {"loss": log[0]["test"], "perplexity": math.exp(log[0]["test"])},
        "middle": {"loss": middle_loss, "perplexity": math.exp(middle_loss)},
        "best": {"loss": best["test"], "perplexity": math.exp(best["test"])},
        "last": {"train": last["train"], "test": last["test"]},
        "two": two,
        "passes": seen / len(tokens),
    },
    "timing": {"best_step": best["step"]},  # đáy của đường cong xê dịch giữa các máy
    "tolerance": {"rel": 0.1, "abs": 0.2},
}
if not all(checks.values()):
    sys.exit("TRƯỢT: vòng huấn luyện không làm như bài viết nói.")

# %% Vẽ
figure, axes = plt.subplots()
steps = [row["step"] for row in log]
axes.plot(steps, [row["test"] for row in log], color="C0", linewidth=2)
axes.plot(steps[1:], [row["train"] for row in log[1:]], color="C1", linewidth=2)
axes.annotate("kiểm thử", (steps[-1], last["test"]), (5, 0), textcoords="offset points")
axes.annotate("huấn luyện", (steps[-1], last["train"]), (5, 0), textcoords="offset points")
axes.set_xlabel("bước học")
axes.set_ylabel("loss")
figure.savefig("training_loop.svg")
