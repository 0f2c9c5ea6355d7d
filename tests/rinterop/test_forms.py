"""The native and the text forms: the bytes are R's."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

import rinterop
from rinterop import EncodeError, RValue
from rinterop import values as v
from rinterop.serialize import read_header
from rinterop.serialize.forms import FormName
from rinterop.serialize.header import Header
from tests.rinterop.recordings import Recording, golden, recordings
from tests.rinterop.rscript import run_r
from tests.rinterop.test_writer import VALUES

FORMS: tuple[FormName, ...] = get_args(FormName)
FORM_OF_RECORDING: dict[str, FormName] = {
    "xdr": "xdr",
    "native-le": "native",
    "ascii": "ascii",
    "asciihex": "asciihex",
}


def rewritten(data: bytes, form: FormName) -> bytes:
    return rinterop.dumps(rinterop.loads(data, mmap="keep"), header=read_header(data), form=form)


def check_bytes(recording: Recording) -> None:
    data = recording.read()
    if recording.name == "dbl_extreme" and recording.form == "ascii":
        # R rounds the largest double up to 16 digits, and so reads its own text as infinity.
        assert b"1.797693134862316e+308" in data
        assert b"Inf" in rewritten(data, "ascii")
        return
    assert rewritten(data, FORM_OF_RECORDING[recording.form]) == data


@pytest.mark.parametrize("recording", recordings(), ids=lambda one: one.path.stem)
def test_written_back_byte_for_byte(recording: Recording) -> None:
    check_bytes(recording)


@pytest.mark.skipif(not golden(), reason="PYDOREDIS_GOLDEN does not name the directory of the whole corpus")
def test_whole_corpus_in_every_form() -> None:
    for folder in golden():
        for recording in recordings(folder):
            check_bytes(recording)


SERIALIZE: dict[FormName, str] = {
    "xdr": "",
    "native": ", xdr = FALSE",
    "ascii": ", ascii = TRUE",
    "asciihex": ", ascii = NA",
}


@pytest.mark.needs_r
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_new_values_are_written_as_r_writes_them(form: FormName, version: int) -> None:
    arguments = f"NULL{SERIALIZE[form]}, version = {version}"
    program = [f"cat(as.character(serialize({expression}, {arguments})), '\\n')" for expression in VALUES]
    for (expression, value), line in zip(VALUES.items(), run_r(program).splitlines(), strict=True):
        theirs = bytes.fromhex(line)
        header = read_header(theirs)  # another R names its own version
        assert rinterop.dumps(value, header=header, form=form) == theirs, expression


@pytest.mark.parametrize(
    ("number", "decimal", "hexadecimal"),
    [
        (0.0, b"0", b"0x0p+0"),
        (-0.0, b"-0", b"-0x0p+0"),
        (1.0, b"1", b"0x1p+0"),
        (0.1, b"0.1", b"0x1.999999999999ap-4"),
        (1 / 3, b"0.3333333333333333", b"0x1.5555555555555p-2"),
        (-1.5e300, b"-1.5e+300", None),
        (5e-324, b"4.940656458412465e-324", b"0x0.0000000000001p-1022"),
        (float("nan"), b"NaN", b"NaN"),
        (float("-inf"), b"-Inf", b"-Inf"),
        (2.0**53, b"9007199254740992", b"0x1p+53"),
    ],
)
def test_doubles_as_words(number: float, decimal: bytes, hexadecimal: bytes | None) -> None:
    value = v.double(number)
    assert rinterop.dumps(value, form="ascii").split()[-1] == decimal
    exact = rinterop.dumps(value, form="asciihex")
    assert exact.split()[-1] == hexadecimal or hexadecimal is None
    assert rinterop.loads(exact) == value


def test_words_of_text() -> None:
    value = v.character("a b\n\t\v\b\r\f\a\\?'\"\x7fé", None, "")
    data = rinterop.dumps(value, form="ascii")
    assert rb"""a\040b\n\t\v\b\r\f\a\\\?\'\"\177\303\251""" in data
    assert rinterop.loads(data) == value
    assert rinterop.dumps(v.integer(None, -5), form="ascii").endswith(b"13\n2\nNA\n-5\n")
    assert rinterop.dumps(v.raw(b"\x00\xfe"), form="ascii").endswith(b"24\n2\n00\nfe\n")


def test_native_keeps_the_bits_of_nans() -> None:
    bits = np.array([0x7FF0_0000_0000_07A2, 0x7FF8_DEAD_0000_0001, 0xFFF0_0000_0000_0001], np.uint64)
    value = v.Double(bits.view(np.float64))
    data = rinterop.dumps(value, form="native")
    assert data.endswith(bits.tobytes())
    assert rinterop.loads(data) == value


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("form", FORMS)
def test_round_trip(value: RValue, form: FormName) -> None:
    for version in (2, 3):
        assert rinterop.loads(rinterop.dumps(value, version=version, form=form)) == value


def test_the_header_has_the_form() -> None:
    value = v.double(0.1)
    assert rinterop.dumps(value, header=Header(magic=b"A\n")) == rinterop.dumps(value, form="ascii")
    with pytest.raises(EncodeError, match="no form"):
        rinterop.dumps(value, header=Header(magic=b"Z\n"))
    exact = rinterop.dumps(value, header=Header(magic=b"A\n"), form="asciihex")
    assert exact == rinterop.dumps(value, form="asciihex")


def test_version_2_expands_compact_vectors() -> None:
    def sequence(length: float) -> v.Altrep:
        return v.Altrep(v.symbol("compact_intseq"), v.symbol("base"), 13, v.double(length, 1, 1))

    assert rinterop.dumps(sequence(3), version=2) == rinterop.dumps(v.integer(1, 2, 3), version=2)
    with pytest.raises(EncodeError, match="ALTREP"):
        rinterop.dumps(sequence(2e9), version=2)


def test_no_such_form() -> None:
    with pytest.raises(ValueError, match="asciihex"):
        rinterop.dumps(v.NULL, form="json")  # type: ignore[arg-type]


MANY_STRINGS: dict[str, tuple[str | v.NAType, ...]] = {
    "ASCII": tuple(f"text {i}" for i in range(3000)),
    "empty": ("",) * 3000,
    "one missing": (*(f"{i}" for i in range(3000)), v.NA),
    "one not ASCII": (*(f"{i}" for i in range(3000)), "é"),
    "one in latin1": (v.RText(b"\xe9", 4), *(f"{i}" for i in range(3000))),
}


@pytest.mark.parametrize("texts", MANY_STRINGS.values(), ids=MANY_STRINGS)
@pytest.mark.parametrize("form", FORMS)
def test_long_character_vectors(texts: tuple[str | v.NAType, ...], form: FormName) -> None:
    whole = rinterop.dumps(v.list_(v.Character(texts), v.integer(1)), form=form)
    assert rinterop.loads(whole) == v.list_(v.Character(texts), v.integer(1))
    if form in ("xdr", "native"):
        # Element by element: what is not done at once when there are only a few.
        pieces = b"".join(rinterop.dumps(v.Character((text,)), form=form)[31:] for text in texts)
        assert whole[39 : 39 + len(pieces)] == pieces
        for size in (len(whole) - 30, 2000):
            with pytest.raises(rinterop.DecodeError):
                rinterop.loads(whole[:size])


@pytest.mark.parametrize("form", ["xdr", "native"])
def test_a_long_character_vector_with_one_bad_string(form: FormName) -> None:
    whole = rinterop.dumps(v.Character(tuple(f"text {i}" for i in range(3000))), form=form)
    for good, bad in ((b"text 1234", b"text\x001234"), (b"\x09\0\x04\0", b"\x0d\0\x04\0")):
        good, bad = (good[::-1], bad[::-1]) if form == "xdr" and len(good) == 4 else (good, bad)
        assert good in whole
        with pytest.raises(rinterop.DecodeError):
            rinterop.loads(whole.replace(good, bad, 1))
