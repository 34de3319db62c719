"""Release a version: build strictly, deploy with mike, and move the published branch in one step.

Everything happens in a temporary clone that uses this repository's objects. A release is one commit
on the branch and one compare-and-swap of the branch's name: whoever kills the process meets the
branch before it or after it, and of two releases at once the later one is refused. Before the swap,
the folders of older versions are compared: not a byte may differ.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from course.records import verified
from course.text import DEV, LATEST, Refusal, version_order
from course.versions.addresses import (
    Manifest,
    index_page,
    moved_addresses,
    moves_in,
    not_found_page,
    redirect_files,
)
from course.versions.branch import (
    BRANCH,
    MANIFESTS,
    GitError,
    Published,
    commit_of,
    files_below,
    git,
    git_environment,
    hash_of,
)
from course.versions.checks import FETCH_OBJECTS, REMOTE, Release, checked_name, prepared
from course.versions.compare import records_at

NO_COMMIT = "0" * 40  # git's name for a branch that is not there yet
LOCATION = re.compile(r"<loc>([^<]+)</loc>")
OWN_COMPUTER = re.compile(r"https?://(127\.|localhost|\[::1\])")


def release_command(
    root: Path, version: str, *, dev: bool = False, dry_run: bool = False, push: bool = False
) -> int:
    """Release a version, or with `dev` the one being written; 2 when a dry run would be refused."""
    release = prepared(root, checked_name(version, dev), push)
    if release.reasons and not dry_run:
        raise Refusal(release.reasons[0], 2)
    for reason in release.reasons:
        print(f"Sẽ bị từ chối: {reason}", file=sys.stderr)
    source = release.commit[:9]
    print(f"→ Dựng chặt {release.version} từ commit {source} trong một bản sao tạm", flush=True)
    with temporary_clone(release) as clone:
        built = build(clone, release)
        refuse_changes_of_older_versions(clone, release, built.commit)
        report(release, built)
        start = release.base[:9]
        if dry_run:
            start = start or "chưa có"
            print(f"Chạy thử: nhánh {BRANCH} sẽ đi từ {start} tới một commit mới. Chưa đổi gì.")
            return 2 if release.reasons else 0
        if push and OWN_COMPUTER.match(built.site):
            cure = "hãy đặt biến SITE_URL là địa chỉ thật trước khi đẩy lên"
            raise Refusal(f"site_url là {built.site}: {cure}.", 2)
        publish(clone, release, built.commit, push)
    print(f"Xong: nhánh {BRANCH} {start or '(mới)'} → {built.commit[:9]}.")
    print(next_step(root, push))
    return 0


# In a temporary clone


@contextmanager
def temporary_clone(release: Release) -> Iterator[Path]:
    """A repository with this one's objects: HEAD checked out, the branch at the release's base."""
    with tempfile.TemporaryDirectory(prefix="release-", ignore_cleanup_errors=True) as folder:
        clone = Path(folder) / "project"
        git(release.root, "init", "--quiet", "--template=", str(clone))
        objects = release.root / git(release.root, "rev-parse", "--git-path", "objects")
        alternates = clone / ".git/objects/info/alternates"
        alternates.parent.mkdir(parents=True, exist_ok=True)
        alternates.write_text(f"{objects.resolve().as_posix()}\n", encoding="utf-8", newline="\n")
        shallow = release.root / git(release.root, "rev-parse", "--git-path", "shallow")
        if shallow.exists():
            shutil.copy(shallow, clone / ".git/shallow")
        git(clone, "checkout", "--quiet", "--detach", release.commit)
        if release.base:
            git(clone, "update-ref", f"refs/heads/{BRANCH}", release.base)
        modules = release.root / "node_modules"
        if modules.is_dir():
            try:
                (clone / "node_modules").symlink_to(modules.resolve(), target_is_directory=True)
            except OSError:  # Windows without the right to make links
                shutil.copytree(modules, clone / "node_modules")
        yield clone


@dataclass
class Built:
    """What the temporary clone holds when all is done.

    `manifests`: of every release, the oldest first; `site`: the whole site's address, as pages say.
    """

    commit: str
    manifests: dict[str, Manifest]
    site: str


def build(clone: Path, release: Release) -> Built:
    """Deploy, add what old addresses and the branch's root need, and make one commit of it all."""
    deployed = Published(clone, deploy(clone, release))
    pages, site = sitemap_of(deployed, release.version)
    manifests = deployed.manifests()
    tree = deployed.commit
    files: dict[str, str] = {}
    if release.version != DEV:
        manifest = manifest_of(clone, release, pages)
        manifests = with_manifest(manifests, manifest)
        if release.is_newest:
            tree = tree_with(clone, tree, missing_redirects(deployed, release.version, manifests))
        manifest["tree"] = hash_of(clone, f"{tree}:{release.version}")
        files[f"{MANIFESTS}/{release.version}.json"] = as_json(manifest)
    files |= root_files(deployed, site, manifests)
    commit = one_commit(clone, release, tree_with(clone, tree, files))
    return Built(commit, manifests, site)


def deploy(clone: Path, release: Release) -> str:
    """Build strictly and let mike commit the version; the commit's hash."""
    tools = Path(sys.executable).parent
    mike = shutil.which("mike", path=str(tools))
    if mike is None:
        raise Refusal(f"không thấy mike trong {tools}: hãy chạy dev.py setup.", 2)
    command = [mike, "deploy", "--branch", BRANCH, "--allow-empty"]
    # Whole copies: links are not followed on every host.
    command += ["--update-aliases", "--alias-type", "copy", release.version]
    if release.is_newest:
        command.append(LATEST)
    environment = git_environment(
        **release.identity,
        PATH=f"{tools}{os.pathsep}{os.environ.get('PATH', '')}",  # mike calls `mkdocs` by name
        DOCS_STRICT="true",  # mike never passes --strict
        NO_MKDOCS_2_WARNING="1",
        PYTHONUTF8="1",
    )
    done = subprocess.run(
        command,
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode != 0:
        lines = done.stdout.splitlines()
        warnings = [line for line in lines if line.startswith(("WARNING", "ERROR", "error"))]
        print("\n".join(warnings or lines[-5:]), file=sys.stderr)
        raise Refusal("bản dựng nghiêm ngặt không qua (xem các dòng trên); chưa có gì thay đổi.")
    return commit_of(clone, f"refs/heads/{BRANCH}")


def sitemap_of(deployed: Published, version: str) -> tuple[list[str], str]:
    """Addresses of a version's pages, and the whole site's address, as its sitemap gives them."""
    pages = []
    site = ""
    for location in LOCATION.findall(deployed.text(f"{version}/sitemap.xml") or ""):
        # Canonical addresses: those of the newest version, whichever this one is.
        site, latest, page = location.partition(f"/{LATEST}/")
        if latest:
            pages.append(urllib.parse.unquote(page))
    if not pages:
        cure = "mkdocs.yml cần site_url và plugin mike"
        raise Refusal(f"sitemap.xml của bản vừa dựng không có trang nào: {cure}.")
    return sorted(pages), f"{site}/"


def manifest_of(clone: Path, release: Release, pages: list[str]) -> Manifest:
    """What a release says of itself for ever, but for the hash of its folder."""
    records = records_at(clone, release.commit)
    return {
        "schema": 1,
        "version": release.version,
        "commit": release.commit,
        "date": datetime.now(UTC).date().isoformat(),
        "verified": verified.facts_of(records.values()),
        "pages": pages,
        "moved": moves_in(clone / "docs"),
    }


def with_manifest(manifests: dict[str, Manifest], own: Manifest) -> dict[str, Manifest]:
    """These and one more, the oldest first."""
    together = {**manifests, own["version"]: own}
    return {version: together[version] for version in sorted(together, key=version_order)}


def missing_redirects(
    deployed: Published, version: str, manifests: dict[str, Manifest]
) -> dict[str, str]:
    """Pages at old addresses for this version and its copy `latest`, where the build made none."""
    there = set(files_below(deployed.root, f"{deployed.commit}:{version}"))
    files = {}
    for file, page in redirect_files(manifests).items():
        if file not in there:
            files[f"{version}/{file}"] = page
            files[f"{LATEST}/{file}"] = page
    return files


def root_files(deployed: Published, site: str, manifests: dict[str, Manifest]) -> dict[str, str]:
    """The pages beside the versions."""
    releases = {}
    for version in deployed.releases():
        if version in manifests:
            releases[version] = manifests[version]
    home = LATEST if deployed.tree(LATEST) else DEV
    return {"index.html": index_page(home), "404.html": not_found_page(site, home, releases)}


def as_json(data: dict[str, Any]) -> str:
    """JSON for the branch: readable, the same for the same data."""
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def tree_with(clone: Path, tree: str, files: dict[str, str]) -> str:
    """Hash of a tree with these files added to it; nothing but objects is written."""
    index = {"GIT_INDEX_FILE": str(clone / ".git/release-index")}
    git(clone, "read-tree", tree, **index)
    rows = []
    for path, text in files.items():
        blob = git(clone, "hash-object", "-w", "--stdin", data=text.encode())
        rows.append(f"100644 {blob}\t{path}\0")
    git(clone, "update-index", "-z", "--index-info", data="".join(rows).encode(), **index)
    return git(clone, "write-tree", **index)


def one_commit(clone: Path, release: Release, tree: str) -> str:
    """The whole release as one commit on its base, in place of those that mike made."""
    verb = "Deploy" if release.version == DEV else "Release"
    message = f"{verb} {release.version}\n\nFrom commit {release.commit}.\n"
    words = ["commit-tree", tree]
    if release.base:
        words += ["-p", release.base]
    commit = git(clone, *words, data=message.encode(), **release.identity)
    git(clone, "update-ref", f"refs/heads/{BRANCH}", commit)
    return commit


def refuse_changes_of_older_versions(clone: Path, release: Release, commit: str) -> None:
    """Nothing but this version's folder and manifest and the root's own files may be new."""
    if not release.base:
        return
    own = [release.version, f"{MANIFESTS}/{release.version}.json"]
    own += ["versions.json", "index.html", "404.html", ".nojekyll"]
    if release.is_newest:
        own.append(LATEST)
    others = [f":(exclude,literal){path}" for path in own]
    words = ["diff-tree", "-r", "--name-only", release.base, commit, "--", *others]
    changed = git(clone, *words).splitlines()
    if changed:
        raise Refusal(f"bản này sẽ đổi cả {changed[0]} của bản cũ: dừng, chưa có gì thay đổi.")


# The one step that counts


def publish(clone: Path, release: Release, commit: str, push: bool) -> None:
    """Bring the objects home, push when asked to, move the branch if it is still where it was."""
    git(release.root, *FETCH_OBJECTS, str(clone), f"refs/heads/{BRANCH}")
    if push:
        push_commit(release.root, commit)
    words = ["update-ref", "-m", f"release {release.version}", f"refs/heads/{BRANCH}"]
    try:
        git(release.root, *words, commit, release.local or NO_COMMIT)
    except GitError as error:
        if "File exists" in str(error):
            cure = f"nếu không có git nào đang chạy, xoá .git/refs/heads/{BRANCH}.lock"
            raise Refusal(f"nhánh {BRANCH} đang bị khoá: {cure}.") from None
        moved = f"nhánh {BRANCH} vừa đổi trong lúc phát hành (ai đó cũng đang phát hành?)"
        raise Refusal(f"{moved}; bản của người kia còn nguyên. Hãy chạy lại.") from None


def push_commit(root: Path, commit: str) -> None:
    """Move the branch at the remote; it refuses when it has moved meanwhile."""
    try:
        git(root, "push", "--quiet", REMOTE, f"{commit}:refs/heads/{BRANCH}")
    except GitError as error:
        told = str(error)[-200:]
        for line in str(error).splitlines():
            if "rejected" in line:
                told = line.strip()
        why = f"{REMOTE} không nhận ({told})"
        raise Refusal(f"{why}; chưa có gì thay đổi. Hãy chạy lại.") from None


# What is said


def report(release: Release, built: Built) -> None:
    """Say what the branch holds, or would hold."""
    if release.version != DEV:
        report_release(release, built.manifests)
    if OWN_COMPUTER.match(built.site):
        print(f"  Chú ý: site_url là {built.site}: liên kết canonical trỏ về máy này.")
        print("  Đặt SITE_URL trước khi công bố.")


def report_release(release: Release, manifests: dict[str, Manifest]) -> None:
    manifest = manifests[release.version]
    facts = verified.line(manifest["verified"])
    print(f"  {release.version}: {len(manifest['pages'])} trang")
    print(f"  kiểm chứng với: {facts or 'chưa có bản ghi nào'}")
    if not release.is_newest:
        print(f"  {LATEST}: giữ nguyên (có bản mới hơn)")
        return
    print(f"  {LATEST}: trỏ tới bản này")
    before = dict(manifests)
    del before[release.version]
    known = moved_addresses(list(before.values()))
    for address, target in moved_addresses(list(manifests.values())).items():
        if address in known and known[address] == target:
            continue
        if target is None:
            print(f"  không còn: {address}")
        else:
            print(f"  đổi địa chỉ: {address} → {target}")


def next_step(root: Path, pushed: bool) -> str:
    """What is left to do for readers to see the release."""
    if pushed:
        return f"Đã đẩy lên {REMOTE}."
    if REMOTE in git(root, "remote").splitlines():
        return f"Để công bố: git push {REMOTE} {BRANCH}"
    return f"Để công bố: git remote add {REMOTE} ĐỊA_CHỈ, rồi git push {REMOTE} {BRANCH}"
