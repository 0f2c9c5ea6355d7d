"""Numbers of the format (R Internals, "Serialization Formats"; R: serialize.c, Rinternals.h)."""

from __future__ import annotations

from typing import Final

# Type codes in bits 0..7 of an item's flags word.
SYM: Final = 1
LIST: Final = 2
CLO: Final = 3
ENV: Final = 4
PROM: Final = 5
LANG: Final = 6
SPECIAL: Final = 7
BUILTIN: Final = 8
CHAR: Final = 9
LGL: Final = 10
INT: Final = 13
REAL: Final = 14
CPLX: Final = 15
STR: Final = 16
DOT: Final = 17
VEC: Final = 19
EXPR: Final = 20
BCODE: Final = 21
EXTPTR: Final = 22
WEAKREF: Final = 23
RAW: Final = 24
S4SXP: Final = 25

# Markers: no R type, or a type in a special form.
ALTREP: Final = 238
ATTRLIST: Final = 239
ATTRLANG: Final = 240
BASEENV: Final = 241
EMPTYENV: Final = 242
BCREPREF: Final = 243
BCREPDEF: Final = 244
PERSIST: Final = 247
PACKAGE: Final = 248
NAMESPACE: Final = 249
BASENAMESPACE: Final = 250
MISSINGARG: Final = 251
UNBOUNDVALUE: Final = 252
GLOBALENV: Final = 253
NIL: Final = 254
REF: Final = 255

# The other bits of the flags word.
IS_OBJECT: Final = 1 << 8
HAS_ATTRIBUTES: Final = 1 << 9
HAS_TAG: Final = 1 << 10
GP_SHIFT: Final = 12
GP_MASK: Final = 0xFFFF
CHAR_BITS: Final = IS_OBJECT | HAS_ATTRIBUTES
"""What must not be set in the flags word of a string: R gives strings no attributes and no class."""


def _heeded(code: int) -> int:
    if code in (LIST, CLO, PROM, LANG, DOT):
        bits = IS_OBJECT | HAS_ATTRIBUTES | HAS_TAG | GP_MASK << GP_SHIFT
    elif code == ALTREP:
        bits = IS_OBJECT | GP_MASK << GP_SHIFT
    elif code == REF:
        bits = 0xFFFF_FF00
    elif code > ALTREP or code in (SYM, ENV):
        bits = 0
    else:
        bits = IS_OBJECT | HAS_ATTRIBUTES | GP_MASK << GP_SHIFT
    return 0xFF | bits


HEEDED: Final = tuple(map(_heeded, range(256)))
"""By type code, which bits of a flags word R heeds when it reads (R: serialize.c, ReadItem). It ignores the
others, and so R 1.x could leave in them what it liked: the bit of a tag on vectors and strings, say."""


def heeded(flags: int) -> int:
    """A flags word as far as R heeds it."""
    return flags & HEEDED[flags & 0xFF]


MAX_SYMBOL: Final = 10_000
"""Longest name in bytes (R: Defn.h, MAXIDSIZE)."""
MAX_BUILTIN: Final = 256
"""R's longest primitive name has some 20 bytes; R itself would allocate whatever is asked."""
MAX_ENCODING: Final = 63
"""Longest name of a native encoding (R: Defn.h, R_CODESET_MAX)."""

WRITER_VERSION: Final = 0x0004_0202
"""The R we write as: 4.2.2."""
MIN_READER: Final = {2: 0x0002_0300, 3: 0x0003_0500}
"""By format version, the oldest R that reads it."""
NATIVE_ENCODING: Final = b"UTF-8"
