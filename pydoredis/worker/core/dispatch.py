"""Which executor gets which task, and what goes back because a task runs longer than was expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from pydoredis.protocol.messages import Codec
from pydoredis.worker.core.executors import Executor, Executors
from pydoredis.worker.core.hiring import Hiring
from pydoredis.worker.core.instructions import Hand, Instruction, Recall
from pydoredis.worker.core.jobs import LoadedJob
from pydoredis.worker.core.lease import Shelves, State
from pydoredis.worker.core.prefetch import SURPLUS_S
from pydoredis.worker.core.recycling import Limits


class Dispatch:
    """Hands waiting tasks to executors, and lets those go that would wait behind a long one.

    Args:
        shelves: The agent's leases.
        executors: Its executors.
        hiring: Starts executors for a codec that is wanted for the first time.
        limits: After how many tasks an executor is replaced.
        do: Carries out instructions.
    """

    def __init__(
        self,
        shelves: Shelves,
        executors: Executors,
        hiring: Hiring,
        limits: Limits,
        do: Callable[[Instruction], None],
    ) -> None:
        self._shelves = shelves
        self._executors = executors
        self._hiring = hiring
        self._limits = limits
        self._do = do
        self.slowed = False  # whether tasks of a job have become longer

    def due_s(self, now_s: float) -> float:
        """When (monotonic) a task that runs will have run so long that others must not wait for it."""
        behind = self._shelves.count(State.WAITING) > 0
        return min(
            (
                each.overrun_s
                for each in self._executors
                if (behind or len(each.leases) > 1) and now_s < each.overrun_s
            ),
            default=float("inf"),
        )

    # --- handing out --------------------------------------------------------------------------------------

    def hand_out(self, now_s: float) -> None:
        """Hand waiting tasks to executors, in their order. A job without room holds up no other."""
        waiting = self._shelves.count(State.WAITING)
        if not waiting:
            return
        open_: dict[Codec, list[Executor]] = {}
        full: set[int] = set()
        for lease in self._shelves[State.WAITING]:
            job = lease.job
            assert job is not None
            if job.number in full:
                continue
            codec = job.environment.codec
            if codec not in open_:
                if self._hiring.unserved(codec):
                    self._hiring.fill(codec, now_s)
                open_[codec] = [each for each in self._executors.of(codec) if each.open]
            depth = lease.keys.depth
            executor = self._choose(open_[codec], job, depth, now_s) if job.whole else None
            if executor is None:
                full.add(job.number)
                if self._executors.lent and job.whole:
                    wanted = min(self._executors.room(depth), job.tasks[State.WAITING])
                    self._hiring.substitute(codec, wanted, now_s)
                waiting -= job.tasks[State.WAITING]
                if waiting <= 0:
                    return  # what is left is all of jobs without room
            else:
                waiting -= 1
                executor.put(lease, job.durations.expected_s, now_s)
                self._do(Hand(executor.number, lease))

    def _choose(self, open_: Sequence[Executor], job: LoadedJob, depth: int, now_s: float) -> Executor | None:
        """An idle executor; or else the one with the least work behind which a task of the job may wait."""
        expected_s = job.durations.expected_s
        chosen: Executor | None = None
        for each in open_:
            if not self._limits.room(each.tasks_done + len(each.leases)):
                continue
            if not each.leases:
                return each if self._executors.room(depth) > 0 else None
            if (chosen is None or each.load_s < chosen.load_s) and each.takes(expected_s, depth, now_s):
                chosen = each
        return chosen

    # --- taking back --------------------------------------------------------------------------------------

    def recall(self, now_s: float, *, all_: bool = False) -> None:
        """Take back what waits in pipes behind a task that runs too long, or that was cancelled."""
        for executor in self._executors:
            if len(executor.leases) < 2 or executor.recalled:
                continue
            if all_ or now_s >= executor.overrun_s or any(lease.cancelled for lease in executor.leases):
                executor.recalled = executor.recalling = True
                self._do(Recall(executor.number))

    def give_back(self, now_s: float) -> None:
        """Put waiting tasks back on their queues for which no executor here has time soon."""
        if not self._shelves.count(State.WAITING):
            return
        if not self.slowed and all(
            each.frees_within(SURPLUS_S, now_s) for each in self._executors if each.leases
        ):
            return
        if any(each.recalling for each in self._executors):
            return  # what comes out of pipes now is to go back together with the rest, in its order
        self.slowed = False
        openings: dict[tuple[Codec, int], int] = {}
        allowed: Counter[int] = Counter()
        known: set[int] = set()
        for lease in self._shelves[State.WAITING]:
            assert lease.job is not None
            job, codec = lease.job, lease.job.environment.codec
            if lease.kept:
                continue  # what is finished of it is here
            depth = lease.keys.depth
            able = self._executors.of(codec)
            if (codec, depth) not in openings:
                idle = sum(1 for each in able if not each.leases) + self._executors.missing(codec)
                openings[codec, depth] = max(0, min(idle, self._executors.room(depth)))
            if job.number not in known:
                known.add(job.number)
                going_on = sum(
                    1
                    for each in able
                    if each.frees_within(SURPLUS_S, now_s) and each.leases[0].keys.depth <= depth
                )
                allowed[job.number] = going_on * job.durations.most_waiting
            if openings[codec, depth] > 0:
                openings[codec, depth] -= 1
            elif allowed[job.number] > 0:
                allowed[job.number] -= 1
            else:
                lease.give_back("head", quiet=True)
