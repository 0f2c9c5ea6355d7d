"""Factors and data frames as R values, ordinary and odd ones, for tests of their conversion."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
import pytest

import rinterop
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
