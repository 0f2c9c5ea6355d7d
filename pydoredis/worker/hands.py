"""What an agent holds outside of its executors.

Everything stands in exactly one place, from the moment it was taken off a queue to the moment Redis has
confirmed its end.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

from pydoredis.protocol.keys import QueueKeys
from pydoredis.store import Claim
from pydoredis.worker import crashes
from pydoredis.worker.frames import Bytes
from pydoredis.worker.run import Run


@dataclass(frozen=True, slots=True)
class Arrived:
    """A task that was marked.

    Attributes:
        claim: The task.
        environment: Value of its job's environment key; None if the key is gone.
        crashed: Whether an executor, anywhere, died on it before.
    """

    claim: Claim
    environment: bytes | None
    crashed: bool


@dataclass(frozen=True, slots=True)
class Death:
    """An executor died while a task ran.

    Attributes:
        run: The task.
        iteration: Which iteration was running; None: not known.
        cause: What it died of.
        timed_out: Whether we ended it because of a time limit: then there is no second try.
    """

    run: Run
    iteration: int | None
    cause: str
    timed_out: bool = False


@dataclass(order=True, slots=True)
class _Delayed:
    due_s: float
    number: int
    run: Run = field(compare=False)


class Hands:
    """The collections, in the order in which a task passes through them.

    Attributes:
        taken: Off the queue, not yet looked at.
        unmarked: To be marked. Tried again under the same names, for it may have been done without our
            learning of it.
        arrived: Marked, not yet looked at.
        backlog: For the next free executor.
        deaths: Back from an executor that died.
        outbox: Results that Redis has not got yet.
        cancelled: Tasks of cancelled jobs, to be let go of.
    """

    def __init__(self) -> None:
        self.taken: deque[tuple[QueueKeys, bytes]] = deque()
        self.unmarked: list[Claim] = []
        self.arrived: deque[Arrived] = deque()
        self.backlog: deque[Run] = deque()
        self.deaths: deque[Death] = deque()
        self.outbox: list[tuple[Claim, Bytes]] = []
        self.cancelled: list[Claim] = []
        self._delayed: list[_Delayed] = []

    def __len__(self) -> int:
        waiting = len(self.taken) + len(self.unmarked) + len(self.arrived) + len(self.backlog)
        return waiting + len(self.deaths) + len(self._delayed) + len(self.outbox) + len(self.cancelled)

    def delay(self, run: Run, due_s: float) -> None:
        """Try this task again at `due_s` (monotonic)."""
        heapq.heappush(self._delayed, _Delayed(due_s, run.number, run))

    def next_retry_s(self) -> float:
        """When the next delayed task is due; infinity if there is none."""
        return self._delayed[0].due_s if self._delayed else float("inf")

    def retry(self, now_s: float) -> None:
        """Move the delayed tasks that are due to the backlog."""
        while self._delayed and self._delayed[0].due_s <= now_s:
            self.backlog.append(heapq.heappop(self._delayed).run)

    def interrupted(self, run: Run, index: int) -> None:
        """An executor has dropped this task. If its job lives, SIGINT was not from us: a kind of death."""
        if run.claim.cancelled:
            self.cancelled.append(run.claim)
        else:
            self.deaths.append(Death(run, run.claim.task.iterations[index], crashes.INTERRUPTED))

    def withdraw_cancelled(self) -> None:
        """Move tasks of cancelled jobs that no executor has begun to `cancelled`."""
        gone = [run for run in (*self.backlog, *(item.run for item in self._delayed)) if run.claim.cancelled]
        if gone:
            self.cancelled += [run.claim for run in gone]
            self.backlog = deque(run for run in self.backlog if not run.claim.cancelled)
            self._delayed = [item for item in self._delayed if not item.run.claim.cancelled]
            heapq.heapify(self._delayed)

    def give_up(self) -> list[Run]:
        """All tasks that no executor has begun, to be given back; they are not here any more."""
        runs = [*self.backlog, *(item.run for item in sorted(self._delayed))]
        self.backlog.clear()
        self._delayed.clear()
        return runs
