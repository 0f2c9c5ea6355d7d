"""Arrow tables and polars DataFrames: R's data frames in Arrow's types, and back.

Arrow's null is R's NA, in a column of any type, and NaN stays NaN. Row names and attributes that Arrow has no
type for have no place here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rinterop.convert import factors, optional, times
from rinterop.convert.deep import Conversion, Steps
from rinterop.convert.frames import Frame, assembled
from rinterop.convert.types import Factor
from rinterop.convert.vectors import is_missing
from rinterop.errors import ConversionError
from rinterop.values import NA, Double, RValue, attribute, attributes_of, character, class_, one_line

_INSTEAD = 'frames="table" or "pandas" keeps it'


def to_arrow(frame: Frame, columns: list[Any], kind: str = "Arrow") -> Any:
    """A `pyarrow.Table` of decoded columns.

    Args:
        frame: The data frame.
        columns: Its columns; None for one that is no simple vector.
        kind: What it is for, to be named in errors.

    Raises:
        ConversionError: If Arrow has no place for a column or the row names; says what to do.
    """
    pa = optional.pyarrow()
    names = _names(frame, kind)
    arrays = []
    for name, column, original in zip(names, columns, frame.columns, strict=True):
        zone = times.zone_of(attribute(original, "tzone")) if "POSIXct" in class_(original) else None
        array = None if column is None else _to_arrow(pa, column, zone)
        if array is None:
            what = one_line(original, 40)
            raise ConversionError(f"{kind} has no place for the column {name!r}, {what}: {_INSTEAD}")
        arrays.append(array)
    return pa.table(arrays, names=names)


def to_polars(frame: Frame, columns: list[Any]) -> Any:
    """A `polars.DataFrame` of decoded columns, as `to_arrow`; factors are of an `Enum` of their levels."""
    pl = optional.polars()
    table = to_arrow(frame, columns, "polars")
    # Left to itself polars makes them Categorical, which keeps neither unused levels nor the order of any.
    enums = [
        pl.col(name).cast(pl.Enum(list(column.levels)))
        for name, column in zip(table.column_names, columns, strict=True)
        if isinstance(column, Factor)
    ]
    return pl.DataFrame(table).with_columns(enums)


def from_arrow(value: Any, converter: Conversion, foreign: bool = False) -> Any | None:
    """Steps from an Arrow or polars table, array or scalar to an R value; None if it is none of these.

    Args:
        value: The object.
        converter: Who converts what is nested.
        foreign: Whether it is of another library, known only by its `__arrow_c_stream__`.
    """
    package = type(value).__module__.partition(".")[0]
    if not foreign and package not in ("pyarrow", "polars"):
        return None
    if package == "polars" and not hasattr(value, "__arrow_c_stream__"):
        return None
    pa = optional.pyarrow()
    if package == "polars":
        value = _within_64_bits(value)
    if isinstance(value, pa.Scalar):
        return converter.convert(value.as_py())
    # polars calls each Enum ordered, since its categories have an order. So have the levels of any factor.
    ordered = package != "polars"
    if isinstance(value, pa.RecordBatch | pa.Table):
        return _frame(value, converter)
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return _vector(value, converter)
    if not hasattr(value, "__arrow_c_stream__"):
        return None
    reader = pa.RecordBatchReader.from_stream(value) if not _is_series(value) else None
    return (
        _vector(pa.chunked_array(value), converter, ordered)
        if reader is None
        else _frame(reader.read_all(), converter, ordered)
    )


def arrow_array(array: Any, ordered: bool = True) -> Any:
    """The content of an Arrow array as an array that the rest of this package knows.

    Args:
        array: An array, or one in chunks.
        ordered: Whether a dictionary that is ordered makes an ordered factor.

    Raises:
        ConversionError: If R has nothing like it (maps, unions, intervals).
    """
    pa = optional.pyarrow()
    types = pa.types
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # what Arrow cannot hold in one piece, or has no piece at all
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    kind = array.type
    if types.is_dictionary(kind):
        return _factor(array, ordered)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _with_na(array.to_numpy(zero_copy_only=False), array)
    if types.is_null(kind):
        return np.ma.array(np.zeros(len(array), np.bool_), mask=True)
    if types.is_date(kind):
        return _ticks(array.cast(pa.date32()).cast(pa.int32()), "M8[D]")
    if types.is_timestamp(kind) or types.is_duration(kind):
        letter = "M8" if types.is_timestamp(kind) else "m8"
        return _ticks(array.cast(pa.int64()), f"{letter}[{kind.unit}]")
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        return _numbers(array)
    if types.is_decimal(kind):
        raise ConversionError("decimals are not exact as doubles: cast them to float64, or to string")
    is_nested = types.is_nested(kind) and not types.is_map(kind) and not types.is_union(kind)
    if is_nested or _is_binary(types, kind):
        items = np.empty(len(array), object)
        items[:] = array.to_pylist()
        return items
    raise ConversionError(f"Arrow's type {kind} has no form in R: cast it to another")


def _is_binary(types: Any, kind: Any) -> bool:
    return any(
        is_kind(kind)
        for name in ("is_binary", "is_large_binary", "is_fixed_size_binary", "is_binary_view")
        if (is_kind := getattr(types, name, None)) is not None
    )


def _within_64_bits(value: Any) -> Any:
    """A polars object without integers of 128 bits, which Arrow has not.

    Raises:
        ConversionError: If some do not fit into 64.
    """
    pl = optional.polars()
    wide = [kind for name in ("Int128", "UInt128") if (kind := getattr(pl, name, None)) is not None]
    try:
        if isinstance(value, pl.Series):
            return value.cast(pl.Int64) if value.dtype in wide else value
        return value.with_columns(pl.col(wide).cast(pl.Int64)) if wide else value
    except pl.exceptions.InvalidOperationError as error:
        raise ConversionError(
            "integers beyond 64 bits have no form in R: cast them to Float64, which rounds, or to String"
        ) from error


def _is_series(value: Any) -> bool:
    """Whether an object with an Arrow stream holds one column rather than a table of them."""
    polars = optional.imported("polars")
    if polars is not None and isinstance(value, polars.Series | polars.DataFrame):
        return isinstance(value, polars.Series)
    return not hasattr(value, "columns") and not hasattr(value, "column_names")


def _names(frame: Frame, kind: str) -> list[str]:
    if frame.row_names is not None:
        raise ConversionError(
            f'{kind} has no row names, and the data frame has: row_names="name" makes a column of them'
        )
    names = [name for name in frame.names if isinstance(name, str)]
    if not names and frame.n_rows:
        raise ConversionError(f"{kind} has no rows where there are no columns: {_INSTEAD}")
    if len(names) < len(frame.names) or len(set(names)) < len(names) or not factors.are_plain(names):
        raise ConversionError(f"{kind} needs a name for each column, and another one for each: {_INSTEAD}")
    return names


def _to_arrow(pa: Any, values: Any, zone: str | None) -> Any | None:
    """An Arrow array of a decoded column; None if Arrow has no place for it."""
    if isinstance(values, Factor):
        if not factors.are_plain(list(values.levels)):
            return None
        codes = pa.array(values.codes, mask=values.codes < 0)
        return pa.DictionaryArray.from_arrays(
            codes, pa.array(values.levels, pa.string()), ordered=values.ordered
        )
    if not isinstance(values, np.ndarray):
        return None
    data, mask = np.ma.getdata(values), np.ma.getmaskarray(values) if np.ma.isMaskedArray(values) else None
    match values.dtype.kind:
        case "O":
            if not all(isinstance(text, str) or text is NA for text in values):
                return None
            texts = [None if text is NA else text for text in values]
            return (
                pa.array(texts, pa.string())
                if factors.are_plain([t for t in texts if t is not None])
                else None
            )
        case "M" if np.datetime_data(values.dtype)[0] == "D":
            return pa.array(data, pa.date32())
        case "M":
            return pa.array(data).cast(pa.timestamp(np.datetime_data(values.dtype)[0], tz=zone))
        case "m":
            return pa.array(
                data if np.datetime_data(values.dtype)[0] in ("us", "ns") else data.astype("m8[s]")
            )
        case "b" | "i" | "u" | "f":
            return pa.array(data, mask=mask)
    return None


def _frame(table: Any, converter: Conversion, ordered: bool = True) -> Steps:
    columns = []
    for column in table.columns:
        columns.append((yield _vector(column, converter, ordered)))  # noqa: PERF401  # one at a time, as steps are taken
    return assembled(list(table.column_names), columns, None, None, table.num_rows)


def _vector(array: Any, converter: Conversion, ordered: bool = True) -> Any:
    types = optional.pyarrow().types
    if types.is_time(array.type):
        return _times_of_day(array)
    values = arrow_array(array, ordered)
    zone = getattr(array.type, "tz", None)
    return times.from_times(values, zone) if zone else converter.convert(values)


def _factor(array: Any, ordered: bool) -> Factor | Any:
    """A dictionary of strings as a factor; of anything else as the elements."""
    pa = optional.pyarrow()
    if not (
        pa.types.is_string(array.type.value_type)
        or pa.types.is_large_string(array.type.value_type)
        or pa.types.is_string_view(array.type.value_type)
    ):
        return arrow_array(array.dictionary_decode())
    codes = array.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
    levels = array.dictionary.to_pylist()
    if any(map(is_missing, levels)) or len(set(levels)) < len(levels):
        return arrow_array(array.dictionary_decode())
    return Factor(codes, levels, array.type.ordered and ordered)


def _times_of_day(array: Any) -> RValue:
    """Times of day as R's package hms has them, and R's arrow makes them: seconds."""
    pa = optional.pyarrow()
    whole = array.cast(pa.int32() if pa.types.is_time32(array.type) else pa.int64())
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.combine_chunks()
    spans = times.from_times(_ticks(whole, f"m8[{array.type.unit}]"))
    classes = character("hms", "difftime")
    return Double(spans.values, attributes=attributes_of(**{"class": classes, "units": character("secs")}))


def _ticks(array: Any, dtype: str) -> NDArray[Any]:
    """Integers as times of that dtype, null as NaT."""
    missing = array.is_null().to_numpy(zero_copy_only=False)
    ticks: NDArray[Any] = array.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    ticks[missing] = np.iinfo(np.int64).min
    return ticks.view(dtype)


def _numbers(array: Any) -> NDArray[Any]:
    """Numbers or bools, masked where null."""
    pa = optional.pyarrow()
    if not array.null_count:
        return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]  # an array
    missing = array.is_null().to_numpy(zero_copy_only=False)
    nothing = pa.scalar(False if pa.types.is_boolean(array.type) else 0).cast(array.type)
    masked: NDArray[Any] = np.ma.array(array.fill_null(nothing).to_numpy(zero_copy_only=False), mask=missing)
    return masked


def _with_na(texts: NDArray[Any], array: Any) -> NDArray[Any]:
    if array.null_count:
        texts = texts.copy()
        texts[array.is_null().to_numpy(zero_copy_only=False)] = NA
    return texts
