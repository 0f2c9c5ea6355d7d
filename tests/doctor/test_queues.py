"""Queues with something wrong on them, as peers leave them; and with real peers, R's and ours."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import cast

import pytest
import redis

from pydoredis.doctor.examination import Report, clean, examine
from pydoredis.doctor.findings import Finding
from pydoredis.errors import ConfigError
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.presence import Presence
from pydoredis.settings import ConnectionSettings
from tests.admin.queues import job_id, mark, names, submit, task_tag
from tests.conftest import wait_until
from tests.peers.pool import Pool

MINE, OTHER = job_id(1), job_id(2)


class Doctor:
    """Examines the queue `q`, without waiting between the two looks."""

    def __init__(self, url: str) -> None:
        self.connection = ConnectionSettings(url)

    def report(self, meanwhile: Callable[[], object] = lambda: None) -> Report:
        def wait(_: float) -> None:
            meanwhile()

        return examine(self.connection, "q", wait=wait)

    def warnings(self, meanwhile: Callable[[], object] = lambda: None) -> dict[str, Finding]:
        """What is not as it should be on the queue, by check."""
        bad = ("warning", "error")
        findings = self.report(meanwhile).findings
        return {found.check: found for found in findings if found.queue and found.severity in bad}


@pytest.fixture
def doctor(redis_url: str) -> Doctor:
    return Doctor(redis_url)


def announce(client: redis.Redis, agent: Presence, *, alive: bool = True) -> None:
    """What an agent says of itself, and that its workers are counted."""
    keys = QueueKeys("q")
    client.set(keys.live, b"")
    client.incrby(keys.count, agent.workers)
    client.hset(keys.agents, agent.id, str(agent.workers))
    if alive:
        fields = [word for pair in agent.encode().items() for word in pair]
        client.hset(keys.agent(agent.id), items=fields)


def agent(id: str = "a", python: str = "", host: str = "w1", workers: int = 1) -> Presence:
    python = python or platform.python_version()
    return Presence(id, host, 7, workers, ("cloudpickle",), python, "", "1.0", (70,))


def test_a_queue_that_is_well(doctor: Doctor, redis_client: redis.Redis) -> None:
    announce(redis_client, agent(workers=2))
    submit(redis_client, "q", MINE, [1])
    mark(redis_client, "q", MINE, task_tag(2))
    before = {name: redis_client.dump(name) for name in names(redis_client)}
    assert doctor.warnings() == {}
    assert {name: redis_client.dump(name) for name in names(redis_client)} == before


def test_no_queue_of_that_name(doctor: Doctor) -> None:
    assert "no such queue" in doctor.warnings()["queue"].finding
    with pytest.raises(ConfigError):
        examine(doctor.connection, "q*")


def test_tasks_without_workers(doctor: Doctor, redis_client: redis.Redis) -> None:
    submit(redis_client, "q", MINE, [1, 2])
    found = doctor.warnings()["workers"]
    assert found.finding == "2 tasks wait, and there are no workers"
    assert "pydoredis worker --queue q" in found.advice


def test_a_queue_that_was_removed_under_its_jobs(doctor: Doctor, redis_client: redis.Redis) -> None:
    submit(redis_client, "q", MINE, [1])
    redis_client.delete("q.live")
    assert "remove-queue q" in doctor.warnings()["open"].advice


def test_different_pythons(doctor: Doctor, redis_client: redis.Redis) -> None:
    announce(redis_client, agent("a"))
    announce(redis_client, agent("b", "2.7.18", "w2"))
    found = doctor.warnings()["versions"]
    assert "2.7 on w2" in found.finding
    assert "on w1" in found.finding


def test_no_worker_with_the_python_of_this_machine(doctor: Doctor, redis_client: redis.Redis) -> None:
    announce(redis_client, agent("b", "2.7.18"))
    assert "no worker has Python" in doctor.warnings()["versions"].finding


def test_a_worker_that_died_with_a_task(doctor: Doctor, redis_client: redis.Redis) -> None:
    submit(redis_client, "q", MINE, [])
    mark(redis_client, "q", MINE, task_tag(4), alive=False)
    found = doctor.warnings()["lapsed"]
    assert "task 4...4" in found.finding
    assert f"remove-job {MINE}" in found.advice


def test_tasks_that_wait_behind_another_while_others_are_idle(
    doctor: Doctor, redis_client: redis.Redis
) -> None:
    announce(redis_client, agent(workers=3))
    submit(redis_client, "q", MINE, [])
    for number in (1, 2, 3):
        mark(redis_client, "q", MINE, task_tag(number))
    found = doctor.warnings()["hoarded"]
    assert found.finding == (
        "2 tasks wait behind another in process 70 on w1, while 2 workers have nothing to do"
    )
    start = QueueKeys("q").start(MINE, task_tag(1))
    second = QueueKeys("q").start(MINE, task_tag(2))
    assert "hoarded" not in doctor.warnings(lambda: redis_client.delete(start, second))


def test_tasks_that_nobody_takes(doctor: Doctor, redis_client: redis.Redis) -> None:
    announce(redis_client, agent(workers=2))
    submit(redis_client, "q", MINE, [1, 2, 3])
    assert doctor.warnings()["stuck"].finding.startswith(f"3 tasks of job {MINE} wait, while 2 workers")
    assert "stuck" not in doctor.warnings(lambda: redis_client.lpop("q"))


def test_results_that_nobody_fetches(doctor: Doctor, redis_client: redis.Redis) -> None:
    submit(redis_client, "q", MINE, [])
    redis_client.lpush(QueueKeys("q").out(MINE), b"result", b"result")
    assert doctor.warnings()["stuck"].finding == f"nobody fetches 2 results of job {MINE}"


def test_messages_that_nobody_can_read(doctor: Doctor, redis_client: redis.Redis) -> None:
    submit(redis_client, "q", MINE, [])
    redis_client.rpush(QueueKeys("q").dead, b"?")
    assert "1 message " in doctor.warnings()["unreadable"].finding


class TestOrphans:
    def test_jobs_that_are_over(self, doctor: Doctor, redis_client: redis.Redis) -> None:
        keys = QueueKeys("q")
        submit(redis_client, "q", OTHER, [7])
        submit(redis_client, "q", MINE, [1, 2])
        redis_client.lpush(keys.out(MINE), b"result")
        mark(redis_client, "q", MINE, task_tag(3), alive=False)
        redis_client.delete(keys.env(MINE))
        found = doctor.report().orphans
        assert [(o.name, o.tasks, o.results, o.lapsed) for o in found] == [(MINE, 2, 1, 1)]
        assert clean(doctor.connection, found) == [*found]
        assert {name for name in names(redis_client) if MINE in name} == {keys.cancelled(MINE)}
        assert redis_client.llen("q") == 1
        assert doctor.report().orphans == []
        assert clean(doctor.connection, found) == [], "gone by itself"

    def test_a_job_that_ends_just_now(self, doctor: Doctor, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", MINE, [1])
        env = QueueKeys("q").env(MINE)
        assert doctor.report(lambda: redis_client.delete(env)).orphans == []

    def test_a_job_that_a_worker_is_still_at(self, doctor: Doctor, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", MINE, [1])
        mark(redis_client, "q", MINE, task_tag(2))
        redis_client.delete(QueueKeys("q").env(MINE))
        assert doctor.report().orphans == []

    def test_a_job_that_came_back(self, doctor: Doctor, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", MINE, [1])
        redis_client.delete(QueueKeys("q").env(MINE))
        found = doctor.report().orphans
        redis_client.set(QueueKeys("q").env(MINE), b"submitted again")
        assert clean(doctor.connection, found) == []
        assert redis_client.llen("q") == 1

    def test_an_agent_that_died(self, doctor: Doctor, redis_client: redis.Redis) -> None:
        announce(redis_client, agent("living", workers=2))
        announce(redis_client, agent("dead", workers=5), alive=False)
        redis_client.rpush(QueueKeys("q").aside("dead"), b"task that it had taken")
        report = doctor.report()
        assert [(o.kind, o.name, o.workers) for o in report.orphans] == [("agent", "dead", 5)]
        assert "5 workers" in doctor.warnings()["count"].finding
        clean(doctor.connection, report.orphans)
        assert redis_client.get("q.count") == b"2"
        assert redis_client.lrange("q", 0, -1) == [b"task that it had taken"]
        assert doctor.report().orphans == []


def test_a_count_that_somebody_has_set(doctor: Doctor, redis_client: redis.Redis) -> None:
    announce(redis_client, agent(workers=3))
    redis_client.set("q.count", 1)
    assert "the count says 1" in doctor.warnings()["count"].finding


def test_an_agent_of_ours_that_is_killed(doctor: Doctor, redis_url: str, redis_client: redis.Redis) -> None:
    pool = Pool(redis_url, redis_client, "q")
    try:
        peer = pool.add_agent(2, options=("--codec", "cloudpickle"))
        assert doctor.warnings() == {}
        peer.kill()
        peer.wait()
        keys = QueueKeys("q")
        (id,) = (name.decode() for name in cast("list[bytes]", redis_client.hkeys(keys.agents)))
        redis_client.pexpire(keys.agent(id), 1)  # and not after 15 s
        wait_until(lambda: not redis_client.exists(keys.agent(id)), "its word has expired")
        (orphan,) = doctor.report().orphans
        assert (orphan.name, orphan.workers) == (id, 2)
        clean(doctor.connection, [orphan])
        assert redis_client.get(keys.count) == b"0"
    finally:
        pool.close()


@pytest.mark.rpeer
def test_a_worker_of_r_that_is_killed(doctor: Doctor, redis_url: str, redis_client: redis.Redis) -> None:
    pool = Pool(redis_url, redis_client, "q")
    try:
        peer = pool.add_r_worker()
        connected = "it waits for tasks"
        wait_until(lambda: any(c["cmd"] == "blpop" for c in redis_client.client_list()), connected)
        assert "count" not in doctor.warnings()
        peer.kill()
        peer.wait()
        wait_until(lambda: all(c["cmd"] != "blpop" for c in redis_client.client_list()), "it is gone")
        assert "the count says 1 R workers, and at most 0" in doctor.warnings()["count"].finding
    finally:
        pool.close()


@pytest.mark.rpeer
@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "length_s"), [(20_000, 0.001), (50, 0.4)])
def test_a_busy_pool_that_is_well(
    tasks: int, length_s: float, doctor: Doctor, redis_url: str, redis_client: redis.Redis
) -> None:
    """R's coordinator, its worker and ours, short tasks and long ones: nothing of it is suspicious."""
    pool = Pool(redis_url, redis_client, "q")
    try:
        pool.add_r_worker()
        pool.add_agent(2, options=("--codec", "auto"))
        session = pool.coordinator(
            f"say(length(foreach(i = 1:{tasks}) %dopar% {{ Sys.sleep({length_s}); i }}))"
        )
        pool.wait_for(lambda: pool.keys("start"), "tasks run")
        for _ in range(2):
            report = examine(doctor.connection)
            bad = [
                found for found in report.findings if found.queue and found.severity in ("warning", "error")
            ]
            assert (bad, report.orphans) == ([], [])
        assert session.running, "it was looked at while it was busy"
        session.values()
    finally:
        pool.close()
