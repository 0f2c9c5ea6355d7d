"""Commands as bytes. The client's own way copies every argument three times, which shows with large ones."""

from __future__ import annotations

from typing import Any

from redis import connection
from redis.utils import HIREDIS_AVAILABLE

_LARGE = 1 << 16
_SIZED = (bytes, memoryview)


class Packer:
    """What a connection of redis-py packs its commands with."""

    def __init__(self) -> None:
        encoder = connection.Encoder("utf-8", "strict", False)  # type: ignore[attr-defined, no-untyped-call]
        # It leaves large arguments as they are, and is slower with small ones.
        self._large = connection.PythonRespSerializer(_LARGE, encoder.encode)
        self._small: Any = connection.HiredisRespSerializer() if HIREDIS_AVAILABLE else self._large

    def pack(self, *arguments: object) -> list[bytes | memoryview]:
        """The pieces of one command."""
        for argument in arguments:
            if isinstance(argument, _SIZED) and len(argument) > _LARGE:
                return self._large.pack(*arguments)  # type: ignore[no-any-return,no-untyped-call]
        return self._small.pack(*arguments)  # type: ignore[no-any-return]
