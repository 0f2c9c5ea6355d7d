"""Snapshots as tables of text, for Rich and for Textual: which columns, and how figures read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pydoredis.snapshots import (
    AgentStatus,
    AgentWarning,
    JobStatus,
    QueueStatus,
    Running,
    ServerStatus,
    Snapshot,
)

NOTHING = "-"
"""What stands where nothing is known."""


_QUEUES: Final = (
    *("queue", ">backlog", ">oldest", ">running", ">lapsed", ">workers", ">busy", ">done", ">tasks/s"),
    ">crashed",
)
_JOBS: Final = (
    *("queue", "job", "user", ">queued", ">running", ">lapsed", ">done", ">of", ">failed", ">per s"),
    ">left",
)
_AGENTS: Final = (
    *("host", ">pid", "queues", ">busy", ">workers", ">done", ">crashed", ">given back", ">memory", ">up"),
    *(">said", "python", "r", "version"),
)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        title: What it is about.
        columns: Names of its columns; those that begin with `>` are of figures, and stand at the right.
        keys: Of each row, what it is about.
        rows: The cells.
        left_out: How many rows more there are.
    """

    title: str
    columns: Sequence[str]
    keys: Sequence[object]
    rows: Sequence[Sequence[str]]
    left_out: int = 0


class Pace:
    """How many tasks per second are done, of what agents count: from one snapshot to the next."""

    def __init__(self) -> None:
        self._before: Snapshot | None = None
        self._after: Snapshot | None = None

    def see(self, snapshot: Snapshot) -> None:
        """Another snapshot, later than those before."""
        self._before, self._after = self._after, snapshot

    def of_queue(self, name: str) -> float | None:
        """Tasks per second of a queue; None if that is not known."""
        before, after = self._before, self._after
        if before is None or after is None:
            return None
        done = 0
        for key, counters in after.counters.items():
            if key[0] == name and key in before.counters:  # an agent that has come brings figures with it
                done += counters.done - before.counters[key].done
        return _per_second(done, before, after)

    def of_job(self, job: str) -> float | None:
        """Tasks of a job that our workers answered, per second; None if that is not known."""
        before, after = self._before, self._after
        if before is None or after is None:
            return None
        answered = {row.job: row.answered for row in before.jobs}
        row = next((row for row in after.jobs if row.job == job and job in answered), None)
        return None if row is None else _per_second(row.answered - answered[job], before, after)


def _per_second(count: int, before: Snapshot, after: Snapshot) -> float | None:
    seconds = (after.time - before.time).total_seconds()
    return max(0, count) / seconds if seconds > 0 else None


def grids(snapshot: Snapshot, pace: Pace | None = None, most: int | None = None) -> list[Grid]:
    """All tables of a snapshot.

    Args:
        snapshot: The snapshot.
        pace: What is known of how fast tasks are done.
        most: How many rows of each table to show, at most: to draw a thousand takes a second.
    """
    pace = pace or Pace()
    found = [
        (snapshot.queues, queues(snapshot.queues[:most], pace)),
        (snapshot.jobs, jobs(snapshot.jobs[:most], pace)),
        (snapshot.agents, agents(snapshot.agents[:most])),
        (snapshot.running, running(snapshot.running[:most])),
        (snapshot.warnings, warnings(snapshot.warnings[:most])),
    ]
    return [replace(grid, left_out=len(rows) - len(grid.rows)) for rows, grid in found]


def queues(rows: Iterable[QueueStatus], pace: Pace) -> Grid:
    """Queues."""
    rows = list(rows)
    return Grid(
        "queues",
        _QUEUES,
        [row.queue for row in rows],
        [
            [
                *(row.queue if row.open else f"{row.queue} (not open)", _count(row.backlog)),
                *(duration(row.oldest_s), _count(row.running), _count(row.lapsed)),
                *(_count(row.workers), _count(row.busy), _count(row.counters.done)),
                *(_rate(pace.of_queue(row.queue)), _count(row.counters.crashed)),
            ]
            for row in rows
        ],
    )


def jobs(rows: Iterable[JobStatus], pace: Pace) -> Grid:
    """Jobs. What is done is counted in iterations where their coordinator tells, else in tasks."""
    rows = list(rows)
    return Grid(
        "jobs",
        _JOBS,
        [(row.queue, row.job) for row in rows],
        [
            [
                *(row.queue, row.job, row.user if row.state == "open" else f"{row.user} (left over)"),
                *(_count(row.queued, exact=row.queued_exact), _count(row.running), _count(row.lapsed)),
                *(_done(row), _count(row.total), _count(row.failed)),
                *(_rate(row.rate or pace.of_job(row.job)), duration(row.left_s)),
            ]
            for row in rows
        ],
    )


def agents(rows: Iterable[AgentStatus]) -> Grid:
    """Agents of ours."""
    rows = list(rows)
    return Grid(
        "agents",
        _AGENTS,
        [row.agent for row in rows],
        [
            [
                *(row.host, str(row.pid), ",".join(row.queues), str(row.busy), str(row.workers)),
                *(_count(row.counters.done), _count(row.counters.crashed), _count(row.counters.given_back)),
                *(size(row.resident_bytes), duration(row.up_s), duration(row.said_s)),
                *(row.python, row.r or NOTHING, row.version),
            ]
            for row in rows
        ],
    )


def running(rows: Iterable[Running]) -> Grid:
    """Tasks at work."""
    rows = list(rows)
    return Grid(
        "running",
        ["queue", "job", "iterations", "host", ">pid", ">for", ">memory", "note"],
        [(row.queue, row.job) for row in rows],
        [
            [
                *(row.queue, row.job, row.iter, row.host, str(row.pid), duration(row.running_s)),
                *(size(row.resident_bytes), _note(row)),
            ]
            for row in rows
        ],
    )


def warnings(rows: Iterable[AgentWarning]) -> Grid:
    """What agents warned of."""
    rows = list(rows)
    return Grid(
        "warnings",
        ["time", "host", ">pid", "text"],
        list(range(len(rows))),
        [[moment(row.time), row.host, str(row.pid), " ".join(row.text.split())] for row in rows],
    )


def server_line(server: ServerStatus, time: datetime) -> str:
    """How Redis is, in a line."""
    limit = f" of {size(server.max_memory_bytes)}" if server.max_memory_bytes else ""
    parts = [
        *(f"Redis {server.version} at {server.address}", f"answers in {1000 * server.latency_s:.1f} ms"),
        *(f"{size(server.memory_bytes)}{limit}", f"{server.clients} clients"),
        *(f"{server.commands_per_s} commands/s", f"up {duration(server.up_s)}"),
    ]
    if server.evicted_keys:
        parts.append(f"EVICTED {server.evicted_keys} KEYS: set maxmemory-policy noeviction")
    if not server.saved:
        parts.append("CANNOT WRITE TO ITS DISK")
    if server.role != "master":
        parts.append(f"a {server.role or 'server without a role'}")
    return f"{moment(time)}  " + ", ".join(parts)


# --- how figures read -------------------------------------------------------------------------------------


def duration(seconds: float | None) -> str:
    """`0.3s`, `12s`, `4m05s`, `2h07m`, `3d04h`."""
    if seconds is None:
        return NOTHING
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for unit, smaller, length in (("d", "h", 86400), ("h", "m", 3600), ("m", "s", 60)):
        if whole >= length:
            rest = whole % length // {"h": 3600, "m": 60, "s": 1}[smaller]
            return f"{whole // length}{unit}{rest:02d}{smaller}"
    return f"{whole}s"


def size(count: int | None) -> str:
    """`17 MB`, `1.2 GB`; in powers of ten."""
    if not count:
        return NOTHING
    for unit, length in (("TB", 1e12), ("GB", 1e9)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def moment(time: datetime) -> str:
    """A time, to the second."""
    return time.isoformat(" ", "seconds")


def _count(count: int | None, *, exact: bool = True) -> str:
    return NOTHING if count is None else f"{'' if exact else '~'}{count:,}"


def _rate(rate: float | None) -> str:
    if rate is None:
        return NOTHING
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _done(row: JobStatus) -> str:
    return _count(row.done) if row.done is not None else f"{_count(row.answered)} tasks"


def _note(row: Running) -> str:
    if row.agent is None:
        return "R worker"
    return "waits for its own loops" if row.waits else ""
