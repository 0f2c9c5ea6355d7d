"""Python callables as bodies: cloudpickle inside R's serialization.

A job environment is an R list with `codec = "cloudpickle"`, `body` (raw: a callable, called with the
iteration's variables as keyword arguments), optionally `init` (raw: a callable, called once per job and
executor), and `python` and `cloudpickle` (the versions that wrote it). Each iteration of a task is a list
with `args` (raw: a dict) and `.Random.seed` (integer). Its value is raw: `("ok", value)` or
`("error", exception, traceback as text)`; for an iteration that is not run any more, an R condition.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import platform
import random
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cloudpickle
import numpy as np

import rinterop
from pydoredis.errors import EvaluatorError
from pydoredis.worker.engines.base import TaskRefused
from pydoredis.worker.frames import OUTPUT_MARK
from rinterop import values

Outcome = tuple[Any, ...]
"""`("ok", value)` or `("error", exception, text)`: what a coordinator unpickles."""


@dataclass(slots=True)
class Job:
    """A job environment: its bytes until the first task, then its body, or why there is none."""

    data: bytes = b""
    body: Callable[..., Any] | None = None
    failure: Outcome = field(default=())


class PythonEngine:
    """Runs Python bodies; see `pydoredis.worker.engines.base.Engine`."""

    def __init__(self) -> None:
        self.name = f"Python {platform.python_version()}, cloudpickle {cloudpickle.__version__}"
        self._jobs: dict[int, Job] = {}
        # What a body prints has to be in the pipe before its result is, line by line like a terminal's.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):
                stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]

    def load(self, number: int, data: bytes) -> None:
        """Keep a job environment; it is read when the first task comes."""
        self._jobs[number] = Job(data)

    def forget(self, number: int) -> None:
        """Let a job environment go."""
        self._jobs.pop(number, None)

    def close(self) -> None:
        """Nothing to end."""

    def run(self, number: int, payload: bytes, verdicts: Mapping[int, str]) -> bytes:
        """Run a task; see `Engine.run`."""
        numbers, elements = _read_task(payload)
        job = self._jobs.get(number)
        if job is None:
            raise TaskRefused(f"job environment {number} was never sent")
        if job.body is None and not job.failure:
            _open(job)
        marked = len(elements) > 1
        results: list[tuple[str, values.RValue]] = []
        for index, (name, element) in enumerate(zip(numbers, elements, strict=True)):
            if marked:
                _flush()
                os.write(1, OUTPUT_MARK + name.encode() + b"\n")
            if index in verdicts:
                # As the agent itself says it of a task that has no other iteration (`wire.encode_crashes`).
                crash = values.condition(verdicts[index], "pydoredis_crash", "error", "condition")
                results.append((name, crash))
                continue
            outcome = job.failure if job.body is None else _evaluate(job.body, element)
            results.append((name, values.raw(_pickled(outcome))))
        _flush()
        return rinterop.dumps(values.named_list(results))


def _open(job: Job) -> None:
    """Unpickle the body and run `init`. What goes wrong is the value of every iteration."""
    data, job.data = job.data, b""
    try:
        fields = _list(rinterop.loads(data), "the job environment")
        body = _unpickle(fields, "body")
        if isinstance(fields.get("init"), values.Raw):
            _unpickle(fields, "init")()
        job.body = body
    except BaseException as exc:
        job.failure = _failure(exc)
        traceback.print_exc()


def _unpickle(fields: values.List, name: str) -> Any:
    """The callable in a field of a job environment.

    Raises:
        EvaluatorError: If it can't be made here; names both sides' versions.
    """
    data = fields.get(name)
    if not isinstance(data, values.Raw):
        raise EvaluatorError("python", f"the job environment has no {name}")
    try:
        return cloudpickle.loads(bytes(data))
    except BaseException as exc:
        theirs = f"Python {_text(fields, 'python')} and cloudpickle {_text(fields, 'cloudpickle')}"
        ours = f"Python {platform.python_version()} and cloudpickle {cloudpickle.__version__}"
        cause = f"{type(exc).__name__}: {exc}"
        raise EvaluatorError(
            "python", f"the job's {name}, pickled by {theirs}, cannot be loaded by {ours}: {cause}"
        ) from exc


def _read_task(payload: bytes) -> tuple[list[str], tuple[values.RValue, ...]]:
    """Numbers and elements of all iterations of a task."""
    try:
        task = _list(rinterop.loads(payload), "the task")
        iterations = _list(task.get("argsList"), "the task's argsList")
    except (rinterop.DecodeError, EvaluatorError) as exc:
        raise TaskRefused(f"the task cannot be read: {exc}") from exc
    return [str(name) for name in values.names(iterations) or ()], iterations.values


def _evaluate(body: Callable[..., Any], element: values.RValue) -> Outcome:
    """The value of one iteration, or what it raised; `sys.exit()` too is an error."""
    try:
        variables = _list(element, "the iteration")
        arguments = variables.get("args")
        keywords = cloudpickle.loads(bytes(arguments)) if isinstance(arguments, values.Raw) else {}
        _seed(variables.get(".Random.seed"))
        return ("ok", body(**keywords))
    except BaseException as exc:
        return _failure(exc)


def _seed(seed: values.RValue) -> None:
    """Random numbers depend on the iteration's number alone, as they do in R (protocol, section 8)."""
    seed = values.plain(seed)
    if not isinstance(seed, values.Integer) or len(seed) != 1 or not isinstance(seed[0], int):
        return
    random.seed(seed[0])
    np.random.seed(seed[0] % 2**32)


def _failure(exc: BaseException) -> Outcome:
    """What is sent for an exception: the traceback without our own frames, for it can't be pickled."""
    shown = traceback.TracebackException.from_exception(exc)
    while len(shown.stack) > 1 and shown.stack[0].filename == __file__:
        shown.stack.pop(0)
    return ("error", exc, "".join(shown.format()))


def _pickled(outcome: Outcome) -> bytes:
    """An outcome as bytes that the other side can read; at worst they say why it is not there."""
    try:
        data: bytes = cloudpickle.dumps(outcome)
        if outcome[0] == "error":
            # Exceptions with an __init__ of their own are often written without complaint and never read.
            pickle.loads(data)
        return data
    except BaseException as exc:
        if outcome[0] == "error":
            error, text = outcome[1], outcome[2]
            told = EvaluatorError("python", f"{type(error).__name__}: {error}")
        else:
            kind, text = type(outcome[1]), "".join(traceback.format_exception_only(exc))
            told = EvaluatorError(
                "python", f"the value, a {kind.__module__}.{kind.__qualname__}, cannot be pickled: {exc}"
            )
        safe: bytes = cloudpickle.dumps(("error", told, text))
        return safe


def _list(value: values.RValue, what: str) -> values.List:
    value = values.plain(value)
    if not isinstance(value, values.List):
        raise EvaluatorError("python", f"{what} is not a list")
    return value


def _text(fields: values.List, name: str) -> str:
    found = values.strings(fields.get(name))
    return str(found[0]) if found else "of unknown version"


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
