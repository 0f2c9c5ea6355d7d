"""A thread that waits for the next task, so that the agent never has to."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pydoredis.errors import StoreUnavailable
from pydoredis.protocol.keys import QueueKeys
from pydoredis.settings import ConnectionSettings
from pydoredis.store import Lists, WorkerStore

log = logging.getLogger(__name__)

_SLICE_S = 2.0
"""Longest blocking command. The server gives the next task to whoever has blocked longest, be that a machine
that has lost its power meanwhile: so long, and no longer, may it take one along."""

_ANSWER_S = 10.0
"""How long after the end of a blocking command its answer may take before the connection counts as lost."""


@dataclass(frozen=True, slots=True)
class Waited:
    """How one wait ended: with a task, with nothing because the time was over, or with an error."""

    task: tuple[QueueKeys, bytes] | None = None
    error: StoreUnavailable | None = None


class Waiter:
    """Takes one task at a time off the queues, on a connection of its own, when asked to.

    Args:
        connection: Which server.
        lists: Where to take tasks from, in order of preference.
        linger_s: How long one wait may last (R: `linger`).
        wake: Called from the thread when a wait has ended; `collect` then returns how.
    """

    def __init__(
        self,
        connection: ConnectionSettings,
        lists: Lists,
        linger_s: float,
        wake: Callable[[], None],
    ) -> None:
        # A command that takes a task must not be sent twice: if its answer is lost, so is the task.
        self._store = WorkerStore(connection, timeout_s=_SLICE_S + _ANSWER_S, reconnects=0)
        self._lists = lists
        self._linger_s = linger_s
        self._wake = wake
        self._client_id: int | None = None
        self._told = False
        self._interrupted = False
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[Waited] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="waiter", daemon=True)
        self._thread.start()
        self.waiting = False

    def ask(self) -> None:
        """Begin to wait, unless a wait is under way."""
        if not self.waiting:
            self.waiting = True
            self._interrupted = False
            self._asked.put(True)

    def collect(self) -> Waited | None:
        """How the last wait ended, once; None while there is nothing to tell."""
        with contextlib.suppress(queue.Empty):
            ended = self._ended.get_nowait()
            self.waiting = False
            return ended
        return None

    def interrupt(self, store: WorkerStore) -> None:
        """End a wait now, through another connection: a task that was on its way is still delivered."""
        self._interrupted = True
        if self.waiting and self._client_id is not None:
            try:
                store.unblock(self._client_id)
            except StoreUnavailable as error:
                # Not allowed to (an ACL without `client|unblock`), or Redis is away: the wait ends by itself.
                if not self._told:
                    log.warning("waiting up to %g s for a task to come or not: %s", _SLICE_S, error)
                    self._told = True

    def close(self) -> None:
        """End the thread, which must not be waiting."""
        self._asked.put(False)
        self._thread.join(timeout=_ANSWER_S)
        self._store.close()

    def _connection_number(self) -> int | None:
        """The server's number of our connection: asked each time, for it changes with every connection. That
        also mends one that was lost while nobody waited. None if Redis is away, as the wait will find, too,
        or does not let us ask (an ACL of Redis 6.2 without `client|id`): then nobody can interrupt us."""
        for _ in range(2):
            with contextlib.suppress(StoreUnavailable):
                return self._store.client_id()
        return None

    def _wait(self) -> tuple[QueueKeys, bytes] | None:
        end_s = time.monotonic() + self._linger_s
        while not self._interrupted and (left_s := end_s - time.monotonic()) > 0:
            task = self._store.wait(self._lists, max(0.01, min(_SLICE_S, left_s)))  # 0 would be for ever
            if task is not None:
                return task
        return None

    def _run(self) -> None:
        while self._asked.get():
            try:
                self._client_id = self._connection_number()
                ended = Waited(self._wait())
            except StoreUnavailable as error:
                ended = Waited(error=error)
            self._client_id = None
            self._ended.put(ended)
            self._wake()
