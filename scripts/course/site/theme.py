"""Mends what the theme and Markdown write: HTML that validators refuse, and a script that holds up the page."""

from __future__ import annotations

import itertools
import re

BUNDLE = re.compile(r'<script src="(?P<src>[^"]*/bundle\.[0-9a-f]+\.min\.js)"></script>')
# The page is drawn before its program comes: on a slow phone the two together hold up both. The program waits for an
# event that has passed by then: it is told once more.
LATER = (
    r'<script>addEventListener("load",()=>requestAnimationFrame(()=>setTimeout(()=>document.body.append('
    r'Object.assign(document.createElement("script"),{src:"\g<src>",'
    r'onload:()=>document.dispatchEvent(new Event("DOMContentLoaded"))})))))</script>'
)
# What the theme writes, what HTML allows; each says nothing to a reader and to a browser.
REPAIRS = (
    (' tabindex=""', ""),
    (' data-md-component="palette"', ""),  # partials/palette.js does it
    ('id="__drawer" autocomplete="off"', 'id="__drawer"'),
    ('id="__search" autocomplete="off"', 'id="__search"'),
    (
        'data-md-component="search" role="dialog"',
        'data-md-component="search" role="dialog" aria-label="Tìm kiếm"',
    ),
    (
        'class="md-path" aria-label="Điều hướng"',
        'class="md-path" aria-label="Vị trí trong khoá học"',
    ),
)
# A part of the sidebar is named by a label that holds an icon alone: name it by its title.
PART = re.compile(
    r'(?P<nav><nav class="md-nav" data-md-level="\d+") aria-labelledby="[^"]*"'
    r'(?P<label> aria-expanded="\w+">\s*<label class="md-nav__title" for="[^"]*">\s*<span class="md-nav__icon md-icon">'
    r"</span>\s*)(?P<title>[^<]+?)(?P<end>\s*</label>)"
)
# Names and spaces of highlighted code have the colour of the code itself: hundreds of elements for nothing.
PLAIN_CODE = re.compile(r'<span class="[nw]">([^<]*)</span>')
EMPTY_HEADER = re.compile(
    r"<th(?P<style>[^>]*)></th>"
)  # Markdown's tables always have a head; a corner is no head
# The theme's program wraps tables so that they scroll, and the browser lays out the page once more: wrapped already.
TABLE = re.compile(r"<table>(?P<rows>.*?)</table>", re.DOTALL)
WRAPPED = (
    '<div class="md-typeset__scrollwrap"><div class="md-typeset__table">'
    r'<table class="data">\g<rows></table></div></div>'
)
# Its program also puts a button into each block of code, with a new layout after each: there already.
CODE = re.compile(r"(?P<before><pre>(?:<span></span>)?)<code>")
COPY = (
    r'\g<before><span class="md-code__nav"><button class="md-code__button" title="Sao chép" data-md-type="copy" '
    r'data-clipboard-target="#code-{number}"></button></span><code id="code-{number}">'
)
TOC_LABEL = (
    ' for="__toc"',
    'id="__toc"',
)  # on a page without contents the label names a box that is not there


class ThemeChanged(Exception):
    """The theme no longer writes what this module mends; one Vietnamese line."""


def mend(page: str) -> str:
    """HTML of a page, valid, with its program after its text. Raises ThemeChanged when there is no such program."""
    page, found = BUNDLE.subn(LATER, page)
    if found != 1:
        raise ThemeChanged("giao diện không còn viết thẻ script như scripts/theme_html.py chờ đợi")
    for written, allowed in REPAIRS:
        page = page.replace(written, allowed)
    page = PART.sub(r'\g<nav> aria-label="\g<title>"\g<label>\g<title>\g<end>', page)
    page = PLAIN_CODE.sub(r"\1", page)
    numbers = itertools.count(1)
    page = CODE.sub(lambda block: block.expand(COPY.format(number=next(numbers))), page)
    page = TABLE.sub(WRAPPED, page)
    page = EMPTY_HEADER.sub(r"<td\g<style>></td>", page)
    if TOC_LABEL[1] not in page:
        page = page.replace(TOC_LABEL[0], "")
    return page
