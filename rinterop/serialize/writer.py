"""R values to bytes.

The layout is pre-order: an item's own words come before its parts. So a stack of what is still to be
written, in reverse, is all the machinery there is, and depth costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

from rinterop.errors import EncodeError, ExpansionError
from rinterop.serialize import constants as c
from rinterop.serialize import speed
from rinterop.serialize.collector import pause
from rinterop.serialize.compression import Compression, compressed
from rinterop.serialize.forms import FORMS, MAGIC, BinaryForm, Form, FormName
from rinterop.serialize.header import Header
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

Pending: TypeAlias = "RValue | bytes | tuple[Cell, int, bool]"
"""A value, words already made, or a cell with its type code and whether its tag may be any item."""

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
_MAX_PACKED: Final = 2**23 - 1
"""Largest reference index that fits the flags word (R: serialize.c, MAX_PACKED_INDEX)."""


def dumps(
    value: RValue,
    *,
    version: int = 3,
    form: FormName = "xdr",
    compress: Compression | None = None,
    header: Header | None = None,
) -> bytes:
    """Write `value` as R's `serialize(value, NULL)` does.

    What R wrote comes out as it was read, with the same header if `header` is given (`read_header`). New
    values are written as R 4.2.2 would write them under a UTF-8 locale. Version 2 has no compact vectors:
    they are expanded, as R does.

    Args:
        value: What to write.
        version: Format version, 2 (without ALTREP forms and the native encoding's name) or 3.
        form: "xdr" is what R writes unless told otherwise; "native" (`xdr = FALSE`) is little-endian;
            "ascii" (`ascii = TRUE`) rounds doubles to 16 significant digits, "asciihex" (`ascii = NA`)
            does not. Neither text form keeps the payloads of NaNs.
        compress: Pack the stream as `saveRDS` does. `loads` does not unpack; `read_rds` does.
        header: The header to write instead, which also has the version and the form ("asciihex" is still to
            be asked for: headers of the two text forms are the same).

    Raises:
        EncodeError: If the value cannot be written: text with lone surrogates or NULs, an ALTREP form in
            version 2 that cannot be expanded, something that is no R value.
        ValueError: If there is no such form or compression.
    """
    if form not in FORMS:
        raise ValueError(f"form is one of {', '.join(FORMS)}, not {form!r}")
    if version not in c.MIN_READER:
        raise EncodeError(f"serialization version {version}, not 2 or 3")
    if header is None:
        encoding = c.NATIVE_ENCODING if version == 3 else None
        header = Header(MAGIC[form], version, c.WRITER_VERSION, c.MIN_READER[version], encoding)
    elif header.magic != MAGIC[form]:
        found = [name for name, magic in MAGIC.items() if magic == header.magic]
        if not found:
            raise EncodeError(f"no form begins with {header.magic!r}")
        form = found[0]
    writer = _Writer(header, FORMS[form])
    data = None
    if speed.compiled is not None and isinstance(FORMS[form], BinaryForm):
        data = speed.compiled.dumps(value, b"".join(writer.out), header.version)
    if data is None:
        with pause:
            writer.write(value)
        data = b"".join(writer.out)
    return compressed(data, compress)


def _is_object(is_object: bool | None, attributes: PairList | None) -> bool:
    """The object bit: as read, else whether there is a class attribute."""
    if is_object is not None:
        return is_object
    return attributes is not None and any(cell.name == "class" for cell in attributes.cells)


class _Writer:
    """Writes one value. `out` collects the pieces."""

    def __init__(self, header: Header, form: Form) -> None:
        self._form = form
        self._words = form.words
        self.out: list[bytes | memoryview] = [
            header.magic,
            self._words(header.version, header.writer, header.min_reader),
        ]
        if header.version == 3:
            encoding = header.encoding or b""
            self.out.append(self._words(len(encoding)) + form.text(encoding))
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
        self.out.append(
            self._words(index << 8 | c.REF) if index <= _MAX_PACKED else self._words(c.REF, index)
        )
        return False

    # -- what items begin with

    def _flags(
        self, code: int, gp: int = 0, *, object_: bool = False, attributes: bool = False, tag: bool = False
    ) -> bytes:
        """A flags word."""
        bits = c.IS_OBJECT * object_ | c.HAS_ATTRIBUTES * attributes | c.HAS_TAG * tag
        return self._words(code | bits | gp << c.GP_SHIFT)

    def _own_flags(self, code: int, value: Any, *, tag: bool = False) -> bytes:
        """The flags word of a value with attributes, gp and object bit."""
        attributes = value.attributes
        is_object = _is_object(value.is_object, attributes)
        return self._flags(code, value.gp, object_=is_object, attributes=attributes is not None, tag=tag)

    def _length(self, count: int) -> bytes:
        if count < 2**31:
            return self._words(count)
        low = (count & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000  # the same bits, as a signed word
        return self._words(-1, count >> 32, low)

    def _char(self, text: object) -> bytes:
        """A CHAR item."""
        if isinstance(text, NAType):
            return self._words(c.CHAR, -1)
        if not isinstance(text, str):
            raise EncodeError(f"a string is expected, not {type(text).__name__}")
        try:
            raw, gp = bytes_of(text)
        except UnicodeEncodeError as error:
            raise EncodeError(f"text that is not Unicode: {error.reason}") from error
        if b"\0" in raw:
            raise EncodeError("R has no strings with a NUL inside")
        return self._words(c.CHAR | gp << c.GP_SHIFT, len(raw)) + self._form.text(raw)

    # -- atoms

    def _marker(self, value: Any) -> None:
        self.out.append(self._words(_MARKERS[value]))

    def _symbol(self, value: Symbol) -> None:
        # By bytes, not by text: latin1 and UTF-8 symbols of one text are two for R's reader.
        if self._enter((Symbol, self._char(value.name))):
            self.out.append(self._words(c.SYM) + self._char(value.name))

    def _char_item(self, value: Char) -> None:
        self.out.append(self._char(value.text))

    def _builtin(self, value: Builtin) -> None:
        name = value.name.encode("ascii", "replace")
        code = c.SPECIAL if value.special else c.BUILTIN
        self.out.append(self._flags(code, value.gp) + self._words(len(name)) + self._form.text(name))

    def _named(self, value: Any) -> None:
        persistent = type(value) is Persistent
        if persistent:
            # Written in full each time, and each time a new entry.
            self._count += 1
        elif not self._enter(id(value)):
            return
        code = c.PERSIST if persistent else c.NAMESPACE if type(value) is Namespace else c.PACKAGE
        self.out.append(self._words(code, 0, len(value.strings)) + b"".join(map(self._char, value.strings)))

    # -- vectors

    def _vector(self, value: Any, code: int, elements: bytes | memoryview) -> None:
        self.out.append(self._own_flags(code, value) + self._length(len(value)))
        self.out.append(elements)
        self._follow(value.attributes)

    def _logical(self, value: Logical) -> None:
        self._vector(value, c.LGL, self._form.integers(value.values))

    def _integer(self, value: Integer) -> None:
        self._vector(value, c.INT, self._form.integers(value.values))

    def _double(self, value: Double) -> None:
        self._vector(value, c.REAL, self._form.doubles(value.values))

    def _complex(self, value: Complex) -> None:
        self._vector(value, c.CPLX, self._form.doubles(value.values))

    def _raw(self, value: Raw) -> None:
        self._vector(value, c.RAW, self._form.raw(value.values))

    def _character(self, value: Character) -> None:
        elements = self._form.strings(value.values)
        self._vector(value, c.STR, b"".join(map(self._char, value.values)) if elements is None else elements)

    def _list(self, value: List) -> None:
        code = c.EXPR if type(value) is Expression else c.VEC
        self.out.append(self._own_flags(code, value) + self._length(len(value)))
        self._follow(*value.values, value.attributes)

    def _chains(self, value: List) -> None:
        """A list of pairlists with keys."""
        self.out.append(self._own_flags(c.VEC, value) + self._length(len(value)))
        self._follow(value.attributes)
        for chain in reversed(value.values):
            if type(chain) is PairList:
                self._pairs(chain, keyed=True)
            else:
                self._follow(chain)

    def _altrep(self, value: Altrep) -> None:
        if self._version == 2:
            self._follow(_expanded(value))
            return
        self.out.append(
            self._flags(c.ALTREP, value.gp, object_=_is_object(value.is_object, value.attributes))
        )
        info = PairList((Cell(value.class_name), Cell(value.package), Cell(_one_integer(value.type_code))))
        self._follow(info, value.state, value.attributes or NULL)

    # -- pairlists and language

    def _pairs(self, value: Any, *, keyed: bool = False) -> None:
        if not value.cells:
            raise EncodeError(f"an empty {type(value).__name__}: use NULL")
        self._todo.append(value.end)
        for cell in reversed(value.cells[1:]):
            self._todo.append((cell, c.LANG if cell.is_call else c.LIST, keyed))
        self._todo.append((value.cells[0], _HEAD_CODES[type(value)], keyed))

    def _cell(self, cell: Cell, code: int, keyed: bool) -> None:
        if not (keyed or cell.tag is None or type(cell.tag) is Symbol):
            raise EncodeError(f"a tag that is no symbol but {cell.tag!r}: R would crash")
        self.out.append(self._own_flags(code, cell, tag=cell.tag is not None))
        self._follow(cell.attributes, cell.tag, cell.value)

    def _closure(self, value: Closure) -> None:
        self.out.append(self._own_flags(c.CLO, value, tag=value.environment is not None))
        self._follow(value.attributes, value.environment, value.formals, value.body)

    def _promise(self, value: Promise) -> None:
        self.out.append(self._own_flags(c.PROM, value, tag=value.environment is not None))
        self._follow(value.attributes, value.environment, value.value, value.expression)

    # -- what is entered in the reference table by identity

    def _environment(self, value: Environment) -> None:
        if self._enter(id(value)):
            self.out.append(self._words(c.ENV, int(value.locked)))
            self._follow(value.parent, value.frame, value.buckets, value.attributes or NULL)

    def _external_pointer(self, value: ExternalPointer) -> None:
        if self._enter(id(value)):
            self.out.append(self._own_flags(c.EXTPTR, value))
            self._follow(value.tag, value.attributes)
            if type(value.protected) is List:
                self._chains(value.protected)
            else:
                self._follow(value.protected)

    def _weak_reference(self, value: WeakReference) -> None:
        if self._enter(id(value)):
            self.out.append(self._own_flags(c.WEAKREF, value))
            self._follow(value.attributes)

    def _s4(self, value: S4) -> None:
        self.out.append(self._own_flags(c.S4SXP, value))
        self._follow(value.attributes)

    # -- bytecode

    def _bytecode(self, value: ByteCode) -> None:
        self.out.append(self._own_flags(c.BCODE, value) + self._words(value.shared))
        self._follow(value.body, value.attributes)

    def _body(self, value: CodeBody) -> None:
        self._follow(value.code, self._words(len(value.constants)), *value.constants)

    def _constant(self, value: Constant) -> None:
        if type(value.value) in (CallTree, SharedCall):
            self._follow(value.value)
        else:
            self._follow(self._words(value.code), value.value)

    def _call_tree(self, value: CallTree) -> None:
        if value.shared is not None:
            self.out.append(self._words(c.BCREPDEF, value.shared))
        self.out.append(self._words(value.code))
        self._follow(value.attributes, value.tag, value.car, value.cdr)

    def _shared_call(self, value: SharedCall) -> None:
        self.out.append(self._words(c.BCREPREF, value.index))


def _expanded(value: Altrep) -> RValue:
    """What version 2 has instead of an ALTREP form."""
    try:
        return value.expand()
    except ExpansionError as error:
        raise EncodeError(f"version 2 has no ALTREP forms: {error}") from error


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
