"""Bodies that wait for loops of their own: others are at work in their place, and what they leave goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydoredis.worker.core.executors import Executor, Executors
from pydoredis.worker.core.hiring import Hiring
from pydoredis.worker.core.instructions import Dismiss, Instruction, RemoveJob

SPARE_S = 10.0
"""How long an executor stays that is one too many, since the body goes on for which it stood in. Others may
wait soon, and to start one takes a quarter of a second."""


class Lending:
    """Notes which bodies wait and which jobs they have begun; ends executors that are one too many.

    Args:
        executors: Those that are there.
        hiring: Says how many are too many.
        do: Carries out instructions.
    """

    def __init__(self, executors: Executors, hiring: Hiring, do: Callable[[Instruction], None]) -> None:
        self._executors = executors
        self._hiring = hiring
        self._do = do

    # --- what bodies do -----------------------------------------------------------------------------------

    def waits(self, executor: Executor) -> None:
        """The running body waits for a loop of its own. What waits behind it is taken back (`Dispatch`)."""
        self._executors.lend(executor)

    def goes_on(self, executor: Executor) -> None:
        """It is at work again, whoever else is: there will be no more than may be as tasks end."""
        self._executors.end_loan(executor)

    def began(self, executor: Executor, queue: str, job: str) -> None:
        """It has begun a job."""
        executor.jobs[job] = queue

    def ended(self, executor: Executor, job: str) -> None:
        """It has ended one."""
        executor.jobs.pop(job, None)

    def task_over(self, executor: Executor) -> None:
        """The task has ended, or its executor has died: jobs that it left open end with it."""
        self._executors.end_loan(executor)
        for job, queue in executor.jobs.items():
            self._do(RemoveJob(queue, job))
        executor.jobs.clear()

    # --- executors that are too many ----------------------------------------------------------------------

    def due_s(self) -> float:
        """When (monotonic) there will be something to do; infinity for never."""
        return min((due_s for _, due_s in self._spare()), default=float("inf"))

    def proceed(self, now_s: float) -> None:
        """End executors that were not needed for a while."""
        if not self._hiring.substituted:
            return
        for executor, due_s in self._spare():
            if now_s >= due_s and self._hiring.surplus(executor.codec) > 0:
                executor.retired_for = "no body waits for which it would stand in"
                executor.dismissed_s = now_s
                self._do(Dismiss(executor.number))
        self._hiring.look_at_surplus()

    def _spare(self) -> Iterator[tuple[Executor, float]]:
        """Idle executors of which there are too many, and when they have been idle for long enough."""
        if self._hiring.substituted:
            for executor in self._executors:
                if executor.open and not executor.leases and self._hiring.surplus(executor.codec) > 0:
                    yield executor, max(executor.started_s, executor.head_since_s) + SPARE_S
