"""Executors that have served long enough are replaced between tasks, and nobody notices."""

from __future__ import annotations

import os
import sys
import threading

import cloudpickle
import pytest
import redis

from tests.conftest import wait_until
from tests.peers.processes import children, exists
from tests.worker.agent_process import QUEUE, Job, executors, worker
from tests.worker.executor_process import peer

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def process_number(i: int) -> int:
    return os.getpid()


def kept_megabytes(i: int, megabytes: int) -> int:
    """Leaves memory behind in the process, really touched."""
    sys.__dict__.setdefault("leaked", []).append(bytearray(os.urandom(1) * (megabytes * 10**6)))
    return os.getpid()


def never_ending_thread(i: int) -> int:
    threading.Thread(target=threading.Event().wait).start()
    return os.getpid()


def processes_of(job: Job, count: int) -> list[int]:
    """Which process each iteration ran in."""
    found = job.results(count)
    assert {status for status, *_ in found.values()} == {"ok"}, found
    return [found[str(number)][1] for number in range(1, count + 1)]


@pytest.mark.parametrize("workers", [1, 2])
def test_no_executor_runs_more_tasks_than_it_may(
    redis_url: str, redis_client: redis.Redis, workers: int
) -> None:
    """The tasks are short: without the limit, many would wait in each pipe."""
    job = Job(redis_client, process_number)
    with worker(redis_url, "--max-tasks", "10", workers=workers) as agent:
        job.submit(60)
        pids = processes_of(job, 60)
        assert max(map(pids.count, pids)) == 10
        wait_until(lambda: len(children(agent.pid)) == workers, "the old ones are gone")
        assert "WARNING executor" not in agent.output
    assert not redis_client.exists(f"pydoredis:{{{QUEUE}}}:crashes")


@pytest.mark.slow
def test_an_executor_that_leaked_is_replaced(redis_url: str, redis_client: redis.Redis) -> None:
    small, large = Job(redis_client, process_number), Job(redis_client, kept_megabytes)
    with worker(redis_url, "--max-memory", "400") as agent:
        small.submit(3)
        assert len(set(processes_of(small, 3))) == 1, "it is small enough"
        large.submit(1, megabytes=500)
        (pid,) = processes_of(large, 1)
        wait_until(lambda: not exists(pid), "it has ended")
        assert "it has " in agent.output
        again = Job(redis_client, process_number)
        again.submit(1)
        assert processes_of(again, 1) == executors(agent)


@pytest.mark.slow
def test_an_executor_is_replaced_after_the_first_task_beyond_its_age(
    redis_url: str, redis_client: redis.Redis
) -> None:
    with worker(redis_url, "--max-age", "0.001") as agent:
        for _ in range(3):
            (pid,) = executors(agent)
            job = Job(redis_client, process_number)
            job.submit(1)
            assert processes_of(job, 1) == [pid]
            wait_until(lambda gone=pid: not exists(gone), "it has ended")  # type: ignore[misc]
            wait_until(lambda: len(executors(agent)) == 1, "there is another")
        assert "died" not in agent.output


@pytest.mark.slow
def test_one_that_does_not_end_by_itself_is_ended(redis_url: str, redis_client: redis.Redis) -> None:
    job = Job(redis_client, never_ending_thread)
    with worker(redis_url, "--max-tasks", "1") as agent:
        job.submit(2)
        pids = processes_of(job, 2)
        assert len(set(pids)) == 2
        wait_until(lambda: not any(map(exists, pids)), "they have ended")
        assert "did not end by itself" in agent.output
        assert "WARNING executor" not in agent.output


@pytest.mark.slow
@pytest.mark.needs_r
@pytest.mark.parametrize("engine", ["rpy2", "rscript"])
def test_r_executors_too(engine: str, redis_url: str, redis_client: redis.Redis) -> None:
    job = Job(redis_client, peer().make("job(Sys.getpid())"))
    with worker(redis_url, "--codec", "r", "--r-engine", engine, "--max-tasks", "2") as agent:
        for number in (1, 2, 3, 4):
            job.push(job.adopt(peer().make(f"task(i = {number}, first = {number}L)")))
        found = job.results(4)
        assert found["1"] == found["2"] != found["3"] == found["4"]
        assert "WARNING executor" not in agent.output
