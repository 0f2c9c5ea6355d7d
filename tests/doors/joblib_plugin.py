"""A plugin for pytest: joblib's own tests with our backend as the default, and in their lists of backends.

    python -m pytest -p tests.doors.joblib_plugin --pyargs joblib.test.test_parallel

The tests are those of the installed joblib. Cases that name other backends alone are deselected; what is left
out besides has its reason in `LEFT_OUT`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

NAME = "pydoredis"
URL = "PYDOREDIS_URL"
OTHERS = frozenset({"loky", "multiprocessing", "threading", "sequential", "spawn", "back_compat_backend"})
ARGUMENTS = frozenset({"backend", "outer_backend", "inner_backend", "parent_backend", "child_backend"})

_INNER = "calls within calls run one after the other here; there, threads or other processes run them"
_MANAGER = "a manager of multiprocessing lets nobody in but children of its own program"
_MEMMAP = "wants files mapped by NumPy; arrays are shared between workers here, too, but not as np.memmap"
_ENVIRONMENT = (
    "workers have environment variables of their own, and say by themselves how many threads there are"
)

LEFT_OUT = {
    "test_nested_loop": _INNER,
    "test_nested_backend_context_manager": _INNER,
    "test_backend_nesting_level": _INNER,
    "test_nested_parallelism_limit": _INNER,
    "test_error_capture": "looks at the pool of processes in a private attribute",
    "test_dispatch_multiprocessing": _MANAGER,
    "test_initializer_context": _MANAGER,
    "test_initializer_parallel": _MANAGER,
    "test_nested_backend_in_sequential": "takes for granted that n_jobs is 1 by default; here it is -1",
    "test_auto_memmap_on_arrays_from_generator": _MEMMAP,
    "test_memmapping_leaks": _MEMMAP,
    "test_memmapping_on_large_enough_dev_shm": _MEMMAP,
    "test_backend_hinting_and_constraints": "takes for granted that loky is the default",
    "test_parallel_with_interactively_defined_bound_method_loky": "names loky itself",
    "test_initializer_reused": "names loky itself",
    "test_initializer_not_reused": "names loky itself",
    "test_loky_reuse_workers": "names loky itself",
    "test_threadpool_limitation_in_child_loky": _ENVIRONMENT,
    "test_threadpool_limitation_in_child_override": _ENVIRONMENT,
}
"""Why tests are not run, by their names."""

IN_PROGRAMS = f"""
import os
import pydoredis as dr, pydoredis.joblib
dr.register("joblib", os.environ["{URL}"])
"""
"""What programs that tests start do first."""

_opened = contextlib.ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start a server and workers, and put the backend wherever joblib's tests look."""
    from joblib import parallel

    import pydoredis as dr
    import pydoredis.joblib
    from tests.redis_process import RedisProcess

    server = _opened.enter_context(RedisProcess())
    _opened.enter_context(dr.local(2, "joblib", server.url, codec="cloudpickle", output=False))
    assert parallel.BACKENDS[NAME] is pydoredis.joblib.Backend
    parallel.DEFAULT_BACKEND = NAME
    module = importlib.import_module("joblib.test.test_parallel")
    for function in vars(module).values():
        for mark in getattr(function, "pytestmark", ()):
            if mark.name == "parametrize" and mark.args[0] in ARGUMENTS:
                _add_to(mark.args[1])
    patch = _opened.enter_context(pytest.MonkeyPatch.context())
    patch.setattr(module, "check_subprocess_call", _patient(module.check_subprocess_call))
    directory = _opened.enter_context(tempfile.TemporaryDirectory())
    Path(directory, "sitecustomize.py").write_text(IN_PROGRAMS)
    patch.setenv("PYTHONPATH", directory, prepend=os.pathsep)
    patch.setenv(URL, server.url)


def _patient(check: Any) -> Any:
    """Their check of a program, which may take ten times as long: machines may be busy."""

    def patient(command: list[str], timeout: float | None = 5, **options: Any) -> None:
        check(command, timeout=timeout and 10 * timeout, **options)

    return patient


def _add_to(backends: Any) -> None:
    if isinstance(backends, list) and "loky" in backends and NAME not in backends:
        backends.append(NAME)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what concerns other backends alone, and what has its reason."""
    other = [item for item in items if _is_about_others(item)]
    config.hook.pytest_deselected(items=other)
    items[:] = [item for item in items if item not in set(other)]
    for item in items:
        name = item.name.partition("[")[0]
        if name in LEFT_OUT:
            item.add_marker(pytest.mark.skip(reason=LEFT_OUT[name]))


def _is_about_others(item: pytest.Item) -> bool:
    spec = getattr(item, "callspec", None)
    named = {} if spec is None else {key: spec.params[key] for key in ARGUMENTS & spec.params.keys()}
    return bool(named) and all(_is_other(backend) for backend in named.values())


def _is_other(backend: Any) -> bool:
    name = backend if isinstance(backend, str) else type(backend).__module__
    return name in OTHERS or name.startswith(("joblib.", "multiprocessing."))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End workers and server."""
    _opened.close()
