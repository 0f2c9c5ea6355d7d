"""What the core is told: by executors, by the link to Redis, by the process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from pydoredis.protocol.agent_commands import Bytes
from pydoredis.worker.core.jobs import LoadedJob

# --- from executors ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hired:
    """The process of an executor was started."""

    executor: int
    pid: int


@dataclass(frozen=True, slots=True)
class HireFailed:
    """The process of an executor could not be started."""

    executor: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """An executor can be given tasks; `text` names its engine."""

    executor: int
    text: str


class Finished(NamedTuple):
    """The first task in an executor's pipe was answered, after so many seconds."""

    executor: int
    task: int
    seconds: float
    result: Bytes


@dataclass(frozen=True, slots=True)
class Partly:
    """The results of `finished` iterations of the running task are there; `part` are those that are new."""

    executor: int
    task: int
    finished: int
    part: Bytes


@dataclass(frozen=True, slots=True)
class NotRun:
    """An executor could not run its first task: not the body's doing."""

    executor: int
    task: int
    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """SIGINT ended an iteration (index from 0) of the first task in an executor's pipe."""

    executor: int
    task: int
    index: int


@dataclass(frozen=True, slots=True)
class Waits:
    """The running body waits for loops of its own; or (`on` is false) it is at work again."""

    executor: int
    on: bool


@dataclass(frozen=True, slots=True)
class InnerJob:
    """The running body is about to begin a job on one of our queues; or (`open` is false) has ended it."""

    executor: int
    queue: str
    job: str
    open: bool


@dataclass(frozen=True, slots=True)
class Recalled:
    """These tasks were taken back out of an executor's pipe: it will not begin them."""

    executor: int
    tasks: Sequence[int]


@dataclass(frozen=True, slots=True)
class Place:
    """An answer to `Look`: since when (monotonic) the running iteration has been seen running."""

    executor: int
    since_s: float


@dataclass(frozen=True, slots=True)
class Memory:
    """An answer to `Weigh`: how much memory an executor has, in bytes."""

    executor: int
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class NotKept:
    """There is no room for the environment of a job, whose first bytes were to be kept."""

    job: LoadedJob
    reason: str


@dataclass(frozen=True, slots=True)
class Died:
    """The process of an executor has ended, or is as good as ended.

    Attributes:
        executor: Which one.
        cause: What it died of, and its last output.
        iteration: Number of the iteration that was running; None: none, or it is not known.
        status: Exit status; None if it is not known.
        output: Its last output, whole.
    """

    executor: int
    cause: str
    iteration: int | None
    status: int | None
    output: str


# --- from the link ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connected:
    """There is a connection to Redis.

    Attributes:
        run_id: Names this run of the server.
        tracking: Whether the server will tell when keys change that were read.
    """

    run_id: str
    tracking: bool


@dataclass(frozen=True, slots=True)
class Replied:
    """The reply to each command of a request: a value as its type says, or a `RefusedError`."""

    request: int
    replies: Sequence[object]


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no connection, or none any more; what was under way may have been done or not."""

    reason: str


@dataclass(frozen=True, slots=True)
class Changed:
    """Keys that were read have changed. None: perhaps all of them."""

    keys: Sequence[str] | None


# --- from the process -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signalled:
    """SIGTERM or SIGINT came."""

    number: int


Event: TypeAlias = (
    "Hired | HireFailed | Ready | Finished | Partly | NotRun | Interrupted | Waits | InnerJob | Recalled"
    " | Place | Memory | NotKept | Died | Connected | Replied | Lost | Changed | Signalled"
)
