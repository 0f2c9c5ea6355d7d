"""Loops for the chaos run: of Python and of R coordinators, each iteration counted whenever it runs."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import cloudpickle
import redis

from pydoredis.loops.bodies import rexpr
from pydoredis.loops.signature import foreach
from pydoredis.queue import Queue
from tests.peers.pool import Pool
from tests.redis_process import RedisProcess

cloudpickle.register_pickle_by_value(sys.modules[__name__])

FTINTERVAL_S = 3
ENDLESS = 10_000
"""For `max_crashes`: nearly all deaths of a chaos run are nobody's fault."""


@dataclass(frozen=True)
class Plan:
    """What a loop is to do.

    Attributes:
        name: Its own; names the counts of its iterations, too.
        iterations: How many.
        chunk_size: Iterations per task.
        pause_s: How long an iteration takes.
    """

    name: str
    iterations: int
    chunk_size: int
    pause_s: float

    @property
    def expected(self) -> list[int]:
        """The value of the loop."""
        return [7 * i for i in range(1, self.iterations + 1)]


class Loop(Protocol):
    """A loop on its way."""

    plan: Plan

    @property
    def running(self) -> bool:
        """Whether its coordinator is still at it."""

    def problem(self) -> str:
        """After its end: what is wrong with its value; empty if nothing is."""

    def close(self) -> None:
        """End it, whatever state it is in."""


class PythonLoop:
    """A loop of a Python coordinator in this process, with a body in Python or in R; or in Python with loops
    inside of it."""

    def __init__(
        self, plan: Plan, queue: Queue, counter: RedisProcess, *, r_body: bool = False, nests: bool = False
    ) -> None:
        self.plan = plan
        body: Any = rexpr(_r_body(plan, counter)) if r_body else _python_body(plan, counter, nests=nests)
        loop = queue.foreach(i=range(1, plan.iterations + 1), chunk_size=plan.chunk_size, max_crashes=ENDLESS)
        self.job = loop.submit(body)

    @property
    def running(self) -> bool:
        return not self.job.wait(0)

    def problem(self) -> str:
        try:
            value = [int(element) for element in self.job.result(0)]
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return _difference(self.plan, value)

    def close(self) -> None:
        self.job.cancel()


class RLoop:
    """A loop of an R coordinator, in an R process of its own."""

    def __init__(self, plan: Plan, pool: Pool, counter: RedisProcess) -> None:
        self.plan = plan
        loop = f"foreach(i = 1:{plan.iterations}, .combine = c) %dopar% {_r_body(plan, counter)}"
        self._session = pool.coordinator(
            f'values <- {loop}\nsay(paste(values, collapse = " "))',
            chunk_size=plan.chunk_size,
            ftinterval=FTINTERVAL_S,
        )

    @property
    def running(self) -> bool:
        return self._session.running

    def problem(self) -> str:
        try:
            value = [int(word) for word in self._session.value(10).strip('"').split()]
        except AssertionError as error:
            return str(error)
        return _difference(self.plan, value) and f"{_difference(self.plan, value)}\n{self._session.errors}"

    def close(self) -> None:
        self._session.close()


def _python_body(plan: Plan, counter: RedisProcess, *, nests: bool) -> Callable[[int], int]:
    name, port, pause_s = plan.name, counter.port, plan.pause_s

    def times(i: int, j: int) -> int:
        time.sleep(pause_s)
        return i * j

    def inside(i: int) -> int:
        loop = foreach(
            *(itertools.repeat(i), [1, 2, 4]), combine="+", ftinterval=FTINTERVAL_S, max_crashes=ENDLESS
        )
        return int(loop.dopar(times))

    def body(i: int) -> int:
        with redis.Redis(port=port) as client:
            client.hincrby(name, str(i), 1)
        return inside(i) if nests else times(i, 7)

    return body


def _r_body(plan: Plan, counter: RedisProcess) -> str:
    return f"""{{
      if (!exists("chaos_counter", envir = globalenv(), inherits = FALSE))
        assign("chaos_counter", redux::hiredis(port = {counter.port}L), envir = globalenv())
      get("chaos_counter", envir = globalenv())$HINCRBY("{plan.name}", i, 1)
      Sys.sleep({plan.pause_s:.3f})
      7 * i
    }}"""


def _difference(plan: Plan, value: list[int]) -> str:
    if value == plan.expected:
        return ""
    missing = sorted(set(plan.expected) - set(value))
    return f"{len(value)} values of {plan.iterations}; missing {missing[:10]}; all: {value[:200]}"
