"""What executors say and print, in order, as the core is to hear it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pydoredis.worker.answers import Failed, FromExecutor, Interrupted, Request, Result
from pydoredis.worker.core import events
from pydoredis.worker.executor_handle import ExecutorHandle
from pydoredis.worker.frames import FrameError
from pydoredis.worker.task_output import OutputLine
from pydoredis.worker.value_requests import ValueRequests

_ENDS: Final = (Result, Failed, Interrupted)
"""What says that a task has ended."""


class AnswerReader:
    """Reads an executor's pipes, as far as there is something in them.

    Args:
        values: Sees to the requests of bodies.
        printed: Called with each line that executors print.
    """

    def __init__(self, values: ValueRequests, printed: Callable[[OutputLine], None]) -> None:
        self._values = values
        self._printed = printed

    def read(self, handle: ExecutorHandle) -> tuple[list[events.Event], EOFError | FrameError | None]:
        """What an executor says, and why nothing it says after that counts, if it does not."""
        answers: list[FromExecutor] = []
        broken: EOFError | FrameError | None = None
        try:
            for answer in handle.answers():
                answers.append(answer)  # noqa: PERF402 - what came before an error counts
        except (EOFError, FrameError) as error:
            broken = error
        # In this order: what a body printed is in the pipe before its answer is.
        self.print_rest(handle)
        happened: list[events.Event] = []
        try:
            for answer in answers:
                event = self._accept(handle, answer)
                if event is not None:
                    happened.append(event)
        except FrameError as error:
            broken = error
        return happened, broken

    def print_rest(self, handle: ExecutorHandle) -> None:
        """Hand on the lines that an executor has printed."""
        for line in handle.printed():
            self._printed(line)

    def _accept(self, handle: ExecutorHandle, answer: FromExecutor) -> events.Event | None:
        """What an answer means to the core.

        Raises:
            FrameError: If it does not fit what the executor has been given.
        """
        if isinstance(answer, _ENDS):
            for line in handle.output.end_of_task(answer.task):
                self._printed(line)
        elif isinstance(answer, Request):
            self._values.ask(handle.number, answer)
        return handle.accept(answer)
