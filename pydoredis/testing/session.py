"""Calls of an `Executor` in this process: what `Session` is where there is a pool."""

from __future__ import annotations

import threading

from pydoredis.coordinator.session import Call, CallFeed
from pydoredis.protocol.codec import Item
from pydoredis.testing.carrier import InProcess


class SessionInProcess:
    """Runs each call when it is added; see `pydoredis.coordinator.session.Session`.

    Args:
        carrier: Carries the calls out.
        feed: From which it takes them.
    """

    def __init__(self, carrier: InProcess, feed: CallFeed) -> None:
        self._carrier = carrier
        self._feed = feed
        self._lock = threading.RLock()  # a callback of a future may add a call
        self._has_ended = False
        carrier.sink = self._settle
        carrier.begin()

    @property
    def id(self) -> str:
        """The job's ID."""
        return self._carrier.job

    @property
    def outstanding(self) -> int:
        """How many calls are not done: those that other threads add just now."""
        return len(self._feed)

    def add(self, call: Call) -> None:
        """Run a call.

        Raises:
            Over: After `finish`.
        """
        with self._lock:
            self._feed.add(call)
            while len(self._feed):
                self._carrier.step()

    def finish(self) -> None:
        """Take no more calls."""
        with self._lock:
            self._feed.finish()
            if not self._has_ended:
                self._has_ended = True
                self._carrier.end()

    def cancel_waiting(self) -> None:
        """Nothing to do: no call waits."""

    def cancel(self, reason: str) -> None:
        """As `finish`: nothing runs any more."""
        self.finish()

    def join(self, timeout: float | None = None) -> None:
        """Nothing to wait for."""

    def _settle(self, item: Item) -> None:
        self._feed.settle(*item)
