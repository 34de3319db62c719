"""Loss đầu tiên nói gì: đoán bừa là ln V, và những lỗi mà nó thấy hay không thấy.

    cd examples && python pretraining/what-is-pretraining/first_loss.py    # văn bản của khoá học
    python first_loss.py van_ban.txt                                       # văn bản của bạn
    QUICK=1 python first_loss.py van_ban.txt                               # ít bước học

Tốn (cỡ mặc định): không quá 300 giây, 3 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch transformers tokenizers matplotlib; train_tiny.py nằm cạnh
"""

# %% Chuẩn bị
import math
import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from transformers import GPT2LMHeadModel
from transformers.utils import logging

from train_tiny import CONTEXT, RATE, make_tokenizer, new_model, pack, read_documents, split

QUICK = os.environ.get("QUICK") == "1"
STEPS = 60  # đủ để thấy ba đường tách hẳn nhau
POINTS = 10  # ghi loss bao nhiêu lần
if QUICK:
    STEPS = 30
BATCH = 16
VOCABULARIES = [1000, 2000, 50257]  # 50257 là của GPT-2
LARGE = 0.2  # độ lệch chuẩn của trọng số lúc đầu, gấp mười lần mặc định 0,02

logging.set_verbosity_error()
torch.set_num_threads(1)  # số luồng đổi thì thứ tự cộng đổi, số cuối đổi theo
text_file = Path("data/course_prose.txt")
if sys.argv[-1].endswith(".txt"):
    text_file = Path(sys.argv[-1])
train_documents, test_documents = split(read_documents(text_file))
tokenizer = make_tokenizer(train_documents)
vocabulary = len(tokenizer)
tokens = pack(train_documents, tokenizer)
test_tokens = pack(test_documents, tokenizer)


def windows_of(tokens, count, seed):
    """`count` cửa sổ bốc ngẫu nhiên, dài hơn ngữ cảnh hai token để dịch được nhãn tới hai chỗ."""
    order = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(tokens) - CONTEXT - 1, (count,), generator=order)
    return torch.stack([tokens[start : start + CONTEXT + 2] for start in starts])


def loss_of_labels(model, windows, shift):
    """Loss khi nhãn là văn bản dịch đi `shift` chỗ; đúng là một."""
    inputs = windows[:, :CONTEXT]
    labels = windows[:, shift : shift + CONTEXT]
    logits = model(inputs).logits
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def changed_model(**changes):
    """Mô hình như `new_model`, đổi vài chỗ trong cấu hình."""
    config = new_model(vocabulary).config
    for name, value in changes.items():
        setattr(config, name, value)
    torch.manual_seed(0)
    return GPT2LMHeadModel(config)


# %% Đoán bừa
print("== Đoán bừa ==")
guesses = {}
for size in VOCABULARIES:
    model = new_model(size)
    anything = torch.randint(size, (4, CONTEXT + 2), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        loss = loss_of_labels(model, anything, shift=1).item()
    guesses[size] = {"guess": math.log(size), "loss": loss}
    print(f"V = {size:>5}: ln V = {math.log(size):.2f}, mô hình chưa học đo được {loss:.2f}")

# %% Nhãn sai chỗ
print("\n== Nhãn sai chỗ ==")
tied = new_model(vocabulary)  # ma trận embedding dùng lại ở lớp ra
untied = changed_model(tie_word_embeddings=False)
large = changed_model(initializer_range=LARGE)
windows = windows_of(tokens, 64, seed=0)
random_labels = torch.randint(vocabulary, windows.shape, generator=torch.Generator().manual_seed(1))

first = {}
with torch.no_grad():
    for name, model in (("tied", tied), ("untied", untied)):
        losses = {}
        for shift in (0, 1, 2):
            losses[f"shift_{shift}"] = loss_of_labels(model, windows, shift).item()
        mixed = torch.cat([windows[:, :CONTEXT], random_labels[:, :CONTEXT]], dim=1)
        losses["random"] = loss_of_labels(model, mixed, CONTEXT).item()
        first[name] = losses
    inputs = windows[:, :CONTEXT]
    # Mô hình của Transformers tự dịch nhãn: đưa nhãn đã dịch vào thì thành dịch hai lần.
    library = {
        "right": tied(inputs, labels=inputs).loss.item(),
        "twice": tied(inputs, labels=windows[:, 1 : CONTEXT + 1]).loss.item(),
    }
    large_loss = loss_of_labels(large, windows, shift=1).item()

names = {
    "shift_1": "đúng: dịch một chỗ",
    "shift_0": "quên dịch",
    "shift_2": "dịch hai chỗ",
    "random": "nhãn bừa",
}
print(f"ln V = {math.log(vocabulary):.2f}      trọng số dùng chung   không dùng chung")
for key, name in names.items():
    print(f"{name:<20}{first['tied'][key]:>15.2f}{first['untied'][key]:>19.2f}")
print(f"labels= của Transformers: {library['right']:.2f}; tự dịch thêm: {library['twice']:.2f}")
print(f"trọng số lúc đầu lớn gấp mười: {large_loss:.2f}")

# %% Học với nhãn sai chỗ
print("\n== Học với nhãn sai chỗ ==")


def learn(shift):
    """Học với nhãn dịch `shift` chỗ: loss huấn luyện mà người học nhìn thấy."""
    model = new_model(vocabulary)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    seen = []
    for step in range(STEPS):
        loss = loss_of_labels(model, windows_of(tokens, BATCH, seed=step), shift)
        if step % (STEPS // POINTS) == 0:
            seen.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    seen.append(loss.item())
    with torch.no_grad():
        # Việc thật: đoán token kế tiếp trên văn bản chưa thấy.
        real = loss_of_labels(model, windows_of(test_tokens, 64, seed=0), shift=1).item()
    return seen, real


curves = {}
real = {}
print(f"sau {STEPS} bước      loss nhìn thấy   loss thật: đoán token kế tiếp")
for shift in (1, 0, 2):
    seen, real[shift] = learn(shift)
    curves[shift] = seen
    print(f"{names[f'shift_{shift}']:<20}{seen[-1]:>10.2f}{real[shift]:>20.2f}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


log_v = math.log(vocabulary)
differences = [abs(guess["loss"] - guess["guess"]) for guess in guesses.values()]
report("guess", max(differences) < 0.1, "mô hình chưa học: loss là ln V, với cả ba từ vựng")
blind = [first["tied"]["shift_2"], first["tied"]["random"], library["twice"]]
blind += list(first["untied"].values())
unseen = all(abs(loss - log_v) < 0.1 for loss in blind)
report("blind", unseen, "dịch hai chỗ, nhãn bừa: loss đầu tiên vẫn là ln V, không lộ")
forgot = first["tied"]["shift_0"] < log_v - 0.5
report("forgot", forgot, "quên dịch, trọng số dùng chung: loss đầu tiên thấp hơn hẳn ln V")
report("large", large_loss > log_v + 1, "trọng số lúc đầu quá lớn: loss đầu tiên cao hơn hẳn ln V")
report("zero", curves[0][-1] < curves[1][-1] - 1, "quên dịch: loss nhìn thấy giảm nhanh nhất")
report("useless", min(real[0], real[2]) > real[1] + 0.2, "học với nhãn sai: việc thật kém hơn hẳn")

# %% Kết quả
results = {
    "exact": {"checks": checks, "vocabulary": vocabulary, "steps": STEPS, "sizes": VOCABULARIES},
    "approx": {
        "guesses": guesses,
        "first": first,
        "library": library,
        "large": large_loss,
        "seen": {f"shift_{shift}": curve[-1] for shift, curve in curves.items()},
        "real": {f"shift_{shift}": loss for shift, loss in real.items()},
    },
    "tolerance": {"rel": 0.05, "abs": 0.1},  # số đã học lệch chút ít giữa các máy
}
if not all(checks.values()):
    sys.exit("TRƯỢT: loss đầu tiên không như bài viết nói.")

# %% Vẽ
figure, axes = plt.subplots()
steps = [number * STEPS // POINTS for number in range(POINTS)] + [STEPS - 1]
for colour, shift in (("C0", 1), ("C1", 0), ("C2", 2)):
    axes.plot(steps, curves[shift], color=colour, linewidth=2)
    axes.annotate(
        names[f"shift_{shift}"], (steps[-1], curves[shift][-1]), (5, 0), textcoords="offset points"
    )
axes.axhline(log_v, color="C1", linewidth=1, linestyle=":")
axes.annotate("ln V", (steps[-1], log_v), (5, 0), textcoords="offset points")
axes.set_xlabel("bước học")
axes.set_ylabel("loss nhìn thấy khi huấn luyện")
figure.savefig("first_loss.svg")
