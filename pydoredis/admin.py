"""Look at jobs, tasks and workers, and remove what is not wanted any more; of R peers as well as of ours.

`jobs`, `tasks`, `remove_job` and `remove_queue` are what doRedis has under these names, right for every name
of a queue, user or host, and touching nobody else's keys. `Admin` is the same on a connection of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType

from pydoredis.errors import ConfigError, RemoteProtocolError, UnknownJob
from pydoredis.protocol.families import Family, Mark, names_job
from pydoredis.protocol.keys import JobId, QueueKeys, TaskTag, block_name, check_queue_name, parse_begin
from pydoredis.protocol.presence import Presence
from pydoredis.registered import connection_or_registered, stand_in
from pydoredis.settings import ConnectionSettings
from pydoredis.store.admin import MAX_COUNTED, AdminStore
from pydoredis.tables import JobRow, JobState, Removal, Table, TaskRow, TaskState, WorkerRow, WorkerState


class Admin:
    """Administration over one connection; a context manager that closes it.

    Args:
        connection: Which server; that of the registered queue by default. In a cluster all that is asked for
            must be of one queue, and raises ConfigError if none is named.

    Raises:
        ConfigError: In `pydoredis.testing.in_process`, where there is no Redis.
    """

    def __init__(self, connection: ConnectionSettings | None = None) -> None:
        if stand_in() is not None:
            raise ConfigError(
                "in_process",
                "on",
                "off to look at queues, which need Redis: use the fixture pydoredis_queue (docs/doors.md)",
            )
        self._connection = connection_or_registered(connection)
        self._store = self._new_store(self._connection)

    def _new_store(self, connection: ConnectionSettings) -> AdminStore:
        return AdminStore(connection)

    def __enter__(self) -> Admin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._store.close()

    def check(self) -> None:
        """Reach the server.

        Raises:
            StoreUnavailable: If nobody answers there.
            ConfigError: If it answers, but does not let us in or cannot do what we need.
        """
        self._store.check()

    # --- looking around -----------------------------------------------------------------------------------

    def jobs(self, queue: str | None = None) -> Table[JobRow]:
        """The jobs of one queue, or of all: by queue, then in the order in which they were submitted.

        Raises:
            StoreUnavailable: If Redis is lost.
        """
        families = self._families(queue)
        for family in families:
            self._sweep(family)
        return Table(JobRow, [row for family in families for row in self._jobs_of(family)])

    def tasks(self, queue: str | None = None, job: str | None = None) -> Table[TaskRow]:
        """The tasks that workers have taken: by queue, then by time.

        Args:
            queue: Only those of this queue.
            job: Only those of jobs that may be meant by this: an ID, the beginning of one, or the number of
                the coordinator's process.

        Raises:
            StoreUnavailable: If Redis is lost.
        """
        rows = [row for family in self._families(queue) for row in self._tasks_of(family)]
        return Table(TaskRow, [row for row in rows if job is None or names_job(job, row.job)])

    def workers(self, queue: str | None = None) -> Table[WorkerRow]:
        """The workers of one queue, or of all: a row for each that has a task, one for the idle ones of each
        agent of ours, one for R's idle ones.

        Raises:
            StoreUnavailable: If Redis is lost.
        """
        families = self._families(queue)
        counts = self._store.counts([family.keys for family in families])
        rows: list[WorkerRow] = []
        for family, count in zip(families, counts, strict=True):
            listed, agents = self._store.listed_agents(family.keys), self._store.agents(family.keys)
            living = {agent.id for agent in agents}
            dead = sum(workers for agent, workers in listed.items() if agent not in living)
            rows += _workers_of(family.keys.queue, count - dead, _workers_at(self._tasks_of(family)), agents)
        return Table(WorkerRow, rows)

    def find_job(self, text: str, queue: str | None = None) -> JobRow:
        """The one job that `text` means: an ID, the beginning of one, or the number of a process.

        Raises:
            UnknownJob: If there is none, or more than one.
            StoreUnavailable: If Redis is lost.
        """
        jobs = self.jobs_named(text, queue)
        found = [row for row in jobs if row.job == text] or jobs
        if len(found) != 1:
            raise UnknownJob(text, [f"{row.job} (queue {row.queue})" for row in found])
        return found[0]

    def jobs_named(self, text: str, queue: str | None = None) -> list[JobRow]:
        """The jobs that `text` may mean, see `find_job`.

        Raises:
            StoreUnavailable: If Redis is lost.
        """
        return [row for row in self.jobs(queue) if names_job(text, row.job)]

    def has_queue(self, queue: str) -> bool:
        """Whether there is anything of a queue: tasks, jobs, workers, a coordinator that registered it.

        Raises:
            ConfigError: If there is nothing, and the name is a pattern, or empty.
            LocalProtocolError: If something else than a queue is kept under that name.
            StoreUnavailable: If Redis is lost.
        """
        self._go_to(queue)
        keys = QueueKeys(queue)
        if self._store.length(keys.queue) or self._store.family(queue).names or self._store.side_keys(keys):
            return True
        check_queue_name(queue)
        return False

    def _families(self, queue: str | None) -> list[Family]:
        if queue is not None:
            self._go_to(queue)
            family = self._store.family(queue)
            if not family.names:
                # Whoever writes a pattern is told; a queue that is called so can be seen and removed.
                check_queue_name(queue)
            return [family]
        if self._connection.kind == "cluster":
            raise ConfigError("queue", None, "the name of one: in a Redis Cluster they are on many nodes")
        # Many a program has keys like `page.count`; a count alone makes no queue.
        return [family for _, family in sorted(self._store.families().items()) if family.is_queue]

    def _go_to(self, queue: str) -> None:
        """Speak to the server that has the queue: in a cluster it may be another one than before."""
        connection = self._connection.at(queue)
        if connection != self._store.connection:
            self._store.close()
            self._store = self._new_store(connection)

    def _sweep(self, family: Family) -> None:
        """Remove what came late of jobs that are over, and the start keys of workers that died with them."""
        left = {*family.out, *(mark.job for mark in family.start)} - family.env
        if left:
            over = left & self._store.sweep(family.keys)
            lapsed = [mark for mark, state in self._states(family) if state == "lapsed" and mark.job in over]
            self._store.delete(family.keys.start(*mark) for mark in lapsed)

    def _jobs_of(self, family: Family) -> list[JobRow]:
        queued, exact = self._queued(family)
        started = {mark.job for mark in family.start}
        known = [job for job in {*family.env, *family.out, *started, *queued} if JobId.fits(job)]
        states: dict[str, Counter[str]] = defaultdict(Counter)
        for mark, marked in self._states(family):
            states[mark.job][marked] += 1
        rows = []
        for job, figures in zip(known, self._store.figures(family.keys, known), strict=True):
            about = JobId.parse(job)
            state: JobState = "open" if job in family.env else "left over"
            running, lapsed = states[job]["running"], states[job]["lapsed"]
            if state == "left over" and not (queued[job] or running or lapsed or figures.results):
                # It ended while we were looking.
                continue
            rows.append(
                JobRow(
                    *(family.keys.queue, about.pid, about.user, about.host, about.time, job, state),
                    queued=queued[job],
                    queued_exact=exact,
                    running=running,
                    lapsed=lapsed,
                    results=figures.results,
                    done=figures.published,
                )
            )
        return sorted(rows, key=lambda row: (row.time, row.job))

    def _queued(self, family: Family) -> tuple[Counter[str], bool]:
        """How many tasks of each job wait, and whether all were looked at."""
        queued: Counter[str] = Counter()
        seen, complete = 0, True
        for name in family.keys.depths():
            skip = 0
            while stretch := self._store.peek(name, skip):
                queued.update(task.job for task in stretch if task.job is not None)
                skip += len(stretch)
                if seen + skip >= MAX_COUNTED:
                    complete = complete and skip >= self._store.length(name)
                    break
            seen += skip
        return queued, complete

    def _states(self, family: Family) -> list[tuple[Mark, TaskState]]:
        """The tasks that were taken, and how each is now."""
        marks = sorted(family.start | family.alive)
        states: list[tuple[Mark, TaskState]] = []
        for mark, (start, alive) in zip(marks, self._store.marked(family.keys, marks), strict=True):
            if start:
                states.append((mark, "running" if alive else "lapsed"))
            elif alive:
                states.append((mark, "ended"))
        return states

    def _tasks_of(self, family: Family) -> list[TaskRow]:
        rows = []
        for mark, state in self._states(family):
            try:
                about, tag = JobId.parse(mark.job), TaskTag.parse(mark.tag)
            except RemoteProtocolError:
                # What a malformed task left; remove_queue takes it away.
                continue
            rows.append(
                TaskRow(
                    *(family.keys.queue, about.pid, about.user, about.host, parse_begin(tag.begin)),
                    *(block_name(tag.first, tag.last), tag.host, tag.pid, mark.job, state),
                )
            )
        return sorted(rows, key=lambda row: (str(row.time), row.job, int(row.iter.partition("...")[0])))

    # --- removing -----------------------------------------------------------------------------------------

    def remove_job(self, job: str, queue: str | None = None) -> Removal:
        """Remove one job: its waiting tasks, its environment, results and marks. Other jobs notice nothing.

        A coordinator of ours ends with `JobCancelled`. One in R knows nothing of removals: it takes the tasks
        for lost and submits them again after `ftinterval`, so end it first. Running tasks are interrupted by
        pydoredis workers; R's run to their end, and what they answer is swept away
        (`pydoredis.store.late_results`).

        Args:
            job: The job's ID, the beginning of one, or the number of the coordinator's process; there must be
                just one such job.
            queue: Its queue, if the job is not to be looked for on all.

        Raises:
            UnknownJob: If no job is called that, or more than one.
            StoreUnavailable: If Redis is lost; what is left can be removed once more.
        """
        row = self.find_job(job, queue)
        family = self._store.family(row.queue)
        keys = family.keys
        removed = self._store.remove_job(keys, row.job, self._store.names_of(family, row.job))
        return Removal(row.queue, row.job, removed.tasks, removed.keys, row.running)

    def drain(self, agent: str, queue: str) -> None:
        """Have an agent of ours leave: with its next heartbeat it does what it does at SIGTERM. What has
        started it may start another one.

        Args:
            agent: Its ID (`pydoredis.snapshots.AgentStatus`).
            queue: A queue that it serves.

        Raises:
            StoreUnavailable: If Redis is lost.
        """
        self._go_to(queue)
        self._store.drain(QueueKeys(queue), agent)

    def remove_queue(self, queue: str) -> Removal:
        """Remove a queue with all that belongs to it: waiting tasks, jobs, marks, results, the worker count.

        Workers leave when they next look (after `linger`). Values of users stay. Running tasks run to their
        end, see `remove_job`.

        Raises:
            LocalProtocolError: If something else than a queue is kept under that name.
            StoreUnavailable: If Redis is lost; what is left can be removed once more.
        """
        keys = QueueKeys(queue)
        if not self.has_queue(queue):
            return Removal(queue, None, 0, 0, 0)
        tasks = sum(map(self._store.length, keys.depths()))
        running = sum(state == "running" for _, state in self._states(self._store.family(queue)))
        # First what calls workers to the queue, then what tells them about its jobs, then the rest.
        deleted = self._store.delete([keys.live, *keys.depths()])
        while names := [*self._store.family(queue).names, *self._store.side_keys(keys)]:
            deleted += self._store.delete(names)
        return Removal(queue, None, tasks, deleted, running)


def _workers_at(tasks: Iterable[TaskRow]) -> list[WorkerRow]:
    """The workers that have these tasks, of one queue, which are in the order of time."""
    at_work: dict[tuple[str, int], list[TaskRow]] = defaultdict(list)
    for task in tasks:
        if task.state != "ended":
            at_work[task.host, task.pid].append(task)
    rows = []
    for (host, pid), own in sorted(at_work.items()):
        first = own[0]
        state: WorkerState = "busy" if any(task.state == "running" for task in own) else "lapsed"
        rows.append(
            WorkerRow(first.queue, state, 1, host, pid, first.job, first.iter, first.time, tasks=len(own))
        )
    return rows


def _workers_of(
    queue: str, count: int, at_work: Sequence[WorkerRow], agents: Sequence[Presence]
) -> Iterator[WorkerRow]:
    """All workers of a queue.

    Args:
        queue: Its name.
        count: How many say that they listen, without those of agents of ours that died.
        at_work: Those that have a task.
        agents: Those of ours.
    """
    executors = {(agent.host, pid): agent for agent in agents for pid in agent.pids}
    busy: Counter[str] = Counter()
    for row in at_work:
        agent = executors.get((row.host or "", row.pid or 0))
        if agent is None:
            yield row
        else:
            busy[agent.id] += row.state == "busy"
            yield replace(row, python=agent.python, r=agent.r or None)
    for agent in agents:
        if (idle := agent.workers - busy[agent.id]) > 0:
            yield WorkerRow(
                *(queue, "idle", idle, agent.host, agent.pid), python=agent.python, r=agent.r or None
            )
    busy_of_r = sum(row.state == "busy" for row in at_work) - busy.total()
    idle_of_r = count - sum(agent.workers for agent in agents) - busy_of_r
    if idle_of_r > 0:
        yield WorkerRow(queue, "idle", idle_of_r)


# --- functions --------------------------------------------------------------------------------------------


def jobs(
    queue: str | None = None,
    *,
    connection: ConnectionSettings | None = None,
) -> Table[JobRow]:
    """The jobs of one queue, or of all; see `JobRow` for the columns.

    Args:
        queue: The queue.
        connection: Which server; that of the registered queue by default.

    Raises:
        StoreUnavailable: If Redis cannot be reached.
    """
    with Admin(connection) as admin:
        return admin.jobs(queue)


def tasks(
    queue: str | None = None,
    job: str | None = None,
    *,
    connection: ConnectionSettings | None = None,
) -> Table[TaskRow]:
    """The tasks that workers have taken; see `TaskRow` for the columns, and `jobs` for the arguments.

    Args:
        queue: Only those of this queue.
        job: Only those of this job: an ID, the beginning of one, or the number of the coordinator's process.
    """
    with Admin(connection) as admin:
        return admin.tasks(queue, job)


def workers(
    queue: str | None = None,
    *,
    connection: ConnectionSettings | None = None,
) -> Table[WorkerRow]:
    """The workers of one queue, or of all; see `WorkerRow` for the columns, and `jobs` for the arguments."""
    with Admin(connection) as admin:
        return admin.workers(queue)


def remove_job(
    job: str, queue: str | None = None, *, connection: ConnectionSettings | None = None
) -> Removal:
    """Remove one job; see `Admin.remove_job`."""
    with Admin(connection) as admin:
        return admin.remove_job(job, queue)


def remove_queue(queue: str, *, connection: ConnectionSettings | None = None) -> Removal:
    """Remove a queue with all that belongs to it; see `Admin.remove_queue`."""
    with Admin(connection) as admin:
        return admin.remove_queue(queue)
