"""What `benchmarks.python_jobs` compares: task systems for Python, each started and ended here.

Every system has two worker processes and gives the values of its tasks back, one task for each number. The
settings are those with which it was quickest here, within what its documentation offers.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import redis

from pydoredis.queue import Queue

if TYPE_CHECKING:
    from rq.job import Job

WORKERS = 2

RESULT_TIMEOUT_S = 600

START_TIMEOUT_S = 60.0


class Run(Protocol):
    """Runs so many tasks, each of which computes for `seconds` and returns its number; their values."""

    def __call__(self, tasks: int, seconds: float = 0.0) -> Sequence[int]: ...


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


def same(number: int, seconds: float = 0.0) -> int:
    """The task that everybody runs: it uses so many seconds of processor time."""
    if seconds:
        end_s = time.thread_time() + seconds
        while time.thread_time() < end_s:
            pass
    return number


def calls(tasks: int, seconds: float) -> Iterator[tuple[int] | tuple[int, float]]:
    """The arguments of each task. A no-op task has its number alone, as little as a task can have."""
    for number in range(tasks):
        yield (number, seconds) if seconds else (number,)


# --- ours, and the least that a queue in Redis costs ------------------------------------------------------


@contextlib.contextmanager
def pydoredis_pool(url: str, chunk_size: int | Literal["auto"] = 1) -> Iterator[Run]:
    """One agent with two executors."""
    queue = Queue("BENCH", url, chunk_size=chunk_size)

    def run(tasks: int, seconds: float = 0.0) -> Sequence[int]:
        loop = queue.foreach(x=range(tasks))
        return loop.dopar((lambda x: same(x, seconds)) if seconds else (lambda x: x))

    with queue.start_local_workers(WORKERS, codec="cloudpickle"):
        yield run


@contextlib.contextmanager
def bare_loop(url: str) -> Iterator[Run]:
    """A process that pushes and pops, and two that pop and push; one command per task and step."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_pop_and_push, args=(url,), daemon=True) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    with redis.Redis.from_url(url) as client:

        def run(tasks: int, seconds: float = 0.0) -> list[int]:
            for call in calls(tasks, seconds):
                client.lpush("tasks", json.dumps(call))
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
            client.lpush("results", same(*json.loads(_popped(client, "tasks"))))


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

        def run(tasks: int, seconds: float = 0.0) -> list[Any]:
            data = [RQueue.prepare_data(same, call, result_ttl=3600) for call in calls(tasks, seconds)]
            jobs = queue.enqueue_many(data)
            # Jobs end nearly in order: when the last one has, nothing else has to be waited for.
            return [_rq_value(job) for job in reversed(jobs)]

        run(10)
        yield run


def _rq_value(job: Job) -> Any:
    return job.latest_result(timeout=RESULT_TIMEOUT_S).return_value


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

        def run(tasks: int, seconds: float = 0.0) -> Any:
            if tasks == 1:
                return [task.delay(*call).get() for call in calls(tasks, seconds)]
            return group(task.s(*call) for call in calls(tasks, seconds)).apply_async().join_native()

        run(10)
        yield run


@contextlib.contextmanager
def huey_consumer(url: str) -> Iterator[Run]:
    """A consumer of two processes; results are waited for with a blocking command."""
    os.environ["BENCHMARK_URL"] = url
    from benchmarks.huey_app import task

    command = [
        *("-m", "huey.bin.huey_consumer", "benchmarks.huey_app.app", "--quiet", "--no-periodic"),
        *("--worker-type", "process", "--workers", str(WORKERS)),
    ]
    with _processes([command]):

        def run(tasks: int, seconds: float = 0.0) -> list[Any]:
            results = [task(*call) for call in calls(tasks, seconds)]
            # Tasks end nearly in order: when the last one has, hardly any other has to be waited for.
            return [result.get(blocking=True, timeout=RESULT_TIMEOUT_S) for result in reversed(results)]

        run(10)
        yield run


@contextlib.contextmanager
def dramatiq_workers(url: str) -> Iterator[Run]:
    """Two processes of eight threads each, as many as by default; Redis as broker and backend of results."""
    os.environ["BENCHMARK_URL"] = url
    from benchmarks.dramatiq_app import task

    command = [
        *("-m", "dramatiq", "benchmarks.dramatiq_app", "--skip-logging"),
        *("--processes", str(WORKERS), "--threads", "8"),
    ]
    with _processes([command]):

        def run(tasks: int, seconds: float = 0.0) -> list[Any]:
            messages = [task.send(*call) for call in calls(tasks, seconds)]
            timeout_ms = 1000 * RESULT_TIMEOUT_S
            return [message.get_result(block=True, timeout=timeout_ms) for message in reversed(messages)]

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

        def run(tasks: int, seconds: float = 0.0) -> Any:
            return client.gather(client.map(same, *zip(*calls(tasks, seconds), strict=True), pure=False))

        yield run


@contextlib.contextmanager
def joblib_pool(url: str) -> Iterator[Run]:
    """Two loky processes, kept from call to call; one task per batch, all handed over at once."""
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    try:
        with Parallel(n_jobs=WORKERS, backend="loky", batch_size=1, pre_dispatch="all") as parallel:

            def run(tasks: int, seconds: float = 0.0) -> Any:
                return parallel(delayed(same)(*call) for call in calls(tasks, seconds))

            yield run
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
        "huey", "huey", "RedisHuey, 2 processes, results announced, no periodic tasks", huey_consumer, 2_000
    ),
    System(
        "Dramatiq",
        "dramatiq",
        "2 processes of 8 threads (its default), Redis broker and results",
        dramatiq_workers,
        2_000,
    ),
    System(
        "Dask distributed",
        "distributed",
        "LocalCluster, 2 processes, no dashboard, worker-saturation inf",
        dask_cluster,
        2_000,
    ),
    System("joblib", "joblib", "loky, batch_size=1, pre_dispatch=all", joblib_pool, 5_000),
)
