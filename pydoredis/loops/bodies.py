"""What runs in each iteration: Python callables, and R code; and the codec that each of them needs."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeGuard, cast

import rinterop
from pydoredis.errors import ConfigError, LocalProtocolError, shown
from pydoredis.iteration import streams
from pydoredis.iteration.variables import Globals
from pydoredis.loops.exports import Exports
from pydoredis.loops.names import unmentioned
from pydoredis.loops.nesting import Plan
from pydoredis.loops.options import JobOptions
from pydoredis.protocol.codec import Arguments, JobCodec
from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.protocol.r import RCodec, RExpression
from pydoredis.settings import secret

RBody: TypeAlias = RExpression | rinterop.RValue
"""R code as text (`rexpr`), or as a value (a call, a symbol)."""

Body: TypeAlias = Callable[..., Any] | RBody
"""A Python callable, or R code."""


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
    if is_python(body):
        return _python_codec(body, options)
    return _r_codec(cast("RBody", body), options)


def is_python(body: Body) -> TypeGuard[Callable[..., Any]]:
    """Whether a body is a Python callable, and not R code.

    Raises:
        ConfigError: If it is neither.
    """
    if isinstance(body, (RExpression, rinterop.RValue)):
        return False
    if inspect.iscoroutinefunction(body) or inspect.isasyncgenfunction(body):
        raise ConfigError(
            "body",
            body,
            "a plain function, for workers run no event loop: lambda x: asyncio.run(body(x)), say",
        )
    if callable(body):
        return True
    raise ConfigError("body", body, "a function, or R code as in rexpr('sqrt(j)')")


def check_variables(body: Body, plan: Plan, exports: Exports) -> None:
    """Refuse R code that does not mention one of several variables: a loop ends with the shortest of them.

    (Python bodies have parameters, see `binder`.) A variable that is alone may just count.

    Raises:
        ConfigError: With the variable.
    """
    if is_python(body):
        return
    sources = [*_r_sources([body, *exports.variables.values()])]
    for loop in plan.loops:
        if len(loop.positional) + len(loop.named) > 1:
            for name in unmentioned(loop.named.keys() - plan.names_in_python(), sources):
                raise ConfigError(
                    name,
                    loop.named[name],
                    "mentioned by the body, or without a name: the loop ends when it has no more values",
                )


def _r_sources(values: Iterable[Any]) -> Iterator[str]:
    """The R code among these."""
    for value in values:
        if isinstance(value, RExpression):
            yield value.source
        elif isinstance(value, rinterop.RValue):
            yield rinterop.values.deparse1(value)


def _r_codec(body: RBody, options: JobOptions) -> RCodec:
    if options.reduce is not None:
        raise ConfigError("reduce", options.reduce, "left out: R workers return each value by itself")
    exports = Exports.of(options.export)
    if exports.modules:
        raise ConfigError("export", [*exports.modules], "left out: R bodies have no use for a Python module")
    variables = exports.variables
    if options.worker_init is not None:
        variables = {**variables, "worker.init": _worker_init(options.worker_init)}
    return RCodec(
        body,
        variables,
        options.packages,
        options.convert,
        streams.fresh_seed() if options.seed is None else int(options.seed),
        options.limits,
    )


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
    exports = Exports.of(options.export)
    Globals(body, exports.variables)  # complains of a body that cannot have any
    modules = [value for value in exports.variables.values() if isinstance(value, types.ModuleType)]
    program = Program(
        _without(body, options.noexport),
        options.worker_init,
        options.reduce,
        exports.variables,
        python_seed(options),
    )
    by_value = (*exports.modules.values(), *modules)
    return PythonCodec(program, options.packages, options.limits, by_value, secret.job_signer())


def python_seed(options: JobOptions) -> int:
    """The seed of a job with a Python body: a fresh one, if none was given."""
    return streams.fresh_seed() if options.seed is None else streams.check_seed(int(options.seed))


def _without(body: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """The body with some globals left behind."""
    if not names:
        return body
    if not isinstance(body, types.FunctionType):
        raise ConfigError("noexport", names, "left out, as the body is no plain function")
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
    if not is_python(body):
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
    if not is_python(body):
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
            f"the body {name}{shown(signature, str)} cannot be called with the loop's variables "
            f"({', '.join(given)}): {error}"
        ) from error
