"""Chạy tiếp với DataLoader: năm cách đi tới batch kế tiếp, cách nào đúng như chưa hề dừng.

    python data_order.py            # mô hình tí hon, dữ liệu tự sinh, không cần mạng
    QUICK=1 python data_order.py    # một epoch ít hơn, để thử nhanh

Tốn (cỡ mặc định): không quá 120 giây, 2 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: training_checkpoint.py nằm cạnh; pip install torch
Chạy trên Linux, macOS, WSL hay Colab: tiến trình mới được tạo bằng fork.
"""

# %% Chuẩn bị
import os
import random
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from training_checkpoint import batches, load_latest, restore_rng, save_checkpoint

QUICK = os.environ.get("QUICK") == "1"
EPOCHS = 4
if QUICK:
    EPOCHS = 3
SENTENCES = 90
BATCH = 16
PER_EPOCH = 6  # batch cuối của epoch chỉ có 10 câu
TOTAL = EPOCHS * PER_EPOCH
MIDDLE = PER_EPOCH + 3  # dừng giữa epoch thứ hai
BOUNDARY = 2 * PER_EPOCH  # dừng đúng lúc hết epoch thứ hai
VOCAB = 64
LENGTH = 16  # token mỗi câu

torch.set_num_threads(1)  # số luồng đổi thì thứ tự cộng đổi, bit cuối đổi theo
temporary = tempfile.TemporaryDirectory()  # tự xoá khi script kết thúc
root = Path(temporary.name)

# %% Dữ liệu có phần ngẫu nhiên


class Sentences(torch.utils.data.Dataset):
    """Mỗi lần đọc một câu: cắt ở chỗ ngẫu nhiên, che vài token; đếm số lần đọc."""

    def __init__(self):
        self.rows = torch.randint(VOCAB, (SENTENCES, 24), generator=torch.Generator())
        self.reads = 0

    def __len__(self):
        return SENTENCES

    def __getitem__(self, index):
        self.reads += 1
        cut = random.randrange(8)  # bộ sinh của Python
        hidden = torch.rand(LENGTH) < 0.1  # bộ sinh của torch
        return self.rows[index, cut : cut + LENGTH].masked_fill(hidden, 0)


# %% Năm cách


def shuffled(data, start, rng):
    """Cứ để shuffle=True lo: phiên sau bắt đầu một epoch mới."""
    restore_rng(rng)
    loader = DataLoader(data, BATCH, shuffle=True)
    while True:
        yield from loader


def skipped_after_restore(data, start, rng):
    """Gieo theo epoch, khôi phục RNG, rồi bỏ qua những batch đã học."""
    order = torch.Generator()
    loader = DataLoader(data, BATCH, shuffle=True, generator=order)
    restore_rng(rng)
    step = start // PER_EPOCH * PER_EPOCH  # bước đầu của epoch đang dở
    while True:
        order.manual_seed(step // PER_EPOCH)
        for batch in loader:
            if step >= start:
                yield batch
            step += 1


def restored_after_skip(data, start, rng):
    """Như trên, nhưng bỏ qua xong mới khôi phục RNG."""
    order = torch.Generator()
    loader = DataLoader(data, BATCH, shuffle=True, generator=order)
    step = start // PER_EPOCH * PER_EPOCH
    if step == start:
        restore_rng(rng)  # không có batch nào phải bỏ qua
    while True:
        order.manual_seed(step // PER_EPOCH)
        for batch in loader:
            if step >= start:
                yield batch
            step += 1
            if step == start:
                restore_rng(rng)


def recipe(data, start, rng):
    """Hàm batches của script để chép."""
    restore_rng(rng)
    return batches(data, BATCH, seed=0, start=start)


def recipe_with_workers(data, start, rng):
    """Như trên, đọc dữ liệu bằng hai tiến trình phụ."""
    restore_rng(rng)
    return batches(data, BATCH, seed=0, start=start, num_workers=2)


WAYS = {
    "shuffled": (shuffled, "shuffle=True để nguyên"),
    "skipped_after_restore": (skipped_after_restore, "khôi phục RNG rồi bỏ qua batch"),
    "restored_after_skip": (restored_after_skip, "bỏ qua batch rồi khôi phục RNG"),
    "recipe": (recipe, "batches()"),
    "recipe_with_workers": (recipe_with_workers, "batches(), num_workers=2"),
}

# %% Huấn luyện


def build():
    """Việc mà phiên nào cũng làm khi khởi động."""
    torch.manual_seed(0)
    random.seed(0)
    model = torch.nn.Sequential(
        torch.nn.Embedding(VOCAB, 32),
        torch.nn.Dropout(0.1),
        torch.nn.Linear(32, VOCAB),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    return {"model": model, "optimizer": optimizer, "scheduler": None}


def session(way, folder, start_folder):
    """Huấn luyện tới bước TOTAL, từ đầu hay từ checkpoint trong `start_folder`.

    Trả về các loss, và số câu đã đọc thêm mà không học.
    """
    parts = build()
    step, rng = load_latest(start_folder, **parts)
    parts["model"].train()
    data = Sentences()
    stream = WAYS[way][0](data, step, rng)
    losses = []
    learned = 0
    while step < TOTAL:
        tokens = next(stream)
        logits = parts["model"](tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        parts["optimizer"].zero_grad()
        loss.backward()
        parts["optimizer"].step()
        step += 1
        learned += len(tokens)
        losses.append(loss.item())
        if step in (MIDDLE, BOUNDARY):
            save_checkpoint(folder / str(step), step, **parts)
    return losses, data.reads - learned


def in_new_process(function, *arguments):
    """Gọi hàm trong một tiến trình mới, trả về cái nó trả về."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        return process.submit(function, *arguments).result()


# %% Chạy tiếp bằng từng cách
print("== Chạy tiếp bằng từng cách ==")


def first_different(losses, others):
    """Bước đầu tiên mà loss khác, đếm từ 1; 0 nếu giống hết."""
    for number, (one, other) in enumerate(zip(losses, others, strict=True), 1):
        if one != other:
            return number
    return 0


ways = {}
print(f"{'':<28} {'giữa epoch':>11} {'hết epoch':>10} {'đọc thừa':>9}")
for way, (_, name) in WAYS.items():
    folder = root / way
    straight, _ = in_new_process(session, way, folder, folder / "none")
    middle, wasted = in_new_process(session, way, root / "unused", folder / str(MIDDLE))
    boundary, _ = in_new_process(session, way, root / "unused", folder / str(BOUNDARY))
    ways[way] = {
        "middle": first_different(middle, straight[MIDDLE:]),
        "boundary": first_different(boundary, straight[BOUNDARY:]),
    }
    print(f"{name:<28} {ways[way]['middle']:>11} {ways[way]['boundary']:>10}", end="")
    if way == "recipe_with_workers":
        print()  # câu được đọc ở tiến trình khác, không đếm được từ đây
    else:
        ways[way]["wasted"] = wasted
        print(f" {wasted:>9}")

# %% Đối chiếu
print("\n== Đối chiếu ==")
checks = {}


def report(name, passed, text):
    verdict = "ĐẠT" if passed else "TRƯỢT"
    print(f"{verdict:<5}  {text}")
    checks[name] = passed


for way in ("recipe", "recipe_with_workers", "restored_after_skip"):
    exact = ways[way]["middle"] == 0 and ways[way]["boundary"] == 0
    report(way, exact, f"{WAYS[way][1]}: giống từng bit")
for way in ("shuffled", "skipped_after_restore"):
    report(way, ways[way]["middle"] > 0, f"{WAYS[way][1]}: giữa epoch thì lệch, không có lỗi nào")

# %% Kết quả
results = {
    "exact": {
        "checks": checks,
        "ways": ways,
        "steps": {"total": TOTAL, "middle": MIDDLE, "boundary": BOUNDARY, "per_epoch": PER_EPOCH},
    },
}
if not all(checks.values()):
    sys.exit("TRƯỢT: có cách cho những batch khác với dự đoán.")
