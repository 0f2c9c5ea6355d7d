"""R values as R code: calls and functions as R prints them, vectors as the code that makes them.

The output is that of `deparse()` in R 4.2 with its default options, oddities included (R: deparse.c). Like
the writer, the printer works off a stack of what is still to be printed, so depth costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from rinterop.errors import SerializeError
from rinterop.values import literals
from rinterop.values.accessors import class_, names
from rinterop.values.altrep import Altrep, plain
from rinterop.values.atoms import (
    NULL,
    Builtin,
    Char,
    EnvironmentMarker,
    NamedReference,
    Symbol,
)
from rinterop.values.base import NAType, RValue
from rinterop.values.calls import Calls
from rinterop.values.functions import (
    S4,
    ByteCode,
    Closure,
    Environment,
    ExternalPointer,
    Promise,
    WeakReference,
)
from rinterop.values.lines import Breaks, Item
from rinterop.values.pairs import Call, Cell, PairList, Pairs
from rinterop.values.srcref import source_lines
from rinterop.values.vectors import (
    Attributed,
    Character,
    Complex,
    Double,
    Expression,
    Integer,
    List,
    Logical,
    Raw,
    is_s4,
)

WIDTH: Final = 60
"""R's width.cutoff: a line is ended at the first occasion after that many characters."""


def deparse(
    value: RValue,
    *,
    width: int = WIDTH,
    backquote: bool | None = None,
    use_source: bool = False,
    nlines: int | None = None,
) -> list[str]:
    """The lines of R code for `value`, as R's `deparse(value)` gives them.

    What has no code comes in angle brackets: `<environment>`. Byte code is shown as what
    it was compiled from.

    Args:
        value: Any value.
        width: Characters after which a line is ended where that is possible.
        backquote: Whether to put odd names in backquotes; None: in calls and functions, as R does.
        use_source: Whether a function that remembers how it was written (`srcref`) is shown so, as R's
            `print` does. `deparse` does not.
        nlines: Make no more lines than that, nor look at what they have no room for.

    Raises:
        ExpansionError: If a vector is a compact form of very many elements.
    """
    if backquote is None:
        backquote = isinstance(value, Call | Closure | Expression)
    printer = _Printer(width, backquote, use_source, nlines)
    printer.run(value)
    return printer.lines


def deparse1(value: RValue, *, width: int = 500, collapse: str = " ", use_source: bool = False) -> str:
    """The code for `value` in one string, as R's `deparse1(value)`: for messages and labels.

    Raises:
        ExpansionError: If a vector is a compact form of very many elements.
    """
    return collapse.join(deparse(value, width=width, use_source=use_source))


def one_line(value: RValue, width: int = 120) -> str:
    """The code for `value`, or its beginning and "...": for messages. Quick, however large the value is.

    Args:
        value: Any value.
        width: About so many characters, twice as many at most.

    Never raises: where there is no code, as for a compact vector of very many elements, it is the repr.
    """
    try:
        first, *more = deparse(value, width=width, nlines=2)
    except SerializeError:
        first, more = repr(value), []
    if len(first) > 2 * width:
        return first[: 2 * width - 3] + "..."
    return f"{first.rstrip()} ..." if more else first


class _Printer(Calls):
    """Prints one value."""

    def __init__(self, width: int, backquote: bool, use_source: bool, nlines: int | None) -> None:
        super().__init__(width, backquote, use_source, nlines)
        self._without_attributes = 0

    # -- values

    def _value(self, value: RValue) -> None:
        if isinstance(value, Altrep):
            value = plain(value)
        match value:
            case Symbol():
                self._print(self._name(value.name))
            case Call():
                self._call(value)
            case Logical() | Integer() | Double() | Complex() | Raw() | Character():
                self._follow(*self._with_attributes(value, self._atomic(value), has_names=True))
            case List():
                inside: tuple[Item, ...] = tuple(self._elements(self._list_names(value), value.values))
                if isinstance(value, Expression):
                    inside = ("expression(", *self._within("_without_attributes", *inside), ")")
                else:
                    inside = ("list(", *inside, ")")
                self._follow(*self._with_attributes(value, inside, has_names=True))
            case Closure():
                self._follow(*self._with_attributes(value, self._closure(value)))
            case S4():
                # Of S7, say: not made by new(). R says so from 4.4 on; before, it wrote new(...).
                self._follow(*(self._new_object(value, ()) if is_s4(value) else ("<object>",)))
            case Pairs():
                inside = tuple(self._elements([cell.name for cell in value.cells], list(value)))
                self._follow(
                    *self._with_attributes(value, ("pairlist(", *self._within("_on_one_line", *inside), ")"))
                )
            case ByteCode():
                self._value(value.source)
            case Promise():
                self._value(value.expression)
            case Char():
                self._print(literals.string(value.text))
            case Builtin():
                self._print(f".Primitive({literals.string(value.name)})")
            case _:
                self._print(_without_code(value))

    def _elements(self, tags: Sequence[str], values: Sequence[RValue]) -> Iterator[Item]:
        """The inside of `list(...)`."""
        breaks = Breaks(self)
        pairs = zip(tags, values, strict=True)
        for index, (tag, value) in enumerate(islice(pairs, self._most_elements)):
            if index:
                yield ", "
            yield breaks.check
            if tag:
                yield self._tag(tag) + " = "
            yield value
        yield breaks.end

    # -- vectors

    def _list_names(self, value: List) -> list[str]:
        """Names to print before the elements; "" where there are none, or none that can stand there."""
        return [str(n) for n in names(value) or ()] if _has_nice_names(value) else [""] * len(value)

    def _atomic(self, value: Any) -> tuple[Item, ...]:
        run = literals.run(value)
        if run is not None:
            return (run,)
        if not len(value):
            return (literals.EMPTY[type(value)],)
        texts = literals.elements(value, self._most_elements)
        tags = (
            [f"{self._tag(str(n))} = " if n else "" for n in names(value) or ()]
            if _has_nice_names(value)
            else []
        )
        if tags:
            texts = [tag + text for tag, text in zip(tags, texts, strict=False)]  # not all may be wanted
        is_raw = isinstance(value, Raw)
        if len(texts) == 1 and not tags:
            return (f"as.raw({texts[0]})" if is_raw else texts[0],)
        items: list[Item] = ["as.raw(c(" if is_raw else "c("]
        for index, text in enumerate(texts):
            items += [", ", self._end_long_line, text] if index else [text]
        if len(texts) > 1:
            items.append(self._end_long_line)
        return (*items, "))" if is_raw else ")")

    def _with_attributes(
        self, value: Any, items: Sequence[Item], *, has_names: bool = False
    ) -> tuple[Item, ...]:
        """`structure(..., attributes)` where there are attributes to show."""
        if isinstance(value, Attributed) and is_s4(value) and class_(value):
            return self._new_object(value, items)
        if self._without_attributes:
            return tuple(items)
        shown = [cell for cell in _cells(value) if cell.name != "srcref"]
        if has_names and _has_nice_names(value):
            shown = [cell for cell in shown if cell.name != "names"]
        if not shown:
            return tuple(items)
        attributes: list[Item] = []
        for cell in shown:
            name = cell.name if literals.is_name(cell.name) else literals.string(cell.name)
            attributes += [f", {name} = ", cell.value]
        return ("structure(", *items, *attributes, ")")

    def _new_object(self, value: Any, data: Sequence[Item]) -> tuple[Item, ...]:
        """`new("class", slot = ...)`."""
        items: list[Item] = [f"new({literals.string(class_(value)[0])}"] if class_(value) else ["<S4 object>"]
        if not class_(value):
            return tuple(items)
        if data:
            items += [", .Data = ", *data]
        for cell in _cells(value):
            if cell.name != "class":
                items += [f", {self._tag(cell.name)} = ", cell.value]
        return (*items, ")")

    # -- functions

    def _closure(self, value: Closure) -> tuple[Item, ...]:
        lines = source_lines(value) if self._use_source else None
        if lines is not None:
            return self._verbatim(lines)
        code = (*self._formals(value.formals), ") ", self.newline, value.body)
        return ("function (", *self._within("_without_attributes", *code))


def _cells(value: RValue) -> tuple[Cell, ...]:
    pairs: PairList | None = getattr(value, "attributes", None)
    return () if pairs is None else pairs.cells


def _has_nice_names(value: Any) -> bool:
    """Whether the names can be printed before the elements: `c(a = 1)`, not `structure(1, names = NA)`."""
    found = names(value)
    if not found or len(found) != len(value):
        return False
    if any(isinstance(name, NAType) for name in found) or not any(found):
        return False
    if isinstance(value, List):
        return True
    # c() would take two names for its own arguments.
    return literals.run(value) is None and not {"recursive", "use.names"} & set(found)


def _without_code(value: RValue) -> str:
    match value:
        case EnvironmentMarker() | NamedReference() | Environment():
            return "<environment>"
        case ExternalPointer():
            return "<pointer: (nil)>"
        case WeakReference():
            return "<weak reference>"
        case _ if value is NULL:
            return "NULL"
        case _:
            return ""
