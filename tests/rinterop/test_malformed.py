"""Bytes that R did not write. Whatever they are: DecodeError, soon, and in little memory."""

from __future__ import annotations

import io
import struct
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rinterop
from rinterop import DecodeError, UnexpectedEnd
from rinterop import values as v
from rinterop.serialize import outline, walk
from tests.rinterop.recordings import recordings
from tests.rinterop.test_forms import FORMS


def words(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}i", *numbers)


def doubles(*numbers: float) -> bytes:
    return words(14, len(numbers)) + struct.pack(f">{len(numbers)}d", *numbers)


HEAD = b"X\n" + words(3, 0x00040202, 0x00030500, 5) + b"UTF-8"
NIL = words(254)
SYMBOL_A = words(1, 0x00040009, 1) + b"a"


def symbol(name: bytes) -> bytes:
    return words(1, 0x00040009, len(name)) + name


def altrep(name: bytes, code: int, state: bytes, package: bytes = b"base") -> bytes:
    info = words(2) + symbol(name) + words(2) + symbol(package) + words(2, 13, 1, code, 254)
    return words(238) + info + state + NIL


MALFORMED = {
    "type 0": words(0),
    "class reference": words(245, 0, 0),
    "negative length": words(13, -2),
    "length beyond the end": words(13, 1000, 1),
    "long length beyond the end": words(13, -1, 1, 0),
    "impossible long length": words(13, -1, 65537, 0),
    "string that is no CHAR": words(16, 1, 13, 1),
    "string length": words(16, 1, 9, -2),
    "string with a NUL": words(16, 1, 0x40009, 3) + b"a\0b",
    "symbol without CHAR": words(1, 13, 1, 5),
    "symbol without a name": symbol(b""),
    "symbol NA": words(1, 9, -1),
    "symbol too long": symbol(b"x" * 10_001),
    "builtin of no length": words(8, 0),
    "builtin of R's crash": words(8, 2**30),
    "builtin name length -1": words(8, -1),
    "reference to nothing": words(0x1FF),
    "reference out of range, unpacked": words(19, 2) + SYMBOL_A + words(255, 2),
    "attributes that are no pairlist": words(13 | 512, 1, 5, 13, 1, 7),
    "attributes that end in a number": words(13 | 512, 0, 0x402) + SYMBOL_A + words(254, 13, 0),
    "attributes that end in a call": words(13 | 512, 0, 0x402) + SYMBOL_A + words(254, 6, 254, 254),
    "call that ends in a string": words(6) + SYMBOL_A + words(9, -1),
    "tag that is no symbol": words(2 | 1024, 13, 1, 3, 13, 1, 1, 254),
    "environment in an integer": words(4, 0, 13, 1, 5, 254, 254, 254),
    "frame that is no pairlist": words(4, 0, 242, 13, 1, 5, 254, 254),
    "hash table of size 0": words(4, 0, 242, 254, 19, 0, 254),
    "hash table of integers": words(4, 0, 242, 254, 13, 1, 5, 254),
    "bucket that is no pairlist": words(4, 0, 242, 254, 19, 1, 13, 1, 5, 254),
    "formals that are no pairlist": words(3 | 1024, 253, 13, 1, 5, 254),
    "sequence too long": altrep(b"compact_intseq", 13, doubles(1e18, 1, 1)),
    "sequence of negative length": altrep(b"compact_intseq", 13, doubles(-5, 1, 1)),
    "sequence of NaN": altrep(b"compact_realseq", 14, doubles(float("nan"), 1, 1)),
    "sequence with step 2": altrep(b"compact_intseq", 13, doubles(3, 1, 2)),
    "sequence beyond integers": altrep(b"compact_intseq", 13, doubles(3, 2147483646, 1)),
    "sequence of fractions": altrep(b"compact_intseq", 13, doubles(3, 1.5, 1)),
    "sequence with short state": altrep(b"compact_intseq", 13, doubles(3, 1)),
    "sequence of another type": altrep(b"compact_intseq", 14, doubles(3, 1, 1)),
    "wrapper around NULL": altrep(b"wrap_integer", 13, words(2, 254, 13, 2, 1, 1)),
    "wrapper in a list": altrep(b"wrap_integer", 13, words(19, 2, 254, 13, 2, 1, 1)),
    "wrapper of another type": altrep(b"wrap_integer", 13, words(2) + doubles(1) + words(13, 2, 1, 1)),
    "wrapper without flags": altrep(b"wrap_integer", 13, words(2, 13, 1, 5, 254)),
    "deferred string of NULL": altrep(b"deferred_string", 16, NIL),
    "deferred string of a list": altrep(b"deferred_string", 16, words(2, 19, 1, 254, 13, 1, 0)),
    "deferred string without scipen": altrep(b"deferred_string", 16, words(2, 13, 1, 5, 254)),
    "mapped file": altrep(
        b"mmap_real",
        14,
        words(2, 16, 1, 0x40009, 1) + b"f" + words(2) + doubles(8, 1) + words(2, 13, 4, 14, 1, 0, 1, 254),
    ),
    "ALTREP without a class": words(238, 254, 254, 254),
    "shared call out of range": words(21, 1, 13, 1, 12, 1, 243, 5),
    "shared call before its definition": words(21, 1, 13, 1, 12, 1, 243, 0),
    "shared call defined out of range": words(21, 1, 13, 1, 12, 1, 244, 5, 6, 254, 0, 254, 0, 254),
    "shared calls beyond the end": words(21, 2**30, 13, 1, 12, 0),
    "constants beyond the end": words(21, 0, 13, 1, 12, 2**30),
    "object without attributes": words(19 | 256, 0),
    "object without a class": words(19 | 768, 0, 0x402) + symbol(b"names") + words(16, 0, 254),
    "object with a number for a class": words(19 | 768, 0, 0x402) + symbol(b"class") + words(13, 1, 5, 254),
    "namespace of many strings": words(249, 0, 2**30),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_refused_by_all(body: bytes) -> None:
    for reader in (rinterop.loads, walk, outline):
        with pytest.raises(DecodeError) as caught:
            reader(HEAD + body)
        assert 0 <= caught.value.offset <= len(HEAD + body) + 8
        assert caught.value.cause in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"X",
        b"Z\n" + HEAD[2:] + NIL,
        b"X\r\n" + HEAD[2:] + NIL,
        b"RDX3\n" + HEAD + NIL,
        b"\x1f\x8b\x08" + b"\0" * 50,
        b"X\n" + words(4, 0, 0) + NIL,
        b"B\n" + HEAD[2:] + NIL,
        b"X\n" + words(3, 0, 0, -1) + NIL,
        b"X\n" + words(3, 0, 0, 64) + b"x" * 64 + NIL,
    ],
)
def test_no_stream_of_r(data: bytes) -> None:
    for reader in (rinterop.loads, walk, outline):
        with pytest.raises(DecodeError):
            reader(data)


ASCII_HEAD = b"A\n3\n262658\n197888\n5\nUTF-8\n"


@pytest.mark.parametrize(
    "body",
    [
        b"13\n1\n99999999999\n",
        b"13\n1\n" + b"9" * 100_000,
        b"13\n1\nabc\n",
        b"14\n1\n1_0\n",
        b"14\n1\n1e5e5\n",
        b"14\n1\n0x1.zp0\n",
        b"14\n1\n0x1p99999\n",
        b"14\n2147483647\n1\n",
        b"14\n1\n\xd9\xa1\n",
        b"24\n1\nzz\n",
        b"16\n1\n262153\n1\n\\777\n",
        b"16\n1\n262153\n1\n\\q\n",
        b"16\n1\n262153\n3\na\\",
        b" " * 100_000,
    ],
)
def test_malformed_ascii(body: bytes) -> None:
    for reader in (rinterop.loads, walk):
        with pytest.raises(DecodeError):
            reader(ASCII_HEAD + body)


def test_every_beginning_of_a_stream_is_too_short() -> None:
    for name in ("list_named", "env_self", "bc_simple", "alt_wrap_chr", "s4_simple", "msg_task"):
        data = next(one for one in recordings(form="xdr") if one.name == name).read()
        for size in range(len(data)):
            for reader in (rinterop.loads, walk, outline):
                with pytest.raises(DecodeError):
                    reader(data[:size])
        with pytest.raises(UnexpectedEnd):
            rinterop.loads(data[:-2])


@pytest.mark.parametrize(
    "unit", [words(19, 1), words(6), words(4, 0), words(3), words(238), words(22), words(13 | 512, 0, 2)]
)
def test_depth_is_limited(unit: bytes) -> None:
    data = HEAD + unit * 200_000
    for reader in (rinterop.loads, walk, outline):
        with pytest.raises(DecodeError):
            reader(data)


def test_deep_values_live_and_die() -> None:
    depth = 120_000
    data = HEAD + words(19, 1) * depth + NIL
    value = rinterop.loads(data, max_depth=depth + 1)
    assert rinterop.dumps(value) == data
    assert value == rinterop.loads(data, max_depth=depth + 1)
    assert repr(value) == "List(List(List(List(...))))"
    del value
    with pytest.raises(DecodeError, match="100000 levels"):
        rinterop.loads(data)
    with pytest.raises(DecodeError, match="15000 levels"):
        walk(data)


def test_a_long_pairlist_is_read_but_kept_from_r() -> None:
    data = HEAD + words(2, 254) * 30_000 + NIL
    value = rinterop.loads(data)
    assert isinstance(value, v.PairList)
    assert len(value) == 30_000
    with pytest.raises(DecodeError, match="levels deep"):
        walk(data)
    walk(data, max_depth=40_000)
    walk(HEAD + words(2, 254) * 14_000 + NIL)


def test_a_mapped_file_is_kept_on_request() -> None:
    value = rinterop.loads(HEAD + MALFORMED["mapped file"], mmap="keep")
    assert isinstance(value, v.Altrep)
    with pytest.raises(rinterop.ExpansionError):
        value.expand()


def accepts(reader: object, data: bytes) -> bool:
    try:
        reader(data)  # type: ignore[operator]
    except DecodeError:
        return False
    return True


def check_agreement(data: bytes) -> None:
    """All readers are of one mind, nothing but DecodeError comes out, and what they read can be written."""
    readable = accepts(rinterop.loads, data)
    assert accepts(walk, data) == readable
    if readable:
        value = rinterop.loads(data)
        for form in FORMS:
            written = rinterop.dumps(value, form=form)
            again = rinterop.loads(written)
            # Text has but one NaN, and the ascii form rounds doubles, the largest to infinity.
            assert again == value or form in ("ascii", "asciihex")
            assert rinterop.dumps(again, form=form) == written or form == "ascii"
    accepts(outline, data)
    for read, content in ((rinterop.read_rds, data), (rinterop.read_rda, b"RDX3\n" + data)):
        with suppress(DecodeError):
            read(io.BytesIO(content))


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for head in (b"", HEAD, b"B\n", ASCII_HEAD):
        with suppress(DecodeError):
            rinterop.loads(head + data)
        with suppress(DecodeError):
            walk(head + data)


SEEDS = [one.read() for one in recordings() if one.path.stat().st_size < 3000 and one.name != "alt_mmap"]
WORDS = (-1, -2, 2**31 - 1, -(2**31), 0, 1, 2, 21, 238, 254, 255, 0x1FF, 0x2FF, 2**20, 0x402, 0x200)


@pytest.mark.slow
@settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), st.data())
def test_damaged_recordings(data: bytes, choose: st.DataObject) -> None:
    place = choose.draw(st.integers(0, len(data) - 1))
    damaged = bytearray(data)
    match choose.draw(st.sampled_from(["cut", "flip", "word", "delete", "repeat"])):
        case "cut":
            del damaged[place:]
        case "flip":
            damaged[place] ^= 1 << choose.draw(st.integers(0, 7))
        case "word":
            number = choose.draw(st.sampled_from(WORDS))
            # As each form spells it: the place may be anywhere, also in the middle of a word.
            spelled = (words(number), struct.pack("<i", number), b"\n%d\n" % number)
            damaged[place : place + 4] = choose.draw(st.sampled_from(spelled))
        case "delete":
            del damaged[place : place + choose.draw(st.sampled_from([1, 4, 8, 40]))]
        case "repeat":
            damaged[place:place] = damaged[place : place + choose.draw(st.sampled_from([4, 8, 40]))]
    check_agreement(bytes(damaged))


WORD_SOUP = st.lists(
    st.sampled_from([*range(26), *range(238, 256), 0x1FF, 0x2FF, 0x209, 0x40009, 0x402, 0x202, 0x30D, -1]),
    max_size=40,
)


@settings(max_examples=300)
@given(WORD_SOUP)
def test_words_of_the_format_in_any_order(soup: list[int]) -> None:
    check_agreement(HEAD + words(*soup))
