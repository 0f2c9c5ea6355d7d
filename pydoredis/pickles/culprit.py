"""What inside of an object cannot be written: looked for part by part, once writing all of it has failed."""

from __future__ import annotations

import contextlib
import dis
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydoredis.pickles import dump, dump_by_value

MAX_DEPTH = 50
"""How far down is looked: whoever nests deeper gets the path so far."""

Part: TypeAlias = tuple[str, Any]
"""How a part is got at from the whole, and the part."""

Write: TypeAlias = Callable[[Any], object]
"""Writes a value as bytes, or raises."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """What keeps an object from being written.

    Attributes:
        path: How one gets at it from the object, as an expression: `x['conn'].lock`. Where that leads
            through a function, it begins with the function's variable.
        functions: Names of those functions, the last one first.
        kind: Its class.
        reason: What was raised.
    """

    path: str
    functions: tuple[str, ...]
    kind: str
    reason: str

    def __str__(self) -> str:
        used = "".join(f" used by {name}" for name in self.functions)
        return f"{self.path} (a {self.kind}{used}): {self.reason}"


def find(value: Any, name: str, error: BaseException, write: Write = dump_by_value) -> Culprit:
    """The innermost part of `value` that cannot be written.

    Args:
        value: What could not be written.
        name: What the path begins with.
        error: What was raised.
        write: Writes a value; by default it pickles.
    """
    path, functions, seen = name, list[str](), {id(value)}
    for _ in range(MAX_DEPTH):
        parts = [(step, part) for step, part in _parts(value) if id(part) not in seen]
        bad = _first_bad(parts, write)
        if bad is None:
            break
        (step, part), error = bad
        if isinstance(value, types.FunctionType):
            path, functions = step, [value.__qualname__.rpartition("<locals>.")[2], *functions]
        else:
            path += step
        value = part
        seen.add(id(value))
    kind = type(value)
    where = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return Culprit(path, tuple(functions), f"{where}{kind.__qualname__}", f"{type(error).__name__}: {error}")


def among(named: Mapping[str, Any], error: Exception) -> Culprit:
    """Which of these values cannot be pickled, and what in it.

    Args:
        named: The values, with what they are called.
        error: What was raised when all of them were to be pickled.
    """
    for name, value in named.items():
        complaint = _complaint(value, dump)
        if complaint is not None:
            return find(value, name, complaint)
    return find(dict(named), "", error)


def _first_bad(parts: Sequence[Part], write: Write) -> tuple[Part, Exception] | None:
    """The first part that cannot be written, found by halves: a list may be long."""
    error = _complaint([part for _, part in parts], write)
    if error is None:
        return None
    while len(parts) > 1:
        half = parts[: len(parts) // 2]
        complaint = _complaint([part for _, part in half], write)
        if complaint is None:
            parts = parts[len(half) :]
        else:
            parts, error = half, complaint
    (part,) = parts
    return part, _complaint(part[1], write) or error


def _complaint(value: Any, write: Write) -> Exception | None:
    try:
        write(value)
    except Exception as error:
        return error
    return None


def _parts(value: Any) -> Iterator[Part]:
    """What a value consists of, as far as it is pickled with it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield f"[{_shown(key)}]", item
        for key in value:
            yield f", key {_shown(key)}", key
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        yield from ((f".{name}", item) for name, item in zip(value._fields, value, strict=False))
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{place}]", item) for place, item in enumerate(value))
    elif isinstance(value, Set):
        yield from ((f", element {_shown(item)}", item) for item in value)
    elif isinstance(value, types.FunctionType):
        yield from _variables(value)
    elif isinstance(value, types.MethodType):
        yield ".__self__", value.__self__
        yield ".__func__", value.__func__
    elif isinstance(value, functools.partial):
        yield from ((f".args[{place}]", item) for place, item in enumerate(value.args))
        yield from ((f".keywords[{name!r}]", item) for name, item in value.keywords.items())
        yield ".func", value.func
    elif isinstance(value, (type, types.ModuleType)):
        yield from ((f".{name}", item) for name, item in vars(value).items())
    else:
        yield from _attributes(value)


def _variables(function: types.FunctionType) -> Iterator[Part]:
    """What a function takes along: of enclosing functions, of its module, and its defaults."""
    with contextlib.suppress(ValueError):  # a variable that has no value yet
        yield from inspect.getclosurevars(function).nonlocals.items()
    globals_ = function.__globals__
    yield from ((name, globals_[name]) for name in _global_names(function.__code__) if name in globals_)
    signature = inspect.signature(function, follow_wrapped=False)
    for parameter in signature.parameters.values():
        if parameter.default is not parameter.empty:
            yield f"default of {parameter.name}", parameter.default
    yield from ((f"attribute {name}", item) for name, item in vars(function).items())


def _global_names(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)


def _attributes(value: Any) -> Iterator[Part]:
    """What an object would be restored from."""
    reduced: Any = None
    with contextlib.suppress(Exception):
        reduced = value.__reduce_ex__(4)
    if not isinstance(reduced, tuple):
        return
    arguments, state = reduced[1], reduced[2] if len(reduced) > 2 else None
    states = state if isinstance(state, tuple) else (state,)  # attributes, and those in slots
    for one in states:
        if isinstance(one, Mapping):
            yield from ((f".{name}", item) for name, item in one.items())
        elif one is not None:
            yield ".__getstate__()", one
    yield from ((f".__reduce__()[1][{place}]", item) for place, item in enumerate(arguments or ()))
    for place in (3, 4):  # elements, and items
        if len(reduced) > place and reduced[place] is not None:
            yield from _elements(reduced[place], is_mapping=place == 4)


def _elements(elements: Iterable[Any], *, is_mapping: bool) -> Iterator[Part]:
    for place, element in enumerate(elements):
        yield (f"[{_shown(element[0])}]", element[1]) if is_mapping else (f"[{place}]", element)


def _shown(value: Any) -> str:
    with contextlib.suppress(Exception):
        text = repr(value)
        return text if len(text) <= 40 else f"{text[:40]}..."
    return f"<{type(value).__name__}>"
