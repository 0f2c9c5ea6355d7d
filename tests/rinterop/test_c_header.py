"""The numbers that the compiled helper uses are those of the Python code."""

from __future__ import annotations

from pathlib import Path

from rinterop.serialize import c_header, constants, grammar
from rinterop.values import altrep

HEADER = Path(__file__).parents[2] / "csrc" / "codes.h"


def test_the_header_is_what_the_script_makes() -> None:
    made = c_header.header()
    assert HEADER.read_text(encoding="ascii") == made, "python -m rinterop.serialize.c_header csrc/codes.h"


def test_it_has_every_type_that_the_grammar_knows() -> None:
    known = {code for code in range(256) if grammar.ANY[code] != grammar.REFUSE}
    codes = c_header.type_codes()
    assert known <= set(codes.values())
    assert len(set(codes.values())) == len(codes)
    assert codes["CHAR"] == constants.CHAR
    assert not {"GP_SHIFT", "GP_MASK", "MAX_ENCODING"} & set(codes)


def test_it_has_every_wrapper() -> None:
    assert c_header.wrappers().keys() == altrep.WRAPPERS.keys()
    assert c_header.wrappers()["wrap_real"] == "REAL"
