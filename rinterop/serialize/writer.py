"""R values to bytes, in the XDR form.

The layout is pre-order: an item's own words come before its parts. So a stack of what is still to be
written, in reverse, is all the machinery there is, and depth costs nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

from rinterop.errors import EncodeError
from rinterop.serialize import constants as c
from rinterop.serialize.header import NATIVE, TEXT, XDR, Header
from rinterop.values import (
    BASE_ENV,
    BASE_NAMESPACE,
    EMPTY_ENV,
    GLOBAL_ENV,
    MISSING_ARG,
    NULL,
    S4,
    UNBOUND,
    Altrep,
    Builtin,
    ByteCode,
    Call,
    CallTree,
    Cell,
    Char,
    Character,
    Closure,
    CodeBody,
    Complex,
    Constant,
    DotArgs,
    Double,
    Environment,
    Expression,
    ExternalPointer,
    Integer,
    List,
    Logical,
    Namespace,
    NAType,
    PackageEnvironment,
    PairList,
    Persistent,
    Promise,
    Raw,
    RValue,
    SharedCall,
    Symbol,
    WeakReference,
)
from rinterop.values.text import bytes_of

Pending: TypeAlias = "RValue | bytes | tuple[Cell, int]"
"""A value, words already made, or a cell with its type code."""

_MARKERS: Final[dict[RValue, int]] = {
    NULL: c.NIL,
    GLOBAL_ENV: c.GLOBALENV,
    EMPTY_ENV: c.EMPTYENV,
    BASE_ENV: c.BASEENV,
    BASE_NAMESPACE: c.BASENAMESPACE,
    UNBOUND: c.UNBOUNDVALUE,
    MISSING_ARG: c.MISSINGARG,
}
_HEAD_CODES: Final[dict[type[RValue], int]] = {PairList: c.LIST, Call: c.LANG, DotArgs: c.DOT}
_NA_CHAR: Final = struct.pack(">ii", c.CHAR, -1)
_MAX_PACKED: Final = 2**23 - 1
"""Largest reference index that fits the flags word (R: serialize.c, MAX_PACKED_INDEX)."""


def dumps(value: RValue, *, version: int = 3, header: Header | None = None) -> bytes:
    """Write `value` as R's `serialize(value, NULL)` does.

    What R wrote comes out as it was read, with the same header if `header` is given (`read_header`). New
    values are written as R 4.2.2 would write them under a UTF-8 locale.

    Args:
        value: What to write.
        version: Format version, 2 (without ALTREP forms and the native encoding's name) or 3.
        header: The header to write instead, which also has the version.

    Raises:
        EncodeError: If the value cannot be written: text with lone surrogates or NULs, another form than
            XDR, an ALTREP form in version 2, something that is no R value.
    """
    if version not in c.MIN_READER:
        raise EncodeError(f"serialization version {version}, not 2 or 3")
    if header is None:
        encoding = c.NATIVE_ENCODING if version == 3 else None
        header = Header(XDR, version, c.WRITER_VERSION, c.MIN_READER[version], encoding)
    if header.magic in (NATIVE, TEXT):
        raise EncodeError("only the XDR form is written")
    writer = _Writer(header)
    writer.write(value)
    return b"".join(writer.out)


def _words(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}i", *numbers)


def _flags(
    code: int, gp: int = 0, *, object_: bool = False, attributes: bool = False, tag: bool = False
) -> bytes:
    """A flags word."""
    bits = c.IS_OBJECT * object_ | c.HAS_ATTRIBUTES * attributes | c.HAS_TAG * tag
    return _words(code | bits | gp << c.GP_SHIFT)


def _is_object(is_object: bool | None, attributes: PairList | None) -> bool:
    """The object bit: as read, else whether there is a class attribute."""
    if is_object is not None:
        return is_object
    return attributes is not None and any(cell.name == "class" for cell in attributes.cells)


def _own_flags(code: int, value: Any, *, tag: bool = False) -> bytes:
    """The flags word of a value with attributes, gp and object bit."""
    attributes = value.attributes
    is_object = _is_object(value.is_object, attributes)
    return _flags(code, value.gp, object_=is_object, attributes=attributes is not None, tag=tag)


def _length(count: int) -> bytes:
    return _words(count) if count < 2**31 else struct.pack(">iiI", -1, count >> 32, count & 0xFFFF_FFFF)


def _char(text: object) -> bytes:
    """A CHAR item."""
    if isinstance(text, NAType):
        return _NA_CHAR
    if not isinstance(text, str):
        raise EncodeError(f"a string is expected, not {type(text).__name__}")
    try:
        raw, gp = bytes_of(text)
    except UnicodeEncodeError as error:
        raise EncodeError(f"text that is not Unicode: {error.reason}") from error
    if b"\0" in raw:
        raise EncodeError("R has no strings with a NUL inside")
    return struct.pack(">ii", c.CHAR | gp << c.GP_SHIFT, len(raw)) + raw


class _Writer:
    """Writes one value. `out` collects the pieces."""

    def __init__(self, header: Header) -> None:
        self.out = [header.magic, _words(header.version, header.writer, header.min_reader)]
        if header.version == 3:
            encoding = header.encoding or b""
            self.out.append(_words(len(encoding)) + encoding)
        self._version = header.version
        self._known: dict[object, int] = {}
        self._count = 0
        self._todo: list[Pending] = []

    def write(self, value: RValue) -> None:
        """Write `value` and all in it."""
        todo, out = self._todo, self.out
        todo.append(value)
        while todo:
            pending = todo.pop()
            if type(pending) is bytes:
                out.append(pending)
            elif type(pending) is tuple:
                self._cell(*pending)
            else:
                method = _METHODS.get(type(pending))
                if method is None:
                    raise EncodeError(f"cannot write {type(pending).__name__}")
                method(self, pending)

    def _follow(self, *parts: Pending | None) -> None:
        """These come next, in this order; None is left out."""
        self._todo.extend(part for part in reversed(parts) if part is not None)

    def _enter(self, key: object) -> bool:
        """Whether `key` is new in the reference table; if not, the reference is written."""
        index = self._known.get(key)
        if index is None:
            self._count += 1
            self._known[key] = self._count
            return True
        self.out.append(_words(index << 8 | c.REF) if index <= _MAX_PACKED else _words(c.REF, index))
        return False

    # -- atoms

    def _marker(self, value: Any) -> None:
        self.out.append(_words(_MARKERS[value]))

    def _symbol(self, value: Symbol) -> None:
        # By bytes, not by text: latin1 and UTF-8 symbols of one text are two for R's reader.
        if self._enter((Symbol, _char(value.name))):
            self.out.append(_words(c.SYM) + _char(value.name))

    def _char_item(self, value: Char) -> None:
        self.out.append(_char(value.text))

    def _builtin(self, value: Builtin) -> None:
        name = value.name.encode("ascii", "replace")
        code = c.SPECIAL if value.special else c.BUILTIN
        self.out.append(_flags(code, value.gp) + _words(len(name)) + name)

    def _named(self, value: Any) -> None:
        persistent = type(value) is Persistent
        if persistent:
            # Written in full each time, and each time a new entry.
            self._count += 1
        elif not self._enter(id(value)):
            return
        code = c.PERSIST if persistent else c.NAMESPACE if type(value) is Namespace else c.PACKAGE
        self.out.append(_words(code, 0, len(value.strings)) + b"".join(map(_char, value.strings)))

    # -- vectors

    def _array(self, value: Any, code: int, dtype: str) -> None:
        self.out.append(_own_flags(code, value) + _length(len(value)))
        # Bytes are swapped as integers: NaNs keep their bits.
        self.out.append(np.ascontiguousarray(value.values).view(dtype).astype(">" + dtype[1:]).tobytes())
        self._follow(value.attributes)

    def _logical(self, value: Logical) -> None:
        self._array(value, c.LGL, "=u4")

    def _integer(self, value: Integer) -> None:
        self._array(value, c.INT, "=u4")

    def _double(self, value: Double) -> None:
        self._array(value, c.REAL, "=u8")

    def _complex(self, value: Complex) -> None:
        self._array(value, c.CPLX, "=u8")

    def _raw(self, value: Raw) -> None:
        self.out.append(_own_flags(c.RAW, value) + _length(len(value)))
        self.out.append(value.values)
        self._follow(value.attributes)

    def _character(self, value: Character) -> None:
        self.out.append(_own_flags(c.STR, value) + _length(len(value)))
        self.out.append(b"".join(map(_char, value.values)))
        self._follow(value.attributes)

    def _list(self, value: List) -> None:
        code = c.EXPR if type(value) is Expression else c.VEC
        self.out.append(_own_flags(code, value) + _length(len(value)))
        self._follow(*value.values, value.attributes)

    def _altrep(self, value: Altrep) -> None:
        if self._version == 2:
            raise EncodeError("version 2 has no ALTREP forms: expand() the vector")
        self.out.append(_flags(c.ALTREP, value.gp, object_=_is_object(value.is_object, value.attributes)))
        info = PairList((Cell(value.class_name), Cell(value.package), Cell(_one_integer(value.type_code))))
        self._follow(info, value.state, value.attributes or NULL)

    # -- pairlists and language

    def _pairs(self, value: Any) -> None:
        if not value.cells:
            raise EncodeError(f"an empty {type(value).__name__}: use NULL")
        self._todo.append(value.end)
        for cell in reversed(value.cells[1:]):
            self._todo.append((cell, c.LANG if cell.is_call else c.LIST))
        self._todo.append((value.cells[0], _HEAD_CODES[type(value)]))

    def _cell(self, cell: Cell, code: int) -> None:
        self.out.append(_own_flags(code, cell, tag=cell.tag is not None))
        self._follow(cell.attributes, cell.tag, cell.value)

    def _closure(self, value: Closure) -> None:
        self.out.append(_own_flags(c.CLO, value, tag=value.environment is not None))
        self._follow(value.attributes, value.environment, value.formals, value.body)

    def _promise(self, value: Promise) -> None:
        self.out.append(_own_flags(c.PROM, value, tag=value.environment is not None))
        self._follow(value.attributes, value.environment, value.value, value.expression)

    # -- what is entered in the reference table by identity

    def _environment(self, value: Environment) -> None:
        if self._enter(id(value)):
            self.out.append(_words(c.ENV, int(value.locked)))
            self._follow(value.parent, value.frame, value.buckets, value.attributes or NULL)

    def _external_pointer(self, value: ExternalPointer) -> None:
        if self._enter(id(value)):
            self.out.append(_own_flags(c.EXTPTR, value))
            self._follow(value.protected, value.tag, value.attributes)

    def _weak_reference(self, value: WeakReference) -> None:
        if self._enter(id(value)):
            self.out.append(_own_flags(c.WEAKREF, value))
            self._follow(value.attributes)

    def _s4(self, value: S4) -> None:
        self.out.append(_own_flags(c.S4SXP, value))
        self._follow(value.attributes)

    # -- bytecode

    def _bytecode(self, value: ByteCode) -> None:
        self.out.append(_own_flags(c.BCODE, value) + _words(value.shared))
        self._follow(value.body, value.attributes)

    def _body(self, value: CodeBody) -> None:
        self._follow(value.code, _words(len(value.constants)), *value.constants)

    def _constant(self, value: Constant) -> None:
        if type(value.value) in (CallTree, SharedCall):
            self._follow(value.value)
        else:
            self._follow(_words(value.code), value.value)

    def _call_tree(self, value: CallTree) -> None:
        if value.shared is not None:
            self.out.append(_words(c.BCREPDEF, value.shared))
        self.out.append(_words(value.code))
        self._follow(value.attributes, value.tag, value.car, value.cdr)

    def _shared_call(self, value: SharedCall) -> None:
        self.out.append(_words(c.BCREPREF, value.index))


def _one_integer(number: int) -> Integer:
    return Integer(np.array([number], dtype=np.int32))


_METHODS: Final[dict[type[Any], Callable[[_Writer, Any], None]]] = {
    **dict.fromkeys({type(marker) for marker in _MARKERS}, _Writer._marker),
    Symbol: _Writer._symbol,
    Char: _Writer._char_item,
    Builtin: _Writer._builtin,
    Namespace: _Writer._named,
    PackageEnvironment: _Writer._named,
    Persistent: _Writer._named,
    Logical: _Writer._logical,
    Integer: _Writer._integer,
    Double: _Writer._double,
    Complex: _Writer._complex,
    Raw: _Writer._raw,
    Character: _Writer._character,
    List: _Writer._list,
    Expression: _Writer._list,
    Altrep: _Writer._altrep,
    PairList: _Writer._pairs,
    Call: _Writer._pairs,
    DotArgs: _Writer._pairs,
    Closure: _Writer._closure,
    Promise: _Writer._promise,
    Environment: _Writer._environment,
    ExternalPointer: _Writer._external_pointer,
    WeakReference: _Writer._weak_reference,
    S4: _Writer._s4,
    ByteCode: _Writer._bytecode,
    CodeBody: _Writer._body,
    Constant: _Writer._constant,
    CallTree: _Writer._call_tree,
    SharedCall: _Writer._shared_call,
}
