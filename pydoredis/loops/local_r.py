"""R bodies in this process: what `do` runs them with. The same engine as in a worker's executor."""

from __future__ import annotations

from typing import Any

from pydoredis.errors import EvaluatorError
from pydoredis.loops.bodies import Body, codec_for
from pydoredis.loops.options import JobOptions
from pydoredis.worker.engines.r import REngine
from pydoredis.worker.frames import Answer
from rinterop.runtime import RuntimeUnavailableError, start

_JOB = "do"
_ENVIRONMENT = 1

_RANDOM_STATE = "list(RNGkind(), get0('.Random.seed', globalenv(), inherits = FALSE))"
_PUT_BACK = """
    suppressWarnings(do.call(RNGkind, as.list(state[[1L]])))
    if (is.null(state[[2L]])) rm('.Random.seed', envir = globalenv()) else
        assign('.Random.seed', state[[2L]], envir = globalenv())
"""


class LocalR:
    """Evaluates an R body, one iteration at a time. A context manager, which leaves R's generator as it was.

    Raises:
        EvaluatorError: If R cannot run in this process; says what to do.
    """

    def __init__(self, body: Body, options: JobOptions) -> None:
        self._codec = codec_for(body, options)
        try:
            self._session = start()  # which leaves this program's signal handlers alone
            from rinterop.runtime import embedded  # which can be had where that can

            runtime = embedded.start()
        except RuntimeUnavailableError as error:
            raise EvaluatorError("rpy2", str(error)) from error
        self._engine = REngine(runtime, _no_agent, "R")

    @property
    def seed(self) -> int:
        """What the random numbers depend on."""
        return self._codec.seed

    def __enter__(self) -> LocalR:
        self._random = self._session.eval(_RANDOM_STATE)
        self._engine.load(_ENVIRONMENT, self._codec.encode_environment().value)
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.forget(_ENVIRONMENT)
        self._session.eval(_PUT_BACK, {"state": self._random})

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value of one iteration; raises its error."""
        task = self._codec.encode_task(_JOB, number, [(args, kwargs)])
        result = self._codec.decode_result(_JOB, self._engine.run(_ENVIRONMENT, task, {}))
        ((_, succeeded, value),) = result.items
        if succeeded:
            return value
        raise value


def _no_agent(_: bytes) -> tuple[bytes, bytes]:
    return Answer.ERROR.value, b"there is no Redis in do(): use dopar()"
