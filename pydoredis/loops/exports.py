"""What a body finds as global variables: `export`, as a mapping, as names, or as modules and functions.

Names are those of variables where the loop is run, as R's `.export` means variables where foreach is called.
"""

from __future__ import annotations

import contextlib
import enum
import inspect
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydoredis.errors import ConfigError
from pydoredis.iteration.variables import function_in


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
