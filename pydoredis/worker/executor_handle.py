"""One executor process as its agent sees it: pipes for tasks, for answers, for what it prints."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import OrderedDict, deque
from collections.abc import Iterator

from pydoredis.protocol.messages import Codec
from pydoredis.worker import engines
from pydoredis.worker.core.lease import Lease
from pydoredis.worker.executor_output import ExecutorOutput
from pydoredis.worker.frame_streams import FrameBuffer, Outgoing, pack
from pydoredis.worker.frames import (
    Answer,
    Bytes,
    Failed,
    FrameError,
    FromExecutor,
    Interrupted,
    Kind,
    Partial,
    Ready,
    Result,
    decode,
)
from pydoredis.worker.process import Process

KEPT_ENVIRONMENTS = 4
KEPT_BYTES = 128 * 1024 * 1024
"""How many job environments an executor keeps, and of what size together, least recently used out: several
jobs may alternate on a queue. Those that tasks in its pipe need stay in any case."""

_PIPE_SIZE = 1 << 20
_MOST_READS = 64
"""More than are needed for what a pipe holds."""

_F_SETPIPE_SZ = 1031  # Linux; fcntl names it only from Python 3.10 on some builds


class ExecutorHandle:
    """Starts one executor process and talks to it without ever blocking.

    Attributes:
        number: What the core calls it by.
        leases: Tasks in its pipe, the running one first.
        output: What it prints, and where it is.
        killed_for: Why we ended it, if we did.

    Args:
        number: What the core calls it by.
        codec: What it is to run.
        r_engine: How R runs.
        threads: How many threads libraries may use in it; 0 for as many as they like.

    Raises:
        OSError: If no process can be started.
    """

    def __init__(self, number: int, codec: Codec, r_engine: engines.REngine, threads: int = 0) -> None:
        self.number = number
        self.leases: deque[Lease] = deque()
        self.output = ExecutorOutput()
        self.killed_for: str | None = None
        self._ready = False
        self._frames = FrameBuffer()
        self._environments: OrderedDict[int, int] = OrderedDict()  # their sizes in bytes, by number
        self._outgoing = Outgoing()
        their_in, self.task_fd = os.pipe()
        self.answer_fd, their_out = os.pipe()
        for fd in (self.task_fd, self.answer_fd):
            # Big values in fewer pieces; a limit for pipes may forbid it, and the default works.
            with contextlib.suppress(OSError):
                fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_SIZE)
        theirs = (their_in, their_out, self.output.theirs)
        command, environment = engines.command(codec, r_engine, *theirs, threads=threads)
        try:
            self.process = Process(command, environment, self.output.theirs, theirs)
        finally:
            for fd in theirs:
                os.close(fd)
        for fd in (self.task_fd, self.answer_fd):
            os.set_blocking(fd, False)
        self._post(Kind.CUT, 0, body=self.output.cut)
        self.flush()

    @property
    def pid(self) -> int:
        """The executor's process number."""
        return self.process.pid

    # --- to the executor ----------------------------------------------------------------------------------

    def send(self, lease: Lease) -> None:
        """Line up a task for the executor, its environment before it if it is new; `flush` sends it."""
        job = lease.job
        assert job is not None
        if job.number in self._environments:
            self._environments.move_to_end(job.number)
        else:
            self._environments[job.number] = len(job.environment.payload)
            self._make_room(job.number)  # first: the executor need not have both at a time
            self._post(Kind.ENVIRONMENT, job.number, body=job.environment.payload)
        for iteration, verdict in lease.verdicts.items():
            index = lease.task.iterations.index(iteration)
            self._post(Kind.VERDICT, lease.number, index, body=verdict.encode())
        for finished, part in lease.kept:
            self._post(Kind.KEPT, lease.number, finished, body=part)
        place = self.output.give_place(lease, behind=len(self.leases))
        self.leases.append(lease)
        self._post(Kind.TASK, lease.number, job.number, place, body=lease.task.payload)

    def recall(self) -> list[int]:
        """Take back the tasks that it has not begun; returns their numbers."""
        return []

    def answer(self, number: int, status: Answer, value: Bytes) -> None:
        """Answer a request of the running body."""
        self._post(Kind.ANSWER, number, status.value, body=value)
        self.flush()

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait until the pipe takes them."""
        return bool(self._outgoing)

    def flush(self) -> None:
        """Write what the pipe takes."""
        if self.task_fd >= 0:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                self._outgoing.write(self.task_fd)

    def forget(self, job: int) -> None:
        """Have it let go of a job environment, unless a task in its pipe needs that."""
        needed = {lease.job.number for lease in self.leases if lease.job}
        if job in self._environments and job not in needed:
            del self._environments[job]
            self._post(Kind.FORGET, job)

    def _make_room(self, wanted: int) -> None:
        for number in list(self._environments):
            kept = self._environments.values()
            if len(kept) <= KEPT_ENVIRONMENTS and sum(kept) <= KEPT_BYTES:
                break
            if number != wanted:
                self.forget(number)

    def _post(self, kind: Kind, number: int, *head: object, body: Bytes = b"") -> None:
        self._outgoing.add(pack(kind, number, *head, body=body))

    # --- from the executor --------------------------------------------------------------------------------

    def answers(self) -> Iterator[FromExecutor]:
        """What has arrived; at most about what a pipe holds, so that who writes without end does not keep us.

        Each answer fits the tasks that the executor has been given.

        Raises:
            FrameError: If what arrived is no frame that executors send, or answers what was not asked.
            EOFError: After the last frame, if the executor has closed its end.
        """
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MOST_READS):
                for frame in self._frames.read(self.answer_fd):
                    answer = decode(frame)
                    self._check(answer)
                    yield answer

    def _check(self, answer: FromExecutor) -> None:
        """Note what an answer means for the pipe.

        Raises:
            FrameError: If it does not fit.
        """
        match answer:
            case Ready():
                if self._ready:
                    raise FrameError("it is ready for the second time")
                self._ready = True
            case Partial(task, finished):
                lease = self._running(task)
                if not lease.finished < finished <= len(lease.task.iterations):
                    text = f"{finished} iterations of task {task} finished after {lease.finished}"
                    raise FrameError(text)
            case Interrupted(task, index):
                if index not in range(len(self._running(task).task.iterations)):
                    raise FrameError(f"iteration {index} of task {task}, which has none")
                self.leases.popleft()
            case Result(task) | Failed(task):
                self._running(task)
                self.leases.popleft()

    def _running(self, number: int) -> Lease:
        if not self.leases or self.leases[0].number != number:
            raise FrameError(f"answer for task {number}, which is not running")
        return self.leases[0]

    @property
    def iteration(self) -> int | None:
        """Which iteration of the first task is at work, or was when the process ended; None: none of them."""
        return self.output.iteration_of(self.leases[0].number) if self.leases else None

    # --- its end ------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Send it SIGINT for what it runs. A frame after it says that it is over, should it come too late."""
        self.process.interrupt()
        self._post(Kind.BARRIER, 0)
        self.flush()

    def kill(self, reason: str) -> None:
        """End the process now; `reason` is what its death will be put down to."""
        if self.killed_for is None:
            self.killed_for = reason
        self.process.kill()

    def died(self) -> bool:
        """Whether the process has ended."""
        return self.process.ended()

    def obituary(self) -> str:
        """Why it died: what the agent did, or signal or exit status and peak memory; then its last lines."""
        cause = self.killed_for or self.process.cause_of_death()
        shown = self.output.last_words(self.leases[0].number if self.leases else None)
        return f"{cause}; its last output: {' | '.join(shown)}" if shown else cause

    def dismiss(self) -> None:
        """Let it finish what is in its pipe and end: the agent's side of the pipe is closed."""
        if self.task_fd >= 0:
            os.close(self.task_fd)
            self.task_fd = -1

    def close(self) -> None:
        """Close the pipes of a process that has ended."""
        self.dismiss()
        os.close(self.answer_fd)
        self.output.close()
