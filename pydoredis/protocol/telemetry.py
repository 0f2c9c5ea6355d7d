"""What agents and coordinators of ours say of what they do: JSON in side keys that expire.

Times are durations, never moments: how long ago a record was written is what is missing of its key's time to
live, by the server's clock. So nobody's clock is compared with another's.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import Any, Final, NamedTuple

from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol.presence import TTL_S

ACTIVITY_TTL_S: Final = TTL_S
"""How long what an agent said stays: as long as its presence."""

DEMAND_TTL_S: Final = 60
"""How long what a coordinator said stays. It says it about once a second while it waits for results, and says
nothing while its program computes, or while nothing is out."""

BOUNDS_S: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Upper bounds of the buckets of histograms, in seconds, each included; what is longer is in one more."""

MAX_ERRORS = 5
MAX_ERROR = 400
"""How many of an agent's last warnings are told, and how many characters of each."""

MAX_TRAIL = 32
"""How many points of a job's history a coordinator tells."""

_NUMBERS: Final = ("done", "iterations", "crashed", "timed_out", "given_back")
_MISREAD: Final = (KeyError, TypeError, ValueError, OverflowError, RecursionError)
"""What reading raises where something else was written than expected."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took how long.

    Attributes:
        counts: One for each bucket of `BOUNDS_S`, and one for what took longer. Not cumulative.
        sum_s: All of it together, in seconds.
    """

    counts: tuple[int, ...] = (0,) * (len(BOUNDS_S) + 1)
    sum_s: float = 0.0

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts)

    @property
    def cumulative(self) -> list[tuple[float, int]]:
        """Each bound with how many took so long or less, as Prometheus has it; the last bound is infinity."""
        return list(zip((*BOUNDS_S, math.inf), accumulate(self.counts), strict=True))

    def __add__(self, other: Histogram) -> Histogram:
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Histogram(counts, self.sum_s + other.sum_s)

    def __sub__(self, other: Histogram) -> Histogram:
        counts = tuple(a - b for a, b in zip(self.counts, other.counts, strict=True))
        return Histogram(counts, self.sum_s - other.sum_s)


class Stopwatch:
    """A histogram that is being made. Noting costs a bisection: agents do it for each task.

    Attributes:
        counts: One for each bucket, as a histogram has it.
        sum_s: All of it together, in seconds.
    """

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def note(self, seconds: float) -> None:
        """Something took so long."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def histogram(self) -> Histogram:
        """What was noted so far."""
        return Histogram(tuple(self.counts), round(self.sum_s, 6))


@dataclass(frozen=True, slots=True)
class Counters:
    """What an agent did for one queue since it began.

    Attributes:
        done: Tasks that its executors ran to their end, whatever became of their iterations.
        iterations: Iterations of these tasks.
        crashed: Tasks on which an executor died.
        timed_out: Tasks that were stopped by a time limit.
        given_back: Tasks that were put back on the queue.
        run: How long tasks ran; `run.sum_s` are the seconds in which executors were busy.
        wait: How long tasks were in the agent before they ran.
    """

    done: int = 0
    iterations: int = 0
    crashed: int = 0
    timed_out: int = 0
    given_back: int = 0
    run: Histogram = field(default_factory=Histogram)
    wait: Histogram = field(default_factory=Histogram)

    def __add__(self, other: Counters) -> Counters:
        return Counters(
            done=self.done + other.done,
            iterations=self.iterations + other.iterations,
            crashed=self.crashed + other.crashed,
            timed_out=self.timed_out + other.timed_out,
            given_back=self.given_back + other.given_back,
            run=self.run + other.run,
            wait=self.wait + other.wait,
        )

    def __sub__(self, other: Counters) -> Counters:
        return Counters(
            done=self.done - other.done,
            iterations=self.iterations - other.iterations,
            crashed=self.crashed - other.crashed,
            timed_out=self.timed_out - other.timed_out,
            given_back=self.given_back - other.given_back,
            run=self.run - other.run,
            wait=self.wait - other.wait,
        )


@dataclass(frozen=True, slots=True)
class ExecutorState:
    """One executor of an agent, and what it runs.

    Attributes:
        pid: Number of its process.
        codec: Language of the bodies that it runs.
        resident_bytes: Memory that it has; 0 if that is not known.
        queue: Queue of the task that it runs; empty if it runs none, as is the next one.
        job: That task's job.
        first: Its first iteration.
        last: Its last iteration.
        running_s: For how long it has run.
        waits: Whether the body waits for a loop of its own.
    """

    pid: int
    codec: str
    resident_bytes: int = 0
    queue: str = ""
    job: str = ""
    first: int = 0
    last: int = 0
    running_s: float = 0.0
    waits: bool = False


class Warned(NamedTuple):
    """A warning or an error that an agent has logged.

    Attributes:
        ago_s: How long ago.
        text: What it says.
    """

    ago_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the core of an agent cannot know.

    Attributes:
        resident_bytes: Memory by number of process, of those where it is known.
        warnings: The last ones that the agent logged.
    """

    resident_bytes: Mapping[int, int] = field(default_factory=dict)
    warnings: Sequence[Warned] = ()


@dataclass(frozen=True, slots=True)
class Activity:
    """What an agent does, as it tells on one of its queues.

    Attributes:
        up_s: For how long it has served its queues.
        resident_bytes: Memory of the agent's own process; 0 if that is not known.
        counters: What it did for this queue.
        executors: Its executors, for whichever queue they are at work.
        warnings: The last ones that it logged.
    """

    up_s: float
    resident_bytes: int = 0
    counters: Counters = field(default_factory=Counters)
    executors: tuple[ExecutorState, ...] = ()
    warnings: tuple[Warned, ...] = ()

    @property
    def all_resident_bytes(self) -> int:
        """Memory of the agent and its executors together."""
        return self.resident_bytes + sum(each.resident_bytes for each in self.executors)

    def encode(self) -> bytes:
        """The value of the side key."""
        return _dumps(asdict(self))

    @classmethod
    def decode(cls, value: bytes) -> Activity:
        """Read it.

        Raises:
            RemoteProtocolError: If that is not what an agent writes.
        """
        try:
            said = _object(value)
            return cls(
                float(said["up_s"]),
                int(said["resident_bytes"]),
                _counters(said["counters"]),
                tuple(_executor(each) for each in said["executors"]),
                tuple(Warned(float(ago_s), str(text)) for ago_s, text in said["warnings"]),
            )
        except _MISREAD as error:
            raise RemoteProtocolError(f"not what an agent says of its work: {error}") from None


@dataclass(frozen=True, slots=True)
class Demand:
    """How far a job is, as its coordinator tells.

    Attributes:
        submitted: Iterations that were sent.
        unsent: Iterations that are still to be sent; None if nobody knows how many there are.
        total: Number of iterations; None if it is not known.
        done: Iterations that have a result.
        failed: Those of them whose result is an error.
        out: Tasks that were sent and have no result.
        chunk_size: Iterations of the tasks that are sent just now.
        rate: Iterations that are done per second; 0 if that is not known yet.
        trail: When which iterations had been sent, oldest first: so many, so many seconds ago.
    """

    submitted: int
    unsent: int | None
    total: int | None
    done: int
    failed: int = 0
    out: int = 0
    chunk_size: int = 1
    rate: float = 0.0
    trail: tuple[tuple[int, float], ...] = ()

    @property
    def unsent_tasks(self) -> int:
        """How many tasks are still to be sent, as far as that is known."""
        return -(-(self.unsent or 0) // max(1, self.chunk_size))

    def waited_s(self, iteration: int) -> float | None:
        """How long ago an iteration was sent: at least so long; None if nobody remembers."""
        at = bisect_left(self.trail, iteration, key=lambda point: point[0])
        return self.trail[at][1] if at < len(self.trail) else None

    def encode(self) -> bytes:
        """The value of the side key."""
        return _dumps(asdict(self))

    @classmethod
    def decode(cls, value: bytes) -> Demand:
        """Read it.

        Raises:
            RemoteProtocolError: If that is not what a coordinator writes.
        """
        try:
            said = _object(value)
            return cls(
                submitted=int(said["submitted"]),
                unsent=_known(said["unsent"]),
                total=_known(said["total"]),
                done=int(said["done"]),
                failed=int(said["failed"]),
                out=int(said["out"]),
                chunk_size=int(said["chunk_size"]),
                rate=float(said["rate"]),
                trail=tuple((int(submitted), float(ago_s)) for submitted, ago_s in said["trail"]),
            )
        except _MISREAD as error:
            raise RemoteProtocolError(f"not what a coordinator says of its job: {error}") from None


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _object(value: bytes) -> dict[str, Any]:
    said = json.loads(value)  # what is no JSON is a ValueError
    if not isinstance(said, dict):
        raise ValueError(f"a {type(said).__name__}")
    return said


def _known(said: Any) -> int | None:
    return None if said is None else int(said)


def _counters(said: Mapping[str, Any]) -> Counters:
    done, iterations, crashed, timed_out, given_back = (int(said[name]) for name in _NUMBERS)
    histograms = _histogram(said["run"]), _histogram(said["wait"])
    return Counters(done, iterations, crashed, timed_out, given_back, *histograms)


def _histogram(said: Mapping[str, Any]) -> Histogram:
    counts = tuple(map(int, said["counts"]))
    if len(counts) != len(BOUNDS_S) + 1:
        raise ValueError(f"{len(counts)} buckets")
    return Histogram(counts, float(said["sum_s"]))


def _executor(said: Mapping[str, Any]) -> ExecutorState:
    return ExecutorState(
        *(int(said["pid"]), str(said["codec"]), int(said["resident_bytes"]), str(said["queue"])),
        *(str(said["job"]), int(said["first"]), int(said["last"]), float(said["running_s"])),
        bool(said["waits"]),
    )
