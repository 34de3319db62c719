"""Pages at old addresses that lead to new ones."""

from __future__ import annotations

import html
import posixpath

PAGE = """<!doctype html>
<html lang="vi">
<head>
<meta charset="utf-8">
<title>Trang đã chuyển</title>
<meta name="robots" content="noindex">
<meta name="viewport" content="width=device-width, initial-scale=1">
<script>
const to = new URL("{target}", location)
to.search = location.search
to.hash ||= location.hash
location.replace(to)
</script>
<noscript><meta http-equiv="refresh" content="0; url={target}"></noscript>
</head>
<body>
<h1>Trang đã chuyển</h1>
<p><a href="{target}">Đến trang mới</a></p>
</body>
</html>
"""


def files_of(old: str, is_folder: bool) -> list[str]:
    """Files that answer an old address, with and without `.md` and `.html`; a module's folder has
    its index too.
    """
    if is_folder:
        return [f"{old}/index.html", f"{old}/index.md/index.html", f"{old}/README.md/index.html"]
    return [f"{old}/index.html", f"{old}.md/index.html", f"{old}.html"]


def page(file: str, target: str) -> str:
    """HTML of the page at `file` (path in the site) that leads to `target` (address in the site,
    anchor and all).
    """
    address, _, anchor = target.partition("#")
    way = posixpath.relpath(address or ".", posixpath.dirname(file))
    if address in ("", ".") or address.endswith("/"):
        way += "/"
    if anchor:
        way += f"#{anchor}"
    return PAGE.format(target=html.escape(way))
