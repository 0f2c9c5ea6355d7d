"""Runs one job: sends its tasks in a window, collects results in batches, looks after what is lost.

The ledger decides; this carries out. `step` does what there is to do and waits at most as long as it is told,
so that a program can drive a job by itself, or have a thread do it.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydoredis import system
from pydoredis.backoff import Backoff
from pydoredis.coordinator.collecting import Collector
from pydoredis.coordinator.demand import DemandNotes
from pydoredis.coordinator.feeding import Feed
from pydoredis.coordinator.identity import new_job_id
from pydoredis.coordinator.inner import CHECK_S, InnerLoop
from pydoredis.coordinator.ledger import DEFAULT_MAX_CRASHES, Block, Ledger, Sighting
from pydoredis.coordinator.retries import NO_RETRIES, Retries
from pydoredis.coordinator.sending import Sender
from pydoredis.coordinator.staff_check import StaffCheck
from pydoredis.coordinator.staffing import StaffWatch
from pydoredis.coordinator.window import Window
from pydoredis.errors import (
    JobCancelled,
    JobTimeout,
    NoWorkers,
    StoreUnavailable,
    WorkerCrashed,
)
from pydoredis.protocol.codec import Item, JobCodec
from pydoredis.protocol.keys import QueueKeys, Span
from pydoredis.protocol.parts import Message
from pydoredis.settings import ConnectionSettings
from pydoredis.store.job import JobStore, Report
from pydoredis.store.waker import Waker

SLICE_S = 1.0
"""Longest wait for a result before the driver looks whether there is something else to do."""

RECHECK_S = 1.0
"""Pause before the second look at what the first one did not find."""

END_PATIENCE_S, CANCEL_PATIENCE_S = 20.0, 1.0
"""How long to wait for a server that is away to remove a job: as a failover takes, and as a user would."""

REMOVAL_S = 1.0
"""While there are no results, so often it is looked whether somebody removed the job."""

KEPT_BYTES = 1 << 16
"""What was read stays in Redis until there is something to send, unless it is more than that."""

MAX_BATCH = 1024
MAX_BATCH_BYTES = 32 * 1024 * 1024
MAX_SUSPECTS = 16

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DriverOptions:
    """How a job is run.

    Attributes:
        chunk_size: Iterations per task; None: measured (`auto`).
        ftinterval_s: Seconds between two checks for lost tasks.
        max_crashes: Give up a task after this many deaths of workers that ran it: it becomes an error.
        total: Number of iterations, if it is known.
        max_ahead: How far iterations may run ahead of the oldest that is out; None: no limit.
        timeout_s: Seconds after which the job is given up; None: no limit.
        private: Whether nobody but this program knows the server: then there must be workers at the start.
        retries: Which iterations that raised an error are run again.
    """

    chunk_size: int | None = 1
    ftinterval_s: float = 30.0
    max_crashes: int = DEFAULT_MAX_CRASHES
    total: int | None = None
    max_ahead: int | None = None
    timeout_s: float | None = None
    private: bool = False
    retries: Retries = NO_RETRIES


class Driver:
    """One job, from its first task to its last result.

    Args:
        connection: Which server.
        keys: The job's queue.
        codec: What its messages look like.
        feed: Gives its iterations as they are needed.
        sink: Given each iteration's outcome, once, as it comes.
        options: How to run it.

    Attributes:
        job: Its ID, once it has begun.
        ledger: Its books.
        waker: Ends the wait of `step`, from any thread.
        inner: What a worker process is told of it, if a body has begun it.
        runs_here: Whether bodies run in this process (`pydoredis.testing`), in the thread of `step`.
    """

    runs_here = False

    def __init__(
        self,
        connection: ConnectionSettings,
        keys: QueueKeys,
        codec: JobCodec,
        feed: Feed,
        sink: Callable[[Item], None],
        options: DriverOptions,
    ) -> None:
        self.connection = connection
        self.keys = keys
        self.codec = codec
        self.sink = sink
        self.options = options
        self.job = ""
        self.ledger = Ledger(options.max_crashes, is_python=codec.codec == "cloudpickle")
        self.waker = Waker()
        feed.wake = self.waker.wake
        self._is_at_hand = feed.is_at_hand
        self.inner: InnerLoop | None = None
        self._window = Window(options.chunk_size, max_ahead=options.max_ahead)
        self._sender = Sender(codec, feed, self.ledger, self._window, options.total)
        self._collector = Collector(codec, self.ledger, options.retries)
        self._demand = DemandNotes(self.ledger, self._window, options.total)
        self._environment: Message
        self._store: JobStore
        self._staff: StaffCheck
        self._has_looked = False  # for results
        self._unsent: list[bytes] = []
        self._read = self._read_bytes = 0  # results that were read and not yet removed
        self._batch = 32
        self._check_interval_s = options.ftinterval_s
        self._check_due_s = 0.0
        self._removal_due_s = 0.0
        self._outage = Backoff()
        self._deadline_s = float("inf")
        self._staff_watch = StaffWatch()

    # --- life ---------------------------------------------------------------------------------------------

    def begin(self, report: Report | None = None) -> None:
        """Store the job's environment under an ID of its own, and submit the first tasks if they are at hand.

        Args:
            report: Told how many bytes of a large environment were sent, and of how many.

        Raises:
            LocalProtocolError: If the environment cannot be sent, or the job is inside of more bodies than
                loops may be here.
            StoreFull: If Redis has no room for the environment.
            StoreUnavailable: If Redis does not answer, or does not let us in.
            NoWorkers: If the server is a private one, and there are no workers.
        """
        try:
            self.inner = InnerLoop.of(self.connection, self.keys, self.codec.codec)
            if self.inner is not None:
                self.keys = self.inner.keys
                self._check_interval_s = min(self._check_interval_s, CHECK_S)
            workers = self._open(report)
        except BaseException:
            self._sender.close()
            self.waker.close()
            raise
        now_s = time.monotonic()
        self._window.workers = workers
        self._check_due_s = now_s + self._check_interval_s
        self._staff_watch.reset(now_s)
        self._demand.begin(now_s)
        if self.options.timeout_s is not None:
            self._deadline_s = now_s + self.options.timeout_s
        if self.options.private and not workers:
            self._close(cancelled=False)
            raise NoWorkers(
                self.keys.queue,
                "there are no workers, and nobody else knows this private Redis: start some before with "
                "start_local_workers(n), or use `with local(n):`",
            )

    def _open(self, report: Report | None) -> int:
        """Store the environment, submit the first tasks; how many workers there are."""
        self._environment = self.codec.encode_environment()
        # Iterations that one may have to wait for are not waited for here.
        first = self._sender.first() if self._is_at_hand else []
        workers = None
        while workers is None:
            if self.inner is not None and self.job:
                self.inner.ended(self.job)  # somebody else has a job of that ID
            self.job = new_job_id()
            if self.inner is not None:
                self.inner.begins(self.job)
            payloads = self._sender.messages(self.job, first)
            self._store = JobStore(self.connection, self.keys, self.job, self._environment)
            self._staff = StaffCheck(self._store, self.keys.queue, self.connection, self._environment.value)
            try:
                workers = self._store.open(payloads, if_workers=self.options.private, report=report)
            except BaseException:
                self._store.close()
                raise
        for arguments, payload in zip(first, payloads, strict=False):
            self._sender.enter(arguments, payload)
        return workers

    @property
    def exhausted(self) -> bool:
        """Whether all iterations were sent."""
        return self._sender.exhausted

    @property
    def finished(self) -> bool:
        """Whether every iteration has its outcome."""
        return self.exhausted and not self.ledger

    def step(self, timeout_s: float = SLICE_S) -> None:
        """Send what there is room for, take in what has come; wait for it if there is nothing else to do.

        Raises:
            JobCancelled: If somebody removed the job.
            JobTimeout: If the loop's time is over.
            NoWorkers: If there are workers, and none can ever run the job.
            Exception: Whatever the loop's iterators or the sink raise.
        """
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise JobTimeout(self.job, self.options.timeout_s or 0.0, self._state())
        timeout_s = min(timeout_s, left_s)
        # Users' code, in iterators and in the sink, is called outside of what is tried again without Redis.
        has_more = self._sender.fill(self.job, self._unsent)
        self._unsent += self._collector.due()
        until_retry_s = max(0.0, self._collector.due_s - time.monotonic())
        try:
            self._communicate(min(timeout_s, until_retry_s), has_more)
        except StoreUnavailable as error:
            if not self._outage.active:
                log.warning("job %s: %s; trying again", self.job, error)
            self._outage.begin(time.monotonic())
            self._read = self._read_bytes = 0
        if self.inner is not None:
            self.inner.look()
        outcomes, self._collector.outcomes = self._collector.outcomes[::-1], []
        while outcomes:
            # What is handed over is not kept here meanwhile: its taker may let go of it at once.
            self.sink(outcomes.pop())

    def _communicate(self, timeout_s: float, has_more: bool) -> None:
        if self._outage.active:
            self._sleep(min(timeout_s, max(0.0, self._outage.due_s - time.monotonic())))
            if not self._outage.over(time.monotonic()):
                return
            self._recover()
        # A job that has just begun has no results yet.
        has_looked, self._has_looked = self._has_looked, True
        is_due = (has_looked and self.ledger) or self._unsent or self._read_bytes > KEPT_BYTES
        batch = self._exchange() if is_due else []
        if not batch and not has_more and not self.finished:
            batch = self._wait(timeout_s)
        self._take_in(batch)
        if time.monotonic() >= self._check_due_s:
            self._check()

    def pause(self) -> None:
        """The program goes on with what it has, before the next step."""
        if self.inner is not None:
            self.inner.goes_on()

    def end(self) -> None:
        """Remove the keys of a job that is done."""
        self._close(cancelled=False)

    def cancel(self) -> None:
        """Take back what is queued, have what runs stopped, remove the job's keys."""
        self._store.disconnect()  # a reply may be under way that an exception kept us from reading
        self._close(cancelled=True)

    def _close(self, *, cancelled: bool) -> None:
        self._sender.close()
        head = self._sender.head if self.ledger.leaves_messages else None
        deadline_s = time.monotonic() + (CANCEL_PATIENCE_S if cancelled else END_PATIENCE_S)
        pause = Backoff()
        try:
            while True:
                try:
                    self._store.close_job(head, cancelled=cancelled)
                    if self.inner is not None:
                        self.inner.ended(self.job)
                    return
                except StoreUnavailable as error:
                    pause.begin(time.monotonic())
                    if pause.due_s > deadline_s:
                        log.warning("job %s: its keys are left to expire: %s", self.job, error)
                        return
                time.sleep(max(0.0, pause.due_s - time.monotonic()))
        finally:
            if self.inner is not None:
                self.inner.goes_on()
            self._store.close()
            self.waker.close()

    def _sleep(self, seconds: float) -> None:
        """Wait until the time is over, or the waker is used."""
        if system.readable([self.waker], seconds):
            self.waker.clear()

    # --- collecting ---------------------------------------------------------------------------------------

    def _exchange(self) -> list[bytes]:
        unsent, self._unsent = self._unsent, []
        read, self._read, self._read_bytes = self._read, 0, 0
        # Should this fail, the tasks that were lost on the way are found by `_recover`.
        return self._store.send_and_collect(unsent, read, self._batch, self._told())

    def _told(self) -> bytes | None:
        """What is to be said of the job, beside what is asked anyway."""
        return self._demand.due(self._sender.waiting, self._collector.failed, time.monotonic())

    def _wait(self, timeout_s: float) -> list[bytes]:
        until_check_s = max(0.01, self._check_due_s - time.monotonic())
        if not self.ledger:
            # Nothing is out: Redis is asked nothing while the source has nothing to give.
            self._sleep(min(timeout_s, until_check_s))
            return []
        patience_s = SLICE_S if self.inner is None else min(SLICE_S, self.inner.patience_s)
        message = self._store.wait_for_result(min(timeout_s, until_check_s, patience_s), self.waker)
        if message is not None:
            return [message]
        if self.inner is not None:
            self.inner.waited()
        if time.monotonic() >= self._removal_due_s:
            self._removal_due_s = time.monotonic() + REMOVAL_S
            if self._store.was_cancelled(self._told()):
                raise JobCancelled(self.job, "it was removed")
        if self.ledger and (silent_s := self._staff_watch.due(time.monotonic())) is not None:
            self._staff.look(self.job, silent_s)
        return []

    def _take_in(self, batch: Sequence[bytes]) -> None:
        before = self.ledger.done
        self._read += len(batch)
        self._read_bytes += sum(map(len, batch))
        declined = [self._collector.take(self.job, message) for message in batch]
        self._submit_again([block for block in declined if block is not None])
        if batch:
            self._staff_watch.reset(time.monotonic())
            largest = max(map(len, batch))
            self._batch = max(1, min(MAX_BATCH, 2 * self._batch, MAX_BATCH_BYTES // largest))
            self._window.note(self.ledger.done - before, time.monotonic())

    def _submit_again(self, blocks: Sequence[Block]) -> None:
        for python in (False, True):
            chosen = [block for block in blocks if block.python_only is python]
            self._store.submit([block.payload for block in chosen], python=python)
        for block in blocks:
            self.ledger.resubmit(block, time.monotonic())

    def _state(self) -> str:
        """How far the job is, for people."""
        with contextlib.suppress(StoreUnavailable):
            if self.ledger and (found := self._staff.shortage()):
                return found.reason
        total = self.options.total
        return f"{self.ledger.done} of {'?' if total is None else total} iterations are done"

    # --- what is lost -------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Look after the dead and the lost (protocol, section 4), sweep, and renew the job's lease."""
        self._check_due_s = time.monotonic() + self._check_interval_s
        ledger, store = self.ledger, self._store
        self._window.workers = store.workers()
        if not store.renew(self._told()):
            self._restore()
            return
        if not ledger:
            return
        store.sweep(self.keys)
        marks = store.marks()
        for span, tag in marks.dead:
            self._bury(span, tag)
        suspects = ledger.suspects(marks.running, MAX_SUSPECTS)
        queued = store.queued([block.payload for block in suspects])
        found = [block for block, is_queued in zip(suspects, queued, strict=True) if is_queued]
        if ledger.is_searching:
            # Who answered while the marks were read has none any more: it is not lost, its result is there.
            self._collect_all()
        lost = ledger.examine(Sighting(marks.running, suspects, found))
        if lost:
            log.warning("job %s: %d lost tasks are submitted again", self.job, len(lost))
            self._submit_again(lost)
        if ledger.is_searching:
            # The task may be on its way just now, so the second look comes soon.
            self._check_due_s = time.monotonic() + min(RECHECK_S, self.options.ftinterval_s)

    def _collect_all(self) -> None:
        """Take in all results that are there."""
        while batch := self._exchange():
            self._take_in(batch)
        self._read = self._read_bytes = 0

    def _bury(self, span: Span, tag: str) -> None:
        """A worker seems to have died with a task: do with it what the ledger says."""
        verdict = self.ledger.judge(span)
        if not self._store.take_from_dead(tag, verdict.payload, python=verdict.python_only):
            return
        given_up = self.ledger.bury(verdict, time.monotonic())
        if verdict.block is None:
            return
        if verdict.again:
            log.warning("job %s: a worker died, task %d is submitted again (%s)", self.job, span[0], tag)
        message = f"{verdict.block.faults} workers died while they ran it, the last one as {tag}"
        for number in given_up:
            self._collector.give_up(number, WorkerCrashed(self.job, [number], message))

    def _restore(self) -> None:
        """The environment is gone: by somebody's will, or because the server lost its data."""
        if self._store.was_cancelled():
            raise JobCancelled(self.job, "it was removed")
        log.warning("job %s: Redis has lost it; submitting %d tasks again", self.job, len(self.ledger))
        self._store.restore()
        marks = self._store.marks()
        self._submit_again(self.ledger.idle(marks.running))

    def _recover(self) -> None:
        """Redis is back. What was under way when it went may be lost: look at all of it, and again soon."""
        store = self._store
        store.disconnect()
        soon_s = time.monotonic() + RECHECK_S
        if not store.renew():
            self._restore()
        elif self._check_due_s > soon_s:
            marks = store.marks()
            idle = self.ledger.idle(marks.running)
            queued = store.queued([block.payload for block in idle])
            found = [block for block, is_queued in zip(idle, queued, strict=True) if is_queued]
            # What is found nowhere was never sent, or its result is waiting; a second look will tell.
            self.ledger.examine(Sighting(marks.running, idle, found))
        # Sooner if it was to be sooner: where connections are cut all the time, that look comes nevertheless.
        self._check_due_s = min(self._check_due_s, soon_s)
        if self._outage.reset():
            log.info("job %s: Redis is back", self.job)
