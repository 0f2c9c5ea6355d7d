"""What R knows of a data frame and pandas does not.

Classes such as tibble's, attributes of columns, the type in which dates are stored: all this travels in
`DataFrame.attrs["rinterop"]`: the data frame without its rows, serialized, as text, because pandas writes
`attrs` to Parquet files as JSON. It is used on the way back for all columns that still have the same kind of
content, and as far as it is still true (`claims`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rinterop.convert import claims
from rinterop.convert.frames import CLASS, Frame, row_names_value
from rinterop.convert.types import bare_strings, pairs_of, same_attributes
from rinterop.errors import ConversionError, DecodeError
from rinterop.values import (
    NULL,
    Character,
    Integer,
    List,
    PairList,
    Raw,
    RValue,
    attribute,
    attributes,
    attributes_of,
    character,
)
from rinterop.values.vectors import attribute_list

KEY: Final = "rinterop"
"""The entry in `DataFrame.attrs`."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a data frame.

    Attributes:
        tags: Its attributes; None if they are those of any data frame.
        columns: Columns without elements, by name, where type and attributes are not what pandas' dtype says.
        origin: What it was then.
    """

    tags: Mapping[str, RValue] | None
    columns: Mapping[str, RValue]
    origin: claims.Origin

    def column(self, name: str, column: RValue) -> RValue:
        """A converted column that has the attributes it once had: without those that are no longer true."""
        if name not in self.origin.digests or self.origin.holds(name, column):
            return column
        return claims.column_of(column, self.origin.n_rows)  # type: ignore[no-any-return]  # a vector

    def attributes(self, names: Sequence[str], columns: Sequence[RValue], n_rows: int) -> PairList | None:
        """The attributes of the data frame that are still true."""
        if self.tags is None:
            return None
        return pairs_of(claims.frame_tags(self.tags, self.origin, names, columns, n_rows))


_NOTHING: Final = Record(None, {}, claims.Origin(0, {}))


def remember(frame: Frame, made: Any) -> None:
    """Note in the DataFrame made of a data frame what has to be remembered, if anything."""
    columns = tuple(
        _prototype(column, _default(made.iloc[:0, position])) for position, column in enumerate(frame.columns)
    )
    tags = dict(attributes(frame.value))
    expected = {"names", "class", "row.names"}
    automatic = row_names_value(frame.row_names, frame.n_rows)
    plain_frame = (
        set(tags) == expected
        and bare_strings(tags["class"]) == CLASS
        and tags["row.names"] == automatic
        and getattr(tags["names"], "attributes", None) is None
    )
    if plain_frame and all(column is NULL for column in columns):
        return
    from rinterop.serialize.writer import dumps

    origin = claims.origin_of(frame.value, frame.names, frame.columns, frame.n_rows)
    named = attributes_of(names=character(*frame.names))
    digests = attributes_of(names=character(*origin.digests))
    record = List(
        (
            NULL if plain_frame else List((), attributes=pairs_of({**tags, **_automatic(tags, automatic)})),
            List(columns, attributes=named),
            Character(tuple(origin.digests.values()), attributes=digests),
            Integer(np.array([origin.n_rows], np.int32)),
        )
    )
    made.attrs[KEY] = base64.b64encode(dumps(record)).decode("ascii")


def recalled(frame: Any) -> Record:
    """What is remembered in a DataFrame; nothing if what it holds was not written by `remember`."""
    text = frame.attrs.get(KEY)
    if not isinstance(text, str):
        return _NOTHING
    from rinterop.serialize.reader import loads

    try:
        record = loads(base64.b64decode(text))
    except (DecodeError, binascii.Error):
        return _NOTHING
    match record:
        case List(values=(tags, List() as columns, Character() as digests, Integer() as n_rows)):
            names = bare_strings(attribute(columns, "names")) or ()
            known = {str(name): one for name, one in zip(names, columns, strict=False) if one is not NULL}
            of = bare_strings(attribute(digests, "names")) or ()
            origin = claims.Origin(
                int(n_rows.values.sum()),
                {str(name): str(one) for name, one in zip(of, digests.values, strict=False)},
            )
            return Record(None if tags is NULL else attributes(tags), known, origin)
    return _NOTHING


def _automatic(tags: dict[str, RValue], automatic: RValue) -> dict[str, RValue]:
    """Row names as pandas has them need no second copy."""
    return {"row.names": NULL} if tags["row.names"] == automatic else {}


def _default(column: Any) -> RValue | None:
    """What an empty column of that dtype becomes in R; None if R has nothing like it."""
    from rinterop.convert.to_r import to_r

    try:
        return to_r(column)
    except ConversionError:
        return None


def _prototype(column: RValue, default: RValue | None) -> RValue:
    """The column without its elements; NULL if its dtype alone says as much."""
    pairs = attribute_list(column)
    if (
        default is not None
        and type(column) is type(default)
        and same_attributes(pairs, attribute_list(default))
    ):
        return NULL
    empty: Any = b"" if isinstance(column, Raw) else ()
    if hasattr(column, "values") and isinstance(column.values, np.ndarray):
        empty = column.values[:0]
    return type(column)(values=empty, attributes=pairs)  # type: ignore[call-arg]  # vectors have values
