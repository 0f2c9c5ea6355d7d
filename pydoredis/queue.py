"""A queue with its workers, and the one that is meant when none is named."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

from pydoredis import system
from pydoredis.admin import Admin
from pydoredis.coordinator import open_jobs
from pydoredis.errors import StoreUnavailable
from pydoredis.loops.bodies import RBody
from pydoredis.loops.one_call import one_call
from pydoredis.loops.options import Options, check_names, resolve
from pydoredis.loops.signature import foreach, on_queue
from pydoredis.pool import LocalWorkers, Setup, start_workers
from pydoredis.protocol.keys import QueueKeys, check_queue_name
from pydoredis.registered import (
    Place,
    place_of_body,
    place_or_registered,
    registering,
    set_registered,
    stand_in,
)
from pydoredis.server import EmbeddedServer, find_server
from pydoredis.settings import ConnectionSettings
from pydoredis.store import Store
from pydoredis.tables import JobRow, Removal, Table, TaskRow, WorkerRow

if TYPE_CHECKING:
    from typing_extensions import Unpack

DEFAULT_NAME = "RJOBS"

P = ParamSpec("P")
T = TypeVar("T")


class Queue:
    """A work queue in Redis: `Queue("RJOBS", url="redis://...")`.

    Args:
        name: Its name. Some characters break R peers and are refused.
        url: Address of Redis. Default: `PYDOREDIS_URL`, `REDIS_URL`, `redis://localhost:6379/0`; if nobody is
            there and none of these is set, a private server is started, if there is one to start. In a body
            of a loop: the server of that loop.
        options: What its loops are run with unless they say otherwise: `chunk_size`, `ftinterval` ...

    Attributes:
        keys: Names of its keys.
        connection: Where Redis is.
        options: As given.
        place: These three.

    Raises:
        ConfigError: If the name, the address or an option makes no sense, or Redis does not let us in.
        StoreUnavailable: If there is no Redis.
    """

    def __init__(self, name: str = DEFAULT_NAME, url: str | None = None, **options: Unpack[Options]) -> None:
        self.keys = QueueKeys(check_queue_name(name))
        check_names(options)
        resolve(options)
        self.options: Mapping[str, Any] = {**options}
        self._server: EmbeddedServer | None = None
        body = place_of_body() if url is None else None
        self.connection = (body.connection if body else ConnectionSettings.load(url=url)).at(name)
        if stand_in() is None:
            may_start = body is None and self.connection == ConnectionSettings() and not _url_is_set(url)
            self._open(may_start=may_start)
        self.place = Place(self.keys, self.connection, self.options, private=self._server is not None)

    def _open(self, *, may_start: bool) -> None:
        """Say that the queue is there; on a private server, if there is none and one may be started."""
        store = Store(self.connection)
        try:
            store.check()
        except StoreUnavailable:
            if not may_start or find_server() is None:
                raise
            self._server = EmbeddedServer().start()
            self.connection = ConnectionSettings(self._server.url)
            where = self._server.safe_url
            print(f"pydoredis: no Redis at localhost, started a private one: {where}", file=sys.stderr)
            store = Store(self.connection)
        store.open_queue(self.keys)
        store.close()

    @property
    def name(self) -> str:
        """Its name."""
        return self.keys.queue

    def __repr__(self) -> str:
        return f"Queue({self.name!r}, {self.connection.safe_url!r})"

    foreach = on_queue(foreach)

    @overload
    def arun(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def arun(self, function: RBody, /, **variables: Any) -> Coroutine[Any, Any, Any]: ...
    def arun(self, function: Any, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """`await queue.arun(function, ...)`: one call on a worker, while the event loop goes on.

        It is a job of one iteration, with the queue's options. A task that is cancelled cancels it.

        Args:
            function: A function, or R code: that sees the named arguments as its variables.
            args: What it is called with.
            kwargs: As well.

        Raises:
            TaskError: If the call fails; its `__cause__` is the worker's exception.
            Exception: What else `Foreach.adopar` raises.
        """
        return one_call(self.place, function, args, kwargs)

    def start_local_workers(self, n: int, **setup: Unpack[Setup]) -> LocalWorkers:
        """Start worker processes on this machine; see `pydoredis.pool.LocalWorkers`."""
        return start_workers(self.connection, self.name, n, **setup)

    def jobs(self) -> Table[JobRow]:
        """The queue's jobs (R: `jobs()`)."""
        with Admin(self.connection) as admin:
            return admin.jobs(self.name)

    def tasks(self, job: str | None = None) -> Table[TaskRow]:
        """The tasks that workers have taken, of one job or of all (R: `tasks()`)."""
        with Admin(self.connection) as admin:
            return admin.tasks(self.name, job)

    def workers(self) -> Table[WorkerRow]:
        """The workers, as far as they are known."""
        with Admin(self.connection) as admin:
            return admin.workers(self.name)

    def remove_job(self, job: str) -> Removal:
        """Remove one job, its tasks and keys; see `Admin.remove_job`."""
        with Admin(self.connection) as admin:
            return admin.remove_job(job, self.name)

    def remove(self) -> Removal:
        """Remove the queue with all that belongs to it; its workers leave (R: `removeQueue()`)."""
        with Admin(self.connection) as admin:
            return admin.remove_queue(self.name)

    def __enter__(self) -> Queue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the private server, if there is one, and the jobs on it."""
        if self._server is not None:
            open_jobs.cancel("its private Redis was closed", self.connection)
            self._server.stop()
            self._server = None


def _url_is_set(url: str | None) -> bool:
    return bool(url or os.environ.get("PYDOREDIS_URL") or os.environ.get("REDIS_URL"))


def register(name: str = DEFAULT_NAME, url: str | None = None, **options: Unpack[Options]) -> Queue:
    """Set the queue on which loops run from now on (R: `registerDoRedis`); see `Queue`."""
    queue = Queue(name, url, **options)
    set_registered(queue.place)
    return queue


@contextmanager
def local(
    n: int,
    queue: str = DEFAULT_NAME,
    url: str | None = None,
    *,
    codec: Literal["auto", "r", "cloudpickle"] = "auto",
    r_engine: Literal["auto", "rpy2", "rscript"] = "auto",
    output: bool = True,
    **options: Unpack[Options],
) -> Iterator[Queue]:
    """A registered queue with `n` workers on this machine, for as long as the block lasts.

    Jobs that still run in the background when the block ends are cancelled.

    Args:
        n: How many workers.
        queue: Name of the queue.
        url: Address of Redis, see `Queue`.
        codec: What the workers serve: auto, r or cloudpickle.
        r_engine: How they run R: auto, rpy2 or rscript.
        output: Whether to show here what bodies print, each line with the number of its iteration.
        options: What loops are run with unless they say otherwise: `chunk_size`, `ftinterval` ...

    Raises what `register` and `start_local_workers` raise.
    """
    if stand_in() is None:
        system.check_runs("workers")  # before all else: without them, a queue is of no use here
    with (
        Queue(queue, url, **options) as made,
        registering(made.place),
        made.start_local_workers(n, codec=codec, r_engine=r_engine, output=output),
    ):
        try:
            yield made
        finally:
            open_jobs.cancel("the block of its workers has ended", made.connection)


def start_local_workers(n: int, queue: str | None = None, **setup: Unpack[Setup]) -> LocalWorkers:
    """Start `n` workers on this machine, for the registered queue or another one (R: `startLocalWorkers`).

    Raises:
        ConfigError: If no queue is registered.
        EvaluatorError: If they do not start.
    """
    place = place_or_registered(None)
    return start_workers(place.connection, queue or place.keys.queue, n, **setup)
