"""Short repr of any value: a few levels and a few elements, however deep or long the value is."""

from __future__ import annotations

from rinterop.values.altrep import Altrep
from rinterop.values.atoms import Builtin, Char, Marker, NamedReference, Symbol
from rinterop.values.base import RValue
from rinterop.values.functions import (
    ByteCode,
    CallTree,
    Closure,
    CodeBody,
    Constant,
    Environment,
    Promise,
    SharedCall,
)
from rinterop.values.pairs import Cell, Pairs
from rinterop.values.vectors import Character, List, Raw, _ArrayVector, attribute_list

_ELEMENTS = 6
_LEVELS = 3
_CHARACTERS = 60


def show(value: RValue, levels: int = _LEVELS) -> str:
    """What `repr` shows. Recursion is bounded by `levels`; payloads of any size give a line or two."""
    kind = type(value).__name__
    if isinstance(value, Marker):
        return value.label
    if isinstance(value, Symbol):
        return f"Symbol({_short(value.name)})"
    if levels <= 0:
        return f"{kind}(...)"
    if isinstance(value, Cell):
        return f"Cell({_named(value.name, show(value.value, levels - 1))})"
    return f"{kind}({', '.join(_inside(value, levels) + _attributes(value))})"


def _inside(value: RValue, levels: int) -> list[str]:
    match value:
        case _ArrayVector():
            shown = [_short(value[i]) for i in range(min(len(value), _ELEMENTS))]  # type: ignore[index]  # all have it
            return _dots(shown, len(value))
        case Raw():
            return [value.values[:16].hex() + ("..." if len(value) > 16 else "")]
        case Character():
            return _dots([_short(text) for text in value.values[:_ELEMENTS]], len(value))
        case List():
            tags = _list_names(value)
            return _dots(
                [_named(n, show(v, levels - 1)) for n, v in zip(tags, value.values, strict=False)], len(value)
            )
        case Pairs():
            return _dots(
                [_named(cell.name, show(cell.value, levels - 1)) for cell in value.cells[:_ELEMENTS]],
                len(value),
            )
        case Environment():
            return _dots(list(value.names()[:_ELEMENTS]), len(value))
        case Closure():
            return [cell.name for cell in value.formals.cells] if isinstance(value.formals, Pairs) else []
        case Promise():
            return [show(value.expression, levels - 1)]
        case Altrep():
            return [f"{value.package.name}::{value.class_name.name}", show(value.state, levels - 1)]
        case Builtin():
            return [repr(value.name)]
        case Char():
            return [_short(value.text)]
        case NamedReference():
            return [_short(text) for text in value.strings[:_ELEMENTS]]
        case ByteCode():
            return [show(value.body, levels - 1)]
        case CodeBody():
            return _dots(
                [show(constant, levels - 1) for constant in value.constants[:_ELEMENTS]], len(value.constants)
            )
        case Constant():
            return [show(value.value, levels - 1)]
        case CallTree():
            return [show(value.car, levels - 1), show(value.cdr, levels - 1)]
        case SharedCall():
            return [str(value.index)]
    return []


def _list_names(value: List) -> list[str]:
    """Names for the first elements; a compact form is left alone, as a repr must not cost anything."""
    tags = [""] * min(len(value), _ELEMENTS)
    pairs = value.attributes
    if pairs is not None:
        for cell in pairs.cells:
            if cell.name == "names" and isinstance(cell.value, Character):
                found = [str(text) for text in cell.value.values[: len(tags)]]
                tags[: len(found)] = found
    return tags


def _attributes(value: RValue) -> list[str]:
    pairs = attribute_list(value)
    others = [cell.name for cell in pairs.cells if cell.name != "names"] if pairs is not None else []
    return [f"<{', '.join(others)}>"] if others else []


def _named(name: str, text: str) -> str:
    return f"{name}={text}" if name else text


def _short(item: object) -> str:
    text = repr(item)
    return text if len(text) <= _CHARACTERS else text[:_CHARACTERS] + "..."


def _dots(shown: list[str], length: int) -> list[str]:
    return shown if length <= len(shown) else [*shown, f"... {length} in all"]
