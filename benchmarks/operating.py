"""How long a look at a full server takes: `pydoredis top --once`, and what Prometheus asks for.

    python -m benchmarks.operating [--tasks 1000000] [--agents 200]

Tasks of two jobs wait on a queue, and agents of eight executors say that they run some. There are their keys
alone. What a command takes beyond an empty server is the look itself.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import redis
from prometheus_client import CollectorRegistry, generate_latest
from rich.console import Console
from rich.table import Table

from benchmarks import report
from pydoredis.metrics import PoolCollector
from pydoredis.protocol import envelope_templates, wire
from pydoredis.protocol.keys import QueueKeys, TaskTag
from pydoredis.protocol.presence import Presence
from pydoredis.protocol.telemetry import Activity, Counters, Demand, ExecutorState, Stopwatch, Warned
from pydoredis.settings import ConnectionSettings
from pydoredis.telemetry import Telemetry
from tests.redis_process import RedisProcess

KEYS = QueueKeys("BENCH")
JOBS = tuple(f"{number}_user_host_2026-11-23-11:45:31.{number:03d}" for number in (101, 102))
EXECUTORS = 8
ROUNDS = 5
_PAGE = 10_000


def main() -> int:
    """Print a table."""
    parser, figures = report.parser(__doc__), report.Figures()
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--agents", type=int, default=200)
    options = parser.parse_args()
    found: dict[str, list[float]] = {}
    for tasks, agents in ((0, 0), (options.tasks, options.agents)):
        with RedisProcess() as server, server.client() as client:
            fill(client, tasks, agents)
            for what, seconds in measured(server.url).items():
                found.setdefault(what, []).append(seconds)
    columns = ("", "empty server", f"{options.tasks:,} tasks, {options.agents} agents")
    table = Table(*columns, title="A look at a server, seconds", title_justify="left")
    for what, (empty, full) in found.items():
        table.add_row(what, f"{empty:.3f}", f"{full:.3f}")
        figures.add(f"a look, empty: {what}", empty, "s")
        figures.add(f"a look, full: {what}", full, "s")
    Console(width=110).print(table)
    figures.write(options.json)
    return 0


def fill(client: redis.Redis, tasks: int, agents: int) -> None:
    """Put the tasks on the queue, and have the agents say what they do."""
    client.set(KEYS.live, wire.LIVE_VALUE)
    for job in JOBS:
        client.set(KEYS.env(job), b"environment")
        client.set(KEYS.demand(job), Demand(tasks, 10, tasks + 10, 0).encode(), ex=600)
    for first in range(1, tasks + 1, _PAGE):
        numbers = range(first, min(first + _PAGE, tasks + 1))
        client.rpush(
            KEYS.queue,
            *(envelope_templates.task(JOBS[n % 2], range(n, n + 1), b"x" * 50) for n in numbers),
        )
    for number in range(agents):
        announce(client, number)


def announce(client: redis.Redis, number: int) -> None:
    """What an agent says, for longer than agents do."""
    name, host, job = f"agent{number:04d}", f"host{number:04d}", JOBS[number % 2]
    pids = tuple(range(100, 100 + EXECUTORS))
    run = Stopwatch()
    run.note(0.5)
    counters = Counters(1, 1, 0, 0, 0, run.histogram(), run.histogram())
    executors = tuple(
        ExecutorState(pid, "cloudpickle", 80_000_000, KEYS.queue, job, pid, pid, 3.0) for pid in pids
    )
    does = Activity(100.0, 60_000_000, counters, executors, (Warned(5.0, "executor 1 killed by SIGSEGV"),))
    presence = Presence(name, host, 99, EXECUTORS, ("cloudpickle",), "3.11.7", "", "0.1", pids)
    pipe = client.pipeline(transaction=False)
    pipe.hset(KEYS.agents, name, str(EXECUTORS))
    pipe.incrby(KEYS.count, EXECUTORS)
    for field, value in presence.encode().items():
        pipe.hset(KEYS.agent(name), field, value)
    pipe.expire(KEYS.agent(name), 600)
    pipe.set(KEYS.activity(name), does.encode(), ex=600)
    for pid in pids:
        first = number * 1000 + pid
        tag = str(TaskTag(first, first, host, pid, "2026-11-23-11:45:31"))
        pipe.set(KEYS.start(job, tag), wire.encode_start([pid]))
        pipe.set(KEYS.alive(job, tag), b"OK", ex=600)
    pipe.execute()


def measured(url: str) -> dict[str, float]:
    """Medians of some rounds."""
    with Telemetry(ConnectionSettings(url)) as telemetry:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(PoolCollector(telemetry))
        return {
            "snapshot()": _median(telemetry.snapshot),
            "a scrape": _median(lambda: generate_latest(registry)),
            "pydoredis top --once": _median(lambda: _command(url, "--once")),
            "pydoredis top --json": _median(lambda: _command(url, "--json")),
        }


def _command(url: str, option: str) -> None:
    command = [sys.executable, "-m", "pydoredis", "top", option, "--url", url]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def _median(do: Callable[[], object]) -> float:
    took: list[float] = []
    for _ in range(ROUNDS):
        begun_s = time.perf_counter()
        do()
        took.append(time.perf_counter() - begun_s)
    return statistics.median(took)


if __name__ == "__main__":
    raise SystemExit(main())
