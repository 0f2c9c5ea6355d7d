"""A loop with nothing in it but a link to Redis."""

from __future__ import annotations

import itertools
import selectors
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

from pydoredis.settings import ConnectionSettings
from pydoredis.worker.link import Link
from pydoredis.worker.link_events import Connected, Event, Invalidated, Lost, Replied
from pydoredis.worker.signals import Wakeup

T = TypeVar("T")
TIMEOUT_S = 20.0


class LinkLoop:
    """Waits for what a link says.

    Attributes:
        link: The link.
        heard: All that it has said.
        longest_s: The longest time between two turns of the loop, which is woken every 10 ms.
    """

    def __init__(self, url: str, scripts: dict[str, str] | None = None, timeout_s: float = 10.0) -> None:
        self._selector = selectors.DefaultSelector()
        self._wakeup = Wakeup(self._selector)
        self.link = Link(
            ConnectionSettings(url), scripts or {}, self._selector, self._wakeup.wake, timeout_s=timeout_s
        )
        self.heard: list[Event] = []
        self.longest_s = 0.0
        self._numbers = itertools.count(1)
        self._turned_s = time.monotonic()

    def turn(self) -> None:
        """Wait for 10 ms at most, and hear what there is."""
        for key, mask in self._selector.select(0.01):
            if key.data is self.link:
                self.heard += self.link.ready(mask)
            else:
                self._wakeup.clear()
        now_s = time.monotonic()
        if now_s >= self.link.due_s:
            self.heard += self.link.tick(now_s)
        self.longest_s = max(self.longest_s, time.monotonic() - self._turned_s)
        self._turned_s = time.monotonic()

    def wait(self, found: Callable[[], T | None]) -> T:
        """Turn until something is found."""
        end_s = time.monotonic() + TIMEOUT_S
        while (value := found()) is None:
            assert time.monotonic() < end_s, f"not in time; heard: {self.heard}"
            self.turn()
        return value

    def next(self, kind: type[T]) -> T:
        """The next event of a kind; those before it are forgotten."""

        def first() -> T | None:
            for index, event in enumerate(self.heard):
                if isinstance(event, kind):
                    del self.heard[: index + 1]
                    return event
            return None

        return self.wait(first)

    def ask(self, *commands: Sequence[Any]) -> list[Any]:
        """Send a batch and wait for its replies."""
        self.send(*commands)
        return self.next(Replied).replies

    def send(self, *commands: Sequence[Any]) -> int:
        """Send a batch; its number."""
        number = next(self._numbers)
        self.link.send(number, commands)
        return number

    def close(self) -> None:
        """Close the link."""
        self.link.close()
        self._wakeup.close()
        self._selector.close()

    def __enter__(self) -> LinkLoop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


__all__ = ["Connected", "Invalidated", "LinkLoop", "Lost", "Replied"]
