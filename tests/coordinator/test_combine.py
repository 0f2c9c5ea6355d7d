"""Combine functions by name: what they make of scalars, arrays, lists, dicts and pandas objects."""

from __future__ import annotations

import collections
import datetime
import functools
import itertools
import math
import operator
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rinterop
from pydoredis.combine.functions import NAMED, resolve
from pydoredis.errors import ConfigError
from pydoredis.loops.signature import foreach


def combined(name: str, *values: Any) -> Any:
    return resolve(name).call(*values)


def same(one: Any, other: Any) -> bool:
    """Equal in value, type and, for arrays, dtype and shape."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return (
            type(one) is type(other)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and bool(np.array_equal(one, other))
        )
    return type(one) is type(other) and bool(one == other)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1,), np.array([1])),
        ((1, 2, 3), np.array([1, 2, 3])),
        ((1, 2.5), np.array([1, 2.5])),
        ((True, False), np.array([True, False])),
        ((True, 2), np.array([1, 2])),
        ((1, 2j), np.array([1, 2j])),
        ((np.float32(1), np.float32(2)), np.array([1, 2], np.float32)),
        ((np.arange(3), 3, 4, np.arange(5, 7)), np.arange(7)),
        ((np.arange(4).reshape(2, 2), 4), np.arange(5)),
        ((np.array(5), 6), np.array([5, 6])),
        ((1, None, 2), np.array([1, 2])),
        ((None, None), None),
        (("a", "b"), ["a", "b"]),
        ((b"a", b"b"), [b"a", b"b"]),
        ((1, "b"), [1, "b"]),
        ((np.array([1, 2]), "b"), [1, 2, "b"]),
        (([1], 2, (3, "x")), [1, 2, 3, "x"]),
        ((np.array(["a", "b"]), np.array(["c"])), np.array(["a", "b", "c"])),
        ((np.array(["a", "b"]), "c"), ["a", "b", "c"]),
        ((np.array(["a"]), 1), ["a", 1]),
        ((2**70, 1), [2**70, 1]),
        ((2**63, -1), [2**63, -1]),
        ((np.datetime64("2024-01-01"),), np.array(["2024-01-01"], "M8[D]")),
        ((datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)), [datetime.date(2024, 1, n) for n in (1, 2)]),
        (({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
    ],
)
def test_c(values: tuple[Any, ...], expected: Any) -> None:
    assert same(combined("c", *values), expected)


def test_c_keeps_nanoseconds_in_a_list() -> None:
    moment = np.datetime64("2024-01-01T00:00:00.000000001")
    assert combined("c", np.array([moment]), "x") == [moment, "x"]


def test_c_of_missing_values_is_masked() -> None:
    result = combined("c", np.ma.array([1, 2], mask=[False, True]), 3)
    assert result.tolist() == [1, None, 3]

    result = combined("c", 1, rinterop.NA_integer_, 2.5)
    assert (result.tolist(), result.dtype) == ([1, None, 2.5], np.dtype(float))
    assert combined("c", rinterop.NA, rinterop.NA).tolist() == [None, None]
    assert combined("c", result, "x") == [1, rinterop.NA_real_, 2.5, "x"]
    assert combined("rbind", np.ma.array([1, 2], mask=[False, True]), [3, 4]).tolist() == [[1, None], [3, 4]]


def test_names_of_vectors_from_r_stay() -> None:
    one, two = rinterop.RArray([1.0], names=["a"]), rinterop.RArray([3.0, 4.0], names=["b", "c"])
    joined = combined("c", one, 2.0, two)
    assert (joined.names, joined.values.tolist()) == (("a", "", "b", "c"), [1, 2, 3, 4])
    assert combined("c", combined("c", one, 2.0), two) == joined
    rows = combined("rbind", combined("rbind", two, two), two)
    assert (rows.dimnames, rows.values.tolist()) == ((None, ("b", "c")), [[3, 4]] * 3)
    columns = combined("cbind", two, combined("cbind", two))
    assert (columns.dimnames, columns.values.tolist()) == ((("b", "c"), None), [[3, 3], [4, 4]])


def test_c_says_which_key_clashes() -> None:
    with pytest.raises(ValueError, match="'b' has a value already"):
        combined("c", {"a": 1, "b": 2}, {"b": 3})
    assert combined("update", {"a": 1, "b": 2}, {"b": 3}) == {"a": 1, "b": 3}


def test_c_does_not_mix_dicts_with_numbers() -> None:
    with pytest.raises(TypeError, match="not with a int"):
        combined("c", {"a": 1}, 2)


@pytest.mark.parametrize("name", ["c", "rbind", "cbind"])
def test_r_values_are_refused_with_advice(name: str) -> None:
    with pytest.raises(TypeError, match="convert=True"):
        combined(name, 1, rinterop.values.double(1.0))


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False),
    st.text(max_size=2),
    st.lists(st.integers(0, 3), max_size=2),
    st.lists(st.integers(-9, 9), max_size=3).map(lambda xs: np.array(xs, dtype=np.int64)),
    st.lists(st.floats(allow_nan=False), max_size=3).map(np.array),
)


@given(st.lists(SCALARS, min_size=1, max_size=8), st.data())
def test_grouping_makes_no_difference_to_c(values: list[Any], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(values)))
    grouped = combined("c", combined("c", *values[:at]), combined("c", *values[at:]))
    at_once = combined("c", *values)
    if isinstance(at_once, list):
        # An integer that went through an array of floats on its way into a list is rounded as floats are.
        assert isinstance(grouped, list)
        assert len(grouped) == len(at_once)
        for one, other in zip(grouped, at_once, strict=True):
            assert one == other or float(one) == float(other)
    else:
        assert same(grouped, at_once)


def test_lists() -> None:
    assert combined("list", [], 1, [2], None) == [1, [2], None]
    assert combined("append", [0], 1) == [0, 1]
    assert combined("extend", [1], (2, 3), "ab") == [1, 2, 3, "a", "b"]
    assert resolve(None) is resolve("list") is resolve(list)


def test_rbind_and_cbind_of_vectors_and_matrices() -> None:
    assert same(combined("rbind", np.array([1, 2])), np.array([[1, 2]]))
    assert same(combined("rbind", [1, 2], (3, 4)), np.array([[1, 2], [3, 4]]))
    assert same(combined("cbind", [1, 2], (3, 4)), np.array([[1, 3], [2, 4]]))
    assert same(combined("rbind", 1, 2.5), np.array([[1.0], [2.5]]))
    assert same(combined("cbind", 1, 2), np.array([[1, 2]]))
    assert same(combined("rbind", np.eye(2), [5, 6]), np.array([[1.0, 0], [0, 1], [5, 6]]))
    assert same(combined("cbind", np.eye(2), [5, 6]), np.array([[1.0, 0, 5], [0, 1, 6]]))
    assert same(combined("rbind", None, [1]), np.array([[1]]))
    assert combined("rbind", None) is None


def test_rbind_does_not_write_numbers_as_text() -> None:
    assert combined("rbind", [1, 2], ["a", "b"]).tolist() == [[1, 2], ["a", "b"]]
    assert combined("rbind", [1, "b"]).tolist() == [[1, "b"]]


@pytest.mark.parametrize("name", ["rbind", "cbind"])
def test_rows_and_columns_must_have_one_length(name: str) -> None:
    with pytest.raises(ValueError, match="different lengths: 1, 2"):
        combined(name, [1, 2], 3)
    with pytest.raises(TypeError, match="3 dimensions"):
        combined(name, np.zeros((1, 1, 1)))


def test_operators() -> None:
    assert combined("+", 1, 2, 3) == 6
    assert combined("-", 10, 2, 3) == 5
    assert combined("*", 2, 3) == 6
    assert combined("/", 8, 2, 2) == 2
    assert combined("&", {1, 2}, {2, 3}) == {2}
    assert combined("|", 1, 4) == 5
    assert combined("and", 1, "", 2) is False
    assert combined("or", 0, 2) is True
    assert combined("and", np.array([True, True]), np.array([True, False])).tolist() == [True, False]
    assert combined("+", np.arange(2), 1).tolist() == [1, 2]
    assert resolve(sum) is resolve("+")


def test_extremes() -> None:
    assert combined("min", 3, 1, 2) == 1
    assert combined("max", np.array([[1, 9]]), 5) == 9
    assert combined("max", "a", "b") == "b"
    assert combined("pmax", np.array([1, 9]), np.array([5, 5])).tolist() == [5, 9]
    assert combined("pmin", np.array([1, 9]), 5).tolist() == [1, 5]


@given(st.lists(st.floats(), min_size=1))
def test_min_and_max_keep_nan_wherever_it_comes(values: list[float]) -> None:
    for name, function in (("min", np.min), ("max", np.max)):
        np.testing.assert_equal(combined(name, *values), function(values))


def test_unknown_names_are_told() -> None:
    with pytest.raises(ConfigError, match="combine = 'cbnd': must be a callable or one of c, list"):
        resolve("cbnd")
    with pytest.raises(ConfigError, match="callable"):
        resolve(3)  # type: ignore[arg-type]


def test_callables_stay_what_they_are() -> None:
    for function in (
        operator.add,
        np.append,
        np.maximum,
        max,
        lambda one, *others: one,
        lambda x, y=0: x + y,
    ):
        combine = resolve(function)
        assert (combine.call, combine.multicombine, combine.at_end) == (function, False, None)
    assert resolve(operator.add).name == "add"


def values_of(combine: Any, *values: Any, **options: Any) -> Any:
    """What a loop over these values gives."""
    return foreach(value=values, combine=combine, **options).do(lambda value: value)


@pytest.mark.parametrize(
    "function",
    [
        np.concatenate,
        np.vstack,
        np.hstack,
        np.dstack,
        np.stack,
        np.column_stack,
        np.block,
        np.array,
        np.sum,
        np.mean,
        functools.partial(np.concatenate, axis=0),
        functools.partial(np.stack, axis=1),
        tuple,
        list,
        lambda values: values[-1],
    ],
)
def test_functions_of_all_values_get_all_values(function: Any) -> None:
    values = [np.array([n, n + 1]) for n in range(5)]
    for options in ({}, {"maxcombine": 2}, {"multicombine": True, "inorder": False}):
        np.testing.assert_array_equal(values_of(function, *values, **options), function(values))
    np.testing.assert_array_equal(values_of(function, values[0]), function(values[:1]))
    assert values_of(function) == ([] if function is list else None)


def test_functions_of_all_values_of_other_kinds() -> None:
    assert values_of(", ".join, "a", "b", "c") == "a, b, c"
    assert values_of(sorted, 3, 1, 2) == [1, 2, 3]
    assert values_of(set, 3, 1, 3) == {1, 3}
    assert values_of(dict, ("a", 1), ("b", 2)) == {"a": 1, "b": 2}
    assert values_of(collections.Counter, "a", "b", "a") == {"a": 2, "b": 1}
    assert values_of(statistics.mean, 1, 2, 6) == 3
    assert values_of(all, True, False, True) is False
    assert values_of(math.fsum, *[0.1] * 10) == 1.0
    assert values_of(sum, 1, 2) == 3
    assert values_of(", ".join, "b", init="a", final=str.upper) == "A, B"
    assert values_of(", ".join, init="a") == "a"
    pd = pytest.importorskip("pandas")
    frames = [pd.DataFrame({"x": [n]}) for n in range(3)]
    pd.testing.assert_frame_equal(values_of(pd.concat, *frames), pd.concat(frames))
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    assert values_of(pl.concat, *map(pl.DataFrame, frames)).equals(pl.DataFrame({"x": range(3)}))
    tables = [pa.table({"x": [n]}) for n in range(3)]
    assert values_of(pa.concat_tables, *tables).equals(pa.table({"x": range(3)}))
    assert values_of(pa.concat_arrays, pa.array([1]), pa.array([2])).equals(pa.array([1, 2]))


def test_chains_become_lists() -> None:
    # The iterators of chains in chains would be as deep as there are values, and overflow C's stack.
    for function in (itertools.chain, itertools.chain.from_iterable):
        assert resolve(function) is resolve("extend")
        assert values_of(function, [1], (2, 3), []) == [1, 2, 3]


def test_a_function_without_arguments_is_refused() -> None:
    with pytest.raises(ConfigError, match="a function of two values, or of the list of all values"):
        resolve(lambda: 1)


def test_which_take_many_values() -> None:
    many = {name for name, combine in NAMED.items() if combine.multicombine}
    assert many == {"c", "list", "append", "extend", "rbind", "cbind", "update", "merge"}
