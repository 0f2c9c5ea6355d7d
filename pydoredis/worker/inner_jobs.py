"""Removes jobs that bodies have begun and left: the executor has died, or the body has ended before them."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time

from pydoredis.backoff import Backoff
from pydoredis.errors import StoreUnavailable
from pydoredis.settings import ConnectionSettings
from pydoredis.store.admin import AdminStore

PATIENCE_S = 60.0
"""How long it is tried while Redis is away. Later the job's own lease has ended (`coordinator.driver`)."""

LAST_MOMENTS_S = 2.0
"""How long an agent that ends waits for what it has still to remove."""

log = logging.getLogger(__name__)


class InnerJobs:
    """Removes jobs, in a thread of its own that is started when there is a first one.

    Args:
        connection: Where the jobs are.
    """

    def __init__(self, connection: ConnectionSettings) -> None:
        self._connection = connection
        self._doomed: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def remove(self, queue: str, job: str) -> None:
        """Remove a job of a queue, if it is still there."""
        if self._thread is None:
            # A daemon: nobody waits for a server that does not answer.
            self._thread = threading.Thread(target=self._work, name="inner jobs", daemon=True)
            self._thread.start()
        self._doomed.put((queue, job))

    def close(self) -> None:
        """Wait a moment for what is under way."""
        if self._thread is not None:
            self._doomed.put(None)
            self._thread.join(LAST_MOMENTS_S)

    def _work(self) -> None:
        while (doomed := self._doomed.get()) is not None:
            pause, began_s = Backoff(), time.monotonic()
            while True:
                try:
                    self._remove(*doomed)
                except StoreUnavailable as error:
                    pause.begin(time.monotonic())
                    if pause.due_s < began_s + PATIENCE_S:
                        time.sleep(max(0.0, pause.due_s - time.monotonic()))
                        continue
                    log.warning("queue %s: job %s is left to expire: %s", *doomed, error)
                break

    def _remove(self, queue: str, job: str) -> None:
        with contextlib.closing(AdminStore(self._connection)) as store:
            family = store.family(queue)
            if job in family.env:  # else it has ended in time
                store.remove_job(family.keys, job, store.names_of(family, job))
                log.info("queue %s: removed job %s, which a body has left", queue, job)
