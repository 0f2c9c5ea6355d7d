"""Frames: what an agent and its executors say to each other over two pipes.

An executor is *any* process that speaks this: it reads frames from one descriptor and writes frames to
another. The format is meant to be easy from R as well (`readBin(con, "integer", 3, endian = "little")`),
because one of the executors is an R child with no Python in it.

A frame is a header of three little-endian 32-bit integers (kind, token, length of the body in bytes) and
the body. Every frame that answers another one carries its token.

================  ===========  =========================================================================
kind              sent by      token, body
================  ===========  =========================================================================
``ENVIRONMENT``   agent        number of the job environment; its bytes as they stand in Redis.
                               The executor keeps it until ``FORGET``. Never answered.
``FORGET``        agent        number of a job environment that is no longer needed; empty. Never answered.
``TASK``          agent        number of the task; int32 number of its job environment, int32 place of the
                               task (see below), then the task message. Answered by ``RESULT``,
                               ``FAILED`` or ``INTERRUPTED``. Several may wait in the pipe.
``VERDICT``       agent        number of a task that follows; int32 index of an iteration from 0, then two
                               lines of UTF-8 text, a class and a message: the iteration is not to be run, its
                               result is an error of that class with this message. Never answered.
``KEPT``          agent        number of a task that follows; the body of a ``PARTIAL`` that another executor
                               sent of it before it died: those iterations are not run again. In the
                               order in which they were sent. Never answered.
``BARRIER``       agent        0; empty. A SIGINT was sent before it, for the tasks before it: one that has
                               met none of their bodies is forgotten. Never answered.
``ANSWER``        agent        number of the request; a status byte (see `Answer`), then a value or text.
``CUT``           agent        0; the end of what separates the outputs of two places (see below). The first
                               frame that the agent sends. Never answered.
``READY``         executor     0; a line of UTF-8 text that names the engine. The first frame of all.
``RESULT``        executor     number of the task; the evaluation's duration in seconds as a little-endian
                               double, then the result message, ready to be published.
``FAILED``        executor     number of the task; UTF-8 text that says why there is no result.
                               Only for what is not the user's doing: a message that cannot be read.
``INTERRUPTED``   executor     number of the task; int32 index of an iteration from 0. SIGINT came while its
                               body ran: the task is given up.
``PARTIAL``       executor     number of the running task; int32 how many of its iterations are finished, then
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
import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = struct.Struct("<iii")
TASK_HEAD = struct.Struct("<ii")
VERDICT_HEAD = struct.Struct("<i")
RESULT_HEAD = struct.Struct("<d")
REQUEST_HEAD = struct.Struct("<i")
PARTIAL_HEAD = struct.Struct("<i")
INTERRUPTED_BODY = struct.Struct("<i")

MAX_BODY = 2**31 - 1
"""Largest body in bytes; Redis itself refuses values over 512 MB."""

MAX_PLACE = 2**30
"""Places are less than that: as seconds they are times long past, and every file system can keep them."""

CUT_BEGINS = b"\x1e"


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


_KINDS = frozenset(map(int, Kind))


class Request(bytes, enum.Enum):
    """What the body of a task may ask of the agent: operation byte, int32 length of the key, key, value."""

    GET = b"G"  # ANSWER is VALUE with the bytes, or ABSENT
    SET = b"S"  # value = bytes to store; ANSWER is VALUE with an empty rest
    DELETE = b"D"  # ANSWER is VALUE with the decimal number of values that there were


class Answer(bytes, enum.Enum):
    """First byte of an ANSWER's body."""

    VALUE = b"+"
    ABSENT = b"0"
    ERROR = b"-"  # the rest is UTF-8 text


class FrameError(Exception):
    """The other side broke the frame protocol; nothing it sends from here on can be trusted."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, taken apart."""

    kind: int
    token: int
    body: bytes


def pack(kind: Kind, token: int, body: bytes = b"") -> bytes:
    """The bytes of one frame."""
    return HEADER.pack(kind, token, len(body)) + body


class FrameBuffer:
    """Turns a stream of bytes into frames, whatever pieces it arrives in."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add `data` and yield every frame that is now whole.

        Raises:
            FrameError: If a header makes no sense.
        """
        buffer = self._data
        buffer += data
        start, end = 0, len(buffer)
        try:
            while end - start >= HEADER.size:
                kind, token, length = HEADER.unpack_from(buffer, start)
                if length < 0 or kind not in _KINDS:
                    raise FrameError(f"frame of kind {kind} with length {length}")
                stop = start + HEADER.size + length
                if stop > end:
                    break
                body = bytes(memoryview(buffer)[start + HEADER.size : stop])
                start = stop
                yield Frame(kind, token, body)
        finally:
            del buffer[:start]
