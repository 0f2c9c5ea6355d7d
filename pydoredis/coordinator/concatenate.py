"""R's `c`, `rbind` and `cbind` for what Python bodies return: scalars, arrays, lists, dicts, pandas objects.

None is left out, as R leaves out NULL; nothing but None gives None. However values are grouped into calls,
the result is the same: `c(c(x, y), z)` is `c(x, y, z)`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from rinterop import NA, NA_complex_, NA_integer_, NA_real_, RArray, RValue

Array = npt.NDArray[Any]

NUMBERS = (bool, int, float, complex)
INT64 = np.iinfo(np.int64)

MISSING: dict[str, Any] = {"b": NA, "i": NA_integer_, "f": NA_real_, "c": NA_complex_}
"""What is missing among numbers, by NumPy's kind of number."""


def c(*values: Any) -> Any:
    """The elements of all values in one vector.

    Numbers and arrays give a 1-D array (flattened row by row, as NumPy does it; R goes by columns).
    Lists and tuples are extended; strings and other objects are elements; with any of these, or with integers
    that need more than 64 bits, the result is a list. Dicts are merged. Series give a Series, in which a
    default index is numbered through. Where R's NA is among numbers the array is masked, and vectors with
    names keep them (`rinterop.RArray`).

    Raises:
        TypeError: For dicts, Series or data frames beside other things, and for R values.
        ValueError: If two dicts have a key in common.
    """
    present = _present("c", values)
    if not present:
        return None
    if any(isinstance(value, Mapping) for value in present):
        return merge(*present)
    if (pandas := _pandas_of(present)) is not None:
        return _series(pandas, present)
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
            raise TypeError(f"dicts can be merged with dicts only, not with a {_type_name(value)}")
        if clash := merged.keys() & value.keys():
            names = ", ".join(sorted(map(repr, clash)))
            raise ValueError(f'{names} has a value already; combine="update" would let the later one win')
        merged.update(value)
    return merged


def rbind(*values: Any) -> Any:
    """Vectors and matrices as rows of a matrix, or dicts, Series and data frames as rows of a data frame.

    A scalar or a 1-D array or list is one row; also when it is the only one. Nothing is recycled. A default
    index is numbered through; labels stay, and so do names of vectors from R. Dicts need pandas.

    Raises:
        TypeError: For pandas objects or dicts beside arrays, dicts without pandas, and R values.
        ValueError: If rows have different lengths.
    """
    present = _present("rbind", values)
    if any(isinstance(value, Mapping) for value in present):
        pandas: ModuleType | None = _imported_pandas()
    else:
        pandas = _pandas_of(present)
    if pandas is not None:
        return _bound(pandas, _row_frames(pandas, present), axis=0)
    return _stacked("rbind", present, axis=0)


def cbind(*values: Any) -> Any:
    """Vectors and matrices as the columns of one matrix, or Series and data frames as those of a data frame.

    As `rbind`, by columns. Rows of pandas objects are matched by their index.

    Raises:
        TypeError: For pandas objects beside arrays, and for dicts and R values.
        ValueError: If columns have different lengths.
    """
    present = _present("cbind", values)
    if any(isinstance(value, Mapping) for value in present):
        raise TypeError('combine="cbind" cannot use a dict; let the body return a pandas.Series or DataFrame')
    if (pandas := _pandas_of(present)) is not None:
        return _bound(pandas, _column_frames(pandas, present), axis=1)
    return _stacked("cbind", present, axis=1)


def _present(name: str, values: Sequence[Any]) -> list[Any]:
    for value in values:
        if isinstance(value, RValue):
            raise TypeError(
                f'combine="{name}" works on Python values, not on a {_type_name(value)} of R; '
                "use convert=True, or collect R values into a list"
            )
    return [value for value in values if value is not None]


def _type_name(value: Any) -> str:
    return type(value).__qualname__


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
    other = 1 - axis
    if len(lengths := {block.shape[other] for block in blocks}) > 1:
        what = "rows" if axis == 0 else "columns"
        found = ", ".join(map(str, sorted(lengths)))
        raise ValueError(f'combine="{name}": {what} have different lengths: {found}')
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
    if array.ndim < 2:
        return array.reshape((1, -1) if axis == 0 else (-1, 1))
    if array.ndim > 2:
        raise TypeError(f"an array of {array.ndim} dimensions is neither a vector nor a matrix")
    return array


# pandas


def _pandas_of(values: Sequence[Any]) -> ModuleType | None:
    """pandas, if one of `values` comes from there. Whoever made it has imported it."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not any(isinstance(value, (pandas.Series, pandas.DataFrame)) for value in values):
        return None
    return pandas


def _imported_pandas() -> ModuleType:
    try:
        import pandas
    except ImportError as exc:
        raise TypeError('combine="rbind" makes a data frame of dicts, and pandas is not installed') from exc
    return pandas


def _series(pandas: Any, values: Sequence[Any]) -> Any:
    for value in values:
        if not isinstance(value, pandas.Series):
            raise TypeError(f'combine="c" cannot put a {_type_name(value)} and a pandas.Series in one vector')
    return _bound(pandas, values, axis=0)


def _row_frames(pandas: Any, values: Sequence[Any]) -> list[Any]:
    """Data frames of the rows in `values`; dicts in a row share one, and so do Series."""

    def kind(value: Any) -> str:
        if isinstance(value, pandas.Series):
            return "series" if value.name is None else "named series"
        return "dict" if isinstance(value, Mapping) else "frame"

    frames: list[Any] = []
    for what, run in groupby(values, key=kind):
        if what != "frame":
            frames.append(pandas.DataFrame(list(run)))
            continue
        for value in run:
            _check_frame(pandas, value)
            frames.append(value)
    return frames


def _column_frames(pandas: Any, values: Sequence[Any]) -> list[Any]:
    frames = [value.to_frame() if isinstance(value, pandas.Series) else value for value in values]
    for frame in frames:
        _check_frame(pandas, frame)
    return frames


def _check_frame(pandas: Any, value: Any) -> None:
    if not isinstance(value, pandas.DataFrame):
        raise TypeError(f"a {_type_name(value)} is neither a row nor a column of a pandas.DataFrame")


def _bound(pandas: Any, pieces: Sequence[Any], axis: int) -> Any:
    """Pieces one after the other. A place without a label is labelled with its number, as R numbers rows."""
    indexes = [piece.axes[axis] for piece in pieces]
    labelled = [not _is_default(pandas, index) for index in indexes]
    bound = pandas.concat(pieces, axis=axis, ignore_index=not any(labelled))
    if any(labelled) and not all(labelled):
        labels: list[Any] = []
        for index, has_labels in zip(indexes, labelled, strict=True):
            labels.extend(index if has_labels else range(len(labels), len(labels) + len(index)))
        bound = bound.set_axis(labels, axis=axis)
    return bound


def _is_default(pandas: Any, index: Any) -> bool:
    return isinstance(index, pandas.RangeIndex) and index.start == 0 and index.step == 1
