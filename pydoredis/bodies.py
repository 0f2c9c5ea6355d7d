"""What runs in each iteration: Python callables, and R code; and the codec that each of them needs."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rinterop
from pydoredis.errors import ConfigError, LocalProtocolError
from pydoredis.job_options import JobOptions
from pydoredis.protocol.codec import Arguments, JobCodec
from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.protocol.r import RCodec, RExpression

Body = Callable[..., Any] | RExpression | rinterop.RValue
"""A Python callable, an R expression as text (`rexpr`), or one as a value (a call, a symbol)."""


def rexpr(source: str) -> RExpression:
    """R code as a loop's body: `rexpr("sqrt(j) + k")` sees the loop's variables and what is exported.

    Workers parse it, so no R is needed here. As an export it is what the code evaluates to:
    `export={"f": rexpr("function(x) x^2")}`.

    Raises:
        LocalProtocolError: If it is empty, or no text.
    """
    return RExpression(source)


def codec_for(body: Body, options: JobOptions) -> JobCodec:
    """The codec of a job with this body.

    Raises:
        ConfigError: If an option makes no sense for the body's language, or `body` is no body.
    """
    if isinstance(body, (RExpression, rinterop.RValue)):
        return _r_codec(body, options)
    if callable(body):
        return _python_codec(body, options)
    raise ConfigError("body", body, "a function, or R code as in rexpr('sqrt(j)')")


def _r_codec(body: RExpression | rinterop.RValue, options: JobOptions) -> RCodec:
    if options.reduce is not None:
        raise ConfigError("reduce", options.reduce, "left out: R workers return each value by itself")
    exports = options.export
    if not isinstance(exports, Mapping):
        raise ConfigError("export", exports, 'a mapping for R bodies, like {"k": 2}')
    if options.worker_init is not None:
        exports = {**exports, "worker.init": _worker_init(options.worker_init)}
    return RCodec(body, exports, options.packages, options.convert, options.seed, options.limits)


def _worker_init(code: Any) -> Any:
    """R code as the function `worker.init`."""
    if isinstance(code, RExpression):
        return (
            code
            if code.source.lstrip().startswith("function")
            else rexpr(f"function() {{\n{code.source}\n}}")
        )
    if isinstance(code, rinterop.Closure):
        return code
    raise ConfigError("worker_init", code, "R code for an R body, as in rexpr('library(boot)')")


def _python_codec(body: Callable[..., Any], options: JobOptions) -> PythonCodec:
    if options.worker_init is not None and not callable(options.worker_init):
        raise ConfigError(
            "worker_init", options.worker_init, "a function without arguments for a Python body"
        )
    exports = options.export
    named = dict(exports) if isinstance(exports, Mapping) else {thing.__name__: thing for thing in exports}
    modules = {name: thing for name, thing in named.items() if isinstance(thing, types.ModuleType)}
    variables = {name: value for name, value in named.items() if name not in modules}
    program = Program(
        _without(body, options.noexport), options.worker_init, options.reduce, variables, options.seed
    )
    return PythonCodec(program, options.packages, options.limits, tuple(modules.values()))


def _without(body: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """The body with some globals left behind."""
    if not names or not isinstance(body, types.FunctionType):
        return body
    kept = {name: value for name, value in body.__globals__.items() if name not in names}
    copy = types.FunctionType(body.__code__, kept, body.__name__, body.__defaults__, body.__closure__)
    copy.__kwdefaults__ = body.__kwdefaults__
    return copy


# --- how a body is called ---------------------------------------------------------------------------------


def takes_positional(body: Body) -> bool:
    """Whether a body wants the values of variables without a name.

    In R they are never seen. A Python function that takes no positional argument does not get them either, so
    that `foreach(icount(10)).dopar(draw)` calls `draw()`.
    """
    if isinstance(body, (RExpression, rinterop.RValue)):
        return False
    try:
        parameters = inspect.signature(body).parameters.values()
    except (TypeError, ValueError):  # written in C
        return True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in kinds or p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)


def binder(body: Body) -> Callable[[Arguments], Arguments]:
    """Makes what the body is called with of the variables of an iteration.

    The function that it returns raises LocalProtocolError at the first iteration if the body cannot be
    called like that.
    """
    positional = takes_positional(body)
    tried = False

    def bind(variables: Arguments) -> Arguments:
        nonlocal tried
        chosen = variables if positional else ((), variables[1])
        if not tried:
            _try_to_bind(body, chosen)
            tried = True
        return chosen

    return bind


def _try_to_bind(body: Body, arguments: Arguments) -> None:
    if isinstance(body, (RExpression, rinterop.RValue)):
        return
    try:
        signature = inspect.signature(body)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments[0], **arguments[1])
    except TypeError as error:
        name = getattr(body, "__name__", type(body).__name__)
        given = [*(f"<value {n}>" for n in range(1, len(arguments[0]) + 1)), *arguments[1]]
        raise LocalProtocolError(
            f"the body {name}{signature} cannot be called with the loop's variables "
            f"({', '.join(given)}): {error}"
        ) from error
