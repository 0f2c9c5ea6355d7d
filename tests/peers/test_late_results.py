"""R workers hear of no cancelling: what they answer to a job that is over does not stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pydoredis import rexpr
from pydoredis.admin import Admin
from pydoredis.coordinator.job import Job
from pydoredis.protocol.keys import QueueKeys
from pydoredis.queue import Queue
from pydoredis.settings import ConnectionSettings
from tests.peers.pool import Pool
from tests.peers.processes import Peer, r_string

pytestmark = [pytest.mark.rpeer, pytest.mark.slow, pytest.mark.timeout(120)]


def body(directory: Path) -> str:
    """Runs until there is a file `go`; meanwhile there is one named after the worker's process."""
    return f"""{{
      directory <- {r_string(str(directory))}
      file.create(file.path(directory, Sys.getpid()))
      while (!file.exists(file.path(directory, "go"))) Sys.sleep(0.05)
      x
    }}"""


def cancelled_at_work(pool: Pool, directory: Path, tasks: int) -> tuple[Queue, Job[Any, Any]]:
    """A job of ours that is cancelled while each worker runs one of its tasks."""
    queue = Queue(pool.queue, pool.url)
    job = queue.foreach(x=range(tasks)).submit(rexpr(body(directory)))
    pool.wait_for(lambda: len(list(directory.iterdir())) == tasks, "all workers are at it")
    job.cancel()
    return queue, job


def late_result(pool: Pool, job: Job[Any, Any], r_worker: Peer, directory: Path) -> Callable[[], bool]:
    """Let R's worker go on. Its next task tells that it has pushed its result before."""
    (directory / "go").touch()
    after = directory.with_name("after")
    after.mkdir()
    queue = Queue(pool.queue, pool.url)
    others = queue.foreach(x=range(20)).submit(
        rexpr(f"{{ file.create(file.path({r_string(str(after))}, Sys.getpid())); Sys.sleep(0.2); x }}")
    )
    assert others.result(60) == list(range(20))
    assert (after / str(r_worker.pid)).exists()
    return lambda: not [key for key in pool.client.scan_iter() if lasts(pool, key, job)]


def lasts(pool: Pool, key: bytes, job: Job[Any, Any]) -> bool:
    """Whether this is a key of the job, and stays."""
    return job.id.encode() in key and int(pool.client.pttl(key)) == -1


def test_an_agent_on_the_queue_sweeps(pool: Pool, tmp_path: Path) -> None:
    directory = tmp_path / "work"
    directory.mkdir()
    r_worker = pool.add_r_worker()
    pool.add_agent()
    _, job = cancelled_at_work(pool, directory, 2)
    nothing_stays = late_result(pool, job, r_worker, directory)
    pool.wait_for(nothing_stays, "it is swept away", 40)


def test_whoever_looks_at_jobs_sweeps(pool: Pool, tmp_path: Path) -> None:
    directory = tmp_path / "work"
    directory.mkdir()
    r_worker = pool.add_r_worker()
    queue, job = cancelled_at_work(pool, directory, 1)
    nothing_stays = late_result(pool, job, r_worker, directory)
    out = QueueKeys(queue.name).out(job.id)
    assert pool.client.llen(out) == 2, "the result was late"
    assert nothing_stays(), "it expires even if nobody looks"
    with Admin(ConnectionSettings(pool.url)) as admin:
        assert job.id not in [row.job for row in admin.jobs(pool.queue)]
    assert not pool.client.exists(out)
