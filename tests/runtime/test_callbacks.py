"""Python functions called by R."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

from rinterop import RError, values
from rinterop.runtime import start
from rinterop.runtime.session import Session
from tests.runtime.own_process import in_own_process

pytestmark = pytest.mark.needs_r


def collect(r: Session) -> None:
    """Run both garbage collectors, until what one lets go has reached the other."""
    for _ in range(3):
        gc.collect()
        r.eval("invisible(gc())")


@in_own_process
def test_r_calls_python() -> None:
    r = start()
    assert r.call("sapply", [1, 2, 3], lambda x: x * 10, convert=True).tolist() == [10, 20, 30]
    assert r.call("Reduce", lambda a, b: a + b, [1, 2, 3, 4], convert=True) == 10
    found = r.call("optimize", lambda x: (x - 2.0) ** 2, np.array([0.0, 5.0]), convert=True)
    assert abs(found["minimum"] - 2) < 1e-4
    assert r.eval("f(1, b = 'x', 2)", {"f": lambda *args, **named: [*args, named["b"]]}, convert=True) == [
        1,
        2,
        "x",
    ]
    assert r.eval("f()", {"f": lambda: None}) is values.NULL


@in_own_process
def test_values_are_not_converted_if_nobody_asks() -> None:
    r = start()
    seen: list[object] = []

    def look(*arguments: object) -> values.RValue:
        seen.extend(arguments)
        return values.symbol("result")

    function = r.function(look, convert=False)
    arguments = r.eval("list(1L, quote(a), factor('u'))")
    assert r.call("do.call", function, arguments, quote=values.logical(True)) == values.symbol("result")
    assert seen == list(arguments)
    big = values.Double(np.arange(20_000.0))
    assert r.call(r.function(lambda x: x, convert=False), big) == big


@in_own_process
def test_a_function_that_r_gives_back_is_still_the_function() -> None:
    r = start()
    function = r.function(lambda x: x + 1)
    again = r.call("identity", function)
    assert isinstance(again, values.Closure)
    assert r.call(again, 41, convert=True) == 42
    r.eval("kept <<- f", {"f": function})
    del function, again
    collect(r)
    assert r.eval("kept(1)", convert=True) == 2
    r.eval("for (i in 1:5) kept <- local({ g <- kept; function(x) g(x) })")
    collect(r)
    assert r.eval("kept(1)", convert=True) == 2


class OwnError(Exception):
    pass


def fails(x: object) -> object:
    raise OwnError("not\0 this: \u4e2d")


@in_own_process
def test_a_python_exception_is_an_r_error_and_its_cause() -> None:
    r = start()
    with pytest.raises(RError) as caught:
        r.call("lapply", values.integer(1, 2), fails)
    error = caught.value
    assert error.message == "OwnError: not\\0 this: \u4e2d"
    assert error.classes == ("python_error", "error", "condition")
    assert error.call == "FUN(X[[i]], ...)"
    assert error.traceback[-1] == "FUN(X[[i]], ...)"
    assert isinstance(error.__cause__, OwnError)

    handled = "tryCatch(f(1), python_error = function(e) paste(e$type, conditionMessage(e)))"
    assert r.eval(handled, {"f": fails}, convert=True) == "OwnError OwnError: not\\0 this: \u4e2d"
    again = "withCallingHandlers(f(1), error = function(e) stop('in R: ', conditionMessage(e)))"
    with pytest.raises(RError, match="in R: OwnError"):
        r.eval(again, {"f": fails})

    # What can't be converted is an exception like any other.
    with pytest.raises(RError, match="object") as caught:
        r.eval("f()", {"f": object})
    assert caught.value.__cause__ is not None


@in_own_process
def test_r_calls_python_which_calls_r() -> None:
    r = start()

    def down(n: int) -> int:
        return 0 if n == 0 else 1 + int(r.call(r.function(down), n - 1, convert=True))

    assert down(20) == 20

    def fail_in_r() -> None:
        r.eval("stop('innermost')")

    with pytest.raises(RError, match=r"RError: .*innermost") as caught:
        r.eval("g <- function() f(); g()", {"f": fail_in_r})
    assert isinstance(caught.value.__cause__, RError)
    assert caught.value.__cause__.message == "innermost"
    assert caught.value.traceback == ("g()", "f()")
    assert r.eval("1L") == values.integer(1)


@in_own_process
def test_what_is_no_exception_leaves_r_at_once() -> None:
    r = start()

    def leave(exc: BaseException) -> BaseException:
        def function() -> None:
            raise exc

        code = "tryCatch(f(), error = function(e) 'kept', finally = done <<- done + 1)"
        with pytest.raises(type(exc)) as caught:
            r.eval(code, {"f": function})
        return caught.value

    r.eval("done <- 0")
    for exc in (KeyboardInterrupt("me"), SystemExit(3)):
        assert leave(exc) is exc
    assert r.eval("done") == values.double(2)

    def through() -> None:
        leave(KeyboardInterrupt())
        r.eval("f()", {"f": through_again})

    def through_again() -> None:
        raise SystemExit(4)

    with pytest.raises(SystemExit):
        r.eval("f()", {"f": through})


@in_own_process
def test_python_is_interrupted_while_r_waits_for_it() -> None:
    import os
    import signal

    r = start()

    def endless() -> None:
        threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT), daemon=True).start()
        while True:
            pass

    with pytest.raises(KeyboardInterrupt):
        r.eval("f()", {"f": endless})
    assert r.eval("1L") == values.integer(1)


class Function:
    def __call__(self, x: object) -> object:
        return x


@in_own_process
def test_nothing_is_kept_longer_than_needed() -> None:
    r = start()
    held = r._callbacks.held
    function = Function()
    gone = weakref.ref(function)

    r.call("sapply", [1, 2], function)
    value = r.function(function)
    r.eval("kept <<- list(f, f)", {"f": value})
    del function
    collect(r)
    assert gone() is not None
    assert r.call(value, 5, convert=True) == 5
    del value
    collect(r)
    assert gone() is not None  # R has it
    r.eval("rm(kept)")
    collect(r)
    assert gone() is None
    assert len(held) == 0

    for _ in range(50):
        r.eval("tryCatch(f(1), error = identity); NULL", {"f": fails})
        with pytest.raises(RError):
            r.call(fails, 1)
    collect(r)
    assert len(held) == 0

    # Nor for a function that never arrived.
    with pytest.raises(RError):
        r.eval("this is no R", {"f": fails})
    collect(r)
    assert len(held) == 0


@in_own_process
def test_a_name_that_means_nothing_here() -> None:
    r = start()
    for strings in (("rinterop", "99"), ("rinterop.function", "99"), ("other", "1"), ("rinterop",)):
        with pytest.raises(RError, match=r"is gone|means nothing here"):
            r.call("identity", values.Persistent(strings))
    stale = r.call("identity", r.function(fails))
    collect(r)
    with pytest.raises(RError, match="is gone"):
        r.call("identity", stale)
    assert r.eval("1L") == values.integer(1)
