"""Functions that methods of a class call, though they need that class: bound when their module is loaded.

`repr` of a value, say, shows all kinds of values, and so its module imports all their classes. A class can't
import it in turn. The class has a `Late` function instead, and the room's `__init__` binds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Late:
    """A function that is bound later.

    Args:
        name: What it is, for the error.

    Raises:
        RuntimeError: If it is called before that.
    """

    __slots__ = ("_function", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._function: Callable[..., Any] | None = None

    def bind(self, function: Callable[..., Any]) -> None:
        """Say which function it is."""
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        if self._function is None:
            raise RuntimeError(f"{self._name} is not loaded yet")
        return self._function(*arguments)
