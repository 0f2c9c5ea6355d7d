"""The body of a session's job: it calls the function that comes with each call."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydoredis import pickles
from pydoredis.errors import EvaluatorError, shown

Buffer: TypeAlias = "bytes | bytearray | memoryview | pickle.PickleBuffer"

MOST_FUNCTIONS = 256
"""How many functions an executor keeps for the calls to come."""


@dataclass(slots=True)
class Caller:
    """Calls functions that come as bytes: a function is unpickled once, however often it is called.

    Attributes:
        function: The function of calls that bring none, pickled.
        function_buffers: Its large buffers, which are not in its pickle.
        buffers: Large buffers of the arguments of calls that bring none: each call has its own copy.
    """

    function: bytes = b""
    function_buffers: Sequence[Buffer] = ()
    buffers: Sequence[Buffer] = ()
    _functions: dict[bytes, Any] = field(default_factory=dict)

    def __call__(
        self,
        function: bytes,
        arguments: bytes,
        function_buffers: Sequence[Buffer] = (),
        buffers: Sequence[Buffer] = (),
    ) -> Any:
        """Call a function.

        Args:
            function: The function, pickled; empty: that of the session.
            arguments: A pickled pair: positional arguments, and named ones.
            function_buffers: Large buffers of the function, if it brings some.
            buffers: Those of the arguments.

        Raises:
            EvaluatorError: If one of them cannot be unpickled here.
            Exception: Whatever the function raises.
        """
        if function_buffers:
            called = load("the function", function, function_buffers)
        else:
            called = self._known(function) if function else self._known(self.function, self.function_buffers)
        positional, named = load("the arguments", arguments, buffers or [*map(bytearray, self.buffers)])
        return called(*positional, **named)

    def _known(self, pickled: bytes, buffers: Sequence[Buffer] = ()) -> Any:
        """The function, which is unpickled if this is its first call."""
        known = self._functions
        found = known.get(pickled)
        if found is None:
            found = load("the function", pickled, buffers)
            if len(known) >= MOST_FUNCTIONS:
                del known[next(iter(known))]
            known[pickled] = found
        return found


def load(what: str, pickled: bytes, buffers: Sequence[Buffer]) -> Any:
    """Unpickle what was sent along with a call.

    Raises:
        EvaluatorError: If that is impossible here; says what to do.
    """
    try:
        return pickle.loads(pickled, buffers=buffers)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        cause = f"{type(error).__name__}: {shown(error, str)}"
        raise EvaluatorError(
            "python", f"{what} cannot be unpickled here: {cause}{pickles.advice(error)}"
        ) from error
