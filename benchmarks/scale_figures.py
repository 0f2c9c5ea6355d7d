"""What many agents on one Redis cost it, figure by figure: see `benchmarks.scale`."""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

import pydoredis as dr
from benchmarks.pools import QUEUE
from benchmarks.simulated_agents import SimulatedPool
from pydoredis.protocol import envelope_templates
from pydoredis.worker.core.conversation import QUIET_S
from tests.redis_process import RedisProcess

PAUSE_S = 0.05
"""Between lone loops, and between lone tasks besides the time that agents rest that looked in vain."""

LONE_S = 8.0
"""How long to push lone tasks, and how long to run lone loops, at most."""

CHUNK = 100
TASK_S = 0.5
"""How long each task of the loop takes in which agents are killed."""

FTINTERVAL_S = 3.0
MB, LARGE = 1_000_000, 100


class Options(argparse.Namespace):
    """The command line."""

    real: list[int]
    simulated: list[int]
    executors: int
    tasks: int
    idle: float
    lone: int
    no_kill: bool
    quick: bool
    json: Path | None


@dataclass(frozen=True)
class Use:
    """What a server has done since its start.

    Attributes:
        at_s: When (monotonic) this was so.
        processor_s: Processor time.
        scripts: Scripts that clients called.
        commands: All commands, those of scripts included.
        looks: How often an agent has looked for tasks.
        moved_bytes: What has come and gone over the network.
    """

    at_s: float
    processor_s: float
    scripts: int
    commands: int
    looks: float
    moved_bytes: int

    @classmethod
    def of(cls, client: redis.Redis) -> Use:
        """What it has done so far."""
        told: dict[str, Any] = client.info("all")
        # Only scripts call LLEN here, and the one that takes tasks calls it once for each of two lists.
        looks = told.get("cmdstat_llen", {"calls": 0})["calls"] / 2
        scripts = told.get("cmdstat_evalsha", {"calls": 0})["calls"]
        moved = told["total_net_input_bytes"] + told["total_net_output_bytes"]
        used_s = told["used_cpu_user"] + told["used_cpu_sys"]
        return cls(time.monotonic(), used_s, scripts, told["total_commands_processed"], looks, moved)

    def since(self, before: Use) -> Use:
        """What it has done after another look."""
        return Use(
            *(self.at_s - before.at_s, self.processor_s - before.processor_s),
            *(self.scripts - before.scripts, self.commands - before.commands),
            *(self.looks - before.looks, self.moved_bytes - before.moved_bytes),
        )

    def extra_s(self, idle: Use) -> float:
        """Processor time beyond that of so long a time at rest."""
        return self.processor_s - idle.processor_s * self.at_s / idle.at_s


Figures = dict[str, str]


class Scene:
    """A pool of agents on a server.

    Args:
        server: The server.
        agents: How many there are.
        options: The command line.
    """

    def __init__(self, server: RedisProcess, agents: int, options: Options) -> None:
        self._agents = agents
        self._options = options
        self._client = server.client()
        self._queue = dr.Queue(QUEUE, server.url, ftinterval=FTINTERVAL_S)

    @property
    def count(self) -> int:
        """How many workers are counted on the queue."""
        return int(self._client.get(f"{QUEUE}.count") or 0)

    def await_count(self, workers: int, timeout_s: float) -> float:
        """Wait until so many workers are counted; seconds that it took."""
        began_s = time.monotonic()
        while self.count != workers:
            if time.monotonic() > began_s + timeout_s:
                raise SystemExit(f"{self.count} workers are counted, and not {workers}")
            time.sleep(0.05)
        return time.monotonic() - began_s

    def measured(self, idle_bytes: int) -> Figures:
        """All figures but those of the kill; `idle_bytes`: what the server had in use without agents."""
        idle, found = self._idle(idle_bytes)
        return {**found, **self._lone_tasks(idle), **self._lone_loops(), **self._tasks(idle)}

    def run(self, tasks: int, seconds: float = 0.0, chunk_size: int = 1) -> float:
        """Run a loop and check its values; seconds that it took."""
        began_s = time.perf_counter()
        loop = self._queue.foreach(i=range(tasks), seconds=[seconds] * tasks, chunk_size=chunk_size)
        values = loop.dopar(body)
        took_s = time.perf_counter() - began_s
        if values != list(range(tasks)):
            raise SystemExit(f"wrong values: {len(values)} of {tasks}")
        return took_s

    # --- at rest ------------------------------------------------------------------------------------------

    def _idle(self, idle_bytes: int) -> tuple[Use, Figures]:
        time.sleep(min(1.0, self._options.idle))
        before = Use.of(self._client)
        time.sleep(self._options.idle)
        used = Use.of(self._client).since(before)
        told: dict[str, Any] = self._client.info()
        kept_bytes = told["used_memory"] - idle_bytes
        return used, {
            "idle: clients": f"{told['connected_clients']:,}",
            "idle: scripts, 1/s": f"{used.scripts / used.at_s:,.1f}",
            "idle: commands in all, 1/s": f"{used.commands / used.at_s:,.0f}",
            "idle: Redis, % of a core": f"{100 * used.processor_s / used.at_s:.2f}",
            "idle: kB/s": f"{used.moved_bytes / used.at_s / 1000:,.1f}",
            "Redis: memory for an agent, kB": f"{kept_bytes / self._agents / 1000:.1f}",
        }

    # --- lone tasks ---------------------------------------------------------------------------------------

    def _often(self, pause_s: float) -> int:
        """How many lone tasks there is time for."""
        return max(3, min(self._options.lone, int(LONE_S / pause_s)))

    def _lone_tasks(self, idle: Use) -> Figures:
        """Tasks of a job that is over: whoever takes one drops it. All agents wait by then."""
        pause_s = PAUSE_S + QUIET_S * self._agents
        number = self._often(pause_s)
        until_ms: list[float] = []
        time.sleep(pause_s)
        before = Use.of(self._client)
        for place in range(1, number + 1):
            task = envelope_templates.task("over", range(place, place + 1), b"")
            pushed_s = time.perf_counter()
            self._client.rpush(QUEUE, task)
            while self._client.exists(QUEUE):
                pass
            until_ms.append(1000 * (time.perf_counter() - pushed_s))
            time.sleep(pause_s)
        used = Use.of(self._client).since(before)
        return {
            "lone task: looks of agents": f"{used.looks / number:,.1f}",
            "lone task: Redis, ms of processor": f"{1000 * used.extra_s(idle) / number:.2f}",
            "lone task: ms until it is taken, median": f"{statistics.median(until_ms):.1f}",
            "lone task: ms until it is taken, 99 %": f"{percentile(until_ms, 0.99):.1f}",
        }

    def _lone_loops(self) -> Figures:
        """Loops of one iteration, one every 50 ms: many agents rest by then, having looked in vain."""
        self.run(1)
        took_ms: list[float] = []
        until_s = time.monotonic() + LONE_S
        while len(took_ms) < self._often(PAUSE_S) and (len(took_ms) < 3 or time.monotonic() < until_s):
            time.sleep(PAUSE_S)
            took_ms.append(1000 * self.run(1))
        return {
            "loop of one iteration, ms, median": f"{statistics.median(took_ms):.1f}",
            "loop of one iteration, ms, 99 %": f"{percentile(took_ms, 0.99):.1f}",
        }

    # --- many tasks ---------------------------------------------------------------------------------------

    def _tasks(self, idle: Use) -> Figures:
        found: Figures = {}
        for size in (1, CHUNK):
            number = self._options.tasks * (1 if size == 1 else 10)
            before = Use.of(self._client)
            seconds = self.run(number, chunk_size=size)
            used = Use.of(self._client).since(before)
            found |= {
                f"chunk size {size}: iterations/s": f"{number / seconds:,.0f}",
                f"chunk size {size}: Redis, µs of processor each": f"{1e6 * used.extra_s(idle) / number:.1f}",
                f"chunk size {size}: looks of agents, each": f"{used.looks / number:.2f}",
                f"chunk size {size}: bytes to and from Redis, each": f"{used.moved_bytes / number:,.0f}",
            }
        return found

    def large_results(self) -> Figures:
        """Results of 1 MB; simulated agents have none."""
        before = Use.of(self._client)
        began_s = time.perf_counter()
        values = self._queue.foreach(i=range(LARGE)).dopar(lambda i: bytes(MB))
        seconds = time.perf_counter() - began_s
        if [len(value) for value in values] != [MB] * LARGE:
            raise SystemExit("wrong values")
        used_s = Use.of(self._client).since(before).processor_s
        return {
            "results of 1 MB: MB/s": f"{LARGE / seconds:,.0f}",
            "results of 1 MB: Redis, ms of processor each": f"{1000 * used_s / LARGE:.2f}",
        }

    # --- the kill -----------------------------------------------------------------------------------------

    def killed(self, pool: SimulatedPool) -> Figures:
        """Kill a process of simulated agents when a quarter of a loop's tasks was begun."""
        tasks = 4 * self._agents * self._options.executors
        before = pool.begun
        undisturbed_s = self.run(tasks, TASK_S)
        undisturbed = pool.begun - before - tasks
        before = pool.begun
        killer = threading.Thread(target=_kill_at, args=(pool, before + tasks // 4))
        killer.start()
        seconds = self.run(tasks, TASK_S)
        killer.join()
        left = self._agents - pool.sizes[0]
        late_s = self.await_count(left * self._options.executors, 60)
        return {
            "kill: agents": f"{self._agents:,}",
            "kill: of them killed at once": f"{pool.sizes[0]:,}",
            f"kill: loop of {tasks:,} tasks of {TASK_S:g} s, s, undisturbed": f"{undisturbed_s:.1f}",
            "kill: the same, with the kill": f"{seconds:.1f}",
            "kill: tasks begun twice, undisturbed": f"{undisturbed:,}",
            "kill: tasks begun twice, with the kill": f"{pool.begun - before - tasks:,}",
            "kill: s after the loop until the count is right": f"{late_s:.1f}",
        }


def _kill_at(pool: SimulatedPool, begun: int) -> None:
    while pool.begun < begun:
        time.sleep(0.01)
    pool.kill(0)


def body(i: int, seconds: float) -> int:
    """What all loops run; simulated agents do the same without it."""
    if seconds:
        time.sleep(seconds)
    return i


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which such a share of them lies; the greatest, where there are few."""
    return sorted(values)[int(share * len(values))]


def used_bytes(client: redis.Redis) -> int:
    """What a server has in use."""
    told: dict[str, Any] = client.info("memory")
    return int(told["used_memory"])
