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
from pydoredis.store.connection import Call, Script, Store, is_forbidden

CANCELLED_TTL_S = 3600
"""How long it is remembered that a job was removed on purpose."""

OVER_TTL_S = 24 * 3600
"""How long what comes late of a job is swept away."""

SWEEPERS = 10
"""Where more agents than that are on a queue, so many of them sweep in the time in which each one asks to. A
sweep looks at every agent: a thousand that all did so used 7 % of a core of Redis with nothing to do."""

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
        return Script.read("forget", "sweep")

    def sweep(self, keys: QueueKeys) -> set[str]:
        """Remove what came late of jobs that are over, and forget agents that died; return the jobs.

        Who may only look at the queue leaves that to others.
        """
        over: set[str] = set()
        while True:
            (reply,) = self._run([sweep_call(self._sweep, keys, most=_PAGE, first=len(over))])
            if is_forbidden(reply):
                return over
            self._raise_first([reply])
            looked, jobs = reply
            over.update(job.decode() for job in jobs)
            if looked < _PAGE:
                return over


def sweep_call(
    script: Script, keys: QueueKeys, *, most: int, first: int | None = None, lot: float | None = None
) -> Call:
    """The call of `sweep.lua` for one queue.

    Args:
        script: That script.
        keys: The queue.
        most: How many jobs that are over to look at.
        first: The first of them, by rank; None for any.
        lot: A random number below 1, of one of the agents that all sweep alike: with a small one it sweeps,
            with another it leaves that to others where there are many (`SWEEPERS`). None: sweep.
    """
    found = (keys.over, keys.agents, keys.live, keys.count, keys.queue)
    prefixes = (keys.env(""), keys.out(""), keys.agent(""), keys.aside(""), keys.batch(""))
    rank = "" if first is None else first
    return script, found, (*prefixes, OVER_TTL_S, most, rank, SWEEPERS, f"{lot or 0:.9f}", keys.activity(""))
