"""Runs one job: sends its tasks in a window, collects results in batches, looks after what is lost.

The ledger decides; this carries out. `step` does what there is to do and waits at most as long as it is told,
so that a program can drive a job by itself, or have a thread do it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pydoredis.backoff import Backoff
from pydoredis.coordinator.identity import new_job_id
from pydoredis.coordinator.ledger import Block, Ledger, Sighting
from pydoredis.coordinator.window import Window
from pydoredis.errors import JobCancelled, RemoteProtocolError, StoreUnavailable, WorkerCrashed
from pydoredis.protocol.codec import Arguments, Declined, Item, JobCodec
from pydoredis.protocol.keys import QueueKeys
from pydoredis.settings import ConnectionSettings
from pydoredis.store.job import JobStore

FILL_S = 0.01
"""Seconds of taking arguments from an iterator before results are looked at again."""

SLICE_S = 0.25
"""Longest wait for a result: so soon is a request to cancel heard."""

RECHECK_S = 1.0
"""Pause before the second look at what the first one did not find."""

END_PATIENCE_S, CANCEL_PATIENCE_S = 20.0, 1.0
"""How long to wait for a server that is away to remove a job: as a failover takes, and as a user would."""

REMOVAL_S = 1.0
"""While there are no results, so often it is looked whether somebody removed the job."""

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
        max_crashes: A task whose workers died so often becomes an error.
        total: Number of iterations, if it is known.
        max_ahead: How far iterations may run ahead of the oldest that is out; None: no limit.
    """

    chunk_size: int | None = 1
    ftinterval_s: float = 30.0
    max_crashes: int = 3
    total: int | None = None
    max_ahead: int | None = None


@dataclass(eq=False)
class Driver:
    """One job, from its first task to its last result.

    Attributes:
        connection: Which server.
        keys: The job's queue.
        codec: What its messages look like.
        arguments: What the iterations are called with, taken as they are needed.
        sink: Given each iteration's outcome, once, as it comes.
        options: How to run it.
        job: Its ID, once it has begun.
        ledger: Its books.
    """

    connection: ConnectionSettings
    keys: QueueKeys
    codec: JobCodec
    arguments: Iterator[Arguments]
    sink: Callable[[Item], None]
    options: DriverOptions = field(default_factory=DriverOptions)
    job: str = ""

    def __post_init__(self) -> None:
        options = self.options
        self.ledger = Ledger(options.max_crashes)
        self.exhausted = False
        self._window = Window(options.chunk_size, max_ahead=options.max_ahead)
        self._environment = self.codec.encode_environment()
        self._store: JobStore
        self._unsent: list[bytes] = []
        self._read = 0  # results that were read and not yet removed
        self._batch = 32
        self._check_due_s = 0.0
        self._removal_due_s = 0.0
        self._outage = Backoff()

    # --- life ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Store the job's environment under an ID of its own.

        Raises:
            StoreUnavailable: If Redis does not answer, or does not let us in.
        """
        workers = None
        while workers is None:
            self.job = new_job_id()
            self._store = JobStore(self.connection, self.keys, self.job)
            workers = self._store.open(self._environment)
        self._window.workers = workers
        self._check_due_s = time.monotonic() + self.options.ftinterval_s

    @property
    def finished(self) -> bool:
        """Whether every iteration has its outcome."""
        return self.exhausted and not self.ledger

    def step(self, timeout_s: float = SLICE_S) -> None:
        """Send what there is room for, take in what has come; wait for it if there is nothing else to do.

        Raises:
            JobCancelled: If somebody removed the job.
        """
        try:
            self._fill()
            if self._outage.active:
                time.sleep(min(timeout_s, max(0.0, self._outage.due_s - time.monotonic())))
                if not self._outage.over(time.monotonic()):
                    return
                self._recover()
            batch = self._exchange()
            if not batch and self.ledger and not self._room():
                batch = self._wait(timeout_s)
            self._take_in(batch)
            if time.monotonic() >= self._check_due_s and self.ledger:
                self._check()
        except StoreUnavailable as error:
            if not self._outage.active:
                log.warning("job %s: %s; trying again", self.job, error)
            self._outage.begin(time.monotonic())
            self._read = 0

    def end(self) -> None:
        """Remove the keys of a job that is done."""
        self._close(self.ledger.copies, cancelled=False)

    def cancel(self) -> None:
        """Take back what is queued, have what runs stopped, remove the job's keys."""
        self._store.disconnect()  # a reply may be under way that an exception kept us from reading
        out = [block.payload for block in self.ledger]
        self._close([*out, *self.ledger.copies], cancelled=True)

    def _close(self, copies: Sequence[bytes], *, cancelled: bool) -> None:
        deadline_s = time.monotonic() + (CANCEL_PATIENCE_S if cancelled else END_PATIENCE_S)
        pause = Backoff()
        try:
            while True:
                try:
                    self._store.close_job(copies, cancelled=cancelled)
                    return
                except StoreUnavailable as error:
                    pause.begin(time.monotonic())
                    if pause.due_s > deadline_s:
                        log.warning("job %s: its keys are left to expire: %s", self.job, error)
                        return
                time.sleep(max(0.0, pause.due_s - time.monotonic()))
        finally:
            self._store.close()

    # --- sending ------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Make tasks while there is room and not too much time has gone by."""
        deadline_s = time.monotonic() + FILL_S
        room = self._room()
        while room > 0 and not self.exhausted:
            size = self._window.chunk(self._remaining())
            arguments = list(islice(self.arguments, size))
            self.exhausted = len(arguments) < size
            if arguments:
                payload = self.codec.encode_task(self.job, self.ledger.submitted + 1, arguments)
                self.ledger.submit(len(arguments), payload, time.monotonic())
                self._unsent.append(payload)
                room -= 1
            if time.monotonic() >= deadline_s:
                break

    def _room(self) -> int:
        if self.exhausted:
            return 0
        ledger = self.ledger
        ahead = ledger.submitted + 1 - ledger.oldest
        return self._window.room(len(ledger), ledger.payload_bytes, ahead)

    def _remaining(self) -> int | None:
        total = self.options.total
        return None if total is None else max(0, total - self.ledger.submitted)

    # --- collecting ---------------------------------------------------------------------------------------

    def _exchange(self) -> list[bytes]:
        unsent, self._unsent = self._unsent, []
        read, self._read = self._read, 0
        # Should this fail, the tasks that were lost on the way are found by `_recover`.
        return self._store.send_and_collect(unsent, read, self._batch)

    def _wait(self, timeout_s: float) -> list[bytes]:
        until_check_s = max(0.01, self._check_due_s - time.monotonic())
        message = self._store.wait_for_result(min(timeout_s, until_check_s, SLICE_S))
        if message is not None:
            return [message]
        if time.monotonic() >= self._removal_due_s:
            self._removal_due_s = time.monotonic() + REMOVAL_S
            if self._store.was_cancelled():
                raise JobCancelled(self.job, "it was removed")
        return []

    def _take_in(self, batch: Sequence[bytes]) -> None:
        before = self.ledger.done
        self._read = len(batch)
        for message in batch:
            self._deliver(message)
        if batch:
            largest = max(map(len, batch))
            self._batch = max(1, min(MAX_BATCH, 2 * self._batch, MAX_BATCH_BYTES // largest))
            self._window.note(self.ledger.done - before, time.monotonic())

    def _deliver(self, message: bytes) -> None:
        try:
            result = self.codec.decode_result(self.job, message)
        except Declined as declined:
            self._declined(declined)
            return
        except RemoteProtocolError as error:
            log.warning("job %s: dropped what is no result: %s", self.job, error)
            return
        fresh = self.ledger.deliver(result.numbers)
        for item, new in zip(result.items, fresh, strict=True):
            if new:
                self.sink(item)

    def _declined(self, declined: Declined) -> None:
        block = self.ledger.find(declined.numbers[0])
        if block is None:
            return
        log.info("job %s: task %d is run again: %s", self.job, block.first, declined.reason)
        block.declined = self.codec.codec == "cloudpickle"
        self._submit_again([block])

    def _submit_again(self, blocks: Sequence[Block]) -> None:
        for python in (False, True):
            chosen = [block for block in blocks if block.declined is python]
            self._store.submit([block.payload for block in chosen], python=python)
        for block in blocks:
            self.ledger.resubmit(block, time.monotonic())

    # --- what is lost -------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Look after the dead and the lost (protocol, section 4), sweep, and renew the job's lease."""
        self._check_due_s = time.monotonic() + self.options.ftinterval_s
        ledger, store = self.ledger, self._store
        self._window.workers = store.workers()
        if not store.renew():
            self._restore()
            return
        store.sweep(self.keys)
        marks = store.marks()
        for span, tag in marks.dead:
            self._bury(span[0], span, tag)
        suspects = ledger.suspects(marks.running, MAX_SUSPECTS)
        queued = store.queued([block.payload for block in suspects])
        found = [block for block, is_queued in zip(suspects, queued, strict=True) if is_queued]
        lost = ledger.examine(Sighting(marks.running, suspects, found))
        if lost:
            log.warning("job %s: %d lost tasks are submitted again", self.job, len(lost))
            self._submit_again(lost)
        if len(found) < len(suspects) - len(lost):
            # Not found once: a second look soon, for the task may be on its way just now.
            self._check_due_s = time.monotonic() + min(RECHECK_S, self.options.ftinterval_s)

    def _bury(self, first: int, span: tuple[int, int], tag: str) -> None:
        """A worker died with a task."""
        block = self.ledger.find(first)
        if block is None or block.span != span:
            self._store.take_from_dead(tag, None)
            return
        again = block.faults + 1 < self.options.max_crashes
        if not self._store.take_from_dead(tag, block.payload if again else None, python=block.declined):
            return
        self.ledger.fault(block)
        if again:
            log.warning("job %s: a worker died, task %d is submitted again (%s)", self.job, first, tag)
            self.ledger.resubmit(block, time.monotonic())
            return
        message = f"{block.faults} workers died while they ran it, the last one as {tag}"
        for number in self.ledger.give_up(block):
            self.sink((number, False, WorkerCrashed(self.job, [number], message)))

    def _restore(self) -> None:
        """The environment is gone: by somebody's will, or because the server lost its data."""
        if self._store.was_cancelled():
            raise JobCancelled(self.job, "it was removed")
        log.warning("job %s: Redis has lost it; submitting %d tasks again", self.job, len(self.ledger))
        self._store.restore(self._environment)
        marks = self._store.marks()
        self._submit_again([block for block in self.ledger if block.span not in marks.running])

    def _recover(self) -> None:
        """Redis is back. What was under way when it went may be lost: look at all of it, and again soon."""
        store = self._store
        store.disconnect()
        soon_s = time.monotonic() + RECHECK_S
        if not store.renew():
            self._restore()
        elif self._check_due_s > soon_s:
            marks = store.marks()
            idle = [block for block in self.ledger if block.span not in marks.running]
            queued = store.queued([block.payload for block in idle])
            found = [block for block, is_queued in zip(idle, queued, strict=True) if is_queued]
            # What is found nowhere was never sent, or its result is waiting; a second look will tell.
            self.ledger.examine(Sighting(marks.running, idle, found))
        # Sooner if it was to be sooner: where connections are cut all the time, that look comes nevertheless.
        self._check_due_s = min(self._check_due_s, soon_s)
        if self._outage.reset():
            log.info("job %s: Redis is back", self.job)
