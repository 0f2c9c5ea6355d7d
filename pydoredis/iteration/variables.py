"""Global variables that a Python body has while its job runs."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydoredis.errors import ConfigError


def function_in(body: Any) -> types.FunctionType | None:
    """The Python function inside of a partial, a method, a callable object; None if there is none."""
    seen: Any = inspect.unwrap(body) if callable(body) else body
    while isinstance(seen, functools.partial):
        seen = inspect.unwrap(seen.func)
    seen = getattr(seen, "__func__", seen)
    if not isinstance(seen, types.FunctionType) and callable(seen):
        seen = inspect.unwrap(type(seen).__call__)
    return seen if isinstance(seen, types.FunctionType) else None


class Globals:
    """Global variables that a body has while its job runs, and that its module has no longer afterwards.

    Raises:
        ConfigError: If there are any, and the body is not written in Python.
    """

    def __init__(self, body: Any = None, variables: Mapping[str, Any] = MappingProxyType({})) -> None:
        function = function_in(body)
        if variables and function is None:
            raise ConfigError("export", tuple(variables), "left out, as the body is not written in Python")
        self._space: dict[str, Any] = {} if function is None else function.__globals__
        self._inside = dict(variables)
        self._outside: dict[str, Any] = {}

    def __enter__(self) -> None:
        self._outside = self._swap(self._inside)

    def __exit__(self, *_: object) -> None:
        self._inside = self._swap(self._outside)

    def _swap(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Set these variables (those that are `_ABSENT` are deleted); what they were before."""
        before = {name: self._space.get(name, _ABSENT) for name in values}
        for name, value in values.items():
            if value is _ABSENT:
                self._space.pop(name, None)
            else:
                self._space[name] = value
        return before


_ABSENT = object()
