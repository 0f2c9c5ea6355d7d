"""Bits of flags words that R ignores, as R 1.x left them in its files, and line ends that it ignores."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rinterop
from rinterop import values as v
from rinterop.serialize import constants as c
from rinterop.serialize import outline, walk
from tests.rinterop.recordings import recordings
from tests.rinterop.rscript import run_r
from tests.rinterop.test_malformed import HEAD, SYMBOL_A, altrep, doubles, words

TAG, UNUSED, HIGH = 1 << 10, 1 << 11, 0b0101 << 28
ALL = TAG | UNUSED | HIGH
CHAR_A = words(0x40009, 1) + b"a"


def char(bits: int) -> bytes:
    return words(0x40009 | bits, 1) + b"a"


# With the bits, and as R writes it.
IGNORED = {
    "integer": (words(13 | ALL, 1, 5), words(13, 1, 5)),
    "double": (words(14 | ALL) + doubles(1)[4:], doubles(1)),
    "raw": (words(24 | ALL, 1) + b"x", words(24, 1) + b"x"),
    "strings": (words(16 | ALL, 2) + char(ALL) + CHAR_A, words(16, 2) + CHAR_A + CHAR_A),
    "list": (words(19 | ALL, 1, 254), words(19, 1, 254)),
    "marker": (words(254 | ALL | 0x300), words(254)),
    "elements": (words(19, 1, 254 | ALL | 0x300), words(19, 1, 254)),
    "symbol": (words(1 | ALL | 0x300) + char(ALL), SYMBOL_A),
    "pairlist": (
        words(0x402 | UNUSED | HIGH) + words(1 | UNUSED) + char(0) + words(254 | 512, 254 | TAG),
        words(0x402) + SYMBOL_A + words(254, 254),
    ),
    "attributes": (
        words(13 | 512 | ALL, 1, 5, 0x402 | UNUSED) + SYMBOL_A + words(10 | TAG, 1, 1, 254 | ALL),
        words(13 | 512, 1, 5, 0x402) + SYMBOL_A + words(10, 1, 1, 254),
    ),
    "call": (words(6 | UNUSED) + SYMBOL_A + words(254 | TAG), words(6) + SYMBOL_A + words(254)),
    "closure": (
        words(0x403 | UNUSED, 253 | ALL, 254 | ALL, 14 | ALL) + doubles(2)[4:],
        words(0x403, 253, 254) + doubles(2),
    ),
    "S4": (words(0x10019 | ALL), words(0x10019)),
    "namespace": (
        words(249 | ALL, 0, 1) + words(0x40009 | ALL, 4) + b"base",
        words(249, 0, 1, 0x40009, 4) + b"base",
    ),
    "builtin": (words(8 | ALL, 3) + b"sum", words(8, 3) + b"sum"),
    "ALTREP": (
        words(238 | 512 | ALL) + altrep(b"compact_intseq", 13, words(14 | ALL) + doubles(3, 1, 1)[4:])[4:],
        altrep(b"compact_intseq", 13, doubles(3, 1, 1)),
    ),
    "wrapper": (
        altrep(b"wrap_integer", 13, words(2 | HIGH, 13 | TAG, 1, 5, 13 | UNUSED, 2, 1, 1)),
        altrep(b"wrap_integer", 13, words(2, 13, 1, 5, 13, 2, 1, 1)),
    ),
}
# Environments, which R compares by reference.
ENVIRONMENTS = {
    "environment": (
        words(4 | ALL | 0x300, 0, 242 | TAG, 254 | TAG, 19 | ALL, 1, 254 | TAG, 254 | TAG),
        words(4, 0, 242, 254, 19, 1, 254, 254),
    ),
    "pointer": (words(22 | ALL, 254, 254), words(22, 254, 254)),
    "weak reference": (words(23 | ALL), words(23)),
}
# gp bits of strings other than marks: dropped like the rest.
TEXTS = {"R 1.x": 0x1000, "kept in a cache": 0x20000}


@pytest.mark.parametrize("name", [*IGNORED, *ENVIRONMENTS])
def test_what_r_ignores_is_ignored(name: str) -> None:
    marked, plain = (IGNORED | ENVIRONMENTS)[name]
    assert rinterop.loads(HEAD + marked) == rinterop.loads(HEAD + plain)
    assert rinterop.dumps(rinterop.loads(HEAD + marked)) == HEAD + plain
    walk(HEAD + marked)
    assert outline(HEAD + marked)._replace(end=0) == outline(HEAD + plain)._replace(end=0)


@pytest.mark.parametrize("bits", TEXTS.values(), ids=TEXTS)
def test_marks_of_strings(bits: int) -> None:
    old = rinterop.loads(HEAD + words(16, 1, 9 | bits, 1) + b"a")
    assert old == v.character("a")
    assert rinterop.dumps(old) == HEAD + words(16, 1, 9, 1) + b"a"
    plain = rinterop.loads(HEAD + words(16, 1, 0x40009 | bits, 1) + b"a")
    assert type(plain[0]) is str  # type: ignore[index]  # a character vector


@pytest.mark.needs_r
def test_r_ignores_the_same(tmp_path: Path) -> None:
    program = []
    for index, (marked, plain) in enumerate(IGNORED.values()):
        for which, body in (("a", marked), ("b", plain)):
            (tmp_path / f"{which}{index}").write_bytes(HEAD + body)
    program.append("read <- function(x) unserialize(readBin(x, 'raw', 1e4))")
    program += [
        f"cat(identical(read('{tmp_path}/a{index}'), read('{tmp_path}/b{index}')), '')"
        for index in range(len(IGNORED))
    ]
    answers = dict(zip(IGNORED, run_r(program).split(), strict=True))
    assert [name for name, answer in answers.items() if answer != "TRUE"] == []


@given(st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_heeded_bits(code: int, word: int) -> None:
    flags = word & ~0xFF | code
    heeded = c.heeded(flags)
    assert heeded & 0xFF == code
    assert c.heeded(heeded) == heeded
    assert flags | heeded == flags


def with_lines_of_windows(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def test_lines_of_windows_in_the_ascii_form() -> None:
    for form in ("ascii", "asciihex"):
        for one in recordings(form=form):
            data = one.read()
            assert rinterop.loads(with_lines_of_windows(data)) == rinterop.loads(data)
            assert rinterop.loads(b"\n" + data) == rinterop.loads(data)
            walk(with_lines_of_windows(data))


@pytest.mark.needs_r
def test_r_reads_lines_of_windows(tmp_path: Path) -> None:
    value = v.named_list(x=v.double(1.5, None), text=v.character("a\r\n b", "é", ""))
    data = rinterop.dumps(value, form="ascii")
    (tmp_path / "plain.rds").write_bytes(data)
    (tmp_path / "windows.rds").write_bytes(with_lines_of_windows(data))
    assert rinterop.read_rds(tmp_path / "windows.rds") == value
    found = run_r([f"setwd('{tmp_path}')", "cat(identical(readRDS('plain.rds'), readRDS('windows.rds')))"])
    assert found == "TRUE"
