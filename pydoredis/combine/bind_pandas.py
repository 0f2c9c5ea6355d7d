"""`c`, `rbind` and `cbind` of what pandas has. Dicts are rows, too."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from pydoredis.combine.kinds import full_name

NAME: Final = "pandas"


def has(value: object) -> bool:
    """Whether this is a Series or a DataFrame."""
    pandas: Any = sys.modules[NAME]
    return isinstance(value, (pandas.Series, pandas.DataFrame))


def c(values: Sequence[Any]) -> Any:
    """A Series of Series."""
    pandas = _pandas()
    for value in values:
        if not isinstance(value, pandas.Series):
            raise TypeError(f'combine="c" cannot put a {full_name(value)} and a pandas.Series in one vector')
    return _bound(values, axis=0)


def rbind(values: Sequence[Any]) -> Any:
    """A DataFrame of the rows in `values`; dicts in a row share one, and so do Series."""
    pandas = _pandas()

    def kind(value: Any) -> str:
        if isinstance(value, pandas.Series):
            return "series" if value.name is None else "named series"
        return "dict" if isinstance(value, Mapping) else "frame"

    frames: list[Any] = []
    for what, run in groupby(values, key=kind):
        if what == "frame":
            frames.extend(map(_frame, run))
        else:
            frames.append(pandas.DataFrame(list(run)))
    return _bound(frames, axis=0)


def cbind(values: Sequence[Any]) -> Any:
    """A DataFrame of the columns in `values`; rows are matched by their index."""
    pandas = _pandas()
    return _bound(
        [value.to_frame() if isinstance(value, pandas.Series) else _frame(value) for value in values], axis=1
    )


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as exc:
        raise TypeError('combine="rbind" makes a data frame of dicts, and pandas is not installed') from exc
    return pandas


def _frame(value: Any) -> Any:
    if not isinstance(value, _pandas().DataFrame):
        raise TypeError(f"a {full_name(value)} is neither a row nor a column of a pandas.DataFrame")
    return value


def _bound(pieces: Sequence[Any], axis: int) -> Any:
    """Pieces one after the other. A place without a label is labelled with its number, as R numbers rows."""
    indexes = [piece.axes[axis] for piece in pieces]
    labelled = [not _is_default(index) for index in indexes]
    bound = _pandas().concat(pieces, axis=axis, ignore_index=not any(labelled))
    if any(labelled) and not all(labelled):
        labels: list[Any] = []
        for index, has_labels in zip(indexes, labelled, strict=True):
            labels.extend(index if has_labels else range(len(labels), len(labels) + len(index)))
        bound = bound.set_axis(labels, axis=axis)
    return bound


def _is_default(index: Any) -> bool:
    return isinstance(index, _pandas().RangeIndex) and index.start == 0 and index.step == 1
