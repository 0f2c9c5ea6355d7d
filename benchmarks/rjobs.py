"""R jobs: an R coordinator on R workers and on ours; our agent alone; where the time of a task goes.

    python -m benchmarks.rjobs [--tasks 1000] [--fed 20000]

Needs R with doRedis. All figures of one table are from one run on one
machine, so their ratios mean more than they do.
"""

from __future__ import annotations

import redis
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.feeding import feed, from_r
from benchmarks.pools import QUEUE, our_workers, r_workers, run_r
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


def coordinate(port: int, tasks: int, singles: int) -> dict[str, float]:
    """Run the R coordinator; seconds of the loop, and of a loop of one iteration."""
    program = COORDINATOR.format(queue=QUEUE, port=port, tasks=tasks, singles=singles)
    return run_r(program)


def main() -> None:
    """Print the tables."""
    arguments = report.parser(__doc__)
    arguments.add_argument("--tasks", type=int, default=1000, help="iterations of the R loop")
    arguments.add_argument("--fed", type=int, default=20000, help="prepared tasks for the agent alone")
    arguments.add_argument("--singles", type=int, default=20, help="loops of one iteration")
    options = arguments.parse_args()
    console, figures = Console(), report.Figures()
    table = Table(title=f"R coordinator, {options.tasks} no-op iterations, chunk size 1, two workers")
    for column in ("workers", "tasks/s", "ratio", "one-iteration job, ms"):
        table.add_column(column, justify="left" if column == "workers" else "right")
    fed = Table(title=f"agent alone, {options.fed} prepared R tasks, two executors")
    fed.add_column("engine")
    fed.add_column("tasks/s", justify="right")
    with EmbeddedServer(password="") as server:
        port = server.port
        with redis.Redis(port=port) as client:
            with r_workers(port, 2):
                base = coordinate(port, min(options.tasks, 200), options.singles)
            base_rate = min(options.tasks, 200) / base["seconds"]
            figures.add("tasks: R, doRedis", base_rate, "1/s")
            figures.add("loop of one iteration: R, doRedis", base["single"] * 1e3, "ms")
            table.add_row("R, doRedis 3.0.2", f"{base_rate:.1f}", "1", f"{base['single'] * 1e3:.1f}")
            for engine in ("rpy2", "rscript"):
                with our_workers(port, 2, engine):
                    ours = coordinate(port, options.tasks, options.singles)
                rate = options.tasks / ours["seconds"]
                figures.add(f"tasks: pydoredis, {engine}", rate, "1/s")
                figures.add(f"loop of one iteration: pydoredis, {engine}", ours["single"] * 1e3, "ms")
                row = (f"{rate:,.0f}", f"{rate / base_rate:.0f}", f"{ours['single'] * 1e3:.2f}")
                table.add_row(f"pydoredis, {engine}", *row)
            material = from_r(client, port)
            for engine in ("rpy2", "rscript"):
                with our_workers(port, 2, engine):
                    feed(client, material, 2000)
                    seconds = feed(client, material, options.fed)
                figures.add(f"prepared tasks: pydoredis, {engine}", options.fed / seconds, "1/s")
                fed.add_row(engine, f"{options.fed / seconds:,.0f}")
    console.print(table)
    console.print(fed)
    figures.write(options.json)


if __name__ == "__main__":
    main()
