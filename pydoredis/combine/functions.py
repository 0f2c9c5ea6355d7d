"""How the values of a loop become one: the combine functions that have names, and what is known of each.

A combine function is called as `combine(accumulated, value, …)` and returns what is accumulated now; or, if
it takes one argument, once with the list of all values. A name stands for a function that knows NumPy and
libraries of data frames; `resolve` finds it.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pydoredis.combine.concatenate import c, cbind, merge, rbind
from pydoredis.errors import ConfigError

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Combine:
    """A combine function and how it may be called.

    Attributes:
        name: What it is called in messages.
        call: The function: any number of values in, one out.
        multicombine: Whether it takes more than two values at a time unless told otherwise.
        concatenates: Whether values are only put one after the other. Then it makes no difference how many
            values one call gets, and a lone value is put into shape, too (`"c"` of one number is a vector).
        start: Makes what is accumulated before the first value, where that is not the first value itself.
        at_end: Called with what is accumulated in the end, if there was any value.
    """

    name: str
    call: Function
    multicombine: bool = False
    concatenates: bool = False
    start: Callable[[], Any] | None = None
    at_end: Callable[[list[Any]], Any] | None = None


def resolve(combine: Function | str | None) -> Combine:
    """The combine function that is meant by a callable, a name or, for a list of all values, None.

    | name | what it does |
    |---|---|
    | `"c"` | one vector: see `pydoredis.combine.concatenate.c` |
    | `"list"`, `"append"` | a flat list with a place for each value; what no combine at all gives, too |
    | `"extend"` | one list of the elements of all values |
    | `"rbind"`, `"cbind"` | values are rows (columns) of a matrix or of a data frame |
    | `"update"`, `"merge"` | one dict; the last value for a key wins, or is an error |
    | `"+"`, `"-"`, `"*"`, `"/"`, `"&"`, `"|"` | Python's operators, from left to right |
    | `"and"`, `"or"` | truth; element by element for arrays |
    | `"min"`, `"max"` | the extreme of all elements, NaN if one is; a lone value is left as it is |
    | `"pmin"`, `"pmax"` | the extreme of each element, as NumPy's minimum and maximum |

    Those in the first five lines take many values at a time, as `c`, `rbind` and `cbind` do in R. `"list"` is
    flat, where `.combine = list` in R puts a list in a list with each call. Python's `list`, `sum` and
    `itertools.chain` mean `"list"`, `"+"` and `"extend"`.

    A function that takes one argument (`pandas.concat`, `", ".join`), or for a second one a setting
    (`numpy.concatenate`), is called once with the list of all values, after the last one.

    Raises:
        ConfigError: If there is no such name, or `combine` is no callable, or takes no values.
    """
    if combine is None:
        return NAMED["list"]
    if isinstance(combine, str):
        if combine not in NAMED:
            raise ConfigError("combine", combine, f"a callable or one of {', '.join(NAMED)}")
        return NAMED[combine]
    if not callable(combine):
        raise ConfigError("combine", combine, f"a callable or one of {', '.join(NAMED)}")
    # What chain makes of chains and values, one at a time, would be as deep as there are values.
    if combine is itertools.chain or getattr(combine, "__self__", None) is itertools.chain:
        return NAMED["extend"]
    if combine is list:
        return NAMED["list"]
    if combine is sum:
        return NAMED["+"]
    name = getattr(combine, "__name__", type(combine).__name__)
    if _takes_all_at_once(combine):
        return Combine(name, append, multicombine=True, concatenates=True, start=list, at_end=combine)
    return Combine(name, combine)


SETTINGS = frozenset(("axis", "dtype", "memory_pool", "type"))
"""Second arguments, in NumPy and pyarrow, of functions that take all values as their first one."""
WITHOUT_SIGNATURE: Mapping[str, frozenset[str]] = {
    "builtins": frozenset(("set", "frozenset", "dict")),
    "numpy": frozenset(("array", "asarray", "concatenate")),
}
"""Such functions as do not tell, in some versions, which arguments they take: by module and name."""


def _takes_all_at_once(combine: Function) -> bool:
    """Whether a function wants the list of all values.

    Raises:
        ConfigError: If it wants none.
    """
    try:
        parameters = list(inspect.signature(combine).parameters.values())
    except (TypeError, ValueError):
        module, name = getattr(combine, "__module__", None), getattr(combine, "__name__", "")
        return name in WITHOUT_SIGNATURE.get(str(module), ())
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return False
    places = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if not places:
        raise ConfigError("combine", combine, "a function of two values, or of the list of all values")
    second = places[1] if len(places) > 1 else None
    return second is None or (second.name in SETTINGS and second.default is not second.empty)


def append(accumulated: Iterable[Any], *values: Any) -> list[Any]:
    """A list of what is there, followed by each value as it is."""
    return [*accumulated, *values]


def extend(*values: Iterable[Any]) -> list[Any]:
    """One list of the elements of all values."""
    return [element for value in values for element in value]


def update(*values: Mapping[Any, Any]) -> dict[Any, Any]:
    """One dict; where a key comes twice, the last value stays."""
    updated: dict[Any, Any] = {}
    for value in values:
        updated.update(value)
    return updated


def smallest(*values: Any) -> Any:
    """The smallest element of all values; NaN if there is one, as R's `min`."""
    return _extreme(np.min, min, values)


def largest(*values: Any) -> Any:
    """The largest element of all values; NaN if there is one, as R's `max`."""
    return _extreme(np.max, max, values)


def _extreme(of_array: Function, of_scalars: Function, values: tuple[Any, ...]) -> Any:
    scalars = [of_array(np.asarray(value)) if _is_array(value) else value for value in values]
    # Python's min and max give a NaN or lose it, depending on the order.
    for scalar in scalars:
        if scalar != scalar:
            return scalar
    return of_scalars(scalars)


def both(*values: Any) -> Any:
    """Whether all values are true; element by element if there are arrays."""
    if any(map(_is_array, values)):
        return functools.reduce(np.logical_and, values)
    return all(values)


def either(*values: Any) -> Any:
    """Whether any value is true; element by element if there are arrays."""
    if any(map(_is_array, values)):
        return functools.reduce(np.logical_or, values)
    return any(values)


def _is_array(value: Any) -> bool:
    """Whether NumPy sees elements in it: arrays and what pandas has, not lists and not scalars."""
    return hasattr(value, "__array__") and np.ndim(value) > 0


def _folded(binary: Callable[[Any, Any], Any]) -> Function:
    """A function of two values as one of any number, from left to right."""

    def fold(*values: Any) -> Any:
        return functools.reduce(binary, values)

    return fold


def _concatenating(name: str, call: Function, start: Callable[[], Any] | None = None) -> Combine:
    return Combine(name, call, multicombine=True, concatenates=True, start=start)


NAMED: Mapping[str, Combine] = {
    one.name: one
    for one in (
        _concatenating("c", c),
        _concatenating("list", append, start=list),
        _concatenating("append", append, start=list),
        _concatenating("extend", extend, start=list),
        _concatenating("rbind", rbind),
        _concatenating("cbind", cbind),
        _concatenating("update", update, start=dict),
        _concatenating("merge", merge, start=dict),
        Combine("+", _folded(operator.add)),
        Combine("-", _folded(operator.sub)),
        Combine("*", _folded(operator.mul)),
        Combine("/", _folded(operator.truediv)),
        Combine("&", _folded(operator.and_)),
        Combine("|", _folded(operator.or_)),
        Combine("and", both),
        Combine("or", either),
        Combine("min", smallest),
        Combine("max", largest),
        Combine("pmin", _folded(np.minimum)),
        Combine("pmax", _folded(np.maximum)),
    )
}
"""All named combine functions, by name."""
