"""Look over a payload without building values: is every byte of it sound, and what are its outer levels?"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from rinterop.errors import DecodeError, ExpansionError, UnexpectedEnd
from rinterop.serialize import constants as c
from rinterop.serialize import grammar as g
from rinterop.serialize import speed
from rinterop.serialize.header import TEXT, open_source
from rinterop.serialize.reader import Reader, loads
from rinterop.serialize.scan import MAX_DEPTH, Scan, compact, long_length, new_scan, scan
from rinterop.serialize.sources import BinarySource
from rinterop.serialize.writer import dumps
from rinterop.values import NA_INTEGER, Environment, RValue, Symbol, strings
from rinterop.values.text import ASCII, text_of

MAX_LEVELS: Final = 16
"""Levels of lists that an outline may show."""


class Outline(NamedTuple):
    """One item of a payload and, for a list, what is in it.

    Attributes:
        names: The names of a list as R's `names()` gives them, "" for a missing one; None for a list without
            names and for anything else.
        children: The elements of a list; None for anything else, and for lists deeper than asked for.
        text: The text of a character vector of length 1 without attributes; None if it is NA, too.
        start, end: Where the item is in the payload: bytes start to end - 1. It may refer to symbols and
            environments that were written before it, so a slice is not a payload of its own.
    """

    names: tuple[str, ...] | None
    children: tuple[Outline, ...] | None
    text: str | None
    start: int
    end: int


def walk(data: bytes | bytearray | memoryview, *, max_depth: int = MAX_DEPTH) -> None:
    """Check that R may be given these bytes.

    What passes is what `loads` reads, has no vectors that stand for files (mmap), and does not make R
    recurse beyond `max_depth`: levels of nesting, each cell of a pairlist counting as one more. Time is
    linear in the number of items, whatever the length of the vectors of numbers. The ascii form takes
    about as long as reading it.

    Raises:
        DecodeError: If R must not see them, with offset and cause; `UnexpectedEnd` if they stop short.
    """
    stream = data if type(data) is bytes else bytes(data)
    if speed.compiled is not None and speed.compiled.walk(stream, max_depth):
        return
    _, state, position = _open(stream, max_depth)
    try:
        scan(state, position)
    except struct.error:
        raise UnexpectedEnd(state.end, "the input ends in the middle of a word") from None


def outline(data: bytes | bytearray | memoryview, depth: int = 2, *, max_depth: int = MAX_DEPTH) -> Outline:
    """`walk` the bytes and report what is in the outer `depth` levels of lists.

    Made for queues: a task of R's doRedis, `list(ID = "job", argsList = list("4" = list(...), ...))`, gives
    an outline with the names ID and argsList, the text of ID, and the names "4", ... of argsList.

    Raises:
        DecodeError: As `walk`; also for the ascii form, in which items have no place of their own, and for a
            list whose names are not as many as its elements.
        ValueError: If `depth` is not in 0 .. 16.
    """
    if not 0 <= depth <= MAX_LEVELS:
        raise ValueError(f"an outline of {depth} levels: 0 to {MAX_LEVELS} are possible")
    stream = data if type(data) is bytes else bytes(data)
    if speed.compiled is not None:
        found = speed.compiled.outline(stream, depth, max_depth, Outline)
        if found is not None:
            return found
    magic, state, position = _open(stream, max_depth)
    if magic == TEXT:
        raise DecodeError(0, "the ascii form has no outline")
    try:
        return _item(state, position, depth)
    except struct.error:
        raise UnexpectedEnd(state.end, "the input ends in the middle of a word") from None


def _open(stream: bytes, max_depth: int) -> tuple[bytes, Scan, int]:
    if stream.startswith(b"X\n\0\0\0\3") and stream[10:23] == b"\0\3\5\0\0\0\0\5UTF-8":
        # By far the most frequent: R >= 3.5 under a UTF-8 locale. Only the writer's version varies.
        return b"X\n", new_scan(stream, ">", max_depth), 23
    header, source = open_source(stream)
    if not isinstance(source, BinarySource):
        stream = dumps(loads(stream), version=header.version)
        source = open_source(stream)[1]
    order = "<" if header.magic == b"B\n" else ">"
    return header.magic, new_scan(stream, order, max_depth), source.position


def _item(state: Scan, start: int, levels: int) -> Outline:
    """The outline of one item. Recursion is bounded by `levels`."""
    data, end, word, pair = state[:4]
    (flags,) = word(data, start)
    if flags == c.STR and word(data, start + 4)[0] == 1:
        after = scan(state, start)
        bits, size = pair(data, start + 8)
        text = None if size < 0 else text_of(data[start + 16 : after], bits >> c.GP_SHIFT)
        return Outline(None, None, text, start, after)
    if flags & 0xFF != c.VEC or not levels:
        return Outline(None, None, None, start, scan(state, start))

    (count,) = word(data, start + 4)
    position = start + 8
    if count > 0x7FFF_FFFF:
        count, position = long_length(state, position)
    if count * 4 > end - position:
        raise UnexpectedEnd(position, f"{count} elements are announced, {end - position} bytes are left")
    children = []
    for _ in range(count):
        child = _item(state, position, levels - 1)
        position = child.end
        children.append(child)
    names = None
    if flags & (c.HAS_ATTRIBUTES | c.IS_OBJECT) == c.IS_OBJECT:
        raise DecodeError(start, "an object without a class")
    if flags & c.HAS_ATTRIBUTES:
        names, position = _names(state, position, count, bool(flags & c.IS_OBJECT))
        if names is not None and len(names) != count:
            raise DecodeError(position, f"{len(names)} names for {count} elements")
    return Outline(names, tuple(children), None, start, position)


def _names(state: Scan, position: int, wanted: int, owes_class: bool) -> tuple[tuple[str, ...] | None, int]:
    """The names of `wanted` elements among the attributes at `position`, and the position after these.

    If `owes_class`, a class must be among them, as `scan` sees to it elsewhere.
    """
    data, _, word, pair, _, references, _ = state
    names = None
    while True:
        (flags,) = word(data, position)
        if flags != c.LIST | c.HAS_TAG:
            if flags == c.NIL and not owes_class:
                return names, position + 4
            # Cells of another kind, which R never writes here.
            return names, scan(state, position, g.CLASSED if owes_class else g.PAIRLIST)
        flags, index = pair(data, position + 4)
        if flags & 0xFF == c.REF and flags > 0xFF:
            position += 8
            index = flags >> 8
            if index > len(references) or type(references[index - 1]) is int:
                raise DecodeError(position - 4, "a tag is not a symbol")
        else:
            position = scan(state, position + 4, g.TAG)
            index = len(references) if flags & 0xFF == c.SYM else index
        if references[index - 1] == b"names" and names is None:
            names, position = _names_value(state, position, wanted)
        elif owes_class and references[index - 1] == b"class":
            owes_class = False
            position = scan(state, position, g.STRING_VECTOR)
        else:
            position = scan(state, position)


def _names_value(state: Scan, start: int, wanted: int) -> tuple[tuple[str, ...] | None, int]:
    """The strings of a names attribute, and the position after it."""
    data, pair, references = state.data, state.pair, state.references
    flags, count = pair(data, start)
    if flags == c.ALTREP:
        quick = _deferred_integers(state, start, wanted)
        if quick is not None:
            return quick
    known = len(references)
    end = scan(state, start)
    if flags == c.STR and count >= 0:
        texts = []
        position = start + 8
        for _ in range(count):
            bits, size = pair(data, position)
            position += 8
            if size >= 0:
                raw = data[position : position + size]
                texts.append(str(raw, "ascii") if raw.isascii() else text_of(raw, bits >> c.GP_SHIFT))
                position += size
            else:
                texts.append("")
        return tuple(texts), end
    # Anything else is read as a value; of what it may refer to, only the symbols matter.
    source = BinarySource(data[start:end], ">" if data[:1] == b"X" else "<", 0)
    reader = Reader(source, "utf-8")
    placeholder = Environment()
    reader.references = [_symbol(entry, placeholder) for entry in references[:known]]
    try:
        found = strings(reader.read(), limit=wanted)
    except ExpansionError as error:
        raise DecodeError(start, f"names that are not those of the list: {error}") from error
    if found is None:
        return None, end
    return tuple(text if isinstance(text, str) else "" for text in found), end


def _symbol(entry: bytes | int, placeholder: RValue) -> RValue:
    return Symbol(entry.decode("utf-8", "surrogateescape")) if isinstance(entry, bytes) else placeholder


def _words(*words: int | bytes) -> bytes:
    return b"".join(word if isinstance(word, bytes) else word.to_bytes(4, "big") for word in words)


def _name(text: bytes) -> bytes:
    return _words(c.SYM, c.CHAR | ASCII << c.GP_SHIFT, len(text), text)


# A deferred string in the XDR form: how it begins the first time in a stream, and what follows the class.
_DEFERRED_HEAD: Final = _words(c.ALTREP, c.LIST, _name(b"deferred_string"), c.LIST, _name(b"base"))
_DEFERRED_TYPE: Final = _words(c.LIST, c.INT, 1, c.STR, c.NIL, c.LIST)
_FIVE_WORDS: Final = struct.Struct(">5I")


def _deferred_integers(state: Scan, start: int, wanted: int) -> tuple[tuple[str, ...], int] | None:
    """Names that R made from integers and left undone: doRedis names the iterations of every task so.

    None if they are in any other form, which is then looked at the long way (nothing is changed).
    """
    data, end, word, pair, _, references, _ = state
    if data.startswith(_DEFERRED_HEAD, start):
        position = start + len(_DEFERRED_HEAD)
        new: tuple[bytes, ...] = (b"deferred_string", b"base")
    else:
        _, cell, one, next_cell, other = _FIVE_WORDS.unpack_from(data, start)
        if data[0] != 0x58 or (cell, one & 0xFF, next_cell, other & 0xFF) != (c.LIST, c.REF, c.LIST, c.REF):
            return None
        known = len(references)
        if not (0 < one >> 8 <= known and 0 < other >> 8 <= known):
            return None
        if references[(one >> 8) - 1] != b"deferred_string" or references[(other >> 8) - 1] != b"base":
            return None
        position = start + 20
        new = ()
    if not data.startswith(_DEFERRED_TYPE, position):
        return None
    position += len(_DEFERRED_TYPE)
    flags, count = pair(data, position)
    if flags == c.ALTREP:
        known = len(references)
        references.extend(new)
        quick = _deferred_sequence(state, position, wanted)
        if quick is None:
            del references[known:]
        return quick
    position += 8
    after = position + 4 * count
    if flags != c.INT or count < 0 or after + 16 > end:
        return None
    if data[after : after + 8] != _ONE_INTEGER or word(data, after + 12)[0] != c.NIL:
        return None
    references.extend(new)
    numbers = struct.unpack_from(f">{count}i", data, position)
    return tuple([str(n) if n != NA_INTEGER else "" for n in numbers]), after + 16


def _deferred_sequence(state: Scan, position: int, wanted: int) -> tuple[tuple[str, ...], int] | None:
    """The same for a compact sequence of integers, which a chunk of iterations has for names."""
    data, word = state.data, state.word
    after, rest = compact(state, position + 4, c.ALTREP, g.NUMBERS)
    # Of the classes that may stand here, only sequences leave no more than their attributes to be read.
    if rest != (g.PAIRLIST,) or word(data, after - 40)[0] != c.INT:
        return None
    length, first, step = map(int, state.triple(data, after - 24))
    plain = word(data, after)[0] == c.NIL and word(data, after + 16)[0] == c.NIL
    if length > wanted or not plain or data[after + 4 : after + 12] != _ONE_INTEGER:
        return None
    return tuple([str(number) for number in range(first, first + step * length, step)]), after + 20


_ONE_INTEGER: Final = _words(c.INT, 1)
