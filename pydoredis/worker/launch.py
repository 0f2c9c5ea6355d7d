"""Starts executor processes, each with the pipes between it and the agent.

This module imports little: an agent starts its first executors with it, and loads the rest of itself while
they load theirs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import deque
from typing import NamedTuple

from pydoredis.protocol.messages import Codec
from pydoredis.worker import engines
from pydoredis.worker.output import Output
from pydoredis.worker.process import Process
from pydoredis.worker.starts import Ends, open_ends

_PIPE_SIZE = 1 << 20

_F_SETPIPE_SZ = 1031  # Linux; fcntl names it only from Python 3.10 on some builds

_LAST_MOMENTS_S = 5.0
"""How long a process that was killed may take to end."""


class Launched(NamedTuple):
    """A process that was started, and the agent's ends of its pipes.

    Attributes:
        process: The process.
        task_fd: Where frames are written to it.
        answer_fd: Where frames are read from it.
        output: What it prints.
        starts: Which tasks it may begin.
    """

    process: Process
    task_fd: int
    answer_fd: int
    output: Output
    starts: Ends


class Launcher:
    """Starts executors, some of them before they are wanted.

    Args:
        r_engine: How R runs.
        threads: How many threads libraries may use in each; 0 for as many as they like.
    """

    def __init__(self, r_engine: engines.REngine, threads: int = 0) -> None:
        self._r_engine: engines.REngine = r_engine
        self._threads = threads
        self._ahead: dict[Codec, deque[Launched]] = {}

    def start_ahead(self, codec: Codec, number: int) -> None:
        """Start executors that `launch` will give out. Where that fails, `launch` says why."""
        with contextlib.suppress(OSError):
            for _ in range(number):
                self._ahead.setdefault(codec, deque()).append(self._start(codec))

    def launch(self, codec: Codec) -> Launched:
        """An executor: one that was started ahead, or else a new one.

        Raises:
            OSError: If no process can be started.
        """
        ahead = self._ahead.get(codec)
        return ahead.popleft() if ahead else self._start(codec)

    def change_r_engine(self, r_engine: engines.REngine) -> None:
        """R runs in another way than it was thought: R executors that were started ahead are ended."""
        if r_engine != self._r_engine:
            self._r_engine = r_engine
            self._end(self._ahead.pop("r", deque()))

    def close(self) -> None:
        """End those that nobody wanted."""
        for ahead in self._ahead.values():
            self._end(ahead)
        self._ahead.clear()

    def _start(self, codec: Codec) -> Launched:
        output, starts = Output(), open_ends()
        their_in, task_fd = os.pipe()
        answer_fd, their_out = os.pipe()
        for fd in (task_fd, answer_fd):
            # Big values in fewer pieces; a limit for pipes may forbid it, and the default works.
            with contextlib.suppress(OSError):
                fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_SIZE)
        theirs = engines.Descriptors(their_in, their_out, output.theirs, starts.theirs)
        command, environment = engines.command(codec, self._r_engine, theirs, threads=self._threads)
        passed = {*theirs, output.times}
        try:
            process = Process(command, environment, output.theirs, [*passed])
        finally:
            for fd in passed:
                os.close(fd)
        for fd in (task_fd, answer_fd):
            os.set_blocking(fd, False)
        return Launched(process, task_fd, answer_fd, output, starts)

    @staticmethod
    def _end(unwanted: deque[Launched]) -> None:
        for each in unwanted:
            each.process.kill()
        for each in unwanted:
            each.process.wait(_LAST_MOMENTS_S)
            for fd in (each.task_fd, each.answer_fd, each.starts.reading, each.starts.writing):
                os.close(fd)
            each.output.close()
