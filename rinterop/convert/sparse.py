"""Sparse matrices: those of R's package Matrix, and those of scipy.

A class of Matrix says four things with its letters: what is in it (`d`ouble, `l`ogical, patter`n`), its
structure (`g`eneral, `s`ymmetric, `t`riangular), and how it is stored (`C`olumns, `R`ows, `T`riplets), which
is the same in scipy: slots `i`, `p` and `x` are its `indices`, `indptr` and `data`. (Matrix: help pages
`dgCMatrix-class`, `dsCMatrix-class`, `diagonalMatrix-class`, `indMatrix-class`.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rinterop.convert import optional
from rinterop.convert.vectors import EXACT, frozen, too_big
from rinterop.errors import ConversionError, ExpansionError
from rinterop.values import (
    NA_INTEGER,
    NULL,
    S4,
    Double,
    Integer,
    List,
    Logical,
    NAType,
    RValue,
    attribute,
    attributes_of,
    character,
    class_,
    integer,
    list_,
    plain,
    strings,
)

_PACKAGE: Final = "Matrix"
_CLASS: Final = re.compile(r"([dln])([gst])([CRT])Matrix")
_S4_BIT: Final = 0x10
_SLOTS: Final = ("diag", "i", "p", "j", "Dim", "Dimnames", "x", "factors", "class")
"""In the order in which R has them."""
_LAYOUTS: Final = {"csc": "C", "csr": "R", "coo": "T"}

Names = Sequence["str | NAType"]
Dimnames = tuple["Names | None", "Names | None"]
"""Names of rows and of columns."""


class _UnknownFormError(Exception):
    """It is no matrix that scipy has a form for."""


# --- from R -----------------------------------------------------------------------------------------------


def from_s4(value: S4) -> Any | None:
    """A sparse array of scipy; None if it is something else, or scipy is not installed."""
    names = class_(value)
    if len(names) != 1 or strings(attribute(attribute(value, "class"), "package")) != (_PACKAGE,):
        return None
    if not optional.has_scipy():
        return None
    try:
        found = _matrix(value, names[0])
    except (_UnknownFormError, ExpansionError, ValueError):
        return None
    found.dimnames = _dimnames(value, is_symmetric=names[0][1:2] == "s")
    return found


def _matrix(value: S4, name: str) -> Any:
    sparse = optional.scipy_sparse()
    shape = tuple(int(size) for size in _integers(value, "Dim"))
    if len(shape) != 2:
        raise _UnknownFormError
    if name in ("ddiMatrix", "ldiMatrix"):
        ones: NDArray[Any] = np.ones(shape[0], np.float64 if name[0] == "d" else np.bool_)
        diagonal = ones if _letter(value, "diag") == "U" else _data(value, name[0], 0)
        return sparse.dia_array((diagonal[np.newaxis], [0]), shape=shape)
    if name in ("pMatrix", "indMatrix"):
        return _of_indices(value, shape)
    letters = _CLASS.fullmatch(name)
    if letters is None:
        raise _UnknownFormError
    kind, structure, layout = letters.groups()
    if layout == "T":
        rows, columns = _integers(value, "i"), _integers(value, "j")
        found = sparse.coo_array((_data(value, kind, len(rows)), (rows, columns)), shape=shape)
    else:
        make, inner = (sparse.csc_array, "i") if layout == "C" else (sparse.csr_array, "j")
        indices, starts = _integers(value, inner), _integers(value, "p")
        found = make((_data(value, kind, len(indices)), indices, starts), shape=shape)
        found.check_format()
    if structure == "s":
        return _mirrored(found)
    if structure == "t" and _letter(value, "diag") == "U":
        return _with_ones(found)
    return found


def _of_indices(value: S4, shape: tuple[int, ...]) -> Any:
    """A matrix of ones: one in each row, or with margin 2 in each column."""
    sparse = optional.scipy_sparse()
    places = _integers(value, "perm") - 1
    ones, starts = np.ones(len(places), np.bool_), np.arange(len(places) + 1, dtype=np.int32)
    by_column = attribute(value, "margin") is not NULL and int(_integers(value, "margin")[0]) == 2
    found = (sparse.csc_array if by_column else sparse.csr_array)((ones, places, starts), shape=shape)
    found.check_format()
    return found


def _mirrored(half: Any) -> Any:
    """A symmetric matrix, of its one half."""
    found = half.tocoo()
    rows, columns = found.row, found.col
    other = rows != columns
    both = (
        np.concatenate([rows, columns[other]]),
        np.concatenate([columns, rows[other]]),
    )
    data = np.concatenate([found.data, found.data[other]])
    return optional.scipy_sparse().coo_array((data, both), shape=half.shape).asformat(half.format)


def _with_ones(half: Any) -> Any:
    """A triangular matrix whose diagonal of ones is not stored."""
    found = half.tocoo()
    diagonal = np.arange(half.shape[0], dtype=np.int32)
    both = tuple(np.concatenate([axis, diagonal]) for axis in (found.row, found.col))
    data = np.concatenate([found.data, np.ones(half.shape[0], found.data.dtype)])
    return optional.scipy_sparse().coo_array((data, both), shape=half.shape).asformat(half.format)


def _data(value: S4, kind: str, count: int) -> NDArray[Any]:
    """What is at the places of a matrix."""
    if kind == "n":
        return np.ones(count, np.bool_)
    found = plain(attribute(value, "x"))
    if kind == "d" and isinstance(found, Double):
        return found.values
    if kind == "l" and isinstance(found, Logical) and not (found.values == NA_INTEGER).any():
        return np.not_equal(found.values, 0)
    raise _UnknownFormError


def _integers(value: S4, slot: str) -> NDArray[Any]:
    found = plain(attribute(value, slot))
    if not isinstance(found, Integer):
        raise _UnknownFormError
    return found.values


def _letter(value: S4, slot: str) -> str | NAType:
    found = strings(attribute(value, slot))
    if not found:
        raise _UnknownFormError
    return found[0]


def _dimnames(value: S4, *, is_symmetric: bool) -> Dimnames | None:
    """Names of rows and columns; None if there are none. Those of a symmetric matrix stand for both."""
    found = plain(attribute(value, "Dimnames"))
    if not isinstance(found, List) or len(found) != 2:
        return None
    rows, columns = (strings(names) for names in found.values)
    if is_symmetric:
        rows, columns = rows or columns, columns or rows
    return None if rows is None and columns is None else (rows, columns)


# --- to R -------------------------------------------------------------------------------------------------


def to_s4(matrix: Any) -> S4:
    """A matrix of R's package Matrix: by columns, rows or triplets as it is stored; any other by columns.

    Raises:
        ConversionError: If Matrix has no class for it.
    """
    if matrix.ndim != 2:
        raise ConversionError(f"sparse matrices of R have two dimensions, not {matrix.ndim}: reshape it")
    if max(*matrix.shape, matrix.nnz) >= 2**31:
        raise ConversionError(f"a sparse matrix of R has less than 2^31 rows, columns and values: {matrix!r}")
    kind, data_of = _kind(matrix)
    if matrix.format == "dia" and matrix.shape[0] == matrix.shape[1] and list(matrix.offsets) == [0]:
        diagonal = data_of(matrix.diagonal())
        return _s4(f"{kind}diMatrix", matrix, diag=character("N"), x=diagonal)
    found = matrix if matrix.format in _LAYOUTS else matrix.tocsc()
    layout = _LAYOUTS[found.format]
    name = f"{kind}g{layout}Matrix"
    if layout == "T":
        rows, columns = _indices(found.row), _indices(found.col)
        return _s4(name, matrix, i=rows, j=columns, x=data_of(found.data), factors=list_())
    if not found.has_canonical_format:
        found = found.copy()
        found.sum_duplicates()
    inner, starts = _indices(found.indices), _indices(found.indptr)
    if layout == "C":
        return _s4(name, matrix, i=inner, p=starts, x=data_of(found.data), factors=list_())
    return _s4(name, matrix, p=starts, j=inner, x=data_of(found.data), factors=list_())


def _kind(matrix: Any) -> tuple[str, Any]:
    """The letter of its class, and what makes a vector of its data."""
    kind = matrix.dtype.kind
    if kind == "b":
        return "l", lambda data: Logical(_kept(data, np.int32))
    if kind in "iu":
        values = matrix.tocoo().data if matrix.dtype.itemsize == 8 else np.zeros(0)
        beyond = values[(values > EXACT) | (values < -EXACT)]
        if beyond.size:
            raise ConversionError(too_big(int(beyond[0])))
    elif kind != "f" or matrix.dtype.itemsize > 8:
        raise ConversionError(
            f"sparse matrices of R hold doubles or logicals, and this one {matrix.dtype}: convert it before"
        )
    return "d", lambda data: Double(_kept(data, np.float64))


def _s4(name: str, matrix: Any, **slots: RValue) -> S4:
    class_name = character(name)
    named = type(class_name)(class_name.values, attributes=attributes_of(package=character(_PACKAGE)))
    shape = integer(*matrix.shape)
    everything = {**slots, "Dim": shape, "Dimnames": _dimnames_of(matrix), "class": named}
    in_order = {name: everything[name] for name in _SLOTS if name in everything}
    return S4(attributes=attributes_of(**in_order), gp=_S4_BIT)


def _dimnames_of(matrix: Any) -> List:
    """Those that it came with, if they still fit."""
    found = getattr(matrix, "dimnames", None)
    if found is None or len(found) != 2:
        return list_(NULL, NULL)
    fits = [names is None or len(names) == size for names, size in zip(found, matrix.shape, strict=True)]
    if not all(fits):
        return list_(NULL, NULL)
    return list_(*(NULL if names is None else character(*names) for names in found))


def _indices(places: NDArray[Any]) -> Integer:
    return Integer(_kept(places, np.int32))


def _kept(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """An array that nobody changes: the same one if it is read-only and has this type, else a copy."""
    if array.dtype == dtype and not array.flags.writeable:
        return array
    return frozen(np.array(array, dtype))
