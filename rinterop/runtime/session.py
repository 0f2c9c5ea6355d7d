"""R from Python: evaluate, call, parse; and Python functions that R calls.

R values cross as bytes in R's own format, read and written by `rinterop.loads` and `dumps`: there is no other
table of conversions. R's side of it is session.R.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rinterop.errors import RError, RJump
from rinterop.runtime import embedded, reports
from rinterop.runtime.callbacks import Callbacks
from rinterop.runtime.channel import Channel
from rinterop.runtime.functions import RFunction
from rinterop.runtime.interrupts import Interrupts
from rinterop.runtime.memory import is_big
from rinterop.serialize.writer import dumps
from rinterop.values import (
    NULL,
    Builtin,
    Call,
    Cell,
    Closure,
    Expression,
    Pairs,
    Promise,
    RValue,
    Symbol,
    call,
    character,
    list_,
    logical,
    named_list,
    symbol,
)

_TO_QUOTE: Final = (Symbol, Pairs, Promise)
"""Arguments that R would evaluate."""
_KEPT_SIGNALS: Final = (signal.SIGINT, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2)
_CLOSE_DEVICES: Final = "if ('grDevices' %in% loadedNamespaces()) grDevices::graphics.off()"

_session: Session | None = None


def start() -> Session:
    """The R of this process, started if need be: the R that `Rscript` would be, with its profiles.

    An R that rpy2 has started is used as it is, and rpy2 will use the one started here.

    Raises:
        RuntimeUnavailableError: If R or rpy2 is missing, or they don't fit; says what to do.
        RuntimeError: If called outside the main thread.
    """
    global _session
    if _session is None:
        before = {number: signal.getsignal(number) for number in _KEPT_SIGNALS}
        is_new = embedded._started is None
        r = embedded.start()
        if is_new:
            for number, handler in before.items():
                signal.signal(number, handler)
            # A convention of reticulate's which rpy2 keeps to: whoever comes later does not start R again.
            os.environ["R_SESSION_INITIALIZED"] = f'PID={os.getpid()}:NAME="rinterop"'
        _session = Session(r)
    return _session


class Session:
    """The R of this process, for use from the thread that started it. Made by `start`.

    R values come back as `rinterop.values`, snapshots that share no memory with R; or, with `convert=True`,
    as what `rinterop.to_python` makes of them. What is passed may be an R value, a Python callable (it
    becomes an R function, see `function`), or anything that `rinterop.to_r` takes.

    R's warnings are Python warnings of category `RWarning`, given when R is done. What R prints goes to the
    process's standard output and error, not through `sys.stdout`.
    """

    def __init__(self, r: embedded.EmbeddedR) -> None:
        self._r = r
        self._thread = threading.get_ident()
        self._interrupts = Interrupts()
        self._callbacks = Callbacks(self._value, self._interrupts)
        self._channel = Channel(r, self._callbacks.provide)
        atexit.register(self._end, os.getpid())

    @property
    def version(self) -> str:
        """R's version, like `4.2.2`."""
        return self._r.version

    def eval(
        self,
        code: str | RValue,
        env: RValue | Mapping[str, object] | None = None,
        *,
        convert: bool = False,
    ) -> Any:
        """Evaluate R code.

        Args:
            code: A text, of which each expression is evaluated in turn; or a call, a symbol or an
                `Expression`. Any other R value is its own value.
            env: Where. None: in the global environment. Variables by name: in a new environment, enclosed
                by the global one. An environment: there, which is a copy of it unless it is the global one,
                a namespace or a package's.
            convert: Whether to give what `to_python` makes of the value; of a function, one to call.

        Returns:
            The last expression's value.

        Raises:
            RError: If R code stopped with an error.
            RJump: If it was left by a jump to top level.
            KeyboardInterrupt: On Ctrl-C, which R code may handle itself: `tryCatch(..., interrupt = )`.
            RuntimeError: If called outside the thread that started R.
        """
        is_source = isinstance(code, str)
        value = self._evaluate(character(code) if isinstance(code, str) else code, env, text=is_source)
        return self._converted(value) if convert else value

    def call(
        self,
        function: str | RValue | Callable[..., Any],
        /,
        *args: object,
        convert: object = False,  # a bool; as such, type checkers would refuse **{"na.rm": value}
        **kwargs: object,
    ) -> Any:
        """Call an R function: `call("rnorm", 3)`, `call("stats::sd", x, **{"na.rm": True})`.

        As with R's `do.call(quote = TRUE)`, the arguments are values: nothing in them is evaluated.

        Args:
            function: A name, seen from the global environment, or `package::name`; or a function.
            args: Arguments without names. `MISSING_ARG` leaves one out, as in `x[, 1]`.
            kwargs: Arguments with names.
            convert: As with `eval`.

        Raises:
            RError, RJump, KeyboardInterrupt, RuntimeError: As with `eval`.
        """
        head = _function_name(function) if isinstance(function, str) else self._value(function)
        value = self._called(head, args, kwargs)
        return self._converted(value) if convert else value

    def _called(self, head: RValue, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RValue:
        """The value of a call; see `call`."""
        cells = [Cell(head)]
        vectors: list[tuple[int, RValue]] = []
        for name, argument in [*((None, a) for a in args), *kwargs.items()]:
            value = self._value(argument)
            if is_big(value):
                vectors.append((len(cells) + 1, value))
                value = NULL
            elif isinstance(value, _TO_QUOTE):
                value = call("quote", value)
            cells.append(Cell(value, None if name is None else Symbol(name)))
        return self._evaluate(Call(tuple(cells)), None, vectors)

    def parse(self, source: str) -> Expression:
        """The expressions of an R source text, unevaluated.

        Raises:
            RError: If it is not R; the message says where.
        """
        parsed = self.eval(
            call(
                "parse",
                text=character(source),
                **{"keep.source": logical(False)},
                encoding=character("UTF-8"),
            )
        )
        assert isinstance(parsed, Expression)
        return parsed

    def function(self, function: Callable[..., Any], *, convert: bool = True) -> RValue:
        """A value that is an R function in this session, which calls a Python one.

        What it returns goes to R. A Python exception is an R error there, of class `python_error`, and if
        no R code handles it, it is the `__cause__` of the `RError`; KeyboardInterrupt, SystemExit and the
        like leave R at once and come out as they are. `function` is kept until neither R has the R function
        nor Python the value.

        Args:
            function: Called with R's arguments, those with names as keywords.
            convert: Whether it gets what `to_python` makes of them, or R values.
        """
        return self._callbacks.function(function, self._converted if convert else _as_it_is)

    def to_rpy2(self, value: object) -> Any:
        """An rpy2 object (`rpy2.rinterface.Sexp`) with the value."""
        from rpy2 import rinterface
        from rpy2.rinterface_lib import conversion

        self._check_thread()
        rinterface.initr()  # takes this session's R for its own
        of_pointer: Callable[[Any], Any] = conversion._cdata_to_rinterface
        passed = self._value(value)  # kept until R has read it: see `Held`
        return of_pointer(self._channel.unpack(dumps(passed, form="native")))

    def from_rpy2(self, sexp: Any, *, convert: bool = False) -> Any:
        """The value of an rpy2 object (anything with rpy2's `__sexp__`)."""
        self._check_thread()
        value = self._channel.pack(sexp.__sexp__._cdata)
        return self._converted(value) if convert else value

    def _evaluate(
        self,
        code: RValue,
        env: RValue | Mapping[str, object] | None,
        vectors: Sequence[tuple[int, RValue]] = (),
        *,
        text: bool = False,
    ) -> RValue:
        self._check_thread()
        request = list_(code, self._frame(env))  # kept until R has read it: see `Held`
        was_with_r = self._interrupts.to_r()
        try:
            value, report = self._channel.evaluate(dumps(request, form="native"), vectors, text=text)
        except RJump:
            escaping = self._callbacks.end()
            if escaping is not None:
                raise escaping from None
            raise
        finally:
            if not was_with_r:
                self._interrupts.to_python()
        self._callbacks.end()
        if self._channel.take_interrupt():
            raise KeyboardInterrupt
        if report is not None:
            try:
                reports.warn(report)
            finally:  # a warning that is an error for Python does not hide R's
                self._raise(reports.error_of(report))
        assert value is not None
        return value

    def _raise(self, error: RError | None) -> None:
        if error is None:
            return
        if reports.is_interrupt(error):
            raise KeyboardInterrupt
        cause = self._callbacks.held.find(reports.exception_behind(error))
        if isinstance(cause, BaseException):
            raise error from cause
        raise error

    def _value(self, argument: object) -> RValue:
        if isinstance(argument, RValue):
            return argument
        if isinstance(argument, RFunction):
            return argument.value
        if callable(argument):
            return self.function(argument)
        from rinterop.convert import to_r

        return to_r(argument)

    def _converted(self, value: RValue) -> Any:
        if isinstance(value, (Closure, Builtin)):
            return RFunction(value, self._call_converted)
        from rinterop.convert import to_python

        return to_python(value)

    def _call_converted(self, function: RValue, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._converted(self._called(function, args, kwargs))

    def _frame(self, env: RValue | Mapping[str, object] | None) -> RValue:
        if env is None or isinstance(env, RValue):
            return NULL if env is None else env
        return named_list([(name, self._value(value)) for name, value in env.items()])

    def _check_thread(self) -> None:
        if threading.get_ident() != self._thread:
            raise RuntimeError("R can be used only in the thread that started it")

    def _end(self, pid: int) -> None:
        """What R does at its end: close graphics devices, run finalizers, remove the temporary directory."""
        rpy2 = sys.modules.get("rpy2.rinterface_lib.embedded")
        if os.getpid() != pid or (rpy2 is not None and rpy2.isinitialized()):
            return  # in a fork none of this is ours; rpy2 does the same
        with contextlib.suppress(RJump):
            self._r.evaluate(_CLOSE_DEVICES, self._r.rlib.R_BaseEnv)
        self._r.rlib.R_RunExitFinalizers()
        self._r.rlib.R_CleanTempDir()


def _as_it_is(value: RValue) -> RValue:
    return value


def _function_name(name: str) -> RValue:
    package, operator, function = name.partition("::")
    if not operator:
        return symbol(name)
    internal = function.startswith(":")
    return call(":::" if internal else "::", symbol(package), symbol(function.lstrip(":")))
