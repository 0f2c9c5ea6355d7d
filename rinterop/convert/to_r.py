"""Python objects to R values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np

from rinterop.convert import factors, optional, registry, sparse, times
from rinterop.convert.deep import Steps, finish
from rinterop.convert.frames import assembled, frame_of
from rinterop.convert.labelled import encoded, flattened
from rinterop.convert.missing import MISSING_VECTORS, MissingScalar
from rinterop.convert.types import Factor, RArray, Table, pairs_of
from rinterop.convert.vectors import (
    EXACT,
    filled,
    from_array,
    frozen,
    integer64,
    is_missing,
    too_big,
    uniform,
)
from rinterop.errors import ConversionError
from rinterop.values import (
    NA,
    NULL,
    Cell,
    Character,
    Complex,
    Double,
    Integer,
    List,
    NAType,
    PairList,
    Raw,
    RValue,
    Symbol,
    attributes,
    attributes_of,
    integer,
    logical,
)
from rinterop.values.text import RText
from rinterop.values.vectors import Vector

_GENERATOR: Final = type(_ for _ in ())
_NAMES: Final = Symbol("names")
_CYCLE: Final = "a {} that contains itself has no form in R"


IntegerKind: TypeAlias = Literal["double", "integer64"]


def to_r(value: Any, *, int64: IntegerKind = "double") -> RValue:
    """The R value for a Python object: docs/r-values.md has the table.

    Args:
        value: Any Python object.
        int64: What integers beyond the 32 bits of R's own become: doubles, as far as these are exact, or
            `integer64` of R's package bit64, which holds all. An array or a column is of one type.

    Raises:
        ConversionError: If the object, or something inside it, has no form in R that keeps it whole; says
            what to do instead.
    """
    if int64 not in get_args(IntegerKind):
        raise ValueError(f"int64 is one of {', '.join(get_args(IntegerKind))}, not {int64!r}")
    return finish(_Converter(int64 == "integer64").convert(value))  # type: ignore[no-any-return]  # an RValue


class _Converter:
    """One conversion.

    It remembers which containers it is inside of, so that one which contains itself is an error, not endless.
    """

    def __init__(self, wide: bool) -> None:
        self._wide = wide
        self._leaves = _WIDE_LEAVES if wide else _LEAVES
        self._inside: set[int] = set()

    def convert(self, value: Any) -> Any:
        """The R value, or the steps that lead to it."""
        kind = type(value)
        own = registry.for_type(kind)
        if own is not None:
            return self._registered(own, value)
        leaf = self._leaves.get(kind)
        if leaf is not None:
            return leaf(value)
        if kind is list or kind is tuple:
            return self._elements(value, value)
        if kind is dict:
            return self._named(value)
        return self._other(value)

    def _other(self, value: Any) -> Any:
        """What is no instance of the exact types that come up all the time."""
        scipy_sparse = optional.imported("scipy.sparse")
        if scipy_sparse is not None and scipy_sparse.issparse(value):  # one of them is a mapping
            return sparse.to_s4(value)
        match value:
            case RValue():
                return value
            case np.ndarray():
                return self._array(value)
            case RArray():
                return self._labelled(value)
            case Factor():
                return factors.from_factor(value)
            case Table():
                return self._table(value)
            case MissingScalar():
                return MISSING_VECTORS[value]
            case np.generic():
                return self._array(np.asarray(value).reshape(1))
            case range():
                return _range(value, self._wide)
            case Mapping():
                return self._named(value)
        for module, convert in (("pandas", _from_pandas), ("polars", _from_arrow), ("pyarrow", _from_arrow)):
            if optional.imported(module) is not None:
                found = convert(self, value)
                if found is not None:
                    return found
        if isinstance(value, str):
            return Character((str.__str__(value),))
        for base, leaf in self._leaves.items():
            if isinstance(value, base):
                return leaf(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self._named(dict(zip(value._fields, value, strict=True)))
        if isinstance(value, list | tuple):
            return self._elements(value, value)
        if hasattr(value, "__arrow_c_stream__"):
            return _from_arrow(self, value, foreign=True)
        if hasattr(value, "__array__"):
            return self._array(np.asarray(value))
        raise ConversionError(_advice(value))

    def _registered(self, function: Callable[[Any], Any], value: Any) -> Steps | RValue:
        found = function(value)
        if isinstance(found, RValue):
            return found
        if type(found) is type(value):
            raise ConversionError(f"what is registered for {type(value).__name__} gives the same type again")
        return self.within(value, self.convert(found))

    def within(self, container: Any, steps: Any) -> Steps:
        """Take steps on behalf of a container, once."""
        key = id(container)
        if key in self._inside:
            raise ConversionError(_CYCLE.format(type(container).__name__))
        self._inside.add(key)
        try:
            return (yield steps)
        finally:
            self._inside.discard(key)

    def _elements(self, container: Any, items: Any, pairs: PairList | None = None) -> Steps:
        """A list of the items of a container, which is looked into once at a time."""
        key = id(container)
        if key in self._inside:
            raise ConversionError(_CYCLE.format(type(container).__name__))
        self._inside.add(key)
        try:
            found = []
            for item in items:
                converted = self.convert(item)
                found.append((yield converted) if type(converted) is _GENERATOR else converted)
            return List(tuple(found), attributes=pairs)
        finally:
            self._inside.discard(key)

    def _named(self, mapping: Mapping[Any, Any]) -> Steps:
        for key in mapping:
            if not isinstance(key, str):
                raise ConversionError(
                    f"names are strings in R, and the key {key!r} is none: use str(key), or a list of pairs"
                )
        names = PairList((Cell(Character(tuple(mapping)), _NAMES),))
        return self._elements(mapping, mapping.values(), names)

    def _array(self, array: Any) -> Any:
        flat = array.reshape(1) if array.ndim == 0 else flattened(array)
        dim = attributes_of(dim=integer(*array.shape)) if array.ndim > 1 else None
        kind = flat.dtype.kind
        if kind == "O":
            return self._objects(array, flat, dim)
        if kind in "mM":
            found: Vector = times.from_times(filled(flat, np.array("NaT", flat.dtype)))
        else:
            found = from_array(flat, wide=self._wide)
        return found if dim is None else _with(found, attributes(List((), attributes=dim)))

    def _objects(self, array: Any, flat: Any, dim: PairList | None) -> Any:
        items = list(filled(flat, NA))
        found = uniform(items, self._wide)
        if found is None:
            found = _times_of(items)
        if found is not None:
            return found if dim is None else _with(found, attributes(List((), attributes=dim)))
        return self._elements(array, items, dim)

    def _labelled(self, value: RArray) -> Any:
        return encoded(value.values, value._pairs, value.storage)

    def _table(self, table: Table) -> Steps:
        return self.within(table, self._table_steps(table))

    def _table_steps(self, table: Table) -> Steps:
        columns = []
        for column in table.columns:
            columns.append((yield self.convert(column)))  # noqa: PERF401  # one at a time, as steps are taken
        n_rows = None if columns or table._pairs is None else _rows_of(table)
        return assembled(table.names, columns, table.row_names, table._pairs, n_rows)

    def column(self, values: Any, pairs: Any = None, storage: type[Vector] | None = None) -> Any:
        """A column of a data frame, in the type and with the attributes it once had, if they still fit."""
        if storage is List and isinstance(values, np.ndarray) and values.dtype.kind == "O":
            return self._elements(values, values.tolist(), pairs)
        if storage is not None and storage is not List:
            try:
                return encoded(values, pairs, storage)
            except ConversionError:
                pass  # it has been changed since
        return self.convert(values)


def _rows_of(table: Table) -> int | None:
    frame = frame_of(List((), attributes=table._pairs))
    return None if frame is None else frame.n_rows


def _with(vector: Any, more: dict[str, RValue]) -> Vector:
    pairs = pairs_of({**attributes(vector), **more})
    return type(vector)(values=vector.values, attributes=pairs)  # type: ignore[no-any-return]  # a vector


def _times_of(items: list[Any]) -> Vector | None:
    """Dates, times or differences, all of one kind; None if they are something else."""
    present = [item for item in items if not is_missing(item)]
    if not present or not isinstance(present[0], dt.date | dt.timedelta):
        return None
    kinds = {type(item) for item in present}
    filled = [None if is_missing(item) else item for item in items]
    if kinds == {dt.date}:
        return times.from_times(np.array(filled, "M8[D]"))
    if all(issubclass(kind, dt.timedelta) for kind in kinds):
        return times.from_timedeltas(filled)
    if all(issubclass(kind, dt.datetime) for kind in kinds):
        zones = {times.zone_name(item.tzinfo) for item in present}
        if len(zones) == 1:
            zone = zones.pop()
            if zone is not None:
                filled = [item and item.astimezone(dt.timezone.utc).replace(tzinfo=None) for item in filled]
            return times.from_times(np.array(filled, "M8[us]"), zone)
    return None


def _from_pandas(converter: _Converter, value: Any) -> Any | None:
    from rinterop.convert.pandas_frames import from_pandas

    return from_pandas(value, converter)


def _from_arrow(converter: _Converter, value: Any, foreign: bool = False) -> Any | None:
    from rinterop.convert.arrow_frames import from_arrow

    return from_arrow(value, converter, foreign)


def _whole(number: int) -> RValue:
    if -(2**31) < number < 2**31:
        return Integer(frozen(np.array((number,), np.int32)))
    if abs(number) > EXACT:
        raise ConversionError(too_big(number))
    return _float(float(number))


def _wide_whole(number: int) -> RValue:
    return _whole(number) if -(2**31) < number < 2**31 else integer64(number)


def _raw(data: bytes | bytearray | memoryview) -> Raw:
    return Raw(bytes(data))


def _date(day: dt.date) -> RValue:
    return times.from_times(np.array([day], "M8[D]"))


def _difference(difference: dt.timedelta) -> RValue:
    return times.from_timedeltas([difference])


def _range(numbers: range, wide: bool) -> RValue:
    if not numbers:
        return from_array(np.array([], np.int64))
    largest = max(numbers[0], numbers[-1], key=abs)
    if abs(largest) > (EXACT if not wide else 2**63 - 1):
        raise ConversionError(too_big(largest))
    step = numbers.step if len(numbers) > 1 else 1
    return from_array(np.arange(len(numbers), dtype=np.int64) * step + numbers.start, wide=wide)


def _complex(number: complex) -> RValue:
    return Complex(frozen(np.array((number,))))


def _float(number: float) -> RValue:
    return Double(frozen(np.array((number,), np.float64)))


_TRUE: Final = logical(True)
_FALSE: Final = logical(False)
# The order matters where one is a subclass of another: bool is an int, a datetime is a date.
_LEAVES: Final[dict[type, Callable[[Any], RValue]]] = {
    type(None): lambda _: NULL,
    bool: lambda truth: _TRUE if truth else _FALSE,
    int: _whole,
    float: _float,
    complex: _complex,
    str: lambda text: Character((text,)),
    RText: lambda text: Character((text,)),
    bytes: _raw,
    bytearray: _raw,
    memoryview: _raw,
    NAType: logical,
    dt.datetime: times.from_datetime,
    dt.date: _date,
    dt.timedelta: _difference,
}
_WIDE_LEAVES: Final[dict[type, Callable[[Any], RValue]]] = {**_LEAVES, int: _wide_whole}


def _advice(value: Any) -> str:
    name = type(value).__name__
    if isinstance(value, set | frozenset):
        return f"a {name} has no order: make it a list, sorted() if the order matters"
    if callable(value):
        return f"a Python {name} has no form as data: the runtime makes R functions of callables"
    if hasattr(value, "__dataclass_fields__"):
        return f"{name} is a dataclass: use dataclasses.asdict() or rinterop.register_to_r({name}, ...)"
    if hasattr(value, "__next__"):
        return f"a {name} can be read only once: make it a list"
    return f"{name} has no form in R: convert it first, or use rinterop.register_to_r({name}, ...)"
