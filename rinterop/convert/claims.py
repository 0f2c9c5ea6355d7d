"""Attributes that say something of particular rows, columns or elements, and whether it still holds.

A data.table says by which columns it is sorted, a grouped tibble which rows make a group, a geometry column
where its elements lie. pandas knows nothing of that, and a frame that was sorted, filtered or changed there
must not go back to R with such a claim: `d[J(3L)]` on a data.table with a wrong key gives NA and no error. So
what a claim rests on is compared by `digest`, and a claim that rests on something else now is left out, with
the class that means nothing without it; where R's own code would work it out anew, so does this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rinterop.convert.groups import regrouped
from rinterop.convert.types import pairs_of
from rinterop.convert.vectors import frozen
from rinterop.errors import ExpansionError
from rinterop.values import (
    NA,
    NA_INTEGER,
    NA_REAL,
    NULL,
    Character,
    Complex,
    Double,
    Integer,
    List,
    Logical,
    NAType,
    Raw,
    RValue,
    Symbol,
    attribute,
    attributes,
    character,
    class_,
    is_na_real,
    plain,
    strings,
)
from rinterop.values.vectors import Vector, attribute_list

_ALWAYS: Final = frozenset({"class", "row.names", ".internal.selfref"})
"""Of a data frame: what the rest of this package looks after, and what R makes anew."""
_OF_THE_WHOLE: Final = frozenset({"class", "levels", "contrasts", "tzone", "units", "label", "labels", "crs"})
"""Of a column: what holds for any elements."""
_OF_ELEMENTS: Final = frozenset({"names", "dim", "dimnames", "na.action"})
_OF_COLUMNS: Final = frozenset({"sorted", "groups", "key", "index", "index2"})
"""Claims that rest on the columns they name and on nothing else."""
_CLASSES: Final = {
    "grouped_df": ("groups",),
    "rowwise_df": ("groups",),
    "tbl_ts": ("key", "index", "index2", "interval"),
    "pdata.frame": ("index",),
}
"""Classes, and the claims that they mean nothing without."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a data frame was when its attributes were true.

    Attributes:
        n_rows: How many rows it had.
        digests: Of its columns, by name; of all of them, or of those with claims of their own.
    """

    n_rows: int
    digests: Mapping[str, str]

    def holds(self, name: str, column: RValue) -> bool:
        """Whether a column still has the elements that it had."""
        return self.digests.get(name) == digest(column)


def origin_of(value: List, names: Sequence[str | NAType], columns: Sequence[RValue], n_rows: int) -> Origin:
    """What is to be remembered of a data frame so that its claims can be judged."""
    everything = any(name not in _ALWAYS and name != "names" for name in attributes(value))
    digests = {
        str(name): digest(column)
        for name, column in zip(names, columns, strict=True)
        if (everything or _has_claims(column, n_rows)) and list(names).count(name) == 1
    }
    return Origin(n_rows, digests)


def digest(value: RValue) -> str:
    """A text that is the same for the same elements, in whatever form R may hold them; attributes apart."""
    found = hashlib.blake2b(digest_size=12)
    todo = [value]
    while todo:
        one = _plain(todo.pop())
        levels = strings(attribute(one, "levels")) if isinstance(one, Integer) else None
        found.update(f"{type(one).__name__} {len(one) if isinstance(one, Vector) else ''} ".encode())
        match one:
            case Double() | Complex():
                found.update(_usual_nans(one.values.view(np.float64)).tobytes())
            case Integer() | Logical():
                found.update(one.values.tobytes())
            case Character():
                found.update(_joined(one.values))
            case List():
                todo.extend(one.values)
            case Raw():
                found.update(one.values)
            case Symbol():
                found.update(_joined([one.name]))
        found.update(_joined(levels or ()))
    return found.hexdigest()


def column_of(column: Any, n_rows: int) -> Any:
    """A column with other elements than it had in a frame of `n_rows` rows: without what it said of those."""
    tags = attributes(column)
    kept = {name: value for name, value in tags.items() if not _is_of_elements(name, value, n_rows)}
    if isinstance(column, List) and "sfc" in class_(column):
        kept |= _geometry(column, tags)
    return type(column)(values=column.values, attributes=pairs_of(kept))


def frame_tags(
    tags: Mapping[str, RValue], origin: Origin, names: Sequence[str], columns: Sequence[RValue], n_rows: int
) -> dict[str, RValue]:
    """The attributes that a data frame may keep: names, class, row names, and what still holds.

    Args:
        tags: What it had.
        origin: What it was then.
        names, columns, n_rows: What it is now.
    """
    as_many = n_rows == origin.n_rows
    present = zip(names, columns, strict=True) if as_many else ()
    held = {name for name, column in present if origin.holds(name, column)}
    kept: dict[str, RValue] = {}
    for name, value in tags.items():
        if name == "sorted":
            found = _leading(value, held)
            kept |= {name: found} if found is not None else {}
        elif name in _ALWAYS or name == "names" or _still_true(name, value, origin, held, as_many):
            kept[name] = value
    if "sf" in class_(List((), attributes=pairs_of(tags))):
        _simple_features(kept, tags, names, columns)
    if "groups" in tags and "groups" not in kept:
        by_name = dict(zip(names, columns, strict=True))
        rowwise = "rowwise_df" in (strings(tags.get("class", NULL)) or ())
        fresh = regrouped(plain(tags["groups"]), by_name, n_rows, rowwise)
        kept |= {} if fresh is None else {"groups": fresh}
    _drop_classes(kept, tags)
    return kept


def _still_true(name: str, value: RValue, origin: Origin, held: set[str], as_many: bool) -> bool:
    before = set(origin.digests)
    named = before & set(_words(value))
    if name in _OF_COLUMNS and named:
        return named <= held
    if name == "groups":  # each row is one
        return as_many
    of_rows = name in _OF_ELEMENTS or _has_part_of(value, origin.n_rows)
    return named <= held and (not of_rows or before <= held)


def _leading(sorted_by: RValue, held: set[str]) -> Character | None:
    """A data.table sorted by several columns is sorted by the first of them, too."""
    names: list[str] = []
    for name in strings(sorted_by) or ():
        if name not in held:
            break
        names.append(str(name))
    return character(*names) if names else None


def _simple_features(
    kept: dict[str, RValue], tags: Mapping[str, RValue], names: Sequence[str], columns: Sequence[RValue]
) -> None:
    """sf says which column is the geometry, and for each other one how its values relate to it."""
    geometry = next(iter(strings(tags.get("sf_column", NULL)) or ()), None)
    found = dict(zip(names, columns, strict=True)).get(str(geometry), NULL)
    if "sfc" not in class_(found):
        kept.pop("sf_column", None)
        kept.pop("agr", None)
        return
    kept["sf_column"] = tags["sf_column"]
    relations = plain(tags.get("agr", NULL))
    if isinstance(relations, Integer):
        known = dict(
            zip(strings(attribute(relations, "names")) or (), relations.values.tolist(), strict=False)
        )
        others = [name for name in names if name != geometry]
        codes = np.array([known.get(name, NA_INTEGER) for name in others], np.int32)
        more = {**attributes(relations), "names": character(*others)}
        kept["agr"] = Integer(frozen(codes), attributes=pairs_of(more))


def _drop_classes(kept: dict[str, RValue], tags: Mapping[str, RValue]) -> None:
    """Take away classes whose claims are gone, and what is left of these."""
    classes = [text for text in strings(tags.get("class", NULL)) or () if isinstance(text, str)]
    gone = {
        name
        for name, claims in {**_CLASSES, "sf": ("sf_column",)}.items()
        if name in classes and any(claim in tags and claim not in kept for claim in claims)
    }
    if gone:
        for name in gone:
            for claim in _CLASSES.get(name, ()):
                kept.pop(claim, None)
        kept["class"] = character(*(name for name in classes if name not in gone))


def _has_claims(column: RValue, n_rows: int) -> bool:
    is_geometry = "sfc" in class_(column)
    return is_geometry or any(
        _is_of_elements(name, value, n_rows) for name, value in attributes(column).items()
    )


def _is_of_elements(name: str, value: RValue, n_rows: int) -> bool:
    if name in _OF_THE_WHOLE:
        return False
    return name in _OF_ELEMENTS or _has_part_of(value, n_rows)


def _has_part_of(value: RValue, n_rows: int) -> bool:
    """Whether there is something in it with an element for each row."""
    return n_rows > 1 and any(isinstance(one, Vector) and len(one) == n_rows for one in _inside(value))


def _geometry(column: List, tags: Mapping[str, RValue]) -> dict[str, RValue]:
    """What sf works out of the elements of a geometry column."""
    points = [corners for item in column.values if (corners := _corners(item)).size]
    found: dict[str, RValue] = {}
    if "bbox" in tags:
        every = np.concatenate(points) if points else np.full((1, 2), NA_REAL)
        box = np.concatenate([every.min(axis=0), every.max(axis=0)])
        found["bbox"] = Double(frozen(box), attributes=attribute_list(tags["bbox"]))
    if "n_empty" in tags:
        found["n_empty"] = Integer(frozen(np.array([len(column) - len(points)], np.int32)))
    if "classes" in tags:
        kinds = [classes[1] if len(classes := class_(item)) > 1 else NA for item in column.values]
        found["classes"] = character(*kinds)
    return found


def _corners(geometry: RValue) -> NDArray[np.float64]:
    """The coordinates x and y of all points of a geometry: of one, a matrix of them, or lists of these."""
    found = [np.empty((0, 2))]
    for one in _inside(geometry, with_attributes=False):
        if isinstance(one, Double) and len(one) > 1:
            dim = plain(attribute(one, "dim"))
            rows = int(dim.values[0]) if isinstance(dim, Integer) and len(dim) == 2 else 1
            found.append(one.values.reshape(rows, -1, order="F")[:, :2])
    every = np.concatenate(found)
    return every[~np.isnan(every).any(axis=1)]


def _words(value: RValue) -> Iterator[str]:
    """All texts in a value and the names of its attributes. data.table has index columns as `__x__y`."""
    for one in _inside(value):
        texts = [*(one.values if isinstance(one, Character) else ()), *attributes(one)]
        for text in texts:
            if isinstance(text, str):
                yield text
                yield from text.split("__")


def _inside(value: RValue, with_attributes: bool = True) -> Iterator[RValue]:
    """A value, its attributes, and the same of what is in it."""
    todo = [value]
    while todo:
        one = _plain(todo.pop())
        yield one
        if isinstance(one, List):
            todo.extend(one.values)
        if with_attributes:
            todo.extend(attributes(one).values())


def _plain(value: RValue) -> RValue:
    try:
        return plain(value)
    except ExpansionError:
        return value


def _joined(texts: Sequence[str | NAType]) -> bytes:
    marked = (f"s{text}" if isinstance(text, str) else "n" for text in texts)
    return "\0".join(marked).encode("utf-8", "surrogatepass")


def _usual_nans(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same with one pattern of bits for NA and one for NaN."""
    missing = np.isnan(numbers)
    if not missing.any():
        return numbers
    usual = np.where(missing, np.nan, numbers)
    usual.view(np.uint64)[is_na_real(numbers)] = np.array(NA_REAL).view(np.uint64)
    return usual
