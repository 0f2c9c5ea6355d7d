"""The demo's jobs: π as an R job, driven by doRedis or replayed, and as a Python job."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, cast

import numpy as np

import rinterop
from pydoredis.demo import recording
from pydoredis.demo.child import Child
from pydoredis.demo.pool import QUEUE, Pool
from pydoredis.errors import DoRedisError, TaskError
from pydoredis.queue import Queue
from rinterop import values

TASKS: Final = 1000
POINTS: Final = 10_000
"""Random points per task: half a millisecond's work, so that what a task costs besides shows in the rate."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a job came to.

    Attributes:
        language: Of the body: "R" or "Python".
        coordinator: Who submitted the tasks and how, for people.
        estimate: Of π.
        seconds: From the first task's submission to the last result.
        tasks_by_process: How many tasks each process ran, by its number.
    """

    language: str
    coordinator: str
    estimate: float
    seconds: float
    tasks_by_process: Counter[int]

    @property
    def tasks(self) -> int:
        """How many tasks there were."""
        return self.tasks_by_process.total()

    @property
    def tasks_per_second(self) -> float:
        """The rate of the whole job."""
        return self.tasks / self.seconds


def doredis_version(rscript: Path) -> str | None:
    """Version of the doRedis that this R finds; None if it finds none."""
    program = (
        'if (nzchar(system.file(package = "doRedis"))) '
        'cat("\\nanswer:", as.character(packageVersion("doRedis")), "\\n")'
    )
    done = subprocess.run([rscript, "-e", program], capture_output=True, text=True, check=False)
    return next(iter(_answer(done.stdout)), None)


def _answer(output: str) -> list[str]:
    """The words of an R program's answer; a user's profile and R's packages may print before and after it."""
    found = re.search(r"^answer:(.*)$", output, re.MULTILINE)
    return found[1].split() if found else []


def drive_r_job(pool: Pool, rscript: Path, version: str) -> Report:
    """Have R's doRedis coordinate the R job.

    Raises:
        DoRedisError: If the R program fails, or the workers end.
    """
    program = resources.files(__package__).joinpath("pi.R")
    server = pool.server
    with resources.as_file(program) as path:
        command = [
            str(rscript),
            str(path),
            server.host,
            str(server.port),
            QUEUE.queue,
            str(TASKS),
            str(POINTS),
        ]
        with Child("the R coordinator", command, pool.environ) as coordinator:
            while (status := coordinator.wait(0.2)) is None:
                pool.check()
            if status:
                raise DoRedisError(coordinator.obituary())
            if not (answer := _answer(coordinator.output())):
                raise DoRedisError(coordinator.obituary())
            estimate, seconds, *processes = map(float, answer)
    return Report("R", f"R's doRedis {version}", estimate, seconds, Counter(map(int, processes)))


def replay_r_job(pool: Pool) -> Report:
    """Submit the R job with the bytes that R's doRedis once wrote, and read the results without R.

    Raises:
        TaskError: If a task fails.
        DoRedisError: If the workers end.
    """
    recorded = recording.load()
    seconds, results = _run(pool, recorded.job, recorded.environment, recorded.tasks)
    estimates: list[float] = []
    processes: list[int] = []
    for number, value in results:
        value = values.plain(value)
        if not isinstance(value, values.Double):
            raise TaskError(recorded.job, [int(number)], _message(value))
        estimate, process = value.values
        estimates.append(float(estimate))
        processes.append(int(process))
    coordinator = f"replay of R's doRedis {recorded.versions['doRedis']}"
    return Report("R", coordinator, float(np.mean(estimates)), seconds, Counter(processes))


def estimate_pi(points: int) -> tuple[float, int]:
    """Body of the Python job: an estimate of π from so many random points, and the process that made it."""
    x, y = np.random.random((2, points))
    return 4 * float(np.mean(x**2 + y**2 < 1)), os.getpid()


def run_python_job(pool: Pool, workers: int) -> Report:
    """Submit the Python job.

    Raises:
        TaskError: If a task fails.
        DoRedisError: If the workers end.
    """
    queue = Queue(QUEUE.queue, pool.server.url)
    # Executors for Python start when its first task comes; the rate is to say what a task costs.
    _estimates(pool, queue, workers)
    began_s = time.perf_counter()
    estimates, processes = zip(*_estimates(pool, queue, TASKS), strict=True)
    seconds = time.perf_counter() - began_s
    return Report("Python", "pydoredis.foreach", float(np.mean(estimates)), seconds, Counter(processes))


def _estimates(pool: Pool, queue: Queue, tasks: int) -> list[tuple[float, int]]:
    job = queue.foreach(points=[POINTS] * tasks).submit(estimate_pi)
    try:
        while not job.wait(0.5):
            pool.check()
    except BaseException:
        job.cancel()
        raise
    estimates: list[tuple[float, int]] = job.result()
    return estimates


def _run(
    pool: Pool, job: str, environment: bytes, tasks: Sequence[bytes]
) -> tuple[float, list[tuple[str, values.RValue]]]:
    """Submit tasks of one iteration each and collect the results: seconds, and values by iteration."""
    messages: list[bytes] = []
    began_s = time.perf_counter()
    pipe = pool.client.pipeline(transaction=True)
    pipe.set(QUEUE.env(job), environment)
    pipe.rpush(QUEUE.queue, *tasks)
    pipe.execute()
    while len(messages) < len(tasks):
        found = cast("tuple[bytes, bytes] | None", pool.client.brpop([QUEUE.out(job)], timeout=1))
        if found is None:
            pool.check()
        else:
            messages.append(found[1])
    seconds = time.perf_counter() - began_s
    pool.client.delete(QUEUE.env(job), QUEUE.out(job))
    results: list[tuple[str, values.RValue]] = []
    for message in messages:
        answer = cast("values.List", rinterop.loads(message))
        results.extend(zip(map(str, values.names(answer) or ()), answer.values, strict=True))
    return seconds, results


def _message(value: values.RValue) -> str:
    """What an R condition says."""
    told = values.strings(value.get("message")) if isinstance(value, values.List) else None
    return str(told[0]) if told else f"an unexpected value: {value!r}"
