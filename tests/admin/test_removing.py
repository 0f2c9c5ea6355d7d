"""What is removed is what was meant, all of it, and nothing else, also while others are at work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest
import redis

import rinterop
from pydoredis.admin import Admin
from pydoredis.errors import ConfigError, LocalProtocolError, UnknownJob
from pydoredis.protocol import wire
from pydoredis.protocol.keys import QueueKeys, crash_cause, crash_field
from pydoredis.settings import ConnectionSettings
from rinterop import values
from tests.admin.queues import job_id, mark, names, submit, task, task_tag, waiting
from tests.agent_store import AgentStore, make_claim
from tests.redis_process import RedisProcess

MINE, OTHER = job_id(1), job_id(2)


def leave_everything(client: redis.Redis, queue: str, job: str) -> None:
    """All kinds of keys that a job can have."""
    keys = QueueKeys(queue)
    submit(client, queue, job, [2, 3, 4])
    mark(client, queue, job, task_tag(0))
    mark(client, queue, job, task_tag(1), alive=False)
    client.rpush(keys.python, task(job, 7))
    client.rpush(keys.out(job), b"result")
    client.hset(keys.published(job), "8...8", "by")
    client.set(keys.given(job, f"{task_tag(1)} claim 1"), b"", ex=60)
    for field in (crash_field(job, 3, 3), crash_cause(crash_field(job, 3, 3))):
        client.hset(keys.crashes, field, 1)


def keys_of(client: redis.Redis, job: str) -> set[str]:
    return {name for name in names(client) if job in name}


class TestOneJob:
    @pytest.mark.parametrize("queue", ["q", "a.b_c", "größe 2", "{tagged}"])
    def test_everything_of_it_goes_and_nothing_else(
        self, queue: str, admin: Admin, redis_client: redis.Redis
    ) -> None:
        leave_everything(redis_client, queue, OTHER)
        before = {name: redis_client.dump(name) for name in names(redis_client)}
        leave_everything(redis_client, queue, MINE)
        keys = QueueKeys(queue)

        removal = admin.remove_job(MINE)

        assert (removal.queue, removal.job, removal.running) == (queue, MINE, 1)
        assert removal.tasks == 3 + 1
        assert removal.keys == 7
        assert keys_of(redis_client, MINE) == {keys.cancelled(MINE)}
        assert 3500 < redis_client.ttl(keys.cancelled(MINE)) <= 3600
        after = {name: redis_client.dump(name) for name in before}
        assert waiting(redis_client, queue) == [(OTHER, 2), (OTHER, 3), (OTHER, 4)]
        assert waiting(redis_client, keys.python) == [(OTHER, 7)]
        assert len(redis_client.hkeys(keys.crashes)) == 2
        assert redis_client.hexists(keys.crashes, crash_field(OTHER, 3, 3))
        # A list that was written anew may be packed in another way.
        for name in (queue, keys.python, keys.crashes):
            del before[name], after[name]
        assert after == before

    def test_its_id_in_the_arguments_of_another_job_means_nothing(
        self, admin: Admin, redis_client: redis.Redis
    ) -> None:
        submit(redis_client, "q", OTHER, range(5), argument=MINE)
        submit(redis_client, "q", MINE, range(5), argument=OTHER)
        assert admin.remove_job(MINE).tasks == 5
        assert waiting(redis_client, "q") == [(OTHER, number) for number in range(5)]

    def test_messages_in_another_form(self, admin: Admin, redis_client: redis.Redis) -> None:
        """Whose a message is stands in it under a name, wherever that is."""
        submit(redis_client, "q", MINE, [1])
        arguments = values.named_list(**{"2": values.NULL})
        turned = values.named_list(argsList=arguments, ID=values.character(MINE))
        redis_client.rpush("q", rinterop.dumps(turned), b"no message at all", b"X\n\0")
        misnamed = values.named_list(Id=values.character(MINE), argsList=arguments)
        redis_client.rpush("q", rinterop.dumps(misnamed))
        assert admin.remove_job(MINE).tasks == 2
        assert redis_client.llen("q") == 3

    def test_the_same_task_twice(self, admin: Admin, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", MINE, [1, 2, 1, 2, 1])
        submit(redis_client, "q", OTHER, [1])
        assert admin.remove_job(MINE).tasks == 5
        assert waiting(redis_client, "q") == [(OTHER, 1)]

    def test_many_tasks_among_many_of_others_keep_their_order(
        self, admin: Admin, redis_client: redis.Redis
    ) -> None:
        for block in range(12):
            submit(redis_client, "q", MINE if block % 2 else OTHER, range(block * 500, block * 500 + 500))
        assert admin.remove_job(MINE).tasks == 3000
        expected = [(OTHER, number) for number in range(6000) if number // 500 % 2 == 0]
        assert waiting(redis_client, "q") == expected

    def test_large_tasks(self, admin: Admin, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", MINE, range(20), argument="x" * 1_000_000)
        submit(redis_client, "q", OTHER, range(3), argument="x" * 1_000_000)
        assert admin.remove_job(MINE).tasks == 20
        assert waiting(redis_client, "q") == [(OTHER, 0), (OTHER, 1), (OTHER, 2)]

    def test_what_comes_late_is_swept_away(self, admin: Admin, redis_client: redis.Redis) -> None:
        keys = QueueKeys("q")
        for job in (MINE, OTHER):
            submit(redis_client, "q", job, [1])
            admin.remove_job(job)
        for job in (MINE, OTHER):
            redis_client.lpush(keys.out(job), b"from an R worker")
            redis_client.set(keys.start(job, task_tag(1)), b"of one that died")
        redis_client.set(keys.env(OTHER), b"submitted again by its coordinator")
        (other,) = admin.jobs("q")
        assert (other.job, other.state, other.results, other.lapsed) == (OTHER, "open", 1, 1)
        assert keys_of(redis_client, MINE) == {keys.cancelled(MINE)}
        redis_client.delete(keys.env(OTHER))
        assert admin.jobs("q")[0].state == "left over", "not ours any more"

    def test_what_nobody_ended_is_left_alone(self, admin: Admin, redis_client: redis.Redis) -> None:
        keys = QueueKeys("q")
        submit(redis_client, "q", MINE, [1])
        admin.remove_job(MINE)
        redis_client.lpush(keys.out(OTHER), b"of an R coordinator that died")
        redis_client.set(keys.start(OTHER, task_tag(1)), b"of an R coordinator that died")
        assert admin.jobs("q")[0].state == "left over"
        assert redis_client.exists(keys.out(OTHER), keys.start(OTHER, task_tag(1))) == 2

    def test_a_job_that_nobody_knows(self, admin: Admin, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", OTHER, [1])
        before = names(redis_client)
        with pytest.raises(UnknownJob):
            admin.remove_job(MINE)
        with pytest.raises(UnknownJob):
            admin.remove_job(OTHER, "another queue")
        assert names(redis_client) == before

    def test_two_jobs_of_one_process_are_not_removed_by_its_number(
        self, admin: Admin, redis_client: redis.Redis
    ) -> None:
        submit(redis_client, "q", MINE, [1])
        submit(redis_client, "q", job_id(1, milliseconds=9), [1])
        with pytest.raises(UnknownJob, match="2 jobs"):
            admin.remove_job("1")
        assert redis_client.llen("q") == 2

    def test_while_workers_take_and_coordinators_submit(
        self, admin: Admin, redis_client: redis.Redis, redis_process: RedisProcess
    ) -> None:
        """Every task of the other job is taken once, in order, however the queue moves meanwhile."""
        for block in range(40):
            submit(redis_client, "q", OTHER if block % 2 else MINE, range(block * 100, block * 100 + 100))
        expected = [number for number in range(4000) if number // 100 % 2] + list(range(4000, 5000))
        taken: list[tuple[str, int]] = []

        def take_all(client: redis.Redis, stop: threading.Event) -> None:
            while not stop.is_set() or client.llen("q"):
                for payload in cast("list[bytes]", client.lpop("q", 7) or []):
                    found = wire.decode_task(payload)
                    taken.append((found.job, found.first))

        def submit_more(client: redis.Redis, stop: threading.Event) -> None:
            for start in range(4000, 5000, 20):
                submit(client, "q", OTHER, range(start, start + 20))

        with meanwhile(redis_process, submit_more), meanwhile(redis_process, take_all):
            removal = admin.remove_job(MINE)
            assert MINE not in {job for job, _ in waiting(redis_client, "q")}
        assert [number for job, number in taken if job == OTHER] == expected
        assert removal.tasks + sum(job == MINE for job, _ in taken) == 2000
        assert removal.tasks > 0

    def test_a_worker_of_ours_drops_what_it_has_of_it(
        self, admin: Admin, redis_url: str, redis_client: redis.Redis
    ) -> None:
        submit(redis_client, "Q", "1_u_h_2026-11-23-11:45:31.773", [1])
        claim = make_claim(1)
        with AgentStore(ConnectionSettings(redis_url), [claim.keys]) as store:
            store.mark([claim])
            admin.remove_job(claim.task.job)
            assert store.beat([claim]) == ["cancelled"]
            assert store.publish((claim, b"result")) == ["job-gone"]
            assert store.give_back([claim], "tail") == ["job-gone"]
        assert keys_of(redis_client, claim.task.job) == {claim.keys.cancelled(claim.task.job)}


class TestAQueue:
    def test_nothing_of_it_is_left_and_everything_else_is(
        self, admin: Admin, redis_client: redis.Redis
    ) -> None:
        for queue in ("a.b", "b", "a.env", "A"):
            leave_everything(redis_client, queue, OTHER)
        redis_client.set("a.settings", "of a user")
        redis_client.set("a.out.of.stock", "of a user")
        redis_client.set("pydoredis:{a}x:py", "of a user")
        before = {name: redis_client.dump(name) for name in names(redis_client)}
        leave_everything(redis_client, "a", MINE)
        leave_everything(redis_client, "a", OTHER)
        keys = QueueKeys("a")
        redis_client.set(keys.count, 3)
        redis_client.hset(keys.agents, "agent", 2)
        redis_client.rpush(keys.dead, b"?")
        redis_client.set(keys.cancelled(MINE), b"")
        redis_client.set("a.start..iters 1...1 host h pid 2 begin now", b"of a malformed task")
        redis_client.set(f"a.start.{MINE}.", b"of a malformed task")
        redis_client.rpush("a.out.alien", b"of a malformed task")

        removal = admin.remove_queue("a")

        assert removal.job is None
        assert removal.tasks == 3 + 3 + 1 + 1
        assert removal.running == 2
        assert {name: redis_client.dump(name) for name in names(redis_client)} == before

    def test_a_queue_with_an_odd_name(self, admin: Admin, redis_client: redis.Redis) -> None:
        leave_everything(redis_client, "größe a.b_c", job_id(3, "svc_batch", "n.example.org"))
        assert admin.remove_queue("größe a.b_c")
        assert names(redis_client) == set()

    def test_what_r_leaves_behind_when_it_removes_a_queue(
        self, admin: Admin, redis_client: redis.Redis
    ) -> None:
        leave_everything(redis_client, "q", MINE)
        redis_client.delete("q.live", "q.count", "q", QueueKeys("q").env(MINE))
        assert admin.remove_queue("q")
        assert names(redis_client) == set()

    def test_a_queue_that_is_not_there(self, admin: Admin) -> None:
        assert not admin.remove_queue("q")

    def test_a_value_of_a_user_is_no_queue(self, admin: Admin, redis_client: redis.Redis) -> None:
        redis_client.set("A1", "value")
        with pytest.raises(LocalProtocolError, match="A1"):
            admin.remove_queue("A1")
        assert redis_client.get("A1") == b"value"

    def test_a_pattern_is_no_queue(self, admin: Admin, redis_client: redis.Redis) -> None:
        leave_everything(redis_client, "q", MINE)
        with pytest.raises(ConfigError):
            admin.remove_queue("*")
        assert "q.live" in names(redis_client)


@contextmanager
def meanwhile(server: RedisProcess, work: Callable[[redis.Redis, threading.Event], None]) -> Iterator[None]:
    """Do some work on another connection at the same time; it is told when to stop, and waited for."""
    stop = threading.Event()
    with server.client() as client:
        thread = threading.Thread(target=work, args=(client, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
