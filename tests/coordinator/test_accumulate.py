"""The accumulator: which values go into which call of the combine function, and what becomes of failures.

That these are R's rules is tested in test_against_foreach.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoredis.combine import functions
from pydoredis.combine.accumulate import Accumulator, CombineSpec, ErrorHandling, Failure
from pydoredis.errors import ConfigError


def paste(*values: Any) -> str:
    """A combine function that shows how it was called."""
    return f"({' '.join(map(str, values))})"


def accumulated(spec: CombineSpec, values: list[Any], errorhandling: ErrorHandling = "stop") -> Any:
    """What becomes of values that arrive in order; exceptions among them are failures."""
    accumulator = Accumulator(spec, errorhandling)
    for number, value in enumerate(values, 1):
        if isinstance(value, Exception):
            accumulator.add_failure(number, value)
        else:
            accumulator.add(number, value)
    return accumulator.finish(len(values))


def test_without_combine_there_is_a_list_with_a_place_for_each() -> None:
    assert accumulated(CombineSpec(), [1, None, [2]]) == [1, None, [2]]
    assert accumulated(CombineSpec(), []) == []


def test_no_iterations() -> None:
    assert accumulated(CombineSpec(paste), []) is None
    assert accumulated(CombineSpec(paste, init=7), []) == 7
    assert accumulated(CombineSpec("c"), []) is None
    assert accumulated(CombineSpec("extend"), []) == []
    assert accumulated(CombineSpec("update"), []) == {}
    assert accumulated(CombineSpec(paste, final=lambda value: [value]), []) == [None]


def test_groups() -> None:
    assert accumulated(CombineSpec(paste), [1]) == 1
    assert accumulated(CombineSpec(paste), [1, 2, 3]) == "((1 2) 3)"
    assert accumulated(CombineSpec(paste, init=0), [1, 2]) == "((0 1) 2)"
    assert accumulated(CombineSpec(paste, maxcombine=3), [1, 2, 3, 4, 5, 6]) == "(((1 2 3) 4 5) 6)"
    assert accumulated(CombineSpec(paste, init=0, maxcombine=3), [1, 2, 3]) == "((0 1 2) 3)"
    many = accumulated(CombineSpec(paste, multicombine=True), list(range(200)))
    first = paste(*range(100))
    assert many == paste(paste(first, *range(100, 199)), 199)


def test_a_lone_value_is_put_into_shape_by_names_that_concatenate() -> None:
    assert accumulated(CombineSpec("c"), [5]).tolist() == [5]
    assert accumulated(CombineSpec("rbind"), [[5, 6]]).shape == (1, 2)
    assert accumulated(CombineSpec("+"), [5]) == 5


def test_failures() -> None:
    oops = ValueError("oops")
    values = [oops, 1, 2, oops, 3]
    # A failure takes a place in its group.
    assert accumulated(CombineSpec(paste, maxcombine=3), values, "remove") == "((1 2) 3)"
    assert accumulated(CombineSpec(paste), values, "remove") == "((1 2) 3)"
    assert accumulated(CombineSpec(paste), values, "pass") == "((((oops 1) 2) oops) 3)"
    assert accumulated(CombineSpec(), values, "pass") == values
    assert accumulated(CombineSpec(), [oops, oops], "remove") == []
    assert accumulated(CombineSpec("c"), [oops], "remove") is None


def test_the_first_failure_to_arrive_is_remembered() -> None:
    first, second = ValueError("first"), ValueError("second")
    accumulator = Accumulator(CombineSpec(), "stop")
    accumulator.add_failure(3, first)
    accumulator.add_failure(1, second)
    assert accumulator.failure == Failure(first, 3)
    passing = Accumulator(CombineSpec(), "pass")
    passing.add_failure(1, first)
    assert passing.failure is None


def test_skipped_iterations_are_no_failures() -> None:
    accumulator = Accumulator(CombineSpec(), "stop")
    accumulator.skip(1)
    accumulator.add(2, "b")
    assert accumulator.finish(2) == ["b"]
    assert accumulator.failure is None


def test_errors_of_combine_and_final_are_raised() -> None:
    accumulator = Accumulator(CombineSpec("+"))
    accumulator.add(1, 1)
    with pytest.raises(TypeError):
        accumulator.add(2, "b")
    with pytest.raises(ZeroDivisionError):
        accumulated(CombineSpec("+", final=lambda value: value / 0), [1])


def test_combine_may_change_its_first_argument() -> None:
    def push(accumulated: list[Any], value: Any) -> list[Any]:
        accumulated.append(value)
        return accumulated

    spec = CombineSpec(push, init=[])
    assert accumulated(spec, [1, 2]) == [1, 2]
    assert accumulated(spec, [3]) == [3]


def test_an_init_that_cannot_be_copied_is_used_as_it_is() -> None:
    numbers = iter([0])
    lock = (value for value in numbers)
    assert accumulated(CombineSpec(lambda a, b: a, init=lock), [1]) is lock


def test_what_has_not_come_is_told() -> None:
    accumulator = Accumulator(CombineSpec())
    accumulator.add(2, "b")
    with pytest.raises(ValueError, match="1 of 2"):
        accumulator.finish(2)
    for number in (2, 2):
        with pytest.raises(ValueError, match="came twice"):
            accumulator.add(number, "b")
    accumulator = Accumulator(CombineSpec())
    accumulator.add(1, "a")
    with pytest.raises(ValueError, match="came twice"):
        accumulator.add(1, "a")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"init": 3}, "init = 3: must be given together with combine"),
        ({"combine": "+", "maxcombine": 1}, "maxcombine = 1: must be at least 2"),
        ({"final": 3}, "final = 3: must be a function"),
        ({"combine": "plus"}, "combine = 'plus'"),
    ],
)
def test_impossible_specs(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CombineSpec(**keywords)


def test_impossible_errorhandling() -> None:
    with pytest.raises(ConfigError, match="one of stop, remove, pass"):
        Accumulator(CombineSpec(), "ignore")  # type: ignore[arg-type]


ARRIVALS = st.lists(st.one_of(st.integers(0, 9), st.just(ValueError("x"))), max_size=12)
HANDLING: st.SearchStrategy[ErrorHandling] = st.sampled_from(["remove", "pass"])


@given(ARRIVALS, st.randoms(use_true_random=False), st.integers(2, 5), HANDLING)
def test_in_order_the_order_of_arrival_does_not_matter(
    values: list[Any], shuffle: Any, maxcombine: int, errorhandling: ErrorHandling
) -> None:
    spec = CombineSpec(paste, maxcombine=maxcombine)
    accumulator = Accumulator(spec, errorhandling)
    arrivals = list(enumerate(values, 1))
    shuffle.shuffle(arrivals)
    for number, value in arrivals:
        if isinstance(value, Exception):
            accumulator.add_failure(number, value)
        else:
            accumulator.add(number, value)
    assert accumulator.finish(len(values)) == accumulated(spec, values, errorhandling)


@given(ARRIVALS, st.randoms(use_true_random=False), st.integers(2, 5))
def test_out_of_order_values_are_combined_as_they_arrive(
    values: list[Any], shuffle: Any, maxcombine: int
) -> None:
    arrivals = list(enumerate(values, 1))
    shuffle.shuffle(arrivals)
    accumulator = Accumulator(CombineSpec(paste, inorder=False, maxcombine=maxcombine), "pass")
    for number, value in arrivals:
        accumulator.add(number, value)
    spec = CombineSpec(paste, maxcombine=maxcombine)
    assert accumulator.finish(len(values)) == accumulated(spec, [value for _, value in arrivals], "pass")


@pytest.mark.parametrize("name", ["c", "list", "extend", "rbind"])
def test_a_name_that_concatenates_copies_each_value_a_few_times_at_most(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = 0
    plain = functions.NAMED[name]

    def counting(*values: Any) -> Any:
        nonlocal copied
        result = plain.call(*values)
        copied += len(result)
        return result

    counted = functions.Combine(name, counting, plain.multicombine, plain.concatenates, plain.start)
    monkeypatch.setitem(functions.NAMED, name, counted)
    number = 20_000
    values: list[Any] = [[n] for n in range(number)] if name in ("extend", "rbind") else list(range(number))
    result = accumulated(CombineSpec(name), values)
    assert len(result) == number
    assert np.ravel(result).tolist() == list(range(number))
    assert copied <= 3 * number


@pytest.mark.parametrize("inorder", [True, False])
def test_a_fold_keeps_no_values(inorder: bool) -> None:
    accumulator = Accumulator(CombineSpec("+", inorder=inorder))
    tracemalloc.start()
    try:
        for number in range(1, 20_001):
            accumulator.add(number, float(number))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert accumulator.finish(20_000) == sum(range(20_001))
    assert peak_bytes < 20_000
