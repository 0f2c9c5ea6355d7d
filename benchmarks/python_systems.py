"""What `benchmarks.python_jobs` compares: task systems for Python, each started and ended here.

Every system has two worker processes and gives the values of its tasks back, one task for each number. The
settings are those with which it was quickest here, within what its documentation offers.
"""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis

from pydoredis.queue import Queue

if TYPE_CHECKING:
    from rq.job import Job

WORKERS = 2

Run = Callable[[int], Sequence[int]]
"""Runs so many tasks, each of which returns its number, and collects what they return."""

START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class System:
    """A task system.

    Attributes:
        name: What it is called.
        module: What has to be installed for it.
        settings: How it is set up.
        started: Starts it on the Redis server with this URL, and ends it.
        tasks: How many tasks make a run of a few seconds.
    """

    name: str
    module: str
    settings: str
    started: Callable[[str], AbstractContextManager[Run]]
    tasks: int

    def is_installed(self) -> bool:
        """Whether it can be measured here."""
        return importlib.util.find_spec(self.module) is not None


def same(number: int) -> int:
    """The task that everybody runs."""
    return number


# --- ours, and the least that a queue in Redis costs ------------------------------------------------------


@contextlib.contextmanager
def pydoredis_pool(url: str) -> Iterator[Run]:
    """One agent with two executors."""
    queue = Queue("BENCH", url, chunk_size=1)
    with queue.start_local_workers(WORKERS, codec="cloudpickle"):
        yield lambda tasks: queue.foreach(x=range(tasks)).dopar(lambda x: x)


@contextlib.contextmanager
def bare_loop(url: str) -> Iterator[Run]:
    """A process that pushes and pops, and two that pop and push; one command per task and step."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_pop_and_push, args=(url,), daemon=True) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    with redis.Redis.from_url(url) as client:

        def run(tasks: int) -> list[int]:
            for number in range(tasks):
                client.lpush("tasks", number)
            return [int(_popped(client, "results")) for _ in range(tasks)]

        try:
            yield run
        finally:
            for process in processes:
                process.terminate()
                process.join()


def _pop_and_push(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        while True:
            client.lpush("results", _popped(client, "tasks"))


def _popped(client: redis.Redis, key: str) -> bytes:
    popped: Any = client.brpop([key])
    value: bytes = popped[1]
    return value


# --- the peers --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def rq_workers(url: str) -> Iterator[Run]:
    """Two workers that run jobs themselves rather than fork for each; jobs are queued in one pipeline."""
    from rq import Queue as RQueue

    command = [
        "-m",
        "rq.cli",
        "worker",
        "--url",
        url,
        "--quiet",
        "--worker-class",
        "rq.SimpleWorker",
        "bench",
    ]
    with redis.Redis.from_url(url, socket_timeout=None) as client, _processes([command] * WORKERS):
        queue = RQueue("bench", connection=client)

        def run(tasks: int) -> list[Any]:
            data = [RQueue.prepare_data(same, (number,), result_ttl=3600) for number in range(tasks)]
            jobs = queue.enqueue_many(data)
            # Jobs end nearly in order: when the last one has, nothing else has to be waited for.
            return [_rq_value(job) for job in reversed(jobs)]

        run(10)
        yield run


def _rq_value(job: Job) -> Any:
    return job.latest_result(timeout=600).return_value


@contextlib.contextmanager
def celery_workers(url: str) -> Iterator[Run]:
    """A prefork pool of two, Redis as broker and backend."""
    os.environ["BENCHMARK_URL"] = url
    from celery import group

    from benchmarks.celery_app import task

    command = [
        *("-m", "celery", "-A", "benchmarks.celery_app", "worker", "--pool", "prefork"),
        *("--concurrency", str(WORKERS), "--loglevel", "ERROR"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
    with _processes([command]):

        def run(tasks: int) -> Any:
            if tasks == 1:
                return [task.delay(0).get()]
            return group(task.s(number) for number in range(tasks)).apply_async().join_native()

        run(10)
        yield run


@contextlib.contextmanager
def dask_cluster(url: str) -> Iterator[Run]:
    """A scheduler and two worker processes of one thread each; tasks go to the workers at once."""
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set({"distributed.scheduler.worker-saturation": float("inf")}),
        LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield lambda tasks: client.gather(client.map(same, range(tasks), pure=False))


@contextlib.contextmanager
def joblib_pool(url: str) -> Iterator[Run]:
    """Two loky processes, kept from call to call; one task per batch, all handed over at once."""
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    try:
        with Parallel(n_jobs=WORKERS, backend="loky", batch_size=1, pre_dispatch="all") as parallel:
            yield lambda tasks: parallel(delayed(same)(number) for number in range(tasks))
    finally:
        # Else this process would wait for them at its end, for ever.
        get_reusable_executor().shutdown(wait=True)


@contextlib.contextmanager
def _processes(commands: list[list[str]]) -> Iterator[None]:
    """Python processes, ended with SIGTERM."""
    processes = [
        subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in commands
    ]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        for process in processes:
            try:
                process.wait(max(1.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


OURS = System("pydoredis", "pydoredis", "one agent, two executors", pydoredis_pool, 20_000)

PEERS = (
    System("bare redis-py loop", "redis", "LPUSH, BRPOP; no pipelines, no safety", bare_loop, 10_000),
    System("RQ", "rq", "SimpleWorker (no fork per job), enqueue_many", rq_workers, 1_000),
    System("Celery", "celery", "prefork 2, prefetch 64, events and gossip off", celery_workers, 2_000),
    System(
        "Dask distributed",
        "distributed",
        "LocalCluster, 2 processes, no dashboard, worker-saturation inf",
        dask_cluster,
        2_000,
    ),
    System("joblib", "joblib", "loky, batch_size=1, pre_dispatch=all", joblib_pool, 5_000),
)
