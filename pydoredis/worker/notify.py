"""Tells a service manager how the agent is, as systemd's sd_notify(3) does: up, alive, stopping.

Where nobody wants to know (no NOTIFY_SOCKET), it does nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping

SOCKET, WATCHDOG, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
"""Environment variables of sd_notify(3) and sd_watchdog_enabled(3)."""


class Notifier:
    """The line to the service manager.

    Attributes:
        interval_s: How long it waits to hear that we are alive; infinity if it does not wait for that.

    Args:
        environ: Where it says what it wants to know. Its variables are taken out: they are not meant for the
            processes that this one starts.
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        address = environ.pop(SOCKET, "")
        interval, pid = environ.pop(WATCHDOG, ""), environ.pop(WATCHDOG_PID, "")
        self._socket: socket.socket | None = None
        self.interval_s = float("inf")
        self._due_s = float("inf")
        if not address or not hasattr(socket, "AF_UNIX"):
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0))
        self._socket.setblocking(False)
        with contextlib.suppress(OSError):
            # A name that begins with @ is not in the file system.
            self._socket.connect(f"\0{address[1:]}" if address[0] == "@" else address)
        if interval.isdigit() and int(interval) and pid in ("", str(os.getpid())):
            self.interval_s = int(interval) / 1e6
            self._due_s = 0.0

    @property
    def due_s(self) -> float:
        """When (monotonic) to call `alive`, at the latest; infinity if there is no need."""
        return self._due_s

    def ready(self, status: str) -> None:
        """We are up.

        Args:
            status: How we are, in a line for people.
        """
        self._say("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """How we are, in a line for people."""
        self._say(f"STATUS={status}")

    def alive(self, now_s: float) -> None:
        """We go on; says so only if it is due."""
        if now_s >= self._due_s:
            self._due_s = now_s + self.interval_s / 3
            self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """We are about to end."""
        self._say("STOPPING=1")

    def close(self) -> None:
        """Say nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, *lines: str) -> None:
        if self._socket is not None:
            # Whoever does not listen, or not now, is not told: work comes first.
            with contextlib.suppress(OSError):
                self._socket.send("\n".join(line.replace("\n", " ") for line in lines).encode())
