"""Executors: submit of no-op calls, one by one, beside foreach, ProcessPoolExecutor, loky and Dask; memory.

    python -m benchmarks.executors [--rounds 3] [--share 1.0] [--no-peers]

Each round measures every executor, so that all get their share of a machine's quiet and busy times; the best
of the rounds counts. All have two worker processes; all futures are asked for their results.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import NOT_INSTALLED, report
from benchmarks.python_jobs import measure, resident
from benchmarks.python_systems import OURS, WORKERS, Run, System, same
from pydoredis.futures.executor import Executor
from pydoredis.server import EmbeddedServer

OUT = 1000
"""Calls that are out at a time where a program submits as many as it has results."""

_MB = 1024 * 1024


def submitting(submit: Callable[..., Any]) -> Run:
    """A run of calls that are submitted one by one."""

    def run(tasks: int, seconds: float = 0.0) -> Sequence[int]:
        calls = [submit(same, number) for number in range(tasks)]
        return [call.result() for call in calls]

    return run


@contextlib.contextmanager
def ours(url: str) -> Iterator[Run]:
    """One agent with two executors."""
    with Executor(WORKERS, queue="BENCH", url=url) as executor:
        yield submitting(executor.submit)


@contextlib.contextmanager
def ours_mapping(url: str) -> Iterator[Run]:
    """The same with tasks of 100 calls."""
    with Executor(WORKERS, queue="BENCH", url=url) as executor:

        def run(tasks: int, seconds: float = 0.0) -> Sequence[int]:
            return [*executor.map(same, range(tasks), chunksize=100)]

        yield run


@contextlib.contextmanager
def process_pool(url: str) -> Iterator[Run]:
    """The standard library's: pipes on this machine, no Redis."""
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as executor:
        yield submitting(executor.submit)


@contextlib.contextmanager
def loky(url: str) -> Iterator[Run]:
    """joblib's: pipes on this machine, cloudpickle."""
    from joblib.externals.loky import ProcessPoolExecutor as Loky

    executor = Loky(WORKERS)
    try:
        yield submitting(executor.submit)
    finally:
        executor.shutdown()


@contextlib.contextmanager
def dask(url: str) -> Iterator[Run]:
    """A scheduler and two worker processes of one thread each."""
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set({"distributed.scheduler.worker-saturation": float("inf")}),
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield submitting(lambda function, number: client.submit(function, number, pure=False))


SYSTEMS = (
    System("pydoredis.Executor", "pydoredis", "submit", ours, 10_000),
    System("pydoredis.Executor, map", "pydoredis", "chunksize=100", ours_mapping, 50_000),
    System("pydoredis.foreach", "pydoredis", "chunk_size=1", OURS.started, 20_000),
)
PEERS = (
    System("ProcessPoolExecutor", "concurrent", "pipes on this machine, no Redis", process_pool, 10_000),
    System("loky", "joblib", "pipes on this machine, no Redis", loky, 5_000),
    System("Dask, client.submit", "distributed", "LocalCluster of processes", dask, 2_000),
)


def beside_peers(rounds: int, share: float, made: report.Figures, *, with_peers: bool) -> Table:
    """Calls per second, and the time of a lone call."""
    systems = [*SYSTEMS, *(PEERS if with_peers else ())]
    found: dict[str, list[tuple[float, float]]] = {
        system.name: [] for system in systems if system.is_installed()
    }
    for _ in range(rounds):
        for system in systems:
            if system.name in found:
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                    found[system.name].append(process.submit(measure, system, share).result())
    table = Table(
        title=f"no-op calls, {WORKERS} worker processes, best of {rounds}",
        caption="\n".join(f"{system.name}: {system.settings}" for system in systems),
        caption_justify="left",
    )
    table.add_column("executor")
    for column in ("calls/s", "Executor: times as many", "a lone call, ms"):
        table.add_column(column, justify="right")
    ours_per_s = max(rate for rate, _ in found[SYSTEMS[0].name])
    for system in systems:
        if system.name not in found:
            table.add_row(system.name, NOT_INSTALLED)
            continue
        rate = max(rate for rate, _ in found[system.name])
        lone_s = min(lone_s for _, lone_s in found[system.name])
        made.add(f"no-op calls: {system.name}", rate, "1/s")
        made.add(f"a lone call: {system.name}", lone_s * 1e3, "ms")
        table.add_row(system.name, f"{rate:,.0f}", f"{ours_per_s / rate:.2f}", f"{lone_s * 1e3:.2f}")
    return table


def memory(calls: int, made: report.Figures) -> Table:
    """Memory of a program that submits call after call and takes each result."""
    table = Table(title=f"{calls:,} calls, {OUT:,} at a time: resident memory of the program, MB")
    marks = [calls * share // 10 for share in (1, 5, 10)]
    for mark in marks:
        table.add_column(f"after {mark:,}", justify="right")
    found = []
    with (
        EmbeddedServer() as server,
        ours(server.url) as _,
        Executor(queue="BENCH", url=server.url) as executor,
    ):
        out: deque[futures.Future[int]] = deque()
        began_s = time.perf_counter()
        for number in range(1, calls + 1):
            out.append(executor.submit(same, number))
            if len(out) == OUT:
                out.popleft().result()
            if number in marks:
                found.append(resident() / _MB)
        total = sum(call.result() for call in out)
        seconds = time.perf_counter() - began_s
    if total != sum(range(calls - len(out) + 1, calls + 1)):
        raise SystemExit(f"wrong values: {total}")
    made.add("growth of memory over a long run", found[-1] - found[0], "MB")
    made.add("calls in a long run", calls / seconds, "1/s")
    table.add_row(*(f"{size:.1f}" for size in found))
    return table


def main() -> None:
    """Print the tables."""
    options = report.parser_beside_peers(__doc__).parse_args()
    console, made = Console(width=120), report.Figures()
    console.print(beside_peers(options.rounds, options.share, made, with_peers=not options.no_peers))
    console.print(memory(int(1_000_000 * options.share), made))
    made.write(options.json)


if __name__ == "__main__":
    main()
