"""Puts together what is asked of Redis about the tasks that an agent holds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import get_args

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import Command, End
from pydoredis.protocol.keys import QueueKeys, TaskTag
from pydoredis.worker.core.conversation import Conversation
from pydoredis.worker.core.intake import Intake
from pydoredis.worker.core.jobs import LoadedJobs
from pydoredis.worker.core.lease import Lease, Shelves, State
from pydoredis.worker.core.room import Room

MOST_BYTES = 32 * 1024 * 1024
"""How many bytes of results go into one request, if there is more than one."""

MOST_FETCHED = 16 * 1024 * 1024
"""How many bytes of a job's pieces are fetched with one request."""

MOST_CLAIMS = 500
"""How many tasks one command is about, at most: Redis serves nobody else meanwhile."""

_ENDS: tuple[End, ...] = get_args(End)


class Requests:
    """Puts requests together.

    Args:
        shelves: The agent's leases.
        jobs: The jobs that it knows.
        room: Says what there is room for.
        intake: Tells what cannot be read.
        conversation: Says whether there is a reason to look for tasks.
        host: The machine's name, for tags.
        pids: Process numbers for tags: of executors that will probably run the next tasks.
        begin: Tells the time as it stands in tags.
    """

    def __init__(
        self,
        shelves: Shelves,
        jobs: LoadedJobs,
        room: Room,
        intake: Intake,
        conversation: Conversation,
        host: str,
        pids: Callable[[], tuple[int, ...]],
        begin: Callable[[], str],
    ) -> None:
        self._shelves = shelves
        self._jobs = jobs
        self._room = room
        self._intake = intake
        self._conversation = conversation
        self._host = host
        self._pids = pids
        self._begin = begin
        self._batches = itertools.count(1)

    def endings(self) -> Iterable[Command]:
        """Results, and tasks that are put back or let go of."""
        for leases in _by_queue(self._some_answered()):
            yield commands.Publish([(lease, lease.result) for lease in leases])
        # In the order in which they were taken, wherever in the agent they have been.
        returning = sorted(self._shelves[State.RETURNING], key=lambda lease: lease.number)
        for end in _ENDS if returning else ():
            for leases in _by_queue(lease for lease in returning if lease.end == end):
                chosen = list(parts(leases))
                # What goes to the head goes there from the last to the first.
                for part in reversed(chosen) if end == "head" else chosen:
                    yield commands.GiveBack(part, end)
        for part in parts(self._shelves[State.DROPPED]):
            yield commands.Drop(part)

    def _some_answered(self) -> list[Lease]:
        """As many results as fit into one request."""
        size_bytes = 0
        chosen: list[Lease] = []
        for lease in self._shelves[State.ANSWERED]:
            size_bytes += len(lease.result)
            if chosen and (size_bytes > MOST_BYTES or len(chosen) == MOST_CLAIMS):
                break
            chosen.append(lease)
        return chosen

    def questions(self) -> Iterable[Command]:
        """What has to be known before a task can go on."""
        for taken, keep in self._intake.unreadable:
            yield commands.Bury(taken.keys, taken.payload, keep)
        for lease in self._shelves[State.ASIDE]:
            lease.tag = lease.tag or self._tag(lease)
            yield commands.Mark(lease)
        for lease in self._shelves[State.FALLEN]:
            death = lease.death
            assert death is not None
            yield commands.CountCrash(lease, death.number, death.iteration, death.cause)
        seen = self._shelves[State.SEEN]
        for key in dict.fromkeys(lease.env for lease in seen if lease.job is None):
            yield commands.Fetch(key)
        for lease in seen:
            if lease.job is not None:
                yield commands.LookUpCrashes(lease)
        yield from self._pieces()

    def _pieces(self) -> Iterable[Command]:
        """The next bytes of an environment for which tasks wait: no more in one request, which may have to
        tell that tasks are alive."""
        for job in self._jobs.partial:
            about, at = job.environment.apart, job.fetched
            lease = next((lease for lease in self._shelves[State.WAITING] if lease.job is job), None)
            if about is not None and lease is not None:
                place = about.place(at, MOST_FETCHED)
                yield commands.FetchPiece(lease.keys, lease.task.job, job.key, about.name, at, *place)
                return

    def look(self, now_s: float) -> tuple[float, Sequence[int], Mapping[str, int]]:
        """When (monotonic) to look for tasks, infinity for never; and for how many (`Room`)."""
        if not self._conversation.stale:  # room is counted in vain in most turns
            return float("inf"), (), {}
        rooms, ahead = self._room(now_s)
        if not any(rooms) and not ahead:
            return float("inf"), (), {}
        return self._conversation.look_s(rooms, some_ahead=bool(ahead)), rooms, ahead

    def take(self, now_s: float) -> Iterable[Command]:
        """Tasks, if there may be some and there is room."""
        due_s, rooms, ahead = self.look(now_s)
        if now_s >= due_s:
            free, *deeper = rooms
            yield commands.Take(
                *(next(self._batches), free, ahead, self._jobs.lengths(), self._pids(), self._begin()),
                tuple(deeper),
            )

    def _tag(self, lease: Lease) -> str:
        task = lease.task
        return str(TaskTag(task.first, task.last, self._host, self._pids()[0], self._begin()))


def parts(leases: Sequence[Lease]) -> Iterable[list[Lease]]:
    """Leases in pieces that one command can be about."""
    for start in range(0, len(leases), MOST_CLAIMS):
        yield list(leases[start : start + MOST_CLAIMS])


def _by_queue(leases: Iterable[Lease]) -> Iterable[list[Lease]]:
    found: dict[QueueKeys, list[Lease]] = {}
    for lease in leases:
        found.setdefault(lease.keys, []).append(lease)
    return found.values()
