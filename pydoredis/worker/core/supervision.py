"""What ends executors: time limits, jobs that were cancelled, old age, and not ending when told to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydoredis.worker.core.executors import INTERRUPT_GRACE_S, Executor, Executors
from pydoredis.worker.core.hiring import Hiring
from pydoredis.worker.core.instructions import Dismiss, Instruction, Interrupt, Kill, Log, Look, Weigh
from pydoredis.worker.core.recycling import Limits

START_TIMEOUT_S = 120.0
"""How long an executor may take to be ready: R's start runs the user's profile, and disks can be slow."""

DISMISS_TIMEOUT_S = 5.0

LOOKS_PER_LIMIT = 8
"""How often it is looked, in the time that an iteration may take, which one is running."""


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """When an executor has run for too long, and when to look."""

    executor: Executor
    due_s: float
    look_s: float
    reason: str
    by_iteration: bool = False


class Supervision:
    """Ends executors that run, or live, too long.

    Args:
        executors: Those that are there.
        hiring: Starts successors.
        limits: After what an executor is replaced.
        timelimit_s: Longest run of one task; 0 for no limit.
        do: Carries out instructions.
    """

    def __init__(
        self,
        executors: Executors,
        hiring: Hiring,
        limits: Limits,
        timelimit_s: float,
        do: Callable[[Instruction], None],
    ) -> None:
        self._executors = executors
        self._hiring = hiring
        self._limits = limits
        self._timelimit_s = timelimit_s
        self._do = do

    def due_s(self, now_s: float) -> float:
        """When (monotonic) there will be something to do; infinity for never."""
        due = [limit.look_s for limit in self._time_limits(now_s)]
        for executor in self._executors:
            if not executor.ending:
                due.append(executor.stopping_since_s + INTERRUPT_GRACE_S)
                due.append(executor.dismissed_s + DISMISS_TIMEOUT_S)
        return min(due, default=float("inf"))

    def proceed(self, now_s: float, *, stopping: bool) -> None:
        """End what is to be ended."""
        for limit in list(self._time_limits(now_s)):
            self._see_to(limit, now_s)
        for executor in self._executors:
            if executor.ending:
                continue
            if executor.head is not None and executor.head.cancelled:
                self._stop(executor, now_s)
            if not stopping:
                self._retire(executor, now_s)
            if now_s >= executor.dismissed_s + DISMISS_TIMEOUT_S:
                self.kill(executor, "did not end by itself")

    def kill(self, executor: Executor, reason: str) -> None:
        """End one now."""
        executor.ending = reason
        self._do(Kill(executor.number, reason))

    # --- time limits --------------------------------------------------------------------------------------

    def _time_limits(self, now_s: float) -> Iterator[TimeLimit]:
        """What limits there are for executors at work. A job may have some of its own."""
        for executor in self._executors:
            head = executor.head
            if head is None or executor.ending:
                continue
            assert head.job is not None
            own = head.job.environment.limits
            limits = [seconds for seconds in (self._timelimit_s, own.timelimit_s) if seconds]
            if limits:
                due_s = executor.head_since_s + min(limits)
                yield TimeLimit(executor, due_s, due_s, f"time limit of {min(limits):g} s exceeded")
            if own.iteration_timelimit_s:
                seconds = own.iteration_timelimit_s
                due_s = max(executor.iteration_since_s, executor.head_since_s) + seconds
                # Nobody tells when an iteration begins.
                looked_s = max(executor.looked_s, executor.head_since_s)
                look_s = min(due_s, looked_s + seconds / LOOKS_PER_LIMIT)
                reason = f"time limit of {seconds:g} s per iteration exceeded"
                yield TimeLimit(executor, due_s, look_s, reason, by_iteration=True)

    def _see_to(self, limit: TimeLimit, now_s: float) -> None:
        executor = limit.executor
        if executor.ending or now_s < limit.look_s:
            return
        # Before an end by the limit of an iteration it is looked once more: it may be another one by now.
        # The answer comes before the limits are seen to again.
        if limit.by_iteration and executor.looked_s < limit.due_s:
            executor.looked_s = now_s
            self._do(Look(executor.number))
        else:
            executor.timed_out = True
            self.kill(executor, limit.reason)

    # --- cancelled jobs -----------------------------------------------------------------------------------

    def _stop(self, executor: Executor, now_s: float) -> None:
        """Have an executor drop its running task, which was cancelled: by SIGINT; if that does not help, by
        SIGKILL. What waits behind it is taken back first, so that the signal hits no other.
        """
        if len(executor.leases) > 1 and not executor.recalled:
            return
        if executor.stopping_since_s == float("inf"):
            executor.stopping_since_s = now_s
            self._do(Interrupt(executor.number))
        elif now_s >= executor.stopping_since_s + INTERRUPT_GRACE_S:
            self.kill(executor, "its job was cancelled")

    # --- old age ------------------------------------------------------------------------------------------

    def _retire(self, executor: Executor, now_s: float) -> None:
        """Give one that has served long enough no more tasks, and start another one in its place."""
        if executor.tasks_done > executor.tasks_looked_at and not executor.retired_for:
            executor.tasks_looked_at = executor.tasks_done
            reason = self._limits.exceeded(executor.tasks_done, now_s - executor.started_s)
            if reason is not None:
                self._replace(executor, reason, now_s)
            elif self._limits.memory_mb is not None:
                self._do(Weigh(executor.number))
        if executor.retired_for and not executor.leases and executor.dismissed_s == float("inf"):
            executor.dismissed_s = now_s
            self._do(Dismiss(executor.number))

    def weighed(self, executor: Executor, resident_bytes: int, now_s: float) -> None:
        """An executor has so much memory."""
        reason = self._limits.exceeded_by_memory(resident_bytes)
        if reason is not None and not executor.retired_for and not executor.ending:
            self._replace(executor, reason, now_s)

    def _replace(self, executor: Executor, reason: str, now_s: float) -> None:
        executor.retired_for = reason
        self._do(Log(logging.INFO, f"executor {executor.pid} is replaced: {reason}"))
        if self._hiring.surplus(executor.codec) < 0:  # else one is there that stood in for a body that waited
            self._hiring.hire(executor.codec, now_s)
