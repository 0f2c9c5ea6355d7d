"""R values from Python ones, for those who write messages by hand. `None` and `NA` both mean missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rinterop.values.atoms import GLOBAL_ENV, MISSING_ARG, NULL, Symbol
from rinterop.values.base import NA, NAType, RValue
from rinterop.values.functions import Closure
from rinterop.values.pairs import Call, Cell, PairList
from rinterop.values.vectors import NA_INTEGER, NA_REAL_BITS, Character, Double, Integer, List, Logical, Raw

_T = TypeVar("_T", bound=np.generic)


def character(*texts: str | NAType | None) -> Character:
    """A character vector."""
    return Character(tuple(NA if text is None else text for text in texts))


def integer(*numbers: int | NAType | None) -> Integer:
    """An integer vector.

    Raises:
        OverflowError: If a number is not in -2^31+1 .. 2^31-1 (-2^31 itself is how R stores NA).
    """
    stored = []
    for number in numbers:
        if number is None or isinstance(number, NAType):
            stored.append(NA_INTEGER)
        elif abs(number) < 2**31:
            stored.append(number)
        else:
            raise OverflowError(f"{number} is no integer for R: use double()")
    return Integer(_frozen(np.array(stored, dtype=np.int32)))


def logical(*values: bool | NAType | None) -> Logical:
    """A logical vector."""
    stored = [NA_INTEGER if v is None or isinstance(v, NAType) else int(v) for v in values]
    return Logical(_frozen(np.array(stored, dtype=np.int32)))


def double(*numbers: float | NAType | None) -> Double:
    """A double vector."""
    array = np.array([0.0 if n is None or isinstance(n, NAType) else n for n in numbers], dtype=np.float64)
    bits = array.view(np.uint64)
    for index, number in enumerate(numbers):
        if number is None or isinstance(number, NAType):
            # Through the integer view: as a Python float the NaN could lose its payload.
            bits[index] = NA_REAL_BITS
    return Double(_frozen(array))


def raw(data: bytes | bytearray | memoryview) -> Raw:
    """A raw vector."""
    return Raw(bytes(data))


def list_(*values: RValue) -> List:
    """A list without names."""
    return List(values)


def named_list(values: Sequence[tuple[str, RValue]] = (), /, **by_name: RValue) -> List:
    """A list with names: `named_list(message=..., call=...)`; or from pairs, where names may repeat."""
    pairs = [*values, *by_name.items()]
    tags = character(*(name for name, _ in pairs))
    return List(tuple(value for _, value in pairs), attributes=attributes_of(names=tags))


def attributes_of(**by_name: RValue) -> PairList | None:
    """An attribute pairlist in the order given, None for none."""
    cells = tuple(Cell(value, Symbol(name)) for name, value in by_name.items())
    return PairList(cells) if cells else None


def symbol(name: str) -> Symbol:
    """A symbol."""
    return Symbol(name)


def call(function: str | RValue, *arguments: RValue, **named: RValue) -> Call:
    """A call: `call("sqrt", symbol("x"))`; named arguments follow the others."""
    head = Symbol(function) if isinstance(function, str) else function
    plain = tuple(Cell(argument) for argument in arguments)
    tagged = tuple(Cell(argument, Symbol(name)) for name, argument in named.items())
    return Call((Cell(head), *plain, *tagged))


def closure(formals: Mapping[str, RValue | None], body: RValue, environment: RValue = GLOBAL_ENV) -> Closure:
    """A function: `closure({"x": None, "y": double(2)}, call("+", symbol("x"), symbol("y")))`.

    Args:
        formals: Defaults by name of the argument; None for an argument without default.
        body: The expression it evaluates.
        environment: Where it looks for what is no argument.
    """
    cells = tuple(
        Cell(MISSING_ARG if default is None else default, Symbol(name)) for name, default in formals.items()
    )
    return Closure(PairList(cells) if cells else NULL, body, environment)


def formula(left: RValue | None, right: RValue, environment: RValue = GLOBAL_ENV) -> Call:
    """A formula, `left ~ right`, or `~ right` where `left` is None."""
    attributes = attributes_of(**{"class": character("formula"), ".Environment": environment})
    sides = (right,) if left is None else (left, right)
    return Call((Cell(Symbol("~"), attributes=attributes), *(Cell(side) for side in sides)))


def pairlist(*values: RValue, **named: RValue) -> RValue:
    """A pairlist; `NULL` if empty, as in R."""
    cells = (*(Cell(v) for v in values), *(Cell(v, Symbol(name)) for name, v in named.items()))
    return PairList(cells) if cells else NULL


def condition(message: str, *classes: str, call: RValue = NULL) -> List:
    """A condition object: `structure(class = classes, list(message =, call =))`."""
    tags = character("message", "call")
    attributes = PairList((Cell(tags, Symbol("names")), Cell(character(*classes), Symbol("class"))))
    return List((character(message), call), attributes=attributes)


def simple_error(message: str, call: RValue = NULL) -> List:
    """What `simpleError(message, call)` gives in R."""
    return condition(message, "simpleError", "error", "condition", call=call)


def _frozen(array: NDArray[_T]) -> NDArray[_T]:
    array.flags.writeable = False
    return array
