"""Which pipes of executors the agent's loop waits for."""

from __future__ import annotations

import contextlib
import selectors

from pydoredis.worker.executor_handle import ExecutorHandle


class PipeWatch:
    """Has a selector name executors, by their handles, when their pipes can be read or written.

    Args:
        selector: The loop's.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector

    def begin(self, handle: ExecutorHandle) -> None:
        """Wait for what an executor says and prints."""
        self._selector.register(handle.answer_fd, selectors.EVENT_READ, handle)
        self._selector.register(handle.output.pipe, selectors.EVENT_READ, handle)

    def writing(self, handle: ExecutorHandle) -> None:
        """Wait until its pipe takes more, if there is more; else do not."""
        if handle.task_fd < 0:
            return
        registered = handle.task_fd in self._selector.get_map()
        if handle.wants_to_write and not registered:
            self._selector.register(handle.task_fd, selectors.EVENT_WRITE, handle)
        elif registered and not handle.wants_to_write:
            self._selector.unregister(handle.task_fd)

    def end(self, handle: ExecutorHandle) -> None:
        """Wait for none of its pipes any more."""
        self.end_answers(handle)
        self.end_output(handle)
        self.end_tasks(handle)

    def end_answers(self, handle: ExecutorHandle) -> None:
        """It says nothing any more."""
        self._unregister(handle.answer_fd)

    def end_output(self, handle: ExecutorHandle) -> None:
        """Nothing is printed any more."""
        self._unregister(handle.output.pipe.fileno())

    def end_tasks(self, handle: ExecutorHandle) -> None:
        """Nothing is written to it any more."""
        self._unregister(handle.task_fd)

    def _unregister(self, fd: int) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(fd)
