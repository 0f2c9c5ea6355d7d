"""Dates, times and time differences: R's numbers, and NumPy's integers of a unit.

R counts days (Date), seconds since 1970 UTC (POSIXct) and seconds, minutes, hours, days or weeks (difftime),
usually in doubles. An array of dtype datetime64 or timedelta64 is made only if it gives back the very same
numbers; R's NA is NaT. A datetime64 array without a time zone counts as UTC, as it does for NumPy.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rinterop.convert.vectors import EXACT, frozen, with_na
from rinterop.errors import ConversionError
from rinterop.values import (
    NA_INTEGER,
    Character,
    Double,
    Integer,
    RValue,
    attributes,
    attributes_of,
    character,
    class_,
)
from rinterop.values.base import same_bits
from rinterop.values.vectors import Vector, is_na_real

DATE: Final = ("Date",)
INSTANT: Final = ("POSIXct", "POSIXt")
UNITS: Final = {"secs": "s", "mins": "m", "hours": "h", "days": "D", "weeks": "W"}
"""Units of R's difftime and NumPy's names of them."""
_SECONDS: Final = {"secs": 1, "mins": 60, "hours": 3600, "days": 86400, "weeks": 604800}
_DEFAULT_UNITS: Final = {code: name for name, code in UNITS.items()}
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NAT: Final = np.iinfo(np.int64).min
Back: TypeAlias = Callable[[NDArray[Any]], NDArray[np.float64]]
"""From an array of times to R's numbers."""


def dates(vector: Integer | Double) -> NDArray[Any] | None:
    """Days as datetime64[D]; None if that would not give them back."""
    return _verified(_ticks(*_present(vector), 1, _SECONDS["days"]), "M8[D]", vector, days_of)


def instants(vector: Integer | Double) -> NDArray[Any] | None:
    """Seconds as datetime64[us], or [ns] where microseconds do not give them back; None if neither does."""
    numbers, missing = _present(vector)
    for unit in ("us", "ns"):
        found = _verified(_ticks(numbers, missing, _PER_SECOND[unit]), f"M8[{unit}]", vector, seconds_of)
        if found is not None:
            return found
    return None


def spans(vector: Integer | Double, units: str) -> NDArray[Any] | None:
    """A difftime as timedelta64 of the same unit, or of a fraction of a second; None if neither is exact."""
    if units not in UNITS:
        return None
    numbers, missing = _present(vector)
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large is found to be so below
        seconds = np.where(missing, 0.0, numbers) * _SECONDS[units]
    for amounts, unit, per_unit in (
        (numbers, UNITS[units], 1),
        (seconds, "us", _PER_SECOND["us"]),
        (seconds, "ns", _PER_SECOND["ns"]),
    ):
        ticks = _ticks(amounts, missing, per_unit, _SECONDS[units] if per_unit == 1 else 1)
        found = _verified(ticks, f"m8[{unit}]", vector, lambda array: lengths_of(array, units))
        if found is not None:
            return found
    return None


def days_of(array: NDArray[Any]) -> NDArray[np.float64]:
    """Days since 1970 of a datetime64 array that holds whole days.

    Raises:
        ConversionError: If it holds times of day.
    """
    days = array.astype("M8[D]")
    if not np.array_equal(days[~np.isnat(array)], array[~np.isnat(array)]):
        raise ConversionError("times of day have no place in a Date: astype('datetime64[D]') cuts them off")
    return _doubles(days.view(np.int64))


def seconds_of(array: NDArray[Any]) -> NDArray[np.float64]:
    """Seconds of a datetime64 or timedelta64 array, the nearest doubles: to the microsecond until 2242.

    Raises:
        ConversionError: If the dtype has no unit, or one that is no number of seconds (months, years).
    """
    unit, step = np.datetime_data(array.dtype)
    if array.dtype.kind == "M" and unit in ("Y", "M", "W", "D", "h", "m"):
        array, unit, step = array.astype("M8[s]"), "s", 1
    elif array.dtype.kind == "m" and unit in ("W", "D", "h", "m"):
        array, unit, step = array.astype("m8[s]"), "s", 1
    if unit not in _PER_SECOND or step != 1:
        raise ConversionError(
            f"dtype {array.dtype} is no number of seconds: use astype() with s, ms, us or ns"
        )
    ticks, per_second = array.view(np.int64), _PER_SECOND[unit]
    missing = ticks == _NAT
    whole, rest = np.divmod(ticks, per_second)
    seconds = whole.astype(np.float64) + rest / per_second
    return with_na(seconds, missing)


def lengths_of(array: NDArray[Any], units: str) -> NDArray[np.float64]:
    """A timedelta64 array in R's `units`."""
    if np.datetime_data(array.dtype) == (UNITS[units], 1) and units != "secs":
        return _doubles(array.view(np.int64))
    seconds = seconds_of(array)
    missing = is_na_real(seconds)
    with np.errstate(invalid="ignore"):  # R's NA is a signalling NaN
        return with_na(seconds / _SECONDS[units], missing)


def units_of(array: NDArray[Any]) -> str:
    """The difftime unit of a timedelta64 array: its own, seconds for fractions of a second."""
    return _DEFAULT_UNITS.get(np.datetime_data(array.dtype)[0], "secs")


def from_times(array: NDArray[Any], zone: str | None = None) -> Double:
    """A one-dimensional datetime64 or timedelta64 array as R has it by default.

    datetime64[D] makes a Date, other units POSIXct with `zone` as `tzone` if given; timedelta64 a difftime.
    """
    if array.dtype.kind == "m":
        units = units_of(array)
        found = attributes_of(**{"class": character("difftime"), "units": character(units)})
        return Double(frozen(lengths_of(array, units)), attributes=found)
    if np.datetime_data(array.dtype)[0] == "D" and zone is None:
        return Double(frozen(days_of(array)), attributes=attributes_of(**{"class": character(*DATE)}))
    tags: dict[str, RValue] = {"class": character(*INSTANT)}
    if zone is not None:
        tags["tzone"] = character(zone)
    return Double(frozen(seconds_of(array)), attributes=attributes_of(**tags))


def stored(array: NDArray[Any], storage: type[Vector], classes: tuple[str, ...], units: str) -> Vector:
    """The numbers of a datetime64 or timedelta64 array, for a class and a storage type that it came from."""
    if array.dtype.kind == "m":
        numbers = lengths_of(array, units if units in UNITS else "secs")
    else:
        numbers = days_of(array) if "Date" in classes else seconds_of(array)
    return _stored(numbers, storage)


def zone_of(tzone: RValue) -> str | None:
    """The one time zone that a `tzone` attribute names, if it does."""
    if isinstance(tzone, Character) and len(tzone) == 1 and tzone.attributes is None:
        return str(tzone.values[0]) or None if isinstance(tzone.values[0], str) else None
    return None


def zone_name(zone: dt.tzinfo | None) -> str | None:
    """R's name for a time zone: what the tz database calls it; UTC for any other, as R has no such."""
    if zone is None:
        return None
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)  # zoneinfo, pytz
    return str(name) if name else "UTC"


def from_datetime(moment: dt.datetime) -> Double:
    """A Python datetime as POSIXct. One without a time zone counts as UTC, as for NumPy."""
    zone = zone_name(moment.tzinfo)
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.timezone.utc).replace(tzinfo=None)
    return from_times(np.array([moment], "M8[us]"), zone)


def from_timedeltas(differences: Sequence[dt.timedelta | None]) -> Double:
    """Python's time differences, None for missing ones, as a difftime in seconds."""
    seconds = np.array([0.0 if one is None else one.total_seconds() for one in differences], np.float64)
    missing = np.array([one is None for one in differences], np.bool_)
    found = attributes_of(**{"class": character("difftime"), "units": character("secs")})
    return Double(frozen(with_na(seconds, missing)), attributes=found)


def scalar(array: NDArray[Any]) -> Any:
    """The only element: a date as `datetime.date` if Python has it, otherwise NumPy's scalar."""
    item = array.reshape(-1)[0]
    if np.datetime_data(array.dtype)[0] == "D" and array.dtype.kind == "M" and not np.isnat(item):
        found = item.item()
        return found if isinstance(found, dt.date) else array
    return item


def zoned_scalar(vector: Vector) -> dt.datetime | None:
    """One POSIXct in a time zone that Python knows, as a datetime; None if it is none, or not exact."""
    tags = attributes(vector)
    if not isinstance(vector, Double) or set(tags) != {"class", "tzone"} or class_(vector) != INSTANT:
        return None
    name, found = zone_of(tags["tzone"]), instants(vector)
    if name is None or found is None or np.datetime_data(found.dtype)[0] != "us" or np.isnat(found[0]):
        return None
    moment = found[0].item()
    if not isinstance(moment, dt.datetime):  # beyond the year 9999
        return None
    try:
        zone = dt.timezone.utc if name == "UTC" else zoneinfo.ZoneInfo(name)
        return moment.replace(tzinfo=dt.timezone.utc).astimezone(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OverflowError, OSError):
        return None


def _present(vector: Integer | Double) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The numbers as doubles, and where they are NA."""
    if isinstance(vector, Integer):
        return vector.values.astype(np.float64), vector.values == NA_INTEGER
    return vector.values, is_na_real(vector.values)


def _ticks(
    numbers: NDArray[np.float64], missing: NDArray[np.bool_], per_unit: int, unit_s: int = 1
) -> NDArray[np.int64] | None:
    """Numbers of a fraction of their unit, rounded, NaT for NA; None if some do not fit.

    Nor do those of which seconds would not fit: pandas has no larger units, and turns them without a look.
    """
    with np.errstate(invalid="ignore"):
        numbers = np.where(missing, 0.0, numbers)
        if not (
            np.abs(numbers) < min(EXACT, 2.0**63 / max(per_unit, unit_s) - 1)
        ).all():  # nor NaN, nor infinite
            return None
        whole = np.floor(numbers)
        ticks = whole.astype(np.int64) * per_unit
        if per_unit > 1:
            ticks += np.rint((numbers - whole) * per_unit).astype(np.int64)
    ticks[missing] = _NAT
    return ticks


def _verified(
    ticks: NDArray[np.int64] | None, dtype: str, vector: Integer | Double, back: Back
) -> NDArray[Any] | None:
    """The ticks as an array of `dtype`, if `back` makes the very same numbers of it."""
    if ticks is None:
        return None
    array: NDArray[Any] = frozen(ticks.view(dtype))
    try:
        found = _stored(back(array), type(vector))
    except ConversionError:
        return None
    return array if same_bits(found.values, vector.values) else None


def _doubles(ticks: NDArray[np.int64]) -> NDArray[np.float64]:
    missing = ticks == _NAT
    present = ticks[~missing]
    if present.size and (int(present.max()) > EXACT or int(present.min()) < -EXACT):
        raise ConversionError("so many days are not exact as a double")
    return with_na(ticks.astype(np.float64), missing)


def _stored(numbers: NDArray[np.float64], storage: type[Vector]) -> Integer | Double:
    if storage is Double:
        return Double(frozen(numbers))
    missing = is_na_real(numbers)
    present = numbers[~missing]
    if storage is not Integer or not ((present == np.rint(present)) & (np.abs(present) < 2**31)).all():
        raise ConversionError(f"these times have no form as an R {storage.__name__}")
    return Integer(frozen(np.where(missing, float(NA_INTEGER), numbers).astype(np.int32)))
