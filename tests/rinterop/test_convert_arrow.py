"""Data frames and their columns as Arrow and polars have them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given

from rinterop import ConversionError, Factor, to_python, to_r
from rinterop import values as v
from tests.rinterop.frames_of_r import (
    EVERYTHING,
    ODD_FRAMES,
    classed,
    frame,
    installed,
    needs,
    reordered,
)
from tests.rinterop.test_convert_properties import FACTORS


@needs("pyarrow")
class TestArrow:
    pa = installed("pyarrow")

    def test_both_ways(self) -> None:
        table = to_python(EVERYTHING, frames="arrow")
        assert isinstance(table, self.pa.Table)
        assert table["dbl"].is_null().to_pylist() == [False, True, False]
        assert table.schema.field("fct").type.ordered is False
        assert table.schema.field("ord").type.ordered is True
        assert table.schema.field("day").type == self.pa.date32()
        assert reordered(to_r(table)) == reordered(EVERYTHING)

    @pytest.mark.parametrize("kind", ["arrow", "polars"])
    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("row names", 'has no row names.*row_names="name"'),
            ("no columns, some rows", "no rows where there are no columns"),
            ("list column", "no place for the column 'x', list"),
        ],
    )
    def test_what_they_cannot_hold_is_said(self, kind: Any, name: str, said: str) -> None:
        if kind == "polars":
            pytest.importorskip("polars")
        with pytest.raises(ConversionError, match=said):
            to_python(ODD_FRAMES[name], frames=kind)
        assert to_r(to_python(ODD_FRAMES[name], frames="table")) == ODD_FRAMES[name]

    @pytest.mark.parametrize("kind", ["arrow", "polars"])
    def test_row_names_as_a_column(self, kind: Any) -> None:
        if kind == "polars":
            pytest.importorskip("polars")
        r = ODD_FRAMES["row names"]
        table = to_python(r, frames="table")
        found = to_python(r, frames=kind, row_names="model")
        names = found.column_names if kind == "arrow" else found.columns
        assert list(names) == ["model", *table.names]
        column = found["model"].to_pylist() if kind == "arrow" else found["model"].to_list()
        assert column == [*table.row_names]
        with pytest.raises(ConversionError, match=f"a column {table.names[0]!r} already"):
            to_python(r, frames=kind, row_names=table.names[0])
        assert (
            to_python(EVERYTHING, frames=kind, row_names="model").shape
            == to_python(EVERYTHING, frames=kind).shape
        )

    def test_row_names_stay_row_names_elsewhere(self) -> None:
        kinds: tuple[Any, ...] = (None, "pandas", "table")
        for kind in kinds:
            with pytest.raises(ValueError, match="row_names"):
                to_python(EVERYTHING, frames=kind, row_names="model")

    def test_from_arrow(self) -> None:
        pa = self.pa
        assert to_r(pa.array([1, None])) == v.integer(1, None)
        assert to_r(pa.chunked_array([[True], [None]])) == v.logical(True, None)
        assert to_r(pa.chunked_array([], pa.float64())) == v.double()
        assert to_r(pa.scalar("a")) == v.character("a")
        assert to_r(pa.nulls(2)) == v.logical(None, None)
        assert to_r(pa.array([[1], None])) == v.list_(v.list_(v.integer(1)), v.NULL)
        assert to_r(pa.array([1, 1, None]).dictionary_encode()) == v.integer(1, 1, None)
        assert to_r(pa.array([[1], None], pa.list_(pa.int32(), 1))) == v.list_(v.list_(v.integer(1)), v.NULL)
        for kind in (pa.binary(), pa.large_binary(), pa.binary(1)):
            assert to_r(pa.table({"x": pa.array([b"a", None], kind)})) == frame(
                {"x": v.list_(v.raw(b"a"), v.NULL)}
            )
        for kind in (pa.time32("s"), pa.time64("us")):
            time = pa.array([dt.time(0, 1, 2), None], kind)
            seconds = classed(v.double(62, None), "hms", "difftime", units=v.character("secs"))
            assert reordered(to_r(pa.table({"x": time}))) == reordered(frame({"x": seconds}))
        assert to_r(pa.record_batch({"x": [1]})) == frame({"x": v.integer(1)})
        assert to_r(pa.array([float("nan"), None])) == v.double(float("nan"), None)
        with pytest.raises(ConversionError, match="integer64"):
            to_r(pa.array([2**60]))
        with pytest.raises(ConversionError, match="decimals"):
            to_r(pa.array([1]).cast(pa.decimal128(20)))

    def test_any_arrow_stream(self) -> None:
        table = self.pa.table({"x": [1, 2]})

        class Foreign:
            column_names = ("x",)

            def __arrow_c_stream__(self, requested_schema: object = None) -> object:
                return table.__arrow_c_stream__(requested_schema)

        assert to_r(Foreign()) == frame({"x": v.integer(1, 2)})


@needs("polars", "pyarrow")
class TestPolars:
    pl = installed("polars")

    def test_both_ways(self) -> None:
        found = to_python(EVERYTHING, frames="polars")
        assert isinstance(found, self.pl.DataFrame)
        assert found["int"].to_list() == [1, None, 3]
        assert found["dbl"].is_null().to_list() == [False, True, False]
        assert found["zone"].dtype == self.pl.Datetime("us", "Europe/Berlin")
        back = to_r(found)
        assert isinstance(back, v.List)
        for name in v.names(EVERYTHING) or ():
            column = back[str(name)]
            if name == "ord":  # polars does not say whether an order of categories means something
                assert v.class_(column) == ("factor",)
                column = classed(column, "ordered", "factor")
            assert reordered(column) == reordered(EVERYTHING[str(name)])

    @given(FACTORS)
    def test_levels_and_their_order_are_kept(self, f: Factor) -> None:
        value = frame({"f": to_r(f)})
        found = to_python(value, frames="polars")
        assert found["f"].dtype == self.pl.Enum(list(f.levels))
        assert found["f"].to_list() == [None if level is v.NA else level for level in f]
        back = Factor(f.codes, f.levels)
        assert to_r(found) == frame({"f": to_r(back)})
        assert to_r(found["f"]) == to_r(back)

    def test_integers_of_128_bits(self) -> None:
        pl = self.pl
        column = pl.Series("x", [1, None], dtype=pl.Int128)
        assert to_r(column) == v.integer(1, None)
        assert to_r(pl.DataFrame([column])) == frame({"x": v.integer(1, None)})
        with pytest.raises(ConversionError, match="64 bits"):
            to_r(pl.DataFrame({"x": pl.Series([2**100], dtype=pl.Int128)}))

    def test_from_polars(self) -> None:
        pl = self.pl
        assert to_r(pl.Series([1.5, None])) == v.double(1.5, None)
        assert to_r(pl.DataFrame({"s": ["a", None]})) == frame({"s": v.character("a", None)})
