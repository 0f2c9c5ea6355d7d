"""What a loop may run over, besides any iterable of Python: R's `icount`, `idiv`, and pieces of tables.

All are lazy, and all but chunks of an iterator can be gone through again, as an inner loop needs it. Those
that know their length have `len()`.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from pydoredis.errors import ConfigError

T = TypeVar("T")


class Lazy(Generic[T]):
    """An iterable of known length.

    Args:
        length: How many elements there are.
        make: Gives an iterator each time the elements are gone through.
        shown: How it is shown.
        at_hand: Whether its elements are in memory (`is_at_hand`).
    """

    def __init__(
        self, length: int, make: Callable[[], Iterable[T]], shown: str, *, at_hand: bool = True
    ) -> None:
        self._length = length
        self._make = make
        self._shown = shown
        self.at_hand = at_hand

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        return iter(self._make())

    def __repr__(self) -> str:
        return self._shown


class _Batches:
    """Lists of `size` elements of an iterable whose length is not known."""

    def __init__(self, x: Iterable[Any], size: int) -> None:
        self._x = x
        self._size = size

    def __iter__(self) -> Iterator[list[Any]]:
        return _batches(self._x, self._size)


class Endless:
    """1, 2, 3 and so on."""

    def __iter__(self) -> Iterator[int]:
        return itertools.count(1)

    def __repr__(self) -> str:
        return "icount()"


def icount(n: int | None = None) -> Iterable[int]:
    """The integers from 1 to `n`, as in R; without `n` there is no end.

    >>> list(icount(3))
    [1, 2, 3]
    """
    return Endless() if n is None else range(1, n + 1)


def idiv(n: int, *, chunks: int | None = None, chunk_size: int | None = None) -> Lazy[int]:
    """`n` in parts that differ by one at most, larger ones first; as in R.

    Args:
        n: What is divided; with 0 or less there are no parts.
        chunks: How many parts. There are fewer if `n` is smaller.
        chunk_size: How large parts may be, instead.

    Raises:
        ConfigError: Unless exactly one of the two is given, and is at least 1.

    >>> list(idiv(10, chunks=3)), list(idiv(10, chunk_size=4))
    ([4, 3, 3], [4, 3, 3])
    """
    if (chunks is None) == (chunk_size is None):
        raise ConfigError("idiv", (chunks, chunk_size), "given chunks or chunk_size, and not both")
    n = max(n, 0)
    if chunks is None:
        count = math.ceil(n / _positive("chunk_size", chunk_size))
    else:
        count = min(n, _positive("chunks", chunks))
    size, larger = divmod(n, count) if count else (0, 0)
    return Lazy(
        count, lambda: (size + (part < larger) for part in range(count)), f"idiv({n}, chunks={count})"
    )


def chunks(x: Any, size: int) -> Iterable[Any]:
    """Pieces of `x` with `size` elements each, the last one with what is left.

    Args:
        x: A sequence or an array (the pieces are slices of it), a data frame (pieces of its rows), or any
            other iterable (the pieces are lists). Chunks of an iterator are an iterator, too.
        size: At least 1.

    Raises:
        ConfigError: If `size` is less.

    >>> list(chunks("abcdefgh", 3))
    ['abc', 'def', 'gh']
    """
    size = _positive("size", size)
    if isinstance(x, Iterator):
        return _batches(x, size)
    if not hasattr(x, "__len__"):
        return _Batches(x, size)
    sliceable = getattr(x, "iloc", x)
    starts = range(0, len(x), size)
    if hasattr(sliceable, "__getitem__") and not isinstance(x, Mapping):

        def make() -> Iterator[Any]:
            return (sliceable[at : at + size] for at in starts)
    else:

        def make() -> Iterator[Any]:
            return _batches(x, size)

    return Lazy(len(starts), make, f"chunks of {size}", at_hand=is_at_hand(x))


def rows(x: Any, chunk_size: int | None = None) -> Lazy[Any]:
    """The rows of a table, one by one or in blocks.

    Args:
        x: A two-dimensional array, what NumPy makes one of, or a pandas.DataFrame.
        chunk_size: Rows per block; the last has what is left.

    Returns:
        1-D arrays (of a data frame: Series, named by their labels); with `chunk_size`, tables.

    Raises:
        ConfigError: If `x` is no table, or `chunk_size` is below 1.
    """
    if hasattr(x, "iloc"):
        return _along("rows", x, x.shape[0], chunk_size, lambda at: x.iloc[at])
    array = _table("rows", x)
    return _along("rows", array, array.shape[0], chunk_size, lambda at: array[at])


def columns(x: Any, chunk_size: int | None = None) -> Lazy[Any]:
    """The columns of a table, one by one or in blocks; otherwise as `rows`."""
    if hasattr(x, "iloc"):
        return _along("columns", x, x.shape[1], chunk_size, lambda at: x.iloc[:, at])
    array = _table("columns", x)
    return _along("columns", array, array.shape[1], chunk_size, lambda at: array[:, at])


def cells(x: Any, order: Literal["C", "F"] = "C") -> Lazy[Any]:
    """The elements of an array of any shape, or of a pandas.DataFrame.

    Args:
        x: The array.
        order: "C" goes row by row, as NumPy does; "F" column by column, as R does.

    Raises:
        ConfigError: If `order` is something else.
    """
    if order not in ("C", "F"):
        raise ConfigError("order", order, '"C" or "F"')
    if hasattr(x, "iat"):
        # One by one, and not through an array: columns of a data frame have types of their own.
        height, width = x.shape
        if order == "C":
            return Lazy(x.size, lambda: (x.iat[i, j] for i in range(height) for j in range(width)), "cells")
        return Lazy(x.size, lambda: (x.iat[i, j] for j in range(width) for i in range(height)), "cells")
    array = np.asarray(x)
    return Lazy(array.size, lambda: (array if order == "C" else array.T).flat, "cells")


def known_size(iterable: Iterable[Any]) -> float | None:
    """How many elements there are, `math.inf` if there is no end, or None if that is not known."""
    if isinstance(iterable, (Endless, itertools.count, itertools.cycle)):
        return math.inf
    size = operator.length_hint(iterable, -1)
    return None if size < 0 else size


_AT_HAND = frozenset(
    {
        *(list, tuple, range, str, bytes, bytearray, dict, set, frozenset, deque, np.ndarray, Endless),
        *(itertools.count, itertools.repeat),
        *map(type, (iter([]), iter(()), iter(range(0)), iter(""), iter(b""), iter({}), iter(set()))),
        *map(type, ({}.keys(), {}.values(), {}.items(), iter({}.values()), iter({}.items()))),
    }
)


def is_at_hand(source: object) -> bool:
    """Whether the elements are in memory, so that taking the next one never waits and runs no user code.

    Exact types only: a subclass may do anything in `__iter__`.
    """
    if isinstance(source, Lazy):
        return source.at_hand
    return type(source) in _AT_HAND or type(source).__module__.partition(".")[0] == "pandas"


def _batches(x: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(x)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _along(
    what: str, table: Any, length: int, chunk_size: int | None, take: Callable[[Any], Any]
) -> Lazy[Any]:
    """What `take` gives for each place of `table`, or for each slice of `chunk_size` places."""
    at_hand = is_at_hand(table)
    if chunk_size is None:
        return Lazy(length, lambda: map(take, range(length)), what, at_hand=at_hand)
    size = _positive("chunk_size", chunk_size)
    starts = range(0, length, size)
    shown = f"{what}, {size} at a time"
    return Lazy(len(starts), lambda: (take(slice(at, at + size)) for at in starts), shown, at_hand=at_hand)


def _table(what: str, x: Any) -> Any:
    """`x` as an array of two dimensions; sparse matrices stay what they are."""
    array = x if hasattr(x, "shape") else np.asarray(x)
    if len(array.shape) != 2:
        raise ConfigError(what, x, f"of a table, and this has {len(array.shape)} dimension(s)")
    return array


def _positive(setting: str, value: int | None) -> int:
    if value is None or value < 1:
        raise ConfigError(setting, value, "at least 1")
    return value
