"""The outline of messages, as a worker's agent reads them."""

from __future__ import annotations

import struct

import pytest

import rinterop
from rinterop import DecodeError
from rinterop import values as v
from rinterop.serialize import Outline, outline
from tests.rinterop.recordings import recordings
from tests.rinterop.test_malformed import HEAD, words


def task(names: rinterop.RValue, *arguments: rinterop.RValue) -> v.List:
    return v.named_list(
        ID=v.character("job_1"), argsList=v.List(arguments, attributes=v.attributes_of(names=names))
    )


def deferred(numbers: rinterop.RValue) -> v.Altrep:
    state = v.PairList((v.Cell(numbers),), v.integer(0))
    return v.Altrep(v.symbol("deferred_string"), v.symbol("base"), 16, state)


SEQUENCE = v.Altrep(v.symbol("compact_intseq"), v.symbol("base"), 13, v.double(2, 4, 1))
WRAPPED = v.Altrep(
    v.symbol("wrap_string"),
    v.symbol("base"),
    16,
    v.PairList((v.Cell(v.character("4", "5")),), v.integer(1, 1)),
)


@pytest.mark.parametrize(
    "names",
    [
        v.character("4", "5"),
        deferred(v.integer(4, 5)),
        deferred(SEQUENCE),
        deferred(v.double(4, 5)),
        WRAPPED,
    ],
    ids=["plain", "deferred", "deferred sequence", "deferred doubles", "wrapped"],
)
def test_a_task(names: rinterop.RValue) -> None:
    first, second = v.named_list(j=v.double(1)), v.named_list([("j", v.double(2)), (".Random.seed", v.NULL)])
    data = rinterop.dumps(task(names, first, second))
    shape = outline(data)
    assert shape.names == ("ID", "argsList")
    assert shape.children is not None
    job, arguments = shape.children
    assert (job.text, job.children, job.names) == ("job_1", None, None)
    assert arguments.names == ("4", "5")
    assert arguments.children is not None
    assert [child.names for child in arguments.children] == [None, None]
    assert arguments.children[0].end == arguments.children[1].start
    assert (shape.start, shape.end) == (len(HEAD), len(data))
    # Symbols are written out at their first occurrence: here a slice can stand alone.
    assert rinterop.loads(HEAD + data[arguments.children[0].start : arguments.children[0].end]) == first
    assert outline(data, 3).children[1].children[1].names == ("j", ".Random.seed")  # type: ignore[index]


def test_two_deferred_names_share_their_class() -> None:
    inner = v.List((v.NULL,), attributes=v.attributes_of(names=deferred(v.integer(7))))
    shape = outline(rinterop.dumps(task(deferred(v.integer(1, None)), inner, inner)), 3)
    arguments = shape.children[1]  # type: ignore[index]
    assert arguments.names == ("1", "")
    assert [child.names for child in arguments.children or ()] == [("7",), ("7",)]


def test_depth() -> None:
    data = rinterop.dumps(v.named_list(a=v.list_(v.character("x"))))
    assert outline(data, 0) == Outline(None, None, None, len(HEAD), len(data))
    assert outline(data, 1).children[0].children is None  # type: ignore[index]
    assert outline(data, 2).children[0].children[0].text == "x"  # type: ignore[index]
    with pytest.raises(ValueError, match="0 to 16"):
        outline(data, 17)


@pytest.mark.parametrize(
    "value", [v.NULL, v.integer(1), v.character(None), v.character("a", "b"), v.call("f"), v.GLOBAL_ENV]
)
def test_no_list(value: rinterop.RValue) -> None:
    shape = outline(rinterop.dumps(value))
    assert (shape.names, shape.children, shape.text) == (None, None, None)


def test_text() -> None:
    assert outline(rinterop.dumps(v.character("é"))).text == "é"
    named = v.Character(("a",), attributes=v.attributes_of(names=v.character("n")))
    assert outline(rinterop.dumps(named)).text is None


def test_names_must_fit() -> None:
    misnamed = v.List((v.NULL,), attributes=v.attributes_of(names=v.character("a", "b")))
    with pytest.raises(DecodeError, match="2 names for 1 elements"):
        outline(rinterop.dumps(misnamed))
    huge = v.Altrep(v.symbol("compact_intseq"), v.symbol("base"), 13, v.double(1e9, 1, 1))
    with pytest.raises(DecodeError, match="names"):
        outline(rinterop.dumps(v.List((v.NULL,), attributes=v.attributes_of(names=deferred(huge)))))


def test_all_forms_of_a_message() -> None:
    data = next(one for one in recordings(form="xdr") if one.name == "msg_task").read()
    value = rinterop.loads(data)
    assert isinstance(value, v.List)
    expected = outline(data)
    assert expected.names == v.names(value)
    native = bytearray(b"B\n")
    native += struct.pack("<4i", 3, 0x00040202, 0x00030500, 5) + b"UTF-8"
    native += struct.pack("<2i", 19 | 512, 1) + struct.pack("<3i", 254, 0x402, 1)
    native += struct.pack("<2i", 0x40009, 5) + b"names" + struct.pack("<4i", 16, 1, 0x40009, 1) + b"a"
    native += struct.pack("<i", 254)
    assert outline(bytes(native)).names == ("a",)
    assert outline(memoryview(data)) == expected
    with pytest.raises(DecodeError, match="ascii"):
        outline(b"A\n3\n262658\n197888\n5\nUTF-8\n254\n")


def test_names_among_other_attributes() -> None:
    tagged = v.attributes_of(other=v.integer(1), names=v.character("a"), more=v.NULL)
    assert outline(rinterop.dumps(v.List((v.NULL,), attributes=tagged))).names == ("a",)
    cells = words(19 | 512, 1, 254, 2 | 512, 254, 254, 254)
    assert outline(HEAD + cells).names is None
