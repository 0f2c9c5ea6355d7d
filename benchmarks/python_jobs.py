"""Python jobs: no-op tasks beside RQ, Celery, huey, Dramatiq, Dask and joblib; latency; chunks; memory.

    python -m benchmarks.python_jobs [--rounds 3] [--share 1.0] [--no-peers]

The peers come with `pip install -e '.[bench]'`; one that is missing is left out, with a note. All figures
are from one run on one machine, so their ratios mean more than they do. Each system has a fresh Redis server.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Literal

import redis
from rich.console import Console
from rich.table import Table

from benchmarks import NOT_INSTALLED, report
from benchmarks.python_systems import OURS, PEERS, WORKERS, Run, System
from pydoredis.loops.foreach import Foreach
from pydoredis.queue import Queue
from pydoredis.server import EmbeddedServer

SINGLES = 100
"""Lone tasks, of whose times the median counts."""

SAMPLE_S = 0.02
STAGES = (0.1, 0.5, 1.0)
"""Shares of the iterations at which the peaks of memory so far are noted."""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MB = 1024 * 1024


def checked(run: Run, tasks: int, length_s: float = 0.0) -> float:
    """Seconds that the tasks take, all of whose values are right."""
    began = time.perf_counter()
    values = run(tasks, length_s)
    seconds = time.perf_counter() - began
    if len(values) != tasks or sum(values) != sum(range(tasks)):
        raise SystemExit(f"wrong values: {len(values)} of {tasks}, sum {sum(values)}")
    return seconds


def measure(system: System, share: float) -> tuple[float, float]:
    """Tasks per second, and seconds for a lone task, the median of `SINGLES`."""
    tasks = max(100, int(system.tasks * share))
    with EmbeddedServer() as server, system.started(server.url) as run:
        checked(run, tasks // 5)
        rate = tasks / checked(run, tasks)
        lone = [checked(run, 1) for _ in range(SINGLES)]
    return rate, statistics.median(lone)


def beside_peers(rounds: int, share: float, figures: report.Figures, *, with_peers: bool) -> Table:
    """No-op tasks one by one.

    Each round measures every system, so that all get their share of a machine's quiet and busy times; the
    best of the rounds counts, for what else a machine does only slows things down.
    """
    systems = [OURS, *(PEERS if with_peers else ())]
    installed = [system for system in systems if system.is_installed()]
    found: dict[str, list[tuple[float, float]]] = {system.name: [] for system in installed}
    for _ in range(rounds):
        for system in installed:
            # In a process of its own: Celery keeps to the first server that it has seen.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                found[system.name].append(process.submit(measure, system, share).result())
    best = {
        name: (max(rate for rate, _ in all_), min(lone for _, lone in all_)) for name, all_ in found.items()
    }
    table = Table(
        title=f"no-op tasks, one iteration each, {WORKERS} worker processes, best of {rounds}",
        caption="\n".join(f"{system.name}: {system.settings}" for system in systems),
        caption_justify="left",
    )
    table.add_column("system")
    for column in ("tasks/s", "we: times as many", "a lone task, ms", "we: times as quick"):
        table.add_column(column, justify="right")
    our_rate, our_lone = best[OURS.name]
    for system in systems:
        if system.name not in best:
            table.add_row(system.name, NOT_INSTALLED)
            continue
        rate, lone = best[system.name]
        figures.add(f"no-op tasks: {system.name}", rate, "1/s")
        figures.add(f"a lone task: {system.name}", lone * 1e3, "ms")
        table.add_row(
            system.name,
            *(f"{rate:,.0f}", f"{our_rate / rate:.1f}"),
            *(f"{lone * 1e3:.2f}", f"{lone / our_lone:.1f}"),
        )
    return table


class MemoryWatch:
    """Peaks of this process's memory and of the server's, as a loop goes on: its `progress` function.

    Args:
        client: A connection to the server.
        iterations: How many there are.
    """

    def __init__(self, client: redis.Redis, iterations: int) -> None:
        self._client = client
        self._due = [(share, int(share * iterations)) for share in STAGES]
        self._next_s = 0.0
        self._resident = self._used = 0
        self.peaks: dict[float, tuple[int, int]] = {}

    def __call__(self, done: int, total: int | None) -> None:
        """So many iterations are done."""
        reached = bool(self._due) and done >= self._due[0][1]
        now_s = time.monotonic()
        if now_s < self._next_s and not reached:
            return
        self._next_s = now_s + SAMPLE_S
        self._resident = max(self._resident, resident())
        information: Any = self._client.info("memory")
        self._used = max(self._used, information["used_memory"])
        while self._due and done >= self._due[0][1]:
            self.peaks[self._due.pop(0)[0]] = self._resident, self._used


def resident() -> int:
    """Bytes of memory that this process has in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def endless() -> Iterator[int]:
    """Iterations whose number nobody knows before."""
    yield from itertools.count()


def long_loops(iterations: int, figures: report.Figures) -> Table:
    """Loops over a generator: pace, and peaks of memory at several stages."""
    table = Table(
        title=f"{iterations:,} no-op iterations from a generator, combine '+'",
        caption="Peaks so far of the coordinator's resident memory and of the server's used_memory.",
        caption_justify="left",
    )
    for column in ("chunk size", "in order"):
        table.add_column(column)
    columns = ("iterations/s", "MB before", *(f"at {share:.0%}" for share in STAGES))
    for column in (*columns, *(f"Redis, MB at {share:.0%}" for share in STAGES)):
        table.add_column(column, justify="right")
    chunk_sizes: tuple[int | Literal["auto"], ...] = ("auto", 100)
    for chunk_size, inorder in itertools.product(chunk_sizes, (False, True)):
        with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
            queue = Queue("BENCH", server.url)
            with queue.start_local_workers(WORKERS, codec="cloudpickle"):
                queue.foreach(x=range(10_000), chunk_size=100).dopar(lambda x: x)
                watch, before = MemoryWatch(client, iterations), resident()
                loop = queue.foreach(
                    x=itertools.islice(endless(), iterations),
                    combine="+",
                    inorder=inorder,
                    chunk_size=chunk_size,
                    progress=watch,
                )
                began = time.perf_counter()
                value = loop.dopar(lambda x: x)
                seconds = time.perf_counter() - began
        if value != sum(range(iterations)):
            raise SystemExit(f"wrong value: {value}")
        peaks = [watch.peaks[share] for share in STAGES]
        kind = f"chunk size {chunk_size}, {'in order' if inorder else 'in any order'}"
        figures.add(f"a long loop: {kind}", iterations / seconds, "1/s")
        figures.add(f"a long loop, growth of the coordinator: {kind}", (peaks[-1][0] - before) / _MB, "MB")
        figures.add(f"a long loop, peak of Redis: {kind}", peaks[-1][1] / _MB, "MB")
        table.add_row(
            *(str(chunk_size), "yes" if inorder else "no", f"{iterations / seconds:,.0f}"),
            f"{before / _MB:.1f}",
            *(f"{peak[place] / _MB:.1f}" for place in (0, 1) for peak in peaks),
        )
    return table


def as_run(loop: Foreach[Any, Any]) -> Run:
    """The loop, whose number of iterations is settled."""

    def run(tasks: int, seconds: float = 0.0) -> list[Any]:
        values: list[Any] = loop.dopar(lambda x: x)
        return values

    return run


def automatic(iterations: int, rounds: int, figures: report.Figures) -> Table:
    """The pace with chunks of a measured size, from the first iteration on."""
    table = Table(title=f"{iterations:,} no-op iterations of a range, chunk_size='auto', best of {rounds}")
    table.add_column("in order")
    table.add_column("iterations/s", justify="right")
    for inorder in (False, True):
        with EmbeddedServer() as server:
            queue = Queue("BENCH", server.url)
            with queue.start_local_workers(WORKERS, codec="cloudpickle"):
                loop = queue.foreach(x=range(iterations), inorder=inorder, chunk_size="auto")
                seconds = [checked(as_run(loop), iterations) for _ in range(rounds)]
        table.add_row("yes" if inorder else "no", f"{iterations / min(seconds):,.0f}")
        order = "in order" if inorder else "in any order"
        figures.add(f"iterations, chunk size auto: {order}", iterations / min(seconds), "1/s")
    return table


def main() -> None:
    """Print the tables."""
    options = report.parser_beside_peers(__doc__).parse_args()
    console, figures = Console(width=120), report.Figures()
    console.print(beside_peers(options.rounds, options.share, figures, with_peers=not options.no_peers))
    console.print(automatic(int(500_000 * options.share), options.rounds, figures))
    console.print(long_loops(int(1_000_000 * options.share), figures))
    figures.write(options.json)


if __name__ == "__main__":
    main()
