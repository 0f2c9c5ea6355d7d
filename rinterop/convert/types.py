"""What R has and plain NumPy has not: arrays with attributes, factors, data frames; small types for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rinterop.convert.missing import is_na
from rinterop.convert.vectors import objects
from rinterop.late import Late
from rinterop.values import (
    NA,
    NULL,
    Cell,
    Character,
    List,
    NAType,
    PairList,
    RValue,
    Symbol,
    attributes,
    identical,
    plain,
    strings,
)
from rinterop.values.vectors import Vector, is_ordinary

labelled = Late("rinterop.convert.labelled")
to_r = Late("rinterop.convert.to_r")


class RArray:
    """An array together with R attributes that NumPy has no place for: names, dimnames, a class of one's own.

    It goes back to R unchanged. NumPy functions take it (`np.mean(x)`); what they give is without attributes.

    Args:
        values: Anything array-like that `to_r` takes.
        names: One string for each element.
        dimnames: For each dimension its labels, or None.
        attributes: More attributes, by name: R values, or what `to_r` makes them from.

    Attributes:
        values: The array as `to_python` would give it without the attributes: masked where NA, of dtype
            datetime64 for dates and times, a pandas Categorical or a `Factor` for a factor.
        attributes: All attributes as R has them, in their order.
        storage: The R type that holds it, e.g. `rinterop.Integer`.
    """

    __hash__ = None  # type: ignore[assignment]  # compares like the arrays it holds
    __slots__ = ("_pairs", "storage", "values")
    values: Any
    storage: type[Vector]
    _pairs: PairList | None

    def __init__(
        self,
        values: Any,
        *,
        names: Iterable[str | NAType] | None = None,
        dimnames: Sequence[Iterable[str | NAType] | None] | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        self.values, self._pairs, self.storage = labelled(values, names, dimnames, attributes)

    @classmethod
    def _of(cls, values: Any, pairs: PairList | None, storage: type[Vector]) -> RArray:
        self = cls.__new__(cls)
        self.values, self._pairs, self.storage = values, pairs, storage
        return self

    @property
    def attributes(self) -> dict[str, RValue]:
        return {} if self._pairs is None else {cell.name: cell.value for cell in self._pairs.cells}

    @property
    def names(self) -> tuple[str | NAType, ...] | None:
        """The names of the elements, or None."""
        found = self.attributes.get("names", NULL)
        return None if found is NULL else strings(found)

    @property
    def dimnames(self) -> tuple[tuple[str | NAType, ...] | None, ...] | None:
        """The labels of each dimension (None where one has none), or None."""
        found = self.attributes.get("dimnames", NULL)
        return tuple(strings(labels) for labels in found) if isinstance(found, List) else None

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __getitem__(self, key: Any) -> Any:
        """An element by its name (the first of that name), or whatever the array gives for `key`."""
        if not isinstance(key, str):
            return self.values[key]
        for index, name in enumerate(self.names or ()):
            if name is not NA and name == key:
                return self.values[index]
        raise KeyError(key)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype) if copy else np.asarray(self.values, dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RArray):
            return NotImplemented
        return bool(to_r(self) == to_r(other))

    def __repr__(self) -> str:
        return f"RArray({self.values!r}, attributes={self.attributes!r})"

    def _is_na(self) -> Any:
        return is_na(self.values)


class Factor:
    """A factor, where pandas is not installed or has no such Categorical.

    Attributes:
        codes: int32 array of positions in `levels`, from 0; -1 is a missing element, as in pandas.
        levels: The labels.
        ordered: Whether the levels have an order.
    """

    __hash__ = None  # type: ignore[assignment]  # compares like the array it holds
    __slots__ = ("codes", "levels", "ordered")
    ndim = 1
    codes: NDArray[np.int32]
    levels: tuple[str, ...]
    ordered: bool

    def __init__(self, codes: Any, levels: Iterable[str], ordered: bool = False) -> None:
        self.codes = np.asarray(codes, np.int32)
        self.levels = tuple(levels)
        self.ordered = ordered
        if self.codes.ndim != 1 or (
            self.codes.size and not -1 <= int(self.codes.min()) <= int(self.codes.max()) < len(self.levels)
        ):
            raise ValueError("codes are positions in levels, or -1, in one dimension")
        if len(set(self.levels)) < len(self.levels):
            raise ValueError("levels are all different")

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[str | NAType]:
        return iter(self.tolist())

    def __getitem__(self, index: int) -> str | NAType:
        code = int(self.codes[index])
        return NA if code < 0 else self.levels[code]

    def tolist(self) -> list[str | NAType]:
        """The labels of all elements."""
        return [NA if code < 0 else self.levels[code] for code in self.codes.tolist()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return objects(self.tolist()).astype(dtype or object)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Factor):
            return NotImplemented
        return (self.levels, self.ordered) == (other.levels, other.ordered) and np.array_equal(
            self.codes, other.codes
        )

    def __repr__(self) -> str:
        return f"Factor({self.codes!r}, levels={self.levels!r}, ordered={self.ordered})"

    def _is_na(self) -> NDArray[np.bool_]:
        return self.codes < 0


class Table(Mapping[str, Any]):
    """A data frame, where pandas is not installed or has no such DataFrame: columns by name.

    Args:
        columns: Columns by name, or pairs of names and columns where names repeat or are `NA`.
        row_names: Strings or integers, one for each row; None: the rows are numbered.

    Attributes:
        names: Names of the columns, in order.
        columns: The columns, as `to_python(column, scalars=False)` gives them.
        row_names: See above.
    """

    __hash__ = None  # type: ignore[assignment]  # compares like the arrays it holds
    __slots__ = ("_pairs", "columns", "names", "row_names")

    def __init__(
        self,
        columns: Mapping[str, Any] | Iterable[tuple[str | NAType, Any]],
        row_names: Sequence[str] | NDArray[Any] | None = None,
    ) -> None:
        pairs = list(columns.items()) if isinstance(columns, Mapping) else list(columns)
        self.names: tuple[str | NAType, ...] = tuple(name for name, _ in pairs)
        self.columns: tuple[Any, ...] = tuple(column for _, column in pairs)
        self.row_names = row_names
        self._pairs: PairList | None = None

    @property
    def attributes(self) -> dict[str, RValue]:
        """All attributes of the data frame it was made from, empty for one made in Python."""
        return {} if self._pairs is None else {cell.name: cell.value for cell in self._pairs.cells}

    def __getitem__(self, name: str) -> Any:
        """The first column of that name."""
        for other, column in zip(self.names, self.columns, strict=True):
            if isinstance(other, str) and other == name:
                return column
        raise KeyError(name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.names)

    def __len__(self) -> int:
        """How many columns."""
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return bool(to_r(self) == to_r(other))

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name!r}: {column!r}" for name, column in zip(self.names, self.columns, strict=True)
        )
        return f"Table({{{shown}}})"


def pairs_of(by_name: Mapping[str, RValue]) -> PairList | None:
    """Attributes as R's pairlist, None for none."""
    return PairList(tuple(Cell(value, Symbol(name)) for name, value in by_name.items())) if by_name else None


def same_attributes(one: PairList | None, other: PairList | None) -> bool:
    """Whether R's `identical()` finds attributes the same, in whatever order; bits of numbers count, too."""
    if one is None or other is None or len(one) != len(other):
        return one is other
    if attributes(List((), attributes=one)) == attributes(List((), attributes=other)):
        return True  # as most are, and this is quicker
    return identical(List((), attributes=one), List((), attributes=other), num_eq=False, single_na=False)


def bare_strings(value: RValue) -> tuple[str | NAType, ...] | None:
    """The elements of a character vector that has no attributes; None if it is something else."""
    value = plain(value)
    if type(value) is Character and value.attributes is None and is_ordinary(value):
        return value.values
    return None
