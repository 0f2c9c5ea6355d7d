"""Loops in event loops, while what they run on breaks: each value comes once, and in its order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from pydoredis.queue import Queue
from tests.conftest import wait_until
from tests.faults.machines import left_running
from tests.faults.scene import lasting_keys
from tests.peers.processes import Peer, executors, pydoredis_worker
from tests.redis_process import RedisProcess

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.slow

ITERATIONS = 300
HALF_WAY = 40
EXPECTED = [(x + 1, 11 * x) for x in range(ITERATIONS)]


@pytest.fixture(params=[False, True], ids=["loses its data", "keeps its data"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisProcess]:
    appendonly = "yes" if request.param else "no"
    with RedisProcess(appendonly=appendonly, appendfsync="always") as running:
        yield running
        with running.client() as client:
            wait_until(lambda: lasting_keys(client, "Q") == set(), "no orphan keys", 15)


@pytest.fixture
def queue(server: RedisProcess) -> Queue:
    return Queue("Q", server.url, ftinterval=3)


def slow(x: int) -> int:
    time.sleep(0.02)
    return 11 * x


async def taken(
    queue: Queue, strike: Callable[[], object], body: Callable[[int], int] = slow
) -> list[tuple[int, int]]:
    """What a stream gives, with a strike half-way."""
    got: list[tuple[int, int]] = []
    async with contextlib.aclosing(queue.foreach(x=range(ITERATIONS)).astream(body)) as items:
        async for item in items:
            got.append(item)
            if len(got) == HALF_WAY:
                await asyncio.to_thread(strike)
    return got


def dies_once(marks: Path) -> Callable[[int], int]:
    """A body that ends its process at each hundredth iteration, the first time."""
    directory = str(marks)

    def body(x: int) -> int:
        mark = Path(directory) / str(x)
        if x % 100 == 99 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 11 * x

    return body


def test_executors_that_die(queue: Queue, tmp_path: Path) -> None:
    with queue.start_local_workers(2, codec="cloudpickle"):
        got = asyncio.run(taken(queue, lambda: None, dies_once(tmp_path)))
    assert got == EXPECTED
    assert len(list(tmp_path.iterdir())) == ITERATIONS // 100


def test_a_restarted_server(queue: Queue, server: RedisProcess) -> None:
    def restart() -> None:
        server.stop()
        server.start()

    with queue.start_local_workers(2, codec="cloudpickle"):
        assert asyncio.run(taken(queue, restart)) == EXPECTED


def killed(peer: Peer) -> None:
    """Kill an agent; its executors go with it."""
    assert executors(peer)
    os.kill(peer.pid, signal.SIGKILL)


def test_an_agent_that_dies(queue: Queue, server: RedisProcess) -> None:
    options = ("--codec", "cloudpickle")
    with (
        pydoredis_worker(server.url, ["Q"], workers=1, options=options) as victim,
        pydoredis_worker(server.url, ["Q"], workers=1, options=options) as other,
    ):

        async def all_at_once() -> list[Any]:
            loop = queue.foreach(x=range(ITERATIONS), combine="+")
            stream = taken(queue, lambda: killed(victim))
            return [*await asyncio.gather(stream, loop.adopar(slow), queue.arun(slow, 3))]

        assert asyncio.run(all_at_once()) == [EXPECTED, 11 * sum(range(ITERATIONS)), 33]
        other.terminate()
        other.wait(40)
        wait_until(lambda: not left_running([victim, other]), "nothing is left running")
