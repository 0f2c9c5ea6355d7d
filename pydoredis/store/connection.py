"""One connection to Redis: made when it is needed, mended once, its errors turned into ours."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import Any, cast

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    NoScriptError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from pydoredis.errors import ConfigError, StoreUnavailable
from pydoredis.protocol import wire
from pydoredis.protocol.keys import QueueKeys
from pydoredis.settings import ConnectionSettings
from pydoredis.store import endpoints
from pydoredis.store.packing import Packer

CONNECT_TIMEOUT_S = 10.0
"""How long a server may take to accept a connection."""


@dataclass(frozen=True)
class Script:
    source: str
    sha: str = field(default="")

    @classmethod
    @functools.cache
    def read(cls, *names: str) -> Script:
        """The script in these files, one behind the other."""
        folder = resources.files("pydoredis").joinpath("lua")
        source = "".join(folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in names)
        return cls(source, hashlib.sha1(source.encode()).hexdigest())


Call = tuple[Script, Sequence[str], Sequence[Any]]
"""A script, its keys and its arguments."""


_FORBIDDEN_IN_SCRIPTS = ("user executing the script can't", "ACL failure in script")
"""What Redis and Valkey say where a script does what its user may not."""


def is_forbidden(reply: object) -> bool:
    """Whether a reply says that this user may not do what was asked, or what a script does."""
    return isinstance(reply, NoPermissionError) or (
        isinstance(reply, ResponseError) and any(words in str(reply) for words in _FORBIDDEN_IN_SCRIPTS)
    )


class Store:
    """One connection to the Redis server of a pool.

    Attributes:
        connections: How many were made so far, one after the other.

    Args:
        connection: Which server.
        timeout_s: How long an answer may take before the connection counts as lost.
        reconnects: How often a command is tried again on a new connection when the old one is lost.
    """

    def __init__(
        self, connection: ConnectionSettings, *, timeout_s: float = 10.0, reconnects: int = 1
    ) -> None:
        self.connection = connection
        self._timeout_s = timeout_s
        self._reconnects = reconnects
        self.connections = 0

    @cached_property
    def _client(self) -> redis.Redis:
        pool = endpoints.connection_pool(
            self.connection,
            socket_timeout=self._timeout_s,
            socket_connect_timeout=min(self._timeout_s, CONNECT_TIMEOUT_S),
            redis_connect_func=self._connected,
            command_packer=Packer(),
            # One attempt mends a connection that the server closed while it was idle.
            retry=Retry(ExponentialWithJitterBackoff(cap=0.2, base=0.02), self._reconnects),
            # redis-py before 6 mends no connection unless it is told what is worth it.
            retry_on_error=[redis.exceptions.ConnectionError, redis.exceptions.TimeoutError],
        )
        # Not a `single_connection_client`: its pipelines have another connection, maybe to another server.
        return redis.Redis.from_pool(pool)

    @cached_property
    def _values(self) -> redis.Redis | redis.RedisCluster:
        """For values of users, which may have any names: in a cluster these may be on any of its nodes."""
        if self.connection.kind != "cluster":
            return self._client
        return endpoints.whole_cluster(
            self.connection,
            socket_timeout=self._timeout_s,
            socket_connect_timeout=min(self._timeout_s, CONNECT_TIMEOUT_S),
        )

    def _connected(self, connection: redis.Connection) -> None:
        self.connections += 1
        connection.on_connect()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the connection."""
        for name in ("_client", "_values"):
            if name in self.__dict__:
                with contextlib.suppress(RedisError, OSError):
                    getattr(self, name).close()

    def check(self) -> str:
        """Reach the server and return its version.

        Raises:
            StoreUnavailable: If nobody answers there.
            ConfigError: If it answers, but does not let us in or cannot do what we need.
        """
        with self._translated():
            try:
                version = str(self._client.info("server")["redis_version"])
            except (AuthenticationError, NoPermissionError) as error:
                raise ConfigError(
                    "url",
                    self.connection.safe_url,
                    f"an address with the right user and password (the server says: {error})",
                ) from error
        if tuple(map(int, version.split(".")[:2])) < (6, 2):
            raise ConfigError(
                "url", self.connection.safe_url, f"a Redis server from 6.2 on; this one is {version}"
            )
        return version

    def run_id(self) -> str:
        """Names this run of the server: another one after each restart, and after a failover."""
        with self._translated():
            return str(self._client.info("server")["run_id"])

    def open_queue(self, keys: QueueKeys) -> None:
        """Open a queue, if it is not open yet."""
        with self._translated():
            self._client.set(keys.live, wire.LIVE_VALUE, nx=True)

    def disconnect(self) -> None:
        """Drop the connection, on which an answer may still be under way; the next command makes another."""
        if "_client" in self.__dict__:
            self._client.connection_pool.disconnect()

    # --- values of users ----------------------------------------------------------------------------------

    def get_value(self, key: bytes) -> bytes | None:
        """What a user stored under `key`."""
        with self._translated():
            return cast("bytes | None", self._values.get(key))

    def set_value(self, key: bytes, value: bytes) -> None:
        """Store a user's value."""
        with self._translated():
            self._values.set(key, value)

    def delete_value(self, key: bytes) -> int:
        """Remove a user's value; how many there were: 0 or 1."""
        with self._translated():
            return int(self._values.delete(key))

    # --- the connection -----------------------------------------------------------------------------------

    def _run(self, calls: Sequence[Call]) -> list[Any]:
        """Run scripts in one pipeline; an error reply of one stands in its place."""
        if not calls:
            return []
        with self._translated():
            return self._run_scripts(calls)

    def _run_scripts(self, calls: Sequence[Call]) -> list[Any]:
        replies = self._send(calls)
        # The server was restarted or flushed its scripts: none of those that failed has run.
        missing = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if missing:
            again = self._send([calls[n] for n in missing], load=True)
            for n, reply in zip(missing, again, strict=True):
                replies[n] = reply
        return replies

    def _send(self, calls: Sequence[Call], *, load: bool = False) -> list[Any]:
        scripts = {script.sha: script for script, _, _ in calls if load}
        commands: list[Sequence[Any]] = [("SCRIPT", "LOAD", script.source) for script in scripts.values()]
        for script, keys, arguments in calls:
            commands.append(("EVALSHA", script.sha, len(keys), *keys, *arguments))
        return self._execute(commands)[len(scripts) :]

    def _execute(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send commands together; an error reply stands in the place of its command."""
        pipe = self._client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        return pipe.execute(raise_on_error=False)

    def _raise_first(self, replies: Sequence[Any]) -> None:
        """Raise the first error among the replies of scripts, as ours."""
        for reply in replies:
            if isinstance(reply, Exception):
                raise StoreUnavailable(self.connection.safe_url, str(reply)) from reply

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the client's errors into ours."""
        try:
            yield
        except (
            *(redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError),
            RedisClusterException,
        ) as error:
            raise StoreUnavailable(self.connection.safe_url, str(error)) from error
        except InvalidResponse as error:
            raise StoreUnavailable(
                self.connection.safe_url, f"what answers there is no Redis ({error})"
            ) from error
        except ResponseError as error:
            # OOM, READONLY, LOADING, MISCONF, NOPERM …: the server is there, but will not do this now.
            reason = str(error)
            if endpoints.is_wrong_server(error):
                self.disconnect()  # a name or an address that follows the master may lead elsewhere by now
            if endpoints.is_moved(error):
                reason = (
                    f"a node of a Redis Cluster that does not have the queue ({error}); an address "
                    "redis+cluster://… finds the one that has it"
                )
            raise StoreUnavailable(self.connection.safe_url, reason) from error
