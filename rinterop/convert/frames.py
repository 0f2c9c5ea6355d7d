"""Data frames of R, taken apart and put together; what makes pandas, polars or Arrow of them is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rinterop.convert.types import Table, bare_strings, pairs_of
from rinterop.convert.vectors import frozen
from rinterop.errors import ConversionError
from rinterop.values import (
    NA,
    NA_INTEGER,
    NULL,
    Character,
    Integer,
    List,
    NAType,
    PairList,
    RValue,
    attribute,
    attributes,
    character,
    class_,
    plain,
)
from rinterop.values.vectors import Vector

CLASS = ("data.frame",)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A data frame's parts.

    Attributes:
        names: Names of the columns.
        columns: The columns, compact forms expanded.
        row_names: Strings or integers; None: automatic, the rows are numbered.
        n_rows: How many rows.
        value: The data frame itself.
    """

    names: tuple[str | NAType, ...]
    columns: tuple[RValue, ...]
    row_names: tuple[str, ...] | NDArray[np.int32] | None
    n_rows: int
    value: List


def with_row_names(frame: Frame, name: str) -> Frame:
    """The same with its row names, if it has any, as its first column.

    Raises:
        ConversionError: If it has a column of that name.
    """
    if frame.row_names is None:
        return frame
    if name in frame.names:
        raise ConversionError(f"the data frame has a column {name!r} already: choose another for row_names=")
    rows = Character(frame.row_names) if isinstance(frame.row_names, tuple) else Integer(frame.row_names)
    return Frame((name, *frame.names), (rows, *frame.columns), None, frame.n_rows, frame.value)


def frame_of(value: List) -> Frame | None:
    """The parts, or None if it only says that it is a data frame: some are missing, or do not fit."""
    columns = tuple(map(plain, value.values))
    names = _names(attribute(value, "names"), len(columns))
    rows = plain(attribute(value, "row.names"))
    if names is None:
        return None
    row_names: tuple[str, ...] | NDArray[np.int32] | None
    n_rows = _automatic(rows)
    if n_rows is not None:
        row_names = None
    elif isinstance(rows, Integer):
        row_names, n_rows = rows.values, len(rows)
    elif isinstance(rows, Character) and not any(text is NA for text in rows.values):
        row_names, n_rows = tuple(map(str, rows.values)), len(rows)
    else:
        return None
    if any(_height(column) != n_rows for column in columns) or not _are_row_names(row_names):
        return None
    return Frame(names, columns, row_names, n_rows, value)


def is_data_frame(value: RValue) -> bool:
    """Whether R dispatches on it as a data frame."""
    return type(value) is List and "data.frame" in class_(value)


def table_of(frame: Frame, columns: Sequence[Any]) -> Table:
    """A `Table` of the converted columns, which remembers all attributes."""
    table = Table(zip(frame.names, columns, strict=True), frame.row_names)
    table._pairs = frame.value.attributes
    return table


def assembled(
    names: Sequence[str | NAType],
    columns: Sequence[RValue],
    row_names: Sequence[str] | NDArray[Any] | None,
    pairs: PairList | None = None,
    n_rows: int | None = None,
) -> List:
    """A data frame of converted columns; attributes other than names and row names are those in `pairs`.

    Args:
        names: Names of the columns.
        columns: R vectors of the same length.
        row_names: Strings or integers, all different; None for automatic ones.
        pairs: Attributes that it had before, or None.
        n_rows: How many rows, needed where there are no columns.

    Raises:
        ConversionError: If lengths differ or row names are not unique.
    """
    if n_rows is None:
        n_rows = len(row_names) if row_names is not None else (columns and _height(columns[0])) or 0
    for name, column in zip(names, columns, strict=True):
        height = _height(column)
        if height is None:
            raise ConversionError(f"a column is a vector, and {name!r} is {type(column).__name__}")
        if height != n_rows:
            raise ConversionError(f"column {name!r} has {height} rows where {n_rows} are expected")
    fresh: dict[str, RValue] = {
        "names": character(*names),
        "class": character(*CLASS),
        "row.names": row_names_value(row_names, n_rows),
    }
    if pairs is None:
        return List(tuple(columns), attributes=pairs_of(fresh))
    tags = attributes(List((), attributes=pairs))
    if _names(tags.get("names", NULL), len(names)) != tuple(names):
        tags["names"] = fresh["names"]
    if not _same_rows(tags.get("row.names", NULL), fresh["row.names"]):
        tags["row.names"] = fresh["row.names"]
    tags.setdefault("class", fresh["class"])
    return List(tuple(columns), attributes=pairs_of(tags))


def row_names_value(row_names: Sequence[str] | NDArray[Any] | None, n_rows: int) -> RValue:
    """The attribute `row.names`: compact if automatic.

    Raises:
        ConversionError: If they are not unique, or neither strings nor integers of R.
    """
    if row_names is None:
        return Integer(frozen(np.array([NA_INTEGER, -n_rows] if n_rows else [], np.int32)))
    if isinstance(row_names, np.ndarray) and row_names.dtype.kind in "iu":
        numbers = row_names
        if len(np.unique(numbers)) < len(numbers):
            raise ConversionError("row names are not unique: reset_index() makes a column of them")
        if numbers.size and (int(numbers.min()) <= NA_INTEGER or int(numbers.max()) >= 2**31):
            raise ConversionError("row names beyond 2^31: reset_index() makes a column of them")
        return Integer(frozen(np.array(numbers, np.int32)))
    texts = list(row_names)
    if not all(isinstance(text, str) for text in texts):
        raise ConversionError(
            "row names are strings or integers: reset_index() makes a column of any other index"
        )
    if len(set(texts)) < len(texts):
        raise ConversionError("row names are not unique: reset_index() makes a column of them")
    return character(*texts)


def _height(column: RValue) -> int | None:
    """How many rows a column has; None if it is no column."""
    if is_data_frame(column) and isinstance(column, List):
        rows = plain(attribute(column, "row.names"))
        count = _automatic(rows)
        return count if count is not None else len(rows) if isinstance(rows, Vector) else None
    if "POSIXlt" in class_(column) and isinstance(column, List):
        return max((len(part) for part in column.values if isinstance(part, Vector)), default=0)
    dim = attribute(column, "dim")
    if isinstance(dim, Integer) and len(dim):
        return int(dim.values[0])
    return len(column) if isinstance(column, Vector) else None


def _automatic(rows: RValue) -> int | None:
    """How many rows a `row.names` counts, whichever sign R gave the number; None if it names them."""
    if not isinstance(rows, Integer):
        return None
    if len(rows) == 2 and int(rows.values[0]) == NA_INTEGER:
        return abs(int(rows.values[1]))
    return None if len(rows) else 0


def _names(value: RValue, n_columns: int) -> tuple[str | NAType, ...] | None:
    """Names of so many columns, none for none; None if these are not."""
    names = () if value is NULL and not n_columns else bare_strings(value)
    return None if names is None or len(names) != n_columns else names


def _are_row_names(row_names: tuple[str, ...] | NDArray[np.int32] | None) -> bool:
    """Whether they are different, and none is missing."""
    if row_names is None or not len(row_names):
        return True
    if isinstance(row_names, tuple):
        return len(set(row_names)) == len(row_names)
    return len(np.unique(row_names)) == len(row_names) and int(row_names.min()) != NA_INTEGER


def _same_rows(known: RValue, fresh: RValue) -> bool:
    known = plain(known)
    count = _automatic(fresh)
    return known == fresh if count is None else _automatic(known) == count
