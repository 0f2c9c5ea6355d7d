"""to_python and to_r: scalars, arrays, missing values, lists, what has attributes, what is refused."""

from __future__ import annotations

import enum
from collections import OrderedDict, namedtuple
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


def same(one: Any, other: Any) -> bool:
    """Equal, of the same type, and with arrays of the same dtype, elements and masks inside."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if isinstance(one, np.ma.MaskedArray):
            if not np.array_equal(np.ma.getmaskarray(one), np.ma.getmaskarray(other)):
                return False
            one, other = one.compressed(), other.compressed()
        if one.dtype.kind in "mM":
            one, other = one.view(np.int64), other.view(np.int64)  # NaT is not equal to itself
        return bool(one.tolist() == other.tolist())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    return bool(one == other)


def shown(one: Any) -> str:
    """The name of a parameter: no addresses, for all processes that share the tests must agree on names."""
    return type(one).__name__ if " at 0x" in repr(one) else repr(one)


SCALARS = [
    (None, v.NULL),
    (True, v.logical(True)),
    (False, v.logical(False)),
    (NA, v.logical(None)),
    (1, v.integer(1)),
    (-(2**31) + 1, v.integer(-(2**31) + 1)),
    (NA_integer_, v.integer(None)),
    (1.5, v.double(1.5)),
    (float("inf"), v.double(float("inf"))),
    (NA_real_, v.double(None)),
    ("naïve", v.character("naïve")),
    ("", v.character("")),
    ("NA", v.character("NA")),
    (NA_character_, v.character(None)),
    (1 + 2j, v.Complex(np.array([1 + 2j]))),
    (NA_complex_, v.Complex(np.array([v.NA_REAL, v.NA_REAL]).view(np.complex128))),
    (b"\x00\xff", v.raw(b"\x00\xff")),
    (b"", v.raw(b"")),
]


@pytest.mark.parametrize(("python", "r"), SCALARS, ids=shown)
def test_scalars_both_ways(python: Any, r: v.RValue) -> None:
    assert to_r(python) == r
    found = to_python(r)
    assert found == python
    assert type(found) is type(python)


def test_nan_is_not_na() -> None:
    nan = to_python(v.double(float("nan")))
    assert isinstance(nan, float)
    assert not rinterop.is_na(nan)
    assert to_r(nan) == v.double(float("nan"))
    both = to_python(v.double(float("nan"), None, 1.0))
    assert np.isnan(both.data[0])
    assert np.ma.getmaskarray(both).tolist() == [False, True, False]
    assert rinterop.is_na(both).tolist() == [False, True, False]
    assert to_r(both) == v.double(float("nan"), None, 1.0)


def test_other_nans_that_are_na_keep_their_bits() -> None:
    quiet = v.Double(np.array([0x7FF8_0000_0000_07A2, 0x7FF8_0000_0000_0001], np.uint64).view(np.float64))
    found = to_python(quiet)
    assert np.ma.getmaskarray(found).tolist() == [True, False]
    assert to_r(found) == quiet
    alone = v.Double(quiet.values[:1])
    assert to_r(to_python(alone)) == alone


VECTORS = [
    (np.array([1, 2, 3], np.int32), v.integer(1, 2, 3)),
    (np.array([], np.int32), v.integer()),
    (np.ma.array([1, 0], np.int32, mask=[False, True]), v.integer(1, None)),
    (np.array([1.5, -0.0, np.inf]), v.double(1.5, -0.0, float("inf"))),
    (np.ma.array([1.5, 0.0], mask=[False, True]), v.double(1.5, None)),
    (np.array([True, False]), v.logical(True, False)),
    (np.ma.array([True, False, True], mask=[False, False, True]), v.logical(True, False, None)),
    (np.array([1j, 2]), v.Complex(np.array([1j, 2]))),
    (np.array(["a", NA, "é"], object), v.character("a", None, "é")),
    (np.array([NA, NA], object), v.character(None, None)),
    (np.array([], object), v.character()),
]


@pytest.mark.parametrize(("python", "r"), VECTORS, ids=shown)
def test_vectors_both_ways(python: Any, r: v.RValue) -> None:
    assert to_r(python) == r
    assert same(to_python(r), python)


def test_arrays_of_one_element_are_scalars_unless_told_otherwise() -> None:
    assert to_python(v.integer(7)) == 7
    assert same(to_python(v.integer(7), scalars=False), np.array([7], np.int32))
    assert same(to_python(v.character(None), scalars=False), np.array([NA], object))
    assert to_r(np.array([7])) == v.integer(7) == to_r(np.array(7)) == to_r(np.int64(7))


def test_vectors_are_views_and_read_only_arrays_are_not_copied() -> None:
    r = v.double(*range(100))
    array = to_python(r)
    assert np.shares_memory(array, r.values)
    assert not array.flags.writeable
    again = to_r(array)
    assert isinstance(again, v.Double)
    assert np.shares_memory(again.values, array)


def test_arrays_that_may_change_are_copied() -> None:
    array = np.arange(3.0)
    whole, view = to_r(array), array[:]
    view.flags.writeable = False
    part = to_r(view)
    array[0] = 99
    assert whole == part == v.double(0, 1, 2)


@pytest.mark.parametrize(
    ("array", "r"),
    [
        (np.array([1, 2], np.int64), v.integer(1, 2)),
        (np.array([1, 2], np.uint8), v.integer(1, 2)),
        (np.array([1, 2], ">i4"), v.integer(1, 2)),
        (np.array([1, 2**31]), v.double(1, 2**31)),
        (np.array([-(2**31), 2**53]), v.double(-(2**31), 2**53)),
        (np.array([2**32 - 1], np.uint32), v.double(2**32 - 1)),
        (np.ma.array([1, 2**62], mask=[False, True]), v.integer(1, None)),
        (np.ma.array([2**40, 2**62], mask=[False, True]), v.double(2**40, None)),
        (np.array([0.5, 0.25], np.float16), v.double(0.5, 0.25)),
        (np.array([1j], np.complex64), v.Complex(np.array([1j]))),
        (np.array(["a", "bc"]), v.character("a", "bc")),
        (np.ma.array(["a", "bc"], mask=[True, False]), v.character(None, "bc")),
        (np.array([1, None, 3], object), v.integer(1, None, 3)),
        (np.array([1, 2.5], object), v.double(1, 2.5)),
        (np.array([True, NA], object), v.logical(True, None)),
        (np.array([1, "a"], object), v.list_(v.integer(1), v.character("a"))),
        (np.arange(10)[::3], v.integer(0, 3, 6, 9)),
        (range(2, 5), v.integer(2, 3, 4)),
        (memoryview(b"ab"), v.raw(b"ab")),
        (bytearray(b"ab"), v.raw(b"ab")),
        (np.float32(0.5), v.double(0.5)),
        (np.bool_(True), v.logical(True)),
        (np.str_("a"), v.character("a")),
        (2**31, v.double(2**31)),
        (2**53, v.double(2**53)),
    ],
    ids=shown,
)
def test_python_only_forms(array: Any, r: v.RValue) -> None:
    assert to_r(array) == r


@pytest.mark.skipif(int(np.__version__.split(".")[0]) < 2, reason="came with NumPy 2")
def test_numpy_strings() -> None:
    dtype = np.dtypes.StringDType(na_object=np.nan)
    assert to_r(np.array(["a", np.nan], dtype)) == v.character("a", None)


def test_matrices_are_column_major() -> None:
    r = v.Integer(np.arange(6, dtype=np.int32), attributes=v.attributes_of(dim=v.integer(2, 3)))
    matrix = to_python(r)
    assert matrix.tolist() == [[0, 2, 4], [1, 3, 5]]
    assert matrix.flags.f_contiguous
    assert np.shares_memory(matrix, r.values)
    assert to_r(matrix) == r
    assert to_r(np.ascontiguousarray(matrix)) == r


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.int32).reshape(2, 3, 4),
        np.zeros((0, 3)),
        np.ones((1, 1)),
        np.array([["a", NA], ["b", "c"]], object),
        np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[True, False], [False, False]]),
        np.array([[True], [False]]),
        np.array([["2024-01-01"], ["NaT"]], "M8[D]"),
    ],
    ids=lambda one: repr(one.shape),
)
def test_arrays_of_more_dimensions(array: Any) -> None:
    r = to_r(array)
    assert v.attribute(r, "dim") == v.integer(*array.shape)
    found = to_python(r)
    assert found.shape == array.shape
    assert to_r(found) == r
    assert np.array_equal(rinterop.is_na(found), rinterop.is_na(array))


def test_names_and_dimnames() -> None:
    named = RArray([1.0, 2.0], names=["a", "b"])
    r = to_r(named)
    assert v.names(r) == ("a", "b")
    assert to_python(r) == named
    assert named["b"] == 2.0
    assert named.names == ("a", "b")
    assert np.mean(named) == 1.5
    with pytest.raises(KeyError):
        named["c"]
    table = RArray(np.arange(4).reshape(2, 2), dimnames=[["x", "y"], None])
    assert table.dimnames == (("x", "y"), None)
    assert table.shape == (2, 2)
    assert v.attribute(to_r(table), "dimnames") == v.list_(v.character("x", "y"), v.NULL)
    assert to_python(to_r(table)) == table
    with pytest.raises(ConversionError, match="as many names"):
        RArray([1.0], names=["a", "b"])
    with pytest.raises(ConversionError, match="dimnames of shape"):
        RArray([1.0], dimnames=[["a", "b"]])


def test_attributes_without_a_form_stay_beside_the_array() -> None:
    attributes = v.attributes_of(units=v.character("cm"), **{"class": v.character("length")})
    r = v.Double(np.array([1.0, 2.0]), attributes=attributes)
    found = to_python(r)
    assert isinstance(found, RArray)
    assert same(found.values, np.array([1.0, 2.0]))
    assert found.attributes == {"units": v.character("cm"), "class": v.character("length")}
    assert found.storage is v.Double
    assert to_r(found) == r
    assert RArray([1.0, 2.0], attributes={"units": "cm", "class": "length"}) == found
    raw = v.Raw(b"ab", attributes=v.attributes_of(names=v.character("x", "y")))
    assert to_python(raw).values.tolist() == [97, 98]
    assert to_r(to_python(raw)) == raw


@pytest.mark.parametrize(
    ("python", "r"),
    [
        ([], v.list_()),
        ([1, "a", None, [True]], v.list_(v.integer(1), v.character("a"), v.NULL, v.list_(v.logical(True)))),
        ({}, v.named_list()),
        ({"a": 1, "": 2.0}, v.named_list([("a", v.integer(1)), ("", v.double(2))])),
        ({"x": {"y": []}}, v.named_list(x=v.named_list(y=v.list_()))),
    ],
    ids=shown,
)
def test_lists_and_dicts(python: Any, r: v.RValue) -> None:
    assert to_r(python) == r
    assert same(to_python(r), python)


def test_containers_of_python_alone() -> None:
    point = namedtuple("point", "x y")
    assert to_r((1, 2)) == to_r([1, 2])
    assert to_r(point(1, 2)) == to_r({"x": 1, "y": 2}) == to_r(OrderedDict(x=1, y=2))


def test_lists_that_no_dict_can_hold_stay_lists() -> None:
    for names in (v.character("a", "a"), v.character("a", None), v.character("", "")):
        r = v.List((v.integer(1), v.integer(2)), attributes=v.attributes_of(names=names))
        assert to_python(r) is r
        assert to_r(r) is r


@pytest.mark.parametrize(
    "r",
    [
        v.symbol("x"),
        v.call("sqrt", v.symbol("x")),
        v.GLOBAL_ENV,
        v.Environment(),
        v.pairlist(a=v.integer(1)),
        v.Expression((v.symbol("x"),)),
        v.Closure(v.NULL, v.symbol("x"), v.GLOBAL_ENV),
        v.S4(attributes=v.attributes_of(x=v.integer(1))),
        v.simple_error("boom"),
        v.Integer(np.array([1], np.int32), gp=0x10),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_only_r_has_stays_what_it_is(r: v.RValue) -> None:
    assert to_python(r) is r
    assert to_python(v.list_(r))[0] is r
    assert to_r(r) is r


def test_compact_forms() -> None:
    def sequence(length: float) -> v.Altrep:
        state = v.double(length, 1, 1)
        return v.Altrep(v.symbol("compact_intseq"), v.symbol("base"), 13, state)

    assert same(to_python(sequence(3)), np.array([1, 2, 3], np.int32))
    assert to_python(sequence(1)) == 1
    endless = sequence(2**31 - 1)
    assert to_python(endless) is endless
    named = v.List((v.integer(1),), attributes=v.attributes_of(names=endless))
    assert to_python(named) is named


def test_strings_keep_their_encoding() -> None:
    latin1, odd = v.RText(b"caf\xe9", 0x04), v.RText(b"\xff", 0x02)
    for r in (v.character(latin1), v.character(latin1, odd), v.character(odd)):
        assert rinterop.dumps(to_r(to_python(r))) == rinterop.dumps(r)
    named = v.named_list([(latin1, v.NULL)])
    assert rinterop.dumps(to_r(to_python(named))) == rinterop.dumps(named)


class Colour(enum.IntEnum):
    RED = 1


class Word(str, enum.Enum):
    YES = "yes"


def test_subclasses_of_scalars() -> None:
    assert to_r(Colour.RED) == v.integer(1)
    word = to_r(Word.YES)
    assert word == v.character("yes")
    assert type(word[0]) is str  # type: ignore[index]  # a character vector
