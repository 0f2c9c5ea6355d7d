"""The groups of dplyr's grouped and rowwise tibbles, worked out as `group_by()` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rinterop.convert.types import pairs_of
from rinterop.convert.vectors import frozen
from rinterop.values import (
    NA,
    NA_INTEGER,
    Character,
    Double,
    Integer,
    List,
    Logical,
    RValue,
    attribute,
    attributes,
    character,
    logical,
    strings,
)

ROWS: Final = ".rows"


def regrouped(groups: RValue, columns: Mapping[str, RValue], n_rows: int, rowwise: bool) -> List | None:
    """The attribute `groups` for other rows than it was made for.

    Groups are in the order of their keys, texts in that of the C locale. None if a column by which rows are
    grouped is gone or is no vector of numbers, truths, texts or a factor, or if empty groups are kept.
    """
    names = strings(attribute(groups, "names")) or ()
    if not isinstance(groups, List) or not names or names[-1] != ROWS:
        return None
    keys = [columns.get(str(name)) for name in names[:-1]]
    if rowwise:
        members = [np.array([row]) for row in range(n_rows)]
    else:
        if attribute(groups, ".drop") != logical(True):
            return None
        codes = [None if key is None else _codes(key) for key in keys]
        if not codes or any(one is None for one in codes):
            return None
        members = _members(np.array(codes))
    firsts = np.array([rows[0] for rows in members], np.intp)
    found = [_taken(key, firsts) for key in keys]
    if any(one is None for one in found):
        return None
    positions = tuple(Integer(frozen((rows + 1).astype(np.int32))) for rows in members)
    rows = List(positions, attributes=groups[len(names) - 1].attributes)  # type: ignore[attr-defined]  # a list
    automatic = Integer(frozen(np.array([NA_INTEGER, -len(members)] if members else [], np.int32)))
    tags = {**attributes(groups), "names": character(*names), "row.names": automatic}
    return List((*(one for one in found if one is not None), rows), attributes=pairs_of(tags))


def _members(codes: NDArray[Any]) -> list[NDArray[Any]]:
    """Rows of each combination of codes (one line of them for each key), in the order of the codes."""
    order = np.lexsort(codes[::-1])
    ends = np.flatnonzero(np.any(np.diff(codes[:, order], axis=1) != 0, axis=0)) + 1
    return np.split(order, ends) if len(order) else []


def _codes(key: RValue) -> NDArray[Any] | None:
    """Numbers in the order of the elements, NA last; None if it is no simple vector."""
    match key:
        case Character():
            texts = sorted({text for text in key.values if isinstance(text, str)}, key=_bytes)
            ranks = {text: rank for rank, text in enumerate(texts)}
            return np.array([len(ranks) if text is NA else ranks[text] for text in key.values], np.int64)  # type: ignore[index]  # a text
        case Integer() | Logical():
            whole = key.values.astype(np.int64)
            return np.where(whole == NA_INTEGER, 2**31, whole)
        case Double():
            return np.unique(key.values, return_inverse=True)[1].reshape(-1)
    return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _taken(key: Any, rows: NDArray[Any]) -> RValue | None:
    """The elements in these rows."""
    if key is None or not hasattr(key, "values"):
        return None
    tags = {name: value for name, value in attributes(key).items() if name != "names"}
    if isinstance(key.values, np.ndarray):
        values: Any = frozen(key.values[rows])
    elif isinstance(key.values, tuple):
        values = tuple(key.values[row] for row in rows.tolist())
    else:
        return None
    return type(key)(values=values, attributes=pairs_of(tags))  # type: ignore[no-any-return]  # a vector
