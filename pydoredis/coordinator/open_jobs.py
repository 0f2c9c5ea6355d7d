"""Jobs of this program that run in the background. Nobody but the program can collect their results."""

from __future__ import annotations

import atexit
import logging
import os
from typing import TYPE_CHECKING

from pydoredis.settings import ConnectionSettings

if TYPE_CHECKING:
    from pydoredis.coordinator.run import Run

log = logging.getLogger(__name__)

_open: dict[Run, int] = {}  # with the process that started them: a forked child has none of its own


def add(job: Run) -> None:
    """A job begins."""
    _open[job] = os.getpid()


def discard(job: Run) -> None:
    """A job has ended."""
    _open.pop(job, None)


def cancel(reason: str, connection: ConnectionSettings | None = None) -> None:
    """Cancel all jobs, or those on one server, and say so."""
    for job, process in list(_open.items()):
        if process == os.getpid() and connection in (None, job.connection):
            if not job.is_stopping():
                log.warning(
                    "job %s is cancelled with %s of %s iterations done: %s (job.result() waits for a job)",
                    *(job.id, job.done, job.total or "?", reason),
                )
            job.cancel_because(reason)


atexit.register(cancel, "the program has ended")
