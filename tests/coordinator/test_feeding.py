"""Iterations taken from users' iterators, in memory or in a thread, however these behave."""

from __future__ import annotations

import contextvars
import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydoredis.coordinator.feeding import Feed, InlineFeed, ThreadFeed
from pydoredis.loops.iterators import chunks, icount, is_at_hand, rows
from pydoredis.loops.nesting import Loop, Nest, Plan
from pydoredis.protocol.codec import Arguments
from tests.conftest import wait_until


def as_it_is(variables: Arguments) -> Arguments:
    return variables


def plan(**sources: Any) -> Plan:
    return Plan((Loop(named=sources),))


class Source:
    """Gives what a test puts in; ends with None."""

    def __init__(self) -> None:
        self.items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.taken = 0
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        try:
            while (item := self.items.get()) is not None:
                self.taken += 1
                yield item
        finally:
            self.closed.set()


def threaded(source: Any, wake: Callable[[], None] = lambda: None) -> ThreadFeed:
    feed = ThreadFeed(Nest(plan(x=source)), as_it_is)
    feed.wake = wake
    return feed


def values(arguments: list[Arguments]) -> list[Any]:
    return [named["x"] for _, named in arguments]


@settings(max_examples=200)
@given(
    outer=st.integers(0, 4),
    inner=st.lists(st.integers(0, 5), min_size=4, max_size=4),
    takes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1),
    in_thread=st.booleans(),
)
def test_all_iterations_come_once_and_in_order(
    outer: int, inner: list[int], takes: list[tuple[int, int]], in_thread: bool
) -> None:
    both = Plan((Loop(named={"i": range(outer)}), Loop(named={"j": lambda i: range(inner[i])})))
    nest = Nest(both)
    woken = threading.Event()
    feed: Feed = ThreadFeed(nest, as_it_is) if in_thread else InlineFeed(nest, as_it_is)
    feed.wake = woken.set
    got: list[Arguments] = []
    for size, least in itertools.cycle(takes):
        feed.look_ahead(size + least)
        least = min(least, size)
        taken = feed.take(size, least)
        got += taken
        assert len(taken) <= size
        if feed.exhausted:
            break
        if not taken:
            assert woken.wait(10)
            woken.clear()
    assert got == list(Nest(both))
    for number in range(1, len(got) + 1):
        nest.add(number, number)
    assert nest.is_complete()


class TestInAThread:
    def test_a_source_that_gives_nothing_holds_up_nobody(self) -> None:
        source, woken = Source(), threading.Event()
        feed = threaded(source, woken.set)
        feed.look_ahead(10)
        assert feed.take(2, 2) == []
        source.items.put(1)
        assert not woken.wait(0.05)  # one is not enough
        source.items.put(2)
        assert woken.wait(10)
        assert values(feed.take(2, 2)) == [1, 2]
        assert not feed.exhausted
        assert feed.take(1, 1) == []
        woken.clear()
        source.items.put(None)
        assert woken.wait(10)
        assert feed.take(1, 1) == []
        assert feed.exhausted

    def test_what_is_left_at_the_end_is_given_although_it_is_little(self) -> None:
        source, woken = Source(), threading.Event()
        feed = threaded(source, woken.set)
        feed.look_ahead(10)
        assert feed.take(5, 5) == []
        for item in (1, 2, None):
            source.items.put(item)
        assert woken.wait(10)
        assert values(feed.take(5, 5)) == [1, 2]
        assert feed.exhausted

    def test_nothing_is_read_before_it_is_wanted_and_no_more_than_that(self) -> None:
        source = Source()
        for n in range(100):
            source.items.put(n)
        feed = threaded(source)
        assert source.taken == 0
        feed.look_ahead(7)
        wait_until(lambda: source.taken == 7, "it reads ahead")
        assert values(feed.take(3, 3)) == [0, 1, 2]
        feed.look_ahead(0)
        assert source.taken <= 10
        assert not feed.exhausted

    def test_it_stays_ahead_by_no_more_however_often_one_takes(self) -> None:
        source = Source()
        for n in range(200):
            source.items.put(n)
        feed = threaded(source)
        feed.look_ahead(7)
        for n in range(100):
            wait_until(lambda: len(feed._read) == 7, "it has read on")
            assert source.taken == n + 7
            assert values(feed.take(1, 1)) == [n]

    def test_what_came_before_an_error_comes_before_it(self) -> None:
        def failing() -> Iterator[int]:
            yield 1
            raise LookupError("no more")

        feed = threaded(failing())
        feed.look_ahead(10)
        wait_until(lambda: not feed._thread.is_alive(), "the source has failed")
        assert values(feed.take(5, 5)) == [1]
        assert not feed.exhausted
        with pytest.raises(LookupError, match="no more"):
            feed.take(5, 5)

    def test_an_iterator_that_is_not_read_to_its_end_is_closed(self) -> None:
        source = Source()
        feed = threaded(source)
        feed.look_ahead(10)
        source.items.put(1)
        wait_until(lambda: source.taken == 1, "it reads")
        feed.close()
        source.items.put(2)  # what it waited for
        assert source.closed.wait(10)

    def test_sources_see_the_programs_context(self) -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
        variable.set("here")

        def source() -> Iterator[str]:
            yield variable.get()

        woken = threading.Event()
        feed = threaded(source(), woken.set)
        feed.look_ahead(1)
        if not (taken := feed.take(1, 1)):
            assert woken.wait(10)
            taken = feed.take(1, 1)
        assert values(taken) == ["here"]


class Careful(list[int]):
    """May do anything when it is iterated over."""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ([1, 2], True),
        (range(5), True),
        ({"a": 1}.items(), True),
        (icount(3), True),
        (icount(), True),
        (itertools.repeat(1), True),
        (chunks([1, 2, 3], 2), True),
        (rows([[1, 2], [3, 4]]), True),
        ((n for n in range(3)), False),
        (map(abs, [1]), False),
        (chunks(iter([1, 2, 3]), 2), False),
        (Careful([1]), False),
        (open, False),
    ],
)
def test_what_is_in_memory_is_known(source: Any, expected: bool) -> None:
    assert is_at_hand(source) is expected


def test_conditions_and_functions_are_users_code() -> None:
    assert plan(x=[1]).is_at_hand()
    assert not plan(x=[1]).when(lambda x: True).is_at_hand()
    assert not plan(x=lambda: [1]).is_at_hand()
    assert not plan(x=[1]).nest(plan(y=(n for n in [1]))).is_at_hand()
