"""What an agent does when Redis is away, and when it comes back, perhaps without its data."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from pydoredis.backoff import Backoff
from pydoredis.errors import StoreUnavailable
from pydoredis.protocol.keys import QueueKeys
from pydoredis.store import WorkerStore

log = logging.getLogger(__name__)


class Server:
    """Redis as the agent last saw it.

    Args:
        store: The connection to it.
        queues: Where the agent has joined.
        workers: As how many.
    """

    def __init__(self, store: WorkerStore, queues: Sequence[QueueKeys], workers: int) -> None:
        self._store = store
        self._queues = queues
        self._workers = workers
        self._pause = Backoff()
        self._run_id = ""
        self._connections = 0

    @property
    def away(self) -> bool:
        """Whether it could not be used the last time."""
        return self._pause.active

    @property
    def due_s(self) -> float:
        """When (monotonic) it is to be tried again; infinity while it is there."""
        return self._pause.due_s

    def join(self) -> None:
        """Count in.

        Raises:
            StoreUnavailable: If it is not there.
        """
        self._run_id = self._store.run_id()
        self._connections = self._store.connections
        self._store.join(self._queues, self._workers)

    def is_another(self) -> bool:
        """Whether it was restarted since we counted in: then what it lacks was lost, not removed.

        Raises:
            StoreUnavailable: If it is not there.
        """
        return self._store.run_id() != self._run_id

    def use(self, turn: Callable[[float], None], *, staying: bool) -> None:
        """Let `turn` (called with the time) do what it has to, unless the server has failed a moment ago.

        Args:
            turn: May raise StoreUnavailable; it is called again after a pause.
            staying: Whether to count in again at a server that has lost its data.
        """
        now_s = time.monotonic()
        if not self._pause.over(now_s):
            return
        try:
            if self.away:
                self._recognize(staying)
            turn(now_s)
            if self._store.connections != self._connections:
                self._recognize(staying)
        except StoreUnavailable as error:
            if not self.away:
                log.warning("%s; going on without it", error)
            self._pause.begin(time.monotonic())
        else:
            if self._pause.reset():
                log.info("Redis is back")

    def _recognize(self, staying: bool) -> None:
        """See whether it is the same as before, with all it knew."""
        run_id = self._store.run_id()
        self._connections = self._store.connections
        if run_id == self._run_id:
            return
        if staying:
            for keys in self._store.rejoin(self._queues, self._workers, run_id):
                log.warning("Redis was restarted without its data: joined queue %s again", keys.queue)
        self._run_id = run_id
