"""Loops in this process, without Redis and without workers, as unit tests want them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydoredis import shared_values
from pydoredis.coordinator.driver import DriverOptions
from pydoredis.coordinator.retries import Retries
from pydoredis.coordinator.session import CallFeed
from pydoredis.pool import LocalWorkers, check_number
from pydoredis.protocol.codec import JobCodec
from pydoredis.protocol.keys import QueueKeys
from pydoredis.queue import DEFAULT_NAME, Queue
from pydoredis.registered import registering, set_stand_in, stand_in
from pydoredis.settings import ConnectionSettings
from pydoredis.testing.carrier import InProcess
from pydoredis.testing.session import SessionInProcess
from pydoredis.testing.values import Values

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pydoredis.loops.options import Options


@contextmanager
def in_process(name: str = DEFAULT_NAME, **options: Unpack[Options]) -> Iterator[Queue]:
    """All loops run in this process while the block lasts, in the thread that asks for their values.

    `dopar`, `submit`, `stream` and their forms for event loops, `Executor`, `Queue`, `local`, `register` and
    `start_local_workers` are used as ever, and need no Redis. One iteration runs after the other: `submit`
    returns when the job has ended, and event loops wait for bodies. Values, errors, order, `combine`,
    `reduce`, random numbers and pickling are those of a pool: bodies, arguments, values and exceptions are
    pickled there and back, R bodies run in an R inside of this process. `redis_get` and its like share values
    that are in memory.

    What differs: a body that ends its process ends this one; time limits of tasks and iterations are not kept
    (the loop's `timeout` is looked at between tasks); what bodies change of modules and of the process stays
    changed. An endless loop has to be streamed. Queues cannot be looked at (`Queue.jobs()`: ConfigError).

    Args:
        name: Of the queue that is registered meanwhile.
        options: What its loops are run with unless they say otherwise.

    Raises:
        ConfigError: If an option makes no sense.
    """
    before = stand_in()
    values = Values()
    set_stand_in(_StandIn(values))
    shared_values.use_in_bodies(values)
    try:
        queue = Queue(name, **options)
        with registering(queue.place):
            yield queue
    finally:
        set_stand_in(before)
        shared_values.use_in_bodies(before.values if isinstance(before, _StandIn) else None)


class _StandIn:
    """See `pydoredis.registered.StandIn`."""

    def __init__(self, values: Values) -> None:
        self.values = values

    def carrier(self, *arguments: Any, **options: Any) -> InProcess:
        """What carries out a job."""
        return InProcess(self.values.ask, *arguments, **options)

    def session(
        self, connection: ConnectionSettings, keys: QueueKeys, codec: JobCodec, *, retries: Retries, **_: Any
    ) -> SessionInProcess:
        """What runs the calls of an executor. Other options are about workers, which there are none of."""
        feed = CallFeed()
        options = DriverOptions(retries=retries)
        carrier = self.carrier(connection, keys, codec, feed, sink=_nothing, options=options)
        return SessionInProcess(carrier, feed)

    def workers(self, n: int) -> LocalWorkers:
        """What stands for `n` workers."""
        return _NoWorkers(n)


def _nothing(item: object) -> None:
    return None


class _NoWorkers(LocalWorkers):
    """Stands for workers, where loops need none."""

    def __init__(self, n: int) -> None:
        self._count = check_number(n)

    @property
    def pids(self) -> list[int]:
        """None of their own."""
        return []

    def __len__(self) -> int:
        return self._count

    def output(self) -> str:
        """Nothing: what bodies print is printed here."""
        return ""

    def stop(self) -> None:
        """Nothing to stop."""
        self._count = 0
