"""What a task costs against its length: chunk sizes of ours, and RQ, Dask and joblib beside them.

    python -m benchmarks.task_length [--rounds 3] [--share 1.0] [--no-peers]

Bodies use the processor for 0 µs to 100 ms, on two workers of each system. The figure is the time of a worker
that a task takes: two workers, times the seconds of the loop, by the number of tasks. What exceeds the length
of the body is the cost. Workers, coordinator and server share the processors, as the bodies do.
"""

from __future__ import annotations

import functools
import multiprocessing
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from benchmarks import NOT_INSTALLED, report
from benchmarks.python_jobs import checked
from benchmarks.python_systems import OURS, PEERS, WORKERS, System, pydoredis_pool
from pydoredis.server import EmbeddedServer

LENGTHS_S = {"0 µs": 0.0, "100 µs": 1e-4, "1 ms": 1e-3, "10 ms": 1e-2, "100 ms": 1e-1}
LOOP_S = 1.0
"""Bodies of a loop take about so long, if the system is quick enough for that."""

ONE_BY_ONE = replace(OURS, name="pydoredis, chunk_size=1")
AUTOMATIC = replace(
    OURS,
    name='pydoredis, chunk_size="auto"',
    started=functools.partial(pydoredis_pool, chunk_size="auto"),
    tasks=200_000,
)
SYSTEMS = (
    AUTOMATIC,
    ONE_BY_ONE,
    *(system for system in PEERS if system.module in ("rq", "distributed", "joblib")),
)


def measure(system: System, share: float) -> dict[str, float]:
    """Seconds of a worker for each task, by its length."""
    found = {}
    with EmbeddedServer() as server, system.started(server.url) as run:
        checked(run, 200)
        for name, seconds in LENGTHS_S.items():
            enough = int(WORKERS * LOOP_S / seconds) if seconds else system.tasks
            tasks = max(4, int(min(enough, system.tasks) * share))
            found[name] = checked(run, tasks, seconds) * WORKERS / tasks
    return found


def main() -> None:
    """Print a table."""
    options = report.parser_beside_peers(__doc__).parse_args()
    systems = [system for system in SYSTEMS if not (options.no_peers and system in PEERS)]
    runs: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(options.rounds):
        for system in systems:
            if system.is_installed():
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                    runs[system.name].append(process.submit(measure, system, options.share).result())
    figures = report.Figures()
    table = Table(title="time of a worker for each task (in brackets: share of it that is the body's)")
    table.add_column("system")
    for name in LENGTHS_S:
        table.add_column(name, justify="right")
    for system in systems:
        if system.name not in runs:
            table.add_row(system.name, NOT_INSTALLED)
            continue
        cells = []
        for name, length_s in LENGTHS_S.items():
            taken_s = min(run[name] for run in runs[system.name])
            figures.add(f"a task of {name}: {system.name}", taken_s * 1e6, "µs")
            share = f" ({length_s / taken_s:.0%})" if length_s else ""
            cells.append(f"{taken_s * 1e6:,.0f} µs{share}")
        table.add_row(system.name, *cells)
    Console(width=140).print(table)
    figures.write(options.json)


if __name__ == "__main__":
    main()
