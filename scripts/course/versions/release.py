"""Release a version: check, build strictly, deploy with mike, and only then move the published branch, in one step.

Everything happens in a temporary repository that borrows this one's objects. A release is one commit on the branch and
one compare-and-swap of the branch's name: whoever kills the process meets the branch before it or after it, and of two
releases at once the later one is refused. Before the swap, the folders of older versions are compared: not a byte may
differ.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from course import ROOT
from course.pages import changelog
from course.records import record as records
from course.records import record_book
from course.site import redirects
from course.text import DEV, LATEST, VERSION
from course.text import version_order as order
from course.versions import moved_pages, root_pages
from course.versions.branch import (
    BRANCH,
    MANIFESTS,
    GitError,
    Published,
    Refusal,
    command_line,
    commit_of,
    git,
    git_environment,
    require_repository,
)

TESTED = ".cache/tested-tree"  # written by `dev.py test`: the tree that passed
NOTHING = "0" * 40  # git's name for a branch that is not there yet
REMOTE = "origin"
LOCATION = re.compile(r"<loc>([^<]+)</loc>")
OWN_COMPUTER = re.compile(r"https?://(127\.|localhost|\[::1\])")


@dataclass
class Release:
    """One release on its way. `base`: the commit of the branch that it stands on, empty for the first."""

    root: Path
    version: str
    commit: str
    who: dict[str, str]
    local: str
    base: str
    doubts: list[str] = field(default_factory=list)

    @property
    def is_newest(self) -> bool:
        """Does `latest` become this one? A correction of an older line leaves it where it is."""
        older = Published(self.root, self.base).releases()
        return self.version != DEV and all(
            order(self.version) > order(version) for version in older
        )


# Before anything is built


def prepare(root: Path, version: str, remote: bool) -> Release:
    """Refuse what cannot be released; collect what a dry run may show all the same."""
    require_repository(root)
    who = identity(root)
    local, base = branch_ends(root, remote)
    release = Release(root, version, commit_of(root, "HEAD"), who, local, base)
    if git(root, "status", "--porcelain"):
        release.doubts.append(
            "cây làm việc có thay đổi chưa commit: hãy commit hoặc cất đi (`git stash`)."
        )
    if version == DEV:
        return release
    for known in Published(root, base).manifests().keys() | set(Published(root, base).releases()):
        if order(known) == order(version):
            raise Refusal(
                2, f"bản {known} đã phát hành; bản đã phát hành không bao giờ đổi. Hãy chọn số mới."
            )
    if problem := changelog.problem_of(version, root):
        release.doubts.append(f"{problem}.")
    if stale := stale_records(root):
        release.doubts.append(
            f"{stale[0]}." + (f" Còn {len(stale) - 1} bản ghi nữa." if stale[1:] else "")
        )
    stamp = root / TESTED
    tree = git(root, "rev-parse", "HEAD^{tree}")
    if not stamp.is_file() or stamp.read_text(encoding="utf-8").strip() != tree:
        release.doubts.append(
            "cây này chưa qua kiểm thử: hãy commit, chạy `dev.py test` (không thêm tham số) rồi thử lại."
        )
    return release


def identity(root: Path) -> dict[str, str]:
    """Who releases, for git in another folder, where this repository's own settings do not hold."""
    found = {}
    for word in ("NAME", "EMAIL"):
        try:
            value = os.environ.get(f"GIT_COMMITTER_{word}") or git(
                root, "config", f"user.{word.lower()}"
            )
        except GitError:
            value = ""
        if not value.strip():
            cure = 'git config user.name "Tên" và git config user.email "địa chỉ"'
            raise Refusal(2, f"git chưa biết bạn là ai: hãy chạy {cure}.")
        found |= {f"GIT_AUTHOR_{word}": value, f"GIT_COMMITTER_{word}": value}
    return found


def branch_ends(root: Path, required: bool) -> tuple[str, str]:
    """The branch here, and the newest of what is here and at the remote: a shallow clone, for one, lacks it."""
    local = commit_of(root, f"refs/heads/{BRANCH}")
    if REMOTE not in git(root, "remote").splitlines():
        if required:
            raise Refusal(
                2, f"kho này chưa có {REMOTE} để đẩy lên: hãy chạy git remote add {REMOTE} ĐỊA_CHỈ."
            )
        return local, local
    try:
        answer = git(root, "ls-remote", REMOTE, f"refs/heads/{BRANCH}")
        there = answer.split()[0] if answer else ""
        if there and not commit_of(root, there):
            # No name is written here: until the branch moves, nothing has changed.
            words = ("--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=")
            git(root, "fetch", *words, REMOTE, f"refs/heads/{BRANCH}")
    except GitError as error:
        last = str(error).splitlines()[-1] if str(error) else ""
        raise Refusal(
            2, f"không hỏi được {REMOTE} về nhánh {BRANCH} ({last}): cần nó để không đè bản của ai."
        ) from None
    if not there or there == local or (local and is_ancestor(root, there, local)):
        return local, local
    if not local or is_ancestor(root, local, there):
        return local, there
    cure = f"git fetch {REMOTE} rồi git branch -f {BRANCH} {REMOTE}/{BRANCH}"
    raise Refusal(
        2, f"nhánh {BRANCH} ở đây và ở {REMOTE} đã rẽ hai hướng; muốn theo {REMOTE}: {cure}."
    )


def is_ancestor(root: Path, old: str, new: str) -> bool:
    """Does `new` contain `old`?"""
    try:
        git(root, "merge-base", "--is-ancestor", old, new)
    except GitError:
        return False
    return True


def stale_records(root: Path) -> list[str]:
    """What is wrong with the records, one line each."""
    found = []
    for script in records.examples(root):
        try:
            found += records.load(script, root).problems[:1]
        except records.RecordError as error:
            found.append(str(error))
    return found


# In a temporary repository


@contextmanager
def borrowed(release: Release) -> Iterator[Path]:
    """A temporary repository with this one's objects: HEAD checked out, the branch where the release starts from."""
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


def deploy(clone: Path, release: Release) -> str:
    """Build strictly and let mike commit the version; the commit's hash."""
    tools = Path(sys.executable).parent
    mike = shutil.which("mike", path=str(tools))
    if mike is None:
        raise Refusal(2, f"không thấy mike trong {tools}: hãy chạy dev.py setup.")
    env = git_environment(
        **release.who,
        PATH=f"{tools}{os.pathsep}{os.environ.get('PATH', '')}",  # mike calls `mkdocs` by its name alone
        DOCS_STRICT="true",  # mike never passes --strict
        NO_MKDOCS_2_WARNING="1",
        PYTHONUTF8="1",
    )
    words = [release.version, LATEST] if release.is_newest else [release.version]
    command = [
        mike,
        "deploy",
        "--branch",
        BRANCH,
        "--update-aliases",
        "--alias-type",
        "copy",
        "--allow-empty",
        *words,
    ]
    with subprocess.Popen(
        command,
        cwd=clone,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as job:
        try:
            output = job.communicate()[0].decode("utf-8", "replace")
        except BaseException:
            stop(job)
            raise
    if job.returncode != 0:
        told = [line for line in output.splitlines() if re.match(r"WARNING|ERROR|error", line)]
        print("\n".join(told or output.splitlines()[-5:]), file=sys.stderr)
        raise Refusal(1, "bản dựng chặt không qua (xem các dòng trên); chưa có gì thay đổi.")
    return commit_of(clone, f"refs/heads/{BRANCH}")


def stop(job: subprocess.Popen[bytes]) -> None:
    """End mike and the build that it started."""
    if os.name == "posix":
        os.killpg(job.pid, signal.SIGTERM)
    else:
        job.terminate()


def addresses(published: Published, folder: str) -> tuple[list[str], str]:
    """Addresses of a version's pages, from its sitemap, and the address of the whole site that is written there."""
    places = [
        place.partition(f"/{LATEST}/")
        for place in LOCATION.findall(published.text(f"{folder}/sitemap.xml") or "")
    ]
    if not places or any(not found for _, found, _ in places):
        raise Refusal(
            1,
            "sitemap.xml của bản vừa dựng không có trang nào: mkdocs.yml cần site_url và plugin mike.",
        )
    return sorted(urllib.parse.unquote(page) for _, _, page in places), f"{places[0][0]}/"


@dataclass
class Made:
    """What the temporary repository holds when all is done."""

    commit: str
    manifest: dict[str, Any]
    redirects: dict[str, str]
    site: str


def make(clone: Path, release: Release) -> Made:
    """Deploy, add what the root of the branch and old addresses need, and squash all of it into one commit."""
    deployed = Published(clone, deploy(clone, release))
    pages, site = addresses(deployed, release.version)
    manifests = deployed.manifests()
    own: dict[str, Any] = {}
    if release.version != DEV:
        facts = deployed.data(f"{release.version}/records.json") or {}
        own = {
            "schema": 1,
            "version": release.version,
            "commit": release.commit,
            "tree": git(clone, "rev-parse", f"{release.commit}^{{tree}}"),
            "date": datetime.now(UTC).date().isoformat(),
            "verified": facts.get("verified", {}),
            "pages": pages,
            "moved": moved_pages.moved_by(clone / "docs"),
        }
        manifests = dict(
            sorted({**manifests, release.version: own}.items(), key=lambda row: order(row[0]))
        )
    moved = moved_pages.redirects(manifests.values())
    added: dict[str, str] = {}
    if release.is_newest:
        added = {
            f"{folder}/{file}": text
            for file, text in pages_at_old_addresses(moved, manifests).items()
            if deployed.text(f"{release.version}/{file}") is None
            for folder in (release.version, LATEST)
        }
    with_pages = write(clone, deployed.commit, added)
    if own:
        own["files"] = Published(clone, with_pages).files(release.version)
        added[f"{MANIFESTS}/{release.version}.json"] = as_json(own)
    home = LATEST if deployed.tree(LATEST) else release.version
    shown = {version: manifests[version] for version in deployed.releases() if version in manifests}
    added |= {
        "redirects.json": as_json({"schema": moved_pages.SCHEMA, "pages": moved}),
        "index.html": root_pages.index(home),
        "404.html": root_pages.not_found(site, shown, home),
    }
    done = write(clone, deployed.commit, added)
    message = f"{'Deploy' if release.version == DEV else 'Release'} {release.version}\n\nFrom commit {release.commit}.\n"
    parents = ["-p", release.base] if release.base else []
    commit = git(
        clone, "commit-tree", f"{done}^{{tree}}", *parents, data=message.encode(), **release.who
    )
    git(clone, "update-ref", f"refs/heads/{BRANCH}", commit)
    return Made(commit, own, moved, site)


def pages_at_old_addresses(
    moved: dict[str, str], manifests: dict[str, dict[str, Any]]
) -> dict[str, str]:
    """File of a version -> HTML that leads on, or that says which release last had the page."""
    found = {}
    for address, target in moved.items():
        file = f"{address}index.html"
        last = moved_pages.last_with(address, manifests)
        if target or last:
            found[file] = (
                redirects.page(file, target) if target else root_pages.gone(file, last, address)
            )
    return found


def as_json(data: dict[str, Any]) -> str:
    """JSON for the branch: readable, the same for the same data."""
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def write(clone: Path, commit: str, files: dict[str, str]) -> str:
    """Hash of a tree-ish that is `commit` with these files; nothing but objects is written."""
    index = {"GIT_INDEX_FILE": str(clone / ".git/release-index")}
    git(clone, "read-tree", commit, **index)
    rows = []
    for path, text in files.items():
        blob = git(clone, "hash-object", "-w", "--stdin", data=text.encode())
        rows.append(f"100644 {blob}\t{path}\0")
    git(clone, "update-index", "-z", "--index-info", data="".join(rows).encode(), **index)
    return git(clone, "write-tree", **index)


def guard(clone: Path, release: Release, made: Made) -> None:
    """Refuse to publish when anything but this version and the root's own files differs from before."""
    if not release.base:
        return
    allowed = {
        release.version,
        "versions.json",
        "redirects.json",
        "index.html",
        "404.html",
        ".nojekyll",
        MANIFESTS,
    }
    allowed |= {LATEST} if release.is_newest else set()
    changed = set(git(clone, "diff-tree", "--name-only", release.base, made.commit).splitlines())
    rows = git(
        clone, "diff-tree", "-r", "--name-status", release.base, made.commit, "--", MANIFESTS
    ).splitlines()
    own = {f"A\t{MANIFESTS}/{release.version}.json"} if made.manifest else set()
    if wrong := sorted(changed - allowed) + sorted(set(rows) - own):
        raise Refusal(
            1, f"bản này sẽ đổi cả {wrong[0].split()[-1]} của bản cũ: dừng, chưa có gì thay đổi."
        )


# The one step that counts


def publish(clone: Path, release: Release, made: Made, push: bool) -> None:
    """Bring the objects home, push when asked to, and move the branch if it is still where it was."""
    words = ("--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=")
    git(release.root, "fetch", *words, str(clone), f"refs/heads/{BRANCH}")
    if push:
        try:
            git(release.root, "push", "--quiet", REMOTE, f"{made.commit}:refs/heads/{BRANCH}")
        except GitError as error:
            last = next(
                (line for line in str(error).splitlines() if "rejected" in line), str(error)[-200:]
            )
            raise Refusal(
                1, f"{REMOTE} không nhận ({last.strip()}); chưa có gì thay đổi. Hãy chạy lại."
            ) from None
    note = f"release {release.version}"
    try:
        git(
            release.root,
            "update-ref",
            "-m",
            note,
            f"refs/heads/{BRANCH}",
            made.commit,
            release.local or NOTHING,
        )
    except GitError as error:
        if "File exists" in str(error):
            raise Refusal(
                1,
                f"nhánh {BRANCH} đang bị khoá: nếu không có git nào đang chạy, xoá .git/refs/heads/{BRANCH}.lock.",
            ) from None
        moved = f"nhánh {BRANCH} vừa đổi trong lúc phát hành (ai đó cũng đang phát hành?)"
        raise Refusal(1, f"{moved}; bản của người kia còn nguyên. Hãy chạy lại.") from None


def report(release: Release, made: Made) -> None:
    """Say what the branch holds, or would hold."""
    if made.manifest:
        print(
            f"  {release.version}: {len(made.manifest['files'])} tệp, {len(made.manifest['pages'])} trang"
        )
        print(
            f"  kiểm chứng với: {record_book.verified_line(made.manifest['verified']) or 'chưa có bản ghi nào'}"
        )
        print(
            f"  {LATEST}: {'trỏ tới bản này' if release.is_newest else 'giữ nguyên (có bản mới hơn)'}"
        )
    before = Published(release.root, release.base).data("redirects.json") or {"pages": {}}
    for address, target in made.redirects.items():
        if before["pages"].get(address) != target:
            print(
                f"  {f'đổi địa chỉ: {address} → {target}' if target else f'không còn: {address} (về trang chủ)'}"
            )
    if OWN_COMPUTER.match(made.site):
        print(
            f"  Chú ý: site_url là {made.site}: liên kết canonical trỏ về máy này. Đặt SITE_URL trước khi công bố."
        )


def run(args: argparse.Namespace) -> int:
    """Release; the exit code."""
    root = Path(args.root).resolve()
    version = DEV if args.dev else args.version
    if version != DEV and not VERSION.fullmatch(version or ""):
        raise Refusal(
            2, f"«{version or ''}» không phải tên phiên bản: hãy viết X.Y hoặc X.Y.Z, ví dụ 1.0."
        )
    release = prepare(root, version, remote=args.push)
    if release.doubts and not args.dry_run:
        raise Refusal(2, release.doubts[0])
    for doubt in release.doubts:
        print(f"Sẽ bị từ chối: {doubt}", file=sys.stderr)
    print(f"→ Dựng chặt {version} từ commit {release.commit[:9]} trong một bản sao tạm", flush=True)
    with borrowed(release) as clone:
        made = make(clone, release)
        guard(clone, release, made)
        report(release, made)
        if args.dry_run:
            print(
                f"Chạy thử: nhánh {BRANCH} sẽ đi từ {release.base[:9] or 'chưa có'} tới một commit mới. Chưa đổi gì."
            )
            return 2 if release.doubts else 0
        if args.push and OWN_COMPUTER.match(made.site):
            raise Refusal(
                2,
                f"site_url là {made.site}: hãy đặt biến SITE_URL là địa chỉ thật trước khi đẩy lên.",
            )
        publish(clone, release, made, args.push)
    print(f"Xong: nhánh {BRANCH} {release.base[:9] or '(mới)'} → {made.commit[:9]}.")
    if args.push:
        print(f"Đã đẩy lên {REMOTE}.")
    elif REMOTE in git(root, "remote").splitlines():
        print(f"Để công bố: git push {REMOTE} {BRANCH}")
    else:
        print(f"Để công bố: git remote add {REMOTE} ĐỊA_CHỈ, rồi git push {REMOTE} {BRANCH}")
    return 0


def main(words: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="dev.py release", description="Phát hành một phiên bản.")
    parser.add_argument("version", nargs="?", help="X.Y hoặc X.Y.Z")
    parser.add_argument("--dev", action="store_true", help="dựng bản đang viết, ở thư mục dev")
    parser.add_argument(
        "--dry-run", action="store_true", help="làm tất cả trong bản sao tạm, không đổi gì"
    )
    parser.add_argument("--push", action="store_true", help="đẩy nhánh lên origin ngay")
    parser.add_argument("--root", default=ROOT, help="gốc của dự án")
    args = parser.parse_args(words)
    if bool(args.version) == args.dev:
        raise Refusal(2, "hãy cho một tên phiên bản X.Y, hoặc --dev.")
    return run(args)


def ended(number: int, frame: object) -> None:
    """Leave by an exception, so that the temporary folder goes too."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, ended)
    sys.exit(command_line(main))
