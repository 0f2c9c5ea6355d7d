"""Writes down objects and finds them again: two that would go on in the same way have the same number."""

from __future__ import annotations

import copyreg
import dataclasses
import enum
import hashlib
import itertools
import marshal
import pickle
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any, Generic, TypeVar

copyreg.pickle(
    itertools.count, lambda count: (itertools.count, (int(repr(count)[6:-1]),))
)  # not from 3.14 on

T = TypeVar("T")

_TIMES = frozenset(
    {
        *("started_s", "head_since_s", "iteration_since_s", "dismissed_s", "stopping_since_s", "due_s"),
        *("_quiet_until_s", "_due_s", "_idle_since_s", "_cold_at_s", "_tried_s", "_gathering_until_s"),
        *("_check_due_s", "_removal_due_s", "_deadline_s"),
    }
)
"""Attributes that are moments on somebody's clock. They count by how far away they are, and what has been for
longer than `_LONG_S` counts the same."""

_LONG_S = 1.0

_LEFT_OUT = frozenset(
    {
        *("now_s", "wire", "_settings", "_beats", "_tallies", "taken_s", "submitted_s", "resubmitted"),
        *("request", "Conversation._numbers"),  # numbers of requests are compared with nothing else
    }
)
"""Attributes on which nothing depends that is to come."""

_FUNCTIONS = (MethodType, FunctionType)


class Fingerprint:
    """Turns an object into bytes that say what it will do, and not when and under which numbers."""

    def __init__(self) -> None:
        self._values: dict[Any, int] = {}

    def of(self, thing: Any, now_s: float) -> bytes:
        """Those of `thing`, on whose clock it is `now_s`."""
        value = self._walk(thing, now_s, {})
        return hashlib.blake2b(marshal.dumps(value, 2), digest_size=16).digest()

    def _walk(self, thing: Any, now_s: float, seen: dict[int, int]) -> Any:
        kind = type(thing)
        if thing is None or kind in (int, str, bytes, bool, float):
            return thing
        if kind is bytearray:
            return bytes(thing)
        if kind in (tuple, list, deque):
            return tuple([self._walk(each, now_s, seen) for each in thing])
        if kind in (dict, OrderedDict):
            return tuple([(self._walk(k, now_s, seen), self._walk(v, now_s, seen)) for k, v in thing.items()])
        if kind in (set, frozenset):
            return tuple(sorted([self._walk(each, now_s, seen) for each in thing], key=repr))
        if isinstance(thing, enum.Enum):
            return thing.name
        if kind is itertools.count:
            return repr(thing)
        if kind in _FUNCTIONS:
            return None
        if dataclasses.is_dataclass(thing) and kind.__dataclass_params__.frozen:
            try:
                return self._values.setdefault(thing, len(self._values))
            except TypeError:
                pass  # it holds something that changes
        number = seen.get(id(thing))
        if number is not None:
            return ("again", number)
        seen[id(thing)] = len(seen)
        return (kind.__name__, tuple(self._attributes(thing, now_s, seen)))

    def _attributes(self, thing: Any, now_s: float, seen: dict[int, int]) -> Iterator[Any]:
        if isinstance(thing, list):
            yield from (self._walk(each, now_s, seen) for each in thing)
        if isinstance(thing, BaseException):
            yield str(thing)
        names = getattr(thing, "__dict__", None)
        if names is None:
            names = {name: getattr(thing, name) for name in thing.__slots__}
        for name, value in names.items():
            if name in _LEFT_OUT or f"{type(thing).__name__}.{name}" in _LEFT_OUT:
                continue
            if name in _TIMES:
                yield name, round(max(value - now_s, -_LONG_S), 2)
            else:
                yield name, self._walk(value, now_s, seen)


class States(Generic[T]):
    """Objects of one kind, by number.

    Args:
        fingerprint: Bytes that are equal for two that will do the same.
        view: What is to be known of each without bringing it back.
    """

    def __init__(self, fingerprint: Callable[[T], bytes], view: Callable[[T], Any]) -> None:
        self._fingerprint = fingerprint
        self._view = view
        self._numbers: dict[bytes, int] = {}
        self._pickles: list[bytes] = []
        self.views: list[Any] = []

    def __len__(self) -> int:
        return len(self._pickles)

    def add(self, thing: T) -> int:
        """The number of this one."""
        name = self._fingerprint(thing)
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._pickles)
            self._pickles.append(pickle.dumps(thing, pickle.HIGHEST_PROTOCOL))
            self.views.append(self._view(thing))
        return number

    def get(self, number: int) -> T:
        """Another one that is as that one was."""
        return pickle.loads(self._pickles[number])  # type: ignore[no-any-return]
