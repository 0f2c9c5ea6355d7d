"""When an agent begins to stop, what it lets go of then, and when it is done."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from pydoredis.worker.core.conversation import Conversation
from pydoredis.worker.core.executors import Executors
from pydoredis.worker.core.hiring import Hiring
from pydoredis.worker.core.instructions import Instruction, Log, Stop
from pydoredis.worker.core.lease import Shelves, State
from pydoredis.worker.core.membership import Membership
from pydoredis.worker.core.room import Room
from pydoredis.worker.core.shutdown import Shutdown
from pydoredis.worker.core.supervision import Supervision


class Stopping:
    """Brings an agent to its end, for whatever reason (`Shutdown` says how far that is).

    Attributes:
        done: Whether nothing is left to do.

    Args:
        shutdown: How the agent stops.
        shelves: Its leases.
        executors: Its executors.
        hiring: Says whether executors can be started.
        room: Says how many tasks may still be taken.
        supervision: Ends executors.
        membership: Says whether the agent is counted.
        conversation: Says whether Redis is there.
        iter: After how many tasks per worker the agent ends; None: it does not.
        do: Carries out instructions.
    """

    def __init__(
        self,
        shutdown: Shutdown,
        shelves: Shelves,
        executors: Executors,
        hiring: Hiring,
        room: Room,
        supervision: Supervision,
        membership: Membership,
        conversation: Conversation,
        iter: int | None,
        do: Callable[[Instruction], None],
    ) -> None:
        self.done = False
        self._shutdown = shutdown
        self._shelves = shelves
        self._executors = executors
        self._hiring = hiring
        self._room = room
        self._supervision = supervision
        self._membership = membership
        self._conversation = conversation
        self._iter = iter
        self._do = do

    def begin_if_due(self, now_s: float) -> None:
        """Begin if nothing works, or if enough is done."""
        if self._hiring.failure is not None:
            self._shutdown.hurry()
        if self._room.tasks_left is None or self._shutdown.begun:
            return
        if self._room.tasks_left <= 0 and not self._executors.lent:
            self._do(Log(logging.INFO, f"done: {self._iter} tasks per worker"))
            self._shutdown.begin(now_s)

    def let_go(self) -> None:
        """Begin no task any more; end executors if there is no time."""
        for state in (State.WAITING, State.DELAYED):
            for lease in self._shelves[state]:
                lease.give_back("head")
        if self._shutdown.cold:
            for executor in self._executors:
                if not executor.ending:
                    self._supervision.kill(executor, "shutdown")

    def stop_if_done(self) -> None:
        """Stop once nothing is left, or nothing can be done about it."""
        if not self._shutdown.begun or self.done:
            return
        undelivered = 0
        if self._shutdown.cold and self._conversation.away:
            undelivered = len(self._shelves)
            if undelivered:
                text = f"Redis is away: {undelivered} tasks and results could not be brought back"
                self._do(Log(logging.ERROR, text))
        elif len(self._shelves):
            return
        elif self._conversation.waits or (self._membership.joined and not self._membership.left):
            # What was asked last may have counted the workers in.
            if not self._conversation.away:
                return
            text = "the worker counts of the queues are too high now: Redis is away"
            self._do(Log(logging.WARNING, text))
        self.done = True
        self._do(dataclasses.replace(self._hiring.failure or Stop(), undelivered=undelivered))
