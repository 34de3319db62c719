"""The code can be read aloud: what ruff cannot see of it is refused here."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLING = sorted((ROOT / "scripts").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
EXAMPLES = sorted((ROOT / "examples").glob("*/*/*.py"))
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# Per 1,000 lines of code.
MOST_CONDITIONALS = 12
MOST_COMPREHENSIONS = 25
FLOORS = ("text node catalog", "records", "pages", "site", "versions", "cli new_lesson")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def holds(node: ast.AST, kinds: type | tuple[type, ...]) -> bool:
    """Is there a node of these kinds below this one?"""
    return any(isinstance(below, kinds) for below in ast.walk(node) if below is not node)


def complaint(node: ast.AST) -> str:
    """Why one piece of code cannot be read aloud; empty when it can."""
    if isinstance(node, ast.IfExp) and holds(node, ast.IfExp):
        return "a conditional inside a conditional"
    if isinstance(node, COMPREHENSIONS):
        if len(node.generators) > 1 or holds(node, COMPREHENSIONS):
            return "a nested or two-loop comprehension"
    if isinstance(node, ast.Call) and holds(node, ast.NamedExpr):
        return "a walrus inside a call"
    if isinstance(node, ast.Dict):
        if sum(isinstance(value, ast.Lambda) for value in node.values) > 1:
            return "a dictionary of lambdas"
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
        if isinstance(node.value, ast.Tuple) and len(node.value.elts) > 2:
            return "three things assigned on one line"
    return ""


@pytest.mark.parametrize("path", [*TOOLING, *TESTS, *EXAMPLES], ids=name_of)
def test_code_can_be_read_aloud(path):
    text = path.read_text(encoding="utf-8")
    found = []
    for node in ast.walk(ast.parse(text)):
        if complaint(node):
            found.append(f"{name_of(path)}:{node.lineno}: {complaint(node)}")
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > 100:
            found.append(f"{name_of(path)}:{number}: over 100 columns")
    assert found == []


def lines_of_code(text: str) -> int:
    """Lines that hold more than a comment or a string that stands alone (a docstring)."""
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    lines = set()
    previous = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        alone = token.type == tokenize.STRING and previous in skipped
        if token.type not in (*skipped, tokenize.ENDMARKER) and not alone:
            lines.update(range(token.start[0], token.end[0] + 1))
        previous = token.type
    return len(lines)


def test_the_tooling_is_no_denser_than_its_readers_like():
    lines = 0
    conditionals = 0
    comprehensions = 0
    for path in TOOLING:
        text = path.read_text(encoding="utf-8")
        lines += lines_of_code(text)
        for node in ast.walk(ast.parse(text)):
            conditionals += isinstance(node, ast.IfExp)
            comprehensions += isinstance(node, COMPREHENSIONS)
    assert conditionals * 1000 <= MOST_CONDITIONALS * lines, f"{conditionals} in {lines} lines"
    assert comprehensions * 1000 <= MOST_COMPREHENSIONS * lines, (
        f"{comprehensions} in {lines} lines"
    )


def floor_of(module: str) -> int:
    """The floor on which a module of the package `course` lies, counted from below."""
    room = module.split(".")[1]
    for number, rooms in enumerate(FLOORS):
        if room in rooms.split():
            return number
    return len(FLOORS)


def test_imports_point_down_the_pipeline():
    """cli → versions → site → pages → records → text, node, catalog."""
    wrong = []
    package = ROOT / "scripts/course"
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT / "scripts").with_suffix("").parts)
        if module == "course.__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course."):
                if floor_of(node.module) > floor_of(module):
                    wrong.append(f"{module} imports {node.module}")
    assert wrong == []
