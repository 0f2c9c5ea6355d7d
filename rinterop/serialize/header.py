"""The first bytes of a stream: its form, format version, and who wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rinterop.errors import DecodeError
from rinterop.serialize.ascii_source import AsciiSource
from rinterop.serialize.constants import MAX_ENCODING, MIN_READER, NATIVE_ENCODING, WRITER_VERSION
from rinterop.serialize.sources import BinarySource
from rinterop.values.text import NATIVE_CODECS

XDR: Final = b"X\n"
NATIVE: Final = b"B\n"
TEXT: Final = b"A\n"
_OTHER_TEXTS: Final = (b"A\r", b"\nA")
"""The ascii form with the lines of Windows, and after the end of a line before it, as R takes it, too."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the item.

    Attributes:
        magic: `b"X\\n"` (XDR), `b"B\\n"` (native, little-endian) or `b"A\\n"` (ascii).
        version: 2 or 3.
        writer: Version of the R that wrote it, `major<<16 | minor<<8 | patch`.
        min_reader: The oldest R able to read it.
        encoding: In which encoding strings without a mark are; version 3 only.
    """

    magic: bytes = XDR
    version: int = 3
    writer: int = WRITER_VERSION
    min_reader: int = MIN_READER[3]
    encoding: bytes | None = NATIVE_ENCODING

    @property
    def codec(self) -> str:
        """Python's name for the encoding; UTF-8 for those that are not known here."""
        name = "utf-8" if self.encoding is None else self.encoding.decode("latin-1").lower()
        return NATIVE_CODECS.get(name, "utf-8")


def open_source(data: bytes) -> tuple[Header, BinarySource | AsciiSource]:
    """Read the header; the source stands at the item.

    Raises:
        DecodeError: If this is not R's serialize() format, version 2 or 3.
    """
    magic = data[:2]
    start = 2
    if magic in _OTHER_TEXTS:
        magic, start = TEXT, data.index(b"A") + 1
    source: BinarySource | AsciiSource
    if magic == XDR:
        source = BinarySource(data, ">", 2)
    elif magic == NATIVE:
        # Nothing in the stream tells the byte order of its writer. All R platforms in use are little-endian.
        source = BinarySource(data, "<", 2)
    elif magic == TEXT:
        source = AsciiSource(data, start)
    else:
        raise DecodeError(0, "not R's serialize() format")
    version, writer, min_reader = source.word(), source.word(), source.word()
    if version == 2:
        return Header(magic, 2, writer, min_reader, None), source
    if version != 3:
        raise DecodeError(2, f"serialization version {version}, not 2 or 3")
    start = source.position
    size = source.word()
    if not 0 <= size <= MAX_ENCODING:
        raise DecodeError(start, f"a name of {size} bytes for the native encoding")
    return Header(magic, 3, writer, min_reader, source.text(size)), source


def read_header(data: bytes | bytearray | memoryview) -> Header:
    """Who wrote a stream, and in which form.

    Raises:
        DecodeError: If this is not R's serialize() format, version 2 or 3.
    """
    return open_source(bytes(data[:4096]))[0]
