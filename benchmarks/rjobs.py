"""R jobs: an R coordinator on R workers and on ours; our agent alone; where the time of a task goes.

    python -m benchmarks.rjobs [--tasks 1000] [--fed 20000]

Needs R with doRedis. All figures of one table are from one run on one
machine, so their ratios mean more than they do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from typing import cast

import redis
from rich.console import Console
from rich.table import Table

from benchmarks.pools import QUEUE, our_workers, r_workers
from pydoredis.server import EmbeddedServer

COORDINATOR = """
library(doRedis)
registerDoRedis("{queue}", port = {port})
invisible(foreach(i = 1:2) %dopar% i)
took <- system.time(x <- foreach(i = 1:{tasks}, .combine = "+") %dopar% i)[["elapsed"]]
stopifnot(identical(x, sum(1:{tasks})))
one <- numeric({singles})
for (k in seq_along(one)) one[k] <- system.time(foreach(i = 1) %dopar% i)[["elapsed"]]
many <- system.time(for (k in seq_along(one)) foreach(i = 1) %dopar% i)[["elapsed"]] / length(one)
cat(sprintf('{{"seconds": %.4f, "single": %.6f}}\\n', took, many))
"""

PREPARE = """
library(doRedis)
registerDoRedis("{queue}", port = {port})
foreach(i = 1:{tasks}) %dopar% NULL
"""


def coordinate(port: int, tasks: int, singles: int) -> dict[str, float]:
    """Run the R coordinator; seconds of the loop, and of a loop of one iteration."""
    program = COORDINATOR.format(queue=QUEUE, port=port, tasks=tasks, singles=singles)
    with tempfile.NamedTemporaryFile("w", suffix=".R") as file:
        file.write(program)
        file.flush()
        done = subprocess.run(["Rscript", file.name], capture_output=True, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def prepared(client: redis.Redis, port: int) -> tuple[bytes, bytes, list[bytes]]:
    """What an R coordinator puts into Redis for 100 no-op iterations: key of env, its value, the tasks."""
    client.flushall()
    program = PREPARE.format(queue=QUEUE, port=port, tasks=100)
    process = subprocess.Popen(["Rscript", "-e", program], stderr=subprocess.DEVNULL)
    try:
        while client.llen(QUEUE) < 100:
            time.sleep(0.01)
        (key,) = client.keys(f"{QUEUE}.env.*")
        return (
            cast("bytes", key),
            cast("bytes", client.get(key)),
            cast("list[bytes]", client.lrange(QUEUE, 0, -1)),
        )
    finally:
        process.kill()
        process.wait()
        client.flushall()


def feed(client: redis.Redis, material: tuple[bytes, bytes, list[bytes]], total: int) -> float:
    """Give the pool `total` prepared tasks at once; seconds until the last result.

    The results of one block are published once per job, so the tasks go out as jobs of 100.
    """
    key, environment, tasks = material
    job = key.split(b".env.")[1]
    jobs = [job[:-3] + b"%03d" % (n % 1000) + b"%d" % n for n in range(total // 100)]
    pipe = client.pipeline(transaction=False)
    outs = []
    for other in jobs:
        pipe.set(QUEUE.encode() + b".env." + other, environment)
        outs.append(QUEUE.encode() + b".out." + other)
    pipe.execute()
    payloads = [rename(task, job, other) for other in jobs for task in tasks]
    started = time.perf_counter()
    client.rpush(QUEUE, *payloads)
    while sum(client.llen(out) for out in outs[-3:]) < 300 or client.llen(QUEUE):
        time.sleep(0.002)
    while sum(_lengths(client, outs)) < len(payloads):
        time.sleep(0.002)
    return time.perf_counter() - started


def _lengths(client: redis.Redis, outs: list[bytes]) -> list[int]:
    pipe = client.pipeline(transaction=False)
    for out in outs:
        pipe.llen(out)
    return pipe.execute()


def rename(task: bytes, job: bytes, other: bytes) -> bytes:
    """The task under another job's ID: the length of the text stands in four bytes before it."""
    where = task.index(job)
    return task[: where - 4] + len(other).to_bytes(4, "big") + other + task[where + len(job) :]


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tasks", type=int, default=1000, help="iterations of the R loop")
    arguments.add_argument("--fed", type=int, default=20000, help="prepared tasks for the agent alone")
    arguments.add_argument("--singles", type=int, default=20, help="loops of one iteration")
    options = arguments.parse_args()
    console = Console()
    table = Table(title=f"R coordinator, {options.tasks} no-op iterations, chunk size 1, two workers")
    for column in ("workers", "tasks/s", "ratio", "one-iteration job, ms"):
        table.add_column(column, justify="left" if column == "workers" else "right")
    fed = Table(title=f"agent alone, {options.fed} prepared R tasks, two executors")
    fed.add_column("engine")
    fed.add_column("tasks/s", justify="right")
    with tempfile.TemporaryDirectory() as directory, EmbeddedServer(password="") as server:
        del directory
        port = server.port
        with redis.Redis(port=port) as client:
            with r_workers(port, 2):
                base = coordinate(port, min(options.tasks, 200), options.singles)
            base_rate = min(options.tasks, 200) / base["seconds"]
            table.add_row("R, doRedis 3.0.2", f"{base_rate:.1f}", "1", f"{base['single'] * 1e3:.1f}")
            for engine in ("rpy2", "rscript"):
                with our_workers(port, 2, engine):
                    ours = coordinate(port, options.tasks, options.singles)
                rate = options.tasks / ours["seconds"]
                row = (f"{rate:,.0f}", f"{rate / base_rate:.0f}", f"{ours['single'] * 1e3:.2f}")
                table.add_row(f"pydoredis, {engine}", *row)
            material = prepared(client, port)
            for engine in ("rpy2", "rscript"):
                with our_workers(port, 2, engine):
                    feed(client, material, 2000)
                    seconds = feed(client, material, options.fed)
                fed.add_row(engine, f"{options.fed / seconds:,.0f}")
    console.print(table)
    console.print(fed)


if __name__ == "__main__":
    main()
