"""The codec `cloudpickle`: Python callables and values as raw vectors in R messages.

An R worker that takes such a task finds a valid one: it evaluates `expr`, a text, and answers with it.
Anything but our own raw vector in a result means that the task was declined.

==============  ======================================================================================
environment     what every job environment has, and `codec = "cloudpickle"`, `body` (raw: a pickled
                `Program`), `modules` (to be imported first), `python` and `cloudpickle` (versions)
task            `ID`, `argsList` (an empty list per iteration, for their names), `arguments` (raw: a
                pickled list of `Arguments`)
result          a list with an element per iteration: the first is raw (a pickled list of outcomes), the
                others are NULL
==============  ======================================================================================
"""

from __future__ import annotations

import contextlib
import inspect
import pickle
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeAlias

import cloudpickle

from pydoredis.errors import EvaluatorError, LocalProtocolError, RemoteProtocolError, WorkerCrashed
from pydoredis.protocol import splice, wire
from pydoredis.protocol.codec import FOLDED, Arguments, Declined, Item, Result
from pydoredis.protocol.messages import NO_LIMITS, Codec, Limits
from pydoredis.protocol.presence import minor_version
from rinterop import values

DECLINED = "pydoredis: this is a task for Python workers"
"""What an R worker answers to a Python task."""

Outcome: TypeAlias = tuple[Any, ...]
"""`("ok", value)`, or `("error", exception, traceback as text)`."""

Outcomes: TypeAlias = Sequence[Outcome | None]
"""One for each iteration of a task; None for one whose value was folded into another (`Program.reduce`)."""


@dataclass(frozen=True, slots=True)
class Program:
    """What all iterations of a Python job share, once it is unpickled.

    Attributes:
        body: Called with the arguments of each iteration.
        init: Called once per executor, before the first iteration.
        reduce: Combines the values of one task on the worker: takes a list, gives one value.
        exports: Made globals of the body.
        seed: Of the job's random streams; None: every iteration is seeded with its number alone.
    """

    body: Callable[..., Any]
    init: Callable[[], Any] | None = None
    reduce: Callable[[list[Any]], Any] | None = None
    exports: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class PythonCodec:
    """Encodes a Python job.

    Attributes:
        program: The body and what belongs to it.
        modules: Names of modules that workers import before they unpickle the program.
        limits: Of tasks and iterations.
        by_value: Modules whose functions and classes are sent along: workers need not have them.
    """

    program: Program
    modules: Sequence[str] = ()
    limits: Limits = NO_LIMITS
    by_value: Sequence[ModuleType] = ()

    @property
    def codec(self) -> Codec:
        """The language of the body."""
        return "cloudpickle"

    def encode_environment(self) -> bytes:
        """Value of the environment key.

        Raises:
            LocalProtocolError: If the body cannot be pickled, or is larger than Redis takes.
        """
        pickled = self._pickled_program()
        version = platform.python_version()
        return wire.encode_environment(
            expression=values.character(DECLINED),
            limits=self.limits,
            sizes=self._sizes,
            codec=values.character("cloudpickle"),
            needs_python=values.character(minor_version(version) if holds_code(pickled) else ""),
            body=values.raw(pickled),
            modules=values.character(*self.modules),
            python=values.character(version),
            cloudpickle=values.character(cloudpickle.__version__),
        )

    def _pickled_program(self) -> bytes:
        registered = cloudpickle.list_registry_pickle_by_value()
        added = [module for module in self.by_value if module.__name__ not in registered]
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        try:
            pickled: bytes = cloudpickle.dumps(self.program)
        except Exception as error:
            raise LocalProtocolError(
                f"the body cannot be pickled ({type(error).__name__}: {error}). Open files, connections and "
                "locks stay where they are: make them in the body, or in worker_init"
            ) from error
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)
        return pickled

    def _sizes(self) -> dict[str, int]:
        """Of the variables that go with the body."""
        variables = dict(self.program.exports)
        with contextlib.suppress(TypeError):  # no Python function
            used = inspect.getclosurevars(self.program.body)
            variables = {**used.globals, **used.nonlocals, **variables}
        return _pickled_sizes(variables.items())

    def encode_task(self, job: str, first: int, arguments: Sequence[Arguments]) -> bytes:
        """A task message."""
        message = splice.task(job, range(first, first + len(arguments)), dump(arguments))
        named = [(name, value) for _, variables in arguments for name, value in variables.items()]
        return wire.sendable(message, f"the message of task {first}", lambda: _pickled_sizes(named))

    def decode_result(self, job: str, message: bytes) -> Result:
        """Read a result message; see `JobCodec.decode_result`."""
        numbers, elements = wire.decode_result(message)
        items: list[Item] = []
        first = elements[0]
        if isinstance(first, values.Raw):
            try:
                outcomes = load_outcomes(bytes(first))
            except RemoteProtocolError as error:
                failure = EvaluatorError("python", f"the result {error}")
                return Result(numbers, [(number, False, failure) for number in numbers])
            for number, outcome in zip(numbers, outcomes, strict=True):
                if outcome is None:
                    items.append((number, True, FOLDED))
                elif len(outcome) == 2:
                    items.append((number, True, outcome[1]))
                else:
                    items.append((number, False, with_remote_traceback(outcome[1], outcome[2])))
            return Result(numbers, items)
        for number, element in zip(numbers, elements, strict=True):
            if not wire.AGENT_CLASSES.intersection(values.class_(element)):
                raise Declined(numbers, "it was taken by a worker that does not speak Python")
            items.append((number, False, wire.agent_error(job, number, element)))
        return Result(numbers, items)


# --- the worker's side ------------------------------------------------------------------------------------


def decode_task(payload: bytes) -> tuple[list[str], list[Arguments]]:
    """Numbers and arguments of a task's iterations.

    Raises:
        RemoteProtocolError: If it is not a task of this codec.
    """
    task = wire.read_list(payload, "the task cannot be read")
    arguments = task.get("arguments")
    numbers = [str(name) for name in values.names(task.get("argsList")) or ()]
    if not isinstance(arguments, values.Raw):
        raise RemoteProtocolError("the task cannot be read: no arguments for Python in it")
    return numbers, _load(bytes(arguments))


def encode_result(numbers: Sequence[str], outcomes: Outcomes) -> bytes:
    """The result message of a task."""
    return splice.result([int(number) for number in numbers], dump_outcomes(outcomes))


def dump_outcomes(outcomes: Outcomes) -> bytes:
    """Outcomes as bytes that the other side can read; at worst they say why a value is not there."""
    try:
        data = dump(outcomes)
        if any(outcome and outcome[0] == "error" for outcome in outcomes):
            # Exceptions with an __init__ of their own are often written without complaint and never read.
            pickle.loads(data)
        return data
    except Exception:
        return dump([outcome and _portable(outcome) for outcome in outcomes])


def load_outcomes(data: bytes) -> list[Outcome | None]:
    """What `dump_outcomes` wrote.

    Raises:
        RemoteProtocolError: If it cannot be read here.
    """
    outcomes: list[Outcome | None] = _load(data)
    return outcomes


def _portable(outcome: Outcome) -> Outcome:
    try:
        pickle.loads(dump(outcome))
        return outcome
    except Exception as error:
        if outcome[0] == "error":
            told = EvaluatorError("python", f"{type(outcome[1]).__name__}: {outcome[1]}")
            return ("error", told, outcome[2])
        kind = type(outcome[1])
        what = f"the value, a {kind.__module__}.{kind.__qualname__}, cannot be pickled: {error}"
        return ("error", EvaluatorError("python", what), what)


# --- pickles ----------------------------------------------------------------------------------------------


def dump(data: Any) -> bytes:
    """Pickle in C where that is enough; by value, slowly, what only this process has.

    What is in `__main__` would be pickled by reference to a `__main__` that is another one there.
    """
    if not cloudpickle.list_registry_pickle_by_value():
        try:
            pickled = pickle.dumps(data, pickle.HIGHEST_PROTOCOL)
        except Exception:
            pass
        else:
            if b"__main__" not in pickled:
                return pickled
    by_value: bytes = cloudpickle.dumps(data)
    return by_value


def holds_code(pickled: bytes) -> bool:
    """Whether there are code objects in a pickle: functions by value, for one minor version of Python.

    Another one crashes on them. cloudpickle makes a code object by the name of its type. Data may hold that
    name, too: then a job is kept from other versions that could have run it.
    """
    return b"CodeType" in pickled


def _load(data: bytes) -> Any:
    try:
        return pickle.loads(data)
    except Exception as error:
        raise RemoteProtocolError(f"cannot be unpickled here: {type(error).__name__}: {error}") from error


class RemoteTraceback(Exception):  # noqa: N818  (shown as the cause, never raised)
    """Where an exception was raised on the worker: the traceback as text, as `__cause__` of the exception."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n\n{self.text}"


def with_remote_traceback(error: BaseException, text: str) -> BaseException:
    """The worker's exception, which carries its traceback along as its cause."""
    if error.__cause__ is None and not isinstance(error, WorkerCrashed):
        error.__cause__ = RemoteTraceback(text)
    return error


def _pickled_sizes(variables: Iterable[tuple[str, Any]]) -> dict[str, int]:
    """Bytes by name; what cannot be pickled by itself counts for nothing."""
    sizes: dict[str, int] = {}
    for name, value in variables:
        with contextlib.suppress(Exception):
            sizes[name] = sizes.get(name, 0) + len(cloudpickle.dumps(value))
    return sizes
