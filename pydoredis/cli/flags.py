"""Commands and groups that make up for what some versions of typer do.

Some show `<bool>` behind flags in the help, as if they took a value. Some load pydantic (80 ms) to convert
the value of each option, also of those that were not given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand, TyperGroup


class Command(TyperCommand):
    """A command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters; see `_improved`."""
        return _improved(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters; see `_improved`."""
        return _improved(super().get_params(ctx))


def _improved(parameters: list[Any]) -> list[Any]:
    """Flags have nothing behind them. Simple values are converted here, where typer lets us."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        if "get_runtime_param" not in vars(parameter) and hasattr(parameter, "get_runtime_param"):
            converter = _Converter(parameter.type_descriptor.annotation, parameter.get_runtime_param)
            parameter.get_runtime_param = converter.itself
    return parameters


class _Converter:
    """Converts the value of a parameter.

    Args:
        kind: Its type.
        typers: Makes typer's own converter, which loads pydantic.
    """

    def __init__(self, kind: Any, typers: Callable[[], Any]) -> None:
        self._kind = kind
        self._typers = typers

    def itself(self) -> _Converter:
        """What typer asks for when it has a value."""
        return self

    def coerce(self, value: Any, **where: Any) -> Any:
        """The value as its type; typer itself converts what is not simple, and says what is wrong."""
        if value is None or (self._kind is str and isinstance(value, str)):
            return value
        if self._kind in (int, float) and isinstance(value, str):
            with contextlib.suppress(ValueError):
                return self._kind(value)
        if self._kind == list[str] and isinstance(value, list | tuple):
            return [*value]
        return self._typers().coerce(value, **where)
