"""A job as a program sees it: what is done, what came out, how to stop it."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, Literal, TypeVar, cast

from pydoredis.coordinator import open_jobs
from pydoredis.coordinator.calls import Calls, Outcomes
from pydoredis.coordinator.driver import Driver
from pydoredis.coordinator.interrupts import noticed_interrupts
from pydoredis.coordinator.progress import reporter, transfer
from pydoredis.errors import (
    DoRedisError,
    EvaluatorError,
    JobCancelled,
    LocalProtocolError,
    RemoteError,
    TaskError,
    shown,
)
from pydoredis.pickles import advice
from pydoredis.protocol.codec import FOLDED, Item
from pydoredis.settings import ConnectionSettings

Status = Literal["waiting", "running", "done", "failed", "cancelled"]

Report = Callable[[int, "int | None"], None]
"""Called with how many iterations are done, and of how many."""

V = TypeVar("V")
R = TypeVar("R")


class Job(Generic[V, R]):
    """One loop on its way. `foreach(...).submit(body)` gives one that runs in the background.

    Its types are that of the iterations' values, and that of what becomes of them.

    Args:
        driver: Runs it.
        outcomes: Takes the values of its iterations.
        total: How many iterations there are, if that is known.
        progress: Told about progress, or whether it is shown.
        keep: Whether the value of each iteration is kept for `results`.
    """

    def __init__(
        self,
        driver: Driver,
        outcomes: Outcomes,
        total: int | None,
        progress: bool | Report = False,
        *,
        keep: bool = False,
    ) -> None:
        self._driver = driver
        self._outcomes = outcomes
        self._total = total
        self._progress = progress
        self._status: Status = "waiting"
        self._value: Any = None
        self._error: BaseException | None = None
        self._cancelled_by = ""
        self._changed = threading.Condition()
        self._items: list[tuple[int, Any]] | None = [] if keep else None
        self._thread: threading.Thread | None = None
        driver.sink = self._take

    # --- what a program sees ------------------------------------------------------------------------------

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

    def __repr__(self) -> str:
        return f"<Job {self.id or '?'}: {self.status}, {self.done} of {self.total or '?'} iterations>"

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, in whatever way; False if `timeout` seconds passed before."""
        with self._changed:
            return self._changed.wait_for(self._has_ended, timeout)

    def result(self, timeout: float | None = None) -> R:
        """The combined value, when it is there.

        Raises:
            TimeoutError: If it is not there after `timeout` seconds; the job goes on.
            TaskError: If an iteration failed and errors are to stop the loop.
            JobCancelled: If it was cancelled.
            JobTimeout: If it took longer than the loop's `timeout`.
            Exception: Whatever a combine function raised.
        """
        if not self.wait(timeout):
            raise TimeoutError(
                f"job {self.id} has no result after {timeout:g} s: {self.done} iterations done"
            )
        if self._error is not None:
            raise without_traceback(self._error)
        return cast("R", self._value)

    def results(self) -> Iterator[tuple[int, V]]:
        """Number (from 1) and value of each iteration, as they come; failed ones are left out.

        Raises:
            LocalProtocolError: If the values are not kept: see `Foreach.submit`.
            TaskError: When an iteration failed and errors are to stop the loop.
            JobCancelled: When it was cancelled.
            Exception: Whatever a combine function raised.
        """
        if self._items is None:
            raise LocalProtocolError(
                "this job combines its values and does not keep them; ask for them with "
                "submit(body, keep_results=True), or use stream(body)"
            )
        return self._results(self._items)

    def _results(self, items: list[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        given = 0
        while True:
            with self._changed:
                while len(items) == given and not self._has_ended():
                    self._changed.wait()
                fresh = items[given:]
            if not fresh:
                break
            given += len(fresh)
            yield from fresh
        if self._error is not None:
            raise without_traceback(self._error)

    def cancel(self) -> None:
        """Stop it and wait until it has: queued tasks go, running ones are told to stop, its keys go."""
        self.cancel_because("by its coordinator")

    def cancel_because(self, reason: str) -> None:
        """As `cancel`; `result` then says that it was for this reason."""
        self._cancelled_by = self._cancelled_by or reason
        self._driver.waker.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    # --- running ------------------------------------------------------------------------------------------

    def start(self) -> Job[V, R]:
        """Run in the background. Returns itself.

        Raises:
            StoreUnavailable: If Redis does not answer.
            ConfigError: If Redis does not let us in.
        """
        self._begin()
        self._thread = threading.Thread(target=self._run_quietly, name=f"job {self.id}", daemon=True)
        open_jobs.add(self)
        self._thread.start()
        return self

    def run(self) -> R:
        """Run here and now; return the combined value. Raises what `result` and `start` raise."""
        with noticed_interrupts() as check:
            self._begin()
            self._run(check)
        return cast("R", self._value)

    def _begin(self) -> None:
        with transfer(self._progress) as report:
            self._driver.begin(report)

    def _run_quietly(self) -> None:
        # Whatever it is, `result` raises it.
        with contextlib.suppress(BaseException):
            self._run()

    def _run(self, check: Callable[[], None] = lambda: None) -> None:
        self._set_status("running")
        try:
            try:
                with reporter(self._progress, self._total) as report:
                    while True:
                        check()
                        if self._cancelled_by:
                            raise JobCancelled(self.id, self._cancelled_by)
                        self._driver.step()
                        self._tell(report)
                        if self._driver.finished:
                            break
                self._driver.end()
            except BaseException:
                self._driver.cancel()
                raise
            # The job is over: what `final` raises does not cancel it.
            self._value = self._outcomes.result()
        except BaseException as error:
            self._error = error
            raise
        finally:
            # In any case, or those who wait would wait for ever.
            open_jobs.discard(self)
            self._set_status(_status_of(self._error))

    def _take(self, item: Item) -> None:
        number, succeeded, value = item
        if value is FOLDED:
            self._outcomes.skip(number)
            return
        if succeeded:
            self._outcomes.add(number, value)
            if self._items is not None:
                self._items.append((number, value))
            return
        self._outcomes.add_failure(number, value)
        if self._outcomes.failure is not None:
            raise task_error(self.id, number, value, self.seed)

    def _tell(self, report: Report | None) -> None:
        if report is not None:
            report(self.done, self.total)
        with self._changed:
            self._changed.notify_all()

    def _set_status(self, status: Status) -> None:
        with self._changed:
            self._status = status
            self._changed.notify_all()

    def _has_ended(self) -> bool:
        return self._status in ("done", "failed", "cancelled")


def without_traceback(error: BaseException) -> BaseException:
    """The error; one of ours without the lines that it came through, which tell a program nothing."""
    return error.with_traceback(None) if isinstance(error, DoRedisError) else error


def _status_of(error: BaseException | None) -> Status:
    if error is None:
        return "done"
    return "cancelled" if isinstance(error, (JobCancelled, KeyboardInterrupt)) else "failed"


class Stream:
    """Index and value of each iteration, as they come or in order; runs in the caller's thread.

    Args:
        driver: Runs the job.
        calls: Gives its iterations.
        inorder: Whether values come in the order of their iterations.
        keep_errors: Whether the exceptions of failed iterations come as their values.
        total: How many iterations there are, if that is known.
        progress: Told about progress, or whether it is shown.
    """

    def __init__(
        self,
        driver: Driver,
        calls: Calls,
        *,
        inorder: bool,
        keep_errors: bool,
        total: int | None,
        progress: bool | Report = False,
    ) -> None:
        self._driver = driver
        self._calls = calls
        self._inorder = inorder
        self._keep_errors = keep_errors
        self._total = total
        self._progress = progress
        self._ready: deque[tuple[int, Any]] = deque()
        self._waiting: dict[int, Item] = {}
        self._next = 1
        driver.sink = self._take

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Run the job. A program that stops early has it cancelled.

        Raises:
            TaskError: If an iteration failed and errors are to stop the loop.
        """
        driver = self._driver
        driver.begin()
        ended = False
        try:
            with reporter(self._progress, self._total) as report:
                while True:
                    driver.step()
                    if report is not None:
                        total = driver.ledger.submitted if driver.exhausted else self._total
                        report(driver.ledger.done, total)
                    if self._ready and driver.inner is not None:
                        driver.inner.goes_on()
                    while self._ready:
                        yield self._ready.popleft()
                    if driver.finished:
                        break
            driver.end()
            ended = True
        except DoRedisError as error:
            raise without_traceback(error) from error.__cause__
        finally:
            if not ended:
                driver.cancel()

    def _take(self, item: Item) -> None:
        if not self._inorder:
            self._give(item)
            return
        self._waiting[item[0]] = item
        while self._next in self._waiting:
            self._give(self._waiting.pop(self._next))
            self._next += 1

    def _give(self, item: Item) -> None:
        number, succeeded, value = item
        if succeeded:
            self._calls.skip(number)
            if value is not FOLDED:
                self._ready.append((number, value))
            return
        self._calls.add_failure(number, value)
        if self._calls.failure is not None:
            raise task_error(self._driver.job, number, value, self._driver.codec.seed)
        if self._keep_errors:
            self._ready.append((number, value))


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
