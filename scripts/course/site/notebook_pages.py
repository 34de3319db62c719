"""The page of a notebook: made from a script and its record, reached from its lesson."""

from __future__ import annotations

import html
import posixpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from mkdocs.structure.toc import AnchorLink
from mkdocs.utils import get_relative_url

from course.pages.course import Course
from course.pages.notebook import notebook_html
from course.pages.sections import free_anchor
from course.records.cells import docstring_of
from course.text import read, slugify

SUFFIX = ".ipynb"


def is_notebook(page: Page) -> bool:
    return page.file.src_uri.endswith(SUFFIX)


def describe(page: Page, course: Course) -> None:
    """Its script is where its title stands, and where it is edited."""
    script = page.file.src_uri.removesuffix(SUFFIX) + ".py"
    summary = docstring_of(read(course.examples / script)).partition("\n")[0].rstrip(".")
    title = html.escape(summary)
    name = posixpath.basename(script)
    page.meta["title"] = title
    page.meta["description"] = f"Notebook làm từ {name} và bản ghi của nó: {title}."
    page.meta["search"] = {"exclude": True}  # it repeats what the lesson explains part by part
    if page.edit_url:
        page.edit_url = page.edit_url.replace(f"docs/{page.file.src_uri}", f"examples/{script}")


def finished(content: str, page: Page, files: Files, config: MkDocsConfig, course: Course) -> str:
    """HTML of its content, with the way back to its lesson."""
    lesson = config.extra["lesson_of_notebook"][page.file.src_uri]
    way = get_relative_url(files.get_file_from_path(lesson).url, page.url)
    seen: set[str] = set()
    for item in page.toc:
        content = with_own_anchors(content, item, seen)
    return notebook_html(content, course.title(lesson), way)


def with_own_anchors(content: str, item: AnchorLink, seen: set[str]) -> str:
    """The content with the anchor of a heading, and of those below it, made as lessons make theirs.

    mkdocs-jupyter makes anchors of its own, and loses every đ. `seen`: anchors already given.
    """
    anchor = free_anchor(slugify(html.unescape(item.title)), seen)
    content = content.replace(f'id="{item.id}"', f'id="{anchor}"', 1)
    content = content.replace(f'href="#{item.id}"', f'href="#{anchor}"')
    item.id = anchor
    for child in item.children:
        content = with_own_anchors(content, child, seen)
    return content
