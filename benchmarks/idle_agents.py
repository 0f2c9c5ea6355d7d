"""What one task costs Redis while many agents wait: commands, processor, and the time until it is taken.

    python -m benchmarks.idle_agents [--agents 1 50 200] [--tasks 200]

Each task is of a job that is over: whoever takes it drops it, and needs no executor for that.
"""

from __future__ import annotations

import importlib
import os
import signal
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import redis
from rich.console import Console
from rich.table import Table

from benchmarks import report
from pydoredis.protocol import envelope_templates
from pydoredis.settings import ConnectionSettings, WorkerSettings
from pydoredis.worker.agent import Agent
from tests.redis_process import RedisProcess

QUEUE = "BENCH"
PAUSE_S = 0.05
"""Between tasks: longer than agents rest that were told of one in vain."""
COLUMNS = {
    "asked of Redis": "commands",
    "Redis's processor": "ms",
    "until taken, median": "ms",
    "until taken, 99 %": "ms",
}
"""What is measured, and its unit."""


def main() -> int:
    """Print a table."""
    parser, figures = report.parser(__doc__), report.Figures()
    parser.add_argument("--agents", type=int, nargs="+", default=[1, 50, 200])
    parser.add_argument("--tasks", type=int, default=200)
    options = parser.parse_args()
    table = Table(title="A task for idle agents", title_justify="left")
    table.add_column("agents")
    for what, unit in COLUMNS.items():
        table.add_column(f"{what}, {unit}", justify="right")
    for number in options.agents:
        with RedisProcess() as server, agents(server.url, number), server.client() as client:
            found = measured(client, options.tasks)
        table.add_row(str(number), *(f"{value:.2f}" for value in found))
        for (what, unit), value in zip(COLUMNS.items(), found, strict=True):
            figures.add(f"a task for idle agents, {what}: {number}", value, unit)
    Console(width=110).print(table)
    figures.write(options.json)
    return 0


def measured(client: redis.Redis, tasks: int) -> Sequence[float]:
    """Commands and ms of processor of the server for each task; ms until one is taken: median and 99 %."""
    until: list[float] = []
    base_s, base = _use(client, tasks * PAUSE_S)
    before_s, before = _processor_s(client), _commands(client)
    begun_s = time.monotonic()
    looks = 0
    for number in range(tasks):
        task = envelope_templates.task("over", range(number + 1, number + 2), b"")
        pushed_s = time.perf_counter()
        client.rpush(QUEUE, task)
        while client.llen(QUEUE):
            looks += 1
        until.append(1000 * (time.perf_counter() - pushed_s))
        time.sleep(PAUSE_S)
    span_s = time.monotonic() - begun_s
    commands = _commands(client) - before - looks - 2 * tasks - base * span_s
    used_s = _processor_s(client) - before_s - base_s * span_s
    until.sort()
    return commands / tasks, 1000 * used_s / tasks, statistics.median(until), until[int(0.99 * tasks)]


def _use(client: redis.Redis, seconds: float) -> tuple[float, float]:
    """Seconds of processor, and commands, for each second in which nothing is pushed."""
    used_s, commands, begun_s = _processor_s(client), _commands(client), time.monotonic()
    time.sleep(seconds)
    span_s = time.monotonic() - begun_s
    return (_processor_s(client) - used_s) / span_s, (_commands(client) - commands) / span_s


def _commands(client: redis.Redis) -> int:
    return int(client.info("stats")["total_commands_processed"])


def _processor_s(client: redis.Redis) -> float:
    used = client.info("cpu")
    return float(used["used_cpu_sys"]) + float(used["used_cpu_user"])


@contextmanager
def agents(url: str, number: int) -> Iterator[None]:
    """So many agents, each in a process of its own, without executors."""
    importlib.import_module("pydoredis.worker.loop")  # once here, and not in each of them
    children = []
    for _ in range(number):
        child = os.fork()
        if not child:
            try:
                settings = WorkerSettings(queues=(QUEUE,), workers=1, codec="cloudpickle", linger_s=3600)
                Agent(ConnectionSettings(url), settings, on_demand=True).run()
            finally:
                os._exit(0)
        children.append(child)
    with redis.Redis.from_url(url) as client:
        while int(client.get(f"{QUEUE}.count") or 0) < number:
            time.sleep(0.1)
        time.sleep(1)
    try:
        yield
    finally:
        for child in children:
            os.kill(child, signal.SIGTERM)
        for child in children:
            os.waitpid(child, 0)


if __name__ == "__main__":
    raise SystemExit(main())
