"""Mends what the theme and Markdown write: HTML that validators refuse, and a script that holds up the page."""

from __future__ import annotations

import re

BUNDLE = re.compile(r'<script src="(?P<src>[^"]*/bundle\.[0-9a-f]+\.min\.js)"></script>')
# What the theme writes, what HTML allows; each says nothing to a reader and to a browser.
REPAIRS = (
    (' tabindex=""', ""),
    ('id="__drawer" autocomplete="off"', 'id="__drawer"'),
    ('id="__search" autocomplete="off"', 'id="__search"'),
    ('data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Tìm kiếm"'),
    ('class="md-path" aria-label="Điều hướng"', 'class="md-path" aria-label="Vị trí trong khoá học"'),
)
# A part of the sidebar is named by a label that holds an icon alone: name it by its title.
PART = re.compile(
    r'(?P<nav><nav class="md-nav" data-md-level="\d+") aria-labelledby="[^"]*"'
    r'(?P<label> aria-expanded="\w+">\s*<label class="md-nav__title" for="[^"]*">\s*<span class="md-nav__icon md-icon">'
    r"</span>\s*)(?P<title>[^<]+?)(?P<end>\s*</label>)"
)
# Names and spaces of highlighted code have the colour of the code itself: hundreds of elements for nothing.
PLAIN_CODE = re.compile(r'<span class="[nw]">([^<]*)</span>')
EMPTY_HEADER = re.compile(r"<th(?P<style>[^>]*)></th>")  # Markdown's tables always have a head; a corner is no head
TOC_LABEL = (' for="__toc"', 'id="__toc"')  # on a page without contents the label names a box that is not there


class ThemeChanged(Exception):
    """The theme no longer writes what this module mends; one Vietnamese line."""


def mend(page: str) -> str:
    """HTML of a page, valid, with its script deferred. Raises ThemeChanged when there is no such script."""
    page, found = BUNDLE.subn(r'<script defer src="\g<src>"></script>', page)
    if found != 1:
        raise ThemeChanged("giao diện không còn viết thẻ script như scripts/theme_html.py chờ đợi")
    for written, allowed in REPAIRS:
        page = page.replace(written, allowed)
    page = PART.sub(r'\g<nav> aria-label="\g<title>"\g<label>\g<title>\g<end>', page)
    page = PLAIN_CODE.sub(r"\1", page)
    page = EMPTY_HEADER.sub(r"<td\g<style>></td>", page)
    if TOC_LABEL[1] not in page:
        page = page.replace(TOC_LABEL[0], "")
    return page
