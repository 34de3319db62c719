"""Releases: refused or whole, older versions for ever as they were, old pages that lead on, in git and in a browser.

A tiny project stands in for the course: what is tested here is the release, which knows nothing of the pages' content.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

from conftest import ROOT, environment
from course.pages import syntax as pages
from course.records import record_book
from course.versions import compare as compare_versions
from course.versions import moved_pages
from course.versions import release as releasing
from course.versions.branch import Published, Refusal, commit_of, git
from static_server import served

pytestmark = pytest.mark.xdist_group("releases")

BASE = "/ten-du-an/"
SITE_URL = f"https://example.org{BASE}"
MKDOCS = """
site_name: Dự án nhỏ
site_url: !ENV [SITE_URL, "http://127.0.0.1:8000/"]
strict: !ENV [DOCS_STRICT, false]
theme: {name: material, custom_dir: overrides, language: vi, font: false}
hooks: [hook.py]
plugins: [search, {mike: {alias_type: copy, canonical_version: latest}}]
extra: {version: {provider: mike, default: [latest, dev], alias: false}}
"""
HOOK = """
import os

def on_config(config):
    config.extra["deployed"] = os.environ.get("MIKE_DOCS_VERSION", "")
    config.copyright = f"Bản {config.extra['deployed']}"
"""


def records_of(torch: str, **values: object) -> str:
    """A records.json with one record."""
    record = {
        "python": "3.11.7",
        "pins": {"torch": torch},
        "date": "2026-01-31",
        "values": {"exit_code": 0, **values},
    }
    records = {"module/lesson/save": record}
    return json.dumps({"schema": 1, "verified": record_book.verified(records), "records": records})


def blocks(*names: str) -> list[str]:
    """These blocks of the course's main template."""
    template = (ROOT / "overrides/main.html").read_text(encoding="utf-8")
    return [
        re.search(rf"{{% block {name} %}}.*?{{% endblock %}}\n", template, re.DOTALL)[0]
        for name in names
    ]


@dataclass
class Tiny:
    """A small project in a git repository of its own, with the branch of its versions."""

    root: Path

    def git(self, *words: str) -> str:
        """Run git in it."""
        return git(self.root, *words, **self.hermetic())

    def hermetic(self) -> dict[str, str]:
        """Nothing of the machine's own git: no settings, no identity."""
        home = str(self.root.parent)
        return {
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    def run(self, script: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts behind dev.py on it."""
        return subprocess.run(
            self.command(script, *words), env=self.env(**env), capture_output=True, encoding="utf-8"
        )

    def command(self, script: str, *words: str) -> list[str]:
        """The command line of a script on this project."""
        return [sys.executable, str(ROOT / "scripts" / script), *words, "--root", str(self.root)]

    def env(self, **more: str) -> dict[str, str]:
        """The environment of a script."""
        dropped = ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "MIKE_DOCS_VERSION", "DOCS_STRICT")
        kept = {name: value for name, value in environment().items() if name not in dropped}
        temporary = str(self.root.parent)  # where a killed release leaves what it had begun
        return {**kept, **self.hermetic(), "SITE_URL": SITE_URL, "TMPDIR": temporary, **more}

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")

    def commit(self, version: str = "", tested: bool = True) -> None:
        """Commit everything, with a changelog entry for a version, and leave the stamp of the tests."""
        if version:
            file = self.root / "scripts/data/changelog.yml"
            old = file.read_text(encoding="utf-8") if file.exists() else ""
            entry = f'- version: "{version}"\n  date: 2026-01-31\n  changes: ["Một điều."]\n'
            self.write("scripts/data/changelog.yml", entry + old)
        self.git("add", "-A")
        self.git("commit", "--quiet", "--allow-empty", "-m", version or "change")
        if tested:
            self.write(releasing.TESTED, self.git("rev-parse", "HEAD^{tree}"))

    def release(self, version: str, *words: str, **env: str) -> None:
        """Release, and see it done."""
        done = self.run("release.py", version, *words, **env)
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def branch(self) -> str:
        """Commit of the branch; empty when there is none."""
        return commit_of(self.root, "refs/heads/gh-pages")

    def published(self) -> Published:
        """The branch as it is."""
        return Published(self.root, self.branch)

    def unpack(self, folder: Path) -> Path:
        """Lay the branch out in a folder, as a host of static files does."""
        data = subprocess.run(
            ["git", "archive", "gh-pages"], cwd=self.root, capture_output=True, check=True
        ).stdout
        with tarfile.open(fileobj=BytesIO(data)) as archive:
            archive.extractall(folder, filter="data")
        return folder


@pytest.fixture(scope="session")
def first(tmp_path_factory) -> Tiny:
    """A project with one release, 1.0, and a bare repository as its remote."""
    folder = tmp_path_factory.mktemp("releases")
    tiny = Tiny(folder / "project")
    tiny.write("mkdocs.yml", MKDOCS)
    tiny.write("hook.py", HOOK)
    tiny.write(".gitignore", ".cache\nsite\n__pycache__\n")
    partials = ("overrides/partials/javascripts/outdated.html", "overrides/partials/copyright.html")
    for path in (*partials, "overrides/partials/copy.js", "overrides/partials/versions.js"):
        tiny.write(path, (ROOT / path).read_text(encoding="utf-8"))
    tiny.write(
        "overrides/main.html",
        '{% extends "base.html" %}\n' + "".join(blocks("announce", "outdated", "scripts")),
    )
    tiny.write("docs/index.md", "# Trang chủ\n\nXin chào.\n")
    tiny.write("docs/steady.md", "# Trang đứng yên\n\n## Mục\n\nChữ ban đầu: kỳ lân.\n")
    tiny.write("docs/lesson/index.md", "# Bài\n\nBài học.\n")
    tiny.write("docs/lesson/notebook.md", "# Sổ tay\n\nSổ tay.\n")
    tiny.write("docs/temporary.md", "# Trang tạm\n\nSẽ bị gỡ.\n")
    tiny.write(
        "docs/records.json",
        records_of(
            "2.0", **{"exact.size": 1, "exact.gone": 2, "approx.r": {"value": 0.5, "rel": 0.1}}
        ),
    )
    tiny.git("init", "--quiet", "--initial-branch=main", str(tiny.root))
    tiny.git("config", "user.name", "Người thử")
    tiny.git("config", "user.email", "thu@example.org")
    tiny.git("init", "--quiet", "--bare", str(folder / "origin.git"))
    tiny.git("remote", "add", "origin", (folder / "origin.git").as_uri())
    tiny.commit("1.0")
    tiny.release("1.0", "--push")
    return tiny


@pytest.fixture(scope="session")
def tiny(first, tmp_path_factory) -> Tiny:
    """Three releases: a page renamed, then renamed again with its folder's pages; one changed, one removed."""
    three = Tiny(tmp_path_factory.mktemp("three") / "project")
    shutil.copytree(first.root, three.root)
    three.git("remote", "remove", "origin")
    three.git("mv", "docs/lesson", "docs/second")
    three.write("docs/second/index.md", "---\nold: [lesson]\n---\n\n# Bài\n\nBài học.\n")
    three.write("docs/steady.md", "# Trang đứng yên\n\n## Mục\n\nChữ về sau: phượng hoàng.\n")
    three.write(
        "docs/records.json",
        records_of(
            "2.1", **{"exact.size": 3, "exact.new": 2, "approx.r": {"value": 0.51, "rel": 0.1}}
        ),
    )
    three.commit("1.1")
    three.release("1.1")
    three.git("mv", "docs/second", "docs/third")
    three.write("docs/third/index.md", "---\nold: [second]\n---\n\n# Bài\n\nBài học.\n")
    three.git("rm", "--quiet", "docs/temporary.md")
    three.commit("1.2")
    three.release("1.2")
    return three


@pytest.fixture
def copy(tiny, tmp_path) -> Tiny:
    """A copy of the project with three releases, that a test may damage."""
    shutil.copytree(tiny.root, tmp_path / "project")
    return Tiny(tmp_path / "project")


@pytest.fixture(scope="session")
def plain(tiny, tmp_path_factory) -> Iterator[str]:
    """Address of the versions under a sub-path of a plain static server."""
    folder = tmp_path_factory.mktemp("www")
    tiny.unpack(folder / BASE.strip("/"))
    with served(folder) as address:
        yield address + BASE


@pytest.fixture(scope="session")
def hosted(tiny) -> Iterator[str]:
    """Address of `versions serve`: as on a host that shows 404.html."""
    command = [*tiny.command("versions.py", "serve", "--port", "0", "--base", BASE)]
    with subprocess.Popen(
        command, env=tiny.env(), stdout=subprocess.PIPE, encoding="utf-8"
    ) as server:
        yield re.search(r"http://\S+", server.stdout.readline())[0]
        server.terminate()


# What a release leaves


def test_a_release_is_one_commit_with_its_manifest(tiny):
    assert tiny.git("log", "--format=%s", "gh-pages").splitlines() == [
        "Release 1.2",
        "Release 1.1",
        "Release 1.0",
    ]
    manifest = tiny.published().data("manifests/1.2.json")
    assert manifest["commit"] == tiny.git("rev-parse", "HEAD")
    assert manifest["verified"]["torch"] == ["2.1"]
    data = subprocess.run(
        ["git", "show", "gh-pages:1.2/steady/index.html"], cwd=tiny.root, capture_output=True
    ).stdout
    assert manifest["files"]["steady/index.html"] == hashlib.sha256(data).hexdigest()
    listing = tiny.git("ls-tree", "-r", "--name-only", "gh-pages:1.2").splitlines()
    assert sorted(manifest["files"]) == sorted(listing)
    assert [entry["aliases"] for entry in tiny.published().listed()] == [["latest"], [], []]


def test_latest_is_a_whole_copy_without_links(tiny):
    assert tiny.published().tree("latest") == tiny.published().tree("1.2")
    assert not [
        row
        for row in tiny.git("ls-tree", "-r", "gh-pages").splitlines()
        if row.startswith("120000")
    ]


def test_every_byte_of_older_versions_stays(copy):
    before = copy.published()
    copy.commit("1.0.1")
    copy.release("1.0.1")  # of an older line: the newest stays the default
    assert copy.published().tree("latest") == before.tree("1.2")
    mike = [shutil.which("mike", path=str(Path(sys.executable).parent))]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for words in (
        ["alias", "--update-aliases", "1.1", "stable"],
        ["delete", "1.0.1"],
        ["delete", "1.1"],
    ):
        subprocess.run(
            [*mike, *words], cwd=copy.root, env=copy.env(PATH=path), check=True, capture_output=True
        )
    copy.commit("1.3")
    copy.release("1.3")
    after = copy.published()
    assert after.tree("1.0") == before.tree("1.0")
    assert after.tree("1.2") == before.tree("1.2")
    assert after.tree("latest") == after.tree("1.3")
    done = copy.run("versions.py", "verify")
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stdout.splitlines()[:-1]] == ["1.0.1", "1.1"]


def test_verify_names_what_was_altered(copy, tiny):
    assert tiny.run("versions.py", "verify").returncode == 0
    index = {"GIT_INDEX_FILE": str(copy.root / ".git/test-index")}
    git(copy.root, "read-tree", "gh-pages", **index)
    blob = git(copy.root, "hash-object", "-w", "--stdin", data=b"x")
    for path in ("1.0/steady/index.html", "1.1/added.txt", "latest/index.html"):
        git(copy.root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", **index)
    git(copy.root, "update-index", "--force-remove", "1.2/records.json", **index)
    tree = git(copy.root, "write-tree", **index)
    copy.git(
        "update-ref",
        "refs/heads/gh-pages",
        copy.git("commit-tree", "-p", "gh-pages", "-m", "x", tree),
    )
    done = copy.run("versions.py", "verify")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "1.0: steady/index.html đã bị sửa",
        "1.1: added.txt không có trong bản kê",
        "1.2: records.json đã mất",
    ]
    assert lines[3].startswith("latest: ")


def test_versions_are_listed_with_what_they_were_verified_with(tiny):
    lines = tiny.run("versions.py").stdout.splitlines()
    assert [line.split(" · ")[0] for line in lines] == ["1.2", "1.1", "1.0"]
    assert "latest" in lines[0]
    assert "Python 3.11.7, torch 2.0, chạy ngày 31.1.2026" in lines[2]


def test_compared_versions_become_a_page(tiny):
    done = tiny.run("compare_versions.py", "1.0", "1.1")
    assert done.returncode == 0, done.stderr
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in done.stdout.splitlines()
        if row[:3] == "| `"
    ]
    assert rows == [
        ["`approx.r`", "đổi, trong sai số", "`0.5`", "`0.51`"],
        ["`exact.gone`", "bỏ", "`2`", "–"],
        ["`exact.new`", "thêm", "–", "`2`"],
        ["`exact.size`", "đổi", "`1`", "`3`"],
    ]
    assert "`torch 2.0 → 2.1`" in done.stdout
    long = [{"exact.names": [*range(99), last]} for last in (1, 2)]
    told = compare_versions.differences(*long)[0]
    assert (told[2][-8:], told[3][-8:]) == (" 98, 1]`", " 98, 2]`")
    assert len(told[2]) < 100
    body = done.stdout.partition("---\n\n")[2]
    assert pages.process(body, pages.Source({}, [])).problems == []
    assert tiny.run("compare_versions.py", "1.1", "1.2").stdout.count("| `") == 0
    unknown = tiny.run("compare_versions.py", "1.0", "7.7")
    assert (unknown.returncode, len(unknown.stderr.splitlines())) == (2, 1)


# What is refused


def refused(tiny: Tiny, version: str, *words: str, code: int = 2, **env: str) -> str:
    """The one line of a refusal, after which nothing has changed."""
    before = (tiny.branch, tiny.git("for-each-ref"), tiny.git("status", "--porcelain"))
    done = tiny.run("release.py", version, *words, **env)
    assert done.returncode == code, done.stdout + done.stderr
    assert (tiny.branch, tiny.git("for-each-ref"), tiny.git("status", "--porcelain")) == before
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("Lỗi: ")
    return lines[0]


@pytest.mark.parametrize(
    "name", ["1", "v1.3", "1.3.0.0", "01.3", "1.x", "latest", "../1.3", "1.3 ", "", "1.2", "1.2.0"]
)
def test_bad_or_taken_names_are_refused(tiny, name):
    assert "phát hành" in refused(tiny, name) or "phiên bản" in refused(tiny, name)


def test_a_tree_that_is_not_ready_is_refused(copy):
    assert "changelog.yml chưa có mục của 1.3" in refused(copy, "1.3")
    copy.write("docs/index.md", "# Khác\n")
    assert "chưa commit" in refused(copy, "1.3")
    copy.commit("1.3", tested=False)
    assert "dev.py test" in refused(copy, "1.3")
    copy.write("examples/module/lesson/save.py", '"""Lưu."""\n')
    copy.commit()
    assert "chưa có bản ghi examples/module/lesson/results/save.json" in refused(copy, "1.3")


def test_a_place_that_is_not_ready_is_refused(copy, tmp_path):
    copy.commit("1.3")
    assert "git remote add origin" in refused(copy, "1.3", "--push")
    copy.git("remote", "add", "origin", (tmp_path / "nowhere.git").as_uri())
    assert "không hỏi được origin" in refused(copy, "1.3")
    copy.git("config", "--unset", "user.email")
    assert "user.email" in refused(copy, "1.3")
    assert "git" in refused(copy, "1.3", PATH=str(tmp_path))
    lonely = Tiny(tmp_path / "lonely")
    lonely.root.mkdir()
    done = lonely.run("release.py", "1.0", GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "không phải kho git" in done.stderr


def test_a_warning_stops_the_release_and_is_shown(copy):
    copy.write("docs/index.md", "# Trang chủ\n\n[x](missing.md)\n")
    copy.commit("1.3")
    before = copy.branch
    done = copy.run("release.py", "1.3")
    assert done.returncode == 1
    assert "missing.md" in done.stderr
    assert copy.branch == before


def test_a_dry_run_shows_everything_and_changes_nothing(copy):
    copy.write("docs/fourth.md", "---\nold: [steady]\n---\n\n# Bốn\n")
    copy.git("rm", "--quiet", "docs/steady.md")
    copy.commit("1.3", tested=False)
    before = (copy.git("for-each-ref"), copy.git("status", "--porcelain", "--ignored"))
    done = copy.run("release.py", "--dry-run", "1.3")
    assert done.returncode == 2
    assert "Sẽ bị từ chối: cây này chưa qua kiểm thử" in done.stderr
    assert "đổi địa chỉ: steady/ → fourth/" in done.stdout
    assert (copy.git("for-each-ref"), copy.git("status", "--porcelain", "--ignored")) == before


# Interrupted, or two at once


def kill_at(copy: Tiny, tmp_path: Path, moment: str) -> None:
    """Release with a git that kills the release before or after the branch is moved."""
    real, shim = shutil.which("git"), tmp_path / "shim/git"
    shim.parent.mkdir()
    step = "kill -9 $PPID" if moment == "before" else f'"{real}" "$@"; kill -9 $PPID'
    shim.write_text(
        f'#!/bin/sh\nif [ "$1 $2" = "update-ref -m" ]; then {step}; exit; fi\nexec "{real}" "$@"\n'
    )
    shim.chmod(0o755)
    done = copy.run("release.py", "1.3", PATH=f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == -signal.SIGKILL


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_where_it_counts_the_branch_is_before_or_after(copy, tmp_path, moment):
    copy.commit("1.3")
    before = copy.branch
    kill_at(copy, tmp_path, moment)
    assert (copy.branch == before) == (moment == "before")
    assert copy.run("versions.py", "verify").returncode == 0
    assert ("1.3" in copy.published().releases()) == (moment == "after")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_killed_at_random_nothing_is_lost(copy):
    copy.commit("1.3")
    before, chance = copy.branch, random.Random(0)
    for _ in range(5):
        job = subprocess.Popen(
            copy.command("release.py", "1.3"),
            env=copy.env(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            job.wait(timeout=chance.uniform(0.1, 2.5))
        except subprocess.TimeoutExpired:
            os.killpg(job.pid, chance.choice([signal.SIGKILL, signal.SIGTERM]))
            job.wait()
        if copy.branch != before:
            break
    assert copy.run("versions.py", "verify").returncode == 0
    if copy.branch == before:
        copy.release("1.3")
    assert copy.run("versions.py", "verify").returncode == 0
    assert copy.published().releases()[0] == "1.3"


def test_what_would_change_an_older_version_or_comes_second_is_refused(
    copy, first, tmp_path, monkeypatch
):
    for name, value in copy.env().items():
        monkeypatch.setenv(name, value)
    origin = tmp_path / "origin.git"
    copy.git("clone", "--quiet", "--bare", str(copy.root), str(origin))
    copy.git("remote", "add", "origin", str(origin))
    copy.commit("1.3")
    mine = releasing.prepare(copy.root, "1.3", remote=True)
    assert not mine.doubts
    with releasing.borrowed(mine) as clone:
        made = releasing.make(clone, mine)
        for path in ("1.0/index.html", "manifests/1.1.json"):
            spoilt = releasing.write(clone, made.commit, {path: "x"})
            with pytest.raises(Refusal, match="của bản cũ"):
                releasing.guard(clone, mine, replace(made, commit=spoilt))
        releasing.guard(clone, mine, made)
        # meanwhile, elsewhere: first at the remote, then here
        other = copy.git(
            "commit-tree", "-p", mine.base, "-m", "Release 1.4", f"{mine.base}^{{tree}}"
        )
        copy.git("push", "--quiet", "origin", f"{other}:refs/heads/gh-pages")
        with pytest.raises(Refusal, match="origin không nhận"):
            releasing.publish(clone, mine, made, push=True)
        assert copy.branch == mine.base
        copy.git("update-ref", "refs/heads/gh-pages", other)
        with pytest.raises(Refusal, match="vừa đổi trong lúc phát hành"):
            releasing.publish(clone, mine, made, push=False)
    assert copy.branch == git(origin, "rev-parse", "gh-pages") == other


def test_a_shallow_clone_without_the_branch_adds_to_it(first, tmp_path):
    """What a runner has: one commit of one branch, a detached HEAD, an identity in the environment alone."""
    origin = tmp_path / "origin.git"
    shutil.copytree(first.root.parent / "origin.git", origin)
    first.git("push", "--quiet", str(origin), "main")
    runner = Tiny(tmp_path / "runner")
    first.git("clone", "--quiet", "--depth=1", "--branch=main", origin.as_uri(), str(runner.root))
    runner.git("checkout", "--quiet", "--detach")
    who = {"GIT_COMMITTER_NAME": "bot", "GIT_COMMITTER_EMAIL": "bot@example.org"}
    refused(runner, "--dev", "--push", SITE_URL="http://127.0.0.1:8000/", **who)
    runner.release("--dev", "--push", **who)
    there = Published(origin, commit_of(origin, "gh-pages"))
    assert git(origin, "log", "--format=%s", "gh-pages").splitlines() == [
        "Deploy dev",
        "Release 1.0",
    ]
    assert there.tree("1.0") == first.published().tree("1.0")
    assert there.tree("latest") == there.tree("1.0")
    assert "Đây là bản đang viết" in there.text("dev/index.html")
    assert runner.run("versions.py", "verify").returncode == 0


# What readers meet


def test_an_old_page_says_so_and_leads_to_the_same_page(browser, plain):
    tab = browser.new_page(viewport={"width": 1440, "height": 900})
    problems = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    banner = tab.locator("[data-md-component=outdated]")
    for start, end in (
        ("1.0/steady/#muc", "latest/steady/#muc"),
        ("1.1/steady/", "latest/steady/"),
        ("1.0/", "latest/"),
        ("1.0/lesson/", "latest/third/"),  # moved twice
        ("1.0/lesson/notebook/", "latest/third/notebook/"),  # with its folder
        ("1.1/second/index.html", "latest/third/"),
        ("1.0/temporary/", "latest/"),  # gone
    ):
        tab.goto(plain + start)
        link = banner.locator(f"a[href='{plain}{end}']")
        link.wait_for()
        link.click()
        tab.wait_for_url(plain + end)
        tab.locator(".md-version__current", has_text="1.2").wait_for()
        assert not banner.is_visible()
    assert problems == []
    tab.close()


def test_the_selector_keeps_the_page(browser, plain):
    tab = browser.new_page(viewport={"width": 1440, "height": 900})
    tab.goto(f"{plain}latest/steady/")
    tab.get_by_role("button", name="Chọn phiên bản: 1.2", exact=True).focus()
    with tab.expect_navigation():
        tab.locator(".md-version__link", has_text="1.0").click()
    assert tab.url == f"{plain}1.0/steady/"
    assert tab.get_by_text("kỳ lân").is_visible()
    tab.close()


@pytest.mark.parametrize(
    ("version", "word", "other"),
    [("1.0", "kỳ lân", "phượng hoàng"), ("latest", "phượng hoàng", "kỳ lân")],
)
def test_search_stays_in_its_version(browser, plain, version, word, other):
    tab = browser.new_page(viewport={"width": 1440, "height": 900})
    tab.goto(f"{plain}{version}/")
    for words, count in ((word, 1), (other, 0)):
        box = tab.locator(".md-search__input")
        box.click()
        box.fill(words)
        box.press("End")  # the theme waits for a key
        tab.wait_for_function(
            """count => {
              const found = document.querySelectorAll(".md-search-result__item").length
              const told = document.querySelector(".md-search-result__meta").textContent
              return count ? found >= count : /Không/.test(told) && !found
            }""",
            arg=count,
        )
    tab.close()


def test_canonical_links_name_latest(tiny):
    for version in ("1.0", "1.2", "latest"):
        page = BeautifulSoup(tiny.published().text(f"{version}/steady/index.html"), "html.parser")
        assert page.select_one("link[rel=canonical]")["href"] == f"{SITE_URL}latest/steady/"


def test_old_addresses_answer_in_the_newest_version_without_a_host_that_helps(browser, plain):
    tab = browser.new_page()
    for start, end in (
        ("latest/second/#x", "latest/third/#x"),
        ("1.2/lesson/", "1.2/third/"),
        ("", "latest/"),
    ):
        tab.goto(plain + start)
        tab.wait_for_url(plain + end)
    tab.goto(f"{plain}latest/temporary/")
    tab.get_by_text("đọc trang ấy ở bản 1.1").click()
    tab.wait_for_url(f"{plain}1.1/temporary/")
    tab.close()
    bare = browser.new_context(java_script_enabled=False).new_page()
    bare.goto(f"{plain}latest/second/")
    bare.wait_for_url(f"{plain}latest/third/")
    bare.goto(f"{plain}1.0/steady/")
    assert bare.locator(".md-copyright", has_text="Bản 1.0").is_visible()
    bare.get_by_role("link", name="Đọc bản mới nhất").click()
    bare.wait_for_url(f"{plain}latest/")
    bare.context.close()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("steady/", "latest/steady/"),
        ("steady?q=1#muc", "latest/steady/?q=1#muc"),
        ("lesson/", "latest/third/"),
        ("lesson/notebook/", "latest/third/notebook/"),
        ("latest/lesson/notebook/", "latest/third/notebook/"),
    ],
)
def test_an_address_without_a_version_is_forwarded(browser, hosted, start, end):
    tab = browser.new_page()
    tab.goto(hosted + start)
    tab.wait_for_url(hosted + end)
    tab.close()


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ("nothing/at/all/", "Không bản nào"),
        ("temporary/", "bản 1.1"),
        ("1.0/third/", "bản mới nhất"),
        ("7.7/steady/", "bản mới nhất"),
        ("latest/nothing/", "Không bản nào"),
        ("%zz/", ""),
    ],
)
def test_what_is_nowhere_ends_in_a_helpful_page(browser, hosted, start, told):
    tab = browser.new_page()
    visited = []
    tab.on("framenavigated", lambda frame: visited.append(frame.url))
    tab.goto(hosted + start, wait_until="networkidle")
    assert visited == [hosted + start]
    assert tab.get_by_role("heading", name="Không có trang này").is_visible()
    if told:
        found = tab.locator("#found", has_text=told)
        found.wait_for()
        for link in found.locator("a").all():
            with urllib.request.urlopen(link.evaluate("link => link.href")) as answer:
                assert answer.status == 200
    assert tab.locator("li a[data-version='1.0']").get_attribute("href").endswith(f"{BASE}1.0/")
    tab.close()


def test_mike_serves_the_same(tiny):
    """`mike serve` reads the branch as it is: what a release adds is in its way nowhere."""
    handler = "import sys; from mike.commands import serve; serve(sys.argv[1], branch='gh-pages')"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-u", "-c", handler, f"127.0.0.1:{port}"]
    with subprocess.Popen(
        command, cwd=tiny.root, env=tiny.env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        server.stdout.readline()
        for path in ("", "1.0/steady/", "latest/third/", "latest/second/", "redirects.json"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
                assert answer.status == 200
        server.terminate()


# Where pages went


def history(*releases: tuple[str, dict[str, str]]) -> list[dict]:
    return [{"pages": ["", *pages.split()], "moved": moved} for pages, moved in releases]


def test_pages_are_followed_through_all_releases():
    chain = history(("a/", {}), ("b/", {"a/": "b/"}), ("c/", {"b/": "c/"}))
    assert moved_pages.redirects(chain) == {"a/": "c/", "b/": "c/"}
    quick = history(("a/", {}), ("c/", {"a/": "b/", "b/": "c/"}))
    assert moved_pages.redirects(quick) == {"a/": "c/", "b/": "c/"}
    again = history(("a/", {}), ("b/", {"a/": "b/"}), ("a/ b/", {"a/": "b/"}))
    assert moved_pages.redirects(again) == {}  # the address has a page again
    back = history(("a/", {}), ("b/", {"a/": "b/"}), ("a/", {"b/": "a/"}))
    assert moved_pages.redirects(back) == {"b/": "a/"}
    circle = history(("a/ b/", {}), ("c/", {"a/": "b/", "b/": "a/"}))
    assert moved_pages.redirects(circle) == {"a/": "", "b/": ""}
    late = history(("a/", {}), ("c/", {}), ("c/", {"a/": "c/"}))
    assert moved_pages.redirects(late) == {"a/": "c/"}
    folder = history(("l/ l/x/ l/y/", {}), ("m/ m/x/", {"l/": "m/"}))
    assert moved_pages.redirects(folder) == {"l/": "m/", "l/x/": "m/x/", "l/y/": ""}
    assert moved_pages.redirects([]) == {}


# The stamp, and what runs on GitHub


def test_only_a_whole_run_on_a_clean_tree_leaves_the_stamp(tmp_path, monkeypatch):
    import dev as entry

    tree, codes = ["a" * 40], []
    monkeypatch.setattr(entry, "TESTED", tmp_path / ".cache/tested-tree")
    monkeypatch.setattr(entry, "set_up", lambda **what: None)
    monkeypatch.setattr(entry, "committed_tree", lambda: tree.pop(0) if tree else "")
    monkeypatch.setattr(entry, "run", lambda *command, **env: codes.pop(0) if codes else 0)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def stamped(words: list[str], *trees: str, **env: str) -> bool:
        entry.TESTED.unlink(missing_ok=True)
        tree[:] = trees
        entry.test(None, words)
        return entry.TESTED.exists()

    assert not stamped(["-k", "x"], "a", "a")
    assert not stamped([], "", "")
    assert not stamped([], "a", "b")
    codes[:] = [0, 0, 1]
    with pytest.raises(entry.Stop):
        stamped([], "a", "a")
    assert not entry.TESTED.exists()
    monkeypatch.setenv("PYTEST_ADDOPTS", "-x")
    assert not stamped([], "a", "a")
    monkeypatch.delenv("PYTEST_ADDOPTS")
    assert stamped([], "a", "a")
    assert entry.TESTED.read_text(encoding="utf-8") == "a\n"


def test_the_tree_under_test_is_known_only_when_clean(copy, monkeypatch):
    import dev as entry

    monkeypatch.setattr(entry, "ROOT", copy.root)
    assert entry.committed_tree() == copy.git("rev-parse", "HEAD^{tree}")
    copy.write("docs/new.md", "x")
    assert entry.committed_tree() == ""
    monkeypatch.setenv("PATH", "")
    assert entry.committed_tree() == ""


def test_workflows_only_call_dev():
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            commands = [step["run"] for step in job["steps"] if "run" in step]
            assert commands
            assert all(command.startswith("python scripts/dev.py ") for command in commands)
