"""Giữ trọng số tốt nhất lúc huấn luyện: năm cách giữ, cách nào thật sự giữ được.

    python best_weights.py                      # mô hình tí hon, không cần mạng
    python best_weights.py --break reference    # tưởng state_dict() là bản chép: đối chứng phải trượt
    python best_weights.py --break shallow      # chép nông bằng dict(...): đối chứng phải trượt

Tốn (cỡ mặc định): không quá 20 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import copy
import json
import sys
import tempfile
from pathlib import Path

STEPS = 60  # đủ để mô hình học xong rồi học vẹt
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=["reference", "shallow"], help="dùng cách giữ sai này")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
path = Path((temporary := tempfile.TemporaryDirectory()).name) / "best.pt"

# %% Dữ liệu
torch.manual_seed(0)
truth = torch.randn(16, 16) * 0.3
train_x, valid_x = torch.randn(24, 16), torch.randn(200, 16)
train_y, valid_y = train_x @ truth + torch.randn(24, 16) * 0.8, valid_x @ truth  # ít mẫu, nhiều nhiễu: sẽ học vẹt
model = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.Tanh(), torch.nn.Linear(64, 16))


def loss_on(x, y):
    return torch.nn.functional.mse_loss(model(x), y)


# %% Năm cách giữ
KEEP = {
    "reference": lambda model: model.state_dict(),  # SAI: dict này trỏ tới chính các tensor đang huấn luyện
    "shallow": lambda model: dict(model.state_dict()),  # SAI: dict mới, vẫn những tensor ấy; .copy() cũng thế
    "deepcopy": lambda model: copy.deepcopy(model.state_dict()),
    "clone": lambda model: {name: t.detach().clone() for name, t in model.state_dict().items()},
    "file": lambda model: torch.save(model.state_dict(), path),  # ra đĩa: cũng là chép, và còn khi tiến trình chết
}

# %% Huấn luyện
print("== Huấn luyện ==")
optimizer, curve, kept = torch.optim.Adam(model.parameters(), lr=5e-3), [], {}
for _ in range(STEPS):
    with torch.no_grad():
        curve.append(loss_on(valid_x, valid_y).item())
    if curve[-1] == min(curve):  # tốt nhất từ đầu đến giờ
        kept = {way: keep(model) for way, keep in KEEP.items()}
    optimizer.zero_grad()
    loss_on(train_x, train_y).backward()
    optimizer.step()
best, last = min(curve), loss_on(valid_x, valid_y).item()
kept["file"] = torch.load(path, weights_only=True)
final = {name: t.clone() for name, t in model.state_dict().items()}  # sau vòng lặp, để so
print(f"loss trên tập kiểm định: tốt nhất {best:.3f}, sau bước cuối {last:.3f}")

# %% Lấy lại
print("\n== Lấy lại ==")
seen = {}
for way, state in kept.items():
    is_last = all(torch.equal(t, final[name]) for name, t in state.items())
    restored = {name: t.clone() for name, t in state.items()}
    model.load_state_dict(restored)
    value = loss_on(valid_x, valid_y).item()
    model.load_state_dict(final)  # trả lại, vì hai cách đầu trỏ vào chính mô hình
    seen[way] = {"loss": value, "is_best": value == best, "is_last": is_last}
    print(f"{way:<10} loss {value:.3f}  {'bản tốt nhất' if value == best else 'bản cuối cùng' if is_last else '?'}")

# %% Đối chứng
print("\n== Đối chứng ==")
chosen = {name: seen[args.damage or name] for name in ("deepcopy", "clone", "file")}
checks = {
    "overfits": ("loss có tăng lại, nên tốt nhất khác cuối cùng", best < last),
    "reference": (
        "state_dict() và dict(...) đi theo mô hình",
        seen["reference"]["is_last"] and seen["shallow"]["is_last"],
    ),
    "kept": ("cách giữ đã chọn cho lại bản tốt nhất", all(fact["is_best"] for fact in chosen.values())),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    ways = {way: {key: fact[key] for key in ("is_best", "is_last")} for way, fact in seen.items()}
    values = {"best": best, "last": last, **{way: fact["loss"] for way, fact in seen.items()}}
    approx = {name: {"value": value, "rel": 0.05} for name, value in values.items()}
    approx["curve"] = {str(step): {"value": value, "rel": 0.05} for step, value in enumerate([*curve, last])}
    exact = {"checks": verdict, "ways": ways, "steps": STEPS}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: cái giữ lại không phải bản tốt nhất.\n")
print("ĐÃ CHỨNG MINH: chép thật thì giữ được bản tốt nhất, giữ tham chiếu thì không.")
