"""A loop on its way, whatever becomes of its values: how far it is, who is told, how it is stopped."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Literal, Protocol

from pydoredis.coordinator import open_jobs
from pydoredis.coordinator.calls import Outcomes
from pydoredis.coordinator.progress import Report, reporter, transfer
from pydoredis.errors import DoRedisError, EvaluatorError, JobCancelled, RemoteError, TaskError, shown
from pydoredis.pickles import advice
from pydoredis.settings import ConnectionSettings

if TYPE_CHECKING:
    from pydoredis.coordinator.ledger import Ledger
    from pydoredis.protocol.codec import Item, JobCodec
    from pydoredis.store.waker import Waker

Status = Literal["waiting", "running", "done", "failed", "cancelled"]


class Carrier(Protocol):
    """Carries a job out: a `Driver`, or what stands in for it where there is no pool (`pydoredis.testing`).

    Its members are those of `Driver`.
    """

    job: str
    connection: ConnectionSettings
    codec: JobCodec
    ledger: Ledger
    sink: Callable[[Item], None]
    waker: Waker
    runs_here: bool

    @property
    def exhausted(self) -> bool: ...
    @property
    def finished(self) -> bool: ...
    def begin(self, report: Callable[[int, int], None] | None = None) -> None: ...
    def step(self) -> None: ...
    def pause(self) -> None: ...
    def end(self) -> None: ...
    def cancel(self) -> None: ...


class Run:
    """What a `Job` and a `Stream` have in common. One thread runs it, any may look at it and stop it.

    Args:
        driver: Carries it out.
        outcomes: Takes the values of its iterations.
        total: How many iterations there are, if that is known.
        progress: Told about progress, or whether it is shown.
    """

    def __init__(
        self, driver: Carrier, outcomes: Outcomes, total: int | None, progress: bool | Report = False
    ) -> None:
        self._driver = driver
        self._outcomes = outcomes
        self._total = total
        self._progress = progress
        self._status: Status = "waiting"
        self._error: BaseException | None = None
        self._cancelled_by = ""
        self._on_queue = False  # or was
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._alarms: list[tuple[Callable[[], object], Callable[[], object]]] = []  # under `_changed`

    # --- how far it is ------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The job's ID, as R's `jobs()` and `pydoredis jobs` show it; empty before it begins."""
        return self._driver.job

    @property
    def connection(self) -> ConnectionSettings:
        """The server that it is on."""
        return self._driver.connection

    @property
    def seed(self) -> int:
        """What its random numbers depend on: `foreach(..., seed=job.seed)` draws the same ones again."""
        return self._driver.codec.seed

    @property
    def status(self) -> Status:
        """How far it is: waiting, running, done, failed or cancelled."""
        return self._status

    @property
    def done(self) -> int:
        """How many iterations have a result."""
        return self._driver.ledger.done

    @property
    def total(self) -> int | None:
        """How many iterations there are; None until that is known."""
        return self._driver.ledger.submitted if self._driver.exhausted else self._total

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, in whatever way; False if `timeout` seconds passed before."""
        with self._changed:
            return self._changed.wait_for(self.has_ended, timeout)

    def has_begun(self) -> bool:
        """Whether it is on its queue or was, or will never be, because it could not begin."""
        return self._status != "waiting"

    def was_on_queue(self) -> bool:
        """Whether it could begin."""
        return self._on_queue

    def has_ended(self) -> bool:
        """Whether it is over, in whatever way."""
        return self._status in ("done", "failed", "cancelled")

    def is_stopping(self) -> bool:
        """Whether somebody has cancelled it."""
        return bool(self._cancelled_by)

    def failure(self) -> BaseException | None:
        """What it ended with, for whoever raises it; None if it has a value, or has not ended."""
        return self._error and without_traceback(self._error)

    @contextlib.contextmanager
    def alarm(self, is_so: Callable[[], object], tell: Callable[[], object]) -> Iterator[None]:
        """Within the block: `tell` is called once, as soon as `is_so` is true.

        Both are called in any thread, and keep nobody waiting.
        """
        alarm = (is_so, tell)
        with self._changed:
            self._alarms.append(alarm)
            self._ring()
        try:
            yield
        finally:
            with self._changed, contextlib.suppress(ValueError):  # it has rung
                self._alarms.remove(alarm)

    # --- stopping -----------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Stop it and wait until it has: queued tasks go, running ones are told to stop, its keys go."""
        self.cancel_because("by its coordinator")

    def cancel_because(self, reason: str) -> None:
        """As `cancel`; whoever asks for the value is then told that it was for this reason."""
        self.stop_soon(reason)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def stop_soon(self, reason: str) -> None:
        """As `cancel_because`, without waiting for it; from any thread, a finalizer as well."""
        with self._changed:
            self._cancelled_by = self._cancelled_by or reason
            self._changed.notify_all()
        self._driver.waker.wake()

    # --- running ------------------------------------------------------------------------------------------

    def _in_thread(self, work: Callable[[], object]) -> None:
        """Do it in a thread of its own, with the context variables of now. What it raises is kept.

        Where the loop runs in this process, and not on a pool, it is done right here.
        """

        def work_quietly() -> None:
            # Whatever it is, whoever asks for the value is told.
            with contextlib.suppress(BaseException):
                work()

        if self._driver.runs_here:
            work_quietly()
            return
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(work_quietly,), name=f"job {self.id}".rstrip(), daemon=True
        )
        open_jobs.add(self)
        try:
            self._thread.start()
        except BaseException:  # there are too many
            self._thread = None
            with self._ending():
                if self.id:
                    self._driver.cancel()
                raise

    def _begin(self) -> None:
        with transfer(self._progress) as shown_to:

            def report(sent: int, of: int) -> None:
                self._check_cancelled()
                if shown_to is not None:
                    shown_to(sent, of)

            self._check_cancelled()
            self._driver.begin(report)
            self._on_queue = True

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        """Within the block it runs; afterwards it has ended, and those who wait are told."""
        try:
            yield
        except BaseException as error:
            self._error = error
            raise
        finally:
            # In any case, or those who wait would wait for ever.
            open_jobs.discard(self)
            self._set_status(_status_of(self._error))

    def _turns(self, check: Callable[[], None] = lambda: None) -> Generator[None, None, None]:
        """Run what has begun: a turn after each step. What is raised, and `close`, cancel the job.

        Args:
            check: Called before each step.
        """
        self._set_status("running")
        ended = False
        try:
            with reporter(self._progress, self._total) as report:
                while True:
                    check()
                    self._check_cancelled()
                    self._driver.step()
                    if report is not None:
                        report(self.done, self.total)
                    yield
                    if self._driver.finished:
                        break
            self._driver.end()
            ended = True
        finally:
            if not ended:
                self._driver.cancel()

    def _check_cancelled(self) -> None:
        if self._cancelled_by:
            raise JobCancelled(self.id, self._cancelled_by)

    def _set_status(self, status: Status) -> None:
        with self._changed:
            self._status = status
            self._tell()

    def _tell(self) -> None:
        """Something has changed; for whoever waits."""
        with self._changed:
            self._changed.notify_all()
            if self._alarms:
                self._ring()

    def _ring(self) -> None:
        for alarm in [alarm for alarm in self._alarms if alarm[0]()]:
            self._alarms.remove(alarm)
            alarm[1]()


def without_traceback(error: BaseException) -> BaseException:
    """The error; one of ours without the lines that it came through, which tell a program nothing."""
    return error.with_traceback(None) if isinstance(error, DoRedisError) else error


def _status_of(error: BaseException | None) -> Status:
    if error is None:
        return "done"
    return "cancelled" if isinstance(error, (JobCancelled, KeyboardInterrupt, GeneratorExit)) else "failed"


def task_error(job: str | None, number: int, error: BaseException, seed: int) -> TaskError:
    """What is raised for an iteration that failed, with the worker's exception as its cause."""
    if isinstance(error, TaskError):
        error.seed = seed
        return error
    raised = TaskError(job, [number], _told(error) + (advice(error) if job else ""), error, seed=seed)
    raised.__cause__ = error
    return raised


def _told(error: BaseException) -> str:
    if isinstance(error, EvaluatorError):
        return error.reason
    return str(error) if isinstance(error, RemoteError) else f"{type(error).__name__}: {shown(error, str)}"
