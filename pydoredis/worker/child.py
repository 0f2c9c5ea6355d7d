"""One executor process as its agent sees it: pipes for tasks, for answers, for what it prints."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydoredis.protocol.messages import Codec, Verdict
from pydoredis.store import Claim
from pydoredis.worker import engines
from pydoredis.worker.frames import (
    OUTPUT_MARK,
    PARTIAL_HEAD,
    TASK_HEAD,
    VERDICT_HEAD,
    Frame,
    FrameBuffer,
    FrameError,
    Kind,
    pack,
)
from pydoredis.worker.jobs import Job
from pydoredis.worker.process import Process

_output_log = logging.getLogger("pydoredis.worker.output")

KEPT_ENVIRONMENTS = 4
"""Job environments that an executor keeps, least recently used out: several jobs may alternate on a queue."""

_READ_SIZE = 1 << 18
_PIPE_SIZE = 1 << 20
_KEPT_LINES = 40
_SHOWN_LINES = 5
_LONGEST_LINE = 8192
_LONGEST_MARK = 12  # a sign, ten digits, the mark

_LAST_WORDS = ("Fatal Python error", " *** caught ")
"""How Python's and R's reports of a crash begin: first what they were doing, then how it came to that."""

INTERRUPT_GRACE_S = 2.0
"""How long a body may take to end, and to tidy up, after its job was cancelled."""

_LAST_MOMENTS_S = 0.5
_F_SETPIPE_SZ = 1031  # Linux; fcntl names it only from Python 3.10 on some builds


@dataclass(eq=False)
class Run:
    """A task on its way through an executor.

    Attributes:
        number: What its frames carry.
        claim: The task.
        job: Its job.
        verdicts: Iterations (by number) that are not run any more, with the error that they get.
        kept: Bodies of PARTIAL frames: results of the first iterations, should the executor die.
        finished: Of how many iterations.
    """

    number: int
    claim: Claim
    job: Job
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    kept: list[bytes] = field(default_factory=list)
    finished: int = 0

    def keep(self, part: bytes) -> None:
        """An executor has finished some more iterations."""
        self.kept.append(part)
        (self.finished,) = PARTIAL_HEAD.unpack_from(part)

    def keep_nothing(self) -> None:
        """Start again from the first iteration."""
        self.kept.clear()
        self.finished = 0

    def may_run(self, iteration: int | None) -> bool:
        """Whether this is an iteration of the task that was still to be run."""
        return iteration in self.claim.task.iterations[self.finished :] and iteration not in self.verdicts


@dataclass(frozen=True, slots=True)
class OutputLine:
    """A line that a body printed, and the iteration that did (None outside of one)."""

    text: str
    run: Run | None
    iteration: int | None

    def log(self) -> None:
        """Write it to the log of what bodies print, with queue, job and iteration."""
        if self.run is None:
            _output_log.info("%s", self.text)
        else:
            claim = self.run.claim
            where = claim.block if self.iteration is None else self.iteration
            _output_log.info("[%s %s %s] %s", claim.keys.queue, claim.task.job, where, self.text)


class Child:
    """Starts one executor process and talks to it without ever blocking.

    Attributes:
        codec: What it can run.
        pid: Its process number.
        ready: What it said of itself once it was ready; None before.
        runs: Tasks in its pipe, the running one first.
        tail: The last lines it printed, for the report of its death.
        head_since_s: Since when (monotonic) the running task runs.
        killed_for: Why we ended it, if we did.
        tasks_done: How many tasks it has answered.
        tasks_looked_at: How many it had when somebody looked whether it should go on (`Crew.retire_worn`).
        dismissed_s: Since when (monotonic) it may end; infinity before.
        retired_for: Why it is given no more tasks, if so: its successor has been started.
        output_ended: Whether it closed its standard output and error.
    """

    def __init__(self, codec: Codec, r_engine: engines.REngine) -> None:
        self.codec = codec
        self.ready: str | None = None
        self.runs: deque[Run] = deque()
        self.tail: deque[str] = deque(maxlen=_KEPT_LINES)
        self.started_s = time.monotonic()
        self.head_since_s = self.started_s
        self.killed_for: str | None = None
        self.timed_out = False
        self.retired_for: str | None = None
        self.tasks_done = 0
        self.tasks_looked_at = 0
        self.dismissed_s = float("inf")
        self.output_ended = False
        self._stopping_since_s: float | None = None  # since when its running task is to be stopped
        self._interrupted = False  # whether a SIGINT is on its way to the tasks in its pipe
        self._frames = FrameBuffer()
        self._environments: OrderedDict[int, None] = OrderedDict()
        self._outgoing = bytearray()
        self._line = b""
        self._iteration: int | None = None
        their_in, self.task_fd = os.pipe()
        self.answer_fd, their_out = os.pipe()
        self.output_fd, their_print = os.pipe()
        for fd in (self.task_fd, self.answer_fd):
            # Big values in fewer pieces; a limit for pipes may forbid it, and the default works.
            with contextlib.suppress(OSError):
                fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_SIZE)
        command, environment = engines.command(codec, r_engine, their_in, their_out)
        try:
            self.process = Process(command, environment, their_print, (their_in, their_out))
        finally:
            for fd in (their_in, their_out, their_print):
                os.close(fd)
        for fd in (self.task_fd, self.answer_fd, self.output_fd):
            os.set_blocking(fd, False)

    @property
    def pid(self) -> int:
        """The executor's process number."""
        return self.process.pid

    # --- to the executor ----------------------------------------------------------------------------------

    def send(self, run: Run) -> None:
        """Line up a task for the executor, its environment before it if it is new; `flush` sends it."""
        number = run.job.number
        if number in self._environments:
            self._environments.move_to_end(number)
        else:
            self._environments[number] = None
            self._post(Kind.ENVIRONMENT, number, run.job.environment.payload)
            self._forget()
        for iteration, verdict in run.verdicts.items():
            index = run.claim.task.iterations.index(iteration)
            self._post(Kind.VERDICT, run.number, VERDICT_HEAD.pack(index) + verdict.encode())
        for part in run.kept:
            self._post(Kind.KEPT, run.number, part)
        if not self.runs:
            self.head_since_s = time.monotonic()
            self._iteration = None
        self.runs.append(run)
        self._post(Kind.TASK, run.number, TASK_HEAD.pack(number) + run.claim.task.payload)

    def answer(self, number: int, status: bytes, value: bytes = b"") -> None:
        """Answer a request of the running body."""
        self._post(Kind.ANSWER, number, status + value)
        self.flush()

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait until the pipe takes them."""
        return bool(self._outgoing)

    def flush(self) -> None:
        """Write what the pipe takes."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self._outgoing and self.task_fd >= 0:
                written = os.write(self.task_fd, self._outgoing)
                del self._outgoing[:written]

    def _post(self, kind: Kind, number: int, body: bytes) -> None:
        self._outgoing += pack(kind, number, body)

    def _forget(self) -> None:
        needed = {run.job.number for run in self.runs}
        for number in list(self._environments)[:-1]:
            if len(self._environments) <= KEPT_ENVIRONMENTS:
                break
            if number not in needed:
                del self._environments[number]
                self._post(Kind.FORGET, number, b"")

    # --- from the executor --------------------------------------------------------------------------------

    def frames(self) -> Iterator[Frame]:
        """Every frame that has arrived.

        Raises:
            FrameError: If what arrived is no frame.
            EOFError: After the last frame, if the executor has closed its end.
        """
        while True:
            try:
                data = os.read(self.answer_fd, _READ_SIZE)
            except BlockingIOError:
                return
            if not data:
                raise EOFError
            yield from self._frames.feed(data)
            if len(data) < _READ_SIZE:
                return

    def running(self, number: int) -> Run:
        """The task with this number, the first in the pipe.

        Raises:
            FrameError: If it is not the first.
        """
        if not self.runs or self.runs[0].number != number:
            raise FrameError(f"answer for task {number}, which is not running")
        return self.runs[0]

    def finish(self, number: int) -> Run:
        """The task with this number, the first in the pipe, was answered.

        Raises:
            FrameError: If it is not the first.
        """
        self.running(number)
        self.head_since_s = time.monotonic()
        run = self.runs.popleft()
        self.tasks_done += 1
        self._stopping_since_s = None
        if not self.runs:
            self._interrupted = False
        if self._iteration in run.claim.task.iterations:
            self._iteration = None  # else it is that of the next task, whose output came before this answer
        return run

    def dropped(self, number: int) -> Run:
        """The task with this number, the first in the pipe, was interrupted.

        Raises:
            FrameError: If it is not the first.
        """
        run = self.finish(number)
        self._interrupted = False
        return run

    @property
    def iteration(self) -> int | None:
        """Which iteration of the first task runs, as far as the executor's output tells."""
        if not self.runs:
            return None
        iterations = self.runs[0].claim.task.iterations
        if len(iterations) == 1:
            return iterations[0]
        return self._iteration if self._iteration in iterations else None

    def output(self) -> Iterator[OutputLine]:
        """Every whole line that was printed since the last call."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data = os.read(self.output_fd, _READ_SIZE)
                if not data:
                    self.output_ended = True
                    break
                *lines, self._line = (self._line + data).split(b"\n")
                if len(self._line) > _LONGEST_LINE:
                    lines.append(self._line)
                    self._line = b""
                for line in lines:
                    yield from self._printed(line)
                if len(data) < _READ_SIZE:
                    break
        if self.output_ended or self.died():
            yield from self.unfinished_line()

    def unfinished_line(self) -> Iterator[OutputLine]:
        """What was printed after the last whole line, as a line: a task or the process has ended."""
        if self._line:
            line, self._line = self._line, b""
            yield from self._printed(line)

    def _printed(self, line: bytes) -> Iterator[OutputLine]:
        text_before, mark, number = line.rpartition(OUTPUT_MARK)
        if mark and number.isdigit() and len(number) < _LONGEST_MARK:
            # What the iteration before it printed may lack the end of its last line.
            if text_before:
                yield from self._printed(text_before)
            self._iteration = int(number)
            return
        text = line.decode("utf-8", "replace").rstrip("\r")
        self.tail.append(text)
        yield OutputLine(text, self.runs[0] if self.runs else None, self.iteration)

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

    def stop(self, now_s: float) -> None:
        """Have it drop its running task, which was cancelled: by SIGINT; if that does not help, by SIGKILL.

        The signal may come when the task has just ended, and hit the next one. So there is one at a time, and
        none where tasks of living jobs wait in the pipe; a frame after it says that it is over.
        """
        if self._stopping_since_s is None:
            self._stopping_since_s = now_s
        if now_s >= self.patience_s:
            self.kill("its job was cancelled")
        elif not self._interrupted and all(run.claim.cancelled for run in self.runs):
            self._interrupted = True
            self.process.interrupt()
            self._post(Kind.BARRIER, 0, b"")
            self.flush()

    def kill(self, reason: str) -> None:
        """End the process now; `reason` is what its death will be put down to."""
        self.killed_for = reason
        self.process.kill()

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
        lines = [line for line in self.tail if line.strip()]
        shown = lines[-_SHOWN_LINES:]
        for place, line in enumerate(lines):
            if line.startswith(_LAST_WORDS):
                shown = lines[place : place + _SHOWN_LINES]
        return f"{cause}; its last output: {' | '.join(shown)}" if shown else cause

    def dismiss(self) -> None:
        """Let it finish what is in its pipe and end: the agent's side of the pipe is closed."""
        if self.task_fd >= 0:
            os.close(self.task_fd)
            self.task_fd = -1
            self.dismissed_s = time.monotonic()

    def close(self) -> None:
        """Close the pipes of a process that has ended."""
        self.dismiss()
        os.close(self.answer_fd)
        os.close(self.output_fd)
