"""R values as R code: calls and functions as R prints them, vectors as the code that makes them.

The output is that of `deparse()` in R 4.2 with its default options, oddities included (R: deparse.c). Like
the writer, the printer works off a stack of what is still to be printed, so depth costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from rinterop.values import literals
from rinterop.values.altrep import Altrep, plain
from rinterop.values.atoms import (
    MISSING_ARG,
    NULL,
    Builtin,
    Char,
    EnvironmentMarker,
    NamedReference,
    Symbol,
)
from rinterop.values.base import NAType, RValue
from rinterop.values.functions import (
    S4,
    ByteCode,
    Closure,
    Environment,
    ExternalPointer,
    Promise,
    WeakReference,
)
from rinterop.values.operators import (
    OPERATORS,
    PRIMITIVES,
    SIGN,
    SUM,
    Kind,
    Operator,
    is_custom,
    needs_parentheses,
    operator_of,
)
from rinterop.values.pairs import Call, Cell, PairList, Pairs
from rinterop.values.srcref import source_lines
from rinterop.values.vectors import (
    S4_BIT,
    Attributed,
    Character,
    Complex,
    Double,
    Expression,
    Integer,
    List,
    Logical,
    Raw,
    class_,
    names,
)

WIDTH: Final = 60
"""R's width.cutoff: a line is ended at the first occasion after that many characters."""

Item: TypeAlias = "str | RValue | _Operand | Callable[[], None]"
"""Text, a value, or something to do when all before it is printed."""


def deparse(
    value: RValue, *, width: int = WIDTH, backquote: bool | None = None, use_source: bool = False
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

    Raises:
        ExpansionError: If a vector is a compact form of very many elements.
    """
    if backquote is None:
        backquote = isinstance(value, Call | Closure | Expression)
    printer = _Printer(width, backquote, use_source)
    printer.run(value)
    return printer.lines


def deparse1(value: RValue, *, width: int = 500, collapse: str = " ", use_source: bool = False) -> str:
    """The code for `value` in one string, as R's `deparse1(value)`: for messages and labels.

    Raises:
        ExpansionError: If a vector is a compact form of very many elements.
    """
    return collapse.join(deparse(value, width=width, use_source=use_source))


class _Operand(NamedTuple):
    """A value and the precedence of the operator that comes after it, 0 if none does."""

    value: RValue
    next_precedence: int


class _Breaks:
    """The line breaks of one list of arguments: what follows the first is indented, until the end."""

    def __init__(self, printer: _Printer) -> None:
        self._printer = printer
        self._broken = False

    def check(self) -> None:
        """End the line if it is long enough."""
        if self._printer.is_long():
            if not self._broken:
                self._broken = True
                self._printer.indent += 1
            self._printer.newline()

    def end(self) -> None:
        if self._broken:
            self._broken = False
            self._printer.indent -= 1


class _Printer:
    """Prints one value."""

    def __init__(self, width: int, backquote: bool, use_source: bool) -> None:
        self.lines: list[str] = []
        self.indent = 0
        self._width = width
        self._backquote = backquote
        self._use_source = use_source
        self._line: list[str] = []
        self._length = 0
        self._in_braces = 0
        self._on_one_line = 0
        self._without_attributes = 0
        self._next_precedence = 0
        self._todo: list[Item] = []

    def run(self, value: RValue) -> None:
        todo = self._todo
        todo.append(value)
        while todo:
            item = todo.pop()
            if isinstance(item, str):
                self._print(item)
            elif isinstance(item, RValue):
                self._next_precedence = 0
                self._value(item)
            elif isinstance(item, _Operand):
                self._next_precedence = item.next_precedence
                self._value(item.value)
            else:
                item()
        if self._line or not self.lines:
            self.newline()

    def _print(self, text: str) -> None:
        if not self._line:
            # Four spaces a level, from the fifth level on two.
            margin = "    " * min(self.indent, 4) + "  " * max(self.indent - 4, 0)
            self._line.append(margin)
            self._length = len(margin)
        self._line.append(text)
        self._length += len(text.encode("utf-8", "surrogateescape"))  # R counts bytes here

    def newline(self) -> None:
        self.lines.append("".join(self._line))
        self._line.clear()
        self._length = 0

    def is_long(self) -> bool:
        return self._length > self._width

    def _end_long_line(self) -> None:
        if self.is_long():
            self.newline()

    def _add(self, counter: str, step: int) -> None:
        setattr(self, counter, getattr(self, counter) + step)

    def _within(self, counter: str, *items: Item) -> tuple[Item, ...]:
        """`items` with a counter one up while they are printed."""
        return (partial(self._add, counter, 1), *items, partial(self._add, counter, -1))

    def _follow(self, *items: Item) -> None:
        """These are printed next, in this order."""
        self._todo.extend(reversed(items))

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
                self._follow(*self._new_object(value, ()))
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

    def _name(self, name: str) -> str:
        return _quoted(name) if self._backquote else name

    def _tag(self, name: str) -> str:
        # Between double quotes R escapes nothing in a name.
        return _quoted(name) if self._backquote or literals.is_name(name) else f'"{name}"'

    def _elements(self, tags: Sequence[str], values: Sequence[RValue]) -> Iterator[Item]:
        """The inside of `list(...)`."""
        breaks = _Breaks(self)
        for index, (tag, value) in enumerate(zip(tags, values, strict=True)):
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
        texts = literals.elements(value)
        tags = (
            [f"{self._tag(str(n))} = " if n else "" for n in names(value) or ()]
            if _has_nice_names(value)
            else []
        )
        if tags:
            texts = [tag + text for tag, text in zip(tags, texts, strict=True)]
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
        if isinstance(value, Attributed) and value.gp & S4_BIT and class_(value):
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

    def _verbatim(self, lines: Sequence[str]) -> tuple[Item, ...]:
        items: list[Item] = [lines[0]]
        for line in lines[1:]:
            items += [self.newline, line]
        return tuple(items)

    def _formals(self, formals: RValue) -> Iterator[Item]:
        breaks = _Breaks(self)
        for index, cell in enumerate(formals.cells if isinstance(formals, Pairs) else ()):
            if index:
                yield ", "
                yield breaks.check
            if cell.tag is None:
                yield cell.value
                continue
            yield self._tag(cell.name)
            if cell.value is not MISSING_ARG:
                yield " = "
                yield cell.value
        yield breaks.end

    def _arguments(self, cells: Sequence[Cell]) -> Iterator[Item]:
        """What stands between the parentheses of a call."""
        breaks = _Breaks(self)
        for index, cell in enumerate(cells):
            if index:
                yield ", "
                yield breaks.check
            if cell.tag is not None:
                yield self._tag(cell.name) + " = "
            if operator_of(cell.value) == OPERATORS["="]:
                # f((a = b)): without parentheses it would be a named argument.
                yield from ("(", cell.value, ")")
            else:
                yield cell.value
        yield breaks.end

    # -- calls

    def _call(self, value: Call) -> None:
        head, cells = value.cells[0].value, value.cells[1:]
        if not isinstance(head, Symbol):
            needed = isinstance(head, Closure) or _is_odd_function(head)
            function: tuple[Item, ...] = ("(", head, ")") if needed else (head,)
            self._follow(*function, "(", *self._arguments(cells), ")")
            return
        operator = operator_of(value)
        items = None if operator is None else _LAYOUTS[operator.kind](self, head.name, operator, cells)
        self._follow(*(self._plain_call(head.name, cells) if items is None else items))

    def _plain_call(self, name: str, cells: Sequence[Cell]) -> tuple[Item, ...]:
        inside = tuple(self._arguments(cells))
        if name in PRIMITIVES or is_custom(name):
            inside = self._within("_on_one_line", *inside)
        return (_quoted(name), "(", *inside, ")")

    # Layouts: what to print for a call of that operator, None if it is written as any other call. Where R
    # takes an argument for granted it prints NULL; what is too many it leaves out.

    def _operand(self, operator: Operator, value: RValue, *, on_left: bool) -> tuple[Item, ...]:
        following = operator.precedence if on_left else self._next_precedence
        if needs_parentheses(operator, value, on_left=on_left, next_precedence=following):
            return ("(", value, ")")
        # R overlooks that an index comes after the operand, too.
        return (_Operand(value, 0 if operator.kind is Kind.SUBSET else following),)

    def _spaced(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...] | None:
        if len(cells) == 1:
            sign = Operator(operator.kind, SIGN) if operator.precedence == SUM else operator
            return (name, *self._operand(sign, cells[0].value, on_left=False))
        if len(cells) != 2:
            return None
        breaks = _Breaks(self)
        left, right = (cell.value for cell in cells)
        return (
            *self._operand(operator, left, on_left=True),
            f" {name} ",
            breaks.check,
            *self._operand(operator, right, on_left=False),
            breaks.end,
        )

    def _custom(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...] | None:
        if len(cells) != 2 or any(cell.tag for cell in cells):
            return None
        return self._spaced(name, operator, cells)

    def _tight(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...] | None:
        if len(cells) != 2:
            return None
        left, right = (cell.value for cell in cells)
        return (
            *self._operand(operator, left, on_left=True),
            name,
            *self._operand(operator, right, on_left=False),
        )

    def _assign(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...]:
        left, right = _first(cells, 2)
        return (
            *self._operand(operator, left, on_left=True),
            f" {name} ",
            *self._operand(operator, right, on_left=False),
        )

    def _unary(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...]:
        return (name, *self._operand(operator, *_first(cells, 1), on_left=False))

    def _dollar(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...] | None:
        if len(cells) != 2:
            return None
        left, right = _first(cells, 2)
        if isinstance(right, Character) and len(right) == 1 and isinstance(right[0], str):
            member: Item = right[0] if literals.is_name(right[0]) else right
        elif isinstance(right, Symbol):
            member = right
        else:
            return None
        return (*self._operand(operator, left, on_left=True), name, member)

    def _subset(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...]:
        closing = "]" * len(name)
        return (
            *self._operand(operator, *_first(cells, 1), on_left=True),
            name,
            *self._arguments(cells[1:]),
            closing,
        )

    def _paren(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...]:
        return ("(", *_first(cells, 1), ")")

    def _brace(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...]:
        lines: list[Item] = []
        for cell in cells:
            lines += [cell.value, self.newline]
        return (
            "{",
            *self._within("_in_braces", *self._within("indent", self.newline, *lines), "}"),
        )

    def _if(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...]:
        condition, then = _first(cells, 2)
        otherwise = cells[2].value if len(cells) > 2 else None
        items: list[Item] = ["if (", condition, ") "]
        if not self._in_braces or self._on_one_line:
            items += [then] if otherwise is None else [then, " else ", otherwise]
            return tuple(items)
        if operator_of(then) == OPERATORS["{"]:
            items.append(then)
        else:
            items += self._within("indent", self.newline, then)
        if otherwise is not None:
            items += [self.newline, "else ", otherwise]
        return tuple(items)

    def _for(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...]:
        variable, values, body = _first(cells, 3)
        return ("for (", variable, " in ", values, ") ", body)

    def _while(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...]:
        condition, body = _first(cells, 2)
        return ("while (", condition, ") ", body)

    def _repeat(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...]:
        return ("repeat ", *_first(cells, 1))

    def _function(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...]:
        lines = source_lines(cells[2].value) if self._use_source and len(cells) > 2 else None
        if lines is not None:
            return self._verbatim(lines)
        formals, body = _first(cells, 2)
        return ("function(", *self._formals(formals), ") ", body)

    def _jump(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...]:
        return (name,)


_LAYOUTS: Final[dict[Kind, Callable[..., tuple[Item, ...] | None]]] = {
    Kind.SPACED: _Printer._spaced,
    Kind.TIGHT: _Printer._tight,
    Kind.CUSTOM: _Printer._custom,
    Kind.ASSIGN: _Printer._assign,
    Kind.UNARY: _Printer._unary,
    Kind.DOLLAR: _Printer._dollar,
    Kind.SUBSET: _Printer._subset,
    Kind.PAREN: _Printer._paren,
    Kind.BRACE: _Printer._brace,
    Kind.IF: _Printer._if,
    Kind.FOR: _Printer._for,
    Kind.WHILE: _Printer._while,
    Kind.REPEAT: _Printer._repeat,
    Kind.FUNCTION: _Printer._function,
    Kind.JUMP: _Printer._jump,
}


def _first(cells: Sequence[Cell], count: int) -> tuple[RValue, ...]:
    """The first arguments, `NULL` for those that are not there."""
    values = tuple(cell.value for cell in cells[:count])
    return values + (NULL,) * (count - len(values))


_HEADS: Final = frozenset({Kind.DOLLAR, Kind.SUBSET, Kind.PAREN, Kind.BRACE})


def _is_odd_function(head: RValue) -> bool:
    """Whether what is called is a call that has to be put in parentheses."""
    if not isinstance(head, Call):
        return False
    if not isinstance(head.cells[0].value, Symbol):
        return True
    operator, name = operator_of(head), head.cells[0].value.name
    if operator is None:
        return name == "return"
    return operator.kind not in _HEADS and name not in ("::", ":::")


def _quoted(name: str) -> str:
    return name if literals.is_name(name) else f"`{literals.escaped(name, '`')}`"


def _cells(value: RValue) -> tuple[Cell, ...]:
    pairs: PairList | None = getattr(value, "attributes", None)
    return () if pairs is None else pairs.cells


def _has_nice_names(value: Any) -> bool:
    """Whether the names can be printed before the elements: `c(a = 1)`, not `structure(1, names = NA)`."""
    found = names(value)
    if not found or not any(found_name for found_name in found if isinstance(found_name, str)):
        return False
    if any(isinstance(name, NAType) for name in found):
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
