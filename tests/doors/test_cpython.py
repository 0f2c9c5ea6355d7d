"""CPython's own tests of executors, with `Executor` in the place of the standard library's.

Each one that is left out has its reason in `LEFT_OUT`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import unittest
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest

import pydoredis as dr
from pydoredis.errors import EvaluatorError, WorkerCrashed
from tests.doors import cpython_tests
from tests.redis_process import RedisProcess

if cpython_tests.installed() is None:
    pytest.skip(cpython_tests.MISSING, allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pool")]

_directory = tempfile.TemporaryDirectory()
MODULES = cpython_tests.load(Path(_directory.name))

_STDLIB = "its program makes an executor of the standard library; test_executor_exit.py has it with ours"
_PRIVATE = "looks at threads, processes or pipes that only the standard library's executors have"
_LOCAL = "wants memory, locks or processes that caller and worker share"
_WORKERS = "is an option of workers here: pydoredis worker --max-tasks"

LEFT_OUT = {
    "test_interpreter_shutdown": _STDLIB,
    "test_submit_after_interpreter_shutdown": _STDLIB,
    "test_hang_gh83386": _STDLIB,
    "test_hang_gh94440": _STDLIB,
    "test_cancel_futures": "takes for granted that calls run once they are submitted; TestOurs waits for one",
    "test_processes_terminate": _PRIVATE,
    "test_context_manager_shutdown": _PRIVATE,
    "test_del_shutdown": _PRIVATE,
    "test_shutdown_no_wait": _PRIVATE,
    "test_pending_calls_race": _LOCAL,
    "test_map_submits_without_iteration": _LOCAL,
    "test_executor_map_current_future_cancel": _LOCAL,
    "test_max_workers_too_large": "is for Windows",
    "test_killed_child": "a worker that dies breaks no pool here: its call runs again elsewhere",
    "test_traceback": "wants a private class of the standard library; the traceback is there, see TestOurs",
    "test_ressources_gced_in_workers": _LOCAL,
    "test_saturation": _PRIVATE,
    "test_idle_process_reuse_one": _PRIVATE,
    "test_idle_process_reuse_multiple": _PRIVATE,
    "test_max_tasks_per_child": _WORKERS,
    "test_max_tasks_per_child_defaults_to_spawn_context": _WORKERS,
    "test_max_tasks_early_shutdown": _WORKERS,
    "test_python_finalization_error": _PRIVATE,
    "test_force_shutdown_workers": _PRIVATE,
    "test_force_shutdown_workers_invalid_op": _PRIVATE,
    "test_shutdown_deadlock_pickle": _PRIVATE,
    "test_crash_big_data": _PRIVATE,
    "test_gh105829_should_not_deadlock_if_wakeup_pipe_full": _PRIVATE,
}
"""Why a test is not run."""

BROKEN = (WorkerCrashed, EvaluatorError)
"""What futures raise here where those of the standard library raise BrokenProcessPool, for good."""


@pytest.fixture(scope="module")
def pool(redis_process: RedisProcess) -> Iterator[None]:
    """Five workers for all tests."""
    with redis_process.client() as client:
        client.flushall()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYDOREDIS_URL", redis_process.url)
        for module in MODULES:
            if hasattr(module, "BrokenProcessPool"):
                patch.setattr(module, "BrokenProcessPool", BROKEN)
        with dr.local(5, "cpython", redis_process.url, codec="cloudpickle", output=False):
            yield


class OurMixin:
    """Makes an executor for each test; all of them have the same workers."""

    worker_count = 5
    executor_kwargs: dict[str, Any] = {}  # noqa: RUF012
    executor: dr.Executor

    def setUp(self) -> None:
        """Make it."""
        super().setUp()  # type: ignore[misc]
        self.executor = self.executor_type(**self.executor_kwargs)

    def tearDown(self) -> None:
        """Let it go."""
        self.executor.shutdown(wait=True)
        super().tearDown()  # type: ignore[misc]

    @staticmethod
    def executor_type(max_workers: int = 5, mp_context: object = None, **options: Any) -> dr.Executor:
        """An executor on the workers of all tests, unless there is something wrong with the arguments."""
        return dr.Executor(**options) if max_workers > 0 else dr.Executor(max_workers, **options)

    def get_context(self) -> None:
        """Of multiprocessing: there is none."""


def ours(name: str, mixin: type = OurMixin) -> type:
    """A class with the tests of one of CPython's, and executors of ours."""
    tests = cpython_tests.find(MODULES, name)
    left_out = {
        test: unittest.skip(LEFT_OUT[test])(getattr(tests, test)) for test in dir(tests) if test in LEFT_OUT
    }
    base = cpython_tests.find(MODULES, "BaseTestCase")
    return type(f"Ours{name}", (mixin, tests, base), {**left_out, "__module__": __name__})


class InitializedMixin(OurMixin):
    """An executor with an initializer that sets a variable of CPython's module."""

    def setUp(self) -> None:
        """Make it."""
        module = sys.modules[cpython_tests.find(MODULES, "InitializerMixin").__module__]
        self.executor_kwargs = {"initializer": module.init, "initargs": ("initialized",)}
        OurMixin.setUp(self)


TestExecutor = ours("ProcessPoolExecutorTest")
TestShutdown = ours("ProcessPoolShutdownTest")
TestWait = ours("WaitTests")
TestAsCompleted = ours("AsCompletedTests")
TestDeadlock = ours("ExecutorDeadlockTest")


class TestInitializer(InitializedMixin, cpython_tests.find(MODULES, "BaseTestCase")):  # type: ignore[misc]
    """CPython's test of initializers, whose class makes its executor itself."""

    test_initializer = cpython_tests.find(MODULES, "InitializerMixin").test_initializer


class TestOurs(OurMixin, unittest.TestCase):
    """What CPython's tests say in words that only its own executors know."""

    def test_a_traceback_of_the_worker_is_in_that_of_the_caller(self) -> None:
        future = self.executor.submit(cpython_tests.find(MODULES, "ProcessPoolExecutorTest")._test_traceback)
        with pytest.raises(RuntimeError) as caught:
            future.result()
        assert caught.value.args == (123,)
        assert "raise RuntimeError(123) # some comment" in str(caught.value.__cause__)

    def test_a_pool_whose_worker_was_killed_goes_on(self) -> None:
        before = self.executor.submit(os.getpid).result()
        crash = self.executor.submit(os.kill, before, 9)
        with pytest.raises((WorkerCrashed, ProcessLookupError)):
            crash.result()
        assert self.executor.submit(pow, 2, 8).result() == 256

    def test_calls_that_wait_are_cancelled_by_shutdown_and_all_others_end(self) -> None:
        calls = [self.executor.submit(time.sleep, 0.1) for _ in range(50)]
        futures.wait(calls, return_when=futures.FIRST_COMPLETED)
        self.executor.shutdown(cancel_futures=True)
        cancelled = [call for call in calls if call.cancelled()]
        others = [call for call in calls if not call.cancelled()]
        assert cancelled
        assert all(call.done() and call.exception() is None for call in others)
