"""The expression that bytecode was compiled from, out of its constants; no R needed."""

from __future__ import annotations

from rinterop.errors import ExpansionError
from rinterop.values.atoms import NULL, Symbol
from rinterop.values.base import RValue
from rinterop.values.functions import ByteCode, CallTree, CodeBody, Constant, SharedCall
from rinterop.values.pairs import Call, Cell, PairList

_CALLS = (6, 240)


def source_of(code: ByteCode) -> RValue:
    """The first constant with shared calls put in place: what R's `body()` shows for a compiled function.

    Raises:
        ExpansionError: If a call is part of itself, or the constants are not as R makes them.
    """
    if not code.body.constants:
        return NULL
    shared = _shared_calls(code.body)
    root = _target(code.body.constants[0].value, shared)
    # Parts before wholes. Keys are ids: all nodes are kept alive by `code`.
    done: dict[int, RValue] = {}
    begun: set[int] = set()
    todo = [root]
    while todo:
        node = todo[-1]
        if id(node) in done:
            todo.pop()
            continue
        missing = [part for part in _parts(node, shared) if id(part) not in done]
        if missing:
            if id(node) in begun or any(id(part) in begun for part in missing):
                raise ExpansionError("a call in bytecode is part of itself")
            begun.add(id(node))
            todo.extend(missing)
            continue
        begun.discard(id(node))
        done[id(node)] = _assembled(node, shared, done)
        todo.pop()
    return done[id(root)]


def _shared_calls(body: CodeBody) -> dict[int, CallTree]:
    found: dict[int, CallTree] = {}
    todo: list[RValue] = [body]
    while todo:
        node = todo.pop()
        match node:
            case CodeBody():
                todo.extend(node.constants)
            case Constant():
                todo.append(node.value)
            case CallTree():
                if node.shared is not None:
                    found.setdefault(node.shared, node)
                todo.extend((node.car, node.cdr))
    return found


def _target(node: RValue, shared: dict[int, CallTree]) -> RValue:
    """What stands for `node`: itself, the value of a leaf, or the call a reference means."""
    while isinstance(node, Constant):
        node = node.value
    if isinstance(node, SharedCall):
        if node.index not in shared:
            raise ExpansionError(f"shared call {node.index} of bytecode is not there")
        return shared[node.index]
    return node


def _chain(node: CallTree, shared: dict[int, CallTree]) -> tuple[list[CallTree], RValue]:
    """The cells of a call and what ends them. A shared or a nested call in the cdr ends them, too."""
    cells = [node]
    while True:
        rest = cells[-1].cdr
        if not isinstance(rest, CallTree) or rest.shared is not None or rest.code in _CALLS:
            return cells, _target(rest, shared)
        cells.append(rest)


def _parts(node: RValue, shared: dict[int, CallTree]) -> list[RValue]:
    if not isinstance(node, CallTree):
        return []
    cells, end = _chain(node, shared)
    return [*(_target(cell.car, shared) for cell in cells), end]


def _assembled(node: RValue, shared: dict[int, CallTree], done: dict[int, RValue]) -> RValue:
    if not isinstance(node, CallTree):
        return node  # a leaf; a function inside has bytecode, and a source, of its own
    trees, end = _chain(node, shared)
    cells = tuple(
        Cell(
            done[id(_target(tree.car, shared))],
            tree.tag if isinstance(tree.tag, Symbol) else None,
            tree.attributes if isinstance(tree.attributes, PairList) else None,
        )
        for tree in trees
    )
    rest = done[id(end)]
    if type(rest) is PairList:
        cells, rest = cells + rest.cells, rest.end
    return Call(cells, rest) if node.code in _CALLS else PairList(cells, rest)
