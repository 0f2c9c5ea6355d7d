"""The jobs behind calls: what they are made of, and how they begin, for `Executor` and joblib alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

from pydoredis.coordinator.session import Session
from pydoredis.loops.bodies import python_seed
from pydoredis.loops.options import JobOptions
from pydoredis.protocol.codec import JobCodec
from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.registered import Place, stand_in
from pydoredis.settings import secret

if TYPE_CHECKING:
    from pydoredis.testing.session import SessionInProcess

AnySession: TypeAlias = "Session | SessionInProcess"

Init: TypeAlias = "Callable[[], Any] | None"
"""Called once per worker process, before its first call of a session."""


def calling_codec(
    caller: Callable[..., Any], options: JobOptions, init: Init, by_value: Sequence[ModuleType]
) -> PythonCodec:
    """The codec of a session's job, whose body makes the calls.

    Args:
        caller: The body.
        options: How the job is run.
        init: Called once per worker process, before its first call.
        by_value: Modules whose code is sent along.
    """
    program = Program(caller, init, seed=python_seed(options))
    return PythonCodec(program, options.packages, options.limits, by_value, secret.job_signer())


def begin_session(place: Place, options: JobOptions, codec: JobCodec) -> AnySession:
    """A session on this queue; in a unit test that runs without a pool, one in this process.

    Raises:
        RuntimeError: If the program ends.
    """
    instead = stand_in()
    make = Session if instead is None else instead.session
    return make(
        place.connection,
        place.keys,
        codec,
        ftinterval_s=options.ftinterval,
        max_crashes=options.max_crashes,
        private=place.private,
        retries=options.retry,
    )
