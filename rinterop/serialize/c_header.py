"""The C header with the numbers of the format, made from those that the Python code uses.

python -m rinterop.serialize.c_header csrc/codes.h      writes it anew
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from rinterop.serialize import constants, speed
from rinterop.values import altrep, text

FLAGS: Final = ("IS_OBJECT", "HAS_ATTRIBUTES", "HAS_TAG", "CHAR_BITS")
LIMITS: Final = ("GP_SHIFT", "MAX_SYMBOL", "MAX_BUILTIN")
STRING_BITS: Final = {"ASCII_BIT": text.ASCII, "UTF8_BIT": text.UTF8, "MARKS": text.MARKS}
NO_CODES: Final = frozenset({"GP_SHIFT", "MAX_ENCODING"})
"""Small numbers among the constants that are no type codes."""

LARGEST_CODE: Final = 255

_FRAME: Final = """\
/* Numbers of R's serialization format. Made by `python -m rinterop.serialize.c_header csrc/codes.h`: change
 * rinterop/serialize/constants.py instead. */
#ifndef RINTEROP_CODES_H
#define RINTEROP_CODES_H

/* What rinterop/serialize/speed.py has as its ABI. */
#define ABI {abi}

/* Type codes of items. */
enum {{
{codes}
}};

/* Bits of their flags words. */
{flags}
{limits}

/* The bits of a flags word that R heeds. */
static inline uint32_t heeded(uint32_t flags)
{{
    switch (flags & 0xFF) {{
{heeded}
    }}
}}

/* Bits of strings. */
{strings}

/* Wrappers of vectors (ALTREP classes of base) as W(name, code), one after the other. */
{wrappers}
{out_dec}

#endif
"""


def type_codes() -> dict[str, int]:
    """Names and numbers of the types of items and of the markers, in their order."""
    found = {
        name: value for name, value in vars(constants).items() if name.isupper() and isinstance(value, int)
    }
    return {name: value for name, value in found.items() if value <= LARGEST_CODE and name not in NO_CODES}


def wrappers() -> dict[str, str]:
    """Names of the wrappers, and the name of the type that each holds."""
    names = {number: name for name, number in type_codes().items()}
    return {wrapper: names[code] for wrapper, code in altrep.WRAPPERS.items()}


def heeded() -> str:
    """The cases of a switch over type codes: what of each is heeded. That of most comes last."""
    masks = sorted(set(constants.HEEDED), key=constants.HEEDED.count)
    lines = []
    for mask in masks[:-1]:
        codes = [name for name, code in type_codes().items() if constants.HEEDED[code] == mask]
        lines += [f"    case {name}:" for name in codes] + [f"        return flags & 0x{mask:X}u;"]
    return "\n".join([*lines, "    default:", f"        return flags & 0x{masks[-1]:X}u;"])


def header() -> str:
    """The header's text."""
    numbers = vars(constants)
    return _FRAME.format(
        abi=speed.ABI,
        codes=",\n".join(f"    {name} = {number}" for name, number in type_codes().items()),
        flags="\n".join(f"#define {name} 0x{numbers[name]:X}u" for name in FLAGS),
        heeded=heeded(),
        limits="\n".join(f"#define {name} {numbers[name]}" for name in LIMITS),
        wrappers=" \\\n    ".join(
            ["#define EACH_WRAPPER(W)", *(f'W("{name}", {code})' for name, code in wrappers().items())]
        ),
        out_dec=f"#define MAX_OUT_DEC {altrep.MAX_OUT_DEC}",
        strings="\n".join(f"#define {name} 0x{bit:02X}u" for name, bit in STRING_BITS.items()),
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(header(), encoding="ascii")
