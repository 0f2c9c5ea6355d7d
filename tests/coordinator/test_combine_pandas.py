"""Combine functions on what pandas has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoredis.combine.functions import resolve

pd = pytest.importorskip("pandas")


def combined(name: str, *values: Any) -> Any:
    return resolve(name).call(*values)


def test_dicts_are_rows() -> None:
    frame = combined("rbind", {"x": 1, "y": "a"}, {"x": 2, "y": "b"})
    pd.testing.assert_frame_equal(frame, pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}))
    more = combined("rbind", frame, {"x": 3, "y": "c"})
    pd.testing.assert_frame_equal(more, pd.DataFrame({"x": [1, 2, 3], "y": ["a", "b", "c"]}))


def test_series_are_rows_or_columns() -> None:
    one, two = (pd.Series({"x": n, "y": -n}, name=f"row {n}") for n in (1, 2))
    frame = pd.DataFrame({"x": [1, 2], "y": [-1, -2]}, index=["row 1", "row 2"])
    pd.testing.assert_frame_equal(combined("rbind", one, two), frame)
    pd.testing.assert_frame_equal(combined("cbind", one, two), frame.T)


def test_a_default_index_is_numbered_through_and_labels_stay() -> None:
    plain = pd.DataFrame({"x": [1, 2]})
    labelled = pd.DataFrame({"x": [3]}, index=["c"])
    assert combined("rbind", plain, plain).index.tolist() == [0, 1, 2, 3]
    assert combined("rbind", plain, labelled, plain).index.tolist() == [0, 1, "c", 3, 4]
    assert combined("c", pd.Series([1]), pd.Series([2])).index.tolist() == [0, 1]
    assert combined("cbind", pd.Series([1]), pd.Series([2], name="b")).columns.tolist() == [0, "b"]


FRAMES = st.one_of(
    st.integers(0, 2).map(lambda n: pd.DataFrame({"x": range(n), "y": ["t"] * n})),
    st.integers(0, 2).map(lambda n: pd.DataFrame({"x": range(n), "y": ["t"] * n}, index=["a", "b"][:n])),
    st.integers().map(lambda n: {"x": n % 7, "y": "u"}),
    st.sampled_from([None, "row"]).map(lambda name: pd.Series({"x": 5, "y": "v"}, name=name)),
)


@given(st.lists(FRAMES, min_size=1, max_size=6), st.data())
def test_grouping_makes_no_difference_to_rbind(values: list[Any], data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(values)))
    grouped = combined("rbind", combined("rbind", *values[:at]), *values[at:])
    pd.testing.assert_frame_equal(
        grouped, combined("rbind", *values), check_dtype=False, check_index_type=False
    )


def test_arrays_and_frames_do_not_mix() -> None:
    frame = pd.DataFrame({"x": [1]})
    for name in ("rbind", "cbind"):
        with pytest.raises(TypeError, match="ndarray is neither a row nor a column"):
            combined(name, frame, np.array([1]))
    with pytest.raises(TypeError, match=r"pandas\.Series in one vector"):
        combined("c", frame, 1)
    with pytest.raises(TypeError, match="cannot use a dict"):
        combined("cbind", {"x": 1})


def test_extremes_of_series() -> None:
    assert combined("max", pd.Series([1, 7]), 5) == 7
