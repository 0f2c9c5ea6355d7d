"""Dates, times and time differences, with and without pandas."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any, Literal

import numpy as np
import pytest

import rinterop
from rinterop import ConversionError, RArray, to_python, to_r
from rinterop import values as v
from rinterop.values import RValue

UTC = dt.timezone.utc
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NAN = float("nan")


def date(*days: float | None) -> RValue:
    return v.Double(v.double(*days).values, attributes=v.attributes_of(**{"class": v.character("Date")}))


def posixct(*seconds: float | None, tzone: str | None = None) -> RValue:
    tags: dict[str, RValue] = {"class": v.character("POSIXct", "POSIXt")}
    if tzone is not None:
        tags["tzone"] = v.character(tzone)
    return v.Double(v.double(*seconds).values, attributes=v.attributes_of(**tags))


def difftime(units: str, *lengths: float | None) -> RValue:
    tags = v.attributes_of(**{"class": v.character("difftime"), "units": v.character(units)})
    return v.Double(v.double(*lengths).values, attributes=tags)


SCALARS = [
    (dt.date(2024, 2, 29), date(19782)),
    (dt.date(1, 1, 1), date(-719162)),
    (dt.datetime(2024, 2, 29, 12, 0, 0, 250000, UTC), posixct(1709208000.25, tzone="UTC")),
    (dt.datetime(2024, 2, 29, 13, tzinfo=BERLIN), posixct(1709208000, tzone="Europe/Berlin")),
    (dt.datetime(1900, 1, 1, tzinfo=zoneinfo.ZoneInfo("GMT")), posixct(-2208988800, tzone="GMT")),
    (np.datetime64("2024-02-29T12:00:00", "us"), posixct(1709208000)),
    (np.timedelta64(90, "s"), difftime("secs", 90)),
    (np.timedelta64(1_500_000, "us"), difftime("secs", 1.5)),
    (np.timedelta64(-3, "m"), difftime("mins", -3)),
    (np.timedelta64(2, "h"), difftime("hours", 2)),
    (np.timedelta64(7, "D"), difftime("days", 7)),
    (np.timedelta64(1, "W"), difftime("weeks", 1)),
]


@pytest.mark.parametrize(("python", "r"), SCALARS, ids=repr)
def test_scalars_both_ways(python: Any, r: RValue) -> None:
    assert to_r(python) == r
    found = to_python(r)
    assert found == python
    assert type(found) is type(python)
    if isinstance(found, dt.datetime):
        assert found.utcoffset() == python.utcoffset()


@pytest.mark.parametrize(
    ("python", "r"),
    [
        (np.array(["2024-02-29", "NaT"], "M8[D]"), date(19782, None)),
        (np.array([], "M8[D]"), date()),
        (np.array(["2024-02-29T12:00:00.5", "NaT"], "M8[us]"), posixct(1709208000.5, None)),
        (np.array([90, "NaT"], "m8[s]"), difftime("secs", 90, None)),
        (np.array([36, 12], "m8[h]"), difftime("hours", 36, 12)),
    ],
    ids=repr,
)
def test_arrays_both_ways(python: Any, r: RValue) -> None:
    assert to_r(python) == r
    found = to_python(r)
    assert found.dtype == python.dtype
    assert np.array_equal(found, python, equal_nan=True)


@pytest.mark.parametrize(
    ("python", "r"),
    [
        (dt.datetime(2024, 2, 29, 12), posixct(1709208000)),
        (
            dt.datetime(2024, 2, 29, 14, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            posixct(1709208000, tzone="UTC"),
        ),
        (dt.timedelta(days=1, microseconds=500_000), difftime("secs", 86400.5)),
        (np.array(["2024-02"], "M8[M]"), posixct(1706745600)),
        (np.ma.array(["2024-02-29", "2024-03-01"], "M8[D]", mask=[False, True]), date(19782, None)),
        (np.array([dt.date(1970, 1, 2), None], object), date(1, None)),
        (np.array([dt.datetime(1970, 1, 1, 0, 1), None], object), posixct(60, None)),
        (np.array([dt.datetime(1970, 1, 1, 0, 1, tzinfo=UTC)], object), posixct(60, tzone="UTC")),
        (np.array([dt.timedelta(minutes=1)], object), difftime("secs", 60)),
    ],
    ids=repr,
)
def test_python_only_forms(python: Any, r: RValue) -> None:
    assert to_r(python) == r


def test_instants_take_the_unit_that_is_exact() -> None:
    micro = to_python(posixct(1.25, 1709208000.123456))
    assert micro.dtype == np.dtype("M8[us]")
    # The nearest double to this many nanoseconds is none of a whole number of microseconds.
    nano = to_python(posixct(1e7 + 1e-8, 0))
    assert nano.dtype == np.dtype("M8[ns]")
    assert to_r(nano) == posixct(1e7 + 1e-8, 0)
    assert to_r(to_python(posixct(1e-12, 0))) == posixct(1e-12, 0)
    assert isinstance(to_python(posixct(1e-12, 0)), RArray)


@pytest.mark.parametrize(
    "r",
    [
        date(0.5, 1),
        date(float("inf"), None),
        date(NAN, None),
        date(1e300),
        posixct(float("-inf"), 1),
        posixct(NAN),
        posixct(1e18),
        posixct(1, tzone=""),
        posixct(1, tzone="Mars/Olympus"),
        posixct(NAN, None, tzone="UTC"),
        difftime("hours", 1.5, 0.1),
        difftime("fortnights", 1),
        v.Integer(v.integer(1, None).values, attributes=v.attributes_of(**{"class": v.character("Date")})),
        v.Integer(v.integer(5).values, attributes=v.attributes_of(**{"class": v.character("IDate", "Date")})),
        v.Double(
            v.double(1, 2).values,
            attributes=v.attributes_of(names=v.character("a", "b"), **{"class": v.character("Date")}),
        ),
    ],
    ids=repr,
)
@pytest.mark.parametrize("frames", [None, "table"])
def test_nothing_is_lost_of_unusual_times(r: RValue, frames: Literal["table"] | None) -> None:
    found = to_python(r, frames=frames)
    assert isinstance(found, RArray)
    assert to_r(found) == r


def test_times_beside_attributes_are_times() -> None:
    held = to_python(
        v.Integer(
            v.integer(5, None).values, attributes=v.attributes_of(**{"class": v.character("IDate", "Date")})
        )
    )
    assert held.values.astype(str).tolist() == ["1970-01-06", "NaT"]
    assert rinterop.is_na(held).tolist() == [False, True]
    hours = to_python(difftime("hours", 1.5, 0.25))
    assert hours.values.astype("m8[s]").tolist() == [dt.timedelta(hours=1.5), dt.timedelta(hours=0.25)]
    stamps = to_python(posixct(0, 1, tzone="Europe/Berlin"), frames="table")
    assert stamps.values.tolist() == [dt.datetime(1970, 1, 1), dt.datetime(1970, 1, 1, 0, 0, 1)]


def test_times_of_day_are_no_dates() -> None:
    held = RArray(np.array(["1970-01-02"], "M8[D]"), names=["a"])
    held.values = np.array(["1970-01-02T12:00"], "M8[s]")
    with pytest.raises(ConversionError, match="cuts them off"):
        to_r(held)


def posixlt(zone: tuple[str, ...], isdst: int = 0, gmtoff: int | None = None, **fields: float) -> RValue:
    numbers = {"sec": 0.0, "min": 0, "hour": 0, "mday": 1, "mon": 0, "year": 70, **fields}
    parts: dict[str, RValue] = {
        name: v.double(number) if name == "sec" else v.integer(int(number))
        for name, number in numbers.items()
    }
    parts |= {"wday": v.integer(0), "yday": v.integer(0), "isdst": v.integer(isdst)}
    parts |= {"zone": v.character(zone[0]), "gmtoff": v.integer(gmtoff)}
    made = v.named_list(**parts)
    tags = v.attributes_of(
        **v.attributes(made), **{"class": v.character("POSIXlt", "POSIXt"), "tzone": v.character(*zone)}
    )
    return v.List(made.values, attributes=tags)


def test_posixlt_becomes_times() -> None:
    assert to_python(posixlt(("UTC",), year=124, mon=1, mday=29, hour=12, sec=1.5)) == dt.datetime(
        2024, 2, 29, 12, 0, 1, 500_000, UTC
    )
    summer = posixlt(("Europe/Berlin", "CET", "CEST"), isdst=1, year=124, mon=6)
    assert to_python(summer) == dt.datetime(2024, 7, 1, tzinfo=BERLIN)
    # The hour that comes twice: isdst says which.
    for isdst, offset in ((1, 2), (0, 1)):
        twice = to_python(posixlt(("Europe/Berlin",), isdst=isdst, year=124, mon=9, mday=27, hour=2))
        assert twice.utcoffset() == dt.timedelta(hours=offset)
    local = to_python(posixlt(("", "CET", "CEST"), gmtoff=3600))
    assert local.values.tolist() == [dt.datetime(1969, 12, 31, 23)]
    unknown = posixlt(("", "CET", "CEST"))
    assert to_python(unknown) is unknown
    overflowing = posixlt(("UTC",), mon=13, mday=0)
    assert to_python(overflowing) == dt.datetime(1971, 1, 31, tzinfo=UTC)


def test_zones_with_pandas() -> None:
    pd = pytest.importorskip("pandas")
    r = posixct(1709208000, None, 1709208000.5, tzone="Europe/Berlin")
    found = to_python(r)
    assert isinstance(found, pd.DatetimeIndex)
    assert found[0] == pd.Timestamp("2024-02-29 13:00", tz="Europe/Berlin")
    assert rinterop.is_na(found).tolist() == [False, True, False]
    assert to_r(found) == r
    assert to_r(found.to_series(index=range(3))) == r
    assert to_r(found[0]) == posixct(1709208000, tzone="Europe/Berlin")
    assert to_r(pd.Timestamp("2024-02-29 12:00")) == posixct(1709208000)
    assert to_r(pd.Timedelta(minutes=1)) == difftime("secs", 60)
    assert to_r(pd.NaT) == posixct(None)
