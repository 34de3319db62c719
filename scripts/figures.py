"""Figures drawn from records. Text stays text and colours are the theme's variables, so a figure follows the page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

# Drawn with these, shown with the variables.
COLOURS = {"#010101": "currentColor", "#020202": "var(--figure-accent)", "#030303": "var(--figure-muted)"}
INK, ACCENT, MUTED = COLOURS
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "figures",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def bytes_by_file(data: dict[str, Any]) -> Any:
    """Horizontal bars: the files of the saved folder by size in bytes, on a logarithmic axis."""
    files = sorted(data["exact"]["files"].items(), key=lambda item: item[1])
    drawing, axes = pyplot.subplots(figsize=(7, 2.6))
    bars = axes.barh([name for name, _ in files], [size for _, size in files], color=ACCENT, height=0.6)
    axes.bar_label(bars, [f"{size:,}".replace(",", ".") for _, size in files], padding=4)
    axes.set_xscale("log")
    axes.set_xlim(right=max(size for _, size in files) * 60)
    axes.set_xlabel("byte (thang logarit)")
    return drawing


DRAWINGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "fine-tuning/saving-and-loading/hugging_face_round_trip": bytes_by_file,
}


def draw(script: Path, data: dict[str, Any]) -> str:
    """SVG of a workflow's figure, the same for the same record; empty when it has none."""
    name = "/".join([*script.parts[-3:-1], script.stem])
    if name not in DRAWINGS:
        return ""
    with matplotlib.rc_context(STYLE):
        drawing = DRAWINGS[name](data)
        buffer = io.StringIO()
        nothing = {"Date": None, "Creator": None}
        drawing.savefig(buffer, format="svg", bbox_inches="tight", transparent=True, metadata=nothing)
        pyplot.close(drawing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1; font-family: inherit", svg)
    for drawn, shown in COLOURS.items():
        svg = svg.replace(drawn, shown)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
