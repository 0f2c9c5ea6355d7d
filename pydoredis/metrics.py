"""What Prometheus is told of a pool: snapshots (`pydoredis.telemetry`) as metrics, with prometheus_client."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pydoredis.errors import DoRedisError
from pydoredis.protocol.telemetry import Counters, Histogram
from pydoredis.snapshots import QueueStatus, ServerStatus, Snapshot
from pydoredis.telemetry import Telemetry

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

KEPT_AGENTS: Final = 10_000
"""How many agents and queues are remembered, so that one that comes back is not counted twice."""

log = logging.getLogger(__name__)


class Totals:
    """Adds up what agents count, over the lives of all agents: what one of them did stays when it leaves.

    What it did between the last look and its end is not known.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], Counters] = OrderedDict()
        self._totals: dict[str, Counters] = defaultdict(Counters)

    def add(self, counters: Mapping[tuple[str, str], Counters]) -> Mapping[str, Counters]:
        """Take what agents, by queue and ID, count now; all that was done so far, by queue."""
        for key, now in counters.items():
            self._totals[key[0]] += now - self._seen.get(key, Counters())
            self._seen[key] = now
            self._seen.move_to_end(key)
        while len(self._seen) > KEPT_AGENTS:
            self._seen.popitem(last=False)
        return self._totals


class PoolCollector(Collector):
    """Looks at a server whenever Prometheus asks.

    Args:
        telemetry: Looks at it.
        queue: Only this queue; None: all.
    """

    def __init__(self, telemetry: Telemetry, queue: str | None = None) -> None:
        self._telemetry = telemetry
        self._queue = queue
        self._totals = Totals()
        self._lock = threading.Lock()  # several may ask at a time

    def collect(self) -> Iterator[Metric]:
        """All metrics; if Redis cannot be reached, that it cannot."""
        with self._lock:
            begun_s = time.perf_counter()
            try:
                snapshot = self._telemetry.snapshot(self._queue)
            except DoRedisError as error:
                log.warning("%s", error)
                yield _gauge("redis_up", "Whether Redis answers.", 0)
                return
            totals = {**self._totals.add(snapshot.counters)}
            seconds = time.perf_counter() - begun_s
        yield _gauge("redis_up", "Whether Redis answers.", 1)
        yield _gauge("look_seconds", "How long this look at the server took.", seconds)
        yield from _of_server(snapshot.server)
        yield from _of_queues(snapshot.queues)
        yield from _of_workers(snapshot)
        yield from _of_totals(totals)


def serve(collector: PoolCollector, port: int, address: str) -> tuple[WSGIServer, threading.Thread]:
    """Answer Prometheus at `http://ADDRESS:PORT/metrics`, in threads.

    Args:
        collector: What to tell.
        port: The port; 0 for any free one.
        address: Which of this machine's addresses.

    Raises:
        OSError: If nobody can listen there.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return start_http_server(port, address, registry)


def _of_server(server: ServerStatus) -> Iterator[Metric]:
    about = InfoMetricFamily("pydoredis_redis", "The Redis server.")
    about.add_metric([], {"address": server.address, "version": server.version, "role": server.role})
    yield about
    gauges = {
        "redis_latency_seconds": ("How long Redis takes for an answer.", server.latency_s),
        "redis_uptime_seconds": ("For how long Redis has run.", server.up_s),
        "redis_memory_bytes": ("Memory that Redis's data takes.", server.memory_bytes),
        "redis_max_memory_bytes": ("How much it may take; 0: no limit.", server.max_memory_bytes),
        "redis_clients": ("Connections to Redis.", server.clients),
        "redis_saved": ("Whether Redis could write to its disk when it last tried.", int(server.saved)),
    }
    for name, (text, value) in gauges.items():
        yield _gauge(name, text, value)
    yield CounterMetricFamily(
        "pydoredis_redis_evicted_keys", "Keys dropped for want of memory: lost tasks.", server.evicted_keys
    )
    yield CounterMetricFamily(
        "pydoredis_redis_rejected_connections",
        "Connections that Redis has refused.",
        server.rejected_connections,
    )


def _of_queues(queues: Iterable[QueueStatus]) -> Iterator[Metric]:
    by_name: dict[str, tuple[str, dict[str, float]]] = {
        "backlog_tasks": ("Tasks that nobody has taken: queued, and not sent yet.", {}),
        "queued_tasks": ("Tasks that wait on the queue.", {}),
        "unsent_tasks": ("Tasks that coordinators have not sent yet, as far as they know.", {}),
        "oldest_task_age_seconds": ("How long the next task has waited; 0 if none waits.", {}),
        "running_tasks": ("Tasks that workers have taken.", {}),
        "lapsed_tasks": ("Tasks whose workers do not say any more that they are alive.", {}),
        "workers": ("Workers that listen, R's included.", {}),
        "workers_busy": ("Workers that run a task, R's included.", {}),
        "agents": ("Agents of pydoredis.", {}),
    }
    for row in queues:
        values = (
            *(row.backlog, row.queued, row.unsent, row.oldest_s or 0.0, row.running, row.lapsed),
            *(row.workers, row.busy, row.agents),
        )
        for (_, found), value in zip(by_name.values(), values, strict=True):
            found[row.queue] = value
    for name, (text, found) in by_name.items():
        yield _by_queue(name, text, found)


def _of_workers(snapshot: Snapshot) -> Iterator[Metric]:
    sizes: dict[str, float] = {row.queue: 0 for row in snapshot.queues}
    busy, jobs, waiting = {**sizes}, {**sizes}, {**sizes}
    memory: dict[str, float] = defaultdict(float)
    for agent in snapshot.agents:
        memory[agent.host] += agent.resident_bytes
        for queue in agent.queues:
            sizes[queue] += agent.workers
    for task in snapshot.running:
        if task.agent is not None:
            busy[task.queue] += 1
            waiting[task.queue] += task.waits
    for job in snapshot.jobs:
        jobs[job.queue] += job.state == "open"
    yield _by_queue("executors", "Tasks that pydoredis workers run at a time.", sizes)
    yield _by_queue("executors_busy", "Executors of pydoredis that have a task of the queue.", busy)
    yield _by_queue("executors_waiting", "Those of them that wait for loops of their own.", waiting)
    yield _by_queue("jobs", "Jobs that are open.", jobs)
    resident = GaugeMetricFamily(
        "pydoredis_resident_memory_bytes", "Memory of agents and executors.", labels=["host"]
    )
    for host, value in memory.items():
        resident.add_metric([host], value)
    yield resident


def _of_totals(totals: Mapping[str, Counters]) -> Iterator[Metric]:
    tasks = CounterMetricFamily(
        "pydoredis_tasks",
        "Tasks that pydoredis workers were done with: run to their end, ended with their process, stopped by "
        "a time limit, or given back.",
        labels=["queue", "outcome"],
    )
    iterations = CounterMetricFamily(
        "pydoredis_iterations", "Iterations of the tasks that were run to their end.", labels=["queue"]
    )
    run = HistogramMetricFamily("pydoredis_task_run_seconds", "How long tasks ran.", labels=["queue"])
    wait = HistogramMetricFamily(
        "pydoredis_task_wait_seconds", "How long tasks were in an agent before they ran.", labels=["queue"]
    )
    for queue, counters in totals.items():
        outcomes = {
            "done": counters.done,
            "crashed": counters.crashed,
            "timed_out": counters.timed_out,
            "given_back": counters.given_back,
        }
        for outcome, count in outcomes.items():
            tasks.add_metric([queue, outcome], count)
        iterations.add_metric([queue], counters.iterations)
        run.add_metric([queue], _buckets(counters.run), counters.run.sum_s)
        wait.add_metric([queue], _buckets(counters.wait), counters.wait.sum_s)
    yield from (tasks, iterations, run, wait)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    return [("+Inf" if bound == math.inf else str(bound), count) for bound, count in histogram.cumulative]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"pydoredis_{name}", text, value)


def _by_queue(name: str, text: str, values: Mapping[str, float]) -> Metric:
    metric = GaugeMetricFamily(f"pydoredis_{name}", text, labels=["queue"])
    for queue, value in values.items():
        metric.add_metric([queue], value)
    return metric
