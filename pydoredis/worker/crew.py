"""The executors of one agent: started, watched, replaced when they die, dismissed at the end."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pydoredis.errors import EvaluatorError
from pydoredis.protocol.messages import Codec
from pydoredis.worker.executor_handle import ExecutorHandle
from pydoredis.worker.frames import Failed, FrameError, FromExecutor, Interrupted, Ready, Result
from pydoredis.worker.run import Run
from pydoredis.worker.served import Served
from pydoredis.worker.task_output import OutputLine
from pydoredis.worker.wear import Limits

MAX_FAILED_STARTS = 3
"""So many executors in a row may die before they are ready; then something is wrong with the machine."""

START_TIMEOUT_S = 120.0
"""How long an executor may take to be ready: R's start runs the user's profile, and disks can be slow."""

DISMISS_TIMEOUT_S = 5.0

LOOKS_PER_LIMIT = 8
"""How often it is looked, in the time that an iteration may take, which one is running."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a child did."""

    child: ExecutorHandle
    what: FromExecutor | OutputLine | Literal["died"]


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """When an executor has run for too long, and when to look."""

    child: ExecutorHandle
    due_s: float
    look_s: float
    reason: str


class Crew:
    """Up to `size` executors at work, of each codec that the machine serves.

    Attributes:
        codecs: What they can run; the first is started ahead, the others when their first task comes.
        size: How many may be at work at the same time.
        children: The living executors.
    """

    def __init__(self, served: Served, size: int, limits: Limits, threads: int = 0) -> None:
        self.codecs = served.codecs
        self.size = size
        self.children: list[ExecutorHandle] = []
        self._r_engine = served.r_engine
        self._limits = limits
        self._threads = threads
        self._failed_starts = 0
        self._turns = 0
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = os.pipe()
        for fd in (self._wake_out, self._wake_in):
            os.set_blocking(fd, False)
        self._selector.register(self._wake_out, selectors.EVENT_READ, None)

    @property
    def wake_fd(self) -> int:
        """Where a byte ends a wait: for `signal.set_wakeup_fd`."""
        return self._wake_in

    def wake(self) -> None:
        """End the wait of `events` from another thread."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_in, b"\0")

    # --- starting and ending ------------------------------------------------------------------------------

    def fill(self, codec: Codec | None = None) -> None:
        """Start executors for a codec, the first one if none is given; their READY frames come later."""
        for _ in range(self.size):
            self._hire(codec or self.codecs[0])

    def _hire(self, codec: Codec) -> None:
        try:
            child = ExecutorHandle(codec, self._r_engine, self._threads)
        except OSError as error:
            raise EvaluatorError(codec, f"no executor can be started: {error}") from error
        self.children.append(child)
        self._selector.register(child.answer_fd, selectors.EVENT_READ, child)
        self._selector.register(child.output.pipe, selectors.EVENT_READ, child)

    def greet(self, child: ExecutorHandle, ready: Ready) -> None:
        """An executor is ready.

        Raises:
            FrameError: If it said so before.
        """
        child.greeted(ready)
        self._failed_starts = 0

    def replace(self, child: ExecutorHandle, *, hire: bool) -> None:
        """Let a dead executor go and, if wanted, start another in its place.

        Raises:
            EvaluatorError: If executors keep dying before they are ready.
        """
        obituary = child.obituary()
        self._remove(child)
        child.close()
        if child.ready is None:
            self._failed_starts += 1
            if hire and self._failed_starts >= MAX_FAILED_STARTS:
                raise EvaluatorError(
                    child.codec,
                    f"{self._failed_starts} executors in a row died while they started: {obituary}",
                    child.process.status,
                    "\n".join(line.text for line in child.output.tail),
                )
        if hire and not child.retired_for:
            self._hire(child.codec)

    def retire_worn(self, now_s: float) -> None:
        """Give those that have served long enough no more tasks, and start others in their place."""
        for child in self.children.copy():
            if child.tasks_done > child.tasks_looked_at and not child.retired_for:
                child.tasks_looked_at = child.tasks_done
                child.retired_for = self._limits.exceeded_by(child, now_s)
                if child.retired_for:
                    log.info("executor %d is replaced: %s", child.pid, child.retired_for)
                    self._hire(child.codec)
            if child.retired_for and not child.runs:
                self._dismiss(child)

    def _dismiss(self, child: ExecutorHandle) -> None:
        """Let it end by itself: it sees its pipe closed."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(child.task_fd)
        child.dismiss()

    def dismiss_for(self, child: ExecutorHandle, error: FrameError) -> None:
        """End an executor that does not keep to the frame protocol: nothing it says can be trusted."""
        log.error("executor %d does not keep to the frame protocol: %s", child.pid, error)
        child.break_off(error)

    def kill_unready(self, reason: str) -> None:
        """End those that did not become ready."""
        for child in self.children:
            if not child.ready:
                child.kill(reason)

    def kill_overdue(self, now_s: float, limit_s: float) -> None:
        """End those whose task has run for too long (`time_limits`), or that do not end by themselves."""
        for limit in self.time_limits(limit_s, now_s):
            if now_s >= limit.due_s and not limit.child.killed_for:
                limit.child.timed_out = True
                limit.child.kill(limit.reason)
        for child in self.children:
            if now_s >= child.dismissed_s + DISMISS_TIMEOUT_S and not child.killed_for:
                child.kill("did not end by itself")

    def next_overdue_s(self, limit_s: float) -> float:
        """When (monotonic) `kill_overdue` or `stop_cancelled` will have to kill; infinity for never."""
        due = [limit.look_s for limit in self.time_limits(limit_s, time.monotonic())]
        due += [child.patience_s for child in self.children]
        due += [child.dismissed_s + DISMISS_TIMEOUT_S for child in self.children if not child.killed_for]
        return min(due, default=float("inf"))

    def stop_cancelled(self, now_s: float) -> list[Run]:
        """Stop the tasks of jobs that were cancelled; returns those behind them, which were not begun."""
        stopping = [child for child in self.children if child.is_cancelled and not child.killed_for]
        return [run for child in stopping for run in child.stop(now_s)]

    def kill_all(self, reason: str) -> None:
        """End all that were not ended before."""
        for child in self.children:
            if not child.killed_for:
                child.kill(reason)

    def close(self) -> None:
        """Let all executors end; kill those that take too long."""
        children = list(self.children)
        for child in children:
            self._remove(child)
            child.dismiss()
        deadline_s = time.monotonic() + DISMISS_TIMEOUT_S
        for child in children:
            if not child.process.wait(deadline_s - time.monotonic()):
                child.kill("did not end by itself")
                child.process.wait(float("inf"))
            child.close()
        self._selector.close()
        os.close(self._wake_in)
        os.close(self._wake_out)

    def _remove(self, child: ExecutorHandle) -> None:
        self.children.remove(child)
        for fd in (child.answer_fd, child.output.pipe, child.task_fd):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(fd)

    def forget(self, number: int) -> None:
        """Have the executors let go of a job environment."""
        for child in self.children:
            child.forget(number)
            child.flush()

    # --- work ---------------------------------------------------------------------------------------------

    def all_ready(self) -> bool:
        """Whether every executor can be given a task."""
        return all(child.ready for child in self.children)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process numbers of the executors."""
        return tuple(child.pid for child in self.children)

    @property
    def engine_text(self) -> str:
        """What the executors say of themselves."""
        return next((child.ready for child in self.children if child.ready), "started when needed")

    @property
    def runs(self) -> int:
        """How many tasks the executors have, running or waiting in their pipes."""
        return sum(len(child.runs) for child in self.children)

    @property
    def idle(self) -> bool:
        """Whether one more executor could be at work."""
        return sum(1 for child in self.children if child.runs) < self.size

    def time_limits(self, limit_s: float, now_s: float) -> Iterator[TimeLimit]:
        """What limits there are for executors at work that were not killed yet.

        Args:
            limit_s: The limit for all tasks; 0 for none. A job may have a shorter one of its own, and one for
                each iteration.
            now_s: The time.
        """
        for child in self.children:
            if not child.runs or child.killed_for:
                continue
            own = child.runs[0].job.environment.limits
            limits = [seconds for seconds in (limit_s, own.timelimit_s) if seconds]
            if limits:
                due_s = child.head_since_s + min(limits)
                yield TimeLimit(child, due_s, due_s, f"time limit of {min(limits):g} s exceeded")
            if own.iteration_timelimit_s:
                seconds = own.iteration_timelimit_s
                due_s = child.iteration_since_s(now_s) + seconds
                # Nobody tells when an iteration begins.
                look_s = min(due_s, now_s + seconds / LOOKS_PER_LIMIT)
                yield TimeLimit(child, due_s, look_s, f"time limit of {seconds:g} s per iteration exceeded")

    def next_pid(self) -> int:
        """Process number of the executor that will probably get the next task."""
        self._turns += 1
        children = [child for child in self.children if not child.retired_for]
        count = len(children)
        order = (children[(self._turns + n) % count] for n in range(count))
        child = min(order, key=lambda child: len(child.runs), default=None)
        return child.pid if child else os.getpid()

    def assign(self, backlog: Iterable[Run]) -> deque[Run]:
        """Hand tasks to executors; return those that have to wait."""
        waiting: deque[Run] = deque()
        full: set[int] = set()  # jobs for which there is no room
        sent: set[ExecutorHandle] = set()
        for run in backlog:
            child = None if run.job.number in full else self._choose(run)
            if child is None:
                waiting.append(run)
                full.add(run.job.number)
            else:
                child.send(run)
                sent.add(child)
        for child in sent:
            child.flush()
        return waiting

    def _choose(self, run: Run) -> ExecutorHandle | None:
        """The executor with the shortest pipe, if it may have one more task of this job."""
        codec = run.job.environment.codec
        able = [child for child in self.children if child.codec == codec and not child.retired_for]
        if not able:
            self.fill(codec)
        child = min(
            (c for c in able if c.is_free and self._limits.room(c) > 0),
            key=lambda child: len(child.runs),
            default=None,
        )
        if child is None or (not child.runs and not self.idle):
            return None
        return child if len(child.runs) < run.job.pace.in_pipe() else None

    # --- events -------------------------------------------------------------------------------------------

    def events(self, timeout_s: float | None) -> Iterator[Event]:
        """Wait until something happens, then yield all of it; a death after what was left to read."""
        self._watch_writers()
        ready: dict[ExecutorHandle, None] = {}
        for key, mask in self._selector.select(timeout_s):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_out, 4096)
                # Signals come through here, the end of a child among them.
                ready.update({child: None for child in self.children if child.died()})
            elif mask & selectors.EVENT_WRITE:
                key.data.flush()
            else:
                ready[key.data] = None
        for child in ready:
            yield from self._heard(child)

    def _heard(self, child: ExecutorHandle) -> Iterator[Event]:
        ended = child.died()
        answers: list[FromExecutor] = []
        broken: EOFError | FrameError | None = None
        try:
            for answer in child.answers():
                answers.append(answer)  # noqa: PERF402 - what came before an error counts
        except (EOFError, FrameError) as error:
            broken = error
        # In this order: what a body printed is in the pipe before its answer is.
        for line in child.printed():
            yield Event(child, line)
        for answer in answers:
            if isinstance(answer, Result | Failed | Interrupted):
                for line in child.output.end_of_task(answer.task):
                    yield Event(child, line)
        if child.output.pipe.ended:
            with contextlib.suppress(KeyError):
                self._selector.unregister(child.output.pipe)
        for answer in answers:
            yield Event(child, answer)
            if child.broke_the_protocol:
                break  # nothing that it says after that counts
        if isinstance(broken, EOFError):
            child.hung_up()
            ended = True
        elif broken is not None:
            if not child.broke_the_protocol:
                self.dismiss_for(child, broken)
            child.process.wait(float("inf"))
            ended = True
        if ended:
            for line in child.printed():
                yield Event(child, line)
            yield Event(child, "died")

    def _watch_writers(self) -> None:
        for child in self.children:
            if child.task_fd < 0:
                continue
            registered = child.task_fd in self._selector.get_map()
            if child.wants_to_write and not registered:
                self._selector.register(child.task_fd, selectors.EVENT_WRITE, child)
            elif registered and not child.wants_to_write:
                self._selector.unregister(child.task_fd)
