"""Takes iterations from users' iterators, which may be slow or wait for ever, without waiting for them.

What is in memory is taken right here. Everything else is read in a thread of its own, as far ahead as there
is room for tasks, so that a job collects results and can be cancelled while its source has nothing to give.
"""

from __future__ import annotations

import contextvars
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from pydoredis.coordinator.calls import Calls
from pydoredis.errors import LocalProtocolError
from pydoredis.protocol.codec import Arguments

Bind = Callable[[Arguments], Arguments]
"""Makes what the body is called with of an iteration's variables, or raises if it cannot be called so."""


class Feed(ABC):
    """The iterations of a job that were not sent yet. For the thread that runs the job.

    Attributes:
        is_at_hand: Whether `take` never waits, runs no user code, and gives all there is.
        exhausted: Whether no more will come.
        wake: To be called, from any thread, when what `take` found missing is there.
    """

    is_at_hand = False

    def __init__(self) -> None:
        self.exhausted = False
        self.wake: Callable[[], None] = _nobody_waits

    @property
    def waiting(self) -> int | None:
        """How many iterations are left; None if that is not known."""
        return 0 if self.exhausted else None

    @abstractmethod
    def take(self, size: int, least: int) -> list[Arguments]:
        """Up to `size` iterations; none if fewer than `least` are there and more may come.

        Raises:
            Exception: Whatever the loop's iterators raise.
        """

    @abstractmethod
    def look_ahead(self, iterations: int) -> None:
        """So many iterations are wanted soon."""

    def refuse(self, error: LocalProtocolError) -> None:
        """What was taken last cannot be sent. Raises the error, unless it concerns nobody else."""
        raise error

    @abstractmethod
    def close(self) -> None:
        """Read no further."""


class _CallsFeed(Feed):
    """Iterations of a loop. For one thread, which also uses `calls`.

    Args:
        calls: Gives them, a step at a time.
        bind: What becomes of the variables of each.
    """

    def __init__(self, calls: Calls, bind: Bind) -> None:
        super().__init__()
        self._calls = calls
        self._bind = bind
        self._ready: deque[Arguments] = deque()

    def _issue(self, steps: Iterable[Any]) -> None:
        for step in steps:
            arguments = self._calls.issue(step)
            if arguments is not None:
                self._ready.append(self._bind(arguments))

    def _taken(self, size: int) -> list[Arguments]:
        return [self._ready.popleft() for _ in range(min(size, len(self._ready)))]


class InlineFeed(_CallsFeed):
    """Reads iterators that never wait, when their elements are wanted."""

    is_at_hand = True

    def __init__(self, calls: Calls, bind: Bind) -> None:
        super().__init__(calls, bind)
        self._steps = calls.steps()

    def take(self, size: int, least: int) -> list[Arguments]:
        """See `Feed.take`."""
        while not self.exhausted and (missing := size - len(self._ready)) > 0:
            steps = list(islice(self._steps, missing))
            self.exhausted = len(steps) < missing
            self._issue(steps)
        return self._taken(size)

    def look_ahead(self, iterations: int) -> None:
        """Nothing to do: see `Feed.look_ahead`."""

    def close(self) -> None:
        """Nothing to do: see `Feed.close`."""


class ThreadFeed(_CallsFeed):
    """Reads iterators in a thread."""

    def __init__(self, calls: Calls, bind: Bind) -> None:
        super().__init__(calls, bind)
        self._changed = threading.Condition()
        # All that follows is changed under this condition.
        self._read: deque[Any] = deque()
        self._ahead = 0  # how many steps may lie in `_read`
        self._missing = 0  # how many steps whoever waits wants to be woken for; 0: nobody waits
        self._closed = False
        self._ended = False
        self._failure: BaseException | None = None
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._pump,), name="source", daemon=True)

    def look_ahead(self, iterations: int) -> None:
        """See `Feed.look_ahead`."""
        if self._thread.ident is None:
            self._thread.start()
        with self._changed:
            self._ahead = iterations
            self._changed.notify()

    def take(self, size: int, least: int) -> list[Arguments]:
        """See `Feed.take`."""
        while True:
            with self._changed:
                # No more than is taken: what lies here makes no room for the thread.
                wanted = min(size - len(self._ready), len(self._read))
                steps = [self._read.popleft() for _ in range(wanted)]
                ended, failure = self._ended and not self._read, self._failure
                self._changed.notify()
            self._issue(steps)
            if failure is not None and ended and not self._ready:
                raise failure
            self.exhausted = ended and failure is None and len(self._ready) <= size
            missing = least - len(self._ready)
            if missing <= 0 or ended:
                return self._taken(size)
            with self._changed:
                if len(self._read) < missing and not self._ended:
                    self._missing = missing
                    return []

    def close(self) -> None:
        """See `Feed.close`. The thread ends as soon as the iterator that it reads gives something."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _pump(self) -> None:
        failure: BaseException | None = None
        steps = self._calls.steps()
        try:
            while self._wait_for_room():
                step = next(steps, None)
                if step is None:
                    break
                with self._changed:
                    self._read.append(step)
                    self._tell(len(self._read) >= self._missing)
            steps.close()  # type: ignore[attr-defined]  # a generator
        except BaseException as error:
            failure = error
        with self._changed:
            self._ended, self._failure = True, failure
            self._tell(True)

    def _wait_for_room(self) -> bool:
        """Wait until more may be read; False if nothing more is wanted."""
        with self._changed:
            while len(self._read) >= self._ahead and not self._closed:
                self._changed.wait()
            return not self._closed

    def _tell(self, enough: bool) -> None:
        if self._missing and enough:
            self._missing = 0
            self.wake()


def feed_of(calls: Calls, bind: Bind, *, in_place: bool = False) -> Feed:
    """What reads these iterations: at once if they are in memory, else in a thread.

    Args:
        calls: Gives them, a step at a time.
        bind: What becomes of the variables of each.
        in_place: Whether they are read without a thread, however long that takes.
    """
    return InlineFeed(calls, bind) if in_place or calls.is_at_hand() else ThreadFeed(calls, bind)


def _nobody_waits() -> None:
    return None
