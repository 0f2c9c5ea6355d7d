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
``ENV_FILE``      agent        number of the job environment; the path of a file that holds its bytes: for
                               large ones. Answered by ``LOADED`` once it is read or mapped.
``FORGET``        agent        number of a job environment that is no longer needed. Never answered.
``TASK``          agent        number of the task; int32 number of its job environment, int32 place of the
                               task (see below); the task message. Answered by ``RESULT``,
                               ``FAILED`` or ``INTERRUPTED``. Several may wait in the pipe. The executor
                               may run it only if it gets its token (see below).
``VERDICT``       agent        number of a task that follows; int32 index of an iteration from 0; two
                               lines of UTF-8 text, a class and a message: the iteration is not to be run, its
                               result is an error of that class with this message. Never answered.
``KEPT``          agent        number of a task that follows; head and body of a ``PARTIAL`` that another
                               executor sent of it before it died: those iterations are not run again. In the
                               order in which they were sent. Never answered.
``BARRIER``       agent        0. A SIGINT was sent before it, for the tasks before it: one that has
                               met none of their bodies is forgotten. Never answered.
``SKIP``          agent        a number as of a task. It has a token as tasks do, and nothing is to be done:
                               tasks before it whose tokens were taken back are passed over. Never answered.
``ANSWER``        agent        number of the request; a status byte (see `Answer`); a value or text.
``CUT``           agent        a descriptor of the executor's, whose times tell where it is; the end of what
                               separates the outputs of two places (see below). The first frame that the
                               agent sends. Never answered.
``HERE``          agent        0; a `pydoredis.hosting.Here` as JSON: where the tasks behind it come from.
                               Before the first one, and when that changes; to Python executors only, for
                               loops inside of bodies. Never answered.
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
``LOADED``        executor     number of the job environment: its file may go.
``LOOP``          executor     number of the running task; a byte, see `LoopNews`; for a job its queue and its
                               ID, with a zero byte between: about a loop inside of the body. Says nothing
                               if another task runs. Never answered.
``REQUEST``       executor     number of the request; see `Operation`. The task waits for ``ANSWER``;
                               frames that come in between are kept for later.
================  ===========  =========================================================================

Which tasks may be begun stands in *a pipe of tokens* (`pydoredis.worker.starts`). For each ``TASK`` the
agent writes the task's number there, 4 bytes, little-endian. An executor that has come to a ``TASK`` reads
one token, in one read of 4 bytes, unless it has one left. If the token is the number of the task, it runs
the task. If not, the agent has taken the task's token out of the pipe: the executor forgets the task and
the frames that came for it, and keeps the token for the next one. That is how the agent takes back, in one
step, what waits behind a task that is long. It then sends ``SKIP``, with a token: an executor that holds a
task without a token waits no longer than until that comes.

SIGINT interrupts the body that runs, or else the next one that does. The agent closing its end means: finish
what you have and exit with status 0.

Whatever the process writes to its standard output and error belongs to the user: the agent logs it. Both are
one named pipe, of which the executor has a descriptor of its own, too. Which iteration is at work stands in
*the times of that pipe*, never in what is written to it. The agent gives each task a place, a number: that is
where it is read; its iterations have the places behind it, in their order. When an executor reaches a place,
it sets both times of the pipe to it, as seconds. The time of access stays as it is then (the agent reads with
O_NOATIME), and tells the place, even of a process that has died. (Where there is no O_NOATIME, as on macOS,
a file beside the pipe has that time, too, and tells the place: the descriptor in ``CUT`` is that file's.) The
time of modification changes with every write, and tells the executor, before it goes on, whether something
was printed since. Then, and only then, it separates that from what is to come: it writes to the pipe, below
whatever a body may divert, the byte 0x1e, the place that it leaves, and the bytes of ``CUT``, which nobody
else knows.
"""

from __future__ import annotations

import enum
import struct
from typing import Any, NamedTuple, TypeAlias

MAX_PLACE = 2**30
"""Places are less than that: as seconds they are times long past, and every file system can keep them."""

CUT_BEGINS = b"\x1e"

LONGEST_TEXT = 1 << 20
"""Bytes of the text of a READY or FAILED frame; who has more to say cuts it off."""

REQUEST_HEAD = struct.Struct("<i")

TOKEN = struct.Struct("<i")
"""What is in the pipe of tokens."""

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
    SKIP = 9
    ENV_FILE = 10
    HERE = 11
    READY = 16
    RESULT = 17
    FAILED = 18
    REQUEST = 19
    PARTIAL = 20
    INTERRUPTED = 21
    LOADED = 22
    LOOP = 23


class Operation(bytes, enum.Enum):
    """First byte of the body of a REQUEST; an int32 follows, the length of the key, then key and value."""

    GET = b"G"  # ANSWER is VALUE with the bytes, or ABSENT
    SET = b"S"  # value = bytes to store; ANSWER is VALUE with an empty rest
    DELETE = b"D"  # ANSWER is VALUE with the decimal number of values that there were


class Answer(bytes, enum.Enum):
    """The head of an ANSWER."""

    VALUE = b"+"
    ABSENT = b"0"
    ERROR = b"-"  # the body is UTF-8 text


class LoopNews(bytes, enum.Enum):
    """The head of a LOOP."""

    BEGINS = b"+"  # a job is about to be submitted
    ENDED = b"-"  # it has ended, and its keys were removed
    WAITS = b"w"  # the body waits: somebody else may be at work
    GOES_ON = b"g"  # it is at work again


class FrameError(Exception):
    """The other side broke the frame protocol; nothing it sends from here on can be trusted."""


class Frame(NamedTuple):
    """One frame, taken apart. (A tuple: an agent makes thousands of them a second.)"""

    kind: int
    token: int
    head: tuple[Any, ...] = ()
    body: Bytes = b""
