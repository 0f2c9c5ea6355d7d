"""Functions and arguments as bytes, as they are when a call is submitted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

from pydoredis import pickles
from pydoredis.errors import CallNotPicklable
from pydoredis.pickles import culprit
from pydoredis.protocol import parts

Digest: TypeAlias = bytes
"""Stands for large data: it is the same for the same content."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A pickled object.

    Attributes:
        pickled: Without its large buffers.
        buffers: Large buffers, which are the object's own memory still.
    """

    pickled: bytes
    buffers: Sequence[memoryview] = ()

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return len(self.pickled) + sum(buffer.nbytes for buffer in self.buffers)

    def digest(self) -> Digest:
        """What stands for all of it."""
        return _digest(self.pickled, *self.buffers)

    def digest_of_buffers(self) -> Digest:
        """What stands for its large buffers."""
        return _digest(*self.buffers)

    def copies(self) -> list[bytearray]:
        """The buffers as they are now, whatever the program does with its object from now on."""
        return [bytearray(buffer) for buffer in self.buffers]


NOTHING = Packed(b"")


def _digest(*buffers: bytes | memoryview) -> Digest:
    content = hashlib.blake2b(digest_size=16)
    for buffer in buffers:
        content.update(len(buffer).to_bytes(8, "little"))
        content.update(buffer)
    return content.digest()


def pack_function(function: Callable[..., Any], by_value: Sequence[ModuleType]) -> Packed:
    """Pickle a function.

    Args:
        function: Anything that can be called.
        by_value: Modules whose code is sent along.

    Raises:
        CallNotPicklable: If that is impossible; names the part that is to blame.
    """
    return _pack(function, by_value, "the function", lambda: {"function": function})


def pack_arguments(
    positional: Sequence[Any], named: dict[str, Any], by_value: Sequence[ModuleType]
) -> Packed:
    """Pickle the arguments of a call. As `pack_function` otherwise."""

    def with_names() -> dict[str, Any]:
        return {**{f"argument {place}": value for place, value in enumerate(positional, 1)}, **named}

    return _pack((tuple(positional), named), by_value, "an argument", with_names)


def _pack(
    data: Any, by_value: Sequence[ModuleType], what: str, with_names: Callable[[], dict[str, Any]]
) -> Packed:
    beside = pickles.Beside(parts.LEAST_BYTES)
    try:
        if by_value:
            with pickles.by_value(by_value):
                pickled = pickles.dump(data, beside)
        else:
            pickled = pickles.dump(data, beside)
    except SystemExit as error:
        raise CallNotPicklable(f"{what} cannot be sent: it calls sys.exit when it is pickled") from error
    except Exception as error:
        blamed = culprit.among(with_names(), error)
        raise CallNotPicklable(
            f"{what} cannot be sent: {blamed}. Open files, connections and locks stay where they are: make "
            "them in the function, or in the executor's initializer"
        ) from error
    return Packed(pickled, beside.buffers)
