"""MkDocs adapter: hands pages, formulas and files to the modules beside this one, and reports what they refuse.

Every refusal is a warning with file and line: `mkdocs serve` shows it, `mkdocs build --strict` fails on it.
"""

from __future__ import annotations

import html
import logging
import os
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

import course
import links
import notebooks
import pages
import records
import rendered
import strip
from formulas import FormulaError, Renderer
from node_setup import ensure_node_modules
from slugs import slugify

log = logging.getLogger("mkdocs.hooks.course")
ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
KATEX = ROOT / "node_modules/katex/dist"
MATH = re.compile(
    r'<(?P<tag>span|div) class="arithmatex" data-search-exclude(?:="")?>'
    r"\s*\\(?P<open>[(\[])(?P<tex>.*?)\\[)\]]\s*</(?P=tag)>",
    re.DOTALL,
)


@dataclass
class Checked:
    """A page between its source and its HTML: source, number of its first line, what the check of the source found."""

    markdown: str
    first_line: int
    found: pages.Page


class State:
    """What one build needs in several events."""

    modules: list[course.Module]
    names: list[str]
    renderer: Renderer
    pages: dict[str, Checked]


state = State()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Slugs that know Vietnamese; the npm part; no version selector outside mike's deployments."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify
    if "MIKE_DOCS_VERSION" not in os.environ:
        config.extra.pop("version", None)
    try:
        ensure_node_modules()
        state.renderer = Renderer(CACHE / "formulas.json")
    except RuntimeError as error:
        raise PluginError(str(error)) from error
    converters = "-".join(metadata.version(name) for name in ("mkdocs-jupyter", "nbconvert"))
    config.plugins["mkdocs-jupyter"].config["cache_dir"] = str(CACHE / f"notebook-pages-{converters}")
    glossary = yaml.safe_load((ROOT / "scripts/data/glossary.yml").read_text(encoding="utf-8"))
    state.names = glossary["names"]
    state.pages = {}
    return config


@event_priority(100)  # before mkdocs-jupyter, which has to meet the notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Publish scripts, transcripts and notebooks beside their lessons, and KaTeX's stylesheet and fonts."""
    state.modules, problems = course.load(ROOT)
    for problem in problems:
        log.warning(problem)
    for file in files:
        if file.src_uri.endswith((".ipynb", ".html", ".htm")):
            log.warning("docs/%s: notebook và HTML được sinh ra khi dựng, không đặt trong docs", file.src_uri)
    folders = {lesson_folder(lesson.page) for module in state.modules for lesson in module.lessons if lesson.page}
    published: set[Path] = set()
    for page in sorted(file.src_uri for file in files if file.src_uri.endswith(".md")):
        title = course.front_matter(Path(config.docs_dir) / page)[0].get("title", "")
        for tool in page_tools(page, config):
            if tool.exists():
                place = tool.relative_to(ROOT / "examples").as_posix()
                files.append(File.generated(config, place, abs_src_path=str(tool)))
            else:
                log.warning("docs/%s:1: không có công cụ %s", page, tool.name)
        for name, record in lesson_results(page, config).items() if lesson_folder(page) in folders else ():
            if not isinstance(record, records.Record) or "." in name:  # X.<machine> has the script of X
                continue
            if record.script not in published:
                published.add(record.script)
                publish(record, title, files, config)
    css = re.sub(
        r"(url\(fonts/[\w-]+\.woff2\) format\(\"woff2\"\))[^;}]*", r"\1", (KATEX / "katex.min.css").read_text("utf-8")
    )
    files.append(File.generated(config, "assets/katex/katex.min.css", content=css))
    for font in sorted((KATEX / "fonts").glob("*.woff2")):
        files.append(File.generated(config, f"assets/katex/fonts/{font.name}", abs_src_path=str(font)))
    return files


def publish(record: records.Record, title: str, files: Files, config: MkDocsConfig) -> None:
    """Add a workflow's script, transcript and notebook page to the site."""
    folder = record.script.parent.relative_to(ROOT / "examples").as_posix()
    transcript = records.paths_of(record.script)[1]
    for source, name in ((record.script, record.script.name), (transcript, transcript.name)):
        if source.exists():
            files.append(File.generated(config, f"{folder}/{name}", abs_src_path=str(source)))
    notebook = CACHE / "notebooks" / folder / f"{record.name}.ipynb"
    notebook.parent.mkdir(parents=True, exist_ok=True)
    notebook.write_text(notebooks.notebook_of(record, title), encoding="utf-8", newline="\n")
    # A plain File: mkdocs-jupyter's wrapper does not know generated ones.
    place = f"{folder}/{record.name}.ipynb"
    files.append(File(place, str(CACHE / "notebooks"), config.site_dir, config.use_directory_urls))


def lesson_folder(page: str) -> str:
    """`<module>/<lesson>` of a page below docs/, whether it is `<lesson>.md` or `<lesson>/<anything>.md`."""
    parts = page.removesuffix(".md").split("/")
    return "/".join(parts[:2])


def page_tools(page: str, config: MkDocsConfig) -> list[Path]:
    """The tools that a page's front matter names (`tools:`): files to take away, which have no record."""
    names = course.front_matter(Path(config.docs_dir) / page)[0].get("tools") or []
    return [ROOT / "examples" / lesson_folder(page) / name for name in names]


def lesson_results(page: str, config: MkDocsConfig) -> dict[str, records.Record | records.RecordError]:
    """The records that a page's front matter names, or why one cannot be read."""
    if not page:
        return {}
    found: dict[str, records.Record | records.RecordError] = {}
    entries = course.front_matter(Path(config.docs_dir) / page)[0].get("results") or []
    for entry in entries if isinstance(entries, list) else [entries]:
        folder, _, name = str(entry).rpartition("/")
        workflow, _, machine = name.partition(".")
        script = ROOT / "examples" / (folder or lesson_folder(page)) / f"{workflow}.py"
        try:
            found[name] = records.load(script, ROOT, machine)
        except records.RecordError as error:
            found[name] = error
    return found


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Compare the navigation with the course."""
    for problem in course.navigation_problems(state.modules, [page.file.src_uri for page in nav.pages]):
        log.warning(problem)
    return nav


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in and check a page; put the strip at its head."""
    if page.file.src_uri.endswith(".ipynb"):
        return markdown
    results = lesson_results(page.file.src_uri, config)
    text, first_line, results_line = "", 1, 1
    if page.file.abs_src_path:
        text = Path(page.file.abs_src_path).read_text(encoding="utf-8-sig").replace("\r\n", "\n")
        first_line += text.count("\n", 0, max(0, text.rfind(markdown)))
        results_line += text.count("\n", 0, max(0, text.find("\nresults:") + 1))
    lists = {
        "written": lambda: course.written_list(state.modules),
        "unwritten": lambda: course.unwritten_list(state.modules),
        "count": lambda: course.counts(state.modules),
    }
    done = pages.process(markdown, pages.Source(results, state.names, lists), first_line)
    for record in results.values():
        problems = [str(record)] if isinstance(record, records.RecordError) else record.problems
        done.problems += [(results_line, problem) for problem in problems]
    for line, tex, display in done.formulas:
        try:
            state.renderer.render(tex, display)
        except FormulaError as error:
            done.problems.append((line, f"công thức sai: {error}"))
    for number, line in enumerate(text.split("\n")[: first_line - 1], 1):
        fact, _, value = line.partition(":")
        if fact in ("title", "description") and pages.has_digit(value, state.names):
            done.problems.append((number, f"chữ số gõ tay trong {fact}"))
    for line, problem in sorted(done.problems):
        log.warning("docs/%s:%d: %s", page.file.src_uri, line, problem)
    state.pages[page.file.src_uri] = Checked(markdown, first_line, done)
    if not page.meta.get("number"):
        return done.markdown
    # A record of another size has the script, and so the place in the strip, of the script's own.
    shown = [record for record in results.values() if isinstance(record, records.Record) and not record.size]
    minutes = strip.reading_minutes(markdown)
    place = page.file.src_uri
    tools = [tool for tool in page_tools(place, config) if tool.exists()]
    head = strip.strip(str(page.meta["number"]), minutes, shown, tools, place, lesson_folder(place))
    return f"{head}\n\n{done.markdown}"


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Check what a reader will see; keep formulas out of the search index; trim what a notebook page brings."""
    if page.file.src_uri.endswith(".ipynb"):
        content = re.sub(r"<(style|script)\b.*?</\1>", "", content, flags=re.DOTALL)
        # Each cell's code comes twice, once for a copy button that does not work without the scripts.
        content = re.sub(r'<div class="clipboard-copy-txt".*?</div>', "", content, flags=re.DOTALL)
        return content.replace('class="highlight-ipynb', 'class="highlight')
    checked = state.pages[page.file.src_uri]
    reader = rendered.read(content, state.names)
    told = {line for line, _ in checked.found.problems}
    for snippet, message in reader.problems:
        line = rendered.line_of(snippet, checked.markdown, checked.first_line)
        if line not in told:
            log.warning("docs/%s:%d: %s", page.file.src_uri, line, message)
    shown = [tex.strip()[2:-2].strip() for tex in reader.formulas]
    for line, tex, _ in checked.found.formulas:
        problem = f"không được nhận ra là công thức: «{tex}»"
        if tex in shown:
            at = shown.index(tex)
            problem = "tiêu đề không được chứa công thức" if reader.in_heading[at] else ""
            shown[at] = ""  # each is met once
        if problem and line not in told:
            log.warning("docs/%s:%d: %s", page.file.src_uri, line, problem)
    return content.replace(' class="arithmatex">', ' class="arithmatex" data-search-exclude>')


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Put the rendered formulas in, after the search plugin has read the page."""

    def formula(match: re.Match[str]) -> str:
        display = match["open"] == "["
        try:
            shown = state.renderer.render(html.unescape(match["tex"]).strip(), display)
        except FormulaError:  # told with its line when the source was checked
            return match[0]
        focus = ' tabindex="0"' if display else ""
        return f'<{match["tag"]} class="arithmatex"{focus}>{shown}</{match["tag"]}>'

    return MATH.sub(formula, output)


def on_post_build(config: MkDocsConfig) -> None:
    """Keep what KaTeX rendered; in a strict build, follow every link and anchor of the built site."""
    state.renderer.close()
    if config.strict:
        for problem in links.broken(Path(config.site_dir)):
            log.warning(problem)
