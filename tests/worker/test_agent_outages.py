"""A whole worker while Redis goes away, comes back, forgets, or thinks that the worker is dead."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import redis

import rinterop
from pydoredis.protocol.keys import QueueKeys
from rinterop import values
from tests.conftest import wait_until
from tests.redis_process import RedisProcess
from tests.worker import test_executor_python as python_codec
from tests.worker.agent_process import QUEUE, Gate, Job, pass_gate, worker
from tests.worker.test_agent import is_served, through_gate

cloudpickle.register_pickle_by_value(sys.modules[__name__])

KEYS = QueueKeys(QUEUE)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


@pytest.fixture
def lasting() -> Iterator[RedisProcess]:
    """A server that has all its data when it is started again."""
    with RedisProcess(appendonly="yes", appendfsync="always") as server:
        yield server


@pytest.fixture
def forgetful() -> Iterator[RedisProcess]:
    """A server that has no data when it is started again."""
    with RedisProcess() as server:
        yield server


def gone_and_done(i: int, gate: str, done: str) -> int:
    """Tells when it has come through."""
    pass_gate(gate, i)
    Path(done).touch()
    return i


def squared(i: int) -> int:
    return i * i


def test_a_result_survives_an_outage(lasting: RedisProcess, gate: Gate, tmp_path: Path) -> None:
    done = tmp_path / "done"
    with worker(lasting.url) as agent, lasting.client() as client:
        job = Job(client, gone_and_done)
        job.submit(2, gate=gate.path, done=str(done))
        with gate.held():
            lasting.stop()
        wait_until(done.exists, "the body has finished")
        wait_until(lambda: "going on without it" in agent.output, "the outage is noticed")
        lasting.start()
        with gate.held(2):
            pass
        assert job.results(2) == {"1": ("ok", 1), "2": ("ok", 2)}
        wait_until(lambda: "Redis is back" in agent.output, "it says so")
        assert job.keys("start") == []
        is_served(client)
        assert client.get(KEYS.count) == b"1", "a count that was kept is not raised again"
        assert agent.output.count("going on without it") == 1, "one outage is told once"


def test_an_outage_while_waiting_is_told_once(lasting: RedisProcess) -> None:
    with worker(lasting.url, linger_s=1) as agent:
        lasting.stop()
        wait_until(lambda: "going on without it" in agent.output, "the outage is noticed")
        lasting.start()
        wait_until(lambda: "Redis is back" in agent.output, "it is back")
        with lasting.client() as client:
            is_served(client)
            assert agent.output.count("Redis is back") == 1, agent.tail(40)


def test_a_restart_without_data(forgetful: RedisProcess, gate: Gate) -> None:
    with worker(forgetful.url, linger_s=1) as agent, ExitStack() as stack:
        with forgetful.client() as client:
            job = Job(client, through_gate)
            job.submit(1, gate=gate.path)
        with gate.held():
            stack.enter_context(worker(forgetful.url, workers=2, linger_s=1))
            forgetful.stop()
            forgetful.start()
            with forgetful.client() as client:
                wait_until(lambda: client.get(KEYS.count) == b"3", "all workers are counted again")
                assert client.exists(KEYS.live)
        with forgetful.client() as client:
            dropped = f"result of task 1...1 of job {job.id} dropped: job-gone"
            wait_until(lambda: dropped in agent.output, "the result is dropped")
            is_served(client)
            assert not client.exists(KEYS.out(job.id))
            assert client.keys(f"{QUEUE}.start.*") == []


@pytest.mark.slow
def test_restarts_without_data_between_two_waits(forgetful: RedisProcess) -> None:
    """A queue that was lost is not taken for one that was removed, whenever the restart comes."""
    with worker(forgetful.url, "--linger", "0.02") as agent, forgetful.client() as client:
        for _ in range(20):
            forgetful.stop()
            forgetful.start()
            wait_until(lambda: client.get(KEYS.count) == b"1", "the worker is counted again")
        assert agent.running


def test_cut_connections_lose_nothing(redis_url: str, redis_client: redis.Redis, gate: Gate) -> None:
    with worker(redis_url) as agent:
        job = Job(redis_client, through_gate)
        job.submit(3, gate=gate.path)
        for iteration in (1, 2, 3):
            with gate.held(iteration):
                redis_client.client_kill_filter(_type="normal", skipme=True)
        assert len(job.results(3)) == 3
        for _ in range(5):
            redis_client.client_kill_filter(_type="normal", skipme=True)
            is_served(redis_client)
        assert job.keys("start") == []
        assert agent.running


def test_sigterm_during_an_outage_ends_the_worker(lasting: RedisProcess, gate: Gate) -> None:
    with worker(lasting.url, "--grace", "0.2") as agent, lasting.client() as client:
        job = Job(client, through_gate)
        job.submit(1, gate=gate.path)
        with gate.held():
            lasting.stop()
            agent.terminate()
            assert agent.wait() == 1
        assert "1 tasks and results could not be brought back" in agent.output


def test_a_server_out_of_memory_gets_the_result_later(
    redis_url: str, redis_client: redis.Redis, gate: Gate
) -> None:
    with worker(redis_url) as agent:
        job = Job(redis_client, through_gate)
        job.submit(1, gate=gate.path)
        with gate.held():
            redis_client.config_set("maxmemory", 1)
        try:
            wait_until(lambda: "not available" in agent.output, "the refusal is noticed")
        finally:
            redis_client.config_set("maxmemory", 0)
        assert job.results(1) == {"1": ("ok", 1)}
        is_served(redis_client)


# --- taken for dead ---------------------------------------------------------------------------------------


def who_counts_messages(body: Callable[..., Any]) -> bytes:
    """The environment of a job whose coordinator is not one of ours: it counts messages, as R's does."""
    fields = rinterop.loads(python_codec.environment(body))
    assert isinstance(fields, values.List)
    names = [str(name) for name in values.names(fields) or ()]
    kept = [(name, value) for name, value in zip(names, fields, strict=True) if name != "coordinator"]
    return rinterop.dumps(values.named_list(kept))


def test_a_worker_that_stood_still_does_not_answer_what_was_resubmitted(
    redis_url: str, redis_client: redis.Redis, gate: Gate
) -> None:
    """A machine that sleeps: the coordinator deletes the start key and submits the task again, and a worker
    of R's runs it. Two answers would end the coordinator's loop with a result missing."""
    job = Job(redis_client, who_counts_messages(through_gate))
    with worker(redis_url) as agent:
        (payload,) = job.submit(1, gate=gate.path)
        with gate.held():
            os.kill(agent.pid, signal.SIGSTOP)
        # The result waits in the pipe.
        _let_expire(redis_client, job)
        redis_client.delete(*job.keys("start"))
        job.push(payload)
        # What R's worker does.
        assert redis_client.lpop(QUEUE) == payload
        redis_client.lpush(KEYS.out(job.id), b"answered by R")
        os.kill(agent.pid, signal.SIGCONT)
        wait_until(lambda: f"of job {job.id} dropped: resubmitted" in agent.output, "the result is dropped")
        is_served(redis_client)
        assert job.raw_results() == [b"answered by R"]
        assert job.keys("start") == []


def test_of_two_workers_of_ours_one_answers(redis_url: str, redis_client: redis.Redis, gate: Gate) -> None:
    job = Job(redis_client, who_counts_messages(through_gate))
    with worker(redis_url) as sleeper:
        (payload,) = job.submit(1, gate=gate.path)
        with gate.held():
            os.kill(sleeper.pid, signal.SIGSTOP)
        _let_expire(redis_client, job)
        redis_client.delete(*job.keys("start"))
        with worker(redis_url):
            job.push(payload)
            with gate.held():
                os.kill(sleeper.pid, signal.SIGCONT)
                wait_until(lambda: f"of job {job.id} dropped: resubmitted" in sleeper.output, "it is dropped")
            assert job.results(1) == {"1": ("ok", 1)}
        is_served(redis_client)
        assert len(job.raw_results()) == 1


def test_a_worker_that_stood_still_answers_what_nobody_missed(
    redis_url: str, redis_client: redis.Redis, gate: Gate
) -> None:
    job = Job(redis_client, through_gate)
    with worker(redis_url) as agent:
        job.submit(1, gate=gate.path)
        with gate.held():
            os.kill(agent.pid, signal.SIGSTOP)
        _let_expire(redis_client, job)
        os.kill(agent.pid, signal.SIGCONT)
        assert job.results(1) == {"1": ("ok", 1)}


@pytest.mark.slow
def test_a_worker_that_stands_still_takes_nothing(redis_url: str, redis_client: redis.Redis) -> None:
    """As a machine that lost its power while it was idle, whose connections nobody closes."""
    job = Job(redis_client, squared)
    with worker(redis_url) as sleeper:
        os.kill(sleeper.pid, signal.SIGSTOP)
        job.submit(1)
        assert redis_client.llen(QUEUE) == 1
        with worker(redis_url):
            assert job.results(1) == {"1": ("ok", 1)}
        os.kill(sleeper.pid, signal.SIGCONT)
        is_served(redis_client)


def test_a_user_who_may_not_use_client_commands(redis_url: str, redis_client: redis.Redis) -> None:
    redis_client.acl_setuser(
        "ada", enabled=True, passwords=["+x"], categories=["+@all"], commands=["-client"], keys=["*"]
    )
    try:
        with worker(redis_url.replace("//", "//ada:x@")) as agent:
            is_served(redis_client)
            agent.terminate()
            assert agent.wait() == 0
            assert "not available" not in agent.output
    finally:
        redis_client.acl_deluser("ada")


def _let_expire(client: redis.Redis, job: Job) -> None:
    """The ten seconds of an alive key that nobody refreshes, in less."""
    for key in job.keys("alive"):
        client.pexpire(key, 1)
    wait_until(lambda: not job.keys("alive"), "the alive key has expired")
