"""What there is room for: how many tasks of which jobs are taken off the queues."""

from __future__ import annotations

from collections.abc import Sequence

from pydoredis.settings import WorkerSettings
from pydoredis.worker.core.executors import Executors
from pydoredis.worker.core.hiring import Hiring
from pydoredis.worker.core.jobs import LoadedJobs
from pydoredis.worker.core.lease import Shelves, State
from pydoredis.worker.core.prefetch import AGENT_AHEAD_S, PIPE_AHEAD_S, fitting
from pydoredis.worker.core.refusals import Refusals


class Room:
    """Says what there is room for.

    Attributes:
        tasks_left: How many more tasks the agent may take, those that it holds included; None for any number.

    Args:
        shelves: The agent's leases.
        jobs: The jobs that it knows.
        executors: Its executors.
        hiring: Starts others.
        refusals: When to rest from tasks that are not served here.
        settings: How many tasks there may be in all, and how deep loops inside of bodies.
    """

    def __init__(
        self,
        shelves: Shelves,
        jobs: LoadedJobs,
        executors: Executors,
        hiring: Hiring,
        refusals: Refusals,
        settings: WorkerSettings,
    ) -> None:
        self.tasks_left = None if settings.iter is None else settings.iter * settings.workers
        self._shelves = shelves
        self._jobs = jobs
        self._executors = executors
        self._hiring = hiring
        self._refusals = refusals
        self._nesting = settings.nesting

    def __call__(self, now_s: float) -> tuple[Sequence[int], dict[str, int]]:
        """For how many tasks there is an executor, and how many of which job may come in addition.

        The first is one number; or, while bodies wait for loops of their own, one for each depth, for tasks
        of that depth and deeper ones together.
        """
        if self._refusals.resting(now_s):
            return (0,), {}
        executors = list(self._executors)
        some_lent = bool(self._executors.lent)
        idle = sum(1 for each in executors if each.open and not each.leases)
        if some_lent or self._hiring.startable:
            idle = self._executors.size
        left = self._left()
        free = max(0, min(self._executors.room(0), idle) - self._to_start(0))
        free = min(free, left)
        left -= free
        rooms = [free]
        if some_lent:  # whatever `iter` says: a body waits for these
            for depth in range(1, self._nesting + 1):
                room = min(self._executors.room(depth), idle) - self._to_start(depth)
                rooms.append(max(rooms[-1], room))
        ahead: dict[str, int] = {}
        depths = [
            each.leases[0].keys.depth
            for each in executors
            if each.open and each.frees_within(AGENT_AHEAD_S, now_s)
        ]
        for job in self._jobs:
            expected_s = job.durations.expected_s
            if expected_s is None or left <= 0:
                continue
            in_pipe = fitting(PIPE_AHEAD_S, expected_s)
            running = sum(1 for each in executors if each.leases and each.leases[0].job is job)
            if some_lent and not any(
                each.open and each.leases and each.leases[0].job is job for each in executors
            ):
                continue  # only who runs it may be able to run more of it
            # No task waits behind a deeper one (`Executor.takes`): it would go back at once.
            going_on = sum(1 for depth in depths if depth <= job.depth)
            wanted = going_on * (in_pipe + job.durations.per_executor) - (
                job.tasks[State.WAITING] + job.tasks[State.RUNNING] - running
            )
            # In batches that are worth a request: half of what may wait.
            if wanted > 0 and 2 * wanted >= going_on * job.durations.per_executor:
                ahead[job.key] = min(wanted, left)
                left -= ahead[job.key]
        return rooms, ahead

    def _to_start(self, depth: int) -> int:
        """How many tasks of this depth and deeper ones are here for executors that have none."""
        states = (State.WAITING, State.SEEN, State.ASIDE)
        if not depth:
            return self._shelves.count(*states)
        return sum(1 for state in states for lease in self._shelves[state] if lease.keys.depth >= depth)

    def answered(self) -> None:
        """A task has been answered."""
        if self.tasks_left is not None:
            self.tasks_left -= 1

    def _left(self) -> int:
        """How many more tasks may be taken because of `iter`."""
        if self.tasks_left is None:
            return 1_000_000
        return max(0, self.tasks_left - (len(self._shelves) - self._shelves.count(State.ANSWERED)))
