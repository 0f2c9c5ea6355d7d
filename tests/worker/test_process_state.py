"""What one job changes of a worker process is not there in the next, and is when the job goes on."""

from __future__ import annotations

import decimal
import gc
import locale
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import threadpoolctl

from pydoredis.loops.options import set_option
from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.worker.engines import process_state
from tests.worker.executor_process import Executor
from tests.worker.test_executor_python import failed, outcomes, task

cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor("cloudpickle") as running:
        yield running


def run(executor: Executor, number: int, *arguments: dict[str, Any]) -> list[Any]:
    """The values of a task of job `number`."""
    found = outcomes(executor.run(number, task(*arguments)))
    return [outcome[1] if outcome[0] == "ok" else failed(outcome) for outcome in found.values()]


def look() -> dict[str, str]:
    """All facets of this process, as texts."""
    from pydoredis.worker.engines.process_state import FACETS

    state = {name: read() for name, (read, _) in FACETS.items()}
    state["environment"] = sorted(state["environment"].items())
    state["timers"] = [round(seconds) for seconds, _ in state["timers"]]  # the kernel counts in ticks
    return {name: repr(value) for name, value in state.items()}


def change(directory: str) -> None:
    """Change all facets."""
    os.chdir(directory)
    os.umask(0o7)
    os.environ["MINE"] = "1"
    os.environ["TZ"] = "Asia/Tokyo"
    del os.environ["PATH"]
    time.tzset()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_VIRTUAL, 1000)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    locale.setlocale(locale.LC_ALL, "C" if "UTF" in locale.setlocale(locale.LC_ALL).upper() else "C.UTF-8")
    sys.path.insert(0, directory)
    sys.stdout = sys.stderr
    sys.excepthook = print
    sys.setprofile(lambda *_: None)
    sys.setrecursionlimit(4321)
    sys.setswitchinterval(0.123)
    gc.disable()
    gc.set_threshold(9, 9, 9)
    warnings.simplefilter("error")
    logging.root.addHandler(logging.NullHandler())
    logging.root.setLevel(5)
    logging.disable(10)
    decimal.getcontext().prec = 3
    np.seterr(all="raise")
    np.set_printoptions(precision=1)
    socket.setdefaulttimeout(77)
    tempfile.tempdir = directory
    threadpoolctl.threadpool_limits(9)
    set_option("chunk_size", 9)


def environment(body: Any, **program: Any) -> bytes:
    return PythonCodec(Program(body, **program)).encode_environment().value


def test_every_facet(executor: Executor, tmp_path: Path) -> None:
    executor.load(1, environment(lambda: look()))
    executor.load(2, environment(look, init=lambda: change(str(tmp_path))))
    (before,) = run(executor, 1, {})
    (changed,) = run(executor, 2, {})
    same = {name for name in before if before[name] == changed[name]}
    assert same <= ({"processors"} if os.cpu_count() == 1 else set()), "the test changes less than it says"
    for number, expected in (1, before), (2, changed), (1, before), (2, changed):
        (found,) = run(executor, number, {})
        assert {name: (found[name], expected[name]) for name in found if found[name] != expected[name]} == {}
    executor.forget(2)
    assert run(executor, 1, {}) == [before]


def test_what_cannot_be_put_back_does_no_harm(executor: Executor, tmp_path: Path) -> None:
    directory = tmp_path / "gone"
    directory.mkdir()

    def spoil() -> None:
        os.chdir(directory)
        directory.rmdir()
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, 0))

    executor.load(1, environment(os.getcwd))
    executor.load(2, environment(spoil))
    (before,) = run(executor, 1, {})
    assert run(executor, 2, {}, {}) != []
    assert run(executor, 1, {}) == [before]
    run(executor, 2, {})
    assert run(executor, 1, {}) == [before]


def test_exports_do_not_stay_in_modules(executor: Executor) -> None:
    """The body is a function of a module that the worker has itself."""
    variables = {"textwrap_export": 1, "_whitespace": "!"}

    def peek() -> dict[str, Any]:
        import textwrap

        return {name: vars(textwrap).get(name) for name in ("textwrap_export", "_whitespace")}

    import textwrap

    executor.load(1, environment(peek))
    executor.load(2, environment(textwrap.dedent, exports=variables))
    executor.load(3, environment(types.FunctionType(peek.__code__, vars(textwrap), "peek")))
    (before,) = run(executor, 1, {})
    assert before == {"textwrap_export": None, "_whitespace": "\t\n\x0b\x0c\r "}
    assert outcomes(executor.run(2, task({"text": " a"}))) == {"1": ("ok", "a")}
    assert run(executor, 1, {}) == [before]


def test_an_alarm_that_a_body_forgot(executor: Executor) -> None:
    def set_alarm(i: int) -> float:
        left = signal.getitimer(signal.ITIMER_REAL)[0]
        signal.alarm(3600)
        return left

    executor.load(1, environment(set_alarm))
    assert run(executor, 1, {"i": 1}, {"i": 2}) == [0.0, 0.0]
    executor.load(2, environment(lambda: signal.getitimer(signal.ITIMER_REAL)))
    assert run(executor, 2, {}) == [(0.0, 0.0)]


def test_here() -> None:
    """Nothing is changed by looking, and writing what is there already changes nothing."""
    before = look()
    process_state.change(dict.fromkeys(process_state.FACETS), process_state.capture())
    assert {**look(), "timers": ""} == {**before, "timers": ""}
