"""Whatever is converted comes back: Python objects through R, R values through Python."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rinterop
from rinterop import (
    NA,
    Factor,
    NA_character_,
    NA_complex_,
    NA_integer_,
    NA_real_,
    RArray,
    Table,
    to_python,
    to_r,
)
from rinterop import values as v
from rinterop.values import RValue
from tests.rinterop.test_convert import same
from tests.rinterop.test_convert_recordings import comparable

WITHOUT_CLOCK = settings(deadline=None)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
INTS = st.integers(-(2**31) + 1, 2**31 - 1)
FLOATS = st.floats(allow_nan=False)
ZONES = st.sampled_from(
    [dt.timezone.utc, zoneinfo.ZoneInfo("Europe/Berlin"), zoneinfo.ZoneInfo("Asia/Kolkata")]
)
# To the microsecond: that is what a double of seconds holds until 2242, and after 1697.
TIMES = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2240, 1, 1), timezones=ZONES, allow_imaginary=False)
SCALARS = (
    st.none()
    | st.booleans()
    | st.sampled_from([NA, NA_integer_, NA_real_, NA_complex_, NA_character_])
    | INTS
    | FLOATS
    | st.complex_numbers(allow_nan=False)
    | TEXT
    | st.binary(max_size=8)
    | st.dates()
    | TIMES
)


def masked(elements: st.SearchStrategy[Any], dtype: Any) -> st.SearchStrategy[Any]:
    """Arrays as `to_python` makes them: not of one element, and masked only if something is missing."""

    def build(items: list[tuple[Any, bool]]) -> Any:
        data = np.array([item for item, _ in items], dtype)
        mask = [absent for _, absent in items]
        return np.ma.array(data, mask=mask) if any(mask) else data

    lists = st.lists(st.tuples(elements, st.booleans()), max_size=6).filter(lambda items: len(items) != 1)
    return lists.map(build)


def objects(items: list[Any]) -> Any:
    array = np.empty(len(items), object)
    array[:] = items
    return array


VECTORS = (
    masked(INTS, np.int32)
    | masked(FLOATS, np.float64)
    | masked(st.booleans(), np.bool_)
    | masked(st.complex_numbers(allow_nan=False), np.complex128)
    | st.lists(TEXT | st.just(NA), max_size=6).filter(lambda items: len(items) != 1).map(objects)
    | st.lists(st.dates() | st.none(), min_size=2, max_size=6).map(lambda days: np.array(days, "M8[D]"))
)
MATRICES = st.tuples(st.integers(0, 3), st.integers(0, 3), st.randoms()).map(
    lambda made: np.array([made[2].random() for _ in range(made[0] * made[1])]).reshape(made[:2])
)
FACTORS = st.lists(TEXT, min_size=1, max_size=4, unique=True).flatmap(
    lambda levels: st.builds(
        Factor,
        st.lists(st.integers(-1, len(levels) - 1), max_size=5),
        st.just(levels),
        st.booleans(),
    )
)
OBJECTS = st.recursive(
    SCALARS | VECTORS | MATRICES | FACTORS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@WITHOUT_CLOCK
@given(OBJECTS)
def test_objects_come_back(value: Any) -> None:
    r = to_r(value)
    assert same(to_python(r, frames="table"), value)
    assert rinterop.loads(rinterop.dumps(r)) == r


@WITHOUT_CLOCK
@given(st.integers())
def test_integers_are_exact_or_refused(number: int) -> None:
    try:
        r = to_r(number)
    except rinterop.ConversionError:
        assert abs(number) > 2**53
    else:
        assert to_python(r) == number


@WITHOUT_CLOCK
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2))
def test_arrays_of_integers_are_exact_or_refused(numbers: list[int]) -> None:
    try:
        r = to_r(np.array(numbers, np.int64))
    except rinterop.ConversionError:
        assert max(map(abs, numbers)) > 2**53
    else:
        assert to_python(r).tolist() == numbers
        assert type(r) is (v.Integer if all(-(2**31) < n < 2**31 for n in numbers) else v.Double)


# R values: vectors of all types with all kinds of attributes, whether they make sense or not.
BITS = st.integers(0, 2**64 - 1)
DOUBLES = st.one_of(
    st.floats(width=64),
    st.sampled_from([v.NA_REAL, 0.5, -0.0, 1e9, 1719835200.123456, 1e-7]),
    st.integers(-(10**6), 10**6).map(float),
    BITS.map(lambda bits: float(np.array(bits, np.uint64).view(np.float64))),
)
STRINGS = TEXT | st.just(NA) | st.sampled_from([v.RText(b"\xff", 0x02), v.RText(b"caf\xe9", 0x04)])


def doubles(numbers: list[float]) -> v.Double:
    return v.Double(np.array(numbers, np.float64))


def complexes(numbers: list[float]) -> v.Complex:
    return v.Complex(np.array([*numbers, *numbers], np.float64).view(np.complex128))


ATOMS: st.SearchStrategy[Any] = st.one_of(
    st.lists(DOUBLES, max_size=5).map(doubles),
    st.lists(INTS | st.none(), max_size=5).map(lambda numbers: v.integer(*numbers)),
    st.lists(st.integers(0, 4) | st.none(), max_size=5).map(lambda numbers: v.integer(*numbers)),
    st.lists(st.booleans() | st.none(), max_size=5).map(lambda truths: v.logical(*truths)),
    st.lists(DOUBLES, max_size=5).map(complexes),
    st.lists(STRINGS, max_size=5).map(lambda texts: v.Character(tuple(texts))),
    st.binary(max_size=5).map(v.raw),
)
CLASSES = st.sampled_from(
    [
        ("factor",),
        ("ordered", "factor"),
        ("Date",),
        ("IDate", "Date"),
        ("POSIXct", "POSIXt"),
        ("POSIXlt", "POSIXt"),
        ("difftime",),
        ("integer64",),
        ("data.frame",),
        ("tbl_df", "data.frame"),
        ("mine",),
        (),
    ]
).map(lambda names: v.character(*names))
OTHERS: st.SearchStrategy[Any] = st.sampled_from(
    [v.NULL, v.symbol("x"), v.call("f", v.symbol("x")), v.GLOBAL_ENV, v.S4(gp=0x10), v.pairlist(a=v.NULL)]
)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "class": CLASSES,
        "names": st.lists(STRINGS, max_size=5).map(lambda texts: v.Character(tuple(texts))) | ATOMS,
        "dim": st.lists(st.integers(0, 3), max_size=3).map(lambda sizes: v.integer(*sizes)) | ATOMS,
        "dimnames": st.just(v.list_(v.character("a", "b"), v.NULL)) | OTHERS,
        "levels": st.lists(STRINGS, max_size=4, unique=True).map(lambda texts: v.Character(tuple(texts))),
        "tzone": st.sampled_from(["", "UTC", "Europe/Berlin", "No/Where"]).map(v.character) | ATOMS,
        "units": st.sampled_from(["secs", "mins", "hours", "days", "weeks", "eons"]).map(v.character) | ATOMS,
        "row.names": st.integers(0, 5).map(lambda n: v.integer(None, -n)) | ATOMS,
        "other": ATOMS | OTHERS,
    },
)


def attributed(value: Any, tags: dict[str, RValue]) -> RValue:
    return type(value)(values=value.values, attributes=v.attributes_of(**tags))  # type: ignore[no-any-return]  # a vector


def sensible(value: Any, tags: dict[str, RValue]) -> RValue:
    """With as many names, and rows, as there are elements."""
    n = len(value)
    if "names" in tags:
        tags["names"] = v.character(*(f"n{index}" for index in range(n)))
    if "row.names" in tags and isinstance(value, v.List) and n:
        first = value.values[0]
        tags["row.names"] = v.integer(None, -len(first) if isinstance(first, v.Double | v.Integer) else 1)
    return attributed(value, tags)


VECTOR_VALUES = ATOMS | st.builds(attributed, ATOMS, ATTRIBUTES) | st.builds(sensible, ATOMS, ATTRIBUTES)
VALUES: st.SearchStrategy[RValue] = st.recursive(
    VECTOR_VALUES | OTHERS,
    lambda inner: st.builds(
        lambda items, tags, how: how(v.List(tuple(items)), tags),
        st.lists(inner, max_size=4),
        ATTRIBUTES,
        st.sampled_from([attributed, sensible, lambda value, tags: value]),
    ),
    max_leaves=8,
)


def canonical(value: Any) -> Any:
    """`comparable`, with all NAs in their usual bits."""
    value = comparable(value)
    if isinstance(value, v.Double | v.Complex):
        parts = value.values.view(np.float64).copy()
        parts.view(np.uint64)[v.is_na_real(parts)] = v.vectors.NA_REAL_BITS
        return type(value)(parts.view(value.values.dtype), attributes=value.attributes)
    if isinstance(value, v.List):
        return type(value)(tuple(map(canonical, value.values)), attributes=value.attributes)
    return value


@WITHOUT_CLOCK
@given(VALUES)
def test_values_come_back_through_tables(value: RValue) -> None:
    assert comparable(to_r(to_python(value, frames="table"))) == comparable(value)


@WITHOUT_CLOCK
@given(VALUES)
def test_values_come_back_by_default(value: RValue) -> None:
    assert canonical(to_r(to_python(value))) == canonical(value)
    assert canonical(to_r(to_python(value, scalars=False))) == canonical(value)


COLUMNS = st.integers(0, 4).flatmap(
    lambda n: st.dictionaries(
        TEXT,
        st.one_of(
            st.lists(DOUBLES, min_size=n, max_size=n).map(doubles),
            st.lists(INTS | st.none(), min_size=n, max_size=n).map(lambda numbers: v.integer(*numbers)),
            st.lists(st.booleans() | st.none(), min_size=n, max_size=n).map(
                lambda truths: v.logical(*truths)
            ),
            st.lists(STRINGS, min_size=n, max_size=n).map(lambda texts: v.Character(tuple(texts))),
            st.binary(min_size=n, max_size=n).map(v.raw),
            st.lists(VALUES, min_size=n, max_size=n).map(lambda items: v.List(tuple(items))),
        ).flatmap(lambda column: st.just(column) | st.builds(sensible, st.just(column), ATTRIBUTES)),
        max_size=4,
    ).map(lambda columns: (columns, n))
)


def data_frame(made: tuple[dict[str, RValue], int], classes: list[str]) -> v.List:
    columns, n = made
    return v.List(
        tuple(columns.values()),
        attributes=v.attributes_of(
            **{
                "names": v.character(*columns),
                "class": v.character(*classes, "data.frame"),
                "row.names": v.integer(None, -n) if n else v.integer(),
            }
        ),
    )


@pytest.mark.parametrize("days", [1.0675199e14, 106751991167301.0, -2e14, 1e15, 9e15])
@pytest.mark.parametrize("classes", [{"class": "Date"}, {"class": "difftime", "units": "weeks"}])
def test_days_beyond_what_pandas_has_seconds_for(days: float, classes: dict[str, str]) -> None:
    attributes = {name: v.character(text) for name, text in classes.items()}
    column = v.Double(values=np.array([days]), attributes=v.attributes_of(**attributes))
    frame = data_frame(({"x": column}, 1), [])
    assert canonical(to_r(to_python(frame))) == canonical(frame)
    assert canonical(to_r(to_python(column))) == canonical(column)


@WITHOUT_CLOCK
@given(st.builds(data_frame, COLUMNS, st.lists(TEXT, max_size=1)))
def test_data_frames_come_back(frame: v.List) -> None:
    assert canonical(to_r(to_python(frame))) == canonical(frame)
    assert comparable(to_r(to_python(frame, frames="table"))) == comparable(frame)


HISTORY = 0xFFFF & ~v.vectors.S4_BIT
"""The gp bits that say nothing about what a vector is; 0x20, for one, that it grew."""


def grown(value: Any, bits: int) -> Any:
    """The same with bits of history on all vectors in it, attributes included."""
    if not isinstance(value, v.Vector):
        return value
    inside = tuple(grown(one, bits) for one in value.values) if isinstance(value, v.List) else value.values
    tags = {name: grown(one, bits) for name, one in v.attributes(value).items()}
    return type(value)(values=inside, attributes=v.attributes_of(**tags), gp=bits)  # type: ignore[arg-type]  # its own


@WITHOUT_CLOCK
@given(VALUES | st.builds(data_frame, COLUMNS, st.just([])), st.sampled_from([0x20, HISTORY]))
def test_what_happened_to_a_vector_does_not_matter(value: Any, bits: int) -> None:
    marked = grown(value, bits)
    assert v.identical(marked, value)
    for frames in (None, "table"):
        plain, found = (to_python(one, frames=frames) for one in (value, marked))
        assert type(found) is type(plain)
        assert canonical(grown(to_r(found), 0)) == canonical(value)


@WITHOUT_CLOCK
@given(VECTORS, st.booleans())
def test_arrays_with_names_come_back(array: Any, as_table: bool) -> None:
    named = RArray(array, names=[str(index) for index in range(len(array))])
    assert to_python(to_r(named)) == named
    table = Table({"x": array}, row_names=[str(index) for index in range(len(array))])
    assert to_python(to_r(table), frames="table") == table
