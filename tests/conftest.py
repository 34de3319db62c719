"""What tests share: the real site, built once for all workers, a browser for it, a tiny course."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from filelock import FileLock

from browser import FLAGS, find_browser, install_browser
from course.records.record import experiments
from course.records.renew import SETUP_CHECKERS, has_checkers
from static_server import served
from tiny_course import Project, make_tiny

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "https://code.example.org/khoa-hoc"

# MkDocs reads it when it is imported, here and in child processes.
os.environ["NO_MKDOCS_2_WARNING"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all",
        action="store_true",
        help="everything: every experiment at full size against its record, all cases",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "all_only: runs only with --all")
    # Set here, before there are workers, so that all of them collect the same sample.
    os.environ.setdefault("COURSE_SAMPLE_DATE", date.today().isoformat())


def pytest_report_header() -> list[str]:
    day = os.environ["COURSE_SAMPLE_DATE"]
    lines = [f"experiments: the sample of {day} (again: COURSE_SAMPLE_DATE={day})"]
    left = [script.stem for script in experiments(ROOT) if not has_checkers(script, ROOT)]
    if left:
        lines.append(f"not run here: {', '.join(left)} (first: {SETUP_CHECKERS})")
    return lines


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without `--all`, leave out what only that runs."""
    if config.getoption("--all"):
        return
    kept = []
    left_out = []
    for item in items:
        if item.get_closest_marker("all_only"):
            left_out.append(item)
        else:
            kept.append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


def environment(**more: str) -> dict[str, str]:
    """The environment of child processes: UTF-8, offline; an address of the repository, for the
    links that edit a page.

    Threads that wait sleep instead of spinning: tests run side by side, and the spinning takes the
    others' cores.
    """
    own = {
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUTF8": "1",
        "PYTHONPATH": str(ROOT / "scripts"),
        "HF_HUB_OFFLINE": "1",
        "REPO_URL": REPOSITORY,
    }
    return {**os.environ, **own, **more}


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of this run see."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def site(shared_folder: Path) -> Path:
    """The site, strictly built by the first worker that asks; COURSE_SITE names a ready one."""
    if "COURSE_SITE" in os.environ:
        return Path(os.environ["COURSE_SITE"]).resolve()
    folder = shared_folder / "site"
    failure = shared_folder / "site.txt"  # what a worker before this one was told; empty: all well
    with FileLock(shared_folder / "site.lock"):
        if not failure.exists():
            command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
            done = subprocess.run(
                command, cwd=ROOT, env=environment(), capture_output=True, encoding="utf-8"
            )
            said = done.stdout + done.stderr
            failure.write_text(said if done.returncode else "", encoding="utf-8")
    said = failure.read_text(encoding="utf-8")
    assert said == "", said
    return folder


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Address of a plain static server of the site, without the last slash."""
    with served(site) as home:
        yield home


@pytest.fixture(scope="session")
def browser(shared_folder: Path):
    """Headless Chromium, driven by Playwright; installed where there is none."""
    from playwright.sync_api import sync_playwright

    with FileLock(shared_folder / "browser.lock"):
        path = find_browser() or install_browser()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(path), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build of the tiny course leaves for the next one: formulas, notebooks, pictures."""
    course = make_tiny(tmp_path_factory.mktemp("tiny") / "course")
    assert course.build() == []
    return course.root / ".cache"


@pytest.fixture
def tiny(tmp_path: Path, tiny_cache: Path) -> Project:
    """The tiny course, for one test to damage."""
    course = make_tiny(tmp_path / "tiny")
    shutil.copytree(tiny_cache, course.root / ".cache")
    return course


@pytest.fixture
def many(request: pytest.FixtureRequest):
    """Settings of so many random cases, a quarter of them without `--all`: the same cases on every
    run, however slow the machine.
    """
    from hypothesis import HealthCheck, settings

    share = 1 if request.config.getoption("--all") else 4

    def cases(count: int) -> settings:
        return settings(
            max_examples=count // share,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )

    return cases
