"""Hypothesis strategies for R values, each with R code that builds the same value.

`Built.code` is an R expression. Code and value are made side by side and independently of `dumps` and
`deparse`, so R's `identical()` of the two says whether what we write is what we mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rinterop import RValue
from rinterop import values as v
from rinterop.values.functions import LOCKED_BINDING, pjw_hash
from rinterop.values.text import BYTES, LATIN1
from rinterop.values.vectors import NA_REAL_BITS, S4_BIT


@dataclass(frozen=True, slots=True)
class Built:
    """A value, and R code for it.

    Attributes:
        value: Ours.
        code: An R expression; what it gives is `identical()` to `value` written by us and read by R.
    """

    value: RValue
    code: str


NAMES = st.sampled_from(["a", "b", "x.1", "é", "日本", "a b", "if", "_", "names ", "\\", "`"])
SYMBOLS = NAMES.map(lambda name: Built(v.symbol(name), f"as.name({quoted(name)})"))


def quoted(text: str) -> str:
    """A string as R code, in escapes only: nothing depends on R's locale."""
    return '"' + "".join(_spelled(character) for character in text) + '"'


def _spelled(character: str) -> str:
    code = ord(character)
    if character.isalnum() and code < 128:
        return character
    return f"\\U{{{code:x}}}"


# -- elements: what stands in our vector, and its R code

Element = tuple[Any, str]

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)


def _encoded(raw: bytes, gp: int, mark: str) -> Element:
    escapes = "".join(f"as.raw({byte})," for byte in raw).rstrip(",")
    return v.RText(raw, gp), f"`Encoding<-`(rawToChar(c({escapes})), {quoted(mark)})"


def _unicode(text: str) -> Element:
    # \x and \u may not be mixed in one R string.
    codes = ", ".join(f"{ord(character)}L" for character in text)
    return text, f"intToUtf8(c({codes}))" if text else '""'


NOT_ASCII = st.integers(0xA0, 0xFF)
STRINGS: st.SearchStrategy[Element] = st.one_of(
    TEXT.map(_unicode),
    st.just((v.NA, "NA_character_")),
    st.sampled_from(["NA", "a", "b"]).map(_unicode),
    NOT_ASCII.map(lambda byte: _encoded(bytes((0x61, byte)), LATIN1, "latin1")),
    NOT_ASCII.map(lambda byte: _encoded(bytes((byte, 0x61)), BYTES, "bytes")),
)
INTEGERS: st.SearchStrategy[Element] = st.one_of(
    st.integers(-(2**31) + 1, 2**31 - 1).map(lambda n: (n, f"{n}L")),
    st.just((v.NA, "NA_integer_")),
)
LOGICALS: st.SearchStrategy[Element] = st.sampled_from([(True, "TRUE"), (False, "FALSE"), (v.NA, "NA")])


def _double_code(bits: int) -> str:
    if bits == NA_REAL_BITS:
        return "NA_real_"
    number = float(np.array(bits, np.uint64).view(np.float64))
    if np.isnan(number):
        return "NaN"
    if np.isinf(number):
        return "Inf" if number > 0 else "-Inf"
    # unary minus in R loses nothing; -0 is -(0)
    return f"{'-' if bits >> 63 else ''}{abs(number).hex()}"


def _bits(number: float) -> int:
    # All NaNs alike: R code has only one.
    return 0x7FF8_0000_0000_0000 if np.isnan(number) else int(np.array(number).view(np.uint64))


DOUBLE_BITS = st.one_of(
    st.floats().map(_bits),
    st.sampled_from([NA_REAL_BITS, *map(_bits, (0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1.5))]),
)


def _array(kind: Callable[[Any], RValue], dtype: str, stored: Sequence[int], view: str) -> RValue:
    array = np.array(stored, dtype).view(view)
    array.flags.writeable = False
    return kind(array)


def _vector(elements: Sequence[Element], build: Callable[..., RValue], empty: str) -> Built:
    code = ", ".join(code for _, code in elements)
    return Built(build(*(value for value, _ in elements)), f"c({code})" if elements else empty)


def _doubles(bits: Sequence[int]) -> Built:
    code = ", ".join(map(_double_code, bits))
    return Built(_array(v.Double, "uint64", bits, "float64"), f"c({code})" if bits else "numeric()")


def _complexes(bits: Sequence[tuple[int, int]]) -> Built:
    flat = [part for pair in bits for part in pair]
    codes = ", ".join(
        f"complex(real = {_double_code(re)}, imaginary = {_double_code(im)})" for re, im in bits
    )
    return Built(_array(v.Complex, "uint64", flat, "complex128"), f"c({codes})" if bits else "complex()")


def _raws(data: bytes) -> Built:
    return Built(v.raw(data), f"as.raw(c({', '.join(map(str, data))}))" if data else "raw()")


def _sequence(start: int, length: int, step: int) -> Built:
    """A compact sequence, as R makes for `start:stop`."""
    stop = start + step * (length - 1)
    state = v.double(length, start, step)
    altrep = v.Altrep(v.symbol("compact_intseq"), v.symbol("base"), 13, state)
    return Built(altrep, f"({start}L:{stop}L)")


def _several(elements: st.SearchStrategy[Any], max_size: int = 5) -> st.SearchStrategy[list[Any]]:
    return st.lists(elements, max_size=max_size)


VECTORS: st.SearchStrategy[Built] = st.one_of(
    _several(STRINGS).map(lambda x: _vector(x, v.character, "character()")),
    _several(INTEGERS).map(lambda x: _vector(x, v.integer, "integer()")),
    _several(LOGICALS).map(lambda x: _vector(x, v.logical, "logical()")),
    _several(DOUBLE_BITS).map(_doubles),
    _several(st.tuples(DOUBLE_BITS, DOUBLE_BITS), 3).map(_complexes),
    st.binary(max_size=6).map(_raws),
    st.builds(_sequence, st.integers(-1000, 1000), st.integers(2, 20), st.sampled_from([1, -1])),
)
MARKERS = st.sampled_from(
    [
        Built(v.NULL, "NULL"),
        Built(v.GLOBAL_ENV, "globalenv()"),
        Built(v.EMPTY_ENV, "emptyenv()"),
        Built(v.BASE_ENV, "baseenv()"),
        Built(v.BASE_NAMESPACE, ".BaseNamespaceEnv"),
        Built(v.Namespace(("stats", "4.2.2")), 'asNamespace("stats")'),
        Built(v.Builtin("sum"), "sum"),
        Built(v.Builtin("if", special=True), "`if`"),
    ]
)

# -- values with values inside


def _list(parts: Sequence[Built]) -> Built:
    return Built(v.list_(*(p.value for p in parts)), f"list({_codes(parts)})")


def _codes(parts: Sequence[Built]) -> str:
    return ", ".join(part.code for part in parts)


def _named_list(parts: Sequence[tuple[str, Built]]) -> Built:
    value = v.named_list([(name, part.value) for name, part in parts])
    tags = ", ".join(quoted(name) for name, _ in parts)
    codes = _codes([part for _, part in parts])
    return Built(value, f"`names<-`(list({codes}), c({tags}))" if parts else "`names<-`(list(), character())")


def _expression(parts: Sequence[Built]) -> Built:
    return Built(v.Expression(values=tuple(p.value for p in parts)), f"as.expression(list({_codes(parts)}))")


def _cells(parts: Sequence[tuple[str, Built]]) -> tuple[v.Cell, ...]:
    return tuple(v.Cell(part.value, v.symbol(name) if name else None) for name, part in parts)


def _tagged(parts: Sequence[tuple[str, Built]]) -> str:
    """R code of a list with the tags."""
    tags = ", ".join(quoted(name) for name, _ in parts)
    return f"`names<-`(list({_codes([part for _, part in parts])}), c({tags}))"


def _pairlist(parts: Sequence[tuple[str, Built]]) -> Built:
    # as.pairlist() of a list without any name gives a pairlist without tags.
    return Built(v.PairList(_cells(parts)), f"as.pairlist({_tagged(parts)})")


def _call(function: Built, parts: Sequence[tuple[str, Built]]) -> Built:
    cells = (v.Cell(function.value), *_cells(parts))
    return Built(v.Call(cells), f"as.call({_tagged([('', function), *parts])})")


def _closure(formals: Sequence[tuple[str, Built | None]], body: Built) -> Built:
    value = v.closure({name: None if part is None else part.value for name, part in formals}, body.value)
    # A list cannot hold the missing argument but through quote(expr = ).
    codes = ", ".join("quote(expr = )" if part is None else part.code for _, part in formals)
    tags = ", ".join(quoted(name) for name, _ in formals)
    arguments = f"`names<-`(list({codes}), c({tags}))" if formals else "list()"
    function = f"as.call(list(as.name('function'), as.pairlist({arguments}), {body.code}))"
    return Built(value, f"eval({function}, globalenv())")


def _is_body(part: Built) -> bool:
    """Whether R's `function` takes it for a body: no function or environment."""
    environments = v.EnvironmentMarker | v.NamedReference
    return not isinstance(part.value, v.Closure | v.Builtin | environments)


def _attributed(part: Built, extra: Sequence[tuple[str, Built]]) -> Built:
    """Attributes on a vector or list that has none, in their order."""
    if not isinstance(part.value, v.Attributed) or isinstance(part.value, v.Closure | v.Builtin):
        return part
    extra = [(name, value) for name, value in extra if value.value is not v.NULL]
    if part.value.attributes is not None or not extra:
        return part
    cells = tuple(v.Cell(value.value, v.symbol(name)) for name, value in extra)
    changed = _replaced(part.value, attributes=v.PairList(cells))
    return Built(changed, f"`attributes<-`({part.code}, {_tagged(extra)})")


def _replaced(value: Any, **changes: Any) -> RValue:
    fields = {name: getattr(value, name) for name in type(value).__dataclass_fields__}
    result: RValue = type(value)(**{**fields, **changes})
    return result


def _classed(part: Built, classes: Sequence[str]) -> Built:
    codes = ", ".join(map(quoted, classes))
    return _attributed(part, [("class", Built(v.character(*classes), f"c({codes})"))])


def _s4(part: Built) -> Built:
    """An S4 object of a class without a definition: it is the bit and the attribute that count."""
    if not isinstance(part.value, v.List) or part.value.attributes is not None:
        return part
    value = _replaced(part.value, attributes=v.attributes_of(**{"class": v.character("k")}), gp=S4_BIT)
    return Built(value, f'asS4(structure({part.code}, class = "k"))')


def nested(max_leaves: int = 10) -> st.SearchStrategy[Built]:
    """Any value without an environment of its own: what R's identical() can compare."""
    return st.recursive(st.one_of(VECTORS, SYMBOLS, MARKERS), _containers, max_leaves=max_leaves)


def _containers(inner: st.SearchStrategy[Built]) -> st.SearchStrategy[Built]:
    tags = st.one_of(st.just(""), NAMES)
    parts = st.lists(inner, max_size=4)
    tagged = st.lists(st.tuples(tags, inner), max_size=4)
    formals = st.lists(st.tuples(NAMES, st.none() | inner), max_size=3, unique_by=lambda formal: formal[0])
    attributes = st.lists(
        st.tuples(st.sampled_from(["a", "é", "b c", "units"]), inner),
        min_size=1,
        max_size=3,
        unique_by=lambda attribute: attribute[0],
    )
    classes = st.lists(st.sampled_from(["k", "ü", "l"]), min_size=1, max_size=2)
    return st.one_of(
        parts.map(_list),
        tagged.map(_named_list),
        parts.map(_expression),
        tagged.filter(bool).map(_pairlist),
        st.builds(_call, st.one_of(SYMBOLS, inner), tagged),
        st.builds(_closure, formals, st.one_of(SYMBOLS, inner.filter(_is_body))),
        st.builds(_attributed, st.one_of(VECTORS, parts.map(_list)), attributes),
        st.builds(_classed, st.one_of(VECTORS, parts.map(_list)), classes),
        parts.map(_list).map(_s4),
    )


BUILT = nested()


HELD: st.SearchStrategy[list[tuple[str, Any]]] = st.lists(
    st.tuples(NAMES, st.one_of(st.integers(0, 2), nested(3), st.lists(st.integers(0, 2), max_size=2))),
    max_size=3,
    unique_by=lambda binding: binding[0],
)
"""Bindings of an environment. A number is one of the other environments, a list a list of them."""


@st.composite
def environments(draw: st.DrawFn) -> RValue:
    """Values in which environments hold each other and themselves."""
    made = [v.Environment(parent=v.GLOBAL_ENV) for _ in range(3)]
    for place, environment in enumerate(made):
        if place and draw(st.booleans()):
            environment.parent = made[draw(st.integers(0, place - 1))]
        cells = [
            v.Cell(_held(what, made), v.symbol(name), gp=draw(st.sampled_from([0, LOCKED_BINDING])))
            for name, what in draw(HELD)
        ]
        if draw(st.booleans()):
            environment.frame = v.PairList(tuple(cells)) if cells else v.NULL
        else:
            environment.buckets = _hash_table(cells, draw(st.integers(1, 29)))
        environment.locked = draw(st.booleans())
    promise = v.Promise(v.UNBOUND, v.call("f", v.symbol("x")), made[0])
    function = v.closure({"x": None}, v.call("x"), made[2])
    others = (promise, function, v.ExternalPointer(), v.WeakReference())
    return v.list_(*made, others[draw(st.integers(0, len(others) - 1))])


def _held(what: Any, made: Sequence[v.Environment]) -> RValue:
    if isinstance(what, Built):
        return what.value
    return made[what] if isinstance(what, int) else v.list_(*(made[i] for i in what))


def _hash_table(cells: Sequence[v.Cell], size: int) -> v.List:
    buckets: list[list[v.Cell]] = [[] for _ in range(size)]
    for cell in cells:
        buckets[pjw_hash(cell.name.encode()) % size].append(cell)
    return v.List(tuple(v.PairList(tuple(bucket)) if bucket else v.NULL for bucket in buckets))


ANY: st.SearchStrategy[RValue] = st.one_of(BUILT.map(lambda built: built.value), environments())
"""Any value at all."""
