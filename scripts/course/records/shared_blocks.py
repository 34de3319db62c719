"""Blocks that several examples need: each script carries its own copy, and this keeps the copies identical.

A block stands between `# --- khối dùng chung: NAME ---` and `# --- hết khối ---`. The copy in the first script, by
path, is the one that `--fix` writes into the others.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from course import ROOT

BLOCK = re.compile(
    r"(?ms)^# --- khối dùng chung: (?P<name>[\w-]+) ---\n(?P<body>.*?)^# --- hết khối ---$"
)


def differing(root: Path = ROOT) -> list[tuple[Path, str, str]]:
    """Copies that differ from the first: script, name of the block, the text that it should hold."""
    masters: dict[str, str] = {}
    wrong = []
    for script in sorted((root / "examples").glob("*/*/*.py")):
        for match in BLOCK.finditer(script.read_text(encoding="utf-8")):
            body = masters.setdefault(match["name"], match["body"])
            if match["body"] != body:
                wrong.append((script, match["name"], body))
    return wrong


def fix(root: Path = ROOT) -> None:
    """Write the first copy of each block over the others."""
    for script, name, body in differing(root):
        text = script.read_text(encoding="utf-8")
        match = next(match for match in BLOCK.finditer(text) if match["name"] == name)
        script.write_text(
            text[: match.start("body")] + body + text[match.end("body") :],
            encoding="utf-8",
            newline="\n",
        )


def main() -> int:
    """Command line: report, or mend with `--fix`."""
    for script, name, _ in differing():
        print(f"{script.relative_to(ROOT).as_posix()}: khối «{name}» khác bản đầu", file=sys.stderr)
    if "--fix" in sys.argv[1:]:
        fix()
    return 1 if differing() else 0


if __name__ == "__main__":
    sys.exit(main())
