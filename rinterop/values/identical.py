"""`identical()`: whether R could tell two values apart (R: identical.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rinterop.values.altrep import Altrep, plain
from rinterop.values.atoms import NULL, Builtin, Char, NamedReference, Persistent, Symbol
from rinterop.values.base import NAType, RValue, same_bits
from rinterop.values.functions import S4, ByteCode, Closure, ExternalPointer
from rinterop.values.pairs import Cell, DotArgs, PairList, Pairs
from rinterop.values.text import BYTES, RText
from rinterop.values.vectors import (
    NA_INTEGER,
    Character,
    Complex,
    Double,
    Integer,
    List,
    Logical,
    Raw,
    attribute_list,
    is_na_real,
    is_s4,
)

Pair: TypeAlias = tuple[RValue, RValue]

_SOURCES: Final = frozenset({"srcref", "srcfile", "wholeSrcref"})


def identical(
    x: RValue,
    y: RValue,
    *,
    num_eq: bool = True,
    single_na: bool = True,
    attrib_as_set: bool = True,
    ignore_bytecode: bool = True,
    ignore_environment: bool = False,
    ignore_srcref: bool = True,
) -> bool:
    """Whether R's `identical(x, y)` is TRUE.

    Unlike `==`, which compares all that is in the bytes, this looks past how a value is held: compact or
    plain vectors and row names, encodings of one text, compiled functions. Environments and weak references
    are compared by reference: they are the same object or they differ. So two readings of one stream are
    not identical if there is an environment in it.

    Args:
        x, y: Any values.
        num_eq: Whether 0 and -0 are identical.
        single_na: Whether all NA are, and all NaN; else their bits count.
        attrib_as_set: Whether the order of attributes is ignored.
        ignore_bytecode: Whether functions are compared by what they were compiled from.
        ignore_environment: Whether functions may be made in different environments.
        ignore_srcref: Whether functions may remember differently how they were written.

    Raises:
        ExpansionError: If a vector is a compact form of very many elements.
    """
    rules = _Rules(num_eq, single_na, attrib_as_set, ignore_bytecode, ignore_environment, ignore_srcref)
    todo: list[Pair] = [(x, y)]
    # Attributes of external pointers may lead back to them; nothing else that is looked into can.
    met: set[tuple[int, int]] = set()
    while todo:
        a, b = todo.pop()
        if a is b:
            continue
        if type(a) is not type(b) or isinstance(a, Altrep):
            a, b = plain(a), plain(b)
        if type(a) is ExternalPointer:
            if (id(a), id(b)) in met:
                continue
            met.add((id(a), id(b)))
        parts = rules.parts(a, b)
        if parts is None:
            return False
        todo.extend(parts)
    return True


@dataclass(frozen=True, slots=True)
class _Rules:
    num_eq: bool
    single_na: bool
    attrib_as_set: bool
    ignore_bytecode: bool
    ignore_environment: bool
    ignore_srcref: bool

    def parts(self, a: RValue, b: RValue) -> list[Pair] | None:
        """Pairs that are still to be compared, None if the values differ already."""
        if type(a) is not type(b) or _is_object(a) != _is_object(b) or is_s4(a) != is_s4(b):
            return None
        ignored = _SOURCES if self.ignore_srcref and isinstance(a, Closure) else frozenset()
        attributes = self._attributes(_cells(a, ignored), _cells(b, ignored))
        if attributes is None:
            return None
        content = self._content(a, b)
        return None if content is None else attributes + content

    def _attributes(self, ours: list[Cell], theirs: list[Cell]) -> list[Pair] | None:
        if len(ours) != len(theirs):
            return None
        if self.attrib_as_set:
            by_name = {cell.name: cell for cell in theirs}
            if any(cell.name not in by_name for cell in ours):
                return None
            theirs = [by_name[cell.name] for cell in ours]
        pairs: list[Pair] = []
        for one, other in zip(ours, theirs, strict=True):
            if one.name != other.name:
                return None
            pair = (one.value, other.value)
            if one.name == "row.names":
                lengths = tuple(_automatic_length(value) for value in pair)
                if None not in lengths and lengths[0] == lengths[1]:
                    continue
            pairs.append(pair)
        return pairs

    def _content(self, a: Any, b: Any) -> list[Pair] | None:
        match a:
            case Logical() | Integer():
                same = same_bits(a.values, b.values)
            case Double() | Complex():
                same = len(a) == len(b) and self._same_numbers(
                    a.values.view(np.float64), b.values.view(np.float64)
                )
            case Raw():
                same = a.values == b.values
            case Character():
                same = len(a) == len(b) and all(map(_same_text, a.values, b.values))
            case Char():
                same = _same_text(a.text, b.text)
            case List():
                return list(zip(a.values, b.values, strict=True)) if len(a) == len(b) else None
            case Pairs():
                return _cell_pairs(a, b)
            case Closure():
                return self._closure_parts(a, b)
            case NamedReference():
                # A namespace is one object, whatever version the stream names.
                same = a.strings == b.strings if isinstance(a, Persistent) else a.strings[:1] == b.strings[:1]
            case Symbol():
                same = a.name == b.name
            case Builtin():
                same = a.name == b.name
            case S4() | ExternalPointer():
                same = True  # attributes are all they have; the addresses of pointers are gone
            case _:
                same = False  # environments, promises and the like: by reference
        return [] if same else None

    def _closure_parts(self, a: Closure, b: Closure) -> list[Pair] | None:
        parts = [(a.formals, b.formals), (self._body(a.body), self._body(b.body))]
        if not self.ignore_environment:
            parts.append((a.environment or NULL, b.environment or NULL))
        return parts

    def _body(self, body: RValue) -> RValue:
        if self.ignore_bytecode and isinstance(body, ByteCode):
            body = body.source
        if self.ignore_srcref and isinstance(body, Pairs) and (kept := _cells(body, _SOURCES)) is not None:
            first = body.cells[0]
            bare = Cell(first.value, first.tag, PairList(tuple(kept)) if kept else None)
            return type(body)((bare, *body.cells[1:]), body.end)
        return body

    def _same_numbers(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
        bits = a.view(np.uint64) == b.view(np.uint64)
        if bits.all():
            return True
        nan_a, nan_b = np.isnan(a), np.isnan(b)
        numbers = a == b if self.num_eq else bits
        nans = (nan_a & nan_b & (is_na_real(a) == is_na_real(b))) if self.single_na else bits
        return bool(np.where(nan_a | nan_b, nans, numbers).all())


def _cells(value: RValue, ignored: frozenset[str] = frozenset()) -> list[Cell]:
    pairs = attribute_list(value)
    return [] if pairs is None else [cell for cell in pairs.cells if cell.name not in ignored]


def _is_object(value: RValue) -> bool:
    is_object: bool | None = getattr(value, "is_object", None)
    return any(cell.name == "class" for cell in _cells(value)) if is_object is None else is_object


def _cell_pairs(a: Pairs, b: Pairs) -> list[Pair] | None:
    if isinstance(a, DotArgs) or len(a) != len(b):
        return None
    if any(one.name != other.name for one, other in zip(a.cells, b.cells, strict=True)):
        return None
    return [*zip(a, b, strict=True), (a.end, b.end)]


def _same_text(a: str | NAType, b: str | NAType) -> bool:
    if isinstance(a, NAType) or isinstance(b, NAType):
        return a is b
    return a == b and _is_bytes(a) == _is_bytes(b)


def _is_bytes(text: str) -> bool:
    return isinstance(text, RText) and bool(text.gp & BYTES)


def _automatic_length(value: RValue) -> int | None:
    """The number of rows if `value` is row names that R makes up: `c(NA, -n)`, or 1 to n spelled out."""
    value = plain(value)
    if not isinstance(value, Integer):
        return None
    if len(value) == 2 and value.values[0] == NA_INTEGER:
        return abs(int(value.values[1]))
    is_counting = same_bits(value.values, np.arange(1, len(value) + 1, dtype=np.int32))
    return len(value) if is_counting else None
