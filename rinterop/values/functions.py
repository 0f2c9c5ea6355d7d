"""Functions, environments, promises, bytecode, and objects that are no more than their attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rinterop.late import Late
from rinterop.values.atoms import EMPTY_ENV, NULL, Symbol
from rinterop.values.base import RValue
from rinterop.values.pairs import Cell, PairList
from rinterop.values.text import bytes_of
from rinterop.values.vectors import Attributed, List

source_of = Late("rinterop.values.source")

LOCKED_BINDING: Final = 0x4000
ACTIVE_BINDING: Final = 0x8000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Closure(Attributed):
    """A function written in R.

    Attributes:
        formals: A pairlist (a formal without default has the value `MISSING_ARG`) or `NULL`.
        body: An expression, or `ByteCode`.
        environment: Where it was made; None: the stream has none, which R takes for the base environment.
    """

    formals: RValue
    body: RValue
    environment: RValue | None

    def _parts(self) -> tuple[RValue | None, ...]:
        return (self.formals, self.body, self.environment, self.attributes)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Promise(Attributed):
    """An argument: unforced (`environment` is set, `value` is `UNBOUND`), or forced (None, its value)."""

    value: RValue
    expression: RValue
    environment: RValue | None

    def _parts(self) -> tuple[RValue | None, ...]:
        return (self.value, self.expression, self.environment, self.attributes)


@dataclass(slots=True, eq=False, repr=False)
class Environment(RValue):
    """A mapping of names to values with a parent. Unlike other values it may be changed, and contain itself.

    `env["x"]` looks in this environment alone, and gives what is bound, be it a promise or the function of
    an active binding: nothing is ever evaluated.

    Attributes:
        parent: The enclosing environment.
        frame: Pairlist of bindings, or `NULL`.
        buckets: The hash table: a `List` of pairlists and `NULL`s; or `NULL` if it is not hashed.
        attributes: As on any value.
        locked: Whether bindings may be added.
    """

    parent: RValue = EMPTY_ENV
    frame: RValue = NULL
    buckets: RValue = NULL
    attributes: PairList | None = None
    locked: bool = False

    def cells(self) -> Iterator[Cell]:
        """All bindings, with the bits that say whether they are locked or active."""
        if isinstance(self.frame, PairList):
            yield from self.frame.cells
        if isinstance(self.buckets, List):
            for bucket in self.buckets:
                if isinstance(bucket, PairList):
                    yield from bucket.cells

    def names(self) -> tuple[str, ...]:
        """Names of the bindings, in the order in which they are stored."""
        return tuple(cell.name for cell in self.cells())

    def __len__(self) -> int:
        return sum(1 for _ in self.cells())

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def __getitem__(self, name: str) -> RValue:
        cell = self._find(name)
        if cell is None:
            raise KeyError(name)
        return cell.value

    def _find(self, name: str) -> Cell | None:
        chains = [self.frame]
        if isinstance(self.buckets, List) and len(self.buckets):
            chains.append(self.buckets.values[pjw_hash(bytes_of(name)[0]) % len(self.buckets)])
        for chain in chains:
            if isinstance(chain, PairList):
                for cell in chain.cells:
                    if cell.name == name:
                        return cell
        return None

    def _facts(self) -> tuple[object, ...]:
        return (self.locked,)

    def _parts(self) -> tuple[RValue | None, ...]:
        return (self.parent, self.frame, self.buckets, self.attributes)


def pjw_hash(name: bytes) -> int:
    """The hash that places a name in an environment's table (R: envir.c, R_Newhashpjw)."""
    h = 0
    for byte in name:
        h = ((h << 4) + (byte if byte < 128 else byte - 256)) & 0xFFFF_FFFF
        if g := h & 0xF000_0000:
            h = (h ^ (g >> 24)) ^ g
    return h


@dataclass(slots=True, eq=False, repr=False)
class ExternalPointer(RValue):
    """A pointer to memory of another process: the address is gone, these are left. Shared in a stream."""

    protected: RValue = NULL
    tag: RValue = NULL
    attributes: PairList | None = None
    gp: int = 0
    is_object: bool | None = None

    def _facts(self) -> tuple[object, ...]:
        return (self.gp, self.is_object)

    def _parts(self) -> tuple[RValue | None, ...]:
        return (self.protected, self.tag, self.attributes)


@dataclass(slots=True, eq=False, repr=False)
class WeakReference(RValue):
    """A weak reference: key and value are not in the stream. Shared in a stream."""

    attributes: PairList | None = None
    gp: int = 0
    is_object: bool | None = None

    def _facts(self) -> tuple[object, ...]:
        return (self.gp, self.is_object)

    def _parts(self) -> tuple[RValue | None, ...]:
        return (self.attributes,)


class S4(Attributed):
    """An S4 object without data part: its slots are its attributes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ByteCode(Attributed):
    """A compiled expression. `source` is what it was compiled from.

    Attributes:
        shared: Size of the table of calls that occur more than once among the constants.
        body: Code and constants.
    """

    shared: int
    body: CodeBody

    @property
    def source(self) -> RValue:
        """The expression, `NULL` if there is none; see `rinterop.values.source`."""
        return source_of(self)  # type: ignore[no-any-return]  # a value

    def _facts(self) -> tuple[object, ...]:
        return (self.shared, self.gp, self.is_object)

    def _parts(self) -> tuple[RValue | None, ...]:
        return (self.body, self.attributes)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CodeBody(RValue):
    """Instructions (an integer vector, the bytecode version first) and constants."""

    code: RValue
    constants: tuple[Constant, ...]

    def _parts(self) -> tuple[RValue | None, ...]:
        return (self.code, *self.constants)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Constant(RValue):
    """A constant or a leaf of a call among the constants: the type code written before it, and the value."""

    code: int
    value: RValue

    def _facts(self) -> tuple[object, ...]:
        return (self.code,)

    def _parts(self) -> tuple[RValue | None, ...]:
        return (self.value,)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CallTree(RValue):
    """A call or pairlist among the constants, in the form that can share parts.

    Attributes:
        code: 6 call, 2 pairlist, 240 call with attributes, 239 pairlist with attributes.
        tag: A symbol or `NULL`.
        car, cdr: Constants.
        shared: Its number, if it can be referred to by `SharedCall`.
    """

    code: int
    tag: Symbol | RValue
    car: RValue
    cdr: RValue
    attributes: RValue | None = None
    shared: int | None = None

    def _facts(self) -> tuple[object, ...]:
        return (self.code, self.shared)

    def _parts(self) -> tuple[RValue | None, ...]:
        return (self.tag, self.car, self.cdr, self.attributes)


@dataclass(frozen=True, slots=True, repr=False)
class SharedCall(RValue):
    """Another occurrence of the `CallTree` of that number."""

    index: int

    def _facts(self) -> tuple[object, ...]:
        return (self.index,)
