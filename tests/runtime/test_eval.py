"""R code evaluated, called and parsed from Python."""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from typing import Any

import numpy as np
import pytest

import rinterop
from rinterop import RError, RJump, RWarning, values
from rinterop.runtime import start
from rinterop.runtime.memory import BIG
from tests.runtime.own_process import in_own_process

pytestmark = pytest.mark.needs_r


@in_own_process
def test_eval() -> None:
    r = start()
    assert start() is r
    assert r.eval("1L + 1L") == values.integer(2)
    assert r.eval("") is values.NULL
    assert r.eval("x <- 20; x + 1; x + 2") == values.double(22)
    assert r.eval(values.symbol("x")) == values.double(20)
    assert r.eval(values.call("-", values.symbol("x"))) == values.double(-20)
    assert r.eval(r.parse("y <- 1; y + x")) == values.double(21)
    assert r.eval(values.character("x")) == values.character("x")
    assert r.eval("'\u00e9\u4e2d'") == values.character("\u00e9\u4e2d")


@in_own_process
def test_where_it_is_evaluated() -> None:
    r = start()
    r.eval("x <- 1")
    assert r.eval("x <- x + y", {"x": values.double(5), "y": values.double(6)}) == values.double(11)
    assert r.eval("x") == values.double(1)  # the mapping was another environment
    assert r.eval("x", values.GLOBAL_ENV) == values.double(1)
    base = r.eval("baseenv()")
    assert base is values.BASE_ENV
    assert r.eval("environment()", base) is base
    environment = r.eval("local({ z <- 3; environment() })")
    assert r.eval("z + x", environment) == values.double(4)


@in_own_process
def test_call() -> None:
    r = start()
    assert r.call("sum", values.integer(1, 2), values.integer(3)) == values.integer(6)
    assert r.call("stats::sd", values.double(1, 2, 3)) == values.double(1)
    assert r.call("base:::paste", values.character("a"), sep=values.character("-")) == values.character("a")
    without_na = {"na.rm": values.logical(True)}
    assert r.call("mean", values.double(1, None, 3), **without_na) == values.double(2)
    square = r.eval("function(x) x^2")
    assert r.call(square, values.double(3)) == values.double(9)
    # Language stays language: nothing in an argument is evaluated.
    for argument in (values.symbol("no_such_thing"), values.call("stop", values.character("evaluated"))):
        assert r.call("identity", argument) == argument
    matrix = r.eval("matrix(1:6, 2)")
    assert r.call("[", matrix, values.MISSING_ARG, values.integer(2)) == values.integer(3, 4)


@in_own_process
def test_parse() -> None:
    r = start()
    parsed = r.parse("a + b; f(x)")
    assert parsed == values.Expression(
        (
            values.call("+", values.symbol("a"), values.symbol("b")),
            values.call("f", values.symbol("x")),
        )
    )
    with pytest.raises(RError, match="<text>:2:3: unexpected symbol") as caught:
        r.parse("a\nb c")
    assert caught.value.classes == ("simpleError", "error", "condition")


EXPRESSIONS = (
    """
NULL; c(a = TRUE, b = NA); c(1.5, NA, NaN, Inf, -0); 1:10; c(1+2i, NA); letters; NA_character_; as.raw(0:255)
list(1, b = 'c', list()); factor(c('u', 'v', NA)); Sys.Date(); structure(list(), class = 'k'); pairlist(a = 1)
quote(f(x)[[1]]); quote(a); y ~ x | z; sum; expression(a, b + c); as.environment('package:stats')
data.frame(x = 1:3, y = c('a', NA, 'c')); matrix(1:4, 2, dimnames = list(NULL, c('a', 'b')))
globalenv(); asNamespace('stats'); methods::new('numeric', 1:3 + 0); iconv('\u00e9', 'UTF-8', 'latin1')
eval(parse(text = 'function(x, ...) x + 1', keep.source = FALSE))
""".replace("\n", ";")
    .strip(";")
    .split(";")
)


@in_own_process
def test_every_kind_of_value_comes_and_goes() -> None:
    r = start()
    for source in EXPRESSIONS:
        value = r.eval(source)
        assert r.call("identical", r.eval(source), value) == values.logical(True), source
        assert r.call("identity", value) == value, source


def big_vectors() -> list[rinterop.RValue]:
    rng = np.random.default_rng(5)
    numbers = rng.normal(size=BIG)
    numbers[:3] = values.NA_REAL, np.nan, -0.0
    whole = rng.integers(-5, 5, BIG).astype(np.int32)
    whole[:2] = values.NA_INTEGER
    plain: list[rinterop.RValue] = [
        values.Double(numbers),
        values.Integer(whole),
        values.Logical((whole > 0).astype(np.int32)),
        values.Complex(rng.normal(size=2 * BIG).view(np.complex128)),
        values.Raw(numbers.tobytes()),
    ]
    dim = values.attributes_of(dim=values.integer(2, 4, BIG // 8))
    names = values.attributes_of(names=values.Character(("n",) * BIG))
    wrong = values.attributes_of(dim=values.integer(BIG, 2))
    shaped = [values.Double(numbers, attributes=dim), values.Raw(bytes(BIG), attributes=dim)]
    return [
        *plain,
        *shaped,
        values.Double(numbers, attributes=names),
        values.Double(numbers, attributes=wrong),
    ]


@in_own_process
def test_big_vectors_are_the_same_as_small_ones() -> None:
    r = start()
    for value in big_vectors()[:-1]:
        assert r.call("identity", value) == value
        assert r.call("list", value, x=value) == values.List(
            (value, value), attributes=values.attributes_of(names=values.character("", "x"))
        )
        assert r.eval("x", {"x": value}) == value
    # They are copies: neither side sees what the other does to its own.
    mine = values.Double(np.zeros(BIG))
    changed = r.call(r.eval("function(x) { x[1] <- 1; kept <<- x; x }"), mine)
    assert (mine[0], changed[0]) == (0.0, 1.0)
    r.eval("kept[1] <- 2")
    assert changed[0] == 1.0
    # What R notes about a vector that grew is no part of it.
    grown = r.eval(f"local({{ g <- c(); for (i in 1:{BIG}) g[i] <- i; g }})", convert=True)
    assert grown.tolist() == list(range(1, BIG + 1))
    # A compact form stays compact: this one would not fit into memory.
    assert isinstance(r.eval("1:1e13"), values.Altrep)


@in_own_process
def test_converted() -> None:
    r = start()
    assert r.eval("1:3 * 2", convert=True).tolist() == [2, 4, 6]
    assert r.call("sum", 1, 2.5, convert=True) == 3.5
    assert r.call("paste", ["a", "b"], collapse="+", convert=True) == "a+b"
    assert r.eval("x + 1", {"x": 41}, convert=True) == 42
    assert r.call("nchar", "four", convert=True) == 4
    array = np.arange(6.0).reshape(2, 3)
    assert r.call("t", array, convert=True).shape == (3, 2)
    with pytest.raises(rinterop.EncodeError):
        r.call("identity", object())


@in_own_process
def test_errors() -> None:
    r = start()
    with pytest.raises(RError) as caught:
        r.eval("f <- function(x) g(x); g <- function(y) stop('oh ', y); f(3)")
    error = caught.value
    assert (error.message, error.call, str(error)) == ("oh 3", "g(x)", "in g(x): oh 3")
    assert error.call_value == values.call("g", values.symbol("x"))
    assert error.classes == ("simpleError", "error", "condition")
    assert error.traceback == ("f(3)", "g(x)", 'stop("oh ", y)')
    assert error.condition == values.simple_error("oh 3", values.call("g", values.symbol("x")))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.traceback, again.condition) == (str(error), error.traceback, error.condition)

    with pytest.raises(RError, match="non-numeric argument") as caught:
        r.call("log", values.character("a"))
    assert (caught.value.call, caught.value.traceback) == ('log("a")', ())

    own = "structure(class = c('mine', 'error', 'condition'), list(message = 'm', call = NULL, extra = 7))"
    with pytest.raises(RError) as caught:
        r.eval(f"stop({own})")
    assert caught.value.classes[0] == "mine"
    assert caught.value.call is None
    condition = caught.value.condition
    assert isinstance(condition, values.List)
    assert condition["extra"] == values.double(7)

    # A condition that can't even tell its message, one that is no error, and what no handler sees.
    r.eval("conditionMessage.odd <- function(c) stop('x')")
    with pytest.raises(RError):
        r.eval("stop(structure(class = c('odd', 'error', 'condition'), list()))")
    with pytest.raises(RJump):
        r.eval("invokeRestart('abort')")
    with pytest.raises(RError, match=r"infinite recursion|C stack"):
        r.eval("f <- function() f(); f()")
    with pytest.raises(RError, match=r"C stack|node stack"):
        r.eval("options(expressions = 500000); f()")
    assert r.eval("1L") == values.integer(1)


@in_own_process
def test_a_traceback_is_short_whatever_the_arguments() -> None:
    r = start()
    with pytest.raises(RError) as caught:
        r.call(r.eval("function(x) stop('no')"), values.Double(np.arange(1e6)))
    assert caught.value.call is not None
    assert len(str(caught.value)) < 300
    assert all(len(line) < 300 for line in caught.value.traceback)


@in_own_process
def test_warnings() -> None:
    r = start()
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        f = r.eval("f <- function(x) { warning('careful'); as.integer(x) }; f")
        assert r.call(f, values.character("a")) == values.integer(None)
    first, second = (one.message for one in given)
    assert isinstance(first, RWarning)
    assert first.message == "careful"
    assert first.classes == ("simpleWarning", "warning", "condition")
    assert "NAs introduced by coercion" in str(second)
    assert {one.filename for one in given} == {__file__}  # not some line of rinterop

    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        with pytest.raises(RError, match="after"):
            r.eval("warning('before'); stop('after')")
        big = r.eval(f"warning('big'); numeric({BIG})")
        r.eval("suppressWarnings(warning('never'))")
    assert [one.message.message for one in given if isinstance(one.message, RWarning)] == ["before", "big"]
    assert big == values.Double(np.zeros(BIG))

    r.eval("options(warn = 2)")
    with pytest.raises(RError, match=r"converted from warning.*now an error"):
        r.eval("warning('now an error')")
    r.eval("options(warn = -1)")
    r.eval("warning('to nobody')")  # in this process, any Python warning is an error


@in_own_process
def test_other_threads_are_refused() -> None:
    r = start()
    said: list[str] = []

    def use() -> None:
        for use_r in (r.eval, r.call, r.parse, r.to_rpy2):
            try:
                use_r("sum")
            except RuntimeError as exc:
                said.append(str(exc))

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join()
    assert said == ["R can be used only in the thread that started it"] * 4
    assert r.eval("2L") == values.integer(2)


def interrupt_when(path: str) -> threading.Thread:
    """Send SIGINT to this process as soon as the named pipe is opened for writing."""

    def wait() -> None:
        with open(path, "rb"):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@in_own_process
def test_keyboard_interrupt() -> None:
    r = start()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    path = tempfile.mkdtemp() + "/fifo"
    os.mkfifo(path)
    ready = "close(file(path, 'wb', raw = TRUE)); "
    for code in ("repeat {}", "Sys.sleep(60)", "repeat tryCatch(repeat {}, error = function(e) 1)"):
        thread = interrupt_when(path)
        with pytest.raises(KeyboardInterrupt):
            r.eval(ready + code, {"path": values.character(path)})
        thread.join()
        assert r.eval("1L") == values.integer(1)
    # R code may have it its own way.
    thread = interrupt_when(path)
    handled = r.eval(
        f"tryCatch({{ {ready} repeat {{}} }}, interrupt = function(i) 'handled')",
        {"path": values.character(path)},
    )
    thread.join()
    assert handled == values.character("handled")
    # Afterwards Python has it again.
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


@in_own_process
def test_handlers_of_the_user_stay() -> None:
    numbers = (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE)
    before = [signal.getsignal(number) for number in numbers]
    r = start()
    assert [signal.getsignal(number) for number in numbers] == before
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    r.eval("tools::pskill(Sys.getpid(), tools::SIGINT)")
    assert came == [signal.SIGINT]


@in_own_process
def test_rpy2_objects() -> None:
    rinterface: Any = importlib.import_module("rpy2.rinterface")

    r = start()
    value = r.eval("list(a = 1:3 + 0, f = function(x) x, 'text')")
    sexp = r.to_rpy2(value)
    assert list(sexp[0]) == [1.0, 2.0, 3.0]
    assert r.from_rpy2(sexp) == value
    vector = rinterface.IntSexpVector([1, 2, 3])
    assert r.from_rpy2(vector) == values.integer(1, 2, 3)
    everywhere = rinterface.evalr("globalenv()")
    assert r.from_rpy2(everywhere) is values.GLOBAL_ENV
    everywhere["shared"] = vector
    assert r.eval("sum(shared)") == values.integer(6)  # it is one R
    assert r.from_rpy2(r.to_rpy2([1, 2]), convert=True) is not None


@in_own_process
def test_an_r_that_rpy2_started() -> None:
    rinterface: Any = importlib.import_module("rpy2.rinterface")

    warnings.simplefilter("ignore")
    rinterface.initr()
    rinterface.evalr("made_by_rpy2 <- 5")
    r = start()
    assert r.eval("made_by_rpy2 + 1") == values.double(6)
    with pytest.raises(RError, match="no"):
        r.eval("stop('no')")


def test_nothing_is_left_behind() -> None:
    code = "from rinterop.runtime import start; print(start().call('tempdir').values[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(tempfile.gettempdir())
    assert done.stderr == ""
    assert not os.path.exists(done.stdout.strip())


@in_own_process
def test_what_r_has_no_room_for() -> None:
    r = start()
    endless = values.Double(np.broadcast_to(0.0, 10**13))
    with pytest.raises(MemoryError):
        r.call("length", endless)
    with pytest.raises(RError, match="cannot allocate"):
        r.eval("numeric(1e13)")
    assert r.eval("1L") == values.integer(1)
