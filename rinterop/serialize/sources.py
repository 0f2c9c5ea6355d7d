"""Where bytes come from. Every byte of a binary or ascii stream passes through a source, and only the
source knows how numbers are spelled and what the end of the input means.

All methods raise `UnexpectedEnd` if the input is too short, before anything is allocated.
"""

from __future__ import annotations

import struct
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from rinterop.errors import DecodeError, UnexpectedEnd
from rinterop.serialize.constants import CHAR, CHAR_BITS, GP_SHIFT
from rinterop.serialize.many import MANY, read_ascii
from rinterop.values import NA, NAType
from rinterop.values.text import ASCII, UTF8, text_of

Array = NDArray[Any]


class Source(Protocol):
    """What the reader asks of its input. Counts are elements; `position` is a byte offset."""

    position: int

    def word(self) -> int:
        """One 32-bit integer, signed."""

    def require(self, count: int, width: int) -> None:
        """Check that `count` things of at least `width` bytes in binary form may still follow."""

    def text(self, size: int) -> bytes:
        """The bytes of a string or of a name."""

    def raw(self, size: int) -> bytes:
        """The elements of a raw vector."""

    def integers(self, count: int) -> NDArray[np.int32]:
        """Read-only, native byte order."""

    def doubles(self, count: int) -> NDArray[np.float64]:
        """Read-only, native byte order, bits as in the input."""

    def strings(self, count: int, native: str) -> tuple[str | NAType, ...]:
        """The elements of a character vector."""


class BinarySource:
    """The XDR form (`order` ">") and the native one ("<").

    Native vectors are views of the input and keep it alive; XDR ones are swapped copies, since arrays in
    foreign byte order are slow and many extensions refuse them. Swapping is done on integers: moved
    through a float register, a signalling NaN would come out quiet.
    """

    def __init__(self, data: bytes, order: str, position: int) -> None:
        self.data = data
        self.position = position
        self._end = len(data)
        self._word = struct.Struct(order + "i").unpack_from
        self._pair = struct.Struct(order + "Ii").unpack_from
        self._int_type: Final = np.dtype(order + "i4")
        self._long_type: Final = np.dtype(order + "u8")
        self._swapped = order == ">"
        self._latin1 = ""  # the data as text, made when many strings are to be cut out of it

    def word(self) -> int:
        position = self.position
        try:
            value: int = self._word(self.data, position)[0]
        except struct.error:
            raise UnexpectedEnd(self._end, "the input ends in the middle of a word") from None
        self.position = position + 4
        return value

    def require(self, count: int, width: int) -> None:
        left = self._end - self.position
        if count * width > left:
            raise UnexpectedEnd(self.position, f"{count} elements are announced, {left} bytes are left")

    def text(self, size: int) -> bytes:
        self.require(size, 1)
        start = self.position
        self.position = start + size
        return self.data[start : start + size]

    raw = text

    def _array(self, count: int, width: int, dtype: np.dtype[Any]) -> Array:
        self.require(count, width)
        found = np.frombuffer(self.data, dtype, count * width // dtype.itemsize, self.position)
        self.position += count * width
        if self._swapped:
            found = found.astype(dtype.newbyteorder("="))
            found.flags.writeable = False
        return found

    def integers(self, count: int) -> NDArray[np.int32]:
        return self._array(count, 4, self._int_type)

    def doubles(self, count: int) -> NDArray[np.float64]:
        return self._array(count, 8, self._long_type).view(np.float64)

    def strings(self, count: int, native: str) -> tuple[str | NAType, ...]:
        self.require(count, 8)
        if count >= MANY:
            self._latin1 = self._latin1 or str(self.data, "latin-1")
            found = read_ascii(self._latin1, self._pair, self.data, self.position, count)
            if found is not None:
                self.position = found[1]
                return found[0]
        # The loop of the format: it looks twice at nothing, and calls nothing for ASCII.
        data, pair, end, position = self.data, self._pair, self._end, self.position
        texts: list[str | NAType] = []
        for _ in range(count):
            if position + 8 > end:
                raise UnexpectedEnd(end, "the input ends in the middle of a string")
            flags, size = pair(data, position)
            if flags & 0xFF != CHAR or flags & CHAR_BITS:
                raise DecodeError(position, "an element of a character vector is not a string")
            position += 8
            if size < 0:
                if size != -1:
                    raise DecodeError(position - 4, f"a string of length {size}")
                texts.append(NA)
                continue
            if size > end - position:
                raise UnexpectedEnd(position, f"a string of {size} bytes, {end - position} are left")
            raw = data[position : position + size]
            if b"\0" in raw:
                raise DecodeError(position, "a string with a NUL inside")
            position += size
            gp = flags >> GP_SHIFT
            if gp == ASCII and raw.isascii():
                texts.append(str(raw, "ascii"))
            else:
                texts.append(text_of(raw, gp, native))
        self.position = position
        return tuple(texts)


def read_char(source: Source, native: str) -> str | NAType:
    """One CHAR item from any source."""
    start = source.position
    flags = source.word()
    if flags & 0xFF != CHAR or flags & CHAR_BITS:
        raise DecodeError(start, "a string is expected here")
    return char_body(source, flags, native)


def char_body(source: Source, flags: int, native: str) -> str | NAType:
    """What follows a CHAR item's flags word."""
    start = source.position
    size = source.word()
    if size == -1:
        return NA
    if size < 0:
        raise DecodeError(start, f"a string of length {size}")
    raw = source.text(size)
    if b"\0" in raw:
        raise DecodeError(start, "a string with a NUL inside")
    return text_of(raw, flags >> GP_SHIFT, native)


__all__ = ["ASCII", "UTF8", "BinarySource", "Source", "char_body", "read_char"]
