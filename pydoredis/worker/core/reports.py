"""What follows from what executors do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from pydoredis.protocol import wire
from pydoredis.worker.core import events
from pydoredis.worker.core.crash_recovery import CrashRecovery
from pydoredis.worker.core.dispatch import Dispatch
from pydoredis.worker.core.executors import Executor, Executors
from pydoredis.worker.core.hiring import Hiring
from pydoredis.worker.core.instructions import Instruction, Log
from pydoredis.worker.core.intake import Intake
from pydoredis.worker.core.lease import Lease
from pydoredis.worker.core.lending import Lending
from pydoredis.worker.core.refusals import Refusals
from pydoredis.worker.core.room import Room
from pydoredis.worker.core.shutdown import Shutdown
from pydoredis.worker.core.supervision import Supervision
from pydoredis.worker.core.tallies import Tallies


class Reports:
    """Moves leases on, by what executors report.

    An event about an executor or a task that is not there any more says nothing: the executor may have died
    while it was on its way.

    Args:
        executors: Those that are there.
        hiring: Replaces those that died.
        lending: Is told which bodies wait for loops of their own.
        supervision: Is told how much memory they have.
        dispatch: Is told that tasks have become longer.
        room: Counts how many tasks the agent may still take.
        intake: Answers tasks with errors.
        crash_recovery: Decides about tasks on which executors died.
        refusals: Is told that a task was served.
        shutdown: Whether the agent stops.
        tallies: Count what was done.
        do: Carries out instructions.
    """

    def __init__(
        self,
        executors: Executors,
        hiring: Hiring,
        lending: Lending,
        supervision: Supervision,
        dispatch: Dispatch,
        room: Room,
        intake: Intake,
        crash_recovery: CrashRecovery,
        refusals: Refusals,
        shutdown: Shutdown,
        tallies: Tallies,
        do: Callable[[Instruction], None],
    ) -> None:
        self._executors = executors
        self._hiring = hiring
        self._lending = lending
        self._supervision = supervision
        self._dispatch = dispatch
        self._room = room
        self._intake = intake
        self._crash_recovery = crash_recovery
        self._refusals = refusals
        self._shutdown = shutdown
        self._tallies = tallies
        self._do = do

    def heard(self, event: Any, now_s: float) -> bool:
        """Take note of an event, if it is one of an executor; whether it is."""
        handler = _HANDLERS.get(type(event))
        if handler is None:
            return False
        handler(self, event, now_s)
        return True

    def _hired(self, event: events.Hired, now_s: float) -> None:
        executor = self._executors.get(event.executor)
        if executor is not None:
            executor.pid = event.pid

    def _hire_failed(self, event: events.HireFailed, now_s: float) -> None:
        executor = self._executors.get(event.executor)
        if executor is not None:
            self._hiring.start_failed(executor, event.reason)

    def _ready(self, event: events.Ready, now_s: float) -> None:
        executor = self._executors.get(event.executor)
        if executor is not None:
            executor.ready = event.text
            self._hiring.became_ready()

    def _finished(self, event: events.Finished, now_s: float) -> None:
        executor = self._executors.get(event.executor)
        begun_s = executor.head_since_s if executor else now_s
        lease = self._answered(event.executor, event.task, now_s)
        if lease is None:
            return
        self._tallies.ran(lease, event.seconds, begun_s)
        assert lease.job is not None
        if lease.job.durations.note(event.seconds):
            self._dispatch.slowed = True
        if len(event.result) > wire.MAX_MESSAGE:
            size = len(event.result)
            self._intake.fail(lease, f"the result has {size} bytes; Redis takes {wire.MAX_MESSAGE}")
        else:
            lease.answer(event.result)

    def _partly(self, event: events.Partly, now_s: float) -> None:
        executor = self._executors.get(event.executor)
        head = executor.head if executor else None
        if head is not None and head.number == event.task:
            if event.finished <= head.finished:
                head.kept.clear()  # what was kept could not be read: it is run again from the beginning
            head.kept.append((event.finished, event.part))

    def _not_run(self, event: events.NotRun, now_s: float) -> None:
        lease = self._answered(event.executor, event.task, now_s)
        if lease is not None:
            text = f"task {lease.block} of job {lease.task.job} cannot be run: {event.reason}"
            self._do(Log(logging.WARNING, text))
            self._intake.fail(lease, f"the task cannot be run: {event.reason}")

    def _not_kept(self, event: events.NotKept, now_s: float) -> None:
        event.job.fetched = 0
        self._intake.fail_waiting(event.job, f"the job environment cannot be kept: {event.reason}")

    def _answered(self, number: int, task: int, now_s: float) -> Lease | None:
        """The first task in an executor's pipe has ended there."""
        executor = self._executors.get(number)
        if executor is None or executor.head is None or executor.head.number != task:
            return None
        self._hiring.finished_a_task()
        self._refusals.served()
        self._room.answered()
        return self._pop(executor, now_s)

    def _pop(self, executor: Executor, now_s: float) -> Lease:
        if executor.lent or executor.jobs:
            self._lending.task_over(executor)
        return executor.pop(now_s)

    def _interrupted(self, event: events.Interrupted, now_s: float) -> None:
        executor = self._executors.get(event.executor)
        if executor is not None and executor.head is not None and executor.head.number == event.task:
            self._crash_recovery.interrupted(self._pop(executor, now_s), event.index)

    def _waits(self, event: events.Waits, now_s: float) -> None:
        executor = self._executors.get(event.executor)
        if executor is not None and executor.leases:
            if event.on:
                self._lending.waits(executor)
            else:
                self._lending.goes_on(executor)

    def _inner_job(self, event: events.InnerJob, now_s: float) -> None:
        executor = self._executors.get(event.executor)
        if executor is not None and executor.leases:
            if event.open:
                self._lending.began(executor, event.queue, event.job)
            else:
                self._lending.ended(executor, event.job)

    def _recalled(self, event: events.Recalled, now_s: float) -> None:
        executor = self._executors.get(event.executor)
        if executor is not None:
            executor.recalling = False
            for lease in reversed(executor.take_back(set(event.tasks))):
                lease.wait(first=True)

    def _place(self, event: events.Place, now_s: float) -> None:
        executor = self._executors.get(event.executor)
        if executor is not None:
            executor.iteration_since_s = event.since_s

    def _memory(self, event: events.Memory, now_s: float) -> None:
        executor = self._executors.get(event.executor)
        if executor is not None:
            self._supervision.weighed(executor, event.resident_bytes, now_s)

    def _died(self, event: events.Died, now_s: float) -> None:
        """An executor is gone: replace it, and see to the tasks in its pipe."""
        executor = self._executors.get(event.executor)
        if executor is None:
            return
        cancelled = executor.head.cancelled if executor.head else False
        if cancelled or (not executor.leases and executor.retired_for):
            text = f"executor {executor.pid} ended: {event.cause}"
            self._do(Log(logging.INFO, text))
        elif not self._shutdown.begun:
            text = f"executor {executor.pid} {event.cause}"
            self._do(Log(logging.WARNING, text))
        self._lending.task_over(executor)
        idle = not executor.leases
        blame = not self._shutdown.cold
        if executor.head is not None and blame and not cancelled:
            self._tallies.crashed(executor.head, timed_out=executor.timed_out)
        self._crash_recovery.died(executor, event.cause, event.iteration, blame=blame)
        self._executors.remove(executor.number)
        if not self._shutdown.begun:
            self._hiring.died(executor, event.cause, event.status, event.output, now_s, idle=idle)


_HANDLERS: Final[dict[type[Any], Callable[[Reports, Any, float], None]]] = {
    events.Hired: Reports._hired,
    events.HireFailed: Reports._hire_failed,
    events.Ready: Reports._ready,
    events.Finished: Reports._finished,
    events.Partly: Reports._partly,
    events.NotRun: Reports._not_run,
    events.Interrupted: Reports._interrupted,
    events.Waits: Reports._waits,
    events.InnerJob: Reports._inner_job,
    events.Recalled: Reports._recalled,
    events.Place: Reports._place,
    events.Memory: Reports._memory,
    events.NotKept: Reports._not_kept,
    events.Died: Reports._died,
}
