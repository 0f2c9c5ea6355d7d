"""Values that sessions share through Redis, as doRedis's `redisSet()`, `redisGet()` and `redisDelete()` do.

They are R serialization under plain keys, so that R sessions, workers and Python programs read each other's.
Bodies of tasks that need much data are quicker if they fetch it once like this.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import rinterop
from pydoredis.errors import LocalProtocolError, RemoteProtocolError, StoreUnavailable
from pydoredis.protocol.wire import MAX_MESSAGE

if TYPE_CHECKING:
    from pydoredis.settings import ConnectionSettings


def redis_set(key: str, value: object, *, connection: ConnectionSettings | None = None) -> None:
    """Store a value for R and Python sessions.

    Args:
        key: Any name; one that begins like a queue's keys (`RJOBS.env.`) is asking for trouble.
        value: What `rinterop.to_r` converts, or an R value of `rinterop`.
        connection: Which server; by default that of the registered queue (in a body: of the worker).

    Raises:
        rinterop.EncodeError: If R has nothing like the value.
        LocalProtocolError: If it is larger than Redis takes.
        StoreUnavailable: If Redis cannot be reached.
    """
    payload = rinterop.dumps(rinterop.to_r(value))
    if len(payload) > MAX_MESSAGE:
        raise LocalProtocolError(f"{key!r} would hold {len(payload):,} bytes; Redis takes {MAX_MESSAGE:,}")
    with _store(connection) as store:
        store.set_value(key.encode(), payload)


def redis_get(
    key: str, default: Any = None, convert: bool = True, *, connection: ConnectionSettings | None = None
) -> Any:
    """Fetch a value that an R or Python session stored.

    Text that some other program stored comes back as text, as in R.

    Args:
        key: Its name.
        default: What to return if there is no such key. R's NULL comes back as None, too.
        convert: Whether to convert it with `rinterop.to_python`; otherwise it is an R value of `rinterop`.
        connection: Which server; by default that of the registered queue (in a body: of the worker).

    Raises:
        RemoteProtocolError: If neither R nor we can read what is there.
        StoreUnavailable: If Redis cannot be reached.
    """
    try:
        with _store(connection) as store:
            payload = store.get_value(key.encode())
    except StoreUnavailable as error:
        if error.reason.startswith("WRONGTYPE"):
            raise RemoteProtocolError("not a value: a list or the like", key) from error
        raise
    if payload is None:
        return default
    if b"\0" not in payload:
        # That is how R's client tells text from a serialized value.
        try:
            text = payload.decode()
        except UnicodeDecodeError as error:
            raise RemoteProtocolError("neither an R value nor text", key) from error
        return text if convert else rinterop.values.character(text)
    try:
        value = rinterop.loads(payload)
    except rinterop.DecodeError as error:
        raise RemoteProtocolError(f"not an R value: {error}", key) from error
    return rinterop.to_python(value) if convert else value


def redis_delete(key: str, *, connection: ConnectionSettings | None = None) -> bool:
    """Remove a value; whether there was one.

    Raises:
        StoreUnavailable: If Redis cannot be reached.
    """
    with _store(connection) as store:
        return bool(store.delete_value(key.encode()))


class Values(Protocol):
    """Where values are: a `Store`, or, in a body, the worker's agent."""

    def get_value(self, key: bytes) -> bytes | None:
        """What is stored under `key`."""
        ...

    def set_value(self, key: bytes, value: bytes) -> None:
        """Store a value."""
        ...

    def delete_value(self, key: bytes) -> int:
        """Remove a value; how many there were: 0 or 1."""
        ...


_in_body: Values | None = None


def use_in_bodies(values: Values | None) -> None:
    """Have all values go this way unless a connection is named: this process runs bodies. None: no longer."""
    global _in_body
    _in_body = values


@contextmanager
def _store(connection: ConnectionSettings | None) -> Iterator[Values]:
    if connection is None and _in_body is not None:
        yield _in_body
        return
    # Imported late: executors have no connection, and start without what it needs.
    from pydoredis.registered import connection_or_registered
    from pydoredis.store import Store

    store = Store(connection_or_registered(connection))
    try:
        yield store
    finally:
        store.close()
