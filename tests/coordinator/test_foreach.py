"""Python loops on real workers, as a user writes them."""

from __future__ import annotations

import functools
import itertools
import math
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import cloudpickle
import numpy as np
import pytest
import redis

from pydoredis.errors import ConfigError, JobCancelled, LocalProtocolError, TaskError, TaskTimeout
from pydoredis.iteration.streams import rng
from pydoredis.loops.iterators import icount
from pydoredis.loops.options import options, set_chunk_size
from pydoredis.queue import Queue
from tests.conftest import wait_until

# Workers cannot import tests: what this module defines travels by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.usefixtures("clean")


def square(x: float) -> float:
    return x * x


class TestValues:
    def test_a_list_in_order(self, queue: Queue) -> None:
        assert queue.foreach(x=range(20)).dopar(lambda x: x * x) == [x * x for x in range(20)]

    def test_positional_and_named(self, queue: Queue) -> None:
        loop = queue.foreach([1, 2, 3], [10, 20, 30], z=itertools.count(100))
        assert loop.dopar(lambda a, b, z: a + b + z) == [111, 123, 135]

    def test_a_body_without_arguments(self, queue: Queue) -> None:
        assert queue.foreach(icount(3), combine="+").dopar(lambda: 1) == 3

    def test_combine_init_final(self, queue: Queue) -> None:
        loop = queue.foreach(x=range(10), combine="+", init=100, final=float)
        assert loop.dopar(square) == 385.0

    def test_no_iterations(self, queue: Queue) -> None:
        assert queue.foreach(x=[]).dopar(square) == []
        assert queue.foreach(x=[], combine="+", init=5).dopar(square) == 5

    def test_numpy_values_and_a_closure(self, queue: Queue) -> None:
        matrix = np.arange(6.0).reshape(2, 3)
        rows = queue.foreach(k=range(3), combine="rbind").dopar(lambda k: matrix[:, k])
        np.testing.assert_array_equal(rows, matrix.T)

    def test_partials_methods_and_builtins(self, queue: Queue) -> None:
        assert queue.foreach([1, 4, 9]).dopar(math.sqrt) == [1, 2, 3]
        assert queue.foreach(["a", "b"]).dopar(str.upper) == ["A", "B"]
        assert queue.foreach([1, 2]).dopar(functools.partial(pow, 2)) == [2, 4]

    def test_a_class_of_this_program_there_and_back(self, queue: Queue) -> None:
        class Point:
            def __init__(self, x: int) -> None:
                self.x = x

        points = queue.foreach(p=[Point(1), Point(2)]).dopar(lambda p: Point(p.x + 1))
        assert [p.x for p in points] == [2, 3]
        assert isinstance(points[0], Point)

    def test_nested_with_a_condition(self, queue: Queue) -> None:
        inner = queue.foreach(j=range(4), combine="+").when(lambda i, j: j != i)
        assert queue.foreach(i=range(3)).nest(inner).dopar(lambda i, j: 10 * i + j) == [6, 35, 64]

    @pytest.mark.parametrize("chunk_size", [1, 3, 100, "auto"])
    def test_chunk_sizes(self, queue: Queue, chunk_size: Any) -> None:
        loop = queue.foreach(x=range(250), combine="c", chunk_size=chunk_size)
        np.testing.assert_array_equal(loop.dopar(square), np.arange(250) ** 2)

    def test_a_generator_that_never_ends_is_read_lazily(self, queue: Queue) -> None:
        taken = []

        def endless() -> Iterator[int]:
            for n in itertools.count():
                taken.append(n)
                yield n

        stream = queue.foreach(x=endless()).stream(square)
        assert list(itertools.islice(stream, 50)) == [(n + 1, n * n) for n in range(50)]
        stream.close()  # type: ignore[attr-defined]
        assert len(taken) < 10_000

    def test_reduce_on_the_worker(self, queue: Queue) -> None:
        loop = queue.foreach(x=range(100), combine="+", chunk_size=7, reduce=sum)
        assert loop.dopar(square) == sum(x * x for x in range(100))

    def test_do_gives_the_same(self, queue: Queue) -> None:
        loop = queue.foreach(x=range(30), combine="c", seed=7)
        np.testing.assert_array_equal(loop.do(lambda x: rng().normal()), loop.dopar(lambda x: rng().normal()))


class TestErrors:
    def test_stop_raises_with_the_workers_traceback(self, queue: Queue) -> None:
        def divide(x: int) -> float:
            return 1 / (x - 2)

        with pytest.raises(TaskError, match='task 3 failed - "ZeroDivisionError') as caught:
            queue.foreach(x=range(5)).dopar(divide)
        assert caught.value.iterations == (3,)
        cause = caught.value.__cause__
        assert isinstance(cause, ZeroDivisionError)
        assert "in divide" in str(cause.__cause__)

    def test_remove_and_pass(self, queue: Queue) -> None:
        body = lambda x: 6 // x  # noqa: E731
        assert queue.foreach(x=[1, 0, 2], errorhandling="remove").dopar(body) == [6, 3]
        passed = queue.foreach(x=[1, 0, 2], errorhandling="pass").dopar(body)
        assert isinstance(passed[1], ZeroDivisionError)

    def test_combine_errors_are_raised(self, queue: Queue) -> None:
        with pytest.raises(TypeError):
            queue.foreach(x=[1, "a"], combine="+").dopar(lambda x: x)

    def test_a_body_that_does_not_fit_the_loop(self, queue: Queue) -> None:
        with pytest.raises(
            LocalProtocolError, match=r"square.*cannot be called with the loop's variables \(y\)"
        ):
            queue.foreach(y=range(3)).dopar(square)

    def test_a_body_that_cannot_be_sent(self, queue: Queue) -> None:
        lock = threading.Lock()
        with pytest.raises(LocalProtocolError, match="worker_init"):
            queue.foreach(x=range(3)).dopar(lambda x: lock)

    def test_a_value_that_cannot_be_sent(self, queue: Queue) -> None:
        with pytest.raises(TaskError, match="cannot be sent"):
            queue.foreach(x=range(3)).dopar(lambda x: threading.Lock())

    def test_a_module_that_is_not_there(self, queue: Queue) -> None:
        with pytest.raises(TaskError, match=r"module no_such_module_xyz, which worker .* cannot import"):
            queue.foreach(x=range(2), packages=["no_such_module_xyz"]).dopar(square)

    def test_unknown_options(self, queue: Queue) -> None:
        with pytest.raises(ConfigError, match="chunk_size"):
            queue.foreach(x=range(3), chunk_size=0)


class TestOptions:
    def test_precedence(self, queue: Queue) -> None:
        from pydoredis.loops.options import resolve

        set_chunk_size(2)
        try:
            assert resolve().chunk_size == 2
            with options(chunk_size=3):
                assert resolve().chunk_size == 3
                assert resolve({"chunk_size": 4}).chunk_size == 4
        finally:
            set_chunk_size(None)
        assert resolve().chunk_size == 1

    def test_exports_and_init(self, queue: Queue) -> None:
        def body(x: int) -> Any:
            return x + offset, os.environ.get("INIT")  # type: ignore[name-defined]  # noqa: F821

        def init() -> None:
            os.environ["INIT"] = "done"

        loop = queue.foreach(x=[1, 2], export={"offset": 40}, worker_init=init)
        assert loop.dopar(body) == [(41, "done"), (42, "done")]

    def test_progress(self, queue: Queue) -> None:
        seen: list[tuple[int, int | None]] = []
        queue.foreach(x=range(10), progress=lambda done, total: seen.append((done, total))).dopar(square)
        assert seen[-1] == (10, 10)
        assert seen == sorted(seen)


class TestSeeds:
    def test_streams_do_not_depend_on_tasks(self, queue: Queue) -> None:
        def draw(x: int) -> tuple[float, float, float]:
            return rng().random(), random.random(), float(np.random.random())

        loops = [queue.foreach(x=range(12), seed=1, chunk_size=size) for size in (1, 5)]
        first, second = (loop.dopar(draw) for loop in loops)
        assert first == second
        assert len(set(first)) == 12
        assert queue.foreach(x=range(12), seed=2).dopar(draw) != first

    def test_without_a_seed_every_loop_draws_anew(self, queue: Queue) -> None:
        def draw() -> tuple[float, float, float]:
            return rng().random(), random.random(), float(np.random.random())

        jobs = [queue.foreach(icount(6)).submit(draw) for _ in range(2)]
        drawn = [
            *(numbers for job in jobs for numbers in job.result(30)),
            *(numbers for _ in range(2) for numbers in queue.foreach(icount(6)).do(draw)),
        ]
        assert len({number for numbers in drawn for number in numbers}) == 3 * 24
        again = queue.foreach(icount(6), seed=jobs[1].seed)
        assert again.dopar(draw) == again.do(draw) == jobs[1].result()

    @pytest.mark.parametrize("run", ["dopar", "do"])
    def test_an_error_knows_the_seed(self, queue: Queue, run: str) -> None:
        def fail() -> None:
            raise ValueError(rng().random())

        with pytest.raises(TaskError) as first:
            getattr(queue.foreach(icount(1)), run)(fail)
        with pytest.raises(TaskError) as second:
            getattr(queue.foreach(icount(1), seed=first.value.seed), run)(fail)
        assert str(first.value) == str(second.value)

    def test_a_seed_below_zero_is_for_r_alone(self, queue: Queue) -> None:
        with pytest.raises(ConfigError, match="at least 0"):
            queue.foreach(icount(1), seed=-1).dopar(lambda: None)


class TestJobs:
    def test_in_the_background(self, queue: Queue) -> None:
        job = queue.foreach(x=range(50), combine="+").submit(square, keep_results=True)
        assert sorted(job.results()) == [(x + 1, x * x) for x in range(50)]
        assert job.result(10) == sum(x * x for x in range(50))
        assert (job.status, job.done, job.total) == ("done", 50, 50)

    def test_two_jobs_share_the_workers(self, queue: Queue) -> None:
        slow = queue.foreach(x=range(400)).submit(lambda x: time.sleep(0.05))
        quick = queue.foreach(x=range(5)).submit(square)
        quick.result(20)
        assert slow.status == "running"
        slow.cancel()

    def test_a_timeout_leaves_the_job_alone(self, queue: Queue) -> None:
        job = queue.foreach(x=range(4)).submit(lambda x: time.sleep(0.2))
        with pytest.raises(TimeoutError):
            job.result(0.01)
        assert job.result(10) == [None] * 4

    def test_cancel(self, queue: Queue) -> None:
        job = queue.foreach(x=range(1000)).submit(lambda x: time.sleep(0.05))
        next(iter(job.results()))
        job.cancel()
        assert job.status == "cancelled"
        with pytest.raises(JobCancelled):
            job.result()
        assert queue.foreach(x=[3]).dopar(square) == [9]

    def test_cancelling_ends_what_runs(self, queue: Queue) -> None:
        job = queue.foreach(x=range(2)).submit(lambda x: time.sleep(600))
        wait_until(lambda: _running(queue) == 2, "both workers are at it")
        job.cancel()
        assert queue.foreach(x=[3]).submit(square).result(30) == [9]

    def test_a_time_limit_of_the_job(self, queue: Queue) -> None:
        def sleep(x: int) -> int:
            time.sleep(600 if x == 1 else 0)
            return x

        loop = queue.foreach(x=range(3), chunk_size=3, timelimit=0.5, errorhandling="pass")
        first, second, third = loop.dopar(sleep)
        assert (first, third) == (0, 2)
        assert isinstance(second, TaskTimeout)
        assert "time limit of 0.5 s exceeded" in str(second)

    def test_a_time_limit_of_each_iteration(self, queue: Queue) -> None:
        """Together they take longer, and one of them is too slow."""

        def sleep(x: int) -> int:
            time.sleep(600 if x == 3 else 0.3)
            return x

        loop = queue.foreach(x=range(5), chunk_size=5, iteration_timelimit=1, errorhandling="pass")
        *before, slow, after = loop.dopar(sleep)
        assert (before, after) == ([0, 1, 2], 4)
        assert isinstance(slow, TaskTimeout)
        assert "time limit of 1 s per iteration exceeded" in str(slow)


def _running(queue: Queue) -> int:
    client = redis.Redis.from_url(queue.connection.url)
    return sum(1 for _ in client.scan_iter(match="Q.start.*"))
