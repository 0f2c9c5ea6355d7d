"""Conversion of values of any depth: nested conversions are generators on a stack of our own."""

from __future__ import annotations

from collections.abc import Generator
from types import GeneratorType
from typing import Any, Protocol, TypeAlias

from rinterop.serialize.collector import pause

Steps: TypeAlias = Generator[Any, Any, Any]
"""A conversion under way: yields conversions of its parts (or results it already has), gets
what they give, and returns its own result."""


class Conversion(Protocol):
    """A conversion to R that is under way, as those see it who convert things of other packages."""

    def convert(self, value: Any) -> Any:
        """The R value, or the steps that lead to it."""
        ...

    def within(self, container: Any, steps: Any) -> Steps:
        """Take steps on behalf of a container; one that contains itself is an error."""
        ...

    def column(self, values: Any, pairs: Any = None, storage: Any = None) -> Any:
        """A column of a data frame, in the type and with the attributes it once had, if they still fit."""
        ...


def finish(result: Any) -> Any:
    """The result of a conversion, whether it is there already or a generator of steps."""
    if not isinstance(result, GeneratorType):
        return result
    with pause:
        return _finished(result)


def _finished(first: Steps) -> Any:
    stack: list[Steps] = [first]
    given: Any = None
    failure: BaseException | None = None
    while stack:
        try:
            if failure is None:
                asked = stack[-1].send(given)
            else:
                # Those that wait for a part learn of its failure, as a caller would.
                raised, failure = failure, None
                asked = stack[-1].throw(raised)
        except StopIteration as stop:
            stack.pop()
            given = stop.value
        except BaseException as error:
            stack.pop()
            failure = error
        else:
            if isinstance(asked, GeneratorType):
                stack.append(asked)
                given = None
            else:
                given = asked
    if failure is not None:
        raise failure
    return given
