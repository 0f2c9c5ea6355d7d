"""Environments of jobs take memory as long as their jobs live, and a bounded amount, on both sides."""

from __future__ import annotations

import sys
from pathlib import Path

import cloudpickle
import pytest
import redis

import rinterop
from pydoredis.worker.core import jobs
from pydoredis.worker.core.jobs import LoadedJobs
from rinterop import values
from tests.conftest import wait_until
from tests.worker import test_executor_python as python_codec
from tests.worker.agent_process import Job, executors, worker
from tests.worker.executor_process import peer

cloudpickle.register_pickle_by_value(sys.modules[__name__])

MEGABYTES = 60
"""Below what is kept in pieces."""


def environment(size: int) -> bytes:
    return rinterop.dumps(values.named_list(expr=values.raw(bytes(size)), exportenv=values.NULL))


def test_an_agent_keeps_a_bounded_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "KEPT_BYTES", 10_000)
    found = LoadedJobs()
    for n in range(5):
        found.find(f"key {n}", environment(3000))
    assert list(found.lengths()) == ["key 2", "key 3", "key 4"]
    found.find("key 2", environment(3000))
    found.find("large", environment(20_000))
    assert list(found.lengths()) == ["large"], "the one in use stays, whatever its size"
    found.find("small", environment(10))
    assert list(found.lengths()) == ["small"]


def test_what_is_over_is_forgotten() -> None:
    found = LoadedJobs()
    job = found.find("key", environment(10))
    assert found.forget("key") is job
    assert found.forget("key") is None
    assert found.find("key", environment(10)).number != job.number


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


def length(i: int, big: bytes) -> int:
    return i + len(big)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells")
@pytest.mark.parametrize(
    "engine", ["python", *(pytest.param(name, marks=pytest.mark.needs_r) for name in ("rpy2", "rscript"))]
)
def test_memory_comes_back_when_a_job_is_over(engine: str, redis_url: str, redis_client: redis.Redis) -> None:
    options = () if engine == "python" else ("--codec", "r", "--r-engine", engine)
    with worker(redis_url, *options) as agent:
        (executor,) = executors(agent)
        pids = (agent.pid, executor)
        before_mb = [*map(resident_mb, pids)]
        if engine == "python":
            big = bytes(MEGABYTES * 1_000_000)
            job = Job(redis_client, python_codec.environment(lambda i: length(i, big)))
            job.push(job.block({"i": 1}))
        else:
            body = f"job(length(big), big = numeric({MEGABYTES} * 125000))"
            job = Job(redis_client, peer().make(body))
            job.push(job.adopt(peer().make("task(i = 1)")))
        job.results(1)
        assert resident_mb(executor) > before_mb[1] + 0.9 * MEGABYTES, "the executor has it"
        wait_until(
            lambda: resident_mb(agent.pid) < before_mb[0] + 0.3 * MEGABYTES,
            "the agent has put it into a file",
        )
        redis_client.delete(f"{job.queue}.env.{job.id}")
        wait_until(
            lambda: sum(map(resident_mb, pids)) < sum(before_mb) + 0.5 * MEGABYTES, "neither has it any more"
        )
        assert executors(agent) == [executor]
