"""What is asked before a release is built: its name, the tree, the records, the branch."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from course.pages import changelog
from course.records.record import load_all
from course.text import DEV, VERSION, Refusal, version_order
from course.versions.branch import (
    BRANCH,
    GitError,
    Published,
    commit_of,
    git,
    hash_of,
    require_repository,
)

TESTED = ".cache/tested-tree"  # written by `dev.py test --all`: the tree that passed
REMOTE = "origin"
# Fetch objects and write no name: until the branch moves, nothing has changed.
FETCH_OBJECTS = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap="]


@dataclass
class Release:
    """One release on its way.

    `identity`: who releases, as git's environment. `local`: commit of the branch here; `base`: the
    one that the release stands on, which so far may be the remote's alone; both are empty at the
    first. `reasons`: why it is refused; a dry run shows them and goes on.
    """

    root: Path
    version: str
    commit: str
    identity: dict[str, str]
    local: str
    base: str
    reasons: list[str] = field(default_factory=list)

    @property
    def is_newest(self) -> bool:
        """Does `latest` become this one? A correction of an older line leaves it where it is."""
        if self.version == DEV:
            return False
        releases = Published(self.root, self.base).releases()
        return not releases or version_order(self.version) > version_order(releases[0])


def checked_name(version: str, dev: bool) -> str:
    """The version that the command line names."""
    if bool(version) == dev:
        raise Refusal("hãy cho một tên phiên bản X.Y, hoặc --dev.", 2)
    if dev:
        return DEV
    if not VERSION.fullmatch(version):
        example = "hãy viết X.Y hoặc X.Y.Z, ví dụ 1.0."
        raise Refusal(f"«{version}» không phải tên phiên bản: {example}", 2)
    return version


def prepared(root: Path, version: str, push: bool) -> Release:
    """Refuse what cannot be released; collect the reasons that a dry run may pass by."""
    require_repository(root)
    identity = identity_of(root)
    local, base = branch_ends(root, remote_required=push)
    release = Release(root, version, commit_of(root, "HEAD"), identity, local, base)
    if git(root, "status", "--porcelain"):
        cure = "hãy commit hoặc cất đi (`git stash`)"
        release.reasons.append(f"cây làm việc có thay đổi chưa commit: {cure}.")
    if version != DEV:
        refuse_taken_name(version, Published(root, base))
        release.reasons += reasons_against(root, version)
    return release


def identity_of(root: Path) -> dict[str, str]:
    """Who releases: the temporary clone does not have the settings of this repository."""
    found = {}
    for word in ("NAME", "EMAIL"):
        value = os.environ.get(f"GIT_COMMITTER_{word}")
        if not value:
            value = git(root, "config", "--default", "", "--get", f"user.{word.lower()}")
        if not value.strip():
            cure = 'git config user.name "Tên" và git config user.email "địa chỉ"'
            raise Refusal(f"git chưa biết bạn là ai: hãy chạy {cure}.", 2)
        found[f"GIT_AUTHOR_{word}"] = value
        found[f"GIT_COMMITTER_{word}"] = value
    return found


def branch_ends(root: Path, remote_required: bool) -> tuple[str, str]:
    """The branch here, and the newer of here and the remote: a shallow clone, for one, lacks it."""
    local = commit_of(root, f"refs/heads/{BRANCH}")
    if REMOTE not in git(root, "remote").splitlines():
        if remote_required:
            cure = f"hãy chạy git remote add {REMOTE} ĐỊA_CHỈ."
            raise Refusal(f"kho này chưa có {REMOTE} để đẩy lên: {cure}", 2)
        return local, local
    there = fetched_from_remote(root)
    if not there or is_ancestor(root, there, local):
        return local, local
    if not local or is_ancestor(root, local, there):
        return local, there
    cure = f"muốn theo {REMOTE}: git fetch {REMOTE} rồi git branch -f {BRANCH} {REMOTE}/{BRANCH}."
    raise Refusal(f"nhánh {BRANCH} ở đây và ở {REMOTE} đã rẽ hai hướng; {cure}", 2)


def fetched_from_remote(root: Path) -> str:
    """Commit of the branch at the remote, its objects fetched; empty when it has none."""
    try:
        answer = git(root, "ls-remote", REMOTE, f"refs/heads/{BRANCH}")
        if not answer:
            return ""
        commit = answer.split()[0]
        if not commit_of(root, commit):
            git(root, *FETCH_OBJECTS, REMOTE, f"refs/heads/{BRANCH}")
    except GitError as error:
        last = str(error).rpartition("\n")[2]
        why = "cần nó để không đè bản của ai"
        raise Refusal(f"không hỏi được {REMOTE} về nhánh {BRANCH} ({last}): {why}.", 2) from None
    return commit


def is_ancestor(root: Path, old: str, new: str) -> bool:
    """Does commit `new` contain commit `old`?"""
    try:
        git(root, "merge-base", "--is-ancestor", old, new)
    except GitError:
        return False
    return True


def refuse_taken_name(version: str, branch: Published) -> None:
    """Of a version that was ever released; 1.2 and 1.2.0 are one."""
    for known in (*branch.manifests(), *branch.releases()):
        if version_order(known) == version_order(version):
            law = "bản đã phát hành không bao giờ đổi"
            raise Refusal(f"bản {known} đã phát hành; {law}. Hãy chọn số mới.", 2)


def reasons_against(root: Path, version: str) -> list[str]:
    """Why this tree is not ready to be the version, one line each."""
    reasons = []
    problem = changelog.problem_of(version, root)
    if problem:
        reasons.append(f"{problem}.")
    stale = stale_records(root)
    if stale:
        more = f" Còn {len(stale) - 1} bản ghi nữa." if len(stale) > 1 else ""
        reasons.append(f"{stale[0]}.{more}")
    stamp = root / TESTED
    if not stamp.is_file() or stamp.read_text("utf-8").strip() != hash_of(root, "HEAD^{tree}"):
        cure = "hãy commit, chạy `dev.py test --all` rồi thử lại"
        reasons.append(f"cây này chưa qua toàn bộ kiểm thử: {cure}.")
    return reasons


def stale_records(root: Path) -> list[str]:
    """What is wrong with the records, one line each."""
    found = []
    for record in load_all(root).values():
        if isinstance(record, Refusal):
            found.append(str(record))
        elif record.problems:
            found.append(record.problems[0])
    return found
