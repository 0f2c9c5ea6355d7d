"""One queue with two workers of ours for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pydoredis.queue import Queue
from pydoredis.server import find_server
from tests.redis_process import NO_SERVER, RedisProcess


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    if find_server() is None:
        pytest.skip(NO_SERVER)
    with RedisProcess() as running:
        yield running


@pytest.fixture(scope="module")
def queue(server: RedisProcess) -> Iterator[Queue]:
    made = Queue("Q", server.url)
    with made.start_local_workers(2, codec="cloudpickle"):
        yield made


@pytest.fixture
def clean(server: RedisProcess) -> Iterator[None]:
    """The test leaves no key of a job behind, but those that expire within seconds."""
    yield
    with server.client() as client:
        left = [key for key in client.scan_iter() if b".alive." not in key and client.pttl(key) < 0]
        assert sorted(left) == [b"Q.count", b"Q.live"]
