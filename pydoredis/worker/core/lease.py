"""A task that an agent holds, from the moment it was taken until Redis has confirmed its end.

A lease has one state at a time, and stands on the shelf of that state and on no other: a task that is in two
places cannot be written down. Its methods are the transitions that there are.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pydoredis.protocol.agent_commands import Bytes, End
from pydoredis.protocol.claims import Claim
from pydoredis.protocol.messages import Verdict

if TYPE_CHECKING:
    from pydoredis.worker.core.jobs import LoadedJob


class State(enum.IntEnum):
    """Where a task is. (Integers: an agent looks thousands of them up in a second.)"""

    ASIDE = 0
    """The script that took it could not read it; it is to be marked."""
    SEEN = 1
    """Marked; its environment, or who died on it, is asked for."""
    WAITING = 2
    """For an executor."""
    RUNNING = 3
    """In an executor's pipe, where it runs or waits."""
    FALLEN = 4
    """An executor died on it; the death is to be counted."""
    DELAYED = 5
    """It killed executors, and is tried again later."""
    ANSWERED = 6
    """Its result is to be published."""
    RETURNING = 7
    """To be put back on its queue."""
    DROPPED = 8
    """Its job is over; its marks are to be taken away."""
    ENDED = 9
    """Redis has confirmed its end."""


_NEXT: Final = {
    State.ASIDE: {State.SEEN},
    State.SEEN: {State.WAITING, State.ANSWERED, State.RETURNING, State.DROPPED},
    State.WAITING: {State.RUNNING, State.ANSWERED, State.RETURNING, State.DROPPED},
    State.RUNNING: {State.WAITING, State.FALLEN, State.ANSWERED, State.DROPPED},
    State.FALLEN: {State.WAITING, State.DELAYED, State.ANSWERED, State.RETURNING, State.DROPPED},
    State.DELAYED: {State.WAITING, State.RETURNING, State.DROPPED},
    State.ANSWERED: {State.ENDED},
    State.RETURNING: {State.ENDED},
    State.DROPPED: {State.ENDED},
    State.ENDED: set(),
}


@dataclass(frozen=True, slots=True)
class Death:
    """An executor died while a task ran, or a signal that is not ours interrupted it.

    Attributes:
        number: From 1, among those on this lease.
        iteration: Number of the iteration that was running; None: not known.
        cause: What it died of.
    """

    number: int
    iteration: int | None
    cause: str


@dataclass(eq=False, repr=False)
class Lease(Claim):
    """A task on its way through an agent.

    Attributes:
        number: What frames to and from executors carry.
        shelves: Those of its agent; it stands there from the beginning.
        job: Its job, once its environment is known.
        state: Where it is.
        verdicts: Iterations (by number) that are not run any more, with the error that they get.
        kept: Results of parts of it, from an executor that may have died: of how many iterations results were
            there, and the results that had come in addition.
        deaths: How many executors of this agent died on it.
        crashed: Whether an executor, anywhere, died on it before it was taken.
        expected_s: How long it was expected to run when it was handed to an executor; 0 if that was not
        known.
        taken_s: When (monotonic) it came.
        result: What is to be published (ANSWERED).
        death: What is to be counted (FALLEN).
        due_s: When (monotonic) it is tried again (DELAYED).
        end: Where it is put back (RETURNING).
        quiet: Whether putting it back is of no interest to people.
    """

    number: int = 0
    shelves: Shelves = field(kw_only=True)
    job: LoadedJob | None = None
    state: State = State.SEEN
    crashed: bool = False
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    kept: list[tuple[int, Bytes]] = field(default_factory=list)
    # What most leases never have is not set for each: an agent makes thousands of them a second.
    deaths: int = field(default=0, init=False)
    expected_s: float = field(default=0.0, init=False)
    taken_s: float = field(default=0.0, init=False)
    result: Bytes = field(default=b"", init=False)
    death: Death | None = field(default=None, init=False)
    due_s: float = field(default=0.0, init=False)
    end: End = field(default="head", init=False)
    quiet: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.shelves.add(self)

    def __repr__(self) -> str:
        return f"Lease({self.number}, {self.task.job} {self.block}, {self.state.name})"

    # --- what is known of it ------------------------------------------------------------------------------

    @property
    def finished(self) -> int:
        """Of how many iterations the results are there."""
        return self.kept[-1][0] if self.kept else 0

    def may_run(self, iteration: int | None) -> bool:
        """Whether this is an iteration of the task that was still to be run."""
        return iteration in self.task.iterations[self.finished :] and iteration not in self.verdicts

    # --- transitions --------------------------------------------------------------------------------------

    def see(self) -> None:
        """It was set aside, and is marked now."""
        self.shelves.move(self, State.SEEN)

    def wait(self, *, first: bool = False) -> None:
        """It waits for an executor, behind all others or before them."""
        self.shelves.move(self, State.WAITING)
        if first:
            self.shelves.move_to_front(self)

    def hand(self, expected_s: float) -> None:
        """It is handed to an executor."""
        self.expected_s = expected_s
        self.shelves.move(self, State.RUNNING)

    def fall(self, iteration: int | None, cause: str) -> None:
        """An executor died on it."""
        self.deaths += 1
        self.death = Death(self.deaths, iteration, cause)
        self.shelves.move(self, State.FALLEN)

    def delay(self, due_s: float) -> None:
        """It is tried again at `due_s` (monotonic)."""
        self.due_s = due_s
        self.shelves.move(self, State.DELAYED)

    def answer(self, result: Bytes) -> None:
        """Its result is there."""
        self.result = result
        self.shelves.move(self, State.ANSWERED)

    def give_back(self, end: End, *, quiet: bool = False) -> None:
        """It is to be put back on its queue."""
        self.end, self.quiet = end, quiet
        self.shelves.move(self, State.RETURNING)

    def drop(self) -> None:
        """Its job is over."""
        self.shelves.move(self, State.DROPPED)

    def finish(self) -> None:
        """Redis has confirmed that it ended."""
        self.shelves.move(self, State.ENDED)
        self.result = b""

    def cancel(self) -> None:
        """Its job was cancelled."""
        self.cancelled = True
        self.shelves.some_cancelled = True


class Shelves:
    """All leases of an agent, by state, each shelf in the order in which they came.

    Attributes:
        some_cancelled: Whether there may be leases of cancelled jobs.
    """

    def __init__(self) -> None:
        self.some_cancelled = False
        self._shelves: list[dict[int, Lease]] = [{} for _ in State]

    def add(self, lease: Lease) -> None:
        """Hold a task that was taken."""
        self._shelves[lease.state][lease.number] = lease

    def move(self, lease: Lease, state: State) -> None:
        """Put a lease on the shelf of its next state; one that ended is forgotten."""
        before, number = lease.state, lease.number
        if state not in _NEXT[before]:
            raise AssertionError(f"task {lease.block}: {before.name} → {state.name}")
        lease.state = state
        del self._shelves[before][number]
        if state is not State.ENDED:
            self._shelves[state][number] = lease
        job = lease.job
        if job is not None:
            job.tasks[before] -= 1
            job.tasks[state] += 1

    def move_to_front(self, lease: Lease) -> None:
        """Put a lease before the others on its shelf."""
        shelf = self._shelves[lease.state]
        self._shelves[lease.state] = {lease.number: lease, **shelf}

    def __getitem__(self, state: State) -> list[Lease]:
        """Those in one state, in order."""
        return list(self._shelves[state].values())

    def count(self, *states: State) -> int:
        """How many are in one of these states."""
        return sum(len(self._shelves[state]) for state in states)

    def first(self, state: State) -> Lease | None:
        """The first one in a state."""
        return next(iter(self._shelves[state].values()), None)

    def __iter__(self) -> Iterator[Lease]:
        """All of them."""
        for shelf in self._shelves:
            yield from list(shelf.values())

    def __len__(self) -> int:
        """How many there are."""
        return sum(map(len, self._shelves))
