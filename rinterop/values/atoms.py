"""Values without parts: NULL, the special environments and other markers, symbols, builtins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rinterop.values.base import NAType, RValue


class Marker(RValue):
    """An object R has exactly one of. Compare with `is` or `==`."""

    __slots__ = ("label",)
    label: str

    def __init__(self, label: str) -> None:
        self.label = label

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:  # type: ignore[override]  # the root of values has None
        return id(self)

    def __reduce__(self) -> str:
        return self.label

    def _facts(self) -> tuple[object, ...]:
        return (self.label,)


class Null(Marker):
    """The type of `NULL`; also an empty sequence."""

    __slots__ = ()

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[RValue]:
        return iter(())


class EnvironmentMarker(Marker):
    """One of R's four environments that every process has."""

    __slots__ = ()


NULL: Final = Null("NULL")
GLOBAL_ENV: Final = EnvironmentMarker("GLOBAL_ENV")
BASE_ENV: Final = EnvironmentMarker("BASE_ENV")
EMPTY_ENV: Final = EnvironmentMarker("EMPTY_ENV")
BASE_NAMESPACE: Final = EnvironmentMarker("BASE_NAMESPACE")
UNBOUND: Final = Marker("UNBOUND")
"""The value of a promise that has not been forced."""
MISSING_ARG: Final = Marker("MISSING_ARG")
"""The empty symbol: the argument left out in `f(x, )`, a formal without default."""


@dataclass(frozen=True, slots=True, repr=False)
class Symbol(RValue):
    """A name. Equal names are equal symbols."""

    name: str

    def _facts(self) -> tuple[object, ...]:
        return (self.name,)


@dataclass(frozen=True, slots=True, repr=False)
class Char(RValue):
    """A string outside of a character vector (CHARSXP): C code of packages leaves such objects about."""

    text: str | NAType

    def _facts(self) -> tuple[object, ...]:
        return (self.text,)


@dataclass(frozen=True, slots=True, repr=False)
class Builtin(RValue):
    """A function of R's own in C, known by its name.

    Attributes:
        special: Whether it gets its arguments unevaluated (`quote`, `if`, `[`).
        gp: The object's gp bits.
    """

    name: str
    special: bool = False
    gp: int = 0

    def _facts(self) -> tuple[object, ...]:
        return (self.name, self.special, self.gp)


@dataclass(frozen=True, slots=True, repr=False)
class NamedReference(RValue):
    """An object written as a name: see the subclasses.

    Attributes:
        strings: What the stream says, name first.
    """

    strings: tuple[str | NAType, ...]

    def _facts(self) -> tuple[object, ...]:
        return (self.strings,)


class Namespace(NamedReference):
    """A package's namespace: name and version as found by the writer. Loaded by name on R's side."""

    __slots__ = ()


class PackageEnvironment(NamedReference):
    """An attached package, `package:stats`."""

    __slots__ = ()


class Persistent(NamedReference):
    """What a `refhook` of the writer put in place of an object. Never shared in a stream."""

    __slots__ = ()
