"""Every exception that pydoredis raises on purpose, in one tree that says whose fault it is.

::

    DoRedisError
    ├── ConfigError (ValueError)             a setting makes no sense
    ├── StoreUnavailable (ConnectionError)   Redis was lost; the last command may or may not have happened
    ├── StoreFull                            Redis has no room for what is to be sent
    ├── ProtocolError
    │   ├── LocalProtocolError               our caller asked for what the protocol does not allow
    │   │   └── CallNotPicklable (PicklingError)     a function or an argument cannot be sent
    │   └── RemoteProtocolError              a peer wrote what the protocol does not allow
    ├── TaskError                            user code failed
    │   ├── WorkerCrashed                    it ended its worker process again and again
    │   └── TaskTimeout                      it took longer than its time limit
    ├── RemoteError                          stands for an exception whose class is not known here
    ├── UnknownJob (LookupError)             no job, or more than one, is called that
    ├── JobCancelled                         the job was cancelled, or removed by somebody
    ├── JobTimeout (TimeoutError)            the loop took longer than its `timeout`
    ├── NoWorkers                            nobody is there who could ever run the job
    └── EvaluatorError                       R could not start, or died
        └── ResultNotPicklable (PicklingError)       a value cannot be sent back

What a caller may want to act on is in attributes. All constructor arguments are in `args`, in order, so
that every error survives pickling on its way out of a child process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pickle import PicklingError
from typing import Any

LONGEST_SHOWN = 200
"""Characters of a setting's value in a message."""


def shown(value: object, how: Callable[[Any], str] = repr) -> str:
    """`repr` or `str` of a user's value, whatever that raises."""
    try:
        return str(how(value))
    except Exception as error:
        return f"<{type(value).__qualname__}, of which {how.__name__}() raises {type(error).__name__}>"


class DoRedisError(Exception):
    """Base of all errors of pydoredis."""


class ConfigError(DoRedisError, ValueError):
    """A setting makes no sense.

    Attributes:
        setting: Name of the setting, as on the command line without dashes.
        value: What it was given as. Never holds a password.
        allowed: What may stand there, as the end of the sentence "must be …".
        source: Where the value came from: an environment variable or a file; empty for an argument.
    """

    def __init__(self, setting: str, value: object, allowed: str, source: str = "") -> None:
        super().__init__(setting, value, allowed, source)
        self.setting = setting
        self.value = value
        self.allowed = allowed
        self.source = source

    def __str__(self) -> str:
        origin = f" (from {self.source})" if self.source else ""
        value = shown(self.value)
        if len(value) > LONGEST_SHOWN:
            value = f"{value[:LONGEST_SHOWN]}..."
        return f"{self.setting} = {value}{origin}: must be {self.allowed}"


_NO_KEY_USAGE = (
    "Python 3.13 and later want the authority's certificate to say what its key is for: make it anew with "
    "openssl req -x509 ... -addext keyUsage=critical,keyCertSign,cRLSign"
)


class StoreUnavailable(DoRedisError, ConnectionError):  # noqa: N818  (named for the state, not the fault)
    """Redis was lost or never reached; the last command may or may not have happened.

    Attributes:
        address: The server's URL without its password.
        reason: What the client library or the operating system said.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        advice = f" ({_NO_KEY_USAGE})" if "key usage extension" in self.reason else ""
        return f"Redis at {self.address} is not available: {self.reason}{advice}"


class StoreFull(DoRedisError):  # noqa: N818  (named for the state, not the fault)
    """Redis has no room for what is to be sent; nothing was sent.

    Attributes:
        address: The server's URL without its password.
        needed: How many bytes are to be sent.
        free: How many it has room for.
        limit: Its `maxmemory`, in bytes.
    """

    def __init__(self, address: str, needed: int, free: int, limit: int) -> None:
        super().__init__(address, needed, free, limit)
        self.address = address
        self.needed = needed
        self.free = free
        self.limit = limit

    def __str__(self) -> str:
        needed, free, limit = (f"{size / 1e6:,.1f} MB" for size in (self.needed, self.free, self.limit))
        return (
            f"Redis at {self.address} has no room for {needed}: {free} of its maxmemory of {limit} are free. "
            "Raise maxmemory (CONFIG SET maxmemory), remove jobs that are not needed (`pydoredis jobs`, "
            "`pydoredis remove-job`), or export less: what all workers can read from a file need not be sent"
        )


class ProtocolError(DoRedisError):
    """The doRedis protocol was broken; the subclass says by whom."""


class LocalProtocolError(ProtocolError):
    """Our own caller asked for something that the protocol does not allow."""


class CallNotPicklable(LocalProtocolError, PicklingError):  # noqa: N818  (named for what is wrong)
    """A function or an argument cannot be sent: says which part of it."""


class RemoteProtocolError(ProtocolError):
    """A peer wrote something that the protocol does not allow.

    Attributes:
        key: The Redis key that holds (or held) it, or None.
        reason: What is wrong with it.
    """

    def __init__(self, reason: str, key: str | None = None) -> None:
        super().__init__(reason, key)
        self.reason = reason
        self.key = key

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}" if self.key is not None else self.reason


class TaskError(DoRedisError):
    """User code failed in a task; raised where its job is collected with `error_handling="stop"`.

    Attributes:
        job: The job's id, or None for a sequential loop.
        iterations: Numbers of the iterations that failed, counted from 1.
        message: The message of the R condition or Python exception, as the worker saw it.
        condition: The R condition (as an R value) or the Python exception itself, where there is one.
        call: The R call that failed, on one line; None in Python, and where R names none.
        seed: What the loop's random numbers depended on: with `foreach(..., seed=error.seed)` the iteration
            draws the same ones. None outside of a loop.
    """

    def __init__(
        self,
        job: str | None,
        iterations: Sequence[int],
        message: str,
        condition: object = None,
        call: str | None = None,
        seed: int | None = None,
    ) -> None:
        iterations = tuple(iterations)
        super().__init__(job, iterations, message, condition, call, seed)
        self.job = job
        self.iterations = iterations
        self.message = message
        self.condition = condition
        self.call = call
        self.seed = seed

    def __str__(self) -> str:
        # The wording is that of foreach in R, which people search for.
        numbers = ", ".join(map(str, self.iterations))
        where = f" (in {self.call})" if self.call else ""
        return f'task {numbers} failed - "{self.message}"{where}'


class WorkerCrashed(TaskError):  # noqa: N818  (named as the design names it)
    """An iteration ended its worker process too often; the message names the cause."""


class TaskTimeout(TaskError):  # noqa: N818  (as `TimeoutError` would be confused with the built-in one)
    """An iteration took longer than its time limit."""


class RemoteError(DoRedisError):
    """Stands for an exception of a worker whose class cannot be had here: its module is not installed, say.

    What the exception had as attributes, this has as well.

    Attributes:
        type_names: Names of its class and of that one's bases, with their modules: `helper.Mine`, ...,
            `builtins.ValueError`, ...
        message: Its text.
        attributes: Its attributes by name.
    """

    def __init__(self, type_names: Sequence[str], message: str, attributes: Mapping[str, Any]) -> None:
        type_names, attributes = tuple(type_names), dict(attributes)
        super().__init__(type_names, message, attributes)
        self.type_names = type_names
        self.message = message
        self.attributes = attributes

    def __getattr__(self, name: str) -> Any:
        with contextlib.suppress(KeyError):
            return self.__dict__["attributes"][name]
        raise AttributeError(f"{self.type_names[0]} had no attribute {name!r}")

    def __str__(self) -> str:
        return f"{self.type_names[0].rpartition('.')[2]}: {self.message}"


class UnknownJob(DoRedisError, LookupError):  # noqa: N818  (named for the state, not the fault)
    """No job is called that, or more than one may be meant.

    Attributes:
        text: What the caller wrote.
        candidates: IDs of the jobs that may be meant, each with its queue; empty if there is none.
    """

    def __init__(self, text: str, candidates: Sequence[str] = ()) -> None:
        candidates = tuple(candidates)
        super().__init__(text, candidates)
        self.text = text
        self.candidates = candidates

    def __str__(self) -> str:
        if not self.candidates:
            return f"there is no job {self.text!r}"
        listed = "".join(f"\n  {candidate}" for candidate in self.candidates)
        return f"{self.text!r} may mean any of {len(self.candidates)} jobs; write the whole ID:{listed}"


class JobCancelled(DoRedisError):  # noqa: N818  (named for the state, not the fault)
    """A job was cancelled, by its own coordinator or by somebody who removed it.

    Attributes:
        job: The job's ID.
        reason: Who did.
    """

    def __init__(self, job: str, reason: str) -> None:
        super().__init__(job, reason)
        self.job = job
        self.reason = reason

    def __str__(self) -> str:
        return f"job {self.job} was cancelled: {self.reason}"


class JobTimeout(DoRedisError, TimeoutError):  # noqa: N818  (named for the state, not the fault)
    """A loop took longer than its `timeout`, and was cancelled.

    Attributes:
        job: The job's ID.
        seconds: The timeout.
        reason: What was done in that time, and who was there to do it.
    """

    def __init__(self, job: str, seconds: float, reason: str) -> None:
        super().__init__(job, seconds, reason)
        self.job = job
        self.seconds = seconds
        self.reason = reason

    def __str__(self) -> str:
        return f"job {self.job} was not done after {self.seconds:g} s: {self.reason}"


class NoWorkers(DoRedisError):  # noqa: N818  (named for the state, not the fault)
    """There is no worker that could ever run a job.

    Attributes:
        queue: The job's queue.
        reason: Why not, and what to do.
    """

    def __init__(self, queue: str, reason: str) -> None:
        super().__init__(queue, reason)
        self.queue = queue
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class EvaluatorError(DoRedisError):
    """R, or another evaluator of task bodies, could not start, or died.

    Attributes:
        engine: Name of the engine: ``"rpy2"``, ``"rscript"`` or ``"python"``.
        reason: What happened.
        exit_code: The process's exit status; minus the signal's number if a signal ended it; None if
            there never was a process.
        stderr: The last lines that it wrote to its standard error.
    """

    def __init__(self, engine: str, reason: str, exit_code: int | None = None, stderr: str = "") -> None:
        super().__init__(engine, reason, exit_code, stderr)
        self.engine = engine
        self.reason = reason
        self.exit_code = exit_code
        self.stderr = stderr

    def __str__(self) -> str:
        text = f"{self.engine}: {self.reason}"
        return f"{text}\n{self.stderr}" if self.stderr else text


class ResultNotPicklable(EvaluatorError, PicklingError):  # noqa: N818  (named for what is wrong)
    """The value of a Python body cannot be sent back: says which part of it."""
