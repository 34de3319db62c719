"""The course's figures: text stays text, colours become the theme's, so a figure follows the page.

Scripts draw with the stand-in colours of figure_style.mplrc; here the theme's variables take their
place, and the drawing is made small.
"""

from __future__ import annotations

import re

from scour import scour

INK = "#010101"
ACCENT = "#020202"
MUTED = "#030303"
PAPER = "#040404"
# Drawn with these, shown with the variables.
COLOURS = {
    INK: "currentColor",
    ACCENT: "var(--figure-accent)",
    MUTED: "var(--figure-muted)",
    PAPER: "var(--md-default-bg-color)",
}
ROUND = "stroke-linejoin: round"


def themed(svg: str, name: str, root_style: str = ROUND) -> str:
    """A drawing of matplotlib as the site shows it; `name`: of its record, for ids."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # A style element would rule the whole page.
    svg = re.sub(r'<style type="text/css">.*?</style>', "", svg, flags=re.DOTALL)
    svg = svg.replace("<svg", f'<svg style="{root_style}"', 1)
    for drawn, shown in COLOURS.items():
        svg = svg.replace(drawn, shown)
    return smaller(svg, name)


def themed_experiment(svg: str, name: str) -> str:
    """The drawing of an experiment: its black and white are the theme's ink and paper too."""
    svg = svg.replace("#000000", INK).replace("#ffffff", PAPER)
    svg = re.sub(r"font-family: [^;\"]+", "font-family: inherit", svg)
    # matplotlib writes no fill where it is black.
    return themed(svg, name, f"fill: currentColor; {ROUND}")


def smaller(svg: str, name: str) -> str:
    """The drawing with short numbers and only the ids that it uses.

    Ids begin with `name`: a page holds several drawings.
    """
    options = scour.sanitizeOptions()
    options.digits = 4  # hundredths of a point for most of a drawing
    options.strip_ids = True
    options.shorten_ids = True
    options.shorten_ids_prefix = f"{name}-"
    options.strip_comments = True
    options.strip_xml_prolog = True
    options.remove_metadata = True
    options.group_collapse = True
    options.quiet = True
    # The theme's variables work in styles alone.
    options.style_to_xml = False
    options.simple_colors = False
    options.indent_type = "none"
    lines = scour.scourString(svg, options).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"
