"""Sparse matrices of R's package Matrix are sparse arrays of scipy, and the other way round."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rinterop
from rinterop import ConversionError, to_python, to_r
from rinterop.convert import optional
from rinterop.values import NA_REAL, S4, class_, is_na_real
from tests.rinterop.rscript import run_r

sparse = pytest.importorskip("scipy.sparse")

DATA = Path(__file__).parent.parent / "data" / "sparse" / "matrices"
SAME = ("dgC", "dgR", "dgT", "twice", "lgC", "named", "missing", "logical_missing", "empty", "ddi", "ldi")
"""Those that come back as they were; of the others only what they say comes back."""


@pytest.fixture(scope="module")
def recorded() -> tuple[dict[str, Any], dict[str, Any]]:
    """Matrices by name as they were written, and what they say."""
    value = rinterop.loads(DATA.read_bytes())
    assert isinstance(value, rinterop.List)
    matrices = value.values[0]
    assert isinstance(matrices, rinterop.List)
    names = rinterop.values.names(matrices) or ()
    return dict(zip(map(str, names), matrices.values, strict=True)), to_python(value.values[1])


def test_they_say_what_they_say_in_r(recorded: tuple[dict[str, Any], dict[str, Any]]) -> None:
    matrices, dense = recorded
    assert matrices.keys() == dense.keys()
    for name, value in matrices.items():
        if name == "logical_missing":
            assert to_python(value) is value, "scipy has no NA among truths"
            continue
        found = to_python(value)
        expected = np.asarray(dense[name])
        assert sparse.issparse(found)
        assert found.dtype == expected.dtype
        assert np.array_equal(found.toarray(), expected, equal_nan=found.dtype.kind == "f"), name


def test_those_that_are_lossless(recorded: tuple[dict[str, Any], dict[str, Any]]) -> None:
    matrices, _ = recorded
    for name in SAME:
        assert rinterop.values.identical(to_r(to_python(matrices[name])), matrices[name]), name


def test_layouts_and_names(recorded: tuple[dict[str, Any], dict[str, Any]]) -> None:
    matrices = {name: to_python(value) for name, value in recorded[0].items()}
    formats = {"dgC": "csc", "dgR": "csr", "dgT": "coo", "dsR": "csr", "unit": "csc", "ddi": "dia"}
    for name, layout in formats.items():
        assert matrices[name].format == layout
    assert matrices["dgC"].dimnames is None
    assert matrices["named"].dimnames == (tuple("abcdef"), None)
    assert matrices["both"].dimnames == (tuple("abcde"), tuple("abcde"))
    renamed = matrices["named"]
    renamed.dimnames = (None, ["w", "x", "y", "z"])
    assert to_python(to_r(renamed)).dimnames == (None, ("w", "x", "y", "z"))
    renamed.dimnames = (None, ["too", "few"])
    assert to_python(to_r(renamed)).dimnames is None


def test_numbers_are_not_copied(recorded: tuple[dict[str, Any], dict[str, Any]]) -> None:
    value = recorded[0]["dgC"]
    found = to_python(value)
    x, again = rinterop.values.attribute(value, "x"), rinterop.values.attribute(to_r(found), "x")
    assert isinstance(x, rinterop.Double)
    assert isinstance(again, rinterop.Double)
    assert np.shares_memory(found.data, x.values)
    assert np.shares_memory(again.values, x.values)


def test_arrays_of_others_are_copied() -> None:
    """R values never change."""
    matrix = sparse.csc_array(np.eye(3))
    value = to_r(matrix)
    matrix.data[:] = 7
    assert np.array_equal(to_python(value).toarray(), np.eye(3))
    assert matrix.data.flags.writeable


LAYOUTS = st.sampled_from(["csc", "csr", "coo", "bsr", "dia", "dok", "lil"])
TYPES = st.sampled_from([np.float64, np.float32, np.int64, np.int8, np.uint16, np.bool_])


@given(
    LAYOUTS,
    TYPES,
    st.integers(1, 6),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 100)), max_size=12),
    st.booleans(),
)
def test_from_scipy(
    layout: str, dtype: Any, rows: int, columns: int, cells: list[tuple[int, int, int]], is_matrix: bool
) -> None:
    kept = [(i, j, x) for i, j, x in cells if i < rows and j < columns]
    places = ([i for i, _, _ in kept], [j for _, j, _ in kept])
    make = sparse.coo_matrix if is_matrix else sparse.coo_array
    original = make((np.array([x for *_, x in kept]).astype(dtype), places), shape=(rows, columns))
    original = original.asformat(layout)
    value = to_r(original)
    assert isinstance(value, S4)
    expected = original.toarray().astype(np.bool_ if dtype is np.bool_ else float)
    assert np.array_equal(
        to_python(value).toarray(), expected.astype(np.bool_ if dtype is np.bool_ else float)
    )
    if layout == "csc":
        indices = rinterop.values.attribute(value, "i")
        starts = rinterop.values.attribute(value, "p")
        assert isinstance(indices, rinterop.Integer)
        assert isinstance(starts, rinterop.Integer)
        for start, end in zip(starts.values[:-1], starts.values[1:], strict=True):
            assert all(np.diff(indices.values[start:end]) > 0), "as Matrix wants them"


def test_duplicates_are_added_where_matrix_takes_none() -> None:
    twice = sparse.csr_array((np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2])), shape=(1, 2))
    assert to_python(to_r(twice)).toarray().tolist() == [[0, 3]]
    assert twice.nnz == 2, "the original stays as it is"


def test_what_matrix_has_no_class_for() -> None:
    with pytest.raises(ConversionError, match="complex"):
        to_r(sparse.csc_array(np.eye(2) * 1j))
    with pytest.raises(ConversionError, match="2\\^53"):
        to_r(sparse.csc_array(np.array([[2**53 + 1]])))
    if hasattr(sparse.coo_array((3,)), "coords"):
        with pytest.raises(ConversionError, match="two dimensions"):
            to_r(sparse.coo_array(np.arange(3)))


def test_na_stays_na() -> None:
    matrix = sparse.csc_array((np.full(1, NA_REAL), np.array([0]), np.array([0, 1])), shape=(1, 1))
    x = rinterop.values.attribute(to_r(matrix), "x")
    assert isinstance(x, rinterop.Double)
    assert is_na_real(x.values).all()


def test_without_scipy(
    recorded: tuple[dict[str, Any], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optional, "has_scipy", lambda: False)
    assert to_python(recorded[0]["dgC"]) is recorded[0]["dgC"]


@pytest.mark.parametrize(
    ("slot", "wrong"),
    [
        ("i", rinterop.to_r(np.array([0, 9], np.int32))),
        ("p", rinterop.to_r(np.array([0, 1, 7], np.int32))),
        ("p", rinterop.to_r("text")),
        ("Dim", rinterop.to_r(np.array([2, 2, 2], np.int32))),
        ("x", rinterop.to_r(np.array([1.0]))),
    ],
)
def test_what_is_no_matrix_stays_as_it_is(slot: str, wrong: Any) -> None:
    value = to_r(sparse.csc_array(np.eye(2)))
    assert isinstance(value, S4)
    assert class_(value) == ("dgCMatrix",)
    slots = {**rinterop.values.attributes(value), slot: wrong}
    broken = S4(attributes=rinterop.values.attributes_of(**slots), gp=value.gp)
    assert to_python(broken) is broken


def has_matrix() -> bool:
    done = subprocess.run(["Rscript", "-e", "library(Matrix)"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.needs_r
def test_r_takes_what_comes_back(recorded: tuple[dict[str, Any], dict[str, Any]], tmp_path: Path) -> None:
    if not has_matrix():
        pytest.skip("R has no package Matrix (apt-get install r-cran-matrix)")
    matrices = {name: to_python(value) for name, value in recorded[0].items()}
    (tmp_path / "back").write_bytes(rinterop.dumps(to_r(matrices)))
    said = run_r(
        [
            "suppressMessages(library(Matrix))",
            "read <- function(file) unserialize(readBin(file, 'raw', 1e6))",
            f"matrices <- read('{DATA}')[[1]]",
            f"back <- read('{tmp_path / 'back'}')",
            "for (name in names(matrices)) {",
            "  x <- matrices[[name]]",
            "  y <- back[[name]]",
            "  ok <- isTRUE(validObject(y)) && isTRUE(all.equal(as.matrix(x), as.matrix(y)))",
            "  cat(name, ok, identical(x, y), '\\n')",
            "}",
        ]
    )
    rows = [line.split() for line in said.splitlines()]
    assert len(rows) == len(matrices)
    assert [row for row in rows if row[1] != "TRUE"] == []
    assert {row[0] for row in rows if row[2] == "TRUE"} >= set(SAME)
