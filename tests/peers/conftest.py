"""Pools of real workers: one of each kind for the session; tests that break things have one of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from tests.peers.pool import Pool
from tests.redis_process import RedisProcess


@pytest.fixture(scope="session")
def shared_pool() -> Iterator[Callable[[str], Pool]]:
    """The pool of a kind (see `POOLS`), on a server of its own; started when first asked for."""
    pools: dict[str, Pool] = {}
    servers: list[RedisProcess] = []
    broken: set[str] = set()

    def of(kind: str) -> Pool:
        # Workers that do not start the first time will not start for the next test.
        assert kind not in broken, "the workers of this pool did not start before"
        if kind not in pools:
            servers.append(RedisProcess())
            pools[kind] = Pool(servers[-1].url, servers[-1].client())
            broken.add(kind)
            pools[kind].fill(kind)
            broken.remove(kind)
        return pools[kind]

    yield of
    for pool in pools.values():
        pool.close()
    for server in servers:
        server.close()


@pytest.fixture
def pool(redis_url: str, redis_client: redis.Redis) -> Iterator[Pool]:
    """A queue that has no workers yet."""
    empty = Pool(redis_url, redis_client)
    yield empty
    empty.close()
