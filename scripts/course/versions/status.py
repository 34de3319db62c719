"""The published versions: list them, and see whether each is as it was released."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from course.records import verified
from course.text import DEV, LATEST, Refusal, day
from course.versions.branch import (
    BRANCH,
    MANIFESTS,
    GitError,
    Published,
    git,
    published,
    require_repository,
)

# What `git diff-tree` says with one letter.
CHANGES = {"A": "được thêm sau khi phát hành", "D": "đã mất"}


def list_command(root: Path) -> int:
    """Print the versions, the newest first."""
    branch = require_published(root)
    manifests = branch.manifests()
    for entry in branch.listed():
        print(version_line(entry, manifests.get(entry["version"])))
    return 0


def version_line(entry: dict[str, Any], manifest: dict[str, Any] | None) -> str:
    """One entry of versions.json, and what the manifest of a release adds."""
    parts = [entry["version"], ", ".join(entry["aliases"])]
    if manifest:
        parts.append(f"phát hành {day(manifest['date'])} từ commit {manifest['commit'][:9]}")
        parts.append(f"{len(manifest['pages'])} trang")
        facts = verified.line(manifest["verified"])
        if facts:
            parts.append(f"kiểm chứng với {facts}")
    elif entry["version"] == DEV:
        parts.append("bản đang viết")
    return " · ".join(filter(None, parts))


def verify_command(root: Path) -> int:
    """Compare every release with its manifest; 1 when something was altered."""
    branch = require_published(root)
    problems = problems_of(branch)
    for problem in problems:
        print(problem)
    if problems:
        print(f"{len(problems)} chỗ không đúng.")
        return 1
    print(f"{len(branch.manifests())} bản còn nguyên như lúc phát hành.")
    return 0


def require_published(root: Path) -> Published:
    """The published branch; refuses while nothing was published."""
    require_repository(root)
    branch = published(root)
    if not branch.commit:
        cure = f"`git fetch origin {BRANCH}`, hay dev.py release"
        raise Refusal(f"chưa có bản nào: nhánh {BRANCH} chưa có ở đây ({cure}).", 2)
    return branch


def problems_of(branch: Published) -> list[str]:
    """What of the branch is not as its releases left it, one Vietnamese line each."""
    problems = []
    manifests = branch.manifests()
    releases = branch.releases()
    for version, manifest in manifests.items():
        present = branch.tree(version)
        if not present:
            both = f"gỡ có chủ ý thì gỡ cả {MANIFESTS}/{version}.json"
            problems.append(f"{version}: cả bản đã mất ({both})")
            continue
        if version not in releases:
            problems.append(f"{version}: không có trong versions.json")
        if present != manifest["tree"]:
            for change in changed_files(branch.root, manifest["tree"], present):
                problems.append(f"{version}: {change}")
    for version in releases:
        if version not in manifests:
            problems.append(f"{version}: không có bản kê {MANIFESTS}/{version}.json")
    if releases and branch.tree(LATEST) != branch.tree(releases[0]):
        problems.append(f"{LATEST}: không giống {releases[0]}, bản mới nhất")
    return problems


def changed_files(root: Path, released: str, present: str) -> list[str]:
    """What happened to which file between two trees."""
    # Vietnamese letters as they are: git would write them as numbers.
    words = ["-c", "core.quotePath=false", "diff-tree", "-r", "--name-status"]
    try:
        listing = git(root, *words, released, present)
    except GitError:  # a shallow clone, or a branch whose history was written anew
        return [f"đã bị sửa (ở đây không còn cây gốc {released[:9]} để nêu tên từng tệp)"]
    changes = []
    for row in listing.splitlines():
        letter, path = row.split("\t")
        changes.append(f"{path} {CHANGES.get(letter, 'đã bị sửa')}")
    return changes
