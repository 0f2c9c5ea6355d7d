"""R functions as Python ones."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Protocol

from rinterop.convert import register_to_r
from rinterop.values import Closure, RValue, deparse


class Caller(Protocol):
    """Calls R functions."""

    def __call__(self, function: RValue, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value of a call, as `rinterop.to_python` makes it."""
        ...


class RFunction:
    """A function of R that Python can call: `f(1, 2)`, `f(x, **{"na.rm": True})`.

    Arguments and results are converted, as `Session.call(..., convert=True)` does it, and raises what that
    raises. Passed back to R it is the function that it was.

    Attributes:
        value: The function as an R value.
    """

    __slots__ = ("_call", "value")

    def __init__(self, value: RValue, call: Caller) -> None:
        self.value = value
        self._call = call

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._call(self.value, args, kwargs)

    def __repr__(self) -> str:
        head = deparse(self.value, nlines=1)[0].strip()
        return f"<R {head}>" if isinstance(self.value, Closure) else f"<R function {head}>"


register_to_r(RFunction, attrgetter("value"))
