"""Listens for browsers, with uvicorn."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from pydoredis.dashboard.access import Access
from pydoredis.dashboard.site import Site
from pydoredis.dashboard.watch import Watch
from pydoredis.errors import ConfigError
from pydoredis.telemetry import Telemetry

PATIENCE_S = 1
"""For how long a browser may take for the rest of an answer when the dashboard ends."""


def listen(address: str, port: int) -> socket.socket:
    """Listen at an address.

    Raises:
        ConfigError: If nobody can.
    """
    try:
        family, *_, where = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server((str(where[0]), port), family=family, backlog=128)
    except OSError as error:
        what = f"an address and a port on which nobody listens ({error.strerror or error})"
        raise ConfigError("port", f"{address}:{port}", what) from error


def serve(
    telemetry: Telemetry,
    queue: str | None,
    access: Access,
    listener: socket.socket,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Answer browsers until SIGINT or SIGTERM.

    Args:
        telemetry: Looks at the server.
        queue: Only this queue; None: all.
        access: Decides who may look and act.
        listener: Where browsers come.
        started: Called when they are answered.
    """
    watch = Watch(telemetry, queue)
    config = uvicorn.Config(
        Site(watch, access),
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=PATIENCE_S,
    )
    _Server(config, watch, started).run([listener])


class _Server(uvicorn.Server):
    """Ends at once, also with browsers that wait for events."""

    def __init__(self, config: uvicorn.Config, watch: Watch, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._watch = watch
        self._has_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._has_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._watch.end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's own, which raises the signals once more when all is over: the command would then end
        as if it had failed."""
        before = {number: signal.signal(number, self._end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, _: FrameType | None) -> None:
        self.handle_exit(number, None)
