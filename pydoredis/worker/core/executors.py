"""What the core knows of each executor: what is in its pipe, and whether it gets on with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydoredis.protocol.messages import Codec
from pydoredis.worker.core.lease import Lease
from pydoredis.worker.core.prefetch import MAX_IN_PIPE, PATIENCE_S, PIPE_AHEAD_S

INTERRUPT_GRACE_S = 2.0
"""How long a body may take to end, and to tidy up, after its job was cancelled."""


def _load_s(lease: Lease) -> float:
    """How much work a task is in a pipe. One of which nothing is known lets no other wait behind it."""
    return lease.expected_s or PIPE_AHEAD_S


@dataclass(eq=False)
class Executor:
    """One executor process.

    Attributes:
        number: What it is called by.
        codec: What it can run.
        started_s: When (monotonic) it was started.
        pid: Its process number, once it was started.
        ready: What it said of itself once it was ready; None before.
        leases: Tasks in its pipe, the running one first.
        head_since_s: Since when (monotonic) the running task runs.
        iteration_since_s: Since when its running iteration was seen running.
        looked_s: When somebody looked which iteration that is.
        tasks_done: How many tasks it has answered.
        tasks_looked_at: How many it had when somebody looked whether it should go on.
        load_s: How long the tasks in its pipe were expected to run.
        ending: Why it is to end, if we are about to end it.
        timed_out: Whether it is ended because of a time limit.
        retired_for: Why it is given no more tasks, if so: its successor has been started.
        dismissed_s: Since when (monotonic) it may end; infinity before.
        stopping_since_s: Since when its running task, of a cancelled job, is to stop; infinity: not to stop.
        recalled: Whether what waits behind its running task was taken back.
        recalling: Whether it is not known yet what that was.
        lent: Whether its body waits for a loop of its own: somebody else may be at work in its place.
        jobs: Jobs that its running task has begun and not ended: IDs, with their queues.
    """

    number: int
    codec: Codec
    started_s: float
    pid: int = 0
    ready: str | None = None
    leases: deque[Lease] = field(default_factory=deque)
    head_since_s: float = 0.0
    iteration_since_s: float = 0.0
    looked_s: float = 0.0
    tasks_done: int = 0
    tasks_looked_at: int = 0
    load_s: float = 0.0
    ending: str | None = None
    timed_out: bool = False
    retired_for: str | None = None
    dismissed_s: float = float("inf")
    stopping_since_s: float = float("inf")
    recalled: bool = False
    recalling: bool = False
    lent: bool = False
    jobs: dict[str, str] = field(default_factory=dict)

    @property
    def head(self) -> Lease | None:
        """The running task."""
        return self.leases[0] if self.leases else None

    @property
    def able(self) -> bool:
        """Whether it is, or will be, there for tasks."""
        return not self.ending and not self.retired_for

    @property
    def open(self) -> bool:
        """Whether it may be given a task now."""
        return (
            self.ready is not None
            and self.able
            and not self.lent
            and not (self.leases and self.leases[0].cancelled)
        )

    @property
    def overrun_s(self) -> float:
        """When (monotonic) its running task will have run for longer than expected; infinity if none runs.

        One that is lent has: nobody knows when it goes on.
        """
        if not self.leases:
            return float("inf")
        if self.lent:
            return float("-inf")
        return self.head_since_s + self.leases[0].expected_s + PATIENCE_S

    def frees_within(self, span_s: float, now_s: float) -> bool:
        """Whether it is at work, on a task that is expected to end within so many seconds."""
        return (
            bool(self.leases)
            and now_s < self.overrun_s
            and self.head_since_s + self.leases[0].expected_s <= now_s + span_s
        )

    def takes(self, expected_s: float | None, depth: int, now_s: float) -> bool:
        """Whether one more task, expected to run so long, may wait in its pipe behind others.

        Not behind a deeper one: that may be run in place of a body that waits, and this one must not.
        """
        return (
            expected_s is not None
            and self.leases[0].keys.depth <= depth
            and not self.recalling
            and len(self.leases) <= MAX_IN_PIPE
            and now_s < self.overrun_s
            and self.load_s + expected_s <= PIPE_AHEAD_S
        )

    def put(self, lease: Lease, expected_s: float | None, now_s: float) -> None:
        """A task goes into its pipe."""
        if not self.leases:
            self.head_since_s = now_s
        lease.hand(expected_s or 0.0)
        self.recalled = False
        self.load_s += _load_s(lease)
        self.leases.append(lease)

    def pop(self, now_s: float) -> Lease:
        """Its running task has ended."""
        lease = self.leases.popleft()
        self.tasks_done += 1
        self.stopping_since_s = float("inf")
        self.head_since_s = now_s
        self.recalled = False
        self.load_s -= _load_s(lease)
        return lease

    def take_back(self, tasks: set[int]) -> list[Lease]:
        """These tasks, by number, are in its pipe no more; returns them in their order."""
        back = [lease for lease in self.leases if lease.number in tasks]
        self.leases = deque(lease for lease in self.leases if lease.number not in tasks)
        self.load_s = sum(map(_load_s, self.leases))
        return back

    def clear(self) -> list[Lease]:
        """It has died: the tasks that were in its pipe."""
        back = list(self.leases)
        self.leases.clear()
        self.load_s = 0.0
        return back


class Executors:
    """The executors that are there, of all codecs.

    Attributes:
        size: How many may be at work at a time.
        lent: Numbers of those whose body waits for a loop of its own.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.lent: set[int] = set()
        self._by_number: dict[int, Executor] = {}

    def __iter__(self) -> Iterator[Executor]:
        """All of them."""
        return iter(list(self._by_number.values()))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_number)

    def add(self, executor: Executor) -> None:
        """One is being started."""
        self._by_number[executor.number] = executor

    def get(self, number: int) -> Executor | None:
        """The one with this number, if it is there."""
        return self._by_number.get(number)

    def remove(self, number: int) -> None:
        """It has died."""
        self._by_number.pop(number, None)
        self.lent.discard(number)

    def lend(self, executor: Executor) -> None:
        """Its body waits: somebody else may be at work in its place."""
        executor.lent = True
        self.lent.add(executor.number)

    def end_loan(self, executor: Executor) -> None:
        """Its body is at work again, or has ended."""
        executor.lent = False
        self.lent.discard(executor.number)

    @property
    def busy(self) -> int:
        """How many are at work: they have a task, and their body does not wait for a loop of its own."""
        return sum(1 for executor in self._by_number.values() if executor.leases and not executor.lent)

    def room(self, depth: int) -> int:
        """How many more may begin a task of this depth (`QueueKeys.depth`).

        So many that no more than `size` are at work, and that no more than `size` have tasks of this depth or
        deeper ones. So a body that waits is replaced by deeper ones only, which are what it waits for: there
        is always room for the deepest, and there are never more than `size` executors for each depth.
        """
        busy = deeper = 0
        for executor in self._by_number.values():
            if executor.leases:
                busy += not executor.lent
                deeper += executor.leases[0].keys.depth >= depth
        return self.size - max(busy, deeper)

    def missing(self, codec: Codec) -> int:
        """How many of a codec could be started in place of bodies that wait."""
        if not self.lent:
            return 0
        there = sum(
            1 for each in self._by_number.values() if each.codec == codec and each.able and not each.lent
        )
        return min(len(self.lent), self.size - there)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process numbers of those that were started."""
        return tuple(executor.pid for executor in self._by_number.values() if executor.pid)

    @property
    def next_pids(self) -> tuple[int, ...]:
        """Process numbers of those that may be given tasks, those with the least to do first."""
        able = sorted((each for each in self if each.able and each.pid), key=lambda each: len(each.leases))
        return tuple(each.pid for each in able)

    def of(self, codec: Codec) -> list[Executor]:
        """Those that can run a codec. One that is about to end has a successor, or will have one."""
        return [each for each in self._by_number.values() if each.codec == codec]

    @property
    def engine_text(self) -> str:
        """What they say of themselves."""
        return next((each.ready for each in self if each.ready), "started when needed")
