"""`c`, `rbind` and `cbind` of what pyarrow has."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from pydoredis.combine.kinds import full_name, of_one_length

NAME: Final = "pyarrow"


def has(value: object) -> bool:
    """Whether this is an array, a Table or a RecordBatch."""
    arrow = _arrow()
    return isinstance(value, (arrow.Array, arrow.ChunkedArray, arrow.Table, arrow.RecordBatch))


def c(values: Sequence[Any]) -> Any:
    """An array of arrays; chunked if one of them is."""
    arrow = _arrow()
    for value in values:
        if not isinstance(value, (arrow.Array, arrow.ChunkedArray)):
            raise TypeError(f'combine="c" cannot put a {full_name(value)} and a pyarrow.Array in one vector')
    column = rbind([arrow.table({"": value}) for value in values]).column(0)
    is_chunked = any(isinstance(value, arrow.ChunkedArray) for value in values)
    return column if is_chunked else column.combine_chunks()


def rbind(values: Sequence[Any]) -> Any:
    """A Table of Tables and batches, whose columns are matched by name."""
    return _arrow().concat_tables([_table(value) for value in values], promote_options="permissive")


def cbind(values: Sequence[Any]) -> Any:
    """A Table of the columns of Tables and batches."""
    tables = [_table(value) for value in values]
    of_one_length("cbind", [table.num_rows for table in tables])
    fields = [field for table in tables for field in table.schema]
    columns = [column for table in tables for column in table.columns]
    return _arrow().Table.from_arrays(columns, schema=_arrow().schema(fields))


def _arrow() -> Any:
    return sys.modules[NAME]


def _table(value: Any) -> Any:
    arrow = _arrow()
    if isinstance(value, arrow.RecordBatch):
        return arrow.Table.from_batches([value])
    if isinstance(value, (arrow.Array, arrow.ChunkedArray)):
        raise TypeError("an array of pyarrow has no column names; let the body return a pyarrow.Table")
    if not isinstance(value, arrow.Table):
        raise TypeError(f"a {full_name(value)} is neither a row nor a column of a pyarrow.Table")
    return value
