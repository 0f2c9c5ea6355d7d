"""Python objects that R holds: functions it may call, exceptions on their way through it.

In a stream such an object is a `Persistent` value, a name that means something to R's session alone:
`("rinterop", id)` is an environment there which stands for the object, and `("rinterop.function", id)` a
function that calls it. An object is kept for as long as there is either of these: such an environment in R,
whose finalizer tells when it goes, or a `Persistent` made here, whose name tells.
"""

from __future__ import annotations

import itertools
import weakref
from dataclasses import dataclass
from typing import Final

from rinterop.values import Persistent, RValue

OBJECT: Final = "rinterop"
FUNCTION: Final = "rinterop.function"


class _Id(str):
    """The number of an object, as a string that can be waited for to go."""

    __slots__ = ("__weakref__",)


@dataclass(slots=True)
class _Entry:
    value: object
    holders: int


class Held:
    """The objects by number, each with the count of its holders."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._entries)

    def name(self, kind: str, value: object) -> Persistent:
        """A value that stands for the Python object `value`; `kind` is OBJECT or FUNCTION."""
        number = _Id(next(self._numbers))
        self._entries[str(number)] = _Entry(value, 1)
        weakref.finalize(number, self.release, str(number)).atexit = False
        return Persistent((kind, number))

    def find(self, value: RValue | None) -> object:
        """The Python object a value stands for, None if it stands for none."""
        if (
            isinstance(value, Persistent)
            and len(value.strings) == 2
            and value.strings[0] in (OBJECT, FUNCTION)
        ):
            entry = self._entries.get(str(value.strings[1]))
            return None if entry is None else entry.value
        return None

    def __getitem__(self, number: str) -> object:
        return self._entries[number].value

    def retain(self, number: str) -> bool:
        """One more holder; False if the object is gone."""
        entry = self._entries.get(number)
        if entry is not None:
            entry.holders += 1
        return entry is not None

    def release(self, number: str) -> None:
        """One holder less, and with the last one the object goes."""
        entry = self._entries[number]
        entry.holders -= 1
        if not entry.holders:
            del self._entries[number]
