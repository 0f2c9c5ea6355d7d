"""What running bodies ask of their agent: `redisGet`, `redisSet`, `redisDelete` (frames of kind REQUEST).

Each request is carried out by a thread, on a connection that nothing else uses: one that hangs holds up
neither the agent nor the requests of others.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator

from pydoredis.errors import StoreUnavailable
from pydoredis.settings import ConnectionSettings
from pydoredis.shared_values import Values
from pydoredis.store import Store
from pydoredis.worker.answers import Request
from pydoredis.worker.frames import Answer, Operation

Answered = tuple[int, int, Answer, bytes]
"""Executor, number of its request, and the answer."""


class ValueRequests:
    """Carries out requests in threads, and collects the answers.

    There are as many threads as requests are under way at a time: an executor has one at most.

    Args:
        connection: Where the values are.
        wake: Called from a thread when an answer has come.
    """

    def __init__(self, connection: ConnectionSettings, wake: Callable[[], None]) -> None:
        self._connection = connection
        self._wake = wake
        self._asked: queue.SimpleQueue[tuple[int, Request] | None] = queue.SimpleQueue()
        self._answered: queue.SimpleQueue[Answered] = queue.SimpleQueue()
        self._under_way: set[int] = set()
        self._threads = 0

    def ask(self, executor: int, request: Request) -> None:
        """Carry out a request of an executor."""
        # One that has died may have left a request under way, and its successor has another number.
        self._under_way.add(executor)
        if len(self._under_way) > self._threads:
            self._threads += 1
            # A daemon: nobody waits for a server that does not answer when the agent ends.
            threading.Thread(target=self._work, name=f"values {self._threads}", daemon=True).start()
        self._asked.put((executor, request))

    def answers(self) -> Iterator[Answered]:
        """Those that have come since the last call."""
        with contextlib.suppress(queue.Empty):
            while True:
                answered = self._answered.get_nowait()
                self._under_way.discard(answered[0])
                yield answered

    def close(self) -> None:
        """Let the threads end, without waiting for them."""
        for _ in range(self._threads):
            self._asked.put(None)

    def _work(self) -> None:
        with contextlib.closing(Store(self._connection)) as store:
            while (asked := self._asked.get()) is not None:
                executor, request = asked
                self._answered.put((executor, request.number, *carry_out(store, request)))
                self._wake()


def carry_out(store: Values, request: Request) -> tuple[Answer, bytes]:
    """Carry out one request; return head and body of its answer."""
    try:
        if request.operation is Operation.GET:
            found = store.get_value(request.key)
            return (Answer.ABSENT, b"") if found is None else (Answer.VALUE, found)
        if request.operation is Operation.DELETE:
            return Answer.VALUE, b"%d" % store.delete_value(request.key)
        store.set_value(request.key, request.value)
    except Exception as error:
        # Whatever it is, the body waits for an answer.
        text = str(error) if isinstance(error, StoreUnavailable) else f"{type(error).__name__}: {error}"
        return Answer.ERROR, text.encode("utf-8", "replace")
    return Answer.VALUE, b""
