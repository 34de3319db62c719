"""Formulas in a page's HTML: hidden from the search plugin, which cannot read them, then rendered
in their place.
"""

from __future__ import annotations

import html
import re

from course.pages.formulas import FormulaError, Renderer

PLAIN = ' class="arithmatex">'
HIDDEN = ' class="arithmatex" data-search-exclude>'
FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex" data-search-exclude(?:="")?>'
    r"\s*\\(?P<open>[(\[])(?P<tex>.*?)\\[)\]]\s*</(?P=tag)>",
    re.DOTALL,
)


def hide_from_search(content: str) -> str:
    """HTML of a page's content, its TeX marked so that the search plugin leaves it out."""
    return content.replace(PLAIN, HIDDEN)


def render_formulas(output: str, renderer: Renderer) -> str:
    """HTML of a whole page with each formula as KaTeX renders it."""

    def rendered(match: re.Match[str]) -> str:
        display = match["open"] == "["
        tex = html.unescape(match["tex"]).strip()
        try:
            shown = renderer.render(tex, display)
        except FormulaError:  # told with its line when the source was checked
            return match[0]
        focus = ' tabindex="0"' if display else ""  # a long one scrolls, by keyboard too
        return f'<{match["tag"]} class="arithmatex"{focus}>{shown}</{match["tag"]}>'

    return FORMULA.sub(rendered, output)
