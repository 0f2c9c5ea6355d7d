"""R code as something that is called: an expression that sees variables, or a function with arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import rinterop
from pydoredis.errors import CallNotPicklable, LocalProtocolError
from pydoredis.loops.bodies import RBody
from pydoredis.pickles import culprit
from pydoredis.protocol.r import RExpression
from rinterop import values

Given: TypeAlias = tuple[Sequence[Any], dict[str, Any]]
"""Positional and named arguments of a call."""

ARGUMENTS = ".pydoredis.arguments"
"""The variable with the arguments of a call of an R function: a list."""

_FUNCTION = re.compile(r"\s*(function\b|\\\()")


def r_call(code: RBody, given: Given) -> tuple[RBody, dict[str, Any]]:
    """The body of a job that makes the call, and the variables of its iteration.

    Args:
        code: An R function, as a value or as text that begins with `function` or `\\(`, is called with the
            arguments. Any other code is evaluated, and sees them as variables.
        given: The arguments.

    Raises:
        CallNotPicklable: If an argument has no form in R.
        LocalProtocolError: If there are some without names for code that is no function.
    """
    positional, named = given
    arguments = [("", value) for value in positional] + [*named.items()]
    converted = [
        (name, _to_r(name or f"argument {n}", value)) for n, (name, value) in enumerate(arguments, 1)
    ]
    if isinstance(code, RExpression) and _FUNCTION.match(code.source):
        return _calling(code.call), {ARGUMENTS: values.named_list(converted)}
    if isinstance(code, rinterop.Closure):
        return _calling(code), {ARGUMENTS: values.named_list(converted)}
    if positional:
        raise LocalProtocolError(
            "R code that is no function sees its arguments as variables, which need names: "
            "submit(rexpr('x^2'), x=3), or submit(rexpr('function(x) x^2'), 3)"
        )
    return code, dict(converted)


def _calling(function: rinterop.RValue) -> rinterop.RValue:
    """`do.call(function, arguments, quote = TRUE)`."""
    return values.call("do.call", function, values.symbol(ARGUMENTS), quote=values.logical(True))


def _to_r(name: str, value: Any) -> rinterop.RValue:
    try:
        return rinterop.to_r(value)
    except rinterop.SerializeError as error:
        blamed = culprit.find(value, name, error, rinterop.to_r)
        raise CallNotPicklable(f"an argument cannot be sent: {blamed}") from error
