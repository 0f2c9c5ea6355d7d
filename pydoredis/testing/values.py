"""Values that bodies and programs share (`redis_get`, R's `redisGet`), where there is no Redis."""

from __future__ import annotations

from pydoredis.worker.answers import Request, decode
from pydoredis.worker.engines.base import Ask
from pydoredis.worker.frames import Bytes, Frame, Kind
from pydoredis.worker.value_requests import carry_out


class Values:
    """Values in memory; see `pydoredis.shared_values.Values`."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    def get_value(self, key: bytes) -> bytes | None:
        """What is stored under `key`."""
        return self._values.get(key)

    def set_value(self, key: bytes, value: bytes) -> None:
        """Store a value."""
        self._values[key] = value

    def delete_value(self, key: bytes) -> int:
        """Remove a value; how many there were: 0 or 1."""
        return 0 if self._values.pop(key, None) is None else 1

    def close(self) -> None:
        """Nothing to close."""

    @property
    def ask(self) -> Ask:
        """Answers what an R body asks of its agent."""

        def answer(body: bytes) -> tuple[bytes, Bytes]:
            request = decode(Frame(Kind.REQUEST, 0, (), body))
            assert isinstance(request, Request)
            status, value = carry_out(self, request)
            return status.value, value

        return answer
