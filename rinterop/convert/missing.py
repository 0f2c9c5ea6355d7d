"""What is missing: R's NA of each type, apart from NaN.

A missing *string* inside an array, and R's plain `NA`, which is logical, are `rinterop.NA`. The other four
types have a missing scalar of their own, named as in R, so that it goes back as what it was. Arrays of
numbers and logicals that have missing elements are `numpy.ma` arrays.
"""

from __future__ import annotations

from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from rinterop.values import NA, NA_INTEGER, NA_REAL, Character, Complex, Double, Integer, NAType
from rinterop.values.vectors import Vector, is_na_real


@final
class MissingScalar:
    """The type of `NA_integer_`, `NA_real_`, `NA_complex_`, `NA_character_`. Compare with `is` or `is_na`."""

    __slots__ = ("label",)
    label: str

    def __init__(self, label: str) -> None:
        self.label = label

    def __repr__(self) -> str:
        return self.label

    def __bool__(self) -> bool:
        raise TypeError(f"{self.label} is neither true nor false")

    def __copy__(self) -> MissingScalar:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> MissingScalar:
        return self

    def __reduce__(self) -> str:
        return self.label


NA_integer_: Final = MissingScalar("NA_integer_")
NA_real_: Final = MissingScalar("NA_real_")
NA_complex_: Final = MissingScalar("NA_complex_")
NA_character_: Final = MissingScalar("NA_character_")


def _scalar_of(values: NDArray[Any]) -> NDArray[Any]:
    values.flags.writeable = False
    return values


MISSING_VECTORS: Final[dict[MissingScalar, Vector]] = {
    NA_integer_: Integer(_scalar_of(np.array([NA_INTEGER], np.int32))),
    NA_real_: Double(_scalar_of(np.array([NA_REAL]))),
    NA_complex_: Complex(_scalar_of(np.array([NA_REAL, NA_REAL]).view(np.complex128))),
    NA_character_: Character((NA,)),
}
"""The R value of each."""


def is_na(value: object) -> Any:
    """Where values are missing; unlike R's `is.na()`, a NaN is not.

    Args:
        value: Anything that `to_python` gives: a scalar, an array, an `RArray`, a `Factor`, or a pandas
            Series or array.

    Returns:
        A bool for a scalar, else a boolean array of the same shape.
    """
    if isinstance(value, NAType | MissingScalar):
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    if isinstance(value, float):
        return bool(is_na_real(np.array([value]))[0])
    if isinstance(value, complex):
        return bool(is_na_complex(np.array([value]))[0])
    missing = getattr(value, "_is_na", None)
    if missing is not None:
        return missing()
    if isinstance(value, np.ndarray):
        return _array_is_na(value)
    if hasattr(value, "isna") and hasattr(value, "dtype"):  # pandas' arrays, Series and Index
        if isinstance(value.dtype, np.dtype) and value.dtype.kind in "fcO":
            return _array_is_na(np.asarray(value))
        return np.asarray(value.isna())
    return False


def _array_is_na(array: NDArray[Any]) -> NDArray[np.bool_]:
    if isinstance(array, np.ma.MaskedArray):
        mask: NDArray[np.bool_] = np.ma.getmaskarray(array)
        return mask
    if array.dtype == np.float64:
        return is_na_real(np.ascontiguousarray(array))
    if array.dtype == np.complex128:
        return is_na_complex(np.ascontiguousarray(array))
    if array.dtype.kind in "mM":
        found: NDArray[np.bool_] = np.isnat(array)
        return found
    if array.dtype.kind == "O":
        flags = [isinstance(item, NAType | MissingScalar) for item in array.ravel()]
        return np.array(flags, np.bool_).reshape(array.shape)
    return np.zeros(array.shape, np.bool_)


def is_na_complex(values: NDArray[np.complex128]) -> NDArray[np.bool_]:
    """Where either part of a contiguous array's numbers is R's NA."""
    parts = is_na_real(values.reshape(-1).view(np.float64)).reshape(-1, 2)
    return np.asarray(parts.any(axis=1)).reshape(values.shape)
