"""Large buffers behind a message: R reads the message and ignores what follows, Python maps the buffers.

A message with parts is R's stream, the parts, each at a multiple of 64 bytes, a table with offset and size of
each part, and a trailer: the stream's size, the number of parts, `MAGIC`. Numbers are little-endian, in 64
bits. A message without parts is the stream alone.

Very large parts are kept in keys of their own, in pieces (`QueueKeys.piece`): what stands in the message's
own key is then the stream, table and trailer as above, and a second trailer: the size of the stream, offset
and size of what is in the pieces, the name of the pieces, `MAGIC_APART`. An agent puts all of it together, so
that executors know one form alone.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pydoredis.errors import RemoteProtocolError

MAGIC: Final = b"pydoredis parts\n"
MAGIC_APART: Final = b"pydoredis apart\n"

LEAST_BYTES: Final = 1 << 20
"""Buffers from this size on travel as parts: for smaller ones a copy costs less than a mapping."""

PIECE_BYTES: Final = 1 << 26
"""Size of a piece; parts that are smaller together stay behind their message."""

_ALIGNMENT: Final = 64  # of what processors read in one step
_ENTRY: Final = struct.Struct("<QQ")
_TRAILER: Final = struct.Struct(f"<QQ{len(MAGIC)}s")
_TRAILER_APART: Final = struct.Struct(f"<QQQ16s{len(MAGIC_APART)}s")

Buffer: TypeAlias = "bytes | bytearray | memoryview"


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it goes to Redis.

    Attributes:
        value: What its key holds.
        name: What its pieces are called; empty if there are none.
        body: What they hold together, as buffers in their order.
    """

    value: bytes
    name: str = ""
    body: Sequence[Buffer] = ()

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return len(self.value) + _size(self.body)

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return -(-_size(self.body) // PIECE_BYTES)

    def pieces(self) -> Iterator[Buffer]:
        """What each of them holds, in their order."""
        piece: list[memoryview] = []
        room = PIECE_BYTES
        for buffer in self.body:
            left = memoryview(buffer).cast("B")
            while left:
                taken, left = left[:room], left[room:]
                piece.append(taken)
                room -= len(taken)
                if not room:
                    yield _joined(piece)
                    piece, room = [], PIECE_BYTES
        if piece:
            yield _joined(piece)


@dataclass(frozen=True, slots=True)
class Apart:
    """What a message says of its pieces.

    Attributes:
        name: What they are called.
        stream: The message's stream.
        offset: Where in the whole message the pieces belong.
        size: How many bytes they hold together.
        tail: What follows behind them.
    """

    name: str
    stream: bytes
    offset: int
    size: int
    tail: bytes

    @property
    def whole_size(self) -> int:
        """Bytes of the message once it is put together."""
        return self.offset + self.size + len(self.tail)

    def place(self, at: int, most: int) -> tuple[int, int, int]:
        """Where to read on in the pieces: number of the piece (from 1), first byte there, and how many.

        Args:
            at: How many bytes were read.
            most: How many to read at most.
        """
        number, first = divmod(at, PIECE_BYTES)
        return number + 1, first, min(most, PIECE_BYTES - first, self.size - at)


def join(stream: bytes, parts: Sequence[memoryview]) -> bytes:
    """A message with parts behind it."""
    if not parts:
        return stream
    body, tail = _laid_out(stream, parts)
    return b"".join([stream, *body, tail])


def message(stream: bytes, parts: Sequence[memoryview]) -> Message:
    """A message with parts behind it, or in pieces of their own if they are very large."""
    if sum(part.nbytes for part in parts) < PIECE_BYTES:
        return Message(join(stream, parts))
    (gap, *body), tail = _laid_out(stream, parts)
    offset = len(stream) + len(gap)
    name = secrets.token_bytes(8).hex()
    trailer = _TRAILER_APART.pack(len(stream), offset, _size(body), name.encode(), MAGIC_APART)
    return Message(stream + tail + trailer, name, body)


def apart(value: bytes) -> Apart | None:
    """What the value of a message's key says of its pieces; None if there are none.

    Raises:
        RemoteProtocolError: If what its end says does not fit its size.
    """
    if not value.endswith(MAGIC_APART) or len(value) < _TRAILER_APART.size:
        return None
    before = len(value) - _TRAILER_APART.size
    stream, offset, size, name, _ = _TRAILER_APART.unpack_from(value, before)
    if not (stream <= before and stream <= offset < stream + _ALIGNMENT and size and name.isalnum()):
        raise RemoteProtocolError(f"{len(value)} bytes that tell of pieces of {size} bytes at {offset}")
    return Apart(name.decode("ascii", "replace"), value[:stream], offset, size, value[stream:before])


def assembled(message: Message) -> Iterator[Buffer]:
    """The bytes of a message as those who read it have them, with its pieces where they belong."""
    about = apart(message.value)
    if about is None:
        yield message.value
        return
    yield about.stream
    yield bytes(about.offset - len(about.stream))
    yield from message.body
    yield about.tail


def _laid_out(stream: bytes, parts: Sequence[memoryview]) -> tuple[list[Buffer], bytes]:
    """What lies behind the stream: gaps and parts in turn; then table and trailer."""
    body: list[Buffer] = []
    table: list[bytes] = []
    at = len(stream)
    for part in parts:
        gap = -at % _ALIGNMENT
        body += [bytes(gap), part]
        table.append(_ENTRY.pack(at + gap, part.nbytes))
        at += gap + part.nbytes
    return body, b"".join([*table, _TRAILER.pack(len(stream), len(parts), MAGIC)])


def _joined(buffers: Sequence[memoryview]) -> Buffer:
    return buffers[0] if len(buffers) == 1 else b"".join(buffers)


def _size(buffers: Sequence[Buffer]) -> int:
    return sum(memoryview(buffer).nbytes for buffer in buffers)


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
