"""Looks who is on a job's queue, and says what is missing if nobody there can run the job."""

from __future__ import annotations

import logging
from functools import cached_property

from pydoredis.coordinator import staffing
from pydoredis.coordinator.staffing import Need, Shortage
from pydoredis.errors import NoWorkers
from pydoredis.protocol.wire import decode_environment
from pydoredis.settings import ConnectionSettings
from pydoredis.store.job import JobStore

log = logging.getLogger(__name__)


class StaffCheck:
    """Looks for workers that can run one job.

    Args:
        store: The job's commands.
        queue: Its queue.
        connection: Where that is.
        environment: The job's environment as it is stored: it says what workers have to be able to do.
    """

    def __init__(
        self, store: JobStore, queue: str, connection: ConnectionSettings, environment: bytes
    ) -> None:
        self._store = store
        self._queue = queue
        self._connection = connection
        self._environment = environment

    @cached_property
    def _need(self) -> Need:
        about = decode_environment(self._environment)
        return Need(self._queue, self._connection.safe_url, about.codec, about.needs_python)

    def look(self, job: str, silent_s: float) -> None:
        """Say what is missing, if something is.

        Args:
            job: The job's ID.
            silent_s: For how long it had no result.

        Raises:
            NoWorkers: If there are workers, and none of them can ever run the job.
        """
        found = self.shortage(silent_s)
        if found is not None and found.is_final:
            raise NoWorkers(self._queue, found.reason)
        if found is not None and silent_s >= staffing.PATIENCE_S:
            log.warning("job %s waits: %s", job, found.reason)

    def shortage(self, silent_s: float | None = None) -> Shortage | None:
        """What is missing; None if somebody can run the job."""
        if silent_s is not None and self._store.marks().running:
            silent_s = None
        return staffing.shortage(self._need, self._store.staff(), silent_s=silent_s)
