"""An agent's way to Redis: a thread, asyncio, or its own loop; latency and processor time of a request.

    python -m benchmarks.agent_link [--requests 3000]

A loop that waits in a selector is woken by a byte in a pipe (as by an executor), sends four small commands,
and hears the replies. What is told: median time from the byte to the replies, processor time of the client's
process for each request, and that of a bare redis-py pipeline without any loop, all in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import os
import queue
import selectors
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import redis
import redis.asyncio
from rich.console import Console
from rich.table import Table

from pydoredis.server import EmbeddedServer
from pydoredis.settings import ConnectionSettings
from pydoredis.worker.link import Link
from pydoredis.worker.link_events import Connected, Replied
from pydoredis.worker.signals import Wakeup

COMMANDS = (("SET", "a", b"x" * 200), ("GET", "a"), ("EXISTS", "b"), ("LLEN", "c"))

Request = Callable[[], None]
"""Wakes the loop, and returns when the loop has the replies."""


@contextmanager
def pipeline(url: str) -> Iterator[Request]:
    """A redis-py pipeline, without a loop that anything else could wake."""
    client = redis.Redis.from_url(url)

    def request() -> None:
        pipe = client.pipeline(transaction=False)
        for command in COMMANDS:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        pipe.execute()

    yield request
    client.close()


@contextmanager
def thread(url: str) -> Iterator[Request]:
    """A thread that executes batches, and wakes the loop by a pipe."""
    asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
    with pipeline(url) as execute, selectors.DefaultSelector() as selector:
        executor, done = Wakeup(selector), Wakeup(selector)

        def work() -> None:
            while asked.get():
                execute()
                done.wake()

        def request() -> None:
            executor.wake()
            while True:
                for key, _ in selector.select():
                    key.data.clear()
                    if key.data is done:
                        return
                    asked.put(True)

        worker = threading.Thread(target=work)
        worker.start()
        yield request
        asked.put(False)
        worker.join()
        executor.close()
        done.close()


@contextmanager
def own_loop(url: str) -> Iterator[Request]:
    """The link of the agent: a socket that does not block, in the selector that is there."""
    with selectors.DefaultSelector() as selector:
        wakeup = Wakeup(selector)
        link = Link(ConnectionSettings(url), {}, selector, wakeup.wake)
        numbers = iter(range(1_000_000_000))

        def turn(stop: type[Connected] | type[Replied]) -> None:
            while True:
                events = link.tick(time.monotonic()) if time.monotonic() >= link.due_s else []
                if not any(isinstance(event, stop) for event in events):
                    for key, mask in selector.select(None if link.due_s == float("inf") else 0.01):
                        if key.data is link:
                            events += link.ready(mask)
                        else:
                            wakeup.clear()
                            if link.idle and stop is Replied:
                                link.send(next(numbers), COMMANDS)
                if any(isinstance(event, stop) for event in events):
                    return

        turn(Connected)

        def request() -> None:
            wakeup.wake()
            turn(Replied)

        yield request
        link.close()
        wakeup.close()


@contextmanager
def asynchronous(url: str, loop: asyncio.AbstractEventLoop) -> Iterator[Request]:
    """`redis.asyncio` in asyncio's loop."""
    client = redis.asyncio.Redis.from_url(url)
    woken = asyncio.Event()
    out, into = os.pipe()
    os.set_blocking(out, False)

    def wake() -> None:
        os.read(out, 10)
        woken.set()

    async def answer() -> None:
        os.write(into, b"\0")
        await woken.wait()
        woken.clear()
        pipe = client.pipeline(transaction=False)
        for command in COMMANDS:
            pipe.execute_command(*command)
        await pipe.execute()

    loop.add_reader(out, wake)
    yield lambda: loop.run_until_complete(answer())
    loop.run_until_complete(client.aclose())
    loop.remove_reader(out)
    loop.close()
    os.close(out)
    os.close(into)


def measure(request: Request, count: int) -> tuple[float, float]:
    """Median latency and mean processor time of a request, in µs."""
    for _ in range(count // 10):
        request()
    times = []
    began = time.process_time()
    for _ in range(count):
        start = time.perf_counter()
        request()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6, (time.process_time() - began) / count * 1e6


def main() -> None:
    """Measure all ways, in turn, three times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=3000)
    requests: int = parser.parse_args().requests
    ways: dict[str, Callable[[str], AbstractContextManager[Request]]] = {
        "bare pipeline": pipeline,
        "thread": thread,
        "asyncio": lambda url: asynchronous(url, asyncio.new_event_loop()),
        "own loop": own_loop,
    }
    if importlib.util.find_spec("uvloop"):
        uvloop = importlib.import_module("uvloop")

        ways["asyncio, uvloop"] = lambda url: asynchronous(url, uvloop.new_event_loop())
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with EmbeddedServer() as server:
        for _ in range(3):
            for name, way in ways.items():
                with way(server.url) as request:
                    found[name].append(measure(request, requests))
    table = Table("way", "latency µs", "processor µs", title=f"{len(COMMANDS)} commands in a request")
    for name, measured in found.items():
        latency, processor = (statistics.median(values) for values in zip(*measured, strict=True))
        table.add_row(name, f"{latency:.0f}", f"{processor:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
