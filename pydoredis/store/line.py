"""A coordinator's connection: without the client's work on each command, and with replies that nobody awaits.

What ends a job (its keys are removed) is sent and not waited for. The connection is set aside with the reply
that it owes: the next job of this process reads that first, or else a thread does, half a second later, which
sends the command again if the connection was lost meanwhile.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import redis

from pydoredis import system
from pydoredis.backoff import Backoff

SETTLE_AFTER_S = 0.5
"""After which time a reply is read that no later job has read."""

PATIENCE_S = 20.0
"""How long a command is sent again to a server that is away: as long as a failover takes."""

Words = Sequence[Any]
"""A Redis command."""

log = logging.getLogger(__name__)


class Line:
    """One connection for one job at a time, from one thread at a time.

    Args:
        pool: Where the connection comes from.
    """

    def __init__(self, pool: redis.ConnectionPool) -> None:
        self.pool = pool
        self.parked_s = 0.0
        self._connection: redis.Connection | None = None
        self._owed: list[Words] = []  # commands that may be sent twice, whose replies were not read

    def ask(self, commands: Sequence[Words]) -> list[Any]:
        """Send commands, and return their replies; an error reply stands in its place.

        Raises:
            redis.exceptions.RedisError: If the connection is lost: any of them may have been carried out.
            OSError: As well.
        """
        self.settle()
        return self._exchange(commands)

    def post(self, command: Words) -> None:
        """Send a command that may be sent twice, and do not wait for its reply.

        Raises:
            redis.exceptions.RedisError: If it cannot be sent.
        """
        self._send([command])
        self._owed.append(command)

    def settle(self) -> None:
        """Read the replies that are owed; send the commands again if the connection was lost.

        Raises:
            redis.exceptions.RedisError: If that fails. They are owed still.
        """
        if not self._owed:
            return
        replies = self._exchange(self._owed) if self._connection is None else self._replies(len(self._owed))
        for command, reply in zip(self._owed, replies, strict=True):
            if isinstance(reply, Exception):
                log.warning("%s: left to expire what was to go: %s", command[0], reply)
        self._owed = []

    def refresh(self) -> None:
        """Be ready for the next job: settle, and drop a connection that the server has closed."""
        try:
            self.settle()
            if self._connection is not None and self._connection.can_read():
                self.drop()
        except (redis.RedisError, OSError):
            self.drop()

    def drop(self) -> None:
        """Close the connection. What it owes is sent again on the next one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()  # type: ignore[no-untyped-call]
            self.pool.release(connection)

    def close(self) -> None:
        """Give the connection back: to the pool, or, with what it owes, to the next job."""
        if self._owed:
            _parking.park(self)
            return
        connection, self._connection = self._connection, None
        if connection is not None:
            self.pool.release(connection)

    def forget(self) -> list[Words]:
        """Give up what is owed; returns it."""
        owed, self._owed = self._owed, []
        return owed

    def _exchange(self, commands: Sequence[Words]) -> list[Any]:
        self._send(commands)
        return self._replies(len(commands))

    def _send(self, commands: Sequence[Words]) -> None:
        connection = self._connection = self._connection or self.pool.get_connection()
        try:
            connection.send_packed_command(connection.pack_commands(commands))  # type: ignore[no-untyped-call]
        except BaseException:
            self.drop()
            raise

    def _replies(self, count: int) -> list[Any]:
        try:
            return [self._reply() for _ in range(count)]
        except BaseException:
            self.drop()  # other replies may be under way
            raise

    def _reply(self) -> Any:
        assert self._connection is not None
        try:
            return self._connection.read_response()
        except redis.ResponseError as error:
            return error


def take(pool: redis.ConnectionPool) -> Line:
    """A line to the pool's server: one that a job has left, or another."""
    line = _parking.take(pool)
    if line is None:
        return Line(pool)
    line.refresh()
    return line


class _Parking:
    """Lines that owe replies, between jobs. For any threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[Line] = []
        self._some = threading.Event()
        self._thread: threading.Thread | None = None

    def park(self, line: Line) -> None:
        """Keep a line for the next job; settle it if none comes."""
        line.parked_s = time.monotonic()
        with self._lock:
            self._lines.append(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._settle_for_ever, name="settle", daemon=True)
                self._thread.start()
        self._some.set()

    def take(self, pool: redis.ConnectionPool) -> Line | None:
        """A line of this pool, if one is there."""
        with self._lock:
            for line in self._lines:
                if line.pool is pool:
                    self._lines.remove(line)
                    return line
        return None

    def settle_all(self) -> None:
        """Settle all lines; wait for servers that are away, but not for ever."""
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            _settle(line)

    def _settle_for_ever(self) -> None:
        while True:
            self._some.wait()
            self._some.clear()
            time.sleep(SETTLE_AFTER_S)
            self.settle_all()


def _settle(line: Line) -> None:
    """Settle a line and give its connection back."""
    pause = Backoff()
    while True:
        try:
            line.settle()
        except (redis.RedisError, OSError) as error:
            pause.begin(time.monotonic())
            if pause.due_s > line.parked_s + PATIENCE_S:
                log.warning("keys of jobs that are over are left to expire: %s", error)
                line.forget()
            else:
                time.sleep(max(0.0, pause.due_s - time.monotonic()))
                continue
        line.close()
        return


_parking = _Parking()


def _after_fork() -> None:
    # The connections are the parent's, and so are the replies.
    global _parking
    _parking = _Parking()


atexit.register(lambda: _parking.settle_all())
system.after_fork_in_child(_after_fork)
