"""`utils::hashtab()`: pairlists whose tags are keys, of any kind; and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rinterop
from rinterop import RValue
from rinterop import values as v
from rinterop.serialize import outline, walk
from tests.rinterop.recordings import DATA
from tests.rinterop.rscript import run_r


def chains(table: RValue) -> list[v.PairList]:
    """The pairlists of a hash table."""
    assert isinstance(table, v.List)
    assert v.class_(table) == ("hashtab",)
    pointer = table[0]
    assert isinstance(pointer, v.ExternalPointer)
    assert isinstance(pointer.protected, v.List)
    return [chain for chain in pointer.protected if isinstance(chain, v.PairList)]


def hash_table(*cells: v.Cell) -> v.List:
    """A table with all cells in one bucket, which R would sort."""
    pointer = v.ExternalPointer()
    pointer.protected = v.list_(v.PairList(cells), *[v.NULL] * 7)
    pointer.tag = v.integer(len(cells), 0, 3)  # count, kind ("identical"), size as a power of two
    return v.List((pointer,), attributes=v.attributes_of(**{"class": v.character("hashtab")}))


def test_keys_and_values() -> None:
    cells = [
        cell
        for chain in chains(rinterop.loads((DATA / "hashtab_keys.3x.bin").read_bytes()))
        for cell in chain.cells
    ]
    found = [(cell.tag, cell.value) for cell in cells]
    named = v.Double(np.array([1.0, 2.0]), attributes=v.attributes_of(names=v.character("x", "y")))
    expected = [
        (v.character("a"), v.double(1)),
        (named, v.character("two")),
        (None, v.integer(3)),
        (v.symbol("sym"), v.Builtin("sum", False)),
        (v.list_(v.double(1), v.character("b")), v.list_(v.logical(True), v.logical(None))),
        (v.GLOBAL_ENV, v.call("g", v.symbol("y"))),
    ]
    assert len(found) == len(expected) + 1  # the key that is a call has NULL for its value
    for pair in expected:
        assert any(pair[0] == key and pair[1] == value for key, value in found), pair
    assert sorted(cell.name for cell in cells) == [""] * (len(found) - 1) + ["sym"]


KEYS = [
    v.symbol("name"),
    v.character("text"),
    v.double(1, 2),
    v.call("f", v.symbol("x")),
    v.Environment(),
    v.list_(v.character("deep"), v.pairlist(a=v.integer(1))),
    hash_table(v.Cell(v.NULL, v.integer(1))),
]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: type(key).__name__)
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("form", ["xdr", "native", "ascii"])
def test_round_trip(key: RValue, version: int, form: rinterop.serialize.forms.FormName) -> None:
    marked = v.Cell(v.integer(2), key, v.attributes_of(mark=v.character("of a cell")))
    table = hash_table(v.Cell(v.integer(1), key), marked, v.Cell(v.NULL))
    data = rinterop.dumps(v.named_list(h=table), version=version, form=form)
    again = rinterop.loads(data)
    assert again == v.named_list(h=table)
    assert rinterop.dumps(again, version=version, form=form) == data
    walk(data)
    if form != "ascii":
        assert outline(data).names == ("h",)


def test_elsewhere_a_tag_is_a_symbol() -> None:
    """R's `as.list()` of any other pairlist with such a tag is a segmentation fault."""
    keyed = v.PairList((v.Cell(v.integer(1), v.character("key")),))
    table = hash_table(*keyed.cells)
    data = rinterop.dumps(table)
    pointer, buckets = table[0], chains(table)[0]
    assert buckets == keyed
    bare = rinterop.dumps(v.NULL)[:-4] + data[data.index(b"\0\0\4\2") :]
    for read in (rinterop.loads, walk, outline):
        with pytest.raises(rinterop.DecodeError):
            read(bare)

    misplaced = v.ExternalPointer()
    misplaced.tag = v.list_(keyed)  # in the other slot
    deeper = v.ExternalPointer()
    deeper.protected = v.list_(v.list_(keyed))
    for value in (keyed, v.list_(keyed), v.Call(keyed.cells), misplaced, deeper):
        with pytest.raises(rinterop.EncodeError, match="a tag that is no symbol"):
            rinterop.dumps(value)
    assert isinstance(pointer, v.ExternalPointer)
    pointer.protected = v.List((v.Call(keyed.cells),))  # a call among the pairlists
    with pytest.raises(rinterop.EncodeError, match="a tag that is no symbol"):
        rinterop.dumps(table)


@pytest.mark.needs_r
def test_r_reads_what_we_write(tmp_path: Path) -> None:
    for name in ("hashtab_keys", "hashtab_nested"):
        value = rinterop.loads((DATA / f"{name}.3x.bin").read_bytes())
        (tmp_path / name).write_bytes(rinterop.dumps(value))
    ours = hash_table(v.Cell(v.double(1), v.character("a")))
    ours_at = tmp_path / "ours"
    ours_at.write_bytes(rinterop.dumps(ours))
    said = run_r([
        f"read <- function(name) unserialize(readBin(file.path('{tmp_path}', name), 'raw', 1e6))",
        "if (!exists('hashtab', asNamespace('utils'))) { cat('too old'); quit() }",
        # The first look into a table after unserialize() is wrong as often as not with R 4.2.2.
        "touched <- function(table) { table[['nothing']]; table }",
        "h <- touched(read('hashtab_keys'))",
        "stopifnot(utils::numhash(h) == 7, h[['a']] == 1, h[[c(x = 1, y = 2)]] == 'two')",
        "stopifnot(is.null(h[[quote(f(x, n = 3)), 'none']]), h[[NULL]] == 3, identical(h[[quote(sym)]],sum))",
        "stopifnot(identical(h[[list(1, 'b')]], list(TRUE, NA)), h[[globalenv()]] == quote(g(y)))",
        "n <- read('hashtab_nested'); inner <- NULL",
        "stopifnot(utils::numhash(n$h) == 3)",
        "utils::maphash(n$h, function(key, value) if (inherits(key, 'hashtab')) inner <<- key)",
        "stopifnot(identical(touched(inner)[['k']], n$h), identical(n$again, n$h))",
        "o <- touched(read('ours'))",
        "o[['b']] <- 2; stopifnot(o[['a']] == 1, o[['b']] == 2, utils::numhash(o) == 2)",
        "cat('fine')",
    ])  # fmt: skip
    assert said in ("fine", "too old")
