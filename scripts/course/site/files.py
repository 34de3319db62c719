"""What the site holds besides its pages: scripts, transcripts, notebooks, fonts, one stylesheet,
old addresses.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from course import ROOT
from course.catalog import as_list
from course.pages.course import Course
from course.pages.notebook import notebook_of
from course.records.record import Record, paths_of
from course.site import redirects
from course.site.search.index import SCRIPTS
from course.site.theme import join_stylesheets, stylesheet_name

log = logging.getLogger("mkdocs.hooks.course")
KATEX = ROOT / "node_modules/katex/dist"
KATEX_CSS = "assets/katex/katex.min.css"
THEME_CSS = re.compile(r"assets/stylesheets/(main|palette)\.\w+\.min\.css")
# Of the theme: its own search worker with the languages that it knows, source maps, and templates
# that MkDocs takes for files. Nothing asks for them.
UNUSED = re.compile(r"assets/javascripts/(lunr|workers)/|assets/.*\.map$|partials/")
GENERATED = (".ipynb", ".html", ".htm")


def add_files(files: Files, config: MkDocsConfig, course: Course) -> None:
    """Everything that is published beside the pages; `config.extra.stylesheet` is the path of the
    stylesheet.
    """
    remove_unused(files)
    refuse_generated(files)
    pages = [file.src_uri for file in files if file.src_uri.endswith(".md")]
    add_recipes(pages, files, config, course)
    add_experiments(files, config, course)
    add_redirects(pages, files, config, course)
    for font in sorted((KATEX / "fonts").glob("*.woff2")):
        files.append(generated(config, f"assets/katex/fonts/{font.name}", font))
    for path, file in SCRIPTS.items():
        files.append(generated(config, path, file))
    add_stylesheet(files, config)


def generated(config: MkDocsConfig, path: str, source: Path) -> File:
    """A file of the site whose content stands elsewhere."""
    return File.generated(config, path, abs_src_path=str(source))


def remove_unused(files: Files) -> None:
    """Leave out what nothing asks for."""
    for file in list(files):
        if UNUSED.match(file.src_uri):
            files.remove(file)


def refuse_generated(files: Files) -> None:
    """Notebooks and HTML are made by the build. A contributed one is left out: it may end the build
    otherwise.
    """
    for file in list(files):
        if file.src_uri.endswith(GENERATED):
            log.warning(
                "docs/%s: notebook và HTML được sinh ra khi dựng, không đặt trong docs: "
                "hãy chép mã của nó thành một script trong examples/, rồi bỏ tệp này",
                file.src_uri,
            )
            files.remove(file)


def add_recipes(pages: list[str], files: Files, config: MkDocsConfig, course: Course) -> None:
    """Publish the files to take away that pages name."""
    for page in pages:
        for recipe in course.recipes(page):
            if recipe.exists():
                path = recipe.relative_to(course.examples).as_posix()
                files.append(generated(config, path, recipe))


def add_experiments(files: Files, config: MkDocsConfig, course: Course) -> None:
    """Publish scripts, transcripts and notebooks; a notebook belongs to the first page that names
    its script.
    """
    published = set()
    for page in course.catalog.lesson_pages():
        for record in course.experiments(page):
            if record.script not in published:  # X.<machine> has the script of X
                published.add(record.script)
                add_experiment(record, page, files, config, course)


def add_experiment(
    record: Record, page: str, files: Files, config: MkDocsConfig, course: Course
) -> None:
    """Publish one script, its transcript and its notebook page."""
    folder = record.script.parent.relative_to(course.examples).as_posix()
    transcript = paths_of(record.script)[1]
    for source in (record.script, transcript):
        if source.exists():
            files.append(generated(config, f"{folder}/{source.name}", source))
    notebooks = course.cache / "notebooks"
    place = f"{folder}/{record.script.stem}.ipynb"
    notebook = notebooks / place
    notebook.parent.mkdir(parents=True, exist_ok=True)
    text = notebook_of(record, course.title(page))
    notebook.write_text(text, encoding="utf-8", newline="\n")
    # A plain File: mkdocs-jupyter's wrapper does not know generated ones.
    files.append(File(place, str(notebooks), config.site_dir, config.use_directory_urls))
    config.extra["lesson_of_notebook"][place] = page


def add_redirects(pages: list[str], files: Files, config: MkDocsConfig, course: Course) -> None:
    """Add the pages that answer old addresses, those of the old course and those of pages that
    moved.
    """
    in_course = {module.page for module in course.catalog.modules}
    in_course |= {lesson.page for lesson in course.catalog.lessons}
    for page in pages:
        if page not in in_course:
            for old in as_list(course.facts(page).get("old")):
                add_redirect(str(old).strip("/"), page, files, config)
    for old, target in course.catalog.old_addresses().items():
        add_redirect(old, target, files, config)


def add_redirect(old: str, target: str, files: Files, config: MkDocsConfig) -> None:
    """Add the pages that answer an old address and lead to `target`: a page below docs/, perhaps
    with an anchor.
    """
    place, _, anchor = target.partition("#")
    found = files.get_file_from_path(place)
    if found is None:
        log.warning("course.yml: địa chỉ cũ %s dẫn tới %s, không có trang này", old, place)
        return
    if any(file.url == f"{old}/" for file in files.documentation_pages()):
        log.warning("docs/%s: địa chỉ cũ %s là địa chỉ của một trang đang có", place, old)
        return
    address = found.url
    if anchor:
        address += f"#{anchor}"
    for name in redirects.files_of(old, is_folder="/" not in old):
        files.append(File.generated(config, name, content=redirects.page(name, address)))


def add_stylesheet(files: Files, config: MkDocsConfig) -> None:
    """Put the theme's stylesheets, KaTeX's and the course's into one file."""
    theme = {}
    for file in files:
        if THEME_CSS.fullmatch(file.src_uri):
            theme[file.src_uri] = file
    own = {}
    for path in config.extra_css:
        file = files.get_file_from_path(str(path))
        if file:
            own[file.src_uri] = file
    sheets = {path: theme[path].content_string for path in sorted(theme)}
    sheets[KATEX_CSS] = (KATEX / "katex.min.css").read_text(encoding="utf-8")
    for path, file in own.items():
        sheets[path] = file.content_string
    css = join_stylesheets(sheets)
    for file in (*theme.values(), *own.values()):
        files.remove(file)
    config.extra_css = []
    config.extra["stylesheet"] = stylesheet_name(css)
    files.append(File.generated(config, config.extra["stylesheet"], content=css))
