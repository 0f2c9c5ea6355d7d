"""What the core has its agent do: with executors, with Redis, with people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from pydoredis.protocol.agent_commands import Command
from pydoredis.protocol.messages import Codec
from pydoredis.worker.core.jobs import LoadedJob
from pydoredis.worker.core.lease import Lease

# --- with executors ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hire:
    """Start an executor process and call it by this number. Answered by `Hired` or `HireFailed`."""

    executor: int
    codec: Codec


class Hand(NamedTuple):
    """Send a task to an executor."""

    executor: int
    lease: Lease


@dataclass(frozen=True, slots=True)
class Recall:
    """Take back the tasks in an executor's pipe that it has not begun. Answered by `Recalled`, at once."""

    executor: int


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Send an executor SIGINT for the task that it runs."""

    executor: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End an executor now, for this reason. `Died` follows."""

    executor: int
    reason: str


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Let an executor that has nothing to do end by itself. `Died` follows."""

    executor: int


@dataclass(frozen=True, slots=True)
class Look:
    """See which iteration an executor runs. Answered by `Place`, at once."""

    executor: int


@dataclass(frozen=True, slots=True)
class Weigh:
    """See how much memory an executor has. Answered by `Memory`, at once."""

    executor: int


@dataclass(frozen=True, slots=True)
class Keep:
    """Put bytes of a job's pieces into its environment, for executors.

    Attributes:
        job: The job.
        first: Where among all bytes of its pieces they begin.
        content: The bytes.
    """

    job: LoadedJob
    first: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Forget:
    """Have all executors let go of a job environment."""

    job: int


@dataclass(frozen=True, slots=True)
class RemoveJob:
    """End a job that a body has begun, and that nobody waits for any more."""

    queue: str
    job: str


# --- with Redis -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask:
    """Send these commands. Answered by `Replied`, or by `Lost`: then the same request follows once more."""

    request: int
    commands: Sequence[Command]


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Drop the connection: the server does not do what it is asked, and may not be the right one any more."""

    reason: str


# --- with people ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line to the log; the level is one of `logging`."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Serving:
    """The agent has joined its queues and can be given tasks."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing is left to do.

    Attributes:
        undelivered: How many tasks and results could not be brought back to a lost Redis.
        failure: Why the agent cannot work; empty if it stops for a good reason.
        status: Exit status of the executor that the failure is about, if it is about one.
        output: What that executor printed last.
    """

    undelivered: int = 0
    failure: str = ""
    codec: Codec | None = None
    status: int | None = None
    output: str = ""


class Todo(list["Instruction"]):
    """Instructions in their order; called with one, it takes that up. (Such an object can be copied with all
    that refers to it, which a bound `append` cannot.)"""

    def __call__(self, instruction: Instruction) -> None:
        self.append(instruction)


Instruction: TypeAlias = (
    "Hire | Hand | Recall | Interrupt | Kill | Dismiss | Look | Weigh | Keep | Forget | RemoveJob"
    " | Ask | Reconnect | Log | Serving | Stop"
)
