"""Strings: Python's `str` where that is lossless, a subclass that remembers the bytes where it is not."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

# Encoding bits of a CHARSXP (R Internals, 1.1.2 "Rest of header").
BYTES: Final = 0x02
LATIN1: Final = 0x04
UTF8: Final = 0x08
ASCII: Final = 0x40
_TABLE: Final = 27
"""The largest power of ten in R's table (R: format.c, KP_MAX)."""
MARKS: Final = BYTES | LATIN1 | UTF8 | ASCII
"""All gp bits of a string that mean something. R keeps no others."""

# The header of a version 3 stream names the encoding of strings without a mark. The name comes from
# the sender, so it picks from this list and never reaches codecs.lookup(): Python also has codecs
# that are no text encodings (zlib, base64) and some that are slow on purpose-made input.
NATIVE_CODECS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "ascii": "ascii",
    "us-ascii": "ascii",
    "ansi_x3.4-1968": "ascii",
    "latin1": "latin-1",
    "iso-8859-1": "latin-1",
    "iso8859-1": "latin-1",
    "iso-8859-2": "iso8859-2",
    "iso-8859-15": "iso8859-15",
    "iso8859-15": "iso8859-15",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1252": "cp1252",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "euc-jp": "euc-jp",
    "eucjp": "euc-jp",
    "cp932": "cp932",
    "sjis": "cp932",
    "gbk": "gbk",
    "cp936": "gbk",
    "gb18030": "gb18030",
    "big5": "big5",
    "cp950": "cp950",
    "euc-kr": "euc-kr",
    "euckr": "euc-kr",
    "cp949": "cp949",
}


class RText(str):
    """A string whose bytes or mark Python's `str` would lose: latin1, bytes, no mark, invalid UTF-8.

    It is a `str` (its best reading as text; bytes that cannot be decoded become lone surrogates, as
    with `surrogateescape`), so it compares, hashes and prints as one.

    Attributes:
        raw: The bytes as R holds them.
        gp: The CHARSXP's bits: BYTES, LATIN1, UTF8, ASCII, or 0 for "native encoding".
    """

    __slots__ = ("gp", "raw")
    raw: bytes
    gp: int

    def __new__(cls, raw: bytes, gp: int, native: str = "utf-8") -> RText:
        if gp & UTF8:
            codec = "utf-8"
        elif gp & LATIN1:
            codec = "latin-1"
        elif gp & (BYTES | ASCII):
            codec = "ascii"
        else:
            codec = native
        try:
            text = str(raw, codec)
        except UnicodeDecodeError:
            text = str(raw, "utf-8", "surrogateescape")
        self = super().__new__(cls, text)
        self.raw = raw
        self.gp = gp
        return self

    def __reduce__(self) -> tuple[type[RText], tuple[bytes, int]]:
        return RText, (self.raw, self.gp)


def text_of(raw: bytes, gp: int, native: str = "utf-8") -> str:
    """The string for a CHARSXP's bytes: a plain `str` when its bytes and mark follow from the text."""
    gp &= MARKS
    if gp == ASCII and raw.isascii():
        return str(raw, "ascii")
    if gp == UTF8 and not raw.isascii():
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError:
            pass
    return RText(raw, gp, native)


def bytes_of(text: str) -> tuple[bytes, int]:
    """The bytes and gp bits R would hold for `text`.

    Raises:
        UnicodeEncodeError: If a plain `str` holds lone surrogates.
    """
    if isinstance(text, RText):
        return text.raw, text.gp
    raw = text.encode("utf-8")
    return raw, ASCII if len(raw) == len(text) else UTF8


def double_text(x: float, scipen: int = 0) -> str:
    """`as.character(x)` of R 4.2 for a double that is not NA: 15 significant digits.

    Fixed notation is used where it is not wider than the scientific one plus `scipen` (R's format.c,
    formatReal).
    """
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "Inf" if x > 0 else "-Inf"
    if x == 0:
        return "0"
    significant, power = _magnitude(abs(x))
    decimals = max(0, significant - power - 1)
    fixed_width = max(power, 0) + 1 + (decimals + 1 if decimals else 0)
    scientific_width = significant + (significant > 1) + (5 if abs(power) >= 100 else 4)
    if fixed_width <= scientific_width + scipen:
        return f"{x:.{decimals}f}"
    return f"{x:.{significant - 1}e}"


def _magnitude(x: float) -> tuple[int, int]:
    """How many of 15 digits are significant, and the power of ten (R: format.c, scientific)."""
    mantissa, exponent = f"{x:.18e}".split("e")
    if mantissa[15] not in "09" or not 3800 <= int(mantissa[16:20]) <= 6200:
        mantissa, exponent = f"{x:.14e}".split("e")
        return len(mantissa.replace(".", "").rstrip("0")), int(exponent)
    # Near to the middle between two numbers of 15 digits, one of which ends in 0, R's arithmetic decides how
    # many digits there are. It scales a long double, by a table of doubles where that has the power.
    kp = math.floor(math.log10(x)) - 14
    scaled = np.longdouble(x)
    if abs(kp) > _TABLE:
        scaled /= np.longdouble(10) ** kp
    else:  # as R's compiler read them: `**` gives other doubles
        scaled = scaled * float(f"1e{-kp}") if kp < 0 else scaled / float(f"1e{kp}")
    if scaled < 1e14:
        scaled, kp = scaled * 10, kp - 1
    digits = str(int(np.rint(scaled)))
    return len(digits.rstrip("0")), kp + len(digits) - 1
