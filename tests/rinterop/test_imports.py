"""Modules of rinterop import each other in one direction."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def modules() -> dict[str, ast.Module]:
    """The modules by name."""
    found = {}
    for path in sorted((ROOT / "rinterop").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imported(node: ast.AST, known: dict[str, ast.Module]) -> Iterator[str]:
    """Modules of rinterop that a statement imports."""
    if isinstance(node, ast.ImportFrom) and node.module in known:
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in known else node.module


def at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when a module is imported."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from at_import(node.orelse)
        elif isinstance(node, ast.If | ast.Try):
            yield from at_import([*node.body, *node.orelse])
        else:
            yield node


def reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    """Modules that importing `start` imports, itself left out unless it is in a circle."""
    found: set[str] = set()
    todo = [start]
    while todo:
        new = edges[todo.pop()] - found
        found |= new
        todo.extend(new)
    return found


def test_no_import_inside_of_a_function_hides_a_circle() -> None:
    known = modules()
    edges = {
        name: {to for node in at_import(tree.body) for to in imported(node, known)}
        for name, tree in known.items()
    }
    rooms = {name for name in known if f"{name}." in "".join(f"{other} " for other in known)}
    hidden = {
        (name, node.lineno, to)
        for name, tree in known.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        for to in imported(node, known)
        if isinstance(node, ast.ImportFrom) and name in reachable(to, edges) | {to}
    }
    assert not hidden
    circles = {name for name in known if name not in rooms and name in reachable(name, edges)}
    assert not circles
