"""Keeps the alive keys of all tasks in flight fresh (protocol, section 6), whatever their bodies do.

One thread and one connection for the whole machine. The agent runs no user code, so nothing that a body does
to its interpreter or its process holds up a beat.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence

from pydoredis.errors import StoreUnavailable
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.presence import Presence
from pydoredis.settings import ConnectionSettings
from pydoredis.store import Claim, WorkerStore

BEAT_INTERVAL_S = 3.0
"""Seconds between two beats. R beats every 5 s, which allows for one missed beat in the 10 s that the key
lives; every 3 s allows for two."""

SWEEP_BEATS = 5
"""So many beats lie between two looks for what R workers push of jobs that are over."""

_RETRY_S = 0.5

log = logging.getLogger(__name__)


class Heart:
    """Beats for every claim that was added and not yet removed. Safe to use from several threads.

    Args:
        connection: Which server.
        queues: Those that the machine serves.
        presence: Tells what to say of ourselves there.
        wake: Called from the thread when a claim was found to be cancelled, or a job to be over.
    """

    def __init__(
        self,
        connection: ConnectionSettings,
        queues: Sequence[QueueKeys],
        presence: Callable[[], Presence],
        wake: Callable[[], None],
    ) -> None:
        self._queues = queues
        self._presence = presence
        self._announced = threading.Event()
        self._wake = wake
        self._store = WorkerStore(connection, timeout_s=BEAT_INTERVAL_S)
        self._lock = threading.Lock()
        self._claims: dict[int, Claim] = {}
        self._jobs: dict[tuple[QueueKeys, str], None] = {}
        self._over: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="liveness", daemon=True)
        self._thread.start()

    def add(self, claim: Claim) -> None:
        """Keep this task alive from now on."""
        with self._lock:
            self._claims[id(claim)] = claim
            self._jobs[claim.keys, claim.task.job] = None

    def remove(self, claim: Claim) -> None:
        """This task is answered or given back."""
        with self._lock:
            self._claims.pop(id(claim), None)

    def jobs_over(self) -> Iterator[str]:
        """Environment keys of the jobs that were found to be over since the last call."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._over.get_nowait()

    def announce(self) -> None:
        """Say from now on that the agent serves its queues; with the next beat, if Redis is away just now."""
        self._announced.set()
        with contextlib.suppress(StoreUnavailable):
            self._store.announce(self._queues, self._presence())

    def close(self) -> None:
        """Stop beating; what was not removed will look dead in 10 s."""
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(StoreUnavailable):  # then it expires
            self.tidy()
        if self._announced.is_set():
            with contextlib.suppress(StoreUnavailable):  # then it expires
                self._store.withdraw(self._queues, self._presence())
        self._store.close()

    def tidy(self) -> None:
        """Keep the records of living jobs, delete those of jobs that ended.

        Raises:
            StoreUnavailable: If Redis does not answer.
        """
        with self._lock:
            jobs = list(self._jobs)
            busy = {(claim.keys, claim.task.job) for claim in self._claims.values()}
        for job, lives in zip(jobs, self._store.keep_records(jobs), strict=True):
            if not lives and job not in busy:
                with self._lock:
                    self._jobs.pop(job, None)
                keys, name = job
                self._over.put(keys.env(name))
                if not self._stop.is_set():
                    self._wake()

    def _run(self) -> None:
        pause_s, beats = BEAT_INTERVAL_S, 0
        while not self._stop.wait(pause_s):
            try:
                self._beat()
                self.tidy()
                if self._announced.is_set():
                    self._store.announce(self._queues, self._presence())
                beats += 1
                if beats % SWEEP_BEATS == 0:
                    for queue in self._queues:
                        self._store.sweep(queue)
                pause_s = BEAT_INTERVAL_S
            except StoreUnavailable as error:
                # The agent reports the outage; here it is only retried, sooner than the next beat is due.
                log.debug("no heartbeat: %s", error)
                pause_s = _RETRY_S
            except Exception:
                # A thread that ended here would let every task of this machine be taken for dead.
                log.exception("heartbeat failed")
                pause_s = _RETRY_S

    def _beat(self) -> None:
        with self._lock:
            claims = list(self._claims.values())
        lapsed_before = {id(claim) for claim in claims if claim.lapsed}
        beats = self._store.beat(claims)
        with self._lock:
            held = set(self._claims)  # without those that were published meanwhile, whose keys may be gone
        for claim, beat in zip(claims, beats, strict=True):
            if id(claim) not in held:
                continue
            if beat == "lapsed" and id(claim) not in lapsed_before:
                log.warning("task %s of job %s lapsed: it may be resubmitted", claim.block, claim.task.job)
            elif beat == "cancelled":
                self._wake()
            elif beat == "restored":
                log.warning(
                    "start key of task %s of job %s was deleted by another client; put back",
                    claim.block,
                    claim.task.job,
                )
