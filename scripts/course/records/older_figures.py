"""Figures of scripts of the older form, drawn from their records.

Each drawing leaves this file when its script draws its own figure, as experiments do.
"""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

from course.records.figure_style import ACCENT, INK, MUTED, PAPER, themed
from course.text import number

matplotlib.use("svg")
from matplotlib import pyplot

STYLE = Path(__file__).with_name("figure_style.mplrc")
SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
WIDTH = 5.2  # inches, as in the style
LOCK = threading.Lock()  # matplotlib draws one figure at a time


def numbers(points: dict[str, dict[str, float]]) -> list[float]:
    """The values of a recorded series."""
    return [point["value"] for point in points.values()]


def bare(axes: Any) -> None:
    """Take the value axis away: the bars carry their numbers."""
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(left=False, bottom=False, labelbottom=False)


def one_decimal(value: float, _: int) -> str:
    """A tick's label."""
    return number(value, 1)


def bytes_by_file(data: dict[str, Any]) -> Any:
    """Horizontal bars: the files of the saved folder by size in bytes, on a logarithmic axis."""
    files = sorted(data["exact"]["files"].items(), key=lambda item: item[1])
    names = [name for name, _ in files]
    sizes = [size for _, size in files]
    drawing, axes = pyplot.subplots(figsize=(WIDTH, 2.4))
    bars = axes.barh(names, sizes, color=ACCENT, height=0.6)
    axes.bar_label(bars, list(map(number, sizes)), padding=4)
    axes.set_xscale("log")
    axes.set_xlim(right=max(sizes) * 60)
    axes.set_xlabel("byte (thang logarit)")
    return drawing


MODEL_PARTS = {
    "wte": "embedding",
    "wpe": "vị trí",
    "attn": "attention",
    "mlp": "MLP",
    "ln": "chuẩn hoá",
}


def bytes_by_container(data: dict[str, Any]) -> Any:
    """Two panels: what each way to save holds, and where a model's own bytes are.

    Above in MiB, stacked; below in % of the weights.
    """
    exact = data["exact"]
    weights = exact["weights"]
    drawing, (upper, lower) = pyplot.subplots(
        2, 1, figsize=(WIDTH, 4.6), height_ratios=(3, 5), gridspec_kw={"hspace": 0.35}
    )
    stacks = {
        "state_dict.pt": [weights],
        "thư mục": [weights],
        "checkpoint.pt": [weights, *exact["moments"].values()],
    }
    for row, sizes in enumerate(stacks.values()):
        left = draw_stack(upper, row, sizes)
        upper.text(left, row, f" {number(left, 0)} MiB", va="center")
    upper.set_yticks(range(len(stacks)), list(stacks))
    upper.invert_yaxis()
    upper.set_xlim(right=left * 1.3)
    upper.set_title("đậm: trọng số; nhạt dần: hai trung bình của AdamW", fontsize=10, loc="left")
    bare(upper)
    shares = []
    for part, size in exact["parts"].items():
        shares.append((size / weights * 100, MODEL_PARTS[part]))
    shares.sort(reverse=True)
    widths = [share for share, _ in shares]
    labels = []
    for width in widths:
        decimals = 2 if width < 0.1 else 1
        labels.append(f"{number(width, decimals)} %")
    bars = lower.barh([name for _, name in shares], widths, color=ACCENT, height=0.6)
    lower.bar_label(bars, labels, padding=4)
    lower.invert_yaxis()
    lower.set_xlim(right=max(widths) * 1.25)
    lower.set_title("phần của trọng số", fontsize=10, loc="left")
    bare(lower)
    return drawing


def draw_stack(axes: Any, row: int, sizes: list[int]) -> float:
    """A stacked bar: the first part in full colour, the others paler and paler; its end in MiB."""
    left = 0.0
    for index, size in enumerate(sizes):
        colour = MUTED if index else ACCENT
        paler = 1 / max(index, 1)
        width = size / 2**20
        axes.barh(row, width, left=left, height=0.6, color=colour, alpha=paler, linewidth=0)
        left += width
    return left


CHECKS = {
    "files": "tệp",
    "load": "tải",
    "weights": "từng bit",
    "buffers": "buffer",
    "ties": "buộc",
    "logits": "logits",
}
WAYS = {
    "weight": "lật một bit",
    "prefix": "thừa «module.»",
    "untie": "quên tie_weights()",
    "train": "quên eval()",
    "buffer": "buffer không lưu",
}
OWN_WAYS = {
    "version": "tệp của mã cũ",
    "finish": "quên finish()",
    "untie": "quên buộc",
    "formula": "đổi công thức",
    "heads": "cấu hình sai",
}


def seen_by_checks(data: dict[str, Any], ways: dict[str, str] = WAYS) -> Any:
    """A grid: each way to break (rows) against each check (columns)."""
    columns = {}
    for check, label in CHECKS.items():
        if check in data["exact"]["checks"]:
            columns[check] = label
    return grid(ways, columns, failed_checks(data, ways))


def seen_by_checks_of_an_own_model(data: dict[str, Any]) -> Any:
    return seen_by_checks(data, OWN_WAYS)


PRETRAINED_WAYS = {
    "generation": "mất generation_config",
    "template": "mất chat_template",
    "weight": "lật một bit",
}
PRETRAINED_CHECKS = {
    "files": "tệp",
    "weights": "từng bit",
    "tokenizer": "id",
    "chat": "hội thoại",
    "logits": "logits",
    "generated": "sinh chữ",
}


def seen_in_a_pretrained_folder(data: dict[str, Any]) -> Any:
    """A grid: each loss of a fine-tuned pretrained model's folder (rows) against each check."""
    return grid(PRETRAINED_WAYS, PRETRAINED_CHECKS, failed_checks(data, PRETRAINED_WAYS))


def failed_checks(data: dict[str, Any], ways: dict[str, str]) -> dict[str, dict[str, bool]]:
    """Way to break -> check -> did it fail, which means that it noticed?"""
    noticed = {}
    for way in ways:
        verdicts = data["breaks"][way]["exact"]["checks"]
        noticed[way] = {check: not passed for check, passed in verdicts.items()}
    return noticed


FAULTS = {
    "renamed": "đổi tên một tensor",
    "bit": "lật một bit",
    "shape": "sửa cỡ từ vựng",
    "activation": "sửa hàm kích hoạt",
    "heads": "sửa số đầu chú ý",
    "dtype": "sửa kiểu số",
    "dropout": "sửa dropout",
    "buffer": "buffer không lưu",
}
NOTICED = {
    "error": "ngoại lệ",
    "report": "báo cáo",
    "weights": "từng bit",
    "logits": "logits",
    "files": "SHA-256",
}


def noticed_by_checks(data: dict[str, Any]) -> Any:
    """A grid: each fault of a folder (rows) against each check at loading (columns)."""
    return grid(FAULTS, NOTICED, data["exact"]["notices"])


def grid(rows: dict[str, str], columns: dict[str, str], noticed: dict[str, dict[str, bool]]) -> Any:
    """Rows against columns (key -> label); a filled tick where the check noticed."""
    drawing, axes = pyplot.subplots(figsize=(WIDTH, 0.3 + 0.5 * len(rows)))
    for row, way in enumerate(rows):
        for column, check in enumerate(columns):
            if noticed[way][check]:
                disc(axes, column, row, 260, fill=ACCENT, edge=ACCENT)
                axes.text(column, row, "✓", ha="center", va="center", color=PAPER)
            else:
                disc(axes, column, row, 260, fill="none", edge=MUTED)
                axes.text(column, row, "–", ha="center", va="center", color=MUTED)
    axes.set_xticks(range(len(columns)), columns.values())
    axes.set_yticks(range(len(rows)), rows.values())
    table_axes(axes, len(rows), right=len(columns) - 0.4)
    return drawing


def disc(axes: Any, column: int, row: int, area: int, fill: str, edge: str) -> None:
    axes.scatter(column, row, s=area, color=fill, edgecolors=edge)


def table_axes(axes: Any, rows: int, right: float) -> None:
    """Axes that read as a table: labels on top and at the left, no lines."""
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.6, right)
    axes.set_ylim(rows - 0.4, -0.6)


def best_and_last(data: dict[str, Any]) -> Any:
    """Validation loss by step, with the point that each way to keep the weights gives back."""
    curve = numbers(data["approx"]["curve"])
    best = curve.index(min(curve))
    last = len(curve) - 1
    drawing, axes = pyplot.subplots(figsize=(WIDTH, 2.9))
    axes.plot(curve, color=MUTED, linewidth=1.5)
    rise = (max(curve) - min(curve)) * 0.08
    points = ((best, "deepcopy, clone, tệp", "center"), (last, "state_dict(), dict(…)", "right"))
    for step, label, side in points:
        axes.scatter(step, curve[step], s=60, color=ACCENT, zorder=3)
        axes.text(step, curve[step] + rise, label, ha=side, va="bottom")
    axes.set_xlabel("bước huấn luyện")
    axes.set_ylabel("loss kiểm định")
    axes.yaxis.set_major_formatter(one_decimal)
    return drawing


TIES = {
    "original": ("buộc", INK, "-"),
    "assign": ("hai tham số, một vùng nhớ", ACCENT, "-"),
    "moved": ("hai tham số, hai vùng nhớ", ACCENT, ":"),
}


def tie_and_no_tie(data: dict[str, Any]) -> Any:
    """Two panels by training step: the losses with and without the tie; distance from the tied."""
    drawing, (above, below) = pyplot.subplots(
        2, figsize=(WIDTH, 4.8), height_ratios=(3, 2), gridspec_kw={"hspace": 0.3}, sharex=True
    )
    tied = numbers(data["approx"]["losses"]["original"])
    steps = range(1, len(tied) + 1)
    for way, (label, colour, line) in TIES.items():
        losses = numbers(data["approx"]["losses"][way])
        above.plot(steps, losses, color=colour, linestyle=line, linewidth=1.8, label=label)
        if way != "original":
            gaps = [abs(loss - other) for loss, other in zip(losses, tied, strict=True)]
            below.plot(steps, gaps, color=colour, linestyle=line, linewidth=1.8)
    above.set_ylabel("loss")
    above.legend(frameon=False)
    below.set_ylabel("khoảng cách")
    below.set_xlabel("bước huấn luyện")
    for axes in (above, below):
        axes.yaxis.set_major_formatter(one_decimal)
    return drawing


HOSTILE = {
    "absolute": "tên tuyệt đối",
    "dotdot": "tên có «..»",
    "symlink": "ghi qua liên kết",
    "hardlink": "ghi qua liên kết cứng",
    "leak": "liên kết ra ngoài",
    "fifo": "ống dẫn",
    "twice": "hai tên giống nhau",
    "case": "khác hoa thường",
    "backslash": "gạch chéo ngược",
    "bomb": "bom nén",
}
TOOLS = {
    "zipfile": "zipfile",
    "unpack_zip": "shutil, ZIP",
    "unzip": "unzip",
    "data": "tarfile, data",
    "trusted": "tarfile, không lọc",
    "tar": "tar",
}
OUTCOMES = {  # mark, colour of the mark, fill of its disc, edge of its disc
    "từ chối": ("✓", PAPER, ACCENT, ACCENT),
    "GHI RA NGOÀI": ("✗", PAPER, INK, INK),
    "để lại vật lạ": ("!", INK, "none", INK),
    "mở": ("–", MUTED, "none", MUTED),
    "lặng lẽ bỏ qua": ("·", MUTED, "none", MUTED),
}


def tools_and_hostile_archives(data: dict[str, Any]) -> Any:
    """A grid: each hostile archive (rows) against each tool (columns).

    Blank where that tool's format cannot hold it.
    """
    own = data["exact"]["own"]
    tools = data["exact"]["tools"]
    drawing, axes = pyplot.subplots(figsize=(WIDTH, 0.3 + 0.44 * len(HOSTILE)))
    for row, name in enumerate(HOSTILE):
        outcomes = [own[f"{name}.tar.gz"]]
        for tool in TOOLS:
            outcomes.append(tools[tool].get(name))
        for column, outcome in enumerate(outcomes):
            if outcome:
                mark, ink, fill, edge = OUTCOMES[outcome]
                disc(axes, column, row, 230, fill, edge)
                axes.text(column, row, mark, ha="center", va="center_baseline", color=ink)
    columns = ["safe_extract", *TOOLS.values()]
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="left")
    axes.set_yticks(range(len(HOSTILE)), HOSTILE.values())
    table_axes(axes, len(HOSTILE), right=len(TOOLS) + 0.6)
    return drawing


NUMBER_TYPES = ("float32", "bfloat16", "int8")
BYTES = ("định trị", "định trị", "mũ, định trị", "dấu, mũ")


def zip_ratio(data: dict[str, Any]) -> Any:
    """Two panels of bars: r of a deflated folder by number type, and r of each byte by itself."""
    ratios = data["approx"]["r"]["deflated"]
    drawing, (above, below) = pyplot.subplots(
        2, figsize=(WIDTH, 5.4), height_ratios=(1, 1), gridspec_kw={"hspace": 0.35}, sharex=True
    )
    for values, label, colour, shift in (
        ("trained", "đã huấn luyện", ACCENT, 0.2),
        ("random", "ngẫu nhiên", MUTED, -0.2),
    ):
        widths = [ratios[f"{values}_{kind}"]["value"] for kind in NUMBER_TYPES]
        places = [row + shift for row in (2, 1, 0)]
        bars = above.barh(places, widths, color=colour, height=0.34, label=label)
        above.bar_label(bars, three_decimals(widths), padding=4)
    above.set_yticks((2, 1, 0), NUMBER_TYPES)
    above.set_title("Cỡ ZIP nén so với cỡ thư mục", loc="left", fontsize=11, pad=26)
    above.legend(
        frameon=False,
        ncols=2,
        loc="lower left",
        bbox_to_anchor=(-0.03, 0.98),
        handlelength=1,
        borderpad=0,
    )
    widths = []
    labels = []
    for place, part in enumerate(BYTES):
        widths.append(data["approx"]["why"][f"byte_{place}"]["value"])
        labels.append(f"byte {place}\n{part}")
    bars = below.barh(range(4), widths, color=ACCENT, height=0.6)
    below.bar_label(bars, three_decimals(widths), padding=4)
    below.set_yticks(range(4), labels)
    below.set_title("float32 đã huấn luyện, nén riêng từng byte", loc="left", fontsize=11)
    for axes in (above, below):
        axes.set_xlim(0, 1.2)
        bare(axes)
    return drawing


def three_decimals(values: list[float]) -> list[str]:
    return [number(value, 3) for value in values]


DAMAGES = {
    "flip_data": "safetensors: lật bit dữ liệu",
    "flip_header": "safetensors: lật bit phần đầu",
    "cut": "safetensors: cắt cụt",
    "append": "safetensors: nối thêm byte",
    "zero": "safetensors: đuôi toàn số không",
    "pt_flip": ".pt: lật bit",
    "pt_cut": ".pt: cắt cụt",
    "pt_append": ".pt: nối thêm byte",
    "pt_zero": ".pt: đuôi toàn số không",
    "flip_config": "config.json: lật bit",
    "flip_tokenizer": "tokenizer.json: lật bit",
    "config": "config.json của mô hình khác",
    "tokenizer": "tokenizer.json khác",
    "swap": "hai mảnh đổi tên cho nhau",
    "stale": "mảnh của lần lưu khác",
    "lost_shard": "mất một mảnh",
    "lost_file": "mất một tệp",
}
INSTRUMENTS = {
    "error": "lệnh tải ném lỗi",
    "report": "báo cáo tải",
    "finite": "NaN, vô cực",
    "argmax": "argmax",
    "stats": "trung bình, độ lệch",
    "d3": "δ > 0,001",
    "d5": "δ > 0,00001",
    "d0": "δ ≠ 0",
    "ids": "dãy id",
    "bits": "từng bit",
    "tensors": "SHA-256 tensor",
    "files": "SHA-256 tệp",
    "sizes": "cỡ tệp",
}


def share_detected(data: dict[str, Any]) -> Any:
    """A grid: kinds of damage (rows) against checks (columns).

    A square's area is the share of the trials in which the check saw the damage.
    """
    exact = data["exact"]["rows"]
    approx = data["approx"]["rows"]
    drawing, axes = pyplot.subplots(figsize=(WIDTH - 2.1, 4.9))
    for row, damage in enumerate(DAMAGES):
        for column, check in enumerate(INSTRUMENTS):
            if check in exact[damage]:
                seen = exact[damage][check]
            else:
                seen = approx[damage][check]["value"]
            if seen:
                side = 0.9 * (seen / exact[damage]["trials"]) ** 0.5
                corner = (column - side / 2, row - side / 2)
                axes.add_patch(pyplot.Rectangle(corner, side, side, color=ACCENT, linewidth=0))
            else:
                axes.scatter(column, row, s=4, color=MUTED, linewidths=0)
    axes.set_xticks(range(len(INSTRUMENTS)), INSTRUMENTS.values(), rotation=90, fontsize=10)
    axes.set_yticks(range(len(DAMAGES)), DAMAGES.values(), fontsize=10)
    table_axes(axes, len(DAMAGES), right=len(INSTRUMENTS) - 0.4)
    return drawing


BITS = {
    "sign": "bit dấu",
    "exponent": "tám bit mũ",
    "high": "định trị, nửa cao",
    "low": "định trị, nửa thấp",
}
POWERS = range(-9, 4)  # of ten; what lies outside has a bar of its own


def gap_by_bit(data: dict[str, Any]) -> Any:
    """Small multiples: how far the logits moved when one bit of that kind was flipped."""
    approx = data["approx"]
    drawing, panels = pyplot.subplots(
        len(BITS), 1, figsize=(WIDTH, 5.6), sharex=True, layout="constrained"
    )
    for axes, (kind, name) in zip(panels, BITS.items(), strict=True):
        share = {}
        for power, leaf in approx["spread"][kind].items():
            share[int(power)] = leaf["value"] * 100
        shares = [share[power] for power in POWERS]
        centres = [power + 0.5 for power in POWERS]
        colours = [MUTED if power < -5 else ACCENT for power in POWERS]
        axes.bar(centres, shares, color=colours, width=0.9)
        outside = [share[-10], share[4]]
        axes.bar([-10.7, 5.2], outside, color=[MUTED, ACCENT], width=0.9)
        axes.axvline(-5, color=INK, linewidth=1, linestyle=(0, (3, 2)))
        missed = number(approx["missed"][kind]["value"] * 100, 1)
        axes.set_title(f"{name}: lọt {missed} %", loc="left", fontsize=11, color=INK)
        axes.set_ylim(0, 75)
        axes.set_yticks((0, 50), ("0", "50 %"))
    labels = {-10.7: "δ = 0", -7: "−7", -5: "−5", -3: "−3", -1: "−1", 1: "1", 3: "3", 5.2: "NaN"}
    panels[-1].set_xticks(list(labels), list(labels.values()))
    panels[-1].set_xlabel("luỹ thừa mười của δ")
    return drawing


def computed_and_published(data: dict[str, Any]) -> Any:
    """Two panels: each model's compute by the formula and as published; use of the peak.

    Above on a logarithmic axis; below as it follows from the GPU-hours.
    """
    exact = data["exact"]
    models = sorted(exact["models"].items(), key=lambda item: item[1]["flops"])
    drawing, (above, below) = pyplot.subplots(
        2, figsize=(WIDTH, 4.8), height_ratios=(6, 3), gridspec_kw={"hspace": 0.6}
    )
    computed = []
    names = []
    published = []
    published_rows = []
    for row, (key, model) in enumerate(models):
        computed.append(model["flops"])
        names.append(model["name"])
        flops = exact["known"].get(key, {}).get("flops")
        if flops:
            published.append(flops)
            published_rows.append(row)
    rows = range(len(models))
    above.scatter(computed, rows, s=45, color=ACCENT, label="theo công thức", zorder=3)
    above.scatter(
        published, published_rows, s=150, facecolors="none", edgecolors=INK, label="công bố"
    )
    above.set_yticks(rows, names)
    above.set_xscale("log")
    above.xaxis.set_major_formatter(power_of_ten)
    above.set_xlabel("FLOP (thang logarit)")
    above.legend(frameon=False, loc="lower right")
    rates = []
    for key, rate in exact["implied"].items():
        rates.append((rate * 100, exact["models"][key]["name"]))
    rates.sort()
    widths = [rate for rate, _ in rates]
    bars = below.barh([name for _, name in rates], widths, color=ACCENT, height=0.6)
    below.bar_label(bars, whole_percents(widths), padding=4)
    below.set_xlim(0, 100)
    below.set_title("hiệu suất suy ra từ giờ GPU", loc="left", fontsize=11)
    bare(below)
    return drawing


def power_of_ten(value: float, _: int) -> str:
    """A tick's label."""
    exponent = str(round(math.log10(value)))
    return f"10{exponent.translate(SUPERSCRIPT)}"


def whole_percents(values: list[float]) -> list[str]:
    return [f"{number(value, 0)} %" for value in values]


PREPARATION = {
    "raw": "văn bản thô",
    "normalised": "chuẩn hoá",
    "exact": "bỏ trùng hệt",
    "near": "bỏ gần trùng",
    "filtered": "lọc",
    "masked": "che",
    "split": "chia, so lộ",
}


def left_after_each_step(data: dict[str, Any]) -> Any:
    """Two panels: characters left after each step; share of test documents seen in training."""
    steps = data["exact"]["steps"]
    leaks = data["exact"]["leaks"]
    train = steps["train"]["characters"]
    sizes = []
    for step in PREPARATION:
        if step == "split":
            sizes.append(train + steps["test"]["characters"])
        else:
            sizes.append(steps[step]["characters"])
    drawing, (above, below) = pyplot.subplots(
        2, figsize=(WIDTH, 4.8), height_ratios=(7, 3), gridspec_kw={"hspace": 0.3}
    )
    bars = above.barh(list(PREPARATION.values()), sizes, color=MUTED, height=0.66)
    above.barh("chia, so lộ", train, color=ACCENT, height=0.66)
    above.bar_label(bars, list(map(number, sizes)), padding=4)
    above.set_xlim(right=max(sizes) * 1.25)
    above.set_title("số ký tự còn lại (màu: để huấn luyện)", fontsize=10, loc="left")
    names = ["trước khi làm sạch", "sau khi làm sạch", "bỏ tài liệu lộ"]
    shares = []
    for row in (leaks["before"], leaks["after"]):
        shares.append(100 * row["leaking"] / row["test"])
    shares.append(0.0)
    bars = below.barh(names, shares, color=ACCENT, height=0.66)
    below.bar_label(bars, whole_percents(shares), padding=4)
    below.set_xlim(0, 100)
    below.set_title("phần tài liệu kiểm thử bị lộ", fontsize=10, loc="left")
    for axes in (above, below):
        axes.invert_yaxis()
        bare(axes)
    return drawing


DRAWINGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "fine-tuning/saving-and-loading/best_weights": best_and_last,
    "fine-tuning/saving-and-loading/detection_table": share_detected,
    "fine-tuning/saving-and-loading/hugging_face_round_trip": bytes_by_file,
    "fine-tuning/saving-and-loading/loading_report": noticed_by_checks,
    "fine-tuning/saving-and-loading/own_model_state_dict": seen_by_checks_of_an_own_model,
    "fine-tuning/saving-and-loading/pretrained_round_trip": seen_in_a_pretrained_folder,
    "fine-tuning/saving-and-loading/safe_extraction": tools_and_hostile_archives,
    "fine-tuning/saving-and-loading/silent_damage": gap_by_bit,
    "fine-tuning/saving-and-loading/state_dict_round_trip": seen_by_checks,
    "fine-tuning/saving-and-loading/tied_weights": tie_and_no_tie,
    "fine-tuning/saving-and-loading/what_is_saved": bytes_by_container,
    "fine-tuning/saving-and-loading/zip_and_ratio": zip_ratio,
    "pretraining/what-is-pretraining/data_preparation": left_after_each_step,
    "pretraining/what-is-pretraining/training_cost": computed_and_published,
}


def draw(script: Path, data: dict[str, Any]) -> str:
    """SVG of a script's figure, the same for the same record; empty when it has none."""
    drawing_of = DRAWINGS.get("/".join([*script.parts[-3:-1], script.stem]))
    if drawing_of is None:
        return ""
    buffer = io.StringIO()
    with LOCK, matplotlib.rc_context(fname=STYLE):
        drawing = drawing_of(data)
        drawing.savefig(buffer, metadata={"Date": None, "Creator": None})
        pyplot.close(drawing)
    name = script.stem
    if data["provenance"].get("size"):
        name += f"-{data['provenance']['size']}"
    return themed(buffer.getvalue(), name)
