"""What is in R values, for people: lists of their parts, and the beginning of each."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np

from rinterop.convert import RArray, Table, is_na, to_python
from rinterop.convert.frames import frame_of
from rinterop.convert.labelled import ATOMIC
from rinterop.errors import ExpansionError, SerializeError
from rinterop.serialize.writer import dumps
from rinterop.values import (
    NULL,
    S4,
    Call,
    Character,
    Closure,
    Complex,
    Double,
    Environment,
    Expression,
    Integer,
    List,
    Logical,
    PairList,
    Raw,
    RValue,
    Symbol,
    attribute,
    class_,
    deparse,
    names,
    one_line,
    plain,
)

_TYPES: Final[Mapping[type, str]] = {
    Logical: "logical",
    Integer: "integer",
    Double: "double",
    Complex: "complex",
    Character: "character",
    Raw: "raw",
    List: "list",
    Expression: "expression",
    PairList: "pairlist",
    Call: "language",
    Symbol: "symbol",
    Closure: "closure",
    Environment: "environment",
    S4: "S4",
}
_STEP: Final = re.compile(r"\$?([^$\[\]]+)|\[\[(\d+)\]\]")
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Part:
    """An object, or a part of one.

    Attributes:
        name: How to get it, as R code: `fit$coefficients`, `x[[2]]`.
        type: Its type, as R's `typeof()` says it.
        classes: Its class attribute; empty without one.
        size: Its dimensions, or its length; empty for what has none.
        bytes: Bytes of it in R's serialization format.
        value: Its beginning, as R code.
    """

    name: str
    type: str
    classes: tuple[str, ...]
    size: tuple[int, ...]
    bytes: int
    value: str


@dataclass(frozen=True, slots=True)
class Grid:
    """The beginning of an object as a table.

    Attributes:
        columns: Headings.
        rows: Cells: numbers, truths, text; None where something is missing.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def parts(value: RValue | Mapping[str, RValue]) -> list[Part]:
    """What is in a file: objects by name, or one value and, if it is a list or a data frame, its elements."""
    if isinstance(value, Mapping):
        return [_part(name, each) for name, each in value.items()]
    return [_part(".", value), *(_part(name, each) for name, each in _elements(value))]


def find(value: RValue | Mapping[str, RValue], path: str) -> RValue:
    """A part by its name, as `parts` shows it.

    Raises:
        KeyError: If there is no such part; with those that there are.
    """
    found, done = value, 0
    while done < len(path):
        step = _STEP.match(path, done)
        there = dict(_steps(found))
        key = step and (step[1] or int(step[2]))
        if key not in there:
            names_there = ", ".join(str(name) for name in islice(there, 20) if isinstance(name, str))
            raise KeyError(f"no {path[done:]!r} here" + (f", only {names_there}" if names_there else ""))
        found, done = there[key], step.end() if step else done
    if isinstance(found, Mapping):
        raise KeyError(f"the file has several objects, say which one: {', '.join(islice(found, 20))}")
    return found


def head(value: RValue, rows: int) -> Grid | list[str]:
    """The first rows of a data frame or matrix, elements of a vector or list, lines of anything else."""
    value = plain(value)
    if isinstance(value, List) and "data.frame" not in class_(value):
        found = [_part(name, each) for name, each in islice(_elements(value), rows)]
        cells = [(each.name, each.type, "/".join(each.classes), each.value) for each in found]
        return Grid(("name", "type", "class", "value"), cells)
    natural = to_python(value, scalars=False, frames="table")
    if isinstance(natural, Table):
        return _of_table(natural, rows)
    if isinstance(natural, (RArray, np.ndarray)) and natural.shape:
        return _of_array(natural, rows)
    return deparse(value, nlines=rows)


# --- details ----------------------------------------------------------------------------------------------


def _part(name: str, value: RValue) -> Part:
    try:
        size_bytes = len(dumps(value))
    except SerializeError:
        size_bytes = 0
    with contextlib.suppress(ExpansionError):  # a sequence of very many elements is shown as it is
        value = plain(value)
    kind = type(value)
    found = _TYPES.get(kind) or ("NULL" if value is NULL else kind.__name__.lower())
    return Part(name, found, class_(value), _size(value), size_bytes, one_line(value, _SHOWN))


def _size(value: RValue) -> tuple[int, ...]:
    if isinstance(value, List) and "data.frame" in class_(value):
        frame = frame_of(value)
        if frame is not None:
            return (frame.n_rows, len(value))
    dim = plain(attribute(value, "dim"))
    if isinstance(dim, Integer):
        return tuple(int(extent) for extent in dim.values)
    is_sized = isinstance(value, (List, *ATOMIC))
    return (len(value),) if is_sized else ()  # type: ignore[arg-type]  # a vector


def _elements(value: RValue) -> Iterator[tuple[str, RValue]]:
    """Elements of a list, with R code that gets them."""
    if isinstance(value, List):
        labels = names(value) or ("",) * len(value)
        for number, (label, each) in enumerate(zip(labels, value.values, strict=True), 1):
            yield (f"${label}" if isinstance(label, str) and label else f"[[{number}]]"), each
    elif isinstance(value, S4):
        pairs = value.attributes
        for cell in pairs.cells if pairs else ():
            yield f"@{cell.name}", cell.value


def _steps(value: RValue | Mapping[str, RValue]) -> Iterator[tuple[str | int, RValue]]:
    """Parts by name and by number; of those with one name the first counts, so it comes last."""
    if isinstance(value, Mapping):
        yield from value.items()
        return
    for number, (name, each) in reversed([*enumerate(_elements(value), 1)]):
        yield number, each
        yield name.lstrip("$@"), each


def _of_table(table: Table, rows: int) -> Grid:
    columns = [[_cell(item) for item in _first(column, rows)] for column in table.columns]
    count = len(columns[0]) if columns else 0
    labels = table.row_names if table.row_names is not None else range(1, count + 1)
    cells = [[str(label), *row] for label, *row in zip(_first(labels, count), *columns, strict=True)]
    return Grid(["", *(str(name) for name in table.names)], cells)


def _of_array(array: Any, rows: int) -> Grid:
    labels = array.names if isinstance(array, RArray) else None
    dimnames = array.dimnames if isinstance(array, RArray) else None
    values = array.values if isinstance(array, RArray) else array
    if np.ndim(values) != 2:
        flat = values if np.ndim(values) == 1 else np.ravel(values, order="F")
        items = [_cell(item) for item in _first(flat, rows)]
        names_ = labels or range(1, len(items) + 1)
        return Grid(("", "value"), [(str(label), item) for label, item in zip(names_, items, strict=False)])
    count, width = min(rows, values.shape[0]), values.shape[1]
    row_names, column_names = dimnames or (None, None)
    heads = column_names or [f"[,{number}]" for number in range(1, width + 1)]
    sides = row_names or [f"[{number},]" for number in range(1, count + 1)]
    cells = [[str(side), *map(_cell, row)] for side, row in zip(sides, _first(values, count), strict=False)]
    return Grid(["", *map(str, heads)], cells)


def _first(items: Any, count: int) -> list[Any]:
    return list(islice(iter(items), count))


def _cell(item: Any) -> Any:
    """What a cell shows: something that JSON has."""
    if item is None or item is np.ma.masked or (np.ndim(item) == 0 and bool(np.any(is_na(item)))):
        return None
    if isinstance(item, np.generic) and not isinstance(item, (np.datetime64, np.timedelta64)):
        item = item.item()
    return item if isinstance(item, (bool, int, float, str)) else str(item)
