"""Waits for a job's results without giving up the thread to Redis: something else may end the wait."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

import redis

from pydoredis import system

if TYPE_CHECKING:
    from pydoredis.store.waker import Waker

SERVER_WAIT_S = 30.0
"""Longest blocking command: then it is sent anew."""


class ResultWait:
    """Waits for an element of a list on a connection of its own, and leaves the element where it is.

    The command that blocks (`BLMOVE` of the list's oldest element to its own end) changes nothing, so it may
    stay under way while other commands are sent on other connections.

    Args:
        pool: Where the connection comes from.
        name: The list.
    """

    def __init__(self, pool: redis.ConnectionPool, name: str) -> None:
        self._pool = pool
        self._name = name
        self._connection: redis.Connection | None = None  # on which a command is under way
        self._outdated = False

    def wait(self, timeout_s: float, waker: Waker) -> bytes | None:
        """The list's oldest element; None if it is better to look at the list.

        None comes when the time is over, when the waker ended the wait, and when an answer was outdated.

        Raises:
            redis.exceptions.RedisError: If the connection is lost.
        """
        connection = self._connection or self._ask()
        ready = system.readable([_socket_of(connection), waker], timeout_s)
        if waker in ready:
            waker.clear()
            ready.remove(waker)
        return self._answer(connection) if ready else None

    def outdate(self) -> None:
        """The list was read: the answer that is under way may speak of an element that is known already."""
        self._outdated = True

    def close(self) -> None:
        """End the connection on which a command is under way."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError, redis.RedisError):
                connection.disconnect()  # type: ignore[no-untyped-call]
            self._pool.release(connection)

    def _ask(self) -> redis.Connection:
        # From the pool each time: it makes a connection anew that the server has closed meanwhile.
        connection = self._pool.get_connection()
        self._connection, self._outdated = connection, False
        command = ("BLMOVE", self._name, self._name, "RIGHT", "RIGHT", SERVER_WAIT_S)
        connection.send_command(*command)  # type: ignore[no-untyped-call]
        return connection

    def _answer(self, connection: redis.Connection) -> bytes | None:
        reply = cast("bytes | None", connection.read_response())
        self._connection = None
        self._pool.release(connection)
        return None if self._outdated else reply


def _socket_of(connection: redis.Connection) -> Any:
    # redis-py has no public way to its socket, and none to wait for two things at once.
    return connection._sock
