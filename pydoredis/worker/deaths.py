"""Tasks whose executor died: which iteration it was, how often that happened, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydoredis.protocol import wire
from pydoredis.protocol.messages import Verdict
from pydoredis.store import End, WorkerStore
from pydoredis.worker import crashes
from pydoredis.worker.executor_handle import ExecutorHandle
from pydoredis.worker.hands import Death, Hands
from pydoredis.worker.run import Run


class Deaths:
    """Moves tasks from executors that died to where they belong in an agent's hands.

    Args:
        store: Where crashes are counted.
        hands: The agent's.
        max_crashes: Give up an iteration after this many executor deaths, on any machine, unless its job says
            otherwise.
        retry_pause_s: How long to wait before a task is tried again that killed two executors.
        let_go: Puts tasks back on their queues.
    """

    def __init__(
        self,
        store: WorkerStore,
        hands: Hands,
        max_crashes: int,
        retry_pause_s: float,
        let_go: Callable[[Sequence[Run], End], None],
    ) -> None:
        self._store = store
        self._hands = hands
        self._max_crashes = max_crashes
        self._retry_pause_s = retry_pause_s
        self._let_go = let_go

    def note(self, child: ExecutorHandle, cause: str, *, blame: bool) -> None:
        """Take over the tasks of an executor that died; its first one is to `blame`, or it is not."""
        iteration = child.iteration
        head = child.runs[0] if child.runs else None
        runs = [run for run in child.runs if not run.claim.cancelled]
        self._hands.cancelled += [run.claim for run in child.runs if run.claim.cancelled]
        if blame and runs and runs[0] is head:
            if not head.may_run(iteration):
                # It died before the first iteration, perhaps of what was kept; or the body printed a mark.
                iteration = None
                head.keep_nothing()
            self._hands.deaths.append(Death(runs.pop(0), iteration, cause, child.timed_out))
        # Those behind the running one had not begun.
        self._hands.backlog.extendleft(reversed(runs))

    def settle(self, now_s: float, *, stopping: bool) -> None:
        """Count the deaths and decide what becomes of the tasks.

        Raises:
            StoreUnavailable: Then the rest is settled another time.
        """
        while self._hands.deaths:
            death = self._hands.deaths[0]
            run = death.run
            if death.timed_out:
                self._hands.deaths.popleft()
                self._time_out(death)
                continue
            count = self._store.count_crash(run.claim, death.iteration, death.cause)
            decision = crashes.decide(count, self._limit(run), some_finished=bool(run.finished))
            if decision == "wait" and not stopping:
                # Time may mend a machine, but not a body that interrupts itself.
                pause_s = 0.0 if death.cause == crashes.INTERRUPTED else self._retry_pause_s
                self._hands.delay(run, now_s + pause_s)
            elif decision != "condemn" or not self.condemned(run):
                self._hands.backlog.appendleft(run)
            self._hands.deaths.popleft()
            if decision == "give-back":
                self._let_go([self._hands.backlog.popleft()], "head")

    def condemned(self, run: Run) -> bool:
        """Note which iterations of a task may not run any more; answer it if none is left."""
        numbers = run.claim.task.iterations
        for crash in self._store.crashes(run.claim):
            if crash.deaths >= self._limit(run):
                verdict = crashes.verdict(crash.deaths, crash.cause)
                guilty = numbers if crash.iteration is None else (crash.iteration,)
                run.verdicts.update(dict.fromkeys(guilty, verdict))
        return self._answered_by_verdicts(run)

    def _limit(self, run: Run) -> int:
        """How many executor deaths an iteration of this task may cause."""
        return run.job.environment.limits.max_crashes or self._max_crashes

    def _time_out(self, death: Death) -> None:
        """An iteration took too long: that is its result; the others of its block go on."""
        run = death.run
        guilty = run.claim.task.iterations if death.iteration is None else (death.iteration,)
        run.verdicts.update(dict.fromkeys(guilty, Verdict("timeout", death.cause)))
        if not self._answered_by_verdicts(run):
            self._hands.backlog.appendleft(run)

    def _answered_by_verdicts(self, run: Run) -> bool:
        """Whether no iteration of a task is to be run any more: then it is answered."""
        if len(run.verdicts) < len(run.claim.task.iterations):
            return False
        verdicts = {number: run.verdicts[number] for number in run.claim.task.iterations}
        self._hands.outbox.append((run.claim, wire.encode_verdicts(verdicts)))
        return True
