"""The compressions of R's files: gzip, bzip2 and xz, told apart by their first bytes as R does."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

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
_CHUNK: Final = 2**20


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


def decompressed(data: bytes, max_size: int | None = MAX_SIZE) -> bytes:
    """`data` unpacked if it is gzip, bzip2, xz or lzma, else as it is.

    Several compressed pieces one after the other are joined, as R's connections do.

    Args:
        data: The whole content of a file.
        max_size: The most bytes to unpack, None for no limit.

    Raises:
        DecodeError: If the content is damaged or has more than `max_size` bytes; `UnexpectedEnd` if it
            stops short.
    """
    start = next((start for start in _DECOMPRESSORS if data.startswith(start)), None)
    if start is None:
        return data
    pieces: list[bytes] = []
    left = max_size
    while data.startswith(start):
        content, data = _member(data, _DECOMPRESSORS[start](), left)
        pieces.append(content)
        if left is not None:
            left -= len(content)
    return b"".join(pieces)


def _member(data: bytes, unpacker: Any, limit: int | None) -> tuple[bytes, bytes]:
    """One compressed piece: its content, and what follows it."""
    pieces: list[bytes] = []
    size = 0
    # What zlib did not get to it hands back; bz2 and lzma keep it to themselves.
    pending = data
    try:
        while not unpacker.eof:
            piece = unpacker.decompress(pending, _CHUNK)
            pending = getattr(unpacker, "unconsumed_tail", b"")
            starved = not pending and getattr(unpacker, "needs_input", True)
            if starved and not piece and not unpacker.eof:
                raise UnexpectedEnd(len(data), "the compressed data end too soon")
            pieces.append(piece)
            size += len(piece)
            if limit is not None and size > limit:
                raise DecodeError(0, "more compressed data than is allowed: see max_size")
    except (zlib.error, lzma.LZMAError, OSError) as error:
        raise DecodeError(0, f"damaged compressed data: {error}") from error
    return b"".join(pieces), unpacker.unused_data
