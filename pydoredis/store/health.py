"""What a server tells of itself: settings, state, speed, clock, and who is connected."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from redis.exceptions import NoPermissionError, ResponseError

from pydoredis.store.admin import AdminStore

SETTINGS: Final = ("timeout", "bind", "protected-mode", "save", "proto-max-bulk-len", "maxclients")
"""What only CONFIG tells; all else is in INFO."""

ROUND_TRIPS: Final = 20
"""How often the server is asked to say PONG."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server, as it tells of itself.

    Attributes:
        address: Where it was asked, without the password.
        loopback: Whether that is on this machine.
        encrypted: Whether it was asked over TLS, or over a socket file.
        info: What INFO says.
        config: What CONFIG says, by name; None for what it does not tell this user.
        lets_everybody_in: Whether it carries out commands of those who say no password; None if it does not
            tell.
        round_trips_s: How long it took to say PONG, sorted.
        clock_ahead_s: How far its clock is ahead of the one here.
        clock_error_s: How far that may be wrong.
    """

    address: str
    loopback: bool = True
    encrypted: bool = False
    info: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, str | None] = field(default_factory=dict)
    lets_everybody_in: bool | None = None
    round_trips_s: Sequence[float] = ()
    clock_ahead_s: float = 0.0
    clock_error_s: float = 0.0

    @property
    def version(self) -> tuple[int, ...]:
        """Of the Redis that it is, or that it is compatible with."""
        return tuple(int(part) for part in str(self.info.get("redis_version", "0")).split(".")[:3])

    @property
    def name(self) -> str:
        """What it is, with its version: `Redis 7.0.15`."""
        kind = str(self.info.get("server_name", "redis"))
        version = self.info.get(f"{kind}_version") or self.info.get("redis_version", "of unknown version")
        return f"{kind.capitalize()} {version}"


class HealthStore(AdminStore):
    """A `Store` for examinations."""

    def facts(self) -> ServerFacts:
        """Ask the server about itself.

        Raises:
            StoreUnavailable: If nobody answers there.
        """
        connection = self.connection
        with self._translated():
            info = self._client.info()
            trips = sorted(self._round_trip() for _ in range(ROUND_TRIPS))
            ahead_s, error_s = self._clock()
        host = connection.host
        return ServerFacts(
            address=connection.safe_url,
            loopback=host is None or host in ("localhost", "::1") or host.startswith("127."),
            encrypted=connection.scheme.startswith("rediss") or connection.scheme == "unix",
            info=info,
            config={name: self._setting(name) for name in SETTINGS},
            lets_everybody_in=self._lets_everybody_in(),
            round_trips_s=trips,
            clock_ahead_s=ahead_s,
            clock_error_s=error_s,
        )

    def _round_trip(self) -> float:
        began_s = time.perf_counter()
        self._client.ping()
        return time.perf_counter() - began_s

    def _clock(self) -> tuple[float, float]:
        """How far the server's clock is ahead, and how far that may be wrong: half of the round trip."""
        before_s, began_s = time.time(), time.perf_counter()
        seconds, microseconds = self._client.time()
        half_s = (time.perf_counter() - began_s) / 2
        return seconds + microseconds / 1e6 - (before_s + half_s), half_s

    def _setting(self, name: str) -> str | None:
        """A setting; None where CONFIG is forbidden or renamed, or the server has no such setting."""
        with self._translated():
            try:
                found = cast("dict[Any, Any]", self._client.config_get(name))
            except ResponseError:
                return None
        texts = {_text(key): _text(value) for key, value in found.items()}
        return texts.get(name)

    def _lets_everybody_in(self) -> bool | None:
        """Whether somebody without a password is let in: RESET takes back who we are."""
        with self._translated():
            pool = self._client.connection_pool
            connection: Any = pool.get_connection()
            try:
                connection.send_command("RESET")
                connection.read_response()
                connection.send_command("PING")
                connection.read_response()
            except NoPermissionError:
                return None
            except ResponseError as error:
                # redis-py makes an error of its own of NOAUTH, which is a ConnectionError: see below.
                return None if "unknown command" in str(error).lower() else False
            except Exception as error:
                if "NOAUTH" in str(error) or "Authentication required" in str(error):
                    return False
                raise
            finally:
                connection.disconnect()
                pool.release(connection)
        return True

    def waiting_in_blpop(self) -> int | None:
        """How many connections wait in BLPOP, as idle workers of R do, and other programs perhaps; None if
        the server does not tell."""
        with self._translated():
            try:
                clients = self._client.client_list()
            except ResponseError:
                return None
        return sum(client.get("cmd") == "blpop" for client in clients)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
