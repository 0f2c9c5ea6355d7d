"""ALTREP: vectors that R writes in a compact form. Kept as they are; `.expand()` gives the elements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeGuard

import numpy as np

from rinterop.errors import ExpansionError
from rinterop.values.atoms import Symbol
from rinterop.values.base import NA, NAType, RValue
from rinterop.values.pairs import Cell, PairList
from rinterop.values.text import bytes_of, double_text
from rinterop.values.vectors import (
    NA_INTEGER,
    Attributed,
    Character,
    Complex,
    Double,
    Integer,
    List,
    Logical,
    Raw,
    Vector,
    is_na_real,
)

EXPAND_LIMIT: Final = 10_000_000
"""Elements to which `expand` goes without being asked for more. `1:1e10` is 133 bytes on the wire."""

LOGICAL, INTEGER, DOUBLE, COMPLEX, CHARACTER, LIST, RAW = 10, 13, 14, 15, 16, 19, 24

# Class names of package base, and the type code of the vector they stand for.
SEQUENCES: Final = {"compact_intseq": INTEGER, "compact_realseq": DOUBLE}
WRAPPERS: Final = {
    "wrap_logical": LOGICAL,
    "wrap_integer": INTEGER,
    "wrap_real": DOUBLE,
    "wrap_complex": COMPLEX,
    "wrap_string": CHARACTER,
    "wrap_list": LIST,
    "wrap_raw": RAW,
}
MAPPED_FILES: Final = {"mmap_integer": INTEGER, "mmap_real": DOUBLE}
DEFERRED: Final = "deferred_string"
OUT_DEC: Final = "OutDec"
"""Attribute of a deferred string's state: the decimal sign, where it is not "." (`options(OutDec = ",")`)."""
MAX_OUT_DEC: Final = 9
"""Bytes of one. R replaces each point of a number by it, in a buffer of fixed size."""

_TYPES: Final[dict[type[RValue], int]] = {
    Logical: LOGICAL,
    Integer: INTEGER,
    Double: DOUBLE,
    Complex: COMPLEX,
    Character: CHARACTER,
    List: LIST,
    Raw: RAW,
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Altrep(Attributed):
    """A vector in an alternative representation.

    Attributes:
        class_name, package: Which representation, e.g. `compact_intseq` of `base`.
        type_code: Serialization's type code of the vector it stands for (13: integer ...).
        state: What the class needs to know, in a form of its own.
    """

    class_name: Symbol
    package: Symbol
    type_code: int
    state: RValue

    def expand(self, limit: int = EXPAND_LIMIT) -> Vector:
        """The plain vector it stands for, with its attributes. Made anew at each call.

        Doubles become strings as in R 4.2; from R 4.3 on a few of them get another last digit.

        Raises:
            ExpansionError: If it has more than `limit` elements, its class is unknown, or it stands for
                a file on the writer's disk (mmap), which is never opened.
        """
        found = _expanded(self, limit)
        changes = {"attributes": self.attributes, "gp": self.gp, "is_object": self.is_object}
        return type(found)(values=found.values, **changes)  # type: ignore[arg-type]  # the values' own type

    def _facts(self) -> tuple[object, ...]:
        return (self.type_code, self.gp, self.is_object)

    def _parts(self) -> tuple[RValue | None, ...]:
        return (self.class_name, self.package, self.state, self.attributes)


def plain(value: RValue, limit: int = EXPAND_LIMIT) -> RValue:
    """`value` itself, or its expansion if it is ALTREP.

    Raises:
        ExpansionError: As `Altrep.expand`.
    """
    return value.expand(limit) if isinstance(value, Altrep) else value


def sequence_flaw(is_integer: bool, length: float, first: float, step: float) -> str | None:
    """What is wrong with the state of a compact sequence; None if R could have written it."""
    if not (math.isfinite(length) and length >= 0 and length == math.floor(length) and length <= 2**52):
        return "a compact sequence of impossible length"
    if step not in (1.0, -1.0):
        return "a compact sequence whose step is not 1 or -1"
    if not math.isfinite(first):
        return "a compact sequence without a finite start"
    if is_integer:
        last = first + step * max(length - 1, 0)
        if first != math.floor(first) or not (abs(first) < 2**31 and abs(last) < 2**31):
            return "a compact sequence that leaves the range of integers"
    return None


def state_flaw(class_name: str, package: str, type_code: int, state: RValue) -> str | None:
    """What is wrong with an ALTREP state of a known class; None if nothing, or if the class is unknown."""
    if package != "base":
        return None
    if class_name in SEQUENCES:
        if type_code != SEQUENCES[class_name]:
            return "a compact sequence of another type"
        if type(state) is not Double or len(state) != 3 or not _is_bare(state):
            return "the state of a compact sequence is not three doubles"
        length, first, step = state.values.tolist()
        return sequence_flaw(type_code == INTEGER, length, first, step)
    if class_name in WRAPPERS:
        if type_code != WRAPPERS[class_name]:
            return "a wrapper of another type"
        if not _is_pair(state):
            return "the state of a wrapper is not one pair"
        if _type_of(state[0]) != type_code:
            return "a wrapper around something of another type"
        return None if _is_integers(state.end, 2) else "a wrapper without its two flags"
    if class_name == DEFERRED:
        if type_code != CHARACTER:
            return "a deferred string of another type"
        if not _is_pair(state):
            return "the state of a deferred string is not one pair"
        if _type_of(state[0]) not in (INTEGER, DOUBLE):
            return "a deferred string of something that is no number"
        return None if _is_scipen(state.end) else "a deferred string without scipen"
    if class_name in MAPPED_FILES:
        if type_code != MAPPED_FILES[class_name]:
            return "a mapped file of another type"
        well_formed = (
            type(state) is PairList
            and len(state) == 3
            and type(state[0]) is Character
            and type(state[1]) is Double
            and len(state[1]) == 2
            and _is_integers(state[2], 4)
        )
        return None if well_formed else "the state of a mapped file is malformed"
    return None


def _type_of(value: RValue) -> int | None:
    return value.type_code if type(value) is Altrep else _TYPES.get(type(value))


def _is_integers(value: RValue, length: int) -> bool:
    return type(value) is Integer and len(value) == length and _is_bare(value)


def _is_scipen(value: RValue) -> bool:
    """Whether this is one integer, without attributes but for the decimal sign."""
    if type(value) is not Integer or len(value) != 1 or value.gp or value.is_object:
        return False
    if value.attributes is None:
        return True
    (cell, *others) = value.attributes.cells
    return cell.name == OUT_DEC and _is_bare(cell) and _is_sign(cell.value) and not others


def _is_sign(value: RValue) -> bool:
    """Whether this is a decimal sign as R keeps it."""
    if type(value) is not Character or len(value) != 1 or not _is_bare(value):
        return False
    sign = value.values[0]
    return isinstance(sign, str) and len(bytes_of(sign)[0]) <= MAX_OUT_DEC


def _is_pair(value: RValue) -> TypeGuard[PairList]:
    """Whether this is a single untagged cell; its cdr may be anything."""
    return (
        type(value) is PairList
        and len(value) == 1
        and value.cells[0].tag is None
        and _is_bare(value.cells[0])
    )


def _is_bare(value: Attributed | Cell) -> bool:
    return value.attributes is None and not value.gp and not value.is_object


def _expanded(value: RValue, limit: int) -> Vector:
    """The elements; attributes are the caller's concern. Loops, for wrappers may be wrapped at will."""
    while isinstance(value, Altrep):
        name = value.class_name.name if value.package.name == "base" else ""
        if name in SEQUENCES:
            return _sequence(value, limit)
        if name == DEFERRED and isinstance(value.state, PairList):
            return _as_character(_expanded_numbers(value.state[0], limit), value.state.end)
        if name not in WRAPPERS or not isinstance(value.state, PairList):
            raise ExpansionError(
                f"no expansion of ALTREP class {value.package.name}::{value.class_name.name}"
            )
        value = value.state[0]
    if not isinstance(value, Logical | Integer | Double | Complex | Raw | Character | List):
        raise ExpansionError("an ALTREP form of something that is no vector")
    return value


def _expanded_numbers(value: RValue, limit: int) -> Integer | Double:
    """Of what a deferred string is made: numbers, never another deferred string."""
    while isinstance(value, Altrep):
        if value.class_name.name in SEQUENCES:
            return _sequence(value, limit)
        if value.class_name.name not in WRAPPERS or not isinstance(value.state, PairList):
            break
        value = value.state[0]
    if not isinstance(value, Integer | Double):
        raise ExpansionError("a deferred string of something that is no number")
    return value


def _sequence(value: Altrep, limit: int) -> Integer | Double:
    if not isinstance(value.state, Double):
        raise ExpansionError("a compact sequence without state")
    length, first, step = value.state.values.tolist()
    if length > limit:
        raise ExpansionError(f"a compact sequence of {length:.0f} elements, where {limit} are allowed")
    if value.type_code == INTEGER:
        numbers = np.arange(int(length), dtype=np.int64) * int(step) + int(first)
        return Integer(numbers.astype(np.int32))
    return Double(np.arange(int(length), dtype=np.float64) * step + first)


def _as_character(numbers: Integer | Double, state: RValue) -> Character:
    texts: tuple[str | NAType, ...]
    scipen, sign = 0, "."
    if isinstance(state, Integer):
        scipen = int(state.values[0])
        sign = next(
            (str(strings[0]) for strings in state.attributes or () if isinstance(strings, Character)), "."
        )
    if isinstance(numbers, Integer):
        texts = tuple(NA if n == NA_INTEGER else str(n) for n in numbers.values.tolist())
    else:
        missing = is_na_real(numbers.values).tolist()
        texts = tuple(
            NA if na else double_text(x, scipen).replace(".", sign)
            for x, na in zip(numbers.values.tolist(), missing, strict=True)
        )
    return Character(texts)
