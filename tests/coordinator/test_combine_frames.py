"""Combine functions on what polars and pyarrow have; and kinds that do not go together."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rinterop
from pydoredis.combine.functions import resolve
from pydoredis.loops.signature import foreach

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")


def combined(name: str, *values: Any) -> Any:
    return resolve(name).call(*values)


def polars_rows(*ids: Any, **more: Any) -> Any:
    return pl.DataFrame({"id": list(ids), "name": [f"n{i}" for i in ids], **more})


def arrow_rows(*ids: Any) -> Any:
    return pa.table({"id": list(ids), "name": [f"n{i}" for i in ids]})


def test_rows_of_frames_stay_frames_of_their_kind() -> None:
    for rows in (polars_rows, arrow_rows):
        for loop in (
            foreach(n=range(3), combine="rbind"),
            foreach(n=range(3), combine="rbind", maxcombine=2),
        ):
            frame = loop.do(lambda n, rows=rows: rows(n))
            assert frame.equals(rows(0, 1, 2))
            assert type(frame) is type(rows(0))


def test_columns_are_matched_by_name_and_missing_where_there_are_none() -> None:
    swapped = {"name": ["x"], "id": [7]}
    frame = combined("rbind", polars_rows(1), pl.DataFrame(swapped), pl.DataFrame({"id": [8]}))
    assert frame.rows() == [(1, "n1"), (7, "x"), (8, None)]
    table = combined("rbind", arrow_rows(1), pa.table(swapped), pa.table({"id": [8]}), pa.table({}))
    assert table.to_pylist() == [{"id": 1, "name": "n1"}, {"id": 7, "name": "x"}, {"id": 8, "name": None}]
    assert combined("rbind", *arrow_rows(1, 2).to_batches(), arrow_rows(3)).equals(arrow_rows(1, 2, 3))


def test_numbers_of_different_widths_get_the_wider_one() -> None:
    frame = combined("rbind", polars_rows(1), polars_rows(2.5), polars_rows(None))
    assert frame["id"].to_list() == [1.0, 2.5, None]
    assert combined("rbind", arrow_rows(1), arrow_rows(2.5), arrow_rows(None))["id"].to_pylist() == [
        1,
        2.5,
        None,
    ]
    assert combined("c", pl.Series("s", [1]), pl.Series([2.5])).to_list() == [1.0, 2.5]
    assert combined("c", pl.Series("s", [1]), pl.Series([2.5])).name == "s"
    assert combined("c", pa.array([1]), pa.array([2.5])).equals(pa.array([1.0, 2.5]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1], ["x"]),
        ([True], ["x"]),
        ([[1]], [["x"]]),
        ([{"a": 1, "b": 2}], [{"a": "x"}]),
        ([datetime.date(2024, 1, 1)], [1]),
        ([datetime.date(2024, 1, 1)], ["x"]),
    ],
)
def test_nothing_is_written_as_text(one: Any, other: Any) -> None:
    with pytest.raises(TypeError, match=r"column 'v' is .* in one polars.DataFrame, .* in another"):
        combined("rbind", pl.DataFrame({"v": one}), pl.DataFrame({"v": other}))
    with pytest.raises(TypeError, match="incompatible types"):
        combined("rbind", pa.table({"v": one}), pa.table({"v": other}))


def test_types_that_differ_in_what_they_know_go_together() -> None:
    for one, other in (([1], [None]), ([[1]], [[]]), ([{"a": 1, "b": 2}], [{"a": None, "b": 3}])):
        for left, right in ((one, other), (other, one)):
            frame = combined("rbind", pl.DataFrame({"v": left}), pl.DataFrame({"v": right}))
            assert frame["v"].to_list() == left + right
    categories = [pl.Series("v", [text], pl.Categorical).to_frame() for text in "ab"]
    assert combined("rbind", *categories)["v"].to_list() == ["a", "b"]


def test_columns() -> None:
    frame = combined("cbind", polars_rows(1), pl.Series("x", [2]), pl.Series([3]))
    assert frame.rows(named=True) == [{"id": 1, "name": "n1", "x": 2, "column_3": 3}]
    assert combined("cbind", combined("cbind", pl.Series([1]), pl.Series([2])), pl.Series([3])).columns == [
        "column_0",
        "column_1",
        "column_2",
    ]
    assert combined("cbind", arrow_rows(1), pa.table({"x": [2]})).to_pylist() == [
        {"id": 1, "name": "n1", "x": 2}
    ]
    for one, other in ((polars_rows(1), pl.Series("x", [1, 2])), (arrow_rows(1), pa.table({"x": [1, 2]}))):
        with pytest.raises(ValueError, match='combine="cbind": columns have different lengths: 1, 2'):
            combined("cbind", one, other)


def test_arrays_stay_arrays() -> None:
    assert combined("c", pa.array([1]), pa.array([2])).equals(pa.array([1, 2]))
    chunked = combined("c", pa.array([1]), pa.chunked_array([[2], [3]]))
    assert isinstance(chunked, pa.ChunkedArray)
    assert chunked.to_pylist() == [1, 2, 3]
    assert combined("c", pl.Series([1]), pl.Series([2])).to_list() == [1, 2]


FRAMES = {"polars": polars_rows(1), "pandas": pd.DataFrame({"id": [1]}), "pyarrow": arrow_rows(1)}


@pytest.mark.parametrize("name", ["rbind", "cbind", "c"])
def test_kinds_do_not_mix(name: str) -> None:
    for one in FRAMES:
        for other in FRAMES:
            if one < other:
                with pytest.raises(TypeError, match=f"cannot put together a {one}.* and a {other}"):
                    combined(name, FRAMES[one], FRAMES[other])
        for value in ([1], np.array([1]), "text", 1):
            with pytest.raises(TypeError, match=r"neither a row nor|in one vector"):
                combined(name, FRAMES[one], value)
    for frame in (FRAMES["polars"], FRAMES["pyarrow"]):
        with pytest.raises(TypeError, match=r"a dict is neither a row|cannot use a dict|dicts only"):
            combined(name, frame, {"id": 1})


def test_what_is_no_frame_is_told() -> None:
    with pytest.raises(TypeError, match=r"let the body return frame\.collect\(\)"):
        combined("rbind", polars_rows(1).lazy())
    with pytest.raises(TypeError, match="is a column, and no row"):
        combined("rbind", pl.Series([1]), pl.Series([2]))
    with pytest.raises(TypeError, match="no column names"):
        combined("cbind", pa.array([1]))
    for name in ("c", "rbind", "cbind"):
        with pytest.raises(TypeError, match="collect the frames into a list"):
            combined(name, rinterop.Table({"x": [1]}))
    with pytest.raises(TypeError, match="a set is neither a vector nor a matrix"):
        combined("rbind", {1, 2})


IDS = st.one_of(
    *(st.lists(st.one_of(st.none(), one), max_size=3) for one in (st.integers(-9, 9), st.floats(-9, 9)))
)


@given(st.lists(IDS, min_size=1, max_size=6), st.data())
def test_grouping_makes_no_difference(values: list[Any], data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(values)))
    for make, name in ((polars_rows, "rbind"), (arrow_rows, "rbind")):
        made = [make(*value) for value in values]
        assert combined(name, combined(name, *made[:at]), *made[at:]).equals(combined(name, *made))
    for make in (pl.Series, pa.array):
        made = [make(value) for value in values]
        assert combined("c", combined("c", *made[:at]), *made[at:]).equals(combined("c", *made))
