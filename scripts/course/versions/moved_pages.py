"""Where the pages of all releases are now: what `redirects.json` at the root of the published branch says.

An address is the way to a page below its version, as in `glossary/`; the portal's is empty. Frozen pages of every
release read this file, so its form is for ever: `{"schema": 1, "pages": {"old/": "new/", "gone/": ""}}`. An address
that it does not name is still where it was; one that leads to nothing (`""`) is gone, and the portal stands in for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from course.catalog import front_matter

SCHEMA = 1


def address_of(page: str) -> str:
    """Address of a page below docs/: `a/index.md` and `a.md` both answer at `a/`."""
    name = page.removesuffix(".md")
    name = name.removesuffix("index") if name == "index" or name.endswith("/index") else name
    return name and name.rstrip("/") + "/"


def normalised(old: object) -> str:
    """An address as an author writes it in `old:`, as readers ask for it."""
    return f"{str(old).strip().strip('/')}/"


def moved_by(docs: Path) -> dict[str, str]:
    """Old address -> new one, as the front matter of the pages says (`old:`)."""
    found = {}
    for page in sorted(docs.rglob("*.md")):
        for old in front_matter(page)[0].get("old") or ():
            found[normalised(old)] = address_of(page.relative_to(docs).as_posix())
    return found


def redirects(releases: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Old address -> address in the newest release, from the manifests (`pages`, `moved`) of all, the oldest first."""
    history = list(releases)
    if not history:
        return {}
    newest = set(history[-1]["pages"])
    known = {address for release in history for address in (*release["pages"], *release["moved"])}
    found = {
        address: follow(address, history, newest) for address in sorted(known - newest) if address
    }
    for address, target in found.items():
        if not target:
            found[address] = beside(address, found, newest)
    return found


def follow(address: str, history: list[dict[str, Any]], newest: set[str]) -> str:
    """Go from release to release, the oldest first, wherever a page was moved; empty when that ends nowhere."""
    for release in history:
        seen = {address}
        while (
            address not in release["pages"] and release["moved"].get(address, address) not in seen
        ):
            address = release["moved"][address]
            seen.add(address)
    return address if address in newest else ""


def beside(address: str, found: dict[str, str], newest: set[str]) -> str:
    """A page below a folder that moved moved with it, when it is there: notebooks follow their lesson."""
    parts = address.rstrip("/").split("/")
    for cut in range(len(parts) - 1, 0, -1):
        folder, rest = "/".join(parts[:cut]) + "/", "/".join(parts[cut:]) + "/"
        if found.get(folder) and found[folder] + rest in newest:
            return found[folder] + rest
    return ""


def last_with(address: str, releases: dict[str, dict[str, Any]]) -> str:
    """The newest release that has a page at this address; empty when none has. `releases`: the oldest first."""
    return next(
        (version for version in reversed(releases) if address in releases[version]["pages"]), ""
    )
