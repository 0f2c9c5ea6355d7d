"""The compressions of R's files: gzip, bzip2 and xz, told apart by their first bytes as R does."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Final, Literal, TypeAlias

from rinterop.errors import DecodeError, UnexpectedEnd

Compression: TypeAlias = Literal["gzip", "bzip2", "xz"]

MAX_SIZE: Final = 2**31
"""Bytes to which `decompressed` goes without being asked for more. 2 MB of gzip can hold 2 GB of zeros."""

_COMPRESSORS: Final[dict[str, Callable[[bytes], bytes]]] = {
    # The levels of R's saveRDS. No time stamp: the same value gives the same file.
    "gzip": lambda data: gzip.compress(data, 6, mtime=0),
    "bzip2": lambda data: bz2.compress(data, 9),
    "xz": lambda data: lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32, preset=6),
}
_DECOMPRESSORS: Final[dict[bytes, Callable[[], Any]]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
    b"\x5d\0\0": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_XZ_MEMORY),
}
_XZ_MEMORY: Final = 2**29
"""Bytes for xz's dictionary, which the file asks for: R's own limit (R: connections.c, xzfile_open)."""
_OUT: Final = 2**20
"""Bytes that a decompressor gives at most at a time: little input may hold much."""
_IN: Final = 2**14
"""Bytes that it is given at a time. Python's decompressors copy what they are given and do not use."""
_BLOCK: Final = 2**20
"""Bytes read from a file at a time."""


def compressed(data: bytes, kind: Compression | None) -> bytes:
    """`data` in one of R's compressions; None: as it is.

    Raises:
        ValueError: If there is no such compression.
    """
    if kind is None:
        return data
    if kind not in _COMPRESSORS:
        raise ValueError(f"compress is None or one of {', '.join(_COMPRESSORS)}, not {kind!r}")
    return _COMPRESSORS[kind](data)


def decompressed(source: bytes | BinaryIO, max_size: int | None = MAX_SIZE) -> bytes:
    """The content unpacked if it is gzip, bzip2, xz or lzma, else as it is.

    Several compressed pieces one after the other are joined, as R's connections do. Takes time in proportion
    to input and output, and no more memory than the output.

    Args:
        source: The whole content of a file, or an open file, which is read from where it stands.
        max_size: The most bytes to unpack, None for no limit.

    Raises:
        DecodeError: If the content is damaged or has more than `max_size` bytes; `UnexpectedEnd` if it
            stops short.
    """
    packed = _Input(io.BytesIO(source) if isinstance(source, bytes) else source)
    start = next((start for start in _DECOMPRESSORS if packed.starts_with(start)), None)
    if start is None:
        return packed.rest()
    # Grows without a copy, and hands out what it holds without one, too.
    content = io.BytesIO()
    while packed.starts_with(start):
        _unpack_one(packed, _DECOMPRESSORS[start](), content, max_size)
    return content.getvalue()


class _Input:
    """A file, of which what comes next can be looked at."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._block = b""
        self._next = 0
        self._earlier = 0

    @property
    def position(self) -> int:
        """Bytes taken so far."""
        return self._earlier + self._next

    def starts_with(self, text: bytes) -> bool:
        """Whether this comes next."""
        while len(self._block) - self._next < len(text):
            # A pipe gives what there is.
            more = self._file.read(_BLOCK)
            if not more:
                return False
            self._earlier += self._next
            self._block, self._next = self._block[self._next :] + more, 0
        return self._block.startswith(text, self._next)

    def take(self) -> memoryview:
        """Some bytes, none at the end."""
        if self._next == len(self._block):
            self._earlier += self._next
            self._block, self._next = self._file.read(_BLOCK), 0
        found = memoryview(self._block)[self._next : self._next + _IN]
        self._next += len(found)
        return found

    def give_back(self, size: int) -> None:
        """The last bytes taken were not needed."""
        self._next -= size

    def rest(self) -> bytes:
        """All that has not been taken."""
        ahead = self._block[self._next :]
        if not self._file.seekable():
            return ahead + self._file.read()
        self._block, self._next = b"", 0
        self._file.seek(-len(ahead), io.SEEK_CUR)
        return self._file.read()


def _unpack_one(packed: _Input, unpacker: Any, content: BinaryIO, max_size: int | None) -> None:
    """Append one compressed piece to `content`."""
    pending: bytes | memoryview = b""
    while not unpacker.eof:
        try:
            piece = unpacker.decompress(pending, _OUT)
        except (zlib.error, lzma.LZMAError, OSError) as error:
            raise DecodeError(packed.position, f"damaged compressed data: {error}") from error
        content.write(piece)
        if max_size is not None and content.tell() > max_size:
            raise DecodeError(packed.position, "more compressed data than is allowed: see max_size")
        # What zlib did not get to it hands back; bz2 and lzma keep it to themselves.
        pending = getattr(unpacker, "unconsumed_tail", b"")
        if not pending and getattr(unpacker, "needs_input", True) and not unpacker.eof:
            pending = packed.take()
            if not pending and not piece:
                raise UnexpectedEnd(packed.position, "the compressed data end too soon")
    packed.give_back(len(unpacker.unused_data))
