"""How many threads the libraries in an executor may use: as many processors as it has for itself.

Without this each of them would take all processors, in each of the executors: n processors would have n × n
threads to run. The variables are those of joblib, and of what R and data frames use.
"""

from __future__ import annotations

from collections.abc import Mapping

VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS"),
    *("POLARS_MAX_THREADS", "R_DATATABLE_NUM_THREADS", "RCPP_PARALLEL_NUM_THREADS"),
)
"""Environment variables that limit the threads of BLAS and OpenMP libraries, numba, polars, data.table ...

Arrow heeds the first one."""


def limited(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    """An environment in which libraries use so many threads, unless it says otherwise already."""
    return {**dict.fromkeys(VARIABLES, str(threads)), **environment}
