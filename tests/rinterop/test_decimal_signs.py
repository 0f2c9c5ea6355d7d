"""Deferred strings of sessions in which numbers are written with another sign than a point."""

from __future__ import annotations

import pytest

import rinterop
from rinterop import DecodeError, RValue
from rinterop import values as v
from rinterop.serialize import outline, walk
from tests.rinterop.recordings import DATA
from tests.rinterop.rscript import run_r


def recording(name: str) -> RValue:
    return rinterop.loads((DATA / f"{name}.3x.bin").read_bytes())


def deferred(*attributes: v.Cell) -> v.Altrep:
    """A deferred string of 1.5 with these attributes of its state."""
    scipen = v.Integer(v.integer(0).values, attributes=v.PairList(attributes) if attributes else None)
    state = v.PairList((v.Cell(v.double(1.5)),), scipen)
    return v.Altrep(v.symbol("deferred_string"), v.symbol("base"), 16, state)


def test_what_r_wrote_is_what_it_printed() -> None:
    assert v.plain(recording("alt_deferred_outdec_int")) == v.character("1", "2", "3")
    assert v.plain(recording("alt_deferred_outdec_real")) == v.character(
        "1,5", "2", None, "1e-20", "NaN", "Inf", "12345,678"
    )
    shape = outline((DATA / "list_names_outdec.3x.bin").read_bytes())
    assert shape.children is not None
    assert shape.children[0].names == ("4", "5")


@pytest.mark.parametrize(
    "cells",
    [
        [v.Cell(v.character(","), v.symbol("OutDec"))] * 2,
        [v.Cell(v.character(","), v.symbol("outdec"))],
        [v.Cell(v.character(","))],
        [v.Cell(v.character(",", ";"), v.symbol("OutDec"))],
        [v.Cell(v.character(), v.symbol("OutDec"))],
        [v.Cell(v.character(None), v.symbol("OutDec"))],
        [v.Cell(v.character("," * 10), v.symbol("OutDec"))],
        [v.Cell(v.integer(1), v.symbol("OutDec"))],
        [v.Cell(v.character(","), v.symbol("OutDec"), gp=1)],
    ],
)
def test_nothing_else_may_stand_there(cells: list[v.Cell]) -> None:
    """R takes the sign for a string of one element, and copies it into a buffer for each point."""
    data = rinterop.dumps(deferred(*cells))
    for read in (rinterop.loads, walk, outline):
        with pytest.raises(DecodeError):
            read(data)


@pytest.mark.needs_r
@pytest.mark.parametrize("sign", [",", "·", "," * 9, ""])
def test_r_reads_signs(sign: str) -> None:
    value = deferred(v.Cell(v.character(sign), v.symbol("OutDec")))
    data = rinterop.dumps(value)
    walk(data)
    assert rinterop.loads(data) == value
    assert v.plain(value) == v.character(f"1{sign}5")
    said = run_r([f"cat(unserialize(as.raw(strtoi(c({', '.join(repr(f'{b:02x}') for b in data)}), 16L))))"])
    assert said == f"1{sign}5"
