"""One page between its source and its HTML: filled in, checked, with its head and its foot. Knows
no MkDocs.
"""

from __future__ import annotations

import os
import posixpath
import re
from functools import partial

from course.catalog import Module, lesson_folder
from course.pages import changelog, glossary, lists, refusals
from course.pages.course import Course
from course.pages.formulas import FormulaError
from course.pages.references import Source
from course.pages.strip import reading_minutes, scripts_at_foot, title_line
from course.pages.syntax import CheckedPage, process
from course.text import Refusal

# What `[[course:NAME]]` may ask for; the last two only on a module's own page.
LISTS = ["written", "modules", "count", "glossary", "changelog", "verified", "clone", "report"]
LISTS += ["lessons", "hours"]
REPOSITORY = "REPO_URL"  # the variable with the address of the repository
FOOTNOTES = "///Footnotes Go Here///"  # where Markdown puts the footnotes; else at the very end
SOURCE = re.compile(r"^\[\^[^\]]+\]:", re.MULTILINE)  # a footnote's text
LINK_TO_PAGE = re.compile(r"\]\(([\w/-]+\.md)")
Problems = list[tuple[int, str]]  # line (1-based), one Vietnamese line for the author


def course_list(name: str, page: str, course: Course) -> str:
    """Markdown of the list that `[[course:NAME]]` asks for, its links as seen from `page`."""
    module = course.module_of(page)
    text = ""
    if module is not None:
        text = list_of_module(name, module, course)
    if not text:
        text = list_of_course(name, course)
    return relative_links(text, page)


def list_of_module(name: str, module: Module, course: Course) -> str:
    """A list that only a module's own page has; empty when it has none of that name."""
    if name == "lessons":
        return lists.lessons_list(module, course.cost)
    if name == "hours":
        return lists.hours_line(module, course.cost)
    return ""


def list_of_course(name: str, course: Course) -> str:
    """A list that any page may ask for."""
    modules = course.catalog.modules
    repository = os.environ.get(REPOSITORY, "")
    if name == "written":
        return lists.starting_points(modules, course.cost)
    if name == "modules":
        return lists.modules_list(modules)
    if name == "count":
        return lists.counts(modules)
    if name == "glossary":
        return glossary.glossary_page(course.terms, course.term_places())
    if name == "changelog":
        return changelog.changelog_page(changelog.load(course.root))
    if name == "verified":
        return f'<span class="verified">{course.verified_line()}</span>'
    if name == "clone":
        return lists.clone(repository)
    if name == "report":
        return lists.report(repository)
    raise Refusal(f"không có danh sách «{name}»")


def relative_links(text: str, page: str) -> str:
    """Lists name pages from docs/; a page links from its own folder."""
    folder = posixpath.dirname(page)
    return LINK_TO_PAGE.sub(lambda link: f"]({posixpath.relpath(link[1], folder)}", text)


def source_of(page: str, course: Course) -> Source:
    """What a page may draw from."""
    functions = {name: partial(course_list, name, page, course) for name in LISTS}
    recipes = {recipe.stem: recipe for recipe in course.recipes(page)}
    return Source(course.results(page), course.names, functions, recipes)


def check(page: str, markdown: str, course: Course) -> CheckedPage:
    """Fill in a page; everything that is wrong with its source is in `problems`."""
    text = course.path(page).read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    first_line = 1 + text.count("\n", 0, max(0, text.rfind(markdown)))
    checked = process(markdown, source_of(page, course), first_line)
    checked.problems += record_problems(page, text, course)
    checked.problems += formula_problems(checked, course)
    checked.problems += title_problems(text.split("\n")[: first_line - 1], course)
    checked.problems.sort()
    return checked


def record_problems(page: str, text: str, course: Course) -> Problems:
    """Records and recipes that the page names and that a strict build may not show."""
    line = 1 + text.count("\n", 0, text.find("\nexperiments:") + 1)
    found = []
    for record in course.results(page).values():
        if isinstance(record, Refusal):
            found.append((line, str(record)))
        else:
            found += [(line, problem) for problem in record.problems]
    for recipe in course.recipes(page):
        if not recipe.exists():
            found.append((line, f"không có script {recipe.relative_to(course.root).as_posix()}"))
    return found


def formula_problems(checked: CheckedPage, course: Course) -> Problems:
    """Formulas that KaTeX refuses."""
    found = []
    for line, tex, display in checked.formulas:
        try:
            course.renderer.render(tex, display)
        except FormulaError as error:
            found.append((line, f"công thức sai: {error}"))
    return found


def title_problems(front_matter: list[str], course: Course) -> Problems:
    """Digits in what readers see of the front matter."""
    found = []
    for number, line in enumerate(front_matter, 1):
        fact, _, value = line.partition(":")
        if fact in ("title", "description") and refusals.has_digit(value, course.names):
            found.append((number, f"chữ số gõ tay trong {fact}"))
    return found


def with_head_and_foot(page: str, markdown: str, filled: str, course: Course) -> str:
    """Markdown of a lesson's page: a line under its title, the page, its scripts, what stands near
    it, and where its old anchors lead.
    """
    if page not in course.related:
        return f"{filled}\n\n{moved_sections(page, course)}"
    shown = course.experiments(page)
    recipes = [recipe for recipe in course.recipes(page) if recipe.exists()]
    sources = FOOTNOTES if SOURCE.search(filled) else ""
    parts = [
        title_line(course.number(page), reading_minutes(markdown), shown),
        filled,
        sources,
        scripts_at_foot(recipes, shown, page, lesson_folder(page), course.root),
        related_pages(page, course),
        moved_sections(page, course),
    ]
    return "\n\n".join(part for part in parts if part)


def moved_sections(page: str, course: Course) -> str:
    """Markdown of a page's old anchors, each with a link to where its section stands now."""
    moved = course.facts(page).get("moved") or {}
    rows = []
    for old, target in moved.items():
        rows.append(f'<p id="{old}" markdown>Mục này nay ở [đây]({target}).</p>')
    if not rows:
        return ""
    opening = '<div class="moved" markdown data-search-exclude>'
    return "\n\n".join([opening, *rows, "</div>"])


def related_pages(page: str, course: Course) -> str:
    """Markdown of the foot of a lesson's page: what stands near it, and why."""
    rows = []
    for other, shared in course.related[page]:
        target = posixpath.relpath(other, posixpath.dirname(page))
        row = f"- [{course.title(other)}]({target})"
        if shared:
            row += f" <small>cùng nói về {', '.join(shared)}</small>"
        rows.append(row)
    opening = '<div class="related" markdown data-search-exclude>'
    title = "**Đọc tiếp**{: .related-title }"
    return "\n\n".join([opening, title, "\n".join(rows), "</div>"])


def rendered_problems(content: str, checked: CheckedPage, course: Course) -> Problems:
    """What a reader would see that may not be there; the last guard, after Markdown.

    A line that the check of the source already refused is not told twice.
    """
    reader = refusals.read(content, course.names)
    told = {line for line, _ in checked.problems}
    found = []
    for snippet, message in reader.problems:
        line = refusals.line_of(snippet, checked.source, checked.first_line)
        if line not in told:
            found.append((line, message))
    shown = [tex.strip()[2:-2].strip() for tex in reader.formulas]
    for line, tex, _ in checked.formulas:
        problem = f"không được nhận ra là công thức: «{tex}»"
        if tex in shown:
            place = shown.index(tex)
            problem = "tiêu đề không được chứa công thức" if reader.in_heading[place] else ""
            shown[place] = ""  # each is met once
        if problem and line not in told:
            found.append((line, problem))
    return found
