"""How each form of the format spells numbers and text: the writer's half of what `sources` reads.

XDR and native differ in byte order alone. The ascii form has a word a line (R: serialize.c, OutInteger,
OutReal, OutString); what it loses is told in docs/r-values.md.
"""

from __future__ import annotations

import math
import struct
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rinterop.serialize.header import NATIVE, TEXT, XDR
from rinterop.serialize.many import MANY, write_ascii
from rinterop.values import NA_INTEGER, NAType, is_na_real

FormName: TypeAlias = Literal["xdr", "native", "ascii", "asciihex"]

MAGIC: Final[dict[FormName, bytes]] = {"xdr": XDR, "native": NATIVE, "ascii": TEXT, "asciihex": TEXT}
"""The first two bytes by form. A stream does not tell how the doubles of its text are spelled."""


class Form(Protocol):
    """What the writer asks of a form. All give the bytes to write."""

    def words(self, *numbers: int) -> bytes:
        """32-bit integers, signed."""

    def text(self, raw: bytes) -> bytes:
        """The bytes of a string or of a name."""

    def integers(self, values: NDArray[Any]) -> bytes | memoryview:
        """The elements of an integer or logical vector."""

    def doubles(self, values: NDArray[Any]) -> bytes | memoryview:
        """The elements of a double or complex vector."""

    def strings(self, values: tuple[str | NAType, ...]) -> bytes | None:
        """The elements of a character vector all at once; None if they are to be written one by one."""

    def raw(self, values: bytes) -> bytes:
        """The elements of a raw vector."""


class BinaryForm:
    """XDR (`order` ">") and native, little-endian ("<"). NaNs keep their bits: doubles go as integers."""

    def __init__(self, order: Literal["<", ">"]) -> None:
        self._order: Literal["<", ">"] = order

    def words(self, *numbers: int) -> bytes:
        return struct.pack(f"{self._order}{len(numbers)}i", *numbers)

    def text(self, raw: bytes) -> bytes:
        return raw

    def integers(self, values: NDArray[Any]) -> memoryview:
        return np.ascontiguousarray(values).view("=u4").astype(self._order + "u4", copy=False).data

    def doubles(self, values: NDArray[Any]) -> memoryview:
        return np.ascontiguousarray(values).view("=u8").astype(self._order + "u8", copy=False).data

    def strings(self, values: tuple[str | NAType, ...]) -> bytes | None:
        return write_ascii(values, self._order) if len(values) >= MANY else None

    def raw(self, values: bytes) -> bytes:
        return values


_ESCAPES: Final = [b"\\%03o" % byte if byte <= 32 or byte >= 127 else bytes((byte,)) for byte in range(256)]
for _byte, _letter in zip(b"\n\t\v\b\r\f\a\\?'\"", b"ntvbrfa\\?'\"", strict=True):
    _ESCAPES[_byte] = b"\\%c" % _letter


class AsciiForm:
    """Words of text. Doubles have up to 16 significant digits or, `exact`, are hexadecimal."""

    def __init__(self, *, exact: bool) -> None:
        self._number = _hexadecimal if exact else _decimal

    def words(self, *numbers: int) -> bytes:
        return b"".join([b"NA\n" if n == NA_INTEGER else b"%d\n" % n for n in numbers])

    def text(self, raw: bytes) -> bytes:
        return b"".join([_ESCAPES[byte] for byte in raw]) + b"\n"

    def integers(self, values: NDArray[Any]) -> bytes:
        return self.words(*values.tolist())

    def doubles(self, values: NDArray[Any]) -> bytes:
        numbers = np.ascontiguousarray(values).view(np.float64)
        number, missing = self._number, is_na_real(numbers).tolist()
        return b"".join(
            [b"NA\n" if na else number(x) for x, na in zip(numbers.tolist(), missing, strict=True)]
        )

    def strings(self, values: tuple[str | NAType, ...]) -> bytes | None:
        return None

    def raw(self, values: bytes) -> bytes:
        return b"".join([b"%02x\n" % byte for byte in values])


def _decimal(x: float) -> bytes:
    return b"%.16g\n" % x if math.isfinite(x) else _not_finite(x)


def _hexadecimal(x: float) -> bytes:
    """As C's `%a`: `float.hex` without the zeros that end a fraction."""
    if not math.isfinite(x):
        return _not_finite(x)
    mantissa, _, exponent = x.hex().partition("p")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{exponent}\n".encode("ascii")


def _not_finite(x: float) -> bytes:
    return b"NaN\n" if math.isnan(x) else b"Inf\n" if x > 0 else b"-Inf\n"


FORMS: Final[dict[FormName, Form]] = {
    "xdr": BinaryForm(">"),
    "native": BinaryForm("<"),
    "ascii": AsciiForm(exact=False),
    "asciihex": AsciiForm(exact=True),
}
