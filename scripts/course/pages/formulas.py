"""Formulas: TeX to HTML with MathML, by KaTeX in one long-lived Node process, cached by content."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

from course import ROOT
from course.node import ensure_node_modules, node_command

SERVER = Path(__file__).with_name("katex_server.mjs")


class FormulaError(Exception):
    """KaTeX refuses a formula; the message is KaTeX's."""


class Renderer:
    """Renders formulas. The cache file is valid for one version of KaTeX and of the server's options."""

    def __init__(self, cache: Path) -> None:
        """`cache`: a JSON file that this project ignores in git."""
        ensure_node_modules()
        katex = json.loads((ROOT / "node_modules/katex/package.json").read_text(encoding="utf-8"))[
            "version"
        ]
        self.key = hashlib.sha256((katex + SERVER.read_text(encoding="utf-8")).encode()).hexdigest()
        self.cache = cache
        self.process: subprocess.Popen[str] | None = None
        self.changed = False
        try:
            kept = json.loads(cache.read_text(encoding="utf-8"))
            self.known: dict[str, dict[str, str]] = (
                kept["formulas"] if kept["key"] == self.key else {}
            )
        except (OSError, ValueError, KeyError):
            self.known = {}

    def render(self, tex: str, display: bool) -> str:
        """HTML of one formula. Raises FormulaError."""
        request = json.dumps({"tex": tex, "display": display}, ensure_ascii=False)
        if request not in self.known:
            self.known[request] = self._ask(request)
            self.changed = True
        answer = self.known[request]
        if "error" in answer:
            raise FormulaError(answer["error"])
        return answer["html"]

    def _ask(self, request: str) -> dict[str, str]:
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [*node_command(), str(SERVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                cwd=ROOT,
            )
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("tiến trình KaTeX đã dừng; xem lỗi phía trên")
        return json.loads(answer)

    def close(self) -> None:
        """End the Node process and keep what it rendered."""
        if self.process is not None:
            assert self.process.stdin and self.process.stdout
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None
        if self.changed:
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            content = json.dumps({"key": self.key, "formulas": self.known}, ensure_ascii=False)
            self.cache.write_text(content, encoding="utf-8")
            self.changed = False
