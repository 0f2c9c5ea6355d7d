"""R inside this process, through the C interface that rpy2 brings (`rpy2-rinterface`).

Only rpy2's description of R's C functions is used, not its Python objects. R is started here rather than by
`rpy2.rinterface.initr`, to be the R that `Rscript` would be: not interactive while the profiles are read,
R's own stack check and signal handlers, output written by R itself to the process's descriptors.

R lives in the main thread and nowhere else. Importing this module loads neither rpy2 nor R.
"""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rinterop.runtime import interrupts
from rinterop.runtime.base import ProvidedFunction, RawFunction, RError, RJump, RuntimeUnavailableError
from rinterop.runtime.locate import front_end_environment

OPTIONS = ("R", "--no-echo", "--no-restore", "--no-save")
"""What `Rscript` gives to R. Not `--vanilla`: users rely on `.Rprofile`, `.Renviron`, `R_LIBS` and renv."""

_LARGE_BYTES = 1 << 20
_RAW, _STRINGS = 24, 16  # R's type numbers RAWSXP and STRSXP

_started: EmbeddedR | None = None


def start() -> EmbeddedR:
    """Start R in this process; the second call returns the first one's R.

    Raises:
        RuntimeUnavailableError: If rpy2 is missing, doesn't fit this R, or R was not found.
        RuntimeError: If called outside the main thread.
    """
    global _started
    if _started is None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("R can be started in the main thread only")
        _started = EmbeddedR(openrlib())
    return _started


def openrlib() -> Any:
    """rpy2's `openrlib`: `rlib` (R's C functions) and `ffi`."""
    from rinterop.runtime.locate import misfit, static_problem

    problem = static_problem()
    if problem is not None:
        raise problem
    # That it works in its other mode, with an R that it was not built for, is of no interest to anybody.
    logging.getLogger("rpy2.rinterface_lib.openrlib").setLevel(logging.ERROR)
    try:
        from rpy2.rinterface_lib import openrlib
    except Exception as exc:  # ffi.error is no ImportError
        raise misfit(exc) from exc
    return openrlib


class EmbeddedR:
    """The R of this process; see `rinterop.runtime.base.Runtime`. Made by `start`."""

    def __init__(self, openrlib: Any) -> None:
        self.rlib: Any = openrlib.rlib
        self._ffi: Any = openrlib.ffi
        self._immortal: list[Any] = []  # what R may still point to
        if self.rlib.R_NilValue == self._ffi.NULL:  # else rpy2 started it already
            self._initialize(openrlib.R_HOME)
        # Without a handler, R ends a process that isn't interactive at the first error nobody caught.
        keep = "if (is.null(getOption('error'))) options(error = expression(NULL))"
        self.evaluate(keep, self.rlib.R_BaseEnv)
        self._environment: Any = None
        self.version = self._text('paste(R.version$major, R.version$minor, sep = ".")')

    def _initialize(self, home: str | None) -> None:
        if home is None:
            raise RuntimeUnavailableError("R was not found", "install R, or set R_HOME")
        for name, value in front_end_environment().items():
            if name.startswith("R_"):  # the paths of libraries would come too late
                os.environ[name] = value
        os.environ["R_HOME"] = home
        ffi, rlib = self._ffi, self.rlib
        arguments = [ffi.new("char[]", option.encode()) for option in OPTIONS]
        self._immortal.append(arguments)
        # With handlers of its own, R turns a stack overflow in C code into an R error where it can, and
        # prints a traceback before it dies of a segfault where it can't.
        rlib.R_SignalHandlers = 1
        interrupts.before_r_starts()
        rlib.Rf_initialize_R(len(arguments), ffi.new("char *[]", arguments))
        rlib.R_Interactive = False
        rlib.setup_Rmainloop()
        interrupts.take_from_r()

    def source(self, *paths: Path, provide: Mapping[str, ProvidedFunction] | None = None) -> None:
        """Evaluate R source files in one new environment; see `Runtime.source`."""
        self._environment = self.environment_of(*paths, provide=provide)

    def environment_of(self, *paths: Path, provide: Mapping[str, ProvidedFunction] | None = None) -> Any:
        """The new environment in which the files were evaluated, as a C pointer; kept for good."""
        rlib = self.rlib
        environment = self.evaluate("new.env(parent = .BaseNamespaceEnv)", rlib.R_BaseEnv)
        rlib.R_PreserveObject(environment)
        for name, function in (provide or {}).items():
            self._define(name, function, environment)
        for path in paths:
            self._set_text("source_path", str(path), environment)
            self.evaluate('eval(parse(source_path, keep.source = FALSE, encoding = "UTF-8"))', environment)
        return environment

    def function(self, name: str, numbers: int = 0) -> RawFunction:
        """The R function `name(data, numbers)`; see `Runtime.function`."""
        ffi, rlib, environment = self._ffi, self.rlib, self._environment
        if environment is None:
            raise RuntimeError("source() comes first")
        slot = f".{name}.data"
        integers = self.evaluate(f"`.{name}.numbers` <- integer({numbers})", environment)
        self.evaluate(f"`{slot}` <- NULL", environment)
        call = self._parse(f"{name}(`{slot}`, `.{name}.numbers`)")
        rlib.R_PreserveObject(call)
        symbol = rlib.Rf_install(slot.encode())
        # Written in place before each call: the R function copies what it wants to keep.
        into = rlib.INTEGER(integers)
        failed = ffi.new("int *")
        allocate, define, evaluate, raw = rlib.Rf_allocVector, rlib.Rf_defineVar, rlib.R_tryEval, rlib.RAW
        protect, unprotect, move, buffer = rlib.Rf_protect, rlib.Rf_unprotect, ffi.memmove, ffi.buffer
        length_of, nil = rlib.Rf_xlength, rlib.R_NilValue

        def call_r(data: bytes | bytearray, *values: int) -> bytes:
            vector = protect(allocate(_RAW, len(data)))
            move(raw(vector), data, len(data))
            define(symbol, vector, environment)
            unprotect(1)
            for index, value in enumerate(values):
                into[index] = value
            result = evaluate(call, environment, failed)
            if len(data) > _LARGE_BYTES:
                define(symbol, nil, environment)  # or it would stay until the next call
            if failed[0]:
                raise RJump(self.last_error())
            if result.sxpinfo.type == _RAW:
                return bytes(buffer(raw(result), length_of(result)))
            raise RError(self._string(result))

        return call_r

    def have_signals(self) -> None:
        """Let R have its signals for good, and suspend interrupts until R code allows them again."""
        self.evaluate(".Internal(interruptsSuspended(TRUE))", self.rlib.R_BaseEnv)
        interrupts.leave_to_r()

    def forget_interrupt(self) -> None:
        """Take back an interrupt that R has been asked for; see `Runtime.forget_interrupt`."""
        self.rlib.R_interrupts_pending = 0

    def quit(self) -> None:
        """End R and the process; see `Runtime.quit`."""
        self.evaluate("quit('no', 0)", self.rlib.R_BaseEnv)

    # Below: plain use of R's C interface. Every value is used up before R can collect it.

    def _parse(self, code: str) -> Any:
        rlib, ffi = self.rlib, self._ffi
        status = ffi.new("ParseStatus *")
        text = rlib.Rf_protect(rlib.Rf_mkString(code.encode()))
        parsed = rlib.R_ParseVector(text, -1, status, rlib.R_NilValue)
        rlib.Rf_unprotect(1)
        return rlib.VECTOR_ELT(parsed, 0)

    def call(self, code: str) -> Any:
        """One expression, parsed; kept for good."""
        parsed = self._parse(code)
        self.rlib.R_PreserveObject(parsed)
        return parsed

    def evaluate(self, code: str, environment: Any) -> Any:
        """The value of one expression, not protected. Raises `RJump` on an error."""
        failed = self._ffi.new("int *")
        call = self.rlib.Rf_protect(self._parse(code))
        result = self.rlib.R_tryEval(call, environment, failed)
        self.rlib.Rf_unprotect(1)
        if failed[0]:
            raise RJump(self.last_error())
        return result

    def _string(self, value: Any) -> str:
        if value.sxpinfo.type != _STRINGS or self.rlib.Rf_xlength(value) < 1:
            return "an R function returned neither a raw vector nor a string"
        element = self.rlib.STRING_ELT(value, 0)
        text: bytes = self._ffi.string(self.rlib.R_CHAR(element))
        return text.decode("utf-8", "replace")

    def _text(self, code: str) -> str:
        return self._string(self.evaluate(code, self.rlib.R_BaseEnv))

    def last_error(self) -> str:
        """What R said of the last error that nobody caught."""
        failed = self._ffi.new("int *")
        call = self.rlib.Rf_protect(self._parse("enc2utf8(geterrmessage())"))
        result = self.rlib.R_tryEval(call, self.rlib.R_BaseEnv, failed)
        self.rlib.Rf_unprotect(1)
        return "R failed" if failed[0] else self._string(result).strip()

    def _set_text(self, name: str, text: str, environment: Any) -> None:
        rlib = self.rlib
        value = rlib.Rf_protect(rlib.Rf_mkString(text.encode()))
        rlib.Rf_defineVar(rlib.Rf_install(name.encode()), value, environment)
        rlib.Rf_unprotect(1)

    def _define(self, name: str, function: ProvidedFunction, environment: Any) -> None:
        """Make `function` an R function of one raw vector, callable through `.Call`."""
        ffi, rlib = self._ffi, self.rlib

        def called_by_r(argument: Any) -> Any:
            try:
                answer = function(bytes(ffi.buffer(rlib.RAW(argument), rlib.Rf_xlength(argument))))
            except BaseException:  # nothing can be raised through R, nor can R be left without a value
                traceback.print_exc()
                os._exit(70)
            vector = rlib.Rf_allocVector(_RAW, len(answer))
            ffi.memmove(rlib.RAW(vector), answer, len(answer))
            return vector

        pointer = ffi.callback("SEXP(SEXP)", called_by_r)
        self._immortal.append(pointer)
        symbol = rlib.R_MakeExternalPtr(
            ffi.cast("DL_FUNC", pointer), rlib.Rf_install(b"native symbol"), rlib.R_NilValue
        )
        rlib.Rf_protect(symbol)
        rlib.Rf_defineVar(rlib.Rf_install(f".{name}.symbol".encode()), symbol, environment)
        rlib.Rf_unprotect(1)
        # In an environment of its own, so that a copy of the function takes nothing else along.
        self.evaluate(
            f"{name} <- local(function(data) .Call(symbol, data),"
            f" list2env(list(symbol = `.{name}.symbol`), parent = .BaseNamespaceEnv))",
            environment,
        )
