"""R's files: `.rds` has one value (saveRDS), `.rda` or `.RData` has several with names (save)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

from rinterop.errors import DecodeError, EncodeError
from rinterop.serialize.compression import MAX_SIZE, Compression, compressed, decompressed
from rinterop.serialize.forms import MAGIC, FormName
from rinterop.serialize.reader import loads
from rinterop.serialize.writer import dumps
from rinterop.values import NULL, Cell, PairList, RValue, Symbol

File: TypeAlias = "str | os.PathLike[str] | BinaryIO"
"""A path, or an open binary file, which is read from or written to where it stands and left open."""

_RDA_LETTERS: Final = {b"X\n": b"X", b"A\n": b"A", b"B\n": b"B"}
_RDA_SIZE: Final = 5
_OTHERS: Final = {
    b"<!doctype html": "an HTML page: a download that went to an error or a log-in",
    b"<html": "an HTML page: a download that went to an error or a log-in",
    b"version https://git-lfs": "a pointer of Git LFS: `git lfs pull` gets the file itself",
    b"\x28\xb5\x2f\xfd": "data compressed by zstd, which no R reads: unpack them first",
    b"ARROW1": "a Feather (Arrow) file: pyarrow.feather.read_table() reads it",
    b"FEA1": "a Feather file: pyarrow.feather.read_table() reads it",
    b"PAR1": "a Parquet file: pyarrow.parquet.read_table() reads it",
    b"PK\x03\x04": "a ZIP archive (or an Excel file)",
    b"\x89HDF": "an HDF5 file",
}
"""Beginnings of other files, in any case, and what they are."""
_OLD_RDA: Final = (b"RDX1\n", b"RDA1\n", b"RDB1\n")


def read_rds(file: File, *, max_size: int | None = MAX_SIZE) -> RValue:
    """The value in a file of R's `saveRDS`, in whatever form and compression.

    Args:
        file: A path or an open binary file.
        max_size: The most bytes the unpacked content may have, None for no limit.

    Raises:
        DecodeError: If it is no such file, is damaged, or is larger than `max_size`.
        OSError: If it cannot be read.
    """
    with _named(file):
        content = _read(file, max_size)
        if _is_rda(content):
            raise DecodeError(0, "a file of save(), with several values: see read_rda")
        _refuse_others(content)
        return loads(content)


def write_rds(
    value: Any,
    file: File,
    *,
    compress: Compression | None = "gzip",
    version: int = 3,
    form: FormName = "xdr",
) -> None:
    """Write a file that R's `readRDS` reads. What cannot be written leaves an existing file as it was.

    Args:
        value: What to write: an R value, or what `to_r` makes one of.
        file: A path or an open binary file.
        compress, version, form: As for `dumps`.

    Raises:
        EncodeError, ValueError: As `dumps` and `to_r`.
        OSError: If the file cannot be written.
    """
    _write(file, dumps(_as_r(value), version=version, form=form, compress=compress))


def read_rda(file: File, *, max_size: int | None = MAX_SIZE) -> dict[str, RValue]:
    """The values in a file of R's `save` or `save.image`, by name, in the file's order.

    As for R's `load`, of two values of one name the last counts.

    Args:
        file: A path or an open binary file.
        max_size: The most bytes the unpacked content may have, None for no limit.

    Raises:
        DecodeError: If it is no such file (formats older than R 1.4 included), is damaged, or is larger
            than `max_size`.
        OSError: If it cannot be read.
    """
    with _named(file):
        content = _read(file, max_size)
        if content[:2] in _RDA_LETTERS:
            raise DecodeError(0, "a file of saveRDS(), with one value and no name: see read_rds")
        if not _is_rda(content):
            _refuse_others(content)
            old = content[:_RDA_SIZE] in _OLD_RDA
            raise DecodeError(0, "a file of save() from before R 1.4" if old else "not a file of R's save()")
        content = content[_RDA_SIZE:]  # under the same name, so that there are not two for long
        value = loads(content)
        if value is NULL:
            return {}
        if not isinstance(value, PairList) or value.end is not NULL or not all(c.tag for c in value.cells):
            raise DecodeError(_RDA_SIZE, "not a pairlist of values with names")
    return {cell.name: cell.value for cell in value.cells}


def write_rda(
    values: Mapping[str, Any],
    file: File,
    *,
    compress: Compression | None = "gzip",
    version: int = 3,
    form: FormName = "xdr",
) -> None:
    """Write a file that R's `load` reads.

    Args:
        values: What to write, by name: R values, or what `to_r` makes them of.
        file: A path or an open binary file.
        compress, version, form: As for `dumps`.

    Raises:
        EncodeError, ValueError: As `dumps`; also for an empty name.
        OSError: If the file cannot be written.
    """
    if not all(values):
        raise EncodeError("a value without a name")
    cells = tuple(Cell(_as_r(value), Symbol(name)) for name, value in values.items())
    data = dumps(PairList(cells) if cells else NULL, version=version, form=form)
    magic = b"RD%c%d\n" % (_RDA_LETTERS[MAGIC[form]], version)
    _write(file, compressed(magic + data, compress))


def _as_r(value: Any) -> RValue:
    if isinstance(value, RValue):
        return value
    from rinterop.convert.to_r import (
        to_r,
    )  # which stands above, and needs NumPy's company only where it is used

    return to_r(value)


@contextmanager
def _named(file: File) -> Iterator[None]:
    """Errors of reading name the file."""
    try:
        yield
    except DecodeError as error:
        name = file if isinstance(file, str | os.PathLike) else getattr(file, "name", None)
        error.file = os.fspath(name) if isinstance(name, str | os.PathLike) else None
        raise


def _refuse_others(content: bytes) -> None:
    """Name what is often taken for a file of R."""
    if not content:
        raise DecodeError(0, "the file is empty")
    start = content[:64].lstrip().lower()
    for beginning, what in _OTHERS.items():
        if start.startswith(beginning.lower()):
            raise DecodeError(0, f"not a file of R but {what}")


def _is_rda(content: bytes) -> bool:
    return content[:2] == b"RD" and content[2:3] in b"XAB" and content[3:_RDA_SIZE] in (b"2\n", b"3\n")


def _read(file: File, max_size: int | None) -> bytes:
    """The unpacked content."""
    if not isinstance(file, str | os.PathLike):
        return decompressed(file, max_size)
    with Path(file).open("rb", buffering=0) as opened:
        return decompressed(opened, max_size)


def _write(file: File, data: bytes) -> None:
    if isinstance(file, str | os.PathLike):
        Path(file).write_bytes(data)
    else:
        file.write(data)
