"""Large buffers behind a message: R reads the message and ignores what follows, Python maps the buffers.

A message with parts is R's stream, the parts, each at a multiple of 64 bytes, a table with offset and size of
each part, and a trailer: the stream's size, the number of parts, `MAGIC`. Numbers are little-endian, in 64
bits. A message without parts is the stream alone.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, TypeAlias

from pydoredis.errors import RemoteProtocolError

MAGIC: Final = b"pydoredis parts\n"

LEAST_BYTES: Final = 1 << 20
"""Buffers from this size on travel as parts: for smaller ones a copy costs less than a mapping."""

_ALIGNMENT: Final = 64  # of what processors read in one step
_ENTRY: Final = struct.Struct("<QQ")
_TRAILER: Final = struct.Struct(f"<QQ{len(MAGIC)}s")

Buffer: TypeAlias = "bytes | bytearray | memoryview"


def join(stream: bytes, parts: Sequence[memoryview]) -> bytes:
    """A message with parts behind it."""
    if not parts:
        return stream
    pieces: list[Buffer] = [stream]
    table: list[bytes] = []
    at = len(stream)
    for part in parts:
        gap = -at % _ALIGNMENT
        pieces += [bytes(gap), part]
        table.append(_ENTRY.pack(at + gap, part.nbytes))
        at += gap + part.nbytes
    return b"".join([*pieces, *table, _TRAILER.pack(len(stream), len(parts), MAGIC)])


def split(message: memoryview) -> tuple[memoryview, list[memoryview]]:
    """The stream, and the parts as views of the message.

    Raises:
        RemoteProtocolError: If what the end of the message says does not fit its size.
    """
    before = len(message) - _TRAILER.size
    if before < 0 or bytes(message[-len(MAGIC) :]) != MAGIC:
        return message, []
    size, count, _ = _TRAILER.unpack_from(message, before)
    table = before - count * _ENTRY.size
    if not size <= table:
        raise RemoteProtocolError(f"{len(message)} bytes that tell of {count} parts behind {size} bytes")
    parts: list[memoryview] = []
    for place in range(count):
        offset, length = _ENTRY.unpack_from(message, table + place * _ENTRY.size)
        if not size <= offset <= offset + length <= table:
            raise RemoteProtocolError(f"{len(message)} bytes with a part of {length} at {offset}")
        parts.append(message[offset : offset + length])
    return message[:size], parts
