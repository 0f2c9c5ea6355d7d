"""What travels between peers, as values: tasks, job environments, results (protocol, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from pydoredis.protocol.parts import Apart

Codec = Literal["r", "cloudpickle"]
"""The language of a job's body: an R expression, or a Python callable."""


class Task(NamedTuple):
    """A run of iterations of one job, as it was taken off a queue. (A tuple, like all that is made for each
    task: thousands of them are made a second.)

    Attributes:
        job: The job's ID, verbatim; malformed tasks of foreign clients bring odd ones, even the empty string.
        iterations: Numbers of the iterations in the order in which they run; empty for the empty task
            that a confused coordinator submits (protocol 12.6).
        payload: The message as it stood on the queue; what is given back or resubmitted.
        problem: Why it cannot be run, if all that can be told is whose it is; else empty.
    """

    job: str
    iterations: tuple[int, ...]
    payload: bytes
    problem: str = ""

    @property
    def first(self) -> int:
        """Number of the first iteration."""
        return self.iterations[0]

    @property
    def last(self) -> int:
        """Number of the last iteration."""
        return self.iterations[-1]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why an iteration is not run any more: the error that stands for its value.

    Attributes:
        kind: "crash" if it ended its worker process again and again, "timeout" if it took too long.
        message: The error's message.
    """

    kind: Literal["crash", "timeout"]
    message: str

    @property
    def condition_class(self) -> str:
        """First class of the R condition."""
        return f"pydoredis_{self.kind}"

    def encode(self) -> bytes:
        """What a VERDICT frame says."""
        return f"{self.condition_class}\n{self.message}".encode()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a coordinator of ours allows the tasks of a job; None where it leaves that to the worker.

    Attributes:
        timelimit_s: Seconds that a task may take.
        iteration_timelimit_s: Seconds that an iteration may take.
        max_crashes: Give up an iteration after this many executor deaths.
    """

    timelimit_s: float | None = None
    iteration_timelimit_s: float | None = None
    max_crashes: int | None = None

    def fields(self) -> dict[str, float]:
        """Those that are set, as a job environment names them."""
        named = {
            "timelimit": self.timelimit_s,
            "iteration_timelimit": self.iteration_timelimit_s,
            "max_crashes": self.max_crashes,
        }
        return {name: number for name, number in named.items() if number is not None}


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class JobEnvironment:
    """What all tasks of a job share, as far as an agent needs to know: it never looks into user data.

    Attributes:
        codec: Which engine can run the job's body.
        payload: The value of the environment key.
        ours: Whether a Python coordinator wrote it.
        limits: Of its tasks and iterations.
        needs_python: The only minor version of Python that can run the body, as 3.11: there are code objects
            in the message. Empty if any version can.
        apart: What is in keys of its own, if something is.
    """

    codec: Codec
    payload: bytes | memoryview
    ours: bool = False
    limits: Limits = NO_LIMITS
    needs_python: str = ""
    apart: Apart | None = None

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return len(self.payload) if self.apart is None else self.apart.whole_size
