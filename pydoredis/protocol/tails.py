"""What the last bytes of a task tell: which iterations it has, even where its arguments cannot be read.

R writes a list's names after its elements. A message `list(ID =, argsList =)` ends with the numbers of the
iterations, which are the names of `argsList`, and with its own two names.
"""

from __future__ import annotations

import re
import struct

_LAST = re.compile(
    # The attributes of the message: the symbol `names`, which has occurred before, the two names, the end.
    rb"\0\0\x04\x02...\xff\0\0\0\x10\0\0\0\x02"
    rb"\0\x04\0\x09\0\0\0\x02ID\0\x04\0\x09\0\0\0\x08argsList\0\0\0\xfe\Z",
    re.DOTALL,
)
_LAST_SIZE = 46
_NAMES = re.compile(rb"\0\0\x04\x02...\xff", re.DOTALL)
"""The beginning of an attribute list, with the symbol `names`, which has occurred before."""

_INTEGERS, _DOUBLES, _STRINGS, _CHARACTERS, _SYMBOL = 13, 14, 16, 9, 1
_PAIR, _NIL, _REFERENCE, _ALTREP = 2, 254, 255, 238

_MOST_TRIES = 100


class _MisreadError(Exception):
    """These bytes are not what was looked for."""


def iterations_of_tail(message: bytes) -> tuple[int, ...] | None:
    """The numbers that stand where a task in the usual form has those of its iterations.

    Returns:
        The numbers; None if the form is another one.
    """
    if _LAST.search(message, max(0, len(message) - _LAST_SIZE)) is None:
        return None
    end = len(message) - _LAST_SIZE
    for _ in range(_MOST_TRIES):
        end = message.rfind(b"\0\0\x04\x02", 0, end)
        if end < 0:
            break
        if _NAMES.match(message, end):
            cursor = _Cursor(message, end + 8)
            try:
                numbers = cursor.names()
                if cursor.type() == _NIL and cursor.at == len(message) - _LAST_SIZE:
                    return numbers
            except (_MisreadError, struct.error, ValueError):
                continue
    return None


class _Cursor:
    """Reads R's serialization, XDR form, from some place on: as much of it as names of a list take."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def type(self) -> int:
        """The type of the item that begins here."""
        return self._integer() & 0xFF

    def names(self) -> tuple[int, ...]:
        """A character vector of numbers: as such, or as a promise to make one of integers."""
        kind = self.type()
        if kind == _STRINGS:
            return tuple(self._characters() for _ in range(self._integer()))
        if kind != _ALTREP:
            raise _MisreadError
        self._skip_class()
        self._expect(self.type(), _PAIR)
        numbers = self._integers()
        self._integers()  # options(scipen = )
        self._expect(self.type(), _NIL)
        return numbers

    def _integers(self) -> tuple[int, ...]:
        """An integer vector: as such, or from one number to another."""
        kind = self.type()
        if kind == _INTEGERS:
            count = self._integer()
            if count < 0 or 4 * count > len(self._data):
                raise _MisreadError
            numbers: tuple[int, ...] = struct.unpack_from(f">{count}i", self._data, self.at)
            self.at += 4 * count
            return numbers
        self._expect(kind, _ALTREP)
        self._skip_class()
        self._expect(self.type(), _DOUBLES)
        self._expect(self._integer(), 3)
        count, first, step = map(int, struct.unpack_from(">3d", self._data, self.at))
        self.at += 24
        self._expect(self.type(), _NIL)
        if not 0 <= count <= len(self._data) or step not in (1, -1):
            raise _MisreadError
        return tuple(range(first, first + step * count, step))

    def _skip_class(self) -> None:
        """Class and package of something that R writes in a form of its own: a pair list of three."""
        while (kind := self.type()) == _PAIR:
            item = self.type()
            size = 0
            if item == _SYMBOL:
                self._expect(self.type(), _CHARACTERS)
                size = self._integer()
            elif item == _INTEGERS:
                size = 4 * self._integer()
            else:
                self._expect(item, _REFERENCE)
            if size < 0:
                raise _MisreadError
            self.at += size
        self._expect(kind, _NIL)

    def _characters(self) -> int:
        self._expect(self.type(), _CHARACTERS)
        size = self._integer()
        if not 0 < size < 12:
            raise _MisreadError
        self.at += size
        return int(self._data[self.at - size : self.at])

    def _integer(self) -> int:
        (number,) = struct.unpack_from(">i", self._data, self.at)
        self.at += 4
        return int(number)

    def _expect(self, found: int, wanted: int) -> None:
        if found != wanted:
            raise _MisreadError
