"""identical(): R says the same of every pair of a hundred values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rinterop
from rinterop import values as v
from rinterop.values import identical
from tests.rinterop.rscript import run_r

VALUES = Path(__file__).parent.parent / "data" / "identical" / "values.R"
FLAGS: dict[str, dict[str, bool]] = {
    "": {},
    ", num.eq = FALSE": {"num_eq": False},
    ", single.NA = FALSE": {"single_na": False},
    ", num.eq = FALSE, single.NA = FALSE": {"num_eq": False, "single_na": False},
    ", attrib.as.set = FALSE": {"attrib_as_set": False},
    ", ignore.environment = TRUE": {"ignore_environment": True},
    ", ignore.srcref = FALSE": {"ignore_srcref": False},
}


@pytest.fixture(scope="module", autouse=True)
def serializer() -> str:
    """Once is enough: what is tested here is the same with the compiled helper and without."""
    return "either"


@pytest.mark.needs_r
def test_every_pair(tmp_path: Path) -> None:
    file = tmp_path / "pairs.rds"
    program = [VALUES.read_text(), "answers <- list()"]
    program += [
        f"answers[[{i}]] <- sapply(values, function(x) sapply(values, function(y) identical(x, y{flags})))"
        for i, flags in enumerate(FLAGS, 1)
    ]
    run_r([*program, f"saveRDS(list(values, answers), '{file}')"])
    found = rinterop.read_rds(file)
    assert isinstance(found, v.List)
    values, answers = found
    assert isinstance(values, v.List)
    assert isinstance(answers, v.List)
    for flags, answer in zip(FLAGS, answers, strict=True):
        assert isinstance(answer, v.Logical)
        expected = answer.values.reshape(len(values), -1).astype(bool)
        ours = np.array([[identical(x, y, **FLAGS[flags]) for y in values] for x in values])
        wrong = [(values[i], values[j]) for i, j in np.argwhere(ours != expected).tolist()]
        assert wrong == [], f"identical(x, y{flags})"


def test_environments_are_compared_by_reference() -> None:
    environment = v.Environment()
    assert identical(v.list_(environment), v.list_(environment))
    assert not identical(v.list_(environment), v.list_(v.Environment()))
    one = v.Closure(v.NULL, v.double(1), environment)
    other = v.Closure(v.NULL, v.double(1), v.Environment())
    assert not identical(one, other)
    assert identical(one, other, ignore_environment=True)


def test_pointers_that_lead_back_to_themselves() -> None:
    def pointer() -> v.ExternalPointer:
        made = v.ExternalPointer()
        made.attributes = v.attributes_of(self=v.list_(made))
        return made

    assert identical(pointer(), pointer())


def test_depth_costs_nothing() -> None:
    def deep() -> rinterop.RValue:
        value: rinterop.RValue = v.double(1)
        for _ in range(15_000):
            value = v.list_(value)
        return value

    assert identical(deep(), deep())
    assert not identical(deep(), v.list_(deep()))
