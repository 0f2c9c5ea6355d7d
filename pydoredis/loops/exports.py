"""What a body finds as global variables: `export`, as a mapping, as names, or as modules and functions.

Names are those of variables where the loop is run, as R's `.export` means variables where foreach is called.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import inspect
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pydoredis.errors import ConfigError


class _ByName(enum.Enum):
    BY_NAME = "by name"


BY_NAME: Final = _ByName.BY_NAME
"""In place of the value of a variable that has yet to be looked up."""

_COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})

_FORMS = (
    'a list of names of variables, like ["K"], of modules, functions and classes, or a mapping {"k": value}'
)


@dataclass(frozen=True, slots=True)
class Exports:
    """Exports, whatever form they were given in.

    Attributes:
        variables: Values by name, or `BY_NAME`.
        modules: Modules whose code is sent along, by name.
        definitions: Which of the variables are functions and classes that were given without a name.
    """

    variables: Mapping[str, Any] = field(default_factory=dict)
    modules: Mapping[str, types.ModuleType] = field(default_factory=dict)
    definitions: frozenset[str] = frozenset()

    @classmethod
    def of(cls, export: Any) -> Exports:
        """Read what was given as the option.

        Raises:
            ConfigError: If it is no mapping and no list, or something in a list has no name.
        """
        if isinstance(export, Exports):
            return export
        if isinstance(export, Mapping):
            for name in export:
                if not isinstance(name, str):
                    raise ConfigError("export", name, "a text where it stands for a name")
            return cls(dict(export))
        if isinstance(export, (str, bytes)) or not isinstance(export, Iterable):
            raise ConfigError("export", export, _FORMS)
        variables: dict[str, Any] = {}
        modules: dict[str, types.ModuleType] = {}
        definitions = set()
        for thing in export:
            if isinstance(thing, str):
                variables[thing] = BY_NAME
            elif isinstance(thing, types.ModuleType):
                modules[thing.__name__] = thing
            elif str(getattr(thing, "__name__", "")).isidentifier():
                variables[thing.__name__] = thing
                definitions.add(thing.__name__)
            else:
                raise ConfigError("export", thing, 'given with a name: {"name": value}')
        return cls(variables, modules, frozenset(definitions))

    def over(self, others: Exports) -> Exports:
        """Both; of two with one name that of this."""
        return Exports(
            {**others.variables, **self.variables},
            {**others.modules, **self.modules},
            self.definitions | (others.definitions - self.variables.keys()),
        )

    def without(self, names: Iterable[str]) -> Exports:
        """Those with other names."""
        left_out = frozenset(names)
        return Exports(
            {name: value for name, value in self.variables.items() if name not in left_out},
            {name: module for name, module in self.modules.items() if name not in left_out},
            self.definitions - left_out,
        )

    def resolved(self, body: Any) -> Exports:
        """With the values of variables that were given by name.

        They are looked for among the local variables of the function that runs the loop, then in its module,
        then where the body is defined.

        Raises:
            ConfigError: If there is no such variable, or one with the name of a function or class is another.
        """
        unknown = [name for name, value in self.variables.items() if value is BY_NAME]
        if not unknown and not self.definitions:
            return self
        scopes = [*_scopes_of_caller(), *_scopes_of_body(body)]
        found = dict(self.variables)
        for name in unknown:
            for scope in scopes:
                if name in scope:
                    found[name] = scope[name]
                    break
            else:
                raise ConfigError(
                    "export", name, "the name of a variable, and there is none where the loop is run"
                )
        for name in self.definitions:
            there = next((scope[name] for scope in scopes if name in scope), found[name])
            if there is not found[name]:
                raise ConfigError(
                    "export",
                    found[name],
                    f'given with a name, as in {{"name": ...}}: it calls itself {name!r}, which is something '
                    "else where the loop is run",
                )
        return Exports(found, self.modules)


def _scopes_of_caller() -> Iterator[Mapping[str, Any]]:
    """Variables of the innermost function that is not ours."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == "pydoredis":
        frame = frame.f_back
    while frame.f_back is not None and frame.f_code.co_name in _COMPREHENSIONS:
        yield frame.f_locals
        frame = frame.f_back
    yield frame.f_locals
    yield frame.f_globals


def _scopes_of_body(body: Any) -> Iterator[Mapping[str, Any]]:
    function = function_in(body)
    if function is not None:
        with contextlib.suppress(ValueError):  # a variable of an enclosing function that has no value yet
            yield inspect.getclosurevars(function).nonlocals
        yield function.__globals__


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
