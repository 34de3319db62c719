"""The pages that stand beside the versions, not in one: the way in, «not found», and a page that says it was removed.

They are written anew at every release, need nothing but themselves, and hold no address that only one host would know:
what they have to know of the host, they find out when they are shown.
"""

from __future__ import annotations

import html
import posixpath
from pathlib import Path
from typing import Any

from course.records import record_book

TEMPLATES = Path(__file__).resolve().parent / "templates"


def fill(name: str, **values: str) -> str:
    """A template with its `{{name}}` filled in."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    for key, value in {**values, "style": style}.items():
        text = text.replace(f"{{{{{key}}}}}", value)
    return text


def index(home: str) -> str:
    """The root's first page: leads to the default version."""
    return fill("index.html", home=html.escape(home))


def not_found(site: str, releases: dict[str, dict[str, Any]], home: str) -> str:
    """The root's 404.html. `releases`: version -> manifest, the newest first; `site`: address of the whole site."""
    rows = []
    for place, (version, manifest) in enumerate(releases.items()):
        facts = record_book.verified_line(manifest.get("verified", {}))
        about = ", ".join(filter(None, ["mới nhất" if place == 0 else "", facts]))
        rows.append(
            f'<li><a data-version="{version}" href="{html.escape(site)}{version}/">Bản {version}</a>'
            f"{f' <small>{html.escape(about)}</small>' if about else ''}</li>"
        )
    return fill(
        "404.html", site=html.escape(site), home=html.escape(home), versions="\n".join(rows)
    )


def gone(file: str, last: str, address: str) -> str:
    """HTML at `file` (path in a version) for a page that this version no longer has; release `last` still has it."""
    portal = posixpath.relpath(".", posixpath.dirname(file)) + "/"
    return fill(
        "gone.html",
        portal=portal,
        old=html.escape(f"{portal}../{last}/{address}"),
        last=html.escape(last),
    )
