"""Whether the compiled helper is there, and if not, why.

`rinterop._speed` (C, in `csrc/`) reads, writes and checks the binary forms. It is built with the package
where there is a compiler; without it, all is done in Python. Its functions give what the Python ones give, or
None: the input is malformed, or of a kind that they leave alone, and Python has to say what it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from rinterop.serialize.walk import Outline
    from rinterop.values import RValue

ABI: Final = 4
"""What the helper's own `ABI` must be (`csrc/codes.h`): a helper built from other sources is not used.
Raise it with every change of what a function takes or gives, and of how a stream is read or written."""

HELPER: Final = "rinterop._speed"
REBUILD: Final = "install the package again, where there is a C compiler"


class Compiled(Protocol):
    """What `rinterop._speed` has."""

    ABI: int

    def loads(self, data: bytes, keep_mmap: bool, max_depth: int, /) -> RValue | None:
        """Read an item, header and all."""

    def dumps(self, value: RValue, header: bytes, version: int, /) -> bytes | None:
        """Write a value after `header`, which says by its first byte in which byte order."""

    def walk(self, data: bytes, max_depth: int, /) -> bool | None:
        """Whether the bytes are sound."""

    def outline(self, data: bytes, depth: int, max_depth: int, kind: type[Outline], /) -> Outline | None:
        """The outline of a payload."""


def load(name: str = HELPER) -> Compiled:
    """The helper.

    Raises:
        ImportError: If there is none that can be used; says why and what to do.
    """
    if os.environ.get("RINTEROP_PURE"):
        raise ImportError("RINTEROP_PURE is set")
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(_why_missing(name)) from None
    except ImportError as error:
        raise ImportError(f"{name} cannot be loaded ({error}); {REBUILD}") from error
    # A folder of that name, if only one with a stale cache in it, is imported as a package without any code.
    if not (module.__file__ or "").endswith(tuple(EXTENSION_SUFFIXES)):
        raise ImportError(_why_missing(name))
    if (found := getattr(module, "ABI", None)) != ABI:
        raise ImportError(
            f"{module.__file__} was built for another version of rinterop ({found}, not {ABI}); {REBUILD}"
        )
    return cast(Compiled, module)


def _why_missing(name: str) -> str:
    package, _, own = name.rpartition(".")
    strangers = _built_for_others(import_module(package).__path__, own)
    if strangers:
        return f"{' and '.join(strangers)} was built for another Python; {REBUILD}"
    return f"{name} has not been built; {REBUILD}"


def _built_for_others(folders: Iterable[str], own: str) -> list[str]:
    """Names of extension modules that this Python does not import."""
    return sorted(
        path.name
        for folder in folders
        for suffix in ("so", "pyd")
        for path in Path(folder).glob(f"{own}.*{suffix}")
    )


def _load() -> tuple[Compiled | None, str]:
    try:
        return load(), "compiled"
    except ImportError as error:
        return None, f"in Python alone, which is slower: {error}"


compiled: Compiled | None
compiled, _text = _load()

accelerated: Final = compiled is not None
"""Whether the compiled helper is used. `RINTEROP_PURE=1` in the environment does without."""

acceleration: Final = _text
"""How serialization is done: "compiled", or that it is done in Python alone, why, and what to do about it."""
