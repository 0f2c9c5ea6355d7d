"""Generated values: they come back from every form; R finds them identical to what its own code builds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings

import rinterop
from rinterop import RValue
from rinterop import values as v
from rinterop.serialize import outline, walk
from rinterop.values import identical
from tests.rinterop.rscript import run_r
from tests.rinterop.strategies import ANY, BUILT, Built
from tests.rinterop.test_forms import FORMS


def expanded(value: RValue) -> bool:
    """Whether there is no compact vector in `value` (version 2 has none)."""
    return b"compact_intseq" not in rinterop.dumps(value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANY)
def test_round_trip_in_every_form(value: RValue) -> None:
    for form in FORMS:
        for version in (2, 3):
            data = rinterop.dumps(value, form=form, version=version)
            walk(data)
            again = rinterop.loads(data)
            if form == "ascii":
                continue  # it rounds doubles to 16 digits, the largest to infinity
            assert rinterop.dumps(again, form=form, version=version) == data
            if version == 3 or expanded(value):
                assert again == value
    assert outline(rinterop.dumps(value)).end == len(rinterop.dumps(value))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BUILT)
def test_identical_after_a_round_trip(built: Built) -> None:
    for version in (2, 3):
        assert identical(rinterop.loads(rinterop.dumps(built.value, version=version)), built.value)


def generated(count: int, chosen_seed: int) -> list[Built]:
    """The same values every time."""
    found: list[Built] = []

    @seed(chosen_seed)
    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(BUILT)
    def collect(built: Built) -> None:
        found.append(built)

    collect()
    return found[:count]


def check_with_r(folder: Path, built: list[Built], *, form: str, version: int) -> None:
    """R reads what we wrote and compares with what it builds; we read what R wrote and compare."""
    ours, theirs = folder / "ours.rds", folder / "theirs.rds"
    rinterop.write_rds(v.list_(*(one.value for one in built)), ours, form=form, version=version)  # type: ignore[arg-type]
    program = [
        f"ours <- readRDS('{ours}'); theirs <- vector('list', {len(built)})",
        *(f"theirs[{i}] <- list({one.code})" for i, one in enumerate(built, 1)),
        "same <- mapply(function(x, y) identical(x, y, num.eq = FALSE, attrib.as.set = FALSE), ours, theirs)",
        "cat(which(!same))",
        f"saveRDS(theirs, '{theirs}', version = {version})",
    ]
    wrong = [int(index) - 1 for index in run_r(program).split()]
    assert [(built[i].value, built[i].code) for i in wrong] == []
    back = rinterop.read_rds(theirs)
    assert isinstance(back, v.List)
    for one, value in zip(built, back, strict=True):
        assert identical(value, one.value, num_eq=False, attrib_as_set=False), one.code


@pytest.mark.needs_r
def test_r_agrees(tmp_path: Path) -> None:
    check_with_r(tmp_path, generated(200, 1), form="xdr", version=3)


@pytest.mark.needs_r
@pytest.mark.slow
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("form", ["xdr", "native", "asciihex"])
def test_r_agrees_on_many(tmp_path: Path, form: str, version: int) -> None:
    check_with_r(
        tmp_path,
        generated(600, random.Random(f"{form}{version}").getrandbits(32)),
        form=form,
        version=version,
    )


@pytest.mark.needs_r
def test_r_writes_back_environments_of_ours(tmp_path: Path) -> None:
    """Environments have no identity between processes: R writes back what it read, and that is compared."""
    values: list[RValue] = []

    @seed(2)
    @settings(max_examples=150, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(ANY)
    def collect(value: RValue) -> None:
        values.append(value)

    collect()
    ours, theirs = tmp_path / "ours.rds", tmp_path / "theirs.rds"
    rinterop.write_rds(v.list_(*values), ours)
    run_r([f"saveRDS(readRDS('{ours}'), '{theirs}')"])
    back = rinterop.read_rds(theirs)
    assert isinstance(back, v.List)
    for value, again in zip(values, back, strict=True):
        assert again == value
