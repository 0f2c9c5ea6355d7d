"""Which tasks an executor may begin: a pipe of tokens, out of which the agent can take them back.

The agent puts a token into this pipe for each task that it sends, and the executor takes one out before it
begins a task. The agent has a reading end of its own, and what it reads there, no executor will begin. Reads
of a pipe exclude each other, so each token is met by one of the two and never by both: tasks are recalled in
one step, whatever the executor does meanwhile.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import deque
from typing import Final, NamedTuple

from pydoredis.worker.frames import TOKEN, FrameError
from pydoredis.worker.output import named_pipe

_AT_ONCE: Final = 512 // TOKEN.size
"""Tokens in one write: as many as POSIX has any pipe take in one piece (_POSIX_PIPE_BUF)."""

_READ_SIZE: Final = 1 << 20
"""As much as any pipe holds."""


class Ends(NamedTuple):
    """The ends of a pipe of tokens.

    Attributes:
        reading: The agent reads from it, without blocking.
        writing: The agent writes to it, without blocking.
        theirs: The executor reads from it; to be closed here once the executor has been started.
    """

    reading: int
    writing: int
    theirs: int


def open_ends() -> Ends:
    """A new pipe.

    Raises:
        OSError: If none can be made.
    """
    ends = Ends(*_twice_opened())
    os.set_blocking(ends.writing, False)
    return ends


class Starts:
    """The agent's side of a pipe of tokens; never blocks.

    Attributes:
        theirs: The executor's end of the pipe.

    Args:
        ends: The pipe.
    """

    def __init__(self, ends: Ends) -> None:
        self._reading, self._writing, self.theirs = ends
        self._given: deque[int] = deque()  # in the pipe, or taken by the executor and not answered yet
        self._waiting: deque[int] = deque()  # for room in the pipe

    def give(self, number: int) -> None:
        """The executor may begin this task, after those that were given before; `write` tells it."""
        self._waiting.append(number)

    def write(self) -> None:
        """Put into the pipe what it takes; the rest has its turn when tasks were answered."""
        waiting = self._waiting
        try:
            while waiting and self._writing >= 0:
                numbers = list(itertools.islice(waiting, _AT_ONCE))
                os.write(self._writing, b"".join(map(TOKEN.pack, numbers)))
                self._given.extend(numbers)
                for _ in numbers:
                    waiting.popleft()
        except BlockingIOError:
            pass

    def answered(self, number: int) -> None:
        """The executor has done with this task, and so with all that were given before it."""
        given = self._given
        while given and given.popleft() != number:
            pass
        if self._waiting:
            self.write()

    def take_back(self) -> list[int]:
        """Take out every token that the executor has not taken; their tasks will not be begun.

        Returns:
            Their numbers, in the order in which they were given.

        Raises:
            FrameError: If somebody has taken others than the first ones, or parts of them.
        """
        data = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._reading, _READ_SIZE):
                data += piece
        given = self._given
        if len(data) % TOKEN.size or len(data) > TOKEN.size * len(given):
            raise FrameError(f"{len(data)} bytes are left of {len(given)} tokens")
        numbers = [number for (number,) in TOKEN.iter_unpack(data)]
        if numbers != [given.pop() for _ in numbers][::-1]:
            raise FrameError("tokens of tasks were not taken in their order")
        numbers.extend(self._waiting)
        self._waiting.clear()
        return numbers

    def dismiss(self) -> None:
        """Nothing more is given: an executor that waits for a token sees the end."""
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    def close(self) -> None:
        """Let go of it."""
        self.dismiss()
        os.close(self._reading)


def _twice_opened() -> tuple[int, ...]:
    """An end to read from without blocking, one to write to, and one to read from that blocks.

    Whether reads block belongs to what was opened, not to a descriptor, so the pipe is opened twice for that.
    """
    theirs, writing = os.pipe()
    try:
        return os.open(f"/proc/self/fd/{theirs}", os.O_RDONLY | os.O_NONBLOCK), writing, theirs
    except OSError:
        os.close(theirs)
        os.close(writing)
        # Only where there is no /proc. On Linux, who opens a named pipe, as R does for each read, waits until
        # somebody could write to it.
        return named_pipe(readers=2)
