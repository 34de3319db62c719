"""MkDocs adapter: hands pages, formulas and files to the modules beside this one, and reports what they refuse.

Every refusal is a warning with file and line: `mkdocs serve` shows it, `mkdocs build --strict` fails on it.
"""

from __future__ import annotations

import html
import logging
import os
import re
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


class State:
    """What one build needs in several events."""

    modules: list[course.Module]
    names: list[str]
    renderer: Renderer


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
    glossary = yaml.safe_load((ROOT / "scripts/data/glossary.yml").read_text(encoding="utf-8"))
    state.names = glossary["names"]
    return config


@event_priority(100)  # before mkdocs-jupyter, which has to meet the notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Publish scripts, transcripts and notebooks beside their lessons, and KaTeX's stylesheet and fonts."""
    state.modules, problems = course.load(ROOT)
    for problem in problems:
        log.warning(problem)
    names = [f"{module.number}" for module in state.modules]
    names += [lesson.number for module in state.modules for lesson in module.lessons]
    state.names = sorted({*state.names, *filter(None, names)}, key=len, reverse=True)
    for module in state.modules:
        for lesson in module.lessons:
            for record in lesson_results(lesson.page, config).values():
                if isinstance(record, records.Record):
                    publish(record, lesson.title, files, config)
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


def lesson_results(page: str, config: MkDocsConfig) -> dict[str, records.Record | records.RecordError]:
    """The records that a page's front matter names, or why one cannot be read."""
    if not page:
        return {}
    found: dict[str, records.Record | records.RecordError] = {}
    for entry in course.front_matter(Path(config.docs_dir) / page)[0].get("results") or []:
        folder, _, name = entry.rpartition("/")
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
    if not page.file.src_uri.endswith(".md"):
        return markdown
    name = f"docs/{page.file.src_uri}"
    results = lesson_results(page.file.src_uri, config)
    first_line = 1
    if page.file.abs_src_path:
        source = Path(page.file.abs_src_path).read_text(encoding="utf-8-sig").replace("\r\n", "\n")
        first_line += source.count("\n", 0, source.find(markdown)) if markdown in source else 0
    lists = {
        "written": lambda: course.written_list(state.modules),
        "unwritten": lambda: course.unwritten_list(state.modules),
        "count": lambda: course.counts(state.modules),
    }
    done = pages.process(markdown, pages.Source(results, state.names, lists), first_line)
    for line, tex, display in done.formulas:
        try:
            state.renderer.render(tex, display)
        except FormulaError as error:
            done.problems.append((line, f"công thức sai: {error}"))
    for fact in ("title", "description"):
        if pages.has_digit(str(page.meta.get(fact, "")), state.names):
            done.problems.append((1, f"chữ số gõ tay trong {fact}"))
    for line, problem in sorted(done.problems):
        log.warning("%s:%d: %s", name, line, problem)
    if not page.meta.get("number"):
        return done.markdown
    shown = [record for record in results.values() if isinstance(record, records.Record)]
    minutes = strip.reading_minutes(markdown)
    head = strip.strip(page.meta["number"], minutes, shown, page.file.src_uri, lesson_folder(page.file.src_uri))
    return f"{head}\n\n{done.markdown}"


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Keep formulas out of the search index; drop the stylesheets and scripts that a notebook page brings."""
    if page.file.src_uri.endswith(".ipynb"):
        content = re.sub(r"<(style|script)\b.*?</\1>", "", content, flags=re.DOTALL)
        # Each cell's code comes twice, once for a copy button that does not work without the scripts.
        content = re.sub(r'<div class="clipboard-copy-txt".*?</div>', "", content, flags=re.DOTALL)
        content = content.replace('class="highlight-ipynb', 'class="highlight')
    return content.replace(' class="arithmatex">', ' class="arithmatex" data-search-exclude>')


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Put the rendered formulas in, after the search plugin has read the page."""

    def rendered(match: re.Match[str]) -> str:
        display = match["open"] == "["
        try:
            formula = state.renderer.render(html.unescape(match["tex"]).strip(), display)
        except FormulaError as error:
            log.warning("docs/%s: công thức sai: %s", page.file.src_uri, error)
            return match[0]
        focus = ' tabindex="0"' if display else ""
        return f'<{match["tag"]} class="arithmatex"{focus}>{formula}</{match["tag"]}>'

    return MATH.sub(rendered, output)


def on_post_build(config: MkDocsConfig) -> None:
    """Keep what KaTeX rendered; in a strict build, follow every link and anchor of the built site."""
    state.renderer.close()
    if config.strict:
        for problem in links.broken(Path(config.site_dir)):
            log.warning(problem)
