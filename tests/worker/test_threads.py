"""How many threads libraries use in executors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import cloudpickle
import pytest

from pydoredis.worker.engines.threads import GENERAL, HEED_GENERAL, VARIABLES, limited
from tests.worker.executor_process import Executor, peer
from tests.worker.test_process_state import environment, run

cloudpickle.register_pickle_by_value(sys.modules[__name__])

NO_DATA_TABLE = "R has no package data.table (apt-get install r-cran-data.table)"


@contextmanager
def executor(given: Mapping[str, str], threads: int) -> Iterator[Executor]:
    """One that an agent with the variables `given` would start with `--threads`."""
    plain = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    variables = {**plain, **given}
    # An executor of tests inherits what is set here: an empty variable says nothing.
    unset = dict.fromkeys(VARIABLES, "")
    with Executor("cloudpickle", environment={**unset, **limited(variables, threads)}) as running:
        yield running


def blas() -> list[int]:
    """Threads of NumPy's BLAS."""
    import numpy as np
    import threadpoolctl

    np.ones((2, 2)) @ np.ones((2, 2))
    return [each["num_threads"] for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"]


def arrow() -> int:
    import pyarrow  # type: ignore[import-untyped,unused-ignore]

    return int(pyarrow.cpu_count())


def seen(running: Executor, body: Any) -> Any:
    running.load(1, environment(body))
    (found,) = run(running, 1, {})
    return found


# --- the environment --------------------------------------------------------------------------------------


def test_the_variables() -> None:
    assert limited({}, 3) == dict.fromkeys(VARIABLES, "3")
    assert limited({"MKL_NUM_THREADS": "5", "HOME": "/"}, 3) == {
        **dict.fromkeys(VARIABLES, "3"),
        "MKL_NUM_THREADS": "5",
        "HOME": "/",
    }


def test_what_heeds_a_general_variable_of_the_users_is_not_told_anything_else() -> None:
    found = limited({GENERAL: "4"}, 1)
    assert found[GENERAL] == "4"
    assert not found.keys() & set(HEED_GENERAL)
    assert found["POLARS_MAX_THREADS"] == "1"
    assert limited({GENERAL: ""}, 1)["OPENBLAS_NUM_THREADS"] == "1"


# --- libraries --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "threads", "expected"),
    [({}, 1, 1), ({}, 2, 2), ({GENERAL: "2"}, 1, 2), ({"OPENBLAS_NUM_THREADS": "2"}, 1, 2)],
    ids=["share", "option", "general variable", "own variable"],
)
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="OpenBLAS has no more threads than processors")
def test_numpy(given: dict[str, str], threads: int, expected: int) -> None:
    with executor(given, threads) as running:
        found = seen(running, blas)
    if not found:
        pytest.skip("threadpoolctl does not know the BLAS of this NumPy")
    assert set(found) == {expected}


def test_arrow() -> None:
    pytest.importorskip("pyarrow")
    with executor({}, 3) as running:
        assert seen(running, arrow) == 3
    with executor({GENERAL: "5"}, 3) as running:
        assert seen(running, arrow) == 5


def test_polars() -> None:
    pytest.importorskip("polars")

    def polars() -> int:
        import polars as pl

        return pl.thread_pool_size()

    with executor({}, 3) as running:
        assert seen(running, polars) == 3


@pytest.mark.needs_r
@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, 1), ({"R_DATATABLE_NUM_THREADS": "2", GENERAL: "2"}, 2)],
    ids=["share", "own variable"],
)
def test_data_table(given: dict[str, str], expected: int) -> None:
    """It never takes more than OpenMP may have, nor than there are processors."""
    made = peer().make(
        "job(if (requireNamespace('data.table', quietly = TRUE)) data.table::getDTthreads() else -1L)"
    )
    unset = dict.fromkeys(VARIABLES, "")
    with Executor("r", "rscript", environment={**unset, **limited(given, 1)}) as running:
        running.load(1, made)
        result = running.run(1, peer().make("task(i = 1)"))
    shown = peer().show(result)
    if "-1" in shown:
        pytest.skip(NO_DATA_TABLE)
    assert f"{min(expected, os.cpu_count() or 1)}L" in shown


# --- what bodies change -----------------------------------------------------------------------------------


def test_a_job_that_changes_limits_has_them_for_itself() -> None:
    def change() -> list[int]:
        import threadpoolctl

        threadpoolctl.threadpool_limits(7)
        return blas()

    with executor({}, 1) as running:
        running.load(1, environment(blas))
        running.load(2, environment(blas, init=change))
        (before,) = run(running, 1, {})
        (changed,) = run(running, 2, {})
        if before == changed:
            pytest.skip("threadpoolctl cannot change the BLAS of this NumPy")
        assert set(before) == {1}
        for _ in range(2):
            assert run(running, 1, {}) == [before]
            assert run(running, 2, {}) == [changed]
        running.forget(2)
        assert run(running, 1, {}) == [before]


def test_also_of_a_library_that_the_job_itself_has_loaded() -> None:
    pytest.importorskip("pyarrow")

    def change() -> int:
        os.environ["OMP_NUM_THREADS"] = "9"
        return arrow()

    def again() -> int:
        import pyarrow  # type: ignore[import-untyped,unused-ignore]

        pyarrow.set_cpu_count(4)
        return arrow()

    with executor({}, 2) as running:
        running.load(1, environment(arrow))
        running.load(2, environment(change))
        running.load(3, environment(again))
        assert run(running, 2, {}) == [9]
        assert run(running, 1, {}) == [2]
        assert run(running, 3, {}) == [4]
        assert run(running, 1, {}) == [2]


def test_without_a_limit_the_number_at_first_sight_is_the_usual_one() -> None:
    pytest.importorskip("pyarrow")

    def change() -> int:
        import pyarrow  # type: ignore[import-untyped,unused-ignore]

        pyarrow.set_cpu_count(4)
        return arrow()

    with Executor("cloudpickle", environment=dict.fromkeys(VARIABLES, "")) as running:
        running.load(1, environment(arrow))
        running.load(2, environment(lambda: None))
        running.load(3, environment(change))
        (usual,) = run(running, 1, {})
        run(running, 2, {})
        assert run(running, 3, {}) == [4]
        assert run(running, 1, {}) == [usual]
