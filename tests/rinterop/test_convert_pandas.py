"""Data frames and their columns as pandas has them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import rinterop
from rinterop import ConversionError, Table, to_python, to_r
from rinterop import values as v
from tests.rinterop.frames_of_r import (
    EVERYTHING,
    ODD_FRAMES,
    ONLY_TABLES,
    classed,
    factor,
    frame,
    installed,
    needs,
    reordered,
    with_attributes,
)


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

    def test_integers_beyond_32_bits(self) -> None:
        made = self.pd.DataFrame({"id": [2**60, 1], "small": [1, 2]})
        made["maybe"] = self.pd.array([None, 2**40], "Int64")
        r = to_r(made, int64="integer64")
        assert r == frame(
            {
                "id": rinterop.integer64([2**60, 1]),
                "small": v.integer(1, 2),
                "maybe": rinterop.integer64(np.ma.array([0, 2**40], mask=[True, False])),
            }
        )
        assert to_python(r)["id"].tolist() == [2**60, 1]
        assert to_r(to_python(r)) == r

    def test_a_vector_of_r_is_no_column(self) -> None:
        made = self.pd.DataFrame({"id": [1, 2]})
        made["id"] = rinterop.integer64([2**60, 1])
        with pytest.raises(ConversionError, match="int64="):
            to_r(made)
        made["id"] = v.double(1, 2)
        with pytest.raises(ConversionError, match=r"'id'.*to_python"):
            to_r(made)

    @needs("pyarrow")
    def test_zones_of_arrow_columns(self) -> None:
        pa = installed("pyarrow")
        dtype = self.pd.ArrowDtype(pa.timestamp("us", "Europe/Paris"))
        made = self.pd.DataFrame({"x": self.pd.array([self.pd.Timestamp(0, tz="UTC"), None], dtype=dtype)})
        expected = classed(v.double(0, None), "POSIXct", "POSIXt", tzone=v.character("Europe/Paris"))
        assert to_r(made) == frame({"x": expected})
        assert to_r(made["x"]) == to_r(made["x"].array) == expected

    def test_tagged_nas(self) -> None:
        bits = np.array([0x7FF0_0061_0000_07A2, 0x7FF0_007A_0000_07A2, 0x3FF0_0000_0000_0000], np.uint64)
        r = frame({"x": classed(v.Double(bits.view(np.float64)), "haven_labelled", "vctrs_vctr", "double")})
        found = to_python(r)
        assert found["x"].isna().tolist() == [True, True, False]
        assert to_r(found) == r
        back = to_r(found.iloc[::-1].reset_index(drop=True))["x"]  # type: ignore[index]  # a list
        assert back.values.view(np.uint64).tolist() == bits[::-1].tolist()

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
