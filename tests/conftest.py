"""Fixtures: a copy of the project that a test may damage, the built site, a server for it, a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from browser import FLAGS, find_browser
from static_server import served

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "https://code.example.org/khoa-hoc"
NOWHERE = shutil.ignore_patterns("__pycache__", ".*_cache")
AT_THE_TOP = {".git", ".venv", "node_modules", "node_modules.lock", "site", ".cache"}


def left_out(folder: str, names: list[str]) -> set[str]:
    """What a copy of the project does without: of its top, what was made from the rest."""
    found = set(NOWHERE(folder, names))
    if Path(folder) == ROOT:
        found |= AT_THE_TOP & set(names)
    return found


@dataclass
class Project:
    """A copy of the project in a folder of its own."""

    root: Path

    def edit(self, path: str, old: str, new: str) -> int:
        """Replace the first `old` in a file by `new`; the line (1-based) where `old` began."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} no longer holds {old!r}: mend the test"
        file.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")
        return text.count("\n", 0, text.index(old)) + 1

    def build(self, *options: str) -> tuple[int, str]:
        """Exit code and output of a strict build."""
        command = [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--site-dir",
            str(self.root / "site"),
            *options,
        ]
        done = subprocess.run(
            command, cwd=self.root, env=environment(), capture_output=True, encoding="utf-8"
        )
        return done.returncode, done.stdout + done.stderr


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of what one script saved run in one worker (`--dist loadgroup`), so that it is saved once."""
    for item in items:
        if "saved" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group(item.callspec.params["saved"].stem))


def environment(**more: str) -> dict[str, str]:
    """The environment of child processes: UTF-8, offline, quiet; the address of a repository, for edit links.

    Threads that wait sleep instead of spinning: tests run side by side, and the spinning takes the others' cores.
    """
    own = {
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUTF8": "1",
        "HF_HUB_OFFLINE": "1",
        "NO_MKDOCS_2_WARNING": "1",
        "REPO_URL": REPOSITORY,
    }
    return {**os.environ, **own, **more}


def copy_project(target: Path) -> Project:
    """Copy what the project holds; node_modules is linked where the system allows it."""
    shutil.copytree(ROOT, target, ignore=left_out)
    try:
        (target / "node_modules").symlink_to(ROOT / "node_modules", target_is_directory=True)
    except OSError:
        shutil.copytree(ROOT / "node_modules", target / "node_modules")
    return Project(target)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy, strictly built."""
    copy = copy_project(tmp_path_factory.mktemp("site") / "project")
    code, output = copy.build()
    assert code == 0, output
    return copy


@pytest.fixture
def project(tmp_path: Path, built: Project) -> Project:
    """A fresh copy for one test, with what a build before it has cached, as an author's clone has it."""
    copy = copy_project(tmp_path / "project")
    shutil.copytree(built.root / ".cache", copy.root / ".cache")
    return copy


@pytest.fixture(scope="session")
def site(built: Project) -> Path:
    """The site, strictly built from a copy."""
    return built.root / "site"


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Address of a plain static server of the site, without the last slash."""
    with served(site) as home:
        yield home


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    path = find_browser()
    assert path, "no browser: `dev.py test` installs one"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(path), args=FLAGS)
        yield chromium
        chromium.close()
