"""Bytes to R values.

Items that contain no items are read at once; the others are generators, one small method per type, which
yield each inner item they cannot read themselves. `_run` keeps the generators that wait on a stack of its
own, so nesting costs no Python recursion and has an explicit limit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from types import GeneratorType
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from rinterop.serialize import constants as c
from rinterop.serialize import speed
from rinterop.serialize.bytecode import ByteCodeReader
from rinterop.serialize.collector import pause
from rinterop.serialize.grammar import VECTORS
from rinterop.serialize.header import open_source
from rinterop.serialize.pieces import MARKERS, Pieces
from rinterop.serialize.sources import Source
from rinterop.values import (
    NULL,
    S4,
    Altrep,
    Call,
    Cell,
    Character,
    Closure,
    Complex,
    DotArgs,
    Double,
    Environment,
    EnvironmentMarker,
    Expression,
    ExternalPointer,
    Integer,
    List,
    Logical,
    NamedReference,
    Namespace,
    PackageEnvironment,
    PairList,
    Persistent,
    Promise,
    Raw,
    RValue,
    Symbol,
    WeakReference,
)
from rinterop.values.altrep import MAPPED_FILES, state_flaw

Task: TypeAlias = "Generator[Task, RValue, RValue]"
Item: TypeAlias = "RValue | Task"

MAX_DEPTH: Final = 100_000
"""Levels of nesting that `loads` follows: about 40 MB of memory while reading. R itself manages 25,000."""

_SMALL: Final = 10_000
"""Bytes that hold too few values for the garbage collector to cost more than a pause of it."""

_PAIRS: Final = {c.LIST: PairList, c.LANG: Call, c.DOT: DotArgs}
_NAMED: Final = {c.NAMESPACE: Namespace, c.PACKAGE: PackageEnvironment, c.PERSIST: Persistent}


def loads(
    data: bytes | bytearray | memoryview,
    *,
    mmap: Literal["refuse", "keep"] = "refuse",
    max_depth: int = MAX_DEPTH,
) -> RValue:
    """Read what R's `serialize()` wrote: XDR, native little-endian or ascii; version 2 or 3.

    Nothing is evaluated, opened or expanded: promises, active bindings, compact vectors and names of
    files stay as they are. Bytes after the item are ignored, as R does. Arrays from the native form are
    views of `data` (if it is `bytes`) and keep it alive, those from the XDR form are copies; both are
    read-only and in native byte order.

    Args:
        data: The whole stream, not compressed.
        mmap: Whether to refuse vectors that stand for a file on the writer's disk, or to keep them as an
            `Altrep` that will not expand. The file is not opened in any case, but R would open it if the
            value were passed on.
        max_depth: Levels of nesting to follow.

    Raises:
        DecodeError: If the bytes are malformed, with offset and cause; `UnexpectedEnd` if they stop short.
    """
    stream = data if type(data) is bytes else bytes(data)
    if len(stream) < _SMALL:
        return _loads(stream, mmap == "keep", max_depth)
    with pause:
        return _loads(stream, mmap == "keep", max_depth)


def _loads(stream: bytes, keep_mmap: bool, max_depth: int) -> RValue:
    if speed.compiled is not None:
        value = speed.compiled.loads(stream, keep_mmap, max_depth)
        if value is not None:
            return value
    header, source = open_source(stream)
    return Reader(source, header.codec, keep_mmap=keep_mmap, max_depth=max_depth).read()


class Reader(Pieces):
    """Reads items off one source, with all that is in them."""

    def __init__(
        self, source: Source, native: str, *, keep_mmap: bool = False, max_depth: int = MAX_DEPTH
    ) -> None:
        super().__init__(source, native)
        self._keep_mmap = keep_mmap
        self._max_depth = max_depth

    def read(self) -> RValue:
        """Read one item, whole."""
        item = self.item()
        return self._run(item) if type(item) is GeneratorType else item  # type: ignore[return-value]

    def _run(self, task: Task) -> RValue:
        waiting = [task]
        answer: Any = None
        try:
            while waiting:
                try:
                    inner = waiting[-1].send(answer)
                except StopIteration as finished:
                    waiting.pop()
                    answer = finished.value
                    continue
                if len(waiting) >= self._max_depth:
                    self.refuse(f"nested more than {self._max_depth} levels deep")
                waiting.append(inner)
                answer = None
        finally:
            # From the inside out: each task refers to the one inside it, and a long chain of them, let go as
            # a whole, would overflow the C stack.
            while waiting:
                waiting.pop().close()
        return answer  # type: ignore[no-any-return]

    def item(self) -> Item:
        """The next item, or the task of reading it."""
        return self.item_of(self.flags())

    def item_of(self, flags: int) -> Item:
        """The item whose flags were just read, or the task of reading it."""
        return _READERS[flags & 0xFF](self, flags)

    # -- vectors of what is no item
    def _integer(self, flags: int) -> Item:
        return self._vector(Integer, self.source.integers(self.length(4)), flags)

    def _logical(self, flags: int) -> Item:
        return self._vector(Logical, self.source.integers(self.length(4)), flags)

    def _double(self, flags: int) -> Item:
        return self._vector(Double, self.source.doubles(self.length(8)), flags)

    def _complex(self, flags: int) -> Item:
        return self._vector(Complex, self.source.doubles(2 * self.length(16)).view(np.complex128), flags)

    def _raw(self, flags: int) -> Item:
        return self._vector(Raw, self.source.raw(self.length(1)), flags)

    def _character(self, flags: int) -> Item:
        return self._vector(Character, self.source.strings(self.length(8), self._native), flags)

    def _vector(self, kind: Callable[..., RValue], values: Any, flags: int) -> Item:
        if flags & c.HAS_ATTRIBUTES:
            return self._with_attributes(kind, values, flags)
        return kind(values) if flags < 256 else kind(values, **self.bits(flags, None))

    # -- items with items inside: generators, see the module's docstring

    def _with_attributes(self, kind: Callable[..., RValue], values: Any, flags: int) -> Task:
        attributes = yield from self._attributes_after(flags)
        return kind(values, attributes=attributes, **self.bits(flags, attributes))

    def _attributes_after(self, flags: int) -> Generator[Task, RValue, PairList | None]:
        if not flags & c.HAS_ATTRIBUTES:
            return None
        value = self.item()
        return self.as_attributes((yield value) if type(value) is GeneratorType else value)  # type: ignore[arg-type]

    def _list(self, flags: int, *, keyed: bool = False) -> Task:
        item = self._keyed if keyed else self.item
        values: list[RValue] = []
        for _ in range(self.length(4)):
            value = item()
            values.append((yield value) if type(value) is GeneratorType else value)  # type: ignore[arg-type]
        attributes = yield from self._attributes_after(flags)
        kind = List if flags & 0xFF == c.VEC else Expression
        return kind(values=tuple(values), attributes=attributes, **self.bits(flags, attributes))

    def _pairs(self, flags: int, *, dotted: bool = False, keyed: bool = False) -> Task:
        # R follows a chain to its NULL unchecked; only ALTREP states may be `dotted`, a pair of two items. It
        # takes tags for symbols; only in the pairlists of a hash table are they keys, of any kind.
        kind = _PAIRS[flags & 0xFF]
        cells: list[Cell] = []
        while True:
            attributes = yield from self._attributes_after(flags)
            tag: RValue | None = None
            if flags & c.HAS_TAG:
                tag = (yield from self.inner()) if keyed else self.symbol()
            item = self.item()
            value: RValue = (yield item) if type(item) is GeneratorType else item  # type: ignore[assignment]
            cell = Cell(value, tag, attributes)
            if flags & ~(0xFF | c.HAS_TAG) or (cells and flags & 0xFF == c.LANG):
                is_call = bool(cells) and flags & 0xFF == c.LANG
                cell = replace(cell, is_call=is_call, **self.bits(flags, attributes))
            cells.append(cell)
            flags = self.flags()
            if flags & 0xFF not in (c.LIST, c.LANG):
                break
        if flags != c.NIL and not (dotted and len(cells) == 1):
            self.refuse("a pairlist that does not end in NULL", 4)
        end = self.item_of(flags)
        return kind(tuple(cells), (yield end) if type(end) is GeneratorType else end)  # type: ignore[arg-type]

    def _closure(self, flags: int) -> Task:
        attributes = yield from self._attributes_after(flags)
        environment = (yield from self._environment_item()) if flags & c.HAS_TAG else None
        formals = yield from self.inner()
        self.proper(formals, "formals")
        body = yield from self.inner()
        return Closure(formals, body, environment, attributes=attributes, **self.bits(flags, attributes))

    def _promise(self, flags: int) -> Task:
        attributes = yield from self._attributes_after(flags)
        environment = (yield from self._environment_item()) if flags & c.HAS_TAG else None
        value = yield from self.inner()
        expression = yield from self.inner()
        return Promise(value, expression, environment, attributes=attributes, **self.bits(flags, attributes))

    def inner(self) -> Generator[Task, RValue, RValue]:
        """One item inside another."""
        value = self.item()
        return (yield value) if type(value) is GeneratorType else value  # type: ignore[return-value]

    def _environment_item(self) -> Generator[Task, RValue, RValue]:
        value = yield from self.inner()
        if value is not NULL and not isinstance(value, Environment | EnvironmentMarker | NamedReference):
            self.refuse("an environment is expected here")
        return value

    def _environment(self, flags: int) -> Task:
        locked = self.source.word()
        if locked not in (0, 1):
            self.refuse(f"{locked} for whether an environment is locked", 4)
        # Known before its contents are read: they may refer to it.
        environment = Environment(locked=bool(locked))
        self.references.append(environment)
        environment.parent = yield from self._environment_item()
        environment.frame = self._bindings((yield from self.inner()))
        flags = self.flags()
        if flags == c.VEC:
            environment.buckets = yield self._hash_table()
        elif flags != c.NIL:
            self.refuse("the hash table of an environment is not a list", 4)
        environment.attributes = self.as_attributes((yield from self.inner()))
        return environment

    def _hash_table(self) -> Task:
        count = self.length(4)
        if count == 0:
            self.refuse("a hash table of size 0", 4)  # R would divide by it
        buckets = []
        for _ in range(count):
            buckets.append(self._bindings((yield from self.inner())))  # noqa: PERF401  # a task cannot be a comprehension
        return List(tuple(buckets))

    def _bindings(self, value: RValue) -> RValue:
        return self.proper(value, "bindings") or NULL

    def _named(self, flags: int) -> Item:
        if self.source.word() != 0:
            self.refuse("a reference by name of another kind", 4)
        count = self.source.word()
        if count < 0:
            self.refuse(f"{count} strings", 4)
        found = _NAMED[flags](self.source.strings(count, self._native))
        self.references.append(found)
        return found

    def _external_pointer(self, flags: int) -> Task:
        pointer = ExternalPointer()
        self.references.append(pointer)
        pointer.protected = yield from self._protected()
        pointer.tag = yield from self.inner()
        pointer.attributes = yield from self._attributes_after(flags)
        self._set_bits(pointer, flags)
        return pointer

    def _protected(self) -> Generator[Task, RValue, RValue]:
        """What a pointer keeps: that of `utils::hashtab()` has a list of pairlists with keys."""
        flags = self.flags()
        is_list = flags & 0xFF == c.VEC
        item = self._list(flags, keyed=True) if is_list else self.item_of(flags)
        return (yield item) if type(item) is GeneratorType else item  # type: ignore[return-value]

    def _keyed(self) -> Item:
        flags = self.flags()
        return self._pairs(flags, keyed=True) if flags & 0xFF == c.LIST else self.item_of(flags)

    def _weak_reference(self, flags: int) -> Task:
        reference = WeakReference()
        self.references.append(reference)
        reference.attributes = yield from self._attributes_after(flags)
        self._set_bits(reference, flags)
        return reference

    def _set_bits(self, value: ExternalPointer | WeakReference, flags: int) -> None:
        for name, bit in self.bits(flags, value.attributes).items():
            setattr(value, name, bit)

    def _s4(self, flags: int) -> Task:
        attributes = yield from self._attributes_after(flags)
        return S4(attributes=attributes, **self.bits(flags, attributes))

    def _altrep(self, flags: int) -> Task:
        class_name, package = self._info_symbol(), self._info_symbol()
        if self.source.word() != c.LIST or self.source.word() != c.INT or self.source.word() != 1:
            self.refuse("the class of an ALTREP item is malformed")
        type_code = self.source.word()
        if self.source.word() != c.NIL:
            self.refuse("the class of an ALTREP item is malformed")
        if type_code not in VECTORS:
            self.refuse(f"an ALTREP item of type {type_code}")
        flags_of_state = self.flags()
        if flags_of_state & 0xFF == c.LIST:
            state = yield self._pairs(flags_of_state, dotted=True)
        else:
            item = self.item_of(flags_of_state)
            state = (yield item) if type(item) is GeneratorType else item  # type: ignore[assignment]
        flaw = state_flaw(class_name.name, package.name, type_code, state)
        if flaw is not None:
            self.refuse(flaw)
        if class_name.name in MAPPED_FILES and package.name == "base" and not self._keep_mmap:
            self.refuse("a vector that stands for a file on the writer's disk")
        attributes = self.as_attributes((yield from self.inner()))
        bits = self.bits(flags, attributes)
        return Altrep(class_name, package, type_code, state, attributes=attributes, **bits)

    def _info_symbol(self) -> Symbol:
        if self.source.word() != c.LIST:
            self.refuse("the class of an ALTREP item is malformed", 4)
        return self.symbol()

    def _bytecode(self, flags: int) -> Task:
        code = yield from ByteCodeReader(self).read()
        attributes = yield from self._attributes_after(flags)
        return code(attributes=attributes, **self.bits(flags, attributes))


def _table() -> list[Callable[[Reader, int], Item]]:
    """The method for each of the 256 type codes."""
    table: list[Callable[[Reader, int], Item]] = [Reader.unknown] * 256
    methods: dict[Callable[[Reader, int], Item], tuple[int, ...]] = {
        Reader.marker: tuple(MARKERS),
        Reader.reference: (c.REF,),
        Reader.new_symbol: (c.SYM,),
        Reader.char: (c.CHAR,),
        Reader.builtin: (c.SPECIAL, c.BUILTIN),
        Reader._logical: (c.LGL,),
        Reader._integer: (c.INT,),
        Reader._double: (c.REAL,),
        Reader._complex: (c.CPLX,),
        Reader._character: (c.STR,),
        Reader._raw: (c.RAW,),
        Reader._list: (c.VEC, c.EXPR),
        Reader._pairs: (c.LIST, c.LANG, c.DOT),
        Reader._closure: (c.CLO,),
        Reader._promise: (c.PROM,),
        Reader._environment: (c.ENV,),
        Reader._named: (c.NAMESPACE, c.PACKAGE, c.PERSIST),
        Reader._external_pointer: (c.EXTPTR,),
        Reader._weak_reference: (c.WEAKREF,),
        Reader._s4: (c.S4SXP,),
        Reader._altrep: (c.ALTREP,),
        Reader._bytecode: (c.BCODE,),
    }
    for method, codes in methods.items():
        for code in codes:
            table[code] = method
    return table


_READERS: Final = _table()
