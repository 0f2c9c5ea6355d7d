"""A whole worker while Redis answers nothing: it sees what its executors do all the same."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest

from pydoredis.shared_values import redis_get
from tests.conftest import wait_until
from tests.peers.processes import Peer
from tests.redis_process import RedisProcess
from tests.worker.agent_process import Job, executors, worker

cloudpickle.register_pickle_by_value(sys.modules[__name__])

NOTICED_S = 5
"""An agent that waited for Redis would notice the death of an executor after its timeout, 10 s and more."""


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    with RedisProcess() as running:
        yield running


def waits(i: int, directory: str) -> int:
    """Says that it has begun, and goes on when there is a file `open`."""
    Path(f"{directory}/begun-{i}").touch()
    while not Path(f"{directory}/open").exists():
        time.sleep(0.01)
    return i


def begun(directory: Path, count: int) -> None:
    wait_until(lambda: len(list(directory.glob("begun-*"))) == count, "they have begun")


def hang(server: RedisProcess) -> None:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)


def go_on(server: RedisProcess) -> None:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGCONT)


def death_is_noticed(agent: Peer, pid: int) -> None:
    """Kill an executor; the agent says so before it has given up any of its requests to Redis."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: f"executor {pid} killed by SIGKILL" in agent.output, "its death is logged", NOTICED_S)


def test_an_executor_dies_while_redis_hangs(server: RedisProcess, tmp_path: Path) -> None:
    with worker(server.url, workers=2) as agent, server.client() as client:
        job = Job(client, waits)
        job.push(*(job.block({"i": n, "directory": str(tmp_path)}, first=n) for n in (1, 2)))
        begun(tmp_path, 2)
        try:
            hang(server)
            time.sleep(3.5)  # a heartbeat is under way, and gets no answer
            death_is_noticed(agent, executors(agent)[0])
        finally:
            go_on(server)
        (tmp_path / "open").touch()
        assert set(job.results(2)) == {"1", "2"}


def test_an_executor_dies_while_another_bodys_request_hangs(server: RedisProcess, tmp_path: Path) -> None:
    def asks(i: int, directory: str) -> object:
        if i == 1:
            Path(f"{directory}/begun-{i}").touch()
            while not Path(f"{directory}/hangs").exists():
                time.sleep(0.01)
            return redis_get("key")
        return waits(i, directory)

    with worker(server.url, workers=2) as agent, server.client() as client:
        job = Job(client, asks)
        job.push(*(job.block({"i": n, "directory": str(tmp_path)}, first=n) for n in (1, 2)))
        begun(tmp_path, 2)
        try:
            hang(server)
            (tmp_path / "hangs").touch()
            time.sleep(0.5)
            for pid in executors(agent):  # one waits for the file, the other one for Redis
                death_is_noticed(agent, pid)
        finally:
            go_on(server)
        (tmp_path / "open").touch()
        assert set(job.results(2)) == {"1", "2"}
