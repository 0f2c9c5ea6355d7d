"""How a pool is doing: queues, jobs, agents and what they run, in one snapshot of a server.

All views read this (`pydoredis top`, `dashboard`, `metrics`). It is made of R's keys and of what agents and
coordinators of ours say of themselves (`protocol.telemetry`); nobody is asked anything, and nothing is
changed.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

from pydoredis.admin import Admin
from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol.families import Family, Mark
from pydoredis.protocol.keys import JobId, TaskTag, block_name, parse_begin
from pydoredis.protocol.telemetry import Activity, Counters
from pydoredis.settings import ConnectionSettings
from pydoredis.snapshots import (
    AgentStatus,
    AgentWarning,
    JobStatus,
    QueueStatus,
    Running,
    ServerStatus,
    Snapshot,
)
from pydoredis.store.telemetry import Head, JobFigures, QueueFigures, Said, TelemetryStore

Jobs = Mapping[str, JobFigures]
Marks = Mapping[str, Counter[str]]
"""By job: how many of its tasks are "running" and how many "lapsed"."""

_NO_JOB = JobFigures(0, 0, None, 0.0)
_NOTHING = Activity(0.0)


class Telemetry(Admin):
    """Looks at a server again and again, over one connection; a context manager that closes it.

    Args:
        connection: Which server; that of the registered queue by default.
    """

    def __enter__(self) -> Telemetry:
        return self

    def _new_store(self, connection: ConnectionSettings) -> TelemetryStore:
        return TelemetryStore(connection)

    def snapshot(self, queue: str | None = None) -> Snapshot:
        """The server as it is now.

        Args:
            queue: Only this queue; in a cluster it has to be named.

        Raises:
            ConfigError: If the name is a pattern and there is nothing of such a queue, or in a cluster
                without a name.
            StoreUnavailable: If Redis is lost.
        """
        families = self._families(queue)
        store = cast("TelemetryStore", self._store)
        queues = store.queues([family.keys for family in families])
        marks = [self._marks(family) for family in families]
        jobs = [
            [job for job in {*family.env, *family.out, *marked, *found.queued_of} if JobId.fits(job)]
            for family, found, marked in zip(families, queues, marks, strict=True)
        ]
        named = [(family.keys, job) for family, known in zip(families, jobs, strict=True) for job in known]
        figures = iter(store.jobs(named))
        now = datetime.now()
        looks = [
            _Look(family, found, dict(zip(known, itertools.islice(figures, len(known)), strict=True)), marked)
            for family, found, known, marked in zip(families, queues, jobs, marks, strict=True)
        ]
        info, latency_s = store.health()
        agents = _agents(looks)
        return Snapshot(
            now,
            ServerStatus.of(store.connection.safe_url, latency_s, info),
            tuple(look.queue(now) for look in looks),
            tuple(row for look in looks for row in look.jobs()),
            tuple(agents),
            tuple(_running(looks, now)),
            tuple(_warnings(looks, now)),
            {
                (look.name, said.presence.id): said.activity.counters
                for look in looks
                for said in look.found.said
                if said.activity is not None
            },
        )

    def _marks(self, family: Family) -> Marks:
        """Tasks that were taken, by job. Those that seem to have lost their worker are looked at once more:
        keys are found one after the other, and may change meanwhile."""
        marks: dict[str, Counter[str]] = defaultdict(Counter)
        for mark in family.start & family.alive:
            marks[mark.job]["running"] += 1
        doubtful = sorted(family.start - family.alive)
        for mark, (start, alive) in zip(doubtful, self._store.marked(family.keys, doubtful), strict=True):
            if start:
                marks[mark.job]["running" if alive else "lapsed"] += 1
        return marks


def snapshot(queue: str | None = None, *, connection: ConnectionSettings | None = None) -> Snapshot:
    """How a server is doing now; see `Telemetry.snapshot`.

    Args:
        queue: Only this queue.
        connection: Which server; that of the registered queue by default.
    """
    with Telemetry(connection) as telemetry:
        return telemetry.snapshot(queue)


class _Look:
    """What was found of one queue."""

    def __init__(self, family: Family, found: QueueFigures, jobs: Jobs, marks: Marks) -> None:
        self.family = family
        self.name = family.keys.queue
        self.found = found
        self._jobs = jobs
        self._marks = marks
        self.pids = {
            (said.presence.host, pid)
            for said in found.said
            for pid in (said.presence.pid, *said.presence.pids)
        }

    def queue(self, now: datetime) -> QueueStatus:
        found = self.found
        ours = [said.activity or _NOTHING for said in found.said]
        counted = sum(said.presence.workers for said in found.said)
        of_r = len({(tag.host, tag.pid) for _, tag in self.r_tasks()})
        busy = sum(state.queue == self.name for activity in ours for state in activity.executors)
        demands = [figures.demand for job, figures in self._jobs.items() if job in self.family.env]
        waits = [_age_s(head, self._jobs.get(head.job, _NO_JOB), now) for head in found.heads]
        return QueueStatus(
            queue=self.name,
            open=self.family.live,
            queued=found.queued,
            unsent=sum(demand.unsent_tasks for demand in demands if demand is not None),
            oldest_s=max((wait for wait in waits if wait is not None), default=None),
            running=sum(states["running"] for states in self._marks.values()),
            lapsed=sum(states["lapsed"] for states in self._marks.values()),
            workers=counted + max(of_r, found.counted - found.agents),
            busy=busy + of_r,
            agents=len(found.said),
            counters=sum((activity.counters for activity in ours), Counters()),
        )

    def jobs(self) -> list[JobStatus]:
        rows = []
        for job, figures in self._jobs.items():
            about = JobId.parse(job)
            marks = self._marks.get(job, Counter())
            queued = self.found.queued_of.get(job, 0)
            is_open = job in self.family.env
            if not is_open and not (queued or marks.total() or figures.results):
                continue  # it ended while we were looking
            row = JobStatus(
                *(self.name, job, about.pid, about.user, about.host, about.time),
                state="open" if is_open else "left over",
                queued=queued,
                queued_exact=self.found.exact,
                running=marks["running"],
                lapsed=marks["lapsed"],
                results=figures.results,
                answered=figures.published,
            )
            rows.append(_with_demand(row, figures))
        return sorted(rows, key=lambda row: (row.time, row.job))

    def r_tasks(self) -> Iterator[tuple[Mark, TaskTag]]:
        """Tasks at work, or in stock, that none of our agents has."""
        for mark in self.family.start & self.family.alive:
            try:
                tag = TaskTag.parse(mark.tag)
            except RemoteProtocolError:
                continue  # what a malformed task left
            if (tag.host, tag.pid) not in self.pids:
                yield mark, tag


def _with_demand(row: JobStatus, figures: JobFigures) -> JobStatus:
    demand = figures.demand
    if demand is None:
        return row
    return replace(
        row,
        done=demand.done,
        failed=demand.failed,
        total=demand.total,
        unsent=demand.unsent,
        rate=demand.rate or None,
    )


def _age_s(head: Head, figures: JobFigures, now: datetime) -> float | None:
    """How long a task has waited: as its coordinator tells, or since its job was submitted."""
    if figures.demand is not None and head.iteration is not None:
        waited_s = figures.demand.waited_s(head.iteration)
        # What was sent since its coordinator spoke is younger than that.
        return figures.ago_s if waited_s is None else waited_s + figures.ago_s
    try:
        return max(0.0, (now - JobId.parse(head.job).time).total_seconds())
    except RemoteProtocolError:
        return None


def _agents(looks: Sequence[_Look]) -> list[AgentStatus]:
    """Each agent once, however many queues it serves."""
    found: dict[str, list[tuple[str, Said]]] = defaultdict(list)
    for look in looks:
        for said in look.found.said:
            found[said.presence.id].append((look.name, said))
    rows = []
    for name, served in found.items():
        presence, last = served[0][1].presence, min((said for _, said in served), key=lambda said: said.ago_s)
        activity = last.activity or _NOTHING
        row = AgentStatus(
            agent=name,
            queues=tuple(queue for queue, _ in served),
            host=presence.host,
            pid=presence.pid,
            workers=presence.workers,
            busy=sum(bool(state.queue) for state in activity.executors),
            codecs=presence.codecs,
            python=presence.python,
            r=presence.r,
            version=presence.version,
            up_s=activity.up_s + last.ago_s,
            said_s=last.ago_s,
            resident_bytes=sum(
                (state.resident_bytes for state in activity.executors), activity.resident_bytes
            ),
            counters=sum((said.activity.counters for _, said in served if said.activity), Counters()),
        )
        rows.append(row)
    return sorted(rows, key=lambda row: (row.host, row.pid))


def _running(looks: Sequence[_Look], now: datetime) -> list[Running]:
    rows = [row for look in looks for row in (*_of_ours(look), *_of_r(look, now))]
    return sorted(rows, key=lambda row: (row.queue, -(row.running_s or 0.0), row.host, row.pid))


def _of_ours(look: _Look) -> Iterator[Running]:
    for presence, activity, ago_s in look.found.said:
        for state in (activity or _NOTHING).executors:
            if state.queue == look.name:
                yield Running(
                    queue=look.name,
                    job=state.job,
                    iter=block_name(state.first, state.last),
                    host=presence.host,
                    pid=state.pid,
                    agent=presence.id,
                    running_s=state.running_s + ago_s,
                    resident_bytes=state.resident_bytes or None,
                    waits=state.waits,
                )


def _of_r(look: _Look, now: datetime) -> Iterator[Running]:
    for mark, tag in look.r_tasks():
        begin = parse_begin(tag.begin)
        running_s = None if begin is None else max(0.0, (now - begin).total_seconds())
        block = block_name(tag.first, tag.last)
        yield Running(look.name, mark.job, block, tag.host, tag.pid, None, running_s, None)


def _warnings(looks: Sequence[_Look], now: datetime) -> list[AgentWarning]:
    rows = {
        (said.presence.id, number): AgentWarning(
            *(now - timedelta(seconds=warned.ago_s + said.ago_s), said.presence.host, said.presence.pid),
            warned.text,
        )
        for look in looks
        for said in look.found.said
        for number, warned in enumerate((said.activity or _NOTHING).warnings)
    }
    return sorted(rows.values(), key=lambda row: row.time, reverse=True)
