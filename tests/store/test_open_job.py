"""A job begins: its environment is stored and its first tasks are submitted, all or nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import redis

from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.parts import Message
from pydoredis.settings import ConnectionSettings
from pydoredis.store.job import LEASE_S, SMALL_JOB_BYTES, JobStore

KEYS = QueueKeys("Q")
ENV = KEYS.env("J")
TASKS = [b"first", b"second"]


@pytest.fixture(params=[10, SMALL_JOB_BYTES + 1], ids=["small", "large"])
def environment(request: pytest.FixtureRequest) -> bytes:
    return b"e" * int(request.param)


@pytest.fixture
def job(redis_url: str, environment: bytes) -> Iterator[JobStore]:
    with contextlib.closing(_store(redis_url, Message(environment))) as store:
        yield store


def _store(url: str, environment: Message) -> JobStore:
    return JobStore(ConnectionSettings(url), KEYS, "J", environment)


def test_all_of_it_is_there(job: JobStore, environment: bytes, redis_client: redis.Redis) -> None:
    redis_client.set(KEYS.count, "3")
    assert job.open(TASKS) == 3
    assert redis_client.get(ENV) == environment
    assert LEASE_S - 10 < redis_client.ttl(ENV) <= LEASE_S
    assert redis_client.lrange(KEYS.queue, 0, -1) == TASKS


def test_without_tasks(job: JobStore, environment: bytes, redis_client: redis.Redis) -> None:
    assert job.open() == 0
    assert redis_client.get(ENV) == environment
    assert not redis_client.exists(KEYS.queue)


def test_an_id_that_is_taken_changes_nothing(
    job: JobStore, environment: bytes, redis_client: redis.Redis
) -> None:
    redis_client.set(ENV, "theirs")
    assert job.open(TASKS) is None
    assert redis_client.get(ENV) == b"theirs"
    assert redis_client.ttl(ENV) == -1
    assert not redis_client.exists(KEYS.queue)


@pytest.mark.parametrize("count", [None, "0", "3", "three"])
@pytest.mark.parametrize("if_workers", [False, True])
def test_tasks_may_wait_for_workers(
    job: JobStore, environment: bytes, redis_client: redis.Redis, count: str | None, if_workers: bool
) -> None:
    if count:
        redis_client.set(KEYS.count, count)
    assert job.open(TASKS, if_workers=if_workers) == (3 if count == "3" else 0)
    submitted = not if_workers or count == "3"
    assert redis_client.lrange(KEYS.queue, 0, -1) == (TASKS if submitted else [])
    assert redis_client.get(ENV) == environment
