"""An agent on a queue, and a task that it has taken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from pydoredis.protocol.claims import Claim
from pydoredis.settings import ConnectionSettings
from tests.agent_store import JOB, KEYS, AgentStore, make_claim


@pytest.fixture
def store(redis_url: str) -> Iterator[AgentStore]:
    with AgentStore(ConnectionSettings(redis_url), [KEYS]) as store:
        yield store


@pytest.fixture
def marked(store: AgentStore, redis_client: redis.Redis) -> Claim:
    """A claim on iteration 1 of a living job."""
    redis_client.set(KEYS.env(JOB), b"environment")
    claim = make_claim(1)
    store.mark([claim])
    return claim
