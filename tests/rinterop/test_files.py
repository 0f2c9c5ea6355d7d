"""Files of saveRDS and save: R's are read, ours are read by R."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rinterop
from rinterop import DecodeError, UnexpectedEnd
from rinterop import values as v
from rinterop.serialize import compression
from rinterop.serialize.compression import Compression, compressed, decompressed
from rinterop.serialize.forms import FormName
from tests.rinterop.rscript import run_r

COMPRESSIONS: tuple[Compression | None, ...] = (None, *get_args(Compression))
FORMS: tuple[FormName, ...] = get_args(FormName)
VALUE = v.named_list(x=v.integer(1, None), y=v.character("é", None), z=v.symbol("x"))
IN_R = 'list(x = c(1L, NA), y = c("\\u00e9", NA), z = as.name("x"))'


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize("form", FORMS)
def test_round_trip(tmp_path: Path, compress: Compression | None, form: FormName) -> None:
    file = tmp_path / "value.rds"
    for version in (2, 3):
        rinterop.write_rds(VALUE, file, compress=compress, form=form, version=version)
        assert rinterop.read_rds(file) == VALUE
        assert rinterop.read_rds(str(file)) == VALUE
        rinterop.write_rda({"a": VALUE, "b": v.NULL}, file, compress=compress, form=form, version=version)
        assert rinterop.read_rda(file) == {"a": VALUE, "b": v.NULL}


def test_open_files() -> None:
    file = io.BytesIO()
    rinterop.write_rds(VALUE, file)
    assert file.getvalue().startswith(b"\x1f\x8b")
    file.seek(0)
    assert rinterop.read_rds(file) == VALUE
    assert not file.closed


@pytest.mark.needs_r
def test_r_and_we_read_each_other(tmp_path: Path) -> None:
    ours: list[str] = []
    theirs: list[Path] = []
    program = [f"value <- {IN_R}; other <- 1:10"]
    for compress in COMPRESSIONS:
        for form in FORMS:
            if compress in (None, "gzip") or form == "xdr":
                name = f"{compress}-{form}"
                ours.append(name)
                rinterop.write_rds(VALUE, tmp_path / f"{name}.rds", compress=compress, form=form)
                rinterop.write_rda({"it": VALUE}, tmp_path / f"{name}.rda", compress=compress, form=form)
        kind = f"'{compress}'" if compress else "FALSE"
        for ascii_ in ("FALSE", "TRUE", "NA"):
            if ascii_ != "FALSE" and compress not in (None, "gzip"):
                continue
            for version in (2, 3):
                file = tmp_path / f"r-{compress}-{ascii_}-{version}.rds"
                theirs.append(file)
                # saveRDS() knows no hexadecimal from R 4.5 on, and save() never did.
                connection = f"{'gzfile' if compress else 'file'}('{file}', 'wb')"
                written = f"serialize(value, NULL, ascii = {ascii_}, version = {version})"
                options = f"ascii = {ascii_}, version = {version}, compress = {kind}"
                if ascii_ == "NA":
                    program.append(f"to <- {connection}; writeBin({written}, to); close(to)")
                else:
                    program.append(f"saveRDS(value, '{file}', {options})")
                save_ascii = "TRUE" if ascii_ == "NA" else ascii_
                options = f"ascii = {save_ascii}, version = {version}, compress = {kind}"
                program.append(f"save(value, other, file = '{file.with_suffix('.rda')}', {options})")
    program.append(f"save(list = character(), file = '{tmp_path / 'none.rda'}')")
    for name in ours:
        program += [
            f"cat(identical(readRDS('{tmp_path / name}.rds'), value), '')",
            f"load('{tmp_path / name}.rda'); cat(identical(it, value), ''); rm(it)",
        ]
    assert set(run_r(program).split()) == {"TRUE"}
    for file in theirs:
        assert rinterop.read_rds(file) == VALUE, file
        both = rinterop.read_rda(file.with_suffix(".rda"))
        assert list(both) == ["value", "other"]
        assert both["value"] == VALUE, file
        assert v.plain(both["other"]) == v.integer(*range(1, 11))
    assert rinterop.read_rda(tmp_path / "none.rda") == {}


def test_two_pieces_are_one_content() -> None:
    data = rinterop.dumps(VALUE)
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        assert decompressed(pack(data[:40]) + pack(data[40:])) == data
    assert decompressed(lzma.compress(data, lzma.FORMAT_ALONE)) == data


class Trickle(io.RawIOBase):
    """A pipe, which gives a few bytes at a time and cannot be wound back; counts what was read."""

    def __init__(self, content: bytes, size: int) -> None:
        self.content, self.size, self.position = content, size, 0

    def read(self, size: int = -1) -> bytes:
        end = len(self.content) if size < 0 else self.position + min(size, self.size)
        found = self.content[self.position : end]
        self.position += len(found)
        return found


@given(
    st.lists(st.binary(max_size=100) | st.integers(0, 50_000).map(bytes), min_size=1, max_size=4),
    st.sampled_from([gzip.compress, bz2.compress, lzma.compress, bytes]),
    st.integers(1, 2**15),
    st.binary(max_size=5),
)
def test_pieces_from_a_pipe(pieces: list[bytes], pack: Any, size: int, after: bytes) -> None:
    content = b"".join(pieces)
    packed = b"".join(map(pack, pieces))
    if pack is bytes:
        assert decompressed(cast(BinaryIO, Trickle(packed, size))) == content
    else:
        after = after.lstrip(packed[:1])  # no further piece
        assert decompressed(cast(BinaryIO, Trickle(packed + after, size))) == content
        assert decompressed(packed + after) == content


@pytest.mark.parametrize("compress", COMPRESSIONS[1:])
def test_unpacking_takes_no_more_memory_than_the_content(tmp_path: Path, compress: Compression) -> None:
    content = random.Random(1).randbytes(20_000_000)
    file = tmp_path / "content"
    file.write_bytes(compressed(content, compress))
    tracemalloc.start()
    try:
        with file.open("rb", buffering=0) as opened:
            assert decompressed(opened) == content
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A buffer that grows has an eighth to spare; blocks are of 1 MB, the window of xz of 8.
    assert peak < len(content) * 9 / 8 + 12_000_000


def test_unpacking_copies_no_input_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What zlib is given and hands back as not needed, summed up, is no more than a part of what there is."""
    returned = 0

    class Counting:
        def __init__(self) -> None:
            self._unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
            self.eof = False
            self.unconsumed_tail = self.unused_data = b""

        def decompress(self, data: bytes, limit: int) -> bytes:
            nonlocal returned
            found = self._unpacker.decompress(data, limit)
            self.eof, self.unused_data = self._unpacker.eof, self._unpacker.unused_data
            self.unconsumed_tail = self._unpacker.unconsumed_tail
            returned += len(self.unconsumed_tail) + len(self.unused_data)
            return found

    monkeypatch.setitem(compression._DECOMPRESSORS, b"\x1f\x8b", Counting)
    content = random.Random(2).randbytes(10_000_000)
    packed = gzip.compress(content, 1)
    assert decompressed(packed * 2) == content * 2
    assert returned < len(packed)


def rds(content: bytes) -> rinterop.RValue:
    return rinterop.read_rds(io.BytesIO(content))


def rda(content: bytes) -> dict[str, rinterop.RValue]:
    return rinterop.read_rda(io.BytesIO(content))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_is_refused(pack: object) -> None:
    bomb = pack(bytes(5_000_000))  # type: ignore[operator]
    with pytest.raises(DecodeError, match="max_size"):
        rinterop.read_rds(io.BytesIO(bomb), max_size=3_000_000)
    pieces = pack(bytes(1_000_000)) * 5  # type: ignore[operator]
    with pytest.raises(DecodeError, match="max_size"):
        rinterop.read_rda(io.BytesIO(pieces), max_size=3_000_000)
    assert len(decompressed(bomb, None)) == len(decompressed(pieces, 5_000_000)) == 5_000_000


@pytest.mark.parametrize("compress", ["gzip", "bzip2", "xz"])
def test_too_short(compress: Compression) -> None:
    data = rinterop.dumps(VALUE, compress=compress)
    for size in range(6, len(data)):
        with pytest.raises(DecodeError):
            rds(data[:size])
    with pytest.raises(UnexpectedEnd):
        rds(data[:-9])


def test_other_files() -> None:
    one, several = io.BytesIO(), io.BytesIO()
    rinterop.write_rds(VALUE, one)
    rinterop.write_rda({"x": VALUE}, several)
    with pytest.raises(DecodeError, match="read_rds"):
        rda(one.getvalue())
    with pytest.raises(DecodeError, match="read_rda"):
        rds(several.getvalue())
    with pytest.raises(DecodeError, match=r"before R 1\.4"):
        rda(b"RDX1\n" + bytes(20))
    for content in (b"RDX4\nX\n", b"PK\x03\x04", gzip.compress(b"hello")):
        with pytest.raises(DecodeError, match="not a file"):
            rda(content)
        with pytest.raises(DecodeError):
            rds(content)
    for value in (v.integer(1), v.pairlist(v.integer(1))):
        with pytest.raises(DecodeError, match="names"):
            rda(b"RDX3\n" + rinterop.dumps(value))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (b"\n<!DOCTYPE html>\n<html>", "HTML"),
        (b"<HTML lang='en'>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull"),
        (b"\x28\xb5\x2f\xfd\0\0", "zstd"),
        (b"ARROW1\0\0", "feather"),
        (b"FEA1\0", "Feather"),
        (b"PAR1\x15", "Parquet"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path: Path, content: bytes, what: str) -> None:
    file = tmp_path / "data.rds"
    file.write_bytes(content)
    for read in (rinterop.read_rds, rinterop.read_rda):
        with pytest.raises(DecodeError, match=what) as caught:
            read(file)
        assert caught.value.file == str(file)
        assert str(file) in str(caught.value)
        with file.open("rb") as opened, pytest.raises(DecodeError, match=r"data\.rds"):
            read(opened)
        with pytest.raises(DecodeError, match=r"^at byte 0") as caught:
            read(io.BytesIO(content))


def test_what_is_no_value_of_r_is_converted() -> None:
    file = io.BytesIO()
    rinterop.write_rds({"x": [1, None]}, file)
    file.seek(0)
    assert rinterop.read_rds(file) == rinterop.to_r({"x": [1, None]})
    several = io.BytesIO()
    rinterop.write_rda({"x": 1.5, "y": v.NULL}, several)
    several.seek(0)
    assert rinterop.read_rda(several) == {"x": v.double(1.5), "y": v.NULL}
    with pytest.raises(rinterop.ConversionError):
        rinterop.write_rds({1, 2}, io.BytesIO())


def test_what_cannot_be_written_leaves_the_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "value.rds"
    rinterop.write_rds(VALUE, file)
    with pytest.raises(rinterop.EncodeError):
        rinterop.write_rds(v.character("\0"), file)
    with pytest.raises(ValueError, match="bzip2"):
        rinterop.write_rds(VALUE, file, compress="zip")  # type: ignore[arg-type]
    with pytest.raises(rinterop.EncodeError, match="name"):
        rinterop.write_rda({"": VALUE}, file)
    assert rinterop.read_rds(file) == VALUE


SEEDS = [
    *(rinterop.dumps(VALUE, form=form, compress=compress) for form in FORMS for compress in COMPRESSIONS),
    b"RDX3\n" + rinterop.dumps(v.pairlist(x=VALUE)),
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_damaged_files(data: bytes, choose: st.DataObject) -> None:
    place = choose.draw(st.integers(0, len(data) - 1))
    damaged = bytearray(data)
    match choose.draw(st.sampled_from(["cut", "flip", "repeat", "replace"])):
        case "cut":
            del damaged[place:]
        case "flip":
            damaged[place] ^= 1 << choose.draw(st.integers(0, 7))
        case "repeat":
            damaged[place:place] = damaged[place : place + 40]
        case "replace":
            damaged[place : place + 4] = choose.draw(st.binary(min_size=4, max_size=4))
    for read in (rds, rda):
        with suppress(DecodeError):
            read(bytes(damaged))
