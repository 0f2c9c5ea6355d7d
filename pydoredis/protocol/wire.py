"""Messages as bytes: the envelope, which is R serialization whatever language the body is in.

An agent handles thousands of tasks a second and needs only their outlines, so nothing here builds the users'
values: `rinterop.serialize.outline` checks every byte of a payload and reports the outer levels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

import rinterop
from pydoredis.errors import (
    EvaluatorError,
    LocalProtocolError,
    RemoteProtocolError,
    TaskTimeout,
    WorkerCrashed,
)
from pydoredis.protocol import envelope_templates, parts
from pydoredis.protocol.envelope_peek import HEAD_SIZE, job_of_head
from pydoredis.protocol.messages import NO_LIMITS, Codec, JobEnvironment, Limits, Task, Verdict
from pydoredis.protocol.tails import iterations_of_tail
from rinterop import values
from rinterop.serialize import Outline, outline
from rinterop.values import Cell, Environment

LIVE_VALUE = rinterop.dumps(values.character(""))
"""Value of `Q.live`: R's `serialize("", NULL)`, 39 bytes."""

FIRST_ALIVE_VALUE = rinterop.dumps(values.double(0.0))
"""What an alive key holds until its first refresh, as R workers write it. Nobody reads it."""

ALIVE_VALUE = b"OK"
"""What an alive key holds from its first refresh on (protocol, section 6)."""

COORDINATOR = "pydoredis"
"""What a job environment says that one of our coordinators wrote."""

CRASH_CLASS = "pydoredis_crash"
"""First class of the condition that stands for an iteration that killed its workers."""

TIMEOUT_CLASS = "pydoredis_timeout"
"""First class of the condition that stands for an iteration that took longer than its time limit."""

FAILURE_CLASS = "pydoredis_failure"
"""First class of the condition that stands for a task that a worker of ours could not run."""

_EVAL = values.symbol("eval")
"""What workers evaluate bodies with: the call in errors of `stop()` at the top level of one."""

AGENT_CLASSES = frozenset({CRASH_CLASS, TIMEOUT_CLASS, FAILURE_CLASS})

_LIMIT = 2**31
"""Numbers from here on are no integers for R."""

MAX_MESSAGE = 512 * 1024 * 1024
"""Largest value in bytes that Redis takes (its default `proto-max-bulk-len`)."""

Sizes: TypeAlias = Callable[[], Mapping[str, int]]
"""Tells how many bytes the variables of a message have; asked only when it is too large."""


def decode_task(payload: bytes) -> Task:
    """Read what a coordinator put on the queue: `list(ID =, argsList =)`.

    Where something among the arguments cannot be read, the task has a `problem`. R may be able to read it,
    and its coordinator would send it again and again if nobody answered.

    Raises:
        RemoteProtocolError: If it is not a task, or not R serialization at all.
    """
    try:
        fields = _fields(payload, "task")
    except RemoteProtocolError as error:
        found, told = job_of_head(payload[:HEAD_SIZE]), iterations_of_tail(payload)
        if found is None or not told or not -_LIMIT < min(told) <= max(told) < _LIMIT:
            raise
        return Task(found, told, payload, f"its arguments cannot be read: {error.__cause__ or error}")
    job, arguments = fields.get("ID"), fields.get("argsList")
    if job is None or job.text is None:
        raise RemoteProtocolError("not a task: no job ID in it")
    if arguments is None or arguments.children is None:
        raise RemoteProtocolError("not a task: no argsList in it")
    names = arguments.names or ()
    if len(names) != len(arguments.children):
        # R would run these and push results that nobody can place.
        raise RemoteProtocolError(f"not a task: {len(arguments.children)} iterations, {len(names)} numbers")
    try:
        iterations = tuple(map(int, names))
    except ValueError:
        raise RemoteProtocolError(f"not a task: iterations named {names[:3]!r}") from None
    if iterations and not (min(iterations) > -_LIMIT and max(iterations) < _LIMIT):
        raise RemoteProtocolError("not a task: R has no integers for its iterations' numbers")
    return Task(job.text, iterations, payload)


def decode_environment(payload: bytes) -> JobEnvironment:
    """Read what all tasks of a job share, as far as an agent looks into it.

    Raises:
        RemoteProtocolError: If it is not a job environment, or not R serialization at all.
    """
    fields = _fields(payload, "job environment")
    if "codec" not in fields and not {"expr", "exportenv"}.issubset(fields):
        raise RemoteProtocolError(f"not a job environment: a list of {sorted(fields)}")
    codec = fields["codec"].text if "codec" in fields else "r"
    if codec not in ("r", "cloudpickle"):
        raise RemoteProtocolError(f"a job environment with the codec {codec!r}, which is not known here")
    ours = "coordinator" in fields and fields["coordinator"].text == COORDINATOR
    needs_python = fields["needs_python"].text if "needs_python" in fields else ""
    return JobEnvironment(
        *(cast("Codec", codec), payload, ours),
        Limits(
            _number(fields, "timelimit"),
            _number(fields, "iteration_timelimit"),
            _whole_number(fields, "max_crashes"),
        ),
        needs_python or "",
        parts.apart(payload),
    )


def _number(fields: Mapping[str, Outline], name: str) -> float | None:
    """A number that stands in a job environment as text; None if it is not there."""
    if name not in fields:
        return None
    try:
        return float(fields[name].text or "")
    except ValueError:
        raise RemoteProtocolError(f"a job environment whose {name} is no number") from None


def _whole_number(fields: Mapping[str, Outline], name: str) -> int | None:
    number = _number(fields, name)
    if number is None:
        return None
    if not number.is_integer():
        raise RemoteProtocolError(f"a job environment whose {name} is no whole number")
    return int(number)


def encode_environment(
    *,
    expression: values.RValue,
    limits: Limits = NO_LIMITS,
    sizes: Sizes = dict,
    buffers: Sequence[memoryview] = (),
    **fields: values.RValue,
) -> parts.Message:
    """A job environment, as a coordinator of ours writes it.

    Args:
        expression: What an R worker evaluates for each iteration.
        limits: Of tasks and iterations; only our workers heed them.
        sizes: Of the variables in it.
        buffers: What follows behind it (`protocol.parts`).
        fields: What the codec adds, or has instead of the defaults of `exportenv` and `packages`.

    Raises:
        LocalProtocolError: If it is larger than Redis takes.
    """
    standard: dict[str, values.RValue] = {
        "expr": expression,
        "parentenv": values.NULL,
        "exportenv": export_environment({}),
        "packages": values.NULL,
        "coordinator": values.character(COORDINATOR),
    }
    for name, number in limits.fields().items():
        standard[name] = values.character(repr(number))
    stream = rinterop.dumps(values.named_list(**{**standard, **fields}))
    message = parts.message(stream, buffers)
    sendable(message.value, "the job's environment", sizes)
    return message


def export_environment(bindings: Mapping[str, values.RValue], kind: str = "Mersenne-Twister") -> Environment:
    """The environment in which R workers evaluate: exported variables, and the kind of random numbers.

    R coordinators send it with the empty environment around it. R workers call `worker.init` before they put
    another one there (protocol, section 9), so in ours it finds R's functions from the start.
    """
    environment = Environment(parent=values.GLOBAL_ENV)
    cells = [Cell(value, values.symbol(name)) for name, value in bindings.items()]
    cells.append(Cell(values.character(kind), values.symbol(".RNGkind")))
    environment.frame = values.PairList(tuple(cells))
    return environment


def encode_task(job: str, elements: Sequence[tuple[str, values.RValue]], **fields: values.RValue) -> bytes:
    """A task message: job ID, the iterations' arguments by number, and what the codec adds.

    Raises:
        LocalProtocolError: If it is larger than Redis takes.
    """

    def sizes() -> dict[str, int]:
        found: dict[str, int] = {}
        for _, element in elements:
            assert isinstance(element, values.List)
            for name, value in zip(values.names(element) or (), element, strict=True):
                found[str(name)] = found.get(str(name), 0) + len(rinterop.dumps(value))
        return found

    message = values.named_list(ID=values.character(job), argsList=values.named_list(elements), **fields)
    return sendable(rinterop.dumps(message), f"the message of task {elements[0][0]}", sizes)


def read_list(message: bytes, complaint: str) -> values.List:
    """The list that every message is.

    Raises:
        RemoteProtocolError: If it is none; what is wrong follows the complaint.
    """
    try:
        found = rinterop.loads(message)
    except rinterop.DecodeError as error:
        raise RemoteProtocolError(f"{complaint}: {error}") from error
    if not isinstance(found, values.List):
        raise RemoteProtocolError(f"{complaint}: not a list")
    return found


def decode_python_result(message: bytes) -> tuple[list[int], bytes] | None:
    """Numbers of a result message and the raw vector that answers for all of them; None if it has none.

    No values are built. What is no result at all gives None, too: `decode_result` says why.
    """
    try:
        shape = outline(message, 1)
        numbers = [int(name) for name in shape.names or ()]
    except (rinterop.DecodeError, ValueError):
        return None
    if not numbers or not shape.children:
        return None
    found = envelope_templates.raw_bytes(message, shape.children[0])
    return None if found is None else (numbers, found)


def decode_python_task(payload: bytes) -> tuple[str, list[int], bytes]:
    """A task's job ID, the numbers of its iterations, and the raw vector with the arguments of all of them.

    Raises:
        RemoteProtocolError: If it is no such task.
    """
    try:
        fields = _fields(payload, "task")
        arguments, elements, job = fields.get("arguments"), fields.get("argsList"), fields.get("ID")
        numbers = [int(name) for name in (elements and elements.names) or ()]
    except (RemoteProtocolError, ValueError) as error:
        raise RemoteProtocolError(f"the task cannot be read: {error}") from error
    found = envelope_templates.raw_bytes(payload, arguments) if arguments is not None else None
    if found is None:
        raise RemoteProtocolError("the task cannot be read: no arguments for Python in it")
    return (job and job.text) or "", numbers, found


def decode_result(message: bytes) -> tuple[list[int], tuple[values.RValue, ...]]:
    """Numbers and values of a result message.

    Raises:
        RemoteProtocolError: If it is not a result, or answers nothing.
    """
    result = read_list(message, "not a result")
    try:
        numbers = [int(str(name)) for name in values.names(result) or ()]
    except ValueError as error:
        raise RemoteProtocolError(f"not a result: {error}") from None
    if not numbers or len(numbers) != len(result):
        raise RemoteProtocolError(f"not a result: {len(result)} values, {len(numbers)} numbers")
    return numbers, result.values


def agent_error(job: str, number: int, element: values.RValue) -> Exception:
    """What one of our agents says instead of an iteration's value, as an exception."""
    return verdict_error(job, number, values.class_(element)[0], condition_message(element))


def verdict_error(job: str, number: int, condition_class: str, message: str) -> Exception:
    """The exception that corresponds to a condition of one of our agents."""
    if condition_class == CRASH_CLASS:
        return WorkerCrashed(job, [number], message)
    if condition_class == TIMEOUT_CLASS:
        return TaskTimeout(job, [number], message)
    return EvaluatorError("worker", message)


def condition_message(element: values.RValue) -> str:
    """The message of an R condition."""
    found = values.strings(element.get("message")) if isinstance(element, values.List) else None
    return str(found[0]) if found else ""


def condition_call(element: values.RValue) -> str | None:
    """The call of an R condition, on one line; None if there is none to show, or just the worker's own."""
    found = element.get("call") if isinstance(element, values.List) else None
    if not isinstance(found, values.Call) or found.cells[0].value == _EVAL:
        return None
    return values.one_line(found)


def sendable(message: bytes, what: str, sizes: Sizes = dict) -> bytes:
    """The message, if Redis takes it.

    Raises:
        LocalProtocolError: If it is too large, with what is the largest of its variables.
    """
    if len(message) > MAX_MESSAGE:
        name, size = max(sizes().items(), key=lambda item: item[1], default=("", 0))
        of_them = f", {size:,} of them for {name!r}" if name else ""
        raise LocalProtocolError(
            f"{what} has {len(message):,} bytes{of_them}; Redis takes {MAX_MESSAGE:,}. Put big data where "
            "workers can read it (a file, an object store, redis_set in pieces) and send where it is"
        )
    return message


def encode_start(iterations: Sequence[int]) -> bytes:
    """Value of a start key: the iteration numbers, from which a coordinator makes the task anew."""
    return envelope_templates.integers(iterations)


def encode_failures(iterations: Sequence[int], message: str) -> bytes:
    """A result message in which every iteration is an R error condition with this message."""
    failure = values.condition(message, FAILURE_CLASS, "simpleError", "error", "condition")
    return rinterop.dumps(values.named_list(**{str(number): failure for number in iterations}))


def encode_verdicts(verdicts: Mapping[int, Verdict]) -> bytes:
    """A result message for iterations that are not run any more, by number.

    The conditions have a class of ours in front, so that R code can tell them apart.
    """
    conditions = {
        str(number): values.condition(verdict.message, verdict.condition_class, "error", "condition")
        for number, verdict in verdicts.items()
    }
    return rinterop.dumps(values.named_list(**conditions))


def _fields(payload: bytes, what: str) -> dict[str, Outline]:
    """The elements of the named list that a message is; the first of a name counts, as in R's `$`."""
    try:
        shape = outline(payload)
    except rinterop.DecodeError as error:
        raise RemoteProtocolError(f"not a {what}: {error}") from error
    if shape.names is None or shape.children is None:
        raise RemoteProtocolError(f"not a {what}: not a list with names")
    return dict(zip(reversed(shape.names), reversed(shape.children), strict=True))
