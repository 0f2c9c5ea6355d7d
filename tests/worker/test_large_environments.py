"""Exports beyond what one value of Redis takes, on real workers; nothing is left of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis

from pydoredis.admin import Admin
from pydoredis.pool import LocalWorkers
from pydoredis.protocol import parts
from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.protocol.wire import MAX_MESSAGE, decode_environment
from pydoredis.queue import Queue
from pydoredis.worker.core.jobs import LoadedJob
from pydoredis.worker.environment_files import EnvironmentFiles, mapped
from tests.conftest import wait_until
from tests.redis_process import RedisProcess, needs_server
from tests.worker.test_environment_files import element_after_a_death

pytestmark = needs_server

NUMBERS = (parts.PIECE_BYTES + parts.LEAST_BYTES) // 8
"""In two pieces."""


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    with RedisProcess() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: RedisProcess) -> Iterator[redis.Redis]:
    with server.client() as made:
        yield made


@pytest.fixture
def workers(server: RedisProcess) -> Iterator[LocalWorkers]:
    with Queue("Q", server.url).start_local_workers(2, codec="cloudpickle") as running:
        yield running


def pieces(client: redis.Redis) -> list[bytes]:
    return list(client.scan_iter("pydoredis:{Q}:piece:*"))


def test_arrays_and_what_is_none(server: RedisProcess, workers: LocalWorkers, client: redis.Redis) -> None:
    x, text = np.arange(NUMBERS), "x" * parts.PIECE_BYTES

    def body(i: int) -> tuple[int, int, bool]:
        x[0] += 1
        return int(x[-1 - i]), len(text), bool(x.flags.writeable)

    expected = [(NUMBERS - 1 - i, len(text), True) for i in range(6)]
    assert Queue("Q", server.url).foreach(i=range(6)).dopar(body) == expected
    wait_until(lambda: not pieces(client), "they go with the job")


@pytest.mark.slow
def test_more_than_redis_takes_as_a_value(server: RedisProcess, workers: LocalWorkers) -> None:
    x = np.arange(MAX_MESSAGE // 8 + NUMBERS)
    assert x.nbytes > MAX_MESSAGE
    loop = Queue("Q", server.url).foreach(i=range(4))
    assert loop.dopar(lambda i: int(x[i * (len(x) // 4)])) == [i * (len(x) // 4) for i in range(4)]


def test_an_executor_that_dies(server: RedisProcess, workers: LocalWorkers, tmp_path: Path) -> None:
    body = element_after_a_death(np.arange(NUMBERS), tmp_path / "died")
    assert Queue("Q", server.url).foreach(i=range(8)).dopar(body) == [*range(8)]


def test_a_job_that_is_removed(server: RedisProcess, client: redis.Redis) -> None:
    """Its coordinator has died: nobody else would remove the pieces before they expire."""
    x = np.arange(NUMBERS)
    queue = Queue("removed", server.url)
    job = queue.foreach(i=range(3)).submit(lambda i: int(x[i]))
    try:
        assert len(list(client.scan_iter("pydoredis:{removed}:piece:*"))) == 2
        with Admin(queue.connection) as admin:
            admin.remove_job(job.id)
        assert not list(client.scan_iter("pydoredis:{removed}:piece:*"))
        assert not client.exists(queue.keys.env(job.id))
        job.wait(20)
        assert job.status == "cancelled"
    finally:
        queue.remove()


def test_a_piece_that_was_evicted(server: RedisProcess, client: redis.Redis) -> None:
    x = np.arange(NUMBERS)
    queue = Queue("evicted", server.url)
    job = queue.foreach(i=range(2), errorhandling="pass").submit(lambda i: int(x[i]))
    gone = min(client.scan_iter("pydoredis:{evicted}:piece:*"))
    client.delete(gone)
    with queue.start_local_workers(1, codec="cloudpickle"):
        for value in job.result(30):
            assert "a piece of the job environment is gone" in str(value)
    queue.remove()


def test_a_server_that_lost_it(server: RedisProcess, client: redis.Redis) -> None:
    """The coordinator stores it again, pieces first."""
    x = np.arange(NUMBERS)
    queue = Queue("lost", server.url)
    job = queue.foreach(i=range(3), ftinterval=3).submit(lambda i: int(x[i]))
    client.flushall()
    wait_until(lambda: client.llen("lost") == 3, "the tasks are there again", 20)
    with queue.start_local_workers(1, codec="cloudpickle"):
        assert job.result(30) == [0, 1, 2]
    queue.remove()


@pytest.mark.parametrize("in_memory", [True, False])
def test_an_agent_puts_it_together(monkeypatch: pytest.MonkeyPatch, in_memory: bool) -> None:
    """Where executors cannot open its memory, it is on disk."""
    monkeypatch.setattr(parts, "PIECE_BYTES", 1000)
    monkeypatch.setattr("pydoredis.worker.environment_files._may_be_in_memory", lambda: in_memory)
    stream = PythonCodec(Program(abs)).encode_environment().value
    buffers = [memoryview(os.urandom(1234)), memoryview(os.urandom(5000))]
    message = parts.message(stream, buffers)
    job, files = LoadedJob(1, "key", decode_environment(message.value)), EnvironmentFiles()
    at = 0
    for piece in message.pieces():
        files.keep(job, at, bytes(piece))
        at += len(piece)
    file = files.of(job)
    assert file is not None
    assert memoryview(mapped(file.path)) == parts.join(stream, buffers)
