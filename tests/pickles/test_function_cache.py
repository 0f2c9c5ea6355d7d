"""A function's pickle is used again if, and only if, the function is as it was."""

from __future__ import annotations

import functools
import math
import os
import sys
import types
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest

from pydoredis.pickles.function_cache import FunctionCache


class Counting:
    """A cache that counts how often something is pickled, and calls what its pickle gives."""

    def __init__(self) -> None:
        self.times = 0
        self._cache = FunctionCache(self._pickle)

    def _pickle(self, function: Any) -> bytes:
        self.times += 1
        return bytes(cloudpickle.dumps(function))

    def call(self, function: Any, *args: Any) -> Any:
        return cloudpickle.loads(self._cache.get(function))(*args)


def define(source: str, **variables: Any) -> Callable[..., Any]:
    """The function `f` of a program, as `__main__` would have it."""
    space: dict[str, Any] = {"__name__": "__main__", **variables}
    exec(source, space)
    return space["f"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("source", "variables"),
    [
        ("def f(x): return x + 1", {}),
        ("def f(x): return x + k", {"k": 3}),
        ("def f(x, k=(1, 'a')): return x + k[0]", {}),
        ("def f(x): return math.floor(x + os.getpid() * 0)", {"math": math, "os": os}),
        ("def g(x): return x + 1\ndef f(x): return g(x)", {}),
        ("def f(x): return (lambda y: y + k)(x)", {"k": 3}),
        ("def f(x): return f(x - 1) if x > 0 else x", {}),
        ("f = (lambda k: lambda x: x + k)(2)", {}),
    ],
)
def test_what_cannot_change_is_pickled_once(source: str, variables: dict[str, Any]) -> None:
    counting, function = Counting(), define(source, **variables)
    expected = function(5)
    assert [counting.call(function, 5) for _ in range(3)] == [expected] * 3
    assert counting.times == 1


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("k = 1\ndef f(x): return x + k", "k = 2"),
        ("def f(x): return x + (k if 'k' in globals() else 0)", "k = 2"),
        ("def g(x): return x\ndef f(x): return g(x)", "def g(x): return -x"),
        ("k = 1\ndef g(x): return x + k\ndef f(x): return g(x)", "k = 2"),
        ("def g(x, k=1): return x + k\ndef f(x): return g(x)", "g.__defaults__ = (2,)"),
        ("def f(x, k=1): return x + k", "f.__defaults__ = (2,)"),
        ("def f(x): return x", "f.__code__ = (lambda x: -x).__code__"),
        ("def h(n):\n def f(x): return x + n\n return f\nf = h(1)", "f.__closure__[0].cell_contents = 5"),
        ("k = [1]\ndef f(x): return x + k[0]", "k[0] = 2"),
        ("k = ([1],)\ndef f(x): return x + k[0][0]", "k[0][0] = 2"),
        ("def f(x, k=[1]): return x + k[0]", "f.__defaults__[0][0] = 2"),
        ("def f(x, *, k=1): return x + k", "f.__kwdefaults__['k'] = 2"),
        ("def f(x): return x + f.k\nf.k = 1", "f.k = 2"),
        ("class C: k = 1\ndef f(x): return x + C.k", "C.k = 2"),
    ],
)
def test_what_has_changed_is_pickled_again(source: str, change: str) -> None:
    counting, function = Counting(), define(source)
    before = function(5)
    assert counting.call(function, 5) == before
    exec(change, function.__globals__)
    after = function(5)
    assert after != before
    assert counting.call(function, 5) == after


def test_other_callables_are_pickled_each_time() -> None:
    counting, data = Counting(), [1]
    body = functools.partial(lambda known, x: known[0] + x, data)
    assert counting.call(body, 1) == 2
    data[0] = 5
    assert counting.call(body, 1) == 6


def test_code_that_is_to_be_sent_along_is_pickled_again() -> None:
    module = types.ModuleType("a_module_of_this_test")
    exec("def f(x): return x", module.__dict__)
    counting = Counting()
    sys.modules[module.__name__] = module
    try:
        assert counting.call(module.f, 1) == 1
        cloudpickle.register_pickle_by_value(module)
        del sys.modules[module.__name__]
        assert counting.call(module.f, 1) == 1
        assert counting.times == 2
    finally:
        sys.modules.pop(module.__name__, None)
        cloudpickle.unregister_pickle_by_value(module)


def test_a_function_that_is_gone_is_not_taken_for_another_one() -> None:
    counting = Counting()
    for k in range(200):
        assert counting.call(define(f"def f(x): return x + {k}"), 1) == 1 + k
