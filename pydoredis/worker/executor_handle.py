"""One executor process as its agent sees it: pipes for tasks, for answers, for what it prints."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import Codec
from pydoredis.worker.answers import (
    Failed,
    FromExecutor,
    Interrupted,
    Loaded,
    Loop,
    Partial,
    Ready,
    Result,
    decode,
)
from pydoredis.worker.core import events
from pydoredis.worker.core.lease import Lease
from pydoredis.worker.environment_files import EnvironmentFiles
from pydoredis.worker.frame_streams import FrameBuffer
from pydoredis.worker.frames import Answer, FrameError, Kind, LoopNews
from pydoredis.worker.launch import Launcher
from pydoredis.worker.task_output import OutputLine, TaskOutput
from pydoredis.worker.task_pipe import TaskPipe

_MOST_READS = 64
"""More than are needed for what a pipe holds."""


@dataclass(frozen=True)
class Setup:
    """How the executors of an agent are started.

    Attributes:
        launcher: Starts their processes.
        here: Tells those of Python bodies where their tasks come from.
        files: Large job environments, for all of them.
    """

    launcher: Launcher
    here: Callable[[QueueKeys], bytes] | None = None
    files: EnvironmentFiles = field(default_factory=EnvironmentFiles)


class ExecutorHandle:
    """Starts one executor process and talks to it without ever blocking.

    Attributes:
        number: What the core calls it by.
        output: What it prints.
        process: The process.
        killed_for: Why we ended it, if we did.

    Args:
        number: What the core calls it by.
        codec: What it is to run.
        setup: How it is started.

    Raises:
        OSError: If no process can be started.
    """

    def __init__(self, number: int, codec: Codec, setup: Setup) -> None:
        launched = setup.launcher.launch(codec)
        self.number = number
        self.process = launched.process
        self.output = TaskOutput(launched.output)
        self.answer_fd = launched.answer_fd
        self.killed_for: str | None = None
        self._ready = False
        self._frames = FrameBuffer()
        self._place_seen: int | None = None
        self._place_seen_s = time.monotonic()
        here = setup.here if codec == "cloudpickle" else None
        self._tasks = TaskPipe(launched.task_fd, launched.starts, setup.files, here)
        self._tasks.post(Kind.CUT, self.output.pipe.times, body=self.output.pipe.cut)
        self._tasks.flush()

    @property
    def pid(self) -> int:
        """The executor's process number."""
        return self.process.pid

    @property
    def leases(self) -> Sequence[Lease]:
        """Tasks in its pipe, the running one first."""
        return self._tasks.leases

    # --- to the executor ----------------------------------------------------------------------------------

    def send(self, lease: Lease) -> None:
        """Line up a task for the executor; `flush` sends it."""
        number = self._tasks.next_number()
        self._tasks.send(lease, number, self.output.expect(number, lease, len(self._tasks.leases)))

    def recall(self) -> list[Lease]:
        """Take back the tasks that were not begun, in one step, whatever the executor does meanwhile.

        Returns:
            The tasks, in their order. The executor will not run them.

        Raises:
            FrameError: If the executor has not taken tokens as it should.
        """
        recalled = self._tasks.recall()
        self.output.withdraw(recalled)
        return list(recalled.values())

    def answer(self, number: int, status: Answer, value: bytes) -> None:
        """Answer a request of the running body."""
        self._tasks.answer(number, status, value)

    def forget(self, job: int) -> None:
        """Have it let go of a job environment, unless a task in its pipe needs that."""
        self._tasks.forget(job)

    @property
    def task_fd(self) -> int:
        """Where frames are written; -1 once that is closed."""
        return self._tasks.fd

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait until the pipe takes them."""
        return self._tasks.wants_to_write

    def flush(self) -> None:
        """Write what the pipe takes."""
        self._tasks.flush()

    # --- from the executor --------------------------------------------------------------------------------

    def answers(self) -> Iterator[FromExecutor]:
        """What has arrived; at most about what a pipe holds, so that who writes without end does not keep us.

        Raises:
            FrameError: If what arrived is no frame that executors send.
            EOFError: After the last frame, if the executor has closed its end.
        """
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MOST_READS):
                yield from map(decode, self._frames.read(self.answer_fd))

    def accept(self, answer: FromExecutor) -> events.Event | None:
        """Take note of an answer; returns what the core is to know of it, if anything.

        Raises:
            FrameError: If it does not fit what the executor has been given.
        """
        if isinstance(answer, Result):  # most are: this takes less time than a match
            lease = self._tasks.finish(answer.task)
            return events.Finished(self.number, lease.number, answer.seconds, answer.message)
        match answer:
            case Partial(number, finished, values):
                lease = self._tasks.running(number)
                if not 0 < finished <= len(lease.task.iterations):
                    raise FrameError(f"{finished} iterations of task {number} finished")
                return events.Partly(self.number, lease.number, finished, values)
            case Failed(number, reason):
                return events.NotRun(self.number, self._tasks.finish(number).number, reason)
            case Interrupted(number, index):
                if index not in range(len(self._tasks.running(number).task.iterations)):
                    raise FrameError(f"iteration {index} of task {number}, which has none")
                return events.Interrupted(self.number, self._tasks.finish(number).number, index)
            case Ready(engine):
                if self._ready:
                    raise FrameError("it is ready for the second time")
                self._ready = True
                return events.Ready(self.number, engine)
            case Loop(number, news, queue, job):
                if number == self._head:  # else a thread that a body has left behind says so
                    return _loop_event(self.number, news, queue, job)
            case Loaded():
                self._tasks.loaded()
        return None  # a request is answered by others

    # --- where it is, and what it prints ------------------------------------------------------------------

    def place_since_s(self) -> float:
        """Since when (monotonic) it has been seen at the iteration where it is, by this method."""
        place = self.output.pipe.place
        if place != self._place_seen:
            self._place_seen, self._place_seen_s = place, time.monotonic()
        return self._place_seen_s

    @property
    def iteration(self) -> int | None:
        """Which iteration of the first task is at work, or was when the process ended; None: none of them."""
        return self.output.iteration(self._head)

    @property
    def _head(self) -> int | None:
        return self._tasks.numbers[0] if self._tasks.numbers else None

    def printed(self) -> Iterator[OutputLine]:
        """Every whole line that was printed since the last call."""
        head = self._head if self._ready else None
        yield from self.output.lines(head)
        if self.died():
            yield from self.output.rest(head)

    # --- its end ------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Send it SIGINT for what it runs. A frame after it says that it is over, should it come too late."""
        self.process.interrupt()
        self._tasks.post(Kind.BARRIER, 0)
        self.flush()

    def kill(self, reason: str) -> None:
        """End the process now; the first `reason` is what its death will be put down to."""
        if self.killed_for is None:
            self.killed_for = reason
        self.process.kill()

    def died(self) -> bool:
        """Whether the process has ended."""
        return self.process.ended()

    def obituary(self) -> str:
        """Why it died: what the agent did, or signal or exit status and peak memory; then its last lines."""
        cause = self.killed_for or self.process.cause_of_death()
        shown = self.output.last_words(self._head)
        return f"{cause}; its last output: {shown}" if shown else cause

    def dismiss(self) -> None:
        """Let it finish what is in its pipe and end: the agent's side of the pipe is closed."""
        self._tasks.dismiss()

    def close(self) -> None:
        """Close the pipes of a process that has ended."""
        self._tasks.close()
        os.close(self.answer_fd)
        self.output.close()


def _loop_event(executor: int, news: LoopNews, queue: str, job: str) -> events.Event:
    if news in (LoopNews.WAITS, LoopNews.GOES_ON):
        return events.Waits(executor, news is LoopNews.WAITS)
    return events.InnerJob(executor, queue, job, news is LoopNews.BEGINS)
