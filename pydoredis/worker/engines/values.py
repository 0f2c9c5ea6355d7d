"""`redis_get`, `redis_set` and `redis_delete` in a Python body: the agent carries them out."""

from __future__ import annotations

import socket

from pydoredis.errors import StoreUnavailable
from pydoredis.worker.engines.base import Ask
from pydoredis.worker.frames import REQUEST_HEAD, Answer, Operation


class AgentValues:
    """Users' values in Redis, without a connection of one's own; see `pydoredis.shared_values.Values`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def get_value(self, key: bytes) -> bytes | None:
        """What is stored under `key`."""
        return self._request(Operation.GET, key)

    def set_value(self, key: bytes, value: bytes) -> None:
        """Store a value."""
        self._request(Operation.SET, key, value)

    def delete_value(self, key: bytes) -> int:
        """Remove a value; how many there were: 0 or 1."""
        return int(self._request(Operation.DELETE, key) or 0)

    def close(self) -> None:
        """Nothing to close."""

    def _request(self, operation: Operation, key: bytes, value: bytes = b"") -> bytes | None:
        status, body = self._ask(operation.value + REQUEST_HEAD.pack(len(key)) + key + value)
        if status == Answer.ABSENT.value:
            return None
        if status != Answer.VALUE.value:
            raise StoreUnavailable(f"the agent on {socket.gethostname()}", body.decode("utf-8", "replace"))
        return bytes(body)
