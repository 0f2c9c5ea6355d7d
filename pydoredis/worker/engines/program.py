"""A job environment of Python bodies, opened: its program, ready to be called, or why there is none."""

from __future__ import annotations

import functools
import importlib
import platform
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cloudpickle

import rinterop
from pydoredis import pickles
from pydoredis.errors import EvaluatorError, RemoteProtocolError, shown
from pydoredis.iteration.variables import Globals
from pydoredis.protocol import parts, python, wire
from pydoredis.protocol.presence import minor_version
from pydoredis.protocol.python import Outcome, Program
from pydoredis.protocol.signatures import SignatureError, Signatures, content_of, digest
from pydoredis.worker.engines.base import Stored
from pydoredis.worker.frames import Bytes
from rinterop import values


@dataclass(slots=True)
class Job:
    """A job environment.

    Attributes:
        data: Its bytes until the first task.
        program: What it holds, from then on.
        failure: Why there is no program, if so.
        globals: Its exports.
        state: What the process was like when it last ran here (`process_state`); None before.
        digest: Stands for its bytes in signatures (`signatures.digest`); empty until it is needed.
        other_python: The coordinator's minor version of Python if it is not ours: code must not travel then.
    """

    data: Stored = b""
    program: Program | None = None
    failure: Outcome | None = None
    globals: Globals = field(default_factory=Globals)
    state: Mapping[str, Any] | None = None
    digest: bytes = b""
    other_python: str = ""


class SignedTask(NamedTuple):
    """A task that may be unpickled.

    Attributes:
        numbers: Of its iterations.
        pickled: Their arguments.
        sign: Signs its result, if there is a secret.
    """

    numbers: Sequence[int]
    pickled: bytes
    sign: Callable[[bytes], bytes] | None


def read_task(payload: bytes, job: Job, signatures: Signatures | None) -> SignedTask:
    """Read a task and see who has signed it, before anything of it or of its job is unpickled.

    Raises:
        RemoteProtocolError: If it is no task for Python, or nobody has signed it who knows the secret.
    """
    name, numbers, data = wire.decode_python_task(payload)
    if signatures is None:
        return SignedTask(numbers, content_of(data), None)
    if not job.digest:
        job.digest = digest([memoryview(job.data)])
    try:
        pickled = signatures.open_task(name, numbers, job.digest, data)
    except SignatureError as error:
        raise RemoteProtocolError(
            f"{error}; worker {platform.node()} runs Python jobs only of those who know its secret: give the "
            "program that has the loop the same PYDOREDIS_SECRET"
        ) from None
    return SignedTask(numbers, pickled, functools.partial(signatures.result, name, numbers))


def open_job(job: Job) -> None:
    """Unpickle the program and prepare it. What goes wrong is the value of every iteration."""
    data, job.data = job.data, b""
    try:
        # Arrays are views of its parts: bodies may write to them.
        stream, buffers = parts.split(memoryview(bytearray(data) if isinstance(data, bytes) else data))
        fields = values.plain(rinterop.loads(stream))
        if not isinstance(fields, values.List):
            raise EvaluatorError("python", "the job environment is not a list")
        theirs = minor_version(_text(fields, "python"))
        job.other_python = theirs if theirs != minor_version(platform.python_version()) else ""
        for name in values.strings(fields.get("modules")) or ():
            _import(str(name))
        program = _unpickle(fields, buffers)
        job.globals = Globals(program.body, program.exports)
        job.globals.__enter__()
        if program.init is not None:
            program.init()
        job.program = program
    except BaseException as exc:
        job.failure = python.failure(exc)
        traceback.print_exc()


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except Exception as exc:
        raise EvaluatorError(
            "python",
            f"the job needs the module {name}, which worker {platform.node()} cannot import "
            f"({type(exc).__name__}: {exc}): install it there, or send it along with export=[{name}]",
        ) from exc


def _unpickle(fields: values.List, buffers: Sequence[memoryview]) -> Program:
    """The program in a job environment.

    Raises:
        EvaluatorError: If it can't be made here; names both sides' versions.
    """
    data = fields.get("body")
    if not isinstance(data, values.Raw):
        raise EvaluatorError("python", "the job environment has no body")
    pickled: Bytes | memoryview = bytes(data)
    if not pickled and buffers:
        pickled, *buffers = buffers
    try:
        program = cloudpickle.loads(pickled, buffers=buffers)
    except BaseException as exc:
        theirs = f"Python {_text(fields, 'python')} and cloudpickle {_text(fields, 'cloudpickle')}"
        ours = f"Python {platform.python_version()} and cloudpickle {cloudpickle.__version__}"
        cause = f"{type(exc).__name__}: {shown(exc, str)}"
        raise EvaluatorError(
            "python",
            f"the job's body, pickled by {theirs}, cannot be loaded by {ours}: {cause}{pickles.advice(exc)}",
        ) from exc
    if not isinstance(program, Program):
        raise EvaluatorError("python", f"the job's body is a {type(program).__name__}, no program")
    return program


def _text(fields: values.List, name: str) -> str:
    found = values.strings(fields.get(name))
    return str(found[0]) if found else "of unknown version"


# --- values -----------------------------------------------------------------------------------------------


def reduce_outcomes(reduce: Callable[[list[Any]], Any], outcomes: list[Outcome | None]) -> None:
    """Fold the values of a task into the first of them; failures stay what they are."""
    places = [place for place, outcome in enumerate(outcomes) if outcome and outcome[0] == "ok"]
    if not places:
        return
    try:
        folded: Outcome = (
            "ok",
            reduce([outcome[1] for outcome in outcomes if outcome and outcome[0] == "ok"]),
        )
    except BaseException as exc:
        folded = python.failure(exc)
    for place in places:
        outcomes[place] = None
    outcomes[places[0]] = folded
