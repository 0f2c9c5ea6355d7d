"""One executor process as its agent sees it: pipes for tasks, for answers, for what it prints."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydoredis.protocol.messages import Codec, Verdict
from pydoredis.protocol.wire import MAX_MESSAGE
from pydoredis.store import Claim
from pydoredis.worker import engines
from pydoredis.worker.frame_streams import FrameBuffer, Outgoing, pack
from pydoredis.worker.frames import (
    Answer,
    Bytes,
    FrameError,
    FromExecutor,
    Interrupted,
    Kind,
    Partial,
    Ready,
    decode,
)
from pydoredis.worker.jobs import Job
from pydoredis.worker.output import Line, Output, OutputLine, Places, Source
from pydoredis.worker.process import Process

KEPT_ENVIRONMENTS = 4
KEPT_BYTES = 128 * 1024 * 1024
"""How many job environments an executor keeps, and of what size together, least recently used out: several
jobs may alternate on a queue. Those that tasks in its pipe need stay in any case."""

_PIPE_SIZE = 1 << 20
_MOST_READS = 64
"""More than are needed for what a pipe holds."""

_KEPT_LINES = 40
_SHOWN_LINES = 5

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
        kept: From PARTIAL frames: of how many iterations results were there, and the results that had come
            in addition, should the executor die.
    """

    number: int
    claim: Claim
    job: Job
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    kept: list[tuple[int, Bytes]] = field(default_factory=list)
    _kept_bytes: int = 0

    @property
    def finished(self) -> int:
        """Of how many iterations the results are there."""
        return self.kept[-1][0] if self.kept else 0

    def keep(self, finished: int, values: Bytes) -> None:
        """So many iterations are finished; `values` are those that were not told before.

        What would be too large for a result anyway is not kept, nor is anything that comes after it.
        """
        if self._kept_bytes + len(values) > MAX_MESSAGE:
            self._kept_bytes = MAX_MESSAGE
        else:
            self._kept_bytes += len(values)
            self.kept.append((finished, values))

    def keep_nothing(self) -> None:
        """Start again from the first iteration."""
        self.kept.clear()
        self._kept_bytes = 0

    def may_run(self, iteration: int | None) -> bool:
        """Whether this is an iteration of the task that was still to be run."""
        return iteration in self.claim.task.iterations[self.finished :] and iteration not in self.verdicts


class Child:
    """Starts one executor process and talks to it without ever blocking.

    Attributes:
        codec: What it can run.
        pid: Its process number.
        ready: What it said of itself once it was ready; None before.
        runs: Tasks in its pipe, the running one first.
        output: What it prints.
        tail: The last lines of that, for the report of its death.
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
        self.runs: deque[Run] = deque()
        self.output = Output()
        self.tail: deque[OutputLine] = deque(maxlen=_KEPT_LINES)
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
        self._interrupted = False  # whether a SIGINT is on its way to the tasks in its pipe
        self._frames = FrameBuffer()
        self._environments: OrderedDict[int, int] = OrderedDict()  # their sizes in bytes, by number
        self._places = Places()
        self._place_seen: int | None = None
        self._place_seen_s = self.started_s
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

    def send(self, run: Run) -> None:
        """Line up a task for the executor, its environment before it if it is new; `flush` sends it."""
        number = run.job.number
        if number in self._environments:
            self._environments.move_to_end(number)
        else:
            self._environments[number] = len(run.job.environment.payload)
            self._make_room(number)  # first: the executor need not have both at a time
            self._post(Kind.ENVIRONMENT, number, body=run.job.environment.payload)
        for iteration, verdict in run.verdicts.items():
            index = run.claim.task.iterations.index(iteration)
            self._post(Kind.VERDICT, run.number, index, body=verdict.encode())
        for finished, part in run.kept:
            self._post(Kind.KEPT, run.number, finished, body=part)
        if not self.runs:
            self.head_since_s = time.monotonic()
        if self.output.settled:
            self._places.forget(len(self.runs) + 1)  # the last that was finished: the executor may be there
        place = self._places.give(run.number, run.claim)
        self.runs.append(run)
        self._post(Kind.TASK, run.number, number, place, body=run.claim.task.payload)

    def answer(self, number: int, status: Answer, value: bytes) -> None:
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

    def _post(self, kind: Kind, number: int, *head: object, body: Bytes = b"") -> None:
        self._outgoing.add(pack(kind, number, *head, body=body))

    def forget(self, number: int) -> None:
        """Have it let go of a job environment, unless a task in its pipe needs that."""
        if number in self._environments and all(run.job.number != number for run in self.runs):
            del self._environments[number]
            self._post(Kind.FORGET, number)

    def _make_room(self, wanted: int) -> None:
        for number in list(self._environments):
            kept = self._environments.values()
            if len(kept) <= KEPT_ENVIRONMENTS and sum(kept) <= KEPT_BYTES:
                break
            if number != wanted:
                self.forget(number)

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
        run = self.running(part.task)
        if not run.finished < part.finished <= len(run.claim.task.iterations):
            raise FrameError(f"{part.finished} iterations of task {part.task} finished after {run.finished}")
        run.keep(part.finished, part.values)

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
        return run

    def dropped(self, interrupted: Interrupted) -> Run:
        """The first task in the pipe was interrupted.

        Raises:
            FrameError: If this is not the first, or it has no such iteration.
        """
        if interrupted.index not in range(len(self.running(interrupted.task).claim.task.iterations)):
            raise FrameError(f"iteration {interrupted.index} of task {interrupted.task}, which has none")
        run = self.finish(interrupted.task)
        self._interrupted = False
        return run

    # --- where it is, and what it prints ------------------------------------------------------------------

    def iteration_since_s(self, now_s: float) -> float:
        """Since when (monotonic) the running iteration has been seen running, by this method."""
        place = self.output.place
        if place != self._place_seen or self._place_seen_s < self.head_since_s:
            self._place_seen, self._place_seen_s = place, now_s
        return self._place_seen_s

    @property
    def iteration(self) -> int | None:
        """Which iteration of the first task is at work, or was when the process ended; None: none of them."""
        source, iteration = self._places.at(self.output.place)
        return iteration if self._is_first(source) else None

    def printed(self) -> Iterator[OutputLine]:
        """Every whole line that was printed since the last call."""
        yield from map(self._note, self.output.lines())
        if self.output.ended or self.died():
            yield from map(self._note, self.output.end_of_line())

    def end_of_line(self, number: int) -> Iterator[OutputLine]:
        """What this task printed after its last whole line, as a line: it has ended."""
        source, _ = self._places.at(self.output.rest_place)
        if source is not None and source.number == number:
            yield from map(self._note, self.output.end_of_line())

    def _note(self, line: Line) -> OutputLine:
        source, iteration = self._places.at(line.place)
        if line.place is None and self.ready and self.runs:
            # A system whose named pipes do not keep their times: then this is as much as can be told.
            source = self._places.of(self.runs[0].number)
        noted = OutputLine(line.text, source, iteration)
        self.tail.append(noted)
        return noted

    def _is_first(self, source: Source | None) -> bool:
        """Whether this is the first task in the pipe, the one that runs."""
        return source is not None and bool(self.runs) and self.runs[0].number == source.number

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
            self._post(Kind.BARRIER, 0)
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
        """Why it died: what the agent did, or signal or exit status and peak memory; then its last lines.

        Those of what it died of, and no others: of the iteration; of the task, if it died in none.
        """
        cause = self.killed_for or self.process.cause_of_death()
        lines = [line.text for line in self.tail if line.text.strip() and self._is_to_blame(line)]
        shown = lines[-_SHOWN_LINES:]
        for index, text in enumerate(lines):
            if text.startswith(_LAST_WORDS):
                shown = lines[index : index + _SHOWN_LINES]
        return f"{cause}; its last output: {' | '.join(shown)}" if shown else cause

    def _is_to_blame(self, line: OutputLine) -> bool:
        if not self.runs:
            return line.source is None
        return self._is_first(line.source) and self.iteration in (None, line.iteration)

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
        self.output.close()
