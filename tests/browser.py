"""The browser that the tests drive: the one that CHROMIUM names, one of PATH, or a new one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock
from playwright.sync_api import sync_playwright

NAMES = ["chromium", "google-chrome", "google-chrome-stable", "microsoft-edge", "chrome", "msedge"]
# A fresh, silent browser that calls nobody.
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def find_browser() -> Path | None:
    """A browser of this machine; None when there is none. Not while Playwright runs."""
    for name in [os.environ.get("CHROMIUM", ""), *NAMES]:
        found = shutil.which(name)
        if found:
            return Path(found).absolute()
    with sync_playwright() as playwright:  # what `playwright install` brought
        own = Path(playwright.chromium.executable_path)
    return own if own.is_file() else None


def install_browser() -> Path:
    """Install Chromium with what the platform offers. Raises RuntimeError, one line."""
    commands = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
    if shutil.which("sudo"):
        apt = ["sudo", "-n", *apt]
    if shutil.which("apt-get"):
        commands = [[*apt, "update"], [*apt, "install", "chromium"], *commands]
    # One worker installs; the others wait and find what it brought.
    with FileLock(Path(tempfile.gettempdir(), "course-browser.lock")):
        while commands and not find_browser():
            subprocess.run(commands.pop(0), stdin=subprocess.DEVNULL)
        browser = find_browser()
    if browser is None:
        cure = "Hãy tự cài Chromium, hoặc chỉ ra bản có sẵn: CHROMIUM=/đường/dẫn"
        raise RuntimeError(f"Không cài được trình duyệt. {cure}")
    return browser
