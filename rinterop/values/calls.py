"""How calls are printed: operators between their operands, control flow over several lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rinterop.values import literals
from rinterop.values.atoms import MISSING_ARG, NULL, Symbol
from rinterop.values.base import RValue
from rinterop.values.functions import Closure
from rinterop.values.lines import Breaks, Item, Lines, Operand
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
from rinterop.values.pairs import Call, Cell, Pairs
from rinterop.values.srcref import source_lines
from rinterop.values.vectors import Character


class Calls(Lines):
    """Prints calls; what else there is to print, `_value` knows."""

    def __init__(self, width: int, backquote: bool, use_source: bool, nlines: int | None) -> None:
        super().__init__(width, nlines)
        self._backquote = backquote
        self._use_source = use_source
        self._in_braces = 0
        self._on_one_line = 0

    def _name(self, name: str) -> str:
        return _quoted(name) if self._backquote else name

    def _tag(self, name: str) -> str:
        # Between double quotes R escapes nothing in a name.
        return _quoted(name) if self._backquote or literals.is_name(name) else f'"{name}"'

    def _verbatim(self, lines: Sequence[str]) -> tuple[Item, ...]:
        items: list[Item] = [lines[0]]
        for line in lines[1:]:
            items += [self.newline, line]
        return tuple(items)

    def _formals(self, formals: RValue) -> Iterator[Item]:
        breaks = Breaks(self)
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
        breaks = Breaks(self)
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
        return (Operand(value, 0 if operator.kind is Kind.SUBSET else following),)

    def _spaced(self, name: str, operator: Operator, cells: Sequence[Cell]) -> tuple[Item, ...] | None:
        if len(cells) == 1:
            sign = Operator(operator.kind, SIGN) if operator.precedence == SUM else operator
            return (name, *self._operand(sign, cells[0].value, on_left=False))
        if len(cells) != 2:
            return None
        breaks = Breaks(self)
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
    Kind.SPACED: Calls._spaced,
    Kind.TIGHT: Calls._tight,
    Kind.CUSTOM: Calls._custom,
    Kind.ASSIGN: Calls._assign,
    Kind.UNARY: Calls._unary,
    Kind.DOLLAR: Calls._dollar,
    Kind.SUBSET: Calls._subset,
    Kind.PAREN: Calls._paren,
    Kind.BRACE: Calls._brace,
    Kind.IF: Calls._if,
    Kind.FOR: Calls._for,
    Kind.WHILE: Calls._while,
    Kind.REPEAT: Calls._repeat,
    Kind.FUNCTION: Calls._function,
    Kind.JUMP: Calls._jump,
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
