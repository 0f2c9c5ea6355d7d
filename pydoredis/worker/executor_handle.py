"""One executor process as its agent sees it: pipes for tasks, for answers, for what it prints."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections import deque
from collections.abc import Iterator

from pydoredis.protocol.messages import Codec
from pydoredis.worker import engines
from pydoredis.worker.frame_streams import FrameBuffer
from pydoredis.worker.frames import (
    Answer,
    FrameError,
    FromExecutor,
    Interrupted,
    Kind,
    Partial,
    Ready,
    decode,
)
from pydoredis.worker.process import Process
from pydoredis.worker.run import Run
from pydoredis.worker.task_output import OutputLine, TaskOutput
from pydoredis.worker.task_pipe import TaskPipe

INTERRUPT_GRACE_S = 2.0
"""How long a body may take to end, and to tidy up, after its job was cancelled."""

_LAST_MOMENTS_S = 0.5
_PIPE_SIZE = 1 << 20
_MOST_READS = 64
"""More than are needed for what a pipe holds."""

_F_SETPIPE_SZ = 1031  # Linux; fcntl names it only from Python 3.10 on some builds


class ExecutorHandle:
    """Starts one executor process and talks to it without ever blocking.

    Attributes:
        codec: What it can run.
        process: The process.
        ready: What it said of itself once it was ready; None before.
        output: What it prints.
        started_s: When (monotonic) it was started.
        head_since_s: Since when (monotonic) the running task runs.
        killed_for: Why we ended it, if we did.
        timed_out: Whether that was because of a time limit.
        broke_the_protocol: Whether it was because of what it sent.
        tasks_done: How many tasks it has answered.
        tasks_looked_at: How many it had when somebody looked whether it should go on (`Crew.retire_worn`).
        dismissed_s: Since when (monotonic) it may end; infinity before.
        retired_for: Why it is given no more tasks, if so: its successor has been started.
    """

    def __init__(self, codec: Codec, r_engine: engines.REngine, threads: int = 0) -> None:
        self.codec = codec
        self.ready: str | None = None
        self.output = TaskOutput()
        self.started_s = time.monotonic()
        self.head_since_s = self.started_s
        self.killed_for: str | None = None
        self.timed_out = False
        self.broke_the_protocol = False
        self.retired_for: str | None = None
        self.tasks_done = 0
        self.tasks_looked_at = 0
        self.dismissed_s = float("inf")
        self._stopping_since_s: float | None = None  # since when its running task is to be stopped
        self._interrupted = False  # whether a SIGINT was sent for that
        self._frames = FrameBuffer()
        self._place_seen: int | None = None
        self._place_seen_s = self.started_s
        their_in, task_fd = os.pipe()
        self.answer_fd, their_out = os.pipe()
        self.tasks = TaskPipe(task_fd)
        for fd in (task_fd, self.answer_fd):
            # Big values in fewer pieces; a limit for pipes may forbid it, and the default works.
            with contextlib.suppress(OSError):
                fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_SIZE)
        printed = self.output.pipe.theirs
        theirs = engines.Descriptors(their_in, their_out, printed, self.tasks.starts.theirs)
        command, environment = engines.command(codec, r_engine, theirs, threads=threads)
        try:
            self.process = Process(command, environment, printed, theirs)
        finally:
            for fd in theirs:
                os.close(fd)
        for fd in (task_fd, self.answer_fd):
            os.set_blocking(fd, False)
        self.tasks.post(Kind.CUT, 0, body=self.output.pipe.cut)
        self.tasks.flush()

    @property
    def pid(self) -> int:
        """The executor's process number."""
        return self.process.pid

    @property
    def runs(self) -> deque[Run]:
        """Tasks in its pipe, the running one first."""
        return self.tasks.runs

    # --- to the executor ----------------------------------------------------------------------------------

    def send(self, run: Run) -> None:
        """Line up a task for the executor, its environment before it if it is new; `flush` sends it."""
        if not self.runs:
            self.head_since_s = time.monotonic()
        number = self.tasks.next_number()
        self.tasks.send(run, number, self.output.expect(number, run.claim, len(self.runs)))

    def recall(self, first: Run | None = None) -> list[Run]:
        """Take back the tasks that were not begun, in one step, whatever the executor does meanwhile.

        An executor that has taken wrong tokens is killed, and nothing comes back before its death.

        Args:
            first: Leave those before this one where they are; it need not be one that was not begun.

        Returns:
            The tasks, in their order. The executor will not run them.
        """
        try:
            recalled = self.tasks.recall(first)
        except FrameError as error:
            self.break_off(error)
            return []
        self.output.withdraw(recalled)
        return list(recalled.values())

    def answer(self, number: int, status: Answer, value: bytes) -> None:
        """Answer a request of the running body."""
        self.tasks.answer(number, status, value)

    def forget(self, job: int) -> None:
        """Have it let go of a job environment, unless a task in its pipe needs that."""
        self.tasks.forget(job)

    @property
    def task_fd(self) -> int:
        """Where frames are written; -1 once that is closed."""
        return self.tasks.fd

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait until the pipe takes them."""
        return self.tasks.wants_to_write

    def flush(self) -> None:
        """Write what the pipe takes."""
        self.tasks.flush()

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

    def greeted(self, ready: Ready) -> None:
        """It says that it is ready.

        Raises:
            FrameError: If it said so before.
        """
        if self.ready is not None:
            raise FrameError("it is ready for the second time")
        self.ready = ready.engine

    def keep(self, part: Partial) -> None:
        """Some iterations of the running task are finished.

        Raises:
            FrameError: If it is not this task that runs, or these cannot be the next of its iterations.
        """
        run = self.tasks.running(part.task)
        if not run.finished < part.finished <= len(run.claim.task.iterations):
            raise FrameError(f"{part.finished} iterations of task {part.task} finished after {run.finished}")
        run.keep(part.finished, part.values)

    def finish(self, number: int) -> Run:
        """The task with this number, the first in the pipe, was answered.

        Raises:
            FrameError: If it is not the first.
        """
        run = self.tasks.finish(number)
        self.head_since_s = time.monotonic()
        self.tasks_done += 1
        self._stopping_since_s = None
        self._interrupted = False
        return run

    def dropped(self, interrupted: Interrupted) -> Run:
        """The first task in the pipe was interrupted.

        Raises:
            FrameError: If this is not the first, or it has no such iteration.
        """
        iterations = self.tasks.running(interrupted.task).claim.task.iterations
        if interrupted.index not in range(len(iterations)):
            raise FrameError(f"iteration {interrupted.index} of task {interrupted.task}, which has none")
        return self.finish(interrupted.task)

    # --- where it is, and what it prints ------------------------------------------------------------------

    def iteration_since_s(self, now_s: float) -> float:
        """Since when (monotonic) the running iteration has been seen running, by this method."""
        place = self.output.pipe.place
        if place != self._place_seen or self._place_seen_s < self.head_since_s:
            self._place_seen, self._place_seen_s = place, now_s
        return self._place_seen_s

    @property
    def iteration(self) -> int | None:
        """Which iteration of the first task is at work, or was when the process ended; None: none of them."""
        return self.output.iteration(self._head)

    @property
    def _head(self) -> int | None:
        return self.tasks.numbers[0] if self.tasks.numbers else None

    def printed(self) -> Iterator[OutputLine]:
        """Every whole line that was printed since the last call."""
        head = self._head if self.ready else None
        yield from self.output.lines(head)
        if self.died():
            yield from self.output.rest(head)

    # --- its end ------------------------------------------------------------------------------------------

    @property
    def is_free(self) -> bool:
        """Whether it may be given one more task, as far as that is for itself to say."""
        return bool(self.ready) and not self.killed_for and not self.is_cancelled

    @property
    def is_cancelled(self) -> bool:
        """Whether its running task belongs to a job that was cancelled."""
        return bool(self.runs) and self.runs[0].claim.cancelled

    @property
    def patience_s(self) -> float:
        """Until when (monotonic) its cancelled task may still end; infinity if it has none."""
        if not self.is_cancelled or self.killed_for:
            return float("inf")
        return (self._stopping_since_s or 0.0) + INTERRUPT_GRACE_S

    def stop(self, now_s: float) -> list[Run]:
        """Have it drop its running task, which was cancelled: by SIGINT; if that does not help, by SIGKILL.

        Tasks behind it are recalled first: the signal may come when the task has just ended, and must not
        meet another one. A frame after it says that it is over.

        Returns:
            The tasks that were recalled.
        """
        recalled = self.recall()
        if not self.is_cancelled or self.killed_for:
            return recalled  # it was not begun
        if self._stopping_since_s is None:
            self._stopping_since_s = now_s
        if now_s >= self.patience_s:
            self.kill("its job was cancelled")
        elif not self._interrupted and len(self.runs) == 1:  # else its answer is on the way
            self._interrupted = True
            self.process.interrupt()
            self.tasks.post(Kind.BARRIER, 0)
            self.flush()
        return recalled

    def kill(self, reason: str) -> None:
        """End the process now; `reason` is what its death will be put down to."""
        self.killed_for = reason
        self.process.kill()

    def break_off(self, error: FrameError) -> None:
        """End it: nothing that it says can be trusted."""
        self.broke_the_protocol = True
        self.kill(f"broke the frame protocol: {error}")

    def died(self) -> bool:
        """Whether the process has ended."""
        return self.process.ended()

    def hung_up(self) -> None:
        """Nobody is left who could answer: it ends, or it is ended."""
        # A process that dies has given up its memory before it closes its pipes, so the rest takes no time.
        if not self.process.wait(_LAST_MOMENTS_S):
            self.kill("closed its pipe to the agent")
            self.process.wait(float("inf"))

    def obituary(self) -> str:
        """Why it died: what the agent did, or signal or exit status and peak memory; then its last lines."""
        cause = self.killed_for or self.process.cause_of_death()
        shown = self.output.last_words(self._head)
        return f"{cause}; its last output: {shown}" if shown else cause

    def dismiss(self) -> None:
        """Let it finish what is in its pipe and end: the agent's side of the pipe is closed."""
        if self.task_fd >= 0:
            self.dismissed_s = time.monotonic()
        self.tasks.dismiss()

    def close(self) -> None:
        """Close the pipes of a process that has ended."""
        self.dismiss()
        self.tasks.close()
        os.close(self.answer_fd)
        self.output.close()
