"""R values to natural Python objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from rinterop.convert import labelled, optional, registry, sparse, times
from rinterop.convert.deep import Steps, finish
from rinterop.convert.frames import Frame, frame_of, is_data_frame, table_of, with_row_names
from rinterop.convert.lt import from_posixlt
from rinterop.convert.missing import MISSING_VECTORS
from rinterop.convert.types import bare_strings
from rinterop.convert.vectors import objects, to_array
from rinterop.errors import ExpansionError
from rinterop.values import (
    NA,
    NA_INTEGER,
    NULL,
    S4,
    Altrep,
    Character,
    Complex,
    Double,
    Integer,
    List,
    Logical,
    Raw,
    RValue,
    attribute,
    class_,
)
from rinterop.values.base import same_bits
from rinterop.values.vectors import Vector, attribute_list, is_ordinary

FrameKind: TypeAlias = Literal["pandas", "polars", "arrow", "table"]

_MISSING_BY_TYPE: Final = {type(vector): scalar for scalar, vector in MISSING_VECTORS.items()}


def to_python(
    value: RValue,
    *,
    scalars: bool = True,
    frames: FrameKind | None = None,
    row_names: str | None = None,
) -> Any:
    """The natural Python object for an R value: docs/r-values.md has the table.

    Nothing is lost: `to_r` makes of the result what R finds `identical()` to the value, except where the
    table says otherwise. What Python has no form for (functions, environments, calls, S4 objects, lists with
    a class) comes back as the R value that it is.

    Args:
        value: Any R value.
        scalars: Whether a vector of length one without attributes becomes a Python scalar, not an array.
        frames: What a data frame becomes. "table" is a `rinterop.Table` and needs no package; "pandas",
            "polars" and "arrow" (a `pyarrow.Table`) need theirs, polars also pyarrow; None is pandas if it is
            installed, else a Table. A data frame that pandas has no place for becomes a Table.
        row_names: With "polars" and "arrow", which have none: the column that row names become.

    Raises:
        ConversionError: If `frames` names a package that is not installed, or if a data frame has row names
            or columns that polars or Arrow have no place for; says what to do.
        ValueError: If `row_names` makes no sense.
    """
    if row_names is not None and frames not in ("polars", "arrow"):
        raise ValueError('row_names= is for frames="polars" and "arrow": others keep row names as they are')
    use_pandas = frames == "pandas" or (frames is None and optional.has_pandas())
    kind: FrameKind = frames or ("pandas" if use_pandas else "table")
    return finish(_Converter(scalars, kind, use_pandas, row_names).convert(value))


@dataclass(frozen=True, slots=True)
class _Converter:
    scalars: bool
    frames: FrameKind
    use_pandas: bool
    row_names: str | None = None

    def convert(self, value: RValue) -> Any:
        """The result, or the steps that lead to it."""
        kind = type(value)
        if kind is Altrep:
            try:
                value = value.expand()  # type: ignore[attr-defined]  # an Altrep
            except ExpansionError:
                return value
            kind = type(value)
        pairs = attribute_list(value)
        if pairs is not None:
            own = registry.for_classes(class_(value))
            if own is not None:
                return own(value)
        if kind is List:
            return self._list(value)  # type: ignore[arg-type]  # a List
        if kind in labelled.ATOMIC:
            return self._vector(value)  # type: ignore[arg-type]  # an atomic vector
        if kind is S4:
            found = sparse.from_s4(value)  # type: ignore[arg-type]  # an S4
            return value if found is None else found
        return None if value is NULL else value

    def _vector(self, vector: Vector) -> Any:
        if not is_ordinary(vector):
            return vector
        if vector.attributes is None:
            if isinstance(vector, Raw):
                return vector.values
            return _scalar(vector) if self.scalars and len(vector) == 1 else to_array(vector)
        if self.scalars and len(vector) == 1:
            moment = times.zoned_scalar(vector)
            if moment is not None:
                return moment
        try:
            values = labelled.decoded(vector, self.use_pandas)
            if not labelled.expressed(values, vector):
                return labelled.rarray(values, vector)
        except ExpansionError:
            return vector
        is_time = isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "mM"
        return times.scalar(values) if self.scalars and is_time and len(vector) == 1 else values

    def _list(self, value: List) -> Any:
        if not is_ordinary(value):
            return value
        pairs = value.attributes
        if pairs is None:
            return self._elements(value)
        if len(pairs) == 1 and pairs.cells[0].name == "names":
            try:
                names = bare_strings(pairs.cells[0].value)
            except ExpansionError:
                return value
            if names is None or len(names) != len(value) or len(set(names)) < len(names) or NA in names:
                return value
            return self._named(value, names)
        classes = class_(value)
        if "data.frame" in classes:
            try:
                frame = frame_of(value)
            except ExpansionError:
                frame = None
            return value if frame is None else self._frame(frame)
        if "POSIXlt" in classes:
            moment = from_posixlt(value)
            return value if moment is None else self._vector(moment)
        return value

    def _elements(self, value: List) -> Steps:
        found = []
        for item in value.values:
            converted = self.convert(item)
            found.append((yield converted) if type(converted) is _GENERATOR else converted)
        return found

    def _named(self, value: List, names: tuple[Any, ...]) -> Steps:
        found = {}
        for name, item in zip(names, value.values, strict=True):
            converted = self.convert(item)
            found[name] = (yield converted) if type(converted) is _GENERATOR else converted
        return found

    def _frame(self, frame: Frame) -> Steps:
        """A data frame of the wanted kind; a `Table` where pandas cannot hold a column."""
        if self.frames in ("polars", "arrow"):
            return (yield from self._arrow_frame(frame))
        if self.frames == "pandas":
            columns = []
            for column in frame.columns:
                columns.append((yield from self._column(column, frame.n_rows)))
                if columns[-1] is None:
                    break
            else:
                from rinterop.convert.pandas_frames import to_pandas

                made = to_pandas(frame, columns)
                if made is not None:
                    return made
        whole = _Converter(False, self.frames, self.use_pandas)
        columns = []
        for column in frame.columns:
            converted = whole.convert(column)
            columns.append((yield converted) if type(converted) is _GENERATOR else converted)
        return table_of(frame, columns)

    def _column(self, column: RValue, n_rows: int) -> Steps:
        """A one-dimensional array of a column, without its attributes; None if it is not that simple."""
        if not is_ordinary(column):
            return None
        own = registry.for_classes(class_(column))
        if own is not None:
            found = own(column)
            return found if np.ndim(found) == 1 and len(found) == n_rows else None
        if type(column) is List and len(column) == n_rows and not is_data_frame(column):
            if "POSIXlt" in class_(column) or attribute(column, "dim") is not NULL:
                return None
            return objects((yield self._elements(column)))
        if type(column) not in labelled.ATOMIC or len(column) != n_rows:  # type: ignore[arg-type]  # if atomic
            return None
        values = labelled.decoded(column, self.use_pandas)  # type: ignore[arg-type]  # an atomic vector
        return values if np.ndim(values) == 1 else None

    def _arrow_frame(self, frame: Frame) -> Steps:
        """A data frame of polars or Arrow."""
        from rinterop.convert.arrow_frames import to_arrow, to_polars

        if self.row_names is not None:
            frame = with_row_names(frame, self.row_names)
        columns = []
        for column in frame.columns:
            columns.append((yield from self._column(column, frame.n_rows)))  # noqa: PERF401
        return to_arrow(frame, columns) if self.frames == "arrow" else to_polars(frame, columns)


_GENERATOR: Final = type(_ for _ in ())


def _scalar(vector: Vector) -> Any:
    match vector:
        case Character():
            text = vector.values[0]
            return _MISSING_BY_TYPE[Character] if text is NA else text
        case Double() | Complex():
            number = vector.values.item()
            if number == number:
                return number
            missing = _MISSING_BY_TYPE[type(vector)]
            if same_bits(vector.values, np.asarray(MISSING_VECTORS[missing].values)):
                return missing
            # A NaN, or an NA with bits of its own, which only an array keeps.
            array = to_array(vector)
            return array if np.ma.isMaskedArray(array) else number
        case Integer():
            number = vector.values.item()
            return _MISSING_BY_TYPE[Integer] if number == NA_INTEGER else number
        case Logical():
            code = vector.values.item()
            return NA if code == NA_INTEGER else code != 0
    raise AssertionError(vector)
