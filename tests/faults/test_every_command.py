"""An agent that is killed after any single command that it sends, for all of them: nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cloudpickle
import pytest
import redis

from pydoredis.queue import Queue
from tests.conftest import wait_until
from tests.faults.proxy import Proxy
from tests.faults.scene import lasting_keys
from tests.peers.pool import Pool
from tests.peers.processes import Peer, pydoredis_worker
from tests.redis_process import RedisProcess

cloudpickle.register_pickle_by_value(sys.modules[__name__])

ITERATIONS = 14
EXPECTED = [11 * i for i in range(1, ITERATIONS + 1)]
FTINTERVAL_S = 3
AT_A_TIME = 8
MOST = 120
"""More commands than an agent sends for a loop so small."""

TIDY_S = 60
"""Longer than the marks of a dead agent stay, and than others take to look for it."""


ON_REQUEST = pytest.mark.skipif(
    not os.environ.get("PYDOREDIS_EVERY_COMMAND"),
    reason="takes minutes: PYDOREDIS_EVERY_COMMAND=1 runs it with chunk size 1, too",
)


class CountingProxy(Proxy):
    """Passes on so many commands of its clients, calls somebody, and breaks all connections.

    Attributes:
        passed: How many commands it has passed on.

    Args:
        target_port: Where the server listens.
        most: How many commands to pass on.
        struck: Called when that many were passed on.
    """

    def __init__(self, target_port: int, most: int, struck: Callable[[], None]) -> None:
        self.passed = 0
        self._most = most
        self._struck = struck
        super().__init__(target_port)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, ends: set[asyncio.StreamWriter]
    ) -> None:
        # Only what comes from a client is made of commands; what comes from the server is passed on as it is.
        if sink.get_extra_info("peername")[1] != self._target_port:
            await super()._pump(source, sink, ends)
            return
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while self.passed < self._most:
                sink.write(await _command(source))
                self.passed += 1
                await sink.drain()
            self._struck()
        for writer in ends:
            writer.transport.abort()
        self._writers -= ends


async def _command(source: asyncio.StreamReader) -> bytes:
    """One command: an array of words."""
    head = await source.readline()
    if not head:
        raise asyncio.IncompleteReadError(head, None)
    command = bytearray(head)
    for _ in range(int(head[1:])):
        length = await source.readline()
        command += length + await source.readexactly(int(length[1:]) + 2)
    return bytes(command)


def times_eleven(i: int) -> int:
    time.sleep(0.02)
    return 11 * i


@dataclass(frozen=True)
class Case:
    """Whose loop it is, and how many iterations a task has."""

    coordinator: str
    chunk_size: int

    @property
    def codec(self) -> str:
        return "r" if self.coordinator == "R" else "cloudpickle"

    def __str__(self) -> str:
        return f"{self.coordinator}-{self.chunk_size}"


CASES = [
    pytest.param(Case("Python", 1), marks=ON_REQUEST),
    Case("Python", 7),
    pytest.param(Case("R", 1), marks=[pytest.mark.rpeer, ON_REQUEST]),
    pytest.param(Case("R", 7), marks=pytest.mark.rpeer),
]


class Ordeal:
    """One loop on one queue, on a survivor and a victim that is killed after `most` commands."""

    def __init__(self, case: Case, server: RedisProcess, client: redis.Redis, most: int) -> None:
        self._case = case
        self._server = server
        self._client = client
        self._most = most
        self.queue = f"q{most}"

    def run(self) -> bool:
        """Whether the victim lived to send so many commands. Fails if anything is lost."""
        victims: list[Peer] = []

        def kill() -> None:
            for victim in victims:
                victim.kill()

        proxy = CountingProxy(self._server.port, self._most, kill)
        with proxy:
            options = ("--codec", self._case.codec)
            victim = pydoredis_worker(proxy.url, [self.queue], workers=1, options=options)
            victims.append(victim)
            with victim:
                wait_until(lambda: self._count() > 2 or not victim.running, "the victim is up or dead", 60)
                assert self._loop() == EXPECTED, f"after {self._most} commands: {victim.tail()}"
                reached = proxy.passed >= self._most
                if not reached:
                    victim.terminate()
                    wait_until(lambda: not victim.running, "it leaves")
        return reached

    def leaves_nothing(self) -> None:
        """Fails if a key stays, or if the victim goes on being counted."""
        wait_until(lambda: self._left() == set(), f"no orphan keys after {self._most} commands", TIDY_S)
        wait_until(lambda: self._count() == 2, "the victim is not counted any more", TIDY_S)

    def _count(self) -> int:
        return int(self._client.get(f"{self.queue}.count") or 0)

    def _left(self) -> set[str]:
        return {
            key
            for key in lasting_keys(self._client, self.queue)
            if key.startswith((f"{self.queue}.", f"pydoredis:{{{self.queue}}}:"))
            and not key.endswith(":agents")
        }

    def _loop(self) -> list[int]:
        if self._case.coordinator == "Python":
            queue = Queue(self.queue, self._server.url, ftinterval=FTINTERVAL_S)
            loop = queue.foreach(i=range(1, ITERATIONS + 1), chunk_size=self._case.chunk_size)
            return list(loop.dopar(times_eleven))
        pool = Pool(self._server.url, self._client, self.queue)
        text = pool.run(
            f"x <- foreach(i = 1:{ITERATIONS}, .combine = c) %dopar% {{ Sys.sleep(0.02); i * 11 }}\n"
            'say(paste(x, collapse = " "))',
            chunk_size=self._case.chunk_size,
            ftinterval=FTINTERVAL_S,
            timeout_s=90,
        )
        pool.close()
        return [int(word) for word in text.strip('"').split()]


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    with RedisProcess() as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_agent_that_dies_after_any_command(case: Case, server: RedisProcess) -> None:
    queues = [f"q{n}" for n in range(1, MOST + 1)]
    survivor = pydoredis_worker(server.url, queues, workers=2, options=("--codec", case.codec))
    with survivor, server.client() as client, ThreadPoolExecutor(AT_A_TIME) as threads:
        wait_until(lambda: int(client.get(f"q{MOST}.count") or 0) == 2 or not survivor.running, "up", 60)
        ordeals: list[Ordeal] = []
        while len(ordeals) < MOST:
            more = [Ordeal(case, server, client, len(ordeals) + n) for n in range(1, AT_A_TIME + 1)]
            ordeals += more
            if not any(threads.map(Ordeal.run, more)):
                break
        for ordeal in ordeals:  # what dead agents have left is tidied up while others are at work
            ordeal.leaves_nothing()
        assert survivor.running, survivor.tail()
    assert len(ordeals) > 3 * AT_A_TIME, "the victim was killed at its work, too"
    assert len(ordeals) < MOST, "the victim never came to the end of its loop"
