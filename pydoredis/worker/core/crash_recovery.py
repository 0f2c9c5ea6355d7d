"""What becomes of a task whose executor died: it is tried again, but not for ever (promise 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydoredis.protocol import wire
from pydoredis.protocol.claims import Crash
from pydoredis.protocol.messages import Verdict
from pydoredis.worker.core.executors import Executor
from pydoredis.worker.core.lease import Lease

INTERRUPTED = "interrupted by SIGINT"
"""Cause of what counts as a death though the executor lives: a signal that the agent has not sent."""

Decision = Literal["give-back", "again", "wait", "condemn"]


def decide(deaths: int, max_crashes: int, *, some_finished: bool) -> Decision:
    """What to do after the executor of an iteration died for the `deaths`-th time, on any machine.

    Returns:
        `give-back`: at once to the head of the queue, for whoever is free: most deaths are nobody's fault.
        `again`: at once, but here, where the results of those iterations are that were finished before.
        `wait`: keep it, marked and alive, for the worker's `retry_pause_s`, then try it again.
        `condemn`: its result is an error that names the cause; the rest of its block is delivered.
    """
    if deaths >= max_crashes:
        return "condemn"
    if deaths > 1:
        return "wait"
    return "again" if some_finished else "give-back"


def verdict(deaths: int, cause: str) -> Verdict:
    """The error of a condemned iteration."""
    times = "once" if deaths == 1 else f"{deaths} times"
    if cause == INTERRUPTED:
        return Verdict(
            "crash", f"the iteration was interrupted {times}, and not because its job was cancelled"
        )
    return Verdict("crash", f"the worker process died {times} on this iteration: {cause}")


class CrashRecovery:
    """Decides about tasks on which executors died.

    Args:
        max_crashes: Give up an iteration after this many executor deaths, on any machine, unless its job says
            otherwise.
        retry_pause_s: How long to wait before a task is tried again that killed two executors.
    """

    def __init__(self, max_crashes: int, retry_pause_s: float) -> None:
        self._max_crashes = max_crashes
        self._retry_pause_s = retry_pause_s

    def died(self, executor: Executor, cause: str, iteration: int | None, *, blame: bool) -> None:
        """Take over the tasks of an executor that died; its first one is to `blame`, or it is not."""
        timed_out = executor.timed_out
        leases = executor.clear()
        head = leases[0] if leases else None
        # Those behind the running one had not begun: they come first, in their order.
        for lease in reversed(leases):
            if lease.cancelled:
                lease.drop()
            elif lease is head and blame:
                if not lease.may_run(iteration):
                    # It died before the first iteration, perhaps of what was kept.
                    iteration = None
                    lease.kept.clear()
                if timed_out:
                    self._time_out(lease, iteration, cause)
                else:
                    lease.fall(iteration, cause)
            else:
                lease.wait(first=True)

    def interrupted(self, lease: Lease, index: int) -> None:
        """SIGINT ended an iteration. If its job lives, the signal was not from us: a kind of death."""
        if lease.cancelled:
            lease.drop()
        else:
            lease.fall(lease.task.iterations[index], INTERRUPTED)

    def counted(self, lease: Lease, crashes: Sequence[Crash], now_s: float) -> None:
        """A death was counted; these are all of the task."""
        death = lease.death
        assert death is not None
        deaths = sum(crash.deaths for crash in crashes if crash.iteration == death.iteration)
        decision = decide(deaths, self._limit(lease), some_finished=bool(lease.finished))
        if decision == "give-back":
            lease.give_back("head")
        elif decision == "wait":
            # Time may mend a machine, but not a body that interrupts itself.
            lease.delay(now_s + (0.0 if death.cause == INTERRUPTED else self._retry_pause_s))
        elif not self._condemned(lease, crashes):
            lease.wait(first=True)

    def looked_up(self, lease: Lease, crashes: Sequence[Crash]) -> None:
        """These deaths were counted for a task before it came to us."""
        lease.crashed = False
        if not self._condemned(lease, crashes):
            lease.wait()

    def _condemned(self, lease: Lease, crashes: Sequence[Crash]) -> bool:
        """Note which iterations of a task may not run any more; answer it if none is left."""
        for crash in crashes:
            if crash.deaths >= self._limit(lease):
                guilty = lease.task.iterations if crash.iteration is None else (crash.iteration,)
                lease.verdicts.update(dict.fromkeys(guilty, verdict(crash.deaths, crash.cause)))
        return self._answered_by_verdicts(lease)

    def _limit(self, lease: Lease) -> int:
        """How many executor deaths an iteration of this task may cause."""
        own = lease.job.environment.limits.max_crashes if lease.job else None
        return own or self._max_crashes

    def _time_out(self, lease: Lease, iteration: int | None, cause: str) -> None:
        """An iteration took too long: that is its result; the others of its block go on."""
        guilty = lease.task.iterations if iteration is None else (iteration,)
        lease.verdicts.update(dict.fromkeys(guilty, Verdict("timeout", cause)))
        if not self._answered_by_verdicts(lease):
            lease.wait(first=True)

    def _answered_by_verdicts(self, lease: Lease) -> bool:
        """Whether no iteration of a task is to be run any more: then it is answered."""
        if len(lease.verdicts) < len(lease.task.iterations):
            return False
        verdicts = {number: lease.verdicts[number] for number in lease.task.iterations}
        lease.answer(wire.encode_verdicts(verdicts))
        return True
