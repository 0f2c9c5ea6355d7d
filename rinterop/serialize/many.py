"""Many strings at once, without the compiled helper: what nearly all long character vectors hold is ASCII."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np

from rinterop.serialize.constants import CHAR, GP_SHIFT
from rinterop.values import NAType
from rinterop.values.text import ASCII

MANY: Final = 1000
"""Elements from which the preparations pay."""
_ASCII_CHAR: Final = CHAR | ASCII << GP_SHIFT


def read_ascii(
    latin1: str, pair: Callable[..., tuple[Any, ...]], data: bytes, position: int, count: int
) -> tuple[tuple[str, ...], int] | None:
    """`count` CHAR items at `position`, if all are ASCII; with the position after them.

    Cut out of `latin1`, all of `data` as text, and checked together: nothing is called for a string but
    `pair`, which reads its flags and length. None if there is anything else, be it wrong or just rare.
    """
    texts: list[str] = []
    add = texts.append
    try:
        for _ in range(count):
            flags, size = pair(data, position)
            if flags != _ASCII_CHAR or size < 0:
                return None
            position += 8
            after = position + size
            add(latin1[position:after])
            position = after
    except struct.error:
        return None
    together = "".join(texts)
    if position > len(data) or not together.isascii() or "\0" in together:
        return None
    return tuple(texts), position


def write_ascii(texts: tuple[str | NAType, ...], order: Literal["<", ">"]) -> bytes | None:
    """The CHAR items of these strings, if all are plain ASCII; else None."""
    if set(map(type, texts)) != {str}:
        return None
    together = "".join(texts)  # type: ignore[arg-type]  # they are str, as was just seen
    if not together.isascii() or "\0" in together:
        return None
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))  # type: ignore[arg-type]
    if sizes.max() >= 2**31:
        return None
    heads = np.empty((len(texts), 2), order + "i4")
    heads[:, 0], heads[:, 1] = _ASCII_CHAR, sizes
    ends = np.cumsum(sizes + 8)
    places = (ends - sizes - 8)[:, np.newaxis] + np.arange(8)
    out = np.empty(ends[-1], np.uint8)
    is_text = np.ones(ends[-1], np.bool_)
    is_text[places] = False
    out[places] = heads.view(np.uint8)
    out[is_text] = np.frombuffer(together.encode("ascii"), np.uint8)
    return out.tobytes()
