"""Values that sessions share through Redis, as doRedis's `redisSet()`, `redisGet()` and `redisDelete()` do.

They are R serialization under plain keys, so that R sessions, workers and Python programs read each other's.
Bodies of tasks that need much data are quicker if they fetch it once like this.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rinterop
from pydoredis.errors import LocalProtocolError, RemoteProtocolError, StoreUnavailable
from pydoredis.protocol.wire import MAX_MESSAGE
from pydoredis.settings import ConnectionSettings
from pydoredis.store import Store


def redis_set(key: str, value: object, *, connection: ConnectionSettings | None = None) -> None:
    """Store a value for R and Python sessions.

    Args:
        key: Any name; one that begins like a queue's keys (`RJOBS.env.`) is asking for trouble.
        value: What `rinterop.to_r` converts, or an R value of `rinterop`.
        connection: Which server; what `ConnectionSettings.load` finds by default.

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
        connection: Which server; what `ConnectionSettings.load` finds by default.

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


@contextmanager
def _store(connection: ConnectionSettings | None) -> Iterator[Store]:
    store = Store(connection or ConnectionSettings.load())
    try:
        yield store
    finally:
        store.close()
