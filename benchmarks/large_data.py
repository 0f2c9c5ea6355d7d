"""Large data: 100 MB exported to tasks, results of 10 MB; R's workers and ours, and Redis alone beside them.

    python -m benchmarks.large_data [--runs 3] [--workers 2]

Seconds of one loop on workers that have run one before, the least of several runs in turn. R's workers need
doRedis and are left out where it is not installed.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import redis
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.loops import MB, once_s
from benchmarks.pools import QUEUE, our_workers, r_workers, run_r
from pydoredis.queue import Queue
from pydoredis.server import EmbeddedServer
from tests.conftest import missing_r_packages

COORDINATOR = """
library(doRedis)
registerDoRedis("{queue}", port = {port})
invisible(foreach(i = 1:4) %dopar% i)
x <- runif({numbers})
timed <- function(code) {{ gc(FALSE); system.time(code)[["elapsed"]] }}
export <- timed(y <- foreach(i = 1:8, .combine = "+", .export = "x") %dopar% (x[i] + length(x)))
stopifnot(all.equal(y, sum(x[1:8]) + 8 * length(x)))
rm(x)
results <- timed(y <- foreach(i = 1:8) %dopar% runif({result_numbers}))
stopifnot(all(lengths(y) == {result_numbers}))
key <- "floor"
x <- runif({numbers})
server <- redux::hiredis(port = {port})
floor <- timed({{ server$SET(key, serialize(x, NULL)); y <- unserialize(server$GET(key)) }})
invisible(server$DEL(key))
cat(sprintf('{{"export": %.4f, "results": %.4f, "floor": %.4f}}\\n', export, results, floor))
"""


def of_r(port: int, exported: int, result: int) -> dict[str, float]:
    """Seconds of the loops of an R coordinator, and of a value's way to Redis and back."""
    program = COORDINATOR.format(queue=QUEUE, port=port, numbers=exported // 8, result_numbers=result // 8)
    return run_r(program)


def of_python(port: int, exported: int, result: int) -> dict[str, float]:
    """The same of a Python coordinator."""
    queue = Queue(QUEUE, f"redis://127.0.0.1:{port}/0")
    assert queue.foreach(i=range(4)).dopar(lambda i: i) == [0, 1, 2, 3]
    x = np.random.default_rng(1).random(exported // 8)

    def export() -> None:
        values = queue.foreach(i=range(8)).dopar(lambda i: float(x[i]) + len(x))
        assert np.isclose(sum(values), sum(x[:8]) + 8 * len(x))

    def results() -> None:
        values = queue.foreach(i=range(8)).dopar(lambda i: np.random.default_rng(i).random(result // 8))
        assert all(len(value) == result // 8 for value in values)

    def floor() -> None:
        with redis.Redis(port=port) as client:
            client.set("floor", pickle.dumps(x, protocol=5))
            assert len(pickle.loads(client.get("floor"))) == len(x)
            client.delete("floor")

    return {"export": once_s(export), "results": once_s(results), "floor": once_s(floor)}


def main() -> None:
    """Print a table."""
    parser, figures = report.parser(__doc__), report.Figures()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--megabytes", type=int, default=100, help="exported; results have a tenth each")
    options = parser.parse_args()
    sizes = (options.megabytes * MB, options.megabytes * MB // 10)
    with EmbeddedServer(password="") as server:
        port = server.port
        kinds: dict[
            str, tuple[Callable[[], AbstractContextManager[Any]], Callable[..., dict[str, float]]]
        ] = {
            "R, doRedis's workers": (lambda: r_workers(port, options.workers), of_r),
            "R, pydoredis (rpy2)": (lambda: our_workers(port, options.workers, "rpy2"), of_r),
            "R, pydoredis (Rscript)": (lambda: our_workers(port, options.workers, "rscript"), of_r),
            "Python, pydoredis": (lambda: our_workers(port, options.workers, "cloudpickle"), of_python),
        }
        if missing_r_packages():
            kinds = {name: kind for name, kind in kinds.items() if name.startswith("Python")}
        least: dict[str, dict[str, float]] = defaultdict(dict)
        for _ in range(options.runs):
            for name, (workers, coordinate) in kinds.items():
                with workers():
                    for what, seconds in coordinate(port, *sizes).items():
                        least[name][what] = min(seconds, least[name].get(what, seconds))
    table = Table(title=f"{options.megabytes} MB exported to 8 tasks; 8 results of a tenth of that; seconds")
    for column in ("", "exported", "results", "a value to Redis and back"):
        table.add_column(column, justify="right" if column else "left")
    for name, found in least.items():
        table.add_row(name, *(f"{found[what]:.2f}" for what in ("export", "results", "floor")))
        for what, seconds in found.items():
            figures.add(f"{options.megabytes} MB, {what}: {name}", seconds, "s")
    Console(width=110).print(table)
    figures.write(options.json)


if __name__ == "__main__":
    main()
