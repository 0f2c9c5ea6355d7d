"""Speed-up by executors: loops whose bodies sleep, on 1 to 16 executors of one agent.

    python -m benchmarks.speedup [--executors 1 2 4 8 16] [--milliseconds 20] [--tasks 100]

A body that sleeps uses no processor, so a machine of two shows what more executors bring: what is lost is the
work of coordinator, agent and Redis. One by one in this process, the bodies are what counts as 1.
"""

from __future__ import annotations

import time

from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.loops import median_s, once_s
from pydoredis.queue import Queue
from pydoredis.server import EmbeddedServer


def main() -> None:
    """Print a table."""
    arguments = report.parser(__doc__)
    arguments.add_argument("--executors", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    arguments.add_argument("--milliseconds", type=float, default=20.0, help="for which each body sleeps")
    arguments.add_argument("--tasks", type=int, default=100, help="for each executor")
    options = arguments.parse_args()
    seconds = options.milliseconds / 1000
    alone_s = median_s(lambda: time.sleep(seconds), 20)
    figures = report.Figures()
    table = Table(title=f"tasks that sleep for {options.milliseconds:g} ms, chunk size 1")
    for column in ("executors", "speed-up", "of the ideal"):
        table.add_column(column, justify="right")
    for executors in options.executors:
        times = measure(executors, executors * options.tasks, seconds, alone_s)
        figures.add(f"speed-up: {executors}", times, "times")
        table.add_row(str(executors), f"{times:.2f}", f"{times / executors:.1%}")
    Console(width=110).print(table)
    figures.write(options.json)


def measure(executors: int, tasks: int, seconds: float, alone_s: float) -> float:
    """How many times as fast as one by one so many executors are."""
    with EmbeddedServer() as server:
        queue = Queue("BENCH", server.url, chunk_size=1)
        with queue.start_local_workers(executors, codec="cloudpickle"):
            queue.foreach(i=range(10 * executors)).dopar(lambda i: time.sleep(seconds))
            taken_s = once_s(lambda: queue.foreach(i=range(tasks)).dopar(lambda i: time.sleep(seconds)))
    return tasks * alone_s / taken_s


if __name__ == "__main__":
    main()
