"""MkDocs' events, and nothing else: each hands its part to a module that knows what to do.

What is refused is a warning with file and line: `mkdocs serve` shows it, `mkdocs build --strict`
fails on it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from course.node import ensure_node_modules
from course.pages import glossary, lesson
from course.pages.course import Course, load_course
from course.pages.formulas import render_formulas
from course.pages.syntax import CheckedPage
from course.site import links, notebook_pages, settings, social_cards, theme
from course.site.files import add_files
from course.site.notebook_pages import is_notebook
from course.site.rebuild import basis_of, memory
from course.site.search import index as search
from course.text import Refusal

log = logging.getLogger("mkdocs.hooks.course")


@dataclass
class Build:
    """One build: the course, its pages between source and HTML, pictures for shared links."""

    course: Course
    checked: dict[str, CheckedPage] = field(default_factory=dict)
    cards: set[Path] = field(default_factory=set)


def build_of(config: MkDocsConfig) -> Build:
    """MkDocs hands its configuration to every event: the build goes with it."""
    return config.extra["build"]


def on_startup(command: str, dirty: bool) -> None:
    """Under `serve`, remember pages from one build to the next."""
    memory.on = command == "serve"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Read the course, once; it goes with the configuration from event to event."""
    try:
        ensure_node_modules()
        course = load_course(Path(config.config_file_path).resolve().parent)
    except Refusal as refusal:
        raise PluginError(str(refusal)) from refusal
    config.extra["build"] = Build(course)
    config.extra["lesson_of_notebook"] = {}
    settings.complete(config, course)
    return config


@event_priority(100)  # before mkdocs-jupyter, which has to meet the notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Publish what lies beside the pages."""
    course = build_of(config).course
    for problem in course.catalog.problems:
        log.warning(problem)
    add_files(files, config, course)
    return files


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Everything that all pages share is known now."""
    basis = basis_of(config, files, build_of(config).course) if memory.on else ""
    memory.start(basis)
    return nav


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in and check a page; put a head and a foot to it."""
    build = build_of(config)
    place = page.file.src_uri
    if is_notebook(page):
        notebook_pages.describe(page, build.course)
    if memory.before(page, build.course) or is_notebook(page):
        return markdown
    checked = lesson.check(place, markdown, build.course)
    build.checked[place] = checked
    warn(place, checked.problems)
    return lesson.with_head_and_foot(place, markdown, checked.markdown, build.course)


def warn(place: str, problems: lesson.Problems) -> None:
    """Tell the author."""
    for line, problem in problems:
        log.warning("docs/%s:%d: %s", place, line, problem)


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Check what a reader will see; draw the picture of the page's link."""
    build = build_of(config)
    place = page.file.src_uri
    number = build.course.number(place)
    build.cards.add(social_cards.card_of(page, number, config, build.course.cache / "social"))
    if place in memory.recalled:
        return content
    if is_notebook(page):
        content = notebook_pages.finished(content, page, files, config, build.course)
    else:
        warn(place, lesson.rendered_problems(content, build.checked[place], build.course))
        if place in build.course.related:
            way = get_relative_url(files.get_file_from_path(glossary.PAGE).url, page.url)
            content = build.course.words.link(content, way)
    memory.has_content(page)
    return theme.mend_content(content)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Put the rendered formulas in, after the search plugin has read the page; mend what the theme
    wrote.
    """
    if page.file.src_uri in memory.recalled:
        return output
    output = theme.mend_page(render_formulas(output, build_of(config).course.renderer))
    memory.after(page, output)
    return output


def on_post_template(output: str, template_name: str, config: MkDocsConfig) -> str:
    """Mend the page for addresses that do not exist, too."""
    return theme.mend_page(output) if template_name == "404.html" else output


def on_post_build(config: MkDocsConfig) -> None:
    """Keep what KaTeX rendered; make the search small; in a strict build, follow every link and
    anchor.
    """
    build = build_of(config)
    site = Path(config.site_dir)
    build.course.renderer.close()
    inline = "material/offline" in config.plugins
    search.write(site, build.course.terms, build.course.root, inline=inline)
    social_cards.publish(build.cards, site)
    if memory.on:
        counts = (len(memory.rendered), len(memory.recalled))
        log.info("dựng lại %d trang, %d trang giữ nguyên", *counts)
    if config.strict:
        for problem in links.broken(site, urlsplit(config.site_url or "").path):
            log.warning(problem)
