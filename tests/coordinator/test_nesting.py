"""Loops in loops: which iterations there are, in which order, and how their values find their way up."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoredis.combine.accumulate import CombineSpec, ErrorHandling
from pydoredis.errors import ConfigError
from pydoredis.loops.iterators import icount
from pydoredis.loops.nesting import Loop, Nest, Plan
from tests.coordinator.loops import run


def loop(*positional: Any, spec: CombineSpec | None = None, **named: Any) -> Plan:
    return Plan((Loop(positional, named, spec or CombineSpec()),))


def calls(plan: Plan) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    return list(Nest(plan))


def test_variables_go_in_lock_step_and_the_shortest_ends() -> None:
    assert calls(loop("ab", itertools.count(), k=[1, 2, 3])) == [(("a", 0), {"k": 1}), (("b", 1), {"k": 2})]


def test_outer_variables_come_first() -> None:
    nested = loop("ab", i=[1, 2]).nest(loop([True], j=[3]))
    assert calls(nested) == [(("a", True), {"i": 1, "j": 3}), (("b", True), {"i": 2, "j": 3})]


def test_an_inner_variable_hides_an_outer_one() -> None:
    assert calls(loop(i=[1]).nest(loop(i=[2, 3]))) == [((), {"i": 2}), ((), {"i": 3})]


def test_an_inner_loop_may_depend_on_outer_variables() -> None:
    triangle = loop(i=range(3), unused="abc").nest(loop(j=lambda i: range(i)))
    assert [(named["i"], named["j"]) for _, named in calls(triangle)] == [(1, 0), (2, 0), (2, 1)]
    assert run(loop(range(3)).nest(loop(lambda i: range(i))), lambda i, j: (i, j)) == [
        [],
        [(1, 0)],
        [(2, 0), (2, 1)],
    ]


def test_a_source_may_want_all_variables_or_none() -> None:
    assert calls(loop(i=[1]).nest(loop(j=lambda **outer: outer))) == [((), {"i": 1, "j": "i"})]
    assert calls(loop(i=lambda: [4])) == [((), {"i": 4})]
    assert calls(loop([3]).nest(loop(j=range))) == [((3,), {"j": n}) for n in range(3)]


def test_when() -> None:
    pairs = loop(i=range(4)).nest(loop(j=range(4))).when(lambda i, j: i < j).when(lambda j: j != 2)
    assert [tuple(named.values()) for _, named in calls(pairs)] == [(0, 1), (0, 3), (1, 3), (2, 3)]
    assert run(pairs, lambda i, j: 10 * i + j) == [[1, 3], [13], [23], []]
    outer = loop(i=range(4)).when(lambda i: i % 2).nest(loop(j=range(2)))
    assert run(outer, lambda i, j: i + j) == [[1, 2], [3, 4]]


def test_one_dimensional_nesting_needs_no_names() -> None:
    assert run(loop([1, 2]).when(lambda x: x > 1), lambda x: x) == [2]


def test_an_iterator_in_an_inner_loop_is_an_error_once_it_is_used_up() -> None:
    numbers = loop(i=[1, 2]).nest(loop(j=iter("ab")))
    iterations = iter(Nest(numbers))
    assert next(iterations) == ((), {"i": 1, "j": "a"})
    assert next(iterations) == ((), {"i": 1, "j": "b"})
    with pytest.raises(ConfigError, match=r"^j = .*iterated over again"):
        next(iterations)


def test_an_endless_iterator_in_an_inner_loop_is_read_on() -> None:
    numbers = loop(i=[1, 2]).nest(loop(j="ab", k=itertools.count()))
    assert [named["k"] for _, named in calls(numbers)] == [0, 1, 2, 3]


def test_an_empty_iterator_in_an_inner_loop_is_no_error() -> None:
    assert run(loop(i=[1, 2]).nest(loop(j=iter(()))), lambda i, j: 0) == [[], []]


def test_inner_results_go_up_as_soon_as_they_are_complete() -> None:
    seen: list[Any] = []

    def note(accumulated: Any, value: Any) -> Any:
        seen.append(value)
        return value

    inner = loop(j=[1, 2])
    nest = Nest(loop(i="abc", spec=CombineSpec(note, init=None)).nest(inner))
    iterations = iter(nest)
    for _ in range(4):
        next(iterations)
    nest.add(2, "a2")
    nest.add(1, "a1")
    assert seen == [["a1", "a2"]]
    nest.add(4, "b2")
    nest.add(3, "b1")
    assert seen == [["a1", "a2"]], "the loop of b has not been seen to end"
    next(iterations)
    assert seen == [["a1", "a2"], ["b1", "b2"]]


def test_the_whole_is_complete_when_all_is_back() -> None:
    nest = Nest(loop([1, 2]))
    assert list(nest) == [((1,), {}), ((2,), {})]
    nest.add(1, "a")
    assert not nest.is_complete()
    with pytest.raises(ValueError, match="1 of 2"):
        nest.result()
    nest.skip(2)
    assert nest.is_complete()
    assert nest.result() == ["a"]


def test_values_that_nobody_waits_for_are_an_error() -> None:
    nest = Nest(loop([1, 2]))
    with pytest.raises(ValueError, match="iteration 1 was not given"):
        nest.add(1, "a")
    next(iter(nest))
    nest.add(1, "a")
    with pytest.raises(ValueError, match="iteration 1 was not given, or has come back"):
        nest.add(1, "a")


@pytest.mark.parametrize(
    ("outer", "inner", "stops"),
    [
        (None, None, True),
        ("remove", None, False),
        ("stop", "remove", True),
        (None, "remove", False),
        ("stop", "pass", False),  # the inner loop takes it for a value
    ],
)
def test_which_failures_end_the_nest(
    outer: ErrorHandling | None, inner: ErrorHandling | None, stops: bool
) -> None:
    nest = Nest(Plan((Loop(("ab",), errorhandling=outer), Loop(([1, 2],), errorhandling=inner))))
    list(nest)
    error = ValueError("oops")
    nest.add_failure(3, error)
    assert (nest.failure is not None) == stops
    if nest.failure:
        assert (nest.failure.number, nest.failure.error) == (3, error)


def test_sizes() -> None:
    assert loop(range(5), itertools.count(), icount()).size() == 5
    assert loop(i=range(5)).nest(loop(j="ab")).size() == 10
    assert loop(i=[]).nest(loop(j="ab")).size() == 0
    assert loop(icount()).size() is None
    assert loop(x for x in "ab").size() is None
    assert loop(iter([1, 2])).size() == 2
    assert loop(i=range(5)).nest(loop(j=iter([1, 2]))).size() is None
    assert loop(i=range(5)).nest(loop(j=lambda i: range(i))).size() is None
    assert loop(i=range(5)).when(lambda i: i > 2).size() is None


@pytest.mark.parametrize("variables", [{}, {"positional": (5,)}, {"named": {"n": None}}])
def test_impossible_loops(variables: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Loop(**variables)


def test_errors_of_sources_are_raised() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError("the file is gone")

    iterations = iter(Nest(loop(failing())))
    assert next(iterations) == ((1,), {})
    with pytest.raises(OSError, match="gone"):
        next(iterations)


def test_memory_does_not_grow_with_the_number_of_iterations() -> None:
    add_up = CombineSpec("+")
    nest = Nest(loop(i=icount(), spec=add_up).nest(loop(j=range(10), spec=add_up)))
    tracemalloc.start()
    try:
        for number, (_, named) in enumerate(itertools.islice(nest, 20_000), 1):
            nest.add(number, named["j"])
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 50_000


TREES = st.lists(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=3), max_size=4)


@given(TREES, st.randoms(use_true_random=False), st.booleans())
def test_a_nest_is_loops_in_loops(tree: list[list[list[int]]], shuffle: Any, all_at_once: bool) -> None:
    """Three loops, of which the inner ones depend on the outer ones, against the plain Python for it."""

    def show(name: str) -> CombineSpec:
        return CombineSpec(lambda *values: f"({' '.join(map(str, values))})", init=name)

    plan = (
        loop(a=tree, spec=show("A"))
        .nest(loop(b=lambda a: a, spec=show("B")))
        .nest(loop(c=lambda b: b, spec=show("C")))
    )
    plan = plan.when(lambda c: c != 5)

    def fold(name: str, values: list[Any]) -> str:
        for value in values:
            name = f"({name} {value})"
        return name

    expected = fold("A", [fold("B", [fold("C", [c for c in b if c != 5]) for b in a]) for a in tree])
    nest = Nest(plan)
    under_way: list[tuple[int, Any]] = []
    for number, (_, named) in enumerate(nest, 1):
        under_way.append((number, named["c"]))
        shuffle.shuffle(under_way)
        while under_way and not all_at_once and shuffle.random() < 0.5:
            nest.add(*under_way.pop())
    for number, value in under_way:
        nest.add(number, value)
    assert nest.result() == expected
