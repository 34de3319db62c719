"""Releases: refused or whole, older versions for ever as they were, old pages that lead on.

A tiny project stands in for the course: a release knows nothing of what its pages say.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import ROOT
from course.records.record import write as write_record
from course.text import Refusal, digest
from course.versions.addresses import moved_addresses
from course.versions.branch import Published, commit_of, git
from course.versions.checks import TESTED
from course.versions.compare import compare_command, differences
from course.versions.release import release_command
from course.versions.status import list_command, verify_command
from static_server import QuietHandler, served

pytestmark = pytest.mark.xdist_group("releases")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and shell commands")

BASE = "/ten-du-an/"
SITE_URL = f"https://example.org{BASE}"
BRANCH = "refs/heads/gh-pages"
MKDOCS = """
site_name: Dự án nhỏ
site_url: !ENV SITE_URL
strict: !ENV [DOCS_STRICT, false]
theme: {name: material, custom_dir: overrides, language: vi, font: false}
hooks: [hook.py]
plugins: [{mike: {alias_type: copy, canonical_version: latest}}]
extra: {version: {provider: mike, default: [latest, dev], alias: false}}
"""
# MEANWHILE: what others do while a release is being built, as a shell command.
HOOK = """
import os, subprocess

def on_config(config):
    config.extra["deployed"] = os.environ.get("MIKE_DOCS_VERSION", "")

def on_post_build(config):
    if "MEANWHILE" in os.environ:
        subprocess.run(os.environ["MEANWHILE"], shell=True, check=True)
"""
SCRIPT = "examples/module/lesson/save.py"
EXPERIMENT = '"""Lưu."""\n\n# %%\nimport torch\n\nresults = {}\n'


@dataclass
class Tiny:
    """A small project in a git repository, with the branch of its versions, beside its remote."""

    root: Path

    def git(self, *words: str) -> str:
        return git(self.root, *words)

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")

    def record(self, torch: str, **results: object) -> None:
        """Leave a sealed record of the one experiment, made with this torch."""
        self.write("requirements-examples.txt", f"torch=={torch}\n")
        self.write(SCRIPT, EXPERIMENT)
        made = {"date": "2026-01-31", "python": "3.11.7", "pins": {"torch": torch}}
        made |= {"script_sha256": digest(EXPERIMENT), "cpu": "x", "threads": 1}
        made |= {"wall_seconds": 1, "peak_rss_mib": 1, "peak_disk_mib": 1}
        data = {"schema": 1, "command": "python save.py", "exit_code": 0, "provenance": made}
        write_record(self.root / SCRIPT, {**data, **results}, "", "")

    def commit(self, version: str = "", tested: bool = True) -> str:
        """Commit everything, with an entry of the changelog, and leave the stamp of the tests."""
        if version:
            entry = f'- version: "{version}"\n  date: 2026-01-31\n  changes: ["Một điều."]\n'
            self.write("scripts/data/changelog.yml", entry)
        self.git("add", "-A")
        self.git("commit", "--quiet", "--allow-empty", "-m", version or "change")
        if tested:
            self.write(TESTED, self.git("rev-parse", "HEAD^{tree}"))
        return self.git("rev-parse", "HEAD")

    def published(self) -> Published:
        return Published(self.root, commit_of(self.root, BRANCH))

    def checked_out(self, folder: Path) -> Tiny:
        """What was published, in a folder."""
        self.git("worktree", "add", "--quiet", "--detach", str(folder), "gh-pages")
        return Tiny(folder)


def state(tiny: Tiny) -> tuple[str, str]:
    """All that a release may not change when it is refused."""
    return tiny.git("for-each-ref"), tiny.git("status", "--porcelain", "--ignored")


def template() -> dict[str, str]:
    """What the course's own template says about versions, and the files that this includes."""
    overrides = ROOT / "overrides"
    main = (overrides / "main.html").read_text(encoding="utf-8")
    text = '{% extends "base.html" %}'
    for name in ("announce", "outdated", "scripts"):
        text += re.search(rf"{{% block {name} %}}.*?{{% endblock %}}", main, re.DOTALL)[0]
    files = {"overrides/main.html": text}
    partials = ["partials/javascripts/outdated.html", "partials/copyright.html"]
    for path in [*partials, *re.findall(r'{% include "([^"]+)"', text)]:
        files[f"overrides/{path}"] = (overrides / path).read_text(encoding="utf-8")
    return files


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """Nothing of the machine's own git: no settings, no identity; the tiny project's address."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
            patch.delenv(name, raising=False)
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("SITE_URL", SITE_URL)
        yield


@pytest.fixture(scope="module")
def tiny(environment, tmp_path_factory) -> Tiny:
    """Two releases: a page was renamed with its folder, one changed, one removed."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny = Tiny(folder / "project")
    files = {"mkdocs.yml": MKDOCS, "hook.py": HOOK, ".gitignore": ".cache\n__pycache__\n"}
    files |= template()
    files["docs/index.md"] = "# Trang chủ\n"
    files["docs/steady.md"] = "# Trang đứng yên\n\n## Mục\n\nChữ ban đầu.\n"
    files["docs/lesson/index.md"] = "# Bài\n"
    files["docs/lesson/notebook.md"] = "# Sổ tay\n"
    files["docs/temporary.md"] = "# Trang tạm\n"
    for path, text in files.items():
        tiny.write(path, text)
    ratio = {"r": {"value": 0.5, "rel": 0.1}}
    tiny.record("2.0", exact={"size": 1, "gone": 2}, approx=ratio, timing={"load": 1.5})
    git(folder, "init", "--quiet", "--initial-branch=main", "project")
    git(folder, "init", "--quiet", "--bare", "origin.git")
    tiny.git("config", "user.name", "Người thử")
    tiny.git("config", "user.email", "thu@example.org")
    tiny.git("remote", "add", "origin", "../origin.git")
    tiny.commit("1.0")
    assert release_command(tiny.root, "1.0", push=True) == 0
    tiny.git("mv", "docs/lesson", "docs/third")
    tiny.write("docs/third/index.md", "---\nold: [lesson]\n---\n\n# Bài\n")
    tiny.write("docs/steady.md", "# Trang đứng yên\n\n## Mục\n\nChữ về sau.\n")
    tiny.git("rm", "--quiet", "docs/temporary.md")
    ratio = {"r": {"value": 0.51, "rel": 0.1}}
    tiny.record("2.1", exact={"size": 3, "new": 2}, approx=ratio, timing={"load": 2.5})
    tiny.commit("1.1")
    assert release_command(tiny.root, "1.1", push=True) == 0
    return tiny


@pytest.fixture
def copy(tiny, tmp_path) -> Tiny:
    """A copy of the project and its remote, that a test may damage."""
    shutil.copytree(tiny.root.parent, tmp_path, dirs_exist_ok=True)
    return Tiny(tmp_path / "project")


# What a release leaves


def test_a_release_is_one_commit_with_its_manifest(tiny):
    subjects = tiny.git("log", "--format=%s", "gh-pages").splitlines()
    assert subjects == ["Release 1.1", "Release 1.0"]
    branch = tiny.published()
    manifest = branch.data("manifests/1.1.json")
    assert manifest["commit"] == tiny.git("rev-parse", "HEAD")
    assert manifest["verified"]["torch"] == ["2.1"]
    assert manifest["tree"] == branch.tree("1.1") == branch.tree("latest")
    assert branch.tree("1.0") == tiny.git("rev-parse", "gh-pages~1:1.0")
    assert [entry["aliases"] for entry in branch.listed()] == [["latest"], []]
    old_page = branch.text("1.0/steady/index.html")
    assert f'<link rel="canonical" href="{SITE_URL}latest/steady/">' in old_page
    # Without JavaScript too, an old page leads to the newest version, and an old address on.
    assert '<a href="../../latest/">Đọc bản mới nhất</a>' in old_page
    assert "url=../third/" in branch.text("latest/lesson/index.html")
    assert "url=latest/" in branch.text("index.html")


def test_a_correction_of_an_older_line_leaves_the_newest_where_it_is(copy):
    before = copy.published()
    copy.commit("1.0.1")
    assert release_command(copy.root, "1.0.1") == 0
    after = copy.published()
    assert after.releases() == ["1.1", "1.0.1", "1.0"]
    for folder in ("1.0", "1.1", "latest"):
        assert after.tree(folder) == before.tree(folder)


def test_verify_names_what_was_altered(copy, tmp_path, capsys):
    assert verify_command(copy.root) == 0
    spoilt = copy.checked_out(tmp_path / "branch")
    spoilt.write("1.0/steady/index.html", "x")
    spoilt.write("1.0/thêm.txt", "x")
    spoilt.git("rm", "-r", "--quiet", "1.0/sitemap.xml", "1.1")
    copy.git("update-ref", BRANCH, spoilt.commit(tested=False))
    capsys.readouterr()
    assert verify_command(copy.root) == 1
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines[:3]) == [
        "1.0: sitemap.xml đã mất",
        "1.0: steady/index.html đã bị sửa",
        "1.0: thêm.txt được thêm sau khi phát hành",
    ]
    assert lines[3].startswith("1.1: cả bản đã mất")


def test_versions_are_listed_with_what_they_were_verified_with(tiny, capsys):
    assert list_command(tiny.root) == 0
    newest, oldest = capsys.readouterr().out.splitlines()
    assert newest.startswith("1.1 · latest · phát hành ")
    assert "kiểm chứng với Python 3.11.7, torch 2.0, chạy ngày 31.1.2026" in oldest


def test_compared_versions_become_a_page(tiny, capsys):
    assert compare_command(tiny.root, "1.0", "1.1") == 0
    page = capsys.readouterr().out
    assert [line for line in page.splitlines() if line.startswith("| `")] == [
        "| `approx.r` | đổi, trong sai số | `0.5` | `0.51` |",
        "| `exact.gone` | bỏ | `2` | – |",
        "| `exact.new` | thêm | – | `2` |",
        "| `exact.size` | đổi | `1` | `3` |",
    ]
    assert "`torch 2.0 → 2.1`" in page
    compare_command(tiny.root, "latest")
    assert "không có gì đổi" in capsys.readouterr().out
    with pytest.raises(Refusal, match=r"các bản đã phát hành: 1\.1, 1\.0"):
        compare_command(tiny.root, "1.0", "7.7")


def test_of_a_long_value_the_place_is_shown_where_it_changed():
    change = differences({"names": [*range(99), 1]}, {"names": [*range(99), 2]})[0]
    assert change.old.endswith(" 98, 1]`")
    assert change.new.endswith(" 98, 2]`")
    assert len(change.old) < 100


# What is refused


def refusal(tiny: Tiny, version: str, **options: bool) -> str:
    """The line of a refusal, after which nothing has changed."""
    before = state(tiny)
    with pytest.raises(Refusal) as refused:
        release_command(tiny.root, version, **options)
    assert state(tiny) == before
    return str(refused.value)


@pytest.mark.parametrize("name", ["1", "v1.3", "01.3", "latest", "../1.3", "", "1.1", "1.1.0"])
def test_bad_or_taken_names_are_refused(tiny, name):
    assert re.search(r"phiên bản|bản 1\.1 đã phát hành", refusal(tiny, name))


def test_a_tree_that_is_not_ready_is_refused(copy):
    assert "changelog.yml chưa có mục của 1.3" in refusal(copy, "1.3")
    copy.write("docs/index.md", "# Khác\n")
    assert "chưa commit" in refusal(copy, "1.3")
    copy.commit("1.3", tested=False)
    assert "dev.py test --all" in refusal(copy, "1.3")
    copy.write(SCRIPT, EXPERIMENT + "# khác\n")
    copy.commit()
    assert "save.json đã cũ" in refusal(copy, "1.3")


def test_a_place_that_is_not_ready_is_refused(copy, tmp_path, monkeypatch):
    copy.git("remote", "set-url", "origin", "../nowhere.git")
    assert "không hỏi được origin" in refusal(copy, "1.3")
    copy.git("remote", "remove", "origin")
    assert "git remote add origin" in refusal(copy, "1.3", push=True)
    copy.git("config", "--unset", "user.email")
    assert "user.email" in refusal(copy, "1.3")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(Refusal, match="không phải kho git"):
        release_command(tmp_path, "1.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refusal, match="chưa có git"):
        release_command(copy.root, "1.3")


def test_a_warning_stops_the_release_and_is_shown(copy, capsys):
    copy.write("docs/index.md", "# Trang chủ\n\n[x](missing.md)\n")
    copy.commit("1.3")
    assert "chưa có gì thay đổi" in refusal(copy, "1.3")
    assert "missing.md" in capsys.readouterr().err


def test_a_dry_run_shows_everything_and_changes_nothing(copy, capsys):
    copy.write("docs/fourth.md", "---\nold: steady\n---\n\n# Bốn\n")
    copy.git("rm", "--quiet", "docs/steady.md", "docs/third/notebook.md")
    copy.commit("1.3", tested=False)
    before = state(copy)
    assert release_command(copy.root, "1.3", dry_run=True) == 2
    assert state(copy) == before
    told = capsys.readouterr()
    assert "Sẽ bị từ chối: cây này chưa qua" in told.err
    assert "đổi địa chỉ: steady/ → fourth/" in told.out
    assert "không còn: third/notebook/" in told.out
    assert "lesson/ →" not in told.out  # known since 1.1


# Interrupted, or two at once


@posix
@pytest.mark.parametrize(
    ("meanwhile", "push", "message"),
    [
        ("git update-ref {branch} {commit}", False, "đổi cả 1.0/index.html của bản cũ"),
        ("git -C {root} push --quiet origin {commit}:{branch}", True, "origin không nhận"),
        ("git -C {root} update-ref {branch} {commit}", False, "vừa đổi trong lúc phát hành"),
    ],
    ids=["an older version changed", "another release there", "another release here"],
)
def test_what_changes_meanwhile_stops_the_release(
    copy, tmp_path, monkeypatch, meanwhile, push, message
):
    copy.commit("1.3")
    spoilt = copy.checked_out(tmp_path / "branch")
    spoilt.write("1.0/index.html", "x")
    commit = spoilt.commit(tested=False)
    command = meanwhile.format(branch=BRANCH, commit=commit, root=copy.root)
    monkeypatch.setenv("MEANWHILE", command)
    with pytest.raises(Refusal, match=message):
        release_command(copy.root, "1.3", push=push)
    assert copy.published().releases() == ["1.1", "1.0"]


@posix
def test_killed_at_the_last_step_nothing_has_changed(copy, tmp_path):
    copy.commit("1.3")
    before = state(copy)
    git_that_kills = tmp_path / "bin/git"
    git_that_kills.parent.mkdir()
    git_that_kills.write_text(
        '#!/bin/sh\nif [ "$1 $2" = "update-ref -m" ]; then kill -9 $PPID; exit; fi\n'
        f'exec "{shutil.which("git")}" "$@"\n'
    )
    git_that_kills.chmod(0o755)
    program = "from pathlib import Path; from course.versions.release import release_command\n"
    program += "release_command(Path.cwd(), '1.3')"
    path = f"{git_that_kills.parent}{os.pathsep}{os.environ['PATH']}"
    more = {"PATH": path, "PYTHONPATH": str(ROOT / "scripts"), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=copy.root, env={**os.environ, **more})
    assert done.returncode == -signal.SIGKILL
    assert state(copy) == before
    assert verify_command(copy.root) == 0


def test_a_shallow_clone_without_the_branch_adds_to_it(copy, tmp_path, monkeypatch):
    """What a runner has: one commit, a detached HEAD, an identity in the environment alone."""
    origin = tmp_path / "origin.git"
    before = copy.published()
    copy.git("push", "--quiet", "origin", "main")
    runner = Tiny(tmp_path / "runner")
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=main", origin.as_uri(), "runner")
    runner.git("checkout", "--quiet", "--detach")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "bot")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "bot@example.org")
    monkeypatch.setenv("SITE_URL", "http://127.0.0.1:8000/")
    assert "SITE_URL" in refusal(runner, "", dev=True, push=True)
    monkeypatch.setenv("SITE_URL", SITE_URL)
    assert release_command(runner.root, "", dev=True, push=True) == 0
    after = Published(origin, commit_of(origin, BRANCH))
    assert git(origin, "log", "-1", "--format=%s %P", BRANCH) == f"Deploy dev {before.commit}"
    assert after.tree("1.0") == before.tree("1.0")
    assert "Đây là bản đang viết" in after.text("dev/index.html")
    assert verify_command(runner.root) == 0


# What readers meet


class HostHandler(QuietHandler):
    """A host of static files that shows the root's 404.html for what it does not have."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(Path(f"{self.directory}{BASE}404.html").read_bytes())


@pytest.fixture(scope="module")
def host(tiny, tmp_path_factory) -> Iterator[str]:
    """Address of the versions, under a sub-path."""
    folder = tmp_path_factory.mktemp("www")
    tiny.checked_out(folder / BASE.strip("/"))
    with served(folder, HostHandler) as address:
        yield address + BASE


def test_an_old_page_says_so_and_leads_to_where_the_page_is_now(browser, host):
    tab = browser.new_page(viewport={"width": 1440, "height": 900})
    errors = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    for start, end in (
        ("1.0/lesson/notebook/", "latest/third/notebook/"),  # with its folder
        ("1.0/steady/#muc", "latest/steady/#muc"),
    ):
        tab.goto(host + start)
        tab.get_by_role("link", name="Đọc trang này ở bản mới nhất").click()
        tab.wait_for_url(host + end)
        tab.get_by_role("button", name="Chọn phiên bản: 1.1", exact=True).wait_for()
        assert not tab.locator("[data-md-component=outdated]").is_visible()
    tab.get_by_role("button", name="Chọn phiên bản: 1.1", exact=True).focus()
    tab.locator(".md-version__link", has_text="1.0").click()
    tab.wait_for_url(f"{host}1.0/steady/#muc")  # the selector keeps the page
    tab.goto(f"{host}1.0/temporary/")
    tab.get_by_role("link", name="Đọc trang này ở bản mới nhất").click()
    tab.get_by_text("ở bản 1.0").click()  # gone: the last release with it
    tab.wait_for_url(f"{host}1.0/temporary/")
    assert errors == []
    tab.close()


def test_an_address_that_the_host_does_not_know(browser, host):
    """Without a version it leads to the newest one; else it says where there is such a page."""
    tab = browser.new_page()
    for start, end in (
        ("steady?q=1#muc", "latest/steady/?q=1#muc"),
        ("lesson/notebook.html", "latest/third/notebook/"),
        ("temporary/", "latest/temporary/"),
    ):
        tab.goto(host + start)
        tab.wait_for_url(host + end)
    for start, told in (
        ("nothing/at/all/", "Không bản nào"),
        ("latest/nothing/", "Không bản nào"),
        ("1.0/third/", "Địa chỉ này có ở: bản mới nhất"),
        ("7.7/steady/", "Địa chỉ này có ở: bản mới nhất, bản 1.0"),
    ):
        tab.goto(host + start)
        tab.locator("#found", has_text=re.compile(f"^{told}")).wait_for()
        assert tab.url == host + start
        for link in tab.locator("#found a, li a").all():
            assert tab.request.get(link.evaluate("link => link.href")).ok
    tab.close()


# Where pages went


def manifests(*releases: str) -> list[dict]:
    """`a/ b/ | x/>a/`: a release with the pages a/ and b/, the latter from x/."""
    found = []
    for release in releases:
        pages, _, moves = release.partition("|")
        moved = dict(move.split(">") for move in moves.split())
        found.append({"pages": ["", *pages.split()], "moved": moved})
    return found


@pytest.mark.parametrize(
    ("releases", "targets"),
    [
        ([], {}),
        (["a/", "b/ | a/>b/", "c/ | b/>c/"], {"a/": "c/", "b/": "c/"}),
        (["a/", "c/ | a/>b/ b/>c/"], {"a/": "c/", "b/": "c/"}),
        (["a/", "b/ | a/>b/", "a/ b/ | a/>b/"], {}),  # the address has a page again
        (["a/", "b/ | a/>b/", "a/ | b/>a/"], {"b/": "a/"}),
        (["a/ b/", "c/ | a/>b/ b/>a/"], {"a/": None, "b/": None}),  # round and round
        (["a/", "c/", "c/ | a/>c/"], {"a/": "c/"}),
        (["a/", "| a/>"], {"a/": ""}),  # to the portal
        (["l/ l/x/ l/y/", "m/ m/x/ | l/>m/"], {"l/": "m/", "l/x/": "m/x/", "l/y/": None}),
    ],
)
def test_pages_are_followed_through_all_releases(releases, targets):
    assert moved_addresses(manifests(*releases)) == targets
