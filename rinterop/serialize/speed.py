"""Whether the compiled helper is there.

`rinterop._speed` (C, in `rinterop/_speed/`) reads, writes and checks the binary forms. It is built with the
package where there is a compiler; without it, all is done in Python. Its functions give what the Python ones
give, or None: the input is malformed, or of a kind that they leave alone, and Python has to say what it is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from rinterop.serialize.walk import Outline
    from rinterop.values import RValue


class Compiled(Protocol):
    """What `rinterop._speed` has."""

    def loads(self, data: bytes, keep_mmap: bool, max_depth: int, /) -> RValue | None:
        """Read an item, header and all."""

    def dumps(self, value: RValue, header: bytes, version: int, /) -> bytes | None:
        """Write a value after `header`, which says by its first byte in which byte order."""

    def walk(self, data: bytes, max_depth: int, /) -> bool | None:
        """Whether the bytes are sound."""

    def outline(self, data: bytes, depth: int, max_depth: int, kind: type[Outline], /) -> Outline | None:
        """The outline of a payload."""


def _load() -> Compiled | None:
    if os.environ.get("RINTEROP_PURE"):
        return None
    try:
        from rinterop import _speed
    except ImportError:
        return None
    return _speed


compiled: Compiled | None = _load()

accelerated: Final = compiled is not None
"""Whether the compiled helper is used. `RINTEROP_PURE=1` in the environment does without."""
