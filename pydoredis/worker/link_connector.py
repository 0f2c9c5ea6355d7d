"""Opens connections for the agent's link, in a thread, which may wait for names and servers."""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import hiredis
from redis.exceptions import ResponseError

from pydoredis.errors import ConfigError, StoreUnavailable
from pydoredis.settings import ConnectionSettings
from pydoredis.store.agent import WATCH
from pydoredis.store.connection import Store
from pydoredis.worker.link_channel import Channel, Command

log = logging.getLogger(__name__)

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
"""Seconds of silence before the first probe, seconds between probes, probes without an answer that end the
connection. While nothing is asked, only this shows that the server's machine is gone: 30 s later."""


@dataclass(frozen=True)
class Opened:
    """A connection that is ready for the agent's commands.

    Attributes:
        channel: The connection.
        run_id: Names this run of the server.
        version: The server's version, as it says.
        tracking: Whether the server tells when keys change that were read.
        shas: By the scripts' names: what to call them by (EVALSHA).
    """

    channel: Channel
    run_id: str
    version: str
    tracking: bool
    shas: Mapping[str, str]


class Connector(Store):
    """Finds the server, logs in, and prepares a connection. Not for two threads at a time.

    Args:
        connection: Which server.
        scripts: Lua sources to load, by name.
        timeout_s: How long each step may take.
    """

    def __init__(self, connection: ConnectionSettings, scripts: Mapping[str, str], timeout_s: float) -> None:
        super().__init__(connection, timeout_s=timeout_s, reconnects=0)
        self._scripts = scripts

    def open(self) -> Opened:
        """Make a connection; may take several times the timeout, and as long as a name is looked up.

        Raises:
            StoreUnavailable: If nobody answers there, or not as we need it.
            ConfigError: If the server does not let us in or is too old.
        """
        self.check()
        channel = Channel(self._socket())
        try:
            return self._prepare(channel)
        except BaseException:
            channel.close()
            raise

    def refusal(self, text: str) -> StoreUnavailable:
        """The error that an error reply means, in words for people."""
        try:
            with self._translated():
                raise ResponseError(text)
        except StoreUnavailable as error:
            return error

    def distrust(self) -> None:
        """The server that was found is not the right one: let somebody else say which one is."""
        endpoint = self._client.connection_pool.connection_kwargs.get("endpoint")
        if endpoint is not None:
            endpoint.distrust()

    def _socket(self) -> socket.socket:
        """The socket of a connection that redis-py made and logged in, taken from it."""
        with self._translated():
            pool = self._client.connection_pool
            connection: Any = pool.get_connection()  # the one that `check` has used
            # redis-py has no public way to its socket.
            sock, connection._sock = connection._sock, None
            connection.disconnect()
            pool.release(connection)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE.items():
                if hasattr(socket, name):  # macOS lacks the first
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return sock  # type: ignore[no-any-return]

    def _prepare(self, channel: Channel) -> Opened:
        """Switch to what the agent needs, in one round trip."""
        commands: list[Command] = [
            ("HELLO", 3),  # RESP3, in which the server may say something without being asked
            ("CLIENT", "TRACKING", "ON", "OPTIN", "NOLOOP"),
            WATCH,
            ("INFO", "server"),
            *(("SCRIPT", "LOAD", source) for source in self._scripts.values()),
        ]
        hello, track, watch, *needed = self._exchange(channel, commands)
        for reply in needed:
            if isinstance(reply, hiredis.ReplyError):
                raise self.refusal(str(reply))
        lines = bytes(needed[0]).decode().splitlines()
        info = dict(line.split(":", 1) for line in lines if ":" in line)
        # A server may have HELLO renamed, a user may be denied CLIENT TRACKING: all else goes without them.
        tracking = not any(isinstance(reply, hiredis.ReplyError) for reply in (hello, track, watch))
        shas = dict(zip(self._scripts, (sha.decode() for sha in needed[1:]), strict=True))
        return Opened(channel, info["run_id"], info["redis_version"], tracking, shas)

    def _exchange(self, channel: Channel, commands: Sequence[Command]) -> list[Any]:
        end_s = time.monotonic() + self._timeout_s
        replies: list[Any] = []
        poll = select.poll()
        try:
            channel.send(commands)
            channel.write()
            while len(replies) < len(commands):
                left_s = end_s - time.monotonic()
                poll.register(channel, select.POLLIN | (select.POLLOUT if channel.wants_write else 0))
                if left_s <= 0 or not (ready := poll.poll(left_s * 1000)):
                    raise TimeoutError(f"no answer for {self._timeout_s:g} s")
                events = ready[0][1]
                came = channel.ready(bool(events & ~select.POLLOUT), bool(events & select.POLLOUT))
                replies += [reply for reply in came if not isinstance(reply, hiredis.PushNotification)]
        except OSError as error:
            raise StoreUnavailable(self.connection.safe_url, str(error)) from error
        return replies


class Attempt:
    """One attempt to open a connection, in a thread that ends with it.

    Args:
        connector: Used by nobody else until the attempt is done.
        wake: Called from the thread when the attempt is done.

    Raises:
        RuntimeError: If the system has no more threads.
    """

    def __init__(self, connector: Connector, wake: Callable[[], None]) -> None:
        self._connector = connector
        self._wake = wake
        self._lock = threading.Lock()
        self._outcome: Opened | StoreUnavailable | ConfigError | None = None
        self._given_up = False
        # A daemon: a program that ends does not wait for a server that hangs.
        threading.Thread(target=self._run, name="connector", daemon=True).start()

    def outcome(self) -> Opened | StoreUnavailable | ConfigError | None:
        """The connection, or why there is none; None while that is not known."""
        with self._lock:
            return self._outcome

    def give_up(self) -> None:
        """Nobody wants the connection any more: it is closed, now or when it is there."""
        with self._lock:
            self._given_up = True
            if self._outcome is not None:
                self._discard()

    def _discard(self) -> None:
        if isinstance(self._outcome, Opened):
            self._outcome.channel.close()
        self._connector.close()

    def _run(self) -> None:
        outcome: Opened | StoreUnavailable | ConfigError
        try:
            outcome = self._connector.open()
        except (StoreUnavailable, ConfigError) as error:
            outcome = error
        except Exception as error:
            # A fault of ours or of the client's. Without an outcome the link would wait for ever.
            log.exception("connecting to Redis")
            outcome = StoreUnavailable(self._connector.connection.safe_url, repr(error))
        with self._lock:
            self._outcome = outcome
            if self._given_up:
                self._discard()
                return
        self._wake()
