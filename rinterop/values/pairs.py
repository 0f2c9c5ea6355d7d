"""Pairlists and what shares their form: calls and `...`; attributes, which are pairlists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rinterop.values.atoms import NULL, Symbol
from rinterop.values.base import RValue


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cell(RValue):
    """One cell of a pairlist.

    Attributes:
        value: The car.
        tag: Its name, if any: a symbol. In the pairlists of a `utils::hashtab()` it is a key, of any kind.
        attributes: Attributes of the cell itself. Those of the first cell are those of the pairlist.
        gp: The cell's bits: in a frame 0x4000 a locked and 0x8000 an active binding; low four bits:
            how a formal without value came to be missing.
        is_call: Whether a cell after the first is a call in its own right, as those are that R's pipe makes.
        is_object: R's object bit; None: set exactly if there is a class attribute.
    """

    value: RValue
    tag: RValue | None = None
    attributes: PairList | None = None
    gp: int = 0
    is_object: bool | None = None
    is_call: bool = False

    @property
    def name(self) -> str:
        """The tag as text, "" without one that is a symbol."""
        return self.tag.name if isinstance(self.tag, Symbol) else ""

    def _facts(self) -> tuple[object, ...]:
        return (self.gp, self.is_object, self.is_call)

    def _parts(self) -> tuple[RValue | None, ...]:
        return (self.value, self.tag, self.attributes)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pairs(RValue):
    """A chain of cells. `len`, iteration (over values) and `[]` (by position or name) work as on a list.

    Attributes:
        cells: At least one.
        end: The last cdr, `NULL` but for a few internal objects of R.
    """

    cells: tuple[Cell, ...]
    end: RValue = NULL

    @property
    def attributes(self) -> PairList | None:
        """Attributes of the first cell."""
        return self.cells[0].attributes if self.cells else None

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[RValue]:
        return (cell.value for cell in self.cells)

    def __getitem__(self, key: int | str) -> RValue:
        if isinstance(key, str):
            for cell in self.cells:
                if isinstance(cell.tag, Symbol) and cell.tag.name == key:
                    return cell.value
            raise KeyError(key)
        return self.cells[key].value

    def _parts(self) -> tuple[RValue | None, ...]:
        return (*self.cells, self.end)


class PairList(Pairs):
    """R's `pairlist`: formals, frames of environments, attributes."""

    __slots__ = ()


class Call(Pairs):
    """An unevaluated call: the function first, then the arguments."""

    __slots__ = ()


class DotArgs(Pairs):
    """The value of `...` in a frame: usually a promise for each argument."""

    __slots__ = ()
