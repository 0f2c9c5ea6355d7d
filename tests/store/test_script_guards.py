"""Each condition of the agent's scripts, where nothing else depends on it (`python -m tests.model.mutations`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import redis

from pydoredis.protocol.claims import Claim
from pydoredis.protocol.messages import Task
from pydoredis.settings import ConnectionSettings
from tests.agent_store import HERE, AgentStore
from tests.redis_process import needs_server
from tests.store.test_agent_commands import JOB, KEYS, make_claim
from tests.worker import test_executor_python as python_codec

pytestmark = needs_server


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


class TestAnnounce:
    def test_nobody_is_counted_on_a_queue_that_was_opened_again(
        self, store: AgentStore, redis_url: str, redis_client: redis.Redis
    ) -> None:
        other = dataclasses.replace(HERE, id="other", workers=3)
        with AgentStore(ConnectionSettings(redis_url), [KEYS], other) as second:
            store.announce(open=True)
            second.announce()
            redis_client.delete(KEYS.count)
            store.announce()
            assert redis_client.get(KEYS.count) == b"2"
            second.announce()
            assert redis_client.get(KEYS.count) == b"5"


class TestBeat:
    def test_a_job_that_is_gone_is_not_therefore_cancelled(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.env)
        assert store.beat([marked]) == ["alive"]
        redis_client.set(KEYS.cancelled(JOB), "")
        assert store.beat([marked]) == ["cancelled"]

    def test_a_job_that_is_there_is_not_cancelled(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.set(KEYS.cancelled(JOB), "")
        assert store.beat([marked]) == ["alive"]

    @pytest.mark.parametrize("started", [True, False])
    def test_a_lapse_is_told_until_it_is_known(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim, started: bool
    ) -> None:
        redis_client.delete(marked.alive)
        assert store.beat([marked]) == ["lapsed"]
        for _ in range(2):
            marked.lapsed = False  # the reply was lost
            if not started:
                redis_client.delete(marked.start)
            assert store.beat([marked]) == ["lapsed"]
        assert store.beat([marked]) == ["alive"], "it is known"

    def test_who_lapsed_puts_back_no_start_key(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        marked.lapsed = True
        redis_client.delete(marked.start)
        assert store.beat([marked]) == ["alive"]
        assert not redis_client.exists(marked.start)


class TestClaim:
    def test_an_environment_that_is_no_text(self, store: AgentStore, redis_client: redis.Redis) -> None:
        redis_client.rpush(KEYS.env("J"), b"a list")
        redis_client.rpush("Q", python_codec.task({"i": 1}))
        assert store.take(1).environments == {KEYS.env("J"): None}

    def test_an_environment_that_is_empty(self, store: AgentStore, redis_client: redis.Redis) -> None:
        """Its tasks are answered with an error; those of a job that is over are dropped."""
        redis_client.set(KEYS.env("J"), b"")
        redis_client.rpush("Q", python_codec.task({"i": 1}))
        assert store.take(1).environments == {KEYS.env("J"): b""}

    def test_tasks_on_which_executors_died_are_told_from_others(
        self, store: AgentStore, redis_client: redis.Redis
    ) -> None:
        redis_client.set(KEYS.env("J"), b"environment")
        redis_client.rpush("Q", *(python_codec.task({"i": n}, first=n) for n in (1, 2, 3)))
        guilty = Claim(KEYS, Task("J", (2,), b"task"), "tag", "name")
        store.count_crash(guilty, 2, "killed by SIGSEGV")
        assert [task.crashed for task in store.take(3).tasks] == [False, True, False]

    def test_a_batch_is_bounded_in_bytes(self, store: AgentStore, redis_client: redis.Redis) -> None:
        """In the midst of a page, too, whose length small messages have made long."""
        redis_client.set(KEYS.env("J"), b"environment")
        small = [python_codec.task({"i": n}, first=n) for n in range(1, 6)]
        large = [python_codec.task({"i": bytes(1 << 24)}, first=n) for n in range(6, 10)]
        redis_client.rpush("Q", *small, *large)
        assert [task.payload for task in store.take(9).tasks] == [*small, *large[:2]]
        assert redis_client.lrange("Q", 0, -1) == large[2:]
