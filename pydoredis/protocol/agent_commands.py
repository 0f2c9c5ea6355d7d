"""What an agent asks of Redis and what it is told, as values; `store.agent` turns them into commands and
back.

Each command may be sent any number of times and takes effect once: when its reply is lost, the agent sends it
again. A comment behind each command names the type of its reply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from pydoredis.protocol.claims import Claim
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.presence import Presence
from pydoredis.protocol.telemetry import Activity

Bytes: TypeAlias = "bytes | bytearray"

Outcome = Literal["published", "duplicate", "resubmitted", "job-gone"]
GivenBack = Literal["given-back", "resubmitted", "job-gone"]
Beat = Literal["alive", "lapsed", "restored", "cancelled"]
End = Literal["head", "tail", "python"]


@dataclass(frozen=True, slots=True)
class Announce:
    """Say that the agent serves the queues, for the next seconds; count its workers in if they are not
    counted.

    Attributes:
        agent: What it says of itself.
        open: Whether to open queues that are not open: when it joins, and at a server that lost its data.
        activities: What it does, as it is to be told on each queue; none: nothing is told of that.

    Reply: `Announced`.
    """

    agent: Presence
    open: bool = False
    activities: Sequence[Activity] = ()


@dataclass(frozen=True, slots=True)
class Announced:
    """What `Announce` found.

    Attributes:
        open: Whether at least one of the queues is open.
        agents: How many agents serve the queue that has most, this one included.
        joined: Queues where the agent's workers were counted in by this.
        draining: Whether somebody wants it to leave.
    """

    open: bool
    agents: int
    joined: tuple[QueueKeys, ...] = ()
    draining: bool = False


class RefusedError(Exception):
    """Redis is there, but does not do what it was asked; the text is what it says."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Take the agent's workers off the counts and forget it. Reply: None."""

    agent: Presence


@dataclass(frozen=True, slots=True)
class Take:
    """Take tasks off the queues and mark them, in one step.

    Tasks are taken from the heads of the lists, in the order of preference of the lists. A task is taken
    while an executor is free for it (`free`), or if its job allows one ahead (`ahead`); the first one that is
    not ends the taking from its list.

    Attributes:
        batch: Number of the request, one for each that differs. The same number gives the same tasks again.
        free: How many tasks of any job to take for executors that are free.
        ahead: By environment key: how many tasks of that job to take in addition.
        known: By environment key: length in bytes of the environment that the agent has.
        pids: Process numbers of executors, for the tags of the tasks in turn; at least one.
        begin: The time for the tags (`format_begin`).
        deeper: How many may be taken from the lists of depth 1, 2 ... (`QueueKeys.tasks`) in place of `free`,
            those from deeper ones included; empty: as many as `free` says.

    Reply: `Taken`.
    """

    batch: int
    free: int
    ahead: Mapping[str, int]
    known: Mapping[str, int]
    pids: tuple[int, ...]
    begin: str
    deeper: tuple[int, ...] = ()

    def room(self, depth: int) -> int:
        """How many tasks of any job to take from lists of this depth and deeper ones together."""
        return self.deeper[depth - 1] if depth and self.deeper else self.free


class TakenTask(NamedTuple):
    """A task that `Take` took.

    Attributes:
        keys: Its queue.
        payload: The message.
        tag: The tag under which it is marked. None: the script could not read it; it is kept in the agent's
            list of tasks set aside (`QueueKeys.aside`) until `Mark` or `Bury`.
        crashed: Whether an executor, anywhere, died on it before.
    """

    keys: QueueKeys
    payload: bytes
    tag: str | None
    crashed: bool = False


UNREAD: Literal["unread"] = "unread"
"""An environment that is too large to be read while a script runs: `Fetch` it."""

KNOWN: Literal["known"] = "known"
"""An environment that has the length of the one that the agent has."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What `Take` did.

    Attributes:
        tasks: In the order in which they were taken. Those whose job is over were not marked.
        environments: By environment key, of all jobs of these tasks: the value; None if the job is over.
        more: Whether a task is left that was not taken, of a loop that is in no body.
        deeper: At which depths tasks of loops inside of bodies are left.
    """

    tasks: tuple[TakenTask, ...] = ()
    environments: Mapping[str, bytes | Literal["unread", "known"] | None] = field(default_factory=dict)
    more: bool = False
    deeper: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetch:
    """Read a job environment. Reply: `bytes`; None if the job is over."""

    env: str


@dataclass(frozen=True, slots=True)
class FetchPiece:
    """Read on in what a job environment keeps apart (`protocol.parts`).

    Attributes:
        keys: The job's queue.
        job: Its ID.
        env: Its environment key.
        name: What the pieces are called.
        at: How many bytes of them were read.
        number: In which piece to read on, from 1.
        first: The first byte to read there.
        size: How many bytes.

    Reply: `bytes`, fewer if the piece is gone.
    """

    keys: QueueKeys
    job: str
    env: str
    name: str
    at: int
    number: int
    first: int
    size: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Mark a task that was set aside, and take it off that list. Reply: None."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Bury:
    """Move a payload that nobody can read from the tasks set aside to where a human finds it. Reply: None."""

    keys: QueueKeys
    payload: bytes
    keep: bool = True  # False: only take it off the list: a task without iterations


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish results of one queue.

    Reply: `list[Outcome | None]`, for each result what became of it; None: the server would not take it now.
    """

    results: Sequence[tuple[Claim, Bytes]]


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Put tasks of one queue back and let go of them.

    Attributes:
        claims: The tasks, in the order in which they are to be taken again.
        end: At the head of the queue, at its tail, or at the tail of the list for Python workers.

    Reply: `list[GivenBack]`.
    """

    claims: Sequence[Claim]
    end: End


@dataclass(frozen=True, slots=True)
class Drop:
    """Let go of tasks without an answer: their job is over. Reply: None."""

    claims: Sequence[Claim]


@dataclass(frozen=True, slots=True)
class CountCrash:
    """Note that an executor died on a task.

    Attributes:
        claim: The task.
        death: Number of the death, from 1, among those on this claim.
        iteration: Which one was running, and for which deaths are counted; None: not known, they are counted
            for the block as a whole.
        cause: Why it died.

    Reply: `tuple[Crash, ...]`, all that were counted for the task, this one included.
    """

    claim: Claim
    death: int
    iteration: int | None
    cause: str


@dataclass(frozen=True, slots=True)
class LookUpCrashes:
    """All deaths that were counted for a task. Reply: `tuple[Crash, ...]`."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Refresh the alive keys of tasks in flight. Reply: `list[Beat]`. The claims are not changed."""

    claims: Sequence[Claim]


@dataclass(frozen=True, slots=True)
class KeepRecords:
    """Keep the records of published blocks of jobs that live, delete the others'.

    Reply: `list[bool]`, whether each job lives.
    """

    jobs: Sequence[tuple[QueueKeys, str]]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Delete what came late of jobs that are over; recover what agents left that died: their part of the
    count, and tasks that they had set aside. Reply: None.
    """

    keys: QueueKeys


Command: TypeAlias = (
    "Announce | Leave | Take | Fetch | FetchPiece | Mark | Bury | Publish | GiveBack | Drop | CountCrash"
    " | LookUpCrashes | KeepAlive | KeepRecords | Sweep"
)
