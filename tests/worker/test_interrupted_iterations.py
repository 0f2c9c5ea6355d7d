"""An iteration that is interrupted by somebody else than its agent counts as one that kills its worker."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import cloudpickle
import pytest
import redis

from pydoredis.protocol.wire import CRASH_CLASS
from tests.worker.agent_process import Job, worker
from tests.worker.executor_process import peer

cloudpickle.register_pickle_by_value(sys.modules[__name__])

R_ENGINES = ("rpy2", "rscript")
EXECUTORS = ["python", *(pytest.param(engine, marks=pytest.mark.needs_r) for engine in R_ENGINES)]


def interrupts_itself(i: int, runs: str) -> int:
    if i == 2:
        with open(runs, "a") as file:
            file.write(".")
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    return i


@pytest.mark.parametrize("engine", EXECUTORS)
@pytest.mark.parametrize("limit", [1, 3])
def test_it_becomes_an_error(
    engine: str, limit: int, redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    options = () if engine == "python" else ("--codec", "r", "--r-engine", engine)
    with worker(redis_url, "--max-crashes", str(limit), *options) as agent:
        if engine == "python":
            job = Job(redis_client, interrupts_itself)
            job.push(job.block(*({"i": n, "runs": str(runs)} for n in range(1, 4))))
        else:
            body = (
                f"if (i == 2) {{ cat('.', file = '{runs}', append = TRUE);"
                " tools::pskill(Sys.getpid(), tools::SIGINT); Sys.sleep(5) }; i"
            )
            job = Job(redis_client, peer().make(f"job({{ {body} }})"))
            job.push(job.adopt(peer().make("task(i = 1:3)")))
        found = job.results(1)
        kind, message = found.pop("2")
        times = "once" if limit == 1 else f"{limit} times"
        assert (kind, message) == (
            CRASH_CLASS, f"the iteration was interrupted {times}, and not because its job was cancelled"
        )  # fmt: skip
        assert runs.read_text() == limit * "."
        assert len(found) == 2
        assert CRASH_CLASS not in str(found)
        assert " executor " not in agent.output, "no executor had to be replaced"


def always_interrupted(i: int, runs: str) -> None:
    with open(runs, "a") as file:
        file.write(".")
    signal.raise_signal(signal.SIGINT)


def test_a_job_that_is_gone_ends_it(redis_url: str, redis_client: redis.Redis, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with worker(redis_url, "--max-crashes", "1000000") as agent:
        job = Job(redis_client, always_interrupted)
        job.push(job.block({"i": 1, "runs": str(runs)}))
        deadline_s = time.monotonic() + 20
        while not runs.exists() or not runs.read_text():
            assert time.monotonic() < deadline_s
        redis_client.delete(f"{job.queue}.env.{job.id}")
        other = Job(redis_client, lambda i: i)
        other.submit(1)
        assert other.results(1) == {"1": ("ok", 1)}
        agent.terminate()
        assert agent.wait() == 0, agent.tail(40)
    assert job.keys("start") == []
