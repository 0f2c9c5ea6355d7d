"""An `Executor` in unit tests: calls run in the test's process, without Redis."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import numpy as np
import pytest

import pydoredis as dr
from pydoredis import testing


@pytest.fixture
def executor() -> Iterator[dr.Executor]:
    with testing.in_process(), dr.Executor() as made:
        yield made


def test_calls_run_in_this_process(executor: dr.Executor) -> None:
    assert executor.submit(os.getpid).result() == os.getpid()
    assert [*executor.map(pow, range(5), range(5), chunksize=2)] == [*map(pow, range(5), range(5))]
    assert {call.result() for call in futures.as_completed([executor.submit(abs, -x) for x in range(3)])} == {
        0,
        1,
        2,
    }
    assert isinstance(executor.submit(lambda: 1 / 0).exception(), ZeroDivisionError)


def test_calls_are_pickled(executor: dr.Executor) -> None:
    given = [1]

    def change(values: list[int]) -> list[int]:
        values.append(2)
        return values

    assert executor.submit(change, given).result() == [1, 2]
    assert given == [1]
    with pytest.raises(dr.LocalProtocolError, match="cannot be sent"):
        executor.submit(print, threading.Lock()).result()
    assert isinstance(executor.submit(threading.Lock).exception(), dr.EvaluatorError)


def test_large_arguments_are_copies(executor: dr.Executor) -> None:
    array = np.zeros(1 << 18)

    def change(values: Any) -> float:
        values += 1
        return float(values.sum())

    assert [executor.submit(change, array).result() for _ in range(3)] == [1 << 18] * 3
    assert not array.any()


def test_callbacks_and_event_loops(executor: dr.Executor) -> None:
    seen: list[int] = []

    def go_on(first: futures.Future[int]) -> None:
        executor.submit(pow, first.result(), 2).add_done_callback(lambda last: seen.append(last.result()))

    executor.submit(abs, -3).add_done_callback(go_on)
    assert seen == [9]

    async def main() -> int:
        return await asyncio.get_running_loop().run_in_executor(executor, abs, -7)

    assert asyncio.run(main()) == 7


def test_it_ends_like_any_other(executor: dr.Executor) -> None:
    executor.submit(abs, 1).result()
    executor.shutdown(cancel_futures=True)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, 1)
    with dr.Executor(2, initializer=os.getpid) as other:
        assert other.submit(abs, -1).result() == 1
        other.cancel()


@pytest.mark.needs_r
def test_r_code_runs_here(executor: dr.Executor) -> None:
    pytest.importorskip("rpy2.rinterface_lib", reason="rpy2 is not installed")
    assert executor.rexpr("x^2", x=3).result() == 9
    assert executor.submit(dr.rexpr("function(x) x + 1"), 1).result() == 2
