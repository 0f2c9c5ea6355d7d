"""A task on its way through executors."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydoredis.protocol.messages import Verdict
from pydoredis.protocol.wire import MAX_MESSAGE
from pydoredis.store import Claim
from pydoredis.worker.frames import Bytes
from pydoredis.worker.jobs import Job


@dataclass(eq=False)
class Run:
    """A task, and what has become of it so far.

    Attributes:
        number: In which order the agent took its tasks.
        claim: The task.
        job: Its job.
        verdicts: Iterations (by number) that are not run any more, with the error that they get.
        kept: From PARTIAL frames: of how many iterations results were there, and the results that had come
            in addition, should the executor die.
    """

    number: int
    claim: Claim
    job: Job
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    kept: list[tuple[int, Bytes]] = field(default_factory=list)
    _kept_bytes: int = 0

    @property
    def finished(self) -> int:
        """Of how many iterations the results are there."""
        return self.kept[-1][0] if self.kept else 0

    def keep(self, finished: int, values: Bytes) -> None:
        """So many iterations are finished; `values` are those that were not told before.

        What would be too large for a result anyway is not kept, nor is anything that comes after it.
        """
        if self._kept_bytes + len(values) > MAX_MESSAGE:
            self._kept_bytes = MAX_MESSAGE
        else:
            self._kept_bytes += len(values)
            self.kept.append((finished, values))

    def keep_nothing(self) -> None:
        """Start again from the first iteration."""
        self.kept.clear()
        self._kept_bytes = 0

    def may_run(self, iteration: int | None) -> bool:
        """Whether this is an iteration of the task that was still to be run."""
        return iteration in self.claim.task.iterations[self.finished :] and iteration not in self.verdicts
