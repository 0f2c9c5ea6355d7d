"""R bodies in this process: what `do` runs them with. The same engine as in a worker's executor."""

from __future__ import annotations

import functools
import itertools
from typing import Any

from pydoredis.errors import EvaluatorError
from pydoredis.loops.bodies import Body, codec_for
from pydoredis.loops.options import JobOptions
from pydoredis.worker.engines.base import Ask
from pydoredis.worker.engines.r import REngine
from pydoredis.worker.frames import Answer
from rinterop.runtime import RuntimeUnavailableError, start

_JOB = "do"
_numbers = itertools.count(1)  # of environments

_RANDOM_STATE = "list(RNGkind(), get0('.Random.seed', globalenv(), inherits = FALSE))"
_PUT_BACK = """
    suppressWarnings(do.call(RNGkind, as.list(state[[1L]])))
    if (is.null(state[[2L]])) rm('.Random.seed', envir = globalenv()) else
        assign('.Random.seed', state[[2L]], envir = globalenv())
"""


class EmbeddedR:
    """Runs the tasks of one job with an R body. A context manager, which leaves R's generator as it was.

    Args:
        environment: The job's environment, as it would be in Redis.
        ask: Answers what bodies ask of an agent.

    Raises:
        EvaluatorError: If R cannot run in this process; says what to do.
    """

    def __init__(self, environment: bytes, ask: Ask) -> None:
        self._environment = environment
        self._ask = ask
        try:
            self._session = start()  # which leaves this program's signal handlers alone
            self._engine = _engine()
        except RuntimeUnavailableError as error:
            raise EvaluatorError("rpy2", str(error)) from error

    def __enter__(self) -> EmbeddedR:
        self._number = next(_numbers)
        self._random = self._session.eval(_RANDOM_STATE)
        self._engine.load(self._number, self._environment)
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.forget(self._number)
        self._session.eval(_PUT_BACK, {"state": self._random})

    def run(self, payload: bytes) -> bytes:
        """The result message of a task.

        Raises:
            TaskRefused: If it cannot be read.
            KeyboardInterrupt: At Ctrl-C.
        """
        global _asked
        before, _asked = _asked, self._ask
        try:
            return self._engine.run(self._number, payload, {})
        finally:
            _asked = before


class LocalR:
    """Evaluates an R body, one iteration at a time. A context manager; raises what `EmbeddedR` raises."""

    def __init__(self, body: Body, options: JobOptions) -> None:
        self._codec = codec_for(body, options)
        self._r = EmbeddedR(self._codec.encode_environment().value, _no_agent)

    @property
    def seed(self) -> int:
        """What the random numbers depend on."""
        return self._codec.seed

    def __enter__(self) -> LocalR:
        self._r.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._r.__exit__()

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value of one iteration; raises its error."""
        task = self._codec.encode_task(_JOB, number, [(args, kwargs)])
        result = self._codec.decode_result(_JOB, self._r.run(task))
        ((_, succeeded, value),) = result.items
        if succeeded:
            return value
        raise value


@functools.cache
def _engine() -> REngine:
    """One for all: what R bodies find in R's search path is attached once."""
    from rinterop.runtime import embedded  # which can be had where R can

    return REngine(embedded.start(), lambda data: _asked(data), "R")


def _no_agent(_: bytes) -> tuple[bytes, bytes]:
    return Answer.ERROR.value, b"there is no Redis in do(): use dopar()"


_asked: Ask = _no_agent
"""Answers what the body that runs asks of an agent."""
