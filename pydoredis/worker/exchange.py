"""What the core asks of Redis, over the link, and what the link says, as the core knows it."""

from __future__ import annotations

from collections.abc import Sequence

from pydoredis.protocol.agent_commands import Command, RefusedError
from pydoredis.store.agent import AgentWire
from pydoredis.worker import link_events
from pydoredis.worker.core import events
from pydoredis.worker.link import Link


class Exchange:
    """Translates between the core and the link.

    Args:
        wire: Turns commands of the agent into those of Redis, and replies back.
        link: Sends them.
    """

    def __init__(self, wire: AgentWire, link: Link) -> None:
        self._wire = wire
        self._link = link
        self._asked: Sequence[Command] = ()
        self._lengths: list[int] = []

    def ask(self, number: int, commands: Sequence[Command]) -> None:
        """Send a request, unless the connection was lost just now: the core hears of that, and repeats it."""
        if not self._link.idle:
            return
        self._asked = commands
        words = [self._wire.encode(command) for command in commands]
        self._lengths = [len(each) for each in words]
        self._link.send(number, [command for each in words for command in each])

    def translated(self, event: link_events.Event) -> events.Event:
        """What the link says, as the core knows it."""
        match event:
            case link_events.Connected():
                return events.Connected(event.run_id, event.tracking)
            case link_events.Replied():
                return events.Replied(event.batch, self._replies(event.replies))
            case link_events.Invalidated():
                keys = event.keys
                return events.Changed(
                    None if keys is None else [key.decode("utf-8", "replace") for key in keys]
                )
            case link_events.Lost():
                return events.Lost(event.reason)

    def _replies(self, replies: Sequence[object]) -> list[object]:
        """The reply to each command of the request that is under way."""
        values: list[object] = []
        start = 0
        for command, length in zip(self._asked, self._lengths, strict=True):
            try:
                values.append(self._wire.decode(command, replies[start : start + length]))
            except RefusedError as error:
                values.append(error)
            start += length
        return values
