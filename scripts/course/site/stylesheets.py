"""One stylesheet instead of four, without the rules that no page of the site can use."""

from __future__ import annotations

import hashlib
import posixpath
import re
import subprocess
from pathlib import Path

from course import ROOT
from course.node import node_command

PURGE = Path(__file__).with_name("purge_css.mjs")
FOLDER = "assets/stylesheets"
ADDRESS = re.compile(r"url\((?P<quote>[\"']?)(?P<path>[^\"')]+)(?P=quote)\)")
# The theme knows tables by their having no class; theme_html gives them one.
THEME_TABLE, TABLE = "table:not([class])", "table.data"
SOURCE_MAP = re.compile(r"/\*# sourceMappingURL=.*?\*/")


def name_of(css: str) -> str:
    """Path of a stylesheet below the site; a browser that keeps the old one never takes it for the new one."""
    return f"{FOLDER}/site.{hashlib.sha256(css.encode()).hexdigest()[:8]}.css"


def join(sheets: dict[str, str], whole: set[str]) -> str:
    """Stylesheets in their order (path below the site -> text) as one that lies in FOLDER.

    `whole`: those of which `purge` may take nothing; it does not understand every selector.
    """

    def moved(path: str, css: str) -> str:
        def address(match: re.Match[str]) -> str:
            if re.match(r"data:|#|/|\w+://", match["path"]):
                return match[0]
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match["path"]))
            return f"url({posixpath.relpath(target, FOLDER)})"

        css = ADDRESS.sub(address, SOURCE_MAP.sub("", css)).strip().replace(THEME_TABLE, TABLE)
        return (
            f"/*! purgecss start ignore */\n{css}\n/*! purgecss end ignore */"
            if path in whole
            else css
        )

    return "\n".join(moved(path, css) for path, css in sheets.items()) + "\n"


def purge(site: Path, sheet: str) -> str:
    """Take out of the built site's stylesheet what neither its pages nor its scripts name; the new path.

    Raises RuntimeError with one Vietnamese line.
    """
    command = [*node_command(), str(PURGE), str(site), str(site / sheet)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0 or not done.stdout:
        raise RuntimeError(
            f"PurgeCSS dừng: {(done.stderr.strip().splitlines() or ['không có đầu ra'])[-1]}"
        )
    name = name_of(done.stdout)
    (site / sheet).unlink()
    (site / name).write_text(done.stdout, encoding="utf-8")
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if sheet in text:
            page.write_text(text.replace(sheet, name), encoding="utf-8")
    return name
