"""What `pydoredis.telemetry` reports: one moment of a server, as rows with names and types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from pydoredis.protocol.telemetry import Counters
from pydoredis.tables import JobState


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """A queue.

    Attributes:
        queue: Its name.
        open: Whether a coordinator has opened it, and nobody has removed it since.
        queued: Tasks that wait for a worker.
        unsent: Tasks that coordinators of ours have not sent yet, as far as they know. An R coordinator
            sends all of them at the start.
        oldest_s: Seconds that the next task has waited; at least so many of a job of ours, whose coordinator
            tells when it sent what. Of a job of R's: since the job was submitted, by its coordinator's clock.
            None if no task waits.
        running: Tasks that workers have taken and that are alive.
        lapsed: Tasks whose workers do not say any more that they are alive.
        workers: How many listen. Those of agents that died are not among them; R's that died are.
        busy: How many of them are at work.
        agents: Agents of ours.
        counters: What these agents did for this queue.
    """

    queue: str
    open: bool
    queued: int
    unsent: int
    oldest_s: float | None
    running: int
    lapsed: int
    workers: int
    busy: int
    agents: int
    counters: Counters = field(default_factory=Counters)

    @property
    def backlog(self) -> int:
        """Tasks that nobody has taken: what waits, and what was not sent yet."""
        return self.queued + self.unsent


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job.

    Attributes:
        queue: Its queue.
        job: Its ID.
        id: Number of the coordinator's process.
        user: Who runs the coordinator.
        host: Where it runs.
        time: When the job was submitted, by the coordinator's clock and in its time zone.
        state: "open" while its environment is there, else "left over".
        queued: Tasks that wait.
        queued_exact: Whether that was counted; else it is an estimate from a part of a long queue.
        running: Tasks that are running.
        lapsed: Tasks whose workers do not say any more that they are alive.
        results: Messages that wait for the coordinator.
        answered: Tasks that pydoredis workers answered.
        done: Iterations that have a result; None of a job of R's, as are the next ones.
        failed: Those of them whose result is an error.
        total: Number of iterations; None if the coordinator does not know it.
        unsent: Iterations that were not sent yet; None if nobody knows.
        rate: Iterations per second, as its coordinator has it.
    """

    queue: str
    job: str
    id: int
    user: str
    host: str
    time: datetime
    state: JobState
    queued: int
    queued_exact: bool
    running: int
    lapsed: int
    results: int
    answered: int
    done: int | None = None
    failed: int | None = None
    total: int | None = None
    unsent: int | None = None
    rate: float | None = None

    @property
    def left_s(self) -> float | None:
        """Seconds until the job is done, if all goes on as it does; None if nobody can tell."""
        if self.total is None or self.done is None or not self.rate:
            return None
        return max(0, self.total - self.done) / self.rate


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """An agent of ours.

    Attributes:
        agent: Its ID.
        queues: The queues that it serves.
        host: Its machine.
        pid: Number of its process.
        workers: How many tasks it runs at a time.
        busy: How many it runs now.
        codecs: Languages of bodies that it runs.
        python: Version of its Python.
        r: Version of its R; empty if it runs none.
        version: Version of pydoredis.
        up_s: For how long it has served its queues.
        said_s: How long ago it said all this.
        resident_bytes: Memory of all of its processes; 0 if that is not known.
        counters: What it did, for all of its queues.
    """

    agent: str
    queues: tuple[str, ...]
    host: str
    pid: int
    workers: int
    busy: int
    codecs: tuple[str, ...]
    python: str
    r: str
    version: str
    up_s: float
    said_s: float
    resident_bytes: int
    counters: Counters


@dataclass(frozen=True, slots=True)
class Running:
    """A task at work.

    Attributes:
        queue: Its queue.
        job: Its job.
        iter: First and last iteration, as `4...6`.
        host: Where it runs.
        pid: Number of the worker's process.
        agent: The agent's ID; None for an R worker.
        running_s: For how long it has run; of an R worker's task by the worker's clock, None if it wrote no
            time.
        resident_bytes: Memory of the worker's process; None if that is not known.
        waits: Whether its body waits for a loop of its own.
    """

    queue: str
    job: str
    iter: str
    host: str
    pid: int
    agent: str | None
    running_s: float | None
    resident_bytes: int | None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class AgentWarning:
    """A warning that an agent has logged.

    Attributes:
        time: When, by this machine's clock.
        host: The agent's machine.
        pid: Number of the agent's process.
        text: What it says.
    """

    time: datetime
    host: str
    pid: int
    text: str


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """The Redis server.

    Attributes:
        address: Where it is, without password.
        version: Its version.
        role: "master" or "slave".
        up_s: For how long it has run.
        latency_s: How long an answer took.
        memory_bytes: Memory that its data takes.
        max_memory_bytes: How much it may take; 0 for no limit.
        clients: Connections.
        commands_per_s: Commands that it carries out per second.
        evicted_keys: Keys that it has dropped because memory ran out. With doRedis that loses tasks.
        rejected_connections: Connections that it has refused.
        saved: Whether it could write its data to disk when it last tried; True if it never tried.
    """

    address: str
    version: str
    role: str
    up_s: float
    latency_s: float
    memory_bytes: int
    max_memory_bytes: int
    clients: int
    commands_per_s: int
    evicted_keys: int
    rejected_connections: int
    saved: bool

    @classmethod
    def of(cls, address: str, latency_s: float, info: Mapping[str, Any]) -> ServerStatus:
        """Take it from what `INFO` says. What an ACL or a proxy hides counts as 0."""
        saved = (info.get("rdb_last_bgsave_status"), info.get("aof_last_write_status"))
        return cls(
            address=address,
            version=str(info.get("redis_version", "")),
            role=str(info.get("role", "")),
            up_s=float(info.get("uptime_in_seconds", 0)),
            latency_s=latency_s,
            memory_bytes=int(info.get("used_memory", 0)),
            max_memory_bytes=int(info.get("maxmemory", 0)),
            clients=int(info.get("connected_clients", 0)),
            commands_per_s=int(info.get("instantaneous_ops_per_sec", 0)),
            evicted_keys=int(info.get("evicted_keys", 0)),
            rejected_connections=int(info.get("rejected_connections", 0)),
            saved=all(status in (None, "ok") for status in saved),
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A server at one moment.

    Attributes:
        time: When, by this machine's clock.
        server: The server.
        queues: By name.
        jobs: By queue, then in the order in which they were submitted.
        agents: Agents of ours, by host.
        running: Tasks at work, by queue, the longest first.
        warnings: What agents warned of, the last one first.
        counters: What each agent did for each queue: for who adds it up over the agents' lives.
    """

    time: datetime
    server: ServerStatus
    queues: tuple[QueueStatus, ...] = ()
    jobs: tuple[JobStatus, ...] = ()
    agents: tuple[AgentStatus, ...] = ()
    running: tuple[Running, ...] = ()
    warnings: tuple[AgentWarning, ...] = ()
    counters: Mapping[tuple[str, str], Counters] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All of it as dictionaries and lists, as `pydoredis top --json` prints it."""
        return {
            "time": self.time,
            "server": asdict(self.server),
            "queues": [{**asdict(each), "backlog": each.backlog} for each in self.queues],
            "jobs": [{**asdict(each), "left_s": each.left_s} for each in self.jobs],
            "agents": [asdict(each) for each in self.agents],
            "running": [asdict(each) for each in self.running],
            "warnings": [asdict(each) for each in self.warnings],
        }
