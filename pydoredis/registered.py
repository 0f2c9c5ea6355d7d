"""The queue and the server that are meant when none is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pydoredis import hosting
from pydoredis.errors import ConfigError
from pydoredis.protocol.keys import QueueKeys
from pydoredis.settings import ConnectionSettings

if TYPE_CHECKING:
    from pydoredis.coordinator.run import Carrier
    from pydoredis.pool import LocalWorkers
    from pydoredis.testing.session import SessionInProcess


@dataclass(frozen=True, slots=True)
class Place:
    """Where jobs go.

    Attributes:
        keys: Names of the queue's keys.
        connection: Where Redis is.
        options: What loops there are run with, unless they say otherwise.
        private: Whether the server was started by this program, for itself.
    """

    keys: QueueKeys
    connection: ConnectionSettings
    options: Mapping[str, Any] = field(default_factory=dict)
    private: bool = False


class StandIn(Protocol):
    """Takes the place of Redis and its workers in unit tests: `pydoredis.testing.in_process`."""

    def carrier(self, *arguments: Any, **options: Any) -> Carrier:
        """What carries out a job, made with the arguments of a `Driver`."""
        ...

    def session(self, *arguments: Any, **options: Any) -> SessionInProcess:
        """What runs the calls of an executor, made with the arguments of a `Session`."""
        ...

    def workers(self, n: int) -> LocalWorkers:
        """What stands for workers of this machine."""
        ...


_stand_in: StandIn | None = None


def stand_in() -> StandIn | None:
    """What takes the place of Redis; None where loops run on a pool."""
    return _stand_in


def set_stand_in(one: StandIn | None) -> None:
    """Have loops run there from now on."""
    global _stand_in
    _stand_in = one


_registered: Place | None = None


def registered_place() -> Place | None:
    """Where jobs go that name no queue: in a body, unless that has registered another queue, to that of its
    own task. None if nothing was registered.

    Raises:
        LocalProtocolError: In a body, if its worker allows no loops there.
    """
    return _registered or place_of_body()


def place_of_body() -> Place | None:
    """Where the running task comes from; None if this is no process that runs bodies.

    Raises:
        LocalProtocolError: If its worker allows no loops in bodies.
    """
    host = hosting.current()
    here = host.here if host else None
    if host is None or here is None:
        return None
    if not here.url:
        host.depth_of_loops()  # raises: nobody may know an address here
    return Place(QueueKeys(here.queue), ConnectionSettings(here.url, here.tag))


def chosen_place() -> Place | None:
    """Where jobs go by what the program has registered; None if it has registered nothing."""
    return _registered


def set_registered(place: Place | None) -> None:
    """Send jobs there from now on."""
    global _registered
    _registered = place


@contextmanager
def registering(place: Place) -> Iterator[None]:
    """Send jobs there while the block lasts, and afterwards where they went before."""
    before = chosen_place()
    set_registered(place)
    try:
        yield
    finally:
        set_registered(before)


def place_or_registered(place: Place | None) -> Place:
    """`place` if it is given, else the registered one.

    Raises:
        ConfigError: If none was registered.
    """
    found = place or registered_place()
    if found is None:
        raise ConfigError("queue", None, 'registered first: register("RJOBS"), or `with local(4):`')
    return found


def connection_or_registered(connection: ConnectionSettings | None = None) -> ConnectionSettings:
    """`connection` if it is given, else that of the registered queue, else what the settings say.

    Raises:
        ConfigError: If the settings make no sense.
    """
    if connection is not None:
        return connection
    place = registered_place()
    return place.connection if place else ConnectionSettings.load()
