"""pandas: data frames as DataFrames, and back; its other types to R."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rinterop.convert import factors, optional, record, times
from rinterop.convert.deep import Conversion, Steps
from rinterop.convert.frames import Frame, assembled
from rinterop.convert.types import Factor, pairs_of
from rinterop.errors import ConversionError
from rinterop.values import (
    NA,
    Character,
    Double,
    List,
    NAType,
    attributes,
    class_,
)
from rinterop.values.text import RText
from rinterop.values.vectors import Vector, attribute_list


def to_pandas(frame: Frame, columns: list[Any]) -> Any | None:
    """A DataFrame of decoded columns; None if names or a column's text would not survive in pandas."""
    names = [name for name in frame.names if isinstance(name, str)]
    if len(names) < len(frame.names) or not factors.are_plain(names):
        return None
    if any(isinstance(column, Factor) for column in columns):
        return None
    if isinstance(frame.row_names, tuple) and not factors.are_plain(list(frame.row_names)):
        return None
    pd = optional.pandas()
    index = _index(pd, frame)
    arrays = {position: _column(pd, column, index) for position, column in enumerate(columns)}
    made = pd.DataFrame(arrays, index=index)
    made.columns = pd.Index(names)
    record.remember(frame, made)
    return made


def from_pandas(value: Any, converter: Conversion) -> Any | None:
    """The R value for an object of pandas, or steps to it; None if it is not one of pandas."""
    pd = optional.pandas()
    if isinstance(value, pd.DataFrame):
        return converter.within(value, _from_frame(value, converter))
    if isinstance(value, pd.Series):
        return _from_series(value, converter)
    if isinstance(value, pd.Index | pd.api.extensions.ExtensionArray):
        if isinstance(value, pd.MultiIndex):
            raise ConversionError("a MultiIndex has no form in R: use to_frame(index=False)")
        values = decoded(value)
        if _is_zoned(values):
            return _zoned(values)
        return (
            factors.from_factor(values) if isinstance(values, pd.Categorical) else converter.convert(values)
        )
    if value is pd.NA:
        return converter.convert(NA)
    if value is pd.NaT:
        return times.from_times(np.array(["NaT"], "M8[us]"))
    if isinstance(value, pd.Timestamp):
        return times.from_times(_utc(pd.DatetimeIndex([value])), times.zone_name(value.tz))
    if isinstance(value, pd.Timedelta):
        return times.from_times(np.array([value.to_timedelta64()]))
    return None


def decoded(values: Any) -> Any:
    """A Series', an Index's or a pandas array's content as an array that the rest of this package knows.

    Raises:
        ConversionError: If R has nothing like it (intervals, periods).
    """
    pd = optional.pandas()
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        if dtype.kind == "O" and pd.api.types.infer_dtype(values, skipna=True) in ("string", "boolean"):
            return _with_na(values)  # among them, pandas takes NaN for missing, too
        return values.to_numpy()
    if isinstance(dtype, pd.CategoricalDtype):
        return values if isinstance(values, pd.Categorical) else pd.Categorical(values)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return values
    if isinstance(dtype, pd.StringDtype):
        return _with_na(values)
    if isinstance(dtype, pd.ArrowDtype):
        from rinterop.convert.arrow_frames import arrow_array

        zone = getattr(dtype.pyarrow_dtype, "tz", None)
        if zone is not None:
            return values.astype(pd.DatetimeTZDtype(dtype.pyarrow_dtype.unit, zone))
        return arrow_array(optional.pyarrow().array(values))
    if isinstance(dtype, pd.SparseDtype):
        return np.asarray(values)
    numpy_dtype = getattr(dtype, "numpy_dtype", None)
    if numpy_dtype is None:
        raise ConversionError(f"pandas' dtype {dtype} has no form in R: use astype(str), or take it apart")
    missing = np.asarray(values.isna())
    stored = getattr(getattr(values, "array", values), "_data", None)
    if isinstance(stored, np.ndarray) and stored.dtype == np.float64:
        # Under its mask pandas keeps the NaN that R had: haven's tagged NAs differ in their bits.
        return np.ma.array(stored, mask=missing) if missing.any() else stored
    data = (
        values.to_numpy(numpy_dtype, na_value=numpy_dtype.type(0))
        if missing.any()
        else values.to_numpy(numpy_dtype)
    )
    return np.ma.array(data, mask=missing) if missing.any() else data


def _with_na(values: Any) -> NDArray[Any]:
    """An array of objects, with `NA` where pandas finds something missing."""
    missing = np.asarray(values.isna())
    items: NDArray[Any] = values.to_numpy(object, copy=bool(missing.any()))
    if missing.any():
        items[missing] = NA
    return items


def _index(pd: Any, frame: Frame) -> Any:
    if frame.row_names is None:
        return pd.RangeIndex(frame.n_rows)
    return pd.Index(frame.row_names if isinstance(frame.row_names, np.ndarray) else list(frame.row_names))


def _column(pd: Any, values: Any, index: Any) -> Any:
    """What pandas takes for a column: nullable dtypes where something is missing, `string` for text."""
    if isinstance(values, np.ma.MaskedArray):
        data, mask = np.ma.getdata(values), np.ma.getmaskarray(values)
        match data.dtype.kind:
            case "b":
                return pd.arrays.BooleanArray(data.copy(), mask.copy())
            case "i":
                return pd.arrays.IntegerArray(data.copy(), mask.copy())
            case "f":
                return pd.arrays.FloatingArray(data.copy(), mask.copy())
        return data  # complex: pandas has nothing nullable, and the numbers still have R's NA in their bits
    if not isinstance(values, np.ndarray):
        return values
    if values.dtype.kind == "M" and np.datetime_data(values.dtype)[0] == "D":
        return values.astype("M8[s]")
    if values.dtype.kind == "m" and np.datetime_data(values.dtype)[0] not in ("s", "ms", "us", "ns"):
        return values.astype("m8[s]")
    return _strings(pd, values, index) if values.dtype.kind == "O" else values


def _strings(pd: Any, values: NDArray[Any], index: Any) -> Any:
    """Texts in pandas' string type; objects of other types, and text that is none, as they are."""
    texts = values.tolist()
    kinds = set(map(type, texts))
    is_text = (str in kinds or RText in kinds or not texts) and kinds <= {str, RText, NAType}
    if not is_text or (RText in kinds and not factors.are_plain([text for text in texts if text is not NA])):
        return pd.Series(values, index=index, dtype=object)
    return pd.array(
        [None if text is NA else text for text in texts] if NAType in kinds else values, dtype="string"
    )


def _from_frame(frame: Any, converter: Conversion) -> Steps:
    names = frame.columns.tolist()
    for name in names:
        if not isinstance(name, str):
            raise ConversionError(
                f"names of columns are strings in R, and {name!r} is none: rename(columns=str) makes them so"
            )
    known = record.recalled(frame)
    columns = []
    for position, name in enumerate(names):
        column = frame.iloc[:, position]
        prototype = known.columns.get(name) if names.count(name) == 1 else None
        values = decoded(column)
        if not isinstance(prototype, List):  # in a column that was a list each cell may hold any value
            _refuse_repeated(name, values)
        if prototype is None:
            steps = _zoned(values) if _is_zoned(values) else converter.column(values)
            columns.append((yield steps))
        else:
            steps = converter.column(_array_of(values), attribute_list(prototype), type(prototype))
            columns.append(known.column(name, (yield steps)))
    pairs = known.attributes(names, columns, len(frame))
    return assembled(names, columns, _row_names(frame.index), pairs, len(frame))


def _refuse_repeated(name: str, values: Any) -> None:
    """R vectors are scalars for pandas: assigned to a column, the whole is in each cell."""
    if not isinstance(values, np.ndarray) or values.dtype.kind != "O" or not len(values):
        return
    first, n_rows = values[0], len(values)
    if not isinstance(first, Vector) or len(first) != n_rows or any(one is not first for one in values):
        return
    is_wide = "integer64" in class_(first)
    if n_rows > 1 or is_wide:
        wide = 'give pandas the array and use to_r(frame, int64="integer64")'
        advice = wide if is_wide else "give pandas to_python(...) of it"
        raise ConversionError(f"each cell of column {name!r} holds the same whole R vector: {advice}")


def _from_series(series: Any, converter: Conversion) -> Steps:
    values = decoded(series)
    if _is_zoned(values):
        values = _zoned(values)
    found = yield converter.convert(values)
    labels = decoded(series.index) if len(series) else np.empty(0)
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels) and len(labels):
        tags = {**attributes(found), "names": Character(tuple(labels))}
        return type(found)(values=found.values, attributes=pairs_of(tags))
    return found


def _row_names(index: Any) -> Any:
    pd = optional.pandas()
    if isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1:
        return None
    if isinstance(index.dtype, np.dtype) and index.dtype.kind in "iu":
        return decoded(index)
    if isinstance(index, pd.MultiIndex) or not pd.api.types.is_string_dtype(index.dtype):
        raise ConversionError("R has no such row names: reset_index() makes a column of the index")
    return decoded(index).tolist()


def _is_zoned(values: Any) -> bool:
    return isinstance(getattr(values, "dtype", None), optional.pandas().DatetimeTZDtype)


def _zoned(values: Any) -> Double:
    """Times in a time zone as POSIXct."""
    return times.from_times(_utc(values), times.zone_name(values.dtype.tz))


def _utc(values: Any) -> NDArray[Any]:
    """datetime64 in UTC, in the unit that the values have."""
    index = optional.pandas().DatetimeIndex(values)
    array: NDArray[Any] = (
        index if index.tz is None else index.tz_convert("UTC").tz_localize(None)
    ).to_numpy()
    return array


def _array_of(values: Any) -> Any:
    return _utc(values) if _is_zoned(values) else values
