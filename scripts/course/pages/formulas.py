"""Formulas: TeX to HTML with MathML, by KaTeX in one long-lived Node process, cached by content."""

from __future__ import annotations

import hashlib
import html
import json
import re
import subprocess
from pathlib import Path

from course import ROOT
from course.node import ensure_node_modules, node_command
from course.text import Refusal

SERVER = Path(__file__).with_name("katex_server.mjs")
KATEX = ROOT / "node_modules/katex/package.json"

# A formula as pymdownx.arithmatex leaves it in a page's HTML.
FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">'
    r"\s*\\(?P<open>[(\[])(?P<tex>.*?)\\[)\]]\s*</(?P=tag)>",
    re.DOTALL,
)


class FormulaError(Exception):
    """KaTeX refuses a formula; the message is KaTeX's."""


class Renderer:
    """Renders formulas.

    `cache`: a JSON file that git ignores. It is valid for one version of KaTeX and of the server.
    """

    def __init__(self, cache: Path) -> None:
        ensure_node_modules()
        version = json.loads(KATEX.read_text(encoding="utf-8"))["version"]
        options = SERVER.read_text(encoding="utf-8")
        self.key = hashlib.sha256((version + options).encode()).hexdigest()
        self.cache = cache
        self.known = self.read_cache()  # request -> {"html": …} or {"error": …}
        self.changed = False
        self.process: subprocess.Popen[str] | None = None

    def read_cache(self) -> dict[str, dict[str, str]]:
        """What an earlier build rendered; nothing when the cache is missing, damaged or of another
        KaTeX.
        """
        try:
            kept = json.loads(self.cache.read_text(encoding="utf-8"))
            if kept["key"] == self.key:
                return kept["formulas"]
        except (OSError, ValueError, KeyError):
            pass
        return {}

    def render(self, tex: str, display: bool) -> str:
        """HTML of one formula. Raises FormulaError."""
        request = json.dumps({"tex": tex, "display": display}, ensure_ascii=False)
        if request not in self.known:
            self.known[request] = self.ask(request)
            self.changed = True
        answer = self.known[request]
        if "error" in answer:
            raise FormulaError(answer["error"])
        return answer["html"]

    def ask(self, request: str) -> dict[str, str]:
        """The server's answer: one line for one line."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [*node_command(), str(SERVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                cwd=ROOT,
            )
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise Refusal("tiến trình KaTeX đã dừng; xem lỗi phía trên")
        return json.loads(answer)

    def close(self) -> None:
        """End the Node process and keep what it rendered."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None
        if self.changed:
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            content = json.dumps({"key": self.key, "formulas": self.known}, ensure_ascii=False)
            self.cache.write_text(content, encoding="utf-8")
            self.changed = False


def render_formulas(output: str, renderer: Renderer) -> str:
    """HTML of a whole page with each formula as KaTeX renders it."""

    def rendered(match: re.Match[str]) -> str:
        display = match["open"] == "["
        tex = html.unescape(match["tex"]).strip()
        try:
            shown = renderer.render(tex, display)
        except FormulaError:  # told with its line when the source was checked
            return match[0]
        focus = ' tabindex="0"' if display else ""  # a long one scrolls, by keyboard too
        return f'<{match["tag"]} class="arithmatex"{focus}>{shown}</{match["tag"]}>'

    return FORMULA.sub(rendered, output)
