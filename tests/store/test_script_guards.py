"""Conditions of the scripts on which nothing else depends (`python -m tests.model.mutations`)."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.claims import Claim
from pydoredis.protocol.messages import Task
from pydoredis.protocol.parts import Message
from pydoredis.settings import ConnectionSettings
from pydoredis.store import late_results
from pydoredis.store.job import JobStore
from tests.agent_store import HERE, JOB, KEYS, AgentStore, make_claim
from tests.redis_process import needs_server
from tests.worker import test_executor_python as python_codec

pytestmark = needs_server


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

    def test_where_there_is_no_count_none_is_made(
        self, store: AgentStore, redis_url: str, redis_client: redis.Redis
    ) -> None:
        self.die(store, redis_url, redis_client)
        redis_client.delete(KEYS.count)
        store.execute(commands.Sweep(KEYS))
        assert redis_client.hkeys(KEYS.agents) == [b"agent"]
        assert not redis_client.exists(KEYS.count)

    def test_what_was_set_aside_goes_with_a_queue_that_was_removed(
        self, store: AgentStore, redis_url: str, redis_client: redis.Redis
    ) -> None:
        self.die(store, redis_url, redis_client)
        redis_client.delete(KEYS.live)
        store.execute(commands.Sweep(KEYS))
        assert not redis_client.exists(KEYS.aside("other"), "Q")

    def die(self, store: AgentStore, redis_url: str, redis_client: redis.Redis) -> None:
        """Another agent dies with a task that it has set aside."""
        store.announce(open=True)
        redis_client.rpush("Q", b"just text")
        other = dataclasses.replace(HERE, id="other", workers=3)
        with AgentStore(ConnectionSettings(redis_url), [KEYS], other) as dead:
            dead.announce()
            dead.take(1)
        assert redis_client.exists(KEYS.aside("other"))
        redis_client.delete(KEYS.agent("other"))


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

    def test_no_marks_for_a_job_that_is_over(self, store: AgentStore, redis_client: redis.Redis) -> None:
        redis_client.rpush("Q", python_codec.task({"i": 1}))
        assert len(store.take(1).tasks) == 1
        assert not redis_client.keys("Q.*")

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


class TestBury:
    def test_what_is_not_worth_keeping_is_not_kept(
        self, store: AgentStore, redis_client: redis.Redis
    ) -> None:
        redis_client.rpush(KEYS.aside("agent"), b"payload")
        store.execute(commands.Bury(KEYS, b"payload", keep=False))
        assert not redis_client.exists(KEYS.aside("agent"), KEYS.dead)


class TestCrashes:
    def test_deaths_on_a_task_of_one_iteration_are_told_once(self, store: AgentStore) -> None:
        (crash,) = store.count_crash(make_claim(7), 7, "killed by SIGKILL")
        assert (crash.iteration, crash.deaths) == (7, 1)


class TestGiveBack:
    @pytest.mark.parametrize(("end", "order"), [("head", [b"task", b"other"]), ("tail", [b"other", b"task"])])
    def test_to_one_end_or_the_other(
        self,
        store: AgentStore,
        redis_client: redis.Redis,
        marked: Claim,
        end: commands.End,
        order: list[bytes],
    ) -> None:
        redis_client.rpush("Q", b"other")
        assert store.give_back([marked], end) == ["given-back"]
        assert redis_client.lrange("Q", 0, -1) == order

    def test_what_lapsed_and_was_not_resubmitted(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        marked.lapsed = True
        assert store.give_back([marked], "head") == ["given-back"]

    def test_not_what_lapsed_by_a_beat_whose_reply_was_lost(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.alive)
        assert store.beat([marked]) == ["lapsed"]
        marked.lapsed = False
        redis_client.delete(marked.start)  # it was submitted again
        assert store.give_back([marked], "head") == ["resubmitted"]


@pytest.fixture
def job(redis_url: str) -> Iterator[JobStore]:
    with contextlib.closing(JobStore(ConnectionSettings(redis_url), KEYS, JOB, Message(b""))) as job:
        yield job


class TestCollect:
    def test_results_stay_until_they_were_received(self, job: JobStore, redis_client: redis.Redis) -> None:
        redis_client.lpush(KEYS.out(JOB), "1", "2", "3")
        assert job.send_and_collect([], 0, 2) == [b"1", b"2"]
        assert job.send_and_collect([], 0, 2) == [b"1", b"2"], "nobody has said that they came"
        assert job.send_and_collect([b"task"], 2, 2) == [b"3"]
        assert redis_client.lrange(KEYS.queue, 0, -1) == [b"task"]
        assert job.send_and_collect([], 1, 2) == []
        assert not redis_client.exists(KEYS.out(JOB))


class TestSweep:
    def test_what_came_late_goes_unless_the_job_is_back(
        self, job: JobStore, redis_client: redis.Redis
    ) -> None:
        redis_client.zadd(KEYS.over, {"over": time.time(), "back": time.time()})
        redis_client.set(KEYS.env("back"), "environment")
        for name in ("over", "back"):
            redis_client.rpush(KEYS.out(name), "late")
        assert job.sweep(KEYS) == {"over"}
        assert not redis_client.exists(KEYS.out("over"))
        assert redis_client.exists(KEYS.out("back"))
        assert redis_client.zrange(KEYS.over, 0, -1) == [b"over"]

    def test_page_by_page_all_are_looked_at(
        self, job: JobStore, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(late_results, "_PAGE", 2)
        redis_client.zadd(KEYS.over, {f"job {n}": time.time() + n for n in range(5)})
        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(job.sweep, KEYS).result(10) == {f"job {n}" for n in range(5)}


class TestWithdraw:
    def test_the_tasks_of_one_job_go_and_the_others_keep_their_places(
        self, job: JobStore, redis_client: redis.Redis
    ) -> None:
        tasks = [b"mine %d" % n if n % 3 else b"other %d" % n for n in range(100)]
        redis_client.rpush(KEYS.queue, *tasks)
        redis_client.rpush(KEYS.python, "mine", "other")
        job.close_job(b"mine", cancelled=False)
        assert redis_client.lrange(KEYS.queue, 0, -1) == [task for task in tasks if task.startswith(b"other")]
        assert redis_client.lrange(KEYS.python, 0, -1) == [b"other"]

    def test_nothing_is_written_where_nothing_is_found(
        self, job: JobStore, redis_client: redis.Redis
    ) -> None:
        redis_client.rpush(KEYS.queue, "other")
        before = redis_client.info("commandstats")
        job.close_job(b"mine", cancelled=False)
        after = redis_client.info("commandstats")
        assert after.get("cmdstat_lrem") == before.get("cmdstat_lrem")


class TestFault:
    def test_a_dead_worker_loses_its_task(
        self, job: JobStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        assert not job.take_from_dead(marked.tag, b"task"), "it is alive"
        redis_client.delete(marked.alive)
        assert job.take_from_dead(marked.tag, b"task")
        assert redis_client.lrange("Q", 0, -1) == [b"task"]
        assert not job.take_from_dead(marked.tag, b"task"), "it has nothing any more"
        assert redis_client.llen("Q") == 1

    def test_a_task_that_is_given_up_is_not_submitted_again(
        self, job: JobStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        redis_client.delete(marked.alive)
        assert job.take_from_dead(marked.tag, None)
        assert not redis_client.exists("Q", marked.start)


class TestMark:
    def test_not_what_is_not_set_aside_any_more(self, store: AgentStore, redis_client: redis.Redis) -> None:
        redis_client.set(KEYS.env(JOB), b"environment")
        claim = make_claim(1)
        store.execute(commands.Mark(claim))
        assert not redis_client.exists(claim.start, claim.alive)

    def test_not_for_a_job_that_is_over(self, store: AgentStore, redis_client: redis.Redis) -> None:
        claim = make_claim(1)
        store.mark([claim])
        assert not redis_client.exists(claim.start, claim.alive, KEYS.aside("agent"))


class TestPublish:
    def test_results_stay_where_a_job_has_no_lease(
        self, store: AgentStore, redis_client: redis.Redis, marked: Claim
    ) -> None:
        marked.ours = True
        assert store.publish((marked, b"result")) == ["published"]
        assert redis_client.lrange(marked.out, 0, -1) == [b"result"]
        assert redis_client.ttl(marked.out) == -1

    def test_several_jobs_at_once(self, store: AgentStore, redis_client: redis.Redis, marked: Claim) -> None:
        tag = "iters 2...3 host h pid 2 begin now"
        ours = [Claim(KEYS, Task("J2", (n,), b"task"), tag, f"claim {n}", ours=True) for n in (2, 3)]
        gone = Claim(KEYS, Task("J3", (1,), b"task"), tag, "claim 4", ours=True)
        redis_client.set(ours[0].env, b"environment", ex=100)
        store.mark(ours)
        redis_client.set(gone.start, b"a start key")
        results = [(ours[0], b"2"), (marked, b"1"), (gone, b"x"), (ours[1], b"3")]
        assert store.publish(*results) == ["published", "published", "job-gone", "published"]
        assert redis_client.lrange(ours[0].out, 0, -1) == [b"3", b"2"]
        assert redis_client.lrange(marked.out, 0, -1) == [b"1"]
        assert not redis_client.exists(gone.start, gone.out, ours[0].start, marked.start)
