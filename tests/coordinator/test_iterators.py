"""What loops run over: counts, parts of a number, pieces of sequences and tables."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoredis.errors import ConfigError
from pydoredis.loops.iterators import cells, chunks, columns, icount, idiv, known_size, rows


def test_icount() -> None:
    assert list(icount(3)) == [1, 2, 3]
    assert list(icount(0)) == list(icount(-1)) == []
    endless = icount()
    assert list(itertools.islice(endless, 3)) == list(itertools.islice(endless, 3)) == [1, 2, 3]


@given(st.integers(-3, 500), st.integers(1, 60))
def test_idiv(n: int, parts: int) -> None:
    by_number, by_size = list(idiv(n, chunks=parts)), list(idiv(n, chunk_size=parts))
    for divided in (by_number, by_size):
        assert sum(divided) == max(n, 0)
        assert sorted(divided, reverse=True) == divided
        assert not divided or divided[0] - divided[-1] <= 1 <= divided[-1]
    assert len(by_number) == len(idiv(n, chunks=parts)) == min(parts, max(n, 0))
    assert len(by_size) == math.ceil(max(n, 0) / parts)


@pytest.mark.parametrize("keywords", [{}, {"chunks": 1, "chunk_size": 1}, {"chunks": 0}, {"chunk_size": 0}])
def test_impossible_idiv(keywords: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        idiv(3, **keywords)


def test_chunks() -> None:
    assert list(chunks("abcdefgh", 3)) == ["abc", "def", "gh"]
    assert [piece.tolist() for piece in chunks(np.arange(5), 2)] == [[0, 1], [2, 3], [4]]
    assert list(chunks({"a": 1, "b": 2, "c": 3}, 2)) == [["a", "b"], ["c"]]
    assert list(chunks([], 2)) == []
    assert len(chunks(range(7), 3)) == 3  # type: ignore[arg-type]  # sized, because a range is
    with pytest.raises(ConfigError):
        chunks("ab", 0)


def test_chunks_of_an_iterator_read_no_further_than_needed() -> None:
    numbers = itertools.count()
    batches = chunks(numbers, 3)
    assert next(iter(batches)) == [0, 1, 2]
    assert next(numbers) == 3
    assert iter(batches) is batches, "once read, an inner loop has to know"


def test_chunks_of_an_endless_iterable_start_anew() -> None:
    batches = chunks(icount(), 2)
    for _ in range(2):
        assert list(itertools.islice(batches, 2)) == [[1, 2], [3, 4]]


def as_lists(pieces: Any) -> list[Any]:
    return [piece.tolist() for piece in pieces]


def test_rows_and_columns_of_arrays() -> None:
    table = np.arange(6).reshape(3, 2)
    assert as_lists(rows(table)) == [[0, 1], [2, 3], [4, 5]]
    assert as_lists(rows(table, 2)) == [[[0, 1], [2, 3]], [[4, 5]]]
    assert as_lists(columns(table)) == [[0, 2, 4], [1, 3, 5]]
    assert as_lists(columns(table, 1)) == [[[0], [2], [4]], [[1], [3], [5]]]
    assert as_lists(rows([[1, 2], [3, 4]])) == [[1, 2], [3, 4]]
    assert (len(rows(table)), len(rows(table, 2)), len(columns(table))) == (3, 2, 2)
    assert as_lists(rows(np.zeros((0, 2)))) == []
    for x in (np.arange(3), np.zeros((1, 1, 1)), 5):
        with pytest.raises(ConfigError, match="dimension"):
            rows(x)


def test_cells() -> None:
    table = np.arange(6).reshape(3, 2)
    assert list(cells(table)) == [0, 1, 2, 3, 4, 5]
    assert list(cells(table, order="F")) == [0, 2, 4, 1, 3, 5]
    assert len(cells(table)) == 6
    with pytest.raises(ConfigError, match="order"):
        cells(table, order="R")  # type: ignore[arg-type]


def test_data_frames() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"n": [1, 2, 3], "s": ["a", "b", "c"]}, index=list("xyz"))
    assert [(row.name, row.n, row.s) for row in rows(frame)] == [("x", 1, "a"), ("y", 2, "b"), ("z", 3, "c")]
    assert [block.shape for block in rows(frame, 2)] == [(2, 2), (1, 2)]
    assert [column.name for column in columns(frame)] == ["n", "s"]
    assert list(cells(frame)) == [1, "a", 2, "b", 3, "c"]
    assert list(cells(frame, order="F")) == [1, 2, 3, "a", "b", "c"]
    assert [piece.index.tolist() for piece in chunks(frame, 2)] == [["x", "y"], ["z"]]


def test_known_sizes() -> None:
    assert known_size([1, 2]) == known_size(iter([1, 2])) == 2
    assert known_size(icount()) == known_size(itertools.count()) == math.inf
    assert known_size(n for n in [1]) is None
    assert known_size(rows(np.zeros((4, 2)))) == 4


def test_all_but_iterators_can_be_gone_through_again() -> None:
    table = np.arange(4).reshape(2, 2)
    for again in (
        icount(2),
        idiv(5, chunks=2),
        rows(table),
        columns(table, 1),
        cells(table),
        chunks("abc", 2),
    ):
        assert [np.array(x).tolist() for x in again] == [np.array(x).tolist() for x in again]
