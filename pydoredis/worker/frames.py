"""Frames: what an agent and its executors say to each other over two pipes.

An executor is *any* process that speaks this: it reads frames from one descriptor and writes frames to
another. The format is meant to be easy from R as well (`readBin(con, "integer", 3, endian = "little")`),
because one of the executors is an R child with no Python in it.

A frame is a header of three little-endian 32-bit integers (kind, token, length of the rest in bytes), a head
of a fixed size for each kind, and the body. Every frame that answers another one carries its token.

================  ===========  =========================================================================
kind              sent by      token; head; body
================  ===========  =========================================================================
``ENVIRONMENT``   agent        number of the job environment; its bytes as they stand in Redis.
                               The executor keeps it until ``FORGET``. Never answered.
``FORGET``        agent        number of a job environment that is no longer needed. Never answered.
``TASK``          agent        number of the task; int32 number of its job environment, int32 place of the
                               task (see below); the task message. Answered by ``RESULT``,
                               ``FAILED`` or ``INTERRUPTED``. Several may wait in the pipe.
``VERDICT``       agent        number of a task that follows; int32 index of an iteration from 0; two
                               lines of UTF-8 text, a class and a message: the iteration is not to be run, its
                               result is an error of that class with this message. Never answered.
``KEPT``          agent        number of a task that follows; head and body of a ``PARTIAL`` that another
                               executor sent of it before it died: those iterations are not run again. In the
                               order in which they were sent. Never answered.
``BARRIER``       agent        0. A SIGINT was sent before it, for the tasks before it: one that has
                               met none of their bodies is forgotten. Never answered.
``ANSWER``        agent        number of the request; a status byte (see `Answer`); a value or text.
``CUT``           agent        0; the end of what separates the outputs of two places (see below). The first
                               frame that the agent sends. Never answered.
``READY``         executor     0; a line of UTF-8 text that names the engine. The first frame of all.
``RESULT``        executor     number of the task; the evaluation's duration in seconds as a little-endian
                               double; the result message, ready to be published.
``FAILED``        executor     number of the task; UTF-8 text that says why there is no result.
                               Only for what is not the user's doing: a message that cannot be read.
``INTERRUPTED``   executor     number of the task; int32 index of an iteration from 0. SIGINT came while its
                               body ran: the task is given up.
``PARTIAL``       executor     number of the running task; int32 how many of its iterations are finished;
                               the values of those that no ``PARTIAL`` or ``KEPT`` held before, in a form
                               of the engine's own. Only now and then, so that a death costs little.
``REQUEST``       executor     number of the request; see `Request`. The task waits for ``ANSWER``;
                               frames that come in between are kept for later.
================  ===========  =========================================================================

SIGINT interrupts the body that runs, or else the next one that does. The agent closing its end means: finish
what you have and exit with status 0.

Whatever the process writes to its standard output and error belongs to the user: the agent logs it. Both are
one named pipe, of which the executor has a descriptor of its own, too. Which iteration is at work stands in
*the times of that pipe*, never in what is written to it. The agent gives each task a place, a number: that is
where it is read; its iterations have the places behind it, in their order. When an executor reaches a place,
it sets both times of the pipe to it, as seconds. The time of access stays as it is then (the agent reads with
O_NOATIME), and tells the place, even of a process that has died. The time of modification changes with every
write, and tells the executor, before it goes on, whether something was printed since. Then, and only then, it
separates that from what is to come: it writes to the pipe, below whatever a body may divert, the byte 0x1e,
the place that it leaves, and the bytes of ``CUT``, which nobody else knows.
"""

from __future__ import annotations

import enum
import itertools
import os
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

MAX_PLACE = 2**30
"""Places are less than that: as seconds they are times long past, and every file system can keep them."""

CUT_BEGINS = b"\x1e"

REQUEST_HEAD = struct.Struct("<i")

Bytes: TypeAlias = "bytes | bytearray"
"""What a frame holds; a big one is read straight into a bytearray."""


class Kind(enum.IntEnum):
    """What a frame is."""

    ENVIRONMENT = 1
    TASK = 2
    FORGET = 3
    ANSWER = 4
    VERDICT = 5
    KEPT = 6
    BARRIER = 7
    CUT = 8
    READY = 16
    RESULT = 17
    FAILED = 18
    REQUEST = 19
    PARTIAL = 20
    INTERRUPTED = 21


_HEADER = struct.Struct("<iii")
_HEAD_FORMATS: Final = {
    Kind.TASK: "ii",
    Kind.ANSWER: "c",
    Kind.VERDICT: "i",
    Kind.KEPT: "i",
    Kind.RESULT: "d",
    Kind.PARTIAL: "i",
    Kind.INTERRUPTED: "i",
}
# By number, and for frames to be written with the header before it: an agent has thousands of them a second.
_HEADS: Final = {kind.value: struct.Struct("<" + _HEAD_FORMATS.get(kind, "")) for kind in Kind}
_FRONTS: Final = {kind: struct.Struct("<iii" + _HEAD_FORMATS.get(kind, "")) for kind in Kind}

_LARGE: Final = 1 << 16
"""Bodies from so many bytes on are not copied if that can be avoided."""

_READ_SIZE: Final = 1 << 18
_NO_ROOM: Final = memoryview(b"")
_MOST_PIECES: Final = 64  # at a time; systems take at least 16, Linux 1,024


class Request(bytes, enum.Enum):
    """What the body of a task may ask of the agent: operation byte, int32 length of the key, key, value."""

    GET = b"G"  # ANSWER is VALUE with the bytes, or ABSENT
    SET = b"S"  # value = bytes to store; ANSWER is VALUE with an empty rest
    DELETE = b"D"  # ANSWER is VALUE with the decimal number of values that there were


class Answer(bytes, enum.Enum):
    """The head of an ANSWER."""

    VALUE = b"+"
    ABSENT = b"0"
    ERROR = b"-"  # the body is UTF-8 text


class FrameError(Exception):
    """The other side broke the frame protocol; nothing it sends from here on can be trusted."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, taken apart."""

    kind: int
    token: int
    head: tuple[Any, ...] = ()
    body: Bytes = b""


def pack(kind: Kind, token: int, *head: object, body: Bytes = b"") -> list[Bytes]:
    """The bytes of one frame, a large body apart from the rest."""
    form = _FRONTS[kind]
    front = form.pack(kind, token, form.size - _HEADER.size + len(body), *head)
    return [front, body] if len(body) >= _LARGE else [front + body]


class FrameBuffer:
    """Turns a stream of bytes into frames, whatever pieces it arrives in."""

    def __init__(self) -> None:
        self._data = bytearray()
        # A large frame of which the front has come, and where the rest of its body goes.
        self._large: Frame | None = None
        self._room = _NO_ROOM

    def read(self, fd: int) -> Iterator[Frame]:
        """Read once from a pipe, and yield every frame that is now whole.

        Raises:
            FrameError: If a header makes no sense.
            EOFError: If the other side has closed its end.
            BlockingIOError: If nothing is there and the pipe does not block.
        """
        if self._room:
            count = os.readv(fd, [self._room])
            if not count:
                raise EOFError
            yield from self._fill(count)
            return
        data = os.read(fd, _READ_SIZE)
        if not data:
            raise EOFError
        yield from self.feed(data)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add `data`, and yield every frame that is now whole; see `read`."""
        if self._room:
            count = min(len(data), len(self._room))
            self._room[:count] = data[:count]
            data = data[count:]
            yield from self._fill(count)
        buffer = self._data
        buffer += data
        start, end = 0, len(buffer)
        try:
            while end - start >= _HEADER.size:
                kind, token, length = _HEADER.unpack_from(buffer, start)
                form = _HEADS.get(kind)
                if form is None or length < form.size:
                    raise FrameError(f"frame of kind {kind} with length {length}")
                body = start + _HEADER.size + form.size
                stop = body - form.size + length
                if stop > end and (length < _LARGE or body > end):
                    break
                head = form.unpack_from(buffer, body - form.size)
                if stop > end:
                    self._expect(Frame(kind, token, head, bytearray(stop - body)), buffer[body:])
                    start = end
                    break
                content = bytes(memoryview(buffer)[body:stop])
                start = stop
                yield Frame(kind, token, head, content)
        finally:
            del buffer[:start]

    def _expect(self, frame: Frame, beginning: bytearray) -> None:
        self._large = frame
        self._room = memoryview(frame.body)
        self._room[: len(beginning)] = beginning
        self._room = self._room[len(beginning) :]

    def _fill(self, count: int) -> Iterator[Frame]:
        self._room = self._room[count:]
        if not self._room and self._large is not None:
            frame, self._large = self._large, None
            self._room = _NO_ROOM  # an empty view of the body would keep that
            yield frame


class Outgoing:
    """Bytes on their way into a pipe."""

    def __init__(self) -> None:
        self._waiting: deque[Bytes | memoryview] = deque()

    def __bool__(self) -> bool:
        """Whether some have to wait still."""
        return bool(self._waiting)

    def add(self, pieces: Iterable[Bytes]) -> None:
        """Line them up."""
        self._waiting.extend(pieces)

    def write(self, fd: int) -> None:
        """Write all; or what the pipe takes, if it does not block.

        Raises:
            BlockingIOError: If it takes no more.
            BrokenPipeError: If nobody reads.
        """
        waiting = self._waiting
        while waiting:
            if len(waiting) == 1:
                count = os.write(fd, waiting[0])
                if count == len(waiting[0]):
                    waiting.clear()
                    return
            else:
                count = os.writev(fd, list(itertools.islice(waiting, _MOST_PIECES)))
            while count:
                piece = waiting.popleft()
                if len(piece) > count:
                    waiting.appendleft(memoryview(piece)[count:])
                count -= min(count, len(piece))
            while waiting and not len(waiting[0]):
                waiting.popleft()
