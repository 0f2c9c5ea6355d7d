"""Python callables as bodies; the messages are those of `pydoredis.protocol.python`."""

from __future__ import annotations

import contextlib
import platform
import signal
import sys
import time
from collections.abc import Mapping, Sequence

import cloudpickle
import numpy.random  # noqa: F401 - NumPy loads it late; every iteration is seeded, so the first need not wait

from pydoredis.errors import EvaluatorError, RemoteProtocolError
from pydoredis.iteration import streams
from pydoredis.protocol import python, wire
from pydoredis.protocol.codec import Arguments
from pydoredis.protocol.presence import minor_version
from pydoredis.protocol.python import Outcome, Program
from pydoredis.protocol.signatures import Signatures
from pydoredis.worker.engines import process_state
from pydoredis.worker.engines.base import (
    KEEP_AFTER_S,
    KEEP_SHARE,
    Keep,
    Stored,
    TaskInterrupted,
    TaskRefused,
    keep_nothing,
)
from pydoredis.worker.engines.interrupts import Interrupts
from pydoredis.worker.engines.places import Places, flush
from pydoredis.worker.engines.program import Job, open_job, read_task, reduce_outcomes
from pydoredis.worker.frames import Bytes


class PythonEngine:
    """Runs Python bodies; see `pydoredis.worker.engines.base.Engine`."""

    def __init__(
        self,
        keep: Keep = keep_nothing,
        interrupts: Interrupts | None = None,
        signatures: Signatures | None = None,
    ) -> None:
        self._keep = keep
        self._signatures = signatures
        self._interrupts = interrupts or Interrupts()
        self._places = Places()
        self.name = f"Python {platform.python_version()}, cloudpickle {cloudpickle.__version__}"
        self._jobs: dict[int, Job] = {}
        self._current: Job | None = None
        # What a body prints has to be in the pipe before its result is, line by line like a terminal's.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):
                stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
        self._initial_state = process_state.capture()

    def load(self, number: int, data: Stored) -> None:
        """Keep a job environment; it is read when the first task comes."""
        self._jobs[number] = Job(data)

    def forget(self, number: int) -> None:
        """Let a job environment go."""
        job = self._jobs.pop(number, None)
        if job is not None and job is self._current:
            self._switch_to(None)

    def watch_output(self, fd: int, cut: Bytes, times: int) -> None:
        """See `Engine.watch_output`."""
        self._places.watch(fd, bytes(cut), times)

    def forget_interrupt(self) -> None:
        """A SIGINT that waits for a body is not meant for those to come."""
        self._interrupts.forget()

    def close(self) -> None:
        """Nothing to end."""

    def run(
        self,
        number: int,
        payload: Bytes,
        verdicts: Mapping[int, str],
        kept: Sequence[tuple[int, Bytes]] = (),
        place: int = 1,
    ) -> bytes:
        """Run a task; see `Engine.run`."""
        payload = bytes(payload)
        reach = self._places.reach
        reach(place)
        job = self._jobs.get(number)
        if job is None:
            raise TaskRefused(f"job environment {number} was never sent")
        try:
            numbers, pickled, sign = read_task(payload, job, self._signatures)
            if job is not self._current:
                self._switch_to(job)
            if job.program is None and job.failure is None:
                open_job(job)
            if job.other_python and python.holds_code(pickled):
                raise TaskRefused(_other_python("the task's arguments hold", job.other_python))
            arguments = python.load_arguments(pickled)
        except RemoteProtocolError as exc:
            raise TaskRefused(str(exc)) from exc
        several = len(numbers) > 1
        interrupts = self._interrupts
        interrupts.struck = False
        outcomes: list[Outcome | None] = _finished(kept)
        sent, last, due_s = len(outcomes), len(numbers) - 1, time.monotonic() + KEEP_AFTER_S
        for index in range(sent, len(numbers)):
            name, call = numbers[index], arguments[index]
            if several:
                reach(place + 1 + index)
            if index in verdicts:
                condition_class, _, message = verdicts[index].partition("\n")
                outcomes.append(python.failure(wire.verdict_error("", name, condition_class, message)))
            elif job.program is None:
                outcomes.append(job.failure)
            else:
                outcomes.append(_evaluate(job.program, name, call, interrupts))
                if interrupts.struck:
                    flush()
                    raise TaskInterrupted(index)
            if index < last and (began_s := time.monotonic()) >= due_s:
                self._keep(index + 1, python.dump_outcomes(outcomes[sent:]))
                sent, now_s = len(outcomes), time.monotonic()
                due_s = now_s + max(KEEP_AFTER_S, KEEP_SHARE * (now_s - began_s))
        if job.program is not None and job.program.reduce is not None:
            reduce_outcomes(job.program.reduce, outcomes)
        flush()
        if job.other_python:
            outcomes = [outcome and _without_code(outcome, job.other_python) for outcome in outcomes]
        return python.encode_result(numbers, outcomes, sign)

    def _switch_to(self, job: Job | None) -> None:
        """Leave the process as the next job has left it, or as it was in the beginning."""
        now = self._initial_state
        if self._current is not None:
            self._current.state = now = process_state.capture()
            self._current.globals.__exit__()
        process_state.change(now, job.state if job and job.state else self._initial_state)
        if job is not None:
            job.globals.__enter__()
        self._current = job


def _finished(kept: Sequence[tuple[int, Bytes]]) -> list[Outcome | None]:
    """Outcomes of the first iterations of a task, as another executor sent them; those that can be read."""
    outcomes: list[Outcome | None] = []
    with contextlib.suppress(RemoteProtocolError):
        for finished, part in kept:
            more = python.load_outcomes(bytes(part))
            if len(outcomes) + len(more) != finished:
                break
            outcomes += more
    return outcomes


def _other_python(what: str, theirs: str) -> str:
    ours = minor_version(platform.python_version())
    return (
        f"{what} code (functions or classes by value), and the coordinator has Python {theirs} where this "
        f"worker has {ours}: run both with the same version, or put them into a module that both can import"
    )


def _without_code(outcome: Outcome, theirs: str) -> Outcome:
    """An outcome that another version of Python can read without harm."""
    if not python.holds_code(python.dump_outcomes([outcome])):
        return outcome
    if outcome[0] == "error":
        return ("error", outcome[1].without(python.holds_code))
    return python.failure(EvaluatorError("python", _other_python("the value holds", theirs)))


def _evaluate(program: Program, number: int, call: Arguments, interrupts: Interrupts) -> Outcome:
    """The value of one iteration, or what it raised; `sys.exit()` too is an error."""
    try:
        args, kwargs = call
        streams.seed_iteration(program.seed, number)
        with interrupts:
            return ("ok", program.body(*args, **kwargs))
    except BaseException as exc:
        return python.failure(exc)
    finally:
        # An alarm that the body has set and forgotten would go off in another one, or in code of ours.
        signal.setitimer(signal.ITIMER_REAL, 0)
