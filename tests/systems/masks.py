"""Shows our own modules the standard library of another system: what that system lacks is not there.

What there is where, typeshed says, which mypy brings. Only imports that stand in modules of pydoredis and
rinterop are answered so. The standard library and other packages have code of their own for each system;
that code is not under test, and would not run here.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

MASKED = (
    *("errno", "fcntl", "grp", "mmap", "os", "pty", "pwd", "readline", "resource", "select", "selectors"),
    *("signal", "socket", "syslog", "termios", "time", "tty"),
)
"""Modules that differ between systems."""

FOR_TYPES = ("__future__", "_typeshed", "builtins", "collections.abc", "types", "typing", "typing_extensions")
"""What stubs import from these, the module itself has not."""


def put_on(platform: str, /, **changes: dict[str, Any]) -> None:
    """From now on, modules of ours import the other system's standard library.

    Args:
        platform: As `sys.platform` names it.
        changes: More that differs in a module: attributes by name; of what is None the module has none.
    """
    masks: dict[str, ModuleType | None] = {"sys": _Mask("sys", (), {"platform": platform})}
    for name in MASKED:
        there = _names(name, platform)
        masks[name] = _Mask(name, _names(name, "linux") - there, {}) if there else None
    for name, attributes in changes.items():
        mask = masks.setdefault(name, _Mask(name, (), {}))
        assert isinstance(mask, _Mask)
        mask.change(attributes)
    real = builtins.__import__

    def import_(
        name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        if name in masks and not level and _is_ours(globals):
            mask = masks[name]
            if mask is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return mask
        return real(name, globals, locals, fromlist, level)

    builtins.__import__ = import_


def _is_ours(where: dict[str, Any] | None) -> bool:
    return where is not None and str(where.get("__name__")).split(".")[0] in ("pydoredis", "rinterop")


class _Mask(ModuleType):
    """A module, of which some names are hidden and others are changed; all else is the real one's."""

    def __init__(self, name: str, hidden: Iterable[str], changed: dict[str, Any]) -> None:
        super().__init__(name)
        real = importlib.import_module(name)
        self.__dict__.update({"_real": real, "_hidden": {*hidden}, "_changed": {**changed}})

    def change(self, attributes: dict[str, Any]) -> None:
        """Change or, with None, hide more of it."""
        self._hidden.update(name for name, value in attributes.items() if value is None)
        self._changed.update({name: value for name, value in attributes.items() if value is not None})

    def __getattr__(self, name: str) -> Any:
        if name in self._hidden:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return self._changed[name] if name in self._changed else getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._real) if name not in self._hidden]


@functools.cache
def _names(module: str, platform: str) -> frozenset[str]:
    """The public names of a module of the standard library on a system; none if there is no such module."""
    found = importlib.util.find_spec("mypy")
    assert found is not None
    assert found.origin is not None
    library = Path(found.origin).parent / "typeshed" / "stdlib"
    stub = library / f"{module}.pyi"
    tree = ast.parse((stub if stub.exists() else library / module / "__init__.pyi").read_text())
    return frozenset(name for name in _defined(tree.body, platform) if not name.startswith("_"))


def _defined(body: Iterable[ast.stmt], platform: str) -> Iterator[str]:
    system = ModuleType("sys")
    system.__dict__.update(platform=platform, version_info=sys.version_info)
    for statement in body:
        if isinstance(statement, ast.If):
            holds = eval(compile(ast.Expression(statement.test), "typeshed", "eval"), {"sys": system})
            yield from _defined(statement.body if holds else statement.orelse, platform)
        elif isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id
        elif isinstance(statement, ast.Assign):
            yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.ImportFrom) and statement.module not in FOR_TYPES:
            yield from (alias.asname or alias.name for alias in statement.names if alias.name != "*")
