"""How an agent stops: warm, then cold (promise 11)."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

log = logging.getLogger(__name__)


class _Stage(IntEnum):
    NONE = 0
    WARM = 1
    COLD = 2


_TOLD = {
    _Stage.WARM: "finishing running tasks, giving back the others",
    _Stage.COLD: "giving running tasks back",
}


class Shutdown:
    """Begins for whatever reason, and at SIGTERM and SIGINT; turns cold at a second signal, or after a time.

    Attributes:
        signal: The signal that came last; 0 if none did.

    Args:
        grace_s: How many seconds running tasks are waited for.
    """

    def __init__(self, grace_s: float) -> None:
        self.signal = 0
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

    def begin(self) -> None:
        """Finish what runs, give back what waits."""
        if not self.begun:
            self._stage = _Stage.WARM
            self._cold_at_s = time.monotonic() + self._grace_s

    def hurry(self) -> None:
        """Give back what runs."""
        self._stage = _Stage.COLD

    def proceed(self, now_s: float) -> None:
        """See whether the time is over, and tell how far it has come."""
        if self.begun and not self.cold and now_s >= self._cold_at_s:
            log.warning("the grace period is over")
            self.hurry()
        if self._stage > self._told:
            self._told = self._stage
            log.info(_TOLD[self._stage])

    @contextmanager
    def at_signals(self, wake_fd: int) -> Iterator[None]:
        """Begin at SIGTERM and SIGINT; they and SIGCHLD write a byte to `wake_fd`."""
        old = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        old[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        old_fd = signal.set_wakeup_fd(wake_fd, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(old_fd)
            for number, handler in old.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # Only a note; the loop wakes up by itself and acts on it.
        self.signal = number
        if self.begun:
            self.hurry()
        else:
            self.begin()
