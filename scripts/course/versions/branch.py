"""The branch that holds the published versions, read as it stands: versions, manifests, every file's SHA-256.

Nothing here writes. Each release leaves on the branch, besides its own folder `X.Y/`: `manifests/X.Y.json` (what the
folder held, from which commit, verified with what), and at the root `versions.json` (by mike) and `redirects.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.text import VERSION
from course.text import version_order as order

BRANCH = "gh-pages"
MANIFESTS = "manifests"
# Set when git itself started this process (a hook, an alias): they would lead every git command to another repository.
GIT_PLACES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
)


class Refusal(Exception):
    """Ends a command: one Vietnamese line for the user, and the exit code."""

    def __init__(self, code: int, message: str) -> None:
        """Take both."""
        super().__init__(message)
        self.code = code


class GitError(Exception):
    """A git command failed; the message is what it said."""


def command_line(main: Callable[[list[str]], int]) -> int:
    """Run a script's main function; what it refuses is one line, and the exit code says what kind."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        return main(sys.argv[1:])
    except Refusal as refusal:
        print(f"Lỗi: {refusal}", file=sys.stderr)
        return refusal.code
    except GitError as error:
        print(f"Lỗi: git báo: {' '.join(str(error).split()) or 'không rõ vì sao'}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Lỗi: không đọc, ghi hoặc chạy được tệp: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def git_environment(**more: str) -> dict[str, str]:
    """The environment of a git command: speaks English, asks nothing, is led to no other repository."""
    kept = {name: value for name, value in os.environ.items() if name not in GIT_PLACES}
    return {**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **more}


def git_bytes(root: Path, *words: str, data: bytes | None = None, **env: str) -> bytes:
    """Run git in a folder and return what it printed, as it is."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=root, env=git_environment(**env), input=data, capture_output=True
        )
    except FileNotFoundError:
        raise Refusal(2, "máy này chưa có git: hãy cài git rồi chạy lại.") from None
    if done.returncode != 0:
        raise GitError(done.stderr.decode("utf-8", "replace").strip())
    return done.stdout


def git(root: Path, *words: str, data: bytes | None = None, **env: str) -> str:
    """Run git in a folder and return what it printed, without the line end."""
    return git_bytes(root, *words, data=data, **env).decode("utf-8", "replace").rstrip("\n")


def commit_of(root: Path, name: str) -> str:
    """Full hash of the commit that a name stands for; empty when there is none."""
    try:
        return git(root, "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}")
    except GitError:
        return ""


def require_repository(root: Path) -> None:
    """Refuse a folder that is not the root of a git repository with a commit."""
    try:
        top = git(root, "rev-parse", "--show-toplevel")
    except GitError as error:
        if "not a git repository" in str(error):
            raise Refusal(
                2, f"{root} không phải kho git: hãy chạy trong một bản `git clone` của dự án."
            ) from None
        raise
    if Path(top).resolve() != root.resolve():
        raise Refusal(2, f"{root} không phải gốc của kho git ({top}).")
    if not commit_of(root, "HEAD"):
        raise Refusal(2, "kho git chưa có commit nào.")


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
        try:
            return None if text is None else json.loads(text)
        except ValueError as error:
            raise Refusal(1, f"{path} trên nhánh {BRANCH} không đọc được ({error}).") from None

    def tree(self, path: str) -> str:
        """Hash of a folder's tree; empty when there is no such folder."""
        try:
            return (
                git(self.root, "rev-parse", "--quiet", "--verify", f"{self.commit}:{path}")
                if self.commit
                else ""
            )
        except GitError:
            return ""

    def listed(self) -> list[dict[str, Any]]:
        """Entries of versions.json."""
        return self.data("versions.json") or []

    def releases(self) -> list[str]:
        """Released versions, the newest first; the version being written is none."""
        found = [entry["version"] for entry in self.listed() if VERSION.fullmatch(entry["version"])]
        return sorted(found, key=order, reverse=True)

    def manifests(self) -> dict[str, dict[str, Any]]:
        """Version -> manifest, the oldest first: of all that were ever released here."""
        if not self.tree(MANIFESTS):
            return {}
        names = git(self.root, "ls-tree", "--name-only", f"{self.commit}:{MANIFESTS}").splitlines()
        versions = [
            name.removesuffix(".json")
            for name in names
            if VERSION.fullmatch(name.removesuffix(".json"))
        ]
        return {
            version: self.data(f"{MANIFESTS}/{version}.json")
            for version in sorted(versions, key=order)
        }

    def files(self, folder: str) -> dict[str, str]:
        """Path below a folder of the branch -> SHA-256."""
        listing = git_bytes(self.root, "ls-tree", "-r", "-z", f"{self.commit}:{folder}").decode(
            "utf-8"
        )
        blobs = {
            path: entry.split()[2]
            for entry, _, path in (row.partition("\t") for row in listing.split("\0"))
            if path
        }
        digests = sha256_of(self.root, set(blobs.values()))
        return {path: digests[blob] for path, blob in sorted(blobs.items())}


def published(root: Path) -> Published:
    """The branch of a repository: its own, or what was last fetched of the remote's."""
    for name in (f"refs/heads/{BRANCH}", f"refs/remotes/origin/{BRANCH}"):
        if commit := commit_of(root, name):
            return Published(root, commit)
    return Published(root, "")


def sha256_of(root: Path, blobs: Iterable[str]) -> dict[str, str]:
    """Git's name of a blob -> SHA-256 of its bytes. One at a time, so that a large branch needs no large memory."""
    found = {}
    with subprocess.Popen(
        ["git", "cat-file", "--batch"],
        cwd=root,
        env=git_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as reader:
        for blob in blobs:
            reader.stdin.write(f"{blob}\n".encode())
            reader.stdin.flush()
            size = int(reader.stdout.readline().split()[2])
            found[blob] = hashlib.sha256(reader.stdout.read(size)).hexdigest()
            reader.stdout.read(1)  # the line end after each
        reader.stdin.close()
    return found
