"""Which session a call belongs to: sessions share what their calls have in common.

Small calls have one session. What is large, functions and buffers of arguments, is sent along with its call
the first time. When it comes a second time it gets a session of its own, in whose environment it is: workers
then have it once per machine. R code has a session for each text.
"""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import rinterop
from pydoredis.coordinator.session import Call, Over
from pydoredis.futures.jobs import AnySession, Init, begin_session, calling_codec
from pydoredis.futures.packing import NOTHING, Digest, Packed, pack_arguments, pack_function
from pydoredis.futures.r_calls import Given, r_call
from pydoredis.iteration.caller import Caller
from pydoredis.loops.bodies import RBody, codec_for
from pydoredis.loops.options import JobOptions
from pydoredis.pickles.function_cache import FunctionCache
from pydoredis.protocol import parts
from pydoredis.protocol.codec import JobCodec
from pydoredis.protocol.python import PythonCodec
from pydoredis.protocol.r import RExpression
from pydoredis.registered import Place

MOST_SESSIONS = 16
"""How many are kept for the calls to come."""

LARGE_FUNCTION_BYTES = 8192
"""A function from this size on is not sent along with each of its calls."""

MOST_REMEMBERED = 4096
"""Of how many large functions and arguments it is remembered that they were sent."""


class Sessions:
    """The sessions of an executor. For any thread.

    Args:
        place: Where their jobs go.
        options: How they are run.
        init: Called once per worker process, before its first call of a session.
        by_value: Modules whose code is sent along.
    """

    def __init__(
        self,
        place: Place,
        options: JobOptions,
        *,
        init: Init = None,
        by_value: Sequence[ModuleType] = (),
    ) -> None:
        self._place = place
        self._options = options
        self._init = init
        self._by_value = by_value
        self._functions = FunctionCache(lambda function: pack_function(function, by_value))
        self._lock = threading.Lock()
        # What follows is changed under this lock.
        self._sessions: OrderedDict[Hashable, AnySession] = OrderedDict()
        self._finishing: list[AnySession] = []
        self._sent: OrderedDict[Digest, None] = OrderedDict()

    # --- calls --------------------------------------------------------------------------------------------

    def call(self, function: Callable[..., Any], given: Given) -> Call:
        """Have a Python function called; returns the call, which has the future.

        Raises:
            CallNotPicklable: If the function or an argument cannot be sent.
        """
        packed = self._functions.get(function)
        return self._call(packed, [pack_arguments(*given, self._by_value)], together=False)

    def calls(self, function: Callable[..., Any], given: Sequence[Given]) -> Call:
        """Have a Python function called several times in one task. As `call` otherwise."""
        packed = self._functions.get(function)
        return self._call(packed, [pack_arguments(*one, self._by_value) for one in given], together=True)

    def evaluate(self, code: RBody, given: Given) -> Call:
        """Have R code evaluated, or an R function called.

        Raises:
            CallNotPicklable: If an argument has no form in R.
            LocalProtocolError: If one has no name although the code is no function.
        """
        body, variables = r_call(code, given)
        call = Call([((), variables)])
        key = body.source if isinstance(body, RExpression) else rinterop.dumps(body)
        self._add(("r", key), lambda: codec_for(body, self._options), call)
        return call

    def _call(self, function: Packed, arguments: Sequence[Packed], *, together: bool) -> Call:
        shared_function = shared_arguments = b""
        if function.size >= LARGE_FUNCTION_BYTES:
            shared_function = self._shared(function.digest(), function.size)
        if len(arguments) == 1 and arguments[0].buffers:
            shared_arguments = self._shared(arguments[0].digest_of_buffers(), arguments[0].size)
        brought = (b"", []) if shared_function else (function.pickled, function.copies())
        call = Call(
            [
                ((brought[0], one.pickled, brought[1], [] if shared_arguments else one.copies()), {})
                for one in arguments
            ],
            together=together,
        )
        make = partial(
            self._codec,
            function if shared_function else NOTHING,
            arguments[0] if shared_arguments else NOTHING,
        )
        self._add(("python", shared_function, shared_arguments), make, call)
        return call

    def _shared(self, digest: Digest, size: int) -> Digest:
        """The digest if what it stands for belongs into a session of its own, else an empty one."""
        with self._lock:
            was_sent = digest in self._sent
            self._sent[digest] = None
            self._sent.move_to_end(digest)
            if len(self._sent) > MOST_REMEMBERED:
                self._sent.popitem(last=False)
        return digest if was_sent or size >= parts.PIECE_BYTES else b""

    def _codec(self, function: Packed, arguments: Packed) -> PythonCodec:
        caller = Caller(
            function.pickled,
            [*map(pickle.PickleBuffer, function.copies())],
            [*map(pickle.PickleBuffer, arguments.copies())],
        )
        return calling_codec(caller, self._options, self._init, self._by_value)

    def _add(self, key: Hashable, make: Callable[[], JobCodec], call: Call) -> None:
        """Give a call to its session, which is made if need be."""
        while True:
            with self._lock:
                session = self._sessions.get(key)
                if session is None:
                    session = self._sessions[key] = begin_session(self._place, self._options, make())
                    self._let_go()
                self._sessions.move_to_end(key)
            try:
                session.add(call)
            except Over:
                with self._lock:
                    if self._sessions.get(key) is session:
                        del self._sessions[key]
            else:
                return

    def _let_go(self) -> None:
        """Finish those that were used least recently, if there are too many."""
        while len(self._sessions) > MOST_SESSIONS:
            _, session = self._sessions.popitem(last=False)
            session.finish()
            self._finishing = [one for one in self._finishing if one.outstanding] + [session]

    # --- their end ----------------------------------------------------------------------------------------

    def all(self) -> list[AnySession]:
        """Those that may still have calls."""
        with self._lock:
            return [*self._sessions.values(), *self._finishing]

    def finish(self) -> None:
        """Let all of them end when they have no calls any more."""
        for session in self.all():
            session.finish()
