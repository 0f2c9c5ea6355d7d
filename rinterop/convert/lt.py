"""POSIXlt, a time in pieces (year, month ...), to POSIXct, a number of seconds."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rinterop.convert.times import INSTANT
from rinterop.convert.types import bare_strings
from rinterop.convert.vectors import frozen, with_na
from rinterop.errors import ExpansionError
from rinterop.values import NA_INTEGER, Double, Integer, List, attribute, attributes_of, character, plain

_FIELDS: Final = ("sec", "min", "hour", "mday", "mon", "year")
_UTC: Final = ("UTC", "GMT")


def from_posixlt(value: List) -> Double | None:
    """The same times as R's `as.POSIXct` gives them; None if value or its time zone is none that we know.

    A time in the writer's own zone is known by the offset from UTC (`gmtoff`) that R keeps beside it.
    """
    try:
        zones = bare_strings(plain(attribute(value, "tzone"))) or ("",)
        parts = {name: _numbers(value, name) for name in (*_FIELDS, "gmtoff", "isdst")}
    except ExpansionError:
        return None
    zone = zones[0] if isinstance(zones[0], str) else ""
    fields = [field for field in (parts[name] for name in _FIELDS) if field is not None]
    if len(fields) < len(_FIELDS) or len(set(map(len, fields))) > 1:
        return None
    missing = ~np.all(np.isfinite(fields), axis=0)
    sec = np.where(missing, 0.0, fields[0])
    minute, hour, mday, month, year = (np.where(missing, 0, field).astype(np.int64) for field in fields[1:])
    months = (year + 1900 - 1970) * 12 + month
    midnights = months.astype("M8[M]").astype("M8[D]").view(np.int64) + mday - 1
    wall = midnights * 86400.0 + hour * 3600.0 + minute * 60.0 + sec
    offsets = _offsets(zone, parts["gmtoff"], parts["isdst"], wall, missing)
    if offsets is None:
        return None
    seconds = with_na(np.asarray(wall - offsets, np.float64), missing)
    tags = attributes_of(**{"class": character(*INSTANT), "tzone": character(zone)})
    return Double(frozen(seconds), attributes=tags)


def _numbers(value: List, name: str) -> NDArray[np.float64] | None:
    """A field as doubles, NaN for NA; None if there is no such field."""
    field = plain(value.get(name))
    if isinstance(field, Integer):
        return np.where(field.values == NA_INTEGER, np.nan, field.values.astype(np.float64))
    return field.values if isinstance(field, Double) else None


def _offsets(
    zone: str,
    gmtoff: NDArray[np.float64] | None,
    isdst: NDArray[np.float64] | None,
    wall: NDArray[Any],
    missing: NDArray[np.bool_],
) -> NDArray[np.float64] | None:
    """Seconds that wall clocks are ahead of UTC."""
    if zone in _UTC:
        return np.zeros(len(wall))
    if gmtoff is not None and len(gmtoff) == len(wall) and not np.isnan(gmtoff[~missing]).any():
        return np.where(missing, 0.0, gmtoff)
    try:
        info = zoneinfo.ZoneInfo(zone)
        return np.array(
            [
                0.0
                if absent
                else _offset(info, float(seconds), None if isdst is None else float(isdst[index]))
                for index, (seconds, absent) in enumerate(zip(wall, missing, strict=True))
            ]
        )
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OverflowError, OSError):
        return None


def _offset(zone: zoneinfo.ZoneInfo, wall: float, isdst: float | None) -> float:
    """Of one wall clock time, in the half of an ambiguous hour that `isdst` says."""
    moment = dt.datetime(1970, 1, 1, tzinfo=zone) + dt.timedelta(seconds=wall)
    early, late = moment.replace(fold=0), moment.replace(fold=1)
    found = late if isdst == 0 and early.utcoffset() != late.utcoffset() and not late.dst() else early
    offset = found.utcoffset()
    return 0.0 if offset is None else offset.total_seconds()
