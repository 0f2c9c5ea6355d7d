"""How an agent's loop gets a batch of commands to Redis and the replies back, in four ways.

    python -m benchmarks.agent_link [--batches 2000] [--rounds 7]

A byte in a pipe wakes the loop, as an executor's answer does. The loop then sends a batch, and has its
replies when the code that waits for them runs in the loop. Ways take turns; ratios are within one round.
uvloop is measured where it is installed.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.util
import os
import queue
import selectors
import statistics
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import redis
import redis.asyncio
from rich.console import Console
from rich.table import Table

from benchmarks import report
from pydoredis.server import EmbeddedServer
from pydoredis.settings import ConnectionSettings
from pydoredis.store.waker import Waker
from pydoredis.worker.link import Link
from pydoredis.worker.link_channel import Command
from pydoredis.worker.link_events import Connected, Event, Replied

SMALL: Sequence[Command] = (
    ("SET", "a", b"value"),
    ("EVAL", "return redis.call('GET', KEYS[1])", 1, "a"),
    ("LLEN", "list"),
    ("EXPIRE", "a", 100),
)
LARGE: Sequence[Command] = (("SET", "b", bytes(1 << 20)), ("GET", "b"))

LINK_MODULES = ("link.py", "link_channel.py", "link_connector.py", "link_events.py")


class Way(ABC):
    """A way to have batches carried out. Each `run` is one loop with a pipe that wakes it."""

    name = ""

    def __init__(self) -> None:
        self.wake_out, self.wake_in = os.pipe()
        os.set_blocking(self.wake_out, False)

    @abstractmethod
    def run(self, batch: Sequence[Command], times: int) -> list[float]:
        """Seconds from a wake-up to the replies, for each of so many batches."""

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self.wake_out)
        os.close(self.wake_in)


class ByLink(Way):
    """Our link in the selector's loop."""

    name = "this link"

    def __init__(self, url: str) -> None:
        super().__init__()
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._selector.register(self._waker, selectors.EVENT_READ, self._waker)
        self._selector.register(self.wake_out, selectors.EVENT_READ, self)
        self._link = Link(ConnectionSettings(url), {}, self._selector, self._waker.wake)
        while not any(isinstance(event, Connected) for event in self._turn(())):
            pass

    def run(self, batch: Sequence[Command], times: int) -> list[float]:
        took = []
        for _ in range(times):
            began = time.perf_counter()
            os.write(self.wake_in, b"!")
            while not any(isinstance(event, Replied) for event in self._turn(batch)):
                pass
            took.append(time.perf_counter() - began)
        return took

    def _turn(self, batch: Sequence[Command]) -> list[Event]:
        events: list[Event] = []
        left_s = self._link.due_s - time.monotonic()
        for key, mask in self._selector.select(max(0.0, left_s) if left_s < 60 else None):
            if key.data is self._link:
                events += self._link.ready(mask)
            elif key.data is self:
                os.read(self.wake_out, 100)
                self._link.send(1, batch)
            else:
                self._waker.clear()
        return events + self._link.tick(time.monotonic())

    def close(self) -> None:
        super().close()
        self._link.close()
        self._selector.close()
        self._waker.close()


class ByThread(Way):
    """A thread that executes batches with the client library and wakes the loop."""

    name = "thread, redis-py"

    def __init__(self, url: str) -> None:
        super().__init__()
        self._client = redis.Redis.from_url(url)
        self._client.ping()
        self._asked: queue.SimpleQueue[Sequence[Command] | None] = queue.SimpleQueue()
        self._replied: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self._waker = Waker()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._waker, selectors.EVENT_READ, self._waker)
        self._selector.register(self.wake_out, selectors.EVENT_READ, self)
        self._thread = threading.Thread(target=self._execute)
        self._thread.start()

    def run(self, batch: Sequence[Command], times: int) -> list[float]:
        took = []
        for _ in range(times):
            began = time.perf_counter()
            os.write(self.wake_in, b"!")
            while not self._turn(batch):
                pass
            took.append(time.perf_counter() - began)
        return took

    def _turn(self, batch: Sequence[Command]) -> bool:
        done = False
        for key, _ in self._selector.select():
            if key.data is self:
                os.read(self.wake_out, 100)
                self._asked.put(batch)
            else:
                self._waker.clear()
                done = bool(self._replied.get_nowait())
        return done

    def _execute(self) -> None:
        while (batch := self._asked.get()) is not None:
            pipe = self._client.pipeline(transaction=False)
            for command in batch:
                pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            self._replied.put(pipe.execute(raise_on_error=False))
            self._waker.wake()

    def close(self) -> None:
        super().close()
        self._asked.put(None)
        self._thread.join()
        self._client.close()
        self._selector.close()
        self._waker.close()


class ByAsyncio(Way):
    """The client library's asyncio form, in a loop of asyncio."""

    name = "asyncio, redis.asyncio"

    def __init__(self, url: str) -> None:
        super().__init__()
        self._loop = self._new_loop()
        self._client = redis.asyncio.Redis.from_url(url)
        self._loop.run_until_complete(self._execute([("PING",)]))

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    def run(self, batch: Sequence[Command], times: int) -> list[float]:
        return self._loop.run_until_complete(self._run(batch, times))

    async def _run(self, batch: Sequence[Command], times: int) -> list[float]:
        took: list[float] = []
        done = asyncio.Event()

        def woken() -> None:
            os.read(self.wake_out, 100)
            task = self._loop.create_task(self._execute(batch))
            task.add_done_callback(lambda _: done.set())

        self._loop.add_reader(self.wake_out, woken)
        for _ in range(times):
            done.clear()
            began = time.perf_counter()
            os.write(self.wake_in, b"!")
            await done.wait()
            took.append(time.perf_counter() - began)
        self._loop.remove_reader(self.wake_out)
        return took

    async def _execute(self, batch: Sequence[Command]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        for command in batch:
            pipe.execute_command(*command)
        return await pipe.execute(raise_on_error=False)

    def close(self) -> None:
        super().close()
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()


class ByUvloop(ByAsyncio):
    """The same in uvloop's loop."""

    name = "uvloop, redis.asyncio"

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
        return loop


def lines_of_code(tree: ast.AST) -> int:
    """Lines that hold code: no comments, no documentation, no blank lines."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.stmt):
            body: list[ast.stmt] = getattr(node, "body", [])
            lines.update(range(node.lineno, body[0].lineno if body else (node.end_lineno or 0) + 1))
    return len(lines)


def compare(
    ways: Sequence[Way],
    batch: Sequence[Command],
    times: int,
    rounds: int,
    title: str,
    found: report.Figures,
) -> Table:
    """Let the ways take turns."""
    latency: dict[str, list[float]] = {way.name: [] for way in ways}
    processor: dict[str, list[float]] = {way.name: [] for way in ways}
    for way in ways:
        way.run(batch, max(1, times // 10))
    for number in range(rounds):
        turn = number % len(ways)
        for way in (*ways[turn:], *ways[:turn]):
            used = time.process_time()
            took = way.run(batch, times)
            processor[way.name].append((time.process_time() - used) / times * 1e6)
            latency[way.name].append(statistics.median(took) * 1e6)
    table = Table(title=title, title_justify="left")
    table.add_column("way")
    for column in ("wake-up to reply, µs", "ratio", "processor, µs a batch", "ratio"):
        table.add_column(column, justify="right")
    for way in ways:
        cells = []
        for figures in (latency, processor):
            own, best = figures[way.name], figures[ways[0].name]
            ratio = statistics.median(mine / first for mine, first in zip(own, best, strict=True))
            cells += [f"{statistics.median(own):,.0f}", f"{ratio:.2f}"]
        table.add_row(way.name, *cells)
        found.add(f"{title}, wake-up to reply: {way.name}", statistics.median(latency[way.name]), "µs")
        found.add(f"{title}, processor of a batch: {way.name}", statistics.median(processor[way.name]), "µs")
    return table


def main() -> None:
    """Print both tables."""
    arguments = report.parser(__doc__)
    arguments.add_argument("--batches", type=int, default=2000, help="batches of small commands in a round")
    arguments.add_argument("--rounds", type=int, default=7, help="rounds of which the medians are told")
    options = arguments.parse_args()
    kinds: list[Callable[[str], Way]] = [ByLink, ByThread, ByAsyncio]
    if importlib.util.find_spec("uvloop"):
        kinds.append(ByUvloop)
    console, found = Console(), report.Figures()
    with EmbeddedServer(password="") as server:
        ways = [kind(f"redis://127.0.0.1:{server.port}/0") for kind in kinds]
        try:
            console.print(compare(ways, SMALL, options.batches, options.rounds, "4 small commands", found))
            few = max(10, options.batches // 20)
            console.print(compare(ways, LARGE, few, options.rounds, "1 MB there and back", found))
        finally:
            for way in ways:
                way.close()
    here = ast.parse(Path(__file__).read_text("utf-8"))
    bare = {node.name: lines_of_code(node) for node in here.body if isinstance(node, ast.ClassDef)}
    worker = Path(__file__).parent.parent / "pydoredis" / "worker"
    whole = {name: lines_of_code(ast.parse((worker / name).read_text("utf-8"))) for name in LINK_MODULES}
    console.print(f"Lines of code: {bare}, bare; the link, with all that can happen to it: {whole}")
    found.write(options.json)


if __name__ == "__main__":
    main()
