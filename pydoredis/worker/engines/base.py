"""What an engine is: the part of an executor that runs tasks of one codec."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from pydoredis.worker.frames import Bytes

Ask = Callable[[bytes], "tuple[bytes, Bytes]"]
"""The body of a REQUEST in, head and body of the agent's ANSWER out; an empty head if the agent is gone."""

Stored: TypeAlias = "Bytes | mmap.mmap"
"""A job environment: a mapping is this process's own, and may be written to."""

Keep = Callable[[int, bytes], None]
"""Sends the agent a PARTIAL of the running task: how many iterations are finished; values of some of them."""

KEEP_AFTER_S = 0.05
"""Seconds of work that are worth a PARTIAL frame: cheap iterations pay nothing for it."""

KEEP_SHARE = 10
"""And so many times what the last PARTIAL frame took to make: big values pay a tenth at most."""


def keep_nothing(_: int, __: bytes) -> None:
    """Where nobody would make use of a part of a task."""


class TaskRefused(Exception):  # noqa: N818 - the agent's word for it
    """A message can't be read, so that there is no result; the text says why. Never the body's doing."""


class TaskInterrupted(KeyboardInterrupt):
    """SIGINT came while the body of the iteration `index` (from 0) ran; the task is given up."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index


class Engine(Protocol):
    """Runs the tasks of any number of jobs, one at a time, in the process's main thread."""

    @property
    def name(self) -> str:
        """One line for people: what runs the tasks, with versions."""
        ...

    def load(self, number: int, data: Stored) -> None:
        """Keep a job environment, in the form it has in Redis, for tasks to come. Never fails."""
        ...

    def forget(self, number: int) -> None:
        """Let a job environment go."""
        ...

    def watch_output(self, fd: int, cut: Bytes, times: int) -> None:
        """Say from now on, by the times of `times`, where we are; `cut` ends cuts in the output `fd`."""
        ...

    def run(
        self,
        number: int,
        payload: Bytes,
        verdicts: Mapping[int, str],
        kept: Sequence[tuple[int, Bytes]] = (),
        place: int = 1,
    ) -> bytes:
        """Run every iteration of a task, and send what is finished from time to time (`Keep`).

        Arguments:
            number: The job environment, loaded before.
            payload: The task message.
            verdicts: Iterations, by index from 0, that are not run: their value is an error of this class
                (first line) with this message (the rest).
            kept: From PARTIAL frames: what an executor that died had finished of this task.
            place: That of the task.

        Returns:
            The result message (protocol, section 3).

        Raises:
            TaskRefused: If there can be no result.
            TaskInterrupted: If SIGINT came while a body ran. At any other time it waits for the next body.
        """
        ...

    def forget_interrupt(self) -> None:
        """A SIGINT that waits for a body is not meant for those to come."""
        ...

    def close(self) -> None:
        """The agent is done: end the process with status 0, or return to let the caller do it."""
        ...
