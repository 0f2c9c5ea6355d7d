"""R's `c`, `rbind` and `cbind` for what Python bodies return: scalars, arrays, lists, dicts, data frames.

Frames of pandas, polars and pyarrow stay what they are; each of these libraries has a module of its own.
None is left out, as R leaves out NULL; nothing but None gives None. However values are grouped into calls,
the result is the same: `c(c(x, y), z)` is `c(x, y, z)`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pydoredis.combine import bind_arrow, bind_pandas, bind_polars
from pydoredis.combine.kinds import full_name, of_one_length
from rinterop import NA, NA_complex_, NA_integer_, NA_real_, RArray, RValue, Table

Array = npt.NDArray[Any]

NUMBERS = (bool, int, float, complex)
INT64 = np.iinfo(np.int64)

MISSING: dict[str, Any] = {"b": NA, "i": NA_integer_, "f": NA_real_, "c": NA_complex_}
"""What is missing among numbers, by NumPy's kind of number."""


class Library(Protocol):
    """What binds the frames and columns of a library.

    Values are never None, and at least one of them is of the library. TypeError is raised for those that are
    not, or do not fit.
    """

    @property
    def NAME(self) -> str:  # noqa: N802
        """The library's module, which whoever made one of its values has imported."""

    def has(self, value: object) -> bool:
        """Whether this is one of its frames or columns. Called if its module is there."""

    def c(self, values: Sequence[Any], /) -> Any:
        """Columns one after the other."""

    def rbind(self, values: Sequence[Any], /) -> Any:
        """Frames one below the other."""

    def cbind(self, values: Sequence[Any], /) -> Any:
        """Frames and columns side by side."""


LIBRARIES: tuple[Library, ...] = (bind_pandas, bind_polars, bind_arrow)


def c(*values: Any) -> Any:
    """The elements of all values in one vector.

    Numbers and arrays give a 1-D array (flattened row by row, as NumPy does it; R goes by columns).
    Lists and tuples are extended; strings and other objects are elements; with any of these, or with integers
    that need more than 64 bits, the result is a list. Dicts are merged. Series of pandas and polars give a
    Series (a default index is numbered through), arrays of pyarrow an array. Where R's NA is among numbers
    the array is masked, and vectors with names keep them (`rinterop.RArray`).

    Raises:
        TypeError: For dicts, columns of a library or data frames beside other things, and for R values.
        ValueError: If two dicts have a key in common.
    """
    present = _present("c", values)
    if not present:
        return None
    if any(isinstance(value, Mapping) for value in present):
        return merge(*present)
    if (library := _library_of("c", present)) is not None:
        return library.c(present)
    if any(isinstance(value, RArray) for value in present):
        return _named(present)
    families = {_family(value) for value in present}
    if len(families) == 1 and families != {""} and not any(map(_is_huge, present)):
        return _joined(_vectors(present))
    return [element for value in present for element in _elements(value)]


def merge(*values: Any) -> dict[Any, Any]:
    """One dict of all dicts.

    Raises:
        TypeError: If a value is no mapping.
        ValueError: If a key comes twice; says which.
    """
    merged: dict[Any, Any] = {}
    for value in values:
        if not isinstance(value, Mapping):
            raise TypeError(f"dicts can be merged with dicts only, not with a {full_name(value)}")
        if clash := merged.keys() & value.keys():
            names = ", ".join(sorted(map(repr, clash)))
            raise ValueError(f'{names} has a value already; combine="update" would let the later one win')
        merged.update(value)
    return merged


def rbind(*values: Any) -> Any:
    """Vectors and matrices as rows of a matrix, or dicts, Series and data frames as rows of a data frame.

    A scalar or a 1-D array or list is one row; also when it is the only one. Nothing is recycled. Data frames
    stay of their kind (pandas, polars, pyarrow); their columns are matched by name, and what one of them has
    not is missing there. Dicts and pandas Series are rows of a pandas DataFrame. A default index is numbered
    through; labels stay, and so do names of vectors from R.

    Raises:
        TypeError: For frames of one kind beside those of another or beside arrays, columns whose types have
            none in common, dicts without pandas, and R values.
        ValueError: If rows have different lengths.
    """
    present = _present("rbind", values)
    if (library := _library_of("rbind", present)) is not None:
        return library.rbind(present)
    if any(isinstance(value, Mapping) for value in present):
        return bind_pandas.rbind(present)
    return _stacked("rbind", present, axis=0)


def cbind(*values: Any) -> Any:
    """Vectors and matrices as the columns of one matrix, or Series and data frames as those of a data frame.

    As `rbind`, by columns. Rows of pandas objects are matched by their index, those of others by their place.

    Raises:
        TypeError: For frames beside those of another kind or arrays, and for dicts and R values.
        ValueError: If columns have different lengths.
    """
    present = _present("cbind", values)
    if any(isinstance(value, Mapping) for value in present):
        raise TypeError('combine="cbind" cannot use a dict; let the body return a Series or a DataFrame')
    if (library := _library_of("cbind", present)) is not None:
        return library.cbind(present)
    return _stacked("cbind", present, axis=1)


def _present(name: str, values: Sequence[Any]) -> list[Any]:
    for value in values:
        if isinstance(value, RValue):
            raise TypeError(
                f'combine="{name}" works on Python values, not on a {full_name(value)} of R; '
                "use convert=True, or collect R values into a list"
            )
        if isinstance(value, Table):
            raise TypeError(
                f'combine="{name}" cannot use a data frame of R that is no pandas.DataFrame (pandas is not '
                "installed, or has none like it); collect the frames into a list"
            )
    return [value for value in values if value is not None]


def _library_of(name: str, values: Sequence[Any]) -> Library | None:
    """Whose frames or columns are among the values, if anybody's."""
    one_of_each = {type(value): value for value in values}.values()
    imported = [library for library in LIBRARIES if library.NAME in sys.modules]
    found = {library: value for value in one_of_each for library in imported if library.has(value)}
    if len(found) > 1:
        kinds = " and a ".join(map(full_name, found.values()))
        raise TypeError(f'combine="{name}" cannot put together a {kinds}')
    return next(iter(found), None)


# Vectors and matrices


def _family(value: Any) -> str:
    """Values of a family fit into one array. "n" for numbers, else NumPy's kind; "" for what needs a list."""
    if isinstance(value, (np.ndarray, np.generic)) and not isinstance(value, (str, bytes)):
        return "n" if value.dtype.kind in "biufc" else value.dtype.kind
    return "n" if isinstance(value, NUMBERS) or _missing_kind(value) else ""


def _missing_kind(value: Any) -> str:
    """NumPy's kind of number that is missing here; empty if `value` is anything else."""
    return next((kind for kind, missing in MISSING.items() if value is missing), "")


def _is_huge(value: Any) -> bool:
    """Whether an integer has no place in an array: NumPy would make it a float, or fail."""
    return isinstance(value, int) and not INT64.min <= value <= INT64.max


def _vectors(values: Sequence[Any]) -> list[Array]:
    """1-D arrays; scalars in a row share one."""
    vectors: list[Array] = []
    for is_array, run in groupby(values, key=lambda value: isinstance(value, np.ndarray)):
        if is_array:
            vectors.extend(array.ravel() for array in run)
        else:
            vectors.append(_vector(list(run)))
    return vectors


def _vector(scalars: list[Any]) -> Array:
    """Scalars as an array, masked where one is missing."""
    if all(isinstance(scalar, (*NUMBERS, np.generic)) for scalar in scalars):
        return np.array(scalars)
    missing = [_missing_kind(scalar) for scalar in scalars]
    filled = [np.zeros((), kind)[()] if kind else one for kind, one in zip(missing, scalars, strict=True)]
    return np.ma.array(filled, mask=[kind != "" for kind in missing])


def _named(values: Sequence[Any]) -> Any:
    """Vectors from R and others; an element without a name has an empty one, as in R."""
    pieces = [c(value.values if isinstance(value, RArray) else value) for value in values]
    joined = c(*pieces)
    own = [value.names if isinstance(value, RArray) else None for value in values]
    if not isinstance(joined, np.ndarray) or not any(own):
        return joined
    names = [name for piece, found in zip(pieces, own, strict=True) for name in found or [""] * len(piece)]
    return RArray(joined, names=names)


def _joined(arrays: Sequence[Array], axis: int = 0) -> Array:
    """One array; masked if one of `arrays` is."""
    masked = any(isinstance(array, np.ma.MaskedArray) for array in arrays)
    joined: Array = (np.ma.concatenate if masked else np.concatenate)(arrays, axis=axis)
    return joined


def _elements(value: Any) -> Sequence[Any]:
    """What a value adds to a list."""
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, (np.ndarray, np.generic)) and _family(value) == "n":
        elements: list[Any] = value.ravel().tolist()
        if np.ma.is_masked(value):
            return [MISSING[value.dtype.kind] if element is None else element for element in elements]
        return elements
    # Not tolist(): times in nanoseconds would become plain integers.
    return list(value.ravel()) if isinstance(value, np.ndarray) else [value]


def _stacked(name: str, values: Sequence[Any], axis: int) -> Any:
    if not values:
        return None
    blocks = [_block(value, axis) for value in values]
    of_one_length(name, [block.shape[1 - axis] for block in blocks])
    if len({_family(block) for block in blocks}) > 1:
        # NumPy would write numbers as text beside strings.
        blocks = [block.astype(object) for block in blocks]
    stacked = _joined(blocks, axis)
    return RArray(stacked, dimnames=labels) if any(labels := _labels(values, blocks, axis)) else stacked


def _labels(values: Sequence[Any], blocks: Sequence[Array], axis: int) -> tuple[list[str] | None, ...]:
    """Names of rows and of columns. Across the blocks, the first that has names gives them, as in R."""
    along: list[str] = []
    across: Sequence[Any] | None = None
    for value, block in zip(values, blocks, strict=True):
        dimnames: tuple[Any, ...] = (None, None)
        if isinstance(value, RArray) and block.size:
            both = value.dimnames if len(value.shape) == 2 else None
            dimnames = both or ((None, value.names) if axis == 0 else (value.names, None))
        along.extend(dimnames[axis] or [""] * block.shape[axis])
        across = across or dimnames[1 - axis]
    found = (along if any(along) else None, list(across) if across else None)
    return found if axis == 0 else found[::-1]


def _block(value: Any, axis: int) -> Array:
    """A value as some rows (axis 0) or columns (axis 1)."""
    if isinstance(value, RArray):
        value = value.values
    array: Array = np.asanyarray(value)
    if isinstance(value, (list, tuple)) and array.dtype.kind in "US":
        array = np.array(value, dtype=array.dtype if all(isinstance(one, str) for one in value) else object)
    if array.ndim == 0 and array.dtype == object and (isinstance(value, Iterable) or hasattr(value, "shape")):
        raise TypeError(f"a {full_name(value)} is neither a vector nor a matrix of NumPy")
    if array.ndim < 2:
        return array.reshape((1, -1) if axis == 0 else (-1, 1))
    if array.ndim > 2:
        raise TypeError(f"an array of {array.ndim} dimensions is neither a vector nor a matrix")
    return array
