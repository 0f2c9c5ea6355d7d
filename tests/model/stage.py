"""A connection of redis-py's on which each exchange can be stopped, and played again from a record."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.model.server import MULTI, ServerError, Words

LOST = "lost"
"""Stands in a record for the replies that did not come because the connection was lost."""

Record: TypeAlias = tuple[Any, ...]
"""The replies of each exchange so far, or `LOST`."""


class SuspendedError(BaseException):
    """The record is at its end: here the program waits for Redis. (No `Exception`: nobody is to catch it.)"""

    def __init__(self, commands: tuple[Words, ...]) -> None:
        self.commands = commands


class Stage:
    """Where a program of ours talks to Redis.

    Attributes:
        record: What is played.
        live: Carries out commands, instead of the record, if it is set.
        pool: Connections to this stage.
    """

    def __init__(self) -> None:
        self.record: Record = ()
        self.live: Callable[[tuple[Words, ...]], Sequence[Any]] | None = None
        self._at = 0
        self.pool = redis.ConnectionPool(
            connection_class=_StageConnection,
            stage=self,
            protocol=2,
            lib_name=None,
            lib_version=None,
            retry=Retry(NoBackoff(), 0),
        )

    def play(self, record: Record) -> None:
        """What follows gets these replies."""
        self.record, self._at = record, 0

    def exchange(self, commands: tuple[Words, ...]) -> Sequence[Any]:
        """The replies to these commands."""
        if self.live is not None:
            return self.live(commands)
        if self._at == len(self.record):
            raise SuspendedError(commands)
        replies = self.record[self._at]
        self._at += 1
        if replies == LOST:
            raise redis.exceptions.ConnectionError("connection reset")
        return replies  # type: ignore[no-any-return]


class _StageConnection(redis.Connection):
    def __init__(self, *, stage: Stage, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._stage = stage
        self._far_end: socket.socket
        self._requests = hiredis.Reader(notEnoughData=...)
        self._expected = 0

    def _connect(self) -> socket.socket:
        near, self._far_end = socket.socketpair()
        for end in (near, self._far_end):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self._requests = hiredis.Reader(notEnoughData=...)
        self._expected = 0
        return near

    def read_response(self, *args: Any, **options: Any) -> Any:
        if not self._expected:
            commands = self._sent()
            replies = self._stage.exchange(commands)
            if commands[0][0] == MULTI:
                (replies,) = replies
            self._expected = len(replies)
            self._far_end.sendall(b"".join(map(_encode, replies)))
        self._expected -= 1
        return super().read_response(*args, **options)

    def _sent(self) -> tuple[Words, ...]:
        self._requests.feed(self._far_end.recv(1 << 20))
        commands: list[Words] = []
        while (command := self._requests.gets()) is not ...:
            commands.append(tuple(command))
        if commands[0] == (MULTI,):
            return ((MULTI, *commands[1:-1]),)
        return tuple(commands)


def _encode(reply: Any) -> bytes:
    """A reply as the server sends it."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, ServerError):
        return b"-%b\r\n" % str(reply).encode()
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, tuple):
        return b"*%d\r\n" % len(reply) + b"".join(map(_encode, reply))
    return b"$%d\r\n%b\r\n" % (len(reply), reply)
