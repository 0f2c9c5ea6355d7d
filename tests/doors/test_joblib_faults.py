"""joblib's calls while executors, an agent or Redis die: the values are exact."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from joblib import Parallel, delayed

import pydoredis as dr
import pydoredis.joblib
from pydoredis.errors import WorkerCrashed
from tests.conftest import wait_until
from tests.doors import calls
from tests.redis_process import RedisProcess

CALLS = 60
LARGE = np.arange(1 << 18, dtype=float)

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    """One that may be restarted."""
    with RedisProcess() as server:
        yield server


@pytest.fixture
def queue(server: RedisProcess) -> Iterator[dr.Queue]:
    """Two workers."""
    with (
        dr.local(2, "faults", server.url, codec="cloudpickle", output=False, ftinterval=3) as queue,
        joblib.parallel_config("pydoredis", queue=queue),
    ):
        yield queue


def in_the_middle(do: Callable[[], None], directory: Path) -> list[Any]:
    """The values of calls, in the middle of which something is done."""

    def call(data: Any, number: int) -> tuple[int, float]:
        time.sleep(0.02)
        (directory / str(number)).touch()
        return number, float(data.sum())

    def wait_and_do() -> None:
        wait_until(lambda: len(list(directory.iterdir())) > CALLS // 4, "a quarter is done")
        do()

    thread = threading.Thread(target=wait_and_do)
    thread.start()
    try:
        found = Parallel(batch_size=2)(delayed(call)(LARGE, number) for number in range(CALLS))
        return list(found)
    finally:
        thread.join()


EXPECTED = [(number, float(LARGE.sum())) for number in range(CALLS)]


def test_executors_that_are_killed(queue: dr.Queue, tmp_path: Path) -> None:
    found = Parallel(batch_size=2)(delayed(calls.die_once)(str(tmp_path), n) for n in range(12))
    assert found == [n * n for n in range(12)]


def test_a_call_that_kills_each_executor(queue: dr.Queue) -> None:
    with pytest.raises(WorkerCrashed):
        Parallel(batch_size=1)(delayed(calls.die_at)(n, 3) for n in range(6))
    assert Parallel()(delayed(calls.square)(n) for n in range(4)) == [0, 1, 4, 9]


def test_a_restart_of_redis_that_loses_everything(
    queue: dr.Queue, server: RedisProcess, tmp_path: Path
) -> None:
    def restart() -> None:
        server.stop()
        server.start()

    assert in_the_middle(restart, tmp_path) == EXPECTED


def test_an_agent_that_is_killed(queue: dr.Queue, tmp_path: Path) -> None:
    with queue.start_local_workers(2, codec="cloudpickle", output=False) as others:
        (pid,) = others.pids
        assert in_the_middle(lambda: os.kill(pid, signal.SIGKILL), tmp_path) == EXPECTED
