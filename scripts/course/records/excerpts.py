"""Excerpts of a recipe: some of its functions, with everything of the file that they need to run.

A reader who pastes an excerpt has the import lines, the constants and the smaller functions that
it uses, and nothing else.
"""

from __future__ import annotations

import ast

from course.text import Refusal

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
COMMAND_LINE = "__name__"  # what `if __name__ == "__main__":` asks for


def excerpt(script: str, names: list[str]) -> str:
    """The code of these functions, classes or constants, and of what they use, in file order.

    Raises Refusal naming what the recipe has when one is missing.
    """
    statements = [node for node in ast.parse(script).body if not is_plumbing(node)]
    makers = {}  # name -> the statement that makes it
    for statement in statements:
        for name in names_made(statement):
            makers.setdefault(name, statement)
    missing = [name for name in names if name not in makers]
    if missing:
        raise Refusal(
            f"script không có {', '.join(missing)}; có: {', '.join(definitions(statements))}"
        )
    needed = set()
    used = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in used or name not in makers:
            continue
        used.add(name)
        statement = makers[name]
        needed.add(statement)
        if not is_import(statement):
            waiting += names_used(statement)
    imports = []
    blocks = []
    for statement in statements:
        if statement not in needed:
            continue
        if is_import(statement):
            imports.append(import_line(statement, used))
        else:
            blocks.append(statement)
    return joined(script, imports, blocks)


def is_plumbing(node: ast.stmt) -> bool:
    """Is it the docstring, the command line or `from __future__`, which an excerpt leaves out?"""
    if isinstance(node, ast.Expr):
        return True
    if isinstance(node, ast.ImportFrom):
        return node.module == "__future__"
    return isinstance(node, ast.If) and COMMAND_LINE in names_used(node)


def is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def names_made(node: ast.stmt) -> list[str]:
    """The names that a statement at the top of a file binds."""
    if isinstance(node, Definition):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [bound_name(alias) for alias in node.names]
    made = []
    for below in ast.walk(node):
        if isinstance(below, ast.Name) and isinstance(below.ctx, ast.Store):
            made.append(below.id)
        if isinstance(below, ast.Import | ast.ImportFrom):
            made += [bound_name(alias) for alias in below.names]
    return made


def bound_name(alias: ast.alias) -> str:
    """`torch` for `import torch.nn`, `np` for `import numpy as np`."""
    return alias.asname or alias.name.partition(".")[0]


def names_used(node: ast.stmt) -> list[str]:
    """Every name that is read in a statement."""
    return [below.id for below in ast.walk(node) if isinstance(below, ast.Name)]


def definitions(statements: list[ast.stmt]) -> list[str]:
    """Names of the functions and classes among statements."""
    return [node.name for node in statements if isinstance(node, Definition)]


def import_line(node: ast.Import | ast.ImportFrom, used: set[str]) -> str:
    """An import of nothing but what is used."""
    kept = [alias for alias in node.names if bound_name(alias) in used]
    if isinstance(node, ast.Import):
        return ast.unparse(ast.Import(kept))
    return ast.unparse(ast.ImportFrom(node.module, kept, node.level))


def joined(script: str, imports: list[str], blocks: list[ast.stmt]) -> str:
    """Imports, then constants and functions as they stand in the file, spaced as in a file."""
    lines = script.split("\n")
    text = "\n".join(imports)
    after_constant = False
    for block in blocks:
        first = first_line(block, lines)
        code = "\n".join(lines[first - 1 : block.end_lineno])
        is_constant = not isinstance(block, Definition)
        gap = "\n\n\n"
        if is_constant:
            gap = "\n" if after_constant else "\n\n"
        text += gap + code if text else code
        after_constant = is_constant
    return text


def first_line(node: ast.stmt, lines: list[str]) -> int:
    """The line (1-based) where a statement begins, its decorators and comment included."""
    first = node.lineno
    if isinstance(node, Definition):
        for decorator in node.decorator_list:
            first = min(first, decorator.lineno)
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    return first
