"""R says what is identical: Python objects beside R code, and R's values through Python and back.

R runs twice for all of them: once to write its values, once to compare ours with them.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import rinterop
from rinterop import (
    NA,
    Factor,
    NA_character_,
    NA_complex_,
    NA_integer_,
    NA_real_,
    RArray,
    Table,
    to_python,
    to_r,
)
from tests.rinterop.rscript import run_r

pytestmark = pytest.mark.needs_r

# What to_r must make of an object, and to_python, without pandas, of the value.
OBJECTS: dict[str, Any] = {
    "NULL": None,
    "TRUE": True,
    "NA": NA,
    "1L": 1,
    "NA_integer_": NA_integer_,
    "2147483648": 2.0**31,
    "0.1": 0.1,
    "-Inf": float("-inf"),
    "NA_real_": NA_real_,
    "'text'": "text",
    "'\\u00e9\\u4e2d\\U1F600'": "é中😀",
    "NA_character_": NA_character_,
    "complex(real = 1, imaginary = -2)": 1 - 2j,
    "NA_complex_": NA_complex_,
    "as.raw(c(0, 255))": b"\x00\xff",
    "raw(0)": b"",
    "c(1L, NA, 3L)": np.ma.array([1, 0, 3], np.int32, mask=[False, True, False]),
    "c(TRUE, FALSE)": np.array([True, False]),
    "c(NA, TRUE)": np.ma.array([False, True], mask=[True, False]),
    "c(0.5, NA, NaN)": np.ma.array([0.5, 0, float("nan")], mask=[False, True, False]),
    "c('a', NA, '')": np.array(["a", NA, ""], object),
    "character()": np.array([], object),
    "c(1i, NA_complex_)": np.ma.array([1j, 0], mask=[False, True]),
    "list()": [],
    "list(1L, 'a', NULL, list(TRUE))": [1, "a", None, [True]],
    "setNames(list(), character())": {},
    "list(a = 1, b = list(c = NULL))": {"a": 1.0, "b": {"c": None}},
    "c(a = 1, b = 2)": RArray([1.0, 2.0], names=["a", "b"]),
    "matrix(1:6, 2)": np.array([[1, 3, 5], [2, 4, 6]], np.int32),
    "matrix(c('a', NA), 1)": np.array([["a", NA]], object),
    "array(c(1, NA), c(1, 2, 1))": np.ma.array([[[1.0], [0.0]]], mask=[[[False], [True]]]),
    "matrix(1:4, 2, dimnames = list(c('a', 'b'), NULL))": RArray(
        np.array([[1, 3], [2, 4]]), dimnames=[["a", "b"], None]
    ),
    "structure(1:2, units = 'cm')": RArray([1, 2], attributes={"units": "cm"}),
    "factor(c('b', NA, 'a'))": Factor([1, -1, 0], ["a", "b"]),
    "factor(c('lo', 'hi'), levels = c('lo', 'hi'), ordered = TRUE)": Factor(
        [0, 1], ["lo", "hi"], ordered=True
    ),
    "as.Date('2024-02-29')": dt.date(2024, 2, 29),
    "as.Date(c('0001-01-01', NA, '9999-12-31'))": np.array(["0001-01-01", "NaT", "9999-12-31"], "M8[D]"),
    "as.POSIXct('2024-02-29 12:34:56.5', tz = 'UTC')": dt.datetime(
        2024, 2, 29, 12, 34, 56, 500000, dt.timezone.utc
    ),
    "as.POSIXct('2024-07-01', tz = 'Europe/Berlin')": dt.datetime(
        2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")
    ),
    ".POSIXct(c(0, NA, 1e9))": np.array([0, "NaT", 10**15], "M8[us]"),
    "as.difftime(c(90, NA), units = 'secs')": np.array([90, "NaT"], "m8[s]"),
    "as.difftime(2, units = 'weeks')": np.timedelta64(2, "W"),
    "data.frame(x = 1:2, y = c('a', NA))": Table(
        {"x": np.array([1, 2], np.int32), "y": np.array(["a", NA], object)}
    ),
    "data.frame(x = 1:2, row.names = c('a', 'b'))": Table(
        {"x": np.array([1, 2], np.int32)}, row_names=["a", "b"]
    ),
    # R leaves a mark on vectors that grew by assignment.
    "local({g <- c(); for (i in 1:30) g[i] <- i / 2; g})": np.arange(1, 31) / 2,
    "local({g <- list(); for (i in 1:30) g[[paste0('k', i)]] <- i; g})": {f"k{i}": i for i in range(1, 31)},
    "local({g <- data.frame(id = 1:3); for (i in 1:30) g[[paste0('c', i)]] <- i; g})": Table(
        {"id": np.arange(1, 4, dtype=np.int32)} | {f"c{i}": np.full(3, i, np.int32) for i in range(1, 31)}
    ),
}

# Values that come back as they were.
VALUES = [
    "1:10",
    "seq(0, 1, length.out = 5)",
    "as.character(1:5)",
    "c(a = NA_character_)",
    "1:3 + 0i",
    "as.table(matrix(1:4, 2))",
    "table(c('x', 'y', 'x'))",
    "array(1:3, 3)",
    "ts(1:24, start = c(2020, 1), frequency = 12)",
    "addNA(factor(c('a', NA)))",
    "structure(factor(c('a', 'b')), contrasts = 'contr.sum')",
    "setNames(factor(c('a', 'b')), c('x', 'y'))",
    "factor(character())",
    "list(1, a = 2)",
    "list(a = 1, a = 2)",
    "structure(list(1, 2), names = c('a', NA))",
    "matrix(list(1, 'a', NULL, TRUE), 2)",
    "list(function(x) x + 1, quote(f(x)), as.name('y'), expression(a, b), y ~ x)",
    "pairlist(a = 1)",
    "structure(list(x = 1), class = 'mine')",
    "structure(5, class = 'money', currency = 'EUR')",
    "simpleError('boom')",
    "package_version('1.2.3')",
    "as.hexmode(255)",
    "numeric_version(c('1.2', '3'))",
    "structure(1L, class = 'Date')",
    ".Date(c(0.5, Inf))",
    "seq(as.Date('2024-01-31'), by = 'month', length.out = 3)",
    "as.POSIXct('2024-07-01 12:00')",
    "as.POSIXct('2024-03-31 02:30', tz = 'America/New_York') + 0:2 * 3600 + 0.123456",
    "structure(0, class = c('POSIXct', 'POSIXt'), tzone = 'No/Where')",
    "as.difftime(c(1.5, 1/3), units = 'hours')",
    "as.difftime(1e-7, units = 'secs')",
    "iris",
    "mtcars",
    "head(airquality[airquality$Month == 7, ])",
    "CO2",
    "warpbreaks",
    "as.data.frame(Titanic)",
    "ToothGrowth[0, ]",
    "data.frame(d = as.Date('2024-01-01') + 0:1, t = .POSIXct(0:1 + 0.5), u = .POSIXct(1:2, tz = 'UTC'))",
    "data.frame()",
    "data.frame(i = I(list(1, 'a')))",
    "data.frame(x = 1:2, m = I(matrix(1:4, 2)))",
    "data.frame(`odd name` = 1, check.names = FALSE)",
    "structure(data.frame(a = 1, b = 2), names = c('a', 'a'))",
    "structure(list(x = 1:2), class = c('tbl_df', 'tbl', 'data.frame'), row.names = c(NA, -2L))",
    "data.frame(x = c(NA, NaN, 1), y = c(NA, TRUE, FALSE), z = c(NA, 1L, 2L), s = NA_character_)",
    "aggregate(len ~ supp, ToothGrowth, function(x) c(mean = mean(x), n = length(x)))",
    "airmiles",
    "state.x77",
    "volcano",
    "letters",
    "lm(dist ~ speed, cars)",
    "getClass('numeric')",
    "1:2e7",
]


@dataclass(frozen=True)
class Exchange:
    """What R wrote for each expression, and which of our versions of it R finds identical."""

    written: dict[str, rinterop.RValue]
    objects: dict[str, str]
    values: dict[tuple[str, str], str]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Exchange:
    folder = tmp_path_factory.mktemp("exchange")
    sources = [*OBJECTS, *VALUES]
    run_r(
        [
            *(_expression(index, source) for index, source in enumerate(sources)),
            f"for (i in seq_along(x)) saveRDS(x[[i]], paste0('{folder}/', i - 1, '.rds'), compress = FALSE)",
        ]
    )
    written = {source: rinterop.read_rds(folder / f"{index}.rds") for index, source in enumerate(sources)}
    ours = [(f"object {source}", to_r(python)) for source, python in OBJECTS.items()]
    kinds: tuple[Literal["pandas", "table"] | None, ...] = (None, "table")
    for kind in kinds:
        ours += [
            (f"{kind} {source}", to_r(to_python(value, frames=kind))) for source, value in written.items()
        ]
    _write(folder, [value for _, value in ours])
    answers = run_r(
        [
            *(_expression(index, source) for index, source in enumerate(sources)),
            *(
                f"cat(identical(x[[{sources.index(name.partition(' ')[2]) + 1}]],"
                f" readRDS('{folder}/ours{index}.rds')), '\\n')"
                for index, (name, _) in enumerate(ours)
            ),
        ]
    ).split()
    found = dict(zip((name for name, _ in ours), answers, strict=True))
    return Exchange(
        written,
        {source: found[f"object {source}"] for source in OBJECTS},
        {(str(kind), source): found[f"{kind} {source}"] for kind in kinds for source in sources},
    )


def _expression(index: int, source: str) -> str:
    # As an element of a list, so that NULL has a place.
    start = "x <- list(); " if index == 0 else ""
    return f"{start}x[{index + 1}] <- list({source})"


def _write(folder: Path, values: list[rinterop.RValue]) -> None:
    for index, value in enumerate(values):
        rinterop.write_rds(value, folder / f"ours{index}.rds", compress=None)


def test_objects_are_what_r_code_makes(exchange: Exchange) -> None:
    assert [source for source, answer in exchange.objects.items() if answer != "TRUE"] == []


def test_values_come_back_as_they_were(exchange: Exchange) -> None:
    assert [which for which, answer in exchange.values.items() if answer != "TRUE"] == []


@pytest.mark.parametrize("source", OBJECTS)
def test_what_r_makes_is_the_object(exchange: Exchange, source: str) -> None:
    found = to_python(exchange.written[source], frames="table")
    expected = OBJECTS[source]
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert np.array_equal(rinterop.is_na(found), rinterop.is_na(expected))
    assert rinterop.values.identical(to_r(found), to_r(expected), num_eq=False, single_na=False)
