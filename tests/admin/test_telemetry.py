"""One look at a server tells how its pools are: of what R's keys say, and of what ours say of themselves."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from pydoredis.admin import remove_queue, workers
from pydoredis.errors import ConfigError
from pydoredis.protocol.agent_commands import Announce
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.telemetry import Demand, Warned
from pydoredis.settings import ConnectionSettings
from pydoredis.store import telemetry as store
from pydoredis.store.agent import AgentWire
from pydoredis.telemetry import Telemetry
from tests.admin.agents import activity, announce, presence
from tests.admin.queues import job_id, mark, names, submit, take, task_tag
from tests.peers.pool import Pool
from tests.peers.processes import r_string

JOB, OTHER = job_id(349, "svc_batch", "node-1"), job_id(350)


@pytest.fixture
def telemetry(redis_url: str) -> Iterator[Telemetry]:
    with Telemetry(ConnectionSettings(redis_url)) as telemetry:
        yield telemetry


def say(client: redis.Redis, job: str, demand: Demand, *, ago_s: int = 0) -> None:
    client.set(QueueKeys("Q").demand(job), demand.encode(), ex=60 - ago_s)


class TestQueuesAndJobs:
    def test_of_an_empty_server_there_is_its_health(self, telemetry: Telemetry) -> None:
        seen = telemetry.snapshot()
        assert (seen.queues, seen.jobs, seen.agents, seen.running, seen.warnings) == ((), (), (), (), ())
        assert seen.server.role == "master"
        assert seen.server.memory_bytes > 0
        assert seen.server.clients >= 1
        assert 0 < seen.server.latency_s < 10
        assert seen.server.saved

    def test_a_job_of_r_is_known_by_its_keys(self, telemetry: Telemetry, redis_client: redis.Redis) -> None:
        submit(redis_client, "Q", JOB, range(1, 6))
        take(redis_client, "Q", JOB, task_tag(1))
        take(redis_client, "Q", JOB, task_tag(2, pid=71), alive=False)
        redis_client.set("Q.count", 3)
        seen = telemetry.snapshot()
        (queue,) = seen.queues
        assert (queue.queue, queue.open, queue.queued, queue.unsent, queue.backlog) == ("Q", True, 3, 0, 3)
        assert (queue.running, queue.lapsed, queue.workers, queue.busy, queue.agents) == (1, 1, 3, 1, 0)
        (job,) = seen.jobs
        assert (job.job, job.id, job.user, job.host, job.state) == (JOB, 349, "svc_batch", "node-1", "open")
        assert (job.queued, job.queued_exact, job.running, job.lapsed, job.answered) == (3, True, 1, 1, 0)
        assert (job.done, job.total, job.rate, job.left_s) == (None, None, None, None)
        (task,) = seen.running
        assert (task.queue, task.job, task.iter, task.host, task.pid) == ("Q", JOB, "1...1", "w1", 70)
        assert (task.agent, task.resident_bytes) == (None, None)
        # Its coordinator's clock, and the worker's, stand still at the time of the recording.
        assert (seen.time - job.time).total_seconds() == pytest.approx(queue.oldest_s or 0.0, abs=1)
        assert (task.running_s or 0.0) <= (queue.oldest_s or 0.0)

    def test_a_job_of_ours_tells_more(self, telemetry: Telemetry, redis_client: redis.Redis) -> None:
        submit(redis_client, "Q", JOB, range(41, 44))
        trail = ((40, 9.0), (45, 2.0))
        say(redis_client, JOB, Demand(45, 55, 100, 30, 2, 15, 10, 7.0, trail), ago_s=20)
        seen = telemetry.snapshot()
        (queue,), (job,) = seen.queues, seen.jobs
        assert (queue.queued, queue.unsent, queue.backlog) == (3, 6, 9)
        assert queue.oldest_s == pytest.approx(22, abs=2)
        assert (job.done, job.failed, job.total, job.unsent, job.rate) == (30, 2, 100, 55, 7.0)
        assert job.left_s == 10.0

    def test_what_a_job_said_that_is_over_counts_for_nothing(
        self, telemetry: Telemetry, redis_client: redis.Redis
    ) -> None:
        submit(redis_client, "Q", JOB, [1])
        say(redis_client, OTHER, Demand(1, 99, 100, 0))
        say(redis_client, JOB, Demand(1, 99, 100, 0))
        redis_client.delete(QueueKeys("Q").env(JOB))
        seen = telemetry.snapshot()
        assert [job.state for job in seen.jobs] == ["left over"]
        assert seen.queues[0].unsent == 0

    def test_what_cannot_be_read_counts_as_not_said(
        self, telemetry: Telemetry, redis_client: redis.Redis
    ) -> None:
        submit(redis_client, "Q", JOB, [1])
        redis_client.set(QueueKeys("Q").demand(JOB), b"\xff{", ex=60)
        announce(redis_client, ["Q"], presence("a"), [activity()])
        redis_client.set(QueueKeys("Q").activity("a"), b"[1]", ex=15)
        announce(redis_client, ["Q"], presence("b"), [])
        seen = telemetry.snapshot()
        assert seen.jobs[0].done is None
        assert [(agent.agent, agent.counters.done) for agent in seen.agents] == [("a", 0), ("b", 0)]

    def test_a_long_queue_is_estimated_and_others_are_counted(
        self, telemetry: Telemetry, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "EXACT", 999)
        for stretch in range(10):
            submit(redis_client, "Q", JOB, range(200 * stretch + 1, 200 * stretch + 151))
            submit(redis_client, "Q", OTHER, range(50 * stretch + 1, 50 * stretch + 51))
        submit(redis_client, "P", OTHER, range(1, 1000))
        counted, *estimated = sorted(telemetry.snapshot().jobs, key=lambda job: job.queue)
        assert (counted.queued, counted.queued_exact) == (999, True)
        assert [job.queued_exact for job in estimated] == [False, False]
        assert sum(job.queued for job in estimated) == pytest.approx(2000, abs=2)
        assert {job.job: job.queued for job in estimated}[JOB] == pytest.approx(1500, rel=0.15)


class TestAgents:
    def test_who_is_there_and_what_they_do(self, telemetry: Telemetry, redis_client: redis.Redis) -> None:
        submit(redis_client, "Q", JOB, range(1, 3))
        announce(redis_client, ["Q"], presence("a"), [activity("Q", JOB, done=4, warned=[Warned(5.0, "oh")])])
        mark(redis_client, "Q", JOB, task_tag(4, 6, host="a", pid=71))
        seen = telemetry.snapshot()
        (agent,) = seen.agents
        assert (agent.agent, agent.queues, agent.host, agent.pid) == ("a", ("Q",), "a", 70)
        assert (agent.workers, agent.busy, agent.resident_bytes) == (2, 1, 120_000_000)
        assert (agent.python, agent.r, agent.codecs) == ("3.11.7", "4.2.2", ("r", "cloudpickle"))
        assert agent.up_s == pytest.approx(60, abs=5)
        assert agent.said_s < 5
        (task,) = seen.running
        assert (task.iter, task.pid, task.agent, task.resident_bytes) == ("4...6", 71, "a", 50_000_000)
        assert task.running_s == pytest.approx(12.5, abs=5)
        (queue,) = seen.queues
        assert (queue.workers, queue.busy, queue.agents, queue.running) == (2, 1, 1, 1)
        assert (queue.counters.done, queue.counters.given_back, queue.counters.run.sum_s) == (4, 3, 2.0)
        (warning,) = seen.warnings
        assert (warning.host, warning.text) == ("a", "oh")
        assert (seen.time - warning.time).total_seconds() == pytest.approx(5, abs=5)

    def test_an_agent_of_two_queues_is_one_agent(
        self, telemetry: Telemetry, redis_client: redis.Redis
    ) -> None:
        submit(redis_client, "Q", JOB, [1])
        does = [activity("Q", JOB, done=4, warned=[Warned(1.0, "oh")]), activity("Q", JOB, done=1)]
        announce(redis_client, ["P", "Q"], presence("a"), [does[1], does[0]])
        seen = telemetry.snapshot()
        assert [(queue.queue, queue.counters.done, queue.busy) for queue in seen.queues] == [
            *(("P", 1, 0), ("Q", 4, 1))
        ]
        (agent,) = seen.agents
        assert (agent.queues, agent.counters.done, agent.busy) == (("P", "Q"), 5, 1)
        assert len(seen.running) == len(seen.warnings) == 1
        assert {key: counters.done for key, counters in seen.counters.items()} == {
            ("P", "a"): 1,
            ("Q", "a"): 4,
        }
        assert [queue.queue for queue in telemetry.snapshot("P").queues] == ["P"]

    def test_those_that_died_are_not_counted_though_nobody_has_swept(
        self, telemetry: Telemetry, redis_client: redis.Redis
    ) -> None:
        keys = QueueKeys("Q")
        announce(redis_client, ["Q"], presence("a"), [activity()])
        announce(redis_client, ["Q"], presence("b", workers=5), [activity()])
        redis_client.incrby(keys.count, 3)  # R's
        redis_client.delete(keys.agent("b"), keys.activity("b"))  # as they expire
        (queue,) = telemetry.snapshot().queues
        assert redis_client.get(keys.count) == b"10"
        assert (queue.workers, queue.agents) == (5, 1)

    def test_those_that_died_are_no_idle_workers_of_r(
        self, redis_url: str, redis_client: redis.Redis
    ) -> None:
        """Also where nobody of ours is left who would take them off the count."""
        keys = QueueKeys("Q")
        announce(redis_client, ["Q"], presence("b", workers=5), [activity()])
        redis_client.incrby(keys.count, 3)  # R's
        redis_client.delete(keys.agent("b"), keys.activity("b"))
        (idle,) = workers("Q", connection=ConnectionSettings(redis_url))
        assert (idle.state, idle.workers, idle.pid) == ("idle", 3, None)

    def test_what_they_say_goes_with_them(self, redis_url: str, redis_client: redis.Redis) -> None:
        keys = QueueKeys("Q")
        announce(redis_client, ["Q"], presence("a"), [activity()])
        assert 0 < int(redis_client.ttl(keys.activity("a"))) <= 15
        remove_queue("Q", connection=ConnectionSettings(redis_url))
        assert names(redis_client) == set()

    def test_of_queues_that_are_not_open_nothing_is_said(self, redis_client: redis.Redis) -> None:
        announce(redis_client, ["Q"], presence("a"), [activity()])
        redis_client.delete("Q.live", QueueKeys("Q").activity("a"))
        agent = presence("a")
        wire = AgentWire(agent.id, agent.host, {"Q": QueueKeys("Q")})
        words = wire.encode(Announce(agent, False, [activity()]))[-1]
        redis_client.execute_command(*words)  # type: ignore[no-untyped-call]
        assert not redis_client.exists(QueueKeys("Q").activity("a"))


def test_who_may_not_see_how_the_server_is_sees_the_rest(redis_url: str, redis_client: redis.Redis) -> None:
    submit(redis_client, "Q", JOB, [1])
    redis_client.acl_setuser(
        "viewer", enabled=True, passwords=["+s3cret"], keys=["*"], categories=["+@all"], commands=["-info"]
    )
    try:
        viewer = ConnectionSettings(redis_url.replace("redis://", "redis://viewer:s3cret@"))
        with Telemetry(viewer) as telemetry:
            seen = telemetry.snapshot()
    finally:
        redis_client.acl_deluser("viewer")
    assert [queue.queued for queue in seen.queues] == [1]
    assert (seen.server.version, seen.server.memory_bytes) == ("", 0)
    assert "s3cret" not in seen.server.address


def test_a_pattern_is_no_queue(telemetry: Telemetry) -> None:
    with pytest.raises(ConfigError):
        telemetry.snapshot("Q*")


def test_all_of_it_is_json(telemetry: Telemetry, redis_client: redis.Redis) -> None:
    submit(redis_client, "Q", JOB, [1])
    announce(redis_client, ["Q"], presence("a"), [activity("Q", JOB, done=1, warned=[Warned(1.0, "oh")])])
    document = json.loads(json.dumps(telemetry.snapshot().to_dict(), default=str))
    assert document["queues"][0]["backlog"] == 1
    assert document["agents"][0]["counters"]["done"] == 1
    assert document["running"][0]["iter"] == "4...6"


@pytest.mark.slow
def test_an_agent_that_is_killed_is_gone_within_15_seconds(
    telemetry: Telemetry, redis_url: str, redis_client: redis.Redis
) -> None:
    pool = Pool(redis_url, redis_client, "jobs")
    try:
        agent = pool.add_agent(2)
        pool.wait_for(lambda: telemetry.snapshot().agents, "the agent is there")
        agent.kill()
        pool.wait_for(lambda: not telemetry.snapshot().agents, "the agent is gone", 16)
        (queue,) = telemetry.snapshot().queues
        assert (queue.workers, queue.agents) == (0, 0)
    finally:
        pool.close()


@pytest.mark.rpeer
def test_a_pool_of_an_r_worker_and_ours(
    telemetry: Telemetry, redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """An R coordinator's job on an R worker and an agent; one of its tasks ends its process."""
    pool = Pool(redis_url, redis_client, "jobs")
    try:
        pool.add_r_worker()
        agent = pool.add_agent(1)
        go = tmp_path / "go"
        body = f"{{ while (!file.exists({r_string(str(go))})) Sys.sleep(0.05); i * 11 }}"
        job = pool.coordinator(f"say(foreach(i = 1:6, .combine = c) %dopar% {body})")

        def seen_both() -> bool:
            return {task.agent is None for task in telemetry.snapshot().running} == {True, False}

        pool.wait_for(seen_both, "both have told what they run")
        seen = telemetry.snapshot()
        (queue,), (listed,) = seen.queues, seen.jobs
        assert (queue.queued, queue.running, queue.workers, queue.busy, queue.agents) == (4, 2, 2, 2, 1)
        assert (listed.queued, listed.running) == (4, 2)
        assert (queue.oldest_s or 0.0) < 60
        by_r = [task for task in seen.running if task.agent is None]
        assert [task.pid for task in by_r] == [pool.peers[0].pid]
        (ours,) = seen.agents
        assert (ours.pid, ours.busy, ours.workers) == (agent.pid, 1, 1)
        assert ours.resident_bytes > 50_000_000
        executor = next(task for task in seen.running if task.agent is not None)
        os.kill(executor.pid, signal.SIGKILL)
        pool.wait_for(lambda: telemetry.snapshot().queues[0].counters.crashed == 1, "the crash is told")
        pool.wait_for(lambda: telemetry.snapshot().warnings, "so is its cause")
        assert "SIGKILL" in telemetry.snapshot().warnings[0].text
        go.touch()
        assert job.value() == "c(11, 22, 33, 44, 55, 66)"
        pool.wait_for(lambda: telemetry.snapshot().queues[0].counters.done >= 1, "what is done is told")
        counters = telemetry.snapshot().agents[0].counters
        assert counters.iterations == counters.done == counters.run.count == counters.wait.count
        assert counters.given_back >= 1
    finally:
        pool.close()
