"""What an agent has done, by queue, and what it tells of that with its heartbeats."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.telemetry import BOUNDS_S, Activity, Counters, ExecutorState, Stopwatch, Surroundings
from pydoredis.worker.core.executors import Executor, Executors
from pydoredis.worker.core.lease import Lease

Look = Callable[[Sequence[int]], Surroundings]
"""Tells of the agent's surroundings what the core cannot know; given the numbers of the agent's processes."""


class _Tally:
    """Counters of one queue."""

    __slots__ = ("crashed", "given_back", "iterations", "run", "timed_out", "wait")

    def __init__(self) -> None:
        self.iterations = self.crashed = self.timed_out = self.given_back = 0
        self.run = Stopwatch()
        self.wait = Stopwatch()

    def counters(self) -> Counters:
        run = self.run.histogram()
        events = (self.iterations, self.crashed, self.timed_out, self.given_back)
        return Counters(run.count, *events, run, self.wait.histogram())


class Tallies:
    """Counts, and tells.

    Args:
        queues: The queues that are served.
        executors: Those that are there.
        pid: Number of the agent's own process.
        look: Tells what else there is to say; None: nothing is told.
    """

    def __init__(
        self, queues: Sequence[QueueKeys], executors: Executors, pid: int, look: Look | None
    ) -> None:
        self._tallies = {keys.queue: _Tally() for keys in queues}
        self._queues = queues
        self._executors = executors
        self._pid = pid
        self._look = look
        self._since_s: float | None = None

    # --- what happens: for each task ----------------------------------------------------------------------

    def ran(self, lease: Lease, seconds: float, begun_s: float) -> None:
        """An executor has run a task, which began at that time (monotonic)."""
        tally = self._tallies[lease.keys.queue]
        tally.iterations += len(lease.task.iterations)
        # As `Stopwatch.note` does it; here it is done for each task, and two calls would take as long.
        run, wait, waited_s = tally.run, tally.wait, begun_s - lease.taken_s
        run.counts[bisect_left(BOUNDS_S, seconds)] += 1
        run.sum_s += seconds
        wait.counts[bisect_left(BOUNDS_S, waited_s)] += 1
        wait.sum_s += waited_s

    def crashed(self, lease: Lease, *, timed_out: bool) -> None:
        """An executor died on a task, or was ended because the task took too long."""
        tally = self._tallies[lease.keys.queue]
        if timed_out:
            tally.timed_out += 1
        else:
            tally.crashed += 1

    def gave_back(self, lease: Lease) -> None:
        """A task was put back."""
        self._tallies[lease.keys.queue].given_back += 1

    # --- what is told: with each heartbeat ----------------------------------------------------------------

    def told(self, now_s: float) -> Sequence[Activity]:
        """What is to be told on each queue, in their order; nothing if nothing is."""
        if self._look is None:
            return ()
        if self._since_s is None:
            self._since_s = now_s
        seen = self._look((self._pid, *self._executors.pids))
        executors = tuple(self._states(seen, now_s))
        up_s, memory = round(now_s - self._since_s, 3), seen.resident_bytes.get(self._pid, 0)
        tallies = [self._tallies[keys.queue] for keys in self._queues]
        return [
            Activity(up_s, memory, tally.counters(), executors, tuple(seen.warnings)) for tally in tallies
        ]

    def _states(self, seen: Surroundings, now_s: float) -> Iterator[ExecutorState]:
        for executor in self._executors:
            if executor.pid:
                yield _state(executor, seen.resident_bytes.get(executor.pid, 0), now_s)


def _state(executor: Executor, resident_bytes: int, now_s: float) -> ExecutorState:
    head = executor.head
    if head is None:
        return ExecutorState(executor.pid, executor.codec, resident_bytes)
    return ExecutorState(
        *(executor.pid, executor.codec, resident_bytes, head.keys.queue, head.task.job),
        *(head.task.first, head.task.last, round(now_s - executor.head_since_s, 3), executor.lent),
    )
