"""What R's accessor functions give: names, dimensions, levels, class; and strings in whatever form."""

from __future__ import annotations

from rinterop.values.altrep import EXPAND_LIMIT, plain
from rinterop.values.atoms import NULL, Null
from rinterop.values.base import NAType, RValue
from rinterop.values.pairs import Pairs
from rinterop.values.vectors import Character, Integer, List, attribute


def strings(value: RValue, limit: int | None = None) -> tuple[str | NAType, ...] | None:
    """The elements of a character vector in whatever form (plain or ALTREP); None if it is not one.

    Raises:
        ExpansionError: If it is a compact form of more than `limit` elements (default: 10 million).
    """
    value = plain(value, EXPAND_LIMIT if limit is None else limit)
    return value.values if isinstance(value, Character) else None


def names(value: RValue) -> tuple[str | NAType, ...] | None:
    """The names of a vector or pairlist as R's `names()` gives them, or None.

    Those of an array of one dimension, a table say, are its only `dimnames`.

    Raises:
        ExpansionError: If they are a compact form of very many elements.
    """
    if isinstance(value, Pairs):
        tagged = tuple(cell.name for cell in value.cells)
        return tagged if any(tagged) else None
    found = attribute(value, "names")
    if isinstance(found, Null) and len(dim(value) or ()) == 1:
        found = next(iter(dimnames(value) or ()), NULL)
    return None if isinstance(found, Null) else strings(found)


def dim(value: RValue) -> tuple[int, ...] | None:
    """The dimensions of a matrix or array, or None."""
    found = plain(attribute(value, "dim"))
    return tuple(found.values.tolist()) if isinstance(found, Integer) else None


def dimnames(value: RValue) -> tuple[RValue, ...] | None:
    """The names of rows, columns and so on: character vectors or `NULL`; None if there are none at all."""
    found = attribute(value, "dimnames")
    return found.values if isinstance(found, List) else None


def levels(value: RValue) -> tuple[str | NAType, ...] | None:
    """The levels of a factor, or None."""
    return strings(attribute(value, "levels"))


def inherits(value: RValue, *classes: str) -> bool:
    """Whether any of `classes` is in the class attribute, as `inherits(value, classes)` for S3 objects."""
    return not set(classes).isdisjoint(class_(value))


def class_(value: RValue) -> tuple[str, ...]:
    """The class attribute; empty without one (implicit classes such as "matrix" are not worked out)."""
    found = strings(attribute(value, "class"))
    return tuple(name for name in found if isinstance(name, str)) if found else ()
