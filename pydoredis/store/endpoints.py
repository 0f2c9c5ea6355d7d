"""Where a connection leads: to a given server, the master that Sentinel names, or the node of a cluster.

A server that moves is looked up each time a connection to it is made. One that answers that it is not the
right one any more counts as lost. So whoever can bear a lost connection follows a failover, or a slot.
"""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from typing import Any, Final, cast
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.retry import Retry

from pydoredis.settings import ConnectionSettings
from pydoredis.settings.addresses import Node

LOOKUP_TIMEOUT_S = 3.0
"""How long one Sentinel, or one node of a cluster, may take to say where to go, before the next is asked."""

# RESP2, as R peers speak it: the same replies from every server version. Keys and values are bytes.
_PLAIN: Final[dict[str, Any]] = {"protocol": 2, "decode_responses": False}

_MAX_CONNECTIONS: Final = 1 << 31
"""No limit, as it was before redis-py 8: each job that runs has two, and a program may run hundreds."""

# Moved is a kind of Ask. Older versions of redis-py leave the first word of some rather than give them types.
_ELSEWHERE = (AskError, ClusterDownError, MasterDownError, ReadOnlyError, TryAgainError)
_ELSEWHERE_WORDS = {"ASK", "CLUSTERDOWN", "MASTERDOWN", "MOVED", "NOREPLICAS", "READONLY", "TRYAGAIN"}


class WrongServer(redis.exceptions.ConnectionError):
    """The server of an open connection is not, or not any more, the one that has the queue."""


def connection_pool(connection: ConnectionSettings, **options: Any) -> redis.ConnectionPool:
    """A pool of connections to wherever the server is when they are made.

    Args:
        connection: Which server.
        options: For redis-py's connections, beside those that all of ours have.
    """
    options = {**_PLAIN, "max_connections": _MAX_CONNECTIONS, **options}
    if connection.kind == "server":
        return redis.ConnectionPool.from_url(connection.url, **options)
    endpoint = Master(connection) if connection.kind == "sentinel" else SlotOwner(connection)
    url = connection.server_url(connection.nodes[0])  # the endpoint puts others for host and port
    kind = _FollowingTLS if urlsplit(url).scheme == "rediss" else _Following
    return redis.ConnectionPool.from_url(url, connection_class=kind, endpoint=endpoint, **options)


def whole_cluster(connection: ConnectionSettings, **options: Any) -> redis.RedisCluster:
    """A client for keys anywhere in a cluster."""
    first, *others = connection.nodes
    startup = [ClusterNode(*node) for node in others]  # type: ignore[no-untyped-call]
    url = connection.server_url(first)
    return redis.RedisCluster(url=url, startup_nodes=startup, **_PLAIN, **options)


# --- looking up -------------------------------------------------------------------------------------------


class Endpoint(ABC):
    """Where some server is now, as others tell. Safe to use from several threads.

    Args:
        connection: Names those who know, and the login.
    """

    def __init__(self, connection: ConnectionSettings) -> None:
        self._connection = connection
        self._informants = list(connection.nodes)
        self._lock = threading.Lock()

    def find(self) -> Node:
        """Ask one after the other, beginning with whoever knew it last.

        Raises:
            redis.exceptions.AuthenticationError: If none of them lets us in.
            redis.exceptions.ConnectionError: If none of them knows.
        """
        failures: list[tuple[Node, Exception]] = []
        with self._lock:
            for node in list(self._informants):
                try:
                    with redis.Redis.from_url(
                        self._url(node),
                        **_PLAIN,
                        socket_timeout=LOOKUP_TIMEOUT_S,
                        socket_connect_timeout=LOOKUP_TIMEOUT_S,
                        retry=Retry(NoBackoff(), 0),
                    ) as client:
                        found = self._ask(client, node)
                except (RedisError, OSError, LookupError) as error:
                    failures.append((node, error))
                    continue
                self._informants.remove(node)
                self._informants.insert(0, node)
                return found
        said = "; ".join(f"{host}:{port}: {error}" for (host, port), error in failures)
        if all(isinstance(error, AuthenticationError) for _, error in failures):
            raise AuthenticationError(said)
        raise redis.exceptions.ConnectionError(f"nobody says where it is ({said})")

    def distrust(self) -> None:
        """What was found last was wrong: ask somebody else first."""
        with self._lock:
            self._informants.append(self._informants.pop(0))

    @abstractmethod
    def _url(self, informant: Node) -> str:
        """The address at which to ask."""

    @abstractmethod
    def _ask(self, client: redis.Redis, informant: Node) -> Node:
        """Ask; raise LookupError, with the reason, if it does not know."""


class Master(Endpoint):
    """The master of a service, as Sentinels see it."""

    def _url(self, informant: Node) -> str:
        return self._connection.sentinel_url(informant)

    def _ask(self, client: redis.Redis, informant: Node) -> Node:
        masters = cast("dict[str, dict[str, Any]]", client.sentinel_masters())
        state = masters.get(self._connection.service)
        if state is None:
            known = ", ".join(map(repr, sorted(masters))) or "none"
            raise LookupError(f"knows no master {self._connection.service!r} ({known})")
        if state["is_sdown"] or state["is_odown"] or not state["is_master"]:
            raise LookupError("the master is down")
        return state["ip"], int(state["port"])


class SlotOwner(Endpoint):
    """The node of a cluster that has the slot of a hash tag; without one, any node that answers."""

    def __init__(self, connection: ConnectionSettings) -> None:
        super().__init__(connection)
        self._slot = key_slot(connection.tag.encode()) if connection.tag else None

    def _url(self, informant: Node) -> str:
        return self._connection.server_url(informant)

    def _ask(self, client: redis.Redis, informant: Node) -> Node:
        # As two words: for them redis-py has no form of its own, which changed with its versions.
        owners: list[Any] = client.execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
        found = None
        for first, last, (host, port, *_), *_ in owners:
            # A node that does not know its own name, or is not to tell it, means "where you reach me".
            node = (host.decode() if host else informant[0], int(port))
            if node not in self._informants:
                self._informants.append(node)
            if self._slot is not None and first <= self._slot <= last:
                found = node
        if self._slot is None:
            return informant
        if found is None:
            raise LookupError(f"knows no node for slot {self._slot}" if owners else "knows of no slots")
        return found


# --- connections ------------------------------------------------------------------------------------------


class _Following(redis.Connection):
    """A connection to wherever its endpoint says that the server is."""

    def __init__(self, *, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._endpoint = endpoint

    def _connect(self) -> Any:
        self.host, self.port = self._endpoint.find()
        try:
            return super()._connect()  # type: ignore[no-untyped-call]
        except OSError:
            self._endpoint.distrust()
            raise

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        """A reply; if it says that the server is the wrong one by now, a lost connection."""
        try:
            return super().read_response(*arguments, **options)
        except ResponseError as error:
            if not is_wrong_server(error):
                raise
            self._endpoint.distrust()
            with contextlib.suppress(OSError):
                self.disconnect()  # type: ignore[no-untyped-call]
            raise WrongServer(f"it is the wrong server just now ({type(error).__name__}: {error})") from error


class _FollowingTLS(_Following, redis.SSLConnection):
    """The same with TLS."""


def is_wrong_server(error: ResponseError) -> bool:
    """Whether a reply says that another server, or none just now, has the queue."""
    return isinstance(error, _ELSEWHERE) or str(error).partition(" ")[0] in _ELSEWHERE_WORDS


def is_moved(error: ResponseError) -> bool:
    """Whether it is a node of a cluster that does not have the key."""
    return isinstance(error, MovedError) or str(error).startswith("MOVED ")
