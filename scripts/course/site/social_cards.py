"""The picture that a shared link shows: a page's title on the course's colour."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from course import ROOT

FONTS = ROOT / "node_modules/@expo-google-fonts/be-vietnam-pro"
SIZE = (1200, 630)  # pixels; what the Open Graph consumers crop least
MARGIN = 80
GROUND, INK, PALE = "#14505c", "#ffffff", "#b9dbe2"
TITLE_SIZES = (
    (76, 24),
    (62, 30),
    (50, 38),
    (42, 46),
)  # font size, characters a line: the first that fits
TITLE_LINES = 5


def font(weight: str, size: int) -> ImageFont.FreeTypeFont:
    """The course's font for pictures; `weight` as its package names it, e.g. `700Bold`."""
    return ImageFont.truetype(FONTS / weight / f"BeVietnamPro_{weight}.ttf", size)


def draw(title: str, above: str, below: str) -> Image.Image:
    """The picture: what the page belongs to above, its title, the course's name below."""
    image = Image.new("RGB", SIZE, GROUND)
    pen = ImageDraw.Draw(image)
    pen.text((MARGIN, MARGIN), above, font=font("500Medium", 34), fill=PALE)
    fitting = (size for size in TITLE_SIZES if len(textwrap.wrap(title, size[1])) < TITLE_LINES)
    size, width = next(fitting, TITLE_SIZES[-1])
    shown = "\n".join(textwrap.wrap(title, width)[:TITLE_LINES])
    pen.multiline_text(
        (MARGIN, 165), shown, font=font("700Bold", size), fill=INK, spacing=size // 3
    )
    pen.line([(MARGIN, SIZE[1] - 140), (SIZE[0] - MARGIN, SIZE[1] - 140)], fill=PALE, width=2)
    pen.text((MARGIN, SIZE[1] - 112), below, font=font("500Medium", 34), fill=PALE)
    return image


def card(title: str, above: str, below: str, folder: Path) -> Path:
    """Path of the picture in `folder`, drawn if it is not there: its name is the digest of what it is made from."""
    made_of = "\0".join((title, above, below, Path(__file__).read_text(encoding="utf-8")))
    path = folder / f"{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.png"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(".part")  # another build may read the folder at the same time
        draw(title, above, below).quantize(32).save(whole, "PNG", optimize=True)
        whole.replace(path)
    return path
