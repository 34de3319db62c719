"""Find, or install, a browser of the Chromium family for the tests.

As a script: prints the browser's path. Needs only the standard library.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAMES = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "chrome",
    "msedge",
]
MAC_APPS = ["Chromium", "Google Chrome", "Microsoft Edge"]
WINDOWS_PLACES = [
    "Google/Chrome/Application/chrome.exe",
    "Microsoft/Edge/Application/msedge.exe",
    "Chromium/Application/chrome.exe",
]
# Below Playwright's folder `chromium-<number>`; the names changed over its versions.
PLAYWRIGHT_PLACES = [
    "chrome-linux*/chrome",
    "chrome-mac*/*.app/Contents/MacOS/*",
    "chrome-win*/chrome.exe",
]
INSTALL_SECONDS = 900
# A fresh, silent browser that calls nobody.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_browser() -> Path | None:
    """Return a browser that starts; the one that CHROMIUM names comes first."""
    named = os.environ.get("CHROMIUM")
    if named and Path(named).is_file():
        return Path(named).absolute()
    return next((path.absolute() for path in _candidates() if _starts(path)), None)


def install_browser(python: str | Path = sys.executable) -> Path:
    """Install Chromium with what the platform offers; `python` is the one that may have Playwright.

    Raises RuntimeError with one line for the user.
    """
    ways = []
    if sys.platform == "linux" and shutil.which("apt-get"):
        apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
        if os.geteuid() != 0:
            apt = ["sudo", "-n", *apt]
        ways.append([[*apt, "update", "-q"], [*apt, "install", "-q", "-y", "chromium"]])
    ways.append([[str(python), "-m", "playwright", "install", "chromium"]])
    for commands in ways:
        for command in commands:
            _run(command)
        browser = find_browser()
        if browser:
            return browser
    raise RuntimeError(
        "Không cài được trình duyệt. Hãy tự cài Chromium, Google Chrome hoặc Microsoft Edge, "
        "hay chỉ ra bản có sẵn bằng biến môi trường CHROMIUM=/đường/dẫn."
    )


def _candidates() -> Iterator[Path]:
    """Yield the files that may be a browser, best first."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            yield Path(found)
    home = Path.home()
    if sys.platform == "darwin":
        for applications in (Path("/Applications"), home / "Applications"):
            for app in MAC_APPS:
                yield applications / f"{app}.app/Contents/MacOS/{app}"
        cache = home / "Library/Caches"
    elif os.name == "nt":
        for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"):
            if os.environ.get(variable):
                for place in WINDOWS_PLACES:
                    yield Path(os.environ[variable], place)
        cache = Path(os.environ.get("LOCALAPPDATA", home / "AppData/Local"))
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME", home / ".cache"))
    chosen = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    playwright = Path(chosen) if chosen else cache / "ms-playwright"
    for version in sorted(
        playwright.glob("chromium-*"), key=lambda path: (len(path.name), path.name), reverse=True
    ):
        for place in PLAYWRIGHT_PLACES:
            yield from version.glob(place)


def _starts(path: Path) -> bool:
    """Tell whether the file answers as a browser does: Ubuntu's `chromium` may be a stub that only names a snap."""
    if not path.is_file():
        return False
    if os.name == "nt":  # there, `--version` would open a window
        return True
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and any(character.isdigit() for character in answer.stdout)


def _run(command: list[str]) -> None:
    """Run one step of an installation; whether it worked is seen from the browser it leaves."""
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, timeout=INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)


if __name__ == "__main__":
    try:
        print(find_browser() or install_browser())
    except RuntimeError as problem:
        sys.exit(f"Lỗi: {problem}")
