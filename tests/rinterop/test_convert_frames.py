"""Factors and data frames without another package: Factor and Table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rinterop
from rinterop import NA, ConversionError, Factor, Table, to_python, to_r
from rinterop import values as v
from tests.rinterop.frames_of_r import (
    EVERYTHING,
    ODD_FRAMES,
    ONLY_TABLES,
    factor,
    frame,
    reordered,
    with_attributes,
)


def test_factors_without_pandas() -> None:
    r = factor(1, None, 2, ordered=True)
    found = to_python(r, frames="table")
    assert found == Factor([0, -1, 1], ["a", "b"], ordered=True)
    assert found.tolist() == ["a", NA, "b"]
    assert (found[0], found[1], len(found)) == ("a", NA, 3)
    assert rinterop.is_na(found).tolist() == [False, True, False]
    assert np.asarray(found).tolist() == ["a", NA, "b"]
    assert to_r(found) == r
    with pytest.raises(ValueError, match="positions in levels"):
        Factor([2], ["a"])
    with pytest.raises(ValueError, match="different"):
        Factor([0], ["a", "a"])


@pytest.mark.parametrize(
    "r",
    [
        factor(1, 2, levels=("a", "a")),
        with_attributes(factor(1, 2), levels=v.character("a", None)),
        factor(1, 7),
        factor(0, 1),
        with_attributes(factor(1, 2), contrasts=v.character("contr.sum")),
        with_attributes(factor(1, 2), names=v.character("x", "y")),
        factor(1, 2, levels=(v.RText(b"\xff", 0x02), "b")),
    ],
    ids=lambda one: repr(v.attributes(one)),
)
@pytest.mark.parametrize("frames", ["table", None])
def test_nothing_is_lost_of_unusual_factors(r: Any, frames: Any) -> None:
    assert to_r(to_python(r, frames=frames)) == r
    held = frame({"f": r, "x": v.integer(1, 2)})
    assert reordered(to_r(to_python(held, frames=frames))) == reordered(held)


def test_tables() -> None:
    table = to_python(EVERYTHING, frames="table")
    assert isinstance(table, Table)
    assert list(table) == list(v.names(EVERYTHING) or ())
    assert table["whole"].tolist() == [1, 2, 3]
    assert table["fct"] == Factor([0, -1, 1], ["a", "b"])
    assert "absent" not in table
    assert table.row_names is None
    assert to_r(table) == EVERYTHING
    assert to_r(Table({"x": np.array([1, 2])})) == frame({"x": v.integer(1, 2)})
    assert to_r(Table({"x": np.array([1, 2])}, row_names=["a", "b"])) == frame(
        {"x": v.integer(1, 2)}, v.character("a", "b")
    )
    assert to_r(Table([("x", np.array([1])), ("x", np.array([2]))])) == v.List(
        (v.integer(1), v.integer(2)),
        attributes=v.attributes_of(
            names=v.character("x", "x"),
            **{"class": v.character("data.frame"), "row.names": v.integer(None, -1)},
        ),
    )
    with pytest.raises(ConversionError, match="column 'y' has 1 rows where 2"):
        to_r(Table({"x": np.array([1, 2]), "y": np.array([1])}))
    with pytest.raises(ConversionError, match="not unique"):
        to_r(Table({"x": np.array([1, 2])}, row_names=["a", "a"]))
    with pytest.raises(ConversionError, match="'x' is Symbol"):
        to_r(Table({"x": v.symbol("a")}))


@pytest.mark.parametrize("name", [*ODD_FRAMES, *ONLY_TABLES])
def test_nothing_is_lost_in_tables(name: str) -> None:
    r = {**ODD_FRAMES, **ONLY_TABLES}[name]
    found = to_python(r, frames="table")
    assert isinstance(found, Table)
    assert to_r(found) == r


def test_what_only_says_that_it_is_a_data_frame() -> None:
    r = with_attributes(frame({"x": v.integer(1)}), names=v.character("x", "y"))
    assert to_python(r) is r
