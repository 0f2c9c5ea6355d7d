"""What an executor says to its agent, taken out of its frames (`worker.frames`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from pydoredis.worker.frames import REQUEST_HEAD, Bytes, Frame, FrameError, Kind, LoopNews, Operation


@dataclass(frozen=True, slots=True)
class Ready:
    """The executor can be given tasks; `engine` is a line for people."""

    engine: str


class Result(NamedTuple):
    """A task was run in so many seconds; `message` is ready to be published."""

    task: int
    seconds: float
    message: Bytes


@dataclass(frozen=True, slots=True)
class Partial:
    """So many iterations of the running task are finished; `values` are those that were not sent before."""

    task: int
    finished: int
    values: Bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no result of a task, and why: the message cannot be read, or the like."""

    task: int
    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """SIGINT came while the body of the iteration at `index` (from 0) ran: the task is given up."""

    task: int
    index: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """The executor has read, or mapped, the file of the job environment with this number."""

    job: int


@dataclass(frozen=True, slots=True)
class Loop:
    """About a loop inside of this task's body; `queue` and `job` are empty where it is about the body."""

    task: int
    news: LoopNews
    queue: str = ""
    job: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """The running body asks for a value in Redis; `number` is for the answer."""

    number: int
    operation: Operation
    key: bytes
    value: bytes


FromExecutor: TypeAlias = "Ready | Result | Partial | Failed | Interrupted | Loaded | Loop | Request"


def decode(frame: Frame) -> FromExecutor:
    """What an executor says with a frame.

    Whether it fits what the executor has been given is not looked at here (`ExecutorHandle`).

    Raises:
        FrameError: If executors send no such frame, or it holds what makes no sense. Nothing else is raised,
            whatever the frame holds.
    """
    decoder = _DECODERS.get(frame.kind)
    if decoder is None:
        raise FrameError(f"frame of kind {frame.kind}, which executors do not send")
    return decoder(frame)


def _ready(frame: Frame) -> Ready:
    return Ready(_text(frame.body))


def _result(frame: Frame) -> Result:
    (seconds,) = frame.head
    if not math.isfinite(seconds):
        raise FrameError(f"task {frame.token} took {seconds} s")
    # R has no other clock than the time of day, which somebody may have put back meanwhile.
    return Result(frame.token, max(0.0, seconds), frame.body)


def _partial(frame: Frame) -> Partial:
    (finished,) = frame.head
    return Partial(frame.token, finished, frame.body)


def _failed(frame: Frame) -> Failed:
    return Failed(frame.token, _text(frame.body))


def _interrupted(frame: Frame) -> Interrupted:
    (index,) = frame.head
    return Interrupted(frame.token, index)


def _loaded(frame: Frame) -> Loaded:
    return Loaded(frame.token)


def _loop(frame: Frame) -> Loop:
    try:
        news = LoopNews(frame.head[0])
    except ValueError:
        raise FrameError(f"news {frame.head[0]!r} of a loop") from None
    queue, _, job = _text(frame.body).partition("\0")
    return Loop(frame.token, news, queue, job)


def _request(frame: Frame) -> Request:
    body = frame.body
    start = 1 + REQUEST_HEAD.size
    if len(body) < start:
        raise FrameError(f"request of {len(body)} bytes")
    (length,) = REQUEST_HEAD.unpack_from(body, 1)
    operation = _OPERATIONS.get(body[0])
    if operation is None or not 0 <= length <= len(body) - start:
        raise FrameError(f"request {bytes(body[:1])!r} with a key of {length} bytes, {len(body)} in all")
    value = memoryview(body)[start + length :]
    return Request(frame.token, operation, bytes(body[start : start + length]), bytes(value))


def _text(body: Bytes) -> str:
    return body.decode("utf-8", "replace")


_OPERATIONS: Final = {operation.value[0]: operation for operation in Operation}
_DECODERS: Final[Mapping[int, Callable[[Frame], FromExecutor]]] = {
    Kind.READY.value: _ready,
    Kind.RESULT.value: _result,
    Kind.PARTIAL.value: _partial,
    Kind.FAILED.value: _failed,
    Kind.INTERRUPTED.value: _interrupted,
    Kind.LOADED.value: _loaded,
    Kind.LOOP.value: _loop,
    Kind.REQUEST.value: _request,
}
