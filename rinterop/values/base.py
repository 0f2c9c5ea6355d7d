"""The root of all R values: comparison and display that survive depth and cycles."""

from __future__ import annotations

from typing import Any, ClassVar, Final, final

import numpy as np

from rinterop.late import Late

show = Late("rinterop.values.show")


@final
class NAType:
    """The type of `NA`, a missing string, integer or logical. There is one instance."""

    __slots__ = ()
    _instance: ClassVar[NAType | None] = None

    def __new__(cls) -> NAType:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "NA"

    def __bool__(self) -> bool:
        raise TypeError("NA is neither true nor false")

    def __reduce__(self) -> str:
        return "NA"


NA: Final = NAType()


class RValue:
    """Any R object.

    `==` is structural and exact: types, attributes in their order, gp bits, the bits of NaNs, and the
    layout of hash tables must agree; strings are compared as text, as R's `identical()` does, so the
    same text in latin1 and in UTF-8 is equal. Environments are compared by content too; cycles are
    followed once, and two environments met again in the same pairing count as equal. Values with
    arrays or environments inside are not hashable; symbols and markers are.

    Neither comparison nor repr recurses in Python, so depth does not matter.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # structural equality over arrays and environments

    def _facts(self) -> tuple[object, ...]:
        """What distinguishes this value from others of its class, apart from its parts."""
        return ()

    def _parts(self) -> tuple[RValue | None, ...]:
        """The R values inside, in a fixed order."""
        return ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RValue):
            return NotImplemented
        return _same(self, other)

    def __repr__(self) -> str:
        return show(self)  # type: ignore[no-any-return]  # text


def _same(one: RValue, other: RValue) -> bool:
    """Structural equality with an explicit stack."""
    todo: list[tuple[RValue | None, RValue | None]] = [(one, other)]
    assumed: set[tuple[int, int]] = set()
    while todo:
        a, b = todo.pop()
        if a is b:
            continue
        if a is None or b is None or type(a) is not type(b):
            return False
        parts_a, parts_b = a._parts(), b._parts()
        if len(parts_a) != len(parts_b) or not _same_facts(a._facts(), b._facts()):
            return False
        if parts_a:
            # Only environments can close a cycle, but remembering every pair also keeps
            # values that share parts from being compared once for each path to them.
            pair = (id(a), id(b))
            if pair in assumed:
                continue
            assumed.add(pair)
            todo.extend(zip(parts_a, parts_b, strict=True))
    return True


def _same_facts(a: tuple[object, ...], b: tuple[object, ...]) -> bool:
    for x, y in zip(a, b, strict=True):
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
            if not same_bits(x, y):
                return False
        elif x != y:
            return False
    return True


def same_bits(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> bool:
    """Whether two native arrays hold the same bytes; unlike `==`, tells NaNs and zeros apart."""
    return x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()
