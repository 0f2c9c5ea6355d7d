"""Conversion of values of any depth: nested conversions are generators on a stack of our own."""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import GeneratorType
from typing import Any, TypeAlias

Steps: TypeAlias = Generator[Any, Any, Any]
"""A conversion under way: yields conversions of its parts (or results it already has), gets
what they give, and returns its own result."""


def finish(result: Any) -> Any:
    """The result of a conversion, whether it is there already or a generator of steps."""
    if not isinstance(result, GeneratorType):
        return result
    with _without_collections():
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


_lock = threading.Lock()
_pausing = 0
_was_enabled = False


@contextmanager
def _without_collections() -> Iterator[None]:
    """Pause the collector of cyclic garbage, of which a conversion makes none.

    Looking for it again and again among ever more new objects takes more time than making 100,000 small
    lists. The last of the threads that are here puts things back as the first has found them.
    """
    global _pausing, _was_enabled
    with _lock:
        if not _pausing:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pausing += 1
    try:
        yield
    finally:
        with _lock:
            _pausing -= 1
            if not _pausing and _was_enabled:
                gc.enable()
