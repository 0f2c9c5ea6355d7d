"""The codec `cloudpickle`: Python callables and values as raw vectors in R messages.

An R worker that takes such a task finds a valid one: it evaluates `expr`, a text, and answers with it.
Anything but our own raw vector in a result means that the task was declined.

==============  ======================================================================================
environment     what every job environment has, and `codec = "cloudpickle"`, `body` (raw: a pickled
                `Program`, whose large buffers are behind the message: `protocol.parts`; if it is very large
                itself, it is the first of them, and `body` is empty), `modules` (to be imported first),
                `python` and `cloudpickle` (versions)
task            `ID`, `argsList` (an empty list per iteration, for their names), `arguments` (raw: a
                pickled list of `Arguments`)
result          a list with an element per iteration: the first is raw (a pickled list of outcomes), the
                others are NULL
==============  ======================================================================================
"""

from __future__ import annotations

import contextlib
import inspect
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, TypeAlias

import cloudpickle

from pydoredis import pickles
from pydoredis.errors import EvaluatorError, LocalProtocolError, RemoteProtocolError, ResultNotPicklable
from pydoredis.iteration import streams
from pydoredis.pickles import culprit
from pydoredis.pickles.raised import Raised
from pydoredis.protocol import envelope_templates, parts, wire
from pydoredis.protocol.codec import FOLDED, Arguments, Declined, Item, Result
from pydoredis.protocol.messages import NO_LIMITS, Codec, Limits
from pydoredis.protocol.presence import minor_version
from pydoredis.protocol.signatures import JobSigner, SignatureError, content_of
from rinterop import values

DECLINED = "pydoredis: this is a task for Python workers"
"""What an R worker answers to a Python task."""

Outcome: TypeAlias = tuple[Literal["ok"], Any] | tuple[Literal["error"], Raised]
"""The value of an iteration, or what it raised."""

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
        seed: Of the iterations' random numbers.
    """

    body: Callable[..., Any]
    init: Callable[[], Any] | None = None
    reduce: Callable[[list[Any]], Any] | None = None
    exports: Mapping[str, Any] = field(default_factory=dict)
    seed: int = field(default_factory=streams.fresh_seed)


@dataclass(frozen=True, slots=True)
class PythonCodec:
    """Encodes a Python job.

    Attributes:
        program: The body and what belongs to it.
        modules: Names of modules that workers import before they unpickle the program.
        limits: Of tasks and iterations.
        by_value: Modules whose functions and classes are sent along: workers need not have them.
        signer: Signs tasks and checks results, where the pool has a secret.
    """

    program: Program
    modules: Sequence[str] = ()
    limits: Limits = NO_LIMITS
    by_value: Sequence[ModuleType] = ()
    signer: JobSigner | None = None

    @property
    def codec(self) -> Codec:
        """The language of the body."""
        return "cloudpickle"

    @property
    def seed(self) -> int:
        """Of the iterations' random numbers."""
        return self.program.seed

    def encode_environment(self) -> parts.Message:
        """What all tasks share.

        Raises:
            LocalProtocolError: If the body cannot be pickled, or is larger than Redis takes.
        """
        pickled, buffers = self._pickled_program()
        needs_python = minor_version(platform.python_version()) if holds_code(pickled) else ""
        if len(pickled) >= parts.PIECE_BYTES:
            pickled, buffers = b"", [memoryview(pickled), *buffers]
        message = wire.encode_environment(
            expression=values.character(DECLINED),
            limits=self.limits,
            sizes=self._sizes,
            buffers=buffers,
            codec=values.character("cloudpickle"),
            needs_python=values.character(needs_python),
            body=values.raw(pickled),
            modules=values.character(*self.modules),
            python=values.character(platform.python_version()),
            cloudpickle=values.character(cloudpickle.__version__),
        )
        if self.signer is not None:
            self.signer.bind(message)
        return message

    def _pickled_program(self) -> tuple[bytes, list[memoryview]]:
        program = self.program
        named = {
            "body": program.body,
            "worker_init": program.init,
            "reduce": program.reduce,
            **program.exports,
        }
        with pickles.by_value(self.by_value):
            try:
                beside = pickles.Beside(parts.LEAST_BYTES)
                return pickles.dump_by_value(program, beside), beside.buffers
            except Exception as error:
                raise LocalProtocolError(
                    f"the body cannot be sent: {culprit.among(named, error)}. {_STAYS}"
                ) from error

    def _sizes(self) -> dict[str, int]:
        """Of the variables that go with the body."""
        variables = dict(self.program.exports)
        with contextlib.suppress(TypeError):  # no Python function
            used = inspect.getclosurevars(self.program.body)
            variables = {**used.globals, **used.nonlocals, **variables}
        return _pickled_sizes(variables.items())

    def encode_task(self, job: str, first: int, arguments: Sequence[Arguments]) -> bytes:
        """A task message.

        Raises:
            LocalProtocolError: If an argument cannot be pickled, or all are larger than Redis takes.
        """
        with pickles.by_value(self.by_value):
            try:
                pickled = pickles.dump(arguments)
            except Exception as error:
                raise _unsendable(first, arguments, error) from error
        numbers = range(first, first + len(arguments))
        if self.signer is not None:
            pickled = self.signer.task(job, numbers, pickled)
        message = envelope_templates.task(job, numbers, pickled)
        named = [(name, value) for _, variables in arguments for name, value in variables.items()]
        return wire.sendable(message, f"the message of task {first}", lambda: _pickled_sizes(named))

    def single(self, job: str, number: int, message: bytes) -> bytes:
        """The message for one iteration of several; see `JobCodec.single`."""
        numbers, arguments = decode_task(message)
        return self.encode_task(job, number, [arguments[numbers.index(number)]])

    def decode_result(self, job: str, message: bytes) -> Result:
        """Read a result message; see `JobCodec.decode_result`."""
        answered = wire.decode_python_result(message)
        if answered is not None:
            return self._read_result(job, *answered)
        numbers, elements = wire.decode_result(message)
        items: list[Item] = []
        for number, element in zip(numbers, elements, strict=True):
            if not wire.AGENT_CLASSES.intersection(values.class_(element)):
                raise Declined(numbers, "it was taken by a worker that does not speak Python")
            items.append((number, False, wire.agent_error(job, number, element)))
        return Result(numbers, items)

    def _read_result(self, job: str, numbers: Sequence[int], data: bytes) -> Result:
        try:
            if self.signer is None:
                outcomes = content_of(data)
            else:
                outcomes = self.signer.open_result(job, numbers, data)
            return Result(numbers, _items(numbers, load_outcomes(outcomes)))
        except SignatureError as error:
            failure = EvaluatorError("worker", f"the result was refused: {error}. {_SECRET}")
        except RemoteProtocolError as error:
            failure = EvaluatorError("python", f"the result {error}")
        return Result(numbers, [(number, False, failure) for number in numbers])


_SECRET = "All who serve the queue need the same PYDOREDIS_SECRET"

# --- the worker's side ------------------------------------------------------------------------------------


def decode_task(payload: bytes) -> tuple[Sequence[int], list[Arguments]]:
    """Numbers and arguments of a task's iterations, whoever has signed them.

    Raises:
        RemoteProtocolError: If it is not a task of this codec.
    """
    _, numbers, data = wire.decode_python_task(payload)
    return numbers, load_arguments(content_of(data))


def load_arguments(pickled: bytes) -> list[Arguments]:
    """Arguments of a task's iterations.

    Raises:
        RemoteProtocolError: If they cannot be read here.
    """
    try:
        return pickles.load(pickled)  # type: ignore[no-any-return]
    except RemoteProtocolError as error:
        reason = f"the arguments that came with the task: {error}{pickles.advice(error.__cause__)}"
        raise RemoteProtocolError(reason) from error


def encode_result(
    numbers: Sequence[int], outcomes: Outcomes, sign: Callable[[bytes], bytes] | None = None
) -> bytes:
    """The result message of a task.

    Args:
        numbers: Of its iterations.
        outcomes: Theirs.
        sign: Puts a signature before the pickled outcomes.
    """
    pickled = dump_outcomes(outcomes)
    return envelope_templates.result(numbers, pickled if sign is None else sign(pickled))


def dump_outcomes(outcomes: Outcomes) -> bytes:
    """Outcomes as bytes that the other side can read; at worst they say why a value is not there."""
    try:
        return pickles.dump(outcomes)
    except (Exception, SystemExit):
        return pickles.dump([outcome and _portable(outcome) for outcome in outcomes])


def load_outcomes(data: bytes) -> list[Outcome | None]:
    """What `dump_outcomes` wrote.

    Raises:
        RemoteProtocolError: If it cannot be read here, or is something else.
    """
    outcomes = pickles.load(data)
    if not isinstance(outcomes, list):
        raise RemoteProtocolError("is no list of outcomes")
    return outcomes


def _items(numbers: Sequence[int], outcomes: Sequence[Any]) -> list[Item]:
    """Outcomes as a coordinator takes them.

    Raises:
        RemoteProtocolError: If there is not one for each iteration, or one is something else.
    """
    if len(outcomes) != len(numbers):
        raise RemoteProtocolError(f"has {len(outcomes)} outcomes of {len(numbers)} iterations")
    items: list[Item] = []
    try:
        for number, outcome in zip(numbers, outcomes, strict=True):
            if outcome is None:
                items.append((number, True, FOLDED))
                continue
            kind, value = outcome
            if kind == "ok" and type(outcome) is tuple:
                items.append((number, True, value))
            elif kind == "error" and isinstance(value, Raised):
                items.append((number, False, _again(value)))
            else:
                raise ValueError("no outcome")
    except Exception as error:
        raise RemoteProtocolError("holds something else than outcomes") from error
    return items


def _again(raised: Raised) -> BaseException:
    try:
        return raised.again()
    except Exception as error:
        return EvaluatorError("python", f"the exception cannot be read: {type(error).__name__}: {error}")


def failure(error: BaseException) -> Outcome:
    """What is sent for an exception, whatever its class does."""
    try:
        return ("error", Raised.of(error))
    except Exception as raised:
        what = f"a {type(error).__qualname__} was raised, and cannot be looked at: {type(raised).__name__}"
        return ("error", Raised.of(EvaluatorError("python", what)))


def _portable(outcome: Outcome) -> Outcome:
    try:
        pickles.dump(outcome)
    except SystemExit as error:
        return failure(error)
    except Exception as error:
        what = culprit.among({"value": outcome[1]}, error)
        return failure(ResultNotPicklable("python", f"the value cannot be sent: {what}"))
    return outcome


# --- details ----------------------------------------------------------------------------------------------

_STAYS = "Open files, connections and locks stay where they are: make them in the body, or in worker_init"


def _unsendable(first: int, arguments: Sequence[Arguments], error: Exception) -> LocalProtocolError:
    """Says which argument of which iteration cannot be pickled."""
    for number, (positional, named) in enumerate(arguments, first):
        values_ = {**{f"value {place}": value for place, value in enumerate(positional, 1)}, **named}
        try:
            pickles.dump(values_)
        except Exception as raised:
            what = culprit.among(values_, raised)
            return LocalProtocolError(f"an argument of iteration {number} cannot be sent: {what}. {_STAYS}")
    return LocalProtocolError(f"the arguments cannot be sent: {error}")


def holds_code(pickled: bytes) -> bool:
    """Whether there are code objects in a pickle: functions by value, for one minor version of Python.

    Another one crashes on them. cloudpickle makes a code object by the name of its type. Data may hold that
    name, too: then a job is kept from other versions that could have run it.
    """
    return b"CodeType" in pickled


def _pickled_sizes(variables: Iterable[tuple[str, Any]]) -> dict[str, int]:
    """Bytes by name; what cannot be pickled by itself counts for nothing."""
    sizes: dict[str, int] = {}
    for name, value in variables:
        with contextlib.suppress(Exception):
            sizes[name] = sizes.get(name, 0) + len(pickles.dump(value))
    return sizes
