"""What items are made of: lengths, symbols, references; and the items in which there are no items."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from rinterop.errors import DecodeError
from rinterop.serialize import constants as c
from rinterop.serialize.sources import Source, char_body, read_char
from rinterop.values import (
    BASE_ENV,
    BASE_NAMESPACE,
    EMPTY_ENV,
    GLOBAL_ENV,
    MISSING_ARG,
    NULL,
    UNBOUND,
    Altrep,
    Builtin,
    Char,
    Character,
    PairList,
    RValue,
    Symbol,
)
from rinterop.values.text import bytes_of

MARKERS: Final[dict[int, RValue]] = {
    c.NIL: NULL,
    c.GLOBALENV: GLOBAL_ENV,
    c.EMPTYENV: EMPTY_ENV,
    c.BASEENV: BASE_ENV,
    c.BASENAMESPACE: BASE_NAMESPACE,
    c.UNBOUNDVALUE: UNBOUND,
    c.MISSINGARG: MISSING_ARG,
}


class Pieces:
    """Reads pieces off one source.

    Attributes:
        references: The table of objects that may occur again ("reference objects" in R Internals).
    """

    def __init__(self, source: Source, native: str) -> None:
        self.source = source
        self.references: list[RValue] = []
        self._native = native

    def refuse(self, cause: str, back: int = 0) -> NoReturn:
        """Raise DecodeError for what was just read, `back` bytes ago."""
        raise DecodeError(self.source.position - back, cause)

    def flags(self) -> int:
        """A flags word, as far as R heeds it."""
        flags = self.source.word()
        return flags if 0 <= flags <= 0xFF else c.heeded(flags)

    def length(self, width: int) -> int:
        """A length; that many elements of at least `width` bytes may follow."""
        count = self.source.word()
        if count == -1:
            high, low = self.source.word(), self.source.word()
            if not 0 <= high <= 65536:
                self.refuse("an impossible length", 8)
            count = (high << 32) + (low & 0xFFFF_FFFF)
        elif count < 0:
            self.refuse(f"a length of {count}", 4)
        self.source.require(count, width)
        return count

    def proper(self, value: RValue, what: str) -> PairList | None:
        """A pairlist without calls in the chain, as R takes for granted of `what`; or None for NULL."""
        if value is NULL:
            return None
        if type(value) is not PairList or any(cell.is_call for cell in value.cells):
            self.refuse(f"{what} are not a pairlist")
        return value

    def as_attributes(self, value: RValue) -> PairList | None:
        """What may stand for attributes."""
        return self.proper(value, "attributes")

    def symbol(self) -> Symbol:
        """A tag or other place where only a symbol may stand."""
        flags = self.flags()
        if flags == c.SYM:
            return self.new_symbol(flags)
        found = self.reference(flags) if flags & 0xFF == c.REF else None
        if type(found) is not Symbol:
            self.refuse("a symbol is expected here")
        return found

    def unknown(self, flags: int) -> RValue:
        self.refuse(f"unknown type {flags & 0xFF}")

    def marker(self, flags: int) -> RValue:
        return MARKERS[flags]

    def reference(self, flags: int) -> RValue:
        index = flags >> 8
        if index == 0:
            index = self.source.word()
        if not 1 <= index <= len(self.references):
            self.refuse(f"reference {index}, where {len(self.references)} objects are known")
        return self.references[index - 1]

    def new_symbol(self, flags: int) -> Symbol:
        start = self.source.position
        name = read_char(self.source, self._native)
        # A name cannot be NA: R has no such symbol, and "" is the missing argument's.
        if not isinstance(name, str) or not name or len(bytes_of(name)[0]) > c.MAX_SYMBOL:
            raise DecodeError(start, "a symbol without a name, or with one too long")
        symbol = Symbol(name)
        self.references.append(symbol)
        return symbol

    def char(self, flags: int) -> RValue:
        if flags & c.CHAR_BITS:
            self.refuse("a string with attributes")
        return Char(char_body(self.source, flags, self._native))

    def builtin(self, flags: int) -> RValue:
        size = self.source.word()
        if flags & (c.HAS_ATTRIBUTES | c.IS_OBJECT) or not 0 < size <= c.MAX_BUILTIN:
            self.refuse(f"a builtin function with a name of {size} bytes")
        name = self.source.text(size)
        if not name.isascii() or b"\0" in name:
            self.refuse("the name of a builtin function is not ASCII")
        return Builtin(name.decode("ascii"), flags & 0xFF == c.SPECIAL, flags >> c.GP_SHIFT)

    def bits(self, flags: int, attributes: PairList | None) -> dict[str, Any]:
        """gp and object bit as keyword arguments; the object bit only where it is not what the class says."""
        bits: dict[str, Any] = {}
        gp = flags >> c.GP_SHIFT & c.GP_MASK
        if gp:
            bits["gp"] = gp
        classes = None
        if attributes is not None:
            classes = next((cell.value for cell in attributes.cells if cell.name == "class"), None)
        if flags & c.IS_OBJECT:
            # R 4.2 dies dispatching on an object that has no class, or one that is no text.
            text = type(classes) is Character or (type(classes) is Altrep and classes.type_code == c.STR)
            if not text:
                self.refuse("an object without a class")
        elif classes is not None:
            bits["is_object"] = False
        return bits
