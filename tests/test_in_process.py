"""Unit tests without a pool: loops in this process come to what a pool comes to."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import numpy as np
import pytest

import pydoredis as dr
from pydoredis import testing
from pydoredis.queue import Queue
from pydoredis.registered import registered_place, stand_in
from pydoredis.server import find_server
from pydoredis.testing.private_pool import registered
from tests.conftest import missing_r_packages
from tests.coordinator.programs import PROGRAMS
from tests.redis_process import NO_SERVER

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Mutable:
    """A value that a body may change."""

    def __init__(self) -> None:
        self.seen: list[int] = []


class UnsendableError(Exception):
    """Holds what cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("has a lock")
        self.lock = threading.Lock()


def odd_fails(x: int) -> int:
    if x % 2:
        raise ValueError(f"{x} is odd")
    return x


def change(thing: Mutable, x: int) -> list[int]:
    thing.seen.append(x)
    return thing.seen


def unsendable(x: int) -> int:
    raise UnsendableError


def draw(_: int) -> list[float]:
    return [float(dr.rng().random()), random.random(), float(np.random.rand())]


def prepare() -> None:
    global prepared
    prepared = 5


prepared = 0

shared = Mutable()

LOOPS: dict[str, Callable[[Queue], Any]] = {
    "values": lambda q: q.foreach(x=range(10)).dopar(lambda x: x * x),
    "combine": lambda q: q.foreach(x=range(10), combine="+", init=5, final=str).dopar(odd_fails_not),
    "generator": lambda q: q.foreach(x=(n for n in range(5))).dopar(str),
    "auto": lambda q: q.foreach(x=range(200), chunk_size="auto", combine="+").dopar(lambda x: x),
    "stop": lambda q: q.foreach(x=[0, 2, 3]).dopar(odd_fails),
    "remove": lambda q: q.foreach(x=range(6), errorhandling="remove").dopar(odd_fails),
    "pass": lambda q: q.foreach(x=range(6), errorhandling="pass").dopar(odd_fails),
    "exit": lambda q: q.foreach([3]).dopar(sys.exit),
    "arguments are copies": lambda q: q.foreach(x=range(3)).dopar(lambda x: change(shared, x)),
    "one task, one copy": lambda q: q.foreach(
        [shared] * 4, x=range(4), chunk_size=2, combine="list", multicombine=True
    ).dopar(change),
    "body cannot be sent": lambda q: q.foreach(x=[1]).dopar(with_a_lock()),
    "argument cannot be sent": lambda q: q.foreach(x=[1, threading.Lock()]).dopar(id),
    "value cannot be sent": lambda q: q.foreach(x=[1, 2]).dopar(lambda x: threading.Lock()),
    "exception cannot be sent": lambda q: q.foreach(x=[1]).dopar(unsendable),
    "argument cannot be read": lambda q: q.foreach([Unreadable()]).dopar(id),
    "body that does not fit": lambda q: q.foreach(y=[1]).dopar(odd_fails),
    "module that is missing": lambda q: q.foreach(x=[1], packages=["no_such_module"]).dopar(abs_of),
    "export": lambda q: q.foreach(x=[1, 2], export={"prepared": 7}).dopar(lambda x: prepared * x),
    "worker_init": lambda q: q.foreach(x=[1], worker_init=lambda: 1 // 0).dopar(abs_of),
    "reduce": lambda q: q.foreach(x=range(10), chunk_size=4, reduce=sum).dopar(lambda x: x),
    "nested": lambda q: (
        q.foreach(i=range(3), combine="c", final=list)
        .nest(dr.foreach(j=range(3), combine="+").when(lambda i, j: i != j))
        .dopar(lambda i, j: 10 * i + j)
    ),
    "seed": lambda q: q.foreach(range(3), seed=11).dopar(draw),
    "stream": lambda q: list(q.foreach(x=range(5)).stream(lambda x: x + 1)),
    "job": lambda q: [sorted(q.foreach(x=range(5)).submit(abs_of).results())],
    "one call": lambda q: asyncio.run(q.arun(pow, 2, 10)),
    "adopar": lambda q: asyncio.run(q.foreach(x=range(5)).adopar(abs_of)),
    "an option": lambda q: q.foreach(x=[1], chunk_size=0),
    "values in redis": lambda q: (
        dr.redis_set("k", [1.5]),  # type: ignore[func-returns-value]
        q.foreach([1]).dopar(lambda _: dr.redis_get("k")),
        dr.redis_delete("k"),
    ),
}


def with_a_lock() -> Callable[[int], Any]:
    lock = threading.Lock()
    return lambda x: lock


def odd_fails_not(x: int) -> int:
    return x


def abs_of(x: int) -> int:
    return abs(x)


class Unreadable:
    """Can be pickled, and not be made again."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


def come_to(loop: Callable[[Queue], Any], queue: Queue) -> Any:
    """The value, or what was raised, in a form that can be compared."""
    try:
        return described(loop(queue))
    except Exception as error:
        return described(error)


def described(value: Any) -> Any:
    if isinstance(value, BaseException):
        text = str(value).replace(f"on {Queue.__name__}", "")
        cause = value.__cause__
        return type(value), text, getattr(value, "iterations", None), described(cause) if cause else None
    return [described(one) for one in value] if isinstance(value, (list, tuple)) else value


@pytest.fixture(scope="module")
def pool() -> Iterator[Queue]:
    if find_server() is None:
        pytest.skip(NO_SERVER)
    with testing.pool(1) as queue:
        yield queue


@pytest.fixture
def queue() -> Iterator[Queue]:
    with testing.in_process() as made:
        yield made


@pytest.mark.parametrize("name", LOOPS)
def test_as_on_a_pool(pool: Queue, name: str) -> None:
    shared.seen.clear()
    before = registered_place()
    dr.set_export(None)
    with registered(pool):
        expected = come_to(LOOPS[name], pool)
    with testing.in_process() as queue:
        assert come_to(LOOPS[name], queue) == expected
    assert shared.seen == [], "nothing of ours was changed"
    assert registered_place() is before
    assert stand_in() is None


@pytest.mark.needs_r
@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_r_bodies(number: int, queue: Queue) -> None:
    """As `do`, which is compared with R itself."""
    program = PROGRAMS[number]
    loop, again = program.python(dr.foreach), program.python(dr.foreach)
    body = dr.rexpr(program.body)
    here, there = come_to(lambda _: again.do(body), queue), come_to(lambda _: loop.dopar(body), queue)
    if isinstance(here, tuple):  # an error: a pool's has a job's ID
        assert here[:3] == there[:3]
    else:
        np.testing.assert_equal(there, here)


@pytest.mark.needs_r
def test_r_bodies_share_values(queue: Queue) -> None:
    assert missing_r_packages(("stats",)) == ()
    dr.redis_set("k", 2.5)
    body = dr.rexpr("{ redisSet('made', x); redisGet('k') * x }")
    assert dr.foreach(x=[2.0], combine="c").dopar(body) == [5.0]
    assert dr.redis_get("made") == 2.0
    assert dr.redis_get("none", default="?") == "?"


class TestWhatUsersWrite:
    def test_programs_as_they_are(self, queue: Queue) -> None:
        with dr.local(4, chunk_size=2) as local:
            assert dr.foreach(x=range(3)).dopar(abs_of) == [0, 1, 2]
            with local.start_local_workers(2) as workers, dr.start_local_workers(1):
                assert len(workers) == 2
                assert workers.pids == []
            assert len(workers) == 0
        registered = dr.register("OTHER", url="redis://nobody.invalid:1")
        assert registered.name == "OTHER"
        job = dr.foreach(x=range(3), combine="+").submit(abs_of)
        assert (job.status, job.done, job.total, job.result(0)) == ("done", 3, 3, 3)
        job.cancel()
        assert job.result() == 3
        with pytest.raises(dr.ConfigError, match="number of workers"):
            queue.start_local_workers(0)
        with pytest.raises(dr.ConfigError, match="pydoredis_queue"):
            queue.jobs()

    def test_a_loop_that_needs_a_queue(self) -> None:
        with testing.in_process():
            inside = dr.foreach(x=[1])
        with pytest.raises(dr.ConfigError, match="registered first"):
            inside.dopar(abs_of)

    def test_a_stream_runs_as_far_as_it_is_asked(self, queue: Queue) -> None:
        """The source hears of the values before it."""
        heard: list[int] = []

        def source() -> Iterator[int]:
            yield 1
            while True:
                yield heard[-1] * 2

        for number, value in queue.foreach(x=source()).stream(abs_of):
            heard.append(value)
            if number == 4:
                break
        assert heard == [1, 2, 4, 8]

    def test_streams_in_an_event_loop(self, queue: Queue) -> None:
        async def main() -> list[Any]:
            job = await queue.foreach(x=range(3)).asubmit(abs_of)
            assert [item async for item in job.aresults()] == [(1, 0), (2, 1), (3, 2)]
            await job.acancel()
            async with contextlib.aclosing(queue.foreach(x=dr.icount()).astream(abs_of)) as items:
                first = [await anext(items) for _ in range(3)]
            with pytest.raises(dr.TaskError, match="1 is odd"):
                [item async for item in queue.foreach(x=range(3)).astream(odd_fails)]
            return [first, await job]

        assert asyncio.run(main()) == [[(1, 1), (2, 2), (3, 3)], [0, 1, 2]]
        assert not [one for one in threading.enumerate() if one.name.startswith("job")]

    def test_ctrl_c_ends_the_test_and_not_an_iteration(self, queue: Queue) -> None:
        def interrupt(x: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            queue.foreach(x=[1], errorhandling="pass").dopar(interrupt)

    def test_a_loop_in_a_body(self, queue: Queue) -> None:
        def outer(x: int) -> int:
            return sum(dr.foreach(x=range(x)).dopar(abs_of))

        assert queue.foreach(x=[3, 4]).dopar(outer) == [3, 6]

    def test_random_numbers_of_the_program_are_left_alone(self, queue: Queue) -> None:
        random.seed(3)
        expected = random.random()
        random.seed(3)
        queue.foreach(range(3)).dopar(draw)
        assert random.random() == expected

    def test_the_time_of_a_loop(self, queue: Queue) -> None:
        now = iter(range(0, 1000, 5))

        def body(x: int) -> int:
            return x

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pydoredis.testing.carrier.time.monotonic", lambda: next(now))
            with pytest.raises(dr.JobTimeout, match="of 100 iterations are done"):
                queue.foreach(x=range(100), timeout=30).dopar(body)

    def test_blocks_within_blocks(self) -> None:
        with testing.in_process("A") as outer:
            dr.redis_set("k", 1)
            with testing.in_process("B"):
                assert dr.redis_get("k") is None
            assert dr.redis_get("k") == 1
            assert registered_place() is outer.place
