"""Mends what the theme writes: HTML that a validator refuses, and a script that holds up the page."""

from __future__ import annotations

import re

BUNDLE = re.compile(r'<script src="(?P<src>[^"]*/bundle\.[0-9a-f]+\.min\.js)"></script>')
# What the theme writes, what HTML allows; each says nothing to a reader and to a browser.
REPAIRS = (
    (' tabindex=""', ""),
    ('id="__drawer" autocomplete="off"', 'id="__drawer"'),
    ('id="__search" autocomplete="off"', 'id="__search"'),
    ('class="md-path" aria-label="Điều hướng"', 'class="md-path" aria-label="Vị trí trong khoá học"'),
)
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
    if TOC_LABEL[1] not in page:
        page = page.replace(TOC_LABEL[0], "")
    return page
