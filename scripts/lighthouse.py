"""Lighthouse on the built pages, as a phone and as a desktop meet them.

Shows scores; what must hold on every page stands in the tests. Exit code 1 when a page has less than 100 in
accessibility, best practices or SEO.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from browser import FLAGS, find_browser
from node_setup import ensure_node_modules, node_command
from static_server import QuietHandler, served

ROOT = Path(__file__).resolve().parent.parent
CLI = ROOT / "node_modules/lighthouse/cli/index.js"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
COMPRESSED = {".html", ".css", ".js", ".json", ".svg", ".xml", ".txt"}


class CompressingHandler(QuietHandler):
    """Compresses text and lets it be kept, as the hosts of such sites do."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the file; a folder with its index."""
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        self.send_response(200)
        if path.suffix in COMPRESSED:
            content = gzip.compress(content)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        self.wfile.write(content)


def scores(address: str, desktop: bool, chromium: Path) -> dict[str, object]:
    """The scores of one page, 0 to 100, and under `failed` the names of the audits that cost some."""
    command = [*node_command(), str(CLI), address, "--quiet", "--output=json", f"--chrome-flags={' '.join(FLAGS)}"]
    command += [f"--only-categories={','.join(CATEGORIES)}", *(["--preset=desktop"] if desktop else [])]
    environment = {**os.environ, "CHROME_PATH": str(chromium)}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, check=False)
    if done.returncode != 0:
        raise SystemExit(f"Lighthouse dừng ở {address}: {done.stderr.strip().splitlines()[-1]}")
    report = json.loads(done.stdout)
    found: dict[str, object] = {name: round(100 * report["categories"][name]["score"]) for name in CATEGORIES}
    weighted = [ref["id"] for name in CATEGORIES for ref in report["categories"][name]["auditRefs"] if ref["weight"]]
    found["failed"] = [name for name in weighted if (report["audits"][name]["score"] or 0) < 0.9]
    return found


def pages_of(site: Path, pattern: str) -> list[str]:
    """Addresses of the pages that are no redirects, below the site."""
    every = (path for path in sorted(site.rglob("index.html")) if "http-equiv" not in path.read_text(encoding="utf-8"))
    found = [path.parent.relative_to(site).as_posix() for path in every]
    return [page for page in ("" if page == "." else f"{page}/" for page in found) if pattern in f"/{page}"]


def main() -> int:
    """Build, serve, judge each page twice, print a table."""
    parser = argparse.ArgumentParser(prog="dev.py lighthouse", description="Chấm các trang đã dựng bằng Lighthouse.")
    parser.add_argument("pattern", nargs="?", default="", metavar="MẪU", help="một phần địa chỉ trang, ví dụ: glossary")
    pattern = parser.parse_args().pattern
    chromium = find_browser()
    if chromium is None:
        print("Không có trình duyệt: dev.py test cài một bản, hoặc đặt CHROMIUM=/đường/dẫn", file=sys.stderr)
        return 3
    ensure_node_modules(tests=True)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        with served(site, CompressingHandler) as home:
            address = f"{home}/"
            build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
            if subprocess.run(build, cwd=ROOT, env={**os.environ, "SITE_URL": address}, check=False).returncode != 0:
                return 1
            pages = pages_of(site, pattern)
            if not pages:
                print(f"Không có trang nào khớp «{pattern}».", file=sys.stderr)
                return 2
            print(f"{'điện thoại: nhanh/tiếp cận/cách làm/SEO':>42} {'máy tính':>18}  trang")
            for page in pages:
                both = [scores(address + page, desktop, chromium) for desktop in (False, True)]
                good &= all(one[name] == 100 for one in both for name in CATEGORIES[1:])
                phone, desk = ("/".join(f"{one[name]:>3}" for name in CATEGORIES) for one in both)
                failed = sorted({name for one in both for name in one["failed"]})
                print(f"{phone:>42} {desk:>18}  /{page} {' '.join(failed)}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
