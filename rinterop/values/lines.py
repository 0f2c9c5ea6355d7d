"""The lines that `deparse` makes, and the stack of what is still to be printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

from rinterop.values.base import RValue

Item: TypeAlias = "str | RValue | Operand | Callable[[], None]"
"""Text, a value, or something to do when all before it is printed."""


class Operand(NamedTuple):
    """A value and the precedence of the operator that comes after it, 0 if none does."""

    value: RValue
    next_precedence: int


class Breaks:
    """The line breaks of one list of arguments: what follows the first is indented, until the end."""

    def __init__(self, printer: Lines) -> None:
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


class Lines:
    """Prints items off a stack: printing one may put more on it, so depth costs no recursion.

    Attributes:
        lines: The lines that are finished.
        indent: Levels by which new lines are indented.
    """

    def __init__(self, width: int, nlines: int | None = None) -> None:
        self.lines: list[str] = []
        self.indent = 0
        self._width = width
        self._nlines = nlines if nlines is not None else sys.maxsize
        # No element takes less than a character, and a line has few beyond the width.
        self._most_elements = None if nlines is None else nlines * (width + 1)
        self._line: list[str] = []
        self._length = 0
        self._next_precedence = 0
        self._todo: list[Item] = []

    def run(self, value: RValue) -> None:
        """Print `value` and all in it, or as much as there are lines for."""
        todo = self._todo
        todo.append(value)
        while todo and len(self.lines) < self._nlines:
            item = todo.pop()
            if isinstance(item, str):
                self._print(item)
            elif isinstance(item, RValue):
                self._next_precedence = 0
                self._value(item)
            elif isinstance(item, Operand):
                self._next_precedence = item.next_precedence
                self._value(item.value)
            else:
                item()
        if (self._line or not self.lines) and len(self.lines) < self._nlines:
            self.newline()
        del self.lines[self._nlines :]  # an item may end several

    def _print(self, text: str) -> None:
        if not self._line:
            # Four spaces a level, from the fifth level on two.
            margin = "    " * min(self.indent, 4) + "  " * max(self.indent - 4, 0)
            self._line.append(margin)
            self._length = len(margin)
        self._line.append(text)
        self._length += len(text.encode("utf-8", "surrogateescape"))  # R counts bytes here

    def newline(self) -> None:
        """End the line, be it empty."""
        self.lines.append("".join(self._line))
        self._line.clear()
        self._length = 0

    def is_long(self) -> bool:
        """Whether the line is to be ended at the next occasion."""
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

    def _value(self, value: RValue) -> None:
        """Print `value`, or put on the stack what it consists of."""
        raise NotImplementedError
