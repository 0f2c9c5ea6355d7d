"""What the agent says to Redis: one request at a time, made of all that there is to say.

Every command may be sent twice, so a request whose reply was lost is sent again as it was. What it is about
keeps its state until the reply is there.
"""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Callable, Iterable, Sequence

from pydoredis.backoff import Backoff
from pydoredis.errors import StoreUnavailable
from pydoredis.protocol.agent_commands import Command, RefusedError, Take, Taken
from pydoredis.worker.core.events import Connected, Lost, Replied
from pydoredis.worker.core.instructions import Ask, Instruction, Log

FIRST_POLL_S, LONGEST_POLL_S = 0.01, 0.25
"""How often an idle agent looks at its queues where the server does not tell it of changes."""

QUIET_S = 0.002
"""So long, for each agent of the queue, rests one at most that was told of a task and did not get it: with
many idle agents one task must not make all of them look."""


class Conversation:
    """Sends requests, one after the other, and says when to look at the queues.

    Attributes:
        agents: How many agents serve the queues.
        stale: At which depths (`QueueKeys.depth`) there may be tasks that we have not seen.

    Args:
        address: The server's, for messages.
        do: Carries out instructions.
        nesting: How deep loops inside of bodies may be that are served.
    """

    def __init__(self, address: str, do: Callable[[Instruction], None], nesting: int = 0) -> None:
        self.agents = 1
        self._all_depths = frozenset(range(nesting + 1))
        self.stale = self._all_depths
        self._address = address
        self._do = do
        self._numbers = itertools.count(1)
        self._asked: Ask | None = None
        self._connected = False
        self._tracking = False
        self._refused = Backoff()
        self._told: set[str] = set()  # reasons of this outage that were logged
        self._run_id = ""
        self._blocked = False  # whether what comes next is of a job of which nothing may be held ahead
        self._poll_s = FIRST_POLL_S
        self._quiet_until_s = 0.0

    # --- the connection -----------------------------------------------------------------------------------

    @property
    def away(self) -> bool:
        """Whether Redis cannot be used just now."""
        return not self._connected or self._refused.active

    @property
    def waits(self) -> bool:
        """Whether a request has no reply yet."""
        return self._asked is not None

    def connected(self, event: Connected) -> bool:
        """There is a connection; whether it leads to another run of the server than the last one."""
        self._connected = True
        self._tracking = event.tracking
        self.stale = self._all_depths
        another = event.run_id != self._run_id
        self._run_id = event.run_id
        if self._asked is not None:
            self._do(self._asked)
        return another

    def lost(self, event: Lost) -> None:
        """There is none any more."""
        self._connected = False
        self._away(event.reason)

    def replied(self, event: Replied, now_s: float) -> Sequence[tuple[Command, object]]:
        """What each command of the last request got. Refusals are told, and are not among them."""
        asked = self._asked
        if asked is None or event.request != asked.request:
            return ()
        self._asked = None
        answered = [
            (command, reply)
            for command, reply in zip(asked.commands, event.replies, strict=True)
            if not isinstance(reply, RefusedError)
        ]
        refusals = [reply for reply in event.replies if isinstance(reply, RefusedError)]
        if refusals:
            self.refused(str(refusals[0]), now_s)
        else:
            self._refused.reset()
            self._back()
        return answered

    def refused(self, reason: str, now_s: float) -> None:
        """The server does not do what it was asked; it is asked again after a pause."""
        self._refused.begin(now_s)
        self._away(reason)

    def _away(self, reason: str) -> None:
        if reason in self._told:
            return
        going_on = "" if self._told else "; going on without it"
        self._told.add(reason)
        self._do(Log(logging.WARNING, f"{StoreUnavailable(self._address, reason)}{going_on}"))

    def _back(self) -> None:
        if self._told:
            self._told.clear()
            self._do(Log(logging.INFO, "Redis is back"))

    # --- requests -----------------------------------------------------------------------------------------

    def may_ask(self, now_s: float) -> bool:
        """Whether a request can be sent now."""
        return self._asked is None and self._connected and self._refused.over(now_s)

    def ask(self, commands: Sequence[Command]) -> None:
        """Send a request."""
        self._asked = Ask(next(self._numbers), commands)
        self._do(self._asked)

    def due_s(self) -> float:
        """When (monotonic) a request may be sent that had to wait; infinity for never."""
        return self._refused.due_s if self._connected and self._asked is None else float("inf")

    # --- looking at the queues ----------------------------------------------------------------------------

    def changed(self, depths: Iterable[int] | None = None) -> None:
        """There may be tasks, at these depths (None: at any)."""
        self.stale = self._all_depths if depths is None else self.stale.union(depths)

    def look_s(self, rooms: Sequence[int], *, some_ahead: bool) -> float:
        """When (monotonic) to look for the tasks that there may be; infinity for never.

        Args:
            rooms: For how many tasks of any job there is room, by depth; one number is for all depths.
            some_ahead: Whether there is room for tasks of some jobs beyond that.
        """
        has_room = any(rooms[depth if len(rooms) > 1 else 0] for depth in self.stale)
        return self._quiet_until_s if has_room or (some_ahead and not self._blocked) else float("inf")

    def looked(self, command: Take, reply: Taken, now_s: float) -> None:
        """The queues were looked at."""
        left = frozenset((*reply.deeper, 0) if reply.more else reply.deeper)
        found, more = len(reply.tasks), bool(left)
        self.stale = left if self._tracking else self._all_depths
        free = max(command.free, *command.deeper) if command.deeper else command.free
        self._blocked = more and found < free + sum(command.ahead.values())
        if found or (more and not command.deeper):  # else what is left is not what there is room for
            self._poll_s = FIRST_POLL_S
            self._quiet_until_s = 0.0
        elif self._tracking:
            longest_s = QUIET_S * (self.agents - 1)
            self._quiet_until_s = now_s + random.uniform(0.0, longest_s) if free else 0.0
        else:
            self._quiet_until_s = now_s + self._poll_s * random.uniform(0.5, 1.0)
            self._poll_s = min(2 * self._poll_s, LONGEST_POLL_S)
