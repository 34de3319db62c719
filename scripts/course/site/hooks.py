"""MkDocs adapter: hands pages, formulas and files to the modules beside this one, and reports what they refuse.

Every refusal is a warning with file and line: `mkdocs serve` shows it, `mkdocs build --strict` fails on it.
"""

from __future__ import annotations

import html
import json
import logging
import os
import posixpath
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from course import ROOT
from course import catalog as course
from course.catalog import lesson_folder
from course.node import ensure_node_modules
from course.pages import changelog, glossary, strip
from course.pages import lists as course_lists
from course.pages import notebook as notebooks
from course.pages import refusals as rendered
from course.pages import syntax as pages
from course.pages.formulas import FormulaError, Renderer
from course.records import cells as sections
from course.records import record as records
from course.records import record_book
from course.site import links, redirects, social_cards, stylesheets
from course.site import theme as theme_html
from course.site.rebuild import digest, memory, states
from course.site.search import index as search_index
from course.text import DEV, slugify

log = logging.getLogger("mkdocs.hooks.course")
KATEX = ROOT / "node_modules/katex/dist"
# Of the theme: its own search worker with the languages that it knows, and source maps. Nothing asks for them.
UNUSED = re.compile(r"assets/javascripts/(lunr|workers)/|assets/.*\.map$")
MATH = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">'
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

    basis: str  # digest of what every page is made of
    made_of: dict[str, str]  # page -> digest of what it is made of
    recalled: dict[
        str, dict[str, Any]
    ]  # pages that are as an earlier build of this `serve` left them
    warned: dict[
        str, int
    ]  # warnings before a page was read; once it has its HTML, how many came of it
    stylesheet: str
    cards: set[Path]  # pictures that shared links show
    modules: list[course.Module]
    root: Path
    catalog: course.Catalog
    terms: list[glossary.Term]
    words: glossary.Words
    names: list[str]
    terms_on: dict[str, set[str]]
    related: dict[str, list[tuple[str, list[str]]]]
    renderer: Renderer
    book: dict[str, Any]
    pages: dict[str, Checked]


state = State()


def on_startup(command: str, dirty: bool) -> None:
    """Under `serve`, remember pages from one build to the next."""
    memory.on = command == "serve"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Slugs that know Vietnamese; the npm part; no version selector outside mike's deployments."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify
    config.extra["deployed"] = os.environ.get("MIKE_DOCS_VERSION", "")
    if not config.extra["deployed"]:
        config.extra.pop("version", None)
    # mike's plugin ends it with the canonical version's name, without a slash.
    config.site_url = f"{(config.site_url or '').rstrip('/')}/"
    # A version's own address, for what lies only there; the canonical one is that of the newest.
    own = config.extra["deployed"]
    config.extra["own_url"] = urljoin(config.site_url, f"../{own}/") if own else config.site_url
    if not config.repo_url:
        config.edit_uri = ""
    state.root = Path(config.config_file_path).resolve().parent
    state.catalog = course.load(state.root)
    state.modules = state.catalog.modules
    config.nav = state.catalog.navigation()
    state.book = record_book.book(state.root)
    verified = record_book.verified_line(state.book["verified"])
    shown = " · ".join(
        filter(None, [release_name(config), verified and f"kiểm chứng với {verified}"])
    )
    config.copyright = "<br>".join(filter(None, [config.copyright, shown]))
    try:
        ensure_node_modules()
        state.renderer = Renderer(state.root / ".cache" / "formulas.json")
    except RuntimeError as error:
        raise PluginError(str(error)) from error
    converters = "-".join(metadata.version(name) for name in ("mkdocs-jupyter", "nbconvert"))
    config.plugins["mkdocs-jupyter"].config["cache_dir"] = str(
        state.root / ".cache" / f"notebook-pages-{converters}"
    )
    state.terms, state.names = glossary.load(state.root)
    state.words = glossary.Words(state.terms)
    state.pages, state.made_of, state.recalled, state.warned, state.cards = {}, {}, {}, {}, set()
    memory.rendered = []
    return config


def release_name(config: MkDocsConfig) -> str:
    """What a reader is told of the deployed version; empty in a plain build."""
    deployed = config.extra["deployed"]
    return {"": "", DEV: "Bản đang viết"}.get(deployed, f"Bản {html.escape(deployed)}")


@event_priority(100)  # before mkdocs-jupyter, which has to meet the notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Publish scripts, transcripts and notebooks beside their lessons, and KaTeX's stylesheet and fonts."""
    for problem in state.catalog.problems:
        log.warning(problem)
    for file in list(files):
        if UNUSED.match(file.src_uri):
            files.remove(file)
        if file.src_uri.endswith((".ipynb", ".html", ".htm")):
            log.warning(
                "docs/%s: notebook và HTML được sinh ra khi dựng, không đặt trong docs",
                file.src_uri,
            )
    folders = {
        lesson_folder(lesson.page)
        for module in state.modules
        for lesson in module.lessons
        if lesson.page
    }
    in_course = {place.page for module in state.modules for place in (module, *module.lessons)}
    published: set[Path] = set()
    facts = {
        file.src_uri: course.front_matter(Path(config.docs_dir) / file.src_uri)[0]
        for file in files
        if file.src_uri.endswith(".md")
    }
    # A notebook bears the title of a page that teaches its script, not of one that only quotes its numbers.
    for page in sorted(facts, key=lambda page: ("number" not in facts[page], page)):
        title = facts[page].get("title", "")
        for old in facts[page].get("old") or () if page not in in_course else ():
            lead(str(old).strip("/"), page, files, config)
        for tool in page_tools(page, config):
            if tool.exists():
                place = tool.relative_to(state.root / "examples").as_posix()
                files.append(File.generated(config, place, abs_src_path=str(tool)))
            else:
                log.warning("docs/%s:1: không có công cụ %s", page, tool.name)
        for name, record in (
            lesson_results(page, config).items() if lesson_folder(page) in folders else ()
        ):
            if (
                not isinstance(record, records.Record) or "." in name
            ):  # X.<machine> has the script of X
                continue
            if record.script not in published:
                published.add(record.script)
                publish(record, title, files, config)
    for old, target in state.catalog.old_addresses().items():
        lead(old, target, files, config)
    book = json.dumps(state.book, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    files.append(File.generated(config, "records.json", content=book))
    for font in sorted((KATEX / "fonts").glob("*.woff2")):
        files.append(
            File.generated(config, f"assets/katex/fonts/{font.name}", abs_src_path=str(font))
        )
    for path, script in search_index.SCRIPTS.items():
        files.append(File.generated(config, path, abs_src_path=str(script)))
    one_stylesheet(files, config)
    return files


def one_stylesheet(files: Files, config: MkDocsConfig) -> None:
    """Put the theme's stylesheets, KaTeX's and the course's into one file; `config.extra.stylesheet` is its path."""
    katex = (KATEX / "katex.min.css").read_text(encoding="utf-8")
    katex = re.sub(
        r"(url\(fonts/[\w-]+\.woff2\) format\(\"woff2\"\))[^;}]*", r"\1", katex
    )  # other formats: no reader
    theme = [
        file
        for file in files
        if re.fullmatch(r"assets/stylesheets/(main|palette)\.\w+\.min\.css", file.src_uri)
    ]
    own = [file for path in config.extra_css if (file := files.get_file_from_path(path))]
    sheets = {
        file.src_uri: file.content_string for file in sorted(theme, key=lambda file: file.src_uri)
    }
    sheets |= {"assets/katex/katex.min.css": katex} | {
        file.src_uri: file.content_string for file in own
    }
    css = stylesheets.join(sheets, whole={file.src_uri for file in own})
    for file in (*theme, *own):
        files.remove(file)
    state.stylesheet = config.extra["stylesheet"] = stylesheets.name_of(css)
    config.extra_css = []
    files.append(File.generated(config, state.stylesheet, content=css))


def lead(old: str, target: str, files: Files, config: MkDocsConfig) -> None:
    """Add the pages that answer an old address and lead to `target`, a page below docs/ with or without an anchor."""
    place, _, anchor = target.partition("#")
    found = files.get_file_from_path(place)
    if found is None:
        log.warning("course.yml: địa chỉ cũ %s dẫn tới %s, không có trang ấy", old, place)
        return
    address = found.url + (f"#{anchor}" if anchor else "")
    if any(file.url == f"{old}/" for file in files.documentation_pages()):
        log.warning("docs/%s: địa chỉ cũ %s là địa chỉ của một trang đang có", place, old)
        return
    for name in redirects.files_of(old, is_folder="/" not in old):
        files.append(File.generated(config, name, content=redirects.page(name, address)))


def publish(record: records.Record, title: str, files: Files, config: MkDocsConfig) -> None:
    """Add a workflow's script, transcript and notebook page to the site."""
    folder = record.script.parent.relative_to(state.root / "examples").as_posix()
    transcript = records.paths_of(record.script)[1]
    for source, name in ((record.script, record.script.name), (transcript, transcript.name)):
        if source.exists():
            files.append(File.generated(config, f"{folder}/{name}", abs_src_path=str(source)))
    notebook = state.root / ".cache" / "notebooks" / folder / f"{record.name}.ipynb"
    notebook.parent.mkdir(parents=True, exist_ok=True)
    notebook.write_text(notebooks.notebook_of(record, title), encoding="utf-8", newline="\n")
    # A plain File: mkdocs-jupyter's wrapper does not know generated ones.
    place = f"{folder}/{record.name}.ipynb"
    files.append(
        File(
            place,
            str(state.root / ".cache" / "notebooks"),
            config.site_dir,
            config.use_directory_urls,
        )
    )


def page_tools(page: str, config: MkDocsConfig) -> list[Path]:
    """The tools that a page's front matter names (`tools:`): files to take away, which have no record."""
    names = course.front_matter(Path(config.docs_dir) / page)[0].get("tools") or []
    return [state.root / "examples" / lesson_folder(page) / name for name in names]


def lesson_results(
    page: str, config: MkDocsConfig
) -> dict[str, records.Record | records.RecordError]:
    """The records that a page's front matter names, or why one cannot be read."""
    if not page:
        return {}
    found: dict[str, records.Record | records.RecordError] = {}
    entries = course.front_matter(Path(config.docs_dir) / page)[0].get("results") or []
    for entry in entries if isinstance(entries, list) else [entries]:
        folder, _, name = str(entry).rpartition("/")
        workflow, _, machine = name.partition(".")
        script = state.root / "examples" / (folder or lesson_folder(page)) / f"{workflow}.py"
        try:
            found[name] = records.load(script, state.root, machine)
        except records.RecordError as error:
            found[name] = error
    return found


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Compare the navigation with the course; find what stands near each page of a lesson."""
    order = [page.file.src_uri for page in nav.pages if page.file.src_uri.endswith(".md")]
    folders = {
        lesson_folder(lesson.page)
        for module in state.modules
        for lesson in module.lessons
        if lesson.page
    }
    lessons = [page for page in order if lesson_folder(page) in folders]
    texts = {
        page: (Path(config.docs_dir) / page).read_text(encoding="utf-8-sig") for page in lessons
    }
    terms = state.terms_on = {page: state.words.on(text) for page, text in texts.items()}
    following = dict(zip(lessons, [*lessons[1:], ""], strict=True))
    state.related = course_lists.related(terms, following)
    shared = [
        state.root / "mkdocs.yml",
        *(state.root / "overrides").rglob("*"),
        *(state.root / "scripts/data").rglob("*"),
    ]
    shared += [state.root / name for name in (*records.REQUIREMENTS, records.MODELS)]
    titles = [course.front_matter(Path(config.docs_dir) / page)[0] for page in order]
    places = sorted(file.src_uri for file in files)
    state.basis = digest(
        states(shared),
        titles,
        places,
        state.stylesheet,
        config.site_url,
        config.repo_url,
        config.copyright,
    )
    return nav


def sources_of(page: Page, config: MkDocsConfig, texts: dict[str, Callable[[], str]]) -> str:
    """Digest of what a page is made of; `texts`: see course_texts."""
    place = page.file.src_uri
    source = page.file.content_string
    if place.endswith(".ipynb"):  # made anew from its script and record by each build
        return digest(state.basis, source)
    used = [texts[name]() for name in re.findall(r"\[\[course:(\w+)\]\]", source) if name in texts]
    beside = [*page_tools(place, config)]
    for record in lesson_results(place, config).values():
        if isinstance(record, records.Record):
            beside += [
                record.script,
                *records.paths_of(record.script, record.size),
                *records.tools_of(record.script),
            ]
        else:
            used.append(str(record))
    return digest(state.basis, source, used, states(beside), state.related.get(place))


def cost_of(lesson: course.Lesson, config: MkDocsConfig) -> course_lists.Cost:
    """What a written lesson takes."""
    page = Path(config.docs_dir) / lesson.page
    found = [
        record
        for record in lesson_results(lesson.page, config).values()
        if isinstance(record, records.Record)
    ]
    seconds = sum(record.data["provenance"]["wall_seconds"] for record in found)
    beside = len(list(page.parent.glob("*.md"))) - 1 if page.name == "index.md" else 0
    return course_lists.Cost(
        strip.reading_minutes(page.read_text(encoding="utf-8")), seconds, beside
    )


def term_places(config: MkDocsConfig) -> dict[str, tuple[str, str]]:
    """Where each term is met: the lesson that needs it first, or while that is not written a page that uses it."""
    lines = {
        lesson.number: (module.page, lesson)
        for module in state.modules
        for lesson in module.lessons
    }
    found = {}
    for term in state.terms:
        module, lesson = lines.get(term.first, (course.PORTAL, course.Lesson(term.first, "")))
        used = next((page for page, terms in state.terms_on.items() if term.vi in terms), "")
        if lesson.page or not used:
            found[term.vi] = (f"bài {term.first}", lesson.page or f"{module}#{lesson.anchor}")
        else:
            found[term.vi] = (
                str(course.front_matter(Path(config.docs_dir) / used)[0].get("title", used)),
                used,
            )
    return found


def changelog_text() -> str:
    """Markdown of what is new in each version."""
    try:
        return changelog.page(changelog.load(state.root))
    except changelog.ChangelogError as error:
        log.warning(str(error))
        return ""


def course_texts(page: str, config: MkDocsConfig) -> dict[str, Callable[[], str]]:
    """What `[[course:NAME]]` stands for on a page."""

    def cost(lesson: course.Lesson) -> course_lists.Cost:
        return cost_of(lesson, config)

    def here(text: str) -> str:  # the lists name pages from docs/; a page links from its own folder
        folder = posixpath.dirname(page)
        return re.sub(
            r"\]\(([\w/-]+\.md)", lambda link: f"]({posixpath.relpath(link[1], folder)}", text
        )

    texts = {
        "written": lambda: course_lists.starting_points(state.modules, cost),
        "modules": lambda: course_lists.modules_list(state.modules),
        "count": lambda: course_lists.counts(state.modules),
        "glossary": lambda: glossary.page(state.terms, term_places(config)),
        "changelog": changelog_text,
        "verified": lambda: (
            f'<span class="verified">{record_book.verified_line(state.book["verified"])}</span>'
        ),
    }
    for module in state.modules:
        if module.page == page:
            texts["lessons"] = lambda module=module: course_lists.lessons_list(module, cost)
            texts["hours"] = lambda module=module: course_lists.hours_line(module, cost)
    return {name: lambda text=text: here(text()) for name, text in texts.items()}


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in and check a page; put the strip at its head."""
    place = page.file.src_uri
    if place.endswith(".ipynb"):
        page.meta["search"] = {
            "exclude": True
        }  # it repeats a script whose parts stand, explained, in the lesson
    texts = {} if place.endswith(".ipynb") else course_texts(place, config)
    state.made_of[place] = sources_of(page, config, texts) if memory.on else ""
    if facts := memory.recall(place, state.made_of[place]):
        recall(page, facts)
        return markdown
    state.warned[place] = memory.warnings
    if place.endswith(".ipynb"):
        describe_notebook(page, config)
        return markdown
    results = lesson_results(place, config)
    text, first_line, results_line = "", 1, 1
    if page.file.abs_src_path:
        text = Path(page.file.abs_src_path).read_text(encoding="utf-8-sig").replace("\r\n", "\n")
        first_line += text.count("\n", 0, max(0, text.rfind(markdown)))
        results_line += text.count("\n", 0, max(0, text.find("\nresults:") + 1))
    done = pages.process(markdown, pages.Source(results, state.names, texts), first_line)
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
        log.warning("docs/%s:%d: %s", place, line, problem)
    state.pages[place] = Checked(markdown, first_line, done)
    if not page.meta.get("number") or place not in state.related:
        return done.markdown
    # A record of another size has the script, and so the place in the strip, of the script's own.
    shown = [
        record
        for record in results.values()
        if isinstance(record, records.Record) and not record.size
    ]
    minutes = strip.reading_minutes(markdown)
    tools = [tool for tool in page_tools(place, config) if tool.exists()]
    head = strip.strip(str(page.meta["number"]), minutes, shown, tools, place, lesson_folder(place))
    return f"{head}\n\n{done.markdown}\n\n{related_pages(place, config)}"


def describe_notebook(page: Page, config: MkDocsConfig) -> None:
    """A notebook page comes from a script: that is where its title and description stand, and where it is edited."""
    script = f"{page.file.src_uri.removesuffix('.ipynb')}.py"
    summary = (
        sections.docstring_of(records.read(state.root / "examples" / script))
        .partition("\n")[0]
        .rstrip(".")
    )
    page.meta["title"] = html.escape(summary)
    page.meta["description"] = (
        f"Notebook làm từ {posixpath.basename(script)} và bản ghi của nó: {page.meta['title']}."
    )
    if page.edit_url:
        page.edit_url = page.edit_url.replace(f"docs/{page.file.src_uri}", f"examples/{script}")


def recall(page: Page, facts: dict[str, Any]) -> None:
    """Let a page be what an earlier build made of it, its links checked anew against the other pages."""

    def render(config: MkDocsConfig, files: Files) -> None:
        page.content, page.toc = facts["content"], facts["toc"]
        page.present_anchor_ids = facts["anchors"]
        linked = (
            (files.get_file_from_path(place), links) for place, links in facts["links"].items()
        )
        page.links_to_anchors = {file: links for file, links in linked if file}

    state.recalled[page.file.src_uri] = facts
    page.render = render
    page.meta["template"] = "remembered.html"
    page.remembered = facts["output"]


def related_pages(page: str, config: MkDocsConfig) -> str:
    """Markdown of the foot of a lesson's page: what stands near it, and why."""
    rows = []
    for other, shared in state.related[page]:
        title = course.front_matter(Path(config.docs_dir) / other)[0].get("title", other)
        why = f" <small>cùng nói về {', '.join(shared)}</small>" if shared else ""
        rows.append(f"- [{title}]({posixpath.relpath(other, posixpath.dirname(page))}){why}")
    head = (
        '<div class="related" markdown data-search-exclude>\n\n**Trang gần đây**{: .related-title }'
    )
    return head + "\n\n" + "\n".join(rows) + "\n\n</div>"


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Check what a reader will see; draw the picture of the page's link."""
    place = page.file.src_uri
    draw_card(page, config)
    if place in state.recalled:
        return content
    content = (
        notebooks.page(content)
        if place.endswith(".ipynb")
        else checked_content(content, page, files)
    )
    state.warned[place] = memory.warnings - state.warned[place]
    return content


def draw_card(page: Page, config: MkDocsConfig) -> None:
    """The picture that a shared link to the page shows; the templates find its address in the page's facts."""
    number = f"Bài {page.meta['number']}" if page.meta.get("number") else ""
    title = page.meta.get("title") or page.title or config.site_name
    card = social_cards.card(str(title), number, config.site_name, state.root / ".cache" / "social")
    page.meta["card"] = f"assets/social/{card.name}"
    state.cards.add(card)


def checked_content(content: str, page: Page, files: Files) -> str:
    """HTML of a page with its words linked; what is wrong with it is told."""
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
    if page.file.src_uri in state.related:
        content = state.words.link(
            content, get_relative_url(files.get_file_from_path(glossary.PAGE).url, page.url)
        )
    return content


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Put the rendered formulas in, after the search plugin has read the page; mend what the theme wrote."""
    if page.file.src_uri in state.recalled:
        return output

    def formula(match: re.Match[str]) -> str:
        display = match["open"] == "["
        try:
            shown = state.renderer.render(html.unescape(match["tex"]).strip(), display)
        except FormulaError:  # told with its line when the source was checked
            return match[0]
        focus = ' tabindex="0"' if display else ""
        return f'<{match["tag"]} class="arithmatex"{focus}>{shown}</{match["tag"]}>'

    try:
        output = theme_html.mend(MATH.sub(formula, output))
    except theme_html.ThemeChanged as error:
        raise PluginError(str(error)) from error
    if not state.warned[page.file.src_uri]:
        links = {file.src_uri: anchors for file, anchors in (page.links_to_anchors or {}).items()}
        facts = {
            "content": page.content,
            "toc": page.toc,
            "anchors": page.present_anchor_ids,
            "links": links,
        }
        memory.keep(
            page.file.src_uri, state.made_of[page.file.src_uri], {**facts, "output": output}
        )
    return output


def on_post_template(output: str, template_name: str, config: MkDocsConfig) -> str:
    """Mend the page for addresses that do not exist, too."""
    return theme_html.mend(output) if template_name == "404.html" else output


def on_post_build(config: MkDocsConfig) -> None:
    """Keep what KaTeX rendered; make the search small; in a strict build, follow every link and anchor."""
    state.renderer.close()
    site = Path(config.site_dir)
    search_index.write(site, state.terms, state.root, inline="material/offline" in config.plugins)
    (site / "assets/social").mkdir(parents=True, exist_ok=True)
    for card in state.cards:
        shutil.copyfile(card, site / "assets/social" / card.name)
    if memory.on:
        log.info(
            "dựng lại %d trang, %d trang giữ nguyên", len(memory.rendered), len(state.recalled)
        )
    else:
        try:
            stylesheets.purge(site, state.stylesheet)
        except RuntimeError as error:
            raise PluginError(str(error)) from error
    if config.strict:
        for problem in links.broken(site, urlsplit(config.site_url or "").path):
            log.warning(problem)
