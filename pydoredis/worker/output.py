"""What an executor prints, line by line, each put down to the iteration that printed it (`worker.frames`).

The two standard outputs of an executor are one named pipe. Its times tell which place the executor has
reached, and cuts in it separate what was printed at one place from what was printed at a later one. So it
does not matter how far the executor is ahead of whoever reads.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydoredis.worker.frames import CUT_BEGINS, MAX_PLACE

_READ_SIZE = 1 << 20
"""As much as a pipe of the usual size holds, and more: one read takes all that is there."""

_LONGEST_LINE = 8192
_MOST_LOOKS = 100

_LARGEST_REST = 4 << 20
"""More than any pipe holds. A process that prints so much at one place was there all the time; one that sets
the times of the pipe without making cuts is believed."""

_PLACE_DIGITS = len(str(MAX_PLACE))


class Line(NamedTuple):
    """A line without its end, and where it was printed: None where the executor was at no place (yet)."""

    text: str
    place: int | None


class Output:
    """Reads what one executor prints; never blocks.

    Attributes:
        cut: What the executor ends a cut with: a secret, so that no body can make one.
        theirs: The descriptor for the executor, to be closed here once it has been started.
        times: Its descriptor of what has the times that tell its place, to be closed as well: the pipe's own,
            or of a file beside it where the system would have every read of the pipe change them.
        ended: Whether everybody who could print has closed it.
        rest_place: Where was printed what came after the last whole line, if anything did.
    """

    def __init__(self) -> None:
        self.cut = b" %b\n" % os.urandom(8).hex().encode()
        self._fd, self.theirs = named_pipe()
        self._times_fd, self.times = self._fd, self.theirs
        if not hasattr(os, "O_NOATIME"):
            with tempfile.TemporaryFile() as file:
                self._times_fd, self.times = os.dup(file.fileno()), os.dup(file.fileno())
        for fd in (self.theirs, self.times):
            os.utime(fd, (0, 0))
        self.ended = False
        self._rest = b""  # what came after the last whole line of which is known where it was printed
        self.rest_place: int | None = None

    def fileno(self) -> int:
        """Readable when something was printed."""
        return self._fd

    @property
    def place(self) -> int | None:
        """The place that the executor has reached; None before the first."""
        seconds = int(os.fstat(self._times_fd).st_atime)
        return seconds if 0 < seconds < MAX_PLACE else None

    @property
    def settled(self) -> bool:
        """Whether nothing was read that has not been given out in lines."""
        return not self._rest

    def lines(self) -> Iterator[Line]:
        """Every whole line that was printed since the last call and of which is known where."""
        data = self._read()
        if not data and not self._rest:
            return
        reached: int | None = -1  # where the executor was before the last read; not known of the first
        for _ in range(_MOST_LOOKS):
            yield from self._cut_off(data)
            place = self.place
            # What is left has no cut behind it, and all that was in the pipe when the executor was at
            # `reached` has been read. If it is there still, that is where this was printed: it leaves no
            # place where something was printed without making a cut.
            if not self._rest or place == reached or len(self._rest) > _LARGEST_REST:
                *whole, self._rest = self._rest.split(b"\n")
                if len(self._rest) > _LONGEST_LINE:
                    whole.append(self._rest)
                    self._rest = b""
                self.rest_place = place
                yield from _lines(whole, place)
                return
            reached, data = place, self._read()

    def end_of_line(self) -> Iterator[Line]:
        """What was printed after the last whole line, as a line: a task or the process has ended."""
        if self._rest:
            rest, self._rest = self._rest, b""
            yield from _lines(rest.removesuffix(b"\n").split(b"\n"), self.rest_place)

    def close(self) -> None:
        """Let go of it."""
        for fd in {self._fd, self._times_fd}:
            os.close(fd)

    def _read(self) -> bytes:
        try:
            data = os.read(self._fd, _READ_SIZE)
        except BlockingIOError:
            return b""
        self.ended = not data
        return data

    def _cut_off(self, data: bytes) -> Iterator[Line]:
        """Take what stands before the last cut."""
        if not data:
            return
        *pieces, self._rest = (self._rest + data).split(self.cut)
        self.rest_place = None
        for piece in pieces:
            text, begins, number = piece.rpartition(CUT_BEGINS)
            place = int(number) if number.isdigit() and len(number) <= _PLACE_DIGITS else None
            if not begins or place is None:
                text = piece  # somebody who has found out the secret
            if text:
                yield from _lines(text.removesuffix(b"\n").split(b"\n"), place)


def _lines(texts: list[bytes], place: int | None) -> Iterator[Line]:
    for text in texts:
        yield Line(text.decode("utf-8", "replace").rstrip("\r"), place)


def named_pipe(readers: int = 1) -> tuple[int, ...]:
    """Ends of a pipe: one to read from without blocking, the one to write to, then other `readers`.

    Its name is gone: nobody else can open it.

    Raises:
        OSError: If none can be made.
    """
    # Where there is one, a directory in memory: its times are as fine as they come, and cost next to nothing.
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as directory:
        name = Path(directory, "output")
        os.mkfifo(name, 0o600)
        reading = os.open(name, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOATIME", 0))
        writing = os.open(name, os.O_WRONLY)
        others = [os.open(name, os.O_RDONLY) for _ in range(readers - 1)]
    return reading, writing, *others
