"""Waits for runs in an event loop of asyncio, which goes on meanwhile.

A run has a thread of its own, whatever it waits for; the event loop hears from that when something is to be
taken. A task that is cancelled while it waits has the run cancelled, and goes on when that has ended, so that
nothing is left behind; a second cancellation ends that wait at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydoredis.coordinator.run import Run

_NOT_AWAITED = "nobody waits for it any more"


async def until(run: Run, is_so: Callable[[], object]) -> None:
    """Wait until something is so of a run. Whoever is cancelled meanwhile cancels the run.

    Args:
        run: The run.
        is_so: Becomes true when the run changes, and at the latest when it ends. Called in any thread.
    """
    try:
        await _until(run, is_so)
    except asyncio.CancelledError:
        run.stop_soon("the task that waited for it was cancelled")
        await over(run)
        raise
    except BaseException:  # the event loop is gone, or is none of asyncio's
        run.stop_soon(_NOT_AWAITED)
        raise


async def ended(run: Run) -> None:
    """Wait until a run has ended; see `until`."""
    await until(run, run.has_ended)


async def begun(run: Run) -> None:
    """Wait until a run is on its queue; see `until`.

    Raises:
        Exception: Why it could not begin.
    """
    await until(run, run.has_begun)
    if not run.was_on_queue():
        await over(run)
        failure = run.failure()
        assert failure is not None
        raise failure


async def over(run: Run) -> None:
    """Wait until a run has ended, and leave it alone. (No cancel scope of anyio's cuts this short.)

    Where no event loop runs any more, as in a generator that ends after it, nobody waits.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    # A scope around us that is cancelled would end this wait again and again, in each turn of the event loop.
    backend = sys.modules.get("anyio._backends._asyncio")
    shield: Any = sys.modules["anyio"].CancelScope(shield=True) if backend else contextlib.nullcontext()
    with shield:
        await _until(run, run.has_ended)


async def _until(run: Run, is_so: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def resolve() -> None:
        if not future.done():
            future.set_result(None)

    def tell() -> None:
        try:
            loop.call_soon_threadsafe(resolve)
        except RuntimeError:  # it was closed
            run.stop_soon(_NOT_AWAITED)

    with run.alarm(is_so, tell):
        await future


class InUse:
    """Stops a run when nothing refers to this any more: a generator that nobody iterates over, say."""

    def __init__(self, run: Run) -> None:
        self._run: Run | None = run

    def release(self) -> None:
        """Whoever used it has ended: stop the run, unless it has ended, too."""
        run, self._run = self._run, None
        if run is not None and not run.has_ended():
            run.stop_soon(_NOT_AWAITED)

    def __del__(self) -> None:
        self.release()
