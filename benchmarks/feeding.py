"""Work for an agent alone: what a coordinator once put into Redis, again and again as new jobs."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import redis

from benchmarks.pools import QUEUE
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.python import Program, PythonCodec

BLOCKS = 100
"""Tasks of a job. The results of a block are published once per job, so more tasks are more jobs."""

R_COORDINATOR = """
library(doRedis)
registerDoRedis("{queue}", port = {port})
foreach(i = 1:{tasks}) %dopar% NULL
"""

_KEYS = QueueKeys(QUEUE)
_numbers = itertools.count()


@dataclass(frozen=True)
class Material:
    """A job as its coordinator writes it.

    Attributes:
        job: Its ID.
        environment: Value of its environment key.
        tasks: Its task messages, `BLOCKS` of one iteration each.
    """

    job: str
    environment: bytes
    tasks: Sequence[bytes]


def from_r(client: redis.Redis, port: int) -> Material:
    """No-op iterations of an R coordinator. Empties the server."""
    client.flushall()
    program = R_COORDINATOR.format(queue=QUEUE, port=port, tasks=BLOCKS)
    process = subprocess.Popen(["Rscript", "-e", program], stderr=subprocess.DEVNULL)
    try:
        while client.llen(QUEUE) < BLOCKS:
            time.sleep(0.01)
        (key,) = cast("list[bytes]", client.keys(f"{QUEUE}.env.*"))
        environment = cast("bytes", client.get(key))
        tasks = cast("list[bytes]", client.lrange(QUEUE, 0, -1))
        return Material(key.decode().partition(".env.")[2], environment, tasks)
    finally:
        process.kill()
        process.wait()
        client.flushall()


def from_python() -> Material:
    """No-op iterations of a Python coordinator."""
    job, codec = "1_user_host_2026-11-23-11:45:31.773", PythonCodec(Program(_nothing))
    tasks = [codec.encode_task(job, number, [((), {})]) for number in range(1, BLOCKS + 1)]
    return Material(job, codec.encode_environment().value, tasks)


def _nothing() -> None:
    pass


def feed(client: redis.Redis, material: Material, total: int) -> float:
    """Give the pool `total` tasks at once, wait for all results and remove them; seconds that it worked."""
    jobs = [f"{material.job}{next(_numbers)}" for _ in range(total // BLOCKS)]
    outs = [_KEYS.out(job) for job in jobs]
    environments = {_KEYS.env(job): material.environment for job in jobs}
    old = material.job.encode()
    payloads = [rename(task, old, job.encode()) for job in jobs for task in material.tasks]
    client.mset(environments)
    started = time.perf_counter()
    client.rpush(QUEUE, *payloads)
    while client.llen(QUEUE) or _total(client, outs) < len(payloads):
        time.sleep(0.002)
    seconds = time.perf_counter() - started
    client.delete(*environments, *outs)
    return seconds


def _total(client: redis.Redis, lists: Sequence[str]) -> int:
    pipe = client.pipeline(transaction=False)
    for name in lists:
        pipe.llen(name)
    return sum(pipe.execute())


def rename(task: bytes, job: bytes, other: bytes) -> bytes:
    """The task under another job's ID: the length of the text stands in four bytes before it."""
    where = task.index(job)
    return task[: where - 4] + len(other).to_bytes(4, "big") + other + task[where + len(job) :]
