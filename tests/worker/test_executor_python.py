"""Python bodies in an executor: values, errors, seeds, and pickles that don't travel."""

from __future__ import annotations

import platform
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import pytest

import rinterop
from pydoredis.protocol.python import Program, PythonCodec
from rinterop import values
from tests.worker.executor_process import Executor

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def environment(body: Any, init: Callable[[], None] | None = None, **versions: str) -> bytes:
    """A job environment as a Python coordinator writes it; `body` may be bytes."""
    if not isinstance(body, bytes):
        return PythonCodec(Program(body, init)).encode_environment().value
    return rinterop.dumps(
        values.named_list(
            codec=values.character("cloudpickle"),
            body=values.raw(body),
            python=values.character(versions.get("python", platform.python_version())),
            cloudpickle=values.character(cloudpickle.__version__),
        )
    )


def task(*arguments: dict[str, Any], first: int = 1) -> bytes:
    """A task of one iteration for each dict."""
    return PythonCodec(Program(print)).encode_task("J", first, [((), named) for named in arguments])


def outcomes(result: bytes) -> dict[str, Any]:
    """What a coordinator makes of a result message."""
    message = rinterop.loads(result)
    assert isinstance(message, values.List)
    first = message.values[0]
    assert isinstance(first, values.Raw)
    return dict(zip(map(str, values.names(message) or ()), cloudpickle.loads(bytes(first)), strict=True))


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor("cloudpickle") as running:
        yield running


_numbers = iter(range(1, 1_000_000))


def run(executor: Executor, body: Any, *arguments: dict[str, Any]) -> dict[str, Any]:
    number = next(_numbers)
    executor.load(number, environment(body))
    return outcomes(executor.run(number, task(*arguments or ({},))))


def error_of(executor: Executor, body: Any, *arguments: dict[str, Any]) -> tuple[BaseException, str]:
    """The exception and the text that stand for the first iteration."""
    return failed(run(executor, body, *arguments)["1"])


def failed(outcome: Any) -> tuple[BaseException, str]:
    """What a coordinator makes of a failure: the exception, and the worker's traceback."""
    kind, raised = outcome
    assert kind == "error"
    return raised.again(), "".join(raised.lines())


def test_values(executor: Executor) -> None:
    found = run(executor, lambda x, y=0: x + y, {"x": 1}, {"x": 2, "y": 5})
    assert found == {"1": ("ok", 1), "2": ("ok", 7)}


def test_errors(executor: Executor) -> None:
    def divide(i: int) -> float:
        return 1 / i

    error, text = error_of(executor, divide, {"i": 0})
    assert isinstance(error, ZeroDivisionError)
    assert "in divide" in text
    assert "engines" not in text, "frames of ours are of no use to users"


def test_sys_exit_is_an_error(executor: Executor) -> None:
    error, _ = error_of(executor, lambda: sys.exit("enough"))
    assert isinstance(error, SystemExit)


def test_value_that_cannot_be_pickled(executor: Executor) -> None:
    error, _ = error_of(executor, lambda: (i for i in range(3)))
    assert "value (a generator): TypeError: cannot pickle" in str(error)


def test_an_exception_with_an_init_of_its_own(executor: Executor) -> None:
    class OddError(Exception):
        def __init__(self, a: int, b: int) -> None:
            super().__init__(f"{a} and {b}")

    def body() -> None:
        raise OddError(1, 2)

    error, text = error_of(executor, body)
    assert isinstance(error, OddError)
    assert str(error) == "1 and 2"
    assert "raise OddError(1, 2)" in text


def test_same_numbers_whatever_the_chunk(executor: Executor) -> None:
    program = PythonCodec(Program(random.random, seed=3)).encode_environment().value
    found = []
    for chunks in [3], [1, 2], [2, 1]:
        executor.load(0, program)
        first, drawn = 1, {}
        for size in chunks:
            drawn.update(outcomes(executor.run(0, task(*[{}] * size, first=first))))
            first += size
        found.append(drawn)
    assert found[0] == found[1] == found[2]
    assert len({value for _, value in found[0].values()}) == 3


def test_init_runs_once(executor: Executor) -> None:
    def init() -> None:
        sys.test_count = getattr(sys, "test_count", 0) + 1  # type: ignore[attr-defined]

    executor.load(0, environment(lambda: sys.test_count, init))  # type: ignore[attr-defined]
    for _ in range(2):
        assert outcomes(executor.run(0, task({}))) == {"1": ("ok", 1)}


def test_failing_init_is_every_value(executor: Executor) -> None:
    executor.load(0, environment(lambda: 1, lambda: 1 / 0))  # type: ignore[arg-type]
    for _ in range(2):
        found = outcomes(executor.run(0, task({}, {})))
        assert [type(failed(found[n])[0]) for n in ("1", "2")] == [ZeroDivisionError, ZeroDivisionError]


def test_body_of_another_version(executor: Executor) -> None:
    executor.load(0, environment(b"\x80\x05cnot_a_module\nf\n.", python="3.4.1"))
    error, _ = failed(outcomes(executor.run(0, task({})))["1"])
    assert "Python 3.4.1" in str(error)
    assert f"Python {platform.python_version()}" in str(error)
    assert "No module named 'not_a_module'. Send it along with export=[not_a_module]" in str(error)


def test_unreadable_messages(executor: Executor) -> None:
    executor.load(0, b"nothing of R's")
    error, _ = failed(outcomes(executor.run(0, task({})))["1"])
    assert "DecodeError" in type(error).__name__ or "at byte" in str(error)
    executor.load(0, environment(lambda: 1))
    assert "cannot be read" in executor.fails(0, b"nothing of R's")
    assert "never sent" in executor.fails(4711, task({}))
