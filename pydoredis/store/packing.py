"""Commands as bytes. The client's own way copies every argument three times, which shows with large ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from redis import connection
from redis.utils import HIREDIS_AVAILABLE

_LARGE = 1 << 16
_AT_ONCE = 1 << 20
"""Bytes that are sent in one step: the connection's time limit is for each."""

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
                return list(_in_steps(self._large.pack(*arguments)))  # type: ignore[no-untyped-call]
        return self._small.pack(*arguments)  # type: ignore[no-any-return]


def _in_steps(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The same bytes in pieces that are not too long."""
    for piece in pieces:
        if len(piece) <= _AT_ONCE:
            yield piece
            continue
        view = memoryview(piece)
        yield from (view[start : start + _AT_ONCE] for start in range(0, len(view), _AT_ONCE))
