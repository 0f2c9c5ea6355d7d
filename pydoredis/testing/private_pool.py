"""A pool of its own for tests: a Redis that nobody else uses, and workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydoredis.coordinator import open_jobs
from pydoredis.queue import DEFAULT_NAME, Queue
from pydoredis.registered import registering
from pydoredis.server import EmbeddedServer


@contextmanager
def pool(workers: int = 2, *, name: str = DEFAULT_NAME) -> Iterator[Queue]:
    """A queue with workers on a private Redis, for as long as the block lasts.

    Whatever `PYDOREDIS_URL` and `REDIS_URL` say is left alone: tests do not run on the pool of production.
    The queue is not registered: see `registered`.

    Args:
        workers: How many workers.
        name: Name of the queue.

    Raises:
        ConfigError: If no server can be started here, or this is Windows.
        EvaluatorError: If workers do not start.
    """
    with EmbeddedServer() as server, Queue(name, server.url) as queue:
        try:
            with queue.start_local_workers(workers):
                yield queue
        finally:
            open_jobs.cancel("its pool has ended", queue.connection)


@contextmanager
def registered(queue: Queue) -> Iterator[Queue]:
    """The queue is that of loops which name none; afterwards jobs that still run on it are cancelled."""
    try:
        with registering(queue.place):
            yield queue
    finally:
        open_jobs.cancel("the test has ended", queue.connection)
