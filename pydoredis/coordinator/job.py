"""A job as a program sees it: what is done, what came out, how to stop it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import closing
from typing import Any, Generic, TypeVar, cast

from pydoredis.coordinator import aio
from pydoredis.coordinator.calls import Outcomes
from pydoredis.coordinator.interrupts import noticed_interrupts
from pydoredis.coordinator.progress import Report
from pydoredis.coordinator.run import Carrier, Run, task_error
from pydoredis.errors import LocalProtocolError
from pydoredis.protocol.codec import FOLDED, Item

V = TypeVar("V")
R = TypeVar("R")


class Job(Run, Generic[V, R]):
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
        driver: Carrier,
        outcomes: Outcomes,
        total: int | None,
        progress: bool | Report = False,
        *,
        keep: bool = False,
    ) -> None:
        super().__init__(driver, outcomes, total, progress)
        self._value: Any = None
        self._items: list[tuple[int, Any]] | None = [] if keep else None
        driver.sink = self._take

    # --- what a program sees ------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<Job {self.id or '?'}: {self.status}, {self.done} of {self.total or '?'} iterations>"

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
        if (failure := self.failure()) is not None:
            raise failure
        return cast("R", self._value)

    def results(self) -> Iterator[tuple[int, V]]:
        """Number (from 1) and value of each iteration, as they come; failed ones are left out.

        Raises:
            LocalProtocolError: If the values are not kept: see `Foreach.submit`.
            TaskError: When an iteration failed and errors are to stop the loop.
            JobCancelled: When it was cancelled.
            Exception: Whatever a combine function raised.
        """
        return self._results(self._kept())

    def _results(self, items: list[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        given = 0
        while True:
            with self._changed:
                while len(items) == given and not self.has_ended():
                    self._changed.wait()
                fresh = items[given:]
            if not fresh:
                break
            given += len(fresh)
            yield from fresh
        if (failure := self.failure()) is not None:
            raise failure

    def _kept(self) -> list[tuple[int, Any]]:
        if self._items is None:
            raise LocalProtocolError(
                "this job combines its values and does not keep them; ask for them with "
                "submit(body, keep_results=True), or use stream(body)"
            )
        return self._items

    # --- in an event loop ---------------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, R]:
        """`await job` gives what `result` returns, and raises what that raises.

        A task that is cancelled meanwhile cancels the job, and goes on when that is done. With
        `asyncio.shield(job)` it does not.
        """
        return self._awaited().__await__()

    async def _awaited(self) -> R:
        await aio.ended(self)
        return self.result()

    def aresults(self) -> AsyncGenerator[tuple[int, V], None]:
        """`results` for `async for`. A task that is cancelled while it waits for one cancels the job.

        Raises what `results` raises.
        """
        return self._aresults(self._kept())

    async def _aresults(self, items: list[tuple[int, Any]]) -> AsyncGenerator[tuple[int, Any], None]:
        given = 0
        while True:
            await aio.until(self, lambda given=given: len(items) > given or self.has_ended())  # type: ignore[misc]
            fresh = items[given:]
            if not fresh:
                break
            given += len(fresh)
            for item in fresh:
                yield item
        if (failure := self.failure()) is not None:
            raise failure

    async def acancel(self) -> None:
        """`cancel` without keeping the event loop waiting."""
        self.stop_soon("by its coordinator")
        await aio.over(self)

    # --- running ------------------------------------------------------------------------------------------

    def start(self) -> Job[V, R]:
        """Run in the background. Returns itself.

        Raises:
            LocalProtocolError: If the body cannot be sent.
            StoreUnavailable: If Redis does not answer.
            ConfigError: If Redis does not let us in.
        """
        self._begin()
        self._in_thread(self._run)
        return self

    def start_soon(self, afterwards: Callable[[], object] = lambda: None) -> Job[V, R]:
        """As `start`, without waiting for Redis: what that raises, `result` raises. Returns itself.

        Args:
            afterwards: Called in the job's thread, before it counts as ended.
        """

        def work() -> None:
            with self._ending():
                try:
                    self._begin()
                    self._collect()
                finally:
                    afterwards()

        self._in_thread(work)
        return self

    def run(self) -> R:
        """Run here and now; return the combined value. Raises what `result` and `start` raise."""
        with noticed_interrupts() as check:
            self._begin()
            self._run(check)
        return cast("R", self._value)

    def _run(self, check: Callable[[], None] = lambda: None) -> None:
        with self._ending():
            self._collect(check)

    def _collect(self, check: Callable[[], None] = lambda: None) -> None:
        with closing(self._turns(check)) as turns:
            for _ in turns:
                self._tell()
        # The job is over: what `final` raises does not cancel it.
        self._value = self._outcomes.result()

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
