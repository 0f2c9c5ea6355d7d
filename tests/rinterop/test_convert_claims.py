"""What attributes say of rows and columns goes back to R only while it is true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rinterop
from rinterop import to_python, to_r
from rinterop import values as v
from rinterop.convert.claims import digest
from tests.rinterop.frames_of_r import classed, frame, needs, with_attributes
from tests.rinterop.recordings import DATA
from tests.rinterop.rscript import run_r

FRAMES = DATA.parent / "frames"
CHANGES: dict[str, Callable[[Any], Any]] = {
    "sorted": lambda d: d.iloc[::-1].reset_index(drop=True),
    "fewer rows": lambda d: d.iloc[1:].reset_index(drop=True),
    "more rows": lambda d: d.iloc[[0, 1, 2, 0]].reset_index(drop=True),
}
pytestmark = needs("pandas")


def read(name: str) -> Any:
    return rinterop.read_rds(FRAMES / f"{name}.rds")


def changed(name: str, how: Callable[[Any], Any]) -> Any:
    return to_r(how(to_python(read(name))))


def strings(value: v.RValue, attribute: str) -> tuple[Any, ...] | None:
    return v.strings(v.attribute(value, attribute))


@pytest.mark.parametrize("name", ["grouped", "rowwise", "keyed", "features"])
def test_nothing_is_lost_where_nothing_changed(name: str) -> None:
    value = read(name)
    back = to_r(to_python(value))
    # A pointer has no identity in bytes.
    apart = {key: one for key, one in v.attributes(back).items() if key != ".internal.selfref"}
    for key, one in apart.items():
        assert v.identical(one, v.attribute(value, key)), key
    assert all(v.identical(ours, theirs) for ours, theirs in zip(back, value, strict=True))  # type: ignore[call-overload]  # lists


def test_a_key_holds_for_its_columns() -> None:
    assert strings(changed("keyed", lambda d: d), "sorted") == ("id", "v")
    assert strings(changed("keyed", lambda d: d.assign(more=1)), "sorted") == ("id", "v")
    assert strings(changed("keyed", lambda d: d.assign(v=0.0)), "sorted") == ("id",)
    assert strings(changed("keyed", lambda d: d[["v", "w"]]), "sorted") is None
    for how in CHANGES.values():
        found = changed("keyed", how)
        assert strings(found, "sorted") is None
        assert v.attribute(found, "index") is v.NULL
        assert v.class_(found) == ("data.table", "data.frame")
    assert v.attribute(changed("keyed", lambda d: d.assign(w=[9, 8, 7])), "index") is v.NULL
    assert v.attribute(changed("keyed", lambda d: d.drop(columns="v")), "index") is not v.NULL


def groups(value: v.RValue) -> dict[Any, list[int]]:
    found = v.attribute(value, "groups")
    assert isinstance(found, v.List)
    keys, rows = found["g"], found[".rows"]
    assert isinstance(keys, v.Character)
    assert isinstance(rows, v.List)
    return {
        key: one.values.tolist() for key, one in zip(keys, rows, strict=True) if isinstance(one, v.Integer)
    }


def test_groups_are_those_of_the_rows() -> None:
    assert groups(changed("grouped", lambda d: d.assign(x=0.0, y=1))) == {"a": [2], "b": [1, 4], v.NA: [3]}
    assert groups(changed("grouped", CHANGES["sorted"])) == {"a": [3], "b": [1, 4], v.NA: [2]}
    assert groups(changed("grouped", lambda d: d[d.x > 2].reset_index(drop=True))) == {"b": [2], v.NA: [1]}
    assert groups(changed("grouped", lambda d: d.assign(g="z"))) == {"z": [1, 2, 3, 4]}
    ungrouped = changed("grouped", lambda d: d.drop(columns="g"))
    assert v.class_(ungrouped) == ("tbl_df", "tbl", "data.frame")
    assert v.attribute(ungrouped, "groups") is v.NULL


def test_a_box_is_that_of_the_geometry() -> None:
    found = changed("features", lambda d: d.iloc[[1, 2]].reset_index(drop=True).drop(columns="area"))
    geometry = found["geometry"]
    assert v.attribute(geometry, "bbox").values.tolist() == [1, 1, 9, 8]  # type: ignore[attr-defined]  # a vector
    assert v.attribute(geometry, "n_empty") == v.integer(0)
    assert v.attribute(geometry, "crs") == v.attribute(read("features")["geometry"], "crs")
    assert strings(v.attribute(found, "agr"), "names") == ("n",)
    more = changed("features", lambda d: d.assign(z=1))
    assert strings(v.attribute(more, "agr"), "names") == ("area", "n", "z")
    assert v.attribute(more, "agr")[2] is v.NA  # type: ignore[index]  # a vector
    without = changed("features", lambda d: d.drop(columns="geometry"))
    assert v.class_(without) == ("data.frame",)
    assert set(v.attributes(without)) == {"names", "row.names", "class"}


ATTRIBUTED = frame(
    {
        "named": with_attributes(v.double(1, 2, 3), names=v.character("a", "b", "c")),
        "weighed": with_attributes(v.double(1, 2, 3), weights=v.double(7, 8, 9), label=v.character("text")),
    },
    None,
    "data.frame",
    origin=v.character("here"),
    removed=classed(v.integer(4, 5), "omit"),
    weights=v.double(1, 1, 2),
    roles=v.named_list(named=v.character("id")),
    **{"na.action": classed(v.integer(7), "omit")},
)


def test_attributes_of_ones_own() -> None:
    assert v.identical(to_r(to_python(ATTRIBUTED)), ATTRIBUTED)
    for how in CHANGES.values():
        found = to_r(how(to_python(ATTRIBUTED)))
        assert set(v.attributes(found)) == {"names", "class", "row.names", "origin", "removed"}
        assert v.attributes(found["named"]) == {}  # type: ignore[index]  # a list
        assert set(v.attributes(found["weighed"])) == {"label"}  # type: ignore[index]  # a list
    one_more = to_r(to_python(ATTRIBUTED).assign(more=1))
    assert set(v.attributes(one_more)) == set(v.attributes(ATTRIBUTED))


@given(st.lists(st.floats() | st.none(), max_size=5), st.lists(st.text(max_size=3) | st.none(), max_size=5))
def test_digests_are_those_of_elements(numbers: list[float | None], texts: list[str | None]) -> None:
    def both(first: list[float | None], second: list[str | None]) -> v.List:
        return v.list_(v.double(*first), v.character(*second))

    value = both(numbers, texts)
    assert digest(with_attributes(value, other=v.integer(1))) == digest(value)
    assert digest(both([*numbers, 1.0], texts)) != digest(value)
    assert digest(both(numbers, [*texts, None])) != digest(value)
    forwards, backwards = v.double(*numbers).values, v.double(*numbers[::-1]).values
    if not np.array_equal(forwards, backwards, equal_nan=True):
        assert digest(both(numbers[::-1], texts)) != digest(value)


@pytest.mark.needs_r
def test_r_finds_groups_keys_and_boxes_in_order(tmp_path: Any) -> None:
    for name in ("grouped", "rowwise", "keyed", "features"):
        for index, how in enumerate(CHANGES.values()):
            if name != "rowwise" or index != 2:
                rinterop.write_rds(changed(name, how), tmp_path / f"{name}{index}.rds")
    found = run_r(
        [
            "packages <- c('dplyr', 'data.table', 'sf')",
            "if (!all(sapply(packages, requireNamespace, quietly = TRUE))) { cat('absent'); quit() }",
            "suppressMessages(for (p in packages) library(p, character.only = TRUE))",
            f"setwd('{tmp_path}')",
            "for (i in 0:2) {",
            "  g <- readRDS(paste0('grouped', i, '.rds')); d <- readRDS(paste0('keyed', i, '.rds'))",
            "  s <- readRDS(paste0('features', i, '.rds'))",
            "  same <- group_by(ungroup(g), g)",
            "  cat(identical(summarise(g, s = sum(x)), summarise(same, s = sum(x))), '')",
            "  cat(identical(setkey(copy(d), id)[J(3L)]$v, d[J(3L), on = 'id']$v), '')",
            "  again <- st_sfc(lapply(st_geometry(s), identity), crs = 4326)",
            "  cat(isTRUE(all.equal(st_bbox(s), st_bbox(again))), '')",
            "  if (i == 2) next",
            "  r <- readRDS(paste0('rowwise', i, '.rds'))",
            "  cat(all(mutate(r, b = sum(a))$b %in% c(3, 12)), '')",
            "}",
        ]
    ).split()
    if found == ["absent"]:
        pytest.skip("R has no dplyr, data.table or sf")
    assert found == ["TRUE"] * 11
