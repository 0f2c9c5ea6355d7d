"""The constants of the cost model in docs/performance.md: what a loop, a task, an iteration and a MB cost.

    python -m benchmarks.cost_model [--share 1.0]

Processor time of coordinator, agent, Redis and executors, over loops of Python with chunk sizes 1 and 1,000:
what a chunk shares is the cost of a task, what it does not share is that of an iteration. Needs Linux.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import redis
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.breakdown import server_s
from benchmarks.loops import MB, median_s, once_s, processor_s, same
from pydoredis.queue import Queue
from pydoredis.server import EmbeddedServer
from tests.peers.processes import descendants

WORKERS = 2
CHUNK = 1000
TASKS = 20_000
ITERATIONS = 500_000
PROCESSES = ("coordinator", "agent", "Redis", "executors, all together")


class Costs:
    """Takes the processor time of all that takes part in a loop.

    Args:
        queue: With a pool.
        agent: The pool's agent.
        client: A connection to the server.
    """

    def __init__(self, queue: Queue, agent: int, client: redis.Redis) -> None:
        self._queue = queue
        self._agent = agent
        self._client = client

    def of_iterations(self, iterations: int, chunk_size: int) -> tuple[Sequence[float], float]:
        """Microseconds of processor for each iteration, by process; iterations per second."""
        loop = self._queue.foreach(i=range(iterations), chunk_size=chunk_size)
        loop.dopar(same)
        before_s = self._used_s()
        taken_s = once_s(lambda: loop.dopar(same))
        used_s = [now - then for then, now in zip(before_s, self._used_s(), strict=True)]
        return [each / iterations * 1e6 for each in used_s], iterations / taken_s

    def _used_s(self) -> Sequence[float]:
        executors = sum(processor_s(pid) for pid in descendants(self._agent))
        return time.process_time(), processor_s(self._agent), server_s(self._client), executors


def main() -> None:
    """Print the tables."""
    arguments = report.parser(__doc__)
    arguments.add_argument("--share", type=float, default=1.0, help="do so much of everything, 0 to 1")
    options = arguments.parse_args()
    figures = report.Figures()
    with EmbeddedServer() as server, server.client() as client:
        queue = Queue("BENCH", server.url)
        with queue.start_local_workers(WORKERS, codec="cloudpickle") as pool:
            costs = Costs(queue, pool.pids[0], client)
            single, single_rate = costs.of_iterations(max(100, int(TASKS * options.share)), 1)
            chunked, chunked_rate = costs.of_iterations(max(1000, int(ITERATIONS * options.share)), CHUNK)
            add_wall_times(figures, queue, options.share)
    figures.add("tasks, chunk size 1", single_rate, "1/s")
    figures.add(f"iterations, chunk size {CHUNK:,}", chunked_rate, "1/s")
    table = Table(title=f"processor time, {WORKERS} executors", title_justify="left")
    for column in ("of", "a task, µs", "each iteration of it, µs"):
        table.add_column(column, justify="right" if column != "of" else "left")
    sums = [0.0, 0.0]
    for process, alone, shared in zip(PROCESSES, single, chunked, strict=True):
        # alone = task + iteration, shared = task / CHUNK + iteration
        task = (alone - shared) / (1 - 1 / CHUNK)
        iteration = alone - task
        figures.add(f"a task: {process}", task, "µs")
        figures.add(f"an iteration: {process}", iteration, "µs")
        table.add_row(process, f"{task:.1f}", f"{iteration:.2f}")
        sums = [sums[0] + task, sums[1] + iteration]
    table.add_section()
    table.add_row("sum", f"{sums[0]:.1f}", f"{sums[1]:.2f}")
    console = Console(width=110)
    console.print(table)
    for name, value, unit in figures:
        if ": " not in name:
            console.print(f"{name:40} {value:12,.3f} {unit}", highlight=False)
    figures.write(options.json)


def add_wall_times(figures: report.Figures, queue: Queue, share: float) -> None:
    """What cannot be told from processor times: a lone loop, and a megabyte."""
    lone_s = median_s(lambda: queue.foreach(i=[1]).dopar(same), max(10, int(400 * share)))
    figures.add("a loop of one iteration", lone_s * 1e3, "ms")
    size = max(1, int(100 * share))
    x = np.random.default_rng(1).random(size * MB // 8)
    loop = queue.foreach(i=range(8))
    figures.add("a MB exported", median_s(lambda: loop.dopar(lambda i: float(x[i])), 3) / size * 1e3, "ms")
    each = size * MB // 80
    results_s = median_s(lambda: loop.dopar(lambda i: np.full(each, float(i))), 3)
    figures.add("a MB of results", results_s / (0.8 * size) * 1e3, "ms")


if __name__ == "__main__":
    main()
