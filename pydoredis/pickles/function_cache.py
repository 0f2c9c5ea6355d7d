"""Pickles of functions that are the same as they were: to pickle one by value takes as long as a task.

A function by value consists of what it refers to: globals, variables of enclosing functions, defaults. The
cache notes which objects these were, and pickles the function again if one is another object now. Functions
that refer to anything that can change without becoming another object, a list say, are not kept.
"""

from __future__ import annotations

import sys
import types
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import cloudpickle

MOST_FUNCTIONS = 256
"""How many pickles are kept."""

Pickled = TypeVar("Pickled")

_ABSENT: Final = object()

_ATOMS = frozenset(
    {*map(type, (None, ..., NotImplemented)), bool, int, float, complex, str, bytes, types.ModuleType}
    | {types.BuiltinFunctionType}
)


@dataclass(frozen=True, slots=True)
class _Reference:
    """A variable that a function refers to, and the object that it was.

    Attributes:
        space: A function, a cell, or the global variables of a module.
        name: What is looked up in it.
        value: What was found.
    """

    space: Any
    name: str
    value: Any

    def holds(self) -> bool:
        """Whether it is that object still."""
        if isinstance(self.space, dict):
            return self.space.get(self.name, _ABSENT) is self.value
        return getattr(self.space, self.name, _ABSENT) is self.value


@dataclass(frozen=True, slots=True)
class _Kept(Generic[Pickled]):
    function: weakref.ref[types.FunctionType]
    references: tuple[_Reference, ...]
    registered: set[str]  # modules whose code is sent along
    pickled: Pickled


class FunctionCache(Generic[Pickled]):
    """For any threads.

    Args:
        pickle: Pickles a function. Raises what it likes.
    """

    def __init__(self, pickle: Callable[[Any], Pickled]) -> None:
        self._pickle = pickle
        self._kept: dict[int, _Kept[Pickled]] = {}

    def get(self, function: Any) -> Pickled:
        """The pickle of a function, or of anything else that can be called; raises what `pickle` raises."""
        kept = self._kept.get(id(function))
        registered = cloudpickle.list_registry_pickle_by_value()
        if (
            kept is not None
            and kept.function() is function
            and kept.registered == registered
            and all(reference.holds() for reference in kept.references)
        ):
            return kept.pickled
        pickled = self._pickle(function)
        references = _references(function)
        if references is not None:
            if len(self._kept) >= MOST_FUNCTIONS:
                self._kept.clear()
            self._kept[id(function)] = _Kept(weakref.ref(function), references, registered, pickled)
        return pickled


def _references(function: Any) -> tuple[_Reference, ...] | None:
    """All that a function refers to; None if something of that may change without becoming another object."""
    if not isinstance(function, types.FunctionType):
        return None
    references: list[_Reference] = []
    waiting, seen = [function], {id(function)}
    while waiting:
        one = waiting.pop()
        if one.__dict__ or one.__kwdefaults__:
            return None
        for reference in _of_one(one):
            references.append(reference)
            for value in reference.value if type(reference.value) is tuple else (reference.value,):
                if isinstance(value, types.FunctionType) and not _is_found(value):
                    if id(value) not in seen:
                        seen.add(id(value))
                        waiting.append(value)
                elif not _is_fixed(value):
                    return None
    return tuple(references)


def _of_one(function: types.FunctionType) -> Iterator[_Reference]:
    yield _Reference(function, "__code__", function.__code__)
    yield _Reference(function, "__defaults__", function.__defaults__)
    for cell in function.__closure__ or ():
        yield _Reference(cell, "cell_contents", getattr(cell, "cell_contents", _ABSENT))
    for name in _names(function.__code__):
        value = function.__globals__.get(name, _ABSENT)
        yield _Reference(function.__globals__, name, value)


def _names(code: types.CodeType) -> Iterator[str]:
    """Names that the code, and that of functions in it, may look up as global variables."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _is_fixed(value: Any) -> bool:
    """Whether an object is pickled in the same way as long as it is the same object."""
    kind = type(value)
    if kind in _ATOMS or kind is types.CodeType or value is _ABSENT:
        return True
    if kind is tuple:
        return all(map(_is_fixed, value))
    return isinstance(value, (type, types.FunctionType)) and _is_found(value)


def _is_found(value: Any) -> bool:
    """Whether a function or class is pickled by reference: under its name in its module."""
    if value.__module__ == "__main__":
        return False
    found: Any = sys.modules.get(value.__module__, _ABSENT)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, _ABSENT)
    return found is value
