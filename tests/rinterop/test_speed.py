"""The compiled helper: it gives what Python gives, leaks nothing, and leaves the collector as it was."""

from __future__ import annotations

import gc
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

import rinterop
from rinterop import DecodeError, EncodeError, RValue
from rinterop import values as v
from rinterop.serialize import Outline, outline, read_header, speed, walk
from rinterop.serialize.speed import Compiled
from tests.rinterop.conftest import HELPER
from tests.rinterop.recordings import golden, recordings

pytestmark = pytest.mark.skipif(HELPER is None, reason="rinterop._speed is not built, or switched off")

MAX_DEPTH = 15_000


@pytest.fixture(scope="module", autouse=True, params=["both"])
def serializer() -> str:
    """Here both are used in the same tests."""
    return "both"


@pytest.fixture
def helper() -> Compiled:
    assert HELPER is not None
    return HELPER


def in_python(function: Callable[[], object]) -> object:
    """What `function` gives without the helper."""
    before, speed.compiled = speed.compiled, None
    try:
        return function()
    finally:
        speed.compiled = before


def binary_recordings() -> list[bytes]:
    """All streams in binary forms, of the whole corpus if it is here."""
    folders = golden()
    found = [one for folder in folders for one in recordings(folder)] if folders else recordings()
    return [one.read() for one in found if not one.form.startswith("ascii")]


def header_of(data: bytes) -> bytes:
    header = read_header(data)
    return data[: 14 if header.encoding is None else 18 + len(header.encoding)]


def test_takes_all_that_r_writes(helper: Compiled) -> None:
    for data in binary_recordings():
        value = helper.loads(data, True, MAX_DEPTH)
        assert value is not None
        assert value == in_python(lambda data=data: rinterop.loads(data, mmap="keep"))  # type: ignore[misc]
        assert helper.dumps(value, header_of(data), read_header(data).version) == data
        sound = helper.walk(data, MAX_DEPTH)
        assert sound or b"mmap_" in data
        if sound:
            shape = helper.outline(data, 16, MAX_DEPTH, Outline)
            assert shape == in_python(lambda data=data: outline(data, 16))  # type: ignore[misc]


def test_what_is_malformed_is_left_to_python(helper: Compiled) -> None:
    for data in [
        b"",
        b"X",
        b"X\n",
        b"A\n2\n",
        b"X\n" + bytes(12),
        *(d[:-1] for d in binary_recordings()[:50]),
    ]:
        assert helper.loads(data, False, MAX_DEPTH) is None
        assert helper.walk(data, MAX_DEPTH) is None
        assert helper.outline(data, 2, MAX_DEPTH, Outline) is None


def test_arguments_are_checked(helper: Compiled) -> None:
    for function in (helper.loads, helper.dumps, helper.walk, helper.outline):
        with pytest.raises(TypeError):
            function()  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            function(bytearray(b"X\n"), None, None, None)  # type: ignore[call-arg, arg-type]
    with pytest.raises(ValueError, match="levels"):
        helper.outline(rinterop.dumps(v.NULL), 17, MAX_DEPTH, Outline)


ODD_VALUES: dict[str, RValue] = {
    "every second element": v.Integer(np.arange(10, dtype=np.int32)[::2]),
    "other byte order": v.Double(np.arange(3, dtype=">f8")),
    "unaligned": v.Integer(np.frombuffer(b"x" + bytes(range(8)), np.int32, 2, 1)),
    "matrix": v.Integer(np.arange(4, dtype=np.int32).reshape(2, 2)),
    "str of NumPy": v.Character((np.str_("a"),)),
    "list for a tuple": v.Character(["a"]),  # type: ignore[arg-type]
    "bytearray": v.Raw(bytearray(b"ab")),  # type: ignore[arg-type]
    "text of all sizes": v.character("a", "é", "日", "😀", "", None),
    "version 2 of an ALTREP form": v.Altrep(
        v.symbol("compact_intseq"), v.symbol("base"), 13, v.double(3, 1, 1)
    ),
    "list that says it is an object": v.List((), is_object=True),
    "gp bits": v.List((v.Integer(np.zeros(1, np.int32), gp=0x10),), gp=0xFFFF),
    "gp bits beyond": v.List((), gp=0x10000),
    "attributes that are no pairlist": v.List((), attributes=v.integer(1)),  # type: ignore[arg-type]
    "class that is none": v.List((), attributes=v.attributes_of(klass=v.character("a"))),
    "surrogates": v.character("\ud800"),
    "NUL": v.character("a\0b"),
    "no value": v.list_(1),  # type: ignore[arg-type]
    "name that is no text": v.Symbol(5),  # type: ignore[arg-type]
}


def outcome(function: Callable[[], object]) -> object:
    try:
        return function()
    except Exception as error:  # whichever it is: Python decides
        return type(error), str(error)


@pytest.mark.parametrize("value", ODD_VALUES.values(), ids=ODD_VALUES)
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("form", ["xdr", "native"])
def test_odd_values_are_written_as_python_does(value: RValue, version: int, form: str) -> None:
    def write() -> bytes:
        return rinterop.dumps(value, version=version, form=form)  # type: ignore[arg-type]

    assert outcome(write) == outcome(lambda: in_python(write))


def test_strings_equal_symbols_equal_but_marks_count() -> None:
    latin, utf8 = v.RText(b"\xe9", 4), "é"
    value = v.list_(
        v.Symbol(latin), v.Symbol(utf8), v.Symbol(latin), v.Symbol("é"), v.Symbol("b"), v.Symbol("b")
    )
    data = rinterop.dumps(value)
    assert data == in_python(lambda: rinterop.dumps(value))
    assert data.count(struct.pack(">i", 1) + b"\0") == 3  # two spellings of é, and b


def test_many_symbols_and_environments() -> None:
    environments = [v.Environment() for _ in range(3000)]
    symbols = [v.symbol(f"s{i}") for i in range(3000)]
    value = v.list_(*symbols, *environments, *reversed(environments), *(v.symbol(s.name) for s in symbols))
    data = rinterop.dumps(value)
    assert data == in_python(lambda: rinterop.dumps(value))
    again = rinterop.loads(data)
    assert isinstance(again, v.List)
    assert again[3000] is again[-3001]


def test_arrays_are_read_only_and_native_ones_are_views() -> None:
    numbers = v.Double(np.arange(1000.0))
    for form in ("xdr", "native"):
        data = rinterop.dumps(v.list_(numbers, v.raw(b"x"), numbers), form=form)
        for position in (0, 2):
            found = rinterop.loads(data)[position].values  # type: ignore[index]
            assert found.dtype == np.float64
            assert found.dtype.isnative
            assert not found.flags.writeable
            assert np.shares_memory(found, np.frombuffer(data, np.uint8)) == (form == "native")
            assert found.sum() == 499_500.0


def test_lists_share_their_attributes() -> None:
    rows = [v.named_list(id=v.integer(i), name=v.character("x"), value=v.double(i)) for i in range(4)]
    odd = [v.named_list(id=v.integer(i), name=v.character("x"), other=v.double(i)) for i in range(2)]
    value = v.list_(*rows, *odd, *rows)
    again = rinterop.loads(rinterop.dumps(value))
    assert isinstance(again, v.List)
    assert again == value
    assert again[1].attributes is again[2].attributes  # type: ignore[attr-defined]
    assert again[4].attributes is not again[3].attributes  # type: ignore[attr-defined]
    assert rinterop.dumps(again) == rinterop.dumps(value)


def test_equal_attribute_bytes_with_environments_stay_apart() -> None:
    # Each `new.env()` is one of its own, though their bytes are the same.
    values = [
        v.List((), attributes=v.attributes_of(names=v.character(), env=v.Environment())) for _ in range(4)
    ]
    again = rinterop.loads(rinterop.dumps(v.list_(*values)))
    assert isinstance(again, v.List)
    found = {id(item.attributes["env"]) for item in again}  # type: ignore[attr-defined]
    assert len(found) == 4


# -- memory


ONLY_ONCE = (None, True, False, v.NA, v.NULL, v.EMPTY_ENV, v.List, v.Cell, v.RText, Outline, "utf-8", ())
ROUNDS = 20


def growth(function: Callable[[], object]) -> list[int]:
    """By how much the blocks of memory, and the references to what is there once, grow in some rounds."""

    def census() -> list[int]:
        gc.collect()
        return [sys.getallocatedblocks(), *map(sys.getrefcount, ONLY_ONCE)]

    before = census()
    for _ in range(ROUNDS):
        function()
    return [after - then for after, then in zip(census(), before, strict=True)]


def check_no_growth(function: Callable[[], object]) -> None:
    """What leaks grows every time; caches of Python and NumPy fill and empty."""
    found = [growth(function) for _ in range(5)]
    assert all(min(kind) < ROUNDS for kind in zip(*found, strict=True)), found


SMALL = [
    one.read() for one in recordings() if not one.form.startswith("ascii") and one.path.stat().st_size < 6000
]


def test_nothing_is_left_by_reading_and_writing(helper: Compiled) -> None:
    def everything() -> None:
        for data in SMALL:
            value = helper.loads(data, True, MAX_DEPTH)
            assert value is not None
            helper.dumps(value, header_of(data), 3)
            helper.walk(data, MAX_DEPTH)
            helper.outline(data, 3, MAX_DEPTH, Outline)

    check_no_growth(everything)


def test_nothing_is_left_by_malformed_input(helper: Compiled) -> None:
    def everything() -> None:
        for data in SMALL:
            for place in range(14, len(data), max(1, len(data) // 40)):
                damaged = data[:place] + bytes([data[place] ^ 3]) + data[place + 1 :]
                for one in (data[:place], damaged):
                    helper.loads(one, True, 100)
                    helper.walk(one, 100)
                    helper.outline(one, 3, 100, Outline)

    check_no_growth(everything)


def test_nothing_is_left_by_what_cannot_be_written(helper: Compiled) -> None:
    values = [
        v.list_(v.list_(v.character("a" * 9000)), value, v.symbol("x")) for value in ODD_VALUES.values()
    ]

    def everything() -> None:
        for value in values:
            helper.dumps(value, b"X\n", 2)

    check_no_growth(everything)


def test_plain_data_are_kept_out_of_the_collectors_sight(helper: Compiled) -> None:
    value = helper.loads(rinterop.dumps(v.named_list(a=v.named_list(b=v.integer(1)))), False, 100)
    assert isinstance(value, v.List)
    assert not any(map(gc.is_tracked, (value, value.values, value.attributes, value[0], value[0].attributes)))  # type: ignore[attr-defined]


def test_cycles_are_collected(helper: Compiled) -> None:
    environment = v.Environment()
    function = v.Closure(v.NULL, v.call("f", v.symbol("x")), environment)
    environment.frame = v.pairlist(list=v.named_list(f=function), self=environment)
    data = rinterop.dumps(environment)

    def read() -> None:
        assert helper.loads(data, False, 100) is not None

    check_no_growth(read)


@pytest.mark.parametrize("with_helper", [True, False])
@pytest.mark.parametrize("size", [1, 3000])  # short streams are read without a pause
def test_the_garbage_collector_is_as_before(with_helper: bool, size: int) -> None:
    data = rinterop.dumps(v.list_(*[v.character("x")] * size, v.character(v.RText(b"\xe9", 4))))

    def use(work: Callable[[], object]) -> None:
        with suppress(DecodeError, EncodeError):
            work() if with_helper else in_python(work)

    for work in (
        lambda: rinterop.loads(data),
        lambda: rinterop.loads(data[:-1]),
        lambda: rinterop.dumps(v.list_(1)),  # type: ignore[arg-type]
    ):
        use(work)
        assert gc.isenabled()
        gc.disable()
        use(work)
        assert not gc.isenabled()
        gc.enable()


def test_threads() -> None:
    # latin1 strings are made by Python code, in which threads take turns.
    texts = v.Character(tuple(v.RText(b"%d \xe9" % i, 4) for i in range(200)))
    data = rinterop.dumps(v.list_(texts, *(v.named_list(a=v.integer(i)) for i in range(500))))
    expected = rinterop.loads(data)
    wrong: list[object] = []

    def work() -> None:
        for size in range(50):
            if rinterop.loads(data) != expected:
                wrong.append("value")
            with suppress(DecodeError):
                rinterop.loads(data[: 100 * size])
            if rinterop.dumps(expected) != data:
                wrong.append("bytes")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong
    assert gc.isenabled()


def test_depth_is_bounded_by_memory_alone(helper: Compiled) -> None:
    depth = 300_000
    header = b"X\n" + struct.pack(">4i", 3, 0x00040202, 0x00030500, 5) + b"UTF-8"
    data = header + struct.pack(">2i", 19, 1) * depth + struct.pack(">i", 254)
    value = helper.loads(data, False, depth + 1)
    assert helper.dumps(value, header, 3) == data  # type: ignore[arg-type]
    assert helper.walk(data, depth + 1)
    for limit in (depth - 1, 10**30):
        assert helper.loads(data, False, limit) is None
    with pytest.raises(DecodeError, match="levels"):
        walk(data)
