"""A Python coordinator: the real driver, ledger and store, stopped at each exchange with Redis."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from pydoredis.backoff import Backoff
from pydoredis.coordinator import driver as driver_module
from pydoredis.coordinator import sending
from pydoredis.coordinator.driver import Driver, DriverOptions
from pydoredis.coordinator.feeding import feed_of
from pydoredis.protocol.codec import Arguments, Item
from pydoredis.settings import ConnectionSettings
from pydoredis.store import job as job_store
from tests.model.jobs import CRASHED, JOB, QUEUE, Job
from tests.model.server import Words
from tests.model.stage import LOST, Record, Stage, SuspendedError

CHECK_S = 0.01
"""Between two checks."""

_SHARED = (
    "connection",
    "keys",
    "codec",
    "sink",
    "options",
    "waker",
    "_sender",
    "_store",
    "_staff",
    "_window",
    "_staff_watch",
)
"""Attributes of a driver that do not change once all tasks were sent, or not in a way that matters here."""

Replace = Callable[[Any, str, Any], None]


class _Clock:
    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class _Source:
    """The iterations, for the driver."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def is_at_hand(self) -> bool:
        return True

    def steps(self) -> Iterator[int]:
        return iter(self._job.iterations)

    def issue(self, step: int) -> Arguments:
        return (), {"i": step}


class Theatre:
    """The one driver that is there. What it knows is put into it before each turn, and taken out after it.

    Args:
        job: What it runs.
        replace: Puts another value in the place of a name in a module, for as long as the driver is needed.
        max_crashes: After how many deaths of machines it gives up a task.
    """

    def __init__(self, job: Job, replace: Replace, *, max_crashes: int) -> None:
        self.job = job
        self.stage = Stage()
        self.clock = _Clock()
        self.items: list[Item] = []
        replace(driver_module, "time", self.clock)
        replace(sending, "time", self.clock)
        replace(driver_module, "new_job_id", lambda: JOB)
        replace(job_store, "uuid", SimpleNamespace(uuid4=lambda: "nothing"))
        replace(job_store, "_pool", lambda connection: self.stage.pool)
        options = DriverOptions(chunk_size=job.chunk_size, ftinterval_s=CHECK_S, max_crashes=max_crashes)
        codec = job.python_codec
        source: Any = _Source(job)
        feed = feed_of(source, lambda arguments: arguments)
        self.driver = Driver(ConnectionSettings(), QUEUE, codec, feed, self.items.append, options)
        self.driver._sleep = lambda seconds: None  # type: ignore[method-assign]

    def begin(self, live: Any) -> Coordinator:
        """Submit the job; `live` carries out the commands."""
        self.stage.live = live
        self.driver.begin()
        self.driver._store.wait_for_result = lambda timeout_s, waker: None  # type: ignore[method-assign]
        # What nobody waits for is sent again by a thread if it is lost. Here the driver waits, and does so.
        line = self.driver._store._line
        line.post = lambda command: [*line.ask([command]), None][-1]  # type: ignore[method-assign]
        self.driver.step(0)
        self.stage.live = None
        return Coordinator(self._taken_out(), self.clock.now_s)

    def turn(self, knows: bytes, now_s: float, kind: str, record: Record) -> bytes | tuple[Words, ...]:
        """Have the driver do one turn; what it knows then, or the commands at which the record ends."""
        self.driver.__dict__.update(pickle.loads(knows))
        self.clock.now_s = now_s
        self.items.clear()
        self.stage.play(record)
        try:
            if kind == "end":
                self.driver.end()
            else:
                self.driver.step(0)
        except SuspendedError as suspended:
            return suspended.commands
        return self._taken_out()

    def _taken_out(self) -> bytes:
        knows = {
            name: value for name, value in self.driver.__dict__.items() if name not in (*_SHARED, "_sleep")
        }
        return pickle.dumps(knows, pickle.HIGHEST_PROTOCOL)


class Coordinator:
    """What a coordinator knows, and where it stands.

    Attributes:
        knows: The driver's attributes, pickled.
        now_s: Its clock.
        kind: The turn that is under way: "collect", "check", "end"; "" between turns.
        record: The replies of this turn so far.
        words: The exchange that is under way.
        replies: Those that have come so far.
        values: What it has for each iteration.
        repeated: Iterations that came to its program more than once.
        finished: Whether every iteration has its outcome.
        closed: Whether the job's keys were removed.
    """

    def __init__(self, knows: bytes, now_s: float) -> None:
        self.knows = knows
        self.now_s = now_s
        self.kind = ""
        self.record: Record = ()
        self.words: tuple[Words, ...] = ()
        self.replies: tuple[Any, ...] = ()
        self.values: dict[int, object] = {}
        self.repeated: tuple[int, ...] = ()
        self.finished = self.closed = False

    def essence(self) -> tuple[Any, ...]:
        """All that decides on what it will do."""
        values = tuple(sorted(self.values.items()))
        stands = (self.kind, self.record, self.words, self.replies)
        return (pickle.loads(self.knows), *stands, values, self.repeated, self.closed)

    @property
    def next_words(self) -> Words | None:
        """The next command that is to be carried out."""
        return self.words[len(self.replies)] if self.words else None

    def begin(self, theatre: Theatre, kind: str) -> None:
        """Begin a turn."""
        self.kind = kind
        knows = pickle.loads(self.knows)
        if kind == "check":
            self.now_s = max(self.now_s, knows["_check_due_s"])
        outage: Backoff = knows["_outage"]
        if outage.active:
            self.now_s = max(self.now_s, outage.due_s)
        self._play(theatre)

    def executed(self, theatre: Theatre, reply: Any) -> None:
        """A command was carried out."""
        self.replies = (*self.replies, reply)
        if len(self.replies) == len(self.words):
            self.record, self.replies = (*self.record, self.replies), ()
            self._play(theatre)

    def lost(self, theatre: Theatre) -> None:
        """The connection was lost; what was under way may have been carried out or not."""
        self.record, self.replies = (*self.record, LOST), ()
        self._play(theatre)

    def _play(self, theatre: Theatre) -> None:
        outcome = theatre.turn(self.knows, self.now_s, self.kind, self.record)
        if isinstance(outcome, bytes):
            self.closed = self.closed or self.kind == "end"
            self.knows, self.kind, self.record, self.words = outcome, "", (), ()
            for number, sound, value in theatre.items:
                if number in self.values:
                    self.repeated = (*self.repeated, number)
                self.values[number] = value if sound else CRASHED
            self.finished = not pickle.loads(self.knows)["ledger"]
        else:
            self.words = outcome
