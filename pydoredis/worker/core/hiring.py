"""When executors are started: at first, when one has died, when a language is wanted for the first time."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence

from pydoredis.backoff import Backoff
from pydoredis.protocol.messages import Codec
from pydoredis.worker.core.executors import Executor, Executors
from pydoredis.worker.core.instructions import Hire, Instruction, Log, Stop

MAX_FAILED_STARTS = 3
"""So many executors in a row may die before they are ready; then something is wrong with the machine."""

YOUNG_S = 10.0
"""An executor that dies idle before it is so old may be dying of something that will kill the next one,
too."""


class Hiring:
    """Starts executors and replaces those that died.

    Attributes:
        failure: Why no executor can be started, once that is certain.
        substituted: Whether there may be executors that were started in place of others, whose bodies wait.

    Args:
        executors: Those that are there.
        codecs: What is served, in order of preference.
        do: Carries out instructions.
    """

    def __init__(
        self, executors: Executors, codecs: Sequence[Codec], do: Callable[[Instruction], None]
    ) -> None:
        self.failure: Stop | None = None
        self.substituted = False
        self._executors = executors
        self._codecs = codecs
        self._do = do
        self._numbers = itertools.count(1)
        self._failed_starts = 0
        self._postponed: list[Codec] = []
        self._pause = Backoff(longest_s=10.0)

    @property
    def due_s(self) -> float:
        """When (monotonic) `proceed` will have something to do; infinity for never."""
        return self._pause.due_s

    def fill(self, codec: Codec, now_s: float) -> None:
        """Start executors for a codec."""
        for _ in range(self._executors.size):
            self.hire(codec, now_s)

    def hire(self, codec: Codec, now_s: float) -> None:
        """Start one executor."""
        executor = Executor(next(self._numbers), codec, now_s)
        self._executors.add(executor)
        # While a body waits, whoever comes is one too many once it goes on.
        self.substituted = self.substituted or bool(self._executors.lent)
        self._do(Hire(executor.number, codec))

    def unserved(self, codec: Codec) -> bool:
        """Whether no executor of a codec is there, nor is one to be started."""
        return not self._executors.of(codec) and codec not in self._postponed

    def surplus(self, codec: Codec) -> int:
        """How many executors of a codec are too many to be at work at once; bodies that wait are not."""
        return (
            sum(1 for each in self._executors.of(codec) if each.able and not each.lent) - self._executors.size
        )

    def substitute(self, codec: Codec, wanted: int, now_s: float) -> None:
        """Start executors in place of those whose bodies wait, for so many tasks."""
        starting = sum(1 for each in self._executors.of(codec) if each.able and each.ready is None)
        for _ in range(min(self._executors.missing(codec), wanted - starting)):
            self.hire(codec, now_s)

    def look_at_surplus(self) -> None:
        """See whether there are still executors that were started in place of others."""
        self.substituted = bool(self._executors.lent) or any(
            self.surplus(codec) > 0 for codec in self._codecs
        )

    @property
    def startable(self) -> bool:
        """Whether there is a codec for which executors are started as soon as its first task comes."""
        return any(self.unserved(codec) for codec in self._codecs)

    def became_ready(self) -> None:
        """An executor is ready: starting them works."""
        self._failed_starts = 0

    def finished_a_task(self) -> None:
        """An executor has done something: they live long enough to be of use."""
        self._pause.reset()

    def start_failed(self, executor: Executor, reason: str) -> None:
        """No process could be started."""
        self._executors.remove(executor.number)
        self.failure = Stop(failure=f"no executor can be started: {reason}", codec=executor.codec)

    def died(
        self, executor: Executor, cause: str, status: int | None, output: str, now_s: float, *, idle: bool
    ) -> None:
        """Replace an executor that died, unless it has a successor."""
        if executor.ready is None:
            self._failed_starts += 1
            if self._failed_starts >= MAX_FAILED_STARTS:
                text = f"{self._failed_starts} executors in a row died while they started: {cause}"
                self.failure = Stop(failure=text, codec=executor.codec, status=status, output=output)
                return
        if executor.retired_for or self.surplus(executor.codec) >= 0:
            return
        if executor.ready is not None and idle and now_s - executor.started_s < YOUNG_S:
            if not self._pause.active:
                text = "executors die soon after their start: starting others after a pause, which doubles"
                self._do(Log(logging.WARNING, text))
            self._pause.begin(now_s)
            self._postponed.append(executor.codec)
        else:
            self.hire(executor.codec, now_s)

    def proceed(self, now_s: float) -> None:
        """Start those that were put off, if the pause is over and nobody else has come in their place."""
        if self._pause.over(now_s):
            for codec in self._postponed:
                if self.surplus(codec) < 0:
                    self.hire(codec, now_s)
            self._postponed.clear()
