"""Where the time of a task goes, what an idle worker uses, and whether a busy one grows.

    python -m benchmarks.breakdown [--tasks 20000] [--batch 100000] [--batches 3] [--idle 20]

No-op tasks of one iteration, prepared ahead and fed to one agent with two executors, once R's and once
Python's. Needs R with doRedis (whose messages the R tasks are) and Linux.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.feeding import Material, feed, from_python, from_r
from benchmarks.pools import our_workers
from pydoredis.server import EmbeddedServer
from pydoredis.worker.engines.base import Engine
from pydoredis.worker.engines.python import PythonEngine
from pydoredis.worker.engines.r import REngine
from rinterop.runtime import embedded
from tests.peers.processes import descendants

WORKERS = 2

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Options(argparse.Namespace):
    """The command line."""

    tasks: int
    batch: int
    batches: int
    idle: float
    json: Path | None


def processor_s(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def resident_mb(pid: int) -> float:
    """Megabytes of memory that a process has in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def server_s(client: redis.Redis) -> float:
    """Seconds of processor time that the server has used."""
    used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def evaluation_us(engine: Engine, material: Material, tasks: int) -> float:
    """Microseconds that an engine takes for a task: no pipe, no agent, no Redis."""
    engine.load(1, material.environment)
    for task in material.tasks:
        engine.run(1, task, {})
    rounds = max(1, tasks // len(material.tasks))
    began = time.process_time()
    for _ in range(rounds):
        for task in material.tasks:
            engine.run(1, task, {})
    return (time.process_time() - began) / (rounds * len(material.tasks)) * 1e6


class Pool:
    """An agent and its executors, watched from outside."""

    def __init__(self, client: redis.Redis, agent: int) -> None:
        self._client = client
        self._pids = [agent, *descendants(agent)]

    def idle(self, seconds: float) -> Sequence[float]:
        """Shares of a core that agent and executors use while there is nothing to do."""
        before = self._used()
        time.sleep(seconds)
        return [(now - then) / seconds for then, now in zip(before, self._used(), strict=True)]

    def busy(self, material: Material, tasks: int) -> tuple[float, Sequence[float], float]:
        """Tasks per second; microseconds of processor time per task of agent and executors; of Redis."""
        before, server_before = self._used(), server_s(self._client)
        seconds = feed(self._client, material, tasks)
        used = [(now - then) / tasks * 1e6 for then, now in zip(before, self._used(), strict=True)]
        return tasks / seconds, used, (server_s(self._client) - server_before) / tasks * 1e6

    def memory_mb(self) -> Sequence[float]:
        """What agent and executors have in use."""
        return [resident_mb(pid) for pid in self._pids]

    def _used(self) -> list[float]:
        return [processor_s(pid) for pid in self._pids]


def show(
    kind: str,
    client: redis.Redis,
    material: Material,
    engine: Engine,
    options: Options,
    figures: report.Figures,
) -> None:
    """Print the tables of one kind of executor."""
    with our_workers(client.connection_pool.connection_kwargs["port"], WORKERS, kind) as (process,):
        pool = Pool(client, process.pid)
        idle = pool.idle(options.idle)
        memory = [pool.memory_mb()]
        feed(client, material, 2000)
        rate, used, server = pool.busy(material, options.tasks)
        for _ in range(options.batches):
            feed(client, material, options.batch)
            memory.append(pool.memory_mb())
    figures.add(f"{kind}, prepared tasks", rate, "1/s")
    evaluation = evaluation_us(engine, material, options.tasks)
    agent, executors = used[0], sum(used[1:])
    parts = Table(
        title=f"{rate:,.0f} tasks/s, {WORKERS} {kind} executors: processor time", title_justify="left"
    )
    parts.add_column("of")
    parts.add_column("µs/task", justify="right")
    for name, value in (
        ("executors, evaluation of the task", evaluation),
        ("executors, frames and all else", executors - evaluation),
        ("agent", agent),
        ("Redis, with the feeding", server),
    ):
        parts.add_row(name, f"{value:.1f}")
        figures.add(f"{kind}, processor time of a task: {name}", value, "µs")
    sizes = Table(title=f"{kind}: memory in MB, and use when idle", title_justify="left")
    sizes.add_column("process")
    for n in range(len(memory)):
        sizes.add_column(f"{n * options.batch:,} tasks" if n else "start", justify="right")
    sizes.add_column("idle, % of a core", justify="right")
    for n, share in enumerate(idle):
        name = f"executor {n}" if n else "agent"
        sizes.add_row(name, *(f"{look[n]:.1f}" for look in memory), f"{share * 100:.2f}")
        figures.add(
            f"{kind}, memory after {options.batches * options.batch:,} tasks: {name}", memory[-1][n], "MB"
        )
        figures.add(f"{kind}, processor when idle: {name}", share * 100, "%")
    console = Console()
    console.print(parts)
    console.print(sizes)


def main() -> None:
    """Print all tables."""
    arguments = report.parser(__doc__)
    arguments.add_argument("--tasks", type=int, default=20_000, help="tasks to take the times of")
    arguments.add_argument("--batch", type=int, default=100_000, help="tasks between two looks at memory")
    arguments.add_argument("--batches", type=int, default=3, help="looks at memory after the first")
    arguments.add_argument("--idle", type=float, default=20, help="seconds to look at an idle worker")
    options = arguments.parse_args(namespace=Options())
    figures = report.Figures()
    with EmbeddedServer(password="") as server, redis.Redis(port=server.port) as client:
        r_engine = REngine(embedded.start(), lambda _: (b"", b""), "R")
        show("rpy2", client, from_r(client, server.port), r_engine, options, figures)
        show("cloudpickle", client, from_python(), PythonEngine(), options, figures)
    figures.write(options.json)


if __name__ == "__main__":
    main()
