"""Links and anchors of the built site, followed offline by lychee."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from course.text import LATEST


def broken(site: Path, base: str = "/") -> list[str]:
    """Links of the site's own pages that lead nowhere: one Vietnamese line each, with page, line and target.

    `base`: path of the site's address; 404.html is shown anywhere, so its links begin with it.
    """
    program = Path(sysconfig.get_path("scripts")) / (
        "lychee.exe" if sys.platform == "win32" else "lychee"
    )
    command = [
        str(program),
        "--offline",
        "--include-fragments=anchor-only",
        "--index-files=index.html",
    ]
    command += [
        "--format=json",
        "--no-progress",
        f"--root-dir={site.resolve()}",
        str(site.resolve()),
    ]
    # The banner of an older version leads out of it, to the newest one beside it.
    command += ["--exclude", f"^{re.escape(site.resolve().parent.as_uri())}/{LATEST}/?$"]
    here, base = site.resolve().as_uri(), base.strip("/")
    if base:
        command += ["--remap", f"^{re.escape(f'{here}/{base}')}(?:/|$) {here}/"]
    try:
        run = subprocess.run(command, capture_output=True, encoding="utf-8")
    except OSError as error:
        return [
            f"không kiểm được liên kết: không chạy được lychee ({error}); chạy: pip install -r requirements.txt"
        ]
    try:
        errors = json.loads(run.stdout)["error_map"]
    except (ValueError, KeyError):
        return [
            f"không kiểm được liên kết: lychee dừng với mã {run.returncode}: {run.stderr.strip()}"
        ]
    found = []
    for page, links in errors.items():
        shown = Path(page).relative_to(site.resolve()).as_posix()
        for link in links:
            target = link["url"].removeprefix(site.resolve().as_uri())
            found.append(f"site/{shown}:{link['span']['line']}: liên kết hỏng: {target}")
    return sorted(found)
