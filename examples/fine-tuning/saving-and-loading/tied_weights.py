"""Trọng số buộc: lưu, tải, buộc lại, và cái giá khi mất chỗ buộc mà không ai hay.

    python tied_weights.py                  # mô hình tí hon, không cần mạng
    python tied_weights.py --break forget   # quên buộc lại sau assign=True: đối chứng phải trượt
    python tied_weights.py --break equal    # «buộc lại» bằng cách chép cho bằng nhau: đối chứng phải trượt

Tốn (cỡ mặc định): không quá 20 giây, 1 GiB bộ nhớ, 0,1 GiB đĩa.
Cần: pip install torch safetensors
Mã thoát: 0 đã chứng minh; 1 trượt; 2 không bắt đầu được; 3 thiếu gói.
"""

# %% Chuẩn bị
import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

STEPS = 60
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--json", type=Path, help="ghi kết quả vào tệp này")
parser.add_argument("--break", dest="damage", choices=["forget", "equal"], help="buộc lại sai cách này")
args = parser.parse_args([] if "ipykernel" in sys.modules else None)  # trong notebook: mọi mặc định
try:
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, load_model, save_file, save_model
except ImportError as error:
    parser.exit(3, f"Thiếu gói {error.name}. Cài bằng: pip install torch safetensors\n")
if args.json and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
    parser.exit(2, f"Không ghi được --json {args.json}: hãy chọn một tệp trong thư mục có sẵn.\n")
folder = Path((temporary := tempfile.TemporaryDirectory()).name)
torch.set_num_threads(1)  # phép tính tí hon: một luồng nhanh hơn

# %% Mô hình


class OwnLM(torch.nn.Module):
    def __init__(self, vocab=64, width=32):
        super().__init__()
        self.embed = torch.nn.Embedding(vocab, width)
        self.body = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.GELU(), torch.nn.Linear(width, width))
        self.head = torch.nn.Linear(width, vocab, bias=False)
        self.tie_weights()

    def tie_weights(self):
        self.head.weight = self.embed.weight  # một đối tượng, hai tên

    def forward(self, ids):
        x = self.embed(ids)
        return self.head(x + self.body(x))


def tied(model):
    return model.head.weight is model.embed.weight  # «là một», không phải «bằng nhau»


torch.manual_seed(0)
model = OwnLM()
for parameter in model.parameters():  # để embedding không quá lớn so với phần còn lại
    torch.nn.init.normal_(parameter, std=0.1)

# %% Lưu và tải
save_model(model, str(folder / "model.safetensors"))  # thay cho save_file(model.state_dict(), ...)
torch.save(model.state_dict(), folder / "model.pt")  # hai tên, số chỉ ghi một lần


def load_safetensors(path):
    model = OwnLM()  # dựng bình thường: lớp tự buộc
    load_model(model, path)  # thay cho model.load_state_dict(load_file(path))
    return model


def load_pt(path):
    model = OwnLM()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
    model.tie_weights()  # assign=True vừa tách hai tên; optimizer tạo sau dòng này
    return model


# %% Trong tệp
print("== Trong tệp ==")
message = ""
try:
    save_file(model.state_dict(), folder / "refused.safetensors")
except RuntimeError as error:
    names = "{" + ", ".join(sorted(re.findall(r"'[\w.]+'", str(error)))) + "}"  # torch kể tên không theo thứ tự
    message = re.sub(r"\{.*\}", names, str(error)).strip().partition("\n")[0]
print("save_file:", message)
with safe_open(folder / "model.safetensors", "pt") as file:
    names, metadata = sorted(file.keys()), file.metadata()
print(f"save_model: {len(names)} tên, phần đầu tệp ghi {metadata}")
naive = OwnLM().load_state_dict(load_file(folder / "model.safetensors"), strict=False).missing_keys
print(f"load_state_dict(load_file(...)): thiếu {', '.join(naive)}")
sizes = {name: (folder / name).stat().st_size for name in ("model.safetensors", "model.pt")}

# %% Năm cách tải
loaded = {"load_model": load_safetensors(folder / "model.safetensors")}
for way in ("copy", "assign", "moved"):
    loaded[way] = OwnLM()
    loaded[way].load_state_dict(torch.load(folder / "model.pt"), assign=way != "copy")  # chép thì chỗ buộc còn
loaded["moved"].double().float()  # đổi kiểu, hay sang GPU: mỗi tham số được chép riêng
loaded["assign_tie"] = load_pt(folder / "model.pt")
if args.damage:  # gỡ chỗ buộc ra; «equal» thì chép cho bằng nhau, tức là chưa phải là một
    loaded["assign_tie"].head.weight = torch.nn.Parameter(loaded["assign_tie"].embed.weight.detach())
if args.damage == "equal":
    loaded["assign_tie"].head.weight.data = loaded["assign_tie"].embed.weight.detach().clone()

# %% Ba mức giống nhau
print("\n== Ba mức giống nhau ==")
ways = {}
for way, other in loaded.items():
    head, embed = other.head.weight, other.embed.weight
    ways[way] = {"tied": tied(other), "one_memory": head.data_ptr() == embed.data_ptr()}
    ways[way] |= {"equal": torch.equal(head, embed), "parameters": len(list(other.parameters()))}
    print(f"{way:<11} tham số: {ways[way]['parameters']}", end="")
    for fact, label in (("tied", "là một"), ("one_memory", "chung vùng nhớ"), ("equal", "bằng nhau")):
        print(f"; {label}: {'có' if ways[way][fact] else 'KHÔNG'}", end="")
    print()

# %% Huấn luyện tiếp
print("\n== Huấn luyện tiếp ==")
ids = (torch.arange(17) * torch.randint(1, 7, (32, 1)) + torch.randint(64, (32, 1))) % 64
inputs, targets = ids[:, :-1], ids[:, 1:].flatten()  # đoán token kế tiếp


def loss_of(model):
    return torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets)


def train(model):
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=3e-3), []
    for _ in range(STEPS):
        loss = loss_of(model)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


losses = {"original": train(model), **{way: train(other) for way, other in loaded.items()}}
first = {}  # bước đầu tiên có loss khác mô hình gốc
for way, values in losses.items():
    pairs = enumerate(zip(losses["original"], values, strict=True), 1)
    first[way] = next((step for step, (mine, other) in pairs if mine != other), 0)
    same = f"KHÁC từ bước {first[way]}" if first[way] else "như không hề lưu"
    print(f"{way:<11} bước 1: {values[0]:.4f}   bước {STEPS}: {values[-1]:.4f}   {same}")
after = {way: torch.equal(loaded[way].head.weight, loaded[way].embed.weight) for way in ("assign", "moved")}
print("sau huấn luyện, hai tensor còn bằng nhau:", *(f"{way}: {'có' if e else 'KHÔNG'}" for way, e in after.items()))

# %% Lưu lại khi đã mất buộc
print("\n== Lưu lại khi đã mất buộc ==")
again, lost = OwnLM(), loaded["moved"].state_dict()
again.load_state_dict(lost | {"head.weight": lost["embed.weight"]})  # trình lưu tưởng còn buộc: chỉ ghi một tên
before_saving, after_loading = loss_of(loaded["moved"]).item(), loss_of(again).item()
print(f"loss trước khi lưu {before_saving:.4f}, sau khi tải {after_loading:.4f}")

# %% Đối chứng
print("\n== Đối chứng ==")
good, bad = ("load_model", "copy", "assign_tie"), ("assign", "moved")
unseen = all(ways[way]["equal"] and not ways[way]["tied"] for way in bad) and ways["assign"]["one_memory"]
checks = {
    "refused": ("save_file từ chối hai tên chung một vùng nhớ", "Some tensors share memory" in message),
    "one_copy": ("save_model ghi một tên, tên kia ở phần đầu tệp", metadata == {"head.weight": "embed.weight"}),
    "ties": (f"{', '.join(good)}: head.weight là embed.weight", all(ways[way]["tied"] for way in good)),
    "unseen": ("assign, moved: mất buộc, mà torch.equal vẫn nói bằng nhau", unseen),
    "losses": (f"{', '.join(good)}: {STEPS} loss như không hề lưu", not any(first[way] for way in good)),
    "diverge": ("assign, moved: bước đầu giống hệt, từ bước hai thì khác", [first[way] for way in bad] == [2, 2]),
    "after": ("sau huấn luyện: assign vẫn bằng nhau, moved thì không", after == {"assign": True, "moved": False}),
    "lost_head": ("moved: lưu một tên là mất phần head đã học", after_loading > before_saving + 0.1),
}
print(*(f"{'ĐẠT' if passed else 'TRƯỢT':<5}  {text}" for text, passed in checks.values()), sep="\n")
verdict = {name: passed for name, (_, passed) in checks.items()}
if args.json:
    curves = {w: {str(n): {"value": v, "rel": 0.05} for n, v in enumerate(losses[w], 1)} for w in ("original", *bad)}
    gap = {way: {"value": abs(losses[way][-1] - losses["original"][-1]), "rel": 0.3} for way in bad}
    saved = {"before": {"value": before_saving, "rel": 0.05}, "after": {"value": after_loading, "rel": 0.05}}
    approx = {"losses": curves, "gap": gap, "saved": saved}
    exact = {"checks": verdict, "ways": ways, "first_different": first, "equal_after": after, "steps": STEPS}
    exact |= {"names": names, "sizes": sizes}
    args.json.write_text(json.dumps({"exact": exact, "approx": approx}), encoding="utf-8")
if not all(verdict.values()):
    parser.exit(1, "TRƯỢT: chỗ buộc không trở lại như lúc lưu.\n")
print("ĐÃ CHỨNG MINH: chỗ buộc trở lại thì huấn luyện tiếp y như không hề lưu; mất nó thì thành mô hình khác.")
