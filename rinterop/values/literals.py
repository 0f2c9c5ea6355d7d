"""R's literals: names, strings and numbers as R code spells them (R: deparse.c, EncodeString, formatReal)."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any, Final

from rinterop.values.base import NA, NAType
from rinterop.values.text import BYTES, RText, double_text
from rinterop.values.vectors import (
    NA_INTEGER,
    Character,
    Complex,
    Double,
    Integer,
    Logical,
    Raw,
    is_na_real,
)

RESERVED: Final = frozenset(
    """
    if else repeat while function for next break in TRUE FALSE NULL Inf NaN NA NA_integer_ NA_real_
    NA_character_ NA_complex_
    """.split()  # noqa: SIM905  # words read better so
)
_NAME: Final = re.compile(r"(?:[^\W\d_]|\.(?![0-9]))[\w.]*|\.\.[0-9]+")

EMPTY: Final[dict[type[Any], str]] = {
    Logical: "logical(0)",
    Integer: "integer(0)",
    Double: "numeric(0)",
    Complex: "complex(0)",
    Character: "character(0)",
    Raw: "raw(0)",
}
_MISSING: Final[dict[type[Any], str]] = {
    Integer: "NA_integer_",
    Double: "NA_real_",
    Complex: "NA_complex_",
    Character: "NA_character_",
}
_ESCAPES: Final = dict(zip("\n\t\v\b\r\f\a\\\0", ("\\" + letter for letter in "ntvbrfa\\0"), strict=True))
_UNPRINTABLE: Final = frozenset({"Cc", "Cn", "Cs", "Zl", "Zp"})


def is_name(text: str) -> bool:
    """Whether `text` can stand in R code as a name without backquotes."""
    return _NAME.fullmatch(text) is not None and text not in RESERVED


def escaped(text: str, quote: str) -> str:
    """`text` as it stands between two `quote`s."""
    if isinstance(text, RText):
        if text.gp & BYTES:
            return "".join(chr(b) if 32 <= b < 127 else f"\\\\x{b:02x}" for b in text.raw)
        text = str(text)
    if text.isascii() and text.isprintable() and "\\" not in text and quote not in text:
        return text
    return "".join([_escaped(character, quote) for character in text])


def _escaped(character: str, quote: str) -> str:
    if character == quote:
        return "\\" + character
    if character in _ESCAPES:
        return _ESCAPES[character]
    if unicodedata.category(character) not in _UNPRINTABLE:
        return character
    code = ord(character)
    if code < 128:
        return f"\\{code:03o}"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{{{code:06x}}}"


def string(text: str | NAType) -> str:
    """A string in double quotes."""
    return "NA_character_" if isinstance(text, NAType) else f'"{escaped(text, chr(34))}"'


def run(value: Any) -> str | None:
    """`1:10` for two or more integers that go up or down by one; None for anything else."""
    if not isinstance(value, Integer) or len(value) < 2:
        return None
    numbers = value.values.astype("int64")
    steps = numbers[1:] - numbers[:-1]
    if abs(steps[0]) != 1 or (steps != steps[0]).any() or NA_INTEGER in (numbers[0], numbers[-1]):
        return None
    return f"{numbers[0]}:{numbers[-1]}"


def elements(value: Any, most: int | None = None) -> list[str]:
    """The code for the first `most` elements. NA has its type in its name where all elements are NA."""
    texts = _elements(value, most)
    if most is not None and len(value) > most and all(text is None for text in texts):
        texts = _elements(value)
    if type(value) in _MISSING and all(text is None for text in texts):
        return [_MISSING[type(value)]] * len(texts)
    return ["NA" if text is None else text for text in texts]


def _elements(value: Any, most: int | None = None) -> list[str | None]:
    match value:
        case Logical():
            return [
                None if x is NA else "TRUE" if x else "FALSE"
                for x in map(value.__getitem__, range(len(value))[:most])
            ]
        case Integer():
            return [None if n == NA_INTEGER else f"{n}L" for n in value.values[:most].tolist()]
        case Double():
            numbers = value.values[:most]
            missing = is_na_real(numbers).tolist()
            return [None if na else double_text(x) for x, na in zip(numbers.tolist(), missing, strict=True)]
        case Complex():
            pairs = value.values[:most]
            missing = is_na_real(pairs.view("float64")).tolist()
            return [_complex(z, missing[2 * i], missing[2 * i + 1]) for i, z in enumerate(pairs.tolist())]
        case Raw():
            return [f"0x{byte:02x}" for byte in value.values[:most]]
        case _:
            return [None if isinstance(text, NAType) else string(text) for text in value.values[:most]]


def _complex(z: complex, real_na: bool, imaginary_na: bool) -> str | None:
    if real_na and imaginary_na:
        return None
    if math.isnan(z.real) or not math.isfinite(z.imag):
        # Where one part is NA, R finds no digits worth showing in the other.
        write = _whole if real_na or imaginary_na else double_text
        real = "NA" if real_na else write(z.real)
        imaginary = "NA" if imaginary_na else write(z.imag)
        return f"complex(real={real}, imaginary={imaginary})"
    # 15 significant digits of the larger part; both parts in the same notation.
    largest = max((abs(x) for x in (z.real, z.imag) if math.isfinite(x)), default=0.0)
    digits = 14 - math.floor(math.log10(largest)) if largest else 0
    parts = [_rounded(x, digits) if math.isfinite(x) else x for x in (z.real, z.imag)]
    fixed = [double_text(abs(x), 1000) for x in parts]
    scientific = [double_text(abs(x), -1000) if x else "0e+00" for x in parts]
    real, imaginary = fixed if sum(map(len, fixed)) <= sum(map(len, scientific)) else scientific
    return f"{'-' * (z.real < 0 and parts[0] != 0)}{real}{'-' if z.imag < 0 else '+'}{imaginary}i"


def _whole(x: float) -> str:
    return f"{x:.0f}" if math.isfinite(x) else double_text(x)


def _rounded(x: float, digits: int) -> float:
    """To so many decimals: R takes the nearer of two candidates in doubles (nmath: fround.c).

    That decides how many decimals there are; which they are, the decimal expansion of the number itself.
    """
    if not 0 < digits < 300:
        return round(x, digits) if -300 < digits <= 0 else x
    scale = 10.0**digits
    below, above = math.floor(abs(x) * scale), math.ceil(abs(x) * scale)
    down, up = abs(x) - below / scale, above / scale - abs(x)
    nearer = below if down < up or (down == up and below % 2 == 0) else above
    decimals = len(double_text(nearer / scale, 1000).partition(".")[2])
    return round(x, decimals)
