"""`c`, `rbind` and `cbind` of what polars has."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from pydoredis.combine.kinds import full_name, of_one_length

NAME: Final = "polars"


def has(value: object) -> bool:
    """Whether this is a Series or a frame."""
    polars = _polars()
    return isinstance(value, (polars.Series, polars.DataFrame, polars.LazyFrame))


def c(values: Sequence[Any]) -> Any:
    """A Series of Series, with the name of the first."""
    polars = _polars()
    for value in values:
        if not isinstance(value, polars.Series):
            raise TypeError(f'combine="c" cannot put a {full_name(value)} and a polars.Series in one vector')
    name = values[0].name
    return rbind([value.alias(name).to_frame() for value in values]).to_series()


def rbind(values: Sequence[Any]) -> Any:
    """A DataFrame of DataFrames, whose columns are matched by name."""
    frames = [_frame(value) for value in values]
    _check_types(frames)
    return _polars().concat(frames, how="diagonal_relaxed")


def cbind(values: Sequence[Any]) -> Any:
    """A DataFrame of the columns of DataFrames and of Series; one without a name is called by its place."""
    polars = _polars()
    frames: list[Any] = []
    width = 0
    for value in values:
        if isinstance(value, polars.Series):
            value = value.to_frame(value.name or f"column_{width}")
        frames.append(_frame(value))
        width += value.width
    of_one_length("cbind", [frame.height for frame in frames])
    return polars.concat(frames, how="horizontal")


def _polars() -> Any:
    return sys.modules[NAME]


def _frame(value: Any) -> Any:
    polars = _polars()
    if isinstance(value, polars.LazyFrame):
        raise TypeError("a polars.LazyFrame has no values yet; let the body return frame.collect()")
    if isinstance(value, polars.Series):
        raise TypeError("a polars.Series is a column, and no row; let the body return a polars.DataFrame")
    if not isinstance(value, polars.DataFrame):
        raise TypeError(f"a {full_name(value)} is neither a row nor a column of a polars.DataFrame")
    return value


def _check_types(frames: Sequence[Any]) -> None:
    """Refuse columns for which polars has a common type only by writing numbers or times as text."""
    null = _polars().Null
    known: dict[str, Any] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            if known.setdefault(name, dtype) == null:
                known[name] = dtype
            elif not _go_together(known[name], dtype):
                raise TypeError(
                    f"column {name!r} is {known[name]} in one polars.DataFrame, {dtype} in another"
                )


def _go_together(one: Any, other: Any) -> bool:
    polars = _polars()
    if one == other or polars.Null in (one, other):
        return True
    if isinstance(one, (polars.List, polars.Array)) and isinstance(other, (polars.List, polars.Array)):
        return _go_together(one.inner, other.inner)
    if isinstance(one, polars.Struct) and isinstance(other, polars.Struct):
        theirs = {field.name: field.dtype for field in other.fields}
        return all(_go_together(field.dtype, theirs.get(field.name, field.dtype)) for field in one.fields)
    numbers, text = (polars.Boolean,), (polars.String, polars.Categorical, polars.Enum)
    return bool(
        (one.is_temporal() and other.is_temporal())
        or all(dtype.is_numeric() or dtype in numbers for dtype in (one, other))
        or all(isinstance(dtype, text) for dtype in (one, other))
    )
