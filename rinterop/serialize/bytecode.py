"""Bytecode: the one part of the format with a grammar of its own (R: serialize.c, ReadBC1, ReadBCLang)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Final

from rinterop.serialize import constants as c
from rinterop.values import NULL, ByteCode, CallTree, CodeBody, Constant, Integer, RValue, SharedCall, Symbol

if TYPE_CHECKING:
    from rinterop.serialize.reader import Reader, Task

CALLS: Final = frozenset((c.LANG, c.LIST, c.ATTRLANG, c.ATTRLIST))
_WITH_ATTRIBUTES: Final = frozenset((c.ATTRLANG, c.ATTRLIST))


class ByteCodeReader:
    """Reads one bytecode item. Its table of shared calls ends with it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._shared = 0
        self._defined: set[int] = set()

    def read(self) -> Generator[Task, RValue, Callable[..., ByteCode]]:
        """The item without attributes, which are still to be read: a call away from `ByteCode`."""
        reader = self._reader
        self._shared = reader.source.word()
        if self._shared < 0:
            reader.refuse(f"{self._shared} shared calls", 4)
        # Each is defined somewhere in what follows: in three words at least.
        reader.source.require(self._shared, 1)
        body = yield self._body()
        assert isinstance(body, CodeBody)  # what _body gives; nothing the input decides
        return partial(ByteCode, self._shared, body)

    def _body(self) -> Task:
        reader = self._reader
        if reader.source.word() != c.INT:
            reader.refuse("instructions are not an integer vector", 4)
        code = Integer(reader.source.integers(reader.length(4)))
        count = reader.source.word()
        if count < 0:
            reader.refuse(f"{count} constants", 4)
        reader.source.require(count, 4)
        constants: list[Constant] = []
        for _ in range(count):
            type_code = reader.source.word()
            if type_code == c.BCODE:
                constants.append(Constant(type_code, (yield self._body())))
            else:
                tree = yield self._tree(type_code)
                constants.append(tree if isinstance(tree, Constant) else Constant(type_code, tree))
        return CodeBody(code, tuple(constants))

    def _tree(self, type_code: int) -> Task:
        reader = self._reader
        shared = None
        if type_code == c.BCREPREF:
            index = self._index()
            if index not in self._defined:
                reader.refuse(f"shared call {index} is not defined yet", 4)
            return SharedCall(index)
        if type_code == c.BCREPDEF:
            shared = self._index()
            self._defined.add(shared)
            type_code = reader.source.word()
            if type_code not in CALLS:
                reader.refuse(f"a shared call of type {type_code}", 4)
        if type_code not in CALLS:
            if not 0 <= type_code < 256:
                reader.refuse(f"a constant of type {type_code}", 4)
            return Constant(type_code, (yield from reader.inner()))
        attributes = None
        if type_code in _WITH_ATTRIBUTES:
            attributes = yield from reader.inner()
        tag = yield from reader.inner()
        if tag is not NULL and type(tag) is not Symbol:
            reader.refuse("the tag in a call is not a symbol")
        car = yield self._tree(reader.source.word())
        cdr = yield self._tree(reader.source.word())
        return CallTree(type_code, tag, car, cdr, attributes, shared)

    def _index(self) -> int:
        index = self._reader.source.word()
        if not 0 <= index < self._shared:
            self._reader.refuse(f"shared call {index} of {self._shared}", 4)
        return index
