"""Looks at the server for all browsers: once a second at most, and only while somebody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue as queues
import threading
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from pydoredis.errors import DoRedisError
from pydoredis.snapshots import Snapshot
from pydoredis.telemetry import Telemetry
from pydoredis.top.grids import Pace, grids, server_line

INTERVAL_S: Final = 1.0
"""Time from one look to the next, at least."""

MOST_ROWS: Final = 200
"""How many rows of a table are shown, at most: they go to each browser each second."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class View:
    """What came of a look.

    Attributes:
        event: What the page is told, as a server-sent event.
        snapshot: What was seen; None in an outage.
        error: What is wrong; empty if nothing is.
    """

    event: bytes
    snapshot: Snapshot | None
    error: str = ""


class Watch:
    """Looks at a server, over one connection.

    Args:
        telemetry: Looks at it. It belongs to the watch as long as that is in use.
        queue: Only this queue; None: all.
        interval_s: Seconds from one look to the next, at least.

    Attributes:
        looks: How many there were.
    """

    def __init__(
        self, telemetry: Telemetry, queue: str | None = None, interval_s: float = INTERVAL_S
    ) -> None:
        self.looks = 0
        self._telemetry = telemetry
        self._queue = queue
        self._interval_s = interval_s
        self._pace = Pace()
        self._thread = _Thread()
        self._last: asyncio.Task[View] | None = None
        self._due_s = 0.0
        self._over = asyncio.Event()

    async def view(self) -> View:
        """What the server is like: a new look, or the last one if that was just now."""
        if self._last is None or (self._last.done() and time.monotonic() >= self._due_s):
            self._last = asyncio.ensure_future(self._look())
        # Others may wait for it, too, when who has begun it is gone.
        return await asyncio.shield(self._last)

    async def views(self) -> AsyncGenerator[View, None]:
        """One after the other, each once, until the end."""
        seen: View | None = None
        while not self._over.is_set():
            view = await self.view()
            if view is not seen:
                yield view
            seen = view
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._over.wait(), max(0.0, self._due_s - time.monotonic()))

    async def act(self, do: Callable[[Telemetry], T]) -> T:
        """Do something with the connection that the looks use, between two of them.

        Raises:
            DoRedisError: What `do` raises.
        """
        return await self._thread.call(lambda: do(self._telemetry))

    def end(self) -> None:
        """Let `views` end."""
        self._over.set()

    async def _look(self) -> View:
        begun_s = time.monotonic()
        self._due_s = begun_s + self._interval_s
        view = await self._thread.call(self._look_now)
        # A server that answers slowly is left alone half of the time.
        now_s = time.monotonic()
        self._due_s = max(self._due_s, now_s + min(now_s - begun_s, 5.0))
        return view

    def _look_now(self) -> View:
        self.looks += 1
        try:
            snapshot = self._telemetry.snapshot(self._queue)
        except DoRedisError as error:
            return View(event("outage", {"error": str(error)}), None, str(error))
        self._pace.see(snapshot)
        return View(event("snapshot", _told(snapshot, self._pace)), snapshot)


def event(name: str, data: object) -> bytes:
    """A server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def document(snapshot: Snapshot) -> bytes:
    """What `pydoredis top --json` prints."""
    return json.dumps(snapshot.to_dict(), default=datetime.isoformat).encode()


def _told(snapshot: Snapshot, pace: Pace) -> dict[str, Any]:
    """What the page shows: the tables of `pydoredis top`, and which agent or job a row is about."""
    tables = {grid.title: grid for grid in grids(snapshot, pace, MOST_ROWS)}
    about: dict[str, list[Any]] = {
        "jobs": [{"queue": row.queue, "job": row.job} for row in snapshot.jobs[:MOST_ROWS]],
        "agents": [
            {"queue": row.queues[0], "agent": row.agent, "name": f"{row.pid} on {row.host}"}
            for row in snapshot.agents[:MOST_ROWS]
        ],
    }
    shares = [row.done / row.total if row.done is not None and row.total else None for row in snapshot.jobs]
    return {
        "line": server_line(snapshot.server, snapshot.time),
        "tables": [
            {
                "title": title,
                "columns": [name.lstrip(">") for name in grid.columns],
                "figures": [name[0] == ">" for name in grid.columns],
                "keys": [json.dumps(key) for key in grid.keys],
                "rows": grid.rows,
                "left_out": grid.left_out,
                "about": about.get(title),
                "shares": shares[:MOST_ROWS] if title == "jobs" else None,
            }
            for title, grid in tables.items()
        ],
    }


class _Thread:
    """Calls functions one after the other, in a thread for whose end nobody waits: a Redis that hangs must
    not keep the program from ending."""

    def __init__(self) -> None:
        self._calls: queues.SimpleQueue[
            tuple[asyncio.AbstractEventLoop, asyncio.Future[Any], Callable[[], Any]]
        ] = queues.SimpleQueue()
        threading.Thread(target=self._run, daemon=True, name="dashboard-watch").start()

    async def call(self, function: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._calls.put((loop, future, function))
        return await future

    def _run(self) -> None:
        while True:
            loop, future, function = self._calls.get()
            result, failure = None, None
            try:
                result = function()
            except Exception as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_settle, future, result, failure)


def _settle(future: asyncio.Future[Any], result: object, failure: Exception | None) -> None:
    if future.done():  # nobody waits any more
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)
