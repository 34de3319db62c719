"""Blocks that several scripts need: each carries its own copy, and this keeps the copies identical.

A block stands between `# --- khối dùng chung: NAME ---` and `# --- hết khối ---`. The copy in the
first script, by path, is the one that the others must hold.
"""

from __future__ import annotations

import re
from pathlib import Path

from course.text import read

BLOCK = re.compile(
    r"(?ms)^# --- khối dùng chung: (?P<name>[\w-]+) ---\n(?P<body>.*?)^# --- hết khối ---$"
)


def differing(root: Path) -> list[tuple[Path, str, str]]:
    """Copies that differ from the first: script, name of the block, the text it should hold."""
    first: dict[str, str] = {}
    wrong = []
    for script in sorted((root / "examples").glob("*/*/*.py")):
        for match in BLOCK.finditer(read(script)):
            body = first.setdefault(match["name"], match["body"])
            if match["body"] != body:
                wrong.append((script, match["name"], body))
    return wrong


def fix(root: Path) -> list[tuple[Path, str]]:
    """Write the first copy of each block over the others; the scripts and blocks that changed."""
    mended = []
    for script, name, body in differing(root):
        text = read(script)
        for match in BLOCK.finditer(text):
            if match["name"] == name:
                text = text[: match.start("body")] + body + text[match.end("body") :]
                break
        script.write_text(text, encoding="utf-8", newline="\n")
        mended.append((script, name))
    return mended
