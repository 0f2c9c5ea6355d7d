"""Vectors with attributes: which of them an array expresses by itself, and `RArray` for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from rinterop.convert import factors, optional, times
from rinterop.convert.types import Factor, RArray, bare_strings, pairs_of, same_attributes, to_r
from rinterop.convert.vectors import NA_INTEGER64, from_array, frozen, int64_bits, to_array
from rinterop.errors import ConversionError
from rinterop.values import (
    NULL,
    Character,
    Complex,
    Double,
    Integer,
    List,
    Logical,
    NAType,
    PairList,
    Raw,
    attribute,
    attributes,
    character,
    class_,
    plain,
)
from rinterop.values.vectors import Vector

ATOMIC: Final = (Double, Integer, Logical, Complex, Character, Raw)


def decoded(vector: Vector, use_pandas: bool) -> Any:
    """What a vector holds, in the natural form of its class, shaped by its `dim`; other attributes apart.

    `encoded`, given the attributes and the type of the vector, makes the same vector of it again.
    """
    if vector.attributes is None:
        return to_array(vector)
    found = _of_class(vector, class_(vector), use_pandas)
    values = to_array(vector) if found is None else found
    dim = dimensions(vector)
    return values.reshape(dim, order="F") if dim is not None and isinstance(values, np.ndarray) else values


def encoded(values: Any, pairs: PairList | None, storage: type[Vector]) -> Vector:
    """A vector of these attributes and this type, with the elements of what `decoded` gave.

    Raises:
        ConversionError: If the elements have no place in it.
    """
    holder = List((), attributes=pairs)
    classes = class_(holder)
    if is_factor(values):
        if storage is not Integer or bare_strings(attribute(holder, "levels")) != tuple(
            factors.parts(values)[1]
        ):
            raise ConversionError("these are not the levels of the factor that it was")
        return Integer(factors.codes_of(values), attributes=pairs)
    flat = flattened(values)
    if flat.dtype.kind in "mM":
        units = bare_strings(attribute(holder, "units"))
        unit = units[0] if units and isinstance(units[0], str) else "secs"
        found = times.stored(flat, storage, classes, unit)
    elif "integer64" in classes and flat.dtype.kind == "i" and storage is Double:
        found = Double(int64_bits(flat))
    else:
        found = from_array(flat, storage)
    return type(found)(values=found.values, attributes=pairs)  # type: ignore[arg-type]  # the values' own type


def expressed(values: Any, vector: Vector) -> bool:
    """Whether `values`, decoded from `vector`, go back to the same type and attributes by themselves."""
    dim = isinstance(values, np.ndarray) and values.ndim > 1
    attributes_left = [
        cell
        for cell in (vector.attributes.cells if vector.attributes is not None else ())
        if not (dim and cell.name == "dim")
    ]
    default = to_r(_none_of(values))
    return type(default) is type(vector) and same_attributes(
        default.attributes, PairList(tuple(attributes_left)) if attributes_left else None
    )


def labelled(
    values: Any,
    names: Iterable[str | NAType] | None,
    dimnames: Sequence[Iterable[str | NAType] | None] | None,
    more: Mapping[str, object] | None,
) -> tuple[Any, PairList | None, type[Vector]]:
    """The parts of an `RArray` made in Python: its values, all its attributes, its type.

    Raises:
        ConversionError: If the values make no atomic vector, or names do not fit them.
    """
    base = plain(to_r(np.asarray(values) if isinstance(values, list | tuple | range) else values))
    if not isinstance(base, ATOMIC):
        raise ConversionError(f"an RArray holds an atomic vector, and this is {type(base).__name__}")
    tags = attributes(base)
    if names is not None:
        tags["names"] = character(*names)
        if len(tags["names"]) != len(base):  # type: ignore[arg-type]  # a character vector
            raise ConversionError(f"{len(base)} elements need as many names")
    if dimnames is not None:
        shape = dimensions(base) or (len(base),)
        labels = [NULL if one is None else character(*one) for one in dimnames]
        if len(labels) != len(shape) or any(
            one is not NULL and len(one) != n for one, n in zip(labels, shape, strict=False)
        ):
            raise ConversionError(
                f"dimnames of shape {shape} are a sequence of labels, or None, for each dimension"
            )
        tags.setdefault("dim", Integer(frozen(np.array(shape, np.int32))))
        tags["dimnames"] = List(tuple(labels))
    for name, value in (more or {}).items():
        tags[name] = to_r(value)
    pairs = pairs_of(tags)
    whole = type(base)(values=base.values, attributes=pairs)  # type: ignore[arg-type]  # the values' own type
    return decoded(whole, use_pandas=optional.imported("pandas") is not None), pairs, type(base)


def dimensions(vector: Vector) -> tuple[int, ...] | None:
    """The shape that a `dim` attribute gives a vector, if it has two or more dimensions and fits."""
    dim = plain(attribute(vector, "dim"))
    if type(dim) is not Integer or dim.attributes is not None or len(dim) < 2 or len(dim) > 32:
        return None
    shape = tuple(dim.values.tolist())
    return shape if min(shape) >= 0 and int(np.prod(shape, dtype=object)) == len(vector) else None


def flattened(values: Any) -> Any:
    """A NumPy array's elements in R's order, columns first; of other things as an array."""
    if not isinstance(values, np.ndarray):
        zone = getattr(values, "tz", None)
        return (values.tz_convert("UTC").tz_localize(None) if zone is not None else values).to_numpy()
    return values if values.ndim == 1 else values.ravel(order="F")


def is_factor(value: Any) -> bool:
    """Whether this is a `Factor` or a pandas Categorical."""
    if isinstance(value, Factor):
        return True
    pd = optional.imported("pandas")
    return pd is not None and isinstance(value, pd.Categorical)


def rarray(values: Any, vector: Vector) -> RArray:
    """What `vector` held, with its attributes beside it."""
    return RArray._of(values, vector.attributes, type(vector))


def _of_class(vector: Vector, classes: tuple[str, ...], use_pandas: bool) -> Any | None:
    """The form of a class that has one of its own, or of one that extends it; None if it is not exact."""
    if isinstance(vector, Integer) and "factor" in classes:
        return factors.to_factor(vector, use_pandas)
    if not isinstance(vector, Integer | Double):
        return None
    if "Date" in classes:
        return times.dates(vector)
    if "POSIXct" in classes:
        found = times.instants(vector)
        zone = times.zone_of(attribute(vector, "tzone"))
        if found is None or zone is None or not use_pandas or attribute(vector, "dim") is not NULL:
            return found
        return _zoned(found, zone)
    if "difftime" in classes:
        units = bare_strings(attribute(vector, "units"))
        return times.spans(vector, str(units[0])) if units and len(units) == 1 else None
    if "integer64" in classes and isinstance(vector, Double):
        whole = vector.values.view(np.int64)
        missing = whole == NA_INTEGER64
        return np.ma.array(whole, mask=missing, copy=False) if missing.any() else whole
    return None


def _zoned(array: Any, zone: str) -> Any:
    """UTC times in a time zone, if pandas knows it by the same name."""
    pd = optional.pandas()
    try:
        index = pd.DatetimeIndex(array).tz_localize("UTC").tz_convert(zone)
    except (
        Exception
    ):  # what is raised for an unknown zone depends on pandas' version: KeyError, ZoneInfoNotFoundError
        return array
    return index if times.zone_name(index.tz) == zone else array


def _none_of(values: Any) -> Any:
    """No element of the same kind."""
    if isinstance(values, Factor):
        return Factor((), values.levels, values.ordered)
    return flattened(values)[:0] if isinstance(values, np.ndarray) else values[:0]
