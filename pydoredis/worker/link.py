"""The agent's link to Redis: one batch of commands at a time, in the agent's loop, which never waits for it.

A thread opens a connection (`link_connector`); then the connection belongs to the loop (`link_channel`).
"""

from __future__ import annotations

import re
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import hiredis
from redis.exceptions import ResponseError

from pydoredis.backoff import Backoff
from pydoredis.errors import ConfigError, StoreUnavailable
from pydoredis.settings import ConnectionSettings
from pydoredis.store import endpoints
from pydoredis.worker.link_channel import Channel, Command
from pydoredis.worker.link_connector import Attempt, Connector, Opened
from pydoredis.worker.link_events import Connected, Event, Invalidated, Lost, Replied

TIMEOUT_S: Final = 10.0
"""How long nothing may move while a reply is missing, and how long each step of connecting may take. What the
kernel has taken to send has moved: that is up to 4 MB, for which there is this time."""

_STEADY_S: Final = 1.0
"""A connection that held so long is replaced at once when it is lost, any other after a pause. The pause is
short if a batch was answered on that connection; else it is longer each time."""

_NEVER: Final = float("inf")

_UNPREPARED: Final = {"BUSY", "LOADING", "NOAUTH", "NOSCRIPT"}
"""Codes of errors that say: the server runs somebody's script without end, was restarted, or has lost our
login or our scripts. A new connection finds out, waits, and loads the scripts again."""

# Redis before 7 puts words of its own before the error of a command in a script.
_CODE: Final = re.compile(r"(?:ERR Error running script .*: -)?([A-Z]+)")


class _Batch:
    """Commands that are under way, and the replies that have come."""

    def __init__(self, number: int, wanted: int) -> None:
        self.number = number
        self._wanted = wanted
        self._replies: list[Any] = []

    def take(self, reply: Any) -> Replied | None:
        """The next reply has come; all of them once they are there."""
        self._replies.append(reply)
        return Replied(self.number, self._replies) if len(self._replies) == self._wanted else None


def _is_useless(connector: Connector, text: str) -> bool:
    """Whether an error reply says that this connection is of no use (any more)."""
    found = _CODE.match(text)
    if found is None:
        return False
    if endpoints.is_wrong_server(ResponseError(found[1])):
        connector.distrust()
        return True
    return found[1] in _UNPREPARED


class _Interest:
    """Has a selector look for what a channel waits for.

    Args:
        selector: The loop's.
        owner: What the selector is to name.
    """

    def __init__(self, selector: selectors.BaseSelector, owner: object) -> None:
        self._selector = selector
        self._owner = owner
        self._mask = 0

    def update(self, channel: Channel) -> None:
        """A channel is new, or may wait for something else now."""
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.wants_write else 0)
        if not self._mask:
            self._selector.register(channel, mask, self._owner)
        elif mask != self._mask:
            self._selector.modify(channel, mask, self._owner)
        self._mask = mask

    def end(self, channel: Channel) -> None:
        """It is about to be closed."""
        if self._mask:
            self._selector.unregister(channel)
        self._mask = 0


class Link:
    """A connection to Redis that is made again whenever it is lost.

    The link keeps its descriptor registered with the selector, with itself as the data. Call `ready` when
    the selector names it, and then `tick`, at the latest when `due_s` has come or `wake` was called. Both
    return what has happened, in order. Nothing here waits, whatever the server and the network do.

    Args:
        connection: Which server; for a cluster with the queue's hash tag (`ConnectionSettings.at`).
        scripts: Lua sources that the server is to know, by name.
        selector: The loop's.
        wake: Called from another thread when `tick` has something to do.
        timeout_s: How long nothing may move while a reply is missing, until the connection counts as lost.
    """

    def __init__(
        self,
        connection: ConnectionSettings,
        scripts: Mapping[str, str],
        selector: selectors.BaseSelector,
        wake: Callable[[], None],
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._address = connection.safe_url
        self._connector = Connector(connection, scripts, timeout_s)
        self._interest = _Interest(selector, self)
        self._wake = wake
        self._timeout_s = timeout_s
        self._closed = False
        # At most one of these two is there; if none is, the next attempt begins when the pause is over.
        self._attempt: Attempt | None = None
        self._channel: Channel | None = None
        self._pause = Backoff()
        self._opened_s = 0.0
        self._useful = False
        self._batch: _Batch | None = None
        self._fault: StoreUnavailable | None = None

    @property
    def idle(self) -> bool:
        """Whether a batch can be sent: there is a connection, and no batch is under way."""
        return self._channel is not None and self._batch is None and self._fault is None

    @property
    def due_s(self) -> float:
        """When (monotonic) to call `tick`, whatever happens until then; infinity if there is no need."""
        if self._closed:
            return _NEVER
        if self._channel is not None:
            if self._fault is not None:
                return 0.0
            return _NEVER if self._batch is None else self._channel.moved_s + self._timeout_s
        if self._attempt is not None:
            return _NEVER if self._attempt.outcome() is None else 0.0
        return self._pause.due_s if self._pause.due_s < _NEVER else 0.0

    def send(self, batch: int, commands: Sequence[Command]) -> None:
        """Send a batch of commands; `Replied` or `Lost` follows.

        Large values are not copied and must not be changed until then.

        Args:
            batch: What to call it.
            commands: At least one, each a sequence of words. Each must have one reply (SUBSCRIBE has none in
                RESP3), and within the link's timeout if it blocks.

        Raises:
            RuntimeError: If the link is not `idle`.
            ValueError: If there is no command.
        """
        if not self.idle or self._channel is None:
            raise RuntimeError("there is no connection, or a batch is under way already")
        if not commands:
            raise ValueError("a batch without commands has no reply")
        self._channel.send(commands)
        self._batch = _Batch(batch, len(commands))
        try:
            self._channel.write()
        except OSError as error:
            self._fault = self._unavailable(str(error))
        else:
            self._interest.update(self._channel)

    def reconnect(self, reason: str) -> None:
        """Give up the connection, if there is one, and make another: this server does not do what it is asked
        and may not be the right one any more. `Lost` follows."""
        if self._channel is not None and self._fault is None:
            self._connector.distrust()
            self._fault = self._unavailable(reason)

    def ready(self, mask: int) -> list[Event]:
        """Go on after the selector has named the link.

        Args:
            mask: What it said of it: `EVENT_READ`, `EVENT_WRITE`.
        """
        channel = self._channel
        if channel is None or self._fault is not None:
            return []
        try:
            came = channel.ready(bool(mask & selectors.EVENT_READ), bool(mask & selectors.EVENT_WRITE))
        except OSError as error:
            return [self._lose(self._unavailable(str(error)))]
        events: list[Event] = []
        for reply in came:
            event = self._take(reply)
            if event is not None:
                events.append(event)
            if isinstance(event, Lost):
                return events
        self._interest.update(channel)
        return events

    def tick(self, now_s: float) -> list[Event]:
        """Do what is due: give up on a server that does not answer, and make connections.

        Args:
            now_s: The time (monotonic).
        """
        if self._closed:
            return []
        if self._channel is not None:
            if self._fault is not None:
                return [self._lose(self._fault)]
            if self._batch is not None and now_s >= self._channel.moved_s + self._timeout_s:
                return [self._lose(self._unavailable(f"no answer for {self._timeout_s:g} s"))]
            return []
        if self._attempt is not None:
            return self._conclude(self._attempt)
        if self._pause.over(now_s):
            try:
                self._attempt = Attempt(self._connector, self._wake)
            except RuntimeError as error:
                return [self._lose(self._unavailable(str(error)))]
        return []

    def close(self) -> None:
        """Close the connection, and give up an attempt to make one; waits for neither."""
        self._closed = True
        if self._attempt is not None:
            self._attempt.give_up()
            self._attempt = None
        else:
            self._connector.close()
        self._drop()

    # --- replies ------------------------------------------------------------------------------------------

    def _take(self, reply: Any) -> Event | None:
        if isinstance(reply, hiredis.PushNotification):
            if reply[0] != b"invalidate":
                return None
            return Invalidated(None if reply[1] is None else tuple(reply[1]))
        if isinstance(reply, hiredis.ReplyError) and _is_useless(self._connector, str(reply)):
            return self._lose(self._connector.refusal(str(reply)))
        if self._batch is None:
            return self._lose(self._unavailable("a reply came that nobody has asked for"))
        replied = self._batch.take(reply)
        if replied is not None:
            self._batch, self._useful = None, True
            self._pause.reset()  # the connection was of use
        return replied

    # --- the connection -----------------------------------------------------------------------------------

    def _conclude(self, attempt: Attempt) -> list[Event]:
        outcome = attempt.outcome()
        if outcome is None:
            return []
        self._attempt = None
        if not isinstance(outcome, Opened):
            return [self._lose(outcome)]
        self._channel = outcome.channel
        self._opened_s = time.monotonic()
        self._interest.update(outcome.channel)
        return [Connected(outcome.run_id, outcome.version, outcome.tracking, outcome.shas)]

    def _lose(self, error: StoreUnavailable | ConfigError) -> Lost:
        """Drop the connection, if there is one; see to it that the next attempt comes in its time."""
        now_s = time.monotonic()
        steady = self._channel is not None and now_s - self._opened_s >= _STEADY_S
        lost = Lost(None if self._batch is None else self._batch.number, error)
        if steady or self._useful:
            self._pause.reset()
        if not steady:
            self._pause.begin(now_s)
        self._drop()
        return lost

    def _drop(self) -> None:
        if self._channel is not None:
            self._interest.end(self._channel)
            self._channel.close()
        self._channel, self._fault = None, None
        self._batch, self._useful = None, False

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(self._address, reason)
