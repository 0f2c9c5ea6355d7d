"""IDs of jobs: never the same twice, for R takes an ID it knows for the same job (protocol 12.11)."""

from __future__ import annotations

import functools
import getpass
import os
import platform
import threading
import time
from datetime import datetime

from pydoredis import system
from pydoredis.protocol.keys import JobId

_lock = threading.Lock()
_last_ms = 0


def new_job_id() -> str:
    """An ID that this process has not used before: it names us, and a millisecond that was never used."""
    global _last_ms
    with _lock:
        _last_ms = max(_last_ms + 1, time.time_ns() // 1_000_000)
        now_ms = _last_ms
    seconds, milliseconds = divmod(now_ms, 1000)
    when = datetime.fromtimestamp(seconds).replace(microsecond=milliseconds * 1000)
    return str(JobId(os.getpid(), _user(), platform.node(), when))


@functools.cache
def _user() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        # A container may run under a number that nobody has named. Windows has no `pwd` to import.
        return system.user_number()
