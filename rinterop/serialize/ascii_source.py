"""The ascii form: numbers as words, strings with escapes (R: serialize.c, InWord, InString)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rinterop.errors import DecodeError, UnexpectedEnd
from rinterop.serialize.sources import read_char
from rinterop.values import NA_INTEGER, NAType
from rinterop.values.vectors import NA_REAL_BITS

_SPACE: Final = re.compile(rb"[ \t\n\v\f\r]*")
# 128 bytes is R's buffer for a word. A longer one is no number, and int() of it takes time.
_WORD: Final = re.compile(rb"[^ \t\n\v\f\r]{1,128}(?=[ \t\n\v\f\r]|\Z)")
_INTEGER: Final = re.compile(rb"-?[0-9]{1,10}")
_DECIMAL: Final = re.compile(rb"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_HEXADECIMAL: Final = re.compile(rb"-?0[xX][0-9a-fA-F]+\.?[0-9a-fA-F]*(?:[pP][-+]?[0-9]{1,6})?")
_BYTE: Final = re.compile(rb"[0-9a-fA-F]{2}")
_ESCAPE: Final = re.compile(rb"\\(?:([0-7]{1,3})|([ntvbrfa\\?'\"]))")
_CONTROLS: Final = dict(zip(b"ntvbrfa\\?'\"", b"\n\t\v\b\r\f\a\\?'\"", strict=True))
_SPECIAL_DOUBLES: Final = {
    b"NA": NA_REAL_BITS,
    b"NaN": 0x7FF8_0000_0000_0000,
    b"Inf": 0x7FF0_0000_0000_0000,
    b"-Inf": 0xFFF0_0000_0000_0000,
}
_AS_BITS: Final = struct.Struct("=d"), struct.Struct("=Q")


class AsciiSource:
    """Reads words off an ascii stream."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position

    def _next(self) -> bytes:
        start = self._skip_space()
        found = _WORD.match(self.data, start)
        if found is None:
            if start >= len(self.data):
                raise UnexpectedEnd(start, "the input ends where a word is expected")
            raise DecodeError(start, "a word of more than 128 characters")
        self.position = found.end()
        return found.group()

    def _skip_space(self) -> int:
        found = _SPACE.match(self.data, self.position)
        return self.position if found is None else found.end()

    def word(self) -> int:
        text = self._next()
        if text == b"NA":
            return NA_INTEGER
        if _INTEGER.fullmatch(text):
            value = int(text)
            if -(2**31) <= value < 2**31:
                return value
        raise self._malformed("an integer", text)

    def require(self, count: int, width: int) -> None:
        # An element is at least a digit and a space; the last one may lack the space. Widths of a CHAR
        # (8) and of a complex number (16) stand for two words, anything else for one.
        words = count * 2 if width in (8, 16) and count else count
        left = len(self.data) - self.position
        if words > left:
            raise UnexpectedEnd(self.position, f"{count} elements are announced, {left} bytes are left")

    def text(self, size: int) -> bytes:
        if size == 0:
            return b""
        self.position = self._skip_space()
        out = bytearray()
        data, position = self.data, self.position
        while len(out) < size:
            # Up to the next escape all is literal.
            stop = data.find(b"\\", position, position + size - len(out))
            literal = data[position : stop if stop >= 0 else position + size - len(out)]
            out += literal
            position += len(literal)
            if len(out) == size:
                break
            if position >= len(data):
                raise UnexpectedEnd(position, "the input ends in the middle of a string")
            found = _ESCAPE.match(data, position)
            if found is None:
                raise DecodeError(position, "an unknown escape in a string")
            octal, letter = found.groups()
            value = int(octal, 8) if octal else _CONTROLS[letter[0]]
            if value > 255:
                raise DecodeError(position, "an escape that is no byte")
            out.append(value)
            position = found.end()
        self.position = position
        return bytes(out)

    def raw(self, size: int) -> bytes:
        self.require(size, 1)
        out = bytearray()
        for _ in range(size):
            text = self._next()
            if not _BYTE.fullmatch(text):
                raise self._malformed("a byte", text)
            out.append(int(text, 16))
        return bytes(out)

    def integers(self, count: int) -> NDArray[np.int32]:
        self.require(count, 4)
        array = np.fromiter((self.word() for _ in range(count)), np.int32, count)
        array.flags.writeable = False
        return array

    def doubles(self, count: int) -> NDArray[np.float64]:
        self.require(count, 4)
        array = np.fromiter(self._double_bits(count), np.uint64, count).view(np.float64)
        array.flags.writeable = False
        return array

    def _double_bits(self, count: int) -> Iterator[int]:
        pack, unpack = _AS_BITS[0].pack, _AS_BITS[1].unpack
        for _ in range(count):
            text = self._next()
            special = _SPECIAL_DOUBLES.get(text)
            if special is not None:
                yield special
            elif _DECIMAL.fullmatch(text):
                yield unpack(pack(float(text)))[0]
            elif _HEXADECIMAL.fullmatch(text):
                try:
                    yield unpack(pack(float.fromhex(text.decode("ascii"))))[0]
                except OverflowError:
                    raise self._malformed("a double", text) from None
            else:
                raise self._malformed("a double", text)

    def strings(self, count: int, native: str) -> tuple[str | NAType, ...]:
        self.require(count, 8)
        return tuple([read_char(self, native) for _ in range(count)])

    def _malformed(self, what: str, text: bytes) -> DecodeError:
        return DecodeError(self.position - len(text), f"not {what}: {text[:20]!r}")
