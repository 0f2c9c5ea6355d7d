"""loky's tests of executors, with `Executor` in the place of loky's.

They are in no wheel: `LOKY_TESTS` is the folder `tests` of loky's sources, and loky has to be installed. What
is left out has its reason in `LEFT_OUT`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pydoredis as dr
from tests.redis_process import RedisProcess

VARIABLE = "LOKY_TESTS"
SOURCES = os.environ.get(VARIABLE)
if not SOURCES or importlib.util.find_spec("loky") is None:
    pytest.skip(
        f"no tests of loky: pip install loky, and set {VARIABLE} to the folder tests of its sources",
        allow_module_level=True,
    )

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pool")]

_directory = tempfile.TemporaryDirectory()
ALIAS = "lokys_tests"
Path(_directory.name, ALIAS).symlink_to(SOURCES)
sys.path.insert(0, _directory.name)
theirs: Any = importlib.import_module(f"{ALIAS}._test_process_executor")

_STDLIB = "its program makes an executor of loky"
_PRIVATE = "looks at threads or processes that only loky's executors have"
_LOCAL = "wants locks, events or processes that caller and worker share"
_WORKERS = "is about the processes of a pool; they are those of pydoredis worker"
_BROKEN = "a worker that dies breaks no pool here: its call runs again elsewhere"

LEFT_OUT = {
    "test_interpreter_shutdown": _STDLIB,
    "test_hang_issue39205": _STDLIB,
    "test_processes_terminate": _PRIVATE,
    "test_processes_terminate_on_executor_gc": _PRIVATE,
    "test_processes_crash_handling_after_executor_gc": _PRIVATE,
    "test_context_manager_shutdown": _PRIVATE,
    "test_del_shutdown": _PRIVATE,
    "test_shutdown_no_wait": _PRIVATE,
    "test_shutdown_deadlock_pickle": _PRIVATE,
    "test_shutdown_and_kill_workers": _WORKERS,
    "test_first_exception": _LOCAL,
    "test_timeout": _LOCAL,
    "test_zero_timeout": _LOCAL,
    "test_max_workers_negative": "wants loky's words alone; ours are in a ConfigError, which is a ValueError",
    "test_killed_child": _BROKEN,
    "test_exited_child": _BROKEN,
    "test_traceback": "wants a private class of loky; the traceback is there, see test_cpython.py",
    "test_worker_timeout": _WORKERS,
    "test_serialization": "has reducers of its own for each executor; copyreg's are heeded",
    "test_max_depth": "loops in bodies are tested elsewhere",
    "test_no_failure_on_large_data_send": "wants 2.2 GB four times",
    "test_memory_leak_protection": "is an option of workers here: pydoredis worker --max-memory",
    "test_reference_cycle_collection": "is an option of workers here: pydoredis worker --max-memory",
    "test_child_env_executor": _WORKERS,
    "test_viztracer_profiler": _WORKERS,
    "test_viztracer_profiler_with_custom_init": _WORKERS,
    "test_no_deprecation_warning_is_raised_on_fork": _WORKERS,
}
"""Why a test is not run."""


@pytest.fixture(scope="module")
def pool(redis_process: RedisProcess) -> Iterator[None]:
    """Five workers for all tests."""
    with redis_process.client() as client:
        client.flushall()
    with (
        pytest.MonkeyPatch.context() as patch,
        dr.local(5, "loky", redis_process.url, codec="cloudpickle", output=False),
    ):
        patch.setenv("PYDOREDIS_URL", redis_process.url)
        yield


class OurMixin:
    """Makes an executor for each test; all of them have the same workers."""

    worker_count = 5
    context = None
    executor: dr.Executor

    @pytest.fixture(autouse=True)
    def _executor(self, pool: None) -> Iterator[None]:
        self.executor = self.executor_type()
        yield
        self.executor.shutdown()

    @staticmethod
    def executor_type(max_workers: int = 5, context: object = None, **options: Any) -> dr.Executor:
        """An executor on the workers of all tests, unless there is something wrong with the arguments."""
        return dr.Executor(**options) if max_workers > 0 else dr.Executor(max_workers, **options)


def _left_out(reason: str) -> Any:
    @pytest.mark.skip(reason=reason)
    def test(self: object) -> None:
        """Is not run."""

    return test


def ours(name: str) -> type:
    """A class with the tests of one of loky's, and executors of ours."""
    tests = getattr(theirs, name)
    left_out = {test: _left_out(LEFT_OUT[test]) for test in dir(tests) if test in LEFT_OUT}
    return type(f"Ours{name}", (OurMixin, tests), {**left_out, "__module__": __name__})


TestShutdown = ours("ExecutorShutdownTest")
TestWait = ours("WaitTests")
TestAsCompleted = ours("AsCompletedTests")
TestExecutor = ours("ExecutorTest")
