"""Jobs that are over while somebody may still answer: a worker of R's hears of no end, and pushes its result.

That makes a list without an expiry, and none can be set on a list before it is there. So whoever ends such a
job writes it down, and whoever is on the queue sweeps from time to time: agents, coordinators, and
administrators who look at jobs. Where all workers are R's nobody may ever sweep: a coordinator of ours leaves
a list that expires, and what comes late is pushed onto that one. (One of R's, which may submit its job again,
would take what is in it for a result.)
"""

from __future__ import annotations

import time
from functools import cached_property

from redis.client import Pipeline

from pydoredis.protocol.keys import QueueKeys
from pydoredis.store.connection import Script, Store

CANCELLED_TTL_S = 3600
"""How long it is remembered that a job was removed on purpose."""

OVER_TTL_S = 24 * 3600
"""How long what comes late of a job is swept away."""

_PAGE = 500


def note_cancelled(pipe: Pipeline, keys: QueueKeys, job: str) -> None:
    """Say that a job was ended on purpose."""
    pipe.set(keys.cancelled(job), b"", ex=CANCELLED_TTL_S)


def note_over(pipe: Pipeline, keys: QueueKeys, job: str) -> None:
    """Have what comes late of a job swept away."""
    pipe.zadd(keys.over, {job: time.time()})
    pipe.expire(keys.over, OVER_TTL_S)


def expect_late(pipe: Pipeline, keys: QueueKeys, job: str) -> None:
    """Have what comes late of a job of ours expire, even if nobody sweeps."""
    pipe.rpush(keys.out(job), b"")
    pipe.expire(keys.out(job), OVER_TTL_S)


class SweepingStore(Store):
    """A `Store` that can sweep."""

    @cached_property
    def _sweep(self) -> Script:
        return Script.read("sweep")

    def sweep(self, keys: QueueKeys) -> set[str]:
        """Remove the results that came late of jobs of a queue that are over; return these jobs."""
        with self._translated():
            pipe = self._client.pipeline(transaction=False)
            pipe.zremrangebyscore(keys.over, "-inf", time.time() - OVER_TTL_S)
            pipe.zrange(keys.over, 0, -1)
            jobs = [name.decode() for name in pipe.execute()[1]]
        pages = [jobs[start : start + _PAGE] for start in range(0, len(jobs), _PAGE)]
        replies = self._run(
            [
                (
                    self._sweep,
                    (keys.over, *(key for job in page for key in (keys.env(job), keys.out(job)))),
                    page,
                )
                for page in pages
            ]
        )
        self._raise_first(replies)
        return {job.decode() for page in replies for job in page}
