"""Factors and data frames: Table, pandas, Arrow, polars."""

from __future__ import annotations

import importlib
import importlib.util
import io
from typing import Any

import numpy as np
import pytest

import rinterop
from rinterop import NA, ConversionError, Factor, Table, to_python, to_r
from rinterop import values as v
from rinterop.convert.frames import CLASS
from rinterop.values import RValue


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skip where a package is not installed."""
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")


def installed(package: str) -> Any:
    """The module; None where `needs` skips the tests anyway."""
    return importlib.import_module(package) if importlib.util.find_spec(package) else None


def with_attributes(vector: Any, **tags: RValue) -> Any:
    return type(vector)(vector.values, attributes=v.attributes_of(**{**v.attributes(vector), **tags}))


def factor(*codes: int | None, levels: tuple[str, ...] = ("a", "b"), ordered: bool = False) -> Any:
    classes = ("ordered", "factor") if ordered else ("factor",)
    return with_attributes(v.integer(*codes), levels=v.character(*levels), **{"class": v.character(*classes)})


def classed(vector: Any, *classes: str, **tags: RValue) -> Any:
    return with_attributes(vector, **{"class": v.character(*classes)}, **tags)


def frame(columns: dict[str, Any], row_names: RValue | None = None, *classes: str, **more: RValue) -> v.List:
    n_rows = len(next(iter(columns.values()))) if columns else 0
    automatic = v.integer(None, -n_rows) if n_rows else v.integer()
    return v.List(
        tuple(columns.values()),
        attributes=v.attributes_of(
            names=v.character(*columns),
            **{"class": v.character(*(classes or CLASS))},
            **{"row.names": automatic if row_names is None else row_names},
            **more,
        ),
    )


EVERYTHING = frame(
    {
        "lgl": v.logical(True, None, False),
        "flag": v.logical(True, True, False),
        "int": v.integer(1, None, 3),
        "whole": v.integer(1, 2, 3),
        "dbl": v.double(1.5, None, float("nan")),
        "num": v.double(1.5, 2.5, float("nan")),
        "chr": v.character("a", None, "é"),
        "fct": factor(1, None, 2),
        "ord": factor(2, 1, 2, ordered=True),
        "day": classed(v.double(1, None, 3), "Date"),
        "time": classed(v.double(0.5, None, 3), "POSIXct", "POSIXt"),
        "zone": classed(v.double(0.5, None, 3), "POSIXct", "POSIXt", tzone=v.character("Europe/Berlin")),
        "span": classed(v.double(60, None, 3), "difftime", units=v.character("secs")),
    }
)


def reordered(value: Any) -> Any:
    """Attributes by name: R's `identical()` does not look at their order."""
    if value is v.NULL or isinstance(value, v.Symbol):
        return value
    tags = sorted(v.attributes(value).items())
    inside = tuple(map(reordered, value.values)) if isinstance(value, v.List) else value.values
    return type(value)(inside, attributes=v.attributes_of(**dict(tags)))


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


ODD_FRAMES = {
    "no columns": frame({}),
    "no columns, no names": v.List(
        (),
        attributes=v.attributes_of(**{"class": v.character("data.frame"), "row.names": v.integer(None, 0)}),
    ),
    "no columns, some rows": frame({}, v.integer(None, -5)),
    "no rows": frame({"x": v.integer(), "s": v.character(), "f": factor()}),
    "row names": frame({"x": v.integer(1, 2)}, v.character("r1", "r2")),
    "numbers of rows": frame({"x": v.integer(1, 2)}, v.integer(7, 3)),
    "positive count": frame({"x": v.integer(1, 2)}, v.integer(None, 2)),
    "tibble": frame({"x": v.integer(1, 2)}, None, "tbl_df", "tbl", "data.frame"),
    "attributes": frame({"x": v.integer(1, 2)}, None, "data.frame", origin=v.character("here")),
    "list column": frame({"x": v.list_(v.integer(1), v.character("a", "b"))}),
    "list of strings": frame({"x": v.list_(v.character("a"), v.character("b"))}),
    "AsIs list": frame({"x": classed(v.list_(v.NULL, v.symbol("a")), "AsIs")}),
    "raw column": frame({"x": v.raw(b"ab")}),
    "complex column": frame({"x": v.Complex(np.array([1j, complex(v.NA_REAL, 0)]))}),
    "integer dates": frame({"x": classed(v.integer(1, None), "IDate", "Date")}),
    "days": frame({"x": classed(v.double(1, 2), "difftime", units=v.character("days"))}),
    "hours": frame({"x": classed(v.double(1.5, 2), "difftime", units=v.character("hours"))}),
    "empty zone": frame({"x": classed(v.double(1, 2), "POSIXct", "POSIXt", tzone=v.character(""))}),
    "class of its own": frame({"x": classed(v.double(1, 2), "money")}),
    "named column": frame({"x": with_attributes(v.integer(1, 2), names=v.character("a", "b"))}),
    "bytes": frame({"x": v.character(v.RText(b"\xff", 0x02), None)}),
    "integer64": frame({"x": rinterop.integer64(np.ma.array([2**60, 0], mask=[False, True]))}),
    "missing alone": frame({"x": v.character(None, None), "y": v.double(None, None)}),
    "infinite dates": frame({"x": classed(v.double(float("inf"), None), "Date")}),
}
ONLY_TABLES = {
    "matrix column": v.List(
        (with_attributes(v.integer(1, 2, 3, 4), dim=v.integer(2, 2)),),
        attributes=v.attributes_of(
            names=v.character("m"), **{"class": v.character("data.frame"), "row.names": v.integer(None, -2)}
        ),
    ),
    "nested": v.List(
        (frame({"x": v.integer(1, 2)}),),
        attributes=v.attributes_of(
            names=v.character("d"), **{"class": v.character("data.frame"), "row.names": v.integer(None, -2)}
        ),
    ),
    "missing name": with_attributes(frame({"x": v.integer(1)}), names=v.character(None)),
}


@pytest.mark.parametrize("name", [*ODD_FRAMES, *ONLY_TABLES])
def test_nothing_is_lost_in_tables(name: str) -> None:
    r = {**ODD_FRAMES, **ONLY_TABLES}[name]
    found = to_python(r, frames="table")
    assert isinstance(found, Table)
    assert to_r(found) == r


def test_what_only_says_that_it_is_a_data_frame() -> None:
    r = with_attributes(frame({"x": v.integer(1)}), names=v.character("x", "y"))
    assert to_python(r) is r


@needs("pandas")
class TestPandas:
    pd = installed("pandas")

    @pytest.mark.parametrize("name", ODD_FRAMES)
    def test_nothing_is_lost(self, name: str) -> None:
        r = ODD_FRAMES[name]
        found = to_python(r)
        assert isinstance(found, self.pd.DataFrame)
        assert reordered(to_r(found)) == reordered(r)

    @pytest.mark.parametrize("name", ONLY_TABLES)
    def test_what_no_dataframe_holds_is_a_table(self, name: str) -> None:
        found = to_python(ONLY_TABLES[name])
        assert isinstance(found, Table)
        assert to_r(found) == ONLY_TABLES[name]

    def test_dtypes(self) -> None:
        found = to_python(EVERYTHING)
        dtypes = {name: str(dtype) for name, dtype in found.dtypes.items()}
        # How pandas names the unit of whole seconds is its own affair.
        assert dtypes == {
            "lgl": "boolean",
            "flag": "bool",
            "int": "Int32",
            "whole": "int32",
            "dbl": "Float64",
            "num": "float64",
            "chr": "string",
            "fct": "category",
            "ord": "category",
            "day": "datetime64[s]",
            "time": "datetime64[us]",
            "zone": "datetime64[us, Europe/Berlin]",
            "span": "timedelta64[s]",
        }
        assert rinterop.is_na(found["dbl"]).tolist() == [False, True, False]
        assert rinterop.is_na(found["num"]).tolist() == [False, False, False]
        assert found["ord"].cat.ordered
        assert found["chr"].isna().tolist() == [False, True, False]
        assert reordered(to_r(found)) == reordered(EVERYTHING)

    def test_frames_can_be_changed(self) -> None:
        found = to_python(EVERYTHING)
        for name in ("whole", "num", "int", "lgl"):
            found.loc[0, name] = found.loc[2, name]
        changed = to_r(found)
        assert isinstance(changed, v.List)
        assert changed["whole"] == v.integer(3, 2, 3)
        assert changed["int"] == v.integer(3, None, 3)

    def test_what_is_remembered_gives_way_to_changes(self) -> None:
        r = frame(
            {
                "day": classed(v.double(1, 2, 3), "Date"),
                "f": with_attributes(factor(1, 2, 1), contrasts=v.integer(1)),
            },
            None,
            "tbl_df",
            "tbl",
            "data.frame",
        )
        found = to_python(r)
        shorter = to_r(found.iloc[:2])
        assert isinstance(shorter, v.List)
        assert shorter["day"] == classed(v.double(1, 2), "Date")
        assert v.class_(shorter) == ("tbl_df", "tbl", "data.frame")
        assert v.attribute(shorter, "row.names") == v.integer(None, -2)
        found["day"] = ["x", "y", "z"]
        found["f"] = found["f"].cat.add_categories("c")
        found["new"] = 1
        changed = to_r(found)
        assert isinstance(changed, v.List)
        assert v.names(changed) == ("day", "f", "new")
        assert changed["day"] == v.character("x", "y", "z")
        assert changed["f"] == factor(1, 2, 1, levels=("a", "b", "c"))

    def test_what_is_remembered_survives_parquet(self) -> None:
        pytest.importorskip("pyarrow")
        r = ODD_FRAMES["integer dates"]
        file = io.BytesIO()
        to_python(r).to_parquet(file)
        assert reordered(to_r(self.pd.read_parquet(file))) == reordered(r)

    @pytest.mark.parametrize("text", ["", "no base64!", "AAAA", 5])
    def test_what_is_remembered_may_be_anything(self, text: object) -> None:
        found = self.pd.DataFrame({"x": [1]})
        found.attrs["rinterop"] = text
        assert to_r(found) == frame({"x": v.integer(1)})

    def test_from_pandas(self) -> None:
        pd = self.pd
        data = pd.DataFrame(
            {
                "i": [1, 2],
                "f": [1.5, float("nan")],
                "s": ["a", None],
                "o": pd.Series(["a", float("nan")], dtype=object, index=["r1", "r2"]),
                "b": [True, False],
                "n": pd.array([1, None], dtype="Int64"),
                "c": pd.Categorical(["x", None]),
                "l": [[1], {"k": 2}],
                "p": pd.arrays.SparseArray([0, 1]),
            },
            index=["r1", "r2"],
        )
        assert to_r(data) == frame(
            {
                "i": v.integer(1, 2),
                "f": v.double(1.5, float("nan")),
                "s": v.character("a", None),
                "o": v.character("a", None),
                "b": v.logical(True, False),
                "n": v.integer(1, None),
                "c": factor(1, None, levels=("x",)),
                "l": v.list_(v.list_(v.integer(1)), v.named_list(k=v.integer(2))),
                "p": v.integer(0, 1),
            },
            v.character("r1", "r2"),
        )
        assert to_r(data["i"]) == with_attributes(v.integer(1, 2), names=v.character("r1", "r2"))
        assert to_r(pd.Series([1, 2], index=[5, 7])) == v.integer(1, 2)
        assert to_r(pd.Index(["a", "b"])) == v.character("a", "b")
        assert to_r(pd.NA) == v.logical(None)
        assert to_r(pd.array([True, None])) == v.logical(True, None)

    def test_frames_without_rows(self) -> None:
        data = self.pd.DataFrame({"i": [1], "c": self.pd.Categorical(["x"])}, index=["r"])
        assert to_r(data[data["i"] > 5]) == frame(
            {"i": v.integer(), "c": factor(levels=("x",))}, v.character()
        )

    def test_arrow_backed_columns(self) -> None:
        pytest.importorskip("pyarrow")
        data = self.pd.DataFrame({"i": self.pd.array([1, None], dtype="int64[pyarrow]")})
        assert to_r(data) == frame({"i": v.integer(1, None)})

    @pytest.mark.parametrize(
        ("make", "hint"),
        [
            (lambda pd: pd.DataFrame({1: [2]}), r"rename\(columns=str\)"),
            (lambda pd: pd.DataFrame({"x": [1, 2]}, index=["a", "a"]), "reset_index"),
            (lambda pd: pd.DataFrame({"x": [1]}, index=pd.to_datetime(["2024-01-01"])), "reset_index"),
            (lambda pd: pd.DataFrame({"x": [1]}, index=[0.5]), "reset_index"),
            (lambda pd: pd.DataFrame({"x": [1]}, index=[2**40]), "reset_index"),
            (lambda pd: pd.MultiIndex.from_tuples([(1, 2)]), "to_frame"),
            (lambda pd: pd.Categorical([1, 2]), "rename_categories"),
            (lambda pd: pd.interval_range(0, 2), "astype"),
            (lambda pd: pd.Series([2**60]), "integer64"),
        ],
    )
    def test_what_has_no_form_says_what_to_do(self, make: Any, hint: str) -> None:
        with pytest.raises(ConversionError, match=hint):
            to_r(make(self.pd))

    def test_a_frame_that_contains_itself(self) -> None:
        data = self.pd.DataFrame({"x": [None]}, dtype=object)
        data.iat[0, 0] = [data]
        with pytest.raises(ConversionError, match="contains itself"):
            to_r(data)


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

    @pytest.mark.parametrize("name", ["row names", "no columns, some rows", "list column"])
    def test_what_arrow_cannot_hold_is_a_table(self, name: str) -> None:
        r = ODD_FRAMES[name]
        found = to_python(r, frames="arrow")
        assert isinstance(found, Table)
        assert to_r(found) == r

    def test_from_arrow(self) -> None:
        pa = self.pa
        assert to_r(pa.array([1, None])) == v.integer(1, None)
        assert to_r(pa.chunked_array([[True], [None]])) == v.logical(True, None)
        assert to_r(pa.chunked_array([], pa.float64())) == v.double()
        assert to_r(pa.scalar("a")) == v.character("a")
        assert to_r(pa.nulls(2)) == v.logical(None, None)
        assert to_r(pa.array([[1], None])) == v.list_(v.list_(v.integer(1)), v.NULL)
        assert to_r(pa.array([1, 1, None]).dictionary_encode()) == v.integer(1, 1, None)
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
            if name != "ord":  # polars does not say whether categories are ordered
                assert reordered(back[str(name)]) == reordered(EVERYTHING[str(name)])

    def test_from_polars(self) -> None:
        pl = self.pl
        assert to_r(pl.Series([1.5, None])) == v.double(1.5, None)
        assert to_r(pl.DataFrame({"s": ["a", None]})) == frame({"s": v.character("a", None)})
