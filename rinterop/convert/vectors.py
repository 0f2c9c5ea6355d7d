"""Atomic vectors and NumPy arrays, without regard to attributes.

Both directions share what can be shared: arrays made from vectors are read-only views wherever R's
representation is NumPy's, and read-only arrays become vectors without a copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rinterop.convert.missing import MissingScalar, is_na_complex
from rinterop.errors import ConversionError
from rinterop.values import (
    NA,
    NA_INTEGER,
    Character,
    Complex,
    Double,
    Integer,
    List,
    Logical,
    NAType,
    Raw,
    attributes_of,
    character,
)
from rinterop.values.vectors import NA_REAL_BITS, Vector, is_na_real

EXACT: Final = 2**53
"""Integers up to this size are doubles without loss."""


def to_array(vector: Vector) -> NDArray[Any]:
    """The elements as a one-dimensional array: masked if some are NA, of objects for strings and lists."""
    match vector:
        case Double():
            numbers = vector.values
            # The sum of a vector is NaN if any element is, and takes one pass that allocates nothing.
            with np.errstate(all="ignore"):
                suspicious = bool(np.isnan(np.sum(numbers)))
            return _masked(numbers, is_na_real(numbers)) if suspicious else numbers
        case Integer():
            whole = vector.values
            return _masked(whole, whole == NA_INTEGER) if _has_na_integer(whole) else whole
        case Logical():
            codes = vector.values
            truths: NDArray[np.bool_] = codes != 0
            if not _has_na_integer(codes):
                truths.flags.writeable = False
                return truths
            missing = codes == NA_INTEGER
            return _masked(truths & ~missing, missing)
        case Complex():
            return _masked(vector.values, is_na_complex(vector.values))
        case Raw():
            return np.frombuffer(vector.values, np.uint8)
        case Character() | List():
            return objects(vector.values)


def objects(items: Iterable[Any]) -> NDArray[Any]:
    """A one-dimensional array of objects, whatever they are: NumPy does not look inside."""
    items = items if isinstance(items, list | tuple) else list(items)
    array = np.empty(len(items), object)
    array[:] = items
    return array


def from_array(array: NDArray[Any], storage: type[Vector] | None = None, wide: bool = False) -> Vector:
    """The elements of a one-dimensional array as a vector, of type `storage` or else of what the dtype says.

    Arrays of times are not for this function. If `wide`, integers beyond R's own become `integer64` rather
    than doubles.

    Raises:
        ConversionError: If there is no such vector, or some elements have no place in it.
    """
    kind = array.dtype.kind
    if storage is None:
        if kind == "O":
            found = uniform(list(filled(array, NA)), wide)
            if found is None:
                raise ConversionError("an array of objects of several types: make it a list, or of one type")
            return found
        if wide and kind in "iu" and not _fits_int32(array):
            return integer64(array)
        storage = _storage(array)
    if storage is Logical:
        return Logical(frozen(_codes(_require(array, "b", storage))))
    if storage is Integer:
        return Integer(_integers(_require(array, "iu", storage)))
    if storage is Double:
        return Double(_doubles(_require(array, "iuf", storage)))
    if storage is Complex:
        return Complex(_complexes(_require(array, "fc", storage)))
    if storage is Raw:
        return Raw(np.ma.getdata(_require(array, "u", storage)).astype(np.uint8).tobytes())
    if storage is Character:
        return Character(tuple(_texts(filled(array, NA) if kind == "O" else array)))
    raise ConversionError(f"an array of dtype {array.dtype} has no form as an R {storage.__name__}")


def uniform(items: list[Any], wide: bool = False) -> Vector | None:
    """A vector of objects that all are strings, bools or numbers, missing ones apart; None if they are not.

    No element, or none but missing ones, makes a character vector, since R's character vectors are the only
    ones that become arrays of objects.

    Raises:
        ConversionError: If they are integers beyond what R's numbers hold exactly.
    """
    kinds = set(map(type, items))
    if kinds <= {str, NAType}:
        return Character(tuple(items))
    missing = [is_missing(item) for item in items]
    kinds = {type(item) for item, absent in zip(items, missing, strict=True) if not absent}
    if all(issubclass(kind, str) for kind in kinds):
        return Character(tuple(NA if absent else item for item, absent in zip(items, missing, strict=True)))
    for types, dtype in _INFERRED:
        if all(issubclass(kind, types) and (kind is not bool or dtype is np.bool_) for kind in kinds):
            filler = next(item for item, absent in zip(items, missing, strict=True) if not absent)
            data = [filler if absent else item for item, absent in zip(items, missing, strict=True)]
            return from_array(np.ma.array(_packed(data, dtype), mask=missing), wide=wide)
    return None


_INFERRED: Final[tuple[tuple[tuple[type, ...], Any], ...]] = (
    ((bool, np.bool_), np.bool_),
    ((int, np.integer), np.int64),
    ((int, float, np.integer, np.floating), np.float64),
    ((int, float, complex, np.number), np.complex128),
)


def _packed(items: list[Any], dtype: Any) -> NDArray[Any]:
    if dtype is np.float64:
        for item in items:
            if isinstance(item, int) and abs(item) > EXACT:
                raise ConversionError(too_big(item))
    try:
        return np.array(items, dtype)
    except OverflowError:
        raise ConversionError(too_big(max(items, key=abs))) from None


def is_missing(item: object) -> bool:
    """Whether an element of an array of objects stands for a missing one, in R's, Python's or pandas' way."""
    if item is None or isinstance(item, NAType | MissingScalar):
        return True
    # pandas need not be there to know its two markers by their types.
    return type(item).__name__ in ("NAType", "NaTType") and type(item).__module__.startswith("pandas.")


def too_big(number: int) -> str:
    """What to say about an integer that is no double."""
    return (
        f"{number} is beyond 2^53, where doubles are not exact: use float() to round it, str() to keep its"
        ' digits, or to_r(..., int64="integer64") for the type of R\'s bit64 package'
    )


def integer64(numbers: Any) -> Double:
    """Integers of 64 bits as R's package bit64 has them: class `integer64`.

    Args:
        numbers: Integers, or an array of them; masked elements are NA.

    Raises:
        ConversionError: If they are no integers within ±(2^63 - 1).
    """
    array = np.ma.atleast_1d(numbers) if np.ma.isMaskedArray(numbers) else np.atleast_1d(np.asarray(numbers))
    if array.ndim != 1:
        raise ConversionError("integer64() takes one number or a one-dimensional array")
    stored = int64_bits(array)
    return Double(stored, attributes=attributes_of(**{"class": character("integer64")}))


def int64_bits(array: NDArray[Any]) -> NDArray[np.float64]:
    """The doubles whose bits are these integers; a masked one is NA, -2^63."""
    data, mask = np.ma.getdata(array), np.ma.getmask(array)
    present = data if mask is np.ma.nomask else data[~mask]
    if data.dtype.kind not in "iu" or (present.size and int(present.max()) >= 2**63):
        raise ConversionError("integer64 holds integers up to 2^63 - 1")
    if present.size and int(present.min()) == NA_INTEGER64:
        raise ConversionError("-2^63 is how integer64 stores NA")
    stored = np.array(data, np.int64)
    stored[np.ma.getmaskarray(array)] = NA_INTEGER64
    return frozen(stored.view(np.float64))


NA_INTEGER64: Final = -(2**63)
"""How bit64 stores a missing integer."""


def filled(array: NDArray[Any], value: Any) -> NDArray[Any]:
    """The array with `value` where it is masked."""
    if not isinstance(array, np.ma.MaskedArray):
        return array
    data: NDArray[Any] = np.array(np.ma.getdata(array))
    data[np.ma.getmaskarray(array)] = value
    return data


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, now read-only."""
    array.flags.writeable = False
    return array


def with_na(numbers: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Set R's NA where `missing`, in place: through integers, as a float could lose the NaN's payload."""
    numbers.view(np.uint64)[missing] = NA_REAL_BITS
    return numbers


def _has_na_integer(numbers: NDArray[np.int32]) -> bool:
    return bool(numbers.size) and int(numbers.min()) == NA_INTEGER


def _masked(data: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[Any]:
    if not missing.any():
        return data
    masked: NDArray[Any] = np.ma.array(data, mask=missing, copy=False)
    return masked


def _storage(array: NDArray[Any]) -> type[Vector]:
    match array.dtype.kind:
        case "b":
            return Logical
        case "i" | "u":
            return Integer if _fits_int32(array) else Double
        case "f":
            return Double
        case "c":
            return Complex
        case "U" | "T":
            return Character
        case "S":
            raise ConversionError(
                "an array of byte strings: decode it (np.char.decode), or use bytes for raw data"
            )
        case "V":
            raise ConversionError(
                "a structured array: make it a dict of arrays, a Table or a pandas DataFrame"
            )
    raise ConversionError(f"an array of dtype {array.dtype} has no form in R: convert it with astype() first")


def _require(array: NDArray[Any], kinds: str, storage: type[Vector]) -> NDArray[Any]:
    if array.dtype.kind not in kinds:
        raise ConversionError(f"an array of dtype {array.dtype} has no form as an R {storage.__name__}")
    return array


def _present(array: NDArray[Any]) -> NDArray[Any]:
    present: NDArray[Any] = array.compressed() if isinstance(array, np.ma.MaskedArray) else array
    return present


def _fits_int32(array: NDArray[Any]) -> bool:
    present = _present(array)
    return not present.size or (int(present.min()) > NA_INTEGER and int(present.max()) < 2**31)


def _integers(array: NDArray[Any]) -> NDArray[np.int32]:
    if not _fits_int32(array):
        raise ConversionError("an integer vector holds integers within ±(2^31 - 1)")
    data = np.ma.getdata(array)
    return _owned(data, np.int32) if np.ma.getmask(array) is np.ma.nomask else frozen(_codes(array))


def _doubles(array: NDArray[Any]) -> NDArray[np.float64]:
    data = np.ma.getdata(array)
    if data.dtype.kind in "iu":
        present = _present(array)
        if present.size:
            largest = max(int(present.max()), -int(present.min()))
            if largest > EXACT:
                raise ConversionError(too_big(largest))
    elif data.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            narrowed = data.astype(np.float64)
        if not np.array_equal(narrowed, data, equal_nan=True):
            raise ConversionError(
                f"numbers of dtype {data.dtype} are not exact as doubles: astype(float) rounds"
            )
    numbers = _owned(data, np.float64)
    mask = np.ma.getmask(array)
    if mask is np.ma.nomask or is_na_real(numbers[mask]).all():
        return numbers
    return frozen(with_na(np.array(numbers), mask & ~is_na_real(numbers)))


def _complexes(array: NDArray[Any]) -> NDArray[np.complex128]:
    data = np.ma.getdata(array)
    if data.dtype.itemsize > 16:
        raise ConversionError(
            f"numbers of dtype {data.dtype} are not exact as R's complex: use astype(complex)"
        )
    numbers = _owned(data, np.complex128)
    mask = np.ma.getmask(array)
    if mask is np.ma.nomask or is_na_complex(numbers[mask]).all():
        return numbers
    numbers = np.array(numbers)
    with_na(numbers.view(np.float64), np.repeat(mask & ~is_na_complex(numbers), 2))
    return frozen(numbers)


def _codes(array: NDArray[Any]) -> NDArray[np.int32]:
    """Integers or truths as R stores them, in a new array."""
    codes: NDArray[np.int32] = np.ma.getdata(array).astype(np.int32)
    codes[np.ma.getmaskarray(array)] = NA_INTEGER
    return codes


def _owned(data: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """`data` as a contiguous, native, read-only array that nobody else can change."""
    if data.dtype == dtype and data.dtype.isnative and data.flags.c_contiguous and _nobody_writes(data):
        return data
    return frozen(np.array(data, dtype, order="C"))


def _nobody_writes(data: NDArray[Any]) -> bool:
    """Whether neither the array nor what it is a view of can be written to."""
    base: Any = data
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    return base is None or isinstance(base, bytes)


def _texts(array: NDArray[Any]) -> Iterable[str | NAType]:
    items: list[Any] = array.tolist()
    if set(map(type, items)) <= {str}:
        return items
    texts: list[str | NAType] = []
    for item in items:
        if isinstance(item, str):
            texts.append(item)
        elif is_missing(item) or isinstance(item, float):  # StringDType's missing value may be a NaN
            texts.append(NA)
        else:
            raise ConversionError(f"{type(item).__name__} among strings")
    return texts
