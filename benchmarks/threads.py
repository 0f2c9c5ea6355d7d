"""Threads of libraries in executors: products of matrices with NumPy, under several limits.

    python -m benchmarks.threads [--rounds 9] [--size 1000] [--products 4]

Each setting has a pool of its own. All of them take turns, so that a busy machine is as busy for each of
them. A figure is the median over the rounds; beside it is the ratio to the best setting of the same number of
executors.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
import threadpoolctl
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.pools import end
from pydoredis.queue import Queue
from pydoredis.server import EmbeddedServer
from pydoredis.settings import cpu_count
from pydoredis.worker.engines.threads import VARIABLES

SETTINGS: dict[str, Sequence[str]] = {
    "default": (),
    "--threads 1": ("--threads", "1"),
    "--threads 2": ("--threads", "2"),
    "--threads 0": ("--threads", "0"),
}
EXECUTORS = (2, 1)
TASKS_EACH = 4


def main() -> int:
    """Print a table."""
    parser = report.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--size", type=int, default=1000, help="rows and columns of the matrices")
    parser.add_argument("--products", type=int, default=4, help="of each task")
    options = parser.parse_args()
    table = Table(title=f"Products of {options.size} × {options.size} on {cpu_count()} processors")
    for column in ("executors", "setting", "threads each", "products/s", "best = 1"):
        table.add_column(column, justify="left" if column == "setting" else "right")
    figures = report.Figures()
    with EmbeddedServer() as server:
        for executors in EXECUTORS:
            with contextlib.ExitStack() as stack:
                queues = {
                    name: stack.enter_context(pool(server.url, f"{executors} {name}", executors, given))
                    for name, given in SETTINGS.items()
                }
                threads = {
                    name: queue.foreach(range(1)).dopar(threads_of_blas) for name, queue in queues.items()
                }
                rates: dict[str, list[float]] = {name: [] for name in queues}
                for _ in range(options.rounds + 1):
                    for name, queue in queues.items():
                        rates[name].append(rate(queue, executors, options.size, options.products))
            medians = {name: statistics.median(found[1:]) for name, found in rates.items()}
            best = max(medians.values())
            for name, median in medians.items():
                (each,) = threads[name]
                figures.add(f"products with {executors} executors: {name}", median, "1/s")
                table.add_row(str(executors), name, str(each), f"{median:.1f}", f"{median / best:.2f}")
    Console(width=110).print(table)
    figures.write(options.json)
    return 0


@contextlib.contextmanager
def pool(url: str, name: str, executors: int, given: Sequence[str]) -> Iterator[Queue]:
    """The queue of a worker with so many executors, in whose environment nobody has limited threads."""
    command = [
        *(sys.executable, "-m", "pydoredis", "worker", "--queue", name, "--codec", "cloudpickle"),
        *("--workers", str(executors), "--loglevel", "WARNING", *given),
    ]
    environment = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    process = subprocess.Popen(command, env={**environment, "PYDOREDIS_URL": url})
    try:
        yield Queue(name, url)
    finally:
        end([process], 30)


def threads_of_blas() -> int:
    """How many threads NumPy's library has."""
    return max(int(each["num_threads"]) for each in threadpoolctl.threadpool_info())


def rate(queue: Queue, executors: int, size: int, products: int) -> float:
    """Products in a second of a loop of a few tasks for each executor."""
    tasks = TASKS_EACH * executors

    def body(number: int) -> float:
        matrix = np.random.default_rng(number).random((size, size))
        for _ in range(products):
            matrix = (matrix @ matrix) / size
        return float(matrix[0, 0])

    began_s = time.perf_counter()
    assert len(queue.foreach(number=range(tasks), chunk_size=1).dopar(body)) == tasks
    return tasks * products / (time.perf_counter() - began_s)


if __name__ == "__main__":
    raise SystemExit(main())
