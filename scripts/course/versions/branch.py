"""The branch that holds the published versions, read as it stands; and how git is called.

Nothing here writes. Each release leaves on the branch its own folder `X.Y/` and
`manifests/X.Y.json`: the commit that it was built from, what it was verified with, its pages, and
git's hash of the folder. `versions.json` at the root is mike's.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.text import VERSION, Refusal, version_order

BRANCH = "gh-pages"
MANIFESTS = "manifests"
# Set when git itself started this process (a hook, an alias): they lead to another repository.
GIT_PLACES = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
]


class GitError(Exception):
    """A git command failed; the message is what it said."""


def git_environment(**more: str) -> dict[str, str]:
    """Git speaks English, asks nothing, is led to no other repository."""
    environment = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    for name in GIT_PLACES:
        environment.pop(name, None)
    return {**environment, **more}


def git(root: Path, *words: str, data: bytes | None = None, **more: str) -> str:
    """Run git in a folder, with `more` in its environment; what it printed, less the last line end.

    Raises GitError when git fails.
    """
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=root,
            env=git_environment(**more),
            input=data,
            capture_output=True,
        )
    except FileNotFoundError:
        raise Refusal("máy này chưa có git: hãy cài git rồi chạy lại.", 2) from None
    if done.returncode != 0:
        raise GitError(done.stderr.decode("utf-8", "replace").strip())
    return done.stdout.decode("utf-8", "replace").rstrip("\n")


def hash_of(root: Path, name: str) -> str:
    """Full hash of what a name stands for, as in `gh-pages:1.0`; empty when there is none."""
    try:
        return git(root, "rev-parse", "--quiet", "--verify", name)
    except GitError:
        return ""


def commit_of(root: Path, name: str) -> str:
    """Full hash of the commit that a name stands for; empty when there is none."""
    return hash_of(root, f"{name}^{{commit}}")


def files_below(root: Path, tree: str) -> list[str]:
    """Every file of a tree: paths from that tree on."""
    listing = git(root, "ls-tree", "-r", "-z", "--name-only", "--full-tree", tree)
    return listing.split("\0")[:-1]


def require_repository(root: Path) -> None:
    """Refuse a folder that is not the root of a git repository with a commit."""
    try:
        top = git(root, "rev-parse", "--show-toplevel")
    except GitError as error:
        if "not a git repository" not in str(error):
            raise
        cure = "hãy chạy trong một bản `git clone` của dự án."
        raise Refusal(f"{root} không phải kho git: {cure}", 2) from None
    if Path(top).resolve() != root.resolve():
        raise Refusal(f"{root} không phải gốc của kho git ({top}).", 2)
    if not commit_of(root, "HEAD"):
        raise Refusal("kho git chưa có commit nào.", 2)


@dataclass
class Published:
    """The branch at one commit; `commit` is empty while nothing has been published."""

    root: Path
    commit: str

    def text(self, path: str) -> str | None:
        """Text of a file on the branch; None when there is no such file."""
        if not self.commit:
            return None
        try:
            return git(self.root, "cat-file", "blob", f"{self.commit}:{path}")
        except GitError:
            return None

    def data(self, path: str) -> Any:
        """A JSON file of the branch; None when there is none. A broken one is damage, and told."""
        text = self.text(path)
        if text is None:
            return None
        try:
            return json.loads(text)
        except ValueError as error:
            raise Refusal(f"{path} trên nhánh {BRANCH} không đọc được ({error}).") from None

    def tree(self, folder: str) -> str:
        """Git's hash of a folder, the same for the same files; empty when there is none."""
        if not self.commit:
            return ""
        return hash_of(self.root, f"{self.commit}:{folder}")

    def listed(self) -> list[dict[str, Any]]:
        """Entries of versions.json."""
        return self.data("versions.json") or []

    def releases(self) -> list[str]:
        """Released versions, the newest first; the version being written is none."""
        found = [entry["version"] for entry in self.listed() if VERSION.fullmatch(entry["version"])]
        return sorted(found, key=version_order, reverse=True)

    def manifests(self) -> dict[str, dict[str, Any]]:
        """Version -> manifest, the oldest first: of all that were ever released here."""
        if not self.tree(MANIFESTS):
            return {}
        versions = []
        for name in files_below(self.root, f"{self.commit}:{MANIFESTS}"):
            version = name.removesuffix(".json")
            if VERSION.fullmatch(version):
                versions.append(version)
        manifests = {}
        for version in sorted(versions, key=version_order):
            manifests[version] = self.data(f"{MANIFESTS}/{version}.json")
        return manifests


def published(root: Path) -> Published:
    """The branch of a repository: its own, or what was last fetched of the remote's."""
    for name in (f"refs/heads/{BRANCH}", f"refs/remotes/origin/{BRANCH}"):
        commit = commit_of(root, name)
        if commit:
            return Published(root, commit)
    return Published(root, "")
