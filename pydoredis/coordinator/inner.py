"""A job that a body has begun: its place among others, and who may be at work while the body waits for it."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

from pydoredis import hosting
from pydoredis.hosting import Host
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import Codec
from pydoredis.settings import ConnectionSettings
from pydoredis.store.job import is_served_by

LEND_AFTER_S = 0.01
"""A body that has waited so long for a result lends its place. With idle workers, short loops end before."""

LOOK_S = 0.05
"""How often a job in the background looks whether the body waits."""

CHECK_S = 30.0
"""How often a job in a body renews its lease, at least (`store.job.INNER_LEASE_S`)."""


class InnerLoop:
    """Tells the worker process about a job of a body that it runs.

    The body's thread waits if it drives the job itself. If another thread does (`submit`), the body waits
    while its own thread uses no processor: whatever it waits in, and for whichever of its jobs.

    Attributes:
        keys: Keys of the job's queue, at its depth.

    Args:
        host: The process.
        keys: Keys of the job's queue.

    Raises:
        LocalProtocolError: If that is deeper than loops may be here.
    """

    def __init__(self, host: Host, keys: QueueKeys) -> None:
        self.keys = keys.at_depth(host.depth_of_loops())
        self._host = host
        self._lent = False
        self._body = _Effort()

    @classmethod
    def of(cls, connection: ConnectionSettings, keys: QueueKeys, codec: Codec) -> InnerLoop | None:
        """What there is to tell of a job on this queue; None if it is none of a body, or if the workers of
        this machine do not serve it: then it is a job like any other.

        Raises:
            LocalProtocolError: If it is deeper than loops may be here.
            StoreUnavailable: If Redis does not answer.
        """
        host = hosting.current()
        here = host.here if host else None
        if host is None or here is None or codec not in here.codecs:
            return None
        return cls(host, keys) if is_served_by(connection, keys, here.agent) else None

    def begins(self, job: str) -> None:
        """The job is about to be stored under this ID."""
        self._host.begins(self.keys.queue, job)

    def ended(self, job: str) -> None:
        """It is not there any more."""
        self._host.ended(self.keys.queue, job)

    # --- while it runs ------------------------------------------------------------------------------------

    @property
    def patience_s(self) -> float:
        """How long to wait for a result at most, before `waited` is called."""
        if not self._lent:
            return LEND_AFTER_S
        return float("inf") if _is_body() else LOOK_S

    def waited(self) -> None:
        """No result has come for a while."""
        if not self._lent and (_is_body() or self._body.rests()):
            self._lent = True
            self._host.waits(self)

    def look(self) -> None:
        """See whether a body that waited is at work again, if another thread can tell."""
        if self._lent and not _is_body() and not self._body.rests():
            self.goes_on()

    def goes_on(self) -> None:
        """The body is at work again."""
        if self._lent:
            self._lent = False
            self._host.goes_on(self)


def _is_body() -> bool:
    """Whether this is the thread in which bodies run."""
    return threading.current_thread() is threading.main_thread()


class _Effort:
    """Tells whether the body's thread is at work: it runs, or would if a processor were free."""

    def __init__(self) -> None:
        self._seen_s = time.monotonic()
        self._active_s = _active_s()
        self._rests = False

    def rests(self) -> bool:
        """Whether it was idle for most of the time since this was asked last, if that can be told already."""
        now_s, active_s = time.monotonic(), _active_s()
        span_s = now_s - self._seen_s
        if span_s >= LEND_AFTER_S / 2:
            self._rests = active_s - self._active_s < span_s / 2
            self._seen_s, self._active_s = now_s, active_s
        return self._rests


def _active_s() -> float:
    """For how long the body's thread has run, or waited for a processor.

    Where Linux does not tell, for how long it has run: on a busy machine that is less. 0.0 where that cannot
    be learned either (macOS): then it always rests.
    """
    thread = threading.main_thread()
    with contextlib.suppress(OSError, ValueError):
        told = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text("ascii")
        ran_ns, waited_ns, _ = map(int, told.split())
        if ran_ns:
            return (ran_ns + waited_ns) / 1e9
    clock_of = getattr(time, "pthread_getcpuclockid", None)
    return 0.0 if clock_of is None or thread.ident is None else time.clock_gettime(clock_of(thread.ident))
