"""Where the pages of all releases are now; pages that lead there; the pages beside the versions.

An address is the way to a page below its version, as in `glossary/`; the portal's is empty. Readers
of an old page are led to the same address in `latest`: so the newest version answers at every
address that a release ever had.
"""

from __future__ import annotations

import html
import posixpath
from pathlib import Path
from typing import Any

from course.catalog import as_list, front_matter
from course.records import verified
from course.site import redirects

TEMPLATES = Path(__file__).resolve().parent / "templates"

# Of its release, a manifest says here: `pages`, the addresses that had a page; `moved`, old -> new.
Manifest = dict[str, Any]


def address_of(page: str) -> str:
    """Address of a page below docs/: `a/index.md` and `a.md` both answer at `a/`."""
    name = page.removesuffix(".md")
    if name == "index":
        return ""
    return name.removesuffix("/index") + "/"


def moves_in(docs: Path) -> dict[str, str]:
    """Old address -> new one, as the front matter of the pages says (`old:`)."""
    moves = {}
    for page in sorted(docs.rglob("*.md")):
        for old in as_list(front_matter(page).get("old")):
            address = str(old).strip().strip("/")
            moves[f"{address}/"] = address_of(page.relative_to(docs).as_posix())
    return moves


def moved_addresses(releases: list[Manifest]) -> dict[str, str | None]:
    """Old address -> address in the newest release, None where the page is gone.

    `releases`: the manifests of all, the oldest first.
    """
    if not releases:
        return {}
    newest = set(releases[-1]["pages"])
    known: set[str] = set()
    for release in releases:
        known.update(release["pages"], release["moved"])
    targets: dict[str, str | None] = {}
    for address in sorted(known - newest - {""}):
        targets[address] = followed(address, releases, newest)
    for address, target in targets.items():
        if target is None:
            targets[address] = moved_with_folder(address, targets, newest)
    return targets


def followed(address: str, releases: list[Manifest], newest: set[str]) -> str | None:
    """Go from release to release wherever a page was moved; None when that ends nowhere."""
    for release in releases:
        seen = {address}  # pages that name each other's address would be followed for ever
        while address not in release["pages"]:
            target = release["moved"].get(address, address)
            if target in seen:
                break
            seen.add(target)
            address = target
    if address not in newest:
        return None
    return address


def moved_with_folder(address: str, targets: dict[str, str | None], newest: set[str]) -> str | None:
    """Where a page below a folder that moved is found again: notebooks follow their lesson."""
    parts = address.rstrip("/").split("/")
    for cut in range(len(parts) - 1, 0, -1):
        folder = "/".join(parts[:cut]) + "/"
        rest = "/".join(parts[cut:]) + "/"
        target = targets.get(folder)
        if target is not None and target + rest in newest:
            return target + rest
    return None


def last_release_with(address: str, manifests: dict[str, Manifest]) -> str:
    """The newest release that has a page at this address; empty when none has."""
    for version in reversed(manifests):
        if address in manifests[version]["pages"]:
            return version
    return ""


def redirect_files(manifests: dict[str, Manifest]) -> dict[str, str]:
    """File of the newest version -> HTML that leads on, or names the last release with the page."""
    files = {}
    for address, target in moved_addresses(list(manifests.values())).items():
        file = f"{address}index.html"
        last = last_release_with(address, manifests)
        if target is not None:
            files[file] = redirects.page(file, target)
        elif last:
            files[file] = removed_page(file, last, address)
    return files


def removed_page(file: str, last: str, address: str) -> str:
    """HTML at `file` (path in a version) for a page that release `last` was the last to have."""
    portal = posixpath.relpath(".", posixpath.dirname(file)) + "/"
    return filled(
        "gone.html",
        portal=portal,
        old=html.escape(f"{portal}../{last}/{address}"),
        last=html.escape(last),
    )


# Beside the versions: written anew at every release, with no address that only one host would know.


def index_page(home: str) -> str:
    """The root's first page: leads to the default version."""
    return filled("index.html", home=html.escape(home))


def not_found_page(site: str, home: str, releases: dict[str, Manifest]) -> str:
    """The root's 404.html.

    `site`: address of the whole site; `home`: the default version; `releases`: the newest first.
    """
    rows = []
    for version, manifest in releases.items():
        about = [verified.line(manifest["verified"])]
        if not rows:
            about.insert(0, "mới nhất")
        note = html.escape(", ".join(filter(None, about)))
        if note:
            note = f" <small>{note}</small>"
        address = f"{html.escape(site)}{version}/"
        rows.append(
            f'<li><a data-version="{version}" href="{address}">Bản {version}</a>{note}</li>'
        )
    return filled(
        "404.html", site=html.escape(site), home=html.escape(home), versions="\n".join(rows)
    )


def filled(name: str, **values: str) -> str:
    """A template with its `{{name}}` filled in."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    for key, value in {**values, "style": style}.items():
        text = text.replace(f"{{{{{key}}}}}", value)
    return text
