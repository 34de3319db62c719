"""The picture that a shared link shows: a page's title on the course's colour."""

from __future__ import annotations

import hashlib
import shutil
import textwrap
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page
from PIL import Image, ImageDraw, ImageFont

from course import ROOT

FONTS = ROOT / "node_modules/@expo-google-fonts/be-vietnam-pro"
SIZE = (1200, 630)  # pixels; what the Open Graph consumers crop least
MARGIN = 80
GROUND = "#14505c"
INK = "#ffffff"
PALE = "#b9dbe2"
TITLE_SIZES = ((76, 24), (62, 30), (50, 38), (42, 46))  # font size, characters a line
TITLE_LINES = 5
COLOURS = 32  # of the finished picture: a third of the bytes, and no difference to be seen
FOLDER = "assets/social"


def card_of(page: Page, number: str, config: MkDocsConfig, cache: Path) -> Path:
    """The picture of a page of lesson `number`; templates find its address in the page's facts."""
    above = f"Bài {number}" if number else ""
    title = str(page.meta.get("title") or page.title or config.site_name)
    card = drawn(title, above, config.site_name, cache)
    page.meta["card"] = f"{FOLDER}/{card.name}"
    return card


def drawn(title: str, above: str, below: str, cache: Path) -> Path:
    """Path of the picture in `cache`, drawn if it is not there: its name is the digest of what it
    is made from.
    """
    made_of = "\0".join((title, above, below, Path(__file__).read_text(encoding="utf-8")))
    path = cache / f"{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.png"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        picture = draw(title, above, below).quantize(COLOURS)
        whole = path.with_suffix(".part")  # another build may read the folder at the same time
        picture.save(whole, "PNG", optimize=True)
        whole.replace(path)
    return path


def font(weight: str, size: int) -> ImageFont.FreeTypeFont:
    """The course's font for pictures; `weight` as its package names it, e.g. `700Bold`."""
    return ImageFont.truetype(FONTS / weight / f"BeVietnamPro_{weight}.ttf", size)


def fitted(title: str) -> tuple[int, list[str]]:
    """The largest font size in which a title has few enough lines, and these lines."""
    for size, width in TITLE_SIZES:
        lines = textwrap.wrap(title, width)
        if len(lines) < TITLE_LINES:
            return size, lines
    return size, lines[:TITLE_LINES]  # the smallest size, and what fits


def draw(title: str, above: str, below: str) -> Image.Image:
    """The picture: what the page belongs to above, its title, the course's name below."""
    image = Image.new("RGB", SIZE, GROUND)
    pen = ImageDraw.Draw(image)
    pen.text((MARGIN, MARGIN), above, font=font("500Medium", 34), fill=PALE)
    size, lines = fitted(title)
    bold = font("700Bold", size)
    pen.multiline_text((MARGIN, 165), "\n".join(lines), font=bold, fill=INK, spacing=size // 3)
    rule = SIZE[1] - 140
    pen.line([(MARGIN, rule), (SIZE[0] - MARGIN, rule)], fill=PALE, width=2)
    pen.text((MARGIN, SIZE[1] - 112), below, font=font("500Medium", 34), fill=PALE)
    return image


def publish(cards: set[Path], site: Path) -> None:
    """Copy the pictures into the built site."""
    folder = site / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for card in cards:
        shutil.copyfile(card, folder / card.name)
