"""The loop that checks items without building them.

It is a pushdown automaton: a *frame* is an iterator over the places (`grammar`) still to be filled in one
item, and the frames that wait lie on a stack. It accepts what `reader` accepts, except for depth.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any, Final, NamedTuple, NoReturn

from rinterop.errors import DecodeError, UnexpectedEnd
from rinterop.serialize import constants as c
from rinterop.serialize import grammar as g
from rinterop.values.altrep import (
    DEFERRED,
    MAPPED_FILES,
    MAX_OUT_DEC,
    OUT_DEC,
    SEQUENCES,
    WRAPPERS,
    sequence_flaw,
)

MAX_DEPTH: Final = 15_000
"""How deep R may have to recurse. R 4.2 reads one item inside another, and one cell of a pairlist after
another, by recursion that takes some 290 bytes of C stack: with the usual 8 MB, 25,000 levels are read, at
30,000 R stops with an error, or crashes where its check of the stack is off, as in embedded use. The limit
leaves half of the stack to whoever calls `unserialize`."""


class Scan(NamedTuple):
    """What the loop works on. `references` grows: names of symbols, type codes of other objects."""

    data: bytes
    end: int
    word: Callable[[bytes, int], tuple[Any, ...]]
    pair: Callable[[bytes, int], tuple[Any, ...]]
    triple: Callable[[bytes, int], tuple[Any, ...]]
    references: list[bytes | int]
    max_depth: int


_WORD = {order: struct.Struct(order + "I").unpack_from for order in "<>"}
_PAIR = {order: struct.Struct(order + "Ii").unpack_from for order in "<>"}
_TRIPLE = {order: struct.Struct(order + "ddd").unpack_from for order in "<>"}


_CHAR_WORD: Final = 0xFF | c.CHAR_BITS


def new_scan(data: bytes, order: str, max_depth: int) -> Scan:
    """A scan of binary data in XDR (">") or native (form "<") spelling."""
    return Scan(data, len(data), _WORD[order], _PAIR[order], _TRIPLE[order], [], max_depth)


def scan(state: Scan, position: int, place: g.Place = g.ANY) -> int:
    """Check the item at `position`; gives the position after it.

    One function with everything in local variables, on purpose: an agent runs it over each message
    it takes off a queue, and a method call for each item would double the time.

    Raises:
        DecodeError: If the item is malformed, or something R must not be given.
        struct.error: If the data end in the middle of a word.
    """
    data, end, word, pair, _, references, max_depth = state
    places: Iterator[g.Place] = iter((place,))
    depth = 0
    owes_class = False
    shared: tuple[int, set[int]] = (0, set())
    stack: list[tuple[Iterator[g.Place], int, bool, tuple[int, set[int]]]] = []
    inner: Iterator[g.Place] | tuple[g.Place, ...]
    while True:
        for place in places:  # the place at hand
            (flags,) = word(data, position)
            position += 4
            code = flags & 0xFF
            action = place[code]
            if flags > 0xFF and action != g.REFERENCE:
                if action >= g.NESTED_CODE:
                    _refuse(position - 4, f"type {flags} among the constants of bytecode")
                flags &= c.HEEDED[code]
                if flags & c.IS_OBJECT and not flags & c.HAS_ATTRIBUTES and action != g.COMPACT:
                    _refuse(position - 4, "an object without a class")

            if action == g.FIXED:
                (count,) = word(data, position)
                position += 4
                if count > 0x7FFF_FFFF:
                    count, position = long_length(state, position)
                size = count * g.WIDTHS[code]
                if size > end - position:
                    raise UnexpectedEnd(
                        position, f"{count} elements are announced, {end - position} bytes are left"
                    )
                position += size
                if not flags & c.HAS_ATTRIBUTES:
                    continue
                inner = (g.CLASSED if flags & c.IS_OBJECT else g.PAIRLIST,)
            elif action in g.NEXT_PARTS:
                # The place is the last one of its frame: the frame is replaced, as a tail call.
                depth += 1
                if depth > max_depth:
                    _refuse(position, f"nested, or chained, more than {max_depth} levels deep")
                places = iter(g.NEXT_PARTS[action][flags >> 8 & 7])
                break
            elif action == g.REFERENCE:
                index = flags >> 8
                if not index:
                    (index,) = word(data, position)
                    position += 4
                if not 0 < index <= len(references):
                    _refuse(position - 4, f"reference {index}, where {len(references)} objects are known")
                known = references[index - 1]
                if not place[known if type(known) is int else c.SYM]:
                    _refuse(position - 4, "a reference to another kind of object than is needed here")
                if not (owes_class and place is g.TAG and known == b"class"):
                    continue
                owes_class = False
                places = iter(g.CLASS_PARTS)
                break
            elif action == g.PROPER_CELL or action == g.OBJECT_CELL:
                inner = g.PROPER_PARTS[flags >> 8 & 7]
            elif action == g.CELL:
                inner = g.CELL_PARTS[flags >> 8 & 7]
            elif action == g.STRINGS:
                (count,) = word(data, position)
                position += 4
                if count > 0x7FFF_FFFF:
                    count, position = long_length(state, position)
                if count * 8 > end - position:
                    raise UnexpectedEnd(
                        position, f"{count} strings are announced, {end - position} bytes are left"
                    )
                for _ in range(count):
                    bits, size = pair(data, position)
                    position += 8
                    if bits & _CHAR_WORD != c.CHAR:
                        _refuse(position - 8, "an element of a character vector is not a string")
                    if size > 0:
                        after = position + size
                        if after > end:
                            raise UnexpectedEnd(
                                position, f"a string of {size} bytes, {end - position} are left"
                            )
                        if data.find(0, position, after) >= 0:
                            _refuse(position, "a string with a NUL inside")
                        position = after
                    elif size < -1:
                        _refuse(position - 4, f"a string of length {size}")
                if not flags & c.HAS_ATTRIBUTES:
                    continue
                inner = (g.CLASSED if flags & c.IS_OBJECT else g.PAIRLIST,)
            elif action == g.MARKER:
                continue
            elif action == g.SYMBOL:
                bits, size = pair(data, position)
                position += 8
                name = data[position : position + size] if size > 0 else b""
                if bits & _CHAR_WORD != c.CHAR or not name or size > c.MAX_SYMBOL:
                    _refuse(position - 8, "a symbol without a name, or with one too long")
                position += size
                if position > end:
                    raise UnexpectedEnd(end, "the input ends in the middle of a name")
                if b"\0" in name:
                    _refuse(position, "a name with a NUL inside")
                references.append(name)
                if not (owes_class and place is g.TAG and name == b"class"):
                    continue
                owes_class = False
                places = iter(g.CLASS_PARTS)
                break
            elif action == g.ITEMS or action == g.CHAINS:
                (count,) = word(data, position)
                position += 4
                if count > 0x7FFF_FFFF:
                    count, position = long_length(state, position)
                if count * 4 > end - position:
                    raise UnexpectedEnd(
                        position, f"{count} elements are announced, {end - position} bytes are left"
                    )
                inner = repeat(g.ANY if action == g.ITEMS else g.KEYED, count)
                if flags & c.HAS_ATTRIBUTES:
                    inner = chain(inner, (g.CLASSED if flags & c.IS_OBJECT else g.PAIRLIST,))
            elif action == g.COMPACT:
                position, inner = compact(state, position, flags, place)
            elif action == g.STATE_CELL:
                inner = g.STATE_PARTS[flags >> 8 & 7]
            elif action == g.KEY_CELL:
                inner = g.KEY_PARTS[flags >> 8 & 7]
            elif action == g.LEAF:
                inner = (g.ANY,)
            elif action == g.CALL_TREE:
                inner = g.CALL_PARTS[code]
            elif action == g.CLOSURE:
                inner = g.CLOSURE_PARTS[flags >> 8 & 7]
            elif action == g.ENVIRONMENT:
                (locked,) = word(data, position)
                position += 4
                if locked > 1:
                    _refuse(position - 4, f"{locked} for whether an environment is locked")
                references.append(c.ENV)
                inner = g.ENVIRONMENT_PARTS
            elif action == g.BUCKETS:
                (count,) = word(data, position)
                position += 4
                if count > 0x7FFF_FFFF:
                    count, position = long_length(state, position)
                # R takes names modulo the size.
                if flags != c.VEC or not 0 < count * 4 <= end - position:
                    _refuse(
                        position, "the hash table of an environment is not a list, or has an impossible size"
                    )
                inner = repeat(g.PAIRLIST, count)
            elif action == g.PROMISE:
                inner = g.PROMISE_PARTS[flags >> 8 & 7]
            elif action == g.BYTECODE:
                (count,) = word(data, position)
                if count > end - position:
                    _refuse(position, f"{count} shared calls")
                inner, position = _constants(state, position + 4)
                if flags & c.HAS_ATTRIBUTES:
                    inner = chain(inner, (g.CLASSED if flags & c.IS_OBJECT else g.PAIRLIST,))
            elif action == g.NESTED_CODE:
                inner, position = _constants(state, position)
            elif action in (g.SHARED, g.SHARED_HERE):
                (index,) = word(data, position)
                position += 4
                if index >= shared[0] or (action == g.SHARED and index not in shared[1]):
                    _refuse(position - 4, f"shared call {index} is not there")
                if action == g.SHARED:
                    continue
                shared[1].add(index)
                (code,) = word(data, position)
                position += 4
                if code not in g.CALL_PARTS:
                    _refuse(position - 4, f"a shared call of type {code}")
                inner = g.CALL_PARTS[code]
            elif action in (g.INTEGERS_1, g.INTEGERS_2):
                wanted = 1 if action == g.INTEGERS_1 else 2
                (count,) = word(data, position)
                position += 4 + 4 * wanted
                is_signed = flags == c.INT | c.HAS_ATTRIBUTES and action == g.INTEGERS_1
                if not (flags == c.INT or is_signed) or count != wanted or position > end:
                    _refuse(position, "the state of a wrapper or deferred string is malformed")
                if is_signed:
                    position = _out_dec(state, position)
                continue
            elif action == g.BUILTIN:
                position = _builtin(state, position, flags)
                continue
            elif action == g.STRING:
                position = _string(state, position, flags)
                continue
            elif action == g.BY_NAME:
                position = _by_name(state, position, flags)
                continue
            elif action == g.POINTER:
                references.append(c.EXTPTR)
                inner = (g.PROTECTED, g.ANY)
                if flags & c.HAS_ATTRIBUTES:
                    inner = (*inner, g.CLASSED if flags & c.IS_OBJECT else g.PAIRLIST)
            elif action == g.BARE:
                if code == c.WEAKREF:
                    references.append(c.WEAKREF)
                if not flags & c.HAS_ATTRIBUTES:
                    continue
                inner = (g.CLASSED if flags & c.IS_OBJECT else g.PAIRLIST,)
            else:
                _refuse(position - 4, f"type {code} is unknown, or not expected here")

            stack.append((places, depth, owes_class, shared))
            owes_class = action == g.OBJECT_CELL
            depth += 1
            if depth > max_depth:
                _refuse(position, f"nested, or chained, more than {max_depth} levels deep")
            places = iter(inner)
            if action == g.BYTECODE:
                shared = (count, set())
            break
        else:
            if owes_class:
                _refuse(position, "an object without a class")
            if not stack:
                return position
            places, depth, owes_class, shared = stack.pop()


def _refuse(position: int, cause: str) -> NoReturn:
    raise DecodeError(position, cause)


def long_length(state: Scan, position: int) -> tuple[int, int]:
    """A length whose first word, just before `position`, is negative: two words follow if it is -1."""
    if state.word(state.data, position - 4)[0] != 0xFFFF_FFFF:
        _refuse(position - 4, "a negative length")
    high, low = state.word(state.data, position)[0], state.word(state.data, position + 4)[0]
    if high > 65536:
        _refuse(position, "an impossible length")
    return (high << 32) + low, position + 8


def _string(state: Scan, position: int, flags: int) -> int:
    """What follows the flags word of a CHAR item."""
    (size,) = state.word(state.data, position)
    position += 4
    if flags & _CHAR_WORD != c.CHAR:
        _refuse(position - 8, "a string is expected here")
    if size == 0xFFFF_FFFF:
        return position
    if size > state.end - position:
        raise UnexpectedEnd(position, f"a string of {size} bytes, {state.end - position} are left")
    if state.data.find(0, position, position + size) >= 0:
        _refuse(position, "a string with a NUL inside")
    return int(position + size)


def _builtin(state: Scan, position: int, flags: int) -> int:
    (size,) = state.word(state.data, position)
    position += 4
    if flags & (c.HAS_ATTRIBUTES | c.IS_OBJECT) or not 0 < size <= c.MAX_BUILTIN:
        _refuse(position - 4, f"a builtin function with a name of {size} bytes")
    name = state.data[position : position + size]
    if len(name) < size:
        raise UnexpectedEnd(position, "the input ends in the middle of a name")
    if not name.isascii() or b"\0" in name:
        _refuse(position, "the name of a builtin function is not ASCII")
    return int(position + size)


def _by_name(state: Scan, position: int, flags: int) -> int:
    data, word = state.data, state.word
    zero, count = word(data, position)[0], word(data, position + 4)[0]
    position += 8
    if zero or count * 8 > state.end - position:
        _refuse(position - 8, "a reference by name is malformed")
    for _ in range(count):
        position = _string(state, position + 4, word(data, position)[0])
    state.references.append(flags)
    return position


def _constants(state: Scan, position: int) -> tuple[Iterator[g.Place], int]:
    """Instructions, and the number of constants that follow."""
    data, word = state.data, state.word
    flags, count = word(data, position)[0], word(data, position + 4)[0]
    position += 8
    if flags != c.INT:
        _refuse(position - 8, "instructions are not an integer vector")
    if count > 0x7FFF_FFFF:
        count, position = long_length(state, position)
    if count * 4 > state.end - position:
        raise UnexpectedEnd(position, f"{count} instructions are announced")
    position += count * 4
    (count,) = word(data, position)
    position += 4
    if count * 4 > state.end - position:
        raise UnexpectedEnd(position, f"{count} constants are announced")
    return repeat(g.CONSTANT, count), position


def _info_symbol(state: Scan, position: int) -> tuple[bytes, int]:
    """One untagged cell with a symbol: class or package of an ALTREP item."""
    if state.word(state.data, position)[0] != c.LIST:
        _refuse(position, "the class of an ALTREP item is malformed")
    return _tag(state, position + 4)


def _tag(state: Scan, start: int) -> tuple[bytes, int]:
    """The name of a symbol, and the position after it."""
    position = scan(state, start, g.TAG)
    (flags,) = state.word(state.data, start)
    index = (
        len(state.references) if flags & 0xFF == c.SYM else flags >> 8 or state.word(state.data, start + 4)[0]
    )
    name = state.references[index - 1]
    return (name if isinstance(name, bytes) else b""), position


def _out_dec(state: Scan, position: int) -> int:
    """The one attribute that the state of a deferred string may have, see `OUT_DEC`."""
    data, pair = state.data, state.pair
    start = position
    flags = c.heeded(state.word(data, position)[0])
    name, position = _tag(state, position + 4)
    kind, count = pair(data, position)
    bits, size = pair(data, position + 8)
    position += 16
    is_text = (c.heeded(kind), count, bits & _CHAR_WORD) == (c.STR, 1, c.CHAR)
    is_text = is_text and 0 <= size <= MAX_OUT_DEC
    is_last = c.heeded(state.word(data, position + size)[0]) == c.NIL if is_text else False
    if (
        flags != c.LIST | c.HAS_TAG
        or name != OUT_DEC.encode()
        or not is_last
        or data.find(0, position, position + size) >= 0
    ):
        _refuse(start, "the decimal sign of a deferred string is malformed")
    return int(position + size + 4)


def compact(state: Scan, position: int, flags: int, place: g.Place) -> tuple[int, tuple[g.Place, ...]]:
    """An ALTREP item's class, and as much of its state as holds no items; the places that are left."""
    data, word = state.data, state.word
    last = g.CLASSED if flags & c.IS_OBJECT else g.PAIRLIST
    raw_name, position = _info_symbol(state, position)
    package, position = _info_symbol(state, position)
    head = [word(data, position + offset)[0] for offset in (0, 4, 8, 12, 16)]
    type_code = head[3]
    if [*head[:3], head[4]] != [c.LIST, c.INT, 1, c.NIL]:
        _refuse(position, "the class of an ALTREP item is malformed")
    position += 20
    if type_code not in g.VECTORS or not place[type_code]:
        _refuse(position, "an ALTREP item of another type than is needed here")
    name = raw_name.decode("ascii", "replace")
    if package != b"base":
        return position, (g.STATE, last)
    if name in SEQUENCES:
        words = c.heeded(word(data, position)[0]), word(data, position + 4)[0]
        if type_code != SEQUENCES[name] or words != (c.REAL, 3):
            _refuse(position, "the state of a compact sequence is not three doubles")
        flaw = sequence_flaw(type_code == c.INT, *state.triple(data, position + 8))
        if flaw is not None:
            _refuse(position, flaw)
        return position + 32, (last,)
    if name in WRAPPERS or name == DEFERRED:
        if type_code != WRAPPERS.get(name, c.STR) or c.heeded(word(data, position)[0]) != c.LIST:
            _refuse(position, "the state of a wrapper or deferred string is not one pair")
        if name == DEFERRED:
            return position + 4, (g.NUMBERS, g.ONE_INTEGER, last)
        return position + 4, (g.WRAPPED[type_code], g.TWO_INTEGERS, last)
    if name in MAPPED_FILES:
        _refuse(position, "a vector that stands for a file on the writer's disk")
    return position, (g.STATE, last)
