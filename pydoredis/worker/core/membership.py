"""Being on the queues: counted in, kept alive, told when a job or a queue is gone, counted out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import Announced, Command
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.presence import Presence
from pydoredis.worker.core.instructions import Instruction, Log
from pydoredis.worker.core.jobs import LoadedJobs
from pydoredis.worker.core.lease import Shelves, State
from pydoredis.worker.core.requests import parts
from pydoredis.worker.core.shutdown import Shutdown
from pydoredis.worker.core.tallies import Tallies

BEAT_INTERVAL_S = 3.0
"""Seconds between two heartbeats. R beats every 5 s, which allows for one missed beat in the 10 s that an
alive key lives; every 3 s allows for two."""

SWEEP_BEATS = 5
"""So many beats lie between two looks for what is left of jobs that are over and of agents that died."""


class Membership:
    """Says when to announce the agent and to keep its tasks alive, and when it leaves.

    Attributes:
        joined: Whether the agent's workers are counted in.
        left: Whether they are counted out again.

    Args:
        queues: The queues that are served.
        shelves: The agent's leases.
        jobs: The jobs that it knows.
        shutdown: Whether it stops.
        present: What the agent says of itself now.
        tallies: Tell what the agent does.
        linger_s: How long the agent waits for a task before it leaves a queue that was removed.
        do: Carries out instructions.
    """

    def __init__(
        self,
        queues: Sequence[QueueKeys],
        shelves: Shelves,
        jobs: LoadedJobs,
        shutdown: Shutdown,
        present: Callable[[], Presence],
        tallies: Tallies,
        linger_s: float,
        do: Callable[[Instruction], None],
    ) -> None:
        self.joined = self.left = False
        self._queues = queues
        self._live = {keys.live for keys in queues}
        self._shelves = shelves
        self._jobs = jobs
        self._shutdown = shutdown
        self._present = present
        self._tallies = tallies
        self._linger_s = linger_s
        self._do = do
        self._joining = False
        self._lost = False  # whether the server may have lost the queues
        self._open = True  # whether any of the queues was open when we looked last
        self._due_s = 0.0
        self._beats = 0
        self._idle_since_s = float("inf")

    def join(self) -> None:
        """Count the workers in as soon as Redis is there."""
        self._joining = True

    def server_changed(self) -> None:
        """The server was restarted, or is another one: what it lacks was lost, not removed."""
        self._lost = self.joined

    def changed(self, keys: Sequence[str] | None) -> None:
        """These keys have changed (None: perhaps all): a queue or a job may be gone."""
        if (
            keys is None
            or not self._live.isdisjoint(keys)
            or any(lease.env in keys for lease in self._shelves)
        ):
            self._due_s = 0.0

    def due_s(self) -> float:
        """When (monotonic) there will be something to say; infinity for never."""
        if not self.joined:
            return float("inf")
        return min(self._due_s, self._idle_since_s + self._linger_s if not self._open else self._due_s)

    # --- what is said -------------------------------------------------------------------------------------

    def commands(self, now_s: float) -> Iterable[Command]:
        """What is to be said now."""
        if self._joining or self._lost:
            yield self._announce(now_s, open_=not self._shutdown.begun)
        if not self.joined or now_s < self._due_s:
            return
        self._due_s = now_s + BEAT_INTERVAL_S
        self._beats += 1
        if not self._lost:
            yield self._announce(now_s)
        for part in parts([lease for lease in self._shelves if lease.state is not State.ASIDE]):
            yield commands.KeepAlive(part)
        if self._jobs.recorded:
            yield commands.KeepRecords(self._jobs.recorded)
        if self._beats % SWEEP_BEATS == 0:
            for keys in self._queues:
                yield commands.Sweep(keys)

    def _announce(self, now_s: float, *, open_: bool = False) -> Command:
        return commands.Announce(self._present(), open_, self._tallies.told(now_s))

    def leave(self) -> Iterable[Command]:
        """Count the workers out, if they are counted in."""
        if self.joined and not self.left:
            yield commands.Leave(self._present())

    # --- what is heard ------------------------------------------------------------------------------------

    def announced(self, reply: Announced, now_s: float) -> None:
        """The agent was announced."""
        if self.joined:
            for keys in reply.joined:
                text = f"queue {keys.queue} had lost our workers: joined it again"
                self._do(Log(logging.WARNING, text))
        else:
            self._due_s = now_s + BEAT_INTERVAL_S
        self.joined = True
        self._joining = self._lost = False
        self._open = reply.open
        if reply.draining and not self._shutdown.begun:
            self._do(Log(logging.INFO, "somebody wants this agent to leave (pydoredis top)"))
            self._shutdown.begin(now_s)

    def leave_if_removed(self, now_s: float) -> None:
        """Leave if no task has come for a while and the queues are gone."""
        if len(self._shelves):
            self._idle_since_s = float("inf")
        elif self._idle_since_s == float("inf"):
            self._idle_since_s = now_s
        lingered = now_s >= self._idle_since_s + self._linger_s
        if not self._open and lingered and not self._shutdown.begun:
            self._do(Log(logging.INFO, "the queue was removed: leaving"))
            self._shutdown.begin(now_s)
