"""Values of a job as they come, or in order; nothing is combined and nothing kept."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from typing import Any

from pydoredis.coordinator import aio
from pydoredis.coordinator.calls import Outcomes
from pydoredis.coordinator.progress import Report
from pydoredis.coordinator.run import Carrier, Run, task_error, without_traceback
from pydoredis.errors import DoRedisError
from pydoredis.protocol.codec import FOLDED, Item


class Stream(Run):
    """Number and value of each iteration, once.

    In a `for` loop the job runs in the caller's thread, while that waits for a value. In an `async for` loop
    it has a thread of its own, which waits whenever it has values that nobody has taken yet.

    Args:
        driver: Runs the job.
        outcomes: Is told of its iterations.
        inorder: Whether values come in the order of their iterations.
        keep_errors: Whether the exceptions of failed iterations come as their values.
        total: How many iterations there are, if that is known.
        progress: Told about progress, or whether it is shown.
    """

    def __init__(
        self,
        driver: Carrier,
        outcomes: Outcomes,
        *,
        inorder: bool,
        keep_errors: bool,
        total: int | None,
        progress: bool | Report = False,
    ) -> None:
        super().__init__(driver, outcomes, total, progress)
        self._inorder = inorder
        self._keep_errors = keep_errors
        self._ready: deque[tuple[int, Any]] = deque()
        self._waiting: dict[int, Item] = {}
        self._next = 1
        self._offered: deque[tuple[int, Any]] = deque()  # to the event loop; under `_changed`
        driver.sink = self._take

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Run the job. A program that stops early has it cancelled.

        Raises:
            TaskError: If an iteration failed and errors are to stop the loop.
        """
        try:
            with self._ending():
                self._begin()
                with closing(self._turns()) as turns:
                    for _ in turns:
                        if self._ready:
                            self._driver.pause()
                        while self._ready:
                            yield self._ready.popleft()
        except DoRedisError as error:
            raise without_traceback(error) from error.__cause__

    def __aiter__(self) -> AsyncGenerator[tuple[int, Any], None]:
        """Run the job in a thread. A program that stops early, or is cancelled, has it cancelled.

        Raises:
            TaskError: If an iteration failed and errors are to stop the loop.
        """
        return self._items()

    async def _items(self) -> AsyncGenerator[tuple[int, Any], None]:
        if self._driver.runs_here:
            with closing(iter(self)) as items_here:  # type: ignore[type-var]  # a generator
                for item in items_here:
                    yield item
            return
        in_use = aio.InUse(self)  # by the frame of this generator
        self._in_thread(self._offer_all)
        try:
            while True:
                await aio.until(self, lambda: self._offered or self.has_ended())
                items = self._take_offered()
                if not items:
                    break
                for item in items:
                    yield item
        finally:
            in_use.release()
            await aio.over(self)
        if (failure := self.failure()) is not None:
            raise failure

    # --- for an event loop --------------------------------------------------------------------------------

    def _offer_all(self) -> None:
        with self._ending():
            self._begin()
            with closing(self._turns()) as turns:
                for _ in turns:
                    self._offer()

    def _offer(self) -> None:
        """Have the values that are there taken, as soon as those before them were."""
        if not self._ready:
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._offered or self._cancelled_by)
            self._check_cancelled()
            self._offered, self._ready = self._ready, self._offered
            self._tell()

    def _take_offered(self) -> deque[tuple[int, Any]]:
        with self._changed:
            items, self._offered = self._offered, deque()
            self._changed.notify_all()
        return items

    # --- values -------------------------------------------------------------------------------------------

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
            self._outcomes.skip(number)
            if value is not FOLDED:
                self._ready.append((number, value))
            return
        self._outcomes.add_failure(number, value)
        if self._outcomes.failure is not None:
            raise task_error(self.id, number, value, self.seed)
        if self._keep_errors:
            self._ready.append((number, value))
