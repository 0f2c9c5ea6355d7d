"""Queues as peers leave them, and queues with peers on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from pydoredis.admin import Admin
from pydoredis.settings import ConnectionSettings
from tests.peers.pool import Pool


@pytest.fixture
def admin(redis_url: str) -> Iterator[Admin]:
    """Administration of the empty server."""
    with Admin(ConnectionSettings(redis_url)) as admin:
        yield admin


@pytest.fixture
def new_pool(redis_url: str, redis_client: redis.Redis) -> Iterator[Callable[[str], Pool]]:
    """Makes a queue of a name, which has no workers yet."""
    pools: list[Pool] = []

    def make(queue: str) -> Pool:
        pools.append(Pool(redis_url, redis_client, queue))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
