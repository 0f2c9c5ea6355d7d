"""Iterations that raise an error are run again, as often and as late as the loop says, and count once."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import cloudpickle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pydoredis as dr
from pydoredis.coordinator.retries import MAX_PAUSE_S, Retries
from pydoredis.errors import (
    ConfigError,
    EvaluatorError,
    JobCancelled,
    RemoteProtocolError,
    TaskError,
    TaskTimeout,
    WorkerCrashed,
)
from pydoredis.protocol import wire
from pydoredis.protocol.python import Program, PythonCodec, decode_task
from pydoredis.protocol.r import RCodec, RExpression
from pydoredis.queue import Queue
from pydoredis.testing import in_process
from tests.conftest import wait_until

cloudpickle.register_pickle_by_value(sys.modules[__name__])

R_BODY = """
    mark <- file.path(directory, number)
    cat("run\n", file = mark, append = TRUE)
    if (length(readLines(mark)) <= times) stop("not yet")
    number * 10
"""


@pytest.fixture(scope="module")
def r_workers(queue: Queue) -> Iterator[None]:
    with queue.start_local_workers(1, codec="r"):
        yield


@pytest.fixture(autouse=True)
def no_key_is_left(request: pytest.FixtureRequest) -> None:
    if "queue" in request.fixturenames:
        request.getfixturevalue("clean")


def runs(directory: Path, number: int) -> list[float]:
    """When each run of an iteration began."""
    return [float(line) for line in (directory / str(number)).read_text().split()]


def fails_first(directory: Path, times: int, number: int) -> int:
    """Fail so many times, then give a value."""
    with (directory / str(number)).open("a") as file:
        file.write(f"{time.monotonic()}\n")
    if len(runs(directory, number)) <= times:
        raise OSError(f"{number} is not there yet")
    return number * 10


class TestPauses:
    @given(most=st.integers(0, 50), backoff=st.floats(0, 1e4), failures=st.integers(1, 100))
    def test_each_is_twice_as_long(self, most: int, backoff: float, failures: int) -> None:
        retries = Retries(most, backoff)
        pause_s = retries.pause_s(failures, OSError())
        if failures > most:
            assert pause_s is None
        else:
            assert pause_s == min(backoff * 2 ** (failures - 1), MAX_PAUSE_S)

    def test_as_listed(self) -> None:
        retries = Retries(4, (0.5, 3.0))
        assert [retries.pause_s(failures, OSError()) for failures in range(1, 6)] == [0.5, 3, 3, 3, None]

    @pytest.mark.parametrize(
        ("error", "may_pass"),
        [
            (OSError(), True),
            (TaskTimeout("j", [1], "too long"), True),
            (TaskError("j", [1], "R's stop()"), True),
            (WorkerCrashed("j", [1], "died"), False),
            (EvaluatorError("python", "cannot be read"), False),
            (SystemExit(), False),
        ],
    )
    def test_of_errors_that_may_pass(self, error: BaseException, may_pass: bool) -> None:
        assert (Retries(1).pause_s(1, error) is not None) is may_pass

    @pytest.mark.parametrize("wrong", [-1, 1.5, True, "2", None])
    def test_refuses_other_numbers(self, wrong: Any) -> None:
        with pytest.raises(ConfigError, match="retries"):
            dr.foreach(i=[1], retries=wrong)

    @pytest.mark.parametrize("wrong", [-1, "1", [], [1, -1], [None], float("inf"), True, None])
    def test_refuses_other_pauses(self, wrong: Any) -> None:
        with pytest.raises(ConfigError, match="backoff"):
            dr.foreach(i=[1], backoff=wrong)


class TestMessages:
    def test_python(self) -> None:
        codec = PythonCodec(Program(abs))
        arguments: list[Any] = [((number,), {"y": [number] * 3}) for number in range(5, 9)]
        message = codec.encode_task("job", 5, arguments)
        for number in range(5, 9):
            assert codec.single("job", number, message) == codec.encode_task(
                "job", number, [arguments[number - 5]]
            )
        assert decode_task(codec.single("job", 7, message)) == ([7], [arguments[2]])

    @pytest.mark.parametrize("seed", [7, 2**40])
    def test_r(self, seed: int) -> None:
        codec = RCodec(RExpression("x"), seed=seed)
        arguments: list[Any] = [((), {"x": np.arange(number), "y": str(number)}) for number in range(5, 9)]
        message = codec.encode_task("job", 5, arguments)
        for number in range(5, 9):
            single = codec.single("job", number, message)
            assert single == codec.encode_task("job", number, [arguments[number - 5]])
            assert wire.decode_task(single).iterations == (number,)
        with pytest.raises(RemoteProtocolError, match="no iteration 9"):
            codec.single("job", 9, message)


@pytest.mark.parametrize("chunk_size", [1, 3, "auto"])
def test_values_are_exact(queue: Queue, tmp_path: Path, chunk_size: int | Literal["auto"]) -> None:
    loop = queue.foreach(
        [tmp_path] * 20,
        [number % 3 for number in range(1, 21)],
        range(1, 21),
        chunk_size=chunk_size,
        retries=2,
    )
    assert loop.dopar(fails_first) == [number * 10 for number in range(1, 21)]
    assert [len(runs(tmp_path, number)) for number in range(1, 21)] == [
        number % 3 + 1 for number in range(1, 21)
    ]


def test_the_last_error_counts(queue: Queue, tmp_path: Path) -> None:
    loop = queue.foreach([tmp_path] * 6, [0, 5, 0, 5, 0, 0], range(6), chunk_size=2, retries=2)
    with pytest.raises(TaskError, match=r"(1|3) is not there yet"):
        loop.dopar(fails_first)


def test_errors_among_values(queue: Queue, tmp_path: Path) -> None:
    loop = queue.foreach(
        *([tmp_path] * 6, [0, 5, 1, 5, 2, 0], range(6)), chunk_size=4, retries=2, errorhandling="pass"
    )
    first, second, third, fourth, *others = loop.dopar(fails_first)
    assert [first, third, *others] == [0, 20, 40, 50]
    assert isinstance(second, OSError)
    assert isinstance(fourth, OSError)
    assert [len(runs(tmp_path, number)) for number in range(6)] == [1, 3, 2, 3, 3, 1]


def test_random_numbers_are_the_same(queue: Queue, tmp_path: Path) -> None:
    def draw(directory: Path, number: int) -> float:
        drawn = dr.rng().random()
        with (directory / str(number)).open("a") as file:
            file.write(f"{drawn}\n")
        if len(runs(directory, number)) == 1:
            raise OSError
        return drawn

    values = queue.foreach([tmp_path] * 4, range(4), retries=1, seed=3).dopar(draw)
    assert [runs(tmp_path, number) for number in range(4)] == [[value, value] for value in values]


def test_waits_as_long_as_it_says(queue: Queue, tmp_path: Path) -> None:
    """And others go on meanwhile."""
    loop = queue.foreach([tmp_path] * 4, [0, 2, 0, 0], range(4), retries=2, backoff=[0.3, 0.6])
    found = [*loop.stream(fails_first)]
    assert sorted(found) == [(number + 1, number * 10) for number in range(4)]
    first, second, third = runs(tmp_path, 1)
    assert second - first >= 0.3
    assert third - second >= 0.6
    assert max(runs(tmp_path, 3)) < second


def test_in_order_all_the_same(queue: Queue, tmp_path: Path) -> None:
    loop = queue.foreach([tmp_path] * 4, [1, 0, 0, 0], range(4), retries=1, backoff=0.2)
    assert [*loop.stream(fails_first)] == [(number + 1, number * 10) for number in range(4)]


def test_what_a_worker_reduces(queue: Queue, tmp_path: Path) -> None:
    loop = queue.foreach(
        *([tmp_path] * 9, [0, 1, 0] * 3, range(9)), chunk_size=3, retries=1, reduce=sum, combine="+"
    )
    assert loop.dopar(fails_first) == sum(range(9)) * 10


def test_workers_that_die_are_no_errors(queue: Queue, tmp_path: Path) -> None:
    def die(directory: Path, number: int) -> None:
        with (directory / str(number)).open("a") as file:
            file.write(f"{time.monotonic()}\n")
        os.kill(os.getpid(), signal.SIGKILL)

    loop = queue.foreach([tmp_path], [1], retries=5, max_crashes=1, errorhandling="pass")
    (error,) = loop.dopar(die)
    assert isinstance(error, WorkerCrashed)
    assert len(runs(tmp_path, 1)) == 1


def test_a_job_that_is_cancelled_does_not_wait(queue: Queue, tmp_path: Path) -> None:
    job = queue.foreach([tmp_path], [9], [7], retries=9, backoff=300).submit(fails_first)
    wait_until(lambda: (tmp_path / "7").exists() and runs(tmp_path, 7), "it has failed")
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result(60)


def test_calls(queue: Queue, tmp_path: Path) -> None:
    with dr.Executor(queue=queue, retries=1) as executor:
        calls = [executor.submit(fails_first, tmp_path, number % 3, number) for number in range(6)]
        errors = [call.exception(60) for call in calls]
        assert [type(error) for error in errors] == [type(None), type(None), OSError] * 2
        mapped = executor.map(fails_first, [tmp_path] * 6, [1] * 6, range(10, 16), chunksize=3)
        assert [*mapped] == [number * 10 for number in range(10, 16)]


def test_here(tmp_path: Path) -> None:
    loop = dr.foreach([tmp_path] * 4, [0, 1, 2, 0], range(4), retries=2, backoff=[0.05])
    assert loop.do(fails_first) == [0, 10, 20, 30]
    assert [len(runs(tmp_path, number)) for number in range(4)] == [1, 2, 3, 1]


@pytest.mark.parametrize("chunk_size", [1, 3])
def test_in_a_unit_test(tmp_path: Path, chunk_size: int) -> None:
    with in_process() as queue:
        loop = queue.foreach(
            [tmp_path] * 4, [0, 1, 2, 3], range(4), retries=2, chunk_size=chunk_size, errorhandling="pass"
        )
        *values, error = loop.dopar(fails_first)
        assert values == [0, 10, 20]
        assert isinstance(error, OSError)
        with dr.Executor(retries=1) as executor:
            assert executor.submit(fails_first, tmp_path, 1, 9).result() == 90
    assert [len(runs(tmp_path, number)) for number in (0, 1, 2, 3, 9)] == [1, 2, 3, 3, 2]


@pytest.mark.needs_r
class TestRBodies:
    @pytest.mark.parametrize("chunk_size", [1, 3])
    def test_on_workers(self, queue: Queue, r_workers: None, tmp_path: Path, chunk_size: int) -> None:
        loop = queue.foreach(
            directory=[str(tmp_path)] * 6,
            number=range(1, 7),
            times=[0, 1, 2, 0, 3, 1],
            chunk_size=chunk_size,
            retries=2,
            errorhandling="pass",
        )
        values = loop.dopar(dr.rexpr(R_BODY))
        assert isinstance(values.pop(4), TaskError)
        assert values == [10, 20, 30, 40, 60]

    def test_here(self, tmp_path: Path) -> None:
        loop = dr.foreach(directory=[str(tmp_path)] * 2, number=[1, 2], times=[1, 0], retries=1)
        assert loop.do(dr.rexpr(R_BODY)) == [10, 20]
