"""Loops of Python on a pool of two workers: a lone iteration, many, large data; beside bare Redis commands.

    python -m benchmarks.loops [--json FILE]

Uses the public interface alone, so that `benchmarks.compare` can run it on other versions, too.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import redis

import pydoredis as dr
from benchmarks import report
from pydoredis.server import EmbeddedServer

WORKERS = 2
QUEUE = "BENCH"
MB = 1_000_000


def main() -> None:
    """Print the figures, by name."""
    options = report.parser(__doc__).parse_args()
    with EmbeddedServer(password="") as server:
        queue = dr.Queue(QUEUE, f"redis://127.0.0.1:{server.port}/0")
        with queue.start_local_workers(WORKERS, codec="cloudpickle") as pool:
            found = measured(queue, server.port, pool.pids[0])
    for name, value, unit in found:
        print(f"{name:40} {value:12,.3f} {unit}")
    found.write(options.json)


def measured(queue: dr.Queue, port: int, agent: int) -> report.Figures:
    """All figures."""
    found = report.Figures()
    with redis.Redis(port=port) as client:
        found.add("bare push, pop, push, pop", 1e3 * bare_round_trip(client), "ms")
    for _ in range(50):
        assert queue.foreach(i=[1]).dopar(same) == [1]
    before_s = processor_s(agent)
    lone_s = median_s(lambda: queue.foreach(i=[1]).dopar(same), 400)
    found.add("loop of one iteration", 1e3 * lone_s, "ms")
    found.add("agent's processor for it", 1e3 * (processor_s(agent) - before_s) / 400, "ms")
    n = 20_000
    rate = n / once_s(lambda: queue.foreach(i=range(n)).dopar(same))
    found.add("tasks of one iteration", rate, "1/s")
    n = 300_000
    automatic = queue.foreach(i=range(n), chunk_size="auto")
    found.add("iterations, chunk size auto", n / once_s(lambda: automatic.dopar(same)), "1/s")
    x = np.random.default_rng(1).random(100 * MB // 8)
    loop = queue.foreach(i=range(8))
    found.add("100 MB exported to 8 tasks", median_s(lambda: loop.dopar(lambda i: float(x[i])), 3), "s")
    size = 10 * MB // 8
    found.add("8 results of 10 MB", median_s(lambda: loop.dopar(lambda i: np.full(size, float(i))), 3), "s")
    return found


def same(i: int) -> int:
    """The body."""
    return i


def bare_round_trip(client: redis.Redis) -> float:
    """Seconds of what a lone task needs at least: it is sent and taken, its result as well."""
    connection = client.connection_pool.get_connection()

    def ask(*words: str) -> None:
        connection.send_command(*words)  # type: ignore[no-untyped-call]
        connection.read_response()

    def all_four() -> None:
        ask("RPUSH", "bare", "x" * 300)
        ask("LPOP", "bare")
        ask("LPUSH", "bare", "x" * 100)
        ask("RPOP", "bare")

    seconds = median_s(all_four, 500)
    client.connection_pool.release(connection)
    return seconds


def once_s(run: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began_s = time.perf_counter()
    run()
    return time.perf_counter() - began_s


def median_s(run: Callable[[], object], times: int) -> float:
    """Seconds that it takes, the median of so many times."""
    return statistics.median(once_s(run) for _ in range(times))


def processor_s(pid: int) -> float:
    """Seconds of processor that the threads of a process have used (Linux)."""
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.exists():
        return float("nan")
    return sum(int((tasks / each / "schedstat").read_text().split()[0]) for each in os.listdir(tasks)) / 1e9


if __name__ == "__main__":
    main()
