"""Figures drawn from records. Text stays text and colours are the theme's variables, so a figure follows the page."""

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
WIDTH = 5.2  # inches
LOCK = threading.Lock()


def bytes_by_file(data: dict[str, Any]) -> Any:
    """Horizontal bars: the files of the saved folder by size in bytes, on a logarithmic axis."""
    files = sorted(data["exact"]["files"].items(), key=lambda item: item[1])
    drawing, axes = pyplot.subplots(figsize=(WIDTH, 2.4))
    bars = axes.barh(
        [name for name, _ in files], [size for _, size in files], color=ACCENT, height=0.6
    )
    axes.bar_label(bars, [number(size) for _, size in files], padding=4)
    axes.set_xscale("log")
    axes.set_xlim(right=max(size for _, size in files) * 60)
    axes.set_xlabel("byte (thang logarit)")
    return drawing


def bytes_by_container(data: dict[str, Any]) -> Any:
    """Two panels: what each way to save holds (MiB, stacked), and where a model's own bytes are (% of its weights)."""
    exact = data["exact"]
    weights, moments = exact["weights"], exact["moments"]
    drawing, (upper, lower) = pyplot.subplots(
        2, 1, figsize=(WIDTH, 4.6), height_ratios=(3, 5), gridspec_kw={"hspace": 0.35}
    )
    rows = [("state_dict.pt", []), ("thư mục", []), ("checkpoint.pt", list(moments.values()))]
    for row, (_, more) in enumerate(rows):
        left = 0.0
        for index, size in enumerate([weights, *more]):
            colour = MUTED if index else ACCENT
            upper.barh(
                row,
                size / 2**20,
                left=left,
                height=0.6,
                color=colour,
                alpha=1 / max(index, 1),
                linewidth=0,
            )
            left += size / 2**20
        upper.text(left, row, f" {number(left, 0)} MiB", va="center")
    upper.set_yticks(range(len(rows)), [name for name, _ in rows])
    upper.invert_yaxis()
    upper.set_xlim(right=left * 1.3)
    upper.set_title("đậm: trọng số; nhạt dần: hai trung bình của AdamW", fontsize=10, loc="left")
    bare(upper)
    names = {
        "wte": "embedding",
        "wpe": "vị trí",
        "attn": "attention",
        "mlp": "MLP",
        "ln": "chuẩn hoá",
    }
    shares = sorted(
        ((size / weights * 100, names[part]) for part, size in exact["parts"].items()), reverse=True
    )
    bars = lower.barh(
        [name for _, name in shares], [share for share, _ in shares], color=ACCENT, height=0.6
    )
    lower.bar_label(
        bars, [f"{number(share, 2 if share < 0.1 else 1)} %" for share, _ in shares], padding=4
    )
    lower.invert_yaxis()
    lower.set_xlim(right=max(shares)[0] * 1.25)
    lower.set_title("phần của trọng số", fontsize=10, loc="left")
    bare(lower)
    return drawing


def bare(axes: Any) -> None:
    """Take the value axis away: the bars carry their numbers."""
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(left=False, bottom=False, labelbottom=False)


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
    """A grid: each way to break (rows) against each check (columns); filled where the check notices."""
    checks = {check: label for check, label in CHECKS.items() if check in data["exact"]["checks"]}
    verdicts = {way: data["breaks"][way]["exact"]["checks"] for way in ways}
    return grid(ways, checks, lambda way, check: not verdicts[way][check])


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
    verdicts = {way: data["breaks"][way]["exact"]["checks"] for way in PRETRAINED_WAYS}
    return grid(PRETRAINED_WAYS, PRETRAINED_CHECKS, lambda way, check: not verdicts[way][check])


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
    return grid(FAULTS, NOTICED, lambda fault, check: data["exact"]["notices"][fault][check])


def grid(rows: dict[str, str], columns: dict[str, str], seen: Callable[[str, str], bool]) -> Any:
    """Rows against columns (key -> label); a filled tick where `seen(row, column)`."""
    drawing, axes = pyplot.subplots(figsize=(WIDTH, 0.3 + 0.5 * len(rows)))
    for row, way in enumerate(rows):
        for column, check in enumerate(columns):
            sees = seen(way, check)
            axes.scatter(
                column,
                row,
                s=260,
                color=ACCENT if sees else "none",
                edgecolors=ACCENT if sees else MUTED,
            )
            axes.text(
                column,
                row,
                "✓" if sees else "–",
                ha="center",
                va="center",
                color=PAPER if sees else MUTED,
            )
    axes.set_xticks(range(len(columns)), columns.values())
    axes.set_yticks(range(len(rows)), rows.values())
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.6, len(columns) - 0.4)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    return drawing


def best_and_last(data: dict[str, Any]) -> Any:
    """Validation loss by step, with the point that each way to keep the weights gives back."""
    approx = data["approx"]
    curve = [point["value"] for point in approx["curve"].values()]
    best, last = curve.index(min(curve)), len(curve) - 1
    drawing, axes = pyplot.subplots(figsize=(WIDTH, 2.9))
    axes.plot(curve, color=MUTED, linewidth=1.5)
    rise = (max(curve) - min(curve)) * 0.08
    for step, label, side in (
        (best, "deepcopy, clone, tệp", "center"),
        (last, "state_dict(), dict(…)", "right"),
    ):
        axes.scatter(step, curve[step], s=60, color=ACCENT, zorder=3)
        axes.text(step, curve[step] + rise, label, ha=side, va="bottom")
    axes.set_xlabel("bước huấn luyện")
    axes.set_ylabel("loss kiểm định")
    axes.yaxis.set_major_formatter(lambda value, _: number(value, 1))
    return drawing


def tie_and_no_tie(data: dict[str, Any]) -> Any:
    """Two panels by training step: the losses with and without the tie; how far each is from the tied one."""
    losses = {
        way: [point["value"] for point in curve.values()]
        for way, curve in data["approx"]["losses"].items()
    }
    drawing, (above, below) = pyplot.subplots(
        2, figsize=(WIDTH, 4.8), height_ratios=(3, 2), gridspec_kw={"hspace": 0.3}, sharex=True
    )
    steps = range(1, len(losses["original"]) + 1)
    styles = {
        "original": ("buộc", INK, "-"),
        "assign": ("hai tham số, một vùng nhớ", ACCENT, "-"),
        "moved": ("hai tham số, hai vùng nhớ", ACCENT, ":"),
    }
    for way, (label, colour, line) in styles.items():
        above.plot(steps, losses[way], color=colour, linestyle=line, linewidth=1.8, label=label)
        gap = [abs(loss - tied) for loss, tied in zip(losses[way], losses["original"], strict=True)]
        if way != "original":
            below.plot(steps, gap, color=colour, linestyle=line, linewidth=1.8)
    above.set_ylabel("loss")
    above.legend(frameon=False)
    below.set_ylabel("khoảng cách")
    below.set_xlabel("bước huấn luyện")
    for axes in (above, below):
        axes.yaxis.set_major_formatter(lambda value, _: number(value, 1))
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
    """A grid: each hostile archive (rows) against each tool (columns); blank where that format cannot hold it."""
    own, tools = data["exact"]["own"], data["exact"]["tools"]
    drawing, axes = pyplot.subplots(figsize=(WIDTH, 0.3 + 0.44 * len(HOSTILE)))
    for row, name in enumerate(HOSTILE):
        found = [own[f"{name}.tar.gz"], *(tools[tool].get(name) for tool in TOOLS)]
        for column, outcome in enumerate(found):
            if outcome:
                mark, ink, fill, edge = OUTCOMES[outcome]
                axes.scatter(column, row, s=230, color=fill, edgecolors=edge)
                axes.text(column, row, mark, ha="center", va="center_baseline", color=ink)
    axes.set_xticks(
        range(len(TOOLS) + 1), ["safe_extract", *TOOLS.values()], rotation=40, ha="left"
    )
    axes.set_yticks(range(len(HOSTILE)), HOSTILE.values())
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.6, len(TOOLS) + 0.6)
    axes.set_ylim(len(HOSTILE) - 0.4, -0.6)
    return drawing


def zip_ratio(data: dict[str, Any]) -> Any:
    """Two panels of bars: r of a deflated folder by number type, trained beside random; r of each byte by itself."""
    ratios, why = data["approx"]["r"]["deflated"], data["approx"]["why"]
    drawing, (above, below) = pyplot.subplots(
        2, figsize=(WIDTH, 5.4), height_ratios=(1, 1), gridspec_kw={"hspace": 0.35}, sharex=True
    )
    types = ("float32", "bfloat16", "int8")
    for values, label, colour, shift in (
        ("trained", "đã huấn luyện", ACCENT, 0.2),
        ("random", "ngẫu nhiên", MUTED, -0.2),
    ):
        widths = [ratios[f"{values}_{kind}"]["value"] for kind in types]
        places = [row + shift for row in (2, 1, 0)]
        bars = above.barh(places, widths, color=colour, height=0.34, label=label)
        above.bar_label(bars, [number(width, 3) for width in widths], padding=4)
    above.set_yticks((2, 1, 0), types)
    above.set_title("Cỡ ZIP nén so với cỡ thư mục", loc="left", fontsize=11, pad=26)
    above.legend(
        frameon=False,
        ncols=2,
        loc="lower left",
        bbox_to_anchor=(-0.03, 0.98),
        handlelength=1,
        borderpad=0,
    )
    widths = [why[f"byte_{place}"]["value"] for place in range(4)]
    bars = below.barh(range(4), widths, color=ACCENT, height=0.6)
    below.bar_label(bars, [number(width, 3) for width in widths], padding=4)
    parts = ("định trị", "định trị", "mũ, định trị", "dấu, mũ")
    below.set_yticks(range(4), [f"byte {place}\n{part}" for place, part in enumerate(parts)])
    below.set_title("float32 đã huấn luyện, nén riêng từng byte", loc="left", fontsize=11)
    for axes in (above, below):
        axes.set_xlim(0, 1.2)
        bare(axes)
    return drawing


FORGOTTEN = {
    "optimizer": "trạng thái optimizer",
    "scheduler": "trạng thái scheduler",
    "torch_rng": "RNG của torch",
    "python_rng": "RNG của Python",
    "position": "vị trí dữ liệu",
    "eval": "model.train()",
    "order": "thứ tự tham số",
    "assign": "tải bằng assign=True",
    "half": "lưu bằng bf16",
}


def gaps_by_part(data: dict[str, Any]) -> Any:
    """Small multiples: distance of the loss from the straight run at each step, one panel for each forgotten part.

    A forgotten generator of torch stands in every panel, as a measure of what luck alone does.
    """
    series = {
        way: [leaf["value"] or None for leaf in data["breaks"][way]["approx"]["gaps"].values()]
        for way in FORGOTTEN
    }
    first = data["exact"]["steps"]["saved"] + 1
    steps = range(first, first + data["exact"]["steps"]["left"])
    drawing, panes = pyplot.subplots(
        5, 2, figsize=(WIDTH, 7.6), sharex=True, sharey=True, layout="constrained"
    )
    *panels, legend = panes.flat
    for axes, (way, name) in zip(panels, FORGOTTEN.items(), strict=True):
        axes.plot(steps, series["torch_rng"], color=MUTED, linewidth=1, linestyle=(0, (1, 1.5)))
        axes.plot(steps, series[way], color=ACCENT, linewidth=1.8)
        axes.set_yscale("log")
        axes.set_title(name, loc="left", fontsize=11, color=INK)
        axes.tick_params(labelsize=10)
    panels[-2].tick_params(labelbottom=True)
    legend.axis("off")
    legend.plot([0, 0.18], [0.8, 0.8], color=ACCENT, linewidth=1.8, transform=legend.transAxes)
    legend.text(0.24, 0.8, "quên thứ ấy", va="center", transform=legend.transAxes)
    legend.plot(
        [0, 0.18], [0.55, 0.55], color=MUTED, linestyle=(0, (1, 1.5)), transform=legend.transAxes
    )
    legend.text(0.24, 0.55, "quên RNG của torch", va="center", transform=legend.transAxes)
    drawing.supylabel("loss lệch (thang logarit)", fontsize=11)
    drawing.supxlabel("bước", fontsize=11)
    return drawing


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
    """A grid: kinds of damage (rows) against checks (columns); a square's area is the share that the check saw."""
    exact, approx = data["exact"]["rows"], data["approx"]["rows"]
    drawing, axes = pyplot.subplots(figsize=(WIDTH - 2.1, 4.9))
    for row, damage in enumerate(DAMAGES):
        for column, check in enumerate(INSTRUMENTS):
            seen = (
                exact[damage][check] if check in exact[damage] else approx[damage][check]["value"]
            )
            side = 0.9 * (seen / exact[damage]["trials"]) ** 0.5
            if seen:
                corner = (column - side / 2, row - side / 2)
                axes.add_patch(pyplot.Rectangle(corner, side, side, color=ACCENT, linewidth=0))
            else:
                axes.scatter(column, row, s=4, color=MUTED, linewidths=0)
    axes.set_xticks(range(len(INSTRUMENTS)), INSTRUMENTS.values(), rotation=90, fontsize=10)
    axes.set_yticks(range(len(DAMAGES)), DAMAGES.values(), fontsize=10)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.6, len(INSTRUMENTS) - 0.4)
    axes.set_ylim(len(DAMAGES) - 0.4, -0.6)
    return drawing


BITS = {
    "sign": "bit dấu",
    "exponent": "tám bit mũ",
    "high": "định trị, nửa cao",
    "low": "định trị, nửa thấp",
}


def gap_by_bit(data: dict[str, Any]) -> Any:
    """Small multiples: how far the logits moved (powers of ten) when one bit of that kind was flipped."""
    drawing, panels = pyplot.subplots(
        len(BITS), 1, figsize=(WIDTH, 5.6), sharex=True, layout="constrained"
    )
    powers = range(-9, 4)
    for axes, (kind, name) in zip(panels, BITS.items(), strict=True):
        share = {
            int(power): leaf["value"] * 100
            for power, leaf in data["approx"]["spread"][kind].items()
        }
        colours = [MUTED if power < -5 else ACCENT for power in powers]
        axes.bar(
            [power + 0.5 for power in powers],
            [share[power] for power in powers],
            color=colours,
            width=0.9,
        )
        axes.bar([-10.7, 5.2], [share[-10], share[4]], color=[MUTED, ACCENT], width=0.9)
        axes.axvline(-5, color=INK, linewidth=1, linestyle=(0, (3, 2)))
        missed = number(data["approx"]["missed"][kind]["value"] * 100, 1)
        axes.set_title(f"{name}: lọt {missed} %", loc="left", fontsize=11, color=INK)
        axes.set_ylim(0, 75)
        axes.set_yticks((0, 50), ("0", "50 %"))
    labels = {-7: "−7", -5: "−5", -3: "−3", -1: "−1", 1: "1", 3: "3"}
    panels[-1].set_xticks([-10.7, *labels, 5.2], ["δ = 0", *labels.values(), "NaN"])
    panels[-1].set_xlabel("luỹ thừa mười của δ")
    return drawing


def loss_by_start(data: dict[str, Any]) -> Any:
    """Lines: test loss on the new text by step, from pre-trained and from random weights; bands from least to most."""
    drawing, axes = pyplot.subplots(figsize=(WIDTH, 3.4))
    for way, name, colour in (
        ("pretrained", "đã tiền huấn luyện", ACCENT),
        ("random", "từ ngẫu nhiên", MUTED),
    ):
        points = data["approx"][way]
        apart = data["exact"]["new_steps"] // (len(points) - 1)
        curve = {int(point) * apart: at for point, at in points.items()}
        steps, values = (
            list(curve),
            {k: [at[k]["value"] for at in curve.values()] for k in ("least", "mean", "most")},
        )
        axes.fill_between(
            steps, values["least"], values["most"], color=colour, alpha=0.25, linewidth=0
        )
        axes.plot(steps, values["mean"], color=colour, linewidth=2)
        axes.annotate(
            name, (steps[3], values["mean"][3]), (5, 5), textcoords="offset points"
        )  # the curves fall
    axes.set_xlabel("bước học văn bản mới")
    axes.set_ylabel("loss kiểm thử")
    axes.yaxis.set_major_formatter(lambda value, _: number(value, 1))
    return drawing


def computed_and_published(data: dict[str, Any]) -> Any:
    """Two panels: each model's compute by the formula and as published (log axis); use of the peak, from GPU-hours."""
    exact = data["exact"]
    models = sorted(exact["models"].items(), key=lambda item: item[1]["flops"])
    drawing, (above, below) = pyplot.subplots(
        2, figsize=(WIDTH, 4.8), height_ratios=(6, 3), gridspec_kw={"hspace": 0.6}
    )
    flops = [model["flops"] for _, model in models]
    above.scatter(flops, range(len(models)), s=45, color=ACCENT, label="theo công thức", zorder=3)
    told = [(exact["known"].get(key, {}).get("flops"), row) for row, (key, _) in enumerate(models)]
    known = [(flops, row) for flops, row in told if flops]
    above.scatter(
        *zip(*known, strict=True), s=150, facecolors="none", edgecolors=INK, label="công bố"
    )
    above.set_yticks(range(len(models)), [model["name"] for _, model in models])
    above.set_xscale("log")
    above.xaxis.set_major_formatter(
        lambda value, _: f"10{str(round(math.log10(value))).translate(SUPERSCRIPT)}"
    )
    above.set_xlabel("FLOP (thang logarit)")
    above.legend(frameon=False, loc="lower right")
    rates = sorted(
        (rate * 100, exact["models"][key]["name"]) for key, rate in exact["implied"].items()
    )
    bars = below.barh(
        [name for _, name in rates], [rate for rate, _ in rates], color=ACCENT, height=0.6
    )
    below.bar_label(bars, [f"{number(rate, 0)} %" for rate, _ in rates], padding=4)
    below.set_xlim(0, 100)
    below.set_title("hiệu suất suy ra từ giờ GPU", loc="left", fontsize=11)
    bare(below)
    return drawing


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
    """Two panels: characters and documents left after each step; share of test documents that training has seen."""
    steps, leaks = data["exact"]["steps"], data["exact"]["leaks"]
    train, test = steps["train"], steps["test"]
    steps = {**steps, "split": {key: train[key] + test[key] for key in train}}
    drawing, (above, below) = pyplot.subplots(
        2, figsize=(WIDTH, 4.8), height_ratios=(7, 3), gridspec_kw={"hspace": 0.3}
    )
    sizes = [steps[step]["characters"] for step in PREPARATION]
    bars = above.barh(list(PREPARATION.values()), sizes, color=MUTED, height=0.66)
    above.barh("chia, so lộ", train["characters"], color=ACCENT, height=0.66)
    above.bar_label(bars, [number(size) for size in sizes], padding=4)
    above.set_xlim(right=max(sizes) * 1.25)
    above.set_title("số ký tự còn lại (màu: để huấn luyện)", fontsize=10, loc="left")
    rows = {"trước khi làm sạch": leaks["before"], "sau khi làm sạch": leaks["after"]}
    shares = [100 * row["leaking"] / row["test"] for row in rows.values()] + [0.0]
    bars = below.barh([*rows, "bỏ tài liệu lộ"], shares, color=ACCENT, height=0.66)
    below.bar_label(bars, [f"{number(share, 0)} %" for share in shares], padding=4)
    below.set_xlim(0, 100)
    below.set_title("phần tài liệu kiểm thử bị lộ", fontsize=10, loc="left")
    for axes in (above, below):
        axes.invert_yaxis()
        bare(axes)
    return drawing


DRAWINGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "fine-tuning/saving-and-loading/detection_table": share_detected,
    "fine-tuning/saving-and-loading/exact_resume": gaps_by_part,
    "fine-tuning/saving-and-loading/hugging_face_round_trip": bytes_by_file,
    "fine-tuning/saving-and-loading/loading_report": noticed_by_checks,
    "fine-tuning/saving-and-loading/safe_extraction": tools_and_hostile_archives,
    "fine-tuning/saving-and-loading/pretrained_round_trip": seen_in_a_pretrained_folder,
    "fine-tuning/saving-and-loading/silent_damage": gap_by_bit,
    "fine-tuning/saving-and-loading/state_dict_round_trip": seen_by_checks,
    "fine-tuning/saving-and-loading/what_is_saved": bytes_by_container,
    "fine-tuning/saving-and-loading/zip_and_ratio": zip_ratio,
    "fine-tuning/saving-and-loading/own_model_state_dict": lambda data: seen_by_checks(
        data, OWN_WAYS
    ),
    "fine-tuning/saving-and-loading/best_weights": best_and_last,
    "fine-tuning/saving-and-loading/tied_weights": tie_and_no_tie,
    "pretraining/what-is-pretraining/data_preparation": left_after_each_step,
    "pretraining/what-is-pretraining/pretraining_gain": loss_by_start,
    "pretraining/what-is-pretraining/training_cost": computed_and_published,
}


def draw(script: Path, data: dict[str, Any]) -> str:
    """SVG of a workflow's figure, the same for the same record; empty when it has none."""
    name = "/".join([*script.parts[-3:-1], script.stem])
    if name not in DRAWINGS:
        return ""
    with LOCK, matplotlib.rc_context(fname=STYLE):
        drawing = DRAWINGS[name](data)
        buffer = io.StringIO()
        nothing = {"Date": None, "Creator": None}
        drawing.savefig(
            buffer, format="svg", bbox_inches="tight", transparent=True, metadata=nothing
        )
        pyplot.close(drawing)
    return themed(
        buffer.getvalue(), "-".join(filter(None, (script.stem, data["provenance"].get("size", ""))))
    )
