"""Vectors: NumPy arrays, tuples and bytes with R's attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rinterop.late import Late
from rinterop.values.atoms import NULL
from rinterop.values.base import NA, NAType, RValue
from rinterop.values.pairs import PairList

names_of = Late("rinterop.values.accessors")

NA_INTEGER: Final = -(2**31)
"""How a missing integer or logical is stored."""
NA_REAL_BITS: Final = 0x7FF0_0000_0000_07A2
"""How a missing double is stored: the NaN whose low word is 1954."""
NA_REAL: Final = float(np.array(NA_REAL_BITS, dtype=np.uint64).view(np.float64))
"""A missing double. Python cannot tell it from other NaNs with ==; see `is_na_real`."""
S4_BIT: Final = 0x10
"""gp bit of S4 objects."""


def is_na_real(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where doubles are R's NA and not just NaN: a NaN with the low word 1954, quiet or not."""
    low_words = values.view(np.uint64) & np.uint64(0xFFFF_FFFF)
    found: NDArray[np.bool_] = np.isnan(values) & (low_words == np.uint64(1954))
    return found


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Attributed(RValue):
    """Anything that carries attributes.

    Attributes:
        attributes: Pairlist of attributes in their order, or None.
        gp: The object's 16 gp bits as found (0x10: S4 object).
        is_object: R's object bit, which decides whether methods are dispatched; None, the usual case:
            it is set exactly if there is a class attribute.
    """

    attributes: PairList | None = None
    gp: int = 0
    is_object: bool | None = None

    def _facts(self) -> tuple[object, ...]:
        return (self.gp, self.is_object)

    def _parts(self) -> tuple[RValue | None, ...]:
        return (self.attributes,)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _ArrayVector(Attributed):
    """A vector over a one-dimensional, read-only NumPy array; a matrix has a `dim` attribute."""

    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    def _facts(self) -> tuple[object, ...]:
        return (self.values, self.gp, self.is_object)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Integer(_ArrayVector):
    """`values`: int32, native byte order; NA is -2^31."""

    values: NDArray[np.int32]

    def __getitem__(self, index: int) -> int | NAType:
        value = int(self.values[index])
        return NA if value == NA_INTEGER else value


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Logical(_ArrayVector):
    """`values`: int32, native byte order; 0 is FALSE, NA is -2^31, anything else TRUE."""

    values: NDArray[np.int32]

    def __getitem__(self, index: int) -> bool | NAType:
        value = int(self.values[index])
        return NA if value == NA_INTEGER else value != 0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Double(_ArrayVector):
    """`values`: float64, native byte order, with the bits of NaNs as R wrote them (`is_na_real`)."""

    values: NDArray[np.float64]

    def __getitem__(self, index: int) -> float:
        return float(self.values[index])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Complex(_ArrayVector):
    """`values`: complex128, native byte order; NA in either part makes the number NA."""

    values: NDArray[np.complex128]

    def __getitem__(self, index: int) -> complex:
        return complex(self.values[index])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Raw(Attributed):
    """Bytes."""

    values: bytes

    def __len__(self) -> int:
        return len(self.values)

    def __bytes__(self) -> bytes:
        return self.values

    def __getitem__(self, index: int) -> int:
        return self.values[index]

    def _facts(self) -> tuple[object, ...]:
        return (self.values, self.gp, self.is_object)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Character(Attributed):
    """Strings. An element is NA, a plain `str`, or an `RText` where bytes or mark are unusual."""

    values: tuple[str | NAType, ...]

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[str | NAType]:
        return iter(self.values)

    def __getitem__(self, index: int) -> str | NAType:
        return self.values[index]

    def _facts(self) -> tuple[object, ...]:
        return (self.values, self.gp, self.is_object)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class List(Attributed):
    """A generic vector. Elements are found by position and, if it has names, by name."""

    values: tuple[RValue, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[RValue]:
        return iter(self.values)

    def __getitem__(self, key: int | str) -> RValue:
        if isinstance(key, str):
            for name, value in zip(names_of(self) or (), self.values, strict=False):
                if name is not NA and name == key:
                    return value
            raise KeyError(key)
        return self.values[key]

    def get(self, name: str, default: RValue = NULL) -> RValue:
        """The first element of that name, or `default`: R's `x[[name]]` on a list."""
        try:
            return self[name]
        except KeyError:
            return default

    def _parts(self) -> tuple[RValue | None, ...]:
        return (*self.values, self.attributes)


class Expression(List):
    """What `expression()` and `parse()` give: a list of unevaluated expressions."""

    __slots__ = ()


def is_s4(value: RValue) -> bool:
    """Whether R's `isS4(value)`. Of all gp bits of a vector only this one says something about the value.

    The others tell what happened to it: 0x20, say, that it grew by assignment to elements beyond its end
    (R: Defn.h, GROWABLE_MASK). Two vectors that differ in them are `identical()`.
    """
    return bool(getattr(value, "gp", 0) & S4_BIT)


def is_ordinary(value: RValue) -> bool:
    """Whether a value is what its type and class attribute say: not S4, nor a class that R does not heed."""
    return not is_s4(value) and getattr(value, "is_object", None) is None


Vector: TypeAlias = Integer | Logical | Double | Complex | Raw | Character | List
"""Any plain vector. An ALTREP vector (`Altrep`) becomes one of these by `.expand()`."""


def attribute_list(value: RValue) -> PairList | None:
    """The attributes of any value as R's pairlist, or None."""
    return getattr(value, "attributes", None)


def attributes(value: RValue) -> dict[str, RValue]:
    """The attributes of any value by name, in their order."""
    pairs = attribute_list(value)
    return {} if pairs is None else {cell.name: cell.value for cell in pairs.cells}


def attribute(value: RValue, name: str) -> RValue:
    """One attribute, `NULL` if it is not set."""
    pairs = attribute_list(value)
    if pairs is not None:
        for cell in pairs.cells:
            if cell.name == name:
                return cell.value
    return NULL
