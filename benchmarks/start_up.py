"""How long it takes to start: imports, `--help`, and workers until their first result.

    python -m benchmarks.start_up [--runs 9]

Each figure is the median of runs in turn, and beside it the ratio to `python -c "import redis"` of the same
runs: on a busy machine all of them grow together. A worker's time is from the start of its process until the
result of a task that waits in the queue is in Redis.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.pools import QUEUE
from pydoredis.errors import EvaluatorError
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.protocol.r import RCodec, RExpression
from pydoredis.server import EmbeddedServer
from pydoredis.worker import engines

UNIT = "import redis"
JOB = "1_user_host_2026-11-23-11:45:31.773"
TIMEOUT_S = 60

Measure = Callable[[], float]


def main() -> int:
    """Print a table."""
    parser = report.parser(__doc__)
    parser.add_argument("--runs", type=int, default=9, help="runs of each; the median counts")
    options = parser.parse_args()
    with EmbeddedServer(password="") as server, redis.Redis(port=server.port) as client:
        measures: dict[str, Measure] = {
            UNIT: lambda: _until_ended([sys.executable, "-c", "import redis"]),
            "import pydoredis": lambda: _until_ended([sys.executable, "-c", "import pydoredis"]),
            "python without anything": lambda: _until_ended([sys.executable, "-c", "pass"]),
            "pydoredis --help": lambda: _until_ended([*_program(), "--help"]),
            **{
                f"worker {' '.join(arguments)}, first {codec} task": _worker(client, codec, arguments)
                for codec, arguments in _workers()
            },
        }
        taken: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(options.runs + 1):
            for name, measure in measures.items():
                taken[name].append(measure())
    found = {name: statistics.median(times[1:]) for name, times in taken.items()}
    Console(width=110).print(_table(found))
    figures = report.Figures()
    for name, seconds in found.items():
        figures.add(f"start: {name}", seconds, "s")
    figures.write(options.json)
    return 0


def _program() -> list[str]:
    """`pydoredis`, as it is installed beside this Python; or without its script."""
    script = Path(sys.executable).with_name("pydoredis")
    return [str(script)] if script.exists() else [sys.executable, "-m", "pydoredis"]


def _workers() -> list[tuple[engines.Codec, Sequence[str]]]:
    """Languages of the first task, and options of the worker that runs it."""
    found: list[tuple[engines.Codec, Sequence[str]]] = [("cloudpickle", ("--codec", "cloudpickle"))]
    for engine in ("rpy2", "rscript"):
        try:
            engines.choose_r_engine(engine)
        except EvaluatorError as error:
            print(f"left out: {error}", file=sys.stderr)
        else:
            found.append(("r", ("--codec", "r", "--r-engine", engine)))
    if len(found) > 1:
        found += [("r", ()), ("cloudpickle", ())]
    return found


def _until_ended(command: Sequence[str]) -> float:
    began_s = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began_s


def _worker(client: redis.Redis, codec: engines.Codec, arguments: Sequence[str]) -> Measure:
    """Starts a worker with one executor on a queue where a task waits; seconds until its result is there."""
    keys = QueueKeys(QUEUE)
    coder = PythonCodec(Program(_nothing)) if codec == "cloudpickle" else RCodec(RExpression("NULL"))
    environment, task = coder.encode_environment().value, coder.encode_task(JOB, 1, [((), {})])
    port = client.connection_pool.connection_kwargs["port"]
    command = [*_program(), "worker", "--queue", QUEUE, "--workers", "1", "--port", str(port), *arguments]

    def measure() -> float:
        client.flushall()
        client.set(keys.live, "")
        client.set(keys.env(JOB), environment)
        client.rpush(QUEUE, task)
        began_s = time.perf_counter()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            if client.blpop([keys.out(JOB)], timeout=TIMEOUT_S) is None:
                raise SystemExit(f"no result within {TIMEOUT_S} s: {command}")
            return time.perf_counter() - began_s
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)

    return measure


def _nothing() -> None:
    pass


def _table(found: dict[str, float]) -> Table:
    table = Table(title="Start-up", title_justify="left")
    table.add_column("")
    table.add_column("s", justify="right")
    table.add_column(f"python -c '{UNIT}' = 1", justify="right")
    for name, seconds in found.items():
        table.add_row(name, f"{seconds:.3f}", f"{seconds / found[UNIT]:.2f}")
    return table


if __name__ == "__main__":
    raise SystemExit(main())
