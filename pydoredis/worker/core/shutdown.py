"""How an agent stops: warm, then cold (promise 11)."""

from __future__ import annotations

import logging
from enum import IntEnum

from pydoredis.worker.core.instructions import Log


class _Stage(IntEnum):
    NONE = 0
    WARM = 1
    COLD = 2


_TOLD = {
    _Stage.WARM: "finishing running tasks, giving back the others",
    _Stage.COLD: "giving running tasks back",
}


class Shutdown:
    """Begins for whatever reason; turns cold at a second signal, or after a time.

    Args:
        grace_s: How many seconds running tasks are waited for.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._stage = _Stage.NONE
        self._told = _Stage.NONE
        self._cold_at_s = float("inf")

    @property
    def begun(self) -> bool:
        """Whether no task is taken or begun any more."""
        return self._stage is not _Stage.NONE

    @property
    def cold(self) -> bool:
        """Whether running tasks are given back, too."""
        return self._stage is _Stage.COLD

    @property
    def due_s(self) -> float:
        """When (monotonic) `proceed` will have something to do; infinity for never."""
        return float("inf") if self.cold else self._cold_at_s

    def begin(self, now_s: float) -> None:
        """Finish what runs, give back what waits."""
        if not self.begun:
            self._stage = _Stage.WARM
            self._cold_at_s = now_s + self._grace_s

    def hurry(self) -> None:
        """Give back what runs."""
        self._stage = _Stage.COLD

    def signalled(self, now_s: float) -> None:
        """A signal begins it, another one hurries it."""
        if self.begun:
            self.hurry()
        else:
            self.begin(now_s)

    def proceed(self, now_s: float) -> list[Log]:
        """See whether the time is over, and tell how far it has come."""
        told: list[Log] = []
        if not self.cold and now_s >= self._cold_at_s:
            told.append(Log(logging.WARNING, "the grace period is over"))
            self.hurry()
        if self._stage > self._told:
            self._told = self._stage
            told.append(Log(logging.INFO, _TOLD[self._stage]))
        return told
