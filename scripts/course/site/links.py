"""Links and anchors of the built site, followed offline by lychee."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from course.text import LATEST

PROGRAM = "lychee.exe" if sys.platform == "win32" else "lychee"


def broken(site: Path, base: str = "/") -> list[str]:
    """Links of the site's own pages that lead nowhere: one Vietnamese line each, with page, line
    and target.

    `base`: path of the site's address; 404.html is shown anywhere, so its links begin with it.
    """
    site = site.resolve()
    try:
        run = subprocess.run(command(site, base.strip("/")), capture_output=True, encoding="utf-8")
    except OSError as error:
        cure = "chạy: pip install -r requirements.txt"
        return [f"không kiểm được liên kết: không chạy được lychee ({error}); {cure}"]
    try:
        errors = json.loads(run.stdout)["error_map"]
    except (ValueError, KeyError):
        said = run.stderr.strip()
        return [f"không kiểm được liên kết: lychee dừng với mã {run.returncode}: {said}"]
    found = []
    for page, links in errors.items():
        shown = Path(page).relative_to(site).as_posix()
        for link in links:
            target = link["url"].removeprefix(site.as_uri())
            line = link["span"]["line"]
            found.append(f"site/{shown}:{line}: liên kết hỏng: {target}")
    return sorted(found)


def command(site: Path, base: str) -> list[str]:
    """The command line of lychee."""
    words = [
        str(Path(sysconfig.get_path("scripts")) / PROGRAM),
        "--offline",
        "--include-fragments=anchor-only",
        "--index-files=index.html",
        "--format=json",
        "--no-progress",
        f"--root-dir={site}",
        str(site),
        # The banner of an older version leads out of it, to the newest one beside it.
        "--exclude",
        f"^{re.escape(site.parent.as_uri())}/{LATEST}(/|$)",
    ]
    if base:
        address = re.escape(f"{site.as_uri()}/{base}")
        words += ["--remap", f"^{address}(?:/|$) {site.as_uri()}/"]
    return words
