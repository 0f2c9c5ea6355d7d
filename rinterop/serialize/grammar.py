"""The format as a parse table: in each place, what may follow and what to do with it.

A *place* is a table of 256 actions, indexed by the type code of the item found there; 0 refuses it. It is
`bytes`, so that looking up an action is one indexing of one object, without any call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from rinterop.serialize import constants as c

Place: TypeAlias = bytes

REFUSE: Final = 0
FIXED: Final = 1  # a vector of numbers or bytes: elements of a known width
REFERENCE: Final = 2
STRINGS: Final = 3
SYMBOL: Final = 4
MARKER: Final = 5
CELL: Final = 6  # the first cell of a chain
NEXT_CELL: Final = 7
ITEMS: Final = 8  # list or expression
CLOSURE: Final = 9
ENVIRONMENT: Final = 10
PROMISE: Final = 11
BUILTIN: Final = 12
STRING: Final = 13
BYTECODE: Final = 14
POINTER: Final = 15
BARE: Final = 16  # nothing but attributes
BY_NAME: Final = 17
COMPACT: Final = 18  # ALTREP
BUCKETS: Final = 19
INTEGERS_1: Final = 20  # exactly one, without attributes but for that which a deferred string's may have
INTEGERS_2: Final = 21  # exactly two, without attributes
OBJECT_CELL: Final = 22  # the first attribute of an object, among whose attributes must be a class
PROPER_CELL: Final = 23  # as CELL and NEXT_CELL, of a chain without calls in it
PROPER_NEXT: Final = 24
STATE_CELL: Final = 25  # of an ALTREP state, which may be a pair of two items
CHAINS: Final = 26  # a list of pairlists with keys
KEY_CELL: Final = 27  # as CELL and NEXT_CELL, of a chain whose tags are keys: any items
KEY_NEXT: Final = 28
# From here on the word is no flags word but a type code among the constants of bytecode.
NESTED_CODE: Final = 29
CALL_TREE: Final = 30
SHARED: Final = 31
SHARED_HERE: Final = 32
LEAF: Final = 33  # of a call among constants: a type code, then an item

VECTORS: Final = frozenset((c.LGL, c.INT, c.REAL, c.CPLX, c.STR, c.VEC, c.EXPR, c.RAW))
WIDTHS: Final = bytes(
    {c.LGL: 4, c.INT: 4, c.REAL: 8, c.CPLX: 16, c.RAW: 1}.get(code, 0) for code in range(256)
)


def _place(actions: Mapping[int, int]) -> Place:
    return bytes(actions.get(code, REFUSE) for code in range(256))


def _only(codes: Iterable[int]) -> Place:
    """A place for items of these types alone."""
    return _place({code: ANY[code] for code in codes})


_ITEM: Final = {
    **dict.fromkeys((c.LGL, c.INT, c.REAL, c.CPLX, c.RAW), FIXED),
    **dict.fromkeys((c.VEC, c.EXPR), ITEMS),
    **dict.fromkeys((c.LIST, c.LANG, c.DOT), CELL),
    **dict.fromkeys((c.SPECIAL, c.BUILTIN), BUILTIN),
    **dict.fromkeys((c.NAMESPACE, c.PACKAGE, c.PERSIST), BY_NAME),
    **dict.fromkeys(
        (c.NIL, c.GLOBALENV, c.EMPTYENV, c.BASEENV, c.BASENAMESPACE, c.UNBOUNDVALUE, c.MISSINGARG), MARKER
    ),
    c.WEAKREF: BARE,
    c.S4SXP: BARE,
    c.REF: REFERENCE,
    c.STR: STRINGS,
    c.SYM: SYMBOL,
    c.CHAR: STRING,
    c.CLO: CLOSURE,
    c.ENV: ENVIRONMENT,
    c.PROM: PROMISE,
    c.BCODE: BYTECODE,
    c.EXTPTR: POINTER,
    c.ALTREP: COMPACT,
}
_CALLS: Final = dict.fromkeys((c.LANG, c.LIST, c.ATTRLANG, c.ATTRLIST), CALL_TREE)

ANY: Final = _place(_ITEM)
CDR: Final = _place({c.LIST: NEXT_CELL, c.LANG: NEXT_CELL, c.NIL: MARKER})
"""R's `length()` of a chain that ends in anything but NULL is a crash. Only ALTREP states do."""
STATE: Final = _place({**_ITEM, c.LIST: STATE_CELL})
STATE_CDR: Final = _place({**_ITEM, c.LIST: NEXT_CELL, c.LANG: NEXT_CELL})
PROTECTED: Final = _place({**_ITEM, c.VEC: CHAINS})
"""What an external pointer keeps: that of `utils::hashtab()` has a list of pairlists, whose tags are keys.
Nowhere else may a tag be anything but a symbol: R's `as.list()` of such a pairlist is a crash."""
KEYED: Final = _place({**_ITEM, c.LIST: KEY_CELL})
KEYED_CDR: Final = _place({c.LIST: KEY_NEXT, c.LANG: KEY_NEXT, c.NIL: MARKER})
TAG: Final = _only((c.SYM, c.REF))
TAG_OR_NULL: Final = _only((c.SYM, c.REF, c.NIL))
PAIRLIST: Final = _place({c.LIST: PROPER_CELL, c.NIL: MARKER})
"""Attributes, formals, frames. R goes through them up to NULL, or off into memory if there is none."""
PROPER_CDR: Final = _place({c.LIST: PROPER_NEXT, c.NIL: MARKER})
CLASSED: Final = _place({c.LIST: OBJECT_CELL})
"""Attributes of an object. R 4.2 dies dispatching on an object that has no class, or one that is no text."""
STRING_VECTOR: Final = _only((c.STR, c.ALTREP))
ENVIRONMENTS: Final = _only(
    (
        c.ENV,
        c.REF,
        c.NIL,
        c.GLOBALENV,
        c.EMPTYENV,
        c.BASEENV,
        c.BASENAMESPACE,
        c.NAMESPACE,
        c.PACKAGE,
        c.PERSIST,
    )
)
HASH_TABLE: Final = _place({c.VEC: BUCKETS, c.NIL: MARKER})
ONE_INTEGER: Final = _place({c.INT: INTEGERS_1})
TWO_INTEGERS: Final = _place({c.INT: INTEGERS_2})
NUMBERS: Final = _only((c.INT, c.REAL, c.ALTREP))
WRAPPED: Final = {
    code: _only((code, c.ALTREP)) for code in (c.LGL, c.INT, c.REAL, c.CPLX, c.STR, c.VEC, c.RAW)
}
TREE: Final = _place({
    **dict.fromkeys(range(256), LEAF), **_CALLS, c.BCREPREF: SHARED, c.BCREPDEF: SHARED_HERE,
})  # fmt: skip
CONSTANT: Final = _place({**dict(enumerate(TREE)), c.BCODE: NESTED_CODE})


def _parts(*rest: Place, tag: Place) -> tuple[tuple[Place, ...], ...]:
    """What follows the flags word, by its bits 8 to 10: attributes, tag, then the rest."""
    return tuple(
        (*((CLASSED if bits & 1 else PAIRLIST,) if bits & 2 else ()), *((tag,) if bits & 4 else ()), *rest)
        for bits in range(8)
    )


CELL_PARTS: Final = _parts(ANY, CDR, tag=TAG)
KEY_PARTS: Final = _parts(ANY, KEYED_CDR, tag=ANY)
STATE_PARTS: Final = _parts(ANY, STATE_CDR, tag=TAG)
PROPER_PARTS: Final = _parts(ANY, PROPER_CDR, tag=TAG)
NEXT_PARTS: Final = {NEXT_CELL: CELL_PARTS, PROPER_NEXT: PROPER_PARTS, KEY_NEXT: KEY_PARTS}
CLASS_PARTS: Final = (STRING_VECTOR, PROPER_CDR)
CLOSURE_PARTS: Final = _parts(PAIRLIST, ANY, tag=ENVIRONMENTS)
PROMISE_PARTS: Final = _parts(ANY, ANY, tag=ENVIRONMENTS)
ENVIRONMENT_PARTS: Final = (ENVIRONMENTS, PAIRLIST, HASH_TABLE, PAIRLIST)
CALL_PARTS: Final = {
    c.LIST: (TAG_OR_NULL, TREE, TREE),
    c.LANG: (TAG_OR_NULL, TREE, TREE),
    c.ATTRLIST: (ANY, TAG_OR_NULL, TREE, TREE),
    c.ATTRLANG: (ANY, TAG_OR_NULL, TREE, TREE),
}
