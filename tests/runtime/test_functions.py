"""R functions that Python calls."""

from __future__ import annotations

import numpy as np
import pytest

from rinterop import RError, to_r
from rinterop.runtime import start
from rinterop.runtime.functions import RFunction
from tests.runtime.own_process import in_own_process

pytestmark = pytest.mark.needs_r


@in_own_process
def test_arguments_and_values() -> None:
    add = start().eval("function(x, y = 2) x + y", convert=True)
    assert isinstance(add, RFunction)
    assert (add(1), add(1, y=5), add(y=1, x=1)) == (3, 6, 2)
    assert np.array_equal(add(np.arange(3.0)), [2, 3, 4])
    assert repr(add) == "<R function (x, y = 2)>"
    with pytest.raises(RError, match="non-numeric") as caught:
        add("a")
    assert caught.value.call == "x + y"


@in_own_process
def test_of_packages_and_primitives() -> None:
    r = start()
    median, add = r.eval("stats::median", convert=True), r.eval("sum", convert=True)
    assert median(np.array([1.0, np.nan, 3.0]), **{"na.rm": True}) == 2
    assert add(1, 2, 3) == 6
    assert repr(add) == '<R function .Primitive("sum")>'


@in_own_process
def test_names_that_calls_have_too() -> None:
    """`convert` is a parameter of `Session.call`, and `self` of methods."""
    f = start().eval("function(convert, self, function_) convert + self + function_", convert=True)
    assert f(convert=1, self=2, function_=3) == 6


@in_own_process
def test_back_to_r() -> None:
    r = start()
    double = r.eval("function(x) 2 * x", convert=True)
    assert r.eval("f(4)", {"f": double}, convert=True) == 8
    assert r.call("Map", double, [1, 2], convert=True) == [2, 4]
    assert r.call(double, 5, convert=True) == 10
    assert to_r(double) == double.value
    assert r.eval("fs[[1]](3)", {"fs": [double]}, convert=True) == 6


@in_own_process
def test_functions_that_make_functions() -> None:
    r = start()
    twice = r.eval("function(f) function(x) f(f(x))", convert=True)
    double = r.eval("function(x) 2 * x", convert=True)
    assert twice(double)(1) == 4
    assert twice(lambda x: x + 10)(1) == 21


@in_own_process
def test_that_r_passes_to_python() -> None:
    r = start()
    assert r.eval("f(function(x) x + 1)", {"f": lambda g: g(41)}, convert=True) == 42
