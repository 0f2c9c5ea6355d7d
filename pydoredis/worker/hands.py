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
from pydoredis.worker.child import Run


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
    """An executor died while this task ran, at this iteration (None: not known)."""

    run: Run
    iteration: int | None
    cause: str


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
    """

    def __init__(self) -> None:
        self.taken: deque[tuple[QueueKeys, bytes]] = deque()
        self.unmarked: list[Claim] = []
        self.arrived: deque[Arrived] = deque()
        self.backlog: deque[Run] = deque()
        self.deaths: deque[Death] = deque()
        self.outbox: list[tuple[Claim, bytes]] = []
        self._delayed: list[_Delayed] = []

    def __len__(self) -> int:
        waiting = len(self.taken) + len(self.unmarked) + len(self.arrived) + len(self.backlog)
        return waiting + len(self.deaths) + len(self._delayed) + len(self.outbox)

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

    def give_up(self) -> list[Run]:
        """All tasks that no executor has begun, to be given back; they are not here any more."""
        runs = [*self.backlog, *(item.run for item in sorted(self._delayed))]
        self.backlog.clear()
        self._delayed.clear()
        return runs
