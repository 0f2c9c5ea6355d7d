"""What happens on the agent's link to Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydoredis.errors import ConfigError, StoreUnavailable


@dataclass(frozen=True, slots=True)
class Connected:
    """There is a connection, and no batch is under way on it.

    Attributes:
        run_id: Names this run of the server: another one after each restart, and after a failover.
        version: The server's version.
        tracking: Whether changes of keys that were read are told (`Invalidated`).
        shas: By the scripts' names: what to call them by (EVALSHA).
    """

    run_id: str
    version: str
    tracking: bool
    shas: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Replied:
    """All commands of a batch were answered.

    Attributes:
        batch: Its number.
        replies: One for each command: bytes, int, list, None and so on, or a `hiredis.ReplyError` if it was
            refused. The types are those of RESP3, or of RESP2 where the server does not know HELLO.
    """

    batch: int
    replies: list[Any]


@dataclass(frozen=True, slots=True)
class Invalidated:
    """Keys that were read have changed since, by somebody else. None: perhaps all of them."""

    keys: tuple[bytes, ...] | None


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection was lost, or none could be made; the link tries again by itself.

    Attributes:
        batch: Number of the batch that was under way, if one was: each of its commands may have been carried
            out or not.
        error: Why. `ConfigError`: the server is there, but does not let us in or is too old.
    """

    batch: int | None
    error: StoreUnavailable | ConfigError

    @property
    def reason(self) -> str:
        """Why, in words for people."""
        return self.error.reason if isinstance(self.error, StoreUnavailable) else str(self.error)


Event: TypeAlias = "Connected | Replied | Invalidated | Lost"
