"""A loop around the agent's link, as an agent has it, that sees how long it stood still."""

from __future__ import annotations

import selectors
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from pydoredis.settings import ConnectionSettings
from pydoredis.store.agent import WATCH
from pydoredis.store.waker import Waker
from pydoredis.worker.link import Link
from pydoredis.worker.link_channel import Command
from pydoredis.worker.link_events import Connected, Event, Invalidated, Lost, Replied

E = TypeVar("E", Connected, Replied, Invalidated, Lost)

TICK_S = 0.01

MANY_TURNS = 20
"""In a second and a half. A loop that something blocks has a few; on an idle machine it has 150."""

BLOCKING_S = 1.2
"""Something that took so long has waited. (A busy machine may take a while for anything.)"""


class Loop:
    """Turns every 10 ms at the latest.

    Attributes:
        link: What is tested.
        events: All that it has told, in order.
        longest_s: The longest that the link has kept the loop, in one turn.
        turns: How often the loop has turned.

    Args:
        url: The server's address.
        scripts: For the link.
        tag: Hash tag of the queue, in a cluster.
        timeout_s: For the link.
    """

    def __init__(
        self, url: str, scripts: Mapping[str, str] | None = None, *, tag: str = "", timeout_s: float = 10.0
    ) -> None:
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._selector.register(self._waker, selectors.EVENT_READ, self._waker)
        self._number = 0
        self._seen = 0
        self.events: list[Event] = []
        self.longest_s = 0.0
        self.turns = 0
        self.link = Link(
            ConnectionSettings(url, tag), scripts or {}, self._selector, self._waker.wake, timeout_s=timeout_s
        )

    def turn(self) -> None:
        """Wait for up to 10 ms, and let the link do what it has to."""
        ready = self._selector.select(min(TICK_S, max(0.0, self.link.due_s - time.monotonic())))
        began_s = time.monotonic()
        for key, mask in ready:
            if key.data is self.link:
                self.events += self.link.ready(mask)
            else:
                self._waker.clear()
        self.events += self.link.tick(time.monotonic())
        self.longest_s = max(self.longest_s, time.monotonic() - began_s)
        self.turns += 1

    def next(self, kind: type[E], timeout_s: float = 20.0) -> E:
        """The next event of a kind; others before it are passed over."""
        end_s = time.monotonic() + timeout_s
        while True:
            while self._seen < len(self.events):
                event = self.events[self._seen]
                self._seen += 1
                if isinstance(event, kind):
                    return event
            assert time.monotonic() < end_s, f"no {kind.__name__} but {self.events}"
            self.turn()

    def connect(self) -> Connected:
        """Wait for a connection, however often it was lost or refused before."""
        return self.next(Connected)

    def send(self, *commands: Command) -> int:
        """Send a batch; its number."""
        self._number += 1
        self.link.send(self._number, commands)
        return self._number

    def ask(self, *commands: Command) -> list[Any]:
        """Send a batch and wait for its replies; a batch that is lost is a failure."""
        number = self.send(*commands)
        while True:
            before = len(self.events)
            self.turn()
            for event in self.events[before:]:
                assert not isinstance(event, Lost), event
                if isinstance(event, Replied):
                    assert event.batch == number
                    return event.replies

    def watch(self, key: str) -> Any:
        """What a key holds; the server is to tell of its next change."""
        return self.ask(WATCH, ("GET", key))[-1]

    def ask_again(self, *commands: Command) -> list[Any]:
        """The same on any connection: a batch that is lost is sent again, as an agent does."""
        while True:
            if not self.link.idle:
                self.turn()
                continue
            number = self.send(*commands)
            before = len(self.events)
            while not (told := [event for event in self.events[before:] if _ends(event, number)]):
                self.turn()
            if isinstance(told[0], Replied):
                return told[0].replies

    def told(self, kind: type[E]) -> Sequence[E]:
        """All events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def __enter__(self) -> Loop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.link.close()
        self._selector.close()
        self._waker.close()


def _ends(event: Event, number: int) -> bool:
    return isinstance(event, (Replied, Lost)) and event.batch == number


def turn_for(loop: Loop, seconds: float) -> None:
    """Let the loop turn for a while."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        loop.turn()
