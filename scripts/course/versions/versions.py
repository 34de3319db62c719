"""List, verify and serve the published versions, from the branch as it stands."""

from __future__ import annotations

import argparse
import http.server
import os
import urllib.parse
from pathlib import Path

from mike.git_utils import GitError as MikeError
from mike.git_utils import read_file
from mike.server import GitBranchHTTPHandler

from course import ROOT
from course.records import record_book
from course.text import DEV, LATEST
from course.versions.branch import (
    BRANCH,
    MANIFESTS,
    Published,
    Refusal,
    command_line,
    published,
    require_repository,
)


def branch(root: Path) -> Published:
    """The published branch; refuses while nothing was published."""
    require_repository(root)
    found = published(root)
    if not found.commit:
        raise Refusal(
            2,
            f"chưa có bản nào: nhánh {BRANCH} chưa có ở đây (`git fetch origin {BRANCH}`, hay dev.py release).",
        )
    return found


def show(found: Published) -> int:
    """Print the versions, the newest first."""
    manifests = found.manifests()
    for entry in found.listed():
        version = entry["version"]
        manifest = manifests.get(version)
        parts = [version, ", ".join(entry["aliases"])]
        if manifest:
            parts += [
                f"phát hành {record_book.day(manifest['date'])} từ commit {manifest['commit'][:9]}",
                f"{len(manifest['files'])} tệp",
                f"kiểm chứng với {record_book.verified_line(manifest['verified'])}"
                if manifest["verified"]
                else "",
            ]
        elif version == DEV:
            parts.append("bản đang viết")
        print(" · ".join(filter(None, parts)))
    return 0


def problems(found: Published) -> list[str]:
    """What of the branch is not as its releases left it, one Vietnamese line each."""
    lines = []
    manifests, releases = found.manifests(), found.releases()
    for version, manifest in manifests.items():
        if not found.tree(version):
            lines.append(
                f"{version}: cả bản đã mất (gỡ có chủ ý thì gỡ cả {MANIFESTS}/{version}.json)"
            )
            continue
        if version not in releases:
            lines.append(f"{version}: không có trong versions.json")
        wanted, there = manifest["files"], found.files(version)
        for path in sorted(wanted.keys() | there.keys()):
            if path not in there:
                lines.append(f"{version}: {path} đã mất")
            elif path not in wanted:
                lines.append(f"{version}: {path} không có trong bản kê")
            elif wanted[path] != there[path]:
                lines.append(f"{version}: {path} đã bị sửa")
    lines += [
        f"{version}: không có bản kê {MANIFESTS}/{version}.json"
        for version in releases
        if version not in manifests
    ]
    if releases and found.tree(LATEST) != found.tree(releases[0]):
        lines.append(f"{LATEST}: không giống {releases[0]}, bản mới nhất")
    return lines


def verify(found: Published) -> int:
    """Compare every release with its manifest; 1 when something was altered."""
    lines = problems(found)
    for line in lines:
        print(line)
    count = len(found.manifests())
    print(
        f"{len(lines)} chỗ không đúng." if lines else f"{count} bản còn nguyên như lúc phát hành."
    )
    return 1 if lines else 0


def serve(found: Published, port: int, base: str) -> int:
    """Serve the branch as a host of static files does, with the root's 404.html for what is missing."""
    base = "/" + base.strip("/") + "/" if base.strip("/") else "/"
    os.chdir(found.root)  # where mike's handler calls git

    class Handler(GitBranchHTTPHandler):
        branch = found.commit

        def send_headers(self) -> str | None:
            place = urllib.parse.urlsplit(self.path)
            if not place.path.startswith(base):
                self.send_response(302)
                self.send_header("Location", base)
                self.end_headers()
                return None
            shown, self.path = self.path, "/" + self.path[len(base) :]
            sent = super().send_headers()
            self.path = shown
            return sent

        def send_header(self, keyword: str, value: str) -> None:
            moved = keyword == "Location" and not value.startswith(base)
            super().send_header(keyword, base + value.lstrip("/") if moved else value)

        def send_error(
            self, code: int, message: str | None = None, explain: str | None = None
        ) -> None:
            try:
                body = read_file(self.branch, "404.html") if code == 404 else None
            except MikeError:
                body = None
            if body is None:
                super().send_error(code, message, explain)
                return
            self.send_response(404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError:
        raise Refusal(
            2, f"cổng {port} đang bận hoặc bị cấm: hãy chọn cổng khác bằng --port."
        ) from None
    with server:
        print(
            f"→ Mọi phiên bản tại http://127.0.0.1:{server.server_port}{base} (Ctrl-C để dừng)",
            flush=True,
        )
        server.serve_forever()
    return 0


def main(words: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="dev.py versions", description="Các phiên bản đã phát hành."
    )
    parser.add_argument("action", nargs="?", default="list", choices=["list", "verify", "serve"])
    parser.add_argument("--port", type=int, default=8000, help="cổng của máy chủ")
    parser.add_argument("--base", default="/", help="đường dẫn con, ví dụ /ten-du-an/")
    parser.add_argument("--root", default=ROOT, help="gốc của dự án")
    args = parser.parse_args(words)
    found = branch(Path(args.root).resolve())
    if args.action == "serve":
        return serve(found, args.port, args.base)
    return verify(found) if args.action == "verify" else show(found)


if __name__ == "__main__":
    raise SystemExit(command_line(main))
