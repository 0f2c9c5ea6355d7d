"""to_python and to_r: what is refused, depth, integer64, missing scalars, classes of users' own, threads."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import decimal
import gc
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import rinterop
from rinterop import (
    NA,
    ConversionError,
    NA_character_,
    NA_complex_,
    NA_integer_,
    NA_real_,
    RArray,
    to_python,
    to_r,
)
from rinterop import values as v
from rinterop.values.vectors import is_na_real


@dataclasses.dataclass
class Point:
    x: float


@pytest.mark.parametrize(
    ("python", "hint"),
    [
        ({1: 2}, r"str\(key\)"),
        ({None: 2}, r"str\(key\)"),
        (2**53 + 1, "integer64"),
        ([-(2**60)], "integer64"),
        (np.array([2**60]), "integer64"),
        (np.array([2**63], np.uint64), "integer64"),
        (np.array([2**70, 1], object), "integer64"),
        (range(2**70, 2**70 + 2), "integer64"),
        ({1, 2}, "list"),
        (print, "callables"),
        (Point(1.0), "asdict"),
        (iter([]), "only once"),
        (decimal.Decimal("0.1"), "register_to_r"),
        (object(), "register_to_r"),
        (np.array([b"a"]), "decode"),
        (np.zeros(2, "i4,f8"), "dict of arrays"),
        (np.array([1], "m8[Y]"), "astype"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_what_has_no_form_says_what_to_do(python: Any, hint: str) -> None:
    with pytest.raises(ConversionError, match=hint):
        to_r(python)
    with pytest.raises(rinterop.EncodeError, match=hint):
        to_r({"deep": [python]})


def test_longdouble_only_if_exact() -> None:
    assert to_r(np.array([0.5], np.longdouble)) == v.double(0.5)
    third = np.longdouble(1) / 3
    if third != float(third):
        with pytest.raises(ConversionError, match="rounds"):
            to_r(np.array([third]))


def test_what_contains_itself() -> None:
    items: list[Any] = []
    items.append({"again": items})
    array = np.empty(2, object)
    array[:] = [array, 1]
    for cyclic in (items, array):
        with pytest.raises(ConversionError, match="contains itself"):
            to_r(cyclic)
    shared = [1]
    assert to_r([shared, shared]) == v.list_(v.list_(v.integer(1)), v.list_(v.integer(1)))


def test_depth_is_no_limit() -> None:
    deep: Any = 1
    for _ in range(50_000):
        deep = [deep]
    r = to_r(deep)
    found = to_python(r)
    levels = 0
    while isinstance(found, list):
        found, levels = found[0], levels + 1
        deep = deep[0]
    assert (found, levels) == (1, 50_000)


def test_depth_of_data_frames_is_no_limit() -> None:
    tags = v.attributes_of(
        names=v.character("x"), **{"class": v.character("data.frame"), "row.names": v.integer(None, -1)}
    )
    deep: v.RValue = v.integer(1)
    for _ in range(5_000):
        deep = v.List((deep,), attributes=tags)
    found = to_python(deep, frames="table")
    assert isinstance(found, rinterop.Table)
    assert to_r(found) == deep


ONE_MISSING = np.ma.array([2**60, 0], mask=[False, True])


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (2**60, 2**60),
        (np.array([2**60, 1]), [2**60, 1]),
        (np.array([2**63 - 1], np.uint64), [2**63 - 1]),
        (ONE_MISSING, ONE_MISSING),
        (np.array([2**60, None], object), ONE_MISSING),
        (range(2**60, 2**60 + 2), [2**60, 2**60 + 1]),
    ],
    ids=repr,
)
def test_integers_beyond_32_bits_as_integer64(value: Any, whole: Any) -> None:
    assert to_r(value, int64="integer64") == rinterop.integer64(whole)
    assert to_r([value], int64="integer64") == v.list_(rinterop.integer64(whole))


def test_integers_of_32_bits_stay_integers() -> None:
    assert to_r([1, np.array([2**31 - 1]), 1.5], int64="integer64") == to_r([1, np.array([2**31 - 1]), 1.5])
    with pytest.raises(ConversionError, match="2\\^63"):
        to_r(2**64, int64="integer64")
    with pytest.raises(ValueError, match="int64 is one of"):
        to_r(1, int64="bit64")  # type: ignore[arg-type]  # on purpose


def test_integer64() -> None:
    r = rinterop.integer64(np.ma.array([2**62, -1, 0], mask=[False, False, True]))
    assert v.class_(r) == ("integer64",)
    assert r.values.view(np.int64).tolist() == [2**62, -1, -(2**63)]
    found = to_python(r)
    assert found.values.tolist() == [2**62, -1, None]
    assert found.values.dtype == np.int64
    assert to_r(found) == r
    assert rinterop.integer64(5) == rinterop.integer64([5])
    for wrong in (2**63, [-(2**63)], [1.5]):
        with pytest.raises(ConversionError):
            rinterop.integer64(np.array(wrong))


def test_missing_scalars_are_single() -> None:
    for missing in (NA_integer_, NA_real_, NA_complex_, NA_character_):
        assert rinterop.is_na(missing)
        assert pickle.loads(pickle.dumps(missing)) is missing
        assert copy.deepcopy(missing) is missing
        with pytest.raises(TypeError):
            bool(missing)
    assert rinterop.is_na(NA)
    assert rinterop.is_na(v.NA_REAL)
    assert rinterop.is_na(np.datetime64("NaT"))
    assert rinterop.is_na(RArray([1.0, 2.0], names=["a", "b"])).tolist() == [False, False]
    assert not rinterop.is_na("NA")
    assert not rinterop.is_na(None)
    assert is_na_real(np.array([v.NA_REAL])).all()


@pytest.fixture
def registered() -> Iterator[list[Any]]:
    keys: list[Any] = []
    yield keys
    for key in keys:
        rinterop.unregister(key)


def test_users_register_classes(registered: list[Any]) -> None:
    @rinterop.register_to_python("point")
    def point(value: v.RValue) -> Point:
        return Point(to_python(value["x"]))  # type: ignore[index]  # a list

    @rinterop.register_to_r(Point)
    def from_point(value: Point) -> v.RValue:
        tags = v.attributes_of(names=v.character("x"), **{"class": v.character("point")})
        return v.List((v.double(value.x),), attributes=tags)

    registered += ["point", Point]
    r = to_r(Point(1.5))
    assert to_python(r) == Point(1.5)
    assert to_python(to_r([Point(1.5), {"p": Point(2.5)}])) == [Point(1.5), {"p": Point(2.5)}]
    derived = v.List(
        (v.double(1),),
        attributes=v.attributes_of(names=v.character("x"), **{"class": v.character("point3d", "point")}),
    )
    assert to_python(derived) == Point(1.0)


def test_registered_functions_may_give_any_object(registered: list[Any]) -> None:
    rinterop.register_to_r(decimal.Decimal, str)
    rinterop.register_to_r(Point, dataclasses.asdict)
    rinterop.register_to_r(set, lambda one: one)
    registered += [decimal.Decimal, Point, set]
    assert to_r(decimal.Decimal("0.1")) == v.character("0.1")
    assert to_r([Point(1.0)]) == v.list_(v.named_list(x=v.double(1)))
    with pytest.raises(ConversionError, match="same type"):
        to_r(set())


def test_registered_s4_classes(registered: list[Any]) -> None:
    rinterop.register_to_python("Person", lambda value: v.attributes(value)["name"][0])  # type: ignore[index]
    registered.append("Person")
    kind = v.Character(("Person",), attributes=v.attributes_of(package=v.character(".GlobalEnv")))
    person = v.S4(attributes=v.attributes_of(name=v.character("Ada"), **{"class": kind}), gp=0x10)
    assert to_python(person) == "Ada"
    with pytest.raises(KeyError):
        rinterop.unregister("Nobody")


def test_the_collector_is_paused_and_put_back(registered: list[Any]) -> None:
    seen = []

    def look(value: Point) -> None:
        seen.append(gc.isenabled())

    def fail(value: decimal.Decimal) -> None:
        raise ArithmeticError("refused")

    rinterop.register_to_r(Point, look)
    rinterop.register_to_r(decimal.Decimal, fail)
    registered += [Point, decimal.Decimal]
    assert gc.isenabled()
    to_r([Point(1.0)])
    with pytest.raises(ArithmeticError, match="refused"):
        to_r([decimal.Decimal(1)])
    assert seen == [False]
    assert gc.isenabled()
    gc.disable()
    try:
        to_r([Point(1.0)])
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_threads_convert_at_the_same_time() -> None:
    values = [[{"a": i, "b": [str(i)]}] * 50 for i in range(200)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda value: to_python(to_r(value)), values)) == values
    assert gc.isenabled()


def test_the_ends_of_what_python_counts() -> None:
    assert to_r(dt.timedelta.max)[0] == dt.timedelta.max.total_seconds()  # type: ignore[index]  # a vector
    assert to_r(range(5, 5, 2**70)) == v.integer()
    assert to_r(range(7, 2**60, 2**70)) == v.integer(7)
    assert to_r(range(3, 0, -2)) == v.integer(3, 1)
    for day in (dt.date.min, dt.date.max, dt.datetime.max.replace(tzinfo=dt.timezone.utc)):
        assert abs(to_r(day)[0]) > 700_000  # type: ignore[index]  # a vector
