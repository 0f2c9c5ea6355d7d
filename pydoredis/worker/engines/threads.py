"""How many threads the libraries in an executor may use: as many processors as it has for itself.

Without this each of them would take all processors, in each of the executors: n processors would have n × n
threads to run. Libraries look at environment variables when they are loaded, and the agent sets these. They
are those of joblib, and of what R and data frames use. `library_threads` sees to what bodies change later.
"""

from __future__ import annotations

from collections.abc import Mapping

GENERAL = "OMP_NUM_THREADS"
"""What OpenMP itself heeds, and Arrow."""

HEED_GENERAL = (
    *("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    "R_DATATABLE_NUM_THREADS",
)
"""Of libraries that heed `OMP_NUM_THREADS` where their own variable is not set."""

VARIABLES = (
    *(GENERAL, *HEED_GENERAL, "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"),
    *("POLARS_MAX_THREADS", "RCPP_PARALLEL_NUM_THREADS"),
)
"""Environment variables that limit the threads of BLAS and OpenMP libraries, numba, polars, data.table ..."""


def limited(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    """An environment in which libraries use so many threads, unless it says otherwise already.

    Where it has `OMP_NUM_THREADS`, that is left to those that heed it, too.
    """
    ours = set(VARIABLES).difference(HEED_GENERAL if environment.get(GENERAL) else ())
    return {**dict.fromkeys(ours, str(threads)), **environment}
