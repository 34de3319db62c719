"""The theme's stylesheets as one, and mends of the HTML that the theme and Markdown write."""

from __future__ import annotations

import hashlib
import itertools
import posixpath
import re

STYLESHEETS = "assets/stylesheets"
ADDRESS = re.compile(r"url\((?P<quote>[\"']?)(?P<path>[^\"')]+)(?P=quote)\)")
ELSEWHERE = re.compile(r"data:|#|/|\w+://")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
LINE_END = re.compile(r"\n\s*")
OTHER_FONTS = re.compile(r"(url\(fonts/[\w-]+\.woff2\) format\(\"woff2\"\))[^;}]*")

RULE = re.compile(r"(?P<selectors>[^{}@;]+)\{[^{}]*\}")
# Text from right to left, and features that mkdocs.yml does not switch on: a tenth of the bytes.
NOT_HERE = re.compile(
    r"\[dir=rtl\]|\.keys|\.critic|\.task-list|\.md-tabs|\.md-consent|\.md-social|\.giscus|\.mermaid"
)

# What the theme writes, and what HTML allows; each says nothing to a reader and to a browser.
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
SIDEBAR_PART = re.compile(
    r'(?P<nav><nav class="md-nav" data-md-level="\d+") aria-labelledby="[^"]*"'
    r'(?P<label> aria-expanded="\w+">\s*<label class="md-nav__title" for="[^"]*">\s*'
    r'<span class="md-nav__icon md-icon"></span>\s*)(?P<title>[^<]+?)(?P<end>\s*</label>)'
)
NAMED_PART = r'\g<nav> aria-label="\g<title>"\g<label>\g<title>\g<end>'
# On a page without contents the label names a box that is not there.
CONTENTS_LABEL, CONTENTS_BOX = ' for="__toc"', 'id="__toc"'

# Markdown's tables always have a head; an empty corner is no head.
EMPTY_HEADER = re.compile(r"<th(?P<style>[^>]*)></th>")
# The theme's program wraps tables so that they scroll, and the browser lays out the page once more:
# wrapped already. The theme knows a table by its having no class.
TABLE = re.compile(r"<table>(?P<rows>.*?)</table>", re.DOTALL)
THEME_TABLE, OWN_TABLE = "table:not([class])", "table.data"
WRAPPED_TABLE = (
    '<div class="md-typeset__scrollwrap"><div class="md-typeset__table">'
    r'<table class="data">\g<rows></table></div></div>'
)
# The program also puts a button into each block of code, with a new layout after each: there
# already.
CODE = re.compile(r"(?P<before><pre[^>]*>(?:<span></span>)?)<code>")
CODE_WITH_BUTTON = (
    r'\g<before><span class="md-code__nav"><button class="md-code__button" title="Sao chép" '
    r'data-md-type="copy" data-clipboard-target="#code-{number}"></button></span>'
    r'<code id="code-{number}">'
)


def stylesheet_name(css: str) -> str:
    """Path of a stylesheet below the site; a browser that keeps the old one never takes it for the
    new one.
    """
    return f"{STYLESHEETS}/site.{hashlib.sha256(css.encode()).hexdigest()[:8]}.css"


def join_stylesheets(sheets: dict[str, str]) -> str:
    """Stylesheets in their order (path below the site -> text) as one that lies in STYLESHEETS: one
    request.
    """
    joined = []
    for path, css in sheets.items():
        css = OTHER_FONTS.sub(r"\1", LINE_END.sub(" ", COMMENT.sub("", css)).strip())
        css = RULE.sub(used_rule, css)
        joined.append(with_moved_addresses(css, path).replace(THEME_TABLE, OWN_TABLE))
    return "\n".join(joined) + "\n"


def used_rule(rule: re.Match[str]) -> str:
    """A rule as it is; nothing when each of its selectors asks for what the site does not have."""
    for selector in rule["selectors"].split(","):
        if not NOT_HERE.search(selector):
            return rule[0]
    return ""


def with_moved_addresses(css: str, path: str) -> str:
    """A stylesheet from `path` whose `url(…)` are written as seen from STYLESHEETS."""

    def moved(match: re.Match[str]) -> str:
        if ELSEWHERE.match(match["path"]):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match["path"]))
        return f"url({posixpath.relpath(target, STYLESHEETS)})"

    return ADDRESS.sub(moved, css)


def mend_content(content: str) -> str:
    """HTML of a page's content as the theme's program would leave it."""
    numbers = itertools.count(1)

    def with_button(block: re.Match[str]) -> str:
        return block.expand(CODE_WITH_BUTTON.format(number=next(numbers)))

    content = CODE.sub(with_button, content)
    content = TABLE.sub(WRAPPED_TABLE, content)
    return EMPTY_HEADER.sub(r"<td\g<style>></td>", content)


def mend_page(page: str) -> str:
    """HTML of a whole page, valid."""
    for written, allowed in REPAIRS:
        page = page.replace(written, allowed)
    page = SIDEBAR_PART.sub(NAMED_PART, page)
    if CONTENTS_BOX not in page:
        page = page.replace(CONTENTS_LABEL, "")
    return page
