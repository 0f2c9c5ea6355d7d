"""Messages that go by the thousand, put together from bytes that never change and bytes that do.

Each comes out as `rinterop.dumps` would write it, a few times as fast, for no R values are built. What never
changes is cut out of one such message of each kind, so the format is still spelled out in one place.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence

import rinterop
from rinterop import values
from rinterop.serialize import Outline

_word = struct.Struct(">i").pack

_HEADER = rinterop.dumps(values.NULL)[:-4]


def _item(value: values.RValue) -> bytes:
    """A value as it stands inside of a message."""
    return rinterop.dumps(value)[len(_HEADER) :]


def _around(sample: bytes, *parts: bytes) -> list[bytes]:
    """What stands before, between and behind `parts`, which are in `sample` in this order."""
    pieces = []
    for part in parts:
        before, _, sample = sample.partition(part)
        pieces.append(before)
    return [*pieces, sample]


_ONE = _word(1)
_NULL = _item(values.NULL)
_EMPTY_LIST = _item(values.list_())
_TEXT = _item(values.character("N"))
_BYTES = _item(values.raw(b"A"))
_TEXTS_HEAD, _TEXT_HEAD, _ = _around(_TEXT, _ONE, _ONE + b"N")
_BYTES_HEAD, _ = _around(_BYTES, _ONE + b"A")
_INTEGERS_HEAD, _ = _around(rinterop.dumps(values.integer(7)), _ONE + _word(7))

_TASK = _around(
    rinterop.dumps(
        values.named_list(
            ID=values.character("J"),
            argsList=values.named_list([("N", values.list_())]),
            arguments=values.raw(b"A"),
        )
    ),
    _item(values.character("J")),
    _ONE + _EMPTY_LIST,
    _TEXT,
    _BYTES,
)
_RESULT = _around(rinterop.dumps(values.named_list([("N", values.raw(b"A"))])), _ONE + _BYTES, _TEXT)


def task(job: str, numbers: Sequence[int], arguments: bytes) -> bytes:
    """`list(ID = job, argsList = list("7" = list(), ...), arguments = <raw>)`."""
    before, behind_job, behind_lists, behind_numbers, end = _TASK
    count = len(numbers)
    return b"".join(
        (
            *(before, _text(job), behind_job, _word(count), _EMPTY_LIST * count),
            *(behind_lists, _decimals(numbers), behind_numbers),
            *(_BYTES_HEAD, _word(len(arguments)), arguments, end),
        )
    )


def result(numbers: Sequence[int], outcomes: bytes) -> bytes:
    """`list("7" = <raw>, "8" = NULL, ...)`."""
    before, behind_values, end = _RESULT
    count = len(numbers)
    return b"".join(
        (
            *(before, _word(count), _BYTES_HEAD, _word(len(outcomes)), outcomes, _NULL * (count - 1)),
            *(behind_values, _decimals(numbers), end),
        )
    )


def raw_bytes(message: bytes, item: Outline) -> bytes | None:
    """The bytes of an item of a message that is a raw vector without attributes; None if it is none."""
    if not message.startswith(_BYTES_HEAD, item.start) or item.end - item.start < len(_BYTES_HEAD) + 4:
        return None
    return message[item.start + len(_BYTES_HEAD) + 4 : item.end]


def integers(numbers: Sequence[int]) -> bytes:
    """An integer vector, of numbers that fit into one.

    Raises:
        struct.error: If one does not.
    """
    return _INTEGERS_HEAD + struct.pack(f">{len(numbers) + 1}i", len(numbers), *numbers)


@functools.lru_cache(maxsize=64)
def _text(text: str) -> bytes:
    return _item(values.character(text))


def _decimals(numbers: Sequence[int]) -> bytes:
    """A character vector of the numbers in decimal."""
    texts = [b"%d" % number for number in numbers]
    return b"".join((_TEXTS_HEAD, _word(len(texts)), *[_LENGTHS[len(text)] + text for text in texts]))


_LENGTHS = [_TEXT_HEAD + _word(length) for length in range(32)]
"""What stands before a text of each length; no number of ours has more digits."""
