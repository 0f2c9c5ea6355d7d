"""A job whose iterations are not known when it begins: any thread adds calls while it runs.

A session has the driver, the ledger and the promises of a loop's job; only its feed differs, which other
threads fill.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from pydoredis import system
from pydoredis.coordinator.driver import Driver, DriverOptions
from pydoredis.coordinator.feeding import Feed
from pydoredis.coordinator.job import Job
from pydoredis.coordinator.ledger import DEFAULT_MAX_CRASHES
from pydoredis.coordinator.retries import NO_RETRIES, Retries
from pydoredis.errors import JobCancelled, LocalProtocolError
from pydoredis.protocol.codec import Arguments, JobCodec
from pydoredis.protocol.keys import QueueKeys
from pydoredis.settings import ConnectionSettings

log = logging.getLogger(__name__)


class Over(Exception):  # noqa: N818  (an answer, not an error)
    """A session takes no more calls."""


class Call:
    """One task of a session: one iteration, or a few that belong together.

    Args:
        arguments: Of each iteration.
        together: Whether the future gets a list of outcomes, each a pair: whether the iteration succeeded,
            and its value or exception. If not, there is one iteration, and the future gets its outcome.

    Attributes:
        future: Where the outcome goes.
    """

    __slots__ = ("_missing", "_outcomes", "_together", "arguments", "future")

    def __init__(self, arguments: list[Arguments], *, together: bool = False) -> None:
        self.arguments = arguments
        self.future: Future[Any] = Future()
        self._together = together
        self._missing = len(arguments)
        self._outcomes: list[Any] = [None] * len(arguments) if together else []

    def settle(self, place: int, succeeded: bool, outcome: Any) -> None:
        """Take the outcome of the iteration at `place`, counted from 0."""
        if not self._together:
            (self.future.set_result if succeeded else self.future.set_exception)(outcome)
            return
        self._outcomes[place] = (succeeded, outcome)
        self._missing -= 1
        if not self._missing:
            self.future.set_result(self._outcomes)

    def fail(self, error: BaseException) -> None:
        """Give the future an exception, whatever was there before."""
        if not self.future.done():
            self.future.set_exception(error)


class CallFeed(Feed):
    """Calls that were not sent yet: any thread adds them, the session's thread takes them.

    Attributes:
        out: Calls that were taken and have no outcome, and the place of the iteration in it, by its number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.out: dict[int, tuple[Call, int]] = {}
        self._taken = 0  # iterations
        self._lock = threading.Lock()
        # What follows is changed under this lock.
        self._waiting: deque[Call] = deque()
        self._is_wanted = False  # whether `take` found nothing
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> int:
        """See `Feed.waiting`."""
        return len(self._waiting)

    def add(self, call: Call) -> None:
        """Add a call.

        Raises:
            Over: After `finish` or `close`.
        """
        with self._lock:
            if self._closed:
                raise Over
            self._waiting.append(call)
            is_wanted, self._is_wanted = self._is_wanted, False
        if is_wanted:
            self.wake()

    def take(self, size: int, least: int) -> list[Arguments]:
        """The iterations of the next call that was not cancelled. What belongs together is one task."""
        with self._lock:
            while self._waiting:
                call = self._waiting.popleft()
                if call.future.set_running_or_notify_cancel():
                    break
            else:
                self._is_wanted = True
                self.exhausted = self._closed
                return []
        for place in range(len(call.arguments)):
            self._taken += 1
            self.out[self._taken] = (call, place)
        return call.arguments

    def refuse(self, error: LocalProtocolError) -> None:
        """The future of the call that was taken last gets the error."""
        call, _ = self.out[self._taken]
        for _ in call.arguments:
            del self.out[self._taken]
            self._taken -= 1
        call.fail(error)

    def settle(self, number: int, succeeded: bool, outcome: Any) -> None:
        """Give an iteration that was taken its value or exception."""
        call, place = self.out.pop(number)
        call.settle(place, succeeded, outcome)

    def look_ahead(self, iterations: int) -> None:
        """Nothing to do: see `Feed.look_ahead`."""

    def finish(self) -> None:
        """Take no more calls; those that wait are sent."""
        with self._lock:
            self._closed = True
        self.wake()

    def close(self) -> None:
        """Take no more calls; none that waits is sent."""
        with self._lock:
            self._closed = True

    def cancel(self) -> None:
        """Cancel the futures of all calls that wait."""
        with self._lock:
            waiting = list(self._waiting)
        for call in waiting:
            call.future.cancel()
        self.wake()

    def forget(self) -> list[Call]:
        """Take no more calls; those that waited."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting)
            self._waiting.clear()
        return waiting


class Session:
    """A job that takes calls from any thread, and runs in a thread of its own.

    Args:
        connection: Which server.
        keys: The queue.
        codec: What its messages look like.
        ftinterval_s: Seconds between two checks for lost tasks.
        max_crashes: Give up an iteration after this many deaths of workers that ran it.
        private: Whether nobody but this program knows the server.
        retries: Which calls that raised an error are made again.

    Raises:
        RuntimeError: If the program ends.
    """

    def __init__(
        self,
        connection: ConnectionSettings,
        keys: QueueKeys,
        codec: JobCodec,
        *,
        ftinterval_s: float = 30.0,
        max_crashes: int | None = None,
        private: bool = False,
        retries: Retries = NO_RETRIES,
    ) -> None:
        if _program_ends:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        self._feed = CallFeed()
        options = DriverOptions(
            ftinterval_s=ftinterval_s,
            max_crashes=max_crashes or DEFAULT_MAX_CRASHES,
            private=private,
            retries=retries,
        )
        driver = Driver(connection, keys, codec, self._feed, _nothing, options)
        self._job = Job[Any, None](driver, _Outcomes(self._feed.settle), None)
        self._thread = threading.Thread(target=self._run, name="session", daemon=True)
        _open.add(self)  # before it can end
        try:
            self._thread.start()
        except BaseException:  # there are too many
            _open.discard(self)
            raise

    def __repr__(self) -> str:
        return f"<Session {self._job.id or '?'}: {self.outstanding} calls are not done>"

    @property
    def id(self) -> str:
        """The job's ID; empty before it begins."""
        return self._job.id

    @property
    def outstanding(self) -> int:
        """How many iterations are out, and calls that wait."""
        return len(self._feed.out) + len(self._feed)

    def add(self, call: Call) -> None:
        """Have a call run.

        Raises:
            Over: If the session takes no more.
        """
        self._feed.add(call)

    def finish(self) -> None:
        """Take no more calls, and end when all have their outcomes."""
        self._feed.finish()

    def cancel_waiting(self) -> None:
        """Cancel calls that were not sent."""
        self._feed.cancel()

    def cancel(self, reason: str) -> None:
        """End: calls that were not sent are cancelled, running ones interrupted, futures get JobCancelled."""
        self._feed.cancel()
        self._feed.finish()
        self._job.cancel_because(reason)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    # --- in its thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._job.run()
        except BaseException as raised:
            error = raised
        finally:
            _open.discard(self)
            self._abandon(error or JobCancelled(self.id, "its session has ended"))

    def _abandon(self, error: BaseException) -> None:
        """The job is over: whoever waits still gets its error."""
        out = [call for call, _ in self._feed.out.values()]
        self._feed.out.clear()
        for call in out:
            call.fail(error)
        for call in self._feed.forget():
            if call.future.set_running_or_notify_cancel():
                call.fail(error)


class _Outcomes:
    """Where a session's outcomes go (`coordinator.calls.Outcomes`): each its own way.

    Args:
        settle: Given number, whether it succeeded, and value or exception.
    """

    failure = None

    def __init__(self, settle: Callable[[int, bool, Any], None]) -> None:
        self._settle = settle

    def add(self, number: int, value: Any) -> None:
        """See `Outcomes.add`."""
        self._settle(number, True, value)

    def add_failure(self, number: int, error: BaseException) -> None:
        """See `Outcomes.add_failure`."""
        self._settle(number, False, error)

    def skip(self, number: int) -> None:
        """See `Outcomes.skip`."""
        self._settle(number, True, None)

    def result(self) -> None:
        """See `Outcomes.result`."""


_open: set[Session] = set()
"""Those that have not ended."""


_program_ends = False


def open_sessions() -> Sequence[Session]:
    """The sessions of this process that have not ended."""
    return list(_open)


def _finish_all() -> None:
    """The program ends when all calls have their outcomes, as those of the standard library's executors."""
    global _program_ends
    _program_ends = True
    for session in open_sessions():
        session.finish()
    for session in open_sessions():
        try:
            session.join()
        except KeyboardInterrupt:
            session.cancel("interrupted at the end of the program")
            session.join()


def _nothing(item: object) -> None:
    return None


atexit.register(_finish_all)
# A forked process has none of the threads.
system.after_fork_in_child(_open.clear)
